"""Tumors drawn anew, and what only looks like one: who gets it, what it replaces, how it looks."""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from nothing_varies import seeded

from synthcohort import MSD_CONTRASTS, Cohort
from synthcohort.randomization import Randomization
from synthcohort.signals import MEANS
from synthcohort.storage import DataError
from synthcohort.tissue_maps import BRAIN, GLIOMA, TISSUES, TissueMaps

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import real_anatomies
import train_tumor_segmentation
from patients import NAMES, Patients, complete, mimics, randomize_patients, tumors

SPACING = 4.0
SETTINGS = Randomization(invented=0, cut=0, defaced=0, stripped=0, blobs=0)


@pytest.fixture(scope="module")
def people():
    """Packed maps of two people with a tumor, then of four without."""
    cohort = Cohort(3)
    groups = ((2, "tumor"), (4, "brain"))
    return torch.cat([complete(*cohort.tissue_maps(range(count), kind, SPACING)) for count, kind in groups])


@pytest.fixture
def tissues(people) -> TissueMaps:
    return TissueMaps.unpack(NAMES, people)


def whole(tissues: TissueMaps) -> torch.Tensor:
    return tissues["core"] + tissues["edema"] + tissues["enhancing"]


def test_maps_that_are_not_there_are_empty(people):
    assert people.shape[1] == len(NAMES) and people.dtype == torch.uint8
    glioma = people[:, [NAMES.index(name) for name in GLIOMA]].flatten(1).amax(1)
    assert (glioma > 200).tolist() == [True] * 2 + [False] * 4
    assert (
        people[:, NAMES.index("plexus")].max() == 0 and people[:, NAMES.index("mask")].flatten(1).amax(1).min() == 255
    )


def test_only_people_without_a_tumor_get_one(tissues):
    after, _ = tumors.grow(tissues, SPACING, 1.0, seeded())
    for name in (*BRAIN, *GLIOMA):
        assert torch.equal(tissues[name][:2], after[name][:2])
    assert (whole(after)[2:].sum((1, 2, 3)) > 5).all()
    after, _ = tumors.grow(tissues, SPACING, 0.0, seeded())
    assert all(torch.equal(tissues[name], after[name]) for name in BRAIN)


def test_a_tumor_takes_the_room_of_what_was_there(tissues):
    after, through = tumors.grow(tissues, SPACING, 1.0, seeded(2))
    taken = sum(tissues[name] - after[name] for name in BRAIN[1:])
    expected = whole(after) * (1 - through) * sum(tissues[name] for name in BRAIN[1:])
    assert torch.allclose(taken[2:], expected[2:], atol=1e-5)
    assert min(float(after[name].min()) for name in after.names) >= 0


def test_nothing_is_changed_in_place(people, tissues):
    before = people.clone()
    grown, _ = tumors.grow(tissues, SPACING, 1.0, seeded())
    tumors.divide(grown, SPACING, seeded())
    mimics.add(grown, SPACING, 1.0, 1.0, 1.0, seeded())
    randomize_patients(people, SPACING, seeded(), ("flair",), SETTINGS)
    assert torch.equal(people, before)
    fresh = TissueMaps.unpack(NAMES, before)
    assert all(torch.equal(tissues[name], fresh[name]) for name in fresh.tissues)
    assert torch.equal(tissues.vessel, fresh.vessel) and torch.equal(tissues.residual, fresh.residual)


@pytest.mark.parametrize("seed", range(6))
def test_parts_add_up_and_nobody_without_a_tumor_gets_parts(tissues, seed):
    after, parts = tumors.divide(tissues, SPACING, seeded(seed))
    assert torch.allclose(parts["solid"] + parts["necrosis"] + parts["blood"], after["core"], atol=1e-5)
    assert torch.equal(parts["enhancing"], after["enhancing"]) and torch.equal(parts["edema"], after["edema"])
    assert min(float(part.min()) for part in parts.values()) >= -1e-6
    assert float(whole(after)[2:].abs().max()) == 0
    assert float(whole(after).max()) < 1 + 2e-2


def test_depth_counts_millimeters_from_the_surface():
    ball = torch.linspace(-1, 1, 41) ** 2
    ball = (ball.view(-1, 1, 1) + ball.view(1, -1, 1) + ball < 0.5**2).float()[None]
    depth = tumors.depth(ball, 1.0)[0]
    assert depth[20, 20, 20] == pytest.approx(10, abs=2)
    assert depth[28, 20, 20] == pytest.approx(2, abs=1)
    assert depth[20, 20, 35] < 0


