"""What the files of one DICOM series must have in common to be a volume, and what they tell of slices that are lacking.

Who a person is, is compared within a series, and neither shown nor written."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from .refusal import refuse_if

DESCRIPTION, NUMBER, MODALITY, IMAGE_TYPE = "0008|103e", "0020|0011", "0008|0060", "0008|0008"
POSITION, ORIENTATION, FRAMES, SERIES = "0020|0032", "0020|0037", "0028|0008", "0020|000e"
TIMES = ("0018|0081", "0018|0080", "0018|0082", "0018|1314")  # of echo, repetition, inversion; and the flip angle
IMAGE, INSTANCE = "0008|0018", "0020|0013"  # the name of a slice, one in the world, and its number in the series
TOLD = ("0020|1002", "0054|0081")  # how many images there are of an acquisition, of a volume
PEOPLE = ("0010|0020", "0010|0010", "0010|0030", "0020|000d")  # and their examination
SCALE = ("0028|1053", "0028|1052")  # slope and intercept
SIZE = ROWS, COLUMNS, SPACING = "0028|0010", "0028|0011", "0028|0030"
# Of pixels: bits in the file, how many of them count, sign, color, samples; the kind of sequence, what was injected.
KIND = BITS, USED, SIGN, COLOR, *_ = "0028|0100 0028|0101 0028|0103 0028|0004 0028|0002 0018|0020 0018|0010".split()
DESCRIBED = (DESCRIPTION, NUMBER, MODALITY, IMAGE_TYPE, POSITION, ORIENTATION, FRAMES, SERIES, IMAGE, INSTANCE)
WANTED = (*DESCRIBED, *TIMES, *TOLD, *PEOPLE, *SCALE, *SIZE, *KIND)
# Of the kind of an image the third value and these tell of another contrast; the rest are steps of its making.
CONTRASTS = {"M", "P", "R", "I", "WATER", "FAT", "IN_PHASE", "OUT_PHASE", "OPP_PHASE"}
NO_PLAIN_SCAN = set("ADC EADC FA DIFFUSION TRACEW PERFUSION MAP MIP MINIP MNIP PROJECTION SUBTRACTION SUB I".split())
ROUNDED = {SPACING: 1e-3, **dict.fromkeys(TIMES, 0.02)}  # numbers with more or fewer digits, by this share
PLAIN = re.compile(rb"\x02\x00\x10\x00UI..1\.2\.840\.10008\.1\.2(\.1)?\x00")  # not compressed, least byte first
PIXELS = re.compile(rb"\xe0\x7f\x10\x00(?:O[BW]\x00\x00)?(....)", re.DOTALL)  # how many bytes of them follow
BLACK_BESIDE = 0.5  # of a slice beside one of a single value: where more of it has that value, it is a background
FORM = re.compile(r"[\da-f]+", re.IGNORECASE)  # of what counts in names
CONVERT = "convert it with dcm2niix and give the NIfTI file"


def read_tags(file: Path) -> dict[str, str]:
    """The tags of a file that are asked for here, or nothing if it holds no image that can be read."""
    import SimpleITK as sitk  # 90 MB: only for those who read DICOM

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return {}
    return {tag: reader.GetMetaData(tag).strip() for tag in WANTED if reader.HasMetaDataKey(tag)}


def numbers(tags: dict[str, str], key: str, count: int) -> list[float]:
    """So many numbers of one tag, or none."""
    try:
        found = [float(one) for one in re.findall(r"[^\\\s]+", tags.get(key, ""))]
    except ValueError:
        return []
    return found if len(found) == count and np.isfinite(found).all() else []


def check_alike(tags: Sequence[dict[str, str]], name: Path) -> None:
    """Raises DataError unless files with these tags are slices of one volume of one person."""
    people = {tuple(re.sub(r"[\s^]+", " ", tag.get(key, "")).strip().lower() for key in PEOPLE) for tag in tags}
    refuse_if(len(people) > 1, name, "holds slices of two people or examinations under one series", "export each alone")
    kind, image_type = tags[0].get(MODALITY) or "MR", " ".join(tag.get(IMAGE_TYPE, "") for tag in tags)
    refuse_if(kind != "MR", name, f"is {kind} and no MRI", "give an MRI")
    refuse_if("MOSAIC" in image_type, name, "is a mosaic of slices", CONVERT)
    refuse_if("LOCALIZER" in image_type, name, "is a localizer", "give the scan itself")
    frames = any(tag.get(FRAMES, "1") not in ("", "0", "1") for tag in tags)
    refuse_if(frames, name, "is an enhanced DICOM file of many frames", CONVERT)
    kinds = {tuple(tag.get(key) for key in (ROWS, COLUMNS, *KIND, MODALITY)) for tag in tags}
    values = [enumerate(tag.get(IMAGE_TYPE, "").split("\\")) for tag in tags]
    contrasts = {tuple(word for k, word in words if k == 2 or word in CONTRASTS) for words in values}
    several = max(len(kinds), len(contrasts)) > 1 or any(_differ(tags, key, share) for key, share in ROUNDED.items())
    refuse_if(several, name, "has slices of several sizes or kinds", "give one series of one size")
    said = set(tags[0].get(IMAGE_TYPE, "").upper().split("\\")[2:])
    refuse_if(said & {"P", "PHASE", "PHASE MAP"}, name, "holds phases and no magnitudes", "give its other series")
    other = sorted(word for word in said if NO_PLAIN_SCAN & set(re.split("[ _]", word)))
    refuse_if(other, name, "is of the kind {}, and no plain scan", "give a series as T1, T2 or FLAIR")
    inverted = tags[0].get(COLOR) == "MONOCHROME1"
    refuse_if(inverted, name, "holds light for dark and dark for light (MONOCHROME1)", "export it as MONOCHROME2")


def _differ(tags: Sequence[dict[str, str]], key: str, share: float) -> bool:
    """Do the numbers of a tag differ by more than a share of themselves?"""
    if len({tag.get(key) for tag in tags}) == 1:
        return False
    rows = [numbers(tag, key, 1 + (key == SPACING)) for tag in tags]
    return not all(rows) or not (np.ptp(rows, 0) <= share * np.abs(rows[0])).all()


def lacking(tags: Sequence[dict[str, str]]) -> Iterator[str]:
    """What the tags of evenly spaced slices say of others that are not here, which could only be the first or last."""
    count = len(tags)
    for told in sorted({int(tag[key]) for tag in tags for key in TOLD if tag.get(key, "").isdecimal()}):
        if told > count and told % count:  # as many again are of another echo or time
            yield f"tells of {told} slices, and {count} are here"
    known = sorted({int(tag[INSTANCE]) for tag in tags if tag.get(INSTANCE, "").isdecimal()})
    if len(known) < count:  # not known of all, or one number for two echoes
        return
    step = min(np.diff(known))
    begins_late = known[0] > step and (known[0] - 1) % count  # not after all slices of other volumes
    if begins_late or known[-1] - known[0] != step * (count - 1):
        yield f"has {count} slices with numbers from {known[0]} to {known[-1]}"


def black(values: np.ndarray, name: Path) -> Iterator[str]:
    """Which end of (X, Y, Z) is of one value, beside slices without such a background; DataError for one between."""
    shown, count = np.flatnonzero(np.ptp(values, (0, 1))), values.shape[2]
    between = [int(k) + 2 for k in shown[:-1][np.diff(shown) > 1]]
    refuse_if(between, name, f"has no picture in slice {{}} of {count}", "copy or export it again")
    for end, beside in ((0, shown[:1]), (count - 1, shown[-1:])):
        if end not in beside and (values[..., beside] == values[0, 0, end]).sum() < BLACK_BESIDE * values[..., 0].size:
            yield f"has no picture in slice {end + 1} of {count}"


def wrong_pixels(file: Path, tags: dict[str, str]) -> str:
    """What is wrong with the pixels of a file that is not compressed, if anything: what is lacking would be read as
    whatever lies in the memory, and of larger numbers than the bits that count can hold only these would be left."""
    bits = int(tags.get(BITS) or 8)
    needed = int(tags.get(ROWS) or 0) * int(tags.get(COLUMNS) or 0) * (bits // 8)
    content = file.read_bytes()
    if content[:2] != b"\x08\0" and not PLAIN.search(content[:1000]):  # without group 2 nothing is compressed
        return ""
    starts = [at.end() for at in PIXELS.finditer(content) if int.from_bytes(at[1], "little") >= needed]
    if not starts:
        return "lacks pixels"
    signed, used = tags.get(SIGN) == "1", int(tags.get(USED) or bits)
    pixels = np.frombuffer(content[starts[0] : starts[0] + needed], f"<{'i' if signed else 'u'}{bits // 8}")
    low, high = (-(2 ** (used - 1)), 2 ** (used - 1)) if signed else (0, 2**used)
    return "" if ((pixels >= low) & (pixels < high)).all() else f"has larger numbers than its {used} bits hold"


def check_left_out(slices: Iterable[Path], others: Iterable[Path]) -> None:
    """Raises DataError if one of `others`, which hold no DICOM, lies beside slices and is empty, or is called as they
    are, digits apart: a slice whose copy failed."""
    names = {(file.parent, FORM.sub("0", file.name)) for file in slices}
    for file in others:
        empty = not file.stat().st_size and any(file.parent == folder for folder, _ in names)
        failed = empty or (file.parent, FORM.sub("0", file.name)) in names
        refuse_if(failed, file, "is empty or damaged, among slices of a series", "copy it again or remove it")
