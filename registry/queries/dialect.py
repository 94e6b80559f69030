"""The few things that queries say differently to SQLite and to PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from ..database import Database, DatasetId
from . import patterns
from .kinds import Kind

__all__ = ["SQL_TYPES", "Dialect", "any_of", "parenthesis"]

SQL_TYPES: dict[Kind, Any] = {
    Kind.INT: sa.BigInteger(),
    Kind.FLOAT: sa.Double(),
    Kind.STRING: sa.Text(),
    Kind.BOOL: sa.Boolean(),
    Kind.BYTES: sa.LargeBinary(),
    Kind.UUID: DatasetId(),
    Kind.TIME: sa.BigInteger(),
    Kind.PATTERN: sa.Text(),
}
_CHUNK = 64
"""Terms of one AND or OR before they are put in parentheses: SQLite refuses trees deeper than 1000."""


class Dialect:
    """What a database's SQL is like, as far as queries care."""

    def __init__(self, database: Database):
        self.name = database.dialect_name
        self.is_sqlite = self.name == "sqlite"
        self._database = database

    def pattern(self, pieces: list[str | patterns.Wildcard]) -> str:
        """Write a pattern in the form that `like` compares with."""
        return patterns.to_glob(pieces) if self.is_sqlite else patterns.to_like(pieces)

    def like(self, operand: ColumnElement[Any], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        """Compare a string with a pattern, heeding case."""
        if self.is_sqlite:
            return operand.op("GLOB", is_comparison=True, return_type=sa.Boolean())(pattern)
        return operand.like(pattern, escape="\\")

    def ordered(self, operand: ColumnElement[Any], kind: Kind) -> ColumnElement[Any]:
        """Make a string compare by code points, whatever the database's language is."""
        return operand if self.is_sqlite or kind is not Kind.STRING else operand.collate("C")

    def unbounded(self, operand: ColumnElement[Any]) -> ColumnElement[Any]:
        """Make an integer one that arithmetic does not take out of its range: SQLite goes on with floats."""
        return operand if self.is_sqlite else sa.cast(operand, sa.Numeric())

    def sorted(self, operand: ColumnElement[Any], descending: bool) -> ColumnElement[Any]:
        """Sort by a column (as `ordered` gives it), NULL being less than everything."""
        if self.is_sqlite:
            return operand.desc() if descending else operand.asc()
        return operand.desc().nulls_last() if descending else operand.asc().nulls_first()

    def encode(self, kind: Kind, value: Any) -> Any:
        """Turn a value into what the driver takes."""
        return self._database.encode_id(value) if kind is Kind.UUID else value

    def in_list(self, operand: ColumnElement[Any], kind: Kind, parameter: str) -> ColumnElement[bool]:
        """Test membership in a list, of any length, that travels as one parameter (`json_list`)."""
        if kind in (Kind.UUID, Kind.BYTES) and self.is_sqlite:  # JSON has no bytes
            return sa.func.lower(sa.func.hex(operand)).in_(self.rows(parameter, [Kind.STRING]))
        if kind is Kind.BYTES:
            return sa.func.encode(operand, "hex").in_(self.rows(parameter, [Kind.STRING]))
        return operand.in_(self.rows(parameter, [kind]))

    @staticmethod
    def json_list(kind: Kind, values: Sequence[Any]) -> str:
        """Write the parameter of `in_list`."""
        if kind is Kind.UUID:
            values = [value.hex for value in values]
        elif kind is Kind.BYTES:
            values = [value.hex() for value in values]
        return json.dumps(values)

    def rows(self, parameter: str, kinds: Sequence[Kind]) -> sa.Select[Any]:
        """Select the rows of a JSON parameter: a list of values for one column, a list of lists for several."""
        given = sa.bindparam(parameter, type_=sa.Text())
        if self.is_sqlite:
            table: Any = sa.func.json_each(given).table_valued("value")
            if len(kinds) == 1:
                return sa.select(table.c.value.label("c0"))
            # Without a type, what comes out of JSON is compared, but not found by an index.
            cells = [sa.func.json_extract(table.c.value, sa.literal_column(f"'$[{i}]'")) for i in range(len(kinds))]
            return sa.select(
                *(sa.cast(p, SQL_TYPES[k]).label(f"c{i}") for i, (p, k) in enumerate(zip(cells, kinds, strict=True)))
            )
        listed = sa.func.jsonb_array_elements(sa.cast(given, sa.dialects.postgresql.JSONB)).table_valued("value")
        parts = [
            listed.c.value.op("#>>")(sa.literal_column(f"'{{{i}}}'" if len(kinds) > 1 else "'{}'"))
            for i in range(len(kinds))
        ]
        return sa.select(
            *(sa.cast(p, SQL_TYPES[k]).label(f"c{i}") for i, (p, k) in enumerate(zip(parts, kinds, strict=True)))
        )


class parenthesis(ColumnElement[bool]):  # noqa: N801 - reads as a function where it is used
    """A condition in parentheses that SQLAlchemy does not take off again."""

    inherit_cache = True
    type = sa.Boolean()

    def __init__(self, condition: ColumnElement[bool]):
        self.condition = condition

    def _compiler_dispatch(self, compiler: SQLCompiler, **kw: Any) -> str:  # type: ignore[override]
        return f"({compiler.process(self.condition, **kw)})"

    def self_group(self, against: Any = None) -> ColumnElement[bool]:
        """Need no further parentheses."""
        return self

    def _negate(self) -> ColumnElement[bool]:
        return sa.sql.elements.UnaryExpression(self, operator=operators.inv)


def any_of(join: Any, terms: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Join conditions by `sqlalchemy.and_` or `or_`; many are put in groups, so that the tree stays shallow."""
    while len(terms) > _CHUNK:
        terms = [parenthesis(join(*terms[i : i + _CHUNK])) for i in range(0, len(terms), _CHUNK)]
    joined: ColumnElement[bool] = join(*terms)
    return joined
