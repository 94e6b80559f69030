import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skybutler.imaging.catalog import SourceCatalog


@pytest.fixture
def catalog():
    schema = SourceCatalog.minimal_schema()
    schema.add_field("flux", "D", "PSF flux", "nJy")
    schema.add_field("flag", "Flag", "it failed")
    schema.add_field("ap", "ArrayF", "apertures", "nJy", size=2)
    schema.add_field("cov", "D", shape=(2, 2))
    schema.add_field("name", "String", "its name", size=4)
    schema.define_slot("PsfFlux", "flux")
    columns = {
        "id": np.array([3, 1, 2]),
        "coord_ra": np.array([0.1, 0.2, 0.3]),
        "flux": np.array([1.0, np.nan, 3.0]),
        "flag": np.array([True, False, True]),
        "ap": np.arange(6, dtype="float32").reshape(3, 2),
        "cov": np.arange(12.0).reshape(3, 2, 2),
        "name": np.array(["a", "bb", ""]),
    }
    return SourceCatalog(schema, columns, metadata={"visit": 1234, "list": [1, 2]})


def assert_same(left, right, *, same_schema=True):
    if same_schema:
        assert left.schema == right.schema
    assert left.schema.names == right.schema.names
    for name, column in right.columns.items():
        np.testing.assert_array_equal(left[name], column)


def test_arrow_keeps_all_and_shares_numbers(catalog):
    table = catalog.to_arrow()
    assert table.schema.field("flux").metadata == {b"unit": b"nJy", b"description": b"PSF flux"}
    assert table.schema.field("ap").type == pa.list_(pa.float32(), 2)
    assert table.schema.field("cov").type == pa.list_(pa.float64(), 4)
    assert table.schema.field("flag").type == pa.bool_()
    assert table.schema.metadata[b"lsst::arrow::rowcount"] == b"3"
    assert table.schema.metadata[b"lsst::arrow::len::name"] == b"4"
    assert table.schema.metadata[b"lsst::arrow::shape::ap"] == b"(2,)"
    again = SourceCatalog.from_arrow(table)
    assert_same(again, catalog)
    assert again.metadata == {"visit": 1234, "list": [1, 2]}
    for name in ("id", "flux", "ap", "cov"):
        assert np.shares_memory(again[name], catalog[name])


def test_an_arrow_catalog_is_copied_when_written_to(catalog):
    again = SourceCatalog.from_arrow(catalog.to_arrow())
    assert not again["flux"].flags.writeable
    again[0]["flux"] = 50.0
    again["id"] = [7, 8, 9]
    assert again["flux"][0] == 50.0
    assert catalog["flux"][0] == 1.0
    assert catalog["id"].tolist() == [3, 1, 2]
    again.add_new()
    assert again["flux"].flags.writeable
    assert SourceCatalog.from_arrow(catalog.to_arrow()).copy()["flux"].flags.writeable


def test_arrow_of_others_with_nulls_chunks_and_dictionaries():
    table = pa.table(
        {
            "i": pa.chunked_array([pa.array([1, None]), pa.array([3])]),
            "f": pa.array([1.0, None, 3.0], pa.float32()),
            "b": [True, None, False],
            "s": ["x", None, "yy"],
            "d": pa.array(["p", "q", "p"]).dictionary_encode(),
            "l": pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float64(), 2)),
            "t": pa.array([0, 1, None], pa.timestamp("ns")),
        }
    )
    catalog = SourceCatalog.from_arrow(table)
    assert catalog["i"].tolist() == [1, 0, 3]
    np.testing.assert_array_equal(catalog["f"], np.array([1, np.nan, 3], "float32"))
    assert catalog["b"].tolist() == [True, False, False]
    assert catalog["s"].tolist() == ["x", "", "yy"]
    assert catalog["d"].tolist() == ["p", "q", "p"]
    np.testing.assert_array_equal(catalog["l"], [[1, 2], [np.nan, np.nan], [3, 4]])
    assert np.isnat(catalog["t"][2])
    part = SourceCatalog.from_arrow(table.slice(2))
    np.testing.assert_array_equal(part["l"], [[3, 4]])
    with pytest.raises(TypeError, match="'v' is of Arrow's type list"):
        SourceCatalog.from_arrow(pa.table({"v": [[1], [2, 3]]}))


def test_an_empty_catalog_keeps_its_columns(catalog):
    empty = catalog[:0]
    assert_same(SourceCatalog.from_arrow(empty.to_arrow()), empty)
    assert_same(SourceCatalog.from_astropy(empty.as_astropy()), empty, same_schema=False)


def test_astropy_has_units_and_shares_columns(catalog):
    table = catalog.asAstropy()
    assert str(table["flux"].unit) == "nJy"
    assert str(table["coord_ra"].unit) == "rad"
    assert table["flux"].description == "PSF flux"
    assert table.meta["visit"] == 1234
    assert np.shares_memory(table["flux"], catalog["flux"])
    assert not np.shares_memory(catalog.as_astropy(copy=True)["flux"], catalog["flux"])
    again = SourceCatalog.from_astropy(table)
    assert_same(again, catalog, same_schema=False)
    assert again.schema["coord_ra"] == catalog.schema["coord_ra"]
    assert again.schema["ap"] == catalog.schema["ap"]
    assert np.shares_memory(again["flux"], catalog["flux"])


