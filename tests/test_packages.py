"""Each package can be read from top to bottom in an evening, and stands only on those below it."""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

import synthcohort

# Package -> the packages it may import. The workshop stands on the two others, and they know nothing of it.
BELOW = {
    "synthcohort": set(),
    "brainscans": {"synthcohort"},
    "presimal": {"brainscans", "synthcohort"},
}
LONGEST_FILE, LONGEST_PACKAGE = 250, 2500  # lines
LIBRARIES = {"torch", "numpy", "scipy", "pandas", "nibabel", "nilearn", "safetensors", "filelock", "pooch", "tqdm"}
packages = pytest.mark.parametrize("package", BELOW)


def folder(package: str) -> Path:
    return Path(import_module(package).__file__).parent


def files(package: str) -> list[Path]:
    return sorted(folder(package).rglob("*.py"))


def order(package: str) -> list[str]:
    """The modules of a package as its docstring lists them, each a line or all in one bracket."""
    text = import_module(package).__doc__
    bracket = re.search(r"In its order \((.+?)\)", text, re.DOTALL)
    return re.findall(r"\w+", bracket[1]) if bracket else re.findall(r"^    (\w+) {2,}\S", text, re.MULTILINE)


def imports(package: str, file: Path) -> set[str]:
    """The full names of modules that a file imports, at its top or inside functions; `from a import b` is a and a.b."""
    here, found = [package, *file.relative_to(folder(package)).parent.parts], set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = here[: len(here) + 1 - node.level] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def within(module: str, found: dict) -> str:
    """The file of a folder that holds a module; what is no file, as in `from . import CONSTANT`, is in `__init__`."""
    first = module.split(".")[0]
    return first if first in found else "__init__"


def place(package: str, file: Path) -> str:
    return file.relative_to(folder(package)).parts[0].removesuffix(".py")


@packages
def test_packages_import_only_those_below(package):
    used = {name.split(".")[0] for file in files(package) for name in imports(package, file)}
    assert used & set(BELOW) <= BELOW[package] | {package}


def test_the_generator_needs_ten_libraries():
    used = {name.split(".")[0] for file in files("synthcohort") for name in imports("synthcohort", file)}
    assert used - set(sys.stdlib_module_names) - {"synthcohort"} <= LIBRARIES
    assert len(LIBRARIES) <= 10


@packages
def test_every_module_has_its_place(package):
    assert {place(package, file) for file in files(package)} - {"__init__", "__main__"} == set(order(package))


@packages
def test_modules_import_only_from_above(package):
    names = order(package)
    for file in files(package):
        own = place(package, file)
        for name in imports(package, file):
            first, *rest = name.split(".")
            if first == package and own in names and rest and rest[0] in names:
                assert names.index(rest[0]) <= names.index(own), f"{file} imports {name}"


@pytest.mark.parametrize(
    ("package", "name"), [(p, name) for p in BELOW for name in order(p) if (folder(p) / name).is_dir()]
)
def test_there_is_no_circle_within_a_folder(package, name):
    here = f"{package}.{name}"
    found = {file.stem: imports(package, file) for file in (folder(package) / name).glob("*.py")}
    needs = {
        own: {within(module.removeprefix(f"{here}."), found) for module in used if module.startswith(f"{here}.")}
        for own, used in found.items()
    }
    needs = {own: others - {own} for own, others in needs.items()}
    while free := [own for own, others in needs.items() if not others]:
        needs = {own: others - set(free) for own, others in needs.items() if own not in free}
    assert not needs


@packages
def test_it_stays_small(package):
    texts = {file.relative_to(folder(package)).as_posix(): file.read_text("utf-8") for file in files(package)}
    lengths = {name: len(text.splitlines()) for name, text in texts.items()}
    assert max(lengths.values()) <= LONGEST_FILE, lengths
    assert sum(lengths.values()) <= LONGEST_PACKAGE, sum(lengths.values())


def test_the_three_lines_of_the_generator(data_home):
    """Eight patients with four contrasts and labels at 2 mm, in memory and on disk."""
    lines = [line.removeprefix("    >>> ") for line in synthcohort.__doc__.splitlines() if line.startswith("    >>> ")]
    assert len(lines) == 3
    made: dict = {}
    exec("\n".join(lines), made)
    assert made["patients"].images.shape == (8, 4, 80, 96, 80) and made["patients"].labels.shape == (8, 80, 96, 80)
    assert set(made["patients"].labels.unique().tolist()) == {0, 1, 2, 3}
    for name, count in (("imagesTr", 8), ("labelsTr", 8)):
        assert len(list((made["folder"] / name).glob("tumor-*.nii.gz"))) == count
    assert (made["folder"] / "dataset.json").is_file()
