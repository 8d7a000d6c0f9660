"""One's own scans reach the network's grid and come back right, whatever their orientation and voxels.

References: closed forms (a ramp stays a ramp, an ellipsoid stays where it is in mm), scipy's interpolation and
scikit-image's block means, nibabel's orientations.
"""

import itertools
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from skimage.measure import block_reduce

from brainscans import writing
from brainscans.resampling import Grid, from_grid, resample, stem, to_grid
from brainscans.scans import read_scan
from brainscans.writing import image_like, write
from synthcohort.storage import DataError

# All 48 ways to point the three axes of a file: RAS, LAS, ..., and 8 of them for the slower tests.
ORIENTATIONS = [
    "".join(sides[axis] for axis in order)
    for order in itertools.permutations(range(3))
    for sides in itertools.product("RL", "AP", "SI")
]
EIGHT = ("RAS", "LPS", "LIA", "PIR", "SRA", "ILP", "ARI", "PSL")
GRID = Grid((24, 28, 24), 6.0, (3.0, -11.0, 8.0))


def oblique(degrees: float) -> np.ndarray:
    """A turn about all three axes, (3, 3)."""
    turn = np.eye(3)
    for first, second, share in ((0, 1, 1.0), (1, 2, -0.7), (0, 2, 0.4)):
        c, s = np.cos(np.radians(share * degrees)), np.sin(np.radians(share * degrees))
        plane = np.eye(3)
        plane[[first, first, second, second], [first, second, first, second]] = c, -s, s, c
        turn = turn @ plane
    return turn


def geometry(orientation="RAS", shape=(64, 72, 60), voxel=(3.0, 3.0, 3.0), center=(0.0, -10.0, 10.0), degrees=0.0):
    """Shape and affine (4, 4) of a file that covers a head round `center`; `voxel` (mm) and shape are along R, A, S."""
    to_ras = nib.orientations.axcodes2ornt(nib.orientations.aff2axcodes(np.eye(4)))
    asked = nib.orientations.axcodes2ornt(tuple(orientation))
    affine = np.eye(4)
    affine[:3, :3] = oblique(degrees) @ np.diag(voxel)
    affine[:3, 3] = np.array(center) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    moved = nib.orientations.ornt_transform(to_ras, asked)
    plain = nib.Nifti1Image(np.zeros(shape, np.uint8), affine).as_reoriented(moved)
    return plain.shape, plain.affine


def places(shape, affine) -> np.ndarray:
    """RAS mm of every voxel, (X, Y, Z, 3)."""
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return indices @ affine[:3, :3].T + affine[:3, 3]


def ramp(points: np.ndarray) -> np.ndarray:
    return 1000 + points @ np.array([1.3, -0.7, 2.1])


def ellipsoid(points: np.ndarray) -> np.ndarray:
    """An off-center, asymmetric head: True inside. A mirrored or shifted one would not overlap."""
    return (((points - [12, -20, 15]) / [45, 60, 50]) ** 2).sum(-1) < 1


def dice(a, b) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


GEOMETRIES = {
    **{name: {"orientation": name} for name in EIGHT},
    "odd shape": {"orientation": "LIA", "shape": (61, 73, 67)},
    "1 mm": {"orientation": "PSR", "shape": (171, 193, 165), "voxel": (1.0, 1.0, 1.0)},
    "thick slices": {"orientation": "LPS", "shape": (191, 211, 37), "voxel": (0.9, 0.9, 5.0)},
    "oblique": {"orientation": "RAS", "shape": (101, 111, 41), "voxel": (1.8, 1.8, 5.0), "degrees": 18.0},
    "coarser than the grid": {"orientation": "ASL", "shape": (22, 26, 21), "voxel": (8.5, 8.0, 9.0)},
}


