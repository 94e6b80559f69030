"""Overlaps of regions in a query's conditions, told apart from all else: they need more than SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...model.dimensions import DimensionUniverse
from . import tree
from .compile import Term, check_overlap
from .kinds import Kind
from .request import Condition, Reading
from .resolve import Field

__all__ = ["Overlap", "split_overlaps"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """A column of regions that overlaps another, or a constant region."""

    condition: Condition
    """The overlap itself, for messages."""
    column: Field
    other: Field | int
    """The other column, or the constant region's place among the values."""


def split_overlaps(reading: Reading, universe: DimensionUniverse) -> tuple[list[Condition], list[Overlap]]:
    """Return the conditions, each without the overlaps that its outermost AND holds, and these overlaps.

    Raises
    ------
    InvalidQueryError
        An overlap of two columns that need none.
    """
    plain: list[Condition] = []
    overlaps: list[Overlap] = []
    for condition in reading.conditions:
        shape, source = condition.shape, condition.source
        terms = shape.terms if isinstance(shape, tree.And) else (shape,)
        rest: list[tree.Node] = []
        for term in terms:
            overlap = _overlap(Condition(source, term), reading, universe)
            if overlap is None:
                rest.append(term)
            else:
                overlaps.append(overlap)
        plain += [Condition(source, shape)] if len(rest) == len(terms) else _conditions(condition, rest)
    return plain, overlaps


def _conditions(condition: Condition, terms: Sequence[tree.Node]) -> list[Condition]:
    return [Condition(condition.source, term) for term in terms]


def _overlap(condition: Condition, reading: Reading, universe: DimensionUniverse) -> Overlap | None:
    node = condition.shape
    if not isinstance(node, tree.Compare) or node.operator != "OVERLAPS":
        return None
    sides = [_side(side, reading) for side in (node.left, node.right)]
    columns = [side for side in sides if isinstance(side, Field)]
    constants = [side for side in sides if isinstance(side, int)]
    if len(columns) == 2:
        terms = [Term(Kind.REGION, None, node.at, column) for column in columns]
        check_overlap(terms[0], terms[1], node.at, condition.source, universe)
        return Overlap(condition, columns[0], columns[1])
    if columns and constants and universe[columns[0].owner].pixels is None:
        return Overlap(condition, columns[0], constants[0])
    return None


def _side(node: tree.Node, reading: Reading) -> Field | int | None:
    """Return the column of regions that a node names, or the place of the region that it is."""
    if isinstance(node, tree.Name):
        field = reading.fields[node.text]
        return field if field.kind is Kind.REGION else None
    return node.index if isinstance(node, tree.Value) and node.kind is Kind.REGION else None
