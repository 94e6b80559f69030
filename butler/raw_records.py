"""Making many dimension records known at once, as raw frames bring them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..model.errors import SkyButlerError
from ..model.records import DimensionRecord

if TYPE_CHECKING:
    from .butler import Butler

__all__ = ["make_known"]

K = TypeVar("K", bound=Hashable)


def make_known(
    butler: Butler, element_name: str, rows: Mapping[K, Mapping[str, Any]], *, update: bool = False
) -> tuple[int, dict[K, SkyButlerError]]:
    """Insert records that are absent and compare those that are there, all at once.

    Parameters
    ----------
    butler
        The repository.
    element_name
        An element whose records belong to an instrument.
    rows
        Records, by whatever tells one from another.
    update
        Whether those that are there otherwise become these.

    Returns
    -------
    count, problems
        How many are new or were changed; and what is wrong with others, by their keys. With ``update``, what is wrong
        with one is raised.
    """
    element = butler.universe[element_name]
    width = len(element.required)
    records: dict[K, DimensionRecord] = {}
    problems: dict[K, SkyButlerError] = {}
    for key, row in rows.items():
        try:
            records[key] = DimensionRecord.from_mapping(element, row)
        except SkyButlerError as error:
            if update:
                raise
            problems[key] = error
    there = _there(butler, element_name, list(records.values()))
    other = {key: record for key, record in records.items() if there.get(record.values[:width]) != record.values}
    if update:
        butler.insert_dimension_records(element_name, other.values(), replace=True)
        return len(other), problems
    new = {key: record for key, record in other.items() if record.values[:width] not in there}
    try:
        with butler.transaction():
            butler.insert_dimension_records(element_name, new.values())
    except SkyButlerError:  # which of them it is, is told one by one
        pass
    else:
        other = {key: record for key, record in other.items() if key not in new}
    for key, record in other.items():
        try:
            butler.sync_dimension_records(element_name, record)
        except SkyButlerError as error:
            problems[key] = error
    return len(new), problems


def _there(butler: Butler, element_name: str, records: list[DimensionRecord]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return the values of the records that are there, by their keys."""
    if not records:
        return {}
    width = len(records[0].element.required)
    # The second of the required dimensions tells nearly all apart: exposure, visit, day, group.
    second = records[0].element.required[1]
    values = list({record.values[1]: None for record in records})
    found = butler.query_dimension_records(
        element_name, instrument=records[0].values[0], where=f"{second} IN (:keys)", bind={"keys": values}
    )
    return {record.values[:width]: record.values for record in found}
