"""What a body is made of: the names of the tissues, and soft maps of them for N people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

CONTRASTS = ("t1", "t1gd", "t2", "flair")
MSD_CONTRASTS = ("flair", "t1", "t1gd", "t2")  # the channels of Task01 of the Medical Segmentation Decathlon

BRAIN = ("ventricle", "csf", "cortex", "deep", "white", "lesion")  # deep gray matter, hyperintense white matter
GLIOMA = ("core", "edema", "enhancing")
OUTSIDE = ("bone", "marrow", "fat", "muscle", "eye", "lens", "air", "nerve")
TISSUES = (*BRAIN, *GLIOMA, *OUTSIDE)
FLUID_OUTSIDE = "fluid_outside"  # between brain and skull: fluid that is no part of the brain mask
RESIDUAL_RANGE = 0.24  # of the T1 texture in units of signal; stored as 0 to 1, 0.5 is none


class Signal(NamedTuple):
    """What a tissue gives on one contrast, against white matter on T1: the mean, and the range over people."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class TissueMaps:
    """Soft maps of N people on one grid, each (N, X, Y, Z), 0 to 1.

    `tissues` name -> map. `mask` is the brain with its fluid; `residual` the texture of the real T1, in units of
    signal; `vessel` what takes up gadolinium in everyone; `seen` is 1 inside the field of view, None if all is.
    A step takes tissue maps and returns others; nothing is changed in place.
    """

    tissues: Mapping[str, Tensor]
    mask: Tensor
    residual: Tensor
    vessel: Tensor | None = None
    seen: Tensor | None = None

    def __getitem__(self, name: str) -> Tensor:
        return self.tissues[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tissues

    @property
    def names(self) -> tuple[str, ...]:
        """The tissues that are there, in the order of TISSUES."""
        return tuple(name for name in TISSUES if name in self.tissues)

    @property
    def fluid(self) -> Tensor:
        """All fluid within the brain mask."""
        return self["ventricle"] + self["csf"]

    def updated(self, tissues: Mapping[str, Tensor] | None = None, **members: Tensor) -> TissueMaps:
        """The same maps with some tissues, or other members, replaced or added."""
        return replace(self, tissues={**self.tissues, **(tissues or {})}, **members)

    def pack(self) -> tuple[tuple[str, ...], Tensor]:
        """Names and maps (N, maps, X, Y, Z) uint8, 255 for a voxel full of a tissue: a small bank to keep.

        The last maps are `vessel`, `residual` (0.5 is none), `mask`, and `seen` where it is not everything.
        """
        tissues = dict(self.tissues)
        if FLUID_OUTSIDE in tissues:
            tissues["csf"] = tissues["csf"] + tissues.pop(FLUID_OUTSIDE)
        others = {"vessel": self.vessel, "residual": self.residual / RESIDUAL_RANGE + 0.5, "mask": self.mask}
        others["seen"] = self.seen
        kept = {name: values for name, values in others.items() if values is not None}
        names = (*self.names, *kept)
        maps = torch.stack([(tissues | kept)[name] for name in names], 1)
        return names, (maps.clamp(0, 1) * 255).round().to(torch.uint8)

    @classmethod
    def unpack(cls, names: tuple[str, ...], maps: Tensor) -> TissueMaps:
        """The maps that `pack` stored. `residual` stays as stored, 0 to 1: see `textured`."""
        soft = dict(zip(names, (maps.float() / 255).unbind(1), strict=True))
        others = {name: soft.pop(name) for name in ("vessel", "residual", "mask", "seen") if name in soft}
        return cls(soft, **others)


def textured(stored: Tensor, gain: Tensor) -> Tensor:
    """The texture of a stored `residual` in units of signal, times a gain (N, 1, 1, 1)."""
    return gain * RESIDUAL_RANGE * (stored - 0.5)
