"""How much may vary; which signal each tissue gives; the image, with structures that the generator does not know."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from .. import scanner
from ..fields import above, between, chance, noise_field, normal, per_person, uniform
from ..glioma.appearance import randomize_texture
from ..signals import MEANS
from ..tables import constants
from ..tissue_maps import BRAIN, CONTRASTS, GLIOMA, OUTSIDE, RESIDUAL_RANGE, TISSUES, TissueMaps

SOLID = slice(BRAIN.index("cortex"), len(BRAIN))  # similar on most contrasts
GRAY_AND_WHITE = slice(BRAIN.index("cortex"), BRAIN.index("white") + 1)
C = constants(__file__)

# Signals (N, tissues) in the order of TISSUES, and the gains (N,) of the residual and of vessels.
Signals = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Randomization:
    """How much may vary. Fractions are those of people; widths are in mm; the rest has no unit. 0 switches off."""

    invented: float = 0.5  # fraction with a contrast that no scanner has
    jitter: float = 0.15  # relative standard deviation of the tissue signals of real contrasts
    flat: float = 0.0  # largest loss of the contrast between gray and white matter, 0 to 1
    tumors: bool = False  # whether the parts of a tumor change places and looks
    texture: float = 0.35  # unevenness of what lies outside the brain
    blobs: float = 0.5  # fraction with structures that the generator does not know
    thin: float = 0.3  # fraction with bone too thin in places to be seen between brain and muscle
    rotation: float = 10.0  # standard deviation about each axis, degrees
    scaling: float = 0.05  # standard deviation of the size along each axis, relative
    swell: float = 0.0  # largest change of a tumor's size at its center, 0 to 0.5: 0.5 doubles it
    elastic: float = 2.5  # standard deviation of a smooth displacement, mm
    bias: float = 0.35  # standard deviation of the logarithm of the receive field
    thick: float = 0.5  # fraction with thick slices, along any axis
    slice_mm: float = 7.0  # the thickest
    blurred: float = 0.3  # fraction with a blur over three voxels
    noise: float = 0.06  # standard deviation in each channel, against white matter on T1
    gamma: float = 0.25  # standard deviation of the logarithm of the exponent
    cut: float = 0.5  # fraction with a smaller field of view
    defaced: float = 0.1  # fraction with the face cut off
    stripped: float = 0.04  # fraction with nothing but the brain


def draw_signals(contrast: str | None, count: int, settings: Randomization, generator: Generator) -> Signals:
    """Signals of N people on a contrast, or with None on any, also one that no scanner has."""
    device = generator.device
    known = torch.stack(list(MEANS.values())).to(device)
    gains = torch.tensor([(scanner.C.residual_gain[c], scanner.C.vessel_gain[c]) for c in CONTRASTS], device=device)
    if contrast is None:
        first, second = (torch.randint(len(CONTRASTS), (count,), generator=generator, device=device) for _ in range(2))
        mix = uniform(generator, count, 1) * chance(generator, C.mixed, count, 1)
        signals, gain = (values[first] * (1 - mix) + values[second] * mix for values in (known, gains))
    else:
        signals, gain = (values[CONTRASTS.index(contrast)].expand(count, -1) for values in (known, gains))
    signals = signals * (1 + settings.jitter * normal(generator, *signals.shape))
    if contrast is None:  # any signal for any tissue; those of the brain resemble each other more often than not
        free = C.brightest * uniform(generator, count, len(TISSUES))
        alike = C.alike_sd * normal(generator, count, len(BRAIN) - SOLID.start) * uniform(generator, count, 1)
        free[:, SOLID] = free[:, [TISSUES.index("white")]] + alike
        free[:, TISSUES.index("air")] = C.brightest_air * uniform(generator, count)
        invented = chance(generator, settings.invented, count, 1)
        signals = torch.where(invented, free, signals)
        gain = torch.where(invented, gain * normal(generator, *gain.shape), gain)
    residual, vessel = gain.unbind(1)
    if settings.flat:  # spin echo shows less of the difference between gray and white matter than MPRAGE
        kept = 1 - settings.flat * uniform(generator, count, 1)
        brain = signals[:, GRAY_AND_WHITE]
        signals[:, GRAY_AND_WHITE] = brain.mean(1, keepdim=True) * (1 - kept) + brain * kept
        residual = residual * kept[:, 0]
    return signals.clamp(min=0), residual, vessel


def paint(
    tissues: TissueMaps, signals: Signals, tumor: Tensor | None, spacing: float, texture: float, generator: Generator
) -> Tensor:
    """The image (N, X, Y, Z). `tumor` (N, X, Y, Z) is one that is painted already, None if there is none."""
    mask = tissues.mask
    each = (len(mask), 1, 1, 1)  # one number per person
    field = partial(noise_field, generator, mask, spacing=spacing)
    levels, residual, vessel = signals
    image = per_person(residual) * RESIDUAL_RANGE * (tissues.residual - 0.5) * mask
    if tissues.vessel is not None:
        image = image + per_person(vessel) * between(C.vessel, uniform(generator, *each)) * tissues.vessel
    if tumor is not None:
        image = image + tumor
    for name in tissues.names:
        if tumor is None or name not in GLIOMA:
            image = image + per_person(levels[:, TISSUES.index(name)]) * tissues[name]
    if "core" in tissues:
        image = randomize_texture(image, tissues, spacing, generator)
    image = image + C.most_uneven * uniform(generator, *each) * field(C.patch_width) * mask
    if OUTSIDE[0] in tissues:
        uneven = field(C.outside_width) + C.outside_wide * field(C.outside_wide_width)
        image = image * (1 + texture * uniform(generator, *each) * uneven * (1 - mask))
    return image.clamp(min=0)


def draw_blobs(tissues: TissueMaps, spacing: float, settings: Randomization, generator: Generator) -> list[Tensor]:
    """Soft shapes outside the brain (vessels, glands, teeth) and, more rarely, inside (lesions), (N, X, Y, Z)."""
    if OUTSIDE[0] not in tissues or not settings.blobs:
        return []
    mask = tissues.mask
    head = (mask + sum((tissues[name] for name in OUTSIDE), torch.zeros_like(mask))).clamp(0, 1)
    outside = above(noise_field(generator, mask, C.blob_width, spacing), C.blob_step) * (head - mask).clamp(min=0)
    inside = above(noise_field(generator, mask, C.inside_width, spacing), C.inside_step) * mask
    blobs = ((outside, settings.blobs), (inside, C.inside * settings.blobs))
    return [blob * chance(generator, fraction, len(mask), 1, 1, 1) for blob, fraction in blobs]


def thin_bone(tissues: TissueMaps, spacing: float, settings: Randomization, generator: Generator) -> TissueMaps:
    """Muscle instead of bone in some places, since a thin skull hardly shows in voxels of 3 mm."""
    bone = tissues["bone"]
    some = chance(generator, settings.thin, len(bone), 1, 1, 1)
    thin = some * above(noise_field(generator, bone, C.thin_width, spacing), C.thin_step)
    muscle = tissues["muscle"] + bone * C.thinned * thin
    return tissues.updated({"bone": bone * (1 - C.thinned * thin), "muscle": muscle})
