"""The checks answer rightly: by themselves, and for every exercise of every notebook."""

import ast
import builtins
import contextlib
import dis
import functools
import os
import random
import re
import sys
import tomllib
import warnings
from fractions import Fraction
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import nbformat
import notebook_rules
import numpy as np
import pytest
import torch

from presimal import exercises as checks
from presimal import session as kernel
from presimal.exercises import blank, check, equals, given, holds, solution

ROOT = Path(__file__).parents[1]


# The checks themselves ----------------------------------------------------------------------------


def says(capsys, name, *claims, times=2):
    """What a check says when it is run for the last of some times, without the colors."""
    for _ in range(times):
        capsys.readouterr()
        check(name, *claims)
    return re.sub("\x1b\\[[0-9]*m", "", capsys.readouterr().out.rstrip("\n"))


def test_a_blank_is_recognized_however_it_was_left():
    def only_dots(y, y_hat): ...

    def with_docstring(y):
        """What it should do."""
        ...

    def returned(y):
        return ...

    def scaffold(theta, lr):
        new_theta = ...
        return new_theta

    def passed(y):
        pass

    assert all(map(blank, [..., only_dots, with_docstring, returned, scaffold, passed]))


def test_an_answer_is_not_taken_for_a_blank():
    def indexes_with_dots(x):
        return x[..., 0]

    def forgets_to_return(x):
        x + 1

    def returns_a_constant(x):
        return 3

    def writes_over_the_blank(x):
        total, count = ..., 1
        mean = ...
        total = sum(x)
        mean = total / count
        return mean

    answers = [0, None, "", indexes_with_dots, forgets_to_return, returns_a_constant, writes_over_the_blank, len]
    assert not any(map(blank, answers))


value = 2.0
large = 1.0002e6
many = np.arange(1000.0)
one_row = np.zeros((1, 3))
wrong_shape = np.zeros(3)
not_finite = float("nan")
words = "axial"
nothing = ...
ragged = [[1.0, 2.0], 3.0]
third = Fraction(1, 3)
rounded = 0.333
rounded_in_part = [1.0, 0.33]
tiny = 1e-6
with_unit = "0.333 ml"


def no_return(x):
    x + 1


def breaks(x):
    raise KeyError("x")


def changes_its_input(x):
    x += 1
    return x


def changes_within(x):
    x[1][1][0] = 3
    return len(x)


def takes_any(*x):
    return len(x)


@pytest.mark.parametrize(
    ("name", "claim", "expected"),
    [
        ("value", equals(2), "✓ value: correct"),
        ("value", equals(2.1, tolerance=0.1), "✓ value: correct"),
        ("large", equals(1e6, tolerance=1e-3), "✓ large: correct"),
        ("large", equals(2e6, {"Half of it.": 1.0001e6}, 1e-3), "✗ large: not yet. Half of it."),
        ("value", equals(1.0, mistakes={"Twice too large.": 2.0}), "✗ value: not yet. Twice too large."),
        ("value", holds(lambda v: v > 3, "It is larger than 3."), "✗ value: not yet. It is larger than 3."),
        ("words", equals("axial"), "✓ words: correct"),
        ("words", equals("coronal", {"That is the other one.": "axial"}), "✗ words: not yet. That is the other one."),
        ("nothing", equals(1), "· nothing: not tried yet"),
        ("never_defined", equals(1), "· never_defined: not tried yet (run the cell above that defines it)"),
        ("wrong_shape", equals(torch.ones(2)), "✗ wrong_shape: not yet. The shape should be (2,), yours is (3,)."),
        ("one_row", equals(np.zeros(3)), "✗ one_row: not yet. The shape should be (3,), yours is (1, 3)."),
        ("third", equals(1 / 3), "✓ third: correct"),
        (
            "third",
            equals(2 / 3),
            "✗ third: not yet. 0.3333 is not right yet: compare with the text above, term by term.",
        ),
        ("rounded", equals(1 / 3), "✗ rounded: not yet. It is rounded: return all digits."),
        (
            "rounded",
            equals(0.2),
            "✗ rounded: not yet. 0.333 is not right yet: compare with the text above, term by term.",
        ),
        ("rounded", equals(1 / 3, {"Another.": 0.333}), "✗ rounded: not yet. Another."),
        ("rounded_in_part", equals([1, 1 / 3]), "✗ rounded_in_part: not yet. It is rounded: return all digits."),
        (
            "tiny",
            equals(2e-6, tolerance=1e-9),
            "✗ tiny: not yet. 1.e-06 is not right yet: compare with the text above, term by term.",
        ),
        ("with_unit", equals(1 / 3), "✗ with_unit: not yet. That is text: return numbers, without quotes or units."),
    ],
)
def test_the_state_is_told_in_one_line(capsys, name, claim, expected):
    assert says(capsys, name, claim) == expected


