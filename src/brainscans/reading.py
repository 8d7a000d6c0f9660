"""The one door through which images come in: what is wrong with a file is said in one sentence, or it is a volume."""

import bz2
import errno
import gzip
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil
from nibabel.affines import voxel_sizes
from nibabel.tripwire import TripWireError
from scipy.spatial.transform import Rotation

from synthcohort.storage import DataError

from . import dicom
from .refusal import ScanWarning, refuse, refuse_if

COPY_AGAIN = "copy or download it again"
NO_ORIENTATION = "says nothing of its orientation (no sform or qform code): taken as left-anterior-superior, check it"
ENDINGS = (".nii", ".gz", ".bz2", ".mgz", ".mgh", ".img", ".hdr", ".mha", ".nrrd")  # of files, and of no series
NIFTI = re.compile(r".*\.(nii|img|hdr)(\.gz|\.bz2)?", re.IGNORECASE | re.DOTALL)  # names by which readers know it
ZIPPED: dict[str, Any] = {".gz": gzip.open, ".mgz": gzip.open, ".bz2": bz2.open}
DENSEST = 1032  # bytes that gzip can make of one
MGH_TYPES = (0, 1, 3, 4)  # unsigned bytes, integers, floats, short integers
SHEARED = 0.05  # cosine between two axes, beyond which they are not at right angles
FEWEST_VALUES = 12  # of an image; less are labels
# Of neighbors among bright voxels, along each axis, so many hold the same number: in scans at most 0.13, or 0.58 where
# every voxel was doubled; in maps of 50 to 150 labels at 1 to 4 mm at least 0.63.
SAME_AS_NEIGHBOR = 0.6
# Air and soft tissue of a CT, Hounsfield units, and how much of a scan, and of what is no air, they are at least.
AIR, SOFT, LEAST_AIR, LEAST_SOFT = (-1100, -900), (-150, 150), 0.05, 0.6
FARTHEST = 1e6  # mm, of a scan from the origin of its coordinates
UNITS = {1: "meter", 3: "micron"}  # codes of NIfTI; 2 are millimeters, 0 is not said, and others are damage
LARGEST = 1e15  # of the brightest voxel: float32 holds the sum of all squares
SMALLEST = 1e-5  # what is less than 1e-6, networks are shown as black


