"""Boxes of whole pixels: immutable values; and from here too the points, extents and Box2D that go with them.

The centre of a pixel has integer coordinates, so a pixel reaches half a unit to each side. Coordinates are given as
``(x, y)``; only ``slices`` is ``(y, x)``, because that is how numpy indexes an image.
"""

import math
from collections.abc import Iterable
from enum import Enum
from operator import index
from typing import Any, ClassVar, SupportsInt, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .box2d import Box2D
from .points import LOCAL, PARENT, Extent2D, Extent2I, ImageOrigin, Point2D, Point2I

__all__ = [
    "LOCAL",
    "PARENT",
    "Box2D",
    "Box2I",
    "EdgeHandling",
    "Extent2D",
    "Extent2I",
    "ImageOrigin",
    "Point2D",
    "Point2I",
]


class EdgeHandling(Enum):
    """What becomes of the pixels that a Box2D covers in part, when it is made a Box2I."""

    EXPAND = "EXPAND"
    SHRINK = "SHRINK"


def _span(corner: int, size: int, invert: bool) -> tuple[int, int]:
    """Return (begin, size) of one axis; a negative size reaches downwards from the corner."""
    if size < 0 and invert:
        return corner + size + 1, -size
    return corner, max(size, 0)


class Box2I(LsstNames):
    """A rectangle of whole pixels; its maximum is the last pixel inside.

    Parameters
    ----------
    corner
        The lower left pixel. A box alone is copied or converted; nothing at all makes the empty box.
    other
        The upper right pixel (inclusive), or the dimensions; with a Box2D, whether to take the pixels that it covers
        in part (``EXPAND``, the default) or not (``SHRINK``).
    invert
        Whether a maximum below the minimum, or a negative dimension, means the box on the other side of the corner
        (default); otherwise the box is empty.

    Notes
    -----
    An empty box is a value: its dimensions are (0, 0), all empty ones are equal, every box contains it and none
    overlaps it.
    """

    __slots__ = ("_bounds",)

    EXPAND: ClassVar[EdgeHandling] = EdgeHandling.EXPAND
    SHRINK: ClassVar[EdgeHandling] = EdgeHandling.SHRINK
    _bounds: tuple[int, int, int, int]  # x and y of the first pixel, width, height

    def __init__(
        self,
        corner: "Point2I | tuple[int, int] | Box2I | Box2D | None" = None,
        other: "Point2I | Extent2I | EdgeHandling | None" = None,
        invert: bool = True,
    ) -> None:
        if corner is None and other is None:
            bounds = (0, 0, 0, 0)
        elif isinstance(corner, Box2I) and other is None:
            bounds = corner._bounds
        elif isinstance(corner, Box2D) and (other is None or isinstance(other, EdgeHandling)):
            bounds = _whole_pixels(corner, other or EdgeHandling.EXPAND)
        elif isinstance(other, (Point2I, Extent2I)) and corner is not None:
            first = Point2I(corner)
            width, height = other
            if isinstance(other, Point2I):
                width, height = (_inclusive(begin, end) for begin, end in zip(first, other, strict=True))
            (x0, width), (y0, height) = _span(first.x, width, invert), _span(first.y, height, invert)
            bounds = (x0, y0, width, height) if width and height else (0, 0, 0, 0)
        else:
            raise TypeError(
                f"Box2I takes (Point2I, Extent2I), (Point2I, Point2I) or a box, not ({corner!r}, {other!r}); "
                "say Point2I(...) for the last pixel or Extent2I(...) for the size"
            )
        object.__setattr__(self, "_bounds", bounds)

    @classmethod
    def from_bounds(cls, begin_x: int, end_x: int, begin_y: int, end_y: int) -> "Box2I":
        """Make a box of half-open ranges; empty where an end does not lie beyond its beginning."""
        return cls._of(index(begin_x), index(begin_y), index(end_x - begin_x), index(end_y - begin_y))

    @classmethod
    def _of(cls, x: int, y: int, width: int, height: int) -> "Box2I":
        """Make a box of its first pixel and size; much sooner than by a point and an extent."""
        made = object.__new__(cls)
        object.__setattr__(made, "_bounds", (x, y, width, height) if width > 0 and height > 0 else (0, 0, 0, 0))
        return made

    @classmethod
    def from_slices(cls, slices: tuple[slice, slice]) -> "Box2I":
        """Make a box of numpy's ``(y, x)`` slices, which must say where they start and stop, without a step."""
        for axis in slices:
            if axis.start is None or axis.stop is None or axis.step not in (None, 1):
                raise ValueError(f"a box is made of slices with start and stop and no step, not {axis}")
        y, x = slices
        return cls.from_bounds(x.start, x.stop, y.start, y.stop)

    @classmethod
    def make_centered_box(cls, center: Point2D, size: Extent2I) -> "Box2I":
        """Make the box of a size whose centre is nearest to a position."""
        if not (math.isfinite(center[0]) and math.isfinite(center[1])):
            raise ValueError(f"a box cannot be centred on {center!r}, which is not finite")
        corner = Point2I(Point2D(center[0] - size[0] / 2 + 0.5, center[1] - size[1] / 2 + 0.5))
        return cls(corner, Extent2I(size), invert=False)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Box2I never changes; make another one (shifted_by, dilated_by, ...) to set {name!r}")

    @property
    def is_empty(self) -> bool:
        """Whether there is no pixel inside."""
        return self._bounds[2] == 0

    @property
    def width(self) -> int:
        """Number of columns."""
        return self._bounds[2]

    @property
    def height(self) -> int:
        """Number of rows."""
        return self._bounds[3]

    @property
    def dimensions(self) -> Extent2I:
        """Width and height."""
        return Extent2I(self._bounds[2], self._bounds[3])

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self._bounds[2] * self._bounds[3]

    @property
    def min(self) -> Point2I:
        """The lower left pixel."""
        return Point2I(self._bounds[0], self._bounds[1])

    @property
    def max(self) -> Point2I:
        """The upper right pixel, which is inside."""
        return Point2I(self.end_x - 1, self.end_y - 1)

    begin = min

    @property
    def end(self) -> Point2I:
        """One pixel beyond the upper right one on each axis."""
        return Point2I(self.end_x, self.end_y)

    @property
    def min_x(self) -> int:
        """The first column."""
        return self._bounds[0]

    @property
    def min_y(self) -> int:
        """The first row."""
        return self._bounds[1]

    begin_x, begin_y = min_x, min_y

    @property
    def max_x(self) -> int:
        """The last column."""
        return self.end_x - 1

    @property
    def max_y(self) -> int:
        """The last row."""
        return self.end_y - 1

    @property
    def end_x(self) -> int:
        """One beyond the last column."""
        return self._bounds[0] + self._bounds[2]

    @property
    def end_y(self) -> int:
        """One beyond the last row."""
        return self._bounds[1] + self._bounds[3]

    @property
    def center(self) -> Point2D:
        """The middle: at half-integers along an axis with an even number of pixels."""
        return Box2D(self).center

    @property
    def corners(self) -> tuple[Point2I, Point2I, Point2I, Point2I]:
        """Pixels at the lower left, lower right, upper right and upper left."""
        low, high = self.min, self.max
        return low, Point2I(high.x, low.y), high, Point2I(low.x, high.y)

    @property
    def slices(self) -> tuple[slice, slice]:
        """``(y, x)`` slices for a numpy array whose first pixel is at (0, 0)."""
        return slice(self.min_y, self.end_y), slice(self.min_x, self.end_x)

    @overload
    def contains(self, what: "Point2I | Point2D | tuple[int, int] | Box2I") -> bool: ...
    @overload
    def contains(self, what: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]: ...
    def contains(self, what: Any, y: ArrayLike | None = None) -> bool | NDArray[np.bool_]:
        """Whether a pixel, or all of another box, lies inside; for arrays of x and y, an array of answers.

        Positions between pixels are of the pixel that they lie in.
        """
        if y is not None:
            x, rows = np.asarray(what), np.asarray(y)
            left, below, right, above = (edge - 0.5 for edge in (self.min_x, self.min_y, self.end_x, self.end_y))
            inside: NDArray[np.bool_] = (x >= left) & (x < right) & (rows >= below) & (rows < above)
            return inside
        if isinstance(what, Box2I):
            x0, y0, width, height = self._bounds
            inner_x0, inner_y0, inner_width, inner_height = what._bounds
            return what.is_empty or (
                x0 <= inner_x0
                and y0 <= inner_y0
                and inner_x0 + inner_width <= x0 + width
                and inner_y0 + inner_height <= y0 + height
            )
        x, row = what if isinstance(what, Point2I) else Point2I(what)
        return bool(self.min_x <= x < self.end_x and self.min_y <= row < self.end_y)

    __contains__ = contains

    def overlaps(self, other: "Box2I") -> bool:
        """Whether any pixel lies in both."""
        return not self.clipped_to(other).is_empty

    intersects = overlaps

    def is_disjoint_from(self, other: "Box2I") -> bool:
        """Whether no pixel lies in both."""
        return not self.overlaps(other)

    def clipped_to(self, other: "Box2I") -> "Box2I":
        """Return the pixels that lie in both."""
        return Box2I.from_bounds(
            max(self.min_x, other.min_x),
            min(self.end_x, other.end_x),
            max(self.min_y, other.min_y),
            min(self.end_y, other.end_y),
        )

    def expanded_to(self, other: "Point2I | Box2I") -> "Box2I":
        """Return the smallest box that holds this one and a pixel or another box."""
        if not isinstance(other, Box2I):
            other = Box2I(Point2I(other), Extent2I(1, 1))
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        return Box2I.from_bounds(
            min(self.min_x, other.min_x),
            max(self.end_x, other.end_x),
            min(self.min_y, other.min_y),
            max(self.end_y, other.end_y),
        )

    def dilated_by(self, margin: int | Extent2I) -> "Box2I":
        """Return the box with a margin added on every side; an empty one stays empty."""
        if self.is_empty:
            return self
        x, y = margin if isinstance(margin, Extent2I) else Extent2I(margin, margin)
        return Box2I.from_bounds(self.min_x - x, self.end_x + x, self.min_y - y, self.end_y + y)

    def eroded_by(self, margin: int | Extent2I) -> "Box2I":
        """Return the box with a margin taken off every side; empty where nothing is left."""
        return self.dilated_by(-(margin if isinstance(margin, Extent2I) else Extent2I(margin, margin)))

    def shifted_by(self, offset: Extent2I | tuple[int, int]) -> "Box2I":
        """Return the box moved by an offset; an empty one stays empty."""
        if isinstance(offset, Point2I):
            raise TypeError(
                f"a box is shifted by an Extent2I, not by the place {offset!r}; Extent2I(point) makes it one"
            )
        x, y = offset if isinstance(offset, Extent2I) else Extent2I(offset)
        x0, y0, width, height = self._bounds
        return Box2I._of(x0 + x, y0 + y, width, height)

    def reflected_about_x(self, x: int) -> "Box2I":
        """Return the mirror image about a column."""
        return self if self.is_empty else Box2I(Point2I(2 * x - self.max_x, self.min_y), self.dimensions)

    def reflected_about_y(self, y: int) -> "Box2I":
        """Return the mirror image about a row."""
        return self if self.is_empty else Box2I(Point2I(self.min_x, 2 * y - self.max_y), self.dimensions)

    def flip_lr(self, width: int) -> "Box2I":
        """Return the box in an image of a width that is turned left to right; its columns count from 0."""
        return Box2I._of(width - self.end_x, self.min_y, self.width, self.height)

    def flip_tb(self, height: int) -> "Box2I":
        """Return the box in an image of a height that is turned top to bottom; its rows count from 0."""
        return Box2I._of(self.min_x, height - self.end_y, self.width, self.height)

    def to_list(self) -> list[int]:
        """Return ``[x, y, width, height]``, as files keep boxes."""
        return list(self._bounds)

    @classmethod
    def from_list(cls, values: Iterable[SupportsInt]) -> "Box2I":
        """Make a box of what `to_list` gave."""
        x, y, width, height = map(int, values)
        return cls(Point2I(x, y), Extent2I(width, height))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box2I) and self._bounds == other._bounds

    def __hash__(self) -> int:
        return hash(self._bounds)

    def __repr__(self) -> str:
        return "Box2I()" if self.is_empty else f"Box2I({self.min!r}, {self.dimensions!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Box2I, () if self.is_empty else (self.min, self.dimensions))


def _inclusive(begin: int, end: int) -> int:
    """Return the size from one pixel to another, both inside; negative where the second lies below the first."""
    return end - begin + 1 if end >= begin else end - begin - 1


def _whole_pixels(box: "Box2D", edges: EdgeHandling) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) of the pixels, unit squares around integers, that a Box2D touches or covers."""
    if box.is_empty:
        return (0, 0, 0, 0)
    if not all(map(math.isfinite, (*box.min, *box.max))):
        raise ValueError(f"{box!r} is not finite, so it has no pixels")
    low, high = (math.floor, math.ceil) if edges is EdgeHandling.EXPAND else (math.ceil, math.floor)
    x0, y0 = low(box.min_x + 0.5), low(box.min_y + 0.5)
    x1, y1 = high(box.max_x - 0.5), high(box.max_y - 0.5)
    if edges is EdgeHandling.EXPAND and (x1 < x0 or y1 < y0):  # a sliver upon the edge between two pixels
        x1, y1 = max(x0, x1), max(y0, y1)
    return (x0, y0, x1 - x0 + 1, y1 - y0 + 1) if x1 >= x0 and y1 >= y0 else (0, 0, 0, 0)
