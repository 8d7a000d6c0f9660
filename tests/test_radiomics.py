"""Features of regions against closed forms, and against the values agreed on for the IBSI's phantom."""

import math

import numpy as np
import pytest
from scipy import stats
from skimage.feature import graycomatrix

from presimal import radiomics
from synthcohort.storage import DataError

# The digital phantom of the IBSI (Zwanenburg et al., arXiv 1612.07003): voxels of 2 mm, 0 outside the region.
PHANTOM = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ]
)
# Feature, reference value, tolerance (half of the last digit given where the IBSI states none).
AGREED = [
    ("volume", 0.592, 0.004), ("mesh_volume", 0.556, 0.004), ("surface_area", 388, 3),
    ("surface_to_volume", 0.698, 0.004), ("sphericity", 0.843, 0.005), ("max_diameter", 13.1, 0.1),
    ("major_axis", 11.4, 0.1), ("minor_axis", 9.31, 0.06), ("least_axis", 8.54, 0.05),
    ("elongation", 0.816, 0.005), ("flatness", 0.749, 0.005),
    ("mean", 2.15, 0.005), ("variance", 3.05, 0.005), ("skewness", 1.08, 0.005),
    ("kurtosis", -0.355, 0.0005), ("median", 1, 0), ("p10", 1, 0), ("p90", 4, 0), ("minimum", 1, 0),
    ("maximum", 6, 0), ("interquartile_range", 3, 0), ("mean_absolute_deviation", 1.55, 0.005),
    ("energy", 567, 0.5), ("root_mean_square", 2.77, 0.005),
    ("entropy", 1.27, 0.005), ("uniformity", 0.512, 0.0005), ("joint_maximum", 0.509, 0.0005),
    ("joint_average", 2.15, 0.005), ("joint_variance", 3.13, 0.005), ("joint_entropy", 2.57, 0.005),
    ("angular_second_moment", 0.291, 0.0005), ("contrast", 5.12, 0.005), ("dissimilarity", 1.38, 0.005),
    ("inverse_difference", 0.688, 0.0005), ("inverse_difference_moment", 0.631, 0.0005),
    ("correlation", 0.183, 0.0005), ("cluster_shade", 17.4, 0.05),
]  # fmt: skip


@pytest.fixture(scope="module")
def of_phantom():
    # Six bins over 1 to 6 leave the gray levels as they are.
    return radiomics.features(PHANTOM, PHANTOM > 0, 2.0, levels=6)


@pytest.mark.parametrize("name, value, tolerance", AGREED)
def test_agrees_with_the_reference_values_of_the_ibsi(of_phantom, name, value, tolerance):
    assert of_phantom[name] == pytest.approx(value, abs=tolerance + 1e-9)


def test_every_feature_has_a_reference_value(of_phantom):
    assert set(of_phantom) == {name for name, _, _ in AGREED}
    assert tuple(of_phantom) == radiomics.SHAPE + radiomics.INTENSITY + radiomics.TEXTURE


def ball(radius_mm, spacing):
    axes = [np.arange(-radius_mm - 2 * s, radius_mm + 2 * s, s) for s in spacing]
    return sum(a**2 for a in np.meshgrid(*axes, indexing="ij")) < radius_mm**2


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 1.4)])
def test_a_ball_has_the_volume_axes_and_diameter_of_a_ball(spacing):
    found = radiomics.shape(ball(12.0, spacing), spacing)
    assert found["volume"] == pytest.approx(4 / 3 * math.pi * 1.2**3, rel=0.02)
    assert found["mesh_volume"] == pytest.approx(found["volume"], rel=0.02)
    assert found["max_diameter"] == pytest.approx(24, abs=1.5)
    # A ball's second moment per axis is r²/5, so 4 sqrt(r²/5).
    assert found["major_axis"] == pytest.approx(4 * 12 / math.sqrt(5), rel=0.01)
    assert found["flatness"] == pytest.approx(1, abs=0.02)
    # The steps of the voxels add about a tenth of surface, whatever their size.
    assert 0.88 < found["sphericity"] < 0.97
    assert found["surface_area"] == pytest.approx(4 * math.pi * 144, rel=0.15)


