"""Searches of datasets through collections, as part of a query."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FromClause

from ...model.collections import CollectionType
from ...model.datasets import DatasetType
from ...model.timespan import Timespan
from ..catalog import Catalog
from ..tables import Tables
from .dialect import Dialect
from .joins import Joins
from .kinds import Kind
from .request import Request

__all__ = ["Search", "searches"]

_WHOLE = Timespan(None, None)
_ALWAYS: tuple[ColumnElement[Any], ColumnElement[Any]] = (
    sa.literal_column(str(_WHOLE.begin_ns), sa.BigInteger()),
    sa.literal_column(str(_WHOLE.end_ns), sa.BigInteger()),
)


@dataclass(frozen=True, slots=True)
class Searched:
    """The collections that hold datasets of a type, as a search goes through them."""

    keys: tuple[int, ...]
    kinds: frozenset[CollectionType]
    ranks: str
    """Pairs of key and place in the search, as JSON."""


class Search:
    """Datasets of one type in an ordered list of collections.

    Parameters
    ----------
    dataset_type
        Their type.
    type_id
        Its key in the registry.
    searched
        The collections.
    """

    def __init__(self, dataset_type: DatasetType, type_id: int, searched: Searched):
        self.dataset_type = dataset_type
        self.type_id = type_id
        self.collections = searched.keys
        self.runs_only = searched.kinds <= {CollectionType.RUN}
        """Whether all are RUNs, so that a tag's collection is its dataset's RUN."""
        self.is_temporal = CollectionType.CALIBRATION in searched.kinds
        """Whether CALIBRATION collections are searched, so that it matters when a dataset is valid."""
        self._all_temporal = searched.kinds == {CollectionType.CALIBRATION}
        self.is_ranked = len(searched.keys) > 1
        """Whether several collections are searched, so that the first that has a dataset matters."""
        self.rank: ColumnElement[Any]
        """The place of a row's collection in the search, once it is joined and ranked."""
        self.tag: FromClause
        """The table of tags, or of validities, once it is joined."""
        self._ranks = searched.ranks
        self._tables: dict[str, FromClause] = {}

    @property
    def shape(self) -> tuple[Any, ...]:
        """What decides on the SQL of the search."""
        temporal = self.is_temporal, self._all_temporal
        return self.dataset_type.name, self.dataset_type.dimensions, self.is_ranked, self.runs_only, temporal

    def values(self, number: int) -> dict[str, Any]:
        """Return the parameters of the search."""
        if self.is_ranked:
            return {f"type{number}": self.type_id, f"collections{number}": self._ranks}
        return {f"type{number}": self.type_id, f"collection{number}": self.collections[0] if self.collections else -1}

    def join(self, joins: Joins, number: int, dialect: Dialect) -> None:
        """Join the tags of the datasets."""
        tag = self.tag = self._source(joins.tables, number)
        integer = sa.BigInteger()
        of_type = tag.c.dataset_type_id == sa.bindparam(f"type{number}", type_=integer)
        columns = {name: tag.c[name] for name in self.dataset_type.dimensions.required}
        if self.is_ranked:
            joins.add(tag, columns, also=[of_type])
            # LEFT JOIN and DISTINCT keep SQLite from asking for the tags once a collection: it looks each tag's
            # collection up in an index that it makes of these rows.
            order = dialect.rows(f"collections{number}", [Kind.INT, Kind.INT]).distinct().subquery()
            joins.attach(order, order.c.c0 == tag.c.collection_id)
            joins.conditions.append(order.c.c0.is_not(None))
            self.rank = order.c.c1
        else:
            searched = tag.c.collection_id == sa.bindparam(f"collection{number}", type_=integer)
            joins.add(tag, columns, also=[of_type, searched])

    @property
    def is_direct(self) -> bool:
        """Whether one RUN is searched, so that type, data ID and RUN are the key of a dataset's tag."""
        return self.runs_only and not self.is_ranked

    def again(
        self, tables: Tables, number: int, keys: Mapping[str, ColumnElement[Any]]
    ) -> tuple[FromClause, ColumnElement[bool]]:
        """Return the table of tags once more, and the condition by which a data ID is found there directly."""
        tag, integer = tables.tag(self.dataset_type.dimensions).alias(), sa.BigInteger()
        of_type = tag.c.dataset_type_id == sa.bindparam(f"type{number}", type_=integer)
        searched = tag.c.collection_id == sa.bindparam(f"collection{number}", type_=integer)
        return tag, sa.and_(of_type, *(tag.c[name] == key for name, key in keys.items()), searched)

    def _source(self, tables: Tables, number: int) -> FromClause:
        """Return the table of tags, of validities, or of both where collections of both kinds are searched."""
        tag = tables.tag(self.dataset_type.dimensions)
        if not self.is_temporal:
            return tag.alias()
        calib = tables.calib(self.dataset_type.dimensions)
        if self._all_temporal:
            return calib.alias()
        of_type = sa.bindparam(f"type{number}", type_=sa.BigInteger())
        names = ("dataset_type_id", *self.dataset_type.dimensions.required, "collection_id", "dataset_id")
        always = [bound.label(name) for name, bound in zip(("timespan_begin", "timespan_end"), _ALWAYS, strict=True)]
        tagged = sa.select(*(tag.c[n] for n in names), *always).where(tag.c.dataset_type_id == of_type)
        certified = sa.select(*(calib.c[n] for n in names), calib.c.timespan_begin, calib.c.timespan_end)
        return sa.union_all(tagged, certified.where(calib.c.dataset_type_id == of_type)).subquery()

    @property
    def timespan(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """The begin and end of a dataset's validity: of what is in no CALIBRATION collection, always."""
        return (self.tag.c.timespan_begin, self.tag.c.timespan_end) if self.is_temporal else _ALWAYS

    def identity(self, joins: Joins) -> list[ColumnElement[Any]]:
        """Return the columns of a dataset's id and of its RUN's key."""
        run = self.tag.c.collection_id if self.runs_only else self._table(joins, "dataset").c.run_id
        return [self.tag.c.dataset_id, run]

    def column(self, joins: Joins, field: str) -> Any:
        """Return the column of one of the dataset's fields; of its timespan, the pair of its begin and end."""
        match field:
            case "timespan":
                return self.timespan
            case "timespan_begin" | "timespan_end":
                return self.timespan[field == "timespan_end"]
            case "dataset_id":
                return self.tag.c.dataset_id
            case "ingest_date":
                return self._table(joins, "dataset").c.ingest_date
            case "size" | "path":
                return self._table(joins, "stored_file").c[field]
            case "run" if not self.runs_only:
                return self._table(joins, "run").c.name
            case _:
                return self._table(joins, "collection").c.name

    def _table(self, joins: Joins, name: str) -> FromClause:
        if name not in self._tables:
            tables: Tables = joins.tables
            source = {"dataset": tables.dataset, "stored_file": tables.stored_file}.get(name, tables.collection)
            table = source.alias()
            self._tables[name] = table
            match name:
                case "dataset":
                    on = table.c.id == self.tag.c.dataset_id
                case "stored_file":
                    on = sa.and_(
                        table.c.dataset_id == self.tag.c.dataset_id, table.c.component == sa.literal_column("''")
                    )
                case "run":
                    on = table.c.id == self._table(joins, "dataset").c.run_id
                case _:
                    on = table.c.id == self.tag.c.collection_id
            joins.attach(table, on)
        return self._tables[name]


def searches(catalog: Catalog, request: Request) -> tuple[Search, ...]:
    """Return the searches that a request asks for."""
    first = request.kind == "datasets" and request.find_first
    return tuple(
        Search(t, catalog.type_ids[t.name], _searched(catalog, request.collections, t.name, first))
        for t in request.dataset_types
    )


_MOST_REMEMBERED = 256
_remembered: dict[tuple[str, tuple[str, ...], str, bool], Searched] = {}
"""By the catalog's token, which each change renews: a chain of a thousand RUNs is not gone through each time."""


def _searched(catalog: Catalog, collections: tuple[str, ...], dataset_type: str, first: bool) -> Searched:
    key = catalog.token, collections, dataset_type, first
    searched = _remembered.get(key)
    if searched is None:
        found = catalog.search(collections, dataset_type, find_first=first)
        ids = tuple(row[0] for row in found)
        ranks = json.dumps([[collection, place] for place, collection in enumerate(ids)])
        searched = Searched(ids, frozenset(row[2] for row in found), ranks)
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[key] = searched
    return searched
