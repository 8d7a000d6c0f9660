"""Brain age: a small convolutional network, and how its input is scaled. The chain of layers follows
Peng et al. (SFCN, Med Image Anal 68:101871, 2021), but the first layer halves the resolution, many times cheaper on a
CPU, and the head keeps 2 x 3 x 2 places: brains come registered, and regions age at different rates."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def standardize(x: Tensor) -> Tensor:
    """T1 volumes (N, 1, X, Y, Z), any unit, scaled to a white matter of 1: the median of the brightest third of the
    brain, whose voxels exceed 35 % of the 98th percentile. A volume without any signal stays as it is."""
    scales = []
    for volume in x:
        top = _quantile(volume, 0.98)
        brain = volume[volume > 0.35 * top]
        white = brain[brain >= _quantile(brain, 2 / 3)] if len(brain) else brain
        scales.append(white.median() if len(white) else volume.new_ones(()))
    return x / torch.stack(scales).view(-1, 1, 1, 1, 1)


def _quantile(values: Tensor, fraction: float) -> Tensor:
    values = values.flatten()  # torch.quantile refuses more than 16 million values
    return values.kthvalue(1 + round(fraction * (len(values) - 1))).values


def _block(inside: int, outside: int, size: int = 3, stride: int = 1, pool: int = 1) -> nn.Sequential:
    convolution = nn.Conv3d(inside, outside, size, stride, padding=size // 2, bias=False)
    # Pooling first leaves eight times fewer voxels to normalize, a fifth of the time of a step.
    pooling = nn.MaxPool3d(pool) if pool > 1 else nn.Identity()
    return nn.Sequential(convolution, pooling, nn.BatchNorm3d(outside), nn.ReLU(inplace=True))


class AgeNet(nn.Module):
    """Standardized T1 volumes (N, 1, X, Y, Z) to ages in years (N,). `mean` and `sd` are those of the training ages:
    the network starts near predicting the mean. `places` is the grid that the head keeps, by default what the layers
    before it leave of 40 x 48 x 40; (1, 1, 1) is the usual global mean."""

    def __init__(
        self, mean: float = 50.0, sd: float = 17.0, widths: tuple[int, ...] = (24, 48, 64, 96),
        places: tuple[int, int, int] = (2, 3, 2), dropout: float = 0.2,
    ):  # fmt: skip
        super().__init__()
        self.mean, self.sd, self.places = float(mean), float(sd), places
        self.arguments = {"mean": self.mean, "sd": self.sd, "widths": list(widths), "places": list(places)}
        self.arguments["dropout"] = dropout
        first, second, third, last = widths
        blocks = [_block(1, first, stride=2, pool=2), _block(first, second, pool=2), _block(second, third, pool=2)]
        self.features = nn.Sequential(*blocks, _block(third, last), _block(last, 24, size=1))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(24 * math.prod(places), 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.mean + self.sd * self.head(F.adaptive_avg_pool3d(self.features(x), self.places))[:, 0]
