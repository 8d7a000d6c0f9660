"""Every knob of the randomization: alone at work, beside none at all, by the size that it names."""

from dataclasses import fields, replace

import pytest
import torch
from nothing_varies import NONE, seeded

from synthcohort import CONTRASTS, Cohort
from synthcohort.randomization import Randomization, randomize
from synthcohort.signals import MEANS, RANGES
from synthcohort.tissue_maps import OUTSIDE, RESIDUAL_RANGE, TISSUES, TissueMaps

SPACING = 6.0


def run(bank, seed=0, contrasts=("t1",), targets=("mask",), spacing=SPACING, **knobs):
    """Images and targets of a bank with some knobs at work, all others off; one seed, so what differs is the knobs."""
    return randomize(*bank, spacing, seeded(seed), contrasts, replace(NONE, **knobs), targets)


def bank_of(count=1, **maps):
    """Maps (X, Y, Z), 0 to 1, of as many people, all alike; without a mask there is no texture."""
    first = next(iter(maps.values()))
    maps = {"mask": torch.zeros_like(first), "residual": torch.full_like(first, 128 / 255)} | maps
    stacked = torch.stack(list(maps.values()))[None].expand(count, -1, -1, -1, -1)
    return tuple(maps), (stacked * 255).round().byte()


def ball(shape, center=(0.0, 0.0, 0.0), radius=15.0, spacing=SPACING):
    """A soft ball, center in mm from the middle."""
    axes = [(torch.arange(n) + 0.5 - n / 2) * spacing for n in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    return torch.sigmoid((radius - (grid - torch.tensor(center)).norm(dim=-1)) / (0.4 * spacing))


def centers(volumes, spacing=SPACING):
    """Of mass, in mm from the middle, (N, 3)."""
    axes = [(torch.arange(n) + 0.5 - n / 2) * spacing for n in volumes.shape[1:]]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    return (volumes[..., None] * grid).sum((1, 2, 3)) / volumes.sum((1, 2, 3))[:, None]


@pytest.fixture(scope="module")
def heads():
    return Cohort(3).tissue_maps(range(3), "head", SPACING)


@pytest.fixture(scope="module")
def tumors():
    return Cohort(3).tissue_maps(range(6), "tumor", SPACING)


@pytest.fixture(scope="module")
def swatches():
    """Every tissue alone in two planes of a volume: the mean there is its signal."""
    maps = {name: torch.zeros(2 * len(TISSUES), 4, 4) for name in TISSUES}
    for k, name in enumerate(TISSUES):
        maps[name][2 * k : 2 * k + 2] = 1
    return maps


def signals(images):
    """(N, C, tissues) of images of the swatches, whether mirrored or not: air is dark, and lies at one end."""
    levels = images.mean((3, 4))
    return levels.unflatten(2, (len(TISSUES), 2)).mean(3)


def straight(swatches, count, seed=0, **knobs):
    contrasts = knobs.pop("contrasts", CONTRASTS)
    bank = bank_of(count, **swatches, seen=torch.ones(2 * len(TISSUES), 4, 4))
    images, wanted = run(bank, seed, contrasts, ("ventricle",), **knobs)
    found = signals(images)
    mirrored = wanted[:, 0, -1].mean((1, 2)) > 0.5
    found[mirrored] = found[mirrored].flip(2)
    return found


def test_no_knob_shows_the_means_of_the_one_table(swatches):
    found = straight(swatches, 6)
    for c, contrast in enumerate(CONTRASTS):
        means = MEANS[contrast]
        keep = [k for k, name in enumerate(TISSUES) if name not in ("core", "edema", "enhancing")]  # never even
        assert torch.allclose(found[:, c, keep], means[keep].expand(6, -1), atol=2e-3)


def test_half_of_the_people_are_mirrored_left_to_right():
    ramp = torch.linspace(0.2, 1, 12)[:, None, None].expand(12, 5, 7).contiguous()
    images, wanted = run(bank_of(400, white=ramp), targets=("white",))
    turned = images[:, 0, 0, 0, 0] > images[:, 0, -1, 0, 0]
    assert float(turned.float().mean()) == pytest.approx(0.5, abs=0.08)
    assert torch.allclose(images[turned][:, 0], images[~turned][:1, 0].flip(1), atol=1e-5)
    assert torch.equal(wanted[:, 0, 0, 0, 0] > wanted[:, 0, -1, 0, 0], turned)


def test_jitter_is_the_relative_spread_of_the_signals(swatches):
    plain, found = straight(swatches, 60), straight(swatches, 60, jitter=0.1)
    keep = [k for k, name in enumerate(TISSUES) if name not in ("core", "edema", "enhancing")]
    ratio = (found / plain)[..., keep]
    assert float(ratio.std()) == pytest.approx(0.1, rel=0.08) and float(ratio.mean()) == pytest.approx(1, abs=0.01)
    assert ratio.std(0).min() > 0.06 and (torch.corrcoef(ratio[:, 0].T) - torch.eye(len(keep))).abs().max() < 0.5


def test_flat_takes_the_difference_of_gray_and_white_and_keeps_their_mean(swatches):
    names = ("cortex", "deep", "white")
    gray = [TISSUES.index(name) for name in names]
    plain, found = straight(swatches, 200, contrasts=("t1",)), straight(swatches, 200, contrasts=("t1",), flat=0.8)
    others = [k for k, name in enumerate(TISSUES) if name not in (*names, "core", "edema", "enhancing")]
    assert torch.allclose(plain[..., others], found[..., others], atol=1e-5)
    assert torch.allclose(plain[..., gray].mean(-1), found[..., gray].mean(-1), atol=1e-4)
    white, cortex = TISSUES.index("white"), TISSUES.index("cortex")
    kept = ((found[..., white] - found[..., cortex]) / (plain[..., white] - plain[..., cortex])).flatten()
    assert kept.min() >= 0.2 - 1e-3 and kept.max() <= 1 + 1e-3
    assert float(kept.mean()) == pytest.approx(1 - 0.8 / 2, abs=0.06)


def test_flat_takes_as_much_of_the_texture_of_the_real_scan():
    """Its nuclei and tracts are a contrast of gray and white matter too: as much of them stays."""
    half = (torch.arange(8) < 4).float().view(1, 8, 1).expand(6, 8, 6)
    maps, full = {"white": half, "cortex": 1 - half}, torch.ones(6, 8, 6)
    banks = [bank_of(40, **maps, mask=full, residual=r * full) for r in (128 / 255, 1.0)]
    even, bright = (run(bank, 9, flat=0.8)[0][:, 0] for bank in banks)
    plain = run(bank_of(40, **maps), 9, flat=0.8)[0][:, 0]  # without a mask nothing is uneven
    mean = dict(zip(TISSUES, MEANS["t1"].tolist(), strict=True))
    kept = (plain[:, 2, 1, 2] - plain[:, 2, 6, 2]) / (mean["white"] - mean["cortex"])
    assert kept.min() < 0.35 and kept.max() > 0.9
    texture = (bright - even).mean((1, 2, 3)) / (0.81 * RESIDUAL_RANGE * 127 / 255)
    assert torch.allclose(texture, kept, atol=0.02)


def test_invented_contrasts_are_any(swatches):
    """Even from 0 to 1.2; solid tissues of the brain resemble each other; air stays dark; half of them at 0.5."""
    usual = straight(swatches, 300, contrasts=())[:, 0]
    known = torch.stack([MEANS[c] for c in CONTRASTS])
    found = straight(swatches, 300, contrasts=(), invented=1.0)[:, 0]
    bone, air, fat = (TISSUES.index(name) for name in ("bone", "air", "fat"))
    assert usual[:, bone].max() < 0.11 and known[:, bone].max() < 0.11
    assert (
        float(found[:, fat].mean()) == pytest.approx(0.6, abs=0.07)
        and found[:, fat].max() > 1.1
        and found[:, fat].min() < 0.1
    )
    assert float(found[:, bone].std()) == pytest.approx(1.2 / 12**0.5, rel=0.12)
    assert found[:, air].max() <= 0.081
    pair = torch.corrcoef(found[:, [TISSUES.index("white"), TISSUES.index("cortex"), fat]].T)
    assert pair[0, 1] > 0.6 and abs(float(pair[0, 2])) < 0.25
    half = straight(swatches, 300, contrasts=(), invented=0.5)[:, 0]
    assert float((half[:, bone] > 0.15).float().mean()) == pytest.approx(0.5 * 0.875, abs=0.09)


def test_real_contrasts_lie_between_two(swatches):
    """Without invention, six in ten are one of the four, the rest lie between two."""
    found = straight(swatches, 400, contrasts=())[:, 0]
    known = torch.stack([MEANS[c] for c in CONTRASTS])
    ventricle, white = TISSUES.index("ventricle"), TISSUES.index("white")
    one = ((found[:, None, [ventricle, white]] - known[None, :, [ventricle, white]]).abs().amax(2) < 3e-3).any(1)
    assert float(one.float().mean()) == pytest.approx(
        0.6 + 0.4 * (4 + 2) / 16, abs=0.1
    )  # of two alike, nothing lies between
    low, high = known.amin(0) - 3e-3, known.amax(0) + 3e-3
    keep = [k for k, name in enumerate(TISSUES) if name not in ("core", "edema", "enhancing")]
    assert ((found >= low) & (found <= high))[:, keep].all()


def test_texture_lies_outside_the_brain_alone(heads):
    plain, found = (run(heads, 2, texture=t)[0][:, 0] for t in (0.0, 0.35))
    _, wanted = run(heads, 2, targets=("mask", "fat"))
    mask, fat = wanted.unbind(1)
    assert torch.allclose(plain[mask > 0.999], found[mask > 0.999], atol=1e-6)
    bank = bank_of(120, **dict.fromkeys(OUTSIDE, torch.zeros(12, 12, 12)) | {"fat": torch.ones(12, 12, 12)})
    ratio = run(bank, texture=0.3)[0] / run(bank)[0] - 1
    # An amount even from 0 to 0.3, times two fields, the second of which counts 0.7.
    assert float(ratio.pow(2).mean().sqrt()) == pytest.approx(0.3 * (1.49 / 3) ** 0.5, rel=0.25)
    assert (found - plain)[fat > 0.9].abs().mean() > 0.02


def test_blobs_are_structures_in_and_round_the_brain(heads):
    names, maps = heads
    many = (names, maps[[0] * 24])
    nobody = 1e-9  # draws as many random numbers as with blobs, and uses none
    plain, found = (run(many, 3, blobs=b)[0][:, 0] for b in (nobody, 1.0))
    changed = (found - plain).abs() > 0.03
    _, wanted = run(many, 3, targets=("mask", *OUTSIDE))
    outside = (wanted[:, 1:].sum(1) > 0.9) & (wanted[:, 0] < 0.05)
    inside, nothing = wanted[:, 0] > 0.99, (wanted.sum(1) < 0.001)
    assert 0.02 < float(changed[outside].float().mean()) < 0.3
    assert float(changed[inside].float().mean()) < 0.5 * float(changed[outside].float().mean())
    some = (changed & inside).flatten(1).sum(1) > 3  # six in ten have any, and not all of those a large one
    assert 0.1 < float(some.float().mean()) < 0.8
    assert not changed[nothing].any()
    assert (changed & outside).flatten(1).any(1).all()  # everyone has some
    half = (run(many, 3, blobs=0.5)[0][:, 0] - plain).abs() > 0.03
    assert 0.25 < float((half & outside).flatten(1).sum(1).gt(20).float().mean()) < 0.75


def test_bone_is_thin_in_places(heads):
    """Four fifths of it become muscle there; a fifth or so of the bone of those who have it."""
    names, maps = heads
    many = (names, maps[[0] * 12])
    targets = ("bone", "muscle", "mask", "fat")
    lost, won = [], []
    before, after = (run(many, 1, targets=targets, thin=t)[1] for t in (0.0, 1.0))
    lost, won = before[:, 0] - after[:, 0], after[:, 1] - before[:, 1]
    assert torch.allclose(lost, won, atol=0.01) and torch.equal(before[:, 2:], after[:, 2:])
    share = lost.sum((1, 2, 3)) / before[:, 0].sum((1, 2, 3))
    assert float(share.mean()) == pytest.approx(0.8 * 0.29, abs=0.09)
    assert ((lost / before[:, 0])[before[:, 0] > 0.3] < 0.81).all()
    some = run(many, 1, targets=targets, thin=0.5)[1]
    thin = (before[:, 0] - some[:, 0]).sum((1, 2, 3)) > 1
    assert 2 <= int(thin.sum()) <= 10


def test_a_turn_has_its_degrees_about_every_axis():
    """A point at a distance d on an axis moves by d times the angles about the other two."""
    for axis in range(3):
        place = [0.0, 0.0, 0.0]
        place[axis] = 54.0
        bank = bank_of(90, white=ball((24, 24, 24), place, 12.0))
        _, plain = run(bank, targets=("white",))
        images, found = run(bank, targets=("white",), rotation=6.0)
        moved = centers(found[:, 0]) - centers(plain[:, 0])
        sideways = [k for k in range(3) if k != axis]
        assert moved[:, sideways].std(0).tolist() == pytest.approx([54 * 6 * torch.pi / 180] * 2, rel=0.18)
        assert centers(found[:, 0]).norm(dim=1) == pytest.approx(54, abs=1.5)  # rigid
        assert (centers(images[:, 0]) - centers(found[:, 0])).abs().max() < 0.1  # in register
    assert torch.equal(run(bank, targets=("white",), rotation=0.0)[1], plain)


def test_scaling_is_the_spread_of_each_axis():
    bank = bank_of(150, white=ball((26, 26, 26), radius=36.0))
    _, plain = run(bank, targets=("white",))
    _, found = run(bank, targets=("white",), scaling=0.08)
    log_volume = (found[:, 0].sum((1, 2, 3)) / plain[:, 0].sum((1, 2, 3))).log()
    assert float(log_volume.std()) == pytest.approx(0.08 * 3**0.5, rel=0.18)
    assert centers(found[:, 0]).abs().max() < 0.5


def test_an_elastic_displacement_has_its_mm():
    """Centers of a small ball move by 4 mm along each axis; far apart they move on their own."""
    two = torch.maximum(ball((24, 24, 24), (-36.0, 0.0, 0.0), 10.0), ball((24, 24, 24), (36.0, 0.0, 0.0), 10.0))
    bank = bank_of(150, white=two)
    _, plain = run(bank, targets=("white",))
    images, found = run(bank, targets=("white",), elastic=4.0)
    moved = []
    for half in (slice(0, 12), slice(12, 24)):
        moved.append(centers(found[:, 0, half]) - centers(plain[:, 0, half]))
    for m in moved:
        assert m.std(0).tolist() == pytest.approx([4.0] * 3, rel=0.3)
    relation = torch.corrcoef(torch.stack([moved[0][:, 1], moved[1][:, 1]]))[0, 1]
    assert abs(float(relation)) < 0.35
    assert (centers(images[:, 0]) - centers(found[:, 0])).abs().max() < 0.3
    assert torch.equal(run(bank, targets=("white",), elastic=0.0)[1], plain)


def test_swelling_magnifies_the_tumor_and_leaves_what_is_far(tumors):
    targets = ("core", "edema", "enhancing", "mask")
    _, plain = run(tumors, 1, targets=targets)
    _, none = run(tumors, 1, targets=targets, swell=0.0)
    assert torch.equal(plain, none)
    big = (tumors[0], tumors[1][[0] * 60])
    _, plain = run(big, 1, targets=targets)
    _, found = run(big, 1, targets=targets, swell=0.4)
    ratio = found[:, :3].sum((1, 2, 3, 4)) / plain[:, :3].sum((1, 2, 3, 4))
    assert float((ratio > 1).float().mean()) == pytest.approx(1 - 0.6 / 1.6, abs=0.16)
    assert 1.2 < float(ratio.max()) < 4 and 0.5 < float(ratio.min()) < 1
    far = plain[:, :3].sum(1, keepdim=True).amax(0) < 0.02
    edge = far[0].clone()
    edge[4:-4, 4:-4, 4:-4] = False
    moved = (found[:, 3][:, edge] - plain[:, 3][:, edge]).abs()
    assert moved.mean() < 0.01 and moved.quantile(0.95) < 0.1


def test_swelling_is_more_often_growth():
    """Evenly from -0.6 to 1.0 of the knob: five of eight tumors grow, and none shrinks by as much as others grow."""
    core = ball((12, 12, 12), radius=18.0)
    nothing = torch.zeros_like(core)
    bank = bank_of(400, core=core, edema=nothing, enhancing=nothing)
    before, after = (run(bank, 3, targets=("core",), swell=s)[1][:, 0].sum((1, 2, 3)) for s in (0.0, 0.4))
    ratio = after / before
    assert float((ratio > 1).float().mean()) == pytest.approx(5 / 8, abs=0.05)
    largest, least = float(ratio.max()) - 1, 1 - float(ratio.min())
    assert 0.2 < least < 0.6 * largest


def test_the_bias_field_is_as_strong_as_its_knob():
    """Even strengths from 0 to b: b / sqrt 3 over all; smooth.

    Two nodes an axis, 144 mm for 110: interpolated linearly between the quarters, and even beyond, they keep 5/6 of
    the variance of each axis; `noise_field` divides by 0.55.
    """
    bank = bank_of(200, white=torch.ones(24, 24, 24))
    plain = run(bank)[0].log()
    found = {b: run(bank, bias=b)[0].log() - plain for b in (0.15, 0.3)}
    assert torch.allclose(found[0.3], 2 * found[0.15], atol=1e-4)
    assert float(found[0.3].pow(2).mean().sqrt()) == pytest.approx(0.3 / 3**0.5 * (5 / 6) ** 1.5 / 0.55, rel=0.12)
    assert found[0.3].diff(dim=2).abs().mean() < 0.3 * found[0.3].abs().mean()
    assert found[0.3].std((1, 2, 3, 4)).median() > 0.05
    assert torch.equal(run(bank, bias=0.0)[0], run(bank)[0])


def correlated(image):
    """Correlation of neighbors along each axis, of white noise."""
    found = []
    for axis in range(3):
        a, b = image.narrow(axis, 0, image.shape[axis] - 1), image.narrow(axis, 1, image.shape[axis] - 1)
        found.append(float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]))
    return torch.tensor(found)


