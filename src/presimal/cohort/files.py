"""The cohort on disk, in the layouts of real data sets: made once, resumed, never silently stale.

    folder = ensure("brain_age")      # makes what is missing, and only that

    data_folder()/cohort-4mm-seed0/
        brain_age/             as IXI: dataset.csv, T1_images/
        Task01_BrainTumour/    as the Medical Segmentation Decathlon: dataset.json, imagesTr/,
                               labelsTr/; clinical.csv beside them
        heads/                 as IXITiny: image/, label/, dataset.csv

Each also holds truth.csv, which no student may train on, and manifest.json: the settings, the
version of the generator and a checksum of every file. The manifest is saved after every few people
and a file appears in one move, so whatever ends the process, the next one goes on from there.
"""

import ast
import gzip
import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from tqdm import tqdm

from presimal import compute
from presimal.storage import DataError, alone, in_one_sentence, write

from .subjects import Cohort, Settings
from .template import data_folder

MANIFEST = "manifest.json"
BATCH = 16  # people between two saves of the manifest: half a second of work at 4 mm
SCALE = 1000  # stored integer per unit of signal; the noise is ten times coarser than its steps
DECATHLON = {
    "name": "presimal cohort",
    "description": "Gliomas of people who never lived, with their regions",
    "reference": "https://github.com/MMIV-ML/presimal",
    "licence": "GPL-3.0",
    "tensorImageSize": "4D",
    "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
    "labels": {
        "0": "background",
        "1": "edema",
        "2": "non-enhancing tumor",
        "3": "enhancing tumour",
    },
}


@dataclass(frozen=True)
class Layout:
    """How one set is laid out; `image` and `label` are file names around a subject's id."""

    kind: str
    folder: str
    subjects: int
    contrasts: tuple[str, ...]
    image: str
    label: str = ""


SETS = {
    "brain_age": Layout("brain", "brain_age", 900, ("t1",), "T1_images/{}-T1.nii.gz"),
    "tumors": Layout(
        "tumor", "Task01_BrainTumour", 300, ("flair", "t1", "t1gd", "t2"),
        "imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz",
    ),  # fmt: skip
    "heads": Layout(
        "head", "heads", 200, ("t1",), "image/{}_image.nii.gz", "label/{}_label.nii.gz"
    ),
}


def where(name: str, spacing: float = 4.0, seed: int = 0) -> Path:
    """The folder of a set ("brain_age", "tumors", "heads"), whether it has been made or not.

    Raises DataError for another name.
    """
    if name not in SETS:
        raise DataError(f"{name!r} is not a set of the cohort: choose from {', '.join(SETS)}.")
    return data_folder() / f"cohort-{spacing:g}mm-seed{seed}" / SETS[name].folder


