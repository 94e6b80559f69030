"""What every store of files must do, as tests: subclass `StoreConformance` in a test module and give it your store.

::

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(tmp_path)

The tests of a store that is only read subclass `ReadOnlyConformance`, and their fixture is ``filled``.
"""
# ruff: noqa: S101 - tests assert

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pytest
from xxhash import xxh3_128_hexdigest

__all__ = ["FILES", "ReadConformance", "ReadOnlyConformance", "StoreConformance"]

FILES = {
    "u/me/numbers/Cam/numbers_Cam_7-5f3a9c01b2d4.json": b'{"a": 1}',
    "u/me/odd %2E+_-%/100%25.b c/ü~(1)'&=.fits": bytes(range(256)) * 9,
    "u/me/empty.txt": b"",
    "u/me/large.bin": os.urandom(1 << 20) * 3 + b"end",
}
"""Names and content that a store must cope with; ``filled`` of a `ReadConformance` holds these."""


class _Store(Protocol):
    """What is used here of `skybutler.storage.stores.Store`."""

    @property
    def writeable(self) -> bool: ...
    @property
    def listable(self) -> bool: ...
    def local_path(self, name: str) -> str | None: ...
    def uri(self, name: str) -> str: ...
    def size(self, name: str) -> int | None: ...
    def stream(self, name: str, begin: int = 0, end: int | None = None) -> Iterator[bytes]: ...
    def put(self, name: str, source: Path) -> None: ...
    def remove(self, name: str) -> None: ...
    def remove_many(self, names: Iterable[str]) -> None: ...
    def names(self, below: str = "") -> Iterator[str]: ...
    def write(self, name: str, write: Callable[[Any], None]) -> tuple[int, str]: ...


def _content(store: _Store, name: str, begin: int = 0, end: int | None = None) -> bytes:
    return b"".join(store.stream(name, begin, end))


class ReadConformance:
    """What holds of every store; the fixture ``filled`` gives one that holds `FILES`."""

    @pytest.fixture
    def filled(self) -> _Store:
        """Give a store that holds `FILES`."""
        raise NotImplementedError

    def test_files_are_read_whole_and_measured(self, filled: _Store) -> None:
        """Every byte comes back."""
        for name, data in FILES.items():
            assert filled.size(name) == len(data)
            assert _content(filled, name) == data

    def test_any_part_is_read_alone(self, filled: _Store) -> None:
        """Ranges are those of Python's slices from the start; beyond the end there is nothing."""
        name, data = list(FILES.items())[-1]
        for begin, end in ((0, 1), (5, 105), (1 << 20, (2 << 20) + 1), (len(data) - 3, len(data)), (7, 7)):
            assert _content(filled, name, begin, end) == data[begin:end]
        assert _content(filled, name, len(data) - 3) == b"end"

    def test_a_file_that_is_not_there_is_said_so(self, filled: _Store) -> None:
        """Its size is None, and reading it raises FileNotFoundError that names it."""
        assert filled.size("u/me/nothing") is None
        with pytest.raises(FileNotFoundError, match="nothing"):
            _content(filled, "u/me/nothing")

    def test_a_file_has_a_uri(self, filled: _Store) -> None:
        """A scheme, and at the end the name."""
        assert "://" in filled.uri("u/me/a.fits")
        assert filled.uri("u/me/a.fits").endswith("/u/me/a.fits")


class ReadOnlyConformance(ReadConformance):
    """What holds of every store that is only read."""

    def test_all_else_is_refused(self, filled: _Store, tmp_path: Path) -> None:
        """Putting, removing and, where that cannot be done, listing raise PermissionError."""
        assert not filled.writeable
        (tmp_path / "given").write_bytes(b"1")
        with pytest.raises(PermissionError, match="only read"):
            filled.put("u/x", tmp_path / "given")
        with pytest.raises(PermissionError, match="only read"):
            filled.remove("u/me/empty.txt")
        if not filled.listable:
            with pytest.raises(PermissionError):
                list(filled.names())
        assert filled.size("u/me/empty.txt") == 0


class StoreConformance(ReadConformance):
    """What holds of every store that is written to; the fixture ``store`` gives a new and empty one."""

    @pytest.fixture
    def store(self) -> _Store:
        """Give a new and empty store."""
        raise NotImplementedError

    @pytest.fixture
    def filled(self, store: _Store, tmp_path: Path) -> _Store:
        """Put `FILES` into the store."""
        for name, data in FILES.items():
            source = tmp_path / "source"
            source.write_bytes(data)
            store.put(name, source)
            assert source.read_bytes() == data
        return store

    def test_names_are_listed(self, filled: _Store) -> None:
        """All of them, and those below one."""
        assert set(filled.names()) == set(FILES)
        assert list(filled.names("u/me/numbers")) == [next(iter(FILES))]
        assert list(filled.names("u/m")) == []

    def test_a_name_that_is_taken_is_refused(self, filled: _Store, tmp_path: Path) -> None:
        """FileExistsError, and what was there stays."""
        (tmp_path / "other").write_bytes(b"other")
        for name, data in FILES.items():
            with pytest.raises(FileExistsError):
                filled.put(name, tmp_path / "other")
            assert _content(filled, name) == data

    def test_of_many_who_want_a_name_one_gets_it(self, store: _Store, tmp_path: Path) -> None:
        """The others get FileExistsError; what is there is the winner's, whole."""

        def put(number: int) -> int | None:
            source = tmp_path / str(number)
            source.write_bytes(bytes([number]) * 100_000)
            try:
                store.put("u/contested", source)
            except FileExistsError:
                return None
            return number

        with ThreadPoolExecutor(8) as pool:
            winners = [number for number in pool.map(put, range(8)) if number is not None]
        assert len(winners) == 1
        assert _content(store, "u/contested") == bytes(winners) * 100_000

    def test_what_is_written_is_measured(self, store: _Store) -> None:
        """Size and checksum are those of the bytes, in however many pieces they came."""

        def write(sink: Any) -> None:
            sink.write(b"one")
            sink.write(memoryview(b"two"))

        assert store.write("u/a.bin", write) == (6, f"xxh3:{xxh3_128_hexdigest(b'onetwo')}")
        assert _content(store, "u/a.bin") == b"onetwo"
        with pytest.raises(FileExistsError):
            store.write("u/a.bin", write)

    def test_a_write_that_fails_leaves_nothing(self, store: _Store) -> None:
        """Neither a file nor a part of one."""

        def die(sink: Any) -> None:
            sink.write(b"x" * 5_000_000)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.write("u/a.bin", die)
        assert list(store.names()) == []
        assert store.size("u/a.bin") is None

    def test_what_is_removed_is_gone_and_removing_may_be_repeated(self, filled: _Store) -> None:
        """One or many; of what is not there nothing is said."""
        first, *others = FILES
        for _ in range(2):
            filled.remove(first)
            assert filled.size(first) is None
        assert set(filled.names()) == set(others)
        filled.remove_many([first, *others])
        filled.remove_many([])
        assert list(filled.names()) == []
