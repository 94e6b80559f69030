"""Tables of every kind as Parquet, read by columns, row filters and slices."""

import json
from ast import literal_eval
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...imaging.arrow_columns import LENGTH, OWN, SHAPE, own_metadata
from ...model.errors import FileFormatError, InvalidQueryError, SkyButlerError, StorageClassError, closest
from ...model.provenance import says_provenance
from ..filters import AskedNames, row_filter
from ..tables import FEW_ROWS, from_arrow, index_columns, is_table, pandas_metadata, to_arrow
from .astropy_header import without_provenance
from .formatter import ByteSink, Formatter, check_parameters, no_component
from .parquet_parts import ParquetParts, fetch_footers, fetch_parts
from .parquet_types import as_parquet_has_it, as_was_written

if TYPE_CHECKING:
    from ...model.storage_class import StorageClass
    from ..stores.ranges import RemoteFile

__all__ = ["ParquetFormatter", "chosen_columns"]

_ROW_COUNT = b"lsst::arrow::rowcount"
_OF_A_DATASET = ("dataset_type", "data_id", "run", "id", "quantum", "n_inputs", "inputs")
_YAML = b"table_meta_yaml"

_COMPONENTS = ("schema", "columns", "rowcount")
_PARAMETERS = ("columns", "filters", "rows")
_SMALL = 1 << 25  # bytes


class ParquetFormatter(Formatter):
    """Writes any table as one Parquet file; any such file reads back as a table of any kind.

    Parameters of `read`:

    * ``columns``: a name or a list of names and globs (``"psf_*"``), in the order wanted; a DataFrame keeps its index.
      Of columns with several levels, tuples, or a mapping from levels to values (a level left out: all of it).
    * ``filters``: see `skybutler.storage.filters`; row groups that cannot match are not read.
    * ``rows``: a slice of the rows (of those that the filters leave).
    """

    name = "parquet"
    suffix = ".parquet"
    reads_ranges = True

    def check(self, obj: Any, storage_class: "StorageClass") -> None:
        """Take a table of any kind: each becomes any other."""
        if not is_table(obj):
            storage_class.check(obj)
            raise StorageClassError(
                f"storage class {storage_class.name!r} takes a table with named columns, not a {type(obj).__name__} "
                "without"
            )

    def write(self, obj: Any, sink: ByteSink, storage_class: "StorageClass", provenance: Mapping[str, Any]) -> None:
        """Write the table."""
        table = as_parquet_has_it(to_arrow(obj))
        metadata = _fresh_metadata(table)
        own = {key: value for key, value in own_metadata(metadata).items() if key not in _OF_A_DATASET}
        if isinstance(said := own.get("metadata"), dict):
            own["metadata"] = {key: value for key, value in said.items() if not says_provenance(key)}
        metadata.pop(OWN, None)
        own |= provenance
        if own:
            metadata[OWN] = json.dumps(own, default=str).encode()
        try:
            # A small table leaves in one piece: Arrow writes each page of each column alone.
            small = table.nbytes < _SMALL
            target = pa.BufferOutputStream() if small else pa.PythonFile(sink, mode="w")
            pq.write_table(table.replace_schema_metadata(metadata), target, use_dictionary=_repetitive(table.schema))
            if small:
                sink.write(target.getvalue())
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise StorageClassError(f"this table cannot be kept as Parquet: {error}") from error

    def read(
        self,
        path: "Path | RemoteFile",
        storage_class: "StorageClass",
        component: str | None,
        parameters: Mapping[str, Any],
    ) -> Any:
        """Read the table, a part of it, or its schema, column names or number of rows (from the file's footer)."""
        check_parameters(parameters, _PARAMETERS, storage_class)
        parts = None if isinstance(path, Path) else fetch_footers([path])[0]
        try:
            if component is None and parameters.get("filters") is not None:
                table = _read_filtered(path, parts, storage_class, parameters)
            else:
                with pq.ParquetFile(parts.open() if parts else path, memory_map=parts is None) as file:
                    if component is not None:
                        return _component(file, component, storage_class)
                    columns = _wanted_columns(file.schema_arrow, path, storage_class, parameters)
                    table = _some_rows(file, parts, columns, _wanted_rows(parameters))
                    table = as_was_written(table, file.metadata.metadata)
        except (FileNotFoundError, SkyButlerError):
            raise
        except (pa.ArrowException, OSError) as error:
            raise FileFormatError(f"{path} is not a Parquet file that can be read: {error}") from error
        try:
            return from_arrow(table, storage_class.name)
        except FileFormatError as error:
            raise FileFormatError(f"{path}: {error}") from error


