"""Between astropy and Arrow: units, descriptions, masks, mixin columns such as Time and SkyCoord."""

import warnings
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..imaging.arrow_columns import OWN, ArrowColumns, numpy_columns
from ..model.errors import StorageClassError
from .formatters.astropy_header import astropy_header
from .tables import meta_json, table_meta

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["from_astropy", "to_astropy"]

_YAML = b"table_meta_yaml"
_QTABLE = "__qtable__"
_SERIALIZED = "__serialized_columns__"


def from_astropy(table: "Table") -> pa.Table:
    """Return an astropy table as an Arrow table; the given one is not changed.

    Raises
    ------
    StorageClassError
        If a column is of a type that a table file does not have.
    """
    from astropy.table import MaskedColumn, QTable, serialize
    from astropy.table.meta import get_yaml_from_table
    from astropy.utils.data_info import serialize_context_as

    try:
        with serialize_context_as("parquet"), np.errstate(over="ignore"):  # a float16 under a mask
            plain = serialize.represent_mixins_as_columns(table, exclude_classes=(MaskedColumn,))
    except (TypeError, ValueError, NotImplementedError, AttributeError) as error:
        raise StorageClassError(f"this {type(table).__name__} has a column that cannot be kept: {error}") from error
    columns = ArrowColumns()
    for name, column in plain.columns.items():
        mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
        unit = column.unit
        columns.add(
            name,
            np.asarray(column),
            None if mask is None or not mask.any() else mask,
            {"unit": None if unit is None else str(unit), "description": column.description},
        )
    meta = {key: value for key, value in table.meta.items() if isinstance(key, str) and key != _SERIALIZED}
    if meta:
        columns.metadata[OWN] = meta_json(meta)
    if isinstance(table, QTable):
        plain = plain.copy(copy_data=False) if plain is table else plain  # without mixin columns it is the caller's
        plain.meta[_QTABLE] = True
    if _needs_yaml(plain):
        try:
            columns.metadata[_YAML] = "\n".join(get_yaml_from_table(plain)).encode()
        except (TypeError, ValueError) as error:
            raise StorageClassError(f"the metadata of this table cannot be kept: {error}") from error
    return columns.table()


def _needs_yaml(plain: "Table") -> bool:
    """Tell whether a table has what only astropy's own header tells: metadata, mixin columns, formats."""
    return bool(plain.meta) or any(column.format or column.meta for column in plain.columns.values())


def to_astropy(table: pa.Table) -> "Table":
    """Make an astropy table; a QTable again where it was one, masked columns where there are nulls.

    Numbers without nulls share the memory of the Arrow table, and are read-only then.
    """
    from astropy.table import Column, MaskedColumn, QTable, Table, serialize

    columns = []
    for one in numpy_columns(table):
        said = {
            "name": one.name,
            "unit": _unit(one.texts.get("unit")),
            "description": one.texts.get("description"),
            "copy": False,
        }
        with np.errstate(over="ignore"):  # numpy's own value under a mask, 1e20, is none of a float16
            columns.append(
                Column(one.values, **said) if one.mask is None else MaskedColumn(one.values, mask=one.mask, **said)
            )
    header = astropy_header((table.schema.metadata or {}).get(_YAML, b""))
    with np.errstate(over="ignore"):
        made = Table(columns, copy=False)
    from_header = header.get("meta") if isinstance(header.get("meta"), dict) else {}
    made.meta.update(table_meta(table))
    made.meta.update(from_header)  # says more than JSON can: tuples, quantities, arrays
    entries = header.get("datatype")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") in made.columns:
            _describe(made[entry["name"]], entry)
    is_qtable = made.meta.pop(_QTABLE, False)
    mixins = made.meta.pop(_SERIALIZED, None)
    if mixins and isinstance(mixins, dict) and _all_parts(mixins) <= set(made.colnames):
        made.meta[_SERIALIZED] = mixins
        # Where the header is none of astropy's own, the plain columns are all there.
        with suppress(TypeError, ValueError, KeyError, AttributeError, IndexError):
            made = serialize._construct_mixins_from_columns(made)
        made.meta.pop(_SERIALIZED, None)
    return QTable(made, copy=False) if is_qtable else made


def _describe(column: Any, entry: dict[str, Any]) -> None:
    """Give a column what only astropy's header tells of it."""
    if isinstance(entry.get("format"), str):
        column.format = entry["format"]
    if isinstance(entry.get("meta"), dict):
        column.meta.update(entry["meta"])


def _all_parts(mixins: dict[str, Any]) -> set[str]:
    """Return the names of the plain columns that mixin columns are made of."""
    parts: set[str] = set()
    for whole in mixins.values():
        for key, part in whole.items() if isinstance(whole, dict) else ():
            if isinstance(part, dict) and "name" in part:
                parts.add(str(part["name"]))
            elif isinstance(part, dict) and key != "info":
                parts |= _all_parts({"": part})
    return parts


@lru_cache(maxsize=1024)
def _unit(text: str | None) -> Any:
    """Return a unit; one that astropy does not know is kept by its name."""
    if text is None:
        return None
    from astropy.units import Unit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Unit(text, parse_strict="silent")
