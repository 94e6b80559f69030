"""The Butler: ask for data by what it is, not where it lies."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.blocks import block
from ..model.datasets import DatasetRef, DatasetType, StoredFile
from ..model.errors import (
    ArgumentError,
    ConfigError,
    DatasetNotFoundError,
    DatasetTypeNotFoundError,
    FileFormatError,
    FileIntegrityError,
    StorageClassError,
)
from ..model.given import shown, type_name
from ..model.provenance import DatasetProvenance
from ..model.storage_class import StorageClass
from ..model.timespan import Timespan
from ..registry.collections import check_collection_name, check_globs
from ..registry.registry import Registry, one_operation
from ..storage.atomic import FolderFlushes
from ..storage.datastore import Datastore
from ..storage.stores import is_uri
from .config import RepositoryConfig
from .deferred import DeferredDataset
from .exchanging import ButlerExchange
from .exposure_info import COMPLETED, complete_exposure
from .file_ingest import ButlerFileIngest
from .finding import ButlerFinding
from .places import PlacesLike, open_datastore
from .removal import ButlerRemoval
from .repository import create_repository, may_write, remove_folder, temporary_folder
from .standard import DEFAULT_COLLECTION, DEFAULT_RUN
from .transaction import FileJournal
from .trash import Trash

if TYPE_CHECKING:
    from ..imaging.detector import Camera
    from ..model.dimensions import DimensionUniverse

__all__ = ["Butler"]


class Butler(ButlerFinding, ButlerRemoval, ButlerFileIngest, ButlerExchange):
    """A repository: datasets found by dataset type and data ID.

    Parameters
    ----------
    root
        The repository's folder.
    collections
        Names of the collections that are searched, in order; ``defaults`` where left out, after ``run`` where that
        is given.
    run
        The RUN that is put into; ``user`` where left out.
    instrument
        The instrument of data IDs that name none; the repository's only one where left out.
    writeable
        Whether changes are allowed; by default, where the folder's permissions allow them.

    Raises
    ------
    RepositoryNotFoundError
        The folder is no repository.
    RepositoryVersionError
        Another version of SkyButler made it.
    CollectionNotFoundError
        One of ``collections`` is not there; ``run`` may be among them, and is made by the first put.
    ConflictingDefinitionError
        ``run`` cannot name a collection.

    Examples
    --------
    >>> butler = Butler("repo")  # doctest: +SKIP
    >>> calexp = butler.get("calexp", visit=1234, detector=0)  # doctest: +SKIP
    """

    def __init__(
        self,
        root: str | Path,
        *,
        collections: str | Iterable[str] | None = None,
        run: str | None = None,
        instrument: str | None = None,
        writeable: bool | None = None,
    ):
        if run is not None:
            check_collection_name(run)
        config = RepositoryConfig.load(root)
        self.root = config.root
        if writeable is None:
            writeable = may_write(config)
        self.registry = Registry.open(config.database, writeable=writeable, storage_classes=config.storage_classes)
        self.datastore = open_datastore(config.datastore, config.cache, config.root, config.storage_classes)
        self.datastore.compression = config.compression
        self.run = run or DEFAULT_RUN
        if collections is None:
            self.search: tuple[str, ...] = (run, DEFAULT_COLLECTION) if run else (DEFAULT_COLLECTION,)
        else:
            self.search = self._check_search(collections)
        self._awaits_run = self.run in self.search
        self.instrument = instrument
        self.cameras: dict[uuid.UUID, Camera] = {}
        """Cameras that have been read, by the ids of their datasets."""
        self.header_keys = config.header_keys
        """Which values of datasets' headers are kept in the registry."""
        self.ingest_checksums = config.ingest_checksums
        """Whether files that are ingested without being copied are read for their checksums."""
        self._journal = FileJournal(self.registry, self.datastore)
        self.trash = Trash(self.registry, self.datastore, self._journal, config.trash)

    @classmethod
    def create(
        cls,
        root: str | Path,
        *,
        registry: str | None = None,
        datastore: PlacesLike | None = None,
        cache: str | Path | Mapping[str, Any] | None = None,
        universe: str | Path | Mapping[str, Any] | DimensionUniverse | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Butler:
        """Make a repository, with the standard dataset types, and open it.

        Parameters
        ----------
        root
            Its folder; made where it is not there.
        registry
            SQLAlchemy URL of the registry's database; an SQLite file in the folder where left out.
        datastore
            Where files are kept, where that is not the folder itself: a URI (``"s3://bucket/prefix"``) or path, or a
            mapping with such a ``root`` and settings, or several of these (docs/stores.md).
        cache
            A folder for copies of what is not on this machine; or a mapping of ``folder``, ``size`` and ``age``.
        universe
            Dimensions of its own: a YAML file, what such a file holds, or a universe (docs/dimensions.md); the default
            ones where left out. The repository keeps them.
        config
            Further settings of ``skybutler.yaml``: ``compression``, ``header_values``, ``ingest_checksums``,
            ``storage_classes``, ``trash``.

        Raises
        ------
        ConflictingDefinitionError
            The folder is a repository already; or the universe makes no sense, and nothing was written.
        ConfigError
            What is said of the registry, the datastore, the cache or other settings makes no sense.
        StorageClassError
            So does the description of a storage class.
        StoreUnavailableError
            A place that files are to be kept in is not there, or cannot be reached.
        """
        if is_uri(root):
            raise ConfigError(
                f"{root!r} cannot be a repository's own folder, which is on this machine. To keep its files there: "
                f"Butler.create(folder, datastore={root!r})."
            )
        return cls(create_repository(Path(root), registry, datastore, cache, universe, config).root)

    @classmethod
    def in_memory(cls, *, universe: DimensionUniverse | None = None) -> Butler:
        """Make a repository that is gone with this object: for tests, and for what need not outlive a notebook.

        Files are in this process's memory, the registry in a folder of the system's for temporary files (in memory,
        where there is one); other processes cannot open it.

        Parameters
        ----------
        universe
            Dimensions of its own; the default ones where left out.
        """
        import weakref

        from ..storage.stores.memory import MemoryStore

        folder = temporary_folder()
        butler = cls.create(folder, universe=universe)
        weakref.finalize(butler, remove_folder, folder)
        butler.datastore = Datastore(MemoryStore(), storage_classes=butler.registry.storage_classes)
        butler._journal = FileJournal(butler.registry, butler.datastore)
        butler.trash = Trash(butler.registry, butler.datastore, butler._journal, butler.trash.window)
        return butler

    # Datasets

    @one_operation
    def get(
        self,
        dataset: DatasetRef | uuid.UUID | DatasetType | str,
        data_id: Mapping[str, Any] | None = None,
        *,
        collections: str | Iterable[str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        storage_class: str | StorageClass | None = None,
        component: str | None = None,
        timespan: Timespan | None = None,
        verify: bool = False,
        **keywords: Any,
    ) -> Any:
        """Return a dataset, or a component of one.

        Parameters
        ----------
        dataset
            A reference, an id, or a dataset type's name, with ``.component`` behind it for a part (``"calexp.wcs"``).
        data_id, **keywords
            Values of dimensions, and whatever else pins them down.
        collections
            What is searched instead of the Butler's own.
        parameters
            What part is read: ``bbox`` of an exposure; ``columns``, ``filters``, ``rows`` of a table.
        storage_class
            What it is read as: any table as any other (``"DataFrame"``, ``"ArrowTable"``, ``"AstropyTable"``, …).
        component
            The part that is read, where a reference says the whole.
        timespan
            When a calibration must be valid, where CALIBRATION collections are searched; the time of the data ID's
            exposure, visit or day where left out.
        verify
            Whether all of its file is read and compared with its checksum first; else its length is looked at.

        Raises
        ------
        DatasetNotFoundError
            It is not there; says what was searched, and what comes closest.
        CalibrationLookupError
            Several calibrations are valid in that time.
        DataIdError
            The data ID is incomplete, unknown or ambiguous.
        FileIntegrityError
            Its file is gone, or is not what was written.
        ArgumentError
            What is given is neither a dataset nor a dataset type.
        """
        named, ref, files = self._locate(dataset, data_id, collections, keywords, timespan)
        component = named or component
        if not isinstance(parameters, Mapping | None):
            raise ArgumentError(f"parameters are a dict, such as {{'columns': […]}}; not {shown(parameters)}.")
        wanted = self.registry.storage_classes[
            ref.dataset_type.storage_class if storage_class is None else storage_class
        ]
        if component and component in (by_component := {file.component: file for file in files}):
            return self._read(ref, by_component[component], verify, wanted, None, parameters)
        whole = next((file for file in files if not file.component), None)
        if whole is None:
            raise DatasetNotFoundError(f"{ref} is registered, but no file of it is kept.")
        obj = self._read(ref, whole, verify, wanted, component, parameters)
        if wanted.name == "Exposure" and component in COMPLETED:
            obj = complete_exposure(self, ref.data_id, obj, component)
        return obj

    @one_operation
    def get_deferred(
        self,
        dataset: DatasetRef | uuid.UUID | DatasetType | str,
        data_id: Mapping[str, Any] | None = None,
        *,
        collections: str | Iterable[str] | None = None,
        timespan: Timespan | None = None,
        **keywords: Any,
    ) -> DeferredDataset:
        """Return a handle to a dataset that is found now, as `get` finds it, and read later, in whole or part."""
        _, ref, _ = self._locate(dataset, data_id, collections, keywords, timespan)
        return DeferredDataset(self, ref)

    @one_operation
    def put(
        self,
        dataset: DatasetRef | DatasetType | str,
        obj: Any,
        data_id: Mapping[str, Any] | None = None,
        *,
        run: str | None = None,
        provenance: DatasetProvenance | None = None,
        **keywords: Any,
    ) -> DatasetRef:
        """Store an object as a dataset.

        Parameters
        ----------
        dataset
            A dataset type, by its name mostly; or a reference that says all of it.
        obj
            The object.
        data_id, **keywords
            Values of dimensions, and whatever else pins them down.
        run
            The RUN that will own it, instead of the Butler's own; made where it is not there.
        provenance
            What it is made of, for its file to tell (`skybutler.provenance`).

        Returns
        -------
        DatasetRef
            The new dataset.

        Raises
        ------
        DatasetExistsError
            The RUN has it already; nothing is overwritten.
        DataIdError
            The data ID is incomplete, unknown or ambiguous.
        StorageClassError
            The object is not what the dataset type takes.
        """
        if isinstance(obj, str | DatasetType | DatasetRef) and not isinstance(dataset, str | DatasetType | DatasetRef):
            raise ArgumentError(
                f"put takes the dataset type first: butler.put({obj!r}, <{type(dataset).__name__}>, …)."
            )
        if isinstance(dataset, DatasetRef):
            ref = dataset
            self.registry.dataset_type(ref.dataset_type.name)
        else:
            name = type_name(dataset)
            if "." in name:
                raise StorageClassError(f"{name!r} is a component; put the whole {name.partition('.')[0]!r}.")
            dataset_type = self._type_for(name, obj)
            resolved = self._data_id(dataset_type, data_id, keywords)
            ref = DatasetRef(dataset_type, resolved, run or self.run)
        self.put_many([(ref, obj)], provenance=provenance)
        return ref

    @one_operation
    def put_many(self, items: Iterable[tuple[DatasetRef, Any]], *, provenance: DatasetProvenance | None = None) -> None:
        """Store objects as datasets, all of them or none, in one transaction.

        Parameters
        ----------
        items
            References that say all of each dataset, and the objects.
        provenance
            What they are made of.

        Raises
        ------
        DatasetExistsError, DataIdError, StorageClassError
            As `put`.
        ArgumentError
            They are not pairs of a reference and an object.
        """
        self._check_writeable()
        items = _pairs(items)
        for ref, obj in items:
            self.datastore.check(obj, ref.dataset_type.storage_class)
            self.registry.datasets.check_absent(ref)
            self._check_run(ref.run)
        stored: list[tuple[DatasetRef, StoredFile]] = []
        files: list[StoredFile] = []  # filled while it is owned: what an object that cannot be written leaves, goes
        flushes = FolderFlushes()
        with self._journal.owning(files):
            for ref, obj in items:
                files.append(self.datastore.write(obj, ref, ref.dataset_type.storage_class, provenance, flushes))
                stored.append((ref, files[-1]))
            flushes.flush()
            self._register(stored, headers=self.header_keys.of_objects(items))

    @block
    def transaction(self) -> Iterator[None]:
        """Do all that the block does, or nothing of it, files included.

        Transactions nest: an inner one that fails, its exception caught, undoes itself alone.
        """
        self._check_writeable()
        with self._journal.transaction():
            yield

    # How the above find their way

    def _read(self, ref: DatasetRef, stored: StoredFile, verify: bool, *how: Any) -> Any:
        """Read a dataset's file; see `Datastore.read`. What is wrong with the file is told with the dataset's name."""
        try:
            if verify:
                self.datastore.verify(stored)
            return self.datastore.read(stored, *how)
        except (FileFormatError, FileIntegrityError) as error:
            raise type(error)(f"{ref}: {error}") from error

    def _check_search(self, collections: str | Iterable[str]) -> tuple[str, ...]:
        """Return the collections to search; raise for a name that is not there now, not when something is sought."""
        try:
            search = check_globs(collections)
            for name in search:
                if name not in (self.run, DEFAULT_COLLECTION):
                    self.registry.catalog.matching(name)
        except BaseException:
            self.registry.close()
            raise
        return search

    def _type_for(self, name: str, obj: Any) -> DatasetType:
        """Return the dataset type of that name; where there is none, say how one for the object is made."""
        try:
            return self.registry.dataset_type(name)
        except DatasetTypeNotFoundError as error:
            try:
                kind = self.registry.storage_classes.of(obj).name
            except StorageClassError:
                kind = "DataFrame"
            raise DatasetTypeNotFoundError(
                f"{error} A new one: butler.register_dataset_type({name!r}, ['visit', 'detector'], {kind!r})."
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle as what another process opens the same repository by."""
        return {
            "root": self.root, "collections": self.search, "run": self.run, "instrument": self.instrument,
            "writeable": self.registry.database.writeable, "awaits_run": self._awaits_run,
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the repository anew."""
        awaits_run = state.pop("awaits_run")
        self.__init__(**state)  # type: ignore[misc]
        self._awaits_run = awaits_run

    def close(self) -> None:
        """Close the registry's connections."""
        self.registry.close()

    def __enter__(self) -> Butler:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Butler({', '.join(self._state())})"

    def _repr_html_(self) -> str:
        from ..imaging.describe import Description
        from ..registry.notebook import collections_table, dataset_types_table

        catalog = self.registry.catalog
        parts = [collections_table(catalog), dataset_types_table(catalog)]
        return Description("Butler", self._state(), lambda: parts)._repr_html_()

    def _state(self) -> tuple[str, ...]:
        known = f"{len(self.registry.catalog.collections)} collections"
        said = repr(str(self.root)), f"run={self.run!r}", f"search={list(self.search)}", known
        return said if self.registry.database.writeable else (*said, "read-only")


def _pairs(items: object) -> list[tuple[DatasetRef, Any]]:
    """Return what `Butler.put_many` is given, as a list."""
    found: list[Any] = [items]
    if isinstance(items, Iterable) and not isinstance(items, str | Mapping):
        found = list(items)
    for one in found:
        if not (isinstance(one, tuple | list) and len(one) == 2 and isinstance(one[0], DatasetRef)):
            raise ArgumentError(
                f"put_many takes pairs of a DatasetRef and an object: [(ref, obj), …]; not {shown(one)}."
            )
    return found
