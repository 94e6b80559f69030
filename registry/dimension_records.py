"""Dimension records: inserting, synchronising, and saying which one is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.data_id import DataId
from ..model.dimensions import Element
from ..model.errors import ConflictingDefinitionError, DataIdError, closest
from ..model.records import DimensionRecord
from ..model.region import Region
from ..model.timespan import Timespan
from .record_rows import RecordRows, records_of

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["DimensionRecords", "differing", "record_from_row", "row_from_record"]

_CHUNK = 500
"""Keys that one statement looks for."""


class DimensionRecords:
    """The dimension records of a registry."""

    def __init__(self, registry: Registry):
        self._registry = registry

    def insert(self, element_name: str, rows: RecordRows, *, replace: bool = False, skip_existing: bool = False) -> int:
        """Insert records in bulk; all of them, or none.

        Parameters
        ----------
        element_name
            The element.
        rows
            Mappings of column names, records, or a table (pandas, Arrow, astropy, Polars) with a row each.
        replace
            Whether records of the same keys become these; the last of several wins.
        skip_existing
            Whether those whose keys are there already are passed over; the first of several is inserted.

        Returns
        -------
        int
            How many are new or were replaced.

        Raises
        ------
        ConflictingDefinitionError
            One of them is there already; both are shown.
        DataIdError
            A row lacks what it needs, or refers to what is not there.
        """
        element = self._element(element_name)
        if replace and skip_existing:
            raise TypeError("what is there is replaced or skipped, not both.")
        records = records_of(element, rows)
        if not records:
            return 0
        table = self._registry.tables.dimension[element_name]
        try:
            if replace or skip_existing:
                return self._registry.database.retry(lambda: self._merge(table, records, replace=replace))
            self._registry.database.retry(lambda: self._insert(table, records))
        except sa.exc.IntegrityError as error:
            self._explain(records, error, replace or skip_existing)
        return len(records)

    def _insert(self, table: sa.Table, records: Sequence[DimensionRecord]) -> None:
        database = self._registry.database
        with database.write() as connection:
            database.insert_rows(connection, table, [row_from_record(record) for record in records])
            self._insert_pixels(connection, records)

    def _merge(self, table: sa.Table, records: Sequence[DimensionRecord], *, replace: bool) -> int:
        """Insert records whose keys are new; replace, or pass over, the others."""
        width = len(records[0].element.required)
        in_order = records if replace else reversed(records)
        by_key = {record.values[:width]: record for record in in_order}
        key = list(table.primary_key.columns)
        with self._registry.database.write() as connection:
            wanted, there = list(by_key), set[tuple[Any, ...]]()
            for start in range(0, len(wanted), _CHUNK):
                same = sa.tuple_(*key).in_(wanted[start : start + _CHUNK])
                there.update(map(tuple, connection.execute(sa.select(*key).where(same))))
            new = [record for own, record in by_key.items() if own not in there]
            if new:
                self._insert(table, new)
            if replace and (changed := [by_key[own] for own in there]):
                self._replace(connection, table, changed)
        return len(by_key) if replace else len(new)

    def _replace(self, connection: Connection, table: sa.Table, records: Sequence[DimensionRecord]) -> None:
        """Make records of the same keys these."""
        element = records[0].element
        rows = [row_from_record(record) for record in records]
        own = [column.name for column in table.primary_key.columns]
        if others := [name for name in rows[0] if name not in own]:
            statement = sa.update(table).where(*(table.c[name] == sa.bindparam(f"key_{name}") for name in own))
            changes = [
                {name: row[name] for name in others} | {f"key_{name}": row[name] for name in own} for row in rows
            ]
            connection.execute(statement.values({name: sa.bindparam(name) for name in others}), changes)
        if element.has_region:
            pixels = self._registry.tables.pixels[element.name]
            same = [pixels.c[name] == sa.bindparam(f"key_{name}") for name in element.required]
            keys = [
                {f"key_{name}": getattr(record, element.column_of(name)) for name in element.required}
                for record in records
            ]
            connection.execute(sa.delete(pixels).where(*same), keys)
            self._insert_pixels(connection, records)

    def sync(
        self, element_name: str, row: Mapping[str, Any] | DimensionRecord, *, update: bool = False
    ) -> bool | dict[str, Any]:
        """Insert a record if it is absent, compare it if it is there.

        Parameters
        ----------
        element_name
            The element.
        row
            The record.
        update
            Whether a different one is changed to this.

        Returns
        -------
        bool or dict
            True where it was inserted, False where it was there, the old values where it was changed.

        Raises
        ------
        ConflictingDefinitionError
            Another definition is there, and ``update`` is not set.
        """
        element = self._element(element_name)
        record = records_of(element, [row])[0]
        table = self._registry.tables.dimension[element_name]
        try:
            return self._registry.database.retry(lambda: self._sync(table, record, update))
        except sa.exc.IntegrityError as error:
            self._explain([record], error)

    def _sync(self, table: sa.Table, record: DimensionRecord, update: bool) -> bool | dict[str, Any]:
        with self._registry.database.write() as connection:
            old = self._same_key(connection, record)
            if old is None:
                if self._insert_if_absent(connection, table, record):
                    self._insert_pixels(connection, [record])
                    return True
                old = self._same_key(connection, record)  # another process was faster
            if old is None:  # what is in the way has another key
                connection.execute(sa.insert(table), [row_from_record(record)])
                self._insert_pixels(connection, [record])
                return True
            changed = {k: v for k, v in old.to_dict().items() if v != getattr(record, k)}
            if changed and not update:
                raise ConflictingDefinitionError(f"{differing(old, record)}\nTo change it, pass update=True.")
            if changed:
                self._replace(connection, table, [record])
            return changed or False

    def _insert_if_absent(self, connection: Connection, table: sa.Table, record: DimensionRecord) -> bool:
        """Insert a record unless another transaction has done so since we looked; return whether it is new."""
        row = row_from_record(record)
        if connection.dialect.name == "sqlite":  # a transaction that writes has it for itself
            connection.execute(sa.insert(table), [row])
            return True
        from sqlalchemy.dialects.postgresql import insert

        statement = insert(table).values(row).on_conflict_do_nothing().returning(*table.primary_key.columns)
        return connection.execute(statement).first() is not None

    def fetch(self, element_name: str, data_id: Mapping[str, Any]) -> DimensionRecord | None:
        """Return the record that a data ID names, None where there is none."""
        element = self._element(element_name)
        columns = self._registry.tables.dimension[element_name].c
        same = (columns[element.column_of(name)] == data_id[name] for name in element.required)
        with self._registry.database.read() as connection:
            row = connection.execute(sa.select(*columns).where(*same)).mappings().first()
        return None if row is None else record_from_row(element, dict(row))

    def _element(self, name: str) -> Element:
        element = self._registry.universe[name]
        if not element.has_table:
            source = f"records of {element.union_of} define it" if element.union_of else "its records are computed"
            raise DataIdError(f"{name} has no records of its own: {source}.")
        return element

    def _insert_pixels(self, connection: Connection, records: Iterable[DimensionRecord]) -> None:
        """Note the common pixels that each record's region may touch."""
        common = self._registry.universe.common_pixelization
        rows: list[dict[str, Any]] = []
        table: sa.Table | None = None
        for record in records:
            element = record.element
            if not element.has_region or record.region is None:
                continue
            table = self._registry.tables.pixels[element.name]
            key = {name: getattr(record, element.column_of(name)) for name in element.required}
            rows += [
                {**key, "pixel": pixel} for begin, end in common.envelope(record.region) for pixel in range(begin, end)
            ]
        if table is not None and rows:
            self._registry.database.insert_rows(connection, table, rows)

    def _key_equals(self, record: DimensionRecord) -> list[sa.ColumnElement[bool]]:
        element = record.element
        columns = self._registry.tables.dimension[element.name].c
        return [columns[c] == getattr(record, c) for c in (element.column_of(n) for n in element.required)]

    def _same_key(self, connection: Connection, record: DimensionRecord) -> DimensionRecord | None:
        table = self._registry.tables.dimension[record.element.name]
        row = connection.execute(sa.select(table).where(*self._key_equals(record))).mappings().first()
        return None if row is None else record_from_row(record.element, dict(row))

    def _explain(self, records: Iterable[DimensionRecord], error: Exception, merging: bool = False) -> NoReturn:
        """Raise the error that says which record could not be inserted, and why."""
        seen: dict[tuple[Any, ...], DimensionRecord] = {}
        with self._registry.database.read() as connection:
            for record in records:
                element = record.element
                twin = seen.get(record.values[: len(element.required)])
                old = None if merging else self._same_key(connection, record) or twin
                if old is not None:
                    is_twice = " (given twice)" if old is twin else ""
                    raise ConflictingDefinitionError(
                        f"{element.name} is there already{is_twice}:{_both(old, record)}\n"
                        "Pass skip_existing=True or replace=True, or use sync_dimension_records."
                    ) from error
                seen[record.values[: len(element.required)]] = record
                for name in (*element.requires, *element.implies):
                    other = self._registry.universe[name]
                    if other.has_table and getattr(record, name) is not None:
                        self._check_refers(connection, record, other, error)
                for column in element.columns:
                    if column.role == "alternate":
                        self._check_alternate(connection, record, column.name, error)
        raise ConflictingDefinitionError(f"the records contradict what is there: {error}") from error

    def _check_refers(self, connection: Connection, record: DimensionRecord, other: Element, error: Exception) -> None:
        """Raise where the record of another dimension that a record refers to is not there, with how to insert it."""
        key = {name: getattr(record, name) for name in other.required}
        try:
            self._check_there(connection, other.name, key)
        except DataIdError as missing:
            row = {other.column_of(name): value for name, value in key.items()}
            raise DataIdError(
                f"{missing} {record} refers to it; insert that first: "
                f"butler.insert_dimension_records({other.name!r}, [{row!r}])."
            ) from error

    def _check_alternate(self, connection: Connection, record: DimensionRecord, column: str, error: Exception) -> None:
        table = self._registry.tables.dimension[record.element.name]
        same = [table.c[n] == getattr(record, n) for n in (*record.element.requires, column)]
        row = connection.execute(sa.select(table).where(*same)).mappings().first()
        if row is not None:
            old = record_from_row(record.element, dict(row))
            raise ConflictingDefinitionError(
                f"another {record.element.name} has the {column} {getattr(record, column)!r}:{_both(old, record)}"
            ) from error

    def explain_missing(self, data_id: DataId) -> None:
        """Raise `DataIdError` where a data ID names a record that is not there, with those that are."""
        with self._registry.database.read() as connection:
            for name in data_id.dimensions.required:
                element = self._registry.universe[name]
                if element.has_table and all(n in data_id for n in element.required):
                    self._check_there(connection, name, {n: data_id[n] for n in element.required})

    def explain_unknown(self, name: str, column: str, key: Mapping[str, Any]) -> None:
        """Raise `DataIdError` where no record of a dimension has the value given, by its key or an alternate one.

        Parameters
        ----------
        name
            The dimension.
        column
            The alternate key; empty for its own.
        key
            The value, and those of what the dimension requires, by their dimensions; where those lack, nothing is said.
        """
        element = self._registry.universe[name]
        is_key = not column or any(c.name == column and c.role == "alternate" for c in element.columns)
        if element.is_dimension and element.has_table and is_key and all(n in key for n in element.requires):
            with self._registry.database.read() as connection:
                self._check_there(connection, name, key, column)

    def _check_there(self, connection: Connection, name: str, key: Mapping[str, Any], column: str = "") -> None:
        element = self._registry.universe[name]
        table = self._registry.tables.dimension[name]
        own = table.c[column or element.column_of(name)]
        within = [table.c[n] == key[n] for n in element.requires]
        if connection.execute(sa.select(sa.exists().where(own == key[name], *within))).scalar_one():
            return
        there = list(connection.execute(sa.select(own).where(*within).order_by(own).limit(2000)).scalars())
        if not there:
            found = "there are none yet"
        elif len(there) <= 12:
            found = "there are " + ", ".join(map(str, there))
        else:
            found = f"there are {len(there)}{'' if len(there) < 2000 else ' and more'}, {there[0]} … {there[-1]}"
        of = "".join(f" of {n} {key[n]!r}" for n in element.requires)
        said = f"{column} {key[name]!r}" if column else f"{key[name]!r}"
        raise DataIdError(f"no {name} {said}{of}: {found}.{closest(str(key[name]), map(str, there))}")


