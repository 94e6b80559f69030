"""Smooth fields over a box of pixels, as Chebyshev polynomials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, overload

import numpy as np
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .blocks import strips
from .geometry import Box2I

if TYPE_CHECKING:
    from .image import Image
    from .masked_image import MaskedImage

    _Pixels = TypeVar("_Pixels", Image, MaskedImage, Image | MaskedImage)

__all__ = ["ChebyshevField", "chebyshev_terms"]


class ChebyshevField(LsstNames):
    """A field ``f(x, y) = sum_ji c[j, i] T_i(x') T_j(y')``, with x' and y' from -1 to 1 over the box.

    The box is taken with the whole area of its pixels: x' = -1 at ``box.min_x - 0.5`` and 1 at ``box.max_x + 0.5``, as
    in LSST's afw.

    Parameters
    ----------
    bbox
        Where the field is meant to be used, in parent pixels.
    coefficients
        Of shape ``(order_y + 1, order_x + 1)``.

    Raises
    ------
    ValueError
        If the box is empty or the coefficients are not a table.
    """

    VERSION: ClassVar[int] = 1

    def __init__(self, bbox: Box2I, coefficients: ArrayLike) -> None:
        if bbox.is_empty:
            raise ValueError("A field needs a box that has pixels.")
        self.bbox = bbox
        self.coefficients: NDArray[np.float64] = np.array(coefficients, dtype=np.float64)
        if self.coefficients.ndim != 2 or 0 in self.coefficients.shape:
            raise ValueError(
                f"Coefficients are a table (order_y + 1, order_x + 1), not of shape {self.coefficients.shape}."
            )
        self.coefficients.flags.writeable = False

    @classmethod
    def fit(
        cls,
        bbox: Box2I,
        x: ArrayLike,
        y: ArrayLike,
        values: ArrayLike,
        *,
        order: int,
        weights: ArrayLike | None = None,
    ) -> Self:
        """Fit a field of terms up to ``i + j <= order`` by least squares.

        Parameters
        ----------
        bbox
            Box of the field.
        x, y, values
            Positions in parent pixels and what stands there; those not finite are left out.
        order
            Highest total degree.
        weights
            Weight of each value, 1 / sigma.

        Raises
        ------
        ValueError
            If there are fewer good values than terms.
        """
        x, y, values = (np.asarray(given, dtype=np.float64).ravel() for given in (x, y, values))
        weight = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
        good = np.isfinite(values) & np.isfinite(weight) & (weight > 0)
        terms = _term_orders(order)
        if good.sum() < len(terms):
            raise ValueError(f"{good.sum()} good values cannot fix the {len(terms)} terms of order {order}; lower it.")
        design = chebyshev_terms(bbox, x[good], y[good], order)
        solution = np.linalg.lstsq(design * weight[good, None], values[good] * weight[good], rcond=None)[0]
        coefficients = np.zeros((order + 1, order + 1))
        for (j, i), value in zip(terms, solution, strict=True):
            coefficients[j, i] = value
        return cls(bbox, coefficients)

    @overload
    def evaluate(self, x: float, y: float) -> float: ...
    @overload
    def evaluate(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]: ...
    def evaluate(self, x: Any, y: Any) -> float | NDArray[np.float64]:
        """Return the field at positions in parent pixels; a number for numbers, an array for arrays."""
        order_y, order_x = (size - 1 for size in self.coefficients.shape)
        along_x = _vander(self.bbox.min_x, self.bbox.width, np.asarray(x, dtype=np.float64), order_x)
        along_y = _vander(self.bbox.min_y, self.bbox.height, np.asarray(y, dtype=np.float64), order_y)
        values: NDArray[np.float64] = np.einsum("...j,ji,...i->...", along_y, self.coefficients, along_x)
        return float(values) if values.ndim == 0 else values

    def array(self, bbox: Box2I | None = None) -> NDArray[np.float64]:
        """Return the field at every pixel of a box (its own by default), shape ``(height, width)``."""
        box = self.bbox if bbox is None else bbox
        order_y, order_x = (size - 1 for size in self.coefficients.shape)
        along_x = _vander(self.bbox.min_x, self.bbox.width, np.arange(box.min_x, box.min_x + box.width), order_x)
        along_y = _vander(self.bbox.min_y, self.bbox.height, np.arange(box.min_y, box.min_y + box.height), order_y)
        values: NDArray[np.float64] = along_y @ self.coefficients @ along_x.T
        return values

    def fill_image(self, image: Image, *, overlap_only: bool = False) -> None:
        """Set every pixel to the field there; what is beyond the field's box stays as it is with `overlap_only`.

        Raises
        ------
        ValueError
            If the image does not cover just the field's box, unless with `overlap_only`.
        """
        for part, values in self._parts(image, overlap_only):
            part[:] = values

    def add_to_image(self, image: Image, scale: float = 1.0, *, overlap_only: bool = False) -> None:
        """Add the field, times a number; as `fill_image`."""
        for part, values in self._parts(image, overlap_only):
            part.scaled_plus(scale, values)

    def multiply_image(self, image: Image | MaskedImage, *, overlap_only: bool = False) -> None:
        """Multiply by the field, the variance by its square; as `fill_image`."""
        for part, values in self._parts(image, overlap_only):
            part.scaled_multiplies(1.0, values)

    def divide_image(self, image: Image | MaskedImage, *, overlap_only: bool = False) -> None:
        """Divide by the field, the variance by its square; as `fill_image`."""
        for part, values in self._parts(image, overlap_only):
            part.scaled_divides(1.0, values)

    def _parts(self, image: _Pixels, overlap_only: bool) -> Iterator[tuple[_Pixels, Image]]:
        """Yield parts of an image, and the field there."""
        from .image import Image

        if image.bbox != self.bbox and not overlap_only:
            raise ValueError(
                f"the image covers {image.bbox!r}, the field {self.bbox!r}; overlap_only=True takes what is in both"
            )
        for strip in strips(image.bbox.clipped_to(self.bbox)):
            yield image[strip], Image(self.array(strip), strip.min)

    def mean(self) -> float:
        """Return the mean over the box's area."""
        rows, columns = (_mean_weights(size) for size in self.coefficients.shape)
        return float(rows @ self.coefficients @ columns)

    def integrate(self) -> float:
        """Return the integral over the box's area, in pixels."""
        return self.mean() * self.bbox.area

    def __mul__(self, factor: float) -> ChebyshevField:
        return ChebyshevField(self.bbox, self.coefficients * float(factor))

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ChebyshevField):
            return NotImplemented
        return self.bbox == other.bbox and np.array_equal(self.coefficients, other.coefficients)

    def __hash__(self) -> int:
        return hash((self.bbox, self.coefficients.tobytes()))

    def __repr__(self) -> str:
        order_y, order_x = (size - 1 for size in self.coefficients.shape)
        return f"ChebyshevField({self.bbox!r}, order_x={order_x}, order_y={order_y}, mean={self.mean():.6g})"

    def to_dict(self) -> dict[str, Any]:
        """Return the box as ``[x, y, width, height]`` and the coefficients as an array."""
        return {"bbox": self.bbox.to_list(), "coefficients": np.array(self.coefficients)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a field of what `to_dict` gave."""
        return cls(Box2I.from_list(content["bbox"]), content["coefficients"])


def chebyshev_terms(bbox: Box2I, x: ArrayLike, y: ArrayLike, order: int) -> NDArray[np.float64]:
    """Return ``T_i(x') T_j(y')`` for all ``i + j <= order``, shape ``(*x.shape, (order + 1)(order + 2) / 2)``.

    The order of the terms is (j, i) = (0, 0), (0, 1), … (0, order), (1, 0), …

    Parameters
    ----------
    bbox
        Over which x' and y' go from -1 to 1.
    x, y
        Parent pixels.
    order
        Highest total degree.
    """
    along_x = _vander(bbox.min_x, bbox.width, np.asarray(x, dtype=np.float64), order)
    along_y = _vander(bbox.min_y, bbox.height, np.asarray(y, dtype=np.float64), order)
    return np.stack([along_y[..., j] * along_x[..., i] for j, i in _term_orders(order)], axis=-1)


def _term_orders(order: int) -> list[tuple[int, int]]:
    return [(j, i) for j in range(order + 1) for i in range(order + 1 - j)]


def _vander(begin: int, size: int, positions: NDArray[Any], order: int) -> NDArray[np.float64]:
    """Return T_0 … T_order at pixel positions, shape ``(*positions.shape, order + 1)``."""
    scaled = (2.0 * (positions - begin + 0.5) - size) / size
    # numpy gives a single position an axis of its own
    return np.asarray(chebvander(scaled, order), dtype=np.float64).reshape(*np.shape(positions), order + 1)


def _mean_weights(size: int) -> NDArray[np.float64]:
    """Return the means of T_0 … over [-1, 1]: 1 / (1 - n**2) for even n, 0 for odd."""
    n = np.arange(size)
    return np.where(n % 2 == 0, 1.0 / (1.0 - np.where(n == 1, 0, n) ** 2.0), 0.0)
