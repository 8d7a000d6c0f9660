"""Connected pieces of masks; voxels are connected by their faces."""

import numpy as np
from scipy import ndimage


def pieces(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The connected pieces of a mask (X, Y, Z), numbered from 1, and the voxels of each number (0 for number 0)."""
    numbered, _ = ndimage.label(mask)
    voxels = np.bincount(numbered.ravel())
    voxels[0] = 0
    return numbered, voxels


def largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece of a mask; an empty mask stays empty."""
    numbered, voxels = pieces(mask)
    return mask & (numbered == voxels.argmax())


def without_holes(mask: np.ndarray) -> np.ndarray:
    """A mask with what its outside cannot reach filled in."""
    return ~largest_piece(~np.pad(mask, 1))[1:-1, 1:-1, 1:-1]
