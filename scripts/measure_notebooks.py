"""Measure what the book and the presenter's copies say of notebooks: `python scripts/measure_notebooks.py [01 02 ...]`.

Each runs from top to bottom in a fresh kernel with one thread; nothing is stored in it. Two things are kept.

notebooks/seconds.json: {notebook: {heading of the section: {CRC-32 of a cell's code: seconds}}}, the smaller of those
on the clock and those of the processor, so that another program on the machine lengthens none. A cell that is changed
afterward is no longer found. `presimal lab --teach` says them at long cells, the page for instructors sums them.

assets/sliders: pictures and sentences of the positions of each slider, and the processor's seconds, as a median, from a
moved control to its new picture. `--sliders` makes these alone, from the cells that they need, in a minute or two.
"""

import argparse
import base64
import io
import json
import os
import symtable
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
import PIL.Image
import psutil
from book import pages
from nbclient import NotebookClient

from presimal.cli import run

ROOT = Path(__file__).parents[1]
SECONDS = ROOT / "notebooks" / "seconds.json"
SLIDERS = ROOT / "assets" / "sliders" / "sliders.json"  # {notebook: [what book/sliders.py takes]}
RECORD = """import sys
sys.path.insert(0, {scripts!r})
from book import sliders
sliders.record({folder!r})"""


def measure(file: Path, folder: str, only_sliders: bool = False) -> dict[str, dict[str, float]]:
    """{heading: {CRC-32: seconds}} of one notebook, whose sliders go to the folder; raises what the notebook raises."""
    notebook = nbformat.read(file, as_version=4)
    if only_sliders:
        notebook.cells = needed([cell for cell in notebook.cells if cell.cell_type == "code"])
    record = RECORD.format(scripts=str(Path(__file__).parent), folder=folder)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(record))
    client: Any = NotebookClient(notebook, timeout=run.CELL_SECONDS, resources={"metadata": {"path": str(file.parent)}})
    client.widget_registry = {}  # as in `presimal run`
    found: dict[str, dict[str, float]] = {}
    started = [0.0, 0.0]

    def clocks() -> list[float]:
        kernel = psutil.Process(client.km.provisioner.pid)
        return [time.perf_counter(), sum(kernel.cpu_times()[:4])]

    def begin(cell: Any, cell_index: int) -> None:
        started[:] = clocks()

    def end(cell: Any, cell_index: int, execute_reply: Any) -> None:
        seconds = min(now - then for now, then in zip(clocks(), started, strict=True))
        if cell_index and "widget" not in cell.metadata.get("tags", []):  # whose positions took the time
            section = found.setdefault(heading(notebook.cells, cell_index), {})
            key = pages.key(cell.source)
            section[key] = round(section.get(key, 0.0) + seconds, 1)

    client.on_cell_execute, client.on_cell_executed = begin, end
    client.execute()
    return found


def needed(cells: list[Any]) -> list[Any]:
    """The cells that move or set up, and those that make a name which these need, and so on."""
    made, used = zip(*(names(symtable.symtable(cell.source, "cell", "exec")) for cell in cells), strict=True)
    tags = [set(cell.metadata.get("tags", [])) for cell in cells]
    last = max(k for k, own in enumerate(tags) if "widget" in own)
    kept: set[int] = set()
    more = {k for k, own in enumerate(tags) if {"widget", "setup"} & own}
    while more - kept:
        kept |= more
        wanted = set().union(*(used[k] for k in kept))
        more = {k for k in range(last) if made[k] & wanted and "check" not in tags[k]}
    return [cells[k] for k in sorted(kept)]


def names(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """The names that some code makes, and those that it takes from elsewhere, its functions included."""
    symbols, module = table.get_symbols(), table.get_type() == "module"
    made = {one.get_name() for one in symbols if module and (one.is_assigned() or one.is_imported())}
    used = {one.get_name() for one in symbols if one.is_referenced() and (module or one.is_global())}
    for child in table.get_children():
        used |= names(child)[1]
    return made, used - made


def heading(cells: list[Any], index: int) -> str:
    """The heading of the section that holds a cell; "" above the first."""
    lines = [cell.source.splitlines()[0] for cell in cells[: index + 1] if cell.cell_type == "markdown" and cell.source]
    return next((line[3:] for line in reversed(lines) if line.startswith("## ")), "")


def drawn(file: Path, folder: str) -> list[dict[str, Any]]:
    """The sliders that a notebook has left in the folder, their pictures written beside the index."""
    cells = [cell for cell in nbformat.read(file, as_version=4).cells if "widget" in cell.metadata.get("tags", [])]
    for old in SLIDERS.parent.glob(f"{file.stem[:2]}-*.webp"):
        old.unlink()
    taken = []
    for number, cell in enumerate(cells, 1):
        slider = {"cell": pages.key(cell.source)} | json.loads(Path(folder, f"{number}.json").read_text("utf-8"))
        for k, (sentence, source) in enumerate(slider["pictures"]):
            name = f"{file.stem[:2]}-{number}-{k + 1}.webp"
            with PIL.Image.open(io.BytesIO(base64.b64decode(source))) as image:
                image.convert("RGB").save(SLIDERS.parent / name, quality=80, method=6)
            slider["pictures"][k] = [sentence, name]
        taken.append(slider)
        print(f"{file.stem}, slider {number}: {1 / slider['seconds']:.0f} pictures a second", flush=True)
    return taken


def keep(file: Path, name: str, content: Any) -> None:
    """Put what was measured of one notebook into a table of all."""
    table = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    text = json.dumps(dict(sorted((table | {name: content}).items())), indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", help="numbers or names; default: all")
    parser.add_argument("--sliders", action="store_true", help="only assets/sliders")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    SLIDERS.parent.mkdir(exist_ok=True)
    for file in run.find_notebooks(options.notebooks):
        with tempfile.TemporaryDirectory() as folder:
            seconds = measure(file, folder, options.sliders)
            keep(SLIDERS, file.stem, drawn(file, folder))
        if options.sliders:
            continue
        keep(SECONDS, file.stem, seconds)
        print(f"{file.stem}: {sum(sum(section.values()) for section in seconds.values()):.0f} s", flush=True)


if __name__ == "__main__":
    main()
