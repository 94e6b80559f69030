"""Images: one plane of numbers, with in-place arithmetic.

What they are combined with is another image or an array, a number, or a function of the position (a polynomial, a
Chebyshev field), which is taken at each pixel's PARENT coordinates.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Never, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import kernels
from .describe import Part
from .geometry import Box2I, Extent2I, Point2I
from .plane import Plane, as_box
from .spatial_function import is_spatial_function, values_in_strips

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Image", "operand_pixels", "refuse_binary"]


class Image(Plane):
    """One plane of pixels.

    Parameters
    ----------
    array
        The pixels, shape (height, width), or an image; shared, not copied, where it is an array or an image.
    xy0
        PARENT coordinates of the lower left pixel; those of the image that is given, else (0, 0).

    Raises
    ------
    TypeError
        If the pixels are not numbers.
    ValueError
        If the array is not 2-D.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, array: "ArrayLike | Image", xy0: Point2I | tuple[int, int] | None = None) -> None: ...

    @classmethod
    def full(
        cls, size: Box2I | Extent2I | tuple[int, int], value: float = 0.0, *, dtype: DTypeLike = "float32"
    ) -> "Image":
        """Make an image of one value over a box, or of a size (width, height) with its origin at (0, 0)."""
        box = as_box(size)
        return cls(np.full((box.height, box.width), value, dtype), box.min)

    def sqrt(self) -> None:
        """Replace every pixel by its square root; NaN where it is negative."""
        with np.errstate(invalid="ignore"):
            np.sqrt(self._array, out=self._array)

    def plot(self, ax: "Axes | None" = None, stretch: str = "asinh") -> "Axes":
        """Draw the pixels, with matplotlib; see `skybutler.imaging.plots.plot_image`."""
        from .plots import plot_image

        return plot_image(self, ax, stretch)

    def _parts(self) -> Iterable[Part]:
        from .pixel_parts import image_parts

        return image_parts(self)

    def scaled_plus(self, factor: float, other: "Image | NDArray[Any] | float") -> None:
        """Add a multiple: ``l + factor * r``."""
        self._operate(kernels.PLUS, other, factor)

    def scaled_minus(self, factor: float, other: "Image | NDArray[Any] | float") -> None:
        """Subtract a multiple: ``l - factor * r``."""
        self._operate(kernels.PLUS, other, -factor)

    def scaled_multiplies(self, factor: float, other: "Image | NDArray[Any] | float") -> None:
        """Multiply by a multiple: ``l * (factor * r)``."""
        self._operate(kernels.MULTIPLIES, other, factor)

    def scaled_divides(self, factor: float, other: "Image | NDArray[Any] | float") -> None:
        """Divide by a multiple: ``l / (factor * r)``."""
        self._operate(kernels.DIVIDES, other, factor)

    def __iadd__(self, other: "Image | NDArray[Any] | float") -> Self:
        return self._operate(kernels.PLUS, other)

    def __isub__(self, other: "Image | NDArray[Any] | float") -> Self:
        return self._operate(kernels.MINUS, other)

    def __imul__(self, other: "Image | NDArray[Any] | float") -> Self:
        return self._operate(kernels.MULTIPLIES, other)

    def __itruediv__(self, other: "Image | NDArray[Any] | float") -> Self:
        return self._operate(kernels.DIVIDES, other)

    def _operate(self, arithmetic: kernels.Arithmetic, other: Any, factor: float | None = None) -> Self:
        if is_spatial_function(other):
            for strip, values in values_in_strips(other, self.bbox):
                self[strip]._operate(arithmetic, values, factor)
            return self
        right = operand_pixels(other, self)
        kernels.require_castable(arithmetic, self.dtype, right, scaled=factor is not None)
        if isinstance(right, np.ndarray):
            right = kernels.safe_operand(right, self._array)
        kernels.run(arithmetic, kernels.Operands(self._array, right, factor=factor))
        return self

    if not TYPE_CHECKING:  # a type checker refuses these by itself

        def _no_binary(self, _other: object) -> Never:
            refuse_binary("image")

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _no_binary


def operand_pixels(other: Any, left: Plane) -> NDArray[Any] | float:
    """Return the pixels of the right side of an operation, or its number; ValueError where the sizes differ."""
    if isinstance(other, np.ndarray) and other.ndim == 0:
        other = other[()]
    if isinstance(other, (int, float, np.number)) and not isinstance(other, np.complexfloating):
        if left.dtype.kind in "iu" and isinstance(other, int):
            np.array(other, left.dtype)  # OverflowError now, rather than in the middle
        return int(other) if isinstance(other, (int, np.integer)) else float(other)
    if not isinstance(other, (Image, np.ndarray)):
        raise TypeError(f"an image is combined with an image, an array or a number, not with {type(other).__name__}")
    pixels = other.array if isinstance(other, Image) else other
    if pixels.shape != (left.height, left.width):
        raise ValueError(
            f"the operands differ in size: {left.width}x{left.height} pixels, and an array of shape {pixels.shape}"
        )
    return pixels


def refuse_binary(what: str) -> Never:
    """Say why an operator that would make a new image is not there."""
    raise NotImplementedError(
        f"{what}s are combined in place (+=, -=, *=, /=): an expression would copy whole {what}s behind your back. "
        "Write `new = left.clone(); new += right`"
    )
