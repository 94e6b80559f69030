"""How the Butler finds a dataset: from what a user says to a reference and its files."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from ..model.data_id import DataId
from ..model.datasets import DatasetRef, DatasetType, StoredFile
from ..model.errors import DataIdError, DatasetNotFoundError
from ..model.given import type_name
from ..model.timespan import Timespan
from ..registry import bulk
from ..registry.registry import one_operation
from .queries import ButlerQueries

__all__ = ["ButlerFinding"]


class ButlerFinding(ButlerQueries):
    """Finding one dataset by type and data ID; `Butler` inherits it."""

    @one_operation
    def find_dataset(
        self,
        dataset_type: DatasetType | str,
        data_id: Mapping[str, Any] | None = None,
        *,
        collections: str | Iterable[str] | None = None,
        timespan: Timespan | None = None,
        **keywords: Any,
    ) -> DatasetRef | None:
        """Return the first dataset of a type and data ID in the collections searched, or None.

        Of a CALIBRATION collection, it is the one that is valid in the timespan, or when the data ID's exposure, visit
        or day was; see `get` for the parameters and errors.
        """
        known = self.registry.dataset_type(type_name(dataset_type))
        resolved, search = self._data_id(known, data_id, keywords), self._search(collections)
        if known.is_calibration and timespan is None:
            timespan = self._time_of(known, data_id, keywords, search)
        found = self.registry.datasets.find(known, resolved, search, timespan)
        return None if found is None else found[0]

    @one_operation
    def exists(
        self,
        dataset: DatasetRef | uuid.UUID | DatasetType | str,
        data_id: Mapping[str, Any] | None = None,
        *,
        collections: str | Iterable[str] | None = None,
        timespan: Timespan | None = None,
        **keywords: Any,
    ) -> bool:
        """Whether a dataset is registered, and found as `get` finds it, and its file lies there."""
        if isinstance(dataset, DatasetRef | uuid.UUID):
            files = self.registry.datasets.files(dataset.id if isinstance(dataset, DatasetRef) else dataset)
        else:
            known, _ = self._type_and_component(dataset)
            resolved, search = self._data_id(known, data_id, keywords), self._search(collections)
            if known.is_calibration and timespan is None:
                timespan = self._time_of(known, data_id, keywords, search)
            found = self.registry.datasets.find(known, resolved, search, timespan)
            files = [] if found is None else found[1]
        return bool(files) and all(self.datastore.exists(file) for file in files)

    @one_operation
    def get_uri(
        self,
        dataset: DatasetRef | uuid.UUID | DatasetType | str,
        data_id: Mapping[str, Any] | None = None,
        *,
        collections: str | Iterable[str] | None = None,
        timespan: Timespan | None = None,
        **keywords: Any,
    ) -> str:
        """Return the URI of the file of a dataset, found as `get` finds it."""
        component, ref, files = self._locate(dataset, data_id, collections, keywords, timespan)
        for file in files:
            if file.component in ("", component):
                return self.datastore.uri(file)
        raise DatasetNotFoundError(f"{ref} is registered, but no file of it is kept.")

    # How the above find their way

    def _data_id(
        self, dataset_type: DatasetType, data_id: Mapping[str, Any] | None, keywords: Mapping[str, Any]
    ) -> DataId:
        try:
            given = data_id if not keywords and data_id is not None else {**(data_id or {}), **keywords}
            return self.registry.data_ids.resolve(dataset_type.dimensions, given, self.instrument)
        except (TypeError, ValueError, AttributeError):  # asked only then: a get is counted in microseconds
            if data_id is None or isinstance(data_id, Mapping):
                raise
            raise DataIdError(
                f"a data ID is a mapping, or keywords as in visit=1234, detector=0; not {data_id!r}."
            ) from None

    def _locate(
        self,
        dataset: DatasetRef | uuid.UUID | DatasetType | str,
        data_id: Mapping[str, Any] | None,
        collections: str | Iterable[str] | None,
        keywords: Mapping[str, Any],
        timespan: Timespan | None,
    ) -> tuple[str | None, DatasetRef, list[StoredFile]]:
        """Find a dataset and its files, and the component of it that is asked for."""
        if isinstance(dataset, uuid.UUID):
            (dataset,) = bulk.refs_given(self.registry, dataset)
        if isinstance(dataset, DatasetRef):
            files = self.registry.datasets.files(dataset.id)
            if not files:
                raise DatasetNotFoundError(f"no file of {dataset} (id {dataset.id}) is registered.")
            return None, dataset, files
        dataset_type, component = self._type_and_component(dataset)
        resolved = self._data_id(dataset_type, data_id, keywords)
        search = self._search(collections)
        if dataset_type.is_calibration and timespan is None:
            timespan = self._time_of(dataset_type, data_id, keywords, search)
        found = self.registry.datasets.find(dataset_type, resolved, search, timespan)
        if found is None:
            raise self._not_found(dataset_type, resolved, search, timespan)
        return component or None, *found

    def _time_of(
        self,
        dataset_type: DatasetType,
        data_id: Mapping[str, Any] | None,
        keywords: Mapping[str, Any],
        search: tuple[str, ...],
    ) -> Timespan | None:
        """Return when the data were taken for which a calibration is wanted, where that matters to the search."""
        if not self.registry.catalog.calibration_ranks(search):
            return None
        given = data_id if data_id is not None and not keywords else {**(data_id or {}), **keywords}
        return self.registry.calibrations.timespan_of(dataset_type, given, self.instrument)

    def _type_and_component(self, dataset: DatasetType | str) -> tuple[DatasetType, str]:
        name, _, component = type_name(dataset).partition(".")
        dataset_type = self.registry.dataset_type(name)
        if component:
            dataset_type.storage_class.check_component(component)
        return dataset_type, component

    def _not_found(
        self, dataset_type: DatasetType, data_id: DataId, search: tuple[str, ...], timespan: Timespan | None = None
    ) -> Exception:
        """Say what was searched for a dataset that is not there, and what comes closest."""
        self.registry.dimension_records.explain_missing(data_id)
        elsewhere = self.registry.datasets.collections_with(dataset_type, data_id)
        if elsewhere:
            hint = f"It is in {', '.join(repr(name) for name in elsewhere)}; pass collections={elsewhere[0]!r}."
        else:
            similar = self.registry.datasets.similar(dataset_type, data_id, search)
            hint = (
                f"There is {'; '.join(map(str, similar))}." if similar else f"They hold no {dataset_type.name} at all."
            )
        when = "" if timespan is None else f" valid in {timespan}"
        searched = ", ".join(map(repr, search)) or "no collection at all (collections=[])"
        if dataset_type.is_calibration and (ranks := self.registry.catalog.calibration_ranks(search)):
            validity = self.registry.calibrations.validity(dataset_type, data_id, ranks)
            elsewhere_hint = hint if elsewhere else ""
            hint = f"{'; '.join(validity)}." if validity else f"Nothing is certified for it. {elsewhere_hint}".rstrip()
        return DatasetNotFoundError(f"no {dataset_type.name} for {data_id}{when} in {searched}. {hint}")
