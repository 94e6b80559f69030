"""From what a query asks to one SELECT, built once for each shape of query.

A statement has, in this order, the columns of the results, those to sort by, and the regions that are still to be
tested exactly. Expressions are applied before the search for the first dataset: it is the first that fits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from ...model.errors import InvalidQueryError
from ...model.region import Region
from . import tree
from .annotations import AnnotationJoins, check_keys
from .compile import Compiler
from .dialect import Dialect, any_of
from .joins import Joins
from .kinds import Kind
from .overlaps import Overlap, split_overlaps
from .request import Reading, Request, read
from .resolve import Field, key_kind
from .search import Search, searches
from .sky import OverlapTest, covering, members, touched
from .source import Source

if TYPE_CHECKING:
    from ..catalog import Catalog
    from ..database import Database
    from ..registry import Registry

__all__ = ["Plan", "plan"]

_MOST_STATEMENTS = 512
_MOST_PARAMETERS = 32_000
"""SQLite takes 32,766."""


class Statement:
    """A SELECT in the database's words.

    Parameters
    ----------
    registry
        Whose database it is for.
    select
        What to run.
    width
        How many of its columns are results.
    tests
        What each row must still pass.
    """

    __slots__ = ("constants", "names", "sql", "tests", "width")

    def __init__(self, registry: Registry, select: sa.Select[Any], width: int, tests: Sequence[OverlapTest]):
        compiled = select.compile(dialect=registry.database.engine.dialect)
        self.sql = str(compiled)
        self.names: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self.constants = compiled.params
        self.width = width
        self.tests = tuple(tests)

    def parameters(self, values: dict[str, Any]) -> Any:
        """Return the parameters in the driver's form."""
        constants = self.constants
        if self.names is None:
            return {name: values.get(name, constant) for name, constant in constants.items()}
        return [values[name] if name in values else constants[name] for name in self.names]


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement, and the values to run it with."""

    statement: Statement
    values: dict[str, Any]
    searches: tuple[Search, ...]
    """The searches of datasets in it."""
    catalog: Catalog | None
    """The state of the registry for which it was made; None where it holds for this moment only."""

    @property
    def is_empty(self) -> bool:
        """Whether no row can come of it: a dataset type is in none of the collections."""
        return any(not search.collections for search in self.searches)


_statements: WeakKeyDictionary[Database, dict[Any, Statement]] = WeakKeyDictionary()


def plan(registry: Registry, request: Request, *, counting: bool = False) -> Plan:
    """Make the statement of a request, or find the one made for another of the same shape.

    Parameters
    ----------
    registry
        Where it will run.
    request
        What is asked.
    counting
        Whether only the number of rows is wanted; rows that need exact tests come all the same.

    Raises
    ------
    InvalidQueryError
        The request means nothing.
    """
    try:
        return _plan(registry, request, counting)
    except RecursionError:
        texts = " AND ".join(text for text, _ in request.where)
        raise Source(texts).error(0, "The expression is nested too deeply.") from None


def _plan(registry: Registry, request: Request, counting: bool) -> Plan:
    dialect = Dialect(registry.database)
    catalog = registry.catalog
    reading = read(request, dialect, catalog.dataset_types)
    found = searches(catalog, request)
    known = _statements.setdefault(registry.database, {})
    key = (request.kind, request.dimensions, request.element and request.element.name, request.find_first, counting,
           request.limit is None, tuple(search.shape for search in found), reading.shape)  # fmt: skip
    statement = known.get(key)
    is_snapshot = False
    if statement is None:
        check_keys(registry, reading)
        builder = _Builder(registry, request, reading, found, dialect)
        statement = builder.statement(counting)
        is_snapshot = builder.is_snapshot
        if len(statement.constants) > _MOST_PARAMETERS:
            raise InvalidQueryError(
                f"the expression has {len(statement.constants)} values, more than a database takes one by one "
                f"({_MOST_PARAMETERS}); bind them as a list: visit IN (:visits)."
            )
        if not builder.holds_values:
            if len(known) >= _MOST_STATEMENTS:
                known.clear()
            known[key] = statement
    values = {f"v{i}": value for i, value in enumerate(reading.values)}
    for i, search in enumerate(found):
        values |= search.values(i)
    if request.limit is not None:
        values["limit"] = request.limit
    return Plan(statement, values, found, None if is_snapshot else catalog)


class _Builder:
    def __init__(
        self, registry: Registry, request: Request, reading: Reading, found: Sequence[Search], dialect: Dialect
    ):
        self.registry = registry
        self.universe = registry.universe
        self.request = request
        self.reading = reading
        self.searches = found
        self.dialect = dialect
        self.holds_values = False
        """Whether the SQL depends on values: pixels of constant regions do."""
        self.is_snapshot = False
        """Whether the SQL holds what records said when it was made."""
        self.regions: list[ColumnElement[Any]] = []
        self.tests: list[tuple[int, int | Region]] = []
        self.used = self._used()
        self.joins = Joins(registry.tables, self.universe.conform(self.used))
        self.annotations = AnnotationJoins(self.joins, found, dialect, reading)

    def _used(self) -> set[str]:
        """Return the dimensions whose values the query needs."""
        used = set(self._result_dimensions())
        for field in (*self.reading.fields.values(), *(order.field for order in self.reading.order)):
            if not field.of_dataset:
                used.update(self.universe[field.owner].required)
        for search in self.searches:
            used.update(search.dataset_type.dimensions.required)
        return used

    def _result_dimensions(self) -> tuple[str, ...]:
        match self.request.kind:
            case "data_ids":
                return self.request.dimensions.names
            case "datasets":
                return self.request.dimensions.required
        return self.request.record_element.required

    def statement(self, counting: bool) -> Statement:
        where, overlaps = split_overlaps(self.reading, self.universe)
        self._join(overlaps)
        conditions = [Compiler(c.source, self.reading.fields, self.column, self.dialect, self.universe, self.members)
                      .condition(c.shape) for c in where]  # fmt: skip
        conditions += [self._candidates(o, o.other) for o in overlaps if isinstance(o.other, int)]
        conditions = [*self.joins.conditions, *self._seeks(), *conditions]
        results = self._results()
        select = self._select(results, conditions)
        tests = [
            OverlapTest(self._region_place(results, a), b if isinstance(b, Region) else self._region_place(results, b))
            for a, b in self.tests
        ]
        if counting and not tests:
            select = sa.select(sa.func.count()).select_from(select.order_by(None).subquery())
        return Statement(self.registry, select, len(results), tests)

    def _region_place(self, results: Sequence[Any], index: int) -> int:
        return len(results) + len(self.reading.order) + index

    # Regions

    def _region_index(self, field: Field) -> int:
        self.regions.append(self.column(field))
        return len(self.regions) - 1

    def _candidates(self, overlap: Overlap, index: int) -> ColumnElement[bool]:
        """Return the condition that admits candidates for an overlap with a constant region; note the exact test."""
        element = self.universe[overlap.column.owner]
        region: Region = self.reading.values[index]
        self.holds_values = True
        pixels = self.registry.tables.pixels[element.name].alias()
        candidates = sa.select(*(pixels.c[d] for d in element.required)).where(
            covering(region, pixels.c.pixel, self.universe.common_pixelization)
        )
        self.tests.append((self._region_index(overlap.column), region))
        return sa.tuple_(*(self.joins.keys[d] for d in element.required)).in_(candidates)

    def members(self, field: Field, index: int) -> ColumnElement[bool]:
        """Return an overlap with a constant region that is exact in SQL, as one within OR or NOT must be."""
        element = self.universe[field.owner]
        self.holds_values = self.is_snapshot = True
        keys = members(self.registry, element, self.reading.values[index])
        self.reading.values.append(json.dumps(keys))
        kinds = [key_kind(self.universe, d) for d in element.required]
        rows = self.dialect.rows(f"v{len(self.reading.values) - 1}", kinds)
        found = sa.tuple_(*(self.joins.keys[d] for d in element.required)).in_(rows)
        return sa.case((self.column(field).is_(None), sa.null()), else_=found)

    def _seeks(self) -> Iterable[ColumnElement[bool]]:
        """Name all instruments where none is named: the index that finds a visit begins with the instrument."""
        mentioned = {field.owner for field in self.reading.fields.values() if field.is_dimension}
        looked_up = [name for search in self.searches for name in search.dataset_type.dimensions.required]
        if self.request.kind == "records":
            looked_up += self.request.record_element.required
        for name in dict.fromkeys(looked_up):
            element = self.universe[name]
            if element.requires or not element.has_table or name in mentioned:
                continue
            if any(name in self.universe[m].requires for m in mentioned):
                table = self.registry.tables.dimension[name]
                yield self.joins.keys[name].in_(sa.select(table.c[element.column_of(name)]))

    # Tables

    def _join(self, overlaps: Sequence[Overlap]) -> None:
        joins = self.joins
        for i, search in enumerate(self.searches):
            search.join(joins, i, self.dialect)
        if self.request.kind == "records":
            joins.element(self.request.record_element.name)
        joins.relations()
        self._join_sky(overlaps)
        for name in reversed(joins.dimensions.required):
            if self.universe[name].pixels is not None and name not in joins.keys:
                raise InvalidQueryError(f"sky pixels alone ({name}) are too many to list; ask for what lies in them.")
            joins.provide(name)
        for name in joins.dimensions.implied:
            if name in self.used:
                joins.provide(name)
        for field in (*self.reading.fields.values(), *(order.field for order in self.reading.order)):
            if not field.is_dimension and not field.of_dataset and self.universe[field.owner].has_table:
                joins.element(field.owner)
        self._join_times()
        joins.agreements()

    def _join_times(self) -> None:
        """Let only those calibrations fit that are valid when the exposure, visit or day was that a row speaks of."""
        for search in self.searches:
            if not search.is_temporal:
                continue
            begin, end = search.timespan
            for family in self.universe.temporal_families.values():
                present = [name for name in family if name in self.joins.dimensions]
                if present:  # the most precise of them, which comes first, lies within the others
                    table = self.joins.element(present[0])
                    self.joins.conditions += [begin < table.c.timespan_end, end > table.c.timespan_begin]

    def _join_sky(self, overlaps: Sequence[Overlap]) -> None:
        """Join regions of different families: those that the expression relates, else the most precise of each."""
        families = self.universe.spatial_families
        related: set[frozenset[str]] = set()
        for overlap in overlaps:
            if isinstance(overlap.other, Field):
                owners = overlap.column.owner, overlap.other.owner
                self._overlay(*owners)
                related.add(frozenset(self._family(owner) for owner in owners))
        present = [
            next((m for m in members if set(self.universe[m].required) <= set(self.joins.dimensions.names)), None)
            for members in families.values()
        ]
        present += [name for name in self.joins.dimensions.required if self.universe[name].pixels is not None]
        found = [name for name in present if name is not None]
        for i, first in enumerate(found):
            for second in found[i + 1 :]:
                together = {*self.universe[first].required, *self.universe[second].required}
                if any(together <= set(s.dataset_type.dimensions.names) for s in self.searches):
                    continue
                if frozenset((self._family(first), self._family(second))) not in related:
                    self._overlay(first, second)

    def _family(self, element: str) -> str:
        return next((f for f, names in self.universe.spatial_families.items() if element in names), element)

    def _overlay(self, first: str, second: str) -> None:
        """Join two elements where their regions share a pixel, and note the exact test."""
        joins, common = self.joins, self.universe.common_pixels
        pixelizations = [name for name in (first, second) if self.universe[name].pixels is not None]
        if len(pixelizations) == 2:  # each is joined with the records that are asked for
            return
        if pixelizations and pixelizations != [common]:
            self._overlay_pixels(second if first in pixelizations else first, pixelizations[0])
            return
        if common in (first, second):
            element = second if first == common else first
            pixel = joins.pixels(element, joins.keys.get(common))
            joins.keys.setdefault(common, pixel)
            return
        joins.pixels(second, joins.pixels(first))
        a, b = (self._region_index(Field(name, "region", Kind.REGION)) for name in (first, second))
        self.tests.append((a, b))

    def _overlay_pixels(self, element_name: str, pixels: str) -> None:
        """Join an element with the pixels of a level by which regions are not indexed, tested exactly beforehand."""
        self.holds_values = self.is_snapshot = True
        element = self.universe[element_name]
        self.reading.values.append(json.dumps(touched(self.registry, element, pixels, self._fixed())))
        kinds = [*(key_kind(self.universe, name) for name in element.required), Kind.INT]
        rows = self.dialect.rows(f"v{len(self.reading.values) - 1}", kinds).subquery()
        self.joins.add(rows, {name: rows.c[f"c{i}"] for i, name in enumerate((*element.required, pixels))})

    def _fixed(self) -> dict[str, list[Any]]:
        """Return values of dimensions of which all results must have one."""
        fixed: dict[str, list[Any]] = {}
        for condition in self.reading.conditions:
            shape = condition.shape
            for term in shape.terms if isinstance(shape, tree.And) else (shape,):
                match term:
                    case tree.Compare(operator="=", left=tree.Name(text=name), right=tree.Value(index=index)):
                        count = 1
                    case tree.In(tree.Name(text=name), (tree.Values(index=index, count=count),), negated=False):
                        pass
                    case tree.Among(names=(tree.Name(text=name),), index=index, count=count):
                        pass
                    case _:
                        continue
                if self.reading.fields[name].is_dimension and count > 0:
                    fixed[self.reading.fields[name].owner] = self.reading.values[index : index + count]
        return fixed

    def column(self, field: Field) -> Any:
        """Return the SQL of a column; of a timespan, the pair of its begin and end."""
        if field.of_dataset:
            if field.scope:
                return self.annotations.column(field)
            i = next(i for i, s in enumerate(self.searches) if s.dataset_type.name == field.owner)
            return self.searches[i].column(self.joins, field.column)
        if field.is_dimension:
            return self.joins.keys[field.owner]
        table = self.joins.element(field.owner)
        if field.kind is Kind.TIMESPAN:
            return tuple(table.c[f"timespan_{end}"] for end in ("begin", "end"))
        return table.c[field.column]

    # The statement

    def _results(self) -> list[ColumnElement[Any]]:
        keys = self.joins.keys
        if self.request.kind == "data_ids":
            return [keys[name] for name in self.request.dimensions.names]
        if self.request.kind == "datasets":
            search = self.searches[0]
            found = [*search.identity(self.joins), *(keys[name] for name in self.request.dimensions.required)]
            return [*found, *search.timespan] if self.request.shows_validity(search.is_temporal) else found
        table = self.joins.element(self.request.record_element.name)
        return list(table.c)

    def _select(
        self, results: Sequence[ColumnElement[Any]], conditions: Sequence[ColumnElement[bool]]
    ) -> sa.Select[Any]:
        sorting = [self.dialect.ordered(self.column(o.field), o.field.kind) for o in self.reading.order]
        order: list[ColumnElement[Any]] = [column.label(f"o{i}") for i, column in enumerate(sorting)]
        columns = [
            *(column.label(f"c{i}") for i, column in enumerate(results)),
            *order,
            *(column.label(f"r{i}") for i, column in enumerate(self.regions)),
        ]
        where = any_of(sa.and_, conditions) if conditions else sa.true()
        ranked = self.request.kind == "datasets" and self.request.find_first and self.searches[0].is_ranked
        if ranked:
            # rank(), not row_number(): rows of one dataset that differ in a region to be tested must all stay.
            place = sa.func.rank().over(
                partition_by=[self.joins.keys[name] for name in self.request.dimensions.required],
                order_by=self.searches[0].rank,
            )
            fitting = (
                sa.select(*columns, place.label("place")).select_from(self.joins.from_clause).where(where).subquery()
            )
            select = sa.select(*(fitting.c[column.name] for column in columns)).where(
                fitting.c.place == sa.literal_column("1")
            )
            order = [fitting.c[f"o{i}"] for i in range(len(order))]
        else:
            # A query of no dimensions still selects something; rows of one column of nothing are its one empty result.
            select = sa.select(*columns or [sa.literal_column("1")]).select_from(self.joins.from_clause).where(where)
        if self._repeats():
            select = select.distinct()
        if self.request.limit is None or self.tests:
            return self._sorted(select, order)
        limit = sa.bindparam("limit", type_=sa.BigInteger())
        if order and self.request.kind == "datasets" and self.searches[0].is_direct:
            return self._with_late_ids(select, results, order, limit)
        return self._sorted(select, order).limit(limit)

    def _sorted(self, select: sa.Select[Any], order: Iterable[ColumnElement[Any]]) -> sa.Select[Any]:
        for column, wanted in zip(order, self.reading.order, strict=True):
            select = select.order_by(self.dialect.sorted(column, wanted.descending))
        return select

    def _with_late_ids(
        self,
        select: sa.Select[Any],
        results: Sequence[ColumnElement[Any]],
        order: Sequence[ColumnElement[Any]],
        limit: ColumnElement[Any],
    ) -> sa.Select[Any]:
        """Sort data IDs alone, which an index lists, and look up the few datasets that are wanted."""
        names = self.request.dimensions.required
        keys = select.with_only_columns(*(self.joins.keys[name].label(name) for name in names), *order)
        few = self._sorted(keys, order).limit(limit).subquery()
        tag, same = self.searches[0].again(self.joins.tables, 0, {name: few.c[name] for name in names})
        columns = [tag.c[column.name].label(f"c{i}") for i, column in enumerate(results)]
        sorting = [few.c[column.name] for column in order]
        return self._sorted(sa.select(*columns, *sorting).join_from(few, tag, same), sorting)

    def _repeats(self) -> bool:
        """Whether one result may come in several rows."""
        if self.joins.repeats or not self.joins.keys.keys() <= set(self.request.dimensions.names):
            return True
        if self.request.kind == "datasets":
            # A dataset may be valid in several spans; where these are asked for, each is a result of its own.
            return self.request.find_first and self.searches[0].is_temporal
        return any(search.is_ranked or search.is_temporal for search in self.searches)
