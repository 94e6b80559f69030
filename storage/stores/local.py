"""Files in a folder of this machine: written beside their place, flushed, and given their name when they are whole."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from ...model.errors import StoreUnavailableError
from ..atomic import TEMPORARY_PREFIX, HashingFile, make_folder, remove_empty_folders, why_not_written, write_whole
from .store import Store

__all__ = ["LocalStore", "copier", "measure"]

_BLOCK = 1 << 22


class LocalStore(Store):
    """A folder.

    Parameters
    ----------
    folder
        The folder; it is made when the first file is written.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()
        self._root = str(self.folder)
        super().__init__(self.folder.as_uri())

    def local_path(self, name: str) -> str:
        """Return where a file lies; a name that is an absolute path leads to where it says."""
        return os.path.join(self._root, name)  # noqa: PTH118 - on the path of every get

    def uri(self, name: str) -> str:
        """Return a ``file://`` URI."""
        return Path(self.local_path(name)).as_uri()

    def size(self, name: str) -> int | None:
        """Return the length of a file; see `Store.size`."""
        try:
            return os.stat(self.local_path(name)).st_size  # noqa: PTH116 - a third of the time of Path.stat
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreUnavailableError(f"{self.local_path(name)} cannot be looked at: {error.strerror}") from error

    def stream(self, name: str, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield a file's bytes; see `Store.stream`."""
        with open(self.local_path(name), "rb", buffering=0) as stream:  # noqa: PTH123
            stream.seek(begin)
            left = _BLOCK if end is None else end - begin
            while left > 0 and (block := stream.read(min(_BLOCK, left))):
                yield block
                left -= 0 if end is None else len(block)

    def write(self, name: str, write: Callable[[HashingFile], None]) -> tuple[int, str]:
        """Write a file at its place; see `Store.write`."""
        path = f"{self._root}/{name}"
        try:
            return write_whole(path, write, replace=False)
        except OSError as error:
            _tell(error, path)

    def put(self, name: str, source: Path) -> None:
        """Copy a file; see `Store.put`."""
        self.write(name, copier(source))

    def take(self, name: str, source: Path, transfer: str) -> tuple[int, str]:
        """Bring a file to its place as `Datastore.ingest_file` says; return its size and checksum."""
        if transfer == "copy":
            return self.write(name, copier(source))
        measured = measure(source)
        target = Path(f"{self._root}/{name}")
        linked = source.resolve()  # a link to a symbolic link would lead from its new place to nowhere
        try:
            make_folder(str(target.parent))
            try:
                target.hardlink_to(linked)
            except FileExistsError:
                raise
            except OSError:  # another file system, or one without hard links
                if transfer == "link":
                    target.symlink_to(linked)
                else:
                    measured = write_whole(str(target), copier(source), replace=False)
        except OSError as error:
            _tell(error, str(target))
        if transfer == "move":
            source.unlink()
        return measured

    def remove(self, name: str) -> None:
        """Remove a file and the folders that it leaves empty; see `Store.remove`."""
        path = f"{self._root}/{name}"
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
        remove_empty_folders(os.path.dirname(path), self._root)  # noqa: PTH120

    def names(self, below: str = "") -> Iterator[str]:
        """Yield names; see `Store.names`. Files that are being written are none yet."""
        for folder, _, files in os.walk(self.folder / below):
            for file in files:
                if not file.startswith(TEMPORARY_PREFIX):
                    yield Path(folder, file).relative_to(self.folder).as_posix()


def _tell(error: OSError, path: str) -> NoReturn:
    """Raise what hindered writing a file, in words where it is the disk's or the folder's doing."""
    told = why_not_written(error, path)
    if told is error:
        raise error
    raise told from error


def copier(source: Path) -> Callable[[HashingFile], None]:
    """Return what copies a file into a sink, block by block."""

    def copy(sink: HashingFile) -> None:
        with source.open("rb", buffering=0) as stream:
            while block := stream.read(_BLOCK):
                sink.write(block)

    return copy


def measure(path: Path) -> tuple[int, str]:
    """Return the size and checksum of a file."""
    sink = HashingFile(None)
    copier(path)(sink)
    return sink.size, sink.checksum