def test_thick_slices_lie_along_one_axis_each():
    noise = torch.rand(24, 24, 24, generator=seeded(5))
    bank = bank_of(60, white=noise)
    plain = run(bank, spacing=3.0)[0][:, 0]
    assert torch.equal(run(bank, spacing=3.0, thick=0.0)[0][:, 0], plain)
    thin = run(bank, spacing=3.0, thick=1.0, slice_mm=3.0)[0][:, 0]
    assert torch.allclose(thin, plain, atol=1e-5)  # slices as thick as a voxel
    found = run(bank, spacing=3.0, thick=1.0, slice_mm=9.0)[0][:, 0]
    relation = torch.stack([correlated(image) for image in found])
    smooth = relation > 0.25
    assert (smooth.sum(1) <= 1).all() and smooth.any(1).float().mean() > 0.75
    assert (smooth.float().mean(0) > 0.12).all()  # each axis
    assert relation[~smooth].abs().median() < 0.06
    assert torch.allclose(found.mean((1, 2, 3)), plain.mean((1, 2, 3)), atol=0.02)
    # The thickest, 9 mm: three voxels in one slice leave a third of the variance, and interpolation less.
    assert 0.15 < float(found.std((1, 2, 3)).min() ** 2 / plain[0].std() ** 2) < 0.4
    half = run(bank, spacing=3.0, thick=0.5, slice_mm=9.0)[0][:, 0]
    same = [torch.allclose(a, b, atol=1e-6) for a, b in zip(half, plain, strict=True)]
    assert 0.3 < sum(same) / 60 < 0.7


