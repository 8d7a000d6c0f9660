"""The main trainings of 05 to 07 from three starts: the script runs the notebooks' cells, which say its numbers."""

import re
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import three_starts as script
from transfer_and_attention import sources

TABLE = pd.read_csv(script.TABLE)
SAID = {  # what is measured, in the order in which each notebook says it, and with how many decimals
    script.AGE: (["test MAE (years)"], 1),
    script.TUMOR: (["mean Dice"], 3),
    script.BRAIN: (
        [
            f"{name}, {what}"
            for what in ("worst contrast", "mean of unseen contrasts")
            for name in ("T1 alone", "randomized")
        ],
        3,
    ),
}


@pytest.mark.parametrize("notebook", SAID)
def test_the_notebook_says_what_was_measured_from_each_start(notebook):
    cells = nbformat.read(script.FOLDER / f"{notebook}.ipynb", as_version=4).cells
    (sentence,) = [
        sentence for cell in cells for sentence in re.findall(r"[^(]*`scripts/three_starts\.py`[^)]*\.", cell.source)
    ]
    measured, decimals = SAID[notebook]
    rows = TABLE[TABLE.notebook == notebook].pivot(index="measured", columns="seed", values="value").loc[measured]
    assert list(rows) == list(script.SEEDS)
    told = [float(number) for number in re.findall(r"\d\.\d+", sentence.partition("three_starts.py")[2])]
    assert told == [round(value, decimals) for value in rows.to_numpy().ravel()]


@pytest.mark.parametrize("notebook", SAID)
def test_the_notebook_makes_what_is_trained_and_measured(notebook):
    file = script.FOLDER / f"{notebook}.ipynb"
    assert sources(script.BEFORE[notebook].split(), file)
    for name in script.REPEATED[notebook]:
        (*_, cell) = sources([name], file)
        assert name in cell


def test_a_training_is_from_the_seed_that_is_set():
    """Which each cell that is repeated, or a function that it calls, reads as SEED when it runs."""
    asks = {script.AGE: "new_network", script.TUMOR: "prepare_training", script.BRAIN: "new_network"}
    for notebook, name in asks.items():
        (*_, cell) = sources([name], script.FOLDER / f"{notebook}.ipynb")
        assert "SEED" in cell
