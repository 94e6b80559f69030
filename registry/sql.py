"""SQL by hand: read-only, enforced by the database and not by reading the text."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from ..model.errors import InvalidQueryError, ReadOnlyError
from .database import Database

__all__ = ["run_read_only"]

_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_PRAGMAS = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
                      "foreign_key_list", "database_list", "collation_list", "function_list"})  # fmt: skip
"""Pragmas that describe the schema; others change the connection, the file or even the whole process."""


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
        The database does not take it.
    """
    if database.dialect_name == "sqlite":
        return _run_sqlite(database, text, parameters or {})
    return _run_other(database, text, parameters or {})


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


def _run_other(database: Database, text: str, parameters: Mapping[str, Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
    connection = database.engine.connect()
    try:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        result = connection.execute(sa.text(text), dict(parameters))
        if not result.returns_rows:
            return [], []
        return list(result.keys()), [tuple(row) for row in result]
    except sa.exc.DBAPIError as error:
        if "read-only" in str(error.orig):
            raise ReadOnlyError(f"SQL is for reading only here, and this would write: {text}") from error
        raise InvalidQueryError(f"{error.orig}\n  in: {text}") from error
    except sa.exc.SQLAlchemyError as error:
        raise InvalidQueryError(f"{error}\n  in: {text}") from error
    finally:
        connection.rollback()
        connection.invalidate()  # its settings may be others now: close it rather than give it back
        connection.close()
