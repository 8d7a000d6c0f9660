"""Promises about geometry and scores, for grids and masks that nobody thought of: hypothesis looks for one that fails.

The same few examples in the ordinary run; thousands of other ones with PRESIMAL_LONG_TESTS=1, as once a week.
"""

import os
import tempfile
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monai.metrics import compute_dice, compute_hausdorff_distance
from nibabel.affines import apply_affine, from_matvec
from scipy.spatial.transform import Rotation

from brainscans.reading import read_image
from brainscans.resampling import from_grid, resample, to_grid
from brainscans.writing import image_like, write
from presimal.evaluation import bootstrap_interval, conformal_half_width, dice, hausdorff95
from presimal.evaluation.intervals import interval_of
from synthcohort.grid import Grid

LONG = os.environ.get("PRESIMAL_LONG_TESTS") == "1"
few = settings(
    max_examples=500 if LONG else 20,
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

ORIENTATIONS = [
    np.array([[axis, flip] for axis, flip in zip(order, flips, strict=True)])
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    for flips in ((a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1))
]
lengths = st.floats(0.3, 8.0)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def geometries(draw, smallest=8, largest=14):
    """Shape and affine (4, 4) of a scan: any order and direction of axes, any voxels, turned, anywhere."""
    shape = tuple(draw(st.tuples(*[st.integers(smallest, largest)] * 3)))
    turn = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-60, 60)] * 3)), degrees=True).as_matrix()
    upright = from_matvec(turn @ np.diag(draw(st.tuples(lengths, lengths, lengths))), draw(places))
    to = draw(st.sampled_from(ORIENTATIONS))
    moved = nib.Nifti1Image(np.zeros(shape, np.uint8), upright).as_reoriented(to)
    return moved.shape, moved.affine


places = st.tuples(*[st.floats(-200, 200)] * 3)


def ramp(points):
    return 1000 + points @ np.array([1.3, -0.7, 2.1])


def voxels(shape):
    return np.moveaxis(np.indices(shape), 0, -1)


# Files


@few
@given(
    geometries(), seeds, st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
    st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]), st.sampled_from(["a.nii", "a.nii.gz"]),
    st.integers(0, 4), st.integers(0, 4),
)  # fmt: skip
def test_what_is_written_has_voxels_shape_affine_and_codes_of_the_scan(geometry, seed, kind, form, name, qform, sform):
    shape, affine = geometry
    values = np.random.default_rng(seed).integers(1, 250, shape).astype(kind)
    image = form(values, affine)
    image.set_qform(affine, qform)
    image.set_sform(affine, sform)
    image.header.set_xyzt_units("mm", "sec")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        scan, out = Path(folder, name), Path(folder, f"out_{name}")
        nib.save(image, scan)
        found, placed = read_image(scan)
        assert np.array_equal(found, values) and found.dtype == kind
        if qform or sform:
            assert np.allclose(apply_affine(placed, shape), apply_affine(affine, shape), atol=1e-3)
        write({out: image_like(found[::-1], scan)})
        again, place_again = read_image(out)
        one, other = nib.load(scan), nib.load(out)
        assert np.array_equal(again, values[::-1]) and again.dtype == found.dtype
        assert np.array_equal(place_again, placed) and one.shape == other.shape and type(one) is type(other)
        for field in ("qform_code", "sform_code", "xyzt_units", "pixdim", "srow_x", "srow_y", "srow_z"):
            assert np.array_equal(one.header[field], other.header[field]), field


@few
@given(geometries(), seeds, st.sampled_from(ORIENTATIONS))
def test_turned_there_and_back_is_the_same_and_is_read_alike(geometry, seed, to):
    shape, affine = geometry
    scan = nib.Nifti1Image(np.random.default_rng(seed).integers(1, 900, shape).astype(np.int16), affine)
    turned = scan.as_reoriented(to)
    inverse = np.array([[axis, to[axis, 1]] for axis in np.argsort(to[:, 0])])
    back = turned.as_reoriented(inverse)
    assert np.array_equal(back.dataobj, scan.dataobj) and np.allclose(back.affine, affine, atol=1e-9)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        found = []
        for name, image in (("a.nii", scan), ("b.nii", turned)):
            nib.save(image, Path(folder, name))
            found.append(read_image(Path(folder, name)))
    spacing = 0.999 * np.linalg.norm(affine[:3, :3], axis=0).min()  # groups of voxels would begin at the other end
    grid = Grid((6, 7, 5), spacing, tuple(apply_affine(affine, (np.array(shape) - 1) / 2)))
    one, other = (to_grid(torch.from_numpy(values), placed, grid) for values, placed in found)
    torch.testing.assert_close(one, other, atol=0.5, rtol=0)  # of 900: headers hold float32


