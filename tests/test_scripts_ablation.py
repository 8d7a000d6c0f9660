"""The ablation of the tumor training: each arm leaves out one thing, real patients are read, the table is right."""

import sys
from dataclasses import asdict
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from nothing_varies import seeded

from synthcohort import MSD_CONTRASTS, Cohort
from synthcohort.randomization import Randomization

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import ablate_tumor_segmentation as ablation
from patients import Patients, complete, mimics, randomize_patients, tumors

STILL = Randomization(
    invented=0, flat=0, rotation=0, scaling=0, elastic=0, bias=0, thick=0, blurred=0, noise=0, gamma=0, cut=0,
    defaced=0, stripped=0, blobs=0, texture=0,
)  # fmt: skip


def test_each_arm_leaves_out_one_thing():
    first, *others = ablation.ARMS.values()
    assert first == ablation.Arm() and len(set(map(str, others))) == len(others)
    for arm in others:
        changed = [name for name, value in asdict(arm.patients).items() if value != getattr(first.patients, name)]
        mimicking = changed == ["spots", "plexus", "remnants"]
        assert (len(changed) + (arm.groups != first.groups) == 1) or mimicking


@pytest.fixture(scope="module")
def people():
    return complete(*Cohort(3).tissue_maps(range(4), "tumor", 4.0))


def test_t1gd_that_is_tied_to_t1_is_t1_with_uptake(people):
    asked = (people, 4.0, seeded(3), MSD_CONTRASTS, STILL)
    tied = Patients(growths=0, spots=0, plexus=0, remnants=0, grain=0, untied=False)
    images, found = randomize_patients(*asked, tied, ("mask", "enhancing", "ventricle", "csf"))
    mask, enhancing, ventricle, fluid = found.unbind(1)
    solid = (mask > 0.99) & (enhancing == 0) & (ventricle + fluid < 0.01)
    likeness = [float(np.corrcoef(image[1:3, inside])[0, 1]) for image, inside in zip(images, solid, strict=True)]
    assert min(likeness) > 0.85
    for rank in (tumors.ranks(50, False, seeded()), mimics.levels(50, False, seeded())):
        assert rank["t1gd"].shape == rank["t1"].shape
    assert torch.equal(*(tumors.ranks(50, False, seeded())[name] for name in ("t1", "t1gd")))
    assert not torch.equal(*(tumors.ranks(50, True, seeded())[name] for name in ("t1", "t1gd")))


def test_uptake_that_is_never_faint_has_the_range_of_the_first_version():
    count = 300
    parts = {name: torch.full((count, 1, 1, 1), float(name == "enhancing")) for name in tumors.RANGES}
    rank, nothing = tumors.ranks(count, True, seeded())["t1gd"], torch.zeros(count, 1, 1, 1)
    drawn = (parts, "t1gd", rank, torch.ones(count, 20), nothing, nothing, torch.linspace(0, 1, count))
    level = tumors.paint(*drawn, faint=False).flatten()
    assert (float(level.min()), float(level.max())) == pytest.approx(tumors.UPTAKE_BEFORE)
    assert tumors.paint(*drawn, faint=True).min() < level.min()


def test_real_patients_are_read_at_coarser_voxels(tmp_path):
    labels = np.zeros((12, 12, 9), np.int16)
    labels[:6], labels[:3], labels[:3, :6] = 2, 1, 4
    affine = np.diag([1.0, 1, 2, 1])
    nib.save(nib.Nifti1Image(labels, affine), tmp_path / "labels.nii.gz")
    image = labels * 1.5 + 1
    image[3:] += np.linspace(0, 1, image[3:].size).reshape(9, 12, 9)  # numbers that repeat are labels and no image
    nib.save(nib.Nifti1Image(image, affine), tmp_path / "flair.nii.gz")
    rows = [
        "task,name,group,files,reference,labels",
        'tumor,a,glioma,flair.nii.gz;-;flair.nii.gz;-,labels.nii.gz,"1,2,4"',
    ]
    rows += ["tumor,b,none,-;flair.nii.gz;-;-,,", "mask,c,none,flair.nii.gz,,"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    first, second = ablation.patients_of(tmp_path)
    assert (first.name, second.name, second.regions) == ("a", "b", {})
    assert first.images.shape == (4, 4, 4, 9) and first.images[:, 0, 0, 0].tolist() == [7, 0, 7, 0]
    assert nib.affines.voxel_sizes(first.affine).tolist() == [3, 3, 2] and first.affine[:3, 3].tolist() == [1, 1, 0]
    assert [int(first.regions[name].sum()) for name in ablation.REGIONS] == [72, 36, 18]


def test_the_table_counts_patients_with_and_without_a_tumor_apart(tmp_path):
    rows = [(seed, "everything", 10, "a", 0.8 + 0.1 * seed, 0.5, np.nan, 40.0) for seed in (0, 1)]
    rows += [(seed, "everything", 10, "b", np.nan, np.nan, np.nan, 4.0 * seed) for seed in (0, 1)]
    columns = ["seed", "arm", "steps", "patient", *ablation.REGIONS, "ml"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "table.csv", index=False)
    first, *_, last = ablation.table(tmp_path / "table.csv").splitlines()
    assert first == "1 gliomas, 1 without a tumor; 2 seed(s), 10 steps"
    assert last.startswith("| everything | 2 | 0.850 (0.800 to 0.900) | 0.500 (0.500 to 0.500) |")
    assert last.endswith("| 2.0 (0.0 to 4.0) |")
