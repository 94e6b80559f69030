"""What images and masks have in common: a numpy array that knows where its pixels lie.

Indices are ``(x, y)``, counted from the parent image's origin (PARENT) unless ``LOCAL`` is given as the last index; the
array itself is ``[y, x]`` and counts from 0. Nothing is clipped silently: what is not inside is an IndexError.
"""

import operator
from collections.abc import Iterable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .describe import Described
from .geometry import LOCAL, PARENT, Box2I, Extent2I, ImageOrigin, Point2D, Point2I
from .placed import Placed

__all__ = ["Plane", "as_box", "locate"]

_MOST_PIXELS = 2**31 - 1


def locate(key: Any, bbox: Box2I) -> Point2I | Box2I:
    """Return the pixel or the box, in PARENT coordinates, that an index means.

    Parameters
    ----------
    key
        ``x, y``, ``Point2I``, ``x0:x1, y0:y1``, ``Box2I`` or ``:``, each with an optional last ``PARENT`` or ``LOCAL``.
    bbox
        What the indexed image covers, in PARENT coordinates.

    Raises
    ------
    IndexError
        If the pixel or any of the box lies outside.
    TypeError
        If the index is none of the forms above.
    ValueError
        If a slice has a step or ends before it starts.
    """
    origin = PARENT
    if type(key) is tuple and key and isinstance(key[-1], ImageOrigin):
        *rest, origin = key
        key = rest[0] if len(rest) == 1 else tuple(rest)
    offset = Extent2I(bbox.min) if origin is LOCAL else Extent2I(0, 0)
    where: Point2I | Box2I
    if isinstance(key, Box2I):
        where = key.shifted_by(offset)
    elif isinstance(key, Point2I):
        where = key + offset
    elif isinstance(key, slice) and key == slice(None):
        where = bbox
    elif type(key) is tuple and len(key) == 2:
        where = _from_pair(key[0], key[1], bbox, origin)
    else:
        raise TypeError(
            f"an image is indexed by [x, y], [x0:x1, y0:y1], [Point2I], [Box2I] or [:], and LOCAL, not by {key!r}"
        )
    if not bbox.contains(where):
        raise IndexError(f"{where!r} is outside of the image, which covers {bbox!r}")
    return where


def _from_pair(x: Any, y: Any, bbox: Box2I, origin: ImageOrigin) -> Point2I | Box2I:
    """Resolve ``[x, y]`` of two numbers or of two slices."""
    if isinstance(x, slice) != isinstance(y, slice):
        raise TypeError("an image is indexed by two numbers or by two slices; for one column write [x:x+1, y0:y1]")
    (begin_x, begin_y), (end_x, end_y) = bbox.begin, bbox.end
    if isinstance(x, slice):
        columns, rows = _bounds(x, begin_x, end_x, origin), _bounds(y, begin_y, end_y, origin)
        return Box2I.from_bounds(*columns, *rows)
    return Point2I(_coordinate(x, begin_x, end_x, origin), _coordinate(y, begin_y, end_y, origin))


def _coordinate(index: Any, begin: int, end: int, origin: ImageOrigin) -> int:
    """Return the PARENT coordinate of one index."""
    try:
        given = operator.index(index)
    except TypeError:
        given = None
    if given is None or isinstance(index, bool):
        raise TypeError(f"pixels are indexed by integers, not by {index!r}")
    if origin is LOCAL:
        return given + (begin if given >= 0 else end)
    if given < 0:
        raise IndexError(
            f"{given} is negative: in PARENT coordinates it does not count from the end. "
            "Write [x, y, LOCAL] for that, or [Point2I(x, y)] for a pixel that has negative coordinates"
        )
    return given


