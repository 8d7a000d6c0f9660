"""A stored notebook as a page of MyST Markdown and the pictures on it; nothing is run."""

import base64
import html
import io
import re
from collections.abc import Iterator
from typing import Any

import PIL.Image

Cell = dict[str, Any]
Pictures = dict[str, bytes]  # {path in the book: PNG}

STORED = re.compile(r"[ \t]*<!--.*?-->", re.DOTALL)  # what a comment says is for the tests
SUMMARIES = {"install": "Set-up", "setup": "Set-up", "drawing": "How it is drawn", "hide-input": "Code"}
EXERCISES = {"check": "Check", "solution": "Solution"}  # folded with all that they print
PREDICT = "Predict first, then open"
SLIDERS = "*The sliders move in the notebook; the picture below shows where they can stand.*"


def page(notebook: dict[str, Any], stem: str, links: str = "") -> tuple[str, Pictures]:
    """The page of one notebook, with a line of links below its title, and its pictures."""
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
            parts.append(source)
        else:
            for part in _code(cell, stem, pictures, asked):
                opening, closing = part.partition("\n\n")[0], "\n\n</details>"
                if 'class="source"' in opening and parts[-1].startswith(opening + "\n"):  # one fold for two cells
                    parts[-1] = parts[-1].removesuffix(closing) + part.removeprefix(opening)
                else:
                    parts.append(part)
    title, _, rest = parts[0].partition("\n")
    return "\n\n".join([title, links, rest, *parts[1:]]) + "\n", pictures


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


def _code(cell: Cell, stem: str, pictures: Pictures, asked: bool) -> Iterator[str]:
    source, tags = _fence("".join(cell["source"]), "python"), _tags(cell)
    outputs = list(_outputs(cell, stem, pictures))
    if "static-twin" in tags:
        outputs = _positions(outputs, f"{stem}-{len(pictures)}")
    for tag, summary in EXERCISES.items():
        if tag in tags:
            yield _fold(summary, "\n\n".join([source, *outputs]), "exercise")
            return
    summary = next((summary for tag, summary in SUMMARIES.items() if tag in tags), "")
    yield _fold(_name(cell) or summary, source, "source") if summary else source
    if "widget" in tags:
        yield SLIDERS
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


def _positions(outputs: list[str], name: str) -> list[str]:
    """Of several pictures one is seen at a time: radio buttons choose, with mouse, finger or keys, without a script."""
    drawn = [output for output in outputs if output.startswith("<img ")]
    if len(drawn) < 2:
        return outputs
    buttons = "".join(
        f'<input type="radio" name="{name}" id="{name}-{k}"{" checked" * (k == 1)}><label for="{name}-{k}">{k}</label>'
        for k in range(1, len(drawn) + 1)
    )
    pictures = "".join(output.replace(' loading="lazy"', "") for output in drawn)
    chosen = f'<fieldset class="positions"><legend>Positions of the sliders</legend>{buttons}{pictures}</fieldset>'
    return [chosen, *(output for output in outputs if output not in drawn)]


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
