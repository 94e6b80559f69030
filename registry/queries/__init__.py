"""Queries: an expression language over dimension records and datasets, to one SQL statement each.

The way of a query: `expression.parse` makes a syntax tree, `values.Lifter` takes the values out of it,
`resolve.Scope` finds the columns that its names mean, `plan.plan` joins the tables and compiles the conditions, and
`results.Query` runs the statement and streams what it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ...model.datasets import DatasetType
from ...model.dimensions import DimensionGroup
from ...model.errors import DatasetTypeNotFoundError, InvalidQueryError
from ..catalog import is_glob
from .arguments import Limit, Where, conditions, names, yes_or_no
from .request import Request
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
    where: Where = "",
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
        A query expression, or several that must all hold, and the values of the ``:names`` in it.
    order_by
        Columns to sort by; ``-`` before one reverses it.
    limit
        How many at most; a negative number also tells, by a warning in the log, if there are more.
    data_id
        Values of dimensions that must hold.

    Raises
    ------
    InvalidQueryError
        The expression means nothing.
    DatasetTypeNotFoundError, CollectionNotFoundError
        There is none of that name.
    """
    if not isinstance(dataset_type, str):
        raise InvalidQueryError(
            f"dataset_type is one dataset type's name, not {dataset_type!r}; see query_all_datasets."
        )
    if is_glob(dataset_type):
        raise DatasetTypeNotFoundError(f"no dataset type {dataset_type!r}: query_all_datasets takes globs.")
    found, cut = registry.dataset_type(dataset_type), Limit.of(limit)
    request = Request(
        "datasets", found.dimensions, None, (found,), names(collections, "collections"),
        yes_or_no(find_first, "find_first"), conditions(where, bind), data_id or {}, names(order_by, "order_by"),
        cut.most, cut.tells,
    )  # fmt: skip
    return DatasetQuery(registry, request)


def query_data_ids(
    registry: Registry,
    dimensions: str | Iterable[str] | DimensionGroup,
    *,
    datasets: str | Iterable[str] | None = None,
    collections: str | Iterable[str] | None = None,
    where: Where = "",
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
    types, cut = _types(registry, datasets), Limit.of(limit)
    request = Request(
        "data_ids", group, None, types, names(collections, "collections"), False, conditions(where, bind),
        data_id or {}, names(order_by, "order_by"), cut.most, cut.tells,
    )  # fmt: skip
    return DataIdQuery(registry, request)


def query_dimension_records(
    registry: Registry,
    element: str,
    *,
    datasets: str | Iterable[str] | None = None,
    collections: str | Iterable[str] | None = None,
    where: Where = "",
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
    if not isinstance(element, str):
        raise InvalidQueryError(f"element is the name of a dimension element, such as 'visit'; not {element!r}.")
    found = registry.universe[element]
    if not found.has_table:
        source = f"records of {found.union_of} name it" if found.union_of else "they are computed"
        raise InvalidQueryError(f"{element} has no records of its own: {source}. Ask for its data IDs.")
    types, cut = _types(registry, datasets), Limit.of(limit)
    request = Request(
        "records", registry.universe.conform(found.required), found, types, names(collections, "collections"), False,
        conditions(where, bind), data_id or {}, names(order_by, "order_by"), cut.most, cut.tells,
    )  # fmt: skip
    return RecordQuery(registry, request)


def query_all_datasets(
    registry: Registry,
    name: str | Iterable[str] = "*",
    *,
    collections: str | Iterable[str],
    find_first: bool = True,
    where: Where = "",
    bind: Mapping[str, Any] | None = None,
    limit: int | None = None,
    data_id: Mapping[str, Any] | None = None,
) -> DatasetsQuery:
    """Return the datasets of all types whose names match a glob, or one of several; see `query_datasets`.

    Raises
    ------
    DatasetTypeNotFoundError
        A name without wildcards is of no dataset type.
    """
    found: set[str] = set()
    for glob in names(name, "name"):
        found.update(
            [t.name for t in registry.dataset_types(glob)] if is_glob(glob) else [registry.dataset_type(glob).name]
        )
    searched, asked = names(collections, "collections"), conditions(where, bind)
    find_first = yes_or_no(find_first, "find_first")
    texts = [text for text, _ in asked]
    queries = [
        query_datasets(registry, t, searched, find_first=find_first, where=texts, bind=bind, data_id=data_id)
        for t in sorted(found)
        if registry.catalog.search(searched, t, find_first=find_first)
    ]
    return DatasetsQuery(queries, Limit.of(limit))


def _types(registry: Registry, datasets: str | Iterable[str] | None) -> tuple[DatasetType, ...]:
    return tuple(registry.dataset_type(name) for name in names(datasets, "datasets"))


def _group(registry: Registry, dimensions: str | Iterable[str] | DimensionGroup) -> DimensionGroup:
    if isinstance(dimensions, DimensionGroup):
        return registry.universe.conform(dimensions)
    if dimensions is None:
        raise InvalidQueryError("dimensions is a name, or a list of names; not None.")
    return registry.universe.conform(names(dimensions, "dimensions"))
