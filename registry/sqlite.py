"""SQLite through Python's own driver: its files, connections, locks and errors."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy.engine import Connection

from ..model.blocks import block
from ..model.errors import ReadOnlyError, RegistryUnavailableError, SkyButlerError
from .postgres import busy

try:
    import fcntl
except ImportError:  # Windows: nobody waits for another there
    fcntl = None  # type: ignore[assignment]

__all__ = ["alone", "begin", "begin_writing", "connect", "path_of", "translated"]

_PAUSES = 1e-4, 2e-3
"""Seconds between two attempts to get the write lock, about, at first and at most; a small write has it for 1e-4."""


class _Connection(sqlite3.Connection):
    """A connection that is closed with the last reference to it: one need not close a Butler that one drops."""

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close it; SQLite would keep its transaction, and lock, as long as a traceback keeps an unread cursor."""
        with suppress(sqlite3.Error):  # closed already
            self.rollback()
        super().close()


def path_of(url: str | Path) -> Path | None:
    """Return the absolute path of an SQLite file: a later change of the working folder must not lead elsewhere."""
    if isinstance(url, str) and "://" in url:
        if not url.startswith("sqlite:///"):
            return None
        url = url.removeprefix("sqlite:///")
    return Path(url).absolute()


def connect(path: str, *, writes: bool, may_write: bool, timeout: float) -> sqlite3.Connection:
    """Open a connection to an SQLite file; whoever calls closes it.

    Parameters
    ----------
    path
        The file.
    writes
        Whether this connection may write.
    may_write
        Whether any of the same database may.
    timeout
        Seconds that it waits for a lock.
    """
    mode = "rwc" if writes else "ro"
    if not may_write and _is_at_rest(Path(path)) and not _is_writeable(Path(path).parent):
        mode = "ro&immutable=1"  # read-only media: SQLite could not make its shared-memory file
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode={mode}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        factory=_Connection,
    )
    try:
        if writes:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        else:
            connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-65536")
    except BaseException:
        connection.close()
        raise
    return connection


def begin(connection: Connection, timeout: float) -> None:
    """Take the write lock at once where the transaction will write: it could not be had later without a conflict."""
    if connection.get_execution_options().get("writes", False):
        begin_writing(connection.connection.driver_connection, timeout)
    else:
        connection.exec_driver_sql("BEGIN")


def begin_writing(connection: Any, timeout: float) -> None:
    """Begin a transaction with the write lock, which is asked for again and again within some seconds.

    SQLite would wait by sleeping longer each time, up to 0.1 s, while the lock comes free every millisecond: several
    writers would be slower together than one, and the last of them would wait for a second. Nor would it heed Ctrl-C.

    Raises
    ------
    sqlite3.OperationalError
        Others have had it all the time.
    """
    wait = f"PRAGMA busy_timeout={int(timeout * 1e3)}"
    end = time.monotonic() + timeout
    pause, longest = _PAUSES
    try:
        while True:
            try:
                connection.executescript(f"PRAGMA busy_timeout=0; BEGIN IMMEDIATE; {wait}")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
            time.sleep(random.random() * pause)
            pause = min(2 * pause, longest)
    except BaseException:
        connection.executescript(wait)
        raise


def translated(error: Exception, where: object, timeout: float) -> SkyButlerError | None:
    """Return an error of our own for one of SQLite's that is the disk's doing, or another's; None for any other."""
    cause = getattr(error, "orig", None) or error
    said = str(cause)
    if not isinstance(cause, sqlite3.OperationalError):
        return None
    if "locked" in said:
        return busy(where, timeout)
    if "readonly" in said:
        return ReadOnlyError(f"{where} may not be changed: its file or folder is read-only by now.")
    if any(trouble in said for trouble in ("is full", "disk I/O error", "unable to open")):
        helps = "make room on its disk" if "full" in said else "look after its disk"
        return RegistryUnavailableError(
            f"{where} cannot be used: {said}. Nothing was changed; {helps}, and do it again."
        )
    return None


@block
def alone(path: Path, key: str, *, wait: bool) -> Iterator[bool]:
    """Hold a lock beside an SQLite file; yield whether it could be had, which is not waited for unless asked."""
    with path.with_name(f"{path.name}-{key}").open("a") as stream:
        if fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
        yield True


def _is_writeable(folder: Path) -> bool:
    return os.access(folder, os.W_OK)


def _is_at_rest(path: Path) -> bool:
    """Whether nobody has an SQLite file open, and all that was written is in the file itself."""
    shared, log = path.with_name(f"{path.name}-shm"), path.with_name(f"{path.name}-wal")
    return not shared.exists() and (not log.exists() or log.stat().st_size == 0)
