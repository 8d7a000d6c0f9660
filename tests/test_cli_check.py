"""`presimal check`: ready or not, and the remedy."""

import subprocess
import sys

import pytest

from presimal.cli import check, main, places


def only(findings):
    (finding,) = list(findings)
    return finding


@pytest.mark.parametrize(
    ("version", "fatal", "remedy"),
    [((3, 10, 4), True, "install Python 3.11"), ((3, 11, 0), False, ""), ((3, 13, 1), False, ""), ((3, 14, 0), False, "newer")],
)
def test_python(version, fatal, remedy):
    finding = only(check.python(version))
    assert finding.fatal is fatal and remedy in finding.remedy and bool(remedy) == bool(finding.remedy)


def test_memory_and_disk():
    assert only(check.memory(available_gb=1.0)).fatal and "close other programs" in only(check.memory(1.0)).remedy
    assert not only(check.memory(available_gb=8.0)).fatal
    assert only(check.disk(free_gb=0.5)).fatal and "free some" in only(check.disk(free_gb=0.5)).remedy
    assert not only(check.disk(free_gb=50.0)).fatal


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    version = check._version
    monkeypatch.setattr(check, "_version", lambda name: None if name.lower() == "torchsurv" else version(name))
    finding = next(check.packages())
    assert finding.fatal and finding.found == "missing: torchsurv" and "pip install -e ." in finding.remedy


def test_a_wrong_device_is_said_so(monkeypatch):
    monkeypatch.setenv("PRESIMAL_DEVICE", "gpu")
    finding = only(check.device())
    assert finding.fatal and "'gpu' is not a device" in finding.found and "PRESIMAL_DEVICE" in finding.remedy


def test_missing_notebooks_are_said_so(monkeypatch, tmp_path):
    monkeypatch.setattr(places, "REPOSITORY", tmp_path)
    assert only(check.notebooks()).fatal


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
    said = subprocess.run([sys.executable, "-m", "presimal", "--help"], capture_output=True, text=True, check=True).stdout
    assert all(command in said for command in ("lab", "run", "check"))


def test_no_command_is_an_error_that_shows_the_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2 and "usage: presimal" in capsys.readouterr().err
