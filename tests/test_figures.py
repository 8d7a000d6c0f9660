"""Figures are drawn where they should be and say what they show."""

import base64
import importlib.util
import io
import re
from pathlib import Path

import ipywidgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import PIL.Image
import pytest

from presimal import figures

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        figures.use_style()
        yield
    plt.close("all")


def contrast(a, b):
    """Contrast ratio of two colors (WCAG 2.2, W3C 2023, relative luminance)."""

    def luminance(color):
        channels = np.array(mpl.colors.to_rgb(color))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_lines_differ_in_style_and_not_in_color_alone():
    styles = [(str(entry["linestyle"]), entry["color"]) for entry in mpl.rcParams["axes.prop_cycle"]]
    assert len({style for style, _ in styles}) == len(styles) == len({color for _, color in styles})


def test_text_is_legible_from_the_back_row():
    assert mpl.rcParams["font.size"] >= 13
    assert contrast(figures.GRAY, "white") >= 4.5


def test_the_five_systems_are_all_there_and_notebook_01_holds_the_picture():
    spec = importlib.util.spec_from_file_location("draw_five_systems", ROOT / "scripts" / "draw_five_systems.py")
    spec.loader.exec_module(script := importlib.util.module_from_spec(spec))
    written = " ".join(text.get_text() for ax in script.draw().axes for text in ax.texts)
    assert written.count("f(x; θ)") == 5
    assert all(f"notebook {number}" in written for number in ("04", "05", "06", "07", "08"))
    (cell,) = [cell for cell in nbformat.read(script.NOTEBOOK, 4).cells if "attachment:" in cell.source]
    assert base64.b64decode(cell.attachments[script.PICTURE.name]["image/png"]) == script.PICTURE.read_bytes()
    alternative = re.fullmatch(r"!\[(.+)\]\(attachment:five_systems.png\)", cell.source)[1]
    assert alternative in (script.PICTURE.parent / "README.md").read_text(encoding="utf-8")


def test_the_shapes_in_the_picture_of_five_systems_are_those_of_the_notebooks():
    spec = importlib.util.spec_from_file_location("draw_five_systems", ROOT / "scripts" / "draw_five_systems.py")
    spec.loader.exec_module(script := importlib.util.module_from_spec(spec))
    written = [text.get_text() for ax in script.draw().axes for text in ax.texts]
    # what each notebook prints about its arrays: here x of one example is an array of several numbers
    for number, printed, shape in [
        ("05", r"one tensor: \(\d+, ([\d, ]+)\)", "a brain MRI\n({})"),
        ("06", r"images \(patients, contrasts, x, y, z\): \(\d+, ([\d, ]+)\)", "MRI in 4 contrasts\n({})"),
        ("07", r"images \(\d+, ([\d, ]+)\)", "a whole-head MRI\n({})"),
        ("08", r"(\d+) columns:", "a clinical record\n({} columns)"),
    ]:
        (file,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        outputs = [out for cell in nbformat.read(file, 4).cells for out in cell.get("outputs", [])]
        found = re.search(printed, "".join(out.get("text", "") for out in outputs))
        assert shape.format(found[1]) in written, f"notebook {number} prints {found[0]}"


def test_showing_gives_a_png_with_its_sentence_as_alternative_text_and_frees_the_figure(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(figures, "display", shown.append)
    figure, _ = plt.subplots()
    figures.show(figure, "a line that rises.")
    assert capsys.readouterr().out == "Figure: a line that rises.\n"
    data, metadata = shown[0]._repr_png_()
    assert metadata["alt"] == "a line that rises."
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert not plt.get_fignums()


def test_images_have_their_first_row_below():
    figure = plt.figure(figsize=(1, 1), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.axis("off")
    ax.imshow([[0.0], [1.0]], aspect="auto")  # height grows with the index, as in volumes
    figure.savefig(drawn := io.BytesIO(), format="png")
    pixels = np.asarray(PIL.Image.open(drawn).convert("L"))
    assert pixels[:40].min() == 255 and pixels[-40:].max() == 0


def test_what_lies_beyond_the_edge_of_a_figure_is_shown_too(monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "display", shown.append)
    figure = plt.figure(figsize=(2, 2), dpi=50)
    figure.text(2.0, 0.5, "far to the right")  # twice the width of the figure
    figures.show(figure, "words.")
    with PIL.Image.open(io.BytesIO(base64.b64decode(shown[0]._repr_png_()[0]))) as picture:
        assert (np.asarray(picture.convert("L"))[:, -30:] < 128).any()


@pytest.fixture
def sliding(monkeypatch):
    """A figure under one slider, as displayed, and the values that its function was called with."""
    shown, called = [], []
    monkeypatch.setattr(figures, "display", shown.append)
    figure, ax = plt.subplots(figsize=(4, 3))
    (line,) = ax.plot([0, 1], [0, 1])

    def update(slope):
        called.append(slope)
        line.set_ydata([0, slope])
        return f'a line with the "slope" {slope}.'

    figures.slide(figure, update, slope=ipywidgets.FloatSlider(1.0, description="slope in % per year"))
    slider, picture, _ = shown[0].children
    return slider, picture, called


def test_pictures_need_no_newer_ipython_than_that_of_colab(monkeypatch):
    class Image:  # with the arguments of IPython 7.34
        def __init__(self, data=None, url=None, filename=None, format=None, embed=None, metadata=None):
            self.metadata = metadata

    shown = []
    monkeypatch.setattr(figures, "Image", Image)
    monkeypatch.setattr(figures, "display", shown.append)
    figures.show(plt.figure(), "nothing.")
    assert shown[0].metadata == {"alt": "nothing."}


def test_a_slider_changes_the_picture_and_its_alternative_text(sliding):
    slider, picture, called = sliding
    before = picture.value
    slider.value = 0.5
    assert called == [1.0, 0.5]
    assert 'alt="a line with the &quot;slope&quot; 0.5."' in picture.value
    decoded = [base64.b64decode(re.search('base64,(.+)"', value)[1]) for value in (before, picture.value)]
    images = [np.asarray(PIL.Image.open(io.BytesIO(png)).convert("L"), float) for png in decoded]
    assert images[0].shape == images[1].shape and np.abs(images[0] - images[1]).max() > 100


def test_a_slider_shows_no_second_copy_and_is_labeled_in_whole_words(sliding):
    slider, _, _ = sliding
    assert not plt.get_fignums()
    assert slider.style.description_width == "initial"


def test_what_stands_still_is_drawn_at_the_same_place_at_every_value(sliding):
    slider, picture, _ = sliding
    first = picture.value.split("base64,")[1]
    slider.value = 0.5
    slider.value = 1.0
    assert picture.value.split("base64,")[1] == first
