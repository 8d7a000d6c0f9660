"""`training.fit` against hand-written loops in torch, and its promises about stopping and resuming."""

import contextlib
import copy
import hashlib
import io
import math
import pickle
import random
import re
import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from presimal import training
from synthcohort.storage import DataError


@pytest.fixture
def problem():
    torch.manual_seed(0)
    x = torch.randn(96, 3)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.1 * torch.randn(96, 1)
    data = TensorDataset(x, y)
    train, valid = torch.utils.data.random_split(data, [64, 32])
    return nn.Linear(3, 1), DataLoader(train, 16, shuffle=True), DataLoader(valid, 16)


def run(problem, epochs=4, lr=0.05, **more):
    model, train, valid = problem
    optimizer = torch.optim.Adam(model.parameters(), lr)
    history = training.fit(
        model, train, valid, loss=nn.functional.mse_loss, optimizer=optimizer, epochs=epochs, progress=False, **more
    )
    return model, history


def test_fit_takes_the_same_path_as_a_loop_written_by_hand(problem):
    by_hand, train, _ = copy.deepcopy(problem)
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(by_hand.parameters(), 0.05)
    for _ in range(4):
        for x, y in train:
            optimizer.zero_grad()
            nn.functional.mse_loss(by_hand(x), y).backward()
            optimizer.step()
    model, train, valid = problem
    valid = list(valid)  # a list draws no random numbers
    torch.manual_seed(1)
    # The last epoch is the best one here, so the parameters that are kept are those of the last step.
    model, history = run((model, train, valid), epochs=4)
    assert history.best_epoch == 3
    torch.testing.assert_close(model.state_dict(), by_hand.state_dict())


def test_losses_are_means_over_examples_also_when_the_last_batch_is_smaller():
    model = nn.Linear(1, 1)
    x, y = torch.arange(5.0)[:, None], torch.zeros(5, 1)
    expected = pytest.approx(nn.functional.mse_loss(model(x), y).item())
    batches = DataLoader(TensorDataset(x, y), 4)
    assert training.evaluate(model, batches, {"loss": nn.functional.mse_loss})["loss"] == expected
    _, history = run((model, batches, batches), epochs=1, lr=0.0)
    assert history.train_loss == [expected] and history.valid_loss == [expected]


def test_training_stops_when_validation_no_longer_improves_and_keeps_the_best(problem):
    model, train, _ = problem
    x, y = next(iter(train))
    targets = iter(range(100))

    def falls_then_rises(y_hat, _):
        epoch = next(targets)
        return torch.tensor(float(abs(epoch - 3)))

    seen = []

    def loss(y_hat, y):
        if model.training:
            return nn.functional.mse_loss(y_hat, y)
        seen.append(copy.deepcopy(model.state_dict()))
        return falls_then_rises(y_hat, y)

    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    history = training.fit(
        model, train, [(x, y)], loss=loss, optimizer=optimizer, epochs=50, patience=2, progress=False
    )
    assert history.stopped == "no lower validation loss for 2 epochs"
    assert history.best_epoch == 3 and len(history.valid_loss) == 6
    torch.testing.assert_close(model.state_dict(), seen[3])


def fit_with_validation_losses(losses, **more):
    """A training whose validation losses are given; returns model, history and the parameters after each epoch."""
    model, seen, given = nn.Linear(3, 1), [], iter(losses)

    def loss(y_hat, y):
        if model.training:
            return nn.functional.mse_loss(y_hat, y)
        seen.append(copy.deepcopy(model.state_dict()))
        return torch.tensor(next(given))

    batches = [(torch.randn(8, 3), torch.randn(8, 1))]
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    more = {"epochs": len(losses), "progress": False} | more
    return model, training.fit(model, batches, batches, loss=loss, optimizer=optimizer, **more), seen


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([NAN, 5.0, 3.0, 4.0], 2),
        ([3.0, NAN, 2.0, NAN], 2),
        ([-INF, INF, 7.0, NAN], 2),
        ([2.0, 2.0, NAN, 2.0], 0),
    ],
)
def test_the_best_finite_epoch_is_kept_whatever_lies_around_it(losses, best):
    model, history, seen = fit_with_validation_losses(losses)
    assert history.best_epoch == best and len(history.valid_loss) == 4
    torch.testing.assert_close(model.state_dict(), seen[best], rtol=0, atol=0)
    assert not torch.equal(seen[best]["weight"], seen[3 if best < 3 else 0]["weight"])


