"""From the average anatomy to the tissues of one person: sulci, cortex, ventricles, lesions.

The average brain has fractional sulci: 0.5 where half the people have one. A threshold turns the fraction into a sharp
sulcus (a level set); aging moves it, so sulci open where people really have them. On top come sulci of one's own: the
zero set of a smooth random field is a folded sheet, a sulcus lined with gray matter where it cuts the cortex. Vessels,
sinuses, choroid plexus and dura take up gadolinium in everyone: else a network learns that all that is bright on T1Gd
is tumor, and fails on the first real patient.
"""

import math
from functools import lru_cache, partial

import torch
from torch import Tensor

from ..fields import above, below, smooth_field, soft_step
from ..grid import trilinear
from ..people import People
from ..tables import constants
from ..template import HIGH, LOW
from ..tissue_maps import TissueMaps
from . import aging

REGION_STEP = 8.0  # mm, of the grid of the regions' weights, which are smoother
_NX, _NY, _NZ = (math.ceil((high - low) / REGION_STEP) + 1 for low, high in zip(LOW, HIGH, strict=True))
REGION_SHAPE = (_NX, _NY, _NZ)
C = constants(__file__)


def _fields(people: People, purpose: str, volume: Tensor, spacing: float) -> partial[Tensor]:
    """Smooth fields drawn one after the other from the streams of one purpose: call with a scale in mm."""
    return partial(smooth_field, people.streams(f"field/{purpose}"), volume.shape[1:], spacing, device=people.device)


@lru_cache(maxsize=4)
def region_weights(device: str) -> Tensor:
    """Weights (voxels, regions) on a coarse grid in template space, in the order of REGIONS; by eye, enough for lobes:
    cortical regions add up to one everywhere, deep ones are ellipsoids."""
    axes = [torch.arange(n) * REGION_STEP + low for n, low in zip(REGION_SHAPE, LOW, strict=True)]
    x, y, z = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).unbind(-1)
    place = (x.abs(), y, z)

    def beyond(at: list[float], normal: list[float], edge: float, offset: float = 0.0) -> Tensor:
        i, j, k = (n * (a - p) for a, p, n in zip(place, at, normal, strict=True))
        return soft_step(offset + i + j + k, edge)

    weights = {"parietal": torch.ones_like(x)}
    for name, shape in aging.C.blobs.items():
        squares = [((a - c) / r) ** 2 for a, c, r in zip(place, shape["center"], shape["radii"], strict=True)]
        weights[name] = torch.exp(-(squares[0] + squares[1] + squares[2]))
    for name, planes in aging.C.planes.items():
        factors = [beyond(**plane) for plane in planes] or [weights[name]]
        weights[name] = math.prod(factors, start=weights["parietal"])
        weights["parietal"] = weights["parietal"] - weights[name]
    return torch.stack([weights[name] for name in aging.REGIONS], -1).to(device)


