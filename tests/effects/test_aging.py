"""Each mark of age: alone, in its place, in the right direction and by the published size."""

import numpy as np
import pytest
import torch

from synthcohort import Cohort
from synthcohort.brain import aging
from synthcohort.brain.aging import REGIONS
from synthcohort.scanner import acquire, draw_signals
from synthcohort.template import sample_template
from synthcohort.tissue_maps import BRAIN, TISSUES

from .conftest import having

SPACING = 6.0
ML = SPACING**3 / 1000
PLAIN = {"biological": 0.0, "regional": 0.0, "anatomy": 0.0}
# Boxes in MNI mm, |x| y z, that hold each region in an atlas.
BOXES = {
    "frontal": ((0, 70), (-30, 80), (-30, 85)),
    "parietal": ((0, 75), (-95, 10), (-10, 85)),
    "occipital": ((0, 60), (-110, -50), (-25, 75)),
    "temporal": ((15, 80), (-75, 30), (-50, 15)),
    "sylvian": ((25, 75), (-45, 40), (-20, 30)),
    "cerebellum": ((0, 60), (-100, -30), (-70, -5)),
    "hippocampus": ((15, 45), (-50, 5), (-30, 15)),
    "callosum": ((0, 30), (-60, 55), (0, 40)),
    "basal ganglia": ((0, 40), (-40, 40), (-20, 35)),
}


def at_age(age, number=0, **settings):
    cohort = Cohort(0, age_range=(age, age), **PLAIN | settings)
    return cohort, cohort.draw([number])


def knots(age, values):
    return float(np.interp(age, np.arange(15, 100, 10), values))


SULCUS = (0.0744, 0.0788, 0.0888, 0.103, 0.1208, 0.1403, 0.1611, 0.1818, 0.2037)
RATES = {"frontal": 1.3, "parietal": 1.0, "occipital": 0.5, "temporal": 1.1, "sylvian": 1.5, "cerebellum": 0.7}


def test_every_region_reaches_the_anatomy_by_its_own_age():
    """With nothing but regional ages at work, each inner constant is a curve of the age of its own region."""
    cohort = Cohort(0, age_range=(60.0, 60.0), biological=0.0, anatomy=0.0, regional=12.0)
    young = knots(20, SULCUS)
    for person in cohort.draw(range(20)).persons:
        ages, found = person.regional_ages, person.aging
        assert set(ages) == set(REGIONS) and len(set(ages.values())) == len(REGIONS)
        for name, rate in RATES.items():
            expected = young + rate * (knots(np.clip(ages[name], 15, 95), SULCUS) - young)
            if 15 < ages[name] < 95:
                assert found.sulcus[name] == pytest.approx(expected, abs=1e-5), name
            assert found.myelination[name] == pytest.approx(0.16 / 60 * (min(ages[name], 45) - 20)), name
        hippocampus, callosum, ganglia = (ages[n] for n in ("hippocampus", "callosum", "basal ganglia"))
        assert found.horn == pytest.approx(1 + 0.03 * max(0, hippocampus - 20) + 0.045 * max(0, hippocampus - 60))
        assert found.lost["callosum"] == pytest.approx(0.018 * (callosum - 20) + 0.016 * max(0, callosum - 60))
        assert found.lost["basal ganglia"] == pytest.approx(0.028 * (ganglia - 20))
        assert found.iron == pytest.approx(0.003 * (ganglia - 20))
        # The whole brain is 60: what belongs to no region does not follow any.
        assert found.contrast_loss == pytest.approx(0.3 / 60 * 40) and found.lesion == pytest.approx(0.19, abs=0.01)


