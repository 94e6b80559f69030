"""Searches of datasets through collections, as part of a query."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FromClause

from ...model.collections import CollectionType
from ...model.datasets import DatasetType
from ..catalog import Catalog
from ..tables import Tables
from .dialect import Dialect
from .joins import Joins
from .kinds import Kind
from .request import Request

__all__ = ["Search", "searches"]


class Search:
    """Datasets of one type in an ordered list of collections.

    Parameters
    ----------
    dataset_type
        Their type.
    type_id
        Its key in the registry.
    collections
        Keys and types of the collections searched, in order.
    """

    def __init__(self, dataset_type: DatasetType, type_id: int, collections: Sequence[tuple[int, str, CollectionType]]):
        self.dataset_type = dataset_type
        self.type_id = type_id
        self.collections = collections
        self.runs_only = all(kind is CollectionType.RUN for _, _, kind in collections)
        self.is_ranked = len(collections) > 1
        """Whether several collections are searched, so that the first that has a dataset matters."""
        self.rank: ColumnElement[Any]
        """The place of a row's collection in the search, once it is joined and ranked."""
        self.tag: FromClause
        """The table of tags, once it is joined."""
        self._tables: dict[str, FromClause] = {}

    @property
    def shape(self) -> tuple[Any, ...]:
        """What decides on the SQL of the search."""
        return self.dataset_type.name, self.dataset_type.dimensions, self.is_ranked, self.runs_only

    def values(self, number: int) -> dict[str, Any]:
        """Return the parameters of the search."""
        ids = [key for key, _, _ in self.collections]
        values: dict[str, Any] = {f"type{number}": self.type_id}
        if self.is_ranked:
            values[f"collections{number}"] = json.dumps([[key, rank] for rank, key in enumerate(ids)])
        else:
            values[f"collection{number}"] = ids[0] if ids else -1
        return values

    def join(self, joins: Joins, number: int, dialect: Dialect) -> None:
        """Join the tags of the datasets."""
        tag = self.tag = joins.tables.tag(self.dataset_type.dimensions).alias()
        integer = sa.BigInteger()
        of_type = tag.c.dataset_type_id == sa.bindparam(f"type{number}", type_=integer)
        columns = {name: tag.c[name] for name in self.dataset_type.dimensions.required}
        if self.is_ranked:
            joins.add(tag, columns, also=[of_type])
            order = dialect.rows(f"collections{number}", [Kind.INT, Kind.INT]).subquery()
            joins.add(order, {}, also=[order.c.c0 == tag.c.collection_id])
            self.rank = order.c.c1
        else:
            searched = tag.c.collection_id == sa.bindparam(f"collection{number}", type_=integer)
            joins.add(tag, columns, also=[of_type, searched])

    def identity(self, joins: Joins) -> list[ColumnElement[Any]]:
        """Return the columns of a dataset's id and of its RUN's key."""
        run = self.tag.c.collection_id if self.runs_only else self._table(joins, "dataset").c.run_id
        return [self.tag.c.dataset_id, run]

    def column(self, joins: Joins, field: str) -> ColumnElement[Any]:
        """Return the column of one of the dataset's fields."""
        match field:
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
        Search(t, catalog.type_ids[t.name], catalog.search(request.collections, t.name, find_first=first))
        for t in request.dataset_types
    )
