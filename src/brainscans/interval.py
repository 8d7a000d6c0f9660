"""A number and how sure it is."""

from typing import NamedTuple


class Interval(NamedTuple):
    """A score with the interval that holds it at the stated level; `f"{interval:.2f}"` is "0.81 [0.76, 0.85]"."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return "{} [{}, {}]".format(*(format(number, spec) for number in self))
