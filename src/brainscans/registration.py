"""Scans of one person that lie on different grids, or between which the person has moved, brought together."""

from collections.abc import Iterable

import numpy as np
import SimpleITK as sitk
import torch
from nibabel.affines import voxel_sizes
from torch import Tensor

FINEST = 3.0  # mm: finer voxels are averaged first, which costs no accuracy and half of the time
LEAST_INFORMATION = 0.25  # mutual; 0.37 and more between contrasts of heads, at most 0.2 with a neck, noise or CT
TO_LPS = np.diag([-1.0, -1.0, 1.0])  # ITK counts millimeters to the left and to the back


def register(volume: Tensor, affine: np.ndarray, fixed: Tensor, fixed_affine: np.ndarray) -> Tensor:
    """A scan (X, Y, Z) of any contrast, moved rigidly onto another one of the same person, on the other's grid, its
    minimum subtracted; voxels beyond its edge get the value of its first corner. It maximizes mutual information
    (Mattes et al., IEEE Trans Med Imaging 22:120, 2003), beginning where the headers place it, or with its center of
    mass on the other's if that fits better. RuntimeError if the two have too little in common for one head."""
    moving, target = itk_image(volume, affine), itk_image(fixed, fixed_affine)
    coarse = [sitk.BinShrink(im, [max(1, int(FINEST / s + 1e-3)) for s in im.GetSpacing()]) for im in (target, moving)]
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel([0.1, 0.03], seed=1)
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([2, 0])
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 100)  # steps in mm
    method.SetOptimizerScalesFromPhysicalShift()
    of_mass = sitk.CenteredTransformInitializerFilter.MOMENTS
    centered = sitk.CenteredTransformInitializer(*coarse, sitk.Euler3DTransform(), of_mass)
    as_placed = sitk.Euler3DTransform(centered)
    as_placed.SetTranslation((0, 0, 0))
    background = float(volume[0, 0, 0] - volume.min())
    found = descend(method, coarse[0], coarse[1], (as_placed, centered))
    moved = sitk.Resample(moving, target, found, sitk.sitkLinear, background)
    if method.GetMetricValue() > -LEAST_INFORMATION:  # ITK minimizes, and so turns the sign
        raise RuntimeError("The two scans have too little in common.")
    return torch.from_numpy(sitk.GetArrayFromImage(moved).T.copy())


def descend(
    method: sitk.ImageRegistrationMethod, fixed: sitk.Image, moving: sitk.Image, starts: Iterable[sitk.Transform]
) -> sitk.Transform:
    """What a registration ends in, begun with the start that fits best; the same every time."""

    def misfit(start: sitk.Transform) -> float:
        method.SetInitialTransform(start)
        return method.MetricEvaluate(fixed, moving)

    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # of starts that do not overlap, which fit worst
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # sums in one order give the same answer every time
    try:
        method.SetInitialTransform(min(starts, key=misfit))
        return method.Execute(fixed, moving)
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def itk_image(volume: Tensor, affine: np.ndarray) -> sitk.Image:
    """A volume (X, Y, Z), its minimum subtracted, as ITK places it."""
    image, spacing = sitk.GetImageFromArray((volume - volume.min()).numpy().T), voxel_sizes(affine)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((TO_LPS @ affine[:3, 3]).tolist())
    image.SetDirection((TO_LPS @ affine[:3, :3] / spacing).ravel().tolist())
    return image
