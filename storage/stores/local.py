"""Files in a folder of this machine: written beside their place, flushed, and given their name when they are whole."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from ...model.errors import StoreUnavailableError
from ..atomic import (
    TEMPORARY_PREFIX,
    FolderFlushes,
    HashingFile,
    make_folder,
    remove_empty_folders,
    why_not_written,
    write_whole,
)
from .store import Store

__all__ = ["LocalStore", "copier"]

_BLOCK = 1 << 22
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES)
"""Why a file gets no hard link: it is on another file system, or on one without, or another user's (Linux asks)."""


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

    def write(
        self, name: str, write: Callable[[HashingFile], None], flushes: FolderFlushes | None = None
    ) -> tuple[int, str]:
        """Write a file at its place; see `Store.write`. Its folder is flushed by `flushes`, where that is given."""
        path = f"{self._root}/{name}"
        try:
            return write_whole(path, write, replace=False, flushes=flushes)
        except OSError as error:
            _tell(error, path)

    def put(self, name: str, source: Path) -> None:
        """Copy a file; see `Store.put`."""
        self.write(name, copier(source))

    def link(self, name: str, source: str, *, symbolic: bool = False, flushes: FolderFlushes) -> bool:
        """Give a file of this machine a name here, too; return whether that can be done.

        Parameters
        ----------
        name
            The name.
        source
            The file's path. What a symbolic link leads to gets the name.
        symbolic
            Whether a symbolic link will do where a hard one cannot be made, as to another file system.
        flushes
            Flushes the folder that it is in.

        Raises
        ------
        FileExistsError
            If the name is taken.
        FileNotFoundError
            If there is no such file.
        """
        target = f"{self._root}/{name}"
        folder = os.path.dirname(target)  # noqa: PTH120
        if os.path.islink(source):  # noqa: PTH114 - a link to a symbolic link would lead from its new place to nowhere
            source = os.path.realpath(source)
        try:
            try:
                _link(source, target, symbolic)
            except FileNotFoundError:
                os.stat(source)  # noqa: PTH116 - is it this, or the folder, that is not there?
                make_folder(folder)
                _link(source, target, symbolic)
        except FileExistsError:
            raise
        except FileNotFoundError as error:
            raise FileNotFoundError(f"there is no file {source} to ingest any more") from error
        except OSError as error:
            if symbolic or error.errno not in _NO_LINKS:
                _tell(error, target)
            return False
        flushes.add(folder)
        return True

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


def _link(source: str, target: str, symbolic: bool) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if not symbolic or error.errno not in _NO_LINKS:
            raise
        os.symlink(source, target)  # noqa: PTH211


def _tell(error: OSError, path: str) -> NoReturn:
    """Raise what hindered writing a file, in words where it is the disk's or the folder's doing."""
    told = why_not_written(error, path)
    if told is error:
        raise error
    raise told from error


def copier(source: Path | str) -> Callable[[HashingFile], None]:
    """Return what copies a file into a sink, block by block."""

    def copy(sink: HashingFile) -> None:
        with open(source, "rb", buffering=0) as stream:  # noqa: PTH123
            while block := stream.read(_BLOCK):
                sink.write(block)

    return copy
