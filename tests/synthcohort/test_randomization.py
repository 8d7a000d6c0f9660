"""Randomized images: the anatomy stays, the look changes, the same seed gives the same image."""

from dataclasses import replace

import pytest
import torch
from nothing_varies import NONE, seeded

from synthcohort import Cohort, TissueMaps
from synthcohort.randomization import Randomization, randomize
from synthcohort.randomization.contrasts import thin_bone

SPACING = 6.0


@pytest.fixture(scope="module")
def heads():
    return Cohort(3).tissue_maps(range(4), "head", SPACING)


@pytest.fixture(scope="module")
def tumors():
    return Cohort(3).tissue_maps(range(4), "tumor", SPACING)


def test_the_same_seed_gives_the_same_images(heads):
    first, again, other = (randomize(*heads, SPACING, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (4, 1, *heads[1].shape[2:]) and torch.isfinite(first).all() and (first >= 0).all()


def test_maps_stay_those_of_the_person_or_of_a_mirror_image(heads):
    names, maps = heads
    _, wanted = randomize(names, maps, SPACING, seeded(4), settings=NONE, targets=names)
    mirrored = 0
    for before, after in zip(maps.float() / 255, wanted, strict=True):
        seen = before[names.index("seen")]
        straight, turned = (torch.allclose(after, (m * s)) for m, s in ((before, seen), (before.flip(1), seen.flip(0))))
        assert straight or turned
        mirrored += not straight
    assert 0 < mirrored < 4


@pytest.mark.parametrize("turn", [0, 25])
def test_real_contrasts_keep_the_order_of_their_tissues(tumors, turn):
    """Fluid is dark on T1 and bright on T2, edema bright on FLAIR, the enhancing part bright on T1Gd."""
    names, maps = tumors
    settings = replace(NONE, rotation=turn)
    images, wanted = randomize(names, maps, SPACING, seeded(), ("t1", "t2", "flair", "t1gd"), settings, names)

    def mean(contrast, tissue):
        where = wanted[:, names.index(tissue)] > 0.8
        return float(images[:, contrast][where].mean())

    assert mean(0, "ventricle") < mean(0, "white") and mean(1, "ventricle") > mean(1, "white")
    assert mean(2, "edema") > 1.3 * mean(2, "white")
    assert mean(3, "enhancing") > mean(0, "enhancing") + 0.3


def test_invented_contrasts_are_all_different(heads):
    names, maps = heads
    settings = Randomization(invented=1, cut=0, stripped=0)
    images, wanted = randomize(names, maps[[0] * 12], SPACING, seeded(), settings=settings, targets=("white", "muscle"))
    white, muscle = wanted.unbind(1)
    pairs = zip(images[:, 0], white, muscle, strict=True)
    ratio = [float((i * w).sum() / w.sum() / ((i * m).sum() / m.sum())) for i, w, m in pairs]
    assert min(ratio) < 0.8 and max(ratio) > 1.25  # white matter darker than muscle, and brighter


def test_what_is_not_seen_is_neither_in_the_image_nor_in_the_maps(heads):
    names, maps = heads
    settings = Randomization(cut=1, defaced=1)
    images, wanted = randomize(names, maps, SPACING, seeded(), settings=settings, targets=("white",))
    dark = images[:, 0] == 0
    assert 0.05 < dark.float().mean() < 0.9
    assert (wanted[:, 0][dark] == 0).all()
    stripped, wanted = randomize(names, maps, SPACING, seeded(), settings=Randomization(stripped=1, cut=0, defaced=0))
    assert (stripped[:, 0][wanted[:, 0] < 0.3] == 0).all()


def test_a_turn_keeps_volumes_and_a_stretch_changes_them(heads):
    names, maps = heads
    before = maps[:, names.index("mask")].float().sum((1, 2, 3)) / 255
    turned, stretched = (
        randomize(names, maps, SPACING, seeded(3), settings=replace(NONE, **pose))[1].sum((1, 2, 3, 4))
        for pose in ({"rotation": 20}, {"scaling": 0.1})
    )
    assert torch.allclose(turned / before, torch.ones(4), atol=0.03)
    assert ((stretched / before - 1).abs() > 0.05).any()


def test_thin_bone_is_muscle(heads):
    names, maps = heads
    before = TissueMaps.unpack(names, maps)
    after = thin_bone(before, SPACING, Randomization(thin=1), seeded())
    lost, won = before["bone"] - after["bone"], after["muscle"] - before["muscle"]
    assert torch.allclose(lost, won, atol=1e-5) and 0.05 < lost.sum() / before["bone"].sum() < 0.6


def test_defacing_never_cuts_the_brain(heads):
    names, maps = heads
    plain, defaced = Randomization(cut=0, defaced=0, stripped=0), Randomization(cut=0, defaced=1, stripped=0)
    whole, cut = (
        randomize(names, maps, SPACING, seeded(9), settings=settings, targets=("mask", "fat"))[1]
        for settings in (plain, defaced)
    )
    assert torch.equal(whole[:, 0] > 0.5, cut[:, 0] > 0.5)
    assert cut[:, 1].sum() < whole[:, 1].sum()


def test_noise_is_rician(heads):
    """In air the magnitude follows a Rayleigh distribution: mean over standard deviation is 1.913."""
    names, maps = heads
    nothing = torch.zeros_like(maps)
    nothing[:, names.index("seen")] = 255
    nothing[:, names.index("residual")] = 128
    images, _ = randomize(names, nothing, SPACING, seeded(), settings=replace(NONE, noise=0.1))
    for air in images[:, 0]:
        assert float(air.mean() / air.std()) == pytest.approx(1.913, rel=0.03)
