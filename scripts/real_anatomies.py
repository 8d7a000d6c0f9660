"""Tissue maps from label maps of real heads, in the form of `Cohort.tissue_maps`: labels only, no image.

For `scripts/train_tumor_segmentation.py --anatomies FOLDER`; real_heads.py reads the same files as whole heads. FOLDER
holds label maps (*.nii.gz) with FreeSurfer's numbers; `--anatomies fetch` gets the twenty from which SynthSeg was
trained (https://github.com/BBillot/SynthSeg, data/training_label_maps, Apache-2.0; Billot et al., Med Image Anal
86:102789, 2023; 33 MB), with the checksums of anatomies.csv. The brain is what is labeled as brain, closed by 5 mm;
what lies in its gaps is fluid.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pooch
import torch
import torch.nn.functional as F
from banks import bank
from patients import NAMES
from scipy import ndimage
from torch import Tensor

from brainscans.scans import largest_piece
from synthcohort.cohort import FIELD_OF_VIEW
from synthcohort.storage import DataError, data_folder

COMMIT = "66342c1f05e520f3729a6d7ca1042eb7f01b6266"
ADDRESS = f"https://raw.githubusercontent.com/BBillot/SynthSeg/{COMMIT}/data/training_label_maps/"
PLEXUS = (31, 63, 136, 137, 163, 164)
LABELS = {
    "ventricle": (4, 5, 14, 15, 43, 44, 72, *PLEXUS),
    "cortex": (3, 42, 8, 47),
    "deep": (10, 11, 12, 13, 17, 18, 26, 28, 30, 48, 49, 50, 51, 52, 53, 54, 58, 60, 62),
    "white": (2, 41, 7, 46, 16, 85, 251, 252, 253, 254, 255),
    "lesion": (25, 57, 77, 78, 79),
}
VESSELS = (502, 514)  # arteries, dural veins
CLOSED = 5  # mm, of sulci that belong to the brain
VESSELS_WITHIN = 3  # mm of the brain
EXTENT = FIELD_OF_VIEW["brain"]  # mm


def tissue_maps(file: Path, spacing: float) -> Tensor:
    """Packed maps (len(NAMES), X, Y, Z) uint8 of one head, the brain in the middle."""
    labels = centered(file, EXTENT)
    mask = closed(np.isin(labels, sum(LABELS.values(), ())), CLOSED)
    maps = {name: np.isin(labels, numbers) & mask for name, numbers in LABELS.items()}
    maps["csf"] = mask & ~np.logical_or.reduce(list(maps.values()))
    maps["vessel"] = np.isin(labels, VESSELS) & ndimage.binary_dilation(mask, iterations=VESSELS_WITHIN)
    maps |= {"plexus": np.isin(labels, PLEXUS) & mask, "mask": mask}
    return packed(maps, NAMES, spacing)


def packed(maps: dict[str, np.ndarray], names: tuple[str, ...], spacing: float) -> Tensor:
    """Masks (X, Y, Z) by name, voxels of 1 mm, as packed maps (len(names), X, Y, Z) uint8 of larger voxels; empty where
    a name has none, and without texture."""
    empty = np.zeros_like(maps["mask"])
    volume = torch.from_numpy(np.stack([maps.get(name, empty) for name in names])).float()[None]
    fractions = F.interpolate(volume, [round(length / spacing) for length in empty.shape], mode="area")[0]
    fractions[names.index("residual")] = 0.5  # packed: no texture
    return (fractions * 255).round().byte()


def closed(brain: np.ndarray, width: int) -> np.ndarray:
    """A mask (X, Y, Z), voxels of 1 mm, without gaps narrower than 2 `width` mm or holes; its largest piece."""
    wide = np.pad(brain, width + 3)
    near = ndimage.distance_transform_edt(~wide) <= width
    whole = ndimage.binary_fill_holes((ndimage.distance_transform_edt(near) > width) | wide)
    return largest_piece(whole[(slice(width + 3, -width - 3),) * 3])


def centered(file: Path, extent: tuple[int, ...]) -> np.ndarray:
    """Labels (X, Y, Z), voxels of 1 mm, right-anterior-superior, the brain in the middle of `extent` mm."""
    image = nib.as_closest_canonical(nib.load(file))
    labels = np.asarray(image.dataobj).round().astype(np.int16)
    zoom = nib.affines.voxel_sizes(image.affine)
    if np.abs(zoom - 1).max() > 0.01:
        labels = ndimage.zoom(labels, zoom, order=0)
    voxels = np.argwhere(np.isin(labels, sum(LABELS.values(), ())))
    if not len(voxels):
        raise DataError(f"{file} holds no label of a brain: give label maps with FreeSurfer's numbers.")
    start = ((voxels.min(0) + voxels.max(0)) / 2).round().astype(int) - np.array(extent) // 2
    margin = max(extent)
    return np.pad(labels, margin)[tuple(slice(s + margin, s + margin + n) for s, n in zip(start, extent, strict=True))]


def folder_of(wanted: str) -> Path:
    """The folder named by `--anatomies`, or for "fetch" that of the published maps, downloaded first where need be.

    Raises DataError if the network stands in the way or a file has not its published checksum; what has come is kept.
    """
    if wanted != "fetch":
        return Path(wanted)
    listed = pd.read_csv(Path(__file__).with_name("anatomies.csv"))
    folder = data_folder() / "anatomies"
    maps = pooch.create(folder, ADDRESS, registry=dict(zip(listed.file, listed.sha256, strict=True)))
    print(
        f"{len(listed)} label maps, {listed.bytes.sum() / 1e6:.0f} MB, Apache-2.0, from {ADDRESS} to {folder}",
        flush=True,
    )
    try:
        for name in listed.file:
            maps.fetch(name)
    except (OSError, ValueError) as problem:  # of the network or the disk; of the checksum
        raise DataError(f"{ADDRESS} cannot be had ({problem}): check the network and start again.") from None
    return folder


def load(folder: Path, spacing: float) -> Tensor:
    """Packed maps (N, len(NAMES), X, Y, Z) uint8 of all label maps of a folder; see `read_all`."""
    return read_all("anatomies", folder, spacing, tissue_maps, Path(__file__))


def read_all(name: str, folder: Path, spacing: float, read: Callable[[Path, float], Tensor], *code: Path) -> Tensor:
    """What `read(file, spacing)` makes of each label map of a folder, (N, K, X, Y, Z), made once and kept (banks.py).

    `code` are the files that `read` is written in. Raises DataError if the folder holds no label map, or one that is
    not that of a brain.
    """
    files = sorted(folder.glob("*.nii.gz"))
    if not files:
        raise DataError(
            f"{folder} holds no label maps (*.nii.gz): see scripts/real_anatomies.py for where to get some."
        )
    contents = hashlib.sha256()
    for file in [*files, *code]:  # other labels or another reading of them: another bank
        contents.update(hashlib.sha256(file.read_bytes()).digest())
    settings = {"labels": contents.hexdigest(), "spacing": spacing, "heads": len(files)}

    def make() -> dict[str, Tensor]:
        return {"maps": torch.stack([read(file, spacing) for file in files])}

    return bank(f"{name}-{spacing:g}mm-{len(files)}", settings, make)["maps"]
