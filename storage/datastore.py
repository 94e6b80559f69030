"""The files of a repository: objects go in as whole files or not at all, and come out only as what went in.

The datastore keeps no list of its own. `write` says in a `StoredFile` what it has made, the registry remembers that,
and `read` and `remove` are told it again. Where files lie is its stores' affair (`stores`): mostly one folder.
"""

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from ..model.datasets import StoredFile
from ..model.errors import FileFormatError, FileIntegrityError, ReadOnlyError
from ..model.provenance import DatasetProvenance, FileProvenance
from ..model.storage_classes import StorageClasses
from .atomic import FolderFlushes, HashingFile
from .bundles import BundleStore, member_of
from .fetching import NO_COPY, FileFetching
from .formatters import ByteSink, Formatter, formatter_for
from .formatters import formatter as formatter_named
from .intake import FileIntake
from .locations import is_below
from .paths import dataset_path, dataset_type_of, file_suffix
from .stores import Store
from .stores.local import LocalStore
from .stores.root import Root

if TYPE_CHECKING:
    from ..model.datasets import DatasetRef
    from ..model.storage_class import StorageClass
    from .stores.cache import FileCache

__all__ = ["Datastore"]

_ATTEMPTS = 5  # to find a name that no file has
_BUNDLES = 64  # whose lists of members are kept in memory
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Datastore(FileIntake, FileFetching):
    """The files of a repository.

    Parameters
    ----------
    roots
        Where they lie: a folder, which is made when the first file is written; a store; or several, of which a file is
        read from the first that has it, and written to the first that takes its dataset type.
    cache
        Keeps copies of what is not on this machine.
    storage_classes
        What is meant by their names; what every process means where left out.

    Attributes
    ----------
    roots : `tuple` [`Root`]
        Where files lie.
    root : `~pathlib.Path` or `None`
        The first of the roots that is a folder.
    compression : `~collections.abc.Mapping` [`str`, `str` or `None`]
        How the pixels of new datasets are compressed (``"gzip"`` or ``"rice"``), by dataset type; ``"*"`` stands for
        all others. Not at all, at first.
    """

    def __init__(
        self,
        roots: Path | str | Store | Sequence[Root],
        cache: "FileCache | None" = None,
        storage_classes: StorageClasses | None = None,
    ) -> None:
        if isinstance(roots, str | Path):
            roots = LocalStore(roots)
        super().__init__((Root(roots),) if isinstance(roots, Store) else tuple(roots), cache)
        self.storage_classes = storage_classes or StorageClasses()
        self.compression: Mapping[str, str | None] = {}
        only = self.roots[0].store
        self._only = only if isinstance(only, LocalStore) and len(self.roots) == 1 else None
        self._bundles: dict[str, Datastore] = {}

    def __repr__(self) -> str:
        return f"Datastore({self._locations!r})"

    def formatter(self, name: str) -> Formatter:
        """Return the formatter of a name, as the registry remembers it for each file.

        Raises
        ------
        FileFormatError
            If there is no such formatter.
        """
        return formatter_named(name, self.storage_classes)

    def check(self, obj: Any, storage_class: "StorageClass") -> None:
        """Refuse an object that its storage class does not take, as `write` does; nothing is written.

        Raises
        ------
        StorageClassError
            If the storage class does not take such an object, or nothing writes it.
        """
        formatter_for(storage_class).check(obj, storage_class)

    def write(
        self,
        obj: Any,
        ref: "DatasetRef",
        storage_class: "StorageClass",
        made: DatasetProvenance | None = None,
        flushes: FolderFlushes | None = None,
    ) -> StoredFile:
        """Write an object as the file of a dataset.

        The file appears under its name only when all of it is there and, on a disk, flushed to it. It replaces none.
        What fails leaves nothing behind.

        Parameters
        ----------
        obj
            The object; never changed.
        ref
            The dataset that it is to be; says where the file lies.
        storage_class
            What it is written as.
        made
            What it is made of, for the file to tell.
        flushes
            Flushes the folders of several files together, later; each at once where left out.

        Returns
        -------
        StoredFile
            The file's path, formatter, size and checksum.

        Raises
        ------
        StorageClassError
            If the storage class does not take such an object; nothing has been written then.
        ReadOnlyError
            If nothing may be written there.
        StoreUnavailableError
            If the place is full, or cannot be reached.
        """
        chosen = formatter_for(storage_class)
        compression = self.compression.get(ref.dataset_type.name, self.compression.get("*"))
        if compression is not None and chosen.name == "fits":
            chosen = chosen.compressing(compression)
        chosen.check(obj, storage_class)
        provenance = FileProvenance.of(ref, made).to_dict()
        path, (size, checksum) = self._named(
            ref,
            chosen.suffix,
            lambda store, name: self._write(
                store, name, lambda sink: chosen.write(obj, sink, storage_class, provenance), flushes
            ),
        )
        try:
            return StoredFile(
                path=path, formatter=chosen.name, storage_class=storage_class.name, size=size, checksum=checksum
            )
        except BaseException:  # Ctrl-C: nobody else knows of the file yet
            self._remove_names([path])
            raise

    def read(
        self,
        stored: StoredFile,
        storage_class: "StorageClass",
        component: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read a dataset, a part of it or one of its components.

        Parameters
        ----------
        stored
            What `write` returned, or `ingest_files` yielded.
        storage_class
            What it is to be read as; need not be what it was written as.
        component
            Name of the component to read alone.
        parameters
            What part to read: ``bbox``, ``columns``, ``filters``, ...

        Raises
        ------
        FileIntegrityError
            If the file is gone, or is not as long as it was; of one that is fetched, if it differs in anything.
        FileFormatError
            If the file cannot be understood.
        StorageClassError
            If the storage class has no such component or parameter.
        StoreUnavailableError
            If the file is elsewhere, and cannot be had now.
        """
        holder, part_of = self.holder(stored)
        if holder is not self:
            return holder.read(part_of, storage_class, component, parameters)
        chosen = self.formatter(stored.formatter)
        path = self._on_disk(stored)
        if path is not None:
            return chosen.read(path, storage_class, component, parameters or {})
        try:
            return self._read_far(stored, chosen, storage_class, component, parameters or {})
        except FileFormatError as error:
            if not self._renewed(stored, error):
                raise
        return self._read_far(stored, chosen, storage_class, component, parameters or {})

    def source(self, stored: StoredFile) -> Any:
        """Return what reads a file where it lies: its path, or a `RemoteFile` where it is not on this machine.

        Raises
        ------
        FileIntegrityError
            If it is gone, or not as long as it was.
        """
        holder, part = self.holder(stored)
        return holder._on_disk(part) or holder._remote(part)

    def holder(self, stored: StoredFile) -> "tuple[Datastore, StoredFile]":
        """Return what has a file under a name of its own, and the file there: this, or the bundle that it is in.

        Raises
        ------
        FileIntegrityError
            If the bundle is gone, is not as long as it was, or lacks it.
        FileFormatError
            If the bundle is none.
        """
        formatter, member = member_of(stored.formatter)
        if not member:
            return self, stored
        key = self._key(stored.path, stored.size, stored.checksum)
        bundle = self._bundles.get(key)
        if bundle is None:
            self._check_links(stored)
            places = [place for place in self._places(stored) if place[0].size(place[1]) == stored.size]
            if not places:
                raise FileIntegrityError(self._gone(stored))
            if len(self._bundles) >= _BUNDLES:
                self._bundles.clear()
            bundle = self._bundles[key] = Datastore(
                BundleStore(*places[0], stored.size), self.cache, self.storage_classes
            )
        size = bundle.roots[0].store.size(member)
        if size is None:
            raise FileIntegrityError(f"the bundle {self.uri(stored)} has no such member")
        return bundle, replace(stored, path=member, formatter=formatter, size=size, checksum=None)

    def fetch(self, stored: StoredFile, sink: ByteSink) -> None:
        """Copy the whole of a file, or of a bundle's member, into what takes it, and compare it with what is recorded.

        Raises
        ------
        FileIntegrityError
            If the file is gone, or differs in size or checksum.
        """
        for block in self.stream(stored):
            sink.write(block)

    def stream(self, stored: StoredFile) -> Iterator[bytes]:
        """Yield what `fetch` copies, piece by piece."""
        holder, part = self.holder(stored)
        return holder._through(part, HashingFile(None))

    def copy_from(
        self, other: "Datastore", stored: StoredFile, ref: "DatasetRef", flushes: FolderFlushes | None = None
    ) -> StoredFile:
        """Copy a file of another datastore, without a file in between, as the file of a dataset.

        Raises
        ------
        FileIntegrityError
            If the file is gone, or is not what was recorded of it.
        """
        holder, part = other.holder(stored)
        path, (size, checksum) = self._named(
            ref,
            file_suffix(part.path),
            lambda store, name: self._write(store, name, partial(holder._fetch, part), flushes),
        )
        try:
            return replace(part, path=path, size=size, checksum=checksum)
        except BaseException:  # Ctrl-C, as above
            self._remove_names([path])
            raise

    def verify(self, stored: StoredFile) -> None:
        """Compare the whole of a file with what was recorded when it was written.

        Raises
        ------
        FileIntegrityError
            If the file is gone, or differs in size or checksum.
        """
        self._fetch(stored, HashingFile(None))

    def remove(self, stored: StoredFile) -> None:
        """Remove a file; see `remove_many`."""
        self.remove_many([stored])

    def remove_many(self, files: Iterable[StoredFile]) -> None:
        """Remove files, and the folders that they leave empty; those outside the roots, ingested "direct", stay.

        So do those that a symbolic link leads out to, unless they have the names that datasets' files are given.
        Removing what is gone already is no error, so that an interrupted removal can be repeated.
        """
        self._remove_names([file.path for file in files if is_below(file.path)])

    def _remove_names(self, names: Sequence[str]) -> None:
        for root in self.roots:
            if root.changes:
                store = root.store
                there = [name for name in names if not isinstance(store, LocalStore) or _may_remove(store, name)]
                store.remove_many(there)

    def _named(self, ref: "DatasetRef", suffix: str, keep: Callable[[Store, str], _T]) -> tuple[str, _T]:
        """Keep a file under the name of a dataset, or, where a file has it already, under one like it.

        Such a file is what a crash has left, or another writer's of the same id (raw frames have ids that follow from
        their data IDs), whose dataset may stand. Either way it is not this writer's to replace.
        """
        kind = ref.dataset_type.name
        root = next((root for root in self.roots if root.takes(kind)), None)
        if root is None:
            places = ", ".join(root.store.location for root in self.roots)
            raise ReadOnlyError(
                f"no file of {kind!r} can be written: none of {places} takes it. The datastore in skybutler.yaml says "
                "what is written where."
            )
        name = dataset_path(ref, suffix)
        for _ in range(_ATTEMPTS):
            if len(self.roots) == 1 or not any(r.store.size(name) is not None for r in self.roots if r is not root):
                try:
                    return name, keep(root.store, name)
                except FileExistsError:
                    pass
            name = dataset_path(ref, f"-{token_hex(8)}{suffix}")
        return name, keep(root.store, name)

    def _write(
        self, store: Store, name: str, write: Callable[[HashingFile], None], flushes: FolderFlushes | None = None
    ) -> tuple[int, str]:
        """Write a file; of one that goes elsewhere, a copy stays in the cache."""
        if isinstance(store, LocalStore):
            return store.write(name, write, flushes)
        if self.cache is None or store.local_path(name) is not None:
            return store.write(name, write)
        is_spooled = False
        try:
            with self.cache.spooled(write) as (path, size, checksum):
                is_spooled = True
                store.put(name, path)
                try:
                    if size <= self.cache.size:
                        self.cache.adopt(self._key(name, size, checksum), file_suffix(name), path)
                except OSError as error:  # the file is where it belongs
                    _log.warning(NO_COPY, self.cache.folder, error)
                return size, checksum
        except OSError as error:
            if is_spooled:
                raise
            _log.warning(NO_COPY, self.cache.folder, error)
        return store.write(name, write)

    def _on_disk(self, stored: StoredFile) -> Path | None:
        """Return where on this machine a file lies; None where it may be elsewhere.

        Raises
        ------
        FileIntegrityError
            If it is gone, or not as long as it was.
        """
        if self._only is not None:  # the way of nearly every get
            likely = self._only.local_path(stored.path)
            with suppress(OSError, ValueError):  # what is wrong is found out below
                seen = os.lstat(likely)  # a third of the time of Path.lstat
                plain = stat.S_ISREG(seen.st_mode) and self._only.has_inside(os.path.dirname(likely))  # noqa: PTH120
                if plain and seen.st_size == stored.size:
                    return Path(likely)
        found = None
        for store, name in self._places(stored):
            path = store.local_path(name)
            if path is None:
                return None
            size = store.size(name)
            if size == stored.size:
                self._check_links(stored)
                return Path(path)
            if size is not None:
                found = f"the file {path} has {size} bytes, but {stored.size} were recorded for it"
        raise FileIntegrityError(found or self._gone(stored))


def _may_remove(store: LocalStore, name: str) -> bool:
    """Whether a file is a datastore's own, and no other's that a symbolic link among its folders leads to."""
    return store.has_inside(os.path.dirname(store.local_path(name))) or dataset_type_of(name) is not None  # noqa: PTH120
