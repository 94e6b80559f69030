"""Storage jobs: SkyButler beside what the libraries below it take for the same.

One function a job; each yields rows (name, raw action, SkyButler's action, aim). Raw and ours take turns; medians, and
the median of the ratios of each turn, are printed.

    python benchmarks/storage.py [--rounds 7] [--catalogs 1000] [--files 10000] [--side 4096] [--only WORD]
    python benchmarks/storage.py --at-size 100000 [--transfer link] [--postgresql URL]

The second way does each thing once with so many files, and tells time and memory. What several processes put at once,
`registry.py` measures. Where the machine has other work, ``chrt -r 1`` before it keeps a core free, and TMPDIR=/dev/shm
leaves the disk out.
"""

import argparse
import json
import os
import sqlite3
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
from astropy.io import fits
from astropy.table import Table

from skybutler import Butler, DatasetRef, DatasetType, FileDataset
from skybutler.imaging import Exposure, Image, Mask, MaskedImage
from skybutler.storage.tables import from_arrow, to_arrow
from skybutler.testing.small_repository import fill_repository

Row = tuple[str, Callable[[], Any], Callable[[], Any], str]
RNG = np.random.default_rng(1)
FACTS = {"a": 1, "b": [1.5, 2.5], "c": "text"}


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
    """Put and get of a catalog, beside pyarrow with the same flushes and rows of SQLite."""
    butler = a_butler(folder / "tables", 4000)
    frame = pd.DataFrame({f"c{i}": RNG.random(20_000) for i in range(30)})
    table = pa.Table.from_pandas(frame)
    raw, visits = Raw(folder / "raw"), iter(range(1, 4001))

    def write(stream: Any) -> None:
        pq.write_table(table, stream, use_dictionary=False)

    yield (
        "put 20,000 x 30", lambda: raw.put(write),
        lambda: butler.put("stars", table, visit=next(visits), detector=0), "1.3 x",
    )  # fmt: skip
    ref = butler.put("stars", table, visit=4000, detector=0)
    path = butler.datastore.path(butler.registry.datasets.files(ref.id)[0])
    yield "get 20,000 x 30", lambda: pq.read_table(path), lambda: butler.get(ref), "1.3 x"
    some = {"columns": ["c1"], "filters": "c1 > 0.9"}
    yield (
        "get a column of some rows",
        lambda: pq.read_table(path, columns=["c1"], filters=pds.field("c1") > 0.9),
        lambda: butler.get(ref, parameters=some), "1.3 x",
    )  # fmt: skip


