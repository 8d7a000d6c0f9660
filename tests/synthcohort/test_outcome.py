"""The clinic: a known hazard, published survival, censoring, and gaps where they occur."""

import numpy as np
import pandas as pd
import pytest

from synthcohort import Cohort
from synthcohort.glioma import outcome


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    cohort = Cohort(0)
    return cohort.people(range(1500), "tumor"), cohort.truth(range(1500), "tumor")


def test_median_survival_is_that_of_glioblastoma(tables):
    _, truth = tables
    assert truth.survival_months.median() == pytest.approx(14.6, rel=0.1)
    assert 0.15 < (truth.survival_months > 24).mean() < 0.40  # 26.5 % in Stupp et al., 2005


def test_hazard_orders_survival(tables):
    _, truth = tables
    rank = truth.log_hazard.corr(truth.survival_months, method="spearman")
    assert -0.75 < rank < -0.4


def test_hazard_ratios_can_be_recovered(tables):
    """Weibull: the log hazard has slope one against -shape * log survival."""
    _, truth = tables
    slope = np.polyfit(truth.log_hazard, -outcome.C.shape * np.log(truth.survival_months), 1)[0]
    assert slope == pytest.approx(1, abs=0.12)


def test_censoring_is_administrative(tables):
    people, truth = tables
    assert 0.08 < (people.died == 0).mean() < 0.40
    alive = people[people.died == 0]
    assert (alive.last_seen == outcome.C.cut_off.isoformat()).mean() > 0.95
    dead = people.died == 1
    assert np.allclose(people.months[dead], truth.survival_months[dead], atol=0.06)
    assert (people.months[~dead] <= truth.survival_months[~dead] + 0.06).all()


def test_gaps_are_where_they_occur(tables):
    people, _ = tables
    biopsy = people.resection == "biopsy"
    assert people.mgmt.isna()[biopsy].mean() > people.mgmt.isna()[~biopsy].mean() + 0.1
    early = people.diagnosis < "2014"
    assert people.ldh.isna()[early].mean() > people.ldh.isna()[~early].mean() + 0.15
    assert people.resected_percent.isna().equals(biopsy)
    assert people.died.notna().all()


def test_values_are_those_of_a_clinic(tables):
    people, _ = tables
    assert set(people.karnofsky.dropna()) <= {40, 50, 60, 70, 80, 90, 100}
    assert 55 < people.age.median() < 68
    assert 0.5 < (people.sex == "M").mean() < 0.66
    assert (people.last_seen >= people.diagnosis).all()
    assert 0.3 < (people.mgmt.dropna() == "methylated").mean() < 0.55
