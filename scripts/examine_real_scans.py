"""Examine `presimal strip`, `segment` and `age` on public scans of real people; print the table *On real people*.

    python scripts/examine_real_scans.py [--folder FOLDER] [--task mask] [--json FILE] [--yes]

The scans are those of `presimal data real-scans`, which this gets after it has shown their licenses and size, or lie in
FOLDER already, under the names of real_scans.csv; either way their checksums are looked at. real_cases.csv names the
cases. Its references are the work of algorithms, of experts, or of whoever stripped the scan; `labels` are the numbers
of non-enhancing or necrotic tumor, of edema and of enhancing tumor in the reference, "-" for a part that it lacks.
Nothing is learned here, and one bad case never stops the rest. Five minutes on one core.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pooch
import torch
from nibabel.affines import voxel_sizes
from real_table import Case, Result, report
from scipy import ndimage
from tqdm import tqdm

from brainscans.age import estimate_age
from brainscans.contrasts import TITLES
from brainscans.reading import read
from brainscans.resampling import resample
from brainscans.scans import largest_piece
from brainscans.skull_stripping import strip
from brainscans.tumor_segmentation import segment
from presimal.data.downloads import REAL_SCANS, get
from presimal.data.real_scans import SCANS
from presimal.evaluation import dice
from synthcohort.storage import DataError

CASES = Path(__file__).with_name("real_cases.csv")
CLOSED = 6.0  # mm: gaps between labels of tissue narrower than twice this are fluid, which belongs to the brain
FEW_LABELS = 3  # numbers in a file; more are labels of tissue and not a mask
FOUND = "2,1,3"  # `labels` of what `segment` writes
Regions = list[np.ndarray | None]


def brain_of(values: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The brain (X, Y, Z) in a mask, or in labels of tissue, whose gaps are closed; its largest piece."""
    brain = values > 0
    if len(np.unique(values)) > FEW_LABELS:
        spacing = voxel_sizes(affine)
        margin = int(np.ceil(CLOSED / spacing.min())) + 1
        wide = np.pad(brain, margin)
        reached = ndimage.distance_transform_edt(~wide, sampling=spacing) <= CLOSED
        kept = ndimage.distance_transform_edt(reached, sampling=spacing) > CLOSED
        brain = ndimage.binary_fill_holes(kept | wide)[(slice(margin, -margin),) * 3]
    return largest_piece(brain)


def outline_of(values: np.ndarray) -> np.ndarray:
    """The brain (X, Y, Z) in a stripped scan: what differs from its background, the median on the faces."""
    faces = [values[(slice(None),) * axis + (side,)].ravel() for axis in range(3) for side in (0, -1)]
    differs = np.abs(values - np.median(np.concatenate(faces))) > 1e-3 * np.abs(values).max()
    return largest_piece(ndimage.binary_fill_holes(ndimage.binary_opening(differs)))


def regions(values: np.ndarray, labels: str) -> Regions:
    """Whole tumor, tumor core and enhancing tumor; None for what the labels do not tell apart."""
    numbers = [[int(number) for number in part.split("+") if number != "-"] for part in labels.split(",")]
    core, enhancing = numbers[0] + numbers[2], numbers[2]
    return [values > 0, *(np.isin(values, part) if part else None for part in (core, enhancing))]


def overlap(found: np.ndarray | None, truth: np.ndarray | None) -> float | None:
    """Dice of two masks (X, Y, Z); None where one is not told, or both are empty."""
    if found is None or truth is None or not (found.any() or truth.any()):
        return None
    one, other = (torch.from_numpy(mask)[None, None] for mask in (found, truth))
    return float(dice(one, other))


def compared(found: Regions, truth: Regions, affine: np.ndarray) -> Result:
    """Dice and ml of masks on one grid, whose affine takes voxels to mm; ml alone where `truth` is empty."""
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000

    def ml(mask: np.ndarray | None) -> float | None:
        return None if mask is None else float(mask.sum() * voxel_ml)

    return Result(tuple(map(overlap, found, truth)), tuple(map(ml, found)), tuple(map(ml, truth)))


def examine_mask(case: Case, folder: Path, place: Path) -> Result:
    _, _, mask_file = strip(folder / case.files, place)
    found, affine = read(mask_file)
    values, own = read(folder / (case.reference or case.files))
    truth = brain_of(values, own) if case.reference else outline_of(values)
    return compared([found > 0], [resample(truth.astype(np.uint8), own, affine, found.shape, order=0) > 0], affine)


def examine_tumor(case: Case, folder: Path, place: Path) -> Result:
    given = {key: folder / file for key, file in zip(TITLES, case.scans(), strict=True) if file != "-"}
    segment(given, place / "labels.nii.gz")
    found, affine = read(place / "labels.nii.gz")
    truth: Regions = []
    if case.reference:
        values, own = read(folder / case.reference)
        truth = regions(resample(values, own, affine, found.shape, order=0), case.labels)
    return compared(regions(found, FOUND), truth, affine)


def examine_age(case: Case, folder: Path, place: Path) -> Result:
    return Result(age=estimate_age(folder / case.files).age)


def examine_refuse(case: Case, folder: Path, place: Path) -> Result:
    strip(folder / case.files, place)
    return Result()


EXAMINE: dict[str, Callable[[Case, Path, Path], Result]] = {
    "mask": examine_mask, "tumor": examine_tumor, "age": examine_age, "refuse": examine_refuse,
}  # fmt: skip


def examine(case: Case, folder: Path) -> Result:
    """What comes of a case, whatever goes wrong in it."""
    try:
        for name in {*case.scans(), case.reference} - {"-", ""}:
            if not (folder / name).is_file():
                return Result(failed=f"{name} is not there")
            if name in SCANS and pooch.file_hash(str(folder / name)) != SCANS[name].sha256:
                return Result(failed=f"{name} does not have its published checksum")
        with tempfile.TemporaryDirectory() as place:
            return EXAMINE[case.task](case, folder, Path(place))
    except DataError as problem:
        return Result(refused=str(problem).replace(f"{folder}/", ""))
    except Exception as problem:
        return Result(failed=f"{type(problem).__name__}: {problem}".replace(f"{folder}/", ""))


def main(arguments: list[str] | None = None) -> int:
    """Print the table; returns 0, 1 if a case could not be examined, 2 without scans."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="holds the scans; by default they are downloaded")
    parser.add_argument("--task", choices=EXAMINE, help="only these cases")
    parser.add_argument("--json", type=Path, help="file for the result of every case")
    parser.add_argument("--yes", action="store_true", help="download without asking")
    wanted = parser.parse_args(arguments)
    with CASES.open(encoding="utf-8", newline="") as file:
        cases = [Case(**line) for line in csv.DictReader(file) if wanted.task in (None, line["task"])]
    try:
        folder = wanted.folder or get(REAL_SCANS, wanted.yes)
    except DataError as problem:
        print(problem, file=sys.stderr)
        return 2
    pairs = [(case, examine(case, folder)) for case in tqdm(cases, unit="case")]
    if wanted.json:
        every = {f"{case.task}/{case.name}": asdict(result) for case, result in pairs}
        wanted.json.write_text(json.dumps(every, indent=1), encoding="utf-8")
    print(report(pairs))
    return int(any(result.failed for _, result in pairs))


if __name__ == "__main__":
    sys.exit(main())
