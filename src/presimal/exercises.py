"""Checks for exercises: they answer "not tried yet", "correct", or the first thing that is off, and never raise.

An exercise is three cells: the attempt leaves a blank, `...`; the check, folded, says what is expected and which
mistakes are typical; the solution, folded too, takes the place of an answer that is not correct."""

import builtins
import contextlib
import copy
import dis
import io
import math
import sys
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import numpy as np
import torch
from numpy import allclose, asarray, isfinite  # as they are now, whatever a notebook makes of `np` later

from brainscans.compute import undisturbed
from presimal import session as session  # which watches the cells of a notebook from now on

MOST_PRINTED, SHOWN, MOST_SAID, MOST_SHOWN = 100_000, 2_000, 300, 8  # letters; numbers of an array
GREEN, RED, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"
Claim = Callable[[Any], str | None]  # looks at an answer and returns None if it is right, else a hint in one sentence

_correct: dict[str, object] = {}  # by name, the answer that was found correct last
_advice: dict[str, str] = {}  # by name, what the last hint says to do, behind its colon
_solutions: dict[str, object] = {}  # by name, what took the place of an answer
_LIBRARIES: tuple[Any, ...] = (builtins, math, np, np.linalg, torch, torch.Tensor, torch.linalg, torch.nn.functional)


