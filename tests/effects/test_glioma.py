"""A glioma: mass effect in mm, size, rim, necrosis, foci, edema along white matter; no tumor, no effect."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.ndimage import map_coordinates

from synthcohort import Cohort
from synthcohort.glioma import growth
from synthcohort.grid import CENTER
from synthcohort.template import sample_template
from synthcohort.tissue_maps import BRAIN

from .conftest import having

SPACING = 6.0
NOBODY = torch.zeros(3)
ALONE = torch.tensor([1.0, 0.0, 0.0])
ROUND = {"stretch": torch.ones(3, 3), "active": ALONE}
MIDDLE = torch.tensor(CENTER)
PLACE = torch.tensor([[28.0, -20.0, 34.0], [30.0, -50.0, 30.0], [-28.0, 10.0, 30.0]])  # white matter


@pytest.fixture(scope="module")
def patient(still, change):
    """A person who lies as the template does, with a round tumor of 16 mm deep in the white matter."""
    cohort, place = still
    tumor = {
        "center": PLACE,
        "core": torch.tensor([16.0, 9.0, 7.0]),
        "edema": torch.tensor([26.0, 14.0, 12.0]),
        "push": 0.0,
    }
    people = cohort.draw([2], "tumor")
    return cohort, change(
        people, {"ventricle": 0.0}, tumor | ROUND | {"rim": 5.0, "necrosis": 1.0, "enhancing": True}, **place
    )


def positions(cohort):
    return cohort.grid("tumor", SPACING).points()[0] + MIDDLE


def ml(values, spacing=SPACING):
    return float(values.sum()) * spacing**3 / 1000


def test_no_focus_is_no_tumor(patient, change):
    """Strength zero: the brain of the same person without anything, to the last bit."""
    cohort, people = patient
    none = cohort.tissues(change(people, glioma={"active": NOBODY}), SPACING)
    other = cohort.tissues(
        change(people, glioma={"active": NOBODY, "core": torch.full((3,), 20.0), "push": 8.0}), SPACING
    )
    for name in none.names:
        assert torch.equal(none[name], other[name])
    assert max(float(none[name].max()) for name in ("core", "edema", "enhancing")) == 0
    assert none.labels("tumor").max() == 0
    assert torch.allclose(sum(none[name] for name in BRAIN), none.mask, atol=2e-3)


def test_no_push_moves_nothing(patient, change):
    cohort, people = patient
    assert torch.allclose(cohort.points(people, SPACING)[0], positions(cohort), atol=1e-3)


def test_the_push_carries_the_warp_with_it(patient, change):
    """A voxel shows what the same person without the push has where the push takes it from: also the warp of there."""
    _, people = patient
    cohort, spacing = Cohort(0, folding=0.0), 5.0
    people = replace(people, settings=cohort)
    pushed = change(people, glioma={"push": 8.0})
    grid = cohort.grid("tumor", spacing)
    before, after = (cohort.points(p, spacing)[0] for p in (people, pushed))
    source = growth.push(pushed, grid.points())[0]
    index = (source / spacing + (torch.tensor(grid.shape) - 1) / 2).movedim(-1, 0).numpy()
    expected = torch.stack([torch.from_numpy(map_coordinates(v.numpy(), index)) for v in before.unbind(-1)], -1)
    moved = (source - grid.points()[0]).norm(dim=-1) > 3
    assert moved.sum() > 1000 and (after - before).norm(dim=-1)[moved].mean() > 3
    assert (after - expected).norm(dim=-1)[moved].mean() < 0.3


@pytest.mark.parametrize("mm", [3.0, 6.0])
def test_the_brain_gives_way_outwards_by_the_mm_of_the_push(patient, change, mm):
    """Tissue seen at a distance r from the center comes from r - m min(r / 0.8 R, 1) exp(-(r / (2.1 R + 8))^2)."""
    cohort, people = patient
    here = positions(cohort)
    offset = here - PLACE[0]
    r = offset.norm(dim=-1)
    found = cohort.points(change(people, glioma={"push": mm}), SPACING)[0] - here
    outward = (found * offset).sum(-1) / r.clamp(min=1)
    expected = -mm * (r / (0.8 * 16)).clamp(max=1) * torch.exp(-((r / (2.1 * 16 + 8)) ** 2))
    away = r > 8  # the lattice of 5 mm does not show the very middle
    assert (outward - expected)[away].abs().max() < 0.1 * mm
    assert outward[away].max() < 0.02 and float(outward.min()) == pytest.approx(float(expected.min()), rel=0.06)
    sideways = found - outward[..., None] * offset / r.clamp(min=1)[..., None]
    assert sideways[away].abs().max() < 0.1 * mm
    assert found[r > 120].norm(dim=-1).max() < 0.02 * mm


def test_mass_effect_is_seen_in_the_tissues(patient, change):
    """The ventricle of the same side gets smaller, or moves away from the tumor; the skull's content stays."""
    cohort, people = patient
    before, after = (cohort.tissues(change(people, glioma={"push": m}), 4.0) for m in (0.0, 7.0))
    grid = cohort.grid("tumor", 4.0).points()[0] + MIDDLE
    side = (grid[..., 0] > 3) & (grid[..., 2] > 5)

    def distance(tissues):
        inside = tissues["ventricle"][0] * side
        center = (inside[..., None] * grid).sum((0, 1, 2)) / inside.sum()
        return float((center - PLACE[0]).norm())

    assert distance(after) > distance(before) + 0.6
    assert float(after.mask.sum() / before.mask.sum()) == pytest.approx(1, abs=0.03)


