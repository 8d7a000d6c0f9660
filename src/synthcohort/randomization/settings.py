"""How much of an image may vary."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Randomization:
    """How much may vary. Fractions are those of people; widths are in mm; the rest has no unit. 0 switches off."""

    invented: float = 0.5  # fraction with a contrast that no scanner has
    jitter: float = 0.15  # relative standard deviation of the tissue signals of real contrasts
    flat: float = 0.0  # largest loss of the contrast between gray and white matter, 0 to 1
    tumors: bool = False  # whether the parts of a tumor change places and looks
    texture: float = 0.35  # unevenness of what lies outside the brain
    blobs: float = 0.5  # fraction with structures that the generator does not know
    thin: float = 0.3  # fraction with bone too thin in places to be seen between brain and muscle
    rotation: float = 10.0  # standard deviation about each axis, degrees
    scaling: float = 0.05  # standard deviation of the size along each axis, relative
    swell: float = 0.0  # largest change of a tumor's size at its center, 0 to 0.5: 0.5 doubles it
    elastic: float = 2.5  # standard deviation of a smooth displacement, mm
    bias: float = 0.35  # standard deviation of the logarithm of the receive field
    thick: float = 0.5  # fraction with thick slices, along any axis
    slice_mm: float = 7.0  # the thickest
    blurred: float = 0.3  # fraction with a blur over three voxels
    noise: float = 0.06  # standard deviation in each channel, against white matter on T1
    gamma: float = 0.25  # standard deviation of the logarithm of the exponent
    cut: float = 0.5  # fraction with a smaller field of view
    defaced: float = 0.1  # fraction with the face cut off
    stripped: float = 0.04  # fraction with nothing but the brain
