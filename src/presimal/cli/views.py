"""Two views of one notebook: the student's, without what the instructor says; the presenter's, with it folded."""

import json
from collections.abc import Callable
from typing import Any

Cell = dict[str, Any]
HEADING = "For the instructor"


def for_students(content: bytes) -> bytes:
    """A notebook's file without the cells of the instructor."""
    return _changed(content, lambda cells: [cell for cell in cells if not _of_instructor(cell)])


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


def _of_instructor(cell: Cell) -> bool:
    return "instructor" in cell["metadata"].get("tags", [])


def _folded(cell: Cell) -> Cell:
    text = "".join(cell["source"])
    folded = f"<details><summary>{HEADING}</summary>\n\n{text}\n</details>"
    return cell | {"source": folded.splitlines(keepends=True)}
