"""Skull stripping of one's own scans: any contrast, orientation and voxel size, whole or cropped head.

    brain, brain_file, mask_file = strip("head.nii.gz")     # head_brain.nii.gz and head_mask.nii.gz beside it

The mask holds the brain with its ventricles and sulci, down to the foramen magnum. Trained on generated heads and label
maps of 20 real ones, on no image of a person (notebook 07, scripts/train_skull_stripping.py). Not for clinical use."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage
from torch import Tensor, nn

from synthcohort.storage import DataError

from .posture import UNLIKE, is_placed
from .reading import ENDINGS as IMAGES
from .reading import open_image
from .refusal import ScanWarning, raise_if, refuse_if
from .resampling import Grid, from_grid, stem, to_grid
from .scans import Device, File, both_sides, faces, largest_piece, read_scan, ready, rise_inward, without_holes
from .writing import ENDINGS, check_place, image_like, is_ours, write

WEIGHTS = "skull_stripping"
SPACING = 2.0  # mm, of the network's grid
SHAPE = (96, 112, 96)  # voxels: 192 x 224 x 192 mm, as in training
SMALLEST_BRAIN, LARGEST_BRAIN = 250, 2300  # ml: beyond the brains of infants and of the largest heads
# Probability at which the shipped network's mask ends, by how much brighter a scan is inside than near the surface: T2
# (0, neutral, for want of heads with a reference), FLAIR (0.04 to 0.06) and T1 (0.15 and more). At 0.5 masks of adults'
# T1 are 4 % too small, of FLAIR 2 % too large: chosen on 17 development scans. They are smoothed before, for the
# network's edge is so sharp that a level hardly moves it.
LEVELS = (0.0, 0.05, 0.14), (0.50, 0.60, 0.40)
SMOOTHED = 1.4  # mm
# The part of a mask's surroundings that is not black: 0.99 and more in 20 heads, 0.03 to 0.69 in 46 stripped scans.
STRIPPED = 0.85
UNSURE = 0.90  # agreement below which a mask is not to be believed
BRIGHT_AIR = 1.3  # times the brain; at most 0.23 around 58 real scans
PADDED = 0.005  # of a scan, at least, that holds one and the same number far from all others
LIKE_A_BALL = 0.92  # own reflection: brains 0.88 and less, also cut off; balls, cylinders, shells 0.93 and more
# mm beside, and below a brain, from where another head may be; heads reach 148 mm down. The part of all that is no air.
FARTHEST, LOWEST, DEEPEST, LEAST_BESIDE = 140.0, 60.0, 200.0, 0.1
BESIDE = "it shows as much beside or below the head as a second head would: only one was taken"
NOTHING = "There is no brain in it that the network could find: is it a scan of a head?"


@dataclass(frozen=True)
class BrainMask:
    """The brain in a scan; a low `agreement` says, without a reference, that the network is unsure."""

    mask: np.ndarray  # (X, Y, Z) bool, on the grid of the scan
    volume_ml: float
    agreement: float  # Dice between the masks of the head and of its mirror image, on the network's grid


def normalize(images: Tensor) -> Tensor:
    """Images (N, 1, X, Y, Z) as the network wants them: 0 is black, 1 the brightest tissue, at most 1.5."""
    return torch.stack([image / _brightest(image) for image in images]).clamp(0, 1.5)


def _brightest(image: Tensor) -> float:
    """The 98th percentile above the mean: neither the amount of air nor a few bright voxels decide."""
    most = image.flatten()[:: max(1, image.numel() // 100_000)].quantile(0.999)
    bright = image[image > image.clamp(max=most).mean()]
    bright = bright[:: max(1, len(bright) // 20_000)]
    return max(float(torch.quantile(bright, 0.98)), 1e-6) if len(bright) else 1.0


def above_black(volume: Tensor) -> Tensor:
    """A scan (X, Y, Z) without a negative background, as of resampling, or padding: a number far from all others."""
    values = volume.flatten()[:: max(1, volume.numel() // 100_000)]
    for padding in (values.min(), values.max()):
        others = values[values != padding]
        if len(others) < (1 - PADDED) * len(values):
            low, high = others.quantile(0.001), others.quantile(0.999)
            if padding < low.clamp(max=0) - (high - low) or padding > high + (high - low):
                volume, values = (part.where(part != padding, low) for part in (volume, values))
    return (volume - values.quantile(0.01).clamp(max=0)).clamp(min=0)


def find_brain(volume: Tensor, affine: np.ndarray, model: nn.Module | None = None, device: Device = None) -> BrainMask:
    """The brain in a scan (X, Y, Z) whose `affine` takes voxels to RAS mm: the largest piece, its holes filled.
    DataError if none can be trusted. The network's grid is placed by the outline of the head, then by the brain."""
    levels = LEVELS if model is None else (LEVELS[0], (0.5, 0.5, 0.5))
    model, device = ready(model, WEIGHTS, device)
    volume = above_black(volume)
    center = _center_of_head(volume, affine)
    for _ in range(4):  # at most: until the grid, centered on the brain found, moves less than 4 mm
        grid = Grid(SHAPE, SPACING, tuple(center))
        image = to_grid(volume, affine, grid)
        straight, mirrored = both_sides(model, normalize(image[None, None]), device)
        probability = ((straight + mirrored) / 2)[0].numpy()
        inside = largest_piece(probability > 0.5)
        raise_if(not inside.any(), NOTHING, DataError)
        voxels = np.argwhere(inside)
        before, center = center, apply_affine(grid.affine, (voxels.min(0) + voxels.max(0)) / 2)
        if np.abs(center - before).max() < 4.0:
            break
    filled = np.where(ndimage.binary_fill_holes(inside), np.maximum(probability, inside), probability)
    near = ndimage.gaussian_filter(filled * ndimage.binary_dilation(inside, iterations=2), SMOOTHED / SPACING)
    on_scan = from_grid(torch.from_numpy(near), grid, affine, volume.shape)
    scaled = image.numpy() / max(np.quantile(image[inside], 0.85), 1e-6)
    level = np.interp(rise_inward(scaled, inside, SPACING), *levels)
    mask = without_holes(largest_piece(on_scan.numpy() > level))
    if mask.any():  # else it is refused below
        lit, around = volume.numpy() > 0.005 * np.median(volume.numpy()[mask]), (on_scan.numpy() > 0.05) & ~mask
        if lit[around].sum() < STRIPPED * around.sum():
            mask &= without_holes(largest_piece(lit))
    one, other = straight > 0.5, mirrored > 0.5
    agreement = 2 * float((one & other).sum()) / float(one.sum() + other.sum())
    brain = BrainMask(mask, float(mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000), agreement)
    _check(brain, volume, image.numpy(), inside)
    return brain


