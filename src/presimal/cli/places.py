"""Where the notebooks are, and which of them are meant."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


class UserError(Exception):
    """Something the user can mend; the message says in one sentence what is wrong and what to do."""


def originals() -> Path:
    """The folder of the original notebooks.

    Raises UserError if the package was installed without them.
    """
    folder = REPOSITORY / "notebooks"
    if not any(folder.glob("*.ipynb")):
        raise UserError(
            f"there are no notebooks in {folder}: clone the whole repository and run 'pip install -e .' inside it."
        )
    return folder


def find_notebooks(wanted: list[str]) -> list[Path]:
    """The notebooks meant by numbers (`01`, `1`), names or files, in the order given; all if none is given.

    Raises UserError for a name that fits none, or more than one.
    """
    if not wanted:
        return sorted(originals().glob("*.ipynb"))
    return [_find(name) for name in wanted]


def _find(name: str) -> Path:
    if Path(name).is_file():
        return Path(name).resolve()
    known = sorted(originals().glob("*.ipynb"))
    start = f"{int(name):02d}" if name.isdecimal() else name.removesuffix(".ipynb")
    found = [notebook for notebook in known if notebook.stem == start] or [
        notebook for notebook in known if notebook.stem.startswith(start)
    ]
    if len(found) != 1:
        problem = "fits more than one notebook" if found else "is neither a file nor a notebook of the workshop"
        raise UserError(f"'{name}' {problem}: choose from {', '.join(notebook.stem for notebook in known)}.")
    return found[0]
