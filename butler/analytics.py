"""Many catalogs as one table: the datasets of a query, opened together as one pyarrow dataset.

The registry says which files there are; each is a fragment that knows its data ID, so that filters on data-ID columns
leave files out, as filters on others leave out row groups. Columns are projected, and files read on all cores, by
pyarrow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from ..model.datasets import DatasetRef, StoredFile
from ..model.errors import (
    DatasetNotFoundError,
    FileFormatError,
    FileIntegrityError,
    InvalidQueryError,
    SkyButlerError,
    StorageClassError,
    closest,
)
from ..registry import bulk
from ..registry.queries import DatasetQuery as RegistryQuery

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as pds

    from ..storage.datastore import Datastore
    from .catalog_files import CatalogFiles

__all__ = ["DatasetQuery"]

DataIdColumns: TypeAlias = bool | Iterable[str]

T = TypeVar("T")

_READ_AHEAD = 4
"""Batches of a catalog that are read before they are wanted: for more, Arrow takes up ever new memory: slower."""

_ALSO: dict[str, Callable[[DatasetRef], str]] = {"run": lambda ref: ref.run, "dataset_id": lambda ref: str(ref.id)}


class DatasetQuery(RegistryQuery):
    """Datasets of one type; iterated, it gives a `DatasetRef` each. Where they are tables, `read` reads them all.

    Parameters
    ----------
    found
        The query.
    datastore
        Where the files of its datasets are.
    """

    def __init__(self, found: RegistryQuery, datastore: Datastore):
        vars(self).update(vars(found))
        self._datastore = datastore

    def _changed(self, **changes: Any) -> Self:
        return type(self)(RegistryQuery(self._registry, replace(self._request, **changes)), self._datastore)

    def explain(self) -> str:
        """Return the SQL, its parameters, and, where nothing is found, what it is that lets nothing through."""
        return RegistryQuery(self._registry, self._request).explain()

    def read(
        self,
        columns: str | Sequence[str] | None = None,
        filters: Any = None,
        *,
        data_id: DataIdColumns = True,
        fill_missing: bool = False,
    ) -> pa.Table:
        """Read the catalogs as one Arrow table, in the order of the query.

        Parameters
        ----------
        columns
            Names and globs of the columns wanted; all where left out.
        filters
            Which rows are wanted: ``"psf_flux > 100 AND band = 'r'"``, or as `skybutler.storage.filters` has it.
            Files and row groups that cannot have such rows are not read.
        data_id
            Which data-ID columns stand before the others: those of the dataset type's required dimensions, none
            (False), or those named: any dimension of the data IDs (``"band"``, too), ``"run"``, ``"dataset_id"``. Text
            is dictionary-encoded. A column of that name in the catalogs goes before.
        fill_missing
            Whether a column that some catalogs lack is null there, and one of several types gets the widest of them.

        Raises
        ------
        DatasetNotFoundError
            The query finds nothing.
        StorageClassError
            The datasets are no tables, or their columns differ and `fill_missing` is not set; names a dataset.
        InvalidQueryError
            There is no such column, or the filter means nothing.
        FileIntegrityError
            A file is gone, or not as long as it was; names the dataset.
        FileFormatError
            A file cannot be read; names the dataset.
        """
        opened, scanner = self._scanner(columns, filters, data_id, fill_missing)
        return _said_plainly(lambda: opened.table(scanner), filters)

    def read_pandas(
        self,
        columns: str | Sequence[str] | None = None,
        filters: Any = None,
        *,
        data_id: DataIdColumns = True,
        fill_missing: bool = False,
    ) -> pd.DataFrame:
        """Read the catalogs as one DataFrame; text of data IDs is categorical. See `read`."""
        from ..storage.tables import from_arrow

        table = self.read(columns, filters, data_id=data_id, fill_missing=fill_missing)
        frame: pd.DataFrame = from_arrow(table, "DataFrame")
        return frame

    def batches(
        self,
        columns: str | Sequence[str] | None = None,
        filters: Any = None,
        *,
        data_id: DataIdColumns = True,
        fill_missing: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Read the catalogs batch by batch, for what is more than memory holds; see `read`."""
        _, scanner = self._scanner(columns, filters, data_id, fill_missing, lazy=True)
        found: Iterator[pa.RecordBatch] = scanner.to_batches()
        return found

    def dataset(self, *, data_id: DataIdColumns = True, fill_missing: bool = False) -> pds.Dataset:
        """Return the catalogs as a `pyarrow.dataset.Dataset`, of which nothing but the schema has been read.

        Of catalogs that are not on this machine, the files are fetched into memory: nobody knows what will be asked.
        `read` and `batches` fetch what they need. Polars (``scan_pyarrow_dataset``), DuckDB and others take it.
        See `read` for the parameters and errors.
        """
        return self._open(data_id, lambda _: True).dataset(None, fill_missing)

    def relation(
        self,
        connection: duckdb.DuckDBPyConnection | None = None,
        *,
        data_id: DataIdColumns = True,
        fill_missing: bool = False,
    ) -> duckdb.DuckDBPyRelation:
        """Return the catalogs as a DuckDB relation, read when it is asked something.

        Parameters
        ----------
        connection
            The DuckDB connection that it belongs to; one of its own where left out.
        data_id, fill_missing
            See `read`.

        Raises
        ------
        StorageClassError
            DuckDB is not installed; and as `read`.
        """
        try:
            import duckdb
        except ImportError as error:
            raise StorageClassError(f"a relation needs DuckDB: pip install 'skybutler[duckdb]' ({error})") from error
        dataset = self.dataset(data_id=data_id, fill_missing=fill_missing)
        return (connection or duckdb.connect()).from_arrow(dataset)

    def _scanner(
        self,
        columns: str | Sequence[str] | None,
        filters: Any,
        data_id: DataIdColumns,
        fill_missing: bool,
        *,
        lazy: bool = False,
    ) -> tuple[CatalogFiles, pds.Scanner]:
        """Return the catalogs, and what reads them: with data IDs, if it is `lazy` or the filter speaks of any."""
        from ..storage.filters import AskedNames, row_filter
        from ..storage.formatters.parquet import chosen_columns
        from .catalog_files import PLACE

        opened = self._open(data_id, lambda ids: lazy or any(name in str(filters) for name in ids))
        names = opened.names
        wanted = None if columns is None else chosen_columns(columns, names, str(self))
        noticed = AskedNames(names)
        condition = None if filters is None else row_filter(filters, noticed)
        needed = None if wanted is None or not (filters is None or noticed.asked) else {*wanted, *noticed.asked}
        dataset = _said_plainly(lambda: opened.dataset(needed, fill_missing, condition), filters)
        if wanted is not None:
            wanted = [*opened.id_columns, *(name for name in wanted if name not in opened.ids)]
        if opened.added_last:
            wanted = [*(dataset.schema.names if wanted is None else wanted), PLACE]
        scanner = _said_plainly(
            lambda: dataset.scanner(columns=wanted, filter=condition, batch_readahead=_READ_AHEAD,
                                    fragment_readahead=os.cpu_count()), filters
        )  # fmt: skip
        return opened, scanner

    def _open(self, data_id: DataIdColumns, filtered: Callable[[Iterable[str]], bool]) -> CatalogFiles:
        """Find the files and open each; `filtered` tells by the data-ID columns whether filters may speak of any."""
        from .catalog_files import CatalogFiles

        kind = self._request.dataset_types[0]
        if not kind.storage_class.tabular:
            raise StorageClassError(
                f"{kind.name!r} is of storage class {kind.storage_class.name}; only tables are read together"
            )
        refs = list(self)
        if not refs:
            raise DatasetNotFoundError(f"{self} finds no dataset; its explain() says what lets none through.")
        ids = self._id_values(refs, data_id)
        files = bulk.files_of(self._registry, refs)
        return CatalogFiles(refs, [self._source(ref, files.get(ref.id)) for ref in refs], ids, filtered(ids))

    def _source(self, ref: DatasetRef, stored: StoredFile | None) -> Any:
        """Return what reads a dataset's file."""
        from ..storage.bundles import member_of

        if stored is None:
            raise DatasetNotFoundError(f"{ref} is registered, but no file of it is kept.")
        if member_of(stored.formatter)[0] != "parquet":
            raise StorageClassError(f"{ref} is kept as {stored.formatter}; only Parquet files are read together")
        try:
            return self._datastore.source(stored)
        except FileIntegrityError as error:
            raise FileIntegrityError(f"{ref}: {error}") from error

    def _id_values(self, refs: list[DatasetRef], data_id: DataIdColumns) -> dict[str, list[Any]]:
        """Return the values of each data-ID column, a dataset each."""
        group = self._request.dataset_types[0].dimensions
        if isinstance(data_id, bool):
            names = list(group.required) if data_id else []
        else:
            names = [data_id] if isinstance(data_id, str) else list(data_id)
        known = [*group.names, *_ALSO]
        if unknown := [name for name in names if name not in known]:
            near = closest(unknown[0], known)
            raise InvalidQueryError(f"no data-ID column {unknown[0]!r}.{near} There are {', '.join(known)}.")
        ids = [ref.data_id for ref in refs]
        if any(name in group.names and name not in group.required for name in names):
            full = {found.required_values: found for found in self._full_data_ids()}
            ids = [full[each.required_values] for each in ids]
        return {
            name: [_ALSO[name](ref) for ref in refs] if name in _ALSO else [each[name] for each in ids]
            for name in names
        }  # fmt: skip

    def _full_data_ids(self) -> Iterable[Any]:
        """Return the data IDs of the datasets, with the values that follow from their dimension records."""
        from ..registry.queries import query_data_ids

        request = self._request
        kind = request.dataset_types[0]
        found = query_data_ids(
            self._registry, kind.dimensions, datasets=kind.name, collections=request.collections,
            data_id=request.data_id,
        )  # fmt: skip
        for text, bind in request.where:
            found = found.where(text, bind)
        return found


def _said_plainly(do: Callable[[], T], filters: Any) -> T:
    """Do what pyarrow may refuse; say what it was that it refused."""
    import pyarrow as pa

    try:
        return do()
    except SkyButlerError:
        raise
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise InvalidQueryError(f"filters={filters!r} cannot be applied to these catalogs: {error}") from error
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"a catalog cannot be read: {error}") from error
