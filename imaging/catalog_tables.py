"""Catalogs to and from the tables of astropy, pandas and Arrow.

Arrow tables say of a field what it is in the field's metadata: ``unit`` and ``description``, as the LSST Butler writes
them, and ``skybutler`` (a JSON object) what else the schema knows. The table's own metadata hold ``skybutler`` (aliases
and the catalog's metadata, JSON) and the ``lsst::arrow::`` keys by which the LSST Butler gives back text and arrays.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .schema import Field, Schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from astropy.table import Table

    from .catalog import SourceCatalog

__all__ = ["as_astropy", "from_arrow", "from_astropy", "from_pandas", "to_arrow", "to_pandas"]

ARROW_VERSION = 1
"""Version of what stands under the key ``skybutler``."""

CatalogT = TypeVar("CatalogT", bound="SourceCatalog")


def as_astropy(catalog: SourceCatalog, *, copy: bool = False) -> Table:
    """Return an `astropy.table.Table` with units, descriptions and metadata; it shares memory unless `copy`."""
    from astropy.table import Column, Table

    columns = [
        Column(catalog[field], name=field.name, unit=field.units or None, description=field.doc or None, copy=False)
        for field in catalog.schema
    ]
    return Table(columns, meta=dict(catalog.metadata), copy=copy)


def from_astropy(kind: type[CatalogT], table: Table) -> CatalogT:
    """Make a catalog of an `astropy.table.Table`; masked values become the column's default.

    Raises
    ------
    TypeError
        If a column is neither numbers, text, times of numpy, nor a quantity.
    """
    schema, columns = Schema(), {}
    for name in table.colnames:
        column = table[name]
        if not hasattr(column, "dtype"):
            raise TypeError(f"The column {name!r} is a {type(column).__name__}; make plain columns of it first.")
        unit = getattr(column, "unit", None)
        values = _native(getattr(column, "value", column))
        if values.dtype.kind == "O":
            raise TypeError(f"The column {name!r} holds Python objects or rows of varying length, not one type.")
        columns[name] = values
        _add_field(schema, name, values, "" if unit is None else str(unit), column.info.description or "")
    return kind(schema, columns, metadata=dict(table.meta))


def to_pandas(catalog: SourceCatalog) -> pd.DataFrame:
    """Return a `pandas.DataFrame`; an array column becomes one column an element, ``name_0`` and so on."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for field in catalog.schema:
        values = catalog[field]
        if field.shape:
            flat = values.reshape(len(values), math.prod(field.shape))
            columns |= {f"{field.name}_{i}": flat[:, i] for i in range(flat.shape[1])}
        else:
            columns[field.name] = values
    return pd.DataFrame(columns, copy=False)


def from_pandas(kind: type[CatalogT], frame: pd.DataFrame, schema: Schema | None = None) -> CatalogT:
    """Make a catalog of a `pandas.DataFrame`, with the columns of a schema or with all that the frame has."""
    made, columns = schema or Schema(), {}
    if schema is None:
        for name in map(str, frame.columns):
            columns[name] = _from_series(frame[name])
            _add_field(made, name, columns[name])
        return kind(made, columns)
    for field in schema:
        if field.shape:
            parts = [_from_series(frame[f"{field.name}_{i}"]) for i in range(field.size)]
            columns[field.name] = np.stack(parts, axis=-1).reshape(len(frame), *field.shape)
        else:
            columns[field.name] = _from_series(frame[field.name])
    return kind(made, columns)


