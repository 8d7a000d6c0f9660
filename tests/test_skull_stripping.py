"""Stripping generated heads whose brain is known, in every orientation that a file may have."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from brainscans import networks, skull_stripping
from brainscans.scans import read_scan
from brainscans.skull_stripping import (
    LEVELS,
    WEIGHTS,
    _center_of_head,
    above_black,
    find_brain,
    normalize,
    output_files,
    own_reflection,
    strip,
)
from synthcohort import Cohort
from synthcohort.storage import DataError

REAL = Path(os.environ.get("PRESIMAL_REALDATA", "no real scans here"))


@pytest.fixture(scope="module")
def head():
    """A generated head at 3 mm and its brain, RAS."""
    batch = Cohort(77, rotation=4.0).render([3], "head", 3.0)
    image = (batch.images[0, 0] * 500).round().numpy().astype(np.int16)
    return nib.Nifti1Image(image, batch.affine.numpy()), nib.Nifti1Image(batch.mask[0].numpy(), batch.affine.numpy())


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_brain_is_found(head):
    scan, truth = head
    volume, affine = torch.from_numpy(scan.get_fdata(dtype=np.float32)), scan.affine
    found = find_brain(volume, affine)
    brain = truth.get_fdata() > 0
    assert dice(found.mask, brain) > 0.95
    assert found.volume_ml == pytest.approx(brain.sum() * 0.027, rel=0.05)
    assert 0.9 < found.agreement <= 1


@pytest.mark.parametrize("contrast", ["t1", "t2", "flair"])
def test_contrasts_of_people_never_seen(contrast):
    """Real contrasts were never drawn exactly so in training, nor these people: a Dice of about 0.97."""
    batch = Cohort(7).render(range(1, 5), "head", 4.0, (contrast,))
    affine = batch.affine.numpy()
    scores = [dice(find_brain(x[0], affine).mask, y.numpy() > 0) for x, y in zip(batch.images, batch.mask, strict=True)]
    assert np.mean(scores) > 0.96 and min(scores) > 0.94


@pytest.mark.parametrize(("degrees", "plane"), [(-25, (1, 2)), (25, (1, 2)), (20, (0, 2)), (20, (0, 1))])
def test_a_turned_head(head, degrees, plane):
    scan, truth = (image.get_fdata(dtype=np.float32) for image in head)
    turned, brain = (ndimage.rotate(v, degrees, plane, reshape=False, order=1) for v in (scan, truth))
    assert dice(find_brain(torch.from_numpy(turned), head[0].affine).mask, brain > 0.5) > 0.94


ORIENTATIONS = ["RAS", "LAS", "LPS", "RPI", "ASR", "PIL", "SAR", "IPL", "LIA", "SRP"]


@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_mask_and_brain_lie_where_the_scan_lies(head, axes, tmp_path):
    """Reorienting scan and truth together changes nothing but the order of the voxels."""
    scan, truth = (
        image.as_reoriented(
            nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes))
        )
        for image in head
    )
    file = tmp_path / "scan.nii.gz"
    nib.save(scan, file)
    found, brain_file, mask_file = strip(file)
    for written in (nib.load(brain_file), nib.load(mask_file)):
        assert written.shape == scan.shape
        assert np.allclose(written.affine, scan.affine)
        assert nib.aff2axcodes(written.affine) == tuple(axes)
    brain = np.asanyarray(nib.load(brain_file).dataobj)
    mask = np.asanyarray(nib.load(mask_file).dataobj) > 0
    assert brain.dtype == scan.get_data_dtype() and np.array_equal(mask, found.mask)
    assert np.array_equal(brain, np.where(mask, scan.dataobj, 0))
    assert dice(mask, truth.get_fdata() > 0) > 0.95


def stored(image, **how):
    """The same head as another scanner would store it."""
    values, affine = np.asarray(image.dataobj), image.affine.copy()
    if "thick" in how:  # every second slice along one axis: voxels of 3 x 3 x 6 mm
        axis = how["thick"]
        values = values.take(range(0, values.shape[axis] - 1, 2), axis)
        affine[:3, axis] *= 2
    if "odd" in how:  # an odd number of voxels, a corner cut off
        values = values[1:, :-2, 2:]
        affine[:3, 3] = nib.affines.apply_affine(affine, [1, 0, 2])
    if "turned" in how:  # oblique: the whole scanner room turned about two axes
        turn = nib.eulerangles.euler2mat(0.10, 0.0, 0.15)
        affine[:3] = turn @ affine[:3]
    if "four" in how:
        values = values[..., None]
    return nib.Nifti1Image(values, affine)


@pytest.mark.parametrize(
    "how", [{"thick": 0}, {"thick": 1}, {"thick": 2}, {"odd": 1}, {"turned": 1}, {"four": 1}], ids=str
)
def test_odd_shapes_thick_slices_oblique_and_4d(head, how, tmp_path):
    scan, truth = (stored(image, **how) for image in head)
    nib.save(scan, tmp_path / "scan.nii")
    found, brain_file, mask_file = strip(tmp_path / "scan.nii")
    assert nib.load(brain_file).shape == nib.load(mask_file).shape == scan.shape
    assert np.allclose(nib.load(mask_file).affine, scan.affine, atol=1e-5)
    assert dice(found.mask, truth.get_fdata().reshape(found.mask.shape) > 0) > 0.94


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_data_types_and_scaling_are_kept(head, kind, tmp_path):
    scan, _ = head
    values = np.clip(scan.get_fdata() / 4, 0, 255).astype(kind)
    image = nib.Nifti1Image(values, scan.affine)
    image.header.set_slope_inter(*((2.5, -10) if np.dtype(kind).kind in "iu" else (1, 0)))
    content = image.to_bytes() if np.dtype(kind).kind == "f" else None
    if content is None:  # numbers as stored, scaled by the header
        header = image.header.copy()
        plain = nib.Nifti1Image(values, scan.affine, header)
        plain.header.set_slope_inter(1, 0)
        content = bytearray(plain.to_bytes())
        content[112:120] = np.array([2.5, -10], "<f4").tobytes()  # scl_slope, scl_inter
    (tmp_path / "scan.nii").write_bytes(bytes(content))
    found, brain_file, _ = strip(tmp_path / "scan.nii")
    before, after = nib.load(tmp_path / "scan.nii"), nib.load(brain_file)
    assert after.get_data_dtype() == before.get_data_dtype() == np.dtype(kind)
    assert np.array_equal(np.asarray(after.dataobj)[found.mask], np.asarray(before.dataobj)[found.mask])
    assert np.abs(np.asarray(after.dataobj)[~found.mask]).max() <= (0 if np.dtype(kind).kind == "f" else 1.25)


class Bright(torch.nn.Module):
    """A network that calls brain what is brighter than 70 % of the brightest tissue."""

    def forward(self, x):
        return 40 * (x - 0.7)


class Contradicts(Bright):
    """The same, 36 mm further back in every second image that it is given: in mirror images."""

    straight = False

    def forward(self, x):
        self.straight = not self.straight
        return super().forward(x if self.straight else x.roll(12, 3))


@pytest.fixture(scope="module")
def ball_with_mast():
    """A ball of 63 mm radius, bright and uneven, a quarter cut out, 72 mm above the floor, and a dark mast on top:
    volume and ball."""
    voxels = np.stack(np.meshgrid(*map(np.arange, (70, 70, 84)), indexing="ij"), -1)  # of 3 mm
    ball = (np.linalg.norm(voxels - [35, 35, 24], axis=-1) < 21) & ~(voxels[..., :2] > 38).all(-1)
    mast = (abs(voxels[..., :2] - 35) < 3).all(-1) & (voxels[..., 2] > 44)
    texture = np.random.default_rng(0).normal(1, 0.1, ball.shape)
    volume = np.where(ball, 100 * texture.clip(0.85, 1.2), 30.0 * mast).astype(np.float32)
    return torch.from_numpy(volume), ball


def test_the_grid_follows_the_brain(ball_with_mast):
    """The mast spoils the first guess, from which the network's grid would cut off the ball's foot."""
    volume, ball = ball_with_mast
    found = find_brain(volume, np.diag([3.0, 3.0, 3.0, 1.0]), Bright())
    assert dice(found.mask, ball) > 0.975 and found.agreement > 0.99


def test_a_stripped_scan_keeps_its_own_outline(head):
    """A network that calls everything brain finds no more than is there; around a whole head it is not held back."""
    scan, truth = head
    volume, brain = torch.from_numpy(scan.get_fdata(dtype=np.float32)), truth.get_fdata() > 0
    generous = torch.from_numpy(ndimage.binary_dilation(brain, iterations=2))
    whole, stripped = torch.where(generous, volume, 0.0), torch.where(torch.from_numpy(brain), volume, 0.0)
    assert not (find_brain(stripped, scan.affine).mask & ~ndimage.binary_fill_holes(brain)).any()
    assert (find_brain(whole, scan.affine).mask & ~brain).any()


@pytest.mark.filterwarnings("error")
def test_a_mask_that_vanishes_on_the_scan_is_refused_in_one_sentence(head, monkeypatch):
    """Where the level is beyond every probability there is no median and no surroundings: no warning of numpy's."""
    volume, affine = torch.from_numpy(head[0].get_fdata(dtype=np.float32)), head[0].affine
    monkeypatch.setattr(skull_stripping, "LEVELS", (LEVELS[0], (1.5, 1.5, 1.5)))
    with pytest.raises(DataError, match="no brain"):
        find_brain(volume, affine)


