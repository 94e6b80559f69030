"""Progress of long work: a bar on a terminal, nothing in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["progress_bars", "track"]

T = TypeVar("T")


def track(items: Iterable[T], description: str) -> Iterator[T]:
    """Yield items, showing how far it has come on a terminal's standard error.

    Parameters
    ----------
    items
        What is gone through; its length, where it has one, is what there is to do.
    description
        What is being done.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    total = len(items) if isinstance(items, Sized) else None
    with progress_bars(transient=True) as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)


def progress_bars(*, transient: bool) -> Progress:
    """Return a display of bars on standard error, not started yet.

    Parameters
    ----------
    transient
        Whether the bars vanish at their end.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=transient)
