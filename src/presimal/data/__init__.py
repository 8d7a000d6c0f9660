"""The one door to data: which set, where it is, what it costs to get.

    table = brain_age()               # people who never lived, generated at first use
    table = brain_age("ixi")          # a real set, downloaded when you agree
    table = brain_age("my/scans")     # your own, in the same layout

Every function returns a DataFrame with one row per scan: `subject_id`, `image` and `label`
(absolute paths), `age` (years), `sex` ("M", "F") and `site` where the set says them, and `split`:
"train", "valid" or "test". `load` turns its rows into one tensor.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from presimal.data import downloads
from presimal.data.checks import check_volumes, read, refuse
from presimal.cohort import files
from presimal.data.layouts import read_brain_age, read_heads, read_tumors
from presimal.data.splits import split
from presimal.storage import DataError

TUMOR_CHANNELS = ("FLAIR", "T1w", "T1gd", "T2w")
REAL = {"brain_age": ("ixi", "ixi-tiny"), "tumors": ("msd",), "heads": ("ixi-tiny",)}
REGIONS = {1: "edema", 2: "non-enhancing", 3: "enhancing"}


def brain_age(source: str | Path = "cohort", **options) -> pd.DataFrame:
    """T1 images and ages: "cohort", "ixi", "ixi-tiny", or a folder laid out as IXI.

    Options: `subjects`, how many (default: 900 of the cohort, all of a real set); `spacing`, voxel
    size of the cohort in mm (4.0); `seed` of the cohort (0); `split_seed` (0); `yes`, download
    without asking (False); `progress`, show it (True).

    Raises DataError, whose message is one sentence with the remedy, for data that cannot be made,
    got or trusted; TypeError for an unknown option.
    """
    return _open("brain_age", source, read_brain_age, {}, **options)


def tumors(source: str | Path = "cohort", **options) -> pd.DataFrame:
    """Four modalities and regions of gliomas: "cohort", "msd", or a folder laid out as MSD Task01.

    A file of `image` is (X, Y, Z, 4) in the order of TUMOR_CHANNELS, its `label` (X, Y, Z) with
    0 and the keys of REGIONS. The cohort (300 subjects) has the columns of its clinical table too.
    Options and errors as `brain_age`.
    """
    sound = {"channels": 4, "labels": (0, 1, 2, 3)}
    return _open("tumors", source, read_tumors, sound, **options)


def heads(source: str | Path = "cohort", **options) -> pd.DataFrame:
    """Whole heads and brain masks (0, 1): "cohort", "ixi-tiny", or a folder laid out as IXITiny.

    The cohort has 200 subjects. Options and errors as `brain_age`.
    """
    return _open("heads", source, read_heads, {"labels": (0, 1)}, **options)


def _open(
    name, source, reader, sound, *,
    subjects=None, spacing=4.0, seed=0, split_seed=0, yes=False, progress=True,
) -> pd.DataFrame:  # fmt: skip
    if source == "cohort":
        table = reader(files.ensure(name, subjects, spacing, seed, progress))
        subjects = subjects or files.SETS[name].subjects  # a larger cohort may lie there
    elif source in REAL[name]:
        table = reader(downloads.get(source, yes))
    elif Path(source).expanduser().is_dir() and source not in downloads.DOWNLOADS:
        table = reader(Path(source).expanduser())
        check_volumes(table, **sound, progress=progress)
    else:
        known = ", ".join(repr(known) for known in ("cohort", *REAL[name]))
        raise DataError(f"{name} has no source {str(source)!r}: use {known} or a folder of scans.")
    if subjects is not None:
        table = table[table.subject_id.isin(table.subject_id.unique()[:subjects])]
    if "split" not in table:
        known = {"subject_id", "image", "label", "age", "sex", "site"} & set(table)
        table.insert(len(known), "split", split(table, split_seed))
    return table.reset_index(drop=True)


def load(
    table: pd.DataFrame,
    column: str = "image",
    spacing: float | None = None,
    shape: tuple[int, int, int] | None = None,
    progress: bool = True,
) -> torch.Tensor:
    """The volumes of a table as one tensor (N, C, X, Y, Z): images float32, labels uint8.

    Intensities are as stored (1000 for the cohort's unit of signal). With `spacing` (mm) and
    `shape` they are turned to RAS, resampled, and cropped or padded about their centre, which real
    sets need before they fit one tensor. The tensor is yours to change; the last few are kept in memory, so
    that a second call costs a copy.

    Raises DataError if a file cannot be read or shapes differ; ValueError if only one of spacing
    and shape is given.
    """
    if (spacing is None) != (shape is None):
        raise ValueError("Give spacing and shape together, or neither.")
    for path in map(Path, table[column]):
        if not path.is_file():
            refuse(path, "is listed but not there", "restore the file or drop its row")
    stamps = tuple((path, Path(path).stat().st_mtime_ns) for path in table[column])
    stack = _stack(stamps, column == "label", spacing, shape and tuple(shape), progress)
    return torch.from_numpy(stack.astype(np.uint8 if column == "label" else np.float32))


@lru_cache(maxsize=4)
def _stack(stamps, is_label, spacing, shape, progress) -> np.ndarray:
    volumes = []
    # The bar appears after ten seconds: what is written at once would be stored in a notebook.
    bar = tqdm(stamps, desc="loading", unit="file", disable=not progress, leave=False, delay=10)
    for path, _ in bar:
        values = read(path)[0] if spacing is None else _resampled(path, is_label, spacing, shape)
        values = values[None] if values.ndim == 3 else np.moveaxis(values, -1, 0)
        if volumes and values.shape != volumes[0].shape:
            differs = f"has shape {values.shape}, the first file {volumes[0].shape} (C, X, Y, Z)"
            refuse(path, differs, "give spacing and shape to resample all to one grid")
        volumes.append(values)
    return np.stack(volumes)


def _resampled(path, is_label, spacing, shape) -> np.ndarray:
    import torchio as tio

    values, affine = read(path)
    if values.shape[:3] == shape and np.allclose(affine[:3, :3], spacing * np.eye(3)):
        return values
    channels = torch.from_numpy(np.atleast_1d(values).astype(np.float32))
    channels = channels[None] if channels.ndim == 3 else channels.movedim(-1, 0)
    image = (tio.LabelMap if is_label else tio.ScalarImage)(tensor=channels, affine=affine)
    moved = tio.Compose([tio.ToCanonical(), tio.Resample(spacing), tio.CropOrPad(shape)])(image)
    return moved.tensor.movedim(0, -1).numpy()
