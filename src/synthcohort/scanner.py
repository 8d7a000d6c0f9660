"""What a scanner makes of the tissues: signals, texture, bias field, resolution, noise.

Signals vary from person to person round the means of `signals`. Magnitude images have Rician noise: the modulus of a
complex signal with normal noise in both channels (Gudbjartsson and Patz, Magn Reson Med 34:910, 1995).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .fields import between, normal, per_person, smooth_field, stream, uniform
from .glioma import appearance
from .people import People, Person
from .signals import GROUP_SD, MEANS, PERSON_SD
from .tables import constants
from .tissue_maps import FLUID_OUTSIDE, GLIOMA, OUTSIDE, TISSUES, TissueMaps

C = constants(__file__)


@dataclass(frozen=True)
class Site:
    """One scanner of scanner.toml."""

    name: str
    bias: float  # standard deviation of the logarithm of the receive field
    blur: float  # mm, full width of the in-plane point spread
    slice_mm: float  # thickness of the slices (along z)
    noise: float  # standard deviation in each channel, against white matter on T1
    contrast: float = 0.06  # relative standard deviation of its tissue signals


SITES = tuple(Site(name, **values) for name, values in C.sites.items())


def site_gain(site: int, contrast: str) -> Tensor:
    """Factors (tissues,) on the tissue signals of one site, always the same, in the order of TISSUES."""
    return 1 + SITES[site].contrast * normal(stream(0, "site", site, contrast), len(TISSUES))


def draw_signals(person: Person, contrast: str) -> Tensor:
    """Signals (tissues,) of one person at one site on one contrast, in the order of TISSUES."""
    generator = person.stream(f"signal/{contrast}")
    factor = 1 + PERSON_SD * normal(generator, len(TISSUES))
    signal = MEANS[contrast] * site_gain(person.site, contrast) * factor
    deep, white, cortex, core = (TISSUES.index(name) for name in ("deep", "white", "cortex", "core"))
    tumor, outside = slice(core, core + len(GLIOMA)), slice(-len(OUTSIDE), None)
    signal[tumor] *= 1 + GROUP_SD[tumor] * normal(generator, len(GLIOMA))
    if contrast == "flair":
        signal[core] *= between(appearance.C.core_on_flair, float(uniform(generator, 1)))
    signal[outside] *= 1 + GROUP_SD[outside] * normal(generator, len(OUTSIDE))
    if contrast in ("t1", "t1gd"):
        signal[white] -= C.contrast_weight * person.aging.contrast_loss * (signal[white] - signal[cortex])
        signal[deep] *= 1 + person.aging.iron / C.iron_on_t1
    else:
        signal[deep] *= 1 - person.aging.iron
    return signal


def blur_weight(width: float, spacing: float) -> float:
    """Side weight w of the kernel (w, 1 - 2w, w) whose variance is that of a box of `width` mm."""
    return min(C.most_blur, width**2 / (24 * spacing**2))


def _blur(image: Tensor, axis: int, weights: Tensor) -> Tensor:
    """Three-point blur of (N, X, Y, Z) along axis 1 to 3, one side weight (N, 1, 1, 1) per person."""
    size = image.shape[axis]
    padded = torch.cat([image.narrow(axis, 0, 1), image, image.narrow(axis, size - 1, 1)], axis)
    return image * (1 - 2 * weights) + weights * (padded.narrow(axis, 0, size) + padded.narrow(axis, 2, size))


def acquire(tissues: TissueMaps, people: People, contrast: str, spacing: float) -> Tensor:
    """One contrast of all people, (N, X, Y, Z) float32, at least zero. Raises KeyError for an unknown contrast."""
    image = _texture(_painted(tissues, people, contrast), tissues, people, spacing)
    sites, shape = [SITES[person.site] for person in people], tuple(image.shape[1:])
    bias = smooth_field(people.streams(f"bias/{contrast}"), shape, spacing, C.bias_scale, 1, image.device)[:, 0]
    image = image.clamp(min=0) * torch.exp(per_person([site.bias for site in sites], image.device) * bias)
    heads = [(person.head.slice_axis, person.head.slice_mm) if person.head else (3, None) for person in people]
    slices = [(axis, mm or site.slice_mm, site.blur) for (axis, mm), site in zip(heads, sites, strict=True)]
    for axis in (1, 2, 3):
        weights = [blur_weight(thick if axis == across else blur, spacing) for across, thick, blur in slices]
        image = _blur(image, axis, per_person(weights, image.device))
    streams = people.streams(f"noise/{contrast}")
    strength = [C.noise_least + C.noise_span * float(uniform(generator, 1)) for generator in streams]
    sd = [person.noise * site.noise * s for person, site, s in zip(people, sites, strength, strict=True)]
    real, imaginary = torch.stack([s * normal(g, 2, *shape) for g, s in zip(streams, sd, strict=True)], 1).to(
        image.device
    )
    return torch.hypot(image + real, imaginary)


def _painted(tissues: TissueMaps, people: People, contrast: str) -> Tensor:
    """Every tissue in its signal, with the texture of the real T1 and what takes up gadolinium."""
    signals = torch.stack([draw_signals(person, contrast) for person in people]).to(tissues.mask.device)
    image = C.residual_gain[contrast] * tissues.residual
    if tissues.vessel is not None:
        image = image + C.vessel_gain[contrast] * tissues.vessel
    for name in tissues.names:
        image = image + per_person(signals[:, TISSUES.index(name)]) * tissues[name]
    if FLUID_OUTSIDE in tissues:
        image = image + per_person(signals[:, TISSUES.index("csf")]) * tissues[FLUID_OUTSIDE]
    return image


def _texture(image: Tensor, tissues: TissueMaps, people: People, spacing: float) -> Tensor:
    """Uneven tissue. Texture belongs to the person: the same on every contrast."""
    streams, shape = people.streams("texture"), tuple(image.shape[1:])
    coarse, fine = (smooth_field(streams, shape, spacing, scale, 1, image.device)[:, 0] for scale in (C.coarse, C.fine))
    solid = (tissues.mask - tissues["ventricle"] - tissues["csf"]).clamp(min=0)
    image = image + (C.brain_coarse * coarse + C.brain_fine * fine) * solid
    if "core" in tissues:
        image = appearance.add_texture(image, tissues, coarse, fine)
    if "fat" in tissues:
        image = image * (1 + (C.head_coarse * coarse + C.head_fine * fine) * (1 - tissues.mask))
    return image