def test_regional_and_biological_ages_have_their_spread():
    truth = Cohort(0, age_range=(60.0, 60.0)).truth(range(500))
    assert (truth.biological_age - 60).std() == pytest.approx(2, rel=0.1)
    gaps = truth[[f"{name.replace(' ', '_')}_age" for name in REGIONS]].sub(truth.biological_age, axis=0)
    assert gaps.std().tolist() == pytest.approx([5] * len(REGIONS), rel=0.12)
    assert (gaps.corr() - np.eye(len(REGIONS))).abs().to_numpy().max() < 0.2
    none = Cohort(0, age_range=(60.0, 60.0), biological=0.0, regional=0.0).truth(range(5))
    assert (none.filter(regex="_age$") == 60).all(axis=None)


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_shrinks_where_it_is_and_alone(region, change, places):
    """Forty years more for one region: fluid comes there and nowhere else, in place of tissue."""
    cohort, people = at_age(40.0)
    person = people.persons[0].aging
    if region in RATES:
        more = RATES[region] * (knots(80, SULCUS) - knots(40, SULCUS))
        older = change(people, {"sulcus": {**person.sulcus, region: person.sulcus[region] + more}})
    elif region == "hippocampus":
        older = change(people, {"horn": 1 + 0.03 * 60 + 0.045 * 20})
    else:
        older = change(
            people, {"lost": {**person.lost, region: person.lost[region] + (1.04 if region == "callosum" else 1.12)}}
        )
    before, after = cohort.tissues(people, SPACING), cohort.tissues(older, SPACING)
    x, y, z = places(cohort, people, SPACING)
    won = (after["csf"] + after["ventricle"] - before["csf"] - before["ventricle"])[0]
    fluid = "csf" if region in RATES else "ventricle"
    gained = float((after[fluid] - before[fluid]).sum()) * ML
    assert torch.equal(before.mask, after.mask) and gained > 0.3
    assert won.min() > -0.1 and won.clamp(max=0).sum() > -0.1 * won.sum()  # fluid hardly ever becomes tissue
    inside = torch.ones_like(won)
    for values, (low, high) in zip((x.abs(), y, z), BOXES[region], strict=True):
        inside = inside * (values > low) * (values < high)
    assert float((won * inside).sum() / won.sum()) > 0.8
    # Half of the years: less of the same.
    if region in RATES:
        half = cohort.tissues(
            change(people, {"sulcus": {**person.sulcus, region: person.sulcus[region] + more / 2}}), SPACING
        )
        assert 0.3 < float((half["csf"] - before["csf"]).sum()) * ML / gained < 0.7


def test_association_cortex_shrinks_more_than_visual_cortex():
    """Raz et al., 2005: visual cortex hardly shrinks, association cortices do."""
    gain = {name: aging.sulcus_shift(80, name) - aging.sulcus_shift(30, name) for name in RATES}
    for name, rate in RATES.items():
        assert gain[name] / gain["parietal"] == pytest.approx(rate)
    assert gain["occipital"] < 0.5 * gain["frontal"]
    for name in RATES:
        assert aging.sulcus_shift(20, name) == pytest.approx(knots(20, SULCUS))


def test_beyond_the_last_knot_the_curves_go_on():
    assert aging.ventricle_push(100) - aging.ventricle_push(95) == pytest.approx((6.03 - 4.79) / 2)
    assert aging.ventricle_push(10) == aging.ventricle_push(15)


@pytest.mark.parametrize("mm", [-2.0, 3.0, 6.0])
def test_ventricles_grow_by_the_mm_of_their_push(mm, still, change, places):
    """The walls move outwards by the push, where it is strongest; far away, and outside the brain, nothing moves."""
    cohort, place = still
    people = change(cohort.draw([0]), {"ventricle": 0.0}, **place)
    grown = change(people, {"ventricle": mm})
    a, b = (torch.stack(places(cohort, p, SPACING), -1) for p in (people, grown))
    moved = (b - a).norm(dim=-1)
    assert 0.6 * abs(mm) < float(moved.max()) < 1.05 * abs(mm)
    x, y, z = a.unbind(-1)
    # Above the lateral ventricle, at (14, 0, 28), tissue comes from below if the ventricle has grown.
    above = (x.abs() - 14).abs() + (y - 0).abs() + (z - 28).abs()
    here = above.argmin()
    assert float((b - a)[..., 2].flatten()[here]) * mm < 0
    before, after = cohort.tissues(people, SPACING), cohort.tissues(grown, SPACING)
    assert float(after.mask.sum() / before.mask.sum()) == pytest.approx(1, abs=0.01)
    change_ml = float((after["ventricle"] - before["ventricle"]).sum()) * ML
    # The lateral and third ventricles of the average have a surface of about 150 cm2.
    assert change_ml * mm > 0 and 3 < change_ml / mm < 20
    assert moved[before.mask[0] < 0.01].mean() < 0.01 * float(moved.max())


