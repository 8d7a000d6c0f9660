"""Gliomas: necrotic core, enhancing rim, edema that follows white matter, mass effect.

A tumor is one to three foci. Each grows from a point in white matter, pushes the brain away from
it, and gets three parts: an enhancing rim of a few millimetres, what lies inside it (necrosis) or
replaces it (non-enhancing tumor), and edema that spreads through white matter and spares cortex.
The labels are those of the Medical Segmentation Decathlon, Task01: 1 edema, 2 non-enhancing tumor
or necrosis, 3 enhancing tumor (Antonelli et al., Nat Commun 13:4128, 2022; regions as in BraTS,
Menze et al., IEEE TMI 34:1993, 2015).

Sizes and parts were placed by eye beside cases of BraTS, then compared with what is published. In 214
glioblastomas the mean volumes of the enhancing part, of the core and of the FLAIR lesion were 16.6,
33.6 and 97.9 ml (Loebel et al., Brain Spine 5:104324, 2025): 17, 34 and 100 %. Ours are 13, 25 and
75 ml, the same shares of a somewhat smaller tumor. 58 of 314 gliomas of all grades did not enhance
(18 %; Scott et al., Neurology 59:947, 2002). Several foci were seen in 0.5 to 35 % of glioblastomas
(Thomas et al., J Neurooncol 112:91, 2013, and the studies cited there).
"""

import math

import torch

from .fields import normal, smooth_field, uniform
from .geometry import CENTRE, pose_matrix
from .tissue import TISSUES

FOCI = 3  # places for foci; most people use one
MULTIFOCAL = 0.13  # share of people with more than one focus
NON_ENHANCING = 0.18  # share of people without an enhancing part


def draw_tumor(generator: torch.Generator, seeds: torch.Tensor) -> dict:
    """The geometry of one person's tumor: `seeds` (M, 3) are the MNI points where it can start.

    centre (FOCI, 3) MNI mm, core and edema radius (FOCI,) mm, active (FOCI,), stretch (FOCI, 3),
    push (mm), rim (mm), necrosis (0 to 1) and whether it enhances.
    """
    u, z = uniform(generator, 8), normal(generator, FOCI, 3)
    spare, sites = uniform(generator, FOCI, 3), uniform(generator, FOCI)
    several = bool(u[0] < MULTIFOCAL)
    enhancing = bool(u[1] > NON_ENHANCING)
    centre = seeds[(sites * len(seeds)).long().clamp(max=len(seeds) - 1)].clone()
    # Further foci lie 25 to 55 mm from the first: in the direction of another seed point.
    for k in range(1, FOCI):
        way = centre[k] - centre[0]
        distance = 25 + 30 * float(spare[k, 0])
        near = centre[0] + way / way.norm().clamp(min=1) * distance
        centre[k] = seeds[(seeds - near).norm(dim=1).argmin()]
    core = 10 + 13 * float(u[2]) ** 0.8 * torch.tensor([1.0, 0.55, 0.45])
    core[1:] = core[1:].clamp(max=10) * (0.7 + 0.5 * spare[1:, 1])
    halo = (3 + 14 * u[3]) if enhancing else (1 + 4 * u[3])
    edema = core * (1.05 + 0.25 * u[4]) + halo * torch.tensor([1.0, 0.6, 0.6])
    stretch = torch.exp(0.16 * z)
    return {
        "centre": centre, "core": core, "edema": edema,
        "active": torch.tensor([1.0, several, several and bool(u[7] < 0.4)]),
        "stretch": stretch / stretch.prod(1, keepdim=True) ** (1 / 3),
        "push": float(0.30 * core[0] * (1.0 if enhancing else 0.5) * (0.4 + 0.8 * u[5])),
        "rim": float(3.2 + 4.6 * u[6]), "necrosis": float(uniform(generator, 1)),
        "enhancing": enhancing,
    }  # fmt: skip


def describe(tumor: dict) -> dict:
    """The geometry as numbers for the table of truths: volumes of the drawn ellipsoids, in ml."""

    def ball(radius):
        return float((4 / 3 * math.pi * radius**3 * tumor["active"]).sum() / 1000)

    x, y, z = tumor["centre"][0].tolist()
    return {
        "tumor_x": x, "tumor_y": y, "tumor_z": z, "foci": int(tumor["active"].sum()),
        "core_ml": ball(tumor["core"]), "whole_ml": ball(tumor["edema"]),
        "enhances": tumor["enhancing"], "rim_mm": tumor["rim"], "push_mm": tumor["push"],
    }  # fmt: skip


