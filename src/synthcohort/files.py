"""The cohort on disk, in the layouts of real data sets: made once, resumed, never silently stale.

    folder = ensure("tumors")      # makes what is missing, and only that

    data_folder()/cohort-4mm-seed0-DIGEST/
        brain_age/             as IXI: dataset.csv, T1_images/
        Task01_BrainTumour/    as the Medical Segmentation Decathlon: dataset.json, imagesTr/, labelsTr/; clinical.csv
                               beside them
        heads/                 as IXITiny: image/, label/, dataset.csv

DIGEST changes with the code and the settings that made the files. Each set also holds truth.csv, which no student may
train on, and manifest.json: the settings, the version of the generator and a checksum of every file. The manifest is
saved after every few people and a file appears in one move, so whatever ends the process, the next one goes on from
there.
"""

import gzip
import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from tqdm import tqdm

from .cohort import Batch, Cohort
from .layouts import SETS, Layout, image_files, tables
from .people import Settings
from .storage import DataError, data_folder, digest, in_one_sentence, lock, write_atomically

MANIFEST = "manifest.json"
BATCH = 16  # people between two saves of the manifest: half a second of work at 4 mm
SCALE = 1000  # stored integer per unit of signal; the noise is ten times coarser than its steps
SPACINGS = (0.5, 16.0)  # mm


def generator_version() -> str:
    """A digest of the code of this package: it changes whenever images may. Randomized images are never written."""
    return digest(Path(__file__).parent, without=("randomization",))


def set_folder(name: str, spacing: float = 4.0, seed: int = 0, root: Path | None = None) -> Path:
    """The folder of a set ("brain_age", "tumors", "heads"), whether it has been made or not.

    `root` is the folder that holds all data by default. Raises DataError for another name.
    """
    if name not in SETS:
        raise DataError(f"{name!r} is not a set of the cohort: choose from {', '.join(SETS)}.")
    made_by = digest(Path(__file__).parent, asdict(Settings()), without=("randomization",))
    return (root or data_folder()) / f"cohort-{spacing:g}mm-seed{seed}-{made_by}" / SETS[name].folder


def ensure(
    name: str,
    subjects: int | None = None,
    spacing: float = 4.0,
    seed: int = 0,
    progress: bool = True,
    device: torch.device | str = "cpu",
    root: Path | None = None,
) -> Path:
    """The folder of a set with at least the first `subjects` people in it, all files intact.

    What is there and as it was made stays; what is missing, damaged or edited is made again. `spacing` is the voxel
    size in mm. Two processes that ask at once make it once.

    Raises DataError if a number makes no sense or the disk is full or cannot be written.
    """
    folder = set_folder(name, spacing, seed, root)
    layout = SETS[name]
    count = layout.subjects if subjects is None else subjects
    if count < 1:
        raise DataError(f"subjects must be at least 1, not {count}.")
    if not SPACINGS[0] <= spacing <= SPACINGS[1]:
        raise DataError(f"spacing must be {SPACINGS[0]} to {SPACINGS[1]:g} mm, not {spacing:g}.")
    settings = _settings(layout, spacing, seed)
    if _is_ready(folder, settings, count):  # without the lock: the folder may be read-only
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder):
            if not _is_ready(folder, settings, count):
                _make(folder, layout, settings, count, Cohort(seed, device), progress)
    except Exception as problem:  # safetensors, which writes the template, has its own class
        raise in_one_sentence(problem, folder) from None
    return folder


def nifti(values: np.ndarray, affine: np.ndarray, description: str, space: str) -> bytes:
    """A gzipped NIfTI-1 file. `values` (X, Y, Z) or (X, Y, Z, C); `affine` voxel to RAS mm.

    `space` is "aligned" for images in register with a template, "scanner" for others. Level 1 of gzip: level 6 takes
    three times as long and saves 2 %, because noise does not compress.
    """
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, space)
    image.set_qform(affine, space)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = description.encode()[:79]
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def _settings(layout: Layout, spacing: float, seed: int) -> dict:
    settings = {
        "generator": generator_version(),
        "kind": layout.kind,
        "contrasts": layout.contrasts,
        "spacing_mm": float(spacing),
        "seed": seed,
        **asdict(Settings()),
    }
    return json.loads(json.dumps(settings))  # as it will be read: tuples become lists


def read_manifest(folder: Path) -> dict:
    """What has been written into a folder so far, {} if nothing: settings, people, tables."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return manifest if {"settings", "people", "tables"} <= manifest.keys() else {}
    except (OSError, ValueError, AttributeError):  # absent, cut short, or somebody's own
        return {}


def _is_ready(folder: Path, settings: dict, count: int) -> bool:
    manifest = read_manifest(folder)
    return (
        manifest.get("settings") == settings
        and bool(manifest["tables"])
        and _intact(folder, manifest["tables"])
        and not _missing(folder, manifest, count)
    )


def _missing(folder: Path, manifest: dict, count: int) -> list[int]:
    """Numbers below `count` whose files are not there, or not as they were made."""
    people = manifest["people"]
    return [n for n in range(count) if str(n) not in people or not _intact(folder, people[str(n)]["files"])]


def _intact(folder: Path, checksums: dict[str, str]) -> bool:
    try:
        return all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected for name, expected in checksums.items()
        )
    except OSError:
        return False


def _make(folder: Path, layout: Layout, settings: dict, count: int, cohort: Cohort, progress: bool) -> None:
    manifest = read_manifest(folder)
    if manifest.get("settings") != settings:  # somebody's own files, or none
        if folder.exists():
            shutil.rmtree(folder)
        manifest = {"settings": settings, "people": {}, "tables": {}}
    for leftover in folder.rglob(".*.part"):  # of a process that was killed
        leftover.unlink()
    missing = _missing(folder, manifest, count)
    manifest["tables"] = {}
    with tqdm(
        total=count,
        initial=count - len(missing),
        desc=f"generating {layout.folder}",
        unit="person",
        disable=not progress,
        leave=False,
    ) as bar:
        for start in range(0, len(missing), BATCH):
            numbers = missing[start : start + BATCH]
            batch = cohort.render(numbers, layout.kind, settings["spacing_mm"], layout.contrasts)
            manifest["people"].update(_write_people(folder, layout, batch, cohort.seed))
            _save(folder, manifest)
            bar.update(len(numbers))
    for name, content in tables(layout, cohort, manifest["people"], generator_version()):
        manifest["tables"][name] = write_atomically(folder / name, content.encode())
    _save(folder, manifest)


def _save(folder: Path, manifest: dict) -> None:
    write_atomically(folder / MANIFEST, json.dumps(manifest).encode())


def _write_people(folder: Path, layout: Layout, batch: Batch, seed: int) -> dict[str, dict]:
    """Write the images of some people; returns their entries in the manifest."""
    affine = batch.affine.cpu().numpy()
    images = (batch.images * SCALE).round().clamp(0, 32767).cpu().numpy().astype(np.int16)
    labels = batch.labels.cpu().numpy()
    space = "scanner" if layout.kind == "head" else "aligned"
    entries = {}
    for row, number in enumerate(batch.numbers):
        subject = layout.subject_id(number)
        about = f"presimal cohort, seed {seed}, {subject}"
        image = images[row, 0] if len(layout.contrasts) == 1 else np.moveaxis(images[row], 0, -1)
        files = {
            name: write_atomically(folder / name, nifti(volume, affine, about, space))
            for name, volume in image_files(layout, subject, image, labels[row]).items()
        }
        measured = {name: round(float(v[row]), 4) for name, v in batch.volumes.items()}
        entries[str(number)] = {"files": files, "volumes": measured}
    return entries
