"""Every store does what a store must, and says clearly what hinders it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from xxhash import xxh3_128_hexdigest

from skybutler.model.errors import ConfigError, ReadOnlyError, StoreUnavailableError
from skybutler.storage.stores import open_store, s3, split_uri
from skybutler.storage.stores.http import HttpStore
from skybutler.storage.stores.local import LocalStore
from skybutler.storage.stores.memory import MemoryStore
from skybutler.testing.bad_network import cutting_proxy, web_server
from skybutler.testing.store_conformance import FILES, ReadOnlyConformance, StoreConformance


class TestLocalStore(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        return LocalStore(tmp_path / "root")


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self):
        return MemoryStore()


class TestS3Store(StoreConformance):
    @pytest.fixture
    def store(self, bucket):
        return s3.S3Store(f"s3://{bucket.name}/some/prefix", endpoint=bucket.endpoint, region="us-east-1")


class TestS3StoreInParts(TestS3Store):
    @pytest.fixture(autouse=True)
    def _all_is_large(self, monkeypatch):
        monkeypatch.setattr(s3, "LARGE", 1)


class TestS3StoreOfHugeFiles(TestS3StoreInParts):
    @pytest.fixture(autouse=True)
    def _all_is_huge(self, monkeypatch):
        monkeypatch.setattr(s3, "HUGE", 0)


class TestHttpStore(ReadOnlyConformance):
    @pytest.fixture
    def filled(self):
        with web_server({}) as server:
            store = HttpStore(f"{server.url}/data", retries=1, pause=0)
            server.files = {store.uri(name).removeprefix(f"{server.url}/"): data for name, data in FILES.items()}
            yield store


class TestHttpStoreWithoutRanges(ReadOnlyConformance):
    @pytest.fixture
    def filled(self):
        with web_server({}) as server:
            server.ranges = False
            store = HttpStore(f"{server.url}/data", retries=1, pause=0)
            server.files = {store.uri(name).removeprefix(f"{server.url}/"): data for name, data in FILES.items()}
            yield store


DATA = os.urandom(300_000)


def read(store, name="a.bin"):
    return b"".join(store.stream(name))


def given(tmp_path: Path, data: bytes) -> Path:
    (tmp_path / "given").write_bytes(data)
    return tmp_path / "given"


# HTTP


@pytest.fixture
def web():
    with web_server({"a.bin": DATA}) as server:
        yield server


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    "trouble", [[500], [503, 429], [("cut", 0)], [("cut", 100_000)], [("cut", 250_000), 500, ("cut", 1)]]
)
def test_a_server_that_stumbles_is_asked_again_from_where_it_broke_off(web, trouble, ranges):
    web.trouble, web.ranges = list(trouble), ranges
    assert read(HttpStore(web.url, pause=0)) == DATA
    assert web.trouble == []


def test_a_server_that_never_recovers_is_named_with_what_it_said(web):
    store = HttpStore(web.url, retries=2, pause=0)
    web.trouble = [500] * 3
    with pytest.raises(StoreUnavailableError, match=r"a.bin cannot be read: the server says 500 .* asked 3 times"):
        read(store)
    web.trouble = [("cut", 1000)] * 3
    with pytest.raises(StoreUnavailableError, match=r"a.bin broke off after 3000 bytes, 3 times"):
        read(store)
    web.trouble = [403]
    with pytest.raises(StoreUnavailableError, match=r"says 403 Forbidden. It was asked 1 times"):
        read(store)
    web.trouble = [("length", len(DATA) + 5)] * 3
    with pytest.raises(StoreUnavailableError, match=r"a.bin (broke off|cannot be read)"):
        read(store)
    assert read(store) == DATA


def test_a_server_that_is_not_there_is_said_so():
    with web_server({}) as server:
        url = server.url
    with pytest.raises(StoreUnavailableError, match="Connection refused"):
        read(HttpStore(url, retries=1, pause=0))


# S3


@pytest.fixture
def proxied(bucket):
    """A store that is reached through a proxy which breaks connections off, and the store without it."""
    with cutting_proxy(bucket.port) as proxy:
        where = f"s3://{bucket.name}"
        yield (
            s3.S3Store(where, endpoint=proxy.url, region="us-east-1", timeout=5, retries=1),
            proxy,
            s3.S3Store(where, endpoint=bucket.endpoint, region="us-east-1"),
        )


@pytest.mark.parametrize("how", ["whole", "copied", "huge"])
@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("after", [0, 1, 300, 70_000, 290_000])
def test_a_put_whose_connection_breaks_is_a_clear_error_or_a_whole_file(
    proxied, tmp_path, monkeypatch, how, way, after
):
    store, proxy, straight = proxied
    monkeypatch.setattr(s3, "LARGE", 1 << 30 if how == "whole" else 1)
    monkeypatch.setattr(s3, "HUGE", 0 if how == "huge" else 1 << 30)
    setattr(proxy, way, after)
    source = given(tmp_path, DATA)
    try:
        store.put("a.bin", source)
    except StoreUnavailableError as error:
        assert "s3://" in str(error)  # noqa: PT017
        assert "a.bin cannot be written" in str(error)  # noqa: PT017
        assert "do it again" in str(error)  # noqa: PT017
        assert len(str(error)) < 1000  # noqa: PT017
    proxy.behave()
    left = {name: read(straight, name) for name in straight.names()}
    # An answer that is lost leaves a file that nobody has, at most.
    assert left in ({}, {"a.bin": DATA}, *([{"a.bin": b""}] if how == "huge" else []))
    if left:
        straight.remove("a.bin")
    store.put("a.bin", source)
    assert read(straight) == DATA


def test_an_answer_that_is_lost_once_is_no_failure(proxied, tmp_path):
    store, proxy, straight = proxied
    proxy.down, proxy.cuts = 0, 1  # the server has the file, and we do not hear of it
    store.put("a.bin", given(tmp_path, DATA))
    assert proxy.connections >= 2
    assert read(straight) == DATA
    with pytest.raises(FileExistsError):
        store.put("a.bin", given(tmp_path, b"another"))


@pytest.mark.parametrize("after", [0, 100, 70_000])
def test_a_get_whose_connection_breaks_is_a_clear_error_and_can_be_done_again(proxied, tmp_path, after):
    store, proxy, straight = proxied
    straight.put("a.bin", given(tmp_path, DATA))
    proxy.down = after
    with pytest.raises(StoreUnavailableError, match=r"a.bin cannot be read: .*do it again"):
        read(store)
    proxy.down, proxy.cuts = after, 1
    assert read(store) == DATA
    proxy.behave()
    assert read(store) == DATA


def test_a_bucket_that_is_not_there_and_a_server_that_refuses_are_said_so(bucket, tmp_path):
    nowhere = s3.S3Store("s3://no-such-bucket", endpoint=bucket.endpoint, region="us-east-1", retries=0)
    with pytest.raises(StoreUnavailableError, match=r"s3://no-such-bucket/a.bin cannot be written: there is no such"):
        nowhere.put("a.bin", given(tmp_path, b"1"))
    with pytest.raises(StoreUnavailableError, match="no such bucket"):
        list(nowhere.names())
    with web_server({}) as server:
        server.trouble = [403]
        refusing = s3.S3Store("s3://some-bucket", endpoint=server.url, region="us-east-1", retries=0)
        with pytest.raises(ReadOnlyError, match=r"the server refuses. The credentials .*anonymous"):
            read(refusing)


def test_missing_credentials_are_said_so():
    store = s3.S3Store("s3://anybody", region="us-east-1", retries=0)
    told = r"there are no credentials\. Set AWS_ACCESS_KEY_ID"
    with pytest.raises(StoreUnavailableError, match=told), store._own_errors("read", "a.bin"):
        raise store._obstore.exceptions.GenericError("PUT http://169.254.169.254/latest/api/token - 403")


def test_a_process_forked_after_a_bucket_was_used_is_told_so_and_does_not_hang(bucket):
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from skybutler.model.errors import StoreUnavailableError\n"
        "from skybutler.storage.stores.s3 import S3Store\n"
        "store = S3Store(sys.argv[1], endpoint=sys.argv[2], region='us-east-1')\n"
        "def child(expected, work):\n"
        "    if not (pid := os.fork()):\n"
        "        try:\n"
        "            said = str(work())\n"
        "        except StoreUnavailableError as error:\n"
        "            said = str(error)\n"
        "        os._exit(expected not in said)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "size, put = lambda: store.size('a'), lambda: store.put('a', Path(sys.executable))\n"
        "child('None', size)\n"
        "size()\n"
        "child('forked from one that had used a bucket', size)\n"
        "child('forked from one that had used a bucket', put)\n"
    )
    where = [f"s3://{bucket.name}", bucket.endpoint]
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, *where], check=True, timeout=60)


# Which store, by its location


def test_a_location_says_which_store(tmp_path):
    assert open_store("files", {}, tmp_path).folder == tmp_path / "files"
    assert open_store((tmp_path / "a b").as_uri(), {}, Path("/")).folder == tmp_path / "a b"
    assert open_store("https://host/data/", {"timeout": 5}, tmp_path).uri("a%b c") == "https://host/data/a%25b%20c"
    assert open_store("s3://bucket/prefix/", {"region": "x"}, tmp_path).uri("a%b") == "s3://bucket/prefix/a%b"


def test_a_uri_is_a_store_and_a_name(tmp_path):
    location, name = split_uri("https://host/a%20b?signed=1")
    assert open_store(location, {}, tmp_path).uri(name) == "https://host/a%20b?signed=1"
    assert split_uri("s3://bucket/deep/name") == ("s3://bucket", "deep/name")
    assert split_uri((tmp_path / "a b").as_uri()) == ("/", str(tmp_path / "a b"))


@pytest.mark.parametrize(
    ("location", "options", "said"),
    [
        ("htps://host", {}, r"no store reads 'htps://host'.*Did you mean 'https'"),
        ("s3://", {}, "names no bucket"),
        ("s3://bucket", {"endpint": "x"}, r"no option 'endpint'; it has endpoint, .*Did you mean 'endpoint'"),
        ("folder", {"region": "x"}, "no option 'region'; it has none"),
    ],
)
def test_a_location_that_means_nothing_is_refused_with_what_would(location, options, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        open_store(location, options, tmp_path)


def test_a_checksum_is_that_of_the_bytes_whichever_store_they_go_to(bucket, tmp_path):
    digest = f"xxh3:{xxh3_128_hexdigest(DATA)}"
    store = s3.S3Store(f"s3://{bucket.name}", endpoint=bucket.endpoint, region="us-east-1")
    for target in (LocalStore(tmp_path), MemoryStore(), store):
        assert target.write("a.bin", lambda sink: sink.write(DATA)) == (len(DATA), digest)
