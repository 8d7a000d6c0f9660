"""Do two masks agree, in overlap and in boundary?"""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from brainscans.interval import raise_if, real


def dice(found: Tensor, truth: Tensor) -> Tensor:
    """Dice (N, R) on the CPU, 2 |A ∩ B| / (|A| + |B|), of masks (N, R, X, Y, Z) (L. R. Dice, Ecology 26:297, 1945).
    As for BraTS, 1 where both are empty, 0 where one is. Raises ValueError if the shapes differ or a mask is none."""
    a, b = (mask.flatten(2) for mask in _masks(found, truth))
    # int32: torch makes integers of all voxels before it adds them, and int64 would take twice the memory.
    shared, *sizes = (mask.sum(2, dtype=torch.int32) for mask in (a & b, a, b))
    voxels = sizes[0] + sizes[1]
    return (2.0 * shared / voxels).where(voxels > 0, 1.0)


def hausdorff95(found: Tensor, truth: Tensor, spacing: float | tuple[float, ...]) -> Tensor:
    """The 95th percentile of the distances between the surfaces of masks, mm, (N, R): infinite where one is empty, as a
    region that was missed or invented, and NaN where both are. Masks are (N, R, X, Y, Z), `spacing` their voxel size in
    mm. The larger of the two directed percentiles, as MONAI's. Raises ValueError as `dice`."""
    lengths, (found, truth) = real(spacing, "Voxel sizes").astype(float), _masks(found, truth)
    if not ((lengths > 1e-9) & (lengths < 1e9)).all() or lengths.shape not in ((), (found.ndim - 2,)):
        raise ValueError(f"Voxels have positive sizes in mm, one or one per axis, and not {spacing}.")
    from monai.metrics import compute_hausdorff_distance  # seconds to import: only for those who score masks

    with warnings.catch_warnings(action="ignore"):  # of empty masks, and of MONAI's own deprecated argument
        apart = compute_hausdorff_distance(found.float(), truth.float(), True, percentile=95, spacing=lengths.tolist())
    one, other = found.flatten(2).any(2), truth.flatten(2).any(2)
    return apart.double().where(one & other, torch.inf).where(one | other, torch.nan)


def _masks(found: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    one, other = mask_of(found), mask_of(truth)
    raise_if(one.shape != other.shape, f"Both masks need one shape: these are {one.shape} and {other.shape}.")
    raise_if(one.ndim < 3, f"A mask has cases, regions and voxels on its axes, this one shape {one.shape}.")
    return torch.from_numpy(one), torch.from_numpy(other)


def mask_of(values: Any, error: type[Exception] = ValueError) -> np.ndarray:
    """An array of any shape that holds 0 and 1 as truth values; `error`, in one sentence, for everything else."""
    found = real(values, "Masks", error)
    none = found.dtype != bool and not ((found == 0) | (found == 1)).all()
    raise_if(none, "A mask holds 0 and 1: compare probabilities with a threshold, and labels with a number.", error)
    return found.astype(bool, order="C")