def test_a_blur_spreads_a_point_over_27_voxels():
    white = torch.zeros(9, 9, 9)
    white[4, 4, 4] = 1
    bank = bank_of(40, white=white)
    plain, found = run(bank)[0][:, 0], run(bank, blurred=1.0)[0][:, 0]
    assert torch.allclose(found[:, 3:6, 3:6, 3:6], plain.sum((1, 2, 3)).view(-1, 1, 1, 1) / 27, atol=1e-5)
    assert torch.allclose(found.sum((1, 2, 3)), plain.sum((1, 2, 3)), atol=1e-4)
    some = run(bank, blurred=0.3)[0][:, 0]
    assert 0.1 < float((some[:, 4, 4, 4] < 0.1).float().mean()) < 0.5
    even = run(bank_of(4, white=torch.ones(8, 8, 8)), blurred=1.0)[0]
    assert float(even.std()) < 1e-5  # to the border


def test_noise_is_as_strong_as_its_knob():
    """Rayleigh in air: an even strength from 0 to s has the mean s / 2 sqrt(pi / 2)."""
    bank = bank_of(150, white=torch.zeros(16, 16, 16))
    assert run(bank)[0].max() == 0
    found = run(bank, noise=0.06)[0]
    assert float(found.mean()) == pytest.approx(0.06 / 2 * (torch.pi / 2) ** 0.5, rel=0.1)
    assert torch.allclose(run(bank, noise=0.12)[0], 2 * found, rtol=1e-4)
    bright = run(bank_of(150, white=torch.ones(16, 16, 16)), noise=0.06)[0]
    assert float(bright.std((2, 3, 4)).pow(2).mean().sqrt()) == pytest.approx(0.06 / 3**0.5, rel=0.15)
    two = run(bank, contrasts=("t1", "t2"), noise=0.06)[0].flatten(2)
    relation = [float(torch.corrcoef(pair)[0, 1]) for pair in two]
    assert max(map(abs, relation)) < 0.1  # each contrast its own


