"""Where pixels lie: what planes, masked images and exposures all say of the box that they cover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ..model.lsst_names import LsstNames
from .geometry import PARENT, Box2I, Extent2I, ImageOrigin, Point2I

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["Placed"]


class Placed(LsstNames):
    """What covers a box of pixels. A kind of its own has `dimensions`, `astype`, and `xy0` that can be set."""

    __slots__ = ()

    if TYPE_CHECKING:

        def astype(self, dtype: DTypeLike) -> Self:
            """Return a copy with pixels of another type."""
            ...

        @property
        def dimensions(self) -> Extent2I:
            """Width and height."""
            ...

        @property
        def xy0(self) -> Point2I:
            """PARENT coordinates of the lower left pixel."""
            ...

        @xy0.setter
        def xy0(self, corner: Point2I | tuple[int, int]) -> None: ...

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Refuse to be one array, as what has several planes is not; one plane says otherwise."""
        raise TypeError(f"{type(self).__name__} is three arrays: write .image.array, .mask.array or .variance.array")

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.dimensions.x

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.dimensions.y

    @property
    def x0(self) -> int:
        """PARENT coordinate of the first column."""
        return self.xy0.x

    @property
    def y0(self) -> int:
        """PARENT coordinate of the first row."""
        return self.xy0.y

    def set_xy0(self, x: Point2I | int, y: int | None = None) -> None:
        """Set `xy0` from a point, or from two numbers."""
        self.xy0 = Point2I(x) if y is None else Point2I(x, y)

    @property
    def bbox(self) -> Box2I:
        """The pixels that this covers, in PARENT coordinates."""
        return Box2I(self.xy0, self.dimensions)

    def convert_f(self) -> Self:
        """LSST's name of ``astype("float32")``."""
        return self.astype("float32")

    def convert_d(self) -> Self:
        """LSST's name of ``astype("float64")``."""
        return self.astype("float64")

    def get_bbox(self, origin: ImageOrigin = PARENT) -> Box2I:
        """Return the pixels that this covers, in PARENT or in LOCAL coordinates."""
        return self.bbox if origin is PARENT else Box2I(Point2I(0, 0), self.dimensions)
