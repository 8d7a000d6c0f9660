"""What a student's cell changes for the cells below it is put back, by a kernel and for every notebook."""

import ast
import builtins
import contextlib
import dis
from pathlib import Path

import nbclient
import nbformat
import notebook_rules
import numpy as np
import pytest
import torch

from presimal import exercises, session

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def notebook():
    """What runs cells, one by one and each under a name of its own, as a kernel does; its `names` are the variables."""
    names = {"__name__": "__main__", "np": np, "F": torch.nn.functional}
    names |= {"check": exercises.check, "given": exercises.given, "solution": exercises.solution}

    def run(*cells):
        for source in cells:
            session.before_a_cell(names, source)
            with contextlib.suppress(Exception):
                exec(compile(source, f"<{source}>", "exec"), names)
            session.after_a_cell(names)

    run.names = names
    forget()
    run("")
    yield run
    forget()


def forget():
    session.known.clear()
    session.functions[:] = {}, {}


@pytest.mark.parametrize(
    ("cell", "name"),
    [("np = 3", "np"), ("del np", "np"), ("def F(x): return x", "F"), ("import math as np", "np"),
     ("sum = 0", "sum"), ("from numpy import *", "max"), ("class list: pass", "list"), ("np = 1\n1 / 0", "np")],
)  # fmt: skip
def test_a_name_has_its_meaning_again_after_the_cell(notebook, capsys, cell, name):
    was = notebook.names.get(name, getattr(builtins, name, None))
    notebook(cell)
    assert notebook.names[name] is was
    said = capsys.readouterr().out
    assert said.startswith("· Put back") and name in said and said.count("\n") == 1


def test_what_a_notebook_does_by_itself_is_left_alone(notebook, capsys):
    notebook("x = 3", "import numpy as np, json", "def f(x): return x", "def f(x): return 2 * x", "x = json", "_ = np")
    assert notebook.names["f"](3) == 6 and capsys.readouterr().out == ""


RIGHT = "def answer(x): return 2 * x"
CHECK = "check('answer', given(1.0).returns(2.0))"


@pytest.mark.parametrize(
    ("cell", "part"),
    [("def dice(a): return 9\n" + RIGHT, "dice"), ("del dice\n" + RIGHT, "dice"), ("dice = 3\n" + RIGHT, "dice")],
)
def test_a_function_of_the_notebook_is_put_back_by_a_check(notebook, capsys, cell, part):
    notebook("def dice(a): return a", "def answer(x): ...", cell, CHECK)
    assert (
        notebook.names["dice"](1) == 1
        and f"· Put back, because later cells need it as it was: {part}" in capsys.readouterr().out
    )


def test_what_a_student_writes_anew_stays(notebook, capsys):
    """A helper of an answer, written again with it, and a cell of the notebook that was changed."""
    helper = "def helper(): return {}\n"
    notebook("def dice(a): return a", "def answer(x): ...", helper.format(1) + RIGHT, helper.format(2) + RIGHT, CHECK)
    notebook("def dice(a): return 5", CHECK)
    assert notebook.names["helper"]() == 2 and notebook.names["dice"](1) == 5
    assert "Put back" not in capsys.readouterr().out


# A kernel, and the notebooks


def executed(*cells):
    """What a kernel prints, cell by cell; a cell may fail."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nbclient.NotebookClient(made, timeout=120, allow_errors=True).execute()
    return ["".join(out.get("text", out.get("evalue", "")) for out in cell.outputs) for cell in made.cells]


def test_a_kernel_goes_on_whatever_the_first_answer_has_done():
    """Before any check was run; and a cell of the student's own, later."""
    setup = "import numpy as np, torch\nfrom presimal.exercises import check, given, solution"
    spoiled = "np = check = 3\nsum = 0\nimport sys\nsys.stdout = None\n1 / 0"
    later = "print(sum([np.ones(2).sum(), 1]), torch.ones(1).dtype, check.__name__)"
    said = executed(setup, "def answer(x): ...", spoiled, CHECK, later, "del np", later)
    assert [said[k] for k in (4, 6)] == ["3.0 torch.float32 check\n"] * 2, said
    assert said[3] == "· answer: not tried yet\n" and said[5].startswith("· Put back"), said
    assert "np" in said[2] and "sum" in said[2] and said[0] == "", said


def bound(code, kinds=("STORE_NAME", "DELETE_NAME")):
    """The names that a cell binds or deletes, also from within functions, that say `global`."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname in (*kinds, "STORE_GLOBAL")}
    return names.union(*(bound(part, ()) for part in code.co_consts if isinstance(part, type(code))))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_notebook_itself_changes_nothing_that_would_be_put_back(file):
    """Neither what it has imported, nor Python's own names; and no attempt or solution defines a function again."""
    imported, functions, answers, problems = {}, set(), set(), []
    for cell in notebook_rules.code(nbformat.read(file, as_version=4)):
        tree, code, here = ast.parse(cell.source), compile(cell.source, "<cell>", "exec"), {}
        names = bound(code)
        for node in ast.walk(tree):
            for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
                name = alias.name if alias.asname or isinstance(node, ast.ImportFrom) else alias.name.split(".")[0]
                here[alias.asname or name] = (getattr(node, "module", ""), name)
        problems += [name for name in names & {*imported} if here.get(name) != imported[name]]
        problems += [name for name in names - {*here} if hasattr(builtins, name)]
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if {"exercise", "solution"} & set(notebook_rules.tags(cell)):
            problems += defined & functions
            answers |= defined
        problems += functions & {step.argval for step in dis.get_instructions(code) if step.opname == "DELETE_NAME"}
        functions |= defined - answers
        imported |= here
    assert not problems and answers
