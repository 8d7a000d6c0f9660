"""The tumor network of notebook 06, trained by several processes at once.

    python scripts/train_distributed.py --out tumor.safetensors                      # one process
    torchrun --standalone --nproc-per-node 2 scripts/train_distributed.py --out …    # two, on CPU cores or GPUs

Network, loss, normalization, augmentation and learning rate are those of the notebook. The engine is torch's own
DistributedDataParallel: every process takes its part of each batch, and the gradients are averaged before
each step, so all processes hold the same network. `--batch` is the size of the whole batch, whatever the
number of processes; hence one and several processes take the same steps, up to rounding. Patients are read when their
turn comes, and with `--patch` only a part of each is shown at a step, so that scans of 1 mm fit. After each epoch the
state goes into OUT with the ending .checkpoint, from which any number of processes goes on. Several machines: see
`torchrun --help`. What is saved works in `presimal segment --weights`.

    torchrun … scripts/train_distributed.py --source FOLDER --spacing 1 --patch 96 --batch 8 --workers 4 --out …
"""

import argparse
import io
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from longer_training import region_loss
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandCropByPosNegLabel,
    RandFlip,
    RandGaussianNoise,
    RandScaleIntensity,
)
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from brainscans import compute, networks
from brainscans.tumor_segmentation import normalize
from presimal import data
from synthcohort.storage import write_atomically

EXTENT = (160, 192, 160)  # mm, around the center of a scan that is not of the cohort
PLAN = ("source", "subjects", "spacing", "patch", "epochs", "batch", "rate", "seed", "float32")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="cohort", help="cohort, msd, or a folder in its layout")
    parser.add_argument("--subjects", type=int, help="how many; default: all")
    parser.add_argument("--spacing", type=float, default=4.0, help="voxel size in mm")
    parser.add_argument("--patch", type=int, default=0, help="edge in voxels of the part shown; default: everything")
    parser.add_argument("--workers", type=int, default=0, help="processes that read, for each that trains")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=4, help="people per step, over all processes")
    parser.add_argument("--rate", type=float, default=6e-3, help="largest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--float32", action="store_true", help="full precision: slower, and rounding hardly shows")
    parser.add_argument("--out", type=Path, help="where to write the weights (.safetensors)")
    return parser.parse_args()


def regions(labels: torch.Tensor) -> torch.Tensor:
    """Labels (N, 1, X, Y, Z) to whole tumor, core and enhancing part (N, 3, X, Y, Z)."""
    return torch.cat([labels > 0, labels >= 2, labels == 3], 1).float()


class Patients(Dataset):
    """Images (4, X, Y, Z) and regions (3, X, Y, Z) of the patients of a table, read when asked for, with the
    augmentation of notebook 06, which depends on seed, epoch and patient, not on the process."""

    def __init__(self, table: pd.DataFrame, grid: dict, patch: int, seed: int):
        self.table, self.grid, self.seed, self.epoch = table, grid, seed, 0
        # Two of three parts lie around a voxel of tumor, one anywhere in the brain.
        self.part = RandCropByPosNegLabel((patch,) * 3, pos=2, neg=1, allow_smaller=True) if patch else None
        self.mirror = Compose([RandFlip(prob=0.5, spatial_axis=axis) for axis in range(3)])
        scanner = [
            RandScaleIntensity(0.2, prob=0.8, channel_wise=True),
            RandAdjustContrast(prob=0.4, gamma=(0.7, 1.4)),
            RandGaussianNoise(prob=0.5, std=0.15),
        ]
        self.scanner = Compose(scanner)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, patient: int) -> tuple[torch.Tensor, torch.Tensor]:
        row = self.table.iloc[[patient]]
        images, labels = (data.load(row, name, progress=False, **self.grid) for name in ("image", "label"))
        brain = images[:, 1:2] > 0.1 * images[:, 1:2].amax()
        both = torch.cat([normalize(images, brain), regions(labels)], 1)[0]
        *seeds, place = np.random.SeedSequence([self.seed, self.epoch, patient]).generate_state(3).tolist()
        if self.part:
            self.part.set_random_state(place)
            (both,) = self.part(both, label=both[4:5], image=brain[0].float())
        self.mirror.set_random_state(seeds[0])
        self.scanner.set_random_state(seeds[1])
        image, target = self.mirror(both).as_tensor().split([4, 3])
        return self.scanner(image).as_tensor() * (image != 0), target


