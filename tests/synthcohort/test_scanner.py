"""Images look like what the sequences show, and sites differ."""

import pytest
import torch

from synthcohort import Cohort, TissueMaps
from synthcohort.glioma.variation import VARIED
from synthcohort.scanner import SITES, acquire, blur_weight, site_gain
from synthcohort.signals import GROUP_SD, MEANS, PERSON_SD, RANGES
from synthcohort.tissue_maps import BRAIN, CONTRASTS, TISSUES


@pytest.fixture(scope="module")
def scans() -> dict[str, torch.Tensor]:
    cohort = Cohort(0, age_range=(30, 60))
    batch = cohort.render(range(6), "brain", 4.0, ("t1", "t1gd", "t2", "flair"))

    def pick(contrast, label):
        return batch.images[:, contrast][batch.labels == label].mean()

    means = {n: [float(pick(c, k)) for k in (1, 2, 4)] for c, n in enumerate(batch.contrasts)}
    means["air"] = float(batch.images[:, 0][batch.mask == 0].median())
    return means


@pytest.mark.parametrize(
    "contrast, order",  # from dark to bright, among fluid, cortex, white matter
    [("t1", (0, 1, 2)), ("t1gd", (0, 1, 2)), ("t2", (2, 1, 0)), ("flair", (0, 2, 1))],
)
def test_order_of_tissues(scans, contrast, order):
    values = [scans[contrast][k] for k in order]
    assert values == sorted(values)


def test_air_is_dark(scans):
    assert 0 < scans["air"] < 0.06


def test_sites_differ_more_than_one_site_from_itself():
    assert torch.equal(site_gain(1, "t1"), site_gain(1, "t1"))
    assert (site_gain(0, "t1") - site_gain(1, "t1")).abs().max() > 0.03
    used = Cohort(0, sites=3).people(range(60)).site
    assert set(used) == {site.name for site in SITES[:3]}


def test_noise_of_air_is_rayleigh():
    """Where there is no signal, a magnitude image has mean sd * sqrt(pi / 2)."""
    cohort = Cohort(0)
    people = cohort.draw([0])
    tissues = cohort.tissues(people, 8.0)
    nothing = torch.zeros_like(tissues.mask)
    empty = TissueMaps(dict.fromkeys(tissues.names, nothing), nothing, nothing)
    image = acquire(empty, people, "t1", 8.0)
    ratio = image.mean() / image.std()
    assert float(ratio) == pytest.approx((torch.pi / (4 - torch.pi)) ** 0.5, rel=0.05)


def test_blur_grows_with_thickness_and_has_the_variance_of_a_box():
    assert blur_weight(6.0, 4.0) == pytest.approx(6.0**2 / 12 / (2 * 4.0**2))
    assert blur_weight(0.0, 2.0) == 0 and blur_weight(50.0, 2.0) <= 1 / 3


def test_the_one_table_knows_mean_and_spread_of_every_tissue_on_every_contrast():
    """3.5 % from person to person, 8 % more for tumors and outside the brain; parts of a varied tumor have ranges."""
    for contrast in CONTRASTS:
        assert (
            MEANS[contrast].shape == (len(TISSUES),) and (0 < MEANS[contrast]).all() and (MEANS[contrast] < 1.5).all()
        )
        assert tuple(RANGES[contrast]) == VARIED
        assert all(0 < low < high < 1.8 for low, high in RANGES[contrast].values())
    assert PERSON_SD.tolist() == pytest.approx([0.035] * len(TISSUES))
    assert GROUP_SD.tolist() == pytest.approx([0.0 if tissue in BRAIN else 0.08 for tissue in TISSUES])
