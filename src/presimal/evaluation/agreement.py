"""Do two measurements of the same people agree? Limits of agreement, and the intraclass correlation."""

from typing import NamedTuple

import numpy as np


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
    bias, half = float(difference.mean()), float(1.96 * difference.std(ddof=1))
    return Agreement(bias, bias - half, bias + half)


def intraclass_correlation(measured: np.ndarray) -> float:
    """ICC(2, 1): two-way random effects, absolute agreement, one measurement.

    `measured` (people, measurements): the same quantity of the same people, measured in several ways. The
    fraction of the variance that is between people: 1 if all measurements are equal, 0 or below if they tell
    people apart no better than chance. Unlike a correlation it falls when one measurement is larger throughout.
    Shrout and Fleiss, Psychol Bull 86:420, 1979.

    NaN if nothing varies at all. Raises ValueError for fewer than two people or measurements, or missing values.
    """
    measured = np.asarray(measured, dtype=float)
    if measured.ndim != 2 or min(measured.shape) < 2:
        raise ValueError(f"Give at least two people (rows) and two measurements (columns), not {measured.shape}.")
    if not np.isfinite(measured).all():
        raise ValueError("The measurements hold NaN: leave out people who were not measured in all ways.")
    n, k = measured.shape
    mean = measured.mean()
    of_people, of_ways = measured.mean(1, keepdims=True), measured.mean(0, keepdims=True)
    people = k * ((of_people - mean) ** 2).sum() / (n - 1)
    ways = n * ((of_ways - mean) ** 2).sum() / (k - 1)
    rest = ((measured - of_people - of_ways + mean) ** 2).sum() / ((n - 1) * (k - 1))
    total = people + (k - 1) * rest + k * (ways - rest) / n
    return float((people - rest) / total) if total > 0 else float("nan")
