"""Tissues of a T1: what is computed by hand, and a generated head whose tissues are known."""

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.affines import from_matvec
from scipy.spatial.transform import Rotation

from brainscans.resampling import Grid
from brainscans.scans import rise_inward
from brainscans.tissues import BLOCK, TISSUES, ask, asymmetry, find_tissues, fluid_signal, normalize
from synthcohort import Cohort
from synthcohort.storage import DataError


@pytest.fixture(scope="module")
def head():
    """A generated T1 head at 2 mm, RAS, and the volumes of its tissues in ml."""
    batch = Cohort(77, rotation=4.0).render([3], "head", 2.0, ("t1", "t2"))
    return batch.images[0], batch.affine.numpy(), {name: float(ml[0]) for name, ml in batch.volumes.items()}


@pytest.fixture(scope="module")
def found(head):
    images, affine, _ = head
    return find_tissues(images[0], affine)


def test_an_image_is_scaled_by_what_is_not_air():
    image = torch.zeros(2, 1, 10, 10, 10)
    image[0, 0, :5] = torch.linspace(1, 100, 500).view(5, 10, 10)
    scaled = normalize(image)
    assert scaled[0].max() == pytest.approx(100 / (1 + 0.85 * 99))
    assert torch.equal(normalize(1000 * image), normalize(image * 1000.0))
    assert torch.allclose(normalize(7 * image), scaled)
    assert not scaled[1].any()  # nothing but air stays so
    image[0, 0, 0, 0, 0] = 1e6
    assert normalize(image).max() == 2


def test_the_signal_of_fluid_is_its_mean_over_that_of_white_matter():
    fractions = torch.zeros(len(TISSUES), 3, 1, 1)
    for voxel, name in enumerate(("white", "cortex", "fluid")):
        fractions[TISSUES.index(name), voxel] = 1
    assert fluid_signal(fractions, torch.tensor([2.0, 1.5, 0.5]).view(3, 1, 1)) == 0.25


def test_how_much_brighter_it_is_deep_inside():
    place = np.stack(np.meshgrid(*[np.arange(40) - 19.5] * 3, indexing="ij"))
    depth = 2 * (19.0 - np.linalg.norm(place, axis=0))  # mm in a ball of 38 mm
    image = np.where(depth > 11, 1.0, 0.6).astype(np.float32)
    assert rise_inward(image, depth > 0, 2.0) == pytest.approx(0.4)
    assert rise_inward(1 - image, depth > 0, 2.0) == pytest.approx(-0.4)
    assert rise_inward(image, depth > 30, 2.0) == 0


def test_asymmetry_is_the_part_that_the_other_side_lacks():
    across = int(BLOCK / 2)  # voxels of a block
    grid = Grid((4 * across, across, across), 2.0, (0.0, BLOCK / 2, BLOCK / 2))
    white, fluid = TISSUES.index("white"), TISSUES.index("fluid")
    fractions = torch.zeros(len(TISSUES), *grid.shape)
    fractions[white] = 1
    assert asymmetry(fractions, grid) == pytest.approx(0, abs=1e-6)
    fractions[white, :across], fractions[fluid, :across] = 0, 1  # one of four blocks
    one_side = asymmetry(fractions, grid)
    assert one_side == pytest.approx(0.5)  # it and its mirror image are both alone
    fractions[white, -across:], fractions[fluid, -across:] = 0, 1
    assert asymmetry(fractions, grid) == pytest.approx(0, abs=1e-6)
    assert asymmetry(fractions, Grid(grid.shape, 2.0, (BLOCK, BLOCK / 2, BLOCK / 2))) > 0.5  # a block to the side


