"""Agreement against published tables, an analysis of variance by regression, and simulation."""

import numpy as np
import pytest

from presimal.evaluation import intraclass_correlation, limits_of_agreement

# Six targets rated by four judges: Shrout and Fleiss (1979), who find ICC(2, 1) = 0.29.
RATED = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])


def by_regression(y):
    """The mean squares as drops in the residual of least-squares fits with and without each factor."""
    n, k = y.shape
    people, ways = np.kron(np.eye(n), np.ones((k, 1))), np.kron(np.ones((n, 1)), np.eye(k))

    def left(*factors):
        x = np.hstack(factors)
        return ((y.ravel() - x @ np.linalg.lstsq(x, y.ravel(), rcond=None)[0]) ** 2).sum()

    full = left(people, ways)
    msr, msc, mse = (left(ways) - full) / (n - 1), (left(people) - full) / (k - 1), full / ((n - 1) * (k - 1))
    return (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)


def test_agrees_with_the_published_table():
    assert intraclass_correlation(RATED) == pytest.approx(0.29, abs=0.005)


def test_agrees_with_an_analysis_of_variance_by_regression():
    for n, k, seed in ((6, 4, 0), (20, 2, 1), (9, 3, 2)):
        random = np.random.default_rng(seed)
        y = random.normal(size=(n, 1)) + 0.3 * random.normal(size=(1, k)) + 0.5 * random.normal(size=(n, k))
        assert intraclass_correlation(y) == pytest.approx(by_regression(y), abs=1e-9)


def test_is_the_share_of_variance_between_people():
    random = np.random.default_rng(0)
    y = 2 * random.normal(size=(20000, 1)) + random.normal(size=(20000, 2))
    assert intraclass_correlation(y) == pytest.approx(4 / 5, abs=0.01)


def test_minds_a_constant_difference_that_a_correlation_does_not():
    x = np.random.default_rng(0).normal(size=5000)
    assert intraclass_correlation(np.c_[x, x]) == pytest.approx(1)
    # A shift of d adds d²/2 to the variance between the two ways.
    assert intraclass_correlation(np.c_[x, x + 2]) == pytest.approx(1 / (1 + 2), abs=0.02)


def test_nothing_that_varies_gives_no_number():
    assert np.isnan(intraclass_correlation(np.ones((5, 2))))


@pytest.mark.parametrize("y", [np.ones((1, 2)), np.ones((5, 1)), np.ones(5), np.array([[1, np.nan], [2, 3]])])
def test_refuses_what_cannot_be_compared(y):
    with pytest.raises(ValueError):
        intraclass_correlation(y)


def test_limits_hold_95_percent_of_normal_differences():
    random = np.random.default_rng(0)
    reference = random.uniform(5, 100, 20_000)
    difference = random.normal(3.0, 2.0, 20_000)
    found = limits_of_agreement(reference + difference, reference)
    assert found.value == pytest.approx(3.0, abs=0.05)
    assert found.low == pytest.approx(3 - 3.92, abs=0.1) and found.high == pytest.approx(3 + 3.92, abs=0.1)
    assert np.mean((difference > found.low) & (difference < found.high)) == pytest.approx(0.95, abs=0.005)


def test_limits_of_two_pairs_by_hand():
    """Differences 1 and 3: mean 2, and the standard deviation of a sample, sqrt(2)."""
    found = limits_of_agreement([11.0, 23.0], [10.0, 20.0])
    assert found == pytest.approx((2.0, 2 - 1.96 * 2**0.5, 2 + 1.96 * 2**0.5))


@pytest.mark.parametrize("pair", [([1.0], [2.0]), ([1.0, 2.0], [1.0])])
def test_too_few_or_unequal_pairs_are_refused(pair):
    with pytest.raises(ValueError, match="pairs"):
        limits_of_agreement(*pair)
