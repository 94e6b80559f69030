"""What a repository speaks of: its dataset types and dimension records, and what is noted of datasets."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.collections import CollectionType
from ..model.datasets import DatasetRef, DatasetType, StoredFile
from ..model.errors import ArgumentError, CollectionTypeError, ReadOnlyError, StorageClassError
from ..model.given import Datasets
from ..model.records import DimensionRecord
from ..model.storage_class import StorageClass
from ..registry import bulk
from ..registry.collections import check_collection_name
from ..registry.record_rows import RecordRows
from ..registry.registry import Registry

if TYPE_CHECKING:
    from ..model.dimensions import DimensionUniverse
    from ..registry.annotations import AnnotationScope, AnnotationValue
    from ..registry.collections import Collections

__all__ = ["ButlerRegistering"]


class ButlerRegistering:
    """What is told to the registry alone; `Butler` inherits it."""

    registry: Registry
    root: Path

    @property
    def collections(self) -> Collections:
        """The collections: list, info, register, chains, delete."""
        return self.registry.collections

    @property
    def universe(self) -> DimensionUniverse:
        """The dimensions that data IDs may speak of."""
        return self.registry.universe

    def dataset_type(self, name: str) -> DatasetType:
        """Return a dataset type by its name."""
        return self.registry.dataset_type(name)

    def dataset_types(self, glob: str = "*") -> list[DatasetType]:
        """Return the dataset types whose names match a glob."""
        return self.registry.dataset_types(glob)

    def register_dataset_type(
        self,
        dataset_type: DatasetType | str,
        dimensions: Iterable[str] = (),
        storage_class: str | StorageClass | None = None,
        *,
        is_calibration: bool = False,
        replace: bool = False,
    ) -> bool:
        """Make a dataset type known: ``butler.register_dataset_type("stars", ["visit", "detector"], "DataFrame")``.

        Parameters
        ----------
        dataset_type
            Its name; or a `DatasetType`, which says the rest.
        dimensions, storage_class, is_calibration
            What goes with a name; see `DatasetType`.
        replace
            Whether one of that name without datasets gives way.

        Returns
        -------
        bool
            Whether it is new.

        Raises
        ------
        ConflictingDefinitionError
            There is another one of that name.
        DataIdError
            A dimension is unknown.
        StorageClassError
            The storage class is unknown, or a name is given without one.
        """
        if isinstance(dataset_type, str):
            if storage_class is None:
                raise StorageClassError(
                    f"dataset type {dataset_type!r} needs dimensions and a storage class, as in "
                    f'butler.register_dataset_type({dataset_type!r}, ["visit", "detector"], "DataFrame").'
                )
            kind = self.registry.storage_classes[storage_class]
            dataset_type = DatasetType(dataset_type, dimensions, kind, is_calibration, universe=self.universe)
        elif not isinstance(dataset_type, DatasetType):
            raise ArgumentError(f"what is registered is a name or a DatasetType; not {dataset_type!r}.")
        return self.registry.register_dataset_type(dataset_type, replace=replace)

    def insert_dimension_records(
        self, element: str, rows: RecordRows, *, replace: bool = False, skip_existing: bool = False
    ) -> int:
        """Insert dimension records in bulk; all of them, or none.

        Parameters
        ----------
        element
            The dimension, or the relation among dimensions.
        rows
            Mappings of column names, records, or a table (pandas, Arrow, astropy, Polars) with a row each.
        replace
            Whether records of the same keys become these.
        skip_existing
            Whether those whose keys are there already are passed over.

        Returns
        -------
        int
            How many are new or were replaced.

        Raises
        ------
        ConflictingDefinitionError
            One of them is there already; both are shown, and the columns in which they differ.
        DataIdError
            A row lacks what it needs, or refers to what is not there.
        """
        return self.registry.dimension_records.insert(element, rows, replace=replace, skip_existing=skip_existing)

    def sync_dimension_records(
        self, element: str, row: Mapping[str, Any] | DimensionRecord, update: bool = False
    ) -> bool | dict[str, Any]:
        """Insert a dimension record if absent, compare it if present, change it if told to.

        Returns
        -------
        bool or dict
            True where it was inserted, False where it was there, the old values where it was changed.

        Raises
        ------
        ConflictingDefinitionError
            It is there otherwise, and ``update`` is not set; both are shown.
        """
        return self.registry.dimension_records.sync(element, row, update=update)

    def annotate(self, datasets: Datasets, /, **pairs: AnnotationValue | None) -> int:
        """Note something of datasets: ``butler.annotate(ref, quality="good", seeing=0.8)``.

        Queries find them by it (``where="raw.annotation.quality = 'good'"``). All datasets are annotated, or none.

        Parameters
        ----------
        datasets
            A dataset, or many, by references or ids: what `query_datasets` returns.
        **pairs
            Strings, numbers, True and False by their keys, which are letters, digits and underscores. What was noted
            under a key gives way; None takes the key away.

        Returns
        -------
        int
            How many datasets it is noted of; 0 where a query finds none.

        Raises
        ------
        AnnotationError
            A key or a value cannot be kept.
        ArgumentError
            What is given are no datasets.
        DatasetNotFoundError
            One of the datasets is not registered.
        """
        self._check_writeable()
        return self.registry.annotations.annotate(datasets, pairs)

    def annotations(
        self, dataset: DatasetRef | uuid.UUID, scope: AnnotationScope = "user"
    ) -> dict[str, AnnotationValue]:
        """Return what is noted of a dataset, by key.

        Parameters
        ----------
        dataset
            Which.
        scope
            ``"user"``: what `annotate` noted; ``"header"``: the values that are kept of its header (docs/queries.md).

        Raises
        ------
        DatasetNotFoundError
            It is not registered.
        """
        refs = bulk.refs_given(self.registry, dataset)
        if len(refs) != 1:
            raise ArgumentError(
                f"annotations are those of one dataset, and these are {len(refs)}: "
                "[butler.annotations(ref) for ref in refs]. A query finds datasets by them: raw.annotation.KEY = …"
            )
        return self.registry.annotations.of(refs[0], scope)

    # What every put and ingest needs

    def _check_writeable(self) -> None:
        if not self.registry.database.writeable:
            raise ReadOnlyError(f"{str(self.root)!r} was opened for reading only.")

    def _check_run(self, run: str) -> None:
        """Raise unless datasets may be put into a RUN of that name, which need not be there yet."""
        row = self.registry.catalog.collections.get(run)
        if row is None:
            check_collection_name(run)
        elif row.type is not CollectionType.RUN:
            raise CollectionTypeError(f"datasets are put into RUNs; {run!r} is {row.type.name}.")

    def _register(
        self,
        alone: Sequence[tuple[DatasetRef, StoredFile]],
        shared: Sequence[tuple[DatasetRef, StoredFile]] = (),
        *,
        headers: Mapping[uuid.UUID, Mapping[str, Any]],
    ) -> None:
        """Register datasets whose files lie there, and their RUNs where those are new, in one transaction."""
        runs = dict.fromkeys(ref.run for ref, _ in (*alone, *shared))
        known = self.registry.catalog.collections
        if not shared and all(run in known for run in runs):
            self.registry.datasets.insert(alone, headers=headers)
            return
        with self.registry.database.write():
            for run in runs:
                self.collections.register(run, CollectionType.RUN)
            self.registry.datasets.insert(alone, headers=headers)
            self.registry.datasets.insert(shared, shared=True, headers=headers)
