"""What is PostgreSQL's own: its URLs and schemas, SQL that only reads, rows in bulk, lost connections."""

import gc
import sys
import uuid

import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.butler.config import RepositoryConfig
from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.model.errors import (
    ConfigError,
    ConflictingDefinitionError,
    DatasetExistsError,
    InvalidQueryError,
    ReadOnlyError,
    RegistryUnavailableError,
    RepositoryBusyError,
    RepositoryVersionError,
)
from skybutler.registry.database import Database
from skybutler.registry.registry import Registry
from skybutler.registry.sql import numbered
from skybutler.testing.faults import Interrupt

pytestmark = pytest.mark.on_postgresql

HERE = {"instrument": "SmallCam"}


@pytest.fixture
def url(backend):
    made = backend.new()
    yield made
    backend.drop(made)


def schemas(url: str) -> set[str]:
    database = Database(url)
    with database.read() as connection:
        found = connection.exec_driver_sql(
            "SELECT nspname FROM pg_namespace "
            "WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')"
        )
        names = set(found.scalars())
    database.close()
    return names


def test_repositories_share_a_database_and_each_has_a_schema_of_its_own(url, tmp_path):
    other_form = url.replace("postgresql://", "postgresql+psycopg://")
    with Butler.create(tmp_path / "a", registry=url) as a, Butler.create(tmp_path / "b", registry=other_form) as b:
        a.collections.register("mine")
        assert "mine" not in b.collections.list()
        said = yaml.safe_load((tmp_path / "a" / "skybutler.yaml").read_text())["registry"]
        known = uuid.UUID(a.sql("SELECT value FROM attribute WHERE name = 'repository_id'")[1][0][0])
        assert said.endswith(f"schema=repository_{known.hex}")
    with Butler(tmp_path / "a") as again:
        assert "mine" in again.collections.list()


def test_a_schema_may_be_named_and_holds_one_repository(url, tmp_path):
    named = f'{url}&schema=Our%20"team"'
    Butler.create(tmp_path / "a", registry=named).close()
    assert schemas(url) == {'Our "team"'}
    with pytest.raises(RepositoryVersionError, match="holds a registry already"):
        Butler.create(tmp_path / "b", registry=named)
    with Butler(tmp_path / "a") as unharmed:
        assert unharmed.collections.list() == ["defaults", "user"]


def test_a_schema_that_holds_something_else_is_left_alone(url, tmp_path):
    database = Database(f"{url}&schema=taken")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE SCHEMA taken CREATE TABLE taken.theirs (a int)")
    database.close()
    with pytest.raises(ConflictingDefinitionError, match=r"'taken' holds other things \(theirs\)"):
        Butler.create(tmp_path / "repo", registry=f"{url}&schema=taken")


