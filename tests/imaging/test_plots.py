"""Plots with matplotlib: what is drawn, where, and in which words."""

import subprocess
import sys

import numpy as np
import pytest

from skybutler.imaging import (
    Box2I,
    Exposure,
    Extent2I,
    Filter,
    Image,
    Mask,
    MaskedImage,
    Point2I,
    SourceCatalog,
    VisitInfo,
    Wcs,
)

pytest.importorskip("matplotlib").use("Agg")
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402 - where there is one
from matplotlib.figure import Figure  # noqa: E402

BOX = Box2I(Point2I(100, 50), Extent2I(40, 30))


@pytest.fixture
def exposure():
    made = Exposure(MaskedImage.full(BOX, (1.0, 0, 2.0)), filter=Filter("sdss_r", "r"))
    made.image.array[:] = np.random.default_rng(1).normal(100, 5, (30, 40))
    made.image.array[3, 4] = np.nan
    made.mask.array[10:12, 10:12] |= made.mask.plane_bit_mask("SAT")
    return made


@pytest.fixture
def ax():
    return Figure(figsize=(4, 4), dpi=100).subplots()


def drawn(ax) -> np.ndarray:
    """Return what is seen, shape (height, width, 4)."""
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def colour_at(ax, x: float, y: float) -> list[int]:
    """Return the colour that is seen at a pixel of the image."""
    seen = drawn(ax)
    column, row = ax.transData.transform((x, y))
    return seen[seen.shape[0] - 1 - int(row), int(column), :3].tolist()


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def catalog_of(x: list[float], y: list[float]) -> SourceCatalog:
    schema = SourceCatalog.minimal_schema()
    schema.add_field("base_x", "D", units="pix")
    schema.add_field("base_y", "D", units="pix")
    schema.define_slot("Centroid", "base")
    return SourceCatalog(schema, {"base_x": x, "base_y": y})


def test_a_plot_has_the_pixels_the_mask_and_the_sources(exposure, ax):
    exposure.visit_info = VisitInfo(id=17, object="M13")
    assert exposure.plot(catalog_of([110.0, 120.0], [60.0, 70.0]), ax=ax) is ax
    assert [image.get_extent() for image in ax.images] == [[99.5, 139.5, 49.5, 79.5]] * 2
    assert legend(ax) == ["SAT 0.3 %", "not finite 0.08 %", "2 sources"]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[110, 60], [120, 70]])
    assert ax.get_title() == "M13, visit 17, sdss_r (r)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x [pixel]", "y [pixel]")
    assert (*ax.get_xlim(), *ax.get_ylim()) == (99.5, 139.5, 49.5, 79.5)


def test_sources_are_placed_by_the_sky_without_centroids(exposure, ax):
    catalog = SourceCatalog(columns={"coord_ra": np.radians([30.0]), "coord_dec": np.radians([40.0])})
    with pytest.raises(ValueError, match="no slot Centroid and the exposure no wcs"):
        exposure.plot(catalog, ax=ax)
    assert not ax.images  # nothing is drawn where something is wrong
    exposure.wcs = Wcs.make_tan((110.0, 60.0), (30.0, 40.0), [[-1e-4, 0], [0, 1e-4]])
    exposure.plot(catalog, ax=ax, stretch="zscale", grid=False)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[110, 60]], atol=1e-6)


def test_pixels_are_seen_where_they_are_and_the_bad_in_red(ax):
    pixels = np.zeros((20, 20), np.float32)
    pixels[15:, 2:6], pixels[2, 12] = 100.0, np.nan
    Image(pixels, (1000, 500)).plot(ax=ax, stretch="zscale")
    assert colour_at(ax, 1003, 517) == [255, 255, 255]
    assert colour_at(ax, 1003, 502) == [0, 0, 0]
    assert colour_at(ax, 1012, 502) == [0x66, 0, 0]


