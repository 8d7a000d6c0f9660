"""What takes up gadolinium in everyone: vessels, sinuses, choroid plexus, dura.

Without them a network learns that whatever is bright on T1Gd is tumor, and fails on the first real patient. Large
vessels come from the template; a cortical vein is a soft tube in the sulci, along which two random fields both vanish.
"""

import torch
from torch import Tensor

from ..fields import smooth_field, soft_step
from ..people import People
from ..tissue_maps import TissueMaps

VEIN_WIDTH = 0.2  # in standard deviations of the two fields; by eye, beside T1Gd images
DURA = 0.45  # how much of a voxel at the edge of the brain is dura, where it is seen


def enhancing_structures(maps: dict[str, Tensor], tissues: TissueMaps, people: People, spacing: float) -> Tensor:
    """Soft map (N, X, Y, Z), 0 to about 1, of what is bright on T1Gd and dark (flow) on T2."""
    mask = tissues.mask
    streams = people.streams("field/vessel")
    pair = smooth_field(streams, mask.shape[1:], spacing, 15.0, 2, mask.device)
    patch = smooth_field(streams, mask.shape[1:], spacing, 30.0, 1, mask.device)[:, 0]
    veins = torch.exp(-(pair**2).sum(1) / VEIN_WIDTH**2) * tissues["csf"]
    # The sinuses run in the dura, outside the fluid of the average brain: allow them at the edge.
    edge = (4 * mask * (1 - mask)).clamp(0, 1)
    room = (tissues["csf"] + tissues["ventricle"] + edge).clamp(0, 1)
    dura = DURA * edge * soft_step(patch - 0.3, 0.5)
    strength = people.stack("vessel").to(mask.device).view(-1, 3, 1, 1, 1)
    vessels = torch.maximum(strength[:, 0] * maps["vessel"] * room, strength[:, 1] * veins)
    return torch.maximum(vessels, strength[:, 2] * dura)
