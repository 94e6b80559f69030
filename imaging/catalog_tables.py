"""Catalogs to and from the tables of astropy, pandas and Arrow.

Arrow tables say of a field what it is in the field's metadata: ``unit`` and ``description``, as the LSST Butler writes
them, and ``skybutler`` (a JSON object) what else the schema knows. The table's own metadata hold ``skybutler`` (aliases
and the catalog's metadata, JSON) and the ``lsst::arrow::`` keys by which the LSST Butler gives back text and arrays.
Footprints are a column of structs (`footprint_columns`).
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..model.errors import FileFormatError, StorageClassError
from .schema import Field, Schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from astropy.table import Table

    from .arrow_columns import NumpyColumn
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

    A column of sky coordinates becomes two, ``<name>_ra`` and ``<name>_dec``: radians, ICRS.

    Raises
    ------
    TypeError
        If a column is neither numbers, text, times of numpy, nor a quantity or sky coordinates.
    """
    schema, columns = Schema(), {}
    for name in table.colnames:
        column = table[name]
        if hasattr(column, "icrs"):
            for axis in ("ra", "dec"):
                angles = columns[f"{name}_{axis}"] = getattr(column.icrs, axis).rad
                _add_field(schema, f"{name}_{axis}", angles, "rad", column.info.description or "")
            continue
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
    """Return a `pandas.DataFrame`; an array column becomes one column an element, ``name_0`` and so on.

    Its ``attrs`` hold the units and descriptions of columns, by their names, and the catalog's metadata.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    said: dict[str, dict[str, str]] = {"units": {}, "descriptions": {}}
    for field in catalog.schema:
        values = catalog[field]
        if field.shape:
            flat = values.reshape(len(values), math.prod(field.shape))
            parts = {f"{field.name}_{i}": flat[:, i] for i in range(flat.shape[1])}
        else:
            parts = {field.name: values}
        columns |= parts
        for key, text in (("units", field.units), ("descriptions", field.doc)):
            said[key] |= dict.fromkeys(parts, text) if text else {}
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs.update(catalog.metadata)
    frame.attrs.update(said)
    return frame


def from_pandas(kind: type[CatalogT], frame: pd.DataFrame, schema: Schema | None = None) -> CatalogT:
    """Make a catalog of a `pandas.DataFrame`, with the columns of a schema or with all that the frame has.

    Units, descriptions and metadata are those of its ``attrs``, as `to_pandas` leaves them there.
    """
    made, columns = schema or Schema(), {}
    metadata = {str(key): value for key, value in frame.attrs.items()}
    units, docs = (said if isinstance(said := metadata.pop(key, {}), dict) else {} for key in ("units", "descriptions"))
    if schema is None:
        for name in map(str, frame.columns):
            columns[name] = _from_series(frame[name])
            _add_field(made, name, columns[name], units.get(name, ""), docs.get(name, ""))
        return kind(made, columns, metadata=metadata)
    for field in schema:
        if field.shape:
            parts = [_from_series(frame[f"{field.name}_{i}"]) for i in range(field.size)]
            columns[field.name] = np.stack(parts, axis=-1).reshape(len(frame), *field.shape)
        else:
            columns[field.name] = _from_series(frame[field.name])
    return kind(made, columns, metadata=metadata)


def to_arrow(catalog: SourceCatalog) -> pa.Table:
    """Return a `pyarrow.Table`; numbers and arrays are shared, booleans and texts are packed anew."""
    from .arrow_columns import LENGTH, OWN, ArrowColumns

    columns = ArrowColumns(metadata={b"lsst::arrow::rowcount": str(len(catalog)).encode()})
    for field in catalog.schema:
        texts = {"unit": field.units, "description": field.doc, "skybutler": _field_extra(field)}
        columns.add(field.name, catalog[field], texts=texts)
        if field.type == "String" and field.size:
            columns.metadata[f"{LENGTH}{field.name}".encode()] = str(field.size).encode()
    if catalog.footprints is not None:
        from .footprint_columns import to_arrow_column

        name = "footprint" if "footprint" not in catalog.schema else "footprint_pixels"
        described, structs = to_arrow_column(catalog.footprints, name)
        columns.fields.append(described)
        columns.arrays.append(structs)
    own = {"version": ARROW_VERSION, "aliases": dict(catalog.schema.aliases), "metadata": catalog.metadata}
    columns.metadata[OWN] = json.dumps(own, default=_jsonable).encode()
    return columns.table()


def from_arrow(kind: type[CatalogT], table: pa.Table) -> CatalogT:
    """Make a catalog of a `pyarrow.Table`; columns of one chunk without nulls are shared, and then read-only.

    Raises
    ------
    TypeError
        If a column is of a type that catalogs do not hold, such as lists of varying length.
    ValueError
        If the table was written by a newer version, or its description is none that SkyButler wrote.
    """
    from .arrow_columns import numpy_columns, own_metadata
    from .footprint_columns import from_arrow_column, is_footprint_column

    own = own_metadata(table.schema.metadata)
    version, aliases, metadata = (
        own.get(key, other) for key, other in (("version", 1), ("aliases", {}), ("metadata", {}))
    )
    if not isinstance(version, int) or version > ARROW_VERSION:
        raise FileFormatError(
            f"The table's catalog description is of version {version!r}, and this program reads up to "
            f"{ARROW_VERSION}; a newer SkyButler reads it."
        )
    if not isinstance(metadata, dict) or not isinstance(aliases, dict):
        raise FileFormatError("the table's metadata 'skybutler' are not what SkyButler writes for a catalog")
    footprints = None
    for name in [field.name for field in table.schema if is_footprint_column(field)]:
        footprints, table = from_arrow_column(table[name], table.schema.field(name)), table.drop_columns([name])
    schema, columns = Schema(aliases=aliases), {}
    for column in numpy_columns(table):
        values = columns[column.name] = _with_defaults(column)
        size = _extra_size(column.texts.get("skybutler"))
        _add_field(schema, column.name, values, column.texts.get("unit", ""), column.texts.get("description", ""), size)
    return kind(schema, columns, metadata=metadata, footprints=footprints)


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
    return json.dumps({"size": field.size}) if field.type == "String" and field.size else ""


def _extra_size(text: str | None) -> int:
    """Return how many characters a text may have, by what `_field_extra` wrote; 0 for any number."""
    try:
        size = json.loads(text or "{}").get("size", 0)
    except (ValueError, AttributeError, RecursionError):
        return 0
    return size if isinstance(size, int) and 0 <= size < 1 << 16 else 0


def _with_defaults(column: NumpyColumn) -> NDArray[Any]:
    """Return the values of a column, what is missing being 0, NaN, False, no text or NaT."""
    values = column.values
    if values.dtype.kind == "S":
        try:
            values = np.char.decode(values, "utf-8")
        except UnicodeDecodeError:
            raise StorageClassError(f"The column {column.name!r} holds bytes that are no text.") from None
    if values.dtype.kind == "O":
        raise StorageClassError(
            f"The column {column.name!r} is of Arrow's type {column.kind}, which catalogs do not hold."
        )
    if column.mask is None:
        return values
    default = {"f": np.nan, "c": np.nan, "b": False, "U": ""}.get(values.dtype.kind, 0)
    return np.where(column.mask, np.asarray(default, values.dtype), values)


def _from_series(series: pd.Series[Any]) -> NDArray[Any]:
    """Return the values of a pandas column, its missing ones as defaults."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind != "O":
        return series.to_numpy()
    import pyarrow as pa

    from .arrow_columns import numpy_columns

    table = pa.table({str(series.name): pa.array(series, from_pandas=True)})
    return _with_defaults(next(numpy_columns(table)))


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
