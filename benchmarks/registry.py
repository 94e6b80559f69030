"""All that the registry's speed is judged by: SkyButler beside raw sqlite3, and beside LSST's butler where installed.

First what `butler.py` measures (put, get, start-up), then one dataset type of many datasets. Jobs are repeated in turn
by each contender; medians, ratios and aims are printed.

    python benchmarks/registry.py [--size 100000] [--rounds 7] [--lsst PYTHON] [--postgresql URL]
    python benchmarks/registry.py --size 10000000        # some minutes, 5 GB; LSST is left out at this size
"""

import argparse
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import butler as single
from skybutler import Butler, DatasetRef, DatasetType, FileDataset

HERE = Path(__file__).parent
CHUNK = 100_000
DETECTORS = 100
FACTS = {"a": 1, "b": [1.5, 2.5], "c": "text"}
PUTS = 200
"""How many datasets each process puts of those that put at once."""
PUTTER = """
import sys
from skybutler import Butler
butler, number = Butler(sys.argv[1]), int(sys.argv[2])
run = f"by{number}"
butler.put("facts", {}, instrument="Cam", visit=0, detector=0, run=run)
print("ready", flush=True)
sys.stdin.readline()
for n in range(1, int(sys.argv[3])):
    butler.put("facts", {"a": n}, instrument="Cam", visit=n // 100, detector=n % 100, run=run)
print("done", flush=True)
"""


def progress(text: str) -> None:
    """Say what is being done."""
    print(f"... {text}", flush=True)


