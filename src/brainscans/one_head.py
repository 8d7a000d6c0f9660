"""Do the contrasts of one patient show one head, in one place, and each something of its own? Told by their edges,
which tissues have at the same places whatever the contrast, and by what of one image follows from another one."""

import warnings
from collections.abc import Mapping
from itertools import combinations, permutations, product

import numpy as np
from scipy import fft, ndimage

from .refusal import ScanWarning, refuse_if

FLAT = 0.1  # of the spread in the brain with its rim; 0.6 to 1 in contrasts
# Shared edges, 1/3 by chance. Two contrasts of one brain have 0.57 to 0.97 (15 patients, 53 pairs; 12 generated ones,
# 72 pairs), and of three and more each has 0.68 or more with another one; noise has at most 0.48, other people 0.46 to
# 0.59, and a copy, also through another coil or in another unit, 0.98 and more.
UNRELATED, DOUBTFUL, SURE, ALIKE = 0.5, (0.55, 0.6), 0.67, 0.975  # doubtful of two contrasts, and of more
ONE_HEAD = 0.58  # when moved or turned: other people have at most 0.56 in the best place
REACH = 10  # voxels by which images are moved against each other
APART, BETTER = 1.5, 0.04  # voxels, and how much more is shared then: of those pairs one gains 0.02, by one voxel
TURNED = 0.06  # how much more an image shares that is turned: of those pairs all share 0.1 less
# The part of one image that follows from another one: 0.12 to 0.89 in those pairs, but 0.37 to 0.946 of T1 and T1Gd,
# the most where nothing takes up gadolinium. Of copies that are smoother, sharper, coarser, clipped, noisy, moved by
# half a voxel or have another curve it is 0.93 to 1, mostly 0.96 and more, and of such copies of T1 0.985 and more.
# T1Gd that takes up nothing is T1 measured again, which only a copy without a change, SAME, may not be.
COPIED, AGAIN, SAME = 0.94, 0.965, 0.999
NO_MORE = "T1Gd shows no more than T1: if it is T1 once more, what enhances cannot be told"
OUTLINE = 0.75  # from how deep in the brain a voxel lies: 0.05 to 0.45 of contrasts, 0.93 and more of smoothed masks
BLURS = (0.7, 1.0, 1.5, 2.5, 4.0)  # voxels
KNOTS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)  # quantiles between which a curve is straight
UNIQUE = [(k, m) for k in range(3) for m in range(k, 3)]  # of a symmetric matrix


def check_one_head(images: Mapping[str, np.ndarray], inside: np.ndarray, spacing: float, name: str) -> None:
    """Refuse normalized images (X, Y, Z) by their titles, in voxels of `spacing` mm, if one shows nothing in the mask
    `inside`, or follows from its outline or from another image; if one is turned; or if some show something else than
    the others do, as noise or another person; warn where this is only likely."""
    core, deep = ndimage.binary_erosion(inside, iterations=3), ndimage.distance_transform_edt(inside)
    scan = "give the scan itself, and no mask"
    flat = [title for title, image in images.items() if image[core].std() < FLAT]
    refuse_if(flat, name, "{} is the same all over the brain", scan)
    drawn = [title for title, image in images.items() if follows(deep, image, core)[0] > OUTLINE]
    refuse_if(drawn, name, "{} changes with the place in the brain alone, as a smooth mask, and shows no tissue", scan)
    edges = {title: _edges(image, core) for title, image in images.items()}
    pairs = {(one, other): _shared(edges[one], edges[other]) for one, other in combinations(images, 2)}
    here = {pair: float(alike[REACH, REACH, REACH]) for pair, alike in pairs.items()}
    for (one, other), alike in here.items():
        again = (one, other) == ("T1", "T1Gd")
        follow = max(follows(images[a], images[b], core)[0] for a, b in permutations((one, other)))
        same = follow > SAME if again else follow > COPIED or alike > ALIKE
        refuse_if(same, name, f"{other} is {one} once more, changed", "give each its own scan")
        if again and alike > ALIKE and follow <= AGAIN:  # as through another coil; three patients have at most 0.93
            warnings.warn(f"{name}: {NO_MORE}", ScanWarning, stacklevel=2)
    for title in images:  # wherever it lies
        own = {one if one != title else other: alike for (one, other), alike in pairs.items() if title in (one, other)}
        best, other = max(((float(alike.max()), key) for key, alike in own.items()), default=(1.0, ""))
        turned = best < SURE and _turned(images[title], edges[other], core) > max(best + TURNED, ONE_HEAD)
        said = f"{title} and {other} show one head, turned or mirrored against each other"
        refuse_if(turned, name, said, "see that the orientation in both headers is right")
    for (one, other), moved in pairs.items():
        shift = float(np.linalg.norm(np.array(np.unravel_index(moved.argmax(), moved.shape)) - REACH))
        apart = shift > APART and moved.max() > max(here[one, other] + BETTER, ONE_HEAD)
        said = f"{one} and {other} lie {shift * spacing:.0f} mm apart, though not by their headers"
        refuse_if(apart, name, said, "bring them onto each other first")
    # How much each shares with one of the rest; and, of four, two with the other two, which may be of another head.
    groups = {title: {title} for title in images}
    groups |= {f"the pair of {a} and {b}": {a, b} for a, b in list(pairs)[:3] if len(images) == 4}
    across = {key: [a for pair, a in here.items() if len(group & {*pair}) == 1] for key, group in groups.items()}
    most = {key: max(alike, default=1.0) for key, alike in across.items()}
    alone = [key for key, alike in most.items() if alike < UNRELATED]
    said = " and ".join(images) + " show different things" if len(images) == 2 else "{} shows what no other one does"
    refuse_if(alone, name, said, "see that all are scans of the same head, in the same place, and none is noise")
    if odd := [key for key, alike in most.items() if alike < DOUBTFUL[len(images) > 2]]:
        said = f"{name}: {' and '.join(odd)} may show another head or another place than the rest: look at them"
        warnings.warn(said, ScanWarning, stacklevel=2)