def _regional(people: People, points: Tensor) -> Tensor:
    """Shift of the fluid threshold, mm lost to the ventricles and myelination, (N, X, Y, Z, 3)."""
    parts = [(p.aging.sulcus, p.aging.lost, p.aging.myelination) for p in people]
    rows = [[[part.get(region, 0.0) for part in person] for region in aging.REGIONS] for person in parts]
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
    lumen = people.column(person.aging.horn for person in people)
    horn = soft_step(lumen - maps["horn"], C.horn_edge) * above(depth, C.horn_depth_step)
    ventricle = torch.maximum(below(phi, C.ventricle_step), horn) * mask
    brain = (mask - ventricle).clamp(min=0)
    # Sulci of the average brain, and the person's own.
    field = _fields(people, "cortex", mask, spacing)
    wide, local = field(C.wide_scale, 2), field(C.local_scale)[:, 0]
    field = _fields(people, "folding", mask, spacing)
    sheet, reach = field(C.own_scale)[:, 0], C.own_depth + C.own_depth_sd * field(C.own_depth_scale)[:, 0]
    level, slope, at, edge = C.tentorium.values()
    cerebrum = soft_step(points[..., 2] - level - slope * (points[..., 1] - at), edge)
    own = people.settings.folding * cerebrum * soft_step(reach - depth, C.own_depth_edge)
    own = own * above(phi, C.own_phi_step)
    fluid = maps["csf"] + C.fluid_wide * wide[:, 0] + C.fluid_local * local + shift
    fluid = fluid + C.own_fluid * own * torch.exp(-((sheet / C.own_width) ** 2))
    ribbon = below(depth, C.ribbon_depth_step) * above(phi, C.ribbon_phi_step)
    sulcus = above(fluid, C.fluid_step) * ribbon
    cistern = maps["csf"] * (1 - ribbon) * above(phi, C.cistern_phi_step)
    csf = torch.maximum(sulcus, cistern) * (1 - ventricle)
    solid = brain * (1 - csf)
    # Gray and white: sharp in the ribbon, the soft mixture of the average deep inside.
    average = wm / (wm + gm + 1e-3)
    lining = C.own_lining * own * torch.exp(-((sheet / (C.lining_width * C.own_width)) ** 2))
    sharp = average - lining - (C.white_cut - C.myelin_shift * myelination)
    sharp = soft_step(sharp + C.white_wide * wide[:, 1], C.white_edge)
    mix = C.deep_mix * above(depth, C.mix_depth_step)
    white = solid * (mix * average + (1 - mix) * sharp)
    gray = solid - white
    deep = gray * (maps["deep"] / (gm + 1e-3)).clamp(0, 1)
    cortex = gray - deep
    rim = C.ventricle_rim * torch.exp(-((phi.clamp(min=0) / C.rim_width) ** 2)) * (1 - deep)
    white, cortex = white + cortex * rim, cortex * (1 - rim)
    # White matter that is hyperintense: caps at the ventricles, then deep foci.
    field = _fields(people, "lesion", mask, spacing)
    patch, focus = field(C.patch_scale)[:, 0], field(C.focus_scale)[:, 0]
    caps = torch.exp(-phi.clamp(min=0) / C.caps_width)
    far = C.far_most * torch.exp(-(((phi - C.far_phi) / C.far_width) ** 2))
    score = C.caps_score * caps + C.patch_score * patch + (C.focus_score * focus - C.focus_rare) * far
    score = score + people.column(person.aging.lesion for person in people)
    lesion = above(score, C.lesion_step) * above(depth, C.lesion_depth_step) * above(phi, C.lesion_phi_step) * white
    tissues = {"ventricle": ventricle, "csf": csf * brain, "cortex": cortex, "deep": deep}
    return TissueMaps(tissues | {"white": white - lesion, "lesion": lesion}, mask, maps["residual"] * solid)


def enhancing_structures(maps: dict[str, Tensor], tissues: TissueMaps, people: People, spacing: float) -> Tensor:
    """Soft map (N, X, Y, Z), 0 to about 1, of what is bright on T1Gd and dark (flow) on T2."""
    mask = tissues.mask
    field = _fields(people, "vessel", mask, spacing)
    pair, patch = field(C.vein_scale, 2), field(C.dura_scale)[:, 0]
    veins = torch.exp(-(pair**2).sum(1) / C.vein_width**2) * tissues["csf"]
    # The sinuses run in the dura, outside the fluid of the average brain: allow them at the edge.
    edge = (4 * mask * (1 - mask)).clamp(0, 1)
    room = (tissues["csf"] + tissues["ventricle"] + edge).clamp(0, 1)
    dura = C.dura * edge * above(patch, C.dura_step)
    strength = torch.stack([person.vessel for person in people]).to(mask.device).view(-1, 3, 1, 1, 1)
    vessels = torch.maximum(strength[:, 0] * maps["vessel"] * room, strength[:, 1] * veins)
    return torch.maximum(vessels, strength[:, 2] * dura)