def test_where_the_mask_ends_depends_on_the_contrast(monkeypatch):
    """Of the shipped network: in a T1, which is brighter inside, lower than in an image that is not; a higher level
    leaves less of the same answer. Another network's mask ends at 0.5."""
    batch = Cohort(7).render([1], "head", 4.0, ("t1",))
    volume, affine = batch.images[0, 0], batch.affine.numpy()
    shipped, own = find_brain(volume, affine).volume_ml, find_brain(volume, affine, networks.load(WEIGHTS)[0]).volume_ml
    monkeypatch.setattr(skull_stripping, "LEVELS", (LEVELS[0], (0.5, 0.5, 0.6)))
    assert shipped > own > find_brain(volume, affine).volume_ml


def test_the_mask_of_a_t2_ends_where_that_of_another_network_would():
    """Its level was not chosen: no T2 of a whole head with a reference was at hand."""
    batch = Cohort(7).render([1], "head", 4.0, ("t2",))
    volume, affine = batch.images[0, 0], batch.affine.numpy()
    shipped, own = find_brain(volume, affine), find_brain(volume, affine, networks.load(WEIGHTS)[0])
    assert np.array_equal(shipped.mask, own.mask)


def test_a_bright_background_is_no_air(head):
    """As of an inverted contrast, whose mask was nonsense; tissue at the sides of a cropped scan is none."""
    volume, affine = torch.from_numpy(head[0].get_fdata(dtype=np.float32)), head[0].affine
    for inverted in (volume.max() - volume, -volume):
        with pytest.raises(DataError, match="is brighter than the brain|as even inside|no brain"):
            find_brain(inverted, affine)


