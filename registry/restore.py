"""Bringing removed datasets back from the trash, with the collections, validities, notes and quanta that they had."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.collections import CollectionType
from ..model.datasets import DatasetRef, DatasetType
from ..model.errors import ConflictingDefinitionError
from ..model.timespan import Timespan
from .catalog import Catalog
from .trash import KEPT

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["Restored", "restore"]

_CHUNK = 500
_SHOWN = 5


@dataclass(slots=True)
class Restored:
    """What became of removed datasets that were to be restored."""

    refs: list[DatasetRef] = field(default_factory=list)
    """Those that are there again."""
    conflicts: list[str] = field(default_factory=list)
    """Which were left in the trash, and why."""
    lost: list[str] = field(default_factory=list)
    """What did not come back with them: tags and validities whose place is taken, or whose collection is gone."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the trash that can be restored."""

    ref: DatasetRef
    content: Mapping[str, Any]


def restore(
    registry: Registry, ids: Iterable[uuid.UUID], *, missing: Collection[uuid.UUID] = (), skip_conflicts: bool = False
) -> Restored:
    """Register removed datasets anew, in one transaction: all of them, or none.

    Parameters
    ----------
    registry
        Where.
    ids
        Which.
    missing
        Those whose files are not there any more, or are not as long as they were.
    skip_conflicts
        Whether those that cannot be restored stay in the trash, and the others come back.

    Raises
    ------
    ConflictingDefinitionError
        One of them cannot be restored: another dataset has its place, its dataset type is gone, or it is not in the
        trash.
    """
    with registry.edit_catalog() as connection:
        done = Restored()
        rows = _restorable(registry, connection, sorted(set(ids)), missing, done.conflicts)
        if done.conflicts and not skip_conflicts:
            more = f" and {len(done.conflicts) - _SHOWN} more" if len(done.conflicts) > _SHOWN else ""
            raise ConflictingDefinitionError(
                f"nothing is restored: {'; '.join(done.conflicts[:_SHOWN])}{more}. "
                "Remove what is in the way, or restore the others alone (skip_conflicts)."
            )
        for run in dict.fromkeys(row.ref.run for row in rows):
            doc = next((row.content["doc"] for row in rows if row.ref.run == run and row.content.get("doc")), "")
            registry.collections.register(run, CollectionType.RUN, doc)
        by_type: dict[DatasetType, list[_Row]] = {}
        for row in rows:
            by_type.setdefault(row.ref.dataset_type, []).append(row)
        for dataset_type, of_type in by_type.items():
            for start in range(0, len(of_type), _CHUNK):
                _insert(registry, connection, dataset_type, of_type[start : start + _CHUNK], done.lost)
        _insert_quanta(registry, connection, rows)
        done.refs = [row.ref for row in rows]
    return done


# What can be restored


def _restorable(
    registry: Registry,
    connection: Connection,
    ids: Sequence[uuid.UUID],
    missing: Collection[uuid.UUID],
    conflicts: list[str],
) -> list[_Row]:
    """Return the rows that can be restored; note of the others why not."""
    trash = registry.tables.trash
    found: list[Any] = []
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(trash).where(trash.c.dataset_id.in_(ids[start : start + _CHUNK]))
        found += connection.execute(query.order_by(trash.c.dataset_id).with_for_update())
    if len(found) < len(ids):
        there = {row.dataset_id for row in found}
        conflicts += [f"{one} is not in the trash" for one in ids if one not in there]
    catalog = registry.catalog  # once: in a transaction, each look asks the database whether it has changed
    rows: dict[tuple[str, str, tuple[Any, ...]], _Row] = {}
    for row in sorted(found, key=lambda row: -row.removed_ns):  # of two with one place, the one removed last
        what = f"{row.dataset_type} {row.data_id} in {row.run!r} (id {row.dataset_id})"
        try:
            one = _checked(catalog, row, missing)
        except ConflictingDefinitionError as error:
            conflicts.append(f"{what} {error}")
            continue
        key = (row.dataset_type, row.run, one.ref.data_id.required_values)
        if (other := rows.setdefault(key, one)) is not one:
            conflicts.append(f"{what} has the same place as the dataset of id {other.ref.id}, which was removed later")
    taken = _taken(registry, connection, list(rows.values()))
    conflicts += [f"{rows[key].ref} (id {rows[key].ref.id}) {why}" for key, why in taken.items()]
    return [row for key, row in rows.items() if key not in taken]


