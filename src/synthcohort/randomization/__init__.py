"""Domain randomization: the same anatomy with contrasts, noise and faults drawn anew for every image.

Tissue maps are made once (`Cohort.tissue_maps`); contrast, texture, pose, bias field, resolution, noise and field of
view are drawn anew for every batch, from one generator on the device of the maps. A network trained on such images
cannot rely on any one contrast, and so works on contrasts that it never saw (Billot et al., SynthSeg, Med Image Anal
86:102789, 2023; Hoopes et al., SynthStrip, NeuroImage 260:119474, 2022).
"""

import torch
from torch import Generator, Tensor

from ..fields import chance, normal, uniform
from ..glioma import variation
from ..tissue_maps import TissueMaps
from .acquisition import field_of_view, pose, scan
from .contrasts import C, Randomization, draw_blobs, draw_signals, paint, thin_bone

__all__ = ["Randomization", "as_scanned", "randomize"]
DEFAULT = Randomization()


def randomize(
    names: tuple[str, ...], maps: Tensor, spacing: float, generator: Generator, contrasts: tuple[str, ...] = (),
    settings: Randomization = DEFAULT, targets: tuple[str, ...] = ("mask",),
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Images (N, C, X, Y, Z) and targets (N, T, X, Y, Z), mirrored left to right in half of the people.

    `names` and `maps` (N, K, X, Y, Z) uint8 are those of `Cohort.tissue_maps`, at `spacing` mm. Without `contrasts`
    there is one image per person, of a random contrast; with them, one image for each, in register; `settings.tumors`
    needs them. `targets` names maps that come back in the pose of the images, 0 to 1, zero where the field of view
    ends. Raises ValueError for varied tumors without contrasts, KeyError for an unknown target."""
    if settings.tumors and not contrasts:
        raise ValueError("A varied tumor needs contrasts: name them.")
    mirrored = chance(generator, 0.5, len(maps), 1, 1, 1, 1)
    tissues = TissueMaps.unpack(names, torch.where(mirrored, maps.flip(2), maps))
    if "bone" in tissues and settings.thin:
        tissues = thin_bone(tissues, spacing, settings, generator)
    painted: list[Tensor | None] = [None] * max(1, len(contrasts))
    if "core" in tissues and settings.tumors:
        tissues, parts = variation.vary(tissues, spacing, generator)
        painted[:] = variation.paint(parts, contrasts, generator)
    known = {name: values for name, values in vars(tissues).items() if isinstance(values, Tensor)} | {**tissues.tissues}
    wanted = torch.stack([known[name] for name in targets], 1)
    blobs = draw_blobs(tissues, spacing, settings, generator)
    images = []
    for contrast, tumor in zip(contrasts or (None,), painted, strict=True):
        signals = draw_signals(contrast, len(maps), settings, generator)
        image = paint(tissues, signals, tumor, spacing, settings.texture, generator)
        for blob in blobs:
            image = image * (1 - blob) + blob * (uniform(generator, len(maps), 1, 1, 1) * C.brightest_blob)
        images.append(image)
    return as_scanned(tissues, images, wanted, spacing, settings, generator)


def as_scanned(
    tissues: TissueMaps, images: list[Tensor], wanted: Tensor, spacing: float, settings: Randomization,
    generator: Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Painted images (N, X, Y, Z) and targets (N, T, X, Y, Z), in one pose, as a scanner shows them."""
    mask = tissues.mask
    seen = torch.ones_like(mask) if tissues.seen is None else tissues.seen
    whole = tissues["core"] + tissues["edema"] + tissues["enhancing"] if "core" in tissues else None
    volumes = (torch.stack(images, 1), wanted, mask[:, None], seen[:, None])
    stacked, wanted, mask, seen = pose(volumes, whole, spacing, settings, generator)
    stacked = torch.stack([scan(image, spacing, settings, generator) for image in stacked.unbind(1)], 1)
    seen = field_of_view(mask[:, 0], seen[:, 0], spacing, settings, generator)[:, None]
    stacked = stacked * seen
    if settings.gamma:
        top = stacked.flatten(1).amax(1).view(-1, 1, 1, 1, 1).clamp(min=1e-6)
        power = torch.exp(settings.gamma * normal(generator, *stacked.shape[:2], 1, 1, 1))
        stacked = top * (stacked / top) ** power
    return stacked, wanted * seen
