"""Images: indices, views, assignment and arithmetic in place."""

import copy
import pickle

import numpy as np
import pytest

from skybutler.imaging import LOCAL, PARENT, Box2I, Extent2I, Image, Point2I


def ramp(width=10, height=12, xy0=(0, 0), dtype="float32"):
    return Image(np.arange(width * height, dtype=dtype).reshape(height, width), xy0=xy0)


def box(x0, y0, x1, y1):
    return Box2I(Point2I(x0, y0), Point2I(x1, y1))


def test_wraps_and_shares_an_array():
    array = np.zeros((3, 4), "float32")
    image = Image(array, xy0=(100, 50))
    image[101, 52] = 7
    assert array[2, 1] == 7
    assert image.array is array
    assert (image.width, image.height) == (4, 3)
    width, height = image.getDimensions()
    assert (width, height) == (4, 3)
    assert image.getXY0() == Point2I(100, 50)
    assert (image.getX0(), image.getY0()) == (100, 50)
    assert image.getBBox() == Box2I(Point2I(100, 50), Extent2I(4, 3))
    assert image.getBBox(LOCAL) == Box2I(Point2I(0, 0), Extent2I(4, 3))
    assert repr(image) == "Image(4x3 float32, xy0=(100, 50))"


def test_full_takes_a_box_or_a_size():
    placed = Image.full(Box2I(Point2I(100, 50), Extent2I(64, 32)), 2.5, dtype="float64")
    assert (placed.xy0, placed.array.shape, placed.dtype) == (Point2I(100, 50), (32, 64), np.float64)
    assert Image.full(Extent2I(3, 2)).xy0 == Point2I(0, 0)
    with pytest.raises(ValueError, match="at most"):
        Image.full(Extent2I(50_000, 50_000))


def test_what_is_no_image():
    with pytest.raises(ValueError, match="shape"):
        Image(np.zeros(3))
    with pytest.raises(TypeError, match="numbers"):
        Image(np.array([["a"]]))


def test_indices_are_x_y_in_parent_coordinates():
    image = ramp(xy0=(100, 50))
    assert image[103, 52] == image[103, 52, PARENT] == image[3, 2, LOCAL] == image[Point2I(103, 52)] == 23
    assert image[Point2I(3, 2), LOCAL] == 23
    assert image[-1, -1, LOCAL] == 119
    assert image[np.int64(103), np.uint8(52)] == 23


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ((3, 2), IndexError),
        ((110, 50), IndexError),
        ((-1, 50), IndexError),
        ((10, 0, LOCAL), IndexError),
        ((-11, 0, LOCAL), IndexError),
        ((slice(0, 4), slice(50, 52)), IndexError),
        ((slice(100, 111), slice(50, 52)), IndexError),
        (box(99, 50, 100, 51), IndexError),
        ((slice(100, 104, 1), slice(50, 52)), ValueError),
        ((slice(104, 102), slice(50, 52)), ValueError),
        ((100, slice(50, 52)), TypeError),
        (slice(100, 102), TypeError),
        (100, TypeError),
        ((100.0, 50), TypeError),
        ((100, 50, 0), TypeError),
    ],
)
def test_indices_that_mean_nothing_here(key, error):
    image = ramp(xy0=(100, 50))
    with pytest.raises(error):
        image[key]
    before = image.array.copy()
    with pytest.raises(error):
        image[key] = 1
    assert np.array_equal(image.array, before)


def test_negative_parent_coordinates_are_reached_by_points():
    image = ramp(xy0=(-5, -5))
    with pytest.raises(IndexError, match="Point2I"):
        image[-5, -5]
    assert image[Point2I(-5, -5)] == 0
    assert image[Box2I(Point2I(-5, -5), Extent2I(2, 2))].array.tolist() == [[0, 1], [10, 11]]


def test_slices_and_boxes_give_views():
    image = ramp()
    view = image[2:8, 3:10]
    assert view.bbox == image[box(2, 3, 7, 9)].bbox == box(2, 3, 7, 9)
    view[2, 3] = -1
    assert image[2, 3] == -1
    assert image[:].bbox == image.bbox
    assert image[-3:, -2:, LOCAL].bbox == box(7, 10, 9, 11)


