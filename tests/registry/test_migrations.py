"""Repositories of earlier schemas, kept as they were written, come up to the present one and work."""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine import Connection

from skybutler.butler.butler import Butler
from skybutler.butler.repository import migrate_repository
from skybutler.model.datasets import DatasetType
from skybutler.model.dimensions import default_universe
from skybutler.model.errors import RepositoryNotFoundError, RepositoryVersionError
from skybutler.registry.database import Database
from skybutler.registry.schema import SCHEMA_VERSION, alembic_config
from skybutler.registry.tables import Tables
from skybutler.registry.views import create_calibration_view, create_dataset_view

FROZEN = sorted((Path(__file__).parent / "data").glob("schema_*.sql"))


@pytest.fixture(params=FROZEN, ids=lambda path: path.stem)
def old(request, tmp_path) -> Path:
    """A repository as an earlier version wrote it."""
    root = tmp_path / "old"
    root.mkdir()
    (root / "skybutler.yaml").write_text("version: 1\nregistry: registry.sqlite3\n")
    with closing(sqlite3.connect(root / "registry.sqlite3")) as connection:
        connection.executescript(request.param.read_text())
    return root


def tables(root: Path) -> dict[str, str]:
    with closing(sqlite3.connect(root / "registry.sqlite3")) as connection:
        return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"))


def test_opening_an_old_repository_says_what_migrates_it(old):
    with pytest.raises(RepositoryVersionError, match=r"has schema \d+; .* reads \d+\. `skybutler migrate REPO`"):
        Butler(old)


def test_a_dry_run_shows_the_sql_and_changes_nothing(old):
    before = tables(old)
    found, statements = migrate_repository(old, dry_run=True)
    assert f"schema_{found}" in {path.stem for path in FROZEN}
    assert any(statement.startswith("CREATE TABLE calib_") for statement in statements) == (found < "0002")
    assert any(statement.startswith("CREATE TABLE annotation") for statement in statements) == (found < "0003")
    assert any(statement.startswith("CREATE TABLE trash") for statement in statements)
    assert any(SCHEMA_VERSION in statement for statement in statements)
    assert tables(old) == before


def test_a_migrated_repository_is_as_a_new_one(old, tmp_path):
    migrate_repository(old)
    with Butler.create(tmp_path / "new") as made, Butler(old) as butler:
        for dataset_type in butler.dataset_types():
            made.register_dataset_type(dataset_type)
    squeezed = [
        {name: " ".join((sql or "").replace("( ", "(").replace('"', "").split()) for name, sql in tables(root).items()}
        for root in (old, tmp_path / "new")
    ]
    assert squeezed[0].keys() <= squeezed[1].keys()  # new ones may have more standard dataset types
    for name in squeezed[0]:
        if name.startswith(("calib", "v_calibrations", "annotation", "v_annotations", "trash", "v_trash")):
            assert squeezed[0][name] == squeezed[1][name]


def test_a_migration_is_done_once(old):
    found, statements = migrate_repository(old)
    assert found < SCHEMA_VERSION
    assert statements
    assert migrate_repository(old) == (SCHEMA_VERSION, [])
    with pytest.raises(RepositoryVersionError, match="there is no way back to 0001"):
        migrate_repository(old, "0001")
    with pytest.raises(RepositoryVersionError, match="knows no schema 9999; it knows 0001, "):
        migrate_repository(old, "9999")


def takes_what_is_new(butler: Butler) -> None:
    """Check that a migrated repository has what it had, and does what it could not."""
    biases = list(butler.query_datasets("bias", "both", order_by="detector"))
    assert [ref.run for ref in biases] == ["night", "night"]
    assert butler.find_dataset("note", visit=1, detector=1, collections="night") is not None
    exposure = next(iter(butler.query_dimension_records("exposure", where="exposure = 1")))
    butler.collections.certify("calib", biases, exposure.timespan)
    butler.collections.certify("calib", butler.query_datasets("flat", "night"), exposure.timespan)
    butler.collections.tag("picked", butler.query_datasets("note", "night"))
    assert butler.find_dataset("bias", exposure=1, detector=0, collections="calib") == biases[0]
    assert butler.find_dataset("bias", exposure=2, detector=0, collections="calib") is None
    assert butler.find_dataset("bias", exposure=2, detector=0, collections="both") == biases[0]
    assert butler.query_datasets("note", "picked").count() == 2
    assert butler.sql("SELECT count(*) FROM v_calibrations WHERE collection = 'calib'")[1] == [(4,)]
    butler.put("defects", {"hot": 1}, detector=0, run="later")
    assert butler.get("defects", detector=0, collections=["later", "night"]) == {"hot": 1}
    made = butler.register_dataset_type(DatasetType("linearity", ["instrument"], "Dict", is_calibration=True))
    assert made
    butler.annotate(biases, quality="good")
    assert set(butler.query_datasets("bias", "night", where="bias.annotation.quality = 'good'")) == set(biases)


def test_a_migrated_repository_keeps_what_it_has_and_takes_calibrations(old):
    migrate_repository(old)
    with Butler(old) as butler:
        takes_what_is_new(butler)
    assert "calib_instrument" in tables(old)


def test_what_is_no_registry_is_not_migrated(tmp_path):
    (tmp_path / "skybutler.yaml").write_text("version: 1\nregistry: registry.sqlite3\n")
    with pytest.raises(RepositoryNotFoundError, match="is not there"):
        migrate_repository(tmp_path)
    for content in (b"", b"no database at all" * 100):
        (tmp_path / "registry.sqlite3").write_bytes(content)
        with pytest.raises(RepositoryVersionError, match="holds no SkyButler registry"):
            migrate_repository(tmp_path)