# Grids


@few
@given(geometries(1, 9), st.floats(0.3, 30.0))
def test_a_scan_thinner_than_a_voxel_of_the_grid_keeps_its_mean(geometry, spacing):
    shape, affine = geometry
    grid = Grid((1, 1, 1), spacing, tuple(apply_affine(affine, (np.array(shape) - 1) / 2)))
    found = to_grid(torch.ones(shape), affine, grid)
    assert found.shape == (1, 1, 1) and 0 < found.item() < 1.001


@few
@given(geometries(1, 9), st.floats(1.0, 4.0), st.tuples(*[st.booleans()] * 3))
def test_every_voxel_of_a_scan_reaches_the_grid(geometry, coarser, at_the_end):
    """Those too that are left over when the others are averaged in groups: up to them there is no gap and no edge."""
    shape, affine = geometry
    length = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = coarser * float(length.max())
    groups = np.minimum(shape, (spacing / length + 1e-3).astype(int))
    first = (groups - 1) / 2  # center of the first group, and of the last one, were it whole
    last = np.minimum(np.array(shape) - 1, (np.ceil(np.array(shape) / groups) - 1) * groups + first)
    point = apply_affine(affine, np.where(at_the_end, last, first))
    assert abs(to_grid(torch.ones(shape), affine, Grid((1, 1, 1), spacing, tuple(point))).item() - 1) < 1e-3


@few
@given(geometries(12, 20), st.floats(1.0, 5.0))
def test_a_ramp_stays_a_ramp_on_a_grid_and_back(geometry, spacing):
    shape, affine = geometry
    center = apply_affine(affine, (np.array(shape) - 1) / 2)
    grid = Grid((9, 8, 10), spacing, tuple(center.tolist()))
    length = np.linalg.norm(affine[:3, :3], axis=0)
    points = apply_affine(grid.affine.numpy(), voxels(grid.shape))
    index = apply_affine(np.linalg.inv(affine), points)
    margin = 2 * np.maximum(spacing, length) / length
    inside = ((index >= margin) & (index <= np.array(shape) - 1 - margin)).all(-1)
    there = to_grid(torch.from_numpy(ramp(apply_affine(affine, voxels(shape)))), affine, grid).numpy()
    np.testing.assert_allclose(there[inside], ramp(points)[inside], atol=0.05)
    full = torch.from_numpy(ramp(points))
    back = from_grid(full, grid, affine, shape).numpy()
    index = apply_affine(np.linalg.inv(grid.affine.numpy()), apply_affine(affine, voxels(shape)))
    known = ((index >= 0.01) & (index <= np.array(grid.shape) - 1.01)).all(-1)
    np.testing.assert_allclose(back[known], ramp(apply_affine(affine, voxels(shape)))[known], atol=0.05)
    beyond = ((index < -1) | (index > np.array(grid.shape))).any(-1)
    assert not back[beyond].any()


@few
@given(geometries(), seeds, st.sampled_from(ORIENTATIONS))
def test_labels_onto_the_same_grid_in_any_orientation_are_the_same_labels(geometry, seed, to):
    shape, affine = geometry
    scan = nib.Nifti1Image(np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint8), affine)
    turned = scan.as_reoriented(to)
    found = resample(np.asarray(turned.dataobj), turned.affine, affine, shape, order=0)
    assert found.dtype == np.uint8 and np.array_equal(found, scan.dataobj)
    between = affine @ from_matvec(np.eye(3), [0.4, -0.3, 0.6])
    assert set(np.unique(resample(7 * (scan.get_fdata() > 1), affine, between, shape, order=0))) <= {0, 7}


# Scores


