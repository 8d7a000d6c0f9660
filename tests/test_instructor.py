"""The instructor's page: its minutes and seconds are those that are counted and measured in the notebooks."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import time_sections  # noqa: E402

PAGE = (ROOT / "notebooks" / "INSTRUCTOR.md").read_text(encoding="utf-8")
TIMINGS = time_sections.timings()
notebooks = pytest.mark.parametrize("stem", TIMINGS)


def minutes(stem):
    """Of the core, and with what is after the course."""
    core, later = (sum(section.minutes[k] for section in TIMINGS[stem]) for k in (0, 1))
    return core, core + later


def rows(text):
    """{notebook: {section: numbers}} of the tables at the end of the page."""
    tables = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    found = {}
    for table in tables:
        cells = [[cell.strip() for cell in line.split(" | ")] for line in table.splitlines() if line.startswith("| ")][
            1:
        ]
        found[table[:2]] = {
            row[0].lstrip("| "): [float(cell.rstrip(" |").replace("–", "0")) for cell in row[1:]] for row in cells
        }
    return found


@notebooks
def test_the_table_is_what_the_notebook_gives(stem):
    """Else: python scripts/time_sections.py. Small edits of the prose may wait."""
    written, counted = (
        rows(text.split(time_sections.TITLE)[1])[stem[:2]] for text in (PAGE, time_sections.tables(TIMINGS))
    )
    assert [*written] == [*counted]
    for name, numbers in counted.items():
        core, later, words, exercises, seconds = written[name]
        assert abs(core - numbers[0]) <= 1 + 0.05 * core and abs(later - numbers[1]) <= 1 + 0.05 * later, name
        assert abs(words - numbers[2]) <= 10 + 0.1 * words and exercises == numbers[3], name
        assert abs(seconds - numbers[4]) <= 2 + 0.1 * seconds, name


@notebooks
def test_what_is_said_elsewhere_agrees_with_the_table(stem):
    """To five minutes, in the notebook's entry and in its title, which are rounded to five."""
    counted = minutes(stem)
    entry = re.search(rf"^## {stem[:2]} · .+?\*\*Timing\*\* (.+?)\n- \*\*Say", PAGE, flags=re.MULTILINE | re.DOTALL)[1]
    title = "".join(
        json.loads((ROOT / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"][0]["source"]
    )
    row = title.splitlines()[6].split("|")
    said = [int(number) for number in re.findall(r"\d+", re.sub(r"\(.*?\)", "", row[1]))]
    if stem.startswith("00"):
        assert abs(sum(said) - counted[1]) <= 2 and entry.startswith("20 minutes")
    else:
        assert all(abs(one - true) <= 5 for one, true in zip(said, counted, strict=True)), counted
        written = [int(number) for number in re.findall(r"^(\d+) minutes, (\d+) with", entry)[0]]
        assert all(abs(one - true) <= 5 for one, true in zip(written, counted, strict=True)), counted
    measured = sum(section.seconds for section in TIMINGS[stem])
    if not measured:
        pytest.skip(f"no seconds yet: python scripts/measure_notebooks.py {stem[:2]}")
    told = int(
        re.search(r"Runs in (\d+) s", entry)[1]
    )  # with the start of a kernel, on a machine that does nothing else
    assert abs(measured + 5 - told) <= 0.3 * told


def test_the_hours_of_the_course():
    core, with_all = (sum(minutes(stem)[k] for stem in TIMINGS) / 60 for k in (0, 1))
    words = {10: "ten", 11: "eleven", 12: "twelve", 3: "three", 4: "four", 5: "five", 6: "six"}

    def told(hours):  # to the nearest half
        halves = round(2 * hours)
        return words[halves // 2] + " and a half" * (halves % 2)

    assert f"{told(core)} hours of teaching" in PAGE and f"and {told(with_all - core)} more" in PAGE


def test_what_is_counted_and_what_not():
    def cell(kind, source, *tags, pictures=0):
        outputs = [{"data": {"image/png": ""}}] * pictures
        return {"cell_type": kind, "source": source, "metadata": {"tags": [*tags]}, "outputs": outputs}

    cells = [
        cell("markdown", "# 00 · Title\n" + "word " * 146 + "<!-- stored: x -->"),
        cell("markdown", "## 1 · So\n<details>an answer</details>"),
        cell("markdown", "**Say:** " + "word " * 1000, "instructor"),
        cell("code", "import a\n" * 100, "hide-input"),
        cell("code", "x = 1\n\n" * 15, pictures=2),
        cell("code", "", "exercise"),
        cell("markdown", "### Exercise 2 · After the course: more\n" + "word " * 296),
        cell("markdown", "### Back\n## 2 · After the course: later\n" + "word " * 150),
    ]
    first, so, later = time_sections.sections({"cells": cells}, {"1 · So": {"1": 60.0, "2": 4.9}, "2 · After the": {}})
    assert (first.name, first.words, so.name, later.name) == ("the beginning", 148, "1 · So", "2 · Later")
    assert first.minutes == [pytest.approx(148 / 150), 0]
    assert so.minutes == [pytest.approx(1 + 2 + 4 + 1 + 3 / 150), pytest.approx(302 / 150)]  # lines, pictures, …, wait
    assert (so.exercises, so.seconds, later.minutes[0]) == (1, 64.9, 0)