def test_gamma_is_a_power_that_keeps_black_and_the_brightest():
    ramp = torch.linspace(0.0, 1, 16)[:, None, None].expand(16, 6, 6).contiguous()
    bank = bank_of(200, white=ramp)
    plain, found = run(bank)[0], run(bank, gamma=0.25)[0]
    top = plain.flatten(1).amax(1).view(-1, 1, 1, 1, 1)
    assert torch.allclose(found.flatten(1).amax(1), top.flatten(), atol=1e-5) and (found[plain == 0] == 0).all()
    inner = ((plain / top > 0.1) & (plain / top < 0.9)).flatten(1)
    power = ((found / top).log() / (plain / top).log()).flatten(1)
    each = torch.stack([p[i].median() for p, i in zip(power, inner, strict=True)])
    assert all((p[i] - m).abs().max() < 0.02 * m for p, i, m in zip(power, inner, each, strict=True))
    assert float(each.log().std()) == pytest.approx(0.25, rel=0.15) and abs(float(each.log().mean())) < 0.06
    assert torch.equal(run(bank, gamma=0.0)[0], plain)


def test_the_field_of_view_is_cut_below_above_and_in_front():
    """At most 34 % below, 10 % above and 16 % in front; none at the sides or behind; above and front in a third."""
    bank = bank_of(200, white=torch.ones(4, 50, 50), seen=torch.ones(4, 50, 50))
    images, wanted = run(bank, targets=("white",), cut=1.0)
    seen = (images[:, 0] > 0).float()
    assert torch.equal(seen, (wanted[:, 0] > 0).float())
    assert (seen == seen[:, :1]).all()  # not at the sides
    y, z = seen[:, 0].amax(2), seen[:, 0].amax(1)
    below = z.argmax(1) / 50
    above, front = ((s.flip(1).argmax(1) / 50) for s in (z, y))
    assert y[:, 0].all()  # not behind
    for lost, most in ((below, 0.34), (above, 0.10), (front, 0.16)):
        assert lost.max() <= most + 0.021 and lost.max() > 0.7 * most
    assert float(below.mean()) == pytest.approx(0.17, abs=0.03)
    for lost in (above, front):
        assert 0.15 < float((lost > 0).float().mean()) < 0.45
    some = run(bank, cut=0.5)[0][:, 0]
    assert 0.38 < float((some == 0).flatten(1).any(1).float().mean()) < 0.6
    assert (run(bank, cut=0.0)[0] > 0).all()


