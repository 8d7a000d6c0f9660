"""One person as numbers: age, sex, site, how fast each region ages, pose, head size.

Each quantity is drawn from a stream of its own, so a person is the same whatever else is asked.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from . import ageing
from .fields import normal, stream, uniform
from .head import draw_head
from .scanner import SITES
from .template import white_matter_points
from .tumor import draw_tumor

KINDS = ("brain", "tumor", "head")
# Defaults that depend on the kind: rotation (degrees) and shift (mm), standard deviations. Brains
# and tumors come registered to a template, as IXI and BraTS do after preprocessing; heads do not.
POSE = {"brain": (2.0, 1.5), "tumor": (3.0, 2.0), "head": (9.0, 8.0)}
TURN = (1.0, 0.5, 0.7)  # nodding varies most, then shaking, then tilting
PUSH_LIMITS = (-4.5, 11.0)  # mm, slit ventricles to severe enlargement
LESION_LIMIT = 1.6  # no population study has heavier loads; keeps the tail sane


@dataclass(frozen=True)
class Settings:
    """The knobs of a cohort. Every standard deviation may be zero."""

    sites: int = 3  # number of scanners in use, 1 to len(SITES)
    rotation: float | None = None  # degrees; None: by kind, see POSE
    shift: float | None = None  # mm; None: by kind
    size: float = 0.026  # relative standard deviation of the linear size within a sex
    warp: float = 0.85  # strength of the random warp
    folding: float = 1.0  # strength of a person's own sulci
    biological: float = 2.0  # years by which a brain is older or younger than its age
    regional: float = 5.0  # years by which a region is older or younger than its brain
    anatomy: float = 1.0  # variation that has nothing to do with age (ventricles, sulci)
    noise: float = 1.0  # strength of the image noise
    accelerated: float = 0.0  # years added to every biological age: a group of patients
    age_range: tuple[float, float] | None = None  # years; None: by kind

    def __post_init__(self):
        if not 1 <= self.sites <= len(SITES):
            raise ValueError(f"sites must be 1 to {len(SITES)}, not {self.sites}.")


def draw_person(seed: int, kind: str, number: int, settings: Settings) -> dict:
    """Everything about one person that is a number, and `stream(purpose)` for the rest.

    Raises ValueError for a kind that is not in KINDS.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    draw: Callable = partial(stream, seed, kind, number)

    def z(purpose, count=1):
        return normal(draw(purpose), count)

    age = _draw_age(kind, uniform(draw("age"), 3), settings.age_range)
    male = bool(uniform(draw("sex"), 1) < (0.58 if kind == "tumor" else 0.45))
    site = int(uniform(draw("site"), 1) * settings.sites)
    biological = age + settings.accelerated + settings.biological * float(z("biological"))
    biological = min(max(biological, 15.0), 100.0)
    years = z("regions", len(ageing.REGIONS)) * settings.regional
    regions = {n: biological + float(y) for n, y in zip(ageing.REGIONS, years)}
    person = {
        "kind": kind, "number": int(number), "stream": draw, "age": age, "male": male,
        "site": site, "biological": biological, "regions": regions,
        "slice": None, "slice_axis": 3, "noise_scale": settings.noise,
    }  # fmt: skip
    person.update(_ageing(person, settings.anatomy, z("ageing", 8).tolist()))
    person.update(_pose(kind, male, settings, draw))
    person["vessel"] = 0.55 + 0.6 * uniform(draw("vessels"), 3)
    if kind == "tumor":
        person["tumor"] = draw_tumor(draw("tumor"), white_matter_points())
    if kind == "head":
        person.update(draw_head(draw("head")))
    return person


def _ageing(person: dict, spread: float, z: list[float]) -> dict:
    """Inner constants of the ageing model for one person; z are eight normal numbers."""
    age, regions = person["biological"], person["regions"]
    old = min(max((age - 20) / 60, 0.0), 1.2)
    offset = spread * 0.011 * z[1]
    values = {n: ageing.sulcus_shift(a, n) + offset for n, a in regions.items()
              if n in ageing.SULCUS_RATE}  # fmt: skip
    lost = {
        "callosum": ageing.callosum_loss(regions["callosum"]),
        "basal ganglia": ageing.caudate_loss(regions["basal ganglia"]),
    }
    push = ageing.ventricle_push(age) + spread * (2.2 + 1.0 * old) * z[0]
    return {
        "ventricle": min(max(push, PUSH_LIMITS[0]), PUSH_LIMITS[1]),
        "sulcus": values, "lost": lost,
        "horn": ageing.horn_radius(regions["hippocampus"]) * math.exp(0.12 * spread * z[2]),
        "myelination": {n: ageing.myelination(regions[n]) + 0.03 * z[3] for n in values},
        "contrast_loss": ageing.contrast_loss(age) + 0.025 * z[4],
        "iron": ageing.iron(regions["basal ganglia"]) + 0.025 * z[5],
        "lesion": min(ageing.lesion_load(age) + 0.42 * z[6], LESION_LIMIT),
    }  # fmt: skip


def _pose(kind: str, male: bool, settings: Settings, draw: Callable) -> dict:
    """Rotation (radians), shift (mm) and size against MNI, each (3,)."""
    rotation, shift = POSE[kind]
    rotation = rotation if settings.rotation is None else settings.rotation
    shift = shift if settings.shift is None else settings.shift
    z = normal(draw("pose"), 6)
    turn = z[:3] * torch.tensor(TURN) * math.radians(rotation)
    limit = math.radians(20)
    size = normal(draw("size"), 4)
    ratio = ageing.TIV_RATIO_MEN_WOMEN ** (1 / 6)
    whole = ageing.HEAD_SCALE * (ratio if male else 1 / ratio) * (1 + settings.size * size[0])
    return {
        "rotation": turn.clamp(-limit, limit),
        "shift": z[3:] * shift,
        "scale": whole * (1 + 0.018 * (size[1:] - size[1:].mean())),
    }


def _draw_age(kind: str, u: torch.Tensor, limits: tuple[float, float] | None) -> float:
    """Years. Brains: two broad humps as in IXI; tumors: about 62 (sd 12); heads: even."""
    a, b, c = u.tolist()
    if limits is not None:
        return limits[0] + (limits[1] - limits[0]) * b
    if kind == "tumor":
        return min(max(62 + 12 * (a + b + c - 1.5) * 2, 22), 88)
    if kind == "head":
        return 18 + 72 * b
    return min(20 + 33 * b**0.9 if a < 0.55 else 46 + 40 * b**1.15, 86)


def stack_people(people: list[dict], settings: Settings, device: torch.device) -> dict:
    """People as one dictionary of tensors (N, ...) on the device, and their streams."""
    person = {
        name: torch.stack([p[name] for p in people])
        for name in ("rotation", "scale", "shift", "vessel")
    }
    for name in ("ventricle", "horn", "lesion"):
        person[name] = torch.tensor([p[name] for p in people], dtype=torch.float32)
    regional = {}
    for name in ageing.REGIONS:
        parts = ("sulcus", "lost", "myelination")
        values = [[p[part].get(name, 0.0) for part in parts] for p in people]
        regional[name] = torch.tensor(values, dtype=torch.float32, device=device)
    person["regional"] = regional
    for name in ("warp", "cortex", "folding", "lesion", "vessel"):
        person[f"{name}_streams"] = [p["stream"](f"field/{name}") for p in people]
    person["warp_amount"] = settings.warp
    person["folding"] = settings.folding
    return person