def test_the_cursor_shows_the_values_of_pixels(exposure, ax):
    exposure.plot(ax=ax)
    picture = ax.images[0]
    np.testing.assert_array_equal(picture.get_array().filled(np.nan), exposure.image.array)
    low, high = picture.norm.vmin, picture.norm.vmax
    np.testing.assert_allclose(picture.norm(np.array([low, high])), [0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(picture.norm.inverse(picture.norm(100.0)), 100.0)


def test_a_mask_is_seen_in_the_colours_of_its_planes(ax):
    mask = Mask.full(BOX)
    mask[100:110, 50:60] = "SAT"
    mask[102:105, 52:55] = ["SAT", "BAD"]
    mask.plot(ax=ax)
    assert colour_at(ax, 107, 57) == [0x00, 0x80, 0x4D]
    assert colour_at(ax, 103, 53) == [0xCC, 0x1A, 0x00]
    assert colour_at(ax, 130, 70) == [255, 255, 255]
    assert legend(ax) == ["SAT 8.3 %", "BAD 0.8 %"]


def test_only_the_planes_asked_for_are_drawn(exposure, ax):
    exposure.mask[100:140, 50:51] = "EDGE"
    assert legend(exposure.plot(ax=ax, planes="EDGE")) == ["EDGE 3.3 %", "not finite 0.08 %"]
    bare = exposure.plot(ax=Figure().subplots(), planes=())
    assert legend(bare) == ["not finite 0.08 %"]
    exposure.image.array[3, 4] = 100.0
    assert exposure.plot(ax=Figure().subplots(), planes=()).get_legend() is None
    assert len(bare.images) == 1
    with pytest.raises(ValueError, match="no mask plane 'EDG'"):
        exposure.plot(ax=ax, planes=["EDG"])


def test_a_single_flagged_pixel_of_a_large_mask_is_seen(ax):
    mask = Mask.full((5000, 3000))
    mask[4321, 1234] = "CR"
    mask.plot(ax=ax)
    picture = ax.images[0]
    assert picture.get_array().shape == (375, 625)
    assert np.argwhere(picture.get_array()).tolist() == [[154, 540]]
    assert picture.get_extent() == [-0.5, 4999.5, -0.5, 2999.5]
    assert legend(ax) == ["CR 7e-06 %"]


def test_a_masked_image_has_its_mask_over_it(exposure, ax):
    exposure.masked_image.plot(ax=ax)
    assert len(ax.images) == 2
    assert legend(ax) == ["SAT 0.3 %", "not finite 0.08 %"]


@pytest.mark.parametrize("flip", [1, -1])
def test_the_grid_is_where_the_sky_is(exposure, ax, flip):
    exposure.wcs = Wcs.make_tan((120.0, 65.0), (30.0, 40.0), [[-1e-3 * flip, 0], [0, 1e-3]])
    exposure.plot(ax=ax)
    labels = {text.get_text(): tuple(np.round(text.xy, 1)) for text in ax.texts}
    assert labels == {
        "+39°59'30\"": (99.5, 56.7),
        "+40°00'00\"": (99.5, 65.0),
        "+40°00'30\"": (99.5, 73.3),
        "02h00m05s": (120 - flip * 16.0, 49.5),  # east is to the left where the sky is as one sees it
        "02h00m00s": (120.0, 49.5),
        "01h59m55s": (120 + flip * 16.0, 49.5),
    }
    meridian = ax.collections[0].get_paths()[1].vertices
    np.testing.assert_allclose(meridian[:, 0], 120.0, atol=1e-3)
    np.testing.assert_allclose([meridian[:, 1].min(), meridian[:, 1].max()], [49.5, 79.5])


def test_there_is_no_grid_without_a_sky_or_when_not_wanted(exposure, ax):
    assert not exposure.plot(ax=ax).texts
    exposure.wcs = Wcs.make_tan((120.0, 65.0), (30.0, 40.0), [[-1e-3, 0], [0, 1e-3]])
    assert not exposure.plot(ax=ax, grid=False).texts


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 10.0), (359.999, -30.0), (123.0, 90.0), (10.0, -89.99)])
def test_a_grid_across_zero_hours_and_the_poles(exposure, ax, ra, dec):
    exposure.wcs = Wcs.make_tan((120.0, 65.0), (ra, dec), [[-1e-3, 0], [0, 1e-3]])
    exposure.plot(ax=ax)
    assert ax.texts
    drawn(ax)
    if abs(dec) < 80:
        lines = ax.collections[0]
        spread = [np.ptp(path.vertices[:, 0]) for path in lines.get_paths() if len(path.vertices)]
        assert max(spread) < 2.0  # lines of right ascension run upwards, all of them


