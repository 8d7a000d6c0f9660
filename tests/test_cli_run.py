"""`presimal run`: the table tells the truth about notebooks that pass, fail, hang or die."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from presimal.cli import main, paths, run
from synthcohort.storage import DataError

GOOD = ["x = 2", "print('take-away: error = 0.1 years (baseline 0.5 years)')"]


@pytest.fixture
def write(tmp_path):
    def write(name, *sources, **metadata):
        cells = [new_code_cell(source, metadata=metadata) for source in sources]
        file = tmp_path / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=cells), file)
        return file

    return write


def test_a_notebook_that_passes(write, capsys):
    file = write("00_good", *GOOD)
    before = file.read_bytes()
    assert main(["run", str(file)]) == 0
    table = capsys.readouterr().out
    assert "00_good" in table and "pass" in table and "1 of 1 passed" in table
    assert "error = 0.1 years (baseline 0.5 years)" in table
    assert file.read_bytes() == before


def test_a_notebook_that_fails_gives_its_error_and_the_others_still_run(write, capsys):
    bad, good = write("01_bad", "1 / 0", "print('never')"), write("02_good", *GOOD)
    assert main(["run", str(bad), str(good)]) == 1
    table = capsys.readouterr().out
    assert "fail    ZeroDivisionError: division by zero" in table and "1 of 2 passed" in table


WAIT = """import pathlib, time
pathlib.Path({mine!r}).touch()
while not pathlib.Path({others!r}).exists(): time.sleep(0.1)"""


def test_two_run_side_by_side_where_memory_is_left(write, monkeypatch, capsys):
    """Each waits for the other's file, and stops after a while."""
    monkeypatch.setattr(run, "CELL_SECONDS", 20)
    monkeypatch.setattr(run.os, "cpu_count", lambda: 2)
    a, b = write("a", WAIT.format(mine="of a", others="of b")), write("b", WAIT.format(mine="of b", others="of a"))
    assert run.run([a, b]) == 0
    (a.parent / "of a").unlink()
    (a.parent / "of b").unlink()
    monkeypatch.setattr(run, "CELL_SECONDS", 2)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=4000 * 2**20))
    assert run.run([a, b]) == 1
    first, second = capsys.readouterr().out.splitlines()[-3:-1]
    assert first.startswith("a ") and "longer than 2 s" in first and "pass" in second


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process")
def test_an_interrupt_ends_the_kernels(write):
    file = write("a", "import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid()))", "while True: pass")
    pid = file.parent / "pid"
    with subprocess.Popen([sys.executable, "-m", "presimal", "run", str(file)], stderr=subprocess.PIPE) as running:
        try:
            while not (pid.exists() and pid.read_text()):
                assert running.poll() is None
                time.sleep(0.1)
            kernel = int(pid.read_text())
            running.send_signal(signal.SIGINT)
            said = running.communicate(timeout=30)[1].decode()
        finally:
            running.kill()
    assert running.returncode == 130 and said.endswith("presimal: interrupted.\n") and "Traceback" not in said
    until = time.monotonic() + 10
    while psutil.pid_exists(kernel) and time.monotonic() < until:
        time.sleep(0.1)
    assert not psutil.pid_exists(kernel)


def test_peak_memory_is_that_of_the_kernel(write):
    small = run.execute(write("small", "import time; time.sleep(0.5)"))
    large = run.execute(write("large", "x = bytearray(300 * 2**20)", "import time; time.sleep(0.5)", "del x"))
    assert 250 < large.peak_mb - small.peak_mb < 400


def test_peak_memory_is_the_largest_that_was_seen(monkeypatch):
    sizes = iter([300, 500, 200])

    class Kernel:
        def __init__(self, pid):
            self.seen = 0

        def is_running(self):
            self.seen += 1
            return self.seen <= 3

        def memory_info(self):
            return SimpleNamespace(rss=next(sizes) * 2**20)

    monkeypatch.setattr(psutil, "Process", Kernel)
    monkeypatch.setattr(run.time, "sleep", lambda seconds: None)
    run._watch(1, outcome := run.Outcome("a"))
    assert outcome.peak_mb == 500


