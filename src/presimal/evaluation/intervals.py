"""How sure is a score, or a predicted age? Intervals over people, and not over their voxels or slices."""

import warnings
from collections.abc import Callable

import numpy as np

from brainscans.interval import Interval, interval_level, numbered, one, raise_if, real, whole, wide


def bootstrap_interval(
    statistic: Callable[..., float], *arrays: np.ndarray, groups: np.ndarray | None = None, level: float = 0.95,
    repeats: int = 1000, seed: int = 0,
) -> Interval:  # fmt: skip
    """A statistic of the data and its percentile bootstrap interval (Efron, 1979, Ann Stat 7:1).

    `statistic` takes the arrays, one entry (or row) per case, and returns one number: a score, or the difference of two
    for a paired comparison. With `groups`, one label per case, all slices of a patient are drawn together, being no
    independent evidence. Resamples without a finite statistic (an AUC without any patient) are left out. What is the
    same in all resamples has an interval without width, with a warning; the mean of truth values, all alike, the exact
    one of a proportion. ValueError for no or unequal lengths, (N, 1) beside (N,), and data without a finite number."""
    arrays = tuple(np.atleast_1d(wide(array, "The data")) for array in arrays)
    group = np.arange(len(arrays[0]) if arrays else 0) if groups is None else numbered(groups, "Groups")
    lengths = {len(array) for array in (*arrays, group)}
    raise_if(len(lengths) != 1 or lengths == {0}, f"Arrays need one entry per case, at least one: {sorted(lengths)}.")
    mixed = {(), (1,)} <= {array.shape[1:] for array in arrays}
    raise_if(mixed, "Arrays (N, 1) and (N,): flatten one, or both are compared all with all.")
    level = interval_level(level)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])  # cases of each group
    random, drawn = np.random.default_rng(seed), np.empty(whole(repeats, "Repeats"))
    for k in range(len(drawn)):
        cases = np.concatenate([members[n] for n in random.integers(0, len(members), len(members))])
        drawn[k] = one(statistic(*(array[cases] for array in arrays)), "The statistic")
    value, drawn = one(statistic(*arrays), "The statistic"), drawn[np.isfinite(drawn)]
    raise_if(not len(drawn) or not np.isfinite(value), "The statistic is not finite: is there a NaN, or only one kind?")
    if value == drawn.min() == drawn.max():
        if len(arrays) == 1 and arrays[0].dtype == bool and (arrays[0] == value).all():
            return exact_interval(value, len(members), level)
        warnings.warn(f"All resamples give {value:g}: that this interval has no width says nothing.", stacklevel=2)
    return interval_of(np.array([value, *drawn]), level)


def exact_interval(value: float, count: int, level: float = 0.95) -> Interval:
    """The interval of a proportion, 0 or 1, of so many people (Clopper and Pearson, 1934, Biometrika 26:404)."""
    width = 1 - ((1 - interval_level(level)) / 2) ** (1 / count)
    return Interval(value, max(value - width, 0.0), min(value + width, 1.0))


def interval_of(draws: np.ndarray, level: float = 0.95) -> Interval:
    """The first entry, and the percentiles of the others, its resamples; ValueError for NaN, or no row of both."""
    level, draws = interval_level(level), real(draws, "Resamples").astype(float)
    if draws.ndim != 1 or np.isnan(draws[:1]).any() or np.isnan(draws[1:]).all() or (abs(draws) > 1e300).any():
        raise ValueError("An interval needs a number and its resamples, in one row, none beyond 1e300 and not all NaN.")
    low, high = np.nanquantile(draws[1:], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(draws[0]), float(low), float(high))


def conformal_half_width(errors: np.ndarray, level: float = 0.9) -> float:
    """Half the width of an interval that holds the age of a new person with probability `level` or more. Split
    conformal prediction (Lei et al., J Am Stat Assoc 113:1094, 2018): the ceil((n + 1) level)-th smallest absolute
    error (years) of n people that the model has not trained on. Raises ValueError if they are too few."""
    level, errors = interval_level(level), real(errors, "Errors").astype(float)
    if np.ndim(errors) != 1 or not np.isfinite(errors).all():
        raise ValueError("Every error must be a finite number, one per person: leave out who lacks one.")
    rank = max(1, int(np.ceil((len(errors) + 1) * level - 1e-9)))
    raise_if(rank > len(errors), f"{len(errors)} people are too few for an interval at level {level:g}.")
    return float(np.sort(np.abs(errors))[rank - 1])
