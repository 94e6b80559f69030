"""What a mask holds: for each plane, how many pixels have it set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..model.errors import closest
from .blocks import for_blocks
from .describe import Described, Part, Table

if TYPE_CHECKING:
    from .blocks import Block
    from .mask import Mask

__all__ = ["MaskReport", "PlaneCount"]

_BLOCK_PIXELS = 131_072


@dataclass(frozen=True, slots=True)
class PlaneCount:
    """One plane, and how much of a mask it covers."""

    name: str
    """As the schema has it; empty where pixels have a bit of no plane."""
    bit: int
    """Which bit of a pixel; the least significant is 0."""
    doc: str
    """What the plane means."""
    pixels: int
    """How many pixels have it set."""
    percent: float
    """Of all pixels; 0 in a mask without any."""


class MaskReport(Described):
    """How many pixels have each plane set; a prompt and a notebook show it as a table.

    Parameters
    ----------
    planes
        In the order of their bits.
    total
        Pixels of the mask.
    """

    def __init__(self, planes: Iterable[PlaneCount], total: int) -> None:
        self.planes = tuple(planes)
        self.total = total

    @classmethod
    def of(cls, mask: Mask) -> MaskReport:
        """Count the pixels of a mask, plane by plane; a bit that no plane has is counted where it occurs."""
        bits = mask.array
        unsigned = np.dtype(bits.dtype.str.replace("i", "u"))  # the sign bit is a bit like the others here
        found: list[list[int]] = [[] for _ in range(8 * bits.dtype.itemsize)]

        def count(some: list[Block]) -> None:
            for block in some:
                part = bits[block].view(unsigned)
                occurring = int(np.bitwise_or.reduce(part, axis=None))
                for bit, counted in enumerate(found):
                    if occurring >> bit & 1:
                        counted.append(int(np.count_nonzero(part & unsigned.type(1 << bit))))

        for_blocks(bits.shape, _BLOCK_PIXELS, count)
        total = bits.size
        known = {plane.bit: (plane.name, plane.doc) for plane in mask.schema}
        return cls(
            (
                PlaneCount(*_named(known, bit), pixels, 100.0 * pixels / max(total, 1))
                for bit, pixels in enumerate(map(sum, found))
                if bit in known or pixels
            ),
            total,
        )

    def __getitem__(self, name: str) -> PlaneCount:
        for plane in self.planes:
            if plane.name == name:
                return plane
        names = [plane.name for plane in self.planes]
        raise KeyError(f"The mask has no plane {name!r}; it has {', '.join(names)}.{closest(name, names)}")

    def __iter__(self) -> Iterator[PlaneCount]:
        return iter(self.planes)

    def __len__(self) -> int:
        return len(self.planes)

    def table(self, *, only_set: bool = False) -> Table:
        """Return name, bit, pixels, percent and meaning of each plane, or of those that any pixel has set."""
        rows = [
            (plane.name or "(none)", str(plane.bit), str(plane.pixels), f"{plane.percent:.3f}", plane.doc)
            for plane in self
            if plane.pixels or not only_set
        ]
        return Table(("plane", "bit", "pixels", "percent", "meaning"), rows)

    def __repr__(self) -> str:  # one asks for a report to read it
        return str(self.describe())

    def _state(self) -> Iterable[str]:
        return f"{len(self)} planes", f"{self.total} pixels"

    def _parts(self) -> Iterable[Part]:
        return (self.table(),)


def _named(known: dict[int, tuple[str, str]], bit: int) -> tuple[str, int, str]:
    name, doc = known.get(bit, ("", "a bit of no plane of the schema"))
    return name, bit, doc
