"""`presimal strip`: files and folders."""

import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from presimal.cli import main
from synthcohort import Cohort


@pytest.fixture(scope="module")
def head():
    batch = Cohort(77, rotation=4.0).render([3], "head", 4.0)
    return nib.Nifti1Image((batch.images[0, 0] * 500).round().numpy().astype(np.int16), batch.affine.numpy())


def test_a_folder_goes_on_after_a_bad_scan_and_does_nothing_twice(head, tmp_path, capsys):
    for name in ("a.nii.gz", "b.nii"):
        nib.save(head, tmp_path / name)
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    assert main(["strip", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out.count(" ml, agreement ") == 2
    assert "broken.nii.gz" in said.err and "1 of 3 scans failed" in said.err.splitlines()[-1]
    written = {file.name for file in tmp_path.iterdir()}
    assert {"a_brain.nii.gz", "a_mask.nii.gz", "b_brain.nii.gz", "b_mask.nii.gz"} < written
    (tmp_path / "broken.nii.gz").unlink()
    assert main(["strip", str(tmp_path)]) == 0
    assert "2 scans have been stripped before" in capsys.readouterr().err
    assert {file.name for file in tmp_path.iterdir()} == written - {"broken.nii.gz"}


def test_where_it_goes(head, tmp_path, capsys):
    nib.save(head, tmp_path / "a.nii.gz")
    assert main(["strip", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "out" / "brain.nii.gz")]) == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"brain.nii.gz", "brain_mask.nii.gz"}
    assert main(["strip", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "folder")]) == 0
    assert {file.name for file in (tmp_path / "folder").iterdir()} == {"a_brain.nii.gz", "a_mask.nii.gz"}


def test_bad_use_is_said_in_one_sentence(head, tmp_path, capsys):
    for name in ("a.nii.gz", "b.nii.gz"):
        nib.save(head, tmp_path / name)
    assert main(["strip", str(tmp_path), "-o", str(tmp_path / "one.nii.gz")]) == 2
    assert "give a folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["strip", str(tmp_path / "empty")]) == 2
    assert "holds no .nii" in capsys.readouterr().err
    assert main(["strip", str(tmp_path / "none.nii.gz")]) == 1
    assert "none.nii.gz" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["tpu", "cuda:7", "gpu 0"])
def test_a_device_that_is_none_is_one_sentence_for_each_scan(head, tmp_path, capsys, monkeypatch, device):
    monkeypatch.setenv("PRESIMAL_DEVICE", device)
    nib.save(head, tmp_path / "a.nii.gz")
    assert main(["strip", str(tmp_path / "a.nii.gz")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and f"'{device}'" in said[0] and [file.name for file in tmp_path.iterdir()] == ["a.nii.gz"]


@pytest.mark.parametrize("name", ["two\nlines", "clear\x1b[2Jscreen", "a\rb", "tab\tbed", "right\u202eleft"])
@pytest.mark.parametrize("command", ["strip", "age"])
def test_the_name_of_a_file_is_no_command_to_the_terminal(tmp_path, capsys, command, name):
    file = tmp_path / f"{name}.nii.gz"
    file.write_bytes(b"none")
    assert main([command, str(file)]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.rstrip("\n").isprintable()
    assert ascii(name)[1:-1] in said.err


def test_a_library_that_does_not_start_is_said_so(monkeypatch, capsys):
    def lacking(problem):
        def start(_):
            raise problem

        monkeypatch.setattr("presimal.cli.import_module", start)
        return main(["strip", "a.nii"])

    assert lacking(ImportError("libtorch_cuda.so: failed to map segment from shared object", name="torch")) == 2
    assert "The memory ran out" in capsys.readouterr().err
    assert lacking(ImportError("libgomp.so.1: cannot open shared object file", name="torch._C")) == 2
    assert "does not start (libgomp.so.1" in (said := capsys.readouterr().err) and "'presimal check' says" in said
    with pytest.raises(ImportError):  # a fault of its own is shown whole
        lacking(ImportError("cannot import name 'x'", name="brainscans.reading"))


def command(arguments, **options):
    """`presimal` as a process of its own, whose output is buffered as that of a user's."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")
    call = [sys.executable, "-m", "presimal", *arguments]
    return subprocess.run(call, env=environment, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such devices and pipes")
def test_an_output_that_takes_no_more_is_said_and_one_that_was_read_enough_is_not():
    with open("/dev/full", "w") as full:
        done = command(["data"], stdout=full)
    assert done.returncode == 2 and done.stderr == "presimal: The output or a file: No space left on device.\n"
    read, write = os.pipe()
    os.close(read)
    done = command(["data"], stdout=write)
    os.close(write)
    assert done.returncode == 2 and done.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the current folder")
def test_a_current_folder_that_is_gone_is_said_to_be(tmp_path):
    (tmp_path / "gone").mkdir()
    done = command(["data"], cwd=tmp_path / "gone", preexec_fn=lambda: os.rmdir(tmp_path / "gone"))
    assert done.returncode == 2 and done.stderr == "presimal: The current folder: No such file or directory.\n"


@pytest.mark.parametrize("name", ["out.mha", "out.nrrd", "out.mgh", "out.nii.bz2", "out.NII.GZ"])
def test_an_output_of_another_kind_does_not_become_a_folder(tmp_path, capsys, name):
    assert main(["strip", "a.nii", "-o", str(tmp_path / name)]) == 2
    assert f"{name}: ends in neither .nii nor .nii.gz; call it so, or name a folder." in capsys.readouterr().err
    assert not (tmp_path / name).exists()
