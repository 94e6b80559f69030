"""When, where and how an exposure was taken."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..model.errors import closest
from ..model.lsst_names import LsstNames
from .describe import Described, Facts, Part

if TYPE_CHECKING:
    from astropy.coordinates import EarthLocation, SkyCoord
    from astropy.time import Time

    from ..model.timespan import Timespan

__all__ = ["VisitInfo", "Weather"]

_UNITS = {
    "exposure_time": "s", "dark_time": "s", "begin": "TAI", "ut1": "MJD", "era": "deg", "boresight_ra": "deg",
    "boresight_dec": "deg", "boresight_azimuth": "deg", "boresight_altitude": "deg", "boresight_rotation_angle": "deg",
    "longitude": "deg", "latitude": "deg", "elevation": "m", "air_temperature": "°C", "air_pressure": "Pa",
    "humidity": "%", "focus_z": "mm",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weather(LsstNames):
    """The air at the observatory."""

    air_temperature: float = math.nan
    """Degrees Celsius."""
    air_pressure: float = math.nan
    """Pascal."""
    humidity: float = math.nan
    """Per cent."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class VisitInfo(Described, LsstNames):
    """The circumstances of an exposure. What is not known is NaN, ``""`` or 0; angles are in degrees.

    LSST's own names (`boresight_ra_dec`, `weather`, `rot_type`, …) give the same in LSST's portions.
    """

    id: int = 0
    """The visit or exposure."""
    exposure_time: float = math.nan
    """Seconds the shutter was open."""
    dark_time: float = math.nan
    """Seconds from the last clear to the readout."""
    begin: str = ""
    """When the shutter opened, TAI, ISO 8601: ``2019-05-03T08:44:09.000``."""
    ut1: float = math.nan
    """The middle of the exposure, UT1, as a modified Julian date."""
    era: float = math.nan
    """Earth rotation angle in the middle of the exposure, degrees."""
    boresight_ra: float = math.nan
    """Right ascension of the pointing, degrees, ICRS."""
    boresight_dec: float = math.nan
    """Declination of the pointing, degrees, ICRS."""
    boresight_azimuth: float = math.nan
    """Degrees, north through east."""
    boresight_altitude: float = math.nan
    """Degrees above the horizon."""
    boresight_rotation_angle: float = math.nan
    """Degrees from north through east of the detector's +y, on the sky, or as `rotation_type` says."""
    rotation_type: str = ""
    """What `boresight_rotation_angle` is counted from: ``SKY``, ``HORIZON`` or ``MOUNT``."""
    airmass: float = math.nan
    """At the pointing."""
    longitude: float = math.nan
    """Of the observatory, degrees east."""
    latitude: float = math.nan
    """Of the observatory, degrees."""
    elevation: float = math.nan
    """Of the observatory, metres."""
    air_temperature: float = math.nan
    """Degrees Celsius."""
    air_pressure: float = math.nan
    """Pascal."""
    humidity: float = math.nan
    """Per cent."""
    focus_z: float = math.nan
    """Millimetres."""
    instrument: str = ""
    """As the registry calls it."""
    object: str = ""
    """The target."""
    observation_type: str = ""
    """``science``, ``bias``, ``dark``, ``flat`` and so on."""
    observation_reason: str = ""
    """Why it was taken."""
    science_program: str = ""
    """For whom it was taken."""
    has_simulated_content: bool = False
    """Whether any of the pixels was made up."""

    VERSION: ClassVar[int] = 2

    def __eq__(self, other: Any) -> bool:
        """Whether the same is known of both: what is unknown, NaN, is equal here."""
        return self.to_dict() == other.to_dict() if isinstance(other, VisitInfo) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.to_dict().items()))

    @property
    def timespan(self) -> Timespan | None:
        """From `begin`, as long as the exposure; None without a begin."""
        if not self.begin:
            return None
        from ..model.timespan import Timespan, nanoseconds_from_isot

        begin = nanoseconds_from_isot(self.begin, "tai")
        return Timespan(begin, begin + max(1, self._exposure_ns))

    @property
    def date(self) -> Time | None:
        """The middle of the exposure, an `astropy.time.Time` in TAI; None without a begin."""
        if not self.begin:
            return None
        from ..model.timespan import nanoseconds_from_isot, time_from_ns

        return time_from_ns(nanoseconds_from_isot(self.begin, "tai") + self._exposure_ns // 2)

    @property
    def _exposure_ns(self) -> int:
        return 0 if math.isnan(self.exposure_time) else round(self.exposure_time * 1e9)

    @property
    def boresight(self) -> SkyCoord | None:
        """The pointing; None where it is not known."""
        if math.isnan(self.boresight_ra) or math.isnan(self.boresight_dec):
            return None
        from astropy.coordinates import SkyCoord

        return SkyCoord(self.boresight_ra, self.boresight_dec, unit="deg", frame="icrs")

    @property
    def observatory(self) -> EarthLocation | None:
        """Where the telescope stands; None where it is not known."""
        if math.isnan(self.longitude) or math.isnan(self.latitude):
            return None
        from astropy.coordinates import EarthLocation

        return EarthLocation.from_geodetic(
            self.longitude, self.latitude, 0.0 if math.isnan(self.elevation) else self.elevation
        )

    @property
    def local_era(self) -> float:
        """Earth rotation angle at the observatory, `era` and its longitude, degrees."""
        return self.era + self.longitude

    @property
    def boresight_hour_angle(self) -> float:
        """Hour angle of the pointing, `local_era` less its right ascension, degrees."""
        return self.local_era - self.boresight_ra

    @property
    def boresight_par_angle(self) -> float:
        """Parallactic angle of the pointing: of the zenith from the north, through east, degrees, from -180 to 180."""
        hour, dec, latitude = map(math.radians, (self.boresight_hour_angle, self.boresight_dec, self.latitude))
        north = math.cos(dec) * math.tan(latitude) - math.sin(dec) * math.cos(hour)
        return math.degrees(math.atan2(math.sin(hour), north))

    @property
    def boresight_ra_dec(self) -> SkyCoord | None:
        """LSST's name of `boresight`."""
        return self.boresight

    @property
    def boresight_az_alt(self) -> SkyCoord | None:
        """Azimuth and altitude of the pointing; None where they are not known."""
        if math.isnan(self.boresight_azimuth) or math.isnan(self.boresight_altitude):
            return None
        from astropy.coordinates import SkyCoord

        return SkyCoord(az=self.boresight_azimuth, alt=self.boresight_altitude, unit="deg", frame="altaz")

    @property
    def boresight_airmass(self) -> float:
        """LSST's name of `airmass`."""
        return self.airmass

    @property
    def boresight_rot_angle(self) -> float:
        """LSST's name of `boresight_rotation_angle`."""
        return self.boresight_rotation_angle

    @property
    def rot_type(self) -> str:
        """LSST's name of `rotation_type`, ``UNKNOWN`` where that is not known."""
        return self.rotation_type or "UNKNOWN"

    @property
    def weather(self) -> Weather:
        """Temperature, pressure and humidity."""
        return Weather(self.air_temperature, self.air_pressure, self.humidity)

    @property
    def instrument_label(self) -> str:
        """LSST's name of `instrument`."""
        return self.instrument

    def to_dict(self) -> dict[str, Any]:
        """Return what is known, as plain values."""
        values = ((field, getattr(self, field.name)) for field in fields(self))
        return {field.name: value for field, value in values if value == value and value != field.default}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make it of what `to_dict` gave.

        Raises
        ------
        ValueError
            If there is a value of another name.
        """
        known = [field.name for field in fields(cls)]
        for name in content:
            if name not in known:
                raise ValueError(f"A VisitInfo has no {name!r}.{closest(name, known)}")
        return cls(**content)

    def _state(self) -> Iterable[str]:
        return [f"{name}={value!r}" for name, value in self.to_dict().items()]

    def _parts(self) -> Iterable[Part]:
        said = {name: f"{v:.10g}" if isinstance(v, float) else str(v) for name, v in self.to_dict().items()}
        return (Facts({name.replace("_", " "): f"{v} {_UNITS.get(name, '')}".rstrip() for name, v in said.items()}),)
