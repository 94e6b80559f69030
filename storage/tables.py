"""Tables of every kind, by way of one: each becomes an Arrow table and each is made from one.

What belongs to a table travels in the Arrow schema, so that it survives every trip:

* a column's ``unit`` and ``description`` are metadata of its field; a column of arrays is a FixedSizeList, its shape
  a ``lsst::arrow::shape::<column>`` (as LSST writes it); the width of numpy text is ``lsst::arrow::len::<column>``;
* the table's own metadata are JSON, ``metadata`` in ``skybutler`` (as SourceCatalog has it), and whatever else the
  schema's metadata held stays there;
* pandas' indexes are in ``pandas``, written by pyarrow; astropy's mixin columns (Time, SkyCoord) are in
  ``table_meta_yaml``, written by astropy, which LSST's and astropy's own readers know.

Nothing here changes the object it is given.
"""

import json
from ast import literal_eval
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..model.errors import StorageClassError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["META", "from_arrow", "is_table", "to_arrow"]

FEW_ROWS = 20_000
"""Up to here one thread converts a table sooner than several that must first be woken."""
META = b"skybutler"
SHAPE = "lsst::arrow::shape::"
LENGTH = "lsst::arrow::len::"
ROW_COUNT = b"lsst::arrow::rowcount"


def _kind_of(obj: Any) -> str | None:
    """Return the storage class of a table by its type's origin: nothing is imported to tell."""
    for cls in type(obj).__mro__:
        module = cls.__module__.partition(".")[0]
        match module, cls.__qualname__:
            case "pyarrow", "Table":
                return "ArrowTable"
            case "pandas", "DataFrame":
                return "DataFrame"
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
        A ``pyarrow.Table``, ``pandas.DataFrame``, ``astropy.table.Table`` (QTable too), structured numpy array (masked
        too) or SourceCatalog.

    Raises
    ------
    StorageClassError
        If it is none of them, or a column is of a type that Arrow does not have.
    """
    import pyarrow as pa

    kind = _kind_of(obj)
    try:
        if kind == "ArrowTable":
            return obj
        if kind == "SourceCatalog":
            return obj.to_arrow()
        if kind == "DataFrame":
            from .tables_pandas import from_pandas

            return from_pandas(obj)
        if kind == "AstropyTable":
            from .tables_astropy import from_astropy

            return from_astropy(obj)
        if kind == "NumpyRecords":
            return _from_records(obj)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise StorageClassError(f"this {type(obj).__name__} cannot become a table: {error}") from error
    raise StorageClassError(
        f"a {type(obj).__module__}.{type(obj).__qualname__} is no table; a SourceCatalog, pandas.DataFrame, "
        "pyarrow.Table, astropy.table.Table or structured numpy array is"
    )


def from_arrow(table: "pa.Table", storage_class: str) -> Any:
    """Make a table of another kind from an Arrow table.

    Parameters
    ----------
    table
        The Arrow table.
    storage_class
        ``ArrowTable``, ``DataFrame``, ``AstropyTable``, ``NumpyRecords`` or ``SourceCatalog``.
    """
    if storage_class == "ArrowTable":
        return table
    if storage_class == "DataFrame":
        from .tables_pandas import to_pandas

        return to_pandas(table)
    if storage_class == "AstropyTable":
        from .tables_astropy import to_astropy

        return to_astropy(table)
    if storage_class == "NumpyRecords":
        return _to_records(table)
    if storage_class == "SourceCatalog":
        from ..imaging import SourceCatalog

        return SourceCatalog.from_arrow(table)
    raise StorageClassError(f"a table cannot be read as storage class {storage_class!r}")


def table_meta(table: "pa.Table") -> dict[str, Any]:
    """Return a table's own metadata."""
    text = (table.schema.metadata or {}).get(META)
    meta: dict[str, Any] = json.loads(text).get("metadata", {}) if text else {}
    return meta


