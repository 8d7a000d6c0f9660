"""One's own scans as files: one volume in, a mask with the same geometry out."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from presimal.data.checks import read_image
from synthcohort.storage import write_atomically


def read_scan(file: Path | str) -> tuple[Tensor, np.ndarray]:
    """Voxels (X, Y, Z) float32, scaled as the header says, and the affine, voxel to RAS mm.

    Raises DataError for what is no such image: unreadable, not one volume, NaN, constant, no geometry.
    """
    values, affine = read_image(file)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)), affine


def write_like(file: Path | str, values: np.ndarray, like: Path | str, scaling: bool = False) -> Path:
    """Write a NIfTI with the geometry of another file, in one move. Returns its path.

    Shape and affine (qform, sform, codes, units) are those of `like`, or of one volume of it where it has
    several; the data type is that of `values`.
    With `scaling`, `values` are numbers as `like` stores them, and its slope and intercept are kept.
    """
    source: Any = nib.load(like)
    is_nifti = isinstance(source, nib.Nifti1Image)  # NIfTI-2 too
    kind, header = (type(source), source.header) if is_nifti else (nib.Nifti1Image, None)
    shape = source.shape if values.size == np.prod(source.shape) else source.shape[:3]
    image = kind(values.reshape(shape), source.affine, header)
    image.set_data_dtype(values.dtype)
    image.header["cal_min"] = image.header["cal_max"] = 0  # the display range of the other image
    stored_as = (source.dataobj.slope, source.dataobj.inter) if scaling and is_nifti else (1, 0)
    image.header.set_slope_inter(*stored_as)  # nibabel writes the values as they are
    content = image.to_bytes()
    if str(file).endswith(".gz"):
        content = gzip.compress(content, compresslevel=4, mtime=0)
    write_atomically(Path(file), content)
    return Path(file)
