"""Draw one person: age, sex, site, how fast each region ages, pose, head size, and a tumor or a head.

Each quantity is drawn from a stream of its own, so a person is the same whatever else is asked.
"""

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from .brain import aging
from .fields import between, normal, stream, uniform
from .glioma.growth import draw_glioma
from .head import draw_head
from .people import KINDS, Aging, Person, Settings
from .tables import constants

C = constants(__file__)


def draw_person(seed: int, kind: str, number: int, settings: Settings) -> Person:
    """Everything about one person that is a number. Raises ValueError for a kind that is not in KINDS."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    draw = partial(stream, seed, kind, number)
    age = _draw_age(kind, uniform(draw("age"), 3), settings.age_range)
    male = bool(uniform(draw("sex"), 1) < C.male[kind])
    biological = age + settings.accelerated + settings.biological * float(normal(draw("biological"), 1))
    biological = _within(biological, C.biological_limits)
    years = normal(draw("regions"), len(aging.REGIONS)) * settings.regional
    regional = {name: biological + float(extra) for name, extra in zip(aging.REGIONS, years, strict=True)}
    rotation, shift = _pose(kind, settings, normal(draw("pose"), 6))
    ratio, z = aging.C.tiv_ratio_men_women ** (1 / 6), normal(draw("size"), 4)
    size = aging.HEAD_SCALE * (ratio if male else 1 / ratio) * (1 + settings.size * z[0])
    return Person(
        seed=seed, kind=kind, number=int(number), age=age, male=male,
        site=int(uniform(draw("site"), 1) * settings.sites),
        biological_age=biological, regional_ages=regional,
        # The keys of streams are never spelled anew: it would be other people.
        aging=_age(biological, regional, settings.anatomy, normal(draw("ageing"), 8).tolist()),
        rotation=rotation, shift=shift, scale=size * (1 + C.proportions_sd * (z[1:] - z[1:].mean())),
        vessel=between(C.vessel, uniform(draw("vessels"), 3)),
        noise=settings.noise,
        glioma=draw_glioma(draw("tumor")) if kind == "tumor" else None,
        head=draw_head(draw("head")) if kind == "head" else None,
    )  # fmt: skip


def _age(age: float, regional: Mapping[str, float], spread: float, z: list[float]) -> Aging:
    """What a biological age (years), regional ages and chance do to a brain; z are eight normal numbers."""
    old = _within((age - C.old[0]) / C.old[1], (0.0, C.oldest_old))
    hippocampus, callosum, ganglia = (regional[name] for name in ("hippocampus", "callosum", "basal ganglia"))
    sulcus = {n: aging.sulcus_shift(regional[n], n) + spread * C.sulcus_sd * z[1] for n in aging.C.sulcus_rate}
    push = aging.ventricle_push(age) + spread * (C.ventricle_sd + C.ventricle_sd_old * old) * z[0]
    return Aging(
        ventricle=_within(push, C.push_limits),
        horn=aging.horn_radius(hippocampus) * math.exp(C.horn_sd * spread * z[2]),
        sulcus=sulcus,
        lost={"callosum": aging.callosum_loss(callosum), "basal ganglia": aging.caudate_loss(ganglia)},
        myelination={n: aging.myelination(regional[n]) + spread * C.myelination_sd * z[3] for n in sulcus},
        contrast_loss=aging.contrast_loss(age) + spread * C.contrast_loss_sd * z[4],
        iron=aging.iron(ganglia) + spread * C.iron_sd * z[5],
        lesion=min(aging.lesion_load(age) + spread * C.lesion_sd * z[6], C.lesion_limit),
    )


def _pose(kind: str, settings: Settings, z: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation (radians) and shift (mm), each (3,), from six normal numbers."""
    rotation = C.pose[kind][0] if settings.rotation is None else settings.rotation
    shift = C.pose[kind][1] if settings.shift is None else settings.shift
    turn = z[:3] * torch.tensor(C.turn) * math.radians(rotation)
    limit = math.radians(C.largest_turn)
    return turn.clamp(-limit, limit), z[3:] * shift


def _draw_age(kind: str, u: Tensor, limits: tuple[float, float] | None) -> float:
    """An age in years, distributed as in its kind, from three numbers `u` drawn evenly between 0 and 1."""
    a, b, c = u.tolist()
    if limits is not None:
        return between(limits, b)
    if kind == "tumor":
        return _within(C.tumor_age + C.tumor_age_sd * (a + b + c - 3 / 2) * 2, C.tumor_age_limits)
    if kind == "head":
        return between(C.head_age, b)
    limits, power = (C.younger, C.younger_power) if a < C.younger_share else (C.older, C.older_power)
    return min(between(limits, b**power), C.oldest)


def _within(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])
