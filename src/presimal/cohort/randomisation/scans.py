"""What a scanner does to an image: bias field, thick slices, blur, noise, and where its view ends."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import chance, normal, smooth, uniform
from .settings import Randomisation


def scanned(image: Tensor, spacing: float, how: Randomisation, generator) -> Tensor:
    """Bias field, thick slices, blur, Rician noise."""
    count, shape = len(image), tuple(image.shape[1:])
    field = smooth(count, shape, 110.0, spacing, generator)
    image = image * torch.exp(how.bias * uniform((count, 1, 1, 1), generator) * field)
    thick = chance(how.thick, count, generator).tolist()
    axes = torch.randint(3, (count,), generator=generator, device=generator.device).tolist()
    widths = (spacing + (how.slice_mm - spacing) * uniform((count,), generator)).tolist()
    blurred = chance(0.3, count, generator).tolist()
    done = []
    for volume, is_thick, axis, width, is_blurred in zip(image, thick, axes, widths, blurred):
        volume = volume[None, None]
        if is_thick:
            few = list(shape)
            few[axis] = max(4, round(shape[axis] * spacing / width))
            volume = F.interpolate(F.adaptive_avg_pool3d(volume, few), shape, mode="trilinear")
        if is_blurred:
            volume = F.avg_pool3d(F.pad(volume, (1,) * 6, mode="replicate"), 3, 1)
        done.append(volume[0, 0])
    image = torch.stack(done)
    sd = how.noise * uniform((count, 1, 1, 1), generator)
    real, imaginary = (sd * normal(image.shape, generator) for _ in range(2))
    return torch.hypot(image + real, imaginary)


def field_of_view(mask: Tensor, seen: Tensor, spacing: float, how: Randomisation, generator) -> Tensor:
    """1 inside the field of view, (N, X, Y, Z): cropped below, above, in front; face or head cut off."""
    count, shape = len(mask), tuple(mask.shape[1:])
    seen = (seen > 0.5).float()
    x, y, z = torch.meshgrid(*[torch.arange(n, device=mask.device) / n for n in shape], indexing="ij")
    cut = chance(how.cut, count, generator).float().view(-1, 1)
    below, above, front = (cut * uniform((count, 3), generator) * mask.new_tensor([0.34, 0.10, 0.16])).unbind(1)
    rare = (uniform((count, 2), generator) < 0.35).float()
    below, above, front = (v.view(-1, 1, 1, 1) for v in (below, above * rare[:, 0], front * rare[:, 1]))
    seen = seen * (z >= below) * (z < 1 - above) * (y < 1 - front)
    # A plane in front of and below the brain that does not touch it, as defacing tools leave.
    angle = 0.3 + 0.7 * uniform((count, 1, 1, 1), generator)
    height = (y * shape[1] * torch.cos(angle) - z * shape[2] * torch.sin(angle)) * spacing
    end = height.masked_fill(mask < 0.5, -1e4).flatten(1).amax(1).view(-1, 1, 1, 1)
    face = height > end + 4 + 16 * uniform((count, 1, 1, 1), generator)
    defaced = chance(how.defaced, count, generator).view(-1, 1, 1, 1)
    seen = seen * (1 - (face & defaced).float())
    only_brain = chance(how.stripped, count, generator).view(-1, 1, 1, 1)
    return torch.where(only_brain, seen * (mask > 0.3), seen)
