"""Draw the five systems of the workshop, x → f(x; θ) → y, into assets/figures and into notebook 01.

    python scripts/draw_five_systems.py

The slice is the MNI152 template; skull, tumor, table and curve are drawn, not measured. The notebook holds its own
copy of the picture, so that it needs no other file wherever it is opened.
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
from nilearn.datasets import load_mni152_template
from PIL import Image

from presimal import figures
from presimal.figures import BLUE, GRAY, ORANGE, YELLOW

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "assets" / "figures" / "five_systems.png"
NOTEBOOK = ROOT / "notebooks" / "01_function_approximation.ipynb"

# What x, θ and y are in the five systems of the workshop, and the notebook that builds each.
SYSTEMS = (
    (
        "an image\n(1, 64, 64)",
        "kernels of a small\n2-D convolutional network",
        "what is in it\n(2 class probabilities)",
        "04",
    ),
    ("a brain MRI\n(1, 40, 48, 40)", "kernels of a\n3-D convolutional network", "age in years\n(1 number)", "05"),
    ("MRI in 4 contrasts\n(4, 40, 48, 40)", "kernels of a U-Net", "tumor regions\n(3 masks, 40 × 48 × 40)", "06"),
    ("a whole-head MRI\n(1, 48, 56, 48)", "kernels of a U-Net", "the brain alone\n(1 mask, 48 × 56 × 48)", "07"),
    (
        "a clinical record\n(17 columns)",
        "weights of a Cox model\nor a small network",
        "outcome: survival\n(1 risk)",
        "08",
    ),
)


def draw() -> Figure:
    """All five as one picture, with shapes and what θ is."""
    brain = load_mni152_template(resolution=2).get_fdata()[:, :, 45].T
    figure, axes = plt.subplots(5, 5, figsize=(11, 8.5), width_ratios=[1, 1.5, 1.7, 1.9, 1])
    for row, (ax_x, ax_x_text, ax_f, ax_y_text, ax_y) in enumerate(axes):
        x, theta, y, notebook = SYSTEMS[row]
        _draw_input(ax_x, row, brain)
        ax_x_text.text(0, 0.5, x, va="center")
        ax_f.text(0.5, 0.72, "f(x; θ)", ha="center", va="center", size=17, weight="bold", color=BLUE)
        ax_f.text(0.5, 0.30, f"θ: {theta}", ha="center", va="center", size=11)
        for start, end in ((-0.12, 0.16), (0.84, 1.12)):
            ax_f.annotate(
                "", (end, 0.72), (start, 0.72), arrowprops={"arrowstyle": "-|>", "lw": 2.5}, annotation_clip=False
            )
        ax_y_text.text(0.14, 0.5, f"{y}\nnotebook {notebook}", va="center")
        _draw_output(ax_y, row, brain)
        for ax in axes[row]:
            ax.axis("off")
    figure.suptitle("One idea, five systems:  y ≈ f(x; θ)")
    return figure


def _draw_input(ax: Axes, row: int, brain: np.ndarray) -> None:
    height, width = brain.shape
    if row == 4:
        cells = [["64 y", "left", "80 %"], ["51 y", "right", "?"], ["77 y", "left", "60 %"]]
        ax.table(cells, loc="center").scale(1.2, 1.5)
        return
    if row == 2:
        inverted = np.where(brain > 0.1 * brain.max(), brain.max() * 1.1 - brain, 0)
        for shift, contrast in zip((0, 22, 44, 66), (inverted, brain, inverted, brain), strict=True):
            ax.imshow(contrast, extent=(shift, shift + width, -shift * 0.6, height - shift * 0.6))
            ax.plot([shift, shift, shift + width], np.array([0, height, height]) - shift * 0.6, "w-", linewidth=1)
        ax.set(xlim=(0, width + 66), ylim=(-40, height))
        return
    ax.imshow(brain)
    if row == 3:
        angle = np.linspace(0, 2 * np.pi, 100)
        skull = width * (0.5 + 0.43 * np.cos(angle)), height * (0.5 + 0.46 * np.sin(angle))
        ax.plot(*skull, linestyle="-", color=GRAY, linewidth=5)


def _draw_output(ax: Axes, row: int, brain: np.ndarray) -> None:
    height, width = brain.shape
    if row in (0, 1):
        ax.text(0.5, 0.5, ("T1 or T2?", "? years")[row], ha="center", va="center", size=17, weight="bold")
    elif row == 4:
        months = np.arange(0, 37, 3)
        ax.step(months, np.exp(-months / 18), color=BLUE, where="post")
        ax.plot([0, 0, 38], [1.05, 0, 0], color="black", linestyle="-", linewidth=1)
        ax.text(19, -0.3, "months", ha="center", size=11)
    elif row == 3:
        ax.imshow(brain)
    else:
        ax.imshow(brain)
        for size, color in ((17, ORANGE), (11, BLUE), (6, YELLOW)):
            ax.add_patch(plt.Circle((width * 0.66, height * 0.62), size, fill=False, color=color, linewidth=2.5))


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
