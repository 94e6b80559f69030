import pickle

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from skybutler.imaging.geometry import Box2I, Extent2I, Point2D, Point2I
from skybutler.imaging.header import Header
from skybutler.imaging.wcs import Wcs
from skybutler.model.errors import HeaderError

SCALE = 0.2 / 3600


def tan(x=100.0, y=50.0):
    return Wcs.make_tan((x, y), (30.0, 40.0), [[-SCALE, 0.0], [0.0, SCALE]])


def tan_header(**changes):
    cards = {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRPIX1": 5.0,
        "CRPIX2": 6.0,
        "CRVAL1": 30.0,
        "CRVAL2": 40.0,
        "CD1_1": -SCALE,
        "CD1_2": 0.0,
        "CD2_1": 0.0,
        "CD2_2": SCALE,
        "RADESYS": "ICRS",
    }
    return Header({key: value for key, value in (cards | changes).items() if value is not None})


def test_pixels_count_from_zero():
    wcs = Wcs.from_header(tan_header())
    sky = wcs.pixel_to_sky(4, 5)
    assert (sky.ra.deg, sky.dec.deg) == (pytest.approx(30.0, abs=1e-12), pytest.approx(40.0, abs=1e-12))
    assert tuple(wcs.pixel_origin) == (4.0, 5.0)
    assert wcs.sky_origin.dec.deg == 40.0
    assert wcs.pixel_scale == pytest.approx(0.2, rel=1e-12)
    assert not wcs.is_flipped
    north = wcs.pixel_to_sky(4, 6)
    assert (north.dec - sky.dec).arcsec == pytest.approx(0.2, rel=1e-6)


def test_xy0_moves_to_parent_pixels():
    wcs = Wcs.from_header(tan_header(), xy0=Point2I(1000, 2000))
    assert tuple(wcs.pixel_origin) == (1004.0, 2005.0)
    assert wcs.pixel_to_sky(Point2D(1004, 2005)).ra.deg == pytest.approx(30.0)
    header = wcs.to_header(xy0=Point2I(1000, 2000))
    assert (header["CRPIX1"], header["CRPIX2"]) == (5.0, 6.0)
    assert Wcs.from_header(header, (1000, 2000)) == wcs
    assert wcs.shifted((-1000, -2000)) == Wcs.from_header(tan_header())


def test_goes_there_and_back():
    wcs = tan()
    x, y = np.meshgrid(np.linspace(0, 4000, 5), np.linspace(0, 2000, 4))
    sky = wcs.pixelToSky(x, y)
    assert sky.shape == (4, 5)
    back_x, back_y = wcs.skyToPixel(sky)
    np.testing.assert_allclose(back_x, x, atol=1e-8)
    np.testing.assert_allclose(back_y, y, atol=1e-8)
    point = wcs.sky_to_pixel(SkyCoord(30, 40, unit="deg").galactic)
    assert isinstance(point, Point2D)
    assert tuple(point) == (pytest.approx(100, abs=1e-7), pytest.approx(50, abs=1e-7))


def test_a_header_like_pinpoints_loads_silently_and_cd_counts():
    header = tan_header(
        CDELT1=-1.0, CDELT2=1.0, CROTA1=45.0, CROTA2=45.0, RADESYS=None, RADECSYS="FK5", EQUINOX=2000.0, PC1_1=3.0
    )
    header["DATE-OBS"] = "03/05/19"
    wcs = Wcs.from_header(header)
    assert wcs.pixel_scale == pytest.approx(0.2, rel=1e-12)
    fk5 = SkyCoord(30, 40, unit="deg", frame="fk5")
    assert wcs.pixel_to_sky(4, 5).separation(fk5.icrs).arcsec < 1e-9
    assert wcs.to_header()["RADESYS"] == "FK5"


