"""Where a computation runs: device, precision, seeds and memory."""

import ctypes
import gc
import os
import random
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
import torch

from synthcohort.storage import DataError

KINDS = ("cuda", "mps", "cpu")


def device(prefer: str | torch.device | None = None) -> torch.device:
    """The device asked for by argument, or by `PRESIMAL_DEVICE`, or the best; DataError if this machine lacks it."""
    best = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    old = card_too_old()
    best = best if best and best.type in KINDS and not old else torch.device("cpu")
    name = str(prefer or os.environ.get("PRESIMAL_DEVICE") or "").strip().lower()
    if not name:
        return best
    if not re.fullmatch(rf"({'|'.join(KINDS)})(:\d\d?)?", name):
        raise DataError(f"{name!r} is not a device: use 'cuda', 'cuda:0', 'mps' or 'cpu'.")
    wanted = torch.device(name)
    there = {best.type: torch.accelerator.device_count(), "cpu": 1}
    if (wanted.index or 0) >= there.get(wanted.type, 0):
        remedy = "choose 'cpu' or unset PRESIMAL_DEVICE to take the best there is"
        raise DataError(f"This machine has no {name!r} that torch can use{old and f' ({old})'}: {remedy}.")
    return wanted


def card_too_old() -> str:
    """A sentence if torch sees an NVIDIA card for which it was built without kernels, else nothing. Kernels run on
    cards of their major version (sm_86 on 8.6 and later 8.x), portable code (compute_90) on all later ones."""
    if not torch.cuda.is_available():
        return ""
    major, minor = torch.cuda.get_device_capability()
    for kind, own in (name.split("_") for name in torch.cuda.get_arch_list()):
        built = divmod(int(re.sub(r"\D", "", own)), 10)
        if built <= (major, minor) and (kind == "compute" or built[0] == major):
            return ""
    return f"{torch.cuda.get_device_name()} is too old for this torch, which has no kernels for it"


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and torch (all devices); returns a CPU generator with the same seed, a stream of its own."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def autocast(device: torch.device) -> AbstractContextManager:
    """A context in which matrix products and convolutions run in bfloat16 where that is fast (NVIDIA cards from Ampere
    on, processors with its instructions), else unchanged. bfloat16 has the range of float32: no loss scaling is needed.
    Leave it out for networks with batch normalization on a CPU: gradients became NaN there."""
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # missing in older torch
        fast = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()


def threads(number: int) -> ExitStack:
    """Within it torch has as many threads. A cohort then draws as many people at once, who stay the same to the bit."""
    stack = ExitStack()
    stack.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(number)
    return stack


# What code of others, such as an answer, may change of a session: how it is read, and put back; some as it begins.
SESSION: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (os.getcwd, os.chdir), (sys.getrecursionlimit, sys.setrecursionlimit), (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state), (torch.get_rng_state, torch.set_rng_state),
    (lambda: torch.float32, torch.set_default_dtype), (lambda: True, torch.set_grad_enabled),
    (torch.get_num_threads, torch.set_num_threads), (np.geterr().copy, lambda errors: np.seterr(**errors)),
    (np.get_printoptions, lambda options: np.set_printoptions(**options)),
)  # fmt: skip


def undisturbed() -> ExitStack:
    """At whose end the session is as it is now. Default type, gradients and errors are from now on as it began."""
    (stack := ExitStack()).enter_context(warnings.catch_warnings())
    for read, put_back in SESSION:
        with suppress(OSError):  # of a folder that is gone
            put_back(now := read())
            stack.callback(put_back, now)
    return stack


@contextmanager
def leave_out(*packages: str) -> Iterator[None]:
    """Within it these packages count as not installed, unless loaded already: MONAI loads all it finds, 3 s, 250 MB."""
    left_out = [name for name in packages if name not in sys.modules]
    modules: dict[str, object] = vars(sys)["modules"]
    modules.update(dict.fromkeys(left_out))
    try:
        yield
    finally:
        for name in left_out:
            modules.pop(name, None)


def release_memory() -> None:
    """Give memory that is no longer used back to the system; the C library of Linux keeps hundreds of megabytes."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another system, or another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def return_at_once(megabytes: int = 1) -> None:
    """From now on memory in pieces of so many megabytes, 32 at most, goes back to the system once it is free: peaks are
    lower. Smaller ones are kept, so that a training, which needs the same pieces in each step, is faster with 32."""
    with suppress(OSError, AttributeError):
        for option, bits in ((-3, 20), (-1, 24)):  # M_MMAP_THRESHOLD, and M_TRIM_THRESHOLD for many small pieces
            ctypes.CDLL("libc.so.6").mallopt(option, megabytes << bits)


def banner(device: torch.device) -> str:
    """One line that names the device, its threads or memory, and what speed to expect on it."""
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found = f"GPU {card.name}, {card.total_memory / 2**30:.0f} GiB: much faster than the times given"
    elif device.type == "mps":
        found = "Apple GPU (mps): faster than the times given"
    else:
        found = f"CPU, {torch.get_num_threads()} thread(s), {os.cpu_count()} cores: the times given are for two cores"
    return f"Device: {found}. The last digits of results differ between devices."
