"""SQL by hand: the views show everything to any tool, sql() reads and nothing else, and a find is one index probe."""

import sqlite3

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.errors import InvalidQueryError, ReadOnlyError
from skybutler.model.timespan import nanoseconds_from_isot, now_ns

pytestmark = pytest.mark.sqlite


@pytest.fixture
def filled(butler):
    """Two notes in ``user``, one more in ``other``, which a chain holds with it."""
    butler.put("note", {"a": 1}, visit=1, detector=0)
    butler.put("note", {}, visit=2, detector=1)
    butler.put("note", {}, visit=1, detector=0, run="other")
    butler.collections.prepend_chain("defaults", "other")
    return butler


def plain(butler: Butler, query: str) -> list[tuple]:
    """Rows by the standard library alone."""
    connection = sqlite3.connect(butler.root / "registry.sqlite3")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_a_dataset_type_has_a_view_with_its_dimensions_by_name(filled):
    ref = filled.find_dataset("note", visit=2, detector=1)
    (row,) = plain(filled, "SELECT * FROM v_note WHERE visit = 2")
    assert row[:4] == ("user", "SmallCam", 2, 1)
    assert row[4:6] == (str(ref.id), "user")
    assert row[6].startswith("20")
    assert row[7].endswith(f"/note_SmallCam_2_1-{ref.id.hex[-12:]}.json")
    assert (filled.root / row[7]).stat().st_size == row[8] == 2
    assert filled.sql("SELECT * FROM v_note")[0] == [
        "collection", "instrument", "visit", "detector", "dataset_id", "run", "ingest_date", "path", "size",
    ]  # fmt: skip


def test_views_join_with_the_records_of_dimensions(filled):
    assert plain(
        filled,
        "SELECT n.collection, v.name, f.band FROM v_note n "
        "JOIN visit v ON (v.instrument, v.id) = (n.instrument, n.visit) "
        "JOIN physical_filter f ON (f.instrument, f.name) = (v.instrument, v.physical_filter) ORDER BY 1, 2",
    ) == [("other", "SC-0001", "g"), ("user", "SC-0001", "g"), ("user", "SC-0002", "r")]


def test_the_view_of_all_datasets_has_a_row_for_each_file(filled):
    rows = plain(filled, "SELECT dataset_type, run, storage_class, formatter, size FROM v_datasets ORDER BY run, size")
    assert rows == [
        ("note", "other", "Dict", "json", 2), ("note", "user", "Dict", "json", 2), ("note", "user", "Dict", "json", 8),
    ]  # fmt: skip


def test_the_view_of_collections_has_a_row_for_each_child(filled):
    assert plain(filled, "SELECT collection, type, position, child FROM v_collections ORDER BY 1, 3") == [
        ("defaults", "CHAINED", 0, "other"), ("defaults", "CHAINED", 1, "user"), ("other", "RUN", None, None),
        ("user", "RUN", None, None),
    ]  # fmt: skip


def test_the_ingest_date_is_tai_to_the_millisecond(filled):
    ((text,),) = plain(filled, "SELECT max(ingest_date) FROM v_datasets")
    assert 0 <= now_ns() - nanoseconds_from_isot(text, "tai") < 60 * 10**9


