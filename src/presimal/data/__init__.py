"""All data of the workshop: brain_age() generates people who never lived, brain_age("ixi") downloads a real set if you
agree, brain_age("my/scans") opens your own in the same layout; `tumors` and `heads` likewise.

Each returns a DataFrame with one row per scan: `subject_id`, `image` and `label` (absolute paths), `age` (years), `sex`
("M", "F") and `site` where the set says them, and `split`: "train", "valid" or "test"."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import pandas as pd
import torch
from nibabel.affines import apply_affine
from torch import Tensor
from tqdm import tqdm

from brainscans.interval import raise_if
from brainscans.reading import read
from brainscans.refusal import refuse
from brainscans.resampling import Grid, resample, to_grid
from presimal.data import downloads
from presimal.data.checks import check_there, check_volumes, rounded
from presimal.data.layouts import FIRST, read_brain_age, read_heads, read_tumors
from synthcohort import files
from synthcohort.storage import DataError

REAL = {"brain_age": ("ixi", "ixi-tiny"), "tumors": ("msd",), "heads": ("ixi-tiny",)}
Shape = tuple[int, int, int]
REGIONS = {1: "edema", 2: "non-enhancing", 3: "enhancing"}
BLOCK = 20  # people alike in site and age, of whom 15 % go to validation and as many to the test


class Options(TypedDict, total=False):
    """How a set is opened."""

    subjects: int | None  # how many; by default 900, 300 and 200 of the cohort, all of a real set
    spacing: float  # voxel size of the cohort in mm (4.0)
    seed: int  # of the cohort (0)
    split_seed: int  # another one divides the people otherwise (0)
    yes: bool  # download without asking (False)
    progress: bool  # show it (True)


def brain_age(source: str | Path = "cohort", **options: Unpack[Options]) -> pd.DataFrame:
    """T1 images and ages: "cohort", "ixi", "ixi-tiny", or a folder laid out as IXI; `options` are those of Options.
    Raises DataError, one sentence with the remedy, for data that cannot be made, got or trusted."""
    return _open("brain_age", source, read_brain_age, **options)


def tumors(source: str | Path = "cohort", **options: Unpack[Options]) -> pd.DataFrame:
    """Four modalities and regions of gliomas: "cohort", "msd", or a folder laid out as MSD Task01.
    A file of `image` is (X, Y, Z, 4): FLAIR, T1w, T1gd, T2w. Its `label` is (X, Y, Z) with 0 and the keys of REGIONS.
    Clinical columns follow, where there are any. Options and errors as `brain_age`."""
    return _open("tumors", source, read_tumors, channels=4, labels=(0, *REGIONS), **options)


def heads(source: str | Path = "cohort", **options: Unpack[Options]) -> pd.DataFrame:
    """Heads, brain masks (0, 1): "cohort", "ixi-tiny", or a folder as IXITiny; else as `brain_age`."""
    return _open("heads", source, read_heads, labels=(0, 1), **options)


def _open(
    name: str, source: str | Path, reader: Callable[[Path], pd.DataFrame], *, channels: int = 1,
    labels: tuple[int, ...] = (), subjects: int | None = None, spacing: float = 4.0, seed: int = 0,
    split_seed: int = 0, yes: bool = False, progress: bool = True,
) -> pd.DataFrame:  # fmt: skip
    if source == "cohort":
        table = reader(files.ensure(name, subjects, spacing, seed, progress))
        subjects = subjects or files.SETS[name].subjects  # a larger cohort may lie there
    elif source in REAL[name]:
        table = reader(downloads.get(str(source), yes))
    elif (folder := Path(os.path.expanduser(source))).is_dir() and source not in downloads.DOWNLOADS:
        table = reader(folder)
        check_volumes(table, channels, labels, progress)
    else:
        known = ", ".join(map(repr, ("cohort", *REAL[name])))
        raise DataError(f"{name} has no source {str(source)!r}: use {known} or a folder of scans.")
    if subjects is not None:
        table = table[table.subject_id.isin(table.subject_id.unique()[:subjects])]
    if "split" not in table:
        table.insert(int(table.columns.isin(FIRST).sum()), "split", split(table, split_seed))
    return table.reset_index(drop=True)


def split(table: pd.DataFrame, seed: int = 0) -> pd.Series:
    """The split ("train", "valid" or "test") of every row, the same for all scans of a `subject_id`, on every machine.
    Subjects are sorted by `site` and `age`, where they are known, and cut into blocks; in each, the smallest digests
    of seed and id decide: each split (70, 15, 15 %) is like the whole. Fewer than three subjects all train."""
    first = table.drop_duplicates("subject_id")
    ages = first["age"].fillna(-1.0) if "age" in first else [0.0] * len(first)
    sites = first["site"].fillna("") if "site" in first else [""] * len(first)
    people = sorted(zip(map(str, sites), map(float, ages), map(str, first.subject_id), strict=True))
    chosen: dict[str, str] = {}
    for start in range(0, len(people), BLOCK):
        block = [subject for _, _, subject in people[start : start + BLOCK]]
        block.sort(key=lambda subject: hashlib.sha256(f"{seed}:{subject}".encode()).digest())
        count = max(1, round(0.15 * len(block))) if len(block) >= 3 else 0
        chosen |= zip(block, ["valid"] * count + ["test"] * count + ["train"] * (len(block) - 2 * count), strict=True)
    return table.subject_id.astype(str).map(chosen).rename("split")


def load(
    table: pd.DataFrame, column: str = "image", spacing: float | None = None, shape: Shape | None = None,
    progress: bool = True,
) -> Tensor:  # fmt: skip
    """The volumes of a table as one tensor (N, C, X, Y, Z): images float32, the column "label" uint8.
    Intensities are as stored (1000 for the cohort's unit of signal). With `spacing` (mm) and `shape`, which real sets
    need, they are brought to one grid about their center, axes right-anterior-superior, images by averaging and linear
    interpolation, labels by the nearest voxel; ValueError for one of the two. DataError for bad files or no row."""
    raise_if((spacing is None) != (shape is None), "Give spacing and shape together, or neither.")
    raise_if(table.empty, "The table has no row to load: choose other people.", DataError)
    check_there(table[column])
    is_label = column == "label"
    volumes: list[Tensor] = []
    # The bar appears after ten seconds: what is written at once would be stored in a notebook.
    for path in tqdm(table[column], "loading", unit="file", disable=not progress, leave=False, delay=10):
        values, affine = read(path)
        values = rounded(values) if is_label else values
        values = values[None] if values.ndim == 3 else np.moveaxis(values, -1, 0)
        if spacing is not None and shape is not None:
            values = _on_grid(values, affine, spacing, shape, is_label)
        if volumes and values.shape != volumes[0].shape:
            differs = f"has shape {values.shape}, the first file {tuple(volumes[0].shape)} (C, X, Y, Z)"
            refuse(path, differs, "give spacing and shape to resample all to one grid")
        volumes.append(torch.from_numpy(values.astype(np.uint8 if is_label else np.float32)))
    return torch.stack(volumes)


def _on_grid(channels: np.ndarray, affine: np.ndarray, spacing: float, shape: Shape, is_label: bool) -> np.ndarray:
    """Channels (C, X, Y, Z) on a grid about their center; unchanged where they lie on such a grid already."""
    if channels.shape[1:] == tuple(shape) and np.allclose(affine[:3, :3], spacing * np.eye(3)):
        return channels
    grid = Grid(shape, spacing, tuple(apply_affine(affine, (np.array(channels.shape[1:]) - 1) / 2).tolist()))
    if is_label:
        return np.stack([resample(labels, affine, grid.affine, shape, order=0) for labels in channels])
    return np.stack([to_grid(torch.from_numpy(v.astype(np.float32)), affine, grid).numpy() for v in channels])
