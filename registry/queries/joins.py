"""The FROM clause of a query: tables joined by the dimensions that they share.

Everything that knows values of dimensions (tags of datasets, records, sky pixels) joins what is there already wherever
both speak of the same dimension. Records that are only looked up, by a key that is there already, join by LEFT JOIN: a
record that is missing, or a filter that is NULL, loses no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FromClause

from ...model.dimensions import DimensionGroup
from ..tables import Tables

__all__ = ["Joins"]


class Joins:
    """Joins tables one by one.

    Parameters
    ----------
    tables
        The registry's.
    dimensions
        All dimensions that the query speaks of, asked for or only named.
    """

    def __init__(self, tables: Tables, dimensions: DimensionGroup):
        self.tables = tables
        self.universe = tables.universe
        self.dimensions = dimensions
        self.keys: dict[str, ColumnElement[Any]] = {}
        """The column of each dimension whose values are there."""
        self.elements: dict[str, FromClause] = {}
        """The table of each element whose records are there."""
        self.conditions: list[ColumnElement[bool]] = []
        """What must hold beside the joins' own conditions."""
        self.repeats = False
        """Whether one combination of dimension values may come in several rows."""
        self._from: FromClause | None = None
        self._implied: set[str] = set()

    @property
    def from_clause(self) -> FromClause:
        """All that was joined."""
        if self._from is None:  # nothing has dimensions: one row, of nothing
            return sa.select(sa.literal_column("1").label("one")).subquery()
        return self._from

    def add(
        self,
        table: FromClause,
        columns: Mapping[str, ColumnElement[Any]],
        *,
        implied: Iterable[str] = (),
        also: Iterable[ColumnElement[bool]] = (),
        optional: bool = False,
    ) -> None:
        """Join a table by the dimensions that its columns hold.

        Parameters
        ----------
        table
            What is joined.
        columns
            Its column of each dimension.
        implied
            The dimensions among them that may be NULL in it, and agree with NULL elsewhere.
        also
            Further conditions of the join.
        optional
            Whether rows stay for which there is none.
        """
        maybe_null = set(implied)
        on = list(also)
        for name, column in columns.items():
            if name not in self.keys:
                self.keys[name] = column
                if name in maybe_null:
                    self._implied.add(name)
            elif name in maybe_null and name in self._implied:
                on.append(self.keys[name].is_not_distinct_from(column))
            else:
                on.append(self.keys[name] == column)
        if self._from is None:
            self._from = table
            self.conditions += on
        elif optional:
            self._from = self._from.outerjoin(table, sa.and_(*on))
        else:
            self._from = self._from.join(table, sa.and_(*on) if on else sa.true())

    def attach(self, table: FromClause, on: ColumnElement[bool], *, optional: bool = True) -> None:
        """Join a table that has no dimensions, keeping rows for which there is none if it is optional."""
        self._from = self.from_clause.join(table, on, isouter=optional)

    def element(self, name: str) -> FromClause:
        """Return the table of an element's records, joining it if it is not there."""
        if name not in self.elements:
            element = self.universe[name]
            table = self.tables.dimension[name].alias()
            self.elements[name] = table
            columns = {d: table.c[element.column_of(d)] for d in element.required}
            looked_up = all(d in self.keys for d in element.required)
            new = {d: table.c[d] for d in element.implies if d not in self.keys}
            agreed = {d: table.c[d] for d in element.implies if d in self.keys}
            optional = looked_up and not agreed and not element.always_join
            self.add(table, columns | agreed | new, implied=element.implies, optional=optional)
        return self.elements[name]

    def provide(self, dimension: str) -> None:
        """Make values of a dimension be there.

        A dimension that a record implies is looked up in that record; any other brings in all its records.
        """
        if dimension in self.keys:
            return
        for name in self.dimensions.names:
            element = self.universe[name]
            if dimension in element.implies:
                for needed in element.required:
                    self.provide(needed)
                self.element(name)
                return
        element = self.universe[dimension]
        if element.has_table:
            self.element(dimension)
        elif element.union_of is not None:
            self._add_union(element.name, element.union_of)
        else:
            # Sky pixels alone have no records to list; the caller has said so before it comes to this.
            raise AssertionError(f"{dimension} has no records")

    def _add_union(self, dimension: str, of: str) -> None:
        column = self.tables.dimension[of].c[dimension]
        values = sa.select(column).where(column.is_not(None)).distinct().subquery()
        self.add(values, {dimension: values.c[dimension]})

    def relations(self) -> None:
        """Join the relations that must always hold among the dimensions (which exposures make up a visit)."""
        for name in self.dimensions.elements:
            element = self.universe[name]
            if element.always_join and not element.is_dimension:
                self.element(name)

    def agreements(self) -> None:
        """Join records that tie together dimensions which came from elsewhere independently of each other."""
        for name in self.dimensions.names:
            element = self.universe[name]
            if (
                name in self.keys
                and name not in self.elements
                and any(implied in self.keys for implied in element.implies)
                and element.has_table
            ):
                self.element(name)

    def pixels(self, name: str, pixel: ColumnElement[Any] | None = None) -> ColumnElement[Any]:
        """Join the sky pixels of an element's regions, and return the column of pixels.

        Parameters
        ----------
        name
            The element.
        pixel
            The pixel that each must be, where it is known already.
        """
        element = self.universe[name]
        table = self.tables.pixels[name].alias()
        also = [] if pixel is None else [table.c.pixel == pixel]
        self.add(table, {d: table.c[d] for d in element.required}, also=also)
        self.repeats = True
        found: ColumnElement[Any] = table.c.pixel
        return found
