"""Domain randomisation: the same anatomy as no two scanners would show it.

Tissue maps are made once (`Cohort.tissue_maps`); contrast, texture, pose, bias field, resolution, noise
and field of view are drawn anew for every batch. A network trained on such images cannot rely on any one
contrast, and so works on contrasts that it never saw (Billot et al., SynthSeg, Med Image Anal
86:102789, 2023; Hoopes et al., SynthStrip, NeuroImage 260:119474, 2022).

Everything is drawn from one generator on the device of the maps.
"""

import torch
from torch import Tensor

from . import tumors
from .contrasts import paint, signals_of
from .draws import chance, normal, uniform
from .poses import posed
from .scans import field_of_view, scanned
from .settings import Randomisation
from .structures import blobs_of, thin_bone


def randomise(
    names: tuple[str, ...],
    maps: Tensor,
    spacing: float,
    generator: torch.Generator,
    contrasts: tuple[str, ...] = (),
    how: Randomisation = Randomisation(),
    targets: tuple[str, ...] = ("mask",),
) -> tuple[Tensor, Tensor]:
    """Images (N, C, X, Y, Z) and targets (N, T, X, Y, Z), mirrored left to right in half of the people.

    `names` and `maps` (N, K, X, Y, Z) uint8 are those of `Cohort.tissue_maps`, at `spacing` mm. Without
    `contrasts` there is one image per person, of a random contrast; with them, one image for each, in
    register. `how.tumors` needs contrasts. `targets` names maps that come back in the pose of the images, as shares in 0 to 1, zero
    where the field of view ends.
    """
    shares = maps.float() / 255
    mirrored = chance(0.5, len(maps), generator)
    shares[mirrored] = shares[mirrored].flip(2)
    tissue = dict(zip(names, shares.unbind(1)))
    if "bone" in tissue and how.thin:
        thin_bone(tissue, spacing, how, generator)
    tumor = [None] * max(1, len(contrasts))
    if "core" in tissue and how.tumors:
        tumor = tumors.paint(tumors.vary(tissue, spacing, generator), contrasts, generator)
    wanted = torch.stack([tissue[name] for name in targets], 1)
    blobs = blobs_of(tissue, spacing, how, generator)
    images = []
    for contrast, lesion in zip(contrasts or (None,), tumor):
        signals, gain, vessel = signals_of(contrast, len(maps), how, generator)
        image = paint(tissue, signals, gain, vessel, lesion, spacing, how, generator)
        for where in blobs:
            level = uniform((len(maps), 1, 1, 1), generator) * 1.3
            image = image * (1 - where) + where * level
        images.append(image)
    mask, seen = tissue["mask"], tissue.get("seen", torch.ones_like(tissue["mask"]))
    whole = tissue["core"] + tissue["edema"] + tissue["enhancing"] if "core" in tissue else None
    volumes = (torch.stack(images, 1), wanted, mask[:, None], seen[:, None])
    images, wanted, mask, seen = posed(volumes, whole, spacing, how, generator)
    images = torch.stack([scanned(image, spacing, how, generator) for image in images.unbind(1)], 1)
    seen = field_of_view(mask[:, 0], seen[:, 0], spacing, how, generator)[:, None]
    images = images * seen
    if how.gamma:
        top = images.flatten(1).amax(1).view(-1, 1, 1, 1, 1).clamp(min=1e-6)
        power = torch.exp(how.gamma * normal((len(maps), images.shape[1], 1, 1, 1), generator))
        images = top * (images / top) ** power
    return images, wanted * seen