def _repetitive(schema: pa.Schema) -> list[str]:
    """Return the columns that a dictionary may make smaller: floating-point values hardly ever repeat."""
    return [field.name for field in schema if not (pa.types.is_floating(field.type) or pa.types.is_nested(field.type))]


def _fresh_metadata(table: pa.Table) -> dict[bytes, bytes]:
    """Return a schema's metadata, without what is no longer true of a table that was cut from another."""
    kept = {}
    for key, value in (table.schema.metadata or {}).items():
        name = key.decode("utf-8", "replace")
        prefix = next((prefix for prefix in (SHAPE, LENGTH) if name.startswith(prefix)), None)
        is_of_another = prefix is not None and name.removeprefix(prefix) not in table.column_names
        if not (is_of_another or says_provenance(name)):
            kept[key] = value
    if b"LSST.BUTLER." in kept.get(_YAML, b""):
        kept[_YAML] = without_provenance(kept[_YAML])
    kept[_ROW_COUNT] = str(table.num_rows).encode()
    return kept


def _component(file: pq.ParquetFile, component: str, storage_class: "StorageClass") -> Any:
    """Read from the footer alone."""
    match component:
        case "rowcount":
            return file.metadata.num_rows
        case "columns":
            index = index_columns(file.schema_arrow)
            return [name for name in file.schema_arrow.names if name not in index]
        case "schema":
            empty = as_was_written(file.schema_arrow.empty_table(), file.metadata.metadata)
            return (
                from_arrow(empty, storage_class.name).schema if storage_class.name == "SourceCatalog" else empty.schema
            )
    raise no_component(component, _COMPONENTS, storage_class)


def _wanted_columns(
    schema: pa.Schema, path: "Path | RemoteFile", storage_class: "StorageClass", parameters: Mapping[str, Any]
) -> list[str] | None:
    """Return the names of the columns that parameters ask for; None of all."""
    asked = parameters.get("columns")
    if asked is None:
        return None
    where = PurePath(str(path)).name
    if isinstance(asked, Mapping):
        columns = _of_levels(asked, schema, where)
    else:
        columns = chosen_columns(asked, schema.names, where)
    if storage_class.name == "DataFrame":
        columns += [name for name in index_columns(schema) if name not in columns]
    return columns


def _wanted_rows(parameters: Mapping[str, Any]) -> slice | None:
    """Return the rows that parameters ask for; None of all."""
    rows: slice | None = parameters.get("rows")
    if rows is not None and not isinstance(rows, slice):
        raise InvalidQueryError(f"rows={rows!r} is not a slice; for the first hundred rows give slice(100)")
    return rows


