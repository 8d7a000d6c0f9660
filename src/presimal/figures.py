"""The style of all figures, and how each is shown: with one plain sentence on what is to be seen in it."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
import PIL.Image
from IPython.display import Image, display
from matplotlib.figure import Figure

# Colors that people with any color vision can tell apart (Okabe and Ito, 2008, "Color universal design").
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, GRAY = "#56B4E9", "#CC79A7", "#F0E442", "#6B6B6B"


def use_style() -> None:
    """Make every matplotlib figure of this kernel legible from the back row, the same in all notebooks."""
    plt.style.use(Path(__file__).with_name("presimal.mplstyle"))


def show(figure: Figure, sentence: str) -> None:
    """Display a figure as PNG and print the sentence that describes it, which is also its alternative text."""
    drawn, png = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight")  # itself: whatever backend matplotlib was started with
    plt.close(figure)
    with PIL.Image.open(drawn) as picture:  # 256 colors are enough for a figure, and less than half the bytes
        picture.convert("RGB").quantize(256, dither=PIL.Image.Dither.NONE).save(png, "png", optimize=True)
    display(Image(png.getvalue(), format="png", alt=sentence))
    print(f"Figure: {sentence}")
