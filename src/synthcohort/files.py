"""The cohort on disk, in the layouts of real data sets: made once, resumed, never silently stale.

    data_folder()/cohort-4mm-seed0-DIGEST/
        brain_age/             as IXI: dataset.csv, T1_images/
        Task01_BrainTumour/    as the Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/, clinical.csv
        heads/                 as IXITiny: image/, label/, dataset.csv

DIGEST changes with the code and settings that made the files. Each set also holds truth.csv, which no student may train
on, and manifest.json: a checksum of every file, and the true volumes, saved after every few people. A file appears in
one move, so whatever ends the process, the next one goes on from there.
"""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from .cohort import SPACINGS, Batch, Cohort
from .people import Settings
from .storage import DataError, data_folder, digest, in_one_sentence, lock, write_atomically
from .tissue_maps import MSD_CONTRASTS

MANIFEST = "manifest.json"
MOST = 100_000  # people of a set: 25 GB, and a night
BATCH = 16  # people between two saves of the manifest: half a second of work at 4 mm
SCALE = 1000  # stored integer per unit of signal; the noise is ten times coarser than its steps
DECATHLON = json.loads((Path(__file__).parent / "decathlon.json").read_text("utf-8"))  # of every dataset.json


@dataclass(frozen=True)
class Written:
    """The files of one person, name -> SHA-256, and the true volumes, name -> ml."""

    files: dict[str, str]
    volumes: dict[str, float]


@dataclass(frozen=True)
class Manifest:
    """What has been written into a folder so far: of each number, and the tables, name -> SHA-256, once all is done."""

    people: dict[int, Written]
    tables: dict[str, str]

    def save(self, folder: Path) -> None:
        write_atomically(folder / MANIFEST, json.dumps(asdict(self)).encode())


@dataclass(frozen=True)
class Layout:
    """How one set is laid out; `image` and `label` are file names round a person's id."""

    kind: str
    folder: str
    subjects: int
    contrasts: tuple[str, ...]
    image: str
    label: str = ""


SETS = {
    "brain_age": Layout("brain", "brain_age", 900, ("t1",), "T1_images/{}-T1.nii.gz"),
    "tumors": Layout("tumor", "Task01_BrainTumour", 300, MSD_CONTRASTS, "imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz"),
    "heads": Layout("head", "heads", 200, ("t1",), "image/{}_image.nii.gz", "label/{}_label.nii.gz"),
}


def generator_version() -> str:
    """A digest of the code and settings that make the sets. Randomized images are never written, and do not count."""
    return digest(Path(__file__).parent, asdict(Settings()), without=("randomization",))


def set_folder(name: str, spacing: float = 4.0, seed: int = 0, root: Path | None = None) -> Path:
    """The folder of a set, a key of SETS, in `root` or the data folder; made or not. DataError for another name."""
    if name not in SETS:
        raise DataError(f"{name!r} is not a set of the cohort: choose from {', '.join(SETS)}.")
    size = str(spacing).removesuffix(".0")  # all digits: 4.0000001 is not 4
    return (root or data_folder()) / f"cohort-{size}mm-seed{seed}-{generator_version()}" / SETS[name].folder


def ensure(
    name: str, subjects: int | None = None, spacing: float = 4.0, seed: int = 0, progress: bool = True,
    device: torch.device | str = "cpu", root: Path | None = None,
) -> Path:  # fmt: skip
    """The folder of a set with at least the first `subjects` people in it; `spacing` is the voxel size in mm. What is
    missing, damaged or edited is made (again), the rest stays; two processes that ask at once make it once. Raises
    DataError if a number makes no sense or the disk is full or cannot be written."""
    folder, layout = set_folder(name, spacing, seed, root), SETS[name]
    count = layout.subjects if subjects is None else subjects
    if not 1 <= count <= MOST:
        raise DataError(f"subjects must be 1 to {MOST}, not {count}.")
    if not SPACINGS[0] <= spacing <= SPACINGS[1]:
        raise DataError(f"spacing must be {SPACINGS[0]} to {SPACINGS[1]:g} mm, not {spacing:g}.")
    if _is_ready(folder, count):  # without the lock: the folder may be read-only
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder):
            if not _is_ready(folder, count):
                _make(folder, layout, count, spacing, Cohort(seed, device), progress)
    except Exception as problem:  # safetensors, which writes the template, has its own class
        raise in_one_sentence(problem, folder) from None
    return folder


