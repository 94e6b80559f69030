"""The Butler's questions: datasets, data IDs, dimension records, SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..model.datasets import DatasetType
from ..model.errors import InvalidQueryError
from ..registry.collections import check_globs
from ..registry.data_ids import column_and_value
from ..registry.registry import Registry, one_operation

if TYPE_CHECKING:
    from ..registry.queries import DataIdQuery, DatasetsQuery, RecordQuery
    from ..storage.datastore import Datastore
    from .analytics import DatasetQuery

__all__ = ["ButlerQueries"]


class ButlerQueries:
    """What a Butler can be asked; `Butler` inherits it."""

    registry: Registry
    datastore: Datastore
    run: str
    _awaits_run: bool
    search: tuple[str, ...]
    """Collections that are searched where none are named."""
    instrument: str | None
    """The instrument of data IDs that name none."""

    @one_operation
    def query_datasets(
        self,
        dataset_type: DatasetType | str,
        collections: str | Iterable[str] | None = None,
        *,
        find_first: bool = True,
        where: str | Iterable[str] | None = "",
        bind: Mapping[str, Any] | None = None,
        order_by: str | Iterable[str] = (),
        limit: int | None = None,
        **data_id: Any,
    ) -> DatasetQuery:
        """Return the datasets of one type for which an expression holds; catalogs among them are read as one table.

        Parameters
        ----------
        dataset_type
            Which.
        collections
            What is searched instead of the Butler's own; globs are allowed where ``find_first`` is False.
        find_first
            Whether only the first dataset of each data ID, in the order of the collections, counts; of a CALIBRATION
            collection, all that are valid at a time of which the query speaks, each once. Otherwise each validity of
            a dataset is a result of its own.
        where
            A query expression, such as ``"visit > 100 AND band = 'r'"`` (``docs/queries.md``), or several that must
            all hold.
        bind
            Values of the ``:names`` in it.
        order_by
            Names to sort by; ``-`` before one reverses it.
        limit
            How many at most; a negative number also tells, by a warning in the log, if there are more.
        **data_id
            Values of dimensions that must hold, as `Butler.get` takes them; ``data_id={…}`` gives them as a mapping.

        Raises
        ------
        InvalidQueryError
            The expression means nothing; says where and why.
        """
        from ..registry.queries import query_datasets
        from .analytics import DatasetQuery

        found = query_datasets(
            self.registry, _type_name(dataset_type), self._search(collections), find_first=find_first, where=where,
            bind=bind, order_by=order_by, limit=limit, data_id=self._constraint(data_id),
        )  # fmt: skip
        return DatasetQuery(found, self.datastore)

    @one_operation
    def query_data_ids(
        self,
        dimensions: str | Iterable[str],
        *,
        datasets: str | Iterable[str] | None = None,
        collections: str | Iterable[str] | None = None,
        where: str | Iterable[str] | None = "",
        bind: Mapping[str, Any] | None = None,
        order_by: str | Iterable[str] = (),
        limit: int | None = None,
        **data_id: Any,
    ) -> DataIdQuery:
        """Return the data IDs, implied values included, for which an expression holds.

        ``datasets`` names dataset types of which each data ID must have one in the collections searched; the other
        parameters are those of `query_datasets`.
        """
        from ..registry.queries import query_data_ids

        return query_data_ids(
            self.registry, dimensions, datasets=datasets, collections=self._search(collections), where=where,
            bind=bind, order_by=order_by, limit=limit, data_id=self._constraint(data_id),
        )  # fmt: skip

    @one_operation
    def query_dimension_records(
        self,
        element: str,
        *,
        datasets: str | Iterable[str] | None = None,
        collections: str | Iterable[str] | None = None,
        where: str | Iterable[str] | None = "",
        bind: Mapping[str, Any] | None = None,
        order_by: str | Iterable[str] = (),
        limit: int | None = None,
        **data_id: Any,
    ) -> RecordQuery:
        """Return the records of a dimension element for which an expression holds; see `query_data_ids`."""
        from ..registry.queries import query_dimension_records

        return query_dimension_records(
            self.registry, element, datasets=datasets, collections=self._search(collections), where=where, bind=bind,
            order_by=order_by, limit=limit, data_id=self._constraint(data_id),
        )  # fmt: skip

    @one_operation
    def query_all_datasets(
        self,
        name: str = "*",
        *,
        collections: str | Iterable[str] | None = None,
        find_first: bool = True,
        where: str | Iterable[str] | None = "",
        bind: Mapping[str, Any] | None = None,
        limit: int | None = None,
        **data_id: Any,
    ) -> DatasetsQuery:
        """Return the datasets of all types whose names match a glob; see `query_datasets`."""
        from ..registry.queries import query_all_datasets

        return query_all_datasets(
            self.registry, name, collections=self._search(collections), find_first=find_first, where=where, bind=bind,
            limit=limit, data_id=self._constraint(data_id),
        )  # fmt: skip

    def sql(self, text: str, parameters: Mapping[str, Any] | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run an SQL query on the registry and return column names and rows; it cannot write."""
        return self.registry.sql(text, parameters)

    def _search(self, collections: str | Iterable[str] | None) -> tuple[str, ...]:
        if collections is None:
            if self._awaits_run:  # its own RUN, that is searched, is made by the first put
                if self.run not in self.registry.catalog.collections:
                    return tuple(name for name in self.search if name != self.run)
                self._awaits_run = False
            return self.search
        return check_globs(collections)

    def _constraint(self, data_id: Mapping[str, Any]) -> Mapping[str, Any]:
        mapping = data_id.get("data_id")
        if not isinstance(mapping, Mapping | None):
            raise InvalidQueryError(f"data_id is a mapping, such as {{'visit': 1234}}; not {mapping!r}.")
        given = {**(mapping or {}), **{name: v for name, v in data_id.items() if name != "data_id"}}
        if self.instrument is not None and "instrument" not in given:
            given = {"instrument": self.instrument, **given}
        universe = self.registry.universe
        return dict(column_and_value(universe, name, v) for name, v in given.items() if v is not None)


def _type_name(dataset_type: DatasetType | str) -> str:
    return dataset_type.name if isinstance(dataset_type, DatasetType) else dataset_type
