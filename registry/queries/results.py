"""What a query gives: lazy, composable, streamed.

A query is a description until it is iterated, counted or turned into a table; ``where``, ``order_by`` and ``limit``
return a narrower one and leave the first as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ...model.data_id import DataId
from ...model.datasets import DatasetRef
from ...model.records import DimensionRecord
from . import rows
from .explain import explain
from .plan import Plan, plan
from .request import Request, check_limit

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from astropy.table import Table

    from ..registry import Registry

__all__ = ["DataIdQuery", "DatasetQuery", "DatasetsQuery", "Query", "RecordQuery"]

T = TypeVar("T")


class Query(ABC, Generic[T]):
    """What one request finds, when it is asked for.

    Parameters
    ----------
    registry
        Where.
    request
        What.

    Raises
    ------
    InvalidQueryError
        The request means nothing.
    """

    def __init__(self, registry: Registry, request: Request):
        self._registry = registry
        self._request = request
        # A mistake shows where it was made, not where the results are first looked at.
        self._made = plan(registry, request)

    def _plan(self) -> Plan:
        if self._made.catalog is not self._registry.catalog:  # collections came or went, or records were looked at
            self._made = plan(self._registry, self._request)
        return self._made

    def _limit(self) -> int | None:
        return self._request.limit

    def where(self, expression: str, bind: Mapping[str, Any] | None = None, **values: Any) -> Self:
        """Return the query for which a further expression holds, too.

        Parameters
        ----------
        expression
            A query expression.
        bind, **values
            Values of the ``:names`` in it.
        """
        term = (expression, {**(bind or {}), **values})
        return self._changed(where=(*self._request.where, term))

    def order_by(self, *columns: str) -> Self:
        """Return the query sorted by columns, ``-`` before one for descending order, instead of as before."""
        return self._changed(order_by=columns)

    def limit(self, count: int | None) -> Self:
        """Return the query that gives so many results at most."""
        return self._changed(limit=check_limit(count))

    def _changed(self, **changes: Any) -> Self:
        return type(self)(self._registry, replace(self._request, **changes))

    def __iter__(self) -> Iterator[T]:
        decode = self._decoder()
        for page in rows.pages(self._registry.database, self._plan(), self._limit()):
            yield from decode(page)

    def count(self) -> int:
        """Return how many results there are, exactly."""
        made = plan(self._registry, self._request, counting=True)
        if made.is_empty:
            return 0
        if made.statement.tests:
            return sum(map(len, rows.pages(self._registry.database, made, self._limit())))
        parameters = made.statement.parameters(made.values)
        found: int = self._registry.database.run(made.statement.sql, parameters).fetchone()[0]
        return found

    def any(self) -> bool:
        """Whether there is a result."""
        if self._request.limit == 0:
            return False
        first = plan(self._registry, replace(self._request, limit=1, order_by=()))
        return next(rows.pages(self._registry.database, first, 1), None) is not None

    def explain(self) -> str:
        """Return the SQL, its parameters, and, where nothing is found, what it is that lets nothing through."""
        return explain(self._registry, self._request, type(self))

    def to_arrow(self) -> pa.Table:
        """Return the results as an Arrow table, straight from the cursor.

        Times are TAI (``timestamp[ns]``), regions IVOA text, dataset ids text. All datasets (``find_first=False``) of
        CALIBRATION collections come with the ends of their validity, null where it has none.
        """
        return rows.arrow_table(self._registry.database, self._plan(), self._limit(), self._columns(), self._run)

    def to_pandas(self) -> pd.DataFrame:
        """Return the results as a pandas DataFrame; see `to_arrow`."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_astropy(self) -> Table:
        """Return the results as an astropy Table; see `to_arrow`."""
        from astropy.table import Table

        return Table.from_pandas(self.to_pandas())

    def _run(self, key: int) -> str:
        return self._registry.catalog.by_id[key].name

    @abstractmethod
    def _decoder(self) -> Any:
        """Return what makes results of rows."""

    @abstractmethod
    def _columns(self) -> list[tuple[str, str]]:
        """Return name and type of the columns of the results as a table."""

    @abstractmethod
    def _subject(self) -> str:
        """Return what is asked for, for people."""

    def __repr__(self) -> str:
        request = self._request
        said = [self._subject()]
        if request.collections and request.dataset_types:
            said.append(f"collections={list(request.collections)}")
        if terms := [text for text, _ in request.where if text.strip()]:
            said.append(f"where={' AND '.join(f'({t})' for t in terms) if len(terms) > 1 else terms[0]!r}")
        said += [f"{name}={value!r}" for name, value in request.data_id.items()]
        if request.order_by:
            said.append(f"order_by={list(request.order_by)}")
        if request.limit is not None:
            said.append(f"limit={request.limit}")
        return f"{type(self).__name__}({', '.join(said)})"


