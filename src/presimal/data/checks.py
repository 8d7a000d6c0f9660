"""Data that would spoil a training without a word are refused, with one sentence each: `check_table` looks at the rows
(who, how old, which file), `check_volumes` reads every file, once until one changes."""

import hashlib
import json
import zlib
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, product
from pathlib import Path
from typing import NoReturn

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.affines import apply_affine, voxel_sizes
from tqdm import tqdm

from synthcohort.storage import DataError, data_folder, write_atomically

SPLITS = ("train", "valid", "test")
VERSION = 1  # raise with every new check: files that passed the old ones are read again


def refuse(file: Path | str, problem: str, remedy: str) -> NoReturn:
    """Raises DataError with one sentence that names the file, the problem and the remedy."""
    raise DataError(f"{file}: {problem}; {remedy}.")


def refuse_if(found: object, file: Path | str, problem: str, remedy: str) -> None:
    """Refuse a file for what has been found, if anything; the first entry of a list takes the place of {}."""
    if found:
        refuse(file, problem.format(found[0]) if isinstance(found, list) else problem, remedy)


def check_table(table: pd.DataFrame, source: Path, longitudinal: bool = False) -> pd.DataFrame:
    """The table with ages as numbers; DataError if unsound. `longitudinal`: several scans of one, each with an age."""
    ids, several = table.subject_id, table.groupby("subject_id").nunique() > 1
    blank = np.flatnonzero(ids.isna() | (ids.astype(str).str.strip() == ""))
    refuse_if(table.empty, source, "lists no subject", "add at least one")
    refuse_if(list(blank + 1), source, "row {} has no subject_id", "fill it in")
    refuse_if(list(table.image[table.image.duplicated()]), source, "lists {} twice", "keep one of the rows")
    twice = [] if longitudinal else list(ids[ids.duplicated()])
    refuse_if(twice, source, "lists subject {} twice", "keep one, or give each its own id")
    if "sex" in table:
        odd = table[~table.sex.isin(["M", "F"]) & table.sex.notna()]
        wrong = [f"{sex!r} of {subject}" for sex, subject in zip(odd.sex, odd.subject_id, strict=True)]
        refuse_if(wrong, source, "sex {} is neither M nor F", "write M, F or nothing")
        refuse_if(list(several.index[several.sex]), source, "{} is both M and F", "give two people two ids")
    if "split" in table:
        odd, both = table.split[~table.split.isin(SPLITS)], list(several.index[several.split])
        empty = [name for name in SPLITS if name not in set(table.split)]
        refuse_if(list(odd), source, f"split {{!r}} is not one of {', '.join(SPLITS)}", "rename it")
        refuse_if(both, source, "subject {} is in two splits", "keep a subject in one of them")
        refuse_if(empty, source, "no subject is in {}", "fill it, or leave the column split out")
    if "age" in table:
        years = pd.to_numeric(table.age, errors="coerce")
        odd = table[~years.between(0, 120) & (longitudinal | table.age.notna())]
        wrong = [f"{age} of {subject}" for age, subject in zip(odd.age, odd.subject_id, strict=True)]
        refuse_if(wrong, source, "age {} is not in 0 to 120 years", "correct it or drop the row")
        table = table.assign(age=years)
    return table


def check_volumes(table: pd.DataFrame, channels: int = 1, labels: tuple[int, ...] = (), progress: bool = True) -> None:
    """Read every image, of so many channels, and its label, if any, of these values; DataError for an unsound one."""
    columns = [table[column] for column in (("image", "label") if labels else ("image",))]
    stamps = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in check_there(chain(*columns))]
    key = hashlib.sha256(json.dumps([VERSION, channels, labels, stamps]).encode()).hexdigest()
    passed = data_folder() / "checked" / key
    if passed.exists():
        return
    owners: dict[bytes, str] = {}
    cases = list(zip(*columns, strict=True))
    for image_file, *label_file in tqdm(cases, "checking", unit="case", disable=not progress, leave=False, delay=10):
        image, affine = read_image(image_file, channels)
        digest = hashlib.sha256(np.ascontiguousarray(image).data).digest()
        owner = owners.setdefault(digest, image_file)
        refuse_if(owner != image_file, image_file, f"holds the same voxels as {owner}", "remove one of the two")
        for file in label_file:
            _check_label(file, image_file, image.shape[:3], affine, labels)
    with suppress(OSError):  # not remembered: it will be checked again
        write_atomically(passed, b"")


