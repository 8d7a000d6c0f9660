"""The one table of tissue signals, read by the cohort's scanner and by the randomization alike.

Of each tissue the mean on every contrast, against white matter on T1, about 1, and two relative standard deviations,
drawn for each person and contrast: of every tissue, and besides of tumors and of what lies outside the brain.
`signals.csv` here holds brain and head, by eye beside IXI: fluid is dark on T1 and FLAIR and bright on T2. That of
`glioma/` holds tumors, by eye beside BraTS and as radiology describes them: `core` is a mixture; the parts of a varied
tumor lie between `low` and `high`: necrosis is dark on T1 and anything on FLAIR, solid tumor looks much like edema.
"""

import csv
from pathlib import Path

import torch

from .tissue_maps import CONTRASTS, TISSUES


def _read(file: Path) -> dict[str, dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as content:
        return {row["tissue"]: row for row in csv.DictReader(content)}


TUMORS = _read(Path(__file__).parent / "glioma" / "signals.csv")
TABLE = _read(Path(__file__).parent / "signals.csv") | TUMORS
# (tissues,) in the order of TISSUES: means of each contrast, and relative standard deviations.
MEANS = {contrast: torch.tensor([float(TABLE[tissue][contrast]) for tissue in TISSUES]) for contrast in CONTRASTS}
PERSON_SD, GROUP_SD = (torch.tensor([float(TABLE[t][name]) for t in TISSUES]) for name in ("person sd", "group sd"))
# contrast -> part of a varied tumor -> lowest and highest
VARIED = [part for part, row in TUMORS.items() if row["t1 low"]]
RANGES = {
    c: {part: (float(TABLE[part][f"{c} low"]), float(TABLE[part][f"{c} high"])) for part in VARIED} for c in CONTRASTS
}
