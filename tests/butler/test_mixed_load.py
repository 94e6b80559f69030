"""Many at once, each doing something else: threads on one Butler, processes on a repository, readers among writers."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, FileDataset
from skybutler.model.errors import InvalidQueryError
from skybutler.registry.queries import rows

DETECTORS = 250
READER = """
import select
import sys
from skybutler.butler.butler import Butler
butler = Butler(sys.argv[1], writeable=False)
print("ready", flush=True)
looks = 0
while not looks or select.select([sys.stdin], [], [], 0)[0] == []:
    refs = list(butler.query_datasets("note", "run*", find_first=False, where="visit = 1"))
    assert len(set(refs)) == len(refs)
    for ref in refs[-20:]:
        assert butler.get(ref)["detector"] == ref.data_id["detector"]
    looks += 1
butler.close()
print(looks)
"""
INTERRUPTED = """
import sys
from skybutler.butler.butler import Butler
butler = Butler(sys.argv[1])
number = interrupted = 0
while interrupted < 12:
    try:
        print("go", flush=True)
        while True:
            number += 1
            where = {"visit": 1 + number % 4, "detector": number // 4 % 250}
            butler.put("note", {"n": number}, where, run=f"r{number // 1000}")
    except KeyboardInterrupt:
        interrupted += 1
print("done", flush=True)
sys.stdin.readline()  # with its connections open
"""


@pytest.fixture
def broad(butler: Butler) -> Butler:
    """The small repository with 250 detectors, a TAGGED collection and a chain."""
    butler.insert_dimension_records(
        "detector", [{"instrument": "SmallCam", "id": d, "full_name": f"D{d:02d}"} for d in range(3, DETECTORS)]
    )
    butler.collections.register("picked", "TAGGED")
    butler.collections.register("chain", "CHAINED")
    return butler


def fill(butler: Butler, run: str, visits: int = 4) -> list[DatasetRef]:
    """Register datasets without files, one a detector and visit."""
    butler.collections.register(run)
    note = butler.dataset_type("note")
    refs = [
        DatasetRef(note, {"instrument": "SmallCam", "visit": visit, "detector": detector}, run)
        for visit in range(1, visits + 1)
        for detector in range(DETECTORS)
    ]
    butler.registry.datasets.insert([(ref, None) for ref in refs])
    return refs


def check_whole(butler: Butler, count: int) -> None:
    """There are so many datasets, each with its one row everywhere and a file that reads back; and no other file."""
    tables = ("dataset", "stored_file")
    assert [butler.sql(f"SELECT count(*) FROM {table}")[1][0][0] for table in tables] == [count] * 2
    refs = list(butler.query_datasets("note", "run*", find_first=False))
    assert len({ref.id for ref in refs}) == len(refs) == count
    for ref in refs:
        assert butler.get(ref)["detector"] == ref.data_id["detector"]
    registered = {row[0] for row in butler.sql("SELECT path FROM stored_file")[1]}
    assert {str(p.relative_to(butler.root)) for p in butler.root.rglob("*.json")} == registered


def test_sixteen_threads_put_get_query_and_edit_on_one_butler(broad):
    barrier = Barrier(16)

    def work(number: int) -> None:
        barrier.wait()
        run = f"run{number % 4}"
        mine = []
        for detector in range(number, 96, 16):
            ref = broad.put("note", {"detector": detector}, visit=1, detector=detector, run=run)
            mine.append(ref)
            assert broad.get(ref) == {"detector": detector}
            assert broad.find_dataset("note", visit=1, detector=detector, collections=run) == ref
            assert ref in set(broad.query_datasets("note", run, where=f"detector >= {number}"))
            broad.sync_dimension_records(
                "detector", {"instrument": "SmallCam", "id": 1000 + detector // 16, "full_name": f"X{detector // 16}"}
            )
        broad.collections.tag("picked", mine)
        broad.collections.register(f"own{number}")
        broad.collections.extend_chain("chain", [f"own{number}", run])
        assert broad.query_datasets("note", "run*", find_first=False, where="visit = 1").count() >= len(mine)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    check_whole(broad, 96)
    assert Counter(broad.collections.info("chain").children).keys() == {
        *(f"own{n}" for n in range(16)), *(f"run{n}" for n in range(4)),
    }  # fmt: skip
    assert broad.query_datasets("note", "picked").count() == 96
    assert broad.query_dimension_records("detector", where="detector >= 1000").count() == 6


def test_eight_processes_write_all_kinds_of_things_while_others_read(broad, run_together):
    reader = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", READER, str(broad.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    broad.collections.register("run0")
    assert reader.stdout.readline() == "ready\n"
    work = """
    won = 0
    for step in range(8):
        butler.collections.register(f"run{step % 3}")
        butler.register_dataset_type(f"type{step}", ["visit", "detector"], "Dict")
        butler.sync_dimension_records("detector", {"instrument": "SmallCam", "id": 500 + step, "full_name": f"N{step}"})
        detector = number * 8 + step
        refs = [butler.put("note", {"detector": detector}, visit=1, detector=detector, run=f"run{step % 3}")]
        try:
            refs.append(butler.put("note", {"detector": 100 + step}, visit=2, detector=100 + step, run="run0"))
            won += 1
        except FileExistsError:
            pass
        butler.collections.tag("picked", refs)
        butler.collections.prepend_chain("chain", f"run{(step + number) % 3}" if step > 2 else f"run{step}")
    print(won)
    """
    won = sum(map(int, run_together(broad.root, work, 8)))
    looks, errors = reader.communicate("stop\n", timeout=60)
    assert (reader.returncode, errors) == (0, "")
    assert int(looks) > 0
    assert won == 8  # of the same dataset, put by all, one is there
    check_whole(broad, 64 + 8)
    assert broad.query_datasets("note", "picked").count() == 64 + 8
    assert sorted(broad.collections.info("chain").children) == ["run0", "run1", "run2"]
    assert [t.name for t in broad.dataset_types("type*")] == [f"type{n}" for n in range(8)]
    assert broad.query_dimension_records("detector", where="detector >= 500").count() == 8


def test_a_result_that_is_being_read_stays_as_it_was_begun_while_writers_go_on(broad, run_together, monkeypatch):
    monkeypatch.setattr(rows, "_PAGE", 50)
    known = fill(broad, "first", 2)
    broad.collections.register("run0")
    reading = iter(broad.query_datasets("note", ["first", "run0"], where="visit < 3"))
    found = [next(reading)]
    work = """
    for detector in range(number, 40, 2):
        butler.put("note", {"detector": detector}, visit=3, detector=detector, run="run0")
    """
    run_together(broad.root, work, 2)
    broad.put("note", {"detector": 0}, visit=4, detector=0, run="run0")
    found += reading
    assert set(found) == set(known)
    assert len(found) == len(known)
    assert broad.query_datasets("note", "run0").count() == 41


def test_a_result_within_a_transaction_streams(broad, monkeypatch):
    monkeypatch.setattr(rows, "_PAGE", 20)
    fill(broad, "first")

    def peak(read_all: bool) -> int:
        with broad.transaction():
            broad.collections.register(f"new{read_all}")
            result = broad.query_datasets("note", "first")
            next(iter(result))
            tracemalloc.start()
            if read_all:
                assert sum(1 for _ in result) == 4 * DETECTORS
                assert broad.collections.list("new*") == ["newFalse", "newTrue"]
            else:
                assert next(iter(result)) is not None
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return most

    first = peak(read_all=False)
    assert peak(read_all=True) < first + 100_000  # a thousand rows take some 300 kB

    with broad.transaction():
        outer, inner = (iter(broad.query_datasets("note", "first", order_by="detector")) for _ in range(2))
        together = [(next(outer), next(inner)) for _ in range(50)]
        assert all(a == b for a, b in together)
        outer.close()
        assert sum(1 for _ in inner) == 4 * DETECTORS - 50


@pytest.mark.on_postgresql
def test_a_result_of_a_transaction_that_is_over_says_so(broad, monkeypatch):
    monkeypatch.setattr(rows, "_PAGE", 20)
    fill(broad, "first")
    with broad.transaction():
        short, reading = (iter(broad.query_datasets("note", "first", limit=n)) for n in (10, None))
        assert [next(short), next(reading)] != [None, None]
    assert len(list(short)) == 9
    with pytest.raises(InvalidQueryError, match="the transaction in which these results were begun is over"):
        list(reading)
    broad.collections.register("after")


def test_no_file_is_written_while_the_registry_is_locked(root, tmp_path, monkeypatch):
    """At every system call that makes a file, another Butler can have the lock."""
    calls: Counter[str] = Counter()
    with Butler(root) as butler, Butler(root) as other:
        database = other.registry.database

        def watched(name: str):
            real = getattr(os, name)

            def call(*arguments, **keywords):
                if not busy:
                    busy.append(True)
                    calls[name] += 1
                    assert not butler.registry.database.in_transaction
                    with database.write_prepared() as cursor:
                        cursor.execute("UPDATE attribute SET value = value WHERE name = 'universe'")
                    busy.clear()
                return real(*arguments, **keywords)

            return call

        busy: list[bool] = []
        note = butler.dataset_type("note")
        refs = [DatasetRef(note, {"instrument": "SmallCam", "visit": 2, "detector": d}, "many") for d in range(3)]
        (tmp_path / "mine.json").write_text('{"detector": 1}')
        with monkeypatch.context() as patched:
            for name in ("fsync", "rename", "replace", "link"):
                patched.setattr(f"os.{name}", watched(name))
            butler.put("note", {"detector": 1}, visit=1, detector=1, run="one")
            butler.put("note", {"detector": 2}, visit=1, detector=2, run="one")
            butler.put_many((ref, {"detector": ref.data_id["detector"]}) for ref in refs)
            written = dict(calls)
            taken = FileDataset(tmp_path / "mine.json", [DatasetRef(note, refs[1].data_id, "taken")])
            butler.ingest([taken], transfer="copy")
        assert written["fsync"] >= 5
        assert calls["fsync"] > written["fsync"]
        assert butler.get("note", visit=2, detector=1, collections="taken") == {"detector": 1}


def work_in_process(butler: Butler, number: int) -> str:
    """Put and read by a Butler that came here by pickle, or by fork."""
    for detector in range(number, 40, 4):
        butler.put("note", {"detector": detector}, visit=1, detector=detector)
    return butler.run


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # Python 3.12 and later
def test_a_butler_may_be_handed_to_processes(broad, method, monkeypatch):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # a new process imports this module by its name
    with Butler(broad.root, run="run/mine") as butler:
        assert butler.find_dataset("note", visit=1, detector=1) is None
        # Unlike multiprocessing's own Pool, this one tells of a worker that died.
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            assert list(pool.map(work_in_process, [butler] * 4, range(4))) == ["run/mine"] * 4
        assert butler.query_datasets("note", "run/mine").count() == 40
        check_whole(broad, 40)


def test_a_pickled_butler_opens_the_same_repository_alike(root):
    butler = Butler(root, run="mine", instrument="SmallCam", writeable=False)
    with butler, pickle.loads(pickle.dumps(butler)) as again:
        assert repr(again) == repr(butler)
        assert (again.instrument, again.search) == ("SmallCam", ("mine", "defaults"))
        assert again.find_dataset("note", visit=1, detector=1) is None  # its RUN need not be there yet


def test_ctrl_c_in_the_midst_of_writes_leaves_the_registry_free_and_whole(broad):
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", INTERRUPTED, str(broad.root)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for number in range(12):
            assert child.stdout.readline() == "go\n", child.stderr.read()
            for _ in range(number):  # the rest of a random time
                broad.find_dataset("note", visit=1, detector=0)
            child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "done\n", child.stderr.read()
        broad.put("note", {"n": 0}, visit=4, detector=249, run="after")  # while the other is still there
        registered = {row[0] for row in broad.sql("SELECT path FROM stored_file")[1]}
        assert registered <= {str(p.relative_to(broad.root)) for p in broad.root.rglob("*.json")}
    finally:
        child.communicate("\n", timeout=60)
    assert child.returncode == 0
