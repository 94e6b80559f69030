"""Alternatives to one list of values.

``visit = 1 OR visit = 2`` means ``visit IN (1, 2)``, and ``(visit = 1 AND detector = 3) OR …``, as users build it in
loops, a list of pairs. As lists they let the database use its indexes, which PostgreSQL before 18 does not for an OR
beside a join, and many travel as one parameter; nothing else of an expression is rewritten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from . import tree
from .kinds import Kind, classify, common_kind

__all__ = ["gather"]

FEWEST = 16
"""Alternatives of several columns together from which on they are worth gathering."""
_INFINITE = (-math.inf, math.inf)
"""What the JSON that lists travel in cannot say."""
_LISTED = (Kind.INT, Kind.FLOAT, Kind.STRING, Kind.TIME)


def gather(node: tree.Or) -> tuple[tuple[tree.Name, ...], tuple[Kind, ...], list[list[object]]] | None:
    """Return names, the kinds of their values, and a row of values for each alternative.

    None where the alternatives are not all equalities of the same names with literals of one kind each.
    """
    several = isinstance(node.terms[0], tree.And)
    if several and len(node.terms) < FEWEST:
        return None
    names: tuple[tree.Name, ...] | None = None
    kinds: list[Kind] = []
    rows: list[list[object]] = []
    for term in node.terms:
        pairs = list(_equalities(term.terms if isinstance(term, tree.And) else (term,)))
        if any(pair is None for pair in pairs):
            return None
        found = [pair for pair in pairs if pair is not None]
        these = tuple(name for name, _, _ in found)
        if names is None:
            names, kinds = these, [kind for _, kind, _ in found]
            if len(set(names)) < len(names):
                return None
        elif names != these:
            return None
        agreed = [common_kind(a, kind) for a, (_, kind, _) in zip(kinds, found, strict=True)]
        if not all(kind in _LISTED for kind in agreed):
            return None
        kinds = [kind for kind in agreed if kind is not None]
        rows.append([value for _, _, value in found])
    return None if names is None else (names, tuple(kinds), rows)


def _equalities(terms: Sequence[tree.Node]) -> Iterable[tuple[tree.Name, Kind, object] | None]:
    """Return name, kind and value of each equality; None for what is something else."""
    for term in terms:
        match term:
            case tree.Compare("=", tree.Name() as name, tree.Literal(value)) | tree.Compare(
                "=", tree.Literal(value), tree.Name() as name
            ) if value not in _INFINITE:
                yield (name, *classify(value))
            case tree.Compare("=", tree.Name() as name, tree.Time(nanoseconds)):
                yield name, Kind.TIME, nanoseconds
            case _:
                yield None
