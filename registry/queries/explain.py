"""What a query does, and what it is that lets nothing through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from . import tree
from .expression import parse
from .plan import plan
from .request import Request
from .resolve import names_in
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
        empty = [name for name in request.dimensions.required if _has_no_records(registry, name)]
        of = f"there are no records of {', '.join(empty)}" if empty else "the records or datasets that it needs differ"
        yield f"nothing is found even without an expression: {of}"
        return
    parts = list(_parts(request))
    # Most other values mean nothing without the instrument or the sky map, so these go with each.
    always = [part for part in parts if _is_governing(part, request)]
    rest = [part for part in parts if part not in always]
    for part in always:
        if not query(registry, _narrowed(bare, [part])).any():
            yield f"nothing has {part.text}"
            return
    alone = [part for part in rest if not query(registry, _narrowed(bare, [*always, part])).any()]
    if alone:
        yield from (f"nothing has {part.text}" for part in alone)
        return
    for i, part in enumerate(rest):
        if not query(registry, _narrowed(bare, [*always, *rest[: i + 1]])).any():
            before = " AND ".join(p.text for p in [*always, *rest[:i]])
            yield f"nothing that has {before} has {part.text}, too"
            return


def _has_no_records(registry: Registry, name: str) -> bool:
    if not registry.universe[name].has_table:
        return False
    with registry.database.read() as connection:
        return connection.execute(sa.select(registry.tables.dimension[name]).limit(1)).first() is None


@dataclass(frozen=True)
class _Part:
    """One of the conditions that must all hold."""

    text: str
    bind: Mapping[str, Any]
    node: tree.Node | None = None
    key: str = ""
    """A dimension's name, where it is of the data ID."""


def _parts(request: Request) -> Iterator[_Part]:
    for name, value in request.data_id.items():
        if value is not None:
            yield _Part(f"{name} = {value!r}", {name: value}, key=name)
    for text, bind in request.where:
        node = parse(text)
        for term in node.terms if isinstance(node, tree.And) else () if node is None else (node,):
            yield _Part(unparse(term), bind, term)


def _is_governing(part: _Part, request: Request) -> bool:
    universe = request.dimensions.universe
    names = [part.key] if part.node is None else [name.text.partition(".")[0] for name in names_in(part.node)]
    return bool(names) and all(n in universe and universe[n].has_table and not universe[n].requires for n in names)


def _narrowed(bare: Request, parts: Sequence[_Part]) -> Request:
    keys = {part.key: part.bind[part.key] for part in parts if part.key}
    return replace(bare, data_id=keys, where=tuple((part.text, part.bind) for part in parts if not part.key))
