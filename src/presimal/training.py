"""The seven steps of training, once: what notebook 02 builds by hand, with progress, early stopping and resume."""

import copy
import hashlib
import io
import math
import time
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from IPython.display import DisplayHandle, Pretty, display
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from brainscans import compute
from brainscans.interval import one, raise_if, whole
from brainscans.writing import why_not, write_files

Batches = Iterable[tuple[Tensor, Tensor]]
Device = torch.device | str
Schedule = LRScheduler | None
Score = Callable[[Tensor, Tensor], Tensor]


@dataclass
class History:
    """What was measured after every epoch, in order; `stopped` says why training ended."""

    train_loss: list[float] = field(default_factory=list)
    valid_loss: list[float] = field(default_factory=list)
    metric: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    stopped: str = ""

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 0, with the lowest finite validation loss; -1 if there is none."""
        return min(((value, k) for k, value in enumerate(self.valid_loss) if math.isfinite(value)), default=(0, -1))[1]


@torch.enable_grad()
def fit(
    model: nn.Module, train: Batches, valid: Batches, *, loss: Score, optimizer: Optimizer, epochs: int,
    metric: Score | None = None, patience: int | None = None, device: Device = "cpu",
    schedule: Schedule = None, checkpoint: str | Path | None = None, progress: bool = True,
) -> History:  # fmt: skip
    """Train `model` in place, keep the parameters with the lowest finite validation loss, return the history.
    `train` and `valid` give batches `(x, y)`, examples along the first axis; `loss` and `metric`, of `(model(x), y)`,
    give means over the batch. With `patience`, training stops after that many epochs without a lower validation loss.
    A `schedule` of that optimizer changes its learning rate after every batch, ReduceLROnPlateau after every epoch.
    With `checkpoint`, the state is saved to that file after each epoch, and a later call with the same arguments goes
    on from there to the same result, if shuffling draws from torch's global generator. An interrupt ends training as if
    the epochs before had been all. Raises ValueError if there is no batch or epoch, the training loss is not finite or
    the validation loss never, an argument is not what it is called, or the checkpoint damaged, of no use or impossible;
    DataError for a device that is not there. The model then has the best parameters so far."""
    epochs = whole(epochs, "Epochs")
    patience = None if patience is None else whole(patience, "Patience")
    scores = {"loss": loss} | ({} if metric is None else {"metric": metric})
    _check(model, optimizer, schedule, scores)
    model.to(device := compute.device(device))  # Step 1, to initialize the parameters, was done when it was made.
    best, history = copy.deepcopy(model.state_dict()), History()
    if checkpoint is not None and (said := why_not(checkpoint)):  # before the first epoch, and not after it
        raise ValueError(f"The checkpoint {checkpoint} cannot be written ({said}): name another file.")
    if checkpoint is not None and Path(checkpoint).exists():
        best, history = _resume(checkpoint, model, optimizer, schedule)
    line = display("training …", display_id=True) if progress else None
    # Step 7: over and over, one epoch being one pass through all the training data, until a criterion holds.
    while not (reason := _reason_to_stop(history, epochs, patience)):
        started = time.perf_counter()
        try:
            seen = _seen(train, device, partial(_report, line, history, epochs))
            error = _one_epoch(model, seen, loss, optimizer, schedule)
            validation = evaluate(model, valid, scores, device)
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(validation["loss"])
        except BaseException as problem:
            model.load_state_dict(best)  # whatever happened in this epoch, those before are not lost
            if not isinstance(problem, KeyboardInterrupt) or history.best_epoch < 0:
                raise  # in the latter case there is nothing yet to return
            reason = "interrupted"
            break
        history.train_loss.append(error)
        history.valid_loss.append(validation["loss"])
        history.metric.append(validation.get("metric", math.nan))
        history.seconds.append(time.perf_counter() - started)
        if history.best_epoch == len(history.valid_loss) - 1:
            best = copy.deepcopy(model.state_dict())
        if checkpoint is not None:
            states: dict[str, Any] = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": best}
            states |= {"schedule": schedule.state_dict() if schedule else {}, "history": vars(history)}
            states |= {"random": torch.get_rng_state(), "of": _kind(model, optimizer, schedule)}
            torch.save(states, content := io.BytesIO())
            checked = content.getvalue() + hashlib.sha256(content.getvalue()).digest()
            write_files([(Path(checkpoint), checked)])  # the old state stays whole until the new one is
        _report(line, history, epochs)
    model.load_state_dict(best)
    raise_if(history.best_epoch < 0, "The validation loss was never finite: look for NaN in data, or lower the rate.")
    history.stopped = reason
    _report(line, history, epochs)
    return history


def _resume(path: str | Path, model: nn.Module, optimizer: Optimizer, schedule: Schedule) -> tuple[dict, History]:
    """The best parameters and the history of an interrupted training, and all else as it was then."""
    wrong = f"The checkpoint {path} is damaged or belongs to another model or optimizer: delete it to start again."
    try:
        content = Path(path).read_bytes()
    except OSError as problem:
        raise ValueError(f"The checkpoint {path} cannot be read ({problem.strerror}): name another file.") from None
    raise_if(hashlib.sha256(content[:-32]).digest() != content[-32:], wrong)
    state = torch.load(io.BytesIO(content[:-32]), weights_only=True, map_location="cpu")
    raise_if(not isinstance(state, dict) or state.get("of") != _kind(model, optimizer, schedule), wrong)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if schedule:
        schedule.load_state_dict(state["schedule"])
    torch.set_rng_state(state["random"])
    return dict(state["best"]), History(**state["history"])


def _kind(model: nn.Module, optimizer: Optimizer, schedule: Schedule) -> str:
    """What a checkpoint must fit: both classes, names, types and shapes of parameters, how they are grouped, and the
    settings that the optimizer was made with, so that another learning rate does not go on with the old one."""
    shapes = {name: (values.dtype, *values.shape) for name, values in model.state_dict().items()}
    groups = [[*sorted(map(str, group)), len(group["params"])] for group in optimizer.param_groups]
    return f"{type(model).__name__} {shapes} {type(optimizer).__name__} {groups} {optimizer.defaults} {type(schedule)}"


def _reason_to_stop(history: History, epochs: int, patience: int | None) -> str:
    done = len(history.valid_loss)
    if done >= epochs:
        return f"all {epochs} epochs done"
    waited = patience is not None and done > 0 and done - 1 - history.best_epoch >= patience
    return f"no lower validation loss for {patience} epochs" if waited else ""


def _check(model: Any, optimizer: Any, schedule: Any, scores: dict[str, Any]) -> None:
    """Raises ValueError for what could not be trained, or would be without learning anything."""
    known = isinstance(optimizer, Optimizer) and isinstance(model, nn.Module)
    make = "make it of this one, in the same cell."
    raise_if(not known, f"No optimizer and model of torch: {type(optimizer).__name__}, {type(model).__name__}.")
    odd = schedule is not None and getattr(schedule, "optimizer", None) is not optimizer
    raise_if(odd, f"The schedule is none, or belongs to another optimizer: {make}")
    own, moved = set(map(id, model.parameters())), [p for group in optimizer.param_groups for p in group["params"]]
    raise_if(own.isdisjoint(map(id, moved)), f"The optimizer belongs to another model: {make}")
    frozen = not any(id(values) in own and values.requires_grad for values in moved)
    raise_if(frozen, "The optimizer moves nothing that is learned: give it parameters that require a gradient.")
    raise_if(isinstance(optimizer, torch.optim.LBFGS), "LBFGS wants the loss several times a step: take Adam or SGD.")
    for name, score in scores.items():
        wrong = isinstance(score, type) or not callable(score)
        raise_if(wrong, f"The {name} must be a function of (model(x), y), such as nn.MSELoss(), and not {score!r}.")


def _one_epoch(model: nn.Module, train: Batches, loss: Score, optimizer: Optimizer, schedule: Schedule) -> float:
    model.train()
    total: Tensor | float = 0.0
    examples = 0
    for x, y in train:
        y_hat = model(x)  # Step 2: a batch of inputs, and predictions with the current parameters.
        error = loss(y_hat, y)  # Step 3: how good are they?
        cut = not isinstance(error, Tensor) or not error.requires_grad
        raise_if(cut, "The loss does not depend on the parameters: leave out .detach(), .item(), NumPy and no_grad.")
        raise_if(error.numel() != 1, f"The loss of a batch: give one number, as its mean, and not {error.numel()}.")
        optimizer.zero_grad()
        error.backward()  # Step 4: how would each parameter change the loss?
        raise_if(all(p.grad is None for p in model.parameters()), "The loss needs model(x): nothing would be learned.")
        optimizer.step()  # Step 5: move each a little against its gradient.
        if schedule and not isinstance(schedule, ReduceLROnPlateau):
            schedule.step()
        total += error.detach().float() * len(x)  # Step 6: and on to the next batch.
        examples += len(x)
    raise_if(not examples, "There is nothing to train on: `train` gave no batch, as a generator when it is used up.")
    raise_if(not math.isfinite(total), "The training loss is not finite: lower the learning rate, or look for NaN.")
    return float(total) / examples


@torch.no_grad()
def evaluate(model: nn.Module, batches: Batches, scores: dict[str, Score], device: Device = "cpu") -> dict[str, float]:
    """The mean of each score over all examples, with the model in evaluation mode. ValueError if there is no batch."""
    model.eval()
    totals, examples = dict.fromkeys(scores, 0.0), 0
    for x, y in _seen(batches, device):
        y_hat = model(x)
        for name, score in scores.items():
            totals[name] += one(score(y_hat, y), f"The {name} of a batch") * len(x)  # half precision cannot add up
        examples += len(x)
    raise_if(not examples, "There is nothing to evaluate on: no batch was given, as by a generator when it is used up.")
    return {name: total / examples for name, total in totals.items()}


def _seen(batches: Batches, device: Device, report: Callable[[float, float], None] | None = None) -> Batches:
    """The batches that hold an example, on the device; ValueError for no pair. `report` gets share done, seconds."""
    started = last = time.perf_counter()
    total = len(batches) if report and isinstance(batches, Sized) else 0
    for done, batch in enumerate(batches, 1):
        parts = batch if isinstance(batch, (tuple, list)) else [batch]
        held = [tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in parts]
        pair = len(held) == 2 and all(isinstance(shape, tuple) and shape for shape in held) and held[0][0] == held[1][0]
        raise_if(not pair, f"Every batch is a pair of tensors, x and y, of as many examples, and not {held}.")
        x, y = (part.to(device) for part in batch)
        if len(x):
            yield x, y
        if report and total and time.perf_counter() - last > 0.5:
            last = time.perf_counter()
            report(done / total, last - started)


def _report(line: DisplayHandle | None, history: History, epochs: int, share: float = 0, seconds: float = 0) -> None:
    """One line that changes, with the share and the seconds of the present epoch; its last state stays."""
    if line is None:
        return
    done, spent = len(history.seconds) + share, sum(history.seconds) + seconds
    bar = "█" * round(20 * done / epochs)
    state = f"about {spent / done * (epochs - done):.0f} s left"
    if history.stopped:
        state = f"stopped: {history.stopped}; best epoch {history.best_epoch + 1}"
    losses = ""
    if history.train_loss:
        losses = f", loss: training {history.train_loss[-1]:.4g}, validation {history.valid_loss[-1]:.4g}"
    line.update(Pretty(f"{bar:░<20} epoch {len(history.seconds)}/{epochs}{losses}; {state}"))
