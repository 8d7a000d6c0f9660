"""The one door through which images go out: complete or not there, with the geometry of the scan they belong to."""

import gzip
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from synthcohort.storage import write_atomically

from .reading import open_image
from .refusal import refuse, refuse_if

ENDINGS = (".nii", ".nii.gz")
LONGEST_NAME = 220  # bytes: file systems take 255, and an unfinished file has a longer name
SIGNATURE = b"presimal"  # in the field of a header for a description: tells our files from those of others
ELSEWHERE = "choose another place with -o"


def check_place(file: Path, size: int, replace: bool = False) -> None:
    """Raises DataError, before anything is computed, if an image of so many bytes cannot be written to `file`: another
    ending, something there already unless it may be replaced, no folder, no permission, no room."""
    refuse_if(not file.name.endswith(ENDINGS), file, "ends in neither .nii nor .nii.gz", "call it so")
    refuse_if(len(os.fsencode(file.name)) > LONGEST_NAME, file, "has too long a name", ELSEWHERE)
    taken, folder = False, file.absolute().parent
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            taken = bool(os.lstat(file)) and not replace
        refuse_if(taken, file, "is there already, and nothing is overwritten", f"move it, or {ELSEWHERE}")
        while not (folder.exists() or folder.is_symlink()):
            folder = folder.parent
        tempfile.TemporaryFile(dir=folder).close()  # rights alone do not say it
        full = shutil.disk_usage(folder).free < size
    except (OSError, ValueError) as problem:  # no permission, read-only, a path too long or with a zero in it
        refuse(file, f"cannot be written ({getattr(problem, 'strerror', problem)})", ELSEWHERE)
    refuse_if(full, file, "does not fit on its disk", f"free some space, or {ELSEWHERE}")


def is_ours(file: Path) -> bool:
    """Has this module written a file?"""
    try:
        return bytes(nib.load(file).header["descrip"]).startswith(SIGNATURE)
    except Exception:
        return False


def image_like(values: np.ndarray, like: Any, scaling: bool = False) -> Any:
    """A NIfTI image of the type of `values`; shape and affine (qform, sform, codes, units) are those of the scan
    `like`, a file or an open image, or of one volume of it where it has several. With `scaling`, `values` are numbers
    as `like` stores them, and its slope and intercept are kept."""
    source = open_image(like) if isinstance(like, (str, Path)) else like
    is_nifti = isinstance(source, nib.Nifti1Pair)  # NIfTI-2 and pairs of files too
    kind = nib.Nifti2Image if isinstance(source.header, nib.Nifti2Header) else nib.Nifti1Image
    shape = source.shape if values.size == np.prod(source.shape) else source.shape[:3]
    image = kind(values.reshape(shape), source.affine, source.header if is_nifti else None)
    image.set_data_dtype(values.dtype)
    image.header["cal_min"] = image.header["cal_max"] = 0  # the display range of the other image
    image.header["descrip"] = SIGNATURE
    stored_as = (source.dataobj.slope, source.dataobj.inter) if scaling else (1, 0)
    image.header.set_slope_inter(*stored_as)  # nibabel writes the values as they are
    return image


def write(images: Mapping[Path, Any]) -> None:
    """Write images that belong together, all or none: only when the last is on the disk do they get their names."""
    unfinished: dict[Path, Path] = {}
    try:
        for file, image in images.items():
            content, zipped = image.to_bytes(), file.name.endswith(".gz")
            unfinished[file] = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
            write_atomically(unfinished[file], gzip.compress(content, compresslevel=4, mtime=0) if zipped else content)
        for file, part in unfinished.items():
            os.replace(part, file)
    except OSError as problem:
        refuse(next(iter(images)), f"cannot be written ({problem.strerror})", f"free some space, or {ELSEWHERE}")
    finally:
        for part in unfinished.values():
            part.unlink(missing_ok=True)
