"""Many threads on one Butler, many processes on one repository, and what a killed writer leaves behind."""

import multiprocessing
import os
import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.model.errors import DatasetExistsError, RepositoryBusyError
from skybutler.registry import database

DETECTORS = 250


def files_of(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*.json")}


def check_sound(butler: Butler) -> None:
    """Every registered dataset reads back, under its own data ID, and the registry holds together."""
    if butler.registry.database.dialect_name == "sqlite":
        with butler.registry.database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    datasets, files, tags = (
        butler.sql(f"SELECT count(*) FROM {t}")[1][0][0]
        for t in ("dataset", "stored_file", "tag_instrument_visit_detector")
    )
    assert datasets == files == tags
    _, rows = butler.sql("SELECT collection, visit, detector FROM v_note")
    for collection, visit, detector in rows:
        found = butler.get("note", visit=visit, detector=detector, collections=collection)
        assert found["detector"] == detector


@pytest.fixture
def wide(butler: Butler) -> Butler:
    """The small repository with 250 detectors."""
    butler.insert_dimension_records(
        "detector", [{"instrument": "SmallCam", "id": d, "full_name": f"D{d:02d}"} for d in range(3, DETECTORS)]
    )
    return butler


def test_eight_threads_may_use_one_butler(wide):
    barrier = Barrier(8)

    def work(number: int) -> int:
        barrier.wait()
        for detector in range(number, 80, 8):
            wide.put("note", {"detector": detector}, visit=1, detector=detector, run=f"thread{number % 3}")
            assert wide.get("note", visit=1, detector=detector, collections=f"thread{number % 3}") == {
                "detector": detector
            }
            assert wide.find_dataset("note", visit=2, detector=detector) is None
            with pytest.raises(DatasetExistsError):
                wide.put("note", {}, visit=1, detector=detector, run=f"thread{number % 3}")
        return number

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(work, range(8))) == list(range(8))
    assert len(files_of(wide.root)) == 80
    check_sound(wide)


def test_threads_that_first_ask_at_once_for_a_type_find_its_table(root):
    with Butler(root) as writer:
        for number in range(8):
            writer.register_dataset_type(DatasetType(f"t{number}", ["exposure", "detector"], "Dict"))
    for _ in range(5):
        with Butler(root) as butler:
            barrier = Barrier(8)

            def find(number: int, butler: Butler = butler, barrier: Barrier = barrier) -> object:
                barrier.wait()
                return butler.find_dataset(f"t{number}", exposure=1, detector=0)

            with ThreadPoolExecutor(8) as pool:
                assert list(pool.map(find, range(8))) == [None] * 8


def test_each_thread_has_its_own_transaction(butler):
    inside, done = Barrier(2), Barrier(2)

    def hold() -> None:
        with pytest.raises(ZeroDivisionError), butler.transaction():  # noqa: PT012
            butler.collections.register("held")
            inside.wait()
            done.wait()
            raise ZeroDivisionError

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        inside.wait()
        assert "held" not in butler.collections.list()
        assert not butler.registry.database.in_transaction
        done.wait()
        holding.result()
    assert "held" not in butler.collections.list()


