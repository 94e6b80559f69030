"""The schema's version: making a registry, opening one, and telling one that this version does not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.dimensions import DimensionUniverse, universe_from_json
from ..model.errors import RepositoryVersionError
from .database import Database

__all__ = ["SCHEMA_VERSION", "check_version", "create_schema", "read_universe"]

SCHEMA_VERSION = "0001"
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


def check_version(database: Database) -> None:
    """Raise unless a database's schema is the one that this version reads.

    Raises
    ------
    RepositoryVersionError
        It is older, newer, or no registry at all.
    """
    try:
        with database.read() as connection:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except sa.exc.DatabaseError as error:
        raise RepositoryVersionError(f"{database} holds no SkyButler registry: {error.orig}.") from error
    if found != SCHEMA_VERSION:
        raise RepositoryVersionError(
            f"{database} has schema {found}; this version of SkyButler reads {SCHEMA_VERSION}. "
            f"Install the version of SkyButler that wrote it."
        )


def read_universe(database: Database) -> DimensionUniverse:
    """Return the universe that a repository was made with."""
    with database.read() as connection:
        text = connection.exec_driver_sql("SELECT value FROM attribute WHERE name = 'universe'").scalar_one()
    return universe_from_json(text)
