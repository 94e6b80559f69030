"""Columns between numpy and Arrow: the one place that knows how each type of either is kept in the other.

What Arrow's types do not say of a numpy column stands beside it:

* in the metadata of the schema, as the LSST Butler has it: the shape of one cell of a column of arrays, which is a
  FixedSizeList (``lsst::arrow::shape::<column>``, ``(2, 3)``), and the width of text (``lsst::arrow::len::<column>``);
* in the metadata of the field: ``numpy``, the type, where Arrow has another for it. Complex numbers are lists of two
  floats, and times in hours or months seconds.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from ..model.errors import FileFormatError, StorageClassError

__all__ = ["LENGTH", "OWN", "SHAPE", "ArrowColumns", "NumpyColumn", "cell_shape", "numpy_columns", "own_metadata"]

Values = np.ndarray[Any, Any]

SHAPE = "lsst::arrow::shape::"
"""Key of the schema's metadata, before the name of a column of arrays."""
LENGTH = "lsst::arrow::len::"
"""Key of the schema's metadata, before the name of a column of text."""
OWN = b"skybutler"
"""Key of the schema's metadata (and of a field's) under which JSON tells what only SkyButler knows."""
_NUMPY = "numpy"
_COMPLEX = {"<c8": np.dtype(np.float32), "<c16": np.dtype(np.float64)}
_ARROW_TIMES = ("s", "ms", "us", "ns")
_COARSE_TIMES = ("Y", "M", "W", "D", "h", "m")


@dataclass(slots=True)
class ArrowColumns:
    """An Arrow table in the making, of numpy columns."""

    arrays: list[pa.Array] = field(default_factory=list)
    """The columns."""
    fields: list[pa.Field] = field(default_factory=list)
    """Name and type of each, and what it says of itself."""
    metadata: dict[bytes, bytes] = field(default_factory=dict)
    """What the schema says."""

    def add(
        self, name: str, values: Values, mask: Values | None = None, texts: Mapping[str, str | None] | None = None
    ) -> None:
        """Add a column; numbers and arrays in this machine's byte order are shared, not copied.

        Parameters
        ----------
        name
            Its name.
        values
            Shape ``(rows, ...)``; any byte order, any strides.
        mask
            True where a value is missing, of the shape of `values` or ``(rows,)``. An array cell is null where all of
            it is masked; single elements of one are null in it.
        texts
            What the field says of itself: ``unit``, ``description``; None and empty text are left out.

        Raises
        ------
        StorageClassError
            If Arrow has no such type.
        """
        said = {key: text for key, text in (texts or {}).items() if text}
        if values.dtype.kind in "US":
            width = values.dtype.itemsize // (4 if values.dtype.kind == "U" else 1)
            self.metadata[f"{LENGTH}{name}".encode()] = str(width).encode()
        values, mask, tag = _as_arrow_has_it(name, values, mask)
        if tag:
            said[_NUMPY] = tag
        if values.ndim > 1:
            self.metadata[f"{SHAPE}{name}".encode()] = str(tuple(values.shape[1:])).encode()
        try:
            array = _lists(values, mask) if values.ndim > 1 else _plain(values, mask)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise StorageClassError(f"column {name!r} is of a type that a table cannot hold: {error}") from error
        self.arrays.append(array)
        self.fields.append(pa.field(name, array.type, metadata=said or None))

    def table(self) -> pa.Table:
        """Return the table."""
        return pa.Table.from_arrays(self.arrays, schema=pa.schema(self.fields, self.metadata or None))


def _as_arrow_has_it(name: str, values: Values, mask: Values | None) -> tuple[Values, Values | None, str]:
    """Return values of a type that Arrow has, their mask, and the name of the type that they were of, if another."""
    kind = values.dtype.kind
    if kind == "V" or values.dtype.char in "gG":
        advice = "; give its fields columns of their own" if values.dtype.names else ""
        raise StorageClassError(f"column {name!r} is of the numpy type {values.dtype}, which Parquet lacks{advice}")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    if kind == "c":
        tag = values.dtype.str
        values = np.ascontiguousarray(values)[..., np.newaxis].view(_COMPLEX[tag])
        return values, None if mask is None else np.repeat(mask[..., np.newaxis], 2, axis=-1), tag
    if kind in "Mm":
        unit, count = np.datetime_data(values.dtype)
        if count == 1 and (unit in _ARROW_TIMES or (unit == "D" and kind == "M")):
            return values, mask, ""
        target = unit if unit in _ARROW_TIMES else "s"
        if unit not in _ARROW_TIMES + _COARSE_TIMES or (kind == "m" and unit in "YM"):
            raise StorageClassError(f"column {name!r} is of the numpy type {values.dtype}, which Parquet lacks")
        return values.astype(f"{kind}8[{target}]"), mask, values.dtype.str
    return values, mask, ""


