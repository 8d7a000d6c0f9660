"""Skull stripping of one's own scans: any contrast, orientation and voxel size, whole or cropped head.

    found = strip("head.nii.gz")           # writes head_mask.nii.gz and head_brain.nii.gz beside it

The network was trained on generated heads only (notebook 07, scripts/train_skull_stripping.py). The mask
holds the brain with its ventricles and sulci, down to the foramen magnum. Not for clinical use.
"""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from presimal import compute, networks
from presimal.data.checks import refuse
from presimal.scans import Box, from_box, read_scan, to_box, write_like
from presimal.storage import DataError

WEIGHTS = "skull_stripping"
SPACING = 3.0  # mm, of the network's grid
SHAPE = (64, 75, 64)  # voxels: 192 x 225 x 192 mm, as in training
CROWN_TO_CENTRE = 85.0  # mm from the top of a head to the middle of its brain
PASSES = 4  # at most: the box follows the brain until it moves less than MOVED
MOVED = 4.0  # mm
SMALLEST_ML, LARGEST_ML = 250.0, 2300.0  # beyond the brains of infants and of the largest heads
LEAST_AGREEMENT = 0.80  # Dice between the answers for the head and for its mirror image
LEAST_DETAIL = 0.04  # interquartile range of what a smooth image leaves over, against the median; brains have 0.09 and more
LEAST_LIT = 0.6  # share of the brain that is brighter than 3 % of the brightest tissue, which air is not
NOTHING = "There is no brain in it that the network could find: is it a scan of a head?"


@dataclass(frozen=True)
class Found:
    """A brain: `mask` (X, Y, Z) bool on the grid of the scan, its volume, and how sure the network is.

    `agreement` is the Dice between the masks of the head and of its mirror image, at the network's
    grid: it needs no truth, and falls where the network is lost.
    """

    mask: np.ndarray
    volume_ml: float
    agreement: float


def prepare(images: Tensor) -> Tensor:
    """Images (N, 1, X, Y, Z) as the network wants them: 0 to 1 from black to the brightest tissue.

    The scale is the 98th percentile of what is brighter than the mean, so that neither the amount of air
    nor a few bright voxels decide.
    """
    scaled = []
    for image in images:
        scaled.append((image / _brightest(image)).clamp(0, 1.5))
    return torch.stack(scaled)