def test_a_cell_that_takes_too_long_and_a_kernel_that_dies_are_told_apart(write, monkeypatch):
    monkeypatch.setattr(run, "CELL_SECONDS", 2)
    assert "longer than 2 s" in run.execute(write("slow", "import time; time.sleep(30)")).problem
    assert run.execute(write("left", "import os; os._exit(3)")).problem == "the kernel ended with exit code 3"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
def test_only_a_kernel_that_the_system_may_have_killed_is_said_to_lack_memory(write):
    killed, crashed = (write(str(k), f"import os; os.kill(os.getpid(), {k})") for k in (9, 11))
    assert run.execute(killed).problem == "the kernel ended by signal 9, which often means that memory ran out"
    assert run.execute(crashed).problem == "the kernel ended by signal 11"


def test_what_a_notebook_says_is_no_command_to_the_terminal(write, capsys):
    told = "print('take-away: \\x1b[2J 1')"
    assert run.run([write("a\x1b[2Jb", told), write("c", told, "raise ValueError('\\x1b[2J')")]) == 1
    table = capsys.readouterr().out
    assert "\x1b" not in table and "a\\x1b[2Jb" in table and table.count("\\x1b[2J") == 3


def test_saving_stores_outputs_but_no_state_of_the_run(write):
    file = write("00_good", *GOOD)
    assert run.run([file], save=True) == 0
    stored = nbformat.read(file, as_version=4)
    assert [cell.execution_count for cell in stored.cells] == [1, 2]
    assert "take-away" in stored.cells[1].outputs[0].text
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert not any("execution" in cell.metadata for cell in stored.cells)
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_saving_leaves_out_what_a_widget_showed(write):
    file = write("00_widget", "import ipywidgets; ipywidgets.interact(lambda x: print(x), x=3)", tags=["widget"])
    assert run.run([file], save=True) == 0
    stored = nbformat.read(file, as_version=4)
    assert stored.cells[0].outputs == [] and "widgets" not in stored.metadata


def test_a_notebook_that_fails_is_not_saved(write):
    file = write("01_bad", "1 / 0")
    before = file.read_bytes()
    assert run.run([file], save=True) == 1
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["1", "01", "01_function_approximation", "01_function_approximation.ipynb", "01_func"])
def test_a_notebook_is_found_by_number_name_or_beginning(name):
    assert [file.name for file in run.find_notebooks([name])] == ["01_function_approximation.ipynb"]


def test_all_notebooks_are_meant_when_none_is_named():
    assert run.find_notebooks([]) == sorted(paths.originals().glob("*.ipynb"))


@pytest.mark.parametrize("name", ["77", "nothing", "missing/01.ipynb"])
def test_a_name_that_fits_none_is_refused_with_those_that_would(name, capsys):
    assert main(["run", name]) == 2
    said = capsys.readouterr().err
    assert f"'{name}' is neither a file nor a notebook" in said and "00_start_here" in said


def test_an_empty_name_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", ""])
    assert ended.value.code == 2 and "its name is empty" in capsys.readouterr().err
    with pytest.raises(DataError, match="fits more than one notebook"):
        run.find_notebooks([""])


def test_an_install_without_notebooks_is_said_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    assert main(["run"]) == 2
    assert "no notebooks in" in capsys.readouterr().err


def test_a_notebook_of_an_installed_package_leaves_nothing_beside_it_and_is_not_saved(write, monkeypatch, capsys):
    file = write("00_good", "import os; open('trace', 'w').close(); print('take-away:', len(os.listdir()))")
    before = file.read_bytes()
    assert run.execute(file).take_away == "2" and (file.parent / "trace").exists()
    (file.parent / "trace").unlink()
    monkeypatch.setattr(paths, "PACKAGE", file.parent)
    assert run.execute(file).take_away == "1"
    assert main(["run", "--save", str(file)]) == 2 and "checkout" in capsys.readouterr().err
    assert list(file.parent.iterdir()) == [file] and file.read_bytes() == before


def test_a_kernel_that_is_not_installed_is_said_so(write):
    file = write("00_good", *GOOD)
    notebook = nbformat.read(file, as_version=4)
    notebook.metadata.kernelspec = {"name": "nobody", "display_name": "Nobody"}
    nbformat.write(notebook, file)
    assert run.execute(file).problem == "there is no Jupyter kernel 'nobody' here: install ipykernel"


