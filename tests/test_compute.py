"""Where a computation runs."""

import ctypes
import importlib
import random
import sys
from contextlib import nullcontext

import numpy as np
import psutil
import pytest
import torch

from brainscans import compute
from synthcohort.storage import DataError


@pytest.fixture
def machine(monkeypatch):
    """Pretend that this machine has the given accelerators."""

    def pretend(cuda=0, mps=False, other=""):
        monkeypatch.delenv("PRESIMAL_DEVICE", raising=False)
        kind = "cuda" if cuda else "mps" if mps else other
        best = torch.device(kind) if kind else None
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: best is not None)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: best)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: cuda or int(best is not None))

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "other", "expected"),
    [(1, False, "", "cuda"), (0, True, "", "mps"), (0, False, "", "cpu"), (0, False, "xpu", "cpu")],
)
def test_the_best_device_is_taken_by_default(machine, cuda, mps, other, expected):
    machine(cuda, mps, other)
    assert compute.device() == torch.device(expected)


@pytest.mark.parametrize("name", ["CPU", " cpu ", "Cpu"])
def test_the_spelling_of_a_device_does_not_matter(monkeypatch, name):
    monkeypatch.setenv("PRESIMAL_DEVICE", name)
    assert compute.device() == compute.device(name) == torch.device("cpu")


def test_torch_itself_is_asked_what_this_machine_has(monkeypatch):
    monkeypatch.delenv("PRESIMAL_DEVICE", raising=False)
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    assert compute.device().type == next(kind for kind, there in present.items() if there)
    for kind, there in present.items():
        if there:
            assert compute.device(kind).type == kind
        else:
            with pytest.raises(DataError, match="This machine has no"):
                compute.device(kind)


def test_the_variable_overrides_the_default_and_the_argument_overrides_both(machine, monkeypatch):
    machine(cuda=2)
    monkeypatch.setenv("PRESIMAL_DEVICE", "cpu")
    assert compute.device() == torch.device("cpu")
    assert compute.device("cuda:1") == torch.device("cuda:1")
    assert compute.device(torch.device("cuda")) == torch.device("cuda")


@pytest.mark.parametrize("name", ["gpu", "tpu", "cuda:x", "meta", "cuda:", "cpu:-1", "cuda:0:1", "cuda:" + "9" * 20])
def test_a_name_that_is_no_device_is_refused(machine, name):
    machine()
    with pytest.raises(DataError, match="is not a device: use 'cuda'"):
        compute.device(name)


@pytest.mark.parametrize("name", ["cuda", "mps", "cuda:0", "cpu:1", "mps:1"])
def test_a_device_that_is_not_there_is_refused_with_the_remedy(machine, name):
    machine()
    with pytest.raises(DataError, match="choose 'cpu' or unset PRESIMAL_DEVICE"):
        compute.device(name)


def test_a_card_number_beyond_the_last_is_refused(machine):
    machine(cuda=2)
    with pytest.raises(DataError, match="has no 'cuda:2'"):
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


def test_the_generator_has_the_seed_and_a_seed_may_be_large():
    assert torch.rand(3, generator=compute.seed_everything(5)).equal(
        torch.rand(3, generator=torch.Generator().manual_seed(5))
    )
    compute.seed_everything(2**40 + 5)  # NumPy takes 32 bits of it
    assert np.random.rand() == np.random.RandomState(5).rand()


@pytest.mark.parametrize(
    ("capabilities", "fast"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False)]
)
def test_products_run_in_bfloat16_only_where_the_processor_has_it(monkeypatch, capabilities, fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    a = torch.ones(4, 4)
    with compute.autocast(torch.device("cpu")):
        assert (a @ a).dtype == (torch.bfloat16 if fast else torch.float32)
    assert (a @ a).dtype == torch.float32


def test_a_card_that_only_emulates_bfloat16_computes_as_it_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert isinstance(compute.autocast(torch.device("cuda")), nullcontext)


def test_the_banner_names_what_is_there(monkeypatch):
    assert f"{torch.get_num_threads()} thread(s)" in compute.banner(torch.device("cpu"))
    assert "Apple GPU" in compute.banner(torch.device("mps"))
    card = type("Card", (), {"name": "Some Card", "total_memory": 8 * 2**30})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    assert "Some Card, 8 GiB" in compute.banner(torch.device("cuda"))


@pytest.mark.parametrize(
    ("card", "built", "works"),
    [
        ((6, 1), ["sm_75", "sm_80", "sm_86", "sm_90"], False),  # older than all
        ((8, 6), ["sm_75", "sm_80"], True),  # sm_80 runs on 8.6
        ((8, 0), ["sm_75", "sm_86"], False),  # sm_86 does not run on 8.0, nor what was built for 7.x
        ((10, 0), ["sm_90", "compute_90"], True),  # portable code is translated on later cards
        ((9, 0), ["sm_90a"], True),
    ],
)
def test_a_card_without_kernels_is_left_alone_and_named(machine, monkeypatch, card, built, works):
    machine(cuda=1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: card)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "A card")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
    assert compute.device().type == ("cuda" if works else "cpu")
    assert compute.card_too_old() == ("" if works else "A card is too old for this torch, which has no kernels for it")
    if not works:
        with pytest.raises(DataError, match="A card is too old"):
            compute.device("cuda")


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library keeps nothing back"
)
def test_memory_that_is_no_longer_used_goes_back_to_the_system():
    """Blocks are freed below one that stays, as in a notebook: the C library keeps them until it is asked."""
    process = psutil.Process()
    del [torch.ones(5_000_000)][:]  # from now on blocks of this size and less are kept
    blocks = [torch.ones(250_000) for _ in range(300)]
    stays = torch.ones(250_000)
    del blocks
    before = process.memory_info().rss
    compute.release_memory()
    assert before - process.memory_info().rss > 200_000_000 and stays.sum() == 250_000


def test_more_threads_for_a_while():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), compute.threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


def test_packages_are_left_out_for_a_while_unless_they_are_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with compute.leave_out("this", "random"):
        assert importlib.import_module("random") is random
        with pytest.raises(ImportError):
            importlib.import_module("this")
    assert "this" not in sys.modules and sys.modules["random"] is random


def test_memory_goes_back_at_once_where_the_c_library_can_be_asked(monkeypatch):
    asked = []

    class Library:
        def mallopt(self, *arguments):
            asked.append(arguments)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    compute.return_at_once(4)
    assert asked == [(-3, 4 * 2**20), (-1, 64 * 2**20)]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # another library: nothing happens
    compute.return_at_once()
