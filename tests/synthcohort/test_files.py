"""The cohort on disk: readable by others, resumed after anything, never silently stale."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from synthcohort import Cohort, files, storage
from synthcohort.storage import DataError

MM = 16.0  # the coarsest, where only the files matter


def ensure(count=3, name="brain_age", spacing=MM, seed=0):
    return files.ensure(name, count, spacing, seed, progress=False)


def home_of(data):
    (home,) = data.glob("cohort-8mm-seed0-*")
    return home


def stamps(folder):
    return {str(f.relative_to(folder)): f.stat().st_mtime_ns for f in folder.rglob("*.nii.gz")}


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def read_csv(folder, name):
    return pd.read_csv(folder / name)


# What is written


@pytest.mark.parametrize(
    ("name", "pattern", "shape", "space"),
    [
        ("brain_age", "T1_images/*.nii.gz", (20, 24, 20), 2),
        ("brain_age/../Task01_BrainTumour", "imagesTr/*.nii.gz", (20, 24, 20, 4), 2),
        ("brain_age/../Task01_BrainTumour", "labelsTr/*.nii.gz", (20, 24, 20), 2),
        ("heads", "image/*.nii.gz", (24, 28, 24), 1),
        ("heads", "label/*.nii.gz", (24, 28, 24), 1),
    ],
)
def test_headers_say_where_the_voxels_are(tiny_data, name, pattern, shape, space):
    found = sorted((home_of(tiny_data) / name).glob(pattern))
    assert len(found) == 6
    for file in found:
        image = nib.load(file)
        assert image.shape == shape
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
        assert image.header.get_zooms()[:3] == (8, 8, 8)
        assert image.header.get_xyzt_units()[0] == "mm"
        assert image.header["sform_code"] == image.header["qform_code"] == space
        assert np.allclose(image.get_qform(), image.get_sform())
        center = image.affine @ [*(np.array(shape[:3]) / 2 - 0.5), 1]
        assert np.abs(center[:3]).max() < 40  # mm: the brain is about the origin, as in MNI space


def test_images_are_those_of_the_generator(tiny_data):
    folder = home_of(tiny_data) / "Task01_BrainTumour"
    batch = Cohort(0).render([4], "tumor", 8.0, ("flair", "t1", "t1gd", "t2"))
    image = nib.load(folder / "imagesTr/tumor-0004.nii.gz")
    stored = np.moveaxis(np.asarray(image.dataobj), -1, 0) / files.SCALE
    assert np.abs(stored - batch.images[0].numpy()).max() <= 0.5 / files.SCALE + 1e-6
    assert np.array_equal(nib.load(folder / "labelsTr/tumor-0004.nii.gz").dataobj, batch.labels[0])
    assert np.allclose(image.affine, batch.affine)


def test_what_is_too_bright_to_store_is_the_brightest(tmp_path):
    batch = Cohort(0).render([0], "brain", MM)
    batch.images[0, 0, :2, 0, 0] = torch.tensor([32.0, 99.0])
    files._write_people(tmp_path, files.SETS["brain_age"], batch, 0)
    stored = np.asarray(nib.load(tmp_path / "T1_images/brain-0000-T1.nii.gz").dataobj)
    assert stored[:2, 0, 0].tolist() == [32000, 32767] and stored.min() >= 0


def test_tables_are_those_of_the_real_sets(tiny_data):
    home = home_of(tiny_data)
    brains = read_csv(home, "brain_age/dataset.csv")
    assert set(brains) == {"t1_path", "subject_id", "gender", "age_at_scan", "site"}
    assert all((home / "brain_age" / path).is_file() for path in brains.t1_path)
    listed = json.loads((home / "Task01_BrainTumour/dataset.json").read_text())
    assert list(listed["modality"].values()) == ["FLAIR", "T1w", "t1gd", "T2w"]
    assert [listed["labels"][k][:5] for k in "123"] == ["edema", "non-e", "enhan"]
    assert listed["numTraining"] == len(listed["training"]) == 6 and listed["tensorImageSize"] == "4D"
    assert {"karnofsky", "months", "died"} <= set(read_csv(home, "Task01_BrainTumour/clinical.csv"))


def test_the_truth_is_kept_apart(tiny_data):
    allowed = {"brain_age": "dataset.csv", "Task01_BrainTumour": "clinical.csv", "heads": "dataset.csv"}
    for name, used in allowed.items():
        folder = home_of(tiny_data) / name
        truth = read_csv(folder, "truth.csv")
        assert {"subject_id", "biological_age", "measured_tiv_ml", "measured_fraction"} <= set(truth)
        assert "number" not in truth
        assert set(truth) & set(read_csv(folder, used)) == {"subject_id"}
        assert truth.measured_tiv_ml.between(900, 2100).all()


def test_monai_reads_the_tumors(tiny_data):
    from monai.apps import DecathlonDataset

    parts = [
        DecathlonDataset(home_of(tiny_data), "Task01_BrainTumour", section, download=False, cache_rate=0)
        for section in ("training", "validation")
    ]
    assert sorted(len(part) for part in parts) == [1, 5]
    case = parts[0][0]
    assert case["image"].shape == (20, 24, 20, 4) and case["label"].shape == (20, 24, 20)
    assert set(np.unique(case["label"])) <= {0, 1, 2, 3} and case["label"].max() > 0
    assert np.allclose(np.diag(case["image"].affine)[:3], 8)


def test_fastmonai_reads_brains_and_heads(tiny_data):
    from fastMONAI.dataset_info import MedDataset

    home = home_of(tiny_data)
    table = read_csv(home, "brain_age/dataset.csv")
    table["t1_path"] = [str(home / "brain_age" / path) for path in table.t1_path]
    brains = MedDataset(dataframe=table, mask_col="t1_path", use_cache=False)
    heads = MedDataset(path=str(home / "heads/image"), use_cache=False)
    for found in (brains, heads):
        assert not found.failed_files
        (row,) = found.summary().to_dict("records")
        assert row["total"] == 6 and row["voxel_0"] == 8 and row["orientation"] == "RAS+"


# Made once, resumed, checked


def test_what_is_there_stays_and_more_people_are_added(data_home):
    folder = ensure(3)
    before = stamps(folder)
    assert ensure(3) == folder and stamps(folder) == before
    ensure(2)
    assert stamps(folder) == before and len(read_csv(folder, "dataset.csv")) == 3
    ensure(5)
    after = stamps(folder)
    assert len(after) == len(read_csv(folder, "dataset.csv")) == len(read_csv(folder, "truth.csv")) == 5
    assert {name: after[name] for name in before} == before


def test_a_damaged_image_is_made_again_and_only_that(data_home):
    folder = ensure(3)
    good, before = contents(folder), stamps(folder)
    damaged = "T1_images/brain-0001-T1.nii.gz"
    content = bytearray((folder / damaged).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / damaged).write_bytes(content)
    ensure(3)
    assert contents(folder) == good
    assert {name for name, stamp in stamps(folder).items() if stamp != before[name]} == {damaged}


@pytest.mark.parametrize("name", ["T1_images/brain-0002-T1.nii.gz", "dataset.csv", "truth.csv"])
def test_a_missing_or_edited_file_is_made_again(data_home, name):
    folder = ensure(3)
    good = contents(folder)
    (folder / name).unlink()
    ensure(3)
    assert contents(folder) == good
    (folder / name).write_text("edited")
    ensure(3)
    assert contents(folder) == good


def test_what_another_generator_made_lies_elsewhere_and_stays(data_home, monkeypatch):
    folder = ensure(2)
    before = stamps(folder)
    monkeypatch.setattr(files, "generator_version", lambda: "another")
    other = ensure(2)
    assert other.parent.name == "cohort-16mm-seed0-another" and len(stamps(other)) == 2
    assert stamps(folder) == before


def test_the_version_follows_the_code_and_the_settings_but_not_comments(tmp_path, monkeypatch):
    def version(source, **settings):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / "a.py").write_text(source)
        storage._code.cache_clear()
        return storage.digest(tmp_path, settings)

    assert version("x = 1") == version("x = 1  # one") != version("x = 2")
    assert version("x = 1") != version("x = 1", warp=0)
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "b.py").write_text("y = 1")
    storage._code.cache_clear()
    assert storage.digest(tmp_path, {}, without=("aside",)) == version_without_aside(tmp_path)


def version_without_aside(folder):
    (folder / "aside" / "b.py").unlink()
    storage._code.cache_clear()
    return storage.digest(folder, {})


@pytest.mark.parametrize("spoiled", ["", "{", "[]", '{"people": {}}', None])
def test_without_a_manifest_nothing_is_trusted(data_home, spoiled):
    folder = ensure(2)
    before = stamps(folder)
    if spoiled is None:
        (folder / files.MANIFEST).unlink()
    else:
        (folder / files.MANIFEST).write_text(spoiled)
    ensure(2)
    assert all(stamp != before[name] for name, stamp in stamps(folder).items())


def test_other_settings_are_another_cohort(data_home):
    folders = {ensure(1), ensure(1, seed=1), ensure(1, spacing=12.0), ensure(1, "heads")}
    assert len(folders) == 4
    first, second = (read_csv(ensure(1, seed=seed), "dataset.csv").age_at_scan[0] for seed in (0, 1))
    assert first != second


def start(code, home, *arguments):
    environment = os.environ | {"PRESIMAL_DATA": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a signal that cannot be caught")
def test_killed_and_started_again_it_goes_on_where_it_was(data_home):
    folder = files.set_folder("tumors", MM)
    code = f"from synthcohort import files; files.BATCH = 4; files.ensure('tumors', 400, {MM})"
    process = start(code, data_home)
    waited = time.monotonic()
    while len(files.read_manifest(folder).people) < 8 and time.monotonic() - waited < 60:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    half = folder / "imagesTr" / ".tumor-0399.nii.gz.1.part"
    half.write_bytes(b"half a file")
    done = [name for entry in files.read_manifest(folder).people.values() for name in entry.files]
    before = stamps(folder)
    count = len(done) // 2 + 4
    assert 16 <= len(done) < 800  # killed in the middle
    ensure(count, "tumors")
    after = stamps(folder)
    assert all(after[name] == before[name] for name in done)
    assert not half.exists() and len(read_csv(folder, "clinical.csv")) == count
    assert all(nib.load(folder / name).get_fdata().size for name in after)


def test_two_processes_make_it_once(data_home):
    code = f"""