def to_arrow(catalog: SourceCatalog) -> pa.Table:
    """Return a `pyarrow.Table`; numbers and arrays are shared, booleans and texts are packed anew."""
    import pyarrow as pa

    fields, arrays = [], []
    lsst = {"lsst::arrow::rowcount": str(len(catalog))}
    for field in catalog.schema:
        values = catalog[field]
        if field.shape:
            arrow = pa.array(np.ascontiguousarray(values).ravel())
            arrow = pa.FixedSizeListArray.from_arrays(arrow, math.prod(field.shape))
            lsst[f"lsst::arrow::shape::{field.name}"] = str(tuple(field.shape))
        else:
            arrow = pa.array(values)
        if field.type == "String":
            lsst[f"lsst::arrow::len::{field.name}"] = str(field.size or values.dtype.itemsize // 4)
        described = {"unit": field.units, "description": field.doc, "skybutler": _field_extra(field)}
        arrays.append(arrow)
        fields.append(pa.field(field.name, arrow.type, metadata={k: v for k, v in described.items() if v}))
    own = {"version": ARROW_VERSION, "aliases": dict(catalog.schema.aliases), "metadata": catalog.metadata}
    metadata = lsst | {"skybutler": json.dumps(own, default=_jsonable)}
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def from_arrow(kind: type[CatalogT], table: pa.Table) -> CatalogT:
    """Make a catalog of a `pyarrow.Table`; columns of one chunk without nulls are shared, and then read-only.

    Raises
    ------
    TypeError
        If a column is of a type that catalogs do not hold, such as lists of varying length.
    ValueError
        If the table was written by a newer version.
    """
    own = json.loads((table.schema.metadata or {}).get(b"skybutler", b"{}"))
    if own.get("version", ARROW_VERSION) > ARROW_VERSION:
        raise ValueError(
            f"The table's catalog description is of version {own['version']}, and this program reads up to "
            f"{ARROW_VERSION}; a newer SkyButler reads it."
        )
    schema, columns = Schema(aliases=own.get("aliases", {})), {}
    for arrow_field, column in zip(table.schema, table.columns, strict=True):
        described = {key.decode(): value.decode() for key, value in (arrow_field.metadata or {}).items()}
        extra = json.loads(described.get("skybutler", "{}"))
        values = _from_arrow_array(arrow_field.name, column)
        if "shape" in extra:
            values = values.reshape(len(table), *extra["shape"])
        columns[arrow_field.name] = values
        unit, doc = described.get("unit", ""), described.get("description", "")
        _add_field(schema, arrow_field.name, values, unit, doc, extra.get("size", 0))
    return kind(schema, columns, metadata=own.get("metadata", {}))


def _add_field(
    schema: Schema, name: str, values: NDArray[Any], unit: str = "", doc: str = "", characters: int = 0
) -> None:
    """Add the column that values are of; text has no greatest length but a given one."""
    if values.dtype.kind in "US":
        schema.add_field(name, "String", doc, unit, characters, shape=values.shape[1:])
    elif unit == "rad" and values.dtype == np.float64 and values.ndim == 1:
        schema.add_field(name, "Angle", doc)
    else:
        schema.add_field(name, values.dtype, doc, unit, shape=values.shape[1:])


def _field_extra(field: Field) -> str:
    """Return what Arrow's own type does not say of a column, as JSON, or nothing."""
    extra: dict[str, Any] = {}
    if field.type == "String" and field.size:
        extra["size"] = field.size
    if len(field.shape) > 1:
        extra["shape"] = list(field.shape)
    return json.dumps(extra) if extra else ""


def _from_arrow_array(name: str, column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """Return a column's values; nulls as 0, NaN, False, no text or NaT."""
    import pyarrow as pa
    from pyarrow import types

    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    kind = column.type
    if types.is_dictionary(kind):
        return _from_arrow_array(name, column.cast(kind.value_type))
    if types.is_fixed_size_list(kind):
        start, size = column.offset, kind.list_size
        values = _from_arrow_array(name, column.values.slice(start * size, len(column) * size))
        rows = values.reshape(len(column), size, *values.shape[1:])
        if column.null_count:
            rows = rows.copy()
            rows[column.is_null().to_numpy(zero_copy_only=False)] = np.nan if rows.dtype.kind == "f" else 0
        return rows
    if types.is_string(kind) or types.is_large_string(kind) or kind == pa.string_view():
        return np.asarray(["" if text is None else text for text in column.to_pylist()], dtype="U")
    if column.null_count and not types.is_temporal(kind):
        column = column.fill_null(float("nan") if types.is_floating(kind) else False if types.is_boolean(kind) else 0)
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind == "O":
        raise TypeError(f"The column {name!r} is of Arrow's type {kind}, which catalogs do not hold.")
    return np.asarray(values)


def _from_series(series: pd.Series[Any]) -> NDArray[Any]:
    """Return the values of a pandas column, its missing ones as defaults."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind != "O":
        return series.to_numpy()
    import pyarrow as pa

    return _from_arrow_array(str(series.name), pa.array(series, from_pandas=True))


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Return values in this machine's byte order (FITS tables come in the other), and text decoded."""
    values = np.ma.asanyarray(values) if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in np.ma.filled(values, "")):
        return np.asarray(np.ma.filled(values, ""), dtype="U")
    if values.dtype.kind == "S":
        return np.char.decode(np.ma.filled(values, b""), "utf-8")
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _jsonable(value: object) -> Any:
    """Return numpy's values as Python's; anything else as its text, as logs would show it."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
