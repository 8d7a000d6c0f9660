"""The learning curve of notebook 05: equal steps for few people and for many, and the numbers of the table."""

import ast
import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import learning_curve

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "05_brain_age_regression.ipynb"


@pytest.mark.parametrize("people", [3, 40])
def test_few_people_train_as_many_steps_as_many(monkeypatch, people):
    """Three people fill a batch of sixteen only after several rounds; every batch is full all the same."""
    seen = []
    monkeypatch.setattr(learning_curve, "STEPS", 3)
    monkeypatch.setattr(learning_curve, "BATCH", 16)
    monkeypatch.setattr(learning_curve, "varied", lambda volumes: (seen.append(len(volumes)), volumes)[1])
    volumes, ages = torch.rand(40, 1, 40, 48, 40).half(), torch.linspace(20, 80, 40)
    model = learning_curve.trained(volumes, ages, np.arange(people), seed=0)
    assert seen == [16, 16, 16] and not model.training
    assert np.isfinite(learning_curve.mean_error(model, volumes, ages, np.arange(9)))


def test_the_notebook_shows_the_stored_table():
    table = pd.read_csv(learning_curve.TABLE)
    assert set(table.steps) == {learning_curve.STEPS}
    source = "\n".join(cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code")
    shown = ast.literal_eval(re.search(r"MEASURED = (\{.*?\})", source, flags=re.DOTALL)[1])
    stored = {n: tuple(rows.sort_values("seed").mae) for n, rows in table.groupby("people")}
    assert shown == stored and list(shown) == list(learning_curve.PEOPLE)
