"""The lattice of 1 mm on which the template is derived, and the shapes drawn on it: all symmetric, in MNI mm."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy import ndimage

LOW = (-110, -142, -108)  # mm, first voxel of the lattice, right-anterior-superior axes
HIGH = (110, 118, 112)  # mm, one past the last voxel
SHAPE = tuple(high - low for low, high in zip(LOW, HIGH, strict=True))
REACH = 20  # mm; farther than this from a curve does not matter

Point = tuple[float, float, float]
Points = Sequence[Point]


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


def tube(points: Points, radius: float, edge: float) -> np.ndarray:
    """A soft tube (0 to 1) of `radius` mm round a polyline and its mirror image."""
    return soft_step(radius - distance_to_curve(points), edge)


def distance_to_curve(points: Points) -> np.ndarray:
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