def differing(old: DimensionRecord, new: DimensionRecord) -> str:
    """Return, for people, how a record differs from the one of the same key that is there."""
    return f"{old.element.name} is defined otherwise already:{_both(old, new)}"


def _both(old: DimensionRecord, new: DimensionRecord) -> str:
    """Return two records, and the columns in which they differ, for people."""
    differ = [column for column, value in old.to_dict().items() if value != getattr(new, column)]
    said = ", ".join(f"{name} ({getattr(old, name)!r}, not {getattr(new, name)!r})" for name in differ)
    return f"\n  there: {old}\n  given: {new}\n  differ in: {said or 'nothing'}"


def row_from_record(record: DimensionRecord) -> dict[str, Any]:
    """Return a record as columns of its table."""
    row: dict[str, Any] = {}
    for column, value in zip(record.element.columns, record.values, strict=True):
        if column.role == "timespan":
            row["timespan_begin"] = None if value is None else value.begin_ns
            row["timespan_end"] = None if value is None else value.end_ns
        else:
            row[column.name] = value.ivoa if isinstance(value, Region) else value
    return row


def record_from_row(element: Element, row: Mapping[str, Any]) -> DimensionRecord:
    """Return a record from columns of its table."""
    values: list[Any] = []
    for column in element.columns:
        if column.role == "timespan":
            begin = row["timespan_begin"]
            values.append(None if begin is None else Timespan(begin, row["timespan_end"]))
        else:
            value = row[column.name]
            values.append(Region(value) if column.role == "region" and value is not None else value)
    return DimensionRecord(element, tuple(values))
