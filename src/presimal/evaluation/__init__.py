"""How good is it, and how sure are we? One file per question; `survival`, which imports torchsurv, by its own name."""

from brainscans.interval import Interval

from .calibration import Reliability, reliability
from .intervals import bootstrap_interval, conformal_half_width, interval_of
from .overlap import dice, hausdorff95

__all__ = ["Interval", "Reliability", "bootstrap_interval", "conformal_half_width", "dice", "hausdorff95"]
__all__ += ["interval_of", "reliability"]
