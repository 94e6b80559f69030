"""Edge cases by the table: what is asked, and the number or the error that must come."""

import math

import numpy as np
import pytest

from skybutler.imaging import (
    ERRORS,
    LOCAL,
    MEAN,
    MEANCLIP,
    MEDIAN,
    NCLIPPED,
    SUM,
    BackgroundControl,
    BackgroundList,
    Box2D,
    Box2I,
    EmpiricalPsf,
    Exposure,
    Extent2D,
    Extent2I,
    GaussianPsf,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    PhotoCalib,
    Point2D,
    Point2I,
    Spans,
    StatisticsControl,
    Stencil,
    Wcs,
    make_background,
    make_statistics,
    statistics_stack,
)

BOX = Box2I(Point2I(2, 3), Extent2I(6, 7))
SCALE = 0.2 / 3600
PAIR = (1, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Point2I(3, 4) * 2,
        lambda: 2 * Point2D(3, 4),
        lambda: PAIR + Point2I(3, 4),
        lambda: PAIR + Extent2I(3, 4),
        lambda: Point2I(3, 4) + PAIR,
        lambda: Extent2I(3, 4) * Extent2I(1, 1),
        lambda: BOX.dilated_by(1.5),
    ],
)
def test_points_are_no_tuples_to_be_joined_or_repeated(make):
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (2 * Extent2I(3, 4), Extent2I(6, 8)),
        (Extent2I(5, -3) // 2, Extent2I(2, -2)),
        (Extent2I(1, 2) * 0.5, Extent2D(0.5, 1)),
        (Box2I(Point2I(7, 3), Point2I(2, 9)), BOX),
        (Box2I(Point2I(7, 9), Extent2I(-6, -7)), BOX),
        (Box2I(Point2I(7, 9), Extent2I(-6, -7), invert=False), Box2I()),
        (Box2I(Box2D(BOX), Box2I.SHRINK), BOX),
        (Box2I(Box2D(Point2D(0.1, 0.1), Point2D(0.3, 0.3)), Box2I.SHRINK), Box2I()),
        (Box2I.make_centered_box(Point2D(10.4, 10.6), Extent2I(3, 3)), Box2I(Point2I(9, 10), Extent2I(3, 3))),
        (BOX.eroded_by(Extent2I(2, 3)), Box2I(Point2I(4, 6), Extent2I(2, 1))),
    ],
)
def test_extents_and_boxes(made, expected):
    assert made == expected


def test_positions_between_pixels_are_of_the_pixel_that_they_lie_in():
    x = np.array([1.4, 1.6, 7.4, 7.5, 7.6])
    answers = BOX.contains(x, np.full(5, 5.0))
    assert answers.tolist() == [BOX.contains(Point2D(one, 5.0)) for one in x] == [False, True, True, False, False]


def test_an_image_of_negative_size_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        Image.full(Extent2I(-3, 2))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ((3, 2, LOCAL), 23),
        ((-1, -1, LOCAL), 119),
        (Point2I(-2, -3), 23),
        ((0, 0), 55),
        ((-11, 0, LOCAL), IndexError),
        ((-5, -5), IndexError),
        ((Point2I(-1, -1), LOCAL), IndexError),
        ((slice(0, 2), 0), TypeError),
        ((slice(0, 2, 1), slice(0, 2)), ValueError),
        ((slice(3, 1), slice(0, 2)), ValueError),
        ((1.0, 2), TypeError),
    ],
)
def test_pixels_of_an_image_that_begins_below_zero(key, expected):
    image = Image(np.arange(120.0).reshape(12, 10), xy0=(-5, -5))
    if isinstance(expected, type):
        with pytest.raises(expected):
            image[key]
    else:
        assert image[key] == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m.__itruediv__(m.image), (1, 0, 0.15)),
        (lambda m: m.__imul__(m), (100, 0, 3000)),
        (lambda m: m.__itruediv__(m), (1, 0, 0.3)),
        (lambda m: m.__imul__(m.variance), (150, 0, 15.0**3)),
        (lambda m: m.__itruediv__(0), (math.inf, 256, math.inf)),
        (lambda m: m.scaled_divides(5, 2), (1, 0, 0.15)),
    ],
)
def test_operands_that_are_the_left_side_itself(change, expected):
    masked = MaskedImage.full(Extent2I(3, 3), (10.0, 0, 15.0))
    change(masked)
    assert masked[1, 1] == pytest.approx(expected)


