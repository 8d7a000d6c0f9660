"""The same glioma as other patients have it: solid or necrotic, enhancing more or less, with more or less edema.

For training on people whose tissue maps are kept: the parts of a tumor change places and looks at every
batch. The ranges follow what radiology describes: a necrotic core is dark on T1 and anything from dark to
bright on FLAIR, a solid part without enhancement looks much like edema, hardly any tumor is only a ring,
and one in ten or so has bled.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import chance, normal, smooth, uniform

# Signals against white matter on T1 as in scanner.SIGNAL: lowest and highest of a patient.
LOOKS = {
    "t1": {"edema": (0.54, 0.84), "enhancing": (0.45, 0.85), "solid": (0.40, 0.76), "necrosis": (0.18, 0.50), "blood": (0.7, 1.4)},
    "t1gd": {"edema": (0.54, 0.84), "enhancing": (0.95, 1.75), "solid": (0.40, 0.76), "necrosis": (0.18, 0.50), "blood": (0.7, 1.4)},
    "t2": {"edema": (0.72, 1.15), "enhancing": (0.55, 1.00), "solid": (0.72, 1.20), "necrosis": (0.90, 1.35), "blood": (0.2, 1.1)},
    "flair": {"edema": (0.82, 1.35), "enhancing": (0.65, 1.20), "solid": (0.65, 1.25), "necrosis": (0.15, 1.00), "blood": (0.3, 1.2)},
}  # fmt: skip
PARTS = ("edema", "enhancing", "solid", "necrosis", "blood")
FILLED = 0.35  # share of people whose core enhances further inwards
BROKEN = 0.30  # share whose enhancing rim has gaps
SILENT = 0.10  # share, besides those of tumor.NON_ENHANCING, without any enhancement
SPREAD = 0.40  # share, of those with enhancement, whose edema reaches further into white matter
BLED = 0.10


def vary(tissue: dict[str, Tensor], spacing: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Change `edema`, `core` and `enhancing` of soft maps (N, X, Y, Z) in place; returns those of PARTS.

    The whole tumor grows where edema spreads, at the cost of the other tissues; nothing leaves the brain.
    `solid`, `necrosis` and `blood` add up to `core`.
    """
    count, shape = len(tissue["core"]), tuple(tissue["core"].shape[1:])

    def field(width):
        return smooth(count, shape, width, spacing, generator)

    def some(share):
        return chance(share, count, generator).float().view(-1, 1, 1, 1)

    # Enhancement: none, or with gaps, or further in.
    core, rim = tissue["core"], tissue["enhancing"]
    lost = torch.maximum(some(SILENT).expand_as(rim), some(BROKEN) * torch.sigmoid((field(15.0) - 0.4) / 0.15))
    core, rim = core + rim * lost, rim * (1 - lost)
    near = _blur(rim, 9.0, spacing)
    won = some(FILLED) * torch.sigmoid((near + 0.12 * field(12.0) - 0.25) / 0.05) * (near > 0.02)
    core, rim = core * (1 - won), rim + core * won
    tissue["core"], tissue["enhancing"] = core, rim
    enhances = (rim.flatten(1).amax(1) > 0.5).float().view(-1, 1, 1, 1)
    _spread_edema(tissue, some(SPREAD) * enhances, field(20.0), spacing)

    # What does not enhance is dead in the middle of an enhancing tumor, and mostly solid in another one.
    level = uniform((count, 1, 1, 1), generator) * 1.6 - 0.2 - 0.7 * (1 - enhances)
    middle = _blur(core + rim, 15.0, spacing)
    dead = torch.sigmoid((middle - 0.6 + 0.25 * field(14.0) + level - 0.4) / 0.1)
    blood = some(BLED) * torch.sigmoid((field(12.0) - 0.7) / 0.15)
    return {
        "edema": tissue["edema"], "enhancing": rim,
        "solid": core * (1 - dead) * (1 - blood), "necrosis": core * dead * (1 - blood), "blood": core * blood,
    }  # fmt: skip


def paint(parts: dict[str, Tensor], contrasts: tuple[str, ...], generator: torch.Generator) -> list[Tensor]:
    """Signal (N, X, Y, Z) of the tumor on each contrast, 0 elsewhere. T1 and T1Gd differ only in what enhances.

    Raises KeyError for a contrast that is not in LOOKS.
    """
    count = len(parts["edema"])
    rank = dict(zip(LOOKS, uniform((len(LOOKS), count, len(PARTS)), generator)))
    for part in range(len(PARTS)):
        if PARTS[part] != "enhancing":
            rank["t1gd"][:, part] = (rank["t1"][:, part] + 0.1 * normal((count,), generator)).clamp(0, 1)
    images = []
    for contrast in contrasts:
        low, high = torch.tensor([LOOKS[contrast][part] for part in PARTS], device=generator.device).unbind(1)
        levels = low + (high - low) * rank[contrast]
        images.append(sum(level.view(-1, 1, 1, 1) * parts[part] for part, level in zip(PARTS, levels.unbind(1))))
    return images


def _spread_edema(tissue: dict[str, Tensor], some: Tensor, field: Tensor, spacing: float) -> None:
    near = _blur((tissue["core"] + tissue["edema"] + tissue["enhancing"]).clamp(0, 1), 15.0, spacing)
    reached = some * torch.sigmoid((near + 0.08 * field - 0.2) / 0.03) * (near > 0.02)
    for name, ease in (("white", 0.95), ("lesion", 0.95), ("deep", 0.6), ("cortex", 0.15)):
        taken = tissue[name] * ease * reached
        tissue[name] = tissue[name] - taken
        tissue["edema"] = tissue["edema"] + taken


def _blur(share: Tensor, width: float, spacing: float) -> Tensor:
    """Mean over a cube of about `width` mm, (N, X, Y, Z), one axis after the other."""
    half = round(width / spacing / 2)
    for side in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        share = F.avg_pool3d(share, [2 * half * s + 1 for s in side], 1, [half * s for s in side])
    return share
