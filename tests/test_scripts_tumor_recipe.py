"""The recipe of notebook 06, measured again by a script that runs the notebook's own cells."""

import ast
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import tumor_recipe


def test_the_script_changes_the_numbers_of_patients_and_epochs_in_the_notebooks_own_cells():
    reading, settings, training, *others = tumor_recipe.cells("recipe")
    found = tumor_recipe.changed(settings, 210, 12)
    assert "np.flatnonzero(train)[:210]" in found and "ROUNDS, RATE = 12," in found
    assert len(found.splitlines()) == len(settings.splitlines())
    assert "last_dice" in training and "fast_dice" in others[-1]  # what the script takes from them
    with pytest.raises(ValueError, match="has changed"):
        tumor_recipe.changed(reading, 210, 12)


def test_the_script_runs_what_the_notebook_runs_on_request():
    on = tumor_recipe.switched_on(tumor_recipe.cells("recipe")[3:])
    assert sum("FAST = True" in source for source in on) == 1 and not any("FAST = False" in source for source in on)
    assert all("if FAST:" in source for source in on if "fastMONAI" in source)
    with pytest.raises(ValueError, match="another switch"):
        tumor_recipe.switched_on(on)


def test_the_notebook_shows_the_stored_table():
    table = pd.read_csv(tumor_recipe.TABLE)
    source = "\n".join(tumor_recipe.cells("measured"))
    shown = ast.literal_eval(re.search(r"SEEDS_OF = (\{.*?\})", source, flags=re.DOTALL)[1])
    short = table[(table.patients == 40) & (table.epochs == 8)].sort_values("seed")
    for library, rows in short.groupby("library"):
        assert [list(scores) for scores in shown[library]] == rows[tumor_recipe.REGIONS].to_numpy().tolist()
    assert set(shown) == set(short.library)
    longer = table[(table.patients == 210) & (table.epochs == 12)]
    stored = ast.literal_eval(re.search(r"ALL_PATIENTS = (.+)", source)[1])
    assert [list(stored)] == longer[tumor_recipe.REGIONS].to_numpy().tolist()
    done = [tuple(row) for row in table[["seed", "patients", "epochs"]].drop_duplicates().to_numpy()]
    assert sorted(done) == sorted(tumor_recipe.RUNS)
