"""From one voxel grid to another: a scan of any orientation onto a network's grid, and the answer back. On the way to a
coarser grid fine voxels are averaged first, else thin structures would come and go."""

from itertools import product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from nibabel.affines import apply_affine, from_matvec, voxel_sizes
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
    if order != 1:
        return ndimage.affine_transform(values, matrix, output_shape=target_shape, order=order, mode="grid-constant")
    # grid_sample wants -1 to 1 over the extent, with the last axis of the volume first.
    half = (np.maximum(values.shape, 2) - 1) / 2  # a single voxel has no extent
    last = (np.array(target_shape) - 1) / 2
    to_unit, from_unit = from_matvec(np.diag(1 / half), [-1] * 3), from_matvec(np.diag(last), last)
    theta = (to_unit @ matrix @ from_unit)[[2, 1, 0]][:, [2, 1, 0, 3]]
    points = F.affine_grid(torch.tensor(theta, dtype=torch.float32)[None], [1, 1, *target_shape], align_corners=True)
    volume = torch.from_numpy(values)[None, None]
    return F.grid_sample(volume, points, "bilinear", "zeros", align_corners=True)[0, 0].numpy()


def to_grid(volume: Tensor, affine: np.ndarray, grid: Grid) -> Tensor:
    """A scan (X, Y, Z) on a grid, float32; voxels finer than those of the grid are averaged in whole groups."""
    group = [max(1, int(grid.spacing / length + 1e-3)) for length in voxel_sizes(affine)]
    coarse = F.avg_pool3d(volume.float()[None, None], group, ceil_mode=True)[0, 0]
    centers = from_matvec(np.diag(group) * 1.0, (np.array(group) - 1) / 2)  # of the groups, in voxels of the scan
    return torch.from_numpy(resample(coarse.numpy(), affine @ centers, grid.affine, grid.shape))


def from_grid(values: Tensor, grid: Grid, affine: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Values (X, Y, Z) on a grid, interpolated linearly at the voxels of a scan, float32; 0 outside."""
    result = torch.zeros(shape)
    nonzero = values.nonzero().numpy()
    if not len(nonzero):
        return result
    # Only the window of the scan that they can reach is computed: a brain is small in its scan.
    corners = np.array(list(product(*zip(nonzero.min(0) - 1, nonzero.max(0) + 1, strict=True))))
    reached = apply_affine(np.linalg.inv(affine) @ grid.affine.numpy(), corners)
    start = np.clip(np.floor(reached.min(0)), 0, shape).astype(int)
    stop = np.clip(np.ceil(reached.max(0)) + 1, start, shape).astype(int)
    if (stop > start).all():
        place = affine @ from_matvec(np.eye(3), start)
        window = resample(values.float().numpy(), grid.affine, place, tuple((stop - start).tolist()))
        result[tuple(map(slice, start.tolist(), stop.tolist()))] = torch.from_numpy(window)
    return result


def stem(file: Path | str) -> str:
    """The name of an image file without .nii or .nii.gz."""
    return Path(file).name.removesuffix(".gz").removesuffix(".nii")
