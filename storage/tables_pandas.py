"""Between pandas and Arrow: indexes, missing integers, columns of arrays, units."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from .tables import FEW_ROWS, META, cell_shape, column_to_arrow, column_to_numpy, meta_json, table_meta

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["from_pandas", "to_pandas"]

_FIELD_ATTRIBUTES = {"unit": "units", "description": "descriptions"}
"""Metadata of an Arrow field -> key of ``DataFrame.attrs`` that holds it for all columns."""


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """Return a DataFrame as an Arrow table.

    Units and descriptions are taken from ``frame.attrs["units"]`` and ``["descriptions"]`` (column -> text), the
    table's metadata from the other attributes. Columns whose cells are numpy arrays of one shape become FixedSizeLists.
    """
    attributes = dict(frame.attrs)
    said = {key: attributes.pop(name, {}) for key, name in _FIELD_ATTRIBUTES.items()}
    if (plain := _from_plain_numbers(frame)) is not None:
        return plain
    arrays = _array_columns(frame)
    bare = frame
    if arrays or frame.attrs:
        bare = frame.copy(deep=False)
        bare.attrs = {}  # pyarrow would store them a second time
    for number in arrays:
        bare.isetitem(number, np.zeros(len(bare), np.int8))
    table = pa.Table.from_pandas(bare)
    for number, dtype in enumerate(frame.dtypes):
        if isinstance(dtype, np.dtype) and dtype.kind == "f" and table.column(number).null_count:
            arrays[number] = frame.iloc[:, number].to_numpy()  # pyarrow makes null of NaN, which is another thing
    schema_said: dict[bytes, bytes] = {}
    for number, values in arrays.items():
        array, extra = column_to_arrow(table.column_names[number], values)
        table = table.set_column(number, table.column_names[number], array)
        schema_said.update(extra)
    metadata = dict(table.schema.metadata or {})
    table = table.cast(_with_field_metadata(table.schema, said)) if any(said.values()) else table
    if attributes:
        metadata[META] = meta_json({str(key): value for key, value in attributes.items()})
    return table.replace_schema_metadata({**metadata, **schema_said})


def _from_plain_numbers(frame: pd.DataFrame) -> pa.Table | None:
    """Return a DataFrame of numbers under plain names and row numbers, or None: much sooner than pyarrow."""
    columns, index = frame.columns, frame.index
    if not isinstance(index, pd.RangeIndex) or index.name is not None or columns.name is not None or frame.attrs:
        return None
    names, dtypes = tuple(columns), tuple(frame.dtypes)
    if not all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes) or len(set(names)) < len(
        names
    ):
        return None
    if not all(isinstance(name, str) for name in names):
        return None
    if len(set(dtypes)) == 1:
        block = frame.to_numpy()  # a view, where the frame is one block
        arrays = [pa.array(block[:, number]) for number in range(len(names))]
    else:
        arrays = [pa.array(column.to_numpy()) for _, column in frame.items()]
    schema, pandas_metadata = _plain_schema(names, dtypes)
    rows = {"kind": "range", "name": None, "start": index.start, "stop": index.stop, "step": index.step}
    said = json.dumps(pandas_metadata | {"index_columns": [rows]})
    return pa.Table.from_arrays(arrays, schema=schema.with_metadata({"pandas": said}))


@lru_cache(maxsize=256)
def _plain_schema(names: tuple[str, ...], dtypes: "tuple[np.dtype[Any], ...]") -> tuple[pa.Schema, dict[str, Any]]:
    """Return the Arrow schema of columns, and what pandas wants to be remembered of them, as pyarrow makes both."""
    empty = pd.DataFrame({name: np.empty(0, dtype) for name, dtype in zip(names, dtypes, strict=True)})
    schema = pa.Schema.from_pandas(empty)
    return schema.remove_metadata(), schema.pandas_metadata


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Make a DataFrame of an Arrow table; indexes that pandas had recorded are restored.

    Numbers and booleans with nulls become pandas' nullable types, whose floats take NaN for null. Units, descriptions
    and the table's metadata are in ``attrs``.
    """
    frame: pd.DataFrame = table.to_pandas(use_threads=table.num_rows > FEW_ROWS)
    stored = (table.schema.pandas_metadata if table.schema.metadata else None) or {}
    types = {said["field_name"]: said["numpy_type"] for said in stored.get("columns", ())}
    for field in table.schema:
        column = table.column(field.name)
        shape = cell_shape(table, field.name)
        if shape is not None and len(shape) > 1 and not column.null_count and field.name in frame.columns:
            cells, _ = column_to_numpy(column, shape, None)
            frame[field.name] = pd.Series(list(cells), index=frame.index, dtype=object)
        if not column.null_count or field.name not in frame.columns or not _has_nullable(field.type):
            continue
        if isinstance(frame[field.name].dtype, np.dtype) and not types.get(field.name, "").startswith("float"):
            frame[field.name] = _nullable(column, frame.index)
    attributes: dict[str, Any] = table_meta(table)
    for key, name in _FIELD_ATTRIBUTES.items():
        texts = {
            field.name: field.metadata[key.encode()].decode()
            for field in table.schema
            if field.metadata and key.encode() in field.metadata
        }
        if texts:
            attributes[name] = texts
    frame.attrs.update(attributes)
    return frame


def _array_columns(frame: pd.DataFrame) -> "dict[int, np.ndarray[Any, Any]]":
    """Find the columns whose cells are all numpy arrays of one shape and type, and stack each."""
    found = {}
    for number, dtype in enumerate(frame.dtypes):
        if dtype.kind != "O" or not len(frame):
            continue
        cells = frame.iloc[:, number].to_numpy()
        first = cells[0]
        if not isinstance(first, np.ndarray) or first.dtype.kind not in "biuf" or not first.size:
            continue
        if all(isinstance(c, np.ndarray) and c.shape == first.shape and c.dtype == first.dtype for c in cells):
            found[number] = np.stack(list(cells))
    return found


def _has_nullable(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind)
    )


def _nullable(column: pa.ChunkedArray, index: "pd.Index[Any]") -> "pd.Series[Any]":
    """Return a column of numbers or booleans with nulls as pandas' nullable type."""
    mask = column.is_null().to_numpy()
    if pa.types.is_boolean(column.type):
        values = column.fill_null(False).to_numpy()
        return pd.Series(pd.arrays.BooleanArray(values.astype(bool), mask), index=index)
    values = column.fill_null(0).to_numpy().copy()
    kind = pd.arrays.FloatingArray if values.dtype.kind == "f" else pd.arrays.IntegerArray
    return pd.Series(kind(values, mask), index=index)


def _with_field_metadata(schema: pa.Schema, said: "Mapping[str, Mapping[str, str]]") -> pa.Schema:
    """Return a schema whose fields say the unit and description given for them."""
    fields = []
    for field in schema:
        texts = {key: str(by_name[field.name]) for key, by_name in said.items() if field.name in by_name}
        fields.append(field.with_metadata({**(field.metadata or {}), **texts}) if texts else field)
    return pa.schema(fields, schema.metadata)
