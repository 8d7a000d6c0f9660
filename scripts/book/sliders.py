"""The positions of a slider that the book shows, taken in the kernel of a notebook (scripts/measure_notebooks.py).

A control has five positions, of two controls each has three, and three or more move together; one position is where the
slider starts.
"""

import html
import itertools
import json
import re
import statistics
import time
from math import log
from pathlib import Path
from typing import Any
from unittest import mock

from presimal import figures


def choices(control: Any, count: int, inner: bool, middle: bool) -> list[Any]:
    """Values of one control, from low to high; the nearest to where it stands, or the middle one, is that itself."""
    if hasattr(control, "options"):
        return [value for _, value in control._options_full]
    low, high = (0.2, 0.8) if inner else (0.0, 1.0)  # the first and the last slice of a scan are empty
    places = [control.min + (low + (high - low) * k / (count - 1)) * (control.max - control.min) for k in range(count)]
    places = [control.min + round((place - control.min) / control.step) * control.step for place in places]
    log_scale = hasattr(control, "base")  # nothing is moved here: a figure may remember what was tried
    found = [control.base**place if log_scale else type(control.value)(round(place, 6)) for place in places]
    now = log(control.value, control.base) if log_scale else control.value
    nearest = min(range(count), key=lambda k: abs(places[k] - now))
    found[count // 2 if middle else nearest] = control.value
    return found


def groups(controls: dict[str, Any]) -> list[dict[str, Any]]:
    """What is chosen by one row of buttons each: {"legend", "names": of the controls, "values": one list a button}."""
    together, count = len(controls) > 2, 3 if len(controls) == 2 else 5
    inner = together or "slice" in "".join(control.description for control in controls.values())
    values = {name: choices(control, count, inner, together) for name, control in controls.items()}
    if not together:
        return [{"legend": one.description, "names": [name], "values": [[value] for value in values[name]]}
                for name, one in controls.items()]  # fmt: skip
    legend = ", ".join(control.description for control in controls.values())
    return [
        {"legend": legend, "names": [*controls], "values": [list(row) for row in zip(*values.values(), strict=True)]}
    ]


def label(controls: dict[str, Any], names: list[str], values: list[Any]) -> str:
    shown = []
    for name, value in zip(names, values, strict=True):
        words = [text for text, one in getattr(controls[name], "_options_full", ()) if one is value or one == value]
        shown.append(words[0] if words else f"{value:.3g}".replace("-", "−"))
    return ", ".join(shown)


def record(folder: str) -> None:
    """From now on each slider of this kernel leaves a file of its positions in the folder."""
    original, numbers = figures.slide, itertools.count(1)

    def slide(figure: Any, update: Any, **controls: Any) -> None:
        with mock.patch.object(figures, "display") as display:
            original(figure, update, **controls)
        (shown,) = display.call_args.args
        taken = take(controls, shown.children[-2])
        Path(folder, f"{next(numbers)}.json").write_text(json.dumps(taken), encoding="utf-8")

    figures.slide = slide


def take(controls: dict[str, Any], picture: Any) -> dict[str, Any]:
    """A slider: "groups" of {"legend", "labels", "start"}, "pictures" [sentence, PNG] with the last group fastest, and
    "seconds" from a new value to a new picture."""
    found = groups(controls)
    start = {name: control.value for name, control in controls.items()}
    pictures, seconds = [], []
    for chosen in itertools.product(*(group["values"] for group in found)):
        for group, values in zip(found, chosen, strict=True):
            for name, value in zip(group["names"], values, strict=True):
                before, began = picture.value, time.process_time()
                controls[name].value = value
                if picture.value != before:
                    seconds.append(time.process_time() - began)
        ((alternative, source),) = re.findall(r'^<img alt="(.*?)" src="data:image/png;base64,(.*)">$', picture.value)
        pictures.append([html.unescape(alternative), source])
    rows = [
        {
            "legend": group["legend"],
            "labels": [label(controls, group["names"], values) for values in group["values"]],
            "start": [values == [start[name] for name in group["names"]] for values in group["values"]].index(True),
        }
        for group in found
    ]
    return {"groups": rows, "pictures": pictures, "seconds": round(statistics.median(seconds), 3)}
