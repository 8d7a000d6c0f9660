"""Where things are: in a checkout of the repository, or in an installed package."""

from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("presimal")))
REPOSITORY = PACKAGE.parents[1] if (PACKAGE.parents[1] / "pyproject.toml").is_file() else None  # None: installed


def originals() -> Path:
    """The folder of the original notebooks, which travel in the package."""
    return (REPOSITORY or PACKAGE) / "notebooks"


def home() -> Path:
    """The folder that takes a student's copies: the repository, or where the command is called."""
    return REPOSITORY or Path.cwd()


def problem() -> str:
    """One sentence if the original notebooks are gone, else nothing."""
    gone = f"there are no notebooks in {originals()}: clone the repository, or install the package, once more."
    return "" if any(originals().glob("*.ipynb")) else gone