def _brightest(image: Tensor) -> float:
    bright = image[image > image.mean()]
    bright = bright[:: max(1, len(bright) // 20_000)]
    return max(float(torch.quantile(bright, 0.98)), 1e-6) if len(bright) else 1.0


def find_brain(
    volume: Tensor, affine: np.ndarray, model: nn.Module | None = None, device: torch.device | str | None = None
) -> Found:
    """The brain in a scan (X, Y, Z) whose `affine` takes voxels to RAS mm.

    The box of the network is placed by the outline of the head, then follows the brain. Only the largest
    piece is kept, and its holes are filled.

    Raises DataError if there is no brain that could be trusted.
    """
    where = compute.device(device)
    model = (networks.load(WEIGHTS)[0] if model is None else model).to(where).eval()
    # MRI is not negative; a stripped or resampled scan may have a negative background.
    volume = (volume - min(0.0, float(volume.flatten()[:: max(1, volume.numel() // 100_000)].quantile(0.01)))).clamp(min=0)
    centre = _centre_of_head(volume, affine)
    for _ in range(PASSES):
        box = Box(SHAPE, SPACING, tuple(centre))
        image = to_box(volume, affine, box)
        share, mirrored = _shares(model, image, where)
        inside = _largest_piece((share + mirrored).numpy() / 2 > 0.5)
        if not inside.any():
            raise DataError(NOTHING)
        found = np.argwhere(inside)
        middle = box.affine[:3, :3] @ ((found.min(0) + found.max(0)) / 2) + box.affine[:3, 3]
        moved, centre = np.abs(middle - centre).max(), middle
        if moved < MOVED:
            break
    mean = ((share + mirrored) / 2).numpy()
    near = ndimage.binary_dilation(inside, iterations=2)
    mean = np.where(ndimage.binary_fill_holes(inside), np.maximum(mean, inside), mean) * near
    mask = from_box(torch.from_numpy(mean.astype(np.float32)), box, affine, tuple(volume.shape)).numpy() > 0.5
    mask = _without_holes(_largest_piece(mask))
    if not mask.any() or (volume.numpy()[mask] > 0.03 * _brightest(volume)).mean() < LEAST_LIT:
        raise DataError(NOTHING)
    if _detail(image.numpy(), inside) < LEAST_DETAIL:
        raise DataError("What the network found is as even inside as a bottle of water: is it a scan of a head?")
    volume_ml = float(mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000)
    if not SMALLEST_ML < volume_ml < LARGEST_ML:
        raise DataError(
            f"What the network found has {volume_ml:.0f} ml, which no brain has: is it a scan of a whole head, "
            "and are its voxel size and orientation right?"
        )
    agreement = _dice(share.numpy() > 0.5, mirrored.numpy() > 0.5)
    if agreement < LEAST_AGREEMENT:
        raise DataError(
            f"The network contradicts itself on the mirror image (Dice {agreement:.2f}): "
            "is it a scan of a head, and is its orientation right?"
        )
    return Found(mask, volume_ml, agreement)


def strip(
    scan: Path | str,
    out: Path | str | None = None,
    model: nn.Module | None = None,
    device: torch.device | str | None = None,
) -> tuple[Found, Path, Path]:
    """Strip one NIfTI file: writes the brain and its mask, returns (Found, brain file, mask file).

    Both have the affine and shape of the scan; the brain has its data type too, and zero outside the
    mask. They go to `NAME_brain.nii.gz` and `NAME_mask.nii.gz` beside the scan or in the folder `out`;
    `out` may also name the file of the brain.

    Raises DataError, in one sentence, if the scan is not one volume of a head, or a file is there already.
    """
    scan = Path(scan)
    brain_file, mask_file = targets(scan, out)
    for file in (brain_file, mask_file):
        if file.exists():
            refuse(file, "is there already, and nothing is overwritten", "move it, or choose another place with -o")
    volume, affine = read_scan(scan)
    try:
        found = find_brain(volume, affine, model, device)
    except DataError as problem:
        raise DataError(f"{scan}: {problem}") from None
    stored = np.asanyarray(nib.load(scan).dataobj.get_unscaled())
    mask = found.mask.reshape(stored.shape)
    write_like(mask_file, mask.astype(np.uint8), scan)
    write_like(brain_file, np.where(mask, stored, _background(scan, stored)), scan, scaling=True)
    return found, brain_file, mask_file


def targets(scan: Path, out: Path | str | None) -> tuple[Path, Path]:
    """Where the brain and the mask of a scan go."""
    name = scan.name.removesuffix(".gz").removesuffix(".nii")
    folder = scan.parent if out is None else Path(out)
    if str(folder).endswith((".nii", ".nii.gz")):
        stem = folder.name.removesuffix(".gz").removesuffix(".nii")
        return folder, folder.with_name(f"{stem}_mask.nii.gz")
    return folder / f"{name}_brain.nii.gz", folder / f"{name}_mask.nii.gz"


def _background(scan: Path, stored: np.ndarray):
    """The stored number that means zero, for files whose header scales them."""
    slope, intercept = nib.load(scan).dataobj.slope, nib.load(scan).dataobj.inter
    zero = np.rint(-intercept / slope) if stored.dtype.kind in "iu" else -intercept / slope
    if stored.dtype.kind in "iu":
        zero = np.clip(zero, np.iinfo(stored.dtype).min, np.iinfo(stored.dtype).max)
    return stored.dtype.type(zero)


def _centre_of_head(volume: Tensor, affine: np.ndarray) -> np.ndarray:
    """A first guess, RAS mm: below the top of what is not air, in the middle of its sides."""
    step = [max(1, n // 64) for n in volume.shape]
    coarse = volume[:: step[0], :: step[1], :: step[2]].numpy()
    places = np.argwhere(coarse > 0.12 * np.quantile(coarse, 0.99)) * step
    points = places @ affine[:3, :3].T + affine[:3, 3]
    top = np.quantile(points[:, 2], 0.998)
    upper = points[points[:, 2] > top - 130]
    low, high = np.quantile(upper, 0.01, axis=0), np.quantile(upper, 0.99, axis=0)
    return np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, top - CROWN_TO_CENTRE])


@torch.no_grad()
def _shares(model: nn.Module, image: Tensor, where: torch.device) -> tuple[Tensor, Tensor]:
    """Probabilities (X, Y, Z) on the CPU for an image, and for its mirror image, mirrored back."""
    x = prepare(image[None, None].to(where))
    with compute.autocast(where):
        straight, mirrored = (model(one).float().sigmoid()[0, 0].cpu() for one in (x, x.flip(2)))
    return straight, mirrored.flip(0)


def _detail(image: np.ndarray, inside: np.ndarray) -> float:
    """How uneven an image (X, Y, Z) is well inside a mask, without what varies over centimeters."""
    core = ndimage.binary_erosion(inside, iterations=2)
    if not core.any():
        return 0.0
    smooth = ndimage.gaussian_filter(image * core, 4) / np.maximum(ndimage.gaussian_filter(core.astype(float), 4), 1e-3)
    low, high = np.quantile((image - smooth)[core], [0.25, 0.75])
    return float((high - low) / max(np.median(image[core]), 1e-6))


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    pieces, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(pieces.ravel())
    return pieces == 1 + np.argmax(sizes[1:])


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """Fill what the outside cannot reach; looked at only where the mask is, which is quicker."""
    if not mask.any():
        return mask
    (window,) = ndimage.find_objects(mask.astype(np.uint8))
    part = np.pad(mask[window], 1)
    outside, _ = ndimage.label(~part)
    filled = mask.copy()
    filled[window] = (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return filled


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))