import sys, time
from pathlib import Path
from synthcohort import files
home, made, whole = Path({str(data_home)!r}), files._write_people, files._make
def logged(folder, layout, batch, seed):
    with open(home / "log", "a") as log:
        log.write("".join(f"{{n}}\\n" for n in batch.numbers))
    time.sleep(0.5)
    return made(folder, layout, batch, seed)
def counted(*arguments):
    (home / ("made by " + sys.argv[1])).touch()
    whole(*arguments)
files._write_people, files._make = logged, counted
(home / sys.argv[1]).touch()
while len(list(home.glob("ready*"))) < 2:
    time.sleep(0.01)
print(files.ensure("brain_age", 20, {MM}, progress=False))
"""
    both = [start(code, data_home, f"ready{k}") for k in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert all(process.returncode == 0 for process in both)
    assert sorted(map(int, (data_home / "log").read_text().split())) == list(range(20))
    assert sum("waiting for it" in text for text in said) == 1
    assert len(list(data_home.glob("made by*"))) == 1


@pytest.mark.parametrize("after", [0, 1, 3, 4, 5])
def test_a_full_disk_says_so_and_leaves_no_half_file(data_home, monkeypatch, after):
    """Files are written in the order: three images, manifest, two tables, manifest."""
    onto_disk, written = os.fsync, []

    def full(number):
        if len(written) == after:
            os.ftruncate(number, 7)
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(number)
        onto_disk(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="disk of .*brain_age is full: free some space") as refused:
        ensure(3)
    assert str(refused.value).count(". ") == 0
    monkeypatch.setattr(os, "fsync", onto_disk)
    folder = files.set_folder("brain_age", MM)
    assert not list(folder.rglob("*.part"))
    assert all(nib.load(file).get_fdata().size for file in folder.rglob("*.nii.gz"))
    good = len(files.read_manifest(folder).people)
    before = stamps(folder)
    ensure(3)
    assert len(stamps(folder)) == 3 and (good == 0 or stamps(folder) == before)


def test_stopped_before_the_tables_it_does_not_keep_the_old_ones(data_home, monkeypatch):
    folder = ensure(2)
    write = files.write_atomically

    def stopped(path, content):
        if path.name == "dataset.csv":
            raise KeyboardInterrupt
        return write(path, content)

    monkeypatch.setattr(files, "write_atomically", stopped)
    with pytest.raises(KeyboardInterrupt):
        ensure(4)
    monkeypatch.setattr(files, "write_atomically", write)
    assert len(stamps(folder)) == 4 and len(read_csv(folder, "dataset.csv")) == 2
    ensure(4)
    assert len(read_csv(folder, "dataset.csv")) == 4


def test_a_disk_that_fills_while_the_template_is_written(data_home, monkeypatch):
    def full(*arguments):
        raise RuntimeError("I/O error: No space left on device (os error 28)")  # as safetensors says it

    monkeypatch.setattr(files, "Cohort", full)
    with pytest.raises(DataError, match="is full"):
        ensure(1)


def test_a_folder_that_cannot_be_written_says_so(data_home, monkeypatch):
    def refused(number):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(DataError, match="cannot be written: set PRESIMAL_DATA"):
        ensure(1)


def test_an_error_of_the_generator_is_not_blamed_on_the_disk(data_home, monkeypatch):
    monkeypatch.setattr(files, "Cohort", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ensure(1)


def test_a_complete_cohort_is_used_without_writing_anything(data_home, monkeypatch):
    """So that a class can share a read-only folder."""
    folder = ensure(2)
    monkeypatch.setattr(files, "lock", lambda folder: 1 / 0)
    monkeypatch.setattr(files, "write_atomically", lambda *arguments: 1 / 0)
    assert ensure(2) == folder


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"count": 0}, "subjects"),
        ({"spacing": 0.1}, "spacing"),
        ({"spacing": 17.0}, "spacing"),
        ({"name": "cats"}, "cats"),
    ],
)
def test_what_makes_no_sense_is_refused(data_home, options, problem):
    with pytest.raises(DataError, match=problem):
        ensure(**options)
