"""Taking an export into a repository, SkyButler's or LSST's, and datasets of another repository."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...model.contents import Contents
from ...model.datasets import DatasetRef, FileDataset, StoredFile
from ...model.errors import ConfigError, ConflictingDefinitionError, DatasetTypeNotFoundError, FileFormatError
from ...storage.atomic import FolderFlushes
from ...storage.bundles import member_of
from ...storage.intake import TakenFile
from ...storage.stores import is_uri
from ..config import FILE_NAME
from .export import find_export, read_export
from .gather import gather
from .places import Within
from .receive import Received, Taken, receive
from .safe_yaml import read_yaml

if TYPE_CHECKING:
    from ...storage.datastore import Datastore
    from ..exchanging import ButlerExchange

__all__ = ["import_export", "transfer_datasets"]


def import_export(
    butler: ButlerExchange,
    source: str | os.PathLike[str],
    *,
    transfer: str = "auto",
    skip_existing: bool = False,
    dry_run: bool = False,
) -> Received:
    """Take an export into a repository; parameters and errors are those of `Butler.import_`."""
    from .lsst_export import LSST_TAGS, is_lsst_export, read_lsst_export

    path = find_export(source)
    if not path.is_file():
        raise FileNotFoundError(f"there is no export {path}; name the folder that it was written to, or its YAML file.")
    path = path.resolve()
    head = read_yaml(path, LSST_TAGS)
    place: Path | str
    if is_lsst := is_lsst_export(head):
        contents, place = read_lsst_export(head, path, butler.registry), path.parent
    else:
        contents, place = read_export(path, head, butler.registry)
    files = _ExportedFiles(butler, place, transfer, reads_headers=is_lsst)
    return receive(butler, contents, files, skip_existing=skip_existing, dry_run=dry_run)


def transfer_datasets(
    butler: ButlerExchange,
    other: ButlerExchange,
    refs: Iterable[DatasetRef],
    *,
    transfer: str = "auto",
    transfer_dimensions: bool = True,
    register_dataset_types: bool = True,
    skip_existing: bool = False,
    dry_run: bool = False,
) -> Received:
    """Take datasets of another repository; parameters and errors are those of `Butler.transfer_from`."""
    here, there = (
        (database.path, database.engine.url, database.schema)
        for database in (butler.registry.database, other.registry.database)
    )
    if here == there:
        raise ConfigError("datasets are transferred from another repository, not from the same one.")
    contents = gather(other.registry, refs).said_in(butler.registry.universe)
    _check_storage_classes(butler, other, contents)
    if not transfer_dimensions:
        contents.records = {}
    if not register_dataset_types:
        for kind in contents.dataset_types:
            if kind.name not in butler.registry.catalog.dataset_types:
                raise DatasetTypeNotFoundError(
                    f"this repository has no dataset type {kind.name!r}; register_dataset_types=True registers it."
                )
    files = _FilesOfAnother(butler.datastore, other.datastore, transfer)
    return receive(butler, contents, files, skip_existing=skip_existing, dry_run=dry_run)


def _check_storage_classes(butler: ButlerExchange, other: ButlerExchange, contents: Contents) -> None:
    """Raise ConflictingDefinitionError where two repositories mean different things by the name of a storage class."""
    here, there = butler.registry.storage_classes, other.registry.storage_classes
    for kind in contents.dataset_types:
        name = kind.storage_class.name
        mine, given = here.named(name), there.named(name)
        if mine.is_known and given.is_known and mine != given:
            differs = "; ".join(
                f"{field} is {one!r} here, {another!r} there"
                for field in ("pytype", "formatter", "components", "parameters", "tabular")
                if (one := getattr(mine, field)) != (another := getattr(given, field))
            )
            raise ConflictingDefinitionError(
                f"dataset type {kind.name!r} is of storage class {name!r}, which {mine.origin} and {given.origin} "
                f"define otherwise: {differs}. Let both mean the same, or give one of them another name."
            )


class _ExportedFiles:
    """The files of an export; a `FileSource`."""

    def __init__(self, butler: ButlerExchange, place: Path | str, transfer: str, *, reads_headers: bool) -> None:
        butler.datastore.check_transfer("", transfer)
        self._datastore, self._transfer, self.reads_headers = butler.datastore, transfer, reads_headers
        self._found: dict[str, Path | str] = {}
        self._moved: list[Path | str] = []
        self._after_commit = butler._journal.after_commit
        if place == "repository":
            if butler.datastore.root is None or transfer != "in_place":
                raise ValueError(
                    "the export has no files of its own: its datasets are those of a repository's folder. Take it into "
                    "a repository that has these files, with transfer='in_place'."
                )
            place, self._transfer = butler.datastore.root, "in_place"
        if place == "direct" and transfer != "direct":
            raise ValueError(
                "the export names files by where they lay on the machine that it was made on; they can stay there, if "
                "you trust whoever made it: transfer='direct'."
            )
        self._within = Within(Path(place))
        database = butler.registry.database.path
        self._own = {str(database) + ending for ending in ("", "-wal", "-shm")} if database else set()

    def check(self, files: Iterable[StoredFile]) -> None:
        """Find the files, all of them below the export's folder unless the user has said ``direct``."""
        for file in files:
            is_elsewhere = is_uri(file.path) or os.path.isabs(file.path)  # noqa: PTH117
            if self._transfer == "direct" and is_elsewhere and "\0" not in file.path:
                self._found[file.path] = file.path
            else:
                found = self._found[file.path] = self._within(file.path)
                if found.name == FILE_NAME or str(found.resolve()) in self._own:  # would go with the dataset
                    raise FileFormatError(f"{found} is a part of the repository itself, and no dataset.")

    def take(self, files: Sequence[tuple[StoredFile, DatasetRef]], flushes: FolderFlushes) -> Iterator[Taken]:
        """Take them; what moves is gone from its place only when all is certain: it is linked or copied at first."""
        asked = [FileDataset(self._found[file.path], [ref], file.formatter) for file, ref in files]
        how = "auto" if self._transfer == "move" else self._transfer
        taking = self._datastore.ingest_files(asked, how, flushes)
        for (file, _), given, taken in zip(files, asked, taking, strict=True):
            if self._transfer == "move" and taken.is_new:
                self._moved.append(given.path)
            yield file, taken

    def finish(self) -> None:
        """Remove what has moved."""
        self._after_commit(partial(os.unlink, path) for path in self._moved)