def ensure(
    name: str,
    subjects: int | None = None,
    spacing: float = 4.0,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """The folder of a set with at least the first `subjects` people in it, all files intact.

    What is there and as it was made stays; what is missing, damaged or edited is made again; what
    an older generator or other settings have made is deleted and made anew. `spacing` is the voxel
    size in mm. Two processes that ask at once make it once.

    Raises DataError if a number makes no sense or the disk is full or cannot be written.
    """
    folder = where(name, spacing, seed)
    layout = SETS[name]
    count = layout.subjects if subjects is None else subjects
    if count < 1:
        raise DataError(f"subjects must be at least 1, not {count}.")
    if not 0.5 <= spacing <= 16:
        raise DataError(f"spacing must be 0.5 to 16 mm, not {spacing:g}.")
    settings = _settings(layout, spacing, seed)
    if _is_ready(folder, settings, count):  # without the lock: the folder may be read-only
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            if not _is_ready(folder, settings, count):
                _make(folder, layout, settings, count, progress)
    except Exception as problem:  # safetensors, which writes the template, has its own class
        raise in_one_sentence(problem, folder) from None
    return folder


@cache
def generator_version() -> str:
    """A digest of the code of this package without comments: it changes whenever images may.

    Randomised images are never written, so their folder does not count.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    trees = [ast.dump(ast.parse(source.read_text(encoding="utf-8"))) for source in sources]
    return hashlib.sha256("\n".join(trees).encode()).hexdigest()[:16]


def nifti(values: np.ndarray, affine: np.ndarray, description: str, space: str) -> bytes:
    """A gzipped NIfTI-1 file. `values` (X, Y, Z) or (X, Y, Z, C); `affine` voxel to RAS mm.

    `space` is "aligned" for images in register with a template, "scanner" for others. Level 1 of
    gzip: level 6 takes three times as long and saves 2 %, because noise does not compress.
    """
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, space)
    image.set_qform(affine, space)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = description.encode()[:79]
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def _settings(layout: Layout, spacing: float, seed: int) -> dict:
    settings = {
        "generator": generator_version(), "kind": layout.kind, "contrasts": layout.contrasts,
        "spacing_mm": float(spacing), "seed": seed, **asdict(Settings()),
    }  # fmt: skip
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
    return [
        number for number in range(count)
        if str(number) not in people or not _intact(folder, people[str(number)]["files"])
    ]  # fmt: skip


def _intact(folder: Path, files: dict[str, str]) -> bool:
    try:
        return all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
            for name, digest in files.items()
        )
    except OSError:
        return False


def _make(folder: Path, layout: Layout, settings: dict, count: int, progress: bool) -> None:
    manifest = read_manifest(folder)
    if manifest.get("settings") != settings:
        if folder.exists():
            shutil.rmtree(folder)
        manifest = {"settings": settings, "people": {}, "tables": {}}
    for leftover in folder.rglob(".*.part"):  # of a process that was killed
        leftover.unlink()
    missing = _missing(folder, manifest, count)
    manifest["tables"] = {}
    device = compute.device()
    cohort = Cohort(settings["seed"], device if device.type == "cuda" else "cpu")
    with tqdm(
        total=count, initial=count - len(missing), desc=f"generating {layout.folder}",
        unit="person", disable=not progress, leave=False,
    ) as bar:  # fmt: skip
        for start in range(0, len(missing), BATCH):
            numbers = missing[start : start + BATCH]
            manifest["people"].update(_write_people(folder, layout, cohort, settings, numbers))
            _save(folder, manifest)
            bar.update(len(numbers))
    numbers = sorted(map(int, manifest["people"]))
    for name, content in _tables(layout, cohort, manifest, numbers):
        manifest["tables"][name] = write(folder / name, content.encode())
    _save(folder, manifest)


def _save(folder: Path, manifest: dict) -> None:
    write(folder / MANIFEST, json.dumps(manifest).encode())


def _write_people(folder: Path, layout: Layout, cohort: Cohort, settings: dict, numbers: list[int]):
    """Write the images of some people; returns their entries in the manifest."""
    batch = cohort.render(numbers, layout.kind, settings["spacing_mm"], layout.contrasts)
    affine = batch.affine.cpu().numpy()
    images = (batch.images * SCALE).round().clamp(0, 32767).cpu().numpy().astype(np.int16)
    labels = batch.labels.cpu().numpy()
    space = "scanner" if layout.kind == "head" else "aligned"
    entries = {}
    for row, number in enumerate(batch.numbers):
        subject = _id(layout, number)
        described = f"presimal cohort, seed {cohort.seed}, {subject}"
        image = images[row, 0] if len(layout.contrasts) == 1 else np.moveaxis(images[row], 0, -1)
        volumes = {(layout.image): image} | ({layout.label: labels[row]} if layout.label else {})
        files = {
            pattern.format(subject): write(
                folder / pattern.format(subject), nifti(volume, affine, described, space)
            )
            for pattern, volume in volumes.items()
        }
        measured = {name: round(float(v[row]), 4) for name, v in batch.volumes.items()}
        entries[str(number)] = {"files": files, "volumes": measured}
    return entries


def _id(layout: Layout, number: int) -> str:
    return f"{layout.kind}-{number:04d}"


def _tables(
    layout: Layout, cohort: Cohort, manifest: dict, numbers: list[int]
) -> Iterable[tuple[str, str]]:
    """(file name, content) of what lies beside the images."""
    people = cohort.people(numbers, layout.kind).drop(columns="number")
    if layout.kind == "tumor":
        cases = [
            {"image": f"./{layout.image.format(s)}", "label": f"./{layout.label.format(s)}"}
            for s in people.subject_id
        ]
        known = DECATHLON | {"release": generator_version()}
        counted = {"numTraining": len(cases), "numTest": 0, "training": cases, "test": []}
        yield "dataset.json", json.dumps(known | counted, indent=1)
        yield "clinical.csv", people.to_csv(index=False)
    else:
        table = people.rename(columns={"sex": "gender", "age": "age_at_scan"})
        table.insert(0, "t1_path", [layout.image.format(s) for s in people.subject_id])
        if layout.label:
            table["labels"] = [layout.label.format(s) for s in people.subject_id]
        yield "dataset.csv", table.to_csv(index=False)
    truth = cohort.truth(numbers, layout.kind).drop(columns="number")
    volumes = pd.DataFrame([manifest["people"][str(n)]["volumes"] for n in numbers])
    volumes.columns = [f"measured_{n}" + "_ml" * (n != "fraction") for n in volumes]
    truth.insert(0, "subject_id", people.subject_id)
    yield "truth.csv", pd.concat([truth, volumes], axis=1).to_csv(index=False)
