"""`presimal data`: lists, makes, downloads, checks."""

import json
import shutil
from functools import partial

import pytest

from presimal.cli import main
from presimal.data import downloads
from synthcohort import files


@pytest.fixture
def home(tiny_data, monkeypatch):
    monkeypatch.setenv("PRESIMAL_DATA", str(tiny_data))
    return tiny_data


def test_the_list_says_what_is_there_and_what_could_be(home, capsys, monkeypatch):
    (home / "msd.unfinished").mkdir(exist_ok=True)
    assert main(["data"]) == 0
    said = capsys.readouterr().out
    assert str(home) in said and "PRESIMAL_DATA" in said
    for folder in ("brain_age", "Task01_BrainTumour", "heads"):
        assert f"cohort-8mm-seed0-{files.generator_version()}/{folder} " in said
    assert said.count("6 people\n") == 3 and "continued when you ask" in said
    for name in downloads.DOWNLOADS:
        assert f"presimal data {name} " in said
    monkeypatch.setattr(files, "generator_version", lambda: "newer")
    main(["data"])
    assert capsys.readouterr().out.count("6 people, of an older version: it can be deleted\n") == 3
    (home / "msd.unfinished").rmdir()


def test_a_set_without_its_tables_is_unfinished(tmp_path, monkeypatch, capsys):
    """As a process leaves it that was stopped between two saves."""
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path))
    folder = files.set_folder("heads", 4.0)
    folder.mkdir(parents=True)
    for tables, state in (({}, "2 people, unfinished\n"), ({"dataset.csv": "0"}, "2 people\n")):
        people = {number: {"files": {}, "volumes": {}} for number in ("0", "1")}
        (folder / files.MANIFEST).write_text(json.dumps({"people": people, "tables": tables}))
        assert main(["data"]) == 0
        assert state in capsys.readouterr().out


def test_an_empty_data_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path / "none"))
    assert main(["data"]) == 0
    assert "presimal data cohort" in capsys.readouterr().out


def test_it_makes_the_sets_asked_for(data_home, capsys, monkeypatch):
    monkeypatch.setattr(files, "tqdm", partial(files.tqdm, mininterval=0))  # shown however fast it is
    options = ["--set", "brain_age", "--set", "heads", "--subjects", "2", "--spacing", "16", "--seed", "3"]
    assert main(["data", "cohort", *options]) == 0
    said = capsys.readouterr()
    assert said.out.count("    2 people") == 2 and "2/2 [" in said.err and "<" in said.err  # time left
    made = data_home / f"cohort-16mm-seed3-{files.generator_version()}"
    assert {folder.name for folder in made.iterdir() if folder.is_dir()} == {"brain_age", "heads"}


def test_it_downloads_when_told_so(data_home, capsys, monkeypatch):
    def prepare(folder):
        made = folder / "set"
        tiny = files.ensure("heads", 6, 16.0, progress=False)
        tiny.rename(made)
        return made

    wanted = downloads.Download("Heads", "CC", "here", 0.1, 0.1, prepare)
    monkeypatch.setitem(downloads.DOWNLOADS, "ixi-tiny", wanted)
    assert main(["data", "ixi-tiny"]) == 2
    assert "presimal: Nothing is downloaded without your word" in capsys.readouterr().err
    assert main(["data", "ixi-tiny", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "license      CC" in said
    assert "brain_age  6 scans of 6 subjects: 4 train" in said and "heads      6 scans" in said
    assert main(["data", "ixi-tiny", "--set", "heads"]) == 0
    assert "brain_age" not in capsys.readouterr().out
    assert main(["data"]) == 0
    assert "complete" in capsys.readouterr().out


def test_it_checks_a_folder(home, capsys, tmp_path):
    folder = str(files.set_folder("tumors", 8.0))
    assert main(["data", folder]) == 0
    assert capsys.readouterr().out == "tumors     6 scans of 6 subjects: 4 train, 1 valid, 1 test\n"
    assert main(["data", folder, "--set", "heads"]) == 2
    assert "holds no .nii.gz file" in capsys.readouterr().err
    assert main(["data", str(tmp_path)]) == 2
    assert "holds no dataset.csv" in capsys.readouterr().err


def test_a_data_folder_that_is_none_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path / "file"))
    for wanted in (["cohort"], ["ixi", "--yes"]):
        assert main(["data", *wanted]) == 2
        said = capsys.readouterr().err
        assert "cannot be written: set PRESIMAL_DATA" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("wrong", [["nowhere"], ["cohort", "--subjects", "0"], ["cohort", "--spacing", "99"]])
def test_what_makes_no_sense_is_one_sentence(data_home, capsys, wrong):
    assert main(["data", *wrong]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_voxel_size_that_differs_in_the_last_digit_has_a_folder_of_its_own(tmp_path):
    names = {files.set_folder("heads", size, root=tmp_path) for size in (4, 4.0, 4.0000001, 3.9999999, 2.5)}
    assert len(names) == 4 and "cohort-4mm-" in str(files.set_folder("heads", 4.0)) + str(files.set_folder("heads", 4))


@pytest.mark.parametrize("subjects", [0, -1, 10**6, 10**30])
def test_more_people_than_anybody_needs_are_refused_at_once(data_home, capsys, subjects):
    assert main(["data", "cohort", "--subjects", str(subjects)]) == 2
    assert "subjects must be 1 to 100000" in capsys.readouterr().err


@pytest.mark.parametrize(
    "manifest", ["[]", "5", '{"people": 5, "tables": []}', '{"people": {}, "tables": 7}', "[" * 10**5]
)
def test_a_manifest_of_any_content_is_made_anew(tiny_data, data_home, manifest):
    folder = files.set_folder("heads", 8.0)
    shutil.copytree(tiny_data / folder.relative_to(data_home), folder)
    whole = (folder / files.MANIFEST).read_bytes()
    (folder / files.MANIFEST).write_text(manifest)
    assert main(["data"]) == 0
    files.ensure("heads", 6, 8.0, progress=False)
    assert (folder / files.MANIFEST).read_bytes() == whole


def test_a_home_of_nobody_is_one_sentence(home, capsys):
    assert main(["data", "~nosuchuser/scans"]) == 2
    assert "'~nosuchuser/scans' is neither a data set" in capsys.readouterr().err