def test_a_further_focus_pushes_by_two_fifths(patient, change):
    cohort, people = patient
    two = change(people, glioma={"push": 5.0, "active": torch.tensor([0.0, 1.0, 0.0])})
    moved = (cohort.points(two, SPACING)[0] - positions(cohort)).norm(dim=-1)
    peak = 0.4 * 5 * math.exp(-((0.8 * 9 / (2.1 * 9 + 8)) ** 2))
    assert float(moved.max()) == pytest.approx(peak, rel=0.15)


def test_the_push_of_people_is_three_tenths_of_their_core():
    gliomas = [person.glioma for person in Cohort(0).draw(range(400), "tumor").persons]
    ratio = {e: torch.tensor([g.push / float(g.core[0]) for g in gliomas if g.enhancing == e]) for e in (True, False)}
    assert 0.3 * 0.4 <= ratio[True].min() < 0.16 and 0.32 < ratio[True].max() <= 0.3 * 1.2 + 1e-6
    assert float(ratio[True].mean()) == pytest.approx(0.3 * 0.8, rel=0.05)
    assert float(ratio[False].mean()) == pytest.approx(0.15 * 0.8, rel=0.1)


def test_the_core_holds_the_ball_of_its_radius_round_its_center(patient, change):
    cohort, people = patient
    volumes, centers = [], []
    grid = positions(cohort)
    for number in range(12):
        other = having(people, number=number)  # other fields, the same tumor
        tissues = cohort.tissues(other, SPACING)
        core = (tissues["core"] + tissues["enhancing"])[0]
        volumes.append(ml(core))
        centers.append((core[..., None] * grid).sum((0, 1, 2)) / core.sum())
    # Radii that differ by 17 and 10 % in parts: the mean of their cubes is 1 + 3 (0.17^2 + 0.10^2).
    ball = 4 / 3 * math.pi * 16**3 / 1000 * (1 + 3 * (0.17**2 + 0.10**2))
    assert sum(volumes) / 12 == pytest.approx(ball, rel=0.12)
    assert 0.02 < torch.tensor(volumes).std() / ball < 0.4  # no two are alike
    assert (torch.stack(centers).mean(0) - PLACE[0]).abs().max() < 1.5
    smaller = change(people, glioma={"core": torch.full((3,), 11.0)})
    small = []
    for number in range(12):
        tissues = cohort.tissues(having(smaller, number=number), SPACING)
        small.append(ml(tissues["core"] + tissues["enhancing"]))
    assert sum(small) / sum(volumes) == pytest.approx((11 / 16) ** 3, rel=0.12)