def _check(brain: BrainMask, volume: Tensor, image: np.ndarray, inside: np.ndarray) -> None:
    """Raises DataError for a mask that cannot be that of a brain; `image` and `inside` are on the network's grid."""
    lit = volume.numpy()[brain.mask] > 0.03 * _brightest(volume)  # which air is not
    raise_if(not brain.mask.any() or lit.mean() < 0.6, NOTHING, DataError)
    if faces(volume[None]).median() > BRIGHT_AIR * np.median(volume.numpy()[brain.mask]):
        raise DataError("What is around the head is brighter than the brain: is its contrast inverted?")
    if _detail(image, inside) < 0.022:  # 30 scans have 0.08 and more, in 6 mm 0.04; a ball with spheres 0.003
        raise DataError("What the network found is as even inside as a bottle of water: is it a scan of a head?")
    if own_reflection(inside) > LIKE_A_BALL:
        raise DataError("What the network found has no top and bottom, like a ball: is it a scan of a head?")
    asked = "is it a scan of a whole head, and are its voxel size and orientation right?"
    size = f"What the network found has {brain.volume_ml:.0f} ml, which no brain has"
    raise_if(not SMALLEST_BRAIN < brain.volume_ml < LARGEST_BRAIN, f"{size}: {asked}", DataError)
    differs = f"The network contradicts itself on the mirror image (Dice {brain.agreement:.2f})"
    raise_if(brain.agreement < 0.80, f"{differs}: {asked}", DataError)


def oddities(volume: Tensor, affine: np.ndarray, mask: np.ndarray) -> list[str]:
    """What speaks against a mask of a scan (X, Y, Z), which is taken nevertheless: a sentence each."""
    points = _outline(above_black(volume), affine) - apply_affine(affine, np.argwhere(mask).mean(0))
    beside = (np.abs(points[:, :2]).max(1) > FARTHEST) & (points[:, 2] > -LOWEST) | (points[:, 2] < -DEEPEST)
    odd = {UNLIKE: not is_placed(mask, affine), BESIDE: beside.mean() > LEAST_BESIDE}
    return [said for said, found in odd.items() if found]


