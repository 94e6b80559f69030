"""Outlines in pixels, such as the part of a coadd that an exposure reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .geometry import Box2D, Point2D

__all__ = ["Polygon"]


class Polygon(LsstNames):
    """A simple polygon in parent pixels.

    Parameters
    ----------
    vertices
        Of shape ``(n, 2)``, (x, y) in either sense of rotation, the first not repeated; at least three. Or a box.

    Raises
    ------
    ValueError
        If they are no such table or not finite.
    """

    VERSION: ClassVar[int] = 1

    def __init__(self, vertices: ArrayLike | Box2D) -> None:
        if isinstance(vertices, Box2D):
            (x0, y0), (x1, y1) = vertices.min, vertices.max
            vertices = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self.vertices: NDArray[np.float64] = np.array(vertices, dtype=np.float64)
        shape = self.vertices.shape
        if len(shape) != 2 or shape[1] != 2 or shape[0] < 3 or not np.isfinite(self.vertices).all():
            raise ValueError(f"A polygon needs three or more finite vertices (x, y), not an array of shape {shape}.")
        self.vertices.flags.writeable = False

    @property
    def area(self) -> float:
        """In pixels."""
        x, y = self.vertices.T
        return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2.0

    @property
    def bbox(self) -> Box2D:
        """The smallest box around it."""
        return Box2D(Point2D(*self.vertices.min(axis=0)), Point2D(*self.vertices.max(axis=0)))

    @overload
    def contains(self, x: Point2D) -> bool: ...
    @overload
    def contains(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]: ...
    def contains(self, x: ArrayLike | Point2D, y: ArrayLike | None = None) -> NDArray[np.bool_] | bool:
        """Return whether positions, or a point, are inside, by the parity of the edges to their right."""
        if isinstance(x, Point2D):
            return bool(self.contains(x.x, x.y))
        if y is None:
            raise TypeError("a polygon contains a Point2D, or positions given as x and y")
        px, py = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        inside = np.zeros(px.shape, dtype=bool)
        for (x0, y0), (x1, y1) in zip(self.vertices, np.roll(self.vertices, -1, axis=0), strict=True):
            if y0 != y1:
                inside ^= ((y0 > py) != (y1 > py)) & (px < x0 + (py - y0) * (x1 - x0) / (y1 - y0))
        return inside

    def to_dict(self) -> dict[str, Any]:
        """Return the vertices."""
        return {"vertices": np.array(self.vertices)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a polygon of what `to_dict` gave."""
        return cls(content["vertices"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polygon) and np.array_equal(self.vertices, other.vertices)

    def __hash__(self) -> int:
        return hash(self.vertices.tobytes())

    def __repr__(self) -> str:
        return f"Polygon({len(self.vertices)} vertices, {self.area:.6g} pixels)"