def test_astropy_masks_quantities_and_bytes():
    from astropy.table import MaskedColumn, QTable, Table

    table = Table({"i": MaskedColumn([1, 2], mask=[True, False]), "s": [b"ab", b"c"]})
    table["big"] = np.array([1.5, 2.5], dtype=">f8")
    catalog = SourceCatalog.from_astropy(table)
    assert catalog["i"].tolist() == [0, 2]
    assert catalog["s"].tolist() == ["ab", "c"]
    assert catalog["big"].dtype == np.dtype("float64")
    assert catalog["big"].tolist() == [1.5, 2.5]
    quantities = QTable({"x": [1.0, 2.0]}, units={"x": "pix"})
    assert SourceCatalog.from_astropy(quantities).schema["x"].units == "pix"


def test_sky_coordinates_become_two_columns():
    from astropy.coordinates import SkyCoord
    from astropy.table import QTable

    sky = SkyCoord([10.0, 20.0], [30.0, 40.0], unit="deg").galactic
    catalog = SourceCatalog.from_astropy(QTable({"id": [1, 2], "coord": sky}))
    assert [field.type for field in catalog.schema] == ["int64", "Angle", "Angle"]
    np.testing.assert_allclose(np.degrees(catalog["coord_ra"]), [10, 20])
    assert catalog.coord.separation(sky).arcsec.max() < 1e-6


def test_quantities_and_angles_are_converted_to_the_units_of_columns(catalog):
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    sky = SkyCoord([10.0, 20.0, 30.0], [30.0, 40.0, 50.0], unit="deg")
    made = SourceCatalog(columns={"coord_ra": sky.ra, "coord_dec": sky.dec})
    np.testing.assert_allclose(made["coord_dec"], np.radians([30, 40, 50]))
    catalog["flux"] = [1.0, 2.0, 3.0] * u.uJy
    np.testing.assert_allclose(catalog["flux"], [1000, 2000, 3000])
    catalog[1]["coord_ra"] = sky.ra[2]
    np.testing.assert_allclose(catalog["coord_ra"][1], np.radians(30))
    catalog["ap"] = np.ones((3, 2)) * u.mJy
    assert catalog["ap"].tolist() == [[1e6, 1e6]] * 3
    with pytest.raises(u.UnitsError, match="not convertible"):
        catalog["flux"] = [1.0, 2.0, 3.0] * u.s


def test_astropy_columns_of_objects_are_text_or_refused():
    from astropy.table import Table

    catalog = SourceCatalog.from_astropy(Table({"s": np.array(["a", "long"], dtype=object)}))
    assert catalog["s"].tolist() == ["a", "long"]
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.zeros(1), np.zeros(2)]
    with pytest.raises(TypeError, match="'r' holds Python objects"):
        SourceCatalog.from_astropy(Table({"r": ragged}))
    names = SourceCatalog.from_astropy(Table({"n": [["a", "bc"], ["d", "e"]]}))
    assert SourceCatalog.from_arrow(names.to_arrow())["n"].tolist() == [["a", "bc"], ["d", "e"]]


def test_pandas_takes_arrays_apart_and_puts_them_together(catalog):
    frame = catalog.to_pandas()
    assert list(frame.columns[:8]) == ["id", "coord_ra", "coord_dec", "parent", "flux", "flag", "ap_0", "ap_1"]
    assert frame["cov_3"].tolist() == [3.0, 7.0, 11.0]
    assert_same(SourceCatalog.from_pandas(frame, catalog.schema), catalog)
    free = SourceCatalog.from_pandas(frame)
    assert free["name"].tolist() == ["a", "bb", ""]
    assert free.schema["flag"].is_flag


def test_pandas_has_units_docs_and_metadata_and_shares_columns(catalog):
    frame = catalog.to_pandas()
    assert frame.attrs["visit"] == 1234
    assert frame.attrs["units"] == {
        "coord_ra": "rad", "coord_dec": "rad", "flux": "nJy", "ap_0": "nJy", "ap_1": "nJy"
    }  # fmt: skip
    assert frame.attrs["descriptions"]["flux"] == "PSF flux"
    assert np.shares_memory(frame["flux"].to_numpy(), catalog["flux"])
    again = SourceCatalog.from_pandas(frame)
    assert again.schema["flux"] == catalog.schema["flux"]
    assert again.schema["coord_ra"] == catalog.schema["coord_ra"]
    assert again.schema["flag"] == catalog.schema["flag"]
    assert again.metadata == catalog.metadata
    assert np.shares_memory(again["flux"], catalog["flux"])
    bright = SourceCatalog.from_pandas(frame[frame["flux"] > 2])
    assert (len(bright), bright.schema["flux"].units) == (1, "nJy")
    frame.attrs["units"] = "whatever others keep there"
    assert SourceCatalog.from_pandas(frame).schema["flux"].units == ""


def test_pandas_missing_values_are_defaults():
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int32"),
            "b": pd.array([True, None], dtype="boolean"),
            "s": ["x", None],
        }
    )
    catalog = SourceCatalog.from_pandas(frame)
    assert catalog["i"].tolist() == [1, 0]
    assert catalog["i"].dtype == np.int32
    assert catalog["b"].tolist() == [True, False]
    assert catalog["s"].tolist() == ["x", ""]


def test_a_newer_description_is_refused(catalog):
    table = catalog.to_arrow().replace_schema_metadata({"skybutler": '{"version": 99}'})
    with pytest.raises(ValueError, match="version 99"):
        SourceCatalog.from_arrow(table)
