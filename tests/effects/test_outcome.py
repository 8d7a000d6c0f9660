"""Each hazard and each column of the clinic, from what a student sees."""

from dataclasses import asdict, replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage
from scipy.optimize import minimize

from synthcohort import Cohort, TissueMaps
from synthcohort.glioma import outcome


def clinical(person) -> SimpleNamespace:
    """The record of a person: what is `observed`, and the `hidden` truth."""
    observed, hidden = outcome.clinical(person)
    return SimpleNamespace(observed=asdict(observed), hidden=asdict(hidden))


PEOPLE = 4000
IMAGED = 1400  # of them, with label maps: about a minute on one core
SPACING = 8.0
# Gessler et al., 2019; Cancers 14:3161; PMID 30347300; age, core and enhancement are ours.
IN_THE_TABLE = {
    "unmethylated": 2.13, "subtotal": 1.81, "biopsy": 1.81 / 0.54, "karnofsky_below_70": 1.9, "age_decade": 1.25,
}  # fmt: skip
ON_THE_IMAGE = {"multifocal": 2.1, "core_doubling": 1.12, "non_enhancing": 0.45}
CLOSE = 0.3  # of a log hazard ratio: one that is half as large again, or half as large, is farther away
SHAPE = 1.35


@pytest.fixture(scope="module")
def table():
    """The columns of a student, and the drawn geometry, of which images show the most."""
    cohort = Cohort(7)
    people = cohort.people(range(PEOPLE), "tumor")
    shown = cohort.truth(range(PEOPLE), "tumor")[["core_ml", "whole_ml", "foci", "enhances", "rim_mm", "tumor_x"]]
    return pd.concat([people, shown], axis=1)


@pytest.fixture(scope="module")
def person():
    return Cohort(7).draw([11], "tumor").persons[0]


def weibull_fit(x, months, died):
    """Maximum likelihood of a Weibull model with proportional hazards: coefficients and their standard errors."""
    design = np.column_stack([np.ones(len(x)), x])
    log_t = np.log(months)

    def loss(parameters):
        beta, log_k = parameters[:-1], parameters[-1]
        k = np.exp(log_k)
        eta = design @ beta
        cumulative = np.exp(eta + k * log_t)
        value = -(died * (eta + log_k + (k - 1) * log_t)).sum() + cumulative.sum()
        slope = design.T @ (cumulative - died)
        return value, np.append(slope, -(died * (1 + k * log_t)).sum() + (cumulative * k * log_t).sum())

    start = np.zeros(design.shape[1] + 1)
    start[0] = np.log(died.sum() / months.sum())
    found = minimize(loss, start, jac=True, method="BFGS")
    step = 1e-4 * np.eye(len(start))
    hessian = np.array([(loss(found.x + e)[1] - loss(found.x - e)[1]) / 2e-4 for e in step])
    return found.x, np.sqrt(np.diag(np.linalg.inv(hessian)))


def of_the_columns(known):
    """What the clinical table knows that matters, one column each."""
    return {
        "age_decade": (known.age - 60) / 10,
        "unmethylated": known.mgmt == "unmethylated",
        "subtotal": known.resection == "subtotal",
        "biopsy": known.resection == "biopsy",
        "karnofsky_below_70": known.karnofsky < 70,
    }


def fitted(known, columns):
    """Name -> coefficient and standard error; "k" is the logarithm of the shape."""
    x = pd.DataFrame(columns).astype(float)
    values, errors = weibull_fit(x.to_numpy(), known.months.clip(lower=0.05).to_numpy(), known.died.to_numpy())
    return {name: (values[k + 1], errors[k + 1]) for k, name in enumerate(x)} | {"k": (values[-1], errors[-1])}


@pytest.fixture(scope="module")
def fit(table):
    """Everybody's columns, adjusted for the tumor as it was drawn."""
    known = table.dropna(subset=["mgmt", "karnofsky"])
    tumor = {
        "multifocal": known.foci > 1,
        "core_doubling": np.log2(known.core_ml / 12),
        "non_enhancing": ~known.enhances,
    }
    nothing = {  # What does not matter, according to the docstring.
        "male": known.sex == "M",
        "halo": (known.whole_ml - known.core_ml) / 50,
        "rim": known.rim_mm / 2,
        "right": known.tumor_x > 0,
        "seizure": known.symptom == "seizure",
    }
    return fitted(known, of_the_columns(known) | tumor | nothing)


