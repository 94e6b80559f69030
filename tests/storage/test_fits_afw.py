"""Files of LSST's afw: each that is among the real data reads with what it holds, or is refused in a line."""

import logging
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from skybutler.imaging import Exposure, GaussianPsf, PhotoCalib, SourceCatalog, VisitInfo, Wcs
from skybutler.model.errors import FileFormatError, StorageClassError
from skybutler.storage import files

EXPOSURES: dict[str, tuple[Any, ...]] = {
    # file: width and height, xy0, type, components
    "HSC-0908120-056-small.fits": ((200, 200), (100, 100), "f4", {"wcs"}),
    "ZPN.fits": ((10, 10), (0, 0), "f4", {"wcs"}),
    "archiveImportTest.fits": ((1, 1), (0, 0), "f4", set()),
    "parent.fits": ((256, 256), (0, 0), "f4", {"wcs"}),
    "small_MI_corrupt_img.fits": ((256, 256), (0, 0), "i2", set()),
    "test.fits.gz": ((250, 232), (0, 0), "i4", set()),
    "test_amp.fits.gz": ((125, 58), (0, 0), "u2", set()),
    "test_comp.fits.gz": ((250, 232), (0, 0), "i4", set()),
    "test_comp_trimmed.fits.gz": ((200, 204), (0, 0), "i4", set()),
    "ticket2233.fits": ((0, 0), (0, 0), "i4", {"wcs"}),
    "ticket2352.fits": ((1, 1), (0, 0), "i8", set()),
    "ticketdm26260.fits": ((512, 512), (0, 0), "f4", set()),
    "ticketdm26260.fits.fz": ((512, 512), (0, 0), "f4", set()),
    **{
        f"exposure-{version}.fits": (
            (10, 10),
            (0, 0),
            "f4",
            {"wcs", "photo_calib", "visit_info", "filter", "detector", "id"},
        )
        for version in ("noversion", "version-0", "version-1", "version-2")
    },
}
CATALOGS = {
    # file: rows, columns (flags are one each)
    "CompoundFieldConversion.fits": (1, 28),
    "deepCoadd_meas_HSC_v2.fits": (10, 498),
    "empty-v0.fits": (0, 224),
    "exposure_catalog_v1.fits": (2, 12),
    "old-footprint-persistence.fits": (2, 176),
    "ps1-refcat-v1.fits": (10, 21),
    "sourceCatalog-hsc-v2.fits": (5, 227),
    "sourceTable-v1.fits": (3, 19),
    "sourceTable-v2.fits": (3, 19),
    "ticket42210.fits": (0, 588),
    "version-0-ExposureCatalog.fits": (1, 8),
    "version-1-ExposureCatalog.fits": (1, 9),
}
OTHERS = {
    "great3.fits": "Table",
    "jointcal_wcs-0030600-088.fits": "Wcs",
    "jointcal_wcs-0034772-004.fits": "Wcs",
    "legacyHeavyFootprint.fits": "HeavyFootprint",
    "preSpanSetsFootprint.fits": "Footprint",
    "testFootprintEdge.fits": "Footprint",
    "multi_extension_metadata.fits": "Table",
    "oldTanSipWcs.fits": "Wcs",
    "oldTanWcs.fits": "Wcs",
    "photoCalib-version1.fits": "PhotoCalib",
    **{f"visitInfo-{version}.fits": "VisitInfo" for version in ("noversion", *(f"version-{n}" for n in range(1, 6)))},
}
REFUSED = {
    "photoCalib-noversion.fits": "PhotoCalib that cannot be read: it is of version 0",
    "photoCalib-version0.fits": "PhotoCalib that cannot be read: it is of version 0",
    "ticket18864.fits": "none of its 1 HDUs has pixels",
    "ticket20143.fits": "none of its 1 HDUs has pixels",
    "ticket2905.fits": "none of its 1 HDUs has pixels",
    "visitInfo-version-999999.fits": "VisitInfo that cannot be read: it is of version 999999",
}


def test_no_file_of_afw_is_forgotten(shared_data: Path):
    found = {path.name for path in (shared_data / "afw").iterdir()}
    assert found == EXPOSURES.keys() | CATALOGS.keys() | OTHERS.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", EXPOSURES)
def test_exposures(shared_data: Path, name):
    size, xy0, dtype, components = EXPOSURES[name]
    exposure = files.read(shared_data / "afw" / name)
    assert isinstance(exposure, Exposure)
    assert tuple(exposure.dimensions) == size
    assert tuple(exposure.xy0) == xy0
    assert exposure.image.dtype == np.dtype(dtype)
    assert set(exposure.components) == components


