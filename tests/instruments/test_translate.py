"""Headers become dimension records: real frames, several detectors in a file, and headers that lack or say nonsense."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from skybutler.instruments import Instrument, read_headers
from skybutler.model.dimensions import default_universe
from skybutler.model.errors import HeaderError
from skybutler.model.timespan import Timespan

PLAIN = {
    "SIMPLE": True, "NAXIS": 2, "NAXIS1": 544, "NAXIS2": 512, "CHIPID": "S01", "EXPNUM": 7, "SEQNO": 3,
    "UTSTART": "2026-01-21T03:04:05.250", "SHUTTIME": 60.0, "DARKTIME": 61.0, "OBSTYPE": "OBJECT", "FILTNAM": "sim_r",
    "TELRA": 10.0, "TELDEC": -5.0, "TELZD": 30.0, "FIELD": "north", "MAGZERO": 24.0,
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": -5.0, "CRPIX1": 256.5, "CRPIX2": 256.5,
    "CD1_1": -0.0002, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.0002,
}  # fmt: skip


def translate(**changes: Any) -> Any:
    header = {key: value for key, value in (PLAIN | changes).items() if value is not ...}
    return Instrument.load("simcam").translate([header], "night/frame.fits")[0]


def test_a_header_becomes_records() -> None:
    made = translate()
    row = made.exposure
    assert (made.detector, made.is_science, made.hdu) == (1, True, 0)
    assert row["instrument"] == "SimCam"
    assert (row["id"], row["obs_id"], row["group"], row["seq_num"]) == (7, "SC00000007", "SC00000007", 3)
    assert row["timespan"] == Timespan.from_isot("2026-01-21T03:04:42.25", "2026-01-21T03:05:43.25")
    assert (row["exposure_time"], row["dark_time"]) == (60.0, 61.0)
    assert (row["physical_filter"], row["observation_type"], row["day_obs"]) == ("sim_r", "science", 20260120)
    assert (row["tracking_ra"], row["tracking_dec"], row["zenith_angle"]) == (10.0, -5.0, 30.0)
    assert (row["target_name"], row["can_see_sky"], row["has_simulated"]) == ("north", True, True)
    assert made.day_obs == {"instrument": "SimCam", "id": 20260120, "timespan": Timespan.from_day_obs(20260120, 43200)}
    assert made.group == {"instrument": "SimCam", "name": "SC00000007"}
    assert made.region is not None
    assert made.region.contains(10.0, -5.0)
    assert made.region.contains(10.0 + 0.0002 * 255, -5.0 + 0.0002 * 255)
    assert not made.region.contains(10.0 - 0.0002 * 257, -5.0)  # the overscan sees no sky


def test_rows_are_columns_of_the_universe() -> None:
    made = translate()
    universe = default_universe()
    for element, row in (("exposure", made.exposure), ("day_obs", made.day_obs), ("group", made.group)):
        assert row.keys() <= {column.name for column in universe[element].columns}


def test_frames_that_see_no_sky_have_no_region() -> None:
    made = translate(OBSTYPE="ZERO", FILTNAM="SHUT", SHUTTIME=0, DARKTIME=0)
    assert (made.exposure["observation_type"], made.region, made.is_science) == ("bias", None, False)
    assert made.exposure["can_see_sky"] is False
    assert not made.exposure["timespan"].is_empty


def test_a_science_frame_without_wcs_has_no_region() -> None:
    assert translate(CTYPE1=...).region is None


def test_one_observation_an_image_of_a_file_with_keys_of_the_primary() -> None:
    common = {key: value for key, value in PLAIN.items() if not key.startswith(("NAXIS", "CHIPID"))} | {"NAXIS": 0}
    images = [
        {"XTENSION": "IMAGE", "NAXIS": 2, "NAXIS1": 544, "NAXIS2": 512, "CHIPID": chip, "CRVAL1": ra}
        for chip, ra in (("S00", 20.0), ("S01", 30.0))
    ]
    table = {"XTENSION": "BINTABLE", "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 10}
    made = Instrument.load("simcam").translate([common, *images, table], "mef.fits")
    assert [(one.detector, one.hdu, one.exposure["id"]) for one in made] == [(0, 1, 7), (1, 2, 7)]
    assert all(one.region.contains(ra, -5.0) for one, ra in zip(made, (20.0, 30.0), strict=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"UTSTART": ...}, "the header has no UTSTART; SimCam takes time from it"),
        ({"EXPNUM": ..., "EXPNUMB": 7}, "no EXPNUM; SimCam takes exposure.id from it. Did you mean 'EXPNUMB'"),
        ({"OBSTYPE": "  "}, "OBSTYPE is '  ', which SimCam does not know"),
        ({"OBSTYPE": ""}, "OBSTYPE is blank"),
        (
            {"OBSTYPE": "FLAT"},
            "OBSTYPE is 'FLAT', which SimCam does not know as exposure.observation_type; known: 'obj",
        ),
        ({"FILTNAM": "sim_R"}, "FILTNAM is 'sim_R'; SimCam has the filters sim_g, sim_r.*Did you mean 'sim_"),
        ({"CHIPID": "S07"}, "CHIPID is 'S07'; SimCam has the detectors S00, S01"),
        ({"UTSTART": "tonight"}, "UTSTART is 'tonight', which is no time"),
        ({"SHUTTIME": "long"}, "SHUTTIME is 'long', which is no value in s"),
        ({"SHUTTIME": -1.0}, "exposure_time is -1.0 s, and cannot be negative"),
        ({"EXPNUM": 7.5}, "EXPNUM is 7.5, and exposure.id must be a whole number"),
        ({"SEQNO": True}, "SEQNO is True, and exposure.seq_num must be a whole number"),
        ({"NAXIS1": 272}, "NAXIS1 and NAXIS2 are 272 x 512; detector S01 of SimCam reads 544 x 512"),
        ({"NAXIS": 0}, "no image in it"),
        ({"CRVAL2": ...}, "the header has CTYPE1 but no CRVAL2"),
    ],
)
def test_a_header_that_cannot_be_is_told_with_file_and_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(HeaderError, match=said) as error:
        translate(**changes)
    assert str(error.value).startswith("night/frame.fits: ")
    assert "\n" not in str(error.value)


def test_zero_points_hold_for_one_adu_in_the_exposure() -> None:
    simcam = Instrument.load("simcam")
    assert simcam.zero_point(PLAIN) == pytest.approx(24.0 + 2.5 * math.log10(60.0))
    assert simcam.zero_point({key: value for key, value in PLAIN.items() if key != "MAGZERO"}) is None
    with pytest.raises(HeaderError, match=r"exposure time of 0\.0 s"):
        simcam.zero_point(PLAIN | {"SHUTTIME": 0.0})


RULES = yaml.safe_load("""
name: Rules
detectors: [{id: 5, full_name: D, amplifiers: [
  {name: A, data: [0, 0, 9, 9], gain: 1, read_noise: 1, saturation: 9}]}]
