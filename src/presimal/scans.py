"""One's own scans: from a file of any orientation and voxel size onto a network's grid, and back.

A grid is an axis-aligned box in RAS millimetres: `shape` voxels of `spacing` mm round `centre`. Going
there, a voxel of the grid is the mean of what lies in it (else thin structures would come and go);
coming back, probabilities are interpolated at the voxels of the scan, so that a mask has the scan's own
affine and shape.
"""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F

from presimal.checks import read, refuse
from presimal.storage import write


@dataclass(frozen=True)
class Box:
    """A grid: `shape` voxels of `spacing` mm, axes right-anterior-superior, round `centre` (RAS mm)."""

    shape: tuple[int, int, int]
    spacing: float
    centre: tuple[float, float, float]

    @property
    def affine(self) -> np.ndarray:
        """Voxel indices to RAS mm, (4, 4)."""
        affine = np.diag([self.spacing] * 3 + [1.0])
        affine[:3, 3] = np.array(self.centre) - (np.array(self.shape) - 1) / 2 * self.spacing
        return affine


def read_scan(file: Path | str) -> tuple[torch.Tensor, np.ndarray]:
    """Voxels (X, Y, Z) float32 as stored, and the affine, voxel to RAS mm. One volume in 4-D is taken.

    Raises DataError for what is no such image: unreadable, not one volume, NaN, constant, no geometry.
    """
    values, affine = read(file)
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3 or min(values.shape) < 8:
        refuse(file, f"has shape {values.shape}, not one volume", "store one volume per file")
    if values.dtype.kind not in "iuf":
        refuse(file, f"holds values of type {values.dtype}", "store real numbers")
    if not np.isfinite(values).all():
        refuse(file, "holds NaN or infinite voxels", "repair the export")
    if values.min() == values.max():
        refuse(file, "has one value everywhere", "export it again")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        refuse(file, "has an affine that cannot be inverted", "set the orientation in its header")
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)), affine


def to_box(volume: torch.Tensor, affine: np.ndarray, box: Box) -> torch.Tensor:
    """A scan (X, Y, Z) resampled onto a box, float32; zero outside the scan."""
    finest = float(np.linalg.norm(affine[:3, :3], axis=0).min())
    parts = max(1, round(box.spacing / finest))  # samples per voxel and axis, averaged
    parts = min(parts, 4)
    fine = Box(tuple(n * parts for n in box.shape), box.spacing / parts, box.centre)
    sampled = _sample(volume.float(), np.linalg.inv(affine) @ fine.affine, fine.shape, "zeros")
    return F.avg_pool3d(sampled[None, None], parts)[0, 0]


def from_box(values: torch.Tensor, box: Box, affine: np.ndarray, shape: tuple[int, int, int]) -> torch.Tensor:
    """What a network said on a box, trilinearly at the voxels of a scan; 0 outside the box."""
    return _sample(values.float(), np.linalg.inv(box.affine) @ affine, shape, "zeros")


def _sample(volume: torch.Tensor, matrix: np.ndarray, shape: tuple[int, int, int], padding: str) -> torch.Tensor:
    """`volume` at the indices that `matrix` (4, 4) gives for every voxel of `shape`."""
    # grid_sample wants -1 to 1 over the extent, with the last axis of the volume first.
    size = np.array(volume.shape, dtype=float)
    normalise = np.diag([*(2 / (size - 1)), 1.0])
    normalise[:3, 3] = -1
    here = np.diag([*((np.array(shape) - 1) / 2), 1.0])  # of affine_grid's -1 to 1, to indices
    here[:3, 3] = (np.array(shape) - 1) / 2
    theta = (normalise @ matrix @ here)[[2, 1, 0]][:, [2, 1, 0, 3]]
    theta = torch.tensor(theta, dtype=torch.float32, device=volume.device)[None]
    grid = F.affine_grid(theta, (1, 1, *shape), align_corners=True)
    return F.grid_sample(volume[None, None], grid, "bilinear", padding, align_corners=True)[0, 0]


def write_like(file: Path | str, values: np.ndarray, like: Path | str) -> Path:
    """Write a NIfTI with the header geometry of another file, in one move. Returns its path.

    Shape and affine (qform, sform, codes, units) are those of `like`; the data type is that of `values`.
    """
    source = nib.load(like)
    values = values.reshape(source.shape)
    header = nib.Nifti1Header() if not isinstance(source.header, nib.Nifti1Header) else source.header.copy()
    image = nib.Nifti1Image(values, source.affine, header)
    image.header.set_data_dtype(values.dtype)
    image.header.set_slope_inter(1, 0)
    write(Path(file), _gzipped(image) if str(file).endswith(".gz") else image.to_bytes())
    return Path(file)


def _gzipped(image: nib.Nifti1Image) -> bytes:
    import gzip

    return gzip.compress(image.to_bytes(), compresslevel=4, mtime=0)
