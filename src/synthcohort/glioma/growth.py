"""Gliomas: one or several foci with a core, an enhancing rim, edema along white matter, and mass effect.

Labels as in Task01 of the Medical Segmentation Decathlon: 1 edema, 2 non-enhancing tumor or necrosis, 3 enhancing tumor
(Antonelli et al., Nat Commun 13:4128, 2022; regions as in BraTS, Menze et al., IEEE TMI 34:1993, 2015).
"""

import math
from dataclasses import replace
from functools import cache

import torch
from torch import Generator, Tensor

from ..fields import above, between, normal, smooth_field, soft_step, uniform
from ..grid import CENTER, Grid
from ..people import Glioma, People
from ..tables import constants
from ..template import LOW, read_template
from ..tissue_maps import BRAIN, TissueMaps
from ..warping import pose_of

FOCI = 3  # places for foci; most people use one
C = constants(__file__)


@cache
def start_points() -> Tensor:
    """Places (M, 3) in MNI mm, on the CPU, where a glioma can start: in white matter, deep enough, off the midline."""
    white, depth, phi = (values[::2, ::2, ::2] for values in read_template(("wm", "depth", "phi"), 2))
    index = ((white > C.start_white) & (depth > C.start_depth) & (phi > C.start_phi)).nonzero()
    points = index.float() * 4 + torch.tensor(LOW) + 0.5
    return points[(points[:, 0].abs() > C.start_midline) & (points[:, 2] > C.start_z)]


def draw_glioma(generator: Generator) -> Glioma:
    """The geometry of one person's tumor."""
    seeds = start_points()
    u, z = uniform(generator, 8), normal(generator, FOCI, 3)
    spare, places = uniform(generator, FOCI, 3), uniform(generator, FOCI)
    several, enhancing = bool(u[0] < C.multifocal), bool(u[1] > C.non_enhancing)
    center = seeds[(places * len(seeds)).long().clamp(max=len(seeds) - 1)].clone()
    for k in range(1, FOCI):  # further foci lie in the direction of another seed point
        way = center[k] - center[0]
        near = center[0] + way / way.norm().clamp(min=1) * between(C.distance, float(spare[k, 0]))
        center[k] = seeds[(seeds - near).norm(dim=1).argmin()]
    low, high = C.core_radius
    core = low + (high - low) * float(u[2]) ** C.core_power * torch.tensor(C.further_size)
    core[1:] = core[1:].clamp(max=C.further_radius) * between(C.further_chance, spare[1:, 1])
    halo = between(C.halo if enhancing else C.silent_halo, u[3])
    stretch = torch.exp(C.stretch_sd * z)
    return Glioma(
        center=center, core=core,
        edema=core * between(C.edema_radius, u[4]) + halo * torch.tensor(C.halo_size),
        active=torch.tensor([1.0, several, several and bool(u[7] < C.third)]),
        stretch=stretch / stretch.prod(1, keepdim=True) ** (1 / 3),
        push=float(C.push * core[0] * (1.0 if enhancing else C.silent_push) * between(C.push_chance, u[5])),
        rim=float(between(C.rim, u[6])), necrosis=float(uniform(generator, 1)), enhancing=enhancing,
    )  # fmt: skip


def describe(glioma: Glioma) -> dict[str, float]:
    """The geometry as numbers for the table of truths: mm, and volumes of the drawn ellipsoids in ml."""
    x, y, z = glioma.center[0].tolist()
    core, whole = (float((4 / 3 * math.pi * r**3 * glioma.active).sum() / 1000) for r in (glioma.core, glioma.edema))
    sizes = {"tumor_x": x, "tumor_y": y, "tumor_z": z, "foci": glioma.foci, "core_ml": core, "whole_ml": whole}
    return sizes | {"enhances": glioma.enhancing, "rim_mm": glioma.rim, "push_mm": glioma.push}