filters: [{physical: V, band: v}]
time: {key: MJD, format: mjd, scale: tai, marks: middle}
day_obs: {begins_at_hour: -12}
detector: {constant: 5}
exposure:
  id: {time: "%y%m%d%H"}
  group: {text: "{PROG}-{N:03d}"}
  observation_type: {constant: science}
  exposure_time: {key: [EXPMS, EXPMIN], unit: min}
  physical_filter: {constant: V}
  target_name: {key: [NAME, OBJECT], default: none given}
  tracking_ra: {key: RA, unit: hours}
  tracking_dec: {key: DEC, unit: sexagesimal deg}
  zenith_angle: {key: ALT, unit: altitude deg}
  can_see_sky: {key: OPEN}
""")
RULED = {
    "NAXIS": 2, "NAXIS1": 9, "NAXIS2": 9, "MJD": 60000.5, "PROG": "P", "N": 4, "EXPMIN": 2.0, "RA": "01:30:00",
    "DEC": "-00 30 36", "ALT": 60.0, "OPEN": True, "OBJECT": "Vega",
}  # fmt: skip


def test_every_kind_of_rule() -> None:
    row = Instrument.from_dict(RULES).translate([RULED], "f")[0].exposure
    assert row["timespan"] == Timespan.from_isot("2023-02-25T11:59:00", "2023-02-25T12:01:00")
    assert row["id"] == 23022511
    assert row["day_obs"] == 20230225
    assert (row["group"], row["exposure_time"], row["target_name"]) == ("P-004", 120.0, "Vega")
    assert (row["tracking_ra"], row["tracking_dec"]) == pytest.approx((22.5, -0.51))
    assert (row["zenith_angle"], row["can_see_sky"]) == (30.0, True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"RA": "1h30"}, "RA is '1h30', which is no value in hours"),
        ({"DEC": "10 -5"}, "no value in sexagesimal deg"),
        ({"N": "four"}, "does not fit"),
        ({"PROG": ""}, "PROG is blank; Rules takes exposure.group"),
        ({"OPEN": "yes"}, "OPEN is 'yes', and exposure.can_see_sky must be T or F"),
    ],
)
def test_rules_tell_what_does_not_fit(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(HeaderError, match=said):
        Instrument.from_dict(RULES).translate([RULED | changes], "f")


def test_all_real_arcsat_frames_translate(shared_data: Path) -> None:
    arcsat = Instrument.load("arcsat")
    frames = sorted((shared_data / "arcsat-m13").glob("*.fz"))
    made = {path.name: arcsat.translate(read_headers(path), path) for path in frames}
    assert len(made) == 30
    assert all(len(one) == 1 and one[0].detector == 0 and one[0].hdu == 1 for one in made.values())
    rows = [one[0].exposure for one in made.values()]
    assert Counter(row["observation_type"] for row in rows) == {"bias": 3, "dark": 3, "flat": 12, "science": 12}
    assert len({row["id"] for row in rows}) == len({row["obs_id"] for row in rows}) == 30
    assert {row["day_obs"] for row in rows} == {20190503}
    science = [one[0] for one in made.values() if one[0].is_science]
    assert {one.exposure["physical_filter"] for one in science} == {"sdss_g", "sdss_r", "sdss_i", "sdss_z"}
    assert {row["physical_filter"] for row in rows if row["observation_type"] in ("bias", "dark")} == {"NONE"}
    assert all(one.region.contains(250.4217, 36.4599) for one in science)  # M13
    assert all((one[0].region is None) == (not one[0].is_science) for one in made.values())

    hazy = made["M13_sdss_z_20190503_091030.fits.fz"][0].exposure
    assert hazy["id"] == 20190503091040
    assert hazy["timespan"] == Timespan.from_isot("2019-05-03T09:11:17", "2019-05-03T09:13:57")
    assert (hazy["target_name"], hazy["exposure_time"], hazy["seq_num"]) == ("M13", 160.0, 91040)
    assert hazy["tracking_ra"] == pytest.approx(250.420833, abs=1e-6)
    assert hazy["tracking_dec"] == pytest.approx(36.459722, abs=1e-6)
    assert hazy["zenith_angle"] == pytest.approx(math.degrees(math.acos(1 / 1.00295406585)))
    bias = made["Bias_BIN1_20190503_073730.fits.fz"][0].exposure
    assert (bias["id"], bias["target_name"]) == (20190503073746, None)

    header = read_headers(shared_data / "arcsat-m13" / "M13_sdss_z_20190503_091030.fits.fz")[1]
    assert arcsat.zero_point(header) == pytest.approx(18.6313668683 + 2.5 * math.log10(160.0))
