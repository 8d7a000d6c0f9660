"""How good is it, and how sure are we? One file per question.

    intervals      resampling over people: the interval that belongs to every score
    segmentation   overlap, boundary and volume of masks, case by case
    agreement      do two measurements of the same people agree?
    survival       how good is a prediction, when some people are still alive at the end?
"""

from .intervals import Interval, bootstrap_interval

__all__ = ["Interval", "bootstrap_interval"]
