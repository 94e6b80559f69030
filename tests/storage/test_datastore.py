"""The datastore: whole files or none, checked on every read."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import pytest
from xxhash import xxh3_128_hexdigest

from skybutler.model.datasets import DatasetRef, DatasetType, FileDataset, StoredFile
from skybutler.model.errors import FileFormatError, FileIntegrityError, StorageClassError
from skybutler.model.storage_class import storage_class
from skybutler.storage.atomic import FolderFlushes
from skybutler.storage.datastore import Datastore

DICT = storage_class("Dict")


def a_ref(exposure: int = 7, *, run: str = "u/me", kind: str = "Dict") -> DatasetRef:
    dataset_type = DatasetType("numbers", ["exposure"], kind)
    return DatasetRef(dataset_type, {"instrument": "Cam", "exposure": exposure}, run)


def files_below(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


@pytest.fixture
def datastore(tmp_path: Path) -> Datastore:
    return Datastore(tmp_path / "root")


def test_what_is_written_is_read_and_recorded_as_it_is(datastore: Datastore):
    value = {"a": 1, "b": [1.5, None, "ü"], "c": {"d": True}}
    stored = datastore.write(value, a_ref(), DICT)
    assert datastore.read(stored, DICT) == value
    assert datastore.read(stored, DICT, component="a") == 1
    path = datastore.path(stored)
    assert (stored.size, stored.storage_class, stored.formatter) == (path.stat().st_size, "Dict", "json")
    assert stored.checksum.startswith("xxh3:")
    assert len(stored.checksum) == len("xxh3:") + 32
    assert stored.path.startswith("u/me/numbers/Cam/numbers_Cam_7-")
    assert datastore.uri(stored) == path.as_uri()
    datastore.verify(stored)


@pytest.mark.parametrize("call", ["link", "fsync", "write"])
def test_a_write_that_dies_on_the_way_leaves_nothing(datastore: Datastore, monkeypatch, call):
    datastore.write({}, a_ref(1), DICT)
    before = files_below(datastore.root)

    def die(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, call, die)
    with pytest.raises(KeyboardInterrupt):
        datastore.write({"a": 1}, a_ref(2), DICT)
    monkeypatch.undo()
    assert files_below(datastore.root) == before


def test_an_object_of_the_wrong_type_is_refused_before_anything_is_written(datastore: Datastore):
    with pytest.raises(StorageClassError, match=r"dict.*list"):
        datastore.write([1], a_ref(), DICT)
    assert not datastore.root.exists()


def test_what_json_cannot_hold_is_refused_and_named(datastore: Datastore):
    with pytest.raises(StorageClassError, match=r"\['a'\]\[1\]"):
        datastore.write({"a": [1, object()]}, a_ref(), DICT)
    with pytest.raises(StorageClassError, match="keys are text"):
        datastore.write({1: 2}, a_ref(), DICT)
    assert files_below(datastore.root) == []


def test_a_missing_or_changed_file_is_reported_with_both_sizes(datastore: Datastore):
    stored = datastore.write({"a": 1}, a_ref(), DICT)
    path = datastore.path(stored)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(FileIntegrityError, match=f"{path.name} has {len(whole) - 1} bytes, but {len(whole)}"):
        datastore.read(stored, DICT)
    path.write_bytes(b"X" + whole[1:])
    with pytest.raises(FileFormatError, match="not JSON"):
        datastore.read(stored, DICT)
    with pytest.raises(FileIntegrityError, match="checksum"):
        datastore.verify(stored)
    path.unlink()
    with pytest.raises(FileIntegrityError, match="gone"):
        datastore.read(stored, DICT)


def test_unknown_components_parameters_and_formatters_are_named(datastore: Datastore):
    stored = datastore.write({"alpha": 1}, a_ref(), DICT)
    with pytest.raises(StorageClassError, match=r"no component 'alpa'.*'alpha'"):
        datastore.read(stored, DICT, component="alpa")
    with pytest.raises(StorageClassError, match="no read parameter 'bbox'"):
        datastore.read(stored, DICT, parameters={"bbox": None})
    with pytest.raises(FileFormatError, match="jsn"):
        datastore.read(StoredFile(stored.path, "jsn", "Dict", stored.size), DICT)


def test_removing_prunes_empty_folders_and_may_be_repeated(datastore: Datastore):
    one, two = (datastore.write({}, a_ref(number, run=f"run{number}"), DICT) for number in (1, 2))
    datastore.remove(one)
    datastore.remove(one)
    assert [path.name for path in datastore.root.iterdir()] == ["run2"]
    datastore.remove(two)
    assert list(datastore.root.iterdir()) == []
    assert datastore.read(datastore.write({"b": 1}, a_ref(1), DICT), DICT) == {"b": 1}


def test_a_file_outside_the_root_is_never_removed(datastore: Datastore, tmp_path: Path):
    (tmp_path / "precious").write_text("{}")
    for path in ("../precious", "u/../../precious", str(tmp_path / "precious")):
        datastore.remove(StoredFile(path, "json", "Dict", 2))
    assert (tmp_path / "precious").exists()


def test_a_file_that_lies_there_already_is_never_replaced(datastore: Datastore):
    first = datastore.write({"a": 1}, a_ref(), DICT)
    ref = a_ref()
    one, two = datastore.write({"a": 2}, ref, DICT), datastore.write({"a": 3}, ref, DICT)
    assert len({first.path, one.path, two.path}) == 3
    assert datastore.read(one, DICT) == {"a": 2}


def ingested(datastore: Datastore, path: Path, transfer: str, formatter: str | None = None) -> StoredFile:
    ((taken, _),) = datastore.ingest_files([FileDataset(path, [a_ref()], formatter)], transfer, FolderFlushes())
    return taken


@pytest.mark.parametrize("transfer", ["direct", "link", "copy", "auto"])
def test_files_are_ingested(datastore: Datastore, tmp_path: Path, transfer):
    source = tmp_path / "given.json"
    source.write_text('{"a": 1}')
    stored = ingested(datastore, source, transfer)
    assert datastore.read(stored, DICT) == {"a": 1}
    datastore.verify(stored)
    assert Path(stored.path).is_absolute() == (transfer == "direct")
    datastore.remove(stored)
    assert source.exists()


def test_ingest_in_place_wants_a_file_below_the_root(datastore: Datastore, tmp_path: Path):
    outside = tmp_path / "given.json"
    outside.write_text("{}")
    with pytest.raises(ValueError, match="not below"):
        ingested(datastore, outside, "in_place")
    inside = datastore.root / "raw" / "given.json"
    inside.parent.mkdir(parents=True)
    inside.write_text("{}")
    assert ingested(datastore, inside, "in_place").path == "raw/given.json"
    assert ingested(datastore, inside, "auto").path == "raw/given.json"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ingested(datastore, tmp_path / "nowhere", "copy")
    with pytest.raises(FileFormatError, match="jsonn"):
        ingested(datastore, inside, "auto", "jsonn")
    with pytest.raises(ValueError, match="teleport"):
        ingested(datastore, inside, "teleport")


def test_text_and_figures_round_trip(datastore: Datastore):
    text = "one\r\ntwo\n\nü"
    assert datastore.read(datastore.write(text, a_ref(), storage_class("Text")), storage_class("Text")) == text
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure(figsize=(2, 1), dpi=100)
    figure.add_subplot().plot([1, 2])
    stored = datastore.write(figure, a_ref(), storage_class("Figure"))
    assert datastore.path(stored).read_bytes().startswith(b"\x89PNG")
    again = datastore.read(stored, storage_class("Figure"))
    assert tuple(again.get_size_inches() * again.dpi) == (200, 100)


def test_writers_and_removers_of_one_folder_do_not_disturb_each_other(datastore: Datastore):
    def write_and_remove(worker: int) -> None:
        for number in range(30):
            stored = datastore.write({"worker": worker, "number": number}, a_ref(number), DICT)
            assert datastore.read(stored, DICT) == {"worker": worker, "number": number}
            datastore.remove(stored)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write_and_remove, range(4)))
    assert files_below(datastore.root) == []


def test_a_large_object_is_hashed_as_a_small_one(datastore: Datastore):
    text = "x" * 5_000_000
    stored = datastore.write(text, a_ref(), storage_class("Text"))
    assert stored.checksum == f"xxh3:{xxh3_128_hexdigest(text.encode())}"


def test_a_root_that_leads_nowhere_is_said_at_once(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="leads nowhere"):
        Datastore(tmp_path / "link" / "a").write({}, a_ref(), DICT)


def test_checksums_of_earlier_versions_are_compared_too_and_those_of_no_kind_refused(datastore: Datastore):
    stored = datastore.write({"a": 1}, a_ref(), DICT)
    data = datastore.path(stored).read_bytes()
    datastore.verify(replace(stored, checksum=f"blake2b:{blake2b(data, digest_size=16).hexdigest()}"))
    with pytest.raises(FileIntegrityError, match="has the checksum blake2b:"):
        datastore.verify(replace(stored, checksum=f"blake2b:{'0' * 32}"))
    with pytest.raises(FileIntegrityError, match="the checksum crc:1 is of no kind"):
        datastore.verify(replace(stored, checksum="crc:1"))
