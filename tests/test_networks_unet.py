"""The U-Net: rearranging without loss, any size, deep supervision, skips."""

import pytest
import torch
from torch.nn.functional import pixel_unshuffle

from brainscans.networks.unet import UNet, pixelshuffle, pixelunshuffle


def test_the_rearrangement_into_channels_is_undone():
    x = torch.randn(2, 3, 4, 6, 8)
    assert pixelunshuffle(x).shape == (2, 24, 2, 3, 4)
    assert torch.equal(pixelshuffle(pixelunshuffle(x)), x)


def test_the_order_of_channels_is_the_one_that_the_shipped_weights_have_learned():
    """In the first two axes it is what torch does to images; the third axis splits into even and odd."""
    x = torch.randn(1, 2, 4, 6, 2)
    deep = pixelunshuffle(x).view(1, 2, 2, 2, 2, 2, 3)  # channel, parity of x, y, z, then x, y
    for parity in (0, 1):
        flat = pixel_unshuffle(x[..., parity], 2).view(1, 2, 2, 2, 2, 3)
        assert torch.equal(deep[:, :, :, :, parity], flat)


def test_what_is_negative_goes_on_as_a_hundredth():
    """The shipped weights have learned it so."""
    activation = UNet(1, 1, (4, 8)).down[0][0][-1]
    assert activation(torch.tensor([-2.0, 0.0, 3.0])).tolist() == pytest.approx([-0.02, 0, 3])


@pytest.mark.parametrize("size", [(16, 16, 16), (10, 13, 9), (40, 48, 40), (7, 8, 25)])
def test_any_size_in_the_same_size_out(size):
    model = UNet(2, 3, (4, 8, 12)).eval()
    assert model(torch.randn(1, 2, *size)).shape == (1, 3, *size)


def test_padding_is_at_the_far_ends_only():
    """A volume and the same with zeros appended by hand give the same answer where both exist."""
    model = UNet(1, 1, (4, 8)).eval()
    x = torch.randn(1, 1, 10, 9, 11)
    padded = torch.zeros(1, 1, 12, 12, 12)
    padded[..., :10, :9, :11] = x
    assert torch.allclose(model(x), model(padded)[..., :10, :9, :11], atol=1e-5)


def test_in_training_it_answers_at_every_level():
    model = UNet(1, 2, (4, 8, 12)).train()
    outputs = model(torch.randn(2, 1, 16, 16, 16))
    assert [tuple(o.shape) for o in outputs] == [(2, 2, 16, 16, 16), (2, 2, 8, 8, 8), (2, 2, 4, 4, 4)]
    sum(o.mean() for o in outputs).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.eval()(torch.zeros(1, 1, 16, 16, 16)).shape == (1, 2, 16, 16, 16)  # one answer when it counts


def test_without_skips_nothing_fine_gets_through():
    """The way up then sees the finest level only through the coarsest: fewer parameters, another answer."""
    compared = [sum(p.numel() for p in UNet(1, 1, (4, 8, 12), skips=s).parameters()) for s in (True, False)]
    assert compared[0] > compared[1]
    assert UNet(1, 1, (4, 8, 12), skips=False)(torch.randn(1, 1, 16, 16, 16))[0].shape == (1, 1, 16, 16, 16)


@pytest.mark.parametrize("level", [0, 1])
def test_the_skip_of_each_level_is_heard_by_itself(level):
    """With the way through the coarsest level cut and the other skip silenced, only this one can tell inputs apart."""
    torch.manual_seed(0)
    x, other = torch.randn(2, 1, 1, 16, 16, 16)
    for skips in (True, False):
        model = UNet(1, 1, (4, 8, 12), skips=skips).eval()
        with torch.no_grad():
            for parameter in model.up[0].parameters():
                parameter.zero_()
            silenced = model.merge[level][0].weight  # the way up starts at level 1, so merge[level] is of the other
            silenced[:, silenced.shape[0] :] = 0
        assert torch.allclose(model(x), model(other), atol=1e-6) is not skips


def test_a_sharp_head_sees_single_voxels():
    """With the way through the coarse grid cut, only the sharp head can tell neighbors in a block apart."""
    torch.manual_seed(0)
    x = torch.randn(1, 1, 8, 8, 8)
    other = x.clone()
    other[0, 0, 3, 3, 3] += 5
    for sharp, differs in ((0, False), (4, True)):
        model = UNet(1, 1, (4, 8), sharp=sharp).eval()
        torch.nn.init.zeros_(model.head.weight)
        assert torch.equal(model(x), model(other)) is not differs
        assert ("sharp" in model.arguments) is differs
