"""Where a computation runs: device, precision, threads, seeds, and honest timing."""

import os
import random
import time
from contextlib import nullcontext

import numpy as np
import torch

DEVICE_VARIABLE = "PRESIMAL_DEVICE"


def device(prefer: str | torch.device | None = None) -> torch.device:
    """The device to compute on.

    The first that is given wins: the argument, the environment variable `PRESIMAL_DEVICE`,
    then the best that this machine has, in the order cuda, mps, cpu.

    Raises ValueError if the device asked for is not one of these or is not on this machine.
    """
    name = str(prefer or os.environ.get(DEVICE_VARIABLE) or "").strip().lower()
    if not name:
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _present(kind)))
    try:
        wanted = torch.device(name)
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cuda", "mps", "cpu"):
        raise ValueError(f"{name!r} is not a device: use 'cuda', 'cuda:0', 'mps' or 'cpu'.")
    if not _present(wanted.type, wanted.index or 0):
        raise ValueError(
            f"This machine has no {name!r} that torch can use: choose 'cpu' "
            f"or unset {DEVICE_VARIABLE} to take the best there is."
        )
    return wanted


def _present(kind: str, index: int = 0) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available() and index < torch.cuda.device_count()
    if kind == "mps":
        return torch.backends.mps.is_available() and index == 0
    return index == 0


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and torch (all devices).

    Returns a fresh CPU generator with the same seed, for code that wants a stream of its own.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def set_threads(count: int | None = None) -> int:
    """Use `count` CPU threads in torch; None leaves torch's own choice. Returns the number in use.

    One thread per process is right when several processes share the cores: two threads on a busy
    two-core machine wait for each other and run ten times slower.

    Raises ValueError if `count` is below one.
    """
    if count is not None:
        if count < 1:
            raise ValueError(f"The number of threads must be at least 1, not {count}.")
        torch.set_num_threads(count)
    return torch.get_num_threads()


def autocast(where: torch.device):
    """A context in which matrix products and convolutions run in bfloat16 where that is fast.

    This is so on NVIDIA cards from Ampere on and on processors with bfloat16 instructions; elsewhere
    the context changes nothing. bfloat16 keeps the range of float32 with 8 bits of precision, so no
    loss scaling is needed. Leave it out for networks with batch normalisation on a CPU: gradients
    became NaN there.
    """
    if where.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    if where.type == "cpu" and _cpu_has_bfloat16():
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


def _cpu_has_bfloat16() -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # missing in older torch
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


class timed:
    """Seconds that a block takes, on any device.

    >>> with timed(where) as clock:
    ...     model(x)
    >>> clock.seconds

    A GPU works in the background: without waiting for it at both ends one measures only how long it
    takes to hand over the work.
    """

    def __init__(self, where: torch.device | None = None):
        self.where = where
        self.seconds = float("nan")

    def __enter__(self):
        self._synchronize()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exception):
        self._synchronize()
        self.seconds = time.perf_counter() - self._start

    def _synchronize(self):
        if self.where is not None and self.where.type != "cpu":
            getattr(torch, self.where.type).synchronize()


def banner(where: torch.device) -> str:
    """One line that names the device, its threads or memory, and what speed to expect on it."""
    if where.type == "cuda":
        properties = torch.cuda.get_device_properties(where)
        found = f"GPU {properties.name}, {properties.total_memory / 2**30:.0f} GiB: much faster than the times given"
    elif where.type == "mps":
        found = "Apple GPU (mps): faster than the times given"
    else:
        found = f"CPU, {torch.get_num_threads()} thread(s), {os.cpu_count()} cores: the times given are for two cores"
    return f"Device: {found}. The last digits of results differ between devices."
