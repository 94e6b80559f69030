"""The repository's own file, ``skybutler.yaml``: where its registry and its files are."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..model.errors import ConfigError, RepositoryNotFoundError, RepositoryVersionError, StorageClassError, closest
from ..model.storage_class import StorageClass, described_storage_class
from ..model.storage_classes import StorageClasses
from ..registry.postgres import is_postgresql, with_schema
from ..storage.formatters import formatter_names
from .header_values import HeaderKeys
from .places import seconds

__all__ = ["FILE_NAME", "RepositoryConfig"]

FILE_NAME = "skybutler.yaml"
_VERSION = 1
_SQLITE_NAME = "registry.sqlite3"
_SETTINGS = ("version", "registry", "datastore", "cache", "header_values", "compression", "ingest_checksums", "trash",
             "storage_classes")  # fmt: skip


@dataclass(frozen=True, slots=True)
class RepositoryConfig:
    """What ``skybutler.yaml`` says."""

    root: Path
    """The folder that the file lies in."""
    registry: str
    """The registry's database: a file below the root, or an SQLAlchemy URL."""
    datastore: Any = None
    """Where the files are, in the words of `places`; this folder where left out."""
    cache: Any = None
    """What is kept here of files that are elsewhere; see `places`."""
    header_keys: HeaderKeys = field(default_factory=HeaderKeys)
    """The header values that datasets can be found by."""
    compression: Mapping[str, str | None] = field(default_factory=dict)
    """How the pixels of new datasets are compressed, by dataset type; ``*`` stands for all others."""
    ingest_checksums: bool = True
    """Whether files that are ingested without being copied are read for their checksums."""
    trash: timedelta = timedelta(days=7)
    """For how long removed datasets can be restored; ``0`` removes them at once."""
    storage_classes: StorageClasses = field(default_factory=StorageClasses)
    """The storage classes that it describes, and those that every process knows."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All that the file says, as it says it."""

    @property
    def database(self) -> str | Path:
        """The database as `Database` takes it."""
        return self.registry if "://" in self.registry else self.root / self.registry

    @classmethod
    def new(
        cls, root: Path, registry: str | None, repository_id: uuid.UUID, settings: Mapping[str, Any]
    ) -> RepositoryConfig:
        """Return the configuration of a repository that is about to be made.

        A PostgreSQL database holds many: where the URL names no schema, the repository gets one named after itself.

        Parameters
        ----------
        root
            The repository's folder.
        registry
            The registry's database; an SQLite file in the folder where left out.
        repository_id
            What the repository will be known by.
        settings
            What else the file says.

        Raises
        ------
        ConfigError, StorageClassError
            As `load`.
        """
        if is_postgresql(registry):
            registry = with_schema(str(registry), repository_id)
        return cls._of({"version": _VERSION, "registry": registry or _SQLITE_NAME, **settings}, root / FILE_NAME)

    @classmethod
    def load(cls, path: str | Path) -> RepositoryConfig:
        """Read the configuration of a repository.

        Parameters
        ----------
        path
            The repository's folder, or its ``skybutler.yaml``.

        Raises
        ------
        RepositoryNotFoundError
            There is none.
        RepositoryVersionError
            It was written by a later SkyButler.
        StorageClassError
            A storage class that it describes makes no sense, or has the name of one of SkyButler's own.
        ConfigError
            A setting has a value that it cannot have, or a name that is nearly another's.
        """
        import yaml

        path = Path(path)
        file = path if path.name == FILE_NAME else path / FILE_NAME
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            what = "is a folder without" if path.is_dir() else "is not there, nor a" if not path.exists() else "has no"
            raise RepositoryNotFoundError(
                f"{str(path)!r} is no SkyButler repository: it {what} {FILE_NAME}. Make one with `skybutler create`."
            ) from None
        try:
            content: Any = yaml.safe_load(text)
            version, _ = content["version"], content["registry"]
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise RepositoryNotFoundError(f"{file} does not say what a repository is: {error}.") from error
        if version != _VERSION:
            raise RepositoryVersionError(f"{file} is of version {version}; this SkyButler reads version {_VERSION}.")
        return cls._of(content, file)

    @classmethod
    def _of(cls, content: Mapping[str, Any], file: Path) -> RepositoryConfig:
        """Return what settings mean."""
        _check_keys(content, file)
        return cls(
            file.parent,
            content["registry"],
            content.get("datastore"),
            content.get("cache"),
            header_keys=HeaderKeys(content.get("header_values")),
            compression=_compression(content.get("compression")),
            ingest_checksums=_yes_or_no(content.get("ingest_checksums", True), "ingest_checksums"),
            trash=timedelta(seconds=seconds(content.get("trash", "7 days"), f"trash in {FILE_NAME}")),
            storage_classes=_storage_classes(content.get("storage_classes") or {}, file),
            settings=content,
        )

    def save(self) -> None:
        """Write ``skybutler.yaml``, whole or not at all.

        Raises
        ------
        FileExistsError
            There is one by now.
        """
        import yaml

        header = "# A SkyButler repository. The registry is a file beside this one, or an SQLAlchemy URL.\n"
        text = header + yaml.safe_dump(
            {key: value for key, value in self.settings.items() if value is not None}, sort_keys=False
        )
        temporary = self.root / f".{FILE_NAME}.{os.getpid()}"
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        target = self.root / FILE_NAME
        try:
            target.hardlink_to(temporary)  # refused where another was faster; `replace` would not be
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _check_keys(content: Mapping[str, Any], file: Path) -> None:
    """Refuse a setting that is meant for another; one that is like none, which a later SkyButler may know, is told.

    Raises
    ------
    ConfigError
        If a setting is misspelt.
    """
    for name in content:
        if name in _SETTINGS:
            continue
        if near := closest(str(name), _SETTINGS):
            raise ConfigError(f"{file} has no setting {name!r}.{near}")
        logging.getLogger(__name__).warning(
            "%s has a setting %r, which this SkyButler does not know; it has %s", file, name, ", ".join(_SETTINGS)
        )


