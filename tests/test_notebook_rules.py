"""Every stored notebook keeps the rules, and every rule catches the fault that it is there for."""

import base64
import copy
import tomllib
from pathlib import Path

import nbformat
import notebook_rules
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PNG = base64.b64encode(b"not looked at").decode()


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_stored_notebook_keeps_the_rules(file):
    assert notebook_rules.violations(nbformat.read(file, as_version=4), file, REPOSITORY) == []


def test_all_stored_notebooks_were_looked_at():
    assert [file.stem[:2] for file in NOTEBOOKS] == [f"{number:02d}" for number in range(len(NOTEBOOKS))]
    assert len(NOTEBOOKS) >= 3


def test_the_first_one_says_how_many_there_are():
    cells = notebook_rules.code(nbformat.read(NOTEBOOKS[0], as_version=4))
    (report,) = [notebook_rules.printed(cell) for cell in cells if "readiness.check()" in cell.source]
    assert f"notebooks  {len(NOTEBOOKS)}, " in report


def text(content, name="stdout"):
    return new_output("stream", name=name, text=content)


def picture(kind="image/png"):
    return new_output("display_data", data={kind: PNG, "text/plain": "<Figure>"})


def good_notebook():
    """The smallest notebook that keeps every rule."""
    cells = [
        new_markdown_cell(
            "# 00 · Title\n**A question?**\n\n"
            "| minutes to teach | seconds on 2 CPU cores | you will be able to |\n|-|-|-|\n|1|1|x|"
        ),
        new_code_cell(notebook_rules.INSTALL.format(repository=REPOSITORY), metadata={"tags": ["install"]}),
        new_code_cell("from presimal import compute, figures", metadata={"tags": ["setup"]}),
        new_code_cell(
            "SEED = 0\nEXERCISES = 1\nDEVICE = compute.device()\ncompute.seed_everything(SEED)\nfigures.use_style()",
            metadata={"tags": ["setup"]},
        ),
        new_markdown_cell("## One\n![a drawing of a brain](brain.png)"),
        new_code_cell("# Draw a brain.\ndef draw(): pass", metadata={"tags": ["drawing"]}),
        new_code_cell("@interact(k=3)\ndef browse(k): pass", metadata={"tags": ["widget"]}),
        new_code_cell("draw()", metadata={"tags": ["static-twin"]}, outputs=[picture(), text("Figure: a brain.\n")]),
        new_code_cell("answer = ...", metadata={"tags": ["exercise", "raises-exception"]}),
        new_code_cell('check("answer")', metadata={"tags": ["check"]}, outputs=[text("answer: not tried yet\n")]),
        new_code_cell('# Solution\nanswer = solution(1, "answer")', metadata={"tags": ["solution"]}),
        *(
            new_code_cell("print(1)", metadata={"tags": ["nbval-check-output"]}, outputs=[text("1\n")])
            for _ in range(3)
        ),
        new_markdown_cell("## Did it learn?"),
        new_code_cell("assert answer == 1"),
        new_markdown_cell(
            "## Take-away\nThe error is 0.1<!-- stored: error = --> years, 0.05 to 0.3<!-- stored: error = -->, in 14 "
            "%<!-- stored: error = --> of 1,000<!-- stored: people --> people."
        ),
        new_code_cell("say()", outputs=[text("1000 people\ntake-away: error = 0.14 years (baseline 0.5 years)\n")]),
    ]
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
    for cell in cells:
        if {"install", "setup", "check", "solution", "drawing"} & set(notebook_rules.tags(cell)):
            cell.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
            cell.metadata["tags"].append("hide-input")
    return new_notebook(cells=cells)


def tagged(notebook, tag):
    return notebook_rules.code(notebook, tag)[0]


def set_output(notebook, tag, *outputs):
    tagged(notebook, tag).outputs = list(outputs)


def set_source(notebook, tag, source):
    tagged(notebook, tag).source = source


def remove(notebook, tag):
    notebook.cells.remove(tagged(notebook, tag))
    for count, cell in enumerate(notebook_rules.code(notebook), 1):
        cell.execution_count = count


