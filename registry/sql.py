"""SQL by hand: read-only, enforced by the connection and not by reading the text."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from ..model.errors import InvalidQueryError, ReadOnlyError
from .database import Database

__all__ = ["run_read_only"]


def run_read_only(
    database: Database, text: str, parameters: Mapping[str, Any] | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one statement that reads.

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
        The statement would write.
    InvalidQueryError
        The database does not take it.
    """
    connection = database.engine.connect()
    read_only = "PRAGMA query_only=ON" if database.dialect_name == "sqlite" else "SET TRANSACTION READ ONLY"
    try:
        connection.exec_driver_sql(read_only)
        result = connection.execute(sa.text(text), dict(parameters or {}))
        if not result.returns_rows:
            return [], []
        return list(result.keys()), [tuple(row) for row in result]
    except sa.exc.DBAPIError as error:
        reason = str(error.orig)
        if "readonly" in reason or "read-only" in reason or isinstance(error.orig, sqlite3.NotSupportedError):
            raise ReadOnlyError(f"SQL is for reading only here, and this would write: {text}") from error
        raise InvalidQueryError(f"{reason}\n  in: {text}") from error
    except sa.exc.SQLAlchemyError as error:
        raise InvalidQueryError(f"{error}\n  in: {text}") from error
    finally:
        connection.rollback()
        connection.invalidate()  # it keeps its read-only mode: close it rather than give it back
        connection.close()
