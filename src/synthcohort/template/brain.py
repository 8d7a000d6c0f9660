"""The brain maps of the template, derived from the MNI ICBM152 2009a T1, gray and white matter.

Everything here is NumPy on a lattice of 1 mm and runs once; `maps` keeps the result. The
average of 152 people has fractional sulci: where half of them have a sulcus the map says 0.5.
`brain.tissues` later turns that fraction into a sharp sulcus of one person, deeper with age.

Source: Fonov et al., NeuroImage 54:313 (2011) and NeuroImage 47:S102 (2009), symmetric version.
"""

import importlib.util
from pathlib import Path

import numpy as np
from scipy import ndimage

from .lattice import HIGH, LOW, SHAPE, coordinates, distance_to_curve, largest, near_curve, signed_distance

PUSH_DECAY = 22.0  # mm over which the push of a growing ventricle fades
FISSURE_SHIFT = 1.6  # mm by which the medial walls are moved together, see narrow_fissure

# The lumen of the temporal horn, from its tip to the atrium, and the choroid plexus (left side
# mirrored); read off the template by eye, in MNI mm.
TEMPORAL_HORN = [(27, -9, -21), (31, -17, -18), (34, -26, -13), (35, -34, -6), (31, -40, 3)]
CHOROID = [(31, -33, -6), (29, -39, 2), (24, -40, 9), (17, -33, 15), (10, -20, 17), (4, -6, 12)]
FOURTH_CHOROID = [(-6, -50, -34), (0, -48, -32), (6, -50, -34)]
# Large vessels and sinuses that enhance, with their radius in mm; x > 0 is mirrored if `paired`.
VESSELS = [
    (
        3.0,
        False,
        [
            (0, 62, -6),
            (0, 68, 22),
            (0, 52, 52),
            (0, 22, 71),
            (0, -20, 82),
            (0, -58, 74),
            (0, -88, 46),
            (0, -103, 14),
            (0, -104, -6),
        ],
    ),  # sagittal sinus
    (2.5, True, [(4, -104, -8), (30, -92, -20), (52, -68, -24), (60, -50, -30)]),  # transverse
    (1.8, False, [(0, -44, 4), (0, -60, 2), (0, -84, 0), (0, -100, -6)]),  # straight sinus
    (1.2, True, [(1.5, -8, 14), (2, -28, 14), (2, -40, 8), (0, -46, 4)]),  # internal cerebral v.
    (1.6, True, [(8, 2, -16), (20, 4, -18), (36, 2, -16), (42, -6, -4), (44, -20, 8)]),  # MCA
    (1.2, True, [(40, 0, -12), (42, 14, 0), (40, 20, 12)]),  # MCA, anterior branch
    (1.2, True, [(3, 6, -14), (2.5, 24, -10), (3, 38, 6), (3, 32, 26), (3, 6, 40)]),  # ACA
    (1.6, False, [(0, -24, -48), (0, -26, -34), (0, -24, -20)]),  # basilar artery
]


def load_icbm() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T1, gray and white matter of the ICBM152 average on our lattice, values 0 to 1.

    The three files are read from the installed nilearn package, without importing it.
    Raises FileNotFoundError where they are missing.
    """
    import nibabel

    found = importlib.util.find_spec("nilearn")
    folder = Path(found.submodule_search_locations[0] if found else ".") / "datasets" / "data"
    maps = []
    for name in ("t1", "gm", "wm"):
        path = folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: install nilearn, which carries it.")
        image = nibabel.load(path)
        values = np.asanyarray(image.dataobj).astype(np.float32) / 255
        maps.append(_on_lattice(values, image.affine[:3, 3]))
    return tuple(maps)


def _on_lattice(values: np.ndarray, first_voxel: np.ndarray) -> np.ndarray:
    placed = np.zeros(SHAPE, np.float32)
    into, out_of = [], []
    for axis in range(3):
        start = int(round(first_voxel[axis])) - LOW[axis]
        low, high = max(0, start), min(SHAPE[axis], start + values.shape[axis])
        into.append(slice(low, high))
        out_of.append(slice(low - start, high - start))
    placed[tuple(into)] = values[tuple(out_of)]
    return placed


def brain_mask(t1: np.ndarray) -> np.ndarray:
    """Brain with its fluid: largest component, filled, without the islands near the eyes."""
    mask = t1 > 0.02
    core = largest(ndimage.binary_erosion(mask, iterations=3))
    mask &= ndimage.binary_dilation(core, iterations=4)
    return ndimage.binary_fill_holes(ndimage.binary_closing(mask, iterations=3))


def ventricles(t1: np.ndarray, mask: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Lateral, third and fourth ventricle: dark, deep, and not one of the basal cisterns.

    The quadrigeminal and ambient cisterns touch the ventricles in the average brain; left in,
    they double the ventricular volume.
    """
    x, y, z = coordinates()
    inside = (t1 < 0.50) & mask & (depth > 18)
    inside &= (z > -24) & (z < 42) & (abs(x) < 44) & (y > -75) & (y < 50)
    inside &= ~((abs(x) < 14) & (y < -26) & (z < 14))  # quadrigeminal cistern
    inside &= ~((abs(x) < 34) & (abs(x) > 3) & (y < -8) & (z < -2))  # ambient cistern
    found = largest(inside, 4) & ((abs(x) > 3) | ((z < 20) & (y > -30) & (y < 8)))
    fourth = (t1 < 0.52) & mask & (depth > 10)
    fourth &= (abs(x) < 10) & (y > -52) & (y < -30) & (z > -45) & (z < -18)
    return found | fourth


