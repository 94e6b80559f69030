"""Taking what comes from elsewhere into a repository: what contradicts it is told first, and all comes, or nothing."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from ...model.collections import CollectionType
from ...model.contents import Contents
from ...model.datasets import DatasetRef, FileDataset, StoredFile
from ...model.errors import (
    ConflictingDefinitionError,
    DatasetExistsError,
    DatasetNotFoundError,
    FileIntegrityError,
    ReadOnlyError,
)
from ...model.records import DimensionRecord
from ...model.timespan import Timespan
from ...model.wording import counted
from ...registry import bulk
from ...registry.dimension_records import differing
from ...storage.atomic import FolderFlushes
from ...storage.bundles import member_of
from ...storage.intake import TakenFile
from ..progress import track

if TYPE_CHECKING:
    from ...storage.datastore import Datastore
    from ..exchanging import ButlerExchange

__all__ = ["FileSource", "Received", "Taken", "receive"]

_SHOWN = 5
"""How many contradictions are told at once."""


@dataclass(frozen=True, slots=True)
class Received:
    """What came into a repository, or would."""

    datasets: int
    """Datasets that are new."""
    known: int
    """Datasets that were there already."""
    records: int
    """Dimension records that are new."""
    dataset_types: int
    """Dataset types that are new."""
    collections: int
    """Collections that are new."""
    unreadable: tuple[str, ...] = ()
    """Dataset types whose datasets cannot be read here: their storage classes are not known."""

    def __str__(self) -> str:
        locked = (
            f"; {', '.join(self.unreadable)} cannot be read until their storage classes are known"
            if self.unreadable
            else ""
        )
        there = f" ({self.known} were there already)" if self.known else ""
        others = {"dimension record": self.records, "dataset type": self.dataset_types, "collection": self.collections}
        said = ", ".join(counted(count, noun) for noun, count in others.items())
        return f"{counted(self.datasets, 'dataset')}{there}, {said}{locked}"


Taken = tuple[StoredFile, TakenFile]
"""A file where it came from, and the same in the datastore."""


class FileSource(Protocol):
    """Where the files lie that come along."""

    reads_headers: bool
    """Whether header values are read of the files, because nothing says them."""

    def check(self, files: Iterable[StoredFile]) -> None:
        """Raise where files are not where they should be; nothing has been done yet."""

    def take(self, files: Sequence[tuple[StoredFile, DatasetRef]], flushes: FolderFlushes) -> Iterator[Taken]:
        """Bring files, each with the first of its datasets, into the datastore, and yield each as it is done."""

    def finish(self) -> None:
        """Do what is to be done once all of it is committed."""


class _Undone(Exception):  # noqa: N818 - it is none
    """What was tried has worked, and is undone."""


def receive(
    butler: ButlerExchange,
    contents: Contents,
    source: FileSource,
    *,
    skip_existing: bool = False,
    dry_run: bool = False,
) -> Received:
    """Take what comes from elsewhere into a repository.

    Parameters
    ----------
    butler
        The repository.
    contents
        What comes, in the words of its dimensions.
    source
        Where its files lie.
    skip_existing
        Whether datasets that are there already are passed over.
    dry_run
        Whether all is tried, but for the files, and nothing is changed.

    Raises
    ------
    ConflictingDefinitionError
        What comes contradicts what is there; shows both.
    DatasetExistsError
        A dataset is there already.
    """
    if not butler.registry.database.writeable:
        raise ReadOnlyError(f"{butler!r} was opened for reading only.")
    new, known = _new_datasets(butler, contents, skip_existing)
    missing = _check_definitions(butler, contents)
    files: dict[StoredFile, list[DatasetRef]] = {}
    for ref, file in new:
        if file is not None:
            files.setdefault(file, []).append(ref)
    for file, refs in files.items():
        butler.datastore.formatter_name(member_of(file.formatter)[0], refs[0].dataset_type.storage_class)
    source.check(files)
    catalog = butler.registry.catalog
    report = Received(
        len(new), known, sum(map(len, missing.values())),
        sum(kind.name not in catalog.dataset_types for kind in contents.dataset_types),
        len({*(info.name for info in contents.collections), *(ref.run for ref, _ in new)} - catalog.collections.keys()),
        tuple(f"{kind.name} ({kind.storage_class.name})" for kind in contents.dataset_types
              if not butler.registry.storage_classes.named(kind.storage_class.name).is_known),
    )  # fmt: skip
    owned: list[StoredFile] = []
    kept: dict[StoredFile, StoredFile] = {}
    headers, flushes = dict(contents.headers), FolderFlushes()
    with butler._journal.owning(owned):
        asked = [] if dry_run else [(file, refs[0]) for file, refs in files.items()]
        for _, (file, taken) in zip(track(asked, "Taking files"), source.take(asked, flushes), strict=True):
            kept[file] = taken.stored
            if taken.is_new:
                owned.append(taken.stored)
            _compare(file, taken.stored, butler.datastore)
            if source.reads_headers:
                given = FileDataset(file.path, files[file])
                headers |= butler.header_keys.of_file(given, taken.stored, butler.datastore)
        flushes.flush()
        items = [
            (ref, None if dry_run or file is None else replace(kept[file], storage_class=file.storage_class))
            for ref, file in new
        ]
        try:
            with butler._journal.transaction():
                _write(butler, contents, items, missing, headers)
                if dry_run:
                    raise _Undone
        except _Undone:
            return report
    source.finish()
    return report


def _compare(said: StoredFile, taken: StoredFile, datastore: Datastore) -> None:
    """Raise where a file is not what is said of it; of a bundle, its source has looked at each member."""
    if member_of(said.formatter)[1] or said.size < 0:
        return
    if (taken.size, taken.checksum) == (said.size, said.checksum or taken.checksum):
        return
    found = f"{taken.size} bytes and the checksum {taken.checksum}"
    if taken.size == said.size and _kind_of_checksum(taken) != _kind_of_checksum(said):
        try:
            datastore.verify(replace(taken, checksum=said.checksum))
        except FileIntegrityError as error:
            found = f"other content ({error})"
        else:
            return
    raise FileIntegrityError(
        f"the file {said.path} has {found}; {said.size} bytes and {said.checksum} were recorded for it, where it comes "
        "from."
    )


def _kind_of_checksum(file: StoredFile) -> str:
    return (file.checksum or "").partition(":")[0]


def _new_datasets(
    butler: ButlerExchange, contents: Contents, skip_existing: bool
) -> tuple[list[tuple[DatasetRef, StoredFile | None]], int]:
    """Return the datasets that are not there yet, and the number of those that are.

    Raises
    ------
    ConflictingDefinitionError
        Another dataset has the id of one, or is in the place of one.
    DatasetExistsError
        One is there already, and that is not to be passed over.
    """
    there = bulk.identities(butler.registry, [ref.id for ref, _ in contents.datasets])
    new, wrong = [], []
    seen: dict[uuid.UUID, DatasetRef] = {}
    places: dict[tuple[str, str], dict[tuple[object, ...], uuid.UUID]] = {}
    for ref, file in contents.datasets:
        if seen.setdefault(ref.id, ref) is not ref:
            wrong.append(f"{ref} and {seen[ref.id]} have one id, {ref.id}.")
            continue
        values = ref.data_id.required_values
        if (known := there.get(ref.id)) is not None:
            if known != (ref.dataset_type.name, ref.run, values):
                wrong.append(f"{ref} has the id {ref.id}, which here is of {known[0]} {known[2]} in {known[1]!r}.")
            continue
        place = ref.dataset_type.name, ref.run
        if place not in places:
            places[place] = bulk.data_ids_in_run(butler.registry, *place)
        if (other := places[place].setdefault(values, ref.id)) != ref.id:
            wrong.append(f"{ref} has the id {ref.id}; {ref.run!r} has another dataset there, of id {other}.")
        new.append((ref, file))
    _tell(wrong)
    if there and not skip_existing:
        first = next(ref for ref, _ in contents.datasets if ref.id in there)
        raise DatasetExistsError(
            f"{len(there)} of {len(contents.datasets)} datasets are there already, such as {first}; skip_existing=True "
            "(--skip-existing) passes over them."
        )
    return new, len(there)


def _check_definitions(butler: ButlerExchange, contents: Contents) -> dict[str, list[DimensionRecord]]:
    """Return the dimension records that are not there yet.

    Raises
    ------
    ConflictingDefinitionError
        A dataset type, a collection or a record is there, and is another.
    """
    registry, catalog = butler.registry, butler.registry.catalog
    wrong = [
        f"{known} is registered here; {kind} is given."
        for kind in contents.dataset_types
        if (known := catalog.dataset_types.get(kind.name)) not in (None, kind)
    ]
    wrong += [
        f"collection {info.name!r} is {row.type.name} here; {info.type.name} is given."
        for info in contents.collections
        if (row := catalog.collections.get(info.name)) is not None and row.type is not info.type
    ]
    missing = {}
    for name, records in contents.records.items():
        element = registry.universe[name]
        by_key: dict[tuple[object, ...], DimensionRecord] = {}
        for record in records:
            other = by_key.setdefault(record.values[: len(element.required)], record)
            if other != record:
                wrong.append(differing(other, record))
        there = bulk.records_by_key(registry, element, by_key)
        wrong += [differing(old, by_key[key]) for key, old in there.items() if old != by_key[key]]
        missing[name] = [record for key, record in by_key.items() if key not in there]
    _tell(wrong)
    return missing


def _tell(wrong: list[str]) -> None:
    if wrong:
        more = f"\n… and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ConflictingDefinitionError(
            "what is given contradicts this repository, and nothing was changed:\n" + "\n".join(wrong[:_SHOWN]) + more
        )


def _write(
    butler: ButlerExchange,
    contents: Contents,
    items: list[tuple[DatasetRef, StoredFile | None]],
    records: dict[str, list[DimensionRecord]],
    headers: dict[uuid.UUID, dict[str, object]],
) -> None:
    """Register all of it, in an open transaction."""
    registry, collections = butler.registry, butler.registry.collections
    for kind in contents.dataset_types:
        registry.register_dataset_type(kind)
    for info in contents.collections:
        collections.register(info.name, info.type, info.doc)
    for info in contents.collections:
        if info.type is CollectionType.CHAINED:  # what is searched here already is searched first
            known = collections.info(info.name).children
            collections.extend_chain(info.name, [child for child in info.children if child not in known])
    for run in dict.fromkeys([*(ref.run for ref, _ in items), *(quantum.run for quantum in contents.quanta)]):
        collections.register(run, CollectionType.RUN)
    for name, rows in records.items():
        registry.dimension_records.insert(name, rows)
    count: dict[str, int] = defaultdict(int)
    for _, file in items:
        count["" if file is None else file.path] += 1
    alone = [(ref, file) for ref, file in items if file is None or count[file.path] == 1]
    shared = [(ref, file) for ref, file in items if file is not None and count[file.path] > 1]
    dates = contents.ingest_dates
    registry.datasets.insert(alone, headers=headers, dates=dates)
    registry.datasets.insert(shared, shared=True, headers=headers, dates=dates)
    registry.record_quanta(contents.quanta, skip_existing=True)
    by_id = {ref.id: ref for ref, _ in contents.datasets}
    for name, held in contents.tags.items():
        collections.tag(name, _refs(by_id, held, name))
    for name, ref, timespan in _new_validities(butler, contents, by_id):
        collections.certify(name, ref, timespan)
    new = {ref.id for ref, _ in items}
    registry.annotations.insert({id_: noted for id_, noted in contents.annotations.items() if id_ in new})


def _refs(by_id: dict[uuid.UUID, DatasetRef], ids: list[uuid.UUID], collection: str) -> list[DatasetRef]:
    if lost := [id_ for id_ in ids if id_ not in by_id]:
        raise DatasetNotFoundError(f"{collection!r} holds the dataset of id {lost[0]}, which is not given.")
    return [by_id[id_] for id_ in ids]


def _new_validities(
    butler: ButlerExchange, contents: Contents, by_id: dict[uuid.UUID, DatasetRef]
) -> Iterator[tuple[str, list[DatasetRef], Timespan]]:
    """Yield what is to be certified in each collection, but for what is certified just so already."""
    there = bulk.validities_of(butler.registry, by_id.values()) if contents.validities else {}
    for name, held in contents.validities.items():
        by_span: dict[Timespan, list[uuid.UUID]] = defaultdict(list)
        known = set(there.get(name, ()))
        for id_, timespan in held:
            if (id_, timespan) not in known:
                by_span[timespan].append(id_)
        for timespan, ids in by_span.items():
            yield name, _refs(by_id, ids, name), timespan
