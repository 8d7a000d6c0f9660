"""Pose, size, warp and own folding: nothing at strength zero, the right size and the right place at work."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.spatial.transform import Rotation

from synthcohort import Cohort, Person, TissueMaps
from synthcohort.glioma.outcome import clinical
from synthcohort.grid import CENTER
from synthcohort.scanner import acquire
from synthcohort.template import sample_template
from synthcohort.tissue_maps import BRAIN, FLUID_OUTSIDE

from .conftest import stacked

SPACING = 8.0
MIDDLE = torch.tensor(CENTER)


@pytest.fixture(scope="module")
def straight(still, change):
    """A person without warp whose ventricles have not grown: image points are template points but for the pose."""
    cohort, place = still
    return cohort, change(cohort.draw([0]), {"ventricle": 0.0}, **place)


def image_points(cohort):
    return cohort.grid("brain", SPACING).points()[0] + MIDDLE


def test_without_pose_and_warp_an_image_is_the_template(straight):
    cohort, people = straight
    assert torch.allclose(cohort.points(people, SPACING)[0], image_points(cohort), atol=1e-3)


@pytest.mark.parametrize("axis", range(3))
def test_a_turn_is_that_of_scipy_round_the_middle(straight, change, axis):
    cohort, people = straight
    angles = torch.zeros(3)
    angles[axis] = math.radians(12)
    turn = torch.from_numpy(Rotation.from_rotvec(angles.numpy()).as_matrix()).float()
    found = cohort.points(change(people, rotation=angles), SPACING)[0]
    assert torch.allclose(found, (image_points(cohort) - MIDDLE) @ turn.T + MIDDLE, atol=2e-3)


def test_a_nod_brings_the_eyes_down(straight, change):
    """Read from the template upwards in front, an image shows the front lower: about x, forwards is y."""
    cohort, people = straight
    tissues = cohort.tissues(change(people, rotation=torch.tensor([math.radians(15), 0.0, 0.0])), SPACING)
    before = cohort.tissues(people, SPACING)
    front = cohort.grid("brain", SPACING).points()[0, ..., 1] > 50

    def height(tissues):
        z = cohort.grid("brain", SPACING).points()[0, ..., 2]
        return float((tissues.mask[0] * z)[front].sum() / tissues.mask[0][front].sum())

    assert height(tissues) < height(before) - 8
    assert tissues.mask.sum() == pytest.approx(float(before.mask.sum()), rel=0.02)


@pytest.mark.parametrize("axis", range(3))
def test_a_shift_moves_the_image_by_its_mm(straight, change, axis):
    cohort, people = straight
    shift = torch.zeros(3)
    shift[axis] = 8.0
    moved = cohort.points(change(people, shift=shift), SPACING)[0] - cohort.points(people, SPACING)[0]
    assert torch.allclose(moved, shift.expand_as(moved), atol=1e-3)
    # One voxel of 8 mm: the maps are those of the neighbor.
    one, other = (cohort.tissues(p, SPACING).mask[0] for p in (people, change(people, shift=shift)))
    inner = slice(1, -1)
    expected = one.roll(-1, axis)
    assert torch.allclose(expected[inner, inner, inner], other[inner, inner, inner], atol=1e-3)


@pytest.mark.parametrize("kind, degrees, mm", [("brain", 2.0, 1.5), ("tumor", 3.0, 2.0), ("head", 9.0, 8.0)])
def test_turns_and_shifts_have_the_spread_of_their_kind(kind, degrees, mm):
    people = Cohort(0).draw(range(400), kind)
    spread = torch.rad2deg(stacked(people, "rotation")).std(0)
    limit = 0.95 if kind == "head" else 1.0  # cut at 20 degrees
    assert spread.tolist() == pytest.approx([degrees * limit, degrees * 0.5, degrees * 0.7], rel=0.12)
    assert stacked(people, "shift").std(0).tolist() == pytest.approx([mm] * 3, rel=0.12)
    assert stacked(people, "shift").mean(0).abs().max() < 0.2 * mm


def test_rotation_and_shift_of_the_settings_act_alone():
    none = Cohort(0, rotation=0.0, shift=0.0).draw(range(30), "head")
    assert (stacked(none, "rotation") == 0).all() and (stacked(none, "shift") == 0).all()
    turned, usual = Cohort(0, rotation=4.0).draw(range(300), "head"), Cohort(0).draw(range(300), "head")
    assert torch.rad2deg(stacked(turned, "rotation")).std(0).tolist() == pytest.approx([4, 2, 2.8], rel=0.12)
    assert torch.equal(stacked(turned, "shift"), stacked(usual, "shift"))
    moved = Cohort(0, shift=3.0).draw(range(300), "head")
    assert torch.equal(stacked(moved, "rotation"), stacked(usual, "rotation"))
    assert torch.allclose(stacked(moved, "shift"), stacked(usual, "shift") * 3 / 8, atol=1e-5)


def test_a_larger_head_holds_the_cube_of_its_size(straight, change):
    cohort, people = straight
    ml = [cohort.tissues(change(people, scale=torch.full((3,), s)), 4.0).volumes(4.0) for s in (0.8, 0.88)]
    for name in ("tiv", "brain", "ventricle"):
        assert float(ml[1][name] / ml[0][name]) == pytest.approx(1.1**3, rel=0.02), name
    long = cohort.points(change(people, scale=torch.tensor([1.0, 1.25, 1.0])), SPACING)[0]
    assert torch.allclose(long, (image_points(cohort) - MIDDLE) / torch.tensor([1.0, 1.25, 1.0]) + MIDDLE, atol=2e-3)


def test_sizes_of_people():
    """Within a sex 2.6 % in length; men 14 % larger in volume; zero leaves only proportions, whose mean is one."""
    people = Cohort(0).draw(range(500))
    size, male = stacked(people, "scale"), torch.tensor([p.male for p in people.persons])
    whole = size.mean(1)
    assert float(whole[male].std() / whole[male].mean()) == pytest.approx(0.026, rel=0.15)
    assert float((whole[male].mean() / whole[~male].mean()) ** 3) == pytest.approx(1.14, abs=0.03)
    alike = Cohort(0, size=0.0).draw(range(200))
    men = stacked(alike, "scale")[torch.tensor([p.male for p in alike.persons])]
    assert men.mean(1).std() < 1e-6 and float(men.mean()) == pytest.approx(0.929 * 1.14 ** (1 / 6), rel=1e-4)
    # Three normal numbers less their mean: two thirds of the variance stay.
    assert float((men / men.mean(1, keepdim=True)).std()) == pytest.approx(0.018 * (2 / 3) ** 0.5, rel=0.12)


def test_the_warp_is_as_strong_as_its_velocities(change):
    """Zero is affine; displacements have the spread of the sum of four fields: 2.1, 1.5, 0.9 and 0.55 mm."""
    spread = {}
    for warp in (0.0, 0.4, 0.8):
        cohort = Cohort(0, warp=warp)
        people = change(cohort.draw(range(12)), {"ventricle": 0.0})
        points = torch.cat([cohort.points(replace(people, persons=(p,)), SPACING) for p in people.persons])
        spread[warp] = points
    base = spread[0.0]
    spread = {warp: points - base for warp, points in spread.items()}
    curve = base[:, 2:] - 2 * base[:, 1:-1] + base[:, :-2]
    assert curve.abs().max() < 2e-3
    scale = stacked(Cohort(0).draw(range(12)), "scale").mean()
    expected = (2.1**2 + 1.5**2 + 0.9**2 + 0.55**2) ** 0.5 / float(scale)
    for warp in (0.4, 0.8):
        found = spread[warp].flatten(1, 3).std((0, 1))
        assert found.tolist() == pytest.approx([warp * expected] * 3, rel=0.2)
    assert float(spread[0.8].norm() / spread[0.4].norm()) == pytest.approx(2, rel=0.1)
    assert (spread[0.8][0] - spread[0.8][1]).abs().mean() > 1  # nobody has the warp of another


def test_own_folding_makes_sulci_lined_with_gray_matter_in_the_cerebrum():
    """The surface of the average brain is smooth; a person's own sulci bring fluid, and gray for white matter."""
    tissues, points = {}, None
    for folding in (0.0, 0.5, 1.0):
        cohort = Cohort(0, folding=folding)
        people = cohort.draw([3])
        tissues[folding] = cohort.tissues(people, 4.0)
        points = cohort.points(people, 4.0)[0]
    none, full = tissues[0.0], tissues[1.0]
    assert torch.equal(none.mask, full.mask) and torch.equal(none["ventricle"], full["ventricle"])
    ml = {f: t.volumes(4.0) for f, t in tissues.items()}
    fluid, cortex = ([float(ml[f][name]) for f in tissues] for name in ("csf", "cortex"))
    white = [float(ml[f]["white"]) for f in tissues]
    assert fluid[0] < fluid[1] < fluid[2] and cortex[2] > cortex[0] + 2 and white[0] > white[1] > white[2]
    assert 20 < fluid[2] - fluid[0] < 150 and 25 < white[0] - white[2] < 150  # ml
    # The cerebellum keeps its own folds, and what lies deep stays.
    x, y, z = points.unbind(-1)
    moved = sum((full[name] - none[name]).abs() for name in BRAIN)[0]
    below = moved[(y < -50) & (z < -40)]
    assert below.max() < 0.15 and below.mean() < 0.1 * moved[none.mask[0] > 0.5].mean()
    assert moved[(x.abs() < 25) & (y.abs() < 20) & (z > -5) & (z < 20)].mean() < 0.1 * moved[none.mask[0] > 0.5].mean()


