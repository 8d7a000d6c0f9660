"""The rest of the head: meninges, skull of three layers, muscle, fat, skin, eyes, air, neck.

Outside the brain the layers follow the distance to the brain's hull, with thicknesses that vary from person to person
and over the head; face and neck are a mixture of muscle, fat and bone. Pitch, field of view and slices vary as in the
clinic. Widths of soft edges and mixtures are by eye, beside whole heads at 1 and 2 mm.
"""

from functools import partial

import torch
from torch import Generator, Tensor

from .brain.tissues import DURA
from .fields import normal, smooth_field, soft_step, uniform
from .people import Head, People
from .tissue_maps import FLUID_OUTSIDE, OUTSIDE, TissueMaps

# mm, drawn evenly: fluid outside the hull, skull table, whole skull (4 to 8 is everyday anatomy), scalp (3.5 to 9),
# temporal muscle.
THICKNESS = ((0.3, 2.4), (1.3, 2.3), (4.0, 9.0), (3.0, 10.0), (3.0, 11.0))
CROPPED = 0.35  # fraction of people whose field of view ends above the neck or below the vertex
MOST_CROPPED = (0.30, 0.06)  # of the height, below and above
THICK = 0.35  # fraction of people scanned in thick slices
SKIN = 2.0  # mm, drawn as muscle
_soft = partial(soft_step, edge=0.7)  # mm


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


def add_head(tissues: TissueMaps, maps: dict[str, Tensor], people: People, spacing: float) -> TissueMaps:
    """With OUTSIDE, fluid outside the brain, dura among the vessels, and `seen`; `maps` are those of the template."""
    hull, outside = maps["hull"], 1 - tissues.mask
    face = maps["face"] * (1 - 0.9 * maps["cord"])
    thickness = people.stack("head.layers").to(people.device)
    inner, *layers = thickness.view(len(people), 5, 1, 1, 1).unbind(1)  # the fluid ends where the skull begins
    # Between brain and skull: fluid, and at the base, farther than a few mm from the brain, bone (clivus, sella).
    within = outside * _soft(inner - hull) * (1 - face * _soft(hull - 1))
    base = within * soft_step(-maps["depth"] - 2 - 2 * inner, 0.8)
    parts = _vault_and_face(maps, base, inner, layers, people, spacing)
    parts, csf = _organs(parts, within - base, maps, outside, inner, people)
    # Soft edges overlap a little: divide what is not brain among them.
    total = sum((parts[name] for name in OUTSIDE), torch.zeros_like(outside))
    room = outside / torch.maximum(total * outside + csf, outside.clamp(min=1e-6))
    added = {name: parts[name] * outside * room for name in OUTSIDE} | {FLUID_OUTSIDE: csf * room}
    dura = DURA * (torch.exp(-(((hull - inner) / 0.9) ** 2)) * outside * (1 - face))
    vessel = dura if tissues.vessel is None else torch.maximum(tissues.vessel, dura)
    # Inside the field of view: the neck or the vertex may be cut off.
    height = (torch.arange(hull.shape[3], device=people.device) + 0.5) / hull.shape[3]
    low, high = people.stack("head.crop").to(people.device).T[..., None]
    seen = ((height >= low) & (height <= 1 - high)).float()[:, None, None, :]
    return tissues.updated(added, vessel=vessel, seen=seen.expand_as(hull))


def _vault_and_face(
    maps: dict[str, Tensor], base: Tensor, inner: Tensor, layers: list[Tensor], people: People, spacing: float
) -> dict[str, Tensor]:
    """Bone, marrow, fat, muscle, and the whole head; `inner` and `layers` (N, 1, 1, 1) are the thicknesses in mm."""
    hull, streams = maps["hull"], people.streams("field/head")
    uneven_skull, uneven_scalp, mixture = (
        smooth_field(streams, hull.shape[1:], spacing, scale, 1, people.device)[:, 0] for scale in (32.0, 32.0, 14.0)
    )
    table, skull, scalp, temple = layers
    outer = inner + skull * (1 + 0.16 * uneven_skull).clamp(0.5, 1.8)
    temple = temple * maps["temple"] * (1 + 0.2 * mixture).clamp(0.3, 2)
    skin = outer + scalp * (1 + 0.22 * uneven_scalp).clamp(0.4, 2.0) + temple
    vault = _soft(hull - inner) * _soft(outer - hull)
    marrow = 0.9 * vault * _soft(hull - inner - table) * _soft(outer - table - hull)
    spongy = base * soft_step(0.66 * mixture + 0.1, 0.15)
    marrow, bone = marrow + spongy, vault - marrow + base - spongy
    head = torch.maximum(maps["head"] * soft_step(maps["face"] - 0.5, 0.1), _soft(skin - hull))
    beyond = _soft(hull - outer) * head
    # Over the vault: temporal muscle on the bone, then fat, then skin.
    cover = beyond * (1 - maps["face"])
    fat = cover * _soft(skin - SKIN - hull) * _soft(hull - outer - temple)
    # Face and neck: fat under the skin, streaks of fat, patches of bone, muscle elsewhere.
    flesh = beyond * maps["face"]
    near_skin = soft_step(9 - maps["skin"], 1.5) * _soft(maps["skin"] - 2.5)
    streaks = 0.8 * soft_step(0.66 * mixture - 0.5 + people.column("head.fatness"), 0.15)
    face_fat = flesh * torch.maximum(near_skin, streaks)
    face_bone = (flesh - face_fat) * soft_step(-0.66 * mixture - 0.8, 0.15)
    muscle = cover - fat + flesh - face_fat - face_bone
    return {"bone": bone + face_bone, "marrow": marrow, "fat": fat + face_fat, "muscle": muscle, "head": head}


def _organs(
    parts: dict[str, Tensor], csf: Tensor, maps: dict[str, Tensor], outside: Tensor, inner: Tensor, people: People
) -> tuple[dict[str, Tensor], Tensor]:
    """Orbit, air, eye, nerve and cord, each replacing what was there."""
    orbit = maps["orbit"] * outside * _soft(-maps["depth"] - 2)
    air = (maps["air"] * people.column("head.air")).clamp(0, 1) * _soft(maps["hull"] - inner - 1)
    eye = maps["eye"] * _soft(maps["hull"] - 1.5)
    lens = maps["lens"] * eye
    nerve = torch.maximum(maps["nerve"] * orbit, maps["cord"] * outside) * (1 - eye)
    soft = {name: parts[name] * (1 - orbit) for name in ("bone", "marrow", "fat", "muscle")}
    soft["fat"] = soft["fat"] + orbit
    soft = {name: values * (1 - air) * (1 - eye) * (1 - nerve) for name, values in soft.items()}
    organs = {"eye": eye - lens, "lens": lens, "air": air * parts["head"], "nerve": nerve}
    return soft | organs, csf * (1 - orbit) * (1 - nerve) * (1 - eye)
