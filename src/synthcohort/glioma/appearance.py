"""How a tumor looks beside its mean signals in `signals.csv`: its texture, its core on FLAIR, and how it swells.

The scanner of the cohort and the randomization both read it here.
"""

import math

import torch
from torch import Generator, Tensor

from ..fields import between, noise_field, per_person, uniform
from ..tables import constants
from ..tissue_maps import TissueMaps

C = constants(__file__)


def _textured(tissues: TissueMaps, parts: dict[str, float]) -> Tensor:
    return tissues["core"] + parts["enhancing"] * tissues["enhancing"] + parts["edema"] * tissues["edema"]


def add_texture(image: Tensor, tissues: TissueMaps, coarse: Tensor, fine: Tensor) -> Tensor:
    """The image (N, X, Y, Z) with uneven tumors, from two fields of the person's texture."""
    return image + (C.fine_sd * fine + C.coarse_sd * coarse) * _textured(tissues, C.texture)


def randomize_texture(image: Tensor, tissues: TissueMaps, spacing: float, generator: Generator) -> Tensor:
    """The image (N, X, Y, Z) with tumors made uneven by a random amount, up to `most_uneven`."""
    patches, grain = (noise_field(generator, image, width, spacing) for width in (C.patch_width, C.grain_width))
    strength = C.most_uneven * uniform(generator, len(image), 1, 1, 1)
    return image * (1 + strength * (patches + C.grain * grain) * _textured(tissues, C.random_texture))


def swollen(points: Tensor, tumor: Tensor, half: Tensor, most: float, generator: Generator) -> Tensor:
    """Points (N, X, Y, Z, 3), in voxels from the middle, from which a tumor (N, X, Y, Z) is read larger or smaller, its
    surroundings pushed away or drawn near. The distance r from its center is read at r (1 - a exp(-r^2 / R^2)), which
    rises for -2 < a < 1: nothing folds. R is `swelling_reach` radii of a ball of its volume; `most` is the largest a.
    """
    amounts = most * between(C.swelling, uniform(generator, len(tumor)))
    axes = [torch.arange(n, device=points.device) + 0.5 - h for n, h in zip(tumor.shape[1:], half, strict=True)]
    volume = tumor.sum((1, 2, 3)).clamp(min=1)
    sums = [tumor.sum(others) @ axis for others, axis in zip(((2, 3), (1, 3), (1, 2)), axes, strict=True)]
    center = (torch.stack(sums, 1) / volume[:, None]).view(-1, 1, 1, 1, 3)
    reach = C.swelling_reach * (volume * 3 / 4 / math.pi) ** (1 / 3)
    offset = points - center
    weight = per_person(amounts) * torch.exp(-(offset**2).sum(-1) / per_person(reach) ** 2)
    return points - offset * weight[..., None]