def meta_json(meta: Mapping[str, Any]) -> bytes:
    """Return what the schema says of a table's own metadata; what JSON cannot hold is kept as its text."""
    return json.dumps({"metadata": dict(meta)}, default=_as_json).encode()


def _as_json(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def column_to_arrow(
    name: str, values: "np.ndarray[Any, Any]", mask: "np.ndarray[Any, Any] | None" = None
) -> tuple["pa.Array", dict[bytes, bytes]]:
    """Return a numpy column as an Arrow array, and what the schema's metadata must say of it.

    Parameters
    ----------
    name
        Its name.
    values
        Shape ``(rows, ...)``; any byte order.
    mask
        True where a value is missing, shape of `values` or ``(rows,)``. An array cell is null where all of it is
        masked; single elements of one are null in it.
    """
    import numpy as np
    import pyarrow as pa

    said: dict[bytes, bytes] = {}
    if values.dtype.kind in "cV" or values.dtype.char == "g":
        raise StorageClassError(f"column {name!r} is of the numpy type {values.dtype}, which Parquet does not have")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind in "US":
        width = values.dtype.itemsize // (4 if values.dtype.kind == "U" else 1)
        said[f"{LENGTH}{name}".encode()] = str(width).encode()
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] not in ("D", "s", "ms", "us", "ns"):
        values = values.astype("datetime64[s]")
    if values.ndim == 1:
        if values.dtype.kind == "S":
            return pa.array(values.tolist(), pa.binary(), mask=mask), said
        return pa.array(np.ascontiguousarray(values), mask=mask), said
    shape = values.shape[1:]
    said[f"{SHAPE}{name}".encode()] = str(tuple(shape)).encode()
    width = int(np.prod(shape))
    missing = None
    if mask is not None:
        mask = np.broadcast_to(mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim)), values.shape)
        mask = mask.reshape(len(values), width)
        missing = mask.all(axis=1) if width else np.zeros(len(values), bool)
    flat = np.ascontiguousarray(values).reshape(-1)
    items, _ = column_to_arrow(name, flat, None if mask is None or not mask.any() else mask.reshape(-1))
    if width == 0:
        return pa.array([[]] * len(values), pa.list_(items.type)), said
    if missing is None or not missing.any():
        return pa.FixedSizeListArray.from_arrays(items, width), said
    return pa.FixedSizeListArray.from_arrays(items, width, mask=pa.array(missing)), said


