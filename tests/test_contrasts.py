"""The contrasts of one patient: left out, in another order, on other grids, moved, with skull; and what is refused."""

import re
import warnings
from itertools import combinations, permutations

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from brainscans import tumor_segmentation
from brainscans.contrasts import brain_of, check_order, read_contrasts
from brainscans.refusal import ScanWarning
from brainscans.registration import register
from brainscans.resampling import resample
from brainscans.skull_stripping import BrainMask
from brainscans.tumor_segmentation import Segmentation, find_tumor, segment
from presimal.cli import main
from synthcohort import MSD_CONTRASTS, Cohort
from synthcohort.storage import DataError

NAMES = MSD_CONTRASTS
WRONG = [1, 2, 3, 0]  # T1, T1Gd, T2, FLAIR, as BraTS has them


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def patient():
    """A generated glioma at 2 mm: images (4, X, Y, Z) float32 without skull, labels, affine."""
    batch = Cohort(55).render([4], "tumor", 2.0, NAMES)
    return (batch.images[0] * batch.mask[0]).numpy(), batch.labels[0].numpy(), batch.affine.numpy()


@pytest.fixture
def files(patient, tmp_path):
    images, _, affine = patient
    for name, image in zip(NAMES, images, strict=True):
        nib.save(nib.Nifti1Image(image, affine), tmp_path / f"{name}.nii.gz")
    return {name: tmp_path / f"{name}.nii.gz" for name in NAMES}


@pytest.fixture
def one_grid(monkeypatch):
    """One grid instead of three: a third of the time."""
    monkeypatch.setattr(tumor_segmentation, "PARTS", {1.0: (1.0, 1.0, 1.0)})


class Remembers(torch.nn.Module):
    """A network that finds nothing and keeps what it has seen."""

    def forward(self, x):
        self.seen = x
        return torch.full((len(x), 3, *x.shape[2:]), -9.0)


def moved(degrees, millimeters):
    """A turn about the left-right axis and a shift, of RAS mm."""
    turn = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[1:3, 1:3], turn[:3, 3] = [[c, -s], [s, c]], millimeters
    return turn


@pytest.mark.parametrize(("degrees", "shift"), [(0, (0, 0, 0)), (8, (3, -6, 9)), (-12, (40, 10, -60))])
def test_registration_undoes_a_known_movement_between_contrasts(patient, degrees, shift):
    """T2 is moved, and cut into slices of 4 mm; on the grid of T1Gd it is where it was, but for the slices."""
    images, _, affine = patient
    place = moved(degrees, shift) @ affine
    slices = np.add.reduceat(images[3], np.arange(0, images.shape[3], 2), axis=2) / 2
    thick = place @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0.5], [0, 0, 0, 1.0]])
    found = register(torch.from_numpy(slices), thick, torch.from_numpy(images[2]), affine)[0].numpy()
    still = resample(slices, np.linalg.inv(moved(degrees, shift)) @ thick, affine, images[2].shape)
    assert np.corrcoef(found.ravel(), still.ravel())[0, 1] > 0.985
    apart = [ndimage.center_of_mass(image) for image in (found, still)]
    assert np.abs(np.subtract(*apart)).max() * 2 < 0.8  # mm


def test_scans_that_do_not_overlap_start_at_their_centers():
    """As headers of two scanners may place them, 100 mm apart: the shift is found all the same."""
    batch = Cohort(55).render([4], "tumor", 4.0, ("t1", "t2"))
    (t1, t2), affine = batch.images[0] * batch.mask[0], batch.affine.numpy()
    found, _ = register(t2, moved(0, (60, 0, -80)) @ affine, t1, affine)
    assert np.corrcoef(found.numpy().ravel(), t2.numpy().ravel())[0, 1] > 0.98


def test_scans_that_lie_far_from_each_other_start_at_their_centers_too(patient, files):
    """Nothing of the one is where the other is."""
    images, _, affine = patient
    nib.save(nib.Nifti1Image(images[0], moved(0, (900, 0, 0)) @ affine), files["flair"])
    found, _, _ = read_contrasts({name: files[name] for name in ("t1", "flair")})
    assert np.corrcoef(found[0].numpy().ravel(), images[0].ravel())[0, 1] > 0.98


