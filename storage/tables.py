"""Tables of every kind, by way of one: each becomes an Arrow table and each is made from one.

What belongs to a table travels in the Arrow schema, so that it survives every trip:

* a column's ``unit`` and ``description`` are metadata of its field; how columns of arrays, text and complex numbers are
  kept, `skybutler.imaging.arrow_columns` says;
* the table's own metadata are JSON, ``metadata`` in ``skybutler`` (as SourceCatalog has it), and whatever else the
  schema's metadata held stays there;
* pandas' indexes are in ``pandas``, written by pyarrow; astropy's mixin columns (Time, SkyCoord) are in
  ``table_meta_yaml``, written by astropy, which LSST's and astropy's own readers know.

Nothing here changes the object it is given.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..model.errors import StorageClassError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["FEW_ROWS", "PANDAS", "from_arrow", "index_columns", "is_table", "meta_json", "pandas_metadata",
           "table_meta", "to_arrow"]  # fmt: skip

FEW_ROWS = 20_000
"""Up to here one thread converts a table sooner than several that must first be woken."""
PANDAS = b"pandas"
"""Key of the schema's metadata under which pandas' indexes and types are."""


def _kind_of(obj: Any) -> str | None:
    """Return the storage class of a table by its type's origin: nothing is imported to tell."""
    for cls in type(obj).__mro__:
        module = cls.__module__.partition(".")[0]
        match module, cls.__qualname__:
            case "pyarrow", "Table":
                return "ArrowTable"
            case "pandas", "DataFrame":
                return "DataFrame"
            case "polars", "DataFrame":
                return "PolarsFrame"
            case "astropy", "Table":
                return "AstropyTable"
            case "numpy", "ndarray":
                return "NumpyRecords" if obj.dtype.names is not None else None
            case _, "SourceCatalog" if hasattr(obj, "to_arrow"):
                return "SourceCatalog"
    return None


def is_table(obj: Any) -> bool:
    """Tell whether an object is a table of a kind that `to_arrow` takes."""
    return _kind_of(obj) is not None


def to_arrow(obj: Any) -> "pa.Table":
    """Return any table as an Arrow table.

    Parameters
    ----------
    obj
        A ``pyarrow.Table``, ``pandas.DataFrame``, ``polars.DataFrame``, ``astropy.table.Table`` (QTable too),
        structured numpy array (masked too) or SourceCatalog.

    Raises
    ------
    StorageClassError
        If it is none of them, or a column is of a type that Arrow does not have.
    """
    import pyarrow as pa

    try:
        match _kind_of(obj):
            case "ArrowTable":
                return obj
            case "SourceCatalog":
                return obj.to_arrow()
            case "DataFrame":
                from .tables_pandas import from_pandas

                return from_pandas(obj)
            case "PolarsFrame":
                from .tables_polars import from_polars

                return from_polars(obj)
            case "AstropyTable":
                from .tables_astropy import from_astropy

                return from_astropy(obj)
            case "NumpyRecords":
                return _from_records(obj)
    except pa.ArrowException as error:
        raise StorageClassError(f"this {type(obj).__name__} cannot become a table: {error}") from error
    raise StorageClassError(
        f"a {type(obj).__module__}.{type(obj).__qualname__} is no table; a SourceCatalog, pandas.DataFrame, "
        "polars.DataFrame, pyarrow.Table, astropy.table.Table or structured numpy array is"
    )


