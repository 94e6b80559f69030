"""Numbers for sources that no other source of the same camera can have, in 63 bits.

An id is (form of the visit number: 2 bits, visit: 33, detector: 9, running number: 19). Visit numbers that are times or
dates with a counter, as cameras like to give, are packed by what they mean, for as decimal numbers they would leave
no room.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt

_VISIT_BITS, _DETECTOR_BITS, _NUMBER_BITS = 33, 9, 19
_PLAIN, _SECONDS, _COUNTED = 0, 1, 2
_EPOCH = datetime(2000, 1, 1)
_COUNTER_BITS = 17

MAX_SOURCES = 1 << _NUMBER_BITS
"""Sources that one detector of one visit can have."""


def source_ids(visit: int, detector: int, count: int) -> npt.NDArray[np.int64]:
    """Ids of the sources of one detector in one visit.

    Parameters
    ----------
    visit
        A number below 2**33, a time ``YYYYMMDDhhmmss``, or a date and a counter ``YYYYMMDDnnnnn``.
    detector
        0 to 511.
    count
        How many.

    Returns
    -------
    ndarray
        (count,) int64, rising, all positive unless visit, detector and number are 0.

    Raises
    ------
    ValueError
        When one of the numbers does not fit.
    """
    if not 0 <= detector < 1 << _DETECTOR_BITS:
        raise ValueError(f"source ids hold detectors 0 to {(1 << _DETECTOR_BITS) - 1}, not {detector}")
    if not 0 <= count <= MAX_SOURCES:
        raise ValueError(f"source ids hold {MAX_SOURCES} sources a detector, not {count}")
    form, packed = _pack_visit(visit)
    first = (((form << _VISIT_BITS) | packed) << _DETECTOR_BITS | detector) << _NUMBER_BITS
    return first + np.arange(count, dtype=np.int64)


def unpack_source_id(source_id: int) -> tuple[int, int, int]:
    """Return the visit, detector and running number of a source id."""
    number = source_id & (MAX_SOURCES - 1)
    detector = (source_id >> _NUMBER_BITS) & ((1 << _DETECTOR_BITS) - 1)
    packed = (source_id >> (_NUMBER_BITS + _DETECTOR_BITS)) & ((1 << _VISIT_BITS) - 1)
    form = source_id >> (_NUMBER_BITS + _DETECTOR_BITS + _VISIT_BITS)
    if form == _SECONDS:
        return int((_EPOCH + timedelta(seconds=packed)).strftime("%Y%m%d%H%M%S")), detector, number
    if form == _COUNTED:
        day = _EPOCH.date() + timedelta(days=packed >> _COUNTER_BITS)
        return int(day.strftime("%Y%m%d")) * 100_000 + (packed & ((1 << _COUNTER_BITS) - 1)), detector, number
    return packed, detector, number


def _pack_visit(visit: int) -> tuple[int, int]:
    if 0 <= visit < 1 << _VISIT_BITS:
        return _PLAIN, visit
    digits = str(visit)
    try:
        if len(digits) == 14:
            moment = datetime.strptime(digits, "%Y%m%d%H%M%S")
            packed = round((moment - _EPOCH).total_seconds())
            if 0 <= packed < 1 << _VISIT_BITS:
                return _SECONDS, packed
        if len(digits) == 13:
            day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
            packed = ((day - _EPOCH.date()).days << _COUNTER_BITS) | int(digits[8:])
            if 0 <= packed < 1 << _VISIT_BITS:
                return _COUNTED, packed
    except ValueError:
        pass
    raise ValueError(
        f"visit {visit} cannot be part of a source id: it is neither below {1 << _VISIT_BITS}, "
        "nor YYYYMMDDhhmmss, nor YYYYMMDDnnnnn"
    )
