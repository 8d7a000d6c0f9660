"""`presimal strip`: the brain out of whole heads, files or folders."""

import sys
from pathlib import Path

from tqdm import tqdm

from presimal import networks
from presimal.inference.skull_stripping import WEIGHTS, output_files, strip
from synthcohort.storage import DataError

ENDINGS = (".nii", ".nii.gz")
OURS = ("_brain.nii.gz", "_mask.nii.gz")


def strip_all(scans: list[str], out: str | None) -> int:
    """Strip every scan, whatever happens to others; returns 0 if all went well, else 1. Raises DataError if a folder
    holds no scan, or `out` cannot take what comes.
    """
    files = [file for scan in scans for file in _files(Path(scan), out)]
    if out and out.endswith(ENDINGS) and len(files) > 1:
        raise DataError(f"-o {out} names one file for {len(files)} scans: give a folder.")
    model, _ = networks.load(WEIGHTS)
    failed = False
    with tqdm(files, unit="scan", leave=False, disable=len(files) < 2) as bar:
        for file in bar:
            try:
                brain, brain_file, mask_file = strip(file, out, model)
                found = f"{brain.volume_ml:.0f} ml, agreement {brain.agreement:.3f}"
                bar.write(f"{file}: {found}  {brain_file}  {mask_file}", file=sys.stdout)
            except (DataError, OSError) as problem:
                failed = True
                bar.write(f"presimal: {problem}", file=sys.stderr)
    return int(failed)


def _files(scan: Path, out: str | None) -> list[Path]:
    """A file, or the scans of a folder that are neither stripped yet nor the result of stripping."""
    if not scan.is_dir():
        return [scan]
    found = [file for file in sorted(scan.iterdir()) if file.name.endswith(ENDINGS) and not file.name.endswith(OURS)]
    if not found:
        raise DataError(f"{scan} holds no .nii or .nii.gz file.")
    return [file for file in found if not any(output.exists() for output in output_files(file, out))]
