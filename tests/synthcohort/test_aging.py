"""Aging: cohort means against the published curves, and the tails."""

import numpy as np
import pytest
import torch

from synthcohort import Cohort, Settings
from synthcohort.brain import aging
from synthcohort.person import draw_person

PEOPLE = 60  # per age


def volumes(age: float, people: int = PEOPLE, **settings) -> dict[str, torch.Tensor]:
    """Volumes in ml of people of one age who took no part in the calibration."""
    cohort = Cohort(0, age_range=(age, age), **settings)
    rows = [cohort.tissues(cohort.draw([5000 + n]), 4.0).volumes(4.0) for n in range(people)]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("age", [25.0, 45.0, 65.0, 85.0])
def test_means_follow_the_published_curves(age):
    found = volumes(age)
    target = aging.whole_brain_fraction(age)
    assert float(found["fraction"].mean()) == pytest.approx(target, rel=0.015)
    assert float(found["ventricle"].mean()) == pytest.approx(
        float(np.interp(age, aging.C.age, aging.C.ventricle_ml)), rel=0.10
    )


def test_spread_at_one_age_is_that_of_people():
    """OASIS-1: standard deviation of the whole-brain fraction 0.02 to 0.03 at one age."""
    found = volumes(70.0, 24)
    assert 0.012 < found["fraction"].std() < 0.035
    assert 0.2 < found["ventricle"].std() / found["ventricle"].mean() < 0.6
    assert 1350 < found["tiv"].mean() < 1650


def test_hyperintensities_have_a_sane_tail():
    found = volumes(80.0, 24)["lesion"]
    assert 2 < found.median() < 15  # ml
    assert found.quantile(0.95) < 40


def test_men_have_larger_heads():
    """Matsumae et al., 1996: 14 %."""
    people = [draw_person(0, "brain", n, Settings()) for n in range(400)]
    size = torch.stack([person.scale.prod() for person in people])
    male = torch.tensor([person.male for person in people])
    assert float(size[male].mean() / size[~male].mean()) == pytest.approx(1.14, abs=0.03)


def test_regions_age_on_their_own():
    truth = Cohort(0).truth(range(200))
    gap = truth[["frontal_age", "temporal_age"]].sub(truth.biological_age, axis=0)
    assert gap.std().between(4, 6).all()
    assert abs(gap.frontal_age.corr(gap.temporal_age)) < 0.2


def test_accelerated_people_are_older_inside():
    plain, patients = Cohort(0), Cohort(0, accelerated=8.0)
    assert plain.people(range(20)).equals(patients.people(range(20)))
    gain = patients.truth(range(20)).biological_age - plain.truth(range(20)).biological_age
    assert gain.median() == pytest.approx(8.0)


def test_the_horn_grows_where_the_hippocampus_shrinks():
    assert aging.horn_radius(80) > 1.5 * aging.horn_radius(40)
    assert aging.sulcus_shift(80, "frontal") > aging.sulcus_shift(80, "occipital")
