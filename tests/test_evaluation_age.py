"""Intervals for the ages of new people: order statistics by hand, coverage against simulation."""

import numpy as np
import pytest

from presimal.evaluation import conformal_half_width

RNG = np.random.default_rng(0)


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


@pytest.mark.parametrize(("count", "level"), [(5, 0.9), (0, 0.5)])
def test_too_few_people_for_a_level_are_refused(count, level):
    with pytest.raises(ValueError, match="too few"):
        conformal_half_width(np.ones(count), level)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 90.0])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        conformal_half_width(np.ones(100), level)
