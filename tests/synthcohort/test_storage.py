"""Files are there completely or not at all, and made by one process at a time."""

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from synthcohort.storage import DataError, digest, in_one_sentence, load_tensors, lock, save_tensors, write_atomically


def test_a_file_is_written_with_its_folder_and_digest(tmp_path):
    assert write_atomically(tmp_path / "a" / "b.txt", b"text") == hashlib.sha256(b"text").hexdigest()
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"text"
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_atomically(tmp_path / "b.txt", b"old")

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_atomically(tmp_path / "b.txt", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["b.txt"]
    assert (tmp_path / "b.txt").read_bytes() == b"old"


def test_the_second_waits_and_says_so(tmp_path, capsys):
    order, entered = [], threading.Event()

    def second():
        entered.set()
        with lock(tmp_path / "set"):
            order.append("second")

    with lock(tmp_path / "set"):
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert capsys.readouterr().out.count("waiting for it") == 1


def test_the_lock_is_let_go_after_an_error(tmp_path, capsys):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "set"):
        raise ZeroDivisionError
    with lock(tmp_path / "set"):
        pass
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full: free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "is full: free some space"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "is full"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be written: set PRESIMAL_DATA"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), "cannot be written: set PRESIMAL_DATA"),
        (OSError(errno.EROFS, "Read-only file system"), "cannot be written: set PRESIMAL_DATA"),
        (FileExistsError(errno.EEXIST, "File exists"), "cannot be written: set PRESIMAL_DATA"),
        (PermissionError(errno.EPERM, "Operation not permitted"), "cannot be written: set PRESIMAL_DATA"),
    ],
)
def test_what_the_disk_says_becomes_one_sentence(problem, said):
    answer = in_one_sentence(problem, Path("/data/set"))
    assert isinstance(answer, DataError) and said in str(answer) and "/data/set" in str(answer)


def test_other_problems_stay_what_they_are():
    problem = ValueError("a bug")
    assert in_one_sentence(problem, Path("/data")) is problem


TENSORS = {
    "a": torch.arange(6, dtype=torch.float16).view(2, 3),
    "b": torch.tensor([True, False]),
    "c": torch.tensor(2.5),
}


def test_tensors_come_back_as_they_were(tmp_path):
    file = tmp_path / "deep" / "x.safetensors"
    save_tensors(file, TENSORS, source="a test")
    found = load_tensors(file)
    assert set(found) == set(TENSORS)
    assert all(torch.equal(found[name], TENSORS[name]) and found[name].dtype == TENSORS[name].dtype for name in found)
    assert list(load_tensors(file, ("b",))) == ["b"]
    with safe_open(file, "pt") as content:
        assert content.metadata()["source"] == "a test"


DAMAGES = ["missing", "a bit", "cut short", "empty", "without a checksum", "another name", "another type"]


@pytest.mark.parametrize("damage", [*DAMAGES, "another shape"])
def test_damaged_tensors_are_not_used(tmp_path, damage):
    file = tmp_path / "x.safetensors"
    save_tensors(file, TENSORS)
    assert load_tensors(file) is not None
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "a bit":
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "cut short":
        file.write_bytes(content[:-1])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "without a checksum":
        save_file(TENSORS, file)
    else:
        old, new = {
            "another name": (b'"a":', b'"z":'),
            "another type": (b'"F16"', b'"I16"'),
            "another shape": (b"[2,3]", b"[3,2]"),
        }[damage]
        assert content.count(old) == 1
        file.write_bytes(content.replace(old, new))
    assert load_tensors(file) is None


@pytest.mark.parametrize("name", ["a.py", "signals.csv", "deep/sites.toml", "layout.json"])
def test_the_digest_follows_code_and_tables(tmp_path, name):
    """A table says what is made as the code does; a text or a compiled file does not."""
    found = []
    for k, content in enumerate(("1", "1", "2")):
        folder = tmp_path / str(k)
        (folder / "deep").mkdir(parents=True)
        (folder / "fixed.py").write_text("x = 1")
        (folder / name).write_text(content)
        (folder / "NOTICE.txt").write_text(str(k))
        found.append(digest(folder))
    assert found[0] == found[1] != found[2] and len(found[0]) == 12
