"""The package can be read from top to bottom: each file imports only from files above it."""

import re
from pathlib import Path

from presimal import cohort

FOLDER = Path(cohort.__file__).parent
ORDER = re.findall(r"^    (\w+) {2,}\S", cohort.__doc__, re.MULTILINE)


def test_every_file_has_its_place():
    assert set(ORDER) == {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}


def test_files_import_only_from_above():
    for place, name in enumerate(ORDER):
        source = (FOLDER / f"{name}.py").read_text()
        used = set(re.findall(r"from \.(\w+) import", source))
        for names in re.findall(r"from \. import (.+)", source):
            used |= set(re.split(r",\s*", names))
        assert used <= set(ORDER[:place]), f"{name} imports {used - set(ORDER[:place])}"


def test_randomisation_imports_only_from_above_it():
    above = set(ORDER[: ORDER.index("subjects")])
    for path in (FOLDER / "randomisation").glob("*.py"):
        assert set(re.findall(r"from \.\.(\w+) import", path.read_text())) <= above, path.name


def test_files_stay_short():
    lengths = {path.name: len(path.read_text().splitlines()) for path in FOLDER.rglob("*.py")}
    assert max(lengths.values()) <= 300, lengths
