"""Randomness that never shifts: one stream per person and purpose, and smooth fields from it.

A stream is a CPU generator seeded with a hash of (cohort seed, kind, number of the person, purpose): a new purpose
changes no old one, and nobody depends on who else is in the batch. Smooth fields are cubic B-splines on a lattice in
millimeters, the same at every voxel size and field of view; `noise_field` is the quick kind for one batch on one grid.
"""

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Number = TypeVar("Number", float, Tensor)
LATTICE_HALF_WIDTH = (125.0, 140.0, 125.0)  # mm from the center of the field of view, x y z
SPLINE_SD = (151 / 315) ** 1.5  # of a cubic B-spline in 3-D with unit normal coefficients
NOISE_SD = 0.55  # of trilinearly interpolated normal noise: about half of the variance goes


def stream(seed: int, kind: str, number: int, purpose: str) -> Generator:
    """The random stream of one person for one purpose, always in the same state at its start."""
    key = f"{int(seed)}/{kind}/{int(number)}/{purpose}".encode()
    return Generator().manual_seed(int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little"))


def normal(generator: Generator, *shape: int) -> Tensor:
    """Standard normal numbers, float32, on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device)


def uniform(generator: Generator, *shape: int) -> Tensor:
    """Numbers spread evenly between 0 and 1, float32, on the device of the generator."""
    return torch.rand(shape, generator=generator, device=generator.device)


def chance(generator: Generator, probability: float, *shape: int) -> Tensor:
    """True with a probability."""
    return uniform(generator, *shape) < probability


def soft_step(x: Tensor, edge: float | Tensor) -> Tensor:
    """0 far below zero, 1 far above, with a transition of about `edge` in the unit of `x`."""
    return torch.sigmoid(x / edge)


def above(x: Tensor, step: tuple[float, float]) -> Tensor:
    """0 below a threshold, 1 above it; `step` is the threshold and the width of the transition, in the unit of `x`."""
    return soft_step(x - step[0], step[1])


def below(x: Tensor, step: tuple[float, float]) -> Tensor:
    """1 below a threshold and 0 above it, see `above`."""
    return soft_step(step[0] - x, step[1])


def between(limits: tuple[float, float], u: Number) -> Number:
    """From the first of two limits to the second, as `u` goes from 0 to 1."""
    return limits[0] + (limits[1] - limits[0]) * u


def per_person(values: Tensor | Sequence[float], device: torch.device | str | None = None) -> Tensor:
    """One number per person, (N,) to (N, 1, 1, 1), to be multiplied with volumes (N, X, Y, Z)."""
    values = values if isinstance(values, Tensor) else torch.tensor(values, dtype=torch.float32)
    return values.to(device or values.device).view(-1, 1, 1, 1)


def noise_field(generator: Generator, volume: Tensor, width: float, spacing: float) -> Tensor:
    """Smooth fields as large as a volume (N, X, Y, Z), about zero mean and unit sd, features of `width` mm."""
    count, *shape = volume.shape
    coarse = [max(2, round(length * spacing / width)) for length in shape]
    return F.interpolate(normal(generator, count, 1, *coarse), shape, mode="trilinear")[:, 0] / NOISE_SD


@lru_cache(maxsize=256)
def _basis(count: int, spacing: float, half: float, scale: float, device: str) -> Tensor:
    """Weights (count, control points) of a cubic B-spline at `count` voxel centers of one axis."""
    points = math.ceil(2 * half / scale) + 3
    centers = (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * spacing
    position = ((centers + half) / scale).clamp(0, points - 3 - 1e-6)
    first = position.floor().long()
    t = position - first
    weights = torch.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], dim=1)
    basis = torch.zeros(count, points, dtype=torch.float64)
    basis.scatter_(1, first[:, None] + torch.arange(4), weights / 6)
    return basis.float().to(device)


def smooth_field(
    streams: Sequence[Generator], shape: Sequence[int], spacing: float, scale: float, channels: int = 1,
    device: torch.device | str = "cpu",
) -> Tensor:  # fmt: skip
    """Smooth random fields (N, channels, X, Y, Z), about zero mean and unit standard deviation, one generator a person.
    `spacing` of the voxels and `scale`, the distance of the control points, are in mm; features are twice as large."""
    axes = zip(shape, LATTICE_HALF_WIDTH, strict=True)
    bases = [_basis(n, float(spacing), half, float(scale), str(device)) for n, half in axes]
    points = [basis.shape[1] for basis in bases]
    field = torch.stack([normal(generator, channels, *points) for generator in streams]).to(device)
    # Contract one axis at a time, as plain matrix products: z, then y, then x.
    field = bases[1] @ (field @ bases[2].T)
    return (bases[0] @ field.flatten(-2)).unflatten(-1, field.shape[-2:]) / SPLINE_SD
