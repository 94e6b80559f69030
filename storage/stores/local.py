"""Files in a folder of this machine: written beside their place, flushed, and given their name when they are whole."""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ...model.errors import StoreUnavailableError
from ..atomic import (
    FolderFlushes,
    HashingFile,
    make_folder,
    remove_empty_folders,
    tell,
    write_whole,
)
from .store import ListedFile, Store

__all__ = ["LocalStore", "copier"]

_BLOCK = 1 << 22
_FOLDERS = 10_000  # of which it is remembered that they lie inside
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
        self._inside: set[str] = set()
        super().__init__(self.folder.as_uri())

    def local_path(self, name: str) -> str:
        """Return where a file lies; a name that is an absolute path leads to where it says."""
        return os.path.join(self._root, name)  # noqa: PTH118 - on the path of every get

    def has_inside(self, folder: str) -> bool:
        """Whether a folder, given by its path, is this one or below it, wherever symbolic links lead."""
        if folder in self._inside:
            return True
        if ".." in Path(folder).parts or not Path(folder).resolve().is_relative_to(self.folder.resolve()):
            return False
        if len(self._inside) >= _FOLDERS:
            self._inside.clear()
        self._inside.add(folder)
        return True

    def leads_out(self, name: str) -> bool:
        """Whether the way to a file, by a symbolic link, leads out of this folder."""
        path = self.local_path(name)
        if not self.has_inside(os.path.dirname(path)):  # noqa: PTH120
            return True
        return os.path.islink(path) and not self.has_inside(str(Path(path).resolve().parent))  # noqa: PTH114

    def uri(self, name: str) -> str:
        """Return a ``file://`` URI."""
        return Path(self.local_path(name)).as_uri()

    def size(self, name: str) -> int | None:
        """Return the length of a file; see `Store.size`."""
        try:
            found = os.stat(self.local_path(name))  # noqa: PTH116 - a third of the time of Path.stat
            return found.st_size if stat.S_ISREG(found.st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreUnavailableError(f"{self.local_path(name)} cannot be looked at: {error.strerror}") from error

    def stream(self, name: str, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield a file's bytes; see `Store.stream`."""
        if self.size(name) is None:  # a pipe would be waited for
            raise FileNotFoundError(f"there is no file {self.local_path(name)}")
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
            remove_empty_folders(os.path.dirname(path), self._root)  # noqa: PTH120
            tell(error, path)

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
        flushes.add(folder)
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
                tell(error, target)
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove a file and the folders that it leaves empty; see `Store.remove`."""
        self.remove_many([name])

    def remove_many(self, names: Iterable[str]) -> None:
        """Remove files, all that can be, and then the folders that they leave empty: each is looked at once."""
        failed: OSError | None = None
        folders: dict[str, None] = {}
        for name in names:
            path = f"{self._root}/{name}"
            folders[os.path.dirname(path)] = None  # noqa: PTH120
            try:
                os.unlink(path)  # noqa: PTH108
            except FileNotFoundError:
                pass
            except OSError as error:
                failed = failed or error
        for folder in folders:
            remove_empty_folders(folder, self._root)
        if failed is not None:
            raise failed

    def listing(self, below: str = "") -> Iterator[ListedFile]:
        """Yield files; see `Store.listing`."""
        waiting = [os.path.join(self._root, below)]  # noqa: PTH118
        while waiting:
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # removed meanwhile, or a link to nowhere
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        elif entry.is_file():
                            found, name = entry.stat(), entry.path[len(self._root) :].lstrip(os.sep)
                            yield ListedFile(name.replace(os.sep, "/"), found.st_size, found.st_mtime)

    def empty_folders(self) -> Iterator[tuple[str, float]]:
        """Yield the names of folders with nothing in them, and when each came to be so, seconds since 1970 (UTC)."""
        for folder, folders, files in os.walk(self._root):
            if not folders and not files and folder != self._root:
                with suppress(FileNotFoundError):
                    changed = os.stat(folder).st_mtime  # noqa: PTH116
                    yield Path(folder).relative_to(self.folder).as_posix(), changed

    def remove_folder(self, name: str) -> None:
        """Remove a folder and those above it, as far as they are empty."""
        remove_empty_folders(self.local_path(name), self._root)


def _link(source: str, target: str, symbolic: bool) -> None:
    try:
        try:
            os.link(source, target)
        except OSError as error:
            if not symbolic or error.errno not in _NO_LINKS:
                raise
            os.symlink(source, target)  # noqa: PTH211
    except KeyboardInterrupt:  # comes once the link is there: it is ours, and nobody knows of it yet
        os.unlink(target)  # noqa: PTH108
        raise


def copier(source: Path | str) -> Callable[[HashingFile], None]:
    """Return what copies a file into a sink, block by block."""

    def copy(sink: HashingFile) -> None:
        with open(source, "rb", buffering=0) as stream:  # noqa: PTH123
            while block := stream.read(_BLOCK):
                sink.write(block)

    return copy