def test_a_writer_waits_for_another_only_so_long_and_leaves_nothing(root, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    with Butler(root) as first, Butler(root) as second:
        with first.transaction():
            first.collections.register("held")
            with pytest.raises(RepositoryBusyError, match=r"locked for 0\.05 s; nothing was changed"):
                second.put("note", {}, visit=1, detector=0)
            assert files_of(root) == set()
            assert second.collections.list() == ["defaults", "user"]
        second.put("note", {}, visit=1, detector=0)
        assert len(files_of(root)) == 1


def test_a_thread_sees_at_once_what_another_has_registered(butler):
    with ThreadPoolExecutor(1) as pool:
        assert "fresh" not in pool.submit(butler.collections.list).result()
        butler.collections.register("fresh")
        assert "fresh" in pool.submit(butler.collections.list).result()
        pool.submit(butler.collections.register, "back").result()
        assert "back" in butler.collections.list()


def test_another_process_s_collection_and_type_are_seen_at_once(butler, run_together):
    assert "theirs" not in butler.collections.list()
    work = """
    from skybutler.model.datasets import DatasetType
    butler.collections.register("theirs")
    butler.register_dataset_type(DatasetType("their_type", ["visit"], "Dict"))
    butler.put("their_type", {"theirs": 1}, visit=1, run="theirs")
    """
    run_together(butler.root, work, 1)
    assert "theirs" in butler.collections.list()
    assert butler.get("their_type", visit=1, collections="theirs") == {"theirs": 1}


def test_four_processes_put_into_one_repository_without_loss_or_doubling(wide, run_together):
    work = """
    for detector in range(number, 100, 4):
        run = f"run{detector % 3}"
        butler.put("note", {"detector": detector}, visit=1, detector=detector, run=run)
        assert butler.get("note", visit=1, detector=detector, collections=run) == {"detector": detector}
    """
    run_together(wide.root, work, 4)
    assert wide.sql("SELECT count(*), count(DISTINCT detector) FROM v_note")[1] == [(100, 100)]
    assert files_of(wide.root) == {row[0] for row in wide.sql("SELECT path FROM stored_file")[1]}
    check_sound(wide)


def test_the_same_dataset_put_by_many_at_once_is_one_winner_s_and_no_file_is_left_over(wide, run_together):
    work = """
    for detector in range(20):
        try:
            butler.put("note", {"detector": detector, "by": number}, visit=1, detector=detector)
            print(detector)
        except FileExistsError:
            pass
    """
    outputs = run_together(wide.root, work, 3)
    won = Counter(int(line) for out in outputs for line in out.split())
    assert won == Counter(range(20))
    for number, out in enumerate(outputs):
        for line in out.split():
            assert wide.get("note", visit=1, detector=int(line)) == {"detector": int(line), "by": number}
    assert len(files_of(wide.root)) == 20
    check_sound(wide)


def test_one_of_many_that_make_the_same_repository_at_once_makes_it_whole(tmp_path, root, run_together):
    work = """
    try:
        Butler.create(sys.argv[1] + "/../new").close()
        print("made")
    except SkyButlerError as error:
        print(type(error).__name__)
    """
    assert sorted("".join(run_together(root, work, 3)).split()) == ["ConflictingDefinitionError"] * 2 + ["made"]
    with Butler(tmp_path / "new") as made:
        assert made.collections.info("defaults").children == ("user",)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # Python 3.12 and later
def test_a_forked_process_may_go_on_with_the_butler_of_its_parent(wide):
    wide.put("note", {"detector": 0}, visit=1, detector=0)

    def work(number: int) -> None:
        for detector in range(number, 41, 2):
            wide.put("note", {"detector": detector}, visit=1, detector=detector)

    child = multiprocessing.get_context("fork").Process(target=work, args=(1,))
    child.start()
    work(2)
    child.join(60)
    assert child.exitcode == 0
    assert wide.sql("SELECT count(*) FROM dataset")[1] == [(41,)]
    check_sound(wide)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # Python 3.12 and later
def test_whatever_moment_a_writer_is_killed_at_every_registered_dataset_reads_back(wide):
    """Thirty writers, one after the other, killed in the midst of puts, transactions and removals."""
    wide.close()
    chance = random.Random(20250103)
    killed = 0
    for number in range(30):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            write_for_ever(wide.root, number, writing)
        os.close(writing)
        for _ in range(chance.randrange(1, 12)):  # a byte for each put that has begun
            os.read(reading, 1)
        end = chance.random() * 0.004
        with Butler(wide.root) as bystander:  # its work takes the rest of a random time
            while end > 0:
                bystander.find_dataset("note", visit=1, detector=0)
                end -= 0.0002
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        os.close(reading)
    assert killed == 30
    with Butler(wide.root) as after:
        check_sound(after)
        registered = {row[0] for row in after.sql("SELECT path FROM stored_file")[1]}
        assert registered <= files_of(wide.root)
        assert len(registered) > 30
        after.put("note", {"detector": 1}, visit=4, detector=1, run="after")


def write_for_ever(root: Path, number: int, writing: int) -> None:
    """Put, one by one and several in a transaction, and remove; until killed."""
    try:
        butler = Butler(root)
        for detector in range(DETECTORS):
            os.write(writing, b".")
            here = {"visit": 1 + number % 4, "detector": detector, "run": f"run{number}"}
            if detector % 3:
                ref = butler.put("note", {"detector": detector, "fill": "x" * 1000}, **here)
                if detector % 5 == 0:
                    butler.remove_datasets([ref])
            else:
                with butler.transaction():
                    butler.put("note", {"detector": detector}, **here)
                    butler.put("note", {"detector": detector}, **here | {"run": f"twin{number}"})
    finally:
        os._exit(1)
