"""The tumor network as a MONAI bundle, run by MONAI's own command where none of our packages can be imported."""

import json
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from brainscans import networks
from brainscans.bundle import SCRIPTS, write_bundle
from brainscans.tumor_segmentation import LEAST_GAIN, normalize
from synthcohort import MSD_CONTRASTS, Cohort

SPACING = 2.5
# What `python -m monai.bundle` does, without our packages: None in sys.modules makes any import of them fail.
HIDDEN = """import runpy, sys
sys.modules |= dict.fromkeys(["presimal", "brainscans", "synthcohort"])
sys.argv[0] = "monai.bundle"
runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)"""


@pytest.fixture(scope="module")
def patient():
    batch = Cohort(55).render([4], "tumor", SPACING, MSD_CONTRASTS)
    return (batch.images[0] * batch.mask[0] * 1000).round(), batch.affine.numpy()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "tumor"
    network, facts = networks.load("tumor")
    files = write_bundle(folder, network, facts, SPACING)
    assert {f"scripts/{script}" for script in SCRIPTS} <= set(files)
    return folder


@pytest.fixture(scope="module")
def expected(patient):
    """The labels that the network of the package gives."""
    images, _ = patient
    x = normalize(images[None], images[None, 1:2] > 0.1 * images[1].max())
    network, _ = networks.load("tumor")
    with torch.no_grad():
        whole, core, enhancing = network(x)[0] > 0
    enhancing &= x[0, 2] - x[0, 1] > LEAST_GAIN
    labels = whole * 1 + (whole & core) * 1 + (whole & core & enhancing) * 1
    assert len(labels.unique()) == 4
    return labels.numpy()


def run(folder, *arguments):
    command = [sys.executable, "-c", HIDDEN, "run", "--config_file", "configs/inference.json"]
    command += ["--meta_file", "configs/metadata.json", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2000:]


@pytest.mark.parametrize("orientation", ["RAS", "LPI"])
def test_it_gives_the_same_mask_without_our_packages(orientation, bundle, patient, expected, tmp_path):
    images, affine = patient
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(orientation))
    turned = apply_orientation(images.movedim(0, -1).numpy(), turn)
    turned_affine = affine @ inv_ornt_aff(turn, images.shape[1:])
    nib.save(nib.Nifti1Image(turned.astype(np.float32), turned_affine), tmp_path / "head.nii.gz")
    run(bundle, "--scan", str(tmp_path / "head.nii.gz"), "--output_dir", str(tmp_path))
    found = nib.load(tmp_path / "head_labels.nii.gz")
    assert np.allclose(found.affine, turned_affine, atol=1e-4)
    back = apply_orientation(
        np.asarray(found.dataobj), ornt_transform(axcodes2ornt(orientation), io_orientation(affine))
    )
    assert (back == expected).mean() > 0.9999


def test_our_packages_are_really_hidden(bundle, tmp_path):
    code = [*HIDDEN.splitlines()[:2], "import brainscans"]
    done = subprocess.run([sys.executable, "-c", "\n".join(code)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and "ModuleNotFoundError" in done.stderr


def test_it_says_what_it_is_not_for(bundle):
    told = json.loads((bundle / "configs/metadata.json").read_text("utf-8"))
    assert "not for clinical use" in told["intended_use"]
    assert list(told["network_data_format"]["inputs"]["image"]["channel_def"].values()) == ["FLAIR", "T1", "T1Gd", "T2"]


def test_nothing_is_overwritten(bundle):
    with pytest.raises(FileExistsError):
        write_bundle(bundle, *networks.load("tumor"))
