"""The head round the brain: layers as thick as drawn, air, fatness, eyes, field of view; the brain stays."""

import pytest
import torch

from synthcohort import Cohort
from synthcohort.template import sample_template
from synthcohort.tissue_maps import BRAIN, FLUID_OUTSIDE, OUTSIDE

SPACING = 4.0
USUAL = {"layers": torch.tensor([1.0, 1.5, 6.0, 6.0, 6.0]), "air": 1.0, "fatness": 0.25, "crop": (0.0, 0.0)}
NERVES = ("cord", "nerve", "orbit")


@pytest.fixture(scope="module")
def base(still, change):
    cohort, place = still
    people = change(cohort.draw([1], "head"), {"ventricle": 0.0}, None, USUAL, **place)
    maps = sample_template(cohort.points(people, SPACING), ("hull", "face", "depth", "temple", "eye"))
    return cohort, people, {name: values[0] for name, values in maps.items()}


@pytest.fixture(scope="module")
def vault(base, places):
    """Voxels over the convexity, and what one mm of distance to the hull holds there, in voxels."""
    cohort, people, maps = base
    z = places(cohort, people, SPACING)[2]
    where = (z > 25) & (maps["face"] < 0.01) & (maps["temple"] < 0.01)
    return where, float((where & (maps["hull"] > 0) & (maps["hull"] < 14)).sum()) / 14


@pytest.fixture(scope="module")
def tissues(base):
    cohort, people, _ = base
    return cohort.tissues(people, SPACING)


def with_layers(change, people, **layers):
    names = ("fluid", "table", "skull", "scalp", "temple")
    values = dict(zip(names, USUAL["layers"].tolist(), strict=True)) | layers
    return change(people, head={"layers": torch.tensor([values[name] for name in names])})


def thickness(tissues, names, vault):
    where, per_mm = vault
    return float(sum(tissues[name][0][where].sum() for name in names)) / per_mm


def same_brain(one, other):
    return all(torch.equal(one[name], other[name]) for name in BRAIN) and torch.equal(one.mask, other.mask)


@pytest.mark.parametrize("mm", [4.0, 8.0])
def test_the_skull_is_as_thick_as_drawn(base, tissues, vault, change, mm):
    cohort, people, _ = base
    found = cohort.tissues(with_layers(change, people, skull=mm), SPACING)
    assert thickness(found, ("bone", "marrow"), vault) == pytest.approx(mm, rel=0.15)
    assert thickness(found, ("fat", "muscle"), vault) == pytest.approx(6, rel=0.2)  # the scalp moves, and stays
    assert same_brain(found, tissues)


@pytest.mark.parametrize("mm", [4.0, 8.0])
def test_the_scalp_is_as_thick_as_drawn(base, tissues, vault, change, mm):
    cohort, people, _ = base
    found = cohort.tissues(with_layers(change, people, scalp=mm), SPACING)
    assert thickness(found, ("fat", "muscle"), vault) == pytest.approx(mm, rel=0.2)
    assert thickness(found, ("bone", "marrow"), vault) == pytest.approx(
        thickness(tissues, ("bone", "marrow"), vault), rel=0.02
    )
    # Skin is 2 mm, drawn as muscle; the rest is fat.
    assert thickness(found, ("muscle",), vault) == pytest.approx(2.6, abs=0.9)  # its edges are soft
    assert same_brain(found, tissues)


def test_marrow_lies_between_the_tables(base, tissues, vault, change):
    """A skull of 8 mm with tables of 1.5 mm has 5 mm of marrow, nine tenths of it in the voxels; with 4 mm, none."""
    cohort, people, maps = base
    usual = cohort.tissues(with_layers(change, people, skull=8.0), SPACING)
    assert thickness(usual, ("marrow",), vault) == pytest.approx(0.9 * 5, rel=0.2)
    solid = cohort.tissues(with_layers(change, people, skull=8.0, table=4.0), SPACING)
    assert thickness(solid, ("marrow",), vault) < 1.3
    where = vault[0]
    hull = [
        float((usual[name][0] * maps["hull"])[where].sum() / usual[name][0][where].sum())
        for name in ("marrow", "bone", "fat")
    ]
    assert hull[0] == pytest.approx(1 + 4, abs=0.8) and hull[2] > hull[0] + 3


