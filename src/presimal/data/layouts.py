"""Three layouts of real data sets, read into one table with the columns that `presimal.data` names, and others."""

import csv
import json
import os
import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import pandas as pd

from brainscans.refusal import refuse, refuse_if
from brainscans.resampling import stem
from presimal.data.checks import check_ids, check_table

COLUMNS = {"t1_path": "image", "labels": "label", "gender": "sex", "age_at_scan": "age"}
KNOWN = {name.lower(): name for name in (*COLUMNS, *COLUMNS.values(), "subject_id", "site", "split")}
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|true|false", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")  # or decimals
AGES = ("age", "age_at_scan")
WORDS = {"subject_id": "string", "site": "string"}
MISSING = {"", "NA", "N/A", "n/a", "NaN", "nan", "None", "none", "null", "NULL", "#N/A", "<NA>"}  # among numbers
IXI_NAME = re.compile(r"(IXI\d+)-(\w+)-\d+")  # subject and hospital
WORDINGS = {1: r"o?edema", 2: r"non", 3: r"^(?!non).*enhanc"}  # of the labels in dataset.json
FIRST = ("subject_id", "image", "label", "age", "sex", "site", "split")  # columns, in their order
EXPORT = "export it again as UTF-8 with commas, which spreadsheets call CSV UTF-8"
TASK = "Task01_BrainTumour"  # the folder of that name may be given, or the one that holds it
LANDMARKS = {"brain_age": ["dataset.csv"], "tumors": ["dataset.json", f"{TASK}/dataset.json"], "heads": ["image"]}


def read_brain_age(folder: Path) -> pd.DataFrame:
    """As IXI: dataset.csv with t1_path, subject_id (of one scan or more), age_at_scan, perhaps gender, site, split."""
    source = folder / "dataset.csv"
    table = _read_csv(source, ("t1_path", "subject_id", "age_at_scan")).drop(columns="label", errors="ignore")
    table["image"] = _absolute(source, table.image)
    return _in_order(check_table(table, source, longitudinal=True))