def test_ventricles_follow_their_age():
    for age, push in ((25.0, -1.69), (45.0, 0.24), (85.0, 4.79)):
        assert at_age(age)[1].persons[0].aging.ventricle == pytest.approx(push)


def test_the_temporal_horns_gain_what_hippocampi_lose(change, places):
    """2.4 ml from 20 to 75 years, both sides, round the lumen of the horn; a horn of no width is none."""
    cohort, people = at_age(40.0, warp=0.0)
    people = change(people, {"ventricle": 0.0}, rotation=torch.zeros(3), scale=torch.full((3,), 0.929))
    ml = {}
    for age, radius in ((20, 1.0), (75, 1.0 + 0.03 * 55 + 0.045 * 15)):
        assert aging.horn_radius(age) == pytest.approx(radius)
        ml[age] = cohort.tissues(change(people, {"horn": radius}), 2.0)
    won = (ml[75]["ventricle"] - ml[20]["ventricle"])[0]
    assert float(won.sum()) * 0.008 == pytest.approx(2.4, rel=0.25)
    x, y, z = places(cohort, people, 2.0)
    for side in (-1, 1):
        assert float(won[x * side > 0].sum() / won.sum()) == pytest.approx(0.5, abs=0.06)
    center = [float((won * v).sum() / won.sum()) for v in (x.abs(), y, z)]
    assert center == pytest.approx([33, -26, -12], abs=4)


def test_white_matter_gains_what_myelination_takes_from_the_cortex(change):
    """Only the boundary moves: gray plus white, fluid and mask stay; up to 45 years, and not beyond."""
    assert aging.myelination(20) == 0 and aging.myelination(45) == pytest.approx(0.0667, abs=1e-3)
    assert aging.myelination(90) == aging.myelination(45)
    cohort, people = at_age(30.0)
    none, some, more = (
        cohort.tissues(change(people, {"myelination": dict.fromkeys(RATES, m)}), SPACING) for m in (0.0, 0.05, 0.1)
    )
    for name in ("ventricle", "csf"):
        assert torch.equal(none[name], more[name])
    whole = [t["cortex"] + t["white"] + t["lesion"] + t["deep"] for t in (none, more)]
    assert torch.allclose(*whole, atol=1e-5)
    gain = [float((t["white"] + t["lesion"] - none["white"] - none["lesion"]).sum()) * ML for t in (some, more)]
    assert gain[0] > 5 and gain[1] == pytest.approx(2 * gain[0], rel=0.2)
    assert float((more["white"] - none["white"]).min()) > -0.05
    # Half of the fraction within which the boundary is soft is 0.13: a shift of 0.09 turns a few percent of the ribbon.
    assert 0.02 < gain[1] / float(none.volumes(SPACING)["cortex"]) < 0.2
    alone = cohort.tissues(change(people, {"myelination": dict.fromkeys(RATES, 0.0) | {"occipital": 0.1}}), SPACING)
    assert 0 < float((alone["white"] - none["white"]).sum()) < 0.4 * gain[1] / ML


def test_deep_inside_gray_and_white_mix_as_in_the_average_but_at_the_ventricles(change):
    """Three quarters of the mixture stay and a quarter is sharp; at the wall of a ventricle four fifths of the gray,
    which the average has only because fluid mixes in there, are white."""
    cohort, people = at_age(30.0, warp=0.0, folding=0.0)
    lost = dict.fromkeys(people.persons[0].aging.lost, 0.0)
    people = change(people, {"myelination": dict.fromkeys(RATES, 0.05), "lost": lost, "ventricle": 0.0})
    tissues = cohort.tissues(people, 4.0)
    maps = sample_template(cohort.points(people, 4.0), ("gm", "wm", "deep", "depth", "phi"))
    average = maps["wm"] / (maps["wm"] + maps["gm"] + 1e-3)
    mix = 0.75 * torch.sigmoid((maps["depth"] - 14) / 3)
    gray = 1 - mix * average - (1 - mix) * torch.sigmoid((average - 0.5 + 0.9 * 0.05) / 0.13)
    deep = gray * (maps["deep"] / (maps["gm"] + 1e-3)).clamp(0, 1)
    wall = 0.8 * torch.exp(-((maps["phi"].clamp(min=0) / 1.6) ** 2)) * (1 - tissues["deep"])
    solid = sum(tissues[name] for name in ("cortex", "deep", "white", "lesion"))
    found, expected = tissues["cortex"] / solid.clamp(min=1e-6), (gray - deep) * (1 - wall)
    inside = (maps["depth"] > 16) & (solid > 0.3)
    for where in (inside & (maps["phi"] < 2) & (gray - deep > 0.2), inside & (maps["phi"] > 6)):
        assert where.sum() > 20 and (found - expected)[where].abs().mean() < 0.02
        assert (found - expected)[where].mean().abs() < 0.01


