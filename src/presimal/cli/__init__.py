"""The command `presimal`: one module per subcommand.

    places      where the notebooks are, and which of them are meant
    workspace   the student's copies in my_work/
    lab         presimal lab
    run         presimal run
    data        presimal data
    check       presimal check
    strip       presimal strip
    segment     presimal segment
"""

import argparse
import sys

from presimal.cli.places import UserError


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns its exit status: 0 good, 1 the answer is no, 2 bad input."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a Windows console may lack a letter such as θ
    choice = _parser().parse_args(arguments)
    try:
        return choice.action(choice)
    except UserError as problem:
        print(f"presimal: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\npresimal: interrupted.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="presimal", description="Medical AI and deep learning for precision imaging: the workshop on your machine."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    lab = commands.add_parser("lab", help="open JupyterLab on your own copy of the notebooks")
    lab.add_argument("--original", action="store_true", help="open the originals instead of your copies in my_work/")
    lab.add_argument("options", nargs="*", metavar="-- OPTION", help="more options for JupyterLab, after --")
    lab.set_defaults(action=_lab)

    run = commands.add_parser("run", help="execute notebooks from top to bottom and print a table")
    run.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a number such as 01, a name or a file; default: all")
    run.add_argument("--save", action="store_true", help="for authors: store the new outputs in the notebooks")
    run.set_defaults(action=_run)

    data = commands.add_parser("data", help="list data sets, generate or download one, or check a folder of scans")
    add = data.add_argument
    add("source", nargs="?", metavar="SOURCE", help="cohort, ixi, ixi-tiny, msd or a folder; default: list them")
    add("--set", action="append", choices=("brain_age", "tumors", "heads"), help="which part; default: all")
    add("--subjects", type=int, metavar="N", help="people per set; default: 900 brains, 300 tumors, 200 heads")
    add("--spacing", type=float, default=4.0, metavar="MM", help="voxel size of the cohort; default: 4 mm")
    add("--seed", type=int, default=0, metavar="SEED", help="another seed makes other people; default: 0")
    add("--yes", action="store_true", help="download without asking")
    data.set_defaults(action=_data)

    check = commands.add_parser("check", help="tell in one screen whether this machine is ready")
    check.set_defaults(action=_check)

    strip = commands.add_parser("strip", help="the brain out of MRI scans of heads: its mask, and the scan without skull")
    strip.add_argument("scans", nargs="+", metavar="SCAN", help="NIfTI files, or folders of them")
    strip.add_argument("-o", "--out", metavar="OUT", help="folder, or for one scan the file of the brain; default: beside the scan")
    strip.set_defaults(action=_strip)

    segment = commands.add_parser("segment", help="the regions of a glioma, from four contrasts without skull")
    segment.add_argument("scans", nargs="+", metavar="SCAN", help="FLAIR, T1, T1Gd, T2 in this order, or one 4-D file")
    segment.add_argument("-o", "--out", metavar="OUT", required=True, help="file for the labels, .nii.gz")
    segment.set_defaults(action=_segment)
    return parser


# Each subcommand is imported when it is asked for, so that `presimal --help` answers at once.


def _lab(choice) -> int:
    from presimal.cli import lab

    return lab.open_lab(choice.original, choice.options)


def _run(choice) -> int:
    from presimal.cli import places, run

    return run.run(places.find_notebooks(choice.notebooks), choice.save)


def _data(choice) -> int:
    from presimal.cli import data

    return data.data(choice)


def _check(choice) -> int:
    from presimal.cli import check

    return check.check()


def _strip(choice) -> int:
    from presimal.cli import strip

    return strip.strip_all(choice.scans, choice.out)


def _segment(choice) -> int:
    from presimal.cli import segment

    return segment.segment_one(choice.scans, choice.out)
