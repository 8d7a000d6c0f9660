"""One's own scans: from a file of any orientation and voxel size onto a network's grid, and back.

A grid is an axis-aligned box in RAS millimetres: `shape` voxels of `spacing` mm round `centre`. Going
there, fine voxels are averaged (else thin structures would come and go); coming back, probabilities are
interpolated at the voxels of the scan, so that a mask has the scan's own affine and shape.
"""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F

from presimal.data.checks import read_image
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
    values, affine = read_image(file)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)), affine


def to_box(volume: torch.Tensor, affine: np.ndarray, box: Box) -> torch.Tensor:
    """A scan (X, Y, Z) resampled onto a box, float32; zero outside the scan.

    Voxels finer than those of the box are averaged first, whole groups of them, then interpolated.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    group = [max(1, int(box.spacing / length + 1e-3)) for length in spacing]
    coarse = F.avg_pool3d(volume.float()[None, None], group, ceil_mode=True)[0, 0]
    centres = np.diag([*group, 1.0])  # of the groups, in voxels of the scan
    centres[:3, 3] = (np.array(group) - 1) / 2
    return _sample(coarse, np.linalg.inv(affine @ centres) @ box.affine, box.shape)


def from_box(values: torch.Tensor, box: Box, affine: np.ndarray, shape: tuple[int, int, int]) -> torch.Tensor:
    """What a network said on a box, trilinearly at the voxels of a scan; 0 where it said 0, and outside."""
    result = values.new_zeros(shape, dtype=torch.float32)
    said = values.nonzero()
    if not len(said):
        return result
    # Only the part of the scan in which anything was said: a small one in a large scan.
    low, high = said.amin(0).tolist(), said.amax(0).tolist()
    corners = np.array(np.meshgrid(*zip([n - 1 for n in low], [n + 1 for n in high]))).reshape(3, -1)
    to_scan = np.linalg.inv(affine) @ box.affine
    reached = to_scan[:3, :3] @ corners + to_scan[:3, 3:]
    start = np.clip(np.floor(reached.min(1)).astype(int), 0, shape)
    end = np.clip(np.ceil(reached.max(1)).astype(int) + 1, start, shape)
    if (end == start).any():
        return result
    shifted = np.eye(4)
    shifted[:3, 3] = start
    part = _sample(values.float(), np.linalg.inv(to_scan) @ shifted, tuple((end - start).tolist()))
    result[tuple(slice(*ends) for ends in zip(start.tolist(), end.tolist()))] = part
    return result


def _sample(volume: torch.Tensor, matrix: np.ndarray, shape: tuple[int, int, int]) -> torch.Tensor:
    """`volume` at the indices that `matrix` (4, 4) gives for every voxel of `shape`."""
    # grid_sample wants -1 to 1 over the extent, with the last axis of the volume first.
    size = np.maximum(volume.shape, 2).astype(float)  # a single voxel has no extent
    normalise = np.diag([*(2 / (size - 1)), 1.0])
    normalise[:3, 3] = -1
    here = np.diag([*((np.array(shape) - 1) / 2), 1.0])  # of affine_grid's -1 to 1, to indices
    here[:3, 3] = (np.array(shape) - 1) / 2
    theta = (normalise @ matrix @ here)[[2, 1, 0]][:, [2, 1, 0, 3]]
    theta = torch.tensor(theta, dtype=torch.float32, device=volume.device)[None]
    grid = F.affine_grid(theta, (1, 1, *shape), align_corners=True)
    return F.grid_sample(volume[None, None], grid, "bilinear", "zeros", align_corners=True)[0, 0]


def write_like(file: Path | str, values: np.ndarray, like: Path | str, scaling: bool = False) -> Path:
    """Write a NIfTI with the geometry of another file, in one move. Returns its path.

    Shape and affine (qform, sform, codes, units) are those of `like`, or of one volume of it where it has
    several; the data type is that of `values`.
    With `scaling`, `values` are numbers as `like` stores them, and its slope and intercept are kept.
    """
    source = nib.load(like)
    is_nifti = isinstance(source, nib.Nifti1Image)  # NIfTI-2 too
    kind, header = (type(source), source.header) if is_nifti else (nib.Nifti1Image, None)
    shape = source.shape if values.size == np.prod(source.shape) else source.shape[:3]
    image = kind(values.reshape(shape), source.affine, header)
    image.set_data_dtype(values.dtype)
    image.header["cal_min"] = image.header["cal_max"] = 0  # the display range of the other image
    image.header.set_slope_inter(1, 0)
    content = image.to_bytes()
    if scaling and is_nifti:
        written = kind.header_class.from_fileobj(io.BytesIO(content))
        written["scl_slope"], written["scl_inter"] = source.dataobj.slope, source.dataobj.inter
        content = written.binaryblock + content[len(written.binaryblock) :]
    if str(file).endswith(".gz"):
        content = gzip.compress(content, compresslevel=4, mtime=0)
    write(Path(file), content)
    return Path(file)
