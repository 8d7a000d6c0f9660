"""The one door: tables that say what is where, tensors that can be trained on."""

import gc
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from presimal import data
from synthcohort import Cohort, files
from synthcohort.storage import DataError

SIZE = {"subjects": 6, "spacing": 8.0, "progress": False}


@pytest.fixture
def home(tiny_data, monkeypatch):
    monkeypatch.setenv("PRESIMAL_DATA", str(tiny_data))
    return tiny_data


@pytest.mark.parametrize(
    ("opened", "first"),
    [
        (data.brain_age, ["subject_id", "image", "age", "sex", "site", "split"]),
        (data.tumors, ["subject_id", "image", "label", "age", "sex", "site", "split", "karnofsky"]),
        (data.heads, ["subject_id", "image", "label", "age", "sex", "site", "split"]),
    ],
)
def test_the_table_of_the_cohort(home, opened, first):
    table = opened(**SIZE)
    assert list(table)[: len(first)] == first and len(table) == 6
    for path in (Path(p) for name in ("image", "label") if name in table for p in table[name]):
        assert path.is_absolute() and path.is_file()
    assert table.split.value_counts().to_dict() == {"train": 4, "valid": 1, "test": 1}
    assert set(table.sex) <= {"M", "F"} and table.age.between(0, 120).all()


def test_no_truth_comes_through_the_door(home):
    for kind, opened in (("brain", data.brain_age), ("tumor", data.tumors), ("head", data.heads)):
        assert set(opened(**SIZE)) & set(Cohort(0).truth([0], kind)) == set()


def test_labels_belong_to_their_images(home):
    for opened in (data.tumors, data.heads):
        for row in opened(**SIZE).itertuples():
            assert row.subject_id in row.image and row.subject_id in row.label


def test_fewer_subjects_than_there_are(home):
    few = data.brain_age(subjects=4, spacing=8.0, progress=False)
    assert list(few.subject_id) == [f"brain-000{k}" for k in range(4)]
    assert set(few.split) == {"train", "valid", "test"}


def test_a_larger_cohort_on_disk_does_not_change_the_default(home, monkeypatch):
    monkeypatch.setitem(files.SETS, "brain_age", replace(files.SETS["brain_age"], subjects=3))
    assert len(data.brain_age(spacing=8.0, progress=False)) == 3


def test_another_seed_of_the_split(home):
    splits = {tuple(data.brain_age(split_seed=seed, **SIZE).split) for seed in range(5)}
    assert len(splits) > 1
    assert data.brain_age(**SIZE).equals(data.brain_age(**SIZE))


def test_the_cohort_as_a_folder_of_ones_own(home):
    for name, opened in (("brain_age", data.brain_age), ("tumors", data.tumors), ("heads", data.heads)):
        folder = files.set_folder(name, 8.0)
        assert opened(folder, progress=False).equals(opened(**SIZE))
    assert len(data.tumors(folder.parent, progress=False)) == 6  # the folder that holds Task01


def test_it_is_generated_at_first_use(data_home):
    table = data.brain_age(subjects=3, spacing=16.0, progress=False)
    assert all(data_home in Path(path).parents for path in table.image)
    other = data.brain_age(subjects=3, spacing=16.0, seed=7, progress=False)
    assert list(other.age) == pytest.approx(list(Cohort(7).people(range(3)).age), abs=0.01)
    assert list(other.age) != list(table.age)


def test_the_default_sizes_are_those_that_the_notebooks_need():
    sizes = {name: layout.subjects for name, layout in files.SETS.items()}
    assert sizes == {"brain_age": 900, "tumors": 300, "heads": 200}


@pytest.mark.parametrize(
    ("opened", "source", "known"),
    [
        (data.brain_age, "msd", "'cohort', 'ixi', 'ixi-tiny' or a folder"),
        (data.tumors, "ixi", "'cohort', 'msd' or a folder"),
        (data.heads, "nowhere", "'cohort', 'ixi-tiny' or a folder"),
    ],
)
def test_an_unknown_source_is_answered_with_the_known_ones(opened, source, known):
    with pytest.raises(DataError, match=f"has no source '{source}': use {known}"):
        opened(source)


