"""Gliomas: one or several foci with a core, an enhancing rim, edema along white matter, and mass effect.

Labels as in Task01 of the Medical Segmentation Decathlon: 1 edema, 2 non-enhancing tumor or necrosis, 3 enhancing tumor
(Antonelli et al., Nat Commun 13:4128, 2022; regions as in BraTS, Menze et al., IEEE TMI 34:1993, 2015).

Sizes and parts were placed by eye beside cases of BraTS, then compared with what is published. In 214 glioblastomas the
mean volumes of enhancing part, core and FLAIR lesion were 16.6, 33.6 and 97.9 ml (Loebel et al., Brain Spine 5:104324,
2025); ours are 13, 25 and 75 ml, the same fractions of a somewhat smaller tumor. 58 of 314 gliomas of all grades did
not enhance (Scott et al., Neurology 59:947, 2002). Several foci were seen in 0.5 to 35 % of glioblastomas (Thomas et
al., J Neurooncol 112:91, 2013, and the studies cited there).
"""

import math

import torch
from torch import Generator, Tensor

from ..fields import normal, smooth_field, soft_step, uniform
from ..grid import CENTER, Grid
from ..people import Glioma, People
from ..tissue_maps import BRAIN, TissueMaps
from ..warping import pose_matrix

FOCI = 3  # places for foci; most people use one
MULTIFOCAL = 0.13  # fraction of people with more than one focus
NON_ENHANCING = 0.18  # fraction of people without an enhancing part
FOCUS_DISTANCE = (25.0, 55.0)  # mm from the first focus to the others
FURTHER_SIZE = (1.0, 0.55, 0.45)  # of the foci, against the first
CORE_RADIUS = (10.0, 23.0)  # mm, of the first focus
FURTHER_RADIUS = 10.0  # mm, at most, of the others
PUSH = 0.30  # of the core radius by which the brain gives way, before chance
RIM = (3.2, 7.8)  # mm, width of the enhancing rim
FURTHER_PUSH = 0.4  # of the first focus' push


def draw_glioma(generator: Generator, seeds: Tensor) -> Glioma:
    """The geometry of one person's tumor: `seeds` (M, 3) are the MNI points where it can start."""
    u, z = uniform(generator, 8), normal(generator, FOCI, 3)
    spare, places = uniform(generator, FOCI, 3), uniform(generator, FOCI)
    several = bool(u[0] < MULTIFOCAL)
    enhancing = bool(u[1] > NON_ENHANCING)
    center = seeds[(places * len(seeds)).long().clamp(max=len(seeds) - 1)].clone()
    for k in range(1, FOCI):  # further foci lie in the direction of another seed point
        way = center[k] - center[0]
        distance = FOCUS_DISTANCE[0] + (FOCUS_DISTANCE[1] - FOCUS_DISTANCE[0]) * float(spare[k, 0])
        near = center[0] + way / way.norm().clamp(min=1) * distance
        center[k] = seeds[(seeds - near).norm(dim=1).argmin()]
    low, high = CORE_RADIUS
    core = low + (high - low) * float(u[2]) ** 0.8 * torch.tensor(FURTHER_SIZE)
    core[1:] = core[1:].clamp(max=FURTHER_RADIUS) * (0.7 + 0.5 * spare[1:, 1])
    halo = (3 + 14 * u[3]) if enhancing else (1 + 4 * u[3])
    stretch = torch.exp(0.16 * z)
    return Glioma(
        center=center,
        core=core,
        edema=core * (1.05 + 0.25 * u[4]) + halo * torch.tensor([1.0, 0.6, 0.6]),
        active=torch.tensor([1.0, several, several and bool(u[7] < 0.4)]),
        stretch=stretch / stretch.prod(1, keepdim=True) ** (1 / 3),
        push=float(PUSH * core[0] * (1.0 if enhancing else 0.5) * (0.4 + 0.8 * u[5])),
        rim=float(RIM[0] + (RIM[1] - RIM[0]) * u[6]),
        necrosis=float(uniform(generator, 1)),
        enhancing=enhancing,
    )


