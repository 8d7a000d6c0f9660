"""Do two masks agree, in overlap and boundary? Two measurements of the same people? Predicted and true age?"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .intervals import Interval


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


def limits_of_agreement(measured: np.ndarray, reference: np.ndarray) -> Interval:
    """The mean of measured - reference, and the limits that hold 95 % of the differences if they are normal: ± 1.96
    standard deviations (Bland and Altman, Lancet 327:307, 1986). ValueError: fewer than two pairs, other lengths."""
    measured, reference = np.asarray(measured, float), np.asarray(reference, float)
    if measured.shape != reference.shape or measured.size < 2:
        raise ValueError(f"Two or more pairs are needed: the shapes are {measured.shape} and {reference.shape}.")
    bias, half = float((measured - reference).mean()), float(1.96 * (measured - reference).std(ddof=1))
    return Interval(bias, bias - half, bias + half)


def intraclass_correlation(measured: np.ndarray) -> float:
    """ICC(2, 1) of `measured` (people, ways of measuring): two-way random effects, absolute agreement, one measurement.
    The fraction of the variance that is between people (Shrout and Fleiss, Psychol Bull 86:420, 1979): 1 if all agree,
    0 or below if people are told apart no better than by chance; unlike a correlation it falls when one way gives more
    throughout. NaN if nothing varies. Raises ValueError for fewer than two people or ways, or missing values."""
    measured = np.asarray(measured, dtype=float)
    if measured.ndim != 2 or min(measured.shape) < 2:
        raise ValueError(f"Give at least two people (rows) and two measurements (columns), not {measured.shape}.")
    if not np.isfinite(measured).all():
        raise ValueError("The measurements hold NaN: leave out people who were not measured in all ways.")
    n, k = measured.shape
    mean, of_people, of_ways = measured.mean(), measured.mean(1, keepdims=True), measured.mean(0, keepdims=True)
    people = k * ((of_people - mean) ** 2).sum() / (n - 1)
    ways = n * ((of_ways - mean) ** 2).sum() / (k - 1)
    rest = ((measured - of_people - of_ways + mean) ** 2).sum() / ((n - 1) * (k - 1))
    total = people + (k - 1) * rest + k * (ways - rest) / n
    return float((people - rest) / total) if total > 0 else float("nan")


@dataclass(frozen=True)
class AgeBias:
    """The line predicted = slope x age + intercept (years), and two corrections of the brain-age gap, predicted minus
    true age. Any regression pulls toward the mean of the training ages, so the gap falls with age whatever the brain
    (Liang et al., Hum Brain Mapp 40:3143, 2019). Fit the line on people that neither train the model nor judge it."""

    slope: float
    intercept: float

    @classmethod
    def fit(cls, age: np.ndarray, predicted: np.ndarray) -> "AgeBias":
        """Least squares over people (N,), ages in years. Raises ValueError for fewer than three ages."""
        if len(np.unique(age)) < 3:
            raise ValueError("A line of predicted against true age needs people of at least three ages.")
        return cls(*map(float, np.polyfit(np.asarray(age, float), np.asarray(predicted, float), 1)))

    def residual_gap(self, age: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """The gap (years) minus what the true age predicts of it (Beheshti et al., NeuroImage Clin 24:102063, 2019)."""
        return np.asarray(predicted, float) - (self.slope * np.asarray(age, float) + self.intercept)

    def rescaled(self, predicted: np.ndarray) -> np.ndarray:
        """Predicted ages (years) minus intercept, over slope: needs no true age, but scales errors by 1 / slope too."""
        return (np.asarray(predicted, float) - self.intercept) / self.slope
