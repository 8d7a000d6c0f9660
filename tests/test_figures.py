"""Figures are drawn where they should be and say what they show."""

import base64

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from presimal import figures


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        figures.use_style()
        yield
    plt.close("all")


def contrast(a, b):
    """Contrast ratio of two colours (WCAG 2.2, W3C 2023, relative luminance)."""

    def luminance(color):
        channels = np.array(mpl.colors.to_rgb(color))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_lines_differ_in_style_and_not_in_colour_alone():
    styles = [(str(entry["linestyle"]), entry["color"]) for entry in mpl.rcParams["axes.prop_cycle"]]
    assert len({style for style, _ in styles}) == len(styles) == len({color for _, color in styles})


def test_text_is_legible_from_the_back_row():
    assert mpl.rcParams["font.size"] >= 13
    assert contrast(figures.GREY, "white") >= 4.5


def test_each_plane_shows_the_slice_through_the_voxel_and_in_the_right_direction():
    volume = np.zeros((4, 6, 8))
    volume[3, 5, 7] = 1.0  # the right, front, top corner
    figure, sentence = figures.three_planes(volume, spacing=(1, 2, 3), at=(3, 5, 7))
    for ax, (across, up) in zip(figure.axes, ((6, 8), (4, 8), (4, 6)), strict=True):
        image = ax.images[0].get_array()
        assert image.shape == (up, across)
        assert image[-1, -1] == 1 and image.sum() == 1  # the last column and row are right (or front) and top
    assert [tuple(ax.images[0].get_extent()) for ax in figure.axes] == [(0, 12, 0, 24), (0, 4, 0, 24), (0, 4, 0, 12)]
    assert "voxel (3, 5, 7)" in sentence and "4 × 12 × 24 mm" in sentence


def test_the_centre_is_the_default():
    _, sentence = figures.three_planes(np.random.rand(5, 6, 7))
    assert "voxel (2, 3, 3)" in sentence


@pytest.mark.parametrize(
    ("shape", "at", "complaint"),
    [((4, 4), None, "three axes"), ((4, 4, 4, 1), None, "three axes"), ((4, 4, 4), (0, 4, 0), "outside"), ((4, 4, 4), (-1, 0, 0), "outside")],
)
def test_a_wrong_volume_or_voxel_is_refused(shape, at, complaint):
    with pytest.raises(ValueError, match=complaint):
        figures.three_planes(np.zeros(shape), at=at)


def test_the_five_systems_are_all_there():
    figure, sentence = figures.five_systems()
    written = " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert written.count("f(x; θ)") == 5
    assert all(f"notebook {number}" in written for number in ("04", "05", "06", "07", "08"))
    assert sentence.endswith(".")


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
