"""Scores of masks against closed forms, hand-made cases and distances measured with scipy."""

import itertools
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from presimal.evaluation import dice, hausdorff95


def random_masks(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(3, 2, 9, 8, 7, generator=generator) > 0.6


def test_dice_is_counted_per_case_and_region():
    a, b = random_masks(0), random_masks(1)
    assert torch.allclose(dice(a, b), compute_dice(a.float(), b.float(), include_background=True), atol=1e-6)
    for n, r in itertools.product(range(3), range(2)):
        ours, theirs = (set(map(tuple, mask[n, r].nonzero().tolist())) for mask in (a, b))
        assert dice(a, b)[n, r].item() == pytest.approx(2 * len(ours & theirs) / (len(ours) + len(theirs)))


def test_the_empty_region_rule():
    empty, some = torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4)
    some[0, 0, 1, 1, 1] = 1
    assert dice(empty, empty).item() == 1
    assert dice(some, empty).item() == dice(empty, some).item() == 0


@pytest.mark.parametrize("score", [dice, partial(hausdorff95, spacing=1.0)])
def test_what_is_no_mask_is_refused(score):
    a = random_masks(0)
    for kind in (torch.uint8, torch.float32, torch.int64):
        assert torch.equal(score(a.to(kind), a), score(a, a))
    for none in (a.to(torch.uint8) * 3, a * 0.9, a.float() * float("nan")):
        with pytest.raises(ValueError, match="A mask holds 0 and 1"):
            score(none, a)
        with pytest.raises(ValueError, match="A mask holds 0 and 1"):
            score(a, none)


KINDS = {
    "big-endian": lambda mask: mask.astype(">f4"),
    "long": lambda mask: mask.astype(np.longdouble),
    "reversed": lambda mask: mask[..., ::-1].copy()[..., ::-1],
    "transposed": lambda mask: np.asfortranarray(mask),
    "lists": lambda mask: mask.tolist(),
    "uint16": lambda mask: mask.astype(np.uint16),
    "half": lambda mask: torch.from_numpy(mask).bfloat16(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_may_be_stored_in_any_way(kind):
    a, b = random_masks(0), random_masks(1)
    odd = KINDS[kind](a.float().numpy())
    assert torch.equal(dice(odd, b), dice(a, b)) and torch.equal(hausdorff95(b, odd, 1.0), hausdorff95(b, a, 1.0))


def test_a_sparse_mask_is_refused():
    with pytest.raises(ValueError, match="Masks: give real numbers in one array"):
        dice(random_masks(0).float().to_sparse(), random_masks(0))


def test_masks_of_unequal_shape_are_refused():
    a = random_masks(0)
    for b in (a[:, :1], a[:1], a[..., :1], a[:, :, None]):
        with pytest.raises(ValueError, match="shape"):
            dice(a, b)


def cube(start, size, shape=(1, 1, 30, 30, 30)):
    mask = torch.zeros(shape)
    mask[0, 0, start : start + size, 5 : 5 + size, 5 : 5 + size] = 1
    return mask


def test_hausdorff_of_a_shifted_cube_is_the_shift_in_mm():
    a, b = cube(5, 12), cube(8, 12)
    assert hausdorff95(a, b, 2.0).item() == pytest.approx(6.0)
    assert hausdorff95(a, a, 2.0).item() == 0
    none = torch.zeros_like(a)
    assert hausdorff95(a, none, 2.0).item() == hausdorff95(none, a, 2.0).item() == float("inf")  # missed, invented
    assert torch.isnan(hausdorff95(none, none, 2.0)).all()  # rightly absent


def test_hausdorff_takes_the_worse_direction():
    """A far speck in the answer counts when it is more than 5 % of the surface, whichever is first."""
    a, b = cube(5, 3), cube(5, 3)
    b[0, 0, 25:27, 5:7, 5:7] = 1
    assert hausdorff95(a, b, 1.0).item() == hausdorff95(b, a, 1.0).item() > 15


def ellipsoid(center, radii, shape=(22, 26, 18)):
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return (((grid - center) / radii) ** 2).sum(-1) <= 1


def distances(mask, other, spacing):
    """From every voxel on the surface of one mask to the nearest on that of the other, in mm."""
    surfaces = (np.argwhere(m & ~binary_erosion(m)) * spacing for m in (mask, other))
    return cdist(*surfaces).min(1)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.3, 3.0), (4.0, 0.5, 1.0)])
def test_hausdorff_is_the_95th_percentile_in_mm_whatever_the_shape_of_voxels(spacing):
    a = ellipsoid((10, 12, 8), (6, 9, 5))
    b = ellipsoid((11, 11, 9), (7, 6, 4)) | ellipsoid((18, 22, 14), (1.5, 1.5, 1.5))
    ways = [distances(a, b, spacing), distances(b, a, spacing)]
    expected = max(np.percentile(way, 95) for way in ways)
    assert max(way.max() for way in ways) > 1.1 * expected  # the speck is far, and less than 5 % of the surface
    masks = torch.from_numpy(np.stack([[a, b], [a, a]]))
    others = torch.from_numpy(np.stack([[b, b], [np.zeros_like(a), b]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = hausdorff95(masks, others, spacing).numpy()
    assert found[[0, 1], [0, 1]] == pytest.approx(expected, rel=1e-5)
    assert found[0, 1] == 0 and np.isinf(found[1, 0])


@pytest.mark.parametrize("spacing", [0.0, -1.0, np.nan, np.inf, 1e300, 1e-300, (1.0, 2.0, 0.0), (1.0, 2.0, np.nan)])
def test_a_size_of_voxels_that_is_none_is_refused(spacing):
    mask = torch.ones(1, 1, 4, 4, 4)
    with pytest.raises(ValueError, match="Voxels have positive sizes"):
        hausdorff95(mask, mask, spacing)


def test_a_plain_array_without_cases_and_regions_is_refused():
    with pytest.raises(ValueError, match=r"cases, regions and voxels on its axes, this one shape \(4, 4\)"):
        dice(np.ones((4, 4)), np.ones((4, 4)))
    assert dice(np.ones((1, 1, 4)), np.ones((1, 1, 4))).item() == 1
