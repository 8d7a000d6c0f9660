"""The door through which images go out: complete or not there, together, with the geometry of the scan, in time."""

import errno
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainscans import age as brain_age
from brainscans import skull_stripping, tumor_segmentation, writing
from brainscans.interval import Interval
from brainscans.skull_stripping import strip
from brainscans.writing import check_place, image_like, write, write_files
from presimal.cli import main
from synthcohort.storage import DataError

LONG = os.environ.get("PRESIMAL_LONG_TESTS") == "1"
SOURCE = str(Path(__file__).parents[1] / "src")
SHAPE = (9, 12, 11)
VALUES = np.random.default_rng(0).integers(1, 900, SHAPE).astype(np.int16)
AFFINE = np.array([[-2.0, 0.1, 0, 9], [0.1, 2, 0, -11], [0, 0, 2.5, 4], [0, 0, 0, 1]])
unix = pytest.mark.skipif(os.name == "nt", reason="Windows has other words and rights, and replaces no open file")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can change its rights")


def found_brain(volume, affine, *_):
    """In place of the network: what is brighter than half the brightest is brain."""
    mask = volume.numpy() > float(volume.max()) / 2
    return skull_stripping.BrainMask(mask, 1234.5, 0.99)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(skull_stripping, "find_brain", found_brain)


def stored(file, values=VALUES, kind=nib.Nifti1Image, slope=None, codes=(1, 2), order="<"):
    image = kind(values, AFFINE)
    if isinstance(image, nib.Nifti1Pair):
        image = kind(values, AFFINE, image.header.as_byteswapped(order))
        image.set_qform(AFFINE, codes[0])
        image.set_sform(AFFINE, codes[1])
        image.header["xyzt_units"] = 10
        if slope:
            image.header.set_slope_inter(*slope)
    nib.save(image, file)
    return file


# Geometry and values