@pytest.mark.parametrize("name", CATALOGS)
def test_catalogs(shared_data: Path, name):
    catalog = files.read(shared_data / "afw" / name)
    assert isinstance(catalog, SourceCatalog)
    assert (len(catalog), len(catalog.schema)) == CATALOGS[name]


@pytest.mark.parametrize("name", OTHERS)
def test_single_objects(shared_data: Path, name):
    assert type(files.read(shared_data / "afw" / name)).__name__ == OTHERS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said(shared_data: Path, name):
    with pytest.raises(FileFormatError, match=REFUSED[name]):
        files.read(shared_data / "afw" / name)


def test_components_of_every_version_of_exposures(shared_data: Path):
    for version in ("noversion", "version-0", "version-1", "version-2"):
        path = shared_data / "afw" / f"exposure-{version}.fits"
        exposure = files.read(path)
        assert exposure.id == 12345
        info = exposure.visit_info
        assert (info.exposure_time, info.dark_time, info.boresight_ra, info.boresight_dec) == (30.0, 600.0, 30.0, 40.0)
        assert info.begin == "2020-01-20T12:34:41"  # half an exposure before DATE-AVG
        assert (info.longitude, info.latitude, info.elevation) == (-12.345, 123.45, 2000.0)
        assert (exposure.detector.id, exposure.detector.name) == (1, "detector 1")
        assert [amplifier.name for amplifier in exposure.detector] == ["amp 1", "amp 2", "amp 3"]
        assert {(amplifier.gain, amplifier.read_noise) for amplifier in exposure.detector} == {(1712.34, 52.1237)}
        assert {tuple(amplifier.bbox.to_list()) for amplifier in exposure.detector} == {(-1, 1, 5, 6)}
        assert exposure.filter.physical == "ha"
        assert exposure.filter.band == ("N656" if version == "version-2" else "")
        calib = exposure.photo_calib
        if version in ("version-1", "version-2"):
            assert (calib.calibration_mean, calib.calibration_err) == (1e6, 2e4)
        else:
            assert calib.inst_flux_at_zero_magnitude == pytest.approx(1e6)
            assert calib.calibration_err / calib.calibration_mean == pytest.approx(0.02)
        assert files.read(path, component="photo_calib") == calib
        assert files.read(path, "PhotoCalib") == calib


def test_an_exposure_of_a_pipeline_has_its_components(shared_data: Path):
    path = shared_data / "multi-extension" / "hsc_calexp_64x32_lsst.fits"
    exposure = files.read(path)
    assert exposure.id == 180802004
    assert exposure.filter.physical == "HSC-I"
    assert exposure.photo_calib.calibration_mean == 1.9940875054616918
    assert isinstance(exposure.psf, GaussianPsf)
    assert (exposure.psf.sigma, exposure.psf.compute_kernel_image().dimensions) == (4.0, (3, 3))
    assert len(exposure.ap_corr) == 46
    assert exposure.ap_corr["base_PsfFlux_instFlux"].coefficients.shape[1] >= 1
    assert len(exposure.valid_polygon.vertices) == 8
    assert exposure.summary_stats["nPsfStar"] == 0
    assert len(exposure.detector.amplifiers) == 4
    assert files.read(path, component="ap_corr").keys() == exposure.ap_corr.keys()


def test_what_cannot_be_read_of_an_exposure_is_none_and_one_warning(shared_data: Path, caplog):
    with caplog.at_level(logging.WARNING):
        assert files.read(shared_data / "afw" / "archiveImportTest.fits").psf is None
    assert len(caplog.records) == 1
    assert "without its psf" in caplog.text
    assert "DummyPsf" in caplog.text


def test_a_sky_without_a_reference_pixel_is_none_and_a_warning(shared_data: Path, caplog):
    with caplog.at_level(logging.WARNING):
        exposure = files.read(shared_data / "afw" / "small_MI_corrupt_img.fits")
    assert exposure.wcs is None
    assert "cannot be understood: there is no reference pixel, CRPIX1" in caplog.text
    assert exposure.image.array[0, 1] == 61
    with pytest.raises(FileFormatError, match="holds no Wcs"):
        files.read(shared_data / "afw" / "small_MI_corrupt_img.fits", "Wcs")


def test_exposures_of_a_later_afw_are_refused(shared_data: Path, tmp_path: Path):
    path = tmp_path / "later.fits"
    with fits.open(shared_data / "afw" / "exposure-version-2.fits") as hdus:
        hdus[0].header["EXPINFO_V"] = 3
        hdus.writeto(path)
    with pytest.raises(FileFormatError, match="version 3; up to 2 are read"):
        files.read(path)