@pytest.mark.parametrize(
    ("losses", "ran"),
    [
        ([NAN, 5.0, 4.0, 3.0, 2.0, 1.0], 6),  # one NaN at the start does not end a training that gets better
        ([5.0, NAN, 4.0, NAN, NAN, 1.0], 5),  # a NaN is an epoch without a lower loss
    ],
)
def test_patience_counts_a_validation_loss_that_is_not_finite_as_not_lower(losses, ran):
    _, history, _ = fit_with_validation_losses(losses, patience=2)
    assert len(history.valid_loss) == ran


@pytest.mark.parametrize("patience", [None, 2])
def test_a_validation_loss_that_is_never_finite_is_said_so(patience):
    with pytest.raises(ValueError, match="validation loss was never finite"):
        fit_with_validation_losses([NAN, INF, NAN, NAN], patience=patience)


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(problem, tmp_path):
    straight, again = copy.deepcopy(problem), copy.deepcopy(problem)
    torch.manual_seed(3)
    expected, whole = run(straight, epochs=6)

    class Stop(Exception):
        pass

    calls = 0

    def interrupting(y_hat, y):
        nonlocal calls
        calls += 1
        if calls > 2 * 3 + 1:  # two validation batches per epoch: in the middle of the fourth epoch
            raise Stop
        return nn.functional.mse_loss(y_hat, y)

    torch.manual_seed(3)
    file = tmp_path / "training.pt"
    with pytest.raises(Stop):
        run(again, epochs=6, metric=interrupting, checkpoint=file)
    torch.manual_seed(99)  # another process would have another random state
    model, history = run((nn.Linear(3, 1), *again[1:]), epochs=6, checkpoint=file)
    torch.testing.assert_close(model.state_dict(), expected.state_dict(), rtol=0, atol=0)
    assert history.train_loss == whole.train_loss and len(history.seconds) == 6
    assert [p.name for p in tmp_path.iterdir()] == ["training.pt"]


def test_nothing_to_train_on_is_said_so(problem):
    model, _, valid = problem
    with pytest.raises(ValueError, match="nothing to train on"):
        run((model, [], valid))
    with pytest.raises(ValueError, match="nothing to evaluate on"):
        training.evaluate(model, [], {})


def test_a_loss_that_is_not_finite_is_said_so(problem):
    model, _, valid = problem
    broken = [(torch.full((4, 3), float("nan")), torch.zeros(4, 1))]
    with pytest.raises(ValueError, match="not finite"):
        run((model, broken, valid))


@pytest.mark.parametrize("wrong", [math.nan, None])
def test_what_ends_a_training_leaves_the_best_parameters(problem, wrong):
    """Of the second epoch, whatever stops the third: a loss that is not finite, or one that raises."""
    model, batches, _ = problem
    states, batch = [], iter(range(10_000))

    def loss(y_hat, y):
        if torch.is_grad_enabled() and next(batch) == 2 * len(batches):
            y_hat = y_hat * wrong
        return nn.functional.mse_loss(y_hat, y)

    def metric(y_hat, y):
        states.append(copy.deepcopy(model.state_dict()))
        return 0.0

    optimizer, told = torch.optim.Adam(model.parameters(), 0.05), {"metric": metric, "epochs": 4, "progress": False}
    with pytest.raises((ValueError, TypeError)):
        training.fit(model, batches, problem[2], loss=loss, optimizer=optimizer, **told)
    assert all(torch.equal(value, states[-1][name]) for name, value in model.state_dict().items())


