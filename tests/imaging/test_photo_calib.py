import pickle

import numpy as np
import pytest

from skybutler.imaging.catalog import SourceCatalog
from skybutler.imaging.chebyshev import ChebyshevField
from skybutler.imaging.geometry import Box2I, Extent2I, Point2D, Point2I
from skybutler.imaging.photo_calib import AB_ZERO_NANOJANSKY, PhotoCalib

BOX = Box2I(Point2I(0, 0), Extent2I(10, 10))


def test_magnitude_zero_is_what_astropy_says():
    from astropy import units

    assert pytest.approx(3630780547701.0, rel=1e-12) == AB_ZERO_NANOJANSKY
    assert pytest.approx((0 * units.ABmag).to_value(units.nJy), rel=1e-12) == AB_ZERO_NANOJANSKY


def test_counts_become_fluxes_and_magnitudes():
    calib = PhotoCalib(2.0, 0.1)
    assert calib.inst_flux_to_nanojansky(100.0) == 200.0
    assert calib.inst_flux_to_nanojansky(100.0, 3.0) == (200.0, 6.0)
    flux, err = calib.inst_flux_to_nanojansky(100.0, 3.0, with_calibration_error=True)
    assert (flux, err) == (200.0, pytest.approx(np.hypot(6.0, 10.0)))
    magnitude, err = calib.instFluxToMagnitude(AB_ZERO_NANOJANSKY / 200.0, AB_ZERO_NANOJANSKY / 2000.0)
    assert magnitude == pytest.approx(5.0, abs=1e-12)
    assert err == pytest.approx(2.5 / np.log(10) * 0.1)
    assert calib.magnitude_to_inst_flux(5.0) == pytest.approx(AB_ZERO_NANOJANSKY / 200.0)
    assert calib.nanojansky_to_inst_flux(200.0) == 100.0
    magnitudes = calib.inst_flux_to_magnitude(np.array([-1.0, 0.0]))
    assert np.isnan(magnitudes[0])
    assert np.isposinf(magnitudes[1])


def test_zero_points_and_fluxmag0_mean_the_same():
    calib = PhotoCalib.from_zero_point(25.0, 0.01)
    assert calib.inst_flux_to_magnitude(1.0) == pytest.approx(25.0, abs=1e-12)
    assert calib.inst_flux_to_magnitude(100.0) == pytest.approx(20.0, abs=1e-12)
    assert calib.zero_point == pytest.approx(25.0, abs=1e-12)
    other = PhotoCalib.from_inst_flux_at_zero_magnitude(1e10, 1e8)
    assert other.calibration_mean == pytest.approx(calib.calibration_mean)
    assert other.calibration_err == pytest.approx(0.01 * calib.calibration_mean)
    assert calib.calibration_err == pytest.approx(calib.calibration_mean * 0.01 * np.log(10) / 2.5)


def test_a_varying_calibration_is_taken_where_it_was_measured():
    calib = PhotoCalib.from_field(ChebyshevField(BOX, [[2.0, 1.0]]), 0.1)
    assert calib.calibration_mean == 2.0
    assert not calib.is_constant
    assert calib.inst_flux_to_nanojansky(10.0, point=(9.5, 3.0)) == 30.0
    assert calib.inst_flux_to_nanojansky(10.0) == 20.0
    np.testing.assert_allclose(calib.getLocalCalibration((np.array([-0.5, 4.5]), np.zeros(2))), [1.0, 2.0])


def test_an_image_is_scaled_with_its_variance():
    from skybutler.imaging.masked_image import MaskedImage

    image = MaskedImage.full(BOX, (100.0, "EDGE", 10.0))
    calibrated = PhotoCalib(2.0).calibrate_image(image)
    assert calibrated[3, 4] == (200.0, image.mask.plane_bit_mask("EDGE"), 40.0)
    assert image[3, 4][0] == 100.0
    assert PhotoCalib(2.0).uncalibrate_image(calibrated)[3, 4] == image[3, 4]
    varying = PhotoCalib.from_field(ChebyshevField(BOX, [[2.0, 1.0]])).calibrate_image(image)
    assert varying[0, 0][0] == pytest.approx(110.0)
    assert varying[9, 0][0] == pytest.approx(290.0)
    assert varying[9, 0][2] == pytest.approx(84.1)
    large = MaskedImage.full(BOX, (1e20, 0, 1e38))  # times a number whose square no float32 holds
    assert PhotoCalib(1e-25).calibrate_image(large)[0, 0][2] == np.float32(1e-12)


def test_a_catalog_gets_fluxes_and_magnitudes():
    schema = SourceCatalog.minimal_schema()
    schema.add_field("base_PsfFlux_instFlux", "D")
    schema.add_field("base_PsfFlux_instFluxErr", "D")
    schema.add_field("other_instFlux", "D")
    catalog = SourceCatalog(schema, {"base_PsfFlux_instFlux": [1.0, 100.0], "base_PsfFlux_instFluxErr": [0.1, 1.0]})
    made = PhotoCalib.from_zero_point(25.0).calibrate_catalog(catalog)
    np.testing.assert_allclose(made["base_PsfFlux_mag"], [25.0, 20.0], atol=1e-12)
    np.testing.assert_allclose(made["base_PsfFlux_magErr"], 2.5 / np.log(10) * np.array([0.1, 0.01]))
    assert made.schema["base_PsfFlux_flux"].units == "nJy"
    assert "other_mag" in made.schema
    assert "other_magErr" not in made.schema
    assert "base_PsfFlux_mag" not in catalog.schema


