"""LSST's butler writes tables, and reads ours; runs in a Python that has lsst-daf-butler, told by test_lsst_parquet.py.

    python lsst_parquet.py FOLDER OURS...

Prints as JSON where the files that it wrote lie, and what it read in each of ours.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy import units
from astropy.table import MaskedColumn, Table
from lsst.daf.butler import Butler, DatasetRef, DatasetType, FileDataset

CLASSES = ("DataFrame", "ArrowTable", "ArrowAstropy", "ArrowNumpy")


def theirs() -> dict[str, object]:
    """Return a table of each of LSST's storage classes."""
    table = Table({"id": np.arange(3), "flux": np.array([1.5, np.nan, 3.0], "f4"), "name": ["a", "bb", "ü"]})
    table["flux"].unit, table["flux"].description = units.nJy, "calibrated flux"
    table["shape"] = np.arange(18.0).reshape(3, 2, 3)
    table["count"] = MaskedColumn([1, 2, 3], mask=[0, 1, 0])
    table["bytes"] = np.array([b"x", b"yy", b""], "S4")
    table.meta["origin"] = "LSST"
    index = pd.MultiIndex.from_tuples([("g", 1), ("r", 2)], names=["band", "visit"])
    frame = pd.DataFrame({"a": [1, 2], "b": pd.array([None, 3], "Int64"), "t": pd.to_datetime(["2020", None])}, index)
    levels = pd.DataFrame([[1, 2, 3]], columns=pd.MultiIndex.from_product([["g"], ["x", "y", "z"]], names=["f", "c"]))
    records = np.zeros(2, [("i", "u2"), ("s", "U7"), ("m", "f8", (2, 2)), ("flag", "?")])
    return {
        "ArrowAstropy": table,
        "DataFrame": frame,
        "Levels": levels,
        "ArrowNumpy": records,
        "ArrowTable": pa.table({"a": pa.array([1, None]), "d": pa.array(["x", "y"]).dictionary_encode()}),
    }


def seen(butler: Butler, ref: DatasetRef) -> dict[str, object]:
    """Return what the butler reads of a table as each storage class."""
    table = butler.get(ref, storageClass="ArrowAstropy")
    frame = butler.get(ref, storageClass="DataFrame")
    records = butler.get(ref, storageClass="ArrowNumpy")
    arrow = butler.get(ref, storageClass="ArrowTable")
    components = DatasetType("ours", ref.datasetType.dimensions, "ArrowTable")
    ref = DatasetRef(components, ref.dataId, ref.run, id=ref.id)
    return {
        "columns": [str(name) for name in butler.get(ref.makeComponentRef("columns"))],
        "rows": [butler.get(ref.makeComponentRef("rowcount")), len(frame), len(records), arrow.num_rows],
        "values": {name: np.ma.filled(table[name]).tolist() for name in table.colnames},
        "masks": {
            name: np.ma.getmaskarray(table[name]).tolist() for name in table.colnames if np.ma.is_masked(table[name])
        },
        "units": {name: str(table[name].unit) for name in table.colnames if table[name].unit},
        "descriptions": {name: table[name].description for name in table.colnames if table[name].description},
        "types": {name: records.dtype[name].str for name in records.dtype.names},
        "shapes": {name: list(records.dtype[name].shape) for name in records.dtype.names},
        "index": list(frame.index.names),
    }


def main() -> None:
    """Do all."""
    folder, ours = Path(sys.argv[1]), sys.argv[2:]
    butler = Butler.from_config(Butler.makeRepo(str(folder / "repo")), run="r")
    butler.registry.insertDimensionData("instrument", {"name": "Cam"})
    data_id = {"instrument": "Cam"}
    written = {}
    for name, obj in theirs().items():
        kind = DatasetType(name, ["instrument"], "DataFrame" if name == "Levels" else name, universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        written[name] = butler.getURI(butler.put(obj, kind, data_id)).ospath
    kind = DatasetType("ours", ["instrument"], "ArrowTable", universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    read = []
    for number, path in enumerate(ours):
        butler.registry.registerRun(f"run{number}")
        ref = DatasetRef(kind, butler.registry.expandDataId(data_id), f"run{number}")
        butler.ingest(FileDataset(path, [ref]), transfer="direct")
        read.append(seen(butler, ref))
    print(json.dumps({"written": written, "read": read}, default=str))


if __name__ == "__main__":
    main()