@pytest.mark.parametrize(("times", "is_refused"), [(1.1, False), (1.5, True)])
def test_only_what_is_brighter_around_than_inside_is_refused(head, times, is_refused):
    """A scan that is cropped on all sides, so that bright fat lies there."""
    volume, brain = (torch.from_numpy(np.array(image.dataobj, np.float32)) for image in head)
    for axis in range(3):
        volume.transpose(0, axis)[[0, -1]] = times * volume[brain > 0].median()
    if is_refused:
        with pytest.raises(DataError, match="is brighter than the brain: is its contrast inverted"):
            find_brain(volume, head[0].affine)
    else:
        assert dice(find_brain(volume, head[0].affine).mask, brain.numpy() > 0) > 0.9


def test_a_negative_background_is_black(ball_with_mast):
    """Resampling and intensity corrections leave backgrounds below 0: only what lies above them is signal."""
    volume, ball = ball_with_mast
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    found = find_brain(volume - 70, affine, Bright())
    assert np.array_equal(found.mask, find_brain(volume, affine, Bright()).mask) and dice(found.mask, ball) > 0.975


@pytest.mark.parametrize("padding", [-32768, -2000, 32767, 65535])
def test_padding_is_black(head, padding):
    volume, affine = torch.from_numpy(head[0].get_fdata(dtype=np.float32)), head[0].affine
    padded = volume.where(volume > 0.02 * volume.max(), float(padding))
    assert (padded == padding).float().mean() > 0.2
    assert dice(find_brain(padded, affine).mask, find_brain(volume, affine).mask) > 0.98


@pytest.mark.parametrize("values", [(-3.6, 9), (0, 255), (900, 1100), (-1000, 900)])
def test_what_is_no_padding_stays(values):
    volume = torch.linspace(*values, 4096).reshape(16, 16, 16)
    volume[:4] = volume.min()  # as around a stripped brain
    assert torch.equal(above_black(volume), volume - min(values[0], 0))
    volume[8, 8, 8] = 1e7  # a hot voxel
    assert torch.equal(above_black(volume), volume - min(values[0], 0))


