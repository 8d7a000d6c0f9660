"""`presimal lab`: what it starts, for whom it listens, and that it really answers."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from presimal.cli import lab, paths
from synthcohort.storage import DataError


def options(command):
    return dict(re.fullmatch(r"--([\w.]+)=(.*)", part).groups() for part in command if "=" in part)


def test_it_listens_on_this_machine_only_and_keeps_the_token():
    chosen = options(lab.lab_command(Path("/x/my_work")))
    assert chosen["ServerApp.ip"] == "127.0.0.1"
    assert not any("token" in name.lower() or "password" in name.lower() for name in chosen)


def test_it_opens_the_first_notebook_of_the_folder():
    chosen = options(lab.lab_command(Path("/x/my_work")))
    assert chosen["LabApp.default_url"] == "/lab/tree/my_work/00_start_here.ipynb"
    assert (paths.originals() / lab.FIRST).exists()


def test_root_is_allowed_only_to_root(monkeypatch):
    for user, expected in ((0, True), (1000, False)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user, raising=False)
        assert ("--allow-root" in lab.lab_command(Path("/x"))) is expected


def test_the_news_pop_up_is_off_and_long_lines_wrap():
    settings = json.loads((lab.SETTINGS / "overrides.json").read_text(encoding="utf-8"))
    assert settings["@jupyterlab/notebook-extension:tracker"] == {"codeCellConfig": {"lineWrap": True}}
    notification = settings["@jupyterlab/apputils-extension:notification"]
    assert notification == {"fetchNews": "false", "checkForUpdates": False}


def test_threads_sleep_while_they_wait_and_the_users_choice_stands():
    chosen = lab.thread_settings({})
    assert chosen["OMP_WAIT_POLICY"] == "PASSIVE" and int(chosen["OMP_NUM_THREADS"]) >= 1
    assert lab.thread_settings({"OMP_NUM_THREADS": "7"})["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize(("cores", "allowed"), [(8, 2), (2, 8)])
def test_there_is_one_thread_per_core_that_it_may_use(monkeypatch, cores, allowed):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(allowed)), raising=False)
    assert lab.thread_settings({})["OMP_NUM_THREADS"] == "2"


@pytest.fixture
def started(tmp_path, monkeypatch):
    """The command that `open_lab` would start, in a repository of its own."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / lab.FIRST).write_text("{}")
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    calls = []
    monkeypatch.setattr(subprocess, "call", lambda command, env: calls.append(command) or 0)
    return tmp_path, calls


def test_the_students_copy_is_opened_by_default_and_the_original_on_request(started):
    repository, calls = started
    assert lab.open_lab() == 0
    assert options(calls[0])["FileContentsManager.preferred_dir"] == "my_work"
    assert (repository / "my_work" / lab.FIRST).exists()
    assert lab.open_lab(original=True, options=["--no-browser"]) == 0
    assert options(calls[1])["FileContentsManager.preferred_dir"] == "notebooks"
    assert calls[1][-1] == "--no-browser"


def test_a_presenter_gets_copies_of_another_kind_large_and_alone_on_the_screen(started):
    repository, calls = started
    note = {"cell_type": "markdown", "metadata": {"tags": ["instructor"]}, "source": ["**Say:** so."]}
    notebook = {"cells": [note], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (repository / "notebooks" / lab.FIRST).write_text(json.dumps(notebook))
    assert lab.open_lab() == lab.open_lab(teach=True) == 0
    chosen = options(calls[1])
    assert chosen["LabApp.default_url"] == f"/doc/tree/my_teaching/{lab.FIRST}"
    chosen_settings = Path(chosen["LabApp.user_settings_dir"]) / lab.LARGE
    assert json.loads(chosen_settings.read_text()) == lab.LARGE_TYPE
    chosen_settings.write_text("{}")  # the presenter's own stay
    assert lab.open_lab(teach=True) == 0 and chosen_settings.read_text() == "{}"
    assert "LabApp.user_settings_dir" not in options(calls[0])
    assert "Say" not in (repository / "my_work" / lab.FIRST).read_text()
    assert "For the instructor" in (repository / "my_teaching" / lab.FIRST).read_text()


def test_copies_that_cannot_be_written_are_said_so(started, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lab, "refresh", full)
    with pytest.raises(DataError, match="No space left on device.*free room"):
        lab.open_lab()


def test_an_install_without_jupyterlab_is_said_so_with_the_remedy(started, monkeypatch):
    monkeypatch.setattr(lab, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install jupyterlab"):
        lab.open_lab()
    assert started[1] == []


def test_an_installed_package_puts_the_copies_where_it_is_called(started, monkeypatch, tmp_path_factory):
    package, calls = started
    here = tmp_path_factory.mktemp("here")
    monkeypatch.setattr(paths, "REPOSITORY", None)
    monkeypatch.setattr(paths, "PACKAGE", package)
    monkeypatch.chdir(here)
    assert lab.open_lab() == 0
    assert (here / "my_work" / lab.FIRST).exists() and not (package / "my_work").exists()
    assert options(calls[0])["ServerApp.root_dir"] == str(here)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(url, patience_s=20):
    """The HTTP status for `url`, once the server listens."""
    for _ in range(patience_s * 10):
        try:
            return urllib.request.urlopen(url).status
        except urllib.error.HTTPError as refused:
            return refused.code
        except urllib.error.URLError:
            time.sleep(0.1)
    raise TimeoutError(f"no answer from {url}")


def test_a_real_server_answers_with_the_token_and_refuses_without(tmp_path):
    """Started from another folder, as a user would; stopped as soon as it has answered."""
    command = [sys.executable, "-m", "presimal", "lab", "--original"]
    command += ["--", "--no-browser", f"--ServerApp.port={free_port()}"]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    server = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    killer = threading.Timer(60, server.kill)
    killer.start()
    try:
        found = (re.search(r"(http://127.0.0.1:\d+)\S*token=(\w+)", line) for line in server.stderr)
        address = next(filter(None, found))
        contents = f"{address[1]}/api/contents/notebooks"
        assert answer(contents) == 403
        listed = json.load(urllib.request.urlopen(f"{contents}?token={address[2]}"))
        assert lab.FIRST in [entry["name"] for entry in listed["content"]]
    finally:
        killer.cancel()
        for process in [*psutil.Process(server.pid).children(recursive=True), server]:
            process.kill()  # JupyterLab is a child of the command
        server.wait()
        server.stderr.close()


def test_what_lies_in_the_current_folder_is_not_run(tmp_path):
    """A student's random.py would be imported in place of Python's."""
    for name in ("random", "json", "jupyterlab", "tempfile"):
        (tmp_path / f"{name}.py").write_text("import os\nopen('run', 'w').close()\nos._exit(3)\n")
    command = [*lab.lab_command(tmp_path), "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0 and re.match(r"\d+\.\d+", done.stdout) and not (tmp_path / "run").exists()


LEDGERS = {
    "a pipe": lambda file: os.mkfifo(file),
    "a folder": lambda file: file.mkdir(),
    "a link to itself": lambda file: file.symlink_to(file.name),
    "a link to nothing": lambda file: file.symlink_to("nowhere"),
    "a list": lambda file: file.write_text("[1]"),
    "without end": lambda file: file.write_text("[" * 100_000),
}


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes and links")
@pytest.mark.parametrize("name", LEDGERS)
def test_it_starts_whatever_lies_in_the_place_of_its_own_notes(tmp_path, name):
    LEDGERS[name](tmp_path / lab.LEDGER)
    assert len(lab.refresh(paths.originals(), tmp_path)["added"]) == 10
