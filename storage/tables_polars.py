"""Between Polars and Arrow. A Polars frame has no metadata, and so neither units nor descriptions."""

from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import types

from ..imaging.arrow_columns import SHAPE, cell_shape
from ..model.errors import StorageClassError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["from_polars", "to_polars"]


def to_polars(table: pa.Table) -> "pl.DataFrame":
    """Make a Polars frame of an Arrow table; cells of arrays keep their shape, whatever can be shared is.

    Raises
    ------
    StorageClassError
        If Polars is not installed, or has no type such as a column's.
    """
    try:
        import polars as pl
    except ImportError as error:
        raise StorageClassError(f"a PolarsFrame needs Polars: pip install 'skybutler[polars]' ({error})") from error
    said = table.schema.metadata or {}
    for number, field in enumerate(table.schema):
        if types.is_decimal256(field.type):
            raise StorageClassError(f"column {field.name!r} is of Arrow's type {field.type}, which Polars lacks")
        shape = cell_shape(said, field.name.encode())
        if (
            shape is not None and len(shape) > 1 and types.is_fixed_size_list(field.type)
            and _size(shape) == field.type.list_size
        ):  # fmt: skip
            nested = _nested(table.column(number), shape)
            table = table.set_column(number, field.with_type(nested.type), nested)
    try:
        frame = pl.from_arrow(table.cast(pa.schema([_for_polars(field) for field in table.schema])))
    except pl.exceptions.PolarsError as error:
        raise StorageClassError(f"this table cannot be read as a PolarsFrame: {error}") from error
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table gives a frame; a Series is of an array
    return frame


def from_polars(frame: "pl.DataFrame") -> pa.Table:
    """Return a Polars frame as an Arrow table; cells of arrays become lists of one size, their shape is noted.

    Raises
    ------
    StorageClassError
        If a column holds Python objects.
    """
    import polars as pl

    for name, kind in frame.schema.items():
        if kind == pl.Object:
            raise StorageClassError(f"column {name!r} holds Python objects, which a table cannot keep")
        if kind == pl.Int128:
            raise StorageClassError(f"column {name!r} has numbers of 128 bits, which Arrow lacks; cast them to Int64")
    table = frame.to_arrow()
    said = {}
    for number, field in enumerate(table.schema):
        shape: tuple[int, ...] = ()
        kind, column = field.type, table.column(number)
        while types.is_fixed_size_list(kind):
            shape = (*shape, kind.list_size)
            kind = kind.value_type
        if shape:
            said[f"{SHAPE}{field.name}"] = str(shape)
        if len(shape) > 1:
            flat = pa.chunked_array([_flat(chunk, shape) for chunk in column.chunks], pa.list_(kind, _size(shape)))
            table = table.set_column(number, field.name, flat)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **said}) if said else table


def _for_polars(field: pa.Field) -> pa.Field:
    """Return a field with what Polars itself wrote of it; of others' words, some make it panic."""
    own = {key: text for key, text in (field.metadata or {}).items() if key.startswith(b"_PL_")}
    return field.with_metadata(own or None)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _nested(column: pa.ChunkedArray, shape: tuple[int, ...]) -> pa.ChunkedArray:
    """Return lists as lists of lists, of a shape."""
    kind = column.type.value_type
    for length in reversed(shape):
        kind = pa.list_(kind, length)
    chunks = []
    for chunk in column.chunks:
        items = chunk.values.slice(chunk.offset * chunk.type.list_size, len(chunk) * chunk.type.list_size)
        for length in reversed(shape[1:]):
            items = pa.FixedSizeListArray.from_arrays(items, length)
        missing = chunk.is_null() if chunk.null_count else None
        chunks.append(pa.FixedSizeListArray.from_arrays(items, shape[0], mask=missing))
    return pa.chunked_array(chunks, kind)


def _flat(chunk: pa.Array, shape: tuple[int, ...]) -> pa.Array:
    """Return lists of lists as lists; where an inner one is null, its elements are."""
    missing = chunk.is_null() if chunk.null_count else None
    items = chunk
    for length in shape:
        items = _elements(items, length)
    return pa.FixedSizeListArray.from_arrays(items, _size(shape), mask=missing)


def _elements(lists: pa.Array, length: int) -> pa.Array:
    """Return the elements of lists of one length, those of null lists being null."""
    items = lists.values.slice(lists.offset * length, len(lists) * length)
    if not lists.null_count:
        return items
    import numpy as np
    import pyarrow.compute as pc

    gone = np.repeat(lists.is_null().to_numpy(zero_copy_only=False), length)
    return pc.if_else(pa.array(gone), pa.scalar(None, items.type), items)