def test_defacing_cuts_in_front_and_below_and_never_the_brain():
    brain = ball((24, 28, 24), radius=42.0)
    bank = bank_of(100, white=torch.ones(24, 28, 24), mask=brain)
    plain = run(bank)[0][:, 0]
    found = run(bank, defaced=1.0)[0][:, 0]
    assert (plain > 0).all()
    cut = found == 0
    assert not cut[:, brain > 0.5].any() and cut.flatten(1).any(1).all()
    middle = centers(cut.float())
    assert (middle[:, 1] > 20).all() and (middle[:, 2] < -5).all() and middle[:, 0].abs().max() < 1
    assert torch.allclose(found[~cut], plain[~cut])
    # Distance in mm of what is cut from a ball of 42 mm: at least 4 mm, less a voxel.
    axes = [(torch.arange(n) + 0.5 - n / 2) * SPACING for n in (24, 28, 24)]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).norm(dim=-1).expand_as(cut)
    nearest = torch.where(cut, distance, torch.tensor(1e4)).flatten(1).amin(1) - 42
    assert nearest.min() > 0 and 5 < float(nearest.mean()) < 20
    share = run(bank, defaced=0.3)[0][:, 0].eq(0).flatten(1).any(1).float().mean()
    assert float(share) == pytest.approx(0.3, abs=0.15)


