"""Where the regions are: smooth weights in template space, on a coarse grid.

The cortical regions add up to one everywhere; the deep ones are blobs of height one. Boundaries are a few planes and
ellipsoids in MNI mm, placed by eye beside the template: enough to let each lobe age on its own.
"""

from functools import lru_cache

import torch
from torch import Tensor

from ..fields import soft_step
from ..grid import trilinear
from ..template import HIGH, LOW
from .aging import REGIONS

STEP = 8.0  # mm; the weights are smoother than this
_NX, _NY, _NZ = (int(-(-(high - low) // STEP)) + 1 for low, high in zip(LOW, HIGH, strict=True))


def _blob(points: Tensor, center: tuple[float, ...], radii: tuple[float, ...], mirrored: bool = True) -> Tensor:
    x, y, z = points.unbind(-1)
    x = x.abs() if mirrored else x
    squares = [((a - c) / r) ** 2 for a, c, r in zip((x, y, z), center, radii, strict=True)]
    return torch.exp(-(squares[0] + squares[1] + squares[2]))


@lru_cache(maxsize=4)
def region_weights(device: str) -> Tensor:
    """Weights (voxels, regions) in the order of REGIONS."""
    axes = [torch.arange(n) * STEP + low for n, low in zip((_NX, _NY, _NZ), LOW, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    x, y, z = points.unbind(-1)

    cerebellum = soft_step(-10 + 0.25 * (y + 40) - z, 3) * soft_step(-36 - y, 4)
    left = 1 - cerebellum
    sylvian = left * _blob(points, (40, -4, 4), (14, 30, 16))
    left = left - sylvian
    temporal = left * soft_step(-2 - 0.2 * y - z, 5) * soft_step(x.abs() - 20, 4) * soft_step(y + 62, 8)
    left = left - temporal
    frontal = left * soft_step(y + 12 + 0.25 * (z - 20), 6)
    left = left - frontal
    occipital = left * soft_step(-66 - y + 0.2 * (z - 10), 6)
    found = {
        "cerebellum": cerebellum,
        "sylvian": sylvian,
        "temporal": temporal,
        "frontal": frontal,
        "occipital": occipital,
        "parietal": left - occipital,
        "hippocampus": _blob(points, (27, -20, -14), (12, 22, 12)),
        "callosum": _blob(points, (0, -5, 27), (16, 46, 12), mirrored=False),
        "basal ganglia": _blob(points, (13, 4, 8), (13, 22, 16)),
    }
    return torch.stack([found[name] for name in REGIONS], -1).to(device)


def over_regions(values: Tensor, points: Tensor) -> Tensor:
    """Fields (N, X, Y, Z, K) at MNI points (N, X, Y, Z, 3) from K values per person and region.

    `values` is (N, regions, K), in the order of REGIONS, on the device of `points`.
    """
    weights = region_weights(str(points.device))
    table = weights[None, :, 0, None] * values[:, 0][:, None, :]
    for k in range(1, len(REGIONS)):
        table = table + weights[None, :, k, None] * values[:, k][:, None, :]
    return trilinear(table, (_NX, _NY, _NZ), (points - points.new_tensor(LOW)) / STEP)
