"""What LSST's butler exports and bundles is read: its own files, made by data/make_lsst_export.py, and older ones."""

import logging
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.model.errors import DataIdError, DatasetExistsError, FileFormatError, StorageClassError
from skybutler.model.timespan import Timespan

pytestmark = pytest.mark.sqlite
DATA = Path(__file__).parent / "data"
BEGIN = Timespan.from_isot("2025-01-01T03:00:00.123456789", "2025-01-01T03:00:30.123456789")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Butler]:
    with Butler.create(tmp_path / "other") as made:
        yield made


def test_an_export_comes_whole(other: Butler):
    told = other.import_(DATA / "lsst_export", transfer="copy")
    assert str(told) == "5 datasets, 13 dimension records, 3 dataset types, 5 collections"
    table = other.get("cat", visit=1, detector=1, collections="chain")
    assert (type(table).__module__, list(table["a"])) == ("astropy.table.table", [1, 2, 1])
    assert other.get("cat", visit=1, detector=1, collections="chain", storage_class="DataFrame").shape == (3, 1)
    assert other.get("info", visit=1, collections="u/run") == {"x": 1}
    assert other.get("calib", detector=0, exposure=1, collections="cals") == {"c": 0}
    assert other.find_dataset("calib", detector=1, timespan=BEGIN, collections="cals") is None
    assert [ref.data_id["detector"] for ref in other.query_datasets("cat", "tag")] == [0]
    assert other.collections.info("chain").children == ("u/run", "cals", "tag")
    assert other.collections.info("tag").doc == "picked"
    (visit,) = other.query_dimension_records("visit")
    assert (visit.timespan, visit.azimuth, visit.region.contains(0.5, 0.5)) == (BEGIN, 3.0, True)
    assert len(list(other.query_dimension_records("visit_detector_region", where="POINT(0.5, 0.5) OVERLAPS "
                                                  "visit_detector_region.region"))) == 2  # fmt: skip
    head = yaml.load((DATA / "lsst_export/export.yaml").read_text(), Loader=yaml.BaseLoader)
    given = {r["dataset_id"][0] for part in head["data"] if part["type"] == "dataset" for r in part["records"]}
    assert {str(ref.id) for ref in other.query_all_datasets("*", collections="*", find_first=False)} == given
    with pytest.raises(DatasetExistsError):
        other.import_(DATA / "lsst_export")
    assert other.import_(DATA / "lsst_export", skip_existing=True).known == 5


def test_what_came_from_lsst_goes_on_as_any_other(other: Butler, tmp_path: Path):
    other.import_(DATA / "lsst_export", transfer="copy")
    other.export(tmp_path / "out")
    with Butler.create(tmp_path / "third") as third:
        third.import_(tmp_path / "out")
        assert third.get("info", visit=1, collections="u/run") == {"x": 1}


