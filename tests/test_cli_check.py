"""`presimal check`: ready or not, and the remedy."""

import os
import subprocess
import sys
from importlib import metadata

import pytest

from presimal.cli import check, main, paths


def only(findings):
    (finding,) = list(findings)
    return finding


@pytest.mark.parametrize(
    ("version", "fatal", "remedy"),
    [
        ((3, 10, 4), True, "install Python 3.11"),
        ((3, 11, 0), False, ""),
        ((3, 13, 1), False, ""),
        ((3, 14, 0), False, "newer"),
    ],
)
def test_python(version, fatal, remedy):
    finding = only(check.python(version))
    assert finding.fatal is fatal and remedy in finding.remedy and bool(remedy) == bool(finding.remedy)


def test_memory_and_disk():
    memory, disk = check.room(memory_gb=1.0, disk_gb=50.0)
    assert memory.fatal and "close other programs" in memory.remedy and not disk.fatal and not disk.remedy
    memory, disk = check.room(memory_gb=8.0, disk_gb=0.5)
    assert disk.fatal and "free some" in disk.remedy and not memory.fatal and not memory.remedy


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Say what is installed and what the packages ask for: installed(asked, where, **versions)."""

    def pretend(lines, extras=(), checkout=True, **versions):
        monkeypatch.setattr(check, "_version", lambda name: versions.get(name))
        if checkout:
            text = f"[project]\ndependencies = {lines}\n[project.optional-dependencies]\nlab = {list(extras)}\n"
            (tmp_path / "pyproject.toml").write_text(text)
            monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
        else:
            asked = [*lines, *(f"{line}; extra == 'lab'" for line in extras)]
            monkeypatch.setattr(metadata, "requires", lambda name: asked)
            monkeypatch.setattr(paths, "REPOSITORY", None)
        return list(check.packages())[:-1]

    return pretend


@pytest.mark.parametrize("checkout", [True, False])
class TestPackages:
    def test_what_is_missing_is_named_with_the_command_that_installs_it(self, installed, checkout):
        finding = only(installed(["torch>=2.4", "torchsurv"], checkout=checkout, torch="2.5"))
        assert finding.fatal and finding.found == "missing: torchsurv"
        assert finding.remedy == f'run: {sys.executable} -m pip install --upgrade "torchsurv"'

    def test_what_is_too_old_is_named_with_its_version_and_the_bound(self, installed, checkout):
        finding = only(installed(["torch>=2.4", "monai>=1.5"], checkout=checkout, torch="2.10.1", monai="1.4.9"))
        assert finding.fatal and finding.found == "monai 1.4.9, but it must be >=1.5"
        assert finding.remedy.endswith('--upgrade "monai>=1.5"')

    def test_a_version_at_its_bound_or_built_for_a_card_or_before_its_release_is_good(self, installed, checkout):
        for version in ("2.4", "2.4.0+cu121", "2.5.0rc1"):
            assert installed(["torch>=2.4"], checkout=checkout, torch=version) == []
        assert len(installed(["torch>=2.4"], checkout=checkout, torch="2.3.9+cu121")) == 1

    def test_an_extra_may_be_missing_but_if_it_is_there_and_wrong_a_note_says_so(self, installed, checkout):
        assert installed([], ["jupyterlab>=4.3"], checkout=checkout) == []
        finding = only(installed([], ["ipykernel>=6.29,!=7.0.*"], checkout=checkout, ipykernel="7.0.1"))
        assert not finding.fatal and finding.found.startswith("ipykernel 7.0.1, but") and finding.remedy


def test_without_jupyterlab_it_is_ready_too_and_does_not_speak_of_it(monkeypatch, capsys):
    version = check._version
    monkeypatch.setattr(check, "_version", lambda name: None if name == "jupyterlab" else version(name))
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert "Ready: start with the first notebook." in said and "lab" not in said


def test_it_answers_where_torch_does_not_start(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libsomething.so is missing')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "presimal", "check"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment)
    assert done.returncode == 1 and "torch does not start: libsomething.so is missing" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Not ready") and not done.stderr


def test_a_wrong_device_is_said_so(monkeypatch):
    monkeypatch.setenv("PRESIMAL_DEVICE", "gpu")
    finding = only(check.device())
    assert finding.fatal and "'gpu' is not a device" in finding.found and "PRESIMAL_DEVICE" in finding.remedy


def test_missing_notebooks_are_said_so(monkeypatch, tmp_path):
    for name in ("REPOSITORY", "PACKAGE"):
        monkeypatch.setattr(paths, name, tmp_path)
    finding = only(check.notebooks())
    assert finding.fatal and "no notebooks in" in finding.remedy


@pytest.mark.parametrize(("checkout", "remedy"), [(True, "move the repository"), (False, "go to a folder of your own")])
def test_a_folder_that_cannot_be_written_is_said_so(monkeypatch, checkout, remedy):
    monkeypatch.setattr(check.os, "access", lambda folder, mode: False)
    if not checkout:
        monkeypatch.setattr(paths, "PACKAGE", paths.REPOSITORY)
        monkeypatch.setattr(paths, "REPOSITORY", None)
    finding = only(check.notebooks())
    assert finding.fatal and remedy in finding.remedy


def test_this_machine_is_ready(capsys):
    assert main(["check"]) == 0
    said = capsys.readouterr().out
    assert "Ready: start with 'presimal lab'." in said and len(said.splitlines()) <= 24  # one screen
    for what in ("Python", "packages", "device", "memory", "disk", "notebooks"):
        assert what in said


def test_a_machine_that_is_not_ready_has_another_exit_status(monkeypatch, capsys):
    monkeypatch.setattr(check, "MEMORY_GB", 1e6)
    assert main(["check"]) == 1
    assert "Not ready" in capsys.readouterr().out


def test_the_command_is_installed():
    command = [sys.executable, "-m", "presimal", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    assert all(command in said for command in ("lab", "run", "check"))


def test_no_command_is_an_error_that_shows_the_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2 and "usage: presimal" in capsys.readouterr().err


def test_a_data_folder_that_can_be_written_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path / "not" / "yet"))
    finding = only(check.data())
    assert not finding.remedy and finding.found == str(tmp_path / "not" / "yet") and not list(tmp_path.iterdir())


def test_a_data_folder_at_home_is_named_without_its_owner(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path / "data"))
    assert only(check.data()).found == "~/data"


@pytest.mark.skipif(os.name == "nt", reason="links and names have other limits there")
def test_a_data_folder_that_is_impossible_is_not_ready(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    places = ["~nosuchuser/x", str(tmp_path / "file" / "x"), str(tmp_path / ("a" * 300)), str(tmp_path / "loop" / "x")]
    for place in [*places, *(["/proc/nowhere"] if os.path.isdir("/proc") else [])]:
        monkeypatch.setenv("PRESIMAL_DATA", place)
        finding = only(check.data())
        assert (
            finding.fatal and place in finding.found and "set the environment variable PRESIMAL_DATA" in finding.remedy
        )
        assert main(["check"]) == 1
        assert capsys.readouterr().out.splitlines()[-1].startswith("Not ready")
        for command in (["data"], ["data", "cohort", "--subjects", "1"], ["data", "ixi", "--yes"]):
            status, said = main(command), capsys.readouterr()
            assert status in (0, 2) and (status == 0 or len(said.err.splitlines()) == 1), (place, command, said.err)
            assert status == 2 or command == ["data"]


def test_a_data_folder_that_is_read_only_but_filled_is_a_note(monkeypatch, tmp_path):
    def read_only(dir):
        raise OSError(30, "Read-only file system")

    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path))
    monkeypatch.setattr(check.tempfile, "TemporaryFile", read_only)
    assert only(check.data()).fatal
    (tmp_path / "cohort-4mm-seed0-x").mkdir()
    finding = only(check.data())
    assert not finding.fatal and finding.remedy and "Read-only file system" in finding.found
