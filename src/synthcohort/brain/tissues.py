"""From the average anatomy to the tissues of one person: sulci, cortex, ventricles, lesions.

The average brain has fractional sulci: 0.5 where half the people have one. A threshold turns the fraction into a sharp
sulcus (a level set); aging moves the threshold, so sulci open where people really have them. On top come sulci of one's
own: the zero set of a smooth random field is a folded sheet, and where it cuts the cortex it is a sulcus lined with
gray matter.

Vessels, sinuses, choroid plexus and dura take up gadolinium in everyone. Without them a network learns that whatever is
bright on T1Gd is tumor, and fails on the first real patient.

The constants were set by eye, beside T1 images of young and old people, before scripts/calibrate_cohort.py solved for
those of `aging`; lengths are in mm, the others are fractions or have no unit.
"""

import math
from functools import lru_cache, partial

import torch
from torch import Tensor

from ..fields import smooth_field, soft_step
from ..grid import trilinear
from ..people import People
from ..template import HIGH, LOW
from ..tissue_maps import TissueMaps
from .aging import REGIONS, TABLE

REGION_STEP = 8.0  # mm, of the grid of the regions' weights, which are smoother
_NX, _NY, _NZ = (math.ceil((high - low) / REGION_STEP) + 1 for low, high in zip(LOW, HIGH, strict=True))
REGION_SHAPE = (_NX, _NY, _NZ)
FLUID_CUT, FLUID_EDGE = 0.36, 0.055  # fraction of fluid at which a sulcus begins, and the softness
FLUID_WIDE, FLUID_LOCAL = 0.034, 0.045  # sd of the fraction between people, over 44 mm and over 18 mm
OWN_SCALE = 17.0  # control points of the field whose zero set makes a person's own sulci
OWN_WIDTH, LINING_WIDTH = 0.19, 2.8  # half width of such a sulcus in sd of the field; of its lining, times OWN_WIDTH
OWN_DEPTH, OWN_DEPTH_SD = 10.0, 5.0  # how deep such sulci reach
OWN_FLUID, OWN_LINING = 0.30, 0.62  # fluid in them, and the gray matter that lines them
RIBBON_DEPTH = 24.0  # of the sulci below the surface
WHITE_CUT, WHITE_EDGE = 0.5, 0.13  # fraction of white at which white matter begins, and the softness
MYELIN_SHIFT = 0.9  # by how much of a person's myelination the cut moves
DEEP_MIX = 0.75  # how much of the average's soft mixture of gray and white stays deep inside
VENTRICLE_RIM, RIM_WIDTH = 0.8, 1.6  # gray that the average has at the ventricles only because fluid mixes in there
VEIN_WIDTH = 0.2  # of cortical veins, in sd of two fields: a soft tube in the sulci, along which both vanish
DURA = 0.45  # how much of a voxel at the edge of the brain is dura, where it is seen


def _fields(people: People, purpose: str, volume: Tensor, spacing: float) -> partial[Tensor]:
    """Smooth fields drawn one after the other from the streams of one purpose: call with a scale in mm."""
    return partial(smooth_field, people.streams(f"field/{purpose}"), volume.shape[1:], spacing, device=people.device)


@lru_cache(maxsize=4)
def region_weights(device: str) -> Tensor:
    """Weights (voxels, regions) on a coarse grid in template space, in the order of REGIONS; by eye, enough for lobes:
    cortical regions add up to one everywhere, deep ones are blobs. Boundaries are planes and ellipsoids in MNI mm.
    """
    axes = [torch.arange(n) * REGION_STEP + low for n, low in zip(REGION_SHAPE, LOW, strict=True)]
    x, y, z = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).unbind(-1)
    x = x.abs()

    blobs = {}
    for name, shape in TABLE["blobs"].items():
        squares = [((a - c) / r) ** 2 for a, c, r in zip((x, y, z), shape["center"], shape["radii"], strict=True)]
        blobs[name] = torch.exp(-(squares[0] + squares[1] + squares[2]))
    # Each takes its part of what those before it have left, the parietal lobe the rest.
    cortical = {
        "cerebellum": [soft_step(-10 + 0.25 * (y + 40) - z, 3), soft_step(-36 - y, 4)],
        "sylvian": [blobs["sylvian"]],
        "temporal": [soft_step(-2 - 0.2 * y - z, 5), soft_step(x - 20, 4), soft_step(y + 62, 8)],
        "frontal": [soft_step(y + 12 + 0.25 * (z - 20), 6)],
        "occipital": [soft_step(-66 - y + 0.2 * (z - 10), 6)],
    }
    weights = blobs | {"parietal": torch.ones_like(x)}
    for name, factors in cortical.items():
        weights[name] = math.prod(factors, start=weights["parietal"])
        weights["parietal"] = weights["parietal"] - weights[name]
    return torch.stack([weights[name] for name in REGIONS], -1).to(device)


def _regional(people: People, points: Tensor) -> Tensor:
    """Shift of the fluid threshold, mm lost to the ventricles and myelination, (N, X, Y, Z, 3)."""
    parts = [(p.aging.sulcus, p.aging.lost, p.aging.myelination) for p in people.persons]
    rows = [[[part.get(region, 0.0) for part in person] for region in REGIONS] for person in parts]
    values = torch.tensor(rows, dtype=torch.float32, device=points.device)
    table = torch.zeros((), device=points.device)
    for k, weights in enumerate(region_weights(str(points.device)).unbind(1)):
        table = table + weights[None, :, None] * values[:, k, None]
    return trilinear(table, REGION_SHAPE, (points - points.new_tensor(LOW)) / REGION_STEP)