def test_a_bundle_of_lsst_is_read_where_it_lies(other: Butler, tmp_path: Path):
    with pytest.raises(DataIdError, match="Cam"):
        other.ingest_zip(DATA / "lsst_bundle.zip", "copy")
    with Butler.create(tmp_path / "source") as source:
        source.import_(DATA / "lsst_export", transfer="copy")
        for element in ("instrument", "physical_filter", "detector", "day_obs", "visit"):
            other.insert_dimension_records(element, list(source.query_dimension_records(element)))
    told = other.ingest_zip(DATA / "lsst_bundle.zip", "copy")
    assert (told.datasets, told.dataset_types, told.collections) == (5, 3, 2)
    assert other.get("info", visit=1, collections="u/run") == {"x": 1}
    assert list(other.get("cat", visit=1, detector=0, collections="u/run")["a"]) == [1, 2, 0]
    assert len(list(other.root.rglob("*.zip"))) == 1


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """Return a copy of the export in which a text is another."""
    folder = Path(shutil.copytree(DATA / "lsst_export", tmp_path / "changed"))
    text = (folder / "export.yaml").read_text()
    assert old in text
    (folder / "export.yaml").write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize(
    ("old", "new", "error", "told"),
    [
        ("storage_class: ArrowAstropy", "storage_class: ArrowAstropie", StorageClassError,
         r"'ArrowAstropie', which has no counterpart here. Did you mean 'ArrowAstropy'"),
        ("parquet.ParquetFormatter", "pickle.PickleFormatter", FileFormatError, r"was written by .*PickleFormatter"),
        ("      detector: 0\n", "      detector: '../0'\n", FileFormatError, r"detector='../0' of a dataset"),
        ("element: group", "element: grouping", DataIdError, r"no group 'g1'"),
        ("\n  - band\n", "\n  - bend\n", DataIdError, "unknown dimension 'bend'"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused_before_anything_is_written(
    other: Butler, tmp_path: Path, old: str, new: str, error: type[Exception], told: str
):
    with pytest.raises(error, match=told):
        other.import_(changed(tmp_path, old, new), transfer="copy")
    assert not other.sql("SELECT * FROM dataset")[1]
    assert not (tmp_path / "other" / "u").exists()


def test_what_a_universe_lacks_is_told_and_left_out(other: Butler, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = changed(tmp_path, "    azimuth: 3.0\n", "    azimuth: 3.0\n    moon_phase: 0.5\n")
    text = (folder / "export.yaml").read_text()
    (folder / "export.yaml").write_text(
        text.replace("data:\n", "data:\n- {type: dimension, element: ssp_table, records: [{name: x}]}\n", 1)
    )
    with caplog.at_level(logging.WARNING):
        other.import_(folder, transfer="copy")
    assert "of records of visit, moon_phase is left out: this repository's dimensions" in caplog.text
    assert "1 records of ssp_table, of version 8 of daf_butler, are left out" in caplog.text


OLD = """
description: Butler Data Repository Export
version: 0
data:
- {type: dimension, element: instrument, records: [{name: Cam1, visit_max: 1024}]}
- {type: dimension, element: physical_filter, records: [{instrument: Cam1, name: G, band: g}]}
- {type: dimension, element: detector, records: [{instrument: Cam1, id: 1, full_name: Aa}]}
- {type: dimension, element: visit_system, records: [{instrument: Cam1, id: 0, name: one}]}
- type: dimension
  element: exposure
  records:
  - {instrument: Cam1, id: 7, obs_id: x, physical_filter: G, day_obs: 20200101, group_name: gg, group_id: 5,
     datetime_begin: 2020-01-01 00:00:00, datetime_end: 2020-01-01 00:00:30}
- type: dimension
  element: visit
  records:
  - {instrument: Cam1, id: 7, name: v, physical_filter: G, day_obs: 20200101, visit_system: 0,
     datetime_begin: 2020-01-01, datetime_end: null}
- {type: run, name: r}
- {type: dataset_type, name: thing, dimensions: [instrument, detector, visit, visit_system],
   storage_class: StructuredDataDict}
- type: dataset
  dataset_type: thing
  run: r
  records:
  - {dataset_id: [12], data_id: [{instrument: Cam1, detector: 1, visit: 7, visit_system: 0}], path: thing.json}
- {type: associations, collection: t, collection_type: TAGGED, dataset_ids: [12]}
"""


def test_an_export_of_an_old_universe_is_brought_up_to_date(other: Butler, tmp_path: Path):
    (tmp_path / "thing.json").write_text('{"a": 1}')
    (tmp_path / "old.yaml").write_text(OLD)
    other.import_(tmp_path / "old.yaml", transfer="copy")
    (ref,) = other.query_datasets("thing", "t")
    assert ref.id == uuid.uuid3(uuid.UUID("4d4851f4-2890-4d41-8779-5f38a3f5062b"), "12")
    assert other.get(ref) == {"a": 1}
    (exposure,) = other.query_dimension_records("exposure")
    assert (exposure.group, exposure.day_obs) == ("gg", 20200101)
    assert exposure.timespan == Timespan.from_isot("2020-01-01T00:00:00", "2020-01-01T00:00:30", scale="utc")
    assert [record.visit_system for record in other.query_dimension_records("visit_system_membership")] == [0]
    assert other.collections.list("t") == ["t"]