def test_a_tumor_lies_where_its_center_is_in_a_turned_and_shifted_head(patient, change):
    """The center is a place of the template: wherever the head is, the tumor is in the same tissue."""
    cohort, people = patient
    turned = change(
        people,
        rotation=torch.tensor([0.1, -0.1, 0.2]),
        shift=torch.tensor([6.0, -4.0, 3.0]),
        scale=torch.tensor([0.9, 1.0, 0.95]),
    )
    points, centers = cohort.points(turned, SPACING)[0], []
    for number in range(6):
        tissues = cohort.tissues(having(turned, number=number), SPACING)
        core = (tissues["core"] + tissues["enhancing"])[0]
        centers.append((core[..., None] * points).sum((0, 1, 2)) / core.sum())
    assert (torch.stack(centers).mean(0) - PLACE[0]).abs().max() < 2


def test_a_stretched_tumor_is_longer_in_that_direction(patient, change):
    """Along an axis the spread of its voxels grows with the stretch, and its volume stays."""
    cohort, people = patient
    grid = positions(cohort)

    def spread(stretch):
        found = cohort.tissues(change(people, glioma={"stretch": torch.tensor(stretch).expand(3, 3)}), SPACING)
        core = (found["core"] + found["enhancing"])[0]
        center = (core[..., None] * grid).sum((0, 1, 2)) / core.sum()
        return ((core[..., None] * (grid - center) ** 2).sum((0, 1, 2)) / core.sum()).sqrt(), ml(core)

    usual, volume = spread([1.0, 1.0, 1.0])
    long, same = spread([0.8, 1.25, 1.0])
    assert (long / usual).tolist() == pytest.approx([0.8, 1.25, 1.0], abs=0.08)
    assert same == pytest.approx(volume, rel=0.08)


@pytest.mark.parametrize("rim", [3.5, 5.0, 7.0])
def test_the_rim_is_as_wide_as_drawn(patient, change, rim):
    """Core within the rim is dead: its volume is that of a ball smaller by the rim."""
    cohort, people = patient
    parts = []
    for number in range(6):
        other = change(having(people, number=number), glioma={"rim": rim, "core": torch.full((3,), 20.0)})
        tissues = cohort.tissues(other, 3.0)
        parts.append([ml(tissues[name], 3.0) for name in ("enhancing", "core")])
    enhancing, dead = torch.tensor(parts).sum(0).tolist()
    radius = (3 / (4 * math.pi) * (enhancing + dead) / 6 * 1000) ** (1 / 3)
    inner = (3 / (4 * math.pi) * dead / 6 * 1000) ** (1 / 3)
    assert radius - inner == pytest.approx(rim, rel=0.2)


@pytest.fixture
def even_fields(monkeypatch):
    """The fields of a tumor, by their scales in mm, have one value everywhere: zero, or what is asked for."""

    def use(**values):
        def even(streams, shape, spacing, scale, channels=1, device="cpu"):
            return torch.full((len(streams), channels, *shape), values.get(f"mm{scale:g}", 0.0))

        monkeypatch.setattr("synthcohort.glioma.growth.smooth_field", even)

    return use


@pytest.mark.parametrize("grain, factor", [(0.0, 1.0), (-1.0, 0.68), (1.0, 1.32)])
def test_the_rim_is_uneven_by_a_third(patient, change, even_fields, grain, factor):
    """Where the finest field is one standard deviation up, a rim of 5 mm is 6.6 mm wide."""
    cohort, people = patient
    even_fields(mm7=grain)
    tissues = cohort.tissues(change(people, glioma={"core": torch.full((3,), 16.0)}), 4.0)
    dead = ml(tissues["core"], 4.0)
    assert (3 / (4 * math.pi) * dead * 1000) ** (1 / 3) == pytest.approx(16 - 5 * factor, abs=0.4)


