"""What a scanner does to an image: signals, bias field, blur, slices, noise; each alone, on people and on phantoms."""

from dataclasses import replace

import pytest
import torch

from synthcohort import CONTRASTS, Cohort, TissueMaps
from synthcohort.glioma.variation import VARIED
from synthcohort.scanner import SITES, Site, acquire, draw_signals, site_gain
from synthcohort.signals import GROUP_SD, MEANS, PERSON_SD, RANGES
from synthcohort.tissue_maps import BRAIN, GLIOMA, OUTSIDE, TISSUES

from .conftest import having

SPACING = 8.0
# By the physics of relaxation, from dark to bright.
ORDER = {
    "t1": ("air", "bone", "ventricle", "csf", "muscle", "cortex", "deep", "white", "fat"),
    "t2": ("air", "bone", "muscle", "white", "deep", "cortex", "lesion", "edema", "csf", "ventricle"),
    "flair": ("air", "bone", "ventricle", "csf", "white", "cortex", "lesion", "edema"),
    "t1gd": ("air", "bone", "ventricle", "core", "cortex", "white", "enhancing"),
}


def site(**members):
    return Site(**{"name": "one", "bias": 0.0, "blur": 0.0, "slice_mm": 0.0, "noise": 0.0, "contrast": 0.0} | members)


@pytest.fixture(scope="module")
def brain(cohort):
    people = cohort.draw([2]).scanned(site=0, noise=1.0)
    return people, cohort.tissues(people, SPACING)


def phantom(white, **others):
    """Nothing but white matter, and without texture, which belongs to what lies inside the brain mask."""
    nothing = torch.zeros_like(white)
    return TissueMaps(dict.fromkeys(BRAIN, nothing) | {"white": white} | others, nothing, nothing)


def test_a_scanner_without_flaws_shows_every_tissue_in_its_signal(brain, use_sites):
    people, tissues = brain
    use_sites(site())
    plain = TissueMaps(
        {name: tissues[name] for name in BRAIN}, torch.zeros_like(tissues.mask), torch.zeros_like(tissues.mask)
    )
    # No texture without a mask; with it, the image is uneven by a few percent of white matter, and fluid is not.
    for contrast in CONTRASTS:
        signals = dict(zip(TISSUES, draw_signals(people.persons[0], contrast).tolist(), strict=True))
        expected = sum(signals[name] * tissues[name] for name in BRAIN)
        image = acquire(plain, people, contrast, SPACING)
        assert torch.allclose(image, expected, atol=1e-5)
        textured = acquire(replace(plain, mask=tissues.mask), people, contrast, SPACING)
        inside = (tissues.mask > 0.99) & (tissues["ventricle"] + tissues["csf"] < 0.01)
        assert float((textured - image)[inside].std()) == pytest.approx((0.012**2 + 0.010**2) ** 0.5, rel=0.2)
        if contrast == "t1":
            first = (textured - image)[inside]
        assert torch.allclose((textured - image)[inside], first, atol=1e-5)  # texture belongs to the person


@pytest.mark.parametrize("contrast, gain", [("t1", 0.81), ("t1gd", 0.81), ("t2", -0.71), ("flair", -0.33)])
def test_the_texture_of_the_real_t1_is_dark_on_t2(brain, use_sites, contrast, gain):
    people, tissues = brain
    use_sites(site())
    with_it, without = (
        acquire(replace(tissues, residual=r), people, contrast, SPACING)
        for r in (tissues.residual, 0 * tissues.residual)
    )
    inside = without > 0.2
    assert torch.allclose((with_it - without)[inside], gain * tissues.residual[inside], atol=1e-5)


