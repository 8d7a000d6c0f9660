"""The contrasts of one patient, four or fewer, with or without skull: as images on one grid, and the brain in them."""

import warnings
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations, product
from pathlib import Path

import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage
from torch import Tensor

from synthcohort import MSD_CONTRASTS
from synthcohort.storage import DataError

from .one_head import AGAIN, NO_MORE, follows
from .posture import UNLIKE, is_placed
from .reading import read_image
from .refusal import ScanWarning, refuse, refuse_if
from .scans import Device, File, faces, largest_piece, read_scan, rise_inward
from .skull_stripping import LARGEST_BRAIN, LIKE_A_BALL, find_brain, own_reflection

TITLES = dict(zip(MSD_CONTRASTS, ("FLAIR", "T1", "T1Gd", "T2"), strict=True))  # of the channels, in their order
ORDER = ", ".join(TITLES.values())
LEAST_BRAIN = 400  # ml of what may be a whole brain
STRETCHED = 0.16  # logarithm, of one contrast beside another one; at most 0.06 in 41 pairs of 14 patients
MARGIN = 0.3  # of the fit to another order: refuses none of seven real gliomas in the right order
COVERED = 0.95  # of the brain; at least 0.997 in those ten patients
# Usual limits of three measures: by how many standard deviations it is brighter inward; in widths of the middle half,
# how far the darkest 2 % lie below it (fluid), and the brightest above it, less twice the first. Beside: of 26 people.
ANY = (-np.inf, np.inf)
LOOKS = {
    "FLAIR": ((-np.inf, 0.6), (1.25, np.inf), (0.85, np.inf)),  # -.8 to .45; 1.4 to 4.3; 1.0 and more
    "T1": ((0.1, np.inf), ANY, (-np.inf, 0.85)),  # .25 to .95; 1.15 to 3.1; at most .7
    "T1Gd": ((0.1, np.inf), ANY, (-np.inf, 2.2)),  # .25 to .95; 1.15 to 3.0; at most 1.65
    "T2": ((-np.inf, 0.45), (0.0, 1.28), ANY),  # -.65 to .25; .65 to 1.1, but for one with dark fluid
}
# Two contrasts under each other's names. T1 and T1Gd are brighter inward than FLAIR and T2 of the same patient by .3 to
# 1.5. What is much brighter on T2 than on FLAIR (fluid), or on T1Gd than on T1 (vessels), is so by a larger factor than
# what is darker, whose logarithm is .04 to 1.5 in these people and -.1 to 1.3 in generated ones.
LESS_INWARD, LESS_FACTOR, MUCH = (-0.25, 0.0), (-0.6, -0.25), 0.99  # refused below, said below; a quantile
# Whatever the tumor, vessels take up gadolinium. Where T1Gd follows from T1 ALMOST, what it has more must exceed what
# it has less by so large a factor, as a logarithm: 0.5 and more in patients, at most 0.08 of T1 with noise.
ALMOST, LEAST_UPTAKE, UPTAKE = 0.8, 0.25, 0.999  # the last one is a quantile


