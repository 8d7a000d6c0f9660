"""Tumor segmentation of one's own scans: four contrasts in, regions and their volumes out.

    found = segment(["flair.nii.gz", "t1.nii.gz", "t1gd.nii.gz", "t2.nii.gz"], "labels.nii.gz")
    found.volumes_ml                       # whole tumor, tumor core, enhancing tumor, each with an interval

Contrasts may be left out, have their skull and lie on grids of their own. The network was trained on generated people
and label maps of 20 real heads, on no image of a person (scripts/train_tumor_segmentation.py). Not for clinical use."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from nibabel.affines import apply_affine, from_matvec
from torch import Tensor, nn

from .contrasts import COVERED, TITLES, brain_of, check_names, check_order, read_contrasts
from .interval import Interval
from .networks.normalization import normalize
from .one_head import check_one_head
from .refusal import ScanWarning
from .resampling import Grid, from_grid, to_grid
from .scans import Device, File, both_sides, pieces, ready
from .writing import check_place, image_like, write

WEIGHTS = "tumor"
SPACING, AROUND = 2.0, 10  # mm, of the network's grid, and by how much it is wider than the brain on all sides
# The answer is a mean over grids of so many times SPACING: their parts of each of REGIONS. The coarsest rubs thin rims
# out and has no say in what enhances; the last one is that of the checks.
PARTS = {1.15: (1 / 3, 1 / 3, 0.0), 0.875: (1 / 3, 1 / 3, 1 / 2), 1.0: (1 / 3, 1 / 3, 1 / 2)}
REGIONS = ("whole tumor", "tumor core", "enhancing tumor")  # nested, as the network gives them
LEAST_GAIN = 0.75  # standard deviations by which T1Gd must exceed T1 in what is called enhancing
BRIGHTEST_TUMOR = 2.5  # standard deviations on T2, beyond which it is taken for fluid
LEAST_ML = 1.0  # smaller pieces of tumor are left out
WHOLE = 0.4  # probability from which tumor is shown: at 0.5 its edge, and with two contrasts one in eight, was left out
SURE, PERHAPS = 0.95, 0.05  # probabilities within which volumes are counted for the interval
LABELS_SIZE = 2**20  # bytes: more than compressed labels take
NUMBERS = {"msd": (0, 1, 2, 3), "brats": (0, 2, 1, 3)}  # of background, edema, non-enhancing, enhancing


@dataclass(frozen=True)
class Segmentation:
    """The regions of a glioma, on the grid of the scan."""

    labels: np.ndarray  # (X, Y, Z) uint8: 1 edema, 2 non-enhancing or necrotic, 3 enhancing
    probabilities: np.ndarray  # (3, X, Y, Z) float32, the network's, of REGIONS
    volumes_ml: dict[str, Interval]  # of REGIONS: from what is surely tumor to what is perhaps one


def segment(
    scans: File | Sequence[File] | Mapping[str, File], out: File | None = None, model: nn.Module | None = None,
    device: Device = None, numbers: str = "msd",
) -> Segmentation:  # fmt: skip
    """Segment one patient from NIfTI files, given as for `read_contrasts`; with `out`, write the labels, in NUMBERS, on
    the grid of the scan with the finest voxels. Raises DataError, in one sentence, for files that are not images of
    one brain, and if `out` is there already."""
    if out is not None:  # before scans on other grids are registered, which takes a minute
        check_place(Path(out), LABELS_SIZE)
    images, affine, file = read_contrasts(scans)
    found = find_tumor(images, affine, model, device, name=str(file))
    if out is not None:
        write({Path(out): image_like(np.array(NUMBERS[numbers], np.uint8)[found.labels], file)})
    return found


def find_tumor(
    images: Tensor, affine: np.ndarray, model: nn.Module | None = None, device: Device = None, name: str = "the scan"
) -> Segmentation:
    """Segment images (4, X, Y, Z), 0 where one is left out; `affine`: voxels to RAS mm. Errors begin with `name`."""
    model, device = ready(model, WEIGHTS, device)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    given = images.flatten(1).any(1)
    images, brain = brain_of(images, affine, name, device)
    voxels = brain.nonzero().numpy()
    start, stop = voxels.min(0), voxels.max(0) + 1  # of the brain, which is small in its scan
    box, around = tuple(map(slice, start, stop)), np.stack([start, brain.shape - stop], 1)
    images, brain, affine = images[:, *box], brain[box], affine @ from_matvec(np.eye(3), start)
    corners = apply_affine(affine, list(product(*((0, length - 1) for length in brain.shape))))
    low, high = corners.min(0) - AROUND, corners.max(0) + AROUND
    probabilities, shown = torch.zeros(len(REGIONS), *brain.shape), given.nonzero().flatten().tolist()
    for scale, parts in PARTS.items():
        size = np.ceil((high - low) / (scale * SPACING)).astype(int)
        grid = Grid(tuple(size.tolist()), scale * SPACING, tuple((low + high) / 2))
        inside = to_grid(brain.float(), affine, grid)[None, None] > 0.5
        resampled = torch.stack([to_grid(image, affine, grid) for image in images])
        x = normalize(resampled[None], inside)
        for k, region in enumerate(_regions(x, inside[0], given, model, device)):
            probabilities[k] += parts[k] * from_grid(region, grid, affine, brain.shape) * brain
    named = {title: x[0, k].numpy() for k, title in enumerate(TITLES.values()) if k in shown}
    check_one_head(named, inside[0, 0].numpy(), SPACING, name)
    for title, seen in zip(TITLES.values(), images[:, brain] != 0, strict=True):
        if 0 < (covered := float(seen.float().mean())) < COVERED:
            warnings.warn(f"{name}: {title} covers {covered:.0%} of the brain only", ScanWarning, stacklevel=2)
    healthy = brain & (probabilities[0] < 0.5)
    healthy = healthy if healthy.sum() > brain.sum() / 3 else brain
    if given.all():
        check_order(images, healthy, name)
    seen, ordinary = inside[0, 0] & (resampled[shown] != 0).all(0), to_grid(healthy.float(), affine, grid).numpy() > 0.5
    check_names(x[0], seen, ordinary, shown, SPACING, name)
    labels = _labels(probabilities.numpy(), voxel_ml)
    volumes: dict[str, Interval] = {}
    for k, (region, p) in enumerate(zip(REGIONS, probabilities.numpy(), strict=True)):
        counts = (labels > k).sum(), ((labels > k) & (p > SURE)).sum(), ((labels > k) | (p > PERHAPS)).sum()
        volumes[region] = Interval(*(float(count * voxel_ml) for count in counts))
    return Segmentation(np.pad(labels, around), np.pad(probabilities.numpy(), [(0, 0), *around]), volumes)


def _regions(x: Tensor, inside: Tensor, given: Tensor, model: nn.Module, device: torch.device) -> Tensor:
    """Probabilities (3, X, Y, Z) of REGIONS in images x (1, 4, X, Y, Z), of which those `given` (4,) are there."""
    # What is left out has a stand-in, else most tumors were not found: T2 with its fluid dark for FLAIR, T1 for T1Gd.
    flair = x[:, 0] if given[0] else x[:, 3].where(x[:, 3] < BRIGHTEST_TUMOR, -1.0)
    t1gd = x[:, 2] if given[2] else x[:, 1]

    def ask(t1gd: Tensor) -> Tensor:
        return sum(both_sides(model, torch.stack([flair, x[:, 1], t1gd, x[:, 3]], 1), device)) / 2 * inside

    found, gain = ask(t1gd), t1gd[0] - x[0, 1]
    if given[1:3].all() and (tumor := found[0] > 0.5).any():
        # Faint uptake is seen by asking for the core once more, with twice the gain within what was found.
        found[1:] = ask((t1gd + gain * tumor).clamp(-5, 8))[1:]
        found[2] *= gain > LEAST_GAIN  # no uptake of gadolinium, no enhancement, whatever the network says
    found[2] *= given[2]
    return found


def _labels(probabilities: np.ndarray, voxel_ml: float) -> np.ndarray:
    whole, core, enhancing = probabilities[0] > WHOLE, probabilities[1] > 0.5, probabilities[2] > 0.5
    enhancing &= enhancing.sum() * voxel_ml >= 0.5  # less enhancing tumor in all is called none
    numbered, voxels = pieces(whole)
    whole &= (voxels * voxel_ml >= LEAST_ML)[numbered]
    return whole * (np.uint8(1) + (core | enhancing) + enhancing)
