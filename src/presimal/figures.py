"""Pictures that more than one notebook draws, in one style.

Every function that draws returns `(figure, sentence)`: the picture, and what is to be seen in it in one
plain sentence, for readers who do not see it and for the person who presents it.
"""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython.display import display
from matplotlib.figure import Figure

# Colours that people with any colour vision can tell apart (Okabe and Ito, 2008, "Color universal design").
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#6B6B6B"

# Colour never carries meaning alone: each colour comes with a line style of its own.
_LINES = cycler(
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
    """Display a figure and print the sentence that describes it (also stored as its alternative text)."""
    display(figure, metadata={"image/png": {"alt": sentence}})
    plt.close(figure)
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
