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
from .arguments import Limit, Where, check_bound, conditions, names, values_of
from .display import SHOWN, html_table
from .explain import explain
from .plan import Plan, plan
from .request import Request

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
        check_bound(request.where)

    def _plan(self) -> Plan:
        if self._made.catalog is not self._registry.catalog:  # collections came or went, or records were looked at
            self._made = plan(self._registry, self._request)
        return self._made

    def _limit(self) -> int | None:
        return self._request.limit

    def where(self, expression: Where = None, bind: Mapping[str, Any] | None = None, **values: Any) -> Self:
        """Return the query for which a further expression holds, too.

        Parameters
        ----------
        expression
            A query expression, or several.
        bind
            Values of the ``:names`` in it.
        **values
            The same; or, by a name that is not in the expression, a dimension's value that must hold:
            ``where(visit=3)`` is ``where("visit = :v", v=3)``.
        """
        asked = conditions(expression, bind)
        named, required = values_of((text for text, _ in asked), values, self._request.dimensions.universe)
        asked = tuple((text, {**given, **named}) for text, given in asked)
        asked += tuple((f"{name} = :value", {"value": value}) for name, value in required.items())
        return self._changed(where=(*self._request.where, *asked))

    def order_by(self, *columns: str | Iterable[str]) -> Self:
        """Return the query sorted by columns, ``-`` before one for descending order, instead of as before."""
        return self._changed(order_by=tuple(name for given in columns for name in names(given, "order_by")))

    def limit(self, count: int | None) -> Self:
        """Return the query that gives so many results at most; a negative number also tells if there are more."""
        wanted = Limit.of(count)
        return self._changed(limit=wanted.most, tells_of_more=wanted.tells)

    def _changed(self, **changes: Any) -> Self:
        return type(self)(self._registry, replace(self._request, **changes))

    def __iter__(self) -> Iterator[T]:
        decode = self._decoder()
        found = 0
        for page in rows.pages(self._registry.database, self._plan(), self._limit()):
            found += len(page)
            yield from decode(page)
        self._tell_of_more(found)

    def _tell_of_more(self, found: int) -> None:
        request = self._request
        if request.tells_of_more and request.limit is not None and found == request.limit and self._has_more():
            Limit(request.limit).tell()

    def _has_more(self) -> bool:
        """Whether there are more results than the limit lets through."""
        limit = self._request.limit
        return limit is not None and self._changed(limit=limit + 1, order_by=()).count() > limit

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
        table = rows.arrow_table(self._registry.database, self._plan(), self._limit(), self._columns(), self._run)
        self._tell_of_more(table.num_rows)
        return table

    def to_pandas(self) -> pd.DataFrame:
        """Return the results as a pandas DataFrame; see `to_arrow`."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_astropy(self) -> Table:
        """Return the results as an astropy Table; see `to_arrow`."""
        from astropy.table import Table

        return Table.from_pandas(self.to_pandas())

    def _run(self, key: int) -> str:
        planned = self._made.catalog  # a look at the present one may be a journey, and a result may have many RUNs
        known = planned.by_id.get(key) if planned is not None else None
        return (known or self._registry.catalog.by_id[key]).name

    @abstractmethod
    def _decoder(self) -> Any:
        """Return what makes results of rows."""

    @abstractmethod
    def _columns(self) -> list[tuple[str, str]]:
        """Return name and type of the columns of the results as a table."""

    @abstractmethod
    def _subject(self) -> str:
        """Return what is asked for, for people."""

    def _asked(self) -> list[str]:
        """Return what is asked of the subject, for people."""
        request = self._request
        said = []
        if request.collections and request.dataset_types:
            said.append(f"collections={list(request.collections)}")
        if terms := [text for text, _ in request.where if text.strip()]:
            said.append(f"where={(terms[0] if len(terms) == 1 else terms)!r}")
        said += [f"{name}={value!r}" for name, value in request.data_id.items()]
        if request.order_by:
            said.append(f"order_by={list(request.order_by)}")
        if request.limit is not None:
            said.append(f"limit={request.limit}")
        return said

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join((self._subject(), *self._asked()))})"

    def _repr_html_(self) -> str:
        limit = self._request.limit
        first = self._changed(limit=SHOWN if limit is None else min(limit, SHOWN), tells_of_more=False)
        return html_table(repr(self), first.to_arrow(), self.count())


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

    def __init__(self, queries: Iterable[DatasetQuery], limit: Limit | None = None):
        self._queries = tuple(queries)
        self._cut = limit or Limit()

    def __iter__(self) -> Iterator[DatasetRef]:
        found = (ref for query in self._queries for ref in query)
        yield from islice(found, self._cut.most)
        if self._cut.tells and next(found, None) is not None:
            self._cut.tell()

    def where(self, expression: Where = None, bind: Mapping[str, Any] | None = None, **values: Any) -> DatasetsQuery:
        """Return the query for which a further expression holds, too; see `Query.where`."""
        texts = [text for text, _ in conditions(expression, None)]
        return DatasetsQuery([query.where(texts, bind, **values) for query in self._queries], self._cut)

    def order_by(self, *columns: str | Iterable[str]) -> DatasetsQuery:
        """Return the query whose datasets are sorted by columns within each type; see `Query.order_by`."""
        wanted = [name for given in columns for name in names(given, "order_by")]
        return DatasetsQuery([query.order_by(wanted) for query in self._queries], self._cut)

    def limit(self, count: int | None) -> DatasetsQuery:
        """Return the query that gives so many datasets at most, of all types together; see `Query.limit`."""
        return DatasetsQuery(self._queries, Limit.of(count))

    def by_type(self) -> dict[str, DatasetQuery]:
        """Return the query of each dataset type, by its name; the limit is of all together and not in them."""
        return {query._request.dataset_types[0].name: query for query in self._queries}

    def count(self) -> int:
        """Return how many datasets there are, exactly."""
        found, most = 0, self._cut.most
        for query in self._queries:
            if most is not None and found >= most:
                break
            found += query.count()
        return found if most is None else min(found, most)

    def any(self) -> bool:
        """Whether there is a dataset."""
        return self._cut.most != 0 and any(query.any() for query in self._queries)

    def explain(self) -> str:
        """Return what `Query.explain` says of each dataset type."""
        return (
            "\n\n".join(query.explain() for query in self._queries)
            or "No dataset type of that name is in the collections."
        )

    def to_arrow(self) -> pa.Table:
        """Return the results as an Arrow table, the type's name in front, null in dimensions that a type lacks.

        See `Query.to_arrow`.
        """
        import pyarrow as pa

        left = self._cut.most
        tables = []
        for name, query in self.by_type().items():
            found = query.limit(left).to_arrow()
            tables.append(found.add_column(0, "dataset_type", pa.array([name] * found.num_rows, pa.string())))
            left = None if left is None else left - found.num_rows
        if self._cut.tells and left == 0 and DatasetsQuery(self._queries).count() > sum(map(len, tables)):
            self._cut.tell()
        text = [(name, pa.string()) for name in ("dataset_type", "dataset_id", "run")]
        return pa.concat_tables([pa.schema(text).empty_table(), *tables], promote_options="default")

    def to_pandas(self) -> pd.DataFrame:
        """Return the results as a pandas DataFrame; see `to_arrow`."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_astropy(self) -> Table:
        """Return the results as an astropy Table; see `to_arrow`."""
        from astropy.table import Table

        return Table.from_pandas(self.to_pandas())

    def __repr__(self) -> str:
        said = [str(list(self.by_type())), *(self._queries[0]._asked() if self._queries else ())]
        if self._cut.most is not None:
            said.append(f"limit={self._cut.most}")
        return f"DatasetsQuery({', '.join(said)})"

    def _repr_html_(self) -> str:
        first = self.limit(SHOWN if self._cut.most is None else min(self._cut.most, SHOWN))
        return html_table(repr(self), first.to_arrow(), self.count())
