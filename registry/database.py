"""The database: engines, transactions, and what differs between SQLite and PostgreSQL.

Statements are written in SQLAlchemy Core. The few on the hot path are compiled once (`Prepared`) and handed to the
driver as they are.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from ..model.errors import ReadOnlyError

__all__ = ["Database", "DatasetId", "Prepared"]

BUSY_TIMEOUT = 120.0
"""Seconds that a writer waits for the others before it gives up."""


class DatasetId(sa.types.TypeDecorator[uuid.UUID]):
    """A UUID: 16 bytes in SQLite (the views show it as text), the native type in PostgreSQL."""

    impl = sa.LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Use PostgreSQL's own type."""
        return dialect.type_descriptor(sa.Uuid() if dialect.name == "postgresql" else sa.LargeBinary(16))

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> Any:
        """Turn a UUID into what the driver takes."""
        return value.bytes if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        """Turn what the driver gives into a UUID."""
        return uuid.UUID(bytes=value) if isinstance(value, bytes) else value


class _Cursor(Protocol):
    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...
    def executemany(self, sql: str, parameters: Any, /) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Prepared:
    """A statement compiled once, run straight on the driver's cursor, for the few that every get or put needs.

    Parameters
    ----------
    database
        Whose dialect it is compiled for.
    statement
        A Core statement whose parameters are all `sqlalchemy.bindparam`.

    Notes
    -----
    Types are not processed: pass and expect what the driver does (`Database.encode_id` for ids).
    """

    __slots__ = ("names", "sql")

    def __init__(self, database: Database, statement: sa.sql.ClauseElement):
        compiled = statement.compile(dialect=database.engine.dialect)
        self.sql = str(compiled)
        self.names: Sequence[str] | None = getattr(compiled, "positiontup", None)

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return parameters in the driver's form."""
        return values if self.names is None else [values[name] for name in self.names]


class Database:
    """One SQL database that holds a registry.

    Parameters
    ----------
    url
        SQLAlchemy URL, or the path of an SQLite file.
    writeable
        Whether changes are allowed; where not, the connection itself refuses them.

    Notes
    -----
    One object may be used by many threads: each thread has its own transaction, and its own connection for the
    reads outside one.
    """

    def __init__(self, url: str | Path, *, writeable: bool = True):
        self.writeable = writeable
        self.path = Path(url) if isinstance(url, Path) or "://" not in url else None
        self._local = threading.local()
        if self.path is not None:
            self.engine = sa.create_engine("sqlite://", creator=self._connect_sqlite, poolclass=sa.pool.QueuePool,
                                           pool_size=8, max_overflow=-1)  # fmt: skip
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = sa.create_engine(str(url))
        self.dialect_name = self.engine.dialect.name

    def _connect_sqlite(self) -> sqlite3.Connection:
        assert self.path is not None
        mode = "rwc" if self.writeable else "ro"
        wal = self.path.with_name(self.path.name + "-wal")
        if not self.writeable and not wal.exists() and not _is_writeable(self.path.parent):
            mode = "ro&immutable=1"  # read-only media: SQLite could not make its shared-memory file
        connection = sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        if self.writeable:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        else:
            connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-65536")
        return connection

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a transaction open."""
        return getattr(self._local, "connection", None) is not None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; within another one, a savepoint.

        Raises
        ------
        ReadOnlyError
            The database was opened for reading only.
        """
        if not self.writeable:
            raise ReadOnlyError("the repository was opened for reading only; open it with writeable=True to change it.")
        outer: Connection | None = getattr(self._local, "connection", None)
        if outer is not None:
            with outer.begin_nested():
                yield outer
            return
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            self._local.connection = connection
            try:
                yield connection
            finally:
                self._local.connection = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection that sees one state of the database: the open transaction's, where there is one."""
        outer: Connection | None = getattr(self._local, "connection", None)
        if outer is not None:
            yield outer
            return
        with self.engine.connect() as connection:
            yield connection

    def cursor(self) -> _Cursor:
        """Return a cursor of the driver, for prepared reads: of the open transaction, or of this thread's reader."""
        outer: Connection | None = getattr(self._local, "connection", None)
        if outer is not None:
            return outer.connection.cursor()
        reader = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = self.engine.raw_connection()
            if self.dialect_name == "postgresql":
                reader.driver_connection.autocommit = True
        cursor: _Cursor = reader.cursor()
        return cursor

    def fetch_one(self, prepared: Prepared, values: Mapping[str, Any]) -> Any:
        """Run a prepared query and return its first row, or None."""
        cursor = self.cursor()
        cursor.execute(prepared.sql, prepared.parameters(values))
        return cursor.fetchone()

    def fetch_all(self, prepared: Prepared, values: Mapping[str, Any]) -> list[Any]:
        """Run a prepared query and return its rows."""
        cursor = self.cursor()
        cursor.execute(prepared.sql, prepared.parameters(values))
        return cursor.fetchall()

    def data_version(self) -> int | None:
        """Return a number that changes when another connection commits to an SQLite file; None where there is none."""
        if self.dialect_name != "sqlite":
            return None
        cursor = self.cursor()
        cursor.execute("PRAGMA data_version")
        version: int = cursor.fetchone()[0]
        return version

    def encode_id(self, dataset_id: uuid.UUID) -> Any:
        """Turn a dataset's id into what the driver takes."""
        return dataset_id.bytes if self.dialect_name == "sqlite" else dataset_id

    @staticmethod
    def decode_id(value: Any) -> uuid.UUID:
        """Turn what the driver gives into a dataset's id."""
        return uuid.UUID(bytes=value) if isinstance(value, bytes) else value

    def close(self) -> None:
        """Close this thread's reader and every idle connection."""
        reader = getattr(self._local, "reader", None)
        if reader is not None:
            reader.close()
            self._local.reader = None
        self.engine.dispose()

    def __repr__(self) -> str:
        where = self.path or self.engine.url.render_as_string(hide_password=True)
        return f"Database({str(where)!r}{'' if self.writeable else ', read-only'})"


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once where the transaction will write: it could not be had later without a conflict."""
    immediate = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _is_writeable(folder: Path) -> bool:
    import os

    return os.access(folder, os.W_OK)