class Raw:
    """The same files by the library below, flushed, renamed and noted in the same number of rows of SQLite."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.folder = folder
        self.number = 0
        self.database = sqlite3.connect(folder / "raw.sqlite3", isolation_level=None)
        self.database.executescript(
            """
            PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
            CREATE TABLE dataset (id BLOB PRIMARY KEY, type INTEGER, run INTEGER, date INTEGER) WITHOUT ROWID;
            CREATE TABLE tag (type INTEGER, visit INTEGER, detector INTEGER, run INTEGER, id BLOB,
                              PRIMARY KEY (type, visit, detector, run)) WITHOUT ROWID;
            CREATE TABLE file (id BLOB PRIMARY KEY, path TEXT, size INTEGER) WITHOUT ROWID;
            """
        )

    def put(self, write: Callable[[Any], Any], count: int = 1) -> list[str]:
        """Write files, each through an open stream, and their rows; return their paths."""
        paths = []
        for _ in range(count):
            self.number += 1
            path = str(self.folder / f"{self.number}.file")
            with open(f"{path}.tmp", "wb") as stream:  # noqa: PTH123 - raw means raw
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(f"{path}.tmp", path)  # noqa: PTH104
            paths.append(path)
        entry = os.open(self.folder, os.O_RDONLY)
        os.fsync(entry)
        os.close(entry)
        self.register(paths)
        return paths

    def register(self, paths: list[str]) -> None:
        """Note files in one transaction."""
        keys = [os.urandom(16) for _ in paths]
        base = self.number * 1_000_000
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany("INSERT INTO dataset VALUES (?,1,1,?)", [(k, time.time_ns()) for k in keys])
        self.database.executemany("INSERT INTO tag VALUES (1,?,0,1,?)", [(base + n, k) for n, k in enumerate(keys)])
        self.database.executemany(
            "INSERT INTO file VALUES (?,?,?)",
            [(key, path, os.stat(path).st_size) for key, path in zip(keys, paths, strict=True)],  # noqa: PTH116
        )
        self.database.execute("COMMIT")


def exposures(folder: Path, args: argparse.Namespace) -> Iterator[Row]:
    """Put and get of an exposure, beside astropy with three planes in one file, flushed, and rows of SQLite."""
    butler, raw = a_butler(folder / "exposures", 4000), Raw(folder / "raw")
    butler.register_dataset_type("calexp", ["visit", "detector"], "Exposure")
    visits = iter(range(1, 4001))
    for side in (512, args.side):
        image, variance = (RNG.random((side, side), "f4") for _ in range(2))
        mask = np.zeros((side, side), "i4")
        exposure = Exposure(MaskedImage(Image(image), Mask(mask), Image(variance)))
        hdus = [("IMAGE", image), ("MASK", mask), ("VARIANCE", variance)]

        def write(stream: Any, hdus: Any = hdus) -> None:
            fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(data, name=name) for name, data in hdus)]).writeto(stream)

        def read(path: str) -> Any:
            with fits.open(path, memmap=False) as file:
                return [hdu.data.astype(hdu.data.dtype.newbyteorder("=")) for hdu in file[1:]]

        name = f"exposure {side}x{side}"
        yield (
            f"put {name}", lambda w=write: raw.put(w),
            lambda e=exposure: butler.put("calexp", e, visit=next(visits), detector=0), "1.3 x",
        )  # fmt: skip
        (path,) = raw.put(write)
        ref = butler.put("calexp", exposure, visit=next(visits), detector=0)
        yield f"get {name}", lambda p=path: read(p), lambda r=ref: butler.get(r), "1.3 x"


def quanta(folder: Path, args: argparse.Namespace) -> Iterator[Row]:
    """Ten small outputs at once, as a quantum has them, beside as many files and one transaction of SQLite."""
    butler, raw = a_butler(folder / "quanta", 100), Raw(folder / "raw")
    kinds = [DatasetType(f"out{n}", ["visit", "detector"], "Dict") for n in range(10)]
    for kind in kinds:
        butler.register_dataset_type(kind)
    visits, text = iter(range(1, 101)), json.dumps(FACTS).encode()

    def put() -> None:
        data_id = {"instrument": "SmallCam", "visit": next(visits), "detector": 0}
        butler.put_many([(DatasetRef(kind, data_id, "run"), FACTS) for kind in kinds])

    yield "put 10 small dicts at once", lambda: raw.put(lambda stream: stream.write(text), 10), put, "1.5 x"


def ingest(folder: Path, args: argparse.Namespace) -> Iterator[Row]:
    """Files that exist, thousands at once, beside what the file system takes to read, link or copy them."""
    count = args.files
    butler = a_butler(folder / "ingest", count)
    kind = DatasetType("note", ["visit", "detector"], "Dict")
    butler.register_dataset_type(kind)
    runs = iter(f"run/{n}" for n in range(10**9))
    numbers = iter(range(10**9))
    paths = [folder / f"{n}.json" for n in range(count)]
    for path in paths:
        path.write_text(json.dumps(FACTS))

    def take(transfer: str, checksums: bool) -> float:
        run = next(runs)
        refs = [DatasetRef(kind, {"instrument": "SmallCam", "visit": n + 1, "detector": 0}, run) for n in range(count)]
        files = [FileDataset(path, [ref]) for path, ref in zip(paths, refs, strict=True)]
        seconds = timed(lambda: butler.ingest(files, transfer, checksums=checksums))
        butler.remove_run(run, purge=True)
        return seconds

    def read() -> None:
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY)
            while os.read(descriptor, 1 << 16):
                pass
            os.close(descriptor)

    def link() -> None:
        target = folder / f"links{next(numbers)}"
        target.mkdir()
        for path in paths:
            os.link(path, target / path.name)

    def copy() -> None:
        target = folder / f"copies{next(numbers)}"
        target.mkdir()
        for path in paths:
            with open(target / path.name, "wb") as stream:  # noqa: PTH123
                stream.write(path.read_bytes())
                stream.flush()
                os.fsync(stream.fileno())

    def look() -> None:
        for path in paths:
            os.stat(path)  # noqa: PTH116

    aim = f"raw + {count * 0.04:.0f} ms"
    name = f"ingest {count:,}"
    yield f"{name} where they are", read, lambda: take("direct", True), aim
    yield f"{name}, not read", look, lambda: take("direct", False), aim
    yield f"{name} by links, not read", link, lambda: take("link", False), aim
    yield f"{name} by copies", copy, lambda: take("copy", True), "1.3 x"


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


def a_butler(root: Path, visits: int, url: str | None = None) -> Butler:
    """Make a repository with so many visits and a dataset type of tables."""
    butler = Butler.create(root, registry=url)
    fill_repository(butler, visits=visits)
    butler.register_dataset_type("stars", ["visit", "detector"], "ArrowTable")
    return butler


JOBS = (conversions, tables, exposures, quanta, ingest, many_catalogs)


def at_size(count: int, transfer: str, url: str | None, folder: Path) -> None:
    """Print what many files take at once: microseconds each, and memory."""
    source = folder / ("here/files" if transfer == "in_place" else "files")
    if not (child := os.fork()):  # what is made there takes up no memory here
        butler = a_butler(folder / "here", count, url)
        butler.register_dataset_type("note", ["visit", "detector"], "Dict")
        butler.close()
        source.mkdir()
        for n in range(count):
            (source / f"{n}.json").write_text(json.dumps(FACTS))
        os._exit(0)
    os.waitpid(child, 0)

    def step(name: str, action: Callable[[], Any]) -> Any:
        Path("/proc/self/clear_refs").write_text("5")  # the highest mark of memory begins anew
        before, wall, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
        result = action()
        wall, cpu = ((now - then) / count * 1e6 for now, then in
                     ((time.perf_counter(), wall), (time.process_time(), cpu)))  # fmt: skip
        print(f"{name:<20}{wall:>9.1f}{cpu:>9.1f}{memory('VmHWM') - before:>8.0f} MB", flush=True)
        return result

    print(f"{'job (us a file)':<20}{'wall':>9}{'CPU':>9}{'memory':>11}")
    with Butler(folder / "here") as butler:
        kind = butler.dataset_type("note")
        ids = [{"instrument": "SmallCam", "visit": n + 1, "detector": 0} for n in range(count)]
        refs = [DatasetRef(kind, data_id, "run") for data_id in ids]
        files = [FileDataset(source / f"{n}.json", [ref]) for n, ref in enumerate(refs)]
        step(f"ingest by {transfer}", lambda: butler.ingest(files, transfer, checksums=False))
        step("fsck", butler.verify)
        step("export by links", lambda: butler.export(folder / "export", refs, transfer="link"))
        with Butler.create(folder / "imported") as other:
            step("import by links", lambda: other.import_(folder / "export", transfer="link"))
        with Butler.create(folder / "transferred") as other:
            step("transfer", lambda: other.transfer_from(butler, refs))
        step("purge", lambda: butler.remove_run("run", purge=True))


def memory(name: str) -> float:
    """Return what Linux says of this process's memory, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def timed(action: Callable[[], Any]) -> float:
    """Return the seconds that a call takes, or that it says itself."""
    begin = time.perf_counter()
    said = action()
    return said if isinstance(said, float) else time.perf_counter() - begin


def main() -> None:
    """Run the jobs and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--catalogs", type=int, default=1000)
    parser.add_argument("--files", type=int, default=10_000, help="how many are ingested at once")
    parser.add_argument("--side", type=int, default=4096, help="pixels of an exposure's side")
    parser.add_argument("--only", default="", help="jobs whose function's name has this in it")
    parser.add_argument("--at-size", type=int, help="do each once with so many files instead")
    parser.add_argument("--transfer", default="link", help="how these are ingested")
    parser.add_argument("--postgresql", help="URL of a database in which a schema for these may be made")
    args = parser.parse_args()
    if args.at_size:
        with tempfile.TemporaryDirectory() as folder:
            at_size(args.at_size, args.transfer, args.postgresql, Path(folder))
        return
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
