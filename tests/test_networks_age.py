"""The brain-age network: its scale, its shape, what its head sees, and the weights that come with it."""

import numpy as np
import pytest
import torch

from brainscans import networks
from brainscans.networks import AgeNet
from brainscans.networks.age import standardize
from synthcohort import Cohort


def ball(white=1.0, gray=0.6, noise=0.0):
    """A volume (1, 1, 40, 48, 40): a gray ball with a white core, on nothing."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(n) - n / 2 for n in (40, 48, 40)], indexing="ij"))
    distance = grid.pow(2).sum(0).sqrt()
    volume = gray * (distance < 16).float() + (white - gray) * (distance < 13).float()
    return (volume + noise * torch.rand(volume.shape))[None, None]


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1234.5])
def test_white_matter_becomes_one_in_any_unit(unit):
    x = standardize(unit * torch.cat([ball(), ball(white=3.0, gray=1.8)]))
    assert x[:, 0, 20, 24, 20].tolist() == pytest.approx([1, 1])


def test_background_noise_does_not_move_the_unit():
    assert float(standardize(ball(noise=0.05))[0, 0, 20, 24, 20]) == pytest.approx(1, abs=0.05)


def test_an_empty_volume_stays_as_it_is():
    assert torch.equal(standardize(torch.zeros(1, 1, 8, 8, 8)), torch.zeros(1, 1, 8, 8, 8))


def test_white_matter_of_a_generated_person_is_near_one():
    batch = Cohort(0).render([0, 1, 2])
    x = standardize(batch.images)
    for volume, labels in zip(x[:, 0], batch.labels, strict=True):
        assert float(volume[labels == 4].median()) == pytest.approx(1, abs=0.08)  # 4 is white matter


def test_a_batch_of_volumes_gives_as_many_ages_whatever_their_size():
    model = AgeNet(mean=50, sd=17).eval()
    with torch.no_grad():
        for shape in ((40, 48, 40), (48, 56, 48), (41, 43, 39)):
            ages = model(torch.rand(2, 1, *shape))
            assert ages.shape == (2,) and ((ages > 0) & (ages < 100)).all()


def test_the_default_grid_reaches_the_head_without_resampling():
    assert AgeNet().features(torch.rand(2, 1, 40, 48, 40)).shape[2:] == AgeNet().places


def test_the_head_knows_where_and_a_global_mean_does_not():
    torch.manual_seed(0)
    features = torch.rand(1, 24, 2, 3, 2)
    for places, differs in (((2, 3, 2), True), ((1, 1, 1), False)):
        model = AgeNet(places=places).eval()
        model.features = torch.nn.Identity()
        with torch.no_grad():
            here, there = model(features), model(features.flip(4))
        assert torch.allclose(here, there, atol=1e-4) != differs


def test_gradients_agree_with_finite_differences():
    torch.manual_seed(0)
    model = AgeNet(widths=(2, 2, 2, 2)).double().eval()
    x = torch.rand(1, 1, 16, 24, 16, dtype=torch.double, requires_grad=True)
    direction = torch.randn(x.shape, dtype=torch.double)
    slope = float((torch.autograd.grad(model(x).sum(), x)[0] * direction).sum())
    with torch.no_grad():
        step = float(model(x + 1e-7 * direction) - model(x - 1e-7 * direction)) / 2e-7
    assert step == pytest.approx(slope, rel=1e-3)


def test_saved_and_loaded_it_says_the_same(tmp_path):
    torch.manual_seed(0)
    model = AgeNet(mean=48.5, sd=16.5, widths=(8, 8, 8, 8), dropout=0.35).eval()
    networks.save(model, tmp_path / "mine.safetensors", people=3)
    again, how = networks.load(str(tmp_path / "mine.safetensors"))
    x = torch.rand(2, 1, 40, 48, 40)
    with torch.no_grad():
        assert torch.allclose(model(x), again(x), atol=0.2)  # stored in half precision
    assert how["people"] == 3 and how["network"] == "AgeNet"
    assert [layer.p for layer in again.modules() if isinstance(layer, torch.nn.Dropout)] == [0.35]


def test_the_shipped_weights_know_the_age_of_people_they_never_saw():
    model, how = networks.load("brain_age")
    numbers = range(6000, 6040)
    ages = Cohort(0).people(numbers).age.to_numpy()
    with torch.no_grad():
        said = model(standardize(Cohort(0).render(numbers).images)).numpy()
    error, baseline = np.abs(said - ages).mean(), np.abs(ages - 49).mean()
    assert error < 5.5 < 0.5 * baseline + 2, f"{error:.1f} years, the mean age {baseline:.1f}"
    assert how["people"] >= 4000 and how["mae_test_years"][1] < how["mae_test_years"][0] < how["mae_test_years"][2]
