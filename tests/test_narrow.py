"""Little room on the disk, a home that is read-only, little memory: the right answer or one sentence, and nothing half.

Each command runs in a copy of this process, whose limits and rights are its own.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from test_writing import found_brain

from brainscans import skull_stripping, tumor_segmentation
from brainscans.tumor_segmentation import Segmentation
from presimal.cli import lab, main, paths, run

LONG = os.environ.get("PRESIMAL_LONG_TESTS") == "1"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks a process that has threads")
AFFINE = np.diag([2.0, 2, 2, 1])


def alone(narrow, action):
    """The exit status of an action in a process that is narrowed first, and what it says."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        status = 99
        with contextlib.suppress(BaseException):  # whatever it is, this copy of pytest goes no further
            for number in (1, 2):
                os.dup2(writing, number)
            sys.stdout = sys.stderr = open(1, "w", closefd=False, buffering=1)
            narrow()
            try:
                status = action()
            except BaseException as problem:
                print(f"Traceback: {type(problem).__name__}: {problem}")
        os._exit(status)
    os.close(writing)
    with open(reading, encoding="utf-8") as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status), f"ended by signal {os.WTERMSIG(status)}: {text}"
    return os.WEXITSTATUS(status), text


def store(file, seed=0, shape=(40, 40, 40)):
    nib.save(nib.Nifti1Image(np.random.default_rng(seed).integers(1, 9000, shape).astype(np.int16), AFFINE), file)
    return str(file)


@pytest.fixture
def quick(monkeypatch):
    """No network: the answers come at once."""
    labels = np.random.default_rng(0).integers(0, 4, (40, 40, 40)).astype(np.uint8)
    monkeypatch.setattr(skull_stripping, "find_brain", found_brain)
    monkeypatch.setattr(tumor_segmentation, "find_tumor", lambda *_, **__: Segmentation(labels, labels, {}))


# The disk


