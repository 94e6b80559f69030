"""Sets of pixels: exact ones, and what boolean arrays say of random ones."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from skybutler.imaging import (
    Box2I,
    Extent2I,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    Point2D,
    Point2I,
    Quadrupole,
    Spans,
    Stencil,
)

FRAME = Box2I(Point2I(-20, -20), Extent2I(50, 50))
sets = st.lists(
    st.tuples(st.integers(-6, 6), st.integers(-6, 6), st.integers(0, 5)).map(lambda r: (r[0], r[1], r[1] + r[2])),
    max_size=12,
).map(Spans)


def test_a_set_of_a_box_has_its_box_area_and_centroid():
    box = Box2I(Point2I(3, -2), Extent2I(4, 2))
    spans = Spans(box)
    assert (spans.area, spans.bbox, spans.centroid) == (8, box, Point2D(4.5, -1.5))
    assert tuple(spans.shape) == pytest.approx((1.25, 0.25, 0.0))
    assert list(spans) == [(-2, 3, 6), (-1, 3, 6)]
    assert spans.getBBox() == box
    assert spans.getArea() == 8


def test_runs_that_touch_or_overlap_are_one():
    assert list(Spans([(1, 5, 7), (1, 0, 2), (1, 3, 3), (0, 7, 9), (1, 6, 8)])) == [(0, 7, 9), (1, 0, 3), (1, 5, 8)]
    with pytest.raises(ValueError, match="not before x0"):
        Spans([(0, 3, 2)])


def test_the_end_of_a_row_does_not_touch_the_next_row():
    assert list(Spans([(0, 0, 4), (1, 0, 4)])) == [(0, 0, 4), (1, 0, 4)]


def test_an_empty_set_is_a_value():
    empty = Spans()
    assert empty.is_empty
    assert empty.bbox == Box2I()
    assert empty.area == 0
    assert np.isnan(empty.centroid.x)
    assert empty.split() == []
    assert empty.union(Spans(FRAME)) == Spans(FRAME)
    assert empty.intersect(Spans(FRAME)) == empty == empty.dilated(3) == empty.eroded(1)


@pytest.mark.parametrize(("stencil", "area"), [(Stencil.CIRCLE, 29), (Stencil.BOX, 49), (Stencil.MANHATTAN, 25)])
def test_shapes(stencil, area):
    spans = Spans.from_shape(3, stencil, (10, 20))
    assert spans.area == area
    assert spans.bbox == Box2I(Point2I(7, 17), Extent2I(7, 7))
    assert spans.centroid == Point2D(10, 20)


def test_membership():
    spans = Spans([(2, 3, 5)])
    assert (3, 2) in spans
    assert Point2I(6, 2) not in spans
    assert spans.contains(Spans([(2, 4, 5)]))
    assert not spans.contains(Spans([(2, 4, 6)]))
    assert spans.overlaps(Spans([(2, 5, 9)]))
    assert not spans.overlaps(Spans([(2, 6, 9)]))


def test_parts_hang_together_by_sides_and_corners():
    spans = Spans([(0, 0, 1), (1, 2, 3), (3, 0, 0)])
    assert not spans.is_contiguous
    assert [part.area for part in spans.split()] == [4, 1]


def test_masks_and_images_are_set_inside():
    mask, image = Mask.full((5, 4)), Image.full((5, 4))
    spans = Spans([(1, 3, 8), (9, 0, 0)])
    spans.set_mask(mask, ["CR", "SAT"])
    spans.set_image(image, 7.0)
    assert np.count_nonzero(mask.array) == np.count_nonzero(image.array == 7) == 2
    assert mask[3, 1] == 10
    assert Spans.from_mask(mask, "CR") == spans.clipped_to(mask.bbox) == Spans.from_mask(mask)
    assert Spans.from_mask(mask, "BAD").is_empty
    spans.clear_mask(mask, "CR")
    assert mask[4, 1] == 2


def test_pixels_are_taken_out_and_put_back():
    spans = Spans([(5, 10, 11), (6, 11, 12)])
    values = np.arange(12.0).reshape(3, 4)
    line = spans.flatten(values, (9, 4))
    assert line.tolist() == [5, 6, 10, 11]
    assert spans.unflatten(line, -1).tolist() == [[5, 6, -1], [-1, 10, 11]]
    with pytest.raises(IndexError, match="not all in an array"):
        spans.flatten(values)


@settings(deadline=None, max_examples=80)
@given(left=sets, right=sets, radius=st.integers(0, 4), stencil=st.sampled_from(list(Stencil)))
def test_sets_behave_as_boolean_arrays(left, right, radius, stencil):
    one, other = left.to_array(FRAME), right.to_array(FRAME)
    assert np.array_equal((left | right).to_array(FRAME), one | other)
    assert np.array_equal((left & right).to_array(FRAME), one & other)
    assert np.array_equal((left - right).to_array(FRAME), one & ~other)
    structure = Spans.from_shape(radius, stencil).to_array()
    assert np.array_equal(left.dilated(radius, stencil).to_array(FRAME), ndimage.binary_dilation(one, structure))
    assert np.array_equal(left.eroded(radius, stencil).to_array(FRAME), ndimage.binary_erosion(one, structure))
    assert Spans.from_array(one, FRAME.min) == left
    assert left.shifted_by((3, -2)).shifted_by(Extent2I(-3, 2)) == left
    assert sum(part.area for part in left.split()) == left.area
    assert left.area == np.count_nonzero(one)


@settings(deadline=None, max_examples=40)
@given(left=sets, right=sets)
def test_a_set_is_put_upon_each_pixel_of_another(left, right):
    grown = {
        (x + i, y + j) for y, x in zip(*left.indices(), strict=True) for j, i in zip(*right.indices(), strict=True)
    }
    assert grown == {(x, y) for y, x in zip(*left.dilated(right).indices(), strict=True)}
    if right.is_empty:
        return
    inside = {(x, y) for y, x in zip(*left.indices(), strict=True)}
    offsets = list(zip(*right.indices(), strict=True))
    low, high = left.bbox.dilated_by(12).min, left.bbox.dilated_by(12).max
    kept = {
        (x, y)
        for x in range(low.x, high.x + 1)
        for y in range(low.y, high.y + 1)
        if (x, y) in inside and all((x + i, y + j) in inside for j, i in offsets)
    }
    assert kept == {(x, y) for y, x in zip(*left.eroded(right).indices(), strict=True)}


def test_edge_pixels_have_a_side_outside():
    edge = Spans.from_shape(6).edge_pixels()
    assert list(edge)[:5] == [(-6, 0, 0), (-5, -3, -1), (-5, 1, 3), (-4, -4, -4), (-4, 4, 4)]
    assert (0, -6, -6) in list(edge)
    assert Spans(Box2I(Point2I(0, 0), Extent2I(2, 2))).edge_pixels().area == 4
    assert Spans().edge_pixels().is_empty


def test_ellipses():
    """The numbers of afw's tests of footprints: circles of 29 pixels, and an ellipse that is found again."""
    assert Spans.from_ellipse(Quadrupole.from_axes(3, 3)) == Spans.from_shape(3)
    assert Spans.from_ellipse(Quadrupole.from_axes(3, 3), (50, 47)).area == 29
    touching = [Spans.from_ellipse(Quadrupole.from_axes(3, 3), (50, y)) for y in (47, 53)]
    eight = touching[0].union(touching[1])
    assert (eight.area, eight.eroded(1).area) == (57, 26)
    spans = Spans.from_ellipse(Quadrupole.from_axes(25, 15, math.radians(30)), (23, 25))
    assert spans.centroid == pytest.approx((23, 25), abs=1e-12)
    a, b, theta = spans.shape.axes
    assert (2 * a, 2 * b) == pytest.approx((25, 15), abs=0.15)
    assert math.degrees(theta) == pytest.approx(30, abs=0.2)
    assert Spans.from_ellipse(Quadrupole(0, 0), (0.5, 0.5)).is_empty


