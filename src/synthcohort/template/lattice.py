"""The lattice of 1 mm on which the template is derived, and the shapes that are drawn on it."""

import numpy as np
from scipy import ndimage

LOW = (-110, -142, -108)  # mm, first voxel of the lattice, right-anterior-superior axes
HIGH = (110, 118, 112)  # mm, one past the last voxel
SHAPE = tuple(high - low for low, high in zip(LOW, HIGH, strict=True))
REACH = 20  # mm; farther than this from a curve does not matter

Point = tuple[float, float, float]


def coordinates() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def ellipsoid(center: Point, radii: Point) -> np.ndarray:
    """Distance from the center, 1 on the surface of the ellipsoid; mm."""
    squares = [((a - c) / r) ** 2 for a, c, r in zip(coordinates(), center, radii, strict=True)]
    return np.sqrt(sum(squares)).astype(np.float32)


def near_curve(points: list[Point], radius: float, paired: bool, edge: float = 0.5) -> np.ndarray:
    """A soft tube (0 to 1) of `radius` mm round a polyline in MNI mm, mirrored if `paired`."""
    return soft_step(radius - distance_to_curve(points, paired), edge)


def distance_to_curve(points: list[Point], paired: bool) -> np.ndarray:
    """Distance in mm of every voxel to a polyline in MNI mm, at most REACH."""
    ends = np.array(points, float)
    line = np.concatenate([np.linspace(a, b, 40) for a, b in zip(ends[:-1], ends[1:], strict=True)])
    if paired:
        line = np.concatenate([line, line * [-1, 1, 1]])
    line = np.round(line - LOW).astype(int)
    first = np.maximum(line.min(0) - REACH, 0)
    last = np.minimum(line.max(0) + REACH + 1, SHAPE)
    drawn = np.ones(last - first, bool)  # only the box round the line is worth the work
    drawn[tuple((line - first).T)] = False
    distance = np.full(SHAPE, REACH, np.float32)
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    distance[box] = np.minimum(ndimage.distance_transform_edt(drawn), REACH)
    return distance
