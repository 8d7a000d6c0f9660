"""How the tumor network's input is scaled: a file of its own, which travels with the weights (`brainscans.bundle`)."""

from torch import Tensor


def normalize(images: Tensor, brain: Tensor) -> Tensor:
    """Images (N, C, X, Y, Z) with zero mean and unit standard deviation in the brain (N, 1, X, Y, Z), 0 outside."""
    weight = brain = brain.to(images.dtype)
    for _ in range(2):  # the second time without what lies beyond three deviations, as a few bright vessels do
        count = weight.sum((2, 3, 4), keepdim=True).clamp(min=1)
        mean = (images * weight).sum((2, 3, 4), keepdim=True) / count
        sd = (((images - mean) ** 2 * weight).sum((2, 3, 4), keepdim=True) / count).sqrt()
        weight = brain * ((images - mean).abs() < 3 * sd)
    return ((images - mean) / sd.clamp(min=1e-6) * brain).clamp(-5, 8)
