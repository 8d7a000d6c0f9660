"""Is the difference between MONAI and fastMONAI in notebook 06 luck, and how far does its recipe get in more time?

    python scripts/tumor_recipe.py

Runs the notebook's own cells, those with the tag `recipe`: three seeds as they stand, and once all training patients
for twelve epochs with MONAI. Each is scored after its last epoch, by the Dice of the three regions of twenty validation
patients. A row a training is appended to tumor_recipe.csv as soon as it is done; a run that is started again goes on
with those that are missing. About six CPU-minutes.
"""

from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from transfer_and_attention import sources

from presimal import data

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "06_tumor_segmentation.ipynb"
TABLE = Path(__file__).with_name("tumor_recipe.csv")
AS_IS, LONG = (40, 8), (210, 12)  # patients, epochs
REGIONS = ["whole", "core", "enhancing"]
RUNS = [(seed, *AS_IS) for seed in range(3)] + [(0, *LONG)]


def cells(tag: str) -> list[str]:
    """The code cells of the notebook with a tag, in order."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    return [cell.source for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def changed(source: str, patients: int, epochs: int) -> str:
    """A cell with as many training patients and epochs; ValueError if it has not the lines that say how many."""
    lines = {"np.flatnonzero(train)[:40]": f"np.flatnonzero(train)[:{patients}]", "ROUNDS, RATE = 8,": "ROUNDS, RATE ="}
    if any(line not in source for line in lines):
        raise ValueError(f"The cell that says how many patients and epochs has changed: {source}")
    lines["ROUNDS, RATE = 8,"] = f"ROUNDS, RATE = {epochs},"
    for line, other in lines.items():
        source = source.replace(line, other)
    return source


def switched_on(sources: list[str]) -> list[str]:
    """The cells that run fastMONAI on request, so that they do; ValueError if they ask in another way now."""
    if sum(source.count("FAST = False") for source in sources) != 1:
        raise ValueError("The notebook has another switch for fastMONAI now.")
    return [source.replace("FAST = False", "FAST = True") for source in sources]


def measured(seed: int, patients: int, epochs: int) -> dict[str, list[float]]:
    """Dice of each region with each library; of the long training, MONAI's alone, for fastMONAI reads all files in each
    epoch anew."""
    table = data.tumors()
    names: dict[str, Any] = {name: (table.split == name).to_numpy() for name in ("train", "valid", "test")}
    names["table"] = table
    for source in sources(["regions", "REGIONS"], NOTEBOOK):
        exec(source, names)
    names["SEED"] = seed
    reading, settings, training, *others = cells("recipe")
    used = [reading, changed(settings, patients, epochs), training]
    used += switched_on(others) if (patients, epochs) == AS_IS else []
    for source in used:
        exec(source, names)
    found = {"MONAI": "last_dice", "fastMONAI": "fast_dice"}
    return {library: names[name].astype(float).round(3).tolist() for library, name in found.items() if name in names}


def main() -> None:
    known = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=["seed", "patients", "epochs"])
    for run in RUNS:
        if (known[["seed", "patients", "epochs"]] == list(run)).all(axis=1).any():
            continue
        rows = [(*run, library, *scores) for library, scores in measured(*run).items()]
        columns = ["seed", "patients", "epochs", "library", *REGIONS]
        pd.DataFrame(rows, columns=columns).to_csv(TABLE, mode="a", header=not TABLE.exists(), index=False)


if __name__ == "__main__":
    main()
