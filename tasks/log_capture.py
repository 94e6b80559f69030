"""Catching what a quantum logs, so that it can be kept as a dataset."""

from __future__ import annotations

import logging
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ..model.errors import SkyButlerError

__all__ = ["captured_log", "error_place", "exception_entry"]

_STANDARD_LIBRARY = Path(traceback.__file__).parent
_ROOT = "skybutler"


class _Catcher(logging.Handler):
    """Keeps records as dictionaries, and hands on those that would have been heard without it."""

    def __init__(self, entries: list[dict[str, Any]], heard: int) -> None:
        super().__init__()
        self.entries = entries
        self.heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.entries.append(_entry(record))
        if record.levelno >= self.heard:
            logging.getLogger().handle(record)


@contextmanager
def captured_log(level: int = logging.INFO) -> Iterator[list[dict[str, Any]]]:
    """Catch what is logged under ``skybutler`` at a level or above.

    Yields
    ------
    list[dict]
        Entries as they come: ``time`` (UTC, ISO 8601), ``level``, ``name``, ``message``, and ``exception`` where there
        was one; Python's warnings come as ``py.warnings``. What was heard before on the console is heard as before, and
        no more.
    """
    logger = logging.getLogger(_ROOT)
    entries: list[dict[str, Any]] = []
    level_before, propagate_before = logger.level, logger.propagate
    handler = _Catcher(entries, logger.getEffectiveLevel() if propagate_before else logging.CRITICAL + 1)
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(min(level, logger.getEffectiveLevel()))
    show_before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = f"{filename}:{lineno}: {category.__name__}: {message}"
        entries.append({"time": _utc(time.time()), "level": "WARNING", "name": "py.warnings", "message": text})
        show_before(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield entries
    finally:
        warnings.showwarning = show_before
        logger.removeHandler(handler)
        logger.propagate = propagate_before
        logger.setLevel(level_before)


def error_place(error: BaseException) -> str:
    """Return ``" (file.py, line 7)"``: where an error was raised; "" for our own errors, which say what is wrong.

    Of an error within a library, or within SkyButler, it is the user's own line that led there, where there is one.
    """
    if isinstance(error, SkyButlerError):
        return ""
    found = [
        (Path(frame.f_code.co_filename), line, str(frame.f_globals.get("__name__")))
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    ours = [one for one in found if one[2].partition(".")[0] == _ROOT]
    users = [one for one in found if one not in ours and not _is_of_a_library(one[0])]
    for file, line, _ in reversed(users or ours or found):
        return f" ({file.name}, line {line})"
    return ""


def _is_of_a_library(file: Path) -> bool:
    return "site-packages" in file.parts or file.is_relative_to(_STANDARD_LIBRARY)


def exception_entry(error: BaseException, name: str) -> dict[str, Any]:
    """Return a log entry for an error, with its traceback."""
    return {
        "time": _utc(time.time()),
        "level": "ERROR",
        "name": name,
        "message": f"{type(error).__name__}: {error}",
        "exception": "".join(traceback.format_exception(error)),
    }


def _entry(record: logging.LogRecord) -> dict[str, Any]:
    entry = {
        "time": _utc(record.created),
        "level": record.levelname,
        "name": record.name,
        "message": record.getMessage(),
    }
    if record.exc_info is not None and record.exc_info[1] is not None:
        entry["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
    return entry


def _utc(seconds: float) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{int(seconds % 1 * 1000):03d}Z"
