"""The planes of a mask: their names, bits and meanings, as one immutable value that belongs to a mask."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.errors import closest
from ..model.lsst_names import LsstNames
from .describe import Described, Part, Table

__all__ = ["MaskPlane", "MaskSchema", "renumbered"]

_DEFAULT_PLANES = (
    ("BAD", "the sensor is known to be bad here"),
    ("SAT", "saturated, or a neighbour that charge spilled into"),
    ("INTRP", "interpolated from neighbours"),
    ("CR", "hit by a cosmic ray"),
    ("EDGE", "too near to the edge to be processed"),
    ("DETECTED", "part of a detected source"),
    ("DETECTED_NEGATIVE", "part of a source detected below the background"),
    ("SUSPECT", "so bright that the response may not be linear"),
    ("NO_DATA", "no valid input"),
    ("VIGNETTED", "shadowed by the telescope"),
    ("STREAK", "crossed by a satellite or an aircraft"),
)


@dataclass(frozen=True, slots=True)
class MaskPlane:
    """One plane of a mask."""

    name: str
    """What tasks call it, such as ``SAT``."""
    bit: int
    """Which bit of a pixel it is; the least significant is 0."""
    doc: str = ""
    """What it means where the bit is set."""


class MaskSchema(Described, LsstNames):
    """The planes that a mask has; never changes.

    Parameters
    ----------
    planes
        In any order; no name and no bit twice.

    Raises
    ------
    ValueError
        If a name or a bit is taken twice, or a bit lies outside of 0 to 63.
    """

    __slots__ = ("_planes",)

    _planes: dict[str, MaskPlane]

    def __init__(self, planes: Iterable[MaskPlane]) -> None:
        self._planes = {}
        owners: dict[int, str] = {}
        for plane in sorted(planes, key=lambda plane: plane.bit):
            if not 0 <= plane.bit < 64:
                raise ValueError(f"mask plane {plane.name!r} has bit {plane.bit}; bits are 0 to 63")
            if plane.name in self._planes:
                raise ValueError(f"mask plane {plane.name!r} is defined twice")
            if plane.bit in owners:
                raise ValueError(f"mask planes {owners[plane.bit]!r} and {plane.name!r} both have bit {plane.bit}")
            owners[plane.bit] = plane.name
            self._planes[plane.name] = plane

    @classmethod
    def default(cls) -> "MaskSchema":
        """Return LSST's eleven planes: BAD 0, SAT 1, INTRP 2, CR 3, EDGE 4, DETECTED 5, ... STREAK 10."""
        return _default_schema()

    @classmethod
    def from_dict(cls, bits: Mapping[str, int], docs: Mapping[str, str] | None = None) -> "MaskSchema":
        """Make a schema of ``{name: bit}``; meanings come from `docs`, else from the default planes of that name."""
        known = {**dict(_DEFAULT_PLANES), **(docs or {})}
        return cls(MaskPlane(name, bit, known.get(name, "")) for name, bit in bits.items())

    @property
    def plane_dict(self) -> dict[str, int]:
        """The bit of each plane, by name."""
        return {plane.name: plane.bit for plane in self._planes.values()}

    def bit(self, name: str) -> int:
        """Return the bit of a plane; ValueError where there is none of that name."""
        return self[name].bit

    def bit_mask(self, names: str | Iterable[str] | int) -> int:
        """Return the value of a pixel with exactly these planes set; an integer is passed through."""
        if isinstance(names, (int, np.integer)):
            return int(names)
        value = 0
        for name in (names,) if isinstance(names, str) else names:
            value |= 1 << self.bit(name)
        return value

    def interpret(self, value: int) -> str:
        """Return the names of the planes set in a pixel's value, alphabetically, joined by commas."""
        return ",".join(sorted(plane.name for plane in self if int(value) >> plane.bit & 1))

    def with_plane(self, name: str, doc: str = "") -> "MaskSchema":
        """Return the schema with one plane more, at the lowest free bit; itself where the name is there already."""
        if name in self:
            return self
        taken = {plane.bit for plane in self}
        free = next(bit for bit in range(65) if bit not in taken)
        return MaskSchema([*self, MaskPlane(name, free, doc or dict(_DEFAULT_PLANES).get(name, ""))])

    def without_plane(self, name: str) -> "MaskSchema":
        """Return the schema with one plane less; the others keep their bits."""
        gone = self[name]
        return MaskSchema(plane for plane in self if plane is not gone)

    def merged_with(self, other: "MaskSchema") -> "MaskSchema":
        """Return the schema with the planes added, by name, that another one has more."""
        schema = self
        for plane in other:
            schema = schema.with_plane(plane.name, plane.doc)
        return schema

    def moves_from(self, other: "MaskSchema") -> list[tuple[int, int]]:
        """Return how pixels of another schema become pixels of this one.

        Returns
        -------
        moves : `list` of `tuple` [`int`, `int`]
            Bits to select, and by how much to shift them to the left; planes that this schema lacks are in none.
        """
        moves: dict[int, int] = {}
        for plane in other:
            if plane.name in self:
                shift = self.bit(plane.name) - plane.bit
                moves[shift] = moves.get(shift, 0) | 1 << plane.bit
        return [(bits, shift) for shift, bits in moves.items()]

    def __getitem__(self, name: str) -> MaskPlane:
        try:
            return self._planes[name]
        except KeyError:
            known = ", ".join(self._planes) or "none"
            hint = closest(name, self._planes)
            raise ValueError(f"no mask plane {name!r}; there are {known}.{hint}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._planes

    def __iter__(self) -> Iterator[MaskPlane]:
        return iter(self._planes.values())

    def __len__(self) -> int:
        return len(self._planes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MaskSchema) and (self is other or self.plane_dict == other.plane_dict)

    def __hash__(self) -> int:
        return hash(frozenset(self.plane_dict.items()))

    def __repr__(self) -> str:
        return f"MaskSchema.from_dict({self.plane_dict!r})"

    def _state(self) -> Iterable[str]:
        return (f"{len(self)} planes",)

    def _parts(self) -> Iterable[Part]:
        return (Table(("plane", "bit", "meaning"), [(plane.name, str(plane.bit), plane.doc) for plane in self]),)


def renumbered(values: NDArray[Any], moves: list[tuple[int, int]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return mask pixels with their bits moved to where another schema has them (see `MaskSchema.moves_from`)."""
    unsigned = np.dtype(f"u{max(values.itemsize, dtype.itemsize)}")  # in which a shift moves the top bit like any other
    result = np.zeros(values.shape, unsigned)
    wide = values.astype(unsigned, copy=False)
    for bits, shift in moves:
        chosen = wide & unsigned.type(bits)
        result |= chosen << unsigned.type(shift) if shift >= 0 else chosen >> unsigned.type(-shift)
    return result.astype(dtype, copy=False)


@cache
def _default_schema() -> MaskSchema:
    return MaskSchema(MaskPlane(name, bit, doc) for bit, (name, doc) in enumerate(_DEFAULT_PLANES))
