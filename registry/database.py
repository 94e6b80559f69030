"""The database: its engine, transactions and cursors, whether it is SQLite or PostgreSQL.

Statements are written in SQLAlchemy Core. The few on the hot path are compiled once (`Prepared`) and handed to the
driver as they are.
"""

from __future__ import annotations

import os
import random
import re
import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from ..model.blocks import block
from ..model.errors import ConfigError, ReadOnlyError, RepositoryBusyError
from . import postgres, sqlite

__all__ = ["Database", "DatasetId", "Prepared"]

BUSY_TIMEOUT = 120.0
"""Seconds that a writer waits for the others before it gives up."""
FEW = 500
"""Rows up to which INSERT is quicker than PostgreSQL's COPY."""
_ATTEMPTS = 5
"""How often a transaction is tried that the database undoes for the sake of others."""

T = TypeVar("T")


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
    def close(self) -> None: ...


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

    __slots__ = ("names", "sql", "table")

    def __init__(self, database: Database, statement: sa.sql.ClauseElement):
        compiled = statement.compile(dialect=database.engine.dialect)
        self.sql = str(compiled)
        self.names: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self.table = statement.table.name if isinstance(statement, sa.Insert) else ""

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return parameters in the driver's form."""
        return values if self.names is None else [values[name] for name in self.names]


class _OfThread(threading.local):
    """What each thread has of its own."""

    connection: Connection | None = None
    """That of its open transaction."""
    moment = 0
    """How many transactions, and parts of such, it has begun and ended."""
    reader: Any = None
    """What it reads by outside of transactions, kept."""
    driver: Any = None
    """The driver's connection of the reader."""
    generation = -1
    """The generation of the database's connections that the reader is of."""


