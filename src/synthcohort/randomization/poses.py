"""The head turned, stretched and bent, images and maps alike."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..fields import noise_field, normal, uniform
from ..warping import pose_matrix
from .settings import Randomization

ELASTIC_WIDTH = 45.0  # mm, of the features of the smooth displacement


def pose(
    volumes: tuple[Tensor, ...], tumor: Tensor | None, spacing: float, settings: Randomization, generator: Generator
) -> list[Tensor]:
    """Volumes (N, C, X, Y, Z), all turned, stretched and bent in the same way; what comes in is 0.

    `tumor` (N, X, Y, Z) is what `settings.swell` magnifies or shrinks, None where there is none.
    """
    count, shape = len(volumes[0]), tuple(volumes[0].shape[2:])
    if not (settings.rotation or settings.scaling or settings.elastic or settings.swell):
        return list(volumes)
    angles = torch.deg2rad(settings.rotation * normal(generator, count, 3))
    size = torch.exp(settings.scaling * normal(generator, count, 3))
    matrix = pose_matrix(angles, size).to(angles.device)
    # grid_sample counts each axis from -1 to 1, and names them in the order z, y, x.
    half = torch.tensor(shape, dtype=torch.float32, device=generator.device) / 2
    axes = [(torch.arange(n, device=generator.device) + 0.5) / n * 2 - 1 for n in shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) * half  # voxels from the middle
    points = torch.einsum("nij,xyzj->nxyzi", matrix, points)
    if settings.elastic:
        amount = settings.elastic / spacing
        moved = [amount * noise_field(generator, count, shape, ELASTIC_WIDTH, spacing) for _ in range(3)]
        points = points + torch.stack(moved, -1)
    if settings.swell and tumor is not None:
        points = _swollen(points, tumor, half, settings, generator)
    grid = (points / half).flip(-1)
    result = F.grid_sample(torch.cat(volumes, 1), grid, align_corners=False)
    return list(result.split([v.shape[1] for v in volumes], 1))


def _swollen(points: Tensor, tumor: Tensor, half: Tensor, settings: Randomization, generator: Generator) -> Tensor:
    """A tumor larger or smaller than it was, and its surroundings pushed away or drawn near.

    The distance r from its center is read at r (1 - a exp(-r^2 / R^2)), which rises for -2 < a < 1: nothing folds. R is
    1.2 radii of a ball of the tumor's volume.
    """
    halves = half.tolist()
    axes = [torch.arange(n, device=points.device) + 0.5 - h for n, h in zip(tumor.shape[1:], halves, strict=True)]
    volume = tumor.sum((1, 2, 3)).clamp(min=1)
    sums = [tumor.sum([k for k in (1, 2, 3) if k != axis + 1]) @ axes[axis] for axis in range(3)]
    center = (torch.stack(sums, 1) / volume[:, None]).view(-1, 1, 1, 1, 3)
    reach = 1.2 * (volume * 3 / 4 / math.pi) ** (1 / 3)
    amount = settings.swell * (1.6 * uniform(generator, len(tumor)) - 0.6)  # more often larger
    offset = points - center
    weight = amount.view(-1, 1, 1, 1) * torch.exp(-(offset**2).sum(-1) / reach.view(-1, 1, 1, 1) ** 2)
    return points - offset * weight[..., None]
