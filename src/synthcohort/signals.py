"""The one table of tissue signals, read by the cohort's scanner and by the randomization alike.

Of each tissue and contrast the mean, and the range over people, against white matter on T1, about 1. `signals.csv`
here holds brain and head, by eye beside IXI: fluid is dark on T1 and FLAIR and bright on T2; the range is two standard
deviations from person to person. That of `glioma/` holds the parts of a tumor, by eye beside BraTS and as radiology
describes them: necrosis is dark on T1 and anything on FLAIR, solid tumor without enhancement looks much like edema;
`core` is the cohort's mixture of the two.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import torch

from .tissue_maps import CONTRASTS, TISSUES

FOLDER = Path(__file__).parent


class Signal(NamedTuple):
    mean: float
    low: float
    high: float


def _read(file: Path) -> dict[str, dict[str, Signal]]:
    with file.open(newline="", encoding="utf-8") as content:
        rows = list(csv.DictReader(content))
    columns = {c: [f"{c} {part}" for part in Signal._fields] for c in CONTRASTS}
    return {row["tissue"]: {c: Signal(*(float(row[k]) for k in keys)) for c, keys in columns.items()} for row in rows}


SIGNALS = _read(FOLDER / "signals.csv") | _read(FOLDER / "glioma" / "signals.csv")  # tissue -> contrast -> Signal
MEANS = {c: torch.tensor([SIGNALS[tissue][c].mean for tissue in TISSUES]) for c in CONTRASTS}  # (tissues,) each
