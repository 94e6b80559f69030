"""What a store is: a place that keeps files under names, and never half a file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ...model.errors import ReadOnlyError
from ..atomic import TEMPORARY_PREFIX, HashingFile, spooled

__all__ = ["ListedFile", "ReadableStore", "Store"]


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file as a store lists it."""

    name: str
    """Its name."""
    size: int
    """Bytes."""
    modified: float
    """When it was written, seconds since 1970 (UTC)."""

    @property
    def is_temporary(self) -> bool:
        """Whether it is not whole: being written, or left by a writer that was killed."""
        return self.name.rpartition("/")[2].startswith(TEMPORARY_PREFIX)


class Store(ABC):
    """Files by name. A name is a relative POSIX path, such as ``u/me/calexp/Cam/calexp_Cam_7-5f3a9c01b2d4.fits``.

    A store holds whole files only: what `put` or `write` could not bring to its end is not there. It replaces none:
    a name that is taken is refused. One object serves many threads.

    Whoever makes a store of their own runs `skybutler.testing.store_conformance` on it.

    Parameters
    ----------
    location
        Where it is, as a URI without a slash at its end; names follow after one.

    Notes
    -----
    Methods raise `FileNotFoundError` and `FileExistsError` of a name, `ReadOnlyError` where nothing may be changed,
    and `StoreUnavailableError` for all that is the store's or the network's trouble.
    """

    def __init__(self, location: str) -> None:
        self.location = location

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.location!r})"

    @property
    def writeable(self) -> bool:
        """Whether files can be put into it and removed."""
        return True

    @property
    def listable(self) -> bool:
        """Whether it can tell what names it holds."""
        return True

    def local_path(self, name: str) -> str | None:
        """Return where on this machine's disk a file lies, or would; None for a store that is elsewhere."""
        return None

    def uri(self, name: str) -> str:
        """Return what names a file to any program."""
        return f"{self.location}/{name}"

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Return the length of a file in bytes; None where there is none."""

    @abstractmethod
    def stream(self, name: str, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield a file's bytes in order, piece by piece: from `begin` on, and up to `end`, or to the file's end.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """

    @abstractmethod
    def put(self, name: str, source: Path) -> None:
        """Keep a copy of a file that lies on this machine.

        Raises
        ------
        FileExistsError
            If the name is taken, also if another takes it at the same moment; what is there stays.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; that there is none is no error, so that what was cut off can be done again."""

    @abstractmethod
    def listing(self, below: str = "") -> Iterator[ListedFile]:
        """Yield all files, or those whose names begin with ``below/``, in any order: those too that are not whole."""

    def names(self, below: str = "") -> Iterator[str]:
        """Yield the names of all whole files, or of those whose names begin with ``below/``, in any order."""
        return (file.name for file in self.listing(below) if not file.is_temporary)

    def write(self, name: str, write: Callable[[HashingFile], None]) -> tuple[int, str]:
        """Keep what a function writes.

        Returns
        -------
        size, checksum : `int`, `str`
            Of the file: bytes, and checksum.

        Raises
        ------
        FileExistsError
            As `put`.
        """
        with spooled(write) as (path, size, checksum):
            self.put(name, path)
        return size, checksum

    def remove_many(self, names: Iterable[str]) -> None:
        """Remove files, all that can be, by as many calls of `remove` where a store knows nothing quicker."""
        failed: OSError | None = None
        for name in names:
            try:
                self.remove(name)
            except OSError as error:
                failed = failed or error
        if failed is not None:
            raise failed


class ReadableStore(Store):
    """A store whose files come about elsewhere; nothing is put into it."""

    @property
    def writeable(self) -> bool:
        """It is not."""
        return False

    @property
    def listable(self) -> bool:
        """It is not."""
        return False

    def put(self, name: str, source: Path) -> None:
        """Refuse."""
        self._refuse(f"{source} cannot be put there")

    def remove(self, name: str) -> None:
        """Refuse."""
        self._refuse(f"{name} cannot be removed")

    def listing(self, below: str = "") -> Iterator[ListedFile]:
        """Refuse."""
        self._refuse("its files cannot be listed")

    def _refuse(self, what: str) -> NoReturn:
        raise ReadOnlyError(f"{what}: files of {self.location} are only read.")
