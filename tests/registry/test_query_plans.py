"""Queries on many rows use indexes, on every database: no table that grows is read as a whole."""

import re

import pytest

from skybutler import Butler, DatasetRef, DatasetType, Region, Timespan

VISITS, DETECTORS, RUNS = 2000, 6, 4
MINUTE = 60 * 10**9
HOURS = [Timespan(hour * 60 * MINUTE, (hour + 1) * 60 * MINUTE) for hour in range(1000)]
GROWING = ("tag_", "calib_", "dataset", "stored_file", "visit", "visit_detector_region", "patch", "exposure")
"""Tables, or beginnings of their names, that hold more rows the larger a repository is."""


@pytest.fixture(scope="module")
def butler(backend, tmp_path_factory):
    """Visits along a strip of the sky, a ``note`` of each of their detectors in one of 4 RUNs, biases of every hour."""
    root = tmp_path_factory.mktemp("plans") / "repo"
    butler = Butler.create(root, registry=None if backend.is_sqlite else backend.new())
    insert, cam = butler.insert_dimension_records, {"instrument": "Cam"}
    insert("instrument", [{"name": "Cam"}])
    insert("physical_filter", [cam | {"name": "F", "band": "r"}])
    insert("day_obs", [cam | {"id": 20250101}])
    insert("detector", [cam | {"id": d} for d in range(DETECTORS)])
    fixed = cam | {"physical_filter": "F", "day_obs": 20250101}
    spans = [Timespan(v * MINUTE, v * MINUTE + MINUTE // 2) for v in range(VISITS)]
    insert("visit", [fixed | {"id": v, "name": f"v{v}", "timespan": spans[v], "exposure_time": float(v),
                              "region": Region.box(v * 0.15, 0, 0.2, 0.2)} for v in range(VISITS)])  # fmt: skip
    insert("visit_detector_region", [
        cam | {"visit": v, "detector": d, "region": Region.box(v * 0.15 + d * 0.03, 0, 0.02, 0.2)}
        for v in range(VISITS) for d in range(DETECTORS)
    ])  # fmt: skip
    insert("skymap", [{"name": "S"}])
    insert("tract", [{"skymap": "S", "id": 0, "region": Region.box(150, 0, 300, 2)}])
    insert("patch", [{"skymap": "S", "tract": 0, "id": p, "cell_x": p, "cell_y": 0,
                      "region": Region.box(p * 0.15, 0, 0.15, 0.5)} for p in range(VISITS)])  # fmt: skip
    butler.register_dataset_type(DatasetType("note", ["visit", "detector"], "Dict"))
    butler.register_dataset_type(DatasetType("bias", ["instrument", "detector"], "Dict", True), replace=True)
    runs = [f"run{i}" for i in range(RUNS)]
    for i, run in enumerate(runs):
        butler.collections.register(run)
        refs = [DatasetRef(butler.dataset_type("note"), cam | {"visit": v, "detector": d}, run)
                for v in range(i, VISITS, RUNS) for d in range(DETECTORS)]  # fmt: skip
        butler.registry.datasets.insert([(ref, None) for ref in refs])
    butler.collections.register("chain", "CHAINED")
    butler.collections.redefine_chain("chain", runs)
    butler.collections.register("calib", "CALIBRATION")
    cached, tables = butler.registry.catalog, butler.registry.tables
    rows = []
    for run in ("bias0", "bias1"):
        butler.collections.register(run)
        refs = [DatasetRef(butler.dataset_type("bias"), cam | {"detector": d}, run) for d in range(DETECTORS)]
        butler.registry.datasets.insert([(ref, None) for ref in refs])
        butler.collections.certify("calib", refs, HOURS[run == "bias1"])
        rows += [
            {"dataset_type_id": cached.type_ids["bias"], "collection_id": cached.collections["calib"].id,
             "dataset_id": ref.id, **ref.data_id, "timespan_begin": span.begin_ns, "timespan_end": span.end_ns}
            for ref in refs for span in HOURS[2 + (run == "bias1") :: 2]
        ]  # fmt: skip
    with butler.registry.database.write() as connection:
        calib = tables.calib(butler.dataset_type("bias").dimensions)
        butler.registry.database.insert_rows(connection, calib, rows)
        if not backend.is_sqlite:  # where the server does so by itself, in a while
            connection.exec_driver_sql("ANALYZE")
    yield butler
    butler.close()


def steps(butler, query) -> list[str]:
    """Return what the database says it does for a query."""
    database, made = butler.registry.database, query._plan()
    explain = "EXPLAIN QUERY PLAN" if database.dialect_name == "sqlite" else "EXPLAIN"
    cursor = database.run(f"{explain} {made.statement.sql}", made.statement.parameters(made.values))
    return [str(row[-1]) for row in cursor.fetchall()]


def read_whole(butler, query) -> list[str]:
    """Return the steps that read a growing table from its first row to its last."""
    found = []
    for step in steps(butler, query):
        table = re.match(r"SCAN (\w+)(?! USING INDEX)|.*Seq Scan on (\w+)", step)
        name = table and (table[1] or table[2])
        if name and name.startswith(GROWING):
            found.append(step)
    return found


@pytest.mark.parametrize(
    "ask",
    [
        lambda b: b.query_datasets("note", "run1", where="instrument = 'Cam' AND visit = 5 AND detector = 3"),
        lambda b: b.query_datasets("note", "run1", where="visit = 5"),
        lambda b: b.query_datasets("note", "run1", visit=5),
        lambda b: b.query_datasets("note", "run1", where="visit IN (5, 9, 13) AND detector < 3"),
        lambda b: b.query_datasets("note", "chain", where="visit = 5"),
        lambda b: b.query_datasets("note", "chain", where="visit = 5", find_first=False),
        lambda b: b.query_datasets("note", "chain", where="visit = 5 OR visit = 6"),
        lambda b: b.query_datasets("note", "chain", where="visit = 5 AND visit.exposure_time > 3"),
        lambda b: b.query_datasets("bias", "calib", where="visit = 5 AND detector = 3"),
        lambda b: b.query_datasets("bias", "calib", instrument="Cam", detector=3, find_first=False),
        lambda b: b.query_dimension_records("visit", where="visit = 5"),
        lambda b: b.query_dimension_records("visit_detector_region", where="visit = 5"),
        lambda b: b.query_data_ids(["patch"], where="visit = 5 AND detector = 3", instrument="Cam", skymap="S"),
        lambda b: b.query_datasets("note", "run1", where="tract = 0 AND patch = 9 AND skymap = 'S'", instrument="Cam"),
    ],
    ids=[
        "find", "one visit", "one visit by keyword", "three visits", "a visit in a chain", "all of a visit in a chain",
        "either of two visits", "a visit and its record", "the calibration of a visit", "validities of a detector",
        "a record", "records of a relation", "patches of a detector", "datasets in a patch",
    ],
)  # fmt: skip
def test_what_grows_is_never_read_whole(butler, ask):
    query = ask(butler)
    assert query.any()
    assert read_whole(butler, query) == [], steps(butler, query)


@pytest.mark.parametrize("region", ["CIRCLE(45, 0, 0.1)", "POINT(45, 0)", "BOX(45, 0, 0.2, 0.1)"])
def test_regions_are_found_by_their_pixels(butler, region):
    visits = butler.query_dimension_records("visit", where=f"visit.region OVERLAPS {region}")
    pairs = butler.query_data_ids(["visit", "detector"], where=f"visit_detector_region.region OVERLAPS {region}")
    for query in (visits, pairs):
        assert 0 < query.count() < 30
        # The records of these few may be looked up, or all be read: the database knows what is less.
        assert not any("_pixels" in step for step in read_whole(butler, query))


def test_the_check_itself_tells_a_table_that_is_read_whole(butler):
    assert read_whole(butler, butler.query_dimension_records("visit", where="visit.exposure_time > 1990"))


def test_a_find_first_over_a_chain_gives_what_each_run_has(butler):
    found = butler.query_datasets("note", "chain", where="visit IN (4..7) AND detector = 0", order_by="visit")
    assert [ref.run for ref in found] == ["run0", "run1", "run2", "run3"]
    valid = butler.query_datasets("bias", "calib", where="visit IN (59, 60, 61) AND detector = 0")
    assert sorted(ref.run for ref in valid) == ["bias0", "bias1"]
