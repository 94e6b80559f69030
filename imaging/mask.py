"""Masks: for each pixel, which of a number of named things are true of it, one bit each.

Which bit means what belongs to the mask itself (`MaskSchema`), and wherever two masks meet their planes are matched by
name. A mask and its views share one schema, as they share their pixels.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Never, ParamSpec, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .blocks import blocks
from .describe import Part
from .geometry import Box2I, Extent2I, Point2I
from .kernels import safe_operand
from .mask_schema import MaskSchema, renumbered
from .plane import Plane, as_box

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .mask_report import MaskReport

__all__ = ["Mask", "pixel_type"]

P = ParamSpec("P")
T = TypeVar("T")


class _SharedSchema:
    """Where a mask and its views keep their schema, so that a plane added to one has its name in all."""

    __slots__ = ("schema",)

    def __init__(self, schema: MaskSchema) -> None:
        self.schema = schema


class _AlsoOfDefault(Generic[P, T]):
    """A method of masks that answers for the default schema where the class itself is asked, as LSST's code does.

    Parameters
    ----------
    method
        One that asks nothing but the schema.
    """

    is_of_class = True

    def __init__(self, method: Callable[Concatenate["Mask", P], T]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, mask: "Mask | None", owner: type["Mask"]) -> Callable[P, T]:
        return partial(self._method, owner.full((1, 1)) if mask is None else mask)


class Mask(Plane):
    """A plane of integers whose bits are the planes of a schema.

    Parameters
    ----------
    array
        The pixels, integers of shape (height, width), or a mask; shared, not copied, where it is an array or a mask.
    schema
        What the bits mean; LSST's default planes. A mask that is given has its own.
    xy0
        PARENT coordinates of the lower left pixel; those of the mask that is given, else (0, 0).

    Raises
    ------
    TypeError
        If the pixels are not integers.
    ValueError
        If the array is not 2-D, its pixels have too few bits for the schema, or a mask has another one.
    """

    __slots__ = ("_shared",)
    _PIXELS = "iu", "integers"

    _shared: _SharedSchema

    def __init__(
        self,
        array: "NDArray[Any] | Mask",
        schema: MaskSchema | None = None,
        xy0: Point2I | tuple[int, int] | None = None,
    ) -> None:
        super().__init__(array, xy0)
        if isinstance(array, Mask):
            if schema not in (None, array.schema):
                raise ValueError("the mask has a schema of its own; mask.conformed_to(schema) renumbers its planes")
            self._shared = array._shared
            return
        schema = MaskSchema.default() if schema is None else schema
        _require_room(schema, self.dtype)
        self._shared = _SharedSchema(schema)

    @classmethod
    def full(
        cls,
        size: Box2I | Extent2I | tuple[int, int],
        value: int | str | Iterable[str] = 0,
        *,
        schema: MaskSchema | None = None,
        dtype: DTypeLike | None = None,
    ) -> "Mask":
        """Make a mask of one value, a number or the names of planes, over a box or of a size.

        Pixels are int32, or int64 where the schema has a plane beyond bit 30, or uint64 where it has one at bit 63.
        """
        schema = MaskSchema.default() if schema is None else schema
        dtype = pixel_type(schema) if dtype is None else np.dtype(dtype)
        _require_room(schema, dtype)
        box = as_box(size)
        array = np.full((box.height, box.width), schema.bit_mask(value), dtype)
        return cls(array, schema, box.min)

    @property
    def schema(self) -> MaskSchema:
        """The planes, their bits and meanings."""
        return self._shared.schema

    @property
    def plane_dict(self) -> dict[str, int]:
        """The bit of each plane, by name."""
        return self.schema.plane_dict

    mask_plane_dict = plane_dict

    @_AlsoOfDefault
    def mask_plane(self, name: str) -> int:
        """Return the bit of a plane."""
        return self.schema.bit(name)

    @_AlsoOfDefault
    def plane_bit_mask(self, names: str | Iterable[str]) -> int:
        """Return the value of a pixel with exactly these planes set; ValueError for an unknown name."""
        return self.schema.bit_mask(names)

    def selection(self, planes: int | str | Iterable[str]) -> int:
        """Return the value to select planes with by ``mask.array & …``; bits that pixels do not have are left out.

        So ``~bits`` and 0xFFFFFFFF are of use whatever the type of the pixels.
        """
        unsigned = np.dtype(f"u{self.dtype.itemsize}")
        return int(unsigned.type(self.schema.bit_mask(planes) & int(np.iinfo(unsigned).max)).view(self.dtype))

    def add_mask_plane(self, name: str, doc: str = "") -> int:
        """Add a plane at the lowest free bit, here and in views of this mask, and return its bit.

        A plane of that name that is there already stays as it is. ValueError where no bit is free: views share the
        pixels, which therefore stay as wide as they are; ``astype("int64")`` makes a wider mask.
        """
        self.adopt_planes(self.schema.with_plane(name, doc))
        return self.schema.bit(name)

    def clear_mask_plane(self, plane: str | int) -> None:
        """Unset a plane, given by its name or its bit, in every pixel; ValueError where pixels have no such bit."""
        bit = self.schema.bit(plane) if isinstance(plane, str) else plane
        if not 0 <= bit < _bits(self.dtype):
            raise ValueError(f"there is no bit {bit}: pixels of type {self.dtype} have {_bits(self.dtype)} planes")
        self._array &= self.dtype.type(~_pixel_value(1 << bit, self.dtype))

    def clear_all_mask_planes(self) -> None:
        """Unset every plane in every pixel."""
        self._array[...] = 0

    def remove_mask_plane(self, name: str) -> None:
        """Forget a plane, here and in views of this mask, without unsetting it."""
        self._shared.schema = self.schema.without_plane(name)

    def remove_and_clear_mask_plane(self, name: str, remove_from_default: bool = False) -> None:
        """Unset a plane in every pixel, and forget it.

        LSST's `remove_from_default` changes nothing: there is no dictionary that all masks have in common.
        """
        self.clear_mask_plane(name)
        self.remove_mask_plane(name)

    def set_mask_plane_values(self, plane: str | int, x0: int, x1: int, y: int) -> None:
        """Set a plane, given by its name or its bit, from pixel (x0, y) to (x1, y), both of them too; PARENT."""
        bit = self.schema.bit(plane) if isinstance(plane, str) else plane
        run = self[Box2I(Point2I(x0, y), Point2I(x1, y), invert=False)]
        run |= 1 << bit

    @_AlsoOfDefault
    def interpret(self, value: int) -> str:
        """Return the names of the planes set in a pixel's value, alphabetically, joined by commas."""
        return self.schema.interpret(value)

    def as_string(self, x: int, y: int) -> str:
        """Return the names of the planes set in a pixel."""
        return self.interpret(int(self[x, y]))

    def report(self) -> "MaskReport":
        """Return how many pixels, and what part of all, have each plane set; a prompt shows it as a table."""
        from .mask_report import MaskReport

        return MaskReport.of(self)

    def plot(self, ax: "Axes | None" = None, planes: str | Iterable[str] | None = None) -> "Axes":
        """Draw the planes in colours, with matplotlib; see `skybutler.imaging.plots.plot_mask`."""
        from .plots import plot_mask

        return plot_mask(self, ax, planes)

    def conformed_to(self, schema: MaskSchema) -> "Mask":
        """Return a copy with the bits of another schema; planes that it lacks are appended at free bits."""
        target = schema.merged_with(self.schema)
        copy = Mask.full(self.bbox, schema=target)
        copy.assign(self)
        return copy

    def conform_mask_planes(self, plane_dict: Mapping[str, int]) -> None:
        """Renumber the pixels, in place, from the bits that are given by name to those of this mask's schema.

        Planes that it lacks are added.
        """
        self.assign(Mask(self._array, MaskSchema.from_dict(plane_dict), self._xy0))

    def _assign(self, value: Any) -> None:
        if not isinstance(value, Mask):
            super()._assign(value)
            return
        self._require_size(value)
        self.require_named(value)
        self.adopt_planes(value.schema)
        moves = self.moves_from(value)
        if moves is None:
            self._fill(self._array, value.array)
            return
        pixels = safe_operand(value.array, self._array)
        for block in blocks(pixels.shape):
            self._array[block] = renumbered(pixels[block], moves, self.dtype)

    def check_pixels(self, values: Any, shape: tuple[int, ...]) -> None:
        """Refuse what cannot be copied into a part of this shape, and masks with bits that nobody can match."""
        super().check_pixels(values, shape)
        if isinstance(values, Mask):
            self.require_named(values)

    def require_named(self, other: "Mask") -> None:
        """Refuse a mask of another schema where bits are set that it has no plane for: they mean nothing here."""
        if self.schema == other.schema or not other.array.size:
            return
        found = int(np.bitwise_or.reduce(other.array, axis=None))
        unnamed = [
            bit for bit in range(_bits(other.dtype)) if found >> bit & 1 and bit not in other.plane_dict.values()
        ]
        if unnamed:
            raise ValueError(
                f"the other mask has bits {', '.join(map(str, unnamed))} set, which are no planes of its schema "
                f"{other.plane_dict}, and planes are matched by name; make it with a schema that names them, or clear "
                "them with clear_mask_plane(bit)"
            )

    def moves_from(self, other: "Mask") -> list[tuple[int, int]] | None:
        """Return how to renumber another mask's pixels for this one, or None where they can be taken as they are."""
        return None if self.schema == other.schema else self.schema.moves_from(other.schema)

    def adopt_planes(self, schema: MaskSchema) -> None:
        """Add the planes that another schema has more; ValueError, and no change, where no bits are free."""
        if schema != self.schema:
            merged = self.schema.merged_with(schema)
            _require_room(merged, self.dtype)
            self._shared.schema = merged

    def __ior__(self, other: Any) -> Self:
        return self._combine(np.bitwise_or, other)

    def __iand__(self, other: Any) -> Self:
        return self._combine(np.bitwise_and, other)

    def __ixor__(self, other: Any) -> Self:
        return self._combine(np.bitwise_xor, other)

    def _combine(self, operation: np.ufunc, other: Any) -> Self:
        """Apply a bitwise operation in place, with another mask's planes matched by name."""
        selects = operation is np.bitwise_and  # which sets no bit of a plane that this mask lacks
        if not isinstance(other, Mask):
            value = self.selection(other) if selects and isinstance(other, int) else self._pixel(other)
            operation(self._array, value, out=self._array)
            return self
        self._require_size(other)
        if not selects:
            self.require_named(other)
            self.adopt_planes(other.schema)
        moves = self.moves_from(other)
        values = safe_operand(other.array, self._array)
        for rows, columns in blocks(self._array.shape):
            part = self._array[rows, columns]
            right = values[rows, columns]
            if moves is not None or right.dtype != part.dtype:
                right = renumbered(right, moves, part.dtype) if moves is not None else right.astype(part.dtype)
            operation(part, right, out=part)
        return self

    def _require_size(self, other: "Mask") -> None:
        if self.dimensions != other.dimensions:
            raise ValueError(
                f"masks of {self.width}x{self.height} and {other.width}x{other.height} pixels do not match"
            )

    def _like(self, array: NDArray[Any]) -> Self:
        new = super()._like(array)
        new._shared = self._shared if np.may_share_memory(array, self._array) else _SharedSchema(self.schema)
        return new

    def _pixel(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, (str, list, tuple, set, frozenset)) and not _is_nested(value):
            value = self.schema.bit_mask(value)
        return _pixel_value(value, self.dtype)

    def _state(self) -> Iterable[str]:
        return *super()._state(), f"{len(self.schema)} planes"

    def _parts(self) -> Iterable[Part]:
        from .pixel_parts import mask_parts

        return mask_parts(self)

    if not TYPE_CHECKING:  # a type checker refuses these by itself

        def _no_binary(self, _other: object) -> Never:
            raise NotImplementedError(
                "masks are combined in place (|=, &=, ^=): an expression would copy whole masks behind your back. "
                "Write `new = mask.clone(); new |= other`"
            )

        __or__ = __ror__ = __and__ = __rand__ = __xor__ = __rxor__ = _no_binary


