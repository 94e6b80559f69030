"""Catalogs as FITS tables of LSST's afw, versions 0 to 3 read, version 3 written.

Flags are bits of one column, the first, named by TFLAGn cards; each other field is a column with TTYPEn, TDOCn,
TUNITn and, in TCCLSn, afw's class of field; ALIAS cards hold aliases and slots. Metadata are header cards, and what no
card can hold, as JSON, the card SKYBMETA.

What changed between versions is brought to the names of today: fields of several parts (points, moments, covariances of
version 0) become one column a part; ``Sigma`` (before version 2) and ``flux`` in counts (before version 3) are found by
aliases as ``Err`` and ``instFlux``. Footprints are in an archive behind the table (`afw_footprints`).
"""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...imaging.catalog import SourceCatalog
from ...imaging.schema import Field, Schema
from ...model.errors import FileFormatError, StorageClassError
from .afw_footprints import COLUMN, FootprintArchive, is_footprint_column, read_footprints
from .fits_binary import BinaryTable
from .fits_cards import ZERO, CardTuple, big_endian, card_text, header_bytes, write_padding
from .fits_file import FitsFile, Hdu
from .fits_planes import describes_file
from .formatter import ByteSink, Formatter, check_parameters, no_component

if TYPE_CHECKING:
    from ...model.storage_class import StorageClass

__all__ = ["AfwCatalogFormatter", "is_afw_catalog", "read_catalog"]

VERSION = 3
"""Version of afw's tables that is written, and the newest that is read."""

_log = logging.getLogger(__name__)

_LETTERS = {"u1": "B", "u2": "I", "i2": "I", "i4": "J", "u4": "J", "i8": "K", "u8": "K", "f4": "E", "f8": "D"}
_PARTS = {
    "Point": ("x", "y"),
    "Coord": ("ra", "dec"),
    "Moments": ("xx", "yy", "xy"),
    "Covariance(Point)": ("x", "y"),
    "Covariance(Moments)": ("xx", "yy", "xy"),
}
"""Names of the parts of version 0's fields; of other covariances the parts are numbered."""
_MINIMAL = ("id", "coord_ra", "coord_dec", "parent")
_OF_THE_TABLE = re.compile(
    r"(TTYPE|TFORM|TDOC|TUNIT|TCCLS|TFLAG|TFDOC|TDIM|TZERO|TSCAL|TNULL)\d+|FLAGCOL|AFW_TYPE|AFW_TABLE_VERSION|ALIAS|"
    r"AR_HDU|SPANCOL|PEAKCOL|HVY(PIX|MSK|VAR)CO|EXTNAME|EXTTYPE|SKYBMETA|TFIELDS|[A-Z]+_FLUX_SLOT|CENTROID_SLOT|SHAPE_SLOT|COMMENT|HISTORY"
).fullmatch
_OLD_SLOTS = {"PSF_FLUX": "PsfFlux", "AP_FLUX": "ApFlux", "INST_FLUX": "GaussianFlux", "MODEL_FLUX": "ModelFlux",
              "CALIB_FLUX": "CalibFlux", "CENTROID": "Centroid", "SHAPE": "Shape"}  # fmt: skip


def is_afw_catalog(hdu: Hdu) -> bool:
    """Tell whether a table is a catalog that afw wrote, or one like it."""
    said = hdu.values
    return "ARCHIVE_INDEX" not in hdu.names and ("AFW_TYPE" in said or "AFW_TABLE_VERSION" in said)


class AfwCatalogFormatter(Formatter):
    """Writes SourceCatalogs as FITS tables that LSST's afw and any other program reads, and reads them back."""

    name = "fits_catalog"
    suffix = ".fits"

    def write(self, obj: Any, sink: ByteSink, storage_class: "StorageClass", provenance: Mapping[str, Any]) -> None:
        """Write the catalog."""
        primary: list[CardTuple] = [("SIMPLE", True, ""), ("BITPIX", 8, ""), ("NAXIS", 0, ""), ("EXTEND", True, "")]
        sink.write(header_bytes(primary))
        _write_table(sink, obj)

    def read(
        self, path: Path, storage_class: "StorageClass", component: str | None, parameters: Mapping[str, Any]
    ) -> Any:
        """Read the catalog, whole, or its schema alone."""
        check_parameters(parameters, (), storage_class)
        with FitsFile(path) as file:
            table = file.find(is_afw_catalog)
            if table is None:
                raise FileFormatError(f"{path} holds no catalog that afw or SkyButler wrote")
            catalog = read_catalog(table, file)
        parts = {None: catalog, "schema": catalog.schema, "columns": catalog.schema.names, "rowcount": len(catalog)}
        if component not in parts:
            raise no_component(str(component), [str(name) for name in parts if name], storage_class)
        return parts[component]