@pytest.mark.parametrize("offset", [0, 1, 130])
@pytest.mark.parametrize("operation", ["__iadd__", "__isub__", "__imul__", "__itruediv__"])
def test_arithmetic_on_parts_gives_what_copies_give_and_touches_nothing_else(operation, offset):
    rng = np.random.default_rng(0)
    planes = [rng.normal(10, 1, (500, 640)).astype("f4"), rng.integers(0, 9, (500, 640)), rng.random((500, 640))]
    left, right = (MaskedImage(planes[0].copy(), planes[1].copy(), planes[2].copy()) for _ in range(2))
    part, other = left[offset:500, 100:500], right[0 : 500 - offset, 0:400]
    expected = part.clone()
    getattr(expected, operation)(other.clone())
    getattr(part, operation)(other)
    for mine, wanted, whole, old in zip(part.arrays, expected.arrays, left.arrays, planes, strict=True):
        np.testing.assert_array_equal(mine, wanted)
        np.testing.assert_array_equal(whole[:100], old[:100])
        np.testing.assert_array_equal(whole[:, :offset], old[:, :offset])
        np.testing.assert_array_equal(whole[:, 500:], old[:, 500:])


def test_a_mask_of_another_schema_is_assigned_by_name():
    mask = Mask.full(Extent2I(300, 300), "BAD")
    mask[0:200, 0:300] = Mask.full(Extent2I(200, 300), ["CR", "NEW"], schema=MaskSchema.from_dict({"CR": 0, "NEW": 1}))
    assert mask.interpret(mask[199, 299]) == "CR,NEW"
    assert mask.interpret(mask[200, 0]) == "BAD"


