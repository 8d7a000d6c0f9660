"""Ask the networks of notebook 04 about public scans of real people: `python scripts/real_contrasts.py [--folder F]`.

Runs those cells of the notebook that make its slices and its loop, trains its two kinds of network anew, three starts
each, and so three times (the first time with the notebook's own seeds), and asks each training about the people of
real_cases.csv of whom there are all four contrasts. Their scans lie in F, in the folder that PRESIMAL_REALDATA names,
or are downloaded after a question. Writes real_contrasts.csv: for each training and scan the contrast that most of five
slices are said to have, and for T2 the mean probability of a tumor. About three CPU-minutes; nothing is learned from
the scans."""

import argparse
import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transfer_and_attention import sources

from presimal.data.downloads import REAL_SCANS, get

CASES, TABLE = (Path(__file__).with_name(name) for name in ("real_cases.csv", "real_contrasts.csv"))
TRAININGS, STARTS = 3, 3
CONTRASTS = ("FLAIR", "T1", "T1Gd", "T2")  # in the order of real_cases.csv
MADE = """volumes areas matched prepare X LAYERS cnn Batches tumor_loss fit probability move asked_of to_input NAMES
contrast_of""".split()


def people() -> list[dict[str, Any]]:
    """Those with four contrasts: `name`, `glioma`, and `files` by contrast."""
    with CASES.open(encoding="utf-8", newline="") as file:
        cases = [
            case for case in csv.DictReader(file) if case["task"] == "tumor" and "-" not in case["files"].split(";")
        ]
    return [
        {"name": case["name"], "glioma": case["group"].startswith("glioma")}
        | {"files": dict(zip(CONTRASTS, case["files"].split(";"), strict=True))}
        for case in cases
    ]


def train(nb: dict[str, Any], training: int) -> None:
    """The contrast networks `which` and the tumor networks `nets["CNN"]` of one training, put where the cells look."""
    seeds = range(STARTS * training, STARTS * (training + 1))
    known, checks = ((nb["X"][nb[part]], nb["y"][nb[part]]) for part in ("train", "valid"))
    loss = nb["F"].cross_entropy
    nb["which"] = [nb["asked_of"](lambda: nb["cnn"](4), nb["y_which"], loss, seed=seed) for seed in seeds]
    nb["nets"] = {"CNN": [nb["fit"](nb["cnn"], known, checks, seed=seed)[0] for seed in seeds]}


def ask(nb: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """A row for each scan: what it is, and what the present networks say."""
    rows = []
    for person in people():
        for contrast, file in person["files"].items():
            by_slice, _ = nb["contrast_of"](folder / file)
            called = nb["NAMES"][int(np.bincount(by_slice.numpy(), minlength=4).argmax())]
            row = {"person": person["name"], "glioma": person["glioma"], "contrast": contrast, "called": called}
            if contrast == "T2":
                slices = [nb["to_input"](one) for one in nb["some_slices"](folder / file)]
                row["tumor"] = np.mean([nb["probability"](m, x)[0] for m in nb["nets"]["CNN"] for x in slices])
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=os.environ.get("PRESIMAL_REALDATA"), help="holds the scans")
    folder = parser.parse_args().folder
    folder = Path(folder) if folder else get(REAL_SCANS)
    nb: dict[str, Any] = {}
    for source in sources(MADE):
        exec(source, nb)
        nb["SEEDS"] = ()  # so that the cell with the contrast networks trains none
    rows = []
    for training in range(TRAININGS):
        train(nb, training)
        rows += [{"training": training} | row for row in ask(nb, folder)]
        print(pd.DataFrame(rows).query("training == @training").round(2).to_string(), flush=True)
    pd.DataFrame(rows).round(3).to_csv(TABLE, index=False)


if __name__ == "__main__":
    main()
