"""The one door through which images go out: complete or not there, with the geometry of the scan they belong to."""

import gzip
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np

from .reading import open_image
from .refusal import raise_if, refuse, refuse_if

if sys.platform != "win32":
    import fcntl

ENDINGS = (".nii", ".nii.gz")
LONGEST_NAME = 220  # bytes: file systems take 255, and an unfinished file has a longer name
SIGNATURE = b"presimal"  # in the field of a header for a description: tells our files from those of others
UNFINISHED = ".part"
MINUTE, HOUR = 60.0, 3600.0  # seconds
ELSEWHERE = "choose another place with -o"


def check_place(file: Path, size: int, replace: bool = False) -> None:
    """Raises DataError, before anything is computed, if an image of so many bytes cannot be written to `file`: another
    ending, something there already unless it may be replaced, no folder, no permission, no room."""
    refuse_if(not file.name.endswith(ENDINGS), file, "ends in neither .nii nor .nii.gz", "call it so")
    refuse_if(file.name in ENDINGS, file, "has an ending and no name, which hides it", "put a name before the ending")
    taken = os.path.lexists(file) and not replace
    refuse_if(taken, file, "is there already, and nothing is overwritten", f"move it, or {ELSEWHERE}")
    wrong = why_not(file)  # no permission, read-only, a path too long or with a zero in it
    refuse_if(wrong, file, f"cannot be written ({wrong})", ELSEWHERE)
    full = shutil.disk_usage(folder_for(file)).free < size
    refuse_if(full, file, "does not fit on its disk", f"free some space, or {ELSEWHERE}")


def folder_for(file: Path) -> Path:
    """The folder that takes a file, or the one that takes the folders that it lacks. OSError or ValueError if the file
    cannot be made: no permission, read-only, another thing there, or a name that is none."""
    folder = file.absolute().parent
    while not (folder.exists() or folder.is_symlink()):
        folder = folder.parent
    tempfile.TemporaryFile(dir=folder).close()  # rights alone do not say it
    with suppress(FileNotFoundError):
        raise_if(not stat.S_ISREG(os.stat(file).st_mode), "a folder or a device has that name")
    raise_if(len(os.fsencode(file.name)) > LONGEST_NAME, "its name is too long")
    return folder


def why_not(file: Path | str) -> str:
    """Why a file cannot be made, in a few words; nothing if it can."""
    try:
        folder_for(Path(file))
    except (OSError, ValueError, TypeError) as problem:
        return str(getattr(problem, "strerror", None) or problem)
    return ""


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
    """Write images that belong together as `write_files` does; DataError if the disk does not take them, or if one has
    appeared meanwhile. What is there and ours, as of a run that was interrupted, is made anew."""
    new = [file for file in images if not is_ours(file)]

    def content(file: Path, image: Any) -> bytes:
        plain: bytes = image.to_bytes()
        return gzip.compress(plain, compresslevel=4, mtime=0) if file.name.endswith(".gz") else plain

    try:
        write_files(((file, content(file, image)) for file, image in images.items()), new)
    except FileExistsError:
        refuse(next(iter(images)), "has appeared meanwhile, and nothing is overwritten", f"move it, or {ELSEWHERE}")
    except OSError as problem:
        refuse(next(iter(images)), f"cannot be written ({problem.strerror})", f"free some space, or {ELSEWHERE}")


def write_files(contents: Iterable[tuple[Path, bytes]], new: Collection[Path] = ()) -> None:
    """Write files that belong together, all or none: only when the last is on the disk do they get their names. What a
    writer of the same file left unfinished when it was killed is removed. Raises OSError: FileExistsError if one of
    those that shall be `new` has appeared."""
    unfinished: dict[Path, Path] = {}
    with ExitStack() as held:
        for file, content in contents:
            file.parent.mkdir(parents=True, exist_ok=True)
            with suppress(PermissionError):  # of a folder that takes files and shows none
                _remove_abandoned(file)
            part = file.with_name(f".{file.name}.{secrets.token_hex(4)}{UNFINISHED}")
            stream = held.enter_context(part.open("xb"))  # a new file, never through a link that lies there
            held.callback(_drop, stream, part)
            if sys.platform != "win32":
                with suppress(OSError):  # a disk without locks: then nobody takes it for abandoned
                    fcntl.flock(stream, fcntl.LOCK_EX)  # until it has its name
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            if sys.platform == "win32":
                stream.close()
            unfinished[file] = part
        raise_if(any(map(os.path.lexists, new)), "there already", FileExistsError)
        for file, part in unfinished.items():
            os.replace(part, file)


def _drop(stream: IO[bytes], part: Path) -> None:
    with suppress(OSError):  # of a full disk, which has been said, once more
        stream.close()
    part.unlink(missing_ok=True)


def _remove_abandoned(file: Path) -> None:
    """Remove unfinished files of this name whose writer holds no lock, or where there are no locks is long gone."""
    for entry in os.scandir(file.parent):
        part, middle = Path(entry.path), entry.name.removeprefix(f".{file.name}.").removesuffix(UNFINISHED)
        if f".{file.name}.{middle}{UNFINISHED}" != entry.name or not entry.is_file(follow_symlinks=False):
            continue
        with suppress(OSError):  # it was finished meanwhile, is held, or is somebody else's
            age = time.time() - part.stat().st_mtime
            if sys.platform == "win32":
                if age > HOUR:
                    part.unlink()
            elif part.stat().st_size > 0 or age > MINUTE:  # before a lock is held nothing is written
                with part.open("r+b") as stream:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    part.unlink()
