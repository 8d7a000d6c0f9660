"""Numbers that describe a region of an image: how large, what shape, how bright, how mixed. Names and definitions are
those of the Image Biomarker Standardisation Initiative (Zwanenburg et al., Radiology 295:328, 2020; arXiv 1612.07003),
with whose values for a digital phantom the tests compare. An empty region has volume 0, all else NaN."""

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import find_objects
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from scipy.special import entr
from skimage.measure import marching_cubes, mesh_surface_area

from brainscans.interval import one, raise_if, real
from presimal.evaluation.overlap import mask_of
from synthcohort.storage import DataError

MOST_LEVELS = 2**12  # gray levels, of whose pairs a table is made


def features(image: np.ndarray, mask: np.ndarray, spacing: ArrayLike, levels: int = 16) -> dict[str, float]:
    """All features of one region: those of `shape`, `intensity` and `texture` in one dictionary. image, mask (X, Y, Z);
    spacing in mm, one number or three; texture in `levels` bins over the range of the region (IBSI: fixed bin number).
    Raises DataError if shapes differ, a spacing is not positive, the mask is none, or the region holds NaN."""
    image, mask = real(image, "An image", DataError), mask_of(mask, DataError)
    if image.shape != mask.shape:
        raise DataError(f"The image has shape {image.shape} and the mask {mask.shape}: give both on one grid.")
    values = _finite(image[mask])
    gray = np.zeros(image.shape, dtype=int)
    gray[mask] = discretize(values, levels)
    return shape(mask, spacing) | intensity(values) | texture(gray)


def shape(mask: np.ndarray, spacing: ArrayLike) -> dict[str, float]:
    """Size and form of a region (X, Y, Z); lengths in mm, areas in mm², volumes in ml: of voxels, and inside the mesh.
    Axes are those of the ellipsoid with the same second moments; elongation and flatness their ratios to the longest.
    `sphericity` is 1 for a ball and less for everything else, up to the roughness of the voxels."""
    mask, apart = _cropped(mask_of(mask, DataError)), real(spacing, "The spacing", DataError).astype(float)
    odd = apart.shape not in ((), (3,)) or not ((apart > 1e-9) & (apart < 1e9)).all()
    raise_if(odd, "The spacing must be one positive number of millimeters, or three.", DataError)
    spacing = np.broadcast_to(apart, 3)
    if not mask.any():
        return dict.fromkeys(SHAPE, math.nan) | {"volume": 0.0}
    points, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, spacing=tuple(spacing))
    volume = abs(np.linalg.det(points[faces].astype(float)).sum()) / 6
    area = float(mesh_surface_area(points, faces))
    voxels = np.argwhere(mask) * spacing
    variances = np.linalg.eigvalsh(np.cov(voxels.T)) if len(voxels) > 1 else np.zeros(3)
    least, minor, major = 4 * np.sqrt(variances.clip(min=0))
    found = {"volume": float(mask.sum() * spacing.prod() / 1000), "mesh_volume": volume / 1000, "surface_area": area}
    found |= {"surface_to_volume": area / volume, "sphericity": (36 * math.pi * volume**2) ** (1 / 3) / area}
    found |= {"max_diameter": float(pdist(points[ConvexHull(points).vertices]).max())}  # two points of the hull
    found |= {"major_axis": major, "minor_axis": minor, "least_axis": least}
    longest = major or math.nan
    return found | {"elongation": minor / longest, "flatness": least / longest}


def intensity(values: np.ndarray) -> dict[str, float]:
    """The intensities of a region (any shape) as one distribution, wherever they lie."""
    x = _finite(values).ravel()
    if not len(x):
        return dict.fromkeys(INTENSITY, math.nan)
    p10, p25, median, p75, p90 = np.percentile(x, (10, 25, 50, 75, 90))
    offset = x - x.mean()
    variance = float((offset**2).mean())
    found = {"mean": x.mean(), "variance": variance, "skewness": 0.0, "kurtosis": 0.0}
    if x.min() < x.max() and (largest := np.abs(offset).max()) > 0:  # else constant, with 0, as in IBSI
        z = offset / largest  # whose powers are neither 0 nor infinite, whatever the unit
        square = (z**2).mean()
        found |= {"skewness": (z**3).mean() / square**1.5, "kurtosis": (z**4).mean() / square**2 - 3}
    found |= {"median": median, "p10": p10, "p90": p90, "minimum": x.min(), "maximum": x.max()}
    found |= {"interquartile_range": p75 - p25, "mean_absolute_deviation": np.abs(offset).mean()}
    return found | {"energy": (x**2).sum(), "root_mean_square": math.sqrt((x**2).mean())}