def test_the_first_guess_is_below_the_crown_in_the_middle_of_the_sides():
    """An ellipsoid of 150 x 190 x 220 mm round a known place, on a grid of 4 mm with its first axis mirrored."""
    affine = nib.affines.from_matvec(np.diag([-4.0, 4.0, 4.0]), [140.0, -90.0, -160.0])
    points = nib.affines.apply_affine(affine, np.moveaxis(np.indices((64, 64, 64)), 0, -1))
    head = (((points - [15.0, 35.0, -40.0]) / [75.0, 95.0, 110.0]) ** 2).sum(-1) < 1
    guess = _center_of_head(torch.from_numpy(head * 100.0), affine)
    assert guess == pytest.approx([15.0, 35.0, -40.0 + 110.0 - 85.0], abs=6.0)


def test_a_network_that_contradicts_itself_is_not_trusted(ball_with_mast):
    with pytest.raises(DataError, match="contradicts itself on the mirror image"):
        find_brain(ball_with_mast[0], np.diag([3.0, 3.0, 3.0, 1.0]), Contradicts())


def test_one_piece_without_holes(head):
    scan, _ = head
    mask = find_brain(torch.from_numpy(scan.get_fdata(dtype=np.float32)), scan.affine).mask
    assert ndimage.label(mask)[1] == 1
    assert ndimage.label(~np.pad(mask, 1))[1] == 1


def test_the_scale_of_the_intensities_does_not_matter(head):
    scan, _ = head
    x = torch.from_numpy(scan.get_fdata(dtype=np.float32))[None, None]
    assert torch.allclose(normalize(x), normalize(x * 37.0), atol=1e-5)
    assert 0 <= normalize(x).min() and normalize(x).max() <= 1.5


def test_nothing_is_overwritten(head, tmp_path):
    nib.save(head[0], tmp_path / "scan.nii.gz")
    (tmp_path / "scan_mask.nii.gz").write_bytes(b"mine")
    with pytest.raises(DataError, match="nothing is overwritten"):
        strip(tmp_path / "scan.nii.gz")
    assert (tmp_path / "scan_mask.nii.gz").read_bytes() == b"mine"
    assert not (tmp_path / "scan_brain.nii.gz").exists()


def noise(shape=(60, 70, 60)):
    return np.random.default_rng(0).normal(100, 20, shape).astype(np.float32)


def ball():
    grid = np.indices((60, 60, 60)) - 30
    return (np.sqrt((grid**2).sum(0)) < 8).astype(np.float32) * 100 + np.random.default_rng(0).random((60, 60, 60))


def bottle():
    x, y, z = (np.indices((64, 64, 64)) - 31.5) / 31.5
    water = (x**2 + y**2 < 0.3) & (abs(z) < 0.9)
    return (100 * water * (1 + 0.2 * z) + 2 * np.random.default_rng(0).random((64, 64, 64))).astype(np.float32)