def read_tumors(folder: Path) -> pd.DataFrame:
    """As MSD Task01: dataset.json lists 4-D images and labels; clinical.csv, if there, is joined by its subject_id."""
    if not (folder / "dataset.json").is_file() and (folder / TASK).is_dir():
        folder = folder / TASK
    source = folder / "dataset.json"
    try:
        listed = json.loads(_text(source, "name the folder that holds it, imagesTr and labelsTr"))
        paths = {kind: [case[kind] for case in listed["training"]] for kind in ("image", "label")}
        modalities = [listed["modality"][str(k)].lower() for k in range(len(listed["modality"]))]
        labels = {int(key): name.lower() for key, name in listed["labels"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        refuse(source, "does not list modality, labels and training cases", f"write it as that of {TASK}")
    reordered = modalities != ["flair", "t1w", "t1gd", "t2w"]
    refuse_if(reordered, source, f"has modalities {modalities}", "stack FLAIR, T1w, T1gd, T2w in this order")
    other = set(labels) != {0, *WORDINGS} or not all(re.search(name, labels[k]) for k, name in WORDINGS.items())
    remedy = "map them to 0 background, 1 edema, 2 non-enhancing, 3 enhancing"
    refuse_if(other, source, f"names labels {labels}", remedy)
    table = pd.DataFrame({kind: _absolute(source, paths[kind]) for kind in paths})
    table["subject_id"] = table.image.map(stem)
    return _in_order(_joined(check_table(table, source), folder / "clinical.csv", complete=True))


def read_heads(folder: Path) -> pd.DataFrame:
    """As IXITiny: image/NAME_image.nii.gz and label/NAME_label.nii.gz, perhaps dataset.csv."""
    images, labels = (
        {stem(file).removesuffix(f"_{kind}"): str(file.absolute()) for file in (folder / kind).glob("[!.]*.nii.gz")}
        for kind in ("image", "label")
    )
    refuse_if(not images, folder / "image", "holds no .nii.gz file", "name the folder of image and label")
    for one, other, kind in ((images, labels, "label"), (labels, images, "image")):
        for name in sorted(set(one) - set(other)):
            refuse(one[name], f"has no {kind}", f"add {folder / kind / name}_{kind}.nii.gz or remove it")
    table = pd.DataFrame({"image": images, "label": labels})
    table["subject_id"] = [match[1] if (match := IXI_NAME.match(name)) else name for name in table.index]
    return _in_order(_joined(check_table(table, folder), folder / "dataset.csv"))


def _joined(table: pd.DataFrame, source: Path, complete: bool = False) -> pd.DataFrame:
    """With the columns of a second table, if there is one; `complete`: it must have a row for every subject."""
    if not source.is_file():
        return table
    known = _read_csv(source, ("subject_id",)).drop(columns=["image", "label"], errors="ignore")
    check_ids([*table.subject_id, *known.subject_id.dropna()], source)
    absent = sorted(set(table.subject_id) - set(known.subject_id))
    refuse_if(list(known.subject_id[known.subject_id.duplicated()]), source, "lists subject {} twice", "keep one row")
    nobody = len(absent) == table.subject_id.nunique()
    remedy = "name people as their files are named" if nobody else "add it"
    refuse_if((complete or nobody) and absent, source, "has no row for {}", f"{remedy}, or take the file away")
    return check_table(table.merge(known, on="subject_id", how="left"), source)


def _read_csv(source: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """A table with at least the columns `needed`, which then have the names of COLUMNS."""
    try:
        rows, separator = _rows(_text(source, f"write a table with {', '.join(needed)}"))
        header = [KNOWN.get(name.lower(), name) for name in rows[0]]
    except (IndexError, csv.Error):
        refuse(source, "is not a table in csv format", EXPORT)
    for name in header:
        refuse_if(name and header.count(name) > 1, source, f"has the column {name} twice", "rename one of the two")
    missing = [name for name in needed if name not in header]
    refuse_if(missing, source, "has no column {}", f"it needs {', '.join(needed)}")
    doubled = [name for name, own in COLUMNS.items() if name in header and own in header]
    refuse_if(doubled, source, "has {} and its other name as columns", "keep one of the two")
    long = [number for number, row in enumerate(rows) if any(row[len(header) :])]
    remedy = f"put what holds a {separator!r} in quotes, or name the column"
    refuse_if(long, source, "row {} has more cells than there are names of columns", remedy)
    columns = [[row[k] if k < len(row) else "" for row in rows[1:]] for k in range(len(header))]
    words = [any(cell not in MISSING and not NUMBER.fullmatch(cell) for cell in cells) for cells in columns]
    free = [name not in KNOWN.values() for name in header]
    # Among words "NA" and "None" are two of them, but for what is known here.
    nothing = {k: [""] if name in WORDS or (words[k] and free[k]) else MISSING for k, name in enumerate(header)}
    # An id keeps its comma, and a number with a comma can be told only where no comma separates, but for an age.
    numeric = [k for k, name in enumerate(header) if name in AGES or (separator != "," and free[k] and not words[k])]
    sure = ["".join(c for c in cells if NUMBER.fullmatch(c) and not THOUSANDS.fullmatch(c)) for cells in columns]
    usual = {*".,"} & {*"".join(sure[k] for k in numeric)} or {"," if separator == ";" else "."}
    for k in numeric:
        marks = {*".,"} & {*sure[k]} or usual  # before decimals in this column, else in this table
        odd = [f"{header[k]} {cell!r}" for cell in columns[k] if THOUSANDS.fullmatch(cell) and not marks <= {*cell}]
        refuse_if(odd, source, "{} has thousands or three decimals", "write it without a mark, or with more decimals")
        columns[k] = [cell.replace(",", ".") if NUMBER.fullmatch(cell) else cell for cell in columns[k]]
    plain = StringIO()
    csv.writer(plain, lineterminator="\n").writerows([header, *zip(*columns, strict=True)])
    plain.seek(0)
    table = pd.read_csv(plain, dtype=WORDS, keep_default_na=False, na_values=nothing)
    table = table.loc[:, [bool(name) or bool(used) for name, used in zip(header, table.notna().any(), strict=True)]]
    return table.astype({name: object for name in WORDS if name in table}).rename(columns=COLUMNS)


def _text(source: Path, remedy: str) -> str:
    """What a file holds, in UTF-8 or, with its mark, UTF-16. Of other encodings it cannot be known which one it is."""
    other = source.exists() and not source.is_file()
    refuse_if(other, source, "is a folder, a device or a pipe and no file", "put the file itself there")
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        refuse(source, "is not there", remedy)
    except OSError as problem:
        refuse(source, f"cannot be read ({problem.strerror})", "check its permissions and the disk")
    workbook = content[:4] in (b"PK\3\4", b"\xd0\xcf\x11\xe0")
    kind = "is the workbook of a spreadsheet and no text" if workbook else "is not text encoded as UTF-8"
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    refuse_if("\0" in text, source, kind, EXPORT)
    return text


def _rows(text: str) -> tuple[list[list[str]], str]:
    """The cells of a table, without blanks around them and empty rows, and what separates them. Raises csv.Error."""
    named = re.match(r'\s*"?sep=(.)"?\s*[\r\n]', text, re.IGNORECASE)  # a word of Excel's
    text = text[named.end() if named else 0 :]
    header = re.search(r"^.*\w.*$", text, re.MULTILINE)
    separator = named[1] if named else max(",;\t", key=(header[0] if header else "").count)
    lines = csv.reader(StringIO(text, newline=None), delimiter=separator, skipinitialspace=True, strict=True)
    rows = [[cell.strip() for cell in row] for row in lines]
    return [row for row in rows if any(row)], separator


def _absolute(source: Path, paths: Iterable) -> list[str]:
    """Paths that `source` lists, each absolute or from its folder."""
    odd = [path for path in paths if not isinstance(path, str) or not path.strip()]
    refuse_if(odd, source, "lists {!r} as the path of an image", "write the path, or drop the row")
    return [os.path.abspath(source.parent / path) for path in paths]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of FIRST first, the rows by subject and path; sites from the file names of IXI, if no column says."""
    found = [IXI_NAME.match(Path(path).name) for path in table.image]
    if "site" not in table and all(found):
        table = table.assign(site=[match[2] for match in found if match])
    return table[sorted(table, key=[*FIRST, *table].index)].sort_values(["subject_id", "image"], ignore_index=True)