@pytest.mark.parametrize("mm", [0.5, 3.0])
def test_the_fluid_outside_the_hull_is_as_thick_as_drawn(base, tissues, vault, change, mm):
    cohort, people, _ = base
    none, found = (cohort.tissues(with_layers(change, people, fluid=f), SPACING) for f in (0.0, mm))
    gain = thickness(found, (FLUID_OUTSIDE,), vault) - thickness(none, (FLUID_OUTSIDE,), vault)
    assert gain == pytest.approx(mm, rel=0.35)
    assert thickness(found, ("bone", "marrow"), vault) == pytest.approx(
        thickness(none, ("bone", "marrow"), vault), rel=0.12
    )
    assert same_brain(found, tissues)


def test_the_temporal_muscle_lies_at_the_temples_alone(base, tissues, vault, change, places):
    cohort, people, _ = base
    none, thick = (cohort.tissues(with_layers(change, people, temple=t), SPACING) for t in (0.0, 10.0))
    won = (thick["muscle"] - none["muscle"])[0].clamp(min=0)
    x, y, z = places(cohort, people, SPACING)
    here = (x.abs() > 45) & (y > -40) & (y < 65) & (z > -65) & (z < 35)
    assert float(won.sum()) * SPACING**3 / 1000 > 10 and float(won[here].sum() / won.sum()) > 0.9
    assert thickness(thick, ("muscle",), vault) == pytest.approx(thickness(none, ("muscle",), vault), abs=0.05)
    assert same_brain(thick, none)


@pytest.fixture
def even_fields(monkeypatch):
    """The fields of a head have one value everywhere: those of skull and scalp, and of the mixture of tissues."""

    def use(**values):
        order = iter(("skull", "scalp", "mixture"))  # as they are drawn

        def even(streams, shape, spacing, scale, channels=1, device="cpu"):
            return torch.full((len(streams), channels, *shape), values.get(next(order), 0.0))

        monkeypatch.setattr("synthcohort.head.smooth_field", even)

    return use


@pytest.mark.parametrize(
    "layer, field, sd", [("skull", "skull", 0.16), ("scalp", "scalp", 0.22), ("temple", "mixture", 0.2)]
)
def test_layers_are_uneven_by_a_fifth(base, vault, change, even_fields, layer, field, sd):
    """Each has a field of its own, so many times as thick where it is one standard deviation up or down."""
    cohort, people, maps = base
    people = with_layers(change, people, temple=8.0)
    temples = (maps["temple"] > 0.5) & (maps["face"] < 0.05)
    found = {}
    for amount in (-1.0, 0.0, 1.0):
        even_fields(**{field: amount})
        tissues = cohort.tissues(people, SPACING)
        bone, soft = (thickness(tissues, names, vault) for names in (("bone", "marrow"), ("fat", "muscle")))
        found[amount] = {"skull": bone, "scalp": soft, "temple": float(tissues["muscle"][0][temples].sum())}
    even_fields()
    none = cohort.tissues(with_layers(change, people, temple=0.0), SPACING)["muscle"][0]  # the skin
    mm = {"skull": 6.0, "scalp": 6.0, "temple": found[0.0]["temple"] - float(none[temples].sum())}
    for amount in (-1.0, 1.0):
        change_in = {name: (found[amount][name] - found[0.0][name]) / mm[name] for name in mm}
        assert change_in[layer] == pytest.approx(amount * sd, abs=0.05)
        if layer != "temple":
            assert change_in["scalp" if layer == "skull" else "skull"] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(
    "mixture, parts, marrow",
    [(-2.0, (0.97, 0.0, 0.03), 0.0), (0.0, (0.0, 0.13, 0.87), 0.66), (2.0, (0.0, 0.8, 0.2), 1.0)],
)
def test_face_and_neck_are_muscle_with_streaks_of_fat_and_patches_of_bone(base, even_fields, mixture, parts, marrow):
    """As the field of the mixture says; under the skin fat alone; at the base of the skull compact or spongy bone."""
    cohort, people, maps = base
    even_fields(mixture=mixture)
    tissues = cohort.tissues(people, SPACING)
    names = ("face", "skin", "orbit", "air", "eye", "nerve", "cord", "hull")
    more = {name: values[0] for name, values in sample_template(cohort.points(people, SPACING), names).items()}
    plain = sum(more[name] for name in ("orbit", "air", "eye", "nerve", "cord")) < 0.01
    flesh = plain & (more["face"] > 0.98) & (more["hull"] > 20)
    deep, near = flesh & (more["skin"] > 15), flesh & (more["skin"] > 4.5) & (more["skin"] < 6)
    found = [float(tissues[name][0][deep].mean()) for name in ("bone", "fat", "muscle")]
    assert found == pytest.approx(parts, abs=0.03)
    assert near.sum() > 10 and tissues["fat"][0][near].mean() > 0.8
    base_of_skull = plain & (maps["depth"] < -6) & (more["hull"] < -0.5)
    bone, spongy = (float(tissues[name][0][base_of_skull].sum()) for name in ("bone", "marrow"))
    assert bone + spongy > 10 and spongy / (bone + spongy) == pytest.approx(marrow, abs=0.08)


