"""The registry: what a repository knows, in SQL."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.blocks import block
from ..model.datasets import DatasetType
from ..model.dimensions import DimensionUniverse, default_universe
from ..model.errors import RepositoryNotFoundError
from ..model.provenance import QuantumRecord
from ..model.storage_classes import StorageClasses
from . import provenance
from .annotations import Annotations
from .calibrations import Calibrations
from .catalog import Catalog, CatalogCache
from .collections import Collections
from .data_ids import DataIds
from .database import Database
from .dataset_types import register_dataset_type
from .datasets import Datasets
from .dimension_records import DimensionRecords
from .schema import check_version, create_schema, read_universe
from .tables import Tables
from .trash import Trash

__all__ = ["Registry", "one_operation"]

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
T = TypeVar("T")


def one_operation(method: F) -> F:
    """Let a method of what has a `Registry` look but once whether others have changed the catalog."""

    @wraps(method)
    def operation(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return self.registry.in_operation(method, self, *arguments, **keywords)

    return cast("F", operation)


class Registry:
    """What a repository knows: dimension records, collections, dataset types, datasets, stored files, provenance.

    Parameters
    ----------
    database
        An open database that holds a registry (`Registry.create` makes one).
    storage_classes
        What its dataset types mean by the names of storage classes; what every process does where left out.
    """

    def __init__(self, database: Database, storage_classes: StorageClasses | None = None):
        self.database = database
        self.storage_classes = storage_classes or StorageClasses()
        self.universe: DimensionUniverse = read_universe(database)
        self.tables = Tables(self.universe, database.dialect_name)
        self._catalog = CatalogCache(database, self.tables, self.storage_classes)
        self.collections = Collections(self)
        self.dimension_records = DimensionRecords(self)
        self.annotations = Annotations(self)
        self.trash = Trash(self)
        self.datasets = Datasets(self)
        self.data_ids = DataIds(self)
        self.calibrations = Calibrations(self)

    @classmethod
    def create(
        cls,
        url: str | Path,
        universe: DimensionUniverse | None = None,
        *,
        repository_id: uuid.UUID | None = None,
        fill: Callable[[Registry], object] | None = None,
    ) -> Registry:
        """Make the tables in an empty database, or a schema of one, and open it: in one transaction.

        Parameters
        ----------
        url
            A file, or a URL.
        universe
            The dimensions; the default ones where left out.
        repository_id
            What the repository will be known by; a random one where left out.
        fill
            What else to do in that transaction.
        """
        database = Database(url)
        try:
            with database.write() as connection:
                database.make_schema(connection)
                create_schema(database, universe or default_universe())
                made = cls(database)
                if repository_id is not None:
                    made._set_id(connection, repository_id)
                if fill is not None:
                    fill(made)
            return made
        except BaseException:
            database.close()
            raise

    def _set_id(self, connection: Connection, repository_id: uuid.UUID) -> None:
        table = self.tables.attribute
        of_id = table.c.name == "repository_id"
        connection.execute(sa.update(table).where(of_id).values(value=str(repository_id)))

    @classmethod
    def open(
        cls, url: str | Path, *, writeable: bool = True, storage_classes: StorageClasses | None = None
    ) -> Registry:
        """Open a registry.

        Raises
        ------
        RepositoryNotFoundError
            Its file is not there.
        RepositoryVersionError
            Its schema is not the one that this version reads.
        """
        if isinstance(url, Path) and not url.is_file():
            raise RepositoryNotFoundError(f"the registry's database, {str(url)!r}, is not there.")
        database = Database(url, writeable=writeable)
        try:
            check_version(database)
            return cls(database, storage_classes)
        except BaseException:
            database.close()
            raise

    @property
    def catalog(self) -> Catalog:
        """Collections and dataset types, as this thread's transaction or the last commit has them."""
        return self._catalog.current()

    def in_operation(self, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """Do what looks at the catalog once: each look is a journey to PostgreSQL."""
        return self._catalog.in_operation(work, *arguments, **keywords)

    @block
    def edit_catalog(self) -> Iterator[Connection]:
        """Open a transaction that may change collections or dataset types, and in which nobody else does."""
        with self.database.write() as connection:
            self._catalog.lock(connection)
            yield connection

    def catalog_changed(self, connection: Connection) -> None:
        """Note, in the transaction that does it, that collections or dataset types change."""
        self._catalog.changed(connection)

    def dataset_type(self, name: str) -> DatasetType:
        """Return a dataset type by its name.

        Raises
        ------
        DatasetTypeNotFoundError
            There is none.
        """
        return self.catalog.dataset_type(name)

    def dataset_types(self, glob: str = "*") -> list[DatasetType]:
        """Return the dataset types whose names match a glob, in order of their names."""
        import fnmatch

        return [t for name, t in sorted(self.catalog.dataset_types.items()) if fnmatch.fnmatchcase(name, glob)]

    def register_dataset_type(self, dataset_type: DatasetType, *, replace: bool = False) -> bool:
        """Make a dataset type known; see `registry.dataset_types.register_dataset_type`."""
        return register_dataset_type(self, dataset_type, replace=replace)

    def record_quanta(self, records: Iterable[QuantumRecord], *, skip_existing: bool = False) -> None:
        """Write down quanta that ran; with `skip_existing`, but for those that are written down already."""
        provenance.record_quanta(self, list(records), skip_existing=skip_existing)

    def quanta_of(self, datasets: Iterable[uuid.UUID]) -> list[QuantumRecord]:
        """Return the quanta that made datasets, given by their ids."""
        return provenance.quanta_of(self, datasets)

    def finished_quanta(
        self, fingerprints: Iterable[str], collections: str | Iterable[str]
    ) -> dict[str, QuantumRecord]:
        """Return quanta that need not run again, by fingerprint."""
        return provenance.finished_quanta(self, fingerprints, collections)

    def sql(self, text: str, parameters: Mapping[str, Any] | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run an SQL query and return its column names and rows; the connection refuses whatever would write.

        Raises
        ------
        InvalidQueryError
            The database does not take it.
        """
        from .sql import run_read_only

        return run_read_only(self.database, text, parameters)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __repr__(self) -> str:
        return f"Registry({self.database!r})"
