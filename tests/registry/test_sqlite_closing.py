"""A closed SQLite connection keeps nobody out."""

import sqlite3

from skybutler.registry import sqlite


def test_a_cursor_that_outlives_its_connection_holds_no_lock(tmp_path):
    path = tmp_path / "a.sqlite3"
    connection = sqlite.connect(str(path), writes=True, may_write=True, timeout=1)
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    connection.execute("BEGIN IMMEDIATE")
    unread = connection.execute("SELECT x FROM t")  # as the traceback of an interrupted query keeps it
    connection.close()
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.close()
    del unread
