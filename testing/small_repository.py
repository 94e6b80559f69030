"""Dimension records of a tiny camera and a short night: what a test needs to put a first dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ..model.timespan import Timespan

__all__ = ["INSTRUMENT", "NIGHT", "fill_repository", "small_records"]

INSTRUMENT = "SmallCam"
NIGHT = 20250103
_FILTERS = {"SC-g": "g", "SC-r": "r"}
_FIRST_NS = 1_735_948_837 * 10**9
"""Begin of the first exposure, TAI nanoseconds: 2025-01-04T00:00:37 TAI, midnight UTC."""
_CADENCE_NS = 60 * 10**9


class TakesRecords(Protocol):
    """What dimension records are inserted into: a Butler."""

    def insert_dimension_records(self, element: str, rows: Iterable[Mapping[str, Any]], /) -> int:
        """Insert records of one element."""


def small_records(visits: int = 4, detectors: int = 3) -> dict[str, list[dict[str, Any]]]:
    """Return the records of a camera and its night.

    Parameters
    ----------
    visits
        Exposures, ids 1, 2, …, each a visit of the same id: 30 s each, one a minute, from midnight UTC on. Odd ones
        are in filter SC-g, even ones in SC-r. Visit n points at right ascension n degrees, declination 0.
    detectors
        Detectors, ids 0, 1, …, full names D00, D01, …; each covers 0.1 degrees, side by side in right ascension.

    Returns
    -------
    dict
        Rows by the element's name, in an order in which they can be inserted.
    """
    here = {"instrument": INSTRUMENT}
    numbers = range(1, visits + 1)
    exposures, visit_rows = [], []
    for n in numbers:
        begin = _FIRST_NS + (n - 1) * _CADENCE_NS
        shared = here | {
            "id": n, "physical_filter": "SC-r" if n % 2 == 0 else "SC-g", "day_obs": NIGHT, "exposure_time": 30.0,
            "seq_num": n, "target_name": f"field {n}", "timespan": Timespan(begin, begin + 30 * 10**9),
        }  # fmt: skip
        exposures.append(shared | {"obs_id": f"SC-{n:04d}", "group": str(n), "observation_type": "science"})
        visit_rows.append(shared | {"name": f"SC-{n:04d}", "region": _box(n, 0.0, 0.1 * detectors)})
    records: dict[str, list[dict[str, Any]]] = {
        "instrument": [{"name": INSTRUMENT, "detector_max": detectors}],
        "detector": [here | {"id": d, "full_name": f"D{d:02d}"} for d in range(detectors)],
        "physical_filter": [here | {"name": name, "band": band} for name, band in _FILTERS.items()],
        "day_obs": [here | {"id": NIGHT}],
        "group": [here | {"name": str(n)} for n in numbers],
        "exposure": exposures,
        "visit": visit_rows,
        "visit_definition": [here | {"exposure": n, "visit": n} for n in numbers],
        "visit_detector_region": [
            here | {"visit": n, "detector": d, "region": _box(n, 0.1 * d, 0.1)}
            for n in numbers
            for d in range(detectors)
        ],
    }
    return records


def fill_repository(repository: TakesRecords, visits: int = 4, detectors: int = 3) -> None:
    """Insert the records of `small_records`."""
    for element, rows in small_records(visits, detectors).items():
        repository.insert_dimension_records(element, rows)


def _box(ra: float, offset: float, width: float) -> str:
    """Return a polygon of that width and 0.1 degrees height, its western edge at an offset from ra (degrees)."""
    west, east = round(ra + offset, 6), round(ra + offset + width, 6)
    return f"POLYGON {west} -0.05 {east} -0.05 {east} 0.05 {west} 0.05"
