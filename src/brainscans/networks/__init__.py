"""The networks that notebooks have built first, at full size: brain age and segmentation; their weights."""

from .age import AgeNet as AgeNet
from .unet import UNet as UNet
from .weights import load as load
from .weights import save as save
