"""Heads moved rigidly: scans of one person onto each other, and a scan to lie as heads usually lie in the scanner."""

from collections.abc import Iterable

import numpy as np
import SimpleITK as sitk
import torch
from nibabel.affines import from_matvec, voxel_sizes
from scipy.linalg import polar
from scipy.spatial.transform import Rotation
from torch import Tensor

from .posture import average_brain
from .resampling import Grid

FINEST = 3.0  # mm: finer voxels are averaged first, which costs no accuracy and half of the time
LEAST_INFORMATION = 0.25  # mutual; 0.37 and more between contrasts of heads, at most 0.2 with a neck, noise or CT
SIZES = (0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5)  # by which a scan may look too large, of which the best is the start
TO_LPS = np.diag([-1.0, -1.0, 1.0])  # ITK counts millimeters to the left and to the back
TILTS = (-30, -15, 0, 15, 30)  # degrees of nodding, of which the best is the start
NOD = 13.0  # degrees against the average brain: the mean of twenty heads that the tissue network has seen
MOST_TILT = 30.0  # degrees against that
LEAST_FIT = 0.8  # correlation with the average brain; 0.89 to 0.98 in 26 T1 of people of 19 to 96 years


def register(volume: Tensor, affine: np.ndarray, fixed: Tensor, fixed_affine: np.ndarray) -> tuple[Tensor, np.ndarray]:
    """A scan (X, Y, Z) of any contrast moved rigidly onto another one of the same person, on its grid, its minimum
    subtracted, beyond its edge its first corner's value, by mutual information (Mattes et al., IEEE Trans Med Imaging
    22:120, 2003) from where headers or centers of mass place it; and how many times too long its voxels look along each
    axis (3,), as an affine movement says. RuntimeError if the two have too little in common for one head."""
    moving, target = itk_image(volume, affine), itk_image(fixed, fixed_affine)
    coarse = [sitk.BinShrink(im, [max(1, int(FINEST / s + 1e-3)) for s in im.GetSpacing()]) for im in (target, moving)]
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel([0.1, 0.03], seed=1)
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([2, 0])
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 100)  # steps in mm
    centered = sitk.Euler3DTransform(sitk.CenteredTransformInitializer(*coarse, sitk.Euler3DTransform()))
    found = descend(method, coarse[0], coarse[1], (sitk.Euler3DTransform(center := centered.GetCenter()), centered))
    if method.GetMetricValue() > -LEAST_INFORMATION:  # ITK minimizes, and so turns the sign
        raise RuntimeError("The two scans have too little in common.")
    moved = sitk.Resample(moving, target, found, sitk.sitkLinear, float(volume[0, 0, 0] - volume.min()))
    turn, shift = _matrix(found)[:3, :3].ravel(), np.subtract(found.TransformPoint(center), center)
    grown = [sitk.AffineTransform((size * turn).tolist(), shift.tolist(), center) for size in SIZES]
    stretched = _matrix(descend(method, coarse[0], coarse[1], grown))[:3, :3]
    axes = np.linalg.solve(stretched, TO_LPS @ affine[:3, :3] / voxel_sizes(affine))
    return torch.from_numpy(sitk.GetArrayFromImage(moved).T.copy()), 1 / np.linalg.norm(axes, axis=0)


def descend(
    method: sitk.ImageRegistrationMethod, fixed: sitk.Image, moving: sitk.Image, starts: Iterable[sitk.Transform]
) -> sitk.Transform:
    """What a registration ends in, begun with the start that fits best; the same every time."""

    def misfit(start: sitk.Transform) -> float:
        method.SetInitialTransform(start)
        try:
            return method.MetricEvaluate(fixed, moving)
        except RuntimeError:  # no point of one lies in the other
            return np.inf

    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerScalesFromPhysicalShift()
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


def _matrix(linear: sitk.Transform) -> np.ndarray:
    places = np.array([linear.TransformPoint(point) for point in np.eye(4, 3, k=-1)])  # of the origin and one step each
    return from_matvec((places[1:] - places[0]).T, places[0])


def itk_image(volume: Tensor, affine: np.ndarray) -> sitk.Image:
    """A volume (X, Y, Z), its minimum subtracted, as ITK places it."""
    image, spacing = sitk.GetImageFromArray((volume - volume.min()).numpy().T), voxel_sizes(affine)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((TO_LPS @ affine[:3, 3]).tolist())
    image.SetDirection((TO_LPS @ affine[:3, :3] / spacing).ravel().tolist())
    return image


def upright(image: Tensor, grid: Grid) -> tuple[np.ndarray, float]:
    """The movement (4, 4) of RAS mm that lays a stripped T1 (X, Y, Z) on a grid straight, its middle at 0 from side to
    side, nodded by NOD as heads are in scanners; and how well it fits the average brain.

    It is the rotation within the affine movement that correlates best with the average brain, by descent from the best
    of TILTS; two scans of one head, tilted by up to 20 degrees, then lie within 3 degrees of each other."""
    fixed, place = average_brain()
    moving, target = itk_image(image, np.asarray(grid.affine)), itk_image(fixed, place)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetShrinkFactorsPerLevel([4, 3])
    method.SetSmoothingSigmasPerLevel([6, 4])
    method.SetOptimizerAsGradientDescentLineSearch(1.0, 60, 1e-5, 8)
    centered = sitk.CenteredTransformInitializer(target, moving, sitk.AffineTransform(3))

    def nodded(degrees: float) -> sitk.AffineTransform:
        start = sitk.AffineTransform(centered)
        start.Rotate(1, 2, np.radians(degrees))
        return start

    found = _matrix(descend(method, target, moving, map(nodded, TILTS)))
    turned, _ = polar(TO_LPS @ found[:3, :3] @ TO_LPS)
    nod = from_matvec(Rotation.from_euler("x", NOD, degrees=True).as_matrix())
    return nod @ np.linalg.inv(from_matvec(turned, TO_LPS @ found[:3, 3])), -method.GetMetricValue()


def degrees(movement: np.ndarray) -> float:
    """By how much a head is tilted that `movement` (4, 4) lays straight."""
    return float(np.degrees(Rotation.from_matrix(movement[:3, :3]).magnitude()))