@pytest.mark.parametrize("field, reach", [(-1.0, 5.0), (0.0, 10.0), (1.0, 15.0)])
def test_own_sulci_reach_10_mm_deep_and_5_more_or_less(straight, monkeypatch, field, reach):
    """With its sheet everywhere all of the cortex is a sulcus, as deep as the field of the depth says."""
    cohort, people = straight
    maps = sample_template(cohort.points(people, 4.0), ("depth", "phi", "csf"))
    none = cohort.tissues(people, 4.0)

    def even(streams, shape, spacing, scale, channels=1, device="cpu"):
        return torch.full((len(streams), channels, *shape), field if scale == 26.0 else 0.0)

    monkeypatch.setattr("synthcohort.brain.tissues.smooth_field", even)
    found = cohort.tissues(replace(people, settings=replace(people.settings, folding=1.0)), 4.0)
    up = cohort.points(people, 4.0)[..., 2] > 20
    where = up & (maps["phi"] > 14) & (maps["csf"] < 0.3) & (none["csf"] < 0.2)
    depth, won = maps["depth"], found["csf"] - none["csf"]
    inside, outside = (won[where & (depth > low) & (depth < low + 2)].mean() for low in (reach - 4, reach + 3))
    assert inside > 0.4 and outside < 0.15


