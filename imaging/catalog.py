"""Catalogs of sources: records on numpy columns of a fixed schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .catalog_search import CatalogSearches
from .describe import Described, Part, Table
from .footprint import Footprint
from .functor_keys import FunctorKey
from .schema import Field, Schema
from .source_record import SourceMeasurements, SourceRecord

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from astropy.table import Table as AstropyTable
    from matplotlib.axes import Axes

__all__ = ["SourceCatalog"]

Column = np.ndarray[Any, Any]

_SHOWN_ROWS, _SHOWN_COLUMNS = 10, 20


class SourceCatalog(Described, CatalogSearches, SourceMeasurements):
    """Sources as rows over columns.

    ``catalog["flux"]`` is a column, ``catalog[3]`` a record, ``catalog[2:5]`` a view of rows, ``catalog[good]`` with a
    boolean or integer array a copy of rows. Columns are numpy arrays that share memory with what the catalog was made
    of, where types agree. They are writable, unless they came without a copy from Arrow, which forbids it: then setting
    through the catalog or a record copies the column first, and `copy` gives a writable catalog.

    Parameters
    ----------
    schema
        Columns; `minimal_schema` by default. The catalog keeps a frozen copy.
    columns
        Values by column name, each of shape ``(n, *field.shape)``; columns left out hold their defaults. Quantities
        and angles of astropy are converted to the column's units.
    metadata
        Anything that is to travel along; numbers, texts, lists and dictionaries survive files.
    footprints
        The pixels of each source, or None of those that have none; no source has any by default.

    Raises
    ------
    KeyError
        If a column is not in the schema.
    ValueError
        If columns differ in length, or texts are longer than the schema allows.
    TypeError
        If values cannot become the column's type without loss.
    """

    VERSION: ClassVar[int] = 1

    def __init__(
        self,
        schema: Schema | None = None,
        columns: Mapping[str, ArrayLike] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        footprints: Sequence[Footprint | None] | None = None,
    ) -> None:
        self._schema = (self.minimal_schema() if schema is None else schema).frozen()
        self.metadata: dict[str, Any] = dict(metadata or {})
        given = {(field := self._schema.find(name)).name: _as_column(field, v) for name, v in (columns or {}).items()}
        lengths = {name: len(column) for name, column in given.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"The columns of a catalog must have the same length, not {lengths}.")
        self._rows = next(iter(lengths.values()), len(footprints or ()))
        self._columns = {
            field.name: given[field.name] if field.name in given else field.empty(self._rows) for field in self._schema
        }
        self._footprints: Column | None = None
        self.footprints = footprints

    @staticmethod
    def minimal_schema() -> Schema:
        """Return a schema of ``id``, ``coord_ra``, ``coord_dec`` and ``parent``, to which columns can be added."""
        schema = Schema()
        schema.add_field("id", "L", "unique id of the source")
        schema.add_field("coord_ra", "Angle", "right ascension, ICRS")
        schema.add_field("coord_dec", "Angle", "declination, ICRS")
        schema.add_field("parent", "L", "id of the source that this one was deblended from, or 0")
        return schema

    @property
    def schema(self) -> Schema:
        """The columns; fixed, except for aliases."""
        return self._schema

    @property
    def columns(self) -> dict[str, Column]:
        """Every column by name, in the schema's order."""
        return {name: column[: self._rows] for name, column in self._columns.items()}

    @property
    def footprints(self) -> list[Footprint | None] | None:
        """The footprint of each row, None of those that have none; None where no row has ever had one.

        They go with the rows wherever these go. What is assigned must be as many as the rows, or None.
        """
        return None if self._footprints is None else self._footprints[: self._rows].tolist()

    @footprints.setter
    def footprints(self, given: Sequence[Footprint | None] | None) -> None:
        if given is None:
            self._footprints = None
            return
        if len(given) != self._rows:
            raise ValueError(f"{len(given)} footprints for a catalog of {self._rows} rows.")
        kept = _no_footprints(self._rows)
        for row, one in enumerate(given):
            kept[row] = _checked_footprint(one)
        self._footprints = kept

    def get_footprint(self, row: int) -> Footprint | None:
        """Return the footprint of a row; what ``catalog[row].footprint`` does."""
        row = self._row(row)
        found: Footprint | None = None if self._footprints is None else self._footprints[row]
        return found

    def set_footprint(self, row: int, footprint: Footprint | None) -> None:
        """Set the footprint of a row; what ``catalog[row].footprint = footprint`` does."""
        row = self._row(row)
        if self._footprints is None:
            if footprint is None:
                return
            self._footprints = _no_footprints(self._rows)
        self._footprints[row] = _checked_footprint(footprint)

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[SourceRecord]:
        return (SourceRecord(self, row) for row in range(self._rows))

    @overload
    def __getitem__(self, key: str | Field) -> Column: ...
    @overload
    def __getitem__(self, key: FunctorKey) -> Any: ...
    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> SourceRecord: ...
    @overload
    def __getitem__(self, key: slice | NDArray[Any] | list[bool] | list[int]) -> Self: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str | Field):
            return self._columns[self._schema.find(key).name][: self._rows]
        if isinstance(key, FunctorKey):
            return key.pack(key.values_of(self))
        if isinstance(key, int | np.integer) and not isinstance(key, bool):
            return SourceRecord(self, self._row(int(key)))
        if isinstance(key, slice):
            return self._with(lambda column: column[key])
        return self.subset(key)

    def __setitem__(self, key: str | Field | FunctorKey, value: Any) -> None:
        if isinstance(key, FunctorKey):
            for name, part in zip(key.names, key.unpack(value), strict=True):
                self[name] = part
            return
        field = self._schema.find(key)
        given = np.asarray(_in_units(field, value))
        column = _as_column(field, np.broadcast_to(given, self._shape_for(field, given)))
        target = self._columns[field.name]
        if target.flags.writeable and column.dtype.itemsize <= target.dtype.itemsize:
            target[: self._rows] = column
        else:
            self._columns[field.name] = np.array(column)

    def __delitem__(self, key: int | slice) -> None:
        if isinstance(key, int):
            self._row(key)
        elif key.step not in (None, 1):
            raise IndexError(f"Rows are deleted singly or in one run, not in steps of {key.step}.")
        elif not all(edge is None or -self._rows <= edge <= self._rows for edge in (key.start, key.stop)):
            raise IndexError(f"There are no rows {key.start}:{key.stop} in a catalog of {self._rows}.")
        self._change(lambda column: np.delete(column, key, axis=0))

    def get(self, key: str | Field) -> Column:
        """Return a column by name, alias or field; shape ``(n, *field.shape)``."""
        return self[key]

    def set_value(self, row: int, key: str | Field, value: Any) -> None:
        """Set one value of one row; what ``catalog[row][key] = value`` does."""
        field = self._schema.find(key)
        cell = _as_column(field, np.asarray(_in_units(field, value))[np.newaxis])
        target = self._columns[field.name]
        if not target.flags.writeable or cell.dtype.itemsize > target.dtype.itemsize:
            target = self._columns[field.name] = target.astype(max(target.dtype, cell.dtype), copy=True)
        target[self._row(row)] = cell[0]

    def add_new(self) -> SourceRecord:
        """Append a record of defaults (0, NaN, False, no text) and return it.

        Columns move when they grow: arrays and slices obtained earlier stay as they were. Records follow.
        """
        self._grow(1)
        for field in self._schema:
            self._columns[field.name][self._rows] = field.default
        if self._footprints is not None:
            self._footprints[self._rows] = None
        self._rows += 1
        return SourceRecord(self, self._rows - 1)

    def append(self, record: SourceRecord) -> None:
        """Append a copy of a record, by column names; columns that it lacks hold their defaults."""
        self.add_new().assign(record)

    def extend(self, other: SourceCatalog | Iterable[SourceRecord]) -> None:
        """Append copies of the rows of another catalog with the same columns, or of single records.

        Raises
        ------
        ValueError
            If the catalog's columns differ; names the ones that do.
        """
        if not isinstance(other, SourceCatalog):
            for record in other:
                self.append(record)
            return
        theirs, ours = ({f.name: (f.type, f.shape) for f in c.schema} for c in (other, self))
        if theirs != ours:
            differing = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
            raise ValueError(f"Catalogs must have the same columns to be joined; they differ in {differing}.")
        footprints = None
        if self._footprints is not None or other._footprints is not None:
            footprints = np.concatenate([_no_footprints(len(one)) if one._footprints is None else
                                         one._footprints[: len(one)] for one in (self, other)])  # fmt: skip
        columns = {name: np.concatenate([column, other[name]]) for name, column in self.columns.items()}
        self._take(columns, footprints)

    def subset(self, rows: ArrayLike) -> Self:
        """Return a copy of the rows that a boolean array selects, or an integer array lists.

        Raises
        ------
        IndexError
            If a boolean array has another length than the catalog, or a row is outside.
        TypeError
            If the array is neither boolean nor integer.
        """
        index = np.asarray(rows)
        if index.size == 0 and index.dtype.kind == "f":
            index = index.astype(np.intp)
        if index.dtype.kind not in "biu" or index.ndim != 1:
            raise TypeError(f"Rows are chosen by a boolean or integer array of one dimension, not by {rows!r}.")
        return self._with(lambda column: column[index])

    def sort(self, key: str | Field = "id") -> None:
        """Sort the rows by a column, stably, NaN last; columns obtained earlier keep the old order."""
        order = np.argsort(self[key], kind="stable")
        self._change(lambda column: column[order])

    def get_children(self, parent_id: int) -> Self:
        """Return a copy of the records that were deblended from a source."""
        return self.subset(self["parent"] == parent_id)

    def copy(self) -> Self:
        """Return a catalog with columns, aliases and metadata of its own, all writable."""
        made = self._with(np.copy)
        made._schema = self._schema.frozen()
        return made

    def as_astropy(self, *, copy: bool = False) -> AstropyTable:
        """Return an `astropy.table.Table` with units, descriptions and metadata; it shares memory unless `copy`.

        Footprints have no place there.
        """
        from .catalog_tables import as_astropy

        return as_astropy(self, copy=copy)

    def to_pandas(self) -> pd.DataFrame:
        """Return a `pandas.DataFrame`; an array column becomes one column an element, ``name_0`` and so on.

        It shares memory; units, descriptions and metadata are in ``attrs``. Footprints have no place there.
        """
        from .catalog_tables import to_pandas

        return to_pandas(self)

    def to_arrow(self) -> pa.Table:
        """Return a `pyarrow.Table`, sharing numbers and arrays; units and docs are in the fields' metadata.

        Footprints are a column of structs, ``footprint``.
        """
        from .catalog_tables import to_arrow

        return to_arrow(self)

    @classmethod
    def from_astropy(cls, table: AstropyTable) -> Self:
        """Make a catalog of an `astropy.table.Table`, sharing its columns where types allow; masked values default.

        A column of sky coordinates becomes ``<name>_ra`` and ``<name>_dec``, radians, ICRS.
        """
        from .catalog_tables import from_astropy

        return from_astropy(cls, table)

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame, schema: Schema | None = None) -> Self:
        """Make a catalog of a `pandas.DataFrame`; without a schema, units and docs are those of its ``attrs``."""
        from .catalog_tables import from_pandas

        return from_pandas(cls, frame, schema)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Self:
        """Make a catalog of a `pyarrow.Table`, sharing numbers and arrays of a single chunk; nulls become defaults."""
        from .catalog_tables import from_arrow

        return from_arrow(cls, table)

    def plot(self, x: str | Field, y: str | Field, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw one column over another, with matplotlib; see `skybutler.imaging.plots.plot_catalog`."""
        from .plots import plot_catalog

        return plot_catalog(self, x, y, ax, **style)

    def _state(self) -> Iterable[str]:
        return f"{self._rows} rows", f"{len(self._schema)} columns"

    def _parts(self) -> Iterable[Part]:
        fields, rows = self._schema.fields[:_SHOWN_COLUMNS], min(self._rows, _SHOWN_ROWS)
        cells = [[field.shown(value) for value in self[field][:rows]] for field in fields]
        names, units = [field.name for field in fields], [field.units for field in fields]
        more_rows, more_columns = self._rows - rows, len(self._schema) - len(fields)
        table = Table(names, list(zip(*cells, strict=True)), units, more_rows, more_columns, may_lose_columns=True)
        return (table,)

    def _row(self, row: int) -> int:
        if not -self._rows <= row < self._rows:
            raise IndexError(f"There is no row {row} in a catalog of {self._rows}.")
        return row % self._rows

    def _shape_for(self, field: Field, value: ArrayLike) -> tuple[int, ...]:
        if np.ndim(value) > len(field.shape) and np.shape(value)[0] != self._rows:
            raise ValueError(f"{field.name}: {np.shape(value)[0]} values for a catalog of {self._rows} rows.")
        return (self._rows, *field.shape)

    def _with(self, change: Callable[[Column], Column]) -> Self:
        """Return a catalog of what a function makes of every column, footprints too."""
        made = type(self)(self._schema, metadata=self.metadata)
        made._schema = self._schema  # an alias of the one is an alias of the other
        made._take(*self._changed(change))
        return made

    def _change(self, change: Callable[[Column], Column]) -> None:
        self._take(*self._changed(change))

    def _changed(self, change: Callable[[Column], Column]) -> tuple[dict[str, Column], Column | None]:
        footprints = None if self._footprints is None else change(self._footprints[: self._rows])
        return {name: change(column) for name, column in self.columns.items()}, footprints

    def _take(self, columns: dict[str, Column], footprints: Column | None) -> None:
        self._columns, self._footprints = columns, footprints
        self._rows = len(next(iter(columns.values()))) if columns else 0

    def _grow(self, rows: int) -> None:
        """Make room; capacity doubles, so that adding records one by one costs linear time."""
        needed = self._rows + rows
        for field in self._schema:
            column = self._columns[field.name]
            if len(column) < needed or not column.flags.writeable:
                larger = np.empty((max(needed, 2 * self._rows, 16), *field.shape), dtype=column.dtype)
                larger[: self._rows] = column[: self._rows]
                self._columns[field.name] = larger
        if self._footprints is not None and len(self._footprints) < needed:
            more = _no_footprints(max(needed, 2 * self._rows, 16) - self._rows)
            self._footprints = np.concatenate([self._footprints[: self._rows], more])


def _no_footprints(rows: int) -> Column:
    return np.full(rows, None, dtype=object)


def _checked_footprint(given: Any) -> Footprint | None:
    if given is not None and not isinstance(given, Footprint):
        raise TypeError(f"The pixels of a source are a Footprint, or None, not a {type(given).__name__}.")
    return given


def _as_column(field: Field, values: ArrayLike) -> Column:
    """Return values as a column of a field, shared where the type is the field's already."""
    values = _in_units(field, values)
    given = np.ma.getdata(values) if not np.ma.is_masked(values) else np.ma.filled(values, field.default)
    if given.ndim == 0:
        raise ValueError(f"{field.name}: a column takes a value for each row, not the single value {given}.")
    if given.ndim != 1 + len(field.shape) or given.shape[1:] != field.shape:
        raise ValueError(f"{field.name}: rows of shape {field.shape} are needed, the values have {given.shape}.")
    wanted = field.dtype
    if field.type == "String":
        column = given if given.dtype.kind == "U" else _as_text(given)
        if field.size and column.size and column.dtype.itemsize > wanted.itemsize:
            longest = max(np.char.str_len(column))
            if longest > field.size:
                raise ValueError(f"{field.name}: a text of {longest} characters, where {field.size} are allowed.")
            column = column.astype(wanted)
        return column
    if given.dtype == wanted and given.dtype.isnative:
        return given
    safe = np.can_cast(given.dtype, wanted, "same_kind") or (wanted.kind in "buif" and given.dtype.kind in "bui")
    with np.errstate(over="ignore"):
        column = given.astype(wanted) if safe or given.size == 0 else given
    too_large = wanted.kind == "f" and safe and np.any(np.isinf(column) & np.isfinite(given))
    if (not safe and given.size) or (wanted.kind in "bui" and not np.array_equal(column, given)) or too_large:
        raise TypeError(f"{field.name}: values of {given.dtype} cannot become {wanted} without loss.")
    return column


def _in_units(field: Field, values: Any) -> Any:
    """Return the numbers of an astropy quantity or angle in the field's units; anything else as it is."""
    to_value = getattr(values, "to_value", None)
    return values if to_value is None else to_value(field.units)


def _as_text(given: Column) -> Column:
    if given.dtype.kind == "S":
        return np.char.decode(given, "utf-8")
    return np.asarray(["" if value is None else str(value) for value in given], dtype="U")
