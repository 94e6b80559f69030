import io

import numpy as np
import pytest

from skybutler.imaging import display
from skybutler.imaging.catalog import SourceCatalog
from skybutler.imaging.exposure import Exposure
from skybutler.imaging.filter import Filter
from skybutler.imaging.geometry import Box2I, Extent2I, Point2I
from skybutler.imaging.masked_image import MaskedImage
from skybutler.imaging.wcs import Wcs


@pytest.fixture
def exposure():
    box = Box2I(Point2I(100, 50), Extent2I(40, 30))
    made = Exposure(MaskedImage.full(box, (1.0, 0, 2.0)), filter=Filter("sdss_r", "r"))
    made.image.array[:] = np.random.default_rng(1).normal(100, 5, (30, 40))
    made.image.array[3, 4] = np.nan
    made.mask.array[10:12, 10:12] |= made.mask.plane_bit_mask("SAT")
    return made


def test_stretches_go_from_0_to_1():
    ramp = np.arange(10000.0).reshape(100, 100)
    for stretch in ("zscale", "asinh"):
        bright = display.stretched(ramp, stretch)
        assert (bright.min(), bright.max()) == (0.0, 1.0)
        assert np.all(np.diff(bright.ravel()) >= 0)
    assert display.stretched(ramp, "asinh")[50, 0] > 0.6 > display.stretched(ramp, "zscale")[50, 0]
    assert np.isnan(display.stretched(np.array([[np.nan, 1.0], [2.0, 3.0]]))[0, 0])
    assert np.isnan(display.stretched(np.full((2, 2), np.nan))).all()
    np.testing.assert_array_equal(display.stretched(np.ones((4, 4)), "zscale"), 0.5)
    with pytest.raises(ValueError, match="no stretch 'log'"):
        display.stretched(ramp, "log")


def test_a_png_is_one_that_others_read():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    read = pyplot.imread(io.BytesIO(display.png(grey)), format="png")
    np.testing.assert_allclose(read * 255, grey, atol=1e-4)


def test_a_plot_has_the_pixels_the_mask_and_the_sources(exposure):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    schema = SourceCatalog.minimal_schema()
    schema.add_field("base_x", "D")
    schema.add_field("base_y", "D")
    schema.define_slot("Centroid", "base")
    catalog = SourceCatalog(schema, {"base_x": [110.0, 120.0], "base_y": [60.0, 70.0]})
    ax = exposure.plot(catalog, ax=Figure().subplots())
    assert len(ax.images) == 2
    assert ax.images[0].get_extent() == [99.5, 139.5, 49.5, 79.5]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["SAT"]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[110, 60], [120, 70]])
    assert ax.get_title() == "sdss_r (r)"


def test_sources_are_placed_by_the_sky_without_centroids(exposure):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    catalog = SourceCatalog(columns={"coord_ra": np.radians([30.0]), "coord_dec": np.radians([40.0])})
    with pytest.raises(ValueError, match="no slot Centroid and the exposure no wcs"):
        exposure.plot(catalog, ax=Figure().subplots())
    exposure.wcs = Wcs.make_tan((110.0, 60.0), (30.0, 40.0), [[-1e-4, 0], [0, 1e-4]])
    ax = exposure.plot(catalog, ax=Figure().subplots(), stretch="zscale")
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[110, 60]], atol=1e-6)