def mean(name, contrast):
    return float(MEANS[contrast][TISSUES.index(name)])


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_the_one_table_has_the_order_of_physics(contrast):
    means = [mean(name, contrast) for name in ORDER[contrast]]
    assert means == sorted(means) and all(0 < signal < 1.5 for signal in MEANS[contrast].tolist())
    assert mean("enhancing", "t1gd") > 1.8 * mean("enhancing", "t1")
    for name in set(TISSUES) - {"enhancing", "muscle", "marrow"}:  # the others take up little
        assert abs(mean(name, "t1gd") - mean(name, "t1")) < 0.03


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_a_varied_tumor_lies_round_the_means_of_the_table(contrast):
    """A core is dead or solid: its mean lies within both; blood is bright on T1, necrosis darkest there."""
    ranges = RANGES[contrast]
    assert tuple(ranges) == VARIED and all(0 < low < high for low, high in ranges.values())
    for part in ("edema", "enhancing"):
        low, high = ranges[part]
        assert low + 0.1 * (high - low) < mean(part, contrast) < high - 0.1 * (high - low)
    both = (*ranges["solid"], *ranges["necrosis"])
    assert min(both) < mean("core", contrast) < max(both)
    middle = {part: sum(values) / 2 for part, values in ranges.items()}
    if contrast in ("t1", "t1gd"):
        assert middle["necrosis"] < middle["solid"] < middle["edema"] < middle["blood"]
        assert (middle["enhancing"] > middle["blood"]) == (contrast == "t1gd")
    else:
        assert middle["blood"] == min(middle.values()) or (contrast == "flair" and middle["necrosis"] < middle["blood"])
        assert (middle["necrosis"] > middle["solid"]) == (contrast == "t2")


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_signals_of_people_vary_round_the_means_of_the_table(contrast, use_sites):
    """3.5 % from person to person, and 8 % more for tumors and for what lies outside the brain."""
    use_sites(*[site()] * 5)
    people = Cohort(0, age_range=(20.0, 20.0), anatomy=0.0, biological=0.0, regional=0.0).draw(range(800))
    drawn = torch.stack([draw_signals(person, contrast) for person in people.persons])
    for k, name in enumerate(TISSUES):
        ratio = drawn[:, k] / mean(name, contrast)
        spread = (0.035**2 + 0.08**2) ** 0.5 if name in (*OUTSIDE, *GLIOMA) else 0.035
        if (name, contrast) == ("core", "flair"):  # evenly from 0.7 to 1.4 times, besides
            assert float(ratio.mean()) == pytest.approx(1.05, abs=0.03)
            assert float(ratio.std()) == pytest.approx(((0.7**2 / 12) + (1.05 * spread) ** 2) ** 0.5, rel=0.12)
        else:
            assert float(ratio.mean()) == pytest.approx(1, abs=4 * spread / 800**0.5), name
            assert float(ratio.std()) == pytest.approx(spread, rel=0.12), name
        assert float(PERSON_SD[k] ** 2 + GROUP_SD[k] ** 2) ** 0.5 == pytest.approx(spread)  # as the table says
    relation = torch.corrcoef(drawn.T) - torch.eye(len(TISSUES))
    assert relation.abs().max() < 0.2  # every tissue of its own


def test_signals_of_the_contrasts_are_drawn_apart(use_sites):
    use_sites(*[site()] * 5)
    people = Cohort(0).draw(range(300))
    cortex = TISSUES.index("cortex")
    drawn = torch.tensor([[float(draw_signals(p, c)[cortex]) for c in CONTRASTS] for p in people.persons])
    assert (torch.corrcoef(drawn.T) - torch.eye(4)).abs().max() < 0.2


def test_sites_differ_in_contrast_alone(brain, use_sites):
    """Two scanners, one person: without contrast of their own the same image, else other signals by about 6 %."""
    people, tissues = brain
    other = people.scanned(site=1)
    for contrast in CONTRASTS:
        use_sites(site(), site())
        assert torch.equal(*(acquire(tissues, p, contrast, SPACING) for p in (people, other)))
        use_sites(site(contrast=0.06), site(contrast=0.06))
        one, two = (acquire(tissues, p, contrast, SPACING) for p in (people, other))
        gain = site_gain(1, contrast) / site_gain(0, contrast)
        signals = [draw_signals(p.persons[0], contrast) for p in (people, other)]
        usual = [k for k, name in enumerate(TISSUES) if name not in ("white", "deep")]
        assert torch.allclose((signals[1] / signals[0])[usual], gain[usual], rtol=1e-4)
        expected = sum((signals[1][TISSUES.index(n)] - signals[0][TISSUES.index(n)]) * tissues[n] for n in BRAIN)
        inside = (one > 0.05) & (two > 0.05)
        assert expected.abs().max() > 0.01 and torch.allclose((two - one)[inside], expected[inside], atol=1e-5)


