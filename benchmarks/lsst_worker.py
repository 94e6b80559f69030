"""LSST's butler, doing what it is told on standard input; runs in a Python that has lsst-daf-butler.

Each line names a job and a number; the answer is the seconds that it took. Spoken to by ``butler.py``.
"""

import sys
import time

import numpy as np
import pandas as pd
from lsst.daf.butler import Butler, DatasetType


def make(root: str, visits: int, detectors: int) -> Butler:
    """Make a repository with the records and dataset types that the jobs need."""
    config = Butler.makeRepo(root)
    butler = Butler.from_config(config, run="bench")
    registry = butler.registry
    registry.insertDimensionData("instrument", {"name": "Cam"})
    registry.insertDimensionData("physical_filter", {"instrument": "Cam", "name": "r", "band": "r"})
    registry.insertDimensionData("day_obs", {"instrument": "Cam", "id": 20260101})
    registry.insertDimensionData(
        "detector", *({"instrument": "Cam", "id": i, "full_name": f"S{i:03d}"} for i in range(detectors))
    )
    registry.insertDimensionData(
        "visit",
        *(
            {"instrument": "Cam", "id": i, "name": str(i), "physical_filter": "r", "day_obs": 20260101}
            for i in range(visits)
        ),
    )
    dimensions = ["instrument", "visit", "detector"]
    for name, storage_class in (
        ("table", "DataFrame"),
        ("facts", "StructuredDataDict"),
        ("filler", "StructuredDataDict"),
    ):
        registry.registerDatasetType(DatasetType(name, dimensions, storage_class, universe=butler.dimensions))
    data_ids = [{"instrument": "Cam", "visit": v, "detector": d} for v in range(visits) for d in range(detectors)]
    registry.insertDatasets("filler", data_ids, run="bench")
    return butler


def main() -> None:
    """Answer jobs until the input ends."""
    root, visits, detectors = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    butler = make(root, visits, detectors)
    frame = pd.DataFrame(np.random.default_rng(1).random((100, 10)), columns=list("abcdefghij"))
    facts = {"a": 1, "b": [1.5, 2.5], "c": "text"}
    jobs = {
        "put table": lambda data_id: butler.put(frame, "table", data_id),
        "get table": lambda data_id: butler.get("table", data_id),
        "put dict": lambda data_id: butler.put(facts, "facts", data_id),
        "get dict": lambda data_id: butler.get("facts", data_id),
        "find": lambda data_id: butler.find_dataset("filler", data_id),
    }
    print("ready", flush=True)
    for line in sys.stdin:
        job, _, number = line.strip().rpartition(" ")
        data_id = {"instrument": "Cam", "visit": int(number) % visits, "detector": int(number) // visits}
        begin = time.perf_counter()
        jobs[job](data_id)
        print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
