"""Files that exist become files of a datastore: left where they are, linked, or copied; many at once.

A file that is not copied must be read for its checksum. Large ones are read by several threads at once, and the setting
`ingest_checksums` of a repository, or whoever ingests, may do without.
"""

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar
from urllib.parse import unquote

from ..model.datasets import FileDataset, StoredFile
from ..model.errors import FileFormatError, FileIntegrityError
from .atomic import FolderFlushes, HashingFile
from .formatters import Formatter, formatter_for
from .locations import FileLocations
from .paths import file_suffix
from .stores import Store, is_uri, split_uri
from .stores.local import LocalStore, copier

if TYPE_CHECKING:
    from pathlib import Path

    from ..model.datasets import DatasetRef
    from ..model.storage_class import StorageClass

__all__ = ["FileIntake", "TakenFile"]

TRANSFER_MODES = ("auto", "direct", "link", "copy", "move", "in_place")

_LARGE = 1 << 20  # bytes from which on a thread of its own reads a file
_BLOCK = 1 << 22
_AHEAD = 64  # how many files are read ahead of the one that is waited for
_NAME = re.compile(r"[\w.-]+").fullmatch
_T = TypeVar("_T")


class TakenFile(NamedTuple):
    """A file that has become a datastore's."""

    stored: StoredFile
    is_new: bool
    """Whether it was made for the datastore, and so goes if it is not registered."""


class _Source(NamedTuple):
    """A file of this machine to ingest."""

    path: str
    inside: str
    """Its path below a root, where it is to stay there; empty otherwise."""
    stays: bool
    """Whether it is left where it is."""


class FileIntake(FileLocations):
    """Takes files that exist; `Datastore` inherits it."""

    _locations: str
    formatter: Callable[[str], Formatter]
    _remove_names: Callable[[Sequence[str]], None]
    _named: Callable[["DatasetRef", str, Callable[[Store, str], _T]], tuple[str, _T]]
    _write: Callable[[Store, str, Callable[[HashingFile], None], FolderFlushes | None], tuple[int, str]]

    def check_transfer(self, path: "Path | str", transfer: str) -> None:
        """Refuse a way to ingest a file that there is not.

        Raises
        ------
        ValueError
            If `transfer` is no known mode, or not one for a URI.
        """
        if transfer not in TRANSFER_MODES:
            raise ValueError(f"transfer={transfer!r} is not one of {', '.join(TRANSFER_MODES)}")
        if transfer in ("link", "move") and is_uri(path):
            raise ValueError(
                f"{path} cannot be ingested with transfer={transfer!r}: what a URI names is copied, or left where it "
                "is (direct)"
            )

    def formatter_name(self, given: str | None, storage_class: "StorageClass") -> str:
        """Return the name of the formatter that reads a file; what reads one of an unknown class is unknown, too.

        Parameters
        ----------
        given
            The name, where there is a choice.
        storage_class
            What the file's dataset is.

        Raises
        ------
        FileFormatError
            If there is no such formatter.
        StorageClassError
            If none is given, and none reads the storage class.
        """
        if given is None:
            return formatter_for(storage_class).name
        if storage_class.is_known:
            return self.formatter(given).name
        if not _NAME(given):
            raise FileFormatError(f"{given!r} is no name of a formatter")
        return given

    def ingest_files(
        self,
        files: Iterable[FileDataset],
        transfer: str,
        flushes: FolderFlushes,
        *,
        checksums: bool = True,
    ) -> Iterator[TakenFile]:
        """Take files that exist, each as the file of its first dataset, and yield them in order, as they are done.

        Parameters
        ----------
        files
            Files, with the datasets that each holds.
        transfer
            ``direct`` and ``in_place`` leave a file where it is (``in_place`` wants it below a root); ``copy`` does
            what it says; ``link`` makes a hard link, or a symbolic one to another file system; ``auto`` leaves a file
            below a root where it is, and hard-links any other or copies it. ``move`` is its caller's to do, who alone
            knows when the old file may go.
        flushes
            Is told of the folders whose new entries must be flushed to the disk before anything is registered.
        checksums
            Whether files that are not copied are read for their checksums.

        Raises
        ------
        FileNotFoundError
            If there is no such file. What has been yielded before stands, here and below.
        OSError
            If it is a folder or a device, or cannot be read.
        FileFormatError
            If there is no such formatter.
        ValueError
            If `transfer` is no known mode, or ``in_place`` is asked for a file outside the roots.
        """
        folders = [f"{root.store.local_path('')}" for root in self.roots if isinstance(root.store, LocalStore)]
        asked: deque[tuple[FileDataset, _Source | None]] = deque()

        def sources() -> Iterator[_Source | None]:
            for file in files:
                self.check_transfer(file.path, transfer)
                asked.append((file, self._source(file.path, folders, transfer)))
                yield asked[-1][1]

        for measured in _measured(sources(), checksums and transfer != "copy"):
            file, source = asked.popleft()
            ref = file.refs[0]
            storage_class = ref.dataset_type.storage_class
            reader = self.formatter_name(file.formatter, storage_class)
            if source is None or measured is None:
                kept, is_new, size, checksum = self._take_uri(str(file.path), ref, transfer)
            elif source.stays:
                kept, is_new, (size, checksum) = source.inside or source.path, False, measured
                if checksum is None and source.inside and self._leads_out(source.inside):
                    size, checksum = _read_whole(source.path)
            else:
                kept, (size, checksum) = self._take(source.path, ref, transfer, measured, flushes)
                is_new = True
            try:
                taken = TakenFile(StoredFile(kept, reader, storage_class.name, size, checksum), is_new)
            except BaseException:  # Ctrl-C: nobody else knows of the file yet
                if is_new:
                    self._remove_names([kept])
                raise
            yield taken

    def _source(self, path: "Path | str", folders: list[str], transfer: str) -> _Source | None:
        """Return what a file of this machine is; None of one that is elsewhere."""
        name = os.fspath(path)
        if is_uri(name):
            if not name.startswith("file://"):
                return None
            name = split_uri(name)[1]
        if not os.path.isabs(name):  # noqa: PTH117 - strings, not Path objects: a hundred thousand files at once
            name = os.path.abspath(name)  # noqa: PTH100
        elif "/." in name or "//" in name:  # what `..` means after a symbolic link, the file system knows
            folder, last = os.path.split(name)
            name = os.path.join(os.path.realpath(folder), last)  # noqa: PTH118
        if transfer == "direct":
            return _Source(name, "", True)
        if transfer in ("in_place", "auto"):
            for folder in folders:
                if name.startswith(folder):
                    return _Source(name, name[len(folder) :].replace(os.sep, "/"), True)
        if transfer == "in_place":
            raise ValueError(f"{name} cannot be ingested in place: it is not below {self._locations}")
        return _Source(name, "", False)

    def _take(
        self,
        source: str,
        ref: "DatasetRef",
        transfer: str,
        measured: tuple[int, str | None],
        flushes: FolderFlushes,
    ) -> tuple[str, tuple[int, str | None]]:
        """Link or copy a file of this machine; return the path that is kept, and its size and checksum."""

        def keep(store: Store, name: str) -> tuple[int, str | None]:
            if transfer != "copy" and isinstance(store, LocalStore):
                if store.link(name, source, symbolic=transfer == "link", flushes=flushes):
                    is_told = measured[1] is not None or not store.leads_out(name)
                    return measured if is_told else _read_whole(source)
            elif transfer == "link":
                raise ValueError(f"{source} cannot be linked into {store.location}; copy it")
            return self._write(store, name, copier(source), flushes)

        return self._named(ref, file_suffix(os.path.basename(source)), keep)  # noqa: PTH119

    def _take_uri(self, uri: str, ref: "DatasetRef", transfer: str) -> tuple[str, bool, int, str | None]:
        """Take a file that lies elsewhere; return the path or URI kept, whether it is new, size and checksum."""
        store, name = self.store_of(uri)
        size = store.size(name)
        if size is None:
            raise FileNotFoundError(f"there is no file {uri} to ingest")
        locations = (f"{root.store.location}/" for root in self.roots)
        inside = next((uri[len(location) :] for location in locations if uri.startswith(location)), None)
        if transfer == "direct":
            return uri, False, size, None
        if inside is not None and transfer in ("in_place", "auto"):
            return unquote(inside) if uri.startswith("http") else inside, False, size, None
        if transfer == "in_place":
            raise ValueError(f"{uri} cannot be ingested in place: it is not below {self._locations}")

        def copy(sink: HashingFile) -> None:
            for block in store.stream(name):
                sink.write(block)
            if sink.size != size:
                raise FileIntegrityError(f"{uri} gave {sink.size} bytes, but its server says that it has {size}")

        suffix = file_suffix(name.partition("?")[0])
        kept, (_, checksum) = self._named(ref, suffix, lambda target, as_: self._write(target, as_, copy, None))
        return kept, True, size, checksum


