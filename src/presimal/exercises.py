"""Checks for exercises: they answer "not tried yet", "correct", or the first thing that is off.

An exercise is three cells. The attempt leaves a blank, `...`:

    def mean_squared_error(y, y_hat):
        ...

The check names it, and says what is expected and which mistakes are typical:

    check("mean_squared_error",
          given([1., 2.], [1., 4.]).returns(2.0, mistakes={"You added up: divide by the number of points.": 4.0}))

The solution fills in only what was left blank:

    if blank(mean_squared_error): ...

A check never raises, so a notebook runs from top to bottom whatever has been tried.
"""

import copy
import dis
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

NOT_TRIED, CORRECT = "not tried yet", "correct"

Claim = Callable[[Any], str | None]
"""A claim looks at an answer and returns None if it is right, else a hint in one sentence."""


def check(name: str, *claims: Claim) -> None:
    """Print the state of the exercise whose answer is the variable or function called `name`.

    The answer is looked up where `check` is called. Claims are tried in order and the first that fails gives the
    hint. Whatever the answer is or does, nothing is raised.
    """
    answers = sys._getframe(1).f_globals
    if name not in answers:
        print(f"{name}: {NOT_TRIED} (run the cell above that defines it)")
        return
    print(f"{name}: {_state(answers[name], claims)}")


def _state(answer: object, claims: Iterable[Claim]) -> str:
    if blank(answer):
        return NOT_TRIED
    for claim in claims:
        try:
            hint = claim(answer)
        except Exception as problem:
            hint = f"Your answer stops with {type(problem).__name__}: {problem}."
        if hint:
            return f"not yet. {hint}"
    return CORRECT


def blank(answer: object) -> bool:
    """True for an answer that is still to be written: `...`, or a function that only holds `...`."""
    if answer is ...:
        return True
    if not inspect.isfunction(answer):
        return False
    steps = [step for step in dis.get_instructions(answer) if step.opname not in _NO_WORK]
    only_returns_nothing = all(
        step.opname.startswith("RETURN") or (step.opname == "LOAD_CONST" and step.argval in (None, ...))
        for step in steps
    )
    return only_returns_nothing or any(
        _loads_blank(now) and (now.opname.startswith("RETURN") or after.opname.startswith(("STORE_FAST", "RETURN")))
        for now, after in zip(steps, [*steps[1:], steps[-1]], strict=True)
    )


_NO_WORK = {"RESUME", "NOP", "COPY_FREE_VARS", "MAKE_CELL", "CACHE", "NOT_TAKEN"}


def _loads_blank(step: dis.Instruction) -> bool:
    return step.opname in ("LOAD_CONST", "LOAD_COMMON_CONSTANT", "RETURN_CONST") and step.argval is ...


class given:
    """The arguments with which a function that a student wrote is called; finish with `returns`."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def returns(self, expected, mistakes: dict[str, object] | None = None, tolerance: float = 1e-6) -> Claim:
        """The claim that the function returns `expected` for these arguments.

        `mistakes` maps a hint to the value that a typical mistake returns.
        """
        about_value = equals(expected, mistakes, tolerance)

        def claim(function: Callable) -> str | None:
            if not callable(function):
                return "This should be a function: keep the line that starts with `def`."
            value = function(*copy.deepcopy(self.arguments))
            if value is None:
                return "Your function returns nothing: does it end with `return`?"
            hint = about_value(value)
            return hint and f"{hint} (tried with {', '.join(map(_short, self.arguments))})"

        return claim


def equals(expected, mistakes: dict[str, object] | None = None, tolerance: float = 1e-6) -> Claim:
    """The claim that an answer equals `expected`: a number, text, array or tensor.

    Numbers agree within `tolerance`, absolute and relative. `mistakes` maps a hint to what a typical mistake gives.
    """

    def claim(value) -> str | None:
        if _same(value, expected, tolerance):
            return None
        for hint, wrong in (mistakes or {}).items():
            if _same(value, wrong, tolerance):
                return hint
        if _shape(value) != _shape(expected):
            return f"The shape should be {_shape(expected)}, yours is {_shape(value)}."
        if _numbers(value).dtype.kind == "f" and not np.isfinite(_numbers(value)).all():
            return "Your answer is not a finite number: look for a division by zero or a step that is too large."
        return f"{_short(value)} is not right yet: compare with the text above, term by term."

    return claim


def holds(condition: Callable[[object], bool], hint: str) -> Claim:
    """The claim that `condition(answer)` is true; `hint` tells what to look at where it is not."""
    return lambda value: None if bool(condition(value)) else hint


def _numbers(value) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
    return np.asarray(value)


def _shape(value) -> tuple[int, ...]:
    return _numbers(value).shape


def _same(value, expected, tolerance: float) -> bool:
    a, b = _numbers(value), _numbers(expected)
    if a.shape != b.shape:
        return False
    if a.dtype.kind in "biufc" and b.dtype.kind in "biufc":
        return bool(np.allclose(a.astype(complex), b.astype(complex), rtol=tolerance, atol=tolerance))
    return bool(np.all(a == b))


def _short(value, limit: int = 60) -> str:
    text = " ".join(np.array2string(_numbers(value), precision=4).split()) if _shape(value) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
