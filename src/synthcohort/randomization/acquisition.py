"""How the head lies in the scanner, what a scanner does to an image, and where its view ends."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..fields import between, chance, noise_field, normal, per_person, uniform
from ..glioma.appearance import swollen
from ..tables import constants
from ..warping import pose_matrix
from .contrasts import Randomization

C = constants(__file__)


def pose(
    volumes: tuple[Tensor, ...], tumor: Tensor | None, spacing: float, settings: Randomization, generator: Generator
) -> list[Tensor]:
    """Volumes (N, C, X, Y, Z), turned, stretched and bent alike, `tumor` (N, X, Y, Z) swollen; 0 beyond their edge."""
    count, shape, device = len(volumes[0]), tuple(volumes[0].shape[2:]), generator.device
    if not (settings.rotation or settings.scaling or settings.elastic or settings.swell):
        return list(volumes)
    angles = torch.deg2rad(settings.rotation * normal(generator, count, 3))
    matrix = pose_matrix(angles, torch.exp(settings.scaling * normal(generator, count, 3))).to(device)
    # grid_sample counts each axis from -1 to 1, and names them in the order z, y, x.
    half = torch.tensor(shape, dtype=torch.float32, device=device) / 2
    axes = [(torch.arange(n, device=device) + 0.5) / n * 2 - 1 for n in shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) * half  # voxels from the middle
    points = torch.einsum("nij,xyzj->nxyzi", matrix, points)
    if settings.elastic:
        amount = settings.elastic / spacing
        moved = [amount * noise_field(generator, volumes[0][:, 0], C.elastic_width, spacing) for _ in range(3)]
        points = points + torch.stack(moved, -1)
    if settings.swell and tumor is not None:
        points = swollen(points, tumor, half, settings.swell, generator)
    result = F.grid_sample(torch.cat(volumes, 1), (points / half).flip(-1), align_corners=False)
    return list(result.split([volume.shape[1] for volume in volumes], 1))


def scan(image: Tensor, spacing: float, settings: Randomization, generator: Generator) -> Tensor:
    """Bias field, thick slices, blur, Rician noise: an image (N, X, Y, Z) as a scanner shows it."""
    count, shape = len(image), tuple(image.shape[1:])
    field = noise_field(generator, image, C.bias_width, spacing)
    image = image * torch.exp(settings.bias * uniform(generator, count, 1, 1, 1) * field)
    thick = chance(generator, settings.thick, count).tolist()
    axes = torch.randint(3, (count,), generator=generator, device=generator.device).tolist()
    widths = (spacing + (settings.slice_mm - spacing) * uniform(generator, count)).tolist()
    blurred = chance(generator, settings.blurred, count).tolist()
    volumes = list(image[:, None, None])
    for k, (axis, width) in enumerate(zip(axes, widths, strict=True)):
        if thick[k]:
            x, y, z = (
                max(C.fewest_slices, round(n * spacing / width)) if at == axis else n for at, n in enumerate(shape)
            )
            volumes[k] = F.interpolate(F.adaptive_avg_pool3d(volumes[k], (x, y, z)), shape, mode="trilinear")
        if blurred[k]:
            volumes[k] = F.avg_pool3d(F.pad(volumes[k], (1,) * 6, mode="replicate"), 3, 1)
    image = torch.cat(volumes)[:, 0]
    sd = settings.noise * uniform(generator, count, 1, 1, 1)
    real, imaginary = (sd * normal(generator, *image.shape) for _ in range(2))
    return torch.hypot(image + real, imaginary)


def field_of_view(mask: Tensor, seen: Tensor, spacing: float, settings: Randomization, generator: Generator) -> Tensor:
    """1 inside the field of view, (N, X, Y, Z): cropped below, above, in front; face or head cut off."""
    count, shape = len(mask), tuple(mask.shape[1:])
    _, y, z = torch.meshgrid(*[torch.arange(n, device=mask.device) / n for n in shape], indexing="ij")
    cut = chance(generator, settings.cut, count, 1) * uniform(generator, count, 3) * mask.new_tensor(C.most_cut)
    cut[:, 1:] *= chance(generator, C.also_cut, count, 2)
    below, above, front = (per_person(values) for values in cut.unbind(1))
    seen = (seen > 0.5).float() * (z >= below) * (z < 1 - above) * (y < 1 - front)
    # A plane in front of and below the brain that does not touch it, as defacing tools leave.
    angle = between(C.defacing_angle, uniform(generator, count, 1, 1, 1))
    height = (y * shape[1] * torch.cos(angle) - z * shape[2] * torch.sin(angle)) * spacing
    end = per_person(height.masked_fill(mask < 0.5, -1e4).flatten(1).amax(1))
    nearest, farthest = C.defacing_margin
    face = height > end + nearest + (farthest - nearest) * uniform(generator, count, 1, 1, 1)
    seen = seen * ~(face & chance(generator, settings.defaced, count, 1, 1, 1))
    return torch.where(chance(generator, settings.stripped, count, 1, 1, 1), seen * (mask > C.stripped_at), seen)