def test_a_folder_with_the_name_of_a_download_does_not_become_another_set(tmp_path, monkeypatch):
    (tmp_path / "ixi").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="tumors has no source 'ixi'"):
        data.tumors("ixi")


def test_an_unknown_option_is_an_error(home):
    with pytest.raises(TypeError, match="color"):
        data.brain_age(color=3)


def test_load_stacks_images_and_labels(home):
    brains, tumors, heads = data.brain_age(**SIZE), data.tumors(**SIZE), data.heads(**SIZE)
    assert data.load(brains).shape == (6, 1, 20, 24, 20)
    images, labels = data.load(tumors), data.load(tumors, "label")
    assert images.shape == (6, 4, 20, 24, 20) and images.dtype == torch.float32
    assert labels.shape == (6, 1, 20, 24, 20) and labels.dtype == torch.uint8
    assert data.load(heads, "label").unique().tolist() == [0, 1]
    assert torch.equal(data.load(tumors[2:4]), images[2:4])
    expected = np.moveaxis(nib.load(tumors.image[3]).get_fdata(), -1, 0)
    assert np.array_equal(images[3].numpy(), expected)


def test_a_loaded_tensor_is_yours_and_nothing_else_holds_its_memory(home, monkeypatch):
    table = data.brain_age(**SIZE)
    first = data.load(table)
    kept = first.clone()
    first.zero_()
    assert torch.equal(data.load(table), kept)
    whole, alive = data.read, []
    monkeypatch.setattr(data, "read", lambda file: alive.append(weakref.ref(found := whole(file)[0])) or (found, None))
    del first
    alive.append(weakref.ref(data.load(table)))
    gc.collect()
    assert len(alive) == 7 and not any(reference() is not None for reference in alive)


def test_load_sees_that_a_file_has_changed(tmp_path, home):
    table = data.brain_age(**SIZE)[:1].copy()
    image = nib.load(table.image[0])
    table["image"] = [str(tmp_path / "a.nii.gz")]
    for value in (1, 2):
        nib.save(nib.Nifti1Image(np.full((8, 8, 8), value, np.int16), image.affine), table.image[0])
        assert data.load(table).unique().item() == value


def test_load_brings_different_scans_to_one_grid(tmp_path):
    ramp = np.arange(20, dtype=np.float32)[:, None, None] * np.ones((20, 24, 20), np.float32)
    mirrored = np.diag([-2.0, 2, 2, 1])
    mirrored[:3, 3] = 19, -23, -19
    straight = np.diag([2.0, 2, 2, 1])
    straight[:3, 3] = -19, -23, -19
    nib.save(nib.Nifti1Image(ramp, straight), tmp_path / "a.nii.gz")
    nib.save(nib.Nifti1Image(ramp[::-1, :, :18], mirrored), tmp_path / "b.nii.gz")
    table = pd.DataFrame({"image": [str(tmp_path / "a.nii.gz"), str(tmp_path / "b.nii.gz")]})
    with pytest.raises(DataError, match=r"b.nii.gz: has shape .*give spacing and shape"):
        data.load(table)
    both = data.load(table, spacing=4.0, shape=(10, 12, 8))
    assert both.shape == (2, 1, 10, 12, 8)
    assert torch.allclose(both[0], both[1], atol=0.3)  # the same left and right
    assert (both[0, 0].diff(dim=0) > 0).all()
    same = data.load(table[:1], spacing=2.0, shape=(20, 24, 20))
    assert np.array_equal(same[0, 0].numpy(), ramp)
    labels = data.load(table[:1].rename(columns={"image": "label"}), "label", spacing=4.0, shape=(10, 12, 8))
    assert labels.dtype == torch.uint8
    with pytest.raises(ValueError, match="together"):
        data.load(table, spacing=4.0)


def stored_as(axes, values, affine, file):
    """The same volume written with its voxels in another order, as scanners do."""
    image = nib.Nifti1Image(values, affine)
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(axes))
    )
    nib.save(image.as_reoriented(turn), file)
    return str(file)


