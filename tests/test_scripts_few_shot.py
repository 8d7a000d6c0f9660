"""A frozen encoder against training from scratch: the script, and those of its numbers that notebook 09 shows."""

import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import few_shot
import learning_curve

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "09_perspectives.ipynb"


def test_both_ways_learn_from_the_same_people_and_are_examined_on_all_others(monkeypatch):
    draw, seen = np.random.default_rng(0), []
    found = draw.normal(size=(60, 288))
    truth = (found[:, 0] + 3).astype(np.float32)

    def trained(volumes, measured, rows, seed):
        seen.append((len(rows), seed, set(rows) <= set(range(40))))
        return None

    monkeypatch.setattr(few_shot, "trained", trained)
    monkeypatch.setattr(few_shot, "answers", lambda network, volumes: np.full(len(volumes), 3.0))
    row = few_shot.compare(torch.zeros(60, 1, 2, 2, 2), found, truth, np.arange(40), 30)
    assert seen == [(30, seed, True) for seed in few_shot.SEEDS]
    expected = np.abs(truth[40:] - 3).mean()
    assert all(abs(row[f"scratch_{k}"] - expected) < 1e-6 for k in range(3))
    means = [np.mean([row[f"{way}_{k}"] for k in range(3)]) for way in ("scratch", "frozen")]
    assert abs(row["less"] - (means[0] - means[1])) < 1e-6 and row["low"] < row["less"] < row["high"]


def test_the_encoder_keeps_places_apart_and_an_answer_minds_no_mirror():
    network = few_shot.AgeNet().eval()
    volumes = torch.rand(2, 1, 40, 48, 40)
    assert few_shot.encoded(network, volumes).shape == (2, 288)
    said = few_shot.answers(network, volumes)
    assert np.allclose(said, few_shot.answers(network, volumes.flip(2)), atol=1e-4)


def test_the_notebook_shows_what_the_script_stored():
    table = pd.read_csv(few_shot.TABLE)
    assert set(table.steps) == {learning_curve.STEPS} and list(table.people) == 2 * list(few_shot.PEOPLE)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (cell,) = [cell.source for cell in notebook.cells if cell.source.startswith("FROM_SCRATCH = ")]
    names = {}
    exec(cell.split("\nfor ")[0], names)
    columns = ["scratch_0", "scratch_1", "scratch_2", "less", "low", "high"]
    for shown, question in zip(names["FROM_SCRATCH"].values(), few_shot.QUESTIONS, strict=True):
        stored = table[table.question == question].set_index("people")[columns]
        assert list(stored.index) == list(shown)
        assert np.allclose(stored.to_numpy(), np.array(list(shown.values())), atol=0.006)
    assert re.search(r"RidgeCV\(np\.logspace\(1, 4, 10\)\)", "".join(c.source for c in notebook.cells))
    assert np.array_equal(few_shot.STRENGTHS, np.logspace(1, 4, 10))