def nifti(values: np.ndarray, affine: np.ndarray, description: str, space: str) -> bytes:
    """A gzipped NIfTI-1 file. `values` (X, Y, Z) or (X, Y, Z, C); `affine` voxel to RAS mm; `space` "aligned" if in
    register with a template, else "scanner". Level 1 of gzip: level 6 takes three times as long and saves 2 %."""
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, space)
    image.set_qform(affine, space)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = description.encode()[:79]
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def read_manifest(folder: Path) -> Manifest:
    """What has been written into a folder so far, with no people and no tables if nothing."""
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
        return Manifest({int(n): Written(**entry) for n, entry in found["people"].items()}, dict(found["tables"]))
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ):  # absent, cut short, or somebody's own
        return Manifest({}, {})


def _is_ready(folder: Path, count: int) -> bool:
    manifest = read_manifest(folder)
    return bool(manifest.tables) and _intact(folder, manifest.tables) and not _missing(folder, manifest.people, count)


def _missing(folder: Path, people: dict[int, Written], count: int) -> list[int]:
    """Numbers below `count` whose files are not there, or not as they were made."""
    return [n for n in range(count) if n not in people or not _intact(folder, people[n].files)]


def _intact(folder: Path, checksums: dict[str, str]) -> bool:
    try:
        found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in checksums}
    except OSError:
        return False
    return found == checksums


def _make(folder: Path, layout: Layout, count: int, spacing: float, cohort: Cohort, progress: bool) -> None:
    people = read_manifest(folder).people
    for leftover in folder.rglob(".*.part"):  # of a process that was killed
        leftover.unlink()
    missing = _missing(folder, people, count)
    shown = {"desc": f"generating {layout.folder}", "unit": "person", "disable": not progress, "leave": False}
    with tqdm(total=count, initial=count - len(missing), **shown) as bar:
        for start in range(0, len(missing), BATCH):
            numbers = missing[start : start + BATCH]
            batch = cohort.render(numbers, layout.kind, spacing, layout.contrasts)
            people = people | _write_people(folder, layout, batch, cohort.seed)
            Manifest(people, {}).save(folder)
            bar.update(len(numbers))
    tables = _tables(layout, cohort, people)
    Manifest(people, {name: write_atomically(folder / name, text.encode()) for name, text in tables}).save(folder)


def _write_people(folder: Path, layout: Layout, batch: Batch, seed: int) -> dict[int, Written]:
    """Write the images of some people; returns what is written of each."""
    affine = batch.affine.cpu().numpy()
    images = (batch.images * SCALE).round().clamp(0, 32767).cpu().numpy().astype(np.int16)
    labels = batch.labels.cpu().numpy()
    space, entries = "scanner" if layout.kind == "head" else "aligned", {}
    for row, number in enumerate(batch.numbers):
        subject = f"{layout.kind}-{number:04d}"
        image = images[row, 0] if len(layout.contrasts) == 1 else np.moveaxis(images[row], 0, -1)
        volumes = {layout.image: image} | ({layout.label: labels[row]} if layout.label else {})
        description = f"presimal cohort, seed {seed}, {subject}"
        contents = {name.format(subject): nifti(v, affine, description, space) for name, v in volumes.items()}
        files = {name: write_atomically(folder / name, content) for name, content in contents.items()}
        measured = {name: round(float(values[row]), 4) for name, values in batch.volumes.items()}
        entries[number] = Written(files, measured)
    return entries


def _tables(layout: Layout, cohort: Cohort, people: dict[int, Written]) -> Iterator[tuple[str, str]]:
    """(file name, content) of what lies beside the images."""
    numbers = sorted(people)
    rows = cohort.people(numbers, layout.kind).drop(columns="number")
    images, labels = ([pattern.format(s) for s in rows.subject_id] for pattern in (layout.image, layout.label))
    if layout.kind == "tumor":
        cases = [{"image": f"./{i}", "label": f"./{label}"} for i, label in zip(images, labels, strict=True)]
        listed = {"numTraining": len(cases), "numTest": 0, "training": cases, "test": []}
        yield "dataset.json", json.dumps(DECATHLON | {"release": generator_version()} | listed, indent=1)
        yield "clinical.csv", rows.to_csv(index=False)
    else:
        table = rows.rename(columns={"sex": "gender", "age": "age_at_scan"})
        table.insert(0, "t1_path", images)
        yield "dataset.csv", (table.assign(labels=labels) if layout.label else table).to_csv(index=False)
    truth = cohort.truth(numbers, layout.kind).drop(columns="number")
    volumes = pd.DataFrame([people[number].volumes for number in numbers])
    volumes.columns = pd.Index(f"measured_{n}" if n == "fraction" else f"measured_{n}_ml" for n in volumes)
    truth.insert(0, "subject_id", rows.subject_id)
    yield "truth.csv", pd.concat([truth, volumes], axis=1).to_csv(index=False)
