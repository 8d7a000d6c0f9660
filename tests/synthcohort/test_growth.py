"""Tumors: labels of the Decathlon, sizes, what enhances, mass effect."""

import pytest
import torch

from synthcohort import Cohort

CONTRASTS = ("flair", "t1", "t1gd", "t2")


@pytest.fixture(scope="module")
def batch():
    return Cohort(0).render(range(20), "tumor", 4.0, CONTRASTS)


def test_labels_are_edema_non_enhancing_enhancing(batch):
    """1 is brightest on FLAIR, 3 is brightest on T1Gd, 2 is darker than both there."""
    assert set(batch.labels.unique().tolist()) == {0, 1, 2, 3}

    def mean(name, label):
        return float(batch.images[:, CONTRASTS.index(name)][batch.labels == label].mean())

    assert mean("flair", 1) > mean("flair", 0) and mean("flair", 1) > mean("flair", 2)
    assert mean("t1gd", 3) > max(mean("t1gd", 1), mean("t1gd", 2)) + 0.2
    assert mean("t2", 1) > mean("t2", 0)


def test_sizes_are_those_of_gliomas(batch):
    whole = sum(batch.volumes[name] for name in ("edema", "core", "enhancing"))
    assert 5 < whole.min() and whole.max() < 260
    assert 40 < whole.median() < 120  # ml
    hard = torch.stack([(batch.labels == k).flatten(1).sum(1) for k in (1, 2, 3)]) * 0.064
    assert hard.float().mean() == pytest.approx(float(whole.mean()) / 3, rel=0.1)


def test_the_parts_have_published_fractions():
    """Enhancing part and core of 214 glioblastomas: 17 and 34 % of the FLAIR lesion (Loebel et al., 2025)."""
    volumes = Cohort(0).render(range(100, 160), "tumor", 6.0, ("flair",)).volumes
    edema, core, enhancing = (float(volumes[name].mean()) for name in ("edema", "core", "enhancing"))
    whole = edema + core + enhancing
    assert enhancing / whole == pytest.approx(16.60 / 97.88, abs=0.04)
    assert (core + enhancing) / whole == pytest.approx(33.62 / 97.88, abs=0.05)


def test_fractions_of_non_enhancing_and_multifocal_cases():
    truth = Cohort(0).truth(range(300), "tumor")
    assert 0.12 < (~truth.enhances).mean() < 0.25
    assert 0.08 < (truth.foci > 1).mean() < 0.20


def test_non_enhancing_tumors_do_not_enhance(batch):
    enhances = torch.tensor(Cohort(0).truth(range(20), "tumor").enhances.to_numpy())
    assert (batch.volumes["enhancing"][~enhances] == 0).all()
    assert (batch.volumes["enhancing"][enhances] > 0).all()


def test_vessels_enhance_too(batch):
    """Outside the tumor something is much brighter on T1Gd than on T1."""
    gain = batch.images[:, 2] - batch.images[:, 1]
    healthy = (batch.labels == 0) & (batch.mask == 1)
    assert all((g[h] > 0.25).sum() > 20 for g, h in zip(gain, healthy, strict=True))


def test_the_tumor_pushes_the_brain():
    """Some midlines shift; the brain without its tumor moves away from it."""
    cohort = Cohort(0)
    shifts = []
    for number in range(12):
        points = cohort.points(cohort.draw([number], "tumor"), 8.0)
        x = points[0, :, :, :, 0]
        shifts.append(float((x[9:11] - x[9:11].mean()).abs().max()))
    assert max(shifts) > 3  # mm