def check(name: str, *claims: Claim) -> None:
    """Print the state of the exercise whose answer is the variable or function called `name` where this is called, and
    of how many (EXERCISES there) are done. Claims are tried in order; the first that fails gives the hint, up to its
    colon at first and whole when the check is run again. Whatever the answer does, nothing is raised or left behind."""
    answers, printed = sys._getframe(1).f_globals, _Output()
    answer, _ = answers.get(name), _correct.pop(name, None)
    state = f"· {name}: not tried yet"
    if name not in answers:
        state += " (run the cell above that defines it)"
    elif callable(answer) and answer is _solutions.get(name):
        state += " (the solution stands in its place: run your own cell again, then this one)"
    elif not blank(answer):
        with undisturbed(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            hint = _hint(answer, claims)
        if hint := _replaced(answers.get("__name__")) or hint:
            state = f"{RED}✗{PLAIN} {name}: not yet. {_told(name, hint)}"
        else:
            _correct[name] = answer
            state = f"{GREEN}✓{PLAIN} {name}: correct"
            if "EXERCISES" in answers:
                done = sum(answers.get(other) is right for other, right in _correct.items())
                state += f" ({done} of {answers['EXERCISES']} done)"
    print(*printed.getvalue()[:SHOWN].splitlines(), state, sep="\n")


def solution(reference: Any, name: str = "") -> Any:
    """The student's answer where `check` found it correct, else `reference`: what the cells below go on with.
    To be put before the function that solves an exercise, or round a value whose variable is called `name`."""
    name = name or reference.__name__
    if name in _correct and _correct[name] is (answer := sys._getframe(1).f_globals.get(name, ...)):
        return answer
    _solutions[name] = reference
    return reference


def keep(*names: str) -> None:
    """Make `keep.name`, for checks, what is called so here as it is now, with copies of what functions here read."""
    now = sys._getframe(1).f_globals
    then = {name: value.copy() if isinstance(value, (np.ndarray, dict)) else value for name, value in now.items()}
    for name, value in now.items():
        if isinstance(value, FunctionType) and value.__globals__ is now:
            then[name] = FunctionType(value.__code__, then, name, value.__defaults__, value.__closure__)
    vars(keep).update({name: then[name] for name in names})


def _told(name: str, hint: str) -> str:
    """The part of a hint before its colon, which says what is off; whole if what to do is the same as the last time."""
    words, bracket, tried = hint.partition(" (tried with ")
    off, _, advice = words.partition(": ")
    whole, _advice[name] = advice in ("", _advice.get(name)) or "stops with" in words, advice
    return hint if whole else f"{off}{bracket}{tried}. Run this check again for more."


class _Output(io.StringIO):
    """What an answer prints, up to MOST_PRINTED letters."""

    close = io.StringIO.flush  # an answer does not close it

    def write(self, text: str) -> int:
        if self.tell() + len(text) > MOST_PRINTED:
            raise RuntimeError("it prints without end")
        return super().write(text)


def _hint(answer: object, claims: Iterable[Claim]) -> str | None:
    """What the first claim that fails says; None if all hold."""
    for claim in claims:
        try:
            hint = claim(answer)
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # SystemExit too: a notebook goes on
            error = f"Your answer stops with {type(problem).__name__}"
            with contextlib.suppress(BaseException):  # a message that cannot be printed, or ends the notebook
                said = "".join(filter(str.isprintable, " ".join(str(problem).split())))
                error += f": {said[:MOST_SAID]}" if said else ""
            hint = " ".join([*[advice for part, advice in _ADVICE.items() if part in error][:1], f"{error}."])
        if hint:
            return hint
    return None


_LISTS = (": 'list' and ", ": 'tuple' and ", "'list' object has no")
_ADVICE = dict.fromkeys(("bitwise_xor", "for ^: "), "In Python ^ is not a power; ** is.")  # by part of an error
_ADVICE |= dict.fromkeys(_LISTS, "A list does not calculate: take its numbers one by one, or make it an array.")
_ADVICE["infer output dtype"] = "Whole numbers, True and False have no mean in torch: add .float() first."


def _replaced(notebook: str | None) -> str | None:
    """A sentence about a function of this module, or of a library in the module `notebook`, that has been replaced, by
    which any answer could seem right. Libraries that change torch, as fastai does, are left in peace."""
    for place, name, function, code in _UNTOUCHED:
        now = vars(place).get(name)
        counts = place in _OURS or getattr(now, "__module__", None) in (None, notebook)
        if counts if now is not function else getattr(now, "__code__", None) is not code:
            return f"{place.__name__}.{name} has been replaced in this notebook: restart the kernel."
    return None if sys.modules.get(__name__) is _OURS[0] else f"{__name__} has been replaced: restart the kernel."


def blank(answer: object) -> bool:
    """True for an answer that is still to be written: `...`, or a function that only holds `...`."""
    if type(answer) is not FunctionType:
        return answer is ...
    steps = [(step.opname, step.argval) for step in dis.get_instructions(answer) if step.opname not in _IDLE]
    if all(name.startswith("RETURN") or (name == "LOAD_CONST" and value in (None, ...)) for name, value in steps):
        return True
    blanks, written = set[str](), set[str]()  # names that were given ..., and names that were given something else
    for (name, value), (after, target) in zip(steps, [*steps[1:], steps[-1]], strict=True):
        if value is ... and (name == "RETURN_CONST" or (name in _LOAD and after.startswith("RETURN"))):
            return True
        if after.startswith("STORE_FAST"):
            names = target if isinstance(target, tuple) else (target,)  # two steps in one have two names
            (blanks if value is ... and name in _LOAD else written).update(names[: 1 if "LOAD" in after else 2])
    return bool(blanks - written)


_LOAD, _IDLE = "LOAD_CONST LOAD_COMMON_CONSTANT".split(), "RESUME NOP COPY_FREE_VARS MAKE_CELL CACHE NOT_TAKEN".split()


class given:
    """The arguments with which a function that a student wrote is called; finish with `returns`."""

    def __init__(self, *arguments: Any, **named: Any):
        self.arguments, self.named = arguments, named

    def returns(self, expected: Any, mistakes: dict[str, object] | None = None, tolerance: float = 1e-6) -> Claim:
        """The claim that the function returns `expected` for these arguments; the rest as in `equals`."""
        about_value = equals(expected, mistakes, tolerance)

        def claim(function: Callable) -> str | None:
            if not callable(function):
                return "This should be a function: keep the line that starts with `def`."
            arguments, options = copy.deepcopy((self.arguments, self.named))
            value = function(*arguments, **options)
            if value is None:
                return "Your function returns nothing: does it end with `return`?"
            changed = "Your function changes what it was given: work on copies, for the cells below need it as it was."
            before = (*self.arguments, *self.named.values())
            hint = about_value(value) if _unchanged((*arguments, *options.values()), before) else changed
            named = [f"{name}={_short(value)}" for name, value in self.named.items()]
            return hint and f"{hint} (tried with {', '.join([*map(_short, self.arguments), *named])})"

        return claim


def equals(expected: Any, mistakes: dict[str, object] | None = None, tolerance: float = 1e-6) -> Claim:
    """The claim that an answer equals `expected`, text or close numbers; `mistakes` maps hints to wrong answers."""

    def claim(value: Any) -> str | None:
        for hint, wrong in ((None, expected), *(mistakes or {}).items()):
            if _same(value, wrong, tolerance):
                return hint
        yours, right = _numbers(value), _numbers(expected)
        if yours.dtype.kind == "U" and right.dtype.kind != "U":
            return "That is text: return numbers, without quotes or units."
        if yours.shape != right.shape:
            return f"The shape should be {right.shape}, yours is {yours.shape}."
        if yours.dtype.kind == "f" and not isfinite(yours).all():
            return "Your answer is not a finite number: look for a division by zero or a number that is too large."
        numeric = {yours.dtype.kind, right.dtype.kind} <= set("iuf")
        if right.dtype.kind == "f" and numeric and any(allclose(yours, right.round(n), 1e-6, 0) for n in range(2, 7)):
            return "It is rounded: return all digits."
        near = "nearly right, something small is off" if numeric and allclose(yours, right, 1e-3, 0) else ""
        return f"{_short(value)} is {near or 'not right yet'}: compare with the text above, term by term."

    return claim


def holds(condition: Callable[[object], bool], hint: str) -> Claim:
    """The claim that `condition(answer)` is true; `hint` tells what to look at where it is not."""
    return lambda value: None if bool(condition(value)) else hint


def _unchanged(value: Any, before: Any) -> bool:
    """Whether lists, arrays and tensors are as they were; of anything else nothing is asked."""
    if isinstance(before, (list, tuple)):
        return len(value) == len(before) and all(map(_unchanged, value, before))
    if isinstance(before, (np.ndarray, torch.Tensor)):
        a, b = _numbers(value), _numbers(before)
        return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
    return not isinstance(before, (bool, int, float, str)) or (type(value) is type(before) and value == before)


def _numbers(value: Any) -> np.ndarray:
    with contextlib.suppress(ValueError):  # of parts of different lengths
        value = float(value) if type(value).__module__ in ("fractions", "decimal") else value
        value = value.detach().cpu() if isinstance(value, torch.Tensor) else value
        return asarray(value.float() if getattr(value, "dtype", None) == torch.bfloat16 else value)
    return asarray(repr(value), dtype=object)


def _same(value: Any, expected: Any, tolerance: float) -> bool:
    a, b = _numbers(value), _numbers(expected)
    if a.shape != b.shape or a.dtype.kind == "O":  # objects may call themselves equal to anything
        return False
    plain = {a.dtype.kind, b.dtype.kind} <= set("biufc")
    return bool(allclose(a.astype(complex), b.astype(complex), tolerance, tolerance) if plain else (a == b).all())


def _short(value: Any, limit: int = 60) -> str:
    numbers = _numbers(value)
    if (plain := numbers.dtype.kind in "biufc") and numbers.size > MOST_SHOWN:
        return f"an array of shape {numbers.shape}"
    text = " ".join((np.array2string(numbers, precision=4) if plain else repr(value).replace(": ", ":")).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


# From here on these see this module as it is now, whatever a notebook makes of it later.
_sealed, _OURS = globals() | {"__builtins__": vars(builtins).copy()}, (sys.modules[__name__], given, _Output)
for _one in (_replaced, check, solution):
    _sealed[_one.__name__] = globals()[_one.__name__] = FunctionType(_one.__code__, _sealed, None, _one.__defaults__)
_UNTOUCHED = [
    (place, name, value, getattr(value, "__code__", None))
    for place in (*_LIBRARIES, *_OURS) for name, value in vars(place).items() if callable(value)
]  # fmt: skip
_sealed |= {"_OURS": _OURS, "_UNTOUCHED": _UNTOUCHED}