@pytest.mark.parametrize("contrast", ["t1", "t1gd", "t2", "flair"])
def test_contrast_of_gray_and_white_falls_with_age_on_t1_alone(contrast, change, quiet):
    """0.3 of it from 20 to 80 years, four fifths of which white matter loses; the image follows the map of white."""
    cohort, people = at_age(20.0)
    assert people.persons[0].aging.contrast_loss == 0
    assert at_age(80.0)[1].persons[0].aging.contrast_loss == pytest.approx(0.3)
    people = people.scanned(noise=0.0)
    older = change(people, {"contrast_loss": 0.3})
    before, after = (draw_signals(p.persons[0], contrast) for p in (people, older))
    white, cortex = TISSUES.index("white"), TISSUES.index("cortex")
    others = [k for k in range(len(TISSUES)) if k != white]
    assert torch.equal(before[others], after[others])
    expected = 1 - 0.8 * 0.3 if contrast in ("t1", "t1gd") else 1.0
    kept = float((after[white] - after[cortex]) / (before[white] - before[cortex]))
    assert kept == pytest.approx(expected, rel=1e-4)
    tissues = cohort.tissues(people, SPACING)
    images = [acquire(tissues, p, contrast, SPACING) for p in (people, older)]
    change_here = (after[white] - before[white]) * tissues["white"]
    assert torch.allclose(images[1] - images[0], change_here, atol=2e-3)


@pytest.mark.parametrize("contrast, factor", [("t1", 1.06), ("t1gd", 1.06), ("t2", 0.82), ("flair", 0.82)])
def test_iron_darkens_deep_gray_matter_on_t2(contrast, factor, change, quiet):
    """18 % at 80 years on T2 and FLAIR, and a third of it the other way on T1; nothing else changes."""
    assert at_age(80.0)[1].persons[0].aging.iron == pytest.approx(0.18)
    cohort, people = at_age(20.0)
    people = people.scanned(noise=0.0)
    older = change(people, {"iron": 0.18})
    before, after = (draw_signals(p.persons[0], contrast) for p in (people, older))
    deep = TISSUES.index("deep")
    others = [k for k in range(len(TISSUES)) if k != deep]
    assert torch.equal(before[others], after[others]) and float(after[deep] / before[deep]) == pytest.approx(factor)
    tissues = cohort.tissues(people, SPACING)
    images = [acquire(tissues, p, contrast, SPACING) for p in (people, older)]
    assert torch.allclose(images[1] - images[0], (after[deep] - before[deep]) * tissues["deep"], atol=2e-3)


def test_hyperintensities_take_white_matter_round_the_ventricles(change, places):
    """No load, none; more, more; only white matter is taken, first where caps are."""
    cohort, people = at_age(60.0)
    none, some, many = (cohort.tissues(change(people, {"lesion": load}), SPACING) for load in (-9.0, 0.3, 1.2))
    ml = [float(t["lesion"].sum()) * ML for t in (none, some, many)]
    assert ml[0] < 1e-3 and 0.3 < ml[1] < 8 < ml[2] < 60
    for name in BRAIN:
        if name not in ("white", "lesion"):
            assert torch.equal(none[name], many[name])
    assert torch.allclose(none["white"], many["white"] + many["lesion"], atol=1e-6)
    maps = sample_template(cohort.points(people, SPACING), ("phi", "depth"))
    phi = float((some["lesion"] * maps["phi"]).sum() / some["lesion"].sum())
    white = float((some["white"] * maps["phi"]).sum() / some["white"].sum())
    assert phi < 0.5 * white and float((some["lesion"] * (maps["depth"] < 5)).sum()) * ML < 0.1


