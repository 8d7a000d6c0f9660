"""`presimal lab`: JupyterLab on the student's copies of the notebooks, which are never overwritten once changed."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import nbformat
import psutil

from brainscans.writing import write_files
from presimal.cli import paths
from presimal.cli.views import for_presenters, for_students
from synthcohort.storage import DataError

FIRST = "00_start_here.ipynb"
SETTINGS = Path(__file__).with_name("jupyterlab_settings")  # overrides.json: no news, no update pop-up
LARGE = Path("@jupyterlab", "apputils-extension", "themes.jupyterlab-settings")  # a user's: overrides do not reach it
LARGE_TYPE = {"overrides": {"code-font-size": "20px", "content-font-size1": "21px", "ui-font-size1": "16px"}}  # 150 %
TEACHING = ".jupyterlab"  # settings of the presenter, in the folder of the copies
LEDGER = ".copied.json"  # which version of each notebook was copied: {file name: digest}


def open_lab(original: bool = False, teach: bool = False, options: Sequence[str] = ()) -> int:
    """Start JupyterLab on copies for students, for presenters or on the originals, until it ends; else DataError."""
    lacking = f"JupyterLab is not installed: run {sys.executable} -m pip install jupyterlab"
    if problem := paths.problem() if find_spec("jupyterlab") else lacking:
        raise DataError(problem)
    folder = paths.originals()
    if not original:
        name, view = ("my_teaching", for_presenters) if teach else ("my_work", for_students)
        folder = paths.home() / name
        try:
            added, updated, kept = refresh(paths.originals(), folder, view).values()
            if teach and not (folder / TEACHING / LARGE).exists():
                write_files([(folder / TEACHING / LARGE, json.dumps(LARGE_TYPE, indent=1).encode())])
        except OSError as error:
            raise DataError(f"cannot write copies to {folder} ({error.strerror}): free room or fix rights.") from None
        if added or updated:
            print(f"{len(added)} notebook(s) added and {len(updated)} updated in {folder}")
        for name in kept:
            print(f"{name} has a newer version; yours is kept. To get the new one, rename yours and start again.")
    return subprocess.call(lab_command(folder, options, teach), env=thread_settings(os.environ))


def lab_command(folder: Path, options: Sequence[str] = (), teach: bool = False) -> list[str]:
    """JupyterLab on the first notebook of `folder`, for this machine only, with its token; to teach, larger."""
    # -P: what lies in the current folder, such as a student's random.py, is not imported.
    command = [sys.executable, "-P", "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={folder.parent}", f"--FileContentsManager.preferred_dir={folder.name}"]
    view = "doc" if teach else "lab"  # one document, without tabs
    command += [f"--LabApp.default_url=/{view}/tree/{folder.name}/{FIRST}", f"--LabApp.app_settings_dir={SETTINGS}"]
    command += [f"--LabApp.user_settings_dir={folder / TEACHING}"] * teach
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # as in a container, where Jupyter would refuse to start
    return [*command, *["--allow-root"] * root, *options]


def thread_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, with OpenMP set unless it is: one thread per physical core, which sleeps while it waits."""
    cores = psutil.cpu_count(logical=False) or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    # Threads that spin while they wait make two notebooks on one machine many times slower.
    return {"OMP_NUM_THREADS": str(min(cores, allowed)), "OMP_WAIT_POLICY": "PASSIVE", **environment}


def refresh(originals: Path, copies: Path, view: Callable[[bytes], bytes] = for_students) -> dict[str, list[str]]:
    """Bring the copies up to date with the originals as `view` (views.py) shows them: names "added", "updated", "kept".
    A copy as it was made follows its original; one that was changed in any way stays, and is named as kept if its
    original changed too. Nothing is ever deleted. OSError if it cannot write."""
    done: dict[str, list[str]] = {"added": [], "updated": [], "kept": []}
    try:
        ledger = dict(json.loads((copies / LEDGER).read_text() if (copies / LEDGER).is_file() else "{}"))
    except (ValueError, TypeError, RecursionError):
        ledger = {}  # without a ledger every copy counts as the student's own
    for original in sorted(originals.glob("*.ipynb")):
        name, copy, content = original.name, copies / original.name, view(original.read_bytes())
        newest, copied = _digest(content), ledger.get(name)
        present = _digest(copy.read_bytes()) if copy.is_file() else None
        if present in (None, newest, copied):  # not changed by the student
            if present != newest:
                write_files([(copy, content)])
                done["updated" if present else "added"].append(name)
            ledger[name] = newest
        elif copied != newest:
            done["kept"].append(name)
    with suppress(IsADirectoryError):
        write_files([(copies / LEDGER, json.dumps(ledger, indent=1).encode())])
    return done


def _digest(content: bytes) -> str:
    """A digest of cells and outputs only: JupyterLab rewrites the metadata of a notebook that is merely opened."""
    with suppress(Exception):  # if it is no notebook any more, in one of many ways, it is compared byte by byte
        cells = nbformat.reads(content.decode(), as_version=4).cells
        content = json.dumps([(cell.cell_type, cell.source, cell.get("outputs")) for cell in cells]).encode()
    return hashlib.sha256(content).hexdigest()
