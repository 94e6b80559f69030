"""Archives of LSST's afw: what its exposures keep beside their pixels, in tables.

An index lists objects by number; each has rows in one table or more. What is decoded here are the objects that
SkyButler has classes for: photometric calibrations, filters, circumstances, detectors, Gaussian PSFs, polygons,
Chebyshev fields, aperture corrections, summary statistics, footprints, and WCS that FITS has words for. Nothing is ever
unpickled.
"""

import logging
import math
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np

from ...imaging.ap_corr import ApCorrMap
from ...imaging.chebyshev import ChebyshevField
from ...imaging.detector import Amplifier, Detector
from ...imaging.filter import Filter
from ...imaging.footprint import Footprint, HeavyFootprint, Peak
from ...imaging.geometry import Box2I, Extent2I, Point2I
from ...imaging.photo_calib import PhotoCalib
from ...imaging.polygon import Polygon
from ...imaging.psf import GaussianPsf
from ...imaging.spans import Spans
from ...imaging.visit_info import VisitInfo
from ...imaging.wcs import Wcs
from ...model.errors import FileFormatError
from ...model.timespan import isot_from_ns
from .afw_wcs import wcs_from_ast
from .fits_binary import BinaryTable
from .fits_file import FitsFile, Hdu

__all__ = ["Archive", "Row", "archive_of"]

Row = dict[str, Any]
"""A row of a table, by column; bits under the names that their keywords TFLAGn give them, too."""

_log = logging.getLogger(__name__)

_DEGREES = 180.0 / math.pi
_ROTATION_TYPES = ("", "SKY", "HORIZON", "MOUNT")  # by afw's numbers
_OF_PEAKS = {"id", "f_x", "f_y", "i_x", "i_y", "peakValue"}
_ROOT = 1
"""Number of the object that a file is, where it is one object alone."""


def archive_of(file: FitsFile) -> "Archive | None":
    """Return the archive of a file; None where it has none."""
    index = file.find(lambda hdu: "ARCHIVE_INDEX" in hdu.names)
    return None if index is None else Archive(file, index)


class Archive:
    """The objects in a file that afw wrote.

    Parameters
    ----------
    file
        The file.
    index
        The HDU that lists the objects.
    """

    def __init__(self, file: FitsFile, index: Hdu) -> None:
        self._file = file
        self.path = file.path
        self._first = index.number
        table = BinaryTable(index)
        columns = {name.replace(".", "_"): table.column(name) for name in table.names}
        missing = {"id", "cat_persistable", "cat_archive", "row0", "nrows", "name"} - columns.keys()
        if missing:
            raise FileFormatError(f"{self.path} has an archive without {', '.join(sorted(missing))} in its index")
        self._parts: dict[int, list[tuple[int, int, int, int]]] = {}
        self._names: dict[int, str] = {}
        for row, number in enumerate(columns["id"] if len(table) else ()):
            place = [int(columns[name][row]) for name in ("cat_persistable", "cat_archive", "row0", "nrows")]
            self._parts.setdefault(int(number), []).append((place[0], place[1], place[2], place[3]))
            self._names[int(number)] = str(columns["name"][row])
        self._tables: dict[int, list[Row]] = {}
        self._left_out: set[str] = set()

    def _unread(self, number: int) -> FileFormatError:
        name = self._names.get(number)
        what = f"has no object {number}" if name is None else f"holds an afw {name}, which SkyButler does not read"
        return FileFormatError(f"{self.path} {what}; it reads {', '.join(_DECODERS)}")

    def get(self, number: int = _ROOT) -> Any:
        """Read an object.

        Raises
        ------
        FileFormatError
            If there is no such object, it is of a kind or version that is not read, or it is not whole.
        """
        name = self._names.get(number)
        if name not in _DECODERS:
            raise self._unread(number)
        parts = [self._table(table)[first : first + rows] for _, table, first, rows in sorted(self._parts[number])]
        try:
            return _DECODERS[name](self, parts)
        except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
            said = error.args[0] if isinstance(error, FileFormatError) else repr(error)
            raise FileFormatError(f"{self.path} holds an afw {name} that cannot be read: {said}") from error

    def kind(self, number: int) -> str:
        """Return the name of an object's class."""
        return self._names.get(number, "which is not there")

    def component(self, number: int, what: str) -> Any:
        """Read an object of an exposure; None, with a warning, where it cannot be read."""
        try:
            return self.get(number)
        except FileFormatError as error:
            _log.warning("%s is read without its %s: %s", self.path, what, error)
            return None

    def leave_out(self, what: str, columns: Collection[str]) -> None:
        """Say, once, that things are read without some of their columns."""
        if columns and what not in self._left_out:
            self._left_out.add(what)
            _log.warning("%s is read without %s of its %s", self.path, ", ".join(sorted(columns)), what)

    def _table(self, number: int) -> list[Row]:
        if number not in self._tables:
            table = BinaryTable(self._file[self._first + number])
            columns: dict[str, Any] = {name: table.column(name) for name in table.names}
            if table.letter(table.names[0]) == "X":
                bits = columns.pop(table.names[0])
                flags = [str(table.header.get(f"TFLAG{bit + 1}")) for bit in range(bits.shape[1])]
                columns |= {name: bits[:, bit] for bit, name in enumerate(flags)}
            self._tables[number] = [{name: value[row] for name, value in columns.items()} for row in range(len(table))]
        return self._tables[number]