def _checked(catalog: Catalog, row: Any, missing: Collection[uuid.UUID]) -> _Row:
    """Return what a row of the trash says.

    Raises
    ------
    ConflictingDefinitionError
        It cannot be restored; says what is wrong with it.
    """
    dataset_type, run = catalog.dataset_types.get(row.dataset_type), catalog.collections.get(row.run)
    data_id = json.loads(row.data_id)
    if row.state != KEPT:
        raise ConflictingDefinitionError("is being emptied")
    if row.dataset_id in missing:
        raise ConflictingDefinitionError("has lost its file, or it has another length than it had")
    if dataset_type is None or set(dataset_type.dimensions.required) != set(data_id):
        raise ConflictingDefinitionError(f"is of a type that is {dataset_type or 'not registered any more'}")
    if run is not None and run.type is not CollectionType.RUN:
        raise ConflictingDefinitionError(f"cannot go to its RUN: that name is {run.type.name} by now")
    return _Row(DatasetRef(dataset_type, data_id, row.run, row.dataset_id), json.loads(row.content))


def _taken(
    registry: Registry, connection: Connection, rows: Sequence[_Row]
) -> dict[tuple[str, str, tuple[Any, ...]], str]:
    """Return which datasets have no place any more, by type, RUN and data ID, and why."""
    t, catalog = registry.tables, registry.catalog
    taken: dict[tuple[str, str, tuple[Any, ...]], str] = {}
    keys = {row.ref.id: (row.ref.dataset_type.name, row.ref.run, row.ref.data_id.required_values) for row in rows}
    groups: dict[tuple[DatasetType, str], list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault((row.ref.dataset_type, row.ref.run), []).append(row.ref.data_id.required_values)
    for (dataset_type, name), data_ids in groups.items():
        if (run := catalog.collections.get(name)) is not None:
            for values, (other, *_) in _held(registry, connection, dataset_type, run.id, data_ids).items():
                taken[dataset_type.name, name, values] = f"has its place taken by the dataset of id {other}"
    ids = list(keys)
    mine, live = t.trash_file, t.stored_file
    alone = sa.or_(sa.not_(live.c.shared), sa.not_(mine.c.shared))
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        for one in connection.execute(sa.select(t.dataset.c.id).where(t.dataset.c.id.in_(chunk))).scalars():
            taken[keys[one]] = "is registered again"
        same = sa.select(mine.c.dataset_id, mine.c.path).join_from(mine, live, live.c.path == mine.c.path)
        for one, path in connection.execute(same.where(mine.c.dataset_id.in_(chunk), alone)):
            taken.setdefault(keys[one], f"has its file taken: {path} keeps another dataset by now")
    return taken


def _held(
    registry: Registry,
    connection: Connection,
    dataset_type: DatasetType,
    collection: int,
    data_ids: Sequence[tuple[Any, ...]],
    *,
    spans: bool = False,
) -> dict[tuple[Any, ...], list[Any]]:
    """Return what a collection has under some data IDs: dataset ids, or (begin, end) of what is valid."""
    group, tables = dataset_type.dimensions, registry.tables
    table = tables.calib(group) if spans else tables.tag(group)
    c, names = table.c, group.required
    wanted = [c.timespan_begin, c.timespan_end] if spans else [c.dataset_id]
    type_id = registry.catalog.type_ids[dataset_type.name]
    found: dict[tuple[Any, ...], list[Any]] = {}
    for start in range(0, len(data_ids), _CHUNK):
        chunk = data_ids[start : start + _CHUNK]
        same = sa.tuple_(*(c[n] for n in names)).in_(chunk) if names else sa.true()
        query = sa.select(*(c[n] for n in names), *wanted).where(
            c.dataset_type_id == type_id, c.collection_id == collection, same
        )
        for row in connection.execute(query):
            value = tuple(row[len(names) :])
            found.setdefault(tuple(row[: len(names)]), []).append(value if spans else value[0])
    return found


# Bringing it back


def _insert(
    registry: Registry, connection: Connection, dataset_type: DatasetType, rows: Sequence[_Row], lost: list[str]
) -> None:
    """Register datasets of one type, and take them out of the trash."""
    t, catalog = registry.tables, registry.catalog
    type_id, ids = catalog.type_ids[dataset_type.name], [row.ref.id for row in rows]
    runs = {row.ref.run: catalog.collection(row.ref.run).id for row in rows}
    datasets = [
        {"id": row.ref.id, "dataset_type_id": type_id, "run_id": runs[row.ref.run],
         "ingest_date": row.content["ingest_date"]}
        for row in rows
    ]  # fmt: skip
    connection.execute(sa.insert(t.dataset), datasets)
    tags = [_tag(type_id, runs[row.ref.run], row) for row in rows]
    tags += _tags(registry, connection, dataset_type, rows, lost)
    connection.execute(sa.insert(t.tag(dataset_type.dimensions)), tags)
    held = {(tag["collection_id"], type_id) for tag in tags}
    if spans := _validities(registry, connection, dataset_type, rows, lost):
        connection.execute(sa.insert(t.calib(dataset_type.dimensions)), spans)
        held |= {(span["collection_id"], type_id) for span in spans}
    notes = [
        dict(zip(("scope", "key", "type", "number", "text"), note, strict=True)) | {"dataset_id": row.ref.id}
        for row in rows
        for note in row.content.get("annotations", ())
    ]
    if notes:
        connection.execute(sa.insert(t.annotation), notes)
    names = [column.name for column in t.stored_file.c]
    files = sa.select(*(t.trash_file.c[name] for name in names)).where(t.trash_file.c.dataset_id.in_(ids))
    connection.execute(sa.insert(t.stored_file).from_select(names, files))
    connection.execute(sa.delete(t.trash).where(t.trash.c.dataset_id.in_(ids)))
    registry.datasets.note_held(connection, held)


def _tag(type_id: int, collection: int, row: _Row) -> dict[str, Any]:
    group, data_id = row.ref.dataset_type.dimensions, row.ref.data_id
    values = dict(zip(group.required, data_id.required_values, strict=True))
    return {"dataset_type_id": type_id, "collection_id": collection, "dataset_id": row.ref.id} | values


def _tags(
    registry: Registry, connection: Connection, dataset_type: DatasetType, rows: Sequence[_Row], lost: list[str]
) -> list[dict[str, Any]]:
    """Return the tags that datasets had, where their place is free."""
    type_id = registry.catalog.type_ids[dataset_type.name]
    wanted: dict[str, list[_Row]] = {}
    for row in rows:
        for name in row.content.get("tags", ()):
            wanted.setdefault(name, []).append(row)
    tags: list[dict[str, Any]] = []
    for name, tagged in wanted.items():
        collection = registry.catalog.collections.get(name)
        if collection is None or collection.type is not CollectionType.TAGGED:
            lost += [f"{row.ref} was tagged in {name!r}, which is no TAGGED collection any more" for row in tagged]
            continue
        data_ids = [row.ref.data_id.required_values for row in tagged]
        there = set(_held(registry, connection, dataset_type, collection.id, data_ids))
        for row in tagged:
            if row.ref.data_id.required_values in there:
                lost.append(f"{row.ref} was tagged in {name!r}, which has another of that data ID by now")
            else:
                there.add(row.ref.data_id.required_values)
                tags.append(_tag(type_id, collection.id, row))
    return tags


def _validities(
    registry: Registry, connection: Connection, dataset_type: DatasetType, rows: Sequence[_Row], lost: list[str]
) -> list[dict[str, Any]]:
    """Return the spans for which datasets were valid, where no other is by now."""
    type_id = registry.catalog.type_ids[dataset_type.name]
    wanted: dict[str, list[tuple[_Row, int, int]]] = {}
    for row in rows:
        for name, begin, end in row.content.get("validity", ()):
            wanted.setdefault(name, []).append((row, begin, end))
    spans: list[dict[str, Any]] = []
    for name, certified in wanted.items():
        collection = registry.catalog.collections.get(name)
        is_calibration = collection is not None and collection.type is CollectionType.CALIBRATION
        data_ids = list({row.ref.data_id.required_values for row, _, _ in certified})
        valid: dict[tuple[Any, ...], list[Any]] = {}
        if collection is not None and is_calibration and dataset_type.is_calibration:
            valid = _held(registry, connection, dataset_type, collection.id, data_ids, spans=True)
        for row, begin, end in certified:
            others = valid.setdefault(row.ref.data_id.required_values, [])
            if collection is None or not is_calibration or not dataset_type.is_calibration:
                lost.append(f"{row.ref} was certified in {name!r}, which takes no such dataset any more")
            elif any(first < end and begin < last for first, last in others):
                span = Timespan(begin, end)
                lost.append(f"{row.ref} was certified in {name!r} for {span}, for which another is valid by now")
            else:
                others.append((begin, end))
                spans.append(_tag(type_id, collection.id, row) | {"timespan_begin": begin, "timespan_end": end})
    return spans


def _insert_quanta(registry: Registry, connection: Connection, rows: Sequence[_Row]) -> None:
    """Write down again the quanta that went with a RUN."""
    t, catalog = registry.tables, registry.catalog
    quanta = {uuid.UUID(one["id"]): (row.ref.run, one) for row in rows for one in row.content.get("quanta", ())}
    ids = list(quanta)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        there = set(connection.execute(sa.select(t.quantum.c.id).where(t.quantum.c.id.in_(chunk))).scalars())
        new = [one for one in chunk if one not in there]
        records, edges = [], []
        for one in new:
            run, said = quanta[one]
            values = {name: value for name, value in said.items() if name not in ("id", "datasets")}
            records.append(values | {"id": one, "run_id": catalog.collection(run).id})
            edges += [
                {"quantum_id": one, "is_output": is_output, "dataset_id": uuid.UUID(dataset)}
                for is_output, dataset in said["datasets"]
            ]
        if records:
            connection.execute(sa.insert(t.quantum), records)
            connection.execute(sa.insert(t.quantum_dataset), edges)
