"""What is read once and kept in memory: collections, chains, dataset types, and which collections hold which types."""

from __future__ import annotations

import fnmatch
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.collections import CollectionInfo, CollectionType
from ..model.datasets import DatasetType
from ..model.errors import CollectionNotFoundError, DatasetTypeNotFoundError, InvalidQueryError, closest
from ..model.given import id_as_text
from ..model.storage_classes import StorageClasses
from .database import Database, Prepared
from .tables import Tables

__all__ = ["Catalog", "CatalogCache", "CollectionRow", "is_glob"]

_TOKEN = "catalog_version"  # noqa: S105 - a version's name, no secret

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection as the registry keeps it."""

    id: int
    name: str
    type: CollectionType
    doc: str


@dataclass(frozen=True)
class Catalog:
    """One state of the registry's collections and dataset types."""

    token: str
    collections: Mapping[str, CollectionRow]
    children: Mapping[int, tuple[int, ...]]
    """What each CHAINED collection searches, in order."""
    dataset_types: Mapping[str, DatasetType]
    type_ids: Mapping[str, int]
    summary: frozenset[tuple[int, int]]
    """Pairs (collection, dataset type) that hold, or once held, a dataset."""
    by_id: Mapping[int, CollectionRow] = field(init=False)
    _searches: dict[tuple[str, ...], tuple[CollectionRow, ...]] = field(default_factory=dict)
    _ranks: dict[tuple[str, ...], dict[int, int]] = field(default_factory=dict)
    _calibration_ranks: dict[tuple[str, ...], dict[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {row.id: row for row in self.collections.values()})

    def collection(self, name: str) -> CollectionRow:
        """Return a collection by its name.

        Raises
        ------
        CollectionNotFoundError
            There is none.
        """
        row = self.collections.get(name)
        if row is None:
            raise CollectionNotFoundError(
                f"no collection {name!r}.{closest(name, self.collections)} "
                f"Known: {_listing(self.collections) or 'none yet'}."
            )
        return row

    def dataset_type(self, name: str) -> DatasetType:
        """Return a dataset type by its name.

        Raises
        ------
        DatasetTypeNotFoundError
            There is none.
        """
        found = self.dataset_types.get(name)
        if found is None:
            raise DatasetTypeNotFoundError(
                f"no dataset type {name!r}.{id_as_text(name) or closest(name, self.dataset_types)} "
                f"Known: {_listing(self.dataset_types)}."
            )
        return found

    def info(self, name: str) -> CollectionInfo:
        """Return what is known of a collection, its children and parents by their names."""
        row = self.collection(name)
        parents = sorted(self.by_id[p].name for p, children in self.children.items() if row.id in children)
        children = tuple(self.by_id[c].name for c in self.children.get(row.id, ()))
        return CollectionInfo(row.name, row.type, children, tuple(parents), row.doc)

    def matching(self, patterns: str | Iterable[str]) -> list[CollectionRow]:
        """Return collections by names and globs (``*``, ``?``, ``[0-9]``), each once, in the order asked for.

        Raises
        ------
        CollectionNotFoundError
            A name without wildcards is not there.
        """
        found: dict[int, CollectionRow] = {}
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            if is_glob(pattern):
                match = re.compile(fnmatch.translate(pattern)).match
                rows = [row for name, row in sorted(self.collections.items()) if match(name)]
            else:
                rows = [self.collection(pattern)]
            found |= {row.id: row for row in rows if row.id not in found}
        return list(found.values())

    def flatten(self, names: tuple[str, ...]) -> tuple[CollectionRow, ...]:
        """Return the collections that are searched under these names or globs, chains opened, each once, in order."""
        flat = self._searches.get(names)
        if flat is None:
            seen: dict[int, CollectionRow] = {}
            waiting = self.matching(names)[::-1]
            while waiting:  # without recursion, and into each chain once: chains may nest deeply and meet often
                row = waiting.pop()
                if row.id not in seen:
                    seen[row.id] = row
                    waiting += [self.by_id[child] for child in reversed(self.children.get(row.id, ()))]
            flat = tuple(row for row in seen.values() if row.type is not CollectionType.CHAINED)
            self._searches[names] = flat
        return flat

    def ranks(self, names: tuple[str, ...]) -> Mapping[int, int]:
        """Return the place in the search of each collection, by its id."""
        ranks = self._ranks.get(names)
        if ranks is None:
            ranks = self._ranks[names] = {row.id: i for i, row in enumerate(self.flatten(names))}
        return ranks

    def calibration_ranks(self, names: tuple[str, ...]) -> Mapping[int, int]:
        """Return the place in the search of each CALIBRATION collection, by its id."""
        ranks = self._calibration_ranks.get(names)
        if ranks is None:
            ranks = self._calibration_ranks[names] = {
                key: rank
                for key, rank in self.ranks(names).items()
                if self.by_id[key].type is CollectionType.CALIBRATION
            }
        return ranks

    def search(
        self, names: tuple[str, ...], dataset_type: str, *, find_first: bool = True
    ) -> list[tuple[int, str, CollectionType]]:
        """Return (id, name, type) of the collections under these names that hold datasets of a type, in search order.

        Raises
        ------
        InvalidQueryError
            A wildcard stands where an order is wanted.
        """
        if find_first and (wild := [name for name in names if is_glob(name)]):
            raise InvalidQueryError(
                f"collections {wild} by wildcard have no order, and find_first wants one; pass find_first=False."
            )
        type_id = self.type_ids[dataset_type]
        return [(row.id, row.name, row.type) for row in self.flatten(names) if (row.id, type_id) in self.summary]


def is_glob(name: object) -> bool:
    """Whether a name has wildcards."""
    return isinstance(name, str) and any(character in name for character in "*?[")


def _listing(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:20]) + (f" and {len(ordered) - 20} more" if len(ordered) > 20 else "")


