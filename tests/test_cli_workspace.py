"""The student's copies: filled, kept fresh while untouched, never overwritten once changed."""

import os

import nbformat
import pytest

from presimal.cli import lab
from presimal.cli.lab import refresh

NOTHING = {"added": [], "updated": [], "kept": []}


@pytest.fixture
def folders(tmp_path):
    originals, copies = tmp_path / "notebooks", tmp_path / "my_work"
    originals.mkdir()
    for name in ("00_a.ipynb", "01_b.ipynb"):
        (originals / name).write_text("first")
    (originals / "notes.txt").write_text("not a notebook")
    return originals, copies


def contents(folder):
    return {file.name: file.read_text() for file in folder.glob("*.ipynb")}


def test_the_first_use_copies_every_notebook_and_nothing_else(folders):
    done = refresh(*folders)
    assert done == {"added": ["00_a.ipynb", "01_b.ipynb"], "updated": [], "kept": []}
    assert sorted(file.name for file in folders[1].iterdir()) == [lab.LEDGER, "00_a.ipynb", "01_b.ipynb"]


def test_an_untouched_copy_follows_its_original(folders):
    refresh(*folders)
    (folders[0] / "00_a.ipynb").write_text("second")
    assert refresh(*folders)["updated"] == ["00_a.ipynb"]
    assert contents(folders[1]) == {"00_a.ipynb": "second", "01_b.ipynb": "first"}
    assert refresh(*folders) == NOTHING


def test_a_changed_copy_stays_whatever_happens_to_the_original(folders):
    refresh(*folders)
    (folders[1] / "00_a.ipynb").write_text("mine")
    assert refresh(*folders) == NOTHING  # nothing new, so nothing to tell
    for version in ("second", "third"):
        (folders[0] / "00_a.ipynb").write_text(version)
        assert refresh(*folders)["kept"] == ["00_a.ipynb"]
        assert contents(folders[1])["00_a.ipynb"] == "mine"


def test_opening_a_notebook_is_no_change_but_running_or_editing_it_is(folders):
    def write(folder, source="x = 1", printed="1", **metadata):
        cell = nbformat.v4.new_code_cell(source, outputs=[nbformat.v4.new_output("stream", text=printed)])
        cell.id = "cell-000"
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=metadata), folder / "02_c.ipynb")

    originals, copies = folders
    write(originals)
    refresh(originals, copies)
    for change, expected in (
        ({"language_info": {"name": "python", "version": "3.12.1"}}, "updated"),  # what JupyterLab does on opening
        ({"printed": "2"}, "kept"),
        ({"source": "x = 3"}, "kept"),
    ):
        write(originals)
        (copies / "02_c.ipynb").unlink()
        refresh(originals, copies)
        write(copies, **change)
        write(originals, source="x = 2")
        assert refresh(originals, copies)[expected] == ["02_c.ipynb"]


def test_a_renamed_copy_makes_room_for_the_new_version(folders):
    refresh(*folders)
    (folders[1] / "00_a.ipynb").rename(folders[1] / "00_a_mine.ipynb")
    assert refresh(*folders)["added"] == ["00_a.ipynb"]
    assert set(contents(folders[1])) == {"00_a.ipynb", "00_a_mine.ipynb", "01_b.ipynb"}


@pytest.mark.parametrize("ledger", [None, "", "{broken", '"x"'])
def test_without_a_readable_ledger_every_copy_counts_as_the_students_own(folders, ledger):
    refresh(*folders)
    (folders[1] / "00_a.ipynb").write_text("mine")
    (folders[0] / "01_b.ipynb").write_text("second")
    if ledger is None:
        (folders[1] / lab.LEDGER).unlink()
    else:
        (folders[1] / lab.LEDGER).write_text(ledger)
    assert refresh(*folders)["kept"] == ["00_a.ipynb", "01_b.ipynb"]
    assert contents(folders[1]) == {"00_a.ipynb": "mine", "01_b.ipynb": "first"}


def test_a_copy_interrupted_by_a_full_disk_leaves_the_old_one_whole(folders, monkeypatch):
    refresh(*folders)
    (folders[0] / "00_a.ipynb").write_text("second")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        refresh(*folders)
    assert contents(folders[1])["00_a.ipynb"] == "first"
    assert sorted(file.name for file in folders[1].iterdir()) == [lab.LEDGER, "00_a.ipynb", "01_b.ipynb"]
    monkeypatch.undo()
    assert refresh(*folders)["updated"] == ["00_a.ipynb"]


HOSTILE = [
    b"[1]",
    b"5",
    b"null",
    b'["ab"]',
    b"[" * 100_000,
    b'{"00_a.ipynb": [1]}',
    b'{"00_a.ipynb": null}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("ledger", [*HOSTILE, "a folder"])
def test_a_ledger_of_any_content_does_not_stop_it(folders, ledger):
    refresh(*folders)
    (folders[1] / lab.LEDGER).unlink()
    if ledger == "a folder":
        (folders[1] / lab.LEDGER).mkdir()
    else:
        (folders[1] / lab.LEDGER).write_bytes(ledger)
    assert set(refresh(*folders)) == {"added", "updated", "kept"}
    assert refresh(*folders) == NOTHING


COPIES = [
    b"",
    b"[1]",
    b'{"cells": 5}',
    b'{"cells": [5], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    b"[" * 10**5,
]


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_of_any_content_stays_and_does_not_stop_it(folders, copy):
    refresh(*folders)
    (folders[1] / "00_a.ipynb").write_bytes(copy)
    assert set(refresh(*folders)) == {"added", "updated", "kept"}
    assert (folders[1] / "00_a.ipynb").read_bytes() == copy
