"""Shapes of expressions (`values.lift`) to SQL conditions, checking that the kinds of value agree.

AND and OR go to SQL as they are, with no normal form, so that an expression's SQL is as long as the expression.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from ...model.dimensions import DimensionUniverse
from . import tree
from .dialect import SQL_TYPES, Dialect, any_of, parenthesis
from .kinds import Kind, common_kind
from .resolve import Field
from .source import Source

__all__ = ["Columns", "Compiler", "Term", "check_overlap"]

Columns: TypeAlias = Callable[[Field], Any]
"""Gives the SQL column of a field; of a timespan, the pair of its begin and end."""

_COMPARE = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Term:
    """A value in SQL."""

    kind: Kind
    sql: Any
    """A column expression; of a timespan, the pair of its begin and end."""
    at: int
    field: Field | None = None


class Compiler:
    """Writes conditions of one expression.

    Parameters
    ----------
    source
        The expression, for messages.
    fields
        The column that each of its names means.
    columns
        The SQL of each column.
    dialect
        The database's.
    overlaps
        Writes an overlap of a region column with the constant region of a value's index.
    """

    def __init__(
        self,
        source: Source,
        fields: Mapping[str, Field],
        columns: Columns,
        dialect: Dialect,
        universe: DimensionUniverse,
        overlaps: Callable[[Field, int], ColumnElement[bool]],
    ):
        self.source = source
        self.fields = fields
        self.columns = columns
        self.dialect = dialect
        self.universe = universe
        self.overlaps = overlaps

    def condition(self, node: tree.Node) -> ColumnElement[bool]:
        """Return what is true of the rows that a condition admits.

        Raises
        ------
        InvalidQueryError
            It is no condition, or kinds of value do not agree.
        """
        match node:
            case tree.And():
                return any_of(sa.and_, [self.condition(term) for term in node.terms])
            case tree.Or():
                return any_of(sa.or_, [self.condition(term) for term in node.terms])
            case tree.Not():
                return sa.not_(self.condition(node.operand))
            case tree.Compare():
                return self._compare(node)
            case tree.Among():
                return self._among(node)
            case tree.In():
                found = self._in(node)
                return sa.not_(found) if node.negated else found
            case tree.Like():
                found = self._like(node)
                return sa.not_(found) if node.negated else found
            case tree.Between():
                found = self._between(node)
                return sa.not_(found) if node.negated else found
            case tree.IsNull():
                return self._null(self.term(node.operand), node.negated)
        term = self._as(self.term(node), Kind.BOOL)
        if term.kind is not Kind.BOOL:
            raise self.error(term, f"A condition is wanted; this is {term.kind.value}. Compare it with something.")
        return cast("ColumnElement[bool]", term.sql)

    def error(self, term: Term, message: str) -> Exception:
        """Make the error that points at a term."""
        return self.source.error(term.at, message)

    def term(self, node: tree.Node) -> Term:
        """Return a value in SQL."""
        match node:
            case tree.Name():
                field = self.fields[node.text]
                if field.kind is Kind.REGION and self.universe[field.owner].pixels is not None:
                    raise self.source.error(node.at, f"{field} only overlaps regions of records, such as visit.region.")
                return Term(field.kind, self.columns(field), node.at, field)
            case tree.Value(kind=Kind.TIMESPAN):
                ends = tuple(self._parameter(node.index + i, Kind.TIME) for i in range(2))
                return Term(Kind.TIMESPAN, ends, node.at)
            case tree.Value(kind=Kind.REGION):
                return Term(Kind.REGION, node.index, node.at)
            case tree.Value():
                return Term(node.kind, self._parameter(node.index, node.kind), node.at)
            case tree.Negative():
                return self._negative(node)
            case tree.Arithmetic():
                return self._arithmetic(node)
            case tree.Null():
                raise self.source.error(node.at, "NULL stands here for no value; compare a column with it: IS NULL.")
            case tree.Range():
                raise self.source.error(node.at, "A range stands in a list: detector IN (1..3).")
            case _:
                return Term(Kind.BOOL, parenthesis(self.condition(node)), node.at)

    @staticmethod
    def _parameter(index: int, kind: Kind) -> ColumnElement[Any]:
        return sa.bindparam(f"v{index}", type_=SQL_TYPES[kind])

    def _as(self, term: Term, kind: Kind) -> Term:
        """Return a header value or an annotation as a value of a kind; anything else as it is."""
        if term.kind is not Kind.OPEN:
            return term
        field = cast("Field", term.field)
        if kind not in (Kind.INT, Kind.FLOAT, Kind.STRING, Kind.BOOL):
            hint = " A time in a header is a string: '2019-05-03T09:00:00'." if kind is Kind.TIME else ""
            raise self.error(term, f"{field} is a number, a string, or true or false, never {kind.value}.{hint}")
        return Term(kind, self.columns(replace(field, kind=kind)), term.at, field)

    def _readings(self, *terms: Term) -> list[list[Term]]:
        """Return terms as what they are compared as: those that are open are of the others' kind.

        Where all are open, all are numbers, or all strings.
        """
        if all(term.kind is not Kind.OPEN for term in terms):
            return [[*terms]]
        given = next((term.kind for term in terms if term.kind is not Kind.OPEN), None)
        kinds = [Kind.FLOAT, Kind.STRING] if given is None else [Kind.FLOAT if given.is_number else given]
        return [[self._as(term, kind) for term in terms] for kind in kinds]

    @staticmethod
    def _either(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
        """Return the condition, of several the first that is not NULL."""
        return conditions[0] if len(conditions) == 1 else sa.func.coalesce(*conditions, type_=sa.Boolean())

    def _negative(self, node: tree.Negative) -> Term:
        if isinstance(node.operand, tree.Negative):  # two signs would read as a comment
            return self.term(node.operand.operand)
        operand = self._number(self._as(self.term(node.operand), Kind.FLOAT), "-")
        return Term(operand.kind, -operand.sql, node.at)

    def _number(self, term: Term, sign: str) -> Term:
        if not term.kind.is_number:
            raise self.error(term, f"{sign!r} wants numbers; this is {term.kind.value}.")
        return term

    def _arithmetic(self, node: tree.Arithmetic) -> Term:
        wanted = Kind.INT if node.operator == "%" else Kind.FLOAT
        sides = (self._as(self.term(side), wanted) for side in (node.left, node.right))
        left, right = (self._number(side, node.operator) for side in sides)
        kind = Kind.FLOAT if Kind.FLOAT in (left.kind, right.kind) else Kind.INT
        a, b = left.sql, right.sql
        if kind is Kind.INT and node.operator in "+-*":
            a = self.dialect.unbounded(a)
        match node.operator:
            case "+":
                return Term(kind, a + b, node.at)
            case "-":
                return Term(kind, a - b, node.at)
            case "*":
                return Term(kind, a * b, node.at)
        # To divide by zero gives NULL on every database.
        divisor = sa.func.nullif(b, sa.literal_column("0"), type_=SQL_TYPES[right.kind])
        if node.operator == "/":
            quotient = sa.cast(a, sa.Double()) / sa.cast(divisor, sa.Double())
            return Term(Kind.FLOAT, quotient, node.at)
        if kind is not Kind.INT:
            raise self.source.error(node.at, "'%' wants integers on both sides.")
        return Term(Kind.INT, a % divisor, node.at)

    def _compare(self, node: tree.Compare) -> ColumnElement[bool]:
        nulls = [isinstance(side, tree.Null) for side in (node.left, node.right)]
        if any(nulls):
            if all(nulls) or node.operator not in ("=", "!="):
                raise self.source.error(
                    node.at, "NULL is compared by = or != with a column; better: IS NULL, IS NOT NULL."
                )
            return self._null(self.term(node.left if nulls[1] else node.right), node.operator == "!=")
        left, right = self.term(node.left), self.term(node.right)
        if node.operator == "OVERLAPS":
            return self._overlap(left, right, node.at)
        return self._either([self._comparison(node, *sides) for sides in self._readings(left, right)])

    def _comparison(self, node: tree.Compare, left: Term, right: Term) -> ColumnElement[bool]:
        kind = self._agreed(left, right, node.operator, node.at)
        operand = left.sql
        if node.operator not in ("=", "!="):
            if not kind.is_ordered:
                raise self.source.error(node.at, f"{node.operator!r} means nothing between {kind.value} and another.")
            operand = self.dialect.ordered(operand, kind)
        compared: ColumnElement[bool] = _COMPARE[node.operator](operand, right.sql)
        return compared

    def _agreed(self, left: Term, right: Term, what: str, at: int) -> Kind:
        kind = common_kind(left.kind, right.kind)
        if kind is not None and kind.is_comparable:
            return kind
        spans = {Kind.TIMESPAN, Kind.REGION} & {left.kind, right.kind}
        hint = " Use OVERLAPS, or .begin and .end." if Kind.TIMESPAN in spans else " Use OVERLAPS." if spans else ""
        if {left.kind, right.kind} == {Kind.TIME, Kind.STRING}:
            hint = " A time is written T'2025-01-01T00:00:00'."
        elif {left.kind, right.kind} == {Kind.UUID, Kind.STRING}:
            hint = " A UUID is written UUID('…')."
        elif any(term.field is not None and str(term.field) == "day_obs" for term in (left, right)):
            hint = " A day is written as an integer: day_obs = 20190503."
        raise self.source.error(at, f"{what} cannot compare {left.kind.value} with {right.kind.value}.{hint}")

    @staticmethod
    def _null(term: Term, negated: bool) -> ColumnElement[bool]:
        if term.kind is Kind.REGION and term.field is None:  # a region that the expression itself writes
            return sa.true() if negated else sa.false()
        column = term.sql[0] if term.kind is Kind.TIMESPAN else term.sql
        return cast("ColumnElement[bool]", column.is_not(None) if negated else column.is_(None))

    def _like(self, node: tree.Like) -> ColumnElement[bool]:
        operand, pattern = self._as(self.term(node.operand), Kind.STRING), self.term(node.pattern)
        if operand.kind is not Kind.STRING:
            raise self.error(operand, f"A pattern is compared with a string; this is {operand.kind.value}.")
        return self.dialect.like(operand.sql, pattern.sql)

    def _between(self, node: tree.Between) -> ColumnElement[bool]:
        terms = [self.term(part) for part in (node.operand, node.low, node.high)]
        return self._either([self._within(node, *reading) for reading in self._readings(*terms)])

    def _within(self, node: tree.Between, operand: Term, low: Term, high: Term) -> ColumnElement[bool]:
        for bound in (low, high):
            kind = self._agreed(operand, bound, "BETWEEN", node.at)
            if not kind.is_ordered:
                raise self.source.error(node.at, f"BETWEEN means nothing for {kind.value}.")
        ordered = self.dialect.ordered(operand.sql, operand.kind)
        return ordered.between(low.sql, high.sql)

    def _in(self, node: tree.In) -> ColumnElement[bool]:
        operand = self.term(node.operand)
        if not operand.kind.is_comparable:
            raise self.error(operand, f"IN wants a value; this is {operand.kind.value}. Use OVERLAPS.")
        found: list[ColumnElement[bool]] = []
        for item in node.items:
            if isinstance(item, tree.Stride):
                found.append(self._stride(operand, item))
            elif isinstance(item, tree.Values):
                one, _ = self._readings(operand, Term(item.kind, None, item.at))[0]
                self._agreed(one, Term(item.kind, None, item.at), "IN", item.at)
                if item.count < 0:
                    found.append(self.dialect.in_list(one.sql, item.kind, f"v{item.index}"))
                else:
                    listed = [self._parameter(item.index + i, item.kind) for i in range(item.count)]
                    found.append(one.sql.in_(listed))
            else:
                readings = self._readings(operand, self.term(item))
                for one, other in readings:
                    self._agreed(one, other, "IN", item.at)
                found.append(self._either([one.sql == other.sql for one, other in readings]))
        return any_of(sa.or_, found) if found else sa.false()

    def _among(self, node: tree.Among) -> ColumnElement[bool]:
        terms = [
            self._readings(self.term(name), Term(kind, None, node.at))[0][0]
            for name, kind in zip(node.names, node.kinds, strict=True)
        ]
        for term, kind in zip(terms, node.kinds, strict=True):
            self._agreed(term, Term(kind, None, term.at), "'='", term.at)
        columns: list[ColumnElement[Any]] = [term.sql for term in terms]
        if node.count > 0:
            return columns[0].in_([self._parameter(node.index + i, node.kinds[0]) for i in range(node.count)])
        operand = sa.tuple_(*columns) if len(columns) > 1 else columns[0]
        return operand.in_(self.dialect.rows(f"v{node.index}", node.kinds))

    def _stride(self, operand: Term, item: tree.Stride) -> ColumnElement[bool]:
        operand = self._as(operand, Kind.INT)
        if operand.kind is not Kind.INT:
            raise self.source.error(item.at, f"A range holds integers, and this is compared with {operand.kind.value}.")
        start, stop, *stepped = (self._parameter(item.index + i, Kind.INT) for i in range(5 if item.stepped else 2))
        within: ColumnElement[bool] = operand.sql.between(start, stop)
        if item.stepped:  # a remainder has the sign of what is divided; a difference might not fit 64 bits
            step, *remainders = stepped
            within = sa.and_(within, (operand.sql % step).in_(remainders))
        return within

    def _overlap(self, left: Term, right: Term, at: int) -> ColumnElement[bool]:
        check_overlap(left, right, at, self.source, self.universe)
        if left.kind is Kind.REGION:
            if left.field is not None and right.field is not None:
                raise self.source.error(
                    at, "Two columns of regions can only be joined: OVERLAPS of both stands by itself, or beside AND."
                )
            if left.field is not None:
                return self.overlaps(left.field, right.sql)
            if right.field is not None:
                return self.overlaps(right.field, left.sql)
        if left.kind is Kind.TIME:
            left, right = right, left
        begin, end = left.sql
        if right.kind is Kind.TIME:
            return sa.and_(begin <= right.sql, end > right.sql)
        return sa.and_(begin < right.sql[1], end > right.sql[0])


def check_overlap(left: Term, right: Term, at: int, source: Source, universe: DimensionUniverse) -> None:
    """Raise where two terms cannot be asked whether they overlap."""
    kinds = {left.kind, right.kind}
    if kinds not in ({Kind.REGION}, {Kind.TIMESPAN}, {Kind.TIMESPAN, Kind.TIME}):
        given = f"{left.kind.value} and {right.kind.value}"
        raise source.error(at, f"OVERLAPS takes two regions, two timespans, or a timespan and a time; not {given}.")
    if Kind.REGION in kinds and left.field is None and right.field is None:
        raise source.error(at, "One side of OVERLAPS must be a column, such as visit.region.")
    if left.field is not None and right.field is not None:
        families = universe.spatial_families if Kind.REGION in kinds else universe.temporal_families
        owners = {left.field.owner, right.field.owner}
        if len(owners) == 1 or any(owners <= set(family) for family in families.values()):
            both = f"{left.field} and {right.field}"
            raise source.error(at, f"{both} belong together by their data IDs; no overlap need be asked for.")
