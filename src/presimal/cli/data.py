"""`presimal data`: what is there; make the cohort, download a set, check a folder of scans."""

import time
from collections.abc import Iterator
from pathlib import Path

from presimal import data as door
from presimal.data.downloads import DOWNLOADS
from presimal.data.layouts import layouts_of
from presimal.data.splits import SPLITS
from synthcohort import files
from synthcohort.storage import DataError, data_folder


def data(source: str | None, sets: list[str] | None, subjects: int | None, spacing: float, seed: int, yes: bool) -> int:
    """List what is there, make these sets of the cohort, or open those of a real source or folder; returns 0.

    Raises DataError for what the user can mend.
    """
    if source is None:
        print(listing())
    elif source == "cohort":
        for name in sets or files.SETS:
            started = time.perf_counter()
            folder = files.ensure(name, subjects, spacing, seed)
            size = f"{len(files.read_manifest(folder)['people']):5} people {_megabytes(folder):7.1f} MB"
            print(f"{name:10} {size}  ready in {time.perf_counter() - started:.0f} s  {folder}")
    else:
        open_real(source, sets, yes)
    return 0


def open_real(source: str, sets: list[str] | None, yes: bool) -> None:
    """Download a real set, or check a folder of scans; says what can be learned from it.

    Raises DataError for the first thing that is wrong, or if the folder has no known layout.
    """
    folder = Path(source).expanduser()
    fitting = [name for name, sources in door.REAL.items() if source in sources]
    if not fitting and not folder.is_dir():
        raise DataError(f"{source!r} is neither a data set ({', '.join(('cohort', *DOWNLOADS))}) nor a folder.")
    names = sets or fitting or layouts_of(folder)
    if not names:
        raise DataError(f"{folder} holds no dataset.csv, no dataset.json, and no image/ and label/.")
    for name in names:
        table = getattr(door, name)(source, yes=yes)
        counts = ", ".join(f"{(table.split == split).sum()} {split}" for split in SPLITS)
        print(f"{name:10} {len(table)} scans of {table.subject_id.nunique()} subjects: {counts}")


def listing() -> str:
    """A table of the data sets in the data folder, and of those that could be got."""
    lines = [f"Data folder: {data_folder()}  (PRESIMAL_DATA moves it)", ""]
    lines += [f"{name:34} {_megabytes(folder):9.1f} MB  {state}" for name, folder, state in _present()]
    lines += ["", "To make or get more:", f"{'presimal data cohort':34} generated here, about 230 MB, no network"]
    lines += [f"{'presimal data ' + name:34} {real.download_gb:g} GB: {real.what}" for name, real in DOWNLOADS.items()]
    return "\n".join(lines)


def _present() -> Iterator[tuple[str, Path, str]]:
    """What is in the data folder: (name, folder, state)."""
    for folder in sorted(data_folder().glob("cohort-*/*/")):
        if manifest := files.read_manifest(folder):
            state = f"{len(manifest['people'])} people" + (", unfinished" if not manifest["tables"] else "")
            if not folder.parent.name.endswith(files.generator_version()):
                state += ", of an older version: it can be deleted"
            yield f"{folder.parent.name}/{folder.name}", folder, state
    for name in DOWNLOADS:
        for end, state in (("", "complete"), (".unfinished", "continued when you ask for it again")):
            if (data_folder() / f"{name}{end}").is_dir():
                yield f"{name}{end}", data_folder() / f"{name}{end}", state


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
