"""What afw's exposures say of themselves, in their headers and their archives, as components of ours."""

import logging
import math
import re
from typing import Any

from ...imaging.components import COMPONENTS
from ...imaging.filter import Filter
from ...imaging.header import HeaderValue
from ...imaging.photo_calib import PhotoCalib
from ...imaging.visit_info import VisitInfo
from ...model.errors import FileFormatError
from ...model.timespan import isot_from_ns, nanoseconds_from_isot
from .afw_archive import archive_of
from .fits_file import FitsFile

__all__ = ["AfwExposure"]

_log = logging.getLogger(__name__)

_NEWEST = 2
"""Of afw's versions of exposures (EXPINFO_V)."""

_KEYS = {
    "wcs": ("SKYWCS", "WCS"),
    "psf": ("PSF",),
    "photo_calib": ("PHOTOCALIB",),
    "filter": ("FILTER",),
    "detector": ("DETECTOR",),
    "ap_corr": ("AP_CORR_MAP",),
    "valid_polygon": ("VALID_POLYGON",),
    "summary_stats": ("SUMMARY_STATS",),
}
"""Components in the archive, and what afw calls them."""

_CARD = re.compile(r"(?:ARCHIVE_ID_(?P<now>\w+)|(?P<before>\w+)_ID)").fullmatch
"""Cards of the primary header that number components in the archive; since version 1 there are both."""

_COUNTED_OTHERWISE = {"VISITINFO", "EXP"}
"""What is in cards of the header, as well."""

_VISIT_INFO = {
    "id": "IDNUM",
    "exposure_time": "EXPTIME",
    "dark_time": "DARKTIME",
    "ut1": "MJD-AVG-UT1",
    "era": "AVG-ERA",
    "boresight_ra": "BORE-RA",
    "boresight_dec": "BORE-DEC",
    "boresight_azimuth": "BORE-AZ",
    "boresight_altitude": "BORE-ALT",
    "boresight_rotation_angle": "BORE-ROTANG",
    "rotation_type": "ROTTYPE",
    "airmass": "BORE-AIRMASS",
    "longitude": "OBS-LONG",
    "latitude": "OBS-LAT",
    "elevation": "OBS-ELEV",
    "air_temperature": "AIRTEMP",
    "air_pressure": "AIRPRESS",
    "humidity": "HUMIDITY",
    "focus_z": "FOCUSZ",
    "instrument": "INSTRUMENT",
    "object": "OBJECT",
    "observation_type": "OBSTYPE",
    "observation_reason": "REASON",
    "science_program": "PROGRAM",
    "has_simulated_content": "HAS-SIMULATED-CONTENT",
}


class AfwExposure:
    """The components of an exposure that afw wrote; each is read when it is asked for.

    Parameters
    ----------
    file
        Any FITS file.

    Raises
    ------
    FileFormatError
        If a later afw wrote it than is known here.
    """

    def __init__(self, file: FitsFile) -> None:
        self._file = file
        self._cards = file[0].values
        version = self._cards.get("EXPINFO_V", 0)
        if not isinstance(version, int) or version > _NEWEST:
            raise FileFormatError(f"{file.path} is an afw exposure of version {version}; up to {_NEWEST} are read")
        self._archive = archive_of(file)
        self._numbers: dict[str, int] = {}
        for key, value in self._cards.items() if self._archive is not None else ():
            if (match := _CARD(key)) and type(value) is int and value > 0:
                self._numbers[match["now"] or match["before"]] = value

    @property
    def is_one(self) -> bool:
        """Whether afw wrote it."""
        return self._archive is not None or "EXPINFO_V" in self._cards

    def component(self, name: str) -> Any:
        """Read one of the `COMPONENTS`; None where there is none or, with a warning, where it cannot be read."""
        if name == "visit_info":
            return self._visit_info()
        if name == "id":
            number = self._cards.get("EXPID")
            return number if type(number) is int else None
        for key in _KEYS.get(name, ()):
            if self._archive is not None and key in self._numbers:
                found = self._archive.component(self._numbers[key], name)
                if found is None or isinstance(found, COMPONENTS[name].kinds):
                    return found
                _log.warning("%s is read without its %s, which is a %s", self._file.path, name, type(found).__name__)
                return None
        if name == "photo_calib":
            return self._old_photo_calib()
        if name == "filter":
            physical = self._cards.get("FILTER")
            return Filter(physical) if isinstance(physical, str) and physical not in ("", "_unknown_") else None
        return None

    def warn_of_the_rest(self) -> None:
        """Say which components in the archive are none that exposures have here."""
        known = {key for keys in _KEYS.values() for key in keys}
        if self._archive is not None and (rest := sorted(self._numbers.keys() - known - _COUNTED_OTHERWISE)):
            said = ", ".join(f"{key} ({self._archive.kind(self._numbers[key])})" for key in rest)
            _log.warning("%s is read without %s, which exposures have no place for", self._file.path, said)

    def _old_photo_calib(self) -> PhotoCalib | None:
        """Return the calibration of versions before 1, which have the counts of magnitude 0 instead."""
        flux, error = (self._number(key) for key in ("FLUXMAG0", "FLUXMAG0ERR"))
        if not flux > 0:
            return None
        return PhotoCalib.from_inst_flux_at_zero_magnitude(flux, 0.0 if math.isnan(error) else error)

    def _visit_info(self) -> VisitInfo | None:
        known: dict[str, Any] = {}
        for name, key in _VISIT_INFO.items():
            value, default = self._cards.get(key), VisitInfo.__dataclass_fields__[name].default
            if isinstance(default, float):
                value = self._number(key)
            if value is not None and (type(value) is type(default)) and value == value:
                known[name] = value
        if known.get("rotation_type") == "UNKNOWN":
            del known["rotation_type"]
        if known.keys() <= {"exposure_time", "object", "observation_type"} and "DATE-AVG" not in self._cards:
            return None  # which any header has
        return VisitInfo(**known, begin=self._begin(known.get("exposure_time", 0.0)))

    def _begin(self, exposure_time: float) -> str:
        middle, scale = self._cards.get("DATE-AVG"), "tai"
        if middle is not None and self._cards.get("TIMESYS") != "TAI":
            _log.warning("%s is read without its date: TIMESYS of DATE-AVG should be TAI", self._file.path)
            return ""
        if middle is None:
            middle, scale = self._cards.get("TIME-MID"), "utc"
        if not isinstance(middle, str):
            return ""
        try:
            return isot_from_ns(nanoseconds_from_isot(middle.rstrip("Z"), scale) - round(exposure_time * 5e8))
        except ValueError as error:
            _log.warning("%s is read without its date: %s", self._file.path, error)
            return ""

    def _number(self, key: str) -> float:
        value: HeaderValue = self._cards.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
