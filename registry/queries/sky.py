"""The sky in queries: candidates by common pixels in SQL, then exact tests on these few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from ...model.dimensions import Element
from ...model.errors import InvalidQueryError
from ...model.pixels import Pixelization
from ...model.region import Region

if TYPE_CHECKING:
    from ..registry import Registry

__all__ = ["OverlapTest", "covering", "members", "touched"]

_MOST_RANGES = 64
"""Ranges of pixels that a query lists; beyond, those with the narrowest gaps between them are united."""
_MOST_PIXELS = 500_000
"""Pairs of a record and a pixel that a query lists."""


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


def touched(registry: Registry, element: Element, name: str, fixed: Mapping[str, Sequence[Any]]) -> list[list[Any]]:
    """Return the keys of an element's records, each with a pixel of another level than the common that it touches.

    Parameters
    ----------
    registry
        Where the records are.
    element
        What has regions.
    name
        The dimension of the pixels, such as ``healpix10``.
    fixed
        Values of dimensions of which each row must have one.

    Raises
    ------
    InvalidQueryError
        There are too many pixels to list.
    """
    universe, table = registry.universe, registry.tables.dimension[element.name]
    sought = universe.pixelization(name)
    keys = [table.c[element.column_of(dimension)] for dimension in element.required]
    query = sa.select(*keys, table.c.region).where(table.c.region.is_not(None))
    query = query.where(*(key.in_(fixed[d]) for key, d in zip(keys, element.required, strict=True) if d in fixed))
    wanted = None if name not in fixed else [pixel for pixel in fixed[name] if pixel in sought]
    if wanted is not None:
        pixels, common = registry.tables.pixels[element.name], universe.common_pixelization
        near = sa.select(*(pixels.c[dimension] for dimension in element.required)).where(
            sa.or_(sa.false(), *(covering(sought.region(pixel), pixels.c.pixel, common) for pixel in wanted))
        )
        query = query.where(sa.tuple_(*keys).in_(near))
    with registry.database.read() as connection:
        rows = connection.execute(query).all()
    if wanted is not None:
        return [[*row[:-1], pixel] for row in rows for pixel in wanted if sought.touches(pixel, _region(row[-1]))]
    if sum(_near(row[-1], sought) for row in rows) > _MOST_PIXELS:  # before the first of them is tested
        raise InvalidQueryError(
            f"the regions of {element.name} touch more than {_MOST_PIXELS:,} {name} pixels, too many to list; take a "
            f"coarser level, or say which {element.name} or which {name} by keyword or with '='."
        )
    return [[*row[:-1], one] for row in rows for one in _touched(row[-1], sought)]


@lru_cache(maxsize=16384)
def _near(region: str, pixels: Pixelization) -> int:
    return sum(end - begin for begin, end in pixels.envelope(_region(region)))


@lru_cache(maxsize=16384)
def _touched(region: str, pixels: Pixelization) -> tuple[int, ...]:
    return tuple(pixels.touched(_region(region)))


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
