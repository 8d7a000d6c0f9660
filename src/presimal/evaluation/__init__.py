"""How good is it, and how sure are we? One file per question.

    intervals   resampling over people: the interval that belongs to every score
    calibration does 0.8 mean eight in ten, and which cases should a human see?
"""

from .calibration import Reliability, expected_calibration_error, fit_temperature, reliability, risk_coverage
from .intervals import Interval, bootstrap_interval

__all__ = [
    "Interval",
    "Reliability",
    "bootstrap_interval",
    "expected_calibration_error",
    "fit_temperature",
    "reliability",
    "risk_coverage",
]
