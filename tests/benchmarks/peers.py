"""Ours beside its peers, on the same data and cores in one run, as one table in Markdown: medians of three.

    PYTHONPATH=scripts PRESIMAL_REALDATA=FOLDER python tests/benchmarks/peers.py [--seconds 45] [--only age tumor ...]

*age*: mean absolute error of validation people after equal seconds of processor time: ours, MONAI's Regressor in our
recipe, and the recipe of fastMONAI's tutorial (Regressor, absolute error, `fit_flat_cos`, default rate).
*tumor*: mean Dice of validation patients after equal seconds: ours, MONAI's SegResNet and DynUNet in our recipe, and
the network, loss and optimizer of 2022. Each network in our recipe gets the better of two rates, chosen with the first
seed. *masks*: Dice on the whole heads in T1 of `presimal data real-scans`, and CPU-seconds a head: ours, deepbet if it
is there (trained on real scans; its wheel holds its weights), and threshold, opening and largest piece; median over the
heads. *people*: people a second, and TorchIO's random transforms of one image on the same grid.
"""

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import NamedTuple

import brain_age
import cohort_speed
import numpy as np
import skull_stripping
import torch
import tumor_segmentation
from monai.networks.nets import DynUNet, SegResNet

from brainscans.networks.age import standardize
from brainscans.scans import read_scan
from brainscans.skull_stripping import find_brain
from brainscans.tumor_segmentation import normalize
from presimal import data
from synthcohort import Cohort

SEEDS = range(3)
CPU = torch.device("cpu")


class Row(NamedTuple):
    """One contender: its results over seeds or repetitions, the first of a group being ours."""

    what: str
    name: str
    results: list[float]

    def line(self, ours: float) -> str:
        middle = median(self.results)
        low, high = min(self.results), max(self.results)
        return f"| {self.what} | {self.name} | {middle:.3g} ({low:.3g} to {high:.3g}) | {middle / ours:.2f} |"


def best_rate(train: Callable[[int, float], float], rates: tuple[float, ...], better: Callable) -> list[float]:
    """Results of SEEDS at the rate that is the better of two with the first seed."""
    first = {rate: train(SEEDS[0], rate) for rate in rates}
    rate = better(first, key=lambda one: first[one])
    return [first[rate], *(train(seed, rate) for seed in SEEDS[1:])]


def age(seconds: float) -> Iterator[Row]:
    table = data.brain_age()
    x, y = standardize(data.load(table)), torch.tensor(table.age.to_numpy(np.float32))
    known, valid = (torch.from_numpy(np.flatnonzero(table.split == name)) for name in ("train", "valid"))

    def error(model: torch.nn.Module) -> float:
        return float(brain_age.errors(model.eval(), x[valid], y[valid], CPU).mean())

    what = f"age: MAE in years after {seconds:g} CPU-s"
    for name in ("AgeNet", "Regressor"):

        def train(seed: int, rate: float, name=name) -> float:
            return error(brain_age.train(name, x[known], y[known], seconds, rate, CPU, seed)[0])

        yield Row(what, {"AgeNet": "ours"}.get(name, f"MONAI {name}"), best_rate(train, brain_age.RATES, min))
    yield Row(what, "fastMONAI's recipe", [error(tutorial(x[known], y[known], seconds, seed)) for seed in SEEDS])


def tutorial(x: torch.Tensor, y: torch.Tensor, seconds: float, seed: int) -> torch.nn.Module:
    """MONAI's Regressor trained as fastMONAI's tutorial does, for as many epochs as fit into the seconds."""
    import fastai.callback.progress
    import fastai.callback.schedule  # noqa: F401 -- both give the Learner methods
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.losses import L1LossFlat
    from fastai.optimizer import ranger

    torch.manual_seed(seed)
    model = brain_age.make("Regressor", float(y.mean()), float(y.std()))
    people = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(people, brain_age.BATCH, shuffle=True, drop_last=True)
    few = torch.utils.data.DataLoader(people, brain_age.BATCH, sampler=range(brain_age.BATCH))
    learner = Learner(DataLoaders(loader, few), model, loss_func=L1LossFlat(), opt_func=ranger, train_bn=True)
    with learner.no_bar(), learner.no_logging():
        started = time.process_time()
        learner.fit(1, 1e-6)  # an epoch at next to no rate, to know how long one takes
        learner.fit_flat_cos(max(1, round(seconds / (time.process_time() - started))))
    return model