class _FilesOfAnother:
    """The files of another repository; a `FileSource`."""

    reads_headers = False

    def __init__(self, datastore: Datastore, other: Datastore, transfer: str) -> None:
        if transfer not in ("auto", "copy", "link", "direct"):
            raise ValueError(f"transfer={transfer!r} is not one of auto, copy, link, direct.")
        self._datastore, self._other, self._transfer = datastore, other, transfer
        self._near: dict[StoredFile, Path] = {}

    def check(self, files: Iterable[StoredFile]) -> None:
        """Find those that need not be copied."""
        for file in files if self._transfer != "copy" else ():
            is_member = bool(member_of(file.formatter)[1])
            source = None if is_member else self._other.source(file)
            if isinstance(source, Path):
                self._near[file] = source
            elif self._transfer == "link" or (self._transfer == "direct" and is_member):
                raise ValueError(
                    f"{self._other.uri(file)} can only be copied, not taken with transfer={self._transfer!r}."
                )

    def take(self, files: Sequence[tuple[StoredFile, DatasetRef]], flushes: FolderFlushes) -> Iterator[Taken]:
        """Take them: linked by many at once, or copied one by one."""
        near = [(file, ref) for file, ref in files if file in self._near]
        asked = [FileDataset(self._near[file], [ref], file.formatter) for file, ref in near]
        taking = self._datastore.ingest_files(asked, self._transfer, flushes)
        for (file, _), taken in zip(near, taking, strict=True):
            yield file, taken
        for file, ref in files:
            if file in self._near:
                continue
            if self._transfer == "direct":
                yield file, TakenFile(replace(file, path=self._other.uri(file)), False)
            else:
                yield file, TakenFile(self._datastore.copy_from(self._other, file, ref, flushes), True)

    def finish(self) -> None:
        """Leave the other repository as it is."""
