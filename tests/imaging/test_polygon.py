"""Outlines in pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skybutler.imaging import Box2D, Box2I, Extent2I, Point2D, Point2I, Polygon


def test_a_polygon_of_a_box_contains_points_and_arrays_of_positions():
    polygon = Polygon(Box2D(Point2D(1.0, 2.0), Point2D(5.0, 4.0)))
    assert polygon.area == 8.0
    assert polygon.bbox == Box2D(Point2D(1.0, 2.0), Point2D(5.0, 4.0))
    assert polygon.contains(Point2D(3.0, 3.0)) is True
    assert polygon.contains([0.0, 3.0], 3.0).tolist() == [False, True]
    with pytest.raises(TypeError, match="Point2D, or positions"):
        polygon.contains(3.0)


def test_what_polygons_have_in_common():
    square = Polygon(Box2D(Point2D(0.0, 0.0), Point2D(4.0, 4.0)))
    triangle = Polygon([(2.0, 2.0), (6.0, 2.0), (2.0, 6.0)])
    common = square.intersection(triangle)
    assert common.area == 4.0
    assert common.bbox == Box2D(Point2D(2.0, 2.0), Point2D(4.0, 4.0))
    assert Polygon(triangle.vertices[::-1]).intersection(square).area == 4.0
    assert square.intersection(Box2D(Point2D(9.0, 9.0), Point2D(10.0, 10.0))) is None
    arrow = Polygon([(0.0, 0.0), (4.0, 2.0), (0.0, 4.0), (1.0, 2.0)])
    assert not arrow.is_convex
    assert arrow.intersection(square).calculateArea() == arrow.area == 6.0
    with pytest.raises(ValueError, match="neither is"):
        arrow.intersection(arrow)


def test_the_image_of_a_polygon_is_how_much_of_each_pixel_it_covers():
    box = Box2I(Point2I(10, 20), Extent2I(4, 3))
    square = Polygon(Box2D(Point2D(9.0, 20.0), Point2D(11.75, 21.5)))
    expected = [[0.5, 0.5, 0.125, 0], [1, 1, 0.25, 0], [0, 0, 0, 0]]
    assert square.create_image(box).array.tolist() == expected
    assert Polygon(square.vertices[::-1]).createImage(box).array.tolist() == expected
    assert square.create_image(box).bbox == box


@given(st.lists(st.tuples(st.floats(-3, 12), st.floats(-3, 12)), min_size=3, max_size=3))
def test_what_pixels_are_covered_sums_to_the_area(corners):
    triangle = Polygon(corners)
    box = Box2I(Point2I(-5, -5), Extent2I(20, 20))
    covered = triangle.create_image(box).array.sum(dtype=np.float64)
    assert covered == pytest.approx(triangle.area, abs=1e-4)
    part = Box2I(Point2I(2, 3), Extent2I(4, 5))
    inside = triangle.intersection(Box2D(part))
    assert triangle.create_image(part).array.sum() == pytest.approx(0.0 if inside is None else inside.area, abs=1e-4)
