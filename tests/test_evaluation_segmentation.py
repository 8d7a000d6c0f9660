"""Scores of masks against MONAI, closed forms and hand-made cases."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice

from presimal.evaluation.segmentation import dice, hausdorff95, limits_of_agreement


def random_masks(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(3, 2, 9, 8, 7, generator=generator) > 0.6


def test_dice_is_that_of_monai():
    a, b = random_masks(0), random_masks(1)
    assert torch.allclose(dice(a, b), compute_dice(a.float(), b.float(), include_background=True), atol=1e-6)


def test_the_empty_region_rule():
    empty, some = torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4)
    some[0, 0, 1, 1, 1] = 1
    assert dice(empty, empty).item() == 1
    assert dice(some, empty).item() == dice(empty, some).item() == 0


def cube(start, size, shape=(1, 1, 30, 30, 30)):
    mask = torch.zeros(shape)
    mask[0, 0, start : start + size, 5 : 5 + size, 5 : 5 + size] = 1
    return mask


def test_hausdorff_of_a_shifted_cube_is_the_shift_in_mm():
    a, b = cube(5, 12), cube(8, 12)
    assert hausdorff95(a, b, 2.0).item() == pytest.approx(6.0)
    assert hausdorff95(a, a, 2.0).item() == 0
    assert torch.isnan(hausdorff95(a, torch.zeros_like(a), 2.0)).all()


def test_hausdorff_takes_the_worse_direction():
    """A far speck in the answer counts when it is more than 5 % of the surface, whichever is first."""
    a, b = cube(5, 3), cube(5, 3)
    b[0, 0, 25:27, 5:7, 5:7] = 1
    assert hausdorff95(a, b, 1.0).item() == hausdorff95(b, a, 1.0).item() > 15


def test_limits_hold_95_percent_of_normal_differences():
    random = np.random.default_rng(0)
    reference = random.uniform(5, 100, 20_000)
    difference = random.normal(3.0, 2.0, 20_000)
    found = limits_of_agreement(reference + difference, reference)
    assert found.bias == pytest.approx(3.0, abs=0.05)
    assert found.low == pytest.approx(3 - 3.92, abs=0.1) and found.high == pytest.approx(3 + 3.92, abs=0.1)
    assert np.mean((difference > found.low) & (difference < found.high)) == pytest.approx(0.95, abs=0.005)


@pytest.mark.parametrize("pair", [([1.0], [2.0]), ([1.0, 2.0], [1.0])])
def test_too_few_or_unequal_pairs_are_refused(pair):
    with pytest.raises(ValueError, match="pairs"):
        limits_of_agreement(*pair)
