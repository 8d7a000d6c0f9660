"""Scores of survival against torchsurv, scikit-learn, counting, and the truth of a simulation."""

import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from torchsurv.metrics.cindex import ConcordanceIndex
from torchsurv.stats.ipcw import get_ipcw
from torchsurv.stats.kaplan_meier import KaplanMeierEstimator

from presimal.evaluation import interval_of
from presimal.evaluation.survival import concordance_draws, dead_by


def simulated(n, seed=0, censored_until=3.0):
    """Exponential survival with hazard exp(x), uniform censoring: time, died, x, and the true survival."""
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    survival = random.exponential(np.exp(-x))
    followed = random.uniform(0.05, censored_until, n)
    return np.minimum(survival, followed), survival <= followed, x, survival


def test_concordance_agrees_with_torchsurv_weighted_and_truncated():
    time, died, x, _ = simulated(150)
    risk = np.round(x + np.random.default_rng(1).normal(size=150), 1)  # with ties
    event, t = torch.from_numpy(died), torch.from_numpy(time).float()
    theirs = ConcordanceIndex()(
        torch.from_numpy(risk).float(), event, t, weight=get_ipcw(event, t), tmax=torch.tensor(2.0)
    )
    assert concordance_draws(risk, time, died, 2.0, repeats=1)[0] == pytest.approx(float(theirs), abs=1e-4)


def test_who_dies_at_the_horizon_does_not_die_before_it():
    """Of three people the first dies before 2, with the highest risk; the second, who dies at 2, is no case."""
    risk, time = [3.0, 1.0, 2.0], np.array([1.0, 2.0, 3.0])
    assert concordance_draws(risk, time, np.ones(3), 2.0, repeats=1)[0] == 1
    assert concordance_draws(risk, time, np.ones(3), 2.01, repeats=1)[0] == pytest.approx(2 / 3)
    theirs = ConcordanceIndex()(
        torch.tensor(risk), torch.ones(3, dtype=torch.bool), torch.from_numpy(time).float(), tmax=torch.tensor(2.0)
    )
    assert float(theirs) == 1


def test_concordance_of_the_uncensored_does_not_change_with_censoring():
    time, died, x, survival = simulated(1200, censored_until=2.5)
    free = concordance_draws(x, survival, np.ones(1200), 1.5, repeats=1)[0]
    weighted = concordance_draws(x, time, died, 1.5, repeats=1)[0]
    assert weighted == pytest.approx(free, abs=0.015)


def test_a_resample_is_the_concordance_of_the_people_in_it():
    _, _, x, survival = simulated(60)
    draws = concordance_draws(x, survival, np.ones(60), 99.0, repeats=3, seed=5)
    counts = np.random.default_rng(5).multinomial(60, np.full(60, 1 / 60), size=3)
    for draw, count in zip(draws[1:], counts, strict=True):
        again = np.repeat(np.arange(60), count)
        assert draw == pytest.approx(concordance_draws(x[again], survival[again], np.ones(60), 99.0, 1)[0])


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    _, _, x, survival = simulated(2500, seed=99)
    truth = concordance_draws(x, survival, np.ones(2500), 99.0, 1)[0]
    covered = 0
    for seed in range(40):
        _, _, x, survival = simulated(100, seed)
        found = interval_of(concordance_draws(x, survival, np.ones(100), 99.0, 200))
        covered += found.low <= truth <= found.high
    assert 34 <= covered <= 40


def test_the_same_seed_pairs_two_models():
    time, died, x, _ = simulated(200)
    one = concordance_draws(x, time, died, 2.0, 100)
    assert np.ptp(one - concordance_draws(2 * x + 1, time, died, 2.0, 100)) == 0
    noisy = concordance_draws(x + 0.3 * np.random.default_rng(2).normal(size=200), time, died, 2.0, 100)
    assert np.std(one - noisy) < np.std(one)


def test_concordance_refuses_what_has_no_pair():
    with pytest.raises(ValueError, match="No pair"):
        concordance_draws([1, 2], [3.0, 4.0], [0, 0], 9.0)
    with pytest.raises(ValueError, match="one entry per person"):
        concordance_draws([1, 2, 3], [3.0, 4.0], [1, 0], 9.0)


