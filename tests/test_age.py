"""Ages from volumes: the charts, Bayes' rule, and what the command says."""

import csv
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from brainscans import age as ages
from brainscans import networks
from brainscans.age import AGES, MEASURES, Interval, age_of, charts, corrected, measures, posterior, quantile
from brainscans.tissues import TISSUES, WEIGHTS
from presimal.cli import main
from synthcohort.storage import DataError

README = Path(__file__).parents[1] / "README.md"
REAL = Path(os.environ.get("PRESIMAL_REALDATA", "no real scans here"))
LONG = os.environ.get("PRESIMAL_LONG_TESTS") == "1"
NO_CORRECTION = [[0.0, 1.0, 0.0]] * 3
SMALL = np.array([0.01, 0.01, 0.01])


def brain(age=40.0, content=1400.0):
    """Volumes in ml with just the measures that the charts have at an age."""
    ratio, ventricle, tissue = np.exp(charts()[0][int(age - AGES[0])])
    solid, ventricles = tissue * content, ventricle * content
    gray = solid * ratio / (1 + ratio)
    volumes = dict.fromkeys(TISSUES[1:], 0.0)
    volumes |= {"ventricle": ventricles, "fluid": content - solid - ventricles, "cortex": gray, "white": solid - gray}
    return volumes


def tissues_of(volumes, content=1400.0):
    brain = SimpleNamespace(volume_ml=content)
    return SimpleNamespace(volumes_ml=volumes, brain=brain, fluid=0.3, warnings=[])


def person(volumes, content=1400.0, age=50.0):
    return ages.AgeEstimate(Interval(age, age - 10, age + 10), AGES, content, volumes, {})


def lines():
    """Of charts.csv: a tissue, an age, a centile, and a volume in ml that lies there, in our labels."""
    with open(Path(ages.__file__).with_name("charts.csv"), newline="") as file:
        for row in csv.DictReader(line for line in file if line[0] != "#"):
            tissue, held, centile = (row.pop(key) for key in ("tissue", "held", "centile"))
            row.pop("women")
            for age, ml in row.items():
                more = 5.4 if tissue == "ventricle" else 0.0
                yield tissue, float(age), float(centile), float(ml) / float(held) + more


def test_measures_by_hand():
    volumes = dict.fromkeys(TISSUES[1:], 10.0) | {"cortex": 470.0, "white": 375.0, "cerebellum": 100.0, "fluid": 65.0}
    # gray 470 + 3 * 10 + 75, white 375 + 25, stem 10, in all 985 of 1060
    assert np.exp(measures(volumes)) == pytest.approx([575 / 400, 10 / 1060, 985 / 1060])
    assert measures({name: 3 * ml for name, ml in volumes.items()}) == pytest.approx(measures(volumes))


def test_the_charts_are_those_that_were_read():
    means, spreads = charts()
    at = {age: np.exp(means[AGES == age][0]) for age in (21, 45, 90)}
    assert at[21][0] == pytest.approx(760.5 / 508.2 / 0.95)
    assert at[45][1] == pytest.approx((np.sqrt(16.07 * 17.76) / 0.90 + 5.4) / 1400, rel=1e-3)
    assert at[90][2] == pytest.approx(0.8472 + 5.04e-4 * 90 - 2.28e-5 * 8100)
    assert (np.diff(means[AGES < 80, 0]) < 0).all() and (np.diff(means[AGES >= 30, 1]) > 0).all()
    assert (np.diff(means[:, 2]) < 0).all() and (spreads > 0.02).all() and (spreads < 0.6).all()
    assert means.shape == spreads.shape == (len(AGES), len(MEASURES))


def test_measures_of_an_age_are_read_as_that_age():
    means, _ = charts()
    for age in (25, 50, 75):
        p, distance = posterior(means[AGES == age][0], SMALL)
        assert p.sum() == pytest.approx(1) and distance == pytest.approx(0, abs=1e-9)
        assert abs(AGES[p.argmax()] - age) < 8
    young, old = (posterior(means[AGES == age][0], SMALL)[0] @ AGES for age in (25, 75))
    assert old - young > 30


