"""Defects of a detector: boxes of pixels that tell nothing of the sky."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .geometry import Box2I

if TYPE_CHECKING:
    from .mask import Mask

__all__ = ["Defects"]


class Defects:
    """Boxes of bad pixels of one detector, in pixel coordinates of its images.

    Parameters
    ----------
    boxes
        The boxes; they may overlap.
    metadata
        What is known of all of them: numbers, texts, lists.
    """

    __slots__ = ("_boxes", "metadata")

    def __init__(self, boxes: Iterable[Box2I] = (), metadata: Mapping[str, Any] | None = None) -> None:
        self._boxes = tuple(boxes)
        self.metadata = dict(metadata or {})

    def __len__(self) -> int:
        return len(self._boxes)

    def __iter__(self) -> Iterator[Box2I]:
        return iter(self._boxes)

    def __getitem__(self, index: int) -> Box2I:
        return self._boxes[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Defects):
            return NotImplemented
        return self._boxes == other._boxes and self.metadata == other.metadata

    __hash__ = None  # type: ignore[assignment]

    def mark(self, mask: Mask, plane: str = "BAD") -> None:
        """Set a plane of a mask in all boxes, where they are within it."""
        bit = mask.plane_bit_mask(plane)
        for box in self._boxes:
            inside = box.clipped_to(mask.bbox)
            if not inside.is_empty:
                mask[inside].array[...] |= bit

    def __repr__(self) -> str:
        return f"Defects({len(self._boxes)} boxes)"
