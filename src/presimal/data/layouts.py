"""Three layouts of real data sets, read into one table.

Every reader returns a DataFrame with one row per scan: `subject_id`, `image` and `label` (absolute paths), `age`
(years), `sex` ("M", "F"), `site` and `split` where the set says them, then whatever else its table has. What is not
sound raises DataError.
"""

import json
import os
import re
from pathlib import Path

import pandas as pd

from presimal.data.checks import check_ages, check_table, refuse
from presimal.resampling import stem

COLUMNS = {"t1_path": "image", "labels": "label", "gender": "sex", "age_at_scan": "age"}
IXI_NAME = re.compile(r"(IXI\d+)-(\w+)-\d+")  # subject and hospital
MODALITIES = ("flair", "t1w", "t1gd", "t2w")
REGION_NAMES = {1: r"o?edema", 2: r"non", 3: r"^(?!non).*enhanc"}  # of the labels in dataset.json


def layouts_of(folder: Path) -> list[str]:
    """Which of "brain_age", "tumors" and "heads" a folder is laid out as, by its landmarks."""
    landmarks = {
        "brain_age": ("dataset.csv",),
        "tumors": ("dataset.json", "Task01_BrainTumour/dataset.json"),
        "heads": ("image",),
    }
    return [name for name, marks in landmarks.items() if any((folder / m).exists() for m in marks)]


def read_brain_age(folder: Path) -> pd.DataFrame:
    """As IXI: dataset.csv with t1_path, subject_id, age_at_scan, and perhaps gender, site, split.

    A subject may have several scans. Paths are relative to the folder, or absolute.
    """
    source = folder / "dataset.csv"
    table = _read_csv(source, ("t1_path", "subject_id", "age_at_scan")).rename(columns=COLUMNS)
    table["image"] = [_absolute(source, folder, path) for path in table.image]
    table = table.drop(columns="label", errors="ignore")
    check_table(table, source, repeated=True)
    return _in_order(_with_site(check_ages(table, source)))


def read_tumors(folder: Path) -> pd.DataFrame:
    """As Task01 of the Medical Segmentation Decathlon: dataset.json lists 4-D images and labels.

    A clinical.csv beside it, with the column subject_id, is joined to the cases.
    """
    if not (folder / "dataset.json").is_file() and (folder / "Task01_BrainTumour").is_dir():
        folder = folder / "Task01_BrainTumour"
    source = folder / "dataset.json"
    try:
        listed = json.loads(source.read_text(encoding="utf-8"))
        cases = [(case["image"], case["label"]) for case in listed["training"]]
        modalities = [listed["modality"][str(k)].lower() for k in range(len(listed["modality"]))]
        labels = {int(key): name.lower() for key, name in listed["labels"].items()}
    except FileNotFoundError:
        refuse(source, "is not there", "name the folder that holds it, imagesTr and labelsTr")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        refuse(source, "does not list modality, labels and training cases", "write it as that of Task01_BrainTumour")
    if tuple(modalities) != MODALITIES:
        refuse(source, f"has modalities {modalities}", "stack FLAIR, T1w, T1gd, T2w in this order")
    swapped = [k for k, name in REGION_NAMES.items() if not re.search(name, labels.get(k, ""))]
    if swapped or set(labels) != {0, 1, 2, 3}:
        refuse(source, f"names labels {labels}", "map them to 0 background, 1 edema, 2 non-enhancing, 3 enhancing")
    table = pd.DataFrame(cases, columns=["image", "label"])
    for column in table:
        table[column] = [_absolute(source, folder, path) for path in table[column]]
    table["subject_id"] = [stem(path) for path in table.image]
    check_table(table, source)
    if (folder / "clinical.csv").is_file():
        table = _joined(table, folder / "clinical.csv", complete=True)
    return _in_order(table)


def read_heads(folder: Path) -> pd.DataFrame:
    """As IXITiny: image/NAME_image.nii.gz and label/NAME_label.nii.gz, perhaps dataset.csv."""
    images, labels = (
        {stem(file).removesuffix(f"_{kind}"): str(file.absolute()) for file in (folder / kind).glob("[!.]*.nii.gz")}
        for kind in ("image", "label")
    )
    if not images:
        refuse(folder / "image", "holds no .nii.gz file", "name the folder of image and label")
    for one, other, kind in ((images, labels, "label"), (labels, images, "image")):
        for name in sorted(set(one) - set(other)):
            refuse(one[name], f"has no {kind}", f"add {folder / kind / name}_{kind}.nii.gz or remove it")
    table = pd.DataFrame({"image": images, "label": labels})
    table["subject_id"] = [match[1] if (match := IXI_NAME.match(name)) else name for name in table.index]
    check_table(table, folder)
    if (folder / "dataset.csv").is_file():
        table = _joined(table, folder / "dataset.csv")
    return _in_order(_with_site(table))


def _with_site(table: pd.DataFrame) -> pd.DataFrame:
    """With the hospitals that the file names of IXI tell, where no column does."""
    found = [IXI_NAME.match(Path(path).name) for path in table.image]
    sites = [match[2] for match in found if match]
    return table if "site" in table or len(sites) < len(table) else table.assign(site=sites)


def _joined(table: pd.DataFrame, source: Path, complete: bool = False) -> pd.DataFrame:
    """With the columns of a second table that has the column subject_id; `complete`: it must have every subject."""
    known = _read_csv(source, ("subject_id",)).rename(columns=COLUMNS).drop(columns=["image", "label"], errors="ignore")
    for subject in known.subject_id[known.subject_id.duplicated()]:
        refuse(source, f"lists subject {subject} twice", "keep one of the rows")
    for subject in sorted(set(table.subject_id) - set(known.subject_id)) if complete else ():
        refuse(source, f"has no row for {subject}", "add it, or take the file away")
    table = table.merge(known, on="subject_id", how="left")
    check_table(table, source)
    return check_ages(table, source, needed=False) if "age" in table else table


def _read_csv(source: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(source, dtype={"subject_id": "string", "site": "string"})
    except FileNotFoundError:
        refuse(source, "is not there", f"write a table with {', '.join(needed)}")
    except (OSError, ValueError):  # pandas derives its errors of parsing from ValueError
        refuse(source, "is not a table in csv format", "export it again as UTF-8 with commas")
    missing = [name for name in needed if name not in table]
    if missing:
        refuse(source, f"has no column {missing[0]}", f"it needs {', '.join(needed)}")
    return table.astype({name: object for name in ("subject_id", "site") if name in table})


def _absolute(source: Path, folder: Path, path) -> str:
    if not isinstance(path, str) or not path.strip():
        refuse(source, f"lists {path!r} as the path of an image", "write the path, or drop the row")
    return os.path.abspath(folder / path)


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """The known columns first, the rows by subject and path: the same whatever the file system."""
    first = ("subject_id", "image", "label", "age", "sex", "site", "split")
    known = [name for name in first if name in table]
    table = table[known + [name for name in table if name not in first]]
    return table.sort_values(["subject_id", "image"], ignore_index=True)
