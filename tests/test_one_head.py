"""Contrasts that do not lie over each other, are turned, or show no tissue, are refused with the true cause."""

import warnings

import numpy as np
import pytest
from scipy import ndimage

from brainscans.contrasts import _once_more
from brainscans.one_head import check_one_head, follows
from brainscans.refusal import ScanWarning
from synthcohort import MSD_CONTRASTS, Cohort
from synthcohort.storage import DataError

NAMES = ("FLAIR", "T1", "T1Gd", "T2")


@pytest.fixture(scope="module")
def patient():
    """Contrasts of a generated glioma in voxels of 3 mm, (X, Y, Z) by their titles, and the brain (X, Y, Z)."""
    batch = Cohort(55).render([4], "tumor", 3.0, MSD_CONTRASTS)
    brain = (batch.mask[0] > 0.5).numpy()
    images = batch.images[0].numpy() * brain
    spread = images[:, brain].std(1)[:, None, None, None]
    return dict(zip(NAMES, images / spread, strict=True)), brain


def said_of(patient, changed, keys=NAMES):
    """What is said when contrasts are changed, each by a function."""
    images, brain = patient
    images = {name: changed.get(name, np.asarray)(images[name]).astype(np.float32) for name in keys}
    with pytest.raises(DataError, match="^x: ") as refused:
        check_one_head(images, brain, 3.0, "x")
    return str(refused.value)


@pytest.mark.parametrize("keys", [NAMES, ("FLAIR", "T1")])
@pytest.mark.parametrize(("voxels", "axis"), [(2, 0), (-2, 1), (3, 2), (7, 1)])
def test_a_contrast_that_lies_elsewhere_is_told_by_how_much(patient, voxels, axis, keys):
    said = said_of(patient, {"FLAIR": lambda image: np.roll(image, voxels, axis)}, keys)
    assert f"FLAIR and T1 lie {abs(voxels) * 3} mm apart, though not by their headers; bring them" in said


TURNS = {
    "left for right": lambda image: image[::-1],
    "front for back": lambda image: image[:, ::-1],
    "upside down": lambda image: image[:, :, ::-1],
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("title", ["FLAIR", "T2"])
def test_a_contrast_that_is_mirrored_is_told(patient, turn, title):
    said = said_of(patient, {title: TURNS[turn]})
    assert f"{title} and " in said or f" and {title}" in said
    assert "show one head, turned or mirrored against each other; see that" in said


def depth(image):
    return ndimage.distance_transform_edt(image != 0)


NO_TISSUE = {
    "distances": depth,
    "distances with noise": lambda image: depth(image) + np.random.default_rng(0).normal(size=image.shape),
    "a smooth mask": lambda image: ndimage.gaussian_filter(1.0 * (image != 0), 4),
    "a very smooth mask": lambda image: ndimage.gaussian_filter(1.0 * (image != 0), 8),
}


@pytest.mark.parametrize("kind", NO_TISSUE)
@pytest.mark.parametrize("keys", [NAMES, ("T1",)])
def test_a_mask_however_smooth_is_no_contrast(patient, kind, keys):
    said = said_of(patient, {"T1": lambda image: NO_TISSUE[kind](image) / NO_TISSUE[kind](image).std()}, keys)
    assert (
        "x: T1 changes with the place in the brain alone, as a smooth mask, and shows no tissue; give the scan itself"
        in said
    )


@pytest.mark.parametrize("degrees", [12, 20, 40])
def test_a_contrast_that_is_tilted_does_not_pass_in_silence(patient, degrees):
    images, brain = patient
    tilted = ndimage.rotate(images["T2"], degrees, (1, 2), reshape=False, order=1)
    with warnings.catch_warnings(action="error"), pytest.raises((DataError, ScanWarning), match="x: .*T2"):
        check_one_head(images | {"T2": tilted}, brain, 3.0, "x")


@pytest.mark.parametrize("keys", [NAMES, ("FLAIR", "T1Gd"), ("T1", "T2"), ("T2",)])
def test_contrasts_of_one_brain_pass(patient, keys):
    images, brain = patient
    with warnings.catch_warnings(action="error"):
        check_one_head({name: images[name] for name in keys}, brain, 3.0, "x")


@pytest.fixture(scope="module")
def another(patient):
    """Contrasts of somebody else in the outline of the patient's brain."""
    _, brain = patient
    batch = Cohort(56).render([2], "tumor", 3.0, MSD_CONTRASTS)
    found = {}
    for name, image in zip(NAMES, batch.images[0].numpy(), strict=True):
        shift = np.argwhere(brain).mean(0) - np.argwhere(batch.mask[0].numpy() > 0.5).mean(0)
        moved = ndimage.affine_transform(image, np.eye(3), -shift, output_shape=brain.shape, order=1) * brain
        found[name] = (moved / moved[brain].std()).astype(np.float32)
    return found


@pytest.mark.parametrize(
    ("theirs", "said"), [(("FLAIR", "T1"), "the pair of FLAIR and T1 "), (("T1", "T1Gd"), "mm apart")]
)
def test_two_contrasts_of_one_head_and_two_of_another_do_not_pass_in_silence(patient, another, theirs, said):
    """Each has one that it goes with, but the two pairs do not go together."""
    images, brain = patient
    mixed = images | {name: another[name] for name in theirs}
    with warnings.catch_warnings(action="error"), pytest.raises((DataError, ScanWarning), match=said):
        check_one_head(mixed, brain, 3.0, "x")


def with_uptake(t1, brain, part):
    """T1 and, independent of it, what takes up gadolinium, so much that this part of the variance follows from T1."""
    spots = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=t1.shape), 1.2)
    spots = np.maximum(spots - 1.5 * spots.std(), 0) * brain
    core, least, most = ndimage.binary_erosion(brain, iterations=2), 0.0, 50.0
    for _ in range(12):
        middle = (least + most) / 2
        more = max(follows(t1, t1 + middle * spots, core)[0], follows(t1 + middle * spots, t1, core)[0]) > part
        least, most = (middle, most) if more else (least, middle)
    return t1 + middle * spots, core


@pytest.mark.parametrize(("part", "is_once_more"), [(0.955, False), (0.975, True)])
def test_what_follows_from_t1_but_for_a_thirtieth_is_t1_once_more(patient, part, is_once_more):
    """Of patients whose T1Gd takes up nothing it was at most 0.946, of changed copies 0.985 and more."""
    images, brain = patient
    t1gd, core = with_uptake(images["T1"], brain, part)
    assert _once_more(images["T1"], t1gd, core) == (is_once_more, False)


@pytest.mark.parametrize("coil", [0.0, 0.3, 0.5])
def test_a_copy_through_another_coil_is_told(patient, coil):
    images, brain = patient
    slope = np.linspace(1 - coil, 1 + coil, brain.shape[0], dtype=np.float32)[:, None, None]
    assert "T2 is FLAIR once more, changed" in said_of(
        patient, {"FLAIR": lambda _: images["FLAIR"], "T2": lambda _: 2 * images["FLAIR"] * slope}, ("FLAIR", "T2")
    )