@pytest.fixture(scope="module")
def seen(table):
    """What label maps show: pieces of the core, with what enhances, their volume in ml, and the enhancing volume."""
    rows = []
    for start in range(0, IMAGED, 200):
        maps = TissueMaps.unpack(*Cohort(7).tissue_maps(range(start, min(start + 200, IMAGED)), "tumor", SPACING))
        for labels in maps.labels("tumor").numpy():
            core = labels >= 2
            _, pieces = ndimage.label(core, np.ones((3, 3, 3)))
            rows.append((pieces, core.sum(), (labels == 3).sum()))
    measured = pd.DataFrame(rows, columns=["pieces", "core_ml", "enhancing_ml"])
    return measured.assign(**measured[["core_ml", "enhancing_ml"]] * SPACING**3 / 1000)


@pytest.fixture(scope="module")
def seen_fit(table, seen):
    """Nothing but the columns of a student, and what the label maps show."""
    known = table[:IMAGED].dropna(subset=["mgmt", "karnofsky"])
    image = seen.loc[known.index]
    measured = {
        "multifocal": image.pieces > 1,
        "core_doubling": np.log2(image.core_ml.clip(lower=0.5) / 12),
        "non_enhancing": image.enhancing_ml < 0.5,
    }
    return fitted(known, of_the_columns(known) | measured)


@pytest.mark.parametrize("name", IN_THE_TABLE)
def test_each_hazard_ratio_is_recovered_from_the_columns(fit, name):
    expected, (value, error) = np.log(IN_THE_TABLE[name]), fit[name]
    assert value == pytest.approx(expected, abs=min(3.2 * error, CLOSE * abs(expected)))
    assert abs(value) > 4 * error and error < 0.12  # clearly away from none, and precise enough to say so


@pytest.mark.parametrize("name", ON_THE_IMAGE)
def test_each_hazard_ratio_of_the_tumor_is_recovered_from_label_maps(seen_fit, name):
    expected, (value, error) = np.log(ON_THE_IMAGE[name]), seen_fit[name]
    assert value == pytest.approx(expected, abs=min(3.2 * error, CLOSE * abs(expected)))
    assert abs(value) > 3 * error


@pytest.mark.parametrize("name", IN_THE_TABLE)
def test_columns_and_label_maps_alone_agree_with_the_sources(seen_fit, name):
    expected, (value, error) = np.log(IN_THE_TABLE[name]), seen_fit[name]
    assert value == pytest.approx(expected, abs=3.2 * error) and abs(value) > 4 * error


def test_label_maps_show_the_tumor_that_was_drawn(table, seen):
    """Whoever enhances has an enhancing label; most further foci are pieces of their own; the core has its volume."""
    drawn = table[:IMAGED]
    assert ((seen.enhancing_ml >= 0.5) == drawn.enhances).mean() > 0.995
    assert (seen.pieces[drawn.foci == 1] == 1).mean() > 0.98 and (seen.pieces[drawn.foci > 1] > 1).mean() > 0.5
    assert np.log2(seen.core_ml.clip(lower=0.5)).corr(np.log2(drawn.core_ml)) > 0.8
    assert np.log2(seen.core_ml.clip(lower=0.5) / drawn.core_ml).mean() == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("name", ["male", "halo", "rim", "right", "seizure"])
def test_what_does_not_matter_has_no_hazard(fit, name):
    value, error = fit[name]
    assert abs(value) < 3.2 * error and error < 0.12


def test_the_hazard_rises_as_a_weibull_hazard_of_shape_1_35(fit):
    value, error = fit["k"]
    assert value == pytest.approx(np.log(SHAPE), abs=3.2 * error)


def test_laboratory_and_steroid_have_no_hazard(table):
    known = table.dropna(subset=["ldh"])
    x = pd.DataFrame({"ldh": np.log(known.ldh / 200) / 0.22, "age": (known.age - 60) / 10})
    values, errors = weibull_fit(x.to_numpy(), known.months.clip(lower=0.05).to_numpy(), known.died.to_numpy())
    assert abs(values[1]) < 3.2 * errors[1]


def survival(person):
    return clinical(person).hidden["survival_months"]


def test_a_tumor_that_does_not_enhance_gives_time(person):
    """One person twice: the time is longer by the hazard ratio to the power of 1 / shape, and nothing else differs."""
    both = [replace(person, glioma=replace(person.glioma, enhancing=e)) for e in (True, False)]
    enhancing, other = (clinical(p) for p in both)
    ratio = other.hidden["survival_months"] / enhancing.hidden["survival_months"]
    assert ratio == pytest.approx(0.45 ** (-1 / SHAPE))
    unmoved = ("karnofsky", "mgmt", "resection", "steroid_mg", "ldh", "symptom", "diagnosis")
    assert all(str(enhancing.observed[name]) == str(other.observed[name]) for name in unmoved)


