"""Why a task got no quanta: which constraint removed the last candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..butler.butler import Butler
    from ..model.dimensions import DimensionGroup

__all__ = ["explain_empty"]


def explain_empty(
    butler: Butler,
    dimensions: DimensionGroup,
    datasets: Sequence[str],
    collections: Sequence[str],
    where: str,
    own_where: str,
    candidates: int,
    upstream: Mapping[str, int],
) -> str:
    """Ask again with fewer constraints and say which one left nothing.

    Parameters
    ----------
    butler
        Repository that was searched.
    dimensions
        Dimensions of the query.
    datasets
        Dataset types that had to exist.
    collections
        Where they were looked for.
    where, own_where
        The run's data query and the task's own.
    candidates
        Data IDs that the query found.
    upstream
        How many of them had no such dataset from an earlier task, by dataset type.

    Returns
    -------
    str
        A sentence without its full stop.
    """
    places = ", ".join(collections)
    if candidates:
        if not upstream:
            return f"none of {candidates} data IDs has as many inputs as the task needs"
        name = max(upstream, key=upstream.__getitem__)
        return f"no earlier task makes {name!r} for any of {candidates} data IDs"
    for name in datasets:
        if not _any(butler.query_datasets(name, collections=list(collections), limit=1)):
            return f"there is no {name!r} in {places}"

    def exist(condition: str, required: Sequence[str]) -> bool:
        found = butler.query_data_ids(
            dimensions, datasets=list(required), collections=list(collections), where=condition, limit=1
        )
        return _any(found)

    over = ", ".join(dimensions.required)
    if not exist("", ()):
        return f"the repository has no records that join {over}"
    if not exist("", datasets):
        return f"no data ID over {over} has all of {', '.join(datasets)} in {places}"
    for condition, whose in ((where, "the data query"), (own_where, "the task's own query")):
        if condition.strip() and not exist(condition, ()):
            return f"{whose} {condition!r} matches nothing in the repository"
    for condition, whose in ((where, "the data query"), (own_where, "the task's own query")):
        if condition.strip() and not exist(condition, datasets):
            return f"{whose} {condition!r} leaves nothing that has {' and '.join(datasets)} in {places}"
    return f"the data query {where!r} and the task's own query {own_where!r} have nothing in common"


def _any(found: object) -> bool:
    return any(True for _ in found)  # type: ignore[attr-defined]  # a query result is iterable
