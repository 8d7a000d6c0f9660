"""The brain-age gap: corrections against scikit-learn and closed forms, coverage against simulation."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from presimal.evaluation import AgeBias, conformal_half_width

RNG = np.random.default_rng(0)
AGE = RNG.uniform(20, 86, 400)
PREDICTED = 0.8 * AGE + 11 + RNG.normal(0, 4, 400)


def test_the_line_is_that_of_scikit_learn():
    reference = LinearRegression().fit(AGE[:, None], PREDICTED)
    bias = AgeBias.fit(AGE, PREDICTED)
    assert bias.slope == pytest.approx(reference.coef_[0]) and bias.intercept == pytest.approx(reference.intercept_)


def test_the_residual_gap_is_what_a_regression_of_the_gap_on_age_leaves():
    gap = PREDICTED - AGE
    reference = gap - LinearRegression().fit(AGE[:, None], gap).predict(AGE[:, None])
    corrected = AgeBias.fit(AGE, PREDICTED).residual_gap(AGE, PREDICTED)
    assert np.allclose(corrected, reference)
    assert abs(np.corrcoef(corrected, AGE)[0, 1]) < 1e-10 < 0.3 < abs(np.corrcoef(gap, AGE)[0, 1])


def test_rescaling_undoes_the_line_exactly():
    bias = AgeBias(0.8, 11.0)
    assert np.allclose(bias.rescaled(0.8 * AGE + 11.0), AGE)
    # what it does to people: the residual gap, over the slope
    assert np.allclose(bias.rescaled(PREDICTED) - AGE, bias.residual_gap(AGE, PREDICTED) / 0.8)


def test_on_new_people_the_corrections_take_the_bias_away():
    age = RNG.uniform(20, 86, 4000)
    predicted = 0.8 * age + 11 + RNG.normal(0, 4, 4000)
    bias = AgeBias.fit(AGE, PREDICTED)
    for gap in (bias.residual_gap(age, predicted), bias.rescaled(predicted) - age):
        assert abs(np.corrcoef(gap, age)[0, 1]) < 0.1


def test_a_line_through_two_ages_is_refused():
    with pytest.raises(ValueError, match="three ages"):
        AgeBias.fit([30.0, 30.0, 60.0], [31.0, 33.0, 58.0])


def test_the_half_width_is_the_right_order_statistic():
    errors = np.array([1, -9, 2, -8, 3, -7, 4, -6, 5, -10])
    assert conformal_half_width(errors, 0.8) == 9  # ceil(11 * 0.8) = 9th
    assert conformal_half_width(np.arange(1.0, 10), 0.9) == 9  # 10 * 0.9 is 9, whatever floating point makes of it
    assert conformal_half_width(errors, 0.5) == 6


def test_new_people_are_covered_as_promised():
    for level in (0.5, 0.9):
        covered = []
        for _ in range(2000):  # Laplace errors: nothing needs to be normal
            errors = RNG.laplace(0, 3, 60)
            covered.append(abs(errors[-1]) <= conformal_half_width(errors[:-1], level))
        # ceil(60 level) of 60 places are covered; four standard errors
        assert np.mean(covered) == pytest.approx(np.ceil(60 * level) / 60, abs=4 * np.sqrt(level * (1 - level) / 2000))


@pytest.mark.parametrize(("count", "level"), [(5, 0.9), (0, 0.5), (100, 1.0), (100, 0.0)])
def test_too_few_people_for_a_level_are_refused(count, level):
    with pytest.raises(ValueError, match="too few"):
        conformal_half_width(np.ones(count), level)
