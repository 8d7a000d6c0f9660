"""What a body is made of: the names of the tissues, and soft maps of them for N people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

CONTRASTS = ("t1", "t1gd", "t2", "flair")  # all that can be rendered, in the order of the tables and of their draws
# The same four as the channels of Task01 of the Medical Segmentation Decathlon: so they lie on disk and in batches.
MSD_CONTRASTS = ("flair", "t1", "t1gd", "t2")
BRAIN = ("ventricle", "csf", "cortex", "deep", "white", "lesion")  # deep gray matter, hyperintense white matter
GLIOMA = ("core", "edema", "enhancing")
OUTSIDE = ("bone", "marrow", "fat", "muscle", "eye", "lens", "air", "nerve")
TISSUES = (*BRAIN, *GLIOMA, *OUTSIDE)
FLUID_OUTSIDE = "fluid_outside"  # between brain and skull: fluid that is no part of the brain mask
RESIDUAL_RANGE = 0.24  # of the T1 texture in units of signal; packed as 0 to 1, 0.5 is none
PackedMaps = tuple[tuple[str, ...], Tensor]  # names, and maps (N, maps, X, Y, Z) uint8


@dataclass(frozen=True)
class TissueMaps:
    """Soft maps of N people on one grid, each (N, X, Y, Z), 0 to 1. A step takes tissue maps and returns others.

    `tissues` name -> map; `mask` the brain with its fluid; `residual` the texture of the real T1, in units of signal;
    `vessel` what takes up gadolinium in everyone; `seen` is 1 inside the field of view, None if all is."""

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

    def updated(self, tissues: Mapping[str, Tensor]) -> TissueMaps:
        """The same maps with some tissues replaced or added; `dataclasses.replace` is for the other members."""
        return replace(self, tissues={**self.tissues, **tissues})

    def brain_mask(self) -> Tensor:
        """Brain with its fluid, (N, X, Y, Z) uint8; zero where the image was cut off."""
        mask = self.mask > 0.5
        return (mask if self.seen is None else mask & (self.seen > 0)).to(torch.uint8)

    def labels(self, kind: str) -> Tensor:
        """The largest map of each voxel, (N, X, Y, Z) uint8; see cohort.Batch for what the numbers mean."""
        if kind == "head":
            return self.brain_mask()
        if kind == "tumor":
            edema, core, enhancing = self["edema"], self["core"], self["enhancing"]
            classes = [1 - edema - core - enhancing, edema, core, enhancing]
        else:
            classes = [1 - self.mask, self["ventricle"] + self["csf"], *(self[name] for name in BRAIN[2:])]
        best, labels = classes[0], torch.zeros_like(classes[0], dtype=torch.uint8)
        for k, fraction in enumerate(classes[1:], 1):  # an argmax, ten times faster than over a stack
            labels = torch.where(fraction > best, k, labels)
            best = torch.maximum(best, fraction)
        return labels.to(torch.uint8)

    def volumes(self, spacing: float) -> dict[str, Tensor]:
        """Volumes in ml, name -> (N,), and `fraction`, the whole brain over the skull's content; `spacing` in mm."""
        ml = spacing**3 / 1000
        total = {name: self[name].flatten(1).sum(1) * ml for name in (*BRAIN, *GLIOMA) if name in self}
        tiv = self.mask.flatten(1).sum(1) * ml
        solid = [values for name, values in total.items() if name not in ("ventricle", "csf")]
        brain = sum(solid[1:], solid[0])
        gray, white = total["cortex"] + total["deep"], total["white"] + total["lesion"]
        return total | {"tiv": tiv, "brain": brain, "fraction": brain / tiv, "gray": gray, "white": white}

    def pack(self) -> PackedMaps:
        """Names and maps (N, maps, X, Y, Z) uint8, 255 for a voxel full of a tissue: a small bank to keep."""
        fluid = {"csf": self["csf"] + self[FLUID_OUTSIDE]} if FLUID_OUTSIDE in self else {}
        residual = self.residual / RESIDUAL_RANGE + 0.5
        others = {"vessel": self.vessel, "residual": residual, "mask": self.mask, "seen": self.seen}
        soft = {name: {**self.tissues, **fluid}[name] for name in self.names}
        soft = soft | {name: values for name, values in others.items() if values is not None}
        return tuple(soft), (torch.stack(list(soft.values()), 1).clamp(0, 1) * 255).round().to(torch.uint8)

    @classmethod
    def unpack(cls, names: tuple[str, ...], maps: Tensor) -> TissueMaps:
        """The maps that `pack` stored; `residual` stays as it was packed, 0 to 1."""
        soft = dict(zip(names, (maps.float() / 255).unbind(1), strict=True))
        others = {name: soft.pop(name) for name in ("vessel", "residual", "mask", "seen") if name in soft}
        return cls(soft, **others)