@pytest.mark.parametrize(
    ("name", "claim", "part"),
    [
        ("not_finite", equals(1.0), "not a finite number"),
        ("no_return", given(1).returns(2), "does it end with `return`?"),
        ("breaks", given(1).returns(2), "stops with KeyError"),
        ("value", given(1).returns(2), "should be a function"),
        ("value", equals(7.0), "is not right yet"),
        ("value", equals("axial"), "is not right yet"),
        ("large", equals(1e6), "is nearly right, something small is off"),
        ("words", equals(7.0), "That is text"),
        ("ragged", equals([1.0, 2.0]), "The shape should be (2,), yours is ()"),
        ("words", holds(lambda v: v > 3, "larger"), "stops with TypeError"),
    ],
)
def test_whatever_the_answer_does_there_is_a_hint_and_no_exception(capsys, name, claim, part):
    said = says(capsys, name, claim)
    assert said.startswith(f"✗ {name}: not yet.") and part in said


def test_a_long_answer_is_cut_short(capsys):
    said = says(capsys, "many", equals(np.zeros(1000)))
    assert "an array of shape (1000,) is not right yet" in said and len(said) < 160


def test_an_answer_cannot_change_the_arguments_of_a_check(capsys):
    claim = given(torch.zeros(2)).returns(torch.ones(2))
    changed = "✗ changes_its_input: not yet. Your function changes what it was given: "
    assert says(capsys, "changes_its_input", claim).startswith(changed)
    assert says(capsys, "changes_its_input", claim).startswith(changed)
    named = given(x=torch.zeros(2)).returns(torch.ones(2))
    assert says(capsys, "changes_its_input", named).startswith(changed)
    wrong = given(torch.zeros(2)).returns(torch.zeros(2), {"Take the mean.": torch.ones(2)})
    assert says(capsys, "changes_its_input", wrong).startswith(changed)
    said = says(capsys, "changes_within", given([[1], (2, np.array([0, np.nan]))]).returns(2))
    assert "changes what it was given" in said
    assert says(capsys, "takes_any", given([[1], (2, np.array([0, np.nan]))], {}, None, "a").returns(4)).endswith(
        "correct"
    )


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (lambda x: x**2, "A list does not calculate: take its numbers"),
        (lambda x: np.array(x) ^ 2, "In Python ^ is not a power"),
        (lambda x: x[0] ^ 2, "In Python ^ is not a power"),
        (lambda x: torch.tensor(x) ^ 2, "In Python ^ is not a power"),
        (lambda x: (torch.tensor(x) > 0).mean(), "Whole numbers, True and False have no mean in torch"),
        (lambda x: torch.tensor([int(v) for v in x]).mean(), "Whole numbers, True and False have no mean in torch"),
        (lambda x: tuple(x) * 1.5, "stops with TypeError"),
    ],
)
def test_an_error_that_many_meet_is_explained(capsys, answer, part):
    globals()["answer"] = answer
    said = says(capsys, "answer", given([1.0, 2.0]).returns(2.0), times=1)
    assert said.startswith("✗ answer: not yet.") and part in said and "stops with" in said


def test_the_first_claim_that_fails_gives_the_hint(capsys):
    said = says(capsys, "value", equals(2), holds(lambda v: False, "second"), holds(lambda v: False, "third"))
    assert said == "✗ value: not yet. second"


# The exercises of the notebooks -------------------------------------------------------------------


