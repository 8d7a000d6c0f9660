"""What the tumor network needs before and after it, as transforms of MONAI. A bundle takes this file along
(`brainscans.bundle`), so that it imports nothing but torch, MONAI and what travels with it."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import nn

from .networks.normalization import normalize


class NormalizeInBraind(MapTransform):
    """The gray levels of four contrasts (4, X, Y, Z): FLAIR, T1, T1Gd, T2, 0 outside the brain, each with a mean of 0
    and a standard deviation of 1 in the brain, which is what exceeds `darkest` of the brightest T1."""

    def __init__(self, keys: Any, darkest: float = 0.1):
        super().__init__(keys)
        self.darkest = darkest

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        found = dict(data)
        for key in self.keys:
            brain = found[key][1:2] > self.darkest * found[key][1:2].max()
            found[key] = normalize(found[key][None], brain[None])[0]
        return found


class RegionsToLabelsd(MapTransform):
    """Logits (3, X, Y, Z) of whole tumor, core and enhancing tumor to labels (1, X, Y, Z): 1 edema, 2 non-enhancing or
    necrotic, 3 enhancing. Each region lies within the one before it."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        inside = {key: (data[key] > 0).to(torch.uint8).cumprod(0) for key in self.keys}
        return {**data, **{key: regions.sum(0, keepdim=True).to(torch.uint8) for key, regions in inside.items()}}


@torch.inference_mode()
def answer(data: dict, inferer: Callable, network: nn.Module, device: torch.device, least_gain: float) -> dict:
    """The data with the logits of the network as "pred", on the grid of "image"; what takes up no gadolinium, T1Gd less
    than `least_gain` standard deviations above T1, is not enhancing whatever the network says."""
    image = data["image"]
    logits = inferer(image.as_tensor()[None].to(device), network.to(device).eval())[0].float().cpu()
    logits[2] = logits[2].where(image[2].as_tensor() - image[1].as_tensor() > least_gain, -9.0)
    return data | {"pred": MetaTensor(logits, meta=image.meta)}
