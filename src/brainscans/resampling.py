"""From one voxel grid to another: a scan of any orientation onto a network's grid, and the answer back. On the way to a
coarser grid fine voxels are averaged first, else thin structures would come and go."""

import re
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from nibabel.affines import from_matvec, voxel_sizes
from numpy.typing import ArrayLike
from scipy import ndimage
from torch import Tensor

from synthcohort.grid import Grid


def resample(
    values: np.ndarray, affine: ArrayLike, target_affine: ArrayLike, target_shape: tuple[int, ...], order: int = 1
) -> np.ndarray:
    """A volume (X, Y, Z) at the voxels of another grid, in its own type, 0 outside; affines take voxels to RAS mm.
    `order` is 1 for linear interpolation, 0 for the nearest voxel (labels)."""
    matrix = np.linalg.inv(np.asarray(affine)) @ np.asarray(target_affine)
    return ndimage.affine_transform(values, matrix, output_shape=target_shape, order=order, mode="grid-constant")


def to_grid(volume: Tensor, affine: np.ndarray, grid: Grid) -> Tensor:
    """A scan (X, Y, Z) on a grid, float32; voxels finer than those of the grid are averaged in whole groups."""
    sizes = zip(volume.shape, voxel_sizes(affine), strict=True)
    group = [min(n, max(1, int(grid.spacing / length + 1e-3))) for n, length in sizes]
    coarse = F.avg_pool3d(volume.float()[None, None], group, ceil_mode=True)[0, 0]
    centers = from_matvec(np.diag(group) * 1.0, (np.array(group) - 1) / 2)  # of the groups, in voxels of the scan
    return torch.from_numpy(resample(coarse.numpy(), affine @ centers, grid.affine, grid.shape))


def from_grid(values: Tensor, grid: Grid, affine: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Values (X, Y, Z) on a grid, interpolated linearly at the voxels of a scan, float32; 0 outside."""
    return torch.from_numpy(resample(values.float().numpy(), grid.affine, affine, shape))


def stem(file: Path | str) -> str:
    """The name of an image file without its ending, as .nii.gz, in small letters or capitals."""
    return re.sub(r"(\.(nii|img|hdr|mgz|mgh|dcm|ima))?(\.(gz|bz2))?$", "", Path(file).name, flags=re.IGNORECASE)
