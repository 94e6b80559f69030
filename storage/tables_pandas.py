"""Between pandas and Arrow: indexes, missing integers, columns of arrays, units."""

import json
from collections.abc import Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import types

from ..imaging.arrow_columns import OWN, ArrowColumns, cell_shape, numpy_columns
from ..model.errors import StorageClassError
from .tables import FEW_ROWS, PANDAS, index_columns, meta_json, pandas_metadata, table_meta

__all__ = ["from_pandas", "to_pandas"]

_FIELD_ATTRIBUTES = {"unit": "units", "description": "descriptions"}
"""Metadata of an Arrow field -> key of ``DataFrame.attrs`` that holds it for all columns."""


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """Return a DataFrame as an Arrow table.

    Units and descriptions are taken from ``frame.attrs["units"]`` and ``["descriptions"]`` (column -> text), the
    table's metadata from the other attributes. Columns whose cells are numpy arrays of one shape (masked ones and None
    among them) become lists of one size.

    Raises
    ------
    StorageClassError
        If columns have the same name, or are named by numbers and text, or hold what a table cannot.
    """
    if (plain := _from_plain_numbers(frame)) is not None:
        return plain
    _check_names(frame)
    attributes = dict(frame.attrs)
    said = {key: attributes.pop(name, {}) for key, name in _FIELD_ATTRIBUTES.items()}
    arrays = _array_columns(frame)
    bare = frame.copy(deep=False)
    bare.attrs = {}  # pyarrow would store them a second time
    for number, dtype in enumerate(frame.dtypes):
        if number in arrays:
            bare.isetitem(number, np.full(len(bare), None, object))
        elif isinstance(dtype, np.dtype) and not dtype.isnative:
            bare.isetitem(number, frame.iloc[:, number].to_numpy().astype(dtype.newbyteorder("=")))
    try:
        table = pa.Table.from_pandas(bare)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise StorageClassError(f"this DataFrame cannot become a table: {error}") from error
    for number, dtype in enumerate(frame.dtypes):
        if isinstance(dtype, np.dtype) and dtype.kind == "f" and table.column(number).null_count:
            arrays[number] = frame.iloc[:, number].to_numpy(), None  # pyarrow makes null of NaN, which is another thing
    made = ArrowColumns()
    for number, (values, mask) in arrays.items():
        made.add(table.column_names[number], values, mask)
        table = table.set_column(number, made.fields[-1], made.arrays[-1])
    metadata = dict(table.schema.metadata or {})
    if any(said.values()):
        table = table.cast(_with_field_metadata(table.schema, frame.columns, said))
    if attributes:
        metadata[OWN] = meta_json({str(key): value for key, value in attributes.items()})
    return table.replace_schema_metadata({**metadata, **made.metadata})


def _check_names(frame: pd.DataFrame) -> None:
    """Refuse names of columns that a file cannot give back."""
    columns = frame.columns
    if not columns.is_unique:
        twice = columns[columns.duplicated()][0]
        raise StorageClassError(f"this DataFrame has several columns {twice!r}; a table keeps columns of one name each")
    if columns.inferred_type.startswith("mixed") and not isinstance(columns, pd.MultiIndex):
        raise StorageClassError(
            "this DataFrame names its columns by values of several types, which a table cannot: frame.columns = "
            "frame.columns.astype(str) makes them text"
        )


def _from_plain_numbers(frame: pd.DataFrame) -> pa.Table | None:
    """Return a DataFrame of numbers under plain names and row numbers, or None: much sooner than pyarrow."""
    columns, index = frame.columns, frame.index
    if not isinstance(index, pd.RangeIndex) or index.name is not None or columns.name is not None or frame.attrs:
        return None
    names, dtypes = tuple(columns), tuple(frame.dtypes)
    if not names or not all(
        isinstance(dtype, np.dtype) and dtype.kind in "biuf" and dtype.isnative for dtype in dtypes
    ):
        return None
    if len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        return None
    if len(set(dtypes)) == 1:
        block = frame.to_numpy()  # a view, where the frame is one block
        arrays = [pa.array(block[:, number]) for number in range(len(names))]
    else:
        arrays = [pa.array(column.to_numpy()) for _, column in frame.items()]
    schema, remembered = _plain_schema(names, dtypes)
    rows = {"kind": "range", "name": None, "start": index.start, "stop": index.stop, "step": index.step}
    said = json.dumps(remembered | {"index_columns": [rows]})
    return pa.Table.from_arrays(arrays, schema=schema.with_metadata({"pandas": said}))


