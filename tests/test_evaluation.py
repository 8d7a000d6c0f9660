"""Intervals against closed forms, and against what resampling must not do."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from presimal import radiomics
from presimal.evaluation import (
    Interval,
    bootstrap_interval,
    conformal_half_width,
    dice,
    hausdorff95,
    interval_of,
    reliability,
)  # fmt: skip
from presimal.evaluation.survival import concordance_draws, dead_by
from synthcohort.storage import DataError


def test_the_interval_of_a_mean_is_that_of_the_normal_theory():
    x = np.random.default_rng(0).normal(10, 2, 400)
    got = bootstrap_interval(np.mean, x, repeats=4000)
    low, high = stats.norm.interval(0.95, x.mean(), x.std() / 20)
    assert got.value == x.mean()
    assert got.low == pytest.approx(low, abs=0.02) and got.high == pytest.approx(high, abs=0.02)


def test_it_agrees_with_the_percentile_bootstrap_of_scipy():
    x, y = np.random.default_rng(1).normal(size=(2, 60))
    y += x

    def correlation(x, y):
        return np.corrcoef(x, y)[0, 1]

    got = bootstrap_interval(correlation, x, y, repeats=4000)
    expected = stats.bootstrap(
        (x, y), correlation, paired=True, vectorized=False, method="percentile", n_resamples=4000, random_state=2
    ).confidence_interval
    assert got[1:] == pytest.approx(tuple(expected), abs=0.02)


def test_a_wider_level_gives_a_wider_interval_and_the_same_seed_the_same_one():
    x = np.arange(30.0)
    narrow, wide = (bootstrap_interval(np.mean, x, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert bootstrap_interval(np.mean, x, seed=3) == bootstrap_interval(np.mean, x, seed=3)
    assert bootstrap_interval(np.mean, x, seed=3) != bootstrap_interval(np.mean, x, seed=4)


def test_slices_of_one_patient_are_not_taken_for_independent_evidence():
    """Ten copies of each patient carry no more than one: by patient the interval stays as wide."""
    x = np.random.default_rng(0).normal(size=40)
    patients = np.repeat(np.arange(40), 10)
    alone = bootstrap_interval(np.mean, x)
    by_patient = bootstrap_interval(np.mean, np.repeat(x, 10), groups=patients)
    by_slice = bootstrap_interval(np.mean, np.repeat(x, 10))
    width = alone.high - alone.low
    assert by_patient.high - by_patient.low == pytest.approx(width, rel=0.05)
    assert by_slice.high - by_slice.low < 0.4 * width


def test_draws_without_a_number_do_not_move_the_interval():
    draws = np.random.default_rng(0).normal(size=101)
    spoiled = np.insert(draws, [1, 50, 101], np.nan)
    assert interval_of(spoiled) == interval_of(draws) == (draws[0], *np.quantile(draws[1:], [0.025, 0.975]))


def test_groups_may_be_names_in_any_order_and_of_any_size():
    x = np.array([1.0, 5.0, 1.0, 5.0, 1.0])
    groups = np.array(["b", "a", "b", "a", "b"])
    got = bootstrap_interval(np.mean, x, groups=groups)
    assert (got.low, got.high) == (1.0, 5.0)


def test_resamples_without_a_number_are_left_out():
    y = np.array([0] * 9 + [1])

    def mean_of_the_ill(x, y):
        return x[y == 1].mean() if y.any() else np.nan

    got = bootstrap_interval(mean_of_the_ill, np.arange(10.0), y)
    assert got == (9.0, 9.0, 9.0)


@pytest.mark.parametrize(
    ("arrays", "groups", "complaint"),
    [
        (([1, 2], [1, 2, 3]), None, "one entry per case"),
        (([],), None, "at least one"),
        ((), None, "at least one"),
        (([1, 2],), [1], "one entry per case"),
        (([np.nan, np.nan],), None, "The statistic is not finite"),
    ],
)
def test_bad_input_is_refused(arrays, groups, complaint):
    with pytest.raises(ValueError, match=complaint):
        bootstrap_interval(np.mean, *arrays, groups=groups)


@pytest.mark.parametrize("column", [np.array, torch.tensor, pd.DataFrame])
def test_a_column_beside_a_row_is_refused(column):
    """Of (N, 1) and (N,) NumPy makes (N, N): each prediction would be compared with all people, without a word."""
    x = np.arange(10.0)
    for arrays in ((column(x[:, None]), x), (x, x, column(x[:, None]))):
        with pytest.raises(ValueError, match=r"Arrays \(N, 1\) and \(N,\): flatten one"):
            bootstrap_interval(lambda *given: np.abs(given[0] - given[-1]).mean(), *arrays, repeats=2)
    assert bootstrap_interval(lambda a, b: (a - b).mean(), x[:, None], x[:, None] + np.ones(3), repeats=2) == (
        -1,
        -1,
        -1,
    )


def test_an_interval_prints_as_it_is_reported():
    assert f"{Interval(0.8123, 0.7, 0.9):.2f}" == "0.81 [0.70, 0.90]"


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 1.5, 95, np.nan])
def test_a_level_that_is_none_is_refused(level):
    x = np.arange(30.0)
    calls = (lambda: bootstrap_interval(np.mean, x, level=level), lambda: interval_of(x, level))
    for call in (*calls, lambda: conformal_half_width(x, level)):
        with pytest.raises(ValueError, match="lies between 0 and 1"):
            call()


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_no_number_gives_no_interval(odd):
    """A NaN is in nearly all resamples: those without it are not the data."""
    x = np.array([1.0, odd, 3.0])
    with pytest.raises(ValueError, match="not finite: is there a NaN"):
        bootstrap_interval(np.mean, x)
    with pytest.raises(ValueError, match="Every error must be a finite number"):
        conformal_half_width(np.r_[np.arange(20.0), odd], 0.5)


@pytest.mark.parametrize(
    "draws", [[1.0], 1.0, [np.nan, 1.0], [1.0, np.nan], [[1.0, 2.0]], [1.0, 2.0, np.inf], [1, 1e308, -1e308]]
)
def test_resamples_that_are_none_are_refused(draws):
    with pytest.raises(ValueError, match="a number and its resamples"):
        interval_of(np.array(draws))


@pytest.mark.parametrize("value", [0, 1])
def test_a_proportion_of_0_or_1_has_the_exact_interval(value):
    """No resample differs, and yet nobody knows that all others would be like these twenty."""
    found = bootstrap_interval(np.mean, np.full(20, value, bool), level=0.9)
    assert found == pytest.approx((value, *stats.binomtest(20 * value, 20).proportion_ci(0.9)))
    of_five = bootstrap_interval(np.mean, np.full(20, value, bool), groups=np.arange(20) // 4)
    assert of_five == pytest.approx((value, *stats.binomtest(5 * value, 5).proportion_ci(0.95)))


@pytest.mark.parametrize("value", [0, 0.0, 1.0, 2.5])
def test_numbers_that_are_all_alike_are_no_proportion(value):
    """The differences of a scan with itself are 0, and not between 0 and some tenths of a year."""
    with pytest.warns(UserWarning, match=f"All resamples give {value:g}: that this interval has no width says nothing"):
        assert bootstrap_interval(np.mean, np.full(20, value)) == (value, value, value)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int64, float])
def test_the_smallest_integer_has_a_positive_size(kind):
    """In eight bits there is no 128, and the absolute value of -128 is -128."""
    smallest = -128 if kind is float else np.iinfo(kind).min
    assert conformal_half_width(np.full(19, smallest, kind), 0.9) == -float(smallest)


@pytest.mark.parametrize("level", [1e-300, 1e-12, 0.01])
def test_a_level_near_0_takes_the_smallest_error(level):
    assert conformal_half_width(np.arange(1.0, 20), level) == 1


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.float16])
def test_differences_of_small_numbers_are_what_they_are(kind):
    """In the type of an image 100 - 101 would be 255, and 127 + 127 would be -2."""
    a, b = np.array([100, 101, 127] * 20), np.array([101, 100, 127] * 20)
    difference, total = lambda a, b: (a - b).mean(), lambda a, b: (a + b).sum()
    for statistic in (difference, total):
        found = bootstrap_interval(statistic, a.astype(kind), b.astype(kind), repeats=20)
        assert found == bootstrap_interval(statistic, a, b, repeats=20)


@pytest.mark.parametrize("repeats", [0, -1, 1.5, np.nan, np.inf, 1e12])
def test_repeats_are_a_whole_number(repeats):
    x = np.arange(30.0)
    for call in (
        lambda: bootstrap_interval(np.mean, x, repeats=repeats),
        lambda: concordance_draws(x, x, x > 0, 99.0, repeats),
    ):
        with pytest.raises(ValueError, match="Repeats: give a whole number from 1 to 1000000000"):
            call()
    plain = bootstrap_interval(np.mean, x, repeats=5, level=0.9)
    assert bootstrap_interval(np.mean, x, repeats=[5], level=np.array([0.9])) == plain


class Stubborn:
    def __array__(self, *_, **__):
        raise RuntimeError("no")


NO_NUMBERS = {
    "text": ["a", "b", "c"],
    "digits as text": ["1", "0", "1"],
    "objects": [1, None, 0],
    "complex numbers": [1 + 0j, 0j, 1j],
    "a complex tensor": torch.tensor([1 + 0j, 0, 1]),
    "uneven lists": [[1], [1, 2], [3]],
    "dates": np.array(["2020-01-01"] * 3, "datetime64[D]"),
    "a gap": np.ma.array([1, 0, 1], mask=[0, 1, 0]),
    "a gap of pandas": pd.array([1, None, 0], dtype="Int64"),
    "what will be no array": [Stubborn()] * 3,
    "a set": {0, 1, 2},
    "nothing": None,
    "a function": len,
}
GOOD, TIMES = np.array([1.0, 0, 1]), np.array([1.0, 2, 3])
CUBE = np.pad(np.ones((1, 1, 2, 2, 2)), [(0, 0), (0, 0), (1, 1), (1, 1), (1, 1)])
DOORS = {
    "reliability": lambda odd: reliability(odd, GOOD),
    "reliability, truth": lambda odd: reliability(GOOD, odd),
    "reliability, bins": lambda odd: reliability(GOOD, GOOD, odd),
    "bootstrap": lambda odd: bootstrap_interval(np.mean, odd, repeats=2),
    "bootstrap, second": lambda odd: bootstrap_interval(lambda a, _: a.mean(), TIMES, odd, repeats=2),
    "bootstrap, statistic": lambda odd: bootstrap_interval(lambda _: odd, TIMES, repeats=2),
    "bootstrap, level": lambda odd: bootstrap_interval(np.mean, TIMES, level=odd, repeats=2),
    "bootstrap, repeats": lambda odd: bootstrap_interval(np.mean, TIMES, repeats=odd),
    "interval": interval_of,
    "interval, level": lambda odd: interval_of(TIMES, odd),
    "conformal": lambda odd: conformal_half_width(odd, 0.5),
    "dice": lambda odd: dice(odd, CUBE),
    "hausdorff": lambda odd: hausdorff95(CUBE, odd, 1.0),
    "hausdorff, spacing": lambda odd: hausdorff95(CUBE, CUBE, odd),
    "concordance": lambda odd: concordance_draws(odd, TIMES, GOOD, 9.0, repeats=2),
    "concordance, time": lambda odd: concordance_draws(TIMES, odd, GOOD, 9.0, repeats=2),
    "concordance, died": lambda odd: concordance_draws(TIMES, TIMES, odd, 9.0, repeats=2),
    "concordance, repeats": lambda odd: concordance_draws(TIMES, TIMES, GOOD, 9.0, odd),
    "concordance, horizon": lambda odd: concordance_draws(TIMES, TIMES, GOOD, odd, repeats=2),
    "dead by": lambda odd: dead_by(odd, GOOD, 2.0),
    "dead by, died": lambda odd: dead_by(TIMES, odd, 2.0),
    "dead by, level": lambda odd: dead_by(TIMES, GOOD, 2.0, odd),
    "features": lambda odd: radiomics.features(odd, CUBE[0, 0], 1.0),
    "features, mask": lambda odd: radiomics.features(CUBE[0, 0], odd, 1.0),
    "features, spacing": lambda odd: radiomics.features(CUBE[0, 0], CUBE[0, 0], odd),
    "features, levels": lambda odd: radiomics.features(CUBE[0, 0], CUBE[0, 0], 1.0, odd),
    "intensity": radiomics.intensity,
    "texture": radiomics.texture,
}


@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_array_of_real_numbers_gets_one_sentence_at_every_door(door):
    for kind, odd in NO_NUMBERS.items():
        with pytest.raises((ValueError, DataError), match="give real numbers in one array, and not") as refused:
            DOORS[door](odd)
            pytest.fail(kind)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "groups",
    [
        [1, None, 2],
        [1.0, np.nan, 2],
        ["a", 1, None],
        ["a", np.nan, "b"],
        ["1", 1, 2],
        [[1], [1, 2], [3]],
        [[1], [2], [3]],
    ],
)
def test_groups_with_a_gap_are_refused(groups):
    with pytest.raises(ValueError, match="Groups: give one label per case, all of one kind, and none missing."):
        bootstrap_interval(np.mean, TIMES, groups=groups, repeats=2)
