"""Constants that stand in a table beside their module: each with its unit, and with its source or "by eye"."""

import tomllib
from pathlib import Path
from types import SimpleNamespace


def constants(module: str, table: str = "") -> SimpleNamespace:
    """The names and values of a .toml: `constants(__file__)` in growth.py are those of growth.toml beside it."""
    file = Path(module)
    return SimpleNamespace(**tomllib.loads(file.with_name(f"{table or file.stem}.toml").read_text("utf-8")))