def test_registration_is_the_same_every_time(patient):
    images, _, affine = patient
    volumes, place = torch.from_numpy(images), moved(5, (2, 2, 2)) @ affine
    one, other = (register(volumes[0], place, volumes[1], affine)[0] for _ in range(2))
    assert torch.equal(one, other)


def test_scans_on_other_grids_are_brought_to_the_finest(patient, files):
    images, _, affine = patient
    coarse = affine @ np.diag([1, 1, 2, 1.0])
    nib.save(nib.Nifti1Image(images[0][:, :, ::2], moved(6, (4, 4, 4)) @ coarse), files["flair"])
    nib.save(nib.Nifti1Image(images[3][5:], affine), files["t2"])  # as if 10 mm elsewhere
    found, place, file = read_contrasts(files)
    assert np.array_equal(place, affine) and file == files["t1"] and found.shape == images.shape
    assert np.array_equal(found[1:3].numpy(), images[1:3])
    for k in (0, 3):
        assert np.corrcoef(found[k].numpy().ravel(), images[k].ravel())[0, 1] > 0.97
    plain = find_tumor(torch.from_numpy(images), affine).labels
    assert dice(find_tumor(found, place).labels > 0, plain > 0) > 0.9


@pytest.mark.parametrize(("mm", "is_registered"), [(0.3, False), (4.0, True)])
def test_a_scan_of_the_same_shape_that_lies_elsewhere_is_registered(tmp_path, monkeypatch, mm, is_registered):
    values = np.random.default_rng(0).normal(100, 20, (2, 10, 10, 10)).astype(np.float32)
    files = {name: tmp_path / f"{name}.nii.gz" for name in ("t1", "t2")}
    for image, file, shift in zip(values, files.values(), (0, mm), strict=True):
        nib.save(nib.Nifti1Image(image, moved(0, (0, shift, 0)) @ np.diag([2, 2, 2, 1.0])), file)
    monkeypatch.setattr(
        "brainscans.registration.register", lambda volume, place, fixed, affine: (fixed + 1, np.ones(3))
    )
    images, _, _ = read_contrasts(files)
    expected = values[0] + 1 if is_registered else values[1]
    assert np.allclose(images[NAMES.index("t2")], expected) and np.array_equal(images[NAMES.index("t1")], values[0])


def test_what_a_moved_scan_does_not_reach_is_background(patient, files):
    """Images with a mean of 0 in the brain, as some data sets have them: their background is not their minimum."""
    images, _, affine = patient
    centered = images - images[images > 0].mean() * (images > 0)
    assert centered.min() < -0.2
    nib.save(nib.Nifti1Image(centered[0], affine), files["flair"])
    nib.save(nib.Nifti1Image(centered[1][8:-8, 8:-8, 8:-8], moved(0, (30, 0, 30)) @ affine), files["t1"])
    found, place, _ = read_contrasts({name: files[name] for name in ("flair", "t1")})
    _, brain = brain_of(found, place, "x")
    assert dice(brain.numpy(), images[0] > 0) > 0.95


def test_a_cube_turned_about_its_diagonal_is_turned_back(patient, files):
    """Its first and last voxel lie where those of the other scan do, and all others elsewhere."""
    images, _, affine = patient
    cubes = [image[:80, 8:88, :80] for image in images[:2]]
    turn = np.eye(4)[[2, 0, 1, 3]]  # voxels (z, x, y)
    nib.save(nib.Nifti1Image(cubes[0], affine), files["flair"])
    nib.save(nib.Nifti1Image(cubes[1].transpose(2, 0, 1), affine @ np.linalg.inv(turn)), files["t1"])
    found, _, _ = read_contrasts({name: files[name] for name in ("flair", "t1")})
    assert np.corrcoef(found[1].numpy().ravel(), cubes[1].ravel())[0, 1] > 0.98


def test_a_scan_that_shows_something_else_is_refused_by_name(files):
    noise = np.random.default_rng(0).normal(100, 20, (60, 60, 60)).astype(np.float32)
    nib.save(nib.Nifti1Image(noise, np.diag([3, 3, 3, 1.0])), files["t2"])
    with pytest.raises(DataError, match=r"t2\.nii\.gz: cannot be registered to .*flair.*one head, in one size"):
        read_contrasts(files)


