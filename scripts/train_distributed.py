"""The tumor network of notebook 06, trained by several processes at once.

    python scripts/train_distributed.py                              # one process
    torchrun --standalone --nproc-per-node 2 scripts/train_distributed.py    # two, on CPU cores or GPUs

The engine is torch's own DistributedDataParallel: every process takes its part of each batch, and the
gradients are averaged before each step, so all processes hold the same network. `--batch` is the size
of the whole batch, whatever the number of processes; hence one and several processes take the same
steps, up to rounding. Several machines: see `torchrun --help`.
"""

import argparse
import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from presimal import compute, data, networks


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="cohort", help="cohort, msd, or a folder in its layout")
    parser.add_argument("--subjects", type=int, help="how many; default: all")
    parser.add_argument("--spacing", type=float, default=4.0, help="voxel size in mm")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=4, help="people per step, over all processes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write the weights (.safetensors)")
    return parser.parse_args()


def regions(labels: torch.Tensor) -> torch.Tensor:
    """Labels (N, 1, X, Y, Z) to whole tumor, core and enhancing part (N, 3, X, Y, Z)."""
    return torch.cat([labels > 0, labels >= 2, labels == 3], 1).float()


def prepared(images: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit standard deviation within the head, per contrast; zero outside."""
    inside = (images > 0.1 * images.amax((2, 3, 4), keepdim=True)).float()
    count = inside.sum((2, 3, 4), keepdim=True)
    mean = (images * inside).sum((2, 3, 4), keepdim=True) / count
    spread = (((images - mean) ** 2 * inside).sum((2, 3, 4), keepdim=True) / count).sqrt()
    return (images - mean) / spread * inside


def loss_of(outputs: list[torch.Tensor], y: torch.Tensor) -> torch.Tensor:
    """Dice and cross-entropy, each case for itself: the mean over a batch is that over its parts."""
    logits = outputs[0].float()
    p = logits.sigmoid()
    overlap, size = (p * y).sum((2, 3, 4)), (p + y).sum((2, 3, 4))
    dice = 1 - (2 * overlap + 1) / (size + 1)
    # The coarser outputs are trained in notebook 06; times 0 they keep every parameter in the graph.
    unused = sum(coarse.sum() for coarse in outputs[1:]) * 0.0
    return dice.mean() + torch.nn.functional.binary_cross_entropy_with_logits(logits, y) + unused


def main() -> None:
    wanted = parse()
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    where = compute.device()
    if where.type == "cuda":
        where = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    if wanted.batch % world:
        raise SystemExit(f"--batch {wanted.batch} cannot be shared by {world} processes: choose a multiple.")
    if world > 1:
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo")

    size = {} if wanted.source != "cohort" else {"spacing": wanted.spacing}
    table = data.tumors(wanted.source, subjects=wanted.subjects, progress=rank == 0, **size)
    table = table[table.split == "train"]
    grid = {} if wanted.source == "cohort" else {"spacing": wanted.spacing, "shape": (40, 48, 40)}
    x, y = prepared(data.load(table, **grid)), regions(data.load(table, "label", **grid))
    people = TensorDataset(x, y)
    sampler = DistributedSampler(people, world, rank, shuffle=True, seed=wanted.seed, drop_last=True)
    batches = DataLoader(people, wanted.batch // world, sampler=sampler, drop_last=True)

    compute.seed_everything(wanted.seed)  # the same first parameters in every process
    model = networks.UNet(4, 3).to(where)
    trained = DistributedDataParallel(model) if world > 1 else model
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    for epoch in range(wanted.epochs):
        sampler.set_epoch(epoch)  # another order in every epoch, the same in every process
        for x, y in batches:
            error = loss_of(trained(x.to(where)), y.to(where))
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
        if rank == 0:
            print(f"epoch {epoch + 1}/{wanted.epochs}: loss of the last batch here {error.item():.4f}", flush=True)
    if rank == 0 and wanted.out:
        networks.save(model, wanted.out, data=wanted.source, processes=world, epochs=wanted.epochs)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
