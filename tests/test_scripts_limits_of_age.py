"""What an age could be known by, were the volumes without error: charts with a known answer, and the sentence told."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from brainscans import age

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import limits_of_age as script


@pytest.fixture
def straight_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """One measure that falls by 0.01 a year, with a spread of 0.05 in people of one age; the others say nothing."""
    means, spreads = np.zeros((len(age.AGES), 3)), np.full((len(age.AGES), 3), 0.05)
    means[:, 0] = -0.01 * age.AGES
    for module in (age, script):
        monkeypatch.setattr(module, "charts", lambda: (means, spreads))
        monkeypatch.setattr(module, "CORRELATION", np.eye(3))


@pytest.mark.parametrize(("error", "deviation"), [(1e-6, 5.0), (0.05, 5.0 * np.sqrt(2))])
def test_a_straight_chart_is_turned_round(straight_charts, error, deviation):
    missed = script.errors(np.full(600, 58.0), np.array([error, 1e3, 1e3]), np.random.default_rng(0))
    assert np.abs(missed).mean() == pytest.approx(deviation * np.sqrt(2 / np.pi), rel=0.1)
    assert missed.mean() == pytest.approx(0, abs=0.75)


def test_the_ages_are_those_of_the_examination():
    ages = script.real_ages()
    assert (len(ages), ages.min(), ages.max()) == (21, 22.0, 95.6)


def test_weights_readme_tells_what_the_charts_allow():
    told = (Path(__file__).parents[1] / "assets" / "weights" / "README.md").read_text("utf-8")
    (said,) = re.findall(r"known without any error[^.]*?(\d\.\d) years", told)
    missed = script.errors(np.repeat(script.real_ages(), 20), script.PERFECT, np.random.default_rng(5))
    assert np.abs(missed).mean() == pytest.approx(float(said), abs=0.6)
