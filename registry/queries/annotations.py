"""Header values and annotations in expressions: ``raw.header.AIRMASS``, ``raw.annotation.quality``.

Of which kind a value is, each dataset says for itself. In a query it is what it is compared with: a number with
numbers, a string with strings, true or false with these; a dataset whose value is of another kind does not fit, as
though it had none. With another such value it is compared as a number where both are, else as a string.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import FromClause

from ...model.errors import closest
from . import tree
from .dialect import Dialect
from .joins import Joins
from .kinds import Kind
from .request import Reading
from .resolve import Field, names_in
from .search import Search

if TYPE_CHECKING:
    from ..annotations import AnnotationScope
    from ..registry import Registry

__all__ = ["AnnotationJoins", "check_keys"]

_SHOWN = 30
"""Keys that a message names at most."""


class AnnotationJoins:
    """The tables of header values and annotations that a query speaks of, one a dataset type, scope and key.

    Parameters
    ----------
    joins
        What they are joined to. A dataset without a value loses no row, unless a condition wants one.
    searches
        The searches of the datasets.
    dialect
        The database's.
    reading
        What is asked.
    """

    def __init__(self, joins: Joins, searches: Sequence[Search], dialect: Dialect, reading: Reading):
        self._joins = joins
        self._searches = {search.dataset_type.name: search for search in searches}
        self._dialect = dialect
        self._tables: dict[tuple[str, str | None, str], FromClause] = {}
        compared = [reading.fields[name.text] for c in reading.conditions for name in _compared(c.shape)]
        self._wanted = {field.place for field in compared if field.scope}
        self._sought = {field.owner for field in compared if field.is_dimension}

    def column(self, field: Field) -> ColumnElement[Any]:
        """Return the value as what its field's kind is; of an open kind, what is NULL where there is none."""
        table = self._table(field)
        match field.kind:
            case Kind.FLOAT:
                return self._seen(field, table.c.number)
            case Kind.INT:
                return sa.case((table.c.type == "int", sa.cast(table.c.number, sa.BigInteger())))
            case Kind.STRING:  # another column's collation would contradict its own
                return self._seen(field, table.c.text) if self._dialect.is_sqlite else table.c.text.collate("C")
            case Kind.BOOL:
                return sa.case((table.c.type == "bool", table.c.number == sa.literal_column("1")))
        return table.c.type

    def _seen(self, field: Field, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return a column of values, without its index where SQLite had better begin with the data IDs.

        SQLite takes any value for rare. They are not as rare as an exposure's or a visit's datasets, of which each
        value is looked up by its key.
        """
        required = self._searches[field.owner].dataset_type.dimensions.required
        universe = self._joins.universe
        first = next((name for name in required if universe[name].requires), None)
        if self._dialect.is_sqlite and first in self._sought:
            return sa.sql.elements.UnaryExpression(column, operator=sa.sql.operators.custom_op("+"), type_=column.type)
        return column

    def _table(self, field: Field) -> FromClause:
        if field.place not in self._tables:
            table = self._tables[field.place] = self._joins.tables.annotation.alias()
            self._joins.attach(
                table,
                sa.and_(
                    table.c.dataset_id == self._searches[field.owner].tag.c.dataset_id,
                    table.c.scope == field.scope,
                    table.c.key == field.column,
                ),
                optional=field.place not in self._wanted,
            )
        return self._tables[field.place]


def check_keys(registry: Registry, reading: Reading) -> None:
    """Raise where a key is named that no dataset has, while others are known.

    Who asks whether there is a value (IS NULL) reckons with there being none, and may name any key.

    Raises
    ------
    InvalidQueryError
        A key is unknown; the message says which may have been meant.
    """
    named = [(reading.fields[n.text], c.source, n.at) for c in reading.conditions for n in names_in(c.shape)]
    named += [(order.field, order.source, 0) for order in reading.order]
    asked = {reading.fields[name.text].place for c in reading.conditions for name in _asked_for(c.shape)}
    known: dict[AnnotationScope, list[str]] = {}
    for field, source, at in named:
        if field.scope is None or field.place in asked:
            continue
        if field.scope not in known:
            known[field.scope] = registry.annotations.keys(field.scope)
        keys = known[field.scope]
        if keys and field.column not in keys:
            what = "header value" if field.scope == "header" else "annotation"
            listed = ", ".join(keys[:_SHOWN]) + (", …" if len(keys) > _SHOWN else "")
            raise source.error(
                at, f"No dataset has the {what} {field.column!r}.{closest(field.column, keys)} Known: {listed}."
            )


def _compared(shape: tree.Node) -> Iterator[tree.Name]:
    """Yield the names that must have values where a condition holds: those compared in its outermost AND."""
    for term in shape.terms if isinstance(shape, tree.And) else (shape,):
        match term:
            case tree.Compare(left=tree.Null()) | tree.Compare(right=tree.Null()):
                pass
            case tree.Compare(left=tree.Name() as name) | tree.Compare(right=tree.Name() as name):
                yield name
            case (
                tree.In(operand=tree.Name() as name)
                | tree.Like(operand=tree.Name() as name)
                | tree.Between(operand=tree.Name() as name)
            ):
                yield name
            case tree.Among(names=names):
                yield from names


def _asked_for(node: tree.Node) -> Iterator[tree.Name]:
    """Yield the names in a tree that are asked whether they have a value."""
    match node:
        case tree.IsNull(operand=tree.Name() as name):
            yield name
        case tree.Compare(left=tree.Name() as name, right=tree.Null()):
            yield name
        case tree.Compare(left=tree.Null(), right=tree.Name() as name):
            yield name
    for part in tree.parts(node):
        yield from _asked_for(part)