def open_image(file: Path | str) -> Any:
    """A nibabel image that has voxels and an affine: of NIfTI, MGZ and whatever else nibabel reads, or of DICOM, as
    `dicom.open_series` takes it. DataError with the true cause if there is none."""
    file = Path(file)
    try:
        names_series = not file.exists() and not file.name.lower().endswith(ENDINGS)
        if file.is_dir() or dicom.is_dicom(file) or (names_series and dicom.holds_series(file.parent)):
            return dicom.open_series(file)
        nowhere = file.is_symlink() and not file.exists()
        refuse_if(nowhere, file, "is a link that leads nowhere", "restore what it should lead to")
        refuse_if(not file.exists(), file, "is not there", "check the path")
        refuse_if(not file.is_file(), file, "is a device or a pipe and no file", "give a file")
        refuse_if(file.stat().st_size == 0, file, "is empty", COPY_AGAIN)
        _check_name(file)
        size = _read_to_the_end(file)
        image: Any = nib.load(file)
        if (other := Path(image.file_map["image"].filename or file)) != file:  # of a pair
            refuse_if(not other.exists(), file, f"lacks its voxels, {other.name}", "put both files in one folder")
            size = _read_to_the_end(other)
        if isinstance(image, nib.Nifti1Pair):
            with image.file_map.get("header", image.file_map["image"]).get_prepare_fileobj("rb") as stream:
                raw = type(image.header).from_fileobj(stream, check=False)  # before nibabel makes 1 mm of no size
            nothing = not raw["sform_code"] and not (np.isfinite(raw["pixdim"][1:4]) & (raw["pixdim"][1:4] != 0)).all()
            lengths = " x ".join(map(str, raw["pixdim"][1:4]))
            refuse_if(nothing, file, f"has voxels of {lengths} mm", "set their size in its header")
            begins = image.dataobj.offset
            early = isinstance(image, nib.Nifti1Image) and begins < len(image.header.binaryblock)  # and no pair
            refuse_if(early, file, f"is damaged: voxels begin at byte {begins}, within its header", "export it again")
            left = size - begins - math.prod(image.shape) * image.get_data_dtype().itemsize
            if left > 0:  # as after a transfer as text, or from a header that tells of less
                said = f"has {left} bytes more than its header tells of: look whether its picture is whole"
                warnings.warn(f"{file} {said}.", ScanWarning, stacklevel=2)
        if isinstance(image, nib.MGHImage):
            with image.file_map["image"].get_prepare_fileobj("rb") as stream:
                unplaced = stream.read(30)[28:] == b"\0\0"  # for FreeSurfer left-inferior-anterior, not for nibabel
            refuse_if(unplaced, file, "does not say where it lies (its RAS flag is 0)", "set it with mri_convert")
    except DataError:
        raise
    except PermissionError:
        refuse(file, "may not be read", "ask its owner for permission")
    except gzip.BadGzipFile:
        refuse(file, "is damaged, or not compressed as its name says", COPY_AGAIN)
    except (EOFError, zlib.error):
        refuse(file, "is cut short or damaged", COPY_AGAIN)
    except (nib.filebasedimages.ImageFileError, ImportError, TripWireError):  # some kinds need more libraries
        refuse(file, "is no image of a kind that can be read here", "give NIfTI (.nii, .nii.gz), MGZ or DICOM")
    except FileNotFoundError:  # there it is, but nibabel looks for .Nii.gz as .nii.gz
        refuse(file, "has a name that ends in large and small letters", "write its ending in small ones")
    except Exception as problem:  # of any reader: whatever it stumbles over stands in the header
        if isinstance(problem, OSError) and problem.errno != errno.EINVAL:  # of a file with a negative size
            refuse(file, f"cannot be read ({problem.strerror or problem})", "check the path and the disk")
        said = "orientation (qform)" if "w2 should" in str(problem) else " ".join(str(problem).split())
        about = said if " " in said else type(problem).__name__
        refuse(file, f"has a damaged header: {about}", "export it again, or repair the header")
    placed = getattr(image, "affine", None) is not None and hasattr(image, "dataobj")  # surfaces and tables are not
    refuse_if(not placed, file, "holds no voxels with a place in space", "give an image")
    return image


def _check_name(file: Path) -> None:
    """Raises DataError for NIfTI under a name of another kind, which its reader would call damaged, or compressed in
    silence, and for MGH of an impossible size; what gzip raises."""
    with file.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    with gzip.open(file) if zipped else file.open("rb") as stream:
        start = stream.read(348)
    nifti = start[344:347] in (b"n+1", b"ni1") or start[4:7] in (b"n+2", b"ni2")
    ending = ".nii.gz" if zipped else ".nii"
    refuse_if(nifti and not NIFTI.fullmatch(file.name), file, "is NIfTI under another name", f"let it end in {ending}")
    unsaid = zipped and nifti and not file.name.lower().endswith(".gz")
    refuse_if(unsaid, file, "is compressed, of which its name says nothing", "let it end in .gz")
    if file.name.lower().endswith((".mgh", ".mgz")) and len(start) >= 42:
        (*shape, kind), lengths = struct.unpack(">5i", start[4:24]), struct.unpack(">3f", start[30:42])
        odd = min(shape) < 1 or math.prod(shape) > DENSEST * file.stat().st_size or kind not in MGH_TYPES
        odd = odd or (start[28:30] != b"\0\0" and not min(lengths) > 0)  # which it tells only with that flag
        told = f"it tells of {shape} voxels of type {kind} and {lengths} mm"
        refuse_if(odd, file, f"has a damaged header: {told}", "export it again")


