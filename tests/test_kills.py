"""Killed at any moment: the next start goes on to the same cohort, the same training, and a notebook is old or new.

`test_writing` kills strip and segment likewise. A few kills in the ordinary run, dozens with PRESIMAL_LONG_TESTS=1.
"""

import gzip
import os
import random
import signal
import sys
import time
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from presimal import training
from presimal.cli import run
from synthcohort import files

KILLS = 25 if os.environ.get("PRESIMAL_LONG_TESTS") == "1" else 3
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks a process that has threads")


def begun(job, *arguments):
    """The number of a process that does a job: a copy of this one, so that it begins at once."""
    if child := os.fork():
        return child
    status = 1
    try:
        job(*arguments)
        status = 0
    finally:
        os._exit(status)  # nothing of pytest's is ended twice


def done(job, *arguments):
    """Do a job to its end in a process of its own; returns the seconds that it took."""
    started = time.perf_counter()
    _, status = os.waitpid(begun(job, *arguments), 0)
    assert status == 0
    return time.perf_counter() - started


def killed(seconds, job, *arguments):
    """Kill a job after so many seconds; returns whether it was still at work."""
    child = begun(job, *arguments)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def contents(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def make_cohort(root):
    files.BATCH = 2
    files.ensure("heads", 6, 8.0, progress=False, root=root)


def test_a_cohort_is_healed_to_the_same_bytes(tmp_path, data_home):
    seconds, draw, landed = done(make_cohort, tmp_path / "whole"), random.Random(0), 0
    seconds = min(seconds, done(make_cohort, tmp_path / "again"))
    expected = contents(tmp_path / "whole")
    for number in range(10 * KILLS):
        if landed >= KILLS:
            break
        root = tmp_path / str(number)
        for _ in range(draw.choice((1, 2))):  # the one that heals may be killed too
            landed += killed(draw.uniform(0, seconds), make_cohort, root)
        for name, content in contents(root).items() if root.exists() else ():
            if name.endswith(".nii.gz"):
                assert gzip.decompress(content) == gzip.decompress(expected[name])
        done(make_cohort, root)
        assert contents(root) == expected, number
    print(f"{landed} kills landed")
    assert landed >= KILLS


def train(folder, file):
    torch.manual_seed(0)
    x = torch.randn(96, 3)
    data = DataLoader(TensorDataset(x, x @ torch.tensor([[1.0], [-2.0], [0.5]])), 16, shuffle=True)
    model = nn.Sequential(nn.Linear(3, 200), nn.Dropout(), nn.Linear(200, 1))
    history = training.fit(
        model, data, list(data), loss=nn.functional.mse_loss, optimizer=torch.optim.Adam(model.parameters()), epochs=12,
        checkpoint=folder / "state.pt", progress=False,
    )  # fmt: skip
    torch.save((model.state_dict(), history.train_loss, history.valid_loss, history.best_epoch), file)


def test_a_training_goes_on_to_the_same_numbers(tmp_path):
    values = torch.zeros(2, requires_grad=True)
    values.grad = torch.zeros(2)
    torch.optim.Adam([values]).step()  # imports what would take most of the time of every training below
    seconds = min(done(train, tmp_path / name, tmp_path / f"{name}.pt") for name in ("whole", "again"))
    expected, draw, landed, resumed = torch.load(tmp_path / "whole.pt"), random.Random(1), 0, 0
    for number in range(20 * KILLS):
        if min(landed, 2 * resumed) >= KILLS:
            break
        folder = tmp_path / str(number)
        for _ in range(draw.choice((1, 2, 3))):
            landed += killed(draw.uniform(0, seconds), train, folder, tmp_path / "found.pt")
        resumed += (folder / "state.pt").exists()
        done(train, folder, tmp_path / "found.pt")
        found = torch.load(tmp_path / "found.pt")
        assert found[1:] == expected[1:], number
        assert all(torch.equal(found[0][name], values) for name, values in expected[0].items())
        assert [file.name for file in folder.iterdir()] == ["state.pt"]
    print(f"{landed} kills landed, {resumed} trainings resumed")
    assert landed >= KILLS and 2 * resumed >= KILLS


def notebook(number):
    """With an output that takes a while to write."""
    output = new_output("stream", text=f"{number}\n" * 400_000)
    return new_notebook(cells=[new_code_cell("1", id="a", outputs=[output], execution_count=1)])


def store_again_and_again(file):
    while True:
        for number in (1, 2):
            run.store(notebook(number), file)


def test_a_stored_notebook_is_the_old_or_the_new_one(tmp_path):
    file, versions, draw = tmp_path / "00.ipynb", [], random.Random(2)
    for number in (1, 2):
        run.store(notebook(number), file)
        versions.append(file.read_bytes())
    for _ in range(2 * KILLS):
        assert killed(draw.uniform(0, 0.5), store_again_and_again, file)
        assert file.read_bytes() in versions
    run.store(notebook(1), file)
    assert [left.name for left in tmp_path.iterdir()] == [file.name]  # nothing unfinished


def run_and_save(file):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    assert run.run([file], save=True) == 0


def test_a_notebook_that_is_run_to_be_saved_is_whole(tmp_path):
    file, draw = tmp_path / "00_it.ipynb", random.Random(3)
    cells = [new_code_cell("import time; time.sleep(0.3); print('x' * 9)") for _ in range(3)]
    run.store(new_notebook(cells=cells), file)
    old = file.read_bytes()
    seconds = done(run_and_save, file)
    new = file.read_bytes()
    outputs = [cell.outputs for cell in nbformat.reads(new.decode(), 4).cells]
    assert len(outputs) == 3 and all("x" * 9 in output[0].text for output in outputs)
    for _ in range(KILLS if KILLS > 9 else 1):
        Path(file).write_bytes(old)
        killed(draw.uniform(0.2 * seconds, 1.1 * seconds), run_and_save, file)
        assert file.read_bytes() in (old, new)