def _is_nested(value: Any) -> bool:
    """Whether a sequence holds pixels, rather than names of planes."""
    return any(not isinstance(item, str) for item in value)


def _pixel_value(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a number as a mask's pixel, refusing what is not whole."""
    if isinstance(value, (float, np.floating)):
        raise TypeError(f"a mask's pixels are integers or names of planes, not {value!r}")
    if not isinstance(value, int):
        return value
    if dtype.kind == "u" and value < 0:  # ~bits, which numpy refuses there
        value &= int(np.iinfo(dtype).max)
    return dtype.type(value)


def pixel_type(schema: MaskSchema, least: DTypeLike = "int32") -> np.dtype[Any]:
    """Return a type of pixels that a schema has room in: `least`, or else int32, int64 or uint64."""
    last = max((plane.bit for plane in schema), default=0)
    kinds = (np.dtype(kind) for kind in (least, "int32", "int64", "uint64"))
    return next(kind for kind in kinds if last < _bits(kind))


def _bits(dtype: np.dtype[Any]) -> int:
    """Return how many planes fit a pixel; the sign bit is none."""
    return 8 * dtype.itemsize - (dtype.kind == "i")


def _require_room(schema: MaskSchema, dtype: np.dtype[Any]) -> None:
    """Refuse a schema that has more bits than a pixel."""
    bits = _bits(dtype)
    beyond = [plane.name for plane in schema if plane.bit >= bits]
    if beyond:
        raise ValueError(
            f"no room for mask plane {', '.join(beyond)}: pixels of type {dtype} have {bits} planes; "
            "make a wider mask, as with masked.mask = masked.mask.astype('int64')"
        )
