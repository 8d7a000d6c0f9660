"""What a scanner makes of the tissues.

signals      the one table of tissue signals, and how they vary from person to person
sites        five scanners
acquisition  signals, texture, bias field, resolution, noise: an image
"""

from .acquisition import acquire
from .sites import SITES, Site

__all__ = ["SITES", "Site", "acquire"]
