"""Footprints of a catalog's sources: kept with their rows, and through files."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

import skybutler
from skybutler.imaging import (
    Footprint,
    HeavyFootprint,
    Image,
    Mask,
    MaskedImage,
    MaskSchema,
    Peak,
    PhotoCalib,
    SourceCatalog,
    Spans,
)
from skybutler.imaging.footprint_columns import from_arrow_column
from skybutler.model.errors import FileFormatError, StorageClassError


def a_footprint(x=1, y=3):
    return Footprint(
        Spans([(y, x, x + 4), (y + 1, x + 1, x + 3)]), [Peak(x + 2, y, 10.0, id=7), Peak(x + 2, y + 1, 5.0)]
    )


def a_catalog():
    catalog = SourceCatalog(SourceCatalog.minimal_schema(), {"id": [30, 10, 40, 20]})
    image = MaskedImage(np.arange(100, dtype="float32").reshape(10, 10))
    catalog[1].footprint = a_footprint()
    catalog[3].setFootprint(HeavyFootprint.from_image(a_footprint(5, 5), image))
    return catalog


def owners(catalog):
    return {record.id: None if record.footprint is None else record.footprint.bbox.min for record in catalog}


ALL = {30: None, 10: (1, 3), 40: None, 20: (5, 5)}


def test_records_have_footprints():
    catalog = SourceCatalog(SourceCatalog.minimal_schema(), {"id": [1, 2]})
    assert catalog.footprints is None
    assert catalog[0].footprint is None
    catalog[1].footprint = a_footprint()
    assert catalog.footprints == [None, a_footprint()]
    assert catalog[1].getFootprint().area == 8
    catalog[-1].footprint = None
    assert catalog.footprints == [None, None]
    catalog.footprints = None
    assert catalog.footprints is None
    with pytest.raises(TypeError, match="a Footprint, or None, not a Box2I"):
        catalog[0].footprint = a_footprint().bbox
    with pytest.raises(ValueError, match="1 footprints for a catalog of 2 rows"):
        catalog.footprints = [None]
    with pytest.raises(IndexError):
        catalog.set_footprint(2, a_footprint())


def test_footprints_go_with_their_rows():
    catalog = a_catalog()
    assert owners(catalog) == ALL
    catalog.sort()
    assert catalog.footprints[0] == a_footprint()
    assert owners(catalog) == ALL
    assert owners(catalog[1:3]) == {20: (5, 5), 30: None}
    assert owners(catalog[::-1]) == ALL
    assert owners(catalog.subset(catalog["id"] < 25)) == {10: (1, 3), 20: (5, 5)}
    assert owners(catalog[[3, 1]]) == {40: None, 20: (5, 5)}
    copy = catalog.copy()
    copy[0].footprint = None
    assert catalog[0].footprint is not None
    del catalog[0]
    assert owners(catalog) == {20: (5, 5), 30: None, 40: None}


def test_footprints_go_with_rows_that_are_added():
    catalog = a_catalog()
    made = SourceCatalog(catalog.schema)
    for record in catalog:
        made.append(record)
    assert owners(made) == ALL
    for _ in range(40):
        assert made.add_new().footprint is None
    assert owners(made[:4]) == ALL
    bare = SourceCatalog(SourceCatalog.minimal_schema(), {"id": [1]})
    bare.extend(catalog)
    assert owners(bare) == {1: None, **ALL}
    catalog.extend(SourceCatalog(catalog.schema, {"id": [1]}))
    assert owners(catalog) == {**ALL, 1: None}


def test_fluxes_are_added_beside_footprints():
    schema = SourceCatalog.minimal_schema()
    schema.add_field("a_instFlux", "D")
    catalog = SourceCatalog(schema, {"a_instFlux": [1.0]}, footprints=[a_footprint()])
    assert PhotoCalib(10.0).calibrate_catalog(catalog).footprints == [a_footprint()]


@pytest.mark.parametrize("name", ["a.parquet", "a.fits"])
@pytest.mark.parametrize("rows", [slice(None), slice(1, 2), slice(0, 1), slice(0, 0)])
def test_files_keep_footprints(tmp_path, name, rows):
    catalog = a_catalog()[rows]
    skybutler.write(catalog, tmp_path / name)
    back = skybutler.read(tmp_path / name, "SourceCatalog")
    assert back.schema == catalog.schema
    assert (back.footprints or [None] * len(back)) == catalog.footprints
    for given, found in zip(catalog.footprints, back.footprints or (), strict=False):
        if given is not None:
            assert [peak.id for peak in found.peaks] == [7, 0]
            assert not given.is_heavy or found.image.dtype == given.image.dtype == np.float32


def test_parts_of_files_have_their_footprints(tmp_path):
    path = tmp_path / "a.parquet"
    skybutler.write(a_catalog(), path)
    assert owners(skybutler.read(path, "SourceCatalog", filters="id > 15", rows=slice(1, 3))) == {40: None, 20: (5, 5)}
    assert skybutler.read(path, "SourceCatalog", columns=["id"]).footprints is None
    assert skybutler.read(path, "SourceCatalog", columns="footprint").footprints == a_catalog().footprints


def test_others_read_footprints_in_parquet(tmp_path):
    skybutler.write(a_catalog(), tmp_path / "a.parquet")
    column = pq.read_table(tmp_path / "a.parquet")["footprint"].to_pylist()
    assert column[0] is None
    assert column[1]["spans"] == [{"y": 3, "x0": 1, "x1": 5}, {"y": 4, "x0": 2, "x1": 4}]
    assert column[1]["peaks"][0] == {"id": 7, "x": 3, "y": 3, "value": 10.0}
    assert column[1]["pixels"] is None
    assert column[3]["pixels"]["image"] == [55, 56, 57, 58, 59, 66, 67, 68]


def test_footprints_in_fits_are_where_afw_looks_for_them(tmp_path):
    skybutler.write(a_catalog(), tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits") as file:
        file.verify("exception")
        assert [hdu.header["EXTTYPE"] for hdu in file[2:]] == ["ARCHIVE_INDEX"] + ["ARCHIVE_DATA"] * 4
        assert file[1].header["AR_HDU"] == 3
        assert file[1].data["footprint"].tolist() == [0, 1, 0, 3]
        index, ids, spans, peaks, heavy = file[2:]
        assert (index.header["AR_CATN"], index.header["AR_NCAT"], heavy.header["AR_CATN"]) == (0, 5, 4)
        rows = [tuple(row) for row in index.data]
        assert rows[0] == (2, 2, 0, 0, 2, "SpanSet", "lsst.afw.geom")
        assert rows[1] == (1, 1, 0, 0, 1, "Footprint", "lsst.afw.detection")
        assert rows[2] == (1, 3, 1, 0, 2, "Footprint", "lsst.afw.detection")
        assert rows[-1] == (3, 4, 2, 0, 1, "HeavyFootprintF", "lsst.afw.detection")
        assert ids.data["id"].tolist() == [2, 4]
        assert spans.data["x0"].tolist() == [1, 2, 5, 6]
        assert peaks.data["i_y"].tolist() == [3, 4, 5, 6]
        assert heavy.data["image"][0].tolist() == [55, 56, 57, 58, 59, 66, 67, 68]
        assert heavy.header["AR_NAME"] == "HeavyFootprintF"


def test_masks_that_afw_has_no_room_for_are_refused(tmp_path):
    spans = Spans([(0, 0, 1)])
    heavy = HeavyFootprint(Footprint(spans), np.zeros(2, "uint16"), np.array([1 << 40, 0]))
    catalog = SourceCatalog(columns={"id": [1]}, footprints=[heavy])
    with pytest.raises(StorageClassError, match="up to bit 31"):
        skybutler.write(catalog, tmp_path / "a.fits")
    catalog.footprints = [HeavyFootprint(Footprint(spans), np.array([1, 60000], "uint16"))]
    skybutler.write(catalog, tmp_path / "a.fits")
    assert skybutler.read(tmp_path / "a.fits").footprints[0].image.tolist() == [1, 60000]


def test_columns_that_are_not_footprints_are_refused():
    broken = pa.array([{"spans": [{"y": 0, "x0": 3, "x1": 1}], "peaks": []}])
    with pytest.raises(FileFormatError, match="column of footprints"):
        from_arrow_column(pa.chunked_array([broken]), pa.field("footprint", broken.type))


def test_footprints_of_hsc_are_read(shared_data):
    catalog = skybutler.read(shared_data / "afw" / "sourceCatalog-hsc-v2.fits")
    assert [one.area for one in catalog.footprints][:3] == [175, 120, 333]
    assert catalog[0].footprint.peaks[0].position == (49, 7)
    assert catalog[0].footprint.peaks[0].id == 156082
    assert "footprint" not in catalog.schema


def test_footprints_of_early_files_are_read(shared_data, tmp_path):
    catalog = skybutler.read(shared_data / "afw" / "old-footprint-persistence.fits")
    one, other = catalog.footprints
    assert (one.area, other.area) == (495, 767)
    assert (one.is_heavy, other.is_heavy) == (False, True)
    assert (len(one.spans), len(other.spans)) == (29, 44)
    assert (len(one.peaks), len(other.peaks)) == (1, 1)
    assert (*one.bbox.min, *one.bbox.dimensions) == (129, 2, 25, 29)
    assert (*other.bbox.min, *other.bbox.dimensions) == (1184, 2, 78, 38)
    assert other.image[0] == np.float32(0.77986246)
    assert (other.mask[0], other.variance[0]) == (1072, np.float32(721.28986))
    skybutler.write(catalog, tmp_path / "again.fits")
    assert skybutler.read(tmp_path / "again.fits").footprints == catalog.footprints


def test_what_peaks_lose_is_said_once(shared_data, caplog):
    catalog = skybutler.read(shared_data / "afw" / "deepCoadd_meas_HSC_v2.fits")
    assert len(catalog.footprints) == 10
    assert sum(len(one.peaks) for one in catalog.footprints) == 31
    assert [record.message for record in caplog.records if "of its peaks" in record.message] != []
    assert len([record for record in caplog.records if "of its peaks" in record.message]) == 1


def test_masks_of_other_planes_go_by_name_into_images_and_files(tmp_path):
    own = MaskSchema.from_dict({"CR": 0, "GHOST": 3})
    image = MaskedImage(Image.full((2, 1), 1.0), Mask.full((2, 1), ["CR", "GHOST"], schema=own))
    heavy = HeavyFootprint.from_image(Footprint(image.bbox), image)
    target = MaskedImage(Image.full((2, 1), 0.0), Mask.full((2, 1), schema=MaskSchema.from_dict({"GHOST": 5})))
    heavy.insert(target)
    assert target.mask.interpret(int(target.mask[0, 0])) == "CR,GHOST"

    catalog = SourceCatalog(columns={"id": [1, 2]}, footprints=[heavy, None])
    again = SourceCatalog.from_arrow(catalog.to_arrow()).footprints[0]
    assert again == heavy
    assert int(again.mask[0]) == 8 | 1 << MaskSchema.default().with_plane("GHOST").bit("GHOST")
    skybutler.write(catalog, tmp_path / "sources.fits")
    assert int(skybutler.read(tmp_path / "sources.fits").footprints[0].mask[0]) == int(again.mask[0])
