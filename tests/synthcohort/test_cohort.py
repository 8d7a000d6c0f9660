"""A subject is a pure function of seed, kind, number and settings; a batch is well formed."""

import subprocess
import sys

import pytest
import torch

from synthcohort import CONTRASTS, MSD_CONTRASTS, Cohort, Settings

SPACING = 8.0
ALL = ("flair", "t1", "t1gd", "t2")


@pytest.mark.parametrize("kind", ["brain", "tumor", "head"])
def test_alone_in_a_batch_and_in_another_order(kind):
    cohort = Cohort(5)
    batch = cohort.render([4, 9, 2], kind, SPACING, ("t1", "t2"))
    other = cohort.render([9, 11, 4], kind, SPACING, ("t2", "t1"))
    alone = Cohort(5).render([9], kind, SPACING, ("t1",))
    assert torch.equal(batch.images[1, 0], alone.images[0, 0])
    assert torch.equal(batch.images[1, 0], other.images[0, 1])
    assert torch.equal(batch.images[0], other.images[2].flip(0))
    assert torch.equal(batch.labels[1], alone.labels[0])
    assert all(batch.volumes[n][1] == alone.volumes[n][0] for n in alone.volumes)


def test_together_on_one_device_agrees_to_rounding():
    """On a GPU people are computed together; the same code path, tried here on the CPU."""
    cohort = Cohort(5)
    both, one = (cohort.tissues(cohort.draw(numbers, "tumor"), SPACING) for numbers in ([1, 2], [2]))
    for name in one.names:
        assert torch.allclose(both[name][1], one[name][0], atol=1e-4), name


@pytest.mark.parametrize("kind", ["brain", "tumor", "head"])
def test_nothing_returns_to_the_host_inside_a_batch(kind):
    """Meta tensors have no values: reading one, as every copy from a GPU would, raises."""
    cohort = Cohort(0, "meta")
    batch = cohort.render(range(3), kind, 8.0, ("t1", "flair"))
    _, maps = cohort.tissue_maps(range(3), kind, 8.0)
    everything = (batch.images, batch.labels, batch.mask, *batch.volumes.values(), maps)
    assert {values.device.type for values in everything} == {"meta"}
    with pytest.raises((RuntimeError, NotImplementedError)):
        batch.images.max().item()


def test_in_another_process():
    code = (
        "import torch; torch.set_num_threads(1); from synthcohort import Cohort;"
        f"b = Cohort(5).render([9], 'brain', {SPACING}); print(b.images.double().sum().item())"
    )
    here = Cohort(5).render([9], "brain", SPACING).images.double().sum().item()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert float(done.stdout) == here


def test_with_any_number_of_threads():
    threads = torch.get_num_threads()
    images = []
    for count in (1, 3):
        torch.set_num_threads(count)
        images.append(Cohort(5).render(range(4), "head", SPACING).images)
        assert torch.get_num_threads() == count
    torch.set_num_threads(threads)
    assert torch.equal(*images)


def test_seeds_kinds_and_numbers_make_different_people():
    first = Cohort(0).people(range(20))
    assert not first.age.equals(Cohort(1).people(range(20)).age)
    assert not first.age.equals(Cohort(0).people(range(20), "head").age)
    assert first.age.nunique() > 15


def test_tables_do_not_depend_on_the_batch():
    cohort = Cohort(2)
    for table in (cohort.people, cohort.truth):
        long, short = table(range(8), "tumor"), table([6], "tumor")
        assert long.iloc[6:7].reset_index(drop=True).astype(str).equals(short.astype(str))


def test_what_a_student_may_use_does_not_hold_the_truth():
    cohort = Cohort(0)
    assert list(cohort.people([1]).columns) == ["number", "subject_id", "age", "sex", "site"]
    shared = set(cohort.people([1], "tumor")) & set(cohort.truth([1], "tumor"))
    assert shared == {"number"}


@pytest.mark.parametrize("kind, shape", [("brain", (40, 48, 40)), ("head", (48, 56, 48))])
def test_a_batch_at_4_mm(kind, shape):
    batch = Cohort(0).render([0, 1], kind, 4.0)
    assert batch.images.shape == (2, 1, *shape) and batch.images.dtype == torch.float32
    assert batch.labels.shape == batch.mask.shape == (2, *shape)
    assert batch.labels.dtype == batch.mask.dtype == torch.uint8
    assert torch.equal(batch.affine.diagonal(), torch.tensor([4.0, 4, 4, 1]).double())
    assert torch.isfinite(batch.images).all() and batch.images.min() >= 0
    assert not batch.images.is_inference()  # a network can be trained on it


def test_the_same_person_at_another_voxel_size():
    cohort = Cohort(0)
    coarse, fine = (cohort.render([3], spacing=s).volumes for s in (4.0, 2.5))
    for name in ("tiv", "brain", "ventricle"):
        assert fine[name][0] == pytest.approx(float(coarse[name][0]), rel=0.03), name


def test_tissue_maps_are_a_label_bank():
    names, maps = Cohort(0).tissue_maps([0, 1], "head", SPACING)
    assert maps.dtype == torch.uint8 and maps.shape[:2] == (2, len(names))
    assert {"bone", "fat", "eye", "white", "mask", "residual", "seen"} <= set(names)
    inside = [k for k, n in enumerate(names) if n not in ("vessel", "residual", "mask", "seen")]
    assert maps[:, inside].int().sum(1).max() <= 255 + len(inside)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Cohort(0, color=3),
        lambda: Cohort(0, sites=0),
        lambda: Cohort(0, warp=-0.1),
        lambda: Cohort(0).people([1], "dog"),
        lambda: Cohort(0).render([1], contrasts=("t3",)),
        lambda: Cohort(0).render([1], spacing=0.0),
        lambda: Cohort(0).render([]),
    ],
)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises((TypeError, ValueError)):
        call()


def test_the_two_orders_of_contrasts():
    """Task01 of the Decathlon has FLAIR, T1w, T1gd, T2w; the tables and draws of the generator have theirs."""
    assert MSD_CONTRASTS == ALL and sorted(CONTRASTS) == sorted(MSD_CONTRASTS) and CONTRASTS[:2] == ("t1", "t1gd")


def test_people_in_another_scanner_are_the_same_people():
    people = Cohort(0, sites=1).draw([3, 4], "tumor")
    assert [p.site for p in people] == [0, 0] and [p.noise for p in people] == [1.0, 1.0] and len(people) == 2
    elsewhere, loud, same = people.scanned(site=2), people.scanned(noise=4.0), people.scanned()
    assert [(p.site, p.noise) for p in elsewhere] == [(2, 1.0)] * 2
    assert [(p.site, p.noise) for p in loud] == [(0, 4.0)] * 2
    assert [(p.site, p.noise) for p in same] == [(0, 1.0)] * 2
    assert [p.glioma for p in elsewhere] == [p.glioma for p in people] and elsewhere.settings == people.settings
    assert [p.site for p in people] == [0, 0]  # nothing was changed in place


def test_a_cohort_is_its_settings_a_seed_and_a_device():
    assert Cohort(3, sites=2) == Cohort(seed=3, sites=2) != Cohort(3) and isinstance(Cohort(3), Settings)
    assert Cohort().seed == 0 and str(Cohort().device) == "cpu" and Cohort(0, accelerated=-3.0).accelerated == -3.0
