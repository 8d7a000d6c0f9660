"""What a scanner makes of the tissues: their signals, and an image with texture, bias field, blur and noise."""

from .acquisition import acquire
from .sites import SITES, Site

__all__ = ["SITES", "Site", "acquire"]
