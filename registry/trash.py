"""The trash: what is known of removed datasets, so that they can be restored, and files that are about to go.

A removed dataset leaves all other tables at once. Its row here says what brings it back; its files stay where they are
until it is emptied: first its row is marked as going, then its files go, then the row is forgotten. Whatever cuts that
off, the next who empties goes on.

A file that is going is named by nothing else. When a row is marked, paths that registered datasets or kept rows name as
well are taken off its list; and nobody registers a path that is going (`Trash.guard`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.datasets import StoredFile
from ..model.timespan import now_ns
from . import postgres
from .database import Prepared

if TYPE_CHECKING:
    from ..model.datasets import DatasetType
    from .registry import Registry

__all__ = ["GOING", "KEPT", "Trash", "of_ids"]

KEPT, GOING = 0, 1
"""States of a row: it can be restored; its files are being removed."""
_CHUNK = 500


class Trash:
    """The removed datasets of a registry."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._database = registry.database

    # Into the trash

    def move(self, ids: Iterable[uuid.UUID], expires_ns: int, *, run: str | None = None, purge: bool = False) -> int:
        """Take datasets out of the registry into the trash, in one transaction.

        Parameters
        ----------
        ids
            Which; those that are not registered, because another removes them just now, are passed over.
        expires_ns
            When they may be emptied, TAI nanoseconds.
        run
            The RUN that goes with all its datasets: its documentation, and the quanta that it holds, are kept too.
        purge
            Whether their files go at once.

        Returns
        -------
        int
            How many were moved.
        """
        ordered = sorted(set(ids))  # so that two who remove the same datasets wait for each other in one order
        moved = 0
        # Who looks for paths that nobody else names does it alone: two would leave it to each other.
        with self._registry.edit_catalog() if purge else self._database.write() as connection:
            for chunk in _chunks(ordered):
                moved += self._move_chunk(connection, chunk, expires_ns, run, GOING if purge else KEPT)
            if purge:
                self._release_shared(connection)
        return moved

    def _move_chunk(
        self, connection: Connection, ids: Sequence[uuid.UUID], expires_ns: int, run: str | None, state: int
    ) -> int:
        t, date = self._registry.tables, now_ns()
        rows = self._described(connection, ids, run)
        if not rows:
            return 0
        there = [row["dataset_id"] for row in rows]
        gave_way = self._give_way(connection, there)
        for row in rows:
            row |= {"removed_ns": date, "expires_ns": expires_ns, "state": state}
        connection.execute(sa.insert(t.trash), rows)
        names = [column.name for column in t.trash_file.c]
        files = sa.select(*(t.stored_file.c[name] for name in names)).where(t.stored_file.c.dataset_id.in_(there))
        connection.execute(sa.insert(t.trash_file).from_select(names, files))
        connection.execute(sa.delete(t.dataset).where(t.dataset.c.id.in_(there)))
        if gave_way:
            self._release_shared(connection)
        return len(rows)

    def _described(self, connection: Connection, ids: Sequence[uuid.UUID], run: str | None) -> list[dict[str, Any]]:
        """Return rows of the trash for datasets, which nobody else may change before the transaction ends."""
        d, catalog = self._registry.tables.dataset.c, self._registry.catalog
        types = {type_id: catalog.dataset_types[name] for name, type_id in catalog.type_ids.items()}
        query = sa.select(d.id, d.dataset_type_id, d.run_id, d.ingest_date).where(d.id.in_(ids)).order_by(d.id)
        found = {row.id: row for row in connection.execute(query.with_for_update())}
        by_type: dict[DatasetType, list[uuid.UUID]] = {}
        for one, row in found.items():
            by_type.setdefault(types[row.dataset_type_id], []).append(one)
        content: dict[uuid.UUID, dict[str, Any]] = {one: {"ingest_date": row.ingest_date} for one, row in found.items()}
        data_ids: dict[uuid.UUID, dict[str, Any]] = {one: {} for one in found}
        for dataset_type, of_type in by_type.items():
            self._add_tags(connection, dataset_type, of_type, found, content, data_ids)
        self._add_annotations(connection, list(found), content)
        if run is not None:
            self._add_run(connection, run, list(found), content)
        return [
            {"dataset_id": one, "dataset_type": types[row.dataset_type_id].name, "run": catalog.by_id[row.run_id].name,
             "data_id": json.dumps(data_ids[one]), "content": json.dumps(content[one])}
            for one, row in found.items()
        ]  # fmt: skip

    def _add_tags(
        self,
        connection: Connection,
        dataset_type: DatasetType,
        ids: Sequence[uuid.UUID],
        found: Mapping[uuid.UUID, Any],
        content: Mapping[uuid.UUID, dict[str, Any]],
        data_ids: dict[uuid.UUID, dict[str, Any]],
    ) -> None:
        """Note data IDs, the TAGGED collections that hold datasets, and the spans for which they are valid."""
        tables, by_id = self._registry.tables, self._registry.catalog.by_id
        names = dataset_type.dimensions.required
        tag = tables.tag(dataset_type.dimensions)
        query = sa.select(tag.c.dataset_id, tag.c.collection_id, *(tag.c[n] for n in names))
        for one, collection, *values in connection.execute(query.where(tag.c.dataset_id.in_(ids))):
            if collection == found[one].run_id:
                data_ids[one] = dict(zip(names, values, strict=True))
            else:
                content[one].setdefault("tags", []).append(by_id[collection].name)
        if dataset_type.is_calibration:
            c = tables.calib(dataset_type.dimensions).c
            spans = sa.select(c.dataset_id, c.collection_id, c.timespan_begin, c.timespan_end)
            for one, collection, begin, end in connection.execute(spans.where(c.dataset_id.in_(ids)).order_by(c.id)):
                content[one].setdefault("validity", []).append([by_id[collection].name, begin, end])

    def _add_annotations(
        self, connection: Connection, ids: Sequence[uuid.UUID], content: Mapping[uuid.UUID, dict[str, Any]]
    ) -> None:
        a = self._registry.tables.annotation.c
        query = sa.select(a.dataset_id, a.scope, a.key, a.type, a.number, a.text).where(a.dataset_id.in_(ids))
        for one, *values in connection.execute(query):
            content[one].setdefault("annotations", []).append(values)

    def _add_run(
        self, connection: Connection, run: str, ids: Sequence[uuid.UUID], content: Mapping[uuid.UUID, dict[str, Any]]
    ) -> None:
        """Note what a RUN takes along: what it is for, and with each dataset the quantum that made it."""
        t, row = self._registry.tables, self._registry.catalog.collection(run)
        q, edge = t.quantum.c, t.quantum_dataset.c
        made = sa.select(edge.quantum_id, edge.dataset_id).join_from(
            t.quantum_dataset, t.quantum, q.id == edge.quantum_id
        )
        made = made.where(edge.dataset_id.in_(ids), edge.is_output, q.run_id == row.id)
        outputs: dict[uuid.UUID, list[uuid.UUID]] = {}
        for quantum, dataset in connection.execute(made):
            outputs.setdefault(quantum, []).append(dataset)
        quanta = {
            one.id: {name: value for name, value in one._mapping.items() if name not in ("id", "run_id")}
            | {"id": str(one.id), "datasets": []}
            for one in connection.execute(sa.select(t.quantum).where(q.id.in_(list(outputs))))
        }
        edges = sa.select(edge.quantum_id, edge.is_output, edge.dataset_id).where(edge.quantum_id.in_(list(outputs)))
        for quantum, is_output, dataset in connection.execute(edges):
            quanta[quantum]["datasets"].append([is_output, str(dataset)])
        for one in ids:
            content[one]["doc"] = row.doc
        for quantum, datasets in outputs.items():
            for one in datasets:
                content[one].setdefault("quanta", []).append(quanta[quantum])

    def _give_way(self, connection: Connection, ids: Sequence[uuid.UUID]) -> bool:
        """Let go of what was removed earlier under the same ids, if anything: only the last one can be restored."""
        t = self._registry.tables
        query = sa.select(t.trash).where(t.trash.c.dataset_id.in_(ids))
        earlier = [dict(row) for row in connection.execute(query).mappings()]
        if not earlier:
            return False
        renamed = [{"old": row["dataset_id"], "new": uuid.uuid4()} for row in earlier]
        rows = [row | {"dataset_id": one["new"], "state": GOING} for row, one in zip(earlier, renamed, strict=True)]
        connection.execute(sa.insert(t.trash), rows)
        of_old = t.trash_file.c.dataset_id == sa.bindparam("old")
        connection.execute(sa.update(t.trash_file).where(of_old).values(dataset_id=sa.bindparam("new")), renamed)
        connection.execute(sa.delete(t.trash).where(t.trash.c.dataset_id.in_(ids)))
        return True

    # Out of it

    def is_due(self, now: int) -> bool:
        """Whether the time of some is over, TAI nanoseconds."""
        trash = self._registry.tables.trash.c
        with self._database.read() as connection:
            return bool(
                connection.execute(sa.select(sa.exists().where(trash.state == KEPT, trash.expires_ns <= now))).scalar()
            )

    def mark(self, due_ns: int | None, *, ids: Sequence[uuid.UUID] | None = None, limit: int | None = None) -> int:
        """Mark rows as going, in a transaction that is committed before their files go.

        Parameters
        ----------
        due_ns
            Those that expire up to then, TAI nanoseconds; all where None.
        ids
            Of these only.
        limit
            How many at most.

        Returns
        -------
        int
            How many were marked.
        """
        trash = self._registry.tables.trash
        query = sa.select(trash.c.dataset_id).where(trash.c.state == KEPT)
        if due_ns is not None:
            query = query.where(trash.c.expires_ns <= due_ns)
        marked = 0
        with self._registry.edit_catalog() as connection:
            for some in [None] if ids is None else _chunks(ids):
                chosen = query if some is None else query.where(trash.c.dataset_id.in_(some))
                if limit is not None:
                    chosen = chosen.order_by(trash.c.expires_ns).limit(limit)
                going = sa.update(trash).where(trash.c.dataset_id.in_(chosen.scalar_subquery())).values(state=GOING)
                marked += connection.execute(going).rowcount
            self._release_shared(connection)
        return marked

    def adopt(self, files: Sequence[StoredFile]) -> None:
        """List files that no dataset has as going, but for those that somebody names by now."""
        t, date = self._registry.tables, now_ns()
        with self._database.write() as connection:
            if self._database.dialect_name != "sqlite":  # whoever is registering a file ends before this goes on
                postgres.lock_table(connection, t.stored_file.name)
            new = [(uuid.uuid4(), file) for file in files]
            shared = {"dataset_type": "", "data_id": "{}", "run": "", "content": "{}", "state": GOING}
            if new:
                rows = [shared | {"dataset_id": one, "removed_ns": date, "expires_ns": date} for one, _ in new]
                connection.execute(sa.insert(t.trash), rows)
                kept = [
                    {"dataset_id": one, "component": "", "path": file.path, "formatter": file.formatter,
                     "storage_class": file.storage_class, "size": file.size, "checksum": None, "shared": False}
                    for one, file in new
                ]  # fmt: skip
                connection.execute(sa.insert(t.trash_file), kept)
            self._release_shared(connection)

    def _release_shared(self, connection: Connection) -> None:
        """Take off the list of what is going the paths that others name, and those that are not ours to remove."""
        t = self._registry.tables
        mine, other, kept = t.trash_file, t.trash_file.alias(), t.trash.alias()
        live = sa.exists().where(t.stored_file.c.path == mine.c.path)
        same = sa.and_(kept.c.dataset_id == other.c.dataset_id, kept.c.state == KEPT)
        restorable = sa.exists(
            sa.select(sa.literal(1)).join_from(other, kept, same).where(other.c.path == mine.c.path).correlate(mine)
        )
        outside = sa.or_(mine.c.path.like("/%"), mine.c.path.like("%://%"))
        going = sa.select(t.trash.c.dataset_id).where(t.trash.c.state == GOING).scalar_subquery()
        connection.execute(sa.delete(mine).where(mine.c.dataset_id.in_(going), sa.or_(live, restorable, outside)))

    def going(self, limit: int) -> dict[uuid.UUID, list[StoredFile]]:
        """Return rows whose files are to go, with these files."""
        t = self._registry.tables
        first = sa.select(t.trash.c.dataset_id).where(t.trash.c.state == GOING).limit(limit)
        with self._database.read() as connection:
            ids = connection.execute(first).scalars().all()
            found: dict[uuid.UUID, list[StoredFile]] = {one: [] for one in ids}
            for one, *file in connection.execute(of_ids(t.trash_file, ids)):
                found[one].append(StoredFile(*file))
        return found

    def forget(self, ids: Sequence[uuid.UUID]) -> None:
        """Forget rows whose files have gone."""
        t = self._registry.tables
        with self._database.write() as connection:
            for chunk in _chunks(ids):
                gone = t.trash.c.dataset_id.in_(chunk), t.trash.c.state == GOING
                connection.execute(sa.delete(t.trash).where(*gone))

    # What is in it

    def rows(self, ids: Sequence[uuid.UUID] | None = None) -> list[Mapping[str, Any]]:
        """Return rows, with the ``size`` of their files, in bytes; the last one removed first."""
        t = self._registry.tables
        file = t.trash_file.c
        size = sa.select(sa.func.coalesce(sa.func.sum(file.size), 0)).where(file.dataset_id == t.trash.c.dataset_id)
        query = sa.select(t.trash, size.scalar_subquery().label("size"))
        found: list[Mapping[str, Any]] = []
        with self._database.read() as connection:
            for chunk in [None] if ids is None else _chunks(ids):
                chosen = query if chunk is None else query.where(t.trash.c.dataset_id.in_(chunk))
                found += map(dict, connection.execute(chosen).mappings())
        return sorted(found, key=lambda row: (-row["removed_ns"], row["dataset_type"], row["run"], row["data_id"]))

    def files(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[StoredFile]]:
        """Return the files of rows, by their ids."""
        found: dict[uuid.UUID, list[StoredFile]] = {}
        with self._database.read() as connection:
            for chunk in _chunks(ids):
                for one, *file in connection.execute(of_ids(self._registry.tables.trash_file, chunk)):
                    found.setdefault(one, []).append(StoredFile(*file))
        return found

    def paths(self, paths: Sequence[str], state: int) -> set[str]:
        """Return those of some paths that rows of a state name."""
        t = self._registry.tables
        path, of_state = (
            t.trash_file.c.path,
            sa.and_(t.trash.c.dataset_id == t.trash_file.c.dataset_id, t.trash.c.state == state),
        )
        named: set[str] = set()
        query = sa.select(path).join_from(t.trash_file, t.trash, of_state)
        with self._database.read() as connection:
            for chunk in _chunks(paths):
                named |= set(connection.execute(query.where(path.in_(chunk))).scalars())
        return named

    # While files are registered

    def hold(self, cursor: Any, paths: Sequence[str]) -> None:
        """Let nobody who removes a file miss that it is being registered again: on PostgreSQL; SQLite has one writer.

        Called before files are registered, in the same transaction, as `guard` is after.
        """
        if self._database.dialect_name != "sqlite":
            postgres.hold_paths(cursor, paths)

    def guard(self, cursor: Any) -> None:
        """Refuse files that are going, by an error of integrity: those just registered, they cannot be another's.

        A statement that inserts nothing mostly, and asks for no answer: it costs no journey.
        """
        cursor.execute(self._guard.sql, self._guard.parameters({"state": GOING}))

    @cached_property
    def _guard(self) -> Prepared:
        tables = self._registry.tables
        stored, trash, file = tables.stored_file, tables.trash, tables.trash_file
        going = sa.and_(trash.c.dataset_id == file.c.dataset_id, trash.c.state == sa.bindparam("state"))
        again = sa.select(*stored.c).join_from(stored, file, file.c.path == stored.c.path).join(trash, going)
        return Prepared(self._database, sa.insert(stored).from_select([c.name for c in stored.c], again))


def of_ids(table: sa.Table, ids: Sequence[uuid.UUID]) -> sa.Select[Any]:
    """Return the query of the files of datasets, by ids."""
    names = ("dataset_id", "path", "formatter", "storage_class", "size", "checksum", "component")
    return sa.select(*(table.c[name] for name in names)).where(table.c.dataset_id.in_(ids))


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield parts that a statement can hold."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
