"""The workshop's package can be read from top to bottom in an evening: each module imports only from those above it."""

import ast
import re
from pathlib import Path

import pytest

import presimal

FOLDER = Path(presimal.__file__).parent
ORDER = re.findall(r"\w+", re.search(r"In its order \((.+?)\)", presimal.__doc__, re.DOTALL)[1])
FILES = sorted(FOLDER.rglob("*.py"))


def imports(file: Path) -> set[str]:
    """The full names of modules that a file imports, at its top or inside functions; `from a import b` is a and a.b."""
    package, found = ["presimal", *file.relative_to(FOLDER).parent.parts], set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def place(name: str) -> str:
    return name.split(".")[1]


def test_every_module_has_its_place():
    assert {file.relative_to(FOLDER).parts[0].removesuffix(".py") for file in FILES} - {"__init__", "__main__"} == set(
        ORDER
    )


def test_modules_import_only_from_above():
    for file in FILES:
        own = file.relative_to(FOLDER).parts[0].removesuffix(".py")
        for name in imports(file):
            if own in ORDER and name.startswith("presimal.") and place(name) in ORDER:
                assert ORDER.index(place(name)) <= ORDER.index(own), f"{file} imports {name}"


@pytest.mark.parametrize("folder", [name for name in ORDER if (FOLDER / name).is_dir()])
def test_there_is_no_circle_within_a_folder(folder):
    files = {file.stem: imports(file) for file in (FOLDER / folder).glob("*.py") if file.stem != "__init__"}
    needs = {name: {other for other in files if f"presimal.{folder}.{other}" in found} for name, found in files.items()}
    while free := [name for name, others in needs.items() if not others]:
        needs = {name: others - set(free) for name, others in needs.items() if name not in free}
    assert not needs


def test_it_stays_small():
    lengths = {file.relative_to(FOLDER).as_posix(): len(file.read_text().splitlines()) for file in FILES}
    assert max(lengths.values()) <= 250, lengths
    assert sum(lengths.values()) <= 2500, sum(lengths.values())