def test_single_objects_have_their_values(shared_data: Path):
    folder = shared_data / "afw"
    assert files.read(folder / "photoCalib-version1.fits") == PhotoCalib(123.0, 45.0)
    info = files.read(folder / "visitInfo-version-5.fits")
    assert isinstance(info, VisitInfo)
    assert (info.id, info.instrument, info.observation_type, info.focus_z) == (987654, "TestCameraOne", "flat", 1.5)
    assert (info.exposure_time, info.dark_time, info.airmass, info.humidity) == (10.01, 11.02, 1.73, 34.5)
    assert (info.boresight_ra, info.boresight_dec) == (pytest.approx(23.1), pytest.approx(73.2))
    assert (info.ut1, info.era, info.rotation_type, info.has_simulated_content) == (12345.1, 45.1, "SKY", False)
    assert info.boresight_par_angle == pytest.approx(141.39684140703142, rel=1e-14)
    old = files.read(folder / "visitInfo-noversion.fits", "VisitInfo")
    assert (old.id, old.instrument, old.ut1) == (10313423, "", 12345.1)
    assert [files.read(folder / f"visitInfo-version-{n}.fits").id for n in range(1, 6)] == [10313423] + [987654] * 4
    plain, sip = (files.read(folder / f"old{kind}Wcs.fits") for kind in ("Tan", "TanSip"))
    assert isinstance(plain, Wcs)
    here, there = plain.pixel_to_sky(1530.18, 1530.18), sip.pixel_to_sky(1530.18, 1530.18)
    assert here.separation(there).arcsec < 1
    assert plain.pixel_to_sky(0.0, 0.0).separation(sip.pixel_to_sky(0.0, 0.0)).arcsec > 0.1
    with pytest.raises(FileFormatError, match="holds no PhotoCalib"):
        files.read(folder / "oldTanWcs.fits", "PhotoCalib")


def test_footprints_have_their_pixels_and_peaks(shared_data: Path):
    folder = shared_data / "afw"
    for name, runs, peaks in (("preSpanSetsFootprint", 303, 48), ("testFootprintEdge", 3850, 922)):
        footprint = files.read(folder / f"{name}.fits")
        with fits.open(folder / f"{name}.fits") as hdus:
            spans = hdus[2].data
            assert footprint.area == int((spans["x1"] - spans["x0"] + 1).sum())
            assert footprint.bbox.min == (spans["x0"].min(), spans["y"].min())
        assert (len(spans), len(footprint.peaks)) == (runs, peaks)
    heavy = files.read(folder / "legacyHeavyFootprint.fits")
    assert (heavy.area, len(heavy.peaks)) == (552, 1)
    with fits.open(folder / "legacyHeavyFootprint.fits") as hdus:
        np.testing.assert_array_equal(heavy.image, hdus[5].data["image"][0])
        np.testing.assert_array_equal(heavy.mask, hdus[5].data["mask"][0])
        np.testing.assert_array_equal(heavy.variance, hdus[5].data["variance"][0])


def test_old_names_are_found_by_the_names_of_today(shared_data: Path):
    folder = shared_data / "afw"
    first, second = (files.read(folder / f"sourceTable-v{version}.fits") for version in (1, 2))
    np.testing.assert_array_equal(first["a_instFlux"], first["a_flux"])
    np.testing.assert_array_equal(first["a_instFluxErr"], first["a_fluxSigma"])
    np.testing.assert_array_equal(first["b_xErr"], first["b_xSigma"])
    np.testing.assert_array_equal(second["a_instFluxErr"], second["a_fluxErr"])
    assert first.schema.aliases["slot_Shape"] == "c"
    assert first["a_flag"].dtype == bool
    reference = files.read(folder / "ps1-refcat-v1.fits")
    np.testing.assert_array_equal(reference["i_fluxErr"], reference["i_fluxSigma"])
    assert files.read(folder / "empty-v0.fits").schema.aliases["slot_PsfFlux"] == "flux_psf"


def test_fields_of_several_parts_are_columns(shared_data: Path):
    catalog = files.read(shared_data / "afw" / "CompoundFieldConversion.fits")
    row = catalog[0]
    assert (row["point_i_x"], row["point_i_y"], row["point_d_x"], row["point_d_y"]) == (4, 5, 3.5, 2.0)
    assert (row["moments_xx"], row["moments_yy"], row["moments_xy"]) == (5.0, 6.5, 2.25)
    assert (float(row["coord_ra"]), float(row["coord_dec"])) == (1.0, 0.5)
    assert row["cov_p_xErr"] ** 2 == pytest.approx(5.5)
    assert row["cov_p_x_y_Cov"] == -2.0
    assert row["cov_m_yy_xy_Cov"] == 0.75
    assert row["cov_z_2_3_Cov"] == 1.75


