"""Pixels of the whole sky: HTM triangles by `lsst.sphgeom`, HEALPix cells (nested numbering) by their own formulae.

A `Pixelization` tells which pixels a region may touch, and what shape a pixel has. HEALPix follows Górski et al. 2005
(ApJ 622, 759): twelve faces, each a square that is halved level by level; the formulae are those of the paper's
section 5 for a place within a face.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from .region import Region

__all__ = ["Pixelization", "pixelization"]

_RING = (2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4)
"""Of each face's southern corner, the distance from the north pole in sides of a face."""
_LONGITUDE = (1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7)
"""Of each face's middle, the longitude in eighths of a turn."""
_EDGE = 4
"""Points that stand for an edge of a HEALPix cell, whose edges are no great circles."""


class Pixelization:
    """One level of one pixelization; made by `pixelization`.

    Parameters
    ----------
    kind
        ``htm`` or ``healpix``.
    level
        0 for the coarsest; each level divides a pixel into four.
    """

    def __init__(self, kind: str, level: int):
        self.kind = kind
        self.level = level
        self.first = 8 << 2 * level if kind == "htm" else 0
        """The smallest pixel number."""
        self.end = self.first + ((8 if kind == "htm" else 12) << 2 * level)
        """One more than the largest."""

    def __contains__(self, pixel: int) -> bool:
        return self.first <= pixel < self.end

    def envelope(self, region: Region) -> list[tuple[int, int]]:
        """Return ranges ``[begin, end)`` of the pixels that a region may touch: all that it does, and few besides."""
        if self.kind == "htm":
            return region.htm_pixels(self.level)
        return _healpix_envelope(region.shape, self.level)

    def touched(self, region: Region) -> list[int]:
        """Return the pixels that a region touches, each tested exactly."""
        return [
            pixel for begin, end in self.envelope(region) for pixel in range(begin, end) if self.touches(pixel, region)
        ]

    def region(self, pixel: int) -> Region:
        """Return a pixel as a region, its corners rounded as text rounds them."""
        return Region(self.shape(pixel).to_ivoa_pos())

    def touches(self, pixel: int, region: Region) -> bool:
        """Whether a region touches a pixel."""
        return self.shape(pixel).overlaps(region.shape) is not False

    def shape(self, pixel: int) -> Any:
        """Return the shape of a pixel, an `lsst.sphgeom.ConvexPolygon`; of a HEALPix cell, its convex hull.

        Raises
        ------
        ValueError
            There is no such pixel.
        """
        if pixel not in self:
            raise ValueError(f"{self.kind}{self.level} pixels are numbered {self.first} … {self.end - 1}; not {pixel}")
        return _htm_shape(self.level, pixel) if self.kind == "htm" else _healpix_shape(self.level, pixel)

    def __repr__(self) -> str:
        return f"Pixelization({self.kind!r}, {self.level})"


@lru_cache(maxsize=64)
def pixelization(kind: str, level: int) -> Pixelization:
    """Return a level of ``htm`` or ``healpix``."""
    return Pixelization(kind, level)


@lru_cache(maxsize=65536)
def _htm_shape(level: int, pixel: int) -> Any:
    from lsst.sphgeom import HtmPixelization

    return HtmPixelization(level).triangle(pixel)


def _healpix_envelope(shape: Any, level: int) -> list[tuple[int, int]]:
    """Go down from the twelve faces into each cell that the shape may touch."""
    from lsst.sphgeom import CONTAINS, DISJOINT, Circle

    found: list[tuple[int, int]] = []
    waiting = [(0, face) for face in reversed(range(12))]
    while waiting:
        depth, cell = waiting.pop()
        around = Circle(_healpix_point(depth, cell, 0.5, 0.5), _healpix_radius(depth))
        relation = shape.relate(around)
        if relation & DISJOINT:
            continue
        if depth < level and not relation & CONTAINS:
            waiting += [(depth + 1, 4 * cell + part) for part in (3, 2, 1, 0)]
            continue
        shift = 2 * (level - depth)
        begin, end = cell << shift, (cell + 1) << shift
        if found and found[-1][1] == begin:
            found[-1] = found[-1][0], end
        else:
            found.append((begin, end))
    return found


@lru_cache(maxsize=32)
def _healpix_radius(level: int) -> Any:
    """Return the largest distance, on any face, of a cell's corner from its middle."""
    from lsst.sphgeom import Angle, UnitVector3d

    sides = 1 << level
    middle = _vector(2 / 3, math.pi / (4 * sides))
    corner = _vector(1 - (1 - 1 / sides) ** 2 / 3, 0.0)
    cosine = sum(a * b for a, b in zip(middle, corner, strict=True))
    sine = UnitVector3d(*middle).cross(UnitVector3d(*corner)).getNorm()
    return Angle(math.atan2(sine, cosine) * (1 + 1e-9) + 1e-12)


@lru_cache(maxsize=65536)
def _healpix_shape(level: int, pixel: int) -> Any:
    from lsst.sphgeom import ConvexPolygon

    steps = [i / _EDGE for i in range(_EDGE)]
    around = [*((t, 0.0) for t in steps), *((1.0, t) for t in steps), *((1 - t, 1.0) for t in steps),
              *((0.0, 1 - t) for t in steps)]  # fmt: skip
    return ConvexPolygon.convexHull([_healpix_point(level, pixel, x, y) for x, y in around])


def _healpix_point(level: int, pixel: int, within_x: float, within_y: float) -> Any:
    """Return the direction of a place within a cell, as fractions of its sides."""
    from lsst.sphgeom import UnitVector3d

    face, rest = pixel >> 2 * level, pixel & ((1 << 2 * level) - 1)
    column, row = _every_other_bit(rest), _every_other_bit(rest >> 1)
    x, y = (column + within_x) / (1 << level), (row + within_y) / (1 << level)
    ring = _RING[face] - x - y
    if ring < 1:
        width, z = ring, 1 - ring * ring / 3
    elif ring > 3:
        width = 4 - ring
        z = width * width / 3 - 1
    else:
        width, z = 1.0, (2 - ring) * 2 / 3
    turn = (_LONGITUDE[face] * width + x - y) % 8
    return UnitVector3d(*_vector(z, math.pi / 4 * turn / width if width > 1e-15 else 0.0))


def _every_other_bit(number: int) -> int:
    return sum((number >> 2 * i & 1) << i for i in range((number.bit_length() + 1) // 2))


def _vector(z: float, longitude: float) -> tuple[float, float, float]:
    across = math.sqrt(max(0.0, (1 - z) * (1 + z)))
    return across * math.cos(longitude), across * math.sin(longitude), z
