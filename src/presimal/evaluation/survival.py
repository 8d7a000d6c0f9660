"""How good is a prediction of survival, when some people are still alive at the end? What torchsurv's metrics do not
offer: paired intervals of the concordance, and the observed risk at a horizon. `time` is to death or last contact,
`died` is 1 or 0, one entry per person; `risk` is any number that is larger for a worse prognosis."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy import ndarray as Array
from scipy.stats import CensoredData, ecdf
from torchsurv.stats.ipcw import get_ipcw

from brainscans.interval import Interval, interval_level, one, raise_if, real, whole

from .intervals import exact_interval


def concordance_draws(
    risk: Array, time: Array, died: Array, horizon: float, repeats: int = 1000, seed: int = 0
) -> Array:
    """The concordance index, then its values in `repeats` bootstrap resamples of people: (1 + repeats,).

    Of two people, one of whom is known to die first and before `horizon`, how often has this one the higher risk? Ties
    count one half. Pairs are weighted by the inverse probability, among all people, of not being censored (Uno et al.,
    Stat Med 30:1105, 2011), so that the length of follow-up does not matter. The same seed draws the same people, which
    makes the difference of two results a paired one. Raises ValueError if no pair can be compared."""
    risk, time, died, horizon = _checked(risk, time, died, horizon)
    raise_if(not died.any(), "No pair can be compared: nobody is known to have died.")
    rank = np.unique(time, return_inverse=True)[1]  # which float32 keeps apart, as it does not keep all times
    weight = get_ipcw(torch.from_numpy(died), torch.from_numpy(rank).float()).double().numpy() ** 2
    comparable = ((time[:, None] < time) & (died & (time < horizon))[:, None]) * weight[:, None]
    raise_if(not comparable.any(), "No pair can be compared: nobody is known to die before another and the horizon.")
    concordant = comparable * ((risk[:, None] > risk) + 0.5 * (risk[:, None] == risk))
    n, size, random = len(risk), whole(repeats, "Repeats"), np.random.default_rng(seed)
    drawn = np.vstack([np.ones(n), random.multinomial(n, np.full(n, 1 / n), size)])
    with np.errstate(invalid="ignore"):  # NaN for a resample without a pair
        return ((drawn @ concordant) * drawn).sum(1) / ((drawn @ comparable) * drawn).sum(1)


def dead_by(time: Array, died: Array, horizon: float, level: float = 0.95) -> Interval:
    """The probability to die by `horizon` with its interval: 1 - Kaplan-Meier, Greenwood on the log-log scale; where
    nobody or everybody has died, the exact one of those who were seen until then. Raises ValueError as above."""
    level = interval_level(level)
    _, time, died, horizon = _checked(time, time, died, horizon)
    horizon = min(horizon, time.max())  # beyond which nothing is known
    survival = ecdf(CensoredData(uncensored=time[died], right=time[~died])).sf
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # no interval if nobody or everybody died
        band = survival.confidence_interval(level, method="log-log")
    value, low, high = (float(step.evaluate(horizon)) for step in (survival, band.low, band.high))
    if value in (0, 1):  # where Greenwood has none
        return exact_interval(1 - value, int((died | (time >= horizon)).sum()), level)
    return Interval(1 - value, 1 - high, 1 - low)


def _checked(values: Any, time: Any, died: Any, horizon: Any) -> tuple[Array, Array, Array, float]:
    """The three as arrays, and the horizon; raises ValueError for what would give a number without a meaning."""
    values, time = (real(column, "Risks and times").astype(float) for column in (values, time))
    died = real(died, "`died` must be 1 (dead) or 0 (alive)")
    if not values.shape == time.shape == died.shape or values.ndim != 1 or not len(values):
        raise ValueError(f"Give one entry per person: these are {values.shape}, {time.shape} and {died.shape}.")
    if not (np.isfinite(values).all() and np.isfinite(time).all() and (time >= 0).all()):
        raise ValueError("Every risk and time must be a finite number, and no time negative: leave out who lacks one.")
    raise_if(not (end := one(horizon, "The horizon")) >= 0, f"The horizon is a time, not {end:g}: give one from 0 on.")
    raise_if(not np.isin(died, (0, 1)).all(), "`died` must be 1 (dead) or 0 (alive at last contact): recode it.")
    return values, time, died.astype(bool), end
