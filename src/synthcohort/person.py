"""Draw one person: age, sex, site, how fast each region ages, pose, head size, and a tumor or a head.

Each quantity is drawn from a stream of its own, so a person is the same whatever else is asked.
"""

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from .brain import aging
from .fields import normal, stream, uniform
from .glioma.growth import draw_glioma
from .head import draw_head
from .people import KINDS, Aging, Person, Settings
from .template import white_matter_points

# Defaults that depend on the kind: rotation (degrees) and shift (mm), standard deviations. Brains and tumors come
# registered to a template, as IXI and BraTS do after preprocessing; heads do not.
POSE = {"brain": (2.0, 1.5), "tumor": (3.0, 2.0), "head": (9.0, 8.0)}
TURN = (1.0, 0.5, 0.7)  # nodding varies most, then shaking, then tilting
LARGEST_TURN = 20.0  # degrees
PROPORTIONS_SD = 0.018  # relative, of the size along each axis
MALE = {"brain": 0.45, "tumor": 0.58, "head": 0.45}  # fraction
BIOLOGICAL_AGES = (15.0, 100.0)  # years, where the curves of aging hold
PUSH_LIMITS = (-4.5, 11.0)  # mm, slit ventricles to severe enlargement
LESION_LIMIT = 1.6  # no population study has heavier loads; keeps the tail sane


def draw_person(seed: int, kind: str, number: int, settings: Settings) -> Person:
    """Everything about one person that is a number. Raises ValueError for a kind that is not in KINDS."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    draw = partial(stream, seed, kind, number)
    age = _draw_age(kind, uniform(draw("age"), 3), settings.age_range)
    male = bool(uniform(draw("sex"), 1) < MALE[kind])
    biological = age + settings.accelerated + settings.biological * float(normal(draw("biological"), 1))
    biological = min(max(biological, BIOLOGICAL_AGES[0]), BIOLOGICAL_AGES[1])
    years = normal(draw("regions"), len(aging.REGIONS)) * settings.regional
    regional = {name: biological + float(extra) for name, extra in zip(aging.REGIONS, years, strict=True)}
    rotation, shift = _pose(kind, settings, normal(draw("pose"), 6))
    ratio, z = aging.TIV_RATIO_MEN_WOMEN ** (1 / 6), normal(draw("size"), 4)
    size = aging.HEAD_SCALE * (ratio if male else 1 / ratio) * (1 + settings.size * z[0])
    return Person(
        seed=seed,
        kind=kind,
        number=int(number),
        age=age,
        male=male,
        site=int(uniform(draw("site"), 1) * settings.sites),
        biological_age=biological,
        regional_ages=regional,
        # The keys of streams are never spelled anew: it would be other people.
        aging=_age(biological, regional, settings.anatomy, normal(draw("ageing"), 8).tolist()),
        rotation=rotation,
        shift=shift,
        scale=size * (1 + PROPORTIONS_SD * (z[1:] - z[1:].mean())),
        vessel=0.55 + 0.6 * uniform(draw("vessels"), 3),
        noise=settings.noise,
        glioma=draw_glioma(draw("tumor"), white_matter_points()) if kind == "tumor" else None,
        head=draw_head(draw("head")) if kind == "head" else None,
    )


def _age(age: float, regional: Mapping[str, float], spread: float, z: list[float]) -> Aging:
    """What a biological age (years), regional ages and chance do to a brain; z are eight normal numbers."""
    old = min(max((age - 20) / 60, 0.0), 1.2)
    hippocampus, callosum, ganglia = (regional[name] for name in ("hippocampus", "callosum", "basal ganglia"))
    offset = spread * 0.011 * z[1]
    sulcus = {name: aging.sulcus_shift(regional[name], name) + offset for name in aging.SULCUS_RATE}
    push = aging.ventricle_push(age) + spread * (2.2 + 1.0 * old) * z[0]
    return Aging(
        ventricle=min(max(push, PUSH_LIMITS[0]), PUSH_LIMITS[1]),
        horn=aging.horn_radius(hippocampus) * math.exp(0.12 * spread * z[2]),
        sulcus=sulcus,
        lost={"callosum": aging.callosum_loss(callosum), "basal ganglia": aging.caudate_loss(ganglia)},
        myelination={name: aging.myelination(regional[name]) + spread * 0.03 * z[3] for name in sulcus},
        contrast_loss=aging.contrast_loss(age) + spread * 0.025 * z[4],
        iron=aging.iron(ganglia) + spread * 0.025 * z[5],
        lesion=min(aging.lesion_load(age) + spread * 0.42 * z[6], LESION_LIMIT),
    )


def _pose(kind: str, settings: Settings, z: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation (radians) and shift (mm), each (3,), from six normal numbers."""
    rotation, shift = POSE[kind]
    rotation = rotation if settings.rotation is None else settings.rotation
    shift = shift if settings.shift is None else settings.shift
    turn = z[:3] * torch.tensor(TURN) * math.radians(rotation)
    limit = math.radians(LARGEST_TURN)
    return turn.clamp(-limit, limit), z[3:] * shift


def _draw_age(kind: str, u: Tensor, limits: tuple[float, float] | None) -> float:
    """Years. Brains: two broad humps as in IXI; tumors: about 62 (sd 12); heads: even."""
    a, b, c = u.tolist()
    if limits is not None:
        return limits[0] + (limits[1] - limits[0]) * b
    if kind == "tumor":
        return min(max(62 + 12 * (a + b + c - 1.5) * 2, 22), 88)
    if kind == "head":
        return 18 + 72 * b
    return min(20 + 33 * b**0.9 if a < 0.55 else 46 + 40 * b**1.15, 86)
