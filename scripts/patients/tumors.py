"""Gliomas drawn anew in every batch: where they grow, what enhances, how their parts look.

`synthcohort.glioma.variation` varies a glioma within the textbook's ring; here all is drawn from wide ranges, as
patients have it: uptake from barely above its surroundings to twice white matter; rings from 1 mm, broken or thick in
places; patches, nodules, solid parts, none at all. Edema fades into white matter, and tissue shines through what only
infiltrates it. Ranges and fractions are by eye, from public scans of BraTS.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from synthcohort.fields import above, normal, per_person, soft_step, uniform
from synthcohort.glioma import growth
from synthcohort.glioma.variation import VARIED, mean_over_cube
from synthcohort.glioma.variation import C as usual
from synthcohort.tissue_maps import BRAIN, CONTRASTS, TISSUES, TissueMaps

from .draws import Draws, levels, whole_tumor

# Lowest and highest signal of a patient against white matter on T1, as in synthcohort.signals, in the order of VARIED.
RANGES = {  # t1, t1gd, t2, flair
    "edema": ((0.54, 0.92), (0.54, 0.96), (0.64, 1.20), (0.70, 1.35)),
    "enhancing": ((0.45, 1.00), (0.0, 0.0), (0.50, 1.10), (0.60, 1.30)),  # on T1Gd see UPTAKE
    "solid": ((0.40, 0.86), (0.40, 0.92), (0.64, 1.30), (0.62, 1.40)),
    "necrosis": ((0.17, 0.62), (0.17, 0.68), (0.85, 1.50), (0.12, 1.05)),
    "blood": ((0.60, 1.50), (0.60, 1.50), (0.20, 1.10), (0.25, 1.20)),
}
UPTAKE_BEFORE = (0.95, 1.75)  # lowest and highest signal of what enhances in version 0.1.0; even
UPTAKE = (1.08, 2.1)  # least against the brightest of the surroundings, most against white matter; even in logarithm
KINDS = {"ring": 0.46, "solid": 0.14, "patches": 0.14, "nodules": 0.10, "none": 0.16}  # fractions, by what enhances
NO_EDEMA = 0.45  # fraction, of tumors without enhancement, that are solid as far as they reach
ONLY_EDEMA = 0.6  # fraction, of tumors with patches or nodules, whose other tissue is edema and no core
LEAST_CORE = 500.0  # mm^3 of enhancing tumor without which such a tumor keeps its core
ROUNDED = 0.6  # fraction whose edema takes what lies between its fingers, as whoever outlines it does
BLED = 0.12  # fraction with blood
RADIUS = (5.0, 27.0)  # mm, of a tumor that grows; even in logarithm
FURTHER = 0.15  # fraction with a second focus
HALO = (2.0, 22.0)  # mm of edema round it; even in logarithm
NO_HALO = 0.15  # fraction without
RIM = (1.0, 8.0)  # mm, width of an enhancing ring; even in logarithm
DEEPEST = 14.0  # mm; what lies deeper in a tumor counts as this deep
ROUNDED_TAKES = {"white": 0.95, "lesion": 0.95, "deep": 0.8, "cortex": 1.0, "csf": 0.4}  # the last two times chance


def grow(tissues: TissueMaps, spacing: float, fraction: float, generator: Generator) -> tuple[TissueMaps, Tensor]:
    """With a tumor of core and edema in a fraction of the people who had none, in place of what was there.

    Also how much of the tissue shines through it, (N, 1, 1, 1); the maps of the tissues keep that much.
    """
    draws = Draws(generator, tissues.mask, spacing)
    without = per_person(whole_tumor(tissues).flatten(1).sum(1) < 10)
    some = draws.some(fraction) * without
    beyond_core = _beyond_core(tissues, draws)
    halo = draws.between_log(*HALO) * (1 - draws.some(NO_HALO))
    path = growth.paths(tissues)
    fingers = draws.between(0.0, 5.0) * draws.field(12.0)
    reach = halo * (1 + 0.3 * draws.field(32.0))
    beyond_edema = beyond_core - reach - (growth.C.path_reach * path + fingers) * (halo / 8).clamp(max=1)
    edge = draws.between(0.2, 1.0) * spacing  # some tumors end nowhere in particular
    inside = tissues.mask * (1 - tissues["ventricle"])
    core = soft_step(-beyond_core, edge) * inside * (1 - 0.7 * tissues["csf"]) * some
    least = draws.between(0.1, 0.6)  # of edema in cortex
    permitted = least + (1 - least) * above(path, growth.C.edema_step)
    edema = soft_step(-beyond_edema, edge) * inside * (1 - tissues["csf"]) * permitted * some * (1 - core)
    through = draws.between(0.0, 0.45) * draws.some(0.5) * some
    kept = 1 - (core + edema) * (1 - through)
    grown = {"core": tissues["core"] + core, "edema": tissues["edema"] + edema}
    left = {name: tissues[name] * kept for name in BRAIN[1:]}
    residual = 0.5 + (tissues.residual - 0.5) * kept  # packed: 0.5 is none
    vessel = None if tissues.vessel is None else tissues.vessel * (1 - core)
    return replace(tissues.updated(left | grown), residual=residual, vessel=vessel), through


def _beyond_core(tissues: TissueMaps, draws: Draws) -> Tensor:
    """Distance from the surface of one or two lumps in white or deep gray matter, mm, negative inside."""
    room = tissues["white"] + tissues["lesion"] + 0.5 * tissues["deep"] + 0.2 * tissues["cortex"]
    (count, *shape), spacing = room.shape, draws.spacing
    places = torch.multinomial(room.flatten(1) ** 2 + 1e-9, 2, generator=draws.generator)
    radius = draws.between_log(*RADIUS)
    further = draws.some(FURTHER)
    bumps = draws.between(0.5, 1.8) * (0.16 * draws.field(40.0) + 0.12 * draws.field(20.0) + 0.07 * draws.field(9.0))
    axes = [torch.arange(n, device=room.device) * spacing for n in shape]
    beyond = []
    for k, place in enumerate(places.unbind(1)):
        center = torch.stack(torch.unravel_index(place, tuple(shape)), 1) * spacing
        stretch = torch.exp(0.2 * normal(draws.generator, count, 3))
        stretch = stretch / stretch.prod(1, keepdim=True) ** (1 / 3)
        squares = []
        for a, axis in enumerate(axes):
            offset = axis.view([-1 if at == a else 1 for at in range(3)]) - per_person(center[:, a])
            squares.append((offset / per_person(stretch[:, a])) ** 2)
        distance = (squares[0] + squares[1] + squares[2]).sqrt()
        own = radius if k == 0 else radius * draws.between(0.3, 0.7)
        beyond.append(distance - own * (1 + bumps))
    return torch.minimum(beyond[0], beyond[1] + 1e3 * (1 - further))


def divide(tissues: TissueMaps, spacing: float, generator: Generator) -> tuple[TissueMaps, dict[str, Tensor]]:
    """What of each tumor enhances, is dead, is solid or has bled, drawn anew: the tissues, and maps of VARIED.

    `core`, `enhancing` and `edema` change; their sum stays, but for edema that is rounded.
    """
    draws = Draws(generator, tissues.mask, spacing)
    tissues = _rounded(tissues, draws)
    fractions = tissues.mask.new_tensor(list(KINDS.values())).expand(len(tissues.mask), -1)
    drawn = torch.multinomial(fractions, 1, generator=generator)[:, 0]
    kind = {name: per_person(drawn == k).float() for k, name in enumerate(KINDS)}
    joined = tissues["edema"] * kind["none"] * draws.some(NO_EDEMA)
    core = tissues["core"] + tissues["enhancing"] + joined
    enhancing = core * _takes_up(core, kind, draws)
    rest = core - enhancing
    enough = per_person(enhancing.flatten(1).sum(1) * spacing**3 > LEAST_CORE)
    spared = (kind["patches"] + kind["nodules"]) * enough * draws.some(ONLY_EDEMA) * rest
    rest, edema = rest - spared, tissues["edema"] - joined + spared
    level = draws.between(-0.3, 1.5) - usual.silent_alive * kind["none"]
    middle = mean_over_cube(core, usual.dead_cube, spacing) - 1.0
    dead = soft_step(middle + usual.dead_field * draws.field(25.0) + level, usual.dead_step[1])
    blood = draws.some(BLED) * above(draws.field(22.0), usual.blood_step)
    parts = {"edema": edema, "enhancing": enhancing, "solid": rest * (1 - dead) * (1 - blood)}
    parts |= {"necrosis": rest * dead * (1 - blood), "blood": rest * blood}
    return tissues.updated({"core": rest, "enhancing": enhancing, "edema": edema}), parts


def _takes_up(core: Tensor, kind: dict[str, Tensor], draws: Draws) -> Tensor:
    """What fraction of a voxel of the core takes up gadolinium; `kind` (N, 1, 1, 1) is 1 for one of KINDS."""
    edge = 0.25 * draws.spacing
    thick = draws.between_log(*RIM)
    thick = (thick * (1 + draws.between(0.0, 0.9) * draws.field(16.0))).clamp(min=0.3)
    ring = soft_step(thick - depth(core, draws.spacing), edge)
    ring = ring * (1 - draws.some(0.4) * draws.patches(22.0, -0.4, 1.0, 0.15))  # gaps
    fine = draws.field(12.0) + 0.6 * draws.field(7.0)
    patches = soft_step(fine - draws.between(-0.4, 1.4), 0.25)
    nodules = draws.patches(20.0, 0.5, 1.4, 0.12)
    solid = 1 - draws.patches(18.0, 0.7, 2.0, 0.15)
    walls = torch.exp(-((draws.field(24.0) / 0.2) ** 2)) * draws.some(0.15)  # between the chambers of a cyst
    ring = torch.maximum(torch.maximum(ring, walls), patches * draws.some(0.25))
    return kind["ring"] * ring + kind["solid"] * solid + kind["patches"] * patches + kind["nodules"] * nodules


def _rounded(tissues: TissueMaps, draws: Draws) -> TissueMaps:
    some, cortex = draws.some(ROUNDED), draws.between(0.2, 0.9)
    near = mean_over_cube(whole_tumor(tissues).clamp(0, 1), 9.0, draws.spacing)
    near = some * soft_step(near - 0.5, 0.08) * (near > 0.1)
    changed = {"edema": tissues["edema"]}
    for name, ease in ROUNDED_TAKES.items():
        taken = tissues[name] * (ease * cortex if name in ("cortex", "csf") else ease) * near
        changed[name] = tissues[name] - taken
        changed["edema"] = changed["edema"] + taken
    return tissues.updated(changed)


def depth(shape: Tensor, spacing: float) -> Tensor:
    """How deep in mm a voxel's middle lies in a soft shape (N, X, Y, Z), about, up to DEEPEST."""
    total, left = shape, shape
    for k in range(round(DEEPEST / spacing) - 1):
        if k % 2:
            left = -F.max_pool3d(-left, 3, 1, 1)
        else:  # a cross and a cube in turn make something round
            sides = ((3, 1, 1), (1, 3, 1), (1, 1, 3))
            left = torch.stack([-F.max_pool3d(-left, side, 1, [s // 2 for s in side]) for side in sides]).amin(0)
        total = total + left
    return spacing * (total - 0.5)


def fading(tissues: TissueMaps, spacing: float, generator: Generator) -> Tensor:
    """How much of its contrast edema has lost, (N, X, Y, Z), 0 to 0.75: most at its outer edge."""
    draws = Draws(generator, tissues.mask, spacing)
    near = mean_over_cube(whole_tumor(tissues).clamp(0, 1), 14.0, spacing)
    return (draws.between(0.0, 1.1) * (0.85 - near)).clamp(0, 0.75) * draws.some(0.7)


def ranks(count: int, untied: bool, generator: Generator) -> dict[str, Tensor]:
    """For each contrast where in its range each part of each person lies, (N, parts): `untied`, T1 and T1Gd are only
    loosely tied, else alike."""
    rank = dict(zip(CONTRASTS, uniform(generator, len(CONTRASTS), count, len(VARIED)), strict=True))
    tie = uniform(generator, count, 1).clamp(min=0 if untied else 1)
    return rank | {"t1gd": tie * rank["t1"] + (1 - tie) * rank["t1gd"]}


def paint(
    parts: dict[str, Tensor],
    contrast: str,
    rank: Tensor,
    signals: Tensor,
    through: Tensor,
    fade: Tensor,
    uptake: Tensor,
    faint: bool = True,
) -> Tensor:
    """Signal (N, X, Y, Z) of the tumor on one contrast, 0 elsewhere.

    `signals` (N, tissues) are those of this contrast, `fade` (N, X, Y, Z) how much edema looks like white matter,
    `uptake` (N,) how strong, 0 to 1: within UPTAKE, or if not `faint` within UPTAKE_BEFORE. Raises ValueError for an
    unknown contrast.
    """
    level = dict(zip(VARIED, levels(RANGES, CONTRASTS.index(contrast), rank).unbind(1), strict=True))
    white = signals[:, TISSUES.index("white")]
    if contrast == "t1gd":
        least = UPTAKE[0] * torch.maximum(level["edema"], level["solid"])
        most = torch.maximum(UPTAKE[1] * white, 1.15 * least)
        level["enhancing"] = least * (most / least) ** uptake
        if not faint:
            level["enhancing"] = UPTAKE_BEFORE[0] + (UPTAKE_BEFORE[1] - UPTAKE_BEFORE[0]) * uptake
    signal = {name: per_person(values) for name, values in level.items()}
    signal["edema"] = signal["edema"] + (per_person(white) - signal["edema"]) * fade
    image = torch.zeros_like(fade)
    for name in VARIED:
        seen = parts[name] * (1 - through) if name in ("edema", "solid", "enhancing") else parts[name]
        image = image + signal[name] * seen
    return image
