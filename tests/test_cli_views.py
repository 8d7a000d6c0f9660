"""What students and presenters see of a notebook: the instructor's notes are gone, or folded; all else is the same."""

import copy
import json
import re
import zlib
from pathlib import Path

import nbformat
import pytest

from presimal.cli import paths
from presimal.cli.views import HEADING, LONG, for_presenters, for_students

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
    kept = [cell for cell in original if not is_note(cell)]
    for before, after in zip(kept, cells(for_students(file.read_bytes())), strict=True):
        assert after == before or after == {**before, "outputs": [], "execution_count": None}
    presented = cells(for_presenters(file.read_bytes()))
    for before, after in zip(original, presented, strict=True):
        assert {**after, "source": ""} == {**before, "source": ""}
        if is_note(before):
            assert after.source == f"<details><summary>{HEADING}</summary>\n\n{before.source}\n</details>"
        else:
            assert (
                re.sub(r"(# .*) This takes about \d+ s\.|# This takes about \d+ s\.\n", r"\1", after.source)
                == before.source
            )


def test_long_cells_say_how_long_and_keep_the_name_that_is_seen_when_they_are_folded(tmp_path, monkeypatch):
    sources = ["fit()\nplot()", "# Draw it.\ndraw()", "short()", "# Draw it.\nchanged()"]
    keys = {str(zlib.crc32(source.encode())): took for source, took in zip(sources, (59.6, 5.0, 4.9), strict=False)}
    (tmp_path / "seconds.json").write_text(json.dumps({"00_x": {"1 · So": keys}}))
    monkeypatch.setattr(paths, "originals", lambda: tmp_path)
    content = nbformat.writes(nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, sources)])).encode()
    seen = [cell.source for cell in cells(for_presenters(content))]
    assert seen[0] == "# This takes about 60 s.\nfit()\nplot()"
    assert seen[1] == "# Draw it. This takes about 5 s.\ndraw()"
    assert seen[2:] == sources[2:]
    assert [cell.source for cell in cells(for_students(content))] == sources


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_seconds_are_those_of_the_cells_as_they_are(file):
    """Else: python scripts/measure_notebooks.py with the number of the notebook."""
    table = json.loads((paths.originals() / "seconds.json").read_text(encoding="utf-8")).get(file.stem)
    if table is None:
        pytest.skip(f"no seconds yet: python scripts/measure_notebooks.py {file.stem[:2]}")
    known = {key: took for section in table.values() for key, took in section.items()}
    present = {str(zlib.crc32(cell.source.encode())) for cell in cells(file.read_bytes())}
    assert sum(took for key, took in known.items() if key in present) >= 0.8 * sum(known.values()) > 0
    long = [took for key, took in known.items() if key in present and took >= LONG]
    marks = [cell.source for cell in cells(for_presenters(file.read_bytes())) if "This takes about" in cell.source]
    assert len(marks) == len(long)


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


def test_what_is_to_be_predicted_shows_when_it_is_run():
    code = [nbformat.v4.new_code_cell(f"print({n})", execution_count=n) for n in range(5)]
    for cell in code:
        cell.outputs = [nbformat.v4.new_output("stream", text="seen")]
    asks, tells = (nbformat.v4.new_markdown_cell(text) for text in ("Now.\n\n**Predict.** Which?", "*What to notice.*"))
    note = nbformat.v4.new_markdown_cell("**Say:** wait.", metadata={"tags": ["instructor"]})
    order = copy.deepcopy([code[0], asks, note, code[1], code[2], tells, code[3], asks, tells, code[4]])
    for number, cell in enumerate(order):
        cell.id = str(number)
    content = nbformat.writes(nbformat.v4.new_notebook(cells=order)).encode()
    seen = [bool(cell.outputs) for cell in cells(for_students(content)) if cell.cell_type == "code"]
    assert seen == [True, False, False, True, True]
    assert all(cell.outputs for cell in cells(for_presenters(content)) if cell.cell_type == "code")
