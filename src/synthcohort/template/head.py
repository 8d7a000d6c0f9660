"""The maps round the brain: hull, face, eyes, air, neck, as soft shapes in template space.

The average has no skull: layers follow the distance to a smooth hull of the brain, the face is made of ellipsoids.
"""

from functools import reduce

import numpy as np
from scipy import ndimage

from ..tables import constants
from .brain import LANDMARKS, coordinates, ellipsoid, signed_distance, soft_step, tube

C = constants(__file__)


def derive_head(mask: np.ndarray) -> dict[str, np.ndarray]:
    """All maps round the brain on the 1-mm lattice, from the binary brain mask.

    hull, skin    distance to the hull of the brain, mm, negative inside; depth below the skin, mm
    face, temple  face and neck, where the layers of the vault do not hold; the temporal muscles
    head, eye, lens, orbit, nerve, air, cord    soft shapes"""
    x, y, z = coordinates()
    parts = {name: ellipsoid(**shape) for name, shape in LANDMARKS.ellipsoids.items()}
    ends = ([LANDMARKS.eye_muscle_origin, end] for end in LANDMARKS.eye_muscle_ends)
    muscles = (C.muscle * tube(points, C.muscle_radius, C.nerve_edge) for points in ends)
    air = (ellipsoid(center, radii, min(radii), C.air_edge) for center, radii in LANDMARKS.air.values())
    margin = C.hull_margin // 2
    padded = ndimage.binary_closing(np.pad(mask[::2, ::2, ::2], margin), iterations=C.hull_closing // 2)
    hull = _from_2mm(signed_distance(padded[(slice(margin, -margin),) * 3]), C.hull_smooth)
    radius = np.sqrt((x / C.neck_radii[0]) ** 2 + ((y - C.neck_y) / C.neck_radii[1]) ** 2)
    neck = soft_step((1 - radius) * C.neck_steepness) * soft_step(C.neck_top - z, C.neck_edge)
    neck = np.maximum(neck, parts["nape"])
    head = np.maximum.reduce([soft_step(C.vault - hull), parts["face"], parts["nose"], neck])
    filled = ndimage.binary_fill_holes(head > 0.5)[::2, ::2, ::2]
    skin = _from_2mm(ndimage.distance_transform_edt(filled).astype(np.float32), C.skin_smooth)
    bend = np.clip(C.cord_bends - z, 0, None) * C.cord_bend
    cord = soft_step(C.cord_radius - np.sqrt(x**2 + (y - C.cord_y + bend) ** 2))
    return {
        "hull": np.clip(hull, *C.hull_limits),
        "head": head,
        "skin": np.minimum(skin, C.skin_most),
        **{name: parts[name] for name in ("eye", "lens", "orbit", "temple")},
        "nerve": reduce(np.maximum, muscles, tube(LANDMARKS.optic_nerve, C.nerve_radius, C.nerve_edge)),
        "air": reduce(np.maximum, air),
        "face": np.maximum(parts["face"] * soft_step(hull - C.face_hull, C.face_edge), neck),
        "cord": cord * soft_step(C.cord_top - z, C.cord_edge),
    }


def _from_2mm(distance: np.ndarray, smooth: float) -> np.ndarray:
    """A distance in voxels of 2 mm, to mm on the 1-mm lattice, smoothed by `smooth` mm."""
    return ndimage.gaussian_filter(ndimage.zoom(2 * distance, 2, order=1), smooth)
