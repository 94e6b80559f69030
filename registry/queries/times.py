"""Times in expressions: ``T'[format/]value[/scale]'``."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

from ...model.timespan import nanoseconds, nanoseconds_from_isot

__all__ = ["parse_time", "storable"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?")
_ISO_LONG = re.compile(r"\d{4}-\d\d-\d\dT")
_FITS_LONG = re.compile(r"[+-]\d{5}-\d\d-\d\d")
_YEAR_DAY = re.compile(r"\d{4}:\d{1,3}(:|$)")
_WIDEST = 2**63 - 1
"""What stands for the open end of a timespan."""
_UTC_ZONE = re.compile(r"([+]00:?00|Z)$")
_SCALES = ("tai", "tcb", "tcg", "tdb", "tt", "ut1", "utc")
_SCALE_OF_FORMAT = {"iso": "utc", "isot": "utc", "fits": "utc", "yday": "utc", "unix": "utc", "cxcsec": "tt"}


@lru_cache(maxsize=1024)
def parse_time(text: str) -> int:
    """Return the TAI nanoseconds of a time literal's text.

    A plain number is a Modified Julian Date in TAI. A date is ISO (``2025-01-01T00:00:00``, ``2025-01-01``) or year and
    day (``2025:001``) in UTC, unless a scale follows: ``2025-01-01/tai``. Any format and scale of `astropy.time` may be
    named: ``unix/1735689600``, ``mjd/60676.5/tai``, ``jyear/2025.0/tt``.

    Raises
    ------
    ValueError
        It is none of these.
    """
    value, form, scale = _split(text.strip())
    if not value:
        raise ValueError("no time is given; write T'2025-01-01T00:00:00'")
    value = _UTC_ZONE.sub("", value) if ":" in value and form is None else value
    iso = _ISO.fullmatch(value)
    if scale == "tai" and form in (None, "iso", "isot") and iso:
        return storable(nanoseconds_from_isot(value, "tai"))
    from astropy.time import Time

    if form is None:
        form = _guessed_format(value)
    scale = scale or _SCALE_OF_FORMAT.get(form, "tai")
    if form not in Time.FORMATS:
        if _ISO.match(form):
            raise ValueError(f"{value!r} is no time scale; there are {', '.join(_SCALES)}")
        raise ValueError(f"{form!r} is no format of a time")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # years of unknown leap seconds are no error, nor worth a word in a query
            found = nanoseconds(Time(value, format=form, scale=scale))
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{value!r} is no time of the format {form!r} and scale {scale!r}") from error
    return storable(found)


def storable(nanoseconds: int) -> int:
    """Return TAI nanoseconds as they are, if 64 bits hold them.

    Raises
    ------
    ValueError
        They do not.
    """
    if abs(nanoseconds) >= _WIDEST:
        raise ValueError("it lies outside the years 1678 to 2261; NULL leaves an end of a timespan open")
    return nanoseconds


def _split(text: str) -> tuple[str, str | None, str | None]:
    parts = [part.strip() for part in text.split("/")]
    if len(parts) > 3:
        raise ValueError("a time has at most three parts: format/value/scale")
    if len(parts) == 3:
        if parts[2].lower() not in _SCALES:
            raise ValueError(f"{parts[2]!r} is no time scale; there are {', '.join(_SCALES)}")
        return parts[1], parts[0].lower(), parts[2].lower()
    if len(parts) == 2:
        if parts[1].lower() in _SCALES:
            return parts[0], None, parts[1].lower()
        return parts[1], parts[0].lower(), None
    return parts[0], None, None


def _guessed_format(value: str) -> str:
    if _NUMBER.fullmatch(value):
        return "mjd"
    if _FITS_LONG.match(value):
        return "fits"
    if _ISO_LONG.match(value):
        return "isot"
    if _YEAR_DAY.match(value):
        return "yday"
    return "iso"