class Database:
    """One SQL database that holds a registry.

    Parameters
    ----------
    url
        The path of an SQLite file, or a URL: ``sqlite:///…``, or ``postgresql://…`` with ``?schema=`` for the
        repository's own.
    writeable
        Whether changes are allowed; where not, the connection itself refuses them.

    Notes
    -----
    One object may be used by many threads: each thread has its own transaction, and its own connection for the
    reads outside one.
    """

    def __init__(self, url: str | Path, *, writeable: bool = True):
        self.writeable = writeable
        self.path = sqlite.path_of(url)
        self._schema_was_there = True
        self._local = _OfThread()
        self._generation = 0
        self._readers: weakref.WeakSet[Any] = weakref.WeakSet()
        self.schema: str | None = None
        """The schema that holds the registry, on PostgreSQL."""
        if self.path is not None:
            self.engine = sa.create_engine("sqlite://", creator=self.connect_sqlite, poolclass=sa.pool.QueuePool,
                                           pool_size=8, max_overflow=-1)  # fmt: skip
            sa.event.listen(self.engine, "begin", partial(sqlite.begin, timeout=BUSY_TIMEOUT))
        elif postgres.is_postgresql(url):
            self.engine, self.schema = postgres.open_engine(str(url), writeable=writeable, timeout=BUSY_TIMEOUT)
        else:
            shown = re.sub("//[^@/]*@", "//…@", str(url))
            raise ConfigError(
                f"{shown!r} cannot be used as the URL of a database; a registry is kept in SQLite "
                "(sqlite:///path, or a file's name) or PostgreSQL (postgresql://host/database)."
            )
        self.dialect_name = self.engine.dialect.name
        self._driver_error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        _opened.add(self)

    def connect_sqlite(self, *, read_only: bool = False) -> sqlite3.Connection:
        """Open another connection to the SQLite file; whoever calls closes it."""
        return sqlite.connect(
            str(self.path), writes=self.writeable and not read_only, may_write=self.writeable, timeout=BUSY_TIMEOUT
        )

    def connect_read_only(self) -> Any:
        """Open another connection of the driver's to PostgreSQL that can only read; whoever calls closes it."""
        with self._own_errors():
            arguments, options = self.engine.dialect.create_connect_args(self.engine.url)
            connection = postgres.connect(
                *arguments, **options, **postgres.session(self.schema, writeable=False, timeout=BUSY_TIMEOUT)
            )
            connection.read_only = True
            return connection

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a transaction open."""
        return self._local.connection is not None

    @property
    def moment(self) -> int:
        """What is another number once this thread has begun, committed or undone a transaction, or part of one.

        What was read before may have become another by then: a lock was waited for, or a change was undone.
        """
        return self._local.moment

    @block
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
        local = self._local
        outer = local.connection
        try:
            if outer is not None:
                with self._own_errors(), outer.begin_nested():
                    local.moment += 1
                    yield outer
                return
            with self._own_errors(), self._connect(writes=True) as connection, connection.begin():
                local.connection = connection
                local.moment += 1
                try:
                    yield connection
                finally:
                    local.connection = None
        finally:
            local.moment += 1

    def _connect(self, **options: Any) -> Connection:
        return self.engine.connect().execution_options(**options)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        """Tell errors of PostgreSQL's driver as our own, but for those of contradictions, which callers explain."""
        try:
            yield
        except (sa.exc.SQLAlchemyError, self._driver_error) as error:
            self._tell(error)
        except AssertionError as error:  # SQLAlchemy finds itself not as it should be after Ctrl-C
            if postgres.was_interrupted(error):
                raise KeyboardInterrupt from error
            raise

    def _tell(self, error: Exception) -> NoReturn:
        if postgres.was_interrupted(error):
            raise KeyboardInterrupt from error
        translated = sqlite.translated if self.dialect_name == "sqlite" else postgres.translated
        own = translated(error, self, BUSY_TIMEOUT)
        if own is None:
            raise error
        raise own from error

    def retry(self, work: Callable[[], T]) -> T:
        """Do what is one transaction, and do it again where PostgreSQL undoes it for the sake of another's.

        Within a transaction it is done once: what came before it would have to be done again, too.
        """
        for attempt in range(1, _ATTEMPTS):
            try:
                return work()
            except RepositoryBusyError as error:
                if self.in_transaction or not postgres.was_undone(error):
                    raise
            time.sleep(random.random() * 0.02 * attempt)
        return work()

    @block
    def write_prepared(self, rows: int = 1) -> Iterator[_Cursor]:
        """Open a transaction for prepared statements alone: as `write`, and sooner.

        Within another transaction, a savepoint of it. On PostgreSQL the statements for few ``rows`` travel together.
        """
        if self.in_transaction or not self.writeable:
            with self.write():
                yield self.cursor()
            return
        if self.dialect_name != "sqlite":
            self.cursor()
            with self._own_errors(), postgres.pipelined(self._local.driver, alone=rows > FEW) as cursor:
                yield cursor
            return
        cursor = self.cursor()
        try:  # Ctrl-C while the lock is waited for comes when it has been had
            sqlite.begin_writing(self._local.driver, BUSY_TIMEOUT)
            yield cursor
            cursor.execute("COMMIT")
        except BaseException as error:
            if self._local.driver.in_transaction:
                cursor.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                self._tell(error)
            raise

    @block
    def read(self) -> Iterator[Connection]:
        """Open a connection that sees one state of the database: the open transaction's, where there is one."""
        outer = self._local.connection
        if outer is not None:
            with self._own_errors():
                yield outer
            return
        with self._own_errors(), self.engine.connect() as connection:
            yield connection

    def cursor(self) -> _Cursor:
        """Return a cursor of the driver, for prepared reads: of the open transaction, or of this thread's reader."""
        local = self._local
        if local.connection is not None:
            inner: _Cursor = local.connection.connection.cursor()
            return inner
        if local.reader is not None and self._broke_off():
            local.reader.invalidate()  # the pool would try to undo what it has begun
            local.reader = None
        if local.reader is None or local.generation != self._generation:
            if self.dialect_name == "sqlite":
                local.reader = self.engine.raw_connection()
                local.driver = local.reader.driver_connection
            else:  # the engine undoes autocommit when the connection goes back to others
                with self._own_errors():
                    local.reader = self._connect(isolation_level="AUTOCOMMIT")
                local.driver = local.reader.connection.driver_connection
            local.generation = self._generation
            self._readers.add(local.reader)
        cursor: _Cursor = local.driver.cursor()
        return cursor

    def _broke_off(self) -> bool:
        """Whether this thread's reader has lost its server."""
        return self.dialect_name != "sqlite" and self._local.driver.closed

    def run(self, sql: str, parameters: Any) -> _Cursor:
        """Run a query on this thread's cursor, anew where its server was away in between; return the cursor."""
        cursor = self.cursor()
        try:
            cursor.execute(sql, parameters)
        except self._driver_error as error:
            if self.in_transaction or not self._broke_off():
                self._tell(error)
            with self._own_errors():
                self.engine.dispose()
                cursor = self.cursor()
                cursor.execute(sql, parameters)
        except BaseException:  # Ctrl-C: kept by a traceback, and unread, it would keep SQLite's state of this moment
            cursor.close()
            raise
        return cursor

    def fetch_one(self, prepared: Prepared, values: Mapping[str, Any]) -> Any:
        """Run a prepared query and return its first row, or None."""
        return self.run(prepared.sql, prepared.parameters(values)).fetchone()

    def fetch_all(self, prepared: Prepared, values: Mapping[str, Any]) -> Sequence[Any]:
        """Run a prepared query and return its rows."""
        return self.run(prepared.sql, prepared.parameters(values)).fetchall()

    @block
    def stream(self, sql: str, parameters: Any, page: int) -> Iterator[Any]:
        """Run a query whose rows are fetched page by page, and are never all in memory.

        Rows of a query that is run within a transaction must be fetched before its end.
        """
        outer = self._local.connection
        if self.dialect_name == "sqlite":
            cursor = self.run(sql, parameters)
            try:
                yield cursor
            finally:
                cursor.close()
        elif outer is None:
            with self._own_errors():
                pooled = self.engine.raw_connection()
                try:
                    yield postgres.Stream(pooled.driver_connection, sql, parameters, page, alone=True)
                finally:
                    pooled.close()
        else:
            driver = outer.connection.driver_connection
            with self._own_errors():
                rows = postgres.Stream(driver, sql, parameters, page, is_open=lambda: self._local.connection is outer)
                with closing(rows):
                    yield rows

    def insert_many(
        self, cursor: Any, prepared: Prepared, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert rows by a prepared INSERT, or many of them by COPY; ``columns`` names the values of each."""
        if self.dialect_name != "sqlite" and len(rows) > FEW:
            postgres.copy_rows(cursor, prepared.table, columns, rows)
        elif prepared.names is None:
            cursor.executemany(prepared.sql, [dict(zip(columns, row, strict=True)) for row in rows])
        else:
            in_order = itemgetter(*map(columns.index, prepared.names))
            cursor.executemany(prepared.sql, map(in_order, rows))

    def insert_rows(self, connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, all with the same columns, in an open transaction: many of them by COPY.

        Raises
        ------
        sqlalchemy.exc.IntegrityError
            They contradict each other, or what is there.
        """
        if self.dialect_name == "sqlite" or len(rows) <= FEW:
            connection.execute(sa.insert(table), list(rows))
            return
        cursor = connection.connection.cursor()
        try:
            postgres.copy_rows(cursor, table.name, list(rows[0]), (list(row.values()) for row in rows))
        except self.engine.dialect.loaded_dbapi.IntegrityError as error:
            raise sa.exc.IntegrityError("COPY", None, error) from error

    @block
    def alone(self, key: str, *, wait: bool = True) -> Iterator[bool]:
        """Do what only one may do at a time, whoever else reads and writes; yield whether it is this one.

        Parameters
        ----------
        key
            What is done.
        wait
            Whether to wait for whoever does it now, instead of leaving it to them.
        """
        if self.path is None:
            with self._own_errors(), self._connect(isolation_level="AUTOCOMMIT") as connection, \
                 postgres.alone(connection, key, wait=wait) as mine:  # fmt: skip
                yield mine
            return
        with sqlite.alone(self.path, key, wait=wait) as mine:
            yield mine

    def data_version(self) -> tuple[int, int] | None:
        """Return what changes when another connection commits to an SQLite file; None where there is no such thing.

        The number means something only to the reader that gave it, so it comes with the reader's generation.
        """
        if self.dialect_name != "sqlite":
            return None
        version = self.run("PRAGMA data_version", ()).fetchone()[0]
        return self._generation, version

    def encode_id(self, dataset_id: uuid.UUID) -> Any:
        """Turn a dataset's id into what the driver takes."""
        return dataset_id.bytes if self.dialect_name == "sqlite" else dataset_id

    @staticmethod
    def decode_id(value: Any) -> uuid.UUID:
        """Turn what the driver gives into a dataset's id."""
        return uuid.UUID(bytes=value) if isinstance(value, bytes) else value

    def make_schema(self, connection: Connection) -> None:
        """Make the schema that will hold a registry, where the database has such."""
        if self.schema is not None:
            self._schema_was_there = postgres.make_schema(connection, self.schema)

    def drop_schema(self) -> None:
        """Drop what a registry that this made consists of."""
        if self.schema is not None:
            with self.write() as connection:
                postgres.clear_schema(connection, self.schema, keep=self._schema_was_there)

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
        self._local, self._readers = _OfThread(), weakref.WeakSet()
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