def test_a_useless_measurement_leaves_all_ages_alike():
    p, _ = posterior(charts()[0][10], np.full(3, 1e4))
    assert p == pytest.approx(1 / len(AGES), abs=1e-6)
    sharp, wide = (posterior(charts()[0][10], np.full(3, e))[0] for e in (0.01, 0.1))
    assert (sharp @ AGES**2 - (sharp @ AGES) ** 2) < (wide @ AGES**2 - (wide @ AGES) ** 2)


def test_quantiles_of_a_flat_probability():
    flat = np.full(len(AGES), 1 / len(AGES))
    assert [quantile(flat, q) for q in (0, 0.5, 1)] == pytest.approx([17.5, 57.5, 97.5])


def test_the_correction_is_a_line():
    correction = [[0.1, 2.0, -1.0], [0, 1, 0], [1, 0, 0]]
    result = corrected(np.array([1.0, -4.0, 7.0]), 0.3, correction)
    assert result == pytest.approx([0.1 + 2 - 0.3, -4, 1])


def test_an_answer_and_its_centiles():
    answer = age_of(tissues_of(brain(40)), NO_CORRECTION, [0.01] * 3)
    assert answer.age.low < 40 < answer.age.high and not answer.warnings
    assert answer.age.value == pytest.approx(40, abs=8)
    inside = (answer.age.low - 0.5 < AGES) & (answer.age.high + 0.5 > AGES)
    assert answer.probability[inside].sum() == pytest.approx(ages.LEVEL, abs=0.04)
    assert set(answer.centiles) == set(MEASURES) and all(20 < c < 80 for c in answer.centiles.values())


def test_the_charts_of_volumes_are_those_that_were_published():
    """Of the table's Frontal, Limbic, Occipital, Parietal and Temporal_GM, BasalGanglia, Deep_GM, and so on at 50."""
    low, middle = 182.06 + 34.12 + 75.03 + 88.49 + 101.39, 200.88 + 37.59 + 84.08 + 99.04 + 110.84
    told = {tissue: np.exp(chart[:, 5]) for tissue, chart in ages.CHARTS.items()}
    assert ages.CHART_AGES[5] == 50
    assert told["cortex"][:2] == pytest.approx([middle - 0.8 * (middle - low), middle], abs=0.05)
    assert told["striatum"] == pytest.approx([17.10, 19.40, 21.93])
    assert told["thalamus"] == pytest.approx([14.81, 16.51, 18.33])
    assert told["cerebellum"] == pytest.approx([129.9, 147.7, 165.6])
    assert told["stem"] == pytest.approx([18.61, 21.11, 23.91])


def test_a_volume_on_a_line_of_its_chart_has_its_centile():
    for tissue, age, centile, ml in lines():
        if tissue in TISSUES:
            for content in (1100.0, 1700.0):
                found = person({tissue: ml * content / 1400}, content).volume_centiles(age)
                assert found == {tissue: pytest.approx(centile, abs=0.01)}, (tissue, age)


def test_the_larger_a_volume_the_higher_its_centile_and_the_larger_the_head_the_lower():
    for tissue in sorted({tissue for tissue, *_ in lines()} & set(TISSUES)):
        usual = next(ml for name, age, centile, ml in lines() if (name, age, centile) == (tissue, 50, 50))
        volumes = usual * np.array([0.0, 0.5, 0.97, 1.0, 1.03, 2.0])
        rising = [person({tissue: ml}).volume_centiles()[tissue] for ml in volumes]
        assert rising == sorted(rising) and rising[0] < 0.01 and rising[2] < 50 < rising[4]
        assert person({tissue: usual}, 1500.0).volume_centiles()[tissue] < rising[3]


