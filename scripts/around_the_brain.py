"""What the mask of a brain is, and what varies from head to head round it, in packed tissue maps.

For `scripts/train_skull_stripping.py`. **What the mask is**, alike for generated heads and for label maps of real ones,
and close to public masks of real heads that were looked at: tissue of the brain, with gaps that are narrower than 12 mm
closed and holes filled, and BORDER round it, less at the cerebellum, in fluid and in bone alike: on real scans
public masks end about 1 mm outside the visible edge, also in the young, whose brain touches the skull.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from synthcohort.fields import chance, noise_field, normal, soft_step, uniform
from synthcohort.tissue_maps import BRAIN, OUTSIDE

BORDER = 1.2  # mm
FOSSA_BORDER = 0.7  # mm, round the cerebellum
VAULT = -20.0  # mm above the middle of the brain, from where the vault begins
FOSSA = (-22.0, -15.0)  # mm above and in front of the middle: the cerebellum lies lower and farther back
THIN = 3.0  # mm of fluid that cortex may fill, out to the skull
CLOSED = 6.0  # mm, half the width of what is closed
INNER = 4.0  # mm below the surface, from where all is brain


def vary(
    names: tuple[str, ...],
    maps: Tensor,
    spacing: float,
    generator: Generator,
    fluid: float = 0.6,
    full: float = 0.5,
    dura: float = 0.4,
    thin: float = 0.5,
    mixed: float = 0.5,
) -> Tensor:
    """Packed maps (N, K, X, Y, Z) with other surroundings of the brain, and the mask as defined above. Each is drawn
    for a fraction of the people:

    fluid  the layer outside the brain is 0.3 to 5 mm and uneven: wide in the old. It gives room to bone, or takes it,
           over the vault only, as cisterns and the spinal canal are anatomy
    full   cortex takes the room of fluid at the surface, as in the young, where it touches the skull: in sulci of the
           vault, and everywhere where the layer outside the brain is thin
    dura   up to 3 mm next to the fluid have the signal of muscle or marrow and not that of bone
    thin   bone ends 0.5 to 6 mm from the fluid, uneven, and marrow, muscle and fat follow, as where a skull is thin or
           its marrow bright: else the mask is placed by its distance from what is bright outside
    mixed  bone and air of the skull base are mixed with what gives signal
    """
    soft = {name: maps[:, names.index(name)].float() / 255 for name in (*BRAIN, *OUTSIDE, "mask")}
    mask, each = soft["mask"], (len(maps), 1, 1, 1)
    distance = _distance(mask, spacing)
    behind, height = (_from_the_middle(mask, axis, spacing) for axis in (2, 3))
    vault = soft_step(height - VAULT, 6.0)

    thickness = 0.3 * 16 ** uniform(generator, *each) * torch.exp(0.35 * noise_field(generator, mask, 40.0, spacing))
    solid = torch.stack([soft[name] for name in OUTSIDE]).sum(0)
    outside = torch.minimum(soft["csf"], (1 - mask - solid).clamp(min=0))  # fluid outside the mask
    change = (solid + outside) * soft_step(thickness - distance, 0.5) - outside
    skull = soft["bone"] + soft["marrow"]
    varied = chance(generator, fluid, *each)
    change = torch.minimum(change * vault * varied, skull)
    soft["csf"] = soft["csf"] + change
    kept = 1 - change.clamp(min=0) / skull.clamp(min=1e-6)
    soft["bone"] = soft["bone"] * kept + (-change).clamp(min=0)
    soft["marrow"] = soft["marrow"] * kept

    amount = uniform(generator, *each).sqrt() * chance(generator, full, *each) * soft_step(distance + 5, 1.0)
    beside = F.max_pool3d((soft["bone"] + soft["marrow"])[:, None], 3, 1, 1)[:, 0] * soft_step(THIN - distance, 0.5)
    sulci = torch.minimum(soft["csf"] - outside - change, mask) * vault
    amount = amount * torch.maximum(sulci, soft["csf"] * beside).clamp(min=0)
    soft["csf"], soft["cortex"] = soft["csf"] - amount, soft["cortex"] + amount
    layer = thickness * varied
    table = layer + 0.5 * 12 ** uniform(generator, *each) * torch.exp(0.3 * noise_field(generator, mask, 30.0, spacing))
    amount = soft["bone"] * soft_step(distance - table, 0.5)
    _becomes(soft, amount * chance(generator, thin, *each), ("marrow", "muscle", "fat"), uniform(generator, 3, *each))
    amount = soft["bone"] * soft_step(layer + 3 * uniform(generator, *each) - distance, 0.5)
    _becomes(soft, amount * chance(generator, dura, *each), ("muscle", "marrow"), uniform(generator, 2, *each))

    tissue = torch.stack([soft[name] for name in BRAIN if name != "csf"]).sum(0)
    closed = torch.maximum(_closed(tissue, round(CLOSED / spacing)), mask * soft_step(-INNER - distance, 0.5))
    fossa = soft_step(FOSSA[0] - height, 4.0) * soft_step(FOSSA[1] - behind, 6.0)
    border = BORDER + (FOSSA_BORDER - BORDER) * fossa
    wider = (0.5 + (border - _distance(closed, spacing)) / spacing).clamp(0, 1)
    soft["mask"] = torch.maximum(closed, wider)

    # The skull base: mucosa, thin walls and air cells make any signal between those of the parts.
    base = soft_step(10 - height, 8.0) * soft_step(22 - distance, 3.0) * chance(generator, mixed, *each)
    patches = base * soft_step(noise_field(generator, mask, 9.0, spacing) - normal(generator, *each).abs(), 0.2)
    amount, shares = patches * uniform(generator, *each), uniform(generator, 3, *each)
    for name in ("bone", "air"):
        _becomes(soft, amount * soft[name], ("marrow", "muscle", "fat"), shares, name)

    maps = maps.clone()
    for name in (*OUTSIDE, "csf", "cortex", "mask"):
        maps[:, names.index(name)] = (soft[name].clamp(0, 1) * 255).round().byte()
    return maps


def _becomes(soft: dict[str, Tensor], amount: Tensor, names: tuple[str, ...], shares: Tensor, of: str = "bone") -> None:
    """An amount (N, X, Y, Z) of a tissue becomes others, in proportion to `shares` (names, N, 1, 1, 1); in place."""
    soft[of] = soft[of] - amount
    for name, share in zip(names, shares / shares.sum(0), strict=True):
        soft[name] = soft[name] + share * amount


def _distance(mask: Tensor, spacing: float) -> Tensor:
    """Distance in mm from the edge of soft masks (N, X, Y, Z), negative inside, up to about 9 mm.

    A straight edge blurred by a Gaussian of width s is the normal distribution of distance / s; each mean over 3 voxels
    adds 2/3 to the variance.
    """
    blurred, times = mask[:, None], round(18 / spacing**2)
    for _ in range(times):
        blurred = F.avg_pool3d(blurred, 3, 1, 1)
    return -((2 / 3 * times) ** 0.5) * spacing * torch.special.ndtri(blurred[:, 0].clamp(0.005, 0.995))


def _closed(mask: Tensor, voxels: int) -> Tensor:
    """Soft masks (N, X, Y, Z) without gaps narrower than 2 `voxels`: grown by so many and shrunk again."""
    return -_grown(-_grown(mask[:, None], voxels), voxels)[:, 0]


def _grown(mask: Tensor, voxels: int) -> Tensor:
    for step in range(voxels):  # a cube and a cross in turn make something round
        if step % 2 == 0:
            mask = F.max_pool3d(mask, 3, 1, 1)
        else:
            sides = ((3, 1, 1), (1, 3, 1), (1, 1, 3))
            mask = torch.stack([F.max_pool3d(mask, side, 1, [n // 2 for n in side]) for side in sides]).amax(0)
    return mask


def _from_the_middle(mask: Tensor, axis: int, spacing: float) -> Tensor:
    """Distance in mm along an axis from the center of each mask (N, X, Y, Z), to be broadcast over it."""
    shape = [1, 1, 1, 1]
    shape[axis] = mask.shape[axis]
    place = (torch.arange(mask.shape[axis], device=mask.device) * spacing).view(shape)
    middle = (mask * place).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1)
    return place - middle.view(-1, 1, 1, 1)
