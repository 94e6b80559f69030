"""PostgreSQL through psycopg 3: its URLs, connections and errors, rows in bulk, and results that stream.

A repository has a schema of its own, ``?schema=name`` in its URL, so that one database holds many. The schema is the
connection's search path: statements name no schema.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..model.blocks import block
from ..model.errors import (
    ConfigError,
    ConflictingDefinitionError,
    InvalidQueryError,
    ReadOnlyError,
    RegistryUnavailableError,
    RepositoryBusyError,
    SkyButlerError,
)

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.engine import URL, Connection, Engine


__all__ = [
    "LONGEST_NAME",
    "Stream",
    "alone",
    "busy",
    "clear_schema",
    "connect",
    "copy_rows",
    "hold_paths",
    "is_postgresql",
    "lock_table",
    "make_schema",
    "open_engine",
    "pipelined",
    "schema_of",
    "session",
    "translated",
    "was_interrupted",
    "was_undone",
    "with_schema",
]

LONGEST_NAME = 63
"""Bytes of an identifier; PostgreSQL would cut longer ones without a word."""
_UNDONE = frozenset({"40001", "40P01"})
"""SQLSTATEs of a transaction that was undone for the sake of another: serialization failure, deadlock."""
_BUSY = frozenset({"55P03", "57014"})
"""SQLSTATEs of a lock that was not had, or a statement not done, in time."""
_DENIED = frozenset({"25006", "42501"})


def is_postgresql(url: object) -> bool:
    """Whether something is the URL of a PostgreSQL database."""
    return isinstance(url, str) and url.partition("://")[0] in ("postgresql", "postgresql+psycopg")


def parse_url(text: str) -> tuple[URL, str | None]:
    """Return a URL with the driver in it and the schema taken out, and the schema.

    Raises
    ------
    ConfigError
        It is no such URL, or the schema's name can be none.
    """
    try:
        url = sa.make_url(text).set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError) as error:
        raise ConfigError(f"a registry's URL cannot be read: {error}.") from error
    schema = url.query.get("schema")
    if schema is not None and (
        not isinstance(schema, str)
        or not schema.isprintable()
        or not schema
        or len(schema.encode()) > LONGEST_NAME
        or schema.startswith("pg_")
        or schema == "information_schema"
    ):
        raise ConfigError(
            f"{schema!r} cannot name a schema: one name of 1 to {LONGEST_NAME} bytes, not one of PostgreSQL's own."
        )
    if "options" in url.query:
        raise ConfigError(
            "a registry's URL cannot have options=…: set them for the database's role (ALTER ROLE … SET)."
        )
    kept = url.difference_update_query(["schema"])
    defaults = {"connect_timeout": "15", "application_name": "skybutler"}
    return kept.update_query_dict({k: v for k, v in defaults.items() if k not in kept.query}), schema


def schema_of(url: str) -> str | None:
    """Return the schema that a URL names."""
    return parse_url(url)[1]


def with_schema(url: str, repository_id: uuid.UUID) -> str:
    """Return a URL with a schema: the one that it names, else one that is named after a repository."""
    if schema_of(url) is not None:
        return url
    named = sa.make_url(url).update_query_dict({"schema": f"repository_{repository_id.hex}"})
    return named.render_as_string(hide_password=False)


def open_engine(text: str, *, writeable: bool, timeout: float) -> tuple[Engine, str | None]:
    """Return an engine whose connections see one schema, and the schema's name.

    Parameters
    ----------
    text
        The URL.
    writeable
        Whether its connections may change anything.
    timeout
        Seconds to wait for a lock.

    Raises
    ------
    ConfigError
        The URL cannot be used, or the driver is not installed.
    """
    url, schema = parse_url(text)
    try:
        engine = sa.create_engine(
            url, connect_args=session(schema, writeable=writeable, timeout=timeout), pool_size=8, max_overflow=-1,
            pool_use_lifo=True, use_native_hstore=False,
        )  # fmt: skip
    except ImportError as error:
        raise ConfigError(
            "a registry on PostgreSQL needs psycopg, which is not installed: pip install 'skybutler[postgres]'."
        ) from error
    except (sa.exc.ArgumentError, TypeError) as error:
        raise ConfigError(f"a registry's URL cannot be used: {error}.") from error
    sa.event.listen(engine, "do_connect", lambda dialect, record, given, named: connect(*given, **named))
    sa.event.listen(engine, "checkout", _refuse_closed)
    return engine, schema


def connect(*arguments: Any, **options: Any) -> Any:
    """Open a connection of the driver's."""
    return _connection_class().connect(*arguments, **options)