def test_stripping_leaves_the_brain_alone():
    brain = ball((24, 28, 24), radius=42.0)
    bank = bank_of(100, white=torch.ones(24, 28, 24), mask=brain)
    plain, found = run(bank)[0][:, 0], run(bank, stripped=1.0)[0][:, 0]
    inside = (brain > 0.31).expand_as(plain)
    assert torch.equal(found[inside], plain[inside]) and found[(brain < 0.29).expand_as(plain)].max() == 0
    share = (run(bank, stripped=0.2)[0][:, 0, 0, 0, 0] == 0).float().mean()
    assert float(share) == pytest.approx(0.2, abs=0.13)


def test_tumors_are_varied_only_if_asked(tumors):
    """Off, the tumor is as grown and its looks are the table's; on, parts and looks change, and the brain stays."""
    names, maps = tumors
    many = (names, maps.repeat(4, 1, 1, 1, 1))
    targets = ("core", "enhancing", "edema", "mask", "ventricle", "csf")
    images, plain = run(many, 5, CONTRASTS, targets)
    varied, found = run(many, 5, CONTRASTS, targets, tumors=True)
    soft = TissueMaps.unpack(names, many[1])
    assert torch.allclose(plain[:, 1].sum(), soft["enhancing"].sum(), rtol=1e-4)
    assert torch.equal(plain[:, 3:], found[:, 3:])  # brain and fluid stay
    assert torch.allclose(plain[:, :2].sum(1), found[:, :2].sum(1), atol=1e-4)  # core with its rim
    changed = (plain[:, 1] - found[:, 1]).abs().sum((1, 2, 3)) > 1
    assert 0.3 < float(changed.float().mean()) < 1
    flair = CONTRASTS.index("flair")

    def levels(images, maps):
        edema = maps[:, 2] > 0.98
        return torch.stack([i[e].mean() for i, e in zip(images[:, flair], edema, strict=True) if e.any()])

    usual, any_look = levels(images, plain), levels(varied, found)
    low, high = RANGES["flair"]["edema"]
    assert any_look.std() > 1.8 * usual.std() and low - 0.15 < any_look.min() and any_look.max() < high + 0.15


