"""The documented views in other people's tools: sqlite3, pandas, Datasette, psycopg."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
import yaml

from skybutler import DatasetType, Timespan

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()


@pytest.fixture
def filled(butler):
    """Notes of two visits, and a bias that is certified."""
    butler.register_dataset_type(DatasetType("bias", ["detector"], "Dict", is_calibration=True), replace=True)
    for visit in (1, 2):
        butler.put("note", {"visit": visit}, visit=visit, detector=0)
    bias = butler.put("bias", {}, detector=1)
    butler.collections.register("calib", "CALIBRATION")
    butler.collections.certify("calib", [bias], Timespan.from_isot("2025-01-01", None))
    return butler


def columns_documented() -> dict[str, list[str]]:
    """Return the columns that the documentation gives of each view."""
    found = {}
    for name, columns in re.findall(r"^\| `(v_\w+|v_<type>)`[^|]*\|[^|]*\| ([^|]*) \|$", DOCUMENTED, re.MULTILINE):
        plain = re.sub(r"\([^)]*\)", "", columns.replace("one column a dimension", "DIMENSIONS"))
        found[name] = [column.strip() for column in plain.split(",")]
    return found


@pytest.mark.sqlite
def test_views_have_the_columns_that_are_documented(filled):
    documented = columns_documented()
    assert {"v_datasets", "v_<type>", "v_collections", "v_calibrations", "v_quanta"} <= set(documented)
    with closing(sqlite3.connect(filled.root / "registry.sqlite3")) as connection:
        for view, columns in documented.items():
            name = "v_note" if view == "v_<type>" else view
            found = [column[0] for column in connection.execute(f"SELECT * FROM {name} LIMIT 0").description]
            if view == "v_<type>":
                at = columns.index("DIMENSIONS")
                columns[at : at + 1] = ["instrument", "visit", "detector"]
            assert found == columns, view


@pytest.mark.sqlite
def test_pandas_reads_views_with_their_types(filled):
    with closing(sqlite3.connect(filled.root / "registry.sqlite3")) as connection:
        notes = pd.read_sql("SELECT * FROM v_note ORDER BY visit", connection, parse_dates=["ingest_date"])
        spans = pd.read_sql("SELECT * FROM v_calibrations", connection, parse_dates=["begin_date"])
        sizes = pd.read_sql("SELECT dataset_type, sum(size) AS bytes FROM v_datasets GROUP BY 1 ORDER BY 1", connection)
    assert notes["visit"].tolist() == [1, 2]
    assert pd.api.types.is_datetime64_any_dtype(notes["ingest_date"])
    assert spans["begin_date"][0] == pd.Timestamp("2025-01-01")
    assert spans["end_date"].isna().all()
    assert json.loads(spans["data_id"][0])["detector"] == 1
    assert sizes["dataset_type"].tolist() == ["bias", "note"]
    assert (sizes["bytes"] > 0).all()


@pytest.mark.sqlite
def test_every_example_of_the_documentation_runs(filled):
    filled.register_dataset_type(DatasetType("calexp", ["visit", "detector"], "Dict"), replace=True)
    examples = re.search(r"```sql\n(.*?)```", DOCUMENTED, re.DOTALL)[1].split(";")
    assert len([e for e in examples if e.strip()]) >= 3
    for example in filter(str.strip, examples):
        filled.sql(example)
        with closing(sqlite3.connect(filled.root / "registry.sqlite3")) as connection:
            connection.execute(example).fetchall()


@pytest.mark.sqlite
def test_datasette_shows_a_repository(filled):
    def get(path: str) -> object:
        command = [sys.executable, "-W", "ignore", "-m", "datasette", filled.root / "registry.sqlite3", "--get", path]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)

    listed = get("/registry.json")
    assert {"v_note", "v_bias", "v_datasets", "v_collections", "v_calibrations", "v_quanta"} <= {
        view["name"] for view in listed["views"]
    }
    rows = get("/registry/v_note.json?visit=2&_shape=array")
    assert [(row["collection"], row["instrument"], row["visit"]) for row in rows] == [("user", "SmallCam", 2)]
    asked = get("/registry.json?sql=select+count(*)+as+n+from+v_datasets&_shape=array")
    assert asked == [{"n": 3}]


@pytest.mark.on_postgresql
def test_psycopg_and_pandas_read_views_on_postgresql(filled):
    import psycopg
    import sqlalchemy as sa

    url, _, schema = yaml.safe_load((filled.root / "skybutler.yaml").read_text())["registry"].partition("schema=")
    url = url.rstrip("&?").replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url) as connection:
        connection.execute(f'SET search_path TO "{schema}"')
        assert connection.execute("SELECT collection, visit FROM v_note ORDER BY visit").fetchall() == [
            ("user", 1), ("user", 2),
        ]  # fmt: skip
        assert (
            connection.execute("SELECT begin_date, end_date FROM v_calibrations").fetchone()[0].startswith("2025-01-01")
        )
        names = [column.name for column in connection.execute("SELECT * FROM v_datasets").description]
        assert names == columns_documented()["v_datasets"]
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    frame = pd.read_sql(f'SELECT * FROM "{schema}".v_note ORDER BY visit', engine)
    engine.dispose()
    assert frame["visit"].tolist() == [1, 2]
