"""How the sets of the cohort are laid out on disk: file names, and the tables that lie beside the images."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .cohort import Cohort
from .tissue_maps import MSD_CONTRASTS

DECATHLON = {
    "name": "presimal cohort",
    "description": "Gliomas of people who never lived, with their regions",
    "reference": "https://github.com/MMIV-ML/presimal",
    "licence": "GPL-3.0",  # spelled as the Decathlon does
    "tensorImageSize": "4D",
    "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
    "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
}


@dataclass(frozen=True)
class Layout:
    """How one set is laid out; `image` and `label` are file names round a person's id."""

    kind: str
    folder: str
    subjects: int
    contrasts: tuple[str, ...]
    image: str
    label: str = ""

    def subject_id(self, number: int) -> str:
        return f"{self.kind}-{number:04d}"


SETS = {
    "brain_age": Layout("brain", "brain_age", 900, ("t1",), "T1_images/{}-T1.nii.gz"),
    "tumors": Layout("tumor", "Task01_BrainTumour", 300, MSD_CONTRASTS, "imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz"),
    "heads": Layout("head", "heads", 200, ("t1",), "image/{}_image.nii.gz", "label/{}_label.nii.gz"),
}


def image_files(layout: Layout, subject: str, image: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    """The volumes of one person by file name."""
    volumes = {layout.image.format(subject): image}
    return volumes | ({layout.label.format(subject): label} if layout.label else {})


def tables(layout: Layout, cohort: Cohort, people: Mapping[str, dict], version: str) -> Iterator[tuple[str, str]]:
    """(file name, content) of what lies beside the images.

    `people` maps the number of each person to an entry with its `volumes` (ml); `version` is that of the generator.
    """
    numbers = sorted(map(int, people))
    rows = cohort.people(numbers, layout.kind).drop(columns="number")
    if layout.kind == "tumor":
        cases = [
            {"image": f"./{layout.image.format(s)}", "label": f"./{layout.label.format(s)}"} for s in rows.subject_id
        ]
        counted = {"numTraining": len(cases), "numTest": 0, "training": cases, "test": []}
        yield "dataset.json", json.dumps(DECATHLON | {"release": version} | counted, indent=1)
        yield "clinical.csv", rows.to_csv(index=False)
    else:
        table = rows.rename(columns={"sex": "gender", "age": "age_at_scan"})
        table.insert(0, "t1_path", [layout.image.format(s) for s in rows.subject_id])
        if layout.label:
            table["labels"] = [layout.label.format(s) for s in rows.subject_id]
        yield "dataset.csv", table.to_csv(index=False)
    truth = cohort.truth(numbers, layout.kind).drop(columns="number")
    volumes = pd.DataFrame([people[str(number)]["volumes"] for number in numbers])
    volumes.columns = [f"measured_{name}" if name == "fraction" else f"measured_{name}_ml" for name in volumes]
    truth.insert(0, "subject_id", rows.subject_id)
    yield "truth.csv", pd.concat([truth, volumes], axis=1).to_csv(index=False)
