"""Validation MAE against seconds of training: our network beside two that tutorials use, same data, same run.

    python tests/benchmarks/brain_age.py [--device cuda] [--seconds 15 30 60] [--networks AgeNet Regressor]

Each network gets the same people, augmentation, loss, optimizer, one-cycle schedule and number of seconds,
whatever it makes of them: seconds of processor time on a CPU, of the clock on a GPU. The learning rate is
the better of two for each network and time. The networks take turns, so that a busy machine slows all.
"""

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from brainscans import compute
from brainscans.networks import AgeNet
from brainscans.networks.age import standardize
from presimal import data
from presimal.evaluation import bootstrap_interval

BATCH, RATES = 16, (1e-3, 3e-3)


class Years(nn.Module):
    """A network with one output (N, 1), as ages (N,) in years."""

    def __init__(self, network: nn.Module, mean: float, sd: float):
        super().__init__()
        self.network, self.mean, self.sd = network, mean, sd

    def forward(self, x):
        return self.mean + self.sd * self.network(x).flatten()


def make(name: str, mean: float, sd: float) -> nn.Module:
    from monai.networks.nets import Regressor, ResNet

    if name == "AgeNet":
        return AgeNet(mean, sd)
    if name == "Regressor":  # MONAI's own, five levels and residual units
        network = Regressor((1, 40, 48, 40), (1,), (16, 32, 64, 128, 256), (2, 2, 2, 2, 2), num_res_units=2)
    else:  # MONAI's ResNet-10, widths of a quarter so that a step fits a CPU
        network = ResNet("basic", [1, 1, 1, 1], [16, 32, 64, 128], spatial_dims=3, n_input_channels=1, num_classes=1)
    return Years(network, mean, sd)


def augment(x: torch.Tensor) -> torch.Tensor:
    x = x.flip(2) if torch.rand(()) < 0.5 else x
    x = torch.roll(x, torch.randint(-1, 2, (3,)).tolist(), (2, 3, 4))
    return x * (1 + 0.05 * torch.randn(len(x), 1, 1, 1, 1, device=x.device))


def train(
    name: str, x, y, seconds: float, rate: float, where: torch.device, seed: int = 0
) -> tuple[nn.Module, float, float]:
    """The trained network, the seconds it took, and how often it saw each person."""
    clock = time.process_time if where.type == "cpu" else time.perf_counter
    torch.manual_seed(seed)
    model = make(name, float(y.mean()), float(y.std())).to(where, memory_format=torch.channels_last_3d).train()
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.05)
    started, steps, progress = clock(), 0, 0.0
    while progress < 1:
        for rows in torch.randperm(len(y))[: len(y) // BATCH * BATCH].split(BATCH):
            progress = (clock() - started) / seconds  # the schedule follows the clock: no step time to guess
            if progress >= 1:
                break
            up, down = min(1.0, progress / 0.25), max(0.0, (progress - 0.25) / 0.75)
            for group in optimizer.param_groups:
                group["lr"] = rate * (0.04 + 0.96 * up) * 0.5 * (1 + np.cos(np.pi * down))
            seen = augment(x[rows].to(where)).contiguous(memory_format=torch.channels_last_3d)
            loss = F.mse_loss(model(seen), y[rows].to(where))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
            if where.type == "cuda":
                torch.cuda.synchronize()
    return model.eval(), clock() - started, steps * BATCH / len(y)


@torch.no_grad()
def errors(model: nn.Module, x, y, where) -> np.ndarray:
    parts = [p.to(where, memory_format=torch.channels_last_3d) for p in x.split(45)]
    return (torch.cat([(model(p) + model(p.flip(2))) / 2 for p in parts]).cpu() - y).abs().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, nargs="+", default=[15, 30, 60])
    parser.add_argument("--networks", nargs="+", default=["AgeNet", "Regressor", "ResNet-10"])
    options = parser.parse_args()
    where = compute.device(options.device)
    torch.set_num_threads(1)
    table = data.brain_age()
    x, y = standardize(data.load(table)), torch.tensor(table.age.to_numpy(np.float32))
    known, valid = (torch.from_numpy(np.flatnonzero(table.split == name)) for name in ("train", "valid"))
    mean_age = (y[valid] - y[known].mean()).abs().mean()
    print(f"{len(known)} people train, {len(valid)} validate; the mean age has MAE {mean_age:.1f} years")
    print("network     seconds  MAE (years) [95 % interval]  rate   epochs")
    for seconds in options.seconds:
        for name in options.networks:
            runs = []
            for rate in RATES:
                model, took, epochs = train(name, x[known], y[known], seconds, rate, where)
                error = errors(model, x[valid], y[valid], where)
                runs.append((error.mean(), bootstrap_interval(np.mean, error), rate, took, epochs))
            _, interval, rate, took, epochs = min(runs, key=lambda run: run[0])
            print(f"{name:10s}  {took:7.1f}  {interval:.2f}   {rate:g}  {epochs:6.1f}", flush=True)


if __name__ == "__main__":
    main()
