"""A number and how sure it is, and the one door through which numbers come in."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .refusal import raise_if as raise_if


def real(values: Any, what: str, error: type[Exception] = ValueError) -> np.ndarray:
    """Values as an array of real numbers or truth values. `error`, in one sentence about `what`, for everything else:
    text, complex numbers, dates, objects, lists of different lengths, masked entries."""
    try:
        plain = values.detach().cpu() if isinstance(values, Tensor) else values
        found = np.asarray(plain.float() if getattr(plain, "dtype", None) == torch.bfloat16 else plain)
    except Exception:  # of numpy, or of whatever object it is
        found = np.empty(0, object)
    if found.dtype.kind not in "biuf" or np.ma.is_masked(values):
        kind = {"c": "complex numbers", "U": "text", "S": "text", "M": "dates", "m": "times"}.get(found.dtype.kind)
        raise error(f"{what}: give real numbers in one array, and not {kind or 'objects, gaps or uneven lists'}.")
    return found


def one(value: Any, what: str, error: type[Exception] = ValueError) -> float:
    """A single real number, of which NaN is one; errors as `real`."""
    found = real(value, what, error)
    raise_if(found.size != 1, f"{what}: give one number, and not {found.size}.", error)
    return float(found.item())


def whole(value: Any, what: str, most: float = 1e9) -> int:
    """A whole number from 1 to `most`; ValueError as `real`."""
    if not 1 <= (number := one(value, what)) <= most or number % 1:
        raise ValueError(f"{what}: give a whole number from 1 to {most:.0f}, and not {value}.")
    return int(number)


def wide(values: Any, what: str) -> np.ndarray:
    """As `real`, in 64 bits, so that a difference of small integers is what it is; truth values stay."""
    found = real(values, what)
    return found.astype(np.promote_types(found.dtype, {"b": "?", "f": "f8"}.get(found.dtype.kind, "i8")))


def interval_level(level: float) -> float:
    if not 0 < (number := one(level, "The level")) < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1, as 0.95 does, and is not {number:g}.")
    return number


def numbered(labels: Any, what: str) -> np.ndarray:
    """Labels (N,), of any one kind, as numbers from 0 in their order. ValueError where one is missing."""
    try:
        found = np.asarray(labels)
        if found.dtype.kind == "U":  # of a list numpy makes text where one label is, and a missing one "nan"
            found = np.asarray(labels, object)
        missing = bool((found != found).any()) or None in found.tolist() or found.ndim != 1 or np.ma.is_masked(labels)
        _, number = np.unique(found, return_inverse=True)
    except Exception:  # of labels that cannot be compared
        missing = True
    raise_if(missing, f"{what}: give one label per case, all of one kind, and none missing.")
    return number


class Interval(NamedTuple):
    """A score with the interval that holds it at the stated level; `f"{interval:.2f}"` is "0.81 [0.76, 0.85]"."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return "{} [{}, {}]".format(*(format(number, spec) for number in self))
