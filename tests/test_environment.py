"""pyproject.toml and environment.yml agree, and hold exactly what is imported."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONDA_NAME = {"torch": "pytorch"}
IMPORT_NAME = {"scikit-image": "skimage", "scikit-learn": "sklearn", "pillow": "PIL", "ipython": "IPython", "pytorch": "torch"}
OURS = {"presimal"} | {file.stem for folder in ("tests", "scripts") for file in (ROOT / folder).glob("*.py")}


def requirements_of_pip() -> dict[str, str]:
    """{conda-forge's name: version bound} of every dependency in pyproject.toml."""
    found = {}
    for requirement in PYPROJECT["project"]["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
        found[CONDA_NAME.get(name, name)] = bound
    return found


def lines_of_conda(text: str | None = None) -> dict[str, tuple[str, str]]:
    """{name: (version bound, reason)} of every dependency in environment.yml."""
    text = text or (ROOT / "environment.yml").read_text(encoding="utf-8")
    listed = text.split("dependencies:\n")[1].splitlines()
    pattern = re.compile(r"\s+- (-e \.|[\w-]+)([^\s#:]*)\s*(?:# (.+))?")
    matches = [pattern.fullmatch(line) for line in listed if line.strip() != "- pip:"]
    assert all(matches), "a line of environment.yml is not '- name>=version  # reason'"
    return {match[1]: (match[2], match[3] or "") for match in matches}


def imported(*folders: str) -> set[str]:
    """Top-level names of all third-party modules imported by the Python files and notebooks in `folders`."""
    sources = []
    for folder in folders:
        sources += [file.read_text(encoding="utf-8") for file in (ROOT / folder).rglob("*.py")]
        for file in (ROOT / folder).glob("*.ipynb"):
            cells = nbformat.read(file, as_version=4).cells
            sources += [cell.source for cell in cells if cell.cell_type == "code"]
    names = set()
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - OURS


def test_both_files_list_the_same_packages_with_the_same_bounds():
    conda = {name: bound for name, (bound, _) in lines_of_conda().items() if name not in ("python", "pip", "-e .")}
    assert conda == requirements_of_pip()


def test_the_same_python_versions_are_supported_everywhere():
    assert PYPROJECT["project"]["requires-python"] == ">=3.11"
    assert lines_of_conda()["python"][0] == ">=3.11,<3.14"
    from presimal.cli.check import TESTED_PYTHON

    assert TESTED_PYTHON == ((3, 11), (3, 13))
    workflow = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    assert '["3.11", "3.13"]' in workflow


def test_the_environment_is_named_as_the_readme_says_and_ends_with_the_project():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert "\nname: presimal\n" in text and "- conda-forge\n" in text
    assert list(lines_of_conda())[-1] == "-e ."


def test_every_line_has_its_reason():
    without = [name for name, (_, reason) in lines_of_conda().items() if len(reason.split()) < 3]
    assert not without


def test_everything_imported_is_declared():
    declared = {IMPORT_NAME.get(name, name) for name in lines_of_conda()}
    assert imported("src", "notebooks") <= declared
    assert imported("tests", "scripts") <= declared


def test_everything_declared_is_used_or_waits_for_its_notebook():
    """A package that nothing imports must be a tool, or be there for a notebook that is still to come."""
    used = imported("src", "notebooks", "tests", "scripts")
    written = {file.name[:2] for file in (ROOT / "notebooks").glob("*.ipynb")}
    for name, (_, reason) in lines_of_conda().items():
        if IMPORT_NAME.get(name, name) in used or reason.startswith("tool:"):
            continue
        awaited = set(re.findall(r"\d\d", reason.split(":")[0])) - written
        assert awaited, f"{name} is in environment.yml, but nothing imports it and its notebooks exist"


def test_the_scan_finds_imports_of_every_form(tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("import os, alpha.b\ndef f():\n    from beta.c import d\nfrom . import e\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import gamma as g")])
    nbformat.write(notebook, tmp_path / "code" / "n.ipynb")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert imported("code") == {"alpha", "beta", "gamma"}


def test_a_line_without_form_is_refused():
    with pytest.raises(AssertionError):
        lines_of_conda("dependencies:\n  - pytorch == 2.4 # all: too many spaces\n")


def test_importing_presimal_is_light():
    """At most 0.3 s, which means none of the heavy libraries."""
    code = "import sys, presimal; print([m for m in ('torch', 'numpy', 'matplotlib', 'IPython') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_fastai_after_presimal_warns_of_nothing():
    code = "import presimal; import fastai.basics"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == ""
