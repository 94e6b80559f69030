"""Numbers that afw's own tests ask for of what belongs to pixels; where afw is known to be wrong, what is right.

The sections are called as the files of afw's ``tests`` folder.
"""

import math

import numpy as np
import pytest

from skybutler import imaging as afw
from skybutler.imaging import (
    Box2I,
    Extent2I,
    Image,
    MaskedImage,
    Point2D,
    Point2I,
)

NAN = math.nan


def box(x, y, width, height):
    return Box2I(Point2I(x, y), Extent2I(width, height))


class TestPhotoCalib:
    def test_zero_points(self):
        assert afw.PhotoCalib.from_zero_point(31.4).calibration_mean == pytest.approx(1, rel=1e-3)
        calib = afw.PhotoCalib.from_zero_point(27.0)
        assert calib.inst_flux_to_magnitude(1.0) == pytest.approx(27)
        assert calib.inst_flux_to_magnitude(100.0) == pytest.approx(22)
        assert calib.inst_flux_at_zero_magnitude == pytest.approx(10 ** (0.4 * 27))
        assert afw.PhotoCalib(1.0).inst_flux_to_magnitude(3630780547701.0) == pytest.approx(0, abs=1e-12)

    def test_fluxes_and_errors(self):
        calib = afw.PhotoCalib(100.0, 5.0)
        assert calib.inst_flux_to_nanojansky(1000.0) == 1e5
        assert calib.inst_flux_to_nanojansky(1000.0, 10.0) == (1e5, 1000)
        magnitude, error = calib.inst_flux_to_magnitude(1000.0, 10.0)
        assert magnitude == pytest.approx(-2.5 * math.log10(1e5 / 3630780547701.0))
        assert error == pytest.approx(2.5 / math.log(10) * 0.01)
        assert calib.magnitude_to_inst_flux(magnitude) == pytest.approx(1000)
        assert math.isnan(calib.inst_flux_to_magnitude(-1.0))
        for wrong in ((-1.0, 0.0), (1.0, -1.0), (NAN, 0.0)):
            with pytest.raises(ValueError):
                afw.PhotoCalib(*wrong)

    def test_a_calibration_that_varies(self):
        """Ones and slopes as in afw: 1 + x/100 on a box of 101 x 101 pixels."""
        area = box(0, 0, 101, 101)
        field = afw.ChebyshevField(area, np.array([[1.5, 0.5], [0.0, 0.0]]))
        calib = afw.PhotoCalib.from_field(field)
        assert calib.calibration_mean == pytest.approx(1.5)
        assert calib.inst_flux_to_nanojansky(10.0, point=Point2D(0, 50)) == pytest.approx(10 * (1.5 - 0.5 * 50 / 50.5))
        image = MaskedImage.full(area, (2.0, "CR", 4.0))
        nanojansky = calib.calibrate_image(image)
        assert nanojansky[50, 50] == (3, 8, 9)
        assert image[50, 50] == (2, 8, 4)
        assert calib.uncalibrate_image(nanojansky)[99, 7] == (pytest.approx(2), 8, pytest.approx(4))


class TestPsf:
    def test_a_gaussian(self):
        psf = afw.GaussianPsf(51, 51, 4.0)
        kernel = psf.compute_kernel_image()
        assert kernel.xy0 == Point2I(-25, -25)
        assert kernel.array.sum() == pytest.approx(1)
        image = psf.compute_image(Point2D(100.25, 50.5))
        assert image.bbox.contains(Point2I(100, 50))
        assert image.array.sum() == pytest.approx(1)
        _, x = np.mgrid[image.y0 : image.y0 + image.height, image.x0 : image.x0 + image.width]
        assert (image.array * x).sum() == pytest.approx(100.25, abs=1e-3)
        assert tuple(psf.compute_shape())[:2] == pytest.approx((16, 16))
        for radius in (2.0, 4.0, 8.0):
            assert psf.compute_aperture_flux(radius, Point2D(0, 0)) == pytest.approx(
                1 - math.exp(-0.5 * (radius / 4) ** 2)
            )
        assert psf.compute_peak() == pytest.approx(kernel.array.max())
        for size in ((50, 51), (51, 50)):
            with pytest.raises(ValueError):
                afw.GaussianPsf(*size, 4.0)


class TestBackground:
    def test_a_constant_and_a_ramp(self):
        image = Image.full((512, 512), 2.0)
        background = afw.make_background(image, afw.BackgroundControl(7, 7, "NATURAL_SPLINE"))
        np.testing.assert_allclose(background.image().array, 2, rtol=1e-6)
        y, x = np.mgrid[:128, :100]
        ramp = Image((10 + 0.1 * x + 0.2 * y).astype("float32"))
        for style in ("AKIMA_SPLINE", "NATURAL_SPLINE", "LINEAR", "CHEBYSHEV"):
            surface = afw.make_background(ramp, afw.BackgroundControl(nx_sample=6, ny_sample=6, style=style)).image()
            np.testing.assert_allclose(surface.array, ramp.array, atol=1e-4)
        with pytest.raises(ValueError, match="outside"):
            background.image(box(500, 500, 20, 20))


