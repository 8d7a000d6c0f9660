"""Heads laid straight: the average brain itself, known turns of a generated one, and what is no brain."""

import numpy as np
import pytest
import torch
from nibabel.affines import from_matvec
from scipy.spatial.transform import Rotation

from brainscans.posture import SPACING, average_brain
from brainscans.registration import LEAST_FIT, NOD, degrees, upright
from brainscans.resampling import Grid, to_grid
from synthcohort import Cohort


def on_grid(volume, affine):
    """A volume on a grid of SPACING mm that holds the brain wherever it was turned."""
    grid = Grid((80, 80, 80), SPACING, (0.0, 0.0, 0.0))
    return to_grid(volume, affine, grid), grid


def degrees_between(one, other):
    turn = one[:3, :3].T @ other[:3, :3]
    return np.degrees(Rotation.from_matrix(turn / np.cbrt(np.linalg.det(turn))).magnitude())


@pytest.fixture(scope="module")
def brain():
    """A generated T1 without skull at 3 mm and its affine."""
    batch = Cohort(5, rotation=0.0).render([2], "brain", 3.0, ("t1",))
    return batch.images[0, 0] * batch.mask[0], batch.affine.numpy()


def test_the_average_brain_lies_as_heads_do_once_it_is_nodded():
    movement, fit = upright(*on_grid(*average_brain()))
    nod = from_matvec(Rotation.from_euler("x", NOD, degrees=True).as_matrix())
    assert degrees_between(movement, nod) < 0.5 and fit > 0.99
    assert degrees(movement) == pytest.approx(NOD, abs=0.5)
    volume, affine = average_brain()
    assert degrees(upright(*on_grid(volume, nod @ affine))[0]) < 0.5


@pytest.mark.parametrize("turn", [(20, 0, 0), (-20, 0, 0), (0, 20, 0), (0, 0, -20), (15, 10, 15)])
def test_a_turn_in_the_scanner_is_undone(brain, turn):
    volume, affine = brain
    lies, _ = upright(*on_grid(volume, affine))
    turned = from_matvec(Rotation.from_euler("xyz", turn, degrees=True).as_matrix(), (5, -8, 10))
    movement, fit = upright(*on_grid(volume, turned @ affine))
    assert degrees_between(movement @ turned, lies) < 3 and fit > 0.9
    places = np.array([[40, 0, 0, 1], [0, -60, 20, 1], [0, 30, 40, 1.0]]).T
    middle = lambda moved: (moved - moved.mean(1, keepdims=True))[:3]  # noqa: E731
    assert np.abs(middle(movement @ turned @ places) - middle(lies @ places)).max() < 3  # mm


def test_it_moves_rigidly_and_alike_every_time(brain):
    volume, grid = on_grid(*brain)
    one, other = (upright(volume, grid)[0] for _ in range(2))
    assert np.array_equal(one, other)
    assert np.allclose(one[:3, :3] @ one[:3, :3].T, np.eye(3)) and np.linalg.det(one) == pytest.approx(1)


def test_what_is_no_brain_fits_poorly():
    place = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 60)] * 3, indexing="ij"))
    for name, volume in {"a cone": (place[2] - 2 * place[:2].norm(dim=0)).clamp(min=0), "noise": place[0] ** 0}.items():
        noise = torch.rand(volume.shape, generator=torch.Generator().manual_seed(0))
        _, fit = upright(*on_grid(volume * noise, np.diag([3.0, 3, 3, 1]) @ from_matvec(np.eye(3), (-30, -30, -30))))
        assert fit < LEAST_FIT, name


def test_what_the_registration_says_of_starts_that_do_not_overlap_is_not_shown(capfd):
    """A hot voxel at a corner draws the center of mass away from the brain: some starts see nothing of it."""
    volume, grid = on_grid(*average_brain())
    volume = volume.clone()
    volume[1, 1, 1] = 1e9
    upright(volume, grid)
    assert capfd.readouterr().err == ""
