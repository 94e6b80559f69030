"""Datasets: finding them, registering them with their files, forgetting them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.collections import CollectionType
from ..model.data_id import DataId
from ..model.datasets import DatasetRef, DatasetType, StoredFile
from ..model.dimensions import DimensionGroup
from ..model.errors import CollectionTypeError, ConflictingDefinitionError, DatasetExistsError
from ..model.timespan import Timespan, now_ns
from .catalog import Catalog
from .database import Prepared
from .trash import GOING, KEPT

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["Datasets"]

_CHUNK = 500
_DATASET = ("id", "dataset_type_id", "run_id", "ingest_date")
_FILE = ("dataset_id", "component", "path", "formatter", "storage_class", "size", "checksum", "shared")


class Datasets:
    """The datasets of a registry."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._database = registry.database
        self._finds: dict[DimensionGroup, Prepared] = {}
        self._checks: dict[DimensionGroup, Prepared] = {}
        self._inserts: dict[DimensionGroup, Prepared] = {}
        t = registry.tables
        self._insert_dataset = Prepared(self._database, sa.insert(t.dataset))
        self._insert_file = Prepared(self._database, sa.insert(t.stored_file))
        self._files = Prepared(
            self._database,
            sa.select(*_file_columns(t.stored_file)).where(t.stored_file.c.dataset_id == sa.bindparam("dataset_id")),
        )

    def find(
        self,
        dataset_type: DatasetType,
        data_id: DataId,
        collections: tuple[str, ...],
        timespan: Timespan | None = None,
    ) -> tuple[DatasetRef, list[StoredFile]] | None:
        """Return the first dataset of a type and data ID in a search of collections, with its files; or None.

        One SELECT: the tags of a data ID lie side by side, whatever collections hold it. CALIBRATION collections,
        where such are searched, are asked by another: for what is valid in the timespan, at any time where it is None.

        Raises
        ------
        CalibrationLookupError
            Several of a CALIBRATION collection are valid in the timespan.
        """
        catalog = self._registry.catalog
        type_id = catalog.type_ids[dataset_type.name]
        group = dataset_type.dimensions
        prepared = self._finds.get(group)
        if prepared is None:
            prepared = self._finds[group] = self._prepare_find(group)
        values: dict[str, Any] = {"dataset_type_id": type_id}
        values.update(zip(group.required, data_id.required_values, strict=True))
        rows = self._database.fetch_all(prepared, values)
        ranks = catalog.ranks(collections)
        best: Any = None
        best_rank = len(ranks)
        files: list[StoredFile] = []
        for row in rows:
            rank = ranks.get(row[0])
            if rank is None or rank > best_rank:
                continue
            if rank < best_rank:
                best, best_rank, files = row, rank, []
            if row[3] is not None:
                files.append(StoredFile(*row[3:]))
        if dataset_type.is_calibration:
            before = {key: rank for key, rank in catalog.calibration_ranks(collections).items() if rank < best_rank}
            if before and (ref := self._registry.calibrations.find(dataset_type, data_id, before, timespan)):
                return ref, self.files(ref.id)
        if best is None:
            return None
        run = catalog.by_id[best[2]].name
        return DatasetRef(dataset_type, data_id, run, self._database.decode_id(best[1])), files

    def _prepare_find(self, group: DimensionGroup) -> Prepared:
        t, tag = self._registry.tables, self._registry.tables.tag(group)
        dataset, stored = t.dataset, t.stored_file
        query = (
            sa.select(tag.c.collection_id, tag.c.dataset_id, dataset.c.run_id, *_file_columns(stored))
            .join_from(tag, dataset, dataset.c.id == tag.c.dataset_id)
            .outerjoin(stored, stored.c.dataset_id == tag.c.dataset_id)
            .where(tag.c.dataset_type_id == sa.bindparam("dataset_type_id"))
            .where(*(tag.c[name] == sa.bindparam(name) for name in group.required))
        )
        return Prepared(self._database, query)

    def collections_with(self, dataset_type: DatasetType, data_id: DataId) -> list[str]:
        """Return the names of all collections that hold a dataset of a type and data ID."""
        tag = self._registry.tables.tag(dataset_type.dimensions)
        catalog = self._registry.catalog
        same = (tag.c[name] == data_id[name] for name in dataset_type.dimensions.required)
        query = sa.select(tag.c.collection_id).where(
            tag.c.dataset_type_id == catalog.type_ids[dataset_type.name], *same
        )
        with self._database.read() as connection:
            return sorted(catalog.by_id[key].name for key in connection.execute(query).scalars())

    def similar(
        self, dataset_type: DatasetType, data_id: DataId, collections: tuple[str, ...], limit: int = 3
    ) -> list[DataId]:
        """Return data IDs of datasets of a type that share the most with one that is not there."""
        group, catalog = dataset_type.dimensions, self._registry.catalog
        tag = self._registry.tables.tag(group)
        columns = [tag.c[name] for name in group.required]
        searched = [row.id for row in catalog.flatten(collections)]
        shared = sum((sa.case((tag.c[name] == data_id[name], 1), else_=0) for name in group.required), sa.literal(0))
        query = (
            sa.select(*columns)
            .where(tag.c.dataset_type_id == catalog.type_ids[dataset_type.name], tag.c.collection_id.in_(searched))
            .order_by(shared.desc(), *columns)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [DataId(group, tuple(row)) for row in connection.execute(query)]

    def files(self, dataset_id: uuid.UUID) -> list[StoredFile]:
        """Return the files of a dataset."""
        rows = self._database.fetch_all(self._files, {"dataset_id": self._database.encode_id(dataset_id)})
        return [StoredFile(*row) for row in rows]

    def check_absent(self, ref: DatasetRef) -> None:
        """Raise unless a dataset may be put: its records are there, and its RUN has none of that type and data ID.

        Raises
        ------
        DataIdError
            A dimension has no such record.
        DatasetExistsError
            The RUN has it.
        ConflictingDefinitionError
            Its type is registered with other dimensions.
        """
        catalog = self._registry.catalog
        self._check_types(catalog.dataset_type(ref.dataset_type.name), [ref])
        group = ref.dataset_type.dimensions
        prepared = self._checks.get(group)
        if prepared is None:
            prepared = self._checks[group] = self._prepare_check(group)
        row = catalog.collections.get(ref.run)
        values: dict[str, Any] = {
            "dataset_type_id": catalog.type_ids[ref.dataset_type.name], "collection_id": row.id if row else -1,
        }  # fmt: skip
        values.update(zip(group.required, ref.data_id.required_values, strict=True))
        taken, *known = self._database.fetch_one(prepared, values)
        if not all(known):
            self._registry.dimension_records.explain_missing(ref.data_id)
        if taken:
            raise DatasetExistsError(f"{ref} is there already, and nothing is overwritten; put it into another RUN.")

    def _prepare_check(self, group: DimensionGroup) -> Prepared:
        tables, tag = self._registry.tables, self._registry.tables.tag(group)
        same = [tag.c[name] == sa.bindparam(name) for name in ("dataset_type_id", *group.required, "collection_id")]
        tests: list[Any] = [sa.exists().where(*same)]
        covered = {required for name in group.required for required in group.universe[name].requires}
        for name in group.required:
            element = group.universe[name]
            if element.has_table and name not in covered and set(element.required) <= set(group.required):
                columns = tables.dimension[name].c
                tests.append(
                    sa.exists().where(*(columns[element.column_of(n)] == sa.bindparam(n) for n in element.required))
                )
        return Prepared(self._database, sa.select(*tests))

    def insert(
        self,
        items: Sequence[tuple[DatasetRef, StoredFile | None]],
        *,
        shared: bool = False,
        headers: Mapping[uuid.UUID, Mapping[str, Any]] | None = None,
        dates: Mapping[uuid.UUID, int] | None = None,
    ) -> None:
        """Register datasets, and the file of each, in one transaction.

        Parameters
        ----------
        items
            A dataset and its file, or None where it has none.
        shared
            Whether a file holds several of them.
        headers
            Header values that datasets are to be found by, by their ids.
        dates
            When they came, in TAI nanoseconds, by their ids; now, of those that are left out.

        Raises
        ------
        DatasetExistsError
            A RUN holds one of them, or a file is another dataset's.
        DataIdError
            A dimension has no such record.
        ConflictingDefinitionError
            A dataset's type is registered with other dimensions.
        """
        try:
            self._registry.in_operation(
                self._database.retry, lambda: self._insert(items, shared, headers or {}, dates or {})
            )
        except Exception as error:
            if _is_integrity_error(error):  # what was inserted before it failed is undone by now
                self._explain(items, error)
            raise

    def _insert(
        self,
        items: Sequence[tuple[DatasetRef, StoredFile | None]],
        shared: bool,
        headers: Mapping[uuid.UUID, Mapping[str, Any]],
        dates: Mapping[uuid.UUID, int],
    ) -> None:
        by_type: dict[str, list[DatasetRef]] = {}
        for ref, _ in items:
            by_type.setdefault(ref.dataset_type.name, []).append(ref)
        if self._are_summarised(by_type):
            most = max(len(items), sum(map(len, headers.values())))
            with self._database.write_prepared(most) as cursor:
                self._insert_rows(cursor, by_type, items, shared, headers, dates)
            return
        with self._registry.edit_catalog() as connection:
            self._insert_rows(self._database.cursor(), by_type, items, shared, headers, dates)
            self._summarise(connection, by_type)

    def _are_summarised(self, by_type: Mapping[str, list[DatasetRef]]) -> bool:
        """Whether it is noted already that these RUNs hold these types, as it is but for the first of each."""
        catalog = self._registry.catalog
        return all(
            (row := catalog.collections.get(run)) is not None
            and (row.id, catalog.type_ids.get(name)) in catalog.summary
            for name, refs in by_type.items()
            for run in {ref.run for ref in refs}
        )

    def _insert_rows(
        self,
        cursor: Any,
        by_type: Mapping[str, list[DatasetRef]],
        items: Sequence[tuple[DatasetRef, StoredFile | None]],
        shared: bool,
        headers: Mapping[uuid.UUID, Mapping[str, Any]],
        dates: Mapping[uuid.UUID, int],
    ) -> None:
        catalog, encode, now = self._registry.catalog, self._database.encode_id, now_ns()
        for name, refs in by_type.items():
            self._check_types(catalog.dataset_type(name), refs)
            type_id = catalog.type_ids[name]
            run_ids = {run: self._run_id(catalog, run) for run in {ref.run for ref in refs}}
            ids, runs = [encode(ref.id) for ref in refs], [run_ids[ref.run] for ref in refs]
            came = [dates.get(ref.id, now) for ref in refs] if dates else repeat(now)
            rows = list(zip(ids, repeat(type_id), runs, came))
            self._database.insert_many(cursor, self._insert_dataset, _DATASET, rows)
            group = refs[0].dataset_type.dimensions
            tags = [
                (type_id, *ref.data_id.required_values, run, one) for ref, run, one in zip(refs, runs, ids, strict=True)
            ]
            columns = ("dataset_type_id", *group.required, "collection_id", "dataset_id")
            self._database.insert_many(cursor, self._prepared_tag(group), columns, tags)
        kept = [
            (encode(ref.id), file.component, file.path, file.formatter, file.storage_class, file.size, file.checksum,
             shared)
            for ref, file in items if file is not None
        ]  # fmt: skip
        if kept:
            trash = self._registry.trash
            trash.hold(cursor, [row[2] for row in kept])
            self._database.insert_many(cursor, self._insert_file, _FILE, kept)
            trash.guard(cursor)
        if headers:
            mine = {ref.id: header for ref, _ in items if (header := headers.get(ref.id))}
            self._registry.annotations.insert_headers(cursor, mine)

    @staticmethod
    def _check_types(registered: DatasetType, refs: Iterable[DatasetRef]) -> None:
        """Raise where a reference's type is not kept by the dimensions that it is registered with."""
        for ref in {id(ref.dataset_type): ref for ref in refs}.values():  # one of each type: they are few
            if ref.dataset_type.dimensions.required != registered.dimensions.required:
                raise ConflictingDefinitionError(f"{registered} is registered; {ref} is of {ref.dataset_type}.")

    def _run_id(self, catalog: Catalog, run: str) -> int:
        row = catalog.collection(run)
        if row.type is not CollectionType.RUN:
            raise CollectionTypeError(f"datasets are put into RUNs; {run!r} is {row.type.name}.")
        return row.id

    def _prepared_tag(self, group: DimensionGroup) -> Prepared:
        insert = self._inserts.get(group)
        if insert is None:
            insert = self._inserts[group] = Prepared(self._database, sa.insert(self._registry.tables.tag(group)))
        return insert

    def _summarise(self, connection: Connection, by_type: Mapping[str, list[DatasetRef]]) -> None:
        """Note which RUNs now hold which types, where that is new."""
        catalog = self._registry.catalog
        pairs = {
            (catalog.collection(ref.run).id, catalog.type_ids[name]) for name, refs in by_type.items() for ref in refs
        }
        self.note_held(connection, pairs)

    def note_held(self, connection: Connection, pairs: set[tuple[int, int]]) -> None:
        """Note that collections now hold dataset types, given by their keys, where that is new."""
        if new := sorted(pairs - self._registry.catalog.summary):
            table = self._registry.tables.collection_summary
            connection.execute(sa.insert(table), [{"collection_id": run, "dataset_type_id": kind} for run, kind in new])
            self._registry.catalog_changed(connection)

    def _explain(self, items: Sequence[tuple[DatasetRef, StoredFile | None]], error: Exception) -> NoReturn:
        """Raise the error that says which of some datasets could not be registered, and why."""
        seen = set()
        for ref, _ in items:
            key = (ref.dataset_type.name, ref.run, ref.data_id.required_values)
            if key in seen:
                raise DatasetExistsError(f"{ref} is given twice.") from error
            seen.add(key)
        paths = [file.path for _, file in items if file is not None]
        table = self._registry.tables.stored_file
        with self._database.read() as connection:
            for start in range(0, len(paths), _CHUNK):
                taken = connection.execute(
                    sa.select(table.c.path).where(table.c.path.in_(paths[start : start + _CHUNK])).limit(1)
                ).scalar()
                if taken is not None and not any(ref.id in self._ids_of(connection, taken) for ref, _ in items):
                    raise DatasetExistsError(f"{taken} keeps another dataset already.") from error
        if going := sorted(self._registry.trash.paths(paths, GOING)):
            raise DatasetExistsError(
                f"{going[0]} is just being removed, or its removal was cut off: `skybutler trash empty` finishes that. "
                "Then do this again."
            ) from error
        ids: set[uuid.UUID] = set()
        known = self.existing(ref for ref, _ in items)
        for ref, _ in items:
            self.check_absent(ref)
            if ref.id in known or ref.id in ids:
                raise DatasetExistsError(f"{ref}: another dataset has the id {ref.id} already.") from error
            ids.add(ref.id)
        raise ConflictingDefinitionError(f"the datasets contradict what is there: {error}") from error

    def _ids_of(self, connection: Connection, path: str) -> set[uuid.UUID]:
        table = self._registry.tables.stored_file
        return set(connection.execute(sa.select(table.c.dataset_id).where(table.c.path == path)).scalars())

    def existing(self, refs: Iterable[DatasetRef]) -> set[uuid.UUID]:
        """Return those of the ids of some datasets that are registered."""
        table = self._registry.tables.dataset
        ids = [ref.id for ref in refs]
        found: set[uuid.UUID] = set()
        with self._database.read() as connection:
            for start in range(0, len(ids), _CHUNK):
                found |= set(
                    connection.execute(
                        sa.select(table.c.id).where(table.c.id.in_(ids[start : start + _CHUNK]))
                    ).scalars()
                )
        return found

    def paths_kept(self, paths: Sequence[str]) -> set[str]:
        """Return those of some paths that registered datasets, or removed ones that can be restored, are kept at."""
        table = self._registry.tables.stored_file
        kept = self._registry.trash.paths(paths, KEPT)
        with self._database.read() as connection:
            for start in range(0, len(paths), _CHUNK):
                kept |= set(
                    connection.execute(
                        sa.select(table.c.path).where(table.c.path.in_(paths[start : start + _CHUNK]))
                    ).scalars()
                )
        return kept

    def ids_in_run(self, run: str) -> list[uuid.UUID]:
        """Return the ids of all datasets that a RUN owns."""
        row = self._registry.catalog.collection(run)
        table = self._registry.tables.dataset
        with self._database.read() as connection:
            return list(connection.execute(sa.select(table.c.id).where(table.c.run_id == row.id)).scalars())


def _file_columns(table: sa.Table) -> list[sa.Column[Any]]:
    return [table.c[name] for name in ("path", "formatter", "storage_class", "size", "checksum", "component")]


def _is_integrity_error(error: Exception) -> bool:
    return any(cls.__name__ == "IntegrityError" for cls in type(error).__mro__)
