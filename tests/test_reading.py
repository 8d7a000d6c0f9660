"""The door through which images come in: the true cause in one sentence that names the file, or the right voxels.

References: nibabel's writers, Python's gzip, and headers spoiled byte by byte where the format says what stands where.
"""

import gzip
import os
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
from scipy.spatial.transform import Rotation

from brainscans.reading import open_image, read, read_image
from brainscans.refusal import ScanWarning
from brainscans.scans import read_scan
from synthcohort.storage import DataError

SHAPE = (9, 12, 11)
VALUES = np.random.default_rng(0).integers(1, 900, SHAPE).astype(np.int16)
AFFINE = np.array([[-2.0, 0, 0, 9], [0, 2, 0, -11], [0, 0, 2.5, 4], [0, 0, 0, 1]])

unix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")


def image(values=VALUES, affine=AFFINE, codes=(1, 1)):
    made = nib.Nifti1Image(values, affine)
    made.set_qform(affine, codes[0])
    made.set_sform(affine, codes[1])
    return made


def store(file, made=None):
    made = made or image()
    content = made.to_bytes()
    file.write_bytes(gzip.compress(content, mtime=0) if file.name.endswith(".gz") else content)
    return file


def spoiled(file, *changes, made=None):
    """A file with (offset, struct format, value) put into its bytes."""
    content = bytearray((made or image()).to_bytes())
    for offset, kind, *value in changes:
        struct.pack_into(kind, content, offset, *value)
    file.write_bytes(gzip.compress(bytes(content), mtime=0) if file.name.endswith(".gz") else bytes(content))
    return file