def _read_filtered(
    path: "Path | RemoteFile",
    parts: ParquetParts | None,
    storage_class: "StorageClass",
    parameters: Mapping[str, Any],
) -> pa.Table:
    """Read the rows that pass a filter, and no row groups without such; fetch these where the file is far away."""
    import pyarrow.dataset as pds
    from pyarrow.fs import LocalFileSystem

    options = pds.ParquetFragmentScanOptions(pre_buffer=False)  # all is near, or in memory
    parquet = pds.ParquetFileFormat(default_fragment_scan_options=options)
    where = (parts.open(),) if parts else (str(path), LocalFileSystem())
    file = parquet.make_fragment(*where)
    schema, metadata = file.physical_schema, file.metadata
    columns, rows = _wanted_columns(schema, path, storage_class, parameters), _wanted_rows(parameters)
    filters = parameters["filters"]
    names = AskedNames(schema.names)
    condition = row_filter(filters, names)
    try:
        if parts is not None:
            needed = None if columns is None or not names.asked else {*columns, *names.asked}
            fetch_parts([(parts, needed, {group.id for group in file.subset(condition).row_groups})])
        table = file.to_table(columns=columns, filter=condition, use_threads=metadata.num_rows > FEW_ROWS)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise InvalidQueryError(f"filters={filters!r} cannot be applied to {path}: {error}") from error
    if rows is not None:
        table = _taken(table, range(table.num_rows)[rows])
    return as_was_written(table, metadata.metadata)


def _some_rows(
    file: pq.ParquetFile, parts: ParquetParts | None, columns: list[str] | None, rows: slice | None
) -> pa.Table:
    """Read a slice of the rows from the row groups that hold it."""
    if rows is None:
        if parts is not None:
            fetch_parts([(parts, columns, None)])
        return file.read(columns, use_threads=file.metadata.num_rows > FEW_ROWS)
    total = file.metadata.num_rows
    wanted = range(total)[rows]
    if not wanted:
        return file.schema_arrow.empty_table() if columns is None else file.schema_arrow.empty_table().select(columns)
    first, last = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
    groups: list[int] = []
    begin = before = 0
    for number in range(file.metadata.num_row_groups):
        end = begin + file.metadata.row_group(number).num_rows
        if end > first and begin <= last:
            if not groups:
                before = begin
            groups.append(number)
        begin = end
    if parts is not None:
        fetch_parts([(parts, columns, groups)])
    table = file.read_row_groups(groups, columns)
    return _taken(table, range(wanted.start - before, wanted.stop - before, wanted.step))


def _taken(table: pa.Table, wanted: range) -> pa.Table:
    if wanted.step == 1:
        return table.slice(wanted.start, len(wanted))
    return table.take(pa.array(wanted, pa.int64()))


def chosen_columns(columns: Any, names: Sequence[str], where: str) -> list[str]:
    """Return the names of the columns that names and globs mean, in that order and each once.

    Parameters
    ----------
    columns
        A name or glob, or several; what is no text means the column of that text.
    names
        The columns that there are.
    where
        What has them, for the message.

    Raises
    ------
    InvalidQueryError
        If there is no such column.
    """
    found: dict[str, None] = {}
    one = isinstance(columns, str) or str(columns) in names  # a tuple is one name, where pandas has levels
    for asked in [columns] if one or not isinstance(columns, Sequence) else columns:
        pattern = str(asked)
        if pattern in names:
            found[pattern] = None
            continue
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            near = closest(pattern, names)
            raise InvalidQueryError(f"{where} has no column {pattern!r}.{near} It has: {', '.join(names)}.")
        found.update(dict.fromkeys(matches))
    return list(found)


def _of_levels(asked: Mapping[Any, Any], schema: pa.Schema, where: str) -> list[str]:
    """Return the names of those of pandas' columns of several levels that have the values asked for."""
    levels = [said.get("name") for said in pandas_metadata(schema).get("column_indexes", ()) if isinstance(said, dict)]
    if unknown := [level for level in asked if level not in levels]:
        raise InvalidQueryError(f"{where} has no level {unknown[0]!r} of columns; it has {levels}.")
    index, found = index_columns(schema), []
    for name in schema.names:
        if name in index:
            continue
        try:
            parts = dict(zip(levels, literal_eval(name) if len(levels) > 1 else [name], strict=True))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        wanted = {level: [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
                  for level, value in asked.items()}  # fmt: skip
        if all(parts[level] in values for level, values in wanted.items()):
            found.append(name)
    if not found:
        raise InvalidQueryError(f"{where} has no column with {dict(asked)}. It has: {', '.join(schema.names)}.")
    return found