@pytest.mark.parametrize("grain, share", [(0.0, 1.0), (-2.1 / 0.66, 0.5), (-4.2, 0.0)])
def test_the_rim_has_gaps_where_its_field_is_far_down(patient, change, even_fields, grain, share):
    """In a thousandth of it: three standard deviations down half of it enhances, and farther down nothing."""
    cohort, people = patient
    solid = change(people, glioma={"necrosis": -1.0})
    even_fields(mm7=grain)
    tissues = cohort.tissues(solid, SPACING)
    whole = ml(tissues["core"] + tissues["enhancing"])
    assert whole > 10 and ml(tissues["enhancing"]) / whole == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize(
    "field, value, change_of_radius",
    [("mm16", -1.0, -0.16), ("mm16", 0.0, 0.0), ("mm16", 1.0, 0.16), ("mm11", -3.0, -0.12), ("mm11", 3.0, 0.12)],
)
def test_the_edge_of_edema_is_uneven_by_a_sixth(patient, change, even_fields, field, value, change_of_radius):
    """In white matter it ends 3 mm beyond its radius of 26 mm, and 4 mm farther where its field is one deviation up;
    a quarter of that where the field of finer bumps is."""
    cohort, people = patient
    without = cohort.tissues(change(people, glioma={"active": NOBODY}), SPACING)
    even_fields(**{field: value})
    edema = cohort.tissues(change(people, glioma={"edema": torch.full((3,), 26.0)}), SPACING)["edema"][0]
    beyond = (positions(cohort) - PLACE[0]).norm(dim=-1) - 26 * (1 + change_of_radius) - 7 * 0.45
    white = without["white"][0] > 0.95
    inside, outside = (edema[white & (beyond > low) & (beyond < low + 2.5)].mean() for low in (-3.5, 1.0))
    assert inside > 0.75 and outside < 0.25


def test_necrosis_empties_the_rim_and_the_core_as_a_whole_stays(patient, change):
    cohort, people = patient
    found = [cohort.tissues(change(people, glioma={"necrosis": n}), SPACING) for n in (0.0, 0.15, 1.0)]
    whole = [t["core"] + t["enhancing"] for t in found]
    assert torch.allclose(whole[0], whole[2], atol=1e-6) and torch.equal(found[0]["edema"], found[2]["edema"])
    enhancing = [ml(t["enhancing"]) / ml(w) for t, w in zip(found, whole, strict=True)]
    assert enhancing[0] > enhancing[1] > enhancing[2]
    # In the middle, where 0.4 of a normal number is more than 0.35, hence in about a fifth, even the least is dead.
    middle = (positions(cohort) - PLACE[0]).norm(dim=-1) < 8
    dead = []
    for n in (0.0, 1.0):
        others = (change(having(people, number=k), glioma={"necrosis": n}) for k in range(8))
        found = [cohort.tissues(p, SPACING) for p in others]
        dead.append(sum(float(t["core"][0][middle].sum()) for t in found) / (8 * float(middle.sum())))
    assert 0.08 < dead[0] < 0.4 and dead[1] > 0.9


def test_what_does_not_enhance_is_core(patient, change):
    cohort, people = patient
    yes, no = (cohort.tissues(change(people, glioma={"enhancing": e}), SPACING) for e in (True, False))
    assert no["enhancing"].max() == 0 and ml(yes["enhancing"]) > 2
    assert torch.allclose(no["core"], yes["core"] + yes["enhancing"], atol=1e-6)
    for name in (*BRAIN, "edema"):
        assert torch.equal(no[name], yes[name])