def test_local_of_a_view_of_a_view_counts_from_the_view():
    sub1 = ramp()[box(2, 3, 7, 9)]
    inner = box(3, 4, 5, 5)
    assert sub1[inner].getBBox() == box(3, 4, 5, 5)
    assert sub1[inner, LOCAL].getBBox(PARENT) == box(5, 7, 7, 8)
    assert sub1[inner].getBBox(LOCAL) == sub1[inner, LOCAL].getBBox(LOCAL) == box(0, 0, 2, 1)


def test_positions_and_indices_are_an_origin_apart():
    image = Image.full(Box2I(Point2I(100, 50), Extent2I(4, 3)))
    assert (image.index_to_position(2, 0), image.index_to_position(2.5, 1)) == (102.0, 52.5)
    assert image.position_to_index(102.25, 0) == (2, 0.25)
    assert image.position_to_index(51.5, 1) == (2, -0.5)


def test_moving_a_view_leaves_its_parent():
    image = ramp()
    view = image[2:4, 2:4]
    view.setXY0(Point2I(50, 60))
    assert (view.xy0, image.xy0) == (Point2I(50, 60), Point2I(0, 0))
    view.setXY0(1, 2)
    assert view[1, 2] == image[2, 2]


def test_assignment_to_a_box():
    image = ramp()
    image[4:6, 1:3] = 15
    assert image[5, 2] == 15
    image[4:6, 1:3] = ramp(2, 2, xy0=(70, 70))  # where the other image lies does not matter
    assert image[4:6, 1:3].array.tolist() == [[0, 1], [2, 3]]
    image[4:6, 1:3] = [[5, 6], [7, 8]]
    assert image[4, 2] == 7
    with pytest.raises(ValueError, match="do not fit"):
        image[4:6, 1:3] = np.zeros((1, 2))
    with pytest.raises(ValueError, match="do not fit"):
        image[4:6, 1:3] = ramp(3, 2)


def test_an_empty_selection_is_harmless():
    image = ramp()
    before = image.array.copy()
    image[4:4, 0:3] = 99
    image[4:4, 0:3] = ramp()
    image[Box2I()] = 99
    assert image[4:4, 0:3].dimensions == Extent2I(0, 0)
    assert np.array_equal(image.array, before)


def test_values_are_cast_to_the_pixels_type_but_planes_of_floats_are_not():
    image = ramp(dtype="int32")
    image[0, 0] = 3.9
    assert image[0, 0] == 3
    with pytest.raises(TypeError, match="astype"):
        image[0:2, 0:1] = np.array([[0.5, 0.5]])


def test_array_assignment_copies_into_the_pixels():
    image = ramp()
    array = image.array
    image.array = np.ones((12, 10))
    image.array += 5
    assert image.array is array
    assert image[0, 0] == 6
    with pytest.raises(ValueError, match="do not fit"):
        image.array = np.ones((10, 12))
    with pytest.raises(TypeError, match="None"):
        image.array = None


def test_copies_share_nothing():
    image = ramp(xy0=(3, 4))
    for other in (image.clone(), copy.deepcopy(image), pickle.loads(pickle.dumps(image)), image.astype("float32")):
        assert other.xy0 == (3, 4)
        assert np.array_equal(other.array, image.array)
        assert not np.shares_memory(other.array, image.array)
    assert image != image.clone()  # identity, as pixels have no single meaning of equality
    assert np.asarray(image) is image.array
    with pytest.raises(TypeError):
        float(Image.full(Extent2I(1, 1)))


def test_arithmetic_in_place():
    image = Image.full(Extent2I(3, 2), 6.0)
    same = image
    image += 2
    image -= Image.full(Box2I(Point2I(9, 9), Extent2I(3, 2)), 3.0)
    image *= np.full((2, 3), 4.0)
    image /= 5
    assert image is same
    assert np.all(image.array == np.float32(4))
    image.scaledPlus(2, Image.full(Extent2I(3, 2), 3.0))
    image.scaled_minus(1, 2)
    image.scaled_multiplies(3, 2)
    image.scaled_divides(2, Image.full(Extent2I(3, 2), 3.0))
    assert np.all(image.array == 8)


