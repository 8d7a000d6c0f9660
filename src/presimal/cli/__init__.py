"""The command `presimal`; `paths` says where things are."""

import argparse
import io
import logging
import os
import re
import sys
import tomllib
import warnings
from importlib import import_module
from pathlib import Path

NO_MEMORY = r"(?i)(n't|not|unable to) allocate|out of memory|bad_alloc|failed to map segment|can't start new thread"


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns its exit status: 0 good, 1 the answer is no, 2 bad input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a Windows console may lack a letter such as θ
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # what it mends in headers, a user cannot act on
    choice = vars(_parser().parse_args(arguments))
    module, function = choice.pop("action").split(".")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            warnings.simplefilter("always", UserWarning)
            os.getcwd()  # without which torch ends this process in words of its own
            status = getattr(import_module(f"presimal.cli.{module}"), function)(**choice)
            print(end="", flush=True)  # here, where it is said if the output takes no more
            return status
    except KeyboardInterrupt:
        print("\npresimal: interrupted.", file=sys.stderr)
        return 130
    except Exception as problem:
        if not (said := sentence(problem)):
            raise
        if isinstance(problem, OSError) and not problem.filename and sys.stdout is sys.__stdout__:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # which would fail once more at the end
        if not isinstance(problem, BrokenPipeError):  # of a reader who has seen enough, as head has
            print(f"presimal: {said}", file=sys.stderr)
        return 2


def sentence(problem: Exception) -> str:
    """What a user can mend, in one sentence: bad data, a file or a disk, too little memory; nothing for a bug."""
    kinds = [kind.__name__ for kind in type(problem).__mro__]  # not of the class itself, which may not be importable
    said = str(problem) if "DataError" in kinds else ""
    if isinstance(problem, OSError):
        unnamed = "The current folder" if isinstance(problem, FileNotFoundError) else "The output or a file"
        said = f"{problem.filename or unnamed}: {problem.strerror or problem}."
    if isinstance(problem, ImportError) and not (problem.name or "").startswith(("presimal", "brainsc", "synthc")):
        said = f"A library does not start ({problem}): 'presimal check' says which one, and what to do."
    if isinstance(problem, MemoryError) or re.search(NO_MEMORY, str(problem)):
        said = "The memory ran out: close other programs, or use a machine with more."
    return plain(said)


def plain(text: str) -> str:
    """Text in one line, whatever a file is called: what a terminal would obey, as it does \\x1b, is written out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _named(text: str) -> str:
    """An argument that names a file or folder: not empty, as of an unset variable, which means the current folder."""
    if text.strip() in ("", "-"):
        raise argparse.ArgumentTypeError("its name is empty, or -, which names nothing here")
    return text


def _note(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """A warning about a scan in one line; those of libraries, which a user cannot act on, are left out."""
    if category.__name__ == "ScanWarning":
        print(f"presimal: note: {plain(str(message))}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    about = "Medical AI and deep learning for precision imaging: the workshop on your machine."
    parser = argparse.ArgumentParser(prog="presimal", description=about)
    types = {"name": _named, "int": int, "float": float}
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, command in tomllib.loads(Path(__file__).with_name("commands.toml").read_text("utf-8")).items():
        subparser = commands.add_parser(name, help=command.pop("help"))
        subparser.set_defaults(action=command.pop("action"))
        for argument, options in command.items():
            kind = {"type": types[options["type"]]} if "type" in options else {}
            subparser.add_argument(*argument.split(), **options | kind)
    return parser
