"""Many catalogs are read as one table: by columns, row filters and data IDs."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from skybutler.butler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.model.errors import (
    DatasetNotFoundError,
    FileFormatError,
    FileIntegrityError,
    InvalidQueryError,
    StorageClassError,
)
from skybutler.testing.small_repository import fill_repository

IDS = [(visit, detector) for visit in (1, 2, 3, 4) for detector in (0, 1, 2)]


def catalog(visit: int, detector: int) -> pd.DataFrame:
    flux = np.arange(10.0) + 100 * visit + 10 * detector
    return pd.DataFrame({"source": np.arange(10) + 1000 * visit, "flux": flux, "shape": list(np.ones((10, 2)) * visit)})


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Butler:
    """A repository with 12 catalogs, that no test changes."""
    with Butler.create(tmp_path_factory.mktemp("analytics") / "repo", registry=None) as butler:
        fill_repository(butler)
        butler.register_dataset_type(DatasetType("stars", ["visit", "detector"], "DataFrame"))
        for visit, detector in IDS:
            butler.put("stars", catalog(visit, detector), visit=visit, detector=detector, run="r")
        butler.collections.prepend_chain("defaults", "r")
        yield butler


@pytest.fixture
def own(tmp_path):
    """A repository of a test's own, without datasets."""
    with Butler.create(tmp_path / "repo") as butler:
        fill_repository(butler)
        butler.register_dataset_type(DatasetType("stars", ["visit", "detector"], "ArrowTable"))
        yield butler


def put(butler: Butler, table: pa.Table, visit: int = 1, detector: int = 0):
    return butler.put("stars", table, visit=visit, detector=detector)


def test_all_catalogs_are_one_table_with_their_data_ids(shelf):
    table = shelf.query_datasets("stars", order_by=["visit", "detector"]).read()
    assert table.column_names == ["instrument", "visit", "detector", "source", "flux", "shape"]
    assert table.num_rows == 120
    assert table.schema.field("instrument").type == pa.dictionary(pa.int32(), pa.string())
    expected = pd.concat([catalog(*each).assign(visit=each[0], detector=each[1]) for each in IDS])
    for name in ("visit", "detector", "source", "flux"):
        np.testing.assert_array_equal(table[name].to_numpy(), expected[name])
    assert set(table["instrument"].to_pylist()) == {shelf.instrument or table["instrument"][0].as_py()}


def test_the_registry_prunes_files_and_filters_prune_rows(shelf):
    query = shelf.query_datasets("stars", where="visit > 2")
    table = query.read(columns=["flux", "sou*"], filters="flux > 400 AND detector = 1")
    assert table.column_names == ["instrument", "visit", "detector", "flux", "source"]
    assert table["flux"].to_pylist() == [410.0 + i for i in range(10)]
    assert set(table["visit"].to_pylist()) == {4}
    assert query.limit(1).read().num_rows == 10
    assert query.where("detector = 0").read(filters=[("visit", "in", [4])]).num_rows == 10
    assert query.read(filters=pc.field("flux") < 0).num_rows == 0
    assert query.read(filters="instrument = 'nowhere'").num_rows == 0


def test_data_id_columns_are_chosen(shelf):
    query = shelf.query_datasets("stars", where="visit = 1 AND detector = 0")
    assert query.read("flux", data_id=False).column_names == ["flux"]
    assert query.read("flux", data_id="band").column_names == ["band", "flux"]
    table = query.read("flux", data_id=["band", "visit", "run", "dataset_id"])
    assert table.column_names == ["band", "visit", "run", "dataset_id", "flux"]
    (ref,) = query
    row = table.slice(0, 1).to_pylist()[0]
    assert (row["run"], row["dataset_id"], row["visit"]) == ("r", str(ref.id), 1)
    (visit,) = shelf.query_data_ids(["visit"], where="visit = 1")
    assert row["band"] == visit["band"]
    with pytest.raises(InvalidQueryError, match=r"no data-ID column 'visitt'\. Did you mean 'visit'"):
        query.read(data_id=["visitt"])


def test_a_data_frame_has_arrays_and_categories(shelf):
    frame = shelf.query_datasets("stars", where="detector = 2", order_by="visit").read_pandas()
    assert frame["shape"][0].tolist() == [1.0, 1.0]
    assert frame["instrument"].dtype == "category"
    assert frame.groupby("visit")["flux"].count().to_dict() == {1: 10, 2: 10, 3: 10, 4: 10}


def test_batches_and_datasets_are_read_when_they_are_asked(shelf):
    query = shelf.query_datasets("stars")
    assert sum(batch.num_rows for batch in query.batches("flux", "flux < 200")) == 30
    dataset = query.dataset()
    assert dataset.schema.names[:4] == ["instrument", "visit", "detector", "source"]
    assert dataset.count_rows(filter=pc.field("visit") == 2) == 30
    assert len(list(dataset.get_fragments(filter=pc.field("visit") == 2))) == 3


def test_polars_reads_the_dataset_lazily(shelf):
    pl = pytest.importorskip("polars")
    lazy = pl.scan_pyarrow_dataset(shelf.query_datasets("stars").dataset())
    assert lazy.filter(pl.col("flux") > 425).select("visit", "flux").collect().height == 4


