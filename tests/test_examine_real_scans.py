"""The examination on real scans: its scores against closed forms, its table, and that one bad case stops nothing."""

import csv
import hashlib
import json
import os
import re
import sys
import types
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainscans.interval import Interval
from presimal.data.real_scans import SCANS, Scan
from synthcohort.storage import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import examine_real_scans as examination
from real_table import PUBLISHED, SOURCES, Case, Result, report, row

REAL = Path(os.environ.get("PRESIMAL_REALDATA", "no real scans here"))
COLUMNS = "task,name,group,files,kind,reference,labels,age"


def case(
    task="mask", name="one", files="scan.nii.gz", reference="", labels="", age="", group="a group", kind="experts"
):
    return Case(task, name, group, files, kind, reference, labels, age)


def box(start=0, value=1):
    """10 x 10 x 10 voxels with a value in 40 x 40 x 40."""
    values = np.zeros((40, 40, 40), np.uint8)
    values[10 + start : 20 + start, 10:20, 10:20] = value
    return values


def diamond():
    """A brain without thin edges, which would be taken for noise."""
    return np.abs(np.indices((40, 40, 40)) - 20).sum(0) <= 12


def save(file, values, spacing=1.0, affine=None):
    nib.save(nib.Nifti1Image(values, np.diag([spacing] * 3 + [1]) if affine is None else affine), file)


@pytest.mark.parametrize(("shift", "spacing"), [(0, 1.0), (2, 1.0), (4, 2.0), (10, 1.5), (-3, 3.0)])
def test_boxes_that_overlap_in_part(shift, spacing):
    affine = np.diag([spacing, -spacing, spacing, 1])
    result = examination.compared([box() > 0], [box(shift) > 0], affine)
    assert result.dice == (pytest.approx(1 - abs(shift) / 10),)
    assert result.ml == result.true_ml == (pytest.approx(spacing**3),)


def test_a_region_in_neither_has_no_dice_and_one_in_one_has_none_of_it():
    empty = np.zeros((40, 40, 40), bool)
    found, truth = [box() > 0, empty, box() > 0, box() > 0], [empty, empty, None, box() > 0]
    assert examination.compared(found, truth, np.eye(4)).dice == (0.0, None, None, 1.0)
    assert examination.compared(found, truth, np.eye(4)).true_ml == (0.0, 0.0, None, 1.0)
    assert examination.compared(found, [], np.eye(4)) == Result((), (1.0, 0.0, 1.0, 1.0), ())


@pytest.mark.parametrize(
    ("labels", "counts"),
    [("1,2,4", (4, 2, 1)), ("2,1,3", (4, 2, 1)), ("1+3,2,4", (4, 3, 1)), ("-,2,4", (4, 1, 1)), ("1,2,-", (4, 1, None)),
     ("-,2,-", (4, None, None))],
)  # fmt: skip
def test_regions_of_any_numbering(labels, counts):
    found = examination.regions(np.array([0, 0, 1, 2, 3, 4]), labels)
    assert tuple(None if mask is None else mask.sum() for mask in found) == counts


