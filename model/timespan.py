"""Spans of time, half-open, exact: integer nanoseconds of TAI since 1970-01-01T00:00:00 TAI."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .errors import ArgumentError

if TYPE_CHECKING:
    from astropy.time import Time

__all__ = ["Timespan", "isot_from_ns", "nanoseconds", "nanoseconds_from_isot", "now_ns", "time_from_ns"]

_EPOCH = datetime(1970, 1, 1)
_MIN_NS = -(2**63) + 1
_MAX_NS = 2**63 - 1
_DAY_NS = 86_400 * 10**9


def nanoseconds_from_isot(text: str, scale: str = "utc") -> int:
    """Return TAI nanoseconds of a date and time such as ``2019-05-03T09:10:40.5``.

    Parameters
    ----------
    text
        ISO 8601 date, or date and time separated by ``T`` or a space, with up to nine decimals.
    scale
        ``tai`` needs only arithmetic; ``utc`` and others go through `astropy.time`, which knows the leap seconds.

    Raises
    ------
    ValueError
        The text is no date.
    """
    if scale != "tai":
        from astropy.time import Time

        return nanoseconds(Time(text.replace(" ", "T"), format="isot", scale=scale))
    whole, _, decimals = text.strip().replace(" ", "T").partition(".")
    if decimals and not decimals.isdigit():
        raise ValueError(f"not a date and time: {text!r}")
    moment = datetime.fromisoformat(whole)
    if moment.tzinfo is not None:
        raise ValueError(f"not a date and time of scale tai: {text!r} (it names a time zone)")
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 10**9 + int(decimals.ljust(9, "0")[:9] or 0)


def nanoseconds(time: Any) -> int:
    """Return TAI nanoseconds of an `astropy.time.Time`, a `datetime` (UTC where it says no zone), or such a number."""
    if isinstance(time, int):
        return time
    if isinstance(time, datetime):
        from astropy.time import Time

        time = Time(time)
    if not hasattr(time, "tai"):
        if hasattr(time, "__index__"):  # numpy's integers
            return int(time)
        text = " Text: Timespan.from_isot(begin, end)." if isinstance(time, str) else ""
        raise ArgumentError(f"a time is an astropy Time, a datetime or whole TAI nanoseconds; not {time!r}.{text}")
    tai = time.tai
    # jd1 is whole or half days, jd2 the rest: kept apart, they give the nanosecond exactly.
    days, half = divmod(round((tai.jd1 - 2440587.5) * 2), 2)
    return int(days * _DAY_NS + half * (_DAY_NS // 2) + round(float(tai.jd2) * 86_400e9))


def time_from_ns(ns: int) -> Time:
    """Return the `astropy.time.Time` (scale TAI) of TAI nanoseconds."""
    from astropy.time import Time

    days, rest = divmod(ns, _DAY_NS)
    return Time(2440587.5 + days, rest / _DAY_NS, format="jd", scale="tai")


def now_ns() -> int:
    """Return this instant in TAI nanoseconds (37 s ahead of UTC, as since 2017)."""
    import time

    return time.time_ns() + 37 * 10**9


def isot_from_ns(ns: int) -> str:
    """Return TAI nanoseconds as ISO 8601 text (TAI), without trailing zeros."""
    seconds, fraction = divmod(ns, 10**9)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") if fraction else text


class Timespan:
    """A half-open span of time ``[begin, end)``.

    Parameters
    ----------
    begin, end
        `astropy.time.Time`, `datetime`, TAI nanoseconds, or None for unbounded. A span whose end is not after its
        begin is empty, and all empty spans are equal.
    """

    __slots__ = ("begin_ns", "end_ns")

    def __init__(self, begin: Any, end: Any):
        begin_ns = _MIN_NS if begin is None else nanoseconds(begin)
        end_ns = _MAX_NS if end is None else nanoseconds(end)
        if begin_ns >= end_ns:
            begin_ns, end_ns = _MAX_NS, _MIN_NS
        self.begin_ns = begin_ns
        self.end_ns = end_ns

    @classmethod
    def from_isot(cls, begin: str | None, end: str | None, scale: str = "tai") -> Timespan:
        """Make one from two ISO texts, None for unbounded."""
        ends = [None if text is None else nanoseconds_from_isot(text, scale) for text in (begin, end)]
        return cls(*ends)

    @classmethod
    def from_day_obs(cls, day_obs: int, offset: int = 0) -> Timespan:
        """Make the span of an observing day.

        Parameters
        ----------
        day_obs
            The day as YYYYMMDD.
        offset
            Seconds after midnight TAI at which it begins.

        Raises
        ------
        ValueError
            There is no such day.
        """
        if len(str(day_obs)) != 8:
            raise ValueError(f"an observing day is written YYYYMMDD, not {day_obs!r}")
        day = datetime.strptime(str(day_obs), "%Y%m%d")
        begin = (day - _EPOCH).days * _DAY_NS + offset * 10**9
        return cls(begin, begin + _DAY_NS)

    @classmethod
    def empty(cls) -> Timespan:
        """Make the span that holds no time."""
        return cls(_MAX_NS, _MIN_NS)

    @property
    def begin(self) -> Time | None:
        """First instant (TAI); None where unbounded or empty."""
        return None if self.begin_ns in (_MIN_NS, _MAX_NS) else time_from_ns(self.begin_ns)

    @property
    def end(self) -> Time | None:
        """First instant after it (TAI); None where unbounded or empty."""
        return None if self.end_ns in (_MIN_NS, _MAX_NS) else time_from_ns(self.end_ns)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no time at all."""
        return self.begin_ns >= self.end_ns

    def overlaps(self, other: Timespan | Any) -> bool:
        """Whether they share an instant; another operand is taken as an instant itself."""
        if not isinstance(other, Timespan):
            return self.contains(other)
        return max(self.begin_ns, other.begin_ns) < min(self.end_ns, other.end_ns)

    def contains(self, other: Timespan | Any) -> bool:
        """Whether another span, or an instant, lies wholly within."""
        if isinstance(other, Timespan):
            return self.begin_ns <= other.begin_ns and other.end_ns <= self.end_ns
        return self.begin_ns <= nanoseconds(other) < self.end_ns

    def intersection(self, other: Timespan) -> Timespan:
        """Return what both hold."""
        return Timespan(max(self.begin_ns, other.begin_ns), min(self.end_ns, other.end_ns))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timespan):
            return NotImplemented
        return (self.begin_ns, self.end_ns) == (other.begin_ns, other.end_ns)

    def __hash__(self) -> int:
        return hash((self.begin_ns, self.end_ns))

    def __str__(self) -> str:
        if self.is_empty:
            return "(empty)"
        begin = "-∞" if self.begin_ns == _MIN_NS else isot_from_ns(self.begin_ns)
        end = "∞" if self.end_ns == _MAX_NS else isot_from_ns(self.end_ns)
        return f"[{begin}, {end})"

    def __repr__(self) -> str:
        return f"Timespan{self} TAI" if not self.is_empty else "Timespan.empty()"