def test_a_finished_training_can_be_prolonged(problem, tmp_path):
    straight, again = copy.deepcopy(problem), copy.deepcopy(problem)
    torch.manual_seed(3)
    expected, _ = run(straight, epochs=5)
    torch.manual_seed(3)
    run(again, epochs=2, checkpoint=tmp_path / "training.pt")
    model, history = run((nn.Linear(3, 1), *again[1:]), epochs=5, checkpoint=tmp_path / "training.pt")
    torch.testing.assert_close(model.state_dict(), expected.state_dict(), rtol=0, atol=0)
    assert history.stopped == "all 5 epochs done"


def test_the_best_of_before_a_break_is_kept(tmp_path):
    file = tmp_path / "training.pt"
    _, _, seen = fit_with_validation_losses([3.0, 1.0, 2.0], checkpoint=file)
    model, history, _ = fit_with_validation_losses([4.0, 5.0], checkpoint=file, epochs=5)
    assert history.valid_loss == [3.0, 1.0, 2.0, 4.0, 5.0] and history.best_epoch == 1
    torch.testing.assert_close(model.state_dict(), seen[1], rtol=0, atol=0)


def test_the_metric_is_that_of_the_validation_and_nothing_without_one(problem):
    model, history = run(problem, epochs=2, lr=0.0, metric=lambda y_hat, y: (y_hat - y).abs().mean())
    errors = torch.cat([(model(x) - y).abs() for x, y in problem[2]])
    assert history.metric == pytest.approx([errors.mean().item()] * 2)
    assert all(math.isnan(value) for value in run(problem, epochs=2)[1].metric)


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('this was run')",)


def saved(content):
    return lambda file: torch.save(content, file)


def signed(content):
    """As a checkpoint is, which it is not."""

    def write(file):
        torch.save(content, stream := io.BytesIO())
        file.write_bytes(stream.getvalue() + hashlib.sha256(stream.getvalue()).digest())

    return write


def cut(share):
    return lambda file: file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])


OF_NO_USE = {
    "truncated": cut(0.3),
    "a byte short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "a byte more": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "empty": lambda file: file.write_bytes(b""),
    "31 bytes": lambda file: file.write_bytes(b"x" * 31),
    "text": lambda file: file.write_text("weights, version 3\n" * 50),
    "a list": saved([1, 2, 3]),
    "a tensor": saved(torch.zeros(3)),
    "parameters only": saved(nn.Linear(3, 1).state_dict()),
    "without a checksum": saved({"model": nn.Linear(3, 1).state_dict(), "optimizer": {}, "best": {}, "history": {}}),
    "a list with a checksum": signed([1, 2, 3]),
    "a number with a checksum": signed(5),
    "code": lambda file: file.write_bytes(pickle.dumps(Evil())),
    "code by torch": saved(Evil()),
}


@pytest.mark.parametrize("name", OF_NO_USE)
def test_a_checkpoint_that_is_damaged_or_none_is_refused_with_the_remedy(problem, tmp_path, name):
    file = tmp_path / "training.pt"
    model, _ = run(problem, epochs=1, checkpoint=file)
    before = copy.deepcopy(model.state_dict())
    OF_NO_USE[name](file)
    with pytest.raises(ValueError, match="training.pt is damaged or belongs to another .*: delete it to start again."):
        run(problem, checkpoint=file)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    file.unlink()
    run(problem, epochs=1, checkpoint=file)


def test_a_checkpoint_that_cannot_be_read_is_not_called_damaged(problem, tmp_path):
    (tmp_path / "training.pt").mkdir()
    with pytest.raises(ValueError, match=r"training.pt cannot be \w+ .*: name another file."):
        run(problem, checkpoint=tmp_path / "training.pt")


IMPOSSIBLE = {
    "a folder": lambda folder: folder,
    "below a file": lambda folder: folder / "file" / "training.pt",
    "below a link to itself": lambda folder: folder / "loop" / "training.pt",
    "in a folder of the system": lambda _: "/proc/nowhere/training.pt",
    "a device": lambda _: "/dev/null",
    "a zero in its name": lambda folder: f"{folder}/a\0b",
    "too long a name": lambda folder: folder / ("a" * 300),
    "nearly too long a name": lambda folder: folder / ("a" * 240),
    "a number": lambda _: 5,
}


