import pickle

import numpy as np
import pytest

from skybutler.imaging.catalog import SourceCatalog
from skybutler.imaging.wcs import Wcs


@pytest.fixture
def schema():
    made = SourceCatalog.minimal_schema()
    made.add_field("base_PsfFlux_instFlux", "D", "PSF flux", "count")
    made.add_field("base_PsfFlux_instFluxErr", "D", "its error", "count")
    made.add_field("base_PsfFlux_flag", "Flag", "it failed")
    made.add_field("base_Naive_x", "D", "x", "pix")
    made.add_field("base_Naive_y", "D", "y", "pix")
    made.add_field("ap", "ArrayF", "apertures", "count", size=3)
    made.add_field("name", "String", "its name")
    made.define_slot("PsfFlux", "base_PsfFlux")
    made.define_slot("Centroid", "base_Naive")
    return made


@pytest.fixture
def catalog(schema):
    return SourceCatalog(
        schema,
        {
            "id": np.array([3, 1, 2]),
            "coord_ra": np.radians([10.0, 20.0, 30.0]),
            "coord_dec": np.radians([-5.0, 0.0, 5.0]),
            "base_PsfFlux_instFlux": [100.0, 200.0, 50.0],
            "base_Naive_x": [1.0, 2.0, 3.0],
            "base_Naive_y": [4.0, 5.0, 6.0],
            "ap": np.arange(9, dtype="float32").reshape(3, 3),
            "name": ["a", "bb", "ccc"],
        },
        metadata={"visit": 1234},
    )


def test_columns_share_memory_and_the_rest_is_default(schema):
    ids, flux = np.array([1, 2]), np.array([1.5, 2.5])
    catalog = SourceCatalog(schema, {"id": ids, "base_PsfFlux_instFlux": flux})
    assert np.shares_memory(catalog["id"], ids)
    assert np.shares_memory(catalog["base_PsfFlux_instFlux"], flux)
    assert np.isnan(catalog["coord_ra"]).all()
    assert catalog["parent"].tolist() == [0, 0]
    assert catalog["base_PsfFlux_flag"].tolist() == [False, False]
    assert catalog["ap"].shape == (2, 3)
    assert len(catalog) == 2


def test_records_read_and_write_the_catalog(catalog):
    record = catalog[1]
    assert record["id"] == record.id == record.getId() == 1
    assert type(record["id"]) is int
    record["base_PsfFlux_instFlux"] = 7
    assert catalog["base_PsfFlux_instFlux"].tolist() == [100.0, 7.0, 50.0]
    assert record.psf_inst_flux == record.get_psf_inst_flux() == record.getPsfInstFlux() == 7.0
    record["base_PsfFlux_flag"] = True
    assert catalog["base_PsfFlux_flag"].tolist() == [False, True, False]
    record["ap"] = [7, 8, 9]
    assert catalog["ap"][1].tolist() == [7, 8, 9]
    assert catalog[-1].id == 2
    assert catalog[1] == catalog[np.int64(-2)]
    assert [record["id"] for record in catalog] == [3, 1, 2]
    assert record.extract("base_Naive_*") == {"base_Naive_x": 2.0, "base_Naive_y": 5.0}
    with pytest.raises(IndexError, match="no row 3 in a catalog of 3"):
        catalog[3]
    with pytest.raises(KeyError, match="Did you mean 'coord_ra'"):
        catalog["coord_rah"]


def test_texts_grow_where_the_schema_sets_no_length(catalog):
    catalog[0]["name"] = "a longer one"
    assert catalog["name"].tolist() == ["a longer one", "bb", "ccc"]
    catalog["name"] = ["x", "y", "something"]
    assert catalog[2]["name"] == "something"
    schema = SourceCatalog.minimal_schema()
    schema.add_field("tag", "String", size=2)
    with pytest.raises(ValueError, match="a text of 3 characters, where 2 are allowed"):
        SourceCatalog(schema, {"tag": ["abc"]})


def test_coordinates_are_a_sky_coord(catalog):
    coords = catalog.get_coord()
    np.testing.assert_allclose(coords.ra.deg, [10, 20, 30], rtol=1e-15)
    np.testing.assert_allclose(catalog.getCoord().dec.deg, [-5, 0, 5], rtol=1e-15)
    assert catalog[2].coord.ra.deg == pytest.approx(30.0)
    assert catalog[0].getRa().deg == pytest.approx(10.0)
    catalog.coord = coords[::-1]
    np.testing.assert_allclose(np.degrees(catalog["coord_ra"]), [30, 20, 10], rtol=1e-15)


def test_coordinates_follow_from_centroids_and_a_wcs(schema):
    catalog = SourceCatalog(schema, {"id": [1, 2], "base_Naive_x": [100.0, 110.0], "base_Naive_y": [50.0, 50.0]})
    catalog.update_coord(Wcs.make_tan((100.0, 50.0), (30.0, 0.0), [[1e-3, 0], [0, 1e-3]]))
    np.testing.assert_allclose(catalog.coord.ra.deg, [30.0, 30.01], rtol=1e-9)
    np.testing.assert_allclose(catalog.coord.dec.deg, 0.0, atol=1e-9)


def test_slots_name_measurements(catalog):
    assert catalog.psf_inst_flux.tolist() == [100.0, 200.0, 50.0]
    assert catalog["slot_PsfFlux_instFlux"].tolist() == [100.0, 200.0, 50.0]
    assert catalog.getX().tolist() == [1.0, 2.0, 3.0]
    assert catalog.centroid.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert tuple(catalog[1].getCentroid()) == (2.0, 5.0)
    with pytest.raises(LookupError, match="slot ApFlux is not defined"):
        catalog.get_ap_inst_flux()
    catalog.psf_flux_flag = [True, False, True]
    assert catalog["base_PsfFlux_flag"].tolist() == [True, False, True]


