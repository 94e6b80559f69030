"""Source catalogs as Parquet: schema, aliases and metadata stay, and any table is read out of them."""

from pathlib import Path

import numpy as np
import pytest

from skybutler.imaging import Camera, Detector, SourceCatalog
from skybutler.imaging.geometry import Box2I, Extent2I, Point2I
from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.model.storage_class import storage_class
from skybutler.storage import files
from skybutler.storage.datastore import Datastore

CATALOG = storage_class("SourceCatalog")
REF = DatasetRef(
    DatasetType("src", ["visit", "detector"], "SourceCatalog"), {"instrument": "Cam", "visit": 1, "detector": 2}, "r"
)


def a_catalog() -> SourceCatalog:
    schema = SourceCatalog.minimal_schema()
    schema.add_field("psf_flux", "F", "flux of a point source", "nJy")
    schema.add_field("psf_flag", "Flag", "it failed")
    schema.add_field("moments", "D", "three of them", "pixel**2", shape=(3,))
    schema.aliases["slot_PsfFlux"] = "psf"
    columns = {
        "id": np.arange(5) + 2**50,
        "coord_ra": np.linspace(1, 2, 5),
        "coord_dec": np.linspace(0, 1, 5),
        "psf_flux": np.array([1, 200, np.nan, 400, 5], np.float32),
        "psf_flag": np.array([True, False, False, True, False]),
        "moments": np.arange(15.0).reshape(5, 3),
    }
    return SourceCatalog(schema, columns, metadata={"visit": 1})


def test_a_catalog_comes_back_with_schema_aliases_and_metadata(tmp_path: Path):
    catalog = a_catalog()
    datastore = Datastore(tmp_path)
    stored = datastore.write(catalog, REF, CATALOG)
    again = datastore.read(stored, CATALOG)
    assert [field.name for field in again.schema] == [field.name for field in catalog.schema]
    for field in catalog.schema:
        np.testing.assert_array_equal(again[field.name], catalog[field.name])
    assert dict(again.schema.aliases) == dict(catalog.schema.aliases)
    assert again.metadata == catalog.metadata
    assert datastore.read(stored, CATALOG, "rowcount") == 5
    assert datastore.read(stored, CATALOG, "columns")[:2] == ["id", "coord_ra"]
    schema = datastore.read(stored, CATALOG, "schema")
    assert [(f.name, f.units, f.doc) for f in schema] == [(f.name, f.units, f.doc) for f in catalog.schema]


@pytest.mark.parametrize("kind", ["DataFrame", "ArrowTable", "AstropyTable", "NumpyRecords"])
def test_any_table_is_read_out_of_a_catalog_and_becomes_one(tmp_path: Path, kind):
    catalog = a_catalog()
    datastore = Datastore(tmp_path)
    table = datastore.read(datastore.write(catalog, REF, CATALOG), storage_class(kind))
    assert len(table) == 5
    again = datastore.read(datastore.write(table, REF, CATALOG), CATALOG)
    np.testing.assert_array_equal(again["psf_flux"], catalog["psf_flux"])
    np.testing.assert_array_equal(again["moments"], catalog["moments"])
    if kind != "NumpyRecords":
        assert again.schema["psf_flux"].units == "nJy"
        assert again.metadata == {"visit": 1}


def test_part_of_a_catalog_is_one(tmp_path: Path):
    files.write(a_catalog(), tmp_path / "src.parquet")
    part = files.read(tmp_path / "src.parquet", columns=["id", "psf_*"], filters="psf_flux > 100 and not psf_flag")
    assert isinstance(part, SourceCatalog)
    assert part["id"].tolist() == [2**50 + 1]


def test_a_camera_is_json(tmp_path: Path):
    box = Box2I(Point2I(0, 0), Extent2I(10, 20))
    camera = Camera("Cam", [Detector(0, "S00", box, ()), Detector(1, "S01", box, ())])
    files.write(camera, tmp_path / "camera.json")
    again = files.read(tmp_path / "camera.json", "Camera")
    assert (again.name, again["S01"]) == ("Cam", camera[1])


@pytest.mark.parametrize(
    ("text", "count"),
    [("0.5 * a + 1 < a", 1), ("-a < -3", 1), ("3 > a > 1", 1), ("a in (-1, 2)", 1), ("1 == 1", 3)],
)
def test_numbers_stand_on_either_side_of_columns(text: str, count: int) -> None:
    import pyarrow as pa

    from skybutler.storage.filters import row_filter

    table = pa.table({"a": [1.0, 2.0, 30.0]})
    assert table.filter(row_filter(text, ["a"])).num_rows == count