@st.composite
def masks(draw):
    """Two masks (2, 2, X, Y, Z), from empty to full, and the size of their voxels."""
    shape = (2, 2, *draw(st.tuples(*[st.integers(2, 9)] * 3)))
    random = np.random.default_rng(draw(seeds))
    shares = draw(st.tuples(*[st.sampled_from([0.0, 0.02, 0.3, 0.7, 1.0])] * 2))
    found, truth = (torch.from_numpy(random.random(shape) < share) for share in shares)
    return found, truth, draw(st.tuples(lengths, lengths, lengths))


@few
@given(masks())
def test_dice_and_hausdorff_are_symmetric_within_bounds_and_as_monai_has_them(drawn):
    found, truth, spacing = drawn
    overlap, distance = dice(found, truth), hausdorff95(found, truth, spacing)
    assert torch.equal(overlap, dice(truth, found)) and ((overlap >= 0) & (overlap <= 1)).all()
    assert (dice(found, found) == 1).all()
    torch.testing.assert_close(distance, hausdorff95(truth, found, spacing), equal_nan=True)
    one, other = found.flatten(2).any(2), truth.flatten(2).any(2)
    both = one & other
    assert (torch.isnan(distance) == ~(one | other)).all() and (torch.isinf(distance) == (one ^ other)).all()
    longest = np.linalg.norm((np.array(found.shape[2:]) - 1) * spacing)
    assert (distance[both] >= 0).all() and (distance[both] <= longest * 1.001).all()
    assert (hausdorff95(found, found, spacing)[one] == 0).all()
    with warnings.catch_warnings(action="ignore"):
        theirs = compute_hausdorff_distance(found.float(), truth.float(), True, percentile=95, spacing=spacing)
    torch.testing.assert_close(distance[both], theirs.double()[both])
    seen = compute_dice(found.float(), truth.float(), include_background=True, ignore_empty=False)
    torch.testing.assert_close(overlap, seen, atol=1e-6, rtol=0)


@few
@given(masks(), st.tuples(*[st.sampled_from([-1, 1])] * 3), st.permutations([0, 1, 2]))
def test_scores_do_not_depend_on_how_the_voxels_are_stored(drawn, flips, order):
    found, truth, spacing = drawn
    axes = [2 + axis for axis, flip in enumerate(flips) if flip < 0]
    turn = lambda mask: mask.flip(axes).permute(0, 1, *(2 + axis for axis in order))  # noqa: E731
    stored = tuple(spacing[axis] for axis in order)
    assert torch.equal(dice(turn(found), turn(truth)), dice(found, truth))
    one, other = hausdorff95(turn(found), turn(truth), stored), hausdorff95(found, truth, spacing)
    torch.testing.assert_close(one, other, equal_nan=True, rtol=1e-5, atol=1e-5)


numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40).map(np.array)


@few
@given(numbers, st.floats(0.01, 0.99), st.integers(0, 99))
def test_an_interval_lies_within_the_data_and_widens_with_its_level(values, level, seed):
    near = 1e-9 + 1e-12 * np.abs(values).max()
    inner, outer = (bootstrap_interval(np.mean, values, level=one, repeats=50, seed=seed) for one in (level, 0.999))
    assert inner.value == values.mean()
    if (values == values[0]).all() and values[0] in (0, 1):  # a proportion, which does not know all others
        assert 0 <= outer.low <= inner.low <= values[0] <= inner.high <= outer.high <= 1
        return
    assert values.min() - near <= outer.low <= inner.low + near and inner.low <= inner.high
    assert inner.high <= outer.high + near and outer.high <= values.max() + near
    assert inner == bootstrap_interval(np.mean, values, level=level, repeats=50, seed=seed)
    if len(values) > 1:
        plain, mirrored = interval_of(values, level), interval_of(-values, level)
        assert np.allclose((-mirrored.high, -mirrored.low), (plain.low, plain.high), atol=near)


@few
@given(numbers, st.floats(0.01, 0.99))
def test_a_conformal_half_width_covers_its_share_of_the_errors(errors, level):
    if np.ceil((len(errors) + 1) * level - 1e-9) > len(errors):
        with pytest.raises(ValueError, match="too few"):
            conformal_half_width(errors, level)
        return
    width = conformal_half_width(errors, level)
    assert width in np.abs(errors) and (np.abs(errors) <= width).sum() >= (len(errors) + 1) * level - 1e-6
    assert width == conformal_half_width(-errors[::-1], level)