# On PostgreSQL, earlier versions are made by the migrations themselves, and filled with what the frozen ones hold.


@pytest.fixture(params=FROZEN, ids=lambda path: path.stem)
def old_on_postgresql(request, backend, tmp_path) -> Iterator[Path]:
    """A repository in PostgreSQL, of an earlier schema, with the rows of the frozen one."""
    version = request.param.stem.rpartition("_")[2]
    url = backend.new()
    (tmp_path / "skybutler.yaml").write_text(f"version: 1\nregistry: {url}&schema=old\n")
    database = Database(f"{url}&schema=old")
    with closing(sqlite3.connect(":memory:")) as frozen, database.write() as connection:
        frozen.executescript(request.param.read_text())
        database.make_schema(connection)
        config = alembic_config(connection)
        config.attributes["universe"] = default_universe()
        command.upgrade(config, version)
        copy_rows(frozen, connection, version)
    database.close()
    yield tmp_path
    backend.drop(url)


def copy_rows(frozen: sqlite3.Connection, connection: Connection, version: str) -> None:
    """Copy all rows of a frozen registry, and make the tables and views that came with its dataset types."""
    layout = Tables(default_universe(), "postgresql")
    kinds, calibrations = {}, []
    for key, name, dimensions, storage_class, is_calibration in frozen.execute(
        "SELECT id, name, dimensions, storage_class, is_calibration FROM dataset_type"
    ):
        kind = kinds[key] = DatasetType(name, json.loads(dimensions), storage_class, bool(is_calibration))
        layout.tag(kind.dimensions).create(connection, checkfirst=True)
        if is_calibration and version >= "0002":
            calibrations.append(kind.dimensions)
            layout.calib(kind.dimensions).create(connection, checkfirst=True)
    for key, kind in kinds.items():
        create_dataset_view(connection, layout, kind, key)
    if calibrations:
        create_calibration_view(connection, layout, calibrations)
    there = {name for (name,) in frozen.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.execute(layout.attribute.delete())
    frozen.row_factory = sqlite3.Row
    for table in layout.metadata.sorted_tables:
        if table.name in there and (rows := list(frozen.execute(f'SELECT * FROM "{table.name}"'))):
            connection.execute(table.insert(), [converted(table, row) for row in rows])
            number_on(connection, table)


def converted(table: sa.Table, row: sqlite3.Row) -> dict[str, object]:
    """Return a row of SQLite's as PostgreSQL takes it: UUIDs and Booleans have types of their own there."""
    values = {name: uuid.UUID(bytes=value) if isinstance(value, bytes) else value for name, value in dict(row).items()}
    return {name: bool(v) if isinstance(table.c[name].type, sa.Boolean) else v for name, v in values.items()}


def number_on(connection: Connection, table: sa.Table) -> None:
    """Let the numbers that PostgreSQL gives rows go on after those that were copied."""
    if table.name in ("collection", "dataset_type") or table.name.startswith("calib_"):
        sequence = connection.exec_driver_sql(f"SELECT pg_get_serial_sequence('{table.name}', 'id')").scalar()
        connection.exec_driver_sql(f"SELECT setval('{sequence}', (SELECT max(id) FROM {table.name}))")


@pytest.mark.on_postgresql
def test_opening_an_old_one_on_postgresql_says_what_migrates_it(old_on_postgresql):
    with pytest.raises(RepositoryVersionError, match=r"has schema \d+; .* reads \d+\. `skybutler migrate REPO`"):
        Butler(old_on_postgresql)


@pytest.mark.on_postgresql
def test_on_postgresql_a_migrated_repository_has_the_tables_of_a_new_one(old_on_postgresql, backend, tmp_path):
    found, statements = migrate_repository(old_on_postgresql, dry_run=True)
    assert any(statement.startswith("CREATE TABLE trash") for statement in statements)
    with pytest.raises(RepositoryVersionError, match=f"has schema {found}"):
        Butler(old_on_postgresql)
    migrate_repository(old_on_postgresql)
    assert migrate_repository(old_on_postgresql) == (SCHEMA_VERSION, [])
    url = backend.new()
    with Butler(old_on_postgresql) as old, Butler.create(tmp_path / "new", registry=url) as made:
        for dataset_type in old.dataset_types():
            made.register_dataset_type(dataset_type)
        assert described(old) <= described(made)
        assert all("v_camera_description." in what for _, what in described(made) - described(old))  # a standard type
    backend.drop(url)


def described(butler: Butler) -> set[tuple[str, str]]:
    """Return the columns, indexes and constraints of a registry."""
    columns = (
        "SELECT 'column', table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable "
        "|| ' ' || coalesce(collation_name, '') FROM information_schema.columns WHERE table_schema = current_schema"
    )
    indexes = (
        "SELECT 'index', replace(indexdef, current_schema || '.', '') FROM pg_indexes WHERE schemaname = current_schema"
    )
    constraints = (
        "SELECT 'constraint', conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = current_schema::regnamespace"
    )
    return set(butler.sql(f"{columns} UNION ALL {indexes} UNION ALL {constraints}")[1])


@pytest.mark.on_postgresql
def test_on_postgresql_a_migrated_repository_keeps_what_it_has_and_takes_what_is_new(old_on_postgresql):
    migrate_repository(old_on_postgresql)
    with Butler(old_on_postgresql) as butler:
        takes_what_is_new(butler)
