"""How sure is a score? Intervals by resampling, over people and not over their voxels or slices."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A score with the interval that holds it at the stated level."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """`f"{interval:.2f}"` is "0.81 [0.76, 0.85]"."""
        value, low, high = (format(number, spec) for number in self)
        return f"{value} [{low}, {high}]"


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: np.ndarray,
    groups: np.ndarray | None = None,
    level: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> Interval:
    """A statistic of the data and its percentile bootstrap interval (Efron, 1979, Ann Stat 7:1).

    `statistic` takes the arrays, each with one entry (or row) per case, and returns one number: a
    score, or the difference of two scores for a paired comparison. With `groups`, one label per case,
    whole groups are drawn: all slices of a patient stay together, because they are no independent
    evidence. Resamples for which the statistic is not finite (an AUC without any patient) are left out.

    Raises ValueError if the arrays differ in length, are empty, or no resample gives a finite number.
    """
    arrays = [np.asarray(array) for array in arrays]
    lengths = {len(array) for array in arrays} | ({len(groups)} if groups is not None else set())
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"All arrays need one entry per case, and at least one: they have {sorted(lengths)}.")
    (count,) = lengths
    members = _members(np.arange(count) if groups is None else np.asarray(groups))
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(repeats):
        cases = np.concatenate([members[k] for k in random.integers(0, len(members), len(members))])
        drawn.append(statistic(*(array[cases] for array in arrays)))
    drawn = np.asarray(drawn, dtype=float)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        raise ValueError("The statistic is not finite for any resample: are there cases of every kind?")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(*arrays)), float(low), float(high))


def _members(groups: np.ndarray) -> list[np.ndarray]:
    """The positions of the cases of each group."""
    _, number = np.unique(groups, return_inverse=True)
    return np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
