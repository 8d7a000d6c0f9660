"""The networks that notebooks have built first, at full size, and their weights.

age       brain age: a T1 in, years out
unet      segmentation: volumes in, logits of regions out
weights   networks trained longer, shipped in assets/weights
"""

from .age import AgeNet
from .unet import UNet
from .weights import load, save

__all__ = ["AgeNet", "UNet", "load", "save"]