def fissure_weight(csf: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Where in the midsagittal plane the interhemispheric fissure is, soft, (Y, Z).

    It is fluid on average, above and around the callosum, and not near the third ventricle.
    """
    middle = -LOW[0]
    fluid = ndimage.gaussian_filter(csf[middle - 1 : middle + 2].mean(0), 1.5)
    outside = np.clip((ndimage.gaussian_filter(phi[middle], 1.0) - 8) / 6, 0, 1)
    z = np.arange(LOW[2], HIGH[2])
    return np.clip(fluid * 1.6, 0, 1) * outside * (z > -30)


def narrow_fissure(maps: list[np.ndarray], weight: np.ndarray) -> list[np.ndarray]:
    """Move the medial walls of the hemispheres together, above and around the callosum.

    In the average brain the interhemispheric fissure is as wide as the variation of 152 people;
    in one person it is a slit. The maps are resampled along x only, with a shift that vanishes at
    the midline and beyond 2 cm from it; `weight` (Y, Z) says where the fissure is.
    """
    x, _, _ = coordinates()
    shift = FISSURE_SHIFT * np.tanh(x / 1.5) * np.exp(-((x / 9) ** 2)) * weight[None]
    index = np.arange(SHAPE[0], dtype=np.float32)[:, None, None] + shift
    low = np.clip(np.floor(index).astype(int), 0, SHAPE[0] - 2)
    part = (index - low).astype(np.float32)

    def between(values):
        below = np.take_along_axis(values, low, axis=0)
        return below + part * (np.take_along_axis(values, low + 1, axis=0) - below)

    return [between(values) for values in maps]


def push_field(ventricle: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Directions (3, X, Y, Z) away from the lateral and third ventricle, fading with distance."""
    _, _, z = coordinates()
    lateral = ventricle & (z > -14)
    signed = ndimage.gaussian_filter(signed_distance(lateral), 3.0)
    direction = np.stack(np.gradient(signed))
    direction /= np.maximum(np.sqrt((direction**2).sum(0)), 0.35)
    strength = np.exp(-np.maximum(signed, 0) / PUSH_DECAY) * np.clip(depth / 12, 0, 1)
    return np.stack([ndimage.gaussian_filter(a * strength, 3.5) for a in direction])


def derive_brain() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """All brain maps on the 1-mm lattice, and the binary brain mask.

    gm, wm, csf   fractions of gray matter, white matter and fluid
    mask          brain with fluid, soft at its edge
    deep          deep gray matter (part of gm)
    residual      what tissue classes leave unexplained of the real T1: nuclei, tracts, brain stem
    phi           signed distance to the ventricles, mm, negative inside
    depth         distance to the surface of the brain or the fissure, mm, negative outside
    horn          distance to the lumen of the temporal horn, mm
    vessel        vessels, sinuses and choroid plexus that enhance after gadolinium
    push_x/y/z    where tissue goes when the ventricles grow
    """
    t1, gm, wm = load_icbm()
    mask = brain_mask(t1)
    gm, wm = np.clip(gm, 0, 1) * mask, np.clip(wm, 0, 1) * mask
    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    beyond = ndimage.distance_transform_edt(~mask).astype(np.float32)
    ventricle = ventricles(t1, mask, depth)
    phi = signed_distance(ventricle)
    phi = ndimage.gaussian_filter(np.clip(phi, -12, 60), 1.0)

    csf = np.clip(mask - gm - wm, 0, 1)
    push = push_field(ventricle, depth)
    weight = fissure_weight(csf, phi)
    t1, gm, wm = narrow_fissure([t1, gm, wm], weight)
    total = np.maximum(gm + wm, 1)
    gm, wm = gm * mask / total, wm * mask / total
    csf = np.clip(mask - gm - wm, 0, 1)

    x, y, z = coordinates()
    center = np.exp(-((x / 30) ** 4 + ((y + 8) / 36) ** 4 + ((z - 2) / 20) ** 4))
    deep = ndimage.gaussian_filter(gm, 0.5) * np.clip(center * 1.3, 0, 1)
    deep *= np.clip((phi - 1.5) / 2, 0, 1) * np.clip((depth - 16) / 6, 0, 1)
    deep = np.minimum(deep, gm)

    classes = np.stack([gm - deep, wm, csf, deep], -1)[mask]
    means, *_ = np.linalg.lstsq(classes, t1[mask], rcond=None)
    residual = np.zeros(SHAPE, np.float32)
    residual[mask] = t1[mask] - classes @ means
    residual = ndimage.gaussian_filter(residual * np.clip(depth / 6, 0, 1), 0.6)

    # The medial walls are surface too: from here on depth counts from the fissure as well.
    solid = mask.copy()
    solid[-LOW[0] - 1 : -LOW[0] + 1] &= weight < 0.5
    depth = ndimage.distance_transform_edt(solid).astype(np.float32)

    vessel = near_curve(FOURTH_CHOROID, 1.5, False)
    vessel = np.maximum(vessel, near_curve(CHOROID, 2.2, True, 0.7))
    for radius, paired, points in VESSELS:
        vessel = np.maximum(vessel, near_curve(points, radius, paired))
    maps = {
        "gm": gm, "wm": wm, "csf": csf,
        "mask": ndimage.gaussian_filter(mask.astype(np.float32), 0.7),
        "deep": deep, "residual": np.clip(residual, -0.12, 0.12), "phi": phi,
        "depth": np.minimum(depth, 40) - np.minimum(beyond, 20),
        "horn": distance_to_curve(TEMPORAL_HORN, True), "vessel": vessel,
        "push_x": push[0], "push_y": push[1], "push_z": push[2],
    }  # fmt: skip
    return maps, mask
