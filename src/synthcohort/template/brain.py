"""The brain maps of the template, derived from the MNI ICBM152 2009a T1, gray and white matter.

Everything here is NumPy on a lattice of 1 mm and runs once; the result is kept on disk. Source: Fonov et al.,
NeuroImage 54:313 (2011) and NeuroImage 47:S102 (2009), symmetric version.
"""

import importlib.util
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path

import nibabel
import numpy as np
from nibabel.processing import resample_from_to
from scipy import ndimage

from ..tables import constants

LOW = (-110, -142, -108)  # mm, first voxel of the lattice, right-anterior-superior axes
HIGH = (110, 118, 112)  # mm, one past the last voxel
SHAPE = tuple(high - low for low, high in zip(LOW, HIGH, strict=True))
REACH = 20  # mm; farther than this from a curve does not matter
Point = Sequence[float]
C, LANDMARKS = constants(__file__), constants(__file__, "landmarks")


def coordinates() -> tuple[np.ndarray, ...]:
    """World coordinates in mm of every voxel center, as three broadcastable arrays."""
    axes = [np.arange(low, high, dtype=np.float32) for low, high in zip(LOW, HIGH, strict=True)]
    return tuple(np.meshgrid(*axes, indexing="ij", sparse=True))


def largest(mask: np.ndarray, count: int = 1) -> np.ndarray:
    """The `count` largest connected components of a mask."""
    labels, found = ndimage.label(mask)
    sizes = ndimage.sum(mask, labels, range(1, found + 1))
    return np.isin(labels, 1 + np.argsort(sizes)[::-1][:count])


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance in mm to the surface of a mask, negative inside."""
    outside, inside = ndimage.distance_transform_edt(~mask), ndimage.distance_transform_edt(mask)
    return np.where(mask, 0.5 - inside, outside - 0.5).astype(np.float32)


def soft_step(x: np.ndarray, edge: float = 1.0) -> np.ndarray:
    """0 far below zero, 1 far above, with a transition of about `edge` in the unit of `x`."""
    return 1 / (1 + np.exp(-np.clip(x / edge, -30, 30)))


def ellipsoid(center: Point, radii: Point, steepness: float, edge: float = 1.0) -> np.ndarray:
    """A soft ellipsoid (0 to 1) and its mirror image; the more steepness per edge, the sharper."""
    x, y, z = coordinates()
    squares = [((a - c) / r) ** 2 for a, c, r in zip((abs(x), y, z), center, radii, strict=True)]
    return soft_step((1 - np.sqrt(sum(squares))) * steepness, edge)


def tube(points: Sequence[Point], radius: float, edge: float) -> np.ndarray:
    """A soft tube (0 to 1) of `radius` mm round a polyline and its mirror image."""
    return soft_step(radius - distance_to_curve(points), edge)


def distance_to_curve(points: Sequence[Point]) -> np.ndarray:
    """Distance in mm of every voxel to a polyline or its mirror image, at most REACH."""
    line = np.concatenate([np.linspace(a, b, 40) for a, b in pairwise(np.array(points, float))])
    line = np.round(np.concatenate([line, line * [-1, 1, 1]]) - LOW).astype(int)
    first = np.maximum(line.min(0) - REACH, 0)
    last = np.minimum(line.max(0) + REACH + 1, SHAPE)
    off_line = np.ones(last - first, bool)  # only the box round the line is worth the work
    off_line[tuple((line - first).T)] = False
    distance = np.full(SHAPE, REACH, np.float32)
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    distance[box] = np.minimum(ndimage.distance_transform_edt(off_line), REACH)
    return distance


def load_icbm() -> list[np.ndarray]:
    """T1, gray and white matter on our lattice, 0 to 1, from the installed nilearn; FileNotFoundError without it."""
    found = importlib.util.find_spec("nilearn")
    places = (found and found.submodule_search_locations) or ["."]
    lattice = (SHAPE, nibabel.affines.from_matvec(np.eye(3), LOW))
    maps = []
    for name in ("t1", "gm", "wm"):
        path = Path(places[0]) / "datasets" / "data" / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: install nilearn, which carries it.")
        image = resample_from_to(nibabel.load(path), lattice, order=0)
        maps.append(np.asanyarray(image.dataobj).astype(np.float32) / 255)
    return maps


def brain_mask(t1: np.ndarray) -> np.ndarray:
    """Brain with its fluid: largest component, filled, without the islands near the eyes."""
    mask = t1 > C.mask_t1
    core = largest(ndimage.binary_erosion(mask, iterations=C.mask_erosions))
    mask &= ndimage.binary_dilation(core, iterations=C.mask_dilations)
    return ndimage.binary_fill_holes(ndimage.binary_closing(mask, iterations=C.mask_closings))


def _box(name: str) -> np.ndarray:
    x, y, z = coordinates()
    limits = zip((abs(x), y, z), LANDMARKS.boxes[name], strict=True)
    return reduce(np.logical_and, [(axis > low) & (axis < high) for axis, (low, high) in limits])


def _ramp(values: np.ndarray, ramp: list[float]) -> np.ndarray:
    """0 up to where a ramp begins, 1 from its end on; `ramp` is the beginning and the length."""
    return np.clip((values - ramp[0]) / ramp[1], 0, 1)


def ventricles(t1: np.ndarray, mask: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Lateral, third and fourth ventricle: dark, deep, without the cisterns they touch."""
    inside = (t1 < C.ventricle_t1) & mask & (depth > C.ventricle_depth) & _box("ventricles")
    inside &= ~_box("quadrigeminal_cistern") & ~_box("ambient_cistern")
    found = largest(inside, C.ventricle_parts) & (_box("off_the_midline") | _box("third_ventricle"))
    return found | ((t1 < C.fourth_t1) & mask & (depth > C.fourth_depth) & _box("fourth_ventricle"))


