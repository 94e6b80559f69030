"""Kinds of value that an expression speaks of, and what they may do with each other."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from enum import Enum
from typing import Any

from ...model.region import Region
from ...model.timespan import Timespan, nanoseconds
from .times import storable

__all__ = ["Kind", "check_text", "classify", "common_kind"]

_WIDEST = 2**63


class Kind(Enum):
    """A kind of value; its own value is what messages call it."""

    INT = "an integer"
    FLOAT = "a number"
    STRING = "a string"
    BOOL = "true or false"
    BYTES = "bytes"
    UUID = "a UUID"
    TIME = "a time"
    TIMESPAN = "a timespan"
    REGION = "a region"
    PATTERN = "a pattern"
    OPEN = "a header value or an annotation"
    """What a dataset says of itself: of the kind of what it is compared with (`annotations`)."""

    @property
    def is_number(self) -> bool:
        """Whether arithmetic applies."""
        return self in (Kind.INT, Kind.FLOAT)

    @property
    def is_ordered(self) -> bool:
        """Whether ``<`` means anything."""
        return self in (Kind.INT, Kind.FLOAT, Kind.STRING, Kind.TIME, Kind.OPEN)

    @property
    def is_comparable(self) -> bool:
        """Whether ``=`` means anything."""
        return self not in (Kind.TIMESPAN, Kind.REGION, Kind.PATTERN)


OF_COLUMN = {
    "int": Kind.INT,
    "float": Kind.FLOAT,
    "str": Kind.STRING,
    "bool": Kind.BOOL,
    "bytes": Kind.BYTES,
    "region": Kind.REGION,
    "timespan": Kind.TIMESPAN,
}
"""The kind of each type of column in a universe."""


def common_kind(left: Kind, right: Kind) -> Kind | None:
    """Return the kind as which two values are compared or added; None where they do not agree."""
    if left is right:
        return left
    return Kind.FLOAT if left.is_number and right.is_number else None


def classify(value: Any) -> tuple[Kind, Any]:
    """Return the kind of a Python value and the value in its plainest form.

    Times become TAI nanoseconds; a SkyCoord, and a region or point of `lsst.sphgeom`, become a `Region`; a numpy scalar
    becomes the Python number.

    Raises
    ------
    ValueError
        No expression can hold it; the message says why.
    """
    plain = _PLAIN.get(type(value))
    if plain is not None:
        if plain is Kind.INT and not -_WIDEST <= value < _WIDEST:
            raise ValueError(f"{value} does not fit 64 bits")
        if plain is Kind.FLOAT and value != value:
            raise ValueError("not-a-number compares with nothing; NULL is what an empty column holds")
        if plain is Kind.STRING:
            check_text(value)
        return plain, value
    if isinstance(value, datetime) or hasattr(value, "tai"):
        if getattr(value, "shape", ()) != ():
            raise ValueError("it is an array of times; give one time, or a list of them to IN")
        if value != value:  # pandas' NaT is a datetime
            raise ValueError("not-a-time compares with nothing; NULL is what an empty column holds")
        return Kind.TIME, storable(nanoseconds(value))
    if isinstance(value, date):
        raise ValueError(f"it is a date; an observing day is the integer {value:%Y%m%d}, an instant a datetime")
    if hasattr(value, "unit"):
        raise ValueError("it has a unit; give the number alone, in the column's unit")
    if (region := _region(value)) is not None:
        return Kind.REGION, region
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return classify(value.item())
    for plain_type in (int, float, str):  # of which a value may be of a subclass: an enum, numpy.float64
        if isinstance(value, plain_type):
            return classify(plain_type(value))
    raise ValueError(f"a {type(value).__name__} is no value of an expression")


def check_text(text: str) -> None:
    """Raise a ValueError where no database's string can be a text."""
    if "\0" in text:
        raise ValueError("no string of a database holds the character NUL")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("half of a surrogate pair is no character")


_PLAIN: dict[type, Kind] = {
    bool: Kind.BOOL,
    int: Kind.INT,
    float: Kind.FLOAT,
    str: Kind.STRING,
    bytes: Kind.BYTES,
    uuid.UUID: Kind.UUID,
    Timespan: Kind.TIMESPAN,
    Region: Kind.REGION,
}


def _region(value: Any) -> Region | None:
    if hasattr(value, "to_ivoa_pos"):
        return Region(value.to_ivoa_pos())
    if hasattr(value, "getLon") and hasattr(value, "getLat"):
        return Region.point(value.getLon().asDegrees(), value.getLat().asDegrees())
    if hasattr(value, "icrs"):
        if value.shape != ():
            raise ValueError("it is an array of coordinates; give one")
        return Region.point(float(value.icrs.ra.deg), float(value.icrs.dec.deg))
    return None
