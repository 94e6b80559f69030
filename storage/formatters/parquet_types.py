"""Types that Parquet lacks and pyarrow does not give back: coarse times, and dictionaries of other things than text.

What the types were, the file says itself, in the Arrow schema that every Arrow writer leaves in it (``ARROW:schema``).
A dictionary's values, their order and those of them that no row has, are in the field's metadata: ``categories``.
"""

import json
from base64 import b64decode
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

__all__ = ["as_parquet_has_it", "as_was_written"]

_CATEGORIES = b"categories"
_ARROW_SCHEMA = b"ARROW:schema"


def as_parquet_has_it(table: pa.Table) -> pa.Table:
    """Return a table whose fields say the values of their dictionaries, where Parquet keeps no dictionary of such.

    Values that are kept by the lengths of their runs become plain ones, which Parquet compresses so by itself.
    """
    table = _without_views(table)
    for number, field in enumerate(table.schema):
        if types.is_run_end_encoded(field.type):
            values = pc.run_end_decode(table.column(number))
            table = table.set_column(number, field.with_type(values.type), values)
            continue
        if not types.is_dictionary(field.type) or _is_text(field.type.value_type):
            continue
        column = table.column(number).unify_dictionaries()
        values = column.chunk(0).dictionary if column.num_chunks else pa.array([], field.type.value_type)
        try:
            said = json.dumps(values.cast(pa.string()).to_pylist()).encode()
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # of structs, say: the values alone are kept
            continue
        field = field.with_metadata({**(field.metadata or {}), _CATEGORIES: said})
        table = table.set_column(number, field, column)
    return table


def as_was_written(table: pa.Table, file_metadata: Mapping[bytes, bytes] | None) -> pa.Table:
    """Return what was read from a file in the types that were written into it."""
    table = _without_views(table)
    if not any(_may_have_changed(field) for field in table.schema):
        return table
    try:
        written = pa.ipc.read_schema(pa.py_buffer(b64decode((file_metadata or {}).get(_ARROW_SCHEMA, b""))))
    except (pa.ArrowException, ValueError, OSError):
        return table
    for number, field in enumerate(table.schema):
        place = written.get_field_index(field.name)
        if place < 0 or written.field(place).type == field.type:
            continue
        column = _was(table.column(number), field, written.field(place).type)
        texts = {key: text for key, text in (field.metadata or {}).items() if key != _CATEGORIES}
        table = table.set_column(number, pa.field(field.name, column.type, field.nullable, texts or None), column)
    return table


def _without_views(table: pa.Table) -> pa.Table:
    """Return a table whose text, bytes and lists are such as all readers know: few know Arrow's views of these."""
    for number, field in enumerate(table.schema):
        if "_view" in str(field.type):  # or in what a list or struct is of
            plain, column = _without_view(field), table.column(number)
            if "list_view" in str(field.type):  # pyarrow 26 casts these to lists that are broken
                column = pa.chunked_array([pa.array(column.to_pylist(), plain.type)])
            table = table.set_column(number, plain, column.cast(plain.type))
    return table


def _without_view(field: pa.Field) -> pa.Field:
    kind = field.type
    if types.is_string_view(kind) or types.is_binary_view(kind):
        kind = pa.string() if types.is_string_view(kind) else pa.binary()
    elif types.is_list_view(kind) or types.is_list(kind):
        kind = pa.list_(_without_view(kind.value_field))
    elif types.is_large_list_view(kind) or types.is_large_list(kind):
        kind = pa.large_list(_without_view(kind.value_field))
    elif types.is_struct(kind):
        kind = pa.struct([_without_view(part) for part in kind])
    return field.with_type(kind)


def _was(column: pa.ChunkedArray, field: pa.Field, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column as of another type, if it can be without loss."""
    try:
        if types.is_dictionary(kind) and not types.is_dictionary(field.type):
            values = pa.array(json.loads((field.metadata or {})[_CATEGORIES]), pa.string()).cast(kind.value_type)
            places = pc.index_in(column, values)
            if places.null_count > column.null_count:
                return column
            return pa.chunked_array(
                [pa.DictionaryArray.from_arrays(chunk.cast(kind.index_type), values, ordered=kind.ordered)
                 for chunk in places.chunks], kind,
            )  # fmt: skip
        return column.cast(kind)
    except (pa.ArrowException, KeyError, ValueError, TypeError, RecursionError):
        return column


def _may_have_changed(field: pa.Field) -> bool:
    """Whether another type may have been written than was read: of most types, none."""
    kind = field.type
    while types.is_list(kind) or types.is_fixed_size_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
    return bool(
        (types.is_timestamp(kind) and kind.unit == "ms")
        or types.is_date32(kind)
        or (types.is_time32(kind) and kind.unit == "ms")
        or types.is_dictionary(kind)
        or types.is_struct(kind)
        or types.is_map(kind)
        or (field.metadata and _CATEGORIES in field.metadata)
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind))
