"""`presimal strip`: the brain out of whole heads. `presimal segment`: the regions of a glioma. `presimal age`."""

import json
import os
import shlex
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from brainscans import age as brain_age
from brainscans import dicom, networks, skull_stripping, tumor_segmentation
from brainscans.contrasts import TITLES
from brainscans.refusal import raise_if
from brainscans.writing import ENDINGS
from presimal.cli import plain, sentence
from synthcohort.storage import DataError

AGE_FIELDS = "file age low high level reason warnings icv_ml volumes_ml centiles years sex volume_centiles".split()


def strip(scans: list[str], out: str | None, as_json: bool) -> int:
    """Strip every scan, whatever happens to others; returns 0 if all went well, else 1. DataError if there is none."""
    given, none_in = _look(scans, "_brain.nii.gz", "_mask.nii.gz")
    places = {file: skull_stripping.output_files(file, out) for inside in given.values() for file in inside}
    shared = {place for place, count in Counter(places.values()).items() if count > 1}
    done = {file for file, made in places.items() if all(map(os.path.exists, made))} - set(given)
    files = [file for file, place in places.items() if file not in done or place in shared]
    if len(files) < len(places):
        print(f"{len(places) - len(files)} scans have been stripped before.", file=sys.stderr)
    if out and out.endswith(ENDINGS) and len(files) > 1:
        raise DataError(f"-o {out} names one file for {len(files)} scans: give a folder.")
    files, failed = [*none_in, *files], 0
    with tqdm(files, unit="scan", leave=False, disable=len(files) < 2) as bar:
        for file in bar:
            try:
                if file in none_in:
                    raise none_in[file]
                if places[file] in shared:
                    raise DataError(f"{file}: another scan would be written to the same place; rename one of the two.")
                brain, brain_file, mask_file = skull_stripping.strip(file, out)
                found: dict[str, object] = {"file": str(file), "brain": str(brain_file), "mask": str(mask_file)}
                found |= {"volume_ml": round(brain.volume_ml, 1), "agreement": round(brain.agreement, 3)}
                told = f"{file}: {brain.volume_ml:.0f} ml, agreement {brain.agreement:.3f}  {brain_file}  {mask_file}"
                bar.write(json.dumps(found) if as_json else plain(told), file=sys.stdout)
            except Exception as problem:  # whatever it is, the other scans are done
                failed += 1
                said = _said(file, problem)
                if as_json:
                    bar.write(json.dumps({"file": str(file), "error": said}), file=sys.stdout)
                bar.write(f"presimal: {said}", file=sys.stderr)
    return _counted(failed, len(files))


def _counted(failed: int, all_of_them: int) -> int:
    """The exit status, said in a last line where several were given."""
    if failed and all_of_them > 1:
        print(f"presimal: {failed} of {all_of_them} scans failed, see above.", file=sys.stderr)
    return int(failed > 0)


def _said(file: Path, problem: Exception) -> str:
    """What went wrong with a scan, in one sentence that names it."""
    bug = f"stopped by a fault of this program ({type(problem).__name__}: {problem}): please report it."
    said, name = sentence(problem) or plain(" ".join(bug.split())), plain(str(file))
    return said if name in said else f"{name}: {said}"


def _look(scans: list[str], *results: str) -> tuple[dict[Path, list[Path]], dict[Path, Exception]]:
    """The scans in each of what is given, and why there is none; DataError at once where nothing else is given."""
    given: dict[Path, list[Path]] = {}
    none_in: dict[Path, Exception] = {}
    for scan in map(Path, scans):
        try:
            given[scan] = _files(scan, results)
        except (DataError, OSError) as problem:
            if len(scans) == 1:
                raise
            none_in[scan] = problem
    return given, none_in


def _files(scan: Path, results: tuple[str, ...]) -> list[Path]:
    """A file or a DICOM series; or the scans of a folder, without what ends as `results` and hidden files."""
    if not os.path.isdir(scan):
        return [scan]
    try:
        names = [file for file in sorted(scan.iterdir()) if file.name.lower().endswith(ENDINGS) and file.name[0] != "."]
    except OSError as problem:
        raise DataError(f"{scan}: cannot be opened ({problem.strerror}); ask its owner for permission.") from None
    if heads := [file for file in names if not file.name.endswith(results)]:
        return heads
    if dicom.holds_series(scan):
        return [scan]
    raise DataError(f"{scan} holds no .nii or .nii.gz file{' but results' if names else ''} and no DICOM.")