def _bounds(axis: slice, begin: int, end: int, origin: ImageOrigin) -> tuple[int, int]:
    """Return the half-open PARENT range of one slice, which must lie inside."""
    if axis.step is not None:
        raise ValueError(f"an image cannot be sliced with a step ({axis}); use its array for that")
    start = begin if axis.start is None else _coordinate(axis.start, begin, end, origin)
    stop = end if axis.stop is None else _coordinate(axis.stop, begin, end, origin)
    if not (begin <= start <= end and begin <= stop <= end):
        raise IndexError(f"{start}:{stop} is outside of the image, which covers {begin}:{end} there")
    if stop < start:
        raise ValueError(f"{axis} ends before it starts")
    return start, stop


def as_box(size: Box2I | Extent2I | tuple[int, int]) -> Box2I:
    """Return a box as it is, and dimensions (width, height) as a box at (0, 0)."""
    if not isinstance(size, Box2I) and min(size) < 0:
        raise ValueError(f"an image has a width and a height of 0 or more, not {tuple(size)}")
    box = size if isinstance(size, Box2I) else Box2I(Point2I(0, 0), Extent2I(size))
    if box.area > _MOST_PIXELS:
        raise ValueError(f"{box!r} has {box.area} pixels; images have at most {_MOST_PIXELS}")
    return box