def test_contrast_of_sites_has_its_spread_and_belongs_to_site_and_sequence():
    gains = torch.stack([torch.stack([site_gain(s, c) for c in CONTRASTS]) for s in range(len(SITES))])
    assert float((gains - 1).std()) == pytest.approx(0.06, rel=0.12) and abs(float(gains.mean()) - 1) < 0.01
    assert (torch.corrcoef(gains.flatten(0, 1)) - torch.eye(20)).abs().max() < 0.8
    assert torch.equal(site_gain(2, "t2"), site_gain(2, "t2"))


def test_the_bias_field_is_as_strong_as_its_site_says(use_sites):
    """Log of image over image without: zero at zero, else a smooth field with the standard deviation of the site."""
    cohort = Cohort(0)
    people = cohort.draw(range(30)).scanned(site=0)
    shape = cohort.grid("brain", SPACING).shape
    maps = phantom(torch.ones(30, *shape))
    fields = {}
    for bias in (0.0, 0.1, 0.2):
        use_sites(site(bias=bias))
        fields[bias] = acquire(maps, people, "t1", SPACING).log()
        other = acquire(maps, people, "t2", SPACING).log()
    even = fields[0.0]
    assert (even - even[:, :1, :1, :1]).abs().max() < 1e-5
    log_ratio = {bias: fields[bias] - even for bias in (0.1, 0.2)}
    assert torch.allclose(log_ratio[0.2], 2 * log_ratio[0.1], atol=1e-4)
    assert float(log_ratio[0.2].std()) == pytest.approx(0.2, rel=0.15) and abs(float(log_ratio[0.2].mean())) < 0.05
    for axis in (1, 2, 3):  # 8 mm on, hardly another value: control points are 90 mm apart
        slope = log_ratio[0.2].diff(dim=axis)
        assert slope.std() < 0.25 * log_ratio[0.2].std()
        assert slope.movedim(axis, 0).flatten(1).std(1).min() > 1e-4  # to the border of the image
    t2 = other - other.mean((1, 2, 3), keepdim=True)
    t1 = log_ratio[0.2] - log_ratio[0.2].mean((1, 2, 3), keepdim=True)
    assert abs(float(torch.corrcoef(torch.stack([t1.flatten(), t2.flatten()]))[0, 1])) < 0.4  # each scan its own


def test_fluid_has_no_texture_and_everyone_has_their_own(brain, use_sites):
    people, _ = brain
    use_sites(site())
    ones = torch.ones(1, 12, 12, 12)
    nothing = 0 * ones
    empty = TissueMaps(dict.fromkeys(BRAIN, nothing), ones, nothing)
    for name in BRAIN:
        one, other = (
            acquire(empty.updated({name: ones}), p, "t2", SPACING) for p in (people, having(people, number=77))
        )
        if name in ("ventricle", "csf"):
            assert float(one.std()) < 1e-6
        else:
            assert float(one.std()) > 0.005
            together = torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]
            assert abs(float(together)) < 0.5


def test_people_in_one_batch_have_the_scanner_of_their_site(cohort, use_sites):
    """Bias field and blur: the first person has those of site 0, which are none, the second those of site 1."""
    use_sites(site(), site(bias=0.2, blur=8.0))
    both = cohort.draw([1, 2])
    both = replace(both, persons=tuple(replace(p, site=k) for k, p in enumerate(both.persons)))
    white = torch.zeros(2, 16, 16, 16)
    white[:, 8:] = 1
    images = acquire(phantom(white), both, "t1", SPACING)
    assert float(images[0, 8:].std()) < 1e-6 and float(images[0, :8].max()) == 0
    assert float(images[1, 9:].std()) > 0.02 and 0.01 < float(images[1, 7].min()) < 0.2 * float(images[1, 9:].min())
    for k in (0, 1):
        alone = acquire(phantom(white[:1]), replace(both, persons=both.persons[k : k + 1]), "t1", SPACING)
        assert torch.allclose(alone[0], images[k], atol=1e-5)


