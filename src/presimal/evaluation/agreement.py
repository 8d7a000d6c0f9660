"""Do two measurements of the same people agree? The intraclass correlation."""

import numpy as np


def intraclass_correlation(measured: np.ndarray) -> float:
    """ICC(2, 1): two-way random effects, absolute agreement, one measurement (Shrout and Fleiss, Psychol Bull 86:420, 1979).

    `measured` (people, measurements): the same quantity of the same people, measured in several ways. The share
    of the variance that is between people: 1 if all measurements are equal, 0 or below if they tell people
    apart no better than chance. Unlike a correlation it falls when one measurement is larger throughout.

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
