"""Points and extents on the pixel grid: immutable pairs ``(x, y)``.

A point is a place, an extent a size or an offset: the difference of two points is an extent, a point moved by an extent
is a point, and two points cannot be added. The centre of a pixel has integer coordinates.
"""

import math
import operator
from collections.abc import Iterable
from enum import Enum
from typing import Any, Self

from ..model.lsst_names import LsstNames

__all__ = ["LOCAL", "PARENT", "Extent2D", "Extent2I", "ImageOrigin", "Point2D", "Point2I"]


class ImageOrigin(Enum):
    """Where pixel coordinates count from: the parent image's origin, or this image's own lower left pixel."""

    PARENT = "PARENT"
    LOCAL = "LOCAL"

    def __repr__(self) -> str:
        return self.value


PARENT = ImageOrigin.PARENT
LOCAL = ImageOrigin.LOCAL


class _Pair(LsstNames, tuple):  # type: ignore[type-arg]  # the kinds of number differ between subclasses
    """Two numbers, x and y; unpacks, compares and hashes as the tuple of them."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Pair) and isinstance(self, _Point) != isinstance(other, _Point):
            return False
        return tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self[0]!r}, {self[1]!r})"

    def __getnewargs__(self) -> tuple[Any, Any]:
        return (self[0], self[1])

    def eq(self, other: Any) -> tuple[bool, bool]:
        """Return for each axis whether it is the same; ``all()`` and ``any()`` take it."""
        return self[0] == other[0], self[1] == other[1]

    def ne(self, other: Any) -> tuple[bool, bool]:
        """Return for each axis whether it differs."""
        return self[0] != other[0], self[1] != other[1]

    def lt(self, other: Any) -> tuple[bool, bool]:
        """Return for each axis whether it is less."""
        return self[0] < other[0], self[1] < other[1]

    def le(self, other: Any) -> tuple[bool, bool]:
        """Return for each axis whether it is not more."""
        return self[0] <= other[0], self[1] <= other[1]

    def gt(self, other: Any) -> tuple[bool, bool]:
        """Return for each axis whether it is more."""
        return self[0] > other[0], self[1] > other[1]

    def ge(self, other: Any) -> tuple[bool, bool]:
        """Return for each axis whether it is not less."""
        return self[0] >= other[0], self[1] >= other[1]

    # a tuple would be repeated and joined
    def __mul__(self, factor: Any) -> Any:
        return NotImplemented

    def __rmul__(self, factor: Any) -> Any:
        raise TypeError(f"{self!r} cannot be multiplied; an Extent2I or Extent2D can")

    def __radd__(self, other: Any) -> Any:
        raise TypeError(
            f"{self!r} cannot be added to a {type(other).__name__}: points move by extents, say which it is"
        )


class _WholePair(_Pair):
    """Two integers."""

    __slots__ = ()

    def __new__(cls, *given: Any) -> Self:
        return tuple.__new__(cls, _integers(given, cls.__name__))

    @property
    def x(self) -> int:
        """Along the columns."""
        return int(self[0])

    @property
    def y(self) -> int:
        """Along the rows."""
        return int(self[1])


class _RealPair(_Pair):
    """Two floats."""

    __slots__ = ()

    def __new__(cls, *given: Any) -> Self:
        x, y = _pair_of(given, cls.__name__)
        return tuple.__new__(cls, (float(x), float(y)))

    @property
    def x(self) -> float:
        """Along the columns."""
        return float(self[0])

    @property
    def y(self) -> float:
        """Along the rows."""
        return float(self[1])


class _Point(_Pair):
    """A place: moved by an extent it is a place again, and from another place there is an extent."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return _shifted(self, other, 1)

    def __sub__(self, other: Any) -> Any:
        return _shifted(self, other, -1)


