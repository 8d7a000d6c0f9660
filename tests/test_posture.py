"""Whether a mask looks like a brain that lies as its header says: heads whose place is known, under right headers and
wrong ones."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from nibabel.affines import from_matvec
from scipy.spatial.transform import Rotation

from brainscans.posture import SPACING, UNLIKE, _average_shape, is_placed, likeness
from brainscans.refusal import ScanWarning
from brainscans.scans import read_scan
from brainscans.skull_stripping import BESIDE, find_brain, oddities
from synthcohort import Cohort
from synthcohort.storage import DataError

REAL = Path(os.environ.get("PRESIMAL_REALDATA", "no real scans here"))
WRONG = {
    "upside down": np.diag([1.0, 1, -1]),
    "back to front": np.diag([1.0, -1, 1]),
    "lying on its face": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "axes in a cycle": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    "left for front": np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]),
    "half as wide": np.diag([0.5, 1, 1]),
    "half as long": np.diag([1, 0.5, 1]),
    "twice as high": np.diag([1, 1, 2.0]),
    "half as high": np.diag([1, 1, 0.5]),
}


@pytest.fixture(scope="module")
def head():
    batch = Cohort(77, rotation=4.0).render([3], "head", 3.0)
    return batch.images[0, 0], batch.affine.numpy()


def said_of(volume, affine):
    """What is said of the mask in a scan; a refusal says it too."""
    try:
        return oddities(volume, affine, find_brain(volume, affine).mask)
    except DataError as problem:
        assert "orientation" in str(problem)
        return [UNLIKE]


def turned(*degrees):
    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


def test_the_average_brain_is_like_itself_however_large():
    affine = from_matvec(np.eye(3) * SPACING)
    for size in (1.0, 0.6):
        as_placed, turned = likeness(_average_shape(), affine * size)
        assert as_placed > 0.99 > turned + 0.05


@pytest.mark.parametrize("degrees", [(0, 0, 0), (25, 0, 0), (-25, 0, 0), (0, 20, 0), (0, 0, -25), (15, 12, 15)])
def test_a_tilted_head_is_right(head, degrees):
    volume, affine = head
    assert said_of(volume, from_matvec(turned(*degrees)) @ affine) == []


@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_header_is_said(head, how):
    volume, affine = head
    assert said_of(volume, from_matvec(WRONG[how]) @ affine) == [UNLIKE]


@pytest.mark.skipif(not (REAL / "ixi").is_dir(), reason="the real heads are not here")
@pytest.mark.parametrize("name", ["ixi/IXI014_t1", "nichart/S02_flair", "malf/1006_SS"])
def test_real_heads_under_right_and_wrong_headers(name):
    volume, affine = read_scan(REAL / f"{name}.nii.gz")
    for right in (np.eye(3), turned(-20, 0, 0), turned(0, 15, 20)):
        assert said_of(volume, from_matvec(right) @ affine) == []
    for how in ("upside down", "axes in a cycle", "half as long", "half as high"):
        assert said_of(volume, from_matvec(WRONG[how]) @ affine) == [UNLIKE]


def test_half_a_brain_is_said(head):
    volume, affine = head
    assert UNLIKE in said_of(volume[: volume.shape[0] // 2], affine)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_second_head_is_said(head, axis):
    volume, affine = head
    assert said_of(torch.cat([volume, volume], axis), affine) == [BESIDE]


def test_the_tumor_command_says_it_too(head):
    from brainscans.contrasts import brain_of

    volume, affine = head
    brain = volume * torch.from_numpy(find_brain(volume, affine).mask)
    with pytest.warns(ScanWarning, match="not shaped as a whole brain"):
        brain_of(brain.expand(4, -1, -1, -1), from_matvec(np.diag([1, 0.5, 1])) @ affine, "a.nii")
    assert is_placed(brain.numpy() > 0, affine)
