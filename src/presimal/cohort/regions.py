"""Where the regions are: smooth weights in template space, on a coarse grid.

The cortical regions add up to one everywhere; the deep ones are blobs of height one. Boundaries
are a few planes and ellipsoids in MNI mm, placed by eye: enough to let each lobe age on its own.
"""

from functools import lru_cache

import torch

from .ageing import REGIONS
from .anatomy import HIGH, LOW
from .template import trilinear

STEP = 8.0  # mm; the weights are smoother than this
SHAPE = tuple(int(-(-(high - low) // STEP)) + 1 for low, high in zip(LOW, HIGH))


def _blob(points: torch.Tensor, centre: tuple, radii: tuple, mirrored: bool = True):
    x, y, z = points.unbind(-1)
    x = x.abs() if mirrored else x
    squares = [((a - c) / r) ** 2 for a, c, r in zip((x, y, z), centre, radii)]
    return torch.exp(-sum(squares))


@lru_cache(maxsize=4)
def weights(device: str) -> torch.Tensor:
    """Weights (voxels, regions) in the order of REGIONS."""
    axes = [torch.arange(n) * STEP + low for n, low in zip(SHAPE, LOW)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    x, y, z = points.unbind(-1)

    def soft(distance, edge):
        return torch.sigmoid(distance / edge)

    cerebellum = soft(-10 + 0.25 * (y + 40) - z, 3) * soft(-36 - y, 4)
    left = 1 - cerebellum
    sylvian = left * _blob(points, (40, -4, 4), (14, 30, 16))
    left = left - sylvian
    temporal = left * soft(-2 - 0.2 * y - z, 5) * soft(x.abs() - 20, 4) * soft(y + 62, 8)
    left = left - temporal
    frontal = left * soft(y + 12 + 0.25 * (z - 20), 6)
    left = left - frontal
    occipital = left * soft(-66 - y + 0.2 * (z - 10), 6)
    found = {
        "cerebellum": cerebellum, "sylvian": sylvian, "temporal": temporal, "frontal": frontal,
        "occipital": occipital, "parietal": left - occipital,
        "hippocampus": _blob(points, (27, -20, -14), (12, 22, 12)),
        "callosum": _blob(points, (0, -5, 27), (16, 46, 12), False),
        "basal ganglia": _blob(points, (13, 4, 8), (13, 22, 16)),
    }  # fmt: skip
    return torch.stack([found[name] for name in REGIONS], -1).to(device)


def spread(values: dict[str, torch.Tensor], points: torch.Tensor) -> torch.Tensor:
    """Fields (N, X, Y, Z, K) at MNI points from one value per person, region and field.

    `values[region]` is (N, K), on the device of `points`; a missing region counts as zero.
    """
    known = weights(str(points.device))
    table = sum(
        known[None, :, k, None] * values[name][:, None, :]
        for k, name in enumerate(REGIONS)
        if name in values
    )
    return trilinear(table, SHAPE, (points - points.new_tensor(LOW)) / STEP)