@pytest.mark.parametrize("wrong", [(1.3, 1.3, 1.3), (0.75, 0.75, 0.75), (1, 1, 1.25)])
def test_a_voxel_size_that_is_wrong_is_told_with_its_factor(patient, files, wrong):
    """As of another scan, or of slices whose gap was left out of their distance."""
    images, _, affine = patient
    nib.save(nib.Nifti1Image(images[0], moved(5, (3, 0, -4)) @ affine @ np.diag([*wrong, 1])), files["flair"])
    with pytest.raises(DataError, match="its voxel size seems wrong by a factor of about") as refused:
        read_contrasts({name: files[name] for name in ("t1", "flair")})
    file, told = re.search(r"(\w+)\.nii\.gz: its .* about ([\d.]+),", str(refused.value)).groups()
    most = max(wrong, key=lambda factor: abs(np.log(factor)))
    assert float(told) ** (1 if file == "flair" else -1) == pytest.approx(most, rel=0.06)  # the finest one is believed


def smooth_noise(shape, voxels, seed=1):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), voxels)


def of_another():
    other = Cohort(56).render([2], "tumor", 2.0, ("t2",))
    return (other.images[0, 0] * other.mask[0]).numpy()


def on_grid_of(image, other):
    """What fits of another image, about the same center; 0 beyond."""
    found = np.zeros_like(image)
    both = [min(a, b) for a, b in zip(image.shape, other.shape, strict=True)]
    cut = lambda shape: tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(shape, both, strict=True))  # noqa: E731
    found[cut(image.shape)] = other[cut(other.shape)]
    return found


NOT_THE_OTHER = {
    "noise": lambda image: (1 + 0.2 * smooth_noise(image.shape, 0)) * (image > 0),
    "noise in the outline of the brain, smooth": lambda image: (1 + smooth_noise(image.shape, 3)) * (image > 0),
    "large blobs": lambda image: (1 + 9 * smooth_noise(image.shape, 6)) * (image > 0),
    "nothing": lambda image: (image > 0) * (1 + 1e-4 * smooth_noise(image.shape, 0)),
    "a slope": lambda image: np.linspace(1, 2, image.shape[0])[:, None, None] * (image > 0),
    "another person": lambda image: on_grid_of(image, of_another()),
}


@pytest.mark.parametrize("kind", NOT_THE_OTHER)
@pytest.mark.parametrize("names", [("t1", "t2"), ("flair", "t1", "t2")])
def test_a_contrast_that_shows_something_else_than_the_others_is_refused(patient, files, names, kind, one_grid):
    """On the same grid and in the outline of the same brain, so that nothing has to be registered."""
    images, _, affine = patient
    odd = NOT_THE_OTHER[kind](images[NAMES.index("t2")]).astype(np.float32)
    nib.save(nib.Nifti1Image(odd, affine), files["t2"])
    with pytest.raises(DataError, match="scans of the same head|and no mask") as refused:
        segment({name: files[name] for name in names}, model=Remembers())
    said = ("T2 is the same all over the brain", "T1 and T2 show different things", "T2 shows what no other one does")
    assert said[0 if kind == "nothing" else len(names) - 1] in str(refused.value)


def test_a_contrast_that_covers_a_part_of_the_brain_is_said_to(patient, files, capsys, one_grid):
    images, _, affine = patient
    upper = np.arange(images.shape[3]) > np.argwhere(images[3] > 0)[:, 2].min() + 25
    nib.save(nib.Nifti1Image(images[3] * upper, affine), files["t2"])
    assert (
        main(["segment", "--flair", str(files["flair"]), "--t2", str(files["t2"]), "-o", f"{files['t2']}.x.nii"]) == 0
    )
    said = [line for line in capsys.readouterr().err.splitlines() if "of the brain only" in line]
    assert len(said) == 1 and ": T2 covers " in said[0] and 50 < int(said[0].split("covers ")[1].split("%")[0]) < 95


def coarser(image):
    """In voxels of 3 mm, and back."""
    place = np.diag([1.5, 1.5, 1.5, 1.0])
    shape = tuple(np.ceil(np.array(image.shape) / 1.5).astype(int))
    return resample(resample(image, np.eye(4), place, shape), place, np.eye(4), image.shape)


