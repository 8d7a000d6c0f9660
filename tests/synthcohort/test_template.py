"""The template: what was derived is anatomy of the right size, sampled where it is."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from synthcohort import storage, template
from synthcohort.grid import trilinear
from synthcohort.storage import data_folder
from synthcohort.tables import constants
from synthcohort.template import BRAIN_MAPS, brain, sample_template, template_file
from synthcohort.tissue_maps import RESIDUAL_RANGE

VOXEL_ML = 0.008


@pytest.fixture(scope="module")
def maps() -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {n: t.float() for n, t in load_file(template_file(2)).items()}


def test_volumes_of_the_template(maps):
    """The average ICBM brain is about a quarter larger than a real one (hence 1.26)."""

    def ml(values):
        return float(values.sum()) * VOXEL_ML / 1.26

    assert 1400 < ml(maps["mask"]) < 1650
    assert 12 < ml((maps["phi"] < 0).float()) < 28  # ventricles without the cisterns
    assert 15 < ml(maps["deep"]) < 60


def test_fractions_add_up_to_the_mask(maps):
    total = maps["gm"] + maps["wm"] + maps["csf"]
    inside = maps["depth"] > 4
    assert (total[inside] - 1).abs().max() < 0.01


def test_trilinear_is_exact_on_a_linear_function():
    shape = (5, 6, 7)
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in shape], indexing="ij")
    table = torch.stack([2 * axes[0] - axes[1], axes[2] + 1], -1).reshape(-1, 2)
    points = torch.rand(1, 50, 3) * (torch.tensor(shape) - 1)
    values = trilinear(table, shape, points)
    x, y, z = points.unbind(-1)
    assert torch.allclose(values, torch.stack([2 * x - y, z + 1], -1), atol=1e-5)
    outside = trilinear(table, shape, torch.tensor([[-5.0, 2.0, 99.0]]))
    assert torch.allclose(outside, torch.tensor([[-2.0, 7.0]]))


def test_one_table_per_subject():
    tables = torch.arange(16, dtype=torch.float32).view(2, 8, 1)
    points = torch.zeros(2, 3, 3)
    assert torch.equal(trilinear(tables, (2, 2, 2), points)[:, 0, 0], torch.tensor([0.0, 8.0]))


def test_the_residual_fits_the_range_in_which_it_is_packed():
    assert RESIDUAL_RANGE == 2 * constants(brain.__file__).residual_most


def test_known_places():
    """White matter in the corona radiata, fluid in the lateral ventricle, nothing outside."""
    places = torch.tensor([[26.0, -20, 30], [8, 10, 14], [0, -14, 110]]).view(1, 3, 1, 1, 3)
    maps = sample_template(places, BRAIN_MAPS)
    assert maps["wm"][0, 0] > 0.8
    assert maps["phi"][0, 1] < 1
    assert maps["mask"][0, 2] == 0


def test_notice_travels_with_the_derived_maps():
    folder = template_file(2).parent
    assert "McConnell Brain Imaging Centre" in (folder / "LICENSE-ICBM152.txt").read_text()


@pytest.mark.parametrize("damage", ["a bit", "older code", "none"])
def test_damaged_maps_and_maps_of_older_code_are_derived_anew(tmp_path, monkeypatch, damage):
    kept = template_file(2)
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path))
    copy = tmp_path / "template" / kept.name
    copy.parent.mkdir()
    content = bytearray(kept.read_bytes())
    content[-1000] ^= damage == "a bit"
    copy.write_bytes(content)
    if damage == "older code":
        copy.rename(copy.with_name("icbm152-0123456789ab-2mm.safetensors"))
    derived = []
    monkeypatch.setattr(template, "_derive", lambda *arguments, **options: derived.append(arguments))
    assert template_file(2) == copy
    assert len(derived) == (damage != "none")


def test_the_name_of_the_maps_follows_the_code(monkeypatch):
    name = template_file(2).name
    monkeypatch.setattr(storage, "_code", lambda *_: "another")
    monkeypatch.setattr(template, "_derive", lambda *arguments, **options: None)
    assert template_file(2).name != name


def test_data_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("PRESIMAL_DATA")
    assert data_folder() != tmp_path


def test_threads_that_want_the_template_at_once_wait_for_one_of_them(tmp_path, monkeypatch):
    """In an empty data folder; the derivation, which takes minutes, is replaced by a slow one that counts."""
    made = []

    def derive(path, fine):
        made.append(path)
        time.sleep(0.3)
        storage.save_tensors(path, {"gm": torch.ones(2)})

    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path))
    monkeypatch.setattr(template, "_derive", derive)
    with ThreadPoolExecutor(6) as pool:
        files = list(pool.map(template_file, [2] * 6))
    assert len(made) == 1 and len(set(files)) == 1 and files[0].is_file()


def test_threads_that_write_one_file_do_not_take_each_others_half(tmp_path):
    contents = [bytes([k]) * 3_000_000 for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: storage.write_atomically(tmp_path / "one", content), contents * 5))
    assert (tmp_path / "one").read_bytes() in contents and len(list(tmp_path.iterdir())) == 1