def test_all_orientations_are_there():
    assert len(set(ORIENTATIONS)) == 48 and set(EIGHT) <= set(ORIENTATIONS)
    shape, affine = geometry("PIR", (10, 20, 30))
    assert shape == (20, 30, 10) and nib.aff2axcodes(affine) == tuple("PIR")


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_ramp_stays_a_ramp(name):
    shape, affine = geometry(**GEOMETRIES[name])
    onto = to_grid(torch.tensor(ramp(places(shape, affine))), affine, GRID).numpy()
    expected = ramp(places(GRID.shape, GRID.affine.numpy()))
    # Where all eight neighbors, averaged, lie in the scan: two voxels of the grid inside its border.
    index = (places(GRID.shape, GRID.affine.numpy()) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    margin = 2 * GRID.spacing / np.linalg.norm(affine[:3, :3], axis=0)
    inside = ((index >= margin) & (index <= np.array(shape) - 1 - margin)).all(-1)
    assert inside.sum() > 1000
    np.testing.assert_allclose(onto[inside], expected[inside], atol=0.02)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_same_head_in_any_orientation_gives_the_same_grid(orientation):
    values = np.random.default_rng(0).random((32, 36, 28)).astype(np.float32)
    plain = nib.Nifti1Image(values, geometry("RAS", values.shape, (5.0, 6.0, 6.0))[1])
    turned = plain.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(plain.affine), nib.orientations.axcodes2ornt(orientation))
    )
    one, other = (
        to_grid(torch.from_numpy(np.ascontiguousarray(scan.get_fdata())), scan.affine, GRID) for scan in (plain, turned)
    )
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_to_a_grid_as_scikit_image_and_scipy_do_it(name):
    shape, affine = geometry(**GEOMETRIES[name])
    values = np.random.default_rng(1).random(shape)
    group = tuple(max(1, int(GRID.spacing / length + 1e-3)) for length in np.linalg.norm(affine[:3, :3], axis=0))
    whole = tuple(n - n % g for n, g in zip(shape, group, strict=True))
    means = block_reduce(values[tuple(map(slice, whole))], group, np.mean)
    index = (places(GRID.shape, GRID.affine.numpy()) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    index = (index - (np.array(group) - 1) / 2) / group
    expected = map_coordinates(means, np.moveaxis(index, -1, 0), order=1, mode="grid-constant")
    known = (index <= np.array(means.shape) - 1).all(-1)  # beyond lies the rest of a group, if any
    assert known.sum() > 1000
    np.testing.assert_allclose(to_grid(torch.tensor(values), affine, GRID).numpy()[known], expected[known], atol=2e-4)


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("values_at", ["everywhere", "in a corner", "nowhere"])
def test_back_from_a_grid_as_scipy_does_it(name, values_at):
    shape, affine = geometry(**GEOMETRIES[name])
    values = np.random.default_rng(2).random(GRID.shape).astype(np.float32)
    if values_at == "nowhere":
        values[:] = 0
    elif values_at == "in a corner":
        values[3:, :, :] = values[:, 4:] = values[:, :, :-3] = 0
    index = (places(shape, affine) - GRID.affine.numpy()[:3, 3]) / GRID.spacing
    expected = map_coordinates(values, np.moveaxis(index, -1, 0), order=1, mode="grid-constant")
    back = from_grid(torch.from_numpy(values), GRID, affine, shape)
    assert back.shape == shape and back.dtype == torch.float32
    np.testing.assert_allclose(back.numpy(), expected, atol=2e-4)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_there_and_back_leaves_an_ellipsoid_where_it_was(name):
    shape, affine = geometry(**GEOMETRIES[name])
    grid = Grid((48, 56, 48), 4.0, (5.0, -10.0, 10.0))
    truth = ellipsoid(places(shape, affine))
    there = to_grid(torch.from_numpy(truth.astype(np.float32)), affine, grid)
    assert dice((there > 0.5).numpy(), ellipsoid(places(grid.shape, grid.affine.numpy()))) > 0.93
    back = from_grid(there, grid, affine, shape).numpy() > 0.5
    assert dice(back, truth) > (0.96 if max(np.linalg.norm(affine[:3, :3], axis=0)) <= 5 else 0.93)


def test_labels_stay_labels():
    """Nearest voxels: no label arises that was not there, and the data type stays."""
    labels = np.zeros((10, 11, 12), np.uint8)
    labels[3:7, 3:7, 3:7] = 3
    fine = Grid((20, 22, 24), 1.0, (0.0, 0.0, 0.0))
    found = resample(labels, Grid(labels.shape, 2.0, fine.center).affine.numpy(), fine.affine, fine.shape, order=0)
    assert found.dtype == np.uint8 and np.array_equal(found, labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))


