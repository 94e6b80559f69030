"""Files that are whole or absent: written beside their place, flushed to the disk, then renamed into it."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Any, NoReturn

from xxhash import xxh3_128

from ..model.blocks import block
from ..model.errors import FileIntegrityError, ReadOnlyError, StoreUnavailableError

__all__ = [
    "TEMPORARY_PREFIX",
    "FolderFlushes",
    "HashingFile",
    "make_folder",
    "place",
    "remove_empty_folders",
    "spooled",
    "tell",
    "write_whole",
]

TEMPORARY_PREFIX = ".skybutler-"
"""How the name of a file begins that is not whole yet; followed by the writer's process id and a random number."""

_DIGEST_SIZE = 16
_PIECE = 1 << 18
"""Bytes given to the system at once: of more, Linux makes pages so large that it waits for memory, and flushing them
takes twice as long (6.18, ext4)."""
_ATTEMPTS = 100  # to make a folder that others, who find it still empty, remove again


class HashingFile:
    """A file being written from start to end, which knows its size and checksum at once.

    Parameters
    ----------
    descriptor
        An open file descriptor; with None, the bytes are only counted and hashed.
    hashed
        Whether the checksum is wanted.

    Attributes
    ----------
    size : `int`
        Bytes written so far.
    """

    closed = False  # pyarrow asks before each write

    def __init__(self, descriptor: int | None, *, hashed: bool = True) -> None:
        self._descriptor = descriptor
        self._hashed = hashed
        self._kind = "xxh3"
        self._hash: Any = xxh3_128()
        self.size = 0

    @property
    def checksum(self) -> str:
        """``xxh3:`` and the digest (16 bytes, hexadecimal) of all bytes written so far; empty if unwanted."""
        return f"{self._kind}:{self._hash.hexdigest()}" if self._hashed else ""

    def hash_as(self, checksum: str) -> None:
        """Take the checksum as another one was taken (``blake2b:`` has been usual, too), before anything is written.

        Raises
        ------
        FileIntegrityError
            If it is of no known kind.
        """
        self._kind = checksum.partition(":")[0]
        if self._kind not in ("xxh3", "blake2b"):
            raise FileIntegrityError(f"the checksum {checksum} is of no kind that SkyButler knows: xxh3 and blake2b.")
        self._hash = xxh3_128() if self._kind == "xxh3" else blake2b(digest_size=_DIGEST_SIZE)

    def write(self, data: Any, /) -> int:
        """Write all of a bytes-like object."""
        view = memoryview(data)
        if view.format != "B" or view.ndim != 1:
            view = view.cast("B")
        if self._hashed:
            self._hash.update(view)
        self._put(view)
        self.size += len(view)
        return len(view)

    def _put(self, view: memoryview) -> None:
        if self._descriptor is None:
            return
        written = 0
        while written < len(view):
            written += os.write(self._descriptor, view[written : written + _PIECE])

    def tell(self) -> int:
        """Return the number of bytes written so far."""
        return self.size

    def flush(self) -> None:
        """Do nothing: what is written has left this process already."""

    def close(self) -> None:
        """Do nothing: who opened the file closes it."""

    def readable(self) -> bool:
        """Tell that nothing can be read from it."""
        return False

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def seekable(self) -> bool:
        """Tell that it goes only forward."""
        return False


class FolderFlushes:
    """Folders that have new files in them, whose entries are flushed to the disk once for all of these.

    A file that is to be registered must wait for it: its bytes are on the disk, and its name may not be.
    """

    def __init__(self) -> None:
        self._folders: dict[str, None] = {}

    def add(self, folder: str) -> None:
        """Note a folder."""
        self._folders[folder] = None

    def flush(self) -> None:
        """Flush the folders that have been noted."""
        while self._folders:
            folder = self._folders.popitem()[0]
            try:
                _flush_folder(folder)
            except OSError as error:
                tell(error, folder)


def write_whole(
    path: str,
    write: Callable[[HashingFile], None],
    *,
    replace: bool = True,
    durable: bool = True,
    flushes: FolderFlushes | None = None,
) -> tuple[int, str]:
    """Make a file that appears under its name only when all of it is on the disk.

    Parameters
    ----------
    path
        Where the file shall lie; folders are made as needed.
    write
        What writes its content; whatever it raises removes all that it has written.
    replace
        Whether it takes the place of a file that is there already, or of one that comes to be there meanwhile.
    durable
        Whether it is to outlast a power cut the moment after, as what a repository promises is, and its checksum is
        wanted; else it is whole or absent to all programs, and the system brings it to the disk in its own time.
    flushes
        Takes it upon itself to flush the folder of a durable file; done at once where left out.

    Returns
    -------
    size, checksum : `int`, `str`
        Of the file's content: bytes, and digest (empty unless durable).

    Raises
    ------
    FileExistsError
        If there is such a file, and it is not to be replaced.
    """
    folder = os.path.dirname(path)  # noqa: PTH120 - this is the path of every put: strings, not Path objects
    mine = None
    temporary, descriptor = _open_beside(folder)
    try:
        try:
            sink = HashingFile(descriptor, hashed=durable)
            write(sink)
            if durable:
                os.fsync(descriptor)
            mine = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if replace:
            os.replace(temporary, path)  # noqa: PTH105
        else:
            _rename_new(temporary, path)
        if durable:
            _flush_folder(folder) if flushes is None else flushes.add(folder)
        return sink.size, sink.checksum
    except BaseException:  # Ctrl-C too, and once the file has its name
        with suppress(FileNotFoundError):
            if mine is not None and not replace and os.path.samestat(mine, os.lstat(path)):
                os.unlink(path)  # noqa: PTH108
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def place(source: Path, path: str) -> None:
    """Give a file of the same file system its name, whatever is there, once it is flushed to the disk.

    Raises
    ------
    OSError
        If it lies on another file system.
    """
    folder = os.path.dirname(path)  # noqa: PTH120
    make_folder(folder)
    with source.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(source, path)  # noqa: PTH105
    _flush_folder(folder)


