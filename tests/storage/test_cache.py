"""The cache: whole copies or none, whoever fetches, evicts or is killed meanwhile; and never too many."""

import logging
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skybutler.model.datasets import DatasetRef, DatasetType, FileDataset, StoredFile
from skybutler.model.errors import FileIntegrityError
from skybutler.model.storage_class import storage_class
from skybutler.storage.atomic import FolderFlushes
from skybutler.storage.datastore import Datastore
from skybutler.storage.stores.cache import FileCache
from skybutler.storage.stores.http import HttpStore
from skybutler.storage.stores.memory import MemoryStore
from skybutler.testing.bad_network import web_server

TEXT = storage_class("Text")
SIZE = 10_000
PRELUDE = """
import os, random, sys
from pathlib import Path
from skybutler.storage.stores.cache import FileCache

def content(key):
    return key.encode() * (10_000 // len(key))

def fill_of(key):
    return lambda sink: sink.write(content(key))

def say(word):
    print(word, flush=True)

cache = FileCache(sys.argv[1], size=int(sys.argv[2]))
"""


def content(key: str) -> bytes:
    return key.encode() * (SIZE // len(key))


def read(cache: FileCache, key: str) -> bytes:
    with cache.opened(key, ".bin", SIZE, lambda sink: sink.write(content(key))) as path:
        return path.read_bytes()


def refuse(_sink: object) -> None:
    raise AssertionError("it is fetched, though a copy is there")


def copies(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"]


def child(folder: Path, size: int, code: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(code), str(folder), str(size)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_copy_is_fetched_once(tmp_path):
    cache = FileCache(tmp_path, 10 * SIZE)
    assert read(cache, "k001") == content("k001")
    for again in (cache, FileCache(tmp_path, 10 * SIZE)):
        with again.opened("k001", ".bin", SIZE, refuse) as path:
            assert path.read_bytes() == content("k001")
            assert path.suffix == ".bin"


def test_what_was_used_last_goes_last_and_the_size_holds(tmp_path):
    cache = FileCache(tmp_path, 4 * SIZE)
    for key in ("k001", "k002", "k003", "k004"):
        read(cache, key)
        os.utime(cache._path(key, ".bin"), (0, int(key[1:])))
    read(cache, "k001")
    for key in ("k005", "k006"):
        read(cache, key)
        assert sum(path.stat().st_size for path in copies(tmp_path)) <= 4 * SIZE
    assert [key for key in ("k001", "k002", "k003", "k004", "k005", "k006") if cache.holds(key, ".bin")] == [
        "k001", "k004", "k005", "k006",
    ]  # fmt: skip


def test_what_is_too_old_goes(tmp_path):
    cache = FileCache(tmp_path, 100 * SIZE, age=60)
    for key in ("k001", "k002"):
        read(cache, key)
    os.utime(cache._path("k001", ".bin"), (0, 0))
    read(FileCache(tmp_path, 100 * SIZE, age=60), "k003")
    assert [key for key in ("k001", "k002", "k003") if cache.holds(key, ".bin")] == ["k002", "k003"]


def test_a_copy_that_was_cut_short_is_fetched_again(tmp_path):
    cache = FileCache(tmp_path, 10 * SIZE)
    read(cache, "k001")
    cache._path("k001", ".bin").write_bytes(b"short")
    assert read(cache, "k001") == content("k001")


def test_what_does_not_come_whole_leaves_nothing(tmp_path):
    cache = FileCache(tmp_path, 10 * SIZE)

    def half(sink):
        sink.write(content("k001")[: SIZE // 2])
        raise FileIntegrityError("half of it")

    with pytest.raises(FileIntegrityError), cache.opened("k001", ".bin", SIZE, half):
        pass
    assert copies(tmp_path) == []
    assert read(cache, "k001") == content("k001")


def test_of_many_threads_one_fetches(tmp_path):
    cache, fetched = FileCache(tmp_path, 10 * SIZE), []

    def fill(sink):
        fetched.append(1)
        sink.write(content("k001"))

    def use(_: int) -> bytes:
        with cache.opened("k001", ".bin", SIZE, fill) as path:
            return path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(use, range(16))) == {content("k001")}
    assert len(fetched) == 1


def test_a_process_killed_amid_a_fetch_leaves_no_half_copy_and_no_lock(tmp_path):
    work = """
        def fill(sink):
            sink.write(content("k001")[:5000])
            say("half")
            sys.stdin.readline()
        with cache.opened("k001", ".bin", 10_000, fill): pass
        """
    process = child(tmp_path, 10 * SIZE, work)
    assert process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()
    (left,) = copies(tmp_path)
    assert left.name.startswith(".skybutler-")
    cache = FileCache(tmp_path, 10 * SIZE)
    assert read(cache, "k001") == content("k001")
    os.utime(left, (0, 0))
    read(FileCache(tmp_path, 10 * SIZE), "k002")
    assert not left.exists()


def test_who_waits_for_a_process_that_is_killed_fetches_for_itself(tmp_path):
    work = """
        def fill(sink):
            say("begun")
            sys.stdin.readline()
        with cache.opened("k001", ".bin", 10_000, fill): pass
        """
    process = child(tmp_path, 10 * SIZE, work)
    assert process.stdout.readline() == "begun\n"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read, FileCache(tmp_path, 10 * SIZE), "k001")
        process.kill()
        process.communicate()
        assert waiting.result(timeout=60) == content("k001")


def test_what_another_process_reads_is_not_evicted_until_it_ends(tmp_path):
    work = """
        with cache.opened("k001", ".bin", 10_000, fill_of("k001")) as path:
            say("open")
            sys.stdin.readline()
            assert path.read_bytes() == content("k001")
            say("read")
            sys.stdin.readline()
        """
    process = child(tmp_path, SIZE, work)
    assert process.stdout.readline() == "open\n"
    cache = FileCache(tmp_path, SIZE)
    for key in ("k002", "k003"):
        assert read(cache, key) == content(key)
    assert cache.holds("k001", ".bin")
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "read\n"
    process.kill()
    process.communicate()
    read(cache, "k004")
    assert not cache.holds("k001", ".bin")


def test_processes_that_read_evict_and_die_at_once_never_see_half_a_copy(tmp_path):
    work = """
        random.seed(os.getpid())
        for _ in range(150):
            key = f"k{random.randrange(40):03d}"
            with cache.opened(key, ".bin", 10_000, fill_of(key)) as path:
                assert path.read_bytes() == content(key)
            say("ok")
        """
    for _ in range(3):
        processes = [child(tmp_path, 8 * SIZE, work) for _ in range(4)]
        for process in processes[:2]:
            for _ in range(random.randrange(1, 60)):
                process.stdout.readline()
            process.kill()
        for number, process in enumerate(processes):
            out, _ = process.communicate()
            assert number < 2 or (process.returncode, out.count("ok")) == (0, 150)
        whole = [path for path in copies(tmp_path) if not path.name.startswith(".skybutler-")]
        assert {path.stat().st_size for path in whole} == {SIZE}
        assert len(whole) <= 8 + 4
    keys = [f"k{number:03d}" for number in range(40)]
    cache = FileCache(tmp_path, 8 * SIZE)
    for key in filter(lambda key: cache.holds(key, ".bin"), keys):
        with cache.opened(key, ".bin", SIZE, refuse) as path:
            assert path.read_bytes() == content(key)


# In a datastore


@pytest.fixture
def web() -> Iterator:
    with web_server({"one.txt": b"x" * SIZE, "two.txt": b"y" * SIZE}) as server:
        yield server


def ingested(datastore: Datastore, url: str) -> StoredFile:
    ref = DatasetRef(DatasetType("words", ["exposure"], "Text"), {"instrument": "Cam", "exposure": 7}, "u/me")
    ((taken, _),) = datastore.ingest_files([FileDataset(url, [ref])], "direct", FolderFlushes())
    return taken


def test_a_file_of_the_web_is_asked_for_once(web, tmp_path):
    datastore = Datastore(tmp_path / "root", FileCache(tmp_path / "cache", 10 * SIZE))
    stored = ingested(datastore, f"{web.url}/one.txt")
    web.requests.clear()
    for _ in range(3):
        assert datastore.read(stored, TEXT) == "x" * SIZE
    assert web.requests == ["GET /one.txt"]
    del web.files["one.txt"]
    assert datastore.read(stored, TEXT) == "x" * SIZE
    with pytest.raises(FileIntegrityError, match="gone"):
        datastore.verify(stored)


def test_a_file_larger_than_the_cache_is_read_without_it(web, tmp_path):
    datastore = Datastore(tmp_path / "root", FileCache(tmp_path / "cache", SIZE - 1))
    stored = ingested(datastore, f"{web.url}/one.txt")
    assert datastore.read(stored, TEXT) == "x" * SIZE
    assert not (tmp_path / "cache").exists()


def test_what_is_written_is_in_the_cache_at_once(tmp_path):
    store = MemoryStore()
    datastore = Datastore(store, FileCache(tmp_path, 10 * SIZE))
    ref = DatasetRef(DatasetType("words", ["exposure"], "Text"), {"instrument": "Cam", "exposure": 7}, "u/me")
    stored = datastore.write("x" * SIZE, ref, TEXT)
    assert len(copies(tmp_path)) == 1
    store.remove(stored.path)
    assert datastore.read(stored, TEXT) == "x" * SIZE


def test_files_alike_in_name_and_unlike_in_content_do_not_meet_in_a_cache(tmp_path):
    cache = FileCache(tmp_path, 10 * SIZE)
    ref = DatasetRef(DatasetType("words", ["exposure"], "Text"), {"instrument": "Cam", "exposure": 7}, "u/me")
    kept = [(datastore := Datastore(MemoryStore(), cache), datastore.write(text, ref, TEXT)) for text in ("one", "two")]
    assert kept[0][1].path == kept[1][1].path
    assert [datastore.read(stored, TEXT) for datastore, stored in kept] == ["one", "two"]


def test_a_cache_that_cannot_be_used_is_no_hindrance(web, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file, not a folder")
    datastore = Datastore(tmp_path / "root", FileCache(tmp_path / "cache", 10 * SIZE))
    stored = ingested(datastore, f"{web.url}/one.txt")
    with caplog.at_level(logging.WARNING):
        assert datastore.read(stored, TEXT) == "x" * SIZE
    assert "no copy is kept in" in caplog.text


def test_a_server_that_never_sends_all_of_a_file_leaves_no_copy(web, tmp_path):
    datastore = Datastore(tmp_path / "root", FileCache(tmp_path / "cache", 10 * SIZE))
    stored = ingested(datastore, f"{web.url}/one.txt")
    datastore._elsewhere["http://"] = HttpStore("http://", retries=1, pause=0)
    web.trouble = [("cut", 100)] * 2
    with pytest.raises(OSError, match=r"one.txt broke off after 200 bytes"):
        datastore.read(stored, TEXT)
    assert copies(tmp_path / "cache") == []
    assert datastore.read(stored, TEXT) == "x" * SIZE
