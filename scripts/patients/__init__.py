"""Brains as patients have them, drawn anew in every batch: for the training of the tumor network that is shipped.

The workshop's cohort is tidier than patients are. Here tumors grow also in people who had none (`tumors`), and what
is no tumor but looks like one is drawn as well (`mimics`). It needs tissue maps with all of NAMES; see `complete`.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from synthcohort.fields import chance, uniform
from synthcohort.randomization import Randomization, as_scanned
from synthcohort.randomization.contrasts import Signals, draw_signals
from synthcohort.randomization.contrasts import paint as paint_tissues
from synthcohort.signals import MEANS
from synthcohort.tissue_maps import BRAIN, GLIOMA, TissueMaps

from . import mimics, tumors
from .draws import Draws

NAMES = (*BRAIN, *GLIOMA, "vessel", "residual", "mask", "plexus")


@dataclass(frozen=True)
class Patients:
    """How much may vary beside what `Randomization` says. Fractions are those of people; 0 switches off.

    Seen: the network that knew only the cohort's tidy brains marked 11 to 17 ml of tumor in real people without one, at
    lesions, plexus, dura and veins, and missed faint uptake.
    """

    growths: float = 0.45  # fraction of people without a tumor in whom one grows; about a third of a batch has none
    spots: float = 0.5  # fraction with lesions of white matter; published: 95 % from 60 to 90 y have some, few have
    # many (de Leeuw et al., J Neurol Neurosurg Psychiatry 70:9, 2001)
    plexus: float = 0.6  # fraction with a choroid plexus bright on T1Gd; seen: large in some, hardly there in others
    remnants: float = 0.5  # fraction with dura, fat and bone left at the edge of the brain; seen on public scans
    faint: bool = True  # whether uptake may be faint; without, it is that of version 0.1.0
    untied: bool = True  # whether T1Gd is a sequence of its own; without, it is T1 with uptake
    grain: float = 0.25  # largest sd of the fine unevenness of a tumor, relative to its signal; seen beside BraTS


DEFAULT = Patients()


def complete(names: tuple[str, ...], maps: Tensor) -> Tensor:
    """Packed maps (N, K, X, Y, Z) in the order of NAMES, 0 for those that are not there."""
    empty = torch.zeros_like(maps[:, 0])
    return torch.stack([maps[:, names.index(name)] if name in names else empty for name in NAMES], 1)


def randomize_patients(
    maps: Tensor,
    spacing: float,
    generator: Generator,
    contrasts: tuple[str, ...],
    settings: Randomization,
    patients: Patients = DEFAULT,
    targets: tuple[str, ...] = ("mask",),
) -> tuple[Tensor, Tensor]:
    """`synthcohort.randomization.randomize` for patients: images (N, C, X, Y, Z) and targets (N, T, X, Y, Z).

    `maps` (N, K, X, Y, Z) uint8 are those of NAMES, at `spacing` mm. Besides `mask` and the tissues, `remnant` may be a
    target: what lies outside the brain and is left by skull stripping. Raises KeyError for an unknown target.
    """
    mirrored = chance(generator, 0.5, len(maps))
    maps = torch.where(mirrored.view(-1, 1, 1, 1, 1), maps.flip(2), maps)
    tissues, through = tumors.grow(TissueMaps.unpack(NAMES, maps), spacing, patients.growths, generator)
    tissues, parts = tumors.divide(tissues, spacing, generator)
    fade, rank = tumors.fading(tissues, spacing, generator), tumors.ranks(len(maps), patients.untied, generator)
    uptake = uniform(generator, len(maps))
    tissues, painted = mimics.add(tissues, spacing, patients.spots, patients.plexus, patients.remnants, generator)
    level = mimics.levels(len(maps), patients.untied, generator)
    wanted = torch.stack([tissues.mask if name == "mask" else tissues[name] for name in targets], 1)
    inside = tissues["core"] + tissues["enhancing"] + 0.5 * tissues["edema"]
    draws = Draws(generator, tissues.mask, spacing)
    images: list[Tensor] = []
    drawn: dict[str, Signals] = {}
    for contrast in contrasts:
        signals = drawn[contrast] = draw_signals(contrast, len(maps), settings, generator)
        if contrast == "t1gd" and not patients.untied and "t1" in drawn:
            signals = (drawn["t1"][0] * (MEANS["t1gd"] / MEANS["t1"]).to(maps.device), drawn["t1"][1], signals[2])
        tumor = tumors.paint(parts, contrast, rank[contrast], signals[0], through, fade, uptake, patients.faint)
        fine = draws.field(10.0) + draws.field(5.0)
        tumor = tumor * (1 + patients.grain * draws.number() * fine * inside).clamp(min=0.2)
        image = paint_tissues(tissues, signals, tumor, spacing, settings.texture, generator)
        images.append(mimics.paint(image, painted, level[contrast], fine))
    return as_scanned(tissues, images, wanted, spacing, settings, generator)
