"""LSST's butler, doing what it is told on standard input; runs in a Python that has lsst-daf-butler.

Each line names a job and a number; the answer is the seconds that it took. Spoken to by ``butler.py``.
"""

import sys
import time

import numpy as np
import pandas as pd
from lsst.daf.butler import Butler, DatasetType


def make(root: str, visits: int, detectors: int) -> tuple[Butler, float]:
    """Make a repository with what the jobs need; return it, and the seconds that registering its datasets took."""
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
            {
                "instrument": "Cam",
                "id": i,
                "name": str(i),
                "physical_filter": "r",
                "day_obs": 20260101,
                "exposure_time": 30.0 + i % 7,
            }
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
    begin = time.perf_counter()
    registry.insertDatasets("filler", data_ids, run="bench")
    return butler, time.perf_counter() - begin


def count(butler: Butler) -> int:
    """Count datasets by a column of their visits."""
    with butler.query() as query:
        found = query.datasets("filler", "bench").where("instrument = 'Cam' AND visit.exposure_time > 33")
        return found.count()


def main() -> None:
    """Answer jobs until the input ends."""
    root, visits, detectors = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    butler, fill_seconds = make(root, visits, detectors)
    frame = pd.DataFrame(np.random.default_rng(1).random((100, 10)), columns=list("abcdefghij"))
    facts = {"a": 1, "b": [1.5, 2.5], "c": "text"}
    jobs = {
        "put table": lambda data_id: butler.put(frame, "table", data_id),
        "get table": lambda data_id: butler.get("table", data_id),
        "put dict": lambda data_id: butler.put(facts, "facts", data_id),
        "get dict": lambda data_id: butler.get("facts", data_id),
        "find": lambda data_id: butler.find_dataset("filler", data_id),
        "one visit's refs": lambda data_id: butler.query_datasets(
            "filler", collections="bench", where=f"instrument = 'Cam' AND visit = {data_id['visit']}", limit=None
        ),
        "a ref of many": lambda _: butler.query_datasets("filler", collections="bench", limit=100_000),
        "count by a column": lambda _: count(butler),
        "order by, limit 10": lambda _: butler.query_datasets(
            "filler", collections="bench", order_by=["-visit.exposure_time", "detector"], limit=10
        ),
    }
    print("ready", fill_seconds, flush=True)
    for line in sys.stdin:
        job, _, number = line.strip().rpartition(" ")
        data_id = {"instrument": "Cam", "visit": int(number) % visits, "detector": int(number) // visits}
        begin = time.perf_counter()
        jobs[job](data_id)
        print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