def follows(one: np.ndarray, other: np.ndarray, core: np.ndarray) -> tuple[float, np.ndarray]:
    """The part of the variance of `other` in a mask, all (X, Y, Z), that follows from `one`, blurred, moved a
    little and through a curve, and what is left (N,), in a third of the voxels, noise smoothed away."""
    blurred = [ndimage.gaussian_filter(one.astype(np.float32), width)[core][::3] for width in BLURS]
    plain = ndimage.gaussian_filter(one.astype(np.float32), 1.0)
    values = plain[core][::3]
    bends = [np.maximum(values - knot, 0) for knot in np.quantile(values, KNOTS)]
    terms = np.stack([np.ones_like(values), *blurred, *bends, *(s[core][::3] for s in np.gradient(plain))], 1)
    wanted = ndimage.gaussian_filter(other.astype(np.float32), 1.0)[core][::3]
    rest = wanted - terms @ np.linalg.lstsq(terms.astype(float), wanted.astype(float), rcond=None)[0]
    return float(1 - rest.var() / (wanted.var() + 1e-12)), rest


def _edges(image: np.ndarray, core: np.ndarray) -> list[np.ndarray]:
    """Spectra of edges in a mask (X, Y, Z), in a cube: of their lengths, and of products of components over these."""
    slopes = np.stack(np.gradient(ndimage.gaussian_filter(image, 1.0)))[:, core]
    length = np.linalg.norm(slopes, axis=0)
    voxels = np.argwhere(core)
    side = fft.next_fast_len(int(np.ptp(voxels, axis=0).max()) + 1 + REACH, real=True)
    places = tuple((voxels - (voxels.min(0) + voxels.max(0) + 1 - side) // 2).T)

    def spectrum(values: np.ndarray) -> np.ndarray:
        cube = np.zeros((side,) * 3, np.float32)
        cube[places] = values
        return fft.rfftn(cube)

    return list(map(spectrum, [length, *(slopes[k] * slopes[m] / (length + 1e-12) for k, m in UNIQUE)]))


def _shared(one: list[np.ndarray], other: list[np.ndarray]) -> np.ndarray:
    """The part of the edges of two images that they share, 0 to 1, by the shift in voxels (-REACH to REACH, along each
    axis) of the first one (Haber and Modersitzki, Methods Inf Med 46:292, 2007)."""
    products = [a * np.conj(b) for a, b in zip(one, other, strict=True)]
    same = sum((1 + (k != m)) * spectrum for (k, m), spectrum in zip(UNIQUE, products[1:], strict=True))
    near, sides = np.ix_(*[np.arange(-REACH, REACH + 1)] * 3), [len(one[0])] * 3
    parts, all_of_it = (fft.irfftn(spectrum, sides)[near] for spectrum in (same, products[0]))
    return parts / (all_of_it + 1e-3 * all_of_it.max() + 1e-12)


def _turned(image: np.ndarray, other: list[np.ndarray], core: np.ndarray) -> float:
    """The most that an image (X, Y, Z) shares with the edges of another one, axes reversed or exchanged."""
    n = max(image.shape)
    around = [((n - length) // 2, n - length - (n - length) // 2) for length in image.shape]
    cube, mask, best = np.pad(image, around), np.pad(core, around), 0.0
    for axes, steps in list(product(permutations(range(3)), product((1, -1), repeat=3)))[1:]:
        turn = tuple(slice(None, None, step) for step in steps)
        best = max(best, float(_shared(_edges(cube.transpose(axes)[turn], mask.transpose(axes)[turn]), other).max()))
    return best