def _write_table(sink: ByteSink, catalog: SourceCatalog) -> None:
    flags = [field for field in catalog.schema if field.is_flag and not field.shape]
    others = [field for field in catalog.schema if field not in flags]
    rows = len(catalog)
    archive = None if catalog.footprints is None else FootprintArchive(catalog.footprints)
    columns: list[tuple[Any, ...]] = []
    described: list[CardTuple] = []
    if flags:
        described = [("TTYPE1", "flags", "bits of all flags"), ("TFORM1", f"{len(flags)}X", ""), ("FLAGCOL", 1, "")]
        for bit, field in enumerate(flags, 1):
            described += [(f"TFLAG{bit}", field.name, ""), (f"TFDOC{bit}", _ascii(field.doc), "")]
        bits = np.stack([catalog[field.name] for field in flags], axis=1)
        packed = np.packbits(bits, axis=1)
        columns.append(("flags", "u1", (packed.shape[1],), packed))
    for place, field in enumerate(others, 2 if flags else 1):
        form, cards, stored = _stored(field, catalog[field.name])
        described += [(f"TTYPE{place}", field.name, ""), (f"TFORM{place}", form, "")]
        described += [(f"{word}{place}", value, "") for word, value in cards.items()]
        if field.doc:
            described.append((f"TDOC{place}", _ascii(field.doc), ""))
        if field.units:
            described.append((f"TUNIT{place}", _ascii(field.units), ""))
        columns.append((field.name, stored.dtype.str, stored.shape[1:], stored))
    if archive is not None:
        if COLUMN in catalog.schema.names:
            raise StorageClassError(f"a catalog of footprints is kept as FITS if it has no other column {COLUMN!r}")
        place = len(columns) + 1
        described += [(f"TTYPE{place}", COLUMN, "archive ID for Footprint"), (f"TFORM{place}", "1J", "")]
        described += [(f"TCCLS{place}", "Scalar", ""), ("AR_HDU", 3, "HDU, from 1, with the index of footprints")]
        columns.append((COLUMN, ">i4", (), archive.numbers))
    table = np.empty(rows, [(name, kind, shape) for name, kind, shape, _ in columns])
    for name, _, _, stored in columns:
        table[name] = stored
    is_source = all(name in catalog.schema.names for name in _MINIMAL)
    head: list[CardTuple] = [("XTENSION", "BINTABLE", ""), ("BITPIX", 8, ""), ("NAXIS", 2, "")]
    head += [("NAXIS1", table.dtype.itemsize, ""), ("NAXIS2", rows, ""), ("PCOUNT", 0, ""), ("GCOUNT", 1, "")]
    head += [("TFIELDS", len(columns), ""), *described]
    head += [("ALIAS", f"{alias}:{target}", "") for alias, target in catalog.schema.aliases.items()]
    head += [("AFW_TYPE", "SOURCE" if is_source else "BASE", ""), ("AFW_TABLE_VERSION", VERSION, "")]
    try:
        sink.write(header_bytes([*head, *_metadata_cards(catalog.metadata)]))
    except ValueError as error:
        raise StorageClassError(f"this catalog cannot be kept as FITS: {error}") from error
    sink.write(table.view(np.uint8).reshape(-1) if table.nbytes else b"")
    write_padding(sink, table.nbytes)
    if archive is not None:
        archive.write(sink)


def _stored(field: Field, column: "np.ndarray[Any, Any]") -> tuple[str, dict[str, Any], "np.ndarray[Any, Any]"]:
    """Return a column's format, further keywords, and its values as FITS keeps them."""
    cards: dict[str, Any] = {"TCCLS": "Angle" if field.type == "Angle" else "Array" if field.shape else "Scalar"}
    if column.dtype.kind in "UO" and not field.shape:
        texts = np.char.encode(column.astype(str), "utf-8") if len(column) else np.array([], "S1")
        size = max(field.size, texts.dtype.itemsize, 1)
        return f"{size}A", {"TCCLS": "String"}, texts.astype(f"S{size}")
    if column.dtype.kind == "b":
        column = column.astype(np.uint8)
    kind = column.dtype.str[1:]
    if kind not in _LETTERS:
        raise StorageClassError(f"column {field.name} has values of type {column.dtype}, which afw's tables have not")
    if kind in ZERO:
        cards["TZERO"] = ZERO[kind]
    if len(field.shape) > 1:
        cards["TDIM"] = f"({','.join(str(length) for length in reversed(field.shape))})"
    count = int(np.prod(field.shape)) if field.shape else 1
    signed = kind.replace("u", "i") if kind in ZERO else kind
    stored = big_endian(column).view(f">{signed}").reshape(len(column), *((count,) if field.shape else ()))
    return f"{count}{_LETTERS[kind]}", cards, stored


def _metadata_cards(metadata: Mapping[str, Any]) -> list[CardTuple]:
    """Return metadata as cards: of their own where they can be, the others together as JSON."""
    cards: list[CardTuple] = []
    apart: dict[str, Any] = {}
    for key, value in metadata.items():
        try:
            if (
                key != key.upper()
                or describes_file(key)
                or _OF_THE_TABLE(key)
                or not isinstance(value, str | int | float)
            ):
                raise ValueError(key)
            card_text(key, value)
            cards.append((key, value, ""))
        except ValueError:
            apart[key] = value
    if apart:
        cards.append(("SKYBMETA", json.dumps(apart), ""))
    return cards


def _ascii(text: str) -> str:
    return re.sub(r"[^ -~]", "?", text).strip()


