"""A repository whose files are in a bucket, in memory, on the web or in several places, and what goes wrong there."""
# ruff: noqa: PT012 - the block that raises is what the transaction must undo

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.cli.main import main
from skybutler.imaging import Box2I, Exposure, Extent2I, Image, MaskedImage, Point2I
from skybutler.model.datasets import DatasetRef, DatasetType, FileDataset
from skybutler.model.errors import (
    ConfigError,
    DatasetExistsError,
    FileFormatError,
    FileIntegrityError,
    ReadOnlyError,
    RepositoryNotFoundError,
    SkyButlerError,
    StorageClassError,
    StoreUnavailableError,
)
from skybutler.testing.bad_network import CuttingProxy, cutting_proxy, web_server
from skybutler.testing.small_repository import fill_repository

HERE = {"visit": 1}
DATA = b'{"a": 1}'


def in_bucket(bucket, prefix: str = "", **more) -> dict:
    return {"root": f"s3://{bucket.name}{prefix}", "endpoint": bucket.endpoint, "region": "us-east-1", **more}


def proxied(proxy: CuttingProxy) -> dict:
    return {"endpoint": proxy.url, "retries": 0}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the tiny camera, with four dataset types."""
    root = tmp_path_factory.mktemp("template") / "repo"
    with Butler.create(root) as butler:
        fill(butler)
    return root


@pytest.fixture
def make(template: Path) -> Callable[..., Butler]:
    """What opens a copy of it whose files are elsewhere: quicker than to make one for each test."""

    def copy(root: Path, datastore=None, cache=None) -> Butler:
        shutil.copytree(template, root)
        file = root / "skybutler.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"datastore": datastore, "cache": cache}))
        return Butler(root)

    return copy


def fill(butler: Butler) -> None:
    fill_repository(butler)
    for name, kind in (("note", "Dict"), ("stars", "DataFrame"), ("picture", "Image"), ("words", "Text")):
        butler.register_dataset_type(DatasetType(name, ["visit", "detector"], kind))


def names(butler: Butler) -> set[str]:
    return {name for root in butler.datastore.roots for name in root.store.names() if name.startswith(("u", "o"))}


@pytest.fixture(params=["folder", "file", "s3", "memory"])
def anywhere(request, tmp_path, make) -> Butler:
    """A repository whose files are in each kind of store."""
    if request.param == "memory":
        butler = Butler.in_memory()
        fill(butler)
    else:
        places = {"folder": "files", "file": (tmp_path / "there").as_uri()}
        place = places.get(request.param) or in_bucket(request.getfixturevalue("bucket"), "/some/prefix")
        butler = make(tmp_path / "repo", place)
    with butler:
        yield butler


def test_what_is_put_is_got_whole_in_parts_and_as_anything(anywhere):
    frame = pd.DataFrame({"a": np.arange(1000), "b": np.arange(1000) / 3})
    picture = Image(np.arange(600, dtype=np.float32).reshape(20, 30))
    anywhere.put("note", {"a": [1, "ü"]}, HERE, detector=0)
    anywhere.put("stars", frame, HERE, detector=0)
    anywhere.put("picture", picture, HERE, detector=0)
    assert anywhere.get("note", HERE, detector=0) == {"a": [1, "ü"]}
    pd.testing.assert_frame_equal(anywhere.get("stars", HERE, detector=0), frame)
    assert anywhere.get("stars.rowcount", HERE, detector=0) == 1000
    few = anywhere.get("stars", HERE, detector=0, parameters={"columns": "b"}, storage_class="ArrowTable")
    assert few.column_names == ["b"]
    box = Box2I(Point2I(3, 4), Extent2I(5, 6))
    part = anywhere.get("picture", HERE, detector=0, parameters={"bbox": box})
    np.testing.assert_array_equal(part.array, picture.array[4:10, 3:8])
    assert len(names(anywhere)) == 3


def test_a_uri_says_where_a_file_is(anywhere):
    ref = anywhere.put("note", {}, HERE, detector=0)
    uri = anywhere.get_uri(ref)
    store = anywhere.datastore.roots[0].store
    assert uri.startswith(store.location + "/user/note/")
    assert names(anywhere) == {uri.removeprefix(store.location + "/")}
    assert anywhere.exists(ref)
    anywhere.datastore.remove_many(anywhere.registry.datasets.files(ref.id))
    assert not anywhere.exists(ref)
    with pytest.raises(FileIntegrityError, match=r"note_SmallCam_1_0-\w+.json is gone; 2 bytes were recorded"):
        anywhere.get(ref)


def test_a_transaction_that_fails_leaves_no_file_in_any_store(anywhere):
    kept = anywhere.put("note", {"kept": 1}, HERE, detector=0)
    before = names(anywhere)
    with pytest.raises(KeyboardInterrupt), anywhere.transaction():
        anywhere.put("note", {}, HERE, detector=1)
        anywhere.remove_datasets([kept])
        raise KeyboardInterrupt
    assert names(anywhere) == before
    with pytest.raises(DatasetExistsError):
        anywhere.put("note", {}, HERE, detector=0)
    with pytest.raises(TypeError):
        anywhere.put_many(
            [(DatasetRef(anywhere.dataset_type("note"), {"instrument": "SmallCam", **HERE, "detector": d}, "user"), obj)
             for d, obj in ((1, {}), (2, {"a": object()}))]
        )  # fmt: skip
    assert names(anywhere) == before
    assert anywhere.get(kept) == {"kept": 1}


def test_what_is_removed_leaves_no_file_in_any_store(anywhere):
    refs = [anywhere.put("note", {}, HERE, detector=d, run="other") for d in range(3)]
    anywhere.remove_datasets(refs[:2], purge=True)
    assert len(names(anywhere)) == 1
    anywhere.remove_run("other", purge=True)
    assert names(anywhere) == set()
    again = anywhere.put("note", {"b": 2}, HERE, detector=0)
    assert anywhere.get(again) == {"b": 2}


@pytest.mark.parametrize("transfer", ["copy", "move", "direct", "auto"])
def test_files_of_this_machine_are_ingested_into_any_store(anywhere, tmp_path, transfer):
    source = tmp_path / "given.json"
    source.write_bytes(DATA)
    ref = DatasetRef(anywhere.dataset_type("note"), {"instrument": "SmallCam", **HERE, "detector": 0}, "user")
    with pytest.raises(KeyboardInterrupt), anywhere.transaction():
        anywhere.ingest([FileDataset(source, [ref])], transfer)
        raise KeyboardInterrupt
    assert (source.read_bytes(), names(anywhere)) == (DATA, set())
    anywhere.ingest([FileDataset(source, [ref])], transfer)
    assert anywhere.get(ref) == {"a": 1}
    assert source.exists() == (transfer != "move")
    assert len(names(anywhere)) == (transfer != "direct")
    anywhere.remove_datasets([ref], purge=True)
    assert source.exists() == (transfer != "move")


# Files that are ingested by their URI


@pytest.fixture
def web():
    with web_server({"data/a b.json": DATA}) as server:
        yield server


def a_note(butler: Butler, detector: int = 0) -> DatasetRef:
    return DatasetRef(butler.dataset_type("note"), {"instrument": "SmallCam", **HERE, "detector": detector}, "user")


def test_a_web_page_is_ingested_where_it_is_or_copied(anywhere, web):
    uri = f"{web.url}/data/a%20b.json"
    web.files = {"data/a%20b.json": DATA}
    direct, copied = a_note(anywhere, 0), a_note(anywhere, 1)
    anywhere.ingest([FileDataset(uri, [direct])], "direct")
    anywhere.ingest([FileDataset(uri, [copied])], "copy")
    assert anywhere.get_uri(direct) == uri
    assert anywhere.get_uri(copied).startswith(anywhere.datastore.roots[0].store.location)
    assert anywhere.get(direct) == anywhere.get(copied) == {"a": 1}
    anywhere.remove_datasets([direct, copied])
    assert web.files
    with pytest.raises(ValueError, match=r"move.*copied, or left where it is"):
        anywhere.ingest([FileDataset(uri, [direct])], "move")
    with pytest.raises(ValueError, match="cannot be ingested in place"):
        anywhere.ingest([FileDataset(uri, [direct])], "in_place")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        anywhere.ingest([FileDataset(f"{web.url}/nothing.json", [direct])], "direct")


def test_an_object_of_the_bucket_is_ingested_in_place_and_one_of_another_direct(bucket, tmp_path, make):
    with make(tmp_path / "repo", in_bucket(bucket, "/prefix")) as butler:
        store = butler.datastore.roots[0].store
        (tmp_path / "a").write_bytes(DATA)
        store.put("raws/given.json", tmp_path / "a")
        uri = f"s3://{bucket.name}/prefix/raws/given.json"
        one, two = a_note(butler, 0), a_note(butler, 1)
        butler.ingest([FileDataset(uri, [one])])
        assert butler.registry.datasets.files(one.id)[0].path == "raws/given.json"
        butler.ingest([FileDataset(uri, [two])], "direct")
        assert butler.registry.datasets.files(two.id)[0].path == butler.get_uri(two) == uri
        assert butler.get(one) == butler.get(two) == {"a": 1}
        butler.remove_datasets([two], purge=True)
        assert butler.exists(one)


def test_what_changes_on_the_web_is_not_taken_for_what_was_ingested(anywhere, web):
    web.files = {"a.json": DATA}
    ref = a_note(anywhere)
    anywhere.ingest([FileDataset(f"{web.url}/a.json", [ref])], "direct")
    web.files["a.json"] = DATA + b" "
    with pytest.raises(FileIntegrityError, match=r"a.json has 9 bytes, but 8 were recorded"):
        anywhere.get(ref)
    web.files["a.json"] = b"xxxxxxxx"
    with pytest.raises(FileFormatError, match=rf"{web.url}/a.json is not JSON"):
        anywhere.get(ref)
    del web.files["a.json"]
    with pytest.raises(FileIntegrityError, match="is gone"):
        anywhere.get(ref)


# Several places


def test_files_go_where_their_type_belongs_and_are_found_wherever_they_are(bucket, tmp_path, make):
    places = [
        {"root": "fast", "dataset_types": ["note"]},
        in_bucket(bucket),
        {"root": str(tmp_path / "archive"), "read_only": True},
    ]
    with make(tmp_path / "repo", places) as butler:
        note = butler.put("note", {"a": 1}, HERE, detector=0)
        words = butler.put("words", "text", HERE, detector=0)
        fast, far, archive = (root.store for root in butler.datastore.roots)
        assert butler.get_uri(note).startswith(f"file://{butler.root}/fast/user/note/")
        assert butler.get_uri(words).startswith(f"s3://{bucket.name}/user/words/")
        name = butler.registry.datasets.files(note.id)[0].path
        archive.put(name, Path(fast.local_path(name)))
        fast.remove(name)
        assert butler.get(note) == {"a": 1}
        assert butler.get_uri(note) == archive.uri(name)
        butler.remove_datasets([note, words], purge=True)
        assert list(far.names()) == []
        assert list(archive.names()) == [name]
    with Butler(tmp_path / "repo") as again:
        assert [root.read_only for root in again.datastore.roots] == [False, False, True]
        assert again.datastore.roots[0].dataset_types == ("note",)


def test_a_type_that_no_place_takes_is_refused(tmp_path, make):
    with make(tmp_path / "repo", {"root": ".", "dataset_types": ["stars"]}) as butler:
        with pytest.raises(ReadOnlyError, match=r"no file of 'note' can be written: none of .* takes it"):
            butler.put("note", {}, HERE, detector=0)
        assert not butler.exists("note", HERE, detector=0)


def test_a_file_of_the_wrong_length_is_passed_over_for_the_right_one(tmp_path, make):
    with make(tmp_path / "repo", ["one", "two"]) as butler:
        ref = butler.put("note", {"a": 1}, HERE, detector=0)
        one, two = (root.store for root in butler.datastore.roots)
        name = butler.registry.datasets.files(ref.id)[0].path
        two.put(name, Path(one.local_path(name)))
        Path(one.local_path(name)).write_text("{")
        assert butler.get(ref) == {"a": 1}
        butler.datastore.verify(butler.registry.datasets.files(ref.id)[0])
        Path(two.local_path(name)).write_text("{}")
        with pytest.raises(FileIntegrityError, match="has 2 bytes, but 8 were recorded"):
            butler.get(ref)


# When the network goes


@pytest.fixture
def unsteady(bucket, tmp_path, make):
    """A repository that reaches its bucket through a proxy which breaks connections off."""
    with cutting_proxy(bucket.port) as proxy:
        place = in_bucket(bucket, timeout=5, retries=1) | {"endpoint": proxy.url}
        with make(tmp_path / "repo", place) as butler:
            yield butler, proxy


@pytest.mark.parametrize("after", [0, 500, 20_000])
def test_a_put_without_network_registers_nothing_and_can_be_done_again(unsteady, after, caplog):
    butler, proxy = unsteady
    kept = butler.put("words", "kept", HERE, detector=0)
    proxy.up = after
    with pytest.raises(StoreUnavailableError, match=r"s3://.*words_SmallCam_1_1-\w+.json|cannot be written"):
        butler.put("words", "x" * 50_000, HERE, detector=1)
    assert not butler.registry.datasets.existing([kept]) - {kept.id}
    assert butler.sql("SELECT count(*) FROM dataset")[1] == [(1,)]
    proxy.behave()
    assert len(names(butler)) == 1
    assert butler.get(kept) == "kept"
    again = butler.put("words", "x" * 50_000, HERE, detector=1)
    assert butler.get(again) == "x" * 50_000


@pytest.mark.parametrize("after", [0, 500, 20_000])
def test_a_get_without_network_is_a_clear_error_and_can_be_done_again(unsteady, after):
    butler, proxy = unsteady
    ref = butler.put("words", "x" * 50_000, HERE, detector=1)
    proxy.down = after
    with pytest.raises(StoreUnavailableError, match=r"s3://.* cannot be read: .*do it again"):
        butler.get(ref)
    proxy.behave()
    assert butler.get(ref) == "x" * 50_000


def test_the_reason_of_a_failure_is_told_though_its_files_cannot_be_removed(unsteady, caplog):
    butler, proxy = unsteady
    with caplog.at_level(logging.WARNING), pytest.raises(ZeroDivisionError), butler.transaction():
        ref = butler.put("words", "text", HERE, detector=1)
        proxy.up = 0
        raise ZeroDivisionError
    assert "may still lie there, though no dataset has them" in caplog.text
    proxy.behave()
    assert len(names(butler)) == 1
    assert not butler.exists(ref)
    again = butler.put("words", "again", HERE, detector=1)
    assert butler.get(again) == "again"


def test_datasets_are_removed_though_their_files_cannot_be(unsteady, caplog):
    butler, proxy = unsteady
    ref = butler.put("words", "text", HERE, detector=1)
    proxy.up = 0
    with caplog.at_level(logging.WARNING):
        butler.remove_datasets([ref], purge=True)
    assert "cannot be removed" in caplog.text
    assert butler.sql("SELECT count(*) FROM dataset")[1] == [(0,)]
    proxy.behave()
    assert len(names(butler)) == 1
    butler.trash.empty()
    assert names(butler) == set()


def test_a_changed_object_is_found_out_when_it_is_read(bucket, tmp_path, make):
    with make(tmp_path / "repo", in_bucket(bucket)) as butler:
        ref = butler.put("note", {"a": 1}, HERE, detector=0)
        store, name = butler.datastore.roots[0].store, butler.registry.datasets.files(ref.id)[0].path
        for changed, said in ((b'{"a": 2}', "has the checksum xxh3:"), (b'{"a"', "has 4 bytes, but 8")):
            store.remove(name)
            (tmp_path / "changed").write_bytes(changed)
            store.put(name, tmp_path / "changed")
            with pytest.raises(FileIntegrityError, match=said):
                butler.get(ref)


# Configuration


@pytest.mark.parametrize(
    ("datastore", "cache", "said"),
    [
        ([], None, "names no place"),
        ([{"rot": "x"}], None, "a mapping with a root"),
        ([{"root": ".", "read_only": "no"}], None, "read_only is true or false"),
        ([{"root": ".", "dataset_types": "calexp"}], None, "dataset_types is a list"),
        ("ftp://host/x", None, "no store reads 'ftp://host/x'"),
        ({"root": "s3://bucket", "secret": "x"}, None, "no option 'secret'"),
        (None, {"fodler": "x"}, "no setting 'fodler'.*Did you mean 'folder'"),
        (None, {"folder": "x", "size": "many"}, "size 'many' is not a number with a unit, such as '50 GB'"),
        (None, {"folder": "x", "age": "3 moons"}, "age '3 moons' is not"),
        (None, 7, "cache says 7"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(tmp_path, datastore, cache, said):
    with pytest.raises(ConfigError, match=said):
        Butler.create(tmp_path / "repo", datastore=datastore, cache=cache)
    assert not (tmp_path / "repo").exists()


def test_a_bucket_that_is_not_there_makes_no_repository(bucket, tmp_path):
    with pytest.raises(StoreUnavailableError, match=r"s3://nothing-there/ cannot be listed: there is no such bucket"):
        Butler.create(tmp_path / "repo", datastore=in_bucket(bucket) | {"root": "s3://nothing-there"})
    assert not (tmp_path / "repo").exists()
    with Butler.create(tmp_path / "repo", datastore=[in_bucket(bucket)]) as butler:
        assert butler.datastore.roots[0].store.location == f"s3://{bucket.name}"
    with pytest.raises(ConfigError, match=r"Butler.create\(folder, datastore='s3://bucket/x'\)"):
        Butler.create("s3://bucket/x")
    with pytest.raises(RepositoryNotFoundError):
        Butler("s3://bucket/x")


def test_the_repository_says_where_its_files_are(tmp_path):
    Butler.create(tmp_path / "repo", datastore=["a", tmp_path / "b"], cache={"folder": "~/c", "size": "1 GB"}).close()
    said = yaml.safe_load((tmp_path / "repo" / "skybutler.yaml").read_text())
    assert said["datastore"] == ["a", str(tmp_path / "b")]
    with Butler(tmp_path / "repo") as butler:
        assert [root.store.folder for root in butler.datastore.roots] == [tmp_path / "repo" / "a", tmp_path / "b"]
        assert butler.datastore.cache.folder == Path.home() / "c"
        assert butler.datastore.cache.size == 10**9


def test_a_user_has_the_last_word_on_the_cache(tmp_path, monkeypatch):
    Butler.create(tmp_path / "repo", cache="c").close()
    monkeypatch.setenv("SKYBUTLER_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("SKYBUTLER_CACHE_SIZE", "5 MB")
    monkeypatch.setenv("SKYBUTLER_CACHE_AGE", "2 days")
    with Butler(tmp_path / "repo") as butler:
        cache = butler.datastore.cache
        assert (cache.folder, cache.size, cache.age) == (tmp_path / "mine", 5_000_000, 2 * 86400.0)
    monkeypatch.setenv("SKYBUTLER_CACHE", "off")
    with Butler(tmp_path / "repo") as butler:
        assert butler.datastore.cache is None


def test_the_command_line_makes_one(tmp_path, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["create", str(tmp_path / "repo"), "--datastore", "files", "--cache", "copies"])
    with Butler(tmp_path / "repo") as butler:
        assert butler.datastore.root == tmp_path / "repo" / "files"
        assert butler.datastore.cache.folder == tmp_path / "repo" / "copies"


def test_a_repository_in_memory_is_gone_with_its_butler():
    code = (
        "import gc, os\n"
        "from skybutler import Butler\n"
        "butler = Butler.in_memory()\n"
        "butler.register_dataset_type('facts', [], 'Dict')\n"
        "butler.put('facts', {'a': 1})\n"
        "assert butler.get('facts') == {'a': 1}\n"
        "root = butler.root\n"
        "assert os.path.exists(root)\n"
        "del butler; gc.collect()\n"
        "assert not os.path.exists(root)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# A disk that is full, a folder that cannot be written to


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted: needs root, and permission to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clear_error_and_nothing_else_is_harmed(small_disk, tmp_path, make):
    with make(tmp_path / "repo", str(small_disk)) as butler:
        kept = butler.put("words", "x" * 100_000, HERE, detector=0)
        with pytest.raises(StoreUnavailableError, match=r"cannot be written: No space left .*make room"):
            butler.put("words", "y" * 300_000, HERE, detector=1)
        assert [p.name for p in small_disk.rglob("*") if p.is_file()] == [Path(butler.get_uri(kept)).name]
        assert butler.get(kept) == "x" * 100_000
        assert butler.sql("SELECT count(*) FROM dataset")[1] == [(1,)]
        butler.remove_datasets([kept], purge=True)
        assert butler.get(butler.put("words", "y" * 200_000, HERE, detector=1)) == "y" * 200_000


def test_a_folder_that_is_read_only_is_a_clear_error(small_disk, tmp_path, make):
    with make(tmp_path / "repo", str(small_disk)) as butler:
        kept = butler.put("words", "kept", HERE, detector=0)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        with pytest.raises(ReadOnlyError, match=r"cannot be written: Read-only file system"):
            butler.put("words", "new", HERE, detector=1)
        assert butler.get(kept) == "kept"


def test_a_full_cache_is_no_hindrance_to_reading(small_disk, bucket, tmp_path, caplog, make):
    with make(tmp_path / "repo", in_bucket(bucket)) as butler:
        ref = butler.put("words", "y" * 300_000, HERE, detector=1)
    said = yaml.safe_load((tmp_path / "repo" / "skybutler.yaml").read_text())
    (tmp_path / "repo" / "skybutler.yaml").write_text(yaml.safe_dump(said | {"cache": {"folder": str(small_disk)}}))
    with Butler(tmp_path / "repo") as butler, caplog.at_level(logging.WARNING):
        assert butler.get(ref) == "y" * 300_000
        assert butler.get(butler.put("words", "z" * 300_000, HERE, detector=2)) == "z" * 300_000
    assert "no copy is kept in" in caplog.text
    assert not [p for p in small_disk.rglob("*") if p.is_file() and p.parent.name != "locks"]


def test_of_a_large_table_far_away_only_what_is_asked_for_is_fetched(bucket, tmp_path, make):
    frame = pd.DataFrame({f"c{n}": np.random.default_rng(n).random(200_000) for n in range(8)})
    with cutting_proxy(bucket.port) as proxy, make(tmp_path / "repo", in_bucket(bucket) | proxied(proxy)) as butler:
        ref = butler.put("stars", frame, HERE, detector=0)
        size = butler.registry.datasets.files(ref.id)[0].size
        proxy.received = 0
        assert butler.get("stars.rowcount", HERE, detector=0) == 200_000
        one = butler.get(ref, parameters={"columns": "c3"}, storage_class="ArrowTable")
        assert one["c3"].to_numpy().tobytes() == frame["c3"].to_numpy().tobytes()
        few = butler.get(ref, parameters={"columns": ["c1", "c3"], "filters": "c1 < 0.001", "rows": slice(9)})
        pd.testing.assert_frame_equal(few, frame[frame.c1 < 0.001][["c1", "c3"]][:9].reset_index(drop=True))
        assert proxy.received < size * 0.7
        proxy.received = 0
        pd.testing.assert_frame_equal(butler.get(ref), frame)
        assert proxy.received > size
        proxy.down = 300_000
        with pytest.raises(StoreUnavailableError, match=r"s3://.*stars.*cannot be read"):
            butler.get(ref, parameters={"columns": "c5"})


def test_of_a_large_exposure_far_away_only_what_is_asked_for_is_fetched(bucket, tmp_path, make):
    pixels = np.random.default_rng(1).random((1500, 1000), np.float32)
    exposure = Exposure(MaskedImage(Image(pixels)))
    exposure.metadata["WHO"] = "me"
    with cutting_proxy(bucket.port) as proxy, make(tmp_path / "repo", in_bucket(bucket) | proxied(proxy)) as butler:
        butler.register_dataset_type("exposed", ["visit", "detector"], "Exposure")
        ref = butler.put("exposed", exposure, HERE, detector=0)
        size = butler.registry.datasets.files(ref.id)[0].size
        proxy.received = 0
        part = butler.get(ref, parameters={"bbox": Box2I(Point2I(100, 700), Extent2I(50, 40))})
        np.testing.assert_array_equal(part.image.array, pixels[700:740, 100:150])
        assert butler.get("exposed.metadata", HERE, detector=0)["WHO"] == "me"
        assert proxy.received < size / 4
        np.testing.assert_array_equal(butler.get(ref).image.array, pixels)


@pytest.mark.on_postgresql
def test_a_team_shares_a_registry_and_a_bucket(backend, bucket, tmp_path):
    url = backend.new()
    with Butler.create(tmp_path / "repo", registry=url, datastore=in_bucket(bucket, "/team")) as butler:
        fill(butler)
        ref = butler.put("note", {"a": 1}, HERE, detector=0)
        with pytest.raises(KeyboardInterrupt), butler.transaction():
            butler.put("note", {}, HERE, detector=1)
            raise KeyboardInterrupt
        with Butler(tmp_path / "repo") as other:
            assert other.get(ref) == {"a": 1}
        assert len(names(butler)) == 1
    backend.drop(url)


# Several writers, and one that is killed


def test_of_two_writers_of_one_dataset_one_wins_and_the_other_leaves_nothing(anywhere):
    for detector in range(3):
        ref = a_note(anywhere, detector)
        barrier = Barrier(4)

        def put(number: int, ref=ref, barrier=barrier) -> int | None:
            barrier.wait()
            try:
                anywhere.put(ref, {"writer": number})
            except DatasetExistsError:
                return None
            return number

        with ThreadPoolExecutor(4) as pool:
            winners = [number for number in pool.map(put, range(4)) if number is not None]
        assert len(winners) == 1
        assert anywhere.get(ref) == {"writer": winners[0]}
        anywhere.datastore.verify(anywhere.registry.datasets.files(ref.id)[0])
        assert len(names(anywhere)) == detector + 1


def test_a_writer_to_a_bucket_that_is_killed_leaves_orphans_at_most(bucket, tmp_path, make):
    make(tmp_path / "repo", in_bucket(bucket), cache="copies").close()
    work = (
        "import sys\n"
        "from skybutler import Butler\n"
        "butler = Butler(sys.argv[1], run=sys.argv[2])\n"
        "for visit in (1, 2, 3, 4):\n"
        "    for detector in (0, 1, 2):\n"
        "        butler.put('words', f'{visit} {detector} ' * 5000, visit=visit, detector=detector)\n"
        "        print('put', flush=True)\n"
    )
    for attempt in range(4):
        command = [sys.executable, "-c", work, str(tmp_path / "repo"), f"u/{attempt}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(attempt * 2 + 1):
                assert process.stdout.readline() == "put\n"
            process.kill()
    with Butler(tmp_path / "repo") as butler:
        found = 0
        for ref in [ref for n in range(4) for ref in butler.query_datasets("words", collections=f"u/{n}")]:
            visit, detector = ref.data_id["visit"], ref.data_id["detector"]
            assert butler.get(ref) == f"{visit} {detector} " * 5000
            (file,) = butler.registry.datasets.files(ref.id)
            butler.datastore.verify(file)
            found += 1
        assert found >= 1 + 3 + 5 + 7
        assert len(names(butler)) - found in range(5)


def test_settings_that_are_misspelt_or_misshapen_are_refused(tmp_path, caplog):
    Butler.create(tmp_path / "repo").close()
    file = tmp_path / "repo/skybutler.yaml"
    text = file.read_text()
    for line, match in (("compresion: gzip", "did you mean"), ("storage_classes: [a]", "by their names"),
                        ("storage_classes: {N: {type: dict, formatter: yml}}", "'yml'.*yaml")):  # fmt: skip
        file.write_text(f"{text}{line}\n")
        with pytest.raises((ConfigError, StorageClassError), match=f"(?i){match}"):
            Butler(tmp_path / "repo")
    file.write_text(f"{text}quorum: 3\n")  # of a later version, maybe
    Butler(tmp_path / "repo").close()
    assert "'quorum'" in caplog.text
    with pytest.raises(ConfigError, match="s3://x/y"):
        Butler.create(tmp_path / "other", datastore="s3:/x/y")
    with pytest.raises(ConfigError, match="can be written to"):
        Butler.create(tmp_path / "other", datastore="https://example.invalid/x")
    with pytest.raises(SkyButlerError):
        Butler.create(tmp_path / "other", registry="postgresql://nobody@127.0.0.1:1/none")
    assert not (tmp_path / "other").exists()
