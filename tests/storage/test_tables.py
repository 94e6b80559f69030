"""Tables of every kind as Parquet, and back as any other."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from skybutler.model.datasets import DatasetRef, DatasetType, FileDataset
from skybutler.model.errors import FileFormatError, InvalidQueryError, StorageClassError
from skybutler.model.storage_class import storage_class, storage_class_for
from skybutler.storage.atomic import FolderFlushes
from skybutler.storage.datastore import Datastore
from skybutler.storage.tables import from_arrow, to_arrow

KINDS = ("ArrowTable", "DataFrame", "AstropyTable", "NumpyRecords")
REF = DatasetRef(DatasetType("src", ["visit"], "ArrowTable"), {"instrument": "Cam", "visit": 3}, "run")


@pytest.fixture
def datastore(tmp_path: Path) -> Datastore:
    return Datastore(tmp_path)


def through_file(datastore: Datastore, obj, read_as: str, **parameters):
    stored = datastore.write(obj, REF, storage_class_for(obj))
    return datastore.read(stored, storage_class(read_as), parameters=parameters)


def rich_table() -> Table:
    table = Table(
        {
            "id": np.arange(4, dtype=np.int64) + 2**60,
            "flux": np.array([1.5, np.nan, -3.0, 0.0], np.float32),
            "flag": np.array([True, False, True, False]),
            "name": np.array(["a", "bb", "", "ü"]),
            "shape": np.arange(24, dtype=np.float64).reshape(4, 2, 3),
            "big": np.arange(4, dtype=">i4"),
        },
        meta={"origin": "here", "list": [1, 2]},
        descriptions={"flux": "calibrated flux"},
    )
    table["flux"].unit = "nJy"
    table["count"] = MaskedColumn([1, 2, 3, 4], mask=[0, 1, 0, 0], dtype=np.int32)
    table["error"] = MaskedColumn([1.0, 2.0, 3.0, 4.0], mask=[0, 0, 1, 0])
    table["bit"] = MaskedColumn([True, False, True, False], mask=[0, 0, 0, 1])
    table["word"] = MaskedColumn(["x", "y", "z", "w"], mask=[1, 0, 0, 0])
    return table


def assert_equals_rich(table: Table):
    expected = rich_table()
    assert table.colnames == expected.colnames
    for name in expected.colnames:
        np.testing.assert_array_equal(np.ma.getmaskarray(table[name]), np.ma.getmaskarray(expected[name]), name)
        good = ~np.ma.getmaskarray(expected[name])
        np.testing.assert_array_equal(np.asarray(table[name])[good], np.asarray(expected[name])[good], name)
        assert table[name].dtype.newbyteorder("=") == expected[name].dtype.newbyteorder("="), name
        assert table[name].unit == expected[name].unit
        assert table[name].description == expected[name].description
    assert table.meta == expected.meta


@pytest.mark.parametrize("way", [(), ("ArrowTable",), ("DataFrame",), ("DataFrame", "ArrowTable", "DataFrame")])
def test_units_descriptions_metadata_masks_and_shapes_survive_every_trip(datastore, way):
    table = rich_table()
    for kind in way:
        table = through_file(datastore, table, kind)
    assert_equals_rich(through_file(datastore, table, "AstropyTable"))


def test_numpy_records_keep_values_masks_shapes_and_widths(datastore):
    records = through_file(datastore, rich_table(), "NumpyRecords")
    again = through_file(datastore, records, "NumpyRecords")
    assert again.dtype == records.dtype
    assert again.dtype["shape"].shape == (2, 3)
    assert isinstance(again, np.ma.MaskedArray)
    assert again["count"].mask.tolist() == [False, True, False, False]
    wide = np.array([("a",), ("b",)], dtype=[("s", "U7")])
    assert through_file(datastore, wide, "NumpyRecords").dtype == wide.dtype


def test_pandas_indexes_and_types_survive(datastore):
    index = pd.MultiIndex.from_tuples([("g", 1), ("r", 2)], names=["band", None])
    frame = pd.DataFrame({"a": [1, 2], "b": pd.array([None, 3], "Int64"), "c": pd.Categorical(["x", "y"])}, index=index)
    frame["t"] = pd.to_datetime(["2019-05-03", "2020-01-01"])
    frame["s"] = pd.array([None, None], dtype="string")
    frame.attrs = {"units": {"a": "nJy"}, "who": "me"}
    pd.testing.assert_frame_equal(through_file(datastore, frame, "DataFrame"), frame)
    assert through_file(datastore, frame, "DataFrame").attrs == frame.attrs
    assert through_file(datastore, frame, "AstropyTable")["a"].unit == units.nJy
    columns = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("b", "y")]))
    pd.testing.assert_frame_equal(through_file(datastore, columns, "DataFrame"), columns)
    part = through_file(datastore, frame, "DataFrame", columns="b")
    pd.testing.assert_frame_equal(part, frame[["b"]])


def test_mixin_columns_and_qtables_survive(datastore):
    table = QTable({"flux": [1, 2] * units.nJy, "time": Time(["2019-05-03T01:02:03.123456789", "2020-01-01"])})
    table["coord"] = SkyCoord([1, 2], [3, 4], unit="deg")
    again = through_file(datastore, table, "AstropyTable")
    assert isinstance(again, QTable)
    assert (again["flux"] == table["flux"]).all()
    assert (again["time"] == table["time"]).all()
    assert (again["coord"].ra == table["coord"].ra).all()


def test_arrow_tables_come_back_as_they_were(datastore):
    table = pa.table(
        {
            "struct": [{"a": 1}, None],
            "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int32())),
            "nothing": pa.nulls(2),
            "lists": [[1], [2, 3]],
            "fixed": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)),
            "small": pa.array([1, None], pa.uint8()),
        }
    )
    again = through_file(datastore, table, "ArrowTable")
    assert again.drop_columns([]).schema.equals(table.schema)
    assert again.to_pylist() == table.to_pylist()
    assert through_file(datastore, again.slice(0, 1), "ArrowTable").schema.metadata[b"lsst::arrow::rowcount"] == b"1"
    assert through_file(datastore, table.select(["nothing", "fixed"]), "AstropyTable")["fixed"].shape == (2, 2)
    assert len(through_file(datastore, table, "DataFrame")) == 2


def test_empty_tables_keep_their_columns(datastore):
    for kind in KINDS:
        empty = through_file(datastore, rich_table()[:0], kind)
        assert len(empty) == 0
        assert through_file(datastore, empty, "ArrowTable").column_names == rich_table().colnames


def test_the_object_given_is_never_changed(datastore):
    table = rich_table()
    datastore.write(table, REF, storage_class("AstropyTable"))
    assert_equals_rich(table)
    frame = pd.DataFrame({"a": [np.zeros(2), np.ones(2)]})
    frame.attrs = {"units": {"a": "s"}}
    datastore.write(frame, REF, storage_class("DataFrame"))
    assert frame.attrs == {"units": {"a": "s"}}
    assert isinstance(frame["a"][0], np.ndarray)


def test_other_readers_see_an_ordinary_file(datastore):
    stored = datastore.write(rich_table(), REF, storage_class("AstropyTable"))
    path = datastore.path(stored)
    assert pd.read_parquet(path)["flux"].dtype == np.float32
    schema = pq.read_schema(path)
    assert schema.field("flux").metadata == {b"unit": b"nJy", b"description": b"calibrated flux"}
    assert schema.metadata[b"lsst::arrow::rowcount"] == b"4"
    assert schema.metadata[b"lsst::arrow::shape::shape"] == b"(2, 3)"
    said = json.loads(schema.metadata[b"skybutler"])
    assert said.pop("metadata") == {"origin": "here", "list": [1, 2]}
    assert said == {
        "dataset_type": "src",
        "data_id": {"instrument": "Cam", "visit": 3},
        "run": "run",
        "id": str(REF.id),
    }


def test_columns_filters_and_rows_read_a_part(datastore):
    table = pa.table({"psf_flux": [1.0, 200.0, 300.0, None], "psf_err": [1, 2, 3, 4], "band": ["g", "r", "i", "g"]})
    stored = datastore.write(table, REF, storage_class("ArrowTable"))

    def read(**parameters):
        return datastore.read(stored, storage_class("ArrowTable"), parameters=parameters)

    assert read(columns=["band", "psf_*"]).column_names == ["band", "psf_flux", "psf_err"]
    assert read(columns="psf_err", rows=slice(1, 3)).to_pydict() == {"psf_err": [2, 3]}
    assert read(rows=slice(None, None, -2))["psf_err"].to_pylist() == [4, 2]
    assert read(rows=slice(9, 10)).num_rows == 0
    for filters in (
        "psf_flux > 100", "PSF_flux > 100".replace("PSF", "psf") + " AND TRUE", [("psf_flux", ">", 100)],
        "band in ('r', 'i')", "band IN ('r', 'i')", "not (band = 'g')", "100 < psf_flux <= 300", "`psf_flux`/2>50",
        [[("band", "==", "r")], [("band", "==", "i")]], "psf_flux IS NOT NULL AND psf_flux <> 1",
        "psf_flux is not None and psf_err != 1", ("psf_flux", ">", 100),
    ):  # fmt: skip
        assert read(columns="psf_err", filters=filters)["psf_err"].to_pylist() == [2, 3], filters
    assert read(filters="psf_flux > 100", rows=slice(1))["psf_err"].to_pylist() == [2]
    with pytest.raises(InvalidQueryError, match=r"no column 'psf_flx'.*'psf_flux'"):
        read(columns="psf_flx")
    with pytest.raises(InvalidQueryError, match="psf_flx"):
        read(filters="psf_flx > 1")
    for hostile in (
        "__import__('os').system('x')",
        "psf_flux.x > 1",
        "psf_flux >",
        "1 if band else 2",
        "",
        7,
        "band > 3",
    ):
        with pytest.raises(InvalidQueryError):
            read(filters=hostile)


def test_components_come_from_the_footer(datastore):
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([3, 4], name="i"))
    stored = datastore.write(frame, REF, storage_class("DataFrame"))
    kind = storage_class("DataFrame")
    assert datastore.read(stored, kind, component="columns") == ["a"]
    assert datastore.read(stored, kind, component="rowcount") == 2
    assert datastore.read(stored, kind, component="schema").names == ["a", "i"]
    with pytest.raises(StorageClassError, match="rowcount"):
        datastore.read(stored, kind, component="row_count")


def test_what_is_no_table_or_no_parquet_is_refused(datastore, tmp_path):
    with pytest.raises(StorageClassError):
        datastore.write({"a": 1}, REF, storage_class("DataFrame"))
    with pytest.raises(StorageClassError):
        datastore.write(np.zeros(3), REF, storage_class("NumpyRecords"))
    with pytest.raises(StorageClassError, match="float128"):
        datastore.write(np.zeros(3, [("z", "g")]), REF, storage_class("NumpyRecords"))
    other = tmp_path / "x.parquet"
    for content in (b"", b"PAR1", b"no parquet" * 100):
        other.write_bytes(content)
        ((stored, _),) = datastore.ingest_files([FileDataset(other, [REF])], "direct", FolderFlushes())
        with pytest.raises(FileFormatError, match=r"x\.parquet"):
            datastore.read(stored, storage_class("ArrowTable"))


DTYPES = st.sampled_from(
    ["?", "i1", "<i2", ">i4", "i8", "u1", "u2", ">u4", "u8", "f4", ">f8", "U5", "M8[ns]", "M8[us]"]
)


@st.composite
def records(draw):
    rows = draw(st.integers(0, 4))
    shapes = st.sampled_from([(), (2,), (2, 3)])
    fields = draw(st.lists(st.tuples(DTYPES, shapes), min_size=1, max_size=4))
    dtype = np.dtype([(f"c{i}", kind, shape) for i, (kind, shape) in enumerate(fields)])
    made = np.zeros(rows, dtype)
    for name in dtype.names:
        part = dtype[name]
        text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
        elements = text if part.base.kind == "U" else None
        made[name] = draw(npst.arrays(part.base, (rows, *part.shape), elements=elements))
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records(), st.lists(st.sampled_from(["ArrowTable", "AstropyTable"]), max_size=2))
def test_any_records_survive_any_way(given_records, way):
    table = to_arrow(given_records)
    for kind in way:
        table = to_arrow(from_arrow(table, kind))
    again = from_arrow(table, "NumpyRecords")
    assert again.dtype.names == given_records.dtype.names
    for name in given_records.dtype.names:
        expected = given_records[name]
        if expected.dtype.kind == "U":
            assert again[name].tolist() == expected.tolist()
        else:
            assert again[name].dtype == expected.dtype.newbyteorder("=")
            np.testing.assert_array_equal(np.ma.getdata(again[name]), expected)


NASTY = {
    "views of text, bytes and lists": lambda: pa.table(
        {
            "text": pa.array(["a", None], pa.string_view()),
            "list": pa.array([[1], None], pa.list_view(pa.int8())),
            "nested": pa.array([[{"a": "x"}], []], pa.list_(pa.struct([("a", pa.string_view())]))),
        }
    ),
    "runs": lambda: pa.table({"r": pc.run_end_encode(pa.array([1, 1, 2]))}),
    "nulls alone": lambda: pa.table({"n": pa.nulls(2), "i": pa.array([None, None], pa.int64())}),
    "no columns": lambda: pa.table({}),
    "no rows": lambda: pa.table({"a": pa.array([], pa.float32()), "s": pa.array([], pa.string())}),
    "odd names": lambda: pa.table({"a.b": [1], "a b": [2], "ü\n": [3], "__index_level_0__": [4], "a`b": [5]}),
    "times": lambda: pa.table(
        {
            "ns": pa.array([1, None], pa.timestamp("ns")),
            "span": pa.array([5, None], pa.duration("ns")),
        }
    ),
    "the largest numbers": lambda: pa.table({"u": pa.array([2**64 - 1, None], pa.uint64())}),
}


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("kind", ["DataFrame", "PolarsFrame", "AstropyTable", "NumpyRecords"])
def test_nasty_tables_go_through_every_kind(datastore, name, kind):
    whole = NASTY[name]()
    there = through_file(datastore, whole, kind)
    again = through_file(datastore, there, "ArrowTable")
    if whole.num_columns:
        assert again.to_pydict().keys() >= whole.to_pydict().keys()
        for column in whole.column_names:
            back = pd.Series(again[column].to_pylist(), dtype=object)
            given = pd.Series(whole[column].to_pylist(), dtype=object)
            pd.testing.assert_series_equal(back, given, check_names=False)


@pytest.mark.parametrize(
    ("obj", "said"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "several columns 'a'"),
        (pd.DataFrame({"o": [1, "a", None]}), "column o"),
        (np.zeros(1, [("a", [("x", "i4")])]), "column 'a' is of the numpy type"),
        (np.zeros(1, [("wide", "g")]), "column 'wide' is of the numpy type"),
    ],
)
def test_what_no_file_can_hold_is_refused_by_its_column(datastore, obj, said):
    with pytest.raises(StorageClassError, match=said):
        datastore.write(obj, REF, storage_class_for(obj))
