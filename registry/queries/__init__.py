"""Queries: an expression language over dimension records and datasets, to one SQL statement each.

The way of a query: `expression.parse` makes a syntax tree, `values.Lifter` takes the values out of it,
`resolve.Scope` finds the columns that its names mean, `plan.plan` joins the tables and compiles the conditions, and
`results.Query` runs the statement and streams what it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ...model.dimensions import DimensionGroup
from ...model.errors import InvalidQueryError
from .request import Request, check_limit, names
from .results import DataIdQuery, DatasetQuery, DatasetsQuery, Query, RecordQuery

if TYPE_CHECKING:
    from ..registry import Registry

__all__ = [
    "DataIdQuery",
    "DatasetQuery",
    "DatasetsQuery",
    "Query",
    "RecordQuery",
    "query_all_datasets",
    "query_data_ids",
    "query_datasets",
    "query_dimension_records",
]


def query_datasets(
    registry: Registry,
    dataset_type: str,
    collections: str | Iterable[str],
    *,
    find_first: bool = True,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    order_by: str | Iterable[str] = (),
    limit: int | None = None,
    data_id: Mapping[str, Any] | None = None,
) -> DatasetQuery:
    """Return the datasets of one type for which an expression holds.

    Parameters
    ----------
    registry
        Where.
    dataset_type
        The type's name.
    collections
        What is searched, in order; globs are allowed where ``find_first`` is False.
    find_first
        Whether only the first dataset of each data ID that fits counts.
    where, bind
        A query expression and the values of the ``:names`` in it.
    order_by
        Columns to sort by; ``-`` before one reverses it.
    limit
        How many at most.
    data_id
        Values of dimensions that must hold.

    Raises
    ------
    InvalidQueryError
        The expression means nothing.
    DatasetTypeNotFoundError, CollectionNotFoundError
        There is none of that name.
    """
    found = registry.dataset_type(dataset_type)
    request = Request(
        "datasets", found.dimensions, None, (found,), names(collections), find_first, ((where, bind or {}),),
        data_id or {}, names(order_by), check_limit(limit),
    )  # fmt: skip
    return DatasetQuery(registry, request)


def query_data_ids(
    registry: Registry,
    dimensions: str | Iterable[str] | DimensionGroup,
    *,
    datasets: str | Iterable[str] | None = None,
    collections: str | Iterable[str] | None = None,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    order_by: str | Iterable[str] = (),
    limit: int | None = None,
    data_id: Mapping[str, Any] | None = None,
) -> DataIdQuery:
    """Return the data IDs, implied values included, for which an expression holds.

    Parameters
    ----------
    dimensions
        Dimensions of the data IDs; those of different parts of the sky, or exposures and visits, are joined.
    datasets, collections
        Dataset types of which each data ID must have one in these collections.

    See Also
    --------
    query_datasets : The other parameters.
    """
    group = _group(registry, dimensions)
    types = tuple(registry.dataset_type(name) for name in names(datasets))
    request = Request(
        "data_ids", group, None, types, names(collections), False, ((where, bind or {}),), data_id or {},
        names(order_by), check_limit(limit),
    )  # fmt: skip
    return DataIdQuery(registry, request)


def query_dimension_records(
    registry: Registry,
    element: str,
    *,
    datasets: str | Iterable[str] | None = None,
    collections: str | Iterable[str] | None = None,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    order_by: str | Iterable[str] = (),
    limit: int | None = None,
    data_id: Mapping[str, Any] | None = None,
) -> RecordQuery:
    """Return the records of a dimension element for which an expression holds.

    See Also
    --------
    query_data_ids : The parameters.

    Raises
    ------
    InvalidQueryError
        The element has no records of its own, or the expression means nothing.
    DataIdError
        There is no element of that name.
    """
    found = registry.universe[element]
    if not found.has_table:
        source = f"records of {found.union_of} name it" if found.union_of else "they are computed"
        raise InvalidQueryError(f"{element} has no records of its own: {source}. Ask for its data IDs.")
    types = tuple(registry.dataset_type(name) for name in names(datasets))
    request = Request(
        "records", registry.universe.conform(found.required), found, types, names(collections), False,
        ((where, bind or {}),), data_id or {}, names(order_by), check_limit(limit),
    )  # fmt: skip
    return RecordQuery(registry, request)


def query_all_datasets(
    registry: Registry,
    name: str | Iterable[str] = "*",
    *,
    collections: str | Iterable[str],
    find_first: bool = True,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    limit: int | None = None,
    data_id: Mapping[str, Any] | None = None,
) -> DatasetsQuery:
    """Return the datasets of all types whose names match a glob, or one of several; see `query_datasets`."""
    found = {t.name: t for glob in names(name) for t in registry.dataset_types(glob)}
    searched = names(collections)
    queries = [
        query_datasets(registry, t, searched, find_first=find_first, where=where, bind=bind, data_id=data_id)
        for t in sorted(found)
        if registry.catalog.search(searched, t, find_first=find_first)
    ]
    return DatasetsQuery(queries, check_limit(limit))


def _group(registry: Registry, dimensions: str | Iterable[str] | DimensionGroup) -> DimensionGroup:
    return registry.universe.conform([dimensions] if isinstance(dimensions, str) else dimensions)
