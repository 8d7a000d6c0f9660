"""What is a trained encoder worth? Two questions that no network here was trained for, from a few people each.

    python scripts/few_shot.py

How old does the hippocampus look (years), which is near to what the shipped brain-age network was trained for; and how
wide are the ventricles (mm wider than in the template), which is farther. Two ways to learn each from the same 10, 50
or 200 people, drawn three times: a ridge on what the shipped network makes of an image, its parameters frozen; and the
same network from scratch, all of it trained, for as many steps as in learning_curve.py. Examined on 270 others. Writes
few_shot.csv, a row a question and number of people, with the mean absolute error of each draw and, paired by person,
how much less the frozen encoder errs. A training takes about 35 CPU-seconds, and there are eighteen."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from learning_curve import STEPS, trained
from sklearn.linear_model import RidgeCV
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d

from brainscans import networks
from brainscans.networks.age import AgeNet, standardize
from presimal import data
from presimal.evaluation import bootstrap_interval
from synthcohort import Cohort

QUESTIONS = ("hippocampus_age", "ventricle")  # columns of what the generator knows
PEOPLE, SEEDS = (10, 50, 200), (0, 1, 2)
STRENGTHS = np.logspace(1, 4, 10)  # of the ridge; the best is chosen by leaving out one training person at a time
TABLE = Path(__file__).with_name("few_shot.csv")


@torch.inference_mode()
def encoded(network: AgeNet, volumes: Tensor) -> np.ndarray:
    """What a network makes of volumes (N, 1, X, Y, Z): its 24 maps at 2 x 3 x 2 places, (N, 288)."""
    maps = [adaptive_avg_pool3d(network.features(part.float()), (2, 3, 2)) for part in volumes.split(20)]
    return torch.cat(maps).flatten(1).numpy()


@torch.inference_mode()
def answers(network: AgeNet, volumes: Tensor) -> np.ndarray:
    """Of a trained network, the mean over each image and its mirror image, (N,)."""
    said = [(network(x) + network(x.flip(2))) / 2 for part in volumes.split(20) for x in [part.float()]]
    return torch.cat(said).numpy()


def compare(volumes: Tensor, found: np.ndarray, truth: np.ndarray, train: np.ndarray, count: int) -> dict[str, float]:
    """Both ways from `count` of the training people: errors of each draw, and the paired difference of their means."""
    others = np.setdiff1d(np.arange(len(truth)), train)
    errors: dict[str, list[np.ndarray]] = {"frozen": [], "scratch": []}
    for seed in SEEDS:
        some = np.random.default_rng(seed).permutation(train)[:count]
        said = RidgeCV(STRENGTHS).fit(found[some], truth[some]).predict(found[others])
        errors["frozen"].append(np.abs(said - truth[others]))
        network = trained(volumes, torch.from_numpy(truth), some, seed)
        errors["scratch"].append(np.abs(answers(network, volumes[others]) - truth[others]))
    row = {f"{way}_{k}": float(each.mean()) for way, all_of in errors.items() for k, each in enumerate(all_of)}
    less = bootstrap_interval(np.mean, np.mean(errors["scratch"], 0) - np.mean(errors["frozen"], 0))
    return row | {"less": less.value, "low": less.low, "high": less.high}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    table = data.brain_age()
    known = Cohort().truth([int(name[-4:]) for name in table.subject_id], "brain")
    volumes = torch.cat([standardize(data.load(table[k : k + 25])).half() for k in range(0, len(table), 25)])
    train = np.flatnonzero(table.split == "train")
    encoder, _ = networks.load("brain_age")
    assert isinstance(encoder, AgeNet)
    found = encoded(encoder, volumes)
    found = (found - found[train].mean(0)) / (found[train].std(0) + 1e-6)  # scaling needs no labels
    rows: list[dict[str, object]] = []
    for question in QUESTIONS:
        for count in PEOPLE:
            row = compare(volumes, found, known[question].to_numpy(np.float32), train, count)
            rows.append({"question": question, "people": count, "steps": STEPS} | row)
            pd.DataFrame(rows).round(3).to_csv(TABLE, index=False)
            print(pd.DataFrame(rows).round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