def strip(
    scan: File, out: File | None = None, model: nn.Module | None = None, device: Device = None
) -> tuple[BrainMask, Path, Path]:
    """Write the brain of a scan, in its own data type, and the mask; returns BrainMask and both `output_files`.
    Raises DataError, in one sentence, if the scan is not one volume of a head, or a file is there already."""
    brain_file, mask_file = output_files(scan, out)
    there = [file for file in (brain_file, mask_file) if os.path.exists(file)]
    half_done = len(there) == 1 and is_ours(there[0])  # interrupted between the two: counts as missing
    image = open_image(scan)
    volume, affine = read_scan(scan, image)
    for file in (brain_file, mask_file):
        check_place(file, 4 * volume.numel(), replace=half_done)
    try:
        brain = find_brain(volume, affine, model, device)
    except DataError as problem:
        raise DataError(f"{scan}: {problem}") from None
    unsure = f"its mask and that of its mirror image agree by {brain.agreement:.2f} only: do not believe it unseen"
    for said in [unsure] * (brain.agreement < UNSURE) + oddities(volume, affine, brain.mask):
        warnings.warn(f"{scan}: {said}", ScanWarning, stacklevel=2)
    content: Any = image.dataobj
    scaled = isinstance(image, nib.Nifti1Pair) and hasattr(content, "get_unscaled")
    stored = np.asanyarray(content.get_unscaled() if scaled else content)
    zero = 0 - content.inter / content.slope if scaled else 0  # as stored, where the header scales; never -0.0
    if stored.dtype.kind in "iu":
        limits = np.iinfo(stored.dtype)
        zero = np.clip(np.rint(zero), limits.min, limits.max)
    mask = brain.mask.reshape(stored.shape)
    stripped = np.where(mask, stored, stored.dtype.type(zero))
    write({mask_file: image_like(mask.astype(np.uint8), image), brain_file: image_like(stripped, image, scaled)})
    return brain, brain_file, mask_file


def output_files(scan: File, out: File | None) -> tuple[Path, Path]:
    """NAME_brain.nii.gz and NAME_mask.nii.gz, beside the scan or in the folder `out`, which may also name the brain."""
    folder = Path(scan).parent if out is None else Path(out)
    if folder.name.endswith(ENDINGS):
        return folder, folder.with_name(f"{stem(folder)}_mask.nii.gz")
    other = out is not None and folder.name.lower().endswith(IMAGES) and not os.path.isdir(folder)
    refuse_if(other, folder, "ends in neither .nii nor .nii.gz", "call it so, or name a folder")
    return folder / f"{stem(scan)}_brain.nii.gz", folder / f"{stem(scan)}_mask.nii.gz"


def _center_of_head(volume: Tensor, affine: np.ndarray) -> np.ndarray:
    """A first guess of the center of the brain, RAS mm: 85 mm below the top of the head, midway between its sides."""
    points = _outline(volume, affine)
    top = np.quantile(points[:, 2], 0.998)
    low, high = np.quantile(points[points[:, 2] > top - 130], [0.01, 0.99], axis=0)
    return np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, top - 85])


def _outline(volume: Tensor, affine: np.ndarray) -> np.ndarray:
    """Points (N, 3) of what is no air in a scan (X, Y, Z), RAS mm, about 64 along each of its axes."""
    step = [max(1, n // 64) for n in volume.shape]
    coarse = volume[:: step[0], :: step[1], :: step[2]].numpy()
    return apply_affine(affine, np.argwhere(coarse > 0.12 * np.quantile(coarse, 0.99)) * step)


def _detail(image: np.ndarray, inside: np.ndarray) -> float:
    """Standard deviation over 27 voxels of an image (X, Y, Z), relative to the median of the image, at least so much in
    half of the inside of a mask: a brain has folds nearly everywhere."""
    core = ndimage.binary_erosion(inside, iterations=2)
    if not core.any():
        return 0.0
    mean, square = (ndimage.uniform_filter(values, 3)[core] for values in (image, image**2))
    return float(np.median(np.sqrt(np.maximum(square - mean**2, 0))) / max(np.median(image[core]), 1e-6))


def own_reflection(mask: np.ndarray) -> float:
    """The part of a mask (X, Y, Z) that its reflection through its center covers, however it is turned."""
    voxels = np.argwhere(mask)
    opposite = np.rint(2 * voxels.mean(0) - voxels).astype(int).T
    return float(ndimage.map_coordinates(mask.astype(np.uint8), opposite, order=0).mean())  # 0 beyond the edge