def test_edema_follows_white_matter_and_spares_the_rest(patient, change):
    """At one distance from the core, of white matter most is taken and of the cortex little; fluid never."""
    cohort, people = patient
    grid = positions(cohort)
    r = (grid - PLACE[0]).norm(dim=-1)
    without, with_edema = (
        cohort.tissues(change(people, glioma=g), SPACING)
        for g in ({"active": NOBODY}, {"edema": torch.full((3,), 30.0)})
    )
    shell = (r > 24) & (r < 32)
    edema = with_edema["edema"][0]
    taken = {name: float(edema[shell & (without[name][0] > 0.7)].mean()) for name in ("white", "cortex")}
    assert taken["white"] > 0.5 and taken["cortex"] < 0.25 and taken["white"] > 3 * taken["cortex"]
    assert edema[without["ventricle"][0] > 0.9].sum() == pytest.approx(0, abs=0.3)
    assert edema[without.mask[0] < 0.05].max() < 0.05
    small = cohort.tissues(change(people, glioma={"edema": torch.full((3,), 20.0)}), SPACING)
    assert ml(small["edema"]) < 0.6 * ml(edema)
    assert torch.equal(small["core"], with_edema["core"]) and torch.equal(small["enhancing"], with_edema["enhancing"])
    # In white matter it reaches 3 mm farther than its radius: there half of the voxels are edema.
    white = without["white"][0] > 0.9
    for radius in (22.0, 30.0):
        others = (change(having(people, number=k), glioma={"edema": torch.full((3,), radius)}) for k in range(6))
        edema = torch.stack([cohort.tissues(p, SPACING)["edema"][0] for p in others]).mean(0)
        inside, outside = (float(edema[white & (r > low) & (r < low + 4)].mean()) for low in (radius - 3, radius + 6))
        assert inside > 0.55 and outside < 0.5 and inside > outside + 0.3


def test_edema_leaves_the_fluid_of_sulci(patient, change):
    """Of a voxel that is mostly fluid next to nothing is taken, however far the edema reaches."""
    cohort, people = patient
    without, found = (
        cohort.tissues(change(people, glioma=g), SPACING)
        for g in ({"active": NOBODY}, {"edema": torch.full((3,), 40.0)})
    )
    r = (positions(cohort) - PLACE[0]).norm(dim=-1)
    depth = sample_template(cohort.points(people, SPACING), ("depth",))["depth"][0]
    reached = (r > 20) & (r < 36) & (depth > 3.5)
    full, none = reached & (without["csf"][0] > 0.7), reached & (without["csf"][0] < 0.05)
    assert full.sum() > 10 and found["edema"][0][full].max() < 0.08 and found["edema"][0][none].mean() > 0.4
    assert float(found["csf"][0][full].mean() / without["csf"][0][full].mean()) > 0.96


def test_a_tumor_takes_the_room_of_what_was_there(patient, change):
    cohort, people = patient
    without, found = (cohort.tissues(change(people, glioma=g), SPACING) for g in ({"active": NOBODY}, {"rim": 5.0}))
    kept = 1 - found["core"] - found["edema"] - found["enhancing"]
    for name in BRAIN[1:]:
        assert torch.allclose(found[name], without[name] * kept, atol=1e-5), name
    assert torch.equal(found["ventricle"], without["ventricle"]) and torch.equal(found.mask, without.mask)
    assert torch.allclose(found.residual, without.residual * kept, atol=1e-6)
    far = (positions(cohort) - PLACE[0]).norm(dim=-1) > 60
    for name in found.names:
        assert torch.allclose(found[name][0][far], without[name][0][far], atol=1e-4)


def test_a_further_focus_is_a_tumor_of_its_own(patient, change):
    cohort, people = patient
    one, two = (
        cohort.tissues(change(people, glioma={"active": torch.tensor(a)}), SPACING)
        for a in ([1.0, 0, 0], [1.0, 0, 1.0])
    )
    grid = positions(cohort)
    near, other = ((grid - PLACE[k]).norm(dim=-1) < 6 for k in (2, 0))
    assert one["core"][0][near].max() < 1e-4 and (two["core"] + two["enhancing"])[0][near].mean() > 0.5
    assert torch.allclose(one["core"][0][other], two["core"][0][other], atol=1e-3)


def test_labels_are_those_of_the_decathlon(patient):
    cohort, people = patient
    tissues = cohort.tissues(people, SPACING)
    labels = tissues.labels("tumor")
    for number, name in ((1, "edema"), (2, "core"), (3, "enhancing")):
        assert float(tissues[name][labels == number].mean()) > 0.6
        assert float(tissues[name][labels == 0].mean()) < 0.05
    distance = (positions(cohort) - PLACE[0]).norm(dim=-1)
    means = [float(distance[labels[0] == k].mean()) for k in (2, 3, 1)]
    assert means == sorted(means)  # core within the rim within edema


