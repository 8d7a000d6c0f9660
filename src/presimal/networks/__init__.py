"""The networks that notebooks have built first, at full size, and their weights.

    unet      segmentation: volumes in, logits of regions out
    weights   networks trained longer, shipped in assets/weights
"""

from .unet import UNet
from .weights import load, save

__all__ = ["UNet", "load", "save"]
