"""SQL by hand: read-only, enforced by the database and not by reading the text."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from ..model.errors import InvalidQueryError, ReadOnlyError
from .database import Database

__all__ = ["run_read_only"]

_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_PRAGMAS = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
                      "foreign_key_list", "database_list", "collation_list", "function_list"})  # fmt: skip
"""Pragmas that describe the schema; others change the connection, the file or even the whole process."""

_WOULD_WRITE = frozenset({"25006", "0A000", "42P11", "25001", "2D000"})
"""SQLSTATEs of what a transaction that reads only, or a cursor, cannot do."""
_CURSOR = "DECLARE reader NO SCROLL CURSOR FOR "
_EXPLAIN = re.compile(r"EXPLAIN\b\s*(\([^)]*\)|(ANALYZE|VERBOSE|\s)*)", re.IGNORECASE)
_TOKENS = re.compile(
    r"""[eE]'(?:[^'\\]|\\.|'')*' | '[^']*' | "[^"]*" | --[^\n]* | /\*.*?\*/ | (?P<tag>\$\w*\$).*?(?P=tag)
      | :: | := | :(?P<name>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)
"""What may hold a colon that is no parameter's, and parameters."""


def run_read_only(
    database: Database, text: str, parameters: Mapping[str, Any] | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one statement that reads what has been committed.

    Parameters
    ----------
    database
        Where.
    text
        SQL; parameters are written ``:name``.
    parameters
        Their values.

    Returns
    -------
    names, rows
        Column names, and the rows.

    Raises
    ------
    ReadOnlyError
        The statement would do something else than read.
    InvalidQueryError
        It is no string, its parameters are no mapping, or the database does not take it.
    """
    if not isinstance(text, str):
        raise InvalidQueryError(f"SQL is a string, such as 'SELECT * FROM v_datasets'; not {text!r}.")
    if not isinstance(parameters, Mapping | None):
        raise InvalidQueryError(f"parameters are a dict of values by name, {{'x': 1}} for :x; not {parameters!r}.")
    if database.dialect_name == "sqlite":
        return _run_sqlite(database, text, parameters or {})
    return _run_postgresql(database, text, parameters or {})


def _run_sqlite(
    database: Database, text: str, parameters: Mapping[str, Any]
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run it on a connection of its own, which SQLite asks us about at each thing that the statement would do."""
    refused: list[int] = []

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        harmless_pragma = action == sqlite3.SQLITE_PRAGMA and str(first).lower() in _PRAGMAS
        loads_code = action == sqlite3.SQLITE_FUNCTION and str(second).lower() == "load_extension"
        if harmless_pragma or (action in _ALLOWED and not loads_code):
            return sqlite3.SQLITE_OK
        refused.append(action)
        return sqlite3.SQLITE_DENY

    with closing(database.connect_sqlite(read_only=True)) as connection:
        connection.set_authorizer(authorize)
        try:
            cursor = connection.execute(text, dict(parameters))
            rows = cursor.fetchall()
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            if refused or "readonly" in str(error):
                raise ReadOnlyError(f"SQL is for reading only here; this would do more: {text}") from error
            raise InvalidQueryError(f"{error}\n  in: {text}") from error
    if cursor.description is None:
        raise InvalidQueryError(f"there is no statement in: {text}")
    return [column[0] for column in cursor.description], rows


def _run_postgresql(
    database: Database, text: str, parameters: Mapping[str, Any]
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run it on a connection of its own, in a transaction that reads only, as the query of a cursor.

    Only a query that changes nothing can be a cursor's, and the protocol takes one statement at a time here: there is
    none that could end the transaction.
    """
    import psycopg

    statement, values = numbered(text, parameters)
    with closing(database.connect_read_only()) as connection:
        try:
            cursor = psycopg.RawCursor(connection)
            is_query = _is_cursor_query(connection, statement)
            cursor.execute(f"{_CURSOR if is_query else ''}{statement}", values, prepare=True)
            if is_query:
                cursor.execute("FETCH ALL FROM reader")
            rows = cursor.fetchall() if cursor.description is not None else []
        except (psycopg.Error, UnicodeError) as error:
            state = getattr(error, "sqlstate", None)
            if state in _WOULD_WRITE:
                raise ReadOnlyError(f"SQL is for reading only here; this would do more: {text}") from error
            raise InvalidQueryError(f"{str(error).strip()}\n  in: {text}") from error
    if cursor.description is None:
        raise InvalidQueryError(f"there is no statement in: {text}")
    return [column.name for column in cursor.description], rows


def _is_cursor_query(connection: Any, statement: str) -> bool:
    """Whether a statement is read by a cursor; EXPLAIN and SHOW are not. What else is valid is refused."""
    from psycopg import pq

    def parses(text: str) -> bool:
        result = connection.pgconn.prepare(b"", text.encode())
        connection.execute("ROLLBACK TO parsed")
        return bool(result.status == pq.ExecStatus.COMMAND_OK)

    bare = _TOKENS.sub(lambda found: " " if found[0][:2] in ("--", "/*") else found[0], statement).strip(" \t\r\n;")
    if not bare:
        raise InvalidQueryError(f"there is no statement in: {statement}")
    connection.execute("SAVEPOINT parsed")
    if parses(_CURSOR + statement):
        return True
    explained = _EXPLAIN.sub("", bare)
    is_harmless = bare.upper().startswith("SHOW") or (explained != bare and parses(_CURSOR + explained))
    if not is_harmless and parses(statement):
        raise ReadOnlyError(f"SQL is for reading only here; this would do more: {statement}")
    return False


def numbered(text: str, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return a statement with ``$1`` for each ``:name`` that stands in no string, name or comment, and the values.

    Raises
    ------
    InvalidQueryError
        A value is not given.
    """
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        if name not in parameters:
            raise InvalidQueryError(f"no value is given for :{name}\n  in: {text}")
        return f"${names.setdefault(name, len(names) + 1)}"

    return _TOKENS.sub(number, text), [parameters[name] for name in names]
