"""Many datasets at once: all that a registry knows of them and of what their data IDs name, read set by set."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..model.collections import CollectionType
from ..model.data_id import DataId
from ..model.datasets import DatasetRef, StoredFile
from ..model.dimensions import DimensionGroup, Element
from ..model.errors import DatasetNotFoundError
from ..model.given import Datasets, datasets_given
from ..model.records import DimensionRecord
from ..model.timespan import Timespan
from .dimension_records import record_from_row

if TYPE_CHECKING:
    from .registry import Registry

__all__ = [
    "data_ids_in_run",
    "files_of",
    "identities",
    "ingest_dates_of",
    "records_by_key",
    "records_for",
    "refs_given",
    "tags_of",
    "validities_of",
]

_CHUNK = 500

Key = tuple[Any, ...]


def files_of(registry: Registry, refs: Iterable[DatasetRef]) -> dict[uuid.UUID, StoredFile]:
    """Return the file that keeps each dataset, by the datasets' ids; those without a file are left out."""
    table = registry.tables.stored_file.c
    columns = [table[name] for name in ("path", "formatter", "storage_class", "size", "checksum", "component")]
    found: dict[uuid.UUID, StoredFile] = {}
    with registry.database.read() as connection:
        for chunk in _chunks([ref.id for ref in refs]):
            query = sa.select(table.dataset_id, *columns).where(table.dataset_id.in_(chunk), table.component == "")
            found.update((row[0], StoredFile(*row[1:])) for row in connection.execute(query))
    return found


def ingest_dates_of(registry: Registry, refs: Iterable[DatasetRef]) -> dict[uuid.UUID, int]:
    """Return when datasets came to the repository, in TAI nanoseconds, by the datasets' ids."""
    table = registry.tables.dataset.c
    found: dict[uuid.UUID, int] = {}
    with registry.database.read() as connection:
        for chunk in _chunks([ref.id for ref in refs]):
            query = sa.select(table.id, table.ingest_date).where(table.id.in_(chunk))
            found.update((row[0], row[1]) for row in connection.execute(query))
    return found


def identities(registry: Registry, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str, Key]]:
    """Return dataset type, RUN and required values of the data ID of those of some ids that are registered."""
    catalog, dataset = registry.catalog, registry.tables.dataset.c
    names = {type_id: name for name, type_id in catalog.type_ids.items()}
    found: dict[uuid.UUID, tuple[str, str, Key]] = {}
    with registry.database.read() as connection:
        for chunk in _chunks(list(ids)):
            query = sa.select(dataset.id, dataset.dataset_type_id, dataset.run_id).where(dataset.id.in_(chunk))
            by_type: dict[str, dict[uuid.UUID, int]] = defaultdict(dict)
            for id_, type_id, run_id in connection.execute(query):
                by_type[names[type_id]][id_] = run_id
            for name, runs in by_type.items():
                group = catalog.dataset_types[name].dimensions
                tag = registry.tables.tag(group).c
                own = sa.select(tag.dataset_id, tag.collection_id, *(tag[n] for n in group.required))
                for id_, collection, *values in connection.execute(own.where(tag.dataset_id.in_(list(runs)))):
                    if collection == runs[id_]:
                        found[id_] = (name, catalog.by_id[collection].name, tuple(values))
    return found


def refs_given(registry: Registry, given: Datasets) -> list[DatasetRef]:
    """Return references of the datasets that a user gives, one or many, by references or ids.

    Raises
    ------
    ArgumentError
        It is something else.
    DatasetNotFoundError
        No dataset of an id is registered.
    """
    found = datasets_given(given)
    if not (ids := [one for one in found if isinstance(one, uuid.UUID)]):
        return found
    refs: dict[uuid.UUID, DatasetRef] = {}
    for one, (name, run, values) in identities(registry, ids).items():
        dataset_type = registry.dataset_type(name)
        refs[one] = DatasetRef(dataset_type, DataId(dataset_type.dimensions, values), run, one)
    if lost := [one for one in ids if one not in refs]:
        raise DatasetNotFoundError(f"no dataset of the id {lost[0]} is registered.")
    return [refs[one] if isinstance(one, uuid.UUID) else one for one in found]


def data_ids_in_run(registry: Registry, dataset_type: str, run: str) -> dict[Key, uuid.UUID]:
    """Return the datasets of a type that a RUN has, by the required values of their data IDs."""
    catalog = registry.catalog
    row, type_id = catalog.collections.get(run), catalog.type_ids.get(dataset_type)
    if row is None or type_id is None:
        return {}
    group = catalog.dataset_types[dataset_type].dimensions
    tag = registry.tables.tag(group).c
    query = sa.select(tag.dataset_id, *(tag[n] for n in group.required))
    query = query.where(tag.collection_id == row.id, tag.dataset_type_id == type_id)
    with registry.database.read() as connection:
        return {tuple(values): id_ for id_, *values in connection.execute(query)}


