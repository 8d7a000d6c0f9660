"""`presimal strip`: the brain out of whole heads. `presimal segment`: the regions of a glioma. `presimal age`."""

import json
import sys
from pathlib import Path

from tqdm import tqdm

from brainscans import age as brain_age
from brainscans import networks, skull_stripping, tumor_segmentation
from brainscans.contrasts import TITLES
from synthcohort.storage import DataError

ENDINGS = (".nii", ".nii.gz")
AGE_FIELDS = ("file", "age", "low", "high", "level", "reason", "warnings", "icv_ml", "volumes_ml", "centiles")


def strip(scans: list[str], out: str | None) -> int:
    """Strip every scan, whatever happens to others; returns 0 if all went well, else 1. DataError if there is none."""
    files = [file for scan in scans for file in _files(Path(scan), out)]
    if out and out.endswith(ENDINGS) and len(files) > 1:
        raise DataError(f"-o {out} names one file for {len(files)} scans: give a folder.")
    model, _ = networks.load(skull_stripping.WEIGHTS)
    failed = False
    with tqdm(files, unit="scan", leave=False, disable=len(files) < 2) as bar:
        for file in bar:
            try:
                brain, brain_file, mask_file = skull_stripping.strip(file, out, model)
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
    results = ("_brain.nii.gz", "_mask.nii.gz")
    found = [file for file in sorted(scan.iterdir()) if file.name.endswith(ENDINGS) and not file.name.endswith(results)]
    if not found:
        raise DataError(f"{scan} holds no .nii or .nii.gz file.")
    return [file for file in found if not any(made.exists() for made in skull_stripping.output_files(file, out))]


def segment(scans: list[str], out: str, weights: str = "tumor", brats: bool = False, **named: str | None) -> int:
    """Write the labels of one patient to `out`, print the volumes in ml; returns 0. `weights`: a name or a file."""
    given = {key: file for key, file in named.items() if file}
    if scans and given:
        raise DataError("Give the scans in their order, or each by its name, and not both.")
    model, _ = networks.load(weights)
    found = tumor_segmentation.segment(scans or given, out, model, numbers="brats" if brats else "msd")
    if not found.labels.any():
        print("no tumor found")
    for region, ml in found.volumes_ml.items():
        print(f"{region:16} {ml.value:7.1f} ml ({ml.low:.1f} to {ml.high:.1f})")
    if lacking := [title for key, title in TITLES.items() if given and key not in given]:
        blind = ", and what enhances cannot be told" * ("t1gd" not in given)
        print(f"left out: {', '.join(lacking)}, without which tumor is missed more often{blind}")
    first = "1 non-enhancing or necrotic, 2 edema" if brats else "1 edema, 2 non-enhancing or necrotic"
    print(f"{out}: {first}, 3 enhancing. Not for clinical use.")
    return 0


def age(scans: list[str], as_json: bool = False) -> int:
    """Print how old the brain in each T1 looks, a line or with `as_json` an object a scan, whose fields README lists;
    returns 0 if all could be read, else 1."""
    files = [file for scan in scans for file in _images(Path(scan))]
    failed = False
    for file in files:
        answer: dict[str, object] = dict.fromkeys(AGE_FIELDS) | {"file": str(file), "warnings": []}
        try:
            found = brain_age.estimate_age(file)
            years = zip(("age", "low", "high"), found.age, strict=True)
            answer |= {name: round(value, 1) for name, value in years}
            answer |= {"level": brain_age.LEVEL, "warnings": found.warnings, "icv_ml": round(found.intracranial_ml)}
            answer["volumes_ml"] = {name: round(ml, 1) for name, ml in found.volumes_ml.items()}
            answer["centiles"] = {name: round(centile) for name, centile in found.centiles.items()}
            line = f"{file}: {found.age.value:.0f} years ({found.age.low:.0f} to {found.age.high:.0f})"
            line = "; ".join([line, *found.warnings])
        except (DataError, OSError) as problem:
            failed, answer["reason"], line = True, str(problem), ""
            print(f"presimal: {problem}", file=sys.stderr)
        if line or as_json:
            print(json.dumps(answer) if as_json else line, flush=True)
    return int(failed)


def _images(scan: Path) -> list[Path]:
    """A file, or the scans of a folder."""
    if not scan.is_dir():
        return [scan]
    found = [file for file in sorted(scan.iterdir()) if file.name.endswith(ENDINGS)]
    if not found:
        raise DataError(f"{scan} holds no .nii or .nii.gz file.")
    return [file for file in found if not file.name.endswith("_mask.nii.gz")]
