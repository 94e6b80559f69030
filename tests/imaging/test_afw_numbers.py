"""Numbers that afw's own tests ask for; where afw is known to be wrong, what is right.

The sections are called as the files of afw's ``tests`` folder.
"""

import math

import numpy as np
import pytest

from skybutler import imaging as afw
from skybutler.imaging import (
    LOCAL,
    PARENT,
    Box2D,
    Box2I,
    Extent2D,
    Extent2I,
    Image,
    Mask,
    MaskedImage,
    Point2D,
    Point2I,
)

NAN = math.nan


def box(x, y, width, height):
    return Box2I(Point2I(x, y), Extent2I(width, height))


def value(what, flags, *, control=None, **more):
    return afw.make_statistics(what, flags, control, **more).value(flags & ~afw.ERRORS)


class TestBox:
    def test_empty_boxes_are_equal_and_inside_of_everything(self):
        empty = Box2I()
        assert (empty.width, empty.height, empty.area) == (0, 0, 0)
        assert empty.min == Point2I(0, 0)
        assert empty.max == Point2I(-1, -1)
        for other in (
            Box2I(Point2I(3, 4), Extent2I(0, 5)),
            Box2I(Point2I(5, 5), Point2I(2, 9), invert=False),
            box(0, 0, 5, 5).clipped_to(box(9, 9, 2, 2)),
            empty.dilated_by(4),
            empty.shifted_by(Extent2I(5, 6)),
            box(0, 0, 4, 4).eroded_by(2),
            Box2I(Box2D()),
        ):
            assert other == empty
            assert other.is_empty
            assert hash(other) == hash(empty)
        assert box(1, 1, 1, 1).contains(empty)
        assert empty.contains(Box2I())
        assert not empty.contains(Point2I(0, 0))
        assert not empty.overlaps(box(0, 0, 5, 5))
        assert empty.is_disjoint_from(empty)
        assert empty.expanded_to(Point2I(7, 8)) == box(7, 8, 1, 1)
        assert box(1, 2, 3, 4).expanded_to(empty) == box(1, 2, 3, 4)

    def test_inverted_corners_and_dimensions(self):
        assert Box2I(Point2I(6, 7), Point2I(2, 3)) == box(2, 3, 5, 5)
        assert Box2I(Point2I(6, 7), Extent2I(-2, -3)) == box(5, 5, 2, 3)
        assert Box2I(Point2I(6, 7), Extent2I(-2, 3), invert=False).is_empty

    def test_pixels_reach_half_a_unit_to_each_side(self):
        assert Box2D(box(2, 3, 4, 5)) == Box2D(Point2D(1.5, 2.5), Point2D(5.5, 7.5))
        assert box(0, 0, 4, 5).center == Point2D(1.5, 2.0)
        frame = Box2D(Point2D(0.5, 0.6), Point2D(3.4, 4.5))
        assert Box2I(frame, Box2I.EXPAND) == Box2I(Point2I(1, 1), Point2I(3, 4))
        assert Box2I(frame, Box2I.SHRINK) == Box2I(Point2I(1, 2), Point2I(2, 4))
        assert Box2I(Box2D(box(2, 3, 4, 5)), Box2I.SHRINK) == box(2, 3, 4, 5)
        for bad in (math.inf, -math.inf):
            with pytest.raises(ValueError, match="not finite"):
                Box2I(Box2D(Point2D(0, 0), Point2D(bad, 3)))

    def test_slices_begin_and_end(self):
        some = box(3, 4, 5, 6)
        assert (some.begin, some.end, some.max) == (Point2I(3, 4), Point2I(8, 10), Point2I(7, 9))
        assert some.slices == (slice(4, 10), slice(3, 8))
        assert some.corners == (Point2I(3, 4), Point2I(7, 4), Point2I(7, 9), Point2I(3, 9))
        assert some.contains(np.array([2, 3, 7, 8]), np.array([4, 4, 9, 9])).tolist() == [False, True, True, False]
        assert some.dilated_by(Extent2I(1, 2)) == box(2, 2, 7, 10)
        assert some.eroded_by(1) == box(4, 5, 3, 4)
        assert some.reflected_about_x(3) == box(-1, 4, 5, 6)
        assert some != (3, 4, 5)
        assert eval(repr(some)) == some

    def test_centred_boxes(self):
        assert Box2I.make_centered_box(Point2D(3, 4), Extent2I(3, 5)) == box(2, 2, 3, 5)
        assert Box2I.make_centered_box(Point2D(3.0, 4.0), Extent2I(0, 5)).is_empty
        with pytest.raises(ValueError, match="not finite"):
            Box2I.make_centered_box(Point2D(NAN, 3), Extent2I(1, 1))

    def test_real_boxes_are_half_open_for_points_and_closed_for_boxes(self):
        frame = Box2D(Point2D(0, 0), Extent2D(4, 3))
        assert frame.contains(Point2D(0, 0))
        assert not frame.contains(Point2D(4, 1))
        assert frame.contains(frame)
        assert frame.contains(Box2D())
        grown = frame.expanded_to(Point2D(5, 1))
        assert grown.contains(Point2D(5, 1))
        assert Box2D(Point2D(1, 1), Extent2D(0, 4)).is_empty
        assert Box2D() == Box2D(Point2D(1, 1), Point2D(1, 5))
        assert Box2D() != frame
        assert not Box2D().overlaps(frame)
        assert frame.clipped_to(Box2D(Point2D(3, 2), Point2D(9, 9))) == Box2D(Point2D(3, 2), Point2D(4, 3))
        assert frame.dilated_by(-2).is_empty
        assert frame.center == Point2D(2, 1.5)