def test_a_tumor_of_many_patients_has_the_fractions_of_the_variation():
    """A rim of 8 mm round a core, in white matter: 10 % lose all enhancement, 40 % gain edema."""
    shape = (20, 20, 20)
    outer, inner, wide = (ball(shape, radius=r) for r in (24.0, 16.0, 34.0))
    zero = torch.zeros(shape)
    maps = {"white": 1 - wide, "enhancing": outer - inner, "core": inner, "edema": wide - outer}
    maps |= dict.fromkeys(("ventricle", "csf", "cortex", "deep", "lesion"), zero) | {"mask": torch.ones(shape)}
    bank = bank_of(160, **maps)
    _, plain = run(bank, 2, CONTRASTS, ("enhancing", "edema"))
    _, found = run(bank, 2, CONTRASTS, ("enhancing", "edema"), tumors=True)
    enhancing = found[:, 0].sum((1, 2, 3)) / plain[:, 0].sum((1, 2, 3))
    edema = found[:, 1].sum((1, 2, 3)) / plain[:, 1].sum((1, 2, 3))
    assert float((enhancing < 0.02).float().mean()) == pytest.approx(0.10, abs=0.06)
    assert float((enhancing > 1.03).float().mean()) == pytest.approx(0.35 * 0.9, abs=0.16)
    assert float((edema > 1.02).float().mean()) == pytest.approx(0.40 * 0.9, abs=0.1)
    # Who has lost the enhancement has no more edema.
    assert float((edema[enhancing < 0.02] > 1.02).float().mean()) < 0.05
    assert edema.min() > 0.99


def test_vessels_take_up_gadolinium_from_batch_to_batch():
    """0.4 to 1.4 times the gain of the contrast: bright on T1Gd, hardly on T1, dark on T2."""
    vessel = torch.zeros(8, 8, 8)
    vessel[2:6, 2:6, 2:6] = 1
    bank = bank_of(200, white=torch.ones(8, 8, 8), vessel=vessel)
    images, _ = run(bank, 0, CONTRASTS)
    gain = images[:, :, 3, 3, 3] - images[:, :, 0, 0, 0]
    for c, (contrast, expected) in enumerate({"t1": 0.03, "t1gd": 1.35, "t2": -0.55, "flair": -0.08}.items()):
        low, high = sorted((0.4 * expected, 1.4 * expected))
        floor = -float(MEANS[contrast][TISSUES.index("white")])  # nothing is darker than black
        assert gain[:, c].min() >= max(low, floor) - 1e-3 and gain[:, c].max() <= high + 1e-3, contrast
    assert float(gain[:, 1].mean()) == pytest.approx(0.9 * 1.35, rel=0.05)
    assert float(gain[:, 1].std()) == pytest.approx(1.35 / 12**0.5, rel=0.12)


