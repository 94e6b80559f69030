"""Rows of dimension records out of whatever holds them: mappings, records, tables of pandas, Arrow, astropy, Polars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ..model.dimensions import Element
from ..model.errors import DataIdError
from ..model.records import DimensionRecord

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from astropy.table import Table

__all__ = ["RecordRows", "records_of"]

RecordRows: TypeAlias = "Iterable[Mapping[str, Any] | DimensionRecord] | pd.DataFrame | pa.Table | Table"
"""What dimension records can be made of."""


def records_of(element: Element, rows: RecordRows) -> list[DimensionRecord]:
    """Return the records that rows, or the rows of a table, describe.

    Times without a zone in a table's ``timespan_begin`` and ``timespan_end`` are TAI, as `Query.to_arrow` gives them.

    Raises
    ------
    DataIdError
        A row lacks what it needs, has what the element does not, or is none.
    """
    return [_record(element, row) for row in _rows(rows)]


def _record(element: Element, row: Any) -> DimensionRecord:
    if isinstance(row, DimensionRecord):
        if row.element is element:
            return row
        if row.element.name != element.name:
            raise DataIdError(f"records of {element.name} are wanted; {row} is of {row.element.name}.")
        row = row.to_dict()  # of another repository, whose columns may be others
    elif not isinstance(row, Mapping):
        raise DataIdError(f"a record of {element.name} is a mapping of its columns, not {row!r}.")
    return DimensionRecord.from_mapping(element, row)


def _rows(rows: Any) -> Iterable[Any]:
    if isinstance(rows, Mapping | DimensionRecord):
        return [rows]
    library = type(rows).__module__.partition(".")[0]
    if library == "astropy":
        rows, library = rows.to_pandas(), "pandas"
    elif library == "polars":
        rows, library = rows.to_arrow(), "pyarrow"
    if library == "pandas":
        return _by_columns({str(name): rows[name].tolist() for name in rows.columns})
    if library == "pyarrow":
        return _by_columns({name: _values(rows.column(name)) for name in rows.column_names})
    if isinstance(rows, str) or not isinstance(rows, Iterable):
        raise DataIdError(f"records come as mappings, or as a table; not as {type(rows).__name__}.")
    return rows


def _by_columns(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for end in ("timespan_begin", "timespan_end"):
        if end in columns:
            columns[end] = [_tai(value) for value in columns[end]]
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _values(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.tz is None:
        column = column.cast(pa.timestamp("ns")).cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values


def _tai(value: Any) -> Any:
    """Return a pandas time without a zone as nanoseconds of TAI, anything else as it is."""
    return value.value if hasattr(value, "asm8") and getattr(value, "tzinfo", None) is None else value
