"""How good is it, and how sure are we? One file per question.

age           the brain-age gap: its bias, two corrections, an interval
calibration   does 0.8 mean eight in ten, and which cases should a human see?
intervals     resampling over people: the interval that belongs to every score
agreement     overlap and boundary of masks; do two measurements of the same people agree?
survival      how good is a prediction, when some people are still alive at the end? (imports torchsurv)
"""

from .age import AgeBias, conformal_half_width
from .agreement import Agreement, dice, hausdorff95, intraclass_correlation, limits_of_agreement
from .calibration import Reliability, expected_calibration_error, fit_temperature, reliability, risk_coverage
from .intervals import Interval, bootstrap_interval, interval_of

__all__ = ["AgeBias", "Agreement", "Interval", "Reliability", "bootstrap_interval", "conformal_half_width", "dice"]
__all__ += ["expected_calibration_error", "fit_temperature", "hausdorff95", "interval_of", "intraclass_correlation"]
__all__ += ["limits_of_agreement", "reliability", "risk_coverage"]
