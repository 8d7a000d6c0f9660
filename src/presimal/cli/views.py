"""Two views of one notebook: for students, who predict, and have no notes; for presenters, with the notes folded."""

import json
import re
import zlib
from collections.abc import Callable
from typing import Any

from presimal.cli import paths

Cell = dict[str, Any]
TAG, HEADING = "instructor", "For the instructor"
LONG = 5.0  # seconds that an audience should hear of


def for_students(content: bytes) -> bytes:
    """A notebook's file without the cells of the instructor, and without what its readers are asked to predict."""
    return _changed(content, lambda cells: _to_predict([c for c in cells if TAG not in c["metadata"].get("tags", [])]))


def for_presenters(content: bytes) -> bytes:
    """A notebook's file with the instructor's cells folded under a heading that says so, and seconds at long ones."""
    file = paths.originals() / "seconds.json"  # which scripts/measure_notebooks.py has written
    table = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    seconds = {key: took for parts in table.values() for cells in parts.values() for key, took in cells.items()}
    return _changed(content, lambda cells: [_presented(cell, seconds) for cell in cells])


def _changed(content: bytes, change: Callable[[list[Cell]], list[Cell]]) -> bytes:
    """The file with other cells; as it was if it is no notebook."""
    try:
        notebook = json.loads(content)
        notebook["cells"] = change(notebook["cells"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return content
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def _to_predict(cells: list[Cell]) -> list[Cell]:
    """The cells, of which those that follow a *Predict* show nothing until they are run."""
    asked = False
    for cell in cells:
        if cell["cell_type"] == "markdown":
            asked = "**Predict" in "".join(cell["source"])
        elif asked and cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return cells


def _presented(cell: Cell, seconds: dict[str, float]) -> Cell:
    text = "".join(cell["source"])
    if TAG in cell["metadata"].get("tags", []):
        text = f"<details><summary>{HEADING}</summary>\n\n{text}\n</details>"
    elif (took := seconds.get(str(zlib.crc32(text.encode())), 0)) >= LONG:
        text = re.sub(r"\A(# .*)?\n?", lambda line: f"{line[1] or '#'} This takes about {took:.0f} s.\n", text)
    return cell | {"source": text.splitlines(keepends=True)}
