"""Where a point of a person's image lies in the template: pose, size, warp, growing ventricles.

All maps are pull-backs: they take points of the image to points of the template, in mm. Each is a
diffeomorphism (a smooth map with a smooth inverse), and they are composed, so no tissue folds over
itself: the determinant of the Jacobian is positive everywhere, which a test checks.

    image --tumor push--> --warp--> --pose and size--> --ventricles--> template
"""

import math
from dataclasses import dataclass

import torch

from .fields import smooth_field
from .template import PUSH_MAPS, Template, trilinear

CENTRE = (0.0, -14.0, 2.0)  # MNI mm, the middle of every field of view
LATTICE_STEP = 5.0  # mm between the nodes on which the warp is integrated
# Control-point distance and standard deviation of the velocity, both in mm.
WARP_SCALES = ((70.0, 2.1), (36.0, 1.5), (18.0, 0.9), (12.0, 0.55))
SQUARINGS = 4  # the velocity is integrated in 2^4 steps (Arsigny et al., MICCAI 2006)
PUSH_VOXEL = 4  # mm; the push is smooth, and its small table stays in the processor's cache
PUSH_STEPS = 4  # explicit Euler steps of the flow away from the ventricles


@dataclass(frozen=True)
class Grid:
    """An image grid: `shape` voxels of `spacing` mm round CENTRE, axes right-anterior-superior."""

    shape: tuple[int, int, int]
    spacing: float

    def affine(self) -> torch.Tensor:
        """Voxel indices to mm, (4, 4), float64."""
        affine = torch.eye(4, dtype=torch.float64)
        for axis in range(3):
            affine[axis, axis] = self.spacing
            affine[axis, 3] = CENTRE[axis] - (self.shape[axis] - 1) / 2 * self.spacing
        return affine

    def points(self, device: torch.device | str = "cpu") -> torch.Tensor:
        """Voxel centres relative to CENTRE, (1, X, Y, Z, 3), mm."""
        axes = [
            (torch.arange(n, device=device) - (n - 1) / 2) * self.spacing for n in self.shape
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)[None]

    def lattice(self) -> "Grid":
        """The coarse grid over the same field of view on which the warp is integrated."""
        count = [2 * math.ceil(n * self.spacing / 2 / LATTICE_STEP) + 1 for n in self.shape]
        return Grid(tuple(count), LATTICE_STEP)


def pose_matrix(rotation: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Pull-back matrices (N, 3, 3) from angles (N, 3) in radians and sizes (N, 3) against MNI."""
    matrices = []
    for (a, b, c), size in zip(rotation.tolist(), scale.tolist()):
        x = [[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]]
        y = [[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]]
        z = [[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]]
        turn = torch.tensor(x) @ torch.tensor(y) @ torch.tensor(z)
        matrices.append(turn / torch.tensor(size)[:, None])
    return torch.stack(matrices)


def apply_pose(points: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Points relative to CENTRE -> MNI mm. Written out, so that bits do not depend on N."""
    x, y, z = points.unbind(-1)
    centre = shift + shift.new_tensor(CENTRE)
    moved = []
    for row in range(3):
        a, b, c = (matrix[:, row, k].view(-1, 1, 1, 1) for k in range(3))
        moved.append(a * x + b * y + c * z + centre[:, row].view(-1, 1, 1, 1))
    return torch.stack(moved, -1)


def warp(streams: list[torch.Generator], lattice: Grid, amount: float, device) -> torch.Tensor:
    """Displacements (N, X, Y, Z, 3) in mm on the lattice: a random stationary velocity, integrated.

    Scaling and squaring (Arsigny et al., 2006) makes the result a diffeomorphism.
    """
    velocity = sum(
        size * smooth_field(streams, lattice.shape, lattice.spacing, scale, 3, device)
        for scale, size in WARP_SCALES
    )
    step = (amount / 2**SQUARINGS) * velocity.permute(0, 2, 3, 4, 1).contiguous()
    nodes = torch.meshgrid(
        *[torch.arange(n, dtype=torch.float32, device=device) for n in lattice.shape], indexing="ij"
    )
    nodes = torch.stack(nodes, -1)
    for _ in range(SQUARINGS):
        index = nodes + step / lattice.spacing
        step = step + trilinear(step.flatten(1, 3), lattice.shape, index)
    return step


def at_lattice(field: torch.Tensor, lattice: Grid, points: torch.Tensor) -> torch.Tensor:
    """A lattice field (N, X, Y, Z, C) interpolated at points relative to CENTRE."""
    middle = (points.new_tensor(lattice.shape) - 1) / 2
    index = points / lattice.spacing + middle
    return trilinear(field.flatten(1, 3), lattice.shape, index)


def push_ventricles(points: torch.Tensor, amount: torch.Tensor, template: Template) -> torch.Tensor:
    """Follow the flow towards the ventricles: points in mm, `amount` (N,) in mm, negative shrinks.

    A single large step would fold the middle of the ventricle; several small ones do not.
    """
    step = amount.view(-1, 1, 1, 1, 1) / PUSH_STEPS
    for _ in range(PUSH_STEPS):
        push = template.sample(points, PUSH_MAPS, PUSH_VOXEL)
        points = points - step * torch.stack([push[name] for name in PUSH_MAPS], -1)
    return points


def template_points(grid: Grid, person: dict, template: Template, tumor_push=None) -> torch.Tensor:
    """MNI points (N, X, Y, Z, 3) of every voxel of every person.

    `person` holds rotation, scale, shift (N, 3), ventricle (N,) in mm, and `warp_streams`.
    `tumor_push` maps image points to image points. The nonlinear part is computed on a lattice of
    5 mm and interpolated, which costs little and loses nothing: it has no finer detail.
    """
    device = template.device
    lattice = grid.lattice()
    nodes = lattice.points(device).expand(len(person["scale"]), -1, -1, -1, -1)
    displacement = warp(person["warp_streams"], lattice, person["warp_amount"], device)
    moved = nodes
    if tumor_push is not None:
        moved = tumor_push(nodes)
        displacement = at_lattice(displacement, lattice, moved)
    matrix = pose_matrix(person["rotation"], person["scale"]).to(device)
    shift = person["shift"].to(device)
    straight = apply_pose(nodes, matrix, shift)
    curved = apply_pose(moved + displacement, matrix, shift)
    curved = push_ventricles(curved, person["ventricle"].to(device), template)
    points = grid.points(device)
    extra = at_lattice(curved - straight, lattice, points.expand(len(matrix), -1, -1, -1, -1))
    return apply_pose(points, matrix, shift) + extra


def jacobian_determinant(points: torch.Tensor, spacing: float) -> torch.Tensor:
    """Volume change of a map (N, X, Y, Z, 3) from forward differences, (N, X-1, Y-1, Z-1)."""
    corner = points[:, :-1, :-1, :-1]
    columns = (
        points[:, 1:, :-1, :-1] - corner,
        points[:, :-1, 1:, :-1] - corner,
        points[:, :-1, :-1, 1:] - corner,
    )
    return torch.linalg.det(torch.stack(columns, -1) / spacing)
