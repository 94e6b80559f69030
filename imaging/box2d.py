"""Rectangles of positions, not of pixels: where a footprint ends between two pixels, or what an image covers."""

import math
from typing import TYPE_CHECKING, Any

from ..model.lsst_names import LsstNames
from .points import Extent2D, Extent2I, Point2D, Point2I

if TYPE_CHECKING:
    from .geometry import Box2I

__all__ = ["Box2D"]


class Box2D(LsstNames):
    """A rectangle of positions.

    Parameters
    ----------
    corner
        The lower left corner. A Box2I alone gives the box of the areas of its pixels (half a unit more on every
        side); nothing at all makes the empty box.
    other
        The upper right corner, or the dimensions.

    Notes
    -----
    Half-open for positions (the upper edges are outside), closed where boxes are compared. A box without area is empty.
    """

    __slots__ = ("_bounds",)

    _bounds: tuple[float, float, float, float]  # x and y of both corners; NaN when empty

    def __init__(
        self, corner: "Point2D | Box2I | Box2D | None" = None, other: "Point2D | Extent2D | None" = None
    ) -> None:
        bounds = (math.nan,) * 4
        if isinstance(corner, Box2D) and other is None:
            bounds = corner._bounds
        elif isinstance(corner, (Point2D, Point2I)) and isinstance(other, (Point2D, Extent2D, Point2I, Extent2I)):
            shift = (0, 0) if isinstance(other, (Point2D, Point2I)) else corner
            low, high = Point2D(corner), (other[0] + shift[0], other[1] + shift[1])
            x0, x1 = sorted((low.x, float(high[0])))
            y0, y1 = sorted((low.y, float(high[1])))
            if x0 != x1 and y0 != y1:
                bounds = (x0, y0, x1, y1)
        elif other is None and isinstance(corner, _box2i()):
            if not corner.is_empty:
                bounds = (corner.min_x - 0.5, corner.min_y - 0.5, corner.end_x - 0.5, corner.end_y - 0.5)
        elif corner is not None or other is not None:
            raise TypeError(
                f"Box2D takes (Point2D, Extent2D), (Point2D, Point2D) or a box, not ({corner!r}, {other!r})"
            )
        object.__setattr__(self, "_bounds", bounds)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Box2D never changes; make another one to set {name!r}")

    @property
    def is_empty(self) -> bool:
        """Whether there is no area inside."""
        return math.isnan(self._bounds[0])

    @property
    def min(self) -> Point2D:
        """The lower left corner."""
        return Point2D(self._bounds[0], self._bounds[1])

    @property
    def max(self) -> Point2D:
        """The upper right corner."""
        return Point2D(self._bounds[2], self._bounds[3])

    @property
    def min_x(self) -> float:
        """The left edge."""
        return self._bounds[0]

    @property
    def min_y(self) -> float:
        """The lower edge."""
        return self._bounds[1]

    @property
    def max_x(self) -> float:
        """The right edge."""
        return self._bounds[2]

    @property
    def max_y(self) -> float:
        """The upper edge."""
        return self._bounds[3]

    @property
    def width(self) -> float:
        """The size along x; 0 when empty."""
        return 0.0 if self.is_empty else self._bounds[2] - self._bounds[0]

    @property
    def height(self) -> float:
        """The size along y; 0 when empty."""
        return 0.0 if self.is_empty else self._bounds[3] - self._bounds[1]

    @property
    def dimensions(self) -> Extent2D:
        """Width and height."""
        return Extent2D(self.width, self.height)

    @property
    def area(self) -> float:
        """Width times height, in square pixels."""
        return self.width * self.height

    @property
    def center(self) -> Point2D:
        """The middle; NaN when empty."""
        x0, y0, x1, y1 = self._bounds
        return Point2D((x0 + x1) / 2, (y0 + y1) / 2)

    @property
    def corners(self) -> tuple[Point2D, Point2D, Point2D, Point2D]:
        """Positions at the lower left, lower right, upper right and upper left."""
        x0, y0, x1, y1 = self._bounds
        return Point2D(x0, y0), Point2D(x1, y0), Point2D(x1, y1), Point2D(x0, y1)

    def contains(self, what: "Point2D | Point2I | Box2D") -> bool:
        """Whether a position lies inside (upper edges do not), or all of another box (edges do)."""
        x0, y0, x1, y1 = self._bounds
        if isinstance(what, Box2D):
            inner = what._bounds
            return what.is_empty or (x0 <= inner[0] and y0 <= inner[1] and inner[2] <= x1 and inner[3] <= y1)
        x, y = what
        return bool(x0 <= x < x1 and y0 <= y < y1)

    __contains__ = contains

    def overlaps(self, other: "Box2D") -> bool:
        """Whether the two share any area."""
        return not self.clipped_to(other).is_empty

    def clipped_to(self, other: "Box2D") -> "Box2D":
        """Return the area that lies in both."""
        if self.is_empty or other.is_empty:
            return Box2D()
        x0, y0 = max(self.min_x, other.min_x), max(self.min_y, other.min_y)
        x1, y1 = min(self.max_x, other.max_x), min(self.max_y, other.max_y)
        return Box2D(Point2D(x0, y0), Point2D(x1, y1)) if x1 > x0 and y1 > y0 else Box2D()

    def dilated_by(self, margin: float) -> "Box2D":
        """Return the box with a margin added on every side; an empty one stays empty."""
        x0, y0, x1, y1 = self._bounds
        if self.is_empty or x1 - x0 + 2 * margin <= 0 or y1 - y0 + 2 * margin <= 0:
            return Box2D()
        return Box2D(Point2D(x0 - margin, y0 - margin), Point2D(x1 + margin, y1 + margin))

    def shifted_by(self, offset: Extent2D) -> "Box2D":
        """Return the box moved by an offset; an empty one stays empty."""
        return self if self.is_empty else Box2D(self.min + Extent2D(offset), self.dimensions)

    def expanded_to(self, other: "Point2D | Box2D") -> "Box2D":
        """Return the smallest box that holds this one and a position, or another box.

        A position on the upper edge is inside: the edge moves up by the least step that a float can make.
        """
        if isinstance(other, Box2D):
            x0, y0, x1, y1 = other._bounds
        else:
            (x0, y0), (x1, y1) = other, (math.nextafter(other[0], math.inf), math.nextafter(other[1], math.inf))
        added = Box2D(Point2D(x0, y0), Point2D(x1, y1)) if not math.isnan(x0) else Box2D()
        if self.is_empty or added.is_empty:
            return added if self.is_empty else self
        low = Point2D(min(self.min_x, x0), min(self.min_y, y0))
        return Box2D(low, Point2D(max(self.max_x, x1), max(self.max_y, y1)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Box2D):
            return False
        return self._bounds == other._bounds or (self.is_empty and other.is_empty)

    def __hash__(self) -> int:
        return 0 if self.is_empty else hash(self._bounds)

    def __repr__(self) -> str:
        return "Box2D()" if self.is_empty else f"Box2D({self.min!r}, {self.max!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Box2D, () if self.is_empty else (self.min, self.max))


def _box2i() -> "type[Box2I]":
    """Return the other kind of box, whose module imports this one."""
    from .geometry import Box2I

    return Box2I
