"""The rest of the head: meninges, skull of three layers, muscle, fat, skin, eyes, air, neck.

Outside the brain the layers follow the distance to the brain's hull, with a thickness of their own in every person that
also varies over the head; face and neck are a mixture of muscle, fat and bone. Pitch, field of view and slices vary as
in the clinic. Widths of soft edges and mixtures are by eye, beside whole heads at 1 and 2 mm.
"""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ..brain.vessels import DURA
from ..fields import normal, smooth_field, uniform
from ..fields import soft_step as _soft_step
from ..people import Head, People
from ..tissue_maps import FLUID_OUTSIDE, OUTSIDE, TissueMaps

# Thicknesses in mm, drawn evenly: fluid outside the hull, skull table, whole skull, scalp, temporal muscle. Skull 4 to
# 8 mm and scalp 3.5 to 9 mm are everyday anatomy.
THICKNESS = ((0.3, 2.4), (1.3, 2.3), (4.0, 9.0), (3.0, 10.0), (3.0, 11.0))
CROPPED = 0.35  # fraction of people whose field of view ends above the neck or below the vertex
MOST_CROPPED = (0.30, 0.06)  # of the height, below and above
THICK = 0.35  # fraction of people scanned in thick slices
SKIN = 2.0  # mm, drawn as muscle


def draw_head(generator: Generator) -> Head:
    """What makes one head differ from the next, and how it was scanned."""
    u, z = uniform(generator, 12), normal(generator, 3)
    low, high = torch.tensor(THICKNESS).T
    thick = bool(u[6] < THICK)
    below, above = MOST_CROPPED
    return Head(
        layers=low + (high - low) * u[:5],
        air=float(0.6 + 0.7 * u[5]),
        slice_mm=float(3 + 4 * u[7]) if thick else None,
        slice_axis=1 + int(u[8] * 3) if thick else 3,
        crop=(float(below * u[10]), float(above * u[11])) if u[9] < CROPPED else (0.0, 0.0),
        fatness=float(0.25 + 0.15 * z[0]),
    )


def _soft(x: Tensor, edge: float = 0.7) -> Tensor:
    return _soft_step(x, edge)


class _Layers(NamedTuple):
    """Distances to the hull, mm, at which a person's layers end, and an uneven mixture; each (N, ...)."""

    inner: Tensor  # of the skull
    table: Tensor  # thickness
    outer: Tensor  # of the skull
    temple: Tensor  # thickness of the temporal muscle
    skin: Tensor
    mixture: Tensor  # smooth field of unit spread


def add_head(tissues: TissueMaps, maps: dict[str, Tensor], people: People, spacing: float) -> TissueMaps:
    """With the soft maps of OUTSIDE and of the fluid outside the brain, the dura among the vessels, and `seen`.

    `maps` are the template's maps of brain and head (N, X, Y, Z) in mm; `spacing` is in mm.
    """
    hull, mask, depth = maps["hull"], tissues.mask, maps["depth"]
    outside = 1 - mask
    face = maps["face"] * (1 - 0.9 * maps["cord"])
    layers = _layers(maps, people, spacing)
    csf, base = _between_brain_and_skull(hull, depth, face, outside, layers)
    parts = _vault_and_face(maps, base, layers, people)
    parts, csf = _organs(parts, csf, maps, outside, layers, people)
    # Soft edges overlap a little: divide what is not brain among them.
    total = parts[OUTSIDE[0]]
    for name in OUTSIDE[1:]:
        total = total + parts[name]
    room = outside / torch.maximum(total * outside + csf, outside.clamp(min=1e-6))
    added = {name: parts[name] * outside * room for name in OUTSIDE} | {FLUID_OUTSIDE: csf * room}
    dura = torch.exp(-(((hull - layers.inner) / 0.9) ** 2)) * outside * (1 - face)
    vessel = DURA * dura if tissues.vessel is None else torch.maximum(tissues.vessel, DURA * dura)
    return tissues.updated(added, vessel=vessel, seen=_field_of_view(people, tuple(hull.shape[1:])))


