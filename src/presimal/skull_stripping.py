"""Skull stripping of one's own scans: any contrast, orientation and voxel size, whole or cropped head.

The network was trained on generated heads only (notebook 07, scripts/train_skull_stripping.py). Not for
clinical use.
"""

import torch
from torch import Tensor

SPACING = 3.0  # mm, of the network's grid


def prepare(images: Tensor) -> Tensor:
    """Images (N, 1, X, Y, Z) as the network wants them: 0 to 1 from black to the brightest tissue.

    The scale is the 98th percentile of what is brighter than the mean, so that neither the amount of air
    nor a few bright voxels decide.
    """
    scaled = []
    for image in images:
        bright = image[image > image.mean()]
        bright = bright[:: max(1, len(bright) // 20_000)]
        top = torch.quantile(bright, 0.98) if len(bright) else image.new_tensor(1.0)
        scaled.append((image / top.clamp(min=1e-6)).clamp(0, 1.5))
    return torch.stack(scaled)
