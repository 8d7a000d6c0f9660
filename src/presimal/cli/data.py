"""`presimal data`: what is there; make the cohort, download a set, check a folder of scans."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from presimal import data as door
from presimal.data.checks import SPLITS
from presimal.data.downloads import DOWNLOADS, REAL_SCANS, get
from presimal.data.layouts import LANDMARKS
from synthcohort import files
from synthcohort.storage import DataError, data_folder


def data(source: str | None, sets: list[str] | None, subjects: int | None, spacing: float, seed: int, yes: bool) -> int:
    """List what is there, make sets of the cohort, or open a real source or folder; returns 0. Raises DataError."""
    if source is None:
        print("\n".join(_listing()))
    elif source == "cohort":
        for name in sets or files.SETS:
            started = time.perf_counter()
            folder = files.ensure(name, subjects, spacing, seed)
            size = f"{len(files.read_manifest(folder).people):5} people {_megabytes(folder):7.1f} MB"
            print(f"{name:10} {size}  ready in {time.perf_counter() - started:.0f} s  {folder}")
    elif source == REAL_SCANS:
        if sets:
            raise DataError(f"{source} is no training set and has no --set: leave it out.")
        folder = get(source, yes)
        print(f"{source} {_megabytes(folder):.1f} MB  {folder}\nTo examine networks on, never to train them.")
    else:
        for name in sets or _sets_of(source):
            table = getattr(door, name)(source, yes=yes)
            counts = ", ".join(f"{(table.split == split).sum()} {split}" for split in SPLITS)
            print(f"{name:10} {len(table)} scans of {table.subject_id.nunique()} subjects: {counts}")
    return 0


def _sets_of(source: str) -> list[str]:
    """Which sets a download, or the layout of a folder, gives; DataError if none."""
    folder = Path(os.path.expanduser(source))
    if known := [name for name, sources in door.REAL.items() if source in sources]:
        return known
    if not folder.is_dir():
        raise DataError(f"{source!r} is neither a data set ({', '.join(('cohort', *DOWNLOADS))}) nor a folder.")
    if found := [name for name, marks in LANDMARKS.items() if any((folder / mark).exists() for mark in marks)]:
        return found
    raise DataError(f"{folder} holds no dataset.csv, no dataset.json, and no image/ and label/.")


def _listing() -> Iterator[str]:
    """The lines of a table of the data sets in the data folder, and of those that could be got."""
    home, states = data_folder(), {}
    for folder in sorted(home.glob("cohort-*/*/")):
        if (manifest := files.read_manifest(folder)).people:
            state = f"{len(manifest.people)} people" + ", unfinished" * (not manifest.tables)
            older = not folder.parent.name.endswith(files.generator_version())
            states[folder] = state + ", of an older version: it can be deleted" * older
    for end, state in (("", "complete"), (".unfinished", "continued when you ask for it again")):
        states |= {folder: state for name in DOWNLOADS if (folder := home / f"{name}{end}").is_dir()}
    yield f"Data folder: {home}  (PRESIMAL_DATA moves it)\n"
    for folder, state in states.items():
        yield f"{folder.relative_to(home).as_posix():50} {_megabytes(folder):9.1f} MB  {state}"
    yield f"\nTo make or get more:\n{'presimal data cohort':50} generated here, about 230 MB, no network"
    for name, wanted in DOWNLOADS.items():
        yield f"{'presimal data ' + name:50} {wanted.download_gb:g} GB: {wanted.what}"


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
