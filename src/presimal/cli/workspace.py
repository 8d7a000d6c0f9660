"""The student's copies of the notebooks in my_work/: filled on first use, never overwritten once changed."""

import hashlib
import json
from pathlib import Path

import nbformat

from synthcohort.storage import write_atomically

LEDGER = ".copied.json"  # which version of each notebook was copied: {file name: digest}


def refresh(originals: Path, copies: Path) -> dict[str, list[str]]:
    """Bring the copies up to date with the original notebooks; returns the names "added", "updated" and "kept".

    A missing copy is made; one as it was made follows its original; one that the student has changed in any way stays,
    and is named as kept if its original changed too. Nothing is ever deleted. OSError if it cannot write.
    """
    done: dict[str, list[str]] = {"added": [], "updated": [], "kept": []}
    try:
        ledger = dict(json.loads((copies / LEDGER).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        ledger = {}  # without a ledger every copy counts as the student's own
    for original in sorted(originals.glob("*.ipynb")):
        name, copy, content = original.name, copies / original.name, original.read_bytes()
        newest, copied = _digest(content), ledger.get(name)
        present = _digest(copy.read_bytes()) if copy.exists() else None
        if present not in (None, newest, copied):  # changed by the student
            done["kept"] += [name] if copied != newest else []
            continue
        if present != newest:
            write_atomically(copy, content)
            done["updated" if present else "added"].append(name)
        ledger[name] = newest
    write_atomically(copies / LEDGER, json.dumps(ledger, indent=1).encode())
    return done


def _digest(content: bytes) -> str:
    """A digest of cells and outputs only: JupyterLab rewrites the metadata of a notebook that is merely opened."""
    try:
        cells = nbformat.reads(content.decode(), as_version=4).cells
        content = json.dumps([(cell.cell_type, cell.source, cell.get("outputs")) for cell in cells]).encode()
    except (ValueError, AttributeError, nbformat.ValidationError):
        pass  # not a notebook any more: it is compared byte by byte
    return hashlib.sha256(content).hexdigest()
