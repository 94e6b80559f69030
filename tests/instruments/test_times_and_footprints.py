"""Times and footprints of headers agree with astropy's, to the nanosecond and to 1e-9 degrees."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.time import Time
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from skybutler.instruments.footprint import is_plain_tan, sky_positions, tan_to_sky
from skybutler.instruments.headers import read_headers
from skybutler.instruments.times import day_of, tai_from_header, utc_datetime
from skybutler.model.timespan import nanoseconds

seconds_of_utc = st.datetimes(datetime(1972, 1, 1), datetime(2027, 1, 1))


@given(when=seconds_of_utc)
def test_utc_to_tai_is_astropy_s(when: datetime) -> None:
    text = when.isoformat()
    tai = tai_from_header(text, "isot", "utc")
    assert tai == nanoseconds(Time(text, format="isot", scale="utc"))
    assert utc_datetime(tai) == when


@given(mjd=st.floats(45000, 62000))
def test_day_numbers_are_read_to_a_microsecond(mjd: float) -> None:
    expected = nanoseconds(Time(mjd, format="mjd", scale="utc"))
    assert abs(tai_from_header(mjd, "mjd", "utc") - expected) < 2000
    julian = tai_from_header(mjd + 2400000.5, "jd", "tai")
    assert abs(julian - tai_from_header(mjd, "mjd", "tai")) < 50_000  # a Julian date's double ends at 40 microseconds


@pytest.mark.parametrize(
    ("text", "tai"),
    [
        ("2016-12-31T23:59:59", "2017-01-01T00:00:35"),
        ("2016-12-31T23:59:60.5", "2017-01-01T00:00:36.5"),
        ("2017-01-01T00:00:00Z", "2017-01-01T00:00:37"),
        ("2019-05-03 07:37:46.123456789", "2019-05-03T07:38:23.123456789"),
    ],
)
def test_leap_seconds(text: str, tai: str) -> None:
    assert tai_from_header(text, "isot", "utc") == tai_from_header(tai, "isot", "tai")


def test_before_1972_astropy_is_asked() -> None:
    expected = nanoseconds(Time("1965-03-01T12:00:00", format="isot", scale="utc"))
    assert tai_from_header("1965-03-01T12:00:00", "isot", "utc") == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2019-13-01", "2019-05-03T25:00:00"])
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        tai_from_header(text, "isot", "utc")


def test_an_observing_day_begins_at_its_offset() -> None:
    before = tai_from_header("2026-01-21T11:59:59", "isot", "tai")
    assert day_of(before, 12 * 3600) == 20260120
    assert day_of(before + 2 * 10**9, 12 * 3600) == 20260121
    assert day_of(before, 0) == 20260121


SCALE = 2e-4
matrices = st.sampled_from(
    [
        {"CD1_1": -SCALE, "CD1_2": 3e-6, "CD2_1": 2e-6, "CD2_2": SCALE},
        {"CD1_1": -SCALE, "CD2_2": SCALE},
        {"CDELT1": -SCALE, "CDELT2": SCALE},
        {"CDELT1": -SCALE, "CDELT2": 1.1 * SCALE, "CROTA2": 33.0},
        {"CDELT1": -SCALE, "CDELT2": SCALE, "PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8},
    ]
)


@given(
    ra=st.floats(0, 359.999),
    dec=st.floats(-90, 90, exclude_max=True),
    matrix=matrices,
    pixels=st.lists(st.tuples(st.floats(-5000, 5000), st.floats(-5000, 5000)), min_size=1, max_size=4),
)
def test_a_plain_tan_is_astropy_s(
    ra: float, dec: float, matrix: dict[str, float], pixels: list[tuple[float, float]]
) -> None:
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": dec, "CRPIX1": 512.5, "CRPIX2": 7.0}
    header |= matrix
    assert is_plain_tan(header)
    expected = WCS(header).all_pix2world(pixels, 1)
    ours = np.array(tan_to_sky(header, pixels))
    d_ra = (ours[:, 0] - expected[:, 0] + 180.0) % 360.0 - 180.0
    assert np.abs(d_ra * np.cos(np.radians(ours[:, 1]))).max() < 1e-9
    assert np.abs(ours[:, 1] - expected[:, 1]).max() < 1e-9


def test_real_frames_lie_where_astropy_puts_them(shared_data: Path) -> None:
    corners = [(0.5, 0.5), (1024.5, 0.5), (1024.5, 1024.5), (0.5, 1024.5)]
    frames = sorted((shared_data / "arcsat-m13").glob("M13*"))
    for path in frames:
        header = read_headers(path)[1]
        # PinPoint writes CD beside CDELT and CROTA; CD is what counts, and what astropy takes.
        plain = {k: v for k, v in header.items() if k.startswith(("CTYPE", "CRVAL", "CRPIX", "CD1_", "CD2_"))}
        expected = WCS(plain).all_pix2world(corners, 1)
        np.testing.assert_allclose(sky_positions(header, corners), expected, rtol=0, atol=1e-9)
    assert len(frames) == 12


def test_a_distorted_wcs_goes_through_astropy() -> None:
    header = {
        "NAXIS": 2, "NAXIS1": 100, "NAXIS2": 100,
        "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRVAL1": 10.0, "CRVAL2": 20.0, "CRPIX1": 50.0,
        "CRPIX2": 50.0, "CD1_1": -1e-3, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-3,
        "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-4, "B_0_2": 1e-4, "HISTORY": "two\nlines",
    }  # fmt: skip
    assert not is_plain_tan(header)
    (ra, dec), (centre_ra, centre_dec) = sky_positions(header, [(90.0, 50.0), (50.0, 50.0)])
    assert (centre_ra, centre_dec) == pytest.approx((10.0, 20.0), abs=1e-9)
    undistorted = tan_to_sky(header, [(90.0, 50.0)])[0]
    assert (undistorted[0] - ra) * 3600 == pytest.approx(0.16e-3 * 3600 / np.cos(np.radians(dec)), rel=0.01)


def test_a_frame_about_the_pole_goes_through_astropy() -> None:
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 30.0, "CRVAL2": 90.0, "CRPIX1": 1.0, "CRPIX2": 1.0}
    header |= {"CD1_1": -SCALE, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": SCALE}
    assert not is_plain_tan(header)
    expected = WCS(header).all_pix2world([(101.0, 51.0)], 1)
    np.testing.assert_allclose(sky_positions(header, [(101.0, 51.0)]), expected, atol=1e-9)


def test_a_wcs_that_lacks_a_key_names_it() -> None:
    with pytest.raises(KeyError, match="CRVAL2"):
        sky_positions({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 1.0, "CD1_1": 1.0}, [(1.0, 1.0)])