def test_duckdb_asks_the_catalogs_in_sql(shelf):
    duckdb = pytest.importorskip("duckdb")
    stars = shelf.query_datasets("stars").relation()
    rows = stars.filter("flux > 400 AND instrument IS NOT NULL").aggregate("visit, count(*) AS n", "visit").fetchall()
    assert rows == [(4, 29)]
    with duckdb.connect() as connection:
        mine = shelf.query_datasets("stars", where="visit = 1").relation(connection)
        assert mine.query("s", "SELECT sum(flux) FROM s WHERE detector = 0").fetchall() == [(1045.0,)]


def test_nothing_found_is_said(shelf):
    with pytest.raises(DatasetNotFoundError, match=r"finds no dataset; its explain\(\)"):
        shelf.query_datasets("stars", where="visit = 99").read()


def test_what_is_no_table_is_refused(own):
    own.register_dataset_type(DatasetType("note", ["visit"], "Dict"))
    with pytest.raises(StorageClassError, match="'note' is of storage class Dict"):
        own.query_datasets("note").read()


def test_unknown_columns_and_wrong_filters_are_told(shelf):
    query = shelf.query_datasets("stars")
    with pytest.raises(InvalidQueryError, match=r"no column 'flix'\. Did you mean 'flux'"):
        query.read("flix")
    for wrong in ("flix > 1", "flux > 'a'", "flux >", [("flux", "~", 1)]):
        with pytest.raises(InvalidQueryError):
            query.read(filters=wrong)
    with pytest.raises(InvalidQueryError):
        list(query.batches(filters="flux > 'a'"))


def test_catalogs_that_differ_are_named_or_filled(own):
    put(own, pa.table({"a": [1, 2], "b": [1.0, 2.0]}), 1)
    second = put(own, pa.table({"a": pa.array([3], pa.int32()), "c": ["x"]}), 2)
    query = own.query_datasets("stars", order_by="visit")
    with pytest.raises(
        StorageClassError, match=rf"column 'a' is int32 in .*visit: 2.*{second.run}.*int64 in .*visit: 1"
    ):
        query.read("a")
    with pytest.raises(StorageClassError, match=r"visit: 2.* has no column 'b', which .*visit: 1.* has"):
        query.read("b")
    with pytest.raises(StorageClassError, match=r"visit: 1.* has no column 'c', which .*visit: 2.* has"):
        query.read(columns="visit", filters="c = 'x'")
    filled = query.read(["a", "b", "c"], fill_missing=True, data_id=["visit"])
    assert filled.to_pydict() == {
        "visit": [1, 1, 2], "a": [1, 2, 3], "b": [1.0, 2.0, None], "c": [None, None, "x"],
    }  # fmt: skip
    assert query.dataset(fill_missing=True).count_rows() == 3
    put(own, pa.table({"a": ["text"]}), 3)
    with pytest.raises(StorageClassError, match="visit: 3"):
        own.query_datasets("stars").read("a", fill_missing=True)


def test_only_columns_that_are_read_must_be_the_same(own):
    put(own, pa.table({"a": [1], "b": [1.0]}), 1)
    put(own, pa.table({"a": [2], "b": ["text"]}), 2)
    assert own.query_datasets("stars").read("a", "a > 0")["a"].to_pylist() == [1, 2]


def test_a_column_of_the_catalogs_own_goes_before(own):
    put(own, pa.table({"visit": [7, 8], "a": [1, 2]}), 1)
    table = own.query_datasets("stars").read(filters="visit = 7")
    assert table.column_names == ["instrument", "detector", "visit", "a"]
    assert table["visit"].to_pylist() == [7]


def test_files_that_are_gone_cut_or_garbled_are_named(own):
    refs = [put(own, pa.table({"a": np.arange(100)}), visit) for visit in (1, 2, 3)]
    query = own.query_datasets("stars")
    path = own.datastore.path(own.registry.datasets.files(refs[1].id)[0])
    whole = path.read_bytes()
    path.write_bytes(b"x" * len(whole))
    with pytest.raises(FileFormatError, match=r"stars .*visit: 2"):
        query.read()
    path.write_bytes(whole[:-1])
    with pytest.raises(FileIntegrityError, match=r"stars .*visit: 2.*bytes"):
        query.read()
    path.unlink()
    with pytest.raises(FileIntegrityError, match=r"stars .*visit: 2.*gone"):
        query.dataset()
    assert query.where("visit <> 2").read().num_rows == 200


def test_row_groups_that_cannot_match_are_not_read(own):
    path = own.root / "big.parquet"
    pq.write_table(pa.table({"a": np.arange(100_000)}), path, row_group_size=1000)
    from skybutler import DatasetRef, FileDataset

    data_id = {"instrument": own.query_data_ids("instrument").to_pandas()["instrument"][0], "visit": 1, "detector": 0}
    own.ingest([FileDataset(path, [DatasetRef(own.dataset_type("stars"), data_id, "user")])], transfer="direct")
    dataset = own.query_datasets("stars").dataset()
    (fragment,) = dataset.get_fragments(filter=pc.field("a") == 500)
    assert len(fragment.split_by_row_group(pc.field("a") == 500)) == 1
    assert own.query_datasets("stars").read(filters="a = 500").num_rows == 1


def test_a_butler_opens_no_table_library_before_it_reads(shelf):
    code = (
        "import sys; from skybutler import Butler\n"
        f"b = Butler({str(shelf.root)!r}); list(b.query_datasets('stars').where('visit = 1'))\n"
        "print(sorted({'pyarrow', 'pandas', 'duckdb', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
