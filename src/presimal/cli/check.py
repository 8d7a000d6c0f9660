"""`presimal check`: is this machine ready, and if not, what is the remedy?"""

import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil
from packaging.requirements import Requirement

from presimal.cli import paths

MEMORY_GB = 3.0  # measured on the notebooks: a kernel takes about 2 GB, the browser and JupyterLab about 1 GB
DISK_GB = 2.0  # the generated cohort, caches, and room to work
TESTED_PYTHON = ((3, 11), (3, 13))


class Finding(NamedTuple):
    """One line of the report. `remedy` is empty where all is well; `fatal` if the workshop cannot run."""

    what: str
    found: str
    remedy: str = ""
    fatal: bool = False


def check() -> int:
    """Print the report; returns 0 if this machine is ready, else 1."""
    ready = True
    for what, found, remedy, fatal in (*python(), *packages(), *device(), *room(), *data(), *notebooks()):
        ready &= not fatal
        print(f"{'no' if fatal else 'note' if remedy else 'ok':5} {what:10} {found}")
        if remedy:
            print(f"{'':5} {'':10} -> {remedy}")
    start = "'presimal lab'" if _version("jupyterlab") else "the first notebook"
    print(f"\nReady: start with {start}." if ready else "\nNot ready: follow the arrows above, then check again.")
    return int(not ready)


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Iterator[Finding]:
    """Is this Python one that the workshop is tested with?"""
    (oldest, newest), remedy = TESTED_PYTHON, ""
    if version[:2] < oldest:
        remedy = "install Python 3.11 or newer and make a new environment"
    elif version[:2] > newest:
        remedy = f"newer than tested ({newest[0]}.{newest[1]}): if an install fails, use that one"
    yield Finding("Python", ".".join(map(str, version)), remedy, version[:2] < oldest)


def packages() -> Iterator[Finding]:
    """Is everything there that the workshop imports, and new enough? What only the extras want may be missing."""
    lines = metadata.requires("presimal") or []
    if paths.REPOSITORY:  # what it asks for now, not when it was installed
        project = tomllib.loads((paths.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = [line for extra in project["optional-dependencies"].values() for line in extra]
        lines = [*project["dependencies"], *(f"{line}; extra == 'any'" for line in extras)]
    for wanted in map(Requirement, lines):
        needed, version = wanted.marker is None or wanted.marker.evaluate({"extra": ""}), _version(wanted.name)
        remedy = f'run: {sys.executable} -m pip install --upgrade "{wanted.name}{wanted.specifier}"'
        if version is None and needed:
            yield Finding("packages", f"missing: {wanted.name}", remedy, fatal=True)
        elif version is not None and not wanted.specifier.contains(version, prereleases=True):
            yield Finding("packages", f"{wanted.name} {version}, but it must be {wanted.specifier}", remedy, needed)
    shown = ("torch", "monai", "fastai", "fastMONAI", "nilearn", "jupyterlab")
    yield Finding("packages", ", ".join(f"{name} {_version(name)}" for name in shown if _version(name)))


def _version(name: str) -> str | None:
    return next((found.version for found in metadata.distributions(name=name)), None)


def device() -> Iterator[Finding]:
    """Where will it compute, and what will be slow there?"""
    try:
        from brainscans import compute

        found = compute.device()
    except (ImportError, OSError) as problem:  # a broken binary, such as a missing system library
        remedy = "free or allow more memory, or reinstall it: pip install --force-reinstall torch"
        yield Finding("device", f"torch does not start: {problem}", remedy, fatal=True)
    except Exception as problem:
        yield Finding("device", str(problem), "unset the environment variable PRESIMAL_DEVICE", fatal=True)
    else:
        yield Finding("device", compute.banner(found).removeprefix("Device: "))
        if old := compute.card_too_old():
            yield Finding("card", old, "the CPU computes; an older torch may still have kernels for it")
        if found.type == "cpu":
            one_core = ", about twice that on your one core" * (psutil.cpu_count(logical=False) == 1)
            slow = "training in notebooks 05 to 07, one to two minutes a cell on two cores"
            yield Finding("slow here", slow + one_core)


def room(memory_gb: float | None = None, disk_gb: float | None = None) -> Iterator[Finding]:
    """Is enough memory free for a kernel, JupyterLab and a browser, and enough disk for generated data?"""
    memory = psutil.virtual_memory().available / 2**30 if memory_gb is None else memory_gb
    disk = shutil.disk_usage(paths.home()).free / 2**30 if disk_gb is None else disk_gb
    little, full = memory < MEMORY_GB, disk < DISK_GB
    remedy = f"close other programs: {MEMORY_GB:.0f} GB should be free"
    yield Finding("memory", f"{memory:.1f} GB free", remedy * little, little)
    yield Finding("disk", f"{disk:.1f} GB free", f"free some: {DISK_GB:.0f} GB are needed" * full, full)


def data() -> Iterator[Finding]:
    """Can the folder for what is generated and downloaded be made and written, or is it filled already?"""
    remedy, filled = "set the environment variable PRESIMAL_DATA to a folder of your own", False
    try:
        from synthcohort.storage import data_folder

        folder = there = data_folder().absolute()
        home = Path(os.path.expanduser("~"))
        shown = f"~/{folder.relative_to(home).as_posix()}" if folder.is_relative_to(home) else folder
        while not (there.exists() or there.is_symlink()):
            there = there.parent
        filled = any(folder.glob("cohort-*"))
        tempfile.TemporaryFile(dir=there).close()
        full = shutil.disk_usage(there).free / 2**30 < DISK_GB and not filled
        yield Finding("data", f"{shown}{' has a full disk' * full}", remedy * full)
    except ImportError:  # of torch, which has been said
        return
    except Exception as problem:
        said = getattr(problem, "strerror", None)
        yield Finding("data", f"{shown} cannot be written: {said}" if said else str(problem), remedy, fatal=not filled)


def notebooks() -> Iterator[Finding]:
    """Are the notebooks there, and can a copy of them be written?"""
    count, home = len(list(paths.originals().glob("*.ipynb"))), paths.home()
    remedy = f"{'move the repository' if paths.REPOSITORY else 'go'} to a folder of your own"
    if not count:
        yield Finding("notebooks", "none", paths.problem(), fatal=True)
    elif os.access(home, os.W_OK):
        yield Finding("notebooks", f"{count}, and your copies can be written")
    else:
        yield Finding("notebooks", f"{home} is read-only", remedy, fatal=True)