def _refuse_closed(connection: Any, record: object, pooled: object) -> None:
    """Let the pool replace an idle connection that its server has closed.

    SQLAlchemy's own way (``pool_pre_ping``) makes another error of Ctrl-C while it waits.
    """
    import psycopg

    try:
        answer = connection.pgconn.exec_(b";")
    except psycopg.OperationalError as error:
        raise sa.exc.DisconnectionError(str(error)) from error
    if answer.status != psycopg.pq.ExecStatus.EMPTY_QUERY:
        raise sa.exc.DisconnectionError("an idle connection was closed")


@cache
def _connection_class() -> type[psycopg.Connection[Any]]:
    import psycopg
    from psycopg import waiting

    class SettledConnection(psycopg.Connection[Any]):
        """A connection that Ctrl-C does not leave in the midst of a query, its transaction open and its locks held."""

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            """Wait for the server; the driver's own way of heeding Ctrl-C gets out of step with a pipeline."""
            try:
                return waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=timeout)
            except BaseException as error:
                if not isinstance(error, Exception) and not self.pgconn.pipeline_status:
                    _give_up(self)  # a pipeline gives it up at its end
                raise

    return SettledConnection


def _settle(connection: psycopg.Connection[Any]) -> None:
    """End what is on its way, so that nothing of it is done later; whatever the driver knows of it is wrong then."""
    inner = connection.pgconn
    if inner.transaction_status == _ACTIVE:
        connection.cancel_safe()
    if inner.pipeline_status:
        inner.pipeline_sync()
    while inner.transaction_status == _ACTIVE:
        inner.get_result()


def _give_up(connection: psycopg.Connection[Any]) -> None:
    """Undo what was begun on a connection that Ctrl-C came upon, and close it: who needs one next opens another."""
    try:
        if not connection.closed:
            _settle(connection)
            connection.pgconn.exec_(b"ROLLBACK")  # the driver's own would wait for a lock that this thread holds
    finally:
        connection.close()


def session(schema: str | None, *, writeable: bool, timeout: float) -> dict[str, Any]:
    """Return what a connection is opened with, besides its URL: see `open_engine`."""
    settings = {
        "lock_timeout": f"{max(1, round(timeout * 1000))}ms",
        "cursor_tuple_fraction": "1",  # results are read to their end, mostly
        "timezone": "UTC",
        "client_encoding": "utf8",
    }
    if schema is not None:
        settings["search_path"] = '"' + schema.replace('"', '""') + '"'
    if not writeable:
        settings["default_transaction_read_only"] = "on"
    escaped = {name: value.replace("\\", "\\\\").replace(" ", "\\ ") for name, value in settings.items()}
    return {
        "options": " ".join(f"-c {name}={value}" for name, value in escaped.items()),
        "prepare_threshold": 2,
    }


# Errors


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an error is only that something cannot go on after Ctrl-C."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _of_driver(error: BaseException | None) -> Any:
    """Return the driver's own error, where SQLAlchemy wraps it."""
    return getattr(error, "orig", None) or error


def was_undone(error: SkyButlerError) -> bool:
    """Whether an error says that a transaction was undone for the sake of another, and may be done again."""
    return getattr(_of_driver(error.__cause__), "sqlstate", None) in _UNDONE


def busy(where: object, timeout: float) -> RepositoryBusyError:
    """Return the error that says that a lock could not be had."""
    return RepositoryBusyError(
        f"others have kept {where} locked for {timeout:g} s; nothing was changed, so try again later."
    )


