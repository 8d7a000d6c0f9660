"""Geometry: nothing folds, sizes are right, affines are right."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from synthcohort import Cohort
from synthcohort.grid import CENTER, Grid
from synthcohort.warping import apply_pose, pose_matrix


def jacobian_determinant(points: torch.Tensor, spacing: float) -> torch.Tensor:
    """Volume change of a map (N, X, Y, Z, 3) from forward differences, (N, X-1, Y-1, Z-1)."""
    corner = points[:, :-1, :-1, :-1]
    columns = (points[:, 1:, :-1, :-1], points[:, :-1, 1:, :-1], points[:, :-1, :-1, 1:])
    return torch.linalg.det(torch.stack([column - corner for column in columns], -1) / spacing)


def test_affine_puts_the_center_of_the_grid_at_the_center():
    grid = Grid((40, 48, 40), 4.0)
    middle = torch.tensor([19.5, 23.5, 19.5, 1.0], dtype=torch.float64)
    assert torch.allclose((grid.affine @ middle)[:3], torch.tensor(CENTER).double())
    first = grid.points()[0, 0, 0, 0] + torch.tensor(CENTER)
    assert torch.allclose(first.double(), grid.affine[:3, 3])


def test_pose_scales_volume():
    matrix = pose_matrix(torch.tensor([[0.1, -0.2, 0.3]]), torch.tensor([[0.9, 1.0, 1.1]]))
    assert torch.linalg.det(matrix)[0] == pytest.approx(1 / (0.9 * 1.1), rel=1e-4)
    points = apply_pose(torch.zeros(1, 1, 1, 1, 3), matrix, torch.tensor([[1.0, 2.0, 3.0]]))
    assert torch.allclose(points.flatten(), torch.tensor(CENTER) + torch.tensor([1.0, 2.0, 3.0]))


def test_poses_turn_as_they_should():
    """Against scipy: about z first, then y, then x; a head twice as large reads at half the distance."""
    angles = torch.tensor([[0.3, -0.5, 1.1], [-0.2, 0.9, 0.0]])
    turns = torch.from_numpy(Rotation.from_euler("XYZ", angles.numpy()).as_matrix()).float()
    assert torch.allclose(pose_matrix(angles, torch.ones(2, 3)), turns, atol=1e-6)
    assert torch.allclose(pose_matrix(angles, torch.full((2, 3), 2.0)), turns / 2, atol=1e-6)


@pytest.mark.parametrize("kind", ["brain", "tumor", "head"])
def test_no_tissue_folds(kind):
    """The Jacobian determinant of image -> template is positive at every voxel."""
    cohort = Cohort(0)
    for number in range(6):
        points = cohort.points(cohort.draw([number], kind), 4.0)
        assert jacobian_determinant(points, 4.0).min() > 0


def test_no_tissue_folds_in_the_extremes():
    """Severe enlargement and slit ventricles, strong warps."""
    for age in (18.0, 95.0):
        cohort = Cohort(1, age_range=(age, age), warp=1.2)
        for number in range(4):
            points = cohort.points(cohort.draw([number]), 4.0)
            assert jacobian_determinant(points, 4.0).min() > 0