def _box(row: Row) -> Box2I:
    if "bbox_min" in row:
        low, high = row["bbox_min"], row["bbox_max"]
    else:
        low, high = (row["bbox_min_x"], row["bbox_min_y"]), (row["bbox_max_x"], row["bbox_max_y"])
    return Box2I(Point2I(int(low[0]), int(low[1])), Point2I(int(high[0]), int(high[1])))


def _version(row: Row, known: int, oldest: int = 0) -> None:
    version = int(row.get("version", 0))
    if not oldest <= version <= known:
        raise FileFormatError(f"it is of version {version}, and versions {oldest} to {known} are read")


def _chebyshev(archive: Archive, parts: list[list[Row]]) -> ChebyshevField:
    row = parts[0][0]
    return ChebyshevField(_box(row), np.atleast_1d(row["coefficients"]).reshape(-1, int(row["order_x"]) + 1))


def _photo_calib(archive: Archive, parts: list[list[Row]]) -> PhotoCalib:
    row = parts[0][0]
    _version(row, 1, 1)  # earlier ones mean the inverse, as afw's own reader refuses to guess
    mean, error = float(row["calibrationMean"]), float(row["calibrationErr"])
    field = None if row["isConstant"] else archive.get(int(row["field"]))
    return PhotoCalib(mean, error, field)


def _filter(archive: Archive, parts: list[list[Row]]) -> Filter:
    row = parts[0][0]
    physical, band = (str(row[name]) if row[f"{name}_exists"] else "" for name in ("physical", "band"))
    return Filter(physical, band)


def _polygon(archive: Archive, parts: list[list[Row]]) -> Polygon:
    return Polygon([(float(row["vertices_x"]), float(row["vertices_y"])) for row in parts[0]])


def _ap_corr(archive: Archive, parts: list[list[Row]]) -> ApCorrMap:
    return ApCorrMap({str(row["name"]): archive.get(int(row["field"])) for row in parts[0]})


def _gaussian_psf(archive: Archive, parts: list[list[Row]]) -> GaussianPsf:
    row = parts[0][0]
    size = row["dimensions"] if "dimensions" in row else (row["dimensions_x"], row["dimensions_y"])
    return GaussianPsf(int(size[0]), int(size[1]), float(row["sigma"]))


def _summary_stats(archive: Archive, parts: list[list[Row]]) -> dict[str, Any]:
    import yaml

    found = yaml.safe_load(bytes(parts[0][0]["bytes"]).decode("utf-8"))
    if not isinstance(found, dict):
        raise FileFormatError("it lists no numbers")
    return found


def _visit_info(archive: Archive, parts: list[list[Row]]) -> VisitInfo:
    row = parts[0][0]
    _version(row, 5)
    exposure_time = float(row["exposuretime"])
    middle = int(row["tai"])
    begin = ""
    if middle != np.iinfo(np.int64).min:  # what afw has for no date
        begin = isot_from_ns(middle - (0 if math.isnan(exposure_time) else round(exposure_time * 5e8)))
    number = next((int(row[name]) for name in ("idnum", "id", "exposureid") if name in row), 0)

    def text(name: str) -> str:
        return str(row.get(name, ""))

    return VisitInfo(
        id=number,
        exposure_time=exposure_time,
        dark_time=float(row["darktime"]),
        begin=begin,
        ut1=float(row["ut1"]),
        era=float(row["era"]) * _DEGREES,
        boresight_ra=float(row["boresightradec_ra"]) * _DEGREES,
        boresight_dec=float(row["boresightradec_dec"]) * _DEGREES,
        boresight_azimuth=float(row["boresightazalt_az"]) * _DEGREES,
        boresight_altitude=float(row["boresightazalt_alt"]) * _DEGREES,
        boresight_rotation_angle=float(row["boresightrotangle"]) * _DEGREES,
        rotation_type=_ROTATION_TYPES[int(row["rottype"])],
        airmass=float(row["boresightairmass"]),
        longitude=float(row["longitude"]) * _DEGREES,
        latitude=float(row["latitude"]) * _DEGREES,
        elevation=float(row["elevation"]),
        air_temperature=float(row["airtemperature"]),
        air_pressure=float(row["airpressure"]),
        humidity=float(row["humidity"]),
        focus_z=float(row.get("focusz", math.nan)),
        instrument=text("instrumentlabel"),
        object=text("object"),
        observation_type=text("observationType"),
        observation_reason=text("observationReason"),
        science_program=text("scienceProgram"),
        has_simulated_content=bool(row.get("hasSimulatedContent", False)),
    )


