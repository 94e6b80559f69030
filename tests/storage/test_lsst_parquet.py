"""Parquet files of LSST's butler are read with all that they carry, and it reads ours.

LSST's butler runs in a Python of its own: ``SKYBUTLER_LSST_PYTHON``, else ``.lsst-venv`` (``make lsst-venv``).
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time

from skybutler.imaging import SourceCatalog
from skybutler.model.errors import InvalidQueryError
from skybutler.storage import files

ROOT = Path(__file__).parents[2]
PLACES = [os.environ.get("SKYBUTLER_LSST_PYTHON", ""), ROOT / ".lsst-venv/bin/python", "/opt/lsst/venv/bin/python"]

pytestmark = pytest.mark.xdist_group("lsst_parquet")


def our_table() -> Table:
    table = Table({"id": np.arange(3) + 2**60, "flux": np.array([1.5, np.nan, -3.0]), "name": ["a", "bb", "ü"]})
    table["flux"].unit, table["flux"].description = units.nJy, "calibrated flux"
    table["shape"] = np.arange(18, dtype="f4").reshape(3, 2, 3)
    table["count"] = MaskedColumn([1, 2, 3], mask=[0, 1, 0], dtype="i2")
    table["flag"] = [True, False, True]
    table["complex"] = np.array([1 + 2j, 3, 4j])
    table.meta["origin"] = "here"
    return table


def our_catalog() -> SourceCatalog:
    schema = SourceCatalog.minimal_schema()
    schema.add_field("flux", "D", "PSF flux", "nJy")
    schema.add_field("cov", "F", shape=(2, 2))
    schema.add_field("label", "String", "its name", size=6)
    columns = {"id": [1, 2], "flux": [1.0, 2.0], "cov": np.ones((2, 2, 2), "f4"), "label": ["x", "yy"]}
    return SourceCatalog(schema, columns, metadata={"visit": 5})


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What LSST's butler wrote, and what it read of ours."""
    python = next((Path(place) for place in PLACES if place and Path(place).exists()), None)
    if python is None:
        pytest.skip("no Python with lsst-daf-butler: `make lsst-venv`, or set SKYBUTLER_LSST_PYTHON")
    folder = tmp_path_factory.mktemp("lsst")
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([5, 6], name="number"))
    mixins = QTable({"time": Time(["2020-01-01", "2021-01-01"]), "flux": [1, 2] * units.nJy})
    ours = {"table": our_table(), "catalog": our_catalog(), "frame": frame, "mixins": mixins}
    for name, obj in ours.items():
        files.write(obj, folder / f"{name}.parquet")
    command = [str(python), str(Path(__file__).with_name("lsst_parquet.py")), str(folder)]
    command += [str(folder / f"{name}.parquet") for name in ours]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    return {"written": said["written"], "read": dict(zip(ours, said["read"], strict=True))}


def test_lsst_reads_our_tables(met):
    seen, table = met["read"]["table"], our_table()
    assert seen["columns"] == table.colnames
    assert seen["rows"] == [3, 3, 3, 3]
    assert seen["units"] == {"flux": "nJy"}
    assert seen["descriptions"] == {"flux": "calibrated flux"}
    assert seen["masks"] == {"count": [False, True, False]}
    assert seen["values"]["shape"] == table["shape"].tolist()
    assert seen["values"]["name"] == ["a", "bb", "ü"]
    assert seen["values"]["id"] == table["id"].tolist()
    assert seen["values"]["complex"] == [[1, 2], [3, 0], [0, 4]]
    assert (seen["types"]["name"], seen["types"]["count"], seen["shapes"]["shape"]) == ("<U2", "<i2", [2, 3])


def test_lsst_reads_our_catalogs_and_frames(met):
    seen = met["read"]["catalog"]
    assert seen["units"] == {"flux": "nJy", "coord_ra": "rad", "coord_dec": "rad"}
    assert seen["descriptions"]["flux"] == "PSF flux"
    assert (seen["types"]["label"], seen["shapes"]["cov"]) == ("<U6", [2, 2])
    assert met["read"]["frame"]["index"] == ["number"]
    assert met["read"]["frame"]["columns"] == ["a", "number"]  # its Arrow tables count the index
    assert met["read"]["mixins"]["rows"] == [2, 2, 2, 2]


def test_lsst_s_astropy_tables_come_with_all_they_carry(met):
    path = met["written"]["ArrowAstropy"]
    table = files.read(path, "AstropyTable")
    assert (table["flux"].unit, table["flux"].description) == (units.nJy, "calibrated flux")
    assert table["shape"].shape == (3, 2, 3)
    assert table["count"].mask.tolist() == [False, True, False]
    assert (table["bytes"].dtype, table["name"].dtype) == (np.dtype("S4"), np.dtype("U2"))
    assert table.meta["origin"] == "LSST"
    assert table.meta["LSST.BUTLER.DATASETTYPE"] == "ArrowAstropy"
    records = files.read(path, "NumpyRecords", columns=["shape", "c*"])
    assert records.dtype["shape"].shape == (2, 3)
    assert files.read(path, "DataFrame")["shape"][1].tolist() == table["shape"][1].tolist()
    assert files.read(path, "SourceCatalog").schema["flux"].units == "nJy"


def test_lsst_s_frames_keep_their_indexes_and_levels(met):
    frame = files.read(met["written"]["DataFrame"], "DataFrame")
    assert list(frame.index.names) == ["band", "visit"]
    assert frame["b"].dtype == pd.Int64Dtype()
    assert frame["b"].isna().tolist() == [True, False]
    levels = files.read(met["written"]["Levels"], "DataFrame")
    assert levels.columns.names == ["f", "c"]
    some = files.read(met["written"]["Levels"], "DataFrame", columns={"f": "g", "c": ["z", "x"]})
    assert some.to_dict("list") == {("g", "x"): [1], ("g", "z"): [3]}
    assert files.read(met["written"]["Levels"], "DataFrame", columns=[("g", "y")]).to_dict("list") == {("g", "y"): [2]}
    with pytest.raises(InvalidQueryError, match="no level 'k'"):
        files.read(met["written"]["Levels"], "DataFrame", columns={"k": "g"})


def test_lsst_s_records_and_arrow_tables_come_back(met):
    records = files.read(met["written"]["ArrowNumpy"], "NumpyRecords")
    assert records.dtype == np.dtype([("i", "u2"), ("s", "U7"), ("m", "f8", (2, 2)), ("flag", "?")])
    table = files.read(met["written"]["ArrowTable"], "ArrowTable")
    assert table.to_pydict() == {"a": [1, None], "d": ["x", "y"]}
    assert files.read(met["written"]["ArrowTable"], "ArrowTable", component="rowcount") == 2
