"""Regions are IVOA text, with exact geometry behind it."""

import copy
import pickle

import pytest

from skybutler.model.region import Region


def test_constructors_write_ivoa_text_with_every_digit():
    assert Region.circle(10, -5, 0.1).ivoa == "CIRCLE 10.0 -5.0 0.1"
    assert Region.point(1, 2).ivoa == "POINT 1.0 2.0"
    assert Region.polygon([(0, 0), (1, 0), (0, 1 / 3)]).ivoa == "POLYGON 0.0 0.0 1.0 0.0 0.0 0.3333333333333333"
    assert Region.box(10, 20, 2, 4).ivoa == "RANGE 9.0 11.0 18.0 22.0"


def test_case_and_spaces_do_not_matter():
    assert Region("  circle  1 2   3 ") == Region("CIRCLE 1 2 3")
    assert Region("circle 1 2 3").contains(1, 2)
    assert hash(Region("point 1 2")) == hash(Region("POINT 1 2"))


@pytest.mark.parametrize(
    "text",
    [
        "", "SQUARE 1 2 3", "CIRCLE 1 2", "CIRCLE 1 2 x", "CIRCLE 1 2 -3", "CIRCLE 1 91 3", "CIRCLE nan 2 3",
        "CIRCLE 1 2 inf", "POINT 1", "POINT 1 -90.5", "RANGE 1 2 3", "RANGE 1 2 5 3", "POLYGON 0 0 1 1",
        "POLYGON 0 0 1 1 2", "POLYGON 0 0 1 1 2 95",
    ],
)  # fmt: skip
def test_text_that_is_no_region_is_a_value_error_that_shows_it(text):
    with pytest.raises(ValueError, match="not a region"):
        Region(text)


def test_a_polygon_on_one_great_circle_is_refused_when_its_shape_is_asked_for():
    with pytest.raises(ValueError, match="not a region: 'POLYGON 0 0 1 0 2 0'"):
        Region("POLYGON 0 0 1 0 2 0").htm_pixels(7)


def test_a_polygon_is_the_same_in_either_direction():
    for text in ("POLYGON 0 0 1 0 1 1 0 1", "POLYGON 0 0 0 1 1 1 1 0"):
        assert Region(text).contains(0.5, 0.5)
        assert not Region(text).contains(1.5, 0.5)


def test_boxes_cross_the_meridian_and_reach_the_pole():
    assert Region.box(0, 0, 2, 2).contains(359.5, 0)
    assert Region.box(359.5, 0, 2, 2).contains(0.2, 0)
    assert not Region.box(0, 0, 2, 2).contains(358.5, 0)
    assert Region.box(10, 89.5, 360, 2).contains(200, 89.9)


def test_a_box_of_negative_size_is_refused():
    with pytest.raises(ValueError, match="-1 x 2"):
        Region.box(0, 0, -1, 2)


def test_overlap_is_exact_to_the_arcsecond():
    circle = Region.circle(10, 0, 1)
    assert circle.overlaps(Region.circle(12 - 1 / 3600, 0, 1))
    assert not circle.overlaps(Region.circle(12 + 1 / 3600, 0, 1))
    assert circle.overlaps(Region.point(10.5, 0))


def test_a_point_lies_in_one_pixel_and_a_region_in_those_that_hold_its_points():
    ((begin, end),) = Region.point(10, 20).htm_pixels(7)
    assert end - begin == 1
    covering = Region.circle(10, 20, 1).htm_pixels(7)
    assert any(first <= begin < last for first, last in covering)
    assert all(first < last for first, last in covering)


def test_regions_are_pickled_and_copied_with_or_without_their_shape():
    region = Region.circle(1, 2, 3)
    assert pickle.loads(pickle.dumps(region)) == region
    assert region.contains(1, 2)
    assert pickle.loads(pickle.dumps(region)) == copy.deepcopy(region) == region
