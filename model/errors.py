"""Every error that SkyButler raises, and what each one means.

::

    SkyButlerError
     ├── ArgumentError               an argument is not of the kind that a method takes
     ├── DataIdError                 a data ID is incomplete, unknown, ambiguous or contradicts itself
     ├── DatasetTypeNotFoundError    no dataset type has that name
     ├── DatasetNotFoundError        no dataset of that type and data ID is in the collections searched
     ├── CalibrationLookupError      which calibration is valid for a time cannot be told
     ├── DatasetExistsError          the RUN holds that dataset already; nothing is ever overwritten
     ├── CollectionNotFoundError     no collection has that name
     ├── CollectionTypeError         a collection of that type cannot do this
     ├── CollectionCycleError        a chain would come to hold itself
     ├── ConflictingDefinitionError  something of that name is defined otherwise already
     ├── AnnotationError             a key or value cannot be noted of a dataset
     ├── InvalidQueryError           a query expression, or a name in it, means nothing
     ├── StorageClassError           an object is not what its storage class takes, or cannot be read as another
     ├── FileFormatError             a file is not of the format that it should be
     ├── FileIntegrityError          a stored file is gone, or is not what was written
     ├── StoreUnavailableError       where files are kept cannot be reached, is full, or refuses
     ├── HeaderError                 a raw frame's header lacks a key, or says what cannot be
     ├── RepositoryNotFoundError     a folder is not a repository
     ├── RepositoryVersionError      a repository is of a schema that this version does not read
     ├── RepositoryBusyError         others kept a repository locked for longer than one waits
     ├── RegistryUnavailableError    the registry's database cannot be reached, or broke off
     ├── ReadOnlyError               a change was asked of what is open for reading only
     ├── ConfigError                 a configuration field is unknown or its value not allowed
     ├── PipelineError               a pipeline does not fit together
     └── TaskError                   a task could not do its work
          └── NoWorkFound            there was nothing for it to do

Each also inherits the builtin that a caller would think of first, so ``except LookupError`` works as expected.
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "AnnotationError",
    "ArgumentError",
    "CalibrationLookupError",
    "CollectionCycleError",
    "CollectionNotFoundError",
    "CollectionTypeError",
    "ConfigError",
    "ConflictingDefinitionError",
    "DataIdError",
    "DatasetExistsError",
    "DatasetNotFoundError",
    "DatasetTypeNotFoundError",
    "FileFormatError",
    "FileIntegrityError",
    "HeaderError",
    "InvalidQueryError",
    "NoWorkFound",
    "PipelineError",
    "ReadOnlyError",
    "RegistryUnavailableError",
    "RepositoryBusyError",
    "RepositoryNotFoundError",
    "RepositoryVersionError",
    "SkyButlerError",
    "StorageClassError",
    "StoreUnavailableError",
    "TaskError",
    "closest",
]


class SkyButlerError(Exception):
    """Anything that SkyButler itself finds wrong."""


class ArgumentError(SkyButlerError, TypeError):
    """An argument is not of the kind that a method takes."""


class DataIdError(SkyButlerError, ValueError):
    """A data ID is incomplete, unknown, ambiguous or contradicts itself."""


class DatasetTypeNotFoundError(SkyButlerError, LookupError):
    """No dataset type has that name."""


class DatasetNotFoundError(SkyButlerError, LookupError):
    """No dataset of that type and data ID is in the collections searched."""


class CalibrationLookupError(SkyButlerError, LookupError):
    """Which calibration is valid for a time cannot be told: several are, or the data do not say when they were."""


class DatasetExistsError(SkyButlerError, FileExistsError):
    """The RUN holds that dataset already; nothing is ever overwritten."""


class CollectionNotFoundError(SkyButlerError, LookupError):
    """No collection has that name."""


class CollectionTypeError(SkyButlerError, TypeError):
    """A collection of that type cannot do this."""


class CollectionCycleError(SkyButlerError, ValueError):
    """A chain would come to hold itself."""


class ConflictingDefinitionError(SkyButlerError, ValueError):
    """Something of that name is defined otherwise already."""


class AnnotationError(SkyButlerError, ValueError):
    """A key or value cannot be noted of a dataset."""


class InvalidQueryError(SkyButlerError, ValueError):
    """A query expression, or a name in it, means nothing."""


class StorageClassError(SkyButlerError, TypeError):
    """An object is not what its storage class takes, or cannot be read as another."""


class FileFormatError(SkyButlerError, ValueError):
    """A file is not of the format that it should be."""


class FileIntegrityError(SkyButlerError, OSError):
    """A stored file is gone, or is not what was written."""


class StoreUnavailableError(SkyButlerError, OSError):
    """Where files are kept cannot be reached, is full, or refuses."""


class HeaderError(SkyButlerError, ValueError):
    """A raw frame's header lacks a key, or says what cannot be."""


class RepositoryNotFoundError(SkyButlerError, FileNotFoundError):
    """A folder is not a repository."""


class RepositoryVersionError(SkyButlerError, RuntimeError):
    """A repository is of a schema that this version does not read."""


class RepositoryBusyError(SkyButlerError, TimeoutError):
    """Others kept a repository locked for longer than one waits."""


class RegistryUnavailableError(SkyButlerError, ConnectionError):
    """The registry's database cannot be reached, or broke off."""


class ReadOnlyError(SkyButlerError, PermissionError):
    """A change was asked of what is open for reading only."""


class ConfigError(SkyButlerError, ValueError):
    """A configuration field is unknown or its value not allowed."""


class PipelineError(SkyButlerError, ValueError):
    """A pipeline does not fit together."""


class TaskError(SkyButlerError, RuntimeError):
    """A task could not do its work."""


class NoWorkFound(TaskError):  # noqa: N818 - the name that LSST's tasks raise
    """There was nothing for the task to do; not a failure."""


def closest(name: object, candidates: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the candidate nearest to a name, or ``""`` where none is near."""
    near = get_close_matches(str(name), list(candidates), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
