"""Geometry: nothing folds, sizes are right, affines are right."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from presimal.cohort import Cohort
from presimal.cohort.geometry import CENTRE, Grid, apply_pose, jacobian_determinant, pose_matrix


def test_affine_puts_the_centre_of_the_grid_at_the_centre():
    grid = Grid((40, 48, 40), 4.0)
    middle = torch.tensor([19.5, 23.5, 19.5, 1.0], dtype=torch.float64)
    assert torch.allclose((grid.affine() @ middle)[:3], torch.tensor(CENTRE).double())
    first = grid.points()[0, 0, 0, 0] + torch.tensor(CENTRE)
    assert torch.allclose(first.double(), grid.affine()[:3, 3])


def test_pose_scales_volume():
    matrix = pose_matrix(torch.tensor([[0.1, -0.2, 0.3]]), torch.tensor([[0.9, 1.0, 1.1]]))
    assert torch.linalg.det(matrix)[0] == pytest.approx(1 / (0.9 * 1.1), rel=1e-4)
    points = apply_pose(torch.zeros(1, 1, 1, 1, 3), matrix, torch.tensor([[1.0, 2.0, 3.0]]))
    assert torch.allclose(points.flatten(), torch.tensor(CENTRE) + torch.tensor([1.0, 2.0, 3.0]))


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
        _, _, points = cohort.tissues([number], kind, 4.0)
        assert jacobian_determinant(points, 4.0).min() > 0


def test_no_tissue_folds_in_the_extremes():
    """Severe enlargement and slit ventricles, strong warps."""
    for age in (18.0, 95.0):
        cohort = Cohort(1, age_range=(age, age), warp=1.2)
        for number in range(4):
            _, _, points = cohort.tissues([number], "brain", 4.0)
            assert jacobian_determinant(points, 4.0).min() > 0
