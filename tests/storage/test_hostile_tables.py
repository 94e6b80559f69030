"""Files of strangers: nothing in them is run, and what is wrong in them is told or left aside."""

import json
import pickle
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skybutler.model.errors import FileFormatError, StorageClassError
from skybutler.storage import files

KINDS = ("ArrowTable", "DataFrame", "AstropyTable", "NumpyRecords", "PolarsFrame", "SourceCatalog")
DEEP = b"[" * 200_000
MARK = "skybutler_was_here"


class Bomb:
    def __reduce__(self):
        return exec, (f"import sys; sys.{MARK} = True",)


@pytest.fixture(autouse=True)
def nothing_is_run():
    yield
    assert not hasattr(sys, MARK), "a file ran code"


def written(tmp_path: Path, metadata: dict[bytes, bytes], field: dict[bytes, bytes] | None = None) -> Path:
    schema = pa.schema([pa.field("a", pa.int64(), metadata=field), pa.field("b", pa.list_(pa.float64(), 4))])
    table = pa.table({"a": [1, None], "b": [[1.0] * 4, [2.0] * 4]}).cast(schema)
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


def pandas_says(**changes) -> bytes:
    good = {
        "index_columns": [],
        "column_indexes": [{"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object",
                            "metadata": {"encoding": "UTF-8"}}],
        "columns": [{"name": "a", "field_name": "a", "pandas_type": "int64", "numpy_type": "int64", "metadata": None}],
        "pandas_version": "3",
    }  # fmt: skip
    return json.dumps(good | changes).encode()


RANGE = {"kind": "range", "name": "r", "start": 0, "stop": 10**18, "step": 1}
PANDAS = {
    "no JSON": b"{", "deep": DEEP, "a list": b"[]", "a number": b"7", "nulls": b"null", "bytes": b"\xff\xfe",
    "wrong index": pandas_says(index_columns=["nowhere"]), "a number for an index": pandas_says(index_columns=[7]),
    "a long range": pandas_says(index_columns=[RANGE]), "text for an index": pandas_says(index_columns="a"),
    "a range of text": pandas_says(index_columns=[{**RANGE, "start": "x"}]),
    "no columns": pandas_says(columns=None), "columns of text": pandas_says(columns=["a"]),
    "a type to import": pandas_says(columns=[{"name": "a", "field_name": "a", "pandas_type": "os.system",
                                              "numpy_type": "os.system", "metadata": None}]),
    "an object type": pandas_says(columns=[{"name": "a", "field_name": "a", "pandas_type": "object",
                                            "numpy_type": "object", "metadata": {"x": []}}]),
    "levels to evaluate": pandas_says(column_indexes=[{"name": "l", "field_name": "l", "pandas_type": "mixed",
        "numpy_type": "object", "metadata": None}] * 2),
    "levels of nothing": pandas_says(column_indexes=[7]),
    "a zone that is a path": pandas_says(columns=[{"name": "a", "field_name": "a", "pandas_type": "datetimetz",
        "numpy_type": "datetime64[ns]", "metadata": {"timezone": "../../etc/passwd"}}]),
}  # fmt: skip


@pytest.mark.parametrize("name", PANDAS)
def test_what_a_file_says_of_pandas_is_left_aside_where_it_is_wrong(tmp_path, name):
    path = written(tmp_path, {b"pandas": PANDAS[name]})
    frame = files.read(path, "DataFrame")
    assert len(frame) == 2
    assert [str(c) for c in frame.columns] == ["a", "b"] or frame.shape[1] == 2
    for kind in KINDS:
        assert len(files.read(path, kind)) == 2
        assert files.read(path, kind, component="rowcount") == 2
        assert "b" in files.read(path, kind, component="columns")


YAML = {
    "an object": b"!!python/object/apply:setattr [!!python/name:sys, skybutler_was_here, true]",
    "a class": b"meta: !!python/object/new:os.system [true]",
    "no header": b"- 1", "text": b"x", "nothing": b"", "deep": DEEP, "bytes": b"\xff",
    "wrong datatype": b"datatype: 7\nmeta: 8",
    "a class of mixins": b"datatype:\n- {name: a, datatype: int64}\nmeta:\n  __serialized_columns__:\n"
                         b"    c: {__class__: os.system, command: {name: a}}",
    "mixins of nothing": b"datatype: []\nmeta: {__serialized_columns__: {c: {__class__: astropy.time.core.Time}}}",
    "mixins of text": b"datatype: []\nmeta: {__serialized_columns__: x}",
    "objects in arrays": b"datatype: []\nmeta: {x: !numpy.ndarray {buffer: !!binary QUFBQUFBQUE=, dtype: '|O', "
                         b"shape: [1], order: C}}",
}  # fmt: skip