def _amplifier(row: Row) -> Amplifier:
    def box(name: str) -> Box2I:
        corner = Point2I(int(row[f"{name}_min_x"]), int(row[f"{name}_min_y"]))
        return Box2I(corner, Extent2I(int(row[f"{name}_extent_x"]), int(row[f"{name}_extent_y"])))

    whole = data = box("bbox")
    overscan = None
    if row["hasrawinfo"] and not box("raw_bbox").is_empty:
        whole, data = box("raw_bbox"), box("raw_databbox")
        found = box("raw_horizontaloverscanbbox")
        overscan = None if found.is_empty else found
    saturation = float(row["saturation"])
    return Amplifier(
        str(row["name"]), box("bbox"), whole, data, overscan,
        gain=float(row["gain"]), read_noise=float(row["readnoise"]),
        saturation=math.inf if math.isnan(saturation) else saturation,
        flip_x=bool(row["raw_flip_x"]), flip_y=bool(row["raw_flip_y"]),
    )  # fmt: skip


def _detector(archive: Archive, parts: list[list[Row]]) -> Detector:
    row = parts[0][0]
    _version(row, 2)
    made = Detector(int(row["id"]), str(row["name"]), _box(row), (), str(row["serial"]))
    try:
        return replace(made, amplifiers=tuple(_amplifier(amplifier) for amplifier in parts[1]))
    except ValueError as error:
        _log.warning("%s is read without the amplifiers of its detector: %s", archive.path, error)
        return made


def _old_wcs(archive: Archive, parts: list[list[Row]]) -> Wcs:
    """Return the WCS of afw before 2018: tangential, with SIP polynomials where there is a second table."""
    row = parts[0][0]

    def pair(name: str) -> tuple[float, float]:
        return tuple(row[name]) if name in row else (float(row[f"{name}_x"]), float(row[f"{name}_y"]))

    cards: dict[str, Any] = {"RADESYS": str(row["radesys"]), "EQUINOX": float(row["equinox"])}
    for axis, (value, pixel) in enumerate(zip(pair("crval"), pair("crpix"), strict=True), 1):
        cards |= {f"CRVAL{axis}": float(value), f"CRPIX{axis}": float(pixel) + 1.0}  # afw counts from 0
        cards |= {f"CTYPE{axis}": str(row[f"ctype{axis}"]), f"CUNIT{axis}": str(row[f"cunit{axis}"])}
    matrix = np.reshape(row["cd"], (2, 2), order="F")
    cards |= {f"CD{i + 1}_{j + 1}": float(matrix[i, j]) for i in range(2) for j in range(2)}
    if len(parts) > 1:
        cards |= {key: f"{cards[key].removesuffix('-SIP')}-SIP" for key in ("CTYPE1", "CTYPE2")}
    for name, key in (("A", "A"), ("B", "B"), ("Ap", "AP"), ("Bp", "BP")) if len(parts) > 1 else ():
        table = parts[1][0][name]
        order = math.isqrt(len(table))
        terms = np.reshape(table, (order, order), order="F")
        cards[f"{key}_ORDER"] = order - 1
        cards |= {f"{key}_{i}_{j}": float(terms[i, j]) for i in range(order) for j in range(order) if i + j < order}
    made = Wcs.from_header(cards)
    if made is None:
        raise FileFormatError("it says nothing of the sky")
    return made


def _sky_wcs(archive: Archive, parts: list[list[Row]]) -> Wcs:
    return wcs_from_ast(bytes(parts[0][0]["wcs"]).decode("ascii"))


def _spans(archive: Archive, parts: list[list[Row]]) -> Spans:
    return Spans([(int(row["y"]), int(row["x0"]), int(row["x1"])) for row in parts[0]])


def _footprint(archive: Archive, parts: list[list[Row]]) -> Footprint:
    """Return a footprint; the early ones have their spans themselves, later ones the number of a SpanSet."""
    first = parts[0]
    spans = archive.get(int(first[0]["id"])) if first and "id" in first[0] else _spans(archive, parts)
    if parts[1]:
        archive.leave_out("peaks", parts[1][0].keys() - _OF_PEAKS)
    peaks = [Peak(int(row["i_x"]), int(row["i_y"]), float(row["peakValue"]), int(row["id"])) for row in parts[1]]
    return Footprint(spans, peaks)


def _heavy_footprint(archive: Archive, parts: list[list[Row]]) -> HeavyFootprint:
    row = parts[2][0]
    return HeavyFootprint(_footprint(archive, parts), row["image"], row["mask"].astype(np.int32), row["variance"])


_DECODERS: dict[str, Callable[[Archive, list[list[Row]]], Any]] = {
    "PhotoCalib": _photo_calib,
    "FilterLabel": _filter,
    "VisitInfo": _visit_info,
    "Detector": _detector,
    "GaussianPsf": _gaussian_psf,
    "Polygon": _polygon,
    "ChebyshevBoundedField": _chebyshev,
    "ApCorrMap": _ap_corr,
    "ExposureSummaryStats": _summary_stats,
    "SkyWcs": _sky_wcs,
    "TanWcs": _old_wcs,
    "Wcs": _old_wcs,
    "SpanSet": _spans,
    "Footprint": _footprint,
    **{f"HeavyFootprint{kind}": _heavy_footprint for kind in "FDIU"},
}