def test_groups_are_whole_where_rounding_makes_the_voxels_a_little_too_long():
    """Headers hold float32: five voxels of 1.2 mm are then more than the 6 mm of the grid."""
    values = np.random.default_rng(6).random((20, 25, 30))
    affine = np.diag([*[float(np.float32(1.2))] * 3, 1.0])
    assert affine[0, 0] > 1.2
    grid = Grid((4, 5, 6), 6.0, tuple((np.array(values.shape) - 1) / 2 * 1.2))
    found = to_grid(torch.from_numpy(values), affine, grid).numpy()
    np.testing.assert_allclose(found, block_reduce(values, (5, 5, 5), np.mean), atol=1e-4)


def test_what_is_left_of_a_group_at_the_far_end_counts():
    grid = Grid((4, 4, 4), 2.0, (3.5, 3.5, 3.5))
    assert torch.allclose(to_grid(torch.ones(7, 7, 7), np.eye(4), grid), torch.ones(4, 4, 4), atol=1e-5)


def test_a_volume_of_one_slice_stays_as_it_is():
    values = np.random.default_rng(7).random((5, 4, 1)).astype(np.float32)
    np.testing.assert_allclose(resample(values, np.eye(4), np.eye(4), values.shape), values, atol=1e-6)


@pytest.mark.parametrize("name", ["sub-01.v2", "1.2.840.10008", "plain"])
def test_the_name_of_a_file_keeps_its_dots(name):
    assert stem(f"/some.where/{name}.nii.gz") == stem(f"{name}.nii") == stem(name) == name
    assert all(stem(name + end) == name for end in (".img", ".hdr", ".mgz", ".mgh", ".nii.bz2", ".img.gz", ".dcm"))


def test_a_grid_elsewhere_holds_nothing_and_gives_nothing():
    shape, affine = geometry("LAS")
    away = Grid((10, 10, 10), 4.0, (900.0, 0.0, 0.0))
    assert to_grid(torch.ones(shape), affine, away).abs().max() == 0
    assert from_grid(torch.ones(10, 10, 10), away, affine, shape).abs().max() == 0


def test_a_grid_is_centered_where_it_says():
    middle = GRID.affine.numpy() @ np.array([*((n - 1) / 2 for n in GRID.shape), 1.0])
    np.testing.assert_allclose(middle[:3], GRID.center)
    assert nib.aff2axcodes(GRID.affine.numpy()) == tuple("RAS")


# Files -------------------------------------------------------------------------------------------------


def stored(path, values, affine=None, slope=None, codes=(1, 1)):
    """A NIfTI at `path`; with `slope`, integers that stand for `slope` times as much."""
    affine = geometry("LIA", values.shape[:3])[1] if affine is None else affine
    image = nib.Nifti1Image(values, affine)
    image.set_qform(affine, codes[0])
    image.set_sform(affine, codes[1])
    image.header.set_xyzt_units("mm", "sec")
    if slope:
        image.header.set_slope_inter(slope, 0)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("four", [False, True])
def test_one_volume_of_any_type_is_read_as_it_is(tmp_path, kind, ending, four):
    values = np.random.default_rng(3).integers(0, 200, (9, 12, 11)).astype(kind)
    file = stored(tmp_path / f"scan{ending}", values[..., None] if four else values)
    volume, affine = read_scan(file)
    assert volume.dtype == torch.float32 and volume.shape == (9, 12, 11)
    np.testing.assert_array_equal(volume.numpy(), values.astype(np.float32))
    np.testing.assert_allclose(affine, nib.load(file).affine)


def test_the_slope_of_the_header_is_applied(tmp_path):
    values = np.random.default_rng(3).integers(0, 200, (9, 12, 11)).astype(np.float64) * 0.25
    image = nib.Nifti1Image(values, np.eye(4))
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "scan.nii")  # nibabel chooses slope and intercept
    assert nib.load(tmp_path / "scan.nii").dataobj.slope != 1
    np.testing.assert_allclose(read_scan(tmp_path / "scan.nii")[0].numpy(), values, atol=0.01)


