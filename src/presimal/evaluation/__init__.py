"""How good is it, and how sure are we? One file per question.

age            the brain-age gap: its bias, two corrections, an interval
calibration    does 0.8 mean eight in ten, and which cases should a human see?
intervals      resampling over people: the interval that belongs to every score
segmentation   overlap, boundary and volume of masks, case by case
agreement      do two measurements of the same people agree?
survival       how good is a prediction, when some people are still alive at the end?
"""

from .age import AgeBias, conformal_half_width
from .calibration import Reliability, expected_calibration_error, fit_temperature, reliability, risk_coverage
from .intervals import Interval, bootstrap_interval

__all__ = [
    "AgeBias",
    "Interval",
    "Reliability",
    "bootstrap_interval",
    "conformal_half_width",
    "expected_calibration_error",
    "fit_temperature",
    "reliability",
    "risk_coverage",
]
