"""The template lies where the ICBM average lies, to a fraction of a voxel; what is derived is where anatomy has it."""

import importlib.util
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from scipy import ndimage

from synthcohort import Cohort
from synthcohort.grid import CENTER
from synthcohort.template import BRAIN_MAPS, HEAD_MAPS, PUSH_MAPS, sample_template

from .conftest import having


def average(name):
    """A map of the ICBM average as it is stored, 0 to 1, at MNI mm (..., 3): independent of the package."""
    folder = Path(importlib.util.find_spec("nilearn").submodule_search_locations[0]) / "datasets" / "data"
    image = nibabel.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
    values = np.asanyarray(image.dataobj).astype(np.float32) / 255
    to_voxel = np.linalg.inv(image.affine)

    def at(points, values=values):
        index = points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        return ndimage.map_coordinates(values, np.moveaxis(index, -1, 0), order=1)

    return at


@pytest.fixture(scope="module")
def white():
    return average("wm")


@pytest.fixture(scope="module")
def gray():
    return average("gm")


def at(names, points, step=2):
    values = sample_template(torch.as_tensor(points, dtype=torch.float32).view(1, 1, 1, -1, 3), names, step)
    return {name: v.flatten() for name, v in values.items()}


def cube(x, y, z):
    return np.stack(np.meshgrid(x, y, z, indexing="ij"), -1).reshape(-1, 3).astype(float)


@pytest.mark.parametrize("step", [2, 4])
def test_the_template_lies_on_the_average_to_a_fraction_of_a_voxel(white, step):
    """Shifts in mm that best explain what differs, by least squares on the gradient; far from the fissure."""
    points = cube(np.arange(24, 60, 4), np.arange(-80, 50, 4), np.arange(-10, 60, 4))
    points = np.concatenate([points, points * [-1, 1, 1]])
    corners = [(np.array(d) - 1) * step / 3 for d in np.ndindex(3, 3, 3)]

    def mean(offset):  # over a voxel of the template
        return np.mean([white(points + corner + offset) for corner in corners], 0)

    middle = mean(np.zeros(3))
    slope = np.stack([(mean(e) - mean(-e)) / 2 for e in np.eye(3)], -1)
    found = at(("wm",), points, step)["wm"].numpy()
    shift = np.linalg.lstsq(slope, found - middle, rcond=None)[0]
    assert np.abs(shift).max() < 0.06 * step
    moved = np.linalg.lstsq(slope, mean(np.full(3, 0.5)) - middle, rcond=None)[0]
    assert moved == pytest.approx(0.5, rel=0.2)  # the method sees a shift where there is one


def test_a_point_of_an_image_lies_where_the_affine_says():
    """A person in MNI space: the voxel (i, j, k) of the image shows what lies at affine @ (i, j, k)."""
    cohort = Cohort(0, warp=0.0)
    person = having(cohort.draw([0]), rotation=torch.zeros(3), shift=torch.zeros(3), scale=torch.ones(3))
    aging = person.persons[0].aging
    person = having(person, aging=type(aging)(**{**vars(aging), "ventricle": 0.0}))
    grid = cohort.grid("brain", 8.0)
    index = torch.stack(torch.meshgrid(*[torch.arange(n) for n in grid.shape], indexing="ij"), -1).double()
    mm = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    assert torch.allclose(cohort.points(person, 8.0)[0].double(), mm, atol=1e-3)
    assert torch.allclose(mm.mean((0, 1, 2)), torch.tensor(CENTER).double())


@pytest.mark.parametrize("spacing", [8.0, 5.0])
def test_one_person_lies_at_the_same_mm_on_every_grid(spacing):
    batch = Cohort(0).render([1], spacing=spacing)
    whole = Cohort(0).render([1], spacing=4.0)

    def center(batch):
        index = (batch.mask[0] > 0).nonzero().double().mean(0)
        return batch.affine[:3, :3] @ index + batch.affine[:3, 3]

    assert (center(batch) - center(whole)).abs().max() < 0.5


def test_the_medial_walls_come_closer_and_only_they(white, gray):
    """Above the callosum what lay 1.6 mm farther out in the average of 152 people now lies here, fading over 9 mm."""
    x = np.arange(1, 33, 0.5)
    lines = [
        np.stack([x, np.full_like(x, y), np.full_like(x, z)], -1) for y, z in ((40, 40), (20, 50), (0, 55), (-20, 60))
    ]
    fading = np.tanh(x / 1.5) * np.exp(-((x / 9) ** 2))
    amounts = np.arange(-10, 10.1, 0.2)
    misfit = np.zeros(len(amounts))
    for line in lines:
        found = sum(at(("gm", "wm"), line).values()).numpy()
        for k, amount in enumerate(amounts):
            shifted = line + np.stack([amount * fading, 0 * x, 0 * x], -1)
            misfit[k] += np.square(found - white(shifted) - gray(shifted)).sum()
        assert np.abs(found - white(line) - gray(line))[x > 24].max() < 0.25
    assert 0.8 < amounts[misfit.argmin()] < 2.2