@pytest.mark.parametrize(
    ("gap", "spacing", "closes"), [(8, 1.0, True), (20, 1.0, False), (5, 2.0, True), (5, 3.0, False)]
)
def test_gaps_between_labels_are_closed_by_six_millimeters(gap, spacing, closes):
    labels = np.zeros((60, 40, 40), np.int16)
    labels[5:20, 5:35, 5:35], labels[20 + gap : 40 + gap, 5:35, 5:35] = 2, 41
    labels[21 + gap, 6, 6] = 3  # a third kind of tissue: no mask any more
    brain = examination.brain_of(labels, np.diag([spacing] * 3 + [1]))
    assert brain[20 + gap // 2, 20, 20] == closes and brain[30 + gap, 20, 20]
    assert brain[10, 20, 20] == closes  # else the smaller part is another piece
    assert not brain[:5].any() and not brain[:, :5].any() and not brain[40 + gap :].any()
    assert not examination.brain_of((labels > 0).astype(np.uint8), np.eye(4))[20 + gap // 2].any()  # a mask is kept


def test_a_stripped_scan_is_its_own_outline():
    values = np.where(diamond(), 80.0, -7.0)
    values[20, 20, 20] = -7.0  # dark inside
    values[35, 35, 35] = 80.0  # a crumb outside
    assert np.array_equal(examination.outline_of(values), diamond())


@pytest.fixture
def commands(monkeypatch):
    """`strip` and `segment` that answer with what is in `commands.values`, on a grid of their own, or raise it."""
    answers = types.SimpleNamespace(values=box(), affine=np.eye(4), given=None)

    def strip(scan, place):
        return None, None, write(place / "mask.nii.gz")

    def segment(given, file):
        answers.given = given
        write(file)

    def write(file):
        if isinstance(answers.values, Exception):
            raise answers.values
        save(file, answers.values, affine=answers.affine)
        return file

    monkeypatch.setattr(examination, "strip", strip)
    monkeypatch.setattr(examination, "segment", segment)
    return answers


def test_a_mask_is_compared_on_the_grid_of_its_scan(commands, tmp_path):
    save(tmp_path / "scan.nii.gz", box(value=100))
    save(tmp_path / "mask.nii.gz", box(2))
    # The same voxels, stored from right to left.
    commands.values, commands.affine = box()[::-1].copy(), np.diag([-1.0, 1, 1, 1])
    commands.affine[0, 3] = 39
    result = examination.examine(case(reference="mask.nii.gz"), tmp_path)
    assert result == Result((pytest.approx(0.8),), (1.0,), (1.0,))


def test_a_mask_is_compared_with_the_outline_of_its_scan(commands, tmp_path):
    save(tmp_path / "scan.nii.gz", diamond() * np.uint8(100))
    commands.values = diamond().astype(np.uint8)
    assert examination.examine(case(), tmp_path).dice == (1.0,)


def test_a_tumor_is_compared_region_by_region(commands, tmp_path):
    for file in ("f.nii.gz", "t.nii.gz"):
        save(tmp_path / file, box(value=100))
    truth = box(value=2)
    truth[10:15, 10:20, 10:20] = 4
    save(tmp_path / "seg.nii.gz", truth)
    commands.values = box(value=1)
    commands.values[15:20, 10:20, 10:20] = 3
    with_reference = case("tumor", files="f.nii.gz;-;t.nii.gz;-", reference="seg.nii.gz", labels="1,2,4")
    result = examination.examine(with_reference, tmp_path)
    assert result == Result((1.0, 0.0, 0.0), (1.0, 0.5, 0.5), (1.0, 0.5, 0.5))
    assert commands.given == {"flair": tmp_path / "f.nii.gz", "t1gd": tmp_path / "t.nii.gz"}
    without = examination.examine(with_reference._replace(reference="", labels=""), tmp_path)
    assert without == Result((), (1.0, 0.5, 0.5), ())


def test_an_age_is_read_with_its_interval(monkeypatch, tmp_path):
    save(tmp_path / "scan.nii.gz", box())
    found = types.SimpleNamespace(age=Interval(50.0, 40.0, 60.0))
    monkeypatch.setattr(examination, "estimate_age", lambda file: found)
    assert examination.examine(case("age", age="52"), tmp_path).age == Interval(50.0, 40.0, 60.0)
    monkeypatch.undo()
    assert examination.examine(case("age", age="52"), tmp_path).refused  # by the command itself: a box is no head


def test_what_is_no_head_should_be_refused(commands, tmp_path):
    save(tmp_path / "scan.nii.gz", box())
    assert examination.examine(case("refuse"), tmp_path) == Result()
    commands.values = DataError(f"{tmp_path}/scan.nii.gz: no head; give one.")
    assert examination.examine(case("refuse"), tmp_path) == Result(refused="scan.nii.gz: no head; give one.")


def test_the_rows_of_the_table():
    masks = [(case(name="a"), Result((0.95,), (110.0,), (100.0,))), (case(name="b"), Result((0.9,), (96.0,), (100.0,)))]
    assert row(masks)[:7] == ("mask", "a group", "2", "experts", "Dice 0.925 (0.900)", "+3.0 %", "0")
    assert "SynthStrip 0.965 (n 606) [1]" in row(masks)[7]
    refused = [*masks, (case(name="c"), Result(refused="No.")), (case(name="d"), Result(failed="Not there."))]
    assert row(refused)[2] == "3" and row(refused)[4] == "Dice 0.925 (0.900)" and row(refused)[6] == "1"
    tumor = case("tumor", reference="seg.nii.gz", labels="1,2,4")
    tumors = [(tumor, Result((0.9, 0.8, None), (9.0, 5.0, 0.0), (10.0, 4.0, 0.0)))]
    assert row(tumors)[4:6] == ("Dice 0.900 / 0.800 / –", "−10.0 % / +25.0 % / –")
    free = [(case("tumor"), Result((), (2.9, 0.0, 0.0), ())), (case("tumor"), Result((), (3.1, 0.0, 0.0), ()))]
    assert row(free)[4:] == ("none found in 1 of 2", "3.1 ml", "0", "–")
    ages = [
        (case("age", age="50"), Result(age=Interval(53.0, 45, 60))),
        (case("age", age="30"), Result(age=Interval(29, 29, 29))),
    ]
    assert row(ages)[4:6] == ("MAE 2.0 y (3.0)", "+1.0 y; 50% inside")
    young = [(case("age", age="19-34"), Result(age=Interval(age, 0, 99))) for age in (18.0, 19.0, 34.0, 35.0)]
    assert row(young)[4:6] == ("2 of 4 within 19-34 y", "–")
    strange = [(case("refuse", name="ball"), Result()), (case("refuse", name="fish"), Result(refused="No."))]
    assert row(strange)[2:7] == ("2", "experts", "accepted: ball", "–", "1")
    assert row([(case(), Result(refused="No."))])[4:7] == ("–", "–", "1")
    assert row([(case(), Result(failed="Not there."))])[2:7] == ("0", "experts", "–", "–", "0")


def test_the_report_names_the_worst_and_what_went_wrong():
    good, bad = Result((0.95,), (1.0,), (1.0,)), Result((0.85,), (1.0,), (1.0,))
    said = report(
        [(case(name="a"), good), (case(name="b", group="others"), bad), (case(name="c"), Result(failed="Gone."))]
    )
    lines = [line for line in said.splitlines() if line.startswith("|")]
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1
    assert "Worst brain: b, Dice 0.850." in said and "Not examined: mask c: Gone." in said
    assert re.search(r"\d{4}-\d\d-\d\d, version \d+\.\d+\.\d+\. No network was trained on these", said)
    assert "numbers flatter" in said
    named = [source.split()[0] in said for source in SOURCES.values()]
    assert named == [True, True, False, False]  # those of the rows
    marks = set(re.findall(r"\[\d\]", "".join(PUBLISHED.values())))
    assert marks == set(SOURCES) and all(mark in said for mark in ("[1]", "[2]"))


@pytest.fixture
def examined(monkeypatch, tmp_path, capsys, commands):
    """Runs the script on cases (rows of text), in a folder with scan.nii.gz: exit status, what it printed, its JSON."""
    save(tmp_path / "scan.nii.gz", diamond() * np.uint8(100))
    commands.values = diamond().astype(np.uint8)

    def run(*rows, options=()):
        (tmp_path / "cases.csv").write_text("\n".join([COLUMNS, *rows, ""]))
        monkeypatch.setattr(examination, "CASES", tmp_path / "cases.csv")
        kept = tmp_path / "all.json"
        status = examination.main(["--folder", str(tmp_path), "--json", str(kept), *options])
        return status, capsys.readouterr().out, json.loads(kept.read_text())

    return run


def test_one_bad_case_does_not_stop_the_rest(examined, monkeypatch, tmp_path):
    (tmp_path / "other.nii.gz").write_bytes(b"another")
    listed = Scan("other.nii.gz", "me/it/0/other", hashlib.sha256(b"as published").hexdigest(), 7, "CC0", "us")
    monkeypatch.setitem(SCANS, "other.nii.gz", listed)
    (tmp_path / "half.nii.gz").write_bytes((tmp_path / "scan.nii.gz").read_bytes()[:50])
    rows = [f"mask,{name},all,{name}.nii.gz,outline,,," for name in ("gone", "other", "half", "scan")]
    status, said, kept = examined(*rows)
    assert status == 1 and kept["mask/scan"]["dice"] == [1.0]
    assert kept["mask/gone"]["failed"] == "gone.nii.gz is not there"
    assert kept["mask/other"]["failed"] == "other.nii.gz does not have its published checksum"
    assert kept["mask/half"]["failed"] or kept["mask/half"]["refused"]
    assert str(tmp_path) not in said and said.count("\n\nNot examined") >= 2


def test_only_the_task_asked_for(examined):
    rows = ["mask,a,all,scan.nii.gz,outline,,,", "refuse,b,all,scan.nii.gz,no head,,,"]
    assert [list(examined(*rows, options=options)[2]) for options in ((), ("--task", "mask"))] == [
        ["mask/a", "refuse/b"],
        ["mask/a"],
    ]


def test_ages_have_their_rows(examined, monkeypatch):
    rows = ["age,a,all,scan.nii.gz,age known,,,50", "mask,a,all,scan.nii.gz,outline,,,"]
    found = types.SimpleNamespace(age=Interval(44.0, 40.0, 48.0))
    monkeypatch.setattr(examination, "estimate_age", lambda file: found)
    status, said, kept = examined(*rows)
    assert status == 0 and list(kept) == ["age/a", "mask/a"]
    assert "MAE 6.0 y (6.0)" in said and kept["age/a"]["age"] == [44.0, 40.0, 48.0]


def test_without_scans_and_without_a_word_it_fetches_nothing(monkeypatch, capsys, data_home):
    assert examination.main(["--task", "refuse"]) == 2
    said = capsys.readouterr()
    assert "Nothing is downloaded without your word" in said.err and "CC BY-NC-SA 3.0" in said.out


def test_the_cases_are_of_the_listed_scans_and_use_them_all():
    with examination.CASES.open(encoding="utf-8", newline="") as file:
        cases = [Case(**line) for line in csv.DictReader(file)]
    used = {name for one in cases for name in (*one.scans(), one.reference)} - {"", "-"}
    assert used == set(SCANS)
    assert len({(one.task, one.name) for one in cases}) == len(cases)
    for one in cases:
        assert one.task in examination.EXAMINE and one.kind and one.group
        assert (len(one.scans()), bool(one.labels)) == ((4, bool(one.reference)) if one.task == "tumor" else (1, False))
        assert bool(one.age) == (one.task == "age") and re.fullmatch(r"([\d.]+(-\d+)?)?", one.age)


@pytest.mark.skipif(not (REAL / "ixi").is_dir(), reason="PRESIMAL_REALDATA names no folder of real scans")
def test_two_real_cases(monkeypatch, tmp_path, capsys):
    listed = [line for line in examination.CASES.read_text(encoding="utf-8").splitlines()
              if line.startswith((COLUMNS, "mask,IXI012,", "refuse,labels,"))]  # fmt: skip
    (tmp_path / "cases.csv").write_text("\n".join(listed) + "\n")
    monkeypatch.setattr(examination, "CASES", tmp_path / "cases.csv")
    assert examination.main(["--folder", str(REAL), "--json", str(tmp_path / "all.json")]) == 0
    kept = json.loads((tmp_path / "all.json").read_text())
    assert kept["mask/IXI012"]["dice"][0] > 0.94 and kept["refuse/labels"]["refused"]
    assert "| mask | T1, adults 24-51 y | 1 | algorithm | Dice 0.9" in capsys.readouterr().out