def test_a_catalog_of_hsc_has_its_positions(shared_data: Path):
    catalog = files.read(shared_data / "afw" / "sourceCatalog-hsc-v2.fits")
    assert float(catalog["coord_ra"][0]) == pytest.approx(2.6232307, abs=1e-7)
    assert float(catalog["coord_dec"][0]) == pytest.approx(0.0392053, abs=1e-7)
    assert len(files.read(shared_data / "afw" / "sourceCatalog-hsc-v2.fits", "DataFrame")) == 5


def a_catalog() -> SourceCatalog:
    schema = SourceCatalog.minimal_schema()
    for name, kind in (("a_instFlux", "D"), ("b_x", "F"), ("n", "I"), ("bits", "U"), ("byte", "B")):
        schema.add_field(
            name, kind, f"what {name} is, at such length that the card has to be continued, " * 2 + "so it is", "count"
        )
    schema.add_field("a_flag", "Flag", "it failed")
    schema.add_field("name", "String", "a name", size=12)
    schema.add_field("moments", "ArrayD", "three", size=3)
    schema.add_field("table", "F", "two by three", shape=(2, 3))
    schema.add_field("b_flag", "Flag")
    schema.define_slot("PsfFlux", "a")
    columns = {"id": np.arange(4) + 2**50, "coord_ra": [0.1, 0.2, np.nan, 0.4], "bits": [0, 1, 65535, 32768],
               "a_flag": [True, False, True, True], "name": ["", "M 13", "NGC 7000", "x" * 12],
               "table": np.arange(24.0).reshape(4, 2, 3), "byte": [0, 255, 7, 1]}  # fmt: skip
    return SourceCatalog(schema, columns, metadata={"EXPTIME": 30.0, "visit": 1, "nested": {"a": [1, 2]}})


@pytest.mark.parametrize("rows", [4, 0])
def test_a_catalog_is_written_as_afw_reads_it(tmp_path: Path, rows):
    given, path = a_catalog()[:rows], tmp_path / "src.fits"
    files.write(given, path)
    again = files.read(path)
    assert isinstance(again, SourceCatalog)
    assert {field.name: field for field in again.schema} == {field.name: field for field in given.schema}
    for field in given.schema:
        np.testing.assert_array_equal(again[field.name], given[field.name])
        assert again[field.name].dtype == given[field.name].dtype
    assert dict(again.schema.aliases) == {"slot_PsfFlux": "a"}
    assert again.metadata == given.metadata
    with fits.open(path) as hdus:
        header = hdus[1].header
        assert (header["AFW_TYPE"], header["AFW_TABLE_VERSION"], header["FLAGCOL"]) == ("SOURCE", 3, 1)
        assert (header["TTYPE1"], header["TFORM1"], header["TFLAG1"], header["TFLAG2"]) == (
            "flags",
            "2X",
            "a_flag",
            "b_flag",
        )
        assert (header["ALIAS"], header["TCCLS3"], header["TUNIT3"]) == ("slot_PsfFlux:a", "Angle", "rad")
        assert header["EXPTIME"] == 30.0
        np.testing.assert_array_equal(hdus[1].data["bits"], given["bits"])
    if shutil.which("fitsverify"):
        done = subprocess.run(["fitsverify", "-e", "-q", path], capture_output=True, text=True, check=False)
        assert "verification OK" in done.stdout, done.stdout


@pytest.mark.parametrize("name", CATALOGS)
def test_a_catalog_that_afw_wrote_comes_back_whole(shared_data: Path, tmp_path: Path, name):
    given = files.read(shared_data / "afw" / name)
    files.write(given, tmp_path / "again.fits")
    again = files.read(tmp_path / "again.fits")
    assert {field.name: field for field in again.schema} == {field.name: field for field in given.schema}
    assert dict(again.schema.aliases) == dict(given.schema.aliases)
    for field in given.schema:
        np.testing.assert_array_equal(again[field.name], given[field.name])


def test_a_catalog_of_a_later_version_is_refused(tmp_path: Path):
    path = tmp_path / "src.fits"
    files.write(a_catalog(), path)
    path.write_bytes(path.read_bytes().replace(b"HIERARCH AFW_TABLE_VERSION = 3", b"HIERARCH AFW_TABLE_VERSION = 4"))
    with pytest.raises(FileFormatError, match="version 4 of afw's tables; up to 3"):
        files.read(path)
    with pytest.raises(StorageClassError, match=r"src.fits.gz"):
        files.write(a_catalog(), tmp_path / "src.fits.gz")
    with pytest.raises(StorageClassError, match=r"FITS table, which is read whole"):
        files.read(path, "SourceCatalog", columns=["id"])
