"""Stacks: for each pixel what `make_statistics` says of the pixels through the stack."""

import math

import numpy as np
import pytest

from skybutler.imaging import (
    ERRORS,
    IQRANGE,
    MAX,
    MEAN,
    MEANCLIP,
    MEANSQUARE,
    MEDIAN,
    MIN,
    NPOINT,
    STDEV,
    STDEVCLIP,
    SUM,
    VARIANCE,
    VARIANCECLIP,
    Box2I,
    Exposure,
    Extent2I,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    Point2I,
    StatisticsControl,
    make_statistics,
    stack,
    statistics_stack,
)

EACH = [MEAN, MEDIAN, IQRANGE, STDEV, VARIANCE, MEANSQUARE, MIN, MAX, SUM, NPOINT, MEANCLIP, STDEVCLIP, VARIANCECLIP]


def frames(n, shape=(4, 6), seed=5):
    """Frames with outliers, NaN and saturated pixels, some pixels without any good input."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        pixels = rng.normal(100, 5, shape)
        pixels[rng.random(shape) < 0.05] = 1e4
        pixels[rng.random(shape) < 0.05] = np.nan
        bits = np.where(rng.random(shape) < 0.2, 2, 0).astype("int32")
        bits[0, 0] = 2
        variance = rng.uniform(1, 9, shape)
        made.append(MaskedImage(pixels, Mask(bits), variance))
    return made


@pytest.mark.parametrize("which", EACH, ids=lambda which: which.name)
@pytest.mark.parametrize("n", [2, 3, 7, 30])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weighted": True},
        {"calc_error_from_input_variance": True},
        {"weighted": True, "calc_error_mosaic_mode": True},
    ],
    ids=["plain", "weighted", "from variance", "mosaic"],
)
def test_each_pixel_is_what_statistics_say(which, n, options):
    control = StatisticsControl(and_mask=["SAT"], num_sigma_clip=2.5, **options)
    images = frames(n)
    result = statistics_stack(images, which, control)
    for y in range(4):
        for x in range(6):
            column = [np.array([[image[x, y][plane] for image in images]]) for plane in range(3)]
            expected = make_statistics(MaskedImage(*column), which | ERRORS | NPOINT, control)
            value, _, variance = result[x, y]
            assert value == pytest.approx(expected[which], rel=1e-6, abs=1e-9, nan_ok=True)
            if expected[NPOINT]:
                error = expected.error(which)
                assert variance == pytest.approx(error**2, rel=1e-4, abs=1e-9, nan_ok=True)
            else:
                assert math.isnan(variance)
    assert result.mask[0, 0] == 256


def test_the_mask_is_of_the_pixels_used():  # afw's ticket 1412
    box = Box2I(Point2I(7, 8), Extent2I(3, 2))
    left, right = MaskedImage.full(box, (1.0, 0x4, 1.0)), MaskedImage.full(box, (2.0, 0x3, 1.0))
    both = statistics_stack([left, right], MEAN)
    assert both[7, 8][:2] == (1.5, 0x7)
    assert both.xy0 == (7, 8)
    assert statistics_stack([left, right], MEAN, StatisticsControl(and_mask=1))[7, 8][:2] == (1, 0x4)
    nothing = statistics_stack([left, right], MEAN, StatisticsControl(and_mask=7))[7, 8]
    assert nothing[1] == 256
    assert math.isnan(nothing[0])
    other = statistics_stack([left, right], MEAN, StatisticsControl(and_mask=7, no_good_pixels_mask="BAD"))
    assert other[7, 8][1] == 1


def test_clipped_inputs_leave_their_bits_behind():
    images = [MaskedImage.full((2, 2), (float(value), 0, 1.0)) for value in (1, 2, 3, 2, 1, 3, 2)]
    images.append(MaskedImage.full((2, 2), (1000.0, "CR", 1.0)))
    result = statistics_stack(images, MEANCLIP, clipped=0x40)
    assert result[0, 0][:2] == (2, 0x40)


def test_planes_are_matched_by_name():
    ours = MaskedImage.full((2, 2), (1.0, "SAT", 1.0))
    theirs = MaskedImage.full((2, 2), (3.0, "CROSSTALK", 1.0), schema=MaskSchema.from_dict({"CROSSTALK": 1, "SAT": 0}))
    both = statistics_stack([ours, theirs], MEAN)
    assert both.mask.interpret(both.mask[0, 0]) == "CROSSTALK,SAT"
    assert statistics_stack([ours, theirs], MEAN, StatisticsControl(and_mask="SAT"))[0, 0][0] == 3


def test_plain_images_give_a_plain_image():
    images = [Image.full((3, 2), value, dtype=dtype) for value, dtype in ((1, "uint16"), (2, "uint16"), (6, "uint16"))]
    result = statistics_stack(images, MEDIAN)
    assert isinstance(result, Image)
    assert (result.dtype, result[0, 0]) == (np.float32, 2)
    weighted = statistics_stack(images, MEAN, weights=[1, 1, 2])
    assert weighted[2, 1] == pytest.approx(15 / 4)


def test_what_cannot_be_stacked():
    image = Image.full((3, 2))
    with pytest.raises(ValueError, match="no images"):
        statistics_stack([], MEAN)
    with pytest.raises(ValueError, match="exactly one"):
        statistics_stack([image], MEAN | MEDIAN)
    with pytest.raises(ValueError, match="differ in size"):
        statistics_stack([image, Image.full((2, 3))], MEAN)
    with pytest.raises(ValueError, match="weights"):
        statistics_stack([image], MEAN, weights=[1, 2])
    with pytest.raises(ValueError, match="need masked images"):
        statistics_stack([image], MEAN, StatisticsControl(weighted=True))
    with pytest.raises(TypeError, match="not of Exposure"):
        statistics_stack([Exposure(image)], MEAN)
    with pytest.raises(TypeError, match="not of both"):
        statistics_stack([MaskedImage(image), image], MEAN)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 13, 31, 64, 65])
def test_the_network_sorts(n):
    cube = np.random.default_rng(n).normal(size=(n, 300)).astype("float32")
    assert np.array_equal(np.asarray(stack._sorted_rows(cube.copy())), np.sort(cube, axis=0))


def test_large_images_are_stacked_in_blocks():
    rng = np.random.default_rng(9)
    images = [MaskedImage(rng.normal(100, 5, (1100, 1000)).astype("float32")) for _ in range(5)]
    cube = np.stack([image.image.array for image in images]).astype("float64")
    np.testing.assert_allclose(statistics_stack(images, MEDIAN).image.array, np.median(cube, axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("plane", "weights", "taken"),
    [("CR", None, False), (3, None, False), ("CR", [1, 1, 1, 1, 3], True), (3, [1, 1, 1, 1, 3], True)],
)
def test_masks_of_inputs_left_out_are_taken_over_where_these_weigh_enough(plane, weights, taken):
    """As afw's testRejectedMaskPropagation: one of five inputs is left out, a fraction of 0.2 or, weighted, 3/7."""
    images = [MaskedImage.full((4, 1), (1.0, 0, 1.0)) for _ in range(4)] + [MaskedImage.full((4, 1), (12.0, 0, 1.0))]
    images[-1].mask.array[0] = [0, 2, 8, 10]
    control = StatisticsControl(and_mask="SAT")
    control.setMaskPropagationThreshold(plane, 0.3)
    stacked = statistics_stack(images, MEAN, control, weights=weights)
    last = 12 * (1 if weights is None else 3)
    used = (4 + last) / (5 if weights is None else 7)
    assert stacked.image.array[0].tolist() == pytest.approx([used, 1, used, 1])
    assert stacked.mask.array[0].tolist() == [0, 0, 8, 8 if taken else 0]


