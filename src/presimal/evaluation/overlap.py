"""Do two masks agree, in overlap and in boundary?"""

import warnings

import torch
from torch import Tensor


def dice(found: Tensor, truth: Tensor) -> Tensor:
    """Dice per case and region (N, R), 2 |A ∩ B| / (|A| + |B|), of masks (N, R, X, Y, Z) (Dice, Ecology 26:297, 1945).
    As for BraTS, 1 where both are empty, 0 where one is. Raises ValueError if the shapes differ."""
    if found.shape != truth.shape:
        raise ValueError(f"Both masks need one shape: these are {tuple(found.shape)} and {tuple(truth.shape)}.")
    a, b = found.bool().flatten(2), truth.bool().flatten(2)
    voxels = a.sum(2) + b.sum(2)
    return (2.0 * (a & b).sum(2) / voxels).where(voxels > 0, 1.0)


def hausdorff95(found: Tensor, truth: Tensor, spacing: float | tuple[float, ...]) -> Tensor:
    """The 95th percentile of the distances between the surfaces of masks, mm, (N, R); NaN where one is empty. Masks are
    (N, R, X, Y, Z), `spacing` their voxel size in mm. The larger of the two directed percentiles, as MONAI's."""
    from monai.metrics import compute_hausdorff_distance  # seconds to import: only for those who score masks

    with warnings.catch_warnings(action="ignore"):  # of empty masks, and of MONAI's own deprecated argument
        distance = compute_hausdorff_distance(found.float(), truth.float(), True, percentile=95, spacing=spacing)
    both = found.flatten(2).any(2) & truth.flatten(2).any(2)
    return distance.double().where(both, torch.nan)