def replace_prose(notebook, old, new):
    assert old in notebook_rules.prose(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(old, new)


FAULTS = {
    "never executed": (lambda n: tagged(n, "setup").update(execution_count=None), "execution counts"),
    "executed out of order": (lambda n: tagged(n, "setup").update(execution_count=99), "execution counts"),
    "error": (
        lambda n: set_output(n, "setup", new_output("error", ename="KeyError", evalue="", traceback=[])),
        "stores KeyError",
    ),
    "warning": (lambda n: set_output(n, "setup", text("careful", "stderr")), "stderr"),
    "stray result": (
        lambda n: set_output(n, "setup", new_output("execute_result", data={"text/plain": "0\n" * 21})),
        "nobody wants to read",
    ),
    "widget state": (lambda n: n.metadata.update(widgets={}), "state of its widgets"),
    "widget view": (
        lambda n: set_output(
            n, "setup", new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {}})
        ),
        "stores a widget",
    ),
    "widget without tag": (lambda n: tagged(n, "widget").metadata.update(tags=[]), "lacks the tag"),
    "widget without twin": (lambda n: remove(n, "static-twin"), "without a static twin"),
    "path in a source": (
        lambda n: set_source(n, "setup", "from presimal import compute\nx = '/home/me/x'"),
        "holds the path",
    ),
    "path in an output": (lambda n: set_output(n, "setup", text("saved to C:\\Users\\me")), "holds the path"),
    "vector graphics": (
        lambda n: set_output(n, "setup", picture("image/svg+xml"), text("Figure: x\n")),
        "stores image/svg",
    ),
    "script": (
        lambda n: set_output(n, "setup", new_output("display_data", data={"text/html": "<script>x</script>"})),
        "inside text/html",
    ),
    "nothing compared": (lambda n: remove(n, "nbval-check-output"), "three are the least"),
    "compared without output": (lambda n: set_output(n, "nbval-check-output"), "stores no output"),
    "skipped": (lambda n: set_source(n, "exercise", "# NBVAL_SKIP\nanswer = ..."), "skipped by the tests"),
    "allowed to fail": (
        lambda n: tagged(n, "widget").metadata.tags.append("raises-exception"),
        "skipped by the tests",
    ),
    "magic": (lambda n: set_source(n, "exercise", "%matplotlib inline"), "not plain Python"),
    "shell": (lambda n: set_source(n, "exercise", "!pip install x"), "not plain Python"),
    "hidden magic": (lambda n: set_source(n, "exercise", "get_ipython().system('x')"), "shell or a magic"),
    "semicolon": (lambda n: set_source(n, "exercise", "f(3);"), "ends a line with ';'"),
    "long cell": (lambda n: set_source(n, "exercise", "x = 1\n" * 31), "31 lines"),
    "long cells": (lambda n: [c.update(source="x = 1\n" * 9) for c in notebook_rules.code(n)], "median"),
    "long line": (lambda n: set_source(n, "exercise", "x = 1  # " + 93 * "x"), "a line of 102 letters"),
    "picture without alt text": (lambda n: replace_prose(n, "a drawing of a brain", ""), "no alternative text"),
    "img without alt text": (lambda n: replace_prose(n, "## One", '<img src="brain.png">'), "no alternative text"),
    "figure without sentence": (lambda n: set_output(n, "static-twin", picture()), "without the sentence"),
    "number in prose": (lambda n: replace_prose(n, "is 0.1<", "is 0.2<"), "the text says 0.2"),
    "range in prose": (lambda n: replace_prose(n, "0.05 to", "0.2 to"), "the text says 0.2 to 0.3"),
    "percentage in prose": (lambda n: replace_prose(n, "14 %", "15 %"), "the text says 15"),
    "number of no line": (lambda n: replace_prose(n, "stored: people", "stored: women"), "with 'women'"),
    "mark without a number": (lambda n: replace_prose(n, "is 0.1<", "is small<"), "does not follow a number"),
    "nameless drawing": (lambda n: tagged(n, "drawing").update(source="draw()"), "what is folded away"),
    "open drawing": (lambda n: tagged(n, "drawing").metadata.pop("cellView"), "not folded everywhere"),
    "wrong title": (lambda n: replace_prose(n, "# 00 · Title", "# Title"), "not a title"),
    "no time given": (lambda n: replace_prose(n, "minutes to teach", "minutes"), "lacks '| minutes to teach'"),
    "no question": (lambda n: replace_prose(n, "question?", "statement."), "lacks '?'"),
    "no install": (lambda n: remove(n, "install"), "install the project on Colab"),
    "other install": (lambda n: set_source(n, "install", "import presimal"), "install the project on Colab"),
    "no import": (lambda n: set_source(n, "setup", "import torch"), "imports from presimal"),
    "no seed": (lambda n: replace_code(n, "SEED = 0", "seed = 0"), "settings lack '^SEED"),
    "no style": (lambda n: replace_code(n, "figures.use_style()", ""), "use_style"),
    "no exercise": (lambda n: [remove(n, tag) for tag in ("exercise", "check", "solution")], "exercises, 1"),
    "no solution": (lambda n: remove(n, "solution"), "in this order"),
    "open solution": (lambda n: tagged(n, "solution").metadata.pop("jupyter"), "not folded everywhere"),
    "check open in Colab": (lambda n: tagged(n, "check").metadata.pop("cellView"), "not folded everywhere"),
    "imports open in static pages": (lambda n: tagged(n, "setup").metadata.tags.remove("hide-input"), "not folded"),
    "attempt that stops Run All": (lambda n: tagged(n, "exercise").metadata.tags.pop(), "tag it raises-exception"),
    "solution for blanks alone": (lambda n: set_source(n, "solution", "# Solution\nanswer = 1"), "under '# Solution'"),
    "check that looks like any cell": (lambda n: set_source(n, "check", 'x = 1\ncheck("x")'), "in its first line"),
    "exercises not counted": (lambda n: replace_code(n, "EXERCISES = 1", "EXERCISES = 2"), "EXERCISES = 1"),
    "solution stored as tried": (lambda n: set_output(n, "check", text("answer: correct\n")), "untouched attempt"),
    "never asked": (lambda n: replace_prose(n, "## Did it learn?", "## End"), "Did it learn"),
    "asked but not asserted": (lambda n: replace_code(n, "assert answer == 1", "print(answer)"), "asserts nothing"),
    "no take-away section": (lambda n: replace_prose(n, "## Take-away", "## End"), "section '## Take-away'"),
    "take-away without baseline": (
        lambda n: n.cells[-1].update(outputs=[text("take-away: error = 0.1 years\n")]),
        "not one line 'take-away",
    ),
}