def read_contrasts(scans: File | Sequence[File] | Mapping[str, File]) -> tuple[Tensor, np.ndarray, Path]:
    """Images (4, X, Y, Z) in the order of TITLES, 0 where one is left out, on the grid of the scan with the finest
    voxels; the affine of that scan, voxel to RAS mm, and its file. `scans` are four files in this order, one 4-D file,
    or files by the keys of TITLES. What lies on another grid is registered. DataError for what is no such set."""
    files = [scans] if isinstance(scans, (str, Path)) else list(scans.values() if isinstance(scans, Mapping) else scans)
    if files and (isinstance(scans, Mapping) or len(files) == len(TITLES)):
        read = [(*read_scan(file), Path(file)) for file in files]
    elif len(files) == 1:
        values, affine = read_image(files[0], len(TITLES))
        volumes = torch.from_numpy(np.moveaxis(values, -1, 0).astype(np.float32))
        read = [(volume, affine, Path(files[0])) for volume in volumes]
    else:
        raise DataError(f"{len(files)} files were given: give {ORDER} in this order, one 4-D file, or some by name.")
    for a, b in combinations(read, 2):
        if a[0].shape == b[0].shape and torch.equal(a[0], b[0]):
            refuse(a[2], "is given for two contrasts, or holds the voxels of another one", "give each its own scan")
    finest, affine, file = min(read, key=lambda scan: round(abs(np.linalg.det(scan[1][:3, :3])), 3))
    images = torch.zeros(len(TITLES), *finest.shape)
    corners = list(product(*((0, length - 1) for length in finest.shape)))
    for key, (volume, own, other) in zip(scans if isinstance(scans, Mapping) else TITLES, read, strict=True):
        near = np.allclose(apply_affine(own, corners), apply_affine(affine, corners), atol=0.5)  # mm
        if volume.shape != finest.shape or not near:
            from .registration import register  # with SimpleITK, which takes 90 MB

            try:
                volume, factors = register(volume, own, finest, affine)
            except RuntimeError:
                refuse(other, f"cannot be registered to {file}", "see that both show one head, in one size")
            most = max(factors.tolist(), key=lambda factor: abs(np.log(factor)))
            said = f"its voxel size seems wrong by a factor of about {most:.2f}, if that of {file} is right"
            refuse_if(abs(np.log(most)) > STRETCHED, other, said, "correct it, or see that both show one head")
            warnings.warn(f"{other} lies elsewhere than {file}: moved onto its grid", ScanWarning, stacklevel=2)
        images[list(TITLES).index(key)] = volume
    return images, affine, file


def brain_of(images: Tensor, affine: np.ndarray, name: str, device: Device = None) -> tuple[Tensor, Tensor]:
    """Images (4, X, Y, Z) with a background of 0, and the brain (X, Y, Z): what differs from the background anywhere,
    or what `presimal strip` finds where a scan has its skull. DataError, with `name`, for none; warns of an odd one."""
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    around = faces(images)
    background = around.median(1).values.view(-1, 1, 1, 1)
    # A stripped scan has a constant background; one that is not constant is noise, seen on the faces too.
    noise = 10 * (around - background.flatten(1)).abs().median(1).values
    there = images - background
    limits = torch.maximum(1e-3 * there.flatten(1).norm(torch.inf, 1), noise)
    differs = torch.stack([image.abs() > limit for image, limit in zip(there, limits, strict=True)])
    inside = differs.any(0).numpy()
    if (ml := inside.sum() * voxel_ml) > LARGEST_BRAIN:
        whole = [k for k in (1, 2, 0, 3) if differs[k].sum() * voxel_ml > LARGEST_BRAIN]  # T1 first
        refuse_if(not whole, name, f"{ml:.0f} ml differ from the background", "take off the skull, by 'presimal strip'")
        warnings.warn(f"{name} has its skull, which is taken off", ScanWarning, stacklevel=2)
        try:
            inside = find_brain(images[whole[0]], affine, device=device).mask
        except DataError as problem:
            raise DataError(f"{name}: {problem}") from None
    else:
        inside = largest_piece(ndimage.binary_opening(ndimage.binary_fill_holes(inside)))
        ml, whole_brain = inside.sum() * voxel_ml, "give a whole brain, and see that the voxel size is right"
        refuse_if(ml < LEAST_BRAIN, name, f"holds {ml:.0f} ml of brain", whole_brain)
        said = "shows something without top and bottom, like a ball"
        refuse_if(own_reflection(inside) > LIKE_A_BALL, name, said, "give scans of a head")
    if not is_placed(inside, affine):
        warnings.warn(f"{name}: {UNLIKE}", ScanWarning, stacklevel=2)
    return there, torch.from_numpy(inside)


