"""Streams and smooth fields: reproducible, independent, the same on every grid."""

import torch

from synthcohort.cohort import FIELD_OF_VIEW
from synthcohort.fields import normal, smooth_field, stream


def test_a_stream_is_a_function_of_its_key():
    key = (3, "brain", 7, "noise")
    first, again = normal(stream(*key), 100), normal(stream(*key), 100)
    assert torch.equal(first, again)
    others = [(4, "brain", 7, "noise"), (3, "head", 7, "noise"), (3, "brain", 8, "noise"),
              (3, "brain", 7, "warp"), (3, "brain", -7, "noise")]  # fmt: skip
    assert all(not torch.equal(first, normal(stream(*other), 100)) for other in others)


def test_fields_have_about_unit_variance_and_zero_mean():
    streams = [stream(0, "test", n, "field") for n in range(4)]
    field = smooth_field(streams, (40, 48, 40), 4.0, 12.0, 2)
    assert field.shape == (4, 2, 40, 48, 40)
    assert abs(field.mean()) < 0.03
    assert 0.9 < field.std() < 1.1


def test_a_field_is_the_same_on_a_finer_and_on_a_larger_grid():
    def make(shape, spacing):
        return smooth_field([stream(0, "test", 1, "f")], shape, spacing, 20.0)

    coarse, fine = make((20, 24, 20), 8.0), make((40, 48, 40), 4.0)
    means = torch.nn.functional.avg_pool3d(fine[0], 2)
    assert (coarse[0] - means).abs().max() < 0.15  # only curvature within a voxel differs
    large = make((24, 28, 24), 8.0)
    assert torch.allclose(large[:, :, 2:-2, 2:-2, 2:-2], coarse, atol=1e-6)


def test_fields_vary_up_to_the_border_of_every_field_of_view():
    """Beyond the lattice of control points a field would stand still."""
    shape = [max(lengths) // 4 for lengths in zip(*FIELD_OF_VIEW.values(), strict=True)]
    field = smooth_field([stream(0, "test", n, "f") for n in range(4)], shape, 4.0, 16.0)
    for axis in (2, 3, 4):
        steps = field.diff(dim=axis).abs()
        inner = steps.mean()
        assert all(steps.select(axis, end).mean() > 0.6 * inner for end in (0, -1)), axis