def replace_code(notebook, old, new):
    found = [cell for cell in notebook_rules.code(notebook) if old in cell.source]
    assert found
    for cell in found:
        cell.source = cell.source.replace(old, new)


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "00_sample.ipynb"
    nbformat.write(good_notebook(), file)
    return file


def test_the_good_sample_keeps_the_rules(file):
    assert notebook_rules.violations(good_notebook(), file, REPOSITORY) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_caught(fault, file):
    put_in, complaint = FAULTS[fault]
    notebook = copy.deepcopy(good_notebook())
    put_in(notebook)
    found = notebook_rules.violations(notebook, file, REPOSITORY)
    assert any(complaint in sentence for sentence in found), found


def test_a_large_file_is_caught(file):
    file.write_bytes(b" " * 1_600_000)
    assert list(notebook_rules.is_small(good_notebook(), file)) == ["the file has 1.6 MB, more than 1.5"]


def test_later_notebooks_need_four_exercises(file):
    found = notebook_rules.has_exercises(good_notebook(), file.with_name("01_sample.ipynb"))
    assert list(found) == ["1 exercises, 4 are the least"]


def test_every_rule_has_a_fault_that_only_it_catches(file):
    """No rule can be dropped, or broken into silence, without a test here going red."""
    caught_by = set()
    for put_in, complaint in FAULTS.values():
        notebook = good_notebook()
        put_in(notebook)
        for rule in notebook_rules.RULES:
            caught_by |= {rule.__name__ for sentence in rule(notebook, file) if complaint in sentence}
    assert {rule.__name__ for rule in notebook_rules.RULES} - caught_by == {"is_small"}
