"""Rows of a statement to what users hold: dataset references, data IDs, records, Arrow tables."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...model.data_id import DataId
from ...model.datasets import DatasetRef, DatasetType
from ...model.dimensions import Column, DimensionGroup, Element
from ...model.records import DimensionRecord
from ...model.region import Region
from ...model.timespan import Timespan
from .plan import Plan

if TYPE_CHECKING:
    import pyarrow as pa

    from ..database import Database

__all__ = ["arrow_table", "data_ids", "pages", "records", "refs"]

_OPEN = (Timespan(None, None).begin_ns, Timespan(None, None).end_ns)
_PAGE = 2000
"""Rows that are fetched at once: what is in memory of a result, however long it is."""


def pages(database: Database, plan: Plan, limit: int | None) -> Iterator[list[Any]]:
    """Run a plan and return its rows page by page, as they come from the cursor.

    Parameters
    ----------
    database
        Where.
    plan
        What.
    limit
        How many rows at most, where the statement could not see to it because rows are still to be tested.
    """
    if plan.is_empty or limit == 0:
        return
    statement = plan.statement
    with database.stream(statement.sql, statement.parameters(plan.values), _PAGE) as cursor:
        if not statement.tests:
            while page := cursor.fetchmany(_PAGE):
                yield page
            return
        passing = islice(_passing(plan, cursor), limit)
        while page := list(islice(passing, _PAGE)):
            yield page


def _passing(plan: Plan, cursor: Any) -> Iterator[Any]:
    """Return rows that pass the exact tests, each result once, and without the columns that were only for testing."""
    tests, width = plan.statement.tests, plan.statement.width
    seen: set[Any] = set()
    while page := cursor.fetchmany(_PAGE):
        for row in page:
            result = tuple(row[:width])
            if result not in seen and all(test.passes(row) for test in tests):
                seen.add(result)
                yield result


def refs(dataset_type: DatasetType, runs: Callable[[int], str]) -> Callable[[Iterable[Any]], Iterator[DatasetRef]]:
    """Return what makes references to datasets of rows (id, RUN's key, required values)."""
    group = dataset_type.dimensions
    end = 2 + len(group.required)
    names: dict[int, str] = {}
    make = DatasetRef.__new__

    def decode(rows: Iterable[Any]) -> Iterator[DatasetRef]:
        for row in rows:
            run = names.get(row[1])
            if run is None:
                run = names[row[1]] = runs(row[1])
            ref = make(DatasetRef)  # its constructor would look at each data ID again
            ref.dataset_type = dataset_type
            ref.data_id = DataId(group, tuple(row[2:end]))
            ref.run = run
            key = row[0]
            ref.id = uuid.UUID(bytes=key) if type(key) is bytes else key
            yield ref

    return decode


def data_ids(group: DimensionGroup) -> Callable[[Iterable[Any]], Iterator[DataId]]:
    """Return what makes data IDs, implied values included, of rows."""
    width = len(group.names)

    def decode(rows: Iterable[Any]) -> Iterator[DataId]:
        for row in rows:
            yield DataId(group, tuple(row[:width]))

    return decode


def records(element: Element) -> Callable[[Iterable[Any]], Iterator[DimensionRecord]]:
    """Return what makes records of rows of an element's table."""
    decoders = [_DECODERS.get(column.type) for column in element.columns]
    plain = not any(decoders)
    width = len(element.columns)

    def decode(rows: Iterable[Any]) -> Iterator[DimensionRecord]:
        for row in rows:
            if plain:
                yield DimensionRecord(element, tuple(row[:width]))
                continue
            cells = iter(row)
            values = [next(cells) if decoder is None else decoder(next(cells), cells) for decoder in decoders]
            yield DimensionRecord(element, tuple(values))

    return decode


def _timespan(begin: int | None, cells: Iterator[Any]) -> Timespan | None:
    end = next(cells)
    return None if begin is None else Timespan(begin, end)


_DECODERS: Mapping[str, Callable[[Any, Iterator[Any]], Any]] = {
    "bool": lambda value, _: None if value is None else bool(value),
    "region": lambda value, _: None if value is None else Region(value),
    "timespan": _timespan,
}


def arrow_table(database: Database, plan: Plan, limit: int | None, columns: Sequence[tuple[str, str]],
                runs: Callable[[int], str]) -> pa.Table:  # fmt: skip
    """Run a plan and return its rows as an Arrow table, a batch a page, without an object a row.

    Parameters
    ----------
    columns
        Name and type of each column of the statement: a column type of the universe, ``time``, ``end`` (of a span,
        which may be open), ``id`` or ``run``.
    runs
        Gives the name of a RUN by its key.
    """
    import pyarrow as pa

    types = {
        "int": pa.int64(), "float": pa.float64(), "str": pa.string(), "bool": pa.bool_(), "bytes": pa.binary(),
        "region": pa.string(), "time": pa.timestamp("ns"), "end": pa.timestamp("ns"), "id": pa.string(),
        "run": pa.string(),
    }  # fmt: skip
    schema = pa.schema([pa.field(name, types[kind]) for name, kind in columns])
    batches = []
    for page in pages(database, plan, limit):
        arrays = []
        for (_, kind), cells in zip(columns, zip(*page, strict=True), strict=False):
            values: Sequence[Any] = cells
            if kind == "id":
                arrays.append(_id_texts(cells))
                continue
            if kind == "run":
                names = {key: runs(key) for key in set(cells)}
                values = [names[cell] for cell in cells]
            elif kind == "end":
                values = [None if cell in _OPEN else cell for cell in cells]
            elif kind == "bool":
                values = [None if cell is None else bool(cell) for cell in cells]
            arrays.append(pa.array(values, types[kind]))
        batches.append(pa.record_batch(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)


def _id_texts(keys: Sequence[Any]) -> pa.StringArray:
    """Return ids as texts such as ``0190b6c5-6f6e-7c4a-8c1d-2f1f9c1b2a3d``, of the bytes or UUIDs that drivers give."""
    import numpy as np
    import pyarrow as pa

    joined = b"".join(keys if isinstance(keys[0], bytes) else [key.bytes for key in keys])
    digits = np.frombuffer(joined.hex().encode(), np.uint8).reshape(-1, 32)
    texts = np.full((len(keys), 36), ord("-"), np.uint8)
    for dashes, (begin, end) in enumerate(((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))):
        texts[:, begin + dashes : end + dashes] = digits[:, begin:end]
    offsets = np.arange(0, texts.size + 1, 36, dtype=np.int32)
    return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(texts))


def record_columns(columns: Iterable[Column]) -> list[tuple[str, str]]:
    """Return name and type of the columns that an element's table has for its records' columns."""
    found: list[tuple[str, str]] = []
    for column in columns:
        if column.type == "timespan":
            found += [("timespan_begin", "time"), ("timespan_end", "time")]
        else:
            found.append((column.name, column.type))
    return found
