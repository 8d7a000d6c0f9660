"""Cells that a student runs once more: each twice in order, and any section after a full run. For the long job."""

import copy
import os
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.skipif(
    os.environ.get("PRESIMAL_LONG_TESTS") != "1", reason="half an hour: PRESIMAL_LONG_TESTS=1"
)


def sections(notebook):
    """The cells of a notebook in lists, each of which begins with a heading of the second level."""
    found = [[]]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            found.append([])
        found[-1].append(cell)
    return found


def twice(notebook):
    return [again for cell in notebook.cells for again in (cell, copy.deepcopy(cell))]


def sections_again(notebook):
    """All cells, and then each section once more, the last one first."""
    return notebook.cells + [copy.deepcopy(cell) for section in reversed(sections(notebook)) for cell in section]


@pytest.mark.parametrize("order", [twice, sections_again])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_cells_can_be_run_again(file, order):
    notebook = nbformat.read(file, as_version=4)
    notebook.cells = order(notebook)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(file.parent)}}).execute()


def test_a_section_begins_with_its_heading():
    cells = [nbformat.v4.new_markdown_cell(text) for text in ("# 00", "## One", "text", "### part", "## Two")]
    lengths = [len(section) for section in sections(nbformat.v4.new_notebook(cells=cells))]
    assert lengths == [1, 3, 1]