class Raw:
    """The same rows, keys and indexes, by hand-written SQL; without foreign keys."""

    def __init__(self, path: Path, visits: int, detectors: int):
        self.visits, self.detectors = visits, detectors
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(
            """
            PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;
            CREATE TABLE visit (instrument TEXT, id INTEGER, exposure_time REAL, band TEXT,
                                PRIMARY KEY (instrument, id)) WITHOUT ROWID;
            CREATE TABLE dataset (id BLOB PRIMARY KEY, type INTEGER, run INTEGER, date INTEGER) WITHOUT ROWID;
            CREATE TABLE tag (type INTEGER, instrument TEXT, visit INTEGER, detector INTEGER, run INTEGER, id BLOB,
                              PRIMARY KEY (type, instrument, visit, detector, run)) WITHOUT ROWID;
            CREATE INDEX dataset_run ON dataset (run, type);
            CREATE INDEX tag_id ON tag (id);
            CREATE INDEX tag_run ON tag (run, type);
            """
        )
        self.db.executemany(
            "INSERT INTO visit VALUES ('Cam',?,?,?)", ((v, 30.0 + v % 7, "gri"[v % 3]) for v in range(visits))
        )

    def register(self, numbers: range) -> float:
        """Register datasets; return the seconds that each took."""
        tail = os.urandom(8)
        begin = time.perf_counter()
        rows = [(0, n // self.detectors, n % self.detectors, 1, n.to_bytes(8) + tail) for n in numbers]
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO dataset VALUES (?,?,?,0)", ((r[4], 0, 1) for r in rows))
        self.db.executemany("INSERT INTO tag VALUES (?,'Cam',?,?,?,?)", rows)
        self.db.execute("COMMIT")
        return (time.perf_counter() - begin) / len(numbers)

    def find(self, n: int) -> None:
        """Find one."""
        self.db.execute(
            "SELECT id FROM tag WHERE type=0 AND instrument='Cam' AND visit=? AND detector=?", (n % self.visits, 5)
        ).fetchone()

    def visit(self, n: int) -> None:
        """Fetch one visit's."""
        self.db.execute(
            "SELECT id, visit, detector, run FROM tag WHERE type=0 AND instrument='Cam' AND visit=?", (n % self.visits,)
        ).fetchall()

    def stream(self, limit: int) -> None:
        """Fetch many."""
        for _ in self.db.execute("SELECT id, visit, detector, run FROM tag WHERE type=0 LIMIT ?", (limit,)):
            pass

    def count(self) -> None:
        """Count by a visit column."""
        self.db.execute(
            "SELECT count(*) FROM tag t JOIN visit v ON v.id=t.visit AND v.instrument=t.instrument "
            "WHERE t.type=0 AND v.exposure_time > 33"
        ).fetchone()

    def order(self) -> None:
        """Fetch the ten first by a visit column."""
        self.db.execute(
            "SELECT t.id, t.visit, t.detector FROM tag t JOIN visit v ON v.id=t.visit AND v.instrument=t.instrument "
            "WHERE t.type=0 ORDER BY v.exposure_time DESC, t.detector LIMIT 10"
        ).fetchall()


class Ours:
    """SkyButler."""

    def __init__(self, root: Path, visits: int, detectors: int, url: str | None = None):
        self.visits, self.detectors = visits, detectors
        self.butler = butler = Butler.create(root, registry=url)
        butler.insert_dimension_records("instrument", [{"name": "Cam"}])
        butler.insert_dimension_records(
            "physical_filter", [{"instrument": "Cam", "name": f"{b}1", "band": b} for b in "gri"]
        )
        butler.insert_dimension_records("day_obs", [{"instrument": "Cam", "id": 20260101}])
        butler.insert_dimension_records(
            "detector", [{"instrument": "Cam", "id": i, "full_name": f"S{i:03d}"} for i in range(detectors)]
        )
        for numbers in chunks(visits):
            butler.insert_dimension_records(
                "visit",
                [
                    {"instrument": "Cam", "id": v, "name": str(v), "physical_filter": f"{'gri'[v % 3]}1",
                     "day_obs": 20260101, "exposure_time": 30.0 + v % 7}
                    for v in numbers
                ],
            )  # fmt: skip
        for name in ("filler", "facts"):
            butler.register_dataset_type(DatasetType(name, ["instrument", "visit", "detector"], "Dict"))
        butler.collections.register("bench")
        butler.collections.prepend_chain("defaults", "bench")

    def register(self, numbers: range) -> float:
        """Register datasets; return the seconds that each took."""
        filler, width = self.butler.dataset_type("filler"), self.detectors
        refs = [
            DatasetRef(filler, {"instrument": "Cam", "visit": n // width, "detector": n % width}, "bench")
            for n in numbers
        ]
        return timed(self.butler.registry.datasets.insert, [(ref, None) for ref in refs]) / len(numbers)

    def fill(self) -> list[float]:
        """Register all datasets; return the seconds that each of a part took."""
        return [self.register(numbers) for numbers in chunks(self.visits * self.detectors)]

    def put(self, n: int) -> None:
        """Put a small dict."""
        self.butler.put("facts", FACTS, instrument="Cam", visit=n % self.visits, detector=n // self.visits)

    def find(self, n: int) -> None:
        """Find one."""
        self.butler.find_dataset("filler", instrument="Cam", visit=n % self.visits, detector=5)

    def visit(self, n: int) -> None:
        """Fetch one visit's."""
        list(self.butler.query_datasets("filler", where=f"visit = {n % self.visits}", instrument="Cam"))

    def stream(self, limit: int) -> None:
        """Fetch many."""
        for _ in self.butler.query_datasets("filler", limit=limit):
            pass

    def table(self, limit: int) -> None:
        """Fetch many as an Arrow table."""
        self.butler.query_datasets("filler", limit=limit).to_arrow()

    def count(self) -> None:
        """Count by a visit column."""
        self.butler.query_datasets("filler", where="visit.exposure_time > 33", instrument="Cam").count()

    def order(self) -> None:
        """Fetch the ten first by a visit column."""
        list(
            self.butler.query_datasets(
                "filler", order_by=["-visit.exposure_time", "detector"], limit=10, instrument="Cam"
            )
        )


class Lsst:
    """LSST's butler in a process of its own."""

    def __init__(self, python: Path, root: Path, visits: int, detectors: int):
        self.process = subprocess.Popen(
            [python, HERE / "lsst_worker.py", root, str(visits), str(detectors)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.ask, self.answers = self.process.stdin, self.process.stdout
        answer = self.answers.readline().split()
        if not answer or answer[0] != "ready":
            raise SystemExit(f"{python} could not make LSST's repository")
        self.fill_seconds = float(answer[1])

    def time(self, job: str, number: int) -> float:
        """Do a job once and return the seconds that it took."""
        self.ask.write(f"{job} {number}\n")
        self.ask.flush()
        return float(self.answers.readline())


def chunks(total: int) -> Iterator[range]:
    """Yield ranges of numbers."""
    for begin in range(0, total, CHUNK):
        yield range(begin, min(begin + CHUNK, total))


def timed(action: Callable[..., object], *arguments: object) -> float:
    """Return the seconds that a call takes."""
    begin = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - begin


def limits(ours: Ours) -> None:
    """Print what has a limit of its own."""
    butler = ours.butler
    visits = ours.visits
    terms = " OR ".join(f"(visit = {i % visits} AND detector = {i % ours.detectors})" for i in range(1000))
    butler.query_datasets("filler", where="visit = 1", instrument="Cam").any()
    rest = [terms.replace("visit = 1 ", f"visit = {i} ") for i in range(2, 7)]  # none of them read before
    query = statistics.median(
        timed(lambda where=where: butler.query_datasets("filler", where=where, instrument="Cam")) for where in rest
    )
    print(f"1,000 OR terms to a statement         {query * 1e3:9.1f} ms   (aim: 50 ms)")
    many = list(range(100_000))
    bound = timed(
        lambda: list(
            butler.query_datasets("filler", where="visit IN (:v) AND detector = 3", bind={"v": many}, instrument="Cam")
        )
    )
    print(f"IN with 100,000 bound values, fetched {bound * 1e3:9.1f} ms   (aim: 500 ms)")
    runs = [f"r/{i}" for i in range(1000)]
    with butler.transaction():
        for run in runs:
            butler.collections.register(run)

    def find(n: int, search: list[str]) -> None:
        butler.find_dataset("filler", instrument="Cam", visit=n, detector=1, collections=search)

    times = {}
    for length in (10, 1000):
        search = [*runs[: length - 1], "bench"]
        find(1, search)
        times[length] = statistics.median(timed(find, n, search) for n in range(1, 200))
    print(f"find in 1,000 runs / in 10            {times[1000] / times[10]:9.2f} x    (aim: 2 x)")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = min(1_000_000, ours.visits * ours.detectors)
    ours.stream(total)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"memory grown by streaming {total:>9,d} refs {grown:7.1f} MB")


def ingest(ours: Ours, count: int = 2000) -> None:
    """Print what it takes to ingest files in place, many at once."""
    folder = Path(ours.butler.root, "outside")
    folder.mkdir()
    facts, files = ours.butler.dataset_type("facts"), []
    for n in range(count):
        path = folder / f"{n}.json"
        path.write_text("{}")
        ref = DatasetRef(facts, {"instrument": "Cam", "visit": n // 100, "detector": n % 100}, "ingested")
        files.append(FileDataset(path, [ref]))
    each = timed(lambda: ours.butler.ingest(files, transfer="in_place")) / count
    print(f"ingest a file in place, in bulk       {each * 1e6:9.1f} us   (aim: 40 us)")


def together(ours: Ours, label: str, aim: str) -> None:
    """Print how many puts a second four processes do, of those that one does."""
    rates: dict[int, list[float]] = {1: [], 4: []}
    number = 0
    for _ in range(3):
        for count, found in rates.items():
            putters = []
            for _ in range(count):
                number += 1
                command = [sys.executable, "-c", PUTTER, str(ours.butler.root), str(number), str(PUTS)]
                putters.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            streams = [(p.stdin, p.stdout) for p in putters if p.stdin is not None and p.stdout is not None]
            for _, said in streams:
                said.readline()
            begin = time.perf_counter()
            for told, _ in streams:
                told.write("go\n")
                told.flush()
            for _, said in streams:
                said.readline()
            found.append(count * (PUTS - 1) / (time.perf_counter() - begin))
            for putter in putters:
                putter.communicate()
    one, four = (statistics.median(found) for found in rates.values())
    print(f"puts a second by four / by one{label:>8} {four / one:9.2f} x    (aim: {aim}; {four:.0f} / {one:.0f})")


def growth(big: Ours, small: Ours, rounds: int) -> None:
    """Print how much longer things take in the larger repository."""
    jobs: tuple[tuple[str, Callable[[Ours, int], None]], ...] = (
        ("find", Ours.find), ("one visit's refs", Ours.visit), ("put", Ours.put),
    )  # fmt: skip
    for job, do in jobs:
        ratios = []
        for begin in range(0, rounds * 12, 12):
            pair = [statistics.median(timed(do, ours, n) for n in range(begin, begin + 12)) for ours in (big, small)]
            ratios.append(pair[0] / pair[1])
        what = f"{job} at {big.visits * big.detectors:,} / at 100,000"
        print(f"{what:<37} {statistics.median(ratios):9.2f} x    (aim: 1.5 x)")


def postgresql(folder: Path, url: str, rounds: int) -> None:
    """Print what PostgreSQL takes, with 100,000 datasets."""
    ours = Ours(folder, 1000, DETECTORS, url)
    each = ours.fill()[0]
    ours.butler.close()
    print(f"PostgreSQL: register one in bulk      {each * 1e6:9.1f} us")
    for job, do in (("find", ours.find), ("one visit's refs", ours.visit), ("put a small dict", ours.put)):
        found = [statistics.median(timed(do, n) for n in range(b, b + 12)) for b in range(0, rounds * 12, 12)]
        print(f"PostgreSQL: {job:<25} {statistics.median(found) * 1e3:9.3f} ms")
    limits(ours)
    together(ours, " (PG)", "1.5 x")


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=100_000, help="how many datasets")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--lsst", type=Path, default=HERE.parent / ".lsst-venv/bin/python", help="Python with LSST's butler"
    )
    parser.add_argument("--postgresql", help="URL of a database in which a repository's schema may be made")
    args = parser.parse_args()
    visits = max(10, args.size // DETECTORS)
    total = visits * DETECTORS
    progress("putting, getting, starting")
    single.report(single.measure(args.rounds, args.lsst))
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        progress(f"registering {total:,} datasets with each")
        raw, ours = Raw(top / "raw.sqlite3", visits, DETECTORS), Ours(top / "ours", visits, DETECTORS)
        pairs = [(raw.register(numbers), ours.register(numbers)) for numbers in chunks(total)]
        fills = {"raw": [pair[0] for pair in pairs], "SkyButler": [pair[1] for pair in pairs]}
        lsst = None
        if args.lsst.exists() and total <= 200_000:
            lsst = Lsst(args.lsst, top / "lsst", visits, DETECTORS)
            fills["LSST"] = [lsst.fill_seconds / total]
        compare(raw, ours, lsst, fills, args.rounds)
        limits(ours)
        ingest(ours)
        together(ours, " (SQLite)", "1 x")
        if total > 100_000:
            small = Ours(top / "small", 1000, DETECTORS)
            small.fill()
            growth(ours, small, args.rounds)
        if args.postgresql:
            postgresql(top / "postgresql", args.postgresql, args.rounds)


def compare(raw: Raw, ours: Ours, lsst: Lsst | None, fills: dict[str, list[float]], rounds: int) -> None:
    """Print the table of what all contenders can do."""
    total = ours.visits * ours.detectors
    many = min(total, CHUNK)
    jobs: dict[str, tuple[Callable[[int], Any], Callable[[int], Any], float, str]] = {
        "find": (raw.find, ours.find, 1, "0.1 ms, LSST / 50"),
        "one visit's refs": (raw.visit, ours.visit, 1, "1 ms"),
        "a ref of many": (lambda n: raw.stream(many), lambda n: ours.stream(many), many, "4 us"),
        "a row of an Arrow table": (lambda n: raw.stream(many), lambda n: ours.table(many), many, "2 x raw"),
        "count by a column": (lambda n: raw.count(), lambda n: ours.count(), 1, "1.5 x raw"),
        "order by, limit 10": (lambda n: raw.order(), lambda n: ours.order(), 1, "1.5 x raw"),
    }
    print(f"{'job':<24}{'raw':>11}{'SkyButler':>11}{'LSST':>11}   {'of raw':>8}{'LSST is':>10}   aim")
    show("register one in bulk", fills, "2.5 x raw")
    for job, (by_raw, by_ours, each, aim) in jobs.items():
        repeats = 12 if each == 1 and "refs" not in job else 3
        by_lsst = lsst if "Arrow" not in job else None
        times: dict[str, list[float]] = {"raw": [], "SkyButler": [], **({"LSST": []} if by_lsst else {})}
        for begin in range(0, rounds * repeats, repeats):
            numbers = range(begin, begin + repeats)
            times["raw"].append(statistics.median(timed(by_raw, n) for n in numbers) / each)
            times["SkyButler"].append(statistics.median(timed(by_ours, n) for n in numbers) / each)
            if by_lsst:
                times["LSST"].append(statistics.median(by_lsst.time(job, n) for n in numbers) / each)
        show(job, times, aim)


def show(job: str, times: dict[str, list[float]], aim: str) -> None:
    """Print one row."""
    median = {name: statistics.median(values) * 1e3 for name, values in times.items()}
    ratio = statistics.median(a / b for a, b in zip(times["SkyButler"], times["raw"], strict=True))
    lsst = f"{median['LSST']:>11.4f}" if "LSST" in median else f"{'-':>11}"
    slower = f"{median['LSST'] / median['SkyButler']:>8.1f} x" if "LSST" in median else f"{'-':>10}"
    print(
        f"{job:<24}{median['raw']:>11.4f}{median['SkyButler']:>11.4f}{lsst}   {ratio:>7.2f}x{slower}   {aim}",
        flush=True,
    )


if __name__ == "__main__":
    main()
