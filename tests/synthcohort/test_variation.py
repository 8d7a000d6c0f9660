"""A tumor varied: what its parts add up to, where it may spread, how it looks, how large it becomes."""

from dataclasses import replace

import pytest
import torch
from nothing_varies import NONE, seeded

from synthcohort import Cohort, TissueMaps
from synthcohort.glioma import growth, variation
from synthcohort.glioma.appearance import swollen
from synthcohort.randomization import randomize
from synthcohort.signals import RANGES
from synthcohort.tissue_maps import BRAIN

SPACING = 4.0
CONTRASTS = ("flair", "t1", "t1gd", "t2")


@pytest.fixture(scope="module")
def bank():
    return Cohort(3).tissue_maps(range(24), "tumor", SPACING)


def soft(names, maps):
    return TissueMaps.unpack(names, maps)


def test_every_voxel_keeps_its_sum_and_the_parts_make_the_core(bank):
    before = soft(*bank)
    after, parts = variation.vary(before, SPACING, seeded())
    names = (*BRAIN, "core", "edema", "enhancing")
    assert torch.allclose(sum(after[n] for n in names), sum(before[n] for n in names), atol=1e-5)
    assert torch.allclose(parts["solid"] + parts["necrosis"] + parts["blood"], after["core"], atol=1e-5)
    assert min(float(after[n].min()) for n in names) >= -1e-6
    for name in ("ventricle", "csf"):
        assert torch.equal(after[name], before[name])
    assert torch.equal(after.mask, before.mask)


def test_the_core_as_a_whole_stays_and_the_whole_tumor_only_grows(bank):
    before = soft(*bank)
    after, _ = variation.vary(before, SPACING, seeded(1))
    core = [t["core"] + t["enhancing"] for t in (before, after)]
    assert torch.allclose(*core, atol=1e-5)
    grown = ((after["edema"] - before["edema"]).sum((1, 2, 3)) * SPACING**3 / 1000).tolist()
    assert min(grown) > -1e-3
    assert 0.15 < sum(ml > 1 for ml in grown) / len(grown) < 0.65  # SPREAD = 0.4 of 24 people


def test_some_lose_their_enhancement_and_some_enhance_more(bank):
    names, maps = bank
    repeated = maps.repeat(4, 1, 1, 1, 1)
    before = soft(names, repeated)
    after, _ = variation.vary(before, SPACING, seeded(2))
    ml = [t["enhancing"].sum((1, 2, 3)) * SPACING**3 / 1000 for t in (before, after)]
    enhanced = ml[0] > 0.5
    assert abs(float((~enhanced).float().mean()) - growth.C.non_enhancing) < 0.15
    silent = float((ml[1][enhanced] < 0.05).float().mean())
    assert 0.03 < silent < 0.25  # SILENT = 0.1
    assert (ml[1][~enhanced] < 0.05).all()
    ratio = ml[1][enhanced] / ml[0][enhanced]
    assert (ratio > 1.3).any() and ((ratio > 0.1) & (ratio < 0.8)).any()


def test_tumors_that_do_not_enhance_are_mostly_solid():
    """At the center of a large core: the level is even from -0.2 to 1.4, and 0.7 lower without a rim."""
    shape, count = (16, 16, 16), 300
    axes = torch.meshgrid(*[(torch.arange(n) + 0.5 - n / 2) * SPACING for n in shape], indexing="ij")
    distance = sum(axis**2 for axis in axes).sqrt().expand(count, -1, -1, -1)
    inside, has_rim = (distance < 26).float(), (torch.arange(count) % 3 > 0).view(-1, 1, 1, 1)
    rim = inside * (distance > 20) * has_rim
    maps = {name: torch.zeros_like(inside) for name in (*BRAIN, "edema")} | {"core": inside - rim, "enhancing": rim}
    _, parts = variation.vary(TissueMaps(maps, torch.ones_like(inside), 0 * inside), SPACING, seeded(8))
    middle = distance[0] < 5
    dead = (parts["necrosis"][:, middle] / (parts["necrosis"] + parts["solid"])[:, middle].clamp(min=1e-6)).mean(1)
    enhances = parts["enhancing"].flatten(1).amax(1) > 0.5
    core = parts["enhancing"][:, middle].mean(1) < 0.5  # not filled
    assert float(dead[enhances & core].mean()) == pytest.approx(1.4 / 1.6, abs=0.1)
    assert float(dead[~enhances].mean()) == pytest.approx(0.7 / 1.6, abs=0.1)


def test_the_parts_look_as_they_are_told(bank):
    """Each level lies in its range; only what enhances differs much between T1 and T1Gd."""
    names, maps = bank
    _, parts = variation.vary(soft(names, maps.repeat(3, 1, 1, 1, 1)), SPACING, seeded(3))
    images = dict(zip(CONTRASTS, variation.paint(parts, CONTRASTS, seeded(4)), strict=True))
    gained = {}
    for part, where in parts.items():
        inside = where > 0.97
        assert inside.any(), part
        for contrast, image in images.items():
            low, high = RANGES[contrast][part]
            assert low - 0.05 < float(image[inside].min()) and float(image[inside].max()) < high + 0.05
        gained[part] = (images["t1gd"] - images["t1"])[inside]
    assert float(gained["enhancing"].min()) > 0.05 and float(gained["enhancing"].mean()) > 0.5
    for part in ("edema", "solid", "necrosis"):
        assert float(gained[part].abs().mean()) < 0.08
    nowhere = sum(parts.values()) == 0
    assert all((image[nowhere] == 0).all() for image in images.values())


