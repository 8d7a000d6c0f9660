"""Does a probability of 0.8 mean eight in ten, for voxels or for people?"""

from dataclasses import dataclass

import numpy as np

from brainscans.interval import raise_if, real, whole


@dataclass(frozen=True)
class Reliability:
    """One entry per bin that holds a case: mean probability, fraction of positives, number of cases."""

    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray


def reliability(p: np.ndarray, y: np.ndarray, bins: int = 10) -> Reliability:
    """The points of a reliability diagram of probabilities (N,) and truth (N,), 0 or 1; bins of equal width. An edge
    belongs to the bin above it, 1 to the last. Raises ValueError if lengths differ or are 0, or values are none."""
    p, y = (np.squeeze(real(values, "Probabilities and truth").astype(float)) for values in (p, y))
    uneven = p.shape != y.shape or not p.size
    raise_if(uneven, f"One value per case on both sides, and at least one: got {p.shape} and {y.shape}.")
    p, y = p.ravel(), y.ravel()
    raise_if(not ((p >= 0) & (p <= 1)).all(), "Probabilities lie between 0 and 1, none is NaN: did you pass logits?")
    raise_if(not np.isin(y, (0, 1)).all(), "The truth holds 0 and 1 only, and no NaN.")
    bins = whole(bins, "The number of bins", 1e6)
    # Not p * bins, which rounding pushes below an edge (0.29 * 100 is 28.999...).
    bin_of = np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), p, side="right") - 1, 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    held = count > 0
    predicted, observed = (np.bincount(bin_of, values, bins)[held] / count[held] for values in (p, y))
    return Reliability(predicted, observed, count[held])
