"""Whole heads from label maps, and what varies round the brain: what becomes what, and where the mask ends."""

import hashlib
import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from nothing_varies import seeded

from synthcohort import Cohort
from synthcohort.storage import DataError
from synthcohort.tissue_maps import BRAIN, OUTSIDE, TissueMaps

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import around_the_brain
import real_anatomies
import real_heads
from real_heads import NAMES, SOFT

SPACING = 4.0
NOTHING = {"fluid": 0, "full": 0, "dura": 0, "thin": 0, "mixed": 0}


def ml(volume: torch.Tensor) -> float:
    return float(volume.sum()) * SPACING**3 / 1000


def shell(inner: float, outer: float) -> float:
    """Volume in ml between two spheres, radii in mm."""
    return 4 / 3 * np.pi * (outer**3 - inner**3) / 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A label map: white matter of 50 mm radius, cortex to 60, fluid to 64, bone to 70, fat and muscle to 88, skin to
    90, a cerebellum of 10 mm beside it, and a brain stem that goes on far below that."""
    x, y, z = (np.indices((96, 96, 96)) - 47.5) * 2.0
    distance = np.sqrt(x**2 + y**2 + z**2)
    labels = np.select([distance < r for r in (50, 60, 64, 70, 88, 90)], [2, 3, 24, 515, 507, 511], 0)
    labels[np.sqrt(x**2 + (y + 45) ** 2 + (z + 30) ** 2) < 10] = 8
    labels[(np.hypot(x, y) < 8) & (z < -40)] = 16
    file = tmp_path_factory.mktemp("heads") / "one.nii.gz"
    nib.save(nib.Nifti1Image(labels.astype(np.int16), np.diag([2.0, 2, 2, 1])), file)
    return file.parent


@pytest.fixture(scope="module")
def packed(folder):
    return real_heads.tissue_maps(folder / "one.nii.gz", SPACING)[None]


def test_label_maps_become_heads(packed):
    assert packed.shape == (1, len(NAMES) + 2, 48, 56, 48) and packed.dtype == torch.uint8
    maps = TissueMaps.unpack((*NAMES, *SOFT), packed)
    assert ml(maps["bone"]) == pytest.approx(shell(64, 70), rel=0.05)
    assert ml(maps["soft"]) == pytest.approx(shell(70, 88), rel=0.05)
    assert 0.3 < ml(maps["scalp"]) / ml(maps["soft"]) < 0.6  # 7 mm from the air, 2 of them skin
    assert ml(maps["csf"]) == pytest.approx(shell(60, 64), rel=0.08)
    assert shell(0, 60) < ml(maps.mask) < shell(0, 62)  # with a rim of fluid and little of the stem
    everything = sum(maps[name] for name in (*BRAIN, *OUTSIDE, "soft"))
    assert everything.max() < 1.02 and everything[maps.mask == 1].min() > 0.98


def test_a_stem_far_below_the_cerebellum_is_cord(packed):
    maps = TissueMaps.unpack((*NAMES, *SOFT), packed)
    below = int(24 - (40 + real_heads.BELOW_CEREBELLUM) / SPACING)  # voxels
    assert maps["nerve"][..., : below - 1].sum() > 20 and maps.mask[..., : below - 8].sum() == 0


def test_fat_and_muscle_share_what_the_labels_do_not_tell_apart(packed):
    many = packed.expand(6, -1, -1, -1, -1)
    maps = TissueMaps.unpack(NAMES, real_heads.with_fat(many, SPACING, seeded(1)))
    soft = packed[0, NAMES.index("muscle")].float() + packed[0, len(NAMES)].float()
    assert (maps["fat"] + maps["muscle"]).sub(soft / 255).abs().max() < 0.01
    share = [ml(fat) / ml(soft / 255) for fat in maps["fat"]]
    assert max(share) - min(share) > 0.05 and 0.02 < min(share) and max(share) < 0.9


def test_a_folder_is_read_once(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path))
    read = []
    monkeypatch.setattr(real_heads, "tissue_maps", lambda *asked: read.append(asked) or torch.ones(20, 2, 2, 2).byte())
    first = real_heads.load(folder, 8.0)
    assert torch.equal(real_heads.load(folder, 8.0), first) and read == [(folder / "one.nii.gz", 8.0)]
    with pytest.raises(DataError, match="holds no label maps"):
        real_heads.load(tmp_path, 8.0)


@pytest.fixture(scope="module")
def people():
    return Cohort(3).tissue_maps(range(3), "head", SPACING)


def test_the_layer_of_fluid_takes_room_from_bone_and_gives_it(people):
    names, maps = people
    many = maps.repeat(4, 1, 1, 1, 1)
    still = around_the_brain.vary(names, many, SPACING, seeded(2), **NOTHING)
    moved = around_the_brain.vary(names, many, SPACING, seeded(2), **NOTHING | {"fluid": 1})
    before, after = (TissueMaps.unpack(names, m) for m in (still, moved))
    change = [ml(a - b) for a, b in zip(after["csf"], before["csf"], strict=True)]
    assert max(change) > 20 and min(change) < -5
    solid = [sum(t[name] for name in ("csf", "bone", "marrow")) for t in (before, after)]
    assert (solid[0] - solid[1]).abs().max() < 0.03
    for name in (*BRAIN, "eye", "muscle"):
        if name != "csf":
            assert torch.equal(before[name], after[name]), name
    assert ml((after["csf"] - before["csf"]).abs()[..., :12]) < 0.1 * ml((after["csf"] - before["csf"]).abs())


def test_the_mask_ends_a_little_outside_the_tissue_and_closer_at_the_cerebellum(people, monkeypatch):
    names, maps = people
    old = TissueMaps.unpack(names, maps)
    new = TissueMaps.unpack(names, around_the_brain.vary(names, maps, SPACING, seeded(2), **NOTHING))
    tissue = sum(old[name] for name in BRAIN if name != "csf")
    assert (new.mask > tissue - 0.02).all() and (new.mask[old.mask == 0] < 0.6).float().mean() > 0.99
    assert (new.mask * old["bone"]).sum() > 0  # the border does not ask what it lies in
    monkeypatch.setattr(around_the_brain, "FOSSA_BORDER", around_the_brain.BORDER)
    wider = TissueMaps.unpack(names, around_the_brain.vary(names, maps, SPACING, seeded(2), **NOTHING)).mask
    assert ml(wider - new.mask) > 3 and (wider >= new.mask).all()
    assert torch.allclose(wider[..., 28:], new.mask[..., 28:], atol=0.01)  # of 48, the cerebellum is below


def test_the_mask_has_no_narrow_gaps_and_a_border_of_its_width():
    x, y, z = torch.meshgrid(*[torch.arange(n) - n / 2 + 0.5 for n in (40, 44, 48)], indexing="ij")
    distance = 2.0 * (x**2 + y**2 + z**2).sqrt()  # mm
    ball = ((30 - distance) / 2 + 0.5).clamp(0, 1)
    maps = torch.zeros(1, len(NAMES), *ball.shape)
    slit = (x.abs() < 1.5) & (z > 0)
    maps[0, NAMES.index("white")] = ball * ~slit
    maps[0, NAMES.index("csf")] = ball * slit
    maps[0, NAMES.index("bone")] = 1 - ball
    maps[0, NAMES.index("mask")] = ball
    changed = around_the_brain.vary(NAMES, (maps * 255).byte(), 2.0, seeded(1), **NOTHING)
    mask = changed[0, NAMES.index("mask")] / 255
    assert mask[distance < 26].min() == 1 and mask[distance > 40].max() == 0
    radius = (float(mask.sum()) * 8 * 3 / 4 / np.pi) ** (1 / 3)
    assert around_the_brain.FOSSA_BORDER < radius - 30 < around_the_brain.BORDER + 0.3


def test_bone_and_air_of_the_skull_base_may_give_signal(people):
    names, maps = people
    before, after = (
        TissueMaps.unpack(names, around_the_brain.vary(names, maps, SPACING, seeded(2), **NOTHING | {"mixed": share}))
        for share in (0, 1)
    )
    lost = sum(before[name] - after[name] for name in ("bone", "air"))
    gained = sum(after[name] - before[name] for name in ("marrow", "muscle", "fat"))
    assert (lost - gained).abs().max() < 0.04 and ml(lost) > 5
    assert torch.equal(before.mask, after.mask) and torch.equal(before["eye"], after["eye"])


def test_a_full_skull_has_cortex_where_fluid_was_and_dura_where_bone_was(people):
    names, maps = people
    before, full, dura = (
        TissueMaps.unpack(
            names, around_the_brain.vary(names, maps, SPACING, seeded(2), **NOTHING | {"full": a, "dura": b})
        )
        for a, b in ((0, 0), (1, 0), (0, 1))
    )
    gained, lost = full["cortex"] - before["cortex"], before["csf"] - full["csf"]
    assert (gained - lost).abs().max() < 0.01 and ml(gained) > 20 and torch.equal(full["bone"], before["bone"])
    far = torch.nn.functional.max_pool3d(before.mask, 3, 1, 1) == 0  # a voxel of 4 mm
    assert ((gained > 0.01) & far).sum() == 0 and ml((full.mask - before.mask).clamp(min=0)) > 5
    assert ml(gained[..., :20]) > 0.5  # also at the base
    lost = before["bone"] - dura["bone"]
    assert (dura["muscle"] + dura["marrow"] - before["muscle"] - before["marrow"] - lost).abs().max() < 0.02
    assert ml(lost) > 20 and torch.equal(dura["csf"], before["csf"]) and torch.equal(dura.mask, before.mask)


def test_a_thin_skull_has_what_is_bright_near_the_brain(people):
    names, maps = people
    before, thin = (
        TissueMaps.unpack(names, around_the_brain.vary(names, maps, SPACING, seeded(2), **NOTHING | {"thin": share}))
        for share in (0, 1)
    )
    lost = before["bone"] - thin["bone"]
    gained = sum(thin[name] - before[name] for name in ("marrow", "muscle", "fat"))
    assert (lost - gained).abs().max() < 0.04 and min(map(ml, lost)) > 50 and lost.min() > -0.01
    assert torch.equal(before.mask, thin.mask) and torch.equal(before["csf"], thin["csf"])


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Two files that a server on this machine offers, listed with their checksums, as the label maps are on the web."""
    offered, listed = tmp_path / "offered", ["file,sha256,bytes"]
    offered.mkdir()
    for name in ("one.nii.gz", "two.nii.gz"):
        (offered / name).write_bytes(name.encode())
        listed.append(f"{name},{hashlib.sha256(name.encode()).hexdigest()},{len(name)}")
    (tmp_path / "anatomies.csv").write_text("\n".join(listed))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(offered)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(real_anatomies, "__file__", str(tmp_path / "real_anatomies.py"))
    monkeypatch.setattr(real_anatomies, "ADDRESS", f"http://127.0.0.1:{server.server_port}/")
    yield offered
    server.shutdown()
    server.server_close()


def test_the_published_label_maps_are_fetched_once(published):
    folder = real_anatomies.folder_of("fetch")
    assert sorted(file.name for file in folder.iterdir()) == ["one.nii.gz", "two.nii.gz"]
    (published / "one.nii.gz").unlink()  # what is there is not asked for again
    assert real_anatomies.folder_of("fetch") == folder and (folder / "one.nii.gz").read_bytes() == b"one.nii.gz"
    assert real_anatomies.folder_of("my/folder") == Path("my/folder")


@pytest.mark.parametrize("wrong", ["another content", "nothing there"])
def test_what_is_not_the_published_label_map_is_refused(published, wrong):
    (published / "two.nii.gz").write_bytes(b"a login page")
    if wrong == "nothing there":
        (published / "two.nii.gz").unlink()
    with pytest.raises(DataError, match="cannot be had"):
        real_anatomies.folder_of("fetch")
    assert not (Path(os.environ["PRESIMAL_DATA"]) / "anatomies" / "two.nii.gz").exists()