def test_a_box_has_the_moments_of_a_box():
    mask = np.zeros((30, 30, 30))
    mask[4:24, 5:15, 6:11] = 1  # 20 x 10 x 5 voxels
    found = radiomics.shape(mask, (1, 1, 2))
    assert found["volume"] == pytest.approx(2.0)
    # n voxels d mm apart in a row: variance d²(n² - 1)/12.
    unbiased = 1000 / 999  # the IBSI's values are of the variance with n - 1
    lengths = [4 * math.sqrt(unbiased * d**2 * (n**2 - 1) / 12) for n, d in ((20, 1), (10, 1), (5, 2))]
    axes = [found["major_axis"], found["minor_axis"], found["least_axis"]]
    assert axes == pytest.approx(sorted(lengths, reverse=True))
    # Marching cubes puts the surface half a voxel outside the outer centers and cuts corners and edges.
    assert found["max_diameter"] == pytest.approx(math.sqrt(20**2 + 10**2 + 10**2), abs=1.5)


def test_a_long_box_is_less_of_a_ball_than_a_cube():
    cube, rod = np.zeros((2, 40, 40, 40))
    cube[10:20, 10:20, 10:20] = rod[2:38, 10:15, 10:16] = 1
    of_cube, of_rod = radiomics.shape(cube, 1), radiomics.shape(rod, 1)
    # A cube's sphericity is (pi/6)^(1/3) = 0.806; the cut corners add a little.
    assert of_cube["sphericity"] == pytest.approx((math.pi / 6) ** (1 / 3), abs=0.05)
    assert of_rod["sphericity"] < of_cube["sphericity"] - 0.05


def test_shape_does_not_depend_on_where_the_region_lies():
    mask = np.zeros((20, 20, 20))
    mask[0:5, 0:6, 0:7] = 1
    assert radiomics.shape(mask, 2) == pytest.approx(radiomics.shape(np.roll(mask, (9, 5, 13), (0, 1, 2)), 2))


def checkerboard(n=8):
    return np.indices((n, n, n)).sum(0) % 2 + 1


def test_a_checkerboard_has_the_texture_that_counting_gives():
    # Of the 13 directions, 3 along an axis and 4 along a space diagonal change color, 6 along a face diagonal do not.
    n = 8
    pairs = {1: 3 * n**2 * (n - 1), 2: 6 * n * (n - 1) ** 2, 3: 4 * (n - 1) ** 3}
    differ = (pairs[1] + pairs[3]) / sum(pairs.values())
    found = radiomics.texture(checkerboard(n))
    assert found["entropy"] == pytest.approx(1.0)
    assert found["uniformity"] == pytest.approx(0.5)
    assert found["contrast"] == found["dissimilarity"] == pytest.approx(differ)
    assert found["inverse_difference"] == pytest.approx(1 - differ / 2)
    assert found["correlation"] == pytest.approx(1 - 2 * differ)
    assert found["joint_average"] == pytest.approx(1.5)


def test_in_one_slice_neighbors_are_counted_as_scikit_image_does():
    gray = np.random.default_rng(0).integers(1, 6, (9, 7, 1))
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    counts = graycomatrix((gray[..., 0] - 1).astype(np.uint8), [1], angles, levels=5, symmetric=True).sum((2, 3))
    assert radiomics.cooccurrence(gray) == pytest.approx(counts / counts.sum())


def test_what_lies_outside_the_region_is_not_a_neighbor():
    gray = np.zeros((5, 5, 5), dtype=int)
    gray[1, 1, 1], gray[1, 1, 2], gray[4, 4, 4] = 1, 3, 2
    assert radiomics.cooccurrence(gray)[[0, 2, 1], [2, 0, 1]] == pytest.approx([0.5, 0.5, 0])


