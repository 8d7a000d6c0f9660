"""From the average anatomy to the tissues of one person: sulci, cortex, ventricles, lesions.

The average brain has fractional sulci: 0.5 where half the people have one. A threshold turns the fraction into a sharp
sulcus (a level set); aging moves the threshold, so sulci open where people really have them. On top, every person gets
sulci of their own: the zero set of a smooth random field is a folded sheet, and where it cuts the cortex it becomes a
sulcus lined with gray matter.

The constants were set by eye, beside T1 images of young and old people at 1 and 2 mm, before scripts/calibrate_cohort.py
solved for those of `aging`; lengths are in mm, the others are fractions or have no unit.
"""

from functools import partial

import torch
from torch import Tensor

from ..fields import per_person, smooth_field, soft_step
from ..people import People
from ..tissue_maps import TissueMaps
from .aging import REGIONS
from .regions import over_regions

FLUID_CUT = 0.36  # fraction of fluid at which a sulcus begins
FLUID_EDGE = 0.055  # softness of that threshold
FLUID_WIDE, FLUID_LOCAL = 0.034, 0.045  # spread of the fraction between people, over 44 mm and over 18 mm
OWN_SCALE = 17.0  # control points of the field whose zero set makes a person's own sulci
OWN_WIDTH = 0.19  # half width of such a sulcus, in standard deviations of the field
OWN_DEPTH, OWN_DEPTH_SD = 10.0, 5.0  # how deep such sulci reach
OWN_FLUID, OWN_LINING = 0.30, 0.62  # fluid in them, and the gray matter that lines them
LINING_WIDTH = 2.8  # times OWN_WIDTH
RIBBON_DEPTH = 24.0  # of the sulci below the surface
WHITE_CUT, WHITE_EDGE = 0.5, 0.13  # fraction of white at which white matter begins, and the softness
MYELIN_SHIFT = 0.9  # by how much of a person's myelination the cut moves
DEEP_MIX = 0.75  # how much of the average's soft mixture of gray and white stays deep inside
VENTRICLE_RIM, RIM_WIDTH = 0.8, 1.6  # gray that the average has at the ventricles only because fluid mixes in there


def _fields(people: People, purpose: str, shape: tuple[int, ...], spacing: float) -> partial[Tensor]:
    """Smooth fields drawn one after the other from the streams of one purpose: call with a scale in mm."""
    streams = people.streams(f"field/{purpose}")
    return partial(smooth_field, streams, shape, spacing, device=people.device)


def _regional(people: People) -> Tensor:
    """(N, regions, 3): shift of the fluid threshold, mm lost to the ventricles, myelination."""
    numbers = [
        [[part.get(region, 0.0) for part in (p.aging.sulcus, p.aging.lost, p.aging.myelination)] for region in REGIONS]
        for p in people.persons
    ]
    return torch.tensor(numbers, dtype=torch.float32, device=people.device)


def brain_tissues(maps: dict[str, Tensor], points: Tensor, people: People, spacing: float) -> TissueMaps:
    """The tissues of BRAIN, which add up to the soft mask, `residual` and `mask`; maps are (N, X, Y, Z).

    `maps` are the template's brain maps at `points` (N, X, Y, Z, 3; MNI mm); `spacing` is in mm.
    """
    shape = tuple(points.shape[1:4])
    gm, wm, mask, phi, depth = (maps[name] for name in ("gm", "wm", "mask", "phi", "depth"))
    shift, loss, myelination = over_regions(_regional(people), points).unbind(-1)

    # Ventricles, with what caudate and callosum lost to them, and the temporal horn.
    phi = phi - loss
    ventricle = soft_step(0.1 - phi, 0.8)
    radius = people.column(person.aging.horn for person in people.persons)
    horn = soft_step(radius - maps["horn"], 0.6) * soft_step(depth - 6, 1.0)
    ventricle = torch.maximum(ventricle, horn) * mask

    # Sulci of the average brain, and the person's own.
    field = _fields(people, "cortex", shape, spacing)
    wide = field(22.0, 2)
    local = field(9.0)[:, 0]
    ribbon = soft_step(RIBBON_DEPTH - depth, 4.0) * soft_step(phi - 5, 1.5)
    field = _fields(people, "folding", shape, spacing)
    sheet = field(OWN_SCALE)[:, 0]
    reach = OWN_DEPTH + OWN_DEPTH_SD * field(26.0)[:, 0]
    cerebrum = soft_step(points[..., 2] + 22 - 0.25 * (points[..., 1] + 40), 4.0)
    own = people.settings.folding * cerebrum * soft_step(reach - depth, 1.2) * soft_step(phi - 7, 1.5)
    fluid = maps["csf"] + FLUID_WIDE * wide[:, 0] + FLUID_LOCAL * local + shift
    fluid = fluid + OWN_FLUID * own * torch.exp(-((sheet / OWN_WIDTH) ** 2))
    sulcus = soft_step(fluid - FLUID_CUT, FLUID_EDGE) * ribbon
    cistern = maps["csf"] * (1 - ribbon) * soft_step(phi - 3, 0.8)
    csf = torch.maximum(sulcus, cistern) * (1 - ventricle)

    # Gray and white: sharp in the ribbon, the soft mixture of the average deep inside.
    average = wm / (wm + gm + 1e-3)
    lining = OWN_LINING * own * torch.exp(-((sheet / (LINING_WIDTH * OWN_WIDTH)) ** 2))
    sharp = average - lining - (WHITE_CUT - MYELIN_SHIFT * myelination)
    sharp = soft_step(sharp + 0.02 * wide[:, 1], WHITE_EDGE)
    mix = DEEP_MIX * soft_step(depth - 14, 3.0)
    white_fraction = mix * average + (1 - mix) * sharp
    solid = (mask - ventricle).clamp(min=0) * (1 - csf)
    white = solid * white_fraction
    gray = solid - white
    deep = gray * (maps["deep"] / (gm + 1e-3)).clamp(0, 1)
    cortex = gray - deep
    rim = VENTRICLE_RIM * torch.exp(-((phi.clamp(min=0) / RIM_WIDTH) ** 2)) * (1 - deep)
    white, cortex = white + cortex * rim, cortex * (1 - rim)

    lesion = _lesion_fraction(people, phi, depth, spacing) * white
    csf = csf * (mask - ventricle).clamp(min=0)
    tissues = {"ventricle": ventricle, "csf": csf, "cortex": cortex, "deep": deep}
    tissues |= {"white": white - lesion, "lesion": lesion}
    return TissueMaps(tissues, mask, maps["residual"] * solid)


def _lesion_fraction(people: People, phi: Tensor, depth: Tensor, spacing: float) -> Tensor:
    """How much of the white matter is hyperintense, (N, X, Y, Z): caps at the ventricles, then deep foci."""
    field = _fields(people, "lesion", tuple(phi.shape[1:]), spacing)
    patch, focus = field(14.0)[:, 0], field(7.0)[:, 0]
    caps = torch.exp(-phi.clamp(min=0) / 5.5)
    deep = 0.6 * torch.exp(-(((phi - 16) / 12) ** 2))
    score = 2.6 * caps + 0.46 * patch + (0.73 * focus - 1.0) * deep
    load = torch.tensor([person.aging.lesion for person in people.persons], dtype=torch.float32)
    score = score + per_person(load, phi.device) - 3.1
    return soft_step(score, 0.28) * soft_step(depth - 9, 2.0) * soft_step(phi - 0.5, 0.5)
