"""Real people, asked by the networks of notebook 04: the script, and the numbers of it that the notebook says."""

import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import real_contrasts as script
from transfer_and_attention import NOTEBOOK, sources


def stored():
    return pd.read_csv(script.TABLE)


def said():
    """What the notebook tells of real people."""
    (cell,) = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if "### Real people" in cell.source]
    return " ".join(cell.split())


def span(numbers, digits=0):
    low, high = (f"{number:.{digits}f}" for number in (min(numbers), max(numbers)))
    return low if low == high else f"{low} to {high}"


def test_the_notebook_makes_every_name():
    assert sources(script.MADE)


def test_those_are_asked_of_whom_there_are_four_contrasts():
    people = script.people()
    assert [sum(person["glioma"] == kind for person in people) for kind in (True, False)] == [6, 1]
    assert all([*person["files"]] == [*script.CONTRASTS] and "-" not in person["files"].values() for person in people)


def test_most_of_five_slices_decide_and_the_tumor_is_a_mean_over_networks_and_slices(tmp_path):
    nb = {"NAMES": ["T1", "T1Gd", "T2", "FLAIR"], "nets": {"CNN": [0.5, 1.0]}, "to_input": lambda one: one}
    nb |= {"contrast_of": lambda file: (torch.tensor([3, 1, 3, 0, 3]), None), "some_slices": lambda file: [0.2, 0.4]}
    nb["probability"] = lambda network, x: [network * x]
    rows = script.ask(nb, tmp_path)
    assert len(rows) == 28 and {row["called"] for row in rows} == {"FLAIR"}
    assert [row["tumor"] for row in rows if row["contrast"] == "T2"] == [pytest.approx((0.1 + 0.2 + 0.2 + 0.4) / 4)] * 7


def test_each_training_has_starts_of_its_own():
    seen = []
    nb = {name: torch.zeros(1) for name in ("X", "y", "y_which")} | {name: [0] for name in ("train", "valid")}
    nb |= {"cnn": None, "F": torch.nn.functional, "asked_of": lambda *_, seed: seen.append(seed)}
    nb["fit"] = lambda *_, seed: (seen.append(seed), None)
    for training in range(script.TRAININGS):
        script.train(nb, training)
    assert seen == [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8, 6, 7, 8]


def test_the_notebook_says_what_the_script_stored():
    table, text = stored(), said()
    assert len(table) == script.TRAININGS * 28
    right = table[table.contrast == table.called].groupby(["training", "contrast"]).size().unstack(fill_value=0)
    right = right.reindex(columns=script.CONTRASTS, fill_value=0)
    for contrast in script.CONTRASTS:
        wrong = sorted(set(table[table.contrast == contrast].called) - {contrast})
        assert f"| {contrast} | {span(right[contrast])} of 7 | {', '.join(wrong) or '–'} |" in text
    assert f"Together {span(right.sum(axis=1))} of 28 scans are right" in text
    tumor = table.dropna(subset="tumor")
    for kind in (True, False):
        assert f"of {span(tumor[tumor.glioma == kind].tumor, 2)} to " in text
    missed = tumor[tumor.glioma & (tumor.tumor < 0.5)].groupby("training").person.apply(set)
    (same,) = {frozenset(people) for people in missed}
    assert len(missed) == script.TRAININGS and len(same) == 2
    assert "would miss two of the six gliomas, the same two in each training" in text
