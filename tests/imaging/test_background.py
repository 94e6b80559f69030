import pickle
import warnings

import numpy as np
import pytest

from skybutler.imaging.background import Background, BackgroundControl, BackgroundList, make_background
from skybutler.imaging.geometry import Box2I, Extent2I, Point2I
from skybutler.imaging.image import Image
from skybutler.imaging.masked_image import MaskedImage
from skybutler.imaging.statistics import StatisticsControl

BOX = Box2I(Point2I(100, 50), Extent2I(120, 90))


def plane(a=100.0, b=0.5, c=-0.25):
    y, x = np.mgrid[50:140, 100:220]
    return a + b * (x - 160.0) + c * (y - 95.0)


@pytest.mark.parametrize("style", ["AKIMA_SPLINE", "NATURAL_SPLINE", "LINEAR", "CHEBYSHEV"])
def test_a_slope_is_found_exactly_up_to_the_edges(style):
    image = Image(plane(), xy0=(100, 50))
    background = make_background(image, BackgroundControl(nx_sample=6, ny_sample=5, style=style, order=2))
    assert background.values.shape == (5, 6)
    found = background.image(dtype="float64")
    assert found.bbox == BOX
    np.testing.assert_allclose(found.array, plane(), atol=1e-9)
    part = Box2I(Point2I(110, 60), Extent2I(20, 10))
    np.testing.assert_allclose(background.image(part).array, plane()[10:20, 10:30], atol=1e-4)
    assert background.image(part).array.dtype == np.float32


def test_cells_are_the_clipped_means_of_their_pixels():
    from skybutler.imaging.statistics import MEANCLIP, make_statistics

    rng = np.random.default_rng(4)
    array = rng.normal(100, 5, (90, 120))
    array[10:12, 10:12] = 1e6
    background = make_background(Image(array, xy0=(100, 50)), BackgroundControl(nx_sample=7, ny_sample=4))
    assert background.values[0, 0] == make_statistics(Image(array[0:23, 0:17]), MEANCLIP)[MEANCLIP]
    np.testing.assert_allclose(background.values, 100, atol=1.0)
    np.testing.assert_allclose(background.errors, 5 / np.sqrt(22 * 17), rtol=0.2)


def test_sources_and_bad_pixels_are_left_out():
    image = MaskedImage.full(BOX, (10.0, 0, 1.0))
    image.image.array[20:40, 20:40] = 500.0
    image.mask.array[20:40, 20:40] |= image.mask.plane_bit_mask("DETECTED")
    image.image.array[0, 0] = np.nan
    background = make_background(image, BackgroundControl(bin_size=20))
    assert background.values.shape == (5, 6)
    np.testing.assert_array_equal(background.image().array, 10.0)
    everything = BackgroundControl(bin_size=20, ignored_mask_planes=("NOT_THERE",))
    assert make_background(image, everything).values.max() == 500.0


def test_the_whole_statistics_control_counts():
    image = MaskedImage.full(BOX, (10.0, 0, 1.0))
    image.image.array[:, ::2] = 20.0
    image.variance.array[:, ::2] = 1e6  # next to no weight
    weighted = BackgroundControl(bin_size=30, statistic="MEAN", statistics_control=StatisticsControl(weighted=True))
    np.testing.assert_allclose(make_background(image, weighted).values, 10.0, atol=1e-4)


def test_a_cell_without_good_pixels_is_bridged():
    values = np.full((5, 6), 7.0)
    values[2, :3] = np.nan
    values[:, 5] = np.nan
    for style in ("AKIMA_SPLINE", "CONSTANT", "CHEBYSHEV"):
        background = Background(BOX, values, style=style)
        np.testing.assert_allclose(background.image().array, 7.0, rtol=1e-6)
    with pytest.raises(ValueError, match=r"No cell of .* has a good pixel"):
        Background(BOX, np.full((2, 2), np.nan))


@pytest.mark.parametrize(("nx", "ny"), [(1, 1), (2, 1), (1, 3), (4, 2)])
def test_few_cells_lower_the_order(nx, ny):
    for style in ("AKIMA_SPLINE", "CHEBYSHEV"):
        background = make_background(
            Image(np.full((90, 120), 3.0)), BackgroundControl(nx_sample=nx, ny_sample=ny, style=style)
        )
        np.testing.assert_allclose(background.image().array, 3.0, rtol=1e-6)


def test_a_spline_goes_through_the_cells():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(5, 6))
    box = Box2I(Point2I(0, 0), Extent2I(66, 55))
    for style in ("AKIMA_SPLINE", "NATURAL_SPLINE", "LINEAR", "CONSTANT"):
        surface = Background(box, values, style=style).image(dtype="float64").array
        np.testing.assert_allclose(surface[5::11, 5::11], values, atol=1e-12)


