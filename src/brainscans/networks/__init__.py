"""The networks that notebooks have built first, at full size: brain age and segmentation; their weights."""

from .age import AgeNet
from .unet import UNet
from .weights import load, save

__all__ = ["AgeNet", "UNet", "load", "save"]
