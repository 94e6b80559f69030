"""Dataset types, references to datasets, and the files that keep them."""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .data_id import DataId
from .dimensions import DimensionGroup, DimensionUniverse, default_universe
from .errors import ArgumentError, DataIdError, StorageClassError
from .storage_class import StorageClass, storage_class

__all__ = ["DatasetRef", "DatasetType", "FileDataset", "StoredFile", "dataset_uuid", "new_uuid"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMESPACE = uuid.UUID("840b31d9-05cd-5161-b2c8-00d32b280d0f")
"""The namespace of LSST's deterministic dataset ids, so that the same raw has the same id in both."""


def new_uuid() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, then random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    return uuid.UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)


def dataset_uuid(dataset_type: str, data_id: Mapping[str, Any], run: str | None = None) -> uuid.UUID:
    """Return the UUID (version 5) that follows from dataset type, data ID and, where given, RUN: LSST's recipe."""
    if isinstance(data_id, DataId):  # implied values, where it holds them, are no part of the recipe
        data_id = dict(zip(data_id.dimensions.required, data_id.required_values, strict=True))
    items = [f"dataset_type={dataset_type}"]
    if run is not None:
        items.append(f"run={run}")
    items += [f"{name}={value}" for name, value in sorted(data_id.items())]
    digest = bytearray(hashlib.sha1(_NAMESPACE.bytes + ",".join(items).encode(), usedforsecurity=False).digest()[:16])
    return uuid.UUID(bytes=bytes(digest), version=5)


class DatasetType:
    """What a kind of dataset is: a name, the dimensions that tell one from another, a storage class.

    Parameters
    ----------
    name
        Letters, digits and underscores.
    dimensions
        Names of dimensions; what they require comes along.
    storage_class
        Name of the kind of Python object that each dataset is.
    is_calibration
        Whether its datasets are valid for a span of time.
    universe
        The dimensions that exist; the default universe's where left out.

    Raises
    ------
    DataIdError
        The name has other characters, or a dimension is unknown.
    StorageClassError
        The storage class is unknown.
    """

    __slots__ = ("dimensions", "is_calibration", "name", "storage_class")

    def __init__(
        self,
        name: str,
        dimensions: Iterable[str] | DimensionGroup,
        storage_class: str | StorageClass,
        is_calibration: bool = False,
        *,
        universe: DimensionUniverse | None = None,
    ):
        if not _NAME.fullmatch(name):
            raise DataIdError(f"a dataset type's name has letters, digits and underscores only: {name!r}.")
        self.name = name
        if isinstance(dimensions, DimensionGroup) and universe is None:
            universe = dimensions.universe
        self.dimensions = (universe or default_universe()).conform(
            [dimensions] if isinstance(dimensions, str) else dimensions
        )
        self.storage_class = _storage_class(storage_class)
        self.is_calibration = bool(is_calibration)

    def with_storage_class(self, name: str | StorageClass) -> DatasetType:
        """Return the same type, its datasets being of another storage class."""
        return DatasetType(self.name, self.dimensions, name, self.is_calibration)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DatasetType):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self.name)

    def _key(self) -> tuple[Any, ...]:
        return self.name, self.dimensions.required, self.storage_class.name, self.is_calibration

    def __repr__(self) -> str:
        calibration = ", is_calibration=True" if self.is_calibration else ""
        return f"DatasetType({self.name!r}, {list(self.dimensions.required)}, {self.storage_class.name!r}{calibration})"


def _storage_class(name: str | StorageClass) -> StorageClass:
    if not isinstance(name, str | StorageClass):
        raise StorageClassError(f"a storage class is meant by its name, not by {name!r}.")
    return name if isinstance(name, StorageClass) else storage_class(name)


class DatasetRef:
    """One dataset: its type, data ID, RUN and id.

    Parameters
    ----------
    dataset_type
        Its type.
    data_id
        A data ID, or a mapping that holds the type's required dimensions.
    run
        The RUN that owns it.
    id
        Its UUID; a new one where left out.

    Raises
    ------
    DataIdError
        The data ID lacks a dimension, or is none.
    ArgumentError
        The type is none.
    """

    __slots__ = ("data_id", "dataset_type", "id", "run")

    def __init__(
        self,
        dataset_type: DatasetType,
        data_id: Mapping[str, Any],
        run: str,
        id: uuid.UUID | None = None,  # noqa: A002
    ):
        try:
            if not isinstance(data_id, DataId) or data_id.dimensions is not dataset_type.dimensions:
                data_id = DataId.from_mapping(dataset_type.dimensions, data_id)
        except AttributeError:  # looked at only then: there may be many thousands
            if isinstance(dataset_type, DatasetType):
                raise
            raise ArgumentError(
                f"a DatasetRef is of a DatasetType, as butler.dataset_type(name) returns it; not of {dataset_type!r}."
            ) from None
        self.dataset_type = dataset_type
        self.data_id = data_id
        self.run = run
        self.id = id or new_uuid()

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, DatasetRef) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return f"{self.dataset_type.name} {self.data_id} in {self.run!r}"

    def __repr__(self) -> str:
        return f"DatasetRef({self.dataset_type.name!r}, {self.data_id!r}, run={self.run!r}, id={str(self.id)!r})"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is recorded of a file that keeps a dataset, or a component of one."""

    path: str
    """POSIX path relative to the datastore's roots; absolute, or a URI, of a file that was ingested where it lies."""
    formatter: str
    """Name of what reads it."""
    storage_class: str
    """Storage class of the object that was written."""
    size: int
    """Bytes."""
    checksum: str | None = None
    """``xxh3:`` (once ``blake2b:``) and 32 hexadecimal digits, or None where none was taken."""
    component: str = ""
    """The component that it keeps; empty for the whole."""


@dataclass(slots=True)
class FileDataset:
    """A file to ingest, and the datasets that it holds."""

    path: str | Path
    """Where the file lies: a path, or a URI as text."""
    refs: list[DatasetRef]
    """The datasets in it; mostly one."""
    formatter: str | None = None
    """Name of what reads it; by the storage class where left out."""
    header: Mapping[str, Any] | None = None
    """What its header says, where that has been read already."""