@pytest.mark.parametrize("column", ["image", "label"])
def test_a_scan_that_is_only_turned_comes_as_right_anterior_superior(tmp_path, column):
    values = np.random.default_rng(0).integers(0, 4, (8, 8, 8)).astype(np.uint8)
    straight = nib.affines.from_matvec(np.diag([2.0, 2.0, 2.0]), [-7.0, 5.0, 11.0])
    for axes in ("RAS", "LPS", "ILP"):
        table = pd.DataFrame({column: [stored_as(axes, values, straight, tmp_path / f"{axes}.nii.gz")]})
        found = data.load(table, column, spacing=2.0, shape=(8, 8, 8))[0, 0].numpy()
        np.testing.assert_allclose(found, values, atol=1e-3)


@pytest.mark.parametrize("axes", ["RAS", "PIR", "LPS"])
@pytest.mark.parametrize(("spacing", "shape"), [(1.3, (27, 34, 30)), (4.0, (9, 11, 10)), (3.0, (6, 20, 9))])
def test_labels_are_brought_to_another_grid_as_labels(tmp_path, axes, spacing, shape):
    """Every voxel has the label of the voxel that its center lies in, looked up here with NumPy alone."""
    values = np.zeros((17, 22, 19), np.uint8)
    values[4:13, 5:18, 6:15] = 3  # enhancing
    values[7:10, 8:14, 8:12] = 1  # with something else inside
    values[2:15, :3, 3:16] = 3  # up to the border, beyond which there is nothing
    affine = nib.affines.from_matvec(np.diag([2.1, 1.9, 2.3]), [-17.0, 4.0, 30.0])
    file = stored_as(axes, values, affine, tmp_path / "a.nii.gz")
    table = pd.DataFrame({"image": [file], "label": [file]})
    found = data.load(table, "label", spacing, shape)[0, 0].numpy()
    assert set(np.unique(found)) == {0, 1, 3}  # no edema (2) between 1 and 3, and none around 3
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) - (np.array(shape) - 1) / 2
    nearest = (index * spacing / [2.1, 1.9, 2.3] + (np.array(values.shape) - 1) / 2 + 0.5) // 1
    inside = ((nearest >= 0) & (nearest < values.shape)).all(-1)
    expected = np.where(inside, values[tuple(nearest.clip(0, np.array(values.shape) - 1).astype(int).T)].T, 0)
    assert (found == expected).mean() > 0.995  # a center between two voxels may fall to either


@pytest.mark.parametrize("axes", ["RAS", "PIR", "LPS"])
def test_images_are_interpolated_on_another_grid(tmp_path, axes):
    """A volume that rises evenly in every direction is known at every point: linear interpolation is exact."""
    affine = nib.affines.from_matvec(np.diag([2.0, 1.5, 2.5]), [-17.0, 4.0, 30.0])
    index = np.stack(np.meshgrid(*map(np.arange, (20, 24, 16)), indexing="ij"), -1)
    slopes = np.array([1.0, -2.0, 0.5])  # per mm
    volumes = [sign * nib.affines.apply_affine(affine, index) @ slopes for sign in (1, -1)]
    file = stored_as(axes, np.stack(volumes, -1).astype(np.float32), affine, tmp_path / "a.nii.gz")
    found = data.load(pd.DataFrame({"image": [file]}), spacing=1.25, shape=(9, 11, 13))[0].numpy()
    center = nib.affines.apply_affine(affine, (np.array([20, 24, 16]) - 1) / 2)
    inside = np.stack(np.meshgrid(*map(np.arange, (9, 11, 13)), indexing="ij"), -1) - [4, 5, 6]
    expected = (center + 1.25 * inside) @ slopes
    np.testing.assert_allclose(found, [expected, -expected], atol=1e-3)


def test_a_table_without_rows_is_said_so(home):
    with pytest.raises(DataError, match="has no row"):
        data.load(data.brain_age(**SIZE)[:0])


def test_load_names_a_file_that_is_not_there(home):
    table = data.brain_age(**SIZE)
    table.loc[2, "image"] = "/nowhere/a.nii.gz"
    with pytest.raises(DataError, match=r"a.nii.gz: is listed but not there"):
        data.load(table)


def test_importing_the_door_is_light():
    heavy = ("monai", "fastMONAI", "fastai", "torchio", "nilearn")
    code = f"import sys, presimal.data; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout == "[]\n"
