"""How a tumor looks beside its mean signals in `signals.csv`: its texture, its core on FLAIR, and how it swells.

The scanner of the cohort and the randomization both read it here. By eye, beside BraTS.
"""

import math
from functools import partial

import torch
from torch import Generator, Tensor

from ..fields import between, noise_field, per_person, uniform
from ..tissue_maps import TissueMaps

CORE_ON_FLAIR = (0.7, 1.4)  # of its mean: necrosis is as dark as fluid in one person, gray in the next
# How uneven each part is, against the core: in the cohort, and when randomized.
TEXTURED, RANDOMLY_TEXTURED = {"enhancing": 0.8, "edema": 0.5}, {"enhancing": 0.7, "edema": 0.4}
FINE_SD, COARSE_SD = 0.07, 0.05  # in units of signal, of the cohort's texture; several times that of the brain
PATCH_WIDTH, GRAIN_WIDTH, GRAIN = 14.0, 6.0, 0.7  # mm of randomized texture; its fine part against the coarse one
MOST_UNEVEN = 0.25  # relative, the largest strength of randomized texture
SWELLING, SWELLING_REACH = (-0.6, 1.0), 1.2  # of the most, so more often larger; radii over which it fades


def _textured(tissues: TissueMaps, parts: dict[str, float]) -> Tensor:
    return tissues["core"] + parts["enhancing"] * tissues["enhancing"] + parts["edema"] * tissues["edema"]


def add_texture(image: Tensor, tissues: TissueMaps, coarse: Tensor, fine: Tensor) -> Tensor:
    """The image (N, X, Y, Z) with uneven tumors, from two fields of the person's texture, where there are tumors."""
    if "core" not in tissues:
        return image
    return image + (FINE_SD * fine + COARSE_SD * coarse) * _textured(tissues, TEXTURED)


def randomize_texture(image: Tensor, tissues: TissueMaps, spacing: float, generator: Generator) -> Tensor:
    """The image (N, X, Y, Z) with tumors as uneven as chance wants, where there are tumors."""
    if "core" not in tissues:
        return image
    field = partial(noise_field, generator, image, spacing=spacing)
    uneven = field(PATCH_WIDTH) + GRAIN * field(GRAIN_WIDTH)
    strength = MOST_UNEVEN * uniform(generator, len(image), 1, 1, 1)
    return image * (1 + strength * uneven * _textured(tissues, RANDOMLY_TEXTURED))


def swollen(points: Tensor, tumor: Tensor, half: Tensor, most: float, generator: Generator) -> Tensor:
    """Points (N, X, Y, Z, 3), in voxels from the middle, from which a tumor (N, X, Y, Z) is read larger or smaller, its
    surroundings pushed away or drawn near. The distance r from its center is read at r (1 - a exp(-r^2 / R^2)), which
    rises for -2 < a < 1: nothing folds. R is SWELLING_REACH radii of a ball of its volume; `most` is the largest a.
    """
    amounts = most * between(SWELLING, uniform(generator, len(tumor)))
    axes = [torch.arange(n, device=points.device) + 0.5 - h for n, h in zip(tumor.shape[1:], half, strict=True)]
    volume = tumor.sum((1, 2, 3)).clamp(min=1)
    sums = [tumor.sum(others) @ axis for others, axis in zip(((2, 3), (1, 3), (1, 2)), axes, strict=True)]
    center = (torch.stack(sums, 1) / volume[:, None]).view(-1, 1, 1, 1, 3)
    reach = SWELLING_REACH * (volume * 3 / 4 / math.pi) ** (1 / 3)
    offset = points - center
    weight = per_person(amounts) * torch.exp(-(offset**2).sum(-1) / per_person(reach) ** 2)
    return points - offset * weight[..., None]
