"""Exports and zip bundles of LSST's butler, in the words of this package.

Its export is one YAML file (versions 1.0.x, and those before that say version 0), its bundles' index one JSON text.
Storage classes and formatters are mapped by the tables below; what has no counterpart is refused, before anything is
written.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ...model.collections import CollectionInfo, CollectionType
from ...model.contents import Contents
from ...model.datasets import DatasetRef, DatasetType, StoredFile
from ...model.errors import FileFormatError, RepositoryVersionError, SkyButlerError, StorageClassError, closest
from ...model.records import DimensionRecord
from ...model.region import Region
from ...model.timespan import Timespan, nanoseconds, nanoseconds_from_isot
from ...storage.formatters import formatter_for

if TYPE_CHECKING:
    from pathlib import Path

    from ...model.dimensions import DimensionUniverse
    from ...registry.registry import Registry

__all__ = ["LSST_TAGS", "is_lsst_export", "read_lsst_export", "read_lsst_index"]

_log = logging.getLogger(__name__)

_STORAGE_CLASSES = {
    **{f"{kind}{pixel}": kind for kind in ("Exposure", "MaskedImage", "Image", "DecoratedImage")
       for pixel in ("", "F", "D", "I", "L", "U")},
    **dict.fromkeys(("DecoratedImage", *(f"DecoratedImage{p}" for p in "FDILU")), "Image"),
    **dict.fromkeys(("Mask", "MaskX"), "Mask"),
    **dict.fromkeys(("SourceCatalog", "SimpleCatalog", "AmpOffset"), "SourceCatalog"),
    "ArrowAstropy": "AstropyTable", "ArrowTable": "ArrowTable", "ArrowNumpy": "NumpyRecords",
    "ArrowNumpyDict": "ArrowTable", "ArrowColumnList": "List", "ArrowSchema": "ArrowSchema", "DataFrame": "DataFrame",
    "DataFrameIndex": "List", "AstropyQTable": "AstropyTable", "StructuredDataDict": "Dict",
    "StructuredDataList": "List", "int": "Integer", "Plot": "Figure", "MatplotlibFigure": "Figure",
    "TaskMetadata": "TaskMetadata", "Packages": "Packages", "Config": "Text", "Text": "Text", "Wcs": "Wcs",
    "Psf": "Psf", "PhotoCalib": "PhotoCalib", "Background": "Background", "ApCorrMap": "ApCorrMap",
    "Filter": "Filter", "FilterLabel": "Filter", "VisitInfo": "VisitInfo", "Detector": "Detector", "Camera": "Camera",
    "Polygon": "Polygon", "PropertyList": "Header", "PropertySet": "Header",
}  # fmt: skip
"""LSST's storage classes, and what their datasets are here."""

_FORMATTERS = {
    "ParquetFormatter": "parquet", "JsonFormatter": "json", "YamlFormatter": "yaml", "MatplotlibFormatter": "figure",
    "PexConfigFormatter": "text", "PackagesFormatter": "", "FileFormatter": "", "FitsExposureFormatter": "fits",
    "FitsImageFormatter": "fits", "FitsMaskFormatter": "fits", "FitsMaskedImageFormatter": "fits",
    "FitsGenericFormatter": "fits", "GenericFormatter": "fits", "ImageFormatter": "fits", "MaskFormatter": "fits",
    "MaskedImageFormatter": "fits", "VisitImageFormatter": "fits", "CellCoaddFormatter": "fits",
    "FitsRawFormatterBase": "fits",
}  # fmt: skip
"""LSST's formatters by the last part of their names, and what reads their files here; empty: the file's ending says."""

_BY_SUFFIX = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".parq": "parquet", ".parquet": "parquet",
              ".fits": "fits", ".png": "figure", ".py": "text", ".txt": "text"}  # fmt: skip
_OLD_IDS = uuid.UUID("4d4851f4-2890-4d41-8779-5f38a3f5062b")
"""The namespace of what LSST makes of the integers that datasets were known by before 2021."""