def test_no_sky_is_none_and_a_wrong_sky_an_error():
    assert Wcs.from_header(Header({"EXPTIME": 3.0})) is None
    assert Wcs.from_header(Header({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"})) is None
    with pytest.raises(HeaderError, match="cannot be understood"):
        Wcs.from_header(tan_header(CTYPE2="RA---TAN"))


def test_axes_may_be_swapped():
    swapped = tan_header(CTYPE1="DEC--TAN", CTYPE2="RA---TAN", CRVAL1=40.0, CRVAL2=30.0)
    wcs = Wcs.from_header(swapped)
    sky = wcs.pixel_to_sky(4, 5)
    assert (sky.ra.deg, sky.dec.deg) == (pytest.approx(30.0), pytest.approx(40.0))
    assert tuple(wcs.sky_to_pixel(sky)) == (pytest.approx(4.0, abs=1e-7), pytest.approx(5.0, abs=1e-7))


def test_distortions_survive_the_header():
    sip = tan_header(
        CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", A_ORDER=2, B_ORDER=2, A_2_0=1e-6, B_0_2=-2e-6, A_1_1=3.3e-7
    )
    tpv = tan_header(CTYPE1="RA---TPV", CTYPE2="DEC--TPV", PV1_1=1.0, PV2_1=1.0, PV1_4=0.0123456789012345)
    zpn = tan_header(CTYPE1="RA---ZPN", CTYPE2="DEC--ZPN", PV2_1=1.0, PV2_3=220.0)
    x, y = np.array([0.0, 1000.0, 2000.0]), np.array([500.0, 0.0, 1500.0])
    for header in (sip, tpv, zpn):
        wcs = Wcs.from_header(header, (300, -50))
        again = Wcs.from_header(wcs.to_header((10, 20)), (10, 20))
        sky = wcs.pixel_to_sky(x, y)
        assert np.max(again.pixel_to_sky(x, y).separation(sky).arcsec) < 1e-8
        np.testing.assert_allclose(wcs.sky_to_pixel(sky), (x, y), atol=1e-4)
        plain = Wcs.from_header(tan_header(), (300, -50)).pixel_to_sky(x, y)
        assert np.max(plain.separation(sky).arcsec) > 0.01


def test_it_pickles_and_comes_back_from_dictionaries():
    wcs = Wcs.from_header(tan_header(), (12, 13))
    assert pickle.loads(pickle.dumps(wcs)) == wcs == Wcs.from_dict(wcs.to_dict())
    assert wcs != tan()
    local = wcs.as_astropy((12, 13))
    assert local.wcs.crpix.tolist() == [5.0, 6.0]
    assert repr(wcs) == "Wcs(TAN, pixel (16.00, 18.00) at 30.000000 +40.000000, 0.2000 arcsec/pixel)"


def test_a_scamp_distortion_is_named_and_counts(shared_data):
    with fits.open(shared_data / "decam" / "c4d_171113_060340_ooi_r_ls9.N6.fits") as hdus:
        header = Header.from_astropy(hdus[1].header)
    wcs = Wcs.from_header(header)
    assert repr(wcs).startswith("Wcs(TPV,")
    plain = Header({key: value for key, value in header.items() if not key.startswith("PV")})
    plain["CTYPE1"], plain["CTYPE2"] = "RA---TAN", "DEC--TAN"
    separation = Wcs.from_header(plain).pixel_to_sky(10, 20).separation(wcs.pixel_to_sky(10, 20)).arcsec
    assert separation == pytest.approx(4.528, abs=1e-3)
    again = Wcs.from_header(wcs.to_header())
    assert again.pixel_to_sky(10, 20).separation(wcs.pixel_to_sky(10, 20)).arcsec < 1e-6


def test_a_footprint_is_the_outer_corners():
    wcs = tan()
    corners = wcs.footprint(Box2I(Point2I(0, 0), Extent2I(201, 101)))
    assert len(corners) == 4
    expected = wcs.pixel_to_sky([-0.5, 200.5, 200.5, -0.5], [-0.5, -0.5, 100.5, 100.5])
    np.testing.assert_allclose(corners, np.stack([expected.ra.deg, expected.dec.deg], axis=-1), rtol=1e-14)


def test_real_headers_load(shared_data):
    with fits.open(shared_data / "arcsat-m13" / "M13_sdss_g_20190503_090311.fits.fz") as hdus:
        wcs = Wcs.from_header(hdus[1].header)
    assert wcs.pixel_scale == pytest.approx(0.667, abs=0.02)
    assert wcs.pixel_to_sky(512, 512).separation(SkyCoord("16h41m41.2s +36d27m36s")).arcmin < 6
    for name in ("afw/exposure-version-2.fits", "afw/ZPN.fits", "multi-extension/hsc_calexp_64x32_lsst.fits"):
        with fits.open(shared_data / name) as hdus:
            found = [Wcs.from_header(hdu.header) for hdu in hdus if hdu.header.get("CTYPE1")]
        assert found
        assert all(wcs is not None for wcs in found)


@pytest.mark.parametrize("keyword", ["CRPIX1", "CRPIX2"])
def test_a_sky_without_a_reference_pixel_is_refused(keyword):
    header = tan_header()
    del header[keyword]
    with pytest.raises(HeaderError, match=f"there is no reference pixel, {keyword}"):
        Wcs.from_header(header)


def test_positions_on_the_sky_are_skycoords():
    with pytest.raises(TypeError, match=r"a SkyCoord, not \(45.0, 30.0\); SkyCoord\(ra, dec, unit='deg'\) makes one"):
        Wcs.from_header(tan_header()).sky_to_pixel((45.0, 30.0))
