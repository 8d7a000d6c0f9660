"""Who trains, who decides when to stop, who examines: the same people on every machine."""

import hashlib

import pandas as pd

SPLITS = ("train", "valid", "test")
BLOCK = 20  # people alike in site and age, of whom FRACTION go to validation and as many to the test
FRACTION = 0.15


def split(table: pd.DataFrame, seed: int = 0) -> pd.Series:
    """The split ("train", "valid" or "test") of every row of a table with a column `subject_id`.

    All scans of one subject go together. Subjects are sorted by site and age, where the table has these columns, and
    cut into blocks; in each, the smallest digests of seed and id decide. Hence every split (70, 15, 15 %) has the ages
    and sites of the whole, whatever the order of the rows; fewer than three subjects all train.
    """
    first = table.drop_duplicates("subject_id")
    ages = first["age"].fillna(-1.0) if "age" in first else [0.0] * len(first)
    sites = first["site"].fillna("") if "site" in first else [""] * len(first)
    rows = zip(map(str, sites), map(float, ages), map(str, first.subject_id), strict=True)
    ordered = [subject for _, _, subject in sorted(rows)]
    chosen: dict[str, str] = {}
    for start in range(0, len(ordered), BLOCK):
        block = ordered[start : start + BLOCK]
        block.sort(key=lambda subject: hashlib.sha256(f"{seed}:{subject}".encode()).digest())
        count = max(1, round(FRACTION * len(block))) if len(block) >= 3 else 0
        names = ["valid"] * count + ["test"] * count + ["train"] * (len(block) - 2 * count)
        chosen |= zip(block, names, strict=True)
    return table.subject_id.astype(str).map(chosen).rename("split")