KINDS = {
    "float32": lambda rng: rng.normal(0, 1, (600, 500)).astype("f4"),
    "other byte order": lambda rng: rng.normal(0, 1, (600, 500)).astype(">f4"),
    "not contiguous": lambda rng: rng.normal(0, 1, (1200, 1000))[::2, ::2],
    "counts": lambda rng: rng.poisson(1000, (600, 500)).astype("u2"),
    "small": lambda rng: rng.integers(-128, 128, (600, 500)).astype("i1"),
    "large": lambda rng: rng.integers(0, 2**62, (600, 500)).astype("u8") * 2,
    "two values": lambda rng: rng.integers(0, 2, (600, 500)).astype("f8"),
    "mostly one": lambda rng: np.where(rng.random((600, 500)) < 0.9, 3.0, rng.normal(0, 1, (600, 500))),
    "one value": lambda rng: np.full((600, 500), 7, "f4"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [0, 0.1, 0.995])
def test_quantiles_are_numpys_for_every_type_and_selection(kind, masked):
    rng = np.random.default_rng(1)
    pixels = KINDS[kind](rng)
    bad = rng.random(pixels.shape) < masked
    stats = make_statistics(
        Image(pixels), MEDIAN | SUM | MEANCLIP | NCLIPPED, StatisticsControl(and_mask=1), mask=Mask(bad.astype("i4"))
    )
    good = pixels[~bad].astype("f8")
    assert stats[MEDIAN] == pytest.approx(np.median(good), rel=1e-12)
    assert stats[SUM] == pytest.approx(good.sum(), rel=1e-9, abs=1e-6)
    assert 0 <= stats[NCLIPPED] < good.size


@pytest.mark.parametrize(
    ("images", "flag", "options", "expected"),
    [
        ([(1, 4), (2, 3)], MEAN, {"and_mask": 1}, (1, 4)),
        ([(1, 4), (2, 3)], MEAN, {"and_mask": 5}, (math.nan, 256)),
        ([(1, 4), (2, 3)], MEAN, {"and_mask": 5, "no_good_pixels_mask": 16}, (math.nan, 16)),
        ([(math.nan, 0), (2, 0)], MEAN, {}, (2, 0)),
        ([(math.nan, 0), (2, 0)], MEDIAN, {"nan_safe": False}, (math.nan, 0)),
        ([(value, 0) for value in (1, 2, 3, 4, 5, 100)], MEANCLIP, {}, (3, 32)),
        ([(1, 2), (2, 0), (3, 0)], MEAN, {"and_mask": 2, "mask_propagation_thresholds": {"SAT": 0.3}}, (2.5, 2)),
        ([(1, 2), (2, 0), (3, 0)], MEAN, {"and_mask": 2, "mask_propagation_thresholds": {1: 0.4}}, (2.5, 0)),
    ],
)
def test_stacks(images, flag, options, expected):
    inputs = [MaskedImage.full(Extent2I(2, 2), (float(value), bits, 1.0)) for value, bits in images]
    stacked = statistics_stack(inputs, flag, StatisticsControl(**options), clipped=32 if flag is MEANCLIP else 0)
    assert stacked[1, 1][:2] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("hole", [np.s_[:20, :25], np.s_[:20], np.s_[:, :25], np.s_[40:80, 50:100]])
@pytest.mark.parametrize("style", ["LINEAR", "NATURAL_SPLINE", "AKIMA_SPLINE", "CHEBYSHEV"])
def test_a_background_goes_on_over_cells_without_pixels(style, hole):
    y, x = np.mgrid[:120, :150]
    ramp = 3 + 0.1 * x + 0.2 * y
    image = ramp.copy()
    image[hole] = np.nan
    background = make_background(Image(image), BackgroundControl(6, 6, style=style, order=1))
    np.testing.assert_allclose(background.image(dtype="f8").array, ramp, atol=1e-6)
    assert BackgroundList([background, background]).image()[75, 60] == pytest.approx(2 * ramp[60, 75])


def test_a_calibration_of_nothing_has_no_zero_point():
    assert PhotoCalib(0).inst_flux_at_zero_magnitude == PhotoCalib(0).zero_point == math.inf
    with pytest.raises(ValueError, match="more than 0 counts"):
        PhotoCalib.from_inst_flux_at_zero_magnitude(0)


@pytest.mark.parametrize(("sigma", "radius"), [(3, 3), (2, 2), (2, 5), (3, 1), (1.5, 3)])
def test_apertures_of_pixels_hold_what_those_of_the_gaussian_hold(sigma, radius):
    psf = EmpiricalPsf(BOX, GaussianPsf(41, 41, sigma).compute_kernel_image().array[None])
    assert psf.compute_aperture_flux(radius) == pytest.approx(1 - math.exp(-0.5 * (radius / sigma) ** 2), rel=2e-3)


def test_a_wcs_keeps_every_digit():
    wcs = Wcs.make_tan((50.123456789123456, 60.0), (30.0, 40.0), [[-SCALE, 1e-7 / 3], [0, SCALE]])
    assert Wcs.from_dict(wcs.to_dict()) == wcs
    assert Wcs.from_header(wcs.to_header().to_astropy()).pixel_origin == wcs.pixel_origin


@pytest.mark.parametrize(
    ("center", "expected"),
    [
        (Point2D(99.5 + 1e-4, 60), Point2I(99, 59)),
        (Point2D(163.5 - 1e-4, 60), Point2I(162, 59)),
        (Point2D(99.5 - 1e-4, 60), None),
        (Point2D(163.5 + 1e-4, 60), None),
    ],
)
def test_the_centre_of_a_cutout_lies_on_a_pixel(center, expected):
    exposure = Exposure(MaskedImage.full(Box2I(Point2I(100, 50), Extent2I(64, 32)), schema=MaskSchema.from_dict({})))
    if expected is None:
        with pytest.raises(ValueError, match="outside"):
            exposure.get_cutout(center, (3, 3))
    else:
        cutout = exposure.get_cutout(center, (3, 3))
        assert cutout.bbox.min == expected
        assert cutout.mask.plane_dict == {"NO_DATA": 0}


@pytest.mark.parametrize(
    ("spans", "area", "parts"),
    [
        (Spans.from_shape(3), 29, 1),
        (Spans.from_shape(3, Stencil.MANHATTAN), 25, 1),
        (Spans([(0, 0, 1), (1, 2, 3)]), 4, 1),
        (Spans([(0, 0, 1), (1, 3, 4)]), 4, 2),
        (Spans([(0, 0, 1), (2, 0, 1)]), 4, 2),
        (Spans([(0, 0, 0), (0, 4, 4), (1, 0, 4)]), 7, 1),
        (Spans([(0, 4, 4), (1, 0, 0)]), 2, 2),
        (Spans(Box2I(Point2I(0, 0), Extent2I(5, 5))).eroded(1), 9, 1),
        (Spans(), 0, 0),
    ],
)
def test_pixels_hang_together_by_sides_and_corners(spans, area, parts):
    assert spans.area == area
    found = spans.split()
    assert len(found) == parts
    assert Spans.merged(found) == spans
    assert spans.is_contiguous == (parts <= 1)


def test_errors_come_from_the_variances_of_the_pixels_that_were_used():
    masked = MaskedImage(np.array([[1, 2, 3], [4, 5, 100]], "f4"), None, np.array([[1, 1, 1], [4, 4, 0]], "f4"))
    control = StatisticsControl(calc_error_from_input_variance=True)
    assert make_statistics(masked, MEANCLIP | ERRORS, control).error() == pytest.approx(math.sqrt(11) / 5)
    control.weighted = True  # a variance of 0 weighs nothing
    stats = make_statistics(masked, MEAN | ERRORS, control)
    assert stats.result() == pytest.approx(((6 + 9 / 4) / 3.5, 1 / math.sqrt(3.5)))
