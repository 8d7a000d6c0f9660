"""The stem and the sharp head of notebook 06: the script trains with the notebook's cells, which show its numbers."""

import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import stem_and_head as script
from transfer_and_attention import sources


def test_the_notebooks_own_training_takes_another_network():
    cell = sources(["prepare_training"], script.NOTEBOOK)[-1]
    changed = script.any_network(cell)
    assert "model = NETWORK()" in changed and changed.count("\n") == cell.count("\n")
    with pytest.raises(ValueError, match="has changed"):
        script.any_network(changed)


def test_the_notebook_makes_the_networks_and_the_rule_for_specks():
    (cell,) = [source for source in sources(["VARIANTS"], script.NOTEBOOK) if source.startswith("VARIANTS = ")]
    assert all(f'"{network}": lambda' in cell for network in script.NETWORKS)
    assert "def answer(model, x)" in sources(["LEAST"], script.NOTEBOOK)[-1]
    assert sources(script.BEFORE, script.NOTEBOOK)  # every name that is trained and examined with is there


def test_the_notebook_shows_the_stored_table():
    table = pd.read_csv(script.TABLE)
    assert list(zip(table.seed, table.network, strict=True)) == [(k, n) for k in script.SEEDS for n in script.NETWORKS]
    cells = nbformat.read(script.NOTEBOOK, as_version=4).cells
    (shown,) = [cell.source for cell in cells if "`scripts/stem_and_head.py`" in cell.source]
    assert f"{table.steps.unique().item()} steps each" in shown
    rows = [line.strip("| ").split(" | ") for line in shown.replace("−", "-").splitlines() if " / " in line]
    values = [np.array([cell.split(" / ") for cell in row[1:]], float).T for row in rows]  # starts, regions
    by_network = [table[table.network == name][script.REGIONS].to_numpy() for name in script.NETWORKS]
    expected = [*by_network, *np.diff(by_network, axis=0)]
    assert [row[0] for row in rows[:3]] == list(script.NETWORKS) and len(rows) == len(expected)
    for one, other in zip(values, expected, strict=True):
        assert np.allclose(one, other, atol=0.0051)
