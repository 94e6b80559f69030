"""Transactions over registry and files: all or nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..model.datasets import StoredFile
from ..registry.database import Database
from ..storage.datastore import Datastore

__all__ = ["FileJournal"]


@dataclass(slots=True)
class _Level:
    written: list[StoredFile] = field(default_factory=list)
    doomed: list[StoredFile] = field(default_factory=list)


class FileJournal:
    """Keeps files in step with the registry's transactions.

    A file written in a transaction that fails is removed; a file to be removed goes only once the outermost
    transaction has been committed. Each thread has its own.
    """

    def __init__(self, database: Database, datastore: Datastore):
        self._database = database
        self._datastore = datastore
        self._local = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction; within another one, a part of it that can fail alone."""
        levels: list[_Level] = self._local.__dict__.setdefault("levels", [])
        level = _Level()
        levels.append(level)
        try:
            with self._database.write():
                yield
        except BaseException:  # Ctrl-C, too, leaves nothing behind
            levels.pop()
            for stored in reversed(level.written):
                self._datastore.remove(stored)
            raise
        levels.pop()
        if levels:
            levels[-1].written += level.written
            levels[-1].doomed += level.doomed
        else:
            for stored in level.doomed:
                self._datastore.remove(stored)

    def wrote(self, stored: StoredFile) -> None:
        """Note a file that must go if the transaction around it, where there is one, fails."""
        if levels := self._local.__dict__.get("levels"):
            levels[-1].written.append(stored)

    def remove(self, files: Iterable[StoredFile]) -> None:
        """Remove files, now or once the transaction around this has been committed."""
        if levels := self._local.__dict__.get("levels"):
            levels[-1].doomed += files
        else:
            for stored in files:
                self._datastore.remove(stored)
