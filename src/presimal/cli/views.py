"""Two views of one notebook: for students, who predict, and have no notes; for presenters, with the notes folded."""

import json
from collections.abc import Callable
from typing import Any

Cell = dict[str, Any]
HEADING = "For the instructor"


def for_students(content: bytes) -> bytes:
    """A notebook's file without the cells of the instructor, and without what its readers are asked to predict."""
    return _changed(content, lambda cells: _to_predict([cell for cell in cells if not _of_instructor(cell)]))


def for_presenters(content: bytes) -> bytes:
    """A notebook's file in which the instructor's cells are folded under a heading that says so."""
    return _changed(content, lambda cells: [_folded(cell) if _of_instructor(cell) else cell for cell in cells])


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
    asked, seen = False, []
    for cell in cells:
        if cell["cell_type"] == "markdown":
            asked = "**Predict" in "".join(cell["source"])
        elif asked and cell["cell_type"] == "code":
            cell = cell | {"outputs": [], "execution_count": None}
        seen.append(cell)
    return seen


def _of_instructor(cell: Cell) -> bool:
    return "instructor" in cell["metadata"].get("tags", [])


def _folded(cell: Cell) -> Cell:
    folded = f"<details><summary>{HEADING}</summary>\n\n{''.join(cell['source'])}\n</details>"
    return cell | {"source": folded.splitlines(keepends=True)}
