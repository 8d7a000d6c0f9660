"""The same glioma as other patients have it: solid or necrotic, enhancing more or less, with more or less edema.

For training on people whose tissue maps are kept: the parts of a tumor change places and looks at every batch.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..fields import above, between, chance, noise_field, normal, per_person, uniform
from ..signals import RANGES
from ..tables import constants
from ..tissue_maps import CONTRASTS, TissueMaps

VARIED = ("edema", "enhancing", "solid", "necrosis", "blood")  # the parts: `core` falls into three
C = constants(__file__)


def vary(tissues: TissueMaps, spacing: float, generator: Generator) -> tuple[TissueMaps, dict[str, Tensor]]:
    """Tissue maps with another tumor of the same people, and its parts, those of VARIED (N, X, Y, Z). Edema spreads at
    the cost of the other tissues; `solid`, `necrosis` and `blood` add up to `core`."""
    core, rim = tissues["core"], tissues["enhancing"]
    each = (len(core), 1, 1, 1)  # one number per person
    field = partial(noise_field, generator, core, spacing=spacing)
    # Enhancement: none, or with gaps, or further in.
    silent = chance(generator, C.silent, *each)
    lost = torch.maximum(silent, chance(generator, C.broken, *each) * above(field(C.gap_width), C.gap_step))
    core, rim = core + rim * lost, rim * (1 - lost)
    near = mean_over_cube(rim, C.fill_cube, spacing)
    won = (
        chance(generator, C.filled, *each)
        * above(near + C.fill_field * field(C.fill_width), C.fill_step)
        * (near > C.near)
    )
    core, rim = core * (1 - won), rim + core * won
    enhances = per_person((rim.flatten(1).amax(1) > 0.5).float())
    # Edema further into the tissues that it can take.
    spread, uneven = chance(generator, C.spread, *each) * enhances, field(C.spread_width)
    near = mean_over_cube((core + tissues["edema"] + rim).clamp(0, 1), C.spread_cube, spacing)
    reached = spread * above(near + C.spread_field * uneven, C.spread_step) * (near > C.near)
    taken = {name: tissues[name] * ease * reached for name, ease in C.edema_takes.items()}
    edema = sum(taken.values(), tissues["edema"])
    changed = {"core": core, "enhancing": rim, "edema": edema, **{n: tissues[n] - t for n, t in taken.items()}}
    # What does not enhance is dead in the middle of an enhancing tumor, and mostly solid in another one.
    level = between(C.dead_level, uniform(generator, *each)) - C.silent_alive * (1 - enhances)
    middle = mean_over_cube(core + rim, C.dead_cube, spacing) - C.dead_middle
    dead = above(middle + C.dead_field * field(C.dead_width) + level, C.dead_step)
    blood = chance(generator, C.bled, *each) * above(field(C.blood_width), C.blood_step)
    parts = {"edema": edema, "enhancing": rim, "solid": core * (1 - dead) * (1 - blood)}
    return tissues.updated(changed), parts | {"necrosis": core * dead * (1 - blood), "blood": core * blood}


def paint(parts: dict[str, Tensor], contrasts: tuple[str, ...], generator: Generator) -> list[Tensor]:
    """Signal (N, X, Y, Z) of the tumor on each contrast, 0 elsewhere. Raises KeyError for an unknown contrast."""
    count = len(parts["edema"])
    rank = dict(zip(CONTRASTS, uniform(generator, len(CONTRASTS), count, len(VARIED)), strict=True))
    for part, name in enumerate(VARIED):
        if name != "enhancing":  # in the other parts T1 and T1Gd hardly differ
            rank["t1gd"][:, part] = (rank["t1"][:, part] + C.t1gd_sd * normal(generator, count)).clamp(0, 1)
    images = []
    for contrast in contrasts:
        low, high = torch.tensor([RANGES[contrast][part] for part in VARIED], device=generator.device).unbind(1)
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
