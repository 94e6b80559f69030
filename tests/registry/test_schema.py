"""The schema that migrations make is the one that the code reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from skybutler.model.dimensions import DimensionUniverse, default_universe
from skybutler.model.errors import ConflictingDefinitionError, RepositoryNotFoundError, RepositoryVersionError
from skybutler.registry.registry import Registry
from skybutler.registry.schema import SCHEMA_VERSION, alembic_config
from skybutler.registry.tables import Tables, tag_table_name


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry.create(tmp_path / "registry.sqlite3")
    yield made
    made.close()


def describe(engine: sa.Engine) -> dict[str, object]:
    """Everything that SQLite knows of tables and indexes, by their names."""
    found: dict[str, object] = {}
    with engine.connect() as connection:
        for (table,) in connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'"
        ).all():
            sql = connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{table}'").scalar_one()
            columns = connection.exec_driver_sql(f"PRAGMA table_xinfo('{table}')").all()
            keys = connection.exec_driver_sql(f"PRAGMA foreign_key_list('{table}')").all()
            indexes = {
                (unique, origin, partial, tuple(connection.exec_driver_sql(f"PRAGMA index_info('{name}')").all()))
                for _, name, unique, origin, partial in connection.exec_driver_sql(
                    f"PRAGMA index_list('{table}')"
                ).all()
            }
            found[table] = (
                [tuple(column) for column in columns],
                sorted(tuple(key[2:]) for key in keys),
                indexes,
                "WITHOUT ROWID" in sql,
            )
    return found


def test_alembic_sees_no_difference_between_a_new_repository_and_the_tables(butler):
    registry = butler.registry
    for dataset_type in registry.dataset_types():
        registry.tables.tag(dataset_type.dimensions)
        if dataset_type.is_calibration:
            registry.tables.calib(dataset_type.dimensions)
    with registry.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, registry.tables.metadata)
    assert [d for d in differences if "alembic_version" not in str(d)] == []


def test_migrations_and_tables_make_the_same_columns_keys_and_indexes(registry, tmp_path):
    direct = sa.create_engine(f"sqlite:///{tmp_path / 'direct.sqlite3'}")
    Tables(registry.universe).metadata.create_all(direct)
    assert describe(registry.database.engine) == describe(direct)
    direct.dispose()


def test_the_schema_version_is_the_newest_migration(registry):
    with registry.database.read() as connection:
        assert ScriptDirectory.from_config(alembic_config(connection)).get_current_head() == SCHEMA_VERSION
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == SCHEMA_VERSION


def test_a_registry_is_not_made_twice(registry):
    with pytest.raises(RepositoryVersionError, match="holds a registry already"):
        Registry.create(registry.database.path)


def test_the_default_universe_is_read_back_as_itself(registry):
    assert registry.universe is default_universe()


def test_a_universe_of_ones_own_is_read_back(tmp_path):
    own = DimensionUniverse(
        {
            "version": 3,
            "common_pixels": "healpix5",
            "elements": {
                "survey": {"key": {"name": "str"}},
                "field": {"key": {"id": "int"}, "requires": ["survey"], "region": True},
            },
        }
    )
    made = Registry.create(tmp_path / "own.sqlite3", own)
    made.close()
    again = Registry.open(tmp_path / "own.sqlite3")
    assert again.universe == own
    again.dimension_records.insert("survey", [{"name": "s"}])
    again.dimension_records.insert("field", [{"survey": "s", "id": 1, "region": "CIRCLE 1 2 1"}])
    assert again.sql("SELECT survey, id FROM field")[1] == [("s", 1)]
    assert again.sql("SELECT count(*) FROM field_pixels")[1][0][0] > 0
    again.close()


@pytest.mark.parametrize(
    "name", ["collection", "dataset", "stored_file", "tag_visit", "calib_visit", "v_datasets", "alembic_version"]
)
def test_an_element_with_the_name_of_a_table_of_the_registry_is_refused(tmp_path, name):
    own = DimensionUniverse({"version": 1, "common_pixels": "htm7", "elements": {name: {"key": {"id": "int"}}}})
    with pytest.raises(ConflictingDefinitionError, match=f"cannot be called '{name}'"):
        Registry.create(tmp_path / "own.sqlite3", own)


@pytest.mark.parametrize("version", ["9999", "0000"])
def test_a_schema_of_another_version_is_refused_with_both_named(registry, version):
    with registry.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
    with pytest.raises(
        RepositoryVersionError, match=f"has schema {version}; this version of SkyButler reads {SCHEMA_VERSION}"
    ):
        Registry.open(registry.database.path)


@pytest.mark.parametrize("writeable", [True, False])
@pytest.mark.parametrize("content", [b"", b"this is no database at all" * 100])
def test_a_file_that_is_no_registry_is_refused_and_left_as_it_is(tmp_path, content, writeable):
    file = tmp_path / "some.sqlite3"
    file.write_bytes(content)
    with pytest.raises(RepositoryVersionError, match="holds no SkyButler registry"):
        Registry.open(file, writeable=writeable)
    if content:
        assert file.read_bytes() == content


def test_a_database_that_is_not_there_is_not_made_by_opening_it(tmp_path):
    with pytest.raises(RepositoryNotFoundError, match="is not there"):
        Registry.open(tmp_path / "none.sqlite3")
    assert list(tmp_path.iterdir()) == []


def test_names_of_tag_tables_are_short_and_tell_groups_apart():
    universe = default_universe()
    names = {
        tag_table_name(universe.conform(group))
        for group in (
            [], ["visit"], ["visit", "detector"], ["exposure", "detector", "physical_filter", "visit_system"],
            ["exposure", "detector", "physical_filter", "visit"],
        )
    }  # fmt: skip
    assert len(names) == 5
    assert max(map(len, names)) <= 44
    assert "tag_instrument_visit_detector" in names