def test_one_image_is_collapsed_along_an_axis():
    """Numbers of a plane 0.5 + x + 100 y of 4x3 pixels, as afw's tests of rows and columns do it."""
    x, y = np.meshgrid(np.arange(4.0), np.arange(3.0))
    image = Image((0.5 + x + 100 * y).astype("float32"), xy0=(10, 20))
    column, row = (statistics_stack(image, MEAN, axis=axis) for axis in ("x", "y"))
    assert column.bbox == Box2I(Point2I(10, 20), Extent2I(1, 3))
    assert row.bbox == Box2I(Point2I(10, 20), Extent2I(4, 1))
    assert column.array.ravel().tolist() == [2, 102, 202]
    assert row.array.ravel().tolist() == [100.5, 101.5, 102.5, 103.5]
    assert statistics_stack(image, MEDIAN, axis="y").array.ravel().tolist() == [100.5, 101.5, 102.5, 103.5]
    assert statistics_stack(image, SUM, axis="x").array.ravel().tolist() == [8, 408, 808]


def test_a_masked_image_is_collapsed_by_its_good_pixels():
    image = MaskedImage(np.arange(12.0).reshape(3, 4))
    image.mask[1, 0] = "BAD"
    image.mask[:, 2:3] = "BAD"
    image.mask[0, 0] = "CR"
    made = statistics_stack(image, MEAN, StatisticsControl(and_mask="BAD"), axis="x")
    assert made.image.array.ravel().tolist()[:2] == [(0 + 2 + 3) / 3, 5.5]
    assert np.isnan(made.image.array[2, 0])
    assert made.mask.interpret(made.mask[0, 0]) == "CR"
    assert made.mask.interpret(made.mask[0, 2]) == "NO_DATA"
    assert made.variance[0, 1] == pytest.approx(np.var([4, 5, 6, 7], ddof=1) / 4)
    with pytest.raises(ValueError, match='axis="x" or axis="y"'):
        statistics_stack(image, MEAN)
    with pytest.raises(TypeError, match="one image"):
        statistics_stack([image], MEAN, axis="x")


