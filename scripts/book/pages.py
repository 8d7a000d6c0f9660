"""A stored notebook as a page of MyST Markdown and the pictures on it; nothing is run."""

import base64
import html
import io
import re
import zlib
from collections.abc import Iterator
from typing import Any

import PIL.Image

Cell = dict[str, Any]
Pictures = dict[str, bytes]  # {path in the book: PNG or WebP}
Sliders = dict[str, dict[str, Any]]  # {key of a cell: what scripts/measure_notebooks.py keeps, and "files", the bytes}

STORED = re.compile(r"[ \t]*<!--.*?-->", re.DOTALL)  # what a comment says is for the tests
TITLE_TABLE = re.compile(r"^\| (minutes.*)\|(.+)\|(.+)\|\n\|[-| ]+\n\|(.+)\|(.+)\|(.+)\|$", re.MULTILINE)
SUMMARIES = {"install": "Set-up", "setup": "Set-up", "drawing": "How it is drawn", "hide-input": "Code"}
EXERCISES = {"check": "Check", "solution": "Solution"}  # folded with all that they print
PREDICT = "Predict first, then open"
MOVES = "*It moves in the notebook; the picture below shows where it can stand.*"
POSITIONS = "Positions of the slider; in the notebook it moves"


def key(source: str) -> str:
    """By which a cell's code is known in what scripts/measure_notebooks.py has kept of it."""
    return str(zlib.crc32(source.encode()))


def page(notebook: dict[str, Any], stem: str, links: str = "", sliders: Sliders | None = None) -> tuple[str, Pictures]:
    """The page of one notebook, with a line of links below its title, and its pictures; `sliders` are {key of a cell:
    its positions}."""
    pictures: Pictures = {}
    parts: list[str] = []
    asked = False  # must the reader first predict what comes?
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            source = prose(cell, stem, pictures)
            if "instructor" in _tags(cell):
                parts.append(_fold("For the instructor", f":::{{container}} instructor\n{source}\n:::", "instructor"))
                continue
            asked = "**Predict" in source
            parts.append(re.sub(r"^# ", "## ", source) if parts else source)  # a page has one title
        else:
            for part in _code(cell, stem, pictures, asked, sliders or {}):
                opening, closing = part.partition("\n\n")[0], "\n\n</details>"
                if 'class="source"' in opening and parts[-1].startswith(opening + "\n"):  # one fold for two cells
                    parts[-1] = parts[-1].removesuffix(closing) + part.removeprefix(opening)
                else:
                    parts.append(part)
    title, _, rest = TITLE_TABLE.sub(listed, parts[0]).partition("\n")
    return "\n\n".join([title, links, rest, *parts[1:]]) + "\n", pictures


def listed(table: re.Match[str]) -> str:
    """The table of a title as lines, for a phone is too narrow for three columns."""
    minutes, seconds, able, *values, goals = (cell.strip() for cell in table.groups())
    first = f"{minutes.capitalize()}: {values[0]}. {seconds.capitalize().replace('cpu', 'CPU')}: {values[1]}."
    return "\n".join([first, "", f"{able.capitalize()}", "", *(f"- {goal}" for goal in goals.split("<br>"))])


def prose(cell: Cell, stem: str, pictures: Pictures) -> str:
    """The Markdown of a cell: comments gone, what is folded in it ready to be parsed, names of notebooks linked."""
    text = STORED.sub("", "".join(cell["source"]))
    text = re.sub(r"(</summary>|</details>)\n*", r"\1\n\n", text).replace("</details>", "\n</details>")
    for name, files in cell.get("attachments", {}).items():
        path = f"figures/{stem}-{name}"
        pictures[path] = base64.b64decode(files["image/png"])
        alternative = re.search(rf"!\[([^\]]*)\]\(attachment:{re.escape(name)}\)", text)
        if alternative:
            text = text.replace(alternative[0], image(path, alternative[1], pictures[path]))
    return re.sub(r"`(\d\d_\w+)`", r"[\1](\1.md)", text)


