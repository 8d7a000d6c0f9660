"""Names that later cells of a notebook need are put back after a student's cell that has given them another meaning."""

import builtins
import re
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from IPython import get_ipython

KINDS = (ModuleType, FunctionType, BuiltinFunctionType, type)
known: dict[str, Any] = {}  # what is called so when all has been imported: by the notebook, and by Python
functions: list[dict[str, Any]] = [{}, {}]  # of the notebook, before the last cell and after it


def after_a_cell(names: dict[str, Any]) -> None:
    """Put back what the variables `names` of the notebook have lost since the cell that imports this, and all else."""
    both = vars(builtins) | names
    known.update(known or {name: now for name, now in both.items() if name[0] != "_" and isinstance(now, KINDS)})
    _put_back(names, {name: then for name, then in known.items() if both.get(name) is not then})
    functions[:] = functions[1], {name: now for name, now in names.items() if isinstance(now, FunctionType)}


def before_a_cell(names: dict[str, Any], source: str) -> None:
    """Before a check, put back functions of other cells that the last one, where the answer is written, has taken."""
    gone, come = (dict(a.items() - b.items()) for a, b in (functions, functions[::-1]))
    answers = come.keys() & re.findall(r"\bcheck\(\s*[\"'](\w+)", source)
    cells = {gone[answer].__code__.co_filename for answer in answers & gone.keys()}
    _put_back(names, {name: then for name, then in gone.items() if answers and then.__code__.co_filename not in cells})


def _put_back(place: dict[str, Any], lost: dict[str, Any]) -> None:
    place.update(lost)
    if lost:
        print(f"· Put back, because later cells need it as it was: {', '.join(lost)}. Take another name for your own.")


if shell := get_ipython():
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}  # without which no further cell runs
    shell.events.register("pre_run_cell", lambda cell: before_a_cell(shell.user_ns, cell.raw_cell))
    shell.events.register("post_run_cell", lambda _: vars(sys).update(streams))
    shell.events.register("post_run_cell", lambda _: after_a_cell(shell.user_ns))
