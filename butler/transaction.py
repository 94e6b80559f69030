"""Transactions over registry and files: all or nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ..model.blocks import block
from ..model.datasets import StoredFile
from ..registry.registry import Registry
from ..storage.datastore import Datastore

__all__ = ["FileJournal"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Level:
    written: list[list[StoredFile]] = field(default_factory=list)
    """Files that were written in it, or within one in it: the lists of those who write, which may still grow."""
    after_commit: list[Callable[[], object]] = field(default_factory=list)


class FileJournal:
    """Keeps files in step with the registry's transactions.

    A file written in a transaction that fails is removed; a file to be removed goes only once the outermost
    transaction has been committed. Each thread has its own.

    A file that cannot be removed, because its store cannot be reached, stays, belongs to no dataset, and is logged: it
    is no reason to undo what is done, nor to hide why something is undone.
    """

    def __init__(self, registry: Registry, datastore: Datastore):
        self._registry = registry
        self._datastore = datastore
        self._local = threading.local()

    @block
    def transaction(self) -> Iterator[None]:
        """Open a transaction; within another one, a part of it that can fail alone."""
        levels: list[_Level] = self._local.__dict__.setdefault("levels", [])
        level, depth = _Level(), len(levels)
        try:
            levels.append(level)
            with self._registry.database.write():
                yield
        except BaseException:  # Ctrl-C, too, leaves nothing behind
            del levels[depth:]
            for files in level.written:
                self._take_back(files)
            raise
        del levels[depth:]
        if levels:
            levels[-1].after_commit += level.after_commit
        else:
            self.after_commit(level.after_commit)

    @block
    def owning(self, files: list[StoredFile]) -> Iterator[None]:
        """Remove files that have been written, now or later, unless the block and the transaction around it succeed."""
        for level in self._local.__dict__.get("levels", ()):
            level.written.append(files)
        try:
            yield
        except BaseException:
            self._take_back(files)
            raise

    def _take_back(self, files: list[StoredFile]) -> None:
        """Remove files, but for those that the registry has: an interrupt may come after the commit, too."""
        if files:
            kept = self._registry.datasets.paths_kept([stored.path for stored in files])
            self._remove_now([stored for stored in reversed(files) if stored.path not in kept])
            # Their names are free: another may have taken one when a transaction around this one fails as well.
            files[:] = [stored for stored in files if stored.path in kept]

    def _remove_now(self, files: Sequence[StoredFile]) -> None:
        try:
            self._datastore.remove_many(files)
        except OSError as error:
            shown = ", ".join(self._datastore.uri(stored) for stored in files[:3])
            more = f" and {len(files) - 3} more" if len(files) > 3 else ""
            _log.warning("%s%s may still lie there, though no dataset has them: %s", shown, more, error)

    def after_commit(self, actions: Iterable[Callable[[], object]]) -> None:
        """Do things, now or once the transaction around this has been committed."""
        if levels := self._local.__dict__.get("levels"):
            levels[-1].after_commit += actions
        else:
            for action in actions:
                with suppress(FileNotFoundError):  # whoever moved or removed it already
                    action()