def grown(person, factor):
    return replace(person, glioma=replace(person.glioma, core=person.glioma.core * factor))


def test_a_doubled_core_costs_time():
    ratios = []
    for other in Cohort(7).draw(range(40), "tumor").persons:
        one, two = clinical(other), clinical(grown(other, 2 ** (1 / 3)))
        same = (one.hidden["karnofsky_true"] < 70) == (two.hidden["karnofsky_true"] < 70)
        ratio = two.hidden["survival_months"] / one.hidden["survival_months"]
        ratios += [ratio] if same else []
        assert one.observed["resection"] == two.observed["resection"] and one.observed["ldh"] is not None
    assert len(ratios) > 25 and ratios == pytest.approx([1.12 ** (-1 / SHAPE)] * len(ratios))


def test_ten_years_and_further_foci_cost_time():
    """Where neither resection nor the class of Karnofsky changes with them."""
    for changed, ratio in (
        (lambda p: replace(p, age=p.age + 10), 1.25),
        (lambda p: replace(p, glioma=replace(p.glioma, active=torch.tensor([1.0, 1.0, 0.0]))), 2.1),
    ):
        found = []
        for one in Cohort(7).draw(range(40), "tumor").persons:
            one = replace(one, glioma=replace(one.glioma, active=torch.tensor([1.0, 0.0, 0.0])))
            a, b = clinical(one), clinical(changed(one))
            classes = [(c.observed["resection"], c.hidden["karnofsky_true"] < 70) for c in (a, b)]
            if classes[0] == classes[1]:
                found.append(b.hidden["survival_months"] / a.hidden["survival_months"])
        assert len(found) > 15 and found == pytest.approx([ratio ** (-1 / SHAPE)] * len(found))


def test_karnofsky_falls_with_age_and_with_the_core(table):
    known = table.dropna(subset=["karnofsky"])
    inner = known[(known.age > 50) & (known.age < 75)]
    design = np.column_stack([np.ones(len(inner)), inner.age - 60, np.log2(inner.core_ml / 12)])
    (mean, per_year, per_doubling), *_ = np.linalg.lstsq(design, inner.karnofsky, rcond=None)
    assert mean == pytest.approx(83, abs=1.5)
    assert per_year == pytest.approx(-0.25, abs=0.09) and per_doubling == pytest.approx(-2.5, abs=0.9)
    left = inner.karnofsky - design @ [mean, per_year, per_doubling]
    assert left.std() == pytest.approx((11**2 + 100 / 12) ** 0.5, rel=0.08)  # normal, and rounded to tens
    assert known.karnofsky.between(40, 100).all() and (known.karnofsky % 10 == 0).all()


def test_mgmt_is_unmethylated_in_56_of_100(table):
    known = table.mgmt.dropna()
    assert (known == "unmethylated").mean() == pytest.approx(0.56, abs=3 * (0.25 / len(known)) ** 0.5)
    assert set(known) == {"methylated", "unmethylated"}


def test_resection_is_harder_with_several_foci_near_the_middle_and_in_the_old(table):
    """Thresholds 0.5 and 0.92 on an even number, to which several foci add 0.25, the middle 0.15, a year 0.004."""
    reach = 0.25 * (table.foci > 1) + 0.15 * (table.tumor_x.abs() < 24) + 0.004 * (table.age - 60)
    for name, probability in (
        ("gross total", (0.5 - reach).clip(0, 1)),
        ("biopsy", (0.08 + reach).clip(0, 1)),
    ):
        for group in (table.foci > 1, table.tumor_x.abs() < 24, table.age > 70, table.age < 50, table.foci > 0):
            expected, found = probability[group].mean(), (table.resection[group] == name).mean()
            assert found == pytest.approx(expected, abs=3.2 * (0.25 / group.sum()) ** 0.5), name
    percent = table.resected_percent
    assert (percent[table.resection == "gross total"] == 100).all()
    partial = percent[table.resection == "subtotal"]
    assert partial.between(55, 98).all() and partial.mean() == pytest.approx(76.5, abs=2) and partial.std() > 10
    assert percent[table.resection == "biopsy"].isna().all()