def test_a_repository_that_cannot_be_made_leaves_no_schema(url, tmp_path, monkeypatch):
    def fail(self: RepositoryConfig) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(RepositoryConfig, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        Butler.create(tmp_path / "repo", registry=url)
    assert schemas(url) == set()


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("&schema=pg_mine", "'pg_mine' cannot name a schema"),
        (f"&schema={'x' * 64}", "1 to 63 bytes"),
        ("&options=-cwork_mem%3D1MB", "cannot have options"),
        ("&nonsense=1", "nonsense"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(url, tmp_path, end, message):
    with pytest.raises((ConfigError, RegistryUnavailableError), match=message):
        Butler.create(tmp_path / "repo", registry=url + end)


def test_without_the_driver_the_extra_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'skybutler\[postgres\]'"):
        Database("postgresql:///none")


def test_a_server_that_is_not_there_is_told_in_an_error_of_our_own(tmp_path):
    with pytest.raises(RegistryUnavailableError, match="cannot be reached"):
        Butler.create(tmp_path / "repo", registry=f"postgresql://me:secret@/db?host={tmp_path}")
    with pytest.raises(RegistryUnavailableError) as caught:
        Registry.open(f"postgresql://me:secret@/db?host={tmp_path}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM attribute", "WITH gone AS (DELETE FROM attribute RETURNING 1) SELECT * FROM gone",
        "CREATE TABLE x (a int)", "CREATE TEMP TABLE x (a int)", "SELECT 1 AS a INTO x", "DROP SCHEMA public CASCADE",
        "COMMIT", "ROLLBACK", "SET default_transaction_read_only = off", "SET TRANSACTION READ WRITE", "VACUUM",
        "DO $$ BEGIN COMMIT; DELETE FROM attribute; END $$", "COPY attribute TO '/tmp/out'", "LOCK TABLE attribute",
        "SELECT * FROM attribute FOR UPDATE", "SELECT nextval('collection_id_seq')",
        "SELECT set_config('transaction_read_only', 'off', true)", "EXPLAIN ANALYZE DELETE FROM attribute",
        "EXPLAIN (ANALYZE) WITH gone AS (DELETE FROM attribute RETURNING 1) SELECT * FROM gone",
        "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1", "CALL nothing()",
    ],
)  # fmt: skip
def test_sql_does_nothing_but_read(small_repository, text):
    with Butler(small_repository) as butler:
        with pytest.raises((ReadOnlyError, InvalidQueryError)) as caught:
            butler.sql(text)
        assert isinstance(caught.value, ReadOnlyError) or "CALL" in text
        assert butler.sql("SELECT count(*) FROM attribute")[1][0][0] >= 3


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; DELETE FROM attribute", "SELECT 1; COMMIT; DELETE FROM attribute", "SELEC 1", "", "-- nothing",
        "SELECT * FROM nowhere", "SELECT 1/0", "SELECT :missing", "SELECT '\0'", "SELECT 1) x; --",
    ],
)  # fmt: skip
def test_sql_that_means_nothing_is_an_invalid_query(small_repository, text):
    with Butler(small_repository) as butler:
        with pytest.raises(InvalidQueryError):
            butler.sql(text)
        assert butler.sql("SELECT count(*) FROM attribute")[1][0][0] >= 3


def test_sql_takes_parameters_where_they_stand_alone(small_repository):
    with Butler(small_repository) as butler:
        text = """SELECT ':a' AS "x:a", :a::int + :b AS sum, E'\\':a', $q$ :a $q$ /* :a */, 5 % 3 -- :a"""
        names, rows = butler.sql(text, {"a": 1, "b": 2})
        assert names[:2] == ["x:a", "sum"]
        assert rows == [(":a", 3, "':a", " :a ", 2)]
        assert butler.sql("SHOW default_transaction_read_only")[1] == [("on",)]
        assert butler.sql("EXPLAIN SELECT * FROM dataset")[0] == ["QUERY PLAN"]
    assert numbered("a[1:2] :x :y :x", {"x": 1, "y": 2}) == ("a[1:2] $1 $2 $1", [1, 2])


def add_detectors(butler: Butler, count: int) -> None:
    rows = [HERE | {"id": d, "full_name": f"D{d}", "purpose": "a\tb\\N\n"} for d in range(3, count)]
    assert butler.insert_dimension_records("detector", rows) == count - 3


def test_many_rows_are_copied_and_contradictions_told(butler):
    add_detectors(butler, 1200)
    record = next(iter(butler.query_dimension_records("detector", where="detector = 7")))
    assert record.purpose == "a\tb\\N\n"
    with pytest.raises(ConflictingDefinitionError, match="is there already"):
        add_detectors(butler, 1300)
    butler.collections.register("run")
    note = butler.dataset_type("note")
    refs = [DatasetRef(note, HERE | {"visit": 1, "detector": d}, "run") for d in range(1200)]
    for _ in range(2):  # as the first of its type in the RUN, and as one of many
        butler.registry.datasets.insert([(ref, None) for ref in refs[:600]])
        refs = refs[600:]
    assert butler.query_datasets("note", "run").count() == 1200
    again = [DatasetRef(note, HERE | {"visit": 1, "detector": d}, "run") for d in range(1200)]
    with pytest.raises(DatasetExistsError, match="is there already"):
        butler.registry.datasets.insert([(ref, None) for ref in again])


