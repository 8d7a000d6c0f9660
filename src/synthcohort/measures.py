"""What is measured on soft tissue maps: hard labels, the brain mask, volumes."""

import torch
from torch import Tensor

from .tissue_maps import BRAIN, GLIOMA, TissueMaps


def labels_of(tissues: TissueMaps, kind: str) -> Tensor:
    """Hard labels (N, X, Y, Z) uint8, the largest map of each voxel; see cohort.Batch for what they mean."""
    if kind == "head":
        return mask_of(tissues)
    if kind == "tumor":
        edema, core, enhancing = tissues["edema"], tissues["core"], tissues["enhancing"]
        classes = [1 - edema - core - enhancing, edema, core, enhancing]
    else:
        classes = [1 - tissues.mask, tissues.fluid, *(tissues[name] for name in BRAIN[2:])]
    best, labels = classes[0], torch.zeros_like(classes[0], dtype=torch.uint8)
    for k, fraction in enumerate(classes[1:], 1):  # an argmax, ten times faster than over a stack
        labels = torch.where(fraction > best, k, labels)
        best = torch.maximum(best, fraction)
    return labels.to(torch.uint8)


def mask_of(tissues: TissueMaps) -> Tensor:
    """Brain with its fluid, (N, X, Y, Z) uint8; zero where the image was cut off."""
    mask = tissues.mask > 0.5
    if tissues.seen is not None:
        mask = mask & (tissues.seen > 0)
    return mask.to(torch.uint8)


def volumes_of(tissues: TissueMaps, spacing: float) -> dict[str, Tensor]:
    """Volumes in ml, name -> (N,), and the whole-brain fraction, from the soft maps; `spacing` in mm."""
    ml = spacing**3 / 1000
    total = {name: tissues[name].flatten(1).sum(1) * ml for name in (*BRAIN, *GLIOMA) if name in tissues}
    tiv = tissues.mask.flatten(1).sum(1) * ml
    solid = [values for name, values in total.items() if name not in ("ventricle", "csf")]
    brain = sum(solid[1:], solid[0])
    gray, white = total["cortex"] + total["deep"], total["white"] + total["lesion"]
    return total | {"tiv": tiv, "brain": brain, "fraction": brain / tiv, "gray": gray, "white": white}