GEOMETRY = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
GEOMETRY += ("srow_x", "srow_y", "srow_z", "xyzt_units")
KINDS = {
    "NIfTI": (nib.Nifti1Image, "a.nii", {}),
    "compressed": (nib.Nifti1Image, "a.nii.gz", {}),
    "big-endian": (nib.Nifti1Image, "a.nii.gz", {"order": ">"}),
    "qform only": (nib.Nifti1Image, "a.nii.gz", {"codes": (1, 0)}),
    "sform only": (nib.Nifti1Image, "a.nii.gz", {"codes": (0, 4)}),
    "NIfTI-2": (nib.Nifti2Image, "a.nii.gz", {}),
    "pair": (nib.Nifti1Pair, "a.img", {}),
    "scaled": (nib.Nifti1Image, "a.nii.gz", {"slope": (0.25, -40)}),
    "scaled pair": (nib.Nifti1Pair, "a.hdr", {"slope": (2.5, 10)}),
    "negative slope": (nib.Nifti1Image, "a.nii", {"slope": (-0.5, 700)}),
    "FreeSurfer": (nib.MGHImage, "a.mgz", {}),
    "one volume of four dimensions": (nib.Nifti1Image, "a.nii.gz", {"values": VALUES[..., None]}),
    "five dimensions": (nib.Nifti1Image, "a.nii.gz", {"values": VALUES[..., None, None]}),
    "unsigned": (nib.Nifti1Image, "a.nii.gz", {"values": VALUES.astype(np.uint16)}),
    "bytes": (nib.Nifti1Image, "a.nii.gz", {"values": (VALUES // 4).astype(np.uint8)}),
    "floats": (nib.Nifti1Image, "a.nii.gz", {"values": VALUES.astype(np.float64) / 7}),
}


@pytest.mark.parametrize("name", KINDS)
def test_mask_and_brain_have_the_geometry_and_the_values_of_the_scan(tmp_path, quick, name):
    kind, file, options = KINDS[name]
    scan = stored(tmp_path / file, kind=kind, **options)
    _, brain_file, mask_file = strip(scan)
    source, brain, mask = (nib.load(one) for one in (scan, brain_file, mask_file))
    assert source.shape == brain.shape == mask.shape
    if isinstance(source, nib.Nifti1Pair):
        for field in GEOMETRY:
            assert source.header[field].tobytes() == brain.header[field].tobytes() == mask.header[field].tobytes()
        assert np.array_equal(source.header["pixdim"][:4], brain.header["pixdim"][:4])
        assert source.header.endianness == brain.header.endianness and type(brain.header) is type(mask.header)
    assert np.allclose(source.affine, brain.affine, atol=1e-5) and np.allclose(source.affine, mask.affine, atol=1e-5)
    values, inside = np.asarray(source.dataobj, float), np.asarray(mask.dataobj) > 0
    assert brain.get_data_dtype().newbyteorder("=") == source.get_data_dtype().newbyteorder("=")
    assert mask.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(brain.dataobj, float)[inside], values[inside])
    assert np.abs(np.asarray(brain.dataobj, float)[~inside]).max() < 1  # 0, as far as its scale has it
    assert 0 < inside.sum() < inside.size and set(np.unique(mask.dataobj)) == {0, 1}


@pytest.mark.parametrize("theirs", [["a_mask.nii.gz", "a_brain.nii.gz"], ["a_brain.nii.gz"], ["a_mask.nii.gz"]])
def test_what_appears_while_it_is_computed_is_not_overwritten(tmp_path, monkeypatch, theirs):
    def slowly(*given):
        for name in theirs:
            (tmp_path / name).write_bytes(b"theirs")
        return found_brain(*given)

    monkeypatch.setattr(skull_stripping, "find_brain", slowly)
    scan = stored(tmp_path / "a.nii.gz")
    assert "has appeared meanwhile, and nothing is overwritten; move it, or" in refusal(lambda: strip(scan))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["a.nii.gz", *theirs])
    assert all((tmp_path / name).read_bytes() == b"theirs" for name in theirs)


@pytest.mark.parametrize("count", [1, 2])
def test_of_two_that_write_the_same_files_the_second_is_told_so(tmp_path, monkeypatch, count):
    image = image_like(VALUES, stored(tmp_path / "scan.nii"))
    files = [tmp_path / name for name in ("a.nii", "b.nii.gz")[:count]]

    def after_another(contents, new=()):
        monkeypatch.undo()
        write(dict.fromkeys(files, image))
        write_files(contents, new)

    monkeypatch.setattr(writing, "write_files", after_another)
    assert f"{files[0]}: has appeared meanwhile" in refusal(lambda: write(dict.fromkeys(files, image)))
    assert sorted(tmp_path.iterdir()) == [*files, tmp_path / "scan.nii"]


def test_the_same_scan_gives_the_same_bytes(tmp_path, quick):
    scan = stored(tmp_path / "a.nii.gz")
    one = [file.read_bytes() for file in strip(scan, tmp_path / "one")[1:]]
    assert one == [file.read_bytes() for file in strip(scan, tmp_path / "other")[1:]]


# Places, before anything is computed


def refusal(action):
    with pytest.raises(DataError) as refused:
        action()
    said = str(refused.value)
    assert "; " in said and said.endswith(".") and "\n" not in said and not said.startswith("[Errno")
    return said


def file_in_the_way(folder):
    (folder / "file").write_text("x")
    return folder / "file" / "out.nii.gz"


def there(folder):
    (folder / "out.nii.gz").write_bytes(b"mine")
    return folder / "out.nii.gz"


def dangling(folder):
    (folder / "out.nii.gz").symlink_to(folder / "nowhere")
    return folder / "out.nii.gz"


def loop(folder):
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop" / "out.nii.gz"


def folder_there(folder):
    (folder / "out.nii.gz").mkdir()
    return folder / "out.nii.gz"


PLACES = {
    "another ending": (lambda folder: folder / "out.mgz", "ends in neither"),
    "NRRD": (lambda folder: folder / "out.nrrd", "ends in neither"),
    "no ending": (lambda folder: folder / "out", "ends in neither"),
    "no name": (lambda folder: folder / ".nii.gz", "has an ending and no name, which hides it"),
    "taken": (there, "is there already"),
    "a link to nowhere": (dangling, "is there already"),
    "taken by a folder": (folder_there, "is there already"),
    "a file for a folder": (file_in_the_way, "cannot be written (Not a directory)"),
    "a name too long": (lambda folder: folder / ("a" * 240 + ".nii.gz"), "cannot be written (its name is too long)"),
    "a path too long": (lambda folder: Path(f"{folder}{500 * '/aaaaaaaaa'}/out.nii"), "cannot be written (File name"),
    "a link to itself for a folder": (loop, "cannot be written (Too many levels of symbolic links)"),
    "a zero in the name": (lambda folder: folder / "o\0ut.nii.gz", "cannot be written (embedded null"),
}  # fmt: skip


@unix
@pytest.mark.parametrize("name", PLACES)
def test_a_place_that_will_not_do_is_refused_before_the_network_runs(tmp_path, monkeypatch, name):
    make, words = PLACES[name]
    out = make(tmp_path)
    nobody = lambda *_, **__: pytest.fail("computed first")  # noqa: E731
    monkeypatch.setattr(skull_stripping, "find_brain", nobody)
    monkeypatch.setattr(tumor_segmentation, "find_tumor", nobody)
    monkeypatch.setattr(tumor_segmentation, "read_contrasts", nobody)
    before = sorted(tmp_path.rglob("*"))
    assert words in refusal(lambda: tumor_segmentation.segment([tmp_path / "a.nii"] * 4, out))
    if out.name.endswith(writing.ENDINGS):
        stored(tmp_path / "scan.nii")
        assert words in refusal(lambda: strip(tmp_path / "scan.nii", out))
        (tmp_path / "scan.nii").unlink()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_is_seen_before(tmp_path, monkeypatch):
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    assert "does not fit on its disk; free some space" in refusal(lambda: check_place(tmp_path / "a.nii", 2000))
    check_place(tmp_path / "a.nii", 900)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_while_writing_leaves_nothing(tmp_path, quick, monkeypatch, number):
    scan, calls = stored(tmp_path / "a.nii.gz"), []

    def fails(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:  # the second of the two files
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    said = refusal(lambda: strip(scan))
    assert f"a_mask.nii.gz: cannot be written ({os.strerror(number)}); free some space, or" in said
    assert [file.name for file in tmp_path.iterdir()] == ["a.nii.gz"]
    assert main(["strip", str(tmp_path)]) == 0 and len(list(tmp_path.iterdir())) == 3


@unix
def test_no_planted_link_is_followed(tmp_path, monkeypatch):
    """A name that could be guessed would let somebody else choose which file is overwritten."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda count: "0" * 2 * count)
    out = tmp_path / "a.nii"
    (tmp_path / f".a.nii.{'0' * 8}.part").symlink_to(victim)
    refusal(lambda: write({out: nib.Nifti1Image(VALUES, AFFINE)}))
    assert victim.read_text() == "precious" and not out.exists()


# A pair counts only as a pair


@pytest.mark.parametrize("missing", ["brain", "mask"])
def test_half_a_pair_of_ours_is_made_whole_and_one_of_others_is_not_touched(tmp_path, quick, missing, capsys):
    stored(tmp_path / "a.nii.gz")
    strip(tmp_path / "a.nii.gz")
    whole = {file: file.read_bytes() for file in tmp_path.glob("a_*")}
    lost = tmp_path / f"a_{missing}.nii.gz"
    lost.unlink()
    assert main(["strip", str(tmp_path)]) == 0
    assert {file: file.read_bytes() for file in tmp_path.glob("a_*")} == whole
    kept = tmp_path / f"a_{'mask' if missing == 'brain' else 'brain'}.nii.gz"
    lost.unlink()
    stored(kept)
    theirs = kept.read_bytes()
    capsys.readouterr()
    assert main(["strip", str(tmp_path)]) == 1
    assert "is there already, and nothing is overwritten" in capsys.readouterr().err
    assert kept.read_bytes() == theirs and not lost.exists()


# The command


def test_one_bad_file_never_stops_a_folder_whatever_it_raises(tmp_path, monkeypatch, capsys):
    raised = [MemoryError(), RuntimeError("can't allocate memory: 9 GB"), IndexError("x"), OSError(5, "I/O", "disk")]

    def falls(volume, *_):
        if raised:
            raise raised.pop()
        return found_brain(volume, None)

    monkeypatch.setattr(skull_stripping, "find_brain", falls)
    for name in "abcde":
        stored(tmp_path / f"{name}.nii.gz")
    assert main(["strip", str(tmp_path)]) == 1
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("presimal: ")]
    assert (
        len(lines) == 5
        and said.err.strip().endswith(lines[-1])
        and lines[-1] == "presimal: 4 of 5 scans failed, see above."
    )
    assert f"presimal: {tmp_path / 'b.nii.gz'}: stopped by a fault of this program (IndexError: x)" in lines[1]
    assert all("memory ran out" in line or "disk: I/O" in line for line in (lines[0], *lines[2:4]))
    assert all(".nii.gz: " in line for line in lines[:4])
    assert (tmp_path / "e_brain.nii.gz").exists() and "agreement" in said.out


def test_each_scan_is_one_object_of_json(tmp_path, quick, capsys):
    for name in "ab":
        stored(tmp_path / f"{name}.nii.gz")
    (tmp_path / "c.nii.gz").write_bytes(b"x")
    (tmp_path / "._a.nii.gz").write_bytes(b"what macOS leaves")
    assert main(["strip", "--json", str(tmp_path)]) == 1
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [set(one) for one in found] == [{"file", "brain", "mask", "volume_ml", "agreement"}] * 2 + [
        {"file", "error"}
    ]
    assert found[0]["volume_ml"] == 1234.5 and found[2]["error"].startswith(str(tmp_path / "c.nii.gz"))
    assert "1 of 3 scans failed" in said.err


@pytest.mark.parametrize(("agreement", "is_said"), [(0.89, True), (0.91, False)])
def test_a_mask_that_is_not_to_be_believed_is_said_to_be_so(tmp_path, monkeypatch, capsys, agreement, is_said):
    unsure = lambda volume, affine, *_: skull_stripping.BrainMask(volume.numpy() > 400, 1300, agreement)  # noqa: E731
    monkeypatch.setattr(skull_stripping, "find_brain", unsure)
    scan = stored(tmp_path / "a.nii.gz")
    assert main(["strip", str(scan)]) == 0
    said = capsys.readouterr().err
    assert (f"note: {scan}: its mask and that of its mirror image agree by {agreement:.2f} only" in said) == is_said


@pytest.mark.parametrize("name", ["a.img", "a.hdr", "a.mgz", "a.nii", "a.nii.gz"])
def test_results_have_the_name_of_the_scan_without_its_ending(tmp_path, quick, name):
    pair = name in ("a.img", "a.hdr")
    kind = nib.MGHImage if name == "a.mgz" else nib.Nifti1Pair if pair else nib.Nifti1Image
    _, *files = strip(stored(tmp_path / name, kind=kind))
    assert [file.name for file in files] == ["a_brain.nii.gz", "a_mask.nii.gz"]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize("command", ["strip", "age"])
def test_a_folder_without_scans_never_stops_the_others(tmp_path, quick, monkeypatch, capsys, command, as_json):
    """Empty, with notes only, or one that may not be opened; alone it is a mistake of the command."""
    real = Path.iterdir

    def refuses(folder):
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", refuses)
    monkeypatch.setattr(
        brain_age, "estimate_age", lambda file: brain_age.AgeEstimate(Interval(50, 40, 60), [], 1, {}, {})
    )
    for name in ("empty", "notes", "closed", "good", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes" / "read.me").write_text("x")
    for name in ("good", "other"):
        stored(tmp_path / name / f"{name}.nii.gz")
    names = ("empty", "good", "closed", "notes", "other", "good/good.nii.gz")
    assert main([command, *as_json, *(str(tmp_path / name) for name in names)]) == 1
    said = capsys.readouterr()
    *lines, last = said.err.strip().splitlines()
    assert last.startswith("presimal: 3 of ") and last.endswith(" scans failed, see above.")
    assert [sum(f"{tmp_path / name}" in line for line in lines) for name in ("empty", "closed", "notes")] == [1, 1, 1]
    assert any("cannot be opened (Permission denied); ask its owner" in line for line in lines)
    assert said.out.count("other.nii.gz") >= 1 and said.out.count("good.nii.gz") >= 1
    if as_json:
        assert (
            sum(bool(json.loads(line).get("error", json.loads(line).get("reason"))) for line in said.out.splitlines())
            == 3
        )
    for name in ("empty", "closed", "notes"):
        assert main([command, str(tmp_path / name)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    ["strip SCAN EMPTY", "strip SCAN -o EMPTY", "age EMPTY", "segment EMPTY -o x.nii",
     "segment --flair SCAN --t1 EMPTY -o x.nii", "segment SCAN -o EMPTY", "data EMPTY", "run EMPTY",
     "strip SCAN -o -", "segment SCAN -o -", "age -"],
)  # fmt: skip
def test_an_empty_name_never_means_the_current_folder(tmp_path, monkeypatch, capsys, command):
    """As of a variable of the shell that is not set: everything here would be stripped, or a contrast left out."""
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "a.nii.gz")
    words = [{"EMPTY": "", "SCAN": "a.nii.gz"}.get(word, word) for word in command.split()]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and "its name is empty" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["a.nii.gz"]


@unix
@pytest.mark.parametrize("command", [["strip"], ["age"], ["strip", "--json"]])
def test_a_name_of_two_lines_does_not_make_two_sentences(tmp_path, capsys, command):
    (tmp_path / "a\nb.nii").write_bytes(b"x" * 999)
    assert main([*command, str(tmp_path / "a\nb.nii")]) == 1
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1 and said.count("a\\nb.nii: is no image") == 1 and said.count("b.nii") == 1


@root
def test_a_folder_into_which_one_may_not_look_never_stops_the_others(open_folder):
    """Its names can be listed, and nothing about them."""
    for name in ("listed", "good", "home"):
        (open_folder / name).mkdir()
    (open_folder / "home").chmod(0o777)
    (open_folder / "listed" / "x").mkdir()
    (open_folder / "listed" / "x" / "IM0001").write_bytes(b"x")
    (open_folder / "listed").chmod(0o444)
    rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run([*rights, "true"], capture_output=True).returncode:
        pytest.skip("this system does not let a test give up the rights of root")
    environment = os.environ | {"PYTHONPATH": SOURCE, "HOME": str(open_folder / "home")}
    command = [
        *rights,
        sys.executable,
        "-m",
        "presimal",
        "age",
        str(open_folder / "listed"),
        str(open_folder / "none.nii"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, cwd=open_folder)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1 and len(lines) == 3 and lines[-1].endswith("2 of 2 scans failed, see above."), (
        done.stderr
    )


def test_segment_says_what_is_wrong_as_json_too(tmp_path, capsys):
    files = [str(tmp_path / f"{k}.nii.gz") for k in range(4)]
    assert main(["segment", "--json", *files, "-o", str(tmp_path / "x.nii.gz")]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["error"] in said.err and "0.nii.gz: is not there" in said.err


def test_two_scans_of_one_name_are_not_taken_for_one(tmp_path, quick, capsys):
    """In folders of two people, or as s.nii and s.nii.gz: on the second run one would count as done."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        stored(tmp_path / folder / "t1.nii.gz")
    command = ["strip", str(tmp_path / "one"), str(tmp_path / "two"), "-o", str(tmp_path / "out")]
    for _ in range(2):
        assert main(command) == 1
        assert "2 of 2 scans failed" in capsys.readouterr().err and not (tmp_path / "out").exists()
    stored(tmp_path / "one" / "t1.nii")
    assert main(["strip", str(tmp_path / "one")]) == 1
    assert capsys.readouterr().err.count("another scan would be written to the same place") == 2


def test_capitals_and_a_scan_named_twice_are_seen_once(tmp_path, quick, capsys):
    stored(tmp_path / "A.NII.GZ")
    assert main(["strip", str(tmp_path), str(tmp_path / "A.NII.GZ")]) == 0
    assert (tmp_path / "A_brain.nii.gz").exists() and capsys.readouterr().out.count("agreement") == 1


@root
def test_without_rights_one_sentence_says_so(open_folder):
    """A scan that may not be read, a folder that may not be written, one that may not be opened."""
    home = open_folder / "home"
    for name in ("home", "locked", "closed"):
        (open_folder / name).mkdir()
    home.chmod(0o777)
    stored(open_folder / "secret.nii.gz").chmod(0)
    scan, closed = stored(open_folder / "open.nii.gz"), stored(open_folder / "closed" / "a.nii.gz")
    (open_folder / "locked").chmod(0o555)
    (open_folder / "closed").chmod(0o000)
    cases = {
        f"{open_folder / 'secret.nii.gz'} -o {home}": "secret.nii.gz: may not be read; ask its owner",
        f"{scan} -o {open_folder / 'locked'}": "open_brain.nii.gz: cannot be written (Permission denied); choose",
        f"{scan} -o {open_folder / 'closed'}": "open_brain.nii.gz: cannot be written (Permission denied); choose",
        f"{open_folder / 'closed'}": "closed: cannot be opened (Permission denied); ask its owner",
        f"{closed}": "a.nii.gz: may not be read; ask its owner",
    }
    rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run([*rights, "true"], capture_output=True).returncode:
        pytest.skip("this system does not let a test give up the rights of root")
    environment = os.environ | {"PYTHONPATH": SOURCE, "HOME": str(home)}
    for arguments, words in cases.items():
        command = [*rights, sys.executable, "-m", "presimal", "strip", *arguments.split()]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, cwd=home)
        assert done.returncode in (1, 2) and words in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1 and not list(home.glob("*.nii*"))


@root
def test_a_disk_that_is_full_or_read_only(tmp_path):
    """On a disk of 64 KB in memory, if this system lets us make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True).returncode:
        pytest.skip("no disk of our own")
    try:
        noise = np.random.default_rng(0).integers(0, 9000, (40, 40, 40)).astype(np.int16)
        image = image_like(noise, nib.Nifti1Image(noise, AFFINE))
        assert "does not fit on its disk" in refusal(lambda: check_place(disk / "a.nii", noise.nbytes))
        said = refusal(lambda: write({disk / "a.nii": image, disk / "b.nii": image}))
        assert "a.nii: cannot be written (No space left on device)" in said and list(disk.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert "cannot be written (Read-only file system)" in refusal(lambda: check_place(disk / "a.nii", 10))
    finally:
        subprocess.run(["umount", disk], check=True)


# Killed at any moment

WRITER = """
import sys, numpy as np, nibabel as nib
from pathlib import Path
from brainscans import skull_stripping, tumor_segmentation
from brainscans.writing import image_like, write
folder, job, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.path.insert(0, {tests!r})
from test_writing import found_brain
skull_stripping.find_brain = found_brain
scan = folder / "a.nii.gz"
print("begin", flush=True)
while True:
    if job == "write":
        values = np.full(nib.load(scan).shape, number, np.int16)
        write({{folder / "x.nii.gz": image_like(values, scan), folder / "y.nii": image_like(values, scan)}})
    elif job == "segment":
        (folder / "labels.nii.gz").unlink(missing_ok=True)
        tumor_segmentation.read_contrasts = lambda scans: (None, None, scan)
        labels = np.arange(216000, dtype=np.uint8).reshape(60, 60, 60) % 4
        tumor_segmentation.find_tumor = lambda *_, **__: tumor_segmentation.Segmentation(labels, labels, {{}})
        tumor_segmentation.segment([scan] * 4, folder / "labels.nii.gz")
    else:
        for file in folder.glob("a_*"):
            file.unlink()
        skull_stripping.strip(scan)
"""


def start(folder, job, number=1):
    code = WRITER.format(tests=str(Path(__file__).parent))
    environment = os.environ | {"PYTHONPATH": SOURCE, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(folder), job, str(number)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout.readline() == b"begin\n"
    return process


def kill(process):
    process.kill() if os.name == "nt" else process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def whole(file):
    """The voxels of a file, which is read to its end."""
    if file.name.endswith(".gz"):
        gzip.decompress(file.read_bytes())
    return np.asarray(nib.load(file).dataobj).copy()


@pytest.fixture
def larger(tmp_path):
    noise = np.random.default_rng(0).integers(0, 9000, (60, 60, 60)).astype(np.int16)
    return stored(tmp_path / "a.nii.gz", noise)


@unix
def test_killed_while_stripping_no_file_is_torn_and_the_pair_heals(tmp_path, larger, quick):
    draw, halves = random.Random(0), 0
    strip(larger, tmp_path / "expected")
    expected = {file.name: file.read_bytes() for file in (tmp_path / "expected").iterdir()}
    for _ in range(40 if LONG else 3):
        process = start(tmp_path, "strip")
        time.sleep(draw.uniform(0, 0.6))
        kill(process)
        left = list(tmp_path.glob("a_*"))
        assert all(file.read_bytes() == expected[file.name] for file in left)
        halves += len(left) == 1
        assert main(["strip", str(tmp_path)]) == 0
        assert {file.name: file.read_bytes() for file in tmp_path.glob("a_*")} == expected
    print(f"{halves} halves healed")


@unix
def test_killed_while_segmenting_the_labels_are_whole_or_not_there(tmp_path, larger):
    draw = random.Random(2)
    for _ in range(40 if LONG else 3):
        process = start(tmp_path, "segment")
        time.sleep(draw.uniform(0, 0.4))
        kill(process)
        for file in tmp_path.glob("labels.nii.gz"):
            assert np.array_equal(whole(file).ravel(), np.arange(216000) % 4)


def hidden(folder):
    return sorted(file for file in folder.iterdir() if file.name.endswith(".part"))


@unix
def test_what_a_killed_writer_left_is_removed_by_the_next_and_nothing_of_others(tmp_path, larger):
    others = [".x.nii.part", "x.nii.gz.0a.part", ".z.nii.0a.part", ".x.nii.gz.b.nii", ".y.nii", ".w.nii.0a.part"]
    for name in others:
        (tmp_path / name).write_bytes(b"theirs")
    (tmp_path / ".x.nii.gz.link.part").symlink_to(tmp_path / ".y.nii")
    theirs = sorted(tmp_path.glob(".*"))
    draw, left = random.Random(3), 0
    while left < 3:
        process = start(tmp_path, "write")
        time.sleep(draw.uniform(0, 0.1))
        kill(process)
        left += len(set(hidden(tmp_path)) - set(theirs))
        image = image_like(np.zeros((60, 60, 60), np.uint8), larger)
        write({tmp_path / "x.nii.gz": image, tmp_path / "y.nii": image})
        assert [file for file in sorted(tmp_path.glob(".*"))] == theirs


@unix
def test_what_a_living_writer_has_begun_stays(tmp_path):
    """Stopped between two files, and when it has only just begun and holds no lock yet."""
    fresh = tmp_path / ".a.0.part"
    stages = []

    def slowly():
        yield tmp_path / "a", b"one"
        stages.append(hidden(tmp_path))
        fresh.touch()
        write_files([(tmp_path / "a", b"of another")])
        stages.append(hidden(tmp_path))
        yield tmp_path / "b", b"two"

    write_files(slowly())
    assert stages[1] == sorted([fresh, *stages[0]]) and len(stages[0]) == 1
    assert (tmp_path / "a").read_bytes() == b"one" and hidden(tmp_path) == [fresh]
    os.utime(fresh, (time.time() - 100,) * 2)
    write_files([(tmp_path / "a", b"three")])
    assert not hidden(tmp_path)


def test_where_there_are_no_locks_only_what_is_old_is_abandoned(tmp_path, monkeypatch):
    monkeypatch.setattr(writing.sys, "platform", "win32")
    for name, age in (("old", 4000), ("young", 3000)):
        (tmp_path / f".a.{name}.part").write_bytes(b"half")
        os.utime(tmp_path / f".a.{name}.part", (time.time() - age,) * 2)
    write_files([(tmp_path / "a", b"whole")])
    assert [file.name for file in hidden(tmp_path)] == [".a.young.part"]


@unix
def test_killed_while_writing_no_file_is_torn(tmp_path, larger):
    draw = random.Random(1)
    for _ in range(40 if LONG else 3):
        process = start(tmp_path, "write", number := draw.randrange(1, 9999))
        time.sleep(draw.uniform(0, 0.4))
        kill(process)
        for file in [*tmp_path.glob("x.nii.gz"), *tmp_path.glob("y.nii")]:
            assert len(np.unique(whole(file))) == 1, number


@unix
def test_two_writers_of_one_path_and_no_read_is_torn(tmp_path, larger):
    """Both over what is there and ours; of what is new, the second would be told that it has appeared."""
    write(dict.fromkeys((tmp_path / "x.nii.gz", tmp_path / "y.nii"), image_like(np.zeros((60,) * 3, np.uint8), larger)))
    writers, seen = [start(tmp_path, "write", number) for number in (1, 2)], []
    try:
        ends = time.time() + (20 if LONG else 2)
        while time.time() < ends or len(seen) < 10:
            for file in [*tmp_path.glob("x.nii.gz"), *tmp_path.glob("y.nii")]:
                seen.append(np.unique(whole(file)).tolist())
        assert all(process.poll() is None for process in writers)  # neither was stopped by the other
    finally:
        for process in writers:
            kill(process)
    assert {tuple(values) for values in seen} - {(0,)} == {(1,), (2,)}
    print(f"{len(seen)} reads")


def test_with_little_memory_the_command_says_so(tmp_path):
    """With less address space than torch needs for a scan, in a process of its own."""
    pytest.importorskip("resource")
    scan = stored(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 999, (220, 220, 220)).astype(np.int16))
    code = f"""
import resource, sys
from presimal.cli import main
from presimal.cli import scans
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150 * 2**20, -1))
sys.exit(main(["strip", {str(scan)!r}]))
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("only Linux says how much address space is used")
    environment = os.environ | {"PYTHONPATH": SOURCE, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", env=environment
    )
    assert done.returncode == 1 and "memory" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1