def test_steroids_follow_the_edema():
    """Half a mg per mm of edema beyond the core, in steps of 2 mg, never below none; nothing else asks for them."""
    gained = []
    for one in Cohort(7).draw(range(60), "tumor").persons:
        low = replace(one, glioma=replace(one.glioma, edema=one.glioma.core + 20))
        high = replace(one, glioma=replace(one.glioma, edema=one.glioma.core + 40))
        a, b = clinical(low).observed, clinical(high).observed
        gained.append(b.pop("steroid_mg") - a.pop("steroid_mg"))
        assert str(a) == str(b)
    assert np.mean(gained) == pytest.approx(10, abs=0.7) and min(gained) >= 6


def test_steroids_of_the_cohort_are_even_and_not_negative(table):
    assert (table.steroid_mg % 2 == 0).all() and (table.steroid_mg >= 0).all()
    halo = (table.whole_ml.pow(1 / 3) - table.core_ml.pow(1 / 3))[table.foci == 1]
    assert halo.corr(table.steroid_mg[table.foci == 1]) > 0.3


def test_ldh_is_log_normal_round_200(table):
    z = np.log(table.ldh.dropna() / 200) / 0.22
    assert z.mean() == pytest.approx(0, abs=0.06) and z.std() == pytest.approx(1, abs=0.04)
    assert abs(z.corr(table.age[z.index])) < 0.06


@pytest.mark.parametrize(
    "column, where, probability",
    [
        ("karnofsky", "all", 0.05),
        ("mgmt", "biopsy", 0.45),
        ("mgmt", "resected", 0.18),
        ("ldh", "early", 0.40),
        ("ldh", "late", 0.10),
    ],
)
def test_gaps_are_as_frequent_as_they_should_be(table, column, where, probability):
    rows = {
        "all": table.age > 0,
        "biopsy": table.resection == "biopsy",
        "resected": table.resection != "biopsy",
        "early": table.diagnosis < "2014",
        "late": table.diagnosis >= "2014",
    }[where]
    missing = table[column][rows].isna()
    assert missing.mean() == pytest.approx(probability, abs=3.2 * (probability * (1 - probability) / rows.sum()) ** 0.5)
    # At random: who has a gap is neither older nor dies sooner.
    assert abs(table.age[rows][missing].mean() - table.age[rows][~missing].mean()) < 4


def test_a_gap_hides_a_number_and_changes_nothing(table):
    truth = Cohort(7).truth(range(300), "tumor")
    seen = table[:300]
    known = seen.karnofsky.notna()
    assert (seen.karnofsky[known] == truth.karnofsky_true[known]).all()
    known = seen.mgmt.notna()
    assert ((seen.mgmt[known] == "unmethylated") == truth.mgmt_unmethylated[known]).all()


def test_months_run_from_diagnosis_to_death_or_to_the_end_of_the_study(table):
    diagnosis = pd.to_datetime(table.diagnosis)
    last = pd.to_datetime(table.last_seen)
    assert ((last - diagnosis).dt.days / 30.44).sub(table.months).abs().max() < 0.08
    assert diagnosis.min() >= pd.Timestamp(date(2012, 1, 2)) and diagnosis.max() <= pd.Timestamp(date(2017, 12, 29))
    alive = table.died == 0
    assert (table.last_seen[alive] == "2019-06-28").all() and (table.last_seen <= "2019-06-28").all()
    months = np.array([m.month for m in diagnosis])
    assert np.bincount(months)[1:].min() > 0.05 * len(months)  # all year round
    # Nobody is followed beyond death, and nobody dies beyond the end.
    truth = Cohort(7).truth(range(600), "tumor").survival_months
    first = table[:600]
    assert (first.months <= truth + 0.06).all() and ((first.died == 1) == (truth <= first.months + 0.06)).all()


def test_symptoms_are_even_and_say_nothing(table):
    share = table.symptom.value_counts(normalize=True)
    assert len(share) == 5 and share.between(0.2 - 3.2 * 0.4 / PEOPLE**0.5, 0.2 + 3.2 * 0.4 / PEOPLE**0.5).all()


def test_who_has_a_glioma(table):
    """Median age of glioblastoma about 62 to 64 years, men 1.4 to 1.6 times as often."""
    assert table.age.mean() == pytest.approx(62, abs=0.7) and table.age.std() == pytest.approx(12, abs=0.6)
    assert (table.sex == "M").mean() == pytest.approx(0.58, abs=0.022)
