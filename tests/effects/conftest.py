"""What the tests of effects share: people who differ in one thing, and a scanner without flaws."""

import sys
from dataclasses import replace

import pytest
import torch

from synthcohort import Cohort
from synthcohort.scanner import Site

QUIET = Site("quiet", bias=0.0, blur=0.0, slice_mm=0.0, noise=0.0, contrast=0.0)


def having(people, **members):
    """The same people with some members of Person changed."""
    return replace(people, persons=tuple(replace(person, **members) for person in people))


def stacked(people, name):
    """A tensor that every person has, (N, ...)."""
    return torch.stack([getattr(person, name) for person in people])


@pytest.fixture(scope="session")
def cohort():
    return Cohort(0)


@pytest.fixture(scope="session")
def still():
    """A cohort without warp, and the members of a person who lies in MNI space as the template does."""
    place = {"rotation": torch.zeros(3), "shift": torch.zeros(3), "scale": torch.ones(3)}
    return Cohort(0, warp=0.0, folding=0.0), place


@pytest.fixture(scope="session")
def change():
    """The same people with some members of Person, or of their aging, glioma or head, changed."""

    def changed(people, aging=None, glioma=None, head=None, **members):
        persons = []
        for person in having(people, **members):
            parts = {"aging": aging, "glioma": glioma, "head": head}
            parts = {name: replace(getattr(person, name), **values) for name, values in parts.items() if values}
            persons.append(replace(person, **parts))
        return replace(people, persons=tuple(persons))

    return changed


@pytest.fixture
def use_sites(monkeypatch):
    """Put other scanners in the place of all."""

    def use(*sites):
        for name, module in list(sys.modules.items()):
            if name.startswith("synthcohort") and hasattr(module, "SITES"):
                monkeypatch.setattr(module, "SITES", sites)

    return use


@pytest.fixture
def quiet(use_sites):
    """Every scanner shows the tissues as they are: no bias field, blur, noise, or contrast of its own."""
    use_sites(*[QUIET] * 5)
    return QUIET


@pytest.fixture(scope="session")
def places():
    """Where each voxel of a person lies in the template, as x, y, z (X, Y, Z) in MNI mm."""

    def found(cohort, people, spacing):
        return cohort.points(people, spacing)[0].unbind(-1)

    return found
