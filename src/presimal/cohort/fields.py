"""Randomness that never shifts: one stream per subject and purpose, and smooth fields from it.

A stream is a generator on the CPU whose seed is a hash of (cohort seed, kind, subject number,
purpose). Nothing is ever drawn from a stream that two purposes share, so a new kind of randomness
cannot change an old one, and a subject does not depend on who else is in the batch.

Smooth fields are cubic B-splines with normal coefficients on a lattice that is fixed in
millimetres. The lattice knows nothing of the image grid: the same person has the same fields at
4 mm and at 2 mm, in a small field of view and in a large one.
"""

import hashlib
import math
from functools import lru_cache

import torch

LATTICE_HALF_WIDTH = (125.0, 140.0, 125.0)  # mm from the centre of the field of view, x y z
SPLINE_SD = (151 / 315) ** 1.5  # of a cubic B-spline in 3-D with unit normal coefficients


def stream(seed: int, kind: str, number: int, purpose: str) -> torch.Generator:
    """The random stream of one subject for one purpose, always in the same state at its start."""
    key = f"{int(seed)}/{kind}/{int(number)}/{purpose}".encode()
    value = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
    return torch.Generator().manual_seed(value)


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Standard normal numbers, float32, on the CPU."""
    return torch.randn(*shape, generator=generator)


def uniform(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Numbers spread evenly between 0 and 1, float32, on the CPU."""
    return torch.rand(*shape, generator=generator)


def _control_points(scale: float) -> tuple[int, int, int]:
    return tuple(math.ceil(2 * half / scale) + 3 for half in LATTICE_HALF_WIDTH)


@lru_cache(maxsize=256)
def _basis(count: int, spacing: float, half: float, scale: float, device: str) -> torch.Tensor:
    """Weights (count, control points) of a cubic B-spline at `count` voxel centres of one axis."""
    points = math.ceil(2 * half / scale) + 3
    where = (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * spacing
    position = ((where + half) / scale).clamp(0, points - 3 - 1e-6)
    first = position.floor().long()
    t = position - first
    weights = torch.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], dim=1
    )
    basis = torch.zeros(count, points, dtype=torch.float64)
    basis.scatter_(1, first[:, None] + torch.arange(4), weights / 6)
    return basis.float().to(device)


def smooth_field(
    streams: list[torch.Generator],
    shape: tuple[int, int, int],
    spacing: float,
    scale: float,
    channels: int = 1,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Smooth random fields (N, channels, X, Y, Z), about zero mean and unit standard deviation.

    `streams` holds one generator per subject, `spacing` is the voxel size in mm, and `scale` is
    the distance of the control points in mm: features are about twice as large.
    """
    points = _control_points(scale)
    drawn = [normal(generator, channels, *points) for generator in streams]
    field = torch.stack(drawn).to(device)
    bx, by, bz = (
        _basis(n, float(spacing), half, float(scale), str(device))
        for n, half in zip(shape, LATTICE_HALF_WIDTH)
    )
    # Contract one axis at a time, as plain matrix products: z, then y, then x.
    field = field @ bz.T
    field = by @ field
    flat = field.flatten(-2)
    field = (bx @ flat).unflatten(-1, field.shape[-2:])
    return field / SPLINE_SD