def segment(
    scans: list[str], out: str, weights: str = "tumor", brats: bool = False, as_json: bool = False, **named: str | None
) -> int:
    """Write the labels of one patient to `out`, print the volumes in ml; returns 0. `weights`: a name or a file."""
    given = {key: file for key, file in named.items() if file}
    raise_if(scans and given, "Give the scans in their order, or each by its name, and not both.", DataError)
    if len(scans) == 1 and dicom.holds_series(Path(scans[0])):
        raise DataError(_proposal(Path(scans[0]), out))
    model, _ = networks.load(weights, channels=len(TITLES), regions=len(tumor_segmentation.REGIONS))
    try:
        found = tumor_segmentation.segment(scans or given, out, model, numbers="brats" if brats else "msd")
    except DataError as problem:
        if as_json:
            print(json.dumps({"labels": out, "error": str(problem)}))
        raise
    lacking = [title for key, title in TITLES.items() if given and key not in given]
    if as_json:
        volumes = {region: {k: round(v, 1) for k, v in ml._asdict().items()} for region, ml in found.volumes_ml.items()}
        none = not found.labels.any()
        print(json.dumps({"labels": out, "no_tumor_found": none, "volumes_ml": volumes, "left_out": lacking}))
        return 0
    if not found.labels.any():
        print("no tumor found")
    for region, ml in found.volumes_ml.items():
        print(f"{region:16} {ml.value:7.1f} ml ({ml.low:.1f} to {ml.high:.1f})")
    if lacking:
        blind = ", and what enhances cannot be told" * ("t1gd" not in given)
        print(f"left out: {', '.join(lacking)}, without which tumor is missed more often{blind}")
    first = "1 non-enhancing or necrotic, 2 edema" if brats else "1 edema, 2 non-enhancing or necrotic"
    print(f"{plain(out)}: {first}, 3 enhancing. Not for clinical use.")
    return 0


def age(scans: list[str], as_json: bool = False, years: float | None = None, sex: str | None = None) -> int:
    """Print how old the brain in each T1 looks, a line or with `as_json` an object a scan, whose fields README lists;
    returns 0 if all could be read, else 1. DataError for an age, `years`, that the charts of volumes do not have."""
    raise_if(years is not None and not 18 <= years < 98, f"--years {years}: the charts are of 18 to 97.", DataError)
    given, none_in = _look(scans, "_mask.nii.gz")
    files, failed = [*none_in, *(file for inside in given.values() for file in inside)], 0
    for file in files:
        answer: dict[str, object] = dict.fromkeys(AGE_FIELDS) | dict(file=str(file), warnings=[], years=years, sex=sex)
        try:
            if file in none_in:
                raise none_in[file]
            found = brain_age.estimate_age(file)
            answer |= {name: round(value, 1) for name, value in zip(AGE_FIELDS[1:4], found.age, strict=True)}
            answer |= {"level": brain_age.LEVEL, "warnings": found.warnings, "icv_ml": round(found.intracranial_ml)}
            answer["volumes_ml"] = {name: round(ml, 1) for name, ml in found.volumes_ml.items()}
            for name, table in (("centiles", found.centiles), ("volume_centiles", found.volume_centiles(years, sex))):
                answer[name] = {part: round(centile) for part, centile in table.items()}
            line = "; ".join(["{}: {:.0f} years ({:.0f} to {:.0f})".format(file, *found.age), *found.warnings])
        except Exception as problem:  # whatever it is, the other scans are read
            failed, answer["reason"], line = failed + 1, _said(file, problem), ""
            print(f"presimal: {answer['reason']}", file=sys.stderr)
        if line or as_json:
            print(json.dumps(answer) if as_json else plain(line), flush=True)
    return _counted(failed, len(files))


def _proposal(folder: Path, out: str) -> str:
    """Which series of a DICOM folder are probably which contrast, as the command to give."""
    series = dicom.list_series(folder)
    likely = dicom.propose(series)
    named = " ".join(f"--{key} {shlex.quote(str(folder / one.name))}" for key, one in likely.items())
    start = f"{folder}: holds {len(series)} series ({'; '.join(map(str, series))}); name those of each contrast"
    return f"{start}, perhaps: presimal segment {named} -o {out}" if likely else f"{start}."