def tags_of(registry: Registry, refs: Iterable[DatasetRef]) -> dict[str, list[uuid.UUID]]:
    """Return which of some datasets TAGGED collections hold, by the collections' names."""
    by_id = registry.catalog.by_id
    found: dict[str, list[uuid.UUID]] = defaultdict(list)
    with registry.database.read() as connection:
        for group, ids in _by_group(refs):
            tag = registry.tables.tag(group).c
            for chunk in _chunks(ids):
                query = sa.select(tag.collection_id, tag.dataset_id).where(tag.dataset_id.in_(chunk))
                for collection, id_ in connection.execute(query):
                    if by_id[collection].type is CollectionType.TAGGED:
                        found[by_id[collection].name].append(id_)
    return dict(found)


def validities_of(registry: Registry, refs: Iterable[DatasetRef]) -> dict[str, list[tuple[uuid.UUID, Timespan]]]:
    """Return for which time CALIBRATION collections certify which of some datasets, by the collections' names."""
    by_id = registry.catalog.by_id
    found: dict[str, list[tuple[uuid.UUID, Timespan]]] = defaultdict(list)
    with registry.database.read() as connection:
        for group, ids in _by_group(ref for ref in refs if ref.dataset_type.is_calibration):
            calib = registry.tables.calib(group).c
            columns = calib.collection_id, calib.dataset_id, calib.timespan_begin, calib.timespan_end
            for chunk in _chunks(ids):
                for collection, id_, *ends in connection.execute(
                    sa.select(*columns).where(calib.dataset_id.in_(chunk))
                ):
                    found[by_id[collection].name].append((id_, Timespan(*ends)))
    return dict(found)


def records_for(
    registry: Registry, refs: Iterable[DatasetRef], elements: Iterable[str] = ()
) -> dict[str, list[DimensionRecord]]:
    """Return the dimension records that datasets need, with all that these refer to, by their elements.

    Parameters
    ----------
    registry
        Where.
    refs
        The datasets: the records of their dimensions are returned, and of the relations among these.
    elements
        Elements of which all records are returned.

    Returns
    -------
    dict
        Records in the order of their keys; elements in the universe's order.
    """
    universe = registry.universe
    whole = {universe[name].name for name in elements}
    wanted: dict[str, set[Key]] = defaultdict(set)
    by_group: dict[DimensionGroup, set[Key]] = defaultdict(set)
    for ref in refs:
        by_group[ref.dataset_type.dimensions].add(ref.data_id.required_values)
    for group, data_ids in by_group.items():
        place = {name: i for i, name in enumerate(group.required)}
        for name in group.elements:
            element = universe[name]
            if element.has_table and place.keys() >= set(element.required):
                places = [place[n] for n in element.required]
                wanted[name].update(tuple(values[i] for i in places) for values in data_ids)
    found: dict[str, list[DimensionRecord]] = {}
    for element in reversed(universe.elements):  # what a record refers to is of an element before its own
        if element.name in whole and element.has_table:
            records = _all(registry, element)
        elif keys := wanted.get(element.name):
            records = list(records_by_key(registry, element, keys).values())
        else:
            continue
        found[element.name] = sorted(records, key=lambda record: record.values[: len(record.element.required)])
        columns = set(element.index)
        for name in (*element.requires, *element.implies):
            other = universe[name]
            if other.has_table and columns.issuperset(other.required):
                wanted[name].update(
                    key for record in records if None not in (key := tuple(getattr(record, n) for n in other.required))
                )
    return dict(reversed(found.items()))


def records_by_key(registry: Registry, element: Element, keys: Iterable[Key]) -> dict[Key, DimensionRecord]:
    """Return the records of an element that are there, of some keys (values of what it requires, its own last)."""
    table = registry.tables.dimension[element.name]
    columns = [table.c[element.column_of(name)] for name in element.required]
    found: dict[Key, DimensionRecord] = {}
    with registry.database.read() as connection:
        for chunk in _chunks(sorted(keys)):
            # For tuples alone SQLite looks through the whole table, not through the index.
            near = [
                column.in_(sorted(set(values)))
                for column, values in zip(columns, zip(*chunk, strict=True), strict=True)
            ]
            query = sa.select(table).where(*near, sa.tuple_(*columns).in_(chunk))
            for row in connection.execute(query).mappings():
                record = record_from_row(element, dict(row))
                found[record.values[: len(element.required)]] = record
    return found


def _all(registry: Registry, element: Element) -> list[DimensionRecord]:
    with registry.database.read() as connection:
        rows = connection.execute(sa.select(registry.tables.dimension[element.name])).mappings()
        return [record_from_row(element, dict(row)) for row in rows]


def _by_group(refs: Iterable[DatasetRef]) -> Iterator[tuple[DimensionGroup, list[uuid.UUID]]]:
    ids: dict[DimensionGroup, list[uuid.UUID]] = defaultdict(list)
    for ref in refs:
        ids[ref.dataset_type.dimensions].append(ref.id)
    yield from ids.items()


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield parts that a statement can hold."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