def _measured(sources: Iterable[_Source | None], hashed: bool) -> Iterator[tuple[int, str | None] | None]:
    """Yield size and checksum of files, in order; large ones are read by threads, ahead of the one waited for."""
    waiting: deque[tuple[int, str | None] | Future[tuple[int, str | None]] | None] = deque()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for source in sources:
                waiting.append(None if source is None else _measure(source.path, hashed, pool))
                while waiting and (not isinstance(waiting[0], Future) or len(waiting) > _AHEAD):
                    yield _done(waiting.popleft())
            while waiting:
                yield _done(waiting.popleft())
        finally:
            for later in waiting:
                if isinstance(later, Future):
                    later.cancel()


def _done(measured: "tuple[int, str | None] | Future[tuple[int, str | None]] | None") -> tuple[int, str | None] | None:
    return measured.result() if isinstance(measured, Future) else measured


def _measure(
    path: str, hashed: bool, pool: ThreadPoolExecutor
) -> "tuple[int, str | None] | Future[tuple[int, str | None]]":
    """Return size and checksum of a file, or what will: it is looked at now, and read later where it is large."""
    try:
        if not hashed:
            found = os.stat(path)  # noqa: PTH116
            _check_plain(path, found.st_mode)
            return found.st_size, None
        # A pipe that nobody writes to would be waited for without O_NONBLOCK, which means nothing to a file.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            found = os.fstat(descriptor)
            _check_plain(path, found.st_mode)
            if found.st_size < _LARGE:
                return _hash(descriptor, found.st_size)
        finally:
            os.close(descriptor)
    except OSError as error:
        _tell(path, error)
    return pool.submit(partial(_read_whole, path))


def _read_whole(path: str) -> tuple[int, str | None]:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            return _hash(descriptor, _BLOCK)
        finally:
            os.close(descriptor)
    except OSError as error:
        _tell(path, error)


def _hash(descriptor: int, block: int) -> tuple[int, str | None]:
    sink = HashingFile(None)
    while data := os.read(descriptor, block or 1):
        sink.write(data)
    return sink.size, sink.checksum


def _check_plain(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "no regular file"
        raise OSError(f"{path} is {kind}; files are ingested")


def _tell(path: str, error: OSError) -> NoReturn:
    """Raise what keeps a file from being ingested, in words."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        raise FileNotFoundError(f"there is no file {path} to ingest") from error
    if error.errno is None:  # our own
        raise error
    raise type(error)(f"{path} cannot be read, and so not be ingested: {error.strerror}") from error