def is_lsst_export(head: Any) -> bool:
    """Whether a document is an export of LSST's butler."""
    return isinstance(head, dict) and "data" in head and "version" in head and "skybutler_export" not in head


def read_lsst_export(head: Mapping[str, Any], path: Path, registry: Registry) -> Contents:
    """Return what an export of LSST's butler holds.

    Parameters
    ----------
    head
        The document, read with `LSST_TAGS`.
    path
        Where it was read from.
    registry
        Of the repository that it is for; dataset types that are there need not be in it.

    Raises
    ------
    RepositoryVersionError
        It is of a version that is not read.
    FileFormatError
        It is damaged, or has files of a format that is not read.
    StorageClassError
        A storage class has no counterpart.
    DataIdError
        The repository's dimensions lack something that is needed.
    """
    version = str(head["version"])
    if version != "0" and version.split(".")[:2] != ["1", "0"]:
        raise RepositoryVersionError(f"{path} is an export of version {version} of LSST's butler; 1.0.x are read.")
    try:
        return _Reader(head, registry).contents
    except SkyButlerError as error:
        raise type(error)(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FileFormatError(f"{path} is damaged: {type(error).__name__} {error}") from error


class _Reader:
    """Goes through the parts of an export."""

    def __init__(self, head: Mapping[str, Any], registry: Registry) -> None:
        self._registry, self._universe = registry, registry.universe
        self._age = int(head.get("universe_version", 0)), str(head.get("universe_namespace", "daf_butler"))
        self._types: dict[str, DatasetType] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._collections: dict[str, CollectionInfo] = {}
        self.contents = Contents(self._universe)
        datasets = []
        for part in head["data"]:
            match part["type"]:
                case "dimension":
                    self._rows.setdefault(part["element"], []).extend(part["records"])
                case "run":
                    self._add_collection(part["name"], CollectionType.RUN)
                case "collection":
                    children = [c if isinstance(c, str) else c[0] for c in part.get("children") or ()]
                    kind = CollectionType.from_name(part["collection_type"])
                    self._add_collection(part["name"], kind, part.get("doc"), children)
                case "dataset_type":
                    self._add_type(part)
                case "dataset":
                    datasets.append(part)
                case "associations":
                    self._associate(part)
                case other:
                    raise FileFormatError(f"it has a part of type {other!r}, which is not known.")
        for part in datasets:
            self.contents.datasets += self._datasets(part)
        self.contents.records = _records(self._universe, _upgraded(self._rows, self._age[0]), self._age)
        self.contents.dataset_types = list(self._types.values())
        self.contents.collections = list(self._collections.values())

    def _add_collection(
        self, name: str, kind: CollectionType, doc: str | None = None, children: Iterable[str] = ()
    ) -> None:
        self._collections[name] = CollectionInfo(name, kind, tuple(children), (), doc or "")

    def _add_type(self, part: Mapping[str, Any]) -> None:
        dimensions = list(part["dimensions"])
        if self._age[0] < 2 and "visit" in dimensions and "visit_system" in dimensions:
            dimensions.remove("visit_system")
        self._types[part["name"]] = _dataset_type(
            part["name"], dimensions, part["storage_class"], bool(part.get("is_calibration")), self._universe
        )

    def _associate(self, part: Mapping[str, Any]) -> None:
        name, kind = part["collection"], CollectionType.from_name(part["collection_type"])
        if name not in self._collections:
            self._add_collection(name, kind)
        if kind is CollectionType.TAGGED:
            self.contents.tags.setdefault(name, []).extend(map(_id, part["dataset_ids"]))
            return
        for held in part["validity_ranges"]:
            timespan = held["timespan"] if "timespan" in held else Timespan(_ns(held["begin"]), _ns(held["end"]))
            self.contents.validities.setdefault(name, []).extend((_id(one), timespan) for one in held["dataset_ids"])

    def _datasets(self, part: Mapping[str, Any]) -> Iterator[tuple[DatasetRef, StoredFile | None]]:
        name, run = part["dataset_type"], part["run"]
        kind = self._types.get(name) or self._registry.dataset_type(name)
        self._types.setdefault(name, kind)
        if run not in self._collections:
            self._add_collection(run, CollectionType.RUN)
        for record in part["records"]:
            path = record.get("path")
            file = None if path is None else _file(kind, str(path), record.get("formatter"))
            for data_id, one in zip(_listed(record["data_id"]), _listed(record["dataset_id"]), strict=True):
                yield DatasetRef(kind, _data_id(kind, data_id), run, _id(one)), file


def read_lsst_index(index: Any, where: str, registry: Registry) -> Contents:
    """Return what the index of an LSST zip bundle says; its datasets' dimension records are not in it.

    Raises
    ------
    FileFormatError
        It is damaged, or has files of a format that is not read.
    StorageClassError
        A storage class has no counterpart.
    """
    universe = registry.universe
    try:
        if (version := index["index_version"]) != "V1":
            raise RepositoryVersionError(f"its index is of version {version!r}; V1 is read.")
        types = {}
        for name, said in index["refs"]["dataset_types"].items():
            dimensions = said["dimensions"]["names"] if isinstance(said["dimensions"], dict) else said["dimensions"]
            types[name] = _dataset_type(
                name, dimensions, said["storageClass"], bool(said.get("isCalibration")), universe
            )
        found = Contents(universe, dataset_types=list(types.values()))
        refs = index["refs"]["compact_refs"]
        for member, said in index["artifact_map"].items():
            if said["info"].get("component"):
                raise FileFormatError(f"{member} is a component of a dataset that is in several files.")
            for one in said["ids"]:
                kind = types[refs[one]["dataset_type_name"]]
                ref = DatasetRef(kind, _data_id(kind, refs[one]["data_id"]), refs[one]["run"], uuid.UUID(one))
                found.datasets.append((ref, _file(kind, member, said["info"]["formatter"], said["info"]["file_size"])))
    except SkyButlerError as error:
        raise type(error)(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"{where} is damaged: {type(error).__name__} {error}") from error
    return found


def _dataset_type(
    name: str, dimensions: Iterable[str], storage_class: str, is_calibration: bool, universe: DimensionUniverse
) -> DatasetType:
    if storage_class not in _STORAGE_CLASSES:
        raise StorageClassError(
            f"dataset type {name!r} is of LSST's storage class {storage_class!r}, which has no counterpart here."
            f"{closest(storage_class, _STORAGE_CLASSES)} Export it without that type."
        )
    return DatasetType(name, dimensions, _STORAGE_CLASSES[storage_class], is_calibration, universe=universe)


def _file(kind: DatasetType, path: str, formatter: str | None, size: int = -1) -> StoredFile:
    """Return what is said of a file; its size and checksum are not."""
    last = (formatter or "").rpartition(".")[2]
    if formatter and last.endswith("RawFormatter"):
        last = "FitsRawFormatterBase"
    if formatter and last not in _FORMATTERS:
        raise FileFormatError(
            f"{path} ({kind.name}) was written by {formatter}; nothing here reads such files."
            f"{closest(last, _FORMATTERS)} Export it without that type."
        )
    name = _FORMATTERS[last] if formatter else formatter_for(kind.storage_class).name
    if not name:
        suffix = PurePosixPath(path).suffix
        if suffix not in _BY_SUFFIX:
            raise FileFormatError(
                f"{path} ({kind.name}) was written by {formatter}; nothing tells of what format it is."
            )
        name = _BY_SUFFIX[suffix]
    if name == "fits" and kind.storage_class.name == "SourceCatalog":
        name = "fits_catalog"
    return StoredFile(path, name, kind.storage_class.name, size)


def _data_id(kind: DatasetType, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a data ID, each of the type that it should be."""
    found = {}
    for name in kind.dimensions.required:
        key, value = kind.dimensions.universe[name].key, given[name]
        if key is None or type(value) is not {"int": int, "str": str}.get(key.type):
            raise FileFormatError(f"{name}={value!r} of a dataset {kind.name!r} is {type(value).__name__}.")
        found[name] = value
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _id(value: Any) -> uuid.UUID:
    if isinstance(value, int):
        return uuid.uuid3(_OLD_IDS, str(value))
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


# Dimension records


def _upgraded(rows: Mapping[str, list[dict[str, Any]]], version: int) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of an older universe with what later ones have in other places."""
    found = {name: [dict(row) for row in given] for name, given in rows.items()}
    if version < 2:
        members = found.setdefault("visit_system_membership", [])
        for row in found.get("visit", ()):
            if (system := row.pop("visit_system", None)) is not None:
                members.append({"instrument": row["instrument"], "visit_system": system, "visit": row["id"]})
    if version < 6:
        for row in found.get("exposure", ()):
            if "group_name" in row:
                row["group"] = row.pop("group_name")
            row.pop("group_id", None)
        for name, key in (("day_obs", "id"), ("group", "name")):
            there = {(row["instrument"], row[key]) for row in found.get(name, ())}
            named = {
                (row["instrument"], row[name])
                for element in ("exposure", "visit")
                for row in found.get(element, ())
                if row.get(name) is not None
            }
            new = [{"instrument": instrument, key: value} for instrument, value in sorted(named - there)]
            found[name] = [*found.get(name, ()), *new]
    return found


def _records(
    universe: DimensionUniverse, rows: Mapping[str, list[dict[str, Any]]], age: tuple[int, str]
) -> dict[str, list[DimensionRecord]]:
    """Return records of rows; elements and columns that this repository's dimensions lack are left out, and logged."""
    told = f"this repository's dimensions ({universe.namespace} version {universe.version})"
    found = {}
    for name in sorted(rows, key=universe.order):
        if name not in universe or not universe[name].has_table:
            if rows[name]:
                _log.warning(
                    "%d records of %s, of version %d of %s, are left out: %s have no such element",
                    len(rows[name]), name, age[0], age[1], told,
                )  # fmt: skip
            continue
        element, lost = universe[name], set[str]()
        records = []
        for row in rows[name]:
            ends = [row.pop(f"datetime_{end}", None) for end in ("begin", "end")]
            if ends != [None, None]:
                row["timespan"] = Timespan(*map(_ns, ends))
            lost |= {column for column, value in row.items() if column not in element.index and value is not None}
            records.append(DimensionRecord.from_mapping(element, {k: v for k, v in row.items() if k in element.index}))
        if lost:
            _log.warning(
                "of records of %s, %s is left out: %s have no such column", name, ", ".join(sorted(lost)), told
            )
        if records:
            found[name] = records
    return found


# Tags


def _ns(value: Any) -> int | None:
    """Return TAI nanoseconds of a time; a native date of YAML's is UTC."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return nanoseconds(value)


def _timespan(value: Any) -> Timespan:
    if value == "EMPTY":
        return Timespan.empty()
    return Timespan(_ns(value["begin"]), _ns(value["end"]))


def _region(value: Any) -> Region:
    from lsst.sphgeom import Region as Shape

    return Region(Shape.decode(bytes.fromhex(value["encoded"])).to_ivoa_pos())


def _isot(text: Any) -> int:
    return nanoseconds_from_isot(text, "tai")


_SHAPES = ("ConvexPolygon", "Box", "Circle", "Ellipse", "UnionRegion", "IntersectionRegion")

LSST_TAGS: Mapping[str, Callable[[Any], Any]] = {
    "!uuid": uuid.UUID,
    "!butler_time/tai/iso": _isot,
    **dict.fromkeys(("!lsst.daf.butler.Timespan", "lsst.daf.butler.Timespan"), _timespan),
    **dict.fromkeys([f"{mark}lsst.sphgeom.{shape}" for mark in ("", "!") for shape in _SHAPES], _region),
}
"""What makes a value of each tag of LSST's."""