def read_catalog(hdu: Hdu, file: FitsFile) -> SourceCatalog:
    """Read a catalog, with its footprints.

    Parameters
    ----------
    hdu
        Its table (`is_afw_catalog`).
    file
        What it is in.

    Raises
    ------
    FileFormatError
        If it is of a later version than is known here, or not whole.
    """
    table = BinaryTable(hdu)
    version = table.header.get("AFW_TABLE_VERSION", 0)
    if not isinstance(version, int) or version > VERSION:
        raise FileFormatError(f"the catalog is of version {version} of afw's tables; up to {VERSION} are read")
    schema = Schema()
    columns: dict[str, Any] = {}
    flag_column = table.header.get("FLAGCOL")
    for place, name in enumerate(table.names, 1):
        if place == flag_column or is_footprint_column(table, name):
            continue
        if table.letter(name) in "PQ":
            _log.warning("column %s is left out: the length of its values varies", name)
            continue
        _add_column(schema, columns, table, name)
    if isinstance(flag_column, int):
        _add_flags(schema, columns, table, table.names[flag_column - 1])
    for alias, target in _aliases(hdu, schema, version):
        schema.aliases[alias] = target
    return SourceCatalog(schema, columns, metadata=_metadata(hdu), footprints=read_footprints(file, table))


def _add_column(schema: Schema, columns: dict[str, Any], table: BinaryTable, name: str) -> None:
    values, kind = table.column(name), table.keyword("TCCLS", name)
    doc, units = table.keyword("TDOC", name), table.keyword("TUNIT", name)
    plain = name.replace(".", "_")
    if kind.startswith("Covariance"):
        parts = _PARTS.get(kind) or tuple(str(number) for number in range(int((2 * table.count(name)) ** 0.5)))
        half = re.sub(r"\^2$", "", units)
        for i, first in enumerate(parts):
            for j, second in enumerate(parts[: i + 1]):
                value = values[:, j + i * (i + 1) // 2]
                if i == j:
                    _add(schema, columns, f"{plain}_{first}Err", np.sqrt(value), doc, half)
                else:
                    _add(schema, columns, f"{plain}_{second}_{first}_Cov", value, doc, units)
    elif kind in _PARTS and table.count(name) == len(_PARTS[kind]):
        for number, part in enumerate(_PARTS[kind]):
            _add(schema, columns, f"{plain}_{part}", values[:, number], doc, units, is_angle=kind == "Coord")
    elif table.letter(name) == "A":
        schema.add_field(plain, "String", doc, units, size=table.count(name))
        columns[plain] = values
    else:
        dims = table.keyword("TDIM", name)
        shape = tuple(int(length) for length in reversed(dims.strip("()").split(","))) if dims else values.shape[1:]
        _add(schema, columns, plain, values.reshape(-1, *shape), doc, units, is_angle=kind == "Angle" and not shape)


def _add(
    schema: Schema,
    columns: dict[str, Any],
    name: str,
    values: "np.ndarray[Any, Any]",
    doc: str,
    units: str,
    *,
    is_angle: bool = False,
) -> None:
    kind = "Angle" if is_angle and units in ("", "rad") else values.dtype.name
    schema.add_field(name, kind, doc, units, shape=values.shape[1:])
    columns[name] = values


def _add_flags(schema: Schema, columns: dict[str, Any], table: BinaryTable, name: str) -> None:
    bits = table.column(name)
    for bit in range(bits.shape[1]):
        flag = table.header.get(f"TFLAG{bit + 1}")
        if isinstance(flag, str):
            doc = table.header.get(f"TFDOC{bit + 1}")
            plain = flag.strip().replace(".", "_")
            schema.add_field(plain, "Flag", doc if isinstance(doc, str) else "")
            columns[plain] = bits[:, bit]


def _aliases(hdu: Hdu, schema: Schema, version: int) -> list[tuple[str, str]]:
    """Return alias and target: the file's own, and those that lead from today's names to old ones."""
    found: list[tuple[str, str]] = []
    for key, value, _ in hdu.cards:
        if key == "ALIAS" and isinstance(value, str) and ":" in value:
            alias, _, target = value.partition(":")
            found.append((alias.strip(), target.strip()))
        slot = _OLD_SLOTS.get(key.removesuffix("_SLOT")) if key.endswith("_SLOT") else None
        if slot is not None and isinstance(value, str):
            found.append((f"slot_{slot}", value.strip().replace(".", "_")))
    for field in schema:
        now = field.name
        if version < 2 and now.endswith("Sigma"):
            now = f"{now.removesuffix('Sigma')}Err"
        if version < 3 and field.units == "count":
            now = re.sub(r"_flux(Err)?$", r"_instFlux\1", now)
        if now != field.name and now not in schema.names:
            found.append((now, field.name))
    return found


def _metadata(hdu: Hdu) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, value, _ in hdu.cards:
        if key == "SKYBMETA" and isinstance(value, str):
            said |= json.loads(value)
        elif key.strip() and not describes_file(key) and not _OF_THE_TABLE(key):
            said.setdefault(key, value)
    return said