GOOD = np.random.default_rng(4).random((9, 12, 11)).astype(np.float32)
HOLE = np.where(np.arange(11) == 4, np.nan, GOOD).astype(np.float32)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.stack([GOOD, GOOD], -1), "one volume"),
        (GOOD[:, :, 0], "one volume"),
        (GOOD[:, :, :7], "a slice and no volume"),
        (HOLE, "NaN"),
        (np.full_like(GOOD, 3), "one value everywhere"),
        (GOOD.astype(np.complex64), "type complex64"),
    ],
    ids=["two volumes", "a slice", "too thin", "NaN", "constant", "complex"],
)
def test_what_is_no_scan_is_refused_in_one_sentence(tmp_path, values, words):
    file = stored(tmp_path / "bad.nii.gz", values, np.diag([2.0, 2.0, 2.0, 1.0]))
    with pytest.raises(DataError, match=words) as refused:
        read_scan(file)
    assert "bad.nii.gz" in str(refused.value) and "\n" not in str(refused.value)


def test_a_file_without_geometry_or_cut_short_is_refused(tmp_path):
    image = nib.Nifti1Image(GOOD, np.eye(4))
    image.header["sform_code"], image.header["qform_code"] = 1, 0
    image.header["srow_x"] = image.header["srow_y"] = (1, 0, 0, 0)
    image.header.set_data_offset(352)
    flat = tmp_path / "flat.nii"
    flat.write_bytes(image.header.binaryblock + b"\0" * 4 + GOOD.tobytes(order="F"))
    with pytest.raises(DataError, match="cannot be inverted"):
        read_scan(flat)
    whole = stored(tmp_path / "whole.nii.gz", GOOD).read_bytes()
    (tmp_path / "short.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut short"):
        read_scan(tmp_path / "short.nii.gz")


def write_like(file, values, like):
    write({file: image_like(values, like)})
    return file


@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 2), (4, 4)])
@pytest.mark.parametrize("four", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_what_is_written_lies_where_the_scan_lies(tmp_path, codes, four, kind):
    shape, affine = geometry("PIR", (21, 17, 13), (1.2, 0.9, 4.0), degrees=11.0)
    scan = stored(tmp_path / "scan.nii.gz", np.ones((*shape, 1) if four else shape, np.int16), affine, 0.5, codes)
    values = np.random.default_rng(5).integers(0, 100, shape).astype(kind)
    written = write_like(tmp_path / "new.nii.gz", values, scan)
    one, other = nib.load(scan), nib.load(written)
    assert other.shape == one.shape and other.get_data_dtype() == kind
    np.testing.assert_allclose(other.affine, one.affine, atol=1e-5)
    for name in ("qform_code", "sform_code", "xyzt_units"):
        assert other.header[name] == one.header[name], name
    np.testing.assert_array_equal(np.asanyarray(other.dataobj).reshape(shape), values)
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_written_without_compression_too(tmp_path):
    scan = stored(tmp_path / "scan.nii.gz", GOOD)
    written = write_like(tmp_path / "folder" / "new.nii", GOOD * 2, scan)
    np.testing.assert_array_equal(nib.load(written).get_fdata(dtype=np.float32), GOOD * 2)


def test_values_of_another_shape_are_not_written(tmp_path):
    scan = stored(tmp_path / "scan.nii.gz", GOOD)
    with pytest.raises(ValueError):
        write_like(tmp_path / "new.nii.gz", GOOD[1:], scan)
    assert not (tmp_path / "new.nii.gz").exists()


def test_the_same_scan_gives_the_same_file_at_any_time_and_no_display_range(tmp_path, monkeypatch):
    scan = nib.load(stored(tmp_path / "scan.nii.gz", GOOD))
    scan.header["cal_min"], scan.header["cal_max"] = 0.2, 0.3
    nib.save(scan, tmp_path / "shown.nii.gz")
    assert nib.load(tmp_path / "shown.nii.gz").header["cal_max"] > 0
    contents = []
    for now in (1e9, 2e9):
        monkeypatch.setattr(writing.gzip, "time", SimpleNamespace(time=lambda now=now: now))
        contents.append(write_like(tmp_path / "new.nii.gz", GOOD, tmp_path / "shown.nii.gz").read_bytes())
    assert contents[0] == contents[1]
    header = nib.load(tmp_path / "new.nii.gz").header
    assert header["cal_min"] == header["cal_max"] == 0
