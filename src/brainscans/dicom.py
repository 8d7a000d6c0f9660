"""DICOM in: the series of a folder, and one of them as an image, or one sentence that says why not.

What identifies a person stands in the same files; none of it is shown or written."""

import hashlib
import os
import re
import warnings
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
from nibabel.affines import from_matvec

from . import slices
from .refusal import ScanWarning, refuse, refuse_if
from .slices import CONVERT, POSITION, SERIES, numbers, read_tags, wrong_pixels

CLASS = b"1.2.840.10008.5.1.4.1.1."  # of what is stored, in the first bytes of a file; 4 are MR images
MOST_LOOKED_AT = 20_000  # files and folders, and not all of a disk
UNEVEN, ROUNDED = 0.02, 0.1  # of the distance between slices; mm by which rounded places lie off even ones


class Series(NamedTuple):
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
    """Has a file, gzipped or not, the mark of DICOM, or begins it as older ones without? No if it may not be read."""
    # Where one may not look, there is none; nor in what is empty, as the files of /proc are, some without an end.
    if not os.path.isfile(file) or not os.access(file, os.R_OK) or file.stat().st_size < 132:
        return False
    try:
        with file.open("rb") as stream:
            start = stream.read(1000)
        if start.startswith(b"\x1f\x8b"):
            start = zlib.decompressobj(31).decompress(start)
        return start[128:132] == b"DICM" or (start[:2] in (b"\2\0", b"\x08\0") and CLASS in start)
    except zlib.error:
        return False
    except OSError as problem:  # of a disk that fails: it says no name
        refuse(file, f"cannot be read ({problem.strerror})", "check the path and the disk")


def list_series(folder: Path) -> list[Series]:
    """All series of images in a folder and below it, by number. DataError if some of it cannot be read, for it would
    be missed only where it leaves a gap."""
    files: dict[str, list[Path]] = {}
    others: list[Path] = []
    for file in sorted(file for file in folder.rglob("*") if not file.name.startswith("._")):  # as of a Macintosh
        hidden = file.name.startswith(".")
        nowhere = not hidden and file.is_symlink() and not file.exists()
        refuse_if(nowhere, file, "is a link that leads nowhere", "restore what it should lead to")
        refuse_if(not hidden and not os.access(file, os.R_OK), file, "may not be read", "ask its owner for permission")
        if not is_dicom(file):
            others += [file] * (file.is_file() and not hidden)
        elif tags := read_tags(file):
            refuse_if(hidden, file, "is a hidden slice, as of a copy that broke off", "copy it again or remove it")
            files.setdefault(tags.get(SERIES, ""), []).append(file)
        else:
            start = file.read_bytes()[:1000]
            refuse_if(start.startswith(b"\x1f\x8b"), file, "is gzipped DICOM", "unpack it, as with gunzip")
            refuse_if(CLASS + b"4\0" in start, file, "is damaged, or encoded in a way that cannot be read", CONVERT)
            others += [file] * (CLASS not in start)  # cut off before it
    slices.check_left_out([file for members in files.values() for file in members], others)
    found: dict[tuple[str, str, str], list[Path]] = {}
    for uid, members in files.items():
        tags, own = read_tags(members[0]), uid * (len(members) > 1)  # some exports make a series of every slice
        found.setdefault((tags.get(slices.DESCRIPTION, ""), tags.get(slices.NUMBER, ""), own), []).extend(members)
    series = [Series(description, number, tuple(members)) for (description, number, _), members in found.items()]
    return sorted(series, key=lambda one: (one.number.zfill(6), one.description))


KINDS = {"t1": r"t1|mprage|spgr|bravo|tfe", "flair": r"flair|dark.?fluid|tirm", "t2": "t2"}  # the first that fits
CONTRAST = r"\+c|gad|post|[ck]ontrast|(?<![a-z])(gd|ce|km|c)(?![a-z])"  # as in T1 +C, T1Gd, t1_ce, but not in T1 SPACE
WITHOUT = r"(?<![a-z])(pre|non?|without|uten|native)(?![a-z])"
NO_SCAN = r"loc|scout|survey|star|\*|diff|dwi|adc|perf"


def propose(series: Sequence[Series]) -> dict[str, Series]:
    """Which series are probably which contrast, by the words of their descriptions and the most slices."""
    found: dict[str, Series] = {}
    for one in sorted(series, key=lambda one: len(one.files)):
        text = one.description.lower().replace("_", " ")
        kinds = [kind for kind, words in KINDS.items() if re.search(words, text) and not re.search(NO_SCAN, text)]
        gadolinium = kinds[:1] == ["t1"] and re.search(CONTRAST, text) and not re.search(WITHOUT, text)
        found |= {kind: one for kind in (["t1gd"] if gadolinium else kinds[:1])}
    return found


def holds_series(folder: Path) -> bool:
    """Does a DICOM file lie in a folder or below it, among the first MOST_LOOKED_AT?"""
    return folder.is_dir() and any(is_dicom(file) for file in islice(folder.rglob("*"), MOST_LOOKED_AT))


