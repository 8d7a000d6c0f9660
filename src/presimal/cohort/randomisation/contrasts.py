"""Which signal each tissue gives, and the image that they make together."""

import torch
from torch import Tensor

from ..scanner import ALL_TISSUES, CONTRASTS, LESIONS, OUTSIDE, RESIDUAL, SIGNAL, VESSEL
from ..tissue import TISSUES
from .draws import chance, normal, smooth, uniform
from .settings import Randomisation

BRAIN_SIGNALS = slice(TISSUES.index("cortex"), len(TISSUES))  # similar on most contrasts
GREY_AND_WHITE = slice(TISSUES.index("cortex"), TISSUES.index("white") + 1)


def signals_of(contrast: str | None, count: int, how: Randomisation, generator):
    """Signals (N, tissues) in the order of ALL_TISSUES, and the gains of residual and vessels (N,)."""
    device = generator.device
    known = torch.tensor([SIGNAL[name] for name in CONTRASTS], device=device)
    gains = torch.tensor([(RESIDUAL[name], VESSEL[name]) for name in CONTRASTS], device=device)
    if contrast is None:  # between two real ones: proton density lies between T1 and T2
        first, second = (torch.randint(len(CONTRASTS), (count,), generator=generator, device=device) for _ in "ab")
        mix = uniform((count, 1), generator) * (chance(0.4, count, generator)[:, None])
        signals = known[first] * (1 - mix) + known[second] * mix
        gain = gains[first] * (1 - mix) + gains[second] * mix
    else:
        index = torch.full((count,), CONTRASTS.index(contrast), device=device)
        signals, gain = known[index], gains[index]
    signals = signals * (1 + how.jitter * normal(signals.shape, generator))
    if contrast is None:
        free = _invented(count, generator)
        invented = chance(how.invented, count, generator)[:, None]
        signals = torch.where(invented, free, signals)
        gain = torch.where(invented, gain * normal(gain.shape, generator), gain)
    if how.flat:  # spin echo shows less of the difference between grey and white matter than MPRAGE
        kept = 1 - how.flat * uniform((count, 1), generator)
        brain = signals[:, GREY_AND_WHITE]
        signals[:, GREY_AND_WHITE] = brain.mean(1, keepdim=True) * (1 - kept) + brain * kept
        gain = torch.cat([gain[:, :1] * kept, gain[:, 1:]], 1)
    return signals.clamp(min=0), gain[:, 0], gain[:, 1]


def _invented(count: int, generator) -> Tensor:
    """Any signal for any tissue; those of the brain resemble each other more often than not."""
    free = 1.2 * uniform((count, len(ALL_TISSUES)), generator)
    alike = 0.35 * normal((count, len(TISSUES) - BRAIN_SIGNALS.start), generator) * uniform((count, 1), generator)
    free[:, BRAIN_SIGNALS] = free[:, [TISSUES.index("white")]] + alike
    free[:, ALL_TISSUES.index("air")] = 0.08 * uniform((count,), generator)
    return free


def paint(tissue, signals, gain, vessel, lesion, spacing, how, generator) -> Tensor:
    """The image (N, X, Y, Z). `lesion` (N, X, Y, Z) is the tumor painted already, None if there is none."""
    mask = tissue["mask"]
    count, shape = len(mask), tuple(mask.shape[1:])
    image = gain.view(-1, 1, 1, 1) * 0.24 * (tissue["residual"] - 0.5) * mask
    if "vessel" in tissue:
        strength = vessel * (0.4 + uniform((count,), generator))
        image = image + strength.view(-1, 1, 1, 1) * tissue["vessel"]
    if lesion is not None:
        image = image + lesion
    for k, name in enumerate(ALL_TISSUES):
        if name in tissue and (lesion is None or name not in LESIONS):
            image = image + signals[:, k].view(-1, 1, 1, 1) * tissue[name]
    if "core" in tissue:  # a tumor is never even
        inside = tissue["core"] + 0.7 * tissue["enhancing"] + 0.4 * tissue["edema"]
        uneven = smooth(count, shape, 14.0, spacing, generator) + 0.7 * smooth(count, shape, 6.0, spacing, generator)
        image = image * (1 + 0.25 * uniform((count, 1, 1, 1), generator) * uneven * inside)
    image = image + 0.04 * uniform((count, 1, 1, 1), generator) * smooth(count, shape, 20.0, spacing, generator) * mask
    if OUTSIDE[0] in tissue:
        uneven = smooth(count, shape, 14.0, spacing, generator) + 0.7 * smooth(count, shape, 32.0, spacing, generator)
        amount = how.texture * uniform((count, 1, 1, 1), generator)
        image = image * (1 + amount * uneven * (1 - mask))
    return image.clamp(min=0)
