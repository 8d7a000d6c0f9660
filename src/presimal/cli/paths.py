"""Where things are: in a checkout of the repository, or in an installed package."""

from importlib.resources import files
from pathlib import Path

from presimal.storage import DataError

PACKAGE = Path(str(files("presimal")))
REPOSITORY = PACKAGE.parents[1] if (PACKAGE.parents[1] / "pyproject.toml").is_file() else None  # None: installed


def originals() -> Path:
    """The folder of the original notebooks, which travel in the package. Raises DataError if they are gone."""
    folder = (REPOSITORY or PACKAGE) / "notebooks"
    if not any(folder.glob("*.ipynb")):
        raise DataError(f"there are no notebooks in {folder}: clone the repository, or install the package, once more.")
    return folder


def home() -> Path:
    """The folder that takes a student's copies: the repository, or where the command is called."""
    return REPOSITORY or Path.cwd()
