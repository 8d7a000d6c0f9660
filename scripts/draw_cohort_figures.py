"""Draw the pictures of the generated cohort into assets/figures, each under 400 kB.

python scripts/draw_cohort_figures.py            # all, about two minutes on one core
python scripts/draw_cohort_figures.py ages heads # some
"""

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from synthcohort import MSD_CONTRASTS, Cohort
from synthcohort.brain import aging

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "figures"
SPACING = 1.5  # mm
REGION_COLORS = ListedColormap(["#56B4E9", "#E69F00", "#CC79A7"])  # edema, core, enhancing
AGES = (20, 35, 50, 65, 80)


def panel(axis: Axes, picture: np.ndarray, top: float) -> None:
    """One slice, first axis to the right, second upwards, in gray."""
    axis.imshow(picture.T, origin="lower", cmap="gray", vmin=0, vmax=top, interpolation="bilinear")
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_visible(False)


def slices(volume: np.ndarray, heights: tuple[float, ...] = (0.32, 0.46, 0.60, 0.74)) -> list[np.ndarray]:
    """Axial slices at fractions of the height, one coronal, one sagittal next to the midline."""
    x, y, z = volume.shape
    axial = [volume[:, :, int(z * h)] for h in heights]
    return [*axial, volume[:, int(y * 0.52)], volume[int(x * 0.47)]]


def sheet(rows: int, columns: int, width: float = 2.0, height: float = 2.1) -> tuple[Figure, np.ndarray]:
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0.01)
    return plt.subplots(rows, columns, figsize=(width * columns, height * rows), layout=layout, squeeze=False)


def save(figure: Figure, name: str, colors: int = 64) -> None:
    """Write the picture with a palette of few colors: a third of the size, and nobody sees it."""
    path = FOLDER / f"{name}.png"
    figure.savefig(path, dpi=80)
    plt.close(figure)
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(colors, kmeans=2, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
    size = path.stat().st_size / 1000
    print(f"{path.name}: {size:.0f} kB")
    assert size < 400, "make it smaller"


def draw_ages() -> None:
    """One person per age: slices of T1; of those about as old, the one with typical ventricles."""
    cohort = Cohort(0)
    people, truth = cohort.people(range(400)), cohort.truth(range(400))
    figure, axes = sheet(len(AGES), 6)
    for row, age in zip(axes, AGES, strict=True):
        unusual = (truth.ventricle - aging.ventricle_push(age)).abs()
        number = int(unusual[(people.age - age).abs() < 1.5].idxmin())
        batch = cohort.render([number], spacing=SPACING)
        volume = batch.images[0, 0].numpy()
        for axis, picture in zip(row, slices(volume), strict=True):
            panel(axis, picture, 1.15)
        row[0].set_ylabel(f"{people.age[number]:.0f} y", fontsize=15)
    save(figure, "cohort_ages")


def draw_tumors() -> None:
    """Six people: four contrasts and the labels, at the slice with most tumor."""
    cohort = Cohort(0)
    figure, axes = sheet(6, 5)
    for axis, title in zip(axes[0], ("FLAIR", "T1", "T1Gd", "T2", "labels"), strict=True):
        axis.set_title(title, fontsize=13)
    for row, number in zip(axes, (1, 3, 4, 5, 9, 13), strict=True):
        batch = cohort.render([number], "tumor", SPACING, MSD_CONTRASTS)
        labels = batch.labels[0].numpy()
        z = int(((labels > 0) + 2.0 * (labels == 3)).sum((0, 1)).argmax())
        tops = (1.25, 1.15, 1.45, 1.4)
        for k, top in enumerate(tops):
            panel(row[k], batch.images[0, k, :, :, z].numpy(), top)
        panel(row[4], batch.images[0, 0, :, :, z].numpy(), tops[0])
        shown = np.ma.masked_equal(labels[:, :, z], 0)
        row[4].imshow(shown.T, origin="lower", cmap=REGION_COLORS, vmin=1, vmax=3, alpha=0.85,
                      interpolation="nearest")  # fmt: skip
    save(figure, "cohort_tumors", 160)


def draw_heads() -> None:
    """Five whole heads on different contrasts; the outline is the brain mask."""
    cohort = Cohort(0, sites=5)
    figure, axes = sheet(5, 6)
    contrasts = ("t1", "t2", "flair", "t1gd", "t1")
    for row, number, contrast in zip(axes, (0, 1, 2, 7, 10), contrasts, strict=True):
        batch = cohort.render([number], "head", SPACING, (contrast,))
        volume, mask = batch.images[0, 0].numpy(), batch.mask[0].numpy()
        top = np.quantile(volume, 0.992)
        heights = (0.24, 0.36, 0.50, 0.64)
        for axis, picture, outline in zip(row, slices(volume, heights), slices(mask, heights), strict=True):
            panel(axis, picture, top)
            if outline.any():
                axis.contour(outline.T, [0.5], colors="#E69F00", linewidths=0.8)
        row[0].set_ylabel({"t1gd": "T1Gd"}.get(contrast, contrast.upper()), fontsize=15)
    save(figure, "cohort_heads", 48)


def draw_sites() -> None:
    """Three people of about 45 years at each of three sites."""
    cohort = Cohort(0)
    people = cohort.people(range(300))
    names = sorted(people.site.unique())
    figure, axes = sheet(3, 6)
    for row, name in zip(axes, names, strict=True):
        here = people[people.site == name]
        chosen = (here.age - 45).abs().sort_values().index[:3]
        for k, number in enumerate(chosen):
            volume = cohort.render([int(number)], spacing=SPACING).images[0, 0].numpy()
            panel(row[2 * k], volume[:, :, 46], 1.2)
            panel(row[2 * k + 1], volume[34], 1.2)
        row[0].set_ylabel(name, fontsize=15)
    save(figure, "cohort_sites")


def draw_folding() -> None:
    """The same six young people without and with sulci of their own and warps."""
    figure, axes = sheet(2, 6)
    individual = Cohort(3, age_range=(25.0, 40.0))
    average = replace(individual, warp=0.0, folding=0.0, size=0.0, rotation=0.0, shift=0.0)
    for row, cohort, title in zip(axes, (average, individual), ("average", "individual"), strict=True):
        for axis, number in zip(row, range(6), strict=True):
            volume = cohort.render([number], spacing=SPACING).images[0, 0].numpy()
            panel(axis, volume[:, :, 60], 1.15)
        row[0].set_ylabel(title, fontsize=14)
    save(figure, "cohort_folding")


DRAW = {"ages": draw_ages, "tumors": draw_tumors, "heads": draw_heads, "sites": draw_sites,
        "folding": draw_folding}  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *DRAW], help="which; default all")
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in parser.parse_args().names or DRAW:
        DRAW[name]()