class DatasetQuery(Query[DatasetRef]):
    """Datasets of one type; iterated, it gives a `DatasetRef` each."""

    def _decoder(self) -> Any:
        return rows.refs(self._request.dataset_types[0], self._run)

    def _columns(self) -> list[tuple[str, str]]:
        found = [("dataset_id", "id"), ("run", "run"), *_key_columns(self._request, self._request.dimensions.required)]
        if self._request.shows_validity(self._made.searches[0].is_temporal):
            found += [("timespan_begin", "end"), ("timespan_end", "end")]
        return found

    def _subject(self) -> str:
        return repr(self._request.dataset_types[0].name)


class DataIdQuery(Query[DataId]):
    """Data IDs; iterated, it gives a `DataId` each, implied values included."""

    def _decoder(self) -> Any:
        return rows.data_ids(self._request.dimensions)

    def _columns(self) -> list[tuple[str, str]]:
        return _key_columns(self._request, self._request.dimensions.names)

    def _subject(self) -> str:
        said = str(list(self._request.dimensions.required))
        if types := self._request.dataset_types:
            said += f", datasets={[t.name for t in types]}"
        return said


class RecordQuery(Query[DimensionRecord]):
    """Records of one dimension element; iterated, it gives a `DimensionRecord` each."""

    def _decoder(self) -> Any:
        return rows.records(self._request.record_element)

    def _columns(self) -> list[tuple[str, str]]:
        return rows.record_columns(self._request.record_element.columns)

    def _subject(self) -> str:
        return repr(self._request.record_element.name)


def _key_columns(request: Request, dimensions: Iterable[str]) -> list[tuple[str, str]]:
    universe = request.dimensions.universe
    return [(name, universe[name].key.type) for name in dimensions]  # type: ignore[union-attr]


class DatasetsQuery:
    """Datasets of several types, one type after the other.

    Parameters
    ----------
    queries
        A query a dataset type.
    limit
        How many datasets at most, of all types together.
    """

    def __init__(self, queries: Iterable[DatasetQuery], limit: int | None = None):
        self._queries = tuple(queries)
        self._most = limit

    def __iter__(self) -> Iterator[DatasetRef]:
        found = (ref for query in self._queries for ref in query)
        return found if self._most is None else islice(found, self._most)

    def where(self, expression: str, bind: Mapping[str, Any] | None = None, **values: Any) -> DatasetsQuery:
        """Return the query for which a further expression holds, too."""
        return DatasetsQuery([query.where(expression, bind, **values) for query in self._queries], self._most)

    def limit(self, count: int | None) -> DatasetsQuery:
        """Return the query that gives so many datasets at most, of all types together."""
        return DatasetsQuery(self._queries, check_limit(count))

    def by_type(self) -> dict[str, DatasetQuery]:
        """Return the query of each dataset type, by its name; the limit is of all together and not in them."""
        return {query._request.dataset_types[0].name: query for query in self._queries}

    def count(self) -> int:
        """Return how many datasets there are, exactly."""
        found = 0
        for query in self._queries:
            if self._most is not None and found >= self._most:
                break
            found += query.count()
        return found if self._most is None else min(found, self._most)

    def any(self) -> bool:
        """Whether there is a dataset."""
        return self._most != 0 and any(query.any() for query in self._queries)

    def explain(self) -> str:
        """Return what `Query.explain` says of each dataset type."""
        return (
            "\n\n".join(query.explain() for query in self._queries)
            or "No dataset type of that name is in the collections."
        )

    def __repr__(self) -> str:
        limit = "" if self._most is None else f", limit={self._most}"
        return f"DatasetsQuery({', '.join(map(repr, self._queries))}{limit})"
