"""The style of all figures, and how each is shown: with one plain sentence on what is to be seen in it."""

import base64
import html
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from IPython.display import Image, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Colors that people with any color vision can tell apart (Okabe and Ito, 2008, "Color universal design").
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, GRAY = "#56B4E9", "#CC79A7", "#F0E442", "#6B6B6B"


def use_style() -> None:
    """Make every matplotlib figure of this kernel legible from the back row, the same in all notebooks."""
    plt.style.use(Path(__file__).with_name("presimal.mplstyle"))


def show(figure: Figure, sentence: str) -> None:
    """Display a figure as PNG and print the sentence that describes it, which is also its alternative text. Where that
    reaches the reader (JupyterLab, exported pages and the book, see assets/jupyter), the printed line is left out."""
    drawn, png = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight")  # itself: whatever backend matplotlib was started with
    plt.close(figure)
    with PIL.Image.open(drawn) as picture:  # 256 colors are enough for a figure, and less than half the bytes
        picture.convert("RGB").quantize(256, dither=PIL.Image.Dither.NONE).save(png, "png", optimize=True)
    display(Image(png.getvalue(), format="png", metadata={"alt": sentence}))
    print(f"Figure: {sentence}")


def slide(figure: Figure, update: Callable[..., str], **controls: ipywidgets.Widget) -> None:
    """Show one figure that moves with its controls, ten pictures a second and more.

    `update`, called with the value of each control by its name, changes the artists of the figure and returns the
    sentence that describes what is then to be seen, the alternative text. Nothing is laid out or made anew."""
    plt.close(figure)  # else it is shown once more below the cell
    canvas, picture = FigureCanvasAgg(figure), ipywidgets.HTML()

    def draw(**values: Any) -> None:
        sentence = update(**values)
        canvas.draw()
        if figure.get_layout_engine():  # after the first picture, which it has arranged, it would only cost time
            figure.set_layout_engine("none")
        pixels, png = np.asarray(canvas.buffer_rgba())[..., :3], io.BytesIO()
        PIL.Image.fromarray(pixels).save(png, "png", compress_level=1)  # a fifth of the time of the default
        source = base64.b64encode(png.getvalue()).decode()
        picture.value = f'<img alt="{html.escape(sentence)}" src="data:image/png;base64,{source}">'

    for control in controls.values():
        control.style.description_width, control.layout.width = "initial", "min(100%, 36rem)"
    display(ipywidgets.VBox([*controls.values(), picture, ipywidgets.interactive_output(draw, controls)]))
