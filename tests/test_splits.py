"""Splits are by subject, balanced, and the same everywhere."""

import pandas as pd
import pytest

from presimal.data import split
from presimal.data.checks import SPLITS


@pytest.fixture(scope="module")
def people():
    return pd.DataFrame({
        "subject_id": [f"s{k:03d}" for k in range(400)],
        "age": [20 + (k * 37) % 61 for k in range(400)],
        "site": ["north" if k % 4 else "south" for k in range(400)],
    })  # fmt: skip


def test_shares_ages_and_sites_are_alike(people):
    people = people.assign(split=split(people))
    assert people.split.value_counts().to_dict() == {"train": 280, "valid": 60, "test": 60}
    by_split = people.groupby("split")
    assert by_split.age.mean().sub(people.age.mean()).abs().max() < 2
    assert by_split.age.std().sub(people.age.std()).abs().max() < 2
    south = by_split.site.apply(lambda sites: (sites == "south").mean())
    assert south.sub(0.25).abs().max() < 0.01


def test_it_is_balanced_better_than_by_chance(people):
    """Without the sorting by age the means would differ by about 2.3 years."""
    means = [people.age.groupby(split(people, seed)).mean().sub(people.age.mean()).abs().max() for seed in range(20)]
    assert sum(means) / 20 < 1


def test_scans_of_one_subject_stay_together(people):
    twice = pd.concat([people, people[::3].assign(age=lambda t: t.age + 30)], ignore_index=True)
    parts = twice.assign(split=split(twice)).groupby("subject_id").split.nunique()
    assert (parts == 1).all()
    assert dict(zip(twice.subject_id, split(twice), strict=True)) == dict(
        zip(people.subject_id, split(people), strict=True)
    )


def test_the_order_of_rows_does_not_matter(people):
    mixed = people.sample(frac=1, random_state=1)
    assert split(mixed).sort_index().equals(split(people))


def test_it_is_the_same_on_every_machine():
    """Written down once: this must never change, or results of a course would."""
    people = pd.DataFrame({"subject_id": list("abcdefghij"), "age": range(30, 40), "site": "x"})
    assert "".join(split(people).str[1]) == "rrreraearr"


def test_another_seed_is_another_split(people):
    assert not split(people, 1).equals(split(people, 0))


def test_without_ages_or_sites_and_with_gaps(people):
    assert split(people[["subject_id"]]).value_counts()["test"] == 60
    gaps = people.assign(age=people.age.where(people.age > 40), site=people.site.where(people.age > 30))
    assert split(gaps).value_counts()["test"] == 60


@pytest.mark.parametrize("count", [1, 2, 3, 4, 21, 23])
def test_few_people(people, count):
    found = split(people[:count])
    assert set(found) <= set(SPLITS) and found.notna().all()
    assert ("test" in set(found)) == (count >= 3)
    assert (found == "train").sum() >= count / 3
