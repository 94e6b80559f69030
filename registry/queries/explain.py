"""What a query does, and what it is that lets nothing through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import tree
from .expression import parse
from .plan import plan
from .request import Request
from .unparse import unparse

if TYPE_CHECKING:
    from ..registry import Registry

__all__ = ["explain"]

_SHOWN = 200
"""Characters of one parameter that are shown."""


def explain(registry: Registry, request: Request, query: Callable[[Registry, Request], Any]) -> str:
    """Return the SQL of a request, its parameters and, where it finds nothing, why.

    Parameters
    ----------
    registry
        Where.
    request
        What.
    query
        Makes a query that can be asked whether there is ``any``.
    """
    made = plan(registry, request)
    lines = [made.statement.sql]
    used = made.statement.names or made.statement.constants
    for name in dict.fromkeys(used):
        value = str(made.values.get(name, made.statement.constants.get(name)))
        lines.append(f"  {name} = {value[:_SHOWN]}{'…' if len(value) > _SHOWN else ''}")
    if made.statement.tests:
        lines.append(f"  then {len(made.statement.tests)} exact test(s) of regions on each row")
    if query(registry, request).any():
        return "\n".join([*lines, "There are results."])
    return "\n".join(
        [*lines, "There are no results:", *(f"  - {reason}" for reason in _reasons(registry, request, query))]
    )


def _reasons(registry: Registry, request: Request, query: Callable[[Registry, Request], Any]) -> Iterator[str]:
    if request.limit == 0:
        yield "limit is 0"
        return
    catalog = registry.catalog
    missing = False
    for search in plan(registry, request).searches:
        name = search.dataset_type.name
        if not search.collections:
            missing = True
            type_id = catalog.type_ids[name]
            holding = sorted(catalog.by_id[key].name for key, kind in catalog.summary if kind == type_id)
            where = f"it is in {', '.join(holding[:10])}" if holding else "there is none anywhere"
            yield f"no {name} is in {', '.join(request.collections) or 'no collections'}; {where}"
    if missing:
        return
    bare = replace(request, where=(), data_id={}, order_by=(), limit=None)
    if not query(registry, bare).any():
        yield "nothing is found even without an expression: the records or datasets that it needs are not there"
        return
    found = False
    for text, narrowed in _parts(request, bare):
        if not query(registry, narrowed).any():
            found = True
            yield f"nothing has {text}"
    if not found:
        yield "each condition holds for something, but for nothing do all of them hold"


def _parts(request: Request, bare: Request) -> Iterator[tuple[str, Request]]:
    """Return each condition by itself, and the request that asks for it alone (with the instrument and the sky map)."""
    universe = request.dimensions.universe
    kept = {n: v for n, v in request.data_id.items() if n in universe and not universe[n].requires}
    for name, value in request.data_id.items():
        yield f"{name} = {value!r}", replace(bare, data_id={**kept, name: value})
    for text, bind in request.where:
        node = parse(text)
        terms = node.terms if isinstance(node, tree.And) else () if node is None else (node,)
        for term in terms:
            alone = unparse(term)
            yield alone, replace(bare, where=((alone, bind),), data_id=kept)