@pytest.mark.parametrize("name", YAML)
def test_yaml_in_a_file_makes_no_object_of_a_stranger_s_choice(tmp_path, name):
    path = written(tmp_path, {b"table_meta_yaml": YAML[name]})
    table = files.read(path, "AstropyTable")
    assert len(table) == 2
    assert table.colnames[:2] == ["a", "b"]


OWN = {"no JSON": b"{", "deep": DEEP, "a list": b"[]", "bytes": b"\xff"}


@pytest.mark.parametrize("name", OWN)
def test_what_skybutler_never_wrote_under_its_name_is_told(tmp_path, name):
    path = written(tmp_path, {b"skybutler": OWN[name]})
    assert files.read(path, "ArrowTable").num_rows == 2
    assert len(files.read(path, "NumpyRecords")) == 2
    for kind in ("DataFrame", "AstropyTable", "SourceCatalog"):
        with pytest.raises(FileFormatError, match=r"x\.parquet.*'skybutler'"):
            files.read(path, kind)


@pytest.mark.parametrize("said", [{"aliases": 7}, {"metadata": [1]}, {"version": 99}, {"version": "x"}])
def test_a_catalog_s_description_is_checked(tmp_path, said):
    with pytest.raises(FileFormatError, match=r"x\.parquet"):
        files.read(written(tmp_path, {b"skybutler": json.dumps(said).encode()}), "SourceCatalog")


@pytest.mark.parametrize(
    "shape", [b"(" * 100_000, b"(9999999999, 9999999999)", b"__import__('os')", b"(-1,)", b"", b"(3,)"]
)
def test_shapes_and_widths_are_numbers_that_fit(tmp_path, shape):
    said = {b"lsst::arrow::shape::b": shape, b"lsst::arrow::len::a": b"9" * 5000, b"lsst::arrow::rowcount": b"-7"}
    path = written(tmp_path, said, {b"numpy": b"<c16", b"unit": b"\xff", b"skybutler": b"[[["})
    for kind in KINDS:
        assert len(files.read(path, kind)) == 2
    assert files.read(path, "AstropyTable")["b"].shape == (2, 4)
    assert files.read(path, "DataFrame", component="rowcount") == 2


def test_a_right_shape_is_taken(tmp_path):
    path = written(tmp_path, {b"lsst::arrow::shape::b": b"(2, 2)"})
    assert files.read(path, "AstropyTable")["b"].shape == (2, 2, 2)


@pytest.mark.parametrize("said", [b"[[[", b'{"x": 1}', b'["a", {}]', DEEP])
def test_wrong_categories_leave_the_values(tmp_path, said):
    table = pa.table({"a": pa.array([1, 2]).dictionary_encode()})
    table = table.cast(pa.schema([table.schema.field("a").with_metadata({b"categories": said})]))
    pq.write_table(table, tmp_path / "x.parquet")
    assert files.read(tmp_path / "x.parquet", "ArrowTable")["a"].to_pylist() == [1, 2]


def test_extension_types_run_nothing(tmp_path):
    bomb = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickle.dumps(Bomb())}
    path = written(tmp_path, {}, bomb)
    for kind in KINDS:
        files.read(path, kind)


def test_a_pickle_is_no_table(tmp_path):
    (tmp_path / "x.parquet").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileFormatError):
        files.read(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "text",
    ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "a: !!python/object/new:dict []", "&a [*a"],
)
def test_yaml_of_strangers_makes_plain_data_or_an_error(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(FileFormatError, match=r"x\.yaml is not YAML"):
        files.read(tmp_path / "x.yaml")


def test_deep_text_is_refused(tmp_path):
    for name in ("x.json", "x.yaml"):
        (tmp_path / name).write_bytes(DEEP[:20_000] if name == "x.yaml" else DEEP)
        with pytest.raises(FileFormatError):
            files.read(tmp_path / name)


def test_python_objects_are_not_pickled_into_tables(tmp_path):
    with pytest.raises(StorageClassError):
        files.write(pd.DataFrame({"a": [Bomb()]}), tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())