def _layers(maps: dict[str, Tensor], people: People, spacing: float) -> _Layers:
    streams, shape = people.streams("field/head"), tuple(maps["hull"].shape[1:])
    uneven_skull, uneven_scalp, mixture = (
        smooth_field(streams, shape, spacing, scale, 1, people.device)[:, 0] for scale in (32.0, 32.0, 14.0)
    )
    drawn = torch.stack([head.layers for head in people.heads]).to(people.device)
    fluid, table, skull, scalp, temple = drawn.view(len(people), 5, 1, 1, 1).unbind(1)
    skull = skull * (1 + 0.16 * uneven_skull).clamp(0.5, 1.8)
    scalp = scalp * (1 + 0.22 * uneven_scalp).clamp(0.4, 2.0)
    temple = temple * maps["temple"] * (1 + 0.2 * mixture).clamp(0.3, 2)
    outer = fluid + skull
    return _Layers(fluid, table, outer, temple, outer + scalp + temple, mixture)


def _between_brain_and_skull(
    hull: Tensor, depth: Tensor, face: Tensor, outside: Tensor, layers: _Layers
) -> tuple[Tensor, Tensor]:
    """Fluid, and at the base, farther than a few mm from the brain, bone: clivus, petrous bones, sella."""
    within = outside * _soft(layers.inner - hull) * (1 - face * _soft(hull - 1))
    base = within * _soft(-depth - 2 - 2 * layers.inner, 0.8)
    return within - base, base


def _vault_and_face(maps: dict[str, Tensor], base: Tensor, layers: _Layers, people: People) -> dict[str, Tensor]:
    """Bone, marrow, fat and muscle of vault, face and neck."""
    hull = maps["hull"]
    inner, table, outer, temple, skin, mixture = layers
    vault = _soft(hull - inner) * _soft(outer - hull)
    marrow = 0.9 * vault * _soft(hull - inner - table) * _soft(outer - table - hull)
    spongy = base * _soft(0.66 * mixture + 0.1, 0.15)
    marrow, bone = marrow + spongy, vault - marrow + base - spongy
    head = torch.maximum(maps["head"] * _soft(maps["face"] - 0.5, 0.1), _soft(skin - hull))
    beyond = _soft(hull - outer) * head
    cover = beyond * (1 - maps["face"])
    # Over the vault: temporal muscle on the bone, then fat, then skin.
    fat = cover * _soft(skin - SKIN - hull) * _soft(hull - outer - temple)
    muscle = cover - fat
    # Face and neck: fat under the skin, streaks of fat, patches of bone, muscle elsewhere.
    flesh = beyond * maps["face"]
    near_skin = _soft(9 - maps["skin"], 1.5) * _soft(maps["skin"] - 2.5)
    fatness = people.column(head.fatness for head in people.heads)
    streaks = 0.8 * _soft(0.66 * mixture - 0.5 + fatness, 0.15)
    face_fat = flesh * torch.maximum(near_skin, streaks)
    face_bone = (flesh - face_fat) * _soft(-0.66 * mixture - 0.8, 0.15)
    fat, bone = fat + face_fat, bone + face_bone
    return {"bone": bone, "marrow": marrow, "fat": fat, "muscle": muscle + flesh - face_fat - face_bone, "head": head}


def _organs(
    parts: dict[str, Tensor], csf: Tensor, maps: dict[str, Tensor], outside: Tensor, layers: _Layers, people: People
) -> tuple[dict[str, Tensor], Tensor]:
    """Orbit, air, eye, nerve and cord, each replacing what was there."""
    hull = maps["hull"]
    head = parts["head"]
    orbit = maps["orbit"] * outside * _soft(-maps["depth"] - 2)
    air = (maps["air"] * people.column(h.air for h in people.heads)).clamp(0, 1) * _soft(hull - layers.inner - 1)
    eye = maps["eye"] * _soft(hull - 1.5)
    lens = maps["lens"] * eye
    nerve = torch.maximum(maps["nerve"] * orbit, maps["cord"] * outside) * (1 - eye)
    soft = {name: parts[name] * (1 - orbit) for name in ("bone", "marrow", "fat", "muscle")}
    soft["fat"] = soft["fat"] + orbit
    soft = {name: values * (1 - air) * (1 - eye) * (1 - nerve) for name, values in soft.items()}
    organs = {"eye": eye - lens, "lens": lens, "air": air * head, "nerve": nerve}
    return soft | organs, csf * (1 - orbit) * (1 - nerve) * (1 - eye)


def _field_of_view(people: People, shape: tuple[int, ...]) -> Tensor:
    """1 inside the field of view, (N, X, Y, Z); the neck or the vertex may be cut off."""
    height = (torch.arange(shape[2], device=people.device) + 0.5) / shape[2]
    low, high = torch.tensor([head.crop for head in people.heads], device=people.device).T[..., None]
    seen = ((height >= low) & (height <= 1 - high)).float()
    return seen[:, None, None, :].expand(-1, *shape)
