"""Footprints of catalogs that LSST's afw keeps in FITS files.

A catalog's column ``footprint`` numbers them in an archive, whose HDUs follow the table: its index, and then catalogs
of ``id`` (which spans), of spans, of peaks, and of values of pixels where these are kept. Files of before 2014 have
them in the table itself, in columns of varying length that cards such as SPANCOL number.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...imaging.footprint import Footprint, HeavyFootprint, Peak, common_mask_schema
from ...imaging.mask_schema import MaskSchema
from ...imaging.spans import Spans
from ...model.errors import FileFormatError, StorageClassError
from .afw_archive import archive_of
from .fits_binary import BinaryTable
from .fits_cards import CardTuple, big_endian, header_bytes, write_padding
from .fits_file import FitsFile
from .formatter import ByteSink

__all__ = ["COLUMN", "FootprintArchive", "is_footprint_column", "read_footprints"]

COLUMN = "footprint"
"""The column of footprints' numbers in their archive; 0 is none."""

_log = logging.getLogger(__name__)

_IN_TABLE = {"spans": "SPANCOL", "peaks": "PEAKCOL", "image": "HVYPIXCO", "mask": "HVYMSKCO", "variance": "HVYVARCO"}
"""Cards of old files, each of which numbers a column, from 1."""
_VERSION = 1
"""Of afw's tables, which their archives are of."""
_KINDS = {"f4": "F", "f8": "D", "i4": "I"}
"""Last letter of afw's heavy footprints by the type of their pixels."""
_LETTERS = {"f4": "E", "f8": "D", "i4": "J", "i8": "K"}


def is_footprint_column(table: BinaryTable, name: str) -> bool:
    """Tell whether a column is where `read_footprints` finds footprints, or a part of them."""
    if name == COLUMN and "AR_HDU" in table.header:
        return True
    place = table.names.index(name) + 1
    return any(table.header.get(card) == place for card in _IN_TABLE.values())


def read_footprints(file: FitsFile, table: BinaryTable) -> list[Footprint | None] | None:
    """Read the footprints of a catalog; None where it has none. Those that cannot be read are left out and logged."""
    if isinstance(table.header.get(_IN_TABLE["spans"]), int):
        return _from_table(table)
    if COLUMN not in table or "AR_HDU" not in table.header:
        return None
    archive = archive_of(file)
    numbers = table.column(COLUMN).tolist()
    if archive is None or not any(numbers):
        if any(numbers):
            _log.warning("%s is read without its footprints: the archive that they were in is not there", file.path)
        return None
    found: list[Footprint | None] = [None] * len(numbers)
    problems: list[FileFormatError] = []
    for row, number in enumerate(numbers):
        try:
            found[row] = archive.get(number) if number else None
        except FileFormatError as error:
            problems.append(error)
    if problems:
        _log.warning("%s is read without %d of its footprints: %s", file.path, len(problems), problems[0])
    return found


def _from_table(table: BinaryTable) -> list[Footprint | None]:
    """Return footprints that are in columns of the table itself."""
    columns = {}
    for part, card in _IN_TABLE.items():
        place = table.header.get(card)
        if isinstance(place, int) and 0 < place <= len(table.names):
            columns[part] = table.column(table.names[place - 1])
    made: list[Footprint | None] = []
    for row in range(len(table)):
        spans = Spans(columns["spans"][row].reshape(-1, 3))
        values = columns["peaks"][row].reshape(-1, 3).tolist() if "peaks" in columns else []
        footprint = Footprint(spans, [Peak(round(x), round(y), value) for x, y, value in values])
        if len(columns.get("image", {row: ()})[row]):
            mask = columns["mask"][row].astype(np.int32)
            footprint = HeavyFootprint(footprint, columns["image"][row], mask, columns["variance"][row])
        made.append(footprint if footprint.area else None)
    return made


