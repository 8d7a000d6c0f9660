"""Data that would spoil a training without a word are refused, with one sentence each.

`check_table` looks at the rows: who, how old, which file. `check_volumes` reads every file once and remembers in
data_folder()/checked/ that they were good, until a file changes.
"""

import hashlib
import itertools
import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.affines import apply_affine, voxel_sizes
from tqdm import tqdm

from presimal.data.splits import SPLITS
from synthcohort.storage import DataError, data_folder, write_atomically

VERSION = 1  # raise with every new check: files that passed the old ones are read again
VOXEL_MM = (0.1, 20.0)
UNREADABLE = (OSError, EOFError, zlib.error, ValueError, nib.filebasedimages.ImageFileError)


def refuse(file: Path | str, problem: str, remedy: str) -> NoReturn:
    """Raises DataError with one sentence that names the file, the problem and the remedy."""
    raise DataError(f"{file}: {problem}; {remedy}.")


def check_table(table: pd.DataFrame, source: Path, repeated: bool = False) -> None:
    """Is a table of subjects sound? Columns as `presimal.data` returns them.

    `repeated`: a subject may have several scans. Raises DataError at the first thing that is not.
    """
    if table.empty:
        refuse(source, "lists no subject", "add at least one")
    blank = table.subject_id.isna() | (table.subject_id.astype(str).str.strip() == "")
    if blank.any():
        refuse(source, f"row {blank.argmax() + 1} has no subject_id", "fill it in")
    for image in table.image[table.image.duplicated()]:
        refuse(source, f"lists {image} twice", "keep one of the rows")
    for subject in () if repeated else table.subject_id[table.subject_id.duplicated()]:
        refuse(source, f"lists subject {subject} twice", "keep one, or give each its own id")
    if "sex" in table:
        odd = table[~table.sex.isin(["M", "F"]) & table.sex.notna()]
        for subject, sex in zip(odd.subject_id, odd.sex, strict=True):
            refuse(source, f"sex {sex!r} of {subject} is neither M nor F", "write M, F or nothing")
        for subject in _in_several(table, "sex"):
            refuse(source, f"{subject} is both M and F", "give two people two ids")
    if "split" in table:
        for name in table.split[~table.split.isin(SPLITS)]:
            refuse(source, f"split {name!r} is not one of {', '.join(SPLITS)}", "rename it")
        for subject in _in_several(table, "split"):
            refuse(source, f"subject {subject} is in two splits", "keep a subject in one of them")
        for name in [name for name in SPLITS if name not in set(table.split)]:
            refuse(source, f"no subject is in {name}", "fill it, or leave the column split out")


def _in_several(table: pd.DataFrame, column: str) -> list[str]:
    """The subjects with more than one value in a column."""
    count = table.groupby("subject_id")[column].nunique()
    return list(count.index[count > 1])


def check_ages(table: pd.DataFrame, source: Path, needed: bool = True) -> pd.DataFrame:
    """The table with ages as numbers. Raises DataError unless all are in 0 to 120 years.

    `needed`: a missing age is refused too.
    """
    ages = pd.to_numeric(table.age, errors="coerce")
    for subject, given, age in zip(table.subject_id, table.age, ages, strict=True):
        if not 0 <= age <= 120 and (needed or pd.notna(given)):  # NaN is not in the range either
            refuse(source, f"age {given} of {subject} is not in 0 to 120 years", "correct it or drop the row")
    return table.assign(age=ages)


