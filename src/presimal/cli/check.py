"""`presimal check`: is this machine ready, and if not, what is the remedy?"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from presimal.cli.places import REPOSITORY, UserError, originals

# Measured on the notebooks: a kernel takes up to 1.3 GB, the browser and JupyterLab about 1 GB.
MEMORY_GB = 3.0
DISK_GB = 2.0  # the generated cohort, caches, and room to work
TESTED_PYTHON = ((3, 11), (3, 13))


@dataclass
class Finding:
    """One line of the report. `remedy` is empty where all is well; `fatal` if the workshop cannot run."""

    what: str
    found: str
    remedy: str = ""
    fatal: bool = False


def check() -> int:
    """Print the report; returns 0 if this machine is ready, else 1."""
    findings = [finding for look in (python, packages, device, memory, disk, notebooks) for finding in look()]
    for finding in findings:
        state = "no" if finding.fatal else "note" if finding.remedy else "ok"
        print(f"{state:5} {finding.what:10} {finding.found}")
        if finding.remedy:
            print(f"{'':5} {'':10} -> {finding.remedy}")
    ready = not any(finding.fatal for finding in findings)
    print("\nReady: start with 'presimal lab'." if ready else "\nNot ready: follow the arrows above, then check again.")
    return 0 if ready else 1


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Iterator[Finding]:
    """Is this Python one that the workshop is tested with?"""
    found, (oldest, newest) = ".".join(map(str, version)), TESTED_PYTHON
    if version[:2] < oldest:
        yield Finding("Python", found, "install Python 3.11 or newer and make a new environment", fatal=True)
    elif version[:2] > newest:
        yield Finding("Python", found, f"newer than tested ({newest[0]}.{newest[1]}): if an install fails, use that one")
    else:
        yield Finding("Python", found)


def packages() -> Iterator[Finding]:
    """Are all packages there that the workshop imports?"""
    names = [re.match(r"[\w.-]+", requirement)[0] for requirement in metadata.requires("presimal")]
    missing = [name for name in names if _version(name) is None]
    if missing:
        yield Finding("packages", f"missing: {', '.join(missing)}", f"run: {sys.executable} -m pip install -e .", True)
    shown = ("torch", "monai", "fastai", "fastMONAI", "nilearn", "jupyterlab")
    yield Finding("packages", ", ".join(f"{name} {_version(name)}" for name in shown if _version(name)))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def device() -> Iterator[Finding]:
    """Where will it compute, and what will be slow there?"""
    try:
        from presimal import compute
    except (ImportError, OSError) as problem:  # a broken binary, such as a missing system library
        yield Finding("device", f"torch does not start: {problem}", "reinstall it: pip install --force-reinstall torch", True)
        return
    try:
        where = compute.device()
    except ValueError as problem:
        yield Finding("device", str(problem), f"unset the environment variable {compute.DEVICE_VARIABLE}", fatal=True)
        return
    yield Finding("device", compute.banner(where).removeprefix("Device: "))
    if where.type == "cpu":
        cores = psutil.cpu_count(logical=False) or 1
        slow = "training in notebooks 05 to 07, one to two minutes a cell on two cores"
        yield Finding("slow here", slow + (", about twice that on your one core" if cores < 2 else ""))


def memory(available_gb: float | None = None) -> Iterator[Finding]:
    """Is enough memory free for a kernel, JupyterLab and a browser?"""
    free = psutil.virtual_memory().available / 2**30 if available_gb is None else available_gb
    short = free < MEMORY_GB
    remedy = f"close other programs: {MEMORY_GB:.0f} GB should be free" if short else ""
    yield Finding("memory", f"{free:.1f} GB free", remedy, fatal=short)


def disk(folder: Path = REPOSITORY, free_gb: float | None = None) -> Iterator[Finding]:
    """Is enough disk free for generated data?"""
    free = shutil.disk_usage(folder).free / 2**30 if free_gb is None else free_gb
    short = free < DISK_GB
    remedy = f"free some: {DISK_GB:.0f} GB are needed" if short else ""
    yield Finding("disk", f"{free:.1f} GB free", remedy, fatal=short)


def notebooks() -> Iterator[Finding]:
    """Are the notebooks there, and can a copy be written beside them?"""
    try:
        count = len(list(originals().glob("*.ipynb")))
    except UserError as problem:
        yield Finding("notebooks", "none", str(problem), fatal=True)
        return
    if os.access(REPOSITORY, os.W_OK):
        yield Finding("notebooks", f"{count}, and your copies can be written")
    else:
        yield Finding("notebooks", f"{REPOSITORY} is read-only", "move the repository to a folder of your own", True)