def test_arithmetic_that_cannot_work_leaves_everything_as_it_was():
    image, whole = ramp(), ramp(dtype="int32")
    with pytest.raises(ValueError, match="differ in size"):
        image += ramp(3, 3)
    with pytest.raises(TypeError, match="not with str"):
        image += "1"
    with pytest.raises(TypeError, match="astype"):
        whole /= 2
    with pytest.raises(TypeError, match="astype"):
        whole += 0.5
    with pytest.raises(OverflowError):
        whole += 2**40
    assert np.array_equal(image.array.ravel(), np.arange(120))
    assert np.array_equal(whole.array.ravel(), np.arange(120))


def test_expressions_that_would_copy_are_refused():
    image = ramp()
    for expression in (
        lambda: image + image,
        lambda: 2 * image,
        lambda: image / 2,
        lambda: np.ones((12, 10)) - image,
    ):
        with pytest.raises(NotImplementedError, match="in place"):
            expression()


def test_overlapping_views_act_as_separate_copies():
    image = ramp()
    expected = image.array.copy()
    expected[1:] += expected[:-1].copy()
    view = image[0:10, 1:12]
    view += image[0:10, 0:11]
    assert np.array_equal(image.array, expected)


def test_intermediates_do_not_overflow_where_the_result_fits():
    image = Image.full(Extent2I(2, 1), 1e-30)
    image.scaled_multiplies(1e30, Image.full(Extent2I(2, 1), 1e30))
    assert np.allclose(image.array, 1e30)
    image *= 1e300
    assert np.all(image.array == np.inf)


def test_assignment_may_align_what_both_images_cover():
    image, other = Image.full((5, 4)), Image.full(Box2I(Point2I(3, 2), Extent2I(5, 5)), 7.0)
    image.assign(other, align=True)
    assert image.array.sum() == 4 * 7
    assert image[3, 2] == 7
    image.assign(Image.full(Box2I(Point2I(90, 90), Extent2I(5, 5)), 9.0), align=True)
    assert image.array.max() == 7


def test_an_image_of_an_image_is_a_view_at_its_place():
    image = Image.full(Box2I(Point2I(5, 6), Extent2I(2, 2)))
    again = Image(image)
    assert again.xy0 == Point2I(5, 6)
    assert again.array is image.array
    assert Image(image, xy0=(1, 2)).xy0 == Point2I(1, 2)
    with pytest.raises(TypeError, match=r"Image.full\(Extent2I\(3, 4\)\) makes one"):
        Image(Extent2I(3, 4))
    with pytest.raises(TypeError, match=r"Image.full\(Box2I"):
        Image(image.bbox)


def test_set_assign_to_a_box_and_sqrt():
    image = Image.full(Box2I(Point2I(5, 6), Extent2I(3, 2)), 1.0)
    image.set(9)
    assert image.array.tolist() == [[9, 9, 9], [9, 9, 9]]
    image.assign(Image.full(Extent2I(2, 1), 4.0), box(6, 7, 7, 7))
    image.assign(-1.0, box(0, 0, 0, 0), LOCAL)
    assert image.array.tolist() == [[-1, 9, 9], [9, 4, 4]]
    image.assign(Image.full(box(7, 7, 8, 8), 16.0), box(5, 7, 7, 7), align=True)
    image.sqrt()
    assert np.array_equal(image.array, [[np.nan, 3, 3], [3, 2, 4]], equal_nan=True)
    with pytest.raises(ValueError, match="do not fit"):
        image.assign(Image.full(Extent2I(2, 2)), box(6, 7, 7, 7))
    with pytest.raises(IndexError):
        image.assign(0.0, box(0, 0, 0, 0))


def test_truth_values_are_no_indices():
    with pytest.raises(TypeError, match="integers, not by True"):
        ramp()[True, False]
