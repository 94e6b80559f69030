"""What files of the lsst-images package say beside their pixels: a JSON tree, as components of ours.

Mappings in the text of Starlink AST are left alone: the headers have the sky WCS. Of PSFs the Gaussian is read; others
are objects of other packages.
"""

import json
import logging
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ...imaging.ap_corr import ApCorrMap
from ...imaging.chebyshev import ChebyshevField
from ...imaging.detector import Detector
from ...imaging.filter import Filter
from ...imaging.geometry import Box2I, Extent2I, Point2I
from ...imaging.photo_calib import PhotoCalib
from ...imaging.psf import GaussianPsf
from ...imaging.visit_info import VisitInfo
from ...model.errors import FileFormatError
from ...model.timespan import isot_from_ns, nanoseconds
from .fits_binary import BinaryTable
from .fits_file import FitsFile

__all__ = ["LsstImages"]

Tree = Mapping[str, Any]

_KNOWN = 1
"""Newest ``min_read_version`` of a tree that is understood."""
_KELVIN = 273.15


class LsstImages:
    """The components of an image that lsst-images wrote.

    Parameters
    ----------
    file
        A file for which `is_one` holds.

    Raises
    ------
    FileFormatError
        If a later package wrote it than is known here.
    """

    def __init__(self, file: FitsFile) -> None:
        self._file = file
        if self.tree.get("min_read_version", 1) > _KNOWN:
            raise FileFormatError(
                f"{file.path} can be read by lsst-images that knows version {self.tree['min_read_version']} of its "
                f"layout; up to {_KNOWN} are known here"
            )

    @staticmethod
    def is_one(file: FitsFile) -> bool:
        """Tell whether lsst-images wrote a file."""
        return "FMTVER" in file[0].values and "JSONADDR" in file[0].values

    @cached_property
    def tree(self) -> Tree:
        """The JSON tree."""
        hdu = self._file.find(lambda hdu: "JSON" in hdu.names)
        try:
            if hdu is None:
                raise ValueError("there is no HDU JSON")
            table = BinaryTable(hdu)
            value = table.column(table.names[0])[0]
            found = json.loads(bytes(value))
            if not isinstance(found, dict):
                raise TypeError("it is no object")
        except (ValueError, TypeError, IndexError) as error:
            raise FileFormatError(f"{self._file.path}: the JSON tree cannot be read: {error}") from error
        return found

    @property
    def metadata(self) -> Tree:
        """What the package calls metadata: numbers and texts by any name."""
        said = self.tree.get("metadata")
        return said if isinstance(said, dict) else {}

    def component(self, name: str) -> Any:
        """Read one of the components; None where there is none or, with a warning, where it cannot be read."""
        if name not in _DECODERS:
            return None
        try:
            return _DECODERS[name](self.tree)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            logging.getLogger(__name__).warning("%s is read without its %s: %r", self._file.path, name, error)
            return None


def _box(said: Tree) -> Box2I:
    x, y = said["x"], said["y"]
    return Box2I(Point2I(x["start"], y["start"]), Extent2I(x["stop"] - x["start"], y["stop"] - y["start"]))


def _chebyshev(said: Tree) -> ChebyshevField:
    if said["field_type"] != "CHEBYSHEV":
        raise ValueError(f"a field of type {said['field_type']} is not read")
    return ChebyshevField(_box(said["bounds"]), np.array(said["coefficients"]["data"], float))


def _psf(tree: Tree) -> GaussianPsf | None:
    said = tree.get("psf")
    if said is None:
        return None
    if "sigma" not in said:
        raise ValueError(f"a PSF of {said.get('schema_url', 'another kind')} is not read")
    return GaussianPsf(said["stamp_size"], said["stamp_size"], float(said["sigma"]))


def _photo_calib(tree: Tree) -> PhotoCalib | None:
    unit = tree.get("image", tree).get("data", {}).get("unit")
    return PhotoCalib(1.0) if unit == "nJy" else None


def _visit_info(tree: Tree) -> VisitInfo | None:
    said = tree.get("obs_info")
    if said is None:
        return None

    def number(name: str, scale: float = 1.0, zero: float = 0.0) -> float:
        value = said.get(name)
        return math.nan if value is None else float(value) * scale + zero

    def text(name: str) -> str:
        return str(said.get(name) or "")

    begin = said.get("datetime_begin")
    if begin is not None:
        from astropy.time import Time

        begin = isot_from_ns(nanoseconds(Time(*begin, format="jd", scale="tai")))
    return VisitInfo(
        id=int(said.get("visit_id") or said.get("exposure_id") or 0),
        exposure_time=number("exposure_time"),
        dark_time=number("dark_time"),
        begin=begin or "",
        airmass=number("boresight_airmass"),
        air_temperature=number("temperature", zero=-_KELVIN),
        air_pressure=number("pressure", 100.0),
        humidity=number("relative_humidity"),
        focus_z=number("focus_z", 1000.0),
        instrument=text("instrument"),
        object=text("object"),
        observation_type=text("observation_type"),
        observation_reason=text("observation_reason"),
        science_program=text("science_program"),
    )


def _filter(tree: Tree) -> Filter | None:
    band, physical = tree.get("band"), (tree.get("obs_info") or {}).get("physical_filter")
    return Filter(physical or "", band or "") if band or physical else None


def _detector(tree: Tree) -> Detector | None:
    if tree.get("detector") is None:
        return None
    said = tree["detector"]["attributes"]
    return Detector(said["id"], said["name"], _box(said["bbox"]), (), said["serial"])


def _ap_corr(tree: Tree) -> ApCorrMap | None:
    said = (tree.get("aperture_corrections") or {}).get("fields")
    return ApCorrMap({name: _chebyshev(field) for name, field in said.items()}) if said else None


def _summary_stats(tree: Tree) -> dict[str, Any] | None:
    said = tree.get("summary_stats")
    return None if said is None else {k: v for k, v in said.items() if k not in _ABOUT_THE_TREE}


_ABOUT_THE_TREE = ("schema_version", "min_read_version", "schema_url")

_DECODERS: dict[str, Callable[[Tree], Any]] = {
    "psf": _psf,
    "photo_calib": _photo_calib,
    "visit_info": _visit_info,
    "filter": _filter,
    "detector": _detector,
    "ap_corr": _ap_corr,
    "summary_stats": _summary_stats,
}
