"""Every notebook in a student's hands: within the memory of a small laptop, each cell run twice in order, and any
section again after a full run. For the long job."""

import copy
import os
from pathlib import Path

import nbclient
import nbformat
import pytest

from presimal.cli.run import execute

ROOT = Path(__file__).parents[1]
PEAK_GB = 1.8  # a laptop of 4 GB and a Binder of 2 GB hold it, and a class of eight one machine of 16 GB
FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.skipif(os.environ.get("PRESIMAL_LONG_TESTS") != "1", reason="an hour: PRESIMAL_LONG_TESTS=1")


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


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_notebook_fits_a_small_laptop(file):
    outcome = execute(file)
    assert not outcome.problem
    assert outcome.peak_mb * 2**20 <= PEAK_GB * 1e9


def test_a_section_begins_with_its_heading():
    cells = [nbformat.v4.new_markdown_cell(text) for text in ("# 00", "## One", "text", "### part", "## Two")]
    lengths = [len(section) for section in sections(nbformat.v4.new_notebook(cells=cells))]
    assert lengths == [1, 3, 1]
