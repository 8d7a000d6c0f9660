"""How far the shipped tumor network gets, untouched, on the sixty generated test patients of notebook 06.

    python scripts/shipped_at_4_mm.py

Runs the notebook's own function on each of them and writes the Dice of the three regions to shipped_at_4_mm.csv. The
notebook holds the means, does one person anew, and sets its own network beside them; about two CPU-minutes."""

import argparse
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from brainscans import networks

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "06_tumor_segmentation.ipynb"
TABLE = Path(__file__).with_name("shipped_at_4_mm.csv")
PEOPLE = range(300, 360)  # MORE in the notebook
COLUMNS = ["number", "whole", "core", "enhancing"]


def sources() -> list[str]:
    """The setup cells, the solution that makes regions of labels, and the cell that asks the shipped network."""
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    tagged = {
        tag: [cell.source for cell in cells if tag in cell.metadata.get("tags", [])] for tag in ("setup", "shipped")
    }
    (solution,) = [cell.source for cell in cells if "@solution\ndef regions(" in cell.source]
    return [*tagged["setup"], solution, *tagged["shipped"]]


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    names: dict[str, Any] = {}
    names["shipped"], names["facts"] = networks.load("tumor")
    for source in sources():
        exec(source, names)
    rows = [[number, *names["by_shipped"](number)[0].tolist()] for number in PEOPLE]
    pd.DataFrame(rows, columns=COLUMNS).round(3).to_csv(TABLE, index=False)


if __name__ == "__main__":
    main()
