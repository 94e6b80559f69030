"""Numbers that afw's own tests ask for of statistics and stacks; where afw is known to be wrong, what is right.

The sections are called as the files of afw's ``tests`` folder.
"""

import math

import numpy as np
import pytest

from skybutler import imaging as afw
from skybutler.imaging import (
    Image,
    Mask,
    MaskedImage,
)

NAN = math.nan


def value(what, flags, *, control=None, **more):
    return afw.make_statistics(what, flags, control, **more).value(flags & ~afw.ERRORS)


class TestStatistics:
    def test_a_constant_image(self):
        image = Image.full((100, 200), 10.0)
        stats = afw.make_statistics(image, afw.NPOINT | afw.STDEV | afw.MEAN | afw.SUM | afw.ERRORS)
        assert stats.value(afw.NPOINT) == 20000
        assert stats.result(afw.MEAN) == (10, 0)
        assert stats.result(afw.STDEV) == (0, 0)
        assert stats.value(afw.SUM) == 200000
        assert stats[afw.MEAN] == stats.getValue(afw.MEAN) == 10
        for flag in (afw.MEANCLIP, afw.MEDIAN, afw.MIN, afw.MAX):
            assert value(image, flag) == 10
        assert value(image, afw.STDEVCLIP) == 0
        assert value(image, afw.NCLIPPED) == 0

    def test_asking_for_what_was_not_computed(self):
        stats = afw.make_statistics(Image.full((4, 4), 1.0), afw.NPOINT | afw.MEAN)
        for wrong in (lambda: stats.value(), lambda: stats.value(afw.STDEV), lambda: stats.error(afw.SUM)):
            with pytest.raises(ValueError):
                wrong()
        assert afw.make_statistics(Image.full((4, 4), 1.0), afw.NPOINT).value() == 16
        assert afw.make_statistics(Image.full((4, 4), 1.0), afw.MEAN | afw.ERRORS).result() == (1, 0)
        assert math.isnan(stats.error(afw.MEAN))

    def test_stripes(self):
        """Half of the pixels are 10, half 11 (testStatsZebra)."""
        image = Image.full((20, 10), 10.0)
        image.array[::2] = 11
        n = 200
        assert value(image, afw.MEAN) == 10.5
        assert value(image, afw.STDEV) == pytest.approx(0.5 * math.sqrt(n / (n - 1)))
        assert value(image, afw.MEDIAN) == 10.5
        result = afw.make_statistics(image, afw.MEAN | afw.ERRORS).result()
        assert result[1] == pytest.approx(0.5 * math.sqrt(n / (n - 1)) / math.sqrt(n))

    @pytest.mark.parametrize("dtype", ["float32", "float64", "uint16", "int32"])
    def test_a_ramp(self, dtype):
        """A ramp from 10 with slope 1 along x, 101 pixels wide (testStatisticsRamp)."""
        image = Image(np.tile(10 + np.arange(101), (64, 1)).astype(dtype))
        n = 101 * 64
        assert value(image, afw.MEAN) == 60
        assert value(image, afw.MEDIAN) == 60
        assert (value(image, afw.MIN), value(image, afw.MAX)) == (10, 110)
        assert value(image, afw.STDEV) == pytest.approx(math.sqrt((101**2 - 1) / 12 * n / (n - 1)))
        assert value(image, afw.VARIANCE) == pytest.approx((101**2 - 1) / 12 * n / (n - 1))
        assert value(image, afw.MEANSQUARE) == pytest.approx((np.arange(10, 111) ** 2).mean())
        assert value(image, afw.IQRANGE) == pytest.approx(50, abs=1)
        assert value(image, afw.MEANCLIP) == 60

    def test_medians_of_few_values(self):
        """Ticket 1025, and afw's table of integers, with the answers of numpy."""
        for dtype in (float, int):
            for values, median, iqr in (
                ([1, 2, 3, 2], 2, 0.5),
                ([1, 2, 3, 2, 4], 2, 1),
                ([0, 0, 0, 1], 0, 0.25),
                ([0, 1], 0.5, 0.5),
                ([5] * 8, 5, 0),
                ([7], 7, 0),
            ):
                found = afw.make_statistics(np.array(values, dtype), afw.MEDIAN | afw.IQRANGE | afw.MEANCLIP)
                assert found[afw.MEDIAN] == median
                assert found[afw.IQRANGE] == iqr
        assert value(np.full(8, 5), afw.MEANCLIP) == 5
        assert value([1, 2, 3, 2], afw.MEAN) == 2

    def test_clipping_one_outlier(self):
        """Of 1, 2, 3, 2 and 5000 the last is clipped, but is among the points."""
        image = Image(np.r_[np.tile([1.0, 2.0, 3.0, 2.0], 25), 5000.0].reshape(1, -1))
        stats = afw.make_statistics(image, afw.MEANCLIP | afw.NCLIPPED | afw.NPOINT | afw.STDEVCLIP)
        assert (stats[afw.MEANCLIP], stats[afw.NCLIPPED], stats[afw.NPOINT]) == (2, 1, 101)
        assert stats[afw.STDEVCLIP] == pytest.approx(math.sqrt(0.5 * 100 / 99))
        assert value(image, afw.NCLIPPED) == 1
        control = afw.StatisticsControl(num_sigma_clip=1e6, num_iter=1)
        assert value(image, afw.MEANCLIP, control=control) == pytest.approx(5200 / 101)

    def test_a_constant_that_is_no_binary_fraction(self):
        """Ticket 1123: rounding must not clip everything."""
        for dtype in ("float32", "float64"):
            image = Image.full((64, 64), 0.1, dtype=dtype)
            assert value(image, afw.MEANCLIP) == pytest.approx(np.array(0.1, dtype), rel=1e-14)
            assert value(image, afw.STDEVCLIP) == 0
            assert value(image, afw.NCLIPPED) == 0

    def test_not_a_number(self):
        image = Image(np.array([[1.0, NAN, 3.0], [math.inf, 5.0, 7.0]]))
        assert value(image, afw.MEAN) == 4
        assert value(image, afw.MAX) == 7
        assert value(image, afw.MIN) == 1
        assert value(image, afw.NPOINT) == 4
        assert value(image, afw.NMASKED) == 2
        unsafe = afw.StatisticsControl(nan_safe=False)
        assert math.isnan(value(image, afw.MEAN, control=unsafe))
        assert value(image, afw.NPOINT, control=unsafe) == 6
        huge = Image.full((3, 3), 1e300, dtype="float64")
        assert value(huge, afw.NPOINT) == 9
        assert value(huge, afw.MEAN) == 1e300

    def test_without_any_good_pixel(self):
        masked = MaskedImage.full((5, 5), (3.0, "BAD", 1.0))
        control = afw.StatisticsControl(and_mask="BAD")
        for flag in (
            afw.MEAN,
            afw.MEDIAN,
            afw.MIN,
            afw.MAX,
            afw.STDEV,
            afw.IQRANGE,
            afw.MEANCLIP,
            afw.VARIANCECLIP,
            afw.MEANSQUARE,
        ):
            assert math.isnan(value(masked, flag, control=control)), flag
        assert (value(masked, afw.SUM, control=control), value(masked, afw.NPOINT, control=control)) == (0, 0)
        assert value(masked, afw.NMASKED, control=control) == 25
        assert value(masked, afw.ORMASK, control=control) == 0
        assert value(masked, afw.ORMASK) == 1
        with pytest.raises(ValueError, match="no pixels"):
            value(Image.full((0, 0)), afw.MEAN)

    def test_one_good_pixel(self):
        image = Image.full((1, 1), 4.0)
        assert (value(image, afw.MEAN), value(image, afw.MEANCLIP), value(image, afw.MEDIAN)) == (4, 4, 4)
        assert math.isnan(value(image, afw.STDEV))
        assert value(image, afw.MEANSQUARE) == 16

    def test_errors(self):
        values = np.arange(1.0, 10.0)
        n, variance = 9, 7.5
        stats = afw.make_statistics(values, afw.Property(0x1FFFF))
        assert stats.error(afw.MEAN) == pytest.approx(math.sqrt(variance / n))
        assert stats.error(afw.MEDIAN) == pytest.approx(math.sqrt(math.pi / 2 * variance / n))
        assert stats.error(afw.VARIANCE) == pytest.approx(math.sqrt(2 * (n - 1) * variance**2 / n**2))
        assert stats.error(afw.STDEV) == pytest.approx(0.5 * stats.error(afw.VARIANCE) / math.sqrt(variance))
        assert stats.error(afw.MEANCLIP) == pytest.approx(math.sqrt(variance / n))
        assert stats.error(afw.VARIANCECLIP) == pytest.approx(stats.error(afw.VARIANCE))
        for flag in (afw.MIN, afw.MAX, afw.SUM, afw.NPOINT):
            assert stats.error(flag) == 0

    def test_weights(self):
        image = MaskedImage(np.array([[1.0, 2.0, 3.0]]), None, np.array([[1.0, 4.0, 0.0]]))
        weighted = afw.StatisticsControl(weighted=True)
        assert value(image, afw.MEAN, control=weighted) == pytest.approx((1 + 2 / 4) / 1.25)
        assert value(image, afw.NPOINT, control=weighted) == 2
        assert value(image, afw.SUM, control=weighted) == pytest.approx(1.5)
        given = np.array([[0.1, 0.2, 0.3]])
        assert value(image.image, afw.SUM, weights=given) == pytest.approx(1.4)
        assert value(image.image, afw.MEAN, weights=given) == pytest.approx(1.4 / 0.6)
        w, x = given.ravel(), np.array([1.0, 2, 3])
        mean = (w * x).sum() / w.sum()
        expected = (w * (x - mean) ** 2).sum() / w.sum() * w.sum() ** 2 / (w.sum() ** 2 - (w**2).sum())
        assert value(image.image, afw.VARIANCE, weights=given) == pytest.approx(expected)

    def test_errors_from_the_variance(self):
        image = MaskedImage.full((10, 10), (5.0, 0, 4.0))
        from_variance = afw.StatisticsControl(calc_error_from_input_variance=True)
        assert afw.make_statistics(image, afw.MEAN | afw.ERRORS, from_variance).result() == (
            5,
            pytest.approx(math.sqrt(400) / 100),
        )
        mosaic = afw.StatisticsControl(calc_error_mosaic_mode=True)
        assert afw.make_statistics(image, afw.MEAN | afw.ERRORS, mosaic).error() == pytest.approx(2)
        with pytest.raises(ValueError, match="not both"):
            afw.StatisticsControl(calc_error_from_input_variance=True, calc_error_mosaic_mode=True)

    def test_masks(self):
        mask = Mask.full((4, 3), "BAD")
        mask[0, 0] = "CR"
        assert value(mask, afw.SUM) == 9
        assert value(mask, afw.NPOINT) == 12
        with pytest.raises(ValueError, match="only NPOINT and SUM"):
            value(mask, afw.MEAN)
        for wrong in ({"num_sigma_clip": 0}, {"num_iter": 0}):
            with pytest.raises(ValueError):
                afw.StatisticsControl(**wrong)
        assert afw.string_to_statistics_property("MEANCLIP") is afw.MEANCLIP
        assert [int(flag) for flag in (afw.ERRORS, afw.MEAN, afw.MEANCLIP, afw.ORMASK, afw.NMASKED)] == [
            1,
            4,
            0x80,
            0x4000,
            0x10000,
        ]
        with pytest.raises(ValueError):
            value(Image.full((2, 2)), 1 << 20)