def variances(image):
    """Of a blurred point, in mm2 along each axis."""
    weight = image[0] / image.sum()
    found = []
    for axis in range(3):
        along = weight.sum([k for k in range(3) if k != axis])
        index = torch.arange(len(along), dtype=torch.float32) * 4.0
        mean = (along * index).sum()
        found.append(float((along * (index - mean) ** 2).sum()))
    return found


@pytest.fixture
def point():
    white = torch.zeros(1, 9, 11, 13)
    white[0, 4, 5, 6] = 1
    return phantom(white)


@pytest.mark.parametrize("blur, slice_mm", [(0.0, 0.0), (0.0, 4.0), (2.0, 0.0), (1.2, 6.0)])
def test_a_point_is_spread_by_the_variance_of_a_box(brain, use_sites, point, blur, slice_mm):
    """A box of w mm has a variance of w^2 / 12: in the plane that of the site's blur, across it that of its slices."""
    use_sites(site(blur=blur, slice_mm=slice_mm))
    image = acquire(point, brain[0], "t1", 4.0)
    assert variances(image) == pytest.approx([blur**2 / 12, blur**2 / 12, slice_mm**2 / 12], abs=1e-3)
    assert float(image.sum()) == pytest.approx(
        float(draw_signals(brain[0].persons[0], "t1")[TISSUES.index("white")]), rel=1e-4
    )
    assert (image.argmax() == point["white"].argmax()).all()


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_thick_slices_of_a_head_lie_across_their_axis(cohort, change, use_sites, point, axis):
    use_sites(site(blur=1.0, slice_mm=2.0))
    people = cohort.draw([1], "head").scanned(site=0)
    thick = change(people, head={"slice_mm": 6.0, "slice_axis": axis})
    expected = [1 / 12] * 3
    expected[axis - 1] = 36 / 12
    assert variances(acquire(point, thick, "t1", 4.0)) == pytest.approx(expected, abs=1e-3)
    usual = change(people, head={"slice_mm": None, "slice_axis": 3})  # the slices of the site
    assert variances(acquire(point, usual, "t1", 4.0)) == pytest.approx([1 / 12, 1 / 12, 4 / 12], abs=1e-3)


def test_an_even_image_stays_even_to_its_border(brain, use_sites):
    use_sites(site(blur=2.0, slice_mm=6.0))
    image = acquire(phantom(torch.ones(1, 6, 7, 8)), brain[0], "t1", 4.0)
    assert float(image.std()) < 1e-6


def empty(count=1, shape=(20, 24, 20)):
    return phantom(torch.zeros(count, *shape))


def test_air_has_the_mean_of_a_rayleigh_distribution(use_sites):
    """sd sqrt(pi / 2), with the sd of the site, 0.8 to 1.4 times from person to person; no noise, no signal."""
    people = Cohort(0).draw(range(60)).scanned(site=0)
    use_sites(site(noise=0.02))
    means = acquire(empty(60), people, "t1", SPACING).mean((1, 2, 3)) / (0.02 * (torch.pi / 2) ** 0.5)
    assert float(means.mean()) == pytest.approx(1.1, rel=0.04)
    assert 0.79 < means.min() < 0.87 and 1.33 < means.max() < 1.41
    assert acquire(empty(), Cohort(0, noise=0.0).draw([0]).scanned(site=0), "t1", SPACING).max() == 0
    use_sites(site(noise=0.0))
    assert acquire(empty(60), people, "t1", SPACING).max() == 0


def test_noise_is_that_of_the_site_and_of_the_person(brain, use_sites):
    people, _ = brain
    use_sites(site(noise=0.01), site(noise=0.03))
    quiet, loud, louder = (
        acquire(empty(), p, "t1", SPACING) for p in (people, people.scanned(site=1), people.scanned(site=1, noise=2.0))
    )
    assert torch.allclose(loud, 3 * quiet, rtol=1e-4) and torch.allclose(louder, 2 * loud, rtol=1e-4)


