"""How well do two masks agree, case by case: overlap and boundary.

Masks are (N, R, X, Y, Z), R regions of N people. The empty-region rule is that of BraTS: where a region
is absent in the reference, finding nothing scores 1 and finding anything scores 0.
"""

import warnings

import torch
from torch import Tensor


def dice(found: Tensor, truth: Tensor) -> Tensor:
    """Dice per case and region (N, R), 2 |A ∩ B| / (|A| + |B|); 1 where both are empty (Dice, Ecology 26:297, 1945).

    Raises ValueError if the shapes differ.
    """
    from monai.metrics import compute_dice  # seconds to import: only for those who score masks

    if found.shape != truth.shape:
        raise ValueError(f"Both masks need one shape: these are {tuple(found.shape)} and {tuple(truth.shape)}.")
    return compute_dice(found, truth, ignore_empty=False)


def hausdorff95(found: Tensor, truth: Tensor, spacing: float | tuple[float, ...]) -> Tensor:
    """The 95th percentile of the distances between the surfaces, mm, (N, R); NaN where one is empty.

    `spacing` is the voxel size in mm. The larger of the two directed percentiles, as MONAI computes it.
    """
    from monai.metrics import compute_hausdorff_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty masks, and of MONAI's own deprecated argument
        distance = compute_hausdorff_distance(
            found.float(), truth.float(), include_background=True, percentile=95, spacing=spacing
        )
    both = found.flatten(2).any(2) & truth.flatten(2).any(2)
    return distance.double().where(both, torch.nan)