class TestWcs:
    @pytest.fixture
    def wcs(self):
        return afw.Wcs.make_tan((100.0, 100.0), (30.0, 10.0), np.array([[-0.2, 0], [0, 0.2]]) / 3600)

    def test_origins_and_scale(self, wcs):
        assert wcs.pixel_origin == Point2D(100, 100)
        assert wcs.pixel_scale == pytest.approx(0.2)
        sky = wcs.pixel_to_sky(Point2D(100, 100))
        assert (sky.ra.deg, sky.dec.deg) == (pytest.approx(30), pytest.approx(10))
        assert wcs.sky_to_pixel(sky) == (pytest.approx(100, abs=1e-7), pytest.approx(100, abs=1e-7))
        assert wcs.pixel_to_sky(100.0, 3700.0).dec.deg == pytest.approx(10 + math.degrees(math.atan(math.radians(0.2))))
        assert not wcs.is_flipped
        moved = wcs.shifted((5, 6))
        assert moved.pixel_origin == Point2D(105, 106)

    def test_parts_of_an_exposure_keep_the_sky(self, wcs):
        exposure = afw.Exposure(MaskedImage.full(box(50, 60, 100, 90), (1.0, 0, 1.0)), wcs=wcs)
        part = exposure[box(70, 80, 20, 10)]
        assert part.wcs.pixel_to_sky(75, 85).separation(wcs.pixel_to_sky(75, 85)).arcsec < 1e-6
        sky = wcs.pixel_to_sky(75.0, 85.0)
        exposure.xy0 = (0, 0)
        assert exposure.wcs.sky_to_pixel(sky) == (pytest.approx(25, abs=1e-6), pytest.approx(25, abs=1e-6))

    def test_cutouts(self, wcs):
        exposure = afw.Exposure(MaskedImage.full(box(50, 60, 100, 90), (1.0, 0, 1.0)), wcs=wcs)
        cutout = exposure.get_cutout(wcs.pixel_to_sky(100.0, 100.0), Extent2I(11, 7))
        assert cutout.bbox == box(95, 97, 11, 7)
        over = exposure.get_cutout(Point2D(50, 60), Extent2I(10, 10))
        assert over.bbox == box(46, 56, 10, 10)
        assert np.isnan(over.image[46, 56])
        assert over.mask.interpret(over.mask[46, 56]) == "NO_DATA"
        assert over.mask[50, 60] == 0
        assert over.image[55, 65] == 1
        assert exposure.get_cutout(Point2D(49.5 + 1e-4, 60), Extent2I(3, 3)).bbox == box(49, 59, 3, 3)
        for center, size in ((Point2D(49.5 - 1e-4, 60), (3, 3)), (Point2D(70, 70), (0, 3)), (Point2D(NAN, 70), (3, 3))):
            with pytest.raises(ValueError):
                exposure.get_cutout(center, Extent2I(*size))
        with pytest.raises(ValueError):
            afw.Exposure(exposure.masked_image).get_cutout(wcs.pixel_to_sky(100.0, 100.0), Extent2I(3, 3))


class TestSourceTable:
    @pytest.fixture
    def catalog(self):
        schema = afw.SourceCatalog.minimal_schema()
        schema.add_field("a_instFlux", "D", "flux", "count")
        schema.add_field("a_instFluxErr", "D", "error", "count")
        schema.add_field("a_flag", "Flag", "bad")
        schema.add_field("c_x", "D", "", "pix")
        schema.add_field("c_y", "D", "", "pix")
        made = afw.SourceCatalog(schema, {"id": [3, 1, 2], "coord_ra": [0.3, 0.1, 0.2], "coord_dec": [0.0, 0.1, 0.2]})
        made.schema.aliases["slot_PsfFlux"] = "a"
        made.schema.aliases["slot_Centroid"] = "c"
        return made

    def test_new_records_hold_defaults(self, catalog):
        record = catalog.add_new()
        assert (record["id"], record["parent"], record["a_flag"]) == (0, 0, False)
        assert math.isnan(record["a_instFlux"])
        assert len(catalog) == 4

    def test_slots_and_aliases(self, catalog):
        catalog[0]["a_instFlux"] = 7.0
        assert catalog[0].getPsfInstFlux() == 7
        assert catalog["slot_PsfFlux_instFlux"][0] == catalog.psf_inst_flux[0] == 7
        catalog[1].set("c_x", 4.0)
        catalog[1].set("c_y", 5.0)
        assert catalog[1].getCentroid() == Point2D(4, 5)
        with pytest.raises(LookupError):
            catalog[0].getApInstFlux()
        catalog.schema.aliases["q"] = "a"
        assert catalog[0]["q_instFlux"] == 7

    def test_sorting_finding_and_choosing(self, catalog):
        assert catalog.find(2).row == 2
        assert catalog.find(9) is None
        assert not catalog.is_sorted()
        catalog.sort()
        assert catalog["id"].tolist() == [1, 2, 3]
        assert catalog[np.array([True, False, True])]["id"].tolist() == [1, 3]
        assert catalog.subset(np.array([False, True, False]))["id"].tolist() == [2]
        assert catalog[1:]["id"].tolist() == [2, 3]
        catalog.extend(catalog.copy())
        assert len(catalog) == 6
        del catalog[3:]
        assert catalog["coord_ra"].tolist() == [0.1, 0.2, 0.3]
        catalog["a_flag"] = np.array([True, False, True])
        assert catalog[catalog["a_flag"]]["id"].tolist() == [1, 3]
        with pytest.raises(KeyError):
            catalog["nothing"]

    def test_coordinates(self, catalog):
        sky = catalog[0].getCoord()
        assert (sky.ra.rad, sky.dec.rad) == (pytest.approx(0.3), pytest.approx(0.0))
        catalog[0]["c_x"], catalog[0]["c_y"] = 100.0, 100.0
        wcs = afw.Wcs.make_tan((100.0, 100.0), (30.0, 10.0), np.array([[-0.2, 0], [0, 0.2]]) / 3600)
        catalog[0].update_coord(wcs)
        assert catalog[0]["coord_ra"] == pytest.approx(math.radians(30))

    def test_astropy(self, catalog):
        table = catalog.as_astropy()
        assert table["coord_ra"].unit == "rad"
        assert table["a_flag"].dtype == bool
        assert table["a_instFlux"].description == "flux"
        assert np.shares_memory(table["id"], catalog["id"])