def test_what_has_no_chart_has_no_centile():
    found = person(dict.fromkeys(TISSUES[1:], 20.0)).volume_centiles()
    assert set(found) == {"ventricle", "cortex", "striatum", "thalamus", "white", "cerebellum", "stem"}


def test_a_factor_stands_between_the_labels_of_the_charts_and_ours(monkeypatch):
    assert person({"stem": 21.11}).volume_centiles()["stem"] < 10  # theirs, of which ours hold more
    monkeypatch.setitem(ages.HELD, "stem", 1.0)
    assert person({"stem": 21.11}).volume_centiles()["stem"] == pytest.approx(50, abs=0.1)


def test_centiles_are_those_of_the_age_that_is_given_else_of_the_estimate():
    found = person({"ventricle": 30.0, "cortex": 480.0}, age=61.8)
    assert found.volume_centiles() == found.volume_centiles(61.8) == found.volume_centiles(62)
    for tissue, sign in (("ventricle", -1), ("cortex", 1)):
        assert sign * (found.volume_centiles(75)[tissue] - found.volume_centiles(45)[tissue]) > 20


def test_women_and_men_lie_where_the_charts_of_each_have_them():
    """Medians in ml at 60, of Ventricles, Deep_GM and WM, beside TotalBrain: women 1174.3, men 1313.1. No other test of
    the table's column: a head of common size has sqrt(1174.3 * 1313.1) ml of brain where both sexes have their mean."""
    medians = {"ventricle": (18.225, 25.841), "thalamus": (15.046, 16.227), "white": (498.656, 564.181)}
    for tissue, (women, men) in medians.items():
        share = {"F": women / 1174.341, "M": men / 1313.085}
        middle = np.exp(np.interp(60, ages.CHART_AGES, ages.CHARTS[tissue][1]))  # of both together
        for sex, other in ("FM", "MF"):
            ml = middle * np.sqrt(share[sex] / share[other]) / ages.HELD[tissue] + 5.4 * (tissue == "ventricle")
            found = {who: person({tissue: ml}).volume_centiles(60, who)[tissue] for who in (sex, None, other)}
            assert found[sex] == pytest.approx(50, abs=3)
            away = np.array([found[None], found[other]]) - found[sex]
            assert (away[1] - away[0]) * away[0] > 0 and abs(away[1]) > 5, (tissue, found)


def test_what_is_no_adult_or_fits_no_age_is_said():
    for content in (400.0, 2500.0):
        with pytest.raises(DataError, match="which no adult has"):
            age_of(tissues_of(brain(40, content), content), NO_CORRECTION, [0.05] * 3)
    odd = brain(30) | {"ventricle": 400.0}
    assert "fit no age" in age_of(tissues_of(odd), NO_CORRECTION, [0.05] * 3).warnings[0]
    child = brain(18) | {"cortex": 1.15 * brain(18)["cortex"]}
    assert "children" in " ".join(age_of(tissues_of(child), NO_CORRECTION, [0.01] * 3).warnings)


def test_the_weights_know_their_error():
    _, header = networks.load(WEIGHTS)
    assert np.shape(header["correction"]) == (3, 3) and header["tissues"] == list(TISSUES)
    assert all(0.005 < error < 0.3 for error in header["error"])


