"""Numbers that vary over an image, as functions of the position: what kernels vary by, and images are combined with."""

import math
from collections.abc import Iterator
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .blocks import strips
from .geometry import Box2I

__all__ = ["PolynomialFunction2D", "SpatialFunction", "is_spatial_function", "values_in_strips"]

Floats = NDArray[np.float64]


class SpatialFunction(Protocol):
    """A number that varies over an image: a `PolynomialFunction2D`, a `ChebyshevField`, or one's own."""

    def evaluate(self, x: ArrayLike, y: ArrayLike) -> Any:
        """Return the number at parent pixels, of their shape."""
        ...


class PolynomialFunction2D(LsstNames):
    """A polynomial ``c0 + c1 x + c2 y + c3 x² + c4 xy + c5 y² + c6 x³ + …`` of parent pixels, in LSST's order of terms.

    Parameters
    ----------
    coefficients
        1, 3, 6, 10 … of them, for orders 0, 1, 2, 3 ….

    Raises
    ------
    ValueError
        If there is another number of coefficients.
    """

    def __init__(self, coefficients: ArrayLike) -> None:
        self.coefficients: Floats = np.array(coefficients, dtype=np.float64)
        count = self.coefficients.size
        self.order = (math.isqrt(8 * count + 1) - 3) // 2
        if self.coefficients.ndim != 1 or (self.order + 1) * (self.order + 2) != 2 * count:
            raise ValueError(
                f"A polynomial in x and y has 1, 3, 6, 10 … coefficients, not an array of {self.coefficients.shape}."
            )

    def evaluate(self, x: ArrayLike, y: ArrayLike) -> Any:
        """Return the polynomial at parent pixels: a number, or an array of the shape that x and y have together."""
        column, row = np.asarray(x, np.float64), np.asarray(y, np.float64)
        powers = [(degree - j, j) for degree in range(self.order + 1) for j in range(degree + 1)]
        value = sum(c * column**i * row**j for c, (i, j) in zip(self.coefficients, powers, strict=True))
        return float(value) if np.ndim(value) == 0 else value

    def __repr__(self) -> str:
        return f"PolynomialFunction2D({self.coefficients.tolist()})"


def is_spatial_function(thing: object) -> TypeGuard[SpatialFunction]:
    """Tell whether something is a function of the position, by its class alone, which takes no time."""
    return callable(getattr(type(thing), "evaluate", None))


def values_in_strips(function: SpatialFunction, box: Box2I) -> Iterator[tuple[Box2I, Floats]]:
    """Yield strips of a box, and what a function is at their parent pixels, shape (height, width)."""
    for strip in strips(box):
        x, y = np.meshgrid(np.arange(strip.begin_x, strip.end_x), np.arange(strip.begin_y, strip.end_y))
        yield strip, np.asarray(function.evaluate(x, y), np.float64)