def test_fractions_add_up_and_both_sides_are_alike():
    points = cube(np.arange(4, 60, 6), np.arange(-80, 60, 6), np.arange(-40, 70, 6))
    left, right = at(BRAIN_MAPS, points), at(BRAIN_MAPS, points * [-1, 1, 1])
    for name in ("gm", "wm", "mask", "depth", "horn"):
        assert (left[name] - right[name]).abs().quantile(0.9) < 0.3 * left[name].std(), name
    inside = left["depth"] > 5
    total = (left["gm"] + left["wm"] + left["csf"])[inside]
    assert (total - 1).abs().max() < 0.02
    assert (left["deep"] <= left["gm"] + 1e-2).all()


def test_the_horn_and_the_vessels_are_where_anatomy_has_them():
    """Named places in MNI mm."""
    horn = torch.tensor([(31, -17, -18), (34, -26, -13), (35, -34, -6)], dtype=torch.float32)
    for side in (-1, 1):
        assert at(("horn",), horn * torch.tensor([side, 1, 1]))["horn"].max() < 1.6
    assert at(("horn",), [(31, -17, 2), (31, 3, -18), (51, -17, -18)])["horn"].min() > 10
    # Superior sagittal and straight sinus, basilar and middle cerebral arteries; white matter has none.
    found = at(
        ("vessel",), [(0, 22, 71), (0, -58, 74), (0, -84, 0), (0, -26, -34), (36, 2, -16), (-36, 2, -16), (28, -20, 34)]
    )
    assert found["vessel"][:6].min() > 0.4 and found["vessel"][6] < 0.02


def test_growing_ventricles_push_outwards_and_the_push_fades():
    """One mm near the wall at most, in the direction in which the distance to the ventricle grows."""
    points = cube(np.arange(-40, 41, 4), np.arange(-60, 41, 4), np.arange(2, 45, 4))
    push = torch.stack(list(at(PUSH_MAPS, points, 4).values()), -1)
    steps = np.eye(3) * 2
    slope = torch.stack([(at(("phi",), points + e)["phi"] - at(("phi",), points - e)["phi"]) / 4 for e in steps], -1)
    phi = at(("phi",), points)["phi"]
    outward = (push * slope).sum(-1)
    near, further, far = (outward[(phi > low) & (phi < high)].mean() for low, high in ((2, 6), (12, 16), (30, 36)))
    assert 0.4 < near < 1 and push.norm(dim=-1).max() < 1.1
    assert near > further > far and far < 0.4 * near


def test_the_eyes_lie_in_front_of_the_brain_and_below_it():
    """An eye of 24 mm holds 7.2 ml; the pupils of adults are 63 mm apart."""
    points = cube(np.arange(-60, 61, 2), np.arange(-100, 100, 2), np.arange(-80, 30, 2))
    maps = at(HEAD_MAPS, points)
    mm = torch.from_numpy(points).float()
    brain = at(("mask",), points)["mask"]
    for side in (-1, 1):
        eye = maps["eye"] * (mm[:, 0] * side > 0)
        center = (eye[:, None] * mm).sum(0) / eye.sum()
        assert float(eye.sum()) * 0.008 == pytest.approx(7.2, rel=0.2)
        assert side * float(center[0]) == pytest.approx(63 / 2, abs=3)
        assert center[1] > 55 and -45 < center[2] < -25
        lens = maps["lens"] * (mm[:, 0] * side > 0)
        assert float((lens * mm[:, 1]).sum() / lens.sum() - center[1]) > 5
        nerve = maps["nerve"] * (mm[:, 0] * side > 0)
        assert float((nerve * mm[:, 1]).sum() / nerve.sum()) < center[1] - 8  # behind the eye
    assert (maps["eye"] * brain).sum() < 0.05 * maps["eye"].sum()
    assert ((maps["eye"] > 0.5) & (mm[:, 1] < 40)).sum() == 0


def test_the_layers_of_the_head_lie_one_beyond_the_other():
    points = cube(np.arange(-90, 91, 6), np.arange(-120, 100, 6), np.arange(0, 96, 6))
    maps = at(HEAD_MAPS, points)
    brain = at(("mask", "depth"), points)
    assert maps["hull"][brain["depth"] > 4].max() < 0.5  # the hull encloses the brain
    edge = (brain["depth"].abs() < 1) & (torch.from_numpy(points[:, 2]) > 30)
    assert maps["hull"][edge].median().abs() < 4
    skin = maps["skin"][(maps["hull"] > 4) & (maps["hull"] < 6)]
    assert skin.median() == pytest.approx(13 - 5, abs=2)  # a head ends 13 mm beyond the hull, before scalp and skull
    above = at(("hull",), [(0, -20, 90), (0, -20, 100), (85, -20, 20), (95, -20, 20)])["hull"]
    assert (above[1::2] - above[::2]).tolist() == pytest.approx([10, 10], abs=1.2)  # mm, straight above and beside
    low = at(("cord", "air"), [(0, -42, -85), (0, 60, -66), (30, 60, -70), (0, -42, 0)])
    assert low["cord"][0] > 0.8 and low["cord"][3] < 0.01 and low["air"][1:3].min() > 0.5
