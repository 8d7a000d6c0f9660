"""The tumor network of notebook 06, trained by several processes at once.

    python scripts/train_distributed.py --out tumor.safetensors                      # one process
    torchrun --standalone --nproc-per-node 2 scripts/train_distributed.py --out …    # two, on CPU cores or GPUs

Network, loss, normalization, augmentation and learning rate are those of the notebook. The engine is torch's own
DistributedDataParallel: every process takes its part of each batch, and the gradients are averaged before
each step, so all processes hold the same network. `--batch` is the size of the whole batch, whatever the
number of processes; hence one and several processes take the same steps, up to rounding. Several machines:
see `torchrun --help`. What is saved works in `brainscans.tumor_segmentation.segment(…, model=…)`.
"""

import argparse
import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from longer_training import region_loss
from monai.transforms import Compose, RandAdjustContrast, RandFlip, RandGaussianNoise, RandScaleIntensity
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from brainscans import compute, networks
from brainscans.tumor_segmentation import normalize
from presimal import data


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="cohort", help="cohort, msd, or a folder in its layout")
    parser.add_argument("--subjects", type=int, help="how many; default: all")
    parser.add_argument("--spacing", type=float, default=4.0, help="voxel size in mm")
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


class Augmented(Dataset):
    """Patients with the augmentation of notebook 06, which depends on seed, epoch and patient, not on the process."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, seed: int):
        self.x, self.y, self.seed, self.epoch = x, y, seed, 0
        self.mirror = Compose([RandFlip(prob=0.5, spatial_axis=axis) for axis in range(3)])
        scanner = [
            RandScaleIntensity(0.2, prob=0.8, channel_wise=True),
            RandAdjustContrast(prob=0.4, gamma=(0.7, 1.4)),
            RandGaussianNoise(prob=0.5, std=0.15),
        ]
        self.scanner = Compose(scanner)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, patient: int) -> tuple[torch.Tensor, torch.Tensor]:
        seeds = np.random.SeedSequence([self.seed, self.epoch, patient]).generate_state(2).tolist()
        self.mirror.set_random_state(seeds[0])
        self.scanner.set_random_state(seeds[1])
        both = self.mirror(torch.cat([self.x[patient], self.y[patient]])).as_tensor()
        image, target = both.split([len(self.x[patient]), len(self.y[patient])])
        return self.scanner(image).as_tensor() * (image != 0), target


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

    size = {} if wanted.source != "cohort" else {"spacing": wanted.spacing}
    table = data.tumors(wanted.source, subjects=wanted.subjects, progress=rank == 0, **size)
    table = table[table.split == "train"]
    grid = {} if wanted.source == "cohort" else {"spacing": wanted.spacing, "shape": (40, 48, 40)}
    images = data.load(table, **grid)
    brain = images[:, 1:2] > 0.1 * images[:, 1:2].amax((2, 3, 4), keepdim=True)
    people = Augmented(normalize(images, brain), regions(data.load(table, "label", **grid)), wanted.seed)
    sampler = DistributedSampler(people, world, rank, shuffle=True, seed=wanted.seed, drop_last=True)
    batches = DataLoader(people, wanted.batch // world, sampler=sampler, drop_last=True)

    compute.seed_everything(wanted.seed)  # the same first parameters in every process
    model = networks.UNet(4, 3, sharp=8).to(device)
    trained = DistributedDataParallel(model) if world > 1 else model
    optimizer = torch.optim.AdamW(model.parameters(), wanted.rate, weight_decay=0.01)
    if not len(batches):
        raise SystemExit(f"--batch {wanted.batch} is more than the {len(people)} people to train on: choose fewer.")
    steps = wanted.epochs * len(batches)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, wanted.rate, total_steps=steps, pct_start=0.2)
    for epoch in range(wanted.epochs):
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
    if rank == 0 and wanted.out:
        networks.save(model, wanted.out, data=wanted.source, processes=world, epochs=wanted.epochs)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