def tumor(seconds: float) -> Iterator[Row]:
    table = data.tumors()
    images, labels = data.load(table), data.load(table, "label")
    x = normalize(images, images[:, 1:2] > 0.1 * images[:, 1:2].amax((2, 3, 4), keepdim=True))
    y = torch.cat([labels > 0, labels >= 2, labels == 3], 1).float()
    train, valid = ((table.split == name).to_numpy(copy=True) for name in ("train", "valid"))

    def score(contender: tumor_segmentation.Contender) -> float:
        contender.train(x[train], y[train], seconds)
        contender.score(x[valid], y[valid])
        return contender.curve[-1][1]

    what = f"tumor: mean Dice after {seconds:g} CPU-s"
    for name, make in NETWORKS.items():

        def run(seed: int, rate: float, make=make) -> float:
            torch.manual_seed(seed)
            return score(tumor_segmentation.ours(make(), seconds, rate))

        yield Row(what, name, best_rate(run, (1e-3, 4e-3), max))
    yield Row(what, "2022 workshop", [score(tumor_segmentation.contenders(1, seconds, seed)[0]) for seed in SEEDS])


class Deepest(torch.nn.Module):
    """A network that needs multiples of 16 voxels, with its answer in a list, as the loss wants it."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = tumor_segmentation.Padded(network)

    def forward(self, x: torch.Tensor):
        return [self.network(x)] if self.training else self.network(x)


NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "ours": lambda: tumor_segmentation.networks.UNet(4, 3, sharp=8),
    "MONAI SegResNet, 8 filters": lambda: Deepest(SegResNet(3, 8, 4, 3, blocks_down=(1, 2, 2, 4), blocks_up=(1, 1, 1))),
    "MONAI DynUNet, 16 to 96": lambda: Deepest(
        DynUNet(3, 4, 3, [3] * 4, [1, 2, 2, 2], [2] * 3, filters=[16, 32, 64, 96])
    ),
}


def masks(folder: Path) -> Iterator[Row]:
    import pandas as pd
    from examine_real_scans import CASES, brain_of, overlap

    from brainscans.reading import read

    cases = pd.read_csv(CASES)
    heads = cases[(cases.task == "mask") & cases.group.str.startswith("T1") & cases.reference.notna()]
    rows = {}
    for name, strip in strippers().items():
        scores, seconds = [], []
        for case in heads.itertuples():
            truth, affine = read(folder / case.reference)
            started = time.process_time()
            found = strip(folder / case.files)
            seconds.append(time.process_time() - started)
            scores.append(overlap(found > 0, brain_of(truth, affine)) or 0.0)
        rows[name] = scores, seconds
    for column, what in enumerate(("Dice", "CPU-seconds")):
        for name, results in rows.items():
            yield Row(f"masks: {what}, {len(heads)} real heads (T1)", name, results[column])


def strippers() -> dict[str, Callable[[Path], np.ndarray]]:
    """Ways of making a mask (X, Y, Z) of a file."""

    def classical(file: Path) -> np.ndarray:
        volume, affine = read_scan(file)
        return skull_stripping.classical(volume.numpy(), abs(float(np.linalg.det(affine[:3, :3]))) ** (1 / 3))

    ways = {"ours": lambda file: find_brain(*read_scan(file)).mask}
    try:
        deepbet = import_module("deepbet.bet")  # no dependency of ours
    except ImportError:
        print("deepbet is not installed, and is left out: pip install deepbet")
    else:
        network = deepbet.BrainExtraction(no_gpu=True)
        ways["deepbet, trained on real scans"] = lambda file: network.run(str(file))[1].get_fdata()
    return ways | {"threshold and opening": classical}


def people(seconds: float) -> Iterator[Row]:
    cohort, counter = Cohort(0), itertools.count()
    for title, kind, spacing, contrasts in cohort_speed.CASES:
        if len(contrasts) > 1:
            continue

        def render(kind=kind, spacing=spacing, contrasts=contrasts) -> int:
            cohort.render([next(counter) for _ in range(4)], kind, spacing, contrasts)
            return 4

        turns = [render, cohort_speed.torchio_work(cohort, kind, spacing)]
        rates = [[cohort_speed.rate(work, seconds) for work in turns] for _ in SEEDS]
        for name, results in zip(("ours", "TorchIO"), zip(*rates, strict=True), strict=True):
            yield Row(f"people a second: {title}", name, list(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=45, help="of computing for each training")
    parser.add_argument("--only", nargs="+", choices=("age", "tumor", "masks", "people"))
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    folder = os.environ.get("PRESIMAL_REALDATA")
    parts = {
        "age": lambda: age(wanted.seconds),
        "tumor": lambda: tumor(wanted.seconds),
        "masks": lambda: masks(Path(folder)) if folder else iter(()),
        "people": lambda: people(8.0),
    }
    print("| what, and how much | which | median (range) | over ours |\n|---|---|---|---|")
    for name in wanted.only or parts:
        ours = 1.0
        for row in parts[name]():
            ours = median(row.results) if row.name == "ours" else ours
            print(row.line(ours), flush=True)


if __name__ == "__main__":
    main()