def _plain(values: Values, mask: Values | None) -> pa.Array:
    """Return a column of single values as an Arrow array."""
    match values.dtype.kind:
        case "S":
            return pa.array(values.tolist(), pa.binary(), mask=mask)  # sooner than from the array itself
        case "O":
            return pa.array([None if cell is np.ma.masked else cell for cell in values.tolist()], mask=mask)
    return pa.array(np.ascontiguousarray(values), mask=mask)


def _lists(values: Values, mask: Values | None) -> pa.Array:
    """Return a column of arrays as an array of lists of one size."""
    rows, width = len(values), math.prod(values.shape[1:])
    missing = None
    if mask is not None:
        mask = np.broadcast_to(mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim)), values.shape)
        mask = mask.reshape(rows, width)
        missing = mask.all(axis=1) if width else np.zeros(rows, bool)
    items = _plain(
        np.ascontiguousarray(values).reshape(-1), None if mask is None or not mask.any() else mask.reshape(-1)
    )
    if width == 0:
        return pa.array([[]] * rows, pa.list_(items.type))  # Parquet has no lists of size 0
    if missing is None or not missing.any():
        return pa.FixedSizeListArray.from_arrays(items, width)
    return pa.FixedSizeListArray.from_arrays(items, width, mask=pa.array(missing))


@dataclass(slots=True)
class NumpyColumn:
    """A column of an Arrow table, as numpy has it."""

    name: str
    """Its name."""
    values: Values
    """Shape ``(rows, ...)``; often the table's own memory, and then read-only. Missing ones are NaN, -1, 0 (unsigned),
    True or empty text, as LSST's readers fill them, and times NaT. Types that numpy does not have, and lists of unequal
    length, are objects."""
    mask: Values | None
    """True where a value is missing, of the shape of `values`; None where none is. Missing times are NaT alone."""
    texts: dict[str, str]
    """What the field says of itself: ``unit``, ``description``."""
    kind: pa.DataType
    """Arrow's type of it."""


def numpy_columns(table: pa.Table) -> Iterator[NumpyColumn]:
    """Yield the columns of an Arrow table as numpy has them; plain numbers of one chunk without nulls are shared."""
    said = table.schema.metadata or {}
    for one, column in zip(table.schema, table.columns, strict=True):
        texts = {key.decode("utf-8", "replace"): text.decode("utf-8", "replace") for key, text in
                 (one.metadata or {}).items()}  # fmt: skip
        key = one.name.encode("utf-8", "replace")
        width = int(text) if re.fullmatch(rb"\d{1,5}", text := said.get(LENGTH.encode() + key, b"")) else 1
        shape = cell_shape(said, key)
        if shape is not None and 0 in shape and types.is_list(one.type):  # cells without elements
            values, mask = np.empty((len(column), *shape), _numpy_type(one.type.value_type, width)), None
        else:
            values, mask = _to_numpy(column, width)
        if shape is not None and values.ndim > 1 and math.prod(values.shape[1:]) == math.prod(shape):
            values = values.reshape(len(values), *shape)
            mask = None if mask is None else mask.reshape(values.shape)
        if tag := texts.pop(_NUMPY, None):
            values, mask = _as_numpy_had_it(values, mask, tag)
        yield NumpyColumn(one.name, values, mask, texts, one.type)


def cell_shape(metadata: Mapping[bytes, bytes], name: bytes) -> tuple[int, ...] | None:
    """Return the shape of one cell of a column of arrays, where the schema's metadata say it in numbers."""
    text = metadata.get(SHAPE.encode() + name)
    if text is None or not re.fullmatch(rb"\s*[(\[]?[\d\s,]{1,200}[)\]]?\s*", text):
        return None
    return tuple(map(int, re.findall(rb"\d+", text)))


