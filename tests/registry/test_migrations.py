"""Repositories of earlier schemas, kept as they were written, come up to the present one and work."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.butler.repository import migrate_repository
from skybutler.model.datasets import DatasetType
from skybutler.model.errors import RepositoryNotFoundError, RepositoryVersionError
from skybutler.registry.schema import SCHEMA_VERSION

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
    assert any(statement.startswith("CREATE TABLE annotation") for statement in statements)
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
        if name.startswith(("calib", "v_calibrations", "annotation", "v_annotations")):
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


def test_a_migrated_repository_keeps_what_it_has_and_takes_calibrations(old):
    migrate_repository(old)
    with Butler(old) as butler:
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
    assert "calib_instrument" in tables(old)


def test_what_is_no_registry_is_not_migrated(tmp_path):
    (tmp_path / "skybutler.yaml").write_text("version: 1\nregistry: registry.sqlite3\n")
    with pytest.raises(RepositoryNotFoundError, match="is not there"):
        migrate_repository(tmp_path)
    for content in (b"", b"no database at all" * 100):
        (tmp_path / "registry.sqlite3").write_bytes(content)
        with pytest.raises(RepositoryVersionError, match="holds no SkyButler registry"):
            migrate_repository(tmp_path)