def check_names(
    images: Tensor, inside: Tensor, healthy: np.ndarray, given: list[int], spacing: float, name: str
) -> None:
    """Refuse normalized images (4, X, Y, Z) in voxels of `spacing` mm, of which those `given` were, if two have each
    other's name, by where they are bright `inside` the brain; warn if it is likely, or one is odd where `healthy`."""
    titles, core = list(TITLES.values()), ndimage.binary_erosion(inside, iterations=2)
    if not (core & healthy).any():
        return
    values = {k: images[k].numpy()[core] for k in given}
    z = {k: (one - one.mean()) / (one.std() + 1e-6) for k, one in values.items()}
    inward = {k: rise_inward(images[k].numpy(), inside.numpy(), spacing) for k in given}
    pairs = [(one, other) for one, other in product((1, 2), (0, 3)) if {one, other} <= {*given}]
    found = [(one, other, inward[one] - inward[other], LESS_INWARD) for one, other in pairs]
    again, no_uptake = _once_more(images[1].numpy(), images[2].numpy(), core) if {1, 2} <= {*given} else (False, False)
    for less, more in ((0, 3), (1, 2)):
        if {less, more} <= {*given} and not (again and more == 2):  # what one has more than its copy says nothing
            up, down = (np.quantile(sign * (z[more] - z[less]), MUCH).clip(1e-6) for sign in (1, -1))
            found.append((less, more, np.log(up / down), LESS_FACTOR))
    for one, other, evidence, (refused, said) in found:
        both = f"{titles[one]} and {titles[other]}"
        refuse_if(evidence < refused, name, f"{both} look exchanged", "give each under its own name")
        if evidence < said:
            warnings.warn(f"{name}: {both} may be exchanged: look at them", ScanWarning, stacklevel=2)
    odd = [NO_MORE] * (again or no_uptake)
    for k, rise in inward.items():
        dark, first, middle, third, bright = np.quantile(values[k][healthy[core]], (0.02, 0.25, 0.5, 0.75, 0.98))
        width = third - first + 1e-6
        looks = rise, (middle - dark) / width, (bright - middle) / width - 2 * rise
        usual = all(low <= look <= high for look, (low, high) in zip(looks, LOOKS[titles[k]], strict=True))
        odd += [f"{titles[k]} does not look like one: is it what it is called?"] * bool(rise and not usual)
    for likely in odd:
        warnings.warn(f"{name}: {likely}", ScanWarning, stacklevel=2)


def _once_more(t1: np.ndarray, t1gd: np.ndarray, core: np.ndarray) -> tuple[bool, bool]:
    """Does T1Gd follow from T1, or T1 from it; and if almost, is there no uptake in what does not?"""
    (part, rest), (reverse, _) = follows(t1, t1gd, core), follows(t1gd, t1, core)
    up, down = (np.quantile(sign * rest, UPTAKE).clip(1e-6) for sign in (1, -1))
    return max(part, reverse) > AGAIN, part > ALMOST and bool(np.log(up / down) < LEAST_UPTAKE)


def check_order(images: Tensor, healthy: Tensor, name: str) -> None:
    """Refuse images (4, X, Y, Z) whose order in the brain outside the tumor (X, Y, Z) fits another one clearly better.
    T1 and T1Gd are most alike, then FLAIR; T2 shows fluid bright; vessels are brighter on T1Gd than on T1."""
    values = images[:, healthy][:, :: max(1, int(healthy.sum()) // 100_000)].numpy()
    alike = np.corrcoef(values)
    z = (values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)
    exceeds = np.quantile(z[:, None] - z[None], 0.997, axis=2) + 1e-6

    def fit(flair: int, t1: int, t1gd: int, t2: int) -> float:
        score = alike[t1, t1gd] + 0.5 * (alike[flair, t1] + alike[flair, t1gd]) - alike[t1, t2] - alike[t1gd, t2]
        return float(score + 0.3 * np.tanh(np.log(exceeds[t1gd, t1] / exceeds[t1, t1gd])))

    best = max(permutations(range(4)), key=lambda order: fit(*order))
    if fit(*best) > fit(0, 1, 2, 3) + MARGIN:
        likely = ", ".join(list(TITLES.values())[best.index(given)] for given in range(4))
        refuse(name, f"the contrasts look like {likely}", f"give them in the order {ORDER}")
