"""The training that notebook 07 builds on `training.fit`: stopped half way, its cell goes on when it is run again."""

from contextlib import nullcontext
from pathlib import Path

import nbformat
import pytest
import torch

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "07_skull_stripping.ipynb"
NEEDED = ("def loss(", "class Fast(", "class Drawn:", "FOLDER = ")


@pytest.fixture
def own(monkeypatch, data_home):
    """What the cells of the notebook define that a training needs, for four epochs of two steps."""
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    names = {"SEED": 0, "DEVICE": torch.device("cpu"), "STEPS": 8, "EPOCHS": 4, "BATCH": 2, "LR": 1e-2}
    exec(next(cell for cell in cells if "import matplotlib.pyplot" in cell), names)
    # With volumes as small as these, torch's bfloat16 on a CPU gives other numbers, or NaN, from run to run.
    monkeypatch.setattr(names["compute"], "autocast", lambda device: nullcontext())
    for start in NEEDED:
        exec(next(cell for cell in cells if cell.startswith(start)), names)
    return names


def batches(interrupt_at=None):
    drawn = []

    def draw_batch():
        drawn.append(1)
        if len(drawn) == interrupt_at:
            raise KeyboardInterrupt
        x = torch.randn(2, 1, 16, 16, 16)
        return x, (x > 0).float()

    return draw_batch, drawn


def test_a_training_that_was_stopped_goes_on_to_the_same_network(own):
    torch.manual_seed(1)
    watched = [batches()[0]()]
    whole = own["train"]("whole", batches()[0], watched).state_dict()
    own["train"]("stopped", batches(interrupt_at=6)[0], watched)  # in the third epoch
    draw_batch, drawn = batches()
    again = own["train"]("stopped", draw_batch, watched)
    assert len(drawn) == 4  # the third and the fourth epoch, of two steps each
    assert all(torch.equal(values, whole[name]) for name, values in again.state_dict().items())
    assert not again.training


def test_a_training_that_is_done_is_not_done_again(own):
    torch.manual_seed(1)
    watched = [batches()[0]()]
    first = own["train"]("done", batches()[0], watched).state_dict()
    draw_batch, drawn = batches()
    again = own["train"]("done", draw_batch, watched).state_dict()
    assert not drawn
    assert all(torch.equal(values, first[name]) for name, values in again.items())
