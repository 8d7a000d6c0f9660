"""Weights on disk: what is loaded is what was saved, and what is damaged is refused."""

import json

import pytest
import torch
from safetensors import safe_open

from brainscans import networks
from brainscans.networks.weights import FOLDERS
from synthcohort.storage import DataError


@pytest.fixture
def stored(tmp_path):
    torch.manual_seed(0)
    model = networks.UNet(2, 1, (4, 8)).eval()
    networks.save(model, tmp_path / "tiny.safetensors", people=7, score=[0.5, 0.6])
    return model, tmp_path / "tiny.safetensors"


def test_the_same_network_comes_back(stored):
    model, file = stored
    again, header = networks.load(str(file))
    x = torch.randn(1, 2, 8, 8, 8)
    assert torch.allclose(model(x), again(x), atol=5e-3)  # parameters are kept as float16
    assert not again.training and next(again.parameters()).dtype == torch.float32
    assert header == {"network": "UNet", "people": 7, "score": [0.5, 0.6],
                      "arguments": {"channels": 2, "regions": 1, "widths": [4, 8], "skips": True}}  # fmt: skip


def test_the_file_is_plain_safetensors_that_says_what_it_is(stored):
    with safe_open(stored[1], "pt") as content:
        assert json.loads(content.metadata()["presimal"])["network"] == "UNet"
        assert content.get_tensor("head.weight").dtype == torch.float16


@pytest.mark.parametrize("fault", ["cut short", "empty", "other sizes", "no header", "unknown network"])
def test_damaged_files_are_refused_in_one_sentence(stored, fault, tmp_path):
    from safetensors.torch import load_file, save_file

    _, file = stored
    header = {"network": "UNet", "arguments": {"channels": 2, "regions": 1, "widths": [4, 8]}}
    if fault == "cut short":
        file.write_bytes(file.read_bytes()[:-100])
    elif fault == "empty":
        file.write_bytes(b"")
    else:
        if fault == "other sizes":
            header["arguments"]["widths"] = [4, 12]
        if fault == "unknown network":
            header["network"] = "Oracle"
        save_file(load_file(file), file, None if fault == "no header" else {"presimal": json.dumps(header)})
    with pytest.raises(DataError, match="damaged or holds another network") as refused:
        networks.load(str(file))
    assert "\n" not in str(refused.value)


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(DataError, match="choose from"):
        networks.load("oracle")


def test_a_folder_is_no_weights(tmp_path):
    (tmp_path / "own.safetensors").mkdir()
    with pytest.raises(DataError, match="There are no weights"):
        networks.load(str(tmp_path / "own.safetensors"))


def test_all_shipped_weights_load_are_small_and_say_how_they_were_made():
    readme = (FOLDERS[0] / "README.md").read_text(encoding="utf-8")
    shipped = sorted(FOLDERS[0].glob("*.safetensors"))
    assert shipped
    for file in shipped:
        model, header = networks.load(file.stem)
        assert file.stat().st_size < 6e6
        assert {"network", "arguments", "people", "script", "minutes"} <= header.keys()
        assert f"`{file.name}`" in readme
        assert all(torch.isfinite(p).all() for p in model.parameters())
