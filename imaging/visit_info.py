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

__all__ = ["VisitInfo"]


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class VisitInfo(Described, LsstNames):
    """The circumstances of an exposure. What is not known is NaN, ``""`` or 0."""

    id: int = 0
    """The visit or exposure."""
    exposure_time: float = math.nan
    """Seconds the shutter was open."""
    dark_time: float = math.nan
    """Seconds from the last clear to the readout."""
    begin: str = ""
    """When the shutter opened, TAI, ISO 8601: ``2019-05-03T08:44:09.000``."""
    boresight_ra: float = math.nan
    """Right ascension of the pointing, degrees, ICRS."""
    boresight_dec: float = math.nan
    """Declination of the pointing, degrees, ICRS."""
    boresight_azimuth: float = math.nan
    """Degrees, north through east."""
    boresight_altitude: float = math.nan
    """Degrees above the horizon."""
    boresight_rotation_angle: float = math.nan
    """Degrees from north through east of the detector's +y, on the sky."""
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

    VERSION: ClassVar[int] = 1

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

    def to_dict(self) -> dict[str, Any]:
        """Return what is known, as plain values."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if value == value and value != "" and (name, value) != ("id", 0)}

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
        return (Facts({name.replace("_", " "): str(value) for name, value in self.to_dict().items()}),)