def open_series(path: Path) -> nib.Nifti1Image:
    """A series as an image in memory: the one of a folder, the one that a file belongs to, or FOLDER/NAME, where NAME
    is its number or its description. DataError if it is not one volume of upright, evenly spaced slices."""
    folder, name = (path, None) if path.is_dir() else (path.parent, path.name)
    series = list_series(folder)
    if path.is_file():
        fitting = [one for one in series if path in one.files]
        refuse_if(not fitting, path, "is DICOM without an image, or damaged", "give the folder of a series of images")
    else:
        fitting = [one for one in series if name in (None, one.number, one.description)]
    refuse_if(not series, folder, "holds no DICOM image", "name a scan, or the folder of a series")
    if len(fitting) != 1:
        asked = "several series" if name is None else f"{len(fitting) or 'no'} series called {name!r}"
        one = f"file of it, as {fitting[0].files[0]}" if fitting and name else f"as {folder / series[0].name}"
        refuse(folder, f"holds {asked}", f"name one {one}, among {', '.join(map(str, series))}")
    return to_image(fitting[0].files, path)


def to_image(files: Sequence[Path], name: Path) -> nib.Nifti1Image:
    """The slices of one series as an image; errors begin with `name`."""
    import SimpleITK as sitk  # 90 MB: only for those who read DICOM

    # One of files that are the same to the last byte, as a folder copied twice holds them.
    files = list({hashlib.sha256(file.read_bytes()).digest(): file for file in files}.values())
    tags = [read_tags(file) for file in files]
    refuse_if(not all(tags) or not tags, name, "holds DICOM that cannot be read", CONVERT)
    slices.check_alike(tags, name)
    placed = [(numbers(tag, POSITION, 3), numbers(tag, slices.ORIENTATION, 6)) for tag in tags]
    refuse_if(not all(map(all, placed)), name, "has slices without a place in space", "export the original images")
    places, axes = (np.array(rows) for rows in zip(*placed, strict=True))
    refuse_if(np.ptp(axes, 0).max() > 1e-3, name, "has slices of several orientations", "give the scan, no localizer")
    normal = np.cross(axes[0, :3], axes[0, 3:])
    turned = abs(np.linalg.norm(normal) - 1) < 0.05  # as by two axes of length one at right angles
    refuse_if(not turned, name, f"tells an orientation that is none, {axes[0]}", "export the original images")
    apart = numbers(tags[0], slices.SPACING, 2)
    refuse_if(not apart or not min(apart) > 0, name, "does not say how far apart its pixels are", CONVERT)
    wrong = [f"{file} {found}" for file, tag in zip(files, tags, strict=True) if (found := wrong_pixels(file, tag))]
    refuse_if(wrong, name, "is cut short or damaged, or holds an overlay: {}", "copy it again or export it without one")
    refuse_if(len(files) < 8, name, f"has {len(files)} slice(s)", "give a whole volume")
    order = np.argsort(places @ normal, kind="stable")
    steps = np.diff(places[order], axis=0)
    step = steps.mean(0)  # from slice to slice
    along, spacing = steps @ normal, float(step @ normal)
    doubled = not along.min() > 0.1 * np.median(along) > 0
    one, other = (files[order[along.argmin() + k]] for k in (0, 1))
    same = doubled and len({tag.get(slices.IMAGE, k) for k, tag in enumerate(tags)}) < len(tags)
    refuse_if(same, name, f"holds a slice in two files that differ, as {one} and {other}", "remove one of the two")
    refuse_if(doubled, name, "has two slices at one place, as of two echoes or times", "give one of them")
    off = places[order] - places.mean(0) - np.outer(np.arange(len(files)) - (len(files) - 1) / 2, step)
    allowed = min(ROUNDED, spacing / 5)  # a missing slice moves others by more
    refuse_if(np.abs(off @ normal).max() > allowed, name, "lacks a slice, or is unevenly spaced", "export it whole")
    shifted = np.abs(off).max() > allowed or np.abs(step - spacing * normal).max() > UNEVEN * spacing
    refuse_if(shifted, name, "has slices that are shifted against each other, as by a tilted gantry", CONVERT)
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(files[k]) for k in order])
    if len({tuple(map(tag.get, slices.SCALE)) for tag in tags}) > 1:  # else the first decides, and may cut decimals
        reader.SetOutputPixelType(sitk.sitkFloat32)
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # it warns of rounded places, which have been looked at
    try:
        image = reader.Execute()
    except RuntimeError:
        refuse(name, "is damaged, or encoded in a way that cannot be read", CONVERT)
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
    values = sitk.GetArrayFromImage(image).T
    refuse_if(values.ndim != 3, name, "is in color", "give the original images")
    for said in (*slices.lacking(tags), *slices.black(values, name)):
        warnings.warn(f"{name} {said}: look whether its first and last slice are there.", ScanWarning, stacklevel=2)
    in_plane = apart[1] * axes[0, :3], apart[0] * axes[0, 3:]  # as told: of enhanced files GDCM gives 1 mm
    affine = from_matvec(np.stack([*in_plane, step], 1), places[order[0]])
    affine[:2] *= -1  # DICOM counts millimeters to the left and to the back
    volume = nib.Nifti1Image(values, affine)
    volume.header.set_xyzt_units("mm")
    volume.set_sform(affine, "scanner")
    volume.set_qform(affine, "scanner")
    return volume