def test_the_residual_is_texture_of_the_brain_alone():
    residual = torch.full((8, 8, 8), 128 / 255)
    residual[4:] = 188 / 255
    white = torch.ones(8, 8, 8)
    for contrast, gain in (("t1", 0.81), ("t2", -0.71)):
        inside = run(bank_of(8, white=white, residual=residual, mask=white), 0, (contrast,))[0][:, 0]
        flat = run(bank_of(8, white=white, mask=white), 0, (contrast,))[0][:, 0]
        step = (inside - flat).abs().amax((1, 2, 3))
        assert step.mean() == pytest.approx(abs(gain) * 0.24 * 60 / 255, rel=0.03)
        outside = run(bank_of(8, white=white, residual=residual), 0, (contrast,))[0]
        assert torch.equal(outside, run(bank_of(8, white=white), 0, (contrast,))[0])
        assert ((inside - flat).mean((1, 2, 3)) * gain > 0).all()


@pytest.mark.parametrize("contrasts", [CONTRASTS, ()])
def test_with_every_knob_at_zero_a_head_is_its_maps_in_their_signals(heads, contrasts):
    """Mirrored or not, and nothing else: in register, even, sharp, without noise, whole. Brain and tumor have an
    unevenness that no knob governs; without mask and residual there is none of it."""
    names, maps = heads
    maps = maps.clone()
    maps[:, names.index("mask")], maps[:, names.index("residual")], maps[:, names.index("vessel")] = 0, 128, 0
    found, wanted = randomize(names, maps, SPACING, seeded(2), contrasts, NONE, names)
    known = torch.stack([MEANS[c] for c in CONTRASTS])
    for before, after, image in zip(maps.float() / 255, wanted, found, strict=True):
        seen = before[names.index("seen")]
        turned = not torch.allclose(after, before * seen, atol=1e-6)
        before = before.flip(1) if turned else before
        assert torch.allclose(after, before * before[names.index("seen")], atol=1e-6)
        tissues = [name for name in names if name in TISSUES]
        parts = torch.stack([before[names.index(name)] for name in tissues])
        painted = torch.einsum("ct,txyz->cxyz", known[:, [TISSUES.index(n) for n in tissues]], parts)
        painted = painted * before[names.index("seen")]
        if not contrasts:  # between two of them, a part of the way that is the same everywhere
            low, high = painted.amin(0), painted.amax(0)
            assert (image[0] >= low - 2e-3).all() and (image[0] <= high + 2e-3).all()
            continue
        # An even residual, which is 1 / 510 off the middle, is not seen without a mask.
        assert torch.allclose(image, painted, atol=1e-4)


def test_the_brain_is_never_even_and_a_tumor_less_so():
    """By up to 4 %, from person to person, in the brain alone; in a solid core by up to 25 % of two fields."""
    full = torch.ones(12, 12, 12)
    spread = {}
    for name, mask in (("white", 0.0), ("white", 1.0), ("core", 0.0)):
        nothing = {"edema": 0 * full, "enhancing": 0 * full} if name == "core" else {}
        images, _ = run(bank_of(60, **{name: full}, **nothing, mask=mask * full))
        spread[name, mask] = images[:, 0].flatten(1).std(1) / MEANS["t1"][TISSUES.index(name)]
    strength = {key: float((values**2).mean().sqrt()) for key, values in spread.items()}
    assert spread["white", 0.0].max() < 1e-5
    assert 0.015 < strength["white", 1.0] < 0.031 and spread["white", 1.0].min() < 0.006
    assert 0.15 < strength["core", 0.0] < 0.30 and spread["core", 0.0].min() < 0.04


def test_with_every_knob_at_zero_a_tumor_stays_as_it_was(tumors):
    names, maps = tumors
    _, wanted = run(tumors, 1, targets=names)
    for before, after in zip(maps.float() / 255, wanted, strict=True):
        assert any(torch.allclose(after, values, atol=1e-6) for values in (before, before.flip(1)))


def test_every_knob_is_named_in_this_file():
    """A new knob needs a test of its own."""
    tested = {
        "invented",
        "jitter",
        "flat",
        "tumors",
        "texture",
        "blobs",
        "thin",
        "rotation",
        "scaling",
        "swell",
        "elastic",
    }
    tested |= {"bias", "thick", "slice_mm", "blurred", "noise", "gamma", "cut", "defaced", "stripped"}
    assert {field.name for field in fields(Randomization)} == tested
