"""Keys of several columns at once, which together are one thing: a position, a shape, a box.

``record[Point2DKey("base_Centroid")]`` is a `Point2D` of ``base_Centroid_x`` and ``_y``; of a catalog, the same key
gives all rows at once. Prefixes may be aliases, such as ``slot_Centroid``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .geometry import Box2I, Extent2I, Point2D, Point2I
from .psf import Quadrupole

if TYPE_CHECKING:
    from .schema import Schema
    from .source_record import SourceMeasurements

__all__ = [
    "ArrayKey",
    "Box2IKey",
    "CoordKey",
    "CovarianceKey",
    "EllipseKey",
    "FunctorKey",
    "Point2DKey",
    "Point2IKey",
    "QuadrupoleKey",
]


@dataclass(frozen=True)
class FunctorKey(ABC):
    """A key of the columns whose names begin with a prefix. A kind of its own says which, and what they make."""

    prefix: str
    """What the names begin with; an underscore follows."""

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """What follows the prefix in each name."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(f"{self.prefix}_{part}" for part in self.parts)

    def values_of(self, source: SourceMeasurements) -> list[Any]:
        """Return the values of the columns of a record, or of a catalog."""
        return [source[name] for name in self.names]

    @abstractmethod
    def pack(self, values: Sequence[Any]) -> Any:
        """Return what the values of the columns are together: numbers of a record, arrays of a catalog."""

    @abstractmethod
    def unpack(self, value: Any) -> Sequence[Any]:
        """Return the value of each column."""

    @classmethod
    def add_fields(cls, schema: Schema, prefix: str, doc: str = "", units: str = "", **options: Any) -> Self:
        """Add the columns to a schema, and return the key of them."""
        key = cls(prefix, **options)
        for name in key.names:
            schema.add_field(name, key._field_type, doc, units)
        return key

    _field_type = "D"


class Point2DKey(FunctorKey):
    """``_x`` and ``_y``, a `Point2D`; of a catalog, an array of shape (n, 2)."""

    parts = ("x", "y")

    def pack(self, values: Sequence[Any]) -> Any:
        """Return a position."""
        return np.stack(values, axis=-1) if np.ndim(values[0]) else Point2D(*values)

    def unpack(self, value: Any) -> Sequence[Any]:
        """Return x and y."""
        return [np.asarray(value)[..., axis] for axis in (0, 1)]


class Point2IKey(Point2DKey):
    """``_x`` and ``_y``, a `Point2I`; of a catalog, an array of shape (n, 2)."""

    _field_type = "I"

    def pack(self, values: Sequence[Any]) -> Any:
        """Return a pixel."""
        return np.stack(values, axis=-1) if np.ndim(values[0]) else Point2I(*values)


class CoordKey(FunctorKey):
    """``_ra`` and ``_dec`` in radians, a `astropy.coordinates.SkyCoord` in ICRS; of a catalog, one of all rows."""

    parts = ("ra", "dec")
    _field_type = "Angle"

    def pack(self, values: Sequence[Any]) -> Any:
        """Return a position on the sky."""
        from astropy.coordinates import SkyCoord

        return SkyCoord(*values, unit="rad", frame="icrs")

    def unpack(self, value: Any) -> Sequence[Any]:
        """Return right ascension and declination, radians."""
        sky = value.icrs
        return [sky.ra.rad, sky.dec.rad]


class QuadrupoleKey(FunctorKey):
    """``_xx``, ``_yy`` and ``_xy``, a `Quadrupole`; of a catalog, one of arrays."""

    parts = ("xx", "yy", "xy")

    def pack(self, values: Sequence[Any]) -> Any:
        """Return second moments."""
        return Quadrupole(*values)

    def unpack(self, value: Any) -> Sequence[Any]:
        """Return ixx, iyy and ixy."""
        return list(value)