def exercises():
    """Every exercise: (notebook, name, cells that must have run, attempt, check, solution)."""
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        before, attempt, checking = [], None, None
        for cell in notebook_rules.code(nbformat.read(file, as_version=4)):
            kinds = set(notebook_rules.tags(cell))
            if kinds & {"setup", "exercise-data"}:
                before.append(cell.source)
            elif "exercise" in kinds:
                attempt = cell.source
            elif "check" in kinds:
                checking = cell.source
            elif "solution" in kinds:
                name = re.search(r"\bcheck\(\s*\"(\w+)\"", checking)[1]
                yield pytest.param(
                    file.stem, name, tuple(before), attempt, checking, cell.source, id=f"{file.stem[:2]}-{name}"
                )
                before += [attempt, cell.source]


def answers(folder, notebook, name):
    file = ROOT / "tests" / folder / f"{notebook}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")).get(name, []) if file.exists() else []


def wrong_answers(notebook, name):
    return answers("wrong_answers", notebook, name)


@functools.lru_cache(maxsize=1)
def names_after(before):
    """What the cells before an exercise define."""
    namespace = {"__name__": "__main__"}
    for source in before:
        exec(compile(source, "<before>", "exec"), namespace)
    return namespace


def names_read(code):
    """The names of the notebook that a piece of code reads, and those that it sets itself."""
    steps = [*dis.get_instructions(code)]
    read = {step.argval for step in steps if step.opname in ("LOAD_NAME", "LOAD_GLOBAL")}
    for part in code.co_consts:
        read |= names_read(part)[0] if isinstance(part, CodeType) else set()
    return read, {step.argval for step in steps if step.opname == "STORE_NAME"}


def reach(source, names):
    """Names with which the cells before an exercise left something that this cell reads, also through functions."""
    read, written = names_read(compile(source, "<cell>", "exec"))
    reached, further = set(), read - written
    while further:
        name = further.pop()
        value = names.get(name)
        if value is None or isinstance(value, ModuleType) or getattr(value, "__module__", "") == checks.__name__:
            continue
        reached.add(name)
        if isinstance(value, FunctionType) and value.__globals__ is names:
            further |= names_read(value.__code__)[0] - reached
    return reached


def state(capsys, before, *cells):
    """Run the cells as a student would, the last one twice; what that printed, without the colors, and the names."""
    namespace = dict(names_after(before))
    for source in (*cells, cells[-1]):
        capsys.readouterr()
        exec(compile(source, "<exercise>", "exec"), namespace)
    return re.sub("\x1b\\[[0-9]*m", "", capsys.readouterr().out), namespace


@pytest.fixture
def watched():
    """Watches what cells do to some names, as a kernel does, and brings the names back at the end."""
    began = []

    def watch(names):
        began.append((names, dict(names)))
        kernel.known.clear()
        kernel.after_a_cell(names)
        return names

    yield watch
    for names, then in began:
        names.clear()
        names.update(then)
    kernel.known.clear()
    kernel.functions[:] = {}, {}