class _Extent(_Pair):
    """A size or an offset: added to its like, and multiplied and divided by numbers."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return _sum(self, other, 1, reverse_ok=True)

    def __sub__(self, other: Any) -> Any:
        return _sum(self, other, -1, reverse_ok=False)

    def __neg__(self) -> Any:
        return (Extent2I if isinstance(self, Extent2I) else Extent2D)(-self[0], -self[1])

    def __mul__(self, factor: Any) -> Any:
        if not hasattr(factor, "__float__"):
            return NotImplemented
        kind = Extent2I if isinstance(self, Extent2I) and hasattr(factor, "__index__") else Extent2D
        return kind(self[0] * factor, self[1] * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> "Extent2D":
        return Extent2D(self[0] / divisor, self[1] / divisor)


class Extent2I(_WholePair, _Extent):
    """A size or an offset in whole pixels: ``Extent2I(width, height)``, of a pair, or ``Extent2I()`` for zeros."""

    __slots__ = ()

    def __itruediv__(self, divisor: float) -> "Extent2D":
        raise TypeError("Extent2I /= would make it an Extent2D; use // for whole pixels, or write e = e / k")

    def __floordiv__(self, divisor: int) -> "Extent2I":
        return Extent2I(self.x // operator.index(divisor), self.y // operator.index(divisor))


class Extent2D(_RealPair, _Extent):
    """A size or an offset in fractions of pixels: ``Extent2D(x, y)``, of a pair, or ``Extent2D()`` for zeros."""

    __slots__ = ()


class Point2I(_WholePair, _Point):
    """A pixel: ``Point2I(x, y)``, ``Point2I(pair)``; of a Point2D, the pixel that it lies in (``floor(x + 0.5)``)."""

    __slots__ = ()


class Point2D(_RealPair, _Point):
    """A position: ``Point2D(x, y)`` or ``Point2D(pair)``; the centre of pixel (3, 4) is at (3.0, 4.0)."""

    __slots__ = ()


def _pair_of(given: tuple[Any, ...], what: str) -> tuple[Any, Any]:
    """Unpack the arguments of a pair: two numbers, one pair, or none at all (zeros)."""
    if not given:
        return (0, 0)
    values = tuple(given[0]) if len(given) == 1 and isinstance(given[0], Iterable) else given
    if len(values) != 2:
        raise TypeError(f"{what} takes two numbers (x, y) or one pair of them, not {given!r}")
    return values[0], values[1]


def _integers(given: tuple[Any, ...], what: str) -> tuple[int, int]:
    if len(given) == 1 and isinstance(given[0], _RealPair):
        if not (math.isfinite(given[0].x) and math.isfinite(given[0].y)):
            raise ValueError(f"{given[0]!r} is not finite, so it lies in no pixel")
        return math.floor(given[0].x + 0.5), math.floor(given[0].y + 0.5)
    x, y = given if len(given) == 2 else _pair_of(given, what)
    try:
        return operator.index(x), operator.index(y)
    except TypeError:
        raise TypeError(f"{what} takes integers, not ({x!r}, {y!r}); round them, or use the 2D kind") from None


def _sum(left: _Pair, right: Any, sign: int, *, reverse_ok: bool) -> Any:
    """Add or subtract extents; an extent plus a point is a point."""
    if isinstance(right, _Point):
        return right + left if reverse_ok else NotImplemented
    if not isinstance(right, _Extent):
        return NotImplemented
    kind = Extent2I if isinstance(left, Extent2I) and isinstance(right, Extent2I) else Extent2D
    return kind(left[0] + sign * right[0], left[1] + sign * right[1])


def _shifted(point: _Pair, other: Any, sign: int) -> Any:
    """Move a point by an extent, or take the extent between two points."""
    whole = isinstance(point, _WholePair) and isinstance(other, _WholePair)
    if isinstance(other, _Extent):
        return (Point2I if whole else Point2D)(point[0] + sign * other[0], point[1] + sign * other[1])
    if isinstance(other, _Point) and sign < 0:
        return (Extent2I if whole else Extent2D)(point[0] - other[0], point[1] - other[1])
    return NotImplemented