def brain_tissues(maps: dict[str, Tensor], points: Tensor, people: People, spacing: float) -> TissueMaps:
    """The tissues of BRAIN, which add up to the mask, from the template's maps at `points` (N, X, Y, Z, 3), MNI mm."""
    gm, wm, mask, phi, depth = (maps[name] for name in ("gm", "wm", "mask", "phi", "depth"))
    shift, loss, myelination = _regional(people, points).unbind(-1)
    # Ventricles, with what caudate and callosum lost to them, and the temporal horn.
    phi = phi - loss
    horn = soft_step(people.column("aging.horn") - maps["horn"], 0.6) * soft_step(depth - 6, 1.0)
    ventricle = torch.maximum(soft_step(0.1 - phi, 0.8), horn) * mask
    brain = (mask - ventricle).clamp(min=0)
    # Sulci of the average brain, and the person's own.
    field = _fields(people, "cortex", mask, spacing)
    wide, local = field(22.0, 2), field(9.0)[:, 0]
    field = _fields(people, "folding", mask, spacing)
    sheet, reach = field(OWN_SCALE)[:, 0], OWN_DEPTH + OWN_DEPTH_SD * field(26.0)[:, 0]
    cerebrum = soft_step(points[..., 2] + 22 - 0.25 * (points[..., 1] + 40), 4.0)
    own = people.settings.folding * cerebrum * soft_step(reach - depth, 1.2) * soft_step(phi - 7, 1.5)
    fluid = maps["csf"] + FLUID_WIDE * wide[:, 0] + FLUID_LOCAL * local + shift
    fluid = fluid + OWN_FLUID * own * torch.exp(-((sheet / OWN_WIDTH) ** 2))
    ribbon = soft_step(RIBBON_DEPTH - depth, 4.0) * soft_step(phi - 5, 1.5)
    sulcus = soft_step(fluid - FLUID_CUT, FLUID_EDGE) * ribbon
    cistern = maps["csf"] * (1 - ribbon) * soft_step(phi - 3, 0.8)
    csf = torch.maximum(sulcus, cistern) * (1 - ventricle)
    solid = brain * (1 - csf)
    # Gray and white: sharp in the ribbon, the soft mixture of the average deep inside.
    average = wm / (wm + gm + 1e-3)
    lining = OWN_LINING * own * torch.exp(-((sheet / (LINING_WIDTH * OWN_WIDTH)) ** 2))
    sharp = average - lining - (WHITE_CUT - MYELIN_SHIFT * myelination)
    sharp = soft_step(sharp + 0.02 * wide[:, 1], WHITE_EDGE)
    mix = DEEP_MIX * soft_step(depth - 14, 3.0)
    white = solid * (mix * average + (1 - mix) * sharp)
    gray = solid - white
    deep = gray * (maps["deep"] / (gm + 1e-3)).clamp(0, 1)
    cortex = gray - deep
    rim = VENTRICLE_RIM * torch.exp(-((phi.clamp(min=0) / RIM_WIDTH) ** 2)) * (1 - deep)
    white, cortex = white + cortex * rim, cortex * (1 - rim)
    # White matter that is hyperintense: caps at the ventricles, then deep foci.
    field = _fields(people, "lesion", mask, spacing)
    patch, focus = field(14.0)[:, 0], field(7.0)[:, 0]
    caps, far = torch.exp(-phi.clamp(min=0) / 5.5), 0.6 * torch.exp(-(((phi - 16) / 12) ** 2))
    score = 2.6 * caps + 0.46 * patch + (0.73 * focus - 1.0) * far + people.column("aging.lesion") - 3.1
    lesion = soft_step(score, 0.28) * soft_step(depth - 9, 2.0) * soft_step(phi - 0.5, 0.5) * white
    tissues = {"ventricle": ventricle, "csf": csf * brain, "cortex": cortex, "deep": deep}
    return TissueMaps(tissues | {"white": white - lesion, "lesion": lesion}, mask, maps["residual"] * solid)


def enhancing_structures(maps: dict[str, Tensor], tissues: TissueMaps, people: People, spacing: float) -> Tensor:
    """Soft map (N, X, Y, Z), 0 to about 1, of what is bright on T1Gd and dark (flow) on T2."""
    mask = tissues.mask
    field = _fields(people, "vessel", mask, spacing)
    pair, patch = field(15.0, 2), field(30.0)[:, 0]
    veins = torch.exp(-(pair**2).sum(1) / VEIN_WIDTH**2) * tissues["csf"]
    # The sinuses run in the dura, outside the fluid of the average brain: allow them at the edge.
    edge = (4 * mask * (1 - mask)).clamp(0, 1)
    room = (tissues["csf"] + tissues["ventricle"] + edge).clamp(0, 1)
    dura = DURA * edge * soft_step(patch - 0.3, 0.5)
    strength = people.stack("vessel").to(mask.device).view(-1, 3, 1, 1, 1)
    vessels = torch.maximum(strength[:, 0] * maps["vessel"] * room, strength[:, 1] * veins)
    return torch.maximum(vessels, strength[:, 2] * dura)
