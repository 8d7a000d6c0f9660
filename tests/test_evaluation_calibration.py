"""Calibration, against scikit-learn and closed forms."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve

from presimal.evaluation import reliability


@pytest.fixture
def cases():
    random = np.random.default_rng(0)
    logits = random.normal(-0.5, 2.0, 4000)
    y = random.random(4000) < 1 / (1 + np.exp(-logits))
    return logits, y.astype(int)


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z)))


@pytest.mark.parametrize("bins", [5, 10, 15])
def test_the_diagram_is_that_of_scikit_learn(cases, bins):
    logits, y = cases
    observed, predicted = calibration_curve(y, sigmoid(logits), n_bins=bins)
    ours = reliability(sigmoid(logits), y, bins)
    np.testing.assert_allclose(ours.predicted, predicted)
    np.testing.assert_allclose(ours.observed, observed)
    assert ours.count.sum() == len(y)


def test_probabilities_on_an_edge_belong_to_the_bin_above_and_one_to_the_last():
    curve = reliability([0.0, 0.29, 0.29, 0.5, 1.0], [0, 1, 1, 1, 1], bins=100)
    np.testing.assert_allclose(curve.predicted, [0.0, 0.29, 0.5, 1.0])
    assert curve.count.tolist() == [1, 2, 1, 1]
    assert reliability([0.5], [1], bins=2).predicted.tolist() == [0.5]
    assert reliability([0.4, 0.5, 1.0], [0, 1, 1], bins=2).count.tolist() == [1, 2]


@pytest.mark.parametrize("bins", [10.0, np.float32(10), np.array([10]), torch.tensor(10), np.uint8(10)])
def test_a_whole_number_of_any_type_counts_bins(cases, bins):
    found, expected = (reliability(sigmoid(cases[0]), cases[1], number) for number in (bins, 10))
    assert np.array_equal(found.predicted, expected.predicted) and np.array_equal(found.count, expected.count)


def test_probabilities_of_bfloat16_are_taken(cases):
    p = torch.from_numpy(sigmoid(cases[0])).bfloat16()
    assert np.array_equal(reliability(p, cases[1]).count, reliability(p.float(), cases[1]).count)


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: reliability([0.1], [0, 1]), "One value per case"),
        (lambda: reliability([], []), "at least one"),
        (lambda: reliability([2.0], [1]), "logits"),
        (lambda: reliability([0.5], [2]), "0 and 1"),
        (lambda: reliability([np.nan], [1]), "NaN"),
        (lambda: reliability([0.5], [1], 0), "The number of bins: give a whole number from 1 to 1000000, and not 0"),
        (lambda: reliability([0.5], [1], 2.5), "The number of bins: give a whole number"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, part):
    with pytest.raises(ValueError, match=part):
        call()


def test_tables_of_other_shapes_are_not_laid_side_by_side():
    """Of (2, 5) and (5, 2), or of two classes and one, other cases would meet; a column is a row of cases."""
    for p, y in (((2, 5), (5, 2)), ((5, 2), (10,))):
        with pytest.raises(ValueError, match="One value per case on both sides"):
            reliability(np.full(p, 0.5), np.ones(y))
    assert reliability(np.full((4, 1), 0.5), np.ones(4)).count.tolist() == [4]
