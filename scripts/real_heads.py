"""Whole heads from label maps of real people, in the form of `Cohort.tissue_maps`: labels only, no image.

For `scripts/train_skull_stripping.py --anatomies FOLDER`; real_anatomies.py says where the label maps come from. What
lies round the brain has numbers of 502 and above in them.

The mask is what is labeled as brain, closed by 6 mm, and the fluid within BORDER of it (around_the_brain.py widens it).
"""

from pathlib import Path

import numpy as np
import real_anatomies
import torch
from real_anatomies import LABELS, VESSELS
from scipy import ndimage
from torch import Generator, Tensor

from brainscans.scans import largest_piece
from synthcohort.cohort import FIELD_OF_VIEW
from synthcohort.fields import noise_field, soft_step, uniform
from synthcohort.tissue_maps import BRAIN, OUTSIDE

NAMES = (*BRAIN, *OUTSIDE, "vessel", "residual", "mask", "seen")  # those of a generated head
SOFT = ("soft", "scalp")  # fat and muscle, which the labels do not tell apart, and which of it lies under the skin
FLUID = 24
BRAIN_STEM, CORD, CEREBELLUM = 16, 512, (7, 8, 46, 47)
BELOW_CEREBELLUM = 6  # mm, where the foramen magnum is
AROUND = {"bone": (515,), "marrow": (516,), "eye": (506,), "nerve": (CORD, 530), "muscle": (508, 509, 511)}
FAT_AND_MUSCLE = 507
CLOSED = 6  # mm, of sulci that belong to the brain
BORDER = 1.2  # mm of fluid round it; the cortex of label maps is a little thin
UNDER_SKIN = 7.0  # mm from the air
EXTENT = FIELD_OF_VIEW["head"]  # mm


def tissue_maps(file: Path, spacing: float) -> Tensor:
    """Packed maps (len(NAMES) + 2, X, Y, Z) uint8 of one head, the brain in the middle: those of NAMES and SOFT."""
    whole = tuple(round(round(length / spacing) * spacing) for length in EXTENT)  # in whole voxels, as generated heads
    labels = real_anatomies.centered(file, whole)
    lowest = np.argwhere(np.isin(labels, CEREBELLUM))[:, 2].min(initial=labels.shape[2])
    below = labels[:, :, : max(0, lowest - BELOW_CEREBELLUM)]
    below[below == BRAIN_STEM] = CORD  # some are labeled brain stem far into the neck
    brain = np.isin(labels, sum(LABELS.values(), ()))
    fluid = np.isin(labels, (FLUID, *VESSELS)) | (labels == 0)
    mask = real_anatomies.closed(brain, CLOSED) & (brain | fluid)
    near = ndimage.distance_transform_edt(~mask) <= BORDER
    mask = largest_piece(mask | near & np.isin(labels, (FLUID, *VESSELS)))
    maps = {name: np.isin(labels, numbers) & mask for name, numbers in LABELS.items()}
    maps |= {name: np.isin(labels, numbers) & ~mask for name, numbers in AROUND.items()}
    vessel = np.isin(labels, VESSELS)
    soft = (labels == FAT_AND_MUSCLE) & ~mask
    head = ndimage.binary_fill_holes(labels > 0)
    depth = ndimage.distance_transform_edt(np.pad(head, 1, mode="edge"))[1:-1, 1:-1, 1:-1]
    maps |= {"soft": soft, "scalp": soft & (depth < UNDER_SKIN), "mask": mask, "vessel": vessel}
    maps["csf"] = (mask | (labels == FLUID) | vessel) & ~np.logical_or.reduce([maps[name] for name in LABELS])
    maps["air"] = head & (labels == 0) & ~mask
    maps["seen"] = np.ones_like(mask)
    return real_anatomies.packed(maps, (*NAMES, *SOFT), spacing)


def load(folder: Path, spacing: float) -> Tensor:
    """Packed maps (N, len(NAMES) + 2, X, Y, Z) uint8 of all label maps of a folder; see real_anatomies.read_all."""
    return real_anatomies.read_all("heads", folder, spacing, tissue_maps, Path(__file__), Path(real_anatomies.__file__))


def with_fat(maps: Tensor, spacing: float, generator: Generator) -> Tensor:
    """Packed maps (N, len(NAMES), X, Y, Z) of NAMES, SOFT divided into muscle and fat, in streaks and under skin."""
    soft, scalp = (maps[:, -2:].float()).unbind(1)
    level, under = 1.6 * uniform(generator, 2, len(maps), 1, 1, 1)
    streaks = soft_step(noise_field(generator, soft, 14.0, spacing) - level, 0.3)
    fat = torch.maximum(soft * streaks, scalp * under.clamp(max=1))
    maps = maps[:, :-2].clone()
    maps[:, NAMES.index("fat")] = fat.round().byte()
    maps[:, NAMES.index("muscle")] += (soft - fat.round()).clamp(min=0).byte()
    return maps
