"""What the generator does not know: shapes in and round the brain, bone too thin to be seen."""

import torch
from torch import Tensor

from ..scanner import OUTSIDE
from .draws import chance, smooth, uniform
from .settings import Randomisation


def blobs_of(tissue, spacing, how, generator) -> list[Tensor]:
    """Soft shapes outside the brain (vessels, glands, teeth) and, more rarely, inside (lesions)."""
    if OUTSIDE[0] not in tissue or not how.blobs:
        return []
    mask = tissue["mask"]
    count, shape = len(mask), tuple(mask.shape[1:])
    head = (mask + sum(tissue[name] for name in OUTSIDE)).clamp(0, 1)
    outside = torch.sigmoid((smooth(count, shape, 22.0, spacing, generator) - 1.1) / 0.12) * (head - mask).clamp(min=0)
    inside = torch.sigmoid((smooth(count, shape, 40.0, spacing, generator) - 1.9) / 0.15) * mask
    some = [chance(share, count, generator).float().view(-1, 1, 1, 1) for share in (how.blobs, 0.6 * how.blobs)]
    return [outside * some[0], inside * some[1]]


def thin_bone(tissue: dict[str, Tensor], spacing: float, how: Randomisation, generator) -> None:
    """In places muscle takes the room of the bone: at 3 mm a thin skull is hardly to be seen."""
    bone = tissue["bone"]
    some = chance(how.thin, len(bone), generator).float().view(-1, 1, 1, 1)
    where = some * torch.sigmoid((smooth(len(bone), tuple(bone.shape[1:]), 25.0, spacing, generator) - 0.6) / 0.2)
    tissue["bone"] = bone * (1 - 0.8 * where)
    tissue["muscle"] = tissue["muscle"] + bone * 0.8 * where
