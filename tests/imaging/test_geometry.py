"""Points, extents and boxes: immutable values with exact integer semantics."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skybutler.imaging import Box2D, Box2I, Extent2D, Extent2I, Point2D, Point2I

coordinates = st.integers(-20, 20)
boxes = st.builds(
    lambda x, y, w, h: Box2I(Point2I(x, y), Extent2I(w, h), invert=False),
    coordinates,
    coordinates,
    st.integers(-1, 8),
    st.integers(-1, 8),
)


def pixels(box):
    return {(x, y) for x in range(box.begin_x, box.end_x) for y in range(box.begin_y, box.end_y)}


def test_points_and_extents_have_their_own_arithmetic():
    assert Point2I(5, 7) - Point2I(2, 3) == Extent2I(3, 4)
    assert Point2I(5, 7) + Extent2I(1, 1) == Point2I(6, 8)
    assert Point2I(5, 7) - Extent2I(1, 1) == Point2I(4, 6)
    assert Extent2I(1, 2) + Point2I(1, 1) == Point2I(2, 3)
    assert isinstance(Point2I(1, 2) + Extent2D(0.5, 0.5), Point2D)
    assert Extent2I(3, 5) / 2 == Extent2D(1.5, 2.5)
    assert Extent2I(-3, 5) // 2 == Extent2I(-2, 2)
    assert 2 * Extent2I(3, 4) == Extent2I(6, 8)
    assert repr(-Extent2I(3, -4)) == "Extent2I(-3, 4)"
    assert repr(-Extent2D(3, -4)) == "Extent2D(-3.0, 4.0)"
    with pytest.raises(TypeError):
        Point2I(1, 2) + Point2I(1, 2)
    with pytest.raises(TypeError, match="integers"):
        Point2I(1.0, 2)
    extent = Extent2I(2, 4)
    with pytest.raises(TypeError, match="//"):
        extent /= 2


def test_pairs_unpack_compare_and_hash_as_tuples():
    width, height = Extent2I(31, 54)
    assert (width, height) == (31, 54) == Extent2I(31, 54)
    assert Point2I(1, 2) != Extent2I(1, 2)
    assert len({Point2I(1, 2), Point2I(1, 2), Point2I(np.int64(1), 2)}) == 1
    assert Point2I(3, 4).getX() == 3
    assert pickle.loads(pickle.dumps(Point2D(0.5, 1))) == Point2D(0.5, 1)
    assert eval(repr(Extent2D(1, 2.5))) == Extent2D(1, 2.5)


@pytest.mark.parametrize(("given_", "pixel"), [((1.5, -0.5), (2, 0)), ((1.49, -0.51), (1, -1)), ((-1.5, 0), (-1, 0))])
def test_a_position_rounds_to_the_pixel_that_holds_it(given_, pixel):
    assert Point2I(Point2D(*given_)) == pixel


def test_boxes_are_inclusive():
    box = Box2I(Point2I(10, 10), Extent2I(31, 54))
    assert box == Box2I(Point2I(10, 10), Point2I(40, 63))
    assert (box.max, box.end) == (Point2I(40, 63), Point2I(41, 64))
    assert box.slices == (slice(10, 64), slice(10, 41))
    assert Box2I.from_slices(box.slices) == box
    assert box.area == 31 * 54
    assert box.corners == (Point2I(10, 10), Point2I(40, 10), Point2I(40, 63), Point2I(10, 63))
    assert box.getCenter() == Point2D(25, 36.5)
    assert eval(repr(box)) == box
    assert pickle.loads(pickle.dumps(box)) == box
    assert (box != (3, 4, 5)) is True


def test_negative_sizes_invert_or_make_it_empty():
    assert Box2I(Point2I(5, 5), Point2I(3, 2)) == Box2I(Point2I(3, 2), Point2I(5, 5))
    assert Box2I(Point2I(5, 5), Extent2I(-3, 1)) == Box2I(Point2I(3, 5), Extent2I(3, 1))
    assert Box2I(Point2I(5, 5), Extent2I(-3, 1), invert=False).is_empty
    assert Box2I(Point2I(5, 5), Extent2I(0, 9)) == Box2I()
    with pytest.raises(TypeError, match="Extent2I"):
        Box2I((2, 3), (7, 9))


def test_the_empty_box_is_a_value():
    empty, box = Box2I(), Box2I(Point2I(1, 1), Extent2I(2, 2))
    assert (empty.min, empty.max, empty.dimensions) == (Point2I(0, 0), Point2I(-1, -1), Extent2I(0, 0))
    assert box.contains(empty)
    assert empty.contains(empty)
    assert not empty.contains(box)
    assert not box.overlaps(empty)
    assert box.is_disjoint_from(empty)
    assert empty.dilated_by(3) == empty.shifted_by(Extent2I(1, 1)) == empty
    with pytest.raises(TypeError, match="shifted by an Extent2I"):
        empty.shifted_by(Point2I(1, 1))
    assert empty.expanded_to(Point2I(4, 5)) == Box2I(Point2I(4, 5), Extent2I(1, 1))
    assert box.eroded_by(1).is_empty


@given(boxes)
def test_boxes_become_lists_and_boxes_again(box):
    assert Box2I.from_list(box.to_list()) == box
    assert Box2I.from_list(np.array([3.0, 4.0, 5.0, 6.0])).to_list() == [3, 4, 5, 6]


def test_boxes_are_mirrored_about_a_column_or_a_row():
    box = Box2I(Point2I(2, 3), Extent2I(4, 5))
    assert box.reflected_about_x(0) == Box2I(Point2I(-5, 3), Extent2I(4, 5))
    assert box.reflected_about_y(10) == Box2I(Point2I(2, 13), Extent2I(4, 5))
    assert Box2I().reflected_about_y(10).is_empty


def test_boxes_never_change():
    box = Box2I(Point2I(0, 0), Extent2I(2, 2))
    with pytest.raises(AttributeError, match="never changes"):
        box.width = 3
    with pytest.raises(AttributeError):
        Point2I(1, 2).x = 3


@given(boxes, boxes)
def test_boxes_are_sets_of_pixels(left, right):
    assert pixels(left.clipped_to(right)) == pixels(left) & pixels(right)
    assert left.overlaps(right) == bool(pixels(left) & pixels(right))
    assert left.contains(right) == (pixels(right) <= pixels(left))
    assert pixels(left.expanded_to(right)) >= pixels(left) | pixels(right)
    assert left.area == len(pixels(left))
    for margin in range(3):
        if not left.is_empty:
            assert left.dilated_by(margin).eroded_by(margin) == left


@given(boxes)
def test_pixel_boxes_survive_the_trip_through_areas(box):
    assert Box2I(Box2D(box)) == box
    assert Box2I(Box2D(box), Box2I.SHRINK) == box
    assert Box2D(box).area == box.area


def test_areas_become_pixels_by_expanding_or_shrinking():
    area = Box2D(Point2D(0.2, 0.2), Point2D(3.7, 3.4))
    assert Box2I(area) == Box2I(Point2I(0, 0), Point2I(4, 3))
    assert Box2I(area, Box2I.SHRINK) == Box2I(Point2I(1, 1), Point2I(3, 2))
    with pytest.raises(ValueError, match="finite"):
        Box2I(Box2D(Point2D(0, 0), Point2D(math.inf, 1)))


def test_contains_takes_arrays():
    inside = Box2I(Point2I(0, 0), Extent2I(2, 2)).contains(np.array([0, 1, 2]), np.array([0, 1, 1]))
    assert inside.tolist() == [True, True, False]


def test_centered_boxes():
    assert Box2I.make_centered_box(Point2D(5, 5), Extent2I(3, 4)) == Box2I(Point2I(4, 4), Extent2I(3, 4))
    assert Box2I.make_centered_box(Point2D(5, 5), Extent2I(0, 4)).is_empty
    with pytest.raises(ValueError, match="finite"):
        Box2I.make_centered_box(Point2D(math.nan, 5), Extent2I(3, 4))


def test_areas_are_half_open_for_positions_and_closed_for_areas():
    area = Box2D(Point2D(0, 0), Extent2D(2, 2))
    assert area.contains(Point2D(0, 0))
    assert not area.contains(Point2D(2, 1))
    assert area.contains(Box2D(Point2D(1, 1), Point2D(2, 2)))
    assert area.expanded_to(Point2D(3, 3)).contains(Point2D(3, 3))
    assert Box2D() == Box2D(Point2D(1, 1), Extent2D(0, 3))
    assert area.clipped_to(Box2D(Point2D(5, 5), Extent2D(1, 1))).is_empty
    assert eval(repr(area)) == area


def test_what_is_not_finite_lies_in_no_pixel():
    for position in (Point2D(float("nan"), 1), Point2D(0, float("inf"))):
        with pytest.raises(ValueError, match="lies in no pixel"):
            Point2I(position)
