"""How a writer waits for SQLite's write lock."""

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from skybutler.registry import sqlite


def opened(path: Path) -> sqlite3.Connection:
    return sqlite.connect(str(path), writes=True, may_write=True, timeout=60.0)


def busy_timeout(connection: sqlite3.Connection) -> int:
    (milliseconds,) = connection.execute("PRAGMA busy_timeout").fetchone()
    return int(milliseconds)


def test_ctrl_c_ends_waiting_at_once(tmp_path: Path) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with closing(opened(tmp_path / "a.sqlite3")) as one, closing(opened(tmp_path / "a.sqlite3")) as other:
        sqlite.begin_writing(one, 60.0)
        before = signal.signal(signal.SIGALRM, interrupt)
        begun = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            with pytest.raises(KeyboardInterrupt):
                sqlite.begin_writing(other, 60.0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert time.monotonic() - begun < 30
        assert not other.in_transaction
        assert busy_timeout(other) == 60_000  # as it was, for all other statements
        one.rollback()
        sqlite.begin_writing(other, 60.0)
        assert other.in_transaction
        assert busy_timeout(other) == 60_000


def test_a_lock_that_does_not_come_free_is_an_error_in_time(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "a.sqlite3")) as one, closing(opened(tmp_path / "a.sqlite3")) as other:
        sqlite.begin_writing(one, 60.0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite.begin_writing(other, 0.02)
        assert busy_timeout(other) == 20
