"""Tumor segmentation of one's own scans: four contrasts in, regions and their volumes out.

    found = segment(["flair.nii.gz", "t1.nii.gz", "t1gd.nii.gz", "t2.nii.gz"], "mask.nii.gz")
    found.volumes_ml                       # whole tumor, tumor core, enhancing tumor

The scans must lie on one grid with the skull removed, as those of BraTS, the Medical Segmentation
Decathlon and UPENN-GBM do. The network was trained on generated people only (notebook 06,
scripts/train_tumor_segmentation.py). Not for clinical use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from presimal import compute, networks
from presimal.data.checks import read_image, refuse
from presimal.scans import Box, from_box, read_scan, to_box, write_like
from presimal.storage import DataError

WEIGHTS = "tumor"
SPACING = 2.0  # mm, of the network's grid
CONTRASTS = ("FLAIR", "T1", "T1Gd", "T2")
REGIONS = ("whole tumor", "tumor core", "enhancing tumor")  # nested, as the network gives them
MARGIN_MM = 10.0  # round the brain
SMALLEST_ML, LARGEST_ML = 400.0, 2300.0  # of the brain
LEAST_GAIN = 0.75  # standard deviations by which T1Gd must exceed T1 in what is called enhancing
LEAST_ENHANCING_ML = 0.5  # less than this in all is called none
ORDER_MARGIN = 0.5  # by which another order must fit better before a patient is refused
LEAST_PIECE_ML = 1.0  # smaller separate pieces of whole tumor are not reported


@dataclass(frozen=True)
class Segmentation:
    """`labels` (X, Y, Z) uint8 on the scan's grid: 1 edema, 2 non-enhancing or necrotic, 3 enhancing.

    `shares` (3, X, Y, Z) float32 are the network's probabilities of REGIONS on the scan's grid.
    """

    labels: np.ndarray
    shares: np.ndarray
    volumes_ml: dict[str, float]


def prepare(images: Tensor, brain: Tensor) -> Tensor:
    """Images (N, C, X, Y, Z) with zero mean and unit spread within the brain (N, 1, X, Y, Z), 0 outside.

    Measured twice: the second time without what lies more than three standard deviations out, so that a
    few bright vessels do not set the scale.
    """
    brain = brain.to(images.dtype)
    centre, spread = _moments(images, brain)
    within = brain * ((images - centre).abs() < 3 * spread)
    centre, spread = _moments(images, within)
    return ((images - centre) / spread.clamp(min=1e-6) * brain).clamp(-5, 8)


def _moments(images: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    count = weight.sum((2, 3, 4), keepdim=True).clamp(min=1)
    centre = (images * weight).sum((2, 3, 4), keepdim=True) / count
    return centre, (((images - centre) ** 2 * weight).sum((2, 3, 4), keepdim=True) / count).sqrt()


def segment(
    scans: Path | str | Sequence[Path | str],
    out: Path | str | None = None,
    model: nn.Module | None = None,
    device: torch.device | str | None = None,
) -> Segmentation:
    """Segment one patient from NIfTI files; with `out`, write the labels with the scan's own affine.

    `scans` are four files in the order of CONTRASTS, or one 4-D file whose last axis has that order.

    Raises DataError, in one sentence, for files that are not four images of one stripped brain.
    """
    if isinstance(scans, (str, Path)):
        scans = [scans]
    if out is not None and Path(out).exists():
        refuse(out, "is there already, and nothing is overwritten", "move it, or choose another place")
    images, affine = _read_four([Path(scan) for scan in scans])
    found = find_tumor(images, affine, model, device, name=str(scans[0]))
    if out is not None:
        write_like(out, found.labels, scans[0])
    return found


def find_tumor(
    images: Tensor,
    affine: np.ndarray,
    model: nn.Module | None = None,
    device: torch.device | str | None = None,
    name: str = "the scan",
) -> Segmentation:
    """The same for images (4, X, Y, Z) in memory; `affine` takes voxels to RAS mm."""
    where = compute.device(device)
    model = (networks.load(WEIGHTS)[0] if model is None else model).to(where).eval()
    images, brain = _brain_of(images, affine, name)
    _check_order(images, brain, name)
    box = _box_round(brain, affine)
    x = torch.stack([to_box(image, affine, box) for image in images])[None]
    inside = (to_box(brain.float(), affine, box) > 0.5)[None, None]
    x = prepare(x, inside)
    mean = _shares(model, x.to(where), where) * inside[0]
    # What takes up no gadolinium does not enhance, whatever the network says.
    mean[2] *= x[0, 2] - x[0, 1] > LEAST_GAIN
    shares = torch.stack([from_box(share, box, affine, tuple(brain.shape)) for share in mean]) * brain
    labels = _labels(shares.numpy(), abs(np.linalg.det(affine[:3, :3])) / 1000)
    ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    counts = ((labels > 0).sum(), (labels >= 2).sum(), (labels == 3).sum())
    return Segmentation(labels, shares.numpy(), {region: float(n * ml) for region, n in zip(REGIONS, counts)})


@torch.no_grad()
def _shares(model: nn.Module, x: Tensor, where: torch.device) -> Tensor:
    """Probabilities (3, X, Y, Z) on the CPU: the mean of the answers for the brain and its mirror image."""
    with compute.autocast(where):
        straight, mirrored = (model(one).float().sigmoid()[0] for one in (x, x.flip(2)))
    return ((straight + mirrored.flip(1)) / 2).cpu()


def _labels(shares: np.ndarray, voxel_ml: float) -> np.ndarray:
    whole, core, enhancing = shares > 0.5
    enhancing = enhancing & (enhancing.sum() * voxel_ml >= LEAST_ENHANCING_ML)
    pieces, count = ndimage.label(whole)
    if count > 1:
        sizes = np.bincount(pieces.ravel()) * voxel_ml
        sizes[0] = 0
        whole &= (sizes >= min(LEAST_PIECE_ML, sizes.max()))[pieces]
    labels = whole.astype(np.uint8)
    labels[whole & (core | enhancing)] = 2
    labels[whole & enhancing] = 3
    return labels


def _box_round(brain: Tensor, affine: np.ndarray) -> Box:
    """The smallest box round the brain and a margin."""
    places = brain.nonzero().numpy()
    corners = np.array(np.meshgrid(*zip(places.min(0), places.max(0)))).reshape(3, -1)
    points = affine[:3, :3] @ corners + affine[:3, 3:]
    low, high = points.min(1) - MARGIN_MM, points.max(1) + MARGIN_MM
    shape = tuple(int(np.ceil(length / SPACING)) for length in high - low)
    return Box(shape, SPACING, tuple((low + high) / 2))


def _brain_of(images: Tensor, affine: np.ndarray, name: str) -> tuple[Tensor, Tensor]:
    """Images with a background of 0, and the brain (X, Y, Z): what differs from the background anywhere."""
    faces = torch.cat([images.movedim(axis, 1)[:, [0, -1]].flatten(1) for axis in (1, 2, 3)], 1)
    background = faces.median(1).values.view(-1, 1, 1, 1)
    images = images - background
    # A stripped scan has a constant background; one that is not constant is noise, seen on the faces too.
    noise = 10 * (faces - background.flatten(1)).abs().median(1).values
    tiny = torch.maximum(1e-3 * images.flatten(1).abs().amax(1), noise).view(-1, 1, 1, 1)
    inside = (images.abs() > tiny).any(0).numpy()
    ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    if inside.sum() * ml > LARGEST_ML:
        raise DataError(f"{name}: {inside.sum() * ml:.0f} ml differ from the background: remove the skull first, with 'presimal strip'.")
    inside = ndimage.binary_opening(ndimage.binary_fill_holes(inside), iterations=1)
    pieces, count = ndimage.label(inside)
    if count:
        inside = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    if inside.sum() * ml < SMALLEST_ML:
        raise DataError(f"{name}: holds {inside.sum() * ml:.0f} ml of brain, too little: is it a whole brain, and is the voxel size right?")
    return images, torch.from_numpy(inside)


def _check_order(images: Tensor, brain: Tensor, name: str) -> None:
    """Refuse four contrasts that fit another order than that of CONTRASTS clearly better.

    Of 160 generated patients with contrasts wilder than any scanner's one was refused in the right order, and
    all in the order T1, T1Gd, T2, FLAIR; T1 and T1Gd exchanged were found in one of three.
    """
    values = images[:, brain][:, :: max(1, int(brain.sum()) // 100_000)].numpy()
    alike = np.corrcoef(values)
    z = (values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)
    exceeds = np.quantile(z[:, None] - z[None], 0.997, axis=2) + 1e-6

    def fit(flair: int, t1: int, t1gd: int, t2: int) -> float:
        """T1 and T1Gd are most alike, then FLAIR; T2 shows fluid bright; vessels are brighter on T1Gd than on T1."""
        score = alike[t1, t1gd] + 0.5 * (alike[flair, t1] + alike[flair, t1gd]) - alike[t1, t2] - alike[t1gd, t2]
        return score + 0.3 * np.tanh(np.log(exceeds[t1gd, t1] / exceeds[t1, t1gd]))

    best = max(permutations(range(4)), key=lambda order: fit(*order))
    if fit(*best) > fit(0, 1, 2, 3) + ORDER_MARGIN:
        likely = ", ".join(CONTRASTS[best.index(file)] for file in range(4))
        raise DataError(f"{name}: the contrasts look like {likely}: give them in the order FLAIR, T1, T1Gd, T2.")


def _read_four(scans: list[Path]) -> tuple[Tensor, np.ndarray]:
    if len(scans) == 1:
        values, affine = read_image(scans[0], len(CONTRASTS))
        images = torch.from_numpy(np.moveaxis(values, -1, 0).astype(np.float32))
    elif len(scans) == 4:
        read_all = [read_scan(scan) for scan in scans]
        images, affine = None, read_all[0][1]
        for scan, (volume, other) in zip(scans, read_all):
            corner = np.array([*volume.shape, 1.0])
            same_place = np.allclose(other @ corner, affine @ corner, atol=0.5) and np.allclose(other[:3, 3], affine[:3, 3], atol=0.5)
            if volume.shape != read_all[0][0].shape or not same_place:
                refuse(scan, f"lies on another grid than {scans[0]}", "register the four contrasts and resample them to one grid")
        images = torch.stack([volume for volume, _ in read_all])
    else:
        raise DataError(f"{len(scans)} files were given, four are needed: FLAIR, T1, T1Gd, T2 in this order, or one 4-D file.")
    for contrast, image in zip(CONTRASTS, images):
        if len(image.flatten()[:: max(1, image.numel() // 200_000)].unique()) < 12:
            raise DataError(f"{scans[min(CONTRASTS.index(contrast), len(scans) - 1)]}: holds labels and no image: give the scan itself.")
    return images, affine