def test_deep_foci_of_hyperintensities_come_from_a_field_of_their_own(change):
    """10 to 22 mm from the ventricles as much of the white matter as two normal fields make, 0.46 and 0.73 strong."""
    cohort, people = at_age(60.0)
    load, found, expected = 2.4, [], []
    steps = np.linspace(-4, 4, 401)
    density = np.exp(-(steps**2) / 2) / np.exp(-(steps**2) / 2).sum()
    for number in range(5):
        other = change(having(people, number=number), {"lesion": load})
        tissues = cohort.tissues(other, SPACING)
        maps = sample_template(cohort.points(other, SPACING), ("phi", "depth"))
        white = tissues["white"] + tissues["lesion"]
        deep = (maps["phi"] > 10) & (maps["phi"] < 22) & (maps["depth"] > 16) & (white > 0.8)
        phi = maps["phi"][deep].numpy().astype(float)
        far = 0.6 * np.exp(-(((phi - 16) / 12) ** 2))
        mean, sd = 2.6 * np.exp(-phi / 5.5) - far + load - 3.1, np.sqrt(0.46**2 + (0.73 * far) ** 2)
        score = (mean[:, None] + sd[:, None] * steps) / 0.28
        expected.append((density / (1 + np.exp(-score))).sum(1).mean())
        found.append(float((tissues["lesion"] / white)[deep].mean()))
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.3)


@pytest.mark.parametrize("age, median", [(45.0, 0.4), (65.0, 2.2), (85.0, 9.5)])
def test_hyperintensities_have_the_published_medians(age, median):
    """Between the ages at which de Kort et al. (2025) give them: 0.25, 2.0 and about 10 ml."""
    cohort = Cohort(0, age_range=(age, age))
    found = [float(cohort.tissues(cohort.draw([900 + n]), 6.0)["lesion"].sum()) * ML for n in range(24)]
    assert np.median(found) == pytest.approx(median, rel=0.6)


def test_accelerated_people_look_as_old_as_they_are_inside():
    """Fifty, and ten years more inside: to the last bit the brain of sixty, in a person of fifty."""
    first = Cohort(0, age_range=(50.0, 50.0), accelerated=10.0)
    other = Cohort(0, age_range=(60.0, 60.0))
    one, two = first.render([4, 5], spacing=8.0), other.render([4, 5], spacing=8.0)
    assert torch.equal(one.images, two.images) and torch.equal(one.labels, two.labels)
    assert first.people([4]).age[0] == 50 and other.people([4]).age[0] == 60
    none = Cohort(0, age_range=(50.0, 50.0), accelerated=0.0).render([4, 5], spacing=8.0)
    assert torch.equal(none.images, Cohort(0, age_range=(50.0, 50.0)).render([4, 5], spacing=8.0).images)
    assert not torch.equal(none.images, one.images)
    assert (one.volumes["brain"] < none.volumes["brain"]).all()
    years = Cohort(0, accelerated=-200.0).truth(range(5)).biological_age
    assert (years == 15).all()  # where the curves begin
    years = Cohort(0, accelerated=200.0).truth(range(5)).biological_age
    assert (years == 100).all()  # and where they end


def test_ages_of_the_kinds():
    cohort = Cohort(0)
    heads = cohort.people(range(500), "head").age
    assert heads.min() >= 18 and heads.max() <= 90 and heads.mean() == pytest.approx(54, abs=3)
    brains = cohort.people(range(500)).age
    assert brains.min() >= 20 and brains.max() <= 86 and 45 < brains.mean() < 55
    ranged = Cohort(0, age_range=(30.0, 40.0)).people(range(200)).age
    assert ranged.min() >= 30 and ranged.max() <= 40 and ranged.mean() == pytest.approx(35, abs=0.7)
    assert (cohort.people(range(500)).sex == "M").mean() == pytest.approx(0.45, abs=0.07)
