"""What is no tumor and may look like one: lesions of white matter, choroid plexus, what skull stripping leaves."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from synthcohort.fields import per_person, soft_step, uniform
from synthcohort.glioma.variation import mean_over_cube
from synthcohort.tissue_maps import CONTRASTS, TissueMaps

from . import draws as drawing
from .draws import Draws

# Lowest and highest signal of a patient against white matter on T1, as in synthcohort.signals; by eye.
RANGES = {  # t1, t1gd, t2, flair
    "spots": ((0.45, 0.90), (0.45, 0.92), (0.60, 1.15), (0.70, 1.35)),
    "holes": ((0.18, 0.55), (0.18, 0.55), (0.90, 1.40), (0.14, 0.90)),  # scars of strokes
    "plexus": ((0.40, 0.75), (0.85, 2.00), (0.55, 1.20), (0.40, 1.30)),
    "dura": ((0.40, 0.95), (0.95, 2.20), (0.15, 0.80), (0.25, 1.00)),  # with the venous sinuses
    "fat": ((0.90, 1.60), (0.90, 1.70), (0.40, 1.00), (0.40, 1.10)),
    "dark": ((0.05, 0.45), (0.05, 0.60), (0.05, 1.20), (0.05, 0.45)),  # bone and fluid
}
IN_PLACE = ("spots", "holes")  # the tissues make room for these; the others are painted over what is there
TEXTURE = 0.15  # relative, of all of them


def add(
    tissues: TissueMaps, spacing: float, spots: float, plexus: float, remnants: float, generator: Generator
) -> tuple[TissueMaps, dict[str, Tensor]]:
    """With room for mimics in fractions `spots`, `plexus` and `remnants` of the people; and maps of RANGES.

    `remnant`, what lies outside the brain and stays, joins the tissues.
    """
    draws = Draws(generator, tissues.mask, spacing)
    tissues, lesions = _lesions(tissues, draws, spots)
    tissues, bright = _plexus(tissues, draws, plexus)
    tissues, left = _remnants(tissues, draws, remnants)
    return tissues, {**lesions, "plexus": bright, **left}


def _lesions(tissues: TissueMaps, draws: Draws, fraction: float) -> tuple[TissueMaps, dict[str, Tensor]]:
    """Caps round the ventricles that flow together, spots, scars of strokes that reach the cortex."""
    person = draws.some(fraction)
    near = mean_over_cube(tissues["ventricle"], 24.0, draws.spacing)
    field = draws.field(26.0)
    caps = soft_step(4 * near + 0.35 * field - draws.between(0.7, 1.8), 0.15) * draws.some(0.55)
    field = draws.field(14.0)
    round_ones = soft_step(field + 2.0 * near - draws.between(1.5, 2.6), 0.15) * draws.some(0.55)
    small = draws.patches(8.0, 1.9, 2.8, 0.15) * draws.some(0.5)
    white = tissues["white"] + tissues["lesion"]
    found = person * torch.maximum(torch.maximum(caps, round_ones), small)
    stroke = person * draws.patches(30.0, 1.6, 2.4, 0.1) * draws.some(0.2)
    holes = stroke * draws.patches(14.0, -0.6, 0.8, 0.1)
    spots = torch.maximum(found, stroke - holes)
    painted = {"spots": (white * spots).clamp(max=1) * (1 - holes), "holes": (white + tissues["cortex"]) * holes}
    changed = {name: tissues[name] * (1 - spots) * (1 - holes) for name in ("white", "lesion")}
    return tissues.updated(changed | {"cortex": tissues["cortex"] * (1 - holes)}), painted


def _plexus(tissues: TissueMaps, draws: Draws, fraction: float) -> tuple[TissueMaps, Tensor]:
    """What enhances in the ventricles, of any size; that of a real anatomy is there already."""
    ventricle, vessel = tissues["ventricle"], tissues.vessel
    vessel = torch.zeros_like(ventricle) if vessel is None else vessel
    own = vessel * ventricle
    wide = F.max_pool3d(own, 3, 1, 1) * ventricle
    some = draws.some(fraction)
    bright = some * torch.maximum(own, wide * draws.some(0.5) * draws.patches(10.0, -1.0, 1.0, 0.3))
    if "plexus" in tissues:
        bright = torch.maximum(bright, tissues["plexus"])
    there = per_person(bright.flatten(1).amax(1) > 0.1).float()
    return replace(tissues, vessel=vessel * (1 - ventricle * there)), bright.clamp(0, 1)


def _remnants(tissues: TissueMaps, draws: Draws, fraction: float) -> tuple[TissueMaps, dict[str, Tensor]]:
    """Outside the brain: dura and sinuses, fat, and what is dark."""
    level, uneven = draws.between(0.0, 0.5), draws.between(0.03, 0.35)
    near = mean_over_cube(tissues.mask, 12.0, draws.spacing)
    reach = near + uneven * draws.field(40.0) * (4 * near).clamp(max=1)
    left = draws.some(fraction) * (1 - tissues.mask) * soft_step(reach - 0.14 - level, 0.04)
    dura = draws.patches(26.0, -0.8, 1.6, 0.2)
    fat = draws.patches(22.0, 0.8, 2.2, 0.2) * (1 - dura)
    parts = {"dura": left * dura, "fat": left * fat, "dark": left * (1 - dura) * (1 - fat)}
    return tissues.updated({"remnant": left}), parts


def levels(count: int, untied: bool, generator: Generator) -> dict[str, Tensor]:
    """For each contrast the signals (N, kinds) of N people in the order of RANGES; `untied`, T1 and T1Gd
    are only loosely tied, else alike."""
    rank = dict(zip(CONTRASTS, uniform(generator, len(CONTRASTS), count, len(RANGES)), strict=True))
    tie = (0.5 + 0.5 * uniform(generator, count, 1)).clamp(min=0 if untied else 1)
    rank["t1gd"] = tie * rank["t1"] + (1 - tie) * rank["t1gd"]
    return {contrast: drawing.levels(RANGES, k, rank[contrast]) for k, contrast in enumerate(CONTRASTS)}


def paint(image: Tensor, painted: dict[str, Tensor], level: Tensor, texture: Tensor) -> Tensor:
    """The image with all of it painted; `texture` (N, X, Y, Z) makes it uneven."""
    for name, signal in zip(RANGES, level.unbind(1), strict=True):
        bright = per_person(signal) * (1 + TEXTURE * texture)
        under = image if name in IN_PLACE else image * (1 - painted[name])
        image = under + painted[name] * bright
    return image.clamp(min=0)
