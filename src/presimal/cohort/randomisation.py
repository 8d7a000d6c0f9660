"""Domain randomisation: the same anatomy as no two scanners would show it.

Tissue maps are made once (`Cohort.tissue_maps`); contrast, texture, pose, bias field, resolution, noise
and field of view are drawn anew for every batch. A network trained on such images cannot rely on any one
contrast, and so works on contrasts that it never saw (Billot et al., SynthSeg, Med Image Anal
86:102789, 2023; Hoopes et al., SynthStrip, NeuroImage 260:119474, 2022).

Everything is drawn from one generator on the device of the maps.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .scanner import ALL_TISSUES, CONTRASTS, OUTSIDE, RESIDUAL, SIGNAL, VESSEL
from .tissue import TISSUES

BRAIN_SIGNALS = slice(TISSUES.index("cortex"), len(TISSUES))  # similar on most contrasts


@dataclass(frozen=True)
class Randomisation:
    """How much may vary. Shares are those of people; widths are in mm; the rest has no unit."""

    invented: float = 0.5  # share with a contrast that no scanner has
    jitter: float = 0.15  # relative spread of the tissue signals of real contrasts
    texture: float = 0.35  # unevenness of what lies outside the brain
    blobs: float = 0.5  # share with structures that the generator does not know
    thin: float = 0.3  # share with bone too thin in places to be seen between brain and muscle
    turn: float = 10.0  # standard deviation of a rotation about each axis, degrees
    stretch: float = 0.05  # standard deviation of the size along each axis, relative
    bend: float = 2.5  # standard deviation of a smooth displacement, mm
    bias: float = 0.35  # standard deviation of the logarithm of the receive field
    thick: float = 0.5  # share with thick slices, along any axis
    slice_mm: float = 7.0  # the thickest
    noise: float = 0.06  # standard deviation in each channel, against white matter on T1
    gamma: float = 0.25  # standard deviation of the logarithm of the exponent
    cut: float = 0.5  # share with a smaller field of view
    defaced: float = 0.1  # share with the face cut off
    stripped: float = 0.04  # share with nothing but the brain


def randomise(
    names: tuple[str, ...],
    maps: Tensor,
    spacing: float,
    generator: torch.Generator,
    contrasts: tuple[str, ...] = (),
    how: Randomisation = Randomisation(),
    targets: tuple[str, ...] = ("mask",),
) -> tuple[Tensor, Tensor]:
    """Images (N, C, X, Y, Z) and targets (N, T, X, Y, Z), mirrored left to right in half of the people.

    `names` and `maps` (N, K, X, Y, Z) uint8 are those of `Cohort.tissue_maps`, at `spacing` mm. Without
    `contrasts` there is one image per person, of a random contrast; with them, one image for each, in
    register. `targets` names maps that come back in the pose of the images, as shares in 0 to 1, zero
    where the field of view ends.
    """
    shares = maps.float() / 255
    mirrored = _chance(0.5, len(maps), generator)
    shares[mirrored] = shares[mirrored].flip(2)
    tissue = dict(zip(names, shares.unbind(1)))
    wanted = torch.stack([tissue[name] for name in targets], 1)
    if "bone" in tissue and how.thin:
        _thin_bone(tissue, spacing, how, generator)
    blobs = _blobs(tissue, spacing, how, generator)
    images = []
    for contrast in contrasts or (None,):
        signals, gain, vessel = _signals(contrast, len(maps), how, generator)
        image = _paint(tissue, signals, gain, vessel, spacing, how, generator)
        for where in blobs:
            level = _uniform((len(maps), 1, 1, 1), generator) * 1.3
            image = image * (1 - where) + where * level
        images.append(image)
    mask, seen = tissue["mask"], tissue.get("seen", torch.ones_like(tissue["mask"]))
    images, wanted, mask, seen = _posed((torch.stack(images, 1), wanted, mask[:, None], seen[:, None]), spacing, how, generator)
    images = torch.stack([_scanned(image, spacing, how, generator) for image in images.unbind(1)], 1)
    seen = _field_of_view(mask[:, 0], seen[:, 0], spacing, how, generator)[:, None]
    images = images * seen
    if how.gamma:
        top = images.flatten(1).amax(1).view(-1, 1, 1, 1, 1).clamp(min=1e-6)
        power = torch.exp(how.gamma * _normal((len(maps), images.shape[1], 1, 1, 1), generator))
        images = top * (images / top) ** power
    return images, wanted * seen


def _uniform(shape, generator):
    return torch.rand(shape, generator=generator, device=generator.device)


def _normal(shape, generator):
    return torch.randn(shape, generator=generator, device=generator.device)


def _chance(share: float, count: int, generator) -> Tensor:
    return _uniform((count,), generator) < share


def _smooth(count: int, shape, width: float, spacing: float, generator) -> Tensor:
    """Smooth fields (N, X, Y, Z) of about zero mean and unit spread, features of `width` mm."""
    coarse = [max(2, round(length * spacing / width)) for length in shape]
    field = F.interpolate(_normal((count, 1, *coarse), generator), shape, mode="trilinear")[:, 0]
    return field / 0.55  # interpolation takes about half of the variance away


def _signals(contrast: str | None, count: int, how: Randomisation, generator):
    """Signals (N, tissues) in the order of ALL_TISSUES, and the gains of residual and vessels (N,)."""
    device = generator.device
    known = torch.tensor([SIGNAL[name] for name in CONTRASTS], device=device)
    gains = torch.tensor([(RESIDUAL[name], VESSEL[name]) for name in CONTRASTS], device=device)
    if contrast is None:  # between two real ones: proton density lies between T1 and T2
        first, second = (torch.randint(len(CONTRASTS), (count,), generator=generator, device=device) for _ in "ab")
        mix = _uniform((count, 1), generator) * (_chance(0.4, count, generator)[:, None])
        signals = known[first] * (1 - mix) + known[second] * mix
        gain = gains[first] * (1 - mix) + gains[second] * mix
    else:
        index = torch.full((count,), CONTRASTS.index(contrast), device=device)
        signals, gain = known[index], gains[index]
    signals = signals * (1 + how.jitter * _normal(signals.shape, generator))
    if contrast is None:
        free = _invented(count, generator)
        invented = _chance(how.invented, count, generator)[:, None]
        signals = torch.where(invented, free, signals)
        gain = torch.where(invented, gain * _normal(gain.shape, generator), gain)
    return signals.clamp(min=0), gain[:, 0], gain[:, 1]


def _invented(count: int, generator) -> Tensor:
    """Any signal for any tissue; those of the brain resemble each other more often than not."""
    free = 1.2 * _uniform((count, len(ALL_TISSUES)), generator)
    alike = 0.35 * _normal((count, len(TISSUES) - BRAIN_SIGNALS.start), generator) * _uniform((count, 1), generator)
    free[:, BRAIN_SIGNALS] = free[:, [TISSUES.index("white")]] + alike
    free[:, ALL_TISSUES.index("air")] = 0.08 * _uniform((count,), generator)
    return free


def _paint(tissue, signals, gain, vessel, spacing, how, generator) -> Tensor:
    mask = tissue["mask"]
    count, shape = len(mask), tuple(mask.shape[1:])
    image = gain.view(-1, 1, 1, 1) * 0.24 * (tissue["residual"] - 0.5) * mask
    if "vessel" in tissue:
        strength = vessel * (0.4 + _uniform((count,), generator))
        image = image + strength.view(-1, 1, 1, 1) * tissue["vessel"]
    for k, name in enumerate(ALL_TISSUES):
        if name in tissue:
            image = image + signals[:, k].view(-1, 1, 1, 1) * tissue[name]
    if "core" in tissue:  # a tumor is never even
        inside = tissue["core"] + 0.7 * tissue["enhancing"] + 0.4 * tissue["edema"]
        uneven = _smooth(count, shape, 14.0, spacing, generator) + 0.7 * _smooth(count, shape, 6.0, spacing, generator)
        image = image * (1 + 0.25 * _uniform((count, 1, 1, 1), generator) * uneven * inside)
    image = image + 0.04 * _uniform((count, 1, 1, 1), generator) * _smooth(count, shape, 20.0, spacing, generator) * mask
    if OUTSIDE[0] in tissue:
        uneven = _smooth(count, shape, 14.0, spacing, generator) + 0.7 * _smooth(count, shape, 32.0, spacing, generator)
        amount = how.texture * _uniform((count, 1, 1, 1), generator)
        image = image * (1 + amount * uneven * (1 - mask))
    return image.clamp(min=0)


def _blobs(tissue, spacing, how, generator) -> list[Tensor]:
    """Soft shapes outside the brain (vessels, glands, teeth) and, more rarely, inside (lesions)."""
    if OUTSIDE[0] not in tissue or not how.blobs:
        return []
    mask = tissue["mask"]
    count, shape = len(mask), tuple(mask.shape[1:])
    head = (mask + sum(tissue[name] for name in OUTSIDE)).clamp(0, 1)
    outside = torch.sigmoid((_smooth(count, shape, 22.0, spacing, generator) - 1.1) / 0.12) * (head - mask).clamp(min=0)
    inside = torch.sigmoid((_smooth(count, shape, 40.0, spacing, generator) - 1.9) / 0.15) * mask
    some = [_chance(share, count, generator).float().view(-1, 1, 1, 1) for share in (how.blobs, 0.6 * how.blobs)]
    return [outside * some[0], inside * some[1]]


def _thin_bone(tissue: dict[str, Tensor], spacing: float, how: Randomisation, generator) -> None:
    """In places muscle takes the room of the bone: at 3 mm a thin skull is hardly to be seen."""
    bone = tissue["bone"]
    some = _chance(how.thin, len(bone), generator).float().view(-1, 1, 1, 1)
    where = some * torch.sigmoid((_smooth(len(bone), tuple(bone.shape[1:]), 25.0, spacing, generator) - 0.6) / 0.2)
    tissue["bone"] = bone * (1 - 0.8 * where)
    tissue["muscle"] = tissue["muscle"] + bone * 0.8 * where


def _posed(volumes: tuple[Tensor, ...], spacing: float, how: Randomisation, generator) -> list[Tensor]:
    """Volumes (N, C, X, Y, Z), all turned, stretched and bent in the same way; what comes in is 0."""
    count, shape = len(volumes[0]), tuple(volumes[0].shape[2:])
    if not (how.turn or how.stretch or how.bend):
        return list(volumes)
    angles = torch.deg2rad(how.turn * _normal((count, 3), generator))
    size = torch.exp(how.stretch * _normal((count, 3), generator))
    matrix = _rotation(angles) * size[:, None, :]
    # grid_sample counts each axis from -1 to 1, and names them in the order z, y, x.
    half = torch.tensor(shape, dtype=torch.float32, device=generator.device) / 2
    axes = [(torch.arange(n, device=generator.device) + 0.5) / n * 2 - 1 for n in shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) * half  # voxels from the middle
    points = torch.einsum("nij,xyzj->nxyzi", matrix, points)
    if how.bend:
        bend = [how.bend / spacing * _smooth(count, shape, 45.0, spacing, generator) for _ in range(3)]
        points = points + torch.stack(bend, -1)
    grid = (points / half).flip(-1)
    posed = F.grid_sample(torch.cat(volumes, 1), grid, align_corners=False)
    return list(posed.split([v.shape[1] for v in volumes], 1))


def _rotation(angles: Tensor) -> Tensor:
    """Rotations (N, 3, 3) about x, then y, then z, from angles (N, 3) in radians."""
    sine, cosine = angles.sin().unbind(1), angles.cos().unbind(1)
    turns = []
    for axis, (s, c) in enumerate(zip(sine, cosine)):
        turn = torch.eye(3, device=angles.device).repeat(len(angles), 1, 1)
        i, j = [k for k in range(3) if k != axis]
        turn[:, i, i] = turn[:, j, j] = c
        turn[:, i, j], turn[:, j, i] = -s, s
        turns.append(turn)
    return turns[2] @ turns[1] @ turns[0]


def _scanned(image: Tensor, spacing: float, how: Randomisation, generator) -> Tensor:
    """Bias field, thick slices, blur, Rician noise."""
    count, shape = len(image), tuple(image.shape[1:])
    field = _smooth(count, shape, 110.0, spacing, generator)
    image = image * torch.exp(how.bias * _uniform((count, 1, 1, 1), generator) * field)
    thick = _chance(how.thick, count, generator).tolist()
    axes = torch.randint(3, (count,), generator=generator, device=generator.device).tolist()
    widths = (spacing + (how.slice_mm - spacing) * _uniform((count,), generator)).tolist()
    blurred = _chance(0.3, count, generator).tolist()
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
    sd = how.noise * _uniform((count, 1, 1, 1), generator)
    real, imaginary = (sd * _normal(image.shape, generator) for _ in range(2))
    return torch.hypot(image + real, imaginary)


def _field_of_view(mask: Tensor, seen: Tensor, spacing: float, how: Randomisation, generator) -> Tensor:
    """1 inside the field of view, (N, X, Y, Z): cropped below, above, in front; face or head cut off."""
    count, shape = len(mask), tuple(mask.shape[1:])
    seen = (seen > 0.5).float()
    x, y, z = torch.meshgrid(*[torch.arange(n, device=mask.device) / n for n in shape], indexing="ij")
    cut = _chance(how.cut, count, generator).float().view(-1, 1)
    below, above, front = (cut * _uniform((count, 3), generator) * mask.new_tensor([0.34, 0.10, 0.16])).unbind(1)
    rare = (_uniform((count, 2), generator) < 0.35).float()
    below, above, front = (v.view(-1, 1, 1, 1) for v in (below, above * rare[:, 0], front * rare[:, 1]))
    seen = seen * (z >= below) * (z < 1 - above) * (y < 1 - front)
    # A plane in front of and below the brain that does not touch it, as defacing tools leave.
    angle = 0.3 + 0.7 * _uniform((count, 1, 1, 1), generator)
    height = (y * shape[1] * torch.cos(angle) - z * shape[2] * torch.sin(angle)) * spacing
    end = height.masked_fill(mask < 0.5, -1e4).flatten(1).amax(1).view(-1, 1, 1, 1)
    face = height > end + 4 + 16 * _uniform((count, 1, 1, 1), generator)
    defaced = _chance(how.defaced, count, generator).view(-1, 1, 1, 1)
    seen = seen * (1 - (face & defaced).float())
    only_brain = _chance(how.stripped, count, generator).view(-1, 1, 1, 1)
    return torch.where(only_brain, seen * (mask > 0.3), seen)