class TestStacker:
    def test_means_and_weights(self):
        images = [MaskedImage.full((3, 2), (float(n), 0, 1.0)) for n in range(1, 5)]
        assert afw.statistics_stack(images, afw.MEAN)[0, 0][0] == 2.5
        weighted = afw.statistics_stack(images, afw.MEAN, afw.StatisticsControl(weighted=True), weights=[1, 1, 1, 5])
        assert weighted[0, 0][0] == pytest.approx((6 + 20) / 8)
        by_variance = [MaskedImage.full((3, 2), (float(n), 0, float(n))) for n in (1, 2, 4)]
        stacked = afw.statistics_stack(
            by_variance, afw.MEAN, afw.StatisticsControl(weighted=True, calc_error_from_input_variance=True)
        )
        assert stacked[0, 0][0] == pytest.approx(3 / 1.75)
        assert stacked[0, 0][2] == pytest.approx(1 / 1.75)

    def test_masks_of_what_was_used(self):
        """Ticket 1412."""
        first, second = MaskedImage.full((1, 1), (1.0, 0x4, 1.0)), MaskedImage.full((1, 1), (2.0, 0x3, 1.0))
        assert afw.statistics_stack([first, second], afw.MEAN)[0, 0][1] == 0x7
        stacked = afw.statistics_stack([first, second], afw.MEAN, afw.StatisticsControl(and_mask=0x1))
        assert stacked[0, 0][:2] == (1, 0x4)
        nothing = afw.statistics_stack([second], afw.MEAN, afw.StatisticsControl(and_mask=0x1))
        assert math.isnan(nothing[0, 0][0])
        assert nothing[0, 0][1] == 256

    def test_exactly_one_statistic_of_one_image_or_more(self):
        image = MaskedImage.full((2, 2))
        for images, flag in (
            ([image], afw.MEAN | afw.STDEV),
            ([], afw.MEAN),
            ([image, MaskedImage.full((3, 3))], afw.MEAN),
        ):
            with pytest.raises(ValueError):
                afw.statistics_stack(images, flag)
