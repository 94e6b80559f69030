"""The sky in queries: candidates by common pixels in SQL, then exact tests on these few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from ...model.dimensions import Element
from ...model.pixels import Pixelization
from ...model.region import Region

if TYPE_CHECKING:
    from ..registry import Registry

__all__ = ["OverlapTest", "covering", "members"]

_MOST_RANGES = 64
"""Ranges of pixels that a query lists; beyond, those with the narrowest gaps between them are united."""


@dataclass(frozen=True, slots=True)
class OverlapTest:
    """An exact test that a row must pass."""

    column: int
    """Place in the row of a region's text."""
    other: int | Region
    """Place of the other region's text, or the region itself."""

    def passes(self, row: Sequence[Any]) -> bool:
        """Whether the two regions share a point of the sky; a missing one does not."""
        first = row[self.column]
        second = self.other if isinstance(self.other, Region) else row[self.other]
        if first is None or second is None:
            return False
        return _overlap(first, second)


def _overlap(first: str, second: str | Region) -> bool:
    return _region(first).overlaps(second if isinstance(second, Region) else _region(second))


@lru_cache(maxsize=8192)
def _region(text: str) -> Region:
    return Region(text)


def covering(region: Region, column: ColumnElement[Any], pixels: Pixelization) -> ColumnElement[bool]:
    """Return the condition that a pixel is one of those that cover a region, or near them."""
    ranges = _few(pixels.envelope(region))
    if not ranges:
        return sa.false()
    terms = [column == first if end - first == 1 else column.between(first, end - 1) for first, end in ranges]
    return sa.or_(*terms)


def _few(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if len(ranges) <= _MOST_RANGES:
        return ranges
    gaps = sorted(range(1, len(ranges)), key=lambda i: ranges[i][0] - ranges[i - 1][1], reverse=True)
    cuts = sorted(gaps[: _MOST_RANGES - 1])
    firsts, lasts = [0, *cuts], [*cuts, len(ranges)]
    return [(ranges[a][0], ranges[b - 1][1]) for a, b in zip(firsts, lasts, strict=True)]


def members(registry: Registry, element: Element, region: Region) -> list[list[Any]]:
    """Return the keys of an element's records whose regions overlap a constant one: for overlaps within OR and NOT."""
    pixels, table = registry.tables.pixels[element.name], registry.tables.dimension[element.name]
    keys = [pixels.c[name] for name in element.required]
    same = [pixels.c[name] == table.c[element.column_of(name)] for name in element.required]
    query = (
        sa.select(*keys, table.c.region)
        .join_from(pixels, table, sa.and_(*same))
        .where(covering(region, pixels.c.pixel, registry.universe.common_pixelization))
        .distinct()
    )
    with registry.database.read() as connection:
        rows = connection.execute(query).all()
    return [list(row[:-1]) for row in rows if _overlap(row[-1], region)]
