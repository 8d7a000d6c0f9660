"""pyproject.toml, environment.yml, the workflow and the citation agree, and hold exactly what is imported."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import presimal
from presimal.cli.check import TESTED_PYTHON

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
BOOK = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CONDA_NAME = {"torch": "pytorch"}
IMPORT_NAME = {"scikit-image": "skimage", "scikit-learn": "sklearn", "pillow": "PIL", "ipython": "IPython"}
IMPORT_NAME |= {"pytorch": "torch", "pyyaml": "yaml", "simpleitk": "SimpleITK", "myst-parser": "myst_parser"}
ASKED_FOR = {"playwright", "axe_playwright_python"}  # which the browser tests ask for themselves
ASKED_FOR |= {"docutils"}  # which Sphinx brings
OURS = {folder.name for folder in (ROOT / "src").iterdir()}
OURS |= {file.stem for folder in ("tests", "scripts") for file in (ROOT / folder).rglob("*.py")}
OURS |= {file.parent.name for file in (ROOT / "scripts").rglob("__init__.py")}


def requirements_of_pip() -> dict[str, tuple[str, str]]:
    """{conda-forge's name: (version bound, extra or "")} of every dependency in pyproject.toml."""
    project, found = PYPROJECT["project"], {}
    extras = {extra: lines for extra, lines in project["optional-dependencies"].items() if extra != "all"}
    for extra, lines in {"": project["dependencies"], **extras}.items():
        for name, bound in (re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in lines):
            assert name not in found, f"{name} is there twice"
            found[CONDA_NAME.get(name, name)] = (bound, extra)
    return found


def extra_of(reason: str) -> str:
    """The extra that a reason in environment.yml begins with, such as "[lab] ...", or ""."""
    return match[1] if (match := re.match(r"\[(\w+)\] ", reason)) else ""


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


def test_both_files_list_the_same_packages_with_the_same_bounds_in_the_same_extras():
    lines = {name: line for name, line in lines_of_conda().items() if name not in ("python", "pip", "-e .")}
    assert {name: (bound, extra_of(reason)) for name, (bound, reason) in lines.items()} == requirements_of_pip()
    assert PYPROJECT["project"]["optional-dependencies"]["all"] == ["presimal[lab,test]"]


def test_a_plain_install_is_enough_for_the_packages_and_the_notebooks():
    plain = {IMPORT_NAME.get(name, name) for name, (_, extra) in requirements_of_pip().items() if not extra}
    assert imported("src", "notebooks") - {"jupyter_client"} <= plain
    assert "nbclient" in plain  # which brings jupyter_client


def test_what_uv_leaves_out_is_asked_for_by_a_library_and_imported_by_nobody():
    left_out = [re.match(r"[\w-]+", line)[0] for line in PYPROJECT["tool"]["uv"]["override-dependencies"]]
    asked = " ".join(line for library in ("fastai", "fastMONAI") for line in metadata.requires(library))
    for name in left_out:
        assert re.search(rf"\b{name}\b", asked), f"{name} is not asked for any more"
        assert name not in imported("src", "notebooks", "tests", "scripts") | set(lines_of_conda())


def test_the_versions_last_tested_keep_the_bounds_and_name_everything():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    version = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pinned}
    assert all([clause.operator for clause in pin.specifier] == ["=="] and not pin.extras for pin in pinned)
    wanted = PYPROJECT["project"]["dependencies"] + [
        line for name, extra in PYPROJECT["project"]["optional-dependencies"].items() for line in extra if name != "all"
    ]
    for line in map(Requirement, wanted):
        assert line.specifier.contains(version[canonicalize_name(line.name)]), line
    command = lines[1].removeprefix("#").strip()
    assert command in re.sub(" --upgrade", "", WORKFLOW["jobs"]["versions"]["steps"][1]["run"])


