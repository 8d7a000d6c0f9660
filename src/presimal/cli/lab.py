"""`presimal lab`: JupyterLab on the notebooks, from any folder."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import psutil

from presimal.cli import paths, workspace
from synthcohort.storage import DataError

FIRST = "00_start_here.ipynb"
SETTINGS = Path(__file__).with_name("jupyterlab_settings")  # overrides.json: no news, no update pop-up


def open_lab(original: bool = False, options: Sequence[str] = ()) -> int:
    """Start JupyterLab on the student's copies, or on the originals, and wait until it ends. Raises DataError if
    JupyterLab or the notebooks are missing, or the copies cannot be written.
    """
    if find_spec("jupyterlab") is None:
        raise DataError(f"JupyterLab is not installed: run {sys.executable} -m pip install jupyterlab")
    if problem := paths.problem():
        raise DataError(problem)
    folder = paths.originals()
    if not original:
        folder = paths.home() / "my_work"
        try:
            added, updated, kept = workspace.refresh(paths.originals(), folder).values()
        except OSError as error:
            remedy = "free space or fix its rights"
            raise DataError(f"cannot write your copies to {folder} ({error.strerror}): {remedy}.") from None
        if added or updated:
            print(f"{len(added)} notebook(s) added and {len(updated)} updated in {folder}")
        for name in kept:
            print(f"{name} has a newer version; yours is kept. To get the new one, rename yours and start again.")
    return subprocess.call(lab_command(folder, options), env=os.environ | thread_settings(os.environ))


def lab_command(folder: Path, options: Sequence[str] = ()) -> list[str]:
    """The command line of a JupyterLab that opens the first notebook of `folder`, on this machine only and with
    Jupyter's token, so that nobody else can reach or use it.
    """
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={folder.parent}", f"--FileContentsManager.preferred_dir={folder.name}"]
    command += [f"--LabApp.default_url=/lab/tree/{folder.name}/{FIRST}", f"--LabApp.app_settings_dir={SETTINGS}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container one is root, and Jupyter would refuse to start
    return [*command, *options]


def thread_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """OpenMP settings for the kernels, each unless the environment already has it: one thread per physical core, which
    sleeps while it waits, because threads that spin make two notebooks on one machine many times slower.
    """
    cores = psutil.cpu_count(logical=False) or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    wanted = {"OMP_NUM_THREADS": str(min(cores, allowed)), "OMP_WAIT_POLICY": "PASSIVE"}
    return {name: environment.get(name, value) for name, value in wanted.items()}