def check_volumes(table: pd.DataFrame, channels: int = 1, labels: tuple[int, ...] = (), progress: bool = True) -> None:
    """Read every image, and label where there are any, and refuse the first that is not sound.

    `channels` is the number of modalities in a file, `labels` the values that a label may have. Raises DataError.
    """
    columns = [table[column] for column in (("image", "label") if labels else ("image",))]
    files = [Path(file) for column in columns for file in column]
    for file in files:
        if not file.is_file():
            refuse(file, "is listed but not there", "restore the file or drop its row")
    stamps = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha256(json.dumps([VERSION, channels, labels, stamps]).encode()).hexdigest()
    passed = data_folder() / "checked" / key
    if passed.exists():
        return
    owners: dict[bytes, str] = {}
    cases = list(zip(*columns, strict=True))
    for image_file, *label_file in tqdm(cases, "checking", unit="case", disable=not progress, leave=False, delay=10):
        image, affine = read_image(image_file, channels)
        digest = hashlib.sha256(np.ascontiguousarray(image).data).digest()
        if digest in owners:
            refuse(image_file, f"holds the same voxels as {owners[digest]}", "remove one of the two")
        owners[digest] = image_file
        for file in label_file:
            _check_label(file, image_file, image.shape[:3], affine, labels)
    with suppress(OSError):  # not remembered: it will be checked again
        write_atomically(passed, b"")


def read(file: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Values as they are stored (scaled if the header says so) and the affine, voxel to RAS mm.

    Raises DataError if the file is no image that nibabel reads, or ends too early.
    """
    try:
        image = nib.load(file)
        values = np.asanyarray(image.dataobj)
    except UNREADABLE:
        refuse(file, "is cut short, damaged or not a NIfTI image", "copy or download it again")
    return values, image.affine


def read_image(file: Path | str, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (X, Y, Z), or (X, Y, Z, channels) for several, as stored, and the affine, voxel to RAS mm.

    One volume stored in 4-D is taken. Raises DataError for what is no such image: unreadable, another shape, NaN,
    constant, no geometry.
    """
    values, affine = read(file)
    if channels == 1 and values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if channels == 1 and values.ndim != 3:
        refuse(file, f"has shape {values.shape}, not one volume", "store one volume per file")
    if channels > 1 and (values.ndim != 4 or values.shape[3] != channels):
        lacking = f"has shape {values.shape}, not (X, Y, Z, {channels}): a modality is missing"
        refuse(file, lacking, "stack all modalities in one file, in their order")
    if min(values.shape[:3]) < 8:
        refuse(file, f"has shape {values.shape}, a slice and no volume", "store the whole volume")
    if values.dtype.kind not in "iuf":
        refuse(file, f"holds values of type {values.dtype}", "store real numbers")
    if not np.isfinite(values).all():
        refuse(file, "holds NaN or infinite voxels", "repair the export, or leave the case out")
    for channel in np.flatnonzero(np.atleast_1d(np.ptp(values, axis=(0, 1, 2)) == 0)):
        which = f"modality {channel}" if channels > 1 else "the volume"
        refuse(file, f"{which} has one value everywhere", "export it again or leave it out")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        refuse(file, "has an affine that cannot be inverted", "set the orientation in its header")
    spacing = voxel_sizes(affine)
    if spacing.min() < VOXEL_MM[0] or spacing.max() > VOXEL_MM[1]:
        shown = " x ".join(f"{length:.3g}" for length in spacing)
        refuse(file, f"has voxels of {shown} mm", "correct the unit in its header to millimeters")
    return values, affine


def _check_label(file: str, image: str, shape: tuple, affine: np.ndarray, labels: tuple) -> None:
    values, placed = read(file)
    if values.shape != shape:
        refuse(file, f"has shape {values.shape}, its image {shape}", f"resample it onto {image}")
    corners = np.array(list(itertools.product(*[(0, length - 1) for length in shape])))
    moved = np.abs(apply_affine(placed, corners) - apply_affine(affine, corners)).max()
    if not moved < 0.1 * voxel_sizes(affine).min():  # NaN is not below it either
        remedy = f"copy the affine of {image} if the voxels match"
        refuse(file, "lies elsewhere than its image (affine)", remedy)
    for odd in sorted(set(np.unique(values).tolist()) - set(labels)):
        refuse(file, f"has a label {odd:g}, not {labels[0]} to {labels[-1]}", "map its labels to these")
    if len(labels) == 2 and values.min() == values.max():
        refuse(file, "marks no border: all in or all out", "draw the mask, or leave the case out")
