"""The trash: removed datasets, which can be restored until it is emptied."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from typing import Any

from ..model.datasets import StoredFile
from ..model.errors import ArgumentError, ConflictingDefinitionError, ReadOnlyError
from ..model.given import Datasets, datasets_given
from ..model.timespan import isot_from_ns, now_ns
from ..registry.registry import Registry
from ..registry.restore import Restored, restore
from ..registry.trash import GOING
from ..storage.datastore import Datastore
from .transaction import FileJournal

__all__ = ["RemovedDataset", "Trash", "check_age"]

_BATCH = 1000
"""Datasets whose files go at once; as many as S3 removes by one request."""
_IN_PASSING = 1000
"""Datasets past their time that a removal of others empties, so that it stays quick."""
_CHECKED_AT_ONCE = 16
_LOCK = "trash"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemovedDataset:
    """A dataset in the trash."""

    id: uuid.UUID
    """Its id."""
    dataset_type: str
    """Its type's name."""
    data_id: Mapping[str, Any]
    """Its data ID."""
    run: str
    """The RUN that owned it."""
    removed: str
    """When it was removed: ISO 8601, TAI."""
    expires: str
    """When it goes for good, with the next removal of whatever."""
    size: int
    """Bytes of its files."""
    is_going: bool
    """Whether its removal for good was begun and cut off, so that it cannot be restored."""

    def __str__(self) -> str:
        values = ", ".join(f"{name}: {value!r}" for name, value in self.data_id.items())
        return f"{self.dataset_type} {{{values}}} in {self.run!r}"