def _read_to_the_end(file: Path) -> int:
    """The bytes in a file, unzipped. Raises what gzip and bz2 raise for a wrong checksum, which stands after the last
    voxel, where no reader looks; for a file that may not be read PermissionError, which some readers hide."""
    most, size = psutil.virtual_memory().available, 0
    file.open("rb").close()
    if not (unzipped := ZIPPED.get(file.suffix.lower())):
        return file.stat().st_size
    with unzipped(file) as stream:
        while block := stream.read(2**22):
            size += len(block)
            refuse_if(size > most, file, "is too large for this memory", "use a machine with more")
    return size


def read(file: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Values as stored (scaled if the header says so), without trailing or inner axes of length one, and the affine,
    voxel to RAS mm; DataError if it cannot be read."""
    image = open_image(file)
    return _voxels(image, file), image.affine


def _voxels(image: Any, file: Path | str) -> np.ndarray:
    shape = tuple(map(int, image.shape))
    large = 8 * math.prod(shape) > psutil.virtual_memory().available
    refuse_if(large, file, f"has shape {shape}, too large for this memory", "use a machine with more")
    try:
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # overflow, seen as infinity below
            values = np.asanyarray(image.dataobj)
    except MemoryError:
        refuse(file, f"has shape {shape}, too large for this memory", "use a machine with more")
    except Exception:  # of any reader: its header was sound
        refuse(file, "is cut short or damaged", COPY_AGAIN)
    return values.squeeze(tuple(axis for axis in range(3, values.ndim) if values.shape[axis] == 1))


def read_image(file: Path | str, channels: int = 1, image: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (X, Y, Z), or (X, Y, Z, channels) for several, as stored, and the affine, voxel to RAS mm; of `image` if
    the file is open already. DataError for what is no such image: unreadable, another shape, NaN, constant, labels,
    no geometry. Warns of one without orientation."""
    image = image or open_image(file)
    values, affine = _voxels(image, file), image.affine
    shape, several = f"has shape {values.shape}", channels > 1
    first = values.ndim > 3 and values.shape[0] in (1, channels)
    refuse_if(first, file, f"{shape}, whose first axis is none of space", "store X, Y and Z first")
    refuse_if(not several and values.ndim != 3, file, f"{shape}, not one volume", "store one volume per file")
    missing = ": a modality is missing" * (math.prod(values.shape[3:]) < channels)
    remedy = "stack all modalities in one file, in their order"
    refuse_if(several and values.shape[3:] != (channels,), file, f"{shape}, not (X, Y, Z, {channels}){missing}", remedy)
    refuse_if(min(values.shape[:3]) < 8, file, f"{shape}, a slice and no volume", "store the whole volume")
    refuse_if(values.dtype.kind not in "iuf", file, f"holds values of type {values.dtype}", "store real numbers")
    finite, which = np.isfinite(values).all(), "modality {}" if several else "the volume"
    refuse_if(not finite, file, "holds NaN or infinite voxels", "repair the export, or leave the case out")
    constant = list(np.flatnonzero(np.ptp(values, axis=(0, 1, 2)) == 0))
    refuse_if(constant, file, f"{which} has one value everywhere", "export it again or leave it out")
    volumes = values.reshape(-1, channels, order="F").T
    few = [k for k, one in enumerate(volumes) if len(np.unique(one[:: max(1, one.size // 200_000)])) < FEWEST_VALUES]
    few = few or [k for k in range(channels) if _holds_labels(values[..., k] if several else values)]
    refuse_if(few, file, f"{which} holds labels and no image", "give the scan itself")
    air, soft = ([((one > low) & (one < high)).sum() for one in volumes] for low, high in (AIR, SOFT))
    rest = [max(1, (one > AIR[1] / 2).sum()) for one in volumes]
    computed = [k for k, of in enumerate(rest) if air[k] > LEAST_AIR * volumes[k].size and soft[k] > LEAST_SOFT * of]
    refuse_if(computed, file, f"{which} holds the Hounsfield units of a CT", "give an MRI")
    top = max(abs(float(values.max())), abs(float(values.min())))
    odd_unit = not SMALLEST < top < LARGEST
    refuse_if(odd_unit, file, f"has values up to {top:.3g}", "correct slope and intercept in its header")
    check_affine(affine, file)
    for said in _notes(image):
        warnings.warn(f"{file} {said}.", ScanWarning, stacklevel=2)
    return values, affine


def _notes(image: Any) -> Iterator[str]:
    """What a user should know of how an image says where it lies."""
    header, codes, mirrored = image.header, [0], np.linalg.det(image.affine) < 0
    if isinstance(image, nib.Nifti1Pair):
        codes = [header["sform_code"], header["qform_code"]]
        if unit := UNITS.get(int(header["xyzt_units"]) % 8):
            yield f"gives its lengths in {unit}s: taken as millimeters, as for a head they must be"
        turn, flip = [float(header[f"quatern_{axis}"]) for axis in "bcd"], np.copysign(1, header["pixdim"][0])
        axes = Rotation.from_quat([*turn, max(0, 1 - np.dot(turn, turn)) ** 0.5]).as_matrix() * [1, 1, flip]
        if all(codes) and ((axes * image.affine[:3, :3]).sum(0) / voxel_sizes(image.affine)).min() < 0.5:  # 60 degrees
            yield "says twice how it lies, and its sform, which is taken, contradicts its qform: check it"
        if codes[0] and not np.allclose(header["pixdim"][1:4], voxel_sizes(image.affine), rtol=0.05):
            yield "says two sizes of its voxels, of which that of its sform is taken: check it"
    if isinstance(image, nib.AnalyzeImage) and mirrored and not any(codes):  # NIfTI too; no .mat of SPM99
        yield NO_ORIENTATION


def _holds_labels(values: np.ndarray) -> bool:
    """Are most bright voxels of a volume (X, Y, Z), those of the largest value apart, as their neighbors are? Nor do
    those of the first corner's count: with a mean of 0 in the brain, the background may be the brighter half."""
    mean, top, same = values.mean(), values.max(), []
    background = values[0, 0, 0]
    for axis in range(3):
        rows = np.moveaxis(values, axis, 0)[:, ::3, ::3]
        one, other = rows[:-1], rows[1:]
        bright = (one > mean) & (other > mean) & (one < top) & (other < top) & (one != background)
        same.append((one == other)[bright].mean() if bright.any() else 0.0)
    return min(same) > SAME_AS_NEIGHBOR


def check_affine(affine: np.ndarray, file: Path | str) -> None:
    """Raises DataError for an affine, voxel to RAS mm, that is not that of a scan of a head."""
    flat = not np.abs(affine).max() < LARGEST or abs(np.linalg.det(affine[:3, :3])) < 1e-9  # NaN is not below it
    refuse_if(flat, file, "has an affine that cannot be inverted", "set the orientation in its header")
    far = np.abs(affine[:3, 3]).max() > FARTHEST
    refuse_if(far, file, "lies more than a kilometer from its origin", "correct the orientation in its header")
    spacing = voxel_sizes(affine)
    odd, shown = spacing.clip(0.1, 20.0) != spacing, " x ".join(f"{length:.3g}" for length in spacing)
    refuse_if(odd.any(), file, f"has voxels of {shown} mm", "correct the unit in its header to millimeters")
    axes = affine[:3, :3] / spacing
    sheared = np.abs(axes.T @ axes - np.eye(3)).max() > SHEARED
    refuse_if(sheared, file, "has axes that are not at right angles", "resample it onto an upright grid")
