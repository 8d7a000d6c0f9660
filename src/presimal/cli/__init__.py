"""The command `presimal`; `paths` says where things are."""

import argparse
import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from importlib import import_module

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
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, action: str, summary: str) -> Callable[..., argparse.Action]:
        """Add a subcommand, done by `action`, "module.function" of this package; returns what adds an argument."""
        subparser = commands.add_parser(name, help=summary)
        subparser.set_defaults(action=action)
        return subparser.add_argument

    def as_json(add: Callable[..., argparse.Action]) -> None:
        add("--json", action="store_true", dest="as_json", help="one JSON object a scan, with the fields of README")

    add = command("lab", "lab.open_lab", "open JupyterLab on your own copy of the notebooks")
    add("--original", action="store_true", help="open the originals instead of your copies in my_work/")
    add("--teach", action="store_true", help="open copies to present from in my_teaching/: large, with notes folded")
    add("options", nargs="*", metavar="-- OPTION", help="more options for JupyterLab, after --")
    add = command("run", "run.run", "execute notebooks from top to bottom and print a table")
    add("notebooks", nargs="*", type=_named, metavar="NOTEBOOK", help="a number as 01, a name or a file; default: all")
    add("--save", action="store_true", help="for authors: store the new outputs in the notebooks")
    add = command("data", "data.data", "list data sets, generate or download one, or check a folder of scans")
    add("source", nargs="?", type=_named, metavar="SOURCE", help="cohort, ixi, ixi-tiny, msd, real-scans or a folder")
    which = ("brain_age", "tumors", "heads")
    add("--set", action="append", dest="sets", choices=which, help="which part; default: all")
    add("--subjects", type=int, metavar="N", help="people per set; default: 900 brains, 300 tumors, 200 heads")
    add("--spacing", type=float, default=4.0, metavar="MM", help="voxel size of the cohort; default: 4 mm")
    add("--seed", type=int, default=0, metavar="SEED", help="another seed makes other people; default: 0")
    add("--yes", action="store_true", help="download without asking")
    command("check", "check.check", "tell in one screen whether this machine is ready")
    add = command("strip", "scans.strip", "the brain out of MRI scans of heads: its mask, and the scan without skull")
    add("scans", nargs="+", type=_named, metavar="SCAN", help="NIfTI files, folders; DICOM folders, FOLDER/NUMBER")
    add("-o", "--out", type=_named, metavar="OUT", help="folder, or for one scan its brain; default: beside it")
    as_json(add)
    add = command("age", "scans.age", "how old the brain in a T1 looks, with or without skull, and its volumes")
    add("scans", nargs="+", type=_named, metavar="SCAN", help="as for strip")
    add("--years", type=float, metavar="YEARS", help="age of who is in all of these scans, for the centiles of --json")
    as_json(add)
    add = command("segment", "scans.segment", "the regions of a glioma, from four contrasts of a head, or fewer")
    add("scans", nargs="*", type=_named, metavar="SCAN", help="FLAIR, T1, T1Gd, T2 in this order, or one 4-D file")
    for key in ("flair", "t1", "t1gd", "t2"):
        add(f"--{key}", type=_named, metavar="SCAN", help="by its name, where one or more are left out")
    add("-o", "--out", type=_named, metavar="OUT", required=True, help="file for the labels, .nii.gz")
    add("--brats", action="store_true", help="number the labels as BraTS 2023: 1 non-enhancing, 2 edema, 3 enhancing")
    as_json(add)
    add("--weights", default=argparse.SUPPRESS, type=_named, metavar="FILE", help="your own, .safetensors")
    return parser