@dataclass(frozen=True)
class EllipseKey(FunctorKey):
    """A shape about a position: ``_xx``, ``_yy``, ``_xy``, ``_x`` and ``_y``, a pair of `Quadrupole` and `Point2D`.

    Of a catalog, a `Quadrupole` of arrays and an array of shape (n, 2).
    """

    center: str = ""
    """What the names of the position begin with, where that is something else: ``slot_Centroid`` beside
    ``slot_Shape``."""
    parts = (*QuadrupoleKey.parts, *Point2DKey.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return *QuadrupoleKey(self.prefix).names, *Point2DKey(self.center or self.prefix).names

    def pack(self, values: Sequence[Any]) -> Any:
        """Return second moments and their centre."""
        return QuadrupoleKey(self.prefix).pack(values[:3]), Point2DKey(self.prefix).pack(values[3:])

    def unpack(self, value: Any) -> Sequence[Any]:
        """Return ixx, iyy, ixy, x and y."""
        shape, center = value
        return [*QuadrupoleKey(self.prefix).unpack(shape), *Point2DKey(self.prefix).unpack(center)]


class Box2IKey(FunctorKey):
    """``_min_x``, ``_min_y``, ``_max_x`` and ``_max_y``, a `Box2I`; of a catalog, a list of them."""

    parts = ("min_x", "min_y", "max_x", "max_y")
    _field_type = "I"

    def pack(self, values: Sequence[Any]) -> Any:
        """Return a box; empty where a maximum lies below its minimum."""
        if np.ndim(values[0]):
            return [self.pack([int(number) for number in row]) for row in zip(*values, strict=True)]
        x0, y0, x1, y1 = values
        return Box2I.from_bounds(x0, x1 + 1, y0, y1 + 1)

    def unpack(self, value: Any) -> Sequence[Any]:
        """Return the corners."""
        boxes = [value] if isinstance(value, Box2I) else value
        corners = np.array(
            [(*box.min, *(box.max if not box.is_empty else box.min - Extent2I(1, 1))) for box in boxes]
        ).T
        return list(corners[:, 0] if isinstance(value, Box2I) else corners)


@dataclass(frozen=True)
class ArrayKey(FunctorKey):
    """``_0``, ``_1`` and so on, an array of numbers; of a catalog, one of shape (n, size)."""

    size: int = 1
    """How many columns."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The numbers from 0."""
        return tuple(map(str, range(self.size)))

    def pack(self, values: Sequence[Any]) -> Any:
        """Return an array."""
        return np.stack(values, axis=-1)

    def unpack(self, value: Any) -> Sequence[Any]:
        """Return the elements."""
        return [np.asarray(value)[..., place] for place in range(self.size)]


@dataclass(frozen=True)
class CovarianceKey(FunctorKey):
    """Errors and covariances, ``_xErr``, ``_yErr`` and ``_x_y_Cov``, a symmetric matrix; of a catalog, many of them.

    Covariances that have no column are 0.
    """

    of: tuple[str, ...] = ("x", "y")
    """What they are the errors of."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The errors, then the covariance of each pair."""
        pairs = [f"{one}_{other}_Cov" for i, one in enumerate(self.of) for other in self.of[i + 1 :]]
        return (*(f"{name}Err" for name in self.of), *pairs)

    def values_of(self, source: SourceMeasurements) -> list[Any]:
        """Return errors and covariances."""
        errors, covariances = self.names[: len(self.of)], self.names[len(self.of) :]
        return [
            *(source[name] for name in errors),
            *(source[name] if name in source.schema else 0.0 for name in covariances),
        ]

    def pack(self, values: Sequence[Any]) -> Any:
        """Return a matrix of variances and covariances."""
        size = len(self.of)
        matrix = np.zeros((*np.shape(values[0]), size, size))
        rows, columns = np.triu_indices(size, 1)
        for place in range(size):
            matrix[..., place, place] = np.square(values[place])
        for row, column, value in zip(rows, columns, values[size:], strict=True):
            matrix[..., row, column] = matrix[..., column, row] = value
        return matrix

    def unpack(self, value: Any) -> Sequence[Any]:
        """Return errors and covariances."""
        matrix = np.asarray(value)
        rows, columns = np.triu_indices(len(self.of), 1)
        errors = [np.sqrt(matrix[..., place, place]) for place in range(len(self.of))]
        return [*errors, *(matrix[..., row, column] for row, column in zip(rows, columns, strict=True))]
