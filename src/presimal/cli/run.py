"""`presimal run`: execute notebooks headless and say what they took and what they found."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

from presimal.storage import write

CELL_SECONDS = 600  # as in the tests
TAKE_AWAY = "take-away:"


@dataclass
class Outcome:
    """What one execution took and found."""

    name: str
    seconds: float
    peak_mb: float
    take_away: str
    problem: str = ""


def run(notebooks: list[Path], save: bool = False) -> int:
    """Execute each notebook from top to bottom in a fresh kernel and print a table.

    Kernels use one thread, so that results do not depend on the number of cores. The files stay as they
    are unless `save` is set. Returns 0 if all ran to the end, else 1.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    outcomes = [execute(notebook, save) for notebook in notebooks]
    print(table(outcomes))
    return int(any(outcome.problem for outcome in outcomes))


def execute(file: Path, save: bool = False) -> Outcome:
    """Execute one notebook; a failure becomes the `problem` of the outcome."""
    notebook = nbformat.read(file, as_version=4)
    started, peak, problem = time.perf_counter(), _PeakMemory(), ""
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    with tqdm(total=cells, desc=file.stem, unit="cell", leave=False) as bar:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            coalesce_streams=True,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(file.parent)}},
            on_notebook_start=lambda notebook: peak.watch(client.km.provisioner.pid),
            on_cell_executed=lambda cell, cell_index, execute_reply: bar.update(),
        )
        # nbclient's stand-in for output widgets sends on the socket from which it awaits replies, and so now and
        # then misses one until the time-out (nbclient issue 312). What widgets show is not kept: do without it.
        client.widget_registry = {}
        try:
            client.execute()
        except CellTimeoutError:
            problem = f"a cell took longer than {CELL_SECONDS} s"
        except DeadKernelError:
            problem = "the kernel died, which often means that memory ran out"
        except CellExecutionError as error:
            problem = f"{error.ename}: {error.evalue}".splitlines()[0]
        finally:
            peak.stop()
    if save and not problem:
        store(notebook, file)
    seconds = time.perf_counter() - started
    return Outcome(file.stem, seconds, peak.bytes / 2**20, _take_away(notebook), problem)


def _take_away(notebook) -> str:
    printed = "".join(
        output.text for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == "stream"
    )
    lines = [line for line in printed.splitlines() if line.startswith(TAKE_AWAY)]
    return lines[-1].removeprefix(TAKE_AWAY).strip() if lines else ""


def store(notebook, file: Path) -> None:
    """Write an executed notebook as it is kept in the repository: outputs, but no state of this one run."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "widget" in cell.metadata.get("tags", []):
            cell.outputs = []  # without a kernel a widget shows nothing; its static twin follows
    write(file, (nbformat.writes(notebook) + "\n").encode())


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as text, one line each, and their sum."""
    width = max([len(outcome.name) for outcome in outcomes] + [8])
    rows = [f"{'notebook':{width}}  seconds  peak MB  result  take-away"]
    for outcome in outcomes:
        rows.append(
            f"{outcome.name:{width}}  {outcome.seconds:7.1f}  {outcome.peak_mb:7.0f}  "
            f"{'fail' if outcome.problem else 'pass':6}  {outcome.problem or outcome.take_away}"
        )
    passed = sum(not outcome.problem for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    rows.append(f"{passed} of {len(outcomes)} passed in {seconds:.0f} s")
    return "\n".join(rows)


class _PeakMemory:
    """The largest resident memory that a process has had, sampled five times a second."""

    def __init__(self):
        self.bytes = 0
        self._stopped = threading.Event()

    def watch(self, pid: int) -> None:
        threading.Thread(target=self._sample, args=(psutil.Process(pid),), daemon=True).start()

    def _sample(self, process: psutil.Process) -> None:
        while not self._stopped.wait(0.2):
            try:
                self.bytes = max(self.bytes, process.memory_info().rss)
            except psutil.NoSuchProcess:
                return

    def stop(self) -> None:
        self._stopped.set()
