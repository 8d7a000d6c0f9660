"""The maps round the brain: hull, face, eyes, air, neck, as soft shapes in template space.

The ICBM average in the wheel has no skull, so the rest of the head is built: layers follow the distance to a smooth
hull of the brain, the face is made of ellipsoids. `synthcohort.head` makes them one person's.
"""

from functools import reduce

import numpy as np
from scipy import ndimage

from .brain import LANDMARKS, coordinates, ellipsoid, signed_distance, soft_step, tube


def derive_head(mask: np.ndarray) -> dict[str, np.ndarray]:
    """All maps round the brain on the 1-mm lattice, from the binary brain mask.

    hull, skin    distance to the hull of the brain, mm, negative inside; depth below the skin, mm
    face, temple  face and neck, where the layers of the vault do not hold; the temporal muscles
    head, eye, lens, orbit, nerve, air, cord    soft shapes
    """
    x, y, z = coordinates()
    parts = {name: ellipsoid(**shape) for name, shape in LANDMARKS["ellipsoids"].items()}
    origin, ends = LANDMARKS["eye_muscle_origin"], LANDMARKS["eye_muscle_ends"]
    muscles = (0.9 * tube([origin, end], 1.9, 0.6) for end in ends)
    air = (ellipsoid(center, radii, min(radii), 0.8) for center, radii in LANDMARKS["air"].values())
    closed = ndimage.binary_closing(np.pad(mask[::2, ::2, ::2], 16), iterations=12)[16:-16, 16:-16, 16:-16]
    hull = _from_2mm(signed_distance(closed), 2.0)
    neck = soft_step((1 - np.sqrt((x / 62) ** 2 + ((y + 22) / 72) ** 2)) * 60) * soft_step(-(z + 62), 4.0)
    neck = np.maximum(neck, parts["nape"])
    head = np.maximum.reduce([soft_step(13 - hull), parts["face"], parts["nose"], neck])
    filled = ndimage.binary_fill_holes(head > 0.5)[::2, ::2, ::2]
    skin = _from_2mm(ndimage.distance_transform_edt(filled).astype(np.float32), 1.0)
    cord = soft_step(7 - np.sqrt(x**2 + (y + 40 + np.clip(-z - 70, 0, None) * 0.12) ** 2))
    return {
        "hull": np.clip(hull, -40, 60),
        "head": head,
        "skin": np.minimum(skin, 30),
        **{name: parts[name] for name in ("eye", "lens", "orbit", "temple")},
        "nerve": reduce(np.maximum, muscles, tube(LANDMARKS["optic_nerve"], 2.4, 0.6)),
        "air": reduce(np.maximum, air),
        "face": np.maximum(parts["face"] * soft_step(hull - 5, 1.5), neck),
        "cord": cord * soft_step(-(z + 66), 2.0),
    }


def _from_2mm(distance: np.ndarray, smooth: float) -> np.ndarray:
    """A distance in voxels of 2 mm, to mm on the 1-mm lattice, smoothed by `smooth` mm."""
    return ndimage.gaussian_filter(ndimage.zoom(2 * distance, 2, order=1), smooth)