def fissure_weight(csf: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """The interhemispheric fissure in the midsagittal plane, soft, (Y, Z): fluid, and away from the ventricles."""
    middle = -LOW[0]
    fluid = ndimage.gaussian_filter(csf[middle - 1 : middle + 2].mean(0), C.fissure_smooth)
    outside = _ramp(ndimage.gaussian_filter(phi[middle], C.fissure_phi_smooth), C.fissure_phi_ramp)
    return np.clip(fluid * C.fissure_gain, 0, 1) * outside * (np.arange(LOW[2], HIGH[2]) > C.fissure_z)


def narrow_fissure(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Medial walls moved together along x where `weight` (Y, Z) says: the fissure is a slit in one person, not wide."""
    x, _, _ = coordinates()
    shift = C.fissure_shift * np.tanh(x / C.fissure_slope) * np.exp(-((x / C.fissure_width) ** 2)) * weight
    index = np.arange(SHAPE[0], dtype=np.float32)[:, None, None] + shift
    low = np.clip(np.floor(index).astype(int), 0, SHAPE[0] - 2)
    below, above = (np.take_along_axis(values, i, axis=0) for i in (low, low + 1))
    return below + (index - low).astype(np.float32) * (above - below)


def push_field(ventricle: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Directions (3, X, Y, Z) away from the lateral and third ventricle, fading with distance."""
    signed = ndimage.gaussian_filter(signed_distance(ventricle & (coordinates()[2] > C.push_z)), C.push_smooth)
    direction = np.stack(np.gradient(signed))
    direction /= np.maximum(np.sqrt((direction**2).sum(0)), C.push_least)
    strength = np.exp(-np.maximum(signed, 0) / C.push_decay) * _ramp(depth, C.push_depth_ramp)
    return np.stack([ndimage.gaussian_filter(a * strength, C.push_field_smooth) for a in direction])


def derive_brain() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """All brain maps on the 1-mm lattice, and the binary brain mask.

    gm, wm, csf, deep    fractions of gray matter, white matter, fluid, deep gray matter (part of gm)
    mask, vessel         brain with fluid, soft; vessels, sinuses and choroid plexus that take up gadolinium
    residual             what tissue classes leave unexplained of the real T1: nuclei, tracts, brain stem
    phi, horn            distance to the ventricles, negative inside; to the lumen of the temporal horn; mm
    depth                distance to the surface of the brain or the fissure, mm, negative outside
    push_x/y/z           where tissue goes when the ventricles grow"""
    t1, gm, wm = load_icbm()
    mask = brain_mask(t1)
    gm, wm = np.clip(gm, 0, 1) * mask, np.clip(wm, 0, 1) * mask
    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    beyond = ndimage.distance_transform_edt(~mask).astype(np.float32)
    ventricle = ventricles(t1, mask, depth)
    phi = ndimage.gaussian_filter(np.clip(signed_distance(ventricle), *C.phi_limits), C.phi_smooth)
    push = push_field(ventricle, depth)
    weight = fissure_weight(np.clip(mask - gm - wm, 0, 1), phi)
    t1, gm, wm = (narrow_fissure(values, weight) for values in (t1, gm, wm))
    total = np.maximum(gm + wm, 1)
    gm, wm = gm * mask / total, wm * mask / total
    csf = np.clip(mask - gm - wm, 0, 1)

    places = zip(coordinates(), C.deep_center, C.deep_radii, strict=True)
    x, y, z = (((axis - center) / radius) ** C.deep_power for axis, center, radius in places)
    deep = ndimage.gaussian_filter(gm, C.deep_smooth) * np.clip(np.exp(-(x + y + z)) * C.deep_gain, 0, 1)
    deep *= _ramp(phi, C.deep_phi_ramp) * _ramp(depth, C.deep_depth_ramp)
    deep = np.minimum(deep, gm)

    classes = np.stack([gm - deep, wm, csf, deep], -1)[mask]
    means, *_ = np.linalg.lstsq(classes, t1[mask], rcond=None)
    residual = np.zeros(SHAPE, np.float32)
    residual[mask] = t1[mask] - classes @ means
    residual = ndimage.gaussian_filter(residual * _ramp(depth, C.residual_depth_ramp), C.residual_smooth)
    # The medial walls are surface too: from here on depth counts from the fissure as well.
    solid = mask.copy()
    solid[-LOW[0] - 1 : -LOW[0] + 1] &= weight < C.fissure_at
    depth = ndimage.distance_transform_edt(solid).astype(np.float32)
    maps = {
        "gm": gm, "wm": wm, "csf": csf, "deep": deep, "phi": phi,
        "mask": ndimage.gaussian_filter(mask.astype(np.float32), C.mask_smooth),
        "residual": np.clip(residual, -C.residual_most, C.residual_most),
        "depth": np.minimum(depth, C.depth_most) - np.minimum(beyond, C.outside_most),
        "horn": distance_to_curve(LANDMARKS.temporal_horn),
        "vessel": reduce(np.maximum, (tube(**shape) for shape in LANDMARKS.enhancing.values())),
        "push_x": push[0], "push_y": push[1], "push_z": push[2],
    }  # fmt: skip
    return maps, mask