def test_it_comes_back_and_refuses_nonsense():
    for calib in (PhotoCalib(2.0, 0.5), PhotoCalib.from_field(ChebyshevField(BOX, [[2.0, 1.0]]), 0.1)):
        assert PhotoCalib.from_dict(calib.to_dict()) == calib == pickle.loads(pickle.dumps(calib))
    with pytest.raises(ValueError, match="not negative"):
        PhotoCalib(-1.0)
    with pytest.raises(ValueError, match="not negative"):
        PhotoCalib(1.0, -1.0)
    assert repr(PhotoCalib.from_zero_point(25)) == "PhotoCalib(363.078 ± 0 nJy/count, zero point 25.0000 mag)"


def test_a_point_in_the_place_of_the_error_is_the_point_as_in_lsst():
    constant = PhotoCalib(2.0)
    varying = PhotoCalib.from_field(
        ChebyshevField(Box2I(Point2I(0, 0), Extent2I(100, 100)), [[1000.0, 0.0], [100.0, 10.0]])
    )
    point = Point2D(-0.5, 99.5)
    assert constant.instFluxToNanojansky(10.0, Point2D(1, 2)) == 20.0
    assert varying.instFluxToNanojansky(1.0, point) == pytest.approx(1090.0, rel=1e-14)
    assert varying.instFluxToNanojansky(1.0, 0.5, point) == pytest.approx((1090.0, 545.0), rel=1e-14)
    assert varying.instFluxToMagnitude(1.0, point) == varying.inst_flux_to_magnitude(1.0, point=point)
    assert varying.instFluxToMagnitude(1.0, point) == pytest.approx(-2.5 * np.log10(1090.0 / AB_ZERO_NANOJANSKY))
    with pytest.raises(TypeError, match="errors of counts are numbers"):
        constant.instFluxToNanojansky(10.0, point, point)
    scaled = varying.computeScaledCalibration()
    assert scaled.evaluate(*point) == pytest.approx(1.09)
    assert varying.calibration_mean == pytest.approx(1000.0)
    with pytest.raises(ValueError, match="same all over"):
        constant.compute_scaled_calibration()


def test_counts_come_back_from_magnitudes_to_the_last_digits():
    calib = PhotoCalib(1e-3)
    for counts in (1000.0, 1.0, 123.456, 1e8):
        assert calib.magnitude_to_inst_flux(calib.inst_flux_to_magnitude(counts)) == pytest.approx(counts, rel=3e-15)
    assert calib.magnitude_to_inst_flux(calib.inst_flux_to_magnitude(1000.0)) == 1000.0
    assert PhotoCalib.from_zero_point(0.0).calibration_mean == AB_ZERO_NANOJANSKY


def test_values_and_errors_have_names_and_arrays_have_units():
    from astropy import units

    calib = PhotoCalib.from_field(ChebyshevField(BOX, [[2.0, 1.0]]))
    measured = calib.inst_flux_to_nanojansky(10.0, 1.0)
    assert (measured.value, measured.error) == measured == (20.0, 2.0)
    x, y = np.array([-0.5, 9.5]), np.zeros(2)
    magnitudes = calib.instFluxToMagnitudeArray(np.array([3.0, 1.0]), x, y)
    assert magnitudes.unit == units.ABmag
    np.testing.assert_allclose(magnitudes.value, -2.5 * np.log10(3.0 / AB_ZERO_NANOJANSKY), rtol=1e-15)
    np.testing.assert_allclose(calib.magnitudeToInstFluxArray(magnitudes, x, y), [3.0, 1.0], rtol=1e-14)
    np.testing.assert_allclose(calib.magnitudeToInstFluxArray(magnitudes.value, x, y), [3.0, 1.0], rtol=1e-14)


def test_records_and_catalogs_are_taken_by_the_prefix_of_their_columns():
    schema = SourceCatalog.minimal_schema()
    for name in ("a_instFlux", "a_instFluxErr", "c_x", "c_y"):
        schema.add_field(name, "D")
    schema.define_slot("Centroid", "c")
    columns = {"a_instFlux": [10.0, 20.0], "a_instFluxErr": [1.0, 2.0], "c_x": [-0.5, 9.5], "c_y": [0.0, 0.0]}
    catalog = SourceCatalog(schema, columns)
    calib = PhotoCalib.from_field(ChebyshevField(BOX, [[2.0, 1.0]]))
    np.testing.assert_allclose(calib.instFluxToNanojansky(catalog, "a"), [[10.0, 1.0], [60.0, 6.0]], rtol=1e-14)
    assert calib.instFluxToNanojansky(catalog[1], "a") == pytest.approx((60.0, 6.0), rel=1e-14)
    magnitudes = calib.instFluxToMagnitude(catalog, "a")
    np.testing.assert_allclose(magnitudes[:, 1], [2.5 / np.log(10) * 0.1] * 2)
    np.testing.assert_allclose(magnitudes[:, 0], -2.5 * np.log10(np.array([10.0, 60.0]) / AB_ZERO_NANOJANSKY))
    with pytest.raises(TypeError, match="prefix of its columns"):
        calib.inst_flux_to_nanojansky(catalog)


def test_a_field_alone_is_sent_to_from_field():
    with pytest.raises(TypeError, match=r"PhotoCalib.from_field\(field, err\)"):
        PhotoCalib(ChebyshevField(BOX, [[2.0]]))
