"""Dimension records: what is known of one visit, one detector, one instrument."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .data_id import DataId
from .dimensions import DimensionUniverse, Element
from .errors import DataIdError, closest
from .region import Region
from .timespan import Timespan

__all__ = ["DimensionRecord"]

_EXPECTED: dict[str, type | tuple[type, ...]] = {
    "int": int, "float": (int, float), "str": str, "bool": bool, "bytes": bytes, "region": Region, "timespan": Timespan,
}  # fmt: skip


class DimensionRecord:
    """One record of a dimension element; its columns are attributes (``record.exposure_time``).

    Parameters
    ----------
    element
        The element.
    values
        A value for each of ``element.columns``, None where empty.
    """

    __slots__ = ("_values", "element")

    def __init__(self, element: Element, values: tuple[Any, ...]):
        self.element = element
        self._values = values

    @classmethod
    def from_mapping(cls, element: Element, row: Mapping[str, Any]) -> DimensionRecord:
        """Make one from a mapping of column names, checked; ``instrument`` may name the key of an instrument, too.

        A region is a `Region`, IVOA text or an `lsst.sphgeom` region; a timespan is a `Timespan`, a pair of times
        (`astropy.time.Time` or `datetime`, UTC where that says no zone; None for no end), or the columns
        ``timespan_begin`` and ``timespan_end``, as `Query.to_arrow` gives them. NaN and whatever else stands for a
        missing value is None; a whole float is the integer that a column of integers wants.

        Raises
        ------
        DataIdError
            A column is unknown, a needed one empty, or a value not of the column's type.
        """
        row = dict(row)
        if element.key is not None and element.name in row:  # the key by its dimension's name: visit=12 for id=12
            row.setdefault(element.key.name, row.pop(element.name))
        if element.has_timespan and "timespan_begin" in row:
            ends = row.pop("timespan_begin"), row.pop("timespan_end", None)
            row.setdefault("timespan", None if all(map(_is_missing, ends)) else ends)
        if unknown := row.keys() - element.index.keys():
            name = min(unknown)
            raise DataIdError(
                f"{element.name} has no column {name!r}.{closest(name, element.index)} "
                f"Its columns: {', '.join(element.index)}."
            )
        values = []
        for column in element.columns:
            value = row.get(column.name)
            if _is_missing(value):  # databases differ in what they make of NaN; to both, NULL is "not known"
                value = None
            if value is None:
                if not column.nullable:
                    raise DataIdError(f"a record of {element.name} needs {column.name!r}: {_brief(row)}")
            else:
                value = _checked(element, column.name, column.type, value)
            values.append(value)
        return cls(element, tuple(values))

    @property
    def values(self) -> tuple[Any, ...]:
        """Its values in the order of ``element.columns``."""
        return self._values

    def data_id(self, universe: DimensionUniverse) -> DataId:
        """Return the data ID that names it."""
        group = universe.conform(self.element.required)
        values = {
            name: self._values[self.element.index[self.element.column_of(name)]] for name in self.element.required
        }
        return DataId.from_mapping(group, values)

    def to_dict(self) -> dict[str, Any]:
        """Return its columns as a dictionary."""
        return {column.name: value for column, value in zip(self.element.columns, self._values, strict=True)}

    def __getattr__(self, name: str) -> Any:
        element = object.__getattribute__(self, "element")
        try:
            return self._values[element.index[name]]
        except KeyError:
            if element.key is not None and name == element.name:
                return self._values[element.index[element.key.name]]
            raise AttributeError(f"a record of {element.name} has no {name!r}.{closest(name, element.index)}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.element.index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DimensionRecord):
            return NotImplemented
        return self.element.name == other.element.name and self._values == other._values

    def __hash__(self) -> int:
        return hash((self.element.name, self._values[: len(self.element.required)]))

    def __repr__(self) -> str:
        return f"{self.element.name}({_brief({k: v for k, v in self.to_dict().items() if v is not None})})"

    def __reduce__(self) -> tuple[Any, ...]:
        return DimensionRecord, (self.element, self._values)


def _is_missing(value: Any) -> bool:
    """Whether a value is what tables put where there is none: NaN, pandas' NA and NaT, numpy's masked."""
    if value is None or isinstance(value, str | int):
        return value is None
    if type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    is_float = isinstance(value, float) or getattr(getattr(value, "dtype", None), "kind", "") == "f"
    return is_float and math.isnan(value)


def _checked(element: Element, name: str, kind: str, value: Any) -> Any:
    if kind == "region":
        value = _region(element, name, value)
    elif kind == "timespan":
        value = _timespan(element, name, value)
    elif hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    if kind == "bool" and type(value) is int and value in (0, 1):
        return bool(value)
    if kind == "int" and isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if not isinstance(value, _EXPECTED[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise DataIdError(f"{element.name}.{name} is of type {kind}; {value!r} is {type(value).__name__}.")
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= c <= "\udfff" for c in value)):
        raise DataIdError(f"{element.name}.{name} may not hold a NUL character or a lone surrogate: {value!r}.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise DataIdError(f"{element.name}.{name} does not fit 64 bits: {value}.")
    return float(value) if kind == "float" and isinstance(value, int) else value


def _region(element: Element, name: str, value: Any) -> Any:
    try:
        if isinstance(value, str):
            return Region(value)
        if hasattr(value, "to_ivoa_pos"):
            return Region(value.to_ivoa_pos())
    except (ValueError, RuntimeError) as error:
        raise DataIdError(f"{element.name}.{name}: {error}") from error
    return value


def _timespan(element: Element, name: str, value: Any) -> Any:
    if not isinstance(value, tuple | list) or len(value) != 2:
        return value
    try:
        return Timespan(*(None if _is_missing(end) else end for end in value))
    except (TypeError, ValueError) as error:
        raise DataIdError(f"{element.name}.{name}: {error}") from error


def _brief(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in row.items())
