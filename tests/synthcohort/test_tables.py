"""Constants have names: those of a module stand in the table beside it, and a misspelt one is found without running."""

import ast
from pathlib import Path

import pytest

import synthcohort
from synthcohort.tables import constants

FOLDER = Path(synthcohort.__file__).parent
MODULES = [file for file in sorted(FOLDER.rglob("*.py")) if file.with_suffix(".toml").exists()]
READERS = [*FOLDER.rglob("*.py"), *(FOLDER.parents[1] / "scripts").rglob("*.py")]
# What is no size, rate or share: ends and middles, guards against division by zero, "far away", all of a whole.
ALGEBRA = {0.0, 0.5, 1.0, 1e-6, 1e-3, 1e3, 1e4, 100.0}


def tables_in(file: Path) -> dict[str, Path]:
    """How a file calls the tables that it reads: "C" or "growth.C" -> module of the table."""
    found = {"C": file}
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            folder = file.parents[node.level - 1] if node.level else FOLDER.parent
            target = folder.joinpath(*(node.module or "").split("."))
            for alias in node.names:
                name = alias.asname or alias.name
                if alias.name == "C":
                    found[name] = target.with_suffix(".py")
                elif (target / f"{alias.name}.py").exists():
                    found[f"{name}.C"] = target / f"{alias.name}.py"
    return found


@pytest.fixture(scope="module")
def read() -> dict[Path, set[str]]:
    """The names that anybody reads from the table of each module."""
    found: dict[Path, set[str]] = {module: set() for module in MODULES}
    for file in READERS:
        tables = tables_in(file)
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                module = tables.get(ast.unparse(node.value))
                if module in found:
                    found[module].add(node.attr)
    return found


def test_there_are_tables():
    assert {"growth", "variation", "appearance", "outcome", "tissues", "aging", "head", "person", "scanner"} <= {
        module.stem for module in MODULES
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda file: file.relative_to(FOLDER).as_posix())
def test_a_table_holds_what_is_read_and_nothing_else(module, read):
    names = set(vars(constants(str(module))))
    assert read[module] <= names, f"not in the table: {sorted(read[module] - names)}"
    assert names <= read[module], f"read by nobody: {sorted(names - read[module])}"


def nameless(function: ast.FunctionDef) -> list[float]:
    """Float literals of a function, but for defaults of its arguments."""
    body = [node for statement in function.body for node in ast.walk(statement)]
    return [n.value for n in body if isinstance(n, ast.Constant) and isinstance(n.value, float)]


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: file.relative_to(FOLDER).as_posix())
def test_no_function_holds_a_constant_without_a_name(file):
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert set(nameless(node)) <= ALGEBRA, f"{node.name} holds {set(nameless(node)) - ALGEBRA}"


def test_a_table_is_read_as_it_stands(tmp_path):
    (tmp_path / "growth.toml").write_text("rim = [3.2, 7.8]  # mm\n[share]\nring = 0.5\n")
    (tmp_path / "other.toml").write_text("rim = 1.0\n")
    found = constants(str(tmp_path / "growth.py"))
    assert vars(found) == {"rim": [3.2, 7.8], "share": {"ring": 0.5}}
    assert constants(str(tmp_path / "growth.py"), "other").rim == 1.0
    with pytest.raises(AttributeError):
        _ = found.width
