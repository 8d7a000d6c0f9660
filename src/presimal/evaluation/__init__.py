"""How good is it, and how sure are we? One file per question; `survival`, which imports torchsurv, by its own name."""

from .agreement import AgeBias, dice, hausdorff95, intraclass_correlation, limits_of_agreement
from .calibration import Reliability, expected_calibration_error, fit_temperature, reliability, risk_coverage
from .intervals import Interval, bootstrap_interval, conformal_half_width, interval_of

__all__ = ["AgeBias", "Interval", "Reliability", "bootstrap_interval", "conformal_half_width", "dice"]
__all__ += ["expected_calibration_error", "fit_temperature", "hausdorff95", "interval_of", "intraclass_correlation"]
__all__ += ["limits_of_agreement", "reliability", "risk_coverage"]
