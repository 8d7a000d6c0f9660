"""What training scripts keep on disk is made anew when it is damaged, or of other code or settings."""

import sys
from pathlib import Path

import pytest
import torch

from synthcohort import storage

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from banks import bank

SETTINGS = {"seed": 1, "spacing": 8.0, "people": 2, "age_range": (20.0, 30.0)}


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """How often something was made; the data folder is empty."""
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path))
    return []


def ask(calls: list, **changed) -> torch.Tensor:
    def make():
        calls.append(changed)
        return {"maps": torch.arange(4000, dtype=torch.uint8).view(4, 10, 10, 10) + len(calls)}

    return bank("head-8mm-2", SETTINGS | changed, make)["maps"]


def test_it_is_made_once(calls, tmp_path):
    assert torch.equal(ask(calls), ask(calls)) and len(calls) == 1
    (file,) = (tmp_path / "banks").iterdir()
    assert file.name.startswith("head-8mm-2-") and file.suffix == ".safetensors"


@pytest.mark.parametrize("changed", [{"seed": 2}, {"spacing": 4.0}, {"people": 3}, {"age_range": (20.0, 31.0)}])
def test_other_settings_are_another_bank(calls, changed):
    ask(calls)
    ask(calls, **changed)
    ask(calls)
    assert len(calls) == 2


def test_other_code_is_another_bank(calls, monkeypatch):
    ask(calls)
    monkeypatch.setattr(storage, "_code", lambda *_: "another")
    ask(calls)
    assert len(calls) == 2


def test_what_another_function_makes_is_another_bank(calls):
    def brighter():
        return {"maps": 2 * torch.ones(1)}

    ask(calls)
    assert bank("head-8mm-2", SETTINGS, brighter)["maps"] == 2


@pytest.mark.parametrize("damage", ["a bit", "cut short", "empty"])
def test_a_damaged_one_is_made_anew(calls, tmp_path, damage):
    ask(calls)
    (file,) = (tmp_path / "banks").iterdir()
    content = bytearray(file.read_bytes())
    content[-100] ^= 1  # in the middle of the values: still a sound file
    file.write_bytes({"a bit": bytes(content), "cut short": content[:-100], "empty": b""}[damage])
    again = ask(calls)
    assert len(calls) == 2 and again[0, 0, 0, 0] == 2
    assert torch.equal(ask(calls), again) and len(calls) == 2