def check_there(paths: Iterable[str]) -> list[Path]:
    """The files with these paths; raises DataError if one is not there."""
    files = list(map(Path, paths))
    for file in files:
        refuse_if(not file.is_file(), file, "is listed but not there", "restore the file or drop its row")
    return files


def read(file: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Values as stored (scaled if the header says so) and affine, voxel to RAS mm; DataError if it cannot be read."""
    try:
        image = nib.load(file)
        values = np.asanyarray(image.dataobj)
    except (OSError, EOFError, zlib.error, ValueError, nib.filebasedimages.ImageFileError):
        refuse(file, "is cut short, damaged or not a NIfTI image", "copy or download it again")
    return values, image.affine


def read_image(file: Path | str, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (X, Y, Z), or (X, Y, Z, channels) for several, as stored, and the affine, voxel to RAS mm. DataError for
    what is no such image: unreadable, another shape (one volume in 4-D is taken), NaN, constant, no geometry."""
    values, affine = read(file)
    if channels == 1 and values.shape[3:] == (1,):
        values = values[..., 0]
    shape, spacing, several = f"has shape {values.shape}", voxel_sizes(affine), channels > 1
    refuse_if(not several and values.ndim != 3, file, f"{shape}, not one volume", "store one volume per file")
    lacking = f"{shape}, not (X, Y, Z, {channels}): a modality is missing"
    remedy = "stack all modalities in one file, in their order"
    refuse_if(several and values.shape[3:] != (channels,), file, lacking, remedy)
    refuse_if(min(values.shape[:3]) < 8, file, f"{shape}, a slice and no volume", "store the whole volume")
    refuse_if(values.dtype.kind not in "iuf", file, f"holds values of type {values.dtype}", "store real numbers")
    finite, which = np.isfinite(values).all(), "modality {}" if several else "the volume"
    refuse_if(not finite, file, "holds NaN or infinite voxels", "repair the export, or leave the case out")
    constant = list(np.flatnonzero(np.ptp(values, axis=(0, 1, 2)) == 0))
    refuse_if(constant, file, f"{which} has one value everywhere", "export it again or leave it out")
    flat = not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9
    refuse_if(flat, file, "has an affine that cannot be inverted", "set the orientation in its header")
    odd, shown = spacing.clip(0.1, 20.0) != spacing, " x ".join(f"{length:.3g}" for length in spacing)
    refuse_if(odd.any(), file, f"has voxels of {shown} mm", "correct the unit in its header to millimeters")
    return values, affine


def _check_label(file: str, image: str, shape: tuple, affine: np.ndarray, labels: tuple) -> None:
    values, placed = read(file)
    refuse_if(values.shape != shape, file, f"has shape {values.shape}, its image {shape}", f"resample it onto {image}")
    corners = list(product(*[(0, length - 1) for length in shape]))
    moved = np.abs(apply_affine(placed, corners) - apply_affine(affine, corners)).max()
    elsewhere = not moved < 0.1 * voxel_sizes(affine).min()  # NaN is not below it either
    refuse_if(elsewhere, file, "lies elsewhere than its image", f"copy the affine of {image} if the voxels match")
    odd = sorted(set(np.unique(values).tolist()) - set(labels))
    refuse_if(odd, file, f"has a label {{:g}}, not {labels[0]} to {labels[-1]}", "map its labels to these")
    single = len(labels) == 2 and values.min() == values.max()
    refuse_if(single, file, "marks no border: all in or all out", "draw the mask, or leave the case out")
