"""Exposures as FITS: every component comes back, alone too, and the metadata as they were."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skybutler.imaging import (
    Amplifier,
    Box2I,
    Detector,
    Exposure,
    Extent2I,
    Filter,
    GaussianPsf,
    Image,
    Mask,
    MaskedImage,
    PhotoCalib,
    Point2I,
    VisitInfo,
    Wcs,
)
from skybutler.imaging.components import COMPONENTS
from skybutler.imaging.header import Header
from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.model.errors import StorageClassError
from skybutler.model.storage_class import storage_class
from skybutler.storage import files
from skybutler.storage.datastore import Datastore

XY0 = (100, 50)
KIND = storage_class("Exposure")


def a_header() -> Header:
    header = Header(
        [
            ("OBJECT", "M13", "target"),
            ("EXPTIME", 20.000000000000004, "[s]"),
            ("GAIN", 1, ""),
            ("SHUTTER", True, ""),
            ("UNKNOWN", None, ""),
            ("BUNIT", "adu", ""),
            ("ESO DET CHIP1 ID", "a long keyword", ""),
            ("REMARK", "it's " * 40 + "over", "continued"),
            ("CRPIX1", 17.0, "of the raw frame"),
            ("NAXIS1", 4096, "of the raw frame"),
            ("TEMP", float("nan"), ""),
            ("OBSERVER", "Müller", ""),
            ("VAST", 1.2345678901234567e-123, ""),
        ]
    )
    header.add_history("first")
    header.add_history("second")
    header.add_comment("said")
    return header


def an_exposure(**more) -> Exposure:
    rng = np.random.default_rng(3)
    pixels = MaskedImage(
        Image(rng.normal(size=(40, 60)).astype(np.float32), xy0=XY0),
        Mask(rng.integers(0, 2047, (40, 60), dtype=np.int32), xy0=XY0),
        Image(rng.random((40, 60)).astype(np.float32), xy0=XY0),
    )
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 512.3, "CRPIX2": 511.9, "CRVAL1": 250.423456789,
             "CRVAL2": 36.4613, "CD1_1": -1.85e-4, "CD1_2": 3e-7, "CD2_1": 2e-7, "CD2_2": 1.85e-4}  # fmt: skip
    box = Box2I(Point2I(0, 0), Extent2I(1024, 1024))
    given = {
        "metadata": a_header(),
        "wcs": Wcs.from_header(cards),
        "psf": GaussianPsf(25, 25, 2.25),
        "photo_calib": PhotoCalib(12.5, 0.1),
        "visit_info": VisitInfo(exposure_time=20.0),
        "filter": Filter("sdss_g", "g"),
        "detector": Detector(3, "S03", box, (Amplifier("A", box, box, box, None, 1.3, 5.7, 60000.0),)),
        "summary_stats": {"psf_sigma": 2.25, "sky_noise": float("nan")},
        "id": 2**40 + 5,
    }
    return Exposure(pixels, **{**given, **more})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    files.write(an_exposure(), tmp_path / "exposure.fits")
    return tmp_path / "exposure.fits"


def test_everything_comes_back(path: Path):
    given, again = an_exposure(), files.read(path)
    assert isinstance(again, Exposure)
    for plane in ("image", "mask", "variance"):
        assert getattr(again, plane).bbox == getattr(given, plane).bbox
        np.testing.assert_array_equal(getattr(again, plane).array, getattr(given, plane).array)
    for name in ("photo_calib", "visit_info", "filter", "detector", "id"):
        assert getattr(again, name) == getattr(given, name), name
    assert again.psf.sigma == 2.25
    assert again.summary_stats["psf_sigma"] == 2.25
    assert np.isnan(again.summary_stats["sky_noise"])
    assert again.background is None
    x, y = np.array([100.0, 900.0]), np.array([50.0, 7.5])
    np.testing.assert_allclose(again.wcs.pixel_to_sky(x, y).ra.deg, given.wcs.pixel_to_sky(x, y).ra.deg, rtol=1e-14)


def test_metadata_come_back_card_by_card(path: Path):
    given, again = a_header(), files.read(path, component="metadata")
    assert [card.keyword for card in again.cards] == [card.keyword for card in given.cards]
    for mine, theirs in zip(given.cards, again.cards, strict=True):
        assert repr(theirs.value) == repr(mine.value)
        assert theirs.comment == mine.comment


def test_components_and_boxes_are_read_alone(path: Path, monkeypatch):
    given = an_exposure()
    from skybutler.storage.formatters.fits_file import Hdu

    box = Box2I(Point2I(110, 55), Extent2I(10, 8))
    part = files.read(path, bbox=box)
    np.testing.assert_array_equal(part.image.array, given.image[box].array)
    assert part.bbox == box
    there, here = given.wcs.pixel_to_sky(110.0, 55.0), part.wcs.pixel_to_sky(110.0, 55.0)
    assert there.separation(here).arcsec < 1e-9
    assert files.read(path, component="mask", bbox=box).bbox == box
    assert files.read(path, bbox=Box2I()).dimensions == (0, 0)
    local = Box2I(Point2I(0, 0), Extent2I(3, 2))
    assert files.read(path, bbox=local, origin="local").bbox.min == XY0
    with pytest.raises(StorageClassError, match="origin='here' is neither PARENT nor LOCAL"):
        files.read(path, bbox=local, origin="here")

    monkeypatch.setattr(Hdu, "pixels", None)  # from here on no pixel can be read
    assert files.read(path, component="psf").sigma == 2.25
    assert files.read(path, component="photo_calib") == files.read(path, component="calib") == given.photo_calib
    assert files.read(path, component="filter") == given.filter
    assert files.read(path, component="detector") == given.detector
    assert files.read(path, component="id") == given.id
    assert files.read(path, component="background") is None
    assert files.read(path, component="bbox") == given.bbox
    assert tuple(files.read(path, component="xy0")) == XY0
    assert tuple(files.read(path, component="dimensions")) == (60, 40)
    assert files.read(path, component="summary_stats")["psf_sigma"] == 2.25
    assert (
        files.read(path, component="wcs").pixel_to_sky(0.0, 0.0).separation(given.wcs.pixel_to_sky(0.0, 0.0)).arcsec
        < 1e-9
    )
    assert files.read(path, "PhotoCalib") == given.photo_calib
    with pytest.raises(StorageClassError, match=r"psv.*'psf'"):
        files.read(path, component="psv")


def test_every_component_is_read_alone_as_it_is_read_with_the_whole(path: Path):
    whole = files.read(path)
    for name in COMPONENTS:
        assert repr(files.read(path, component=name)) == repr(getattr(whole, name)), name
    for name in storage_class("Exposure").components:
        assert repr(files.read(path, component=name)) == repr(getattr(whole, name)), name


def test_an_image_far_from_the_origin_keeps_its_place(tmp_path: Path):
    files.write(Image(np.zeros((2, 3)), xy0=(2**40 + 1, -(2**33))), tmp_path / "far.fits")
    assert files.read(tmp_path / "far.fits", "Image").xy0 == (2**40 + 1, -(2**33))


def test_astropy_sees_a_sound_file(path: Path):
    with fits.open(path) as hdus:
        hdus.verify("exception")
        names = [hdu.name for hdu in hdus]
        assert names[:4] == ["PRIMARY", "IMAGE", "MASK", "VARIANCE"]
        assert {"PSF", "PHOTOCALIB", "VISIT_INFO", "FILTER", "DETECTOR", "SUMMARY_STATS"} <= set(names)
        assert hdus[0].header["OBJECT"] == "M13"
        assert hdus[0].header["REMARK"] == "it's " * 40 + "over"
        assert list(hdus[0].header["HISTORY"]) == ["first", "second"]
        assert (hdus["IMAGE"].header["BUNIT"], hdus["VARIANCE"].header["BUNIT"]) == ("adu", "adu**2")
        assert hdus["PSF"].data["sigma"][0] == 2.25
        assert hdus["PSF"].header["CLASS"] == "GaussianPsf"
        for plane in ("IMAGE", "MASK", "VARIANCE"):
            header = hdus[plane].header
            sky = WCS(header).pixel_to_world(0, 0)
            assert sky.separation(an_exposure().wcs.pixel_to_sky(float(XY0[0]), float(XY0[1]))).arcsec < 1e-9


def test_a_dataset_says_which_it_is_and_the_metadata_stay_as_they_are(tmp_path: Path):
    ref = DatasetRef(DatasetType("calexp", ["visit", "detector"], "Exposure"),
                     {"instrument": "Cam", "visit": 3, "detector": 1}, "ü" * 300)  # fmt: skip
    datastore = Datastore(tmp_path)
    exposure = an_exposure()
    stored = datastore.write(exposure, ref, KIND)
    header = fits.getheader(datastore.path(stored))
    assert header["LSST BUTLER DATASETTYPE"] == "calexp"
    assert header["LSST BUTLER RUN"] == r"\xfc" * 300
    assert header["LSST BUTLER ID"] == str(ref.id)
    assert header["LSST BUTLER DATAID VISIT"] == 3
    assert exposure.metadata.cards == a_header().cards or "nan" in repr(exposure.metadata.cards)
    assert not any(key.startswith(("SKYBUTLER", "LSST")) for key in datastore.read(stored, KIND, "metadata"))
    again = datastore.write(datastore.read(stored, KIND), ref, KIND)  # a second trip adds nothing
    assert again.size == stored.size
    assert datastore.read(stored, storage_class("Image")).bbox == exposure.bbox


def test_a_bare_exposure_has_no_components(tmp_path: Path):
    files.write(Exposure(MaskedImage(np.zeros((3, 2), np.uint16))), tmp_path / "bare.fits")
    again = files.read(tmp_path / "bare.fits")
    assert again.wcs is again.psf is again.id is None
    assert again.image.array.dtype == np.uint16
    assert len(again.metadata) == 0


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_fitsverify_finds_no_error(path: Path):
    done = subprocess.run(["fitsverify", "-e", "-q", path], capture_output=True, text=True, check=False)
    assert "verification OK" in done.stdout, done.stdout


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_an_image_of_truth_values_comes_back_as_one(tmp_path: Path, compression):
    image, path = Image(np.arange(600).reshape(20, 30) % 7 == 0, XY0), tmp_path / "truth.fits"
    files.write(image, path, compression=compression)
    for box in (None, Box2I(Point2I(101, 52), Extent2I(7, 3))):
        again = files.read(path, bbox=box) if box else files.read(path)
        assert again.dtype == bool
        np.testing.assert_array_equal(again.array, image[box or image.bbox].array)
    exposure = Exposure(MaskedImage(image))
    files.write(exposure, tmp_path / "exposure.fits")
    assert files.read(tmp_path / "exposure.fits").dtype == bool
    files.write(Image(np.ones((2, 2), "uint8")), path)
    assert files.read(path).dtype == np.uint8
