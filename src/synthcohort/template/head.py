"""The maps round the brain: hull, face, eyes, air, neck, as soft shapes in template space.

The ICBM average in the wheel has no skull, so the rest of the head is built: layers follow the distance to a smooth
hull of the brain, the face is made of ellipsoids placed by eye. `synthcohort.head` makes them one person's.
"""

from functools import reduce

import numpy as np
from scipy import ndimage

from .brain import coordinates, ellipsoid, signed_distance, soft_step, tube

# Center and radii in mm: nasal cavity, maxillary sinuses, sphenoid sinus, frontal sinuses, pharynx, mastoids.
AIR = [
    ((0, 60, -66), (9, 30, 20)), ((30, 60, -70), (14, 14, 17)), ((0, 24, -36), (10, 11, 8)),
    ((12, 84, -8), (9, 5, 13)), ((0, 22, -92), (11, 12, 30)), ((52, -28, -42), (8, 9, 9)),
]  # fmt: skip
OPTIC_NERVE = [(5, 8, -18), (17, 30, -27), (29, 55, -35)]
EYE_MUSCLE_ENDS = [(32, 60, -47.7), (32, 60, -24.3), (45, 60, -36), (19, 60, -36)]  # the four straight ones


def derive_head(mask: np.ndarray) -> dict[str, np.ndarray]:
    """All maps round the brain on the 1-mm lattice, from the binary brain mask.

    hull, skin    distance to the hull of the brain, mm, negative inside; depth below the skin, mm
    face, temple  face and neck, where the layers of the vault do not hold; the temporal muscles
    head, eye, lens, orbit, nerve, air, cord    soft shapes
    """
    x, y, z = coordinates()
    muscles = (0.9 * tube([(18, 24, -32), end], 1.9, 0.6) for end in EYE_MUSCLE_ENDS)
    closed = ndimage.binary_closing(np.pad(mask[::2, ::2, ::2], 16), iterations=12)[16:-16, 16:-16, 16:-16]
    hull = _from_2mm(signed_distance(closed), 2.0)
    face = ellipsoid((0, 46, -62), (66, 62, 78), 55)
    nose = ellipsoid((0, 98, -58), (15, 22, 24), 15)
    nape = ellipsoid((0, -34, -58), (67, 70, 36), 30)
    neck = soft_step((1 - np.sqrt((x / 62) ** 2 + ((y + 22) / 72) ** 2)) * 60) * soft_step(-(z + 62), 4.0)
    neck = np.maximum(neck, nape)
    head = np.maximum.reduce([soft_step(13 - hull), face, nose, neck])
    filled = ndimage.binary_fill_holes(head > 0.5)[::2, ::2, ::2]
    skin = _from_2mm(ndimage.distance_transform_edt(filled).astype(np.float32), 1.0)
    cord = soft_step(7 - np.sqrt(x**2 + (y + 40 + np.clip(-z - 70, 0, None) * 0.12) ** 2))
    return {
        "hull": np.clip(hull, -40, 60),
        "head": head,
        "skin": np.minimum(skin, 30),
        "eye": ellipsoid((33, 66, -36), (12.5, 12.5, 12), 12),
        "lens": ellipsoid((33, 76.5, -36), (5, 2.5, 5), 4),
        "orbit": ellipsoid((29, 50, -35), (20, 32, 18), 14),
        "nerve": reduce(np.maximum, muscles, tube(OPTIC_NERVE, 2.4, 0.6)),
        "air": reduce(np.maximum, (ellipsoid(center, radii, min(radii), 0.8) for center, radii in AIR)),
        "face": np.maximum(face * soft_step(hull - 5, 1.5), neck),
        "cord": cord * soft_step(-(z + 66), 2.0),
        "temple": ellipsoid((68, 14, -18), (16, 34, 36), 12),
    }


def _from_2mm(distance: np.ndarray, smooth: float) -> np.ndarray:
    """A distance in voxels of 2 mm, to mm on the 1-mm lattice, smoothed by `smooth` mm."""
    return ndimage.gaussian_filter(ndimage.zoom(2 * distance, 2, order=1), smooth)
