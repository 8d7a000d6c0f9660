"""Two processes take the same steps as one."""

import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import pytest
import torch
from safetensors.torch import load_file

from brainscans import compute, networks
from brainscans.tumor_segmentation import segment
from presimal.cli import scans
from synthcohort import MSD_CONTRASTS, Cohort

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_distributed.py"
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def train(launcher: list[str], data: Path, out: Path, *options: str) -> subprocess.CompletedProcess:
    command = [*launcher, str(SCRIPT), "--subjects", "6", "--spacing", "8", "--out", str(out), *options]
    return subprocess.run(command, env=environment(data), capture_output=True, text=True, encoding="utf-8", timeout=240)


def environment(data: Path) -> dict[str, str]:
    return os.environ | {"PRESIMAL_DATA": str(data), "PRESIMAL_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}


def distance(a: dict, b: dict) -> float:
    """Mean absolute difference of all parameters."""
    return float(torch.cat([(a[name].float() - b[name].float()).abs().flatten() for name in a]).mean())


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun on Windows lacks its rendezvous server in some builds")
def test_two_processes_give_the_result_of_one(tiny_data, tmp_path):
    """If gradients were not averaged, the distance between the two would be that of the training itself."""
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    for launcher, out in (([sys.executable], one), (LAUNCHER, two)):
        done = train(launcher, tiny_data, out, "--epochs", "8", "--batch", "4", "--rate", "2e-3", "--float32")
        assert done.returncode == 0, done.stderr
    compute.seed_everything(0)
    start = networks.UNet(4, 3, sharp=8).state_dict()
    moved = distance(load_file(one), start)
    assert moved > 2e-3
    assert distance(load_file(one), load_file(two)) < 0.02 * moved


def test_a_batch_that_cannot_be_shared_is_refused(tiny_data, tmp_path):
    done = train(LAUNCHER, tiny_data, tmp_path / "x.safetensors", "--batch", "3")
    assert done.returncode != 0 and "cannot be shared by 2 processes" in done.stderr + done.stdout


def test_a_batch_larger_than_the_people_is_refused(tiny_data, tmp_path):
    done = train([sys.executable], tiny_data, tmp_path / "x.safetensors", "--batch", "40")
    assert done.returncode != 0 and "more than the" in done.stderr and "Traceback" not in done.stderr


def test_what_it_saves_works_in_segment(tiny_data, tmp_path, capsys):
    """A few steps on six people of 8 mm are too little for a score; they give a whole answer, and another than ours."""
    weights = tmp_path / "own.safetensors"
    done = train([sys.executable], tiny_data, weights, "--epochs", "30", "--batch", "2")
    assert done.returncode == 0, done.stderr
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
    shipped = segment(files)
    assert (labels != shipped.labels).any()
