import math
import pickle

import pytest

from skybutler.imaging.filter import Filter
from skybutler.imaging.visit_info import VisitInfo


@pytest.fixture
def info():
    return VisitInfo(
        id=12,
        exposure_time=30.0,
        begin="2019-05-03T08:44:00.000",
        boresight_ra=250.42,
        boresight_dec=36.46,
        airmass=1.1,
        longitude=-105.82,
        latitude=32.78,
        elevation=2788.0,
        instrument="ARCSAT",
        object="M13",
    )


def test_times_are_tai(info):
    assert info.timespan.end_ns - info.timespan.begin_ns == 30_000_000_000
    assert info.getDate().isot == "2019-05-03T08:44:15.000"
    assert info.date.scale == "tai"
    assert VisitInfo().date is None
    assert VisitInfo().timespan is None


def test_places_are_astropy_objects(info):
    assert info.boresight.ra.deg == 250.42
    assert info.observatory.geodetic.lat.deg == pytest.approx(32.78)
    assert VisitInfo().boresight is None
    assert VisitInfo().observatory is None
    assert math.isnan(VisitInfo().getExposureTime())


def test_only_what_is_known_is_stored(info):
    content = info.to_dict()
    assert set(content) >= {"id", "exposure_time", "airmass", "object"}
    assert "humidity" not in content
    assert VisitInfo().to_dict() == {}
    assert repr(VisitInfo.from_dict(content)) == repr(info)
    assert repr(pickle.loads(pickle.dumps(info))) == repr(info)
    with pytest.raises(ValueError, match=r"no 'airmas'\. Did you mean 'airmass'"):
        VisitInfo.from_dict({"airmas": 1.0})


def test_a_filter_has_glass_and_band():
    sdss_r = Filter("sdss_r", "r")
    assert (sdss_r.physical, sdss_r.getBand()) == ("sdss_r", "r")
    assert Filter.from_dict(sdss_r.to_dict()) == sdss_r == pickle.loads(pickle.dumps(sdss_r))
    assert str(sdss_r) == "sdss_r (r)"
    assert str(Filter("white")) == "white"
    red = Filter(band="r")
    assert (red.physical, red.band, str(red), Filter.from_dict(red.to_dict())) == ("", "r", "r", red)
    assert (red.bandLabel, red.hasBandLabel(), red.hasPhysicalLabel(), sdss_r.physicalLabel) == (
        "r",
        True,
        False,
        "sdss_r",
    )
    with pytest.raises(ValueError, match="has no physical name"):
        red.getPhysicalLabel()
    with pytest.raises(ValueError, match="a physical name, a band, or both"):
        Filter()


def test_what_lsst_derives_and_its_names():
    info = VisitInfo(
        era=45.1, ut1=12345.1, boresight_ra=23.1, boresight_dec=73.2, longitude=11.1, latitude=22.2,
        boresight_azimuth=134.5, boresight_altitude=33.3, boresight_rotation_angle=73.2, rotation_type="SKY",
        airmass=1.73, air_temperature=1.1, air_pressure=2.2, humidity=34.5, instrument="TestCameraOne",
    )  # fmt: skip
    assert info.getLocalEra() == pytest.approx(56.2)
    assert info.getBoresightHourAngle() == pytest.approx(33.1)
    assert info.getBoresightParAngle() == pytest.approx(141.39684140703142, rel=1e-14)
    assert info.getBoresightRaDec().ra.deg == 23.1
    sky = info.getBoresightAzAlt()
    assert (sky.az.deg, sky.alt.deg) == (134.5, pytest.approx(33.3))
    assert (info.getBoresightAirmass(), info.getBoresightRotAngle(), info.getRotType()) == (1.73, 73.2, "SKY")
    assert info.getWeather().getAirPressure() == 2.2
    assert (info.weather.air_temperature, info.weather.humidity) == (1.1, 34.5)
    assert info.getInstrumentLabel() == "TestCameraOne"
    assert (info.getUt1(), info.getEra(), info.getHasSimulatedContent()) == (12345.1, 45.1, False)
    nothing = VisitInfo()
    assert (nothing.rot_type, nothing.boresight_az_alt, nothing.boresight_ra_dec) == ("UNKNOWN", None, None)
    assert math.isnan(nothing.boresight_par_angle)


def test_on_the_meridian_the_zenith_is_south_or_north():
    for dec, angle in ((32.2, 180.0), (12.2, 0.0)):  # of a pointing north and one south of the zenith
        info = VisitInfo(era=45.1, longitude=11.1, latitude=22.2, boresight_ra=56.2, boresight_dec=dec)
        assert abs(info.boresight_par_angle) == pytest.approx(angle, abs=1e-12)


def test_what_an_earlier_version_wrote_is_read_and_what_is_new_comes_back(info):
    assert VisitInfo.from_dict({"id": 12}).rotation_type == ""
    more = VisitInfo(era=1.0, ut1=2.0, rotation_type="MOUNT", has_simulated_content=True)
    assert more.to_dict() == {"era": 1.0, "ut1": 2.0, "rotation_type": "MOUNT", "has_simulated_content": True}
    assert VisitInfo.from_dict(more.to_dict()) == more
    assert "has_simulated_content" not in info.to_dict()
