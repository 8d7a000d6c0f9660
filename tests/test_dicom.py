"""DICOM in: series that the tests write come back with the voxels and the place that SimpleITK gives them, or one
sentence says why not; and who the patient is appears nowhere.
"""

import gzip
import json
import re
import struct
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from brainscans import dicom
from brainscans.contrasts import read_contrasts
from brainscans.reading import open_image, read_image
from brainscans.refusal import ScanWarning
from brainscans.skull_stripping import strip
from brainscans.writing import image_like
from presimal.cli import main
from synthcohort import Cohort
from synthcohort.storage import DataError

PATIENT = {"0010|0010": "NORDMANN^KARI", "0010|0020": "01017012345", "0010|0030": "19700101", "0008|0090": "LEGE^OLA"}
MR_STORAGE, SECONDARY = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
TO_RAS = np.diag([-1.0, -1, 1])
VALUES = np.random.default_rng(0).integers(0, 900, (12, 10, 14)).astype(np.int16)  # slices, rows, columns
# Columns: the directions of columns, rows and slices in millimeters to the left, back and head.
AXIAL = np.eye(3)
SAGITTAL = np.array([[0, 0, 1.0], [1, 0, 0], [0, -1, 0]]) * [1, 1, -1]
CORONAL = np.array([[1, 0, 0.0], [0, 0, 1], [0, -1, 0]])