def image(path: str, alternative: str, png: bytes) -> str:
    """A picture that takes its place before it is there, and is fetched when it is about to be seen."""
    with PIL.Image.open(io.BytesIO(png)) as picture:
        width, height = picture.size
    alternative = html.escape(" ".join(alternative.split()))
    return f'<img src="{path}" alt="{alternative}" width="{width}" height="{height}" loading="lazy">'


def _code(cell: Cell, stem: str, pictures: Pictures, asked: bool, sliders: Sliders) -> Iterator[str]:
    source, tags = _fence("".join(cell["source"]), "python"), _tags(cell)
    outputs = list(_outputs(cell, stem, pictures))
    if "widget" in tags:
        slider = sliders.get(key("".join(cell["source"])))
        outputs = [_positions(slider, pictures) if slider else MOVES]
    for tag, summary in EXERCISES.items():
        if tag in tags:
            yield _fold(summary, "\n\n".join([source, *outputs]), "exercise")
            return
    summary = next((summary for tag, summary in SUMMARIES.items() if tag in tags), "")
    yield _fold(_name(cell) or summary, source, "source") if summary else source
    if outputs:
        shown = "\n\n".join(outputs)
        yield _fold(PREDICT, shown, "predict") if asked else shown


def _outputs(cell: Cell, stem: str, pictures: Pictures) -> Iterator[str]:
    """What a cell has shown. A picture's sentence is its alternative text, so the line that repeats it goes."""
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            path, png = f"figures/{stem}-{len(pictures) + 1}.png", base64.b64decode("".join(data["image/png"]))
            pictures[path] = png
            yield image(path, output["metadata"]["image/png"]["alt"], png)
        elif "text/markdown" in data:
            yield STORED.sub("", "".join(data["text/markdown"]))
        else:
            text = "".join(output.get("text", data.get("text/plain", "")))
            text = re.sub(r"^Figure: .*\n?", "", text, flags=re.MULTILINE)
            if text.strip():
                yield f'<div class="output">\n\n{_fence(text, "text")}\n\n</div>'


def _positions(slider: dict[str, Any], pictures: Pictures) -> str:
    """One picture is seen at a time: radio buttons choose, with mouse, finger or keys, without a script, and screen
    readers say its sentence."""
    drawn = []
    for (sentence, name), content in zip(slider["pictures"], slider["files"], strict=True):
        pictures[f"figures/{name}"] = content
        drawn.append(image(f"figures/{name}", sentence, content))
    rows = ""
    for number, group in enumerate(slider["groups"]):
        name, buttons = f"{slider['pictures'][0][1].partition('.')[0]}-{number}", ""
        for k, label in enumerate(group["labels"]):
            checked = " checked" * (k == group["start"])
            buttons += f'<label><input type="radio" name="{name}"{checked}> {html.escape(label)}</label>'
        rows += f"<fieldset><legend>{html.escape(group['legend'])}</legend>{buttons}</fieldset>"
    kind, live = f"positions of-{len(slider['groups'])}", f'<div aria-live="polite">{"".join(drawn)}</div>'
    return f'<div class="{kind}" role="group" aria-label="{POSITIONS}">{rows}{live}</div>'


def _name(cell: Cell) -> str:
    """What the first line of a folded drawing says that it draws."""
    first = "".join(cell["source"]).split("\n")[0]
    return first.lstrip("# ").rstrip(".") if "drawing" in _tags(cell) and first.startswith("# ") else ""


def _fold(summary: str, content: str, kind: str) -> str:
    return f'<details class="{kind}"><summary>{html.escape(summary)}</summary>\n\n{content}\n\n</details>'


def _fence(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def _tags(cell: Cell) -> list[str]:
    return list(cell["metadata"].get("tags", []))
