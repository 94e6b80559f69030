"""Storage jobs: SkyButler beside what the libraries below it take for the same.

One function a job; each yields rows (name, raw action, SkyButler's action, aim). Raw and ours take turns; medians, and
the median of the ratios of each turn, are printed.

    python benchmarks/storage.py [--rounds 7] [--catalogs 1000] [--only WORD]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.parquet as pq
from astropy.table import Table

from skybutler import Butler
from skybutler.storage.tables import from_arrow, to_arrow
from skybutler.testing.small_repository import fill_repository

Row = tuple[str, Callable[[], Any], Callable[[], Any], str]
RNG = np.random.default_rng(1)


def conversions(folder: Path, args: argparse.Namespace) -> Iterator[Row]:
    """Tables into tables: one wide column of arrays, and very many columns."""
    values = RNG.random((200_000, 4))
    arrays = Table({"a": values}, copy=False)
    arrow = to_arrow(arrays)

    def flat() -> pa.Table:
        return pa.table({"a": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 4)})

    yield "(200,000 x 4) astropy to Arrow", flat, lambda: to_arrow(arrays), "2 x or 1 ms"
    yield (
        "(200,000 x 4) Arrow to astropy",
        lambda: Table({"a": arrow["a"].chunk(0).flatten().to_numpy().reshape(-1, 4)}, copy=False),
        lambda: from_arrow(arrow, "AstropyTable"), "2 x or 1 ms",
    )  # fmt: skip
    yield "(200,000 x 4) Arrow to pandas", arrow.to_pandas, lambda: from_arrow(arrow, "DataFrame"), "2 x"
    frame = arrow.to_pandas()
    yield "(200,000 x 4) pandas to Arrow", lambda: pa.Table.from_pandas(frame), lambda: to_arrow(frame), "2 x"
    columns = {f"c{i}": RNG.random(1000) for i in range(1500)}
    wide = pa.table(columns)
    plain = Table(columns)
    yield (
        "1,500 columns astropy to Arrow",
        lambda: pa.table({name: np.asarray(plain[name]) for name in plain.colnames}),
        lambda: to_arrow(plain), "2 x",
    )  # fmt: skip
    yield (
        "1,500 columns Arrow to astropy",
        lambda: Table({f.name: c.to_numpy() for f, c in zip(wide.schema, wide.columns, strict=True)}, copy=False),
        lambda: from_arrow(wide, "AstropyTable"), "2 x",
    )  # fmt: skip
    many = wide.to_pandas()
    yield "1,500 columns Arrow to pandas", wide.to_pandas, lambda: from_arrow(wide, "DataFrame"), "2 x"
    yield "1,500 columns pandas to Arrow", lambda: pa.Table.from_pandas(many), lambda: to_arrow(many), "2 x"


def tables(folder: Path, args: argparse.Namespace) -> Iterator[Row]:
    """Put and get of a catalog, beside pyarrow with the same flushes and no registry."""
    butler = a_butler(folder / "tables", 4000)
    frame = pd.DataFrame({f"c{i}": RNG.random(20_000) for i in range(30)})
    table = pa.Table.from_pandas(frame)
    numbers = iter(range(10**9))
    visits = iter(range(1, 4001))

    def write() -> None:
        path = folder / f"raw{next(numbers)}.parquet"
        with path.open("wb") as stream:
            pq.write_table(table, stream, use_dictionary=False)
            stream.flush()
            os.fsync(stream.fileno())
        entry = os.open(folder, os.O_RDONLY)
        os.fsync(entry)
        os.close(entry)

    yield "put 20,000 x 30", write, lambda: butler.put("stars", table, visit=next(visits), detector=0), "1.3 x"
    ref = butler.put("stars", table, visit=4000, detector=0)
    path = butler.datastore.path(butler.registry.datasets.files(ref.id)[0])
    yield "get 20,000 x 30", lambda: pq.read_table(path), lambda: butler.get(ref), "1.3 x"
    some = {"columns": ["c1"], "filters": "c1 > 0.9"}
    yield (
        "get a column of some rows",
        lambda: pq.read_table(path, columns=["c1"], filters=pds.field("c1") > 0.9),
        lambda: butler.get(ref, parameters=some), "1.3 x",
    )  # fmt: skip


def many_catalogs(folder: Path, args: argparse.Namespace) -> Iterator[Row]:
    """Many catalogs as one table, beside pyarrow on the same list of files."""
    butler = a_butler(folder / "many", args.catalogs)
    ids = np.arange(2000)
    refs = []
    with butler.transaction():
        for visit in range(1, args.catalogs + 1):
            columns = {f"c{i}": RNG.random(len(ids)) for i in range(60)}
            refs.append(butler.put("stars", pa.table({"id": ids, **columns}), visit=visit, detector=0))
    paths = [str(butler.datastore.path(butler.registry.datasets.files(ref.id)[0])) for ref in refs]
    query = butler.query_datasets("stars")
    wanted, limit = ["id", "c1", "c2"], pds.field("c1") > 0.5

    def raw(**how: Any) -> pa.Table:
        return pds.dataset(paths).to_table(**how)

    name = f"{args.catalogs:,} catalogs"
    yield f"{name}, 3 of 61 columns", lambda: raw(columns=wanted), lambda: query.read(wanted), "1.3 x"
    yield (
        f"{name}, half of the rows", lambda: raw(columns=wanted, filter=limit),
        lambda: query.read(wanted, "c1 > 0.5"), "1.3 x",
    )  # fmt: skip
    yield f"{name}, no data ID", lambda: raw(columns=wanted), lambda: query.read(wanted, data_id=False), "1.3 x"
    yield f"{name}, all columns", raw, query.read, "1.3 x"


def a_butler(root: Path, visits: int) -> Butler:
    """Make a repository with so many visits and a dataset type of tables."""
    butler = Butler.create(root)
    fill_repository(butler, visits=visits)
    butler.register_dataset_type("stars", ["visit", "detector"], "ArrowTable")
    return butler


JOBS = (conversions, tables, many_catalogs)


def timed(action: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def main() -> None:
    """Run the jobs and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--catalogs", type=int, default=1000)
    parser.add_argument("--only", default="", help="jobs whose function's name has this in it")
    args = parser.parse_args()
    print(f"{'job (ms)':<36}{'raw':>10}{'SkyButler':>11}{'of raw':>9}   aim")
    for job in JOBS:
        if args.only not in job.__name__:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for name, raw, ours, aim in job(Path(folder), args):
                raw(), ours()
                turns = [(timed(raw), timed(ours)) for _ in range(args.rounds)]
                by_raw, by_ours = (statistics.median(column) * 1e3 for column in zip(*turns, strict=True))
                ratio = statistics.median(b / a for a, b in turns)
                print(f"{name:<36}{by_raw:>10.3f}{by_ours:>11.3f}{ratio:>8.2f}x   {aim}", flush=True)


if __name__ == "__main__":
    main()