COPIES = {
    "in another unit": lambda image: 3 * image + 7 * (image > 0),
    "in whole numbers": lambda image: np.round(900 * image).astype(np.int16),
    "negative": lambda image: (image.max() * 1.1 - image) * (image > 0),
    "with another curve": lambda image: np.sqrt(image),
    "with noise": lambda image: image + 0.1 * image.std() * smooth_noise(image.shape, 0) * (image > 0),
    "as of another coil": lambda image: image * np.linspace(0.7, 1.3, image.shape[0])[:, None, None],
    "coarser": coarser,
    "smooth": lambda image: ndimage.gaussian_filter(image, 0.7),
    "clipped": lambda image: image.clip(*np.quantile(image[image > 0], (0.1, 0.9))) * (image > 0),
}


@pytest.mark.parametrize(
    ("kind", "other"),
    [(kind, other) for kind in COPIES for other in (("flair", "t2"), ("t1", "t2"))]
    + [(kind, ("t1", "t1gd")) for kind in ("in another unit", "in whole numbers", "negative", "smooth")],
)
def test_a_second_copy_however_changed_is_refused(patient, files, kind, other, one_grid):
    images, _, affine = patient
    one, two = other
    copy = COPIES[kind](images[NAMES.index(one)])
    nib.save(nib.Nifti1Image(copy if copy.dtype == np.int16 else copy.astype(np.float32), affine), files[two])
    with pytest.raises(DataError, match="once more, changed; give each its own scan"):
        segment({name: files[name] for name in other}, model=Remembers())


T1_ONCE_MORE = {
    "with noise": lambda image, noise: image + 0.4 * image.std() * noise,
    "with much noise": lambda image, noise: image + 1.0 * image.std() * noise,
    "coarser": lambda image, noise: coarser(image),
    "coarser, with noise": lambda image, noise: coarser(image) + 0.3 * image.std() * noise,
    "without outliers": lambda image, noise: ndimage.median_filter(image, 3),
    "as of another coil": lambda image, noise: image * np.linspace(0.6, 1.4, len(image))[:, None, None],
    "clipped above": lambda image, noise: ndimage.median_filter(image, 3).clip(0, np.quantile(image[image > 0], 0.9)),
}


@pytest.mark.parametrize("kind", T1_ONCE_MORE)
def test_t1gd_that_is_t1_in_disguise_is_said_to_show_no_more(patient, kind, one_grid):
    """It cannot be refused: a patient whose T1Gd was taken too early has such ones."""
    images = fewer(patient[0], ("t1", "t1"), ("t1", "t1gd"))
    noise = smooth_noise(images.shape[1:], 0) * (patient[0][1] > 0)
    images[2] = torch.from_numpy(T1_ONCE_MORE[kind](patient[0][1], noise).astype(np.float32))
    with pytest.warns(ScanWarning, match="x: T1Gd shows no more than T1: if it is T1 once more"):
        find_tumor(images, patient[2], Remembers(), name="x")


def test_a_copy_on_another_grid_is_refused(patient, files, one_grid):
    images, _, affine = patient
    place = affine @ np.diag([1.4, 1.4, 1.4, 1.0])
    shape = tuple(np.ceil(np.array(images.shape[1:]) / 1.4).astype(int))
    nib.save(nib.Nifti1Image(resample(images[1], affine, place, shape), place), files["t2"])
    with pytest.raises(DataError, match="T2 is T1 once more, changed"):
        segment({name: files[name] for name in ("t1", "t2")}, model=Remembers())


def fewer(images, keys, names):
    """The images of `keys` under other names; the rest left out."""
    given = torch.zeros(images.shape)
    for key, name in zip(keys, names, strict=True):
        given[NAMES.index(name)] = torch.from_numpy(images[NAMES.index(key)])
    return given


SUBSETS = [keys for count in (1, 2, 3) for keys in combinations(NAMES, count)]


@pytest.mark.parametrize("keys", SUBSETS, ids=" ".join)
def test_fewer_contrasts_under_their_own_names_are_taken_without_a_word(patient, keys, one_grid):
    with warnings.catch_warnings(action="error"):
        find_tumor(fewer(patient[0], keys, keys), patient[2], Remembers())


@pytest.mark.parametrize("keys", [keys for keys in SUBSETS if len(keys) == 2], ids=" ".join)
def test_two_contrasts_under_each_others_names_are_refused(patient, keys, one_grid):
    with pytest.raises(DataError, match=r"x: \w+ and \w+ look exchanged; give each under its own name"):
        find_tumor(fewer(patient[0], keys, keys[::-1]), patient[2], Remembers(), name="x")


TOLD = [pair for pair in permutations(NAMES, 2) if {*pair} != {"t1", "t1gd"}]  # which alone are too much alike


