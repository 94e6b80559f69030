"""Parquet files of catalogs, opened together: what columns they have, and one pyarrow dataset of all."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pds
from pyarrow.fs import LocalFileSystem

from ..imaging.arrow_columns import LENGTH, SHAPE
from ..model.datasets import DatasetRef
from ..model.errors import FileFormatError, StorageClassError
from ..storage.formatters.parquet_parts import fetch_footers, fetch_parts
from .progress import track

__all__ = ["PLACE", "CatalogFiles"]

PLACE = "__fragment_index"
"""The column in which Arrow says which of a dataset's files a row is from."""
_AT_ONCE = 50
"""Files that a thread opens before it takes others."""


class CatalogFiles:
    """Files of catalogs, and the data ID of each.

    Parameters
    ----------
    refs
        The datasets.
    sources
        What reads the file of each: a path, or a `RemoteFile`.
    ids
        Values of the data-ID columns that are wanted, a dataset each.
    filtered
        Whether filters, or whoever gets the dataset, may speak of them: pyarrow then knows them of each file, which
        costs it as much time as it takes to read a small one. Otherwise `table` adds them in the end.

    Raises
    ------
    FileFormatError
        A file cannot be read; names the dataset.
    """

    def __init__(
        self, refs: Sequence[DatasetRef], sources: Sequence[Any], ids: Mapping[str, Sequence[Any]], filtered: bool
    ):
        self.refs = refs
        self._known = filtered
        options = pds.ParquetFragmentScanOptions(pre_buffer=False)  # all is near, or in memory
        self._format = pds.ParquetFileFormat(default_fragment_scan_options=options)
        self.ids = dict(ids)
        """Values of the data-ID columns, without those that the catalogs have themselves."""
        far = {number: source for number, source in enumerate(sources) if not isinstance(source, Path)}
        self._parts = dict(zip(far, fetch_footers(far.values()), strict=True))
        """Those that are not on this machine, by their places among all."""
        self._open(sources)
        if taken := [name for name in self.ids if any(name in schema.names for schema, _ in self._schemas)]:
            for name in taken:  # a column of the catalogs' own goes before
                del self.ids[name]
            if self._known:
                self._open(sources)

    def _open(self, sources: Sequence[Any]) -> None:
        """Open the files, and note the schemas that they have."""
        files = LocalFileSystem()
        self._fragments = []
        for number, (source, guarantee) in enumerate(zip(sources, self._guarantees(), strict=True)):
            if number in self._parts:
                opened = self._parts[number].open()
                self._fragments.append(self._format.make_fragment(opened, partition_expression=guarantee))
            else:
                self._fragments.append(self._format.make_fragment(str(source), files, guarantee))
        starts = range(0, len(self._fragments), _AT_ONCE)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for part in track([pool.submit(self._read_footers, start) for start in starts], "Opening catalogs"):
                part.result()
        self._schemas: list[tuple[pa.Schema, DatasetRef]] = []
        """Each schema that a catalog has and the one before it has not, and the first dataset that has it."""
        for fragment, ref in zip(self._fragments, self.refs, strict=True):
            if not self._schemas or not fragment.physical_schema.equals(self._schemas[-1][0]):
                self._schemas.append((fragment.physical_schema, ref))

    def _guarantees(self) -> Iterator[Any]:
        """Yield what is known of every row of each catalog: its data ID."""
        for number in range(len(self.refs)):
            terms = [pds.field(name) == values[number] for name, values in self.ids.items() if self._known]
            yield reduce(operator.and_, terms) if terms else None

    def _read_footers(self, start: int) -> None:
        for number in range(start, min(start + _AT_ONCE, len(self._fragments))):
            try:
                self._fragments[number].ensure_complete_metadata()
            except (pa.ArrowException, OSError) as error:
                raise FileFormatError(f"{self.refs[number]} cannot be read: {error}") from error

    @property
    def id_columns(self) -> list[str]:
        """The data-ID columns that the dataset has."""
        return list(self.ids) if self._known else []

    @property
    def added_last(self) -> bool:
        """Whether `table` adds the data-ID columns, by the column `PLACE` that must have been read for it."""
        return bool(self.ids) and not self._known

    @property
    def names(self) -> list[str]:
        """All columns that there are: data-ID columns, then those of the first catalog, then what others have more."""
        return list(dict.fromkeys([*self.ids, *(name for schema, _ in self._schemas for name in schema.names)]))

    def dataset(self, needed: set[str] | None, fill_missing: bool, condition: Any = None) -> pds.Dataset:
        """Return the files as one dataset; of those that are not on this machine, fetch what will be read.

        Parameters
        ----------
        needed
            The columns that will be read; all where None.
        fill_missing
            Whether catalogs may lack some, or have them in other types.
        condition
            The pyarrow expression by which rows will be chosen; None where all are.

        Raises
        ------
        StorageClassError
            The columns of some differ, and may not; or are of types that nothing can be made of.
        """
        schema = self._schemas[0][0]
        if len(self._schemas) > 1:
            schema = self._union() if fill_missing else self._common(needed)
        kept = {
            key: text
            for key, text in (schema.metadata or {}).items()
            if key.startswith((SHAPE.encode(), LENGTH.encode()))
        }
        text = pa.dictionary(pa.int32(), pa.string())
        added = [
            pa.field(name, text if isinstance(values[0], str) else pa.int64())
            for name, values in self.ids.items()
            if self._known
        ]
        whole = pa.schema([*added, *schema], kept or None)
        self._fetch(needed, condition, whole)
        return pds.FileSystemDataset(self._fragments, whole, self._format, LocalFileSystem())

    def _fetch(self, needed: set[str] | None, condition: Any, schema: pa.Schema) -> None:
        """Fetch column chunks of the files that are not on this machine: those of row groups that may be chosen."""
        wanted = []
        for number, parts in self._parts.items():
            groups = None
            if condition is not None:
                chosen = self._fragments[number].subset(condition, schema=schema)
                groups = {group.id for group in chosen.row_groups}
            wanted.append((parts, needed, groups))
        fetch_parts(wanted)

    def table(self, scanner: pds.Scanner) -> pa.Table:
        """Return all that a scanner reads, showing on a terminal how far it is, with the data-ID columns."""
        if sys.stderr.isatty():
            batches = [each.record_batch for each in track(scanner.scan_batches(), "Reading catalogs")]
            table = pa.Table.from_batches(batches, schema=scanner.projected_schema)
        else:
            table = scanner.to_table()
        if not self.added_last:
            return table
        rows = table[PLACE].to_numpy()
        table = table.drop_columns([PLACE])
        for place, (name, values) in enumerate(self.ids.items()):
            table = table.add_column(place, name, _repeated(values, rows))
        return table

    def _union(self) -> pa.Schema:
        """Return the schema that takes all catalogs in."""
        whole, first = self._schemas[0]
        for schema, ref in self._schemas[1:]:
            try:
                whole = pa.unify_schemas([whole, schema], promote_options="permissive")
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise StorageClassError(f"{ref} does not go with {first}: {error}") from error
        return whole

    def _common(self, needed: set[str] | None) -> pa.Schema:
        """Return the first schema, if all catalogs have the columns that are needed, of the same types."""
        schema, first = self._schemas[0]
        for other, ref in self._schemas[1:]:
            for name in dict.fromkeys([*schema.names, *other.names]) if needed is None else needed - self.ids.keys():
                has, wants = (each.field(name).type if name in each.names else None for each in (other, schema))
                if has == wants:
                    continue
                one, another = (first, ref) if has is None or wants is not None else (ref, first)
                if has is None or wants is None:
                    what = f"{another} has no column {name!r}, which {one} has"
                else:
                    what = f"the column {name!r} is {has} in {ref}, and {wants} in {first}"
                raise StorageClassError(f"{what}; fill_missing=True takes null, or the wider type, there.")
        return schema


def _repeated(values: Sequence[Any], rows: np.ndarray[Any, Any]) -> pa.Array:
    """Return a data-ID column, given the value of each catalog and the catalog that each row is of."""
    if not isinstance(values[0], str):
        return pa.array(np.asarray(values, np.int64)[rows])
    names = list(dict.fromkeys(values))
    place = {name: number for number, name in enumerate(names)}
    codes = np.asarray([place[value] for value in values], np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes[rows]), pa.array(names))
