"""The rest of the head: meninges, skull of three layers, muscle, fat, skin, eyes, air, neck.

Outside the brain the layers follow the distance to the brain's hull, with a thickness of their
own in every person that also varies over the head; face and neck are a mixture of muscle, fat and
bone. Pitch, field of view and slices vary as in the clinic.
"""

import torch

from .fields import normal, smooth_field, uniform
from .scanner import OUTSIDE

# Thicknesses in mm, drawn evenly: fluid outside the hull, skull table, whole skull, scalp,
# temporal muscle. Skull 4 to 8 mm and scalp 3.5 to 9 mm are everyday anatomy.
THICKNESS = ((0.3, 2.4), (1.3, 2.3), (4.0, 9.0), (3.0, 10.0), (3.0, 11.0))
CROPPED = 0.35  # share of people whose field of view ends above the neck or below the vertex
THICK = 0.35  # share of people scanned in thick slices


def draw_head(generator: torch.Generator) -> dict:
    """What makes one head differ from the next, and how it was scanned; to be added to a person."""
    u, z = uniform(generator, 12), normal(generator, 3)
    low, high = torch.tensor(THICKNESS).T
    thick = bool(u[6] < THICK)
    return {
        "layers": low + (high - low) * u[:5],
        "air": float(0.6 + 0.7 * u[5]),
        "slice": float(3 + 4 * u[7]) if thick else None,
        "slice_axis": 1 + int(u[8] * 3) if thick else 3,
        "crop": (float(0.30 * u[10]), float(0.06 * u[11])) if u[9] < CROPPED else (0.0, 0.0),
        "fatness": float(0.25 + 0.15 * z[0]),
    }


def add_head(tissues: dict, maps: dict, people: list[dict], spacing: float) -> None:
    """Add the soft maps of OUTSIDE and `seen` (1 inside the field of view) to the tissues."""
    hull, mask, depth = maps["hull"], tissues["mask"], maps["depth"]
    device, shape = hull.device, tuple(hull.shape[1:])
    streams = [person["stream"]("field/head") for person in people]

    def field(scale):
        return smooth_field(streams, shape, spacing, scale, 1, device)[:, 0]

    def soft(x, edge=0.7):
        return torch.sigmoid(x / edge)

    def column(name):
        return torch.tensor([p[name] for p in people], device=device).view(-1, 1, 1, 1)

    layers = torch.stack([person["layers"] for person in people]).to(device)
    fluid, table, skull, scalp, temple = layers.view(len(people), 5, 1, 1, 1).unbind(1)
    uneven_skull, uneven_scalp, mixture = field(32.0), field(32.0), field(14.0)
    skull = skull * (1 + 0.16 * uneven_skull).clamp(0.5, 1.8)
    scalp = scalp * (1 + 0.22 * uneven_scalp).clamp(0.4, 2.0)
    temple = temple * maps["temple"] * (1 + 0.2 * mixture).clamp(0.3, 2)

    outside = 1 - mask
    face = maps["face"] * (1 - 0.9 * maps["cord"])
    inner, outer = fluid, fluid + skull
    within = outside * soft(inner - hull) * (1 - face * soft(hull - 1))
    # Between the lobes at the base, fluid lies within a few mm of the brain; the rest is bone:
    # clivus, petrous bones, sella.
    base = within * soft(-depth - 2 - 2 * fluid, 0.8)
    csf = within - base
    vault = soft(hull - inner) * soft(outer - hull)
    marrow = 0.9 * vault * soft(hull - inner - table) * soft(outer - table - hull)
    spongy = base * torch.sigmoid((0.66 * mixture + 0.1) / 0.15)
    marrow, bone = marrow + spongy, vault - marrow + base - spongy
    skin_line = outer + scalp + temple
    head = torch.maximum(maps["head"] * soft(maps["face"] - 0.5, 0.1), soft(skin_line - hull))
    beyond = soft(hull - outer) * head
    cover = beyond * (1 - maps["face"])
    # Over the vault: temporal muscle on the bone, then fat, then 2 mm of skin (as muscle).
    fat = cover * soft(skin_line - 2 - hull) * soft(hull - outer - temple)
    muscle = cover - fat
    # Face and neck: fat under the skin, streaks of fat, patches of bone, muscle elsewhere.
    flesh = beyond * maps["face"]
    near_skin = soft(9 - maps["skin"], 1.5) * soft(maps["skin"] - 2.5)
    streaks = 0.8 * torch.sigmoid((0.66 * mixture - 0.5 + column("fatness")) / 0.15)
    face_fat = flesh * torch.maximum(near_skin, streaks)
    face_bone = (flesh - face_fat) * torch.sigmoid((-0.66 * mixture - 0.8) / 0.15)
    fat, bone = fat + face_fat, bone + face_bone
    muscle = muscle + flesh - face_fat - face_bone

    # What lies on top of these: orbit, air, eye, nerve and cord, each replacing what was there.
    orbit = maps["orbit"] * outside * soft(-depth - 2)
    air = (maps["air"] * column("air")).clamp(0, 1) * soft(hull - inner - 1)
    eye = maps["eye"] * soft(hull - 1.5)
    lens = maps["lens"] * eye
    nerve = torch.maximum(maps["nerve"] * orbit, maps["cord"] * outside) * (1 - eye)
    parts = {"bone": bone, "marrow": marrow, "fat": fat, "muscle": muscle}
    for name in parts:
        parts[name] = parts[name] * (1 - orbit)
    parts["fat"] = parts["fat"] + orbit
    for name in parts:
        parts[name] = parts[name] * (1 - air) * (1 - eye) * (1 - nerve)
    parts |= {"eye": eye - lens, "lens": lens, "air": air * head, "nerve": nerve}
    csf = csf * (1 - orbit) * (1 - nerve) * (1 - eye)
    # Soft edges overlap a little: share what is not brain among them.
    share = outside / torch.maximum(sum(parts.values()) * outside + csf, outside.clamp(min=1e-6))
    for name in OUTSIDE:
        tissues[name] = parts[name] * outside * share
    tissues["fluid_outside"] = csf * share
    dura = torch.exp(-(((hull - inner) / 0.9) ** 2)) * outside * (1 - face)
    tissues["vessel"] = torch.maximum(tissues["vessel"], 0.45 * dura)
    tissues["seen"] = _field_of_view(people, shape, device)


def _field_of_view(people: list[dict], shape: tuple[int, int, int], device) -> torch.Tensor:
    """1 inside the field of view, (N, X, Y, Z); the neck or the vertex may be cut off."""
    height = (torch.arange(shape[2], device=device) + 0.5) / shape[2]
    low, high = torch.tensor([p["crop"] for p in people], device=device).T[..., None]
    seen = ((height >= low) & (height <= 1 - high)).float()
    return seen[:, None, None, :].expand(-1, *shape)
