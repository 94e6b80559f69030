"""Making a repository, and telling whether one may be changed."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..model.collections import CollectionType
from ..model.dimensions import DimensionUniverse
from ..model.errors import ConfigError, ConflictingDefinitionError, ReadOnlyError, RepositoryNotFoundError
from ..registry.database import Database
from ..registry.registry import Registry
from ..registry.schema import SCHEMA_VERSION, migrate
from ..registry.tables import Tables
from .config import FILE_NAME, RepositoryConfig
from .places import check_places, in_yaml, open_datastore
from .standard import DEFAULT_COLLECTION, DEFAULT_RUN, standard_dataset_types

__all__ = ["create_repository", "may_write", "migrate_repository", "remove_folder", "temporary_folder"]

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of one's own in it


def create_repository(
    root: Path,
    registry: str | None,
    datastore: Any,
    cache: Any,
    universe: str | Path | Mapping[str, Any] | DimensionUniverse | None,
    settings: Mapping[str, Any] | None = None,
) -> RepositoryConfig:
    """Make a repository whole, or leave nothing; parameters and errors are those of `Butler.create`."""
    if universe is not None:  # read, and its tables thought out, before anything is written
        from ..model.universe_definition import load_universe

        universe = load_universe(universe)
        Tables(universe)
    places = open_datastore(datastore, cache, root)
    if not any(place.changes for place in places.roots):
        raise ConfigError(
            f"none of {', '.join(place.store.location for place in places.roots)} can be written to, and a new "
            "repository needs a place that can: name a folder or a bucket, too."
        )
    check_places(places)
    if root.is_file():
        raise ConflictingDefinitionError(f"{str(root)!r} is a file; a repository is a folder.")
    repository_id = uuid.uuid4()
    config = RepositoryConfig.new(root, registry, repository_id, _settings(settings or {}, datastore, cache))
    database = config.database
    is_new = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    try:
        if (root / FILE_NAME).exists():
            raise FileExistsError(root / FILE_NAME)
        if isinstance(database, Path):  # whoever makes the file makes the repository, and only they clear it away
            database.parent.mkdir(parents=True, exist_ok=True)
            database.touch(exist_ok=False)
    except FileExistsError as error:
        if not (root / FILE_NAME).exists():
            raise ConflictingDefinitionError(
                f"{str(root)!r} has {config.registry} and no {FILE_NAME}: a repository is being made there, or its "
                f"making was cut off. If nobody is making one, remove {config.registry} and create it again."
            ) from error
        raise ConflictingDefinitionError(
            f"{str(root)!r} is a repository already; open it with Butler({str(root)!r})."
        ) from error
    try:
        made = Registry.create(database, universe, repository_id=repository_id, fill=_fill)
    except BaseException:
        _clear_away(database)
        if is_new:
            with suppress(OSError):  # another's, by now
                root.rmdir()
        raise
    try:
        config.save()
    except BaseException as error:
        made.database.drop_schema()
        made.close()
        _clear_away(database)
        if isinstance(error, FileExistsError):
            raise ConflictingDefinitionError(f"another has just made a repository of {str(root)!r}.") from error
        raise
    made.close()
    return config


def _settings(said: Mapping[str, Any], datastore: Any, cache: Any) -> dict[str, Any]:
    """Return the settings of a new repository; ConfigError where one is not theirs, or YAML cannot say it."""
    import yaml

    for name in ("version", "registry", "datastore", "cache"):
        if name in said:
            raise ConfigError(f"config says {name!r}, which is an argument of its own, or not to be chosen.")
    settings: dict[str, Any] = in_yaml({"datastore": datastore, "cache": cache, **said})
    try:
        yaml.safe_dump(settings)
    except yaml.YAMLError as error:
        raise ConfigError(f"config says what YAML cannot: {error}") from error
    return settings


def _fill(made: Registry) -> None:
    """Give a new repository what every one has."""
    for dataset_type in standard_dataset_types(made.universe):
        made.register_dataset_type(dataset_type)
    made.collections.register(DEFAULT_RUN, CollectionType.RUN, "What is put without naming a RUN.")
    made.collections.register(DEFAULT_COLLECTION, CollectionType.CHAINED, "What is searched by default.")
    made.collections.prepend_chain(DEFAULT_COLLECTION, DEFAULT_RUN)


def migrate_repository(root: str | Path, to: str | None = None, *, dry_run: bool = False) -> tuple[str, list[str]]:
    """Bring a repository's registry to a newer version of the schema; see `registry.schema.migrate`.

    Parameters
    ----------
    root
        The repository's folder.
    to
        The version wanted; the one that this SkyButler reads where left out.
    dry_run
        Whether the SQL is only tried and shown.

    Raises
    ------
    RepositoryNotFoundError
        The folder is no repository, or its registry's file is not there.
    RepositoryVersionError
        There is no such version, or no way to it.
    ReadOnlyError
        The repository may not be changed.
    """
    config = RepositoryConfig.load(root)
    where = config.database
    if isinstance(where, Path) and not where.is_file():
        raise RepositoryNotFoundError(f"the registry's database, {str(where)!r}, is not there.")
    if not may_write(config):
        raise ReadOnlyError(f"{str(config.root)!r} may not be written to; its owner can migrate it.")
    database = Database(where)
    try:
        return migrate(database, to or SCHEMA_VERSION, dry_run=dry_run)
    finally:
        database.close()


def may_write(config: RepositoryConfig) -> bool:
    """Whether the permissions of a repository's folder and registry let it be changed."""
    database = config.database
    if isinstance(database, Path):
        return os.access(config.root, os.W_OK) and (not database.exists() or os.access(database, os.W_OK))
    return os.access(config.root, os.W_OK)


def temporary_folder() -> Path:
    """Make a folder for a repository that need not last: in memory, where the system has such."""
    in_memory = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK)
    return Path(tempfile.mkdtemp(prefix="skybutler-", dir=_SHARED_MEMORY if in_memory else None))


def remove_folder(folder: Path) -> None:
    """Remove such a folder, with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def _clear_away(database: str | Path) -> None:
    """Remove the file of a registry that could not be made whole."""
    if isinstance(database, Path):
        for suffix in ("", "-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
