"""A U-Net (Ronneberger et al., MICCAI 2015) that a laptop can train: the finest level works at half resolution.
Sub-voxel convolution: Shi et al., CVPR 2016. Deep supervision: Dou et al., Med Image Anal 41:40, 2017."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pixelunshuffle(x: Tensor) -> Tensor:
    """2 x 2 x 2 voxels of (N, C, X, Y, Z) become one with eight times the channels, in the order of MONAI."""
    x = x.unflatten(4, (-1, 2)).unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)


def pixelshuffle(x: Tensor) -> Tensor:
    """The inverse of `pixelunshuffle`."""
    return x.unflatten(1, (-1, 2, 2, 2)).permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6).flatten(4, 5).flatten(2, 3)


def _block(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv3d(inside, outside, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.InstanceNorm3d(outside, affine=True), nn.LeakyReLU(0.01, inplace=True))


class UNet(nn.Module):
    """Volumes (N, channels, X, Y, Z) to logits (N, regions, X, Y, Z), whatever the size.

    `widths` are the feature channels per level, the first at half the resolution of the input. In training mode
    `forward` returns a list: the logits, then those of the coarser levels from fine to coarse, for deep supervision.
    `skips=False` cuts the connections from the way down to the way up. `sharp` is the number of features at full
    resolution that a last convolution joins with the input, to draw an edge voxel by voxel; 0 leaves it out."""

    def __init__(
        self, channels: int, regions: int, widths: tuple[int, ...] = (24, 48, 96), skips: bool = True, sharp: int = 0
    ):
        super().__init__()
        self.skips, self.sharp = skips, sharp
        self.arguments = {"channels": channels, "regions": regions, "widths": list(widths), "skips": skips}
        self.arguments |= {"sharp": sharp} if sharp else {}
        self.down = nn.ModuleList(
            nn.Sequential(_block(before, width, stride=1 if level == 0 else 2), _block(width, width))
            for level, (before, width) in enumerate(zip((8 * channels, *widths[:-1]), widths, strict=True))
        )
        upwards = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(below, width, 2, 2) for below, width in upwards)
        self.merge = nn.ModuleList(_block(2 * width if skips else width, width) for _, width in upwards)
        self.coarse_heads = nn.ModuleList(nn.Conv3d(width, regions, 1) for _, width in upwards)
        self.head = nn.Conv3d(widths[0], 8 * (sharp or regions), 1)
        if sharp:
            self.sharpen = nn.Sequential(_block(sharp + channels, sharp), nn.Conv3d(sharp, regions, 1))

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        size = x.shape[2:]
        missing = [-length % 2 ** len(self.down) for length in size]  # pad at the far ends, so that every level divides
        whole = F.pad(x, [p for m in missing[::-1] for p in (0, m)])
        x = pixelunshuffle(whole)
        levels = []
        for down in self.down:
            x = down(x)
            levels.append(x)
        coarse: list[Tensor] = []
        for up, merge, head, level in zip(self.up, self.merge, self.coarse_heads, levels[-2::-1], strict=True):
            x = merge(torch.cat([up(x), level], 1) if self.skips else up(x))
            if self.training:
                coarse.insert(0, head(x))
        logits = pixelshuffle(self.head(x))
        if self.sharp:
            # With few channels and many voxels a convolution on a CPU is three times faster with channels last.
            logits = self.sharpen(torch.cat([logits, whole], 1).contiguous(memory_format=torch.channels_last_3d))
        logits = logits[..., : size[0], : size[1], : size[2]]
        return [logits, *coarse] if self.training else logits