def from_arrow(table: "pa.Table", storage_class: str) -> Any:
    """Make a table of another kind from an Arrow table.

    Parameters
    ----------
    table
        The Arrow table.
    storage_class
        ``ArrowTable``, ``DataFrame``, ``PolarsFrame``, ``AstropyTable``, ``NumpyRecords`` or ``SourceCatalog``.

    Raises
    ------
    StorageClassError
        If that kind cannot hold a column of the table, or there is no such kind.
    """
    import pyarrow as pa

    if storage_class == "ArrowTable":
        return table
    if len(set(table.column_names)) < table.num_columns:
        twice = next(name for name in table.column_names if table.column_names.count(name) > 1)
        raise StorageClassError(f"this table has several columns {twice!r}; only an ArrowTable can, give them names")
    if "" in table.column_names and storage_class in ("PolarsFrame", "AstropyTable", "NumpyRecords"):
        raise StorageClassError(f"this table has a column whose name is empty, which no {storage_class} can have")
    try:
        match storage_class:
            case "DataFrame":
                from .tables_pandas import to_pandas

                return to_pandas(table)
            case "PolarsFrame":
                from .tables_polars import to_polars

                return to_polars(table)
            case "AstropyTable":
                from .tables_astropy import to_astropy

                return to_astropy(table)
            case "NumpyRecords":
                return _to_records(table)
            case "SourceCatalog":
                from ..imaging import SourceCatalog

                return SourceCatalog.from_arrow(table)
    except pa.ArrowException as error:
        raise StorageClassError(f"this table cannot be read as a {storage_class}: {error}") from error
    raise StorageClassError(f"a table cannot be read as storage class {storage_class!r}")


def table_meta(table: "pa.Table") -> dict[str, Any]:
    """Return a table's own metadata."""
    from ..imaging.arrow_columns import own_metadata

    meta = own_metadata(table.schema.metadata).get("metadata", {})
    return meta if isinstance(meta, dict) else {}


def meta_json(meta: Mapping[str, Any]) -> bytes:
    """Return what the schema says of a table's own metadata; what JSON cannot hold is kept as its text."""
    return json.dumps({"metadata": dict(meta)}, default=_as_json).encode()


def _as_json(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def pandas_metadata(schema: "pa.Schema") -> dict[str, Any]:
    """Return what pandas wanted to be remembered of a table; nothing where that is not what pandas writes."""
    try:
        said = json.loads((schema.metadata or {}).get(PANDAS, b"{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict) or not all(
        isinstance(said.get(key, []), list) for key in ("columns", "index_columns", "column_indexes")
    ):
        return {}
    return said


def index_columns(schema: "pa.Schema") -> list[str]:
    """Return the columns of a table that are a DataFrame's index."""
    found = pandas_metadata(schema).get("index_columns", ())
    return [name for name in found if isinstance(name, str) and name in schema.names]


def _from_records(records: "np.ndarray[Any, Any]") -> "pa.Table":
    """Return a structured array as an Arrow table."""
    import numpy as np

    from ..imaging.arrow_columns import ArrowColumns

    records = np.atleast_1d(records)
    if records.ndim != 1:
        raise StorageClassError(f"an array of records has one axis to be a table, not the shape {records.shape}")
    masks: np.ndarray[Any, Any] | None = None
    if isinstance(records, np.ma.MaskedArray):
        masks = np.ma.getmaskarray(records)
    values = np.ma.getdata(records)
    columns = ArrowColumns()
    for name in records.dtype.names or ():
        mask = None if masks is None or not masks[name].any() else masks[name]
        columns.add(name, values[name], mask)
    return columns.table()


def _to_records(table: "pa.Table") -> "np.ndarray[Any, Any]":
    """Make a structured array, masked where the table has nulls."""
    import numpy as np

    from ..imaging.arrow_columns import numpy_columns

    columns = list(numpy_columns(table))
    dtype = np.dtype([(column.name, column.values.dtype, column.values.shape[1:]) for column in columns])
    records: np.ndarray[Any, Any] = np.empty(table.num_rows, dtype)
    for column in columns:
        records[column.name] = column.values
    if all(column.mask is None for column in columns):
        return records
    masks = np.zeros(table.num_rows, np.ma.make_mask_descr(dtype))
    for column in columns:
        if column.mask is not None:
            masks[column.name] = column.mask
    with np.errstate(over="ignore"):  # numpy's own value under a mask, 1e20, is none of a float16
        return np.ma.MaskedArray(records, mask=masks)