@pytest.mark.skipif(sys.platform == "win32", reason="devices and folders of the system")
@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_checkpoint_is_noticed_before_the_first_epoch(problem, tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setattr("presimal.training._one_epoch", lambda *_: pytest.fail("an epoch ran"))
    with pytest.raises(ValueError, match=r"The checkpoint .* cannot be written \(.*\): name another file."):
        run(problem, checkpoint=IMPOSSIBLE[name](tmp_path))


OTHERS = {
    "shape": (nn.Linear(7, 1), torch.optim.Adam),
    "depth": (nn.Sequential(nn.Linear(3, 1)), torch.optim.Adam),
    "no bias": (nn.Linear(3, 1, bias=False), torch.optim.Adam),
    "SGD": (nn.Linear(3, 1), torch.optim.SGD),
    "AdamW": (nn.Linear(3, 1), torch.optim.AdamW),
    "two groups": (nn.Linear(3, 1), lambda parameters, lr: torch.optim.Adam([{"params": [p]} for p in parameters], lr)),
    "double": (nn.Linear(3, 1).double(), torch.optim.Adam),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_model_or_optimizer_is_refused_and_changes_nothing(problem, tmp_path, name):
    file = tmp_path / "training.pt"
    run(problem, epochs=1, checkpoint=file)
    model, kind = OTHERS[name]
    before, (_, train, valid) = copy.deepcopy(model.state_dict()), problem
    optimizer = kind(model.parameters(), lr=0.05)
    with pytest.raises(ValueError, match="belongs to another model or optimizer: delete it to start again"):
        training.fit(
            model, train, valid, loss=nn.functional.mse_loss, optimizer=optimizer, epochs=2, progress=False,
            checkpoint=file,
        )  # fmt: skip
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert not optimizer.state


def test_no_flipped_bit_of_a_checkpoint_gives_other_numbers(problem, tmp_path):
    file, draw = tmp_path / "training.pt", random.Random(0)
    run(problem, epochs=1, checkpoint=file)
    whole = file.read_bytes()
    for _ in range(400):
        spoiled = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 9))):
            spoiled[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        file.write_bytes(spoiled)
        with pytest.raises(ValueError, match="delete it to start again"):
            run(problem, checkpoint=file)


def lines_of_progress(problem, monkeypatch, epochs, clock=None):
    """What the line says each time that it changes; `clock` has a method `perf_counter` that gives seconds."""
    shown = []
    handle = type("Handle", (), {"update": lambda self, text: shown.append(text.data)})()
    monkeypatch.setattr(training, "display", lambda *_, **__: handle)
    if clock:
        monkeypatch.setattr(training, "time", clock)
    model, train, valid = problem
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    training.fit(model, train, valid, loss=nn.functional.mse_loss, optimizer=optimizer, epochs=epochs)
    return shown


def test_the_line_of_progress_ends_with_why_it_stopped(problem, monkeypatch):
    shown = lines_of_progress(problem, monkeypatch, 2)
    assert shown[0].startswith("█" * 10 + "░" * 10 + " epoch 1/2, loss: training ") and "s left" in shown[0]
    assert "stopped: all 2 epochs done; best epoch" in shown[-1]


class Clock:
    """One whose seconds pass with the batches that are taken from it: `seconds` for each."""

    def __init__(self, batches, seconds):
        self.batches, self.seconds, self.now = batches, seconds, 0.0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        for batch in self.batches:
            self.now += self.seconds
            yield batch

    def perf_counter(self):
        return self.now


def test_the_line_of_progress_estimates_the_time_left_within_each_epoch_and_after(problem, monkeypatch):
    model, train, valid = problem
    four = list(train)[:1] * 4
    clock = Clock(four, 5.0)  # 20 s an epoch
    shown = lines_of_progress((model, clock, valid), monkeypatch, 2, clock)
    told = [(line.count("█"), line.split()[2].rstrip(",;"), line.rpartition("; ")[2]) for line in shown[:-1]]
    first = [(2, "0/2", "about 35 s left"), (5, "0/2", "about 30 s left"), (8, "0/2", "about 25 s left")]
    assert told[:5] == [*first, (10, "0/2", "about 20 s left"), (10, "1/2", "about 20 s left")]
    assert [left for _, _, left in told[5:]] == [f"about {seconds} s left" for seconds in (15, 10, 5, 0, 0)]


def test_quick_epochs_change_the_line_once(problem, monkeypatch):
    model, train, valid = problem
    clock = Clock(train, 0.1 / len(train))
    assert len(lines_of_progress((model, clock, valid), monkeypatch, 3, clock)) == 4


def test_an_epoch_whose_length_nobody_knows_changes_the_line_at_its_end(problem, monkeypatch):
    model, train, valid = problem
    clock = Clock(train, 5.0)
    once = type("Once", (), {"__iter__": lambda self: iter(clock)})()
    assert len(lines_of_progress((model, once, valid), monkeypatch, 2, clock)) == 3


def test_a_checkpoint_of_another_learning_rate_is_refused(problem, tmp_path):
    model, train, valid = problem
    for lr, what in ((0.01, contextlib.nullcontext()), (0.1, pytest.raises(ValueError, match="delete it"))):
        with what:
            training.fit(
                model, train, valid, loss=nn.functional.mse_loss, optimizer=torch.optim.SGD(model.parameters(), lr),
                epochs=1, checkpoint=tmp_path / "training.pt", progress=False,
            )  # fmt: skip


class Interrupted:
    """Batches during whose pass number `at` somebody presses the button that stops a kernel."""

    def __init__(self, batches, at):
        self.batches, self.at, self.passes = batches, at, 0

    def __iter__(self):
        self.passes += 1
        for k, batch in enumerate(self.batches):
            if self.passes == self.at and k == 1:
                raise KeyboardInterrupt
            yield batch


@pytest.mark.parametrize("where", [1, 2])
def test_an_interrupt_leaves_the_best_parameters_so_far_and_the_history(problem, where):
    batches = [problem[0], list(problem[1]), list(problem[2])]
    expected, _ = run([copy.deepcopy(problem[0]), *batches[1:]], epochs=2)
    batches[where] = Interrupted(batches[where], at=3)
    model, history = run(batches, epochs=9)
    assert history.stopped == "interrupted"
    assert len(history.train_loss) == len(history.valid_loss) == len(history.seconds) == 2
    torch.testing.assert_close(model.state_dict(), expected.state_dict())


def test_an_interrupt_of_the_first_epoch_is_passed_on(problem):
    model, train, valid = problem
    with pytest.raises(KeyboardInterrupt):
        run((model, Interrupted(list(train), at=1), valid))


@pytest.mark.parametrize("odd", [0, -1, 1.5, math.nan, math.inf, "two", [1, 2]])
def test_epochs_and_patience_are_whole_numbers_from_1(problem, odd):
    """Of NaN epochs, or with a patience of NaN, there would be no end."""
    with pytest.raises(ValueError, match="Epochs: give "):
        run(problem, epochs=odd)
    with pytest.raises(ValueError, match="Patience: give "):
        run(problem, patience=odd)
    assert run(problem, epochs=[2])[1].stopped == "all 2 epochs done"


@pytest.mark.parametrize(("kind", "value"), [(torch.bfloat16, 3.03125), (torch.float16, 6000.0), (torch.uint8, 200)])
def test_losses_and_metrics_of_few_bits_have_their_mean(kind, value):
    """Added up in the type that they have, 300 of them would round away, overflow or begin at 0 again."""
    batches = [(torch.ones(16, 3), torch.ones(16, 1))] * 300
    score = lambda y_hat, y: torch.tensor(value, dtype=kind)  # noqa: E731
    assert training.evaluate(nn.Linear(3, 1), batches, {"it": score}) == {"it": value}
    if kind.is_floating_point:
        model = nn.Linear(3, 1)
        loss = lambda y_hat, y: y_hat.mean().to(kind) * 0 + value  # noqa: E731
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        history = training.fit(model, batches, batches, loss=loss, optimizer=optimizer, epochs=1, progress=False)
        assert history.train_loss == history.valid_loss == [value]


def test_a_schedule_of_another_optimizer_is_refused(problem):
    """As after a cell that makes the optimizer anew has been run alone: its learning rate would never change."""
    other = torch.optim.lr_scheduler.StepLR(torch.optim.Adam(problem[0].parameters(), 0.05), 1)
    with pytest.raises(ValueError, match="The schedule is none, or belongs to another optimizer: make it of this one"):
        run(problem, schedule=other)


def test_an_optimizer_of_another_model_is_refused(problem):
    """As after a cell that makes the model anew has been run alone: nothing would be learned, without a word."""
    model, train, valid = problem
    optimizer = torch.optim.Adam(copy.deepcopy(model).parameters())
    with pytest.raises(ValueError, match="belongs to another model: make it of"):
        training.fit(model, train, valid, loss=nn.functional.mse_loss, optimizer=optimizer, epochs=1, progress=False)


def with_one_cycle(problem, steps=30, **more):
    model, train, valid = problem
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    rates = []

    def loss(y_hat, y):
        rates.append(optimizer.param_groups[0]["lr"])
        return nn.functional.mse_loss(y_hat, y)

    history = training.fit(
        model, train, valid, loss=loss, optimizer=optimizer, schedule=schedule, progress=False, **more
    )  # fmt: skip
    return model, history, rates


def test_a_schedule_moves_the_learning_rate_once_for_each_batch(problem):
    batches, checks = len(problem[1]), len(problem[2])
    _, _, rates = with_one_cycle(problem, 3 * batches, epochs=3)
    alone = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    schedule = torch.optim.lr_scheduler.OneCycleLR(alone, 0.1, total_steps=3 * batches)
    expected = []
    for _ in range(3 * batches):
        expected.append(alone.param_groups[0]["lr"])
        alone.step()
        schedule.step()
    in_training = [rate for k, rate in enumerate(rates) if k % (batches + checks) < batches]
    assert in_training == pytest.approx(expected) and max(expected) > 10 * min(expected)


def test_an_interrupted_training_goes_on_with_its_schedule(problem, tmp_path):
    straight, again, file = copy.deepcopy(problem), copy.deepcopy(problem), tmp_path / "training.pt"
    steps = 4 * len(problem[1])
    torch.manual_seed(3)
    expected, whole, _ = with_one_cycle(straight, steps, epochs=4)
    torch.manual_seed(3)
    with_one_cycle(again, steps, epochs=2, checkpoint=file)
    model, history, _ = with_one_cycle((nn.Linear(3, 1), *again[1:]), steps, epochs=4, checkpoint=file)
    torch.testing.assert_close(model.state_dict(), expected.state_dict(), rtol=0, atol=0)
    assert history.train_loss == whole.train_loss


def test_a_training_is_interrupted_twice(problem, tmp_path):
    """An optimizer that has been loaded has the same settings in another order."""
    file = tmp_path / "training.pt"
    for epochs in (1, 2, 3):
        _, history, _ = with_one_cycle((nn.Linear(3, 1), *problem[1:]), epochs=epochs, checkpoint=file)
        assert len(history.train_loss) == epochs


def test_a_checkpoint_of_another_schedule_is_refused(problem, tmp_path):
    with_one_cycle(problem, epochs=1, checkpoint=tmp_path / "training.pt")
    model, train, valid = problem
    with pytest.raises(ValueError, match="delete it to start again"):
        training.fit(
            model, train, valid, loss=nn.functional.mse_loss, optimizer=torch.optim.Adam(model.parameters()),
            epochs=2, progress=False, checkpoint=tmp_path / "training.pt",
        )  # fmt: skip


# Whatever is given: a right result, or one sentence


X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5]])
MSE, PLATEAU = nn.functional.mse_loss, torch.optim.lr_scheduler.ReduceLROnPlateau


