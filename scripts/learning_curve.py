"""Would more people help? The brain-age network of notebook 05 with few and many people, for the same number of steps.

    python scripts/learning_curve.py --seeds 3

Every training takes STEPS steps, however many people there are, so that a curve shows people and not training time.
A row a training is appended to learning_curve.csv as soon as it is done; a run that is started again goes on with
those that are missing. Scored on the validation people. A training takes about 35 CPU-seconds.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from brainscans.networks.age import AgeNet, standardize
from presimal import data

PEOPLE = (50, 100, 200, 400, 630)
STEPS, BATCH, RATE = 390, 16, 3e-3  # ten epochs of all people
TABLE = Path(__file__).with_name("learning_curve.csv")


def varied(volumes: Tensor) -> Tensor:
    """The augmentation of notebook 05: mirrored, moved by a voxel, with another gain."""
    volumes = volumes.flip(2) if torch.rand(()) < 0.5 else volumes
    volumes = torch.roll(volumes, torch.randint(-1, 2, (3,)).tolist(), (2, 3, 4))
    return volumes * (1 + 0.05 * torch.randn(len(volumes), 1, 1, 1, 1))


def trained(volumes: Tensor, ages: Tensor, rows: np.ndarray, seed: int) -> AgeNet:
    """A network after STEPS steps on some rows of the volumes (N, 1, X, Y, Z), in evaluation mode."""
    torch.manual_seed(seed)
    model = AgeNet(float(ages[rows].mean()), float(ages[rows].std())).to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    order = np.empty(0, int)
    for _ in range(STEPS):
        while len(order) < BATCH:
            order = np.concatenate([order, rows[torch.randperm(len(rows)).numpy()]])
        chosen, order = order[:BATCH], order[BATCH:]
        x = varied(volumes[chosen].float()).to(memory_format=torch.channels_last_3d)
        optimizer.zero_grad()
        mse_loss(model(x), ages[chosen]).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.inference_mode()
def mean_error(model: AgeNet, volumes: Tensor, ages: Tensor, rows: np.ndarray) -> float:
    """Mean absolute error in years, of the mean over each brain and its mirror image."""
    parts = [volumes[part].float() for part in np.array_split(rows, 9)]
    said = torch.cat([(model(part) + model(part.flip(2))) / 2 for part in parts])
    return float((said - ages[rows]).abs().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    table = data.brain_age()
    ages = torch.tensor(table.age.to_numpy(np.float32))
    parts = [standardize(data.load(table[k : k + 25])).half() for k in range(0, len(table), 25)]
    volumes = torch.cat(parts)
    train, valid = (np.flatnonzero(table.split == name) for name in ("train", "valid"))
    known = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame({"seed": [], "people": []})
    for seed in range(seeds):
        for people in PEOPLE:
            if ((known.seed == seed) & (known.people == people)).any():
                continue
            rows = np.random.default_rng(seed).permutation(train)[:people]
            error = mean_error(trained(volumes, ages, rows, seed), volumes, ages, valid)
            row = pd.DataFrame([{"seed": seed, "people": people, "steps": STEPS, "mae": round(error, 2)}])
            row.to_csv(TABLE, mode="a", header=not TABLE.exists(), index=False)
            print(row.to_string(index=False, header=False), flush=True)


if __name__ == "__main__":
    main()