def test_intensity_agrees_with_the_moments_of_an_exponential():
    # Mean 1, variance 1, skewness 2, excess kurtosis 6: of quantiles, so that nothing is left to chance.
    x = -np.log(1 - (np.arange(400_000) + 0.5) / 400_000)
    found = radiomics.intensity(x)
    assert (found["mean"], found["variance"]) == pytest.approx((1, 1), abs=1e-3)
    assert found["skewness"] == pytest.approx(2, abs=0.01)
    assert found["kurtosis"] == pytest.approx(6, abs=0.1)
    assert found["p90"] == pytest.approx(math.log(10), abs=1e-3)


def test_a_constant_region_has_no_texture_and_no_spread():
    found = radiomics.features(np.full((6, 6, 6), 7.3), np.ones((6, 6, 6)), 1)
    assert (found["entropy"], found["contrast"], found["variance"], found["skewness"]) == pytest.approx((0, 0, 0, 0))
    assert (found["joint_maximum"], found["correlation"]) == (1, 1)


def test_gray_levels_have_equal_width_and_include_both_ends():
    assert radiomics.discretize(np.array([0, 0.24, 0.26, 0.5, 0.99, 1.0]), 4).tolist() == [1, 1, 2, 3, 4, 4]


def test_features_do_not_depend_on_the_unit_of_the_image():
    image = np.random.default_rng(1).normal(size=(9, 9, 9))
    mask = ball(4, (1, 1, 1))[:9, :9, :9]
    one, other = (radiomics.features(a * image + b, mask, 1) for a, b in ((1, 0), (250, 1000)))
    for name in radiomics.TEXTURE + radiomics.SHAPE + ("skewness", "kurtosis"):
        assert one[name] == pytest.approx(other[name]), name


def test_an_empty_region_has_no_volume_and_nothing_else():
    found = radiomics.features(np.zeros((5, 5, 5)), np.zeros((5, 5, 5)), 1)
    assert found.pop("volume") == 0
    assert all(math.isnan(value) for value in found.values())


def test_a_single_voxel_has_a_volume_and_no_neighbors():
    mask = np.zeros((5, 5, 5))
    mask[2, 2, 2] = 1
    found = radiomics.features(mask, mask, (1, 1, 3))
    assert found["volume"] == pytest.approx(0.003)
    assert math.isnan(found["contrast"]) and math.isnan(found["flatness"])


@pytest.mark.parametrize(
    "image, mask, spacing, levels, says",
    [
        (np.zeros((4, 4, 4)), np.ones((4, 4, 5)), 1, 8, "on one grid"),
        (np.full((4, 4, 4), np.nan), np.ones((4, 4, 4)), 1, 8, "NaN"),
        (np.zeros((4, 4, 4)), np.ones((4, 4, 4)), 0, 8, "positive number of millimeters"),
        (np.zeros((4, 4, 4)), np.ones((4, 4, 4)), 1, 1, "2 to 4096 gray levels"),
        (np.zeros((4, 4)), np.ones((4, 4)), 1, 8, "three axes"),
    ],
)
def test_refuses_what_has_no_features_in_one_sentence(image, mask, spacing, levels, says):
    with pytest.raises(DataError, match=says) as refused:
        radiomics.features(image, mask, spacing, levels)
    assert str(refused.value).count(".\n") == 0


@pytest.mark.parametrize("levels", [16, 100, 127, 255])
@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16, np.uint16, np.float32])
def test_gray_levels_may_be_of_any_type(levels, kind):
    if levels > 127 and kind is np.int8:
        return
    gray = np.random.default_rng(levels).integers(1, levels + 1, (6, 7, 8))
    np.testing.assert_array_equal(radiomics.cooccurrence(gray.astype(kind)), radiomics.cooccurrence(gray))
    assert radiomics.texture(gray.astype(kind)) == radiomics.texture(gray)