def turned(degrees):
    """A turn about all axes, so that no axis of the slices is one of the body."""
    one, other, third = np.radians([degrees, -0.6 * degrees, 0.3 * degrees])
    about_x = np.array([[1, 0, 0], [0, np.cos(one), -np.sin(one)], [0, np.sin(one), np.cos(one)]])
    about_y = np.array([[np.cos(other), 0, np.sin(other)], [0, 1, 0], [-np.sin(other), 0, np.cos(other)]])
    about_z = np.array([[np.cos(third), -np.sin(third), 0], [np.sin(third), np.cos(third), 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def write_series(
    folder, values=VALUES, axes=AXIAL, origin=(-60.0, -80.0, -40.0), spacing=(1.1, 0.9, 2.5), places=None,
    uid="1.2.826.0.1.77.1", names=None, compressed=False, **tags,
):  # fmt: skip
    """Write slices (N, rows, columns) as files of one series; `places` are the positions of slices, by default evenly
    along the third axis. `tags` replace those of an MR image by name; a function gets the number of the slice."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.SetUseCompression(compressed)
    keys = {
        "description": "0008|103e", "number": "0020|0011", "modality": "0008|0060", "kind": "0008|0008",
        "storage": "0008|0016", "echo": "0018|0081", "patient": "0010|0020", "name": "0010|0010", "study": "0020|000d",
        "image": "0008|0018", "instance": "0020|0013", "acquired": "0020|1002", "slices": "0054|0081",
        "series": "0020|000e", "repetition": "0018|0080", "inversion": "0018|0082", "flip": "0018|1314",
        "sequence": "0018|0020", "agent": "0018|0010",
    }  # fmt: skip
    given = {"description": "T1 MPRAGE", "number": "3", "modality": "MR", "kind": "ORIGINAL\\PRIMARY\\M\\ND"}
    given |= {"storage": MR_STORAGE} | tags
    if places is None:
        places = [np.array(origin) + axes @ [0, 0, spacing[2] * k] for k in range(len(values))]
    for k, (slice_, place) in enumerate(zip(values, places, strict=True)):
        one = sitk.GetImageFromArray(slice_[None], isVector=slice_.ndim == 3)
        one.SetSpacing(spacing)
        one.SetOrigin(np.asarray(place).tolist())
        one.SetDirection(axes.ravel().tolist())
        own = {key: value(k) if callable(value) else value for key, value in given.items()}
        entries = PATIENT | {"0020|000e": uid, "0020|000d": "1.2.826.0.1.77", "0008|0018": f"{uid}.{k + 1}"}
        entries |= {"0020|0013": str(k + 1), "0020|0032": "\\".join(f"{x:.6f}" for x in place)}
        entries |= {keys[key]: str(value) for key, value in own.items()}
        entries.setdefault("0020|0037", "\\".join(f"{x:.6f}" for x in axes[:, :2].T.ravel()))
        for key, value in entries.items():
            one.SetMetaData(key, value)
        writer.SetFileName(str(folder / (names[k] if names else f"{uid}.{k:03}.dcm")))
        writer.Execute(one)
    return folder


def by_simpleitk(folder, uid=""):
    """Voxels (X, Y, Z) and affine to RAS mm, as SimpleITK's own reader of series has them."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), uid))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = TO_RAS @ np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    affine[:3, 3] = TO_RAS @ image.GetOrigin()
    return sitk.GetArrayFromImage(image).T, affine


def refusal(path, ask=open_image):
    with pytest.raises(DataError) as refused:
        ask(path)
    said = str(refused.value)
    assert "; " in said and "\n" not in said and said.endswith(".")
    assert not any(word in said for entry in PATIENT.values() for word in entry.split("^"))
    return said


# Right


PLANES = {"axial": AXIAL, "sagittal": SAGITTAL, "coronal": CORONAL, "oblique": turned(25), "doubly": turned(-40)}


@pytest.mark.parametrize("order", ["in order", "reversed", "shuffled"])
@pytest.mark.parametrize("plane", PLANES)
def test_a_series_has_the_voxels_and_the_place_that_simpleitk_gives_it(tmp_path, plane, order):
    names = [f"IM{k:04}" for k in range(len(VALUES))]
    names = names[::-1] if order == "reversed" else names
    if order == "shuffled":
        np.random.default_rng(1).shuffle(names)
    folder = write_series(tmp_path / "series", axes=PLANES[plane], names=names)
    values, affine = read_image(folder)
    expected, place = by_simpleitk(folder)
    assert values.dtype == np.int16 and np.array_equal(values, expected)
    assert np.allclose(affine, place, atol=1e-3)
    # By hand, too: the voxel in column 3, row 2, slice 5.
    point = np.array([-60.0, -80.0, -40.0]) + PLANES[plane] @ [3 * 1.1, 2 * 0.9, 5 * 2.5]
    assert np.allclose(affine @ [3, 2, 5, 1], [*TO_RAS @ point, 1], atol=1e-3) and values[3, 2, 5] == VALUES[5, 2, 3]


def test_slices_stored_from_head_to_foot_are_the_same_scan(tmp_path):
    up = read_image(write_series(tmp_path / "up"))
    down = read_image(
        write_series(tmp_path / "down", VALUES[::-1], places=[(-60, -80, -12.5 - 2.5 * k) for k in range(12)])
    )
    assert np.array_equal(up[0], down[0]) and np.allclose(up[1], down[1])


def scaled(folder, slope, intercept=0.0):
    """Give the slices a slope, a number or a function of the slice, and an intercept, byte by byte: the writer of
    SimpleITK takes whole numbers only."""

    def element(number, value):
        text = f"{value:g}".encode() + b" " * (len(f"{value:g}") % 2)
        return struct.pack("<HHI", 0x28, number, len(text)) + text

    for k, file in enumerate(sorted(folder.iterdir())):
        content, pixels = file.read_bytes(), struct.pack("<HH", 0x7FE0, 0x10)
        assert content.count(pixels) == 1
        header, pixels = content[: content.index(pixels)], content[content.index(pixels) :]
        header = header.partition(struct.pack("<HH", 0x28, 0x1052))[0]  # the writer may give them a slope of 1
        own = element(0x1052, intercept) + element(0x1053, slope(k) if callable(slope) else slope)
        file.write_bytes(header + own + pixels)
    return folder


@pytest.mark.parametrize(("slope", "intercept"), [(2.5, -100), (0.5, 0), (3, 1000), (-1, 900)])
def test_slope_and_intercept_are_applied(tmp_path, slope, intercept):
    values, _ = read_image(scaled(write_series(tmp_path / "series"), slope, intercept))
    assert np.allclose(values, VALUES.T * slope + intercept)


@pytest.mark.parametrize("first", [1.0, 0.125])
def test_the_slope_may_differ_from_slice_to_slice(tmp_path, first):
    """As of Philips; a first slope of 1 would make whole numbers of all that follows."""
    values, _ = read_image(scaled(write_series(tmp_path / "series"), lambda k: first + k / 8))
    assert np.allclose(values, VALUES.T * (first + np.arange(12) / 8))


def test_lossless_jpeg_is_read(tmp_path):
    folder = write_series(tmp_path / "series", compressed=True)
    assert np.array_equal(read_image(folder)[0], VALUES.T)


def test_a_series_is_asked_for_by_folder_file_number_or_description(tmp_path):
    """Several series, in one folder and in folders below it, as they leave an archive."""
    folder = tmp_path / "study"
    uids = [f"1.2.826.0.1.77.{k}" for k in range(3)]
    write_series(folder, VALUES, uid=uids[0], number=2, description="T1 MPRAGE")
    write_series(folder, VALUES + 1, uid=uids[1], number=11, description="t2_tse")
    write_series(folder / "deep" / "er", VALUES + 2, uid=uids[2], number=12, description="FLAIR æøå")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "README.txt").write_text("Exported.")
    (folder / "._IM0001").write_bytes(b"\0" * 128 + b"DICM")
    listed = dicom.list_series(folder)
    assert [(one.number, len(one.files)) for one in listed] == [("2", 12), ("11", 12), ("12", 12)]
    assert listed[1].description == "t2_tse" and str(listed[1]) == "11 't2_tse' (12 files)"
    for k, name in enumerate(["2", "11", "12"]):
        assert np.array_equal(open_image(folder / name).dataobj, (VALUES + k).T)
        assert np.array_equal(open_image(listed[k].files[7]).dataobj, (VALUES + k).T)
    assert np.array_equal(open_image(folder / "t2_tse").dataobj, (VALUES + 1).T)
    assert np.array_equal(open_image(folder / "deep").dataobj, (VALUES + 2).T)
    said = refusal(folder)
    assert f"{folder}: holds several series; name one as {folder / '2'}, among 2 'T1 MPRAGE' (12 files), 11" in said
    assert "holds no series called '7'" in refusal(folder / "7")


def test_two_series_of_one_number_are_told_apart_by_their_files(tmp_path):
    write_series(tmp_path / "a", VALUES, uid="1.2.826.0.1.77.1")
    write_series(tmp_path / "a", VALUES + 1, uid="1.2.826.0.1.77.2")
    said = refusal(tmp_path / "a" / "3")
    assert "holds 2 series called '3'; name one file of it, as " in said
    file = said.split("as ")[1].split(", among")[0]
    assert np.array_equal(open_image(file).dataobj, VALUES.T)


def test_slices_that_are_a_series_each_are_one_scan(tmp_path):
    write_series(tmp_path / "a", series=lambda k: f"1.2.826.0.1.77.{k + 5}")
    write_series(tmp_path / "a", VALUES + 1, uid="1.2.826.0.1.77.2", number="4", series=lambda k: f"1.2.826.0.1.78.{k}")
    assert [len(one.files) for one in dicom.list_series(tmp_path / "a")] == [12, 12]
    assert np.array_equal(open_image(tmp_path / "a" / "3").dataobj, VALUES.T)
    assert np.array_equal(open_image(tmp_path / "a" / "4").dataobj, (VALUES + 1).T)


def test_a_series_without_a_number_is_named_by_its_description(tmp_path):
    write_series(tmp_path / "a", VALUES, uid="1.2.826.0.1.77.1", number="", description="first")
    write_series(tmp_path / "a", VALUES, uid="1.2.826.0.1.77.2", number="", description="second")
    assert f"name one as {tmp_path / 'a' / 'first'}" in refusal(tmp_path / "a")
    open_image(tmp_path / "a" / "second")


# Refused


def beside(folder, **changes):
    """Slices, with one that differs."""
    write_series(folder)
    write_series(folder, VALUES[:1], names=["odd.dcm"], **{"places": [(-60, -80, -42.5)]} | changes)


def write_frames(folder, kind):
    folder.mkdir()
    frames = sitk.GetImageFromArray(VALUES)
    for key, value in (PATIENT | {"0008|0060": "MR", "0008|0008": kind, "0008|0016": MR_STORAGE}).items():
        frames.SetMetaData(key, value)
    sitk.WriteImage(frames, str(folder / "enhanced.dcm"))


def damage(folder, number):
    file = sorted(write_series(folder).iterdir())[number]
    file.write_bytes(file.read_bytes()[:-60])


def private(folder):
    """The name of the encoding replaced by one of no standard, of the same length."""
    for file in write_series(folder).iterdir():
        content = file.read_bytes()
        assert content.count(b"1.2.840.10008.1.2\0") == 1
        file.write_bytes(content.replace(b"1.2.840.10008.1.2\0", b"1.2.840.99999.9.9\0"))


EVEN = [(-60.0, -80.0, 2.5 * k) for k in range(12)]
MISSING = [*EVEN[:5], *[(-60.0, -80.0, 2.5 * (k + 1)) for k in range(5, 12)]]
TILTED = [(-60.0, -80.0 + 0.6 * k, 2.5 * k) for k in range(12)]
CREEPING = [(-60.0, -80.0 + 0.06 * k, 2.5 * k) for k in range(12)]
ONE_ASIDE = [*EVEN[:6], (-57.0, -80.0, 15.0), *EVEN[7:]]
REFUSED = {
    "no DICOM": (lambda folder: folder.mkdir(), "holds no DICOM image"),
    "CT": (lambda folder: write_series(folder, modality="CT"), "is CT and no MRI"),
    "PET": (lambda folder: write_series(folder, modality="PT"), "is PT and no MRI"),
    "mosaic": (lambda folder: write_series(folder, kind="ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC"), "is a mosaic"),
    "localizer": (lambda folder: write_series(folder, kind="ORIGINAL\\PRIMARY\\LOCALIZER"), "is a localizer"),
    "many frames": (lambda folder: write_frames(folder, "ORIGINAL\\PRIMARY"), "an enhanced DICOM file of many frames"),
    "one slice": (lambda folder: write_series(folder, VALUES[:1]), "has 1 slice(s); give a whole volume"),
    "seven slices": (lambda folder: write_series(folder, VALUES[:7]), "has 7 slice(s)"),
    "missing slice": (lambda folder: write_series(folder, places=MISSING), "lacks a slice"),
    "doubled slice": (lambda folder: write_series(folder, places=[*EVEN[:11], EVEN[4]]), "two slices at one place"),
    "two echoes": (
        lambda folder: write_series(folder, np.repeat(VALUES, 2, 0), places=sorted(EVEN * 2)), "two slices at one place"
    ),
    "tilted gantry": (lambda folder: write_series(folder, places=TILTED), "shifted against each other, as by a tilt"),
    "creeping shift": (lambda folder: write_series(folder, places=CREEPING), "shifted against each other"),
    "one slice aside": (lambda folder: write_series(folder, places=ONE_ASIDE), "shifted against each other"),
    "another orientation": (lambda folder: beside(folder, axes=SAGITTAL), "has slices of several orientations"),
    "another size": (lambda folder: beside(folder, spacing=(2.0, 2.0, 2.5)), "has slices of several sizes"),
    "color": (
        lambda folder: write_series(folder, np.repeat(VALUES[..., None], 3, -1).astype(np.uint8)), "is in color"
    ),
    "last slice cut short": (lambda folder: damage(folder, -1), "is damaged, or encoded in a way that cannot be read"),
    "slice cut short": (lambda folder: damage(folder, 4), "is damaged, or encoded in a way that cannot be read"),
    "private encoding": (private, "encoded in a way that cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_one_upright_volume_is_refused(tmp_path, name, capfd):
    spoil, words = REFUSED[name]
    spoil(tmp_path / "series")
    assert words in refusal(tmp_path / "series")
    printed = "".join(capfd.readouterr())
    assert not any(word in printed for entry in PATIENT.values() for word in entry.split("^"))


KINDS = ["ORIGINAL\\PRIMARY\\M", "ORIGINAL\\PRIMARY\\P"]  # magnitude and phase
MIXED = {
    "kind": lambda k: KINDS[k % 2], "modality": lambda k: "MR" if k < 11 else "CT", "echo": lambda k: 10 + 80 * (k % 2),
    "repetition": lambda k: 500 + 3500 * (k > 5), "flip": lambda k: 9 if k < 6 else 70,
    "inversion": lambda k: 900 + 1600 * (k > 5), "sequence": lambda k: "SE" if k else "GR\\IR",
    "agent": lambda k: "" if k < 6 else "Gadovist",
}  # fmt: skip


@pytest.mark.parametrize("tag", MIXED)
def test_slices_of_several_contrasts_are_no_volume(tmp_path, tag):
    """Magnitude and phase, or two echoes, by turns at places of their own, leave no gap."""
    assert "several sizes or kinds" in refusal(write_series(tmp_path / "series", **{tag: MIXED[tag]}))


def test_a_link_to_a_slice_that_is_gone_is_said_to_be_one(tmp_path):
    folder = write_series(tmp_path / "series")
    (folder / "z.dcm").symlink_to(folder / "gone")
    assert "z.dcm: is a link that leads nowhere; restore" in refusal(folder)


def test_positions_that_are_rounded_are_no_fault_and_nothing_is_printed(tmp_path, capfd):
    """Scanners write two decimals of a millimeter and six of a direction."""
    axes = turned(13)
    places = [np.round(np.array([-60.0, -80, -40]) + axes @ [0, 0, 1.2 * k], 2) for k in range(12)]
    folder = write_series(tmp_path / "series", axes=axes, places=places)
    _, affine = read_image(folder)
    assert capfd.readouterr() == ("", "")
    assert np.allclose(affine, by_simpleitk(folder)[1], atol=0.01)


def test_a_place_that_is_no_number_is_refused(tmp_path):
    folder = write_series(tmp_path / "series", places=[(-60, -80, np.nan if k == 3 else 2.5 * k) for k in range(12)])
    refusal(folder)


# Slices that are lacking, doubled, of two people, or told of in other words


def said_of(folder):
    """What a user is warned of."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        values, _ = read_image(folder)
    return values, [str(note.message) for note in noted if note.category is ScanWarning]


def without(folder, *numbers, hidden=False):
    """A series of which some files are removed, or hidden."""
    files = sorted(write_series(folder).iterdir())
    for k in numbers:
        if hidden:
            files[k].rename(folder / f".{files[k].name}")
        else:
            files[k].unlink()
    return folder


@pytest.mark.parametrize(
    ("told", "lacks", "words"),
    [
        ({}, [0], "has 11 slices with numbers from 2 to 12"),
        ({"instance": lambda k: 24 - 2 * k}, [11], "has 11 slices with numbers from 4 to 24"),
        ({"instance": lambda k: 1 + 6 * (k % 2) + k // 2}, [11], ""),  # by turns, and the last one has the last number
        ({"instance": lambda k: 1 + 6 * (k % 2) + k // 2}, [0, 1], "has 10 slices with numbers from 2 to 12"),
        ({"instance": lambda k: 1 + 6 * ((k + 1) % 2) + k // 2}, [0], "has 11 slices with numbers from 1 to 12"),
        ({"acquired": 12}, [11], "tells of 12 slices, and 11 are here"),
        ({"slices": 12}, [10, 11], "tells of 12 slices, and 10 are here"),
        ({"acquired": 12}, [], ""),
        ({"acquired": 24}, [], ""),  # of two echoes
        ({"acquired": 11}, [], ""),
        ({"instance": lambda k: k}, [], ""),
        ({"instance": lambda k: 25 + k}, [], ""),  # the third volume
        ({"instance": lambda k: 3 * k + 3}, [], ""),  # the third echo
        ({"instance": lambda k: 7}, [], ""),
        ({"instance": lambda k: ""}, [], ""),
        ({"instance": "unknown", "acquired": "many"}, [], ""),
    ],
)
def test_a_first_or_last_slice_that_is_not_there_is_said_where_numbers_tell(tmp_path, told, lacks, words):
    folder = write_series(tmp_path / "series", **told)
    files = sorted(folder.iterdir())
    for k in lacks:
        files[k].unlink()
    values, notes = said_of(folder)
    assert np.array_equal(values, np.delete(VALUES, lacks, 0).T)
    assert notes == [f"{folder} {words}: look whether its first and last slice are there."] * bool(words)


@pytest.mark.parametrize("number", [0, 5, 11])
@pytest.mark.parametrize("left", ["nothing", "zeros", "half a header", "a mark", "a hidden file"])
def test_a_slice_whose_copy_failed_is_not_overlooked(tmp_path, number, left):
    folder = without(tmp_path / "series", number, hidden=left == "a hidden file")
    file = folder / f"1.2.826.0.1.77.1.{number:03}.dcm"
    if left == "a hidden file":
        file = file.with_name(f".{file.name}")
    else:
        file.write_bytes(
            {"nothing": b"", "zeros": b"\0" * 900, "half a header": b"\0" * 100, "a mark": b"\0" * 128 + b"DICM"}[left]
        )
    said = refusal(folder)
    assert said.startswith(f"{file}: is ") and said.endswith("copy it again or remove it.")


def test_other_files_beside_the_slices_are_no_slices(tmp_path):
    folder = write_series(tmp_path / "series")
    for name in ("README", "notes.txt", ".DS_Store", "._1.2.826.0.1.77.1.003.dcm", "index.dcm.json"):
        (folder / name).write_text("x")
    (folder / ".done").touch()
    (folder / ".#notes.txt").symlink_to("somebody@a-machine")  # as of an editor
    (tmp_path / "series" / "deeper").mkdir()
    (tmp_path / "series" / "deeper" / "empty").touch()
    assert np.array_equal(read_image(folder)[0], VALUES.T)


@pytest.mark.parametrize("where", ["beside", "below"])
@pytest.mark.parametrize("several", [1, 12])
def test_exact_copies_of_files_count_once(tmp_path, where, several):
    folder = write_series(tmp_path / "series")
    (folder / "copy").mkdir()
    for file in sorted(folder.glob("*.dcm"))[:several]:
        copy = folder / "copy" / file.name if where == "below" else file.with_name(f"{file.stem} (1).dcm")
        copy.write_bytes(file.read_bytes())
    assert np.array_equal(said_of(folder)[0], VALUES.T) and said_of(folder)[1] == []
    assert np.array_equal(open_image(copy if several == 12 else file).dataobj, VALUES.T)


def test_copies_that_differ_are_said_to_be_copies(tmp_path):
    folder = write_series(tmp_path / "series")
    file = sorted(folder.iterdir())[4]
    (folder / "z.dcm").write_bytes(file.read_bytes().replace(b"T1 MPRAGE", b"t1 mprage"))
    said = refusal(folder)
    assert "holds a slice in two files that differ, as " in said and "; remove one of the two" in said
    assert str(file) in said and str(folder / "z.dcm") in said


@pytest.mark.parametrize("tag", ["patient", "name", "study"])
def test_slices_of_two_people_are_no_volume(tmp_path, tag):
    """Under one series, as of a program that gives all series one name."""
    other = {"patient": "31129912345", "name": "SORENSEN^OLE", "study": "1.2.826.0.1.78"}[tag]
    folder = write_series(tmp_path / "series", **{tag: lambda k: (PATIENT["0010|0020"], other)[k > 5]})
    said = refusal(folder)
    assert "holds slices of two people or examinations under one series; export each alone" in said
    assert other not in said


def test_a_name_in_other_letters_is_the_same_person(tmp_path):
    folder = write_series(tmp_path / "series", name=lambda k: ("Nordmann^Kari", "NORDMANN^KARI^^")[k % 2])
    assert np.array_equal(read_image(folder)[0], VALUES.T)


def test_dark_for_light_is_refused(tmp_path):
    """GDCM gives 65535 minus the value, whatever the largest value may have been."""
    folder = write_series(tmp_path / "series", VALUES.astype(np.uint16))
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes().replace(b"MONOCHROME2", b"MONOCHROME1"))
    assert "holds light for dark and dark for light (MONOCHROME1); export it as MONOCHROME2" in refusal(folder)


HARMLESS = {
    "echo in more digits": {"echo": lambda k: ("2.98", "2.980", "2.9834")[k % 3]},
    "steps of the making": {"kind": lambda k: "ORIGINAL\\PRIMARY\\M\\ND" + "\\NORM" * (k % 2) + "\\FIL" * (k % 3)},
    "repetition in more digits": {"repetition": lambda k: ("2300", "2300.0", "2299.8")[k % 3], "flip": "9"},
    "another description": {"description": lambda k: "T1 MPRAGE" + " repeated" * (k > 5)},
    "no later values": {"kind": lambda k: "ORIGINAL\\PRIMARY\\OTHER" + "\\DIS2D" * (k % 2)},
}
OTHER = {
    "two echoes": {"echo": lambda k: ("2.98", "4.92")[k % 2]},
    "one without an echo": {"echo": lambda k: "" if k == 4 else "2.98"},
    "water and fat": {"kind": lambda k: "DERIVED\\PRIMARY\\DIXON\\" + ("WATER", "FAT")[k % 2]},
    "phase of another maker": {"kind": lambda k: "ORIGINAL\\PRIMARY\\" + ("M_FFE\\M\\FFE", "PHASE MAP\\P\\FFE")[k % 2]},
    "a later mosaic": {"kind": lambda k: "ORIGINAL\\PRIMARY\\M\\ND" + "\\MOSAIC" * (k == 7)},
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_slices_say_in_other_words_is_no_fault(tmp_path, name):
    assert np.array_equal(read_image(write_series(tmp_path / "series", **HARMLESS[name]))[0], VALUES.T)


@pytest.mark.parametrize("name", OTHER)
def test_what_slices_say_of_another_contrast_is_one(tmp_path, name):
    assert re.search("several sizes or kinds|mosaic", refusal(write_series(tmp_path / "series", **OTHER[name])))


def test_a_distance_of_pixels_in_more_digits_is_the_same(tmp_path):
    folder = write_series(tmp_path / "series", spacing=(1.1001, 0.9, 2.5))
    for file in sorted(folder.iterdir())[1:5]:
        retold(file, SPACING, b"0.90\\1.1")
    assert np.array_equal(read_image(folder)[0], VALUES.T)


@pytest.mark.parametrize(("black", "background", "words"), [
    ([11], 0, "12"), ([0, 1], 0, "1"), ([11], 0.8, ""), ([5], 0, None), ([5, 6, 11], 0.8, None), ([], 0.8, "")
])  # fmt: skip
def test_slices_without_a_picture_are_said_or_refused(tmp_path, black, background, words):
    """Not at the ends of what has a black background anyway, as without its skull."""
    values = np.where(np.random.default_rng(2).random(VALUES.shape) < background, 0, VALUES)
    values[black] = 0
    folder = write_series(tmp_path / "series", values.astype(np.int16))
    if words is None:
        assert "has no picture in slice 6 of 12; copy or export it again" in refusal(folder, read_image)
    else:
        last = ": look whether its first and last slice are there."
        assert said_of(folder)[1] == [f"{folder} has no picture in slice {words} of 12{last}"] * bool(words)


# From the scanner's folder to a mask


@pytest.fixture(scope="module")
def head():
    """A generated head at 4 mm, int16, and its affine."""
    batch = Cohort(77, rotation=4.0).render([3], "head", 4.0)
    return (batch.images[0, 0] * 500).round().numpy().astype(np.int16), batch.affine.numpy()


@pytest.fixture
def study(head, tmp_path):
    """The head as a sagittal DICOM series, and as NIfTI on the same voxels."""
    values, affine = head
    slices = values[:, ::-1, ::-1].transpose(0, 2, 1)  # from right to left: rows go down, columns to the front
    # Column k of `axes` is where an index leads, in millimeters to the left, back and head.
    axes = np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]])
    last = np.array(values.shape) - 1
    first = TO_RAS @ (affine @ [0, last[1], last[2], 1])[:3]
    places = [first + axes @ [0, 0, 4.0 * k] for k in range(len(slices))]
    folder = write_series(tmp_path / "study", slices, axes, spacing=(4, 4, 4), places=places)
    plain = tmp_path / "plain.nii.gz"
    nib.save(nib.Nifti1Image(values, affine), plain)
    return folder, plain


def as_ras(file):
    return nib.as_closest_canonical(nib.load(file))


def test_the_brain_of_a_series_is_that_of_the_same_head_as_nifti(study):
    folder, plain = study
    one, brain_file, mask_file = strip(folder)
    other, _, plain_mask = strip(plain)
    assert mask_file == folder.with_name("study_mask.nii.gz") and abs(one.volume_ml - other.volume_ml) < 1
    assert np.allclose(as_ras(mask_file).affine, as_ras(plain_mask).affine, atol=1e-3)
    a, b = (np.asarray(as_ras(file).dataobj) > 0 for file in (mask_file, plain_mask))
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.999
    scan, brain = open_image(folder), nib.load(brain_file)
    assert np.array_equal(scan.affine.astype(np.float32), brain.affine.astype(np.float32))
    assert brain.get_data_dtype() == np.int16 and brain.header["sform_code"] == brain.header["qform_code"] == 1
    inside = np.asarray(nib.load(mask_file).dataobj) > 0
    assert np.array_equal(np.asarray(brain.dataobj), np.where(inside, scan.dataobj, 0))
    for file in (brain_file, mask_file):
        content = nib.load(file).to_bytes()
        assert not any(word.encode() in content for entry in PATIENT.values() for word in entry.split("^"))


def test_the_command_takes_a_folder_or_one_of_its_series_and_never_says_who_it_is(study, tmp_path, capfd):
    folder, _ = study
    write_series(folder, VALUES, uid="1.2.826.0.1.77.9", number=9, description="survey", kind="ORIGINAL\\LOCALIZER")
    assert main(["strip", str(folder)]) == 1
    said = capfd.readouterr()
    assert "holds several series; name one as" in said.err and "9 'survey' (12 files)" in said.err
    assert main(["strip", str(folder / "9")]) == 1
    said += capfd.readouterr()
    assert main(["strip", "--json", str(folder / "3")]) == 0
    said += (last := capfd.readouterr())
    found = json.loads(last.out)
    assert found["brain"] == str(folder / "3_brain.nii.gz") and 800 < found["volume_ml"] < 2000
    # Results that lie among the slices are no reason to overlook these the next time.
    for file in folder.glob("1.2.826.0.1.77.9*"):
        file.unlink()
    assert main(["strip", str(folder)]) == 0
    said += capfd.readouterr()
    assert not any(word in text for text in said for entry in PATIENT.values() for word in entry.split("^"))


def test_the_contrasts_of_one_study_lie_on_one_grid(tmp_path):
    folder = tmp_path / "study"
    for k in range(4):
        write_series(folder, np.roll(VALUES, k, 0), axes=turned(9), uid=f"1.2.826.0.1.77.{k}", number=k + 1)
    images, affine, file = read_contrasts([folder / str(k + 1) for k in range(4)])
    assert np.array_equal(images.numpy(), np.stack([np.roll(VALUES, k, 0).T for k in range(4)]).astype(np.float32))
    written = image_like(np.ones(images[0].shape, np.uint8), file)
    assert np.allclose(written.affine, affine, atol=1e-5) and np.allclose(affine, open_image(folder / "1").affine)


def test_segment_proposes_which_series_is_which(tmp_path, capsys):
    folder = tmp_path / "my study"
    names = ["T1 SPACE sag", "T1 SPACE sag +C", "T2 TSE tra", "t2_space_dark-fluid", "localizer_t1", "ep2d_diff"]
    for k, name in enumerate(names):
        write_series(folder, VALUES[:8], uid=f"1.2.826.0.1.77.{k}", number=k + 1, description=name)
    assert main(["segment", str(folder), "-o", "x.nii.gz"]) == 2
    said = capsys.readouterr().err
    for option in ("--t1 ", "--t1gd ", "--t2 ", "--flair "):
        number = {"--t1 ": 1, "--t1gd ": 2, "--t2 ": 3, "--flair ": 4}[option]
        assert f"{option}'{folder / str(number)}'" in said


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("T1 MPRAGE sag", "t1"), ("T1 SPACE", "t1"), ("t1_se_tra_km", "t1gd"), ("AX T1 POST GAD", "t1gd"),
        ("T1C", "t1gd"), ("T1 med kontrast", "t1gd"),
        ("T1 FLAIR", "t1"), ("AX T1 FLAIR +C", "t1gd"), ("Ax T1 pre contrast", "t1"), ("T1 uten kontrast", "t1"),
        ("3D FLAIR", "flair"), ("t2_tirm_tra_dark-fluid", "flair"), ("T2 FLAIR", "flair"), ("T2 TSE", "t2"),
        ("t2_fl2d_tra_hemo T2*", None), ("T2 STAR", None), ("DWI b1000 t2", None), ("SWI", None),
        ("t1_localizer", None),
    ],
)  # fmt: skip
def test_contrasts_by_their_descriptions(description, kind):
    found = dicom.propose([dicom.Series(description, "1", ())])
    assert list(found) == ([kind] if kind else [])


def test_the_series_with_the_most_slices_is_proposed(tmp_path):
    few, many = (dicom.Series("T1", str(k), (tmp_path,) * k) for k in (20, 160))
    assert dicom.propose([many, few])["t1"] is many and dicom.propose([few, many])["t1"] is many


# Files whose tags and pixels do not fit


def retold(file, tag, value):
    """Put another value, of at most the same length, into an element of a file without compression."""
    content = bytearray(file.read_bytes())
    where = content.index(struct.pack("<HH", *tag)) + 4
    length = struct.unpack_from("<I", content, where)[0]
    content[where + 4 : where + 4 + length] = value.ljust(length, b"\0" if len(value) == 2 else b" ")
    file.write_bytes(content)


SPACING, MODALITY, SAMPLES = (0x28, 0x30), (0x08, 0x60), (0x28, 0x02)
COLOR, BITS, TURN = (0x28, 0x04), (0x28, 0x100), (0x20, 0x37)
RETOLD = {
    "no orientation": (
        TURN,
        b"0\\0\\0\\0\\0\\0",
        False,
        "tells an orientation that is none, [0. 0. 0. 0. 0. 0.]; export",
    ),
    "rows along columns": (
        TURN,
        b"1\\0\\0\\1\\0\\0",
        False,
        "tells an orientation that is none, [1. 0. 0. 1. 0. 0.]; export",
    ),
    "no distance of pixels": (SPACING, b"", False, "does not say how far apart its pixels are; convert"),
    "a distance of nothing": (SPACING, b"0\\0", False, "does not say how far apart its pixels are; convert"),
    "a negative distance": (SPACING, b"-1\\1", False, "does not say how far apart its pixels are; convert"),
    "one in color": (COLOR, b"RGB", True, "has slices of several sizes or kinds; give one series"),
    "one of other bits": (BITS, struct.pack("<H", 8), True, "has slices of several sizes or kinds; give one series"),
    "no modality": (MODALITY, b"", False, ""),
}


@pytest.mark.parametrize("name", RETOLD)
def test_tags_that_do_not_fit_the_pixels_are_refused(tmp_path, name):
    tag, value, only_one, words = RETOLD[name]
    folder = write_series(tmp_path / "series")
    for file in sorted(folder.iterdir())[5 : 6 if only_one else None] if only_one else folder.iterdir():
        retold(file, tag, value)
    if words:
        assert words in refusal(folder)
    else:
        assert np.array_equal(np.asarray(open_image(folder).dataobj), VALUES.T)


@pytest.mark.parametrize("only_one", [False, True])
@pytest.mark.parametrize("kind", [np.int16, np.uint16])
@pytest.mark.parametrize(("bits", "largest"), [(12, 2047), (12, 2048), (10, 511), (10, 512), (10, 899)])
def test_larger_numbers_than_the_bits_that_are_said_to_count_are_not_cut(tmp_path, kind, bits, largest, only_one):
    """GDCM keeps the bits that are said to count: 4096 of twelve bits would be 0, and 2048 with a sign −2048."""
    largest = 2 * largest + largest % 2 if kind is np.uint16 and largest != 899 else largest
    values = (VALUES % 300).astype(kind)
    values[5, 3, 2] = largest
    folder = write_series(tmp_path / "series", values)
    for file in sorted(folder.iterdir())[5 : 6 if only_one else None] if only_one else folder.iterdir():
        retold(file, (0x28, 0x101), struct.pack("<H", bits))
        retold(file, (0x28, 0x102), struct.pack("<H", bits - 1))
    if only_one:
        assert "has slices of several sizes or kinds" in refusal(folder)
    elif largest < 2 ** (bits - (kind is np.int16)):
        assert np.array_equal(np.asarray(open_image(folder).dataobj), values.T)
    else:
        told = f"has larger numbers than its {bits} bits hold; copy it again or export it without one"
        assert told in refusal(folder)


@pytest.mark.parametrize("kept", [0, 2, 100, 278])
@pytest.mark.parametrize("told", [True, False])
def test_pixels_that_are_lacking_are_not_made_up(tmp_path, kept, told):
    """Cut off, whether the element says so or not: GDCM gives whatever lies in the memory."""
    folder = write_series(tmp_path / "series")
    file = sorted(folder.iterdir())[5]
    content = file.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00") + 8
    assert struct.unpack_from("<I", content, start - 4)[0] == len(content) - start == 280
    length = struct.pack("<I", kept) if told else content[start - 4 : start]
    file.write_bytes(content[: start - 4] + length + content[start : start + kept])
    said = refusal(folder)
    assert "cut short or damaged" in said or "is damaged, or encoded" in said or "lacks a slice" in said


def test_intercepts_of_several_sizes_do_not_overflow(tmp_path):
    folder = write_series(tmp_path / "series")
    file = sorted(folder.iterdir())[5]
    content = file.read_bytes()
    start = content.index(b"\x28\0\x52\x10")
    end = start + 8 + struct.unpack_from("<I", content, start + 4)[0]
    file.write_bytes(content[:start] + b"\x28\0\x52\x10\6\0\0\x00100000" + content[end:])
    found = np.asarray(open_image(folder).dataobj)
    assert np.array_equal(found[..., 5], VALUES[5].T + 100_000.0) and np.array_equal(found[..., 4], VALUES[4].T)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("content", [b"", b"\2\0\0\0UL\4\0\0\0\0\0", b"\xff" * 500])
def test_dicom_without_an_image_is_said_to_be_so(tmp_path, content, beside):
    """An index of a disk, outlines, a report, or garbage; alone or beside a series, which it does not spoil."""
    folder = write_series(tmp_path / "series") if beside else tmp_path
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + content)
    said = refusal(folder / "DICOMDIR")
    assert said.startswith(f"{folder / 'DICOMDIR'}: is DICOM without an image, or damaged; give the folder of a series")
    if beside:
        assert np.array_equal(np.asarray(open_image(folder).dataobj), VALUES.T)


def test_a_disk_that_fails_is_named_with_the_file(tmp_path, monkeypatch):
    """Else a slice would be taken for no DICOM, and be missed only where this leaves a gap."""
    folder = write_series(tmp_path / "series")
    bad, real = sorted(folder.iterdir())[5], type(folder).open

    def fails(file, *arguments, **named):
        if file == bad:
            raise OSError(5, "Input/output error")
        return real(file, *arguments, **named)

    monkeypatch.setattr(type(folder), "open", fails)
    assert f"{bad}: cannot be read (Input/output error); check" in refusal(folder)


def test_a_mistyped_name_does_not_look_through_a_whole_disk(tmp_path, monkeypatch):
    """Nor into what has no end, as some files of the system, which say that they are empty."""
    looked = []
    monkeypatch.setattr(dicom, "is_dicom", lambda file: looked.append(file))
    monkeypatch.setattr(dicom, "MOST_LOOKED_AT", 20)
    for k in range(30):
        (tmp_path / f"{k}.txt").write_text("x")
    assert not dicom.holds_series(tmp_path) and len(looked) == 20
    monkeypatch.undo()
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("opened what is empty"))
    (tmp_path / "empty").touch()
    assert not dicom.is_dicom(tmp_path / "empty")


def test_an_enhanced_file_for_each_slice_has_the_distances_that_it_tells(tmp_path):
    """GDCM looks for them among the functional groups, where it finds none, and gives 1 mm."""
    folder = write_series(tmp_path / "series")
    plain, enhanced = MR_STORAGE.encode() + b"\0", MR_STORAGE.encode() + b".1\0"
    for file in folder.iterdir():
        content = file.read_bytes()
        length = struct.unpack_from("<I", content, 140)[0]  # of the group that comes first
        content = content[:140] + struct.pack("<I", length + 2) + content[144:]
        for before in (b"\2\0\2\0UI%b\0", b"\x08\0\x16\0%b\0\0\0"):
            old, new = (before % bytes([len(name)]) + name for name in (plain, enhanced))
            assert content.count(old) == 1
            content = content.replace(old, new)
        file.write_bytes(content)
    values, affine = read_image(folder)
    assert np.array_equal(values, VALUES.T) and np.allclose(np.abs(np.diag(affine))[:3], (1.1, 0.9, 2.5))


@pytest.mark.parametrize("kind", ["ORIGINAL\\PRIMARY\\P\\ND", "ORIGINAL\\PRIMARY\\PHASE MAP\\P\\FFE"])
def test_phases_are_no_scan(tmp_path, kind):
    assert "holds phases and no magnitudes; give" in refusal(write_series(tmp_path / "series", kind=kind))


# Older exports, gzip, computed series, rounded places


def bare(folder, meta):
    """A series without the 128 bytes and the mark before it, as of older scanners, with or without the group 2."""
    for file in write_series(folder).iterdir():
        content = file.read_bytes()
        assert content[128:132] == b"DICM" and content[132:140] == b"\2\0\0\0UL\4\0"
        start = 132 if meta else 144 + struct.unpack_from("<I", content, 140)[0]
        file.write_bytes(content[start:])
    return folder


@pytest.mark.parametrize("meta", [True, False])
def test_a_series_without_the_mark_of_dicom_is_read(tmp_path, meta):
    folder = bare(tmp_path / "series", meta)
    file = sorted(folder.iterdir())[5]
    for path in (folder, file, folder / "3"):
        assert np.array_equal(read_image(path)[0], VALUES.T)
    file.write_bytes(file.read_bytes()[:-60])
    assert re.search("cut short|damaged", refusal(folder))


def test_other_files_that_begin_alike_are_no_dicom(tmp_path):
    """A raw picture may begin with the number 8."""
    (tmp_path / "raw.img").write_bytes(np.full(9000, 8, np.uint16).tobytes())
    (tmp_path / "zipped.gz").write_bytes(b"\x1f\x8b" + b"x" * 900)
    assert not any(map(dicom.is_dicom, tmp_path.iterdir()))


@pytest.mark.parametrize("which", [range(12), [0], [11]])
def test_dicom_that_is_gzipped_is_said_to_be_so(tmp_path, which):
    folder = write_series(tmp_path / "series")
    files = sorted(folder.iterdir())
    for k in which:
        files[k].with_name(f"{files[k].name}.gz").write_bytes(gzip.compress(files[k].read_bytes()))
        files[k].unlink()
    zipped = f"{files[which[0]]}.gz: is gzipped DICOM; unpack it, as with gunzip."
    for path in (folder, folder / "3", Path(f"{files[which[0]]}.gz")):
        assert refusal(path) == zipped


def test_slices_of_which_some_are_derived_are_one_volume(tmp_path):
    """As where a part was compressed, or lost its faces, by another program."""
    kind = {"kind": lambda k: ("ORIGINAL\\PRIMARY\\M\\ND", "DERIVED\\SECONDARY\\M\\ND")[k % 3 > 1]}
    assert np.array_equal(read_image(write_series(tmp_path / "series", **kind))[0], VALUES.T)


@pytest.mark.parametrize("lacks", [None, *range(1, 11)])
@pytest.mark.parametrize("spacing", [0.5, 0.9375, 1.05, 3.3])
@pytest.mark.parametrize("axes", [AXIAL, turned(13)], ids=["upright", "turned"])
def test_places_that_are_rounded_to_tenths_of_a_millimeter_are_taken_and_a_gap_is_not(tmp_path, axes, spacing, lacks):
    first, kept = np.array([-60.0, -80, -40]), [k for k in range(12) if k != lacks]
    places = [np.round(first + axes @ [0, 0, spacing * k], 1) for k in kept]
    folder = write_series(tmp_path / "series", VALUES[kept], axes=axes, places=places)
    if lacks is not None:
        assert "lacks a slice" in refusal(folder)
        return
    values, affine = read_image(folder)
    assert np.array_equal(values, VALUES.T)
    for k in (0, 6, 11):
        assert np.abs(affine[:3] @ [0, 0, k, 1] - TO_RAS @ (first + axes @ [0, 0, spacing * k])).max() < 0.11


def test_distances_that_grow_are_uneven_though_each_is_nearly_the_next(tmp_path):
    places = [(-60.0, -80.0, 2.5 * k + 0.0006 * k**2) for k in range(40)]
    assert "unevenly spaced" in refusal(write_series(tmp_path / "series", VALUES[np.arange(40) % 12], places=places))


NO_PLAIN_SCAN = [
    "DIFFUSION\\ADC\\ND", "ADC_MAP", "EADC", "DIFFUSION\\FA", "PROJECTION IMAGE\\MIP", "MIP", "MINIP", "SUBTRACTION",
    "T1 MAP", "T2_MAP\\ND", "PERFUSION\\RELCBF", "M\\SUB", "I_FFE\\I\\FFE", "PHASE", "FFE\\PHASE MAP",
    "DIFFUSION\\NONE\\ND", "DIFFUSION\\TRACEW", "adc",
]  # fmt: skip
SCANS = [
    "M\\ND",
    "M_FFE\\M\\FFE",
    "MPR",
    "DIXON\\IN_PHASE",
    "DIXON\\OUT_PHASE",
    "M\\ND\\NORM\\FM",
    "OTHER",
    "R_IR\\R\\IR",
]


@pytest.mark.parametrize("kind", NO_PLAIN_SCAN)
def test_what_is_no_plain_scan_is_refused(tmp_path, kind):
    said = refusal(write_series(tmp_path / "series", kind=f"DERIVED\\PRIMARY\\{kind}"))
    assert re.search("and no plain scan; give a series as T1, T2 or FLAIR|holds phases and no magnitudes", said)


@pytest.mark.parametrize("kind", SCANS)
def test_scans_in_other_words_are_taken_without_a_word(tmp_path, kind):
    values, notes = said_of(write_series(tmp_path / "series", kind=f"DERIVED\\PRIMARY\\{kind}"))
    assert np.array_equal(values, VALUES.T) and not notes
