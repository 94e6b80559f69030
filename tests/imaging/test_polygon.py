"""Outlines in pixels."""

import pytest

from skybutler.imaging import Box2D, Point2D, Polygon


def test_a_polygon_of_a_box_contains_points_and_arrays_of_positions():
    polygon = Polygon(Box2D(Point2D(1.0, 2.0), Point2D(5.0, 4.0)))
    assert polygon.area == 8.0
    assert polygon.bbox == Box2D(Point2D(1.0, 2.0), Point2D(5.0, 4.0))
    assert polygon.contains(Point2D(3.0, 3.0)) is True
    assert polygon.contains([0.0, 3.0], 3.0).tolist() == [False, True]
    with pytest.raises(TypeError, match="Point2D, or positions"):
        polygon.contains(3.0)
