"""The main training of notebook 05, a Learner of fastai: it may be stopped anywhere, goes on to the same end when it is
called again, and an interrupt leaves the history, the best parameters and one line."""

import math
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from torch import nn

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "05_brain_age_regression.ipynb"
EPOCHS, RATE = 6, 1e-2


class Line:
    """What `display` returns in a notebook: a line that is overwritten."""

    def __init__(self):
        self.texts = []

    def update(self, shown):
        self.texts.append(shown.data)


@pytest.fixture
def names(monkeypatch):
    """The names of the notebook's own cells, and the lines that they have shown."""
    import fastai.callback.schedule  # noqa: F401
    from fastai.callback.core import Callback
    from IPython.display import Pretty

    from brainscans import compute

    lines = []
    found = {"Callback": Callback, "Pretty": Pretty, "time": time, "torch": torch, "np": np, "compute": compute}
    found["lines"] = lines
    found["display"] = lambda *_, **__: lines.append(Line()) or lines[-1]
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    for start in ("class Live", "class Checkpoint", "def train_to_the_end"):
        (source,) = [source for source in cells if start in source]
        exec(source, found)
    return found


class Batches:
    """Ten batches in a new order every time; `stop_at` interrupts before that batch, counted over all epochs."""

    def __init__(self, stop_at=math.inf):
        self.stop_at, self.given = stop_at, 0

    def __len__(self):
        return 10

    def __iter__(self):
        for n in torch.randperm(10):
            if self.given == self.stop_at:
                raise KeyboardInterrupt
            self.given += 1
            x = torch.linspace(-1, 1, 8)[:, None] + n / 10
            yield x, 3 * x[:, 0] + 0.1 * torch.randn(8)


def mae(predicted, y):
    return (predicted - y).abs().mean()


def learner(folder, stop_at=math.inf):
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))
    x = torch.linspace(-1, 2, 30)[:, None]
    dls = DataLoaders(Batches(stop_at), [(x, 3 * x[:, 0])], path=folder, device=torch.device("cpu"))
    return Learner(dls, network, loss_func=nn.functional.mse_loss, metrics=mae)


def parameters(learn):
    return torch.cat([values.flatten() for values in learn.model.state_dict().values()])


@pytest.mark.parametrize("stops", [[25], [10, 12, 45], [59]])
def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(names, tmp_path, stops):
    whole = learner(tmp_path)
    history, _ = names["train_to_the_end"](whole, EPOCHS, RATE, tmp_path / "whole.pt")
    for stop_at in (*stops, math.inf):
        again = learner(tmp_path, stop_at)
        if stop_at != stops[0]:
            torch.manual_seed(99)  # later calls find other random numbers
        found, seconds = names["train_to_the_end"](again, EPOCHS, RATE, tmp_path / "stopped.pt")
    assert torch.equal(parameters(again), parameters(whole)) and seconds > 0
    assert found.shape == (EPOCHS, 3) and np.array_equal(found[:, 1:], history[:, 1:])


def test_an_interrupt_leaves_history_best_parameters_and_one_line(names, tmp_path):
    stopped = learner(tmp_path, stop_at=38)
    history, _ = names["train_to_the_end"](stopped, EPOCHS, RATE, tmp_path / "stopped.pt")
    best = int(history[:, 1].argmin())
    assert len(history) == 3
    with torch.no_grad():
        stopped.model.eval()
        x = torch.linspace(-1, 2, 30)[:, None]
        assert float(mae(stopped.model(x), 3 * x[:, 0])) == pytest.approx(history[best, 2], rel=1e-5)
    (line,) = names["lines"]
    assert line.texts[-1].endswith(f"interrupted after epoch 3/6, best epoch {best + 1}, run the cell again to go on")


def test_a_training_that_is_done_is_not_done_again(names, tmp_path):
    whole, again = learner(tmp_path), learner(tmp_path, stop_at=0)  # the first batch would interrupt
    history, seconds = names["train_to_the_end"](whole, EPOCHS, RATE, tmp_path / "age.pt")
    found, as_before = names["train_to_the_end"](again, EPOCHS, RATE, tmp_path / "age.pt")
    assert np.array_equal(found, history) and as_before == seconds
    assert torch.equal(parameters(again), parameters(whole))
    assert names["lines"][-1].texts[-1].endswith("epoch 6/6, done")


def test_an_interrupt_before_the_first_epoch_is_one(names, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        names["train_to_the_end"](learner(tmp_path, stop_at=4), EPOCHS, RATE, tmp_path / "age.pt")
    assert not (tmp_path / "age.pt").exists()