def test_the_same_python_versions_are_supported_everywhere():
    assert PYPROJECT["project"]["requires-python"] == ">=3.11"
    assert lines_of_conda()["python"][0] == ">=3.11,<3.14"
    assert TESTED_PYTHON == ((3, 11), (3, 13))
    assert WORKFLOW["jobs"]["systems"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    listed = [line.split(" :: ")[-1] for line in PYPROJECT["project"]["classifiers"] if ":: 3." in line]
    assert listed == ["3.11", "3.12", "3.13"]
    assert PYPROJECT["tool"]["mypy"]["python_version"] == "3.11"


def test_the_workflows_may_only_read_and_keep_what_pip_got():
    assert WORKFLOW["permissions"] == BOOK["permissions"] == {"contents": "read"}
    for name, job in [*WORKFLOW["jobs"].items(), *BOOK["jobs"].items()]:
        assert job["timeout-minutes"] <= 90, name
        for step in job["steps"]:
            if "setup-python" in step.get("uses", ""):
                assert step["with"]["cache"] == "pip", name
            assert "PRESIMAL_REALDATA" not in str(step), name


def test_the_long_job_runs_every_file_that_has_more_to_test_there():
    """But for the ages of real people, who are not there."""
    runs = " ".join(step.get("run", "") for step in WORKFLOW["jobs"]["long"]["steps"])
    asks = 'environ.get("PRESIMAL_LONG_' + 'TESTS")'
    files = [file.name for file in (ROOT / "tests").glob("*.py") if asks in file.read_text(encoding="utf-8")]
    assert len(files) > 5
    assert [name for name in files if f"tests/{name}" not in runs] == ["test_age.py"]


def test_the_book_is_published_as_readme_says_from_main_alone_and_after_its_tests():
    deploy, steps = BOOK["jobs"]["deploy"], BOOK["jobs"]["build"]["steps"]
    assert deploy["needs"] == "build" and "refs/heads/main" in deploy["if"] and "!= 'pull_request'" in deploy["if"]
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}
    runs = [step.get("run", "") for step in steps]
    command = "python scripts/build_book.py"
    assert command in runs and command in (ROOT / "README.md").read_text(encoding="utf-8")
    assert steps[-1]["with"]["path"] == "build/book"
    assert any(run.startswith("pytest tests/test_book.py tests/browser/") for run in runs)


def test_before_a_commit_the_same_is_checked_as_in_ci():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    entries = [hook["entry"] for repository in hooks for hook in repository["hooks"]]
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    lint = "\n".join(step.get("run", "") for step in WORKFLOW["jobs"]["lint"]["steps"])
    for command in ("ruff check", "ruff format --check", "mypy"):
        assert command in script and command in lint, command
        assert any(entry.startswith(command.removesuffix(" --check")) for entry in entries), command


def test_one_version_everywhere():
    assert PYPROJECT["project"]["dynamic"] == ["version"] and "version" not in PYPROJECT["project"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "src/presimal/__init__.py"
    assert CITATION["version"] == presimal.__version__
    changes = re.findall(r"^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert changes[:2] == ["Unreleased", presimal.__version__]


def test_the_citation_is_one():
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software" and CITATION["message"]
    assert CITATION["license"] == PYPROJECT["project"]["license"]
    assert CITATION["repository-code"] == PYPROJECT["project"]["urls"]["Repository"]
    assert [author["name"] for author in CITATION["authors"]] == [a["name"] for a in PYPROJECT["project"]["authors"]]
    (workshop,) = [reference for reference in CITATION["references"] if reference["year"] == 2022]
    assert [author["family-names"] for author in workshop["authors"]] == ["Lundervold", "Lundervold", "Bartsch"]


def test_each_package_says_that_it_is_typed():
    for folder in (ROOT / "src").iterdir():
        if (folder / "__init__.py").is_file():
            assert (folder / "py.typed").is_file(), folder.name
            assert f"src/{folder.name}" in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_the_environment_is_named_as_the_readme_says_and_ends_with_the_project():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert "\nname: presimal\n" in text and "- conda-forge\n" in text
    assert list(lines_of_conda())[-1] == "-e ."


def test_every_line_has_its_reason():
    without = [name for name, (_, reason) in lines_of_conda().items() if len(reason.split()) < 3]
    assert not without


def test_everything_imported_is_declared():
    declared = {IMPORT_NAME.get(name, name) for name in lines_of_conda()}
    assert imported("src", "notebooks") - {"jupyter_client"} <= declared  # which nbclient brings
    assert imported("tests", "scripts") - ASKED_FOR <= declared


def test_everything_declared_is_used_or_waits_for_its_notebook():
    """A package that nothing imports must be a tool, or be there for a notebook that is still to come."""
    used = imported("src", "notebooks", "tests", "scripts")
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py"))
    used |= set(re.findall(r'find_spec\("(\w+)"\)', code))  # whose files are read
    written = {file.name[:2] for file in (ROOT / "notebooks").glob("*.ipynb")}
    for name, (_, reason) in lines_of_conda().items():
        if IMPORT_NAME.get(name, name) in used or "tool:" in reason:
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
        lines_of_conda("dependencies:\n  - pytorch == 2.6 # all: too many spaces\n")


def test_importing_presimal_is_light():
    """At most 0.3 s, which means none of the heavy libraries."""
    code = "import sys, presimal; print([m for m in ('torch', 'numpy', 'matplotlib', 'IPython') if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True
        ).stdout
        == "[]\n"
    )


def test_importing_fastai_after_presimal_warns_of_nothing():
    code = "import presimal; import fastai.basics"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert result.stderr == ""
