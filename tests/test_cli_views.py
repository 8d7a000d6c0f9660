"""What students and presenters see of a notebook: the instructor's notes are gone, or folded; all else is the same."""

import json
from pathlib import Path

import nbformat
import pytest

from presimal.cli import paths
from presimal.cli.views import HEADING, for_presenters, for_students

FILES = sorted(paths.originals().glob("*.ipynb"))


def cells(content):
    return nbformat.reads(content.decode("utf-8"), as_version=4).cells


def is_note(cell):
    return "instructor" in cell.metadata.get("tags", [])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_only_the_instructors_notes_differ(file):
    original = cells(file.read_bytes())
    notes = [cell for cell in original if is_note(cell)]
    assert notes and all(cell.cell_type == "markdown" for cell in notes)
    assert cells(for_students(file.read_bytes())) == [cell for cell in original if not is_note(cell)]
    presented = cells(for_presenters(file.read_bytes()))
    for before, after in zip(original, presented, strict=True):
        if is_note(before):
            assert after.source == f"<details><summary>{HEADING}</summary>\n\n{before.source}\n</details>"
            assert {**after, "source": ""} == {**before, "source": ""}
        else:
            assert after == before


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_student_reads_the_script(file):
    text = "\n".join(cell.source for cell in cells(for_students(file.read_bytes())))
    assert "**Say:**" not in text and "**Short of time:**" not in text


@pytest.mark.parametrize(
    "content", [b"", b"first", b"[1]", b"5", b'{"cells": 5}', b'{"cells": [5]}', b"\xff\xfe", b"{}"]
)
def test_what_is_no_notebook_stays_as_it_is(content):
    assert for_students(content) == for_presenters(content) == content


def test_letters_of_any_alphabet_survive(tmp_path):
    written = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["blåbær θ ✓"]}], "nbformat": 4}
    file = Path(tmp_path / "x.ipynb")
    file.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert for_students(file.read_bytes()) == file.read_bytes()
