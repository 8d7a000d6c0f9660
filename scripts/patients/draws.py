"""What is drawn for all people of a batch, one draw after the other from one generator."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from synthcohort.fields import chance, noise_field, soft_step, uniform
from synthcohort.tissue_maps import TissueMaps


@dataclass(frozen=True)
class Draws:
    """Numbers (N, 1, 1, 1) and fields as large as `volume` (N, X, Y, Z) for N people; voxels of `spacing` mm."""

    generator: Generator
    volume: Tensor
    spacing: float

    def number(self) -> Tensor:
        """Even between 0 and 1, one per person."""
        return uniform(self.generator, len(self.volume), 1, 1, 1)

    def between(self, low: float, high: float) -> Tensor:
        """Even between two values, one per person."""
        return low + (high - low) * self.number()

    def between_log(self, low: float, high: float) -> Tensor:
        """Even between two values on a logarithmic scale, one per person."""
        return low * (high / low) ** self.number()

    def some(self, fraction: float) -> Tensor:
        """1 in a fraction of the people, 0 in the others."""
        return chance(self.generator, fraction, len(self.volume), 1, 1, 1).float()

    def field(self, width: float) -> Tensor:
        """Smooth, about zero mean and unit sd, features of `width` mm."""
        return noise_field(self.generator, self.volume, width, self.spacing)

    def patches(self, width: float, low: float, high: float, edge: float) -> Tensor:
        """1 where a field of `width` mm exceeds a level between two values, 0 elsewhere, with a soft edge."""
        field = self.field(width)
        return soft_step(field - self.between(low, high), edge)


def whole_tumor(tissues: TissueMaps) -> Tensor:
    """(N, X, Y, Z), 0 to 1, a little more where soft edges overlap."""
    return tissues["core"] + tissues["edema"] + tissues["enhancing"]


def levels(ranges: dict[str, tuple], contrast: int, rank: Tensor) -> Tensor:
    """Signals (N, parts) on one contrast, at `rank` (N, parts), 0 to 1, of the `ranges` part -> (low, high) of each."""
    low, high = torch.tensor([parts[contrast] for parts in ranges.values()], device=rank.device).unbind(1)
    return low + (high - low) * rank