def refusal(file, ask=read_scan):
    """What is said of a file that is refused: one sentence that begins with its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(DataError) as refused:
            ask(file)
    said = str(refused.value)
    assert said.startswith(f"{file}: ") and said.endswith(".") and "; " in said and "\n" not in said
    return said


# Files that are no image, or none any more


def cut(share):
    def spoil(folder):
        whole = store(folder / "a.nii.gz").read_bytes()
        (folder / "a.nii.gz").write_bytes(whole[: int(len(whole) * share)])
        return folder / "a.nii.gz"

    return spoil


def with_bytes(name, content):
    def spoil(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return spoil


def header(*changes, name="a.nii"):
    return lambda folder: spoiled(folder / name, *changes)


def crc(folder):
    whole = bytearray(store(folder / "a.nii.gz").read_bytes())
    whole[-8] ^= 1
    (folder / "a.nii.gz").write_bytes(whole)
    return folder / "a.nii.gz"


def last_bytes(folder):
    whole = store(folder / "a.nii.gz").read_bytes()
    (folder / "a.nii.gz").write_bytes(whole[:-6])
    return folder / "a.nii.gz"


def half_a_pair(missing):
    def spoil(folder):
        nib.save(nib.Nifti1Pair(VALUES, AFFINE), folder / "a.img")
        (folder / f"a.{missing}").unlink()
        return folder / f"a.{'hdr' if missing == 'img' else 'img'}"

    return spoil


def surface(folder):
    points = nib.gifti.GiftiDataArray(np.zeros((4, 3), np.float32), intent="NIFTI_INTENT_POINTSET")
    nib.save(nib.GiftiImage(darrays=[points]), folder / "a.surf.gii")
    return folder / "a.surf.gii"


def series_of_a_surface(folder):
    axes = nib.cifti2.SeriesAxis(0, 1, 3), nib.cifti2.BrainModelAxis.from_mask(np.ones((3, 3, 3)), affine=AFFINE)
    nib.save(nib.Cifti2Image(np.zeros((3, 27), np.float32), axes), folder / "a.dtseries.nii")
    return folder / "a.dtseries.nii"


def link(name, target):
    if os.name == "nt":
        pytest.skip("Windows has no such links and devices")
    name.symlink_to(target)
    return name


def pipe(folder, name="a.nii"):
    if not hasattr(os, "mkfifo"):
        pytest.skip("Windows has no such pipes")
    os.mkfifo(folder / name)
    return folder / name


def renamed(name, content):
    """What is one thing by its content and another by its name."""
    return with_bytes(name, gzip.compress(content, mtime=0) if name.endswith("z") else content)


NIFTI, NIFTI2 = image().to_bytes(), nib.Nifti2Image(VALUES, AFFINE).to_bytes()
OTHER_NAMES = {
    f"NIfTI called {name}": (renamed(name, NIFTI), "is NIfTI under another name; let it end in .nii")
    for name in ("a.mgh", "a.mgz", "a.gii", "a.par", "a.PAR", "a.head", "a.HEAD", "a.brik", "a.mnc", "a.dat", "a")
}
DAMAGED, CUT = "damaged", "is cut short or damaged"
REFUSED = {
    "missing": (lambda folder: folder / "none.nii.gz", "is not there"),
    "missing in a missing folder": (lambda folder: folder / "no" / "such" / "none.nii.gz", "is not there"),
    "a link to itself": (lambda folder: link(folder / "a.nii", folder / "a.nii"), "is a link that leads nowhere"),
    "a link to nothing": (lambda folder: link(folder / "a.nii", folder / "b.nii"), "is a link that leads nowhere"),
    "a pipe": (pipe, "is a device or a pipe and no file"),
    "a compressed pipe": (lambda folder: pipe(folder, "a.nii.gz"), "is a device or a pipe and no file"),
    "a device": (lambda folder: link(folder / "a.nii.gz", Path("/dev/zero")), "is a device or a pipe and no file"),
    "compressed by a library that is not there": (with_bytes("a.nii.zst", b"x" * 400), "is no image of a kind"),
    "a thousand kilometers away": (header((292, "<f", 1e9)), "lies more than a kilometer from its origin; correct"),
    "pattern that fits nothing": (lambda folder: folder / "*.nii.gz", "is not there"),
    "name too long": (lambda folder: folder / ("a" * 300 + ".nii"), "cannot be read (File name too long)|is not there"),
    "empty": (with_bytes("a.nii.gz", b""), "is empty"),
    "empty stream": (with_bytes("a.nii.gz", gzip.compress(b"")), "is no image of a kind"),
    "web page": (with_bytes("a.nii.gz", b"<!DOCTYPE html><html>" * 50), "not compressed as its name says"),
    "text": (with_bytes("a.nii", b"hello " * 200), "is no image of a kind"),
    "picture": (with_bytes("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 400), "is no image of a kind"),
    "NRRD": (with_bytes("a.nrrd", b"NRRD0004\ntype: short\n\n" + b"\0" * 400), "is no image of a kind"),
    "what macOS leaves": (with_bytes("._a.nii.gz", b"\0\5\x16\7" + b"\0" * 160), "not compressed as its name says"),
    "two thirds": (cut(0.67), CUT),
    "a tenth": (cut(0.1), CUT),
    "last bytes": (last_bytes, CUT),
    "wrong checksum": (crc, DAMAGED),
    "pair without voxels": (half_a_pair("img"), "lacks its voxels, a.img"),
    "pair without header": (half_a_pair("hdr"), "is no image of a kind"),
    "surface": (surface, "holds no voxels with a place in space"),
    "surface series": (series_of_a_surface, "holds no voxels with a place in space"),
    "MINC without its library": (with_bytes("a.mnc", b"\x89HDF\r\n\x1a\n" + b"\0" * 600), "is no image of a kind"),
    # headers: https://nifti.nimh.nih.gov gives the offsets
    "unknown data type": (header((70, "<h", 77)), "has a damaged header"),
    "data begins in the header": (header((108, "<f", 100.0)), "has a damaged header"),
    "data begins at the header": (header((108, "<f", 0.0)), "begin at byte 0, within it"),
    "data begins at infinity": (header((108, "<f", np.inf)), "has a damaged header"),
    "nine dimensions": (header((40, "<h", 9)), DAMAGED),
    "negative dimensions": (header((40, "<h", -1)), DAMAGED),
    "negative length": (header((42, "<h", -9)), DAMAGED),
    "no voxel": (header((42, "<h", 0)), "a slice and no volume"),
    "terabytes": (header((42, "<h", 32767), (44, "<h", 32767), (46, "<h", 32767)), "too large for this memory"),
    "terabytes, compressed": (
        header((42, "<h", 32767), (44, "<h", 32767), (46, "<h", 32767), name="a.nii.gz"), "too large for this memory"
    ),
    "more voxels than there are": (header((46, "<h", 40)), CUT),
    "more voxels than there are, compressed": (header((46, "<h", 40), name="a.nii.gz"), CUT),
    "slope of 1e38": (header((112, "<f", 1e38)), "infinite|has values up to"),
    "intercept that is no number": (header((112, "<f", 2.0), (116, "<f", np.nan)), "damaged header"),
    "quaternion too long": (header((252, "<h", 1), (254, "<h", 0), (256, "<f", 0.9), (260, "<f", 0.9)), "(qform)"),
    "affine of zeros": (header(*[(280 + 4 * k, "<f", 0.0) for k in range(12)]), "cannot be inverted"),
    "affine that is no number": (header((280, "<f", np.nan)), "cannot be inverted"),
    "sheared": (header((284, "<f", 1.5)), "not at right angles"),
    "an ending of large and small letters": (
        with_bytes("a.Nii.GZ", gzip.compress(image().to_bytes())), "write its ending in small ones"
    ),
    "FreeSurfer of a negative size": (
        with_bytes("a.mgh", nib.MGHImage(VALUES, AFFINE).to_bytes()[:4] + b"\xff" * 3 + b"\xfd" + bytes(300)), DAMAGED
    ),
    "voxels without a size": (header((80, "<3f", 0, 0, 0), (254, "<h", 0)), "has voxels of 0.0 x 0.0 x 0.0 mm; set"),
    "voxels of no size, placed": (
        header((84, "<f", 0.0), (252, "<h", 1), (254, "<h", 0), name="a.nii.gz"), "of 2.0 x 0.0 x 2.5 mm; set"
    ),
    "voxels of a size that is no number": (header((80, "<f", np.nan), (252, "<h", 0), (254, "<h", 0)), "of nan x 2.0"),
    "NIfTI-2 called a.mgh": (renamed("a.mgh", NIFTI2), "is NIfTI under another name; let it end in .nii."),
    "compressed, called a.mgh": (with_bytes("a.mgh", gzip.compress(NIFTI)), "another name; let it end in .nii.gz."),
    "compressed in silence": (with_bytes("a.nii", gzip.compress(NIFTI)), "is compressed, of which its name says"),
    **OTHER_NAMES,
    "meters": (header(*[(280 + 20 * k, "<f", 0.002) for k in range(3)]), "correct the unit"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "unit"), [(1, "meters"), (3, "microns"), (2, ""), (0, "")])
def test_a_header_that_counts_in_another_unit_than_it_says_is_said_to(tmp_path, code, unit):
    made = image()
    made.header["xyzt_units"] = code
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read_scan(store(tmp_path / "a.nii.gz", made))
    assert [str(one.message) for one in said if "gives its lengths in " + unit in str(one.message)] == [
        f"{tmp_path / 'a.nii.gz'} gives its lengths in {unit}: taken as millimeters, as for a head they must be."
    ] * bool(unit)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_is_refused_for_its_true_cause(tmp_path, name):
    spoil, cause = REFUSED[name]
    said = refusal(spoil(tmp_path))
    assert any(words in said for words in cause.split("|")), said


RANDOM = np.random.default_rng(2)
MANY_LABELS = np.kron(RANDOM.integers(0, 150, (6, 7, 6)), np.ones((6, 6, 6), int)).astype(np.int16)  # of 6 voxels each
INSIDE = np.pad(np.ones((18, 20, 18), bool), 6)
HOUNSFIELD = np.where(INSIDE, 40, -1000) + RANDOM.normal(0, 30, INSIDE.shape)
HOUNSFIELD[6:8] = 1100  # bone
TISSUE = np.where(INSIDE, RANDOM.normal(600, 200, INSIDE.shape), RANDOM.normal(20, 5, INSIDE.shape)).round()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.stack([VALUES] * 2, -1), "not one volume"),
        (VALUES[:, :, 0], "not one volume"),
        (VALUES[:, :, :7], "a slice and no volume"),
        (np.where(VALUES == VALUES.max(), np.nan, VALUES).astype(np.float32), "NaN"),
        (np.where(VALUES == VALUES.max(), -np.inf, VALUES).astype(np.float32), "infinite"),
        (np.full(SHAPE, -3, np.int16), "one value everywhere"),
        (VALUES.astype(np.complex64), "type complex64"),
        (VALUES * 1e300, "has values up to"),
        (VALUES * 1e24, "has values up to"),
        (VALUES * 1e-300, "has values up to"),
        (VALUES * 1e-12, "has values up to"),
        ((VALUES % 4).astype(np.uint8), "labels and no image"),
        (MANY_LABELS, "labels and no image"),
        (MANY_LABELS[::2, ::2, ::2].astype(np.float32), "labels and no image"),
        (HOUNSFIELD, "Hounsfield units of a CT; give an MRI"),
    ],
)
def test_voxels_that_are_no_scan_are_refused(tmp_path, values, words):
    assert words in refusal(store(tmp_path / "a.nii.gz", image(values)))


@pytest.mark.parametrize(
    "values",
    [
        TISSUE, TISSUE - 1000, TISSUE * 2 - 1024, TISSUE.clip(0, 500), TISSUE.clip(0, 255), (TISSUE // 16).clip(0),
        np.where(INSIDE, TISSUE, 0), np.where(INSIDE, TISSUE, -32768), TISSUE.repeat(2, 0).repeat(2, 1).repeat(2, 2),
    ],
)  # fmt: skip
def test_scans_of_few_numbers_or_with_an_offset_are_scans(tmp_path, values):
    found, _ = read_image(store(tmp_path / "a.nii.gz", image(values.astype(np.int16))))
    assert np.array_equal(found, values)


def test_color_is_refused(tmp_path):
    colors = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "holds values of type" in refusal(store(tmp_path / "a.nii", image(colors)))


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("axes", [(), (1,), (1, 1), (4,), (1, 4), (4, 1), (2, 2), (1, 1, 4, 1)])
def test_axes_of_length_one_do_not_count(tmp_path, channels, axes):
    """(X, Y, Z, 1, 4) is how ITK writes four values a voxel."""
    values = np.random.default_rng(1).random((*SHAPE, *axes)).astype(np.float32)
    file = store(tmp_path / "a.nii.gz", image(values))
    several = tuple(length for length in axes if length > 1)
    if several == (() if channels == 1 else (channels,)):
        found, _ = read_image(file, channels)
        assert np.array_equal(found, values.reshape((*SHAPE, *several)))
    else:
        refusal(file, lambda file: read_image(file, channels))


LABELS = np.stack([VALUES % 4 == k for k in range(5)], -1).astype(np.uint8)


@pytest.mark.parametrize(
    ("volumes", "alone", "stacked"),
    [
        (
            LABELS[..., :3],
            "(9, 12, 11, 3), not one volume",
            "(9, 12, 11, 3), not (X, Y, Z, 4): a modality is missing; stack",
        ),
        (LABELS[..., :4], "(9, 12, 11, 4), not one volume", "modality 0 holds labels and no image; give the scan"),
        (LABELS, "(9, 12, 11, 5), not one volume", "(9, 12, 11, 5), not (X, Y, Z, 4); stack"),
        (LABELS[..., None, :4], "(9, 12, 11, 4), not one volume", "modality 0 holds labels and no image"),
        (np.stack([VALUES, VALUES + 1, VALUES % 4, VALUES], -1), "not one volume", "modality 2 holds labels"),
        (VALUES % 4, "the volume holds labels and no image", "(9, 12, 11), not (X, Y, Z, 4): a modality is missing"),
    ],
)
def test_several_volumes_and_labels_are_told_what_they_are(tmp_path, volumes, alone, stacked):
    """Labels of one-hot code, a mask among the modalities, a series over time."""
    file = store(tmp_path / "a.nii.gz", image(volumes))
    assert alone in refusal(file)
    assert stacked in refusal(file, lambda file: read_image(file, 4))


# Right, whatever the format


FORMATS = {
    "NIfTI": (nib.Nifti1Image, "a.nii"),
    "compressed": (nib.Nifti1Image, "a.nii.gz"),
    "capitals": (nib.Nifti1Image, "A.NII.GZ"),
    "NIfTI-2": (nib.Nifti2Image, "a.nii"),
    "pair": (nib.Nifti1Pair, "a.img"),
    "compressed pair": (nib.Nifti1Pair, "a.hdr.gz"),
    "bzip2": (nib.Nifti1Image, "a.nii.bz2"),
    "FreeSurfer": (nib.MGHImage, "a.mgz"),
    "FreeSurfer, not compressed": (nib.MGHImage, "a.mgh"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_voxels_and_place_are_those_that_were_written(tmp_path, name):
    kind, file = FORMATS[name]
    nib.save(kind(VALUES, AFFINE), tmp_path / file)
    values, affine = read_image(tmp_path / file)
    assert np.array_equal(values, VALUES) and np.allclose(affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize("name", ["capitals", "compressed pair", "FreeSurfer", "compressed"])
def test_every_compressed_file_is_read_to_its_end(tmp_path, name):
    kind, file = FORMATS[name]
    nib.save(kind(VALUES, AFFINE), tmp_path / file)
    for part in tmp_path.iterdir():
        whole = bytearray(part.read_bytes())
        whole[-8] ^= 1
        part.write_bytes(whole)
        refusal(tmp_path / file)
        whole[-8] ^= 1
        part.write_bytes(whole)
    read_scan(tmp_path / file)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("slope", "inter"), [(1, 0), (2.5, 10), (-1, 900), (1, -1024), (0, 7), (np.nan, 0)])
def test_slope_and_intercept_in_both_orders_of_bytes(tmp_path, order, slope, inter):
    made = nib.Nifti1Image(VALUES, AFFINE, nib.Nifti1Header(endianness=order))
    made.set_data_dtype(np.dtype(np.int16).newbyteorder(order))
    file = spoiled(tmp_path / "a.nii", (112, f"{order}f", slope), (116, f"{order}f", inter), made=made)
    means = VALUES if slope == 0 or np.isnan(slope) else VALUES * slope + inter  # a slope of 0 is none
    assert np.allclose(read_image(file)[0], means)


def test_a_file_of_several_members_and_one_with_zeros_behind_it_are_whole(tmp_path):
    content = image().to_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:]) + b"\0" * 512)
    assert np.array_equal(read_image(tmp_path / "a.nii.gz")[0], VALUES)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.img"])
@pytest.mark.parametrize("more", [0, 1, 4000])
def test_voxels_that_the_header_does_not_tell_of_are_said_to_be_there(tmp_path, name, more):
    """As of a header that was cut down, or a transfer as text: what is read may be a part, or shifted."""
    nib.save((nib.Nifti1Pair if name == "a.img" else nib.Nifti1Image)(VALUES, AFFINE), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    longer = gzip.compress(gzip.decompress(content) + bytes(more)) if name.endswith(".gz") else content + bytes(more)
    (tmp_path / name).write_bytes(longer)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        assert np.array_equal(read_image(tmp_path / name)[0], VALUES)
    assert [str(one.message) for one in noted] == [
        f"{tmp_path / name} has {more} bytes more than its header tells of: look whether its picture is whole."
    ] * (more > 0)


@pytest.mark.parametrize("kind", ["NIfTI", "Analyze"])
def test_a_file_without_orientation_is_taken_with_a_warning(tmp_path, kind):
    if kind == "NIfTI":
        file = spoiled(tmp_path / "a.nii", (252, "<h", 0), (254, "<h", 0))
    else:
        file = tmp_path / "a.img"
        nib.AnalyzeImage(VALUES, np.diag([-2, 2, 2.5, 1])).to_filename(file)
    with pytest.warns(ScanWarning, match="says nothing of its orientation .* left-anterior-superior"):
        _, affine = read_scan(file)
    assert nib.aff2axcodes(affine) == ("L", "A", "S")


def test_freesurfer_without_a_place_is_refused(tmp_path):
    """FreeSurfer then takes it as left-inferior-anterior, and nibabel as left-superior-posterior."""
    whole = nib.MGHImage(VALUES, AFFINE).to_bytes()
    (tmp_path / "a.mgz").write_bytes(gzip.compress(whole[:28] + b"\0\0" + whole[30:]))
    assert "does not say where it lies (its RAS flag is 0); set it" in refusal(tmp_path / "a.mgz")


@pytest.mark.parametrize("shape", [(30_000,) * 3, (-5, 10, 10), (2**31 - 1,) * 3, (0, 10, 10), (10, 10, 2**20)])
@pytest.mark.parametrize("name", ["a.mgh", "a.mgz"])
def test_a_size_that_no_such_file_can_have_is_named(tmp_path, shape, name):
    content = bytearray(nib.MGHImage(VALUES.astype(np.float32), AFFINE).to_bytes())
    struct.pack_into(">3i", content, 4, *shape)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("z") else content)
    assert f"has a damaged header: it tells of {[*shape, 1]} voxels of type 3 and (2.0, " in refusal(tmp_path / name)


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
def test_freesurfer_with_voxels_of_no_size_or_mirrored_by_it_is_refused(tmp_path, length):
    content = bytearray(nib.MGHImage(VALUES.astype(np.float32), AFFINE).to_bytes())
    struct.pack_into(">f", content, 30, length)
    (tmp_path / "a.mgh").write_bytes(content)
    assert f"[9, 12, 11, 1] voxels of type 3 and ({length}, 2.0, 2.5) mm; export" in refusal(tmp_path / "a.mgh")


@pytest.mark.parametrize("kind", [2, 5, 77, -1])
def test_freesurfer_of_a_type_that_there_is_not_is_refused(tmp_path, kind):
    content = bytearray(nib.MGHImage(VALUES.astype(np.float32), AFFINE).to_bytes())
    struct.pack_into(">i", content, 20, kind)
    (tmp_path / "a.mgh").write_bytes(content)
    assert f"has a damaged header: it tells of [9, 12, 11, 1] voxels of type {kind} and" in refusal(tmp_path / "a.mgh")


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32, np.int16])
def test_freesurfer_of_every_type_is_read(tmp_path, kind):
    nib.save(nib.MGHImage((VALUES % 256).astype(kind), AFFINE), tmp_path / "a.mgz")
    assert np.array_equal(read(tmp_path / "a.mgz")[0], VALUES % 256)


DAMAGES = {
    "type": ((70, "<h", 999), "data code 999 not"),
    "begin": ((108, "<f", 100.0), "vox offset 100 too low"),
    "intercept": ((116, "<f", float("nan")), "invalid intercept nan"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_header_is_named_in_words_and_not_by_the_class_of_an_error(tmp_path, name):
    change, words = DAMAGES[name]
    said = refusal(spoiled(tmp_path / "a.nii", (112, "<f", 1.0), change))
    assert "has a damaged header: " in said and words in said.lower() and "Error" not in said


@pytest.mark.parametrize("codes", [(1, 1), (1, 4), (0, 1), (1, 0)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_two_orientations_that_contradict_each_other_about_left_are_said_to(tmp_path, mirrored, codes):
    made = image()
    made.set_qform(AFFINE * [-1 if mirrored else 1, 1, 1, 1], codes[0])
    made.set_sform(AFFINE, codes[1])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read_scan(store(tmp_path / "a.nii.gz", made))
    assert ["says twice how it lies" in str(one.message) for one in said] == [True] * (mirrored and all(codes))


@pytest.mark.parametrize(("axis", "degrees", "said"), [
    *((axis, degrees, True) for axis in "xyz" for degrees in (90, -90, 180)), ("x", 30, False), ("z", -45, False),
])  # fmt: skip
def test_two_orientations_of_which_one_is_turned_by_a_quarter_are_said_to_contradict_each_other(
    tmp_path, axis, degrees, said
):
    made, turn = image(), np.eye(4)
    turn[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    made.set_sform(turn @ AFFINE, 1)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        _, affine = read_scan(store(tmp_path / "a.nii.gz", made))
    assert np.allclose(affine, turn @ AFFINE, atol=1e-5)
    assert ["its sform, which is taken, contradicts its qform" in str(one.message) for one in found] == [True] * said


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("length", [1, 4])
def test_an_axis_of_channels_before_those_of_space_is_named(tmp_path, channels, length):
    file = store(tmp_path / "a.nii", image(np.stack([VALUES] * length)))
    said = refusal(file, lambda file: read_image(file, channels))
    if length in (1, channels):
        assert f"has shape ({length}, 9, 12, 11), whose first axis is none of space; store X, Y and Z first" in said


@unix
@pytest.mark.parametrize("name", ["a\nb.nii.gz", "a\rb.nii", "\u2028.nii.gz"])
def test_the_end_of_a_line_in_a_name_is_no_other_ending(tmp_path, name):
    assert np.array_equal(read_image(store(tmp_path / name))[0], VALUES)


@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (2, 4)])
def test_one_code_is_enough(tmp_path, codes):
    file = store(tmp_path / "a.nii", image(codes=codes))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.allclose(read_scan(file)[1], AFFINE, atol=1e-5)


def test_labels_are_read_where_their_header_is_odd(tmp_path):
    """`read` asks for no place: labels are compared with their image, whose affine was looked at."""
    labels = (VALUES % 3).astype(np.uint8)
    values, affine = read(store(tmp_path / "a.nii.gz", image(labels, np.diag([1e-3, 1, 1, 1]))))
    assert np.array_equal(values, labels) and affine.shape == (4, 4)


# What the machine forbids


def test_a_scan_that_is_larger_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    file = store(tmp_path / "a.nii")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    assert "too large for this memory" in refusal(file)
    assert "too large for this memory" in refusal(store(tmp_path / "a.nii.gz"))


@pytest.mark.parametrize("error", [MemoryError(), KeyError("x"), OverflowError("x"), TypeError("x")])
def test_whatever_a_reader_raises_on_the_voxels_is_one_sentence(tmp_path, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(nib.arrayproxy.ArrayProxy, "__array__", fails)
    said = refusal(store(tmp_path / "a.nii"))
    assert ("too large" if isinstance(error, MemoryError) else "cut short or damaged") in said


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the rights of Unix")
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgz", "a.dcm"])
def test_a_file_that_may_not_be_read_is_said_so(open_folder, name):
    file = open_folder / name
    file.write_bytes(b"\0" * 128 + b"DICM")
    file.chmod(0)
    said = as_nobody(f"from brainscans.reading import open_image; open_image({str(file)!r})")
    assert f"DataError: {file}: may not be read; ask its owner for permission." in said


def as_nobody(code):
    """The last line of what Python says, without the right of root to read everything."""
    command = [sys.executable, "-c", code]
    if os.geteuid() == 0:
        rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534", "--clear-groups"]
        if subprocess.run([*rights, "true"], capture_output=True).returncode:
            pytest.skip("this system does not let a test give up the rights of root")
        command = [*rights, *command]
    source = str(Path(__file__).parents[1] / "src")
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=os.environ | {"PYTHONPATH": source}
    )
    return done.stderr.strip().splitlines()[-1]


def test_for_the_name_of_a_file_nobody_looks_through_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "rglob", lambda *_: pytest.fail("looked through all that lies beside it"))
    assert "is not there" in refusal(tmp_path / "none.nii.gz")
    assert "is not there" in refusal(tmp_path / "none.mgz")


def test_a_missing_name_without_ending_may_be_a_series_and_is_said_to_be_missing_if_none_is_there(tmp_path):
    assert "is not there" in refusal(tmp_path / "none", open_image)


@pytest.mark.parametrize(
    ("share", "codes", "said"), [(1.1, (1, 1), True), (1.1, (0, 1), True), (1.02, (1, 1), False), (1.1, (1, 0), False)]
)
def test_two_sizes_of_the_voxels_are_said_to_contradict_each_other(tmp_path, share, codes, said):
    """As where a program has replaced one of the two orientations and left the other; codes of qform and sform."""
    made = image(codes=codes)
    made.header["srow_x"], made.header["srow_y"], made.header["srow_z"] = AFFINE[:3] * share
    nib.save(nib.Nifti1Image(VALUES, None, made.header), tmp_path / "a.nii")
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        _, affine = read_image(tmp_path / "a.nii")
    assert any("says two sizes of its voxels" in str(note.message) for note in notes) == said
    assert np.allclose(affine[:3, :3], AFFINE[:3, :3] * (share if codes[1] else 1))


def test_a_place_in_a_file_of_matlab_is_one(tmp_path):
    """SPM99 writes it beside the pair of files."""
    affine = AFFINE * [[-1], [1], [1], [1]]
    nib.save(nib.Spm99AnalyzeImage(VALUES, affine), tmp_path / "a.img")
    assert (tmp_path / "a.mat").exists()
    with warnings.catch_warnings(action="error"):
        assert np.allclose(read_image(tmp_path / "a.img")[1], affine)