@pytest.mark.parametrize(
    ("degrees", "name", "step", "text"),
    [
        (250.375, "ra", 0.125, "16h41m30s"),
        (359.99999999, "ra", 1 / 240, "00h00m00s"),
        (-0.0041666, "ra", 1 / 240, "23h59m59s"),
        (30.0, "ra", 15.0, "02h"),
        (30.0000625, "ra", 0.1 / 240, "02h00m00.0s"),
        (36.45, "dec", 1 / 60, "+36°27'"),
        (-0.5, "dec", 1 / 60, "-00°30'"),
        (-36.0, "dec", 1.0, "-36°"),
        (36.999999, "dec", 1 / 3600, "+37°00'00\""),
    ],
)
def test_angles_are_written_to_the_unit_that_tells_lines_apart(degrees, name, step, text):
    from skybutler.imaging.sky_grid import _sexagesimal

    assert _sexagesimal(degrees, name, step) == text


@pytest.mark.parametrize("span", [1e-4, 3e-3, 0.02, 0.3, 1.0, 9.0, 70.0, 300.0])
@pytest.mark.parametrize("name", ["ra", "dec"])
def test_some_lines_are_drawn_whatever_the_field(span, name):
    from skybutler.imaging.sky_grid import _levels

    levels, step = _levels(np.linspace(17.1234, 17.1234 + span, 65), name)
    assert 1 <= len(levels) <= 10 or span < 1e-3
    np.testing.assert_allclose(np.diff(levels), step, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "uint64", ">f4", "float64"])
@pytest.mark.parametrize("pixels", [np.zeros((0, 3)), np.ones((1, 1)), np.eye(4)])
def test_images_of_any_size_and_type_are_drawn(ax, pixels, dtype):
    exposure = Exposure(MaskedImage(Image(pixels.astype(dtype))))
    for stretch in ("asinh", "zscale"):
        exposure.plot(ax=ax, stretch=stretch)
    exposure.mask.plot(ax=ax)
    drawn(ax)


@pytest.mark.parametrize("pixels", [np.full((3, 3), np.nan), np.full((3, 3), np.inf), np.array([[1e308, -1e308]])])
def test_odd_pixels_are_drawn(ax, pixels):
    Image(pixels).plot(ax=ax)
    drawn(ax)