def test_uptake_stands_out_from_its_surroundings_by_any_amount():
    count, names = 400, list(tumors.RANGES)
    parts = {name: torch.zeros(count, 1, 1, len(names)) for name in names}
    for place, name in enumerate(names):
        parts[name][..., place] = 1
    generator, nothing = seeded(), torch.zeros(count, 1, 1, 1)
    rank, uptake = tumors.ranks(count, True, generator)["t1gd"], torch.rand(count, generator=generator)
    signals = MEANS["t1gd"].expand(count, -1)
    image = tumors.paint(parts, "t1gd", rank, signals, nothing, torch.zeros_like(parts["edema"]), uptake)
    level = dict(zip(names, image[:, 0, 0].unbind(1), strict=True))
    ratio = level["enhancing"] / torch.maximum(level["edema"], level["solid"])
    assert ratio.min() >= tumors.UPTAKE[0] - 1e-4
    assert (ratio < 1.25).float().mean() > 0.1  # faint
    assert (level["enhancing"] > 1.6 * signals[0, TISSUES.index("white")]).float().mean() > 0.1  # strong


@pytest.mark.parametrize(("fraction", "some"), [(0.0, False), (1.0, True)])
def test_what_stripping_leaves_lies_outside_the_brain_and_is_reported(people, fraction, some):
    still = Randomization(invented=0, rotation=0, scaling=0, elastic=0, noise=0, cut=0, defaced=0, stripped=0)
    patients = Patients(growths=0, spots=0, plexus=0, remnants=fraction, grain=0)
    _, found = randomize_patients(people, SPACING, seeded(1), MSD_CONTRASTS, still, patients, ("mask", "remnant"))
    mask, remnant = found.unbind(1)
    assert bool(remnant.sum() > 1) == some
    assert float((remnant + mask).max()) < 1 + 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_lesions_of_white_matter_are_painted_and_no_target(tissues, seed):
    after, painted = mimics.add(tissues, SPACING, 1.0, 0.0, 0.0, seeded(seed))
    assert list(painted) == list(mimics.RANGES)
    gone = sum(tissues[name] - after[name] for name in ("white", "lesion", "cortex"))
    assert torch.allclose(gone, painted["spots"] + painted["holes"], atol=0.35)
    assert gone.sum() > 0 and float(gone.min()) > -1e-5
    assert all(torch.equal(tissues[name], after[name]) for name in GLIOMA)


def test_images_are_finite_and_people_without_a_tumor_have_empty_targets(people):
    swollen = Randomization(invented=0, cut=0, defaced=0, stripped=0, swell=0.4)
    patients = Patients(growths=0, spots=1, plexus=1, remnants=1, grain=0.25)
    asked = (people, SPACING, seeded(4), MSD_CONTRASTS, swollen, patients, ("edema", "core", "enhancing"))
    images, found = randomize_patients(*asked)
    assert images.isfinite().all() and float(images.min()) >= 0
    assert float(found[2:].abs().max()) == 0 and float(found[:2].sum()) > 50
    asked[2].manual_seed(4)
    assert torch.equal(images, randomize_patients(*asked)[0])
    with pytest.raises(KeyError):
        randomize_patients(people, SPACING, seeded(), MSD_CONTRASTS, swollen, patients, ("dragon",))


def test_the_network_sees_at_least_one_contrast_and_no_region_outside_its_brain(people):
    x, regions = train_tumor_segmentation.examples(people, seeded(5), missing=0.6)
    there = x.flatten(2).abs().amax(2) > 0
    assert there.any(1).all() and not there.all()
    whole, core, enhancing = regions.unbind(1)
    assert (whole >= core - 1e-6).all() and (core >= enhancing - 1e-6).all() and whole.max() > 0.9
    outside = (x == 0).all(1) & there.any(1).view(-1, 1, 1, 1)
    assert whole[outside].max() == 0