def test_backgrounds_add_up_and_come_back():
    background = Background(BOX, np.full((2, 2), 7.0), np.full((2, 2), 0.1))
    background += 3.0
    assert background.mean == 10.0
    background -= 1.0
    again = Background.from_dict(background.to_dict())
    np.testing.assert_array_equal(again.image().array, background.image().array)
    np.testing.assert_array_equal(again.errors, background.errors)
    both = BackgroundList([background, again])
    for same in (both, BackgroundList.from_dict(both.to_dict()), pickle.loads(pickle.dumps(both))):
        np.testing.assert_array_equal(same.getImage().array, 18.0)
    with pytest.raises(ValueError, match="no backgrounds"):
        BackgroundList().image()
    assert repr(background) == "Background(2x2 cells, mean 9, AKIMA_SPLINE)"


def test_cells_and_style_may_be_given_in_order():
    control = BackgroundControl(4, 3, "LINEAR")
    assert (control.nx_sample, control.ny_sample, control.style) == (4, 3, "LINEAR")


def test_misuse_is_told():
    with pytest.raises(ValueError, match="no background style 'AKIMA', only AKIMA_SPLINE"):
        BackgroundControl(style="AKIMA")
    with pytest.raises(ValueError, match="MEANCLIP, MEAN or MEDIAN"):
        BackgroundControl(statistic="SUM")
    with pytest.raises(ValueError, match="reaches outside"):
        Background(BOX, [[1.0]]).image(BOX.dilated_by(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="has a good pixel"):
            make_background(Image(np.full((10, 10), np.nan)))


def test_controls_are_set_and_checked_at_once():
    control = BackgroundControl()
    control.setNxSample(3)
    control.setStyle("CUBIC_SPLINE")
    assert (control.getNxSample(), control.style) == (3, "CUBIC_SPLINE")
    with pytest.raises(ValueError, match="one cell or more"):
        control.setNySample(0)
    with pytest.raises(ValueError, match="REDUCE_INTERP_ORDER or THROW_EXCEPTION, not 'INCREASE_NXNYSAMPLE'"):
        control.undersample_style = "INCREASE_NXNYSAMPLE"
    with pytest.raises(AttributeError, match="nxsample"):
        control.nxsample = 3


def test_too_few_cells_reduce_the_order_or_are_refused():
    image = Image(np.add.outer(np.arange(12.0), 2 * np.arange(12.0)))
    plain = make_background(image, BackgroundControl(2, 2)).image(dtype="float64")
    np.testing.assert_allclose(plain.array, image.array, atol=1e-12)
    for style, enough in (("AKIMA_SPLINE", 5), ("NATURAL_SPLINE", 3), ("LINEAR", 2)):
        control = BackgroundControl(enough, enough, style, undersample_style="THROW_EXCEPTION")
        np.testing.assert_allclose(
            make_background(image, control).image(dtype="float64").array, image.array, atol=1e-12
        )
        control.nx_sample -= 1
        with pytest.raises(
            ValueError, match=f"{style} needs {enough} cells along each axis, not {enough - 1}x{enough}"
        ):
            make_background(image, control)


def test_cubic_and_natural_splines_are_the_same():
    image = Image(np.add.outer(np.arange(30.0) ** 2, np.sqrt(np.arange(30.0))))
    natural, cubic = (
        make_background(image, BackgroundControl(4, 4, style)).image() for style in ("NATURAL_SPLINE", "CUBIC_SPLINE")
    )
    np.testing.assert_array_equal(natural.array, cubic.array)


def test_cells_are_seen_as_pixels_and_fitted_by_a_polynomial():
    background = Background(BOX, [[1.0, np.nan], [3.0, 4.0]], [[0.5, np.nan], [2.0, 1.0]])
    cells = background.getStatsImage()
    np.testing.assert_array_equal(cells.image.array, background.values)
    np.testing.assert_array_equal(cells.variance.array, [[0.25, np.nan], [4.0, 1.0]])
    assert cells.mask.array.tolist() == [[0, 256], [0, 0]]
    cells.image.array[...] = 0
    assert background.values[1, 1] == 4.0
    flat = background.getApproximate(0)
    assert (flat.style, flat.order) == ("CHEBYSHEV", 0)
    np.testing.assert_allclose(flat.getImage().array, (1 * 4 + 3 / 4 + 4) / (4 + 1 / 4 + 1), rtol=1e-6)
