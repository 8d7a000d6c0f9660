"""What each ingredient of the tumor network's training is worth: it is left out, and real scans say what is missing.

    python scripts/ablate_tumor_segmentation.py --anatomies FOLDER --real FOLDER --seeds 3
    python scripts/ablate_tumor_segmentation.py --table

The shipped network is trained on with everything, and without each ingredient of ARMS, for the same number of steps and
with the same draws at first, at 3 mm. What a network keeps or forgets then says what the ingredient is worth; from
nothing, where all arms would have to learn what a tumor is, 600 steps (13 CPU-minutes) find no core yet. All are scored
on real patients, who are never trained on: FOLDER holds a `manifest.csv` with a row a scan (task, name, group, files,
reference, labels; see `patients_of`). A row a patient is appended to ablation.csv as soon as an arm is done, and a run
that is started again goes on with the arms that are missing. A step takes about 2 CPU-seconds.
"""

import argparse
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import real_anatomies
import torch
import torch.nn.functional as F
from longer_training import region_loss, tissue_maps
from nibabel.affines import from_matvec, voxel_sizes
from patients import Patients, complete
from torch import Generator, Tensor, nn
from train_tumor_segmentation import GROUPS, PEOPLE, examples

from brainscans import compute, networks, reading, tumor_segmentation
from brainscans.scans import read_scan

SPACING = 3.0  # mm
COUNTS = {"tumor": 100, "brain": 60}  # people of whom tissue maps are made
RATE = 2e-3
REGIONS = ("whole", "core", "enhancing")
TABLE = Path(__file__).with_name("ablation.csv")
EVERYTHING = Patients()


@dataclass(frozen=True)
class Arm:
    """One training: how patients are drawn, and from which groups of people."""

    patients: Patients = EVERYTHING
    groups: tuple[str, ...] = tuple(GROUPS)


AS_SHIPPED = "as shipped, not trained on"
ARMS = {
    "everything": Arm(),
    "no faint uptake": Arm(replace(EVERYTHING, faint=False)),
    "nobody without a tumor": Arm(replace(EVERYTHING, growths=1.0)),
    "T1Gd tied to T1": Arm(replace(EVERYTHING, untied=False)),
    "no label maps of real heads": Arm(groups=("gliomas", "brains")),
    "no mimics and remnants": Arm(replace(EVERYTHING, spots=0.0, plexus=0.0, remnants=0.0)),
}


@dataclass(frozen=True)
class RealPatient:
    """Images (4, X, Y, Z) of about SPACING mm, 0 where a contrast is left out, and what the reference calls tumor."""

    name: str
    group: str
    images: Tensor
    affine: np.ndarray
    regions: dict[str, np.ndarray]  # of REGIONS, those that the reference tells; {} for a person without a tumor


def coarser(volume: Tensor, affine: np.ndarray) -> tuple[Tensor, np.ndarray]:
    """A volume (X, Y, Z) averaged to voxels of at most SPACING mm in whole groups, and its affine."""
    group = [max(1, int(SPACING / length + 1e-3)) for length in voxel_sizes(affine)]
    centers = from_matvec(np.diag(group) * 1.0, (np.array(group) - 1) / 2)
    return F.avg_pool3d(volume.float()[None, None], group)[0, 0], affine @ centers


def patients_of(folder: Path) -> list[RealPatient]:
    """The patients of a folder's manifest.csv whose task is `tumor`.

    `files` are FLAIR;T1;T1GD;T2 relative to the folder, `-` for one that is left out; `reference` is a label map, or
    empty where there is no tumor; `labels` are its numbers of non-enhancing core, edema and enhancing tumor, such as
    1+3,2,4.
    """
    found = []
    listed = pd.read_csv(folder / "manifest.csv", dtype=str).fillna("")
    for row in listed[listed.task == "tumor"].itertuples():
        read = [None if file == "-" else coarser(*read_scan(folder / file)) for file in row.files.split(";")]
        given = [image for image in read if image is not None]
        images = torch.stack([torch.zeros_like(given[0][0]) if image is None else image[0] for image in read])
        regions = {}
        if row.reference:
            values, affine = reading.read(folder / row.reference)
            labels = torch.from_numpy(values.astype(np.float32))
            core, edema, enhancing = (
                [int(number) for number in part.split("+") if number != "-"] for part in row.labels.split(",")
            )
            members = dict(zip(REGIONS, (core + edema + enhancing, core + enhancing, enhancing), strict=True))
            for name, numbers in members.items():
                inside = torch.isin(labels.round().long(), torch.tensor(numbers)).float()
                regions[name] = coarser(inside, affine)[0].numpy() > 0.5
        found.append(RealPatient(row.name, row.group, images, given[0][1], regions))
    return found


