"""Files in this process's memory: for tests, and for what need not outlive a notebook."""

import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

from .store import ListedFile, Store

__all__ = ["MemoryStore"]


class MemoryStore(Store):
    """Bytes by name, gone with the object."""

    def __init__(self) -> None:
        super().__init__(f"memory://{token_hex(4)}")
        self._files: dict[str, memoryview] = {}
        self._times: dict[str, float] = {}

    def size(self, name: str) -> int | None:
        """Return the length of a file; see `Store.size`."""
        data = self._files.get(name)
        return None if data is None else len(data)

    def stream(self, name: str, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield a file's bytes; see `Store.stream`."""
        try:
            data = self._files[name]
        except KeyError:
            raise FileNotFoundError(f"there is no {self.uri(name)}") from None
        yield bytes(data[begin:end])

    def put(self, name: str, source: Path) -> None:
        """Copy a file; see `Store.put`."""
        data = memoryview(source.read_bytes())
        if self._files.setdefault(name, data) is not data:  # one step: no other thread comes between
            raise FileExistsError(f"there is a {self.uri(name)} already")
        self._times[name] = time.time()

    def remove(self, name: str) -> None:
        """Remove a file; see `Store.remove`."""
        self._times.pop(name, None)
        self._files.pop(name, None)

    def listing(self, below: str = "") -> Iterator[ListedFile]:
        """Yield files; see `Store.listing`."""
        begin, times = f"{below}/" if below else "", self._times
        listed = [(name, len(data)) for name, data in list(self._files.items()) if name.startswith(begin)]
        return (ListedFile(name, size, times.get(name, time.time())) for name, size in listed)