def test_cisterns_keep_the_fluid_of_the_average(straight):
    """Deeper than any sulcus and away from the ventricles the brain has the fluid that the template has there."""
    cohort, people = straight
    maps = sample_template(cohort.points(people, 4.0), ("csf", "depth", "phi"))
    tissues = cohort.tissues(people, 4.0)
    deep = (maps["depth"] > 28) & (maps["phi"] > 6)
    expected = maps["csf"] * (1 - tissues["ventricle"]) * (tissues.mask - tissues["ventricle"])
    assert maps["csf"][deep].max() > 0.3 and (tissues["csf"] - expected)[deep].abs().max() < 0.12
    assert float(tissues["csf"][deep].sum() / expected[deep].sum()) == pytest.approx(1, abs=0.15)


def test_parts_of_the_brain_add_up_to_the_mask_and_nobody_has_negative_tissue():
    cohort = Cohort(0)
    for number in range(3):
        tissues = cohort.tissues(cohort.draw([number]), 6.0)
        total = sum(tissues[name] for name in BRAIN)
        assert torch.allclose(total, tissues.mask, atol=2e-3)
        assert min(float(tissues[name].min()) for name in BRAIN) > -1e-6


def test_every_person_has_a_stream_of_their_own():
    """Seed, kind, number and purpose each change what is drawn."""
    person = Cohort(0).draw([1]).persons[0]
    first = torch.rand(4, generator=person.stream("a"))
    assert torch.equal(first, torch.rand(4, generator=person.stream("a")))
    for other in (replace(person, seed=1), replace(person, kind="head"), replace(person, number=2)):
        assert not torch.equal(first, torch.rand(4, generator=other.stream("a")))
    assert not torch.equal(first, torch.rand(4, generator=person.stream("b")))