@pytest.mark.parametrize(("key", "name"), TOLD)
def test_a_contrast_that_does_not_look_like_its_name_is_said_to(patient, key, name, one_grid):
    with pytest.warns(ScanWarning, match="x: .* does not look like one: is it what it is called?"):
        find_tumor(fewer(patient[0], [key], [name]), patient[2], Remembers(), name="x")


def test_two_contrasts_of_which_one_has_the_name_of_a_third_do_not_pass_in_silence(patient, one_grid):
    for key, name, other in [("t1", "flair", "t2"), ("t2", "flair", "t1"), ("flair", "t2", "t1gd")]:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                find_tumor(fewer(patient[0], (key, other), (name, other)), patient[2], Remembers())
            except DataError as refused:
                assert "look exchanged" in str(refused)
            else:
                assert any("is it what it is called?" in str(one.message) for one in said), (key, name, other)


def test_a_contrast_of_a_part_of_the_brain_does_not_seem_exchanged(patient, one_grid):
    images = patient[0].copy()
    images[3, :, :, : images.shape[3] // 2] = 0
    with pytest.warns(ScanWarning) as said:
        find_tumor(fewer(images, ("flair", "t2"), ("flair", "t2")), patient[2], Remembers())
    assert [" covers " in str(one.message) for one in said] == [True]


@pytest.mark.parametrize("left_out", [("t1",), ("t2",), ("t1gd",), ("t1", "t2")])
def test_contrasts_may_be_left_out(patient, files, left_out):
    given = {name: file for name, file in files.items() if name not in left_out}
    images, _, _ = read_contrasts(given)
    assert [bool(image.any()) for image in images] == [name in given for name in NAMES]
    found = segment(given)
    assert dice(found.labels > 0, patient[1] > 0) > 0.75
    assert (found.volumes_ml["enhancing tumor"].value == 0) == ("t1gd" in left_out)


def test_what_is_left_out_has_a_stand_in(patient, one_grid):
    images, network = torch.from_numpy(patient[0]), Remembers()
    seen = {}
    for k, name in enumerate(NAMES):
        fewer = images.clone()
        fewer[k] = 0
        find_tumor(fewer, patient[2], network)
        seen[name] = network.seen[0]
    assert torch.equal(seen["t1gd"][2], seen["t1gd"][1])
    fluid = seen["flair"][3] > 2.5
    assert fluid.any() and (seen["flair"][0][fluid] == -1).all()
    assert torch.equal(seen["flair"][0][~fluid], seen["flair"][3][~fluid])
    assert not seen["t1"][1].any() and not seen["t2"][3].any()
    assert torch.equal(seen["t2"][0], seen["t1"][0]) and torch.equal(seen["t2"][2], seen["t1"][2])


def test_names_in_any_order_are_the_same_as_files_in_order(files, one_grid):
    by_name, in_order = Remembers(), Remembers()
    segment(dict(reversed(files.items())), model=by_name)
    segment(list(files.values()), model=in_order)
    assert torch.equal(by_name.seen, in_order.seen)


def test_the_order_of_the_contrasts_is_judged_outside_the_tumor():
    """Of 30 generated patients of five sites none is refused in the right order, and all are in that of BraTS."""
    batch = Cohort(9, sites=5).render(range(30), "tumor", 6.0, NAMES)
    for images, mask, labels in zip(batch.images, batch.mask > 0.5, batch.labels, strict=True):
        healthy = mask & (labels == 0)
        check_order(images, healthy, "x")
        with pytest.raises(DataError, match="look like T1, T1Gd, T2, FLAIR"):
            check_order(images[WRONG], healthy, "x")


@pytest.mark.parametrize(("ml", "refused"), [(320, True), (480, False)])
def test_less_than_400_ml_are_no_whole_brain(ml, refused):
    """A known volume, a ball without its front below, as a brain is whose voxels are said to be too small."""
    axes = np.indices((32, 32, 32)) - 15.5
    ball = ((axes**2).sum(0) <= 14**2) & ~((axes[1] > 0) & (axes[2] < -2))
    spacing = (ml * 1000 / ball.sum()) ** (1 / 3)
    values = np.random.default_rng(0).uniform(1, 2, (4, *ball.shape)) * ball
    images, affine = torch.from_numpy(values.astype(np.float32)), np.diag([spacing] * 3 + [1.0])
    if refused:
        with pytest.raises(DataError, match=r"x: holds 3\d\d ml of brain"):
            brain_of(images, affine, "x")
    else:
        assert float(brain_of(images, affine, "x")[1].sum()) == pytest.approx(ball.sum(), rel=0.05)


def test_a_skull_is_taken_off_first():
    batch = Cohort(3).render([0], "head", 3.0, NAMES)
    images, brain = brain_of(batch.images[0], batch.affine.numpy(), "x")
    assert dice(brain.numpy(), batch.mask[0].numpy() > 0.5) > 0.95
    assert images.shape == batch.images[0].shape
    assert find_tumor(batch.images[0], batch.affine.numpy()).volumes_ml["whole tumor"].value < 3


def test_a_ball_is_no_stripped_brain():
    grid = np.stack(np.meshgrid(*[np.arange(-60, 60, 3.0)] * 3, indexing="ij"))
    ball = (np.linalg.norm(grid, axis=0) < 55) * (1 + 0.2 * np.random.default_rng(0).random(grid.shape[1:]))
    images = torch.from_numpy(np.stack([ball] * 4)).float()
    with pytest.raises(DataError, match="x: shows something without top and bottom"):
        brain_of(images, np.diag([3.0, 3, 3, 1]), "x")
    assert ball.astype(bool).sum() * 0.027 > 600  # ml: as large as a brain


@pytest.mark.parametrize(("left_out", "first"), [((), "t1"), (("t1",), "t1gd"), (("t1", "t1gd"), "flair")])
def test_of_scans_with_skull_t1_is_stripped_first(monkeypatch, left_out, first):
    images = torch.rand(4, 32, 32, 32, generator=torch.Generator().manual_seed(0)) + 1
    images[:, 0], images[:, -1], images[:, :, [0, -1]], images[..., [0, -1]] = 0, 0, 0, 0
    for name in left_out:
        images[NAMES.index(name)] = 0
    seen = []

    def found(volume, affine, device=None):
        seen.append(volume)
        return BrainMask(np.ones(volume.shape, bool), 1000.0, 1.0)

    monkeypatch.setattr("brainscans.contrasts.find_brain", found)
    brain_of(images, np.diag([6, 6, 6, 1.0]), "x")
    assert len(seen) == 1 and torch.equal(seen[0], images[NAMES.index(first)])


def test_the_command_takes_contrasts_by_name_and_says_what_is_missing(files, tmp_path, capsys, one_grid):
    out = tmp_path / "labels.nii.gz"
    named = ["--flair", str(files["flair"]), "--t1gd", str(files["t1gd"]), "-o", str(out)]
    assert main(["segment", *named]) == 0
    said = capsys.readouterr().out
    assert "left out: T1, T2" in said and "whole tumor" in said and " to " in said
    assert "cannot be told" not in said
    assert main(["segment", "--flair", str(files["flair"]), "-o", str(tmp_path / "flair_alone.nii.gz")]) == 0
    assert "left out: T1, T1Gd, T2" in (said := capsys.readouterr().out) and "what enhances cannot be told" in said
    assert main(["segment", str(files["t1"]), *named]) == 2
    assert "not both" in capsys.readouterr().err
    assert main(["segment", "-o", str(tmp_path / "none.nii.gz")]) == 2
    assert "0 files were given" in capsys.readouterr().err


def test_labels_in_the_numbers_of_brats(patient, files, tmp_path, capsys, monkeypatch):
    found = Segmentation(patient[1].astype(np.uint8), np.zeros((3, *patient[1].shape), np.float32), {})
    monkeypatch.setattr(tumor_segmentation, "find_tumor", lambda *_, **__: found)
    both = []
    for options in ([], ["--brats"]):
        out = tmp_path / f"labels{len(options)}.nii.gz"
        assert main(["segment", *map(str, files.values()), "-o", str(out), *options]) == 0
        both.append(np.asarray(nib.load(out).dataobj))
    msd, brats = both
    assert np.array_equal(msd, patient[1]) and all((msd == k).any() for k in (1, 2, 3))
    assert np.array_equal(msd == 1, brats == 2) and np.array_equal(msd == 2, brats == 1)
    assert np.array_equal(msd == 3, brats == 3)
    assert "1 non-enhancing or necrotic, 2 edema" in capsys.readouterr().out