class Left(torch.nn.Module):
    """Calls the low half of the first axis white matter, or with `both` all."""

    def __init__(self, both):
        super().__init__()
        self.both = both

    def forward(self, x):
        logits = torch.zeros(1, len(TISSUES), *x.shape[2:])
        logits[:, TISSUES.index("white"), : None if self.both else x.shape[2] // 2] = 50
        logits[:, 0, len(logits[0, 0]) if self.both else x.shape[2] // 2 :] = 50
        return logits


def test_agreement_of_a_scan_with_its_mirror_image():
    image = torch.ones(1, 1, 4, 3, 2)
    fractions, agreement = ask(Left(True), image, torch.device("cpu"))
    assert agreement == pytest.approx(1) and torch.allclose(fractions.sum(0), torch.ones(4, 3, 2))
    fractions, agreement = ask(Left(False), image, torch.device("cpu"))
    assert agreement == pytest.approx(0, abs=1e-6)
    assert torch.allclose(fractions[TISSUES.index("white")], torch.full((4, 3, 2), 0.5))


def test_the_tissues_of_a_generated_head(head, found):
    _, _, truth = head
    ml = found.volumes_ml
    assert set(ml) == set(TISSUES) - {"outside"}
    assert torch.allclose(found.fractions.sum(0), torch.ones(found.grid.shape), atol=1e-3)
    solid = sum(ml.values()) - ml["ventricle"] - ml["fluid"]
    assert solid == pytest.approx(truth["brain"], rel=0.12)
    assert ml["white"] + 0.25 * ml["cerebellum"] + ml["stem"] == pytest.approx(truth["white"], rel=0.2)
    assert 0.1 < found.fluid < 0.95 and found.agreement > 0.85


def test_how_the_file_is_stored_and_in_what_unit_does_not_matter(head, found):
    images, affine, _ = head
    image = nib.as_closest_canonical(nib.Nifti1Image(images[0].numpy(), affine))
    turned = image.as_reoriented(nib.orientations.axcodes2ornt("PIL", (("R", "L"), ("A", "P"), ("S", "I"))))
    other = find_tissues(torch.from_numpy(1000 * turned.get_fdata(dtype=np.float32)), turned.affine)
    for name, ml in found.volumes_ml.items():
        assert other.volumes_ml[name] == pytest.approx(ml, rel=0.03), name


def test_how_the_head_was_tilted_does_not_matter(head, found):
    """It is laid straight first; on a grid along the scanner's axes white matter changes by 2 %, hippocampus by 17."""
    images, affine, _ = head
    turn = from_matvec(Rotation.from_euler("xy", (15, 10), degrees=True).as_matrix())
    tilted = find_tissues(images[0], turn @ affine)
    for name, tolerance in {"white": 0.01, "cortex": 0.01, "hippocampus": 0.03, "ventricle": 0.04}.items():
        assert tilted.volumes_ml[name] == pytest.approx(found.volumes_ml[name], rel=tolerance), name
    assert np.abs(tilted.movement @ turn - found.movement)[:3, :3].max() < 0.05


def test_one_voxel_decides_nothing(head, found):
    images, affine, _ = head
    odd = images[0].clone()
    odd[0, 0, 0] = -1e6
    odd[tuple(np.argwhere(found.brain.mask)[len(np.argwhere(found.brain.mask)) // 2])] = 1e6
    other = find_tissues(odd, affine)
    assert set(other.warnings) <= set(found.warnings)  # this head is just beyond the limit of asymmetry
    for name, ml in found.volumes_ml.items():
        assert other.volumes_ml[name] == pytest.approx(ml, rel=0.03), name


def test_a_t2_is_refused(head):
    images, affine, _ = head
    with pytest.raises(DataError, match="does not look like a T1"):
        find_tissues(images[1], affine)


@pytest.fixture(scope="module")
def ordinary():
    """A generated T1 that is its own mirror image, with as much contrast as scans have, and its affine."""
    batch = Cohort(77, rotation=0.0, shift=0.0, warp=0.0).render([3], "head", 2.0, ("t1",))
    image = batch.images[0, 0]
    return ((image + image.flip(0)) / 2).clamp(min=0) ** 1.5, batch.affine.numpy()


def test_an_ordinary_t1_brings_no_warning(ordinary):
    assert find_tissues(*ordinary).warnings == []


def test_a_large_lesion_on_one_side_is_warned_of(ordinary):
    image, affine = ordinary
    place = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), -1) @ affine[:3, :3].T
    apart = np.linalg.norm(place + affine[:3, 3] - (-35, -20, 25), axis=-1)
    filled = torch.where(torch.from_numpy(apart < 30), 0.35 * image.quantile(0.98), image)
    assert any("one side" in warning for warning in find_tissues(filled, affine).warnings)


def test_little_contrast_is_warned_of(ordinary):
    """Between T1 and FLAIR: white matter and cortex drawn together."""
    image, affine = ordinary
    (warning,) = find_tissues(image**0.5, affine).warnings
    assert "hardly brighter" in warning
