"""Working on an image block by block: what a core works on stays in its cache, and large ones keep every core busy."""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

from .geometry import Box2I

__all__ = ["BLOCK_PIXELS", "PARALLEL_PIXELS", "Block", "blocks", "for_blocks", "share", "strips"]

Block: TypeAlias = tuple[slice, slice]
_Part = TypeVar("_Part")

BLOCK_PIXELS = 32_768  # four buffers of float64 of this size fit a second-level cache
PARALLEL_PIXELS = 1_048_576  # below this, starting threads takes longer than they save
_STRIP_PIXELS = 262_144


def blocks(shape: tuple[int, ...], pixels: int = BLOCK_PIXELS) -> Iterator[Block]:
    """Yield ``(rows, columns)`` of blocks of about so many pixels that together cover an image."""
    height, width = shape
    columns = min(width, pixels)
    rows = max(1, pixels // columns) if columns else 1
    for y in range(0, height, rows):
        for x in range(0, width, columns or 1):
            yield slice(y, y + rows), slice(x, x + columns)


def strips(box: Box2I) -> Iterator[Box2I]:
    """Yield boxes of whole rows that together make up a box: what is computed in float64 needs little memory so."""
    rows = max(1, _STRIP_PIXELS // max(box.width, 1))
    for y in range(box.begin_y, box.end_y, rows):
        yield Box2I.from_bounds(box.begin_x, box.end_x, y, min(y + rows, box.end_y))


def for_blocks(shape: tuple[int, ...], pixels: int, work: Callable[[list[Block]], None]) -> None:
    """Have all blocks of an image worked on, a share of them by each core where the image is large."""
    share(math.prod(shape), list(blocks(shape, pixels)), work)


def share(pixels: int, everything: list[_Part], work: Callable[[list[_Part]], None]) -> None:
    """Have parts worked on that hold so many pixels together, a share of them by each core where that is many.

    The threads end with the work, so that a process may fork afterwards.
    """
    workers = min(cores(), len(everything)) if pixels >= PARALLEL_PIXELS else 1
    if workers <= 1:
        work(everything)
        return
    size = -(-len(everything) // workers)
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, everything[start : start + size]) for start in range(0, len(everything), size)]:
            done.result()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
