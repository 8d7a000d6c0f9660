"""Weights on disk: what is loaded is what was saved, and what is damaged is refused."""

import json
import random

import pytest
import torch
from safetensors import safe_open

from brainscans import networks
from brainscans.networks.weights import FOLDERS
from presimal.cli import main
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


def test_a_file_without_its_checksums_is_refused(stored):
    from safetensors.torch import load_file, save_file

    _, file = stored
    with safe_open(file, "pt") as content:
        header = content.metadata()
    for lacking in ("checksum", "header_checksum", "presimal"):
        save_file(load_file(file), file, {key: value for key, value in header.items() if key != lacking})
        with pytest.raises(DataError, match="lacks its checksum"):
            networks.load(str(file))
    save_file(load_file(file), file, header)
    networks.load(str(file))


def test_no_flipped_bit_passes(stored, tmp_path):
    """Half of those in the parameters, and all in how many people it was trained on, were taken before."""
    model, file = stored
    whole, draw, refused = file.read_bytes(), random.Random(0), 0
    size = int.from_bytes(whole[:8], "little")
    for number in range(200):
        spoiled, copy = bytearray(whole), tmp_path / f"{number}.safetensors"
        where = draw.randrange(size + 8) if number % 2 else draw.randrange(size + 8, len(whole))
        spoiled[where] ^= 1 << draw.randrange(8)
        copy.write_bytes(spoiled)
        try:
            again, header = networks.load(str(copy))
        except DataError as problem:
            refused += "\n" not in str(problem)
            continue
        same = zip(again.state_dict().values(), model.half().float().state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in same) and header["people"] == 7, number
    assert refused > 190


def test_a_network_for_something_else_is_named(stored):
    with pytest.raises(
        DataError, match=r"holds another network \(UNet of .*'channels': 2.*give one of .*'channels': 4"
    ):
        networks.load(str(stored[1]), channels=4, regions=3)
    networks.load(str(stored[1]), channels=2, regions=1)


def test_segment_with_weights_that_are_not_its_own_is_one_sentence(stored, tmp_path, capsys):
    files = [str(tmp_path / f"{k}.nii.gz") for k in range(4)]
    (tmp_path / "x.pt").write_bytes(b"PK\3\4")
    other = str(FOLDERS[0] / "skull_stripping.safetensors")
    for weights, words in {
        str(stored[1]): "holds another network",
        other: "holds another network",
        "brain_age": "holds another network (AgeNet",
        str(tmp_path / "x.pt"): "x.pt is damaged or holds another network",
        str(tmp_path / "none.pt"): "There are no weights",
        "none": "There are no weights 'none': choose from",
    }.items():
        assert main(["segment", *files, "-o", str(tmp_path / "o.nii.gz"), "--weights", weights]) == 2
        said = capsys.readouterr().err
        assert words in said and len(said.splitlines()) == 1
