"""A folder of copies of files that lie far away, bounded in size and age, for any number of processes at once.

A copy appears under its name only when it is whole and has been compared with what is recorded of it. Who reads one
holds a lock on it, which the system lets go with the process, however that ends; only what nobody reads is evicted.
What was used last goes last: the time of change of a copy is that of its last use.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from ...model.blocks import block
from ..atomic import TEMPORARY_PREFIX, HashingFile, place, spooled, write_whole

try:
    import fcntl
except ImportError:  # Windows, which removes no file that is open
    fcntl = None  # type: ignore[assignment]

__all__ = ["FileCache"]

_ATTEMPTS = 10  # to keep a copy that others evict as soon as it is there
_SLACK = 16  # part of the size, or of the age, after which the folder is looked through again
_BLOCK = 1 << 20
_ABANDONED = 86400.0  # seconds after which what is not whole is nobody's any more


@dataclass(frozen=True, slots=True)
class _Copy:
    used: float
    size: int
    path: str


class FileCache:
    """Copies of files in a folder.

    Parameters
    ----------
    folder
        The folder; made when it is first needed. It is one's own, or that of people who trust each other.
    size
        Bytes that the copies take at most; each process may go beyond it by a sixteenth before it tidies up.
    age
        Seconds after its last use for which a copy is kept, give or take a sixteenth; for ever where left out.
    """

    def __init__(self, folder: Path | str, size: int, age: float | None = None) -> None:
        self.folder = Path(folder).absolute()
        self.size = size
        self.age = age
        self._added, self._tidied = size, 0.0  # so that the first file makes this process look what is there

    def __repr__(self) -> str:
        return f"FileCache({str(self.folder)!r}, size={self.size}, age={self.age})"

    @block
    def opened(self, key: str, suffix: str, size: int, fill: Callable[[HashingFile], None]) -> Iterator[Path]:
        """Give a copy of a file, fetched if need be by one process while others who want it wait.

        Parameters
        ----------
        key
            What tells one content from every other.
        suffix
            How the copy's name ends.
        size
            Its length in bytes, at most `size` of the cache.
        fill
            What writes its content, and raises where that is not what it should be.

        Yields
        ------
        path : `~pathlib.Path`
            The copy, which stays there during the block.
        """
        path = self._path(key, suffix)
        leases: list[int] = []
        try:
            _lease(path, size, leases)
            for _ in range(_ATTEMPTS):
                if leases:
                    break
                with self._fetching(key):
                    _lease(path, size, leases)
                    if not leases:
                        self._make_room(size)
                        write_whole(str(path), fill)
                        _lease(path, size, leases)
            if not leases:
                raise FileNotFoundError(f"{path} vanishes as soon as it is there; is the cache's size enough?")
            yield path
        finally:
            for lease in leases:
                os.close(lease)

    def renew(self, key: str, suffix: str, checksum: str | None, fill: Callable[[HashingFile], None]) -> None:
        """Fetch a copy anew, unless it has the checksum that is recorded of its content; parameters as of `opened`.

        Who reads the old one meanwhile finds either under its name, never none.
        """
        path = self._path(key, suffix)
        with self._fetching(key):
            if checksum is None or _checksum(path, checksum) != checksum:
                write_whole(str(path), fill)

    def holds(self, key: str, suffix: str) -> bool:
        """Whether there is a copy just now."""
        return self._path(key, suffix).exists()

    def spooled(self, write: Callable[[HashingFile], None]) -> AbstractContextManager[tuple[Path, int, str]]:
        """Write a temporary file that `adopt` may take; see `atomic.spooled`."""
        return spooled(write, self.folder / "00")

    def adopt(self, key: str, suffix: str, source: Path) -> None:
        """Make a file that `spooled` has written a copy, so that it need not be fetched."""
        self._make_room(source.stat().st_size)
        place(source, str(self._path(key, suffix)))

    def _path(self, key: str, suffix: str) -> Path:
        name = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}{suffix}"

    @block
    def _fetching(self, key: str) -> Iterator[None]:
        """Keep others from fetching the same file meanwhile (and a 256th of all others)."""
        locks = self.folder / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        slot = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=1).hexdigest()
        with (locks / slot).open("a") as stream:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _make_room(self, size: int) -> None:
        """Evict what is too old, and what was used longest ago, until a file of that size fits."""
        self._added += size
        now = time.time()
        ageing = self.age is not None and now - self._tidied > self.age / _SLACK
        if self._added < self.size // _SLACK and not ageing:
            return
        copies = sorted(self._copies(now), key=lambda copy: copy.used)
        total = sum(copy.size for copy in copies) + size
        for copy in copies:
            too_old = self.age is not None and now - copy.used > self.age
            if (too_old or total > self.size) and _evict(copy.path):
                total -= copy.size
        self._added, self._tidied = 0, now

    def _copies(self, now: float) -> Iterator[_Copy]:
        """Yield all copies; remove what processes that were killed have begun."""
        for folder in [entry.path for entry in os.scandir(self.folder) if len(entry.name) == 2]:
            with suppress(FileNotFoundError), closing(os.scandir(folder)) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        found = entry.stat()
                        if not entry.name.startswith(TEMPORARY_PREFIX):
                            yield _Copy(found.st_mtime, found.st_size, entry.path)
                        elif now - found.st_mtime > _ABANDONED:
                            os.unlink(entry.path)  # noqa: PTH108


def _checksum(path: Path, kind: str) -> str:
    """Return the checksum of a copy, taken as another one was; empty where there is no copy."""
    sink = HashingFile(None)
    sink.hash_as(kind)
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                sink.write(block)
    except FileNotFoundError:  # evicted
        return ""
    return sink.checksum


def _lease(path: Path, size: int, leases: list[int]) -> None:
    """Open and lock a copy, so that nobody evicts it before it is closed, unless there is none, or no whole one.

    Its descriptor is added to those that are closed whatever happens: Ctrl-C may come before it could be returned.
    """
    try:
        leases.append(os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)))
        if fcntl is not None:
            fcntl.flock(leases[-1], fcntl.LOCK_SH)
        found = os.fstat(leases[-1])
        if found.st_nlink and found.st_size == size:
            os.utime(path)
            return
    except FileNotFoundError:  # there is none, or it was evicted between two lines
        pass
    if leases:
        os.close(leases.pop())


def _evict(path: str) -> bool:
    """Remove a copy that nobody reads; return whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:  # else another was quicker, and what lies there now is a new copy
            os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        return True
    except OSError:  # somebody reads it
        return False
    finally:
        os.close(descriptor)
    return True
