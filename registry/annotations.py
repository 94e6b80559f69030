"""What datasets are found by beside their data IDs: values of their headers, and what users note of them.

Both are rows of one table, told apart by their scope. A number, and true and false, is kept as a number, anything else
as text; the type beside it gives the Python value back as it was. An integer that no double holds exactly (beyond
±2**53) is refused of a user, who may write it as text, and kept as text of a header.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.datasets import DatasetRef
from ..model.errors import AnnotationError, DatasetNotFoundError
from ..model.given import Datasets
from . import bulk
from .database import Prepared

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["AnnotationScope", "AnnotationValue", "Annotations"]

AnnotationValue: TypeAlias = str | int | float | bool
"""What a header value or an annotation is."""
AnnotationScope: TypeAlias = Literal["header", "user"]
"""Whether a value is of a dataset's header, or noted by a user."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_HEADER_KEY = re.compile(r"[!#-~][ !#-~]{0,79}")  # what a query can name: a quote ends a name there
_LARGEST = 2**53
"""Integers up to here are doubles, too."""
_LONGEST = 2000
"""Bytes of a text: an index of PostgreSQL takes 2,700 in all."""
_DECODERS: Mapping[str, type[int] | type[float] | type[bool]] = {"int": int, "float": float, "bool": bool}
_CHUNK = 500


class Annotations:
    """The header values and annotations of a registry's datasets."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._database = registry.database
        self._table = registry.tables.annotation
        self._insert = Prepared(self._database, sa.insert(self._table))

    def annotate(self, datasets: Datasets, pairs: Mapping[str, AnnotationValue | None]) -> int:
        """Note keys and values of datasets, in one transaction; what was noted under these keys before gives way.

        Parameters
        ----------
        datasets
            The datasets.
        pairs
            Values by their keys; None takes a key away.

        Returns
        -------
        int
            How many datasets it is noted of.

        Raises
        ------
        AnnotationError
            A key or a value is none that can be kept.
        DatasetNotFoundError
            One of the datasets is not registered.
        """
        cells = {_checked(key): None if value is None else _encoded(key, value) for key, value in pairs.items()}
        by_id = {ref.id: ref for ref in bulk.refs_given(self._registry, datasets)}
        self._database.retry(lambda: self._write(by_id, cells))
        return len(by_id)

    def _write(
        self, by_id: Mapping[uuid.UUID, DatasetRef], cells: Mapping[str, tuple[str, float | None, str | None] | None]
    ) -> None:
        ids = sorted(by_id)  # so that two who annotate the same datasets wait for each other in one order
        rows = [
            {"dataset_id": one, "scope": "user", "key": key, "type": cell[0], "number": cell[1], "text": cell[2]}
            for one in ids
            for key, cell in cells.items()
            if cell is not None
        ]
        gone = [key for key, cell in cells.items() if cell is None]
        with self._database.write() as connection:
            for start in range(0, len(ids), _CHUNK):
                chunk = ids[start : start + _CHUNK]
                self._check_registered(connection, chunk, by_id)
                if gone:
                    table = self._table.c
                    of_user = table.dataset_id.in_(chunk), table.scope == "user", table.key.in_(gone)
                    connection.execute(sa.delete(self._table).where(*of_user))
            if rows:
                connection.execute(self._upsert(), rows)

    def _check_registered(
        self, connection: Connection, ids: Sequence[uuid.UUID], by_id: Mapping[uuid.UUID, DatasetRef]
    ) -> None:
        """Raise unless datasets are registered, and let nobody remove them before the transaction ends."""
        dataset = self._registry.tables.dataset
        query = sa.select(dataset.c.id).where(dataset.c.id.in_(ids)).with_for_update(read=True, key_share=True)
        known = set(connection.execute(query).scalars())
        for one in ids:
            if one not in known:
                raise _not_registered(by_id[one])

    def _upsert(self) -> Any:
        if self._database.dialect_name == "sqlite":
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
        made = insert(self._table)
        changed = {name: made.excluded[name] for name in ("type", "number", "text")}
        return made.on_conflict_do_update(index_elements=list(self._table.primary_key), set_=changed)

    def of(self, ref: DatasetRef, scope: AnnotationScope = "user") -> dict[str, AnnotationValue]:
        """Return what is noted of a dataset, or the values kept of its header, by key.

        Raises
        ------
        AnnotationError
            There is no such scope.
        DatasetNotFoundError
            It is not registered.
        """
        if scope not in ("header", "user"):
            raise AnnotationError(f"scope={scope!r} is neither 'user' (what was noted) nor 'header' (header values).")
        table = self._table.c
        query = sa.select(table.key, table.type, table.number, table.text)
        query = query.where(table.dataset_id == ref.id, table.scope == scope).order_by(table.key)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        if not rows and not self._registry.datasets.existing([ref]):
            raise _not_registered(ref)
        return {key: text if kind == "str" else _DECODERS[kind](number) for key, kind, number, text in rows}

    def of_many(
        self, ids: Sequence[uuid.UUID], scope: AnnotationScope = "user"
    ) -> dict[uuid.UUID, dict[str, AnnotationValue]]:
        """Return what is noted of datasets, or the values kept of their headers, by id and key; of others, nothing."""
        table = self._table.c
        query = sa.select(table.dataset_id, table.key, table.type, table.number, table.text)
        query = query.where(table.scope == scope).order_by(table.dataset_id, table.key)
        found: dict[uuid.UUID, dict[str, AnnotationValue]] = {}
        with self._database.read() as connection:
            for start in range(0, len(ids), _CHUNK):
                chunk = query.where(table.dataset_id.in_(ids[start : start + _CHUNK]))
                for one, key, kind, number, text in connection.execute(chunk):
                    found.setdefault(one, {})[key] = text if kind == "str" else _DECODERS[kind](number)
        return found

    def insert(self, noted: Mapping[uuid.UUID, Mapping[str, AnnotationValue]]) -> None:
        """Note keys and values of datasets of which nothing is noted yet, in an open transaction.

        Raises
        ------
        AnnotationError
            A key or a value is none that can be kept.
        """
        rows = []
        for one, pairs in noted.items():
            for key, value in pairs.items():
                kind, number, text = _encoded(_checked(key), value)
                rows.append(
                    {"dataset_id": one, "scope": "user", "key": key, "type": kind, "number": number, "text": text}
                )
        if rows:
            with self._database.write() as connection:
                self._database.insert_rows(connection, self._table, rows)

    def insert_headers(self, cursor: Any, headers: Mapping[uuid.UUID, Mapping[str, Any]]) -> None:
        """Keep header values of new datasets, by their ids, in the transaction that registers them."""
        if rows := [row for one, header in headers.items() for row in self._rows(one, header)]:
            columns = ("dataset_id", "scope", "key", "type", "number", "text")
            self._database.insert_many(cursor, self._insert, columns, rows)

    def _rows(self, dataset_id: uuid.UUID, header: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Yield a row for each value of a header that can be kept."""
        one = self._database.encode_id(dataset_id)
        for key, value in header.items():
            if type(value) is int and abs(value) > _LARGEST:
                value = str(value)
            try:
                kind, number, text = _encoded(key, value)
            except AnnotationError:  # no value, a complex number or a long text: nothing to find a dataset by
                continue
            if _HEADER_KEY.fullmatch(key):
                yield one, "header", key, kind, number, text

    def keys(self, scope: AnnotationScope) -> list[str]:
        """Return the keys that datasets have in a scope: by as many probes of an index, however many datasets."""
        found: set[str] = set()
        for column in (self._table.c.number, self._table.c.text):
            found.update(self._keys_of(scope, column))
        return sorted(found)

    def _keys_of(self, scope: AnnotationScope, column: sa.Column[Any]) -> Sequence[str]:
        table = self._table.c
        least = sa.select(sa.func.min(table.key).label("key")).where(table.scope == scope, column.is_not(None))
        known = least.cte("known", recursive=True)
        following = least.where(table.key > known.c.key).scalar_subquery()
        known = known.union_all(sa.select(following).where(known.c.key.is_not(None)))
        with self._database.read() as connection:
            return connection.execute(sa.select(known.c.key).where(known.c.key.is_not(None))).scalars().all()


