"""Tumor segmentation of one's own scans: four contrasts in, regions and their volumes out.

The network was trained on generated people only (notebook 06, scripts/train_tumor_segmentation.py). Not
for clinical use.
"""

import torch
from torch import Tensor

SPACING = 2.5  # mm, of the network's grid
REGIONS = ("whole tumor", "tumor core", "enhancing tumor")


def prepare(images: Tensor, brain: Tensor) -> Tensor:
    """Images (N, C, X, Y, Z) with zero mean and unit spread within the brain (N, 1, X, Y, Z), 0 outside.

    Measured twice: the second time without what lies more than three standard deviations out, so that a
    few bright vessels do not set the scale.
    """
    brain = brain.to(images.dtype)
    centre, spread = _moments(images, brain)
    within = brain * ((images - centre).abs() < 3 * spread)
    centre, spread = _moments(images, within)
    return ((images - centre) / spread.clamp(min=1e-6) * brain).clamp(-5, 8)


def _moments(images: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    count = weight.sum((2, 3, 4), keepdim=True).clamp(min=1)
    centre = (images * weight).sum((2, 3, 4), keepdim=True) / count
    return centre, (((images - centre) ** 2 * weight).sum((2, 3, 4), keepdim=True) / count).sqrt()
