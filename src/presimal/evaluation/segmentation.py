"""How well do two masks agree, case by case: overlap, boundary, volume.

Masks are (N, R, X, Y, Z), R regions of N people. The empty-region rule is that of BraTS: where a region
is absent in the reference, finding nothing scores 1 and finding anything scores 0.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def dice(found: Tensor, truth: Tensor) -> Tensor:
    """Dice per case and region (N, R), 2 |A ∩ B| / (|A| + |B|); 1 where both are empty (Dice, Ecology 26:297, 1945)."""
    found, truth = found.bool().flatten(2), truth.bool().flatten(2)
    size = found.sum(2) + truth.sum(2)
    return torch.where(size > 0, 2 * (found & truth).sum(2) / size.clamp(min=1), 1.0)


def hausdorff95(found: Tensor, truth: Tensor, spacing: float | tuple[float, ...]) -> Tensor:
    """The 95th percentile of the distances between the surfaces, mm, (N, R); NaN where one is empty.

    `spacing` is the voxel size in mm. The larger of the two directed percentiles, as MONAI computes it.
    """
    from monai.metrics import compute_hausdorff_distance

    both = found.flatten(2).any(2) & truth.flatten(2).any(2)
    result = torch.full(both.shape, torch.nan, dtype=torch.float64)
    for n, r in both.nonzero().tolist():
        one = (slice(n, n + 1), slice(r, r + 1))
        result[n, r] = compute_hausdorff_distance(
            found[one].float(), truth[one].float(), include_background=True, percentile=95, spacing=spacing
        ).item()
    return result


class Agreement(NamedTuple):
    """Mean difference and the limits that hold 95 % of the differences of a normal distribution."""

    bias: float
    low: float
    high: float


def limits_of_agreement(measured: np.ndarray, reference: np.ndarray) -> Agreement:
    """Bland and Altman, Lancet 327:307, 1986: mean of measured - reference, and ± 1.96 standard deviations.

    Raises ValueError for fewer than two pairs, or arrays of different length.
    """
    measured, reference = np.asarray(measured, float), np.asarray(reference, float)
    if measured.shape != reference.shape or measured.size < 2:
        raise ValueError(f"Two or more pairs are needed: the shapes are {measured.shape} and {reference.shape}.")
    difference = measured - reference
    half = 1.96 * difference.std(ddof=1)
    return Agreement(float(difference.mean()), float(difference.mean() - half), float(difference.mean() + half))
