"""Checks for exercises: they answer "not tried yet", "correct", or the first thing that is off, and never raise.

An exercise is three cells: the attempt leaves a blank, `...`; the check says what is expected and which mistakes are
typical; the solution fills in only what was left blank.
    def mean_squared_error(y, y_hat): ...
    check("mean_squared_error", given([1., 2.], [1., 4.]).returns(2.0, mistakes={"You added up: take the mean.": 4.0}))
    if blank(mean_squared_error): ..."""

import contextlib
import copy
import dis
import inspect
import io
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy import allclose, asarray, isfinite  # as they are now, whatever a notebook makes of `np` later

MOST_PRINTED, SHOWN = 100_000, 2_000  # letters
Claim = Callable[[Any], str | None]  # looks at an answer and returns None if it is right, else a hint in one sentence


def check(name: str, *claims: Claim) -> None:
    """Print the state of the exercise whose answer is the variable or function called `name` where this is called.
    Claims are tried in order and the first that fails gives the hint. Whatever the answer does, nothing is raised."""
    answers, printed = sys._getframe(1).f_globals, _Output()
    state = "not tried yet (run the cell above that defines it)"
    if name in answers:
        with contextlib.redirect_stdout(printed):
            state = _state(answers[name], claims)
    print(printed.getvalue()[:SHOWN], end="")
    print(f"{name}: {state}")


class _Output(io.StringIO):
    """What an answer prints, up to MOST_PRINTED letters."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > MOST_PRINTED:
            raise RuntimeError("it prints without end")
        return super().write(text)


def _state(answer: object, claims: Iterable[Claim]) -> str:
    if blank(answer):
        return "not tried yet"
    for claim in claims:
        try:
            hint = claim(answer)
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # SystemExit too: a notebook goes on
            hint = f"Your answer stops with {type(problem).__name__}{_message(problem)}."
        if hint:
            return f"not yet. {hint}"
    return "correct"


def _message(problem: BaseException) -> str:
    try:
        return f": {problem}" if str(problem) else ""
    except Exception:  # a message of the student's own, which cannot be printed
        return ""


def blank(answer: object) -> bool:
    """True for an answer that is still to be written: `...`, or a function that only holds `...`."""
    if not inspect.isfunction(answer):
        return answer is ...
    steps = [(step.opname, step.argval) for step in dis.get_instructions(answer) if step.opname not in _NO_WORK]
    if all(name.startswith("RETURN") or (name == "LOAD_CONST" and value in (None, ...)) for name, value in steps):
        return True
    return any(
        value is ... and (name == "RETURN_CONST" or (name in _LOAD and after.startswith(("STORE_FAST", "RETURN"))))
        for (name, value), (after, _) in zip(steps, [*steps[1:], steps[-1]], strict=True)
    )


_NO_WORK = {"RESUME", "NOP", "COPY_FREE_VARS", "MAKE_CELL", "CACHE", "NOT_TAKEN"}
_LOAD = {"LOAD_CONST", "LOAD_COMMON_CONSTANT"}


class given:
    """The arguments with which a function that a student wrote is called; finish with `returns`."""

    def __init__(self, *arguments: Any):
        self.arguments = arguments

    def returns(self, expected: Any, mistakes: dict[str, object] | None = None, tolerance: float = 1e-6) -> Claim:
        """The claim that the function returns `expected` for these arguments; the rest as in `equals`."""
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


def equals(expected: Any, mistakes: dict[str, object] | None = None, tolerance: float = 1e-6) -> Claim:
    """The claim that an answer equals `expected`: text, or a number, array or tensor within an absolute and relative
    tolerance. `mistakes` maps a hint to what a typical mistake gives."""

    def claim(value: Any) -> str | None:
        if _same(value, expected, tolerance):
            return None
        for hint, wrong in (mistakes or {}).items():
            if _same(value, wrong, tolerance):
                return hint
        yours, right = _numbers(value), _numbers(expected)
        if yours.shape != right.shape:
            return f"The shape should be {right.shape}, yours is {yours.shape}."
        if yours.dtype.kind == "f" and not isfinite(yours).all():
            return "Your answer is not a finite number: look for a division by zero or a step that is too large."
        return f"{_short(value)} is not right yet: compare with the text above, term by term."

    return claim


def holds(condition: Callable[[object], bool], hint: str) -> Claim:
    """The claim that `condition(answer)` is true; `hint` tells what to look at where it is not."""
    return lambda value: None if bool(condition(value)) else hint


def _numbers(value: Any) -> np.ndarray:
    return asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)


def _same(value: Any, expected: Any, tolerance: float) -> bool:
    a, b = _numbers(value), _numbers(expected)
    if a.shape != b.shape:
        return False
    if {a.dtype.kind, b.dtype.kind} <= set("biufc"):
        return bool(allclose(a.astype(complex), b.astype(complex), rtol=tolerance, atol=tolerance))
    return bool((a == b).all())


def _short(value: Any, limit: int = 60) -> str:
    numbers = _numbers(value)
    text = " ".join(np.array2string(numbers, precision=4).split()) if numbers.shape else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
