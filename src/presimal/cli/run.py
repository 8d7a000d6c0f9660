"""`presimal run`: execute notebooks headless and say what they took and what they found."""

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import nbformat
import psutil
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

from brainscans.writing import write_files
from presimal.cli import paths, plain
from synthcohort.storage import DataError

CELL_SECONDS = 600  # as in the tests
MOST_BYTES = 2_500_000_000  # of memory that are left for a notebook and its kernel, where several run side by side


@dataclass
class Outcome:
    """What one execution took and found."""

    name: str
    seconds: float = 0.0
    peak_mb: float = 0.0
    take_away: str = ""
    problem: str = ""


def run(notebooks: Sequence[str | Path] = (), save: bool = False) -> int:
    """Execute notebooks, side by side if they fit; print a table, `save` outputs. Returns 0 if all passed, else 1."""
    files, started = find_notebooks(notebooks), time.perf_counter()
    if save and any(file.is_relative_to(paths.PACKAGE) for file in files):
        raise DataError("--save is for a checkout of the repository: the notebooks of an installed package stay.")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # results must not depend on the number of cores
    with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, psutil.virtual_memory().available // MOST_BYTES))) as pool:
        try:
            outcomes = list(pool.map(execute, files, [save] * len(files)))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for kernel in psutil.Process().children():
                kernel.kill()
            raise
    width = max(8, *(len(one.name) for one in outcomes))
    print(f"{'notebook':{width}}  seconds  peak MB  result  take-away")
    for one in outcomes:
        result, said = ("fail", one.problem) if one.problem else ("pass", one.take_away)
        print(f"{one.name:{width}}  {one.seconds:7.1f}  {one.peak_mb:7.0f}  {result:6}  {plain(said)}")
    passed = sum(not one.problem for one in outcomes)
    print(f"{passed} of {len(outcomes)} passed in {time.perf_counter() - started:.0f} s")
    return int(passed < len(outcomes))


def find_notebooks(wanted: Sequence[str | Path]) -> list[Path]:
    """The notebooks meant by numbers (`01`, `1`), names or files; all for none. DataError if one fits not just one."""
    if problem := paths.problem():
        raise DataError(problem)
    known = sorted(paths.originals().glob("*.ipynb"))
    found = [] if wanted else known
    for name in map(str, wanted):
        start = name.lstrip("0").zfill(2) if name.isdecimal() else name.removesuffix(".ipynb")
        exact = [Path(name).resolve()] if os.path.isfile(name) else [file for file in known if file.stem == start]
        fitting = exact or [file for file in known if file.stem.startswith(start)]
        if len(fitting) != 1:
            problem = "fits more than one notebook" if fitting else "is neither a file nor a notebook of the workshop"
            raise DataError(f"'{name}' {problem}: choose from {', '.join(file.stem for file in known)}.")
        found += fitting
    return found


def execute(file: Path, save: bool = False) -> Outcome:
    """Execute one notebook in its folder (one of an installed package elsewhere); a failure becomes a `problem`."""
    outcome, started = Outcome(plain(file.stem)), time.perf_counter()
    try:
        notebook = nbformat.read(file, as_version=4)
        nbformat.validate(notebook)
    except OSError as error:
        return replace(outcome, problem=f"{file} cannot be read: {error.strerror}")
    except Exception:  # cut short, conflict markers, another format: nbformat raises whatever it stumbles over
        return replace(outcome, problem=f"{file} is damaged or no notebook: get it again, or resolve its conflicts")
    bar = tqdm(total=sum(c.cell_type == "code" for c in notebook.cells), desc=outcome.name, unit="cell", leave=False)
    client: Any = NotebookClient(notebook, timeout=CELL_SECONDS, coalesce_streams=True)
    client.extra_arguments = ["--IPKernelApp.log_level=ERROR"]

    def watch(notebook: Any) -> None:
        client.kernel = client.km.provisioner.process  # which the client forgets when it ends
        Thread(target=_watch, args=(client.kernel.pid, outcome), daemon=True).start()

    client.on_notebook_start = watch
    client.on_cell_executed = lambda cell, cell_index, execute_reply: bar.update()
    # nbclient's stand-in for output widgets now and then misses a reply until the time-out (nbclient issue 312).
    client.widget_registry = {}  # what widgets show is not kept: do without it
    with bar, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        client.resources = {"metadata": {"path": scratch if file.is_relative_to(paths.PACKAGE) else str(file.parent)}}
        try:
            client.execute()
        except CellTimeoutError:
            outcome.problem = f"a cell took longer than {CELL_SECONDS} s"
        except DeadKernelError:
            code = client.kernel.poll() or 0
            ended = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            outcome.problem = f"the kernel ended {ended}" + ", which often means that memory ran out" * (code == -9)
        except CellExecutionError as error:
            outcome.problem = f"{error.ename}: {error.evalue}".splitlines()[0]
        except NoSuchKernel as error:
            outcome.problem = f"there is no Jupyter kernel {error.name!r} here: install ipykernel"
        except Exception as error:  # a kernel that does not start in time, or not at all
            outcome.problem = " ".join(f"{type(error).__name__}: {error}".split())
    try:
        if save and not outcome.problem:
            store(notebook, file)
    except OSError as error:
        outcome.problem = f"{file} cannot be written: {error.strerror}"
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    outcome.take_away = ["", *re.findall(r"^take-away:(.*)$", printed, re.MULTILINE)][-1].strip()
    outcome.seconds = time.perf_counter() - started
    return outcome


def _watch(pid: int, outcome: Outcome) -> None:
    """Keep the largest resident memory of a process in `outcome`, sampled five times a second until it ends."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while process.is_running():
            outcome.peak_mb = max(outcome.peak_mb, process.memory_info().rss / 2**20)
            time.sleep(0.2)


def store(notebook: nbformat.NotebookNode, file: Path) -> None:
    """Write an executed notebook as it is kept in the repository: outputs, but no state of this one run."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "widget" in cell.metadata.get("tags", []):
            cell.outputs = []  # without a kernel a widget shows nothing; its static twin follows
    write_files([(file, (nbformat.writes(notebook) + "\n").encode())])