def test_inputs_left_out_by_their_mask_are_marked_as_afw_marks_them():
    """The steps of afw's test of clipped pixels: ten planes of zeros, one pixel of which is 1, or masked."""
    images = [MaskedImage.full(Box2I(Point2I(12345, 67890), Extent2I(3, 3))) for _ in range(10)]
    clipped, rejected, bad = 1 << 11, 1 << 12, 0xAD
    control = StatisticsControl(and_mask=bad)
    assert not statistics_stack(images, MEANCLIP, clipped=clipped).mask.array.any()
    images[0].image.array[1, 1] = 1
    made = statistics_stack(images, MEANCLIP, clipped=clipped)
    assert (made.image.array[1, 1], made.mask.array[1, 1]) == (0, clipped)
    images[0].mask.array[1, 1] = bad
    assert statistics_stack(images, MEAN, control, clipped=clipped).mask.array[1, 1] == clipped
    assert statistics_stack(images, MEAN, control, clipped=clipped, excuse=bad).mask.array[1, 1] == 0
    images[0].mask.array[1, 1], images[1].mask.array[2, 1] = 0, bad
    made = statistics_stack(images, MEANCLIP, control, clipped=clipped, mask_map=[(bad, rejected)])
    assert (made.mask.array[1, 1], made.mask.array[2, 1]) == (clipped, rejected)
    assert not made.image.array.any()


def test_marks_are_given_by_the_names_of_planes():
    image = MaskedImage.full((2, 1), (1.0, 0, 1.0), schema=MaskSchema.from_dict({"BAD": 5}))
    image.mask[0, 0] = "BAD"
    made = statistics_stack([image, MaskedImage.full((2, 1))], MEAN, mask_map=[("BAD", "SUSPECT")])
    assert made.mask.interpret(made.mask[0, 0]) == "BAD,SUSPECT"
    assert made.mask[1, 0] == 0
