"""Warping: what must stay as it is, where fluxes go, and what reproject says."""

import math

import numpy as np
import pytest

from skybutler.imaging import (
    Box2I,
    Exposure,
    Extent2I,
    Filter,
    GaussianPsf,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    PhotoCalib,
    Point2I,
    WarpingControl,
    Wcs,
    warp_exposure,
    warp_image,
)
from skybutler.imaging.lanczos import lanczos, lanczos_taps

SCALE = 0.2 / 3600
KERNELS = ("nearest", "bilinear", "lanczos2", "lanczos3", "lanczos4", "lanczos5")


def tan(x=50.0, y=40.0, scale=SCALE, angle=0.0, sky=(150.0, 2.0)):
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return Wcs.make_tan((x, y), sky, np.array([[-scale, 0], [0, scale]]) @ turn)


def stars(width=100, height=80, seed=1):
    """Return stars of sigma 2.5 away from the edges, which are band-limited enough, over a level."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.zeros((height, width))
    for cx, cy, flux in zip(
        rng.uniform(25, width - 25, 6), rng.uniform(25, height - 25, 6), rng.uniform(50, 900, 6), strict=True
    ):
        image += flux * np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / 2.5**2)
    return image


def sinusoid(x, y):
    """Return a pattern without any frequency that a grid of pixels could not hold."""
    return 100 + 10 * np.sin(0.31 * x + 0.17 * y) + 7 * np.cos(0.11 * x - 0.23 * y)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_same_pixels_stay_the_same_bits(kernel):
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 2048, (30, 40)).astype("int32")
    box = Box2I(Point2I(100, 200), Extent2I(40, 30))
    source = MaskedImage(
        Image(rng.normal(0, 9, (30, 40)).astype("float32"), box.min),
        Mask(bits, xy0=box.min),
        Image(rng.uniform(1, 2, (30, 40)).astype("float32"), box.min),
    )
    source.image.array[7, 8] = np.nan
    wcs = tan(120, 215)
    warped = warp_image(source, wcs, wcs, box, WarpingControl(kernel))
    assert np.array_equal(warped.mask.array, bits)
    np.testing.assert_allclose(warped.image.array, source.image.array, rtol=2e-6, equal_nan=True)
    np.testing.assert_allclose(warped.variance.array, source.variance.array, rtol=2e-6)
    assert np.count_nonzero(np.isnan(warped.image.array)) == 1


def test_whole_pixels_of_shift_move_the_box():
    source = MaskedImage(stars().astype("float32"))
    box = Box2I(Point2I(7, -5), Extent2I(100, 80))
    warped = warp_image(source, tan(50, 40), tan(57, 35), box)
    np.testing.assert_allclose(warped.image.array, source.image.array, rtol=1e-5, atol=1e-4)
    assert warped.bbox == box


@pytest.mark.parametrize(("kernel", "tolerance"), [("lanczos3", 0.06), ("lanczos5", 0.02), ("bilinear", 0.4)])
def test_a_shift_of_half_a_pixel_interpolates(kernel, tolerance):
    y, x = np.mgrid[:80, :100]
    source = MaskedImage(sinusoid(x, y))
    warped = warp_image(source, tan(50, 40), tan(50.5, 39.5), source.bbox, WarpingControl(kernel))
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(warped.image.array - sinusoid(x - 0.5, y + 0.5))[inner].max() < tolerance


@pytest.mark.parametrize("kernel", ["bilinear", "lanczos3", "lanczos5"])
@pytest.mark.parametrize(("scale", "angle"), [(SCALE, 0.4), (0.7 * SCALE, 0.0), (0.8 * SCALE, 2.0)])
def test_flux_is_conserved(kernel, scale, angle):
    source = MaskedImage(stars())
    box = Box2I(Point2I(-60, -60), Extent2I(220, 200))
    wcs = tan(50, 40, scale, angle)
    warped = warp_image(source, tan(), wcs, box, WarpingControl(kernel))
    assert np.nansum(warped.image.array) == pytest.approx(source.image.array.sum(), rel=1e-4)
    level = MaskedImage.full((100, 80), (5.0, 0, 1.0), dtype="float64")
    kept = warp_image(level, tan(), wcs, box, WarpingControl(kernel, conserve_flux=False))
    np.testing.assert_allclose(kept.image.array[np.isfinite(kept.image.array)], 5.0, rtol=1e-12)
    area = (scale / SCALE) ** 2
    scaled = warp_image(level, tan(), wcs, box, WarpingControl(kernel))
    np.testing.assert_allclose(scaled.image.array[np.isfinite(scaled.image.array)], 5.0 * area, rtol=1e-6)


def test_variance_is_that_of_a_weighted_sum():
    source = MaskedImage.full((20, 20), (0.0, 0, 4.0), dtype="float64")
    half = warp_image(source, tan(10, 10), tan(10.5, 10.5), source.bbox, WarpingControl("bilinear"))
    assert half.variance[10, 10] == pytest.approx(4.0 / 4)
    shrunk = warp_image(source, tan(10, 10), tan(10, 10, 2 * SCALE), source.bbox, WarpingControl("nearest"))
    assert shrunk.variance[10, 10] == pytest.approx(4.0 * 16)


def test_masks_grow_with_the_kernel_and_by_name():
    schema = MaskSchema.from_dict({"CR": 0, "MINE": 5})
    source = MaskedImage(np.zeros((20, 20)), Mask.full((20, 20), schema=schema))
    source.mask[10, 10] = ["CR"]
    for kernel, mask_kernel, count in (("lanczos3", "", 36), ("lanczos3", "bilinear", 4), ("lanczos2", "", 16)):
        warped = warp_image(source, tan(), tan(50.5, 40.5), source.bbox, WarpingControl(kernel, mask_kernel))
        assert np.count_nonzero(warped.mask.array & warped.mask.plane_bit_mask("CR")) == count
        assert set(warped.mask.plane_dict) == {"CR", "MINE", "NO_DATA", "EDGE"}


def test_beyond_the_image_there_is_no_data_and_at_its_edge_that_too():
    source = MaskedImage(np.ones((20, 20)))
    box = Box2I(Point2I(-5, 0), Extent2I(30, 20))
    warped = warp_image(source, tan(), tan(50.5, 40.0), box, WarpingControl("lanczos3"))
    row = [warped.mask.interpret(int(bits)) for bits in warped.mask.array[10]]
    assert row[:5] == ["NO_DATA"] * 5
    assert row[6:8] == ["EDGE,NO_DATA"] * 2
    assert row[8:23] == [""] * 15
    assert row[26:] == ["NO_DATA"] * 4
    assert np.array_equal(np.isnan(warped.image.array), warped.mask.array & 256 > 0)
    assert np.array_equal(np.isposinf(warped.variance.array), np.isnan(warped.image.array))
    nothing = warp_image(source, tan(), tan(sky=(330.0, -2.0)), box)
    assert np.isnan(nothing.image.array).all()
    assert warp_image(source, tan(), tan(), Box2I()).bbox.is_empty


def test_positions_may_be_interpolated():
    source, wcs, box = MaskedImage(stars()), tan(55, 45, 0.9 * SCALE, 0.7), Box2I(Point2I(0, 0), Extent2I(97, 83))
    exact, near = (
        warp_image(source, tan(), wcs, box, WarpingControl(interpolation_length=length)).image.array
        for length in (0, 10)
    )
    np.testing.assert_allclose(near, exact, atol=2e-5)


def test_reproject_finds_the_same_pixels():
    reproject = pytest.importorskip("reproject")
    source, old, new = stars(), tan(), tan(48.3, 41.2, 1.1 * SCALE, 0.3)
    ours = warp_image(
        MaskedImage(source),
        old,
        new,
        Box2I(Point2I(0, 0), Extent2I(90, 80)),
        WarpingControl("bilinear", conserve_flux=False),
    )
    theirs, covered = reproject.reproject_interp(
        (source, old.as_astropy()), new.as_astropy(), (80, 90), order="bilinear"
    )
    both = np.isfinite(ours.image.array) & (covered > 0)
    assert np.count_nonzero(both) > 5000
    np.testing.assert_allclose(ours.image.array[both], theirs[both], atol=2e-4)


def test_an_exposure_keeps_what_does_not_depend_on_its_pixels():
    exposure = Exposure(
        MaskedImage(stars().astype("float32")), tan(), metadata={"OBJECT": "x"}, filter=Filter("r"),
        photo_calib=PhotoCalib(2.0), psf=GaussianPsf(11, 11, 2.5),
    )  # fmt: skip
    wcs, box = tan(30, 30), Box2I(Point2I(0, 0), Extent2I(60, 60))
    warped = warp_exposure(exposure, wcs, box)
    assert (warped.bbox, warped.wcs, warped.psf) == (box, wcs, None)
    assert (warped.filter, warped.photo_calib, warped.metadata["OBJECT"]) == (Filter("r"), PhotoCalib(2.0), "x")
    assert warped.dtype == np.float32
    with pytest.raises(ValueError, match="no WCS"):
        warp_exposure(Exposure(exposure.masked_image), wcs, box)


def test_kernels_are_named():
    with pytest.raises(ValueError, match="lanczos3"):
        WarpingControl("lanzcos3")
    with pytest.raises(ValueError, match="reaches farther"):
        WarpingControl("bilinear", "lanczos3")
    with pytest.raises(ValueError, match="0 or more"):
        WarpingControl(interpolation_length=-1)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_weights_of_neighbours_are_lanczos_of_their_distance(order):
    fraction = np.array([0.0, 1e-6, 0.25, 0.5, 0.9, 1 - 1e-6])
    plain = lanczos(fraction[:, np.newaxis] - np.arange(1 - order, order + 1), order)
    np.testing.assert_allclose(
        lanczos_taps(fraction, order), plain / plain.sum(axis=1, keepdims=True), rtol=1e-8, atol=1e-15
    )


def test_new_pixels_may_be_much_larger_than_old_ones():
    y, x = np.mgrid[:900, :1000]
    source = MaskedImage((2.0 * x + 3.0 * y).astype("float32"))
    warped = warp_image(source, tan(), tan(50, 40, 40 * SCALE), Box2I(Point2I(50, 40), Extent2I(20, 20)))
    y, x = np.mgrid[:20, :20]
    np.testing.assert_allclose(warped.image.array[1:, 1:], 1600 * (220 + 80 * x + 120 * y)[1:, 1:], rtol=2e-3)


def test_nan_stays_where_it_has_a_weight():
    source = MaskedImage.full((40, 40), (1.0, 0, 1.0))
    source.image.array[20, 20] = np.nan
    by_pixel = warp_image(source, tan(), tan(53, 40), Box2I(Point2I(3, 0), Extent2I(40, 40)))
    between = warp_image(source, tan(), tan(50.5, 40), Box2I(Point2I(4, 4), Extent2I(32, 32)))
    assert np.count_nonzero(np.isnan(by_pixel.image.array)) == 1
    assert np.count_nonzero(np.isnan(between.image.array)) == 6
