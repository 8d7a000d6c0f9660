"""One's own scans as files, connected pieces of their masks, and what a network says of a scan and its mirror image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from . import compute, networks
from .reading import read_image

File = Path | str
Device = torch.device | str | None
SHALLOW, DEEP = (4.0, 8.0), (14.0, 22.0)  # mm below the surface of the brain: cortex and fluid, white matter


def read_scan(file: File, image: Any = None) -> tuple[Tensor, np.ndarray]:
    """Voxels (X, Y, Z) float32, scaled as the header says, and the affine, voxel to RAS mm; else as `read_image`."""
    values, affine = read_image(file, image=image)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)), affine


def faces(images: Tensor) -> Tensor:
    """The values (C, N) on the six sides of images (C, X, Y, Z)."""
    return torch.cat([images.movedim(axis, 1)[:, [0, -1]].flatten(1) for axis in (1, 2, 3)], 1)


def pieces(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of a mask (X, Y, Z), connected by faces, numbered from 1, and the voxels of each number (none for 0)."""
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


def rise_inward(image: np.ndarray, inside: np.ndarray, spacing: float) -> float:
    """How much brighter an image (X, Y, Z), in voxels of `spacing` mm, is deep inside a brain than near its surface, in
    units of the image; 0 if the brain is not that deep."""
    depth = ndimage.distance_transform_edt(inside, sampling=spacing)
    shallow, deep = (image[(depth > near) & (depth <= far)] for near, far in (SHALLOW, DEEP))
    return float(np.median(deep) - np.median(shallow)) if len(deep) and len(shallow) else 0.0


def ready(model: nn.Module | None, weights: str, device: Device) -> tuple[nn.Module, torch.device]:
    """A network, or the shipped one, in evaluation mode on the device to compute on."""
    device = compute.device(device)
    return (networks.load(weights)[0] if model is None else model).to(device).eval(), device


@torch.no_grad()
def both_sides(
    model: nn.Module, x: Tensor, device: torch.device, activation: Callable[[Tensor], Tensor] = torch.sigmoid
) -> tuple[Tensor, Tensor]:
    """Probabilities (R, X, Y, Z), on the CPU, for x (1, C, X, Y, Z), and for its mirror image, mirrored back;
    `activation` makes them of logits (1, R, X, Y, Z)."""
    with compute.autocast(device):
        straight, mirrored = (activation(model(one.to(device)).float())[0].cpu() for one in (x, x.flip(2)))
    return straight, mirrored.flip(1)