def column_to_numpy(
    column: "pa.ChunkedArray", shape: tuple[int, ...] | None, length: int | None
) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any] | None"]:
    """Return an Arrow column as numpy values, and a mask where some are null.

    Parameters
    ----------
    column
        The column.
    shape
        Shape of one cell of a column of lists; None for one-dimensional lists of equal length.
    length
        Least width of text, in characters.

    Returns
    -------
    values, mask
        Values under the mask are NaN, -1, 0 (unsigned), True or empty text, as LSST's readers fill them. Missing times
        are NaT, and not masked. Lists of unequal length and types that numpy does not have come as objects.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_fixed_size_list(kind):
        return _lists_to_numpy(column, shape or (kind.list_size,))
    if shape is not None and int(np.prod(shape)) == 0:
        return np.empty((len(column), *shape), kind.value_type.to_pandas_dtype()), None
    mask = None
    if column.null_count and not pa.types.is_temporal(kind):
        mask = column.is_null().to_numpy()
        if pa.types.is_null(kind):
            return np.full(len(column), np.nan), mask
        fill = _fill_value(kind)
        if fill is not None:
            column = pc.fill_null(column, pa.scalar(fill, kind))
    values = column.to_numpy()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        longest = pc.max(pc.utf8_length(column.cast(pa.string()))).as_py() or 1
        return values.astype(f"U{max(longest, length or 1)}"), mask
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        longest = pc.max(pc.binary_length(column)).as_py() or 1
        return values.astype(f"S{max(longest, length or 1)}"), mask
    return values, mask


def _fill_value(kind: "pa.DataType") -> Any:
    import pyarrow as pa

    tests: list[tuple[Callable[[Any], bool], Any]] = [
        (pa.types.is_floating, float("nan")), (pa.types.is_signed_integer, -1), (pa.types.is_unsigned_integer, 0),
        (pa.types.is_boolean, True), (pa.types.is_string, ""), (pa.types.is_large_string, ""),
        (pa.types.is_binary, b""), (pa.types.is_large_binary, b""),
    ]  # fmt: skip
    return next((fill for test, fill in tests if test(kind)), None)


def _lists_to_numpy(
    column: "pa.ChunkedArray", shape: tuple[int, ...]
) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any] | None"]:
    """Return a column of lists of one size as one array of shape ``(rows, *shape)``; without a copy where it can be."""
    import numpy as np
    import pyarrow as pa

    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    size = column.type.list_size
    items = whole.values.slice(whole.offset * size, len(whole) * size)  # flatten() would leave out null cells
    values, mask = column_to_numpy(pa.chunked_array([items]), None, None)
    if size != int(np.prod(shape)):
        shape = (size,)
    values = values.reshape(len(whole), *shape, *values.shape[1:])
    if whole.null_count:
        gone = whole.is_null().to_numpy(zero_copy_only=False)
        mask = np.zeros(values.size, bool) if mask is None else mask
        mask = mask.reshape(len(whole), -1) | gone[:, None]
    return values, None if mask is None else mask.reshape(values.shape)


def cell_shape(table: "pa.Table", name: str) -> tuple[int, ...] | None:
    """Return the shape of one cell of a column of arrays, where the schema says it."""
    text = (table.schema.metadata or {}).get(f"{SHAPE}{name}".encode())
    if text is None:
        return None
    shape = literal_eval(text.decode())
    return tuple(shape) if isinstance(shape, tuple | list) else (int(shape),)


def text_length(table: "pa.Table", name: str) -> int | None:
    """Return the width of a column of text, where the schema says it."""
    text = (table.schema.metadata or {}).get(f"{LENGTH}{name}".encode())
    return int(text) if text else None


def _from_records(records: "np.ndarray[Any, Any]") -> "pa.Table":
    """Return a structured array as an Arrow table."""
    import numpy as np
    import pyarrow as pa

    records = np.atleast_1d(records)
    if records.ndim != 1:
        raise StorageClassError(f"an array of records has one axis to be a table, not the shape {records.shape}")
    masked = isinstance(records, np.ma.MaskedArray)
    arrays, said = [], {}
    names = records.dtype.names or ()
    for name in names:
        values = records[name]
        mask = np.ma.getmaskarray(values) if masked else None
        array, extra = column_to_arrow(name, np.asarray(values), None if mask is None or not mask.any() else mask)
        arrays.append(array)
        said.update(extra)
    return pa.Table.from_arrays(arrays, schema=pa.schema(list(zip(names, (a.type for a in arrays), strict=True)), said))


def _to_records(table: "pa.Table") -> "np.ndarray[Any, Any]":
    """Make a structured array, masked where the table has nulls."""
    import numpy as np

    columns = {
        name: column_to_numpy(table.column(name), cell_shape(table, name), text_length(table, name))
        for name in table.column_names
    }
    dtype = np.dtype([(name, values.dtype, values.shape[1:]) for name, (values, _) in columns.items()])
    records: np.ndarray[Any, Any] = np.zeros(table.num_rows, dtype)
    masks = np.zeros(table.num_rows, np.ma.make_mask_descr(dtype))
    for name, (values, mask) in columns.items():
        records[name] = values
        if mask is not None:
            masks[name] = mask
    if any(mask is not None for _, mask in columns.values()):
        return np.ma.MaskedArray(records, mask=masks)
    return records
