"""Removing datasets, bringing them back, and telling what takes up room."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..model.collections import CollectionType
from ..model.datasets import DatasetRef
from ..model.errors import CollectionTypeError, ConflictingDefinitionError
from ..model.given import Datasets, datasets_given
from ..registry.registry import one_operation
from ..registry.usage import DiskUsage, UsageBy, disk_usage
from .queries import ButlerQueries
from .transaction import FileJournal
from .trash import Trash

if TYPE_CHECKING:
    from .verify import Verification

__all__ = ["ButlerRemoval"]


class ButlerRemoval(ButlerQueries):
    """What takes datasets away, and looks whether all is where it should be; `Butler` inherits it."""

    trash: Trash
    """What was removed and can be restored: list, restore, empty."""
    root: Path
    _journal: FileJournal

    @one_operation
    def remove_datasets(self, refs: Datasets, *, purge: bool = False) -> int:
        """Remove datasets: into the trash, from which they can be restored for some days (docs/removal.md).

        They vanish from all collections at once, and from queries. Files that were ingested where they lie
        (``direct``) are never removed.

        Parameters
        ----------
        refs
            Which, by references or ids: what `query_datasets` returns. Those that are gone already are passed over.
        purge
            Whether they and their files go for good.

        Returns
        -------
        int
            How many were removed.

        Raises
        ------
        ArgumentError
            What is given are no datasets.
        """
        given = datasets_given(refs)
        return self.trash.remove([one.id if isinstance(one, DatasetRef) else one for one in given], purge=purge)

    @one_operation
    def remove_run(self, name: str, unlink_from_chains: bool = False, *, purge: bool = False) -> int:
        """Remove a RUN and the datasets that it owns, as by `remove_datasets`.

        Parameters
        ----------
        name
            Its name.
        unlink_from_chains
            Whether it is taken out of the CHAINED collections that hold it.
        purge
            Whether all goes for good; else a dataset that is restored makes the RUN again.

        Returns
        -------
        int
            How many datasets were removed.

        Raises
        ------
        CollectionTypeError
            The collection is no RUN.
        ConflictingDefinitionError
            A CHAINED collection holds it, and ``unlink_from_chains`` is not set.
        """
        with self._journal.transaction(), self.registry.edit_catalog() as connection:
            collections, row = self.registry.collections, self.registry.catalog.collection(name)
            if row.type is not CollectionType.RUN:
                raise CollectionTypeError(
                    f"{name!r} is {row.type.name}, no RUN; collections.delete({name!r}) deletes it."
                )
            if unlink_from_chains:
                for parent in collections.info(name).parents:
                    collections.remove_from_chain(parent, name)
            elif parents := collections.info(name).parents:
                raise ConflictingDefinitionError(
                    f"{name!r} is held by {', '.join(parents)}; pass unlink_from_chains=True to take it out there."
                )
            collections.lock(connection, row)
            moved = self.trash.take(self.registry.datasets.ids_in_run(name), run=name, purge=purge)
            collections.delete_row(row)
            return moved

    def disk_usage(self, by: UsageBy = "run") -> list[DiskUsage]:
        """Return how many datasets, files and bytes there are, the largest first, by one SELECT.

        A file that several datasets share counts once. What is in the trash does not count.

        Parameters
        ----------
        by
            ``"run"``, ``"dataset_type"``, ``"collection"`` (RUNs, TAGGED and CALIBRATION ones, which overlap) or
            ``"repository"`` (one row).
        """
        return disk_usage(self.registry, by)

    @one_operation
    def verify(
        self,
        *,
        checksums: bool = False,
        repair: bool = False,
        forget_missing: bool = False,
        everywhere: bool = False,
        older_than: timedelta = timedelta(days=1),
    ) -> Verification:
        """Compare the registry with the files that lie there, as ``skybutler fsck`` does (docs/removal.md).

        Parameters
        ----------
        checksums
            Whether every file is read and compared with its checksum; else its size is.
        repair
            Whether what can be made whole is: removals that were cut off are finished, files that crashes have left
            are removed.
        forget_missing
            Whether datasets whose files are gone, or not what was written, are moved to the trash; with ``repair``.
        everywhere
            Whether files that are named as a dataset's, and that no dataset has, are taken for abandoned in places
            beside the repository's folder, too (buckets): no other repository may keep files there.
        older_than
            Age from which on files that no dataset has cannot be a writer's that is still at work.

        Returns
        -------
        Verification
            What was found, and what was done about it.
        """
        from .verify import verify

        return verify(
            self.registry, self.datastore, self.trash, checksums=checksums, repair=repair,
            forget_missing=forget_missing, everywhere=everywhere, older_than=older_than, root=self.root,
        )  # fmt: skip
