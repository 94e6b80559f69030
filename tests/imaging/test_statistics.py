"""Statistics: exact numbers, and what numpy says on the same pixels."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skybutler.imaging import (
    ERRORS,
    IQRANGE,
    MAX,
    MEAN,
    MEANCLIP,
    MEANSQUARE,
    MEDIAN,
    MIN,
    NCLIPPED,
    NMASKED,
    NPOINT,
    ORMASK,
    STDEV,
    STDEVCLIP,
    SUM,
    VARIANCE,
    VARIANCECLIP,
    Extent2I,
    Image,
    Mask,
    MaskedImage,
    Property,
    StatisticsControl,
    make_statistics,
    makeStatistics,
    statistics_stack,
    string_to_statistics_property,
)

EVERYTHING = Property(0x1FFFF)


def noise(shape=(50, 60), seed=1, dtype="float32"):
    return np.random.default_rng(seed).normal(1000, 12, shape).astype(dtype)


def test_properties_have_the_values_of_afw():
    assert [member.value for member in Property if member] == [1 << bit for bit in range(17)]
    assert (MEAN | MEDIAN) == 0x24
    assert string_to_statistics_property("MEANCLIP") is MEANCLIP
    with pytest.raises(ValueError, match="MEANCLIP"):
        string_to_statistics_property("MEANCLP")


def test_results_are_asked_for_by_property():
    stats = makeStatistics(Image(noise()), MEAN | MEDIAN)
    assert stats[MEAN] == stats.getValue(MEAN) == stats.value(MEAN)
    assert math.isnan(stats.getError(MEAN))
    assert stats.getResult(MEDIAN)[0] == stats[MEDIAN]
    with pytest.raises(ValueError, match=r"STDEV.*not asked for, only MEAN, MEDIAN"):
        stats.getValue(STDEV)
    with pytest.raises(ValueError, match="say which"):
        stats.getValue()
    assert makeStatistics([1, 2, 6], MEAN | ERRORS).getValue() == 3


def test_what_cannot_be_asked():
    with pytest.raises(ValueError, match="0x20000"):
        make_statistics([1.0], 0x20000)
    with pytest.raises(ValueError, match="no pixels"):
        make_statistics(np.zeros((0, 3)), MEAN)
    with pytest.raises(ValueError, match="mask has shape"):
        make_statistics(Image.full((3, 2)), MEAN, mask=Mask.full((2, 3)))
    with pytest.raises(ValueError, match="weights has shape"):
        make_statistics([1.0, 2.0], MEAN, weights=[1.0])
    with pytest.raises(ValueError, match="need weights"):
        make_statistics([1.0, 2.0], MEAN, StatisticsControl(weighted=True))
    with pytest.raises(ValueError, match="input variance"):
        make_statistics([1.0], MEAN | ERRORS, StatisticsControl(calc_error_from_input_variance=True))
    for wrong in ({"num_sigma_clip": 0}, {"num_iter": 0}):
        with pytest.raises(ValueError, match="must be"):
            StatisticsControl(**wrong)
    with pytest.raises(ValueError, match="not both"):
        StatisticsControl(calc_error_from_input_variance=True, calc_error_mosaic_mode=True)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint16"])
def test_agrees_with_numpy(dtype):
    pixels = noise(dtype=dtype)
    exact = pixels.astype("float64")
    stats = make_statistics(pixels, EVERYTHING)
    for which, expected in {
        NPOINT: exact.size,
        NMASKED: 0,
        MEAN: exact.mean(),
        STDEV: exact.std(ddof=1),
        VARIANCE: exact.var(ddof=1),
        MEDIAN: np.median(exact),
        IQRANGE: np.subtract(*np.quantile(exact, [0.75, 0.25])),
        MIN: exact.min(),
        MAX: exact.max(),
        SUM: exact.sum(),
        MEANSQUARE: np.mean(exact**2),
    }.items():
        assert stats[which] == pytest.approx(expected, rel=1e-12)
    n, variance = exact.size, exact.var(ddof=1)
    assert stats.error(MEAN) == pytest.approx(math.sqrt(variance / n))
    assert stats.error(MEDIAN) == pytest.approx(math.sqrt(math.pi / 2 * variance / n))
    assert stats.error(VARIANCE) == pytest.approx(math.sqrt(2 * (n - 1) * variance**2 / n**2))
    assert stats.error(STDEV) == pytest.approx(0.5 * stats.error(VARIANCE) / stats[STDEV])
    clipped = math.sqrt(2 * (n - stats[NCLIPPED] - 1)) * stats[VARIANCECLIP] / (n - stats[NCLIPPED])
    assert stats.error(VARIANCECLIP) == pytest.approx(clipped)
    assert [stats.error(which) for which in (MIN, MAX, SUM, NPOINT)] == [0, 0, 0, 0]


@settings(deadline=None)
@given(st.lists(st.integers(-100, 100), min_size=1, max_size=40), st.sampled_from(["int32", "float32", "float64"]))
def test_quantiles_are_numpys_for_every_type(values, dtype):
    stats = make_statistics(np.array(values, dtype), MEDIAN | IQRANGE)
    low, middle, high = np.quantile(np.array(values, "float64"), [0.25, 0.5, 0.75])
    assert stats[MEDIAN] == pytest.approx(middle)
    assert stats[IQRANGE] == pytest.approx(high - low, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "median", "iqr"),
    [([1, 2, 3, 2], 2, 0.5), ([0, 0, 0, 1], 0, 0.25), ([0, 1], 0.5, 0.5), ([5] * 8, 5, 0), ([0, 1, 2] * 334, 1, 2)],
)
def test_integer_quantiles_where_afw_fails(values, median, iqr):
    stats = make_statistics(np.array(values), MEDIAN | IQRANGE | MEANCLIP)
    assert (stats[MEDIAN], stats[IQRANGE]) == (median, iqr)
    assert not math.isnan(stats[MEANCLIP])


def naive_clip(x, sigmas=3.0, passes=3):
    x = np.asarray(x, "float64")
    q1, center, q3 = np.quantile(x, [0.25, 0.5, 0.75])
    width = sigmas * 0.741301109252802 * (q3 - q1)
    for _ in range(passes):
        kept = x[np.abs(x - center) <= width]
        center = kept.mean()
        if kept.size > 1:
            width = sigmas * kept.std(ddof=1)
    return kept


@pytest.mark.parametrize(("sigmas", "passes"), [(3.0, 3), (2.0, 1), (2.5, 5)])
def test_clipping_starts_from_the_quartiles_and_goes_on_from_the_mean(sigmas, passes):
    pixels = noise()
    pixels[::7, ::5] = 1e5
    kept = naive_clip(pixels, sigmas, passes)
    control = StatisticsControl(num_sigma_clip=sigmas, num_iter=passes)
    stats = make_statistics(Image(pixels), MEANCLIP | STDEVCLIP | VARIANCECLIP | NCLIPPED | NPOINT | ERRORS, control)
    assert stats[MEANCLIP] == pytest.approx(kept.mean(), rel=1e-12)
    assert stats[STDEVCLIP] == pytest.approx(kept.std(ddof=1), rel=1e-10)
    assert stats[NCLIPPED] == pixels.size - kept.size
    assert stats[NPOINT] == pixels.size
    assert stats.error(MEANCLIP) == pytest.approx(kept.std(ddof=1) / math.sqrt(kept.size))
    assert make_statistics(Image(pixels), NCLIPPED, control)[NCLIPPED] == pixels.size - kept.size


def test_the_bounds_of_clipping_are_inside():
    stats = make_statistics([0.0, 0.0, 0.0, 0.0, 1.0], MEANCLIP | NCLIPPED)
    assert (stats[MEANCLIP], stats[NCLIPPED]) == (0, 1)
    stats = make_statistics([7.0] * 10, MEANCLIP | STDEVCLIP | NCLIPPED | ERRORS)
    assert (stats[MEANCLIP], stats[STDEVCLIP], stats[NCLIPPED], stats.error(MEANCLIP)) == (7, 0, 0, 0)


def test_one_good_pixel_and_none():
    one = make_statistics([1.5, np.nan], EVERYTHING)
    assert (one[MEAN], one[MEANCLIP], one[MEDIAN], one[NPOINT], one[NMASKED]) == (1.5, 1.5, 1.5, 1, 1)
    assert math.isnan(one[STDEV])
    none = make_statistics([np.nan, np.inf], EVERYTHING)
    for which in (MEAN, STDEV, VARIANCE, MEDIAN, IQRANGE, MIN, MAX, MEANCLIP, STDEVCLIP, VARIANCECLIP, MEANSQUARE):
        assert math.isnan(none[which])
    assert (none[SUM], none[NPOINT], none[NMASKED]) == (0, 0, 2)


def test_masked_pixels_are_left_out():
    mi = MaskedImage(Image(noise()))
    mi[3, 4] = (1e6, ["SAT", "CR"], 1.0)
    mi[5, 6] = (np.nan, "BAD", 1.0)
    mi[7, 8] = (1000.0, "DETECTED", 1.0)
    for saturated in (2, ["SAT"], "SAT"):
        control = StatisticsControl(and_mask=saturated)
        stats = makeStatistics(mi, NPOINT | NMASKED | MAX | ORMASK, control)
        assert (stats[NPOINT], stats[NMASKED], stats[ORMASK]) == (3000 - 2, 2, 32)
        assert stats[MAX] < 2000
        assert makeStatistics(mi.image, MAX, control, mask=mi.mask)[MAX] == stats[MAX]
    assert makeStatistics(mi, MAX)[MAX] == 1e6
    assert math.isnan(makeStatistics(mi, MEAN, StatisticsControl(nan_safe=False))[MEAN])
    assert math.isnan(makeStatistics(mi, MEDIAN, StatisticsControl(nan_safe=False))[MEDIAN])


def test_large_doubles_are_finite():
    assert make_statistics([1e300, 1e300], MEAN | NPOINT)[NPOINT] == 2


def test_weights():
    x, w = np.array([1.0, 2.0, 4.0, 8.0]), np.array([4.0, 3.0, 2.0, 1.0])
    mean = (w * x).sum() / w.sum()
    variance = (w * (x - mean) ** 2).sum() / w.sum() * w.sum() ** 2 / (w.sum() ** 2 - (w**2).sum())
    stats = make_statistics(x, MEAN | VARIANCE | SUM | NPOINT | MEDIAN, weights=w)
    assert stats[MEAN] == pytest.approx(mean)
    assert stats[VARIANCE] == pytest.approx(variance)
    assert (stats[SUM], stats[NPOINT], stats[MEDIAN]) == ((w * x).sum(), 4, 3)
    assert make_statistics(x, MEAN, StatisticsControl(weighted=False), weights=w)[MEAN] == x.mean()


def test_weights_of_inverse_variance_and_errors_from_it():
    mi = MaskedImage(np.array([[1.0, 2.0, 4.0, 50.0]]), None, np.array([[1.0, 4.0, 2.0, 0.0]]))
    w, v = np.array([1, 0.25, 0.5]), np.array([1, 4, 2])
    stats = make_statistics(
        mi, MEAN | ERRORS | NPOINT, StatisticsControl(weighted=True, calc_error_from_input_variance=True)
    )
    assert stats[NPOINT] == 3
    assert stats[MEAN] == pytest.approx((w * [1, 2, 4]).sum() / w.sum())
    assert stats.error(MEAN) == pytest.approx(math.sqrt((w**2 * v).sum()) / w.sum())
    mosaic = make_statistics(mi, MEAN | ERRORS, StatisticsControl(weighted=True, calc_error_mosaic_mode=True))
    assert mosaic.error(MEAN) == pytest.approx(math.sqrt((w * v).sum() / w.sum()))


def test_of_a_mask_there_is_only_how_many_and_which():
    mask = Mask.full(Extent2I(4, 3))
    mask[1, 1], mask[2, 2] = 1, 8
    stats = make_statistics(mask, NPOINT | SUM)
    assert (stats[NPOINT], stats[SUM]) == (12, 9)
    with pytest.raises(ValueError, match="MEAN"):
        make_statistics(mask, MEAN)


def test_nothing_cancels_on_a_high_background():
    pixels = 1e9 + np.tile([-1.0, 1.0], 5000)
    assert make_statistics(pixels, VARIANCE)[VARIANCE] == pytest.approx(10000 / 9999)


def test_the_pixels_stay_as_they_are():
    pixels = noise()
    before = pixels.copy()
    make_statistics(Image(pixels), EVERYTHING)
    make_statistics(Image(pixels), EVERYTHING, weights=np.ones_like(pixels))
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).normal(1000, 12, 1_500_000).astype("float32"),
        np.random.default_rng(2).integers(0, 4, 1_200_000),
        np.random.default_rng(3).integers(990, 1010, 1_200_000).astype("uint16"),
        np.r_[np.full(1_100_000, 5.0), np.arange(100.0)],
        np.arange(1_300_000.0),
        np.sort(np.random.default_rng(4).standard_cauchy(1_100_001)),
    ],
    ids=["normal", "few values", "counts", "constant", "ramp", "heavy tails"],
)
def test_quantiles_of_many_pixels_are_those_of_numpy(values):
    stats = make_statistics(values.reshape(1, -1).copy(), MEDIAN | IQRANGE)
    q25, median, q75 = np.quantile(values.astype("float64"), [0.25, 0.5, 0.75])
    assert stats[MEDIAN] == median
    assert stats[IQRANGE] == pytest.approx(q75 - q25, rel=1e-15)


def test_quantiles_of_many_pixels_are_nan_where_one_is():
    values = np.ones((1100, 1000))
    values[70, 5] = np.nan
    stats = make_statistics(values, MEDIAN | IQRANGE, StatisticsControl(nan_safe=False))
    assert np.isnan(stats[MEDIAN])
    assert np.isnan(stats[IQRANGE])
    assert make_statistics(values, MEDIAN)[MEDIAN] == 1


@pytest.mark.parametrize("bad", [None, 0, 700_000])
def test_the_image_is_neither_changed_nor_copied_where_it_is_all_good(bad):
    values = np.random.default_rng(6).integers(0, 5, (1000, 1200)).astype("float32")  # which must be sorted
    if bad is not None:
        values.flat[bad] = np.nan
    before = values.copy()
    stats = make_statistics(Image(values), MEDIAN | MEANCLIP | NPOINT)
    assert np.array_equal(values, before, equal_nan=True)
    assert stats[NPOINT] == np.isfinite(before).sum()
    assert stats[MEDIAN] == np.nanmedian(before)
    assert stats[MEANCLIP] == pytest.approx(np.nanmean(before.astype("float64")))
    view = values[:, 100:1100]
    assert make_statistics(view, MEAN)[MEAN] == pytest.approx(np.nanmean(view.astype("float64")))


@pytest.mark.parametrize("dtype", ["uint16", "int32", "int64"])
@pytest.mark.parametrize(("and_mask", "good"), [(~2, 3), (~1, 2), (0xFFFFFFFF, 1), (1 << 40, 4), (-1, 1)])
def test_bits_that_pixels_do_not_have_select_nothing(dtype, and_mask, good):
    mask = Mask(np.array([[0, 2], [2, 1]], dtype))
    control = StatisticsControl(and_mask=and_mask)
    image = Image.full(mask.bbox)
    assert make_statistics(image, NPOINT, control, mask=mask)[NPOINT] == good
    stacked = statistics_stack([MaskedImage(image, mask)] * 2, NPOINT, control)
    assert (stacked.image.array == 2).sum() == good


def test_masks_and_weights_may_stand_before_the_flags_as_in_lsst():
    image = Image(np.array([[1.0, 2.0], [3.0, 40.0]]))
    mask = Mask.full(image.bbox)
    mask[1, 1] = "SAT"
    control = StatisticsControl(and_mask="SAT")
    assert makeStatistics(image, mask, MEAN, control)[MEAN] == 2.0
    assert makeStatistics(image, mask, ORMASK).getOrMask() == 2
    assert makeStatistics(image, mask, ORMASK, control).or_mask == 0
    weights = Image(np.array([[1.0, 1.0], [2.0, 0.0]]))
    assert makeStatistics(image, weights, MEAN)[MEAN] == 2.25
    assert makeStatistics([1.0, 3.0], [1.0, 3.0], MEAN | SUM)[SUM] == 10.0
    assert makeStatistics(MaskedImage(image, mask), weights, MEAN, control)[MEAN] == 2.25
    with pytest.raises(ValueError, match="was not asked for"):
        makeStatistics(image, MEAN).getOrMask()


def test_flags_and_controls_of_the_wrong_kind_are_named():
    with pytest.raises(TypeError, match=r"not 'MEAN'; string_to_statistics_property\(name\) gives one"):
        make_statistics([1.0], "MEAN")
    with pytest.raises(TypeError, match="the control is a StatisticsControl, not Mask"):
        make_statistics([1.0], MEAN, Mask.full((1, 1)))
    assert make_statistics([1.0], np.int64(MEAN))[MEAN] == 1.0


def test_a_control_refuses_at_once_what_makes_no_sense():
    control = StatisticsControl()
    for name, value in (("num_iter", 0), ("numIter", 0), ("num_sigma_clip", -1), ("numSigmaClip", float("nan"))):
        with pytest.raises(ValueError, match=r"must be"):
            setattr(control, name, value)
    with pytest.raises(ValueError, match="num_iter must be 1 or more, not 0"):
        control.setNumIter(0)
    with pytest.raises(AttributeError, match="num_sigma_clp"):
        control.num_sigma_clp = 2.0
    control.setNumSigmaClip(2.5)
    assert (control.num_sigma_clip, control.num_iter) == (2.5, 3)
    assert control.getMaskPropagationThreshold("CR") == 1.0
    control.setMaskPropagationThreshold("CR", 0.25)
    assert control.getMaskPropagationThreshold("CR") == 0.25
    assert pickle.loads(pickle.dumps(control)) == control
