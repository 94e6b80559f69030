"""Looking whether registry and files agree, and making them: ``skybutler fsck``.

Others may be putting datasets meanwhile. Files are listed before their records are read, whatever then looks wrong is
looked at once more, and what no record names counts as abandoned only from a certain age on: a writer gives a file its
name before it registers it.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..model.datasets import StoredFile
from ..model.errors import FileIntegrityError
from ..registry.consistency import all_files, inconsistencies, lost_inputs, runs_known, without_files
from ..registry.registry import Registry
from ..storage.atomic import TEMPORARY_PREFIX
from ..storage.datastore import Datastore
from ..storage.paths import dataset_type_of, escape
from ..storage.stores import Store
from ..storage.stores.local import LocalStore
from ..storage.stores.memory import MemoryStore
from ..storage.stores.store import ListedFile
from .config import FILE_NAME
from .progress import track
from .trash import Trash, check_age

__all__ = ["Finding", "Verification", "verify"]

_TEMPORARY = re.compile(re.escape(TEMPORARY_PREFIX) + r"(\d+-[0-9a-f]{12}|[0-9a-f]{32})")
_BATCH = 1000


@dataclass(slots=True)
class Finding:
    """Something that is not as it should be."""

    kind: str
    """``missing``, ``size``, ``checksum`` or ``unreadable`` (a dataset's file); ``no file`` (a dataset without one);
    ``orphan``, ``temporary`` or ``empty folder`` (what crashes leave); ``half-deleted``; ``registry``."""
    where: str
    """The file, folder or table."""
    text: str
    """What is wrong."""
    dataset: str = ""
    """The dataset that it is of: type and id."""
    done: str = ""
    """What was done about it; empty where it is still so."""


@dataclass(slots=True)
class Verification:
    """What was found in a repository."""

    datasets: int = 0
    """Datasets that have files."""
    files: int = 0
    """Files of datasets, those in the trash among them."""
    size: int = 0
    """Their bytes."""
    checksums: int = 0
    """Files that were read and compared with their checksums."""
    findings: list[Finding] = field(default_factory=list)
    """What is wrong, or was."""
    young: list[str] = field(default_factory=list)
    """Files that no dataset has, and that a writer may be about to register."""
    foreign: list[str] = field(default_factory=list)
    """Files that no dataset has, and that are not SkyButler's: never touched."""
    notes: list[str] = field(default_factory=list)
    """What is worth knowing, and no fault."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, or not any more."""
        return all(finding.done for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON takes it."""
        return {"sound": self.sound, **asdict(self)}


def verify(
    registry: Registry,
    datastore: Datastore,
    trash: Trash,
    *,
    root: Path,
    checksums: bool = False,
    repair: bool = False,
    forget_missing: bool = False,
    everywhere: bool = False,
    older_than: timedelta = timedelta(days=1),
) -> Verification:
    """Compare a registry with the files that lie there; see `Butler.verify`."""
    return _Verifier(registry, datastore, trash, root, older_than, everywhere).run(checksums, repair, forget_missing)


class _Verifier:
    """One look at a repository."""

    def __init__(
        self,
        registry: Registry,
        datastore: Datastore,
        trash: Trash,
        root: Path,
        older_than: timedelta,
        everywhere: bool,
    ):
        self._registry = registry
        self._datastore = datastore
        self._trash = trash
        self._root = root.absolute()
        self._everywhere = everywhere
        check_age(older_than)
        self._before = time.time() - older_than.total_seconds()
        self._found = Verification()

    def run(self, checksums: bool, repair: bool, forget_missing: bool) -> Verification:
        """Do it."""
        found = self._found
        going = set(self._registry.trash.going(_BATCH))
        listed = {store: list(self._listing(store)) for store in self._stores()}
        records = list(all_files(self._registry))
        found.datasets = len({one for one, _, in_trash in records if not in_trash})
        unique = {file.path: file for _, file, _ in records}
        found.files, found.size = len(unique), sum(file.size for file in unique.values())
        wrong = self._compare(unique, listed, checksums)
        broken = self._told(records, wrong)
        for one, name in without_files(self._registry):
            broken[one] = Finding("no file", "", "no file of it is registered", f"{name} {one}")
        found.findings += broken.values()
        temporary, orphans = self._unnamed(listed, set(unique))
        folders = self._empty_folders()
        for inconsistency in list(inconsistencies(self._registry)):
            finding = Finding("registry", inconsistency.table, inconsistency.text)
            found.findings.append(finding)
            if repair and inconsistency.mend is not None:
                inconsistency.mend()
                finding.done = "mended"
        if repair:
            self._repair(temporary, orphans, folders)
            if forget_missing:
                self._forget(broken)
        elif cut_off := going & set(self._registry.trash.going(_BATCH)):
            count = f"{len(cut_off)}{' or more' if len(cut_off) == _BATCH else ''}"
            found.findings.append(Finding("half-deleted", "trash", f"{count} removals were begun and cut off"))
        if lost := lost_inputs(self._registry):
            found.notes.append(f"{lost} datasets that quanta read or made are gone for good")
        return found

    # Files that datasets have

    def _compare(
        self, files: Mapping[str, StoredFile], listed: Mapping[Store, list[ListedFile]], checksums: bool
    ) -> dict[str, tuple[str, str]]:
        """Return the kind of fault, and what it is, of files that are not what was written, by their paths."""
        sizes: dict[str, set[int]] = {}
        for entries in listed.values():
            for entry in entries:
                sizes.setdefault(entry.name, set()).add(entry.size)
        unseen = [file for path, file in files.items() if file.size not in sizes.get(path, ())]
        wrong: dict[str, tuple[str, str]] = {}
        with ThreadPoolExecutor(16) as pool:
            for file, said in zip(unseen, pool.map(self._looked_at, unseen), strict=True):
                if said is not None:
                    wrong[file.path] = said
        if checksums:
            rest = [file for path, file in files.items() if path not in wrong]
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                read = pool.map(self._read, rest)
                for file, said in zip(track(rest, "Reading"), read, strict=True):
                    self._found.checksums += said is None and file.checksum is not None
                    if said is not None:
                        wrong[file.path] = said
        return wrong

    def _looked_at(self, file: StoredFile) -> tuple[str, str] | None:
        """Return what is wrong with the length of a file that is not where its store lists it."""
        try:
            sizes = self._datastore.sizes(file)
        except OSError as error:
            return "unreadable", str(error)
        if file.size in sizes:
            return None
        where = self._datastore.uri(file)
        if not sizes:
            return "missing", f"{where} is gone; {file.size} bytes were recorded for it"
        return "size", f"{where} has {sizes[0]} bytes, but {file.size} were recorded for it"

    def _read(self, file: StoredFile) -> tuple[str, str] | None:
        """Return what is wrong with the content of a file."""
        try:
            self._datastore.verify(file)
        except FileIntegrityError as error:
            return "checksum", str(error)
        except OSError as error:
            return "unreadable", str(error)
        return None

    def _told(
        self, records: Iterable[tuple[uuid.UUID, StoredFile, bool]], wrong: Mapping[str, tuple[str, str]]
    ) -> dict[uuid.UUID, Finding]:
        """Return what is wrong with datasets, but for those that have been removed meanwhile."""
        broken: dict[uuid.UUID, Finding] = {}
        for one, file, in_trash in records:
            if file.path not in wrong:
                continue
            kind, text = wrong[file.path]
            if in_trash:
                self._found.notes.append(f"a dataset in the trash (id {one}) cannot be restored: {text}")
            elif file in self._registry.datasets.files(one):
                broken[one] = Finding(kind, file.path, text, f"{file.storage_class} {one}")
        return broken

    # Files that no dataset has

    def _stores(self) -> list[Store]:
        """Return the places whose files can be listed."""
        for root in self._datastore.roots:
            if not root.store.listable:
                self._found.notes.append(f"{root.store.location} cannot be listed: only its datasets' files are known")
        return [root.store for root in self._datastore.roots if root.store.listable]

    def _listing(self, store: Store) -> Iterator[ListedFile]:
        """Yield a store's files, but for those of other places and other repositories in its folders."""
        others = [f"{other}/" for other in self._within(store)]
        files = [f for f in track(store.listing(), "Listing") if not f.name.startswith(tuple(others))]
        nested = [f.name.removesuffix(FILE_NAME) for f in files if f.name.endswith(f"/{FILE_NAME}")]
        for file in files:
            if nested and file.name.startswith(tuple(nested)):
                self._found.foreign.append(store.uri(file.name))
            else:
                yield file

    def _within(self, store: Store) -> Iterator[str]:
        """Yield the names of folders in a store that are other places: its chain's, or the cache."""
        cache = self._datastore.cache
        if isinstance(store, LocalStore):
            folders = [other.store.folder for other in self._datastore.roots if isinstance(other.store, LocalStore)]
            for folder in [*folders, *([cache.folder] if cache is not None else [])]:
                if folder != store.folder and folder.is_relative_to(store.folder):
                    yield folder.relative_to(store.folder).as_posix()
        for other in self._datastore.roots:
            if other.store.location.startswith(f"{store.location}/"):
                yield other.store.location.removeprefix(f"{store.location}/")

    def _unnamed(
        self, listed: Mapping[Store, list[ListedFile]], named: set[str]
    ) -> tuple[list[tuple[Store, ListedFile]], list[ListedFile]]:
        """Return what crashes have left: files that are not whole, and whole ones that no record names."""
        types = set(self._registry.catalog.dataset_types)
        files = {
            (store, file.name): file for store, entries in listed.items() for file in entries if file.name not in named
        }
        still = self._registry.datasets.paths_kept([name for _, name in files])
        temporary: list[tuple[Store, ListedFile]] = []
        orphans: list[ListedFile] = []
        for (store, name), file in files.items():
            is_temporary = _TEMPORARY.fullmatch(name.rpartition("/")[2]) is not None
            is_ours = self._is_own(store) and dataset_type_of(name) in types
            if name in still or self._is_of_repository(store, name):
                continue
            if not (is_temporary or is_ours):
                self._found.foreign.append(store.uri(name))
            elif file.modified > self._before:
                self._found.young.append(store.uri(name))
            elif is_temporary:
                temporary.append((store, file))
            else:
                orphans.append(file)
        self._found.findings += [
            Finding("temporary", f.name, "a file was begun and never finished") for _, f in temporary
        ]
        self._found.findings += [Finding("orphan", f.name, "no dataset has this file") for f in orphans]
        return temporary, orphans

    def _is_own(self, store: Store) -> bool:
        """Whether what lies in a store, and is named as a dataset's file, cannot be another repository's."""
        own_folder = isinstance(store, LocalStore) and store.folder.is_relative_to(self._root)
        return self._everywhere or own_folder or isinstance(store, MemoryStore)

    def _is_of_repository(self, store: Store, name: str) -> bool:
        """Whether a file is the repository's configuration or database."""
        path, database = store.local_path(name), self._registry.database.path
        if path is None:
            return False
        return Path(path) == self._root / FILE_NAME or (database is not None and path.startswith(str(database)))

    def _empty_folders(self) -> list[tuple[LocalStore, Finding]]:
        """Return folders that hold nothing, and that removals have left or writers have made."""
        types = set(self._registry.catalog.dataset_types)
        runs = {"/".join(map(escape, run.split("/"))) for run in runs_known(self._registry) if run}
        found: list[tuple[LocalStore, Finding]] = []
        for store in self._stores_on_disk():
            others = tuple(f"{other}/" for other in self._within(store))
            for name, changed in store.empty_folders():
                ours = not types.isdisjoint(name.split("/")) or any(f"{run}/".startswith(f"{name}/") for run in runs)
                if not f"{name}/".startswith(others) and ours and changed <= self._before:
                    found.append((store, Finding("empty folder", name, "nothing is in it")))
        self._found.findings += [finding for _, finding in found]
        return found

    def _stores_on_disk(self) -> list[LocalStore]:
        return [root.store for root in self._datastore.roots if isinstance(root.store, LocalStore) and root.changes]

    # Repairs

    def _repair(
        self,
        temporary: list[tuple[Store, ListedFile]],
        orphans: list[ListedFile],
        folders: list[tuple[LocalStore, Finding]],
    ) -> None:
        """Remove what crashes have left, and finish what they cut off."""
        for store, file in temporary:
            store.remove(file.name)
        finished = self._trash.finish(wait=True)
        for start in range(0, len(orphans), _BATCH):
            chunk = orphans[start : start + _BATCH]
            self._registry.trash.adopt([StoredFile(file.name, "", "", file.size) for file in chunk])
        self._trash.finish(wait=True)
        if finished:
            text = f"{finished} removals were begun and cut off"
            self._found.findings.append(Finding("half-deleted", "trash", text, done="finished"))
        for store, finding in folders:
            store.remove_folder(finding.where)
        for finding in self._found.findings:
            if finding.kind in ("temporary", "orphan", "empty folder"):
                finding.done = "removed"

    def _forget(self, broken: Mapping[uuid.UUID, Finding]) -> None:
        """Move datasets that cannot be read into the trash."""
        sure = {one: f for one, f in broken.items() if f.kind != "unreadable"}  # a server that is away comes back
        self._trash.remove(list(sure))
        for finding in sure.values():
            finding.done = "moved to the trash"
