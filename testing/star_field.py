"""A field of stars with positions and colours, and the tangential projection that shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["StarField", "Tangent", "make_star_field"]

Floats = NDArray[np.float64]

# A globular cluster, r magnitude and g - r: down the giant branch, round the turn-off, down the main sequence.
_R_MAGNITUDE = (13.5, 14.5, 15.5, 16.3, 16.8, 17.3, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0)
_G_MINUS_R = (0.95, 0.78, 0.64, 0.52, 0.36, 0.28, 0.30, 0.40, 0.57, 0.80, 1.08, 1.35)
_BRIGHTEST, _FAINTEST = 13.8, 22.6
_SLOPE = 0.17  # of log10 of the number of stars a magnitude
_SCATTER = 0.02  # of the colours, magnitudes
_SEPARATION = 6.5  # arcsec that most stars keep from each other
_CROWDED_SHARE = 0.15  # stars that keep no distance


@dataclass(frozen=True)
class StarField:
    """Stars: arrays of one length."""

    ra: Floats
    """Right ascension, degrees."""
    dec: Floats
    """Declination, degrees."""
    magnitudes: dict[str, Floats]
    """AB magnitudes by band."""


@dataclass(frozen=True, slots=True)
class Tangent:
    """A gnomonic projection about a point, rotated and scaled to pixels (Calabretta & Greisen 2002, section 5.1.3)."""

    ra: float
    """Right ascension of the point of tangency, degrees."""
    dec: float
    """Declination of the point of tangency, degrees."""
    x0: float
    """Its pixel, counted from 0."""
    y0: float
    """Its pixel, counted from 0."""
    scale: float
    """Degrees per pixel."""
    rotation: float
    """Angle of north from y towards x, degrees."""

    @property
    def cd(self) -> Floats:
        """The CD matrix, degrees per pixel: east to the left."""
        turn = np.radians(self.rotation)
        return self.scale * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def to_pixels(self, ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
        """Return pixels, counted from 0, of positions in degrees."""
        d, d0 = np.radians(dec), np.radians(self.dec)
        da = np.radians(ra - self.ra)
        down = np.sin(d) * np.sin(d0) + np.cos(d) * np.cos(d0) * np.cos(da)
        xi = np.degrees(np.cos(d) * np.sin(da) / down)
        eta = np.degrees((np.sin(d) * np.cos(d0) - np.cos(d) * np.sin(d0) * np.cos(da)) / down)
        inverse = np.linalg.inv(self.cd)
        return inverse[0, 0] * xi + inverse[0, 1] * eta + self.x0, inverse[1, 0] * xi + inverse[1, 1] * eta + self.y0


def make_star_field(
    rng: np.random.Generator, count: int, ra: float, dec: float, width: float, height: float
) -> StarField:
    """Make stars over a box of the sky.

    Parameters
    ----------
    rng
        Where chance comes from.
    count
        How many stars.
    ra, dec
        Centre of the box, degrees.
    width, height
        Its full sizes, arcsec.
    """
    east, north = _positions(rng, count, width, height)
    # The number of stars grows as 10^(slope m): invert the cumulative count.
    low, high = 10 ** (_SLOPE * _BRIGHTEST), 10 ** (_SLOPE * _FAINTEST)
    r = np.log10(low + (high - low) * rng.random(count)) / _SLOPE
    g_r = np.interp(r, _R_MAGNITUDE, _G_MINUS_R) + rng.normal(0.0, _SCATTER, count)
    r_i = 0.42 * g_r + rng.normal(0.0, _SCATTER / 2, count)
    declination = dec + north / 3600.0
    return StarField(
        ra=(ra + east / 3600.0 / np.cos(np.radians(declination))) % 360.0,
        dec=declination,
        magnitudes={"g": r + g_r, "r": r, "i": r - r_i},
    )


def _positions(rng: np.random.Generator, count: int, width: float, height: float) -> tuple[Floats, Floats]:
    """Return offsets (arcsec) from the centre; most keep their distance, as in a field that is not a cluster's core."""
    east, north = np.empty(count), np.empty(count)
    keeps = rng.random(count) >= _CROWDED_SHARE
    for i in range(count):
        for _ in range(50):
            east[i], north[i] = (rng.random(2) - 0.5) * (width, height)
            near = np.hypot(east[:i] - east[i], north[:i] - north[i]) < _SEPARATION
            if not keeps[i] or not near.any():
                break
    return east, north
