"""Quality and computing time of skull stripping, beside a classical recipe of threshold, opening and largest piece.

    python tests/benchmarks/skull_stripping.py [--people 10] [--spacing 2.0]

Both strip the same generated heads in every contrast, inverted contrast included, with the same truth. Printed are the
mean Dice with a 95 % interval over people, the worst person, and CPU-seconds per head. The recipe was set on T1.
"""

import argparse
import time

import numpy as np
import torch
from scipy import ndimage
from skimage.filters import threshold_otsu

from brainscans import networks
from brainscans.scans import largest_piece
from brainscans.skull_stripping import WEIGHTS, find_brain
from presimal.evaluation import bootstrap_interval, dice
from synthcohort import Cohort
from synthcohort.storage import DataError

CONTRASTS = ("t1", "t1gd", "t2", "flair")
FIRST = 2000  # people whom no notebook and no training has seen


def classical(volume: np.ndarray, spacing: float) -> np.ndarray:
    """The brain as what stays in one piece after an erosion of 8 mm, grown back by 12 mm."""
    voxels = max(1, round(4.0 / spacing))
    middle = np.median(volume[volume > threshold_otsu(volume)])
    tissue = (volume > 0.5 * middle) & (volume < 1.6 * middle)
    loose = ndimage.binary_erosion(tissue, iterations=2 * voxels)
    brain = largest_piece(loose)
    grown = ndimage.binary_dilation(brain, iterations=3 * voxels)
    return ndimage.binary_fill_holes(ndimage.binary_closing(grown, iterations=3 * voxels))


def inverted(volume: np.ndarray) -> np.ndarray:
    """Bright tissue dark and dark tissue bright; air and bone stay dark."""
    bright = np.quantile(volume, 0.995)
    return np.where(volume > 0.13 * bright, (1.2 * bright - volume).clip(0), volume)


def measure(strip, volumes, truths) -> tuple[list[float], float]:
    """Dice of each person and CPU-seconds per head; a refusal scores 0."""
    scores, started = [], time.process_time()
    for volume, truth in zip(volumes, truths, strict=True):
        try:
            found, reference = (torch.from_numpy(mask)[None, None] for mask in (strip(volume), truth))
            scores.append(float(dice(found, reference)))
        except DataError:
            scores.append(0.0)
    return scores, (time.process_time() - started) / len(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--spacing", type=float, default=2.0, help="voxel size in mm")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    numbers = range(FIRST, FIRST + wanted.people)
    batch = Cohort(0, sites=5).render(numbers, "head", wanted.spacing, CONTRASTS)
    model, affine, truths = networks.load(WEIGHTS)[0], batch.affine.numpy(), batch.mask.numpy() > 0
    columns = {name: batch.images[:, k].numpy() for k, name in enumerate(CONTRASTS)}
    columns["inverted"] = [inverted(volume) for volume in columns["t1"]]
    ways = {
        "network": lambda volume: find_brain(torch.from_numpy(volume), affine, model).mask,
        "classical": lambda volume: classical(volume, wanted.spacing),
    }
    print(f"{wanted.people} people, {wanted.spacing:g} mm, five scanners, one thread")
    for column, volumes in columns.items():
        for name, strip in ways.items():
            scores, seconds = measure(strip, volumes, truths)
            interval = bootstrap_interval(np.mean, np.array(scores))
            print(
                f"{column:9s} {name:10s} Dice {interval:.3f}, worst {min(scores):.3f}, {seconds:.2f} CPU-s", flush=True
            )


if __name__ == "__main__":
    main()
