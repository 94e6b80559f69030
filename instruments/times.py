"""Times of headers: texts and day numbers to TAI nanoseconds, with no library but the table of leap seconds."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from functools import lru_cache

from ..model.timespan import nanoseconds_from_isot

__all__ = ["SCALES", "TIME_FORMATS", "day_of", "tai_from_header", "utc_datetime"]

SCALES = ("utc", "tai")
"""Time scales that a camera's clock may keep."""
TIME_FORMATS = ("isot", "mjd", "jd")
"""Forms in which a header may give a time: ISO 8601 text, or a number of days."""

_EPOCH = datetime(1970, 1, 1)  # without a zone: a count of days, in whichever scale
_SECOND_NS = 10**9
_DAY_NS = 86_400 * _SECOND_NS
_FIRST_DAY = {"mjd": 40587, "jd": 2440587.5}  # 1970-01-01
_LEAP_ERA_NS = 2 * 365 * _DAY_NS  # 1972-01-01: before it, UTC did not tick in TAI seconds


@lru_cache(maxsize=1)
def _leap_seconds() -> tuple[list[int], list[int]]:
    """Return the UTC nanoseconds from which on each offset TAI - UTC (ns) holds, since 1972, as ERFA has them."""
    import erfa

    begins, offsets = [], []
    for year, month, offset in erfa.leap_seconds.get().tolist():
        if year >= 1972:
            begins.append((datetime(year, month, 1) - _EPOCH).days * _DAY_NS)
            offsets.append(round(offset) * _SECOND_NS)
    return begins, offsets


def tai_from_header(value: str | float, time_format: str, scale: str) -> int:
    """Return TAI nanoseconds since 1970 of a header's time.

    Parameters
    ----------
    value
        ISO 8601 text for ``isot``, else days (UTC days for the scale ``utc``, to about a microsecond).
    time_format
        One of `TIME_FORMATS`.
    scale
        One of `SCALES`.

    Raises
    ------
    ValueError
        The value is no such time.
    """
    if time_format == "isot":
        text = str(value).strip().removesuffix("Z")
        if ":60" in text:  # within a leap second, which only astropy counts
            return nanoseconds_from_isot(text, scale)
        begin, passed = nanoseconds_from_isot(text, "tai"), 0
    else:
        days = float(value) - _FIRST_DAY[time_format]
        begin = int(days // 1) * _DAY_NS
        # As in ERFA, a UTC day that ends with a leap second is longer, and its fractions with it.
        leaps = scale == "utc" and begin + _DAY_NS in _leap_seconds()[0]
        passed = round(days % 1 * (86_401e6 if leaps else 86_400e6)) * 1000
    if scale == "tai":
        return begin + passed
    if begin < _LEAP_ERA_NS:
        return nanoseconds_from_isot((_EPOCH + timedelta(microseconds=(begin + passed) // 1000)).isoformat(), scale)
    begins, offsets = _leap_seconds()
    return begin + passed + offsets[bisect_right(begins, begin) - 1]


def utc_datetime(tai_ns: int) -> datetime:
    """Return the UTC date and time, without a zone, of TAI nanoseconds."""
    begins, offsets = _leap_seconds()
    for begin, offset in zip(reversed(begins), reversed(offsets), strict=True):
        if tai_ns >= begin + offset:
            return _EPOCH + timedelta(microseconds=(tai_ns - offset) // 1000)
    return _EPOCH + timedelta(microseconds=(tai_ns - offsets[0]) // 1000)


def day_of(tai_ns: int, offset_seconds: int) -> int:
    """Return the observing day as YYYYMMDD, where days begin so many seconds after midnight TAI."""
    day = _EPOCH + timedelta(days=(tai_ns - offset_seconds * _SECOND_NS) // _DAY_NS)
    return day.year * 10_000 + day.month * 100 + day.day
