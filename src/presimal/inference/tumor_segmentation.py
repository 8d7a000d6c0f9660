"""Tumor segmentation of one's own scans: four contrasts in, regions and their volumes out.

    found = segment(["flair.nii.gz", "t1.nii.gz", "t1gd.nii.gz", "t2.nii.gz"], "labels.nii.gz")
    found.volumes_ml                       # whole tumor, tumor core, enhancing tumor

The scans lie on one grid, skull removed, as in BraTS, the Medical Segmentation Decathlon and UPENN-GBM. The network was
trained on generated people and on label maps of 20 real heads, on no image of a person (notebook 06,
scripts/train_tumor_segmentation.py). Not for clinical use."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage
from torch import Tensor, nn

from presimal.data.checks import read_image, refuse
from presimal.resampling import Grid, from_grid, to_grid
from synthcohort import MSD_CONTRASTS
from synthcohort.storage import DataError

from .scans import Device, File, both_sides, largest_piece, pieces, read_scan, ready, write_like

WEIGHTS = "tumor"
SPACING = 2.0  # mm, of the network's grid
CONTRASTS = dict(zip(MSD_CONTRASTS, ("FLAIR", "T1", "T1Gd", "T2"), strict=True))  # key and title
REGIONS = ("whole tumor", "tumor core", "enhancing tumor")  # nested, as the network gives them
LEAST_GAIN = 0.75  # standard deviations by which T1Gd must exceed T1 in what is called enhancing


@dataclass(frozen=True)
class Segmentation:
    """The regions of a glioma, on the grid of the scan."""

    labels: np.ndarray  # (X, Y, Z) uint8: 1 edema, 2 non-enhancing or necrotic, 3 enhancing
    probabilities: np.ndarray  # (3, X, Y, Z) float32, the network's, of REGIONS
    volumes_ml: dict[str, float]  # of REGIONS


def normalize(images: Tensor, brain: Tensor) -> Tensor:
    """Images (N, C, X, Y, Z) with zero mean and unit standard deviation in the brain (N, 1, X, Y, Z), 0 outside."""
    weight = brain = brain.to(images.dtype)
    for _ in range(2):  # the second time without what lies beyond three deviations, as a few bright vessels do
        count = weight.sum((2, 3, 4), keepdim=True).clamp(min=1)
        mean = (images * weight).sum((2, 3, 4), keepdim=True) / count
        sd = (((images - mean) ** 2 * weight).sum((2, 3, 4), keepdim=True) / count).sqrt()
        weight = brain * ((images - mean).abs() < 3 * sd)
    return ((images - mean) / sd.clamp(min=1e-6) * brain).clamp(-5, 8)


def segment(
    scans: File | Sequence[File], out: File | None = None, model: nn.Module | None = None, device: Device = None
) -> Segmentation:
    """Segment one patient from NIfTI files; with `out`, write the labels with the scan's own affine. `scans` are four
    files in the order of CONTRASTS, or one 4-D file whose last axis has that order. Raises DataError, in one sentence,
    for files that are not four images of one stripped brain."""
    files = [Path(scan) for scan in ([scans] if isinstance(scans, (str, Path)) else scans)]
    if out is not None and Path(out).exists():
        refuse(out, "is there already, and nothing is overwritten", "move it, or choose another place")
    found = find_tumor(*_read_contrasts(files), model, device, name=str(files[0]))
    if out is not None:
        write_like(out, found.labels, files[0])
    return found


def find_tumor(
    images: Tensor, affine: np.ndarray, model: nn.Module | None = None, device: Device = None, name: str = "the scan"
) -> Segmentation:
    """The same for images (4, X, Y, Z) in memory; `affine` takes voxels to RAS mm, `name` is used in errors."""
    model, device = ready(model, WEIGHTS, device)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    images, brain = _brain_of(images, voxel_ml, name)
    _check_order(images, brain, name)
    voxels = brain.nonzero().numpy()
    corners = apply_affine(affine, list(product(*zip(voxels.min(0), voxels.max(0), strict=True))))
    low, high = corners.min(0) - 10, corners.max(0) + 10  # mm around the brain
    grid = Grid(tuple(np.ceil((high - low) / SPACING).astype(int).tolist()), SPACING, tuple((low + high) / 2))
    inside = to_grid(brain.float(), affine, grid)[None, None] > 0.5
    x = normalize(torch.stack([to_grid(image, affine, grid) for image in images])[None], inside)
    on_grid = sum(both_sides(model, x, device)) / 2 * inside[0]
    on_grid[2] *= x[0, 2] - x[0, 1] > LEAST_GAIN  # no uptake of gadolinium, no enhancement, whatever the network says
    probabilities = torch.stack([from_grid(region, grid, affine, brain.shape) for region in on_grid]) * brain
    labels = _labels(probabilities.numpy(), voxel_ml)
    volumes = {region: float((labels > k).sum() * voxel_ml) for k, region in enumerate(REGIONS)}
    return Segmentation(labels, probabilities.numpy(), volumes)


def _labels(probabilities: np.ndarray, voxel_ml: float) -> np.ndarray:
    whole, core, enhancing = probabilities > 0.5
    enhancing &= enhancing.sum() * voxel_ml >= 0.5  # less enhancing tumor in all is called none
    numbered, voxels = pieces(whole)
    ml = voxels * voxel_ml
    whole &= (ml >= min(1.0, ml.max()))[numbered]  # smaller pieces are left out; a tumor that is smaller in all stays
    return whole * (np.uint8(1) + (core | enhancing) + enhancing)


def _brain_of(images: Tensor, voxel_ml: float, name: str) -> tuple[Tensor, Tensor]:
    """Images with a background of 0, and the brain (X, Y, Z): what differs from the background anywhere."""
    faces = torch.cat([images.movedim(axis, 1)[:, [0, -1]].flatten(1) for axis in (1, 2, 3)], 1)
    background = faces.median(1).values.view(-1, 1, 1, 1)
    images = images - background
    # A stripped scan has a constant background; one that is not constant is noise, seen on the faces too.
    noise = 10 * (faces - background.flatten(1)).abs().median(1).values
    tiny = torch.maximum(1e-3 * images.flatten(1).abs().amax(1), noise).view(-1, 1, 1, 1)
    inside = (images.abs() > tiny).any(0).numpy()
    if (ml := inside.sum() * voxel_ml) > 2300:
        refuse(name, f"{ml:.0f} ml differ from the background", "remove the skull first, with 'presimal strip'")
    inside = largest_piece(ndimage.binary_opening(ndimage.binary_fill_holes(inside)))
    if (ml := inside.sum() * voxel_ml) < 400:
        refuse(name, f"holds {ml:.0f} ml of brain", "give a whole brain, and see that the voxel size is right")
    return images, torch.from_numpy(inside)


def _check_order(images: Tensor, brain: Tensor, name: str) -> None:
    """Refuse contrasts that fit another order clearly better: of 160 generated patients with contrasts wilder than any
    scanner's one in the right order, all in the order T1, T1Gd, T2, FLAIR, one in three with T1 and T1Gd exchanged."""
    values = images[:, brain][:, :: max(1, int(brain.sum()) // 100_000)].numpy()
    alike = np.corrcoef(values)
    z = (values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)
    exceeds = np.quantile(z[:, None] - z[None], 0.997, axis=2) + 1e-6

    def fit(flair: int, t1: int, t1gd: int, t2: int) -> float:
        """T1 and T1Gd are most alike, then FLAIR; T2 shows fluid bright; vessels are brighter on T1Gd than on T1."""
        score = alike[t1, t1gd] + 0.5 * (alike[flair, t1] + alike[flair, t1gd]) - alike[t1, t2] - alike[t1gd, t2]
        return float(score + 0.3 * np.tanh(np.log(exceeds[t1gd, t1] / exceeds[t1, t1gd])))

    best = max(permutations(range(4)), key=lambda order: fit(*order))
    if fit(*best) > fit(0, 1, 2, 3) + 0.5:
        titles = list(CONTRASTS.values())
        likely = ", ".join(titles[best.index(given)] for given in range(4))
        refuse(name, f"the contrasts look like {likely}", f"give them in the order {', '.join(titles)}")


def _read_contrasts(files: list[Path]) -> tuple[Tensor, np.ndarray]:
    """Images (4, X, Y, Z) of four files, or of one with four volumes, and the affine, voxel to RAS mm."""
    if len(files) == 1:
        values, affine = read_image(files[0], len(CONTRASTS))
        images, sources = torch.from_numpy(np.moveaxis(values, -1, 0).astype(np.float32)), files * len(CONTRASTS)
    elif len(files) == len(CONTRASTS):
        volumes, affines = zip(*map(read_scan, files), strict=True)
        affine, corners = affines[0], np.array([[0, 0, 0], volumes[0].shape])
        for file, volume, other in zip(files, volumes, affines, strict=True):
            same_place = np.allclose(apply_affine(other, corners), apply_affine(affine, corners), atol=0.5)
            if volume.shape != volumes[0].shape or not same_place:
                refuse(file, f"lies on another grid than {files[0]}", "register the four and resample them to one grid")
        images, sources = torch.stack(volumes), files
    else:
        order = ", ".join(CONTRASTS.values())
        raise DataError(f"{len(files)} files were given, four are needed: {order} in this order, or one 4-D file.")
    for file, image in zip(sources, images, strict=True):
        if len(image.flatten()[:: max(1, image.numel() // 200_000)].unique()) < 12:
            refuse(file, "holds labels and no image", "give the scan itself")
    return images, affine