def test_results_stream_from_a_cursor_of_the_server(butler):
    add_detectors(butler, 6000)
    pool = butler.registry.database.engine.pool
    before = pool.checkedout()
    results = iter(butler.query_dimension_records("detector", order_by="detector"))
    assert next(results).id == 0
    cursors = butler.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'FETCH 2000%%' AND state LIKE 'idle in%'"
    )
    assert cursors[1] == [(1,)]
    assert butler.find_dataset("note", visit=1, detector=0) is None  # another connection answers
    results.close()
    assert pool.checkedout() == before + 1  # the thread's own reader
    assert [r.id for r in butler.query_dimension_records("detector", order_by="detector")] == list(range(6000))
    with butler.transaction():
        assert len(list(butler.query_dimension_records("detector"))) == 6000


def test_what_is_asked_again_is_prepared_by_the_server(butler):
    for detector in (0, 1, 2) * 3:
        butler.find_dataset("note", visit=1, detector=detector)
    cursor = butler.registry.database.cursor()
    cursor.execute("SELECT statement FROM pg_prepared_statements")
    assert any("FROM tag_instrument_visit_detector" in row[0] for row in cursor.fetchall())


def test_a_connection_that_broke_off_is_made_anew(butler):
    butler.put("note", {}, visit=1, detector=0)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'skybutler' " \
            "AND datname = current_database() AND pid <> pg_backend_pid()"  # fmt: skip
    butler.sql(ended)
    assert butler.find_dataset("note", visit=1, detector=0) is not None
    butler.sql(ended)
    with butler.transaction():
        butler.put("note", {}, visit=1, detector=1)
    assert butler.query_datasets("note", "user").count() == 2


def test_long_names_of_dataset_types_have_views_of_their_own(butler):
    for end in "ab":
        butler.register_dataset_type(DatasetType("x" * 70 + end, ["visit"], "Dict"))
        butler.put("x" * 70 + end, {end: 1}, visit=1)
        assert butler.get("x" * 70 + end, visit=1) == {end: 1}
    views = butler.sql("SELECT viewname FROM pg_views WHERE viewname LIKE 'v_xxx%'")[1]
    assert len(views) == 2


def test_what_the_database_undoes_for_another_s_sake_is_done_again(butler):
    from psycopg.errors import DeadlockDetected

    database, tried = butler.registry.database, []

    def work() -> int:
        tried.append(1)
        if len(tried) < 3:
            with database.write():
                raise DeadlockDetected
        return len(tried)

    assert database.retry(work) == 3
    tried.clear()
    with pytest.raises(RepositoryBusyError), butler.transaction():
        database.retry(work)
    assert len(tried) == 1


def test_a_value_that_the_database_cannot_compute_is_an_invalid_query(butler):
    with pytest.raises(InvalidQueryError, match="out of range"):
        list(butler.query_dimension_records("visit", where="exposure_time * 1e308 * 1e308 > 3"))


def test_the_views_show_instants_as_sqlite_s_do(butler):
    butler.put("note", {}, visit=1, detector=0)
    assert len(butler.sql("SELECT ingest_date FROM v_note")[1][0][0]) == len("2025-01-01T00:00:00.000")


def test_a_repository_opened_for_reading_cannot_be_changed(root):
    with Butler(root, writeable=False) as butler:
        with pytest.raises(ReadOnlyError):
            butler.collections.register("x")
        cursor = butler.registry.database.cursor()
        cursor.execute("SHOW default_transaction_read_only")
        assert cursor.fetchone() == ("on",)


def test_ctrl_c_at_any_step_of_a_write_leaves_a_database_that_goes_on(url):
    database = Database(url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE counted (n INTEGER PRIMARY KEY)")

    def insert(number: int) -> None:
        with database.write_prepared() as cursor:
            cursor.execute("INSERT INTO counted VALUES (%s)", [number])

    fault, struck, done = Interrupt(0), 0, set()
    while fault.step == fault.count:  # it was reached by the one before
        fault = Interrupt(fault.step + 1)
        database.cursor()  # connected again, if need be
        gc.collect()  # what Ctrl-C comes upon while garbage is thrown away is told to nobody
        sys.setprofile(fault)
        try:
            insert(fault.step)
            done.add(fault.step)
        except KeyboardInterrupt:
            struck += 1
        finally:
            sys.setprofile(None)
        assert not database.in_transaction
    assert struck > 100
    there = {row[0] for row in database.run("SELECT n FROM counted", ()).fetchall()}
    assert fault.step in done  # the last one, which nothing struck
    assert done <= there
    database.close()
