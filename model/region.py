"""Regions on the sky, ICRS, as IVOA text that any tool reads; exact geometry by `lsst.sphgeom` when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

__all__ = ["Region"]


class Region:
    """A point, circle, range or convex polygon on the sky (ICRS, degrees).

    Parameters
    ----------
    text
        IVOA SIAv2 text: ``CIRCLE ra dec radius``, ``RANGE ra1 ra2 dec1 dec2`` (``-Inf`` and ``+Inf`` for no bound),
        ``POLYGON ra1 dec1 ra2 dec2 …`` (great circle edges, convex hull taken), or ``POINT ra dec``.

    Raises
    ------
    ValueError
        The text is of none of these forms, or a number is out of range.
    """

    __slots__ = ("_shape", "text")

    def __init__(self, text: str):
        self._shape: Any = None
        kind, *numbers = text.split() or [""]
        kind = kind.upper()
        self.text = " ".join((kind, *numbers))
        try:
            values = [float(number) for number in numbers]
        except ValueError:
            raise ValueError(f"not a region: {text!r} (a number is wanted after {kind})") from None
        wanted = {"POINT": len(values) == 2, "CIRCLE": len(values) == 3, "RANGE": len(values) == 4,
                  "POLYGON": len(values) >= 6 and len(values) % 2 == 0}  # fmt: skip
        if not wanted.get(kind, False):
            raise ValueError(
                f"not a region: {text!r}; write POINT ra dec, CIRCLE ra dec radius, RANGE ra1 ra2 dec1 dec2 "
                "or POLYGON ra1 dec1 ra2 dec2 ra3 dec3 …"
            )
        bounds = values if kind != "RANGE" else [0 if math.isinf(value) else value for value in values]
        if not all(map(math.isfinite, bounds)):
            raise ValueError(f"not a region: {text!r} (a number is not finite)")
        latitudes = values[2:4] if kind == "RANGE" else values[1::2] if kind == "POLYGON" else values[1:2]
        if any(90 < abs(latitude) < math.inf for latitude in latitudes):
            raise ValueError(f"not a region: {text!r} (a declination lies beyond ±90°)")
        if kind == "CIRCLE" and values[2] < 0:
            raise ValueError(f"not a region: {text!r} (the radius is negative)")
        if kind == "RANGE" and values[2] > values[3]:
            raise ValueError(f"not a region: {text!r} (its southern edge lies north of its northern one)")

    @classmethod
    def polygon(cls, vertices: Sequence[Sequence[float]]) -> Region:
        """Make the convex hull of vertices ``[(ra, dec), …]`` (degrees)."""
        return cls("POLYGON " + " ".join(f"{float(ra)!r} {float(dec)!r}" for ra, dec in vertices))

    @classmethod
    def point(cls, ra: float, dec: float) -> Region:
        """Make a point (degrees)."""
        return cls(f"POINT {float(ra)!r} {float(dec)!r}")

    @classmethod
    def circle(cls, ra: float, dec: float, radius: float) -> Region:
        """Make a circle by its centre and radius (degrees)."""
        return cls(f"CIRCLE {float(ra)!r} {float(dec)!r} {float(radius)!r}")

    @classmethod
    def box(cls, ra: float, dec: float, width: float, height: float) -> Region:
        """Make the range of longitude and latitude with that centre and those full sizes (degrees).

        Raises
        ------
        ValueError
            A size is negative, or the centre beyond a pole.
        """
        if abs(dec) > 90:
            raise ValueError(f"a box around ({ra}, {dec}): its declination lies beyond ±90°")
        if width < 0 or height < 0:
            raise ValueError(f"a box of {width} x {height} degrees: its sizes may not be negative")
        south, north = max(dec - height / 2, -90.0), min(dec + height / 2, 90.0)
        if width >= 360:
            return cls(f"RANGE 0.0 360.0 {south!r} {north!r}")
        return cls(f"RANGE {ra - width / 2!r} {ra + width / 2!r} {south!r} {north!r}")

    @property
    def ivoa(self) -> str:
        """The region as IVOA text."""
        return self.text

    @property
    def shape(self) -> Any:
        """The `lsst.sphgeom` region.

        Raises
        ------
        ValueError
            A polygon's vertices lie on one great circle.
        """
        if self._shape is None:
            self._shape = _shape(self.text)
        return self._shape

    def overlaps(self, other: Region) -> bool:
        """Whether they share a point of the sky; True, too, where the geometry library cannot rule it out."""
        answer = self.shape.overlaps(other.shape)
        return answer is not False

    def contains(self, ra: float, dec: float) -> bool:
        """Whether a point (degrees) lies within."""
        from lsst.sphgeom import LonLat, UnitVector3d

        return bool(self.shape.contains(UnitVector3d(LonLat.fromDegrees(ra, dec))))

    def htm_pixels(self, level: int) -> list[tuple[int, int]]:
        """Return ranges ``[begin, end)`` of the HTM pixels of a level that it may touch."""
        return [(int(begin), int(end)) for begin, end in _htm(level).envelope(self.shape)]

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Region) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> tuple[Any, ...]:
        return Region, (self.text,)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Region({self.text!r})"


@lru_cache(maxsize=32)
def _htm(level: int) -> Any:
    from lsst.sphgeom import HtmPixelization

    return HtmPixelization(level)


@lru_cache(maxsize=4096)
def _shape(text: str) -> Any:
    from lsst import sphgeom

    kind, *numbers = text.split(" ")
    if kind == "POINT":
        center = sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(float(numbers[0]), float(numbers[1])))
        return sphgeom.Circle(center)
    try:
        return sphgeom.Region.from_ivoa_pos(text)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"not a region: {text!r} ({error})") from error
