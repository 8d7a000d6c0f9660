"""Where a computation runs, and what it costs."""

import random
import time

import numpy as np
import pytest
import torch

from presimal import compute


@pytest.fixture
def machine(monkeypatch):
    """Pretend that this machine has the given accelerators."""

    def pretend(cuda=0, mps=False):
        monkeypatch.delenv("PRESIMAL_DEVICE", raising=False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(1, True, "cuda"), (1, False, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_the_best_device_is_taken_by_default(machine, cuda, mps, expected):
    machine(cuda, mps)
    assert compute.device() == torch.device(expected)


def test_the_variable_overrides_the_default_and_the_argument_overrides_both(machine, monkeypatch):
    machine(cuda=2)
    monkeypatch.setenv("PRESIMAL_DEVICE", "cpu")
    assert compute.device() == torch.device("cpu")
    assert compute.device("cuda:1") == torch.device("cuda:1")
    assert compute.device(torch.device("cuda")) == torch.device("cuda")


@pytest.mark.parametrize("name", ["gpu", "tpu", "cuda:x", "meta"])
def test_a_name_that_is_no_device_is_refused(machine, name):
    machine()
    with pytest.raises(ValueError, match="is not a device: use 'cuda'"):
        compute.device(name)


@pytest.mark.parametrize("name", ["cuda", "mps", "cuda:0", "cpu:1"])
def test_a_device_that_is_not_there_is_refused_with_the_remedy(machine, name):
    machine()
    with pytest.raises(ValueError, match="choose 'cpu' or unset PRESIMAL_DEVICE"):
        compute.device(name)


def test_a_card_number_beyond_the_last_is_refused(machine):
    machine(cuda=2)
    with pytest.raises(ValueError, match="has no 'cuda:2'"):
        compute.device("cuda:2")


def draws():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_seeding_repeats_every_source_of_randomness():
    own = compute.seed_everything(3)
    first = draws()
    assert torch.rand((), generator=own) == torch.rand((), generator=compute.seed_everything(3))
    assert draws() == first
    compute.seed_everything(4)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_threads_are_set_and_reported():
    before = torch.get_num_threads()
    try:
        assert compute.set_threads(2) == torch.get_num_threads() == 2
        assert compute.set_threads() == 2
    finally:
        torch.set_num_threads(before)
    with pytest.raises(ValueError, match="at least 1"):
        compute.set_threads(0)


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_products_run_in_bfloat16_only_where_the_processor_has_it(monkeypatch, has_bfloat16):
    monkeypatch.setattr(compute, "_cpu_has_bfloat16", lambda: has_bfloat16)
    a = torch.ones(4, 4)
    with compute.autocast(torch.device("cpu")):
        assert (a @ a).dtype == (torch.bfloat16 if has_bfloat16 else torch.float32)
    assert (a @ a).dtype == torch.float32


def test_the_processor_is_asked_and_not_assumed(monkeypatch):
    for answer, expected in (({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda answer=answer: answer, raising=False)
        assert compute._cpu_has_bfloat16() is expected


def test_time_is_measured():
    with compute.timed(torch.device("cpu")) as clock:
        time.sleep(0.05)
    assert 0.05 <= clock.seconds < 1


def test_a_gpu_is_waited_for_at_both_ends(monkeypatch):
    waits = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waits.append(1))
    with compute.timed(torch.device("cuda")):
        assert len(waits) == 1
    assert len(waits) == 2


def test_the_banner_names_what_is_there(monkeypatch):
    assert f"{torch.get_num_threads()} thread(s)" in compute.banner(torch.device("cpu"))
    assert "Apple GPU" in compute.banner(torch.device("mps"))
    card = type("Card", (), {"name": "Some Card", "total_memory": 8 * 2**30})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    assert "Some Card, 8 GiB" in compute.banner(torch.device("cuda"))
