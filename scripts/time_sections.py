"""Write how long each section takes to teach into the page for instructors: `python scripts/time_sections.py`.

Everything is counted in the stored notebooks, but for the seconds of long cells, which scripts/measure_notebooks.py has
measured. What is under a heading that says "after the course" is counted apart. Instructor's notes, answers and folded
code do not count.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "notebooks" / "INSTRUCTOR.md"
TITLE = "## How long each section takes"
# Words a minute; seconds for a line, a picture and an exercise; seconds of a cell that is waited for.
WORDS, LINE, PICTURE, EXERCISE, LONG = 150, 4, 60, 240, 5.0
RULE = f"""{TITLE}

No class has been timed with a clock. The minutes follow from what stands in the notebooks, by one rule: {WORDS} words
a minute, {LINE} seconds for each line of code that is not folded, {PICTURE} seconds for a picture, {EXERCISE // 60}
minutes for an exercise, and the wait for cells of {LONG:.0f} seconds and more. The seconds are measured, on one core
of two; a notebook with a dash in its last line has yet to be. `python scripts/time_sections.py` counts anew.
"""
HEAD = """
### {number}

| section | minutes | after the course | words | exercises | seconds |
|---|---|---|---|---|---|
"""


@dataclass
class Section:
    """What is counted in one section; `minutes` of the core and after the course."""

    name: str
    seconds: float = 0.0
    words: int = 0
    exercises: int = 0
    minutes: list[float] = field(default_factory=lambda: [0.0, 0.0])


def sections(notebook: dict[str, Any], seconds: dict[str, dict[str, float]]) -> list[Section]:
    """The sections of a notebook, what stands above the first included; `seconds` are {section: {cell: seconds}}."""
    found, later = [Section("the beginning")], [False, False]
    for cell in notebook["cells"]:
        tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
        if cell["cell_type"] == "code":
            folded = {"hide-input", "install"} & set(tags)
            lines = sum(bool(line.strip()) for line in source.split("\n")) * (not folded)
            pictures = sum("image/png" in output.get("data", {}) for output in cell["outputs"])
            exercise = "exercise" in tags
            found[-1].exercises += exercise
            found[-1].minutes[any(later)] += (LINE * lines + PICTURE * pictures + EXERCISE * exercise) / 60
        for part in re.split(r"^(?=##+ )", source, flags=re.MULTILINE) if cell["cell_type"] == "markdown" else ():
            if heading := re.match(r"(##+) (.+)", part):
                deep = len(heading[1]) > 2
                later[deep:] = ["after the course" in heading[2].lower()] * (2 - deep)
                if not deep:
                    name = re.sub(r"\s*\*?\(?after the course[:)]*\*?", "", heading[2], flags=re.I)
                    took = seconds.get(heading[2], {}).values()
                    found.append(
                        Section(re.sub(r"(?<=· )\w", lambda letter: letter[0].upper(), name), seconds=sum(took))
                    )
                    found[-1].minutes[later[0]] += sum(one for one in took if one >= LONG) / 60
            if "instructor" not in tags:
                read = re.sub(r"<!--.*?-->|<details>.*?</details>", "", part, flags=re.DOTALL)
                words = len(re.findall(r"\w+", read))
                found[-1].words += words
                found[-1].minutes[any(later)] += words / WORDS
    return found


def timings() -> dict[str, list[Section]]:
    """{notebook: its sections}."""
    measured = json.loads((ROOT / "notebooks" / "seconds.json").read_text(encoding="utf-8"))
    files = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return {
        file.stem: sections(json.loads(file.read_text(encoding="utf-8")), measured.get(file.stem, {})) for file in files
    }


def tables(all_sections: dict[str, list[Section]]) -> str:
    """One table a notebook, with its sum."""
    text = RULE
    for stem, listed in all_sections.items():
        text += HEAD.format(number=stem[:2])
        numbers = [[*one.minutes, one.words, one.exercises, one.seconds] for one in listed]
        sums = [sum(column) for column in zip(*numbers, strict=True)]
        for name, row in zip([*(one.name for one in listed), "**all**"], [*numbers, sums], strict=True):
            text += f"| {name} | {' | '.join(f'{number:.0f}' if round(number) else '–' for number in row)} |\n"
    return text


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8").split(TITLE)[0]
    PAGE.write_text(before + tables(timings()), encoding="utf-8")
