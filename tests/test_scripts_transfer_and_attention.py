"""Transfer and attention of notebook 04: the script runs the notebook's cells, and the notebook shows its numbers."""

import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import transfer_and_attention as script

WAYS = ["from scratch", "from scratch, 370 steps", "frozen", "frozen, random weights"]


def shown(beginning):
    """The names that one cell of the notebook gives, which holds nothing but numbers."""
    cells = nbformat.read(script.NOTEBOOK, as_version=4).cells
    (source,) = [cell.source for cell in cells if cell.cell_type == "code" and beginning in cell.source]
    names = {}
    exec(source, {}, names)
    return names


def test_the_notebook_makes_every_name_and_no_attempt_is_run():
    found = script.sources(script.MADE)
    assert not any("check(" in source or "convolve" in source for source in found)
    with pytest.raises(AssertionError, match="no longer makes"):
        script.sources(["nothing_of_this_name"])


def test_each_way_gets_the_same_patients_and_starts(monkeypatch):
    asked = []

    def with_few(n, seed, network=None, steps=100, change="augment"):
        asked.append((n, seed, network is not None, steps, change))
        return np.array([seed, n, 1.0])

    fakes = {"with_few": with_few, "frozen": lambda source, n: np.zeros(3), "which": [None] * 5, "y_test": np.ones(3)}
    fakes |= {"cnn": torch.nn.Flatten, "compute": type("C", (), {"seed_everything": staticmethod(torch.manual_seed)})}
    fakes |= {"auc": lambda y, p: float(p.sum()), "judge": lambda score, ps, minus: (0.1, 0.0, 0.2)}
    table = script.transfer(fakes)
    assert len(table) == 3 * 5 + 1 and set(table.ahead.dropna()) == {0.1}
    for n in script.AMOUNTS:
        for case in [(True, 100, "augment"), (False, 100, "augment"), (False, 370, "augment")]:
            assert [seed for people, seed, *rest in asked if people == n and tuple(rest) == case] == [*script.STARTS]


def test_the_share_is_of_the_test_slices_alone():
    nb = {"y_which": torch.tensor([0, 1, 1, 0]), "test_which": torch.tensor([False, True, True, True])}
    assert script.share_told(nb, torch.nn.Identity(), torch.eye(2)[[1, 0, 0]]) == pytest.approx(2 / 3)


def test_the_notebook_shows_the_stored_transfer():
    table, names = pd.read_csv(script.TRANSFER), shown("AUC_FEW = {")
    for way in ["fine-tuned", *WAYS]:
        rows = table[table.way == way].sort_values("patients")
        assert list(rows.patients) == list(script.AMOUNTS)
        assert np.allclose(rows[[f"auc_{k}" for k in script.STARTS]], names["AUC_FEW"][way], atol=0.0051)
        if way in WAYS:
            assert np.allclose(rows[["ahead", "low", "high"]], names["AHEAD_OF"][way], atol=0.0051)
    (bare,) = table[table.way == "370 steps, not augmented"].to_dict("records")
    assert np.allclose([bare[f"auc_{k}"] for k in script.STARTS], names["NOT_AUGMENTED"], atol=0.0051)


def test_the_notebook_shows_the_stored_attention():
    table, named = pd.read_csv(script.ATTENTION), shown("NAMED = {")["NAMED"]
    assert set(named) == set(table.family)
    for (family, epochs), rows in table.groupby(["family", "epochs"]):
        rows = rows.sort_values("start")
        assert list(rows.start) == list(script.SEEDS)
        assert np.allclose(rows[["as_is", "rearranged"]].to_numpy().T, named[family][epochs], atol=0.0051)