@pytest.mark.parametrize(("notebook", "name", "before", "attempt", "checking", "solution"), list(exercises()))
class TestExercise:
    def test_untouched_it_is_not_tried_yet(self, capsys, notebook, name, before, attempt, checking, solution):
        assert state(capsys, before, attempt, checking)[0] == f"· {name}: not tried yet\n"

    def test_the_solution_is_correct(self, capsys, notebook, name, before, attempt, checking, solution):
        as_a_student = solution.replace("@solution\n", "")
        assert state(capsys, before, attempt, as_a_student, checking)[0].startswith(f"✓ {name}: correct (")

    def test_the_solution_leaves_a_right_answer_alone(
        self, capsys, notebook, name, before, attempt, checking, solution
    ):
        right = solution.replace("@solution\n", "") + f"\nmine = {name}"
        _, names = state(capsys, before, attempt, right, checking, solution)
        assert names[name] is names["mine"]

    def test_behind_a_wrong_answer_the_notebook_goes_on_with_the_solution(
        self, capsys, notebook, name, before, attempt, checking, solution
    ):
        for wrong in ["raise SystemExit", *(wrong["answer"] for wrong in wrong_answers(notebook, name))]:
            answer = f"try:\n    exec({wrong!r})\nexcept BaseException:\n    pass\n_wrong = {name}"
            _, names = state(capsys, before, attempt, answer, checking, solution)
            assert names[name] is not names["_wrong"] and not blank(names[name])

    def test_what_a_wrong_answer_takes_from_other_cells_is_put_back(
        self, capsys, notebook, name, before, attempt, checking, solution, watched
    ):
        """Every name that was imported, some of Python's own, and every function of the notebook that needs a name."""
        names = watched(names_after(before))
        functions = {one for one, value in names.items() if isinstance(value, FunctionType)} - {*kernel.known, name}
        spoil = [f"{one} = 3" for one in kernel.known if one in names] + ["from numpy import *", "sum = list = 0"]
        wrong = wrong_answers(notebook, name)[0]["answer"]
        functions &= {*kernel.functions[1]} if f"def {name}(" in wrong else set()
        needed = {one: names[one] for one in names if one in kernel.known or one in functions}
        for source in (attempt, "\n".join([wrong, *spoil, *(f"def {one}(): ..." for one in functions)]), checking):
            kernel.before_a_cell(names, source)
            with contextlib.suppress(Exception):
                exec(compile(source, f"<{source}>", "exec"), names)
            kernel.after_a_cell(names)
        assert {one: names.get(one) for one in needed} == needed and "sum" not in {*needed} and names["sum"] is sum
        exec(solution, names)
        assert "Put back" in capsys.readouterr().out and not blank(names[name])

    def test_a_check_reads_nothing_that_an_answer_may_have_changed(
        self, capsys, notebook, name, before, attempt, checking, solution
    ):
        names = names_after(before)
        solved = solution.replace("@solution\n", "")
        spoiled = sorted(reach(checking, names) - reach(solved, names) - {name})
        arrays = {one: names[one].copy() for one in spoiled if isinstance(names[one], np.ndarray)}
        spoil = "".join(f"{one}[:] = 0\n" for one in arrays) + "".join(f"{one} = None\n" for one in spoiled)
        try:
            assert state(capsys, before, attempt, solved + "\n" + spoil, checking)[0].startswith(f"✓ {name}"), spoiled
        finally:
            for one, values in arrays.items():
                names[one][:] = values

    def test_plausible_wrong_answers_get_a_helpful_hint(
        self, capsys, notebook, name, before, attempt, checking, solution
    ):
        wrong = wrong_answers(notebook, name)
        assert len(wrong) >= 2, "each exercise needs two wrong answers"
        for mistake in wrong:
            said = state(capsys, before, attempt, mistake["answer"], checking)[0].splitlines()[-1]  # behind its own
            assert said.startswith(f"✗ {name}: not yet. ") and mistake["hint"] in said, said
            assert "stops with" not in said or "stops with" in mistake["hint"], said

    def test_right_answers_of_other_styles_are_correct(
        self, capsys, notebook, name, before, attempt, checking, solution
    ):
        for right in answers("right_answers", notebook, name):
            said = state(capsys, before, attempt, right["answer"], checking)[0].splitlines()[-1]  # behind its own
            assert said.startswith(f"✓ {name}: correct ("), right["answer"] + said


@pytest.mark.parametrize("file", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda file: file.stem)
def test_a_check_means_the_same_behind_from_numpy_import_star(file):
    """numpy's all, any and sum take a list as Python's do; a generator they find true, or refuse."""
    for cell in notebook_rules.code(nbformat.read(file, as_version=4)):
        if set(notebook_rules.tags(cell)) & {"check", "exercise-data"}:
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("all", "any", "sum"):
                    assert isinstance(node.args[0], ast.List | ast.ListComp | ast.Name), ast.unparse(node)


@pytest.mark.parametrize(
    ("notebook", "call"),
    [
        ("03_multilayer_perceptrons", "relu_dropout(torch.ones(2, 3))"),
        ("07_skull_stripping", "random_noise(torch.ones(2, 1, 3, 3, 3))"),
        ("09_perspectives", "attack(torch.ones(1, 3), 0.1)"),
    ],
)
def test_a_correct_answer_in_double_precision_leaves_the_cells_below_in_single(notebook, call):
    """A check accepts it, and a network of single precision would stop at it."""
    name, cells = call.partition("(")[0], nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4)
    source = next(cell.source for cell in notebook_rules.code(cells) if f"def {name}(" in cell.source)
    function = next(node for node in ast.parse(source).body if getattr(node, "name", "") == name)
    names = dict.fromkeys(("dropout", "rician", "attack_step"), lambda x, *_: x.double())
    names |= {"torch": torch, "uniform": torch.rand, "each": lambda values: values, "age_network": torch.sum}
    exec(ast.unparse(function), names)
    assert eval(call, names).dtype == torch.float32


