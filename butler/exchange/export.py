"""Exports: a folder with a YAML file, Parquet tables and files, from which any repository can take what is in it.

::

    export.yaml           what it is, dataset types, collections and chains, and which tables there are
    export.tables/        records/visit.parquet, datasets/calexp.parquet, tags.parquet, …
    export.files/         the datasets' files, under the paths that they have in the repository
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...model.contents import Contents
from ...model.datasets import DatasetRef, StoredFile
from ...model.errors import ConflictingDefinitionError, FileFormatError
from ...storage.atomic import write_whole
from ...storage.bundles import member_of
from ...storage.paths import escape
from ..progress import track
from .places import Within, name_of
from .tables import from_tables, to_tables

if TYPE_CHECKING:
    from ...registry.registry import Registry
    from ...storage.datastore import Datastore

__all__ = ["TRANSFERS", "find_export", "read_export", "read_table", "write_export"]

TRANSFERS = ("copy", "link", "direct", None)
_NAME = "export.yaml"
_LONGEST = 200
"""Bytes of a file's name, without its ending."""
_DENSEST = 200
"""How many times larger than its file a table of a stranger may be in memory."""
_SMALL = 1 << 26
"""Bytes in memory up to which that does not matter."""


def find_export(target: str | os.PathLike[str]) -> Path:
    """Return the YAML file of an export: a file that is named, or the one of a folder."""
    path = Path(target)
    return path if path.suffix in (".yaml", ".yml") and not path.is_dir() else path / _NAME


def write_export(
    contents: Contents, datastore: Datastore, target: str | os.PathLike[str], transfer: str | None
) -> Path:
    """Write an export; parameters and errors are those of `Butler.export`. The YAML file comes last."""
    if transfer not in TRANSFERS:
        raise ValueError(f"transfer={transfer!r} is not one of copy, link, direct, None.")
    path = find_export(target).absolute()
    tables_in, files_in = (path.with_suffix(f".{what}") for what in ("tables", "files"))
    if taken := [place for place in (path, tables_in, files_in) if os.path.lexists(place)]:
        raise ConflictingDefinitionError(f"{taken[0]} is there already; export to a new folder, or remove it first.")
    names = {name_of(ref, file): (ref, file) for ref, file in reversed(contents.datasets) if file is not None}
    if transfer in ("copy", "link"):
        for name, (_, file) in track(list(names.items()), "Copying files"):
            _bring(datastore, file, files_in / name, link=transfer == "link")
    contents = replace(
        contents,
        datasets=[
            (ref, None if file is None else _described(datastore, ref, file, transfer))
            for ref, file in contents.datasets
        ],
    )
    head, tables = to_tables(contents)
    head["files"] = {"copy": files_in.name, "link": files_in.name, "direct": "direct", None: "repository"}[transfer]
    for name, table in tables.items():
        place = tables_in / _file_of(name)
        write_whole(str(place), partial(_write_table, table), durable=False)
    import yaml

    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120)
    write_whole(str(path), partial(_write_text, text), durable=False)
    return path


def _file_of(table: str) -> str:
    """Return the name of a table's file; a dataset type's own may be too long for one."""
    return "/".join(part if len(part) <= _LONGEST else escape(part, _LONGEST) for part in table.split("/")) + ".parquet"


def _write_text(text: str, sink: Any) -> None:
    sink.write(text.encode())


def _write_table(table: pa.Table, sink: Any) -> None:
    pq.write_table(table, sink, compression="zstd")


def _bring(datastore: Datastore, file: StoredFile, target: Path, *, link: bool) -> None:
    if link and not member_of(file.formatter)[1]:
        try:
            source = datastore.path(file).resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(source)
            return
        except (ValueError, OSError):  # elsewhere, or on another file system
            pass
    write_whole(str(target), partial(datastore.fetch, file), durable=False)


def _described(datastore: Datastore, ref: DatasetRef, file: StoredFile, transfer: str | None) -> StoredFile:
    """Return what the export says of a file."""
    _, member = member_of(file.formatter)
    if transfer in ("copy", "link"):
        part = datastore.holder(file)[1]
        return replace(part, path=name_of(ref, file))
    if member:
        raise ValueError(f"{ref} lies in the bundle {datastore.uri(file)}: it can be exported by a copy only.")
    if transfer == "direct":
        uri = datastore.uri(file)
        return replace(file, path=str(datastore.path(file)) if uri.startswith("file://") else uri)
    return file


def read_export(path: Path, head: Any, registry: Registry) -> tuple[Contents, Path | str]:
    """Return what an export holds, and where its files lie: a folder, ``direct`` or ``repository``.

    Raises
    ------
    FileFormatError
        It is damaged, or names what is not below its folder.
    """
    folder = path.with_suffix(".tables")
    within = Within(folder)
    tables: dict[str, pa.Table] = {}
    listed, files = (head.get("tables"), head.get("files")) if isinstance(head, dict) else (None, None)
    if not isinstance(listed, dict) or not isinstance(files, str):
        raise FileFormatError(f"{path} is no export of SkyButler's: it does not say which tables and files it has.")
    for name, rows in listed.items():
        tables[name] = read_table(within(_file_of(name)))
        if tables[name].num_rows != rows:
            raise FileFormatError(f"{folder / name}.parquet has {tables[name].num_rows} rows; {path} says {rows!r}.")
    contents = from_tables(head, tables, registry, str(path))
    if files in ("direct", "repository"):
        return contents, files
    return contents, Within(path.parent).folder(files)


def read_table(source: Any) -> pa.Table:
    """Return a table out of a Parquet file of a stranger's.

    Raises
    ------
    FileFormatError
        It is no Parquet file, or is made to fill the memory.
    """
    try:
        with pq.ParquetFile(source) as file:
            footer = file.metadata
            size = source.stat().st_size if isinstance(source, Path) else source.size()
            needed = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
            width = 8 * footer.num_rows * footer.num_columns
            if max(needed, width) > max(_SMALL, _DENSEST * size):
                raise FileFormatError(
                    f"{source} has {size} bytes, and says that it holds {footer.num_rows} rows, {needed} bytes; that "
                    "is not read."
                )
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{source} is no Parquet file that can be read: {error}") from error
