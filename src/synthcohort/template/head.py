"""The maps round the brain: hull, face, eyes, air, neck, as soft shapes in template space.

The ICBM average in the wheel has no skull, so the rest of the head is built: the layers follow
the distance to a smooth hull of the brain, the face is made of ellipsoids placed by eye in MNI
mm. `synthcohort.head` turns these maps into a person with a skull and a scalp of their own.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from .lattice import SHAPE, coordinates, ellipsoid, near_curve, signed_distance, soft_step

# Air spaces, as center and radii in mm: nasal cavity, maxillary sinuses, sphenoid sinus, frontal
# sinuses, pharynx, mastoids.
AIR = [
    ((0, 60, -66), (9, 30, 20)), ((30, 60, -70), (14, 14, 17)), ((-30, 60, -70), (14, 14, 17)),
    ((0, 24, -36), (10, 11, 8)), ((12, 84, -8), (9, 5, 13)), ((-12, 84, -8), (9, 5, 13)),
    ((0, 22, -92), (11, 12, 30)), ((52, -28, -42), (8, 9, 9)), ((-52, -28, -42), (8, 9, 9)),
]  # fmt: skip


def _at_half_resolution(mask: np.ndarray, work: Callable[[np.ndarray], np.ndarray], smooth: float) -> np.ndarray:
    """Apply `work` to a mask at 2 mm and bring the result back to 1 mm, smoothed."""
    result = work(mask[::2, ::2, ::2])
    zoom = [a / b for a, b in zip(mask.shape, result.shape, strict=True)]
    return ndimage.gaussian_filter(ndimage.zoom(result, zoom, order=1), smooth)


def _hull_distance(mask: np.ndarray) -> np.ndarray:
    """Distance in mm to a smooth hull of the brain, negative inside."""

    def work(coarse: np.ndarray) -> np.ndarray:
        hull = ndimage.binary_closing(np.pad(coarse, 16), iterations=12)[16:-16, 16:-16, 16:-16]
        return 2 * signed_distance(hull)

    return _at_half_resolution(mask, work, 2.0)


def derive_head(mask: np.ndarray) -> dict[str, np.ndarray]:
    """All maps round the brain on the 1-mm lattice, from the binary brain mask.

    hull          distance to the hull of the brain, mm, negative inside
    head          inside of the head, soft
    skin          depth below the skin, mm
    eye, lens, orbit, nerve, air, cord    soft shapes
    face          face and neck: where the layers of the vault do not hold
    temple        the temporal muscles
    """
    x, y, z = coordinates()
    zeros = np.zeros(SHAPE, np.float32)
    eye, lens, orbit, nerve = zeros.copy(), zeros.copy(), zeros.copy(), zeros.copy()
    for side in (-1, 1):
        ball = ellipsoid((33 * side, 66, -36), (12.5, 12.5, 12))
        eye = np.maximum(eye, soft_step((1 - ball) * 12))
        lens = np.maximum(lens, soft_step((1 - ellipsoid((33 * side, 76.5, -36), (5, 2.5, 5))) * 4))
        orbit = np.maximum(orbit, soft_step((1 - ellipsoid((29 * side, 50, -35), (20, 32, 18))) * 14))
        course = [(5 * side, 8, -18), (17 * side, 30, -27), (29 * side, 55, -35)]
        nerve = np.maximum(nerve, near_curve(course, 2.4, False, 0.6))
        for shift in ((0, -13), (0, 13), (13, 0), (-13, 0)):  # the four straight eye muscles
            course = [(18 * side, 24, -32)]
            course += [(32 * side + shift[0], 60, -36 + shift[1] * 0.9)]
            nerve = np.maximum(nerve, 0.9 * near_curve(course, 1.9, False, 0.6))
    hull = _hull_distance(mask)
    face = soft_step((1 - ellipsoid((0, 46, -62), (66, 62, 78))) * 55)
    nose = soft_step((1 - ellipsoid((0, 98, -58), (15, 22, 24))) * 15)
    neck = soft_step((1 - np.sqrt((x / 62) ** 2 + ((y + 22) / 72) ** 2)) * 60) * soft_step(-(z + 62), 4.0)
    nape = soft_step((1 - ellipsoid((0, -34, -58), (67, 70, 36))) * 30)
    neck = np.maximum(neck, nape)
    air = zeros.copy()
    for center, radii in AIR:
        air = np.maximum(air, soft_step((1 - ellipsoid(center, radii)) * min(radii), 0.8))
    head = np.maximum.reduce([soft_step(13 - hull), face, nose, neck])
    filled = ndimage.binary_fill_holes(head > 0.5)
    skin = _at_half_resolution(filled, lambda m: ndimage.distance_transform_edt(m).astype(np.float32) * 2, 1.0)
    cord = soft_step(7 - np.sqrt(x**2 + (y + 40 + np.clip(-z - 70, 0, None) * 0.12) ** 2))
    cord = cord * soft_step(-(z + 66), 2.0)
    temple = zeros.copy()
    for side in (-1, 1):
        muscle = ellipsoid((68 * side, 14, -18), (16, 34, 36))
        temple = np.maximum(temple, soft_step((1 - muscle) * 12))
    return {
        "hull": np.clip(hull, -40, 60), "head": head, "skin": np.minimum(skin, 30), "eye": eye,
        "lens": lens, "orbit": orbit, "nerve": nerve, "air": air,
        "face": np.maximum(face * soft_step(hull - 5, 1.5), neck), "cord": cord, "temple": temple,
    }  # fmt: skip
