"""Two processes take the same steps as one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from brainscans import compute, networks, tumor_segmentation
from presimal import data
from presimal.cli import scans
from synthcohort import MSD_CONTRASTS, Cohort

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import train_distributed as script

SCRIPT = Path(script.__file__)
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


PEOPLE = ("--subjects", "6", "--spacing", "8")


def train(launcher: list[str], data: Path, out: Path, *options: str) -> subprocess.CompletedProcess:
    command = [*launcher, str(SCRIPT), *PEOPLE, "--out", str(out), *options]
    return subprocess.run(command, env=environment(data), capture_output=True, text=True, encoding="utf-8", timeout=240)


def environment(data: Path) -> dict[str, str]:
    return os.environ | {"PRESIMAL_DATA": str(data), "PRESIMAL_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def train_here(tiny_data, monkeypatch):
    """The script in this process, which has its libraries already: train_here(out, *options)."""
    for name, value in environment(tiny_data).items():
        monkeypatch.setenv(name, value)

    def train(out: Path, *options: str) -> None:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *PEOPLE, "--out", str(out), *options])
        script.main()

    return train


def distance(a: dict, b: dict) -> float:
    """Mean absolute difference of all parameters."""
    return float(torch.cat([(a[name].float() - b[name].float()).abs().flatten() for name in a]).mean())


no_windows = pytest.mark.skipif(
    sys.platform == "win32", reason="torchrun on Windows lacks its rendezvous server in some builds"
)
FULL = ("--epochs", "8", "--batch", "4", "--rate", "2e-3", "--float32")


@no_windows
def test_two_processes_give_the_result_of_one(tiny_data, train_here, tmp_path):
    """If gradients were not averaged, the distance between the two would be that of the training itself."""
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    train_here(one, *FULL)
    done = train(LAUNCHER, tiny_data, two, *FULL)
    assert done.returncode == 0, done.stderr
    compute.seed_everything(0)
    start = networks.UNet(4, 3, sharp=8).state_dict()
    moved = distance(load_file(one), start)
    assert moved > 2e-3
    assert distance(load_file(one), load_file(two)) < 0.02 * moved


@no_windows
@pytest.mark.skipif(os.environ.get("PRESIMAL_LONG_TESTS") != "1", reason="two to five minutes")
def test_another_number_of_processes_goes_on_where_a_killed_one_stopped(tiny_data, tmp_path):
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    assert train([sys.executable], tiny_data, whole, *FULL).returncode == 0
    command = [sys.executable, str(SCRIPT), "--subjects", "6", "--spacing", "8", "--out", str(parts), *FULL]
    with subprocess.Popen(command, env=environment(tiny_data), stdout=subprocess.PIPE, text=True) as killed:
        assert any(line.startswith("epoch 4/8") for line in killed.stdout)
        killed.kill()
    checkpoint = parts.with_suffix(".checkpoint")
    assert checkpoint.exists() and not parts.exists()

    other = train([sys.executable], tiny_data, parts, *FULL[2:], "--epochs", "9")
    assert other.returncode != 0 and "--epochs 8: give the same" in other.stderr and "Traceback" not in other.stderr

    done = train(LAUNCHER, tiny_data, parts, *FULL)
    assert done.returncode == 0, done.stderr
    assert "epoch 1/8" not in done.stdout and "epoch 8/8" in done.stdout
    assert not checkpoint.exists()
    compute.seed_everything(0)
    moved = distance(load_file(whole), networks.UNet(4, 3, sharp=8).state_dict())
    assert distance(load_file(whole), load_file(parts)) < 0.02 * moved


def test_a_damaged_checkpoint_is_named(train_here, tmp_path):
    (tmp_path / "x.checkpoint").write_bytes(b"no checkpoint")
    with pytest.raises(SystemExit, match="x.checkpoint is damaged"):
        train_here(tmp_path / "x.safetensors", *FULL)


@no_windows
@pytest.mark.skipif(os.environ.get("PRESIMAL_LONG_TESTS") != "1", reason="a minute and a half")
def test_patients_of_real_size_are_read_in_parts(tmp_path):
    """Patients of 240 x 240 x 155 voxels of 1 mm, laid out as those of the Medical Segmentation Decathlon."""
    batch = Cohort(55).render([4], "tumor", 4.0, MSD_CONTRASTS)
    whole, truth = np.zeros((240, 240, 155, 4), np.float32), np.zeros((240, 240, 155), np.uint8)
    scan, labels = ((np.kron(x.numpy(), np.ones((4, 4, 4)))) for x in (batch.images * batch.mask, batch.labels))
    scan, (x, y, z) = np.moveaxis(scan[0], 0, -1)[:, :, :155], labels[0, :, :, :155].shape
    folder, cases = tmp_path / "real", []
    whole[40 : 40 + x, 24 : 24 + y, :z], truth[40 : 40 + x, 24 : 24 + y, :z] = scan, labels[0, :, :, :155]
    for k in range(5):
        case = {"image": f"imagesTr/c{k}.nii", "label": f"labelsTr/c{k}.nii"}
        noisy = whole * np.random.default_rng(k).normal(1, 0.05, whole.shape)  # or else the same people, and labels
        for kind, values in (("image", noisy.astype(np.float32)), ("label", truth)):
            (folder / case[kind]).parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(values, np.eye(4)), folder / case[kind])
        cases.append(case)
    names = {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}
    modality = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    (folder / "dataset.json").write_text(json.dumps({"modality": modality, "labels": names, "training": cases}))
    out = tmp_path / "own.safetensors"
    options = ["--source", str(folder), "--spacing", "1", "--patch", "48", "--epochs", "1", "--batch", "2"]
    done = subprocess.run(
        [*LAUNCHER, str(SCRIPT), *options, "--out", str(out)], env=environment(tmp_path),
        capture_output=True, text=True, encoding="utf-8", timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    model, _ = networks.load(str(out), channels=4, regions=3)
    assert model(torch.zeros(1, 4, 16, 16, 16)).shape == (1, 3, 16, 16, 16)


def test_parts_hold_tumor_and_are_the_same_in_every_process(tiny_data, monkeypatch):
    monkeypatch.setenv("PRESIMAL_DATA", str(tiny_data))
    table = data.tumors(subjects=6, spacing=8.0, progress=False)
    one, other, all_of_it = (script.Patients(table, {}, patch, 3) for patch in (8, 8, 0))
    shown = [one[k] for k in range(6)]
    assert all(x.shape == (4, 8, 8, 8) and y.shape == (3, 8, 8, 8) for x, y in shown)
    assert all(torch.equal(a, b) for k in range(6) for a, b in zip(shown[k], other[k], strict=True))
    assert sum(bool(y[0].any()) for _, y in shown) >= 4
    one.epoch = 1
    assert any(not torch.equal(shown[k][1], one[k][1]) for k in range(6))
    assert all_of_it[0][0].shape[1:] == data.load(table.iloc[[0]], "label", progress=False).shape[2:]


def test_a_batch_that_cannot_be_shared_is_refused(train_here, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun tells each of two
    with pytest.raises(SystemExit, match="cannot be shared by 2 processes"):
        train_here(tmp_path / "x.safetensors", "--batch", "3")


def test_a_batch_larger_than_the_people_is_refused(train_here, tmp_path):
    with pytest.raises(SystemExit, match="is more than the"):
        train_here(tmp_path / "x.safetensors", "--batch", "40")


def test_what_it_saves_works_in_segment(train_here, tmp_path, capsys, monkeypatch):
    """A few steps on six people of 8 mm are too little for a score; they give a whole answer, and another than ours."""
    monkeypatch.setattr(tumor_segmentation, "PARTS", {1.0: (1.0, 1.0, 1.0)})  # one grid instead of three
    weights = tmp_path / "own.safetensors"
    train_here(weights, "--epochs", "30", "--batch", "2")
    batch = Cohort(55).render([4], "tumor", 4.0, MSD_CONTRASTS)
    files = [tmp_path / f"{name}.nii.gz" for name in MSD_CONTRASTS]
    for file, image in zip(files, (batch.images[0] * batch.mask[0]).numpy(), strict=True):
        nib.save(nib.Nifti1Image(image, batch.affine.numpy()), file)
    assert scans.segment(list(map(str, files)), str(tmp_path / "labels.nii.gz"), str(weights)) == 0
    assert all(region in capsys.readouterr().out for region in ["whole tumor"])
    labels = nib.load(tmp_path / "labels.nii.gz").get_fdata()
    truth = batch.labels[0].numpy() > 0
    found = labels > 0
    assert labels.shape == truth.shape
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.3
    shipped = tumor_segmentation.segment(files)
    assert (labels != shipped.labels).any()
