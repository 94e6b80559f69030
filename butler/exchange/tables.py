"""What is exported, as a short document and long tables, and back: what does not belong there is refused."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ...model.collections import CollectionInfo, CollectionType
from ...model.contents import Contents, Noted
from ...model.data_id import DataId
from ...model.datasets import DatasetRef, DatasetType, StoredFile
from ...model.dimensions import DimensionUniverse, Element
from ...model.errors import DataIdError, FileFormatError, RepositoryVersionError, SkyButlerError
from ...model.provenance import QuantumRecord
from ...model.records import DimensionRecord
from ...model.region import Region
from ...model.timespan import Timespan

if TYPE_CHECKING:
    from ...registry.registry import Registry

__all__ = ["VERSION", "check_universe", "from_tables", "to_tables"]

VERSION = 1
"""The version of what is exported; a higher one is not read."""

_NAME = re.compile(r"\w+").fullmatch
_TYPES = {
    "int": pa.int64(), "float": pa.float64(), "str": pa.string(), "bool": pa.bool_(), "bytes": pa.binary(),
    "region": pa.string(), "timespan": pa.int64(),
}  # fmt: skip
_ID = ("dataset_id", pa.string())
_FILE = [("path", pa.string()), ("formatter", pa.string()), ("storage_class", pa.string()), ("size", pa.int64()),
         ("checksum", pa.string())]  # fmt: skip
_TAG = [("collection", pa.string()), _ID]
_VALIDITY = [*_TAG, ("timespan_begin", pa.int64()), ("timespan_end", pa.int64())]
_NOTE = [_ID, ("scope", pa.string()), ("key", pa.string()), ("type", pa.string()), ("number", pa.float64()),
         ("text", pa.string())]  # fmt: skip
_DATE = ("ingest_date", pa.int64())
_QUANTUM = [("id", pa.string()), ("task", pa.string()), ("label", pa.string()), ("run", pa.string()),
            ("data_id", pa.string()), ("fingerprint", pa.string()), ("host", pa.string()), ("begin_ns", pa.int64()),
            ("end_ns", pa.int64()), ("outcome", pa.string()), ("versions", pa.string())]  # fmt: skip
_EDGE = [("quantum_id", pa.string()), ("is_output", pa.bool_()), _ID]
_DECODERS: Mapping[str, Any] = {"int": int, "float": float, "bool": bool}


def to_tables(contents: Contents) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """Return what is exported as a document of plain values, and tables by their names; always in the same order.

    The tables are ``records/<element>``, ``datasets/<dataset type>``, ``tags``, ``validities``, ``annotations``,
    ``quanta`` and ``quantum_datasets``; those that would be empty are left out.
    """
    universe = contents.universe
    tables: dict[str, pa.Table] = {}
    for name, records in contents.records.items():
        if not records:
            continue
        tables[f"records/{name}"] = _record_table(universe[name], records)
    by_type: dict[str, list[tuple[DatasetRef, StoredFile | None]]] = {}
    for ref, file in contents.datasets:
        by_type.setdefault(ref.dataset_type.name, []).append((ref, file))
    types = sorted(contents.dataset_types, key=lambda kind: kind.name)
    for kind in types:
        if kind.name in by_type:
            tables[f"datasets/{kind.name}"] = _dataset_table(kind, by_type[kind.name], contents.ingest_dates)
    tags = [(name, str(id_)) for name, ids in contents.tags.items() for id_ in ids]
    validities = [
        (name, str(id_), timespan.begin_ns, timespan.end_ns)
        for name, held in contents.validities.items()
        for id_, timespan in held
    ]
    quanta = [
        (str(one.id), one.task, one.label, one.run, json.dumps(dict(one.data_id)), one.fingerprint, one.host,
         one.begin_ns, one.end_ns, one.outcome, json.dumps(dict(one.versions)))
        for one in contents.quanta
    ]  # fmt: skip
    edges = [
        (str(one.id), is_output, str(id_))
        for one in contents.quanta
        for is_output, ids in ((False, one.inputs), (True, one.outputs))
        for id_ in ids
    ]
    notes = [*_note_rows("header", contents.headers), *_note_rows("user", contents.annotations)]
    for name, columns, rows in (("tags", _TAG, tags), ("validities", _VALIDITY, validities),
                                ("annotations", _NOTE, notes), ("quanta", _QUANTUM, quanta),
                                ("quantum_datasets", _EDGE, edges)):  # fmt: skip
        if rows:
            tables[name] = _table(columns, sorted(rows, key=repr))
    head = {
        "skybutler_export": VERSION,
        "universe": {"namespace": universe.namespace, "version": universe.version},
        "dataset_types": [
            {"name": kind.name, "dimensions": list(kind.dimensions.required),
             "storage_class": kind.storage_class.name, "is_calibration": kind.is_calibration}
            for kind in types
        ],
        "collections": [_collection(info) for info in sorted(contents.collections, key=lambda info: info.name)],
        "tables": {name: table.num_rows for name, table in tables.items()},
    }  # fmt: skip
    return head, tables


def from_tables(head: Any, tables: Mapping[str, pa.Table], registry: Registry, where: str) -> Contents:
    """Return what a document and tables say, in the words of a repository; a storage class may be unknown to it.

    Raises
    ------
    FileFormatError
        They are not what `to_tables` makes; says what is wrong where.
    RepositoryVersionError
        A newer version of SkyButler made them.
    DataIdError
        The repository's dimensions lack something that is needed.
    """
    version = head.get("skybutler_export") if isinstance(head, dict) else None
    if not isinstance(version, int):
        raise FileFormatError(f"{where} is no export of SkyButler's: it does not begin with skybutler_export.")
    if version > VERSION:
        raise RepositoryVersionError(
            f"{where} is an export of version {version}; this SkyButler reads up to {VERSION}. Install a newer one."
        )
    try:
        return _read(head, tables, registry)
    except SkyButlerError as error:
        raise type(error)(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, pa.ArrowException) as error:
        raise FileFormatError(f"{where} is damaged, or no export: {type(error).__name__} {error}") from error


def check_universe(given: Mapping[str, Any], needed: Iterable[str], universe: DimensionUniverse) -> None:
    """Raise `DataIdError` where records of elements are given that a universe has not."""
    for name in needed:
        if name not in universe or not universe[name].has_table:
            raise DataIdError(
                f"there are records of {name!r}, which this repository's dimensions ({universe.namespace} version "
                f"{universe.version}) do not have; the export is of {given.get('namespace')!r} version "
                f"{given.get('version')!r}. Make the repository with dimensions that have it (docs/dimensions.md)."
            )


def _read(head: Mapping[str, Any], tables: Mapping[str, pa.Table], registry: Registry) -> Contents:
    if missing := head["tables"].keys() - tables.keys():
        raise FileFormatError(f"the table {min(missing)} is missing.")
    universe = registry.universe
    found = Contents(universe)
    elements = [name.removeprefix("records/") for name in tables if name.startswith("records/")]
    check_universe(dict(head["universe"]), elements, universe)
    for name in sorted(elements, key=universe.order):
        element = universe[name]
        rows = tables[f"records/{name}"].to_pylist()
        found.records[name] = [DimensionRecord.from_mapping(element, row) for row in rows]
    for given in head["dataset_types"]:
        name = given["storage_class"]
        kind = registry.storage_classes.named(str(name))
        if not (kind.is_known or _NAME(kind.name)):
            raise FileFormatError(f"dataset type {given['name']!r} is of {name!r}, which is no storage class's name.")
        found.dataset_types.append(
            DatasetType(given["name"], given["dimensions"], kind, given["is_calibration"], universe=universe)
        )
    for given in head["collections"]:
        type_ = CollectionType.from_name(given["type"])
        found.collections.append(
            CollectionInfo(given["name"], type_, tuple(given.get("children", ())), (), given.get("doc", ""))
        )
    for kind_of in found.dataset_types:
        if (table := tables.get(f"datasets/{kind_of.name}")) is not None:
            found.datasets += _datasets(kind_of, table)
            if _DATE[0] in table.column_names:
                dates = zip(table["dataset_id"].to_pylist(), table[_DATE[0]].to_pylist(), strict=True)
                found.ingest_dates |= {uuid.UUID(id_): int(date) for id_, date in dates if date is not None}
    for row in _rows(tables, "tags", _TAG):
        found.tags.setdefault(row["collection"], []).append(uuid.UUID(row["dataset_id"]))
    for row in _rows(tables, "validities", _VALIDITY):
        timespan = Timespan(int(row["timespan_begin"]), int(row["timespan_end"]))
        found.validities.setdefault(row["collection"], []).append((uuid.UUID(row["dataset_id"]), timespan))
    for row in _rows(tables, "annotations", _NOTE):
        noted = {"header": found.headers, "user": found.annotations}[row["scope"]]
        value = row["text"] if row["type"] == "str" else _DECODERS[row["type"]](row["number"])
        noted.setdefault(uuid.UUID(row["dataset_id"]), {})[row["key"]] = value
    made: dict[tuple[str, bool], list[uuid.UUID]] = {}
    for row in _rows(tables, "quantum_datasets", _EDGE):
        made.setdefault((row["quantum_id"], bool(row["is_output"])), []).append(uuid.UUID(row["dataset_id"]))
    for row in _rows(tables, "quanta", _QUANTUM):
        if None in row.values():
            raise FileFormatError(f"the quantum of id {row['id']} is not fully described.")
        key = row.pop("id")
        said = row | {name: dict(json.loads(row[name])) for name in ("data_id", "versions")}
        inputs, outputs = (tuple(made.get((key, is_output), ())) for is_output in (False, True))
        found.quanta.append(QuantumRecord(uuid.UUID(key), **said, inputs=inputs, outputs=outputs))
    return found


def _rows(
    tables: Mapping[str, pa.Table], name: str, columns: Sequence[tuple[str, pa.DataType]]
) -> list[dict[str, Any]]:
    """Return the rows of a table; FileFormatError where it has not the columns that are meant to be there."""
    if name not in tables:
        return []
    if differs := [column for column, kind in columns if tables[name].schema.field(column).type != kind]:
        raise FileFormatError(f"the column {differs[0]} of {name} is {tables[name].schema.field(differs[0]).type}.")
    rows: list[dict[str, Any]] = tables[name].select([column for column, _ in columns]).to_pylist()
    return rows


def _datasets(kind: DatasetType, table: pa.Table) -> list[tuple[DatasetRef, StoredFile | None]]:
    group = kind.dimensions
    for name in group.required:
        key = group.universe[name].key
        if key is None or table.schema.field(name).type != _TYPES[key.type]:
            raise FileFormatError(
                f"the values of {name} of datasets {kind.name!r} are {table.schema.field(name).type}."
            )
    for name, wanted in (_ID, ("run", pa.string()), *_FILE):
        if table.schema.field(name).type != wanted:
            raise FileFormatError(f"the column {name} of datasets {kind.name!r} is {table.schema.field(name).type}.")
    named = {name: table[name].to_pylist() for name in ("dataset_id", "run", *group.required, *dict(_FILE))}
    found: list[tuple[DatasetRef, StoredFile | None]] = []
    values = zip(*(named[name] for name in group.required), strict=True) if group.required else [()] * table.num_rows
    files = zip(*(named[name] for name, _ in _FILE), strict=True)
    for id_, run, data_id, file in zip(named["dataset_id"], named["run"], values, files, strict=True):
        if run is None or id_ is None or None in data_id:
            raise FileFormatError(f"the dataset {kind.name!r} of id {id_} has no RUN, or no whole data ID.")
        if file[0] is not None and None in file[:4]:
            raise FileFormatError(f"the file of the dataset {kind.name!r} of id {id_} is not fully described.")
        ref = DatasetRef(kind, DataId(group, tuple(data_id)), run, uuid.UUID(id_))
        found.append((ref, None if file[0] is None else StoredFile(*file)))
    return found


def _record_table(element: Element, records: Iterable[DimensionRecord]) -> pa.Table:
    columns: list[tuple[str, pa.DataType]] = []
    for column in element.columns:
        names = ["timespan_begin", "timespan_end"] if column.role == "timespan" else [column.name]
        columns += [(name, _TYPES[column.type]) for name in names]
    rows = []
    for record in records:
        row: list[Any] = []
        for value, column in zip(record.values, element.columns, strict=True):
            if column.role == "timespan":
                row += (None, None) if value is None else (value.begin_ns, value.end_ns)
            else:
                row.append(value.ivoa if isinstance(value, Region) else value)
        rows.append(tuple(row))
    return _table(columns, rows)


def _dataset_table(
    kind: DatasetType, datasets: Iterable[tuple[DatasetRef, StoredFile | None]], dates: Mapping[uuid.UUID, int]
) -> pa.Table:
    group = kind.dimensions
    keys = [(name, _TYPES[key.type]) for name in group.required if (key := group.universe[name].key) is not None]
    rows = [
        (str(ref.id), ref.run, *ref.data_id.required_values,
         *((None,) * 5 if file is None else (file.path, file.formatter, file.storage_class, file.size, file.checksum)),
         dates.get(ref.id))
        for ref, file in datasets
    ]  # fmt: skip
    return _table([_ID, ("run", pa.string()), *keys, *_FILE, _DATE], sorted(rows))


def _note_rows(scope: str, noted: Noted) -> Iterable[tuple[Any, ...]]:
    for id_, pairs in noted.items():
        for key, value in pairs.items():
            is_text = isinstance(value, str)
            kind, number = type(value).__name__, None if is_text else float(value)
            yield str(id_), scope, key, kind, number, value if is_text else None


def _collection(info: CollectionInfo) -> dict[str, Any]:
    said: dict[str, Any] = {"name": info.name, "type": info.type.name}
    if info.doc:
        said["doc"] = info.doc
    if info.type is CollectionType.CHAINED:
        said["children"] = list(info.children)
    return said


def _table(columns: Iterable[tuple[str, pa.DataType]], rows: list[tuple[Any, ...]]) -> pa.Table:
    schema = pa.schema(columns)
    values = zip(*rows, strict=True) if rows else ((),) * len(schema)
    return pa.table([pa.array(v, field.type) for v, field in zip(values, schema, strict=True)], schema=schema)