def discretize(values: np.ndarray, levels: int) -> np.ndarray:
    """Intensities as gray levels 1 to `levels`, in bins of equal width over their range."""
    if not 2 <= one(levels, "Gray levels", DataError) <= MOST_LEVELS or levels % 1:
        raise DataError(f"Texture needs 2 to {MOST_LEVELS} gray levels, not {levels}.")
    values = _finite(values)
    if not values.size or values.max() == values.min():
        return np.ones(values.shape, dtype=int)
    scaled = levels * (values - values.min()) / (values.max() - values.min())
    return np.minimum(np.floor(scaled).astype(int) + 1, levels)


def cooccurrence(gray: np.ndarray) -> np.ndarray:
    """How often two levels are neighbors: (levels, levels), symmetric, summing to 1; all 0 without any neighbors.
    `gray` (X, Y, Z) holds levels from 1 on, 0 outside the region. All 13 directions are merged into one (IBSI: 3D)."""
    gray = _levels(gray)
    levels = int(gray.max(initial=0))
    counts = np.zeros((levels, levels))
    padded = np.pad(gray, 1)  # zeros, so that nothing meets what lies across the edge
    for step in (step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)):  # of opposites, one
        neighbor = np.roll(padded, step, axis=(0, 1, 2))
        both = (padded > 0) & (neighbor > 0)
        pairs = (padded[both] - 1) * levels + neighbor[both] - 1
        counts += np.bincount(pairs, minlength=levels**2).reshape(levels, levels)
    counts += counts.T
    return counts / max(counts.sum(), 1)


def texture(gray: np.ndarray) -> dict[str, float]:
    """How gray levels (as in `cooccurrence`) mix: their histogram, how often they are neighbors; entropies in bits."""
    gray = _cropped(_levels(gray))
    if not (gray > 0).any():
        return dict.fromkeys(TEXTURE, math.nan)
    p = np.bincount(gray[gray > 0]) / (gray > 0).sum()
    found = {"entropy": entr(p).sum() / math.log(2), "uniformity": (p**2).sum()}
    p = cooccurrence(gray)
    if not p.any():  # a single voxel has no neighbor
        return dict.fromkeys(TEXTURE, math.nan) | found
    level = np.arange(1, len(p) + 1)
    apart = np.abs(level[:, None] - level)
    average = float((level * p.sum(1)).sum())
    variance = float(((level - average) ** 2 * p.sum(1)).sum())
    covariance = float(((level[:, None] - average) * (level - average) * p).sum())
    found |= {"joint_maximum": p.max(), "joint_average": average, "joint_variance": variance}
    found |= {"joint_entropy": entr(p).sum() / math.log(2), "angular_second_moment": (p**2).sum()}
    found |= {"contrast": (apart**2 * p).sum(), "dissimilarity": (apart * p).sum()}
    found |= {"inverse_difference": (p / (1 + apart)).sum(), "inverse_difference_moment": (p / (1 + apart**2)).sum()}
    found |= {"correlation": covariance / variance if variance > 0 else 1.0}
    return found | {"cluster_shade": ((level[:, None] + level - 2 * average) ** 3 * p).sum()}


def _finite(values: np.ndarray) -> np.ndarray:
    values = real(values, "A region", DataError).astype(float)
    raise_if(not (np.abs(values) < 1e150).all(), "The region holds NaN or numbers beyond 1e150: mend it.", DataError)
    return values


def _levels(gray: np.ndarray) -> np.ndarray:
    """As int64, for numbers of pairs do not fit into small integers."""
    whole = _finite(gray)
    if whole.ndim != 3 or not ((whole >= 0) & (whole <= MOST_LEVELS) & (whole == np.rint(whole))).all():
        raise DataError(f"Gray levels are whole numbers from 0 to {MOST_LEVELS} on three axes: discretize first.")
    return whole.astype(np.int64)


def _cropped(values: np.ndarray) -> np.ndarray:
    """What lies in the smallest box around the values above 0; one voxel where there are none."""
    raise_if(values.ndim != 3, f"A region has three axes, this mask has shape {values.shape}.", DataError)
    found = (values > 0).any() and find_objects((values > 0).astype(np.uint8))
    return values[found[0]] if found else np.zeros((1, 1, 1), values.dtype)


_CUBE = np.arange(1, 9).reshape(2, 2, 2)  # a region that has all features gives their names
SHAPE, INTENSITY, TEXTURE = tuple(shape(_CUBE > 0, 1.0)), tuple(intensity(_CUBE)), tuple(texture(_CUBE))
