"""The package can be read from top to bottom, stands on its own, and stays small."""

import ast
import re
import sys
from pathlib import Path

import pytest

import synthcohort

FOLDER = Path(synthcohort.__file__).parent
ORDER = re.findall(r"^    (\w+) {2,}\S", synthcohort.__doc__, re.MULTILINE)
FILES = sorted(FOLDER.rglob("*.py"))
LIBRARIES = {"torch", "numpy", "scipy", "pandas", "nibabel", "nilearn", "safetensors", "filelock", "pooch", "tqdm"}


def imports(file: Path) -> list[tuple[int, str]]:
    """(level, module) of every import of a file: level 0 for absolute ones."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found += [(node.level, name) for name in names]
        elif isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
    return found


def place(file: Path) -> str:
    return file.relative_to(FOLDER).parts[0].removesuffix(".py")


def test_every_file_and_folder_has_its_place():
    assert set(ORDER) == {place(file) for file in FILES} - {"__init__"}


def test_files_import_only_from_above():
    for file in FILES:
        if file == FOLDER / "__init__.py":
            continue
        depth = len(file.relative_to(FOLDER).parts)
        above = ORDER[: ORDER.index(place(file))]
        for level, module in imports(file):
            if level == depth:  # reaches the package itself
                assert module.split(".")[0] in above, f"{file} imports {module}"


@pytest.mark.parametrize("folder", [name for name in ORDER if (FOLDER / name).is_dir()])
def test_there_is_no_circle_within_a_folder(folder):
    files = {file.stem: imports(file) for file in (FOLDER / folder).glob("*.py")}
    near = {name: {module.split(".")[0] for level, module in found if level == 1} for name, found in files.items()}
    # What is no file beside it, as in `from . import CONSTANT`, is in `__init__`.
    needs = {name: {other if other in files else "__init__" for other in others} for name, others in near.items()}
    while free := [name for name, others in needs.items() if not others]:
        needs = {name: others - set(free) for name, others in needs.items() if name not in free}
    assert not needs


def test_it_needs_ten_libraries_and_nothing_of_the_workshop():
    used = {module.split(".")[0] for file in FILES for level, module in imports(file) if level == 0}
    assert used - set(sys.stdlib_module_names) <= LIBRARIES
    assert len(LIBRARIES) <= 10


def test_it_stays_small():
    lengths = {file.relative_to(FOLDER).as_posix(): len(file.read_text().splitlines()) for file in FILES}
    assert max(lengths.values()) <= 250, lengths
    assert sum(lengths.values()) <= 2500, sum(lengths.values())


def test_the_three_lines_of_the_docstring(data_home):
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