def test_dead_by_agrees_with_kaplan_meier_of_torchsurv_and_with_the_truth():
    time, died, _, survival = simulated(400)
    km = KaplanMeierEstimator()
    km(torch.from_numpy(died), torch.from_numpy(time))
    found = dead_by(time, died, 1.0)
    assert found.value == pytest.approx(1 - float(km.predict(torch.tensor([1.0], dtype=torch.float64))[0]), abs=1e-6)
    assert found.low < (survival <= 1).mean() < found.high


def test_dead_by_has_the_log_log_interval_of_a_proportion_without_censoring():
    # Without censoring Greenwood's variance of S is S(1-S)/n, on the log-log scale (1-S)/(n S log(S)²).
    time = np.arange(1, 101.0)
    found = dead_by(time, np.ones(100), 30.5)
    s = 0.7
    half = 1.959964 * np.sqrt((1 - s) / (100 * s)) / abs(np.log(s))
    assert found == pytest.approx((0.3, 1 - s ** np.exp(-half), 1 - s ** np.exp(half)), abs=1e-6)


def test_the_interval_of_dead_by_has_the_level_asked_for():
    s = 0.7
    half = 0.674490 * np.sqrt((1 - s) / (100 * s)) / abs(np.log(s))  # the quartiles of a normal distribution
    found = dead_by(np.arange(1, 101.0), np.ones(100), 30.5, level=0.5)
    assert found[1:] == pytest.approx((1 - s ** np.exp(-half), 1 - s ** np.exp(half)), abs=1e-6)


def test_dead_by_when_nobody_or_everybody_has_died():
    with warnings.catch_warnings(action="error"):
        nobody = dead_by(np.array([0.5, 5.0, 6.0]), np.array([0, 1, 1]), 1.0)
        everybody = dead_by(np.array([5.0, 6.0, 7.0]), np.array([1, 1, 1]), 9.0, level=0.9)
    exact = stats.binomtest(0, 2).proportion_ci(0.95), stats.binomtest(3, 3).proportion_ci(0.9)
    assert nobody == pytest.approx((0, *exact[0])) and everybody == pytest.approx((1, *exact[1]))


def test_when_the_last_one_dies_those_who_were_lost_before_do_not_make_it_sure():
    """Kaplan-Meier falls to 0 with the last person, of whom there is one: not with 40."""
    exact = stats.binomtest(1, 1).proportion_ci(0.95)
    assert dead_by(np.arange(1, 41.0), np.arange(40) == 39, 50.0) == pytest.approx((1, *exact))
    exact = stats.binomtest(3, 3).proportion_ci(0.95)
    assert dead_by([1.0, 2, 3, 4, 5], [1, 0, 1, 0, 1], 5.0) == pytest.approx((1, *exact))


@pytest.mark.parametrize("horizon", [0.0, 0.5, 0.999])
def test_before_the_first_death_the_interval_is_that_of_nobody(horizon):
    """Whether somebody has been lost before, or not: that none of five has died does not say that nobody can."""
    exact = stats.binomtest(0, 5).proportion_ci(0.95)
    assert dead_by([1.0, 2, 3, 4, 5], [1, 0, 1, 1, 0], horizon) == pytest.approx((0, *exact))


@pytest.mark.parametrize("horizon", [6.0, 1e300, np.inf])
def test_after_the_last_contact_the_risk_stays_as_it_was(horizon):
    time, died = [1.0, 2, 3, 4, 5], [1, 0, 1, 1, 0]
    assert dead_by(time, died, horizon) == dead_by(time, died, 5.0)


@pytest.mark.parametrize("horizon", [-1.0, -np.inf, np.nan])
def test_a_horizon_that_is_no_time_is_refused(horizon):
    time, died = [1.0, 2, 3], [1, 0, 1]
    for call in (lambda: dead_by(time, died, horizon), lambda: concordance_draws(time, time, died, horizon, 2)):
        with pytest.raises(ValueError, match="The horizon is a time, not"):
            call()


@pytest.mark.parametrize("horizon", [torch.tensor(2.5), np.array([2.5]), [2.5]])
def test_a_horizon_may_be_any_single_number(horizon):
    time, died, x, _ = simulated(40)
    assert dead_by(time, died, horizon) == dead_by(time, died, 2.5)
    assert np.array_equal(concordance_draws(x, time, died, horizon, 3), concordance_draws(x, time, died, 2.5, 3))


