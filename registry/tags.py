"""TAGGED collections: datasets picked from RUNs, one a dataset type and data ID."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.collections import CollectionType
from ..model.data_id import DataId
from ..model.datasets import DatasetRef, DatasetType
from ..model.errors import CollectionTypeError, ConflictingDefinitionError, DatasetNotFoundError
from ..model.given import Datasets
from . import bulk
from .catalog import CollectionRow

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["by_type", "changing", "check_registered", "chunks", "in_own_run", "tag", "untag"]

_CHUNK = 500


def tag(registry: Registry, collection: str, datasets: Datasets) -> None:
    """Add datasets to a TAGGED collection; see `Collections.tag`."""
    with registry.edit_catalog() as connection:
        row = changing(registry, collection, CollectionType.TAGGED, "tagged")
        for dataset_type, of_type in by_type(registry, datasets).items():
            check_registered(registry, connection, dataset_type, of_type)
            new = _not_tagged(registry, connection, row, dataset_type, of_type)
            group, type_id = dataset_type.dimensions, registry.catalog.type_ids[dataset_type.name]
            if new:
                rows = [
                    {"dataset_type_id": type_id, "collection_id": row.id, "dataset_id": ref.id}
                    | dict(zip(group.required, ref.data_id.required_values, strict=True))
                    for ref in new
                ]
                connection.execute(sa.insert(registry.tables.tag(group)), rows)
                registry.datasets.note_held(connection, {(row.id, type_id)})


def untag(registry: Registry, collection: str, datasets: Datasets) -> None:
    """Take datasets out of a TAGGED collection; see `Collections.untag`."""
    with registry.edit_catalog() as connection:
        row = changing(registry, collection, CollectionType.TAGGED, "untagged")
        for dataset_type, of_type in by_type(registry, datasets).items():
            table = registry.tables.tag(dataset_type.dimensions)
            for chunk in chunks(of_type):
                ids = [ref.id for ref in chunk]
                connection.execute(sa.delete(table).where(table.c.collection_id == row.id, table.c.dataset_id.in_(ids)))


def changing(registry: Registry, collection: str, kind: CollectionType, done: str) -> CollectionRow:
    """Return a collection in which datasets are to be ``done`` something to.

    Raises
    ------
    CollectionTypeError
        It is of another type.
    """
    row = registry.catalog.collection(collection)
    if row.type is not kind:
        raise CollectionTypeError(
            f"datasets are {done} in {kind.name} collections; {collection!r} is {row.type.name}. "
            f"Make one: collections.register(name, {kind.name!r})."
        )
    return row


def by_type(registry: Registry, datasets: Datasets) -> dict[DatasetType, list[DatasetRef]]:
    """Return the datasets that a user gives by their types as they are registered, each once."""
    found: dict[str, dict[Any, DatasetRef]] = {}
    for ref in bulk.refs_given(registry, datasets):
        found.setdefault(ref.dataset_type.name, {})[ref.id] = ref
    return {registry.catalog.dataset_type(name): list(by_id.values()) for name, by_id in found.items()}


def chunks(refs: Sequence[DatasetRef]) -> Iterator[Sequence[DatasetRef]]:
    """Yield parts that a statement can hold the ids of."""
    for start in range(0, len(refs), _CHUNK):
        yield refs[start : start + _CHUNK]


def in_own_run(registry: Registry, dataset_type: DatasetType, refs: Sequence[DatasetRef]) -> sa.Select[Any]:
    """Return the query of the tags that some datasets have in the RUNs that own them, to be joined with others."""
    own, dataset = registry.tables.tag(dataset_type.dimensions), registry.tables.dataset
    of_run = sa.and_(dataset.c.id == own.c.dataset_id, dataset.c.run_id == own.c.collection_id)
    ids = [ref.id for ref in refs]
    return sa.select(own.c.dataset_id).join_from(own, dataset, of_run).where(own.c.dataset_id.in_(ids))


def check_registered(
    registry: Registry, connection: Connection, dataset_type: DatasetType, refs: Sequence[DatasetRef]
) -> None:
    """Raise unless RUNs hold datasets of these ids, with these data IDs.

    Raises
    ------
    DatasetNotFoundError
        No dataset of a type has such an id.
    ConflictingDefinitionError
        It has another data ID.
    """
    own = registry.tables.tag(dataset_type.dimensions)
    names = dataset_type.dimensions.required
    for chunk in chunks(refs):
        query = in_own_run(registry, dataset_type, chunk).add_columns(*(own.c[n] for n in names))
        query = query.where(own.c.dataset_type_id == registry.catalog.type_ids[dataset_type.name])
        known = {row[0]: tuple(row[1:]) for row in connection.execute(query)}
        for ref in chunk:
            if ref.id not in known:
                raise DatasetNotFoundError(
                    f"{ref} (id {ref.id}) is not registered; only datasets that a RUN holds can be tagged or certified."
                )
            if known[ref.id] != ref.data_id.required_values:
                there = DataId(dataset_type.dimensions, known[ref.id])
                raise ConflictingDefinitionError(f"{ref}: the dataset of the id {ref.id} is {there}.")


def _not_tagged(
    registry: Registry, connection: Connection, row: CollectionRow, dataset_type: DatasetType, refs: list[DatasetRef]
) -> list[DatasetRef]:
    """Return the datasets that a TAGGED collection lacks, none of them in the place of another."""
    tables, names = registry.tables, dataset_type.dimensions.required
    own, there = tables.tag(dataset_type.dimensions), tables.tag(dataset_type.dimensions).alias()
    same = [there.c.collection_id == row.id, *(there.c[n] == own.c[n] for n in ("dataset_type_id", *names))]
    taken: dict[Any, Any] = {}
    for chunk in chunks(refs):
        query = in_own_run(registry, dataset_type, chunk).join(there, sa.and_(*same))
        query = query.add_columns(there.c.dataset_id.label("other"))
        taken.update((mine, other) for mine, other in connection.execute(query))
    new, seen = [], dict[tuple[Any, ...], DatasetRef]()
    for ref in refs:
        other: Any = taken.get(ref.id)
        twin = seen.setdefault(ref.data_id.required_values, ref)
        if twin is not ref or other not in (None, ref.id):
            which = f"{twin} (id {twin.id}) is to be" if twin is not ref else f"the dataset of id {other} is"
            raise ConflictingDefinitionError(
                f"{ref} (id {ref.id}) cannot be tagged in {row.name!r}: {which} there under the same data ID. "
                "Untag that one first."
            )
        if other is None:
            new.append(ref)
    return new
