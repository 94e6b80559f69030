"""CALIBRATION collections: datasets with the spans of time for which each is valid, and finding the one that holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.collections import CollectionType
from ..model.data_id import DataId
from ..model.datasets import DatasetRef, DatasetType
from ..model.dimensions import DimensionGroup, Element
from ..model.errors import ArgumentError, CalibrationLookupError, CollectionTypeError, ConflictingDefinitionError
from ..model.given import Datasets, type_name
from ..model.timespan import Timespan
from .catalog import CollectionRow
from .database import Prepared
from .tags import by_type, changing, check_registered, chunks, in_own_run

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["Calibrations"]

_SHOWN = 4


class Calibrations:
    """The validity of a registry's calibrations."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._database = registry.database
        self._finds: dict[DimensionGroup, Prepared] = {}
        self._times: dict[str, Prepared] = {}

    # Certifying

    def certify(self, collection: str, datasets: Datasets, timespan: Timespan) -> None:
        """Say for which time datasets are valid; see `Collections.certify`."""
        _check_timespan(timespan)
        if timespan.is_empty:
            raise ConflictingDefinitionError("the timespan is empty: nothing would be valid at any time.")
        registry = self._registry
        with registry.edit_catalog() as connection:
            row = changing(registry, collection, CollectionType.CALIBRATION, "certified")
            for dataset_type, of_type in by_type(registry, datasets).items():
                if not dataset_type.is_calibration:
                    raise CollectionTypeError(
                        f"only calibrations are certified; {dataset_type.name!r} was registered without "
                        "is_calibration=True. A TAGGED collection can hold it."
                    )
                check_registered(registry, connection, dataset_type, of_type)
                self._check_free(connection, row, dataset_type, of_type, timespan)
                group, type_id = dataset_type.dimensions, registry.catalog.type_ids[dataset_type.name]
                rows = [
                    _row(
                        group, type_id, row.id, ref.id, ref.data_id.required_values, timespan.begin_ns, timespan.end_ns
                    )
                    for ref in of_type
                ]
                connection.execute(sa.insert(registry.tables.calib(group)), rows)
                registry.datasets.note_held(connection, {(row.id, type_id)})

    def _check_free(
        self,
        connection: Connection,
        row: CollectionRow,
        dataset_type: DatasetType,
        refs: list[DatasetRef],
        timespan: Timespan,
    ) -> None:
        """Raise where another dataset of the same data ID is valid at a time of the span."""
        tables, names = self._registry.tables, dataset_type.dimensions.required
        seen: dict[tuple[Any, ...], DatasetRef] = {}
        for ref in refs:
            twin = seen.setdefault(ref.data_id.required_values, ref)
            if twin is not ref:
                raise ConflictingDefinitionError(
                    f"{ref} (id {ref.id}) and {twin} (id {twin.id}) cannot both be certified for {timespan}: "
                    "at any time one dataset of a data ID is valid."
                )
        own, there, dataset = tables.tag(dataset_type.dimensions), tables.calib(dataset_type.dimensions), tables.dataset
        other = dataset.alias()
        same = [there.c.collection_id == row.id, *(there.c[n] == own.c[n] for n in ("dataset_type_id", *names))]
        by_id = {ref.id: ref for ref in refs}
        for chunk in chunks(refs):
            query = in_own_run(self._registry, dataset_type, chunk).join(there, sa.and_(*same))
            query = query.join(other, other.c.id == there.c.dataset_id).add_columns(
                there.c.dataset_id.label("other"), other.c.run_id, there.c.timespan_begin, there.c.timespan_end
            )
            query = query.where(_overlaps(there, timespan.begin_ns, timespan.end_ns))
            found = connection.execute(query.order_by(there.c.timespan_begin).limit(1)).first()
            if found is not None:
                mine, id_, run, begin, end = found
                raise ConflictingDefinitionError(
                    f"{by_id[mine]} (id {mine}) cannot be certified in {row.name!r} for {timespan}: the one in "
                    f"{self._registry.catalog.by_id[run].name!r} (id {id_}) is valid for {Timespan(begin, end)}. "
                    "Decertify that span first, or leave it out."
                )

    def decertify(
        self,
        collection: str,
        dataset_type: DatasetType | str,
        timespan: Timespan,
        data_ids: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """Say that nothing is valid at a time any more; see `Collections.decertify`."""
        _check_timespan(timespan)
        registry = self._registry
        found = registry.dataset_type(type_name(dataset_type))
        group, type_id = found.dimensions, registry.catalog.type_ids[found.name]
        wanted = None
        if data_ids is not None:
            each = [data_ids] if isinstance(data_ids, Mapping) else data_ids
            wanted = {registry.data_ids.resolve(group, one).required_values for one in each}
        with registry.edit_catalog() as connection:
            row = changing(registry, collection, CollectionType.CALIBRATION, "decertified")
            if timespan.is_empty or not found.is_calibration:
                return
            table = registry.tables.calib(group)
            c = table.c
            query = sa.select(
                c.id, c.dataset_id, c.timespan_begin, c.timespan_end, *(c[n] for n in group.required)
            ).where(
                c.dataset_type_id == type_id, c.collection_id == row.id,
                _overlaps(table, timespan.begin_ns, timespan.end_ns),
            )  # fmt: skip
            gone: list[dict[str, int]] = []
            kept: list[dict[str, Any]] = []
            for key, id_, begin, end, *values in connection.execute(query):
                if wanted is not None and tuple(values) not in wanted:
                    continue
                gone.append({"gone": key})
                for first, last in ((begin, min(end, timespan.begin_ns)), (max(begin, timespan.end_ns), end)):
                    if first < last:
                        kept.append(_row(group, type_id, row.id, id_, values, first, last))
            if gone:
                connection.execute(sa.delete(table).where(c.id == sa.bindparam("gone")), gone)
            if kept:
                connection.execute(sa.insert(table), kept)

    # Finding

    def find(
        self, dataset_type: DatasetType, data_id: DataId, ranks: Mapping[int, int], timespan: Timespan | None
    ) -> DatasetRef | None:
        """Return the dataset of a data ID that is valid, of the first CALIBRATION collection that has any; or None.

        Parameters
        ----------
        dataset_type, data_id
            What is looked for.
        ranks
            The place of each CALIBRATION collection in the search, by its key.
        timespan
            The time for which it is wanted; any where None.

        Raises
        ------
        CalibrationLookupError
            The first collection that has any has several that are valid at some time of it.
        """
        if timespan is not None:
            _check_timespan(timespan)
        group, catalog = dataset_type.dimensions, self._registry.catalog
        prepared = self._finds.get(group)
        if prepared is None:
            prepared = self._finds[group] = self._prepare_find(group)
        during = Timespan(None, None) if timespan is None else timespan
        values: dict[str, Any] = {
            "dataset_type_id": catalog.type_ids[dataset_type.name],
            "begin_ns": during.begin_ns, "end_ns": during.end_ns,
        }  # fmt: skip
        values.update(zip(group.required, data_id.required_values, strict=True))
        rows = [row for row in self._database.fetch_all(prepared, values) if row[0] in ranks]
        if not rows:
            return None
        first = min(rows, key=lambda row: ranks[row[0]])[0]
        valid = {row[1]: row for row in rows if row[0] == first}
        if len(valid) > 1:
            raise self._ambiguous(dataset_type, data_id, first, [row for row in rows if row[0] == first], timespan)
        _, id_, run, *_ = next(iter(valid.values()))
        return DatasetRef(dataset_type, data_id, catalog.by_id[run].name, self._database.decode_id(id_))

    def _prepare_find(self, group: DimensionGroup) -> Prepared:
        calib, dataset = self._registry.tables.calib(group), self._registry.tables.dataset
        query = (
            sa.select(
                calib.c.collection_id, calib.c.dataset_id, dataset.c.run_id, calib.c.timespan_begin,
                calib.c.timespan_end,
            )
            .join_from(calib, dataset, dataset.c.id == calib.c.dataset_id)
            .where(calib.c.dataset_type_id == sa.bindparam("dataset_type_id"))
            .where(*(calib.c[name] == sa.bindparam(name) for name in group.required))
            .where(_overlaps(calib, sa.bindparam("begin_ns"), sa.bindparam("end_ns")))
        )  # fmt: skip
        return Prepared(self._database, query)

    def _ambiguous(
        self, dataset_type: DatasetType, data_id: DataId, collection: int, rows: list[Any], timespan: Timespan | None
    ) -> CalibrationLookupError:
        by_id = self._registry.catalog.by_id
        rows = sorted(rows, key=lambda row: row[3])
        listed = "; ".join(f"the one in {by_id[row[2]].name!r} for {Timespan(*row[3:])}" for row in rows[:_SHOWN])
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        asked = (
            "no time was given: name an exposure, a visit or a timespan"
            if timespan is None
            else f"the timespan {timespan} is not within the validity of one: ask for a shorter one (timespan=…)"
        )
        return CalibrationLookupError(
            f"several {dataset_type.name} for {data_id} are valid in {by_id[collection].name!r}, and {asked}. "
            f"There is {listed}{more}."
        )

    def validity(self, dataset_type: DatasetType, data_id: DataId, ranks: Mapping[int, int]) -> list[str]:
        """Return, for people, what is certified for a data ID at any time."""
        calib = self._registry.tables.calib(dataset_type.dimensions)
        catalog = self._registry.catalog
        same = [calib.c[name] == data_id[name] for name in dataset_type.dimensions.required]
        query = (
            sa.select(calib.c.collection_id, calib.c.timespan_begin, calib.c.timespan_end)
            .where(calib.c.dataset_type_id == catalog.type_ids[dataset_type.name], *same)
            .order_by(calib.c.timespan_begin)
        )
        with self._database.read() as connection:
            rows = [row for row in connection.execute(query) if row[0] in ranks]
        said = [f"{catalog.by_id[row[0]].name!r} has it for {Timespan(*row[1:])}" for row in rows[:_SHOWN]]
        return [*said, f"{len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else said

    # Times of data

    def timespan_of(
        self, dataset_type: DatasetType, given: Mapping[str, Any], instrument: str | None
    ) -> Timespan | None:
        """Return when the data were taken that a data ID speaks of; None where it speaks of no time.

        Parameters
        ----------
        dataset_type
            The calibration that is looked for.
        given
            What the caller says, in which an exposure, a visit or a day may be named.
        instrument
            The instrument where it names none.

        Raises
        ------
        DataIdError
            There is no such exposure, visit or day.
        CalibrationLookupError
            Its record does not say when it was.
        """
        element = self._temporal(dataset_type.dimensions, given)
        if element is None:
            return None
        registry = self._registry
        group = registry.universe.conform([*dataset_type.dimensions.required, element.name])
        data_id = registry.data_ids.resolve(group, given, instrument)
        prepared = self._times.get(element.name)
        if prepared is None:
            table = registry.tables.dimension[element.name]
            prepared = self._times[element.name] = Prepared(
                self._database,
                sa.select(table.c.timespan_begin, table.c.timespan_end).where(
                    *(table.c[element.column_of(n)] == sa.bindparam(n) for n in element.required)
                ),
            )
        row = self._database.fetch_one(prepared, {name: data_id[name] for name in element.required})
        if row is None:
            registry.dimension_records.explain_missing(data_id)
        if row is None or row[0] is None:
            raise CalibrationLookupError(
                f"{element.name} {data_id.get(element.name)} does not say when it was; pass timespan=… to find the "
                f"{dataset_type.name} for it."
            )
        return Timespan(*row)

    def _temporal(self, group: DimensionGroup, given: Mapping[str, Any]) -> Element | None:
        """Return the element whose record says when something was: the most precise that is named."""
        universe, data_ids = self._registry.universe, self._registry.data_ids
        elements = [universe[name] for members in universe.temporal_families.values() for name in members]
        named = {data_ids.qualified(group, name, given).partition(".")[0] for name in given}
        return next((element for element in elements if element.name in named), None)


def _check_timespan(given: object) -> None:
    if not isinstance(given, Timespan):
        raise ArgumentError(
            f"a span of time is wanted, such as Timespan(begin, end) or Timespan(None, None); not {given!r}."
        )


def _overlaps(table: sa.Table, begin: Any, end: Any) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.timespan_begin < end, table.c.timespan_end > begin)


def _row(
    group: DimensionGroup, type_id: int, collection: int, dataset_id: Any, values: Iterable[Any], begin: int, end: int
) -> dict[str, Any]:
    own = {"dataset_type_id": type_id, "collection_id": collection, "dataset_id": dataset_id}
    return {**own, "timespan_begin": begin, "timespan_end": end, **dict(zip(group.required, values, strict=True))}