class TestCoordinates:
    def test_kinds_of_pairs(self):
        assert Point2I(5, 6) - Point2I(2, 3) == Extent2I(3, 3)
        assert Point2I(5, 6) + Extent2I(1, 1) == Point2I(6, 7)
        assert Extent2I(5, 7) // 2 == Extent2I(2, 3)
        assert Extent2I(5, 7) / 2 == Extent2D(2.5, 3.5)
        assert Point2I(Point2D(2.5, -0.5)) == Point2I(3, 0)
        assert Point2I(Point2D(-1.6, 1.4)) == Point2I(-2, 1)
        for wrong in (lambda: Point2I(1, 2) + Point2I(1, 2), lambda: Point2I(1.5, 2), lambda: Extent2I(1, 2) // 0.5):
            with pytest.raises(TypeError):
                wrong()
        width, height = Image.full(box(1, 2, 3, 4)).getDimensions()
        assert (width, height) == (3, 4) == Extent2I(3, 4)


class TestIndexing:
    """The example of afw's doc/lsst.afw.image/indexing-conventions.rst."""

    def test_boxes_of_boxes(self):
        image = Image.full(Extent2I(10, 12))
        first = image[Box2I(Point2I(2, 3), Point2I(7, 9))]
        inner = Box2I(Point2I(3, 4), Point2I(5, 5))
        assert first[inner].get_bbox() == inner
        assert first[inner, LOCAL].get_bbox(PARENT) == Box2I(Point2I(5, 7), Point2I(7, 8))
        for view in (first[inner], first[inner, LOCAL]):
            assert view.get_bbox(LOCAL) == Box2I(Point2I(0, 0), Point2I(2, 1))
        assert image[2:8, 3:10].bbox == first.bbox

    def test_negative_and_local_indices(self):
        image = Image(np.arange(20.0).reshape(4, 5), xy0=(-2, 10))
        assert image[Point2I(-2, 10)] == 0
        assert image[-1, -1, LOCAL] == 19
        assert image[0, 0, LOCAL] == 0
        assert image[-3:, -2:, LOCAL].array.tolist() == [[12, 13, 14], [17, 18, 19]]
        for outside in ((-2, 10), (3, 10), (0, 14)):
            with pytest.raises(IndexError):
                image[outside]
        with pytest.raises(IndexError):
            image[-2:, 10:]
        with pytest.raises(IndexError):
            image[0, 4, LOCAL]
        with pytest.raises(ValueError, match="step"):
            image[::2, :]
        for mixed in ((3, slice(None)), 3, slice(1, 2)):
            with pytest.raises(TypeError):
                image[mixed]
        assert image[:].array.base is image.array or np.shares_memory(image[:].array, image.array)
        assert image[0:0, 10:12].array.shape == (0, 0) or image[0:0, 10:12].array.size == 0
        before = image.array.copy()
        image[0:0, 10:12] = 5
        assert np.array_equal(image.array, before)

    def test_a_view_moves_alone_and_shares_pixels(self):
        image = Image.full(box(10, 20, 6, 5))
        view = image[box(12, 22, 2, 2)]
        view.xy0 = (0, 0)
        view[1, 1] = 9
        assert image[13, 23] == 9
        assert image.xy0 == Point2I(10, 20)
        other = image.clone()
        other[13, 23] = 1
        assert image[13, 23] == 9

    def test_assignment_ignores_where_the_right_side_lies(self):
        image = Image.full((6, 5))
        image[1:3, 1:3] = Image.full(box(70, 80, 2, 2), 4.0)
        assert image.array.sum() == 16
        image[2:4, 3:5] = np.ones((2, 2))
        image[0, 0] = 3.9
        assert image[0, 0] == np.float32(3.9)
        with pytest.raises(ValueError, match="do not fit"):
            image[1:3, 1:3] = Image.full((3, 3))
        counts = Image.full((2, 2), dtype="int32")
        counts[0, 0] = 3.9
        assert counts[0, 0] == 3


class TestImage:
    @pytest.mark.parametrize("dtype", ["uint16", "int32", "uint64", "float32", "float64"])
    def test_arithmetic_in_place(self, dtype):
        left, right = Image.full((4, 3), 10, dtype=dtype), Image.full((4, 3), 2, dtype=dtype)
        left += right
        left -= 3
        left *= right
        assert left[0, 0] == 18
        assert left.dtype == dtype
        if left.dtype.kind == "f":
            left /= right
            assert left[0, 0] == 9
            left.scaled_plus(2.5, right)
            assert left[0, 0] == 14
            left.scaled_minus(0.5, right)
            left.scaled_multiplies(2, right)
            left.scaled_divides(2, right)
            assert left[0, 0] == 13
        else:
            with pytest.raises(TypeError, match="astype"):
                left /= right

    def test_no_expressions(self):
        image = Image.full((2, 2), 1.0)
        for wrong in (lambda: image + image, lambda: image - 1, lambda: 2 * image, lambda: image / image):
            with pytest.raises(NotImplementedError):
                wrong()
        with pytest.raises(TypeError):
            float(Image.full((1, 1)))

    def test_numpy_in_and_out(self):
        array = np.arange(12.0).reshape(3, 4)
        image = Image(array, xy0=(100, 50))
        image.array += 5
        assert array[0, 0] == 5
        assert image[103, 52] == 16
        assert np.asarray(image) is image.array
        image.array = np.zeros((3, 4))
        assert not array.any()
        with pytest.raises(ValueError):
            image.array = np.zeros((4, 3))
        with pytest.raises(TypeError):
            image.array = None
        assert image.indexToPosition(0, 0) == 100
        assert image.positionToIndex(101.7, 0) == (2, pytest.approx(-0.3))


class TestMask:
    def test_the_default_planes(self):
        mask = Mask.full((4, 3))
        assert mask.plane_dict == dict(
            zip(
                [
                    "BAD",
                    "SAT",
                    "INTRP",
                    "CR",
                    "EDGE",
                    "DETECTED",
                    "DETECTED_NEGATIVE",
                    "SUSPECT",
                    "NO_DATA",
                    "VIGNETTED",
                    "STREAK",
                ],
                range(11),
                strict=True,
            )
        )
        assert mask.plane_bit_mask(["BAD", "CR"]) == 9
        assert mask.plane_bit_mask("EDGE") == 16
        assert mask.interpret(2 | 1 | 16) == "BAD,EDGE,SAT"
        assert mask.dtype == np.int32
        with pytest.raises(ValueError, match="no mask plane"):
            mask.plane_bit_mask("NOPE")

    def test_planes_come_and_go(self):
        mask = Mask.full((4, 3))
        bit = mask.add_mask_plane("FOO")
        assert bit == 11 == mask.add_mask_plane("FOO")
        mask[0:2, 0:2] = "FOO"
        mask |= mask.plane_bit_mask("BAD")
        mask.clear_mask_plane("FOO")
        assert np.all(mask.array == 1)
        mask.remove_and_clear_mask_plane("BAD")
        assert not mask.array.any()
        assert "BAD" not in mask.plane_dict
        assert mask.add_mask_plane("NEW") == 0
        assert Mask.full((4, 3)).plane_dict["BAD"] == 0

    def test_planes_are_matched_by_name(self):
        hsc = afw.MaskSchema.from_dict({"BAD": 0, "CROSSTALK": 8, "NO_DATA": 9})
        left, right = Mask.full((2, 2), "NO_DATA"), Mask.full((2, 2), ["CROSSTALK", "BAD"], schema=hsc)
        left |= right
        assert left.interpret(left[0, 0]) == "BAD,CROSSTALK,NO_DATA"
        assert left.plane_dict["NO_DATA"] == 8
        left &= right
        assert left.interpret(left[0, 0]) == "BAD,CROSSTALK"
        left ^= right
        assert left[0, 0] == 0
        left[0:1, 0:1] = Mask.full((1, 1), "NO_DATA", schema=hsc)
        assert left[0, 0] == 256
        with pytest.raises(NotImplementedError):
            left | right


class TestMaskedImage:
    """imgVal1, varVal1 = 100, 10 and imgVal2, varVal2 = 200, 15, as in afw."""

    @pytest.fixture
    def one(self):
        return MaskedImage.full((100, 200), (100.0, "EDGE", 10.0))

    @pytest.fixture
    def two(self):
        return MaskedImage.full((100, 200), (200.0, 0x8, 15.0))

    def test_values(self, one):
        assert one[4, 10] == (100, 16, 10)
        one[4, 10] = (10, 0x2, 100)
        assert one.image[4, 10] == 10
        assert one.variance[4, 10] == 100

    def test_sums(self, one, two):
        two += one
        assert two[0, 0] == (300, 24, 25)
        two -= one
        assert two[0, 0] == (200, 24, 35)
        two -= 100.0
        assert two[0, 0] == (100, 24, 35)
        two += one.image
        assert two[0, 0] == (200, 24, 35)
        two.scaled_plus(2.0, one)
        assert two[0, 0] == (400, 24, 35 + 4 * 10)
        two.scaled_minus(2.0, one)
        assert two[0, 0] == (200, 24, 35 + 8 * 10)

    def test_products(self, one, two):
        two *= one
        assert two[0, 0] == (20000, 24, 200**2 * 10 + 100**2 * 15)
        one *= 2
        assert one[0, 0] == (200, 16, 40)
        one *= one.image
        assert one[0, 0] == (40000, 16, 40 * 200**2)

    def test_quotients(self, one, two):
        quotient = two.clone()
        quotient /= one
        assert quotient[0, 0] == (2, 24, pytest.approx((200**2 * 10 + 100**2 * 15) / 100**4, rel=1e-6))
        two /= 10
        assert two[0, 0] == (20, 8, pytest.approx(0.15))
        two /= two.image
        assert two[0, 0] == (1, 8, pytest.approx(0.15 / 400))

    def test_scaled_products(self, one, two):
        many = two.clone()
        many.scaled_multiplies(3.0, one)
        assert many[0, 0][0] == 60000
        assert many[0, 0][2] == pytest.approx(9 * (200**2 * 10 + 100**2 * 15))
        two.scaled_divides(3.0, one)
        assert two[0, 0][0] == pytest.approx(2 / 3)
        assert two[0, 0][2] == pytest.approx((200**2 * 10 + 100**2 * 15) / (9 * 100**4), rel=1e-6)

    def test_sub_images(self, one):
        part = one[box(10, 20, 5, 5)]
        part *= 2
        assert one[12, 22] == (200, 16, 40)
        assert one[9, 20] == (100, 16, 10)
        part[:] = (1.0, 0, 2.0)
        assert one[14, 24] == (1, 0, 2)
        shifted = one[box(11, 20, 5, 5)]
        one[box(10, 20, 5, 5)] = shifted
        assert one[14, 24] == (100, 16, 10)

    def test_sizes_that_differ_and_expressions(self, one):
        for wrong in (
            lambda: one.__iadd__(MaskedImage.full((3, 3))),
            lambda: MaskedImage(Image.full((3, 3)), Mask.full((2, 2))),
        ):
            with pytest.raises(ValueError):
                wrong()
        with pytest.raises(NotImplementedError):
            one + one
        with pytest.raises(TypeError):
            float(one)


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


class TestPhotoCalib:
    def test_zero_points(self):
        assert afw.PhotoCalib.from_zero_point(31.4).calibration_mean == pytest.approx(1, rel=1e-3)
        calib = afw.PhotoCalib.from_zero_point(27.0)
        assert calib.inst_flux_to_magnitude(1.0) == pytest.approx(27)
        assert calib.inst_flux_to_magnitude(100.0) == pytest.approx(22)
        assert calib.inst_flux_at_zero_magnitude == pytest.approx(10 ** (0.4 * 27))
        assert afw.PhotoCalib(1.0).inst_flux_to_magnitude(3630780547701.0) == pytest.approx(0, abs=1e-12)

    def test_fluxes_and_errors(self):
        calib = afw.PhotoCalib(100.0, 5.0)
        assert calib.inst_flux_to_nanojansky(1000.0) == 1e5
        assert calib.inst_flux_to_nanojansky(1000.0, 10.0) == (1e5, 1000)
        magnitude, error = calib.inst_flux_to_magnitude(1000.0, 10.0)
        assert magnitude == pytest.approx(-2.5 * math.log10(1e5 / 3630780547701.0))
        assert error == pytest.approx(2.5 / math.log(10) * 0.01)
        assert calib.magnitude_to_inst_flux(magnitude) == pytest.approx(1000)
        assert math.isnan(calib.inst_flux_to_magnitude(-1.0))
        for wrong in ((-1.0, 0.0), (1.0, -1.0), (NAN, 0.0)):
            with pytest.raises(ValueError):
                afw.PhotoCalib(*wrong)

    def test_a_calibration_that_varies(self):
        """Ones and slopes as in afw: 1 + x/100 on a box of 101 x 101 pixels."""
        area = box(0, 0, 101, 101)
        field = afw.ChebyshevField(area, np.array([[1.5, 0.5], [0.0, 0.0]]))
        calib = afw.PhotoCalib.from_field(field)
        assert calib.calibration_mean == pytest.approx(1.5)
        assert calib.inst_flux_to_nanojansky(10.0, point=Point2D(0, 50)) == pytest.approx(10 * (1.5 - 0.5 * 50 / 50.5))
        image = MaskedImage.full(area, (2.0, "CR", 4.0))
        nanojansky = calib.calibrate_image(image)
        assert nanojansky[50, 50] == (3, 8, 9)
        assert image[50, 50] == (2, 8, 4)
        assert calib.uncalibrate_image(nanojansky)[99, 7] == (pytest.approx(2), 8, pytest.approx(4))


class TestPsf:
    def test_a_gaussian(self):
        psf = afw.GaussianPsf(51, 51, 4.0)
        kernel = psf.compute_kernel_image()
        assert kernel.xy0 == Point2I(-25, -25)
        assert kernel.array.sum() == pytest.approx(1)
        image = psf.compute_image(Point2D(100.25, 50.5))
        assert image.bbox.contains(Point2I(100, 50))
        assert image.array.sum() == pytest.approx(1)
        _, x = np.mgrid[image.y0 : image.y0 + image.height, image.x0 : image.x0 + image.width]
        assert (image.array * x).sum() == pytest.approx(100.25, abs=1e-3)
        assert tuple(psf.compute_shape())[:2] == pytest.approx((16, 16))
        for radius in (2.0, 4.0, 8.0):
            assert psf.compute_aperture_flux(radius, Point2D(0, 0)) == pytest.approx(
                1 - math.exp(-0.5 * (radius / 4) ** 2)
            )
        assert psf.compute_peak() == pytest.approx(kernel.array.max())
        for size in ((50, 51), (51, 50)):
            with pytest.raises(ValueError):
                afw.GaussianPsf(*size, 4.0)


class TestBackground:
    def test_a_constant_and_a_ramp(self):
        image = Image.full((512, 512), 2.0)
        background = afw.make_background(image, afw.BackgroundControl(7, 7, "NATURAL_SPLINE"))
        np.testing.assert_allclose(background.image().array, 2, rtol=1e-6)
        y, x = np.mgrid[:128, :100]
        ramp = Image((10 + 0.1 * x + 0.2 * y).astype("float32"))
        for style in ("AKIMA_SPLINE", "NATURAL_SPLINE", "LINEAR", "CHEBYSHEV"):
            surface = afw.make_background(ramp, afw.BackgroundControl(nx_sample=6, ny_sample=6, style=style)).image()
            np.testing.assert_allclose(surface.array, ramp.array, atol=1e-4)
        with pytest.raises(ValueError, match="outside"):
            background.image(box(500, 500, 20, 20))


class TestWcs:
    @pytest.fixture
    def wcs(self):
        return afw.Wcs.make_tan((100.0, 100.0), (30.0, 10.0), np.array([[-0.2, 0], [0, 0.2]]) / 3600)

    def test_origins_and_scale(self, wcs):
        assert wcs.pixel_origin == Point2D(100, 100)
        assert wcs.pixel_scale == pytest.approx(0.2)
        sky = wcs.pixel_to_sky(Point2D(100, 100))
        assert (sky.ra.deg, sky.dec.deg) == (pytest.approx(30), pytest.approx(10))
        assert wcs.sky_to_pixel(sky) == (pytest.approx(100, abs=1e-7), pytest.approx(100, abs=1e-7))
        assert wcs.pixel_to_sky(100.0, 3700.0).dec.deg == pytest.approx(10 + math.degrees(math.atan(math.radians(0.2))))
        assert not wcs.is_flipped
        moved = wcs.shifted((5, 6))
        assert moved.pixel_origin == Point2D(105, 106)

    def test_parts_of_an_exposure_keep_the_sky(self, wcs):
        exposure = afw.Exposure(MaskedImage.full(box(50, 60, 100, 90), (1.0, 0, 1.0)), wcs=wcs)
        part = exposure[box(70, 80, 20, 10)]
        assert part.wcs.pixel_to_sky(75, 85).separation(wcs.pixel_to_sky(75, 85)).arcsec < 1e-6
        sky = wcs.pixel_to_sky(75.0, 85.0)
        exposure.xy0 = (0, 0)
        assert exposure.wcs.sky_to_pixel(sky) == (pytest.approx(25, abs=1e-6), pytest.approx(25, abs=1e-6))

    def test_cutouts(self, wcs):
        exposure = afw.Exposure(MaskedImage.full(box(50, 60, 100, 90), (1.0, 0, 1.0)), wcs=wcs)
        cutout = exposure.get_cutout(wcs.pixel_to_sky(100.0, 100.0), Extent2I(11, 7))
        assert cutout.bbox == box(95, 97, 11, 7)
        over = exposure.get_cutout(Point2D(50, 60), Extent2I(10, 10))
        assert over.bbox == box(46, 56, 10, 10)
        assert np.isnan(over.image[46, 56])
        assert over.mask.interpret(over.mask[46, 56]) == "NO_DATA"
        assert over.mask[50, 60] == 0
        assert over.image[55, 65] == 1
        assert exposure.get_cutout(Point2D(49.5 + 1e-4, 60), Extent2I(3, 3)).bbox == box(49, 59, 3, 3)
        for center, size in ((Point2D(49.5 - 1e-4, 60), (3, 3)), (Point2D(70, 70), (0, 3)), (Point2D(NAN, 70), (3, 3))):
            with pytest.raises(ValueError):
                exposure.get_cutout(center, Extent2I(*size))
        with pytest.raises(ValueError):
            afw.Exposure(exposure.masked_image).get_cutout(wcs.pixel_to_sky(100.0, 100.0), Extent2I(3, 3))


class TestSourceTable:
    @pytest.fixture
    def catalog(self):
        schema = afw.SourceCatalog.minimal_schema()
        schema.add_field("a_instFlux", "D", "flux", "count")
        schema.add_field("a_instFluxErr", "D", "error", "count")
        schema.add_field("a_flag", "Flag", "bad")
        schema.add_field("c_x", "D", "", "pix")
        schema.add_field("c_y", "D", "", "pix")
        made = afw.SourceCatalog(schema, {"id": [3, 1, 2], "coord_ra": [0.3, 0.1, 0.2], "coord_dec": [0.0, 0.1, 0.2]})
        made.schema.aliases["slot_PsfFlux"] = "a"
        made.schema.aliases["slot_Centroid"] = "c"
        return made

    def test_new_records_hold_defaults(self, catalog):
        record = catalog.add_new()
        assert (record["id"], record["parent"], record["a_flag"]) == (0, 0, False)
        assert math.isnan(record["a_instFlux"])
        assert len(catalog) == 4

    def test_slots_and_aliases(self, catalog):
        catalog[0]["a_instFlux"] = 7.0
        assert catalog[0].getPsfInstFlux() == 7
        assert catalog["slot_PsfFlux_instFlux"][0] == catalog.psf_inst_flux[0] == 7
        catalog[1].set("c_x", 4.0)
        catalog[1].set("c_y", 5.0)
        assert catalog[1].getCentroid() == Point2D(4, 5)
        with pytest.raises(LookupError):
            catalog[0].getApInstFlux()
        catalog.schema.aliases["q"] = "a"
        assert catalog[0]["q_instFlux"] == 7

    def test_sorting_finding_and_choosing(self, catalog):
        assert catalog.find(2).row == 2
        assert catalog.find(9) is None
        assert not catalog.is_sorted()
        catalog.sort()
        assert catalog["id"].tolist() == [1, 2, 3]
        assert catalog[np.array([True, False, True])]["id"].tolist() == [1, 3]
        assert catalog.subset(np.array([False, True, False]))["id"].tolist() == [2]
        assert catalog[1:]["id"].tolist() == [2, 3]
        catalog.extend(catalog.copy())
        assert len(catalog) == 6
        del catalog[3:]
        assert catalog["coord_ra"].tolist() == [0.1, 0.2, 0.3]
        catalog["a_flag"] = np.array([True, False, True])
        assert catalog[catalog["a_flag"]]["id"].tolist() == [1, 3]
        with pytest.raises(KeyError):
            catalog["nothing"]

    def test_coordinates(self, catalog):
        sky = catalog[0].getCoord()
        assert (sky.ra.rad, sky.dec.rad) == (pytest.approx(0.3), pytest.approx(0.0))
        catalog[0]["c_x"], catalog[0]["c_y"] = 100.0, 100.0
        wcs = afw.Wcs.make_tan((100.0, 100.0), (30.0, 10.0), np.array([[-0.2, 0], [0, 0.2]]) / 3600)
        catalog[0].update_coord(wcs)
        assert catalog[0]["coord_ra"] == pytest.approx(math.radians(30))

    def test_astropy(self, catalog):
        table = catalog.as_astropy()
        assert table["coord_ra"].unit == "rad"
        assert table["a_flag"].dtype == bool
        assert table["a_instFlux"].description == "flux"
        assert np.shares_memory(table["id"], catalog["id"])
