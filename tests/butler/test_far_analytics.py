"""Many catalogs that are not on this machine are read as one: of a bucket, of the web, and of a zip bundle."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, DatasetType, FileDataset
from skybutler.model.errors import FileFormatError, StoreUnavailableError
from skybutler.testing.bad_network import cutting_proxy, web_server

IDS = [(visit, detector) for visit in (1, 2) for detector in (0, 1)]
ROWS = 150_000
"""So many that a file is too large to be fetched whole."""


def catalog(visit: int, detector: int, rows: int = ROWS) -> pa.Table:
    rng = np.random.default_rng([visit, detector])
    numbers = np.arange(rows) + rows * detector
    return pa.table({"number": numbers, "flux": rng.random(rows), "more": rng.random(rows), "dot.ted": numbers * visit})


def fill_catalogs(butler: Butler, rows: int = ROWS) -> None:
    butler.register_dataset_type(DatasetType("sources", ["visit", "detector"], "ArrowTable"))
    for visit, detector in IDS:
        butler.put("sources", catalog(visit, detector, rows), visit=visit, detector=detector)


@pytest.fixture(params=["s3", "web", "zip"])
def far(request, tmp_path, stored_at) -> Butler:
    """A repository of catalogs that are in a bucket, on the web, or in a bundle of this machine."""
    if request.param == "s3":
        with stored_at(tmp_path / "repo", request.getfixturevalue("bucket").place()) as butler:
            fill_catalogs(butler)
            yield butler
        return
    with stored_at(tmp_path / "repo") as butler:
        fill_catalogs(butler)
        refs = list(butler.query_datasets("sources"))
        if request.param == "zip":
            bundle = butler.retrieve_zip(refs, tmp_path / "all.zip")
            butler.remove_datasets(refs, purge=True)
            butler.ingest_zip(bundle)
            yield butler
            return
        files = {f"{ref.id}.parquet": Path(butler.get_uri(ref)[7:]).read_bytes() for ref in refs}
        with web_server(files) as web:
            butler.remove_datasets(refs, purge=True)
            again = [DatasetRef(ref.dataset_type, ref.data_id, ref.run) for ref in refs]
            given = [FileDataset(f"{web.url}/{old.id}.parquet", [new]) for old, new in zip(refs, again, strict=True)]
            butler.ingest(given, "direct")
            yield butler


def test_columns_and_rows_of_many_are_read(far):
    query = far.query_datasets("sources", order_by=["visit", "detector"])
    table = query.read(columns=["flux", "dot.ted"], filters=f"number < {ROWS + 10} AND visit = 2")
    assert table.column_names == ["instrument", "visit", "detector", "flux", "dot.ted"]
    wanted = pa.concat_tables([catalog(2, 0), catalog(2, 1).slice(0, 10)])
    assert table.select(["flux", "dot.ted"]).equals(wanted.select(["flux", "dot.ted"]))
    assert query.read(filters=pc.field("flux") < 2, columns="number").num_rows == ROWS * 4
    assert sum(batch.num_rows for batch in query.batches(columns="number", filters="detector = 1")) == 2 * ROWS
    assert query.read_pandas("number", "detector > 5").empty


def test_datasets_and_relations_are_whole(far):
    pytest.importorskip("duckdb")
    query = far.query_datasets("sources", where="visit = 1")
    dataset = query.dataset()
    assert dataset.count_rows() == 2 * ROWS
    again = dataset.to_table(columns=["more", "detector"], filter=pc.field("detector") == 1)
    assert again["more"].to_numpy().tobytes() == catalog(1, 1)["more"].to_numpy().tobytes()
    found = query.relation().aggregate("detector, max(number) AS most", "detector").order("detector").fetchall()
    assert found == [(detector, ROWS * (detector + 1) - 1) for detector in range(2)]


def test_only_what_is_asked_for_is_fetched(bucket, tmp_path, stored_at):
    with cutting_proxy(bucket.port) as proxy:
        place = bucket.place() | {"endpoint": proxy.url, "retries": 0}
        with stored_at(tmp_path / "repo", place) as butler:
            fill_catalogs(butler)
            query = butler.query_datasets("sources")
            whole = sum(butler.registry.datasets.files(ref.id)[0].size for ref in query)
            proxy.received = 0
            assert query.read("flux").num_rows == 4 * ROWS
            assert proxy.received < whole * 0.4
            proxy.received = 0
            assert query.read("flux", "number < 10").num_rows == 20  # of two files; the others' statistics say no
            assert proxy.received < whole * 0.6
            proxy.down = 300_000
            with pytest.raises(StoreUnavailableError, match=r"s3://.*sources.*cannot be read"):
                query.read("more")


def test_a_far_file_that_is_no_parquet_is_named(bucket, tmp_path, stored_at):
    with stored_at(tmp_path / "repo", bucket.place()) as butler:
        butler.register_dataset_type(DatasetType("sources", ["visit", "detector"], "ArrowTable"))
        for number, data in enumerate((b"no Parquet at all", b"PAR1" * 600_000, b"PAR")):
            (tmp_path / "bad.parquet").write_bytes(data)
            ref = DatasetRef(
                butler.dataset_type("sources"), {"instrument": "SmallCam", "visit": 1, "detector": 0}, f"u/{number}"
            )
            butler.ingest([FileDataset(tmp_path / "bad.parquet", [ref])], "copy")
            with pytest.raises(FileFormatError, match=r"sources.* cannot be read"):
                butler.query_datasets("sources", collections=ref.run).read()
            with pytest.raises(FileFormatError, match="not a Parquet file"):
                butler.get(ref, component="rowcount")


def test_a_process_that_leaves_a_scan_unfinished_ends(tmp_path, stored_at):
    """Arrow's threads go on reading then; they must not need the interpreter, which is gone."""
    with stored_at(tmp_path / "repo") as butler:
        fill_catalogs(butler, 20_000)
        refs = list(butler.query_datasets("sources"))
        bundle = butler.retrieve_zip(refs, tmp_path / "all.zip")
        butler.remove_datasets(refs, purge=True)
        butler.ingest_zip(bundle)
    code = (
        "import sys\n"
        "from skybutler.butler.butler import Butler\n"
        "query = Butler(sys.argv[1]).query_datasets('sources')\n"
        "next(query.batches())\n"
        "query.dataset().head(1)\n"
        "query.dataset().scanner().to_reader().read_next_batch()\n"
    )
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "repo")],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
