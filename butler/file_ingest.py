"""Giving files that exist to a repository, as datasets."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..model.datasets import DatasetRef, FileDataset, StoredFile
from ..model.errors import DataIdError, DatasetExistsError
from ..model.given import files_given
from ..registry import bulk
from ..registry.registry import one_operation
from ..storage.atomic import FolderFlushes
from .progress import track
from .queries import ButlerQueries
from .registering import ButlerRegistering

if TYPE_CHECKING:
    from .header_values import HeaderKeys
    from .transaction import FileJournal

__all__ = ["ButlerFileIngest"]


class ButlerFileIngest(ButlerRegistering, ButlerQueries):
    """What takes files that exist; `Butler` inherits it."""

    header_keys: HeaderKeys
    """Which values of datasets' headers are kept in the registry."""
    ingest_checksums: bool
    """Whether files that are ingested without being copied are read for their checksums."""
    _journal: FileJournal

    @one_operation
    def ingest(
        self,
        files: FileDataset | Iterable[FileDataset],
        transfer: str = "auto",
        *,
        skip_existing: bool = False,
        checksums: bool | None = None,
    ) -> list[DatasetRef]:
        """Register files that exist as datasets; all of them, or none.

        Parameters
        ----------
        files
            Files, by path or URI, with the datasets that each holds.
        transfer
            ``auto``, ``direct``, ``link``, ``copy``, ``move`` or ``in_place``: what becomes of the file. A file that
            moves is gone from its place once the transaction is committed; one below the root stays where it is.
        skip_existing
            Whether files all of whose datasets are registered already, by their ids or by type, data ID and RUN, are
            passed over.
        checksums
            Whether files that are not copied are read, whole, for their checksums; otherwise only their lengths can be
            verified later. As the repository has it (``ingest_checksums`` in ``skybutler.yaml``) where left out.

        Returns
        -------
        list of DatasetRef
            What was registered.

        Raises
        ------
        DatasetExistsError
            One of the datasets is there already; or a file that stays in its place is given twice.
        DataIdError
            A file holds no dataset.
        ArgumentError
            What is given are no FileDatasets.
        FileNotFoundError, OSError
            A file is not there, is a folder or a pipe, or cannot be read.
        """
        self._check_writeable()
        files = files_given(files)
        for file in files:
            self.datastore.check_transfer(file.path, transfer)
        if empty := [str(file.path) for file in files if not file.refs]:
            raise DataIdError(f"{empty[0]} is to be ingested, but no dataset of it is named.")
        if skip_existing:
            new_ids = self._not_registered(ref for file in files for ref in file.refs)
            files = [file for file in files if any(ref.id in new_ids for ref in file.refs)]
        for run in dict.fromkeys(ref.run for file in files for ref in file.refs):
            self._check_run(run)
        alone: list[tuple[DatasetRef, StoredFile]] = []
        shared: list[tuple[DatasetRef, StoredFile]] = []
        new: list[StoredFile] = []
        moved: list[str] = []
        kept: dict[str, StoredFile] = {}
        headers: dict[uuid.UUID, dict[str, Any]] = {}
        flushes = FolderFlushes()
        # A file that moves is gone from its place only when its new one is certain: linked or copied at first.
        taking = self.datastore.ingest_files(
            files,
            "auto" if transfer == "move" else transfer,
            flushes,
            checksums=self.ingest_checksums if checksums is None else checksums,
        )
        with self._journal.owning(new):
            for file, (stored, is_new) in zip(track(files, "Ingesting"), taking, strict=True):
                if is_new:
                    new.append(stored)
                    if transfer == "move":
                        moved.append(os.path.abspath(file.path))  # noqa: PTH100
                elif stored.path in kept:
                    raise DatasetExistsError(
                        f"{file.path} is given twice; a file of several datasets is given once, with all of them."
                    )
                else:
                    kept[stored.path] = stored
                headers |= self.header_keys.of_file(file, stored, self.datastore)
                (shared if len(file.refs) > 1 else alone).extend((ref, stored) for ref in file.refs)
            flushes.flush()
            if kept:
                self._register_kept(alone, shared, headers, kept.values())
            else:
                self._register(alone, shared, headers=headers)
        self._journal.after_commit(partial(os.unlink, path) for path in moved)
        return [ref for file in files for ref in file.refs]

    def _not_registered(self, refs: Iterable[DatasetRef]) -> set[uuid.UUID]:
        """Return the ids of datasets that are not registered, by their ids or by type, data ID and RUN."""
        refs = list(refs)
        known = self.registry.datasets.existing(refs)
        unknown = [ref for ref in refs if ref.id not in known]
        places = {(ref.dataset_type.name, ref.run) for ref in unknown}
        held = {place: bulk.data_ids_in_run(self.registry, *place) for place in places}
        return {ref.id for ref in unknown if ref.data_id.required_values not in held[ref.dataset_type.name, ref.run]}

    def _register_kept(
        self,
        alone: Sequence[tuple[DatasetRef, StoredFile]],
        shared: Sequence[tuple[DatasetRef, StoredFile]],
        headers: Mapping[uuid.UUID, Mapping[str, Any]],
        kept: Iterable[StoredFile],
    ) -> None:
        """Register datasets whose files stay where they are, unless one went while they were looked through.

        A file may have been a removed dataset's, and the trash may have been emptied just now; once it is registered,
        nobody removes it.
        """
        with self.registry.database.write():
            self._register(alone, shared, headers=headers)
            for stored in kept:
                if self.datastore.is_missing_here(stored):
                    raise FileNotFoundError(f"{self.datastore.uri(stored)} was removed while it was being ingested")