class Plane(Described, Placed):
    """One array of pixels with the coordinates of its lower left one; what Image and Mask are made from."""

    __slots__ = ("_array", "_xy0")
    __array_ufunc__ = None  # so that `array + image` comes to us, who can say why not
    _PIXELS: ClassVar[tuple[str, str]] = "biuf", "numbers"
    """Kinds of numpy's types that pixels can be of, and what these are called."""

    _array: NDArray[Any]
    _xy0: Point2I

    def __init__(self, array: Any, xy0: Point2I | tuple[int, int] | None = None) -> None:
        kind = type(self).__name__
        if isinstance(array, (Box2I, Extent2I)):
            raise TypeError(f"{kind} takes the pixels; {kind}.full({array!r}) makes one of a size")
        if isinstance(array, Placed):
            if not isinstance(array, type(self)):
                raise TypeError(f"{kind} takes an array or another {kind}, not {type(array).__name__}")
            xy0 = array.xy0 if xy0 is None else xy0
        pixels = np.asarray(array)
        kinds, meant = self._PIXELS
        if pixels.dtype.kind not in kinds:
            raise TypeError(f"{kind} is made of {meant}, not of {pixels.dtype}")
        if pixels.ndim != 2:
            raise ValueError(f"{kind} takes an array of shape (height, width), not {pixels.shape}")
        if pixels.size > _MOST_PIXELS:
            raise ValueError(f"an array of shape {pixels.shape} has more than {_MOST_PIXELS} pixels")
        self._array = pixels
        self._xy0 = Point2I(0, 0) if xy0 is None else Point2I(xy0)

    @property
    def array(self) -> NDArray[Any]:
        """The pixels, shape (height, width), shared with this object; assigning copies values into them."""
        return self._array

    @array.setter
    def array(self, values: NDArray[Any]) -> None:
        if values is self._array:  # `image.array += 5` ends here: it is done already
            return
        if values is None:
            raise TypeError("the array of an image cannot be None")
        self._fill(self._array, values)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""
        return self._array.dtype

    @property
    def dimensions(self) -> Extent2I:
        """Width and height."""
        height, width = self._array.shape
        return Extent2I(width, height)

    @property
    def xy0(self) -> Point2I:
        """PARENT coordinates of the lower left pixel; setting them moves this object, not its parent or views."""
        return self._xy0

    @xy0.setter
    def xy0(self, corner: Point2I | tuple[int, int]) -> None:
        self._xy0 = Point2I(corner)

    def index_to_position(self, index: float, axis: int) -> float:
        """Return the PARENT position of an array index along x (axis 0) or y (axis 1)."""
        return float(index + self._xy0[axis])

    def position_to_index(self, position: float, axis: int) -> tuple[int, float]:
        """Return the index of the pixel nearest to a PARENT position, and how far from its centre that is."""
        exact = position - self._xy0[axis]
        nearest = Point2I(Point2D(exact, 0.0)).x
        return nearest, exact - nearest

    def __getitem__(self, key: Any) -> Any:
        where = locate(key, self.bbox)
        if isinstance(where, Point2I):
            return self._array[where.y - self._xy0.y, where.x - self._xy0.x]
        return self._view(where)

    def __setitem__(self, key: Any, value: Any) -> None:
        where = locate(key, self.bbox)
        if isinstance(where, Point2I):
            self._array[where.y - self._xy0.y, where.x - self._xy0.x] = self._pixel(value)
        elif not where.is_empty:
            self._view(where).assign(value)

    def set(self, value: Any) -> None:
        """Set every pixel to one value; in a mask that may be names of planes."""
        self[:] = value

    def assign(
        self, value: Any, box: Box2I | None = None, origin: ImageOrigin = PARENT, *, align: bool = False
    ) -> None:
        """Copy pixels from another image (planes of masks matched by name), an array or one value.

        Parameters
        ----------
        value
            Its `xy0` is not compared, unless with `align`.
        box, origin
            Which pixels to set; all by default.
        align
            Whether to copy the pixels that both images cover, instead of as many as there are.

        Raises
        ------
        IndexError
            If the box is not within the image.
        ValueError
            If the dimensions differ.
        TypeError
            If the pixels cannot be converted without changing their kind (floats to integers).
        """
        target = self if box is None else self[box, origin]
        if align:
            common = target.bbox.clipped_to(value.bbox)
            target, value = target._view(common), value._view(common)
        target._assign(value)

    def _assign(self, value: Any) -> None:
        """Copy pixels of the same number."""
        self._fill(self._array, value.array if isinstance(value, Plane) else value)

    def _view(self, box: Box2I) -> Self:
        """Return the same pixels within a box that lies inside."""
        view = self._like(self._array[box.shifted_by(-Extent2I(self._xy0)).slices])
        view._xy0 = box.min
        return view

    def _like(self, array: NDArray[Any]) -> Self:
        """Return an object of this kind at this place with another array."""
        new = object.__new__(type(self))
        new._array, new._xy0 = array, self._xy0
        return new

    def _pixel(self, value: Any) -> Any:
        """Return what a pixel is set to for a value."""
        return value

    def _fill(self, target: NDArray[Any], value: Any) -> None:
        """Copy one value, or an array of the same shape, into a part of the pixels."""
        values = np.asarray(self._pixel(value))
        self.check_pixels(values, target.shape)
        target[...] = values

    def check_pixels(self, values: Any, shape: tuple[int, ...]) -> None:
        """Refuse an array or a plane whose pixels cannot be copied into a part of this shape; numbers are let pass."""
        values = values.array if isinstance(values, Plane) else np.asarray(values)
        if values.ndim and values.shape != shape:
            raise ValueError(f"pixels of shape {values.shape} do not fit into {shape} (height, width)")
        if values.ndim and not np.can_cast(values.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"{values.dtype} pixels would lose what they hold as {self.dtype}; convert them with astype"
            )

    def clone(self) -> Self:
        """Return a copy that shares no pixels."""
        return self._like(self._array.copy())

    def astype(self, dtype: DTypeLike) -> Self:
        """Return a copy with pixels of another type; TypeError where it is none for these, as floats for a mask."""
        kinds, meant = self._PIXELS
        if np.dtype(dtype).kind not in kinds:
            raise TypeError(f"{type(self).__name__} is made of {meant}, not of {np.dtype(dtype)}")
        return self._like(self._array.astype(dtype))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        array = self._array if dtype is None else self._array.astype(dtype, copy=False)
        if copy is False and array is not self._array:
            raise ValueError(f"pixels of type {self.dtype} cannot be seen as {dtype} without a copy")
        return array.copy() if copy and array is self._array else array

    def _state(self) -> Iterable[str]:
        x, y = self._xy0
        return f"{self.width}x{self.height} {self.dtype}", f"xy0=({x}, {y})"
