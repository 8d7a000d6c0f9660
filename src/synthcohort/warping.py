"""Where a point of a person's image lies in the template: tumor push, then warp, pose and size, growing ventricles.

All maps are pull-backs, from points of the image to points of the template, in mm. Each is a diffeomorphism (smooth,
with a smooth inverse), so no tissue folds over itself: the Jacobian determinant is positive, which a test checks.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .fields import smooth_field
from .grid import CENTER, Grid, trilinear
from .people import People
from .template import PUSH_MAPS, sample_template

LATTICE_STEP = 5.0  # mm between the nodes of all that is not linear: it has no finer detail
# Control-point distance and standard deviation of the velocity, both in mm; by eye, beside real folding.
WARP_SCALES = ((70.0, 2.1), (36.0, 1.5), (18.0, 0.9), (12.0, 0.55))
SQUARINGS = 4  # the velocity is integrated in 2^4 steps, to a diffeomorphism (Arsigny et al., MICCAI 2006)
PUSH_VOXEL = 4  # mm; the push is smooth, and its small table stays in the processor's cache
PUSH_STEPS = 4  # explicit Euler steps of that flow: a single one would fold the middle of the ventricle


def pose_matrix(rotation: Tensor, scale: Tensor) -> Tensor:
    """Pull-back matrices (N, 3, 3) from angles (N, 3) in radians and sizes (N, 3) against MNI."""
    matrices = []
    for (a, b, c), size in zip(rotation.tolist(), scale.tolist(), strict=True):
        x = [[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]]
        y = [[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]]
        z = [[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]]
        matrices.append(torch.tensor(x) @ torch.tensor(y) @ torch.tensor(z) / torch.tensor(size)[:, None])
    return torch.stack(matrices)


def pose_of(people: People) -> tuple[Tensor, Tensor]:
    """Pull-back matrices (N, 3, 3) and shifts (N, 3) in mm, on the CPU."""
    rotation, scale = torch.stack([p.rotation for p in people]), torch.stack([p.scale for p in people])
    return pose_matrix(rotation, scale), torch.stack([p.shift for p in people])


def apply_pose(points: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Points relative to CENTER -> MNI mm. Written out, so that bits do not depend on N."""
    x, y, z = points.unbind(-1)
    offset = shift + shift.new_tensor(CENTER)
    rows = torch.cat([matrix, offset[:, :, None]], -1)[..., None, None, None].unbind(1)
    return torch.stack([row[:, 0] * x + row[:, 1] * y + row[:, 2] * z + row[:, 3] for row in rows], -1)


def random_warp(streams: list[torch.Generator], lattice: Grid, amount: float, device: torch.device) -> Tensor:
    """Displacements (N, X, Y, Z, 3) in mm on the lattice: a random velocity, integrated by scaling and squaring."""
    velocity = torch.zeros((), device=device)
    for scale, size in WARP_SCALES:
        velocity = velocity + size * smooth_field(streams, lattice.shape, lattice.spacing, scale, 3, device)
    step = (amount / 2**SQUARINGS) * velocity.permute(0, 2, 3, 4, 1).contiguous()
    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in lattice.shape]
    nodes = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    for _ in range(SQUARINGS):
        step = step + trilinear(step.flatten(1, 3), lattice.shape, nodes + step / lattice.spacing)
    return step


def at_lattice(field: Tensor, lattice: Grid, points: Tensor) -> Tensor:
    """A lattice field (N, X, Y, Z, C) interpolated at points relative to CENTER."""
    middle = (points.new_tensor(lattice.shape) - 1) / 2
    return trilinear(field.flatten(1, 3), lattice.shape, points / lattice.spacing + middle)


def push_ventricles(points: Tensor, amount: Tensor) -> Tensor:
    """Points in mm, moved along the flow toward the ventricles by `amount` (N, 1, 1, 1) mm; negative shrinks them."""
    step = amount[..., None] / PUSH_STEPS
    for _ in range(PUSH_STEPS):
        push = sample_template(points, PUSH_MAPS, PUSH_VOXEL)
        points = points - step * torch.stack(list(push.values()), -1)
    return points


def template_points(grid: Grid, people: People, tumor_push: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """MNI points (N, X, Y, Z, 3), mm, of all voxels of all people; `tumor_push` maps image points to image points."""
    x, y, z = (2 * math.ceil(n * grid.spacing / 2 / LATTICE_STEP) + 1 for n in grid.shape)  # odd, over all of the view
    device, lattice = people.device, Grid((x, y, z), LATTICE_STEP, grid.center)
    points, nodes = (g.points(device).expand(len(people), -1, -1, -1, -1) for g in (grid, lattice))
    moved, warp = nodes, random_warp(people.streams("field/warp"), lattice, people.settings.warp, device)
    if tumor_push is not None:
        moved = tumor_push(nodes)
        warp = at_lattice(warp, lattice, moved)
    matrix, shift = (values.to(device) for values in pose_of(people))
    curved = push_ventricles(apply_pose(moved + warp, matrix, shift), people.column(p.aging.ventricle for p in people))
    extra = curved - apply_pose(nodes, matrix, shift)
    return apply_pose(points, matrix, shift) + at_lattice(extra, lattice, points)
