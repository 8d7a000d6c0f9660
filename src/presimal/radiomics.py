"""Numbers that describe a region of an image: how large, what shape, how bright, how mixed.

Names and definitions are those of the Image Biomarker Standardisation Initiative (Zwanenburg et al., Radiology
295:328, 2020; reference manual arXiv 1612.07003), and the tests compare with the values that it agreed on for its
digital phantom. An empty region has volume 0, and NaN for what a region without voxels does not have.
"""

import itertools
import math

import numpy as np
from scipy.ndimage import find_objects, label
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist
from skimage.measure import marching_cubes, mesh_surface_area

from synthcohort.storage import DataError

# One of each pair of opposite neighbors among the 26 of a voxel.
DIRECTIONS = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
SHAPE = tuple(
    "volume mesh_volume surface_area surface_to_volume sphericity max_diameter major_axis minor_axis least_axis "
    "elongation flatness".split()
)
INTENSITY = tuple(
    "mean variance skewness kurtosis median p10 p90 minimum maximum interquartile_range mean_absolute_deviation energy "
    "root_mean_square".split()
)
TEXTURE = tuple(
    "entropy uniformity joint_maximum joint_average joint_variance joint_entropy angular_second_moment contrast "
    "dissimilarity inverse_difference inverse_difference_moment correlation cluster_shade".split()
)


def features(image: np.ndarray, mask: np.ndarray, spacing, levels: int = 16) -> dict[str, float]:
    """All features of one region: those of `shape`, `intensity` and `texture` in one dictionary.

    image, mask (X, Y, Z); spacing in mm, one number or three. Texture uses `levels` bins of equal width
    between the lowest and the highest intensity in the region (IBSI: fixed bin number).

    Raises DataError if shapes differ, a spacing is not positive, or the region holds NaN.
    """
    image, mask = np.asarray(image, dtype=float), np.asarray(mask).astype(bool)
    if image.shape != mask.shape:
        raise DataError(f"The image has shape {image.shape} and the mask {mask.shape}: give both on one grid.")
    values = image[mask]
    if not np.isfinite(values).all():
        raise DataError("The region holds NaN or infinite voxels: repair the image or leave them out of the mask.")
    gray = np.zeros(image.shape, dtype=int)
    gray[mask] = discretize(values, levels)
    return shape(mask, spacing) | intensity(values) | texture(gray)


def shape(mask: np.ndarray, spacing) -> dict[str, float]:
    """Size and form of a region (X, Y, Z); lengths in mm, areas in mm², volumes in ml.

    `volume` counts voxels, `mesh_volume` is what the surface encloses. Axis lengths are those of the
    ellipsoid with the same second moments; elongation and flatness are their ratios to the longest.
    `sphericity` is 1 for a ball and less for everything else, up to the roughness of the voxels.
    """
    mask, spacing = _cropped(np.asarray(mask).astype(bool)), _spacing(spacing)
    result = dict.fromkeys(SHAPE, math.nan) | {"volume": float(mask.sum() * spacing.prod() / 1000)}
    if not mask.any():
        return result
    points, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, spacing=tuple(spacing))
    corners = points[faces].astype(float)
    volume = abs(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum()) / 6
    area = float(mesh_surface_area(points, faces))
    voxels = np.argwhere(mask) * spacing
    variances = np.linalg.eigvalsh(np.cov(voxels.T)) if len(voxels) > 1 else np.zeros(3)
    least, minor, major = 4 * np.sqrt(variances.clip(min=0))
    return result | {
        "mesh_volume": volume / 1000,
        "surface_area": area,
        "surface_to_volume": area / volume,
        "sphericity": (36 * math.pi * volume**2) ** (1 / 3) / area,
        "max_diameter": _diameter(points),
        "major_axis": major,
        "minor_axis": minor,
        "least_axis": least,
        "elongation": minor / major if major else math.nan,
        "flatness": least / major if major else math.nan,
    }


def intensity(values: np.ndarray) -> dict[str, float]:
    """The intensities of a region (any shape) as one distribution, wherever they lie."""
    x = np.asarray(values, dtype=float).ravel()
    if not len(x):
        return dict.fromkeys(INTENSITY, math.nan)
    p10, p25, median, p75, p90 = np.percentile(x, (10, 25, 50, 75, 90))
    offset = x - x.mean()
    variance = float((offset**2).mean())
    # A constant region has no third and fourth moment in units of its standard deviation: 0, as in IBSI.
    scale = variance if variance > 1e-12 * max(1.0, float((x**2).mean())) else math.inf
    return {
        "mean": x.mean(),
        "variance": variance,
        "skewness": (offset**3).mean() / scale**1.5,
        "kurtosis": (offset**4).mean() / scale**2 - (3 if math.isfinite(scale) else 0),
        "median": median,
        "p10": p10,
        "p90": p90,
        "minimum": x.min(),
        "maximum": x.max(),
        "interquartile_range": p75 - p25,
        "mean_absolute_deviation": np.abs(offset).mean(),
        "energy": (x**2).sum(),
        "root_mean_square": math.sqrt((x**2).mean()),
    }


