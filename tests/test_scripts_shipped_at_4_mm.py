"""The shipped tumor network on the test patients of notebook 06: the notebook's own function, and stored means."""

import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import shipped_at_4_mm as script


def test_the_script_runs_the_function_of_the_notebook():
    assert sum("def by_shipped(" in source for source in script.sources()) == 1
    assert not any("check(" in source for source in script.sources())
    cells = nbformat.read(script.NOTEBOOK, as_version=4).cells
    (source,) = [cell.source for cell in cells if cell.source.startswith("MORE = ")]
    assert f"MORE = {script.PEOPLE} if" in source


def test_the_notebook_shows_the_stored_means():
    cells = nbformat.read(script.NOTEBOOK, as_version=4).cells
    (source,) = [cell.source for cell in cells if cell.source.startswith("# What scripts/shipped_at_4_mm.py measured")]
    names = {"np": np}
    exec(source, names)
    table = pd.read_csv(script.TABLE)
    assert list(table.number) == list(script.PEOPLE)
    assert np.allclose(table[script.COLUMNS[1:]].mean(axis=1), names["SHIPPED"], atol=0.0051)