@pytest.mark.parametrize("unit", [1e-300, 1e30, 1e300])
def test_the_unit_of_time_does_not_matter(unit):
    """As float32 all these times would be 0 or infinite."""
    time, died, x, _ = simulated(60)
    expected = concordance_draws(x, time, died, 2.0, 5)
    assert concordance_draws(x, unit * time, died, unit * 2.0, 5) == pytest.approx(expected)


def test_seconds_since_1970_are_times():
    """Of 2 billion seconds float32 keeps two minutes: people lost and dead in them would have other weights."""
    time, died, x, _ = simulated(60)
    seconds = np.floor(time * 1000)
    expected = concordance_draws(x, seconds, died, 2000.0, 5)
    assert concordance_draws(x, seconds + 1.7e9, died, 1.7e9 + 2000, 5) == pytest.approx(expected, rel=1e-12)


def test_a_resample_without_a_pair_is_nan_without_a_warning():
    with warnings.catch_warnings(action="error"):
        draws = concordance_draws([2, 1], [1.0, 2.0], [1, 1], 9.0, 20)
    assert np.isnan(draws[1:]).any() and draws[0] == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda t, d: dead_by(t, d[:, None], 3.0),
        lambda t, d: dead_by(t[:, None], d, 3.0),
        lambda t, d: dead_by(t, d, np.nan),
        lambda t, d: concordance_draws(np.ones((4, 2)), t, d, 9.0, repeats=2),
        lambda t, d: concordance_draws(-t, t, d[:, None], 9.0, repeats=2),
    ],
)
def test_columns_and_a_horizon_that_is_none_are_refused(call):
    with pytest.raises(ValueError, match="one entry per person|horizon is a time, not nan"):
        call(np.arange(1.0, 5.0), np.array([1, 0, 1, 1]))


def test_concordance_of_a_yes_or_no_outcome_is_the_area_under_the_curve():
    random = np.random.default_rng(3)
    dead, score = random.random(120) < 0.4, random.normal(size=120)
    time = np.where(dead, 1.0, 2.0)
    assert concordance_draws(score, time, dead, 1.5, 1)[0] == pytest.approx(roc_auc_score(dead, score))


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: dead_by([], [], 1), "one entry per person"),
    ],
)
def test_refuses_in_one_sentence(call, says):
    with pytest.raises(ValueError, match=says):
        call()


ODD_EVENTS = {
    "1 and 2": np.array([1, 2, 2, 1, 2]),
    "words": np.array(["dead", "alive", "dead", "dead", "alive"]),
    "NaN": np.array([1, 0, np.nan, 1, 0]),
    "halves": np.array([1, 0, 0.5, 1, 0]),
    "objects": np.array([1, 0, None, 1, 0], dtype=object),
}


@pytest.mark.parametrize("odd", ODD_EVENTS)
def test_events_that_are_neither_0_nor_1_are_refused(odd):
    time = np.arange(1.0, 6.0)
    for call in (lambda d: dead_by(time, d, 3.0), lambda d: concordance_draws(-time, time, d, 9.0, repeats=2)):
        with pytest.raises(ValueError, match="must be 1 \\(dead\\) or 0"):
            call(ODD_EVENTS[odd])


@pytest.mark.parametrize("kind", [bool, int, float, np.uint8])
def test_events_are_0_and_1_of_any_type(kind):
    time, died = np.arange(1.0, 6.0), np.array([1, 0, 1, 1, 0])
    assert dead_by(time, died.astype(kind), 3.0) == dead_by(time, died.astype(bool), 3.0)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -1.0])
def test_a_risk_or_time_that_is_no_number_is_refused(odd):
    time, died = np.arange(1.0, 6.0), np.array([1, 0, 1, 1, 0])
    wrong = time.copy()
    wrong[2] = odd
    with pytest.raises(ValueError, match="finite number"):
        concordance_draws(-time, wrong, died, 9.0, repeats=2)
    with pytest.raises(ValueError, match="finite number"):
        dead_by(wrong, died, 3.0)
    if odd != -1.0:
        with pytest.raises(ValueError, match="finite number"):
            concordance_draws(wrong, time, died, 9.0, repeats=2)
