"""What the registry's tables owe each other, for `Butler.verify` to look at and mend."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.collections import CollectionType
from ..model.datasets import StoredFile
from .trash import KEPT

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["Inconsistency", "all_files", "inconsistencies", "lost_inputs", "runs_known", "without_files"]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """What does not fit together in a registry."""

    table: str
    """Where."""
    text: str
    """What is wrong, for people."""
    mend: Callable[[], object] | None
    """What mends it; None where nothing can."""


def all_files(registry: Registry) -> Iterator[tuple[uuid.UUID, StoredFile, bool]]:
    """Yield the files of all datasets, and of those in the trash, with their datasets' ids, and whether they are."""
    t = registry.tables
    names = ("dataset_id", "path", "formatter", "storage_class", "size", "checksum", "component")
    live = sa.select(*(t.stored_file.c[name] for name in names))
    kept = sa.and_(t.trash.c.dataset_id == t.trash_file.c.dataset_id, t.trash.c.state == KEPT)
    removed = sa.select(*(t.trash_file.c[name] for name in names)).join_from(t.trash_file, t.trash, kept)
    with registry.database.read() as connection:
        for query, in_trash in ((live, False), (removed, True)):
            for one, *file in connection.execute(query):
                yield one, StoredFile(*file), in_trash


def without_files(registry: Registry) -> list[tuple[uuid.UUID, str]]:
    """Return the datasets that have no file, with their types' names."""
    t = registry.tables
    query = sa.select(t.dataset.c.id, t.dataset_type.c.name).join_from(
        t.dataset, t.dataset_type, t.dataset_type.c.id == t.dataset.c.dataset_type_id
    )
    query = query.where(~sa.exists().where(t.stored_file.c.dataset_id == t.dataset.c.id))
    with registry.database.read() as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


def lost_inputs(registry: Registry) -> int:
    """Return how many datasets that quanta read or made are neither there nor in the trash: history, and no fault."""
    t = registry.tables
    edge = t.quantum_dataset.c.dataset_id
    query = sa.select(sa.func.count(sa.distinct(edge))).where(
        ~sa.exists().where(t.dataset.c.id == edge), ~sa.exists().where(t.trash.c.dataset_id == edge)
    )
    with registry.database.read() as connection:
        return int(connection.execute(query).scalar_one())


def runs_known(registry: Registry) -> set[str]:
    """Return the names of all RUNs, those too that only the trash remembers."""
    runs = {row.name for row in registry.catalog.collections.values() if row.type is CollectionType.RUN}
    with registry.database.read() as connection:
        return runs | set(connection.execute(sa.select(registry.tables.trash.c.run).distinct()).scalars())


def inconsistencies(registry: Registry) -> Iterator[Inconsistency]:
    """Yield what does not fit together: rows that refer to nothing, datasets that no query finds."""
    with registry.database.read() as connection:
        yield from _dangling(registry, connection)
        yield from _untagged(registry, connection)
        yield from _unnoted(registry, connection)


def _dangling(registry: Registry, connection: Connection) -> Iterator[Inconsistency]:
    """Yield rows of what is not there: no database that checks references lets such come about."""
    t = registry.tables
    types = registry.catalog.dataset_types.values()
    held = {t.tag(kind.dimensions) for kind in types} | {t.calib(k.dimensions) for k in types if k.is_calibration}
    of_dataset = [t.stored_file, t.annotation, *sorted(held, key=lambda table: table.name)]
    pairs = [(table, table.c.dataset_id, t.dataset.c.id, "dataset") for table in of_dataset]
    pairs += [
        (t.quantum_dataset, t.quantum_dataset.c.quantum_id, t.quantum.c.id, "quantum"),
        (t.trash_file, t.trash_file.c.dataset_id, t.trash.c.dataset_id, "removed dataset"),
    ]
    for table, mine, other, what in pairs:
        lost = ~sa.exists().where(other == mine)
        if count := connection.execute(sa.select(sa.func.count()).select_from(table).where(lost)).scalar_one():
            text = f"{count} rows of {table.name} are of no {what} that is there"
            yield Inconsistency(table.name, text, partial(_delete, registry, sa.delete(table).where(lost)))


def _delete(registry: Registry, statement: sa.Delete) -> None:
    with registry.database.write() as connection:
        connection.execute(statement)


def _note(registry: Registry, pair: tuple[int, int]) -> None:
    summary = registry.tables.collection_summary
    row = {"collection_id": pair[0], "dataset_type_id": pair[1]}
    same = (summary.c[name] == value for name, value in row.items())
    with registry.edit_catalog() as connection:
        if not connection.execute(sa.select(sa.exists().where(*same))).scalar():
            connection.execute(sa.insert(summary), row)
            registry.catalog_changed(connection)


def _untagged(registry: Registry, connection: Connection) -> Iterator[Inconsistency]:
    """Yield datasets that their own RUN does not list: which data ID they had is not known any more."""
    d, catalog = registry.tables.dataset, registry.catalog
    for name, type_id in catalog.type_ids.items():
        tag = registry.tables.tag(catalog.dataset_types[name].dimensions)
        own = sa.exists().where(tag.c.dataset_id == d.c.id, tag.c.collection_id == d.c.run_id)
        query = sa.select(d.c.id).where(d.c.dataset_type_id == type_id, ~own)
        if ids := connection.execute(query).scalars().all():
            shown = ", ".join(map(str, ids[:_SHOWN])) + (", …" if len(ids) > _SHOWN else "")
            yield Inconsistency(
                tag.name,
                f"{len(ids)} {name} are registered without a data ID, so that nothing finds them: {shown}",
                None,
            )


def _unnoted(registry: Registry, connection: Connection) -> Iterator[Inconsistency]:
    """Yield collections that hold datasets of types which searches pass over there."""
    t, catalog = registry.tables, registry.catalog
    held: set[tuple[int, int]] = set()
    tables: set[Any] = set()
    for kind in catalog.dataset_types.values():
        tables |= {t.tag(kind.dimensions), *([t.calib(kind.dimensions)] if kind.is_calibration else [])}
    for table in tables:
        pairs = sa.select(table.c.collection_id, table.c.dataset_type_id).distinct()
        held |= {(row[0], row[1]) for row in connection.execute(pairs)}
    names = {key: name for name, key in catalog.type_ids.items()}
    summary = t.collection_summary.c  # what is in memory may be older than what somebody has done to it
    noted = {(row[0], row[1]) for row in connection.execute(sa.select(summary.collection_id, summary.dataset_type_id))}
    for collection, type_id in sorted(held - noted):
        what = f"{catalog.by_id[collection].name!r} holds {names[type_id]}, but searches do not know it"
        yield Inconsistency("collection_summary", what, partial(_note, registry, (collection, type_id)))
