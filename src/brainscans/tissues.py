"""Tissues of the brain in a T1, with or without skull, and their volumes; any orientation and voxel size.

    tissues = find_tissues(*read_scan("head.nii.gz"))
    tissues.volumes_ml["ventricle"]

Trained on label maps of real heads in FreeSurfer's terms, painted with any contrast that a T1 may have, on no image
of a person (scripts/train_tissues.py). Not for clinical use."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage
from torch import Tensor, nn

from synthcohort.storage import DataError

from .posture import SPACING as AVERAGE_SPACING
from .refusal import raise_if
from .registration import LEAST_FIT, MOST_TILT, degrees, upright
from .resampling import Grid, to_grid
from .scans import Device, both_sides, ready, rise_inward
from .skull_stripping import BrainMask, above_black, find_brain, oddities

WEIGHTS = "tissues"
SPACING = 2.0  # mm, of the network's grid
MARGIN = 6.0  # mm of the grid around the brain
# Ventricles with their plexus; fluid outside them, within the mask; striatum: caudate, putamen and accumbens; white
# matter of the cerebrum with pallidum and ventral diencephalon; hippocampus with amygdala; stem: midbrain to medulla.
TISSUES = (
    "outside", "ventricle", "fluid", "cortex", "striatum", "thalamus", "hippocampus", "white", "cerebellum", "stem",
)  # fmt: skip
LEAST_RISE = 0.05  # of the signal, inward: T2 and many FLAIR are below 0.01
USUAL_RISE = 0.11  # 0.125 to 0.28 in T1 of 26 people, 0.05 to 0.27 where there is a glioma, 0.05 to 0.11 in other FLAIR
BLOCK = 16.0  # mm
MOST_ASYMMETRY = 0.115  # 0.037 to 0.107 in these people, 0.06 to 0.22 in six people with gliomas
LEAST_AGREEMENT = 0.93  # of what is found in a scan and in its mirror image: 0.945 to 0.958, and 0.882 to 0.952


@dataclass(frozen=True)
class Tissues:
    """What a brain is made of."""

    fractions: Tensor  # (len(TISSUES), X, Y, Z), of each voxel of the grid; they add up to 1
    grid: Grid  # on which the head lies straight, however it lay in the scanner
    movement: np.ndarray  # (4, 4) of RAS mm, from the scan to the grid
    brain: BrainMask  # on the grid of the scan
    fluid: float  # mean signal of what was found as fluid, as a fraction of that of white matter
    agreement: float  # of what is found in the scan and in its mirror image, 0 to 1
    warnings: list[str]

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Volumes in ml by the names of TISSUES, without "outside"."""
        ml = (self.fractions[1:].sum((1, 2, 3)) * self.grid.spacing**3 / 1000).tolist()
        return dict(zip(TISSUES[1:], ml, strict=True))


def normalize(images: Tensor) -> Tensor:
    """Images (N, 1, X, Y, Z), 0 outside, over the 85th percentile of what is not 0, about white matter; at most 2."""
    scale = []
    for image in images:
        inside = image[image > 0]
        inside = inside[:: max(1, len(inside) // 50_000)]
        scale.append(max(float(inside.quantile(0.85)), 1e-6) if len(inside) else 1.0)
    return (images / images.new_tensor(scale).view(-1, 1, 1, 1, 1)).clamp(0, 2)


def ask(model: nn.Module, image: Tensor, device: torch.device) -> tuple[Tensor, float]:
    """Fractions (len(TISSUES), X, Y, Z) in an image (1, 1, X, Y, Z), mean of both sides, and their likeness, 0 to 1."""
    straight, mirrored = both_sides(model, image, device, partial(torch.softmax, dim=1))
    fractions = (straight + mirrored) / 2
    return fractions, float(torch.minimum(straight, mirrored)[1:].sum() / fractions[1:].sum().clamp(min=1e-6))


def fluid_signal(fractions: Tensor, image: Tensor) -> float:
    """Mean signal of an image (X, Y, Z) in fluid, as a fraction of that in white matter; infinite without this."""
    means = (fractions * image).sum((1, 2, 3)) / fractions.sum((1, 2, 3)).clamp(min=1e-6)
    return float(means[TISSUES.index("fluid")] / means[TISSUES.index("white")])


def find_tissues(volume: Tensor, affine: np.ndarray, model: nn.Module | None = None, device: Device = None) -> Tissues:
    """The tissues in a T1 (X, Y, Z) whose `affine` takes voxels to RAS mm. DataError if it shows no brain, or no T1."""
    model, device = ready(model, WEIGHTS, device)
    brain = find_brain(volume, affine, device=device)
    stripped = torch.where(torch.from_numpy(brain.mask), above_black(volume), 0.0)
    rough = grid_around(brain.mask, affine, AVERAGE_SPACING)
    movement, fit = upright(normalize(to_grid(stripped, affine, rough)[None, None])[0, 0], rough)
    place = movement @ affine
    grid = grid_around(brain.mask, place, SPACING)
    image = normalize(to_grid(stripped, place, grid)[None, None])
    inside = to_grid(torch.from_numpy(brain.mask).float(), place, grid).numpy() > 0.5
    rise = rise_inward(image[0, 0].numpy(), inside, SPACING)
    other = "This does not look like a T1, where white matter is brighter than cortex: give a T1-weighted scan."
    raise_if(rise < LEAST_RISE, other, DataError)
    fractions, agreement = ask(model, image, device)
    warnings = oddities(volume, affine, brain.mask)
    if fit < LEAST_FIT:
        warnings.append("it is not like the average brain: is it a whole head, and of an adult?")
    elif (tilt := degrees(movement)) > MOST_TILT:
        warnings.append(f"the head is tilted by {tilt:.0f} degrees: volumes, and the age, are less certain")
    if rise < USUAL_RISE:
        warnings.append("white matter is hardly brighter than cortex: is it a T1, and without contrast agent?")
    if asymmetry(fractions, grid) > MOST_ASYMMETRY:
        warnings.append("one side of the brain differs from the other: is there a tumor or a large lesion?")
    if agreement < LEAST_AGREEMENT:
        warnings.append("a scan and its mirror image are read differently: is there a tumor, or is it no T1?")
    return Tissues(fractions, grid, movement, brain, fluid_signal(fractions, image[0, 0]), agreement, warnings)


def grid_around(mask: np.ndarray, affine: np.ndarray, spacing: float) -> Grid:
    """The grid of `spacing` mm around a mask (X, Y, Z), with MARGIN."""
    surface = apply_affine(affine, np.argwhere(mask & ~ndimage.binary_erosion(mask)))
    low, high = surface.min(0) - MARGIN, surface.max(0) + MARGIN
    x, y, z = np.ceil((high - low) / spacing).astype(int).tolist()
    return Grid((x, y, z), spacing, tuple((low + high) / 2))


def asymmetry(fractions: Tensor, grid: Grid) -> float:
    """The part of tissues (len(TISSUES), X, Y, Z), 0 to 1, in blocks of BLOCK mm, the other side of x = 0 lacks."""
    place = np.asarray(grid.affine)
    corner = np.abs(apply_affine(place, np.array(list(np.ndindex(2, 2, 2))) * grid.shape))
    x, y, z = (2 * np.ceil(corner.max(0) / BLOCK).astype(int)).tolist()
    blocks = Grid((x, y, z), BLOCK, (0.0, 0.0, 0.0))
    own = torch.stack([to_grid(part, place, blocks) for part in fractions[1:]])
    return float(1 - torch.minimum(own, own.flip(1)).sum() / own.sum().clamp(min=1e-6))