def _checked(key: str) -> str:
    """Return a user's key.

    Raises
    ------
    AnnotationError
        A query could not name it.
    """
    if not _KEY.fullmatch(key):
        raise AnnotationError(
            f"{key!r} cannot be a key: letters, digits and underscores, no digit first, 64 of them at most."
        )
    return key


def _encoded(key: str, value: object) -> tuple[str, float | None, str | None]:
    """Return the type, number and text that a value is kept as.

    Raises
    ------
    AnnotationError
        It is nothing to find a dataset by.
    """
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    match value:
        case bool():
            return "bool", float(value), None
        case int():
            if abs(value) > _LARGEST:
                raise AnnotationError(
                    f"{key}={value} has more digits than a number is kept with; write it as text: {key}='{value}'."
                )
            return "int", float(value), None
        case float():
            if not math.isfinite(value):
                raise AnnotationError(f"{key}={value} is not finite; None takes {key} away.")
            return "float", float(value), None
        case str():
            return "str", None, _text(key, str.__str__(value))  # of an enum, its value
    raise AnnotationError(
        f"{key}={value!r} is {type(value).__name__}; a string, a number, True or False is wanted, or None to take "
        f"{key} away."
    )


def _text(key: str, text: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise AnnotationError(f"{key}={text!r} is no Unicode text: {error.reason}.") from None
    if size > _LONGEST:
        raise AnnotationError(f"{key} has {size} bytes of text; up to {_LONGEST} are kept. Put a dataset for more.")
    if "\0" in text:
        raise AnnotationError(f"{key}={text!r} holds a null character, which a database cannot keep.")
    return text


def _not_registered(ref: DatasetRef) -> DatasetNotFoundError:
    return DatasetNotFoundError(f"{ref} (id {ref.id}) is not registered; only datasets that are there are annotated.")