def test_the_drawn_tumors():
    """Rims 3.2 to 7.8 mm, cores 10 to 23 mm; 18 % do not enhance and have little edema; 13 % have several foci."""
    people = Cohort(0).draw(range(600), "tumor")
    gliomas = [person.glioma for person in people.persons]
    rim, core = torch.tensor([g.rim for g in gliomas]), torch.tensor([float(g.core[0]) for g in gliomas])
    assert 3.2 <= rim.min() < 3.4 and 7.6 < rim.max() <= 7.8 and float(rim.mean()) == pytest.approx(5.5, abs=0.2)
    assert 10 <= core.min() < 11 and 22 < core.max() <= 23 and 16.5 < core.mean() < 18.5
    silent = torch.tensor([not g.enhancing for g in gliomas])
    assert float(silent.float().mean()) == pytest.approx(0.18, abs=0.05)
    several = torch.tensor([g.foci > 1 for g in gliomas])
    assert float(several.float().mean()) == pytest.approx(0.13, abs=0.045)
    assert {g.foci for g in gliomas} == {1, 2, 3}
    halo = torch.tensor([float(g.edema[0] - g.core[0]) for g in gliomas])
    assert float(halo[silent].mean()) < 0.6 * float(halo[~silent].mean()) and halo.min() > 1
    stretch = torch.stack([g.stretch for g in gliomas])
    assert torch.allclose(stretch.prod(-1), torch.ones(600, 3), atol=1e-4)
    assert float(stretch.log().std()) == pytest.approx(0.16 * (2 / 3) ** 0.5, rel=0.1)
    necrosis = torch.tensor([g.necrosis for g in gliomas])
    assert necrosis.min() < 0.03 and necrosis.max() > 0.97
    for g in gliomas:
        if g.foci > 1:  # the seed nearest to a place 25 to 55 mm away
            assert 15 < float((g.center[1] - g.center[0]).norm()) < 70
            assert (g.core[1:] <= 12.01).all()


def test_tumors_start_in_white_matter_on_either_side():
    people = Cohort(0).draw(range(300), "tumor")
    center = torch.stack([g.center[0] for g in (person.glioma for person in people.persons)])
    assert center[:, 0].abs().min() > 12 and center[:, 2].min() > -25
    assert 0.42 < float((center[:, 0] > 0).float().mean()) < 0.58
    maps = sample_template(center.view(1, 1, 1, -1, 3), ("wm", "depth", "phi"))
    assert maps["wm"].min() > 0.3 and maps["depth"].min() > 9 and maps["phi"].min() > 2


def test_the_truth_holds_the_geometry_that_was_drawn():
    cohort = Cohort(0)
    truth = cohort.truth(range(40), "tumor")
    persons = cohort.draw(range(40), "tumor").persons
    for row, glioma in zip(truth.itertuples(), (person.glioma for person in persons), strict=True):
        x, y, z = glioma.center[0].tolist()
        assert (row.tumor_x, row.tumor_y, row.tumor_z) == pytest.approx((x, y, z))
        assert (row.foci, row.enhances, row.rim_mm, row.push_mm) == (
            glioma.foci,
            glioma.enhancing,
            glioma.rim,
            glioma.push,
        )
        for found, radii in ((row.core_ml, glioma.core), (row.whole_ml, glioma.edema)):
            balls = [
                4 / 3 * math.pi * r**3 / 1000
                for r, on in zip(radii.tolist(), glioma.active.tolist(), strict=True)
                if on
            ]
            assert found == pytest.approx(sum(balls), rel=1e-4)


def test_a_brain_has_no_glioma_and_a_patient_no_head():
    cohort = Cohort(0)
    persons = {kind: cohort.draw([0], kind).persons[0] for kind in ("brain", "tumor", "head")}
    assert [(p.glioma is None, p.head is None) for p in persons.values()] == [
        (True, True),
        (False, True),
        (True, False),
    ]
    assert replace(persons["brain"], age=1.0).age == 1.0
