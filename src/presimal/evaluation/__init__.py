"""How good is it, and how sure are we? One file per question.

    intervals      resampling over people: the interval that belongs to every score
    age            the brain-age gap: its bias, two corrections, an interval
    segmentation   overlap, boundary and volume of masks, case by case
"""

from .age import AgeBias, conformal_half_width
from .intervals import Interval, bootstrap_interval

__all__ = ["AgeBias", "Interval", "bootstrap_interval", "conformal_half_width"]