def test_noise_in_tissue_is_normal_round_the_signal(brain, use_sites):
    people, _ = brain
    use_sites(site(noise=0.02))
    bright = acquire(phantom(torch.ones(1, 20, 24, 20)), people, "t1", SPACING)
    air = acquire(empty(), people, "t1", SPACING)
    sd = float(air.mean()) / (torch.pi / 2) ** 0.5
    signal = float(draw_signals(people.persons[0], "t1")[TISSUES.index("white")])
    assert float(bright.std()) == pytest.approx(sd, rel=0.05)
    assert float(bright.mean()) == pytest.approx(signal + sd**2 / (2 * signal), abs=4 * sd / 9600**0.5)
    neighbors = torch.corrcoef(torch.stack([bright[:, 1:].flatten(), bright[:, :-1].flatten()]))[0, 1]
    assert abs(float(neighbors)) < 0.05  # white


def test_noise_is_independent_between_contrasts_people_and_voxels(brain, use_sites):
    people, _ = brain
    use_sites(site(noise=0.02))
    images = [acquire(empty(), people, contrast, SPACING).flatten() for contrast in CONTRASTS]
    images += [acquire(empty(), having(people, number=n), "t1", SPACING).flatten() for n in (50, 51)]
    relation = torch.corrcoef(torch.stack(images)) - torch.eye(len(images))
    assert relation.abs().max() < 0.05
    assert torch.equal(images[0], acquire(empty(), people, "t1", SPACING).flatten())


def test_tumors_are_uneven_and_fat_too(brain, use_sites):
    """The texture of a tumor is several times that of the brain; of fat it is relative; elsewhere there is none."""
    people, _ = brain
    use_sites(site())
    ones = torch.ones(1, 24, 24, 24)
    nothing = 0 * ones
    flat = phantom(nothing, core=nothing, edema=nothing, enhancing=nothing)
    core = 0.0
    for name, amount in (("core", 1.0), ("enhancing", 0.8), ("edema", 0.5)):
        image = acquire(flat.updated({name: ones}), people, "t1", SPACING)
        assert float(image.std()) == pytest.approx(amount * (0.07**2 + 0.05**2) ** 0.5, rel=0.25), name
        core = float(image.std()) if name == "core" else core
        assert float(image.std()) / core == pytest.approx(amount, rel=0.01), name  # of one texture
    fat = acquire(phantom(nothing, fat=ones), people, "t1", SPACING)
    assert float(fat.std() / fat.mean()) == pytest.approx((0.10**2 + 0.08**2) ** 0.5, rel=0.25)


def test_the_scanners_of_the_cohort():
    """As many as asked for, evenly; each with a bias field, slices and a noise of its own."""
    for count in (1, 3, 5):
        used = torch.tensor([p.site for p in Cohort(0, sites=count).draw(range(400)).persons])
        share = torch.bincount(used, minlength=count) / 400
        assert len(share) == count and (share - 1 / count).abs().max() < 0.08
    assert len({s.name for s in SITES}) == len({(s.bias, s.noise) for s in SITES}) == 5
    for s in SITES:
        assert 0.05 <= s.bias <= 0.25 and 0.5 <= s.blur <= 2.5 and 1 <= s.slice_mm <= 6 and 0.01 <= s.noise <= 0.03
        assert s.slice_mm >= s.blur and s.contrast == 0.06


def test_an_image_shows_only_what_is_seen(cohort):
    people = cohort.people(range(40), "head")
    number = next(int(n) for n in people.number if cohort.draw([int(n)], "head").persons[0].head.crop[0] > 0.15)
    batch = cohort.render([number], "head", SPACING, ("t1", "t2"))
    seen = cohort.tissues(cohort.draw([number], "head"), SPACING).seen[0]
    assert (batch.images[0, :, seen == 0] == 0).all() and (batch.images[0, :, seen == 1] > 0).all()
    assert (batch.labels[0][seen == 0] == 0).all()
