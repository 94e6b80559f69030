"""Timespans are half-open, exact to the nanosecond, and know leap seconds only where they meet UTC."""

import pickle
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from skybutler.model.timespan import Timespan, nanoseconds, nanoseconds_from_isot, now_ns, time_from_ns

LEAP_2017 = 1_483_228_836 * 10**9
"""TAI of 2016-12-31T23:59:60 UTC: 2017-01-01T00:00:36 TAI."""
INSTANTS = st.integers(min_value=-(2**62), max_value=2**63 - 2)
SPANS = st.builds(Timespan, st.integers(-50, 50), st.integers(-50, 50))


@given(INSTANTS)
def test_nanoseconds_survive_astropy_and_back_exactly(ns):
    assert nanoseconds(time_from_ns(ns)) == ns


@given(INSTANTS)
def test_nanoseconds_survive_another_time_scale_and_back_to_the_nanosecond(ns):
    assert abs(nanoseconds(time_from_ns(ns).tt) - ns) <= 1


def test_tai_text_is_arithmetic_with_nine_decimals():
    assert nanoseconds_from_isot("1970-01-01", "tai") == 0
    assert nanoseconds_from_isot("1970-01-01T00:00:01.000000001", "tai") == 1_000_000_001
    assert nanoseconds_from_isot("1969-12-31 23:59:59.5", "tai") == -500_000_000
    assert nanoseconds_from_isot("2019-05-03T09:10:40.5", "tai") == 1_556_874_640_500_000_000


def test_utc_text_counts_the_leap_seconds_since():
    tai = nanoseconds_from_isot("2019-05-03T09:10:40", "tai")
    assert nanoseconds_from_isot("2019-05-03T09:10:40", "utc") - tai == 37 * 10**9
    assert (
        nanoseconds_from_isot("2016-12-31T12:00:00", "utc") - nanoseconds_from_isot("2016-12-31T12:00:00", "tai")
        == 36 * 10**9
    )


def test_a_leap_second_has_its_own_instant():
    assert nanoseconds_from_isot("2016-12-31T23:59:60", "utc") == LEAP_2017
    assert nanoseconds_from_isot("2016-12-31T23:59:59", "utc") == LEAP_2017 - 10**9
    assert nanoseconds_from_isot("2017-01-01T00:00:00", "utc") == LEAP_2017 + 10**9


def test_astropy_time_over_a_leap_second_is_two_seconds_long():
    span = Timespan(Time("2016-12-31T23:59:59", scale="utc"), Time("2017-01-01T00:00:00", scale="utc"))
    assert span.end_ns - span.begin_ns == 2 * 10**9


@pytest.mark.parametrize(
    "text", ["", "nonsense", "2019-13-01", "2019-05-03T09:10:40.x", "2019-05-03T09:10:40Z", "2019-05-03T09:10:40+02:00"]
)
def test_text_that_is_no_tai_date_is_a_value_error(text):
    with pytest.raises(ValueError):
        nanoseconds_from_isot(text, "tai")


def test_a_datetime_is_utc_unless_it_names_a_zone():
    naive = datetime(2025, 1, 1, 12)
    noon = nanoseconds_from_isot("2025-01-01T12:00:37", "tai")
    assert nanoseconds(naive) == nanoseconds(naive.replace(tzinfo=UTC)) == noon
    assert nanoseconds(datetime(2025, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == noon


def test_numpy_integers_are_nanoseconds_and_fractions_are_refused():
    assert Timespan(np.int64(1), np.int64(3)) == Timespan(1, 3)
    with pytest.raises(TypeError, match=r"not 1\.5"):
        Timespan(1.5, 3)


def test_now_is_37_seconds_ahead_of_utc():
    assert abs(now_ns() - nanoseconds(Time.now())) < 10**9


def test_an_observing_day_lasts_86400_seconds_of_tai_from_its_offset_on():
    span = Timespan.from_day_obs(20190503, offset=12 * 3600)
    assert span == Timespan.from_isot("2019-05-03T12:00:00", "2019-05-04T12:00:00")
    assert span.end_ns - span.begin_ns == 86_400 * 10**9


@pytest.mark.parametrize("day", [2019123, 20190532, 0, -20190503])
def test_a_day_that_is_none_is_a_value_error(day):
    with pytest.raises(ValueError):
        Timespan.from_day_obs(day)


def test_the_end_is_not_within():
    span = Timespan(10, 20)
    assert span.contains(10)
    assert span.contains(19)
    assert not span.contains(20)
    assert not span.overlaps(Timespan(20, 30))
    assert span.overlaps(Timespan(19, 30))


def test_spans_that_end_before_they_begin_are_the_one_empty_span():
    assert Timespan(5, 5) == Timespan(7, 3) == Timespan.empty()
    assert hash(Timespan(5, 5)) == hash(Timespan.empty())
    assert Timespan.empty().is_empty
    assert Timespan.empty().begin is None
    assert not Timespan.empty().contains(5)
    assert str(Timespan.empty()) == "(empty)"


def test_unbounded_ends_are_none_and_hold_everything():
    always = Timespan(None, None)
    assert always.begin is None
    assert always.end is None
    assert always.contains(Timespan(0, 1))
    assert str(Timespan(None, 0)) == "[-∞, 1970-01-01T00:00:00)"


def test_the_text_shows_tai_with_the_decimals_that_it_needs():
    assert repr(Timespan(1, 1_500_000_000)) == "Timespan[1970-01-01T00:00:00.000000001, 1970-01-01T00:00:01.5) TAI"


def test_ends_are_astropy_times_of_scale_tai():
    begin = Timespan.from_isot("2019-05-03T09:10:40", None).begin
    assert begin is not None
    assert (begin.scale, begin.isot) == ("tai", "2019-05-03T09:10:40.000")


@given(SPANS, SPANS)
def test_spans_overlap_exactly_where_their_intersection_holds_time(a, b):
    assert a.overlaps(b) == b.overlaps(a) == (not a.intersection(b).is_empty)


@given(SPANS, SPANS)
def test_a_span_contains_its_intersections(a, b):
    assert a.contains(a.intersection(b))
    assert b.contains(a.intersection(b))


@given(SPANS, st.integers(-60, 60))
def test_an_instant_overlaps_where_it_is_contained(span, instant):
    assert span.overlaps(instant) == span.contains(instant) == (span.begin_ns <= instant < span.end_ns)


def test_spans_are_pickled():
    assert pickle.loads(pickle.dumps(Timespan(1, 2))) == Timespan(1, 2)
