"""`presimal strip`: the brain out of every scan given, and one sentence for every scan it cannot be got from."""

import sys
from pathlib import Path

from tqdm import tqdm

from presimal import skull_stripping
from presimal.cli.places import UserError
from presimal.storage import DataError


def strip(given: list[str], out: str | None) -> int:
    """Strip all scans, which are files or folders of files; returns 0, or 2 if any could not be stripped.

    Raises UserError if nothing is there to strip, or two results would have one name.
    """
    scans = find_scans([Path(name).expanduser() for name in given])
    folder = None if out is None else Path(out).expanduser()
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: give a folder with -o.")
    names = [skull_stripping.outputs(scan, folder)[0] for scan in scans]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two scans would both be written to {twice}: strip them into different folders.")
    refused = 0
    for scan in tqdm(scans, desc="stripping", unit="scan", file=sys.stderr, disable=len(scans) < 2):
        try:
            found = skull_stripping.strip(scan, folder)
            where = ", ".join(str(file) for file in found.files)
            tqdm.write(f"{scan.name}: brain of {found.volume:.0f} ml; wrote {where}", file=sys.stdout)
        except (DataError, OSError) as problem:
            refused += 1
            tqdm.write(f"presimal: {problem}", file=sys.stderr)
    if refused:
        tqdm.write(f"presimal: {refused} of {len(scans)} scans were not stripped.", file=sys.stderr)
    return 2 if refused else 0


def find_scans(given: list[Path]) -> list[Path]:
    """The scans meant by files and folders, in order, each once; results of earlier runs are left out.

    Raises UserError for a path that is not there, and for a folder without scans.
    """
    scans = []
    for path in given:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if _is_scan(file))
            if not inside:
                raise UserError(f"{path} holds no .nii or .nii.gz file that could be stripped.")
            scans += inside
        elif path.is_file():
            scans.append(path)
        else:
            raise UserError(f"{path} is not there: give a NIfTI file or a folder of them.")
    return list(dict.fromkeys(scans))


def _is_scan(file: Path) -> bool:
    suffix = next((s for s in skull_stripping.SUFFIXES if file.name.endswith(s)), None)
    results = suffix and file.name.removesuffix(suffix).endswith(("_brain", "_mask"))
    return file.is_file() and bool(suffix) and not results and not file.name.startswith(".")