def test_one_column_over_another(ax):
    schema = SourceCatalog.minimal_schema()
    schema.add_field("mag", "F", units="mag")
    schema.add_field("name", "String", size=4)
    schema.add_field("ap", "ArrayF", size=2)
    sky = {"coord_ra": np.radians([10.0, 11.0]), "coord_dec": np.radians([-5.0, -4.0])}
    catalog = SourceCatalog(schema, {**sky, "mag": np.float32([17, 18])})
    assert catalog.plot("coord_ra", "coord_dec", ax=ax, s=3.0) is ax
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[10, -5], [11, -4]])
    assert ax.collections[0].get_sizes().tolist() == [3.0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("coord_ra [deg]", "coord_dec [deg]")
    assert ax.xaxis_inverted()
    catalog.plot("coord_ra", "coord_dec", ax=ax)
    assert ax.xaxis_inverted()  # a second catalog over the first does not turn it round again
    other = catalog.plot("id", catalog.schema["mag"], ax=Figure().subplots())
    assert (other.get_xlabel(), other.get_ylabel()) == ("id", "mag [mag]")
    assert not other.xaxis_inverted()
    with pytest.raises(KeyError, match="no column 'mags'"):
        catalog.plot("id", "mags")
    for name in ("name", "ap"):
        with pytest.raises(TypeError, match=f"{name} is no column of single numbers"):
            catalog.plot("id", name)


def test_a_new_figure_is_as_wide_as_the_image():
    from matplotlib import pyplot

    wide, high = Image(np.zeros((100, 250))).plot().figure, Image(np.zeros((250, 100))).plot().figure
    assert wide.get_size_inches().tolist() == pytest.approx([9.2, 3.6])
    assert high.get_size_inches().tolist() == pytest.approx([5.6, 7.2])
    pyplot.close(wide)
    pyplot.close(high)


@pytest.mark.parametrize("size", [(200, 200), (300, 100), (100, 300), (2000, 100)])
def test_nothing_around_the_picture_is_cut_off(size):
    from matplotlib import pyplot

    mask = Mask.full(size)
    mask[0:50, 0:50] = ["DETECTED_NEGATIVE", "SAT"]
    mask[0:50, 0:10] = "DETECTED_NEGATIVE"
    figure = mask.plot().figure
    drawn(figure.axes[0])
    seen, page = figure.get_tightbbox(), figure.bbox_inches
    assert min(seen.x0, seen.y0) >= 0.0
    assert seen.x1 <= page.x1
    assert seen.y1 <= page.y1
    pyplot.close(figure)


def test_without_matplotlib_an_error_names_the_extra():
    code = """
import sys, numpy
sys.modules["matplotlib"] = None
from skybutler.imaging import Image, SourceCatalog
image = Image(numpy.zeros((3, 3)))
image._repr_html_()
for plot in (image.plot, lambda: SourceCatalog().plot("id", "id")):
    try:
        plot()
    except ModuleNotFoundError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["Plots need matplotlib: pip install 'skybutler[plots]'."] * 2


def test_only_sources_within_the_picture_are_drawn_and_counted(ax):
    sky = {"coord_ra": np.radians([150.0, 150.0, 150.2]), "coord_dec": np.radians([2.0, 2.001, 2.0])}
    wcs = Wcs.make_tan((110, 60), (150.0, 2.0), np.array([[-1e-4, 0], [0, 1e-4]]))
    part = Exposure(MaskedImage.full(BOX, (1.0, 0, 2.0)), wcs=wcs)
    part.plot(SourceCatalog(columns=sky), ax=ax)
    assert legend(ax) == ["2 sources"]


def test_a_new_picture_tells_values_and_their_unit(exposure):
    from matplotlib import pyplot

    exposure.metadata["BUNIT"] = "adu"
    for stretch in ("asinh", "zscale"):
        figure = exposure.plot(stretch=stretch).figure
        assert [ax.get_xlabel() for ax in figure.axes] == ["x [pixel]", f"adu ({stretch})"]
        pyplot.close(figure)


def test_a_real_stamp_of_hsc(shared_data, ax):
    import skybutler

    exposure = skybutler.read(shared_data / "afw/HSC-0908120-056-small.fits", "Exposure")
    exposure.plot(ax=ax)
    assert legend(ax) == ["DETECTED 13.5 %", "CROSSTALK 0.04 %"]
    assert (*ax.get_xlim(), *ax.get_ylim()) == (99.5, 299.5, 99.5, 299.5)
    labels = {text.get_text(): text.xy for text in ax.texts}
    assert set(labels) == {
        "10h05m37.0s", "10h05m37.5s", "10h05m38.0s", "10h05m38.5s", "+01°38'50\"", "+01°39'00\"", "+01°39'10\""
    }  # fmt: skip
    sky = exposure.wcs.pixel_to_sky(*labels["+01°39'00\""])
    assert sky.dec.deg == pytest.approx(1.65, abs=1e-6)
    assert len(exposure._repr_html_()) < 50_000


def test_a_real_raw_frame_has_its_stars_where_the_catalog_says(shared_data):
    import skybutler

    raw = skybutler.read(shared_data / "arcsat-m13/M13_sdss_r_20190503_091741.fits.fz", "Exposure")
    core = raw[Box2I(Point2I(400, 400), Extent2I(200, 200))]
    y, x = np.unravel_index(np.argmax(core.image.array), core.image.array.shape)
    axes = core.plot(ax=Figure(figsize=(6, 6), dpi=100).subplots(), planes=(), grid=False)
    assert colour_at(axes, 400 + x, 400 + y) == [255, 255, 255]
    assert "x 400 to 599, y 400 to 599" in str(core.describe())