class FootprintArchive:
    """The footprints of a catalog, as an archive that afw reads.

    Parameters
    ----------
    footprints
        Of each row, or None.
    """

    def __init__(self, footprints: Sequence[Footprint | None]) -> None:
        self._footprints = [one for one in footprints if one is not None]
        each = iter(range(1, 2 * len(self._footprints), 2))
        self.numbers = np.array([0 if one is None else next(each) for one in footprints], np.int32)
        """The number of each row's footprint in the archive."""

    def write(self, sink: ByteSink) -> None:
        """Write the HDUs: an index, and the catalogs that it points to."""
        kinds = sorted({_kind(one) for one in self._footprints if isinstance(one, HeavyFootprint)})
        index, heavy = self._index(kinds)
        schema = common_mask_schema(self._footprints)
        catalogs: list[tuple[str, Mapping[str, Any]]] = [
            ("Footprint", {"id": self.numbers[self.numbers > 0] + np.int32(1)}),
            ("SpanSet", self._spans()),
            ("Footprint", self._peaks()),
            *((f"HeavyFootprint{_KINDS[kind]}", _lines(heavy[kind], kind, schema)) for kind in kinds),
        ]
        many: list[CardTuple] = [("AR_NCAT", len(catalogs) + 1, "of catalogs in this archive, the index too")]
        _write_catalog(sink, index, "ARCHIVE_INDEX", 0, many)
        for number, (name, columns) in enumerate(catalogs, 1):
            _write_catalog(sink, columns, "ARCHIVE_DATA", number, [("AR_NAME", name, "class of what is stored here")])

    def _index(self, kinds: list[str]) -> tuple[dict[str, Any], dict[str, list[HeavyFootprint]]]:
        """Return the index: of each footprint its spans, the row that names them, its peaks and its pixels' values."""
        rows: list[tuple[int, int, int, int, int, str, str]] = []
        heavy: dict[str, list[HeavyFootprint]] = {kind: [] for kind in kinds}
        first_run = first_peak = 0
        for row, one in enumerate(self._footprints):
            number, runs, peaks = 2 * row + 1, len(one.spans), len(one.peaks)
            name, module = "Footprint", "lsst.afw.detection"
            if isinstance(one, HeavyFootprint):
                name = f"HeavyFootprint{_KINDS[_kind(one)]}"
            rows.append((number + 1, 2, 0, first_run, runs, "SpanSet", "lsst.afw.geom"))
            rows.append((number, 1, 0, row, 1, name, module))
            rows.append((number, 3, 1, first_peak, peaks, name, module))
            if isinstance(one, HeavyFootprint):
                kept = heavy[_kind(one)]
                rows.append((number, 4 + kinds.index(_kind(one)), 2, len(kept), 1, name, module))
                kept.append(one)
            first_run, first_peak = first_run + runs, first_peak + peaks
        names = ("id", "cat.archive", "cat.persistable", "row0", "nrows", "name", "module")
        types = (*["i4"] * 5, "S64", "S64")
        columns = zip(*rows, strict=True) if rows else [()] * len(names)
        return {name: np.array(column, kind) for name, kind, column in zip(names, types, columns, strict=True)}, heavy

    def _spans(self) -> dict[str, Any]:
        runs = np.concatenate([np.zeros((3, 0), np.int64), *(one.spans.runs for one in self._footprints)], axis=1)
        return dict(zip(("y", "x0", "x1"), runs.astype(np.int32), strict=True))

    def _peaks(self) -> dict[str, Any]:
        peaks = [peak for one in self._footprints for peak in one.peaks]
        x, y = (np.array([getattr(peak, axis) for peak in peaks], np.int32) for axis in "xy")
        return {
            "id": np.array([peak.id for peak in peaks], np.int64),
            "f_x": x.astype(np.float32),
            "f_y": y.astype(np.float32),
            "i_x": x,
            "i_y": y,
            "peakValue": np.array([peak.value for peak in peaks], np.float32),
        }


def _kind(heavy: HeavyFootprint) -> str:
    """Return the type that afw keeps the pixels of a heavy footprint in."""
    kind = heavy.image.dtype.str[1:]
    return kind if kind in _KINDS else "i4" if np.can_cast(heavy.image.dtype, np.int32) else "f8"


def _lines(heavy: list[HeavyFootprint], kind: str, schema: MaskSchema) -> dict[str, Any]:
    """Return the values of the pixels of heavy footprints, a list for each, their masks as a schema has them."""
    masks = []
    for one in heavy:
        mask = one.mask_in(schema, np.int64)
        if mask.size and not -(1 << 31) <= int(mask.min()) <= int(mask.max()) < 1 << 31:
            raise StorageClassError("afw's footprints have mask planes up to bit 31; these have higher ones")
        masks.append(mask.astype(np.int32))
    return {
        "image": [one.image.astype(kind) for one in heavy],
        "mask": masks,
        "variance": [one.variance.astype(np.float32) for one in heavy],
    }


def _write_catalog(sink: ByteSink, columns: Mapping[str, Any], kind: str, number: int, cards: list[CardTuple]) -> None:
    """Write one catalog of an archive; a list of arrays is a column of varying length, kept behind the table."""
    described: list[CardTuple] = []
    heap: list[bytes] = []
    stored: dict[str, Any] = {}
    size = 0
    for place, (name, column) in enumerate(columns.items(), 1):
        if isinstance(column, list):
            lengths = [one.size for one in column]
            form, described_by = f"1Q{_LETTERS[column[0].dtype.str[1:]]}({max(lengths)})", "Array"
            places = size + np.cumsum([0, *(one.nbytes for one in column)])
            stored[name] = np.stack([lengths, places[:-1]], axis=1).astype(">i8")
            heap += [bytes(big_endian(one)) for one in column]
            size = int(places[-1])
        elif column.dtype.kind == "S":
            form, described_by, stored[name] = f"{column.dtype.itemsize}A", "String", column
        else:
            form, described_by = f"1{_LETTERS[column.dtype.str[1:]]}", "Scalar"
            stored[name] = column.astype(column.dtype.newbyteorder(">"))
        described += [(f"TTYPE{place}", name, ""), (f"TFORM{place}", form, ""), (f"TCCLS{place}", described_by, "")]
    table = np.empty(
        len(next(iter(stored.values()))), [(name, one.dtype, one.shape[1:]) for name, one in stored.items()]
    )
    for name, one in stored.items():
        table[name] = one
    head: list[CardTuple] = [("XTENSION", "BINTABLE", ""), ("BITPIX", 8, ""), ("NAXIS", 2, "")]
    head += [("NAXIS1", table.dtype.itemsize, ""), ("NAXIS2", len(table), ""), ("PCOUNT", size, ""), ("GCOUNT", 1, "")]
    head += [("TFIELDS", len(stored), ""), *described, ("EXTTYPE", kind, ""), ("EXTNAME", kind, "")]
    head += [("AR_CATN", number, "of this catalog, the index being 0"), *cards, ("AFW_TABLE_VERSION", _VERSION, "")]
    sink.write(header_bytes(head))
    sink.write(table.tobytes())
    for part in heap:
        sink.write(part)
    write_padding(sink, table.nbytes + size)
