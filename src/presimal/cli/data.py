"""`presimal data`: what is there; make the cohort, download a set, check a folder of scans."""

import time
from collections.abc import Iterator
from pathlib import Path

from presimal import data as door
from presimal.cli.places import UserError
from presimal.cohort import files
from presimal.cohort.template import data_folder
from presimal.data.downloads import DOWNLOADS
from presimal.data.layouts import layouts_of
from presimal.data.splits import SPLITS
from presimal.storage import DataError

OPENERS = {"brain_age": door.brain_age, "tumors": door.tumors, "heads": door.heads}


def data(choice) -> int:
    """Do what the command line says; returns 0.

    `choice` has source, set, subjects, spacing, seed and yes. Raises UserError for what the user
    can mend.
    """
    try:
        if choice.source is None:
            print(listing())
        elif choice.source == "cohort":
            make(choice.set or list(files.SETS), choice.subjects, choice.spacing, choice.seed)
        else:
            open_real(choice.source, choice.set, choice.yes)
    except DataError as problem:
        raise UserError(str(problem)) from None
    return 0


def make(names: list[str], subjects: int | None, spacing: float, seed: int) -> None:
    """Generate what is missing of these sets of the cohort and say what is there then."""
    for name in names:
        started = time.perf_counter()
        folder = files.ensure(name, subjects, spacing, seed)
        seconds = time.perf_counter() - started
        count = len(files.read_manifest(folder)["people"])
        size = f"{count:5} people {_megabytes(folder):7.1f} MB"
        print(f"{name:10} {size}  ready in {seconds:.0f} s  {folder}")


def open_real(source: str, wanted: list[str] | None, yes: bool) -> None:
    """Download a real set, or check a folder of scans; says what can be learned from it.

    Raises DataError for the first thing that is wrong, UserError if the folder has no known layout.
    """
    folder = Path(source).expanduser()
    fitting = [name for name, sources in door.REAL.items() if source in sources]
    if not fitting and not folder.is_dir():
        known = ", ".join(("cohort", *DOWNLOADS))
        raise UserError(f"{source!r} is neither a data set ({known}) nor a folder.")
    names = wanted or fitting or layouts_of(folder)
    if not names:
        raise UserError(f"{folder} holds no dataset.csv, no dataset.json, and no image/ and label/.")
    for name in names:
        table = OPENERS[name](source, yes=yes)
        counts = ", ".join(f"{(table.split == split).sum()} {split}" for split in SPLITS)
        people = table.subject_id.nunique()
        print(f"{name:10} {len(table)} scans of {people} subjects: {counts}")


def listing() -> str:
    """A table of the data sets in the data folder, and of those that could be got."""
    lines = [f"Data folder: {data_folder()}  (PRESIMAL_DATA moves it)", ""]
    lines += [f"{what:34} {megabytes:9.1f} MB  {state}" for what, megabytes, state in _present()]
    lines += ["", "To make or get more:"]
    lines += ["presimal data cohort               generated here, about 230 MB, no network"]
    for name, wanted in DOWNLOADS.items():
        lines.append(f"{'presimal data ' + name:34} {wanted.download_gb:g} GB: {wanted.what}")
    return "\n".join(lines)


def _present() -> Iterator[tuple[str, float, str]]:
    """What is in the data folder: (name, MB, state)."""
    for folder in sorted(data_folder().glob("cohort-*/*/")):
        if manifest := files.read_manifest(folder):
            state = f"{len(manifest['people'])} people"
            if not manifest["tables"]:
                state += ", unfinished"
            if manifest["settings"]["generator"] != files.generator_version():
                state += ", of an older version: made again at its next use"
            yield f"{folder.parent.name}/{folder.name}", _megabytes(folder), state
    for name in DOWNLOADS:
        for folder in (data_folder() / name, data_folder() / f"{name}.unfinished"):
            if folder.is_dir():
                state = "complete" if folder.name == name else "continued when you ask for it again"
                yield folder.name, _megabytes(folder), state


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
