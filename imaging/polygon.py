"""Outlines in pixels, such as the part of a coadd that an exposure reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .geometry import Box2D, Box2I, Point2D

if TYPE_CHECKING:
    from .image import Image

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
        return abs(self._signed_area)

    def calculate_area(self) -> float:
        """Return the `area`, as LSST's code asks for it."""
        return self.area

    @property
    def _signed_area(self) -> float:
        """The area, negative where the vertices go round clockwise."""
        return float(_cross(self.vertices, np.roll(self.vertices, -1, axis=0)).sum()) / 2.0

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

    @property
    def is_convex(self) -> bool:
        """Whether it turns to one side only."""
        edges = np.roll(self.vertices, -1, axis=0) - self.vertices
        turns = _cross(edges, np.roll(edges, -1, axis=0))
        return bool((turns >= 0).all() or (turns <= 0).all())

    def intersection(self, other: Polygon | Box2D) -> Polygon | None:
        """Return what two polygons, at least one of them convex, have in common; None where that has no area.

        Each edge of the convex one cuts off what lies beyond it (Sutherland and Hodgman 1974). What would be several
        parts of a polygon that is not convex hangs together by edges without width.
        """
        subject, clip = self, other if isinstance(other, Polygon) else Polygon(other)
        if not clip.is_convex:
            subject, clip = clip, subject
        if not clip.is_convex:
            raise ValueError("what two polygons have in common can be told where one of them is convex; neither is")
        left = subject.vertices
        corners = clip.vertices if clip._signed_area > 0 else clip.vertices[::-1]
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            inside = _cross(end - start, left - start)  # above 0 to the left of the edge
            after, inside_after = np.roll(left, -1, axis=0), np.roll(inside, -1)
            kept = []
            for point, next_point, here, there in zip(left, after, inside, inside_after, strict=True):
                if here >= 0:
                    kept.append(point)
                if (here > 0 > there) or (here < 0 < there):
                    kept.append(point + (next_point - point) * (here / (here - there)))
            if len(kept) < 3:
                return None
            left = np.array(kept)
        found = Polygon(left)
        return found if found.area > 0 else None

    def create_image(self, bbox: Box2I) -> Image:
        """Return how much of each pixel of a box lies inside, 0 to 1, exactly; float32.

        The area left of x, within a row, is the integral of min(x', x) dy along the outline (Green's theorem).
        """
        from .image import Image

        x, y, dy = self._pieces(bbox)
        column, row = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
        height, width = bbox.height, bbox.width
        seen = (row >= 0) & (row < height) & (column >= 0)
        x, dy, column, row = x[seen], dy[seen], np.minimum(column[seen], width), row[seen]
        part, whole = np.zeros((height, width + 1)), np.zeros((height, width + 1))
        np.add.at(part, (row, column), dy * (x - column))
        np.add.at(whole, (row, column), dy)
        to_the_right = np.cumsum(whole[:, ::-1], axis=1)[:, ::-1][:, 1:]
        covered = (part[:, :width] + to_the_right) * np.sign(self._signed_area)
        return Image(np.clip(covered, 0.0, 1.0).astype(np.float32), xy0=bbox.min)

    def _pieces(self, bbox: Box2I) -> NDArray[np.float64]:
        """Return the outline in pieces, none of which leaves a pixel: middles x and y from the box's corner, and dy."""
        corner = np.array([bbox.min_x, bbox.min_y]) - 0.5
        pieces = []
        for start, end in zip(self.vertices - corner, np.roll(self.vertices, -1, axis=0) - corner, strict=True):
            cuts = [np.array([0.0, 1.0])]
            for one, other in zip(start, end, strict=True):
                lines = np.arange(np.ceil(min(one, other)), np.floor(max(one, other)) + 1)
                if one != other:
                    cuts.append((lines - one) / (other - one))
            at = np.unique(np.clip(np.concatenate(cuts), 0.0, 1.0))[:, np.newaxis]
            points = start + at * (end - start)
            pieces.append(np.hstack([(points[1:] + points[:-1]) / 2, points[1:, 1:] - points[:-1, 1:]]))
        return np.concatenate(pieces).T

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


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the products of vectors of the plane that are above 0 where the other one points to the left."""
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
