"""Pictures that more than one notebook draws, in one style.

Every function that draws returns `(figure, sentence)`: the picture, and what is to be seen in it in one
plain sentence, for readers who do not see it and for the person who presents it.
"""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from IPython.display import Image, display
from matplotlib.figure import Figure

# Colours that people with any colour vision can tell apart (Okabe and Ito, 2008, "Color universal design").
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#6B6B6B"

# Colour never carries meaning alone: each colour comes with a line style of its own.
_LINES = mpl.cycler(
    color=[BLUE, VERMILION, GREEN, PURPLE, ORANGE, "black"],
    linestyle=["-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1))],
)


def use_style() -> None:
    """Make every matplotlib figure of this kernel legible from the back row, the same in all notebooks."""
    mpl.rcParams.update(
        {
            "figure.figsize": (9, 4),
            "figure.dpi": 90,
            "figure.constrained_layout.use": True,
            "font.size": 13,
            "axes.titlesize": 14,
            "axes.prop_cycle": _LINES,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "lines.linewidth": 2.5,
            "legend.frameon": False,
            "image.cmap": "gray",
            "image.origin": "lower",
            "image.interpolation": "nearest",
        }
    )


def show(figure: Figure, sentence: str) -> None:
    """Display a figure as PNG and print the sentence that describes it, which is also its alternative text."""
    drawn, png = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight")  # itself: whatever backend matplotlib was started with
    plt.close(figure)
    with PIL.Image.open(drawn) as picture:  # 256 colours are enough for a figure, and less than half the bytes
        picture.convert("RGB").quantize(256, dither=PIL.Image.Dither.NONE).save(png, "png", optimize=True)
    display(Image(png.getvalue(), format="png", alt=sentence))
    print(f"Figure: {sentence}")


def three_planes(
    volume: np.ndarray,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    at: tuple[int, int, int] | None = None,
    title: str = "",
) -> tuple[Figure, str]:
    """Sagittal, coronal and axial slice through one voxel of a volume.

    Parameters: `volume` of shape (X, Y, Z), axes pointing to the patient's right, front and top (RAS);
    `spacing`, the voxel size in mm; `at`, the voxel (i, j, k) where the planes meet, by default the
    centre. Left is drawn on the left, as seen from behind the patient.

    Raises ValueError if the volume is not three-dimensional or the voxel lies outside it.
    """
    volume = np.asarray(volume)
    if volume.ndim != 3:
        raise ValueError(f"A volume has three axes, this array has shape {volume.shape}.")
    at = tuple(n // 2 for n in volume.shape) if at is None else tuple(at)
    if not all(0 <= index < size for index, size in zip(at, volume.shape, strict=True)):
        raise ValueError(f"Voxel {at} lies outside the volume of shape {volume.shape}.")

    low, high = np.percentile(volume, (0.5, 99.5))
    size_mm = [n * s for n, s in zip(volume.shape, spacing, strict=True)]
    planes = (("sagittal", 0, 1, 2, "PA"), ("coronal", 1, 0, 2, "LR"), ("axial", 2, 0, 1, "LR"))
    figure, axes = plt.subplots(
        1, 3, figsize=(11, 4.2), width_ratios=[size_mm[across] for _, _, across, _, _ in planes]
    )
    for ax, (name, normal, across, up, sides) in zip(axes, planes, strict=True):
        extent = (0, size_mm[across], 0, size_mm[up])
        ax.imshow(volume.take(at[normal], axis=normal).T, extent=extent, vmin=low, vmax=high)
        ax.axvline((at[across] + 0.5) * spacing[across], color=SKY, linewidth=0.8, linestyle="-")
        ax.axhline((at[up] + 0.5) * spacing[up], color=SKY, linewidth=0.8, linestyle="-")
        for side, place in zip(sides, (0.03, 0.97), strict=True):
            ax.text(place, 0.5, side, transform=ax.transAxes, color="white", ha="center", va="center", weight="bold")
        ax.set(title=f"{name}, {'ijk'[normal]} = {at[normal]}", xlabel="mm", aspect="equal")
        ax.grid(False)
    figure.suptitle(title)
    sentence = (
        f"{title + ': ' if title else ''}sagittal, coronal and axial slice through voxel {tuple(map(int, at))} "
        f"of a volume of {' × '.join(f'{s:.0f}' for s in size_mm)} mm; the patient's left is on the left."
    )
    return figure, sentence


# What x, θ and y are in the five systems of the workshop, and the notebook that builds each.
FIVE_SYSTEMS = (
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


def five_systems() -> tuple[Figure, str]:
    """The five systems of the workshop as one picture: x → f(x; θ) → y, with shapes and what θ is.

    The slice is the MNI152 template; skull, tumor, table and curve are drawn, not measured.
    """
    from nilearn.datasets import load_mni152_template  # 2 s to import: only for those who draw this

    brain = load_mni152_template(resolution=2).get_fdata()[:, :, 45].T
    figure, axes = plt.subplots(5, 5, figsize=(11, 8.5), width_ratios=[1, 1.5, 1.7, 1.9, 1])
    for row, (ax_x, ax_x_text, ax_f, ax_y_text, ax_y) in enumerate(axes):
        x, theta, y, notebook = FIVE_SYSTEMS[row]
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
    sentence = (
        "five rows, each an input x, an arrow into f(x; θ), and an arrow to an output y: an image gives what is in it, "
        "a brain MRI gives an age, MRI in four contrasts gives tumor regions, a whole-head MRI gives the brain alone, "
        "and a clinical record gives an outcome."
    )
    return figure, sentence


def _draw_input(ax, row: int, brain: np.ndarray) -> None:
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
        _ellipse(ax, height, width, 1.08, color=GREY, linewidth=5)


def _draw_output(ax, row: int, brain: np.ndarray) -> None:
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


def _ellipse(ax, height: int, width: int, scale: float, **style) -> None:
    angle = np.linspace(0, 2 * np.pi, 100)
    ax.plot(
        width * (0.5 + 0.40 * scale * np.cos(angle)),
        height * (0.5 + 0.43 * scale * np.sin(angle)),
        linestyle="-",
        **style,
    )
