"""What the generator does not know: shapes in and round the brain, bone too thin to be seen."""

import torch
from torch import Generator, Tensor

from ..fields import chance, noise_field, per_person, soft_step
from ..tissue_maps import OUTSIDE, TissueMaps
from .settings import Randomization


def draw_blobs(tissues: TissueMaps, spacing: float, settings: Randomization, generator: Generator) -> list[Tensor]:
    """Soft shapes outside the brain (vessels, glands, teeth) and, more rarely, inside (lesions), (N, X, Y, Z)."""
    if OUTSIDE[0] not in tissues or not settings.blobs:
        return []
    mask = tissues.mask
    count, shape = len(mask), tuple(mask.shape[1:])
    head = (mask + sum((tissues[name] for name in OUTSIDE), torch.zeros_like(mask))).clamp(0, 1)
    outside = soft_step(noise_field(generator, count, shape, 22.0, spacing) - 1.1, 0.12) * (head - mask).clamp(min=0)
    inside = soft_step(noise_field(generator, count, shape, 40.0, spacing) - 1.9, 0.15) * mask
    blobs = ((outside, settings.blobs), (inside, 0.6 * settings.blobs))
    return [blob * per_person(chance(generator, fraction, count).float()) for blob, fraction in blobs]


def thin_bone(tissues: TissueMaps, spacing: float, settings: Randomization, generator: Generator) -> TissueMaps:
    """In places muscle takes the room of the bone: at 3 mm a thin skull is hardly to be seen."""
    bone = tissues["bone"]
    some = per_person(chance(generator, settings.thin, len(bone)).float())
    thin = some * soft_step(noise_field(generator, len(bone), tuple(bone.shape[1:]), 25.0, spacing) - 0.6, 0.2)
    return tissues.updated({"bone": bone * (1 - 0.8 * thin), "muscle": tissues["muscle"] + bone * 0.8 * thin})
