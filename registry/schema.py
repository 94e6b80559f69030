"""The schema's version: making a registry, opening one, and telling one that this version does not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.dimensions import DimensionUniverse, universe_from_json
from ..model.errors import RepositoryVersionError
from .database import Database

__all__ = ["SCHEMA_VERSION", "check_version", "create_schema", "migrate", "read_universe"]

SCHEMA_VERSION = "0004"
"""The Alembic revision that this version reads and writes: the newest in ``migrations/versions``."""


def create_schema(database: Database, universe: DimensionUniverse) -> None:
    """Make all tables by running the migrations from the first to the newest, in one transaction.

    Raises
    ------
    RepositoryVersionError
        The database holds a registry already.
    """
    from alembic import command

    with database.write() as connection:
        if current_version(connection) is not None:
            raise RepositoryVersionError(f"{database} holds a registry already.")
        config = alembic_config(connection)
        config.attributes["universe"] = universe
        command.upgrade(config, SCHEMA_VERSION)


def migrate(database: Database, to: str = SCHEMA_VERSION, *, dry_run: bool = False) -> tuple[str, list[str]]:
    """Bring a registry to a newer version of the schema, in one transaction: all the way, or not at all.

    Parameters
    ----------
    database
        What holds it.
    to
        The version wanted.
    dry_run
        Whether all is undone in the end.

    Returns
    -------
    version, statements
        The version that it had, and the SQL that changed it; none where there was nothing to do.

    Raises
    ------
    RepositoryVersionError
        There is no such version, or the registry is of a newer one; or there is no registry.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            said.append(statement.strip())

    check_registry(database)
    with database.write() as connection:
        found = current_version(connection) or ""
        config = alembic_config(connection)
        known = sorted(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())
        if to not in known or found not in known:
            unknown = to if to not in known else found
            raise RepositoryVersionError(
                f"this version of SkyButler knows no schema {unknown}; it knows {', '.join(known)}."
            )
        if to < found:
            raise RepositoryVersionError(f"{database} has schema {found} already; there is no way back to {to}.")
        with connection.begin_nested() as trial:
            sa.event.listen(connection, "before_cursor_execute", note)
            try:
                command.upgrade(config, to)
            finally:
                sa.event.remove(connection, "before_cursor_execute", note)
            if dry_run:
                trial.rollback()
    return found, said


def alembic_config(connection: Connection) -> Any:
    """Return Alembic's configuration for the migrations that come with the package, on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    config.attributes["connection"] = connection
    return config


def current_version(connection: Connection) -> str | None:
    """Return the revision that a database is at, None where it holds no registry."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def check_registry(database: Database) -> str | None:
    """Return the revision that a database is at.

    Raises
    ------
    RepositoryVersionError
        It holds no registry.
    """
    try:
        with database.read() as connection:
            found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except sa.exc.DatabaseError as error:
        raise RepositoryVersionError(f"{database} holds no SkyButler registry: {error.orig}.") from error
    return found


def check_version(database: Database) -> None:
    """Raise unless a database's schema is the one that this version reads.

    Raises
    ------
    RepositoryVersionError
        It is older, newer, or no registry at all.
    """
    found = check_registry(database)
    if found != SCHEMA_VERSION:
        is_older = found is not None and found < SCHEMA_VERSION
        raise RepositoryVersionError(
            f"{database} has schema {found}; this version of SkyButler reads {SCHEMA_VERSION}. "
            + (
                "`skybutler migrate REPO` brings it up to that."
                if is_older
                else "Install a newer SkyButler to read it."
            )
        )


def read_universe(database: Database) -> DimensionUniverse:
    """Return the universe that a repository was made with."""
    with database.read() as connection:
        text = connection.exec_driver_sql("SELECT value FROM attribute WHERE name = 'universe'").scalar_one()
    return universe_from_json(text)