def test_the_cord_is_nerve_below_the_brain_and_so_is_the_optic_nerve(base, tissues, places):
    """Where the template has them, outside the brain; nothing else is nerve."""
    cohort, people, _ = base
    maps = {name: values[0] for name, values in sample_template(cohort.points(people, SPACING), NERVES).items()}
    nerve, below = tissues["nerve"][0], (maps["cord"] > 0.95) & (tissues.mask[0] < 0.01)
    assert below.sum() * SPACING**3 / 1000 > 1 and nerve[below].min() > 0.9
    assert places(cohort, people, SPACING)[2][below].max() < -60
    optic = (maps["nerve"] > 0.5) & (maps["orbit"] > 0.9) & (tissues.mask[0] < 0.01)
    assert optic.sum() > 10 and nerve[optic].mean() > 0.45
    assert nerve[(maps["cord"] < 0.01) & (maps["nerve"] < 0.01)].max() < 0.02


def test_no_air_spaces_no_air(base, tissues, change, places):
    cohort, people, _ = base
    none, less, more = (cohort.tissues(change(people, head={"air": a}), SPACING) for a in (0.0, 0.6, 1.3))
    assert none["air"].max() == 0 and 0 < less["air"].sum() < more["air"].sum()
    x, y, z = places(cohort, people, SPACING)
    air = more["air"][0]
    # Nasal cavity, sinuses and pharynx: the midline and the cheeks, below the brain or in front of it.
    assert float(air[(y > 0) & (x.abs() < 50)].sum() / air.sum()) > 0.85 and float((air * z).sum() / air.sum()) < -45
    assert same_brain(none, more)


def test_fatness_is_fat_of_the_face_for_muscle(base, tissues, change):
    cohort, people, maps = base
    thin, fat = (cohort.tissues(change(people, head={"fatness": f}), SPACING) for f in (-0.2, 0.7))
    won = (fat["fat"] - thin["fat"])[0]
    face = maps["face"] > 0.05
    assert float(won.sum()) * SPACING**3 / 1000 > 50 and float(won[face].sum() / won.sum()) > 0.98
    lost = float((thin["muscle"] + thin["bone"] - fat["muscle"] - fat["bone"]).sum())
    assert lost == pytest.approx(float(won.sum()), rel=0.02)
    for name in ("marrow", "eye", "air", "lens"):
        assert torch.allclose(fat[name], thin[name], atol=1e-5), name
    assert same_brain(thin, fat)


@pytest.mark.parametrize("below, above", [(0.0, 0.0), (0.25, 0.0), (0.0, 0.06), (0.3, 0.05)])
def test_the_field_of_view_is_cut_below_and_above(base, change, below, above):
    """Fractions of the height: nothing is seen in slices whose middle lies there, and the rest is as it was."""
    cohort, people, _ = base
    whole = cohort.tissues(change(people, head={"crop": (0.0, 0.0)}), 8.0)
    found = cohort.tissues(change(people, head={"crop": (below, above)}), 8.0)
    height = found.mask.shape[3]
    expected = [float(below <= (k + 0.5) / height <= 1 - above) for k in range(height)]
    assert found.seen[0, 3, 5].tolist() == expected and (found.seen == found.seen[:, :1, :1]).all()
    assert all(torch.equal(found[name], whole[name]) for name in whole.names)
    assert (found.brain_mask()[0] == whole.brain_mask()[0] * found.seen[0]).all()


