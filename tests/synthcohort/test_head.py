"""Whole heads: layers outside the brain, the field of view, the variety skull stripping needs."""

import pytest
import torch

from synthcohort import Cohort, Settings
from synthcohort.fields import stream
from synthcohort.head import draw_head
from synthcohort.person import draw_person
from synthcohort.tissue_maps import FLUID_OUTSIDE


@pytest.fixture(scope="module")
def heads():
    cohort = Cohort(0)
    return [cohort.tissues(cohort.draw([n], "head"), 4.0) for n in range(10)]


def test_layers_outside_the_brain(heads):
    for tissues in heads:
        names = ("bone", "marrow", "fat", "muscle", "eye")
        ml = {name: float(tissues[name].sum()) * 0.064 for name in names}
        assert 250 < ml["bone"] + ml["marrow"] < 1500
        assert ml["fat"] > 150 and ml["muscle"] > 150
        assert 8 < ml["eye"] < 25  # two eyes of about 7 ml


def test_nothing_adds_up_to_more_than_one(heads):
    for tissues in heads[:3]:
        total = sum(tissues[n] for n in (*tissues.names, FLUID_OUTSIDE))
        assert total.max() < 1.02


def test_pitch_stays_within_20_degrees():
    people = [draw_person(0, "head", n, Settings()) for n in range(200)]
    degrees = torch.rad2deg(torch.stack([person.rotation for person in people]))
    assert degrees.abs().max() <= 20.001
    assert degrees[:, 0].std() > 6


def test_some_fields_of_view_are_cropped_and_some_slices_thick(heads):
    drawn = [draw_head(stream(0, "head", n, "head")) for n in range(100)]
    assert 15 < sum(d.crop != (0.0, 0.0) for d in drawn) < 60
    assert 15 < sum(d.slice_mm is not None for d in drawn) < 60
    people = [draw_person(0, "head", n, Settings()) for n in range(20)]
    cropped = next(n for n, person in enumerate(people) if person.head.crop[0] > 0.1)
    batch = Cohort(0).render([cropped], "head", 8.0)
    assert batch.images[0, 0, :, :, 0].max() == 0 and batch.mask[0, :, :, 0].max() == 0