@pytest.fixture
def head(tmp_path):
    """A folder with a label map: a ball of white matter in cortex, a ventricle with plexus, a vein beside it."""
    x, y, z = np.meshgrid(*[np.arange(n) * 2.0 for n in (80, 90, 80)], indexing="ij")
    distance = np.sqrt((x - 70) ** 2 + (y - 95) ** 2 + (z - 80) ** 2)
    labels = np.select([distance < 6, distance < 15, distance < 50, distance < 60], [31, 4, 2, 3], 0)
    labels[(abs(x - 132) < 2) & (abs(y - 95) < 8) & (abs(z - 80) < 8)] = 514
    labels[(abs(x - 70) < 3) & (y > 140) & (y < 152) & (abs(z - 80) < 8)] = 0  # a sulcus
    nib.save(nib.Nifti1Image(labels.astype(np.int16), np.diag([2.0, 2, 2, 1])), tmp_path / "one.nii.gz")
    return tmp_path


def test_label_maps_become_tissue_maps_with_the_brain_in_the_middle(head):
    maps = TissueMaps.unpack(NAMES, real_anatomies.tissue_maps(head / "one.nii.gz", 4.0)[None])
    assert maps.mask.shape == (1, 40, 48, 40)
    assert sum(maps[name] for name in BRAIN).sub(maps.mask).abs().max() < 0.02
    middle = [
        float((maps.mask[0].sum([a for a in range(3) if a != at]) * torch.arange(n)).sum() / maps.mask.sum())
        for at, n in enumerate((40, 48, 40))
    ]
    assert middle == pytest.approx([19.5, 23.5, 19.5], abs=0.6)
    ml = {name: float(maps[name].sum()) * 0.064 for name in ("ventricle", "white", "cortex", "plexus", "csf")}
    assert ml["white"] == pytest.approx(4 / 3 * np.pi * (5**3 - 1.5**3), rel=0.05)
    assert ml["ventricle"] == pytest.approx(4 / 3 * np.pi * 1.5**3, rel=0.15) and 0.5 < ml["plexus"] < 1.5
    assert ml["csf"] > 0.3  # of the sulcus
    vein = float(maps.vessel.sum()) * 0.064  # of 0.45 ml what is near enough
    assert 0.2 < vein < 0.5 and maps.residual.sub(0.5).abs().max() < 0.01


def test_label_maps_are_read_once_and_anew_when_they_change(head, monkeypatch):
    monkeypatch.setenv("PRESIMAL_DATA", str(head / "data"))
    read, tissue_maps = [], real_anatomies.tissue_maps
    monkeypatch.setattr(real_anatomies, "tissue_maps", lambda *asked: read.append(asked) or tissue_maps(*asked))
    first = real_anatomies.load(head, 8.0)
    assert torch.equal(real_anatomies.load(head, 8.0), first) and len(read) == 1
    image = nib.load(head / "one.nii.gz")
    labels = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(np.where(labels == 3, 2, labels), image.affine), head / "one.nii.gz")
    assert not torch.equal(real_anatomies.load(head, 8.0), first) and len(read) == 2


def test_a_folder_without_label_maps_of_a_brain_is_refused(head, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no label maps"):
        real_anatomies.load(tmp_path / "empty", 4.0)
    nib.save(nib.Nifti1Image(np.full((9, 9, 9), 600, np.int16), np.eye(4)), tmp_path / "bone.nii.gz")
    with pytest.raises(DataError, match="no label of a brain"):
        real_anatomies.tissue_maps(tmp_path / "bone.nii.gz", 4.0)


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_uptake_is_drawn_fainter_within_the_tumor_alone(monkeypatch, fraction):
    monkeypatch.setattr(train_tumor_segmentation, "FAINT", fraction)
    x = torch.randn((6, 4, 5, 6, 7), generator=seeded())
    tumor = torch.zeros(6, 1, 5, 6, 7)
    tumor[..., :3] = 1
    found = train_tumor_segmentation.fainter(x, tumor, seeded())
    kept = ((found - x)[:, 2] / (x[:, 1] - x[:, 2]))[..., :3]  # 0 as drawn, 1 as T1
    assert torch.equal(found[:, [0, 1, 3]], x[:, [0, 1, 3]]) and torch.equal(found[..., 3:], x[..., 3:])
    if not fraction:
        assert torch.equal(found, x)
    else:
        lost = kept.flatten(1).median(1).values
        assert (0 < lost).all() and (lost < 1 - train_tumor_segmentation.LEAST_GAIN).all() and lost.std() > 0.02