def _distances(tumors: list[dict], person: dict, points: torch.Tensor):
    """Distance (N, FOCI, X, Y, Z) of image points to the centres, and offsets (..., 3)."""
    device = points.device
    inverse = torch.linalg.inv(pose_matrix(person["rotation"], person["scale"]))
    centre = torch.stack([t["centre"] for t in tumors]) - torch.tensor(CENTRE)
    centre = (centre - person["shift"][:, None]) @ inverse.transpose(1, 2)
    stretch = torch.stack([t["stretch"] for t in tumors]).to(device)
    offset = points[:, None] - centre.to(device)[:, :, None, None, None]
    return (offset / stretch[:, :, None, None, None]).norm(dim=-1), offset


def _per_focus(tumors: list[dict], name: str, device) -> torch.Tensor:
    values = torch.stack([t[name] for t in tumors]).to(device)
    return values[..., None, None, None]


def _per_person(tumors: list[dict], name: str, device) -> torch.Tensor:
    return torch.tensor([float(t[name]) for t in tumors], device=device).view(-1, 1, 1, 1)


def push(tumors: list[dict], person: dict, points: torch.Tensor) -> torch.Tensor:
    """Mass effect as a pull-back of image points (N, X, Y, Z, 3) relative to CENTRE.

    Radially, r maps to r - m w(r) with a slope that stays positive, so nothing folds.
    """
    device = points.device
    for k in range(FOCI):
        names = ("centre", "stretch", "core", "active")
        one = [{n: t[n][k : k + 1] for n in names} for t in tumors]
        distance, offset = (a[:, 0] for a in _distances(one, person, points))
        core, active = (_per_focus(one, n, device)[:, 0] for n in ("core", "active"))
        amount = _per_person(tumors, "push", device) * active * (1.0 if k == 0 else 0.4)
        rise = (distance / (0.8 * core)).clamp(max=1)
        weight = rise * torch.exp(-((distance / (2.1 * core + 8)) ** 2))
        points = points - offset / (distance[..., None] + 1e-3) * (amount * weight)[..., None]
    return points


def grow(tissues: dict, maps: dict, people: list[dict], person: dict, grid) -> None:
    """Add `edema`, `core` and `enhancing` to the soft tissue maps, in place of what was there."""
    tumors = [p["tumor"] for p in people]
    device = tissues["mask"].device
    points = grid.points(device).expand(len(tumors), -1, -1, -1, -1)
    distance, _ = _distances(tumors, person, points)
    streams = [p["stream"]("field/tumor") for p in people]
    shape = grid.shape
    lobes, bumps, grain, rough = (
        smooth_field(streams, shape, grid.spacing, scale, 1, device)[:, 0]
        for scale in (24.0, 11.0, 7.0, 16.0)
    )
    far = 1e3 * (1 - _per_focus(tumors, "active", device))
    core_radius, edema_radius = (_per_focus(tumors, n, device) for n in ("core", "edema"))
    core = distance - core_radius * (1 + 0.17 * lobes + 0.10 * bumps)[:, None] + far
    paths = (tissues["white"] + tissues["lesion"] + 0.7 * tissues["deep"]).clamp(0, 1) - 0.55
    edema = distance - edema_radius * (1 + 0.16 * rough + 0.04 * bumps)[:, None] + far
    core, edema = core.amin(1), edema.amin(1) - 7 * paths

    edge = 0.225 * grid.spacing
    inside = tissues["mask"] * (1 - tissues["ventricle"])
    inside = inside * torch.sigmoid((maps["depth"] - 1.5) / 0.7)
    core_map = torch.sigmoid(-core / edge) * inside
    permitted = 0.15 + 0.85 * torch.sigmoid((paths + 0.2) / 0.12)
    edema_map = torch.sigmoid(-edema / edge) * inside * (1 - tissues["csf"]) * (1 - core_map)
    edema_map = edema_map * permitted
    rim = _per_person(tumors, "rim", device) * (1 + 0.32 * grain).clamp(min=0.25)
    necrosis = torch.sigmoid(-(core + rim) / edge)
    necrosis = necrosis * torch.sigmoid(
        (3 * _per_person(tumors, "necrosis", device) + 0.4 * bumps - 0.35) / 0.1
    )
    enhancing = core_map * (1 - necrosis) * torch.sigmoid((0.66 * grain + 2.1) / 0.2)
    enhancing = enhancing * _per_person(tumors, "enhancing", device)
    keep = 1 - core_map - edema_map
    for name in (*TISSUES[1:], "residual"):
        tissues[name] = tissues[name] * keep
    tissues.update(edema=edema_map, core=(core_map - enhancing).clamp(min=0), enhancing=enhancing)
