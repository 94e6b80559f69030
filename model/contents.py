"""What goes from one repository to another: datasets, and all that must be known there to understand them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from .collections import CollectionInfo
from .datasets import DatasetRef, DatasetType, StoredFile
from .dimensions import DimensionUniverse
from .provenance import QuantumRecord
from .records import DimensionRecord
from .timespan import Timespan

__all__ = ["Contents", "Noted"]

Noted = dict[uuid.UUID, dict[str, Any]]
"""Values by their keys, of each dataset by its id."""


@dataclass(slots=True)
class Contents:
    """A part of a repository, or all of it."""

    universe: DimensionUniverse
    """The dimensions in which all of it is said."""
    records: dict[str, list[DimensionRecord]] = field(default_factory=dict)
    """Dimension records by their element, in the universe's order: what a record refers to stands before it."""
    dataset_types: list[DatasetType] = field(default_factory=list)
    collections: list[CollectionInfo] = field(default_factory=list)
    """Collections; parents are left out, for chains say them."""
    datasets: list[tuple[DatasetRef, StoredFile | None]] = field(default_factory=list)
    """Datasets, and the file of each; several may have the same."""
    tags: dict[str, list[uuid.UUID]] = field(default_factory=dict)
    """Which of the datasets TAGGED collections hold."""
    validities: dict[str, list[tuple[uuid.UUID, Timespan]]] = field(default_factory=dict)
    """For which time CALIBRATION collections certify which of the datasets."""
    headers: Noted = field(default_factory=dict)
    """Header values that datasets are found by."""
    annotations: Noted = field(default_factory=dict)
    """What users note of datasets."""
    ingest_dates: dict[uuid.UUID, int] = field(default_factory=dict)
    """When datasets came to the repository, in TAI nanoseconds; now, of those that are left out."""
    quanta: list[QuantumRecord] = field(default_factory=list)
    """The work that made datasets, in the order of the ids."""

    def __str__(self) -> str:
        counts = {
            "datasets": len(self.datasets), "dimension records": sum(map(len, self.records.values())),
            "dataset types": len(self.dataset_types), "collections": len(self.collections),
        }  # fmt: skip
        return ", ".join(f"{count} {what}" for what, count in counts.items())

    def said_in(self, universe: DimensionUniverse) -> Contents:
        """Return the same in the words of another repository's dimensions.

        Raises
        ------
        DataIdError
            That one lacks a dimension, an element or a column that is needed.
        """
        if universe is self.universe:
            return self
        types = {
            old.name: DatasetType(
                old.name, old.dimensions.required, old.storage_class, old.is_calibration, universe=universe
            )
            for old in self.dataset_types
        }
        records = {
            name: [DimensionRecord.from_mapping(universe[name], record.to_dict()) for record in old]
            for name, old in self.records.items()
        }
        datasets = [
            (DatasetRef(types[ref.dataset_type.name], dict(ref.data_id), ref.run, ref.id), file)
            for ref, file in self.datasets
        ]
        return replace(self, universe=universe, records=records, dataset_types=list(types.values()), datasets=datasets)