@lru_cache(maxsize=256)
def _plain_schema(names: tuple[str, ...], dtypes: "tuple[np.dtype[Any], ...]") -> tuple[pa.Schema, dict[str, Any]]:
    """Return the Arrow schema of columns, and what pandas wants to be remembered of them, as pyarrow makes both."""
    empty = pd.DataFrame({name: np.empty(0, dtype) for name, dtype in zip(names, dtypes, strict=True)})
    schema = pa.Schema.from_pandas(empty)
    return schema.remove_metadata(), schema.pandas_metadata


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Make a DataFrame of an Arrow table; indexes that pandas had recorded are restored.

    Integers, booleans and floats with nulls become pandas' nullable types, in which NaN stays beside null (float16,
    which pandas has no such type of, takes NaN for null). Cells of arrays are numpy arrays, masked where an element is
    null. Units, descriptions and the table's metadata are in ``attrs``.
    """
    stored = pandas_metadata(table.schema)
    of_column = {said.get("field_name"): said for said in stored.get("columns", ()) if isinstance(said, dict)}
    frame = _framed(table, stored)
    index = set(index_columns(table.schema))
    positions = [number for number, name in enumerate(table.column_names) if name not in index]
    if len(positions) != frame.shape[1]:  # what is said of the index is not so
        positions = []
    arrays = {column.name: column for column in numpy_columns(table.select(_arrays_to_shape(table)))}
    for place, number in enumerate(positions):
        field, column = table.field(number), table.column(number)
        was = str(of_column.get(field.name, {}).get("numpy_type", ""))
        if was.endswith("[pyarrow]"):
            frame.isetitem(place, pd.arrays.ArrowExtensionArray(column))
        elif field.name in arrays:
            frame.isetitem(place, _cells(arrays[field.name].values, arrays[field.name].mask, column))
        elif column.null_count and _has_nullable(field.type):
            dtype = frame.dtypes.iloc[place]
            if isinstance(dtype, pd.Float32Dtype | pd.Float64Dtype) or (
                isinstance(dtype, np.dtype) and not was.startswith("float")
            ):
                frame.isetitem(place, _nullable(column))
    attributes: dict[str, Any] = table_meta(table)
    for key, name in _FIELD_ATTRIBUTES.items():
        texts = {
            frame.columns[place]: table.field(number).metadata[key.encode()].decode("utf-8", "replace")
            for place, number in enumerate(positions)
            if key.encode() in (table.field(number).metadata or {})
        }
        if texts:
            attributes[name] = texts
    frame.attrs.update(attributes)
    return frame


def _framed(table: pa.Table, stored: Mapping[str, Any]) -> pd.DataFrame:
    """Return the table as pyarrow and pandas' metadata make a DataFrame of it, whatever a stranger wrote there."""
    threads = table.num_rows > FEW_ROWS
    bare = table.replace_schema_metadata()  # pyarrow reads what is there of pandas even to ignore it
    if not stored:
        frame: pd.DataFrame = bare.to_pandas(use_threads=threads)
        return frame
    if b"[pyarrow]" in table.schema.metadata[PANDAS]:  # types that pandas does not find by their names
        plain = [{**said, "numpy_type": "object"} if str(said.get("numpy_type")).endswith("[pyarrow]") else said
                 for said in stored["columns"]]  # fmt: skip
        text = json.dumps({**stored, "columns": plain}).encode()
        table = table.replace_schema_metadata({**table.schema.metadata, PANDAS: text})
    try:
        frame = table.to_pandas(use_threads=threads)
    except Exception:  # noqa: BLE001 - whatever is wrong in what a file says of pandas: its columns are there
        frame = bare.to_pandas(use_threads=threads)
    if not table.num_columns and (rows := _range_index(stored)) is not None:
        frame = frame.reindex(rows)
    return frame


def _range_index(stored: Mapping[str, Any]) -> pd.RangeIndex | None:
    """Return the row numbers of a DataFrame without columns."""
    match stored.get("index_columns"):
        case [{"kind": "range", "start": int(start), "stop": int(stop), "step": int(step), "name": name}] if step:
            return pd.RangeIndex(start, stop, step, name=name)
    return None