def test_the_command(tmp_path, capsys, monkeypatch):
    good = ages.AgeEstimate(Interval(41.26, 25.0, 60.0), AGES, 1400.4, {"cortex": 501.23}, {"tissue": 49.6}, ["odd"])

    def estimate(file):
        if "bad" in str(file):
            raise DataError(f"{file}: is no scan.")
        if "fault" in str(file):
            raise ZeroDivisionError
        return good

    monkeypatch.setattr(ages, "estimate_age", estimate)
    assert main(["age", "bad.nii", "good.nii", "--json"]) == 1  # one bad file does not stop the others
    said = capsys.readouterr()
    first, second = map(json.loads, said.out.splitlines())
    assert first["age"] is None and "is no scan" in first["reason"] and "bad.nii" in said.err
    assert second == {
        "file": "good.nii", "age": 41.3, "low": 25.0, "high": 60.0, "level": 0.9, "reason": None, "warnings": ["odd"],
        "icv_ml": 1400, "volumes_ml": {"cortex": 501.2}, "centiles": {"tissue": 50}, "years": None, "sex": None,
        "volume_centiles": {"cortex": round(good.volume_centiles(41)["cortex"])},
    }  # fmt: skip
    assert set(first) == set(second)
    (tmp_path / "ages.jsonl").write_text(said.out)
    monkeypatch.chdir(tmp_path)
    (recipe,) = re.findall(r"`(pd\.json_normalize\(.+\))`", README.read_text("utf-8"))
    exec(recipe, {"pd": pd})
    table = pd.read_csv("ages.csv")
    assert list(table.file) == ["bad.nii", "good.nii"] and table["volumes_ml.cortex"][1] == 501.2
    assert main(["age", "fault.nii", "good.nii"]) == 1
    said = capsys.readouterr()
    assert "fault.nii: stopped by a fault of this program (ZeroDivisionError" in said.err and "41 years" in said.out
    assert main(["age", "good.nii"]) == 0
    assert capsys.readouterr().out == "good.nii: 41 years (25 to 60); odd\n"
    assert main(["age", "good.nii", "--json", "--years", "88.5"]) == 0
    third = json.loads(capsys.readouterr().out)
    assert third["years"] == 88.5 and third["age"] == 41.3 and third["centiles"] == second["centiles"]
    assert third["volume_centiles"]["cortex"] > second["volume_centiles"]["cortex"] + 10
    assert main(["age", "good.nii", "--json", "--years", "50", "--sex", "F"]) == 0
    fourth = json.loads(capsys.readouterr().out)
    assert fourth["sex"] == "F"
    assert fourth["volume_centiles"] == {"cortex": round(good.volume_centiles(50, "F")["cortex"])}
    assert fourth["volume_centiles"]["cortex"] < round(good.volume_centiles(50)["cortex"])
    for years in ("0", "17", "98", "nan"):
        assert main(["age", "good.nii", "--years", years]) == 2
        assert "the charts are of 18 to 97." in capsys.readouterr().err
    for name in ("a.nii.gz", "b.nii", "b_mask.nii.gz", "notes.txt"):
        (tmp_path / name).touch()
    assert main(["age", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("years") == 2


@pytest.fixture(scope="module")
def real():
    """True ages of real people and what is estimated: of every third, as it takes long, with PRESIMAL_LONG_TESTS=1 of
    all."""
    if not (REAL / "manifest.csv").is_file():
        pytest.skip("needs real scans")
    with open(REAL / "manifest.csv", newline="") as file:
        cases = [row for row in csv.DictReader(file) if row["task"] == "age" and "-" not in row["age"]]
    assert len(cases) > 10
    return [(float(case["age"]), ages.estimate_age(REAL / case["files"])) for case in cases[:: 1 if LONG else 3]]


def test_real_people_lie_in_the_interval(real):
    inside = [found.age.low <= true <= found.age.high for true, found in real]
    assert 0.75 < np.mean(inside) <= 1
    assert np.corrcoef([true for true, _ in real], [found.age.value for _, found in real])[0, 1] > 0.75


@pytest.mark.skipif(not LONG, reason="seven people are too few for a distribution: PRESIMAL_LONG_TESTS=1")
def test_volumes_of_real_people_are_about_uniform_on_the_charts(real):
    centiles = np.array([list(found.volume_centiles(true).values()) for true, found in real])
    assert centiles.shape[1] == 7 and (np.abs(centiles.mean(0) - 50) < 20).all()
    assert (np.abs(centiles.std(0) - 29) < 10).all() and ((centiles > 5) & (centiles < 95)).mean() > 0.8
