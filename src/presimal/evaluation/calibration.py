"""Does a probability of 0.8 mean eight in ten, for voxels or for people? And which cases should a human see?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar


@dataclass(frozen=True)
class Reliability:
    """One entry per bin that holds a case: mean probability, fraction of positives, number of cases."""

    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray


def reliability(p: np.ndarray, y: np.ndarray, bins: int = 10) -> Reliability:
    """The points of a reliability diagram of probabilities (N,) and truth (N,), 0 or 1; bins of equal width. An edge
    belongs to the bin above it, 1 to the last. Raises ValueError if lengths differ or are 0, or values are none."""
    p, y = _pairs(p, y)
    if np.any((p < 0) | (p > 1)):
        raise ValueError("Probabilities lie between 0 and 1: did you pass logits?")
    # Not p * bins, which rounding pushes below an edge (0.29 * 100 is 28.999...).
    bin_of = np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), p, side="right") - 1, 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    held = count > 0
    predicted, observed = (np.bincount(bin_of, values, bins)[held] / count[held] for values in (p, y))
    return Reliability(predicted, observed, count[held])


def expected_calibration_error(p: np.ndarray, y: np.ndarray, bins: int = 10) -> float:
    """Mean distance between predicted and observed, bins weighted by their cases (Naeini et al., AAAI 2015). 0 is
    perfect; it depends on the bins, and on how many easy cases (background) are counted (Guo et al., ICML 2017).
    Arguments and errors as `reliability`."""
    curve = reliability(p, y, bins)
    return float(np.average(np.abs(curve.predicted - curve.observed), weights=curve.count))


def fit_temperature(logits: np.ndarray, y: np.ndarray) -> float:
    """The temperature T for which sigmoid(logits / T) fits `y` best: least mean cross-entropy (Guo et al., ICML 2017).
    One number for all cases, so ranks, and decisions at 0.5, stay; T, 0.05 to 20, is above 1 if the network was too
    sure. Fit it on people who neither trained nor examine. Errors as `reliability`, and for a single class."""
    logits, y = _pairs(logits, y)
    if y.min() == y.max():
        raise ValueError("Both classes are needed to fit a temperature: all cases have the same label.")
    signed = np.where(y == 1, logits, -logits)
    best = minimize_scalar(lambda log_t: np.logaddexp(0, -signed * np.exp(-log_t)).mean(), bounds=np.log([0.05, 20]))
    return float(np.exp(best.x))


def risk_coverage(error: np.ndarray, certainty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Selective prediction: a human takes the least certain (El-Yaniv and Wiener, J Mach Learn Res 11:1605, 2010).
    `error` and `certainty`, one number per case (N,). Returns the fractions kept, 1/N to 1, and the mean error of the
    most certain cases for each; equal certainty keeps its order. ValueError if there is no case or lengths differ."""
    error, certainty = _pairs(error, certainty, labels=False)
    kept = np.arange(1, len(error) + 1)
    return kept / len(error), np.cumsum(error[np.argsort(-certainty, kind="stable")]) / kept


def _pairs(first: Any, second: Any, labels: bool = True) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, dtype=float).ravel(), np.asarray(second, dtype=float).ravel()
    if len(first) != len(second) or not len(first):
        raise ValueError(f"One value per case on both sides, and at least one: got {len(first)} and {len(second)}.")
    if not np.isfinite(first).all():
        raise ValueError("Some values are NaN or infinite: look for a division by zero or an overflow.")
    if labels and not np.isin(second, (0, 1)).all():
        raise ValueError("The truth holds 0 and 1 only.")
    return first, second