def test_no_answer_is_left_over():
    known = {(param.values[0], param.values[1]) for param in exercises()}
    for file in (ROOT / "tests").glob("*_answers/*.toml"):
        for name in tomllib.loads(file.read_text(encoding="utf-8")):
            assert (file.stem, name) in known, f"{file.name} knows {name}, which is no exercise"


def leaves(kind):
    def answer(x):
        raise kind

    return answer


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")


class Leaving(Exception):
    def __str__(self):
        raise SystemExit


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, RecursionError, Unprintable, Leaving, MemoryError])
def test_whatever_an_answer_raises_a_check_goes_on(capsys, kind):
    globals()["answer"] = leaves(kind)
    assert says(capsys, "answer", given(1.0).returns(2.0)).startswith("✗ answer: not yet. Your answer stops with ")
    assert "not yet" in says(capsys, "answer", holds(lambda f: f(1.0), "hint"))


def test_an_answer_cannot_close_what_it_prints_to(capsys):
    def answer(x):
        sys.stdout.close()
        return x

    globals()["answer"] = answer
    assert "answer: not yet" in says(capsys, "answer", given(1.0).returns(2.0))


def test_an_interrupt_by_the_user_is_passed_on():
    globals()["answer"] = leaves(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        check("answer", given(1.0).returns(2.0))


def test_a_hint_with_numbers_drawn_anew_is_told_whole_the_second_time(capsys):
    def answer(x):
        return x + next(drawn)

    globals()["answer"], drawn = answer, iter((0.1234, 0.5678))
    assert says(capsys, "answer", given(1.0).returns(2.0)).startswith(
        "✗ answer: not yet. 1.5678 is not right yet: compare"
    )


def test_the_state_stands_on_a_line_of_its_own_behind_what_an_answer_prints(capsys):
    def answer(x):
        print("." * 5_000, end="")
        return x

    globals()["answer"] = answer
    said = says(capsys, "answer", given(1.0).returns(1.0))
    assert said.splitlines()[1:] == ["✓ answer: correct"]


def test_an_answer_that_prints_is_heard_and_one_that_prints_without_end_is_stopped(capsys):
    def answer(x):
        print("seen", x)
        while x > 5:
            print("a line that comes again and again")
        return 2 * x

    globals()["answer"] = answer
    assert says(capsys, "answer", given(1.0).returns(2.0)) == "seen 1.0\n✓ answer: correct"
    said = says(capsys, "answer", given(9.0).returns(18.0))
    assert len(said) < 3_000 and said.endswith("RuntimeError: it prints without end.")


def test_a_library_that_was_patched_in_the_notebook_does_not_make_an_answer_right(capsys, monkeypatch):
    globals()["answer"] = 3.0
    for name in ("allclose", "isclose", "all", "array_equal", "asarray", "isfinite"):
        monkeypatch.setattr(np, name, lambda *_, **__: True)
    assert "not yet" in says(capsys, "answer", equals(4.0))


def replace_the_mean(x):
    np.mean = lambda *_, **__: 2.0
    return np.mean(x)


def test_an_answer_that_patches_a_library_is_found_out(capsys, monkeypatch):
    monkeypatch.setattr(np, "mean", np.mean)  # to be put back
    globals()["answer"] = replace_the_mean
    assert says(capsys, "answer", given(3.0).returns(2.0), times=1).startswith("✗ answer: not yet. numpy.mean has been")


PATCHES = {
    "what compares": lambda: monkey(checks, "_same", lambda *_: True),
    "what compares, by a function of Python": lambda: monkey(checks, "_same", max),
    "what looks": lambda: monkey(checks, "_hint", lambda *_: None),
    "what numpy gave": lambda: monkey(checks, "allclose", lambda *_, **__: True),
    "what is told": lambda: (monkey(checks, "_replaced", lambda *_: None), monkey(checks, "_same", max)),
    "what is told, and by what": lambda: (
        monkey(checks, "_replaced", lambda *_: None),
        monkey(checks, "_UNTOUCHED", ()),
        monkey(checks, "_same", max),
    ),
    "a claim": lambda: monkey(checks.given, "returns", lambda *_, **__: lambda _: None),
    "the code of a claim": lambda: monkey(checks._same, "__code__", (lambda a, b, c: True).__code__),
    "the code of torch": lambda: monkey(torch.nn.functional.mse_loss, "__code__", (lambda *_, **__: 2.0).__code__),
    "the module": lambda: monkey(sys.modules, "presimal.exercises", type(sys)("presimal.exercises")),
    "no module": lambda: monkey(sys.modules, "presimal.exercises", None),
}


@pytest.mark.parametrize("name", PATCHES)
@pytest.mark.parametrize("when", ["before", "while it is called"])
def test_an_answer_that_patches_the_checks_is_found_out(capsys, monkeypatch, name, when):
    global monkey

    def monkey(place, name, value):
        put = monkeypatch.setitem if isinstance(place, dict) else monkeypatch.setattr
        put(place, name, value)

    def answer(x):
        PATCHES[name]()
        return 2.0

    if when == "before":
        PATCHES[name]()
    claim = checks.given(3.0).returns(9.0)
    globals()["answer"] = answer
    assert "✗ answer: not yet. " in says(capsys, "answer", claim)
    monkeypatch.undo()


class Anything:
    def __eq__(self, other):
        return True

    __hash__ = None


def test_what_is_kept_stays_as_it_was():
    notebook = {"__name__": "__main__", "keep": checks.keep, "np": np}
    exec("table = np.ones(3)\ndef total(): return table.sum()\ndef twice(): return 2 * total()", notebook)
    exec("keep('twice', 'table')\ntable[:] = 0\ntotal = lambda: 9\ntable = None", notebook)
    assert checks.keep.twice() == 6 and checks.keep.table.tolist() == [1, 1, 1] and notebook["twice"]() == 18


def test_an_object_that_equals_everything_is_not_correct(capsys):
    globals()["answer"] = Anything()
    for expected in (2.0, "axial", np.ones(3)):
        assert "not yet" in says(capsys, "answer", equals(expected))


def test_the_first_time_a_hint_ends_at_its_colon(capsys):
    claim = equals(2.5, {"It is too small: add a half.": 2.0})
    first = "✗ value: not yet. It is too small. Run this check again for more."
    assert says(capsys, "value", equals(2.0), times=1) == "✓ value: correct"
    assert says(capsys, "value", claim, times=1) == first
    assert says(capsys, "value", claim, times=1) == "✗ value: not yet. It is too small: add a half."
    assert says(capsys, "value", equals(3.0, {"Another: x.": 2.0}), times=1).startswith("✗ value: not yet. Another.")


def test_what_is_done_is_counted(capsys):
    checks._correct.clear()
    globals().update(EXERCISES=2, first=1.0, second=2.0)
    try:
        assert says(capsys, "first", equals(1.0), times=1) == "✓ first: correct (1 of 2 done)"
        assert "done" not in says(capsys, "second", equals(1.0), times=1)
        assert says(capsys, "second", equals(2.0), times=1) == "✓ second: correct (2 of 2 done)"
        globals()["first"] = 3.0  # changed, and not checked since
        assert says(capsys, "second", equals(2.0), times=1) == "✓ second: correct (1 of 2 done)"
    finally:
        del globals()["EXERCISES"]


def test_the_solution_takes_the_place_of_what_is_not_correct_and_says_so(capsys):
    def double(x):
        return x + 1

    globals()["double"] = double
    claim = given(3.0).returns(6.0)
    check("double", claim)

    def reference(x):
        return 2 * x

    reference.__name__ = "double"
    globals()["double"] = solution(reference)
    assert globals()["double"] is reference
    assert says(capsys, "double", claim).startswith("· double: not tried yet (the solution stands in its place")
    globals()["double"] = lambda x: x * 2
    check("double", claim)
    assert solution(reference) is globals()["double"] is not reference
    globals()["double"] = double  # changed after the check
    assert solution(reference) is reference


# What an answer leaves behind


def session():
    """What an answer must not change for the cells below."""
    return {
        "folder": os.getcwd(), "recursion": sys.getrecursionlimit(), "random": random.getstate(),
        "numpy": str(np.random.get_state()), "torch": torch.get_rng_state().tolist(), "type": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(), "threads": torch.get_num_threads(), "errors": np.geterr(),
        "printing": np.get_printoptions(), "warnings": warnings.filters[:], "streams": (sys.stdout, sys.stderr),
    }  # fmt: skip


CHANGES = {
    "folder": lambda: os.chdir("/"),
    "recursion": lambda: sys.setrecursionlimit(3000),
    "random": lambda: random.seed(5),
    "numpy": lambda: np.random.seed(5),
    "torch": lambda: torch.manual_seed(5),
    "torch, drawn": lambda: torch.rand(3),
    "type": lambda: torch.set_default_dtype(torch.float64),
    "gradients": lambda: torch.set_grad_enabled(False),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "errors": lambda: np.seterr(all="raise"),
    "printing": lambda: np.set_printoptions(precision=1),
    "warnings": lambda: warnings.simplefilter("error"),
    "streams": lambda: setattr(sys, "stdout", None),
}


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_a_check_leaves_the_session_as_it_was(capsys, name, stops):
    """A right answer gives the cells below the same random numbers as an exercise that was left out."""

    def answer(x):
        CHANGES[name]()
        if stops:
            raise SystemExit
        return 2 * x

    globals()["answer"], before = answer, session()
    assert ("✗" if stops else "✓") in says(capsys, "answer", given(1.0).returns(2.0))
    assert session() == before


@pytest.mark.parametrize("name", ["type", "gradients", "errors"])
def test_a_check_puts_back_how_numbers_are_calculated(capsys, name):
    """A cell before it may have changed that, which would stop the cells below, as a training without gradients."""
    before = session()
    try:
        CHANGES[name]()
        assert session() != before
        begun = holds(lambda _: torch.is_grad_enabled() and torch.ones(1).dtype == torch.float32, "not as it began")
        assert says(capsys, "value", begun) == "✓ value: correct"
        assert session() == before
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        np.seterr(**before["errors"])


def test_a_check_in_a_folder_that_is_gone_still_answers(capsys, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert says(capsys, "value", equals(2)) == "✓ value: correct"


def test_an_answer_may_remove_itself(capsys):
    def answer(x):
        del globals()["answer"]
        return 2 * x

    globals()["answer"] = answer
    assert says(capsys, "answer", given(1.0).returns(2.0), times=1) == "✓ answer: correct"


@pytest.mark.parametrize("gone", [False, True])
def test_an_answer_that_takes_print_away_is_told_so(capsys, monkeypatch, gone):
    monkeypatch.setattr(builtins, "print", print)  # to be put back

    def answer(x):
        builtins.print = None
        if gone:
            del builtins.print
        return 2 * x

    globals()["answer"] = answer
    assert "builtins.print has been replaced in this notebook: " in says(capsys, "answer", given(1.0).returns(2.0))


class Shy:
    @property
    def __class__(self):
        raise SystemExit


def test_an_answer_of_no_known_kind_is_no_end(capsys):
    globals()["answer"] = Shy()
    assert "answer: not yet" in says(capsys, "answer", equals(2.0))


@pytest.mark.parametrize("message", ["x" * 10**6, "a\nb\r\n✓ answer: correct (9 of 9 done)", "\x1b[2J\x07\x00"])
def test_the_message_of_an_error_stays_in_its_line(capsys, message):
    def answer(x):
        raise ValueError(message)

    globals()["answer"] = answer
    for _ in "ab":
        capsys.readouterr()
        check("answer", given(1.0).returns(2.0))
    said = capsys.readouterr().out.replace(checks.RED, "").replace(checks.PLAIN, "")
    assert said.startswith("✗ answer: not yet. Your answer stops with ValueError: ") and len(said) < 500
    assert said.count("\n") == 1 and said[:-1].isprintable()


def test_a_dictionary_is_shown_whole(capsys):
    globals()["answer"] = {"a": 9}
    assert says(capsys, "answer", equals(2.0), times=1).startswith("✗ answer: not yet. {'a':9} is not right yet.")


def test_what_goes_to_the_other_stream_without_end_is_stopped_too(capsys):
    def answer(x):
        while True:
            sys.stderr.write("again and again")

    globals()["answer"] = answer
    assert says(capsys, "answer", given(1.0).returns(2.0)).endswith("it prints without end.")


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_a_right_number_of_any_precision_is_right(capsys, kind):
    globals()["answer"] = lambda x: torch.tensor(2.0, dtype=kind)
    assert says(capsys, "answer", given(1.0).returns(2.0)) == "✓ answer: correct"