@block
def spooled(write: Callable[[HashingFile], None], folder: Path | None = None) -> Iterator[tuple[Path, int, str]]:
    """Write a temporary file, from which bytes go elsewhere; it is gone afterwards unless it has been moved.

    Parameters
    ----------
    write
        What writes its content.
    folder
        Where it lies; the system's folder for temporary files where left out.

    Yields
    ------
    path, size, checksum : `~pathlib.Path`, `int`, `str`
        The file, its length in bytes and its checksum.

    Raises
    ------
    StoreUnavailableError, ReadOnlyError
        If there is no room for it there, or nothing may be written.
    """
    temporary, descriptor = _open_beside(str(folder or tempfile.gettempdir()))
    try:
        try:
            sink = HashingFile(descriptor)
            write(sink)
        except OSError as error:
            tell(error, temporary)
        finally:
            os.close(descriptor)
        yield Path(temporary), sink.size, sink.checksum
    finally:
        try:  # noqa: SIM105 - Ctrl-C may come before what a function of Python's does
            os.unlink(temporary)  # noqa: PTH108
        except FileNotFoundError:
            pass


def tell(error: OSError, path: str) -> NoReturn:
    """Raise what hindered writing a file, in our words where it is the disk's or the folder's doing."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise StoreUnavailableError(
            f"{path} cannot be written: {error.strerror}. Nothing of it was kept; make room, and do it again."
        ) from error
    if error.errno == errno.EIO:
        raise StoreUnavailableError(
            f"{path} cannot be written: {error.strerror}. Nothing of it was kept; look after its disk, and do it again."
        ) from error
    if error.errno == errno.ENOTDIR:
        raise StoreUnavailableError(
            f"{path} cannot be written: a file lies where one of its folders should. Nothing of it was kept; another "
            "RUN's name leads elsewhere."
        ) from error
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and not isinstance(error, ReadOnlyError):
        raise ReadOnlyError(
            f"{path} cannot be written: {error.strerror}. Its folder's owner can allow it, or files can be kept "
            "elsewhere (datastore in skybutler.yaml)."
        ) from error
    raise error


def _rename_new(temporary: str, path: str) -> None:
    """Give a file a name that no file has; two who want the same name are not both served."""
    try:
        os.link(temporary, path)  # unlike a rename, refuses a name that is taken
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "there is a file already", path) from None
        os.replace(temporary, path)  # noqa: PTH105
    else:
        os.unlink(temporary)  # noqa: PTH108


def _open_beside(folder: str) -> tuple[str, int]:
    """Open a new hidden file in a folder; return its path and descriptor."""
    temporary = f"{folder}/{TEMPORARY_PREFIX}{os.getpid()}-{token_hex(6)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    for _ in range(_ATTEMPTS):
        try:
            return temporary, os.open(temporary, flags, 0o666)
        except FileNotFoundError:
            make_folder(folder)
        except KeyboardInterrupt:  # once it is made: its name is known only here
            with suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108
            raise
    return temporary, os.open(temporary, flags, 0o666)


def make_folder(path: str) -> None:
    """Make a folder and those above it, and flush the entry of each new one to the disk.

    Raises
    ------
    FileNotFoundError
        If one above it is a symbolic link to nowhere.
    """
    above = os.path.dirname(path)  # noqa: PTH120
    for _ in range(_ATTEMPTS):
        try:
            os.mkdir(path)  # noqa: PTH102
        except FileExistsError:
            return
        except FileNotFoundError:
            make_folder(above)
        else:
            with suppress(FileNotFoundError):
                _flush_folder(above)
            return
    raise FileNotFoundError(f"the folder {path} cannot be made: {above} leads nowhere")


def remove_empty_folders(folder: str, root: str) -> None:
    """Remove a folder and those above it, below `root`, as far as they are empty."""
    while len(folder) > len(root) and folder.startswith(root):
        try:
            os.rmdir(folder)  # noqa: PTH106
        except FileNotFoundError:
            pass
        except OSError:  # not empty, or not ours to remove
            return
        folder = os.path.dirname(folder)  # noqa: PTH120


def _flush_folder(folder: str) -> None:
    """Flush a folder's entries to the disk, where the system can."""
    try:
        descriptor = os.open(folder or ".", os.O_RDONLY)
    except (PermissionError, IsADirectoryError):  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
