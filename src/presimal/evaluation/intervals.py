"""How sure is a score, or a predicted age? Intervals over people, and not over their voxels or slices."""

from collections.abc import Callable

import numpy as np

from brainscans.interval import Interval


def bootstrap_interval(
    statistic: Callable[..., float], *arrays: np.ndarray, groups: np.ndarray | None = None, level: float = 0.95,
    repeats: int = 1000, seed: int = 0,
) -> Interval:  # fmt: skip
    """A statistic of the data and its percentile bootstrap interval (Efron, 1979, Ann Stat 7:1).

    `statistic` takes the arrays, one entry (or row) per case, and returns one number: a score, or the difference of two
    for a paired comparison. With `groups`, one label per case, all slices of a patient are drawn together, being no
    independent evidence. Resamples without a finite statistic (an AUC without any patient) are left out, for which
    scipy.stats.bootstrap gives up. ValueError if lengths differ or are 0, or no resample gives a finite number."""
    arrays = tuple(np.asarray(array) for array in arrays)
    labels = np.arange(len(arrays[0])) if groups is None else np.asarray(groups)
    lengths = {len(array) for array in (*arrays, labels)}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"All arrays need one entry per case, and at least one: they have {sorted(lengths)}.")
    _, group = np.unique(labels, return_inverse=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])  # cases of each group
    random, drawn = np.random.default_rng(seed), np.empty(repeats)
    for k in range(repeats):
        cases = np.concatenate([members[n] for n in random.integers(0, len(members), len(members))])
        drawn[k] = statistic(*(array[cases] for array in arrays))
    if not len(drawn := drawn[np.isfinite(drawn)]):
        raise ValueError("The statistic is not finite for any resample: are there cases of every kind?")
    return interval_of(np.array([statistic(*arrays), *drawn]), level)


def interval_of(draws: np.ndarray, level: float = 0.95) -> Interval:
    """The first entry, and the percentiles of the others, its resamples; or a difference of two such arrays."""
    low, high = np.nanquantile(draws[1:], [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(draws[0]), float(low), float(high))


def conformal_half_width(errors: np.ndarray, level: float = 0.9) -> float:
    """Half the width of an interval that holds the age of a new person with probability `level` or more. Split
    conformal prediction (Lei et al., J Am Stat Assoc 113:1094, 2018): the ceil((n + 1) level)-th smallest absolute
    error (years) of n people that the model has not trained on. Raises ValueError if they are too few."""
    rank = int(np.ceil((len(errors) + 1) * level - 1e-9))
    if not 0 < level < 1 or rank > len(errors):
        raise ValueError(f"{len(errors)} people are too few for an interval at level {level:g}.")
    return float(np.sort(np.abs(errors))[rank - 1])