def test_masks_are_sets_too():
    mask = Mask.full((20, 20))
    for y, bits in ((2, 3), (8, 3), (5, 4)):
        Spans.from_shape(2, Stencil.BOX, (3, y)).set_mask(mask, bits)
    middle = Spans.from_shape(2, Stencil.BOX, (3, 5))
    assert [y for y, _, _ in middle.intersect(mask, 2)] == [3, 4, 6, 7]
    assert list(middle.intersect_not(mask, 2)) == [(5, 1, 5)]
    assert [y for y, _, _ in middle.union(mask, 2)] == list(range(11))
    assert middle.union(mask).area == 55


def test_pixels_are_copied_inside():
    source, target = MaskedImage(np.arange(100.0).reshape(10, 10)), MaskedImage.full((10, 10), dtype="float64")
    source.variance.array[...] = source.image.array.T
    source.mask.array[...] = 1
    Spans([(4, 3, 6), (5, 2, 4), (9, 8, 99)]).copy_pixels(source, target)
    assert target.image.array[4].tolist() == [0, 0, 0, 43, 44, 45, 46, 0, 0, 0]
    assert target.variance.array[5].tolist() == [0, 0, 25, 35, 45, 0, 0, 0, 0, 0]
    assert (np.count_nonzero(target.mask.array), target.image[9, 9]) == (9, 99)
    part, other = Image.full((100, 100)), Image(np.ones((30, 10), "float32"), (45, 45))
    Spans([(50, 50, 60), (60, 0, 100), (99, 0, 1000)]).copy_pixels(other, part[40:60, 40:60])
    assert np.count_nonzero(part.array) == part.array[50, 50:55].sum() == 5
    renamed = Mask.full((2, 2), schema=MaskSchema.from_dict({"BAD": 3}))
    Spans([(0, 0, 1)]).copy_pixels(Mask.full((2, 2), "BAD"), renamed)
    assert renamed.array.tolist() == [[8, 8], [0, 0]]
    with pytest.raises(TypeError, match="a Image cannot be copied to a Mask"):
        Spans([(0, 0, 1)]).copy_pixels(Image.full((2, 2)), renamed)


def test_arrays_of_more_dimensions_become_lines():
    spans, cube = Spans.from_shape(2, Stencil.BOX).shifted_by(2, 2), np.arange(75).reshape(5, 5, 3)
    lines = spans.flatten(cube)
    assert np.array_equal(lines, cube.reshape(25, 3))
    assert np.array_equal(spans.unflatten(lines), cube)
    assert spans.shifted_by((1, 1)) == spans.shifted_by(1, 1)
