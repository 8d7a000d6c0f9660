"""The brain-age gap, predicted minus true age: its bias, two corrections, and an interval.

Any regression pulls its predictions toward the mean of the training ages, so the gap falls with age whatever the brain
(Liang et al., Hum Brain Mapp 40:3143, 2019). Fit corrections on people that neither train the model nor judge it.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AgeBias:
    """The line predicted = slope x age + intercept of some model, and what can be done about it."""

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


def conformal_half_width(errors: np.ndarray, level: float = 0.9) -> float:
    """Half the width of an interval that holds the age of a new person with probability `level` or more.

    Split conformal prediction (Lei et al., J Am Stat Assoc 113:1094, 2018): the ceil((n + 1) level)-th smallest
    absolute error (years) of n people that the model has not trained on. Raises ValueError if they are too few.
    """
    rank = int(np.ceil((len(errors) + 1) * level - 1e-9))
    if not 0 < level < 1 or rank > len(errors):
        raise ValueError(f"{len(errors)} people are too few for an interval at level {level:g}.")
    return float(np.sort(np.abs(errors))[rank - 1])
