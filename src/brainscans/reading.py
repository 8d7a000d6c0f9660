"""The one door through which images come in: what is wrong with a file is said in one sentence, or it is a volume."""

import zlib
from pathlib import Path
from typing import NoReturn

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from synthcohort.storage import DataError


def refuse(file: Path | str, problem: str, remedy: str) -> NoReturn:
    """Raises DataError with one sentence that names the file, the problem and the remedy."""
    raise DataError(f"{file}: {problem}; {remedy}.")


def refuse_if(found: object, file: Path | str, problem: str, remedy: str) -> None:
    """Refuse a file for what has been found, if anything; the first entry of a list takes the place of {}."""
    if found:
        refuse(file, problem.format(found[0]) if isinstance(found, list) else problem, remedy)


def read(file: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Values as stored (scaled if the header says so) and affine, voxel to RAS mm; DataError if it cannot be read."""
    try:
        image = nib.load(file)
        values = np.asanyarray(image.dataobj)
    except (OSError, EOFError, zlib.error, ValueError, nib.filebasedimages.ImageFileError):
        refuse(file, "is cut short, damaged or not a NIfTI image", "copy or download it again")
    return values, image.affine


def read_image(file: Path | str, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (X, Y, Z), or (X, Y, Z, channels) for several, as stored, and the affine, voxel to RAS mm. DataError for
    what is no such image: unreadable, another shape (one volume in 4-D is taken), NaN, constant, no geometry."""
    values, affine = read(file)
    if channels == 1 and values.shape[3:] == (1,):
        values = values[..., 0]
    shape, spacing, several = f"has shape {values.shape}", voxel_sizes(affine), channels > 1
    refuse_if(not several and values.ndim != 3, file, f"{shape}, not one volume", "store one volume per file")
    lacking = f"{shape}, not (X, Y, Z, {channels}): a modality is missing"
    remedy = "stack all modalities in one file, in their order"
    refuse_if(several and values.shape[3:] != (channels,), file, lacking, remedy)
    refuse_if(min(values.shape[:3]) < 8, file, f"{shape}, a slice and no volume", "store the whole volume")
    refuse_if(values.dtype.kind not in "iuf", file, f"holds values of type {values.dtype}", "store real numbers")
    finite, which = np.isfinite(values).all(), "modality {}" if several else "the volume"
    refuse_if(not finite, file, "holds NaN or infinite voxels", "repair the export, or leave the case out")
    constant = list(np.flatnonzero(np.ptp(values, axis=(0, 1, 2)) == 0))
    refuse_if(constant, file, f"{which} has one value everywhere", "export it again or leave it out")
    flat = not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9
    refuse_if(flat, file, "has an affine that cannot be inverted", "set the orientation in its header")
    odd, shown = spacing.clip(0.1, 20.0) != spacing, " x ".join(f"{length:.3g}" for length in spacing)
    refuse_if(odd.any(), file, f"has voxels of {shown} mm", "correct the unit in its header to millimeters")
    return values, affine