def discretize(values: np.ndarray, levels: int) -> np.ndarray:
    """Intensities as gray levels 1 to `levels`, in bins of equal width over their range."""
    if levels < 2:
        raise DataError(f"Texture needs at least 2 gray levels, not {levels}.")
    values = np.asarray(values, dtype=float)
    if not values.size or values.max() == values.min():
        return np.ones(values.shape, dtype=int)
    scaled = levels * (values - values.min()) / (values.max() - values.min())
    return np.minimum(np.floor(scaled).astype(int) + 1, levels)


def cooccurrence(gray: np.ndarray) -> np.ndarray:
    """How often two levels are neighbors: (levels, levels), symmetric, summing to 1.

    `gray` (X, Y, Z) holds levels from 1 on, and 0 outside the region. Neighbors at distance one in all
    13 directions are counted into one matrix (IBSI: 3D, merged). All zero without any neighbors.
    """
    levels = int(gray.max())
    counts = np.zeros((levels, levels))
    padded = np.pad(gray, 1)  # zeros, so that nothing meets what lies across the edge
    for step in DIRECTIONS:
        neighbor = np.roll(padded, step, axis=(0, 1, 2))
        both = (padded > 0) & (neighbor > 0)
        pairs = (padded[both] - 1) * levels + neighbor[both] - 1
        counts += np.bincount(pairs, minlength=levels**2).reshape(levels, levels)
    counts += counts.T
    return counts / max(counts.sum(), 1)


def texture(gray: np.ndarray) -> dict[str, float]:
    """How gray levels mix: from their histogram, and from how often they are neighbors.

    `gray` as for `cooccurrence`. Entropies are in bits.
    """
    gray = _cropped(gray)
    if not (gray > 0).any():
        return dict.fromkeys(TEXTURE, math.nan)
    p = np.bincount(gray[gray > 0]) / (gray > 0).sum()
    result = dict.fromkeys(TEXTURE, math.nan) | {"entropy": _bits(p), "uniformity": (p**2).sum()}
    p = cooccurrence(gray)
    if not p.any():  # a single voxel has no neighbor
        return result
    level = np.arange(1, len(p) + 1)
    apart = np.abs(level[:, None] - level)
    average = float((level * p.sum(1)).sum())
    variance = float(((level - average) ** 2 * p.sum(1)).sum())
    covariance = float(((level[:, None] - average) * (level - average) * p).sum())
    return result | {
        "joint_maximum": p.max(),
        "joint_average": average,
        "joint_variance": variance,
        "joint_entropy": _bits(p),
        "angular_second_moment": (p**2).sum(),
        "contrast": (apart**2 * p).sum(),
        "dissimilarity": (apart * p).sum(),
        "inverse_difference": (p / (1 + apart)).sum(),
        "inverse_difference_moment": (p / (1 + apart**2)).sum(),
        "correlation": covariance / variance if variance > 0 else 1.0,
        "cluster_shade": ((level[:, None] + level - 2 * average) ** 3 * p).sum(),
    }


def count_foci(mask: np.ndarray, spacing, least_ml: float = 0.5) -> int:
    """The separate parts of a region (X, Y, Z), smaller ones than `least_ml` left out.

    Voxels belong together if they touch in a face, an edge or a corner.
    """
    parts, _ = label(np.asarray(mask).astype(bool), np.ones((3, 3, 3)))
    voxels = np.bincount(parts.ravel())[1:]
    return int((voxels * _spacing(spacing).prod() / 1000 >= least_ml).sum())


def _spacing(spacing) -> np.ndarray:
    spacing = np.broadcast_to(np.asarray(spacing, dtype=float), 3)
    if not (np.isfinite(spacing) & (spacing > 0)).all():
        raise DataError(f"The spacing must be positive millimeters, not {spacing.tolist()}.")
    return spacing


def _cropped(values: np.ndarray) -> np.ndarray:
    """What lies in the smallest box around the values above 0; one voxel where there are none."""
    if values.ndim != 3:
        raise DataError(f"A region has three axes, this mask has shape {values.shape}.")
    found = find_objects((values > 0).astype(np.uint8))
    return values[found[0] if found else (slice(0, 1),) * 3]


def _diameter(points: np.ndarray) -> float:
    """The largest distance between two points, which lie on their convex hull."""
    try:
        points = points[ConvexHull(points).vertices]
    except QhullError:
        pass  # flat: few points, take them all
    return float(pdist(points).max())


def _bits(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum()) + 0.0