def fit(model=None, train=None, valid=None, optimizer=torch.optim.SGD, loss=MSE, epochs=2, schedule=None, **more):
    """With something odd in the place of what is usual there."""
    model, usual = model or nn.Linear(3, 1), [(X[k : k + 16], Y[k : k + 16]) for k in (0, 16, 32, 48)]
    made = optimizer(model.parameters(), 0.05) if isinstance(optimizer, type) else optimizer
    more = {"progress": False, "schedule": schedule and schedule(made)} | more
    return training.fit(
        model, usual if train is None else train, usual if valid is None else valid, loss=loss, optimizer=made,
        epochs=epochs, **more,
    )  # fmt: skip


def frozen():
    return nn.Linear(3, 1).requires_grad_(False)


def frozen_below():
    model = nn.Sequential(frozen(), nn.Linear(1, 1))
    return {"model": model, "optimizer": torch.optim.SGD(model[0].parameters(), 0.1)}


EACH = nn.MSELoss(reduction="none")
PAIRS = "Every batch is a pair of tensors, x and y, of as many examples, and not "
CUT_OFF = "The loss does not depend on the parameters: leave out .detach(), .item(), NumPy and no_grad."
ONE_OF_16 = "of a batch: give one number, as its mean, and not 16."
NOT_LEARNED = "The optimizer moves nothing that is learned: give it parameters that require a gradient."
ODD = {
    "all frozen": (lambda: {"model": frozen()}, NOT_LEARNED),
    "what it moves is frozen": (frozen_below, NOT_LEARNED),
    "an optimizer that asks again": (lambda: {"optimizer": torch.optim.LBFGS}, "LBFGS wants the loss several times a"),
    "no optimizer": (lambda: {"optimizer": None}, "No optimizer and model of torch: NoneType, Linear."),
    "parameters": (lambda: {"optimizer": iter([1])}, "No optimizer and model of torch: list_iterator, Linear."),
    "a function": (lambda: {"model": print, "optimizer": None}, "torch: NoneType, builtin_function_or_method."),
    "a class of losses": (lambda: {"loss": nn.MSELoss}, "The loss must be a function of (model(x), y), such as nn.MSE"),
    "no loss": (lambda: {"loss": None}, "The loss must be a function of (model(x), y), such as nn.MSELoss(), and not"),
    "a number for a metric": (lambda: {"metric": 0}, "The metric must be a function of (model(x), y), such as"),
    "a loss for each example": (lambda: {"loss": EACH}, f"The loss {ONE_OF_16}"),
    "one of single examples": (
        lambda: {"train": [(X[:1], Y[:1])], "loss": EACH}, "The loss of a batch: give one number, and not 16."
    ),
    "a loss cut off": (lambda: {"loss": lambda a, b: MSE(a, b).detach()}, CUT_OFF),
    "a loss of numpy": (lambda: {"loss": lambda a, b: MSE(a, b).detach().numpy()}, CUT_OFF),
    "a loss of Python": (lambda: {"loss": lambda a, b: 0.5}, CUT_OFF),
    "a loss of something else": (
        lambda: {"loss": lambda a, b: torch.ones((), requires_grad=True) * b.mean()}, "The loss needs model(x)"
    ),
    "a schedule in words": (lambda: {"schedule": lambda made: "cosine"}, "The schedule is none, or belongs to another"),
    "a function for a schedule": (lambda: {"schedule": lambda made: print}, "The schedule is none, or belongs to"),
    "a metric for each example": (lambda: {"metric": EACH}, "The metric of a batch: give one number, and not 16."),
    "no metric": (lambda: {"metric": lambda a, b: None}, "The metric of a batch: give real numbers"),
    "a metric in words": (lambda: {"metric": lambda a, b: "0.5"}, "The metric of a batch: give real numbers in one ar"),
    "no targets": (lambda: {"train": [(X,)]}, f"{PAIRS}[(64, 3)]."),
    "three parts": (lambda: {"train": [(X, Y, Y)]}, f"{PAIRS}[(64, 3), (64, 1), (64, 1)]."),
    "examples": (lambda: {"train": TensorDataset(X, Y)}, f"{PAIRS}[(3,), (1,)]."),
    "a tensor of two rows": (lambda: {"train": X[None, :2]}, f"{PAIRS}[(2, 3)]."),
    "a tensor": (lambda: {"valid": X}, f"{PAIRS}[(3,)]."),
    "arrays": (lambda: {"train": [(X.numpy(), Y.numpy())]}, f"{PAIRS}['ndarray', 'ndarray']."),
    "a dictionary": (lambda: {"train": [{"x": X, "y": Y}]}, f"{PAIRS}['dict']."),
    "targets of fewer": (lambda: {"train": [(X, Y[:8])]}, f"{PAIRS}[(64, 3), (8, 1)]."),
    "single numbers": (lambda: {"valid": [(X.sum(), Y.sum())]}, f"{PAIRS}[(), ()]."),
    "a generator to train": (lambda: {"train": ((X, Y) for _ in "ab")}, "as a generator when it is used up."),
    "a generator to validate": (lambda: {"valid": ((X, Y) for _ in "ab")}, "as by a generator when it is used up."),
    "no name": (lambda: {"checkpoint": ""}, "The checkpoint  cannot be written (a folder or a device has that name)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_be_trained_is_refused_in_one_sentence(name):
    make, words = ODD[name]
    with pytest.raises(ValueError, match=re.escape(words)) as refused:
        fit(**make())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("device", ["cuda:7", "tpu", "meta"])
def test_a_device_that_there_is_not_is_named(device):
    with pytest.raises(DataError, match=device):
        fit(device=device)


@pytest.mark.parametrize("around", [torch.no_grad, contextlib.nullcontext])
def test_training_does_not_depend_on_what_was_switched_off_before(around):
    model = nn.Linear(3, 1)
    with around():
        history = fit(model)
        assert torch.is_grad_enabled() is (around is contextlib.nullcontext)
    assert history.train_loss[1] < history.train_loss[0]


def test_a_batch_without_examples_counts_for_nothing():
    whole, model = [(X[:16], Y[:16])], nn.Linear(3, 1)
    other = copy.deepcopy(model)
    expected = fit(model, whole, whole)
    found = fit(other, [*whole, (X[:0], Y[:0])], [(X[:0], Y[:0]), *whole])
    assert (found.train_loss, found.valid_loss) == (expected.train_loss, expected.valid_loss)
    torch.testing.assert_close(other.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_a_generator_is_enough_for_one_epoch():
    assert len(fit(train=((X, Y) for _ in "ab"), valid=((X, Y) for _ in "a"), epochs=1).train_loss) == 1


def test_a_schedule_that_waits_for_the_validation_loss_gets_it_after_every_epoch(tmp_path):
    """As torch's own documentation has it: three epochs without a lower loss, then a tenth of the learning rate."""
    rates, schedules = [], []

    def waiting(optimizer):
        schedules.append(PLATEAU(optimizer, factor=0.1, patience=2))
        return schedules[-1]

    def loss(a, b):
        rates.append(schedules[-1].optimizer.param_groups[0]["lr"])
        return MSE(a, b) if a.requires_grad else torch.tensor(1.0)

    def of(epochs, **more):
        rates.clear()
        fit(nn.Linear(3, 1), [(X, Y)], [(X, Y)], loss=loss, schedule=waiting, epochs=epochs, **more)
        return [round(rate, 5) for rate in rates[::2]]

    assert of(8) == [0.05] * 4 + [0.005] * 3 + [0.0005]
    assert [*of(3, checkpoint=tmp_path / "a"), *of(8, checkpoint=tmp_path / "a")] == of(8)
