"""Randomised images: the anatomy stays, the look changes, the same seed gives the same image."""

import pytest
import torch

from presimal.cohort import Cohort
from presimal.cohort.randomisation import Randomisation, randomise

SPACING = 6.0
PLAIN = Randomisation(
    invented=0, jitter=0, texture=0, blobs=0, bias=0, thick=0, noise=0, gamma=0, cut=0, defaced=0, stripped=0
)


@pytest.fixture(scope="module")
def heads():
    return Cohort(3).tissue_maps(range(4), "head", SPACING)


@pytest.fixture(scope="module")
def tumors():
    return Cohort(3).tissue_maps(range(4), "tumor", SPACING)


def seeded(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def test_the_same_seed_gives_the_same_images(heads):
    first, again, other = (randomise(*heads, SPACING, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (4, 1, *heads[1].shape[2:]) and torch.isfinite(first).all() and (first >= 0).all()


def test_maps_stay_those_of_the_person_or_of_a_mirror_image(heads):
    names, maps = heads
    _, shares = randomise(names, maps, SPACING, seeded(4), how=PLAIN)
    mirrored = 0
    for before, after in zip(maps.float() / 255, shares):
        seen = before[names.index("seen")]
        straight, turned = (torch.allclose(after, (m * s)) for m, s in ((before, seen), (before.flip(1), seen.flip(0))))
        assert straight or turned
        mirrored += not straight
    assert 0 < mirrored < 4


def test_real_contrasts_keep_the_order_of_their_tissues(tumors):
    """Fluid is dark on T1 and bright on T2, edema bright on FLAIR, the enhancing part bright on T1Gd."""
    names, maps = tumors
    images, shares = randomise(names, maps, SPACING, seeded(), ("t1", "t2", "flair", "t1gd"), PLAIN)

    def mean(contrast, tissue):
        where = shares[:, names.index(tissue)] > 0.8
        return float(images[:, contrast][where].mean())

    assert mean(0, "ventricle") < mean(0, "white") and mean(1, "ventricle") > mean(1, "white")
    assert mean(2, "edema") > 1.3 * mean(2, "white")
    assert mean(3, "enhancing") > mean(0, "enhancing") + 0.3


def test_invented_contrasts_are_all_different(heads):
    names, maps = heads
    images, shares = randomise(names, maps[[0] * 12], SPACING, seeded(), how=Randomisation(invented=1, cut=0, stripped=0))
    white = shares[:, names.index("white")]
    muscle = shares[:, names.index("muscle")]
    ratio = [float((i * w).sum() / w.sum() / ((i * m).sum() / m.sum())) for i, w, m in zip(images[:, 0], white, muscle)]
    assert min(ratio) < 0.8 and max(ratio) > 1.25  # white matter darker than muscle, and brighter


def test_what_is_not_seen_is_neither_in_the_image_nor_in_the_maps(heads):
    names, maps = heads
    images, shares = randomise(names, maps, SPACING, seeded(), how=Randomisation(cut=1, defaced=1))
    dark = images[:, 0] == 0
    assert 0.05 < dark.float().mean() < 0.9
    assert (shares[:, names.index("white")][dark] == 0).all()
    stripped, shares = randomise(names, maps, SPACING, seeded(), how=Randomisation(stripped=1, cut=0, defaced=0))
    assert (stripped[:, 0][shares[:, names.index("mask")] < 0.3] == 0).all()


def test_defacing_never_cuts_the_brain(heads):
    names, maps = heads
    brain = names.index("mask")
    plain = Randomisation(cut=0, defaced=0, stripped=0)
    _, whole = randomise(names, maps, SPACING, seeded(9), how=plain)
    _, cut = randomise(names, maps, SPACING, seeded(9), how=Randomisation(cut=0, defaced=1, stripped=0))
    assert torch.equal(whole[:, brain] > 0.5, cut[:, brain] > 0.5)
    assert cut[:, names.index("fat")].sum() < whole[:, names.index("fat")].sum()


def test_noise_is_rician(heads):
    """In air the magnitude follows a Rayleigh distribution: mean over standard deviation is 1.913."""
    names, maps = heads
    nothing = torch.zeros_like(maps)
    nothing[:, names.index("seen")] = 255
    nothing[:, names.index("residual")] = 128
    images, _ = randomise(names, nothing, SPACING, seeded(), how=Randomisation(**{**vars(PLAIN), "noise": 0.1}))
    for air in images[:, 0]:
        assert float(air.mean() / air.std()) == pytest.approx(1.913, rel=0.03)
