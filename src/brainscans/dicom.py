"""DICOM in: the series of a folder, and one of them as an image, or one sentence that says why not.

What identifies a person stands in the same files; none of it is read, shown or written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from nibabel.affines import from_matvec

from .refusal import refuse, refuse_if

DESCRIPTION, NUMBER, MODALITY, IMAGE_TYPE = "0008|103e", "0020|0011", "0008|0060", "0008|0008"
POSITION, ORIENTATION, FRAMES, SYNTAX = "0020|0032", "0020|0037", "0028|0008", "0002|0010"
SERIES = "0020|000e"
UNEVEN = 0.02  # of the distance between slices
CONVERT = "convert it with dcm2niix and give the NIfTI file"


@dataclass(frozen=True)
class Series:
    """The files of one DICOM series, in their order along the normal of the slices."""

    description: str
    number: str
    files: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.number} {self.description!r} ({len(self.files)} files)"


def is_dicom(file: Path) -> bool:
    """Has a file the mark of DICOM, after 128 bytes of anything?"""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def list_series(folder: Path) -> list[Series]:
    """All series of images in a folder and what lies below it, by number."""
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*")):
        if not file.name.startswith(".") and is_dicom(file) and (tags := _tags(file)):
            files.setdefault(tags.get(SERIES, ""), []).append(file)
    found = []
    for members in files.values():
        tags = _tags(members[0])
        found.append(Series(tags.get(DESCRIPTION, ""), tags.get(NUMBER, ""), tuple(members)))
    return sorted(found, key=lambda series: (series.number.zfill(6), series.description))


# Words in the description of a series, for each contrast the first that fits; what excludes it stands behind.
WORDS = {
    "flair": (r"flair|dark.?fluid|tirm", r"$^"),
    "t1gd": (r"t1.*(\+c|gd|gad|ce\b|km|post|contrast)|(\+c|gd|gad|post|contrast).*t1", r"flair"),
    "t1": (r"t1|mprage|spgr|bravo|tfe", r"flair|\+c|gd|gad|ce\b|km|post|contrast"),
    "t2": (r"t2", r"flair|dark.?fluid|star|\*|tirm"),
}


def propose(series: Sequence[Series]) -> dict[str, Series]:
    """Which series are probably which contrast, by the words of their descriptions and the most slices."""
    found = {}
    for key, (words, others) in WORDS.items():
        text = {one: one.description.lower().replace("_", " ") for one in series}
        fitting = [one for one in series if re.search(words, text[one]) and not re.search(others, text[one])]
        if fitting:
            found[key] = max(fitting, key=lambda one: len(one.files))
    return found


def holds_series(folder: Path) -> bool:
    """Does a DICOM file lie in a folder or below it?"""
    return folder.is_dir() and any(is_dicom(file) for file in folder.rglob("*"))


def open_series(path: Path) -> nib.Nifti1Image:
    """A series as an image in memory: the one of a folder, the one that a file belongs to, or FOLDER/NAME, where NAME
    is its number or its description. DataError if it is not one volume of upright, evenly spaced slices."""
    if path.is_file():
        own = _tags(path).get(SERIES)
        beside = [file for file in sorted(path.parent.iterdir()) if is_dicom(file)]
        return to_image([file for file in beside if _tags(file).get(SERIES) == own], path)
    folder, name = (path, None) if path.is_dir() else (path.parent, path.name)
    series = list_series(folder)
    refuse_if(not series, folder, "holds no DICOM image", "name a scan, or the folder of a series")
    fitting = [one for one in series if name in (None, one.number, one.description)]
    if len(fitting) != 1:
        asked = "several series" if name is None else f"{len(fitting)} series called {name!r}"
        listed = ", ".join(map(str, series))
        refuse(folder, f"holds {asked}", f"name one as {folder / series[0].number}, among {listed}")
    return to_image(fitting[0].files, path)


def to_image(files: Sequence[Path], name: Path) -> nib.Nifti1Image:
    """The slices of one series as an image; errors begin with `name`."""
    tags = [_tags(file) for file in files]
    first = tags[0]
    refuse_if(not all(tags), name, "holds DICOM that cannot be read", "export it again")
    kind, image_type = first.get(MODALITY, "MR"), first.get(IMAGE_TYPE, "")
    refuse_if(kind != "MR", name, f"is {kind} and no MRI", "give an MRI")
    refuse_if("MOSAIC" in image_type, name, "is a mosaic of slices", CONVERT)
    refuse_if("LOCALIZER" in image_type, name, "is a localizer", "give the scan itself")
    refuse_if(int(first.get(FRAMES) or 1) > 1, name, "is an enhanced DICOM file of many frames", CONVERT)
    nowhere = any(POSITION not in tag or ORIENTATION not in tag for tag in tags)
    refuse_if(nowhere, name, "has slices without a place in space", "export the original images")
    axes, places = (np.array([tag[key].split("\\") for tag in tags], float) for key in (ORIENTATION, POSITION))
    several = np.abs(axes - axes[0]).max() > 1e-3
    refuse_if(several, name, "has slices of several orientations", "give the scan itself and no localizer")
    refuse_if(len(files) < 8, name, f"has {len(files)} slice(s)", "give a whole volume")
    normal = np.cross(axes[0, :3], axes[0, 3:])
    order = np.argsort(places @ normal, kind="stable")
    steps = np.diff(places[order], axis=0)
    along = steps @ normal
    spacing = float(np.median(along))
    doubled = along.min() < 0.01 * spacing or spacing <= 0
    refuse_if(doubled, name, "has two slices at one place, as of two echoes or times", "give one of them")
    refuse_if(np.ptp(along) > UNEVEN * spacing, name, "lacks a slice, or is unevenly spaced", "export it again, whole")
    shifted = np.abs(steps - along[:, None] * normal).max() > UNEVEN * spacing
    refuse_if(shifted, name, "has slices that are shifted against each other, as by a tilted gantry", CONVERT)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(files[k]) for k in order])
    try:
        image = reader.Execute()
    except RuntimeError:
        refuse(name, f"is encoded in a way that cannot be read here ({first.get(SYNTAX, 'unknown')})", CONVERT)
    values = sitk.GetArrayFromImage(image).T
    refuse_if(values.ndim != 3, name, "is in color", "give the original images")
    in_plane = [length * axes[0, 3 * k : 3 * k + 3] for k, length in enumerate(image.GetSpacing()[:2])]
    affine = from_matvec(np.stack([*in_plane, spacing * normal], 1), places[order[0]])
    affine[:2] *= -1  # DICOM counts millimeters to the left and to the back
    return nib.Nifti1Image(values, affine)


def _tags(file: Path) -> dict[str, str]:
    """The tags of a file that are asked for here, or nothing if it holds no image that can be read."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return {}
    wanted = (DESCRIPTION, NUMBER, MODALITY, IMAGE_TYPE, POSITION, ORIENTATION, FRAMES, SYNTAX, SERIES)
    return {tag: reader.GetMetaData(tag).strip() for tag in wanted if reader.HasMetaDataKey(tag)}