def test_a_whole_name_goes_before_those_that_begin_with_it(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    for name in ("01_a.ipynb", "01_a_more.ipynb"):
        (tmp_path / "notebooks" / name).write_text("{}")
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    for name in ("01_a", "01_a.ipynb"):
        assert [file.name for file in run.find_notebooks([name])] == ["01_a.ipynb"]


def test_the_last_take_away_counts(write):
    assert run.execute(write("00_two", "print('take-away: first')", "print('take-away: last')")).take_away == "last"


def test_an_interrupt_is_said_so_and_is_no_success(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run", interrupted)
    assert main(["run"]) == 130
    assert capsys.readouterr().err == "\npresimal: interrupted.\n"


def test_what_the_user_cannot_mend_is_not_hidden(monkeypatch):
    monkeypatch.setattr(run, "run", lambda **_: [][0])
    with pytest.raises(IndexError):
        main(["run"])


def test_a_letter_that_the_console_lacks_does_not_stop_it(write):
    command = [sys.executable, "-m", "presimal", "run", str(write("θ", "1"))]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment)
    assert done.returncode == 0 and "?" in done.stdout and "1 of 1 passed" in done.stdout


CONFLICT = b'{\n "cells": [\n<<<<<<< HEAD\n  {"cell_type": "code"}\n=======\n  {}\n>>>>>>> theirs\n ]\n}\n'
NO_NOTEBOOKS = {
    "empty": b"",
    "text": b"import numpy as np",
    "conflict": CONFLICT,
    "cut": b'{"cells": [{"cell_type": "code", "source": ["x',
    "utf16": "{}".encode("utf-16"),
    "binary": bytes(range(256)),
    "list": b"[1, 2]",
    "number": b"5",
    "null": b"null",
    "deep": b"[" * 100_000,
    "no_cells": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
    "five_cells": b'{"cells": 5, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    "odd_cells": b'{"cells": [5], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    "future": b'{"cells": [], "metadata": {}, "nbformat": 99, "nbformat_minor": 0}',
    "ancient": b'{"worksheets": 3, "metadata": {}, "nbformat": 3, "nbformat_minor": 0}',
}


def test_what_is_no_notebook_is_a_row_that_says_so_and_the_others_still_run(write, capsys, tmp_path):
    good = write("00_good", *GOOD)
    for name, content in NO_NOTEBOOKS.items():
        (tmp_path / f"{name}.ipynb").write_bytes(content)
    files = [str(tmp_path / f"{name}.ipynb") for name in NO_NOTEBOOKS]
    assert main(["run", *files, str(good)]) == 1
    rows = capsys.readouterr().out.splitlines()
    for name in NO_NOTEBOOKS:
        (row,) = [row for row in rows if row.startswith(f"{name} ")]
        assert f"fail    {tmp_path / name}.ipynb is damaged or no notebook: get it again" in row
    assert rows[-1].startswith(f"1 of {len(files) + 1} passed")


def test_a_notebook_that_cannot_be_read_or_written_is_a_row_too(write, monkeypatch, capsys):
    file = write("00_good", "print('take-away: 1')")
    read = nbformat.read

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(nbformat, "read", forbidden)
    assert main(["run", str(file)]) == 1
    assert f"fail    {file} cannot be read: Permission denied" in capsys.readouterr().out
    monkeypatch.setattr(nbformat, "read", read)
    monkeypatch.setattr(run, "write_files", forbidden)
    assert main(["run", "--save", str(file)]) == 1
    assert f"fail    {file} cannot be written: Permission denied" in capsys.readouterr().out


def test_a_kernel_that_does_not_start_is_a_row_too(write, monkeypatch, capsys):
    """As it is where a machine is so slow that Jupyter gives up."""

    def slow(self, **_):
        raise RuntimeError("Kernel didn't respond\nin 60 seconds")

    monkeypatch.setattr(run.NotebookClient, "execute", slow)
    assert main(["run", str(write("00_good", *GOOD))]) == 1
    assert "fail    RuntimeError: Kernel didn't respond in 60 seconds" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["9" * 5000, "99", "²", "a\nb"])
def test_a_number_that_no_notebook_has_is_one_sentence(capsys, name):
    assert main(["run", name]) == 2
    said = capsys.readouterr().err.strip()
    assert "is neither a file nor a notebook of the workshop" in said and len(said.splitlines()) == 1
