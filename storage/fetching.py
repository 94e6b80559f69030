"""Files that are not on this machine: read by way of a copy in the cache, in parts, or as they stream by."""

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..model.blocks import block
from ..model.datasets import StoredFile
from ..model.errors import FileFormatError, FileIntegrityError, SkyButlerError
from .atomic import HashingFile, spooled
from .formatters import Formatter
from .locations import FileLocations
from .paths import file_suffix
from .stores import is_uri
from .stores.root import Root

if TYPE_CHECKING:
    from ..model.storage_class import StorageClass
    from .stores.cache import FileCache

__all__ = ["NO_COPY", "FileFetching"]

_WHOLE = 1 << 20  # bytes up to which a file far away is fetched whole, rather than read in parts

NO_COPY = "no copy is kept in %s: %s"

_log = logging.getLogger(__name__)


class FileFetching(FileLocations):
    """Reads files from wherever they are; `Datastore` inherits it.

    Parameters
    ----------
    roots
        Where they lie; see `FileLocations`.
    cache
        Keeps copies of what is not on this machine.
    """

    def __init__(self, roots: tuple[Root, ...], cache: "FileCache | None") -> None:
        super().__init__(roots)
        self.cache = cache

    def _read_far(
        self,
        stored: StoredFile,
        reader: Formatter,
        storage_class: "StorageClass",
        component: str | None,
        parameters: Mapping[str, Any],
    ) -> Any:
        """Read a file that is not on this machine; parameters and errors are those of `read`."""
        with self._brought(stored, reader, component is not None or bool(parameters)) as source:
            try:
                return reader.read(source, storage_class, component, parameters)
            except FileFormatError as error:  # names a copy; the reader knows the file itself
                raise FileFormatError(str(error).replace(str(source), self.uri(stored))) from error

    def _renewed(self, stored: StoredFile, error: FileFormatError) -> bool:
        """Whether a file that could not be read has a copy in the cache, which is as it should be by now."""
        suffix, key = file_suffix(stored.path), self._key(stored.path, stored.size, stored.checksum)
        if self.cache is None or not self.cache.holds(key, suffix):
            return False
        try:
            self.cache.renew(key, suffix, stored.checksum, partial(self._fetch, stored))
        except OSError as trouble:
            if isinstance(trouble, SkyButlerError):
                raise
            _log.warning(NO_COPY, self.cache.folder, trouble)
            raise error from trouble
        return True

    @block
    def _brought(self, stored: StoredFile, reader: Formatter, part: bool) -> Iterator[Any]:
        """Give a formatter a file that is not on this machine: a copy, or, of a part, what reads that alone."""
        suffix, key = file_suffix(stored.path), self._key(stored.path, stored.size, stored.checksum)
        cache = self.cache if self.cache is not None and stored.size <= self.cache.size else None
        if part and reader.reads_ranges and stored.size > _WHOLE and not (cache and cache.holds(key, suffix)):
            yield self._remote(stored)
            return
        fill, is_there = partial(self._fetch, stored), False
        if cache is not None:
            try:
                with cache.opened(key, suffix, stored.size, fill) as path:
                    is_there = True
                    yield path
                    return
            except OSError as error:
                if is_there or isinstance(error, SkyButlerError):
                    raise
                _log.warning(NO_COPY, cache.folder, error)  # full, or not ours to write to: one can read without
        with spooled(fill) as (path, _, _):
            yield path

    def _remote(self, stored: StoredFile) -> Any:
        """Return what reads a file where it lies."""
        from .stores.ranges import RemoteFile

        for store, name in self._places(stored):
            size = store.size(name)
            if size == stored.size:
                return RemoteFile(store, name, size)
            if size is not None:
                raise FileIntegrityError(
                    f"the file {store.uri(name)} has {size} bytes, but {stored.size} were recorded for it"
                )
        raise FileIntegrityError(self._gone(stored))

    def _fetch(self, stored: StoredFile, sink: HashingFile) -> None:
        """Read a whole file, and compare it with what is recorded; FileIntegrityError where it differs."""
        for _ in self._through(stored, sink):
            pass

    def _through(self, stored: StoredFile, sink: HashingFile) -> Iterator[bytes]:
        """Yield a whole file, piece by piece, each once a sink has it; errors are those of `_fetch`."""
        for store, name in self._places(stored):
            where = store.local_path(name) or store.uri(name)
            self._check_links(stored)
            if store.local_path(name) is not None and len(self.roots) > 1 and store.size(name) != stored.size:
                continue
            try:
                if stored.checksum and not sink.size:
                    sink.hash_as(stored.checksum)
                for block in store.stream(name):
                    sink.write(block)
                    yield block
            except FileNotFoundError:
                continue
            if sink.size != stored.size:
                raise FileIntegrityError(
                    f"the file {where} has {sink.size} bytes, but {stored.size} were recorded for it"
                )
            if stored.checksum and sink.checksum != stored.checksum:
                raise FileIntegrityError(
                    f"the file {where} has the checksum {sink.checksum}, but {stored.checksum} was recorded for it"
                )
            return
        raise FileIntegrityError(self._gone(stored))

    def _key(self, path: str, size: int, checksum: str | None) -> str:
        """Return what tells the content of a file from that of any other, in this repository or another one."""
        return f"{path if is_uri(path) else f'{self._locations}/{path}'} {size} {checksum}"
