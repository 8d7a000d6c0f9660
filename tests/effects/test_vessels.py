"""What takes up gadolinium in everyone: up on T1Gd, hardly on T1, down on T2; each kind of vessel in its place."""

import pytest
import torch

from synthcohort import Cohort, TissueMaps
from synthcohort.scanner import acquire
from synthcohort.template import sample_template

from .conftest import having, stacked

SPACING = 6.0
KINDS = {"large": (1.0, 0.0, 0.0), "veins": (0.0, 1.0, 0.0), "dura": (0.0, 0.0, 1.0)}


@pytest.fixture(scope="module")
def uptakes(cohort):
    people = cohort.draw([1])
    found = {name: cohort.tissues(having(people, vessel=torch.tensor(v)), SPACING) for name, v in KINDS.items()}
    none = cohort.tissues(having(people, vessel=torch.zeros(3)), SPACING)
    return people, none, found


def test_no_uptake_is_none(uptakes):
    _, none, found = uptakes
    assert none.vessel.max() == 0
    for tissues in found.values():
        assert tissues.vessel.max() > 0.2
        for name in none.names:
            assert torch.equal(none[name], tissues[name])  # vessels take no room


def test_each_kind_of_vessel_is_in_its_place(uptakes, cohort, places):
    people, none, found = uptakes
    x, y, z = places(cohort, people, SPACING)
    fluid, mask = (none["csf"] + none["ventricle"])[0], none.mask[0]
    veins, dura, large = (found[name].vessel[0] for name in ("veins", "dura", "large"))
    assert veins[fluid < 0.01].max() < 0.02 and float((veins * none["csf"][0]).sum() / veins.sum()) > 0.4
    edge = 4 * mask * (1 - mask)
    assert dura[edge < 0.01].max() < 0.01 and float((dura * edge).sum() / dura.sum()) > 0.4 and dura.max() <= 0.45
    # The large ones: half of it at the midline or at the base, nothing in white matter.
    near = (x.abs() < 10) | (z < 5)
    assert float(large[near].sum() / large.sum()) > 0.8 and large[none["white"][0] > 0.95].max() < 0.05
    assert float(large[(x.abs() < 8) & (y < -40)].sum()) > 0.5  # sagittal and straight sinus


def test_sinuses_in_the_dura_at_the_edge_of_the_brain_are_seen(uptakes, cohort):
    """They lie outside the fluid of the average brain."""
    people, none, found = uptakes
    vessel = sample_template(cohort.points(people, SPACING), ("vessel",))["vessel"][0]
    mask, fluid = none.mask[0], (none["csf"] + none["ventricle"])[0]
    sinus = (vessel > 0.2) & (mask > 0.2) & (mask < 0.8) & (fluid < 0.5)
    assert sinus.sum() >= 5
    assert torch.all(found["large"].vessel[0][sinus] > 0.6 * vessel[sinus])


def test_uptake_is_proportional_and_the_strongest_counts(uptakes, cohort):
    people, _, found = uptakes
    half = cohort.tissues(having(people, vessel=torch.tensor([0.5, 0.0, 0.0])), SPACING)
    assert torch.allclose(2 * half.vessel, found["large"].vessel, atol=1e-6)
    all_of_them = cohort.tissues(having(people, vessel=torch.ones(3)), SPACING)
    assert torch.allclose(all_of_them.vessel, torch.stack([t.vessel for t in found.values()]).amax(0), atol=1e-6)


@pytest.mark.parametrize("contrast, gain", [("t1", 0.03), ("t1gd", 1.35), ("t2", -0.55), ("flair", -0.08)])
def test_gadolinium_is_bright_on_t1gd_and_flow_dark_on_t2(uptakes, quiet, contrast, gain):
    people, none, found = uptakes
    people = people.scanned(noise=0.0)
    before = acquire(none, people, contrast, SPACING)
    after = acquire(found["large"], people, contrast, SPACING)
    vessel = found["large"].vessel
    bright = (before > 0.6 * vessel) & (vessel > 0.05)  # where nothing is cut off at zero
    assert torch.allclose((after - before)[bright], gain * vessel[bright], atol=1e-4)
    assert torch.equal(before[vessel == 0], after[vessel == 0])
    assert (after >= 0).all()


def test_uptakes_of_people_differ():
    uptake = stacked(Cohort(0).draw(range(400)), "vessel")
    assert 0.55 <= uptake.min() and uptake.max() <= 1.15
    assert uptake.mean(0).tolist() == pytest.approx([0.85] * 3, abs=0.03)
    assert (torch.corrcoef(uptake.T) - torch.eye(3)).abs().max() < 0.15


def test_heads_show_their_dura_and_a_person_without_vessels_is_drawn(cohort):
    people = having(cohort.draw([1], "head"), vessel=torch.zeros(3))
    tissues = cohort.tissues(people, SPACING)
    maps = sample_template(cohort.points(people, SPACING), ("hull",))
    inner = float(people.persons[0].head.layers[0])
    center = float((tissues.vessel * maps["hull"]).sum() / tissues.vessel.sum())
    assert center == pytest.approx(inner, abs=2) and tissues.vessel.max() <= 0.45 + 1e-6
    plain = TissueMaps(tissues.tissues, tissues.mask, tissues.residual)
    assert acquire(plain, people, "t1gd", SPACING).shape == tissues.mask.shape