def _storage_classes(described: Any, file: Path) -> StorageClasses:
    """Return the storage classes that a repository describes, beside all others.

    Raises
    ------
    ConfigError
        They are not described by their names.
    StorageClassError
        A description makes no sense.
    """
    if not isinstance(described, Mapping):
        raise ConfigError(
            f"storage_classes in {file} is {described!r}; it describes them by their names, such as "
            "{Weather: {type: dict, formatter: yaml}}."
        )
    own: list[StorageClass] = []
    for name, said in described.items():
        try:
            new = described_storage_class(str(name), said, str(file))
        except StorageClassError as error:
            raise StorageClassError(f"{error} So says {file}.") from None
        if new.formatter and "." not in new.formatter and new.formatter not in (known := formatter_names()):
            near = closest(new.formatter, known)
            raise StorageClassError(
                f"storage class {name!r}: no formatter is called {new.formatter!r}.{near} So says {file}."
            )
        own.append(new)
    return StorageClasses(own)


def _compression(said: Any) -> dict[str, str | None]:
    """Return how pixels are compressed by dataset type, of a word for all or a mapping.

    Raises
    ------
    ConfigError
        If there is no such compression.
    """
    chosen = said if isinstance(said, Mapping) else {} if said is None else {"*": said}
    for name, word in chosen.items():
        if word not in ("gzip", "rice", None):
            raise ConfigError(
                f"compression of {name} is {word!r} in {FILE_NAME}, which is none of gzip, rice and null (none).",
            )
    return {str(name): word for name, word in chosen.items()}


def _yes_or_no(said: Any, what: str) -> bool:
    """Return a setting that is true or false.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if not isinstance(said, bool):
        raise ConfigError(f"{what} is {said!r} in {FILE_NAME}, which is neither true nor false.")
    return said