def test_volumes_are_the_sums_of_the_maps():
    """By hand, from 3 x 3 x 3 voxels of 10 mm: 1 ml each; white matter counts what is hyperintense in it."""
    amounts = dict(zip(BRAIN, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0), strict=True))
    whole = torch.ones(1, 3, 3, 3)
    maps = TissueMaps({name: whole * amount / 27 for name, amount in amounts.items()}, whole, 0 * whole)
    found = {name: float(ml) for name, ml in maps.volumes(10.0).items()}
    assert all(found[name] == pytest.approx(amounts[name]) for name in BRAIN if name != "white")
    assert (found["gray"], found["white"]) == pytest.approx((3 + 4, amounts["white"] + amounts["lesion"]))
    assert (found["tiv"], found["brain"], found["fraction"]) == pytest.approx((27, 18, 18 / 27))


def test_labels_of_a_brain_are_of_the_largest_part_and_fluid_is_one():
    """Six voxels by hand: half of each is the part; one is a little ventricle and sulcus, together more than white."""
    parts = torch.eye(6)[:, None, None, None] * 0.5
    mixed = torch.tensor([0.3, 0.3, 0.0, 0.0, 0.4, 0.0]).view(6, 1, 1, 1, 1)
    maps = torch.cat([parts.view(6, 1, 1, 1, 6), mixed, 0 * mixed], -1)
    mask = torch.tensor([0.7] * 6 + [1.0, 0.0]).view(1, 1, 1, 8)
    tissues = TissueMaps(dict(zip(BRAIN, maps, strict=True)), mask, 0 * mask)
    assert tissues.labels("brain").flatten().tolist() == [1, 1, 2, 3, 4, 5, 1, 0]
    assert tissues.labels("head").flatten().tolist() == [1] * 7 + [0]


def test_what_is_packed_comes_back():
    """To a step of 255: maps, mask, vessels, and the residual, dark and bright."""
    generator = torch.Generator().manual_seed(0)
    maps = {name: torch.rand(2, 4, 4, 4, generator=generator) for name in (*BRAIN, "mask", "vessel")}
    residual = 0.12 * (2 * torch.rand(2, 4, 4, 4, generator=generator) - 1)
    mask, vessel = maps.pop("mask"), maps.pop("vessel")
    again = TissueMaps.unpack(*TissueMaps(maps, mask, residual, vessel).pack())
    for before, after in ((mask, again.mask), (vessel, again.vessel), *((maps[n], again[n]) for n in BRAIN)):
        assert (before - after).abs().max() < 0.51 / 255
    assert (0.24 * (again.residual - 0.5) - residual).abs().max() < 0.24 * 0.51 / 255 + 1e-6


def test_fluid_outside_the_brain_is_packed_as_fluid():
    """What lies between brain and skull shows the same signal: it joins the sulci, and has no map of its own."""
    csf, outside = torch.rand(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(1)) / 2
    maps = TissueMaps({"csf": csf, FLUID_OUTSIDE: outside}, csf, 0 * csf)
    again = TissueMaps.unpack(*maps.pack())
    assert again.names == ("csf",) and FLUID_OUTSIDE not in again
    assert (again["csf"] - csf - outside).abs().max() < 0.51 / 255


