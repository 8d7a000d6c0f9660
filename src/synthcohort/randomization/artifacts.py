"""What a scanner does to an image: bias field, thick slices, blur, noise, and where its view ends."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..fields import chance, noise_field, normal, uniform
from .settings import Randomization

BIAS_WIDTH = 110.0  # mm
MOST_CUT = (0.34, 0.10, 0.16)  # of the height below and above, and of the depth in front
ALSO_CUT = 0.35  # fraction of those cut below who are cut above, and as many in front
DEFACING_MARGIN = (4.0, 20.0)  # mm between the brain and the plane at which the face is cut off


def scan(image: Tensor, spacing: float, settings: Randomization, generator: Generator) -> Tensor:
    """Bias field, thick slices, blur, Rician noise: an image (N, X, Y, Z) as a scanner shows it."""
    count, shape = len(image), tuple(image.shape[1:])
    field = noise_field(generator, count, shape, BIAS_WIDTH, spacing)
    image = image * torch.exp(settings.bias * uniform(generator, count, 1, 1, 1) * field)
    thick = chance(generator, settings.thick, count).tolist()
    axes = torch.randint(3, (count,), generator=generator, device=generator.device).tolist()
    widths = (spacing + (settings.slice_mm - spacing) * uniform(generator, count)).tolist()
    blurred = chance(generator, settings.blurred, count).tolist()
    done = []
    for volume, is_thick, axis, width, is_blurred in zip(image, thick, axes, widths, blurred, strict=True):
        one = volume[None, None]
        if is_thick:
            few = list(shape)
            few[axis] = max(4, round(shape[axis] * spacing / width))
            one = F.interpolate(F.adaptive_avg_pool3d(one, few), shape, mode="trilinear")
        if is_blurred:
            one = F.avg_pool3d(F.pad(one, (1,) * 6, mode="replicate"), 3, 1)
        done.append(one[0, 0])
    image = torch.stack(done)
    sd = settings.noise * uniform(generator, count, 1, 1, 1)
    real, imaginary = (sd * normal(generator, *image.shape) for _ in range(2))
    return torch.hypot(image + real, imaginary)


def field_of_view(mask: Tensor, seen: Tensor, spacing: float, settings: Randomization, generator: Generator) -> Tensor:
    """1 inside the field of view, (N, X, Y, Z): cropped below, above, in front; face or head cut off."""
    count, shape = len(mask), tuple(mask.shape[1:])
    seen = (seen > 0.5).float()
    x, y, z = torch.meshgrid(*[torch.arange(n, device=mask.device) / n for n in shape], indexing="ij")
    cut = chance(generator, settings.cut, count).float().view(-1, 1)
    below, above, front = (cut * uniform(generator, count, 3) * mask.new_tensor(MOST_CUT)).unbind(1)
    rare = (uniform(generator, count, 2) < ALSO_CUT).float()
    below, above, front = (v.view(-1, 1, 1, 1) for v in (below, above * rare[:, 0], front * rare[:, 1]))
    seen = seen * (z >= below) * (z < 1 - above) * (y < 1 - front)
    # A plane in front of and below the brain that does not touch it, as defacing tools leave.
    angle = 0.3 + 0.7 * uniform(generator, count, 1, 1, 1)
    height = (y * shape[1] * torch.cos(angle) - z * shape[2] * torch.sin(angle)) * spacing
    end = height.masked_fill(mask < 0.5, -1e4).flatten(1).amax(1).view(-1, 1, 1, 1)
    nearest, farthest = DEFACING_MARGIN
    face = height > end + nearest + (farthest - nearest) * uniform(generator, count, 1, 1, 1)
    defaced = chance(generator, settings.defaced, count).view(-1, 1, 1, 1)
    seen = seen * (1 - (face & defaced).float())
    only_brain = chance(generator, settings.stripped, count).view(-1, 1, 1, 1)
    return torch.where(only_brain, seen * (mask > 0.3), seen)
