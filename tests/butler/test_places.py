"""A repository whose files are in a folder, a bucket, in memory, on the web or in several places."""
# ruff: noqa: PT012 - the block that raises is what the transaction must undo

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import pytest

from skybutler.butler.butler import Butler
from skybutler.imaging import Box2I, Exposure, Extent2I, Image, MaskedImage, Point2I
from skybutler.model.datasets import DatasetRef, FileDataset
from skybutler.model.errors import (
    DatasetExistsError,
    FileFormatError,
    FileIntegrityError,
    ReadOnlyError,
    StoreUnavailableError,
)
from skybutler.testing.bad_network import CuttingProxy, cutting_proxy, web_server

HERE = {"visit": 1}
DATA = b'{"a": 1}'


def names(butler: Butler) -> set[str]:
    return {name for root in butler.datastore.roots for name in root.store.names() if name.startswith(("u", "o"))}


@pytest.fixture(params=["folder", "file", "s3", "memory"])
def anywhere(request, tmp_path, stored_at, fill) -> Butler:
    """A repository whose files are in each kind of store."""
    if request.param == "memory":
        butler = Butler.in_memory()
        fill(butler)
    else:
        places = {"folder": "files", "file": (tmp_path / "there").as_uri()}
        place = places.get(request.param) or request.getfixturevalue("bucket").place("/some/prefix")
        butler = stored_at(tmp_path / "repo", place)
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


def test_an_object_of_the_bucket_is_ingested_in_place_and_one_of_another_direct(bucket, tmp_path, stored_at):
    with stored_at(tmp_path / "repo", bucket.place("/prefix")) as butler:
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


# Several places, and several writers


def test_files_go_where_their_type_belongs_and_are_found_wherever_they_are(bucket, tmp_path, stored_at):
    places = [
        {"root": "fast", "dataset_types": ["note"]},
        bucket.place(),
        {"root": str(tmp_path / "archive"), "read_only": True},
    ]
    with stored_at(tmp_path / "repo", places) as butler:
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


def test_a_type_that_no_place_takes_is_refused(tmp_path, stored_at):
    with stored_at(tmp_path / "repo", {"root": ".", "dataset_types": ["stars"]}) as butler:
        with pytest.raises(ReadOnlyError, match=r"no file of 'note' can be written: none of .* takes it"):
            butler.put("note", {}, HERE, detector=0)
        assert not butler.exists("note", HERE, detector=0)


def test_a_file_of_the_wrong_length_is_passed_over_for_the_right_one(tmp_path, stored_at):
    with stored_at(tmp_path / "repo", ["one", "two"]) as butler:
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


@pytest.mark.on_postgresql
def test_a_team_shares_a_registry_and_a_bucket(backend, bucket, tmp_path, fill):
    url = backend.new()
    with Butler.create(tmp_path / "repo", registry=url, datastore=bucket.place("/team")) as butler:
        fill(butler)
        ref = butler.put("note", {"a": 1}, HERE, detector=0)
        with pytest.raises(KeyboardInterrupt), butler.transaction():
            butler.put("note", {}, HERE, detector=1)
            raise KeyboardInterrupt
        with Butler(tmp_path / "repo") as other:
            assert other.get(ref) == {"a": 1}
        assert len(names(butler)) == 1
    backend.drop(url)


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


# Parts of what is far away


def proxied(proxy: CuttingProxy) -> dict:
    return {"endpoint": proxy.url, "retries": 0}


def test_of_a_large_table_far_away_only_what_is_asked_for_is_fetched(bucket, tmp_path, stored_at):
    frame = pd.DataFrame({f"c{n}": np.random.default_rng(n).random(200_000) for n in range(8)})
    with cutting_proxy(bucket.port) as proxy, stored_at(tmp_path / "repo", bucket.place() | proxied(proxy)) as butler:
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


def test_of_a_large_exposure_far_away_only_what_is_asked_for_is_fetched(bucket, tmp_path, stored_at):
    pixels = np.random.default_rng(1).random((1500, 1000), np.float32)
    exposure = Exposure(MaskedImage(Image(pixels)))
    exposure.metadata["WHO"] = "me"
    with cutting_proxy(bucket.port) as proxy, stored_at(tmp_path / "repo", bucket.place() | proxied(proxy)) as butler:
        butler.register_dataset_type("exposed", ["visit", "detector"], "Exposure")
        ref = butler.put("exposed", exposure, HERE, detector=0)
        size = butler.registry.datasets.files(ref.id)[0].size
        proxy.received = 0
        part = butler.get(ref, parameters={"bbox": Box2I(Point2I(100, 700), Extent2I(50, 40))})
        np.testing.assert_array_equal(part.image.array, pixels[700:740, 100:150])
        assert butler.get("exposed.metadata", HERE, detector=0)["WHO"] == "me"
        assert proxy.received < size / 4
        np.testing.assert_array_equal(butler.get(ref).image.array, pixels)