def test_eyes_lie_in_front_of_the_brain_in_the_image(base, tissues):
    """Of about 7 ml each, on both sides, in front of the brain of their height, with the lens in front."""
    grid = base[0].grid("head", SPACING).points()[0]
    eye, mask = (tissues["eye"] + tissues["lens"])[0], tissues.mask[0]
    for side in (-1, 1):
        one = eye * (grid[..., 0] * side > 0)
        assert float(one.sum()) * 0.064 == pytest.approx(7.2, rel=0.25)
        x, y, z = ((one * grid[..., k]).sum() / one.sum() for k in range(3))
        level = (grid[..., 2] - z).abs() < 6
        front = float(grid[..., 1][level & (mask > 0.5)].max())
        assert y > front - 2 and y - (-14) > 0 and x * side > 20
        lens = tissues["lens"][0] * (grid[..., 0] * side > 0)
        assert float((lens * grid[..., 1]).sum() / lens.sum()) > y + 5


def test_everything_adds_up_to_one_inside_and_to_none_outside(base, tissues):
    _, _, maps = base
    total = sum(tissues[name] for name in (*tissues.names, FLUID_OUTSIDE))[0]
    assert total.max() < 1.01 and total[maps["hull"] > 45].max() < 1.01
    assert (total[(maps["hull"] > 1.5) & (maps["hull"] < 5)] > 0.9).float().mean() > 0.95  # the skull has no holes
    assert min(float(tissues[name].min()) for name in OUTSIDE) > -1e-6
    inside = maps["depth"] > 4
    assert max(float(tissues[name][0][inside].max()) for name in OUTSIDE) < 0.02


def test_heads_are_drawn_within_everyday_anatomy():
    """Fluid 0.3 to 2.4, tables 1.3 to 2.3, skull 4 to 9, scalp 3 to 10, temporal muscle 3 to 11 mm."""
    heads = [person.head for person in Cohort(0).draw(range(600), "head").persons]
    layers = torch.stack([head.layers for head in heads])
    low, high = torch.tensor([0.3, 1.3, 4.0, 3.0, 3.0]), torch.tensor([2.4, 2.3, 9.0, 10.0, 11.0])
    assert ((layers >= low) & (layers <= high)).all()
    assert torch.allclose(layers.mean(0), (low + high) / 2, rtol=0.05)
    assert torch.allclose(layers.std(0), (high - low) / 12**0.5, rtol=0.1)
    assert (torch.corrcoef(layers.T) - torch.eye(5)).abs().max() < 0.15
    fatness, air = torch.tensor([h.fatness for h in heads]), torch.tensor([h.air for h in heads])
    assert float(fatness.mean()) == pytest.approx(0.25, abs=0.025) and float(fatness.std()) == pytest.approx(
        0.15, rel=0.1
    )
    assert 0.6 <= air.min() < 0.65 and 1.25 < air.max() <= 1.3
    thick = [h for h in heads if h.slice_mm is not None]
    assert len(thick) / 600 == pytest.approx(0.35, abs=0.06)
    assert all(3 <= h.slice_mm <= 7 for h in thick) and max(h.slice_mm for h in thick) > 6.8
    counts = [sum(h.slice_axis == axis for h in thick) / len(thick) for axis in (1, 2, 3)]
    assert counts == pytest.approx([1 / 3] * 3, abs=0.1)
    assert all(h.slice_axis == 3 for h in heads if h.slice_mm is None)
    crops = torch.tensor([h.crop for h in heads if h.crop != (0.0, 0.0)])
    assert len(crops) / 600 == pytest.approx(0.35, abs=0.06)
    assert crops[:, 0].max() <= 0.3 and crops[:, 1].max() <= 0.06
    assert crops.mean(0).tolist() == pytest.approx([0.15, 0.03], rel=0.15)
