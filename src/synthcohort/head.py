"""The rest of the head: meninges, skull of three layers, muscle, fat, skin, eyes, air, neck.

Outside the brain the layers follow the distance to the brain's hull, with thicknesses that vary from person to person
and over the head; face and neck are a mixture of muscle, fat and bone. Field of view and slices vary as in the clinic.
"""

from dataclasses import replace
from functools import partial

import torch
from torch import Generator, Tensor

from .brain import tissues as brain
from .fields import above, below, between, normal, smooth_field, soft_step, uniform
from .people import Head, People
from .tables import constants
from .tissue_maps import FLUID_OUTSIDE, OUTSIDE, TissueMaps

C = constants(__file__)
_soft = partial(soft_step, edge=C.soft)  # mm


def draw_head(generator: Generator) -> Head:
    """What makes one head differ from the next, and how it was scanned."""
    u, z = uniform(generator, 12), normal(generator, 3)
    thinnest, thickest = torch.tensor(C.thickness).T
    thick = bool(u[6] < C.thick)
    return Head(
        layers=thinnest + (thickest - thinnest) * u[:5],
        air=float(between(C.air, u[5])),
        slice_mm=float(between(C.slice_mm, u[7])) if thick else None,
        slice_axis=1 + int(u[8] * 3) if thick else 3,
        crop=(float(C.most_cropped[0] * u[10]), float(C.most_cropped[1] * u[11])) if u[9] < C.cropped else (0.0, 0.0),
        fatness=float(C.fatness + C.fatness_sd * z[0]),
    )


def add_head(tissues: TissueMaps, maps: dict[str, Tensor], people: People, spacing: float) -> TissueMaps:
    """With OUTSIDE, fluid outside the brain, dura among the vessels, and `seen`; `maps` are those of the template."""
    hull, outside = maps["hull"], 1 - tissues.mask
    face = maps["face"] * (1 - C.cord_in_face * maps["cord"])
    thickness = torch.stack([person.head.layers for person in people if person.head]).to(people.device)
    inner, *layers = thickness.view(len(people), 5, 1, 1, 1).unbind(1)  # the fluid ends where the skull begins
    # Between brain and skull: fluid, and at the base, farther than a few mm from the brain, bone (clivus, sella).
    within = outside * _soft(inner - hull) * (1 - face * _soft(hull - C.face_hull))
    base = within * soft_step(-maps["depth"] - C.base_beyond - C.base_fluid * inner, C.base_edge)
    parts = _vault_and_face(maps, base, inner, layers, people, spacing)
    parts, csf = _organs(parts, within - base, maps, outside, inner, people)
    # Soft edges overlap a little: divide what is not brain among them.
    total = sum((parts[name] for name in OUTSIDE), torch.zeros_like(outside))
    room = outside / torch.maximum(total * outside + csf, outside.clamp(min=1e-6))
    added = {name: parts[name] * outside * room for name in OUTSIDE} | {FLUID_OUTSIDE: csf * room}
    dura = brain.C.dura * (torch.exp(-(((hull - inner) / C.dura_width) ** 2)) * outside * (1 - face))
    vessel = dura if tissues.vessel is None else torch.maximum(tissues.vessel, dura)
    # Inside the field of view: the neck or the vertex may be cut off.
    height = (torch.arange(hull.shape[3], device=people.device) + 0.5) / hull.shape[3]
    low, high = torch.tensor([p.head.crop for p in people if p.head], device=people.device).T[..., None]
    seen = ((height >= low) & (height <= 1 - high)).float()[:, None, None, :]
    return replace(tissues.updated(added), vessel=vessel, seen=seen.expand_as(hull))


def _vault_and_face(
    maps: dict[str, Tensor], base: Tensor, inner: Tensor, layers: list[Tensor], people: People, spacing: float
) -> dict[str, Tensor]:
    """Bone, marrow, fat, muscle, and the whole head; `inner` and `layers` (N, 1, 1, 1) are the thicknesses in mm."""
    hull, streams = maps["hull"], people.streams("field/head")
    scales = (C.skull_scale, C.scalp_scale, C.mixture_scale)
    fields = (smooth_field(streams, hull.shape[1:], spacing, scale, 1, people.device)[:, 0] for scale in scales)
    uneven_skull, uneven_scalp, mixture = fields
    table, skull, scalp, temple = layers
    outer = inner + skull * (1 + C.skull_sd * uneven_skull).clamp(*C.skull_limits)
    temple = temple * maps["temple"] * (1 + C.temple_sd * mixture).clamp(*C.temple_limits)
    skin = outer + scalp * (1 + C.scalp_sd * uneven_scalp).clamp(*C.scalp_limits) + temple
    mixture = C.mixture * mixture
    vault = _soft(hull - inner) * _soft(outer - hull)
    marrow = C.marrow * vault * _soft(hull - inner - table) * _soft(outer - table - hull)
    spongy = base * above(mixture, C.spongy_step)
    marrow, bone = marrow + spongy, vault - marrow + base - spongy
    head = torch.maximum(maps["head"] * above(maps["face"], C.face_step), _soft(skin - hull))
    beyond = _soft(hull - outer) * head
    # Over the vault: temporal muscle on the bone, then fat, then skin.
    cover = beyond * (1 - maps["face"])
    fat = cover * _soft(skin - C.skin - hull) * _soft(hull - outer - temple)
    # Face and neck: fat under the skin, streaks of fat, patches of bone, muscle elsewhere.
    flesh = beyond * maps["face"]
    near_skin = below(maps["skin"], C.face_fat_step) * _soft(maps["skin"] - C.face_skin)
    fatness = people.column(person.head.fatness for person in people if person.head)
    streaks = C.streak * soft_step(mixture - C.streak_cut + fatness, C.streak_edge)
    face_fat = flesh * torch.maximum(near_skin, streaks)
    face_bone = (flesh - face_fat) * below(mixture, C.face_bone_step)
    muscle = cover - fat + flesh - face_fat - face_bone
    return {"bone": bone + face_bone, "marrow": marrow, "fat": fat + face_fat, "muscle": muscle, "head": head}


def _organs(
    parts: dict[str, Tensor], csf: Tensor, maps: dict[str, Tensor], outside: Tensor, inner: Tensor, people: People
) -> tuple[dict[str, Tensor], Tensor]:
    """Orbit, air, eye, nerve and cord, each replacing what was there."""
    orbit = maps["orbit"] * outside * _soft(-maps["depth"] - C.orbit_beyond)
    size = people.column(person.head.air for person in people if person.head)
    air = (maps["air"] * size).clamp(0, 1) * _soft(maps["hull"] - inner - C.air_beyond)
    eye = maps["eye"] * _soft(maps["hull"] - C.eye_beyond)
    lens = maps["lens"] * eye
    nerve = torch.maximum(maps["nerve"] * orbit, maps["cord"] * outside) * (1 - eye)
    soft = {name: parts[name] * (1 - orbit) for name in ("bone", "marrow", "fat", "muscle")}
    soft["fat"] = soft["fat"] + orbit
    soft = {name: values * (1 - air) * (1 - eye) * (1 - nerve) for name, values in soft.items()}
    organs = {"eye": eye - lens, "lens": lens, "air": air * parts["head"], "nerve": nerve}
    return soft | organs, csf * (1 - orbit) * (1 - nerve) * (1 - eye)