@pytest.mark.parametrize("spacing, step", [(1.0, 1), (1.4, 1), (1.5, 2), (4.0, 2)])
def test_fine_images_read_fine_maps(spacing, step, monkeypatch):
    asked = []

    def noted(points, names, step=2):
        asked.append(step)
        raise InterruptedError

    monkeypatch.setattr("synthcohort.cohort.sample_template", noted)
    monkeypatch.setattr(Cohort, "points", lambda *_: torch.zeros(1, 1, 1, 1, 3))
    with pytest.raises(InterruptedError):
        Cohort(0).tissues(Cohort(0).draw([0]), spacing)
    assert asked == [step]


@pytest.mark.parametrize("kind", ["brain", "tumor", "head"])
def test_no_stream_serves_two_purposes(kind, monkeypatch):
    """Else two things that have nothing to do with each other would go together in everyone."""
    asked, cohort = [], Cohort(0)
    people, usual = cohort.draw([1], kind), Person.stream
    monkeypatch.setattr(Person, "stream", lambda self, purpose: asked.append(purpose) or usual(self, purpose))
    acquire(cohort.tissues(people, SPACING), people, "flair", SPACING)
    if kind == "tumor":
        clinical(people.persons[0])
    assert len(asked) > 8 and sorted(asked) == sorted(set(asked))


def test_no_anatomy_leaves_age_alone():
    """Strength 0: people of one age have one brain, whatever chance says; 1: each their own."""
    plain = {"age_range": (70.0, 70.0), "biological": 0.0, "regional": 0.0}
    alike = [p.aging for p in Cohort(0, anatomy=0.0, **plain).draw(range(6)).persons]
    assert all(aging == alike[0] for aging in alike)
    usual = [p.aging for p in Cohort(0, **plain).draw(range(600)).persons]
    old = (70 - 20) / 60
    offset = {name: torch.tensor([getattr(a, name) for a in usual]) - getattr(alike[0], name) for name in
              ("ventricle", "contrast_loss", "iron", "lesion")}  # fmt: skip
    for name, sd in (("ventricle", 2.2 + old), ("contrast_loss", 0.025), ("iron", 0.025)):
        assert float(offset[name].std()) == pytest.approx(sd, rel=0.1), name
    # The heaviest load is cut at 1.6: the lower half has the spread of a normal number.
    assert -float(offset["lesion"].quantile(0.16)) == pytest.approx(0.42, rel=0.15)
    horn = torch.tensor([math.log(a.horn / alike[0].horn) for a in usual])
    assert float(horn.std()) == pytest.approx(0.12, rel=0.1)
    sulcus = torch.tensor([[a.sulcus[n] - alike[0].sulcus[n] for n in a.sulcus] for a in usual])
    assert float(sulcus.std()) == pytest.approx(0.011, rel=0.1) and sulcus.std(1).max() < 1e-6  # one for all regions
    myelin = torch.tensor([a.myelination["frontal"] - alike[0].myelination["frontal"] for a in usual])
    assert float(myelin.std()) == pytest.approx(0.03, rel=0.1)
    draws = torch.stack([*offset.values(), horn, sulcus[:, 0], myelin])
    assert (torch.corrcoef(draws) - torch.eye(7)).abs().max() < 0.2  # seven draws, none twice


def test_hyperintensities_have_a_heaviest_load_and_no_least_one():
    loads = [p.aging.lesion for p in Cohort(0, anatomy=6.0).draw(range(100)).persons]
    assert max(loads) == 1.6 and loads.count(1.6) > 10 and min(loads) < -3


def test_ventricles_stay_between_slits_and_severe_enlargement():
    wide = Cohort(0, anatomy=6.0).draw(range(100))
    found = [p.aging.ventricle for p in wide.persons]
    assert min(found) == -4.5 and max(found) == 11.0
