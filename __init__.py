"""SkyButler: the data butler for imaging surveys.

Ask for data by what it is, not where it lies::

    from skybutler import Butler

    butler = Butler("repo")
    calexp = butler.get("calexp", visit=1234, detector=0)

Names are imported when they are first used, so that ``import skybutler`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .butler import Butler
    from .butler.ingest import ingest_raws
    from .instruments.instrument import Instrument
    from .model.collections import CollectionInfo, CollectionType
    from .model.data_id import DataId
    from .model.datasets import DatasetRef, DatasetType, FileDataset
    from .model.errors import (
        AnnotationError,
        ArgumentError,
        CalibrationLookupError,
        CollectionCycleError,
        CollectionNotFoundError,
        CollectionTypeError,
        ConfigError,
        ConflictingDefinitionError,
        DataIdError,
        DatasetExistsError,
        DatasetNotFoundError,
        DatasetTypeNotFoundError,
        FileFormatError,
        FileIntegrityError,
        HeaderError,
        InvalidQueryError,
        NoWorkFound,
        PipelineError,
        ReadOnlyError,
        RegistryUnavailableError,
        RepositoryBusyError,
        RepositoryNotFoundError,
        RepositoryVersionError,
        SkyButlerError,
        StorageClassError,
        StoreUnavailableError,
        TaskError,
    )
    from .model.provenance import DatasetProvenance, FileProvenance
    from .model.records import DimensionRecord
    from .model.region import Region
    from .model.storage_class import StorageClass, register_storage_class
    from .model.timespan import Timespan
    from .storage.files import read, write
    from .storage.provenance import provenance

__version__ = "0.1.0"

_ERRORS = (
    "AnnotationError", "ArgumentError", "CalibrationLookupError", "CollectionCycleError", "CollectionNotFoundError",
    "CollectionTypeError", "ConfigError", "ConflictingDefinitionError", "DataIdError",
    "DatasetExistsError", "DatasetNotFoundError",
    "DatasetTypeNotFoundError", "FileFormatError", "FileIntegrityError", "HeaderError", "InvalidQueryError",
    "NoWorkFound", "PipelineError", "ReadOnlyError", "RegistryUnavailableError", "RepositoryBusyError",
    "RepositoryNotFoundError", "RepositoryVersionError", "SkyButlerError", "StorageClassError", "StoreUnavailableError",
    "TaskError",
)  # fmt: skip
_PLACES = {
    "Butler": "butler",
    "ingest_raws": "butler.ingest",
    "Instrument": "instruments.instrument",
    "CollectionInfo": "model.collections",
    "CollectionType": "model.collections",
    "DataId": "model.data_id",
    "DatasetRef": "model.datasets",
    "DatasetType": "model.datasets",
    "FileDataset": "model.datasets",
    "DimensionRecord": "model.records",
    "Region": "model.region",
    "StorageClass": "model.storage_class",
    "register_storage_class": "model.storage_class",
    "Timespan": "model.timespan",
    "DatasetProvenance": "model.provenance",
    "FileProvenance": "model.provenance",
    "provenance": "storage.provenance",
    "read": "storage.files",
    "write": "storage.files",
    **dict.fromkeys(_ERRORS, "model.errors"),
}

__all__ = [
    "AnnotationError",
    "ArgumentError",
    "Butler",
    "CalibrationLookupError",
    "CollectionCycleError",
    "CollectionInfo",
    "CollectionNotFoundError",
    "CollectionType",
    "CollectionTypeError",
    "ConfigError",
    "ConflictingDefinitionError",
    "DataId",
    "DataIdError",
    "DatasetExistsError",
    "DatasetNotFoundError",
    "DatasetProvenance",
    "DatasetRef",
    "DatasetType",
    "DatasetTypeNotFoundError",
    "DimensionRecord",
    "FileDataset",
    "FileFormatError",
    "FileIntegrityError",
    "FileProvenance",
    "HeaderError",
    "Instrument",
    "InvalidQueryError",
    "NoWorkFound",
    "PipelineError",
    "ReadOnlyError",
    "Region",
    "RegistryUnavailableError",
    "RepositoryBusyError",
    "RepositoryNotFoundError",
    "RepositoryVersionError",
    "SkyButlerError",
    "StorageClass",
    "StorageClassError",
    "StoreUnavailableError",
    "TaskError",
    "Timespan",
    "ingest_raws",
    "provenance",
    "read",
    "register_storage_class",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_PLACES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
