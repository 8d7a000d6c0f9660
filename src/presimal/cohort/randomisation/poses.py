"""The head turned, stretched and bent, images and maps alike."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import pose_matrix
from .draws import normal, smooth, uniform
from .settings import Randomisation


def posed(volumes: tuple[Tensor, ...], tumor: Tensor | None, spacing: float, how: Randomisation, generator) -> list[Tensor]:
    """Volumes (N, C, X, Y, Z), all turned, stretched and bent in the same way; what comes in is 0.

    `tumor` (N, X, Y, Z) is where `how.swell` magnifies or shrinks, None where there is none.
    """
    count, shape = len(volumes[0]), tuple(volumes[0].shape[2:])
    if not (how.turn or how.stretch or how.bend or how.swell):
        return list(volumes)
    angles = torch.deg2rad(how.turn * normal((count, 3), generator))
    size = torch.exp(how.stretch * normal((count, 3), generator))
    matrix = pose_matrix(angles, size).to(angles.device)
    # grid_sample counts each axis from -1 to 1, and names them in the order z, y, x.
    half = torch.tensor(shape, dtype=torch.float32, device=generator.device) / 2
    axes = [(torch.arange(n, device=generator.device) + 0.5) / n * 2 - 1 for n in shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) * half  # voxels from the middle
    points = torch.einsum("nij,xyzj->nxyzi", matrix, points)
    if how.bend:
        bend = [how.bend / spacing * smooth(count, shape, 45.0, spacing, generator) for _ in range(3)]
        points = points + torch.stack(bend, -1)
    if how.swell and tumor is not None:
        points = _swollen(points, tumor, half, how, generator)
    grid = (points / half).flip(-1)
    moved = F.grid_sample(torch.cat(volumes, 1), grid, align_corners=False)
    return list(moved.split([v.shape[1] for v in volumes], 1))


def _swollen(points: Tensor, tumor: Tensor, half: Tensor, how: Randomisation, generator) -> Tensor:
    """A tumor larger or smaller than it was, and its surroundings pushed away or drawn near.

    The distance r from its centre is read at r (1 - a exp(-r^2 / R^2)), which rises for -2 < a < 1: nothing
    folds. R is 1.2 radii of a ball of the tumor's volume.
    """
    axes = [torch.arange(n, device=points.device) + 0.5 - h for n, h in zip(tumor.shape[1:], half.tolist())]
    volume = tumor.sum((1, 2, 3)).clamp(min=1)
    sums = [tumor.sum([k for k in (1, 2, 3) if k != axis + 1]) @ axes[axis] for axis in range(3)]
    centre = (torch.stack(sums, 1) / volume[:, None]).view(-1, 1, 1, 1, 3)
    reach = 1.2 * (volume * 3 / 4 / math.pi) ** (1 / 3)
    amount = how.swell * (1.6 * uniform((len(tumor),), generator) - 0.6)  # more often larger
    offset = points - centre
    weight = amount.view(-1, 1, 1, 1) * torch.exp(-(offset**2).sum(-1) / reach.view(-1, 1, 1, 1) ** 2)
    return points - offset * weight[..., None]
