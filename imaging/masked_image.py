"""Masked images: an image, a mask and a variance over the same pixels, and arithmetic that carries all three.

Errors are propagated as if the operands were independent. l and r are the pixels of both sides, v their variances:

=====================  =======  ==================================  ==========
operation              image    variance                            mask
=====================  =======  ==================================  ==========
L ± R                  l ± r    vl + vr                             ml or mr
scaled_plus/minus(c)   l ± c·r  vl + c²·vr                          ml or mr
L · R                  l·r      l²·vr + r²·vl                       ml or mr
L / R                  l/r      (vl + (l/r)²·vr)/r²                 ml or mr
L ± number or Image    l ± s    vl                                  ml
L · s, L / s           l·s      vl·s², vl/s²                        ml
=====================  =======  ==================================  ==========

The variance uses l from before the operation. A division by zero gives inf or NaN, and NO_DATA in the mask. Everything
is validated before any plane is touched, and operands that share memory with the left side (``mi /= mi.image``) give
what separate copies would have given.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Never, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import kernels
from .blocks import blocks
from .describe import Described, Part
from .geometry import PARENT, Box2I, Extent2I, ImageOrigin, Point2I
from .image import Image, operand_pixels, refuse_binary
from .mask import Mask
from .mask_schema import MaskSchema
from .placed import Placed
from .plane import Plane, as_box, locate
from .spatial_function import is_spatial_function, values_in_strips

if TYPE_CHECKING:
    from astropy.nddata import NDData, NDDataArray
    from matplotlib.axes import Axes

__all__ = ["MaskedImage", "make_masked_image", "make_masked_image_from_arrays"]


class MaskedImage(Described, Placed):
    """An image with its mask and its variance.

    Parameters
    ----------
    image
        The pixels, shape (height, width).
    mask
        Integers of the same shape; zeros where not given.
    variance
        Squared standard errors of the pixels; zeros (float32) where not given.

    Raises
    ------
    ValueError
        If the planes do not cover the same pixels.
    """

    __slots__ = ("_image", "_mask", "_variance")
    __array_ufunc__ = None

    _image: Image
    _mask: Mask
    _variance: Image

    def __init__(
        self,
        image: Image | ArrayLike,
        mask: Mask | ArrayLike | None = None,
        variance: Image | ArrayLike | None = None,
    ) -> None:
        if isinstance(image, (Box2I, Extent2I)):
            raise TypeError(f"MaskedImage takes the pixels; MaskedImage.full({image!r}) makes one of a size")
        self._image = image if isinstance(image, Image) else Image(image)
        box = self._image.bbox
        if mask is None:
            mask = Mask.full(box)
        if variance is None:
            variance = Image.full(box)
        bits: Any = mask if isinstance(mask, Plane) else Mask(np.asarray(mask), xy0=box.min)
        squares: Any = variance if isinstance(variance, Plane) else Image(variance, xy0=box.min)
        self.mask, self.variance = bits, squares

    @classmethod
    def full(
        cls,
        size: Box2I | Extent2I | tuple[int, int],
        value: Any = 0.0,
        *,
        dtype: DTypeLike = "float32",
        schema: MaskSchema | None = None,
    ) -> "MaskedImage":
        """Make a masked image of one ``(value, mask, variance)``, or value alone, over a box or of a size.

        The mask's value may be a number or names of planes.
        """
        box = as_box(size)
        pixel, bits, variance = value if isinstance(value, tuple) else (value, 0, 0.0)
        return cls(Image.full(box, pixel, dtype=dtype), Mask.full(box, bits, schema=schema), Image.full(box, variance))

    @property
    def image(self) -> Image:
        """The plane of pixels; one that is assigned must cover the same box."""
        return self._image

    @image.setter
    def image(self, plane: Image) -> None:
        self._check_plane(plane, Image, "image")
        self._image = plane

    @property
    def mask(self) -> Mask:
        """The mask; one that is assigned must cover the same box."""
        return self._mask

    @mask.setter
    def mask(self, plane: Mask) -> None:
        self._check_plane(plane, Mask, "mask")
        self._mask = plane

    @property
    def variance(self) -> Image:
        """The variance; one that is assigned must cover the same box."""
        return self._variance

    @variance.setter
    def variance(self, plane: Image) -> None:
        self._check_plane(plane, Image, "variance")
        self._variance = plane

    def _check_plane(self, plane: Plane, kind: type[Image | Mask], name: str) -> None:
        if not isinstance(plane, kind):
            raise TypeError(f"the {name} takes {kind.__name__}, not {type(plane).__name__}; {name}.array takes values")
        if plane.bbox != self._image.bbox:
            raise ValueError(f"the {name} covers {plane.bbox!r}, but the image {self._image.bbox!r}")

    @property
    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Image, mask and variance as arrays of shape (height, width), shared with this object."""
        return self._image.array, self._mask.array, self._variance.array

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the image's pixels."""
        return self._image.dtype

    @property
    def dimensions(self) -> Extent2I:
        """Width and height."""
        return self._image.dimensions

    @property
    def xy0(self) -> Point2I:
        """PARENT coordinates of the lower left pixel; assigning moves the three planes, not a parent or views."""
        return self._image.xy0

    @xy0.setter
    def xy0(self, corner: Point2I | tuple[int, int]) -> None:
        corner = Point2I(corner)
        self._image.xy0 = self._mask.xy0 = self._variance.xy0 = corner

    def __getitem__(self, key: Any) -> Any:
        where = locate(key, self.bbox)
        if isinstance(where, Point2I):
            return self._image[where], self._mask[where], self._variance[where]
        return self._like(self._image[where], self._mask[where], self._variance[where])

    def __setitem__(self, key: Any, value: Any) -> None:
        where = locate(key, self.bbox)
        if isinstance(value, MaskedImage):
            value = value._image, value._mask, value._variance
        if not isinstance(value, tuple):
            self._image[where] = value
            return
        if len(value) != 3:
            raise ValueError(f"pixels are set to (value, mask, variance), or to a value alone, not to {value!r}")
        image, mask, variance = value
        shape = (where.height, where.width) if isinstance(where, Box2I) else (1, 1)
        for plane, part in ((self._image, image), (self._mask, mask), (self._variance, variance)):
            if plane is not self._mask or not isinstance(part, (str, list, set, frozenset)):  # names of planes
                plane.check_pixels(part, shape)
        if isinstance(mask, Mask):  # before anything is copied: there may be no bits left for its planes
            self._mask.adopt_planes(mask.schema)
        elif not isinstance(mask, np.ndarray):
            mask = self._mask.schema.bit_mask(mask)
        self._image[where], self._variance[where], self._mask[where] = image, variance, mask

    def set(self, value: Any, mask: Any = 0, variance: Any = 0.0) -> None:
        """Set every pixel of the three planes; the mask's value may be names of planes, the first all three."""
        self[:] = value if isinstance(value, tuple) else (value, mask, variance)

    def assign(self, value: Any, box: Box2I | None = None, origin: ImageOrigin = PARENT) -> None:
        """Copy pixels, as ``masked[box, origin] = value`` does, or ``masked[:] = value`` without a box."""
        self[slice(None) if box is None else box, origin] = value

    def clone(self) -> Self:
        """Return a copy that shares no pixels."""
        return self._like(self._image.clone(), self._mask.clone(), self._variance.clone())

    def astype(self, dtype: DTypeLike) -> Self:
        """Return a copy with image pixels of another type; mask and variance keep theirs."""
        return self._like(self._image.astype(dtype), self._mask.clone(), self._variance.clone())

    def plot(
        self, ax: "Axes | None" = None, stretch: str = "asinh", planes: str | Iterable[str] | None = None
    ) -> "Axes":
        """Draw the pixels and the mask over them, with matplotlib; see `skybutler.imaging.plots.plot_masked_image`."""
        from .plots import plot_masked_image

        return plot_masked_image(self, ax, stretch, planes)

    def to_nddata(self, bad: Iterable[str] | None = None) -> "NDDataArray":
        """Return an `astropy.nddata.NDDataArray`, sharing pixels; see `skybutler.imaging.nddata.to_nddata`."""
        from .nddata import to_nddata

        return to_nddata(self, bad)

    @classmethod
    def from_nddata(cls, data: "NDData") -> "MaskedImage":
        """Make a masked image of an `astropy.nddata.NDData`; see `skybutler.imaging.nddata.from_nddata`."""
        from .nddata import from_nddata

        return from_nddata(data)

    def _like(self, image: Image, mask: Mask, variance: Image) -> Self:
        new = object.__new__(type(self))
        new._image, new._mask, new._variance = image, mask, variance
        return new

    def scaled_plus(self, factor: float, other: Any) -> None:
        """Add a multiple of a masked image, an image or a number."""
        self._operate(kernels.PLUS, other, factor)

    def scaled_minus(self, factor: float, other: Any) -> None:
        """Subtract a multiple of a masked image, an image or a number."""
        self._operate(kernels.PLUS, other, -factor)

    def scaled_multiplies(self, factor: float, other: Any) -> None:
        """Multiply by a multiple of a masked image, an image or a number."""
        self._operate(kernels.MULTIPLIES, other, factor)

    def scaled_divides(self, factor: float, other: Any) -> None:
        """Divide by a multiple of a masked image, an image or a number."""
        self._operate(kernels.DIVIDES, other, factor)

    def __iadd__(self, other: Any) -> Self:
        return self._operate(kernels.PLUS, other)

    def __isub__(self, other: Any) -> Self:
        return self._operate(kernels.MINUS, other)

    def __imul__(self, other: Any) -> Self:
        return self._operate(kernels.MULTIPLIES, other)

    def __itruediv__(self, other: Any) -> Self:
        return self._operate(kernels.DIVIDES, other)

    def _operate(self, arithmetic: kernels.Arithmetic, other: Any, factor: float | None = None) -> Self:
        """Validate everything, make operands safe that share memory, then let the kernel change the three planes."""
        if is_spatial_function(other):
            for strip, values in values_in_strips(other, self.bbox):
                self[strip]._operate(arithmetic, values, factor)
            return self
        image, mask, variance = self.arrays
        masked = other if isinstance(other, MaskedImage) else None
        right = operand_pixels(masked._image if masked else other, self._image)
        kernels.require_castable(arithmetic, image.dtype, right, scaled=factor is not None)
        if variance.dtype.kind != "f":
            raise TypeError(f"the variance is {variance.dtype}; arithmetic needs one of floats")
        schema = self._mask.schema
        if masked:
            self._mask.require_named(masked._mask)
            schema = schema.merged_with(masked._mask.schema)
        if arithmetic.divides and "NO_DATA" not in schema and _has_zero(right, factor):
            schema = schema.with_plane("NO_DATA")
        self._mask.adopt_planes(schema)
        operands = kernels.Operands(image, right, variance, mask, factor=factor)
        operands.no_data = schema.bit_mask("NO_DATA") if "NO_DATA" in schema else 0
        if isinstance(right, np.ndarray):
            operands.right = kernels.safe_operand(right, image, mask, variance)
        if masked:
            operands.right_variance = kernels.safe_operand(masked._variance.array, variance, image, mask)
            operands.right_mask = kernels.safe_operand(masked._mask.array, mask, image, variance)
            operands.right_moves = self._mask.moves_from(masked._mask)
        kernels.run(arithmetic, operands)
        return self

    if not TYPE_CHECKING:  # a type checker refuses these by itself

        def _no_binary(self, _other: object) -> Never:
            refuse_binary("masked image")

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _no_binary

    def _state(self) -> Iterable[str]:
        x, y = self.xy0
        return f"{self.width}x{self.height} {self.dtype}", f"xy0=({x}, {y})", f"{len(self._mask.schema)} mask planes"

    def _parts(self) -> Iterable[Part]:
        from .pixel_parts import masked_image_parts

        return masked_image_parts(self)


def _has_zero(right: NDArray[Any] | float, factor: float | None) -> bool:
    """Whether an operand of a division is zero anywhere."""
    if not isinstance(right, np.ndarray):
        return right == 0 or factor == 0
    return factor == 0 or any(not right[block].all() for block in blocks(right.shape))


def make_masked_image(image: Image, mask: Mask | None = None, variance: Image | None = None) -> MaskedImage:
    """Put three planes together; absent ones are zeros."""
    return MaskedImage(image, mask, variance)


def make_masked_image_from_arrays(
    image: ArrayLike, mask: ArrayLike | None = None, variance: ArrayLike | None = None
) -> MaskedImage:
    """Wrap three arrays of shape (height, width); absent ones are zeros."""
    return MaskedImage(image, mask, variance)
