"""Segmenting generated gliomas from files, as a user would; and what is refused."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from brainscans.networks import UNet, save
from brainscans.scans import read_scan
from brainscans.tumor_segmentation import LEAST_GAIN, REGIONS, _labels, find_tumor, normalize, segment
from presimal.cli import main
from synthcohort import MSD_CONTRASTS, Cohort
from synthcohort.storage import DataError

REAL = Path(os.environ.get("PRESIMAL_REALDATA", "no real scans here")) / "glioma"
NAMES = MSD_CONTRASTS


@pytest.fixture(scope="module")
def patient():
    """A generated glioma at 2 mm: images (4, X, Y, Z) without skull, labels, affine."""
    batch = Cohort(55).render([4], "tumor", 2.0, NAMES)
    images = (batch.images[0] * batch.mask[0] * 1000).round().numpy().astype(np.int16)
    return images, batch.labels[0].numpy(), batch.affine.numpy()


@pytest.fixture
def files(patient, tmp_path):
    images, _, affine = patient
    for name, image in zip(NAMES, images, strict=True):
        nib.save(nib.Nifti1Image(image, affine), tmp_path / f"{name}.nii.gz")
    return [tmp_path / f"{name}.nii.gz" for name in NAMES]


@pytest.fixture(scope="module")
def labels_in_memory(patient):
    """What is found in the images themselves, which takes long: once for all tests."""
    return find_tumor(torch.tensor(patient[0], dtype=torch.float32), patient[2]).labels


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_regions_are_found_and_written_with_the_affine_of_the_scan(patient, files, tmp_path):
    _, labels, affine = patient
    found = segment(files, tmp_path / "out.nii.gz")
    for region, low in ((0, 0.8), (1, 0.7)):
        assert dice(found.labels > region, labels > region) > low
    written = nib.load(tmp_path / "out.nii.gz")
    assert np.allclose(written.affine, affine) and written.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(written.dataobj), found.labels)
    assert set(np.unique(found.labels)) <= {0, 1, 2, 3}
    assert found.volumes_ml[REGIONS[0]].value == pytest.approx((found.labels > 0).sum() * 0.008)
    assert list(found.volumes_ml.values()) == sorted(found.volumes_ml.values(), reverse=True)  # nested
    assert all(0 < ml.low < ml.value < ml.high < 3 * ml.value for ml in found.volumes_ml.values())


def test_one_file_with_four_volumes_is_the_same(patient, labels_in_memory, tmp_path):
    images, _, affine = patient
    nib.save(nib.Nifti1Image(np.moveaxis(images, 0, -1), affine), tmp_path / "all.nii.gz")
    one = segment(tmp_path / "all.nii.gz", tmp_path / "out.nii.gz")
    assert np.array_equal(one.labels, labels_in_memory)
    assert nib.load(tmp_path / "out.nii.gz").shape == images.shape[1:]


@pytest.mark.parametrize("axes", ["LPS", "RPI", "ASR", "PIL"])
def test_the_orientation_of_the_files_does_not_matter(patient, labels_in_memory, axes):
    images, _, affine = patient
    to = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes))
    turned = [nib.Nifti1Image(image, affine).as_reoriented(to) for image in images]
    found = find_tumor(torch.tensor(np.stack([t.get_fdata(dtype=np.float32) for t in turned])), turned[0].affine)
    back = nib.Nifti1Image(found.labels, turned[0].affine).as_reoriented(
        nib.orientations.ornt_transform(nib.orientations.axcodes2ornt(axes), nib.orientations.axcodes2ornt("RAS"))
    )
    assert dice(np.asarray(back.dataobj) > 0, labels_in_memory > 0) > 0.98


def test_scale_offset_and_background_of_the_intensities_do_not_matter(patient, labels_in_memory):
    images, _, affine = patient
    other = torch.tensor(images, dtype=torch.float32) * torch.tensor([0.01, 3.0, 1.0, 40.0]).view(4, 1, 1, 1) - 7
    assert dice(labels_in_memory > 0, find_tumor(other, affine).labels > 0) > 0.97


class Says(torch.nn.Module):
    """A network that gives each region one probability in the left half of what it sees, another in the right half."""

    def __init__(self, left: float, right: float):
        super().__init__()
        self.left, self.right = (torch.tensor(p).logit() for p in (left, right))

    def forward(self, x):
        on_the_left = torch.arange(x.shape[2]) < x.shape[2] // 2
        logits = torch.where(on_the_left, self.left, self.right).view(1, 1, -1, 1, 1)
        return logits.expand(len(x), 3, *x.shape[2:])


@pytest.fixture(scope="module")
def coarse():
    """Another patient, at 4 mm: images (4, X, Y, Z) without skull, affine."""
    batch = Cohort(55).render([6], "tumor", 4.0, NAMES)
    return batch.images[0] * batch.mask[0], batch.affine.numpy()


def once_more(image):
    """The same contrast in another measurement: with noise of its own, 15 % of what varies in the brain."""
    inside, random = image > 0, torch.Generator().manual_seed(0)
    return image + 0.15 * image[inside].std() * inside * torch.randn(image.shape, generator=random)


def test_what_takes_up_no_gadolinium_does_not_enhance(coarse):
    images, affine = coarse
    found = find_tumor(images, affine, Says(0.99, 0.99))
    assert found.volumes_ml["enhancing tumor"].value > 5  # vessels and rim
    gain = normalize(images[None], images[None, 1:2] > 0)[0]
    gain = gain[2] - gain[1]
    assert gain[found.labels == 3].mean() > LEAST_GAIN > gain[found.labels == 2].mean() + 0.5
    without = images.clone()
    without[2] = once_more(images[1])
    found = find_tumor(without, affine, Says(0.99, 0.99))
    assert found.volumes_ml["enhancing tumor"].value == 0 and found.volumes_ml["tumor core"].value > 500
    assert found.probabilities[2].max() == 0


@pytest.mark.parametrize(("left", "right", "is_tumor"), [(0.9, 0.2, True), (0.2, 0.9, True), (0.6, 0.1, False)])
def test_the_answer_is_the_mean_over_the_brain_and_its_mirror_image(coarse, left, right, is_tumor):
    found = find_tumor(*coarse, Says(left, right))
    inside = found.probabilities[0] > 0.9 * found.probabilities[0].max()  # not at the rim, where it falls to 0
    np.testing.assert_allclose(found.probabilities[0][inside], (left + right) / 2, rtol=0.1)
    assert inside.sum() > 8000
    halves = np.array_split(found.labels > 0, 2)
    assert all((half.sum() > 4000) == is_tumor for half in halves)


def test_the_answer_is_the_mean_over_three_grids_but_of_two_where_thin_rims_count(coarse):
    """The network says another probability on each grid, which it knows by the number of voxels."""

    class SaysByGrid(torch.nn.Module):
        grids = ()

        def forward(self, x):
            self.grids += (x[0, 0].numel(),) * (x[0, 0].numel() not in self.grids)
            said = torch.tensor((0.1, 0.9, 0.5)[self.grids.index(x[0, 0].numel())]).logit()
            return said.expand(len(x), 3, *x.shape[2:])

    model = SaysByGrid()
    whole, core, enhancing = find_tumor(*coarse, model).probabilities
    coarsest, finest, at_2_mm = model.grids
    assert finest > 1.3 * at_2_mm and at_2_mm > 1.3 * coarsest
    deep = ndimage.binary_erosion(whole > 0.3, iterations=3)
    np.testing.assert_allclose(whole[deep], 0.5, atol=0.01)
    np.testing.assert_allclose(core[deep], 0.5, atol=0.01)
    taken_up = deep & (enhancing > 0.6)
    assert taken_up.sum() > 20
    np.testing.assert_allclose(np.median(enhancing[taken_up]), 0.7, atol=0.03)


@pytest.mark.parametrize(("probability", "left_out", "is_tumor"), [
    (0.45, None, True), (0.35, None, False), (0.45, "t2", True), (0.35, "t2", False),
])  # fmt: skip
def test_tumor_begins_at_two_fifths_whatever_is_left_out(coarse, probability, left_out, is_tumor):
    images, affine = coarse[0].clone(), coarse[1]
    if left_out:
        images[NAMES.index(left_out)] = 0
    found = find_tumor(images, affine, Says(probability, probability))
    assert (found.volumes_ml["whole tumor"].value > 500) == is_tumor == bool(found.labels.any())


def test_a_background_far_from_zero_is_background(coarse):
    images, affine = coarse
    plain, shifted = (find_tumor(images + offset, affine, Says(0.9, 0.9)).labels > 0 for offset in (0, -50))
    assert plain.any() and dice(plain, shifted) > 0.99


def test_a_network_left_in_training_mode_answers_as_in_evaluation_mode(coarse):
    class Moody(Says):
        def forward(self, x):
            return -super().forward(x) if self.training else super().forward(x)

    assert find_tumor(*coarse, Moody(0.9, 0.9).train()).volumes_ml["whole tumor"].value > 500


class SeesUptake(torch.nn.Module):
    """A network that finds tumor everywhere, and core where T1Gd is brighter than T1 by more than 1.6 deviations."""

    def forward(self, x):
        core = 40 * (x[:, 2] - x[:, 1] - 1.6)
        return torch.stack([torch.full_like(core, 4.0), core, core], 1)


@pytest.mark.parametrize(("uptake", "is_seen"), [(1.2, True), (0.4, False)])
def test_faint_uptake_is_seen_at_twice_its_gain(coarse, uptake, is_seen):
    """T1Gd is T1 but for a ball of 20 mm, 1.2 deviations brighter: too little for the network, unlike twice that."""
    images, affine = coarse[0].clone(), coarse[1]
    axes = np.indices(images.shape[1:]) - np.array([20, 24, 22]).reshape(3, 1, 1, 1)
    there = torch.from_numpy((axes**2).sum(0) <= 5**2) & (images[1] > 0)
    images[2] = once_more(images[1]) + uptake * images[1][images[1] > 0].std() * there
    found = find_tumor(images, affine, SeesUptake())
    ml = float(there.sum()) * 0.064
    assert found.volumes_ml["enhancing tumor"].value == (pytest.approx(ml, rel=0.25) if is_seen else 0)


def test_the_network_is_never_asked_about_more_than_it_was_trained_on(coarse):
    """A vessel far brighter than all else stays within the limits of `normalize`, also at twice its gain."""

    class Asked(Says):
        most = 0.0

        def forward(self, x):
            self.most = max(self.most, float(x.max()))
            return super().forward(x)

    images, model = coarse[0].clone(), Asked(0.99, 0.99)
    images[2, 18:22, 22:26, 20:24] *= 50
    find_tumor(images, coarse[1], model)
    assert model.most == 8.0


def test_nothing_enhances_without_t1gd(coarse):
    for left_out in ("t1gd", "t1"):
        images = coarse[0].clone()
        images[NAMES.index(left_out)] = 0
        found = find_tumor(images, coarse[1], Says(0.99, 0.99))
        assert (found.probabilities[2].max() == 0) == (left_out == "t1gd")


def test_small_pieces_are_not_reported():
    probabilities = np.zeros((3, 20, 20, 20), np.float32)
    probabilities[0, 15:17, 15:17, 15:17] = 0.9  # 8 voxels of 8 mm3: no tumor of 1 ml
    assert _labels(probabilities, 0.008).max() == 0 and _labels(probabilities, 0.2).max() == 1
    probabilities[0, 2:10, 2:10, 2:10] = 0.35  # 512 voxels, 4 ml
    assert _labels(probabilities, 0.008).max() == 0
    probabilities[0, 2:10, 2:10, 2:10] = 0.45
    assert (_labels(probabilities, 0.008) == 1).sum() == 512
    probabilities[0, 2:10, 2:10, 2:10] = 0.9
    probabilities[2, 3:7, 3:7, 3:6] = 0.9  # 48 voxels, 0.38 ml
    assert np.bincount(_labels(probabilities, 0.008).ravel()).tolist() == [8000 - 512, 512]
    probabilities[2, 3:7, 3:7, 3:7] = 0.9  # 64 voxels, 0.51 ml: enough to be called enhancing
    assert np.bincount(_labels(probabilities, 0.008).ravel()).tolist() == [8000 - 512, 512 - 64, 0, 64]
    assert _labels(np.zeros_like(probabilities), 0.008).max() == 0


def test_normalize_gives_zero_mean_and_unit_sd_in_the_brain():
    generator = torch.Generator().manual_seed(0)
    x = 5 + 3 * torch.randn(2, 4, 20, 20, 20, generator=generator)
    brain = (torch.rand(2, 1, 20, 20, 20, generator=generator) > 0.4).float()
    z = normalize(x, brain)
    values = z.movedim(1, 0)[:, brain[:, 0] > 0]
    assert values.mean() == pytest.approx(0, abs=0.02) and values.std() == pytest.approx(1, abs=0.03)
    assert (z * (1 - brain) == 0).all()
    x[0, 0, 0, 0, :5] = 1e4  # bright vessels
    assert normalize(x, brain)[0, 1:].std() == pytest.approx(float(z[0, 1:].std()), rel=1e-3)
    kept = brain[0, 0].bool() & (x[0, 0] < 1e3)
    assert normalize(x, brain)[0, 0][kept].std() == pytest.approx(1, abs=0.1)


def spoil(name, images, affine, tmp_path, files):
    """Files with one fault, and a word of the sentence that must come."""
    if name == "two files":
        return files[:2], "2 files were given"
    if name == "wrong order":
        return [files[1], files[2], files[3], files[0]], "look like T1, T1Gd, T2, FLAIR"
    if name == "three volumes":
        nib.save(nib.Nifti1Image(np.moveaxis(images[:3], 0, -1), affine), tmp_path / "x.nii.gz")
        return tmp_path / "x.nii.gz", "not (X, Y, Z, 4)"
    if name == "missing":
        return [*files[:3], tmp_path / "none.nii.gz"], "none.nii.gz"
    image = images[3].astype(np.float32)
    if name == "NaN":
        image[10, 10, 10] = np.nan
    if name == "labels":
        image = (image > 0).astype(np.float32) * 2
    if name == "constant":
        image[:] = 4
    nib.save(nib.Nifti1Image(image, affine), files[3])
    return files, {"NaN": "NaN", "labels": "labels", "constant": "one value"}[name]  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        "two files",
        "wrong order",
        "three volumes",
        "missing",
        "NaN",
        "labels",
        "constant",
    ],
)
def test_bad_input_is_refused_in_one_sentence(fault, patient, files, tmp_path):
    scans, said = spoil(fault, patient[0], patient[2], tmp_path, files)
    with pytest.raises(DataError) as refused:
        segment(scans, tmp_path / "out.nii.gz")
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "out.nii.gz").exists()


def test_the_command(files, tmp_path, capsys):
    out = tmp_path / "labels.nii.gz"
    assert main(["segment", *map(str, files), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert all(region in said for region in REGIONS) and "Not for clinical use" in said
    assert main(["segment", *map(str, files), "-o", str(out)]) == 2  # never overwritten
    assert "nothing is overwritten" in capsys.readouterr().err
    own = UNet(4, 3, (4, 8)).eval()
    torch.nn.init.zeros_(own.head.weight)
    torch.nn.init.constant_(own.head.bias, -9.0)  # this one finds nothing anywhere
    save(own, tmp_path / "own.safetensors")
    options = ["-o", str(tmp_path / "none.nii.gz"), "--weights", str(tmp_path / "own.safetensors")]
    assert main(["segment", *map(str, files), *options]) == 0
    assert "no tumor found\nwhole tumor          0.0 ml (0.0 to " in capsys.readouterr().out


@pytest.fixture(scope="module")
def real_glioma():
    """A lower-grade glioma that takes up next to no gadolinium, without reference: images, affine, what is found."""
    if not REAL.exists():
        pytest.skip("the real glioma is not here")
    read = [read_scan(REAL / f"{name}.nii.gz") for name in NAMES]
    images, affine = torch.stack([volume for volume, _ in read]), read[0][1]
    return images, affine, find_tumor(images, affine)


def test_a_real_glioma(real_glioma):
    whole, core, enhancing = (ml.value for ml in real_glioma[2].volumes_ml.values())
    assert 15 < whole < 70 and 5 < core < whole and enhancing < 0.2 * whole


def test_a_rim_painted_on_a_real_glioma_enhances_and_the_rest_stays(real_glioma):
    """Half as bright again as white matter on T1Gd: what is painted is known, whatever the true extent of the core."""
    images, affine, found = real_glioma
    before = found.labels
    depth = ndimage.distance_transform_edt(before >= 2, nib.affines.voxel_sizes(affine))
    rim = (depth > 0) & (depth <= 5)  # mm
    t1gd = images[2].numpy()
    white = np.quantile(t1gd[t1gd > 0.2 * t1gd.max()], 0.75)
    painted = images.clone()
    painted[2] += torch.from_numpy(ndimage.gaussian_filter((1.5 * white - t1gd) * rim, 0.7))
    after = find_tumor(painted, affine).labels
    assert dice(after == 3, rim) > 0.78
    assert dice(after >= 2, before >= 2) > 0.9 and dice(after > 0, before > 0) > 0.93
