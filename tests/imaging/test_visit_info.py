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