def train(arm: Arm, groups: dict[str, Tensor], seed: int, steps: int, batch: int, device: torch.device) -> nn.Module:
    """The shipped network, trained on."""
    used = {name: groups[name] for name in arm.groups if name in groups}
    people = torch.cat(list(used.values()))
    probability = torch.cat([torch.full((len(maps),), GROUPS[name] / len(maps)) for name, maps in used.items()])
    compute.seed_everything(seed)
    generator = Generator(device).manual_seed(seed)
    model = networks.load(tumor_segmentation.WEIGHTS)[0].to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=1e-2)
    for step in range(steps):
        done = step / steps  # up in the first tenth, then down along a cosine
        cosine = 0.5 * (1 + math.cos(math.pi * max(0.0, (done - 0.1) / 0.9)))
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (done + 1 / steps) / 0.1) * cosine
        chosen = torch.multinomial(probability, batch, replacement=True)
        x, y = examples(people[chosen].to(device), generator, arm.patients, spacing=SPACING)
        with compute.autocast(device):
            outputs = model(x)
        error = region_loss(outputs, y)
        optimizer.zero_grad()
        error.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        if step % 50 == 49:
            print(f"  step {step + 1} of {steps}, loss {error.item():.3f}", flush=True)
    return model.eval()


def scores(model: nn.Module, patient: RealPatient) -> dict[str, float | str]:
    """Dice of REGIONS where the reference has any of it, and ml that are called tumor; as `presimal segment` works."""
    tumor_segmentation.SPACING = SPACING  # of its grid
    found = tumor_segmentation.find_tumor(patient.images, patient.affine, model, name=patient.name)
    row: dict[str, float | str] = {"patient": patient.name, "group": patient.group}
    for k, name in enumerate(REGIONS):
        inside, truth = found.labels > k, patient.regions.get(name)
        if truth is not None and truth.any():
            row[name] = round(float(2 * (inside & truth).sum() / (inside.sum() + truth.sum())), 4)
    ml = abs(np.linalg.det(patient.affine[:3, :3])) / 1000
    return row | {"ml": round(float((found.labels > 0).sum() * ml), 2)}


def table(file: Path) -> str:
    """Mean over the patients of each seed, then over the seeds, with the range over the seeds where there are several.

    Rows of the file that were made with other numbers of steps than the last are left out.
    """
    rows = pd.read_csv(file)
    rows = rows[rows.steps == rows.steps.iloc[-1]]
    gliomas = rows[rows.whole.notna()]
    each = gliomas.groupby(["arm", "seed"])[list(REGIONS)].mean()
    each["ml, no tumor"] = rows[rows.whole.isna()].groupby(["arm", "seed"]).ml.mean()
    lines = [
        f"{gliomas.patient.nunique()} gliomas, {rows.patient.nunique() - gliomas.patient.nunique()} without a tumor"
    ]
    lines[0] += f"; {rows.seed.nunique()} seed(s), {rows.steps.iloc[-1]} steps"
    lines += ["| arm | seeds | " + " | ".join(each.columns) + " |", "|---" * (2 + len(each.columns)) + "|"]
    for arm in [name for name in (AS_SHIPPED, *ARMS) if name in each.index]:
        values = each.loc[arm]
        cells = []
        for name in each.columns:
            digits = 1 if name.startswith("ml") else 3
            cell = f"{values[name].mean():.{digits}f}"
            if len(values) > 1:
                cell += f" ({values[name].min():.{digits}f} to {values[name].max():.{digits}f})"
            cells.append(cell)
        lines.append(f"| {arm} | {len(values)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    real = os.environ.get("PRESIMAL_REALDATA")
    parser.add_argument("--anatomies", type=real_anatomies.folder_of, help="folder with label maps, or fetch")
    parser.add_argument("--real", type=Path, default=real, help="folder with real patients, else PRESIMAL_REALDATA")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 1")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--table", action="store_true", help="print what is there, and train nothing")
    wanted = parser.parse_args()
    if wanted.table:
        print(table(wanted.out))
        return
    if not wanted.anatomies or not wanted.real:
        parser.error("give --anatomies and --real")
    device = compute.device()
    groups = {
        "gliomas": complete(*tissue_maps("tumor", SPACING, COUNTS["tumor"], device, PEOPLE)),
        "brains": complete(*tissue_maps("brain", SPACING, COUNTS["brain"], device, PEOPLE)),
        "anatomies": real_anatomies.load(wanted.anatomies, SPACING),
    }
    patients = patients_of(wanted.real)
    for seed in range(1, wanted.seeds + 1):
        trainings: dict[str, Arm | None] = {**ARMS}
        if seed == 1:  # nothing in it depends on the seed
            trainings = {AS_SHIPPED: None, **ARMS}
        for name, arm in trainings.items():
            before = (
                pd.read_csv(wanted.out) if wanted.out.exists() else pd.DataFrame({"seed": [], "arm": [], "steps": []})
            )
            if len(before[(before.seed == seed) & (before.arm == name) & (before.steps == wanted.steps)]):
                continue
            print(f"seed {seed}, {name}", flush=True)
            if arm:
                model = train(arm, groups, seed, wanted.steps, wanted.batch, device)
            else:
                model = networks.load(tumor_segmentation.WEIGHTS)[0].eval()
            run = {"seed": seed, "arm": name, "steps": wanted.steps}
            rows = pd.DataFrame([run | scores(model, patient) for patient in patients])
            columns = [*run, "patient", "group", *REGIONS, "ml"]
            rows.reindex(columns=columns).to_csv(wanted.out, mode="a", header=not wanted.out.exists(), index=False)
    print(table(wanted.out))


if __name__ == "__main__":
    main()