def _numpy_type(kind: pa.DataType, width: int) -> Any:
    """Return the numpy type that values of an Arrow type come as, text so wide."""
    if types.is_string(kind):
        return f"U{width}"
    if types.is_binary(kind):
        return f"S{width}"
    if types.is_date32(kind):
        return "M8[D]"
    return np.dtype(kind.to_pandas_dtype())


def _as_numpy_had_it(values: Values, mask: Values | None, tag: str) -> tuple[Values, Values | None]:
    """Return values of the type that they were of before they became Arrow's; as they are where that cannot be."""
    if tag in _COMPLEX and values.ndim > 1 and values.shape[-1] == 2 and values.dtype == _COMPLEX[tag]:
        whole = np.ascontiguousarray(values).view(tag)[..., 0]
        return whole, None if mask is None else mask[..., 0] | mask[..., 1]
    if re.fullmatch(r"<[mM]8\[\d{0,4}[YMWDhms]s?\]", tag) and values.dtype.kind == tag[1]:
        return values.astype(tag), mask
    return values, mask


def _to_numpy(column: pa.ChunkedArray, width: int) -> tuple[Values, Values | None]:
    """Return values and mask of a column, text at least so wide; cells of lists in one axis each."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        kind = column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if types.is_fixed_size_list(kind) and kind.list_size:
        return _lists_to_numpy(column, width)
    mask = None
    if column.null_count and not (types.is_timestamp(kind) or types.is_date(kind) or types.is_duration(kind)):
        mask = column.is_null().to_numpy()
        if types.is_null(kind):
            return np.full(len(column), np.nan), mask
        fill = next((value for is_kind, value in _FILL if is_kind(kind)), None)
        if fill is not None:
            column = pc.fill_null(column, pa.scalar(fill, kind))
    values = column.to_numpy()
    longest = None
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        longest, letter, column = pc.utf8_length, "U", column.cast(pa.large_string())
    elif types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        longest, letter, column = pc.binary_length, "S", column.cast(pa.large_binary())
    if longest is None or pc.any(pc.ends_with(column, "\0")).as_py():  # numpy's text loses NULs at its end
        return values, mask
    return values.astype(f"{letter}{max(pc.max(longest(column)).as_py() or 1, width)}"), mask


_FILL: list[tuple[Callable[[Any], bool], Any]] = [
    (types.is_floating, float("nan")), (types.is_signed_integer, -1), (types.is_unsigned_integer, 0),
    (types.is_boolean, True), (types.is_string, ""), (types.is_large_string, ""), (types.is_string_view, ""),
    (types.is_binary, b""), (types.is_large_binary, b""), (types.is_binary_view, b""),
]  # fmt: skip


def _lists_to_numpy(column: pa.ChunkedArray, width: int) -> tuple[Values, Values | None]:
    """Return a column of lists of one size as one array of shape ``(rows, size, ...)``, without a copy if it can be."""
    if column.num_chunks == 1:
        whole = column.chunk(0)
    else:
        whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    size = column.type.list_size
    items = whole.values.slice(whole.offset * size, len(whole) * size)  # flatten() would leave out null cells
    values, mask = _to_numpy(pa.chunked_array([items]), width)
    values = values.reshape(len(whole), size, *values.shape[1:])
    if whole.null_count:
        gone = whole.is_null().to_numpy(zero_copy_only=False)
        mask = np.zeros(values.size, bool) if mask is None else mask
        mask = mask.reshape(len(whole), -1) | gone[:, None]
    return values, None if mask is None else mask.reshape(values.shape)


def own_metadata(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """Return what SkyButler wrote under its own key into a schema's metadata; nothing where it wrote nothing.

    Raises
    ------
    FileFormatError
        If what stands there is nothing that SkyButler writes.
    """
    try:
        said = json.loads((metadata or {}).get(OWN, b"{}"))
        if isinstance(said, dict):
            return said
        problem = f"it is a {type(said).__name__}"
    except (ValueError, RecursionError) as error:
        problem = str(error)
    raise FileFormatError(f"the table's metadata 'skybutler' are no JSON object: {problem}")
