"""One's own scans as files, connected pieces of their masks, and what a network says of a scan and its mirror image."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from synthcohort.storage import write_atomically

from . import compute, networks
from .reading import read_image

File = Path | str
Device = torch.device | str | None


def read_scan(file: File) -> tuple[Tensor, np.ndarray]:
    """Voxels (X, Y, Z) float32, scaled as the header says, and the affine, voxel to RAS mm; errors as `read_image`."""
    values, affine = read_image(file)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)), affine


def write_like(file: File, values: np.ndarray, like: File, scaling: bool = False) -> Path:
    """Write a NIfTI of the type of `values`, in one move; shape and affine (qform, sform, codes, units) are those of
    `like`, or of one volume of it where it has several. With `scaling`, `values` are numbers as `like` stores them, and
    its slope and intercept are kept. Returns its path."""
    source: Any = nib.load(like)
    is_nifti = isinstance(source, nib.Nifti1Image)  # NIfTI-2 too
    kind, header = (type(source), source.header) if is_nifti else (nib.Nifti1Image, None)
    shape = source.shape if values.size == np.prod(source.shape) else source.shape[:3]
    image = kind(values.reshape(shape), source.affine, header)
    image.set_data_dtype(values.dtype)
    image.header["cal_min"] = image.header["cal_max"] = 0  # the display range of the other image
    stored_as = (source.dataobj.slope, source.dataobj.inter) if scaling and is_nifti else (1, 0)
    image.header.set_slope_inter(*stored_as)  # nibabel writes the values as they are
    content, zipped = image.to_bytes(), str(file).endswith(".gz")
    write_atomically(Path(file), gzip.compress(content, compresslevel=4, mtime=0) if zipped else content)
    return Path(file)


def pieces(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of a mask (X, Y, Z), connected by faces, numbered from 1, and the voxels of each number (none for 0)."""
    numbered, _ = ndimage.label(mask)
    voxels = np.bincount(numbered.ravel())
    voxels[0] = 0
    return numbered, voxels


def largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece of a mask; an empty mask stays empty."""
    numbered, voxels = pieces(mask)
    return mask & (numbered == voxels.argmax())


def without_holes(mask: np.ndarray) -> np.ndarray:
    """A mask with what its outside cannot reach filled in."""
    return ~largest_piece(~np.pad(mask, 1))[1:-1, 1:-1, 1:-1]


def ready(model: nn.Module | None, weights: str, device: Device) -> tuple[nn.Module, torch.device]:
    """A network, or the shipped one, in evaluation mode on the device to compute on."""
    device = compute.device(device)
    return (networks.load(weights)[0] if model is None else model).to(device).eval(), device


@torch.no_grad()
def both_sides(model: nn.Module, x: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Probabilities (R, X, Y, Z), on the CPU, for x (1, C, X, Y, Z), and for its mirror image, mirrored back."""
    with compute.autocast(device):
        straight, mirrored = (model(one.to(device)).float().sigmoid()[0].cpu() for one in (x, x.flip(2)))
    return straight, mirrored.flip(1)
