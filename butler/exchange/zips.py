"""Zip bundles: datasets, and all that must be known of them, in one file that is read where it lies.

A bundle holds the files of datasets, the tables that an export has (``_skybutler/records/visit.parquet``, …) and its
document as JSON (``_skybutler/index.json``). Bundles of LSST's butler (``_butler_zip_index.json``) are read, too.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...model.contents import Contents
from ...model.datasets import DatasetRef, FileDataset, StoredFile
from ...model.errors import FileFormatError, FileIntegrityError
from ...storage.atomic import FolderFlushes, HashingFile, write_whole
from ...storage.bundles import BundleStore, as_member, member_of, write_bundle
from ...storage.intake import TakenFile
from ...storage.stores.local import LocalStore
from ..progress import track
from .export import read_table
from .gather import gather
from .receive import Received, Taken, receive
from .retrieve import files_with_names
from .tables import from_tables, to_tables

if TYPE_CHECKING:
    from ..exchanging import ButlerExchange

__all__ = ["ingest_bundle", "retrieve_bundle"]

_OWN = "_skybutler/"
_INDEX = f"{_OWN}index.json"
_LSST_INDEX = "_butler_zip_index.json"
_LARGEST = 1 << 29
"""Bytes of an index, or a table, that is read into memory."""


def retrieve_bundle(
    butler: ButlerExchange, refs: Iterable[DatasetRef], path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a bundle; parameters and errors are those of `Butler.retrieve_zip`."""
    target = Path(path).absolute()
    if target.suffix != ".zip":
        raise FileFormatError(f"a bundle is a file whose name ends in .zip, not {target.name!r}.")
    contents = gather(butler.registry, refs)
    named = files_with_names(butler, [ref for ref, _ in contents.datasets])
    members = {name: file for _, file, name in named}
    said = []
    for ref, file, name in named:
        part = butler.datastore.holder(file)[1]
        said.append((ref, replace(part, path=name, checksum=file.checksum if part is file else None)))
    head, tables = to_tables(replace(contents, datasets=list(said)))
    index = json.dumps(head, indent=1, ensure_ascii=False).encode()

    def parts() -> Iterator[tuple[str, int, Iterable[bytes]]]:
        yield _INDEX, len(index), [index]
        for name, table in tables.items():
            data = _parquet(table)
            yield f"{_OWN}{name}.parquet", len(data), [data]
        for name, file in track(list(members.items()), "Copying files"):
            yield name, butler.datastore.holder(file)[1].size, butler.datastore.stream(file)

    try:
        write_whole(str(target), partial(write_bundle, members=parts()), replace=overwrite, durable=False)
    except FileExistsError:
        raise FileExistsError(f"{target} is there already; pass overwrite=True (--overwrite) to replace it.") from None
    return target


def _parquet(table: Any) -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def ingest_bundle(
    butler: ButlerExchange,
    path: str | os.PathLike[str],
    *,
    transfer: str = "auto",
    skip_existing: bool = False,
    dry_run: bool = False,
) -> Received:
    """Take a bundle into a repository; parameters and errors are those of `Butler.ingest_zip`."""
    from .lsst_export import read_lsst_index

    source = Path(path).absolute()
    if not source.is_file():
        raise FileNotFoundError(f"there is no bundle {source}.")
    butler.datastore.check_transfer(source, transfer)
    store = BundleStore(LocalStore(source.parent), source.name, source.stat().st_size)
    if (size := store.size(_INDEX)) is not None:
        head = _json(store, _INDEX, size)
        contents = from_tables(head, _tables(store, head), butler.registry, str(source))
    elif (size := store.size(_LSST_INDEX)) is not None:
        contents = read_lsst_index(_json(store, _LSST_INDEX, size), str(source), butler.registry)
    else:
        raise FileFormatError(f"{source} is no bundle: it has neither {_INDEX} nor {_LSST_INDEX}.")
    files = _Bundle(butler, source, store, transfer)
    return receive(butler, _as_members(contents), files, skip_existing=skip_existing, dry_run=dry_run)


def _as_members(contents: Contents) -> Contents:
    """Return datasets whose files are all one bundle, of which each has a member."""
    datasets = [
        (ref, None if file is None else replace(file, path="", formatter=as_member(file.formatter, file.path)))
        for ref, file in contents.datasets
    ]
    return replace(contents, datasets=list(datasets))


def _json(store: BundleStore, name: str, size: int) -> Any:
    try:
        return json.loads(_bytes(store, name, size))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{store.uri(name)} is no JSON: {error}") from error


def _bytes(store: BundleStore, name: str, size: int) -> bytes:
    if size > _LARGEST:
        raise FileFormatError(f"{store.uri(name)} has {size} bytes; up to {_LARGEST} are read into memory.")
    return b"".join(store.stream(name))


def _tables(store: BundleStore, head: Any) -> dict[str, Any]:
    import pyarrow as pa

    tables = {}
    for name in head.get("tables", {}) if isinstance(head, dict) else ():
        member = f"{_OWN}{name}.parquet"
        if (size := store.size(member)) is not None:
            tables[name] = read_table(pa.BufferReader(_bytes(store, member, size)))
    return tables


class _Bundle:
    """The one file of a bundle; a `FileSource`."""

    reads_headers = False

    def __init__(self, butler: ButlerExchange, path: Path, store: BundleStore, transfer: str) -> None:
        self._datastore, self._after_commit = butler.datastore, butler._journal.after_commit
        self._path, self._store, self._transfer = path, store, transfer
        self._has_moved = False

    def check(self, files: Iterable[StoredFile]) -> None:
        """Compare each member with what the index says of it."""
        for file in files:
            _, member = member_of(file.formatter)
            sink = HashingFile(None)
            if file.checksum:
                sink.hash_as(file.checksum)
            for block in self._store.stream(member) if self._store.size(member) is not None else ():
                sink.write(block)
            if sink.size != file.size or (file.checksum and sink.checksum != file.checksum):
                raise FileIntegrityError(
                    f"{self._store.uri(member)} has {sink.size} bytes and the checksum {sink.checksum}; its index says "
                    f"{file.size} bytes and {file.checksum}."
                )

    def take(self, files: Sequence[tuple[StoredFile, DatasetRef]], flushes: FolderFlushes) -> Iterator[Taken]:
        """Take the one file, under the name of the first dataset."""
        if not files:
            return
        file, ref = files[0]
        asked = FileDataset(self._path, [ref], member_of(file.formatter)[0])
        how = "auto" if self._transfer == "move" else self._transfer
        ((kept, is_new),) = self._datastore.ingest_files([asked], how, flushes)
        self._has_moved = self._transfer == "move" and is_new
        for file, _ in files:
            yield file, TakenFile(replace(kept, formatter=file.formatter), is_new)
            is_new = False

    def finish(self) -> None:
        """Remove it from its old place, where it has moved."""
        if self._has_moved:
            self._after_commit([partial(os.unlink, self._path)])
