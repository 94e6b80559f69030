"""Progress of a run: a bar on a terminal, nothing in logs."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from ..butler.progress import progress_bars

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["RunProgress"]


class RunProgress:
    """A bar for each task of a run, on standard error and only where that is a terminal.

    Parameters
    ----------
    shown
        Whether to show it; by default whether standard error is a terminal.
    """

    def __init__(self, shown: bool | None = None) -> None:
        self.shown = sys.stderr.isatty() if shown is None else shown
        self._bars: Progress | None = None
        self._bar: TaskID | None = None

    def __enter__(self) -> RunProgress:
        if self.shown:
            self._bars = progress_bars(transient=False)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, label: str, total: int) -> None:
        """Begin a task of so many quanta."""
        if self._bars is not None:
            self._bar = self._bars.add_task(label, total=total)

    def advance(self) -> None:
        """Count one quantum of the task begun last."""
        if self._bars is not None and self._bar is not None:
            self._bars.advance(self._bar)
