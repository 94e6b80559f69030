"""Curves through points: what backgrounds are drawn with between their cells."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.errors import closest
from ..model.lsst_names import LsstNames

__all__ = ["INTERPOLATIONS", "Interpolate", "lookup_max_interp_style", "lookup_min_interp_points", "make_interpolate"]

Floats = NDArray[np.float64]

INTERPOLATIONS: Mapping[str, int] = MappingProxyType(
    {"AKIMA_SPLINE": 5, "CUBIC_SPLINE": 3, "NATURAL_SPLINE": 3, "LINEAR": 2, "CONSTANT": 1}
)
"""Curves, the best first, and how many points each needs. CUBIC_SPLINE is another name of NATURAL_SPLINE, as in afw."""


class Interpolate(LsstNames):
    """A curve through points; beyond the first and the last one it goes on in straight lines.

    Parameters
    ----------
    x
        Of the points, ascending.
    y
        Of the points; of shape ``(n, …)`` for several curves at once.
    style
        One of `INTERPOLATIONS`. CONSTANT is, between two points, the mean of both, and beyond the last one its value.

    Raises
    ------
    ValueError
        If there are fewer points than the style needs, or x does not ascend.
    """

    def __init__(self, x: ArrayLike, y: ArrayLike, style: str = "AKIMA_SPLINE") -> None:
        self.x: Floats = np.array(x, dtype=np.float64)
        self.y: Floats = np.array(y, dtype=np.float64)
        self.style = style
        needed = lookup_min_interp_points(style)
        if self.x.ndim != 1 or len(self.x) != len(self.y):
            raise ValueError(f"{self.x.shape} positions do not go with values of shape {self.y.shape}")
        if len(self.x) < needed:
            raise ValueError(f"{style} needs {needed} points, not {len(self.x)}")
        if np.any(np.diff(self.x) <= 0):
            raise ValueError("the positions of the points must ascend")
        self._curve = None if style == "CONSTANT" else _curve(self.x, self.y, style)

    def interpolate(self, x: ArrayLike) -> Any:
        """Return the curve at positions: a number, or an array of shape ``(*x.shape, …)``."""
        at = np.asarray(x, dtype=np.float64)
        found = self._steps(at) if self._curve is None else self._smooth(self._curve, at)
        return float(found) if found.ndim == 0 else found

    def __repr__(self) -> str:
        return f"Interpolate({self.style} through {len(self.x)} points)"

    def _steps(self, at: Floats) -> Floats:
        """Return the mean of the two points that a position lies between; upon a point, that of it and the next."""
        ends = np.concatenate([self.y[:1], self.y, self.y[-1:]])
        steps = (ends[:-1] + ends[1:]) / 2.0
        return np.asarray(steps[np.searchsorted(self.x, at, "right")])

    def _smooth(self, curve: Any, at: Floats) -> Floats:
        """Return what the curve is between the points, and straight lines beyond."""
        first, last = self.x[0], self.x[-1]
        found = np.asarray(curve(np.clip(at, first, last)), dtype=np.float64)
        slopes = curve.derivative()
        for outside, edge in ((at < first, first), (at > last, last)):
            if outside.any():
                beyond = (at - edge).reshape(at.shape + (1,) * (self.y.ndim - 1))
                found = np.where(outside.reshape(beyond.shape), found + beyond * np.asarray(slopes(edge)), found)
        return found


def _curve(x: Floats, y: Floats, style: str) -> Any:
    """Return the curve between the points, as scipy has it."""
    from scipy import interpolate

    if style == "AKIMA_SPLINE":
        return interpolate.Akima1DInterpolator(x, y, axis=0)
    if style == "LINEAR":
        widths = np.diff(x).reshape(-1, *(1,) * (y.ndim - 1))
        return interpolate.PPoly(np.stack([np.diff(y, axis=0) / widths, y[:-1]]), x)
    return interpolate.CubicSpline(x, y, axis=0, bc_type="natural")


def make_interpolate(x: ArrayLike, y: ArrayLike, style: str = "AKIMA_SPLINE") -> Interpolate:
    """Return a curve through points; see `Interpolate`."""
    return Interpolate(x, y, style)


def lookup_min_interp_points(style: str) -> int:
    """Return how many points a curve needs; ValueError where there is none of that name."""
    try:
        return INTERPOLATIONS[style]
    except KeyError:
        hint = closest(style, INTERPOLATIONS)
        raise ValueError(f"There is no interpolation {style!r}, only {', '.join(INTERPOLATIONS)}.{hint}") from None


def lookup_max_interp_style(points: int) -> str:
    """Return the best curve that so many points are enough for; ValueError where there is no point."""
    if points < 1:
        raise ValueError(f"a curve needs one point or more, not {points}")
    return next(style for style, needed in INTERPOLATIONS.items() if needed <= points)