def resume(checkpoint: Path, states: dict, plan: dict) -> int:
    """How many epochs are done, with the states of a checkpoint taken over; it must be of the same plan."""
    try:
        stored = torch.load(checkpoint, weights_only=True, map_location="cpu")
    except Exception:  # of pickle, zip or torch
        raise SystemExit(f"{checkpoint} is damaged: delete it to start again.") from None
    if stored["plan"] != plan:
        differs = ", ".join(
            f"--{name} {stored['plan'].get(name)}" for name in PLAN if stored["plan"].get(name) != plan[name]
        )
        raise SystemExit(f"{checkpoint} is of a training with {differs}: give the same, or delete it to start again.")
    for name, part in states.items():
        part.load_state_dict(stored[name])
    return stored["done"]


def main() -> None:
    wanted = parse()
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    device = compute.device()
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    if wanted.batch % world:
        raise SystemExit(f"--batch {wanted.batch} cannot be shared by {world} processes: choose a multiple.")
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")

    # The cohort is made with voxels of this size, other scans are brought to them.
    size = {"spacing": wanted.spacing}
    grid = size | {"shape": tuple(round(length / wanted.spacing) for length in EXTENT)}
    size, grid = (size, {}) if wanted.source == "cohort" else ({}, grid)
    table = data.tumors(wanted.source, subjects=wanted.subjects, progress=rank == 0, **size)
    people = Patients(table[table.split == "train"], grid, wanted.patch, wanted.seed)
    sampler: DistributedSampler = DistributedSampler(
        people, world, rank, shuffle=True, seed=wanted.seed, drop_last=True
    )
    batches = DataLoader(people, wanted.batch // world, sampler=sampler, drop_last=True, num_workers=wanted.workers)

    compute.seed_everything(wanted.seed)  # the same first parameters in every process
    model = networks.UNet(4, 3, sharp=8).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), wanted.rate, weight_decay=0.01)
    if not len(batches):
        raise SystemExit(f"--batch {wanted.batch} is more than the {len(people)} people to train on: choose fewer.")
    steps = wanted.epochs * len(batches)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, wanted.rate, total_steps=steps, pct_start=0.2)
    states: dict[str, Any] = {"model": model, "optimizer": optimizer, "rate": rate}
    plan = {name: getattr(wanted, name) for name in PLAN}
    checkpoint = wanted.out.with_suffix(".checkpoint") if wanted.out else None
    done = resume(checkpoint, states, plan) if checkpoint and checkpoint.exists() else 0
    trained = DistributedDataParallel(model) if world > 1 else model
    for epoch in range(done, wanted.epochs):
        sampler.set_epoch(epoch)  # another order in every epoch, the same in every process
        people.epoch = epoch
        for x, y in batches:
            with nullcontext() if wanted.float32 else compute.autocast(device):
                outputs = trained(x.to(device))
            error = region_loss(outputs, y.to(device))
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            rate.step()
        if rank == 0:
            print(f"epoch {epoch + 1}/{wanted.epochs}: loss of the last batch here {error.item():.4f}", flush=True)
            if checkpoint:
                content = io.BytesIO()
                torch.save(
                    {name: part.state_dict() for name, part in states.items()} | {"done": epoch + 1, "plan": plan},
                    content,
                )
                write_atomically(checkpoint, content.getvalue())
    if rank == 0 and checkpoint:
        networks.save(model, wanted.out, data=wanted.source, processes=world, epochs=wanted.epochs)
        checkpoint.unlink()
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
