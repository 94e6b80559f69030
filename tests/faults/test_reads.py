"""Ctrl-C upon what reads: nothing is held, though a notebook keeps the exception, and what comes later is seen."""

import os
from pathlib import Path

import pytest

import skybutler
from skybutler.butler.butler import Butler
from skybutler.registry.queries import rows
from skybutler.storage.atomic import TEMPORARY_PREFIX
from skybutler.storage.stores.cache import FileCache
from skybutler.testing.faults import Interrupt, run_to

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # Python 3.12 and later
]
OUR_CODE = str(Path(skybutler.__file__).parent)


def strike(work, chosen, some: int) -> None:
    """Let Ctrl-C come upon our code at some steps of some work."""
    steps = run_to(Interrupt(within=OUR_CODE), work).steps
    for step in chosen.steps(steps, some):
        outcome = run_to(Interrupt(step, within=OUR_CODE), work)
        assert isinstance(outcome.error, KeyboardInterrupt | None), (step, "\n".join(outcome.error.__notes__))


def test_what_others_write_after_an_interrupted_query_is_seen_and_can_be_added_to(struck, chosen, monkeypatch):
    monkeypatch.setattr(rows, "_PAGE", 2)
    with Butler(struck.root) as butler:
        for detector in range(6):
            butler.put("note", {"n": detector}, visit=1, detector=detector, run="read")

    def work():
        butler = Butler(struck.root)
        later = f"later{os.getpid()}"

        def read():
            assert butler.query_datasets("note", collections="read").count() == 6
            assert len(list(butler.query_datasets("note", collections="read"))) == 6
            assert butler.get("note", visit=1, detector=3, collections="read") == {"n": 3}

        def afterwards():
            with Butler(struck.root) as other:
                other.put("note", {}, visit=2, detector=1, run=later)
            assert butler.exists("note", visit=2, detector=1, collections=later)
            butler.put("note", {}, visit=2, detector=2, run=later)

        read()
        return read, afterwards

    strike(work, chosen, 10 * chosen.count)


@pytest.mark.sqlite
def test_a_copy_in_the_cache_whose_reader_is_interrupted_is_nobody_s_any_more(tmp_path, chosen):
    fcntl = pytest.importorskip("fcntl")

    def work():
        cache = FileCache(tmp_path / str(os.getpid()), 10_000)

        def read():
            for _ in range(2):
                with cache.opened("key", ".json", 3, lambda sink: sink.write(b"abc")) as path:
                    assert path.read_bytes() == b"abc"
            with cache.spooled(lambda sink: sink.write(b"abcd")) as (path, size, _):
                assert len(path.read_bytes()) == size

        def afterwards():
            for path in cache.folder.rglob("*"):
                assert not path.name.startswith(TEMPORARY_PREFIX)
                if path.is_file():
                    with path.open("rb") as stream:
                        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)

        return read, afterwards

    strike(work, chosen, 20 * chosen.count)
