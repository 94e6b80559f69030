"""The database: engines, transactions, and what differs between SQLite and PostgreSQL.

Statements are written in SQLAlchemy Core. The few on the hot path are compiled once (`Prepared`) and handed to the
driver as they are.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from ..model.errors import ConfigError, ReadOnlyError, RepositoryBusyError

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
    def fetchall(self) -> Sequence[Any]: ...


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
        self.path = _sqlite_path(url)
        self._local = threading.local()
        self._generation = 0
        self._readers: weakref.WeakSet[Any] = weakref.WeakSet()
        if self.path is not None:
            self.engine = sa.create_engine("sqlite://", creator=self.connect_sqlite, poolclass=sa.pool.QueuePool,
                                           pool_size=8, max_overflow=-1)  # fmt: skip
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            try:
                self.engine = sa.create_engine(str(url))
            except (sa.exc.ArgumentError, ImportError) as error:
                raise ConfigError(f"{str(url)!r} cannot be used as the URL of a database: {error}.") from error
        self.dialect_name = self.engine.dialect.name
        _opened.add(self)

    def connect_sqlite(self, *, read_only: bool = False) -> sqlite3.Connection:
        """Open another connection to the SQLite file; whoever calls closes it."""
        path, writes = str(self.path), self.writeable and not read_only
        mode = "rwc" if writes else "ro"
        if not self.writeable and _is_at_rest(Path(path)) and not _is_writeable(Path(path).parent):
            mode = "ro&immutable=1"  # read-only media: SQLite could not make its shared-memory file
        connection = sqlite3.connect(
            f"file:{quote(path)}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            if writes:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
            else:
                connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA cache_size=-65536")
        except BaseException:
            connection.close()
            raise
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
        RepositoryBusyError
            Others have been writing for `BUSY_TIMEOUT` seconds on end.
        """
        if not self.writeable:
            raise ReadOnlyError("the repository was opened for reading only; open it with writeable=True to change it.")
        outer: Connection | None = getattr(self._local, "connection", None)
        if outer is not None:
            with outer.begin_nested():
                yield outer
            return
        with self.engine.connect().execution_options(writes=True) as connection, self._begin(connection):
            self._local.connection = connection
            try:
                yield connection
            finally:
                self._local.connection = None

    def _begin(self, connection: Connection) -> sa.RootTransaction:
        try:
            return connection.begin()
        except sa.exc.OperationalError as error:
            if "locked" not in str(error.orig):
                raise
            raise self._busy() from error

    def _busy(self) -> RepositoryBusyError:
        return RepositoryBusyError(
            f"others have kept {self} locked for {BUSY_TIMEOUT:g} s; nothing was changed, so try again later."
        )

    @contextmanager
    def write_prepared(self) -> Iterator[_Cursor]:
        """Open a transaction for prepared statements alone: as `write`, and a tenth of a millisecond sooner on SQLite.

        Within another transaction, a savepoint of it.
        """
        if self.in_transaction or self.dialect_name != "sqlite" or not self.writeable:
            with self.write():
                yield self.cursor()
            return
        cursor = self.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise self._busy() from error
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            if self._local.reader.driver_connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise

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
            inner: _Cursor = outer.connection.cursor()
            return inner
        reader: Any = getattr(self._local, "reader", None)
        if reader is None or self._local.generation != self._generation:
            reader = self._local.reader = self.engine.raw_connection()
            self._local.generation = self._generation
            self._readers.add(reader)
            if self.dialect_name == "postgresql":
                reader.driver_connection.autocommit = True
        cursor: _Cursor = reader.cursor()
        return cursor

    def fetch_one(self, prepared: Prepared, values: Mapping[str, Any]) -> Any:
        """Run a prepared query and return its first row, or None."""
        cursor = self.cursor()
        cursor.execute(prepared.sql, prepared.parameters(values))
        return cursor.fetchone()

    def fetch_all(self, prepared: Prepared, values: Mapping[str, Any]) -> Sequence[Any]:
        """Run a prepared query and return its rows."""
        cursor = self.cursor()
        cursor.execute(prepared.sql, prepared.parameters(values))
        return cursor.fetchall()

    def data_version(self) -> tuple[int, int] | None:
        """Return what changes when another connection commits to an SQLite file; None where there is no such thing.

        The number means something only to the reader that gave it, so it comes with the reader's generation.
        """
        if self.dialect_name != "sqlite":
            return None
        cursor = self.cursor()
        cursor.execute("PRAGMA data_version")
        return self._generation, cursor.fetchone()[0]

    def encode_id(self, dataset_id: uuid.UUID) -> Any:
        """Turn a dataset's id into what the driver takes."""
        return dataset_id.bytes if self.dialect_name == "sqlite" else dataset_id

    @staticmethod
    def decode_id(value: Any) -> uuid.UUID:
        """Turn what the driver gives into a dataset's id."""
        return uuid.UUID(bytes=value) if isinstance(value, bytes) else value

    def close(self) -> None:
        """Close every thread's reader and every idle connection; a later use opens new ones."""
        self._generation += 1
        for reader in list(self._readers):
            reader.close()
        self._readers.clear()
        self.engine.dispose()

    def _after_fork(self) -> None:
        """Leave to the parent process what is its own: SQLite's connections must neither be used nor closed here."""
        _inherited.append((self._local, self.engine.pool, list(self._readers)))
        self._local, self._readers = threading.local(), weakref.WeakSet()
        self._generation += 1
        self.engine.dispose(close=False)

    def __repr__(self) -> str:
        where = self.path or self.engine.url.render_as_string(hide_password=True)
        return f"Database({str(where)!r}{'' if self.writeable else ', read-only'})"


_opened: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited: list[Any] = []


def _forget_inherited() -> None:
    for database in list(_opened):
        database._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)


def _sqlite_path(url: str | Path) -> Path | None:
    """Return the absolute path of an SQLite file: a later change of the working folder must not lead elsewhere."""
    if isinstance(url, str) and "://" in url:
        if not url.startswith("sqlite:///"):
            return None
        url = url.removeprefix("sqlite:///")
    return Path(url).absolute()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once where the transaction will write: it could not be had later without a conflict."""
    immediate = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _is_writeable(folder: Path) -> bool:
    return os.access(folder, os.W_OK)


def _is_at_rest(path: Path) -> bool:
    """Whether nobody has an SQLite file open, and all that was written is in the file itself."""
    shared, log = path.with_name(f"{path.name}-shm"), path.with_name(f"{path.name}-wal")
    return not shared.exists() and (not log.exists() or log.stat().st_size == 0)
