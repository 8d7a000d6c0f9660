"""What a scanner makes of the tissues: contrast, site, bias field, resolution, noise.

Signals are relative to about 1 for white matter on T1. The class means follow what the four
sequences show (fluid dark on T1 and FLAIR, bright on T2; edema bright on T2 and FLAIR), the site
and the person vary them. Magnitude images have Rician noise: the modulus of a complex signal with
normal noise in both channels (Gudbjartsson and Patz, Magn Reson Med 34:910, 1995).
"""

from dataclasses import dataclass

import torch

from .fields import normal, smooth_field, stream, uniform
from .tissue import TISSUES

CONTRASTS = ("t1", "t1gd", "t2", "flair")
LESIONS = ("core", "edema", "enhancing")
OUTSIDE = ("bone", "marrow", "fat", "muscle", "eye", "lens", "air", "nerve")
ALL_TISSUES = (*TISSUES, *LESIONS, *OUTSIDE)
# Mean signals, in the order of ALL_TISSUES: ventricle csf cortex deep white lesion | core edema
# enhancing | bone marrow fat muscle eye lens air nerve.
SIGNAL = {
    "t1": (0.17, 0.22, 0.60, 0.73, 0.95, 0.72, 0.42, 0.66, 0.62,
           0.10, 0.62, 1.25, 0.50, 0.22, 0.45, 0.03, 0.75),
    "t1gd": (0.17, 0.23, 0.62, 0.74, 0.95, 0.73, 0.42, 0.66, 1.35,
             0.10, 0.68, 1.25, 0.58, 0.22, 0.45, 0.03, 0.75),
    "t2": (1.25, 1.15, 0.64, 0.52, 0.42, 0.78, 1.02, 0.92, 0.76,
           0.06, 0.45, 0.75, 0.32, 1.20, 0.35, 0.03, 0.45),
    "flair": (0.14, 0.22, 0.66, 0.60, 0.52, 0.98, 0.52, 1.06, 0.86,
              0.06, 0.42, 0.72, 0.42, 0.18, 0.40, 0.03, 0.55),
}  # fmt: skip
RESIDUAL = {"t1": 0.81, "t1gd": 0.81, "t2": -0.71, "flair": -0.33}  # gain of the real T1 texture
VESSEL = {"t1": 0.03, "t1gd": 1.35, "t2": -0.55, "flair": -0.08}


@dataclass(frozen=True)
class Site:
    """One scanner: how strong its bias field is, how sharp and how noisy its images are."""

    name: str
    bias: float  # standard deviation of the logarithm of the receive field
    blur: float  # mm, full width of the in-plane point spread
    slice: float  # mm, thickness of the slices (along z)
    noise: float  # standard deviation in each channel, against white matter on T1
    contrast: float = 0.06  # relative spread of its tissue signals round SIGNAL


SITES = (
    Site("harbor", bias=0.08, blur=1.0, slice=1.0, noise=0.012),
    Site("hill", bias=0.12, blur=1.2, slice=1.2, noise=0.020),
    Site("river", bias=0.16, blur=1.2, slice=4.0, noise=0.026),
    Site("coast", bias=0.10, blur=2.0, slice=2.0, noise=0.016),
    Site("forest", bias=0.20, blur=1.0, slice=6.0, noise=0.022),
)


def site_signal(site: int, contrast: str) -> torch.Tensor:
    """Tissue gains of one site, always the same, one per entry of ALL_TISSUES."""
    draws = normal(stream(0, "site", site, contrast), len(ALL_TISSUES))
    return 1 + SITES[site].contrast * draws


def draw_signals(person: dict, contrast: str) -> torch.Tensor:
    """Mean signals (len(ALL_TISSUES),) of one person at one site on one contrast."""
    generator = person["stream"](f"signal/{contrast}")
    jitter = 1 + 0.035 * normal(generator, len(ALL_TISSUES))
    signal = torch.tensor(SIGNAL[contrast]) * site_signal(person["site"], contrast) * jitter
    tumor = slice(len(TISSUES), len(TISSUES) + len(LESIONS))
    signal[tumor] *= 1 + 0.08 * normal(generator, len(LESIONS))
    if contrast == "flair":  # necrosis is as dark as fluid in one person, grey in the next
        signal[tumor.start] *= 0.7 + 0.7 * float(uniform(generator, 1))
    signal[tumor.stop :] *= 1 + 0.08 * normal(generator, len(OUTSIDE))
    deep, white, cortex = (TISSUES.index(name) for name in ("deep", "white", "cortex"))
    if contrast in ("t1", "t1gd"):
        signal[white] -= 0.8 * person["contrast_loss"] * (signal[white] - signal[cortex])
        signal[deep] *= 1 + person["iron"] / 3
    else:
        signal[deep] *= 1 - person["iron"]
    return signal


