"""Five scanners: how strong their bias field is, how sharp and how noisy their images are, what they do to contrast."""

from dataclasses import dataclass

from torch import Tensor

from ..fields import normal, stream
from ..tissue_maps import TISSUES


@dataclass(frozen=True)
class Site:
    """One scanner. The values span what clinical scanners at 1.5 and 3 T show; by eye."""

    name: str
    bias: float  # standard deviation of the logarithm of the receive field
    blur: float  # mm, full width of the in-plane point spread
    slice_mm: float  # thickness of the slices (along z)
    noise: float  # standard deviation in each channel, against white matter on T1
    contrast: float = 0.06  # relative standard deviation of its tissue signals


SITES = (
    Site("harbor", bias=0.08, blur=1.0, slice_mm=1.0, noise=0.012),
    Site("hill", bias=0.12, blur=1.2, slice_mm=1.2, noise=0.020),
    Site("river", bias=0.16, blur=1.2, slice_mm=4.0, noise=0.026),
    Site("coast", bias=0.10, blur=2.0, slice_mm=2.0, noise=0.016),
    Site("forest", bias=0.20, blur=1.0, slice_mm=6.0, noise=0.022),
)


def site_gain(site: int, contrast: str) -> Tensor:
    """Factors (tissues,) on the tissue signals of one site, always the same, in the order of TISSUES."""
    return 1 + SITES[site].contrast * normal(stream(0, "site", site, contrast), len(TISSUES))
