"""How a file is refused: with one sentence that names it, what is wrong, and what to do."""

from pathlib import Path
from typing import NoReturn

from synthcohort.storage import DataError


class ScanWarning(UserWarning):
    """What a user should know of a scan that is taken nevertheless."""


def refuse(file: Path | str, problem: str, remedy: str) -> NoReturn:
    """Raises DataError with one sentence that names the file, the problem and the remedy."""
    raise DataError(f"{file}: {problem}; {remedy}.")


def raise_if(found: object, said: str, error: type[Exception] = ValueError) -> None:
    """Raises an error with one sentence if something has been found."""
    if found:
        raise error(said)


def refuse_if(found: object, file: Path | str, problem: str, remedy: str) -> None:
    """Refuse a file for what has been found, if anything; the first entry of a list takes the place of {}."""
    if found:
        refuse(file, problem.format(found[0]) if isinstance(found, list) else problem, remedy)