def made(case: str) -> np.ndarray:
    """Something of a head's size that no one has on the shoulders, with a little noise, voxels of 3 mm."""
    x, y, z = (np.indices((64, 72, 64)) - np.array([31.5, 35.5, 31.5])[:, None, None, None]) * 3.0  # mm
    radius = np.sqrt(x**2 + y**2 + z**2)
    eight = [(a, b, c) for a in (-32, 32) for b in (-32, 32) for c in (-32, 32)]
    checker = (np.floor(x / 12) + np.floor(y / 12) + np.floor(z / 12)) % 2
    if case == "a ball with eight spheres":
        near = [np.sqrt((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) for a, b, c in eight]
        values = np.where(np.min(near, 0) < 18, 170.0, 100.0) * (radius < 68.5)
    elif case == "half a ball with spheres":
        values = np.where(np.min([np.hypot(x - a, y - b) for a, b, _ in eight], 0) < 15, 170.0, 100.0)
        values = values * (radius < 75) * (z > -20)
    elif case == "a checkered ellipsoid":
        values = (70 + 60 * checker) * ((x / 68) ** 2 + (y / 85) ** 2 + (z / 66) ** 2 < 1)
    elif case == "shells":
        values = np.select(
            [radius < 25, radius < 45, radius < 62, radius < 78, radius < 84], [140, 60, 110, 70, 20], 0.0
        )
    else:
        tubes = [np.hypot(x - 40 * np.cos(a), y - 40 * np.sin(a)) < 11 for a in np.arange(6) * np.pi / 3]
        values = np.select(tubes, [30, 170, 60, 200, 130, 20], 100.0) * (np.hypot(x, y) < 65) * (abs(z) < 75)
    return (values + 2 * np.random.default_rng(0).random(values.shape)).astype(np.float32)


MADE = ["a ball with eight spheres", "half a ball with spheres", "a checkered ellipsoid", "shells", "a bundle of tubes"]


@pytest.mark.parametrize("case", MADE)
def test_what_was_made_is_no_head(case):
    """The network finds a brain of plausible size in each, and the same in its mirror image."""
    with pytest.raises(DataError, match="as even inside as a bottle|no top and bottom"):
        find_brain(torch.from_numpy(made(case)), np.diag([3.0, 3, 3, 1]))


@pytest.mark.parametrize("degrees", [0, 30, 70])
def test_a_mask_is_compared_with_its_reflection_however_it_is_turned(degrees):
    x, y, z = (np.indices((48, 48, 48)) - 23.5) / 20
    ellipsoid = (x / 0.7) ** 2 + y**2 + (z / 0.8) ** 2 < 1
    cone = (np.hypot(x, y) < 0.5 * (z + 0.7)) & (z < 0.7)
    for shape, low, high in ((ellipsoid, 0.97, 1.0), (cone, 0.3, 0.8)):
        turned = ndimage.rotate(shape.astype(float), degrees, (1, 2), reshape=False, order=1) > 0.5
        assert low < own_reflection(np.pad(turned, ((0, 0), (0, 0), (0, 9)))) <= high


NO_HEADS = {
    "a bottle": (bottle(), "bottle|head"),
    "noise": (noise(), "head"),
    "a small ball": (ball(), "head"),
    "NaN": (np.where(np.indices((60, 70, 60))[0] == 3, np.nan, noise()), "NaN"),
    "constant": (np.full((60, 70, 60), 3.0, np.float32), "one value"),
    "a slice": (noise((60, 70, 1)), "a slice and no volume"),
    "two volumes": (noise((30, 35, 30, 2)), "not one volume"),
}


@pytest.mark.parametrize("case", NO_HEADS)
def test_what_is_no_head_is_refused_in_one_sentence(case, tmp_path):
    values, said = NO_HEADS[case]
    file = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(values, np.diag([3.0, 3, 3, 1])), file)
    with pytest.raises(DataError, match=said) as refused:
        strip(file)
    assert str(file) in str(refused.value) and "\n" not in str(refused.value)
    assert os.listdir(tmp_path) == ["scan.nii.gz"]


@pytest.mark.parametrize("content", [b"", b"no image", None], ids=["empty", "text", "missing"])
def test_what_is_no_file_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "scan.nii.gz").write_bytes(content)
    with pytest.raises(DataError):
        strip(tmp_path / "scan.nii.gz")


@pytest.mark.skipif(not (REAL / "head_t1.nii.gz").exists(), reason="the real head is not here")
def test_a_real_head():
    """Without a reference: a plausible volume, one answer for the head however it is seen."""
    volume, affine = read_scan(REAL / "head_t1.nii.gz")
    found = find_brain(volume, affine)
    assert 1300 < found.volume_ml < 1750 and found.agreement > 0.97
    top = float(volume.max())
    others = {
        "inverted": torch.where(volume > 0.06 * top, (1.1 * top - volume).clamp(min=0), volume),
        "thick slices": torch.nn.functional.interpolate(
            torch.nn.functional.avg_pool3d(volume[None, None], (1, 5, 1)), volume.shape, mode="trilinear"
        )[0, 0],
    }
    for name, other in others.items():
        assert dice(find_brain(other, affine).mask, found.mask) > 0.93, name
    for degrees in (-20, 20):  # a nod: axes are left, inferior, anterior
        nod, nodded = (
            ndimage.rotate(np.asarray(v, np.float32), degrees, (1, 2), reshape=False, order=1)
            for v in (volume, found.mask)
        )
        assert dice(find_brain(torch.from_numpy(nod), affine).mask, nodded > 0.5) > 0.96


@pytest.mark.parametrize("name", ["out.mgz", "out.img", "out.NII.gz"])
def test_no_folder_is_made_under_the_name_of_an_image(tmp_path, name):
    with pytest.raises(DataError, match="ends in neither .nii nor .nii.gz; call it so, or name a folder"):
        output_files(tmp_path / "head.nii.gz", tmp_path / name)
    (tmp_path / name).mkdir()
    assert output_files(tmp_path / "head.nii.gz", tmp_path / name)[0] == tmp_path / name / "head_brain.nii.gz"