def test_slices_are_views_and_selections_copies(catalog):
    part = catalog[1:]
    part["base_PsfFlux_instFlux"] = [1, 2]
    assert catalog["base_PsfFlux_instFlux"].tolist() == [100.0, 1.0, 2.0]
    bright = catalog[catalog["base_PsfFlux_instFlux"] > 1.5]
    assert bright["id"].tolist() == [3, 2]
    bright["id"] = 0
    assert catalog["id"].tolist() == [3, 1, 2]
    assert catalog[[2, 0]]["id"].tolist() == [2, 3]
    assert catalog.subset([]).schema == catalog.schema
    with pytest.raises(IndexError):
        catalog[np.array([True, False])]
    with pytest.raises(TypeError, match="boolean or integer"):
        catalog[np.array([0.5])]


def test_rows_are_added_and_taken_away(catalog, schema):
    record = catalog.add_new()
    assert record.id == 0
    assert np.isnan(record["base_PsfFlux_instFlux"])
    assert np.isnan(record["ap"]).all()
    record.id = 9
    catalog.append(catalog[0])
    assert catalog["id"].tolist() == [3, 1, 2, 9, 3]
    assert catalog[4]["name"] == "a"
    catalog.extend(catalog[:2])
    assert catalog["id"].tolist() == [3, 1, 2, 9, 3, 3, 1]
    del catalog[0]
    del catalog[3:5]
    assert catalog["id"].tolist() == [1, 2, 9, 1]
    with pytest.raises(IndexError, match="steps"):
        del catalog[::2]
    with pytest.raises(ValueError, match="they differ in"):
        catalog.extend(SourceCatalog())
    many = SourceCatalog(schema)
    for i in range(100):
        many.add_new().id = i
    assert many["id"].tolist() == list(range(100))


def test_sorts_and_finds(catalog):
    assert not catalog.is_sorted()
    assert catalog.find(2).row == 2
    catalog.sort()
    assert catalog["id"].tolist() == [1, 2, 3]
    assert catalog["name"].tolist() == ["bb", "ccc", "a"]
    assert catalog.is_sorted()
    assert catalog.find(3)["name"] == "a"
    assert catalog.find(77) is None
    assert catalog.find("ccc", "name").id == 2
    catalog["parent"] = [0, 1, 1]
    assert catalog.get_children(1)["id"].tolist() == [2, 3]


def test_refuses_what_would_lose(catalog, schema):
    with pytest.raises(ValueError, match=r"same length, not \{'id': 2, 'parent': 1\}"):
        SourceCatalog(schema, {"id": [1, 2], "parent": [0]})
    with pytest.raises(TypeError, match="float64 cannot become int64"):
        SourceCatalog(schema, {"id": [1.5]})
    with pytest.raises(TypeError, match="cannot become bool without loss"):
        catalog["base_PsfFlux_flag"] = [0, 1, 2]
    with pytest.raises(ValueError, match="2 values for a catalog of 3 rows"):
        catalog["id"] = [1, 2]
    with pytest.raises(KeyError, match="no column 'nope'"):
        catalog["nope"] = 1
    catalog["base_PsfFlux_flag"] = [0, 1, 1]
    catalog["id"] = 5
    assert catalog["id"].tolist() == [5, 5, 5]
    with pytest.raises(TypeError, match="schema of a catalog is fixed"):
        catalog.schema.add_field("more", "D")


def test_copies_and_pickles_are_independent(catalog):
    for same in (catalog.copy(), pickle.loads(pickle.dumps(catalog))):
        assert same.schema == catalog.schema
        assert same.metadata == {"visit": 1234}
        same["id"] = 0
        assert catalog["id"].tolist() == [3, 1, 2]


def test_a_masked_value_is_the_default(schema):
    catalog = SourceCatalog(schema, {"coord_ra": np.ma.array([1.0, 2.0], mask=[False, True])})
    assert catalog["coord_ra"][0] == 1.0
    assert np.isnan(catalog["coord_ra"][1])


def test_repr_shows_the_state(catalog):
    assert repr(catalog) == "SourceCatalog(3 rows, 11 columns)"
    assert "<table" in catalog._repr_html_()


def test_rows_that_are_not_there_are_not_deleted():
    catalog = SourceCatalog(columns={"id": np.arange(10)})
    with pytest.raises(IndexError, match="no rows 4:17 in a catalog of 10"):
        del catalog[4:17]
    assert len(catalog) == 10


def test_slices_share_aliases_and_copies_do_not():
    catalog = SourceCatalog(columns={"id": [1, 2, 3]})
    part, copied = catalog[:2], catalog.copy()
    catalog.schema.aliases["number"] = "id"
    assert part["number"].tolist() == [1, 2]
    assert "number" not in copied.schema


def test_numbers_that_a_column_cannot_hold_are_refused():
    schema = SourceCatalog.minimal_schema()
    schema.add_field("flux", "F")
    with pytest.raises(TypeError, match="without loss"):
        SourceCatalog(schema, {"flux": [1e300]})
    with pytest.raises(ValueError, match="a value for each row, not the single value"):
        SourceCatalog(schema, {"flux": 0.0})
    assert np.isinf(SourceCatalog(schema, {"flux": [np.inf]})["flux"][0])
