"""The same glioma as other patients have it: solid or necrotic, enhancing more or less, with more or less edema.

For training on people whose tissue maps are kept: the parts of a tumor change places and looks at every batch. Hardly
any tumor is only a ring, and one in ten or so has bled.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..fields import chance, noise_field, normal, per_person, soft_step, uniform
from ..signals import SIGNALS
from ..tissue_maps import CONTRASTS, TissueMaps

VARIED = ("edema", "enhancing", "solid", "necrosis", "blood")  # the parts: `core` falls into three
# Fractions of people; by eye, so that generated tumors look as varied as those of BraTS.
FILLED = 0.35  # whose core enhances further inwards
BROKEN = 0.30  # whose enhancing rim has gaps
SILENT = 0.10  # besides those of growth.NON_ENHANCING, without any enhancement
SPREAD = 0.40  # of those with enhancement, whose edema reaches further into white matter
BLED = 0.10
EDEMA_TAKES = {"white": 0.95, "lesion": 0.95, "deep": 0.6, "cortex": 0.15}  # of each tissue, where it reaches


def vary(tissues: TissueMaps, spacing: float, generator: Generator) -> tuple[TissueMaps, dict[str, Tensor]]:
    """Tissue maps with another tumor of the same people, and its parts, those of VARIED (N, X, Y, Z). Edema spreads at
    the cost of the other tissues; `solid`, `necrosis` and `blood` add up to `core`.
    """
    core, rim = tissues["core"], tissues["enhancing"]
    each = (len(core), 1, 1, 1)  # one number per person
    field = partial(noise_field, generator, core, spacing=spacing)
    # Enhancement: none, or with gaps, or further in.
    silent = chance(generator, SILENT, *each)
    lost = torch.maximum(silent, chance(generator, BROKEN, *each) * soft_step(field(15.0) - 0.4, 0.15))
    core, rim = core + rim * lost, rim * (1 - lost)
    near = mean_over_cube(rim, 9.0, spacing)
    won = chance(generator, FILLED, *each) * soft_step(near + 0.12 * field(12.0) - 0.25, 0.05) * (near > 0.02)
    core, rim = core * (1 - won), rim + core * won
    enhances = per_person((rim.flatten(1).amax(1) > 0.5).float())
    # Edema further into the tissues of EDEMA_TAKES.
    spread, uneven = chance(generator, SPREAD, *each) * enhances, field(20.0)
    near = mean_over_cube((core + tissues["edema"] + rim).clamp(0, 1), 15.0, spacing)
    reached = spread * soft_step(near + 0.08 * uneven - 0.2, 0.03) * (near > 0.02)
    changed = {"core": core, "enhancing": rim, "edema": tissues["edema"]}
    for name, ease in EDEMA_TAKES.items():
        taken = tissues[name] * ease * reached
        changed[name] = tissues[name] - taken
        changed["edema"] = changed["edema"] + taken
    # What does not enhance is dead in the middle of an enhancing tumor, and mostly solid in another one.
    level = uniform(generator, *each) * 1.6 - 0.2 - 0.7 * (1 - enhances)
    middle = mean_over_cube(core + rim, 15.0, spacing)
    dead = soft_step(middle - 0.6 + 0.25 * field(14.0) + level - 0.4, 0.1)
    blood = chance(generator, BLED, *each) * soft_step(field(12.0) - 0.7, 0.15)
    parts = {"edema": changed["edema"], "enhancing": rim, "solid": core * (1 - dead) * (1 - blood)}
    return tissues.updated(changed), parts | {"necrosis": core * dead * (1 - blood), "blood": core * blood}


def paint(parts: dict[str, Tensor], contrasts: tuple[str, ...], generator: Generator) -> list[Tensor]:
    """Signal (N, X, Y, Z) of the tumor on each contrast, 0 elsewhere. Raises KeyError for an unknown contrast."""
    count = len(parts["edema"])
    rank = dict(zip(CONTRASTS, uniform(generator, len(CONTRASTS), count, len(VARIED)), strict=True))
    for part, name in enumerate(VARIED):
        if name != "enhancing":  # in the other parts T1 and T1Gd hardly differ
            rank["t1gd"][:, part] = (rank["t1"][:, part] + 0.1 * normal(generator, count)).clamp(0, 1)
    images = []
    for contrast in contrasts:
        ranges = [SIGNALS[part][contrast][1:] for part in VARIED]
        low, high = torch.tensor(ranges, device=generator.device).unbind(1)
        levels = (low + (high - low) * rank[contrast]).unbind(1)
        painted = [per_person(level) * parts[part] for part, level in zip(VARIED, levels, strict=True)]
        images.append(sum(painted[1:], painted[0]))
    return images


def mean_over_cube(values: Tensor, width: float, spacing: float) -> Tensor:
    """Mean over a cube of about `width` mm, (N, X, Y, Z), one axis after the other."""
    half = round(width / spacing / 2)
    for side in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        values = F.avg_pool3d(values, [2 * half * s + 1 for s in side], 1, [half * s for s in side])
    return values