def describe(glioma: Glioma) -> dict[str, float]:
    """The geometry as numbers for the table of truths: mm, and volumes of the drawn ellipsoids in ml."""
    place = dict(zip(("tumor_x", "tumor_y", "tumor_z"), glioma.center[0].tolist(), strict=True))
    core, whole = (float((4 / 3 * math.pi * r**3 * glioma.active).sum() / 1000) for r in (glioma.core, glioma.edema))
    volumes = {"foci": glioma.foci, "core_ml": core, "whole_ml": whole}
    return place | volumes | {"enhances": glioma.enhancing, "rim_mm": glioma.rim, "push_mm": glioma.push}


def _foci(people: People) -> dict[str, Tensor]:
    """Members of every focus, (N, FOCI, 1, 1, 1) or (N, FOCI, 1, 1, 1, 3); centers in mm of the image."""
    foci = {name: people.stack(f"glioma.{name}") for name in ("center", "stretch", "core", "edema", "active")}
    inverse = torch.linalg.inv(pose_matrix(people.stack("rotation"), people.stack("scale")))
    center = foci["center"] - torch.tensor(CENTER) - people.stack("shift")[:, None]
    foci["center"] = center @ inverse.transpose(1, 2)
    return {name: values.to(people.device)[:, :, None, None, None] for name, values in foci.items()}


def push(people: People, points: Tensor) -> Tensor:
    """Mass effect as a pull-back of image points (N, X, Y, Z, 3), mm from CENTER: radial, rising, so nothing folds."""
    foci = _foci(people)
    strength = people.column("glioma.push")
    for k in range(FOCI):
        core = foci["core"][:, k]
        offset = points - foci["center"][:, k]
        distance = (offset / foci["stretch"][:, k]).norm(dim=-1)
        amount = strength * foci["active"][:, k] * (1.0 if k == 0 else FURTHER_PUSH)
        weight = (distance / (0.8 * core)).clamp(max=1) * torch.exp(-((distance / (2.1 * core + 8)) ** 2))
        points = points - offset / (distance[..., None] + 1e-3) * (amount * weight)[..., None]
    return points


def grow(tissues: TissueMaps, depth: Tensor, people: People, grid: Grid) -> TissueMaps:
    """With a tumor in place of what was there; `depth` (N, X, Y, Z): from the surface of the template's brain, mm."""
    device, foci = people.device, _foci(people)
    distance = ((grid.points(device) - foci["center"]) / foci["stretch"]).norm(dim=-1)
    streams = people.streams("field/tumor")
    lobes, bumps, grain, rough = (
        smooth_field(streams, grid.shape, grid.spacing, scale, 1, device)[:, 0] for scale in (24.0, 11.0, 7.0, 16.0)
    )
    far = 1e3 * (1 - foci["active"])
    to_core = distance - foci["core"] * (1 + 0.17 * lobes + 0.10 * bumps)[:, None] + far
    to_edema = distance - foci["edema"] * (1 + 0.16 * rough + 0.04 * bumps)[:, None] + far
    paths = (tissues["white"] + tissues["lesion"] + 0.7 * tissues["deep"]).clamp(0, 1) - 0.55
    beyond_core, beyond_edema = to_core.amin(1), to_edema.amin(1) - 7 * paths  # mm, negative inside

    edge = 0.225 * grid.spacing
    inside = tissues.mask * (1 - tissues["ventricle"]) * soft_step(depth - 1.5, 0.7)
    core = soft_step(-beyond_core, edge) * inside
    edema = soft_step(-beyond_edema, edge) * inside * (1 - tissues["csf"]) * (1 - core)
    edema = edema * (0.15 + 0.85 * soft_step(paths + 0.2, 0.12))
    rim = people.column("glioma.rim") * (1 + 0.32 * grain).clamp(min=0.25)
    dead = 3 * people.column("glioma.necrosis") + 0.4 * bumps - 0.35
    necrosis = soft_step(-(beyond_core + rim), edge) * soft_step(dead, 0.1)
    enhancing = core * (1 - necrosis) * soft_step(0.66 * grain + 2.1, 0.2) * people.column("glioma.enhancing")
    kept = 1 - core - edema
    left = {name: tissues[name] * kept for name in BRAIN[1:]}
    grown = {"edema": edema, "core": (core - enhancing).clamp(min=0), "enhancing": enhancing}
    return tissues.updated(left | grown, residual=tissues.residual * kept)