def translated(error: Exception, where: object, timeout: float) -> SkyButlerError | None:
    """Return an error of our own for one of the driver's; None where it is the caller's business.

    What contradicts the tables (integrity) is: only callers know what they wanted to write.
    """
    import psycopg

    cause = _of_driver(error)
    state = getattr(cause, "sqlstate", None) or ""
    first = str(cause).strip().partition("\n")[0]
    if state in _UNDONE:
        return RepositoryBusyError(f"what others change in {where} was in the way ({first}); nothing was changed.")
    if state in _BUSY:
        return busy(where, timeout)
    if state in _DENIED:
        return ReadOnlyError(f"{where} may not be changed so: {first}.")
    if isinstance(cause, psycopg.DataError):
        return InvalidQueryError(f"PostgreSQL cannot hold or compute a value: {first}.")
    if isinstance(error, sa.exc.TimeoutError) or state[:2] in ("08", "53", "57"):
        return RegistryUnavailableError(f"{where} does not answer: {first}.")
    if isinstance(cause, psycopg.ProgrammingError) and "connection option" in first:
        return ConfigError(f"the URL of {where} cannot be used: {first}.")
    if isinstance(cause, psycopg.OperationalError) and state[:2] in ("", "28", "3D"):
        return RegistryUnavailableError(
            f"{where} cannot be reached: {first}. See whether it runs, and whether host, port, database and user are "
            "right in its URL: `registry` in skybutler.yaml."
        )
    return None


# A repository's schema