@pytest.mark.parametrize("odd", [0.5, np.nan, -1, 5000])
def test_gray_levels_that_are_none_are_refused(odd):
    gray = np.where(np.arange(64).reshape(4, 4, 4) == 7, odd, 3.0)
    for call in (radiomics.cooccurrence, radiomics.texture):
        with pytest.raises(DataError, match="Gray levels are whole numbers|holds NaN"):
            call(gray)


@pytest.mark.parametrize("levels", [1, 2.5, np.nan, 10**6])
def test_a_number_of_levels_that_is_none_is_refused(levels):
    with pytest.raises(DataError, match="2 to 4096 gray levels"):
        radiomics.discretize(np.arange(9.0), levels)


@pytest.mark.parametrize("odd", [np.array([1, np.nan]), np.array(["a", "b"]), np.array([1 + 1j, 2])])
def test_intensities_that_are_no_numbers_are_refused(odd):
    for call in (radiomics.intensity, lambda values: radiomics.discretize(values, 8)):
        with pytest.raises(DataError, match="NaN|real numbers"):
            call(odd)


@pytest.mark.parametrize("spacing", [(1, 2), (1, 2, 3, 4), -1, np.nan, np.inf])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(DataError, match="one positive number of millimeters, or three"):
        radiomics.shape(np.ones((4, 4, 4)), spacing)


@pytest.mark.parametrize("factor", [1e-150, 1e-9, 1.0, 1e9, 1e100])
def test_moments_do_not_depend_on_the_unit(factor):
    x = np.random.default_rng(0).gamma(2.0, size=4000)
    found, expected = radiomics.intensity(factor * x), radiomics.intensity(x)
    assert found["skewness"] == pytest.approx(stats.skew(x)) == pytest.approx(expected["skewness"])
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(x)) == pytest.approx(expected["kurtosis"])
    assert radiomics.intensity(np.full(9, 0.1 * factor))["skewness"] == 0


@pytest.mark.parametrize("outside", [np.nan, 0.01, 2])
def test_what_is_no_mask_is_refused(outside):
    image, mask = np.random.default_rng(0).normal(size=(8, 8, 8)), np.full((8, 8, 8), float(outside))
    mask[2:5, 2:5, 2:5] = 1
    for call in (lambda: radiomics.features(image, mask, 1.0), lambda: radiomics.shape(mask, 1.0)):
        with pytest.raises(DataError, match="A mask holds 0 and 1"):
            call()


@pytest.mark.parametrize("values", [[-1e308, 1e308], [0, 1e200], [np.inf, 1], [np.nan, 1]])
def test_numbers_whose_squares_have_no_end_are_refused(values):
    image, mask = np.resize(values, (4, 4, 4)), np.ones((4, 4, 4), bool)
    calls = (lambda: radiomics.discretize(values, 4), lambda: radiomics.intensity(values))
    for call in (*calls, lambda: radiomics.features(image, mask, 1.0)):
        with pytest.raises(DataError, match="holds NaN or numbers beyond 1e150"):
            call()


@pytest.mark.parametrize("spacing", [1e-300, 1e300, (1, 1, np.inf), np.nan])
def test_a_spacing_of_no_scan_is_refused(spacing):
    with pytest.raises(DataError, match="one positive number of millimeters"):
        radiomics.shape(np.ones((4, 4, 4)), spacing)


@pytest.mark.parametrize("shape", [(0, 3, 3), (0, 0, 0), (3, 3, 0)])
def test_an_array_without_voxels_holds_no_region(shape):
    found = radiomics.features(np.zeros(shape), np.zeros(shape), 1.0)
    assert found["volume"] == 0 and math.isnan(found["entropy"]) and math.isnan(found["mean"])