@pytest.mark.parametrize("width, spacing, side", [(9.0, 4.0, 3), (15.0, 4.0, 5), (15.0, 3.0, 5), (9.0, 2.0, 5)])
def test_the_mean_over_a_cube_spreads_a_point_over_its_width(width, spacing, side):
    point = torch.zeros(1, 11, 11, 11)
    point[0, 5, 5, 5] = 1
    found = variation.mean_over_cube(point, width, spacing)
    assert int((found > 0).sum()) == side**3 and float(found.max()) == pytest.approx(1 / side**3)
    assert float(found.sum()) == pytest.approx(1)


def test_an_unknown_contrast_is_refused(bank):
    tissue = soft(bank[0], bank[1][:1])
    with pytest.raises(KeyError, match="pd"):
        variation.paint(variation.vary(tissue, SPACING, seeded())[1], ("pd",), seeded())


def test_images_and_targets_are_those_of_the_varied_tumor(bank):
    names, maps = bank
    settings = replace(NONE, tumors=True)
    targets = ("core", "enhancing", "edema", "white")
    images, wanted = randomize(names, maps, SPACING, seeded(5), CONTRASTS, settings, targets)
    core, enhancing, edema, white = (share > 0.98 for share in wanted.unbind(1))
    t1, t1gd, flair = images[:, 1], images[:, 2], images[:, 0]
    assert (t1gd - t1)[enhancing].mean() > 0.4 > 0.1 > (t1gd - t1)[core].mean().abs()
    assert flair[edema].mean() > 1.5 * flair[white].mean()
    again, same = randomize(names, maps, SPACING, seeded(5), CONTRASTS, settings, targets)
    assert torch.equal(images, again) and torch.equal(wanted, same)


def test_a_tumor_swells_and_the_far_side_stays(bank):
    """For a ball of radius r0 the new radius solves r (1 - a exp(-r^2 / R^2)) = r0, with R = 1.2 r0."""
    shape, r0 = (48, 48, 48), 20.0
    axes = torch.meshgrid(*[(torch.arange(n) + 0.5 - n / 2) * SPACING for n in shape], indexing="ij")
    distance = ((axes[0] - 12) ** 2 + axes[1] ** 2 + (axes[2] + 8) ** 2).sqrt()
    ball = torch.sigmoid((r0 - distance) / 1.0)
    names = (*BRAIN, "core", "edema", "enhancing", "residual", "mask")
    maps = torch.zeros(8, len(names), *shape)
    maps[:, names.index("core")], maps[:, names.index("mask")] = ball, 1
    settings = replace(NONE, swell=0.45)
    _, wanted = randomize(names, (255 * maps).round().byte(), SPACING, seeded(6), CONTRASTS, settings, ("core", "mask"))
    radius = (wanted[:, 0].sum((1, 2, 3)) * SPACING**3 * 0.75 / torch.pi) ** (1 / 3)
    r = torch.linspace(0, 60, 6001)

    def expected(a):
        return float(r[(r * (1 - a * torch.exp(-((r / (1.2 * r0)) ** 2))) - r0).abs().argmin()])

    assert expected(-0.27) - 0.5 < float(radius.min()) and float(radius.max()) < expected(0.45) + 0.5
    assert float(radius.max()) - float(radius.min()) > 3
    assert (wanted[:, 1, :3] > 0.99).all()


@pytest.mark.parametrize("start", [(4, 10, 7), (9, 3, 12)])
def test_the_center_of_a_swelling_tumor_stays(start):
    shape, half = (20, 24, 22), torch.tensor([10.0, 12.0, 11.0])
    tumor = torch.zeros(2, *shape)
    x, y, z = start
    tumor[:, x : x + 4, y : y + 5, z : z + 6] = 1
    center = torch.tensor([x + 2.0, y + 2.5, z + 3.0]) - half  # voxels from the middle
    at = center.expand(2, 1, 1, 1, 3)
    assert torch.allclose(swollen(at, tumor, half, 0.5, seeded()), at, atol=1e-5)


def test_flat_contrast_brings_gray_and_white_matter_together(bank):
    names, maps = bank

    def difference(flat):
        settings = replace(NONE, flat=flat)
        images, wanted = randomize(names, maps, SPACING, seeded(7), ("t1",), settings, ("white", "cortex"))

        def mean(fraction):
            return torch.stack([i[f > 0.9].mean() for i, f in zip(images[:, 0], fraction, strict=True)])

        white, cortex = wanted.unbind(1)
        return mean(white) - mean(cortex)

    full, flat = difference(0.0), difference(0.9)
    assert (flat < full).all() and (flat > 0).all() and float((flat / full).min()) < 0.4