class _OfThread(threading.local):
    """What each thread knows of the catalog."""

    catalog: Catalog | None = None
    data_version: object = None
    """The database's version at which the catalog was current."""
    operations = 0
    """How many operations the thread is in, one within the other."""
    moment: int | None = None
    """The moment of the database at which the operation saw the catalog; None where it has to look."""


class CatalogCache:
    """Gives each thread the catalog as it stands, reading it anew only when it has changed.

    A commit by anyone changes SQLite's ``data_version``; only then is the catalog's own version read, and only where
    that is new, the catalog. In PostgreSQL, and within a transaction, which may be rolled back, its version is read
    each time; but once in an operation.
    """

    def __init__(self, database: Database, tables: Tables, storage_classes: StorageClasses):
        self._database = database
        self._tables = tables
        self._storage_classes = storage_classes
        self._local = _OfThread()
        attribute = tables.attribute
        self._token = Prepared(database, sa.select(attribute.c.value).where(attribute.c.name == sa.bindparam("name")))

    def current(self) -> Catalog:
        """Return the catalog as this thread's transaction, or the last commit, has it."""
        local, database = self._local, self._database
        catalog = local.catalog
        moment = database.moment if local.operations else None
        if catalog is not None and moment is not None and moment == local.moment:
            return catalog
        version = None if database.in_transaction else database.data_version()
        if catalog is None or version is None or version != local.data_version:
            token = database.fetch_one(self._token, {"name": _TOKEN})[0]
            if catalog is None or catalog.token != token:
                with database.read() as connection:
                    catalog = local.catalog = load_catalog(connection, self._tables, self._storage_classes)
            local.data_version = version
        local.moment = moment
        return catalog

    def in_operation(self, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """Do what asks once whether the catalog is still the same, and once more in each transaction.

        No block (``with``) is as quick, and ends though Ctrl-C comes as it is left.
        """
        local = self._local
        local.operations += 1
        try:
            return work(*arguments, **keywords)
        finally:
            local.operations -= 1
            if not local.operations:
                local.moment = None

    def lock(self, connection: Connection) -> None:
        """Wait until nobody else is changing the catalog, and let nobody until this transaction ends.

        A transaction that writes has SQLite for itself as it is; in PostgreSQL the row of the version is locked.
        """
        if self._database.dialect_name != "sqlite":
            attribute = self._tables.attribute
            connection.execute(sa.select(attribute.c.value).where(attribute.c.name == _TOKEN).with_for_update())

    def changed(self, connection: Connection) -> None:
        """Note, in the transaction that changes it, that the catalog is another from now on."""
        attribute = self._tables.attribute
        connection.execute(sa.update(attribute).where(attribute.c.name == _TOKEN).values(value=uuid.uuid4().hex))
        self._local.moment = None


def first_version(connection: Connection, tables: Tables) -> None:
    """Write the attributes of a new repository."""
    rows = {_TOKEN: uuid.uuid4().hex, "universe": tables.universe.to_json(), "repository_id": str(uuid.uuid4())}
    connection.execute(sa.insert(tables.attribute), [{"name": name, "value": value} for name, value in rows.items()])


def load_catalog(connection: Connection, tables: Tables, storage_classes: StorageClasses) -> Catalog:
    """Read the catalog."""
    t = tables
    token = connection.execute(sa.select(t.attribute.c.value).where(t.attribute.c.name == _TOKEN)).scalar_one()
    collections = {
        name: CollectionRow(key, name, CollectionType(kind), doc)
        for key, name, kind, doc in connection.execute(
            sa.select(t.collection.c.id, t.collection.c.name, t.collection.c.type, t.collection.c.doc)
        )
    }
    children: dict[int, list[int]] = {}
    chain = t.collection_chain.c
    for parent, child in connection.execute(
        sa.select(chain.parent_id, chain.child_id).order_by(chain.parent_id, chain.position)
    ):
        children.setdefault(parent, []).append(child)
    types, type_ids = {}, {}
    for row in connection.execute(sa.select(t.dataset_type).order_by(t.dataset_type.c.name)):
        group = t.universe.conform(json.loads(row.dimensions))
        kind = storage_classes.named(row.storage_class)  # a type that cannot be read here hides no other
        types[row.name] = DatasetType(row.name, group, kind, row.is_calibration)
        type_ids[row.name] = row.id
    summary = connection.execute(
        sa.select(t.collection_summary.c.collection_id, t.collection_summary.c.dataset_type_id)
    )
    return Catalog(
        token, collections, {p: tuple(c) for p, c in children.items()}, types, type_ids,
        frozenset((collection, kind) for collection, kind in summary),
    )  # fmt: skip
