"""Put, get, find and start-up: SkyButler beside raw sqlite3 + pyarrow, and beside LSST's butler where it is installed.

Each round does a job twelve times with one contender, then with the next, so that whatever else the machine does meets
all of them, and each finds its own code in the processor's caches. Medians over the rounds, of the median of a round,
and ratios of these, are printed.

    python benchmarks/butler.py [--rounds 15] [--lsst PYTHON]

PYTHON is the interpreter of an environment with ``lsst-daf-butler``: by default ``.lsst-venv/bin/python`` beside the
project's ``.venv``, where there is one (``make lsst-venv``).
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skybutler import Butler, DatasetRef, DatasetType

HERE = Path(__file__).parent
VISITS, DETECTORS = 1000, 100
FACTS = {"a": 1, "b": [1.5, 2.5], "c": "text"}
FRAME = pd.DataFrame(np.random.default_rng(1).random((100, 10)), columns=list("abcdefghij"))
REPEATS = 12
JOBS = ("put table", "get table", "put dict", "get dict", "find")
START_RAW = """
import sqlite3
sqlite3.connect({root!r}).execute("SELECT id FROM tag WHERE type=0 AND visit=5 AND detector=5").fetchone()
"""
START_OURS = """
from skybutler import Butler
assert Butler({root!r}).find_dataset("filler", instrument="Cam", visit=5, detector=5)
"""
START_LSST = """
from lsst.daf.butler import Butler
assert Butler.from_config({root!r}, collections="bench").find_dataset("filler", instrument="Cam", visit=5, detector=5)
"""
TARGETS = {
    "start-up": "LSST / 5", "find": "0.1 ms, LSST / 50", "put table": "1.3 x raw", "get table": "1.3 x raw",
    "put dict": "1.5 x raw", "get dict": "0.2 ms",
}  # fmt: skip


def place(number: int) -> tuple[int, int]:
    """Return visit and detector of a running number."""
    return number % VISITS, number // VISITS


class Raw:
    """The same rows by hand-written SQL, the same files through pyarrow and json, as durably written."""

    def __init__(self, root: Path):
        root.mkdir()
        self.root = root
        self.db = sqlite3.connect(root / "raw.sqlite3", isolation_level=None)
        self.db.executescript(
            """
            PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
            CREATE TABLE dataset (id BLOB PRIMARY KEY, type INTEGER, run INTEGER, date INTEGER) WITHOUT ROWID;
            CREATE TABLE tag (type INTEGER, visit INTEGER, detector INTEGER, run INTEGER, id BLOB,
                              PRIMARY KEY (type, visit, detector, run)) WITHOUT ROWID;
            CREATE TABLE file (id BLOB PRIMARY KEY, path TEXT, size INTEGER) WITHOUT ROWID;
            """
        )
        rows = [(0, *place(i), 1, os.urandom(16)) for i in range(VISITS * DETECTORS)]
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO tag VALUES (?,?,?,?,?)", rows)
        self.db.execute("COMMIT")

    def _put(self, kind: int, number: int, write: Callable[[str], None], suffix: str) -> None:
        visit, detector = place(number)
        path = self.root / f"{kind}-{visit}-{detector}{suffix}"
        temporary = f"{path}.tmp"
        write(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        os.rename(temporary, path)  # noqa: PTH104 - raw means raw
        folder = os.open(self.root, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        key = os.urandom(16)
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO dataset VALUES (?,?,?,?)", (key, kind, 1, time.time_ns()))
        self.db.execute("INSERT INTO tag VALUES (?,?,?,?,?)", (kind, visit, detector, 1, key))
        self.db.execute("INSERT INTO file VALUES (?,?,?)", (key, path.name, path.stat().st_size))
        self.db.execute("COMMIT")

    def _path(self, kind: int, number: int) -> Path:
        visit, detector = place(number)
        row = self.db.execute(
            "SELECT f.path FROM tag t JOIN file f ON f.id = t.id WHERE t.type=? AND t.visit=? AND t.detector=?",
            (kind, visit, detector),
        ).fetchone()
        return self.root / row[0]

    def do(self, job: str, number: int) -> None:
        """Do a job once."""
        if job == "put table":
            self._put(1, number, lambda path: pq.write_table(pa.Table.from_pandas(FRAME), path), ".parquet")
        elif job == "get table":
            pq.read_table(self._path(1, number)).to_pandas()
        elif job == "put dict":
            self._put(2, number, lambda path: Path(path).write_text(json.dumps(FACTS)) and None, ".json")
        elif job == "get dict":
            json.loads(self._path(2, number).read_text())
        else:
            visit, detector = place(number)
            self.db.execute(
                "SELECT id, run FROM tag WHERE type=0 AND visit=? AND detector=?", (visit, detector)
            ).fetchone()


class Ours:
    """SkyButler."""

    def __init__(self, root: Path):
        self.butler = butler = Butler.create(root)
        butler.insert_dimension_records("instrument", [{"name": "Cam"}])
        butler.insert_dimension_records("physical_filter", [{"instrument": "Cam", "name": "r", "band": "r"}])
        butler.insert_dimension_records("day_obs", [{"instrument": "Cam", "id": 20260101}])
        butler.insert_dimension_records(
            "detector", [{"instrument": "Cam", "id": i, "full_name": f"S{i:03d}"} for i in range(DETECTORS)]
        )
        butler.insert_dimension_records(
            "visit",
            [
                {"instrument": "Cam", "id": i, "name": str(i), "physical_filter": "r", "day_obs": 20260101}
                for i in range(VISITS)
            ],
        )
        dimensions = ["instrument", "visit", "detector"]
        for name, storage_class in (("table", "DataFrame"), ("facts", "Dict"), ("filler", "Dict")):
            butler.register_dataset_type(DatasetType(name, dimensions, storage_class))
        filler = butler.dataset_type("filler")
        butler.collections.register("bench")
        butler.collections.prepend_chain("defaults", "bench")
        refs = [DatasetRef(filler, self.data_id(i), "bench") for i in range(VISITS * DETECTORS)]
        butler.registry.datasets.insert([(ref, None) for ref in refs])

    @staticmethod
    def data_id(number: int) -> dict[str, Any]:
        """Return the data ID of a running number."""
        visit, detector = place(number)
        return {"instrument": "Cam", "visit": visit, "detector": detector}

    def do(self, job: str, number: int) -> None:
        """Do a job once."""
        butler, data_id = self.butler, self.data_id(number)
        if job == "put table":
            butler.put("table", FRAME, data_id)
        elif job == "get table":
            butler.get("table", data_id)
        elif job == "put dict":
            butler.put("facts", FACTS, data_id)
        elif job == "get dict":
            butler.get("facts", data_id)
        else:
            butler.find_dataset("filler", data_id)


class Lsst:
    """LSST's butler, in a process of its own that times itself."""

    def __init__(self, python: Path, root: Path):
        self.process = subprocess.Popen(
            [python, HERE / "lsst_worker.py", root, str(VISITS), str(DETECTORS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.ask, self.answers = self.process.stdin, self.process.stdout
        if not self.answers.readline().startswith("ready"):
            raise SystemExit(f"{python} could not make LSST's repository")

    def time(self, job: str, number: int) -> float:
        """Do a job once and return the seconds that it took."""
        self.ask.write(f"{job} {number}\n")
        self.ask.flush()
        return float(self.answers.readline())


def timed(action: Callable[..., object], *arguments: object) -> float:
    """Return the seconds that a call takes."""
    begin = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - begin


def start_up(commands: dict[str, list[str]], rounds: int, cache: Path) -> dict[str, list[float]]:
    """Time new processes that import, open and find once; modules are compiled to bytecode, as installed ones are."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(cache)

    def start(command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True, env=environment)

    for command in commands.values():
        start(command)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(timed(start, command))
    return times


def measure(rounds: int, python: Path) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each round, by job and contender; LSST's butler is one where its Python is there."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        raw, ours = Raw(top / "raw"), Ours(top / "ours")
        lsst = Lsst(python, top / "lsst") if python.exists() else None
        times: dict[str, dict[str, list[float]]] = {}
        contenders: dict[str, Callable[[str, int], float]] = {
            "raw": lambda job, number: timed(raw.do, job, number),
            "SkyButler": lambda job, number: timed(ours.do, job, number),
        }
        if lsst:
            contenders["LSST"] = lsst.time
        for job in JOBS:
            times[job] = {name: [] for name in contenders}
            for begin in range(0, rounds * REPEATS, REPEATS):
                for name, do in contenders.items():
                    numbers = range(begin, begin + REPEATS)
                    times[job][name].append(statistics.median(do(job, number) for number in numbers))
        commands = {"raw": [sys.executable, "-c", START_RAW.format(root=str(top / "raw/raw.sqlite3"))],
                    "SkyButler": [sys.executable, "-c", START_OURS.format(root=str(top / "ours"))]}  # fmt: skip
        if lsst:
            lsst.process.terminate()
            lsst.process.wait()
            commands["LSST"] = [str(python), "-c", START_LSST.format(root=str(top / "lsst"))]
        times["start-up"] = start_up(commands, max(3, rounds), top / "bytecode")
    return times


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help=f"rounds of {REPEATS} for each job (default: 15)")
    parser.add_argument(
        "--lsst", type=Path, default=HERE.parent / ".lsst-venv/bin/python", help="Python with LSST's butler"
    )
    args = parser.parse_args()
    report(measure(args.rounds, args.lsst))


def report(times: dict[str, dict[str, list[float]]]) -> None:
    """Print medians in milliseconds, and the ratios that count."""
    print(f"{'job':<11}{'raw':>10}{'SkyButler':>11}{'LSST':>10}   {'of raw':>7}{'LSST is':>10}   aim")
    for job, by_contender in times.items():
        median = {name: statistics.median(values) * 1e3 for name, values in by_contender.items()}
        ratio = statistics.median(a / b for a, b in zip(by_contender["SkyButler"], by_contender["raw"], strict=True))
        lsst = f"{median['LSST']:>10.3f}" if "LSST" in median else f"{'-':>10}"
        slower = f"{median['LSST'] / median['SkyButler']:>8.1f} x" if "LSST" in median else f"{'-':>10}"
        print(
            f"{job:<11}{median['raw']:>10.3f}{median['SkyButler']:>11.3f}{lsst}   {ratio:>6.2f}x{slower}   "
            f"{TARGETS[job]}"
        )
    print("milliseconds, medians; 'of raw' is the median of paired ratios")


if __name__ == "__main__":
    main()
