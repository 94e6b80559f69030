# ruff: noqa: E501 - tables of tables
"""Laws of tables: into a file and back is the same, and so it is by way of every other kind that can hold it."""

import datetime
import decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time, TimeDelta
from astropy.utils.masked import Masked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from skybutler.imaging import SourceCatalog
from skybutler.model.errors import StorageClassError
from skybutler.model.storage_class import storage_class, storage_class_for
from skybutler.storage.formatters import formatter
from skybutler.storage.tables import from_arrow, to_arrow

KINDS = ("ArrowTable", "DataFrame", "AstropyTable", "NumpyRecords", "PolarsFrame", "SourceCatalog")
WITHOUT_LOSS = ("ArrowTable", "AstropyTable", "NumpyRecords")
"""Kinds that hold whatever numpy does, byte order aside."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("laws") / "table.parquet"


def through_file(file: Path, obj, read_as: str | None = None):
    kind = storage_class_for(obj)
    parquet = formatter("parquet")
    with file.open("wb") as sink:
        parquet.write(obj, sink, kind, {})
    return parquet.read(file, storage_class(read_as or kind.name), None, {})


def arrow(seconds: str, *values, **how):
    return pa.array(values, seconds, **how)


ARROW = {
    "every width": pa.table({str(t): pa.array([1, None, 0], t) for t in (
        pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(),
        pa.float32(), pa.float64())}),
    "NaN beside null": pa.table({"a": [1.0, None, float("nan")]}),
    "bools": pa.table({"a": [True, None, False]}),
    "text": pa.table({"a": ["x", None, "ü\0"], "b": pa.array(["x", None, ""], pa.large_string()), "c": [b"\0", None, b""]}),
    "times": pa.table({f"{unit}{zone}": pa.array([0, None], pa.timestamp(unit, zone))
                       for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "Europe/Berlin")}),
    "durations": pa.table({unit: pa.array([0, None], pa.duration(unit)) for unit in ("s", "ms", "us", "ns")}),
    "dates": pa.table({"a": pa.array([0, None], pa.date32()), "b": pa.array([0, None], pa.date64()),
                       "c": pa.array([0, None], pa.time32("s")), "d": pa.array([0, None], pa.time64("ns"))}),
    "decimals": pa.table({"a": [decimal.Decimal("1.5"), None]}),
    "nested": pa.table({"l": [[1], None], "s": [{"a": 1, "b": [1]}, None], "f": pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
                        "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())),
                        "t": pa.array([[0]], pa.list_(pa.timestamp("s"))).take(pa.array([0, None]))}),
    "dictionaries": pa.table({
        "text": pa.DictionaryArray.from_arrays(pa.array([1, None], pa.int8()), ["unused", "a"], ordered=True),
        "ints": pa.DictionaryArray.from_arrays([1, None], pa.array([7, 5])),
        "floats": pa.DictionaryArray.from_arrays([1, 0], pa.array([0.1, 1e300])),
        "days": pa.DictionaryArray.from_arrays([1, 0], pa.array([3, 1], pa.date32()))}),
    "nothing": pa.table({"a": pa.nulls(2)}),
    "no rows": pa.table({"a": pa.array([], pa.int8()), "b": pa.array([], pa.dictionary(pa.int32(), pa.int64()))}),
    "no columns": pa.table({}),
    "odd names": pa.table({"": [1], "a b": [1], "x.y": [1], "ü": [1], "*": [1], "__index_level_0__": [1]}),
    "chunks": pa.table({"a": pa.chunked_array([[1], [], [None, 3]]), "d": pa.chunked_array(
        [pa.array(["x"]).dictionary_encode(), pa.array(["y", "x"]).dictionary_encode()])}),
    "slices": pa.table({"a": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)), "b": [True, None, False]})[1:],
}  # fmt: skip


@pytest.mark.parametrize("name", ARROW)
def test_arrow_tables_come_back_the_same(file, name):
    again = through_file(file, ARROW[name])
    assert again.schema.equals(ARROW[name].schema)
    assert again.to_pylist() == ARROW[name].to_pylist() or name == "NaN beside null"
    assert [c.null_count for c in again.columns] == [c.null_count for c in ARROW[name].columns]


@pytest.mark.parametrize("name", ARROW)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_an_arrow_table_or_says_what_it_cannot(file, name, kind):
    try:
        other = through_file(file, ARROW[name], kind)
        again = through_file(file, other, "ArrowTable")
    except StorageClassError:
        assert kind == "SourceCatalog" or name in ("nested", "odd names")  # maps; a column whose name is empty
        return
    rows = 0 if name == "no columns" else ARROW[name].num_rows
    assert (len(other), again.num_rows) == (rows, rows)
    assert again.column_names == [c for c in ARROW[name].column_names if c in again.column_names]


FRAMES = {
    "levels of rows": pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("g", 1.5), ("r", 2.0)], names=["b", None])),
    "levels of columns": pd.DataFrame([[1, 2.0]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["l", None])),
    "numbers for names": pd.DataFrame([[1, 2.0]], columns=[3, 4]),
    "dates for names": pd.DataFrame([[1]], columns=pd.to_datetime(["2020-01-01"])),
    "no name": pd.DataFrame([[1, 2.0]], columns=[None, "a"]),
    "a name for names": pd.DataFrame([[1]], columns=pd.Index(["a"], name="n")),
    "nothing": pd.DataFrame(),
    "rows alone": pd.DataFrame(index=pd.RangeIndex(2, 8, 3, name="r")),
    "an index alone": pd.DataFrame(index=pd.Index([5, 6], name="i")),
    "index named as a column": pd.DataFrame({"a": [1, 2]}, index=pd.Index([5, 6], name="a")),
    "times": pd.DataFrame({u: np.array(["2020-01-01", "NaT"], f"M8[{u}]") for u in ("s", "ms", "us", "ns")}),
    "zones": pd.DataFrame({"t": pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Berlin")}),
    "index of times": pd.DataFrame({"a": [1]}, index=pd.DatetimeIndex(["2020-01-01"], tz="UTC", name="t")),
    "durations": pd.DataFrame({"t": pd.to_timedelta([1, None], unit="s")}),
    "dates": pd.DataFrame({"a": [datetime.date(2020, 1, 1), None]}),
    "categories": pd.DataFrame({"a": pd.Categorical(["x", None], ["y", "x", "z"], ordered=True),
                                "b": pd.Categorical([7, None], [9, 7]), "c": pd.Categorical([0.5, 1.5])}),
    "nullable": pd.DataFrame({t: pd.array([1, None], t) for t in ("Int8", "UInt64", "Float32", "Float64", "boolean")}),
    "NaN beside NA": pd.DataFrame({"a": pd.arrays.FloatingArray(np.array([1, np.nan, 3]), np.array([False, False, True]))}),
    "NaN": pd.DataFrame({t: np.array([1, np.nan], t) for t in ("f2", "f4", "f8")}),
    "wide integers": pd.DataFrame({"a": np.array([2**64 - 1], "u8"), "b": np.array([-(2**63)])}),
    "complex": pd.DataFrame({"a": np.array([1 + 2j, np.nan], "c8"), "b": np.array([1j, 2], "c16")}),
    "text": pd.DataFrame({"a": pd.Series(["x", None], dtype="str"), "b": pd.array([None, None], "string")}),
    "Arrow's types": pd.DataFrame({"a": pd.array([1, None], "int8[pyarrow]"),
                                   "b": pd.Series([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int8())))}),
    "periods": pd.DataFrame({"a": pd.period_range("2020-01", periods=2, freq="M"), "b": pd.interval_range(0, 2)}),
    "arrays": pd.DataFrame({"a": [np.zeros(2), np.ones(2)], "b": [np.zeros((2, 3), "i2"), None], "c": [np.zeros((2, 0))] * 2}),
    "duplicate rows of an index": pd.DataFrame({"a": [1, 2]}, index=[3, 3]),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_data_frames_come_back_the_same(file, name):
    frame = FRAMES[name].copy()
    if frame.shape[1] and name != "no name":
        frame.attrs = {"units": {frame.columns[0]: "m"}, "who": "me"}
    again = through_file(file, frame)
    pd.testing.assert_frame_equal(again, frame, check_freq=False)
    assert again.attrs == frame.attrs


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("kind", KINDS[2:])
def test_every_kind_holds_a_data_frame_or_says_what_it_cannot(file, name, kind):
    try:
        again = through_file(file, through_file(file, FRAMES[name], kind), "DataFrame")
    except StorageClassError:
        assert kind == "SourceCatalog" or name == "no name"
        return
    assert len(again) == (0 if name == "rows alone" else len(FRAMES[name]))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "several columns 'a'"),
        (pd.DataFrame([[1, 2]], columns=[1, "a"]), "values of several types"),
        (pd.DataFrame({"a": [1, "x"]}), "cannot become a table.*a"),
        (pd.DataFrame({"a": [2**70]}), "cannot become a table"),
        (pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])}), "Sparse"),
        (np.zeros(2, [("a", "g")]), "column 'a'.*longdouble|column 'a'.*float128"),
        (np.zeros(2, [("a", [("b", "i4")])]), "column 'a'.*columns of their own"),
        (Table({"a": np.array([1], "m8[Y]")}), "column 'a'"),
        (Table({"a": np.array([object()])}), "column 'a'"),
    ],
)
def test_what_no_file_can_hold_is_told_before_anything_is_written(frame, message):
    with pytest.raises(StorageClassError, match=message):
        to_arrow(frame)


ASTROPY = {
    "complex": {"a": np.array([1 + 2j, 0], "c8"), "b": np.ones((2, 2, 3), "c16"), "c": MaskedColumn([1j, 2], mask=[1, 0])},
    "text": {"a": np.array([b"a", b""], "S5"), "b": np.array([["a", "b"], ["c", ""]], "U3"), "c": np.array(["", ""]),
             "d": MaskedColumn(["a", "bb"], mask=[1, 0])},
    "masked arrays": {"a": MaskedColumn(np.arange(6).reshape(2, 3), mask=[[1, 1, 1], [0, 1, 0]]),
                      "b": MaskedColumn(np.arange(8.0).reshape(2, 2, 2), mask=np.eye(4, dtype=bool)[:2].reshape(2, 2, 2))},
    "NaN beside masks": {"a": MaskedColumn([1.0, np.nan, 3.0], mask=[1, 0, 0])},
    "times of numpy": {u: np.array([1, 2], f"M8[{u}]") for u in ("Y", "M", "D", "h", "s", "ms", "us", "ns")},
    "durations": {u: np.array([1, 2], f"m8[{u}]") for u in ("D", "h", "m", "s", "ms", "us", "ns")},
    "no elements": {"a": np.zeros((2, 0)), "b": np.zeros((2, 3, 0), "i4")},
    "no rows": {"a": np.zeros((0, 3)), "b": np.zeros(0, "U5"), "c": np.zeros(0, "c16"), "d": np.zeros(0, bool)},
    "no columns": {},
    "strides": {"a": np.arange(12.0)[::3], "b": np.asfortranarray(np.arange(12).reshape(4, 3)), "c": np.ones((8, 2))[::2]},
    "quantities": {"a": [1, 2] * units.nJy, "b": np.ones((2, 3), "f4") * units.m, "c": [1, 2] * units.ABmag},
    "Time": {"a": Time(["2020-01-01T00:00:00.123456789", "2021-01-01"], scale="tai"), "b": TimeDelta([1, 2] * units.s)},
    "SkyCoord": {"a": SkyCoord([1, 2], [3, 4], unit="deg", frame="galactic"),
                 "b": EarthLocation([1, 2] * units.deg, [1, 2] * units.deg)},
}  # fmt: skip


def assert_same_column(again, column):
    assert type(again) is type(column)
    assert getattr(again, "unit", None) == getattr(column, "unit", None)
    if isinstance(column, np.ndarray) and column.dtype.names is None:
        assert (again.dtype, again.shape) == (column.dtype, column.shape)
        np.testing.assert_array_equal(np.ma.getmaskarray(again), np.ma.getmaskarray(column))
        shown = ~np.ma.getmaskarray(column)
        np.testing.assert_array_equal(np.asarray(np.ma.getdata(again))[shown], np.asarray(np.ma.getdata(column))[shown])
    else:
        assert np.all(again == column)


@pytest.mark.parametrize("of", [Table, QTable])
@pytest.mark.parametrize("name", ASTROPY)
def test_astropy_tables_come_back_the_same(file, of, name):
    table = of(ASTROPY[name])
    table.meta = {"tuple": (1, 2), "array": np.arange(2), "deep": {"a": [1]}}
    for column in table.columns.values():
        column.info.description = "what it is"
    before = table.copy()
    again = through_file(file, table)
    assert type(again) is of
    assert again.colnames == table.colnames
    assert str(again.meta) == str(before.meta) == str(table.meta)
    for column in table.colnames:
        assert_same_column(again[column], table[column])
        assert again[column].info.description == "what it is"


@pytest.mark.parametrize("name", ASTROPY)
@pytest.mark.parametrize("kind", ["ArrowTable", "NumpyRecords", "DataFrame", "PolarsFrame", "SourceCatalog"])
def test_every_kind_holds_the_values_of_an_astropy_table(file, name, kind):
    table = Table(ASTROPY[name])
    again = through_file(file, through_file(file, table, kind), "AstropyTable")
    assert len(again) == len(table)
    for column in set(table.colnames) & set(again.colnames):
        if isinstance(table[column], np.ma.MaskedArray) and kind == "SourceCatalog":
            continue  # it has no masks
        if kind == "PolarsFrame" and table[column].dtype.kind in "cMm":
            continue  # it has neither complex numbers nor coarse times
        if (
            isinstance(table[column], np.ndarray)
            and not table[column].dtype.names
            and table[column].size
            and kind != "DataFrame"
        ):
            values = np.ma.filled(np.ma.asarray(again[column]))
            expected = np.ma.filled(np.ma.asarray(table[column]), np.ma.asarray(again[column]).fill_value)
            shown = ~np.ma.getmaskarray(table[column])
            np.testing.assert_array_equal(values[shown].astype(expected.dtype), expected[shown])


def test_masked_quantities_come_back(file):
    table = QTable({"a": Masked([1.0, 2.0] * units.nJy, mask=[True, False])})
    again = through_file(file, table)
    assert isinstance(again["a"], Masked)
    assert again["a"].mask.tolist() == [True, False]
    assert again["a"].unit == units.nJy


def test_a_qtable_is_not_changed_by_being_written(file):
    table = QTable({"a": [1, 2]}, meta={"x": 1})
    through_file(file, table)
    assert table.meta == {"x": 1}


def test_polars_keeps_shapes_enumerations_and_nulls(file):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "a": pl.Series([[[1, 2], [3, 4]], None], dtype=pl.Array(pl.Int16, (2, 2))),
            "e": pl.Series(["y", None], dtype=pl.Enum(["x", "y"])),
            "f": [float("nan"), None],
            "s": [{"k": 1}, None],
            "l": [[1], None],
            "t": [datetime.datetime(2020, 1, 1), None],
        }
    )
    again = through_file(file, frame)
    assert again.schema == frame.schema
    assert again.to_dict(as_series=False)["a"] == frame.to_dict(as_series=False)["a"]
    assert again.drop("f").equals(frame.drop("f"))
    assert (again["f"].null_count(), again["f"].is_nan().sum()) == (1, 1)
    assert through_file(file, frame, "AstropyTable")["a"].shape == (2, 2, 2)
    with pytest.raises(StorageClassError, match="column 'o' holds Python objects"):
        to_arrow(pl.DataFrame({"o": [object()]}))
    with pytest.raises(StorageClassError, match="column 'a' is of Arrow's type decimal256"):
        from_arrow(pa.table({"a": pa.nulls(1, pa.decimal256(50, 2))}), "PolarsFrame")


def test_shared_memory_stays_shared():
    values = np.ones((1000, 4))
    records = np.zeros(10, [("a", "f8")])
    for table in (Table({"a": values}, copy=False), SourceCatalog.from_astropy(Table({"a": values}, copy=False))):
        arrow = to_arrow(table)
        assert np.shares_memory(from_arrow(arrow, "AstropyTable")["a"], values)
        assert np.shares_memory(from_arrow(arrow, "SourceCatalog")["a"], values)
    assert np.shares_memory(to_arrow(Table({"a": records["a"]}, copy=False))["a"].to_numpy(), records["a"])


def test_duplicate_columns_are_arrow_s_alone(file):
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    for kind in KINDS[1:]:
        with pytest.raises(StorageClassError, match="several columns 'a'"):
            from_arrow(table, kind)


NUMBERS = ["?", "i1", "<i2", ">i4", "i8", "u1", ">u2", "u4", "u8", "f2", "f4", ">f8", "c8", ">c16"]
OTHERS = ["U5", "S4", "M8[ns]", "M8[us]", "M8[s]", "M8[D]", "M8[h]", "m8[ms]", "m8[m]"]


@st.composite
def records(draw):
    rows = draw(st.integers(0, 4))
    shapes = st.sampled_from([(), (2,), (2, 3), (1, 2, 2), (0,)])
    fields = draw(st.lists(st.tuples(st.sampled_from(NUMBERS + OTHERS), shapes), min_size=1, max_size=5))
    dtype = np.dtype([(f"c{i}", kind, shape) for i, (kind, shape) in enumerate(fields)])
    made = np.zeros(rows, dtype)
    mask = np.zeros(rows, np.ma.make_mask_descr(dtype))
    for name in dtype.names:
        part = dtype[name]
        elements = {
            "U": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
            "M": st.integers(-5000, 5000).map(lambda n, kind=part.base: np.array(n).astype(kind)[()]),
            "m": st.integers(-5000, 5000).map(lambda n, kind=part.base: np.array(n).astype(kind)[()]),
        }.get(part.base.kind)
        made[name] = draw(npst.arrays(part.base, (rows, *part.shape), elements=elements))
        if part.base.kind not in "Mm":  # missing times are NaT
            mask[name] = draw(npst.arrays(bool, (rows, *part.shape)))
    with np.errstate(over="ignore"):  # numpy's own value under a mask is none of a float16
        return np.ma.MaskedArray(made, mask=mask) if draw(st.booleans()) else made


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(given_records=records(), way=st.lists(st.sampled_from(WITHOUT_LOSS), max_size=2))
def test_any_records_survive_any_way(file, given_records, way):
    table = through_file(file, given_records, "ArrowTable")
    for kind in way:
        table = through_file(file, from_arrow(table, kind), "ArrowTable")
    again = from_arrow(table, "NumpyRecords")
    assert again.dtype.names == given_records.dtype.names
    none = np.zeros(len(given_records), np.ma.make_mask_descr(given_records.dtype))
    found, masks = (np.ma.getmaskarray(r) if isinstance(r, np.ma.MaskedArray) else none for r in (again, given_records))
    for name in given_records.dtype.names:
        column, values, mask = np.ma.getdata(given_records)[name], np.ma.getdata(again)[name], masks[name]
        assert (values.shape, values.dtype) == (column.shape, column.dtype.newbyteorder("="))
        if column.size:
            np.testing.assert_array_equal(found[name], mask)
            np.testing.assert_array_equal(values[~mask], column[~mask])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.integers(0, 4),
    kinds=st.lists(st.sampled_from(["i1", "i8", "u8", "f4", "f8", "?", "M8[ns]", "U4"]), max_size=4),
    data=st.data(),
)
def test_any_plain_frame_survives_any_way(file, rows, kinds, data):
    text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
    columns = {
        f"c{i}": data.draw(npst.arrays(np.dtype(k), rows, elements=text if k == "U4" else None))
        for i, k in enumerate(kinds)
    }
    frame = pd.DataFrame(columns, index=pd.RangeIndex(rows))
    for kind in data.draw(st.lists(st.sampled_from(KINDS[:5]), max_size=2)) if kinds else []:
        again = through_file(file, through_file(file, frame, kind), "DataFrame")
        pd.testing.assert_frame_equal(again, frame)
    pd.testing.assert_frame_equal(through_file(file, frame), frame)