def blur_weight(width: float, spacing: float) -> float:
    """Side weight w of the kernel (w, 1 - 2w, w) whose variance is that of a box of `width` mm."""
    return min(0.33, width**2 / (24 * spacing**2))


def _blur(image: torch.Tensor, axis: int, weights: torch.Tensor) -> torch.Tensor:
    """Three-point blur of (N, X, Y, Z) along axis 1 to 3, one side weight per person."""
    w = weights.view(-1, 1, 1, 1)
    first, last = image.narrow(axis, 0, 1), image.narrow(axis, image.shape[axis] - 1, 1)
    padded = torch.cat([first, image, last], axis)
    size = image.shape[axis]
    return image * (1 - 2 * w) + w * (padded.narrow(axis, 0, size) + padded.narrow(axis, 2, size))


def acquire(tissues: dict, people: list[dict], contrast: str, spacing: float) -> torch.Tensor:
    """One contrast of all people, (N, X, Y, Z) float32, at least zero.

    `tissues` holds soft maps (N, X, Y, Z) by name, those of ALL_TISSUES that exist, and `residual`,
    `mask`, `vessel`. Raises KeyError for an unknown contrast.
    """
    mask = tissues["mask"]
    device, shape = mask.device, tuple(mask.shape[1:])
    count = len(people)
    signals = torch.stack([draw_signals(person, contrast) for person in people]).to(device)

    def column(values):
        return torch.tensor(values, device=device).view(count, 1, 1, 1)

    image = RESIDUAL[contrast] * tissues["residual"] + VESSEL[contrast] * tissues["vessel"]
    for k, name in enumerate(ALL_TISSUES):
        if name in tissues:
            image = image + signals[:, k].view(count, 1, 1, 1) * tissues[name]
    if "fluid_outside" in tissues:  # between brain and skull
        fluid = signals[:, TISSUES.index("csf")].view(count, 1, 1, 1)
        image = image + fluid * tissues["fluid_outside"]
    # Texture belongs to the person: the same on every contrast.
    streams = [person["stream"]("texture") for person in people]
    coarse = smooth_field(streams, shape, spacing, 16.0, 1, device)[:, 0]
    fine = smooth_field(streams, shape, spacing, 7.0, 1, device)[:, 0]
    solid = (mask - tissues["ventricle"] - tissues["csf"]).clamp(min=0)
    image = image + (0.012 * coarse + 0.010 * fine) * solid
    if "core" in tissues:
        lesion = tissues["core"] + 0.8 * tissues["enhancing"] + 0.5 * tissues["edema"]
        image = image + (0.07 * fine + 0.05 * coarse) * lesion
    if "fat" in tissues:
        image = image * (1 + (0.10 * coarse + 0.08 * fine) * (1 - mask))

    sites = [SITES[person["site"]] for person in people]
    streams = [person["stream"](f"bias/{contrast}") for person in people]
    bias = smooth_field(streams, shape, spacing, 90.0, 1, device)[:, 0]
    image = image.clamp(min=0) * torch.exp(column([site.bias for site in sites]) * bias)
    for axis in (1, 2, 3):
        width = [person["slice"] or s.slice if axis == person["slice_axis"] else s.blur
                 for person, s in zip(people, sites)]  # fmt: skip
        weights = [blur_weight(w, spacing) for w in width]
        image = _blur(image, axis, torch.tensor(weights, device=device))
    noise = []
    for person, site in zip(people, sites):
        generator = person["stream"](f"noise/{contrast}")
        sd = person["noise_scale"] * site.noise * (0.8 + 0.6 * float(uniform(generator, 1)))
        noise.append(sd * normal(generator, 2, *shape))
    real, imaginary = torch.stack(noise, 1).to(device)
    return torch.hypot(image + real, imaginary)
