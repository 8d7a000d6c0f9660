"""DICOM in: the series of a folder, and one of them as an image, or one sentence that says why not.

What identifies a person stands in the same files; none of it is read, shown or written."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import from_matvec

from .refusal import refuse, refuse_if

DESCRIPTION, NUMBER, MODALITY, IMAGE_TYPE = "0008|103e", "0020|0011", "0008|0060", "0008|0008"
POSITION, ORIENTATION, FRAMES, SERIES = "0020|0032", "0020|0037", "0028|0008", "0020|000e"
ECHO = "0018|0081"  # its time
SCALE = ("0028|1053", "0028|1052")  # slope and intercept
IMAGE_CLASS = b"1.2.840.10008.5.1.4.1.1.4\0"  # of MR images, in the first bytes of a file
SIZE = ROWS, COLUMNS, SPACING = "0028|0010", "0028|0011", "0028|0030"
# Of pixels: bits in the file, how many of them count, sign, samples, color.
KIND = BITS, USED, SIGN, *_ = "0028|0100", "0028|0101", "0028|0103", "0028|0002", "0028|0004"
PLAIN = re.compile(rb"\x02\x00\x10\x00UI..1\.2\.840\.10008\.1\.2(\.1)?\x00")  # not compressed, least byte first
PIXELS = re.compile(rb"\xe0\x7f\x10\x00(?:O[BW]\x00\x00)?(....)", re.DOTALL)  # how many bytes of them follow
MOST_LOOKED_AT = 20_000  # files and folders
UNEVEN = 0.02  # of the distance between slices
CONVERT = "convert it with dcm2niix and give the NIfTI file"


@dataclass(frozen=True)
class Series:
    """The files of one DICOM series, in their order along the normal of the slices."""

    description: str
    number: str
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        """What it is called in FOLDER/NAME."""
        return self.number or self.description

    def __str__(self) -> str:
        return f"{self.number} {self.description!r} ({len(self.files)} files)".strip()


def is_dicom(file: Path) -> bool:
    """Has a file the mark of DICOM, after 128 bytes of anything? No if it may not be read."""
    try:  # where one may not look, there is none; nor in what is empty, as the files of /proc are, some without an end
        if not os.path.isfile(file) or not os.access(file, os.R_OK) or file.stat().st_size < 132:
            return False
    except (OSError, ValueError):
        return False
    try:
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError as problem:  # of a disk that fails: it says no name
        refuse(file, f"cannot be read ({problem.strerror})", "check the path and the disk")


def list_series(folder: Path) -> list[Series]:
    """All series of images in a folder and what lies below it, by number. DataError if some of it cannot be read: it
    would be missed in its series only where this leaves a gap."""
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("[!.]*")):
        nowhere = file.is_symlink() and not file.exists()
        refuse_if(nowhere, file, "is a link that leads nowhere", "restore what it should lead to")
        refuse_if(not os.access(file, os.R_OK), file, "may not be read", "ask its owner for the permission")
        if is_dicom(file) and (tags := _tags(file)):
            files.setdefault(tags.get(SERIES, ""), []).append(file)
        else:
            unread = is_dicom(file) and IMAGE_CLASS in file.read_bytes()[:1000]
            refuse_if(unread, file, "is damaged, or encoded in a way that cannot be read here", CONVERT)
    found = []
    for members in files.values():
        tags = _tags(members[0])
        found.append(Series(tags.get(DESCRIPTION, ""), tags.get(NUMBER, ""), tuple(members)))
    return sorted(found, key=lambda series: (series.number.zfill(6), series.description))


CONTRAST = r"\+c|gad|post|[ck]ontrast|(?<![a-z])(gd|ce|km|c)(?![a-z])"  # as in T1 +C, T1Gd, t1_ce, but not in T1 SPACE
WITHOUT = r"(?<![a-z])(pre|non?|without|uten|native)(?![a-z])"
NO_SCAN = r"loc|scout|survey|star|\*|diff|dwi|adc|perf"


def propose(series: Sequence[Series]) -> dict[str, Series]:
    """Which series are probably which contrast, by the words of their descriptions and the most slices."""
    found: dict[str, Series] = {}
    for one in sorted(series, key=lambda one: len(one.files)):
        text = one.description.lower().replace("_", " ")
        if re.search(NO_SCAN, text):
            continue
        if re.search(r"t1|mprage|spgr|bravo|tfe", text):
            found["t1gd" if re.search(CONTRAST, text) and not re.search(WITHOUT, text) else "t1"] = one
        elif re.search(r"flair|dark.?fluid|tirm", text):
            found["flair"] = one
        elif "t2" in text:
            found["t2"] = one
    return found


def holds_series(folder: Path) -> bool:
    """Does a DICOM file lie in a folder or below it, among the first MOST_LOOKED_AT? In all of a disk none is looked
    for."""
    return folder.is_dir() and any(is_dicom(file) for file in islice(folder.rglob("*"), MOST_LOOKED_AT))


def open_series(path: Path) -> nib.Nifti1Image:
    """A series as an image in memory: the one of a folder, the one that a file belongs to, or FOLDER/NAME, where NAME
    is its number or its description. DataError if it is not one volume of upright, evenly spaced slices."""
    folder, name = (path, None) if path.is_dir() else (path.parent, path.name)
    series = list_series(folder)
    if path.is_file():
        alone = not any(path in one.files for one in series)
        refuse_if(alone, path, "is DICOM without an image, or damaged", "give the folder of a series of images")
    refuse_if(not series, folder, "holds no DICOM image", "name a scan, or the folder of a series")
    if path.is_file():
        fitting = [one for one in series if path in one.files]
    else:
        fitting = [one for one in series if name in (None, one.number, one.description)]
    if len(fitting) != 1:
        asked = "several series" if name is None else f"{len(fitting) or 'no'} series called {name!r}"
        remedy = (
            f"name one file of it, as {fitting[0].files[0]}"
            if fitting and name
            else f"name one as {folder / series[0].name}"
        )
        refuse(folder, f"holds {asked}", f"{remedy}, among {', '.join(map(str, series))}")
    return to_image(fitting[0].files, path)


def to_image(files: Sequence[Path], name: Path) -> nib.Nifti1Image:
    """The slices of one series as an image; errors begin with `name`."""
    import SimpleITK as sitk  # 90 MB: only for those who read DICOM

    tags = [_tags(file) for file in files]
    refuse_if(not all(tags) or not tags, name, "holds DICOM that cannot be read", CONVERT)
    first = tags[0]
    kind, image_type = first.get(MODALITY) or "MR", first.get(IMAGE_TYPE, "")
    refuse_if(kind != "MR", name, f"is {kind} and no MRI", "give an MRI")
    refuse_if("MOSAIC" in image_type, name, "is a mosaic of slices", CONVERT)
    refuse_if("LOCALIZER" in image_type, name, "is a localizer", "give the scan itself")
    refuse_if(int(first.get(FRAMES) or 1) > 1, name, "is an enhanced DICOM file of many frames", CONVERT)
    nowhere = any(POSITION not in tag or ORIENTATION not in tag for tag in tags)
    refuse_if(nowhere, name, "has slices without a place in space", "export the original images")
    axes, places = (np.array([tag[key].split("\\") for tag in tags], float) for key in (ORIENTATION, POSITION))
    several = not np.abs(axes - axes[0]).max() < 1e-3
    refuse_if(several, name, "has slices of several orientations", "give the scan itself and no localizer")
    kinds = {tuple(tag.get(key) for key in (*SIZE, *KIND, MODALITY, IMAGE_TYPE, ECHO)) for tag in tags}
    refuse_if(len(kinds) > 1, name, "has slices of several sizes or kinds", "give one series of one size")
    apart = [float(length) for length in re.findall(r"[^\\\s]+", first.get(SPACING, ""))]
    refuse_if(len(apart) != 2 or not min(apart) > 0, name, "does not say how far apart its pixels are", CONVERT)
    wrong = [f"{file} {found}" for file, tag in zip(files, tags, strict=True) if (found := _wrong_pixels(file, tag))]
    refuse_if(wrong, name, "is cut short or damaged: {}", "copy or export it again")
    refuse_if(len(files) < 8, name, f"has {len(files)} slice(s)", "give a whole volume")
    normal = np.cross(axes[0, :3], axes[0, 3:])
    order = np.argsort(places @ normal, kind="stable")
    steps = np.diff(places[order], axis=0)
    step = steps.mean(0)  # from slice to slice
    along, spacing = steps @ normal, float(step @ normal)
    doubled = not along.min() > 0.1 * np.median(along) > 0
    refuse_if(doubled, name, "has two slices at one place, as of two echoes or times", "give one of them")
    refuse_if(np.ptp(along) > UNEVEN * spacing, name, "lacks a slice, or is unevenly spaced", "export it again, whole")
    shifted = max(np.abs(steps - step).max(), np.abs(step - spacing * normal).max()) > UNEVEN * spacing
    refuse_if(shifted, name, "has slices that are shifted against each other, as by a tilted gantry", CONVERT)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(files[k]) for k in order])
    scales = {tuple(tag.get(key) for key in SCALE) for tag in tags}
    if len(scales) > 1:  # else the first slice decides the type, and may cut decimals off
        reader.SetOutputPixelType(sitk.sitkFloat32)
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # it warns of rounded places, which have been looked at
    try:
        image = reader.Execute()
    except RuntimeError:
        refuse(name, "is damaged, or encoded in a way that cannot be read here", CONVERT)
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
    values = sitk.GetArrayFromImage(image).T
    refuse_if(values.ndim != 3, name, "is in color", "give the original images")
    in_plane = [length * axes[0, 3 * k : 3 * k + 3] for k, length in enumerate(image.GetSpacing()[:2])]
    affine = from_matvec(np.stack([*in_plane, step], 1), places[order[0]])
    affine[:2] *= -1  # DICOM counts millimeters to the left and to the back
    volume = nib.Nifti1Image(values, affine)
    volume.header.set_xyzt_units("mm")
    volume.set_sform(affine, "scanner")
    volume.set_qform(affine, "scanner")
    return volume


def _wrong_pixels(file: Path, tags: dict[str, str]) -> str:
    """What is wrong with the pixels of a file that is not compressed, if anything: what is lacking would be read as
    whatever lies in the memory, and of larger numbers than the bits that count can hold only these would be left."""
    bits = int(tags.get(BITS) or 8)
    needed = int(tags.get(ROWS) or 0) * int(tags.get(COLUMNS) or 0) * (bits // 8)
    content = file.read_bytes()
    if not PLAIN.search(content[:1000]):
        return ""
    starts = [at.end() for at in PIXELS.finditer(content) if int.from_bytes(at[1], "little") >= needed]
    if not starts:
        return "lacks pixels"
    signed, used = tags.get(SIGN) == "1", int(tags.get(USED) or bits)
    pixels = np.frombuffer(content[starts[0] : starts[0] + needed], f"<{'i' if signed else 'u'}{bits // 8}")
    low, high = (-(2 ** (used - 1)), 2 ** (used - 1)) if signed else (0, 2**used)
    return "" if ((pixels >= low) & (pixels < high)).all() else f"has larger numbers than its {used} bits hold"


def _tags(file: Path) -> dict[str, str]:
    """The tags of a file that are asked for here, or nothing if it holds no image that can be read."""
    import SimpleITK as sitk  # 90 MB: only for those who read DICOM

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return {}
    described = (DESCRIPTION, NUMBER, MODALITY, IMAGE_TYPE, POSITION, ORIENTATION, FRAMES, SERIES)
    wanted = (*described, ECHO, *SCALE, *SIZE, *KIND)
    return {tag: reader.GetMetaData(tag).strip() for tag in wanted if reader.HasMetaDataKey(tag)}