def full():
    """A disk that takes files of a thousand bytes, as one that is filled by somebody else while we compute."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


COMMANDS = {
    "strip": lambda home: main(["strip", str(home / "0.nii.gz")]),
    "strip of a folder": lambda home: main(["strip", str(home)]),
    "segment": lambda home: main(
        ["segment", *(str(home / f"{k}.nii.gz") for k in range(4)), "-o", str(home / "labels.nii.gz")]
    ),
    "data": lambda home: main(["data", "cohort", "--set", "heads", "--subjects", "2", "--spacing", "8"]),
    "run": lambda home: main(["run", "--save", str(home / "00.ipynb")]),
    "lab": lambda home: main(["lab"]),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half(tmp_path, quick, data_home, monkeypatch, command):
    monkeypatch.setattr(paths, "home", lambda: tmp_path)
    monkeypatch.setattr(lab.subprocess, "call", lambda *_, **__: pytest.fail("started without copies"))
    monkeypatch.setattr(run.NotebookClient, "execute", lambda client: None)
    for k in range(4):
        store(tmp_path / f"{k}.nii.gz", k)
    run.store(new_notebook(cells=[new_code_cell(f"# {'x' * 3000}")]), tmp_path / "00.ipynb")
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    status, said = alone(full, lambda: COMMANDS[command](tmp_path))
    assert status in (1, 2) and "Traceback" not in said and "too large" in said.lower(), said
    left = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file() and ".lock" not in file.name}
    assert left == before and not list(tmp_path.rglob("*.part"))


# A home that is read-only, and a user who owns nothing


def nobody():
    os.environ.pop("PRESIMAL_DATA", None)
    if os.geteuid() == 0:  # for whom nothing is read-only
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def cannot_be_another():
    """Is this root of a namespace of its own, who may be nobody else?"""
    groups = Path("/proc/self/setgroups")
    return sys.platform.startswith("linux") and os.geteuid() == 0 and groups.exists() and "deny" in groups.read_text()


@pytest.mark.skipif(cannot_be_another(), reason="root, who may write everywhere and become nobody else")
def test_a_home_that_is_read_only(open_folder, quick, monkeypatch):
    home, free = open_folder / "home", open_folder / "free"
    home.mkdir()
    free.mkdir()
    free.chmod(0o777)
    store(home / "a.nii.gz")
    run.store(new_notebook(cells=[new_code_cell("print('take-away: 2')")]), home / "00.ipynb")
    home.chmod(0o555)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.chdir(home)
    monkeypatch.setattr(paths, "home", lambda: home)
    monkeypatch.setattr(run.NotebookClient, "execute", lambda client: None)
    for module in ("pooch", "presimal.cli.check", "presimal.cli.data"):  # from where nobody may not look
        import_module(module)
    scan = str(home / "a.nii.gz")
    expected = {
        ("strip", scan): (1, "a_brain.nii.gz: cannot be written (Permission denied); choose another place with -o."),
        ("strip", scan, "-o", str(free)): (0, "agreement"),
        ("data", "cohort", "--set", "heads", "--subjects", "1"): (
            2,
            "cannot be written: set PRESIMAL_DATA to a folder",
        ),
        ("data",): (0, "To make or get more"),
        ("lab",): (2, f"cannot write copies to {home / 'my_work'} (Permission denied)"),
        ("check",): (1, "cannot be written: Permission denied"),
        ("run", "--save", str(home / "00.ipynb")): (1, "00.ipynb cannot be written: Permission denied"),
    }
    for words, (status, said) in expected.items():
        found, text = alone(nobody, lambda words=words: main(list(words)))
        assert (found, "Traceback" in text) == (status, False) and said in text, (words, found, text)
    assert sorted(file.name for file in home.iterdir()) == ["00.ipynb", "a.nii.gz"]


# Little memory


@pytest.mark.parametrize("command", ["strip", "age", "segment"])
@pytest.mark.parametrize("megabytes", [20, 60, 150, 300, 600, 1200] if LONG else [60, 300])
def test_with_little_memory_there_is_an_answer_or_one_sentence(tmp_path, command, megabytes):
    """So much more than what is loaded already, which is about one gigabyte."""
    import resource

    def little():
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, -1))

    scan = store(tmp_path / "a.nii.gz", shape=(200, 200, 180))
    words = {
        "strip": ["strip", scan],
        "age": ["age", scan],
        "segment": ["segment", "--t1", scan, "-o", f"{scan}.x.nii"],
    }
    status, said = alone(little, lambda: main(words[command]))
    lines = [line for line in said.splitlines() if line.startswith("presimal: ") and "note" not in line]
    assert status in (1, 2) and len(lines) == 1 and "Traceback" not in said, (status, said)
    assert "memory" in said or "is it a scan of a head" in said or "remove the skull" in said, said
    assert [file.name for file in tmp_path.iterdir()] == ["a.nii.gz"]


@pytest.mark.parametrize("gigabytes", [0.5, 1, 2, 3] if LONG else [2])
@pytest.mark.parametrize("command", ["strip", "age", "segment --t1", "data", "run"])
def test_where_the_libraries_find_no_memory_there_is_one_sentence(tmp_path, command, gigabytes):
    """A limit from the start on, which the libraries alone may reach: torch with CUDA maps more than three of them."""
    import resource

    scan = store(tmp_path / "a.nii.gz", shape=(200, 200, 180))
    words = [*command.split(), *([] if command in ("data", "run") else [scan])]
    words += ["-o", f"{scan}.x.nii"] if command.startswith("segment") else []
    words += [str(tmp_path / "none.ipynb")] if command == "run" else []
    environment = os.environ | {"PRESIMAL_DATA": str(tmp_path), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    limits = (int(gigabytes * 2**30),) * 2
    done = subprocess.run(
        [sys.executable, "-m", "presimal", *words], env=environment, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limits),
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if line.startswith("presimal: ") and "note" not in line]
    assert "Traceback" not in done.stderr and (len(said) == 1 or not done.returncode), done
    assert not said or re.search("memory|head|skull|neither a file", said[0]), done