def _arrays_to_shape(table: pa.Table) -> list[str]:
    """Return the columns of arrays and complex numbers whose cells pyarrow would give otherwise than numpy has them."""
    said = table.schema.metadata or {}
    found = []
    for field, column in zip(table.schema, table.columns, strict=True):
        shape = cell_shape(said, field.name.encode())
        if types.is_list(field.type) and shape is not None and 0 in shape:
            found.append(field.name)
        if not types.is_fixed_size_list(field.type):
            continue
        is_other = types.is_nested(field.type.value_type) or (field.metadata is not None and b"numpy" in field.metadata)
        if is_other or (shape is not None and (len(shape) > 1 or any(c.values.null_count for c in column.chunks))):
            found.append(field.name)
    return found


def _cells(
    values: "np.ndarray[Any, Any]", mask: "np.ndarray[Any, Any] | None", column: pa.ChunkedArray
) -> "np.ndarray[Any, Any]":
    """Return a column of arrays as objects, a cell each; complex numbers as they are."""
    if values.ndim == 1 and mask is None:
        return values
    cells = np.empty(len(values), object)
    if values.ndim == 1:
        cells[:] = [None if gone else value for value, gone in zip(values, mask, strict=True)]  # type: ignore[arg-type]
        return cells
    for number, cell in enumerate(values):
        cells[number] = cell if mask is None or not mask[number].any() else np.ma.MaskedArray(cell, mask[number])
    if column.null_count:
        cells[column.is_null().to_numpy()] = None
    return cells


def _array_columns(frame: pd.DataFrame) -> "dict[int, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]]":
    """Find the columns whose cells are all numpy arrays of one shape and type, and stack each; and complex numbers."""
    found: dict[int, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]] = {}
    for number, dtype in enumerate(frame.dtypes):
        if isinstance(dtype, np.dtype) and dtype.kind == "c":
            found[number] = frame.iloc[:, number].to_numpy(), None
        if dtype.kind != "O":
            continue
        cells = frame.iloc[:, number].to_numpy()
        first = next((cell for cell in cells if cell is not None), None)
        if isinstance(first, complex | np.complexfloating) and all(c is None or isinstance(c, complex) for c in cells):
            missing = np.array([cell is None for cell in cells])
            found[number] = np.array([0 if gone else cell for cell, gone in zip(cells, missing, strict=True)]), missing
        if not isinstance(first, np.ndarray) or first.dtype.kind not in "biufc":
            continue
        kind, shape = first.dtype, first.shape
        there = [cell for cell in cells if cell is not None]
        if not set(map(type, there)) <= {np.ndarray, np.ma.MaskedArray}:
            continue
        if set(map(attrgetter("shape"), there)) != {shape} or set(map(attrgetter("dtype"), there)) != {kind}:
            continue
        if set(map(type, cells)) == {np.ndarray} and shape:
            found[number] = np.concatenate(there).reshape(len(cells), *shape), None
            continue
        values = np.zeros((len(cells), *shape), kind)
        mask = None
        for row, cell in enumerate(cells):
            if type(cell) is np.ndarray:
                values[row] = cell
                continue
            mask = np.zeros(values.shape, bool) if mask is None else mask
            mask[row] = True if cell is None else np.ma.getmaskarray(cell)
            values[row] = 0 if cell is None else np.ma.getdata(cell)
        found[number] = values, mask
    return found


def _has_nullable(kind: pa.DataType) -> bool:
    return bool(
        types.is_integer(kind) or types.is_boolean(kind) or types.is_float32(kind) or types.is_float64(kind)
    )  # fmt: skip


def _nullable(column: pa.ChunkedArray) -> pd.api.extensions.ExtensionArray:
    """Return a column of numbers or booleans with nulls as pandas' nullable type."""
    mask = column.is_null().to_numpy()
    if types.is_boolean(column.type):
        return pd.arrays.BooleanArray(column.fill_null(False).to_numpy().astype(bool), mask)
    values = column.fill_null(0).to_numpy().copy()
    kind = pd.arrays.FloatingArray if values.dtype.kind == "f" else pd.arrays.IntegerArray
    return kind(values, mask)


def _with_field_metadata(
    schema: pa.Schema, columns: "pd.Index[Any]", said: "Mapping[str, Mapping[Any, str]]"
) -> pa.Schema:
    """Return a schema whose fields say the unit and description given for the columns that they are of."""
    fields = list(schema)
    for number, column in enumerate(columns):
        texts = {key: str(by_column[column]) for key, by_column in said.items() if column in by_column}
        if texts:
            fields[number] = fields[number].with_metadata({**(fields[number].metadata or {}), **texts})
    return pa.schema(fields, schema.metadata)
