"""What varies from head to head round the brain, in packed tissue maps: the layer of fluid, and the base of the skull.

For `scripts/train_skull_stripping.py`; the mask stays what it is, so that a network learns not to go by the skull.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from synthcohort.fields import chance, noise_field, normal, soft_step, uniform
from synthcohort.tissue_maps import OUTSIDE


def vary(
    names: tuple[str, ...], maps: Tensor, spacing: float, generator: Generator, fluid: float = 0.6, mixed: float = 0.5
) -> Tensor:
    """Packed maps (N, K, X, Y, Z) with another layer of fluid outside the brain in a fraction `fluid` of the people,
    and with bone and air of the skull base mixed with what gives signal in a fraction `mixed`; the mask stays.

    The layer is 0.2 to 5 mm and uneven: thin in the young, where the cortex touches the skull, wide in the old. It
    gives room to bone, or takes it, over the vault only, as cisterns and the spinal canal are anatomy.
    """
    soft = {name: maps[:, names.index(name)].float() / 255 for name in (*OUTSIDE, "csf", "mask")}
    mask, each = soft["mask"], (len(maps), 1, 1, 1)
    # Distance from the mask, mm: a straight edge blurred by a Gaussian of width s is the normal distribution of d / s.
    blurred = F.avg_pool3d(F.avg_pool3d(mask[:, None], 3, 1, 1), 3, 1, 1)[:, 0]
    distance = -((4 / 3) ** 0.5) * spacing * torch.special.ndtri(blurred.clamp(0.005, 0.995))
    z = torch.arange(mask.shape[3], device=mask.device) * spacing
    height = z - (mask.sum((1, 2)) @ z / mask.sum((1, 2, 3)).clamp(min=1)).view(each)  # mm above the brain's middle
    thickness = 0.2 * 25 ** uniform(generator, *each) * torch.exp(0.35 * noise_field(generator, mask, 40.0, spacing))
    vault = soft_step(height + 20, 6.0) * chance(generator, fluid, *each)
    solid = torch.stack([soft[name] for name in OUTSIDE]).sum(0)
    outside = torch.minimum(soft["csf"], (1 - mask - solid).clamp(min=0))  # fluid outside the mask
    change = vault * ((solid + outside) * soft_step(thickness - distance, 0.5) - outside)
    change = change.clamp(max=0) + torch.minimum(change.clamp(min=0), soft["bone"] + soft["marrow"])
    soft["csf"] = soft["csf"] + change
    kept = 1 - change.clamp(min=0) / (soft["bone"] + soft["marrow"]).clamp(min=1e-6)
    soft["bone"] = soft["bone"] * kept + (-change).clamp(min=0)
    soft["marrow"] = soft["marrow"] * kept
    # The skull base: mucosa, thin walls and air cells make any signal between those of the parts.
    base = soft_step(10 - height, 8.0) * soft_step(22 - distance, 3.0) * chance(generator, mixed, *each)
    patches = base * soft_step(noise_field(generator, mask, 9.0, spacing) - normal(generator, *each).abs(), 0.2)
    amount = patches * uniform(generator, *each)
    replaced = amount * (soft["bone"] + soft["air"])
    shares = uniform(generator, 3, *each)
    for name in ("bone", "air"):
        soft[name] = soft[name] * (1 - amount)
    for name, share in zip(("marrow", "muscle", "fat"), shares / shares.sum(0), strict=True):
        soft[name] = soft[name] + replaced * share
    maps = maps.clone()
    for name in (*OUTSIDE, "csf"):
        maps[:, names.index(name)] = (soft[name].clamp(0, 1) * 255).round().byte()
    return maps