def make_schema(connection: Connection, schema: str) -> bool:
    """Make a schema, unless it is there and empty; return whether it was there.

    Raises
    ------
    ConflictingDefinitionError
        It holds tables of something else, or is being made by another at this moment.
    """
    there = connection.execute(sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": schema}).scalar()
    if there is None:
        try:
            connection.execute(sa.schema.CreateSchema(schema))
        except (sa.exc.IntegrityError, sa.exc.ProgrammingError) as error:
            if getattr(error.orig, "sqlstate", None) not in ("23505", "42P06"):
                raise
            raise ConflictingDefinitionError(f"the schema {schema!r} is being made by another.") from error
        return False
    tables = set(_tables(connection, schema))
    if tables and "alembic_version" not in tables:
        raise ConflictingDefinitionError(
            f"the schema {schema!r} holds other things ({', '.join(sorted(tables)[:5])}); name one of its own for a "
            f"repository, or none: it is then named after the repository."
        )
    return True


def clear_schema(connection: Connection, schema: str, *, keep: bool) -> None:
    """Drop a schema with all that is in it; or only what is in it."""
    if not keep:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
        return
    quote = connection.dialect.identifier_preparer.quote
    for table in _tables(connection, schema):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {quote(schema)}.{quote(table)} CASCADE")


def _tables(connection: Connection, schema: str) -> list[str]:
    query = sa.text("SELECT tablename FROM pg_tables WHERE schemaname = :name")
    return list(connection.execute(query, {"name": schema}).scalars())


# Locks


@block
def alone(connection: Connection, key: str, *, wait: bool) -> Iterator[bool]:
    """Do what only one may do at a time in a database and schema; yield whether it is this one.

    The server lets the lock go with the connection, however that ends.
    """
    name = {"name": key}
    lock = "hashtextextended(current_schema || ' ' || :name, 0)"
    taken = connection.execute(
        sa.text(f"SELECT pg_advisory_lock({lock}) IS NOT NULL" if wait else f"SELECT pg_try_advisory_lock({lock})"),
        name,
    ).scalar_one()
    try:
        yield bool(taken)
    finally:
        if taken:
            connection.execute(sa.text(f"SELECT pg_advisory_unlock({lock})"), name)


def hold_paths(cursor: Any, paths: Sequence[str]) -> None:
    """Keep the rows that name some paths, of datasets and of removed ones, from change until the transaction ends."""
    cursor.execute("SELECT 1 FROM stored_file WHERE path = ANY(%s) FOR SHARE", [list(paths)])
    cursor.execute(
        "SELECT 1 FROM trash_file JOIN trash USING (dataset_id) WHERE path = ANY(%s) FOR SHARE OF trash", [list(paths)]
    )


def lock_table(connection: Connection, table: str) -> None:
    """Wait for those who are writing into a table, and let nobody else until the transaction ends."""
    connection.exec_driver_sql(f'LOCK TABLE "{table}" IN SHARE ROW EXCLUSIVE MODE')


# Many rows


def copy_rows(cursor: Any, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows by COPY; a cursor in a pipeline cannot do it."""
    from psycopg import sql

    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as copy:
        for row in rows:
            copy.write_row(row)


@block
def pipelined(connection: Any, *, alone: bool) -> Iterator[Any]:
    """Open a transaction on an autocommit connection of the driver; its statements travel together.

    Parameters
    ----------
    connection
        The connection.
    alone
        Whether each statement is to travel by itself, as COPY must.
    """
    import psycopg

    cursor = connection.cursor()
    try:
        if alone:
            cursor.execute("BEGIN")
            yield cursor
            cursor.execute("COMMIT")
        else:
            with connection.pipeline() as pipeline:
                try:
                    cursor.execute("BEGIN")
                    yield cursor
                    cursor.execute("COMMIT")
                    pipeline.sync()
                except Exception:
                    with suppress(psycopg.Error):  # what was on its way behind the first error was not done, either
                        pipeline.sync()
                    raise
                except BaseException:
                    _settle(connection)
                    pipeline.command_queue.clear()
                    pipeline.result_queue.clear()
                    raise
    except BaseException as error:
        if not isinstance(error, Exception) or was_interrupted(error):
            _give_up(connection)
        elif not connection.closed:
            connection.rollback()
        raise


class Stream:
    """A cursor of the server's: its rows come page by page, and only a page is in memory, here or there.

    Parameters
    ----------
    connection
        The driver's connection. It is in a transaction of which the cursor becomes a part, or is idle.
    sql, parameters
        The query.
    page
        How many rows are fetched at once.
    alone
        Whether the connection is here for this query only: its transaction, and so its snapshot, is the cursor's own.
    is_open
        Says whether the transaction that the cursor is part of is still the one that this thread is in.
    """

    def __init__(
        self,
        connection: Any,
        sql: str,
        parameters: Any,
        page: int,
        *,
        alone: bool = False,
        is_open: Callable[[], bool] = lambda: True,
    ):
        self._connection = connection
        self._page = page
        self._is_open = is_open
        # A name that is always the same lets the server keep the statements prepared.
        self._name = "stream" if alone else f"stream_{next(_numbers)}"
        self._prepare = None if alone else False
        with connection.pipeline():  # one journey for all of it
            if alone:
                connection.execute("SET TRANSACTION READ ONLY")
            self._execute(f"DECLARE {self._name} NO SCROLL CURSOR FOR {sql}", parameters)
            self._first = self._fetch()
        self._last = page

    def _execute(self, statement: str, parameters: Any = None) -> Any:
        return self._connection.execute(statement, parameters, prepare=self._prepare)

    def _fetch(self) -> Any:
        return self._execute(f"FETCH {self._page} FROM {self._name}")

    def fetchmany(self, size: int) -> list[Any]:
        """Return the next page; an empty one after the last.

        Raises
        ------
        InvalidQueryError
            The transaction that the cursor was part of has ended.
        """
        cursor, self._first = self._first, None
        if cursor is None:
            if self._last < self._page:
                return []
            if not self._is_open():
                raise InvalidQueryError(
                    "the transaction in which these results were begun is over, and the rest of them with it; read "
                    "them to their end within it, or begin after it."
                )
            cursor = self._fetch()
        with closing(cursor):
            rows: list[Any] = cursor.fetchall()
        self._last = len(rows)
        return rows

    def close(self) -> None:
        """Give up what has not been fetched."""
        if self._is_open() and self._connection.info.transaction_status == _IN_TRANSACTION:
            self._execute(f"CLOSE {self._name}")


_numbers = itertools.count()
_ACTIVE, _IN_TRANSACTION = 1, 2
"""PQTRANS_ACTIVE: a query is on its way. PQTRANS_INTRANS: a transaction is open, and nothing in it has failed."""
