"""A file that lies far away, read in parts: what a formatter that seeks for itself takes instead of a path."""

import errno
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from .store import Store

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["RemoteFile"]

_AHEAD = 1 << 18
"""Bytes that are fetched at least: a request costs more time than they do."""


class RemoteFile:
    """A file in a store, opened as a path is.

    Parameters
    ----------
    store, name
        The store, and the file's name in it.
    size
        Its length in bytes.
    """

    def __init__(self, store: Store, name: str, size: int) -> None:
        self._store, self._name = store, name
        self.size = size

    def __str__(self) -> str:
        return self._store.uri(self._name)

    def open(self, mode: Literal["rb"] = "rb", buffering: int = 0) -> io.BufferedReader:
        """Open it for reading, as a path is; a request fetches at least `buffering` bytes."""
        return io.BufferedReader(_Ranges(self._store, self._name, self.size), buffering or _AHEAD)

    def stream(self, begin: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a part; see `Store.stream`."""
        return self._store.stream(self._name, begin, end)


class _Ranges(io.RawIOBase):
    """Bytes of a file in a store, by position."""

    def __init__(self, store: Store, name: str, size: int) -> None:
        self._store, self._name, self._size = store, name, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset + (0, self._at, self._size)[whence]
        if place < 0:
            raise OSError(errno.EINVAL, f"there is no place {place} in a file")
        self._at = place
        return self._at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        begin = self._at
        for block in self._store.stream(self._name, begin, min(begin + len(view), self._size)):
            done = self._at - begin
            view[done : done + len(block)] = block
            self._at += len(block)
        return self._at - begin