def test_sql_gives_names_and_rows_and_takes_parameters(filled):
    names, rows = filled.sql("SELECT visit AS v, count(*) n FROM v_note WHERE run = :r GROUP BY visit", {"r": "user"})
    assert names == ["v", "n"]
    assert rows == [(1, 1), (2, 1)]
    assert filled.sql("SELECT ':no', '12:30', 1 WHERE 0") == (["':no'", "'12:30'", "1"], [])
    assert filled.sql("WITH a AS (SELECT 1 AS x) SELECT x FROM a")[1] == [(1,)]
    assert filled.sql("PRAGMA table_info(collection_chain)")[1][0][1] == "parent_id"
    assert filled.sql("EXPLAIN QUERY PLAN SELECT * FROM dataset")[1]


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM dataset",
        "  -- a comment\n/* and another */ delete from dataset",
        "WITH a AS (SELECT 1) DELETE FROM dataset",
        "WITH a AS (SELECT 1) INSERT INTO attribute SELECT 'x', 'y'",
        "INSERT INTO attribute VALUES ('x', 'y') RETURNING name",
        "REPLACE INTO attribute VALUES ('x', 'y')",
        "UPDATE collection SET name = 'x'",
        "DROP VIEW v_note",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "CREATE TEMP VIEW dataset AS SELECT 1",
        "ALTER TABLE dataset ADD COLUMN x",
        "ATTACH DATABASE '{folder}/evil.sqlite3' AS evil",
        "DETACH DATABASE main",
        "VACUUM",
        "VACUUM INTO '{folder}/evil.sqlite3'",
        "REINDEX",
        "ANALYZE",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "RELEASE s",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version = 7",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA hard_heap_limit = 100000",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "SELECT load_extension('evil')",
    ],
)
@pytest.mark.parametrize("writeable", [True, False])
def test_sql_does_nothing_but_read(filled, tmp_path, text, writeable):
    before = plain(filled, "SELECT * FROM v_datasets"), plain(filled, "SELECT sql FROM sqlite_master")
    with Butler(filled.root, writeable=writeable) as butler:
        with pytest.raises(ReadOnlyError, match="SQL is for reading only here"):
            butler.sql(text.format(folder=tmp_path))
        assert butler.sql("SELECT count(*) FROM dataset")[1] == [(3,)]
        if writeable:
            butler.put("note", {}, visit=4, detector=2)
            butler.remove_datasets([butler.find_dataset("note", visit=4, detector=2)])
    assert (plain(filled, "SELECT * FROM v_datasets"), plain(filled, "SELECT sql FROM sqlite_master")) == before
    assert not (tmp_path / "evil.sqlite3").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT 1; DELETE FROM dataset", "one statement at a time"),
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELECT :missing", "missing"),
        ("", "there is no statement"),
        ("-- nothing", "there is no statement"),
        ("SELECT '\0'", "null character"),
    ],
)
def test_sql_that_means_nothing_is_an_invalid_query(filled, text, reason):
    with pytest.raises(InvalidQueryError, match=reason):
        filled.sql(text)
    assert filled.sql("SELECT count(*) FROM dataset")[1] == [(3,)]


def plan(butler: Butler, prepared, values) -> list[str]:
    with butler.registry.database.read() as connection:
        cursor = connection.connection.cursor()
        return [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {prepared.sql}", prepared.parameters(values))]


def test_a_find_is_one_probe_of_each_primary_key(filled):
    note = filled.dataset_type("note")
    filled.find_dataset("note", visit=1, detector=0)
    prepared = filled.registry.datasets._finds[note.dimensions]
    steps = plan(filled, prepared, {"dataset_type_id": 1, "instrument": "SmallCam", "visit": 1, "detector": 0})
    assert steps[0] == (
        "SEARCH tag_instrument_visit_detector USING PRIMARY KEY (dataset_type_id=? AND instrument=? AND visit=? "
        "AND detector=?)"
    )
    assert steps[1] == "SEARCH dataset USING PRIMARY KEY (id=?)"
    assert steps[2].startswith("SEARCH stored_file USING PRIMARY KEY (dataset_id=?)")
    assert len(steps) == 3


def test_checking_before_a_put_probes_keys_only(filled):
    note = filled.dataset_type("note")
    prepared = filled.registry.datasets._checks[note.dimensions]
    values = {"dataset_type_id": 1, "collection_id": 1, "instrument": "SmallCam", "visit": 1, "detector": 0}
    steps = plan(filled, prepared, values)
    assert [step for step in steps if "SCAN" in step and "CONSTANT" not in step] == []
    assert sum("SEARCH" in step for step in steps) == 3


def test_forgetting_and_listing_a_run_use_indexes(filled):
    for query, index in (
        ("DELETE FROM dataset WHERE id = x'00'", "SEARCH dataset USING PRIMARY KEY (id=?)"),
        (
            "SELECT 1 FROM tag_instrument_visit_detector WHERE dataset_id = x'00'",
            "tag_instrument_visit_detector_dataset",
        ),
        ("SELECT id FROM dataset WHERE run_id = 1", "dataset_run"),
        ("SELECT 1 FROM stored_file WHERE path = 'x'", "stored_file_path"),
        ("SELECT 1 FROM collection_chain WHERE child_id = 1", "ix_collection_chain_child_id"),
    ):
        steps = [row[3] for row in plain(filled, f"EXPLAIN QUERY PLAN {query}")]
        assert any(index in step for step in steps), steps