class Trash:
    """What was removed from a repository and can be restored; reached as ``butler.trash``.

    Parameters
    ----------
    registry, datastore, journal
        The repository's.
    window
        For how long removed datasets stay; those removed go at once where it is nothing.
    """

    def __init__(self, registry: Registry, datastore: Datastore, journal: FileJournal, window: timedelta):
        self._registry = registry
        self._datastore = datastore
        self._journal = journal
        self.window = window
        """For how long removed datasets stay."""

    def list(self, dataset_type: str = "*", *, run: str = "*") -> Sequence[RemovedDataset]:
        """Return what is in the trash, the last one removed first.

        Parameters
        ----------
        dataset_type, run
            Names or globs of the datasets' types and RUNs.
        """
        return [
            _removed(row)
            for row in self._registry.trash.rows()
            if row["dataset_type"] and fnmatchcase(row["dataset_type"], dataset_type) and fnmatchcase(row["run"], run)
        ]

    def restore(
        self,
        datasets: Datasets | RemovedDataset | Iterable[RemovedDataset] = (),
        *,
        dataset_type: str = "*",
        run: str | None = None,
        skip_conflicts: bool = False,
    ) -> Restored:
        """Bring datasets back: all of them, or none, in one transaction.

        A RUN that is gone is made again (chains that searched it are edited again by hand). Datasets come back into
        the TAGGED and CALIBRATION collections that held them, where no other has their place by now, and with all that
        was noted of them.

        Parameters
        ----------
        datasets
            References, ids, or what `list` returns.
        dataset_type, run
            Names or globs of types and RUNs, instead of datasets: all in the trash that match.
        skip_conflicts
            Whether those that cannot be restored stay in the trash while the others come back.

        Returns
        -------
        Restored
            What is there again (``refs``), what was left (``conflicts``), and what did not come back with it
            (``lost``).

        Raises
        ------
        ConflictingDefinitionError
            One of them cannot be restored: another dataset has its place by now, its file is gone, its dataset type is
            another one, or it is not in the trash. Or nothing is named at all.
        ArgumentError
            What is given are no datasets.
        """
        given = datasets_given(datasets, RemovedDataset)
        if run is not None or dataset_type != "*":
            if given:
                raise ConflictingDefinitionError("datasets to restore are named, or found by type and RUN; not both.")
            found = self.list(dataset_type, run=run or "*")
            given = [each for each in found if not each.is_going]
        elif not given:
            raise ConflictingDefinitionError(
                "nothing is named to restore: give references or ids, or a RUN or a dataset type (run='*' is all)."
            )
        ids = [each if isinstance(each, uuid.UUID) else each.id for each in given]
        missing = self._missing(self._registry.trash.files(ids))
        with self._journal.transaction():
            return restore(self._registry, ids, missing=missing, skip_conflicts=skip_conflicts)

    def _missing(self, files: Mapping[uuid.UUID, Sequence[StoredFile]]) -> set[uuid.UUID]:
        """Return which of some datasets have lost a file, or have one of another length than they had."""
        with ThreadPoolExecutor(_CHECKED_AT_ONCE) as pool:
            pairs = [(one, file) for one, kept in files.items() for file in kept]
            sizes = pool.map(self._datastore.sizes, (file for _, file in pairs))
            return {one for (one, file), found in zip(pairs, sizes, strict=True) if file.size not in found}

    def empty(self, older_than: timedelta | None = None) -> int:
        """Remove for good what is in the trash, and finish what was cut off.

        Parameters
        ----------
        older_than
            Only what was removed so long ago, however long it was to stay; all where left out.

        Returns
        -------
        int
            How many datasets went. In a transaction, they go at its end.

        Raises
        ------
        StoreUnavailableError
            Files cannot be removed now; they stay marked, and the next call goes on.
        """
        trash = self._registry.trash
        ids = None
        if older_than is not None:
            check_age(older_than)
            before = now_ns() - older_than // timedelta(microseconds=1) * 1000
            ids = [row["dataset_id"] for row in trash.rows() if row["removed_ns"] <= before]
        with self._journal.transaction():
            marked = trash.mark(None, ids=ids)
        self._journal.after_commit([partial(self.finish, wait=True)])
        return marked

    # What removals do

    def remove(self, ids: Sequence[uuid.UUID], *, purge: bool = False) -> int:
        """Take datasets out of the registry; see `Butler.remove_datasets`."""

        def work() -> int:
            with self._journal.transaction():
                return self.take(ids, purge=purge)

        return self._registry.database.retry(work)

    def take(self, ids: Iterable[uuid.UUID], *, run: str | None = None, purge: bool = False) -> int:
        """Take datasets out of the registry, within a transaction: into the trash, or for good; return how many.

        What is past its time goes for good along with them, as far as that is quick.
        """
        purge = purge or self.window <= timedelta(0)
        now = now_ns()
        expires = now if purge else now + self.window // timedelta(microseconds=1) * 1000
        trash = self._registry.trash
        if trash.is_due(now):
            trash.mark(now, limit=_IN_PASSING)
        moved = trash.move(ids, expires, run=run, purge=purge)
        if purge:
            self._journal.after_commit([partial(self._finish_quietly, wait=True)])
        elif trash.going(1):
            self._journal.after_commit([partial(self._finish_quietly, wait=False)])
        return moved

    def _finish_quietly(self, *, wait: bool) -> None:
        """Finish what is marked; where a store cannot be reached, that is no reason to undo what is done."""
        try:
            self.finish(wait=wait, batches=None if wait else 1)
        except OSError as error:
            _log.warning("files of removed datasets are still there, until `skybutler trash empty`: %s", error)

    def finish(self, *, wait: bool, batches: int | None = None) -> int:
        """Remove the files that are marked as going, and forget them; only one process does it at a time.

        A file that is gone already may have been a first attempt's: who registers a file finds it named here, so it
        cannot be another's by now.

        Parameters
        ----------
        wait
            Whether to wait for another that does it, instead of leaving it to them.
        batches
            How often some go at once; until nothing is left where None.

        Returns
        -------
        int
            How many datasets, or files that no dataset had, went.
        """
        trash, gone = self._registry.trash, 0
        if not trash.going(1):
            return 0
        if not self._registry.database.writeable:
            raise ReadOnlyError("the repository was opened for reading only; its trash cannot be emptied.")
        with self._registry.database.alone(_LOCK, wait=wait) as mine:
            while mine and (batches is None or batches > 0) and (rows := trash.going(_BATCH)):
                self._datastore.remove_many(chain.from_iterable(rows.values()))
                trash.forget(list(rows))
                gone += len(rows)
                batches = None if batches is None else batches - 1
        return gone


def check_age(older_than: object) -> None:
    """Raise unless an age is one.

    Raises
    ------
    ArgumentError
        It is something else, such as text.
    """
    if not isinstance(older_than, timedelta):
        raise ArgumentError(f"older_than is a timedelta, such as timedelta(days=2); not {older_than!r}.")


def _removed(row: Mapping[str, Any]) -> RemovedDataset:
    return RemovedDataset(
        row["dataset_id"], row["dataset_type"], json.loads(row["data_id"]), row["run"],
        isot_from_ns(row["removed_ns"]), isot_from_ns(row["expires_ns"]), int(row["size"]), row["state"] == GOING,
    )  # fmt: skip
