"""Numbers that afw's own tests ask for of boxes, images and masks; where afw is known to be wrong, what is right.

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
