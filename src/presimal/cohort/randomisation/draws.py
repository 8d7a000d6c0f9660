"""What every draw of a batch is made of, on the device of its generator."""

import torch
import torch.nn.functional as F
from torch import Tensor


def uniform(shape, generator):
    return torch.rand(shape, generator=generator, device=generator.device)


def normal(shape, generator):
    return torch.randn(shape, generator=generator, device=generator.device)


def chance(share: float, count: int, generator) -> Tensor:
    return uniform((count,), generator) < share


def smooth(count: int, shape, width: float, spacing: float, generator) -> Tensor:
    """Smooth fields (N, X, Y, Z) of about zero mean and unit spread, features of `width` mm."""
    coarse = [max(2, round(length * spacing / width)) for length in shape]
    field = F.interpolate(normal((count, 1, *coarse), generator), shape, mode="trilinear")[:, 0]
    return field / 0.55  # interpolation takes about half of the variance away
