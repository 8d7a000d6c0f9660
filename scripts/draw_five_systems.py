"""Draw the five systems of the workshop, x → f(x; θ) → y, into assets/figures and into notebook 01.

    python scripts/draw_five_systems.py

The slices are those of generated people, in the voxels and shapes of the notebooks; table and curve are drawn, not
measured. The notebook holds its own copy of the picture, so that it needs no other file wherever it is opened.
"""

import base64
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from presimal import figures
from presimal.figures import BLUE, ORANGE
from synthcohort import Cohort

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "assets" / "figures" / "five_systems.png"
NOTEBOOK = ROOT / "notebooks" / "01_function_approximation.ipynb"

TUMOR = 5  # who is shown: the number of a generated person with a tumor of middle size
CONTRASTS = ("t1", "t1gd", "t2", "flair")
RECORD = 12  # columns of a clinical record, as notebook 08 encodes it


def draw() -> Figure:
    """All five as one picture, with the shape of one example."""
    cohort = Cohort(seed=0)
    sick = cohort.render([TUMOR], "tumor", contrasts=CONTRASTS)
    healthy, head = cohort.render([TUMOR], "brain"), cohort.render([TUMOR], "head")
    height = int((sick.labels[0] == 3).sum((0, 1)).argmax())  # where most of the tumor enhances
    four, regions = sick.images[0, :, :, :, height].numpy(), sick.labels[0, :, :, height].numpy()
    whole, mask = head.images[0, 0, :, :, 28].numpy(), head.mask[0, :, :, 28].numpy()
    brain = healthy.images[0, 0, :, :, 21].numpy()
    image = np.moveaxis(sick.images[0, 2:3].numpy(), 3, 0)[height].swapaxes(1, 2)

    figure, axes = plt.subplots(5, 4, figsize=(11, 8.5), width_ratios=[1.3, 2.2, 2.2, 1.2])
    rows = (
        ("an image", image.shape, "what is in it\n(1 of 4 contrasts)", "04"),
        ("a brain MRI", healthy.images.shape[1:], "age in years\n(1 number)", "05"),
        ("MRI in 4 contrasts", sick.images.shape[1:], "tumor regions\n" + _masks(3, sick.labels), "06"),
        ("a whole-head MRI", head.images.shape[1:], "the brain alone\n" + _masks(1, head.labels), "07"),
        ("a clinical record", f"({RECORD} columns)", "outcome: survival\n(1 risk)", "08"),
    )
    for (_, ax_x, ax_y, _), (x, shape, y, notebook) in zip(axes, rows, strict=True):
        shape = shape if isinstance(shape, str) else str(tuple(shape))
        ax_x.text(0, 0.5, f"{x}\n{shape}", va="center")
        ax_x.text(1.05, 0.5, "f(x; θ)", ha="center", va="center", size=17, weight="bold", color=BLUE)
        ax_y.text(0.3, 0.5, f"{y}\nnotebook {notebook}", va="center")
        for start, end in ((0.75, 0.88), (1.22, 1.35)):
            arrow = {"arrowstyle": "-|>", "lw": 2.5}
            ax_x.annotate("", (end, 0.5), (start, 0.5), arrowprops=arrow, annotation_clip=False)
    _draw_inputs([row[0] for row in axes], (four[2], brain, four, whole))
    _draw_outputs([row[3] for row in axes], four[3], regions, np.where(mask, whole, 0))
    for ax in axes.flat:
        ax.axis("off")
    figure.suptitle("One idea, five systems:  y ≈ f(x; θ)")
    return figure


def _masks(number: int, labels: np.ndarray) -> str:
    """In words, as many masks as regions on the grid of the labels (N, X, Y, Z)."""
    return f"({number} mask{'s' * (number > 1)}, {' × '.join(map(str, labels.shape[1:]))})"


def _draw_inputs(axes: list[Axes], images: tuple[np.ndarray, ...]) -> None:
    for ax, image in zip(axes[:4], images, strict=True):
        ax.imshow(image.T if image.ndim == 2 else np.concatenate([*image], 0).T)  # four contrasts side by side
    cells = [["64 y", "left", "80 %"], ["51 y", "right", "?"], ["77 y", "left", "60 %"]]
    axes[4].table(cells, loc="center").scale(1.2, 1.5)


def _draw_outputs(axes: list[Axes], flair: np.ndarray, regions: np.ndarray, brain: np.ndarray) -> None:
    for ax, question in zip(axes, ("T2?", "? years"), strict=False):
        ax.text(0.5, 0.5, question, ha="center", va="center", size=17, weight="bold")
    axes[2].imshow(flair.T)
    for lowest, color in ((0.5, ORANGE), (1.5, BLUE)):
        axes[2].contour(regions.T, [lowest], colors=color, linewidths=2.5)
    axes[3].imshow(brain.T)
    months = np.arange(0, 37, 3)
    axes[4].step(months, np.exp(-months / 18), color=BLUE, where="post")
    axes[4].plot([0, 0, 38], [1.05, 0, 0], color="black", linestyle="-", linewidth=1)
    axes[4].text(19, -0.3, "months", ha="center", size=11)


def embed(picture: Path, notebook: Path) -> None:
    """Put the picture into the cell of the notebook that shows an attachment of its name."""
    text = notebook.read_text(encoding="utf-8")
    content = json.loads(text)
    (cell,) = [cell for cell in content["cells"] if f"(attachment:{picture.name})" in "".join(cell["source"])]
    cell["attachments"] = {picture.name: {"image/png": base64.b64encode(picture.read_bytes()).decode()}}
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    figures.use_style()
    figure = draw()
    figure.savefig(PICTURE, dpi=90)
    with Image.open(PICTURE) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    embed(PICTURE, NOTEBOOK)
