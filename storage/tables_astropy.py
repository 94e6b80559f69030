"""Between astropy and Arrow: units, descriptions, masks, mixin columns such as Time and SkyCoord."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from .tables import META, cell_shape, column_to_arrow, column_to_numpy, meta_json, table_meta, text_length

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["from_astropy", "to_astropy"]

_YAML = b"table_meta_yaml"
_QTABLE = "__qtable__"
_SERIALIZED = "__serialized_columns__"


def from_astropy(table: "Table") -> pa.Table:
    """Return an astropy table as an Arrow table; the given one is not changed."""
    from astropy.table import MaskedColumn, QTable, serialize
    from astropy.table.meta import get_yaml_from_table
    from astropy.utils.data_info import serialize_context_as

    with serialize_context_as("parquet"):
        plain = serialize.represent_mixins_as_columns(table, exclude_classes=(MaskedColumn,))
    arrays, fields, said = [], [], {}
    for name, column in plain.columns.items():
        mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
        if mask is not None and not mask.any():
            mask = None
        values = np.asarray(column)
        if values.dtype == object:
            array = pa.array([None if cell is np.ma.masked else cell for cell in column.tolist()], mask=mask)
            extra: dict[bytes, bytes] = {}
        else:
            array, extra = column_to_arrow(name, values, mask)
        said.update(extra)
        texts = {}
        if column.unit is not None:
            texts["unit"] = str(column.unit)
        if column.description:
            texts["description"] = column.description
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=texts or None))
    meta = {key: value for key, value in table.meta.items() if isinstance(key, str) and key != _SERIALIZED}
    if meta:
        said[META] = meta_json(meta)
    plain.meta = {**plain.meta, _QTABLE: True} if isinstance(table, QTable) else plain.meta
    if needs_yaml(plain):
        said[_YAML] = "\n".join(get_yaml_from_table(plain)).encode()
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, said))


def needs_yaml(plain: "Table") -> bool:
    """Tell whether a table has what only astropy's own header tells: metadata, mixin columns, formats."""
    return bool(plain.meta) or any(column.format or column.meta for column in plain.columns.values())


def to_astropy(table: pa.Table) -> "Table":
    """Make an astropy table; a QTable again where it was one, masked columns where there are nulls."""
    from astropy.table import Column, MaskedColumn, QTable, Table, serialize

    columns = []
    for field in table.schema:
        values, mask = column_to_numpy(
            table.column(field.name), cell_shape(table, field.name), text_length(table, field.name)
        )
        texts = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
        said = {"name": field.name, "unit": _unit(texts.get("unit")), "description": texts.get("description")}
        columns.append(Column(values, **said) if mask is None else MaskedColumn(values, mask=mask, **said))
    header = _astropy_header(table)
    made = Table(columns, copy=False)
    made.meta.update(table_meta(table) or header.get("meta", {}))
    for entry in header.get("datatype", ()):
        if entry.get("name") in made.columns:
            made[entry["name"]].format = entry.get("format")
            made[entry["name"]].meta.update(entry.get("meta") or {})
    is_qtable = made.meta.pop(_QTABLE, False) or header.get("meta", {}).get(_QTABLE, False)
    made.meta.pop(_SERIALIZED, None)
    mixins = header.get("meta", {}).get(_SERIALIZED)
    if mixins and _all_parts(mixins) <= set(made.colnames):
        made.meta[_SERIALIZED] = mixins
        made = serialize._construct_mixins_from_columns(made)
        made.meta.pop(_SERIALIZED, None)
    return QTable(made, copy=False) if is_qtable else made


def _astropy_header(table: pa.Table) -> dict[str, Any]:
    """Return what astropy's YAML header of a table says; nothing where there is none that can be read."""
    from astropy.table.meta import YamlParseError, get_header_from_yaml

    text = (table.schema.metadata or {}).get(_YAML)
    if text is None:
        return {}
    try:
        header: dict[str, Any] = get_header_from_yaml(text.decode().split("\n"))
    except (YamlParseError, ValueError, TypeError, KeyError):
        return {}
    return header


def _all_parts(mixins: dict[str, Any]) -> set[str]:
    """Return the names of the plain columns that mixin columns are made of."""
    parts: set[str] = set()
    for whole in mixins.values():
        for key, part in whole.items():
            if isinstance(part, dict) and "name" in part:
                parts.add(part["name"])
            elif isinstance(part, dict) and key != "info":
                parts |= _all_parts({"": part})
    return parts


def _unit(text: str | None) -> Any:
    """Return a unit; one that astropy does not know is kept by its name."""
    if text is None:
        return None
    from astropy.units import Unit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Unit(text, parse_strict="silent")
