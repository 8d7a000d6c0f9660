"""The student's copies of the notebooks in my_work/: filled on first use, never overwritten once changed."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from presimal.storage import write

LEDGER = ".copied.json"  # which version of each notebook was copied: {file name: digest}


@dataclass
class Refreshed:
    """What `refresh` did, as lists of file names."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # changed by the student while the original changed too


def refresh(originals: Path, copies: Path) -> Refreshed:
    """Bring the copies up to date with the original notebooks.

    A missing copy is made. A copy as it was made follows its original. A copy that the student has
    changed in any way stays as it is, whatever happens to the original. Nothing is ever deleted.

    Raises OSError if the folder cannot be written.
    """
    copies.mkdir(parents=True, exist_ok=True)
    ledger_file = copies / LEDGER
    ledger = _read(ledger_file)
    done = Refreshed()
    for original in sorted(originals.glob("*.ipynb")):
        name, copy, content = original.name, copies / original.name, original.read_bytes()
        newest, copied = _digest(content), ledger.get(name)
        present = _digest(copy.read_bytes()) if copy.exists() else None
        if present is None or (present == copied != newest):
            write(copy, content)
            (done.added if present is None else done.updated).append(name)
        elif present != newest:
            if copied != newest:
                done.kept.append(name)
            continue
        ledger[name] = newest
    write(ledger_file, json.dumps(ledger, indent=1).encode())
    return done


def _read(ledger_file: Path) -> dict[str, str]:
    try:
        return dict(json.loads(ledger_file.read_text()))
    except (FileNotFoundError, ValueError):
        return {}  # without a ledger every copy counts as the student's own


def _digest(content: bytes) -> str:
    """What a student would call the same notebook: its cells and their outputs.

    JupyterLab rewrites the metadata of a notebook that is merely opened; that is no change.
    """
    try:
        cells = nbformat.reads(content.decode(), as_version=4).cells
        content = json.dumps([(cell.cell_type, cell.source, cell.get("outputs")) for cell in cells]).encode()
    except (ValueError, AttributeError, nbformat.ValidationError):
        pass  # not a notebook any more: compare it byte by byte
    return hashlib.sha256(content).hexdigest()