def _foci(people: People) -> list[Tensor]:
    """Center (mm of the image) and stretch of all foci, (N, FOCI, 1, 1, 1, 3), core, edema, active, without the 3."""
    matrix, shift = pose_of(people)
    foci = [(g.center, g.stretch, g.core, g.edema, g.active) for person in people if (g := person.glioma)]
    center, *others = (torch.stack(values) for values in zip(*foci, strict=True))
    center = (center - torch.tensor(CENTER) - shift[:, None]) @ torch.linalg.inv(matrix).transpose(1, 2)
    return [values.to(people.device)[:, :, None, None, None] for values in (center, *others)]


def push(people: People, points: Tensor) -> Tensor:
    """Mass effect as a pull-back of image points (N, X, Y, Z, 3), mm from CENTER: radial, rising, so nothing folds."""
    centers, stretch, cores, _, active = _foci(people)
    strength = people.column(person.glioma.push for person in people if person.glioma)
    for k in range(FOCI):
        core, offset = cores[:, k], points - centers[:, k]
        distance = (offset / stretch[:, k]).norm(dim=-1)
        amount = strength * active[:, k] * (1.0 if k == 0 else C.further_push)
        fading = torch.exp(-((distance / (C.push_fades * core + C.push_beyond)) ** 2))
        weight = (distance / (C.push_rises * core)).clamp(max=1) * fading
        points = points - offset / (distance[..., None] + 1e-3) * (amount * weight)[..., None]
    return points


def paths(tissues: TissueMaps) -> Tensor:
    """How well edema spreads, (N, X, Y, Z): positive along white matter, negative in gray matter and fluid."""
    return (tissues["white"] + tissues["lesion"] + C.deep_path * tissues["deep"]).clamp(0, 1) - C.neutral_path


def grow(tissues: TissueMaps, depth: Tensor, people: People, grid: Grid) -> TissueMaps:
    """With a tumor in place of what was there; `depth` (N, X, Y, Z): from the surface of the template's brain, mm."""
    device, (centers, stretch, cores, edemas, active) = people.device, _foci(people)
    distance = ((grid.points(device) - centers) / stretch).norm(dim=-1)
    streams, scales = people.streams("field/tumor"), (C.lobes, C.bumps, C.grain, C.rough)
    fields = (smooth_field(streams, grid.shape, grid.spacing, scale, 1, device)[:, 0] for scale in scales)
    lobes, bumps, grain, rough = fields
    far = 1e3 * (1 - active)
    to_core = distance - cores * (1 + C.core_lobes * lobes + C.core_bumps * bumps)[:, None] + far
    to_edema = distance - edemas * (1 + C.edema_rough * rough + C.edema_bumps * bumps)[:, None] + far
    path = paths(tissues)
    beyond_core, beyond_edema = to_core.amin(1), to_edema.amin(1) - C.path_reach * path  # mm, negative inside

    edge = C.edge * grid.spacing
    inside = tissues.mask * (1 - tissues["ventricle"]) * above(depth, C.spared_step)
    core = soft_step(-beyond_core, edge) * inside
    edema = soft_step(-beyond_edema, edge) * inside * (1 - tissues["csf"]) * (1 - core)
    edema = edema * (C.least_edema + (1 - C.least_edema) * above(path, C.edema_step))
    gliomas = [person.glioma for person in people if person.glioma]
    rim = people.column(glioma.rim for glioma in gliomas) * (1 + C.rim_grain * grain).clamp(min=C.thinnest_rim)
    dead = C.death * people.column(glioma.necrosis for glioma in gliomas) + C.death_bumps * bumps
    necrosis = soft_step(-(beyond_core + rim), edge) * above(dead, C.death_step)
    whole = above(C.whole_grain * grain, C.whole_step)  # the rim, where it has no gap
    enhancing = core * (1 - necrosis) * whole * people.column(glioma.enhancing for glioma in gliomas)
    kept = 1 - core - edema
    left = {name: tissues[name] * kept for name in BRAIN[1:]}
    grown = {"edema": edema, "core": (core - enhancing).clamp(min=0), "enhancing": enhancing}
    return replace(tissues.updated(left | grown), residual=tissues.residual * kept)
