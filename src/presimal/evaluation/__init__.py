"""How good is it, and how sure are we? One file per question; `survival`, which imports torchsurv, by its own name."""

from .calibration import Reliability, expected_calibration_error, reliability
from .intervals import Interval, bootstrap_interval, conformal_half_width, interval_of
from .overlap import dice, hausdorff95

__all__ = ["Interval", "Reliability", "bootstrap_interval", "conformal_half_width", "dice"]
__all__ += ["expected_calibration_error", "hausdorff95", "interval_of", "reliability"]
