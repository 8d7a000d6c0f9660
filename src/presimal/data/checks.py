"""Data that would spoil a training are refused: `check_table` looks at the rows, `check_volumes` reads every file."""

import hashlib
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, product
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine, voxel_sizes
from tqdm import tqdm

from brainscans.reading import read, read_image
from brainscans.refusal import refuse_if
from brainscans.writing import write_files
from synthcohort.storage import data_folder

SPLITS = ("train", "valid", "test")
VERSION = 2  # raise with every new check: files that passed the old ones are read again


def check_table(table: pd.DataFrame, source: Path, longitudinal: bool = False) -> pd.DataFrame:
    """The table with ages as numbers; DataError if unsound. `longitudinal`: several scans of one, each with an age."""
    ids, several = table.subject_id, table.groupby("subject_id").nunique() > 1
    blank = np.flatnonzero(ids.isna() | (ids.astype(str).str.strip() == ""))
    refuse_if(table.empty, source, "lists no subject", "add at least one")
    refuse_if(list(blank + 1), source, "row {} has no subject_id", "fill it in")
    check_ids(ids, source)
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
        years = pd.to_numeric(table.age.astype(str), errors="coerce")
        odd = table[~years.between(0, 120) & (longitudinal | table.age.notna())]
        wrong = [f"{age} of {subject}" for age, subject in zip(odd.age, odd.subject_id, strict=True)]
        refuse_if(wrong, source, "age {} is not in 0 to 120 years", "correct it or drop the row")
        table = table.assign(age=years)
    return table


def check_ids(ids: Iterable[str], source: Path) -> None:
    """Refuse ids that differ in nothing but capitals, blanks, zeros in front, a ".0" behind or the code of a letter."""
    spelled: dict[str, str] = {}
    for subject in ids:
        plain = re.sub(r"(?<!\d)\s|\s(?!\d)|[.,]0$|(?<![\d.,])0+(?=\d)", "", normalize("NFKC", subject).casefold())
        other = spelled.setdefault(plain, subject)
        said = f"{other!r} and {subject!r} are two spellings of one id, or two people"
        refuse_if(other != subject, source, said, "spell one alike, or give two people ids that differ in more")


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
        owner = owners.setdefault(hashlib.sha256(np.ascontiguousarray(image).data).digest(), image_file)
        refuse_if(owner != image_file, image_file, f"holds the same voxels as {owner}", "remove one of the two")
        for file in label_file:
            _check_label(file, image_file, image.shape[:3], affine, labels)
    with suppress(OSError):  # not remembered: it will be checked again
        write_files([(passed, b"")])


def check_there(paths: Iterable[str]) -> list[Path]:
    """The files with these paths; raises DataError if one is not there."""
    files = list(map(Path, paths))
    for file in files:
        refuse_if(not file.is_file(), file, "is listed but not there", "restore the file or drop its row")
    return files


def rounded(values: np.ndarray) -> np.ndarray:
    """Labels to the nearest whole number where they are within 1e-3 of it, as a scaled header leaves them."""
    if values.dtype.kind != "f":
        return values
    whole = np.rint(values)
    return np.where(np.abs(values - whole) < 1e-3, whole, values)


def _check_label(file: str, image: str, shape: tuple, affine: np.ndarray, labels: tuple) -> None:
    values, placed = read(file)
    several = values.ndim > 3 and values.shape[:3] == shape
    refuse_if(several, file, f"has shape {values.shape}, not one volume of labels", "number them in one volume")
    refuse_if(values.shape != shape, file, f"has shape {values.shape}, its image {shape}", f"resample it onto {image}")
    corners = list(product(*[(0, length - 1) for length in shape]))
    moved = np.abs(apply_affine(placed, corners) - apply_affine(affine, corners)).max()
    elsewhere = not moved < 0.1 * voxel_sizes(affine).min()  # NaN is not below it either
    refuse_if(elsewhere, file, "lies elsewhere than its image", f"copy the affine of {image} if the voxels match")
    odd = sorted(set(np.unique(rounded(values)).tolist()) - set(labels))
    refuse_if(odd, file, f"has a label {{:g}}, not {labels[0]} to {labels[-1]}", "map its labels to these")
    single = len(labels) == 2 and values.min() == values.max()
    refuse_if(single, file, "marks no border: all in or all out", "draw the mask, or leave the case out")
