"""A repository of a stranger's: whatever its records say, wherever its links lead, nothing outside of it is used."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, FileDataset
from skybutler.model.errors import FileIntegrityError
from skybutler.storage.atomic import HashingFile

pytestmark = pytest.mark.sqlite

SECRET = b'{"s": 1}'


@pytest.fixture
def secret(root: Path) -> Path:
    """A file beside the repository that nobody should see."""
    path = root.parent / "outside" / "secret.json"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def ref(butler, small_repository: Path, tmp_path: Path) -> DatasetRef:
    shutil.copytree(small_repository, tmp_path / "empty")
    return butler.put("note", {"n": 1}, visit=1, detector=0)


def record(butler: Butler, ref: DatasetRef, **changes: Any) -> None:
    """Have the registry say something else of a dataset's file."""
    table = butler.registry.tables.stored_file
    with butler.registry.database.write() as connection:
        connection.execute(sa.update(table).where(table.c.dataset_id == ref.id).values(**changes))


def is_known(butler: Butler, ref: DatasetRef) -> str:
    (stored,) = butler.registry.datasets.files(ref.id)
    return stored.path


def ways_to_read(butler: Butler, ref: DatasetRef, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return all that reads a file, or tells where it is, or passes it on."""

    def transferred(how: str) -> None:
        with Butler(folder / "to") as to:
            try:
                to.transfer_from(butler, [ref], transfer=how)
            finally:
                assert to.sql("SELECT * FROM dataset")[1] == []

    shutil.copytree(butler.root.parent / "empty", folder / "to", dirs_exist_ok=True)
    return {
        "get": lambda: butler.get(ref),
        "component": lambda: butler.get(ref, component="s"),
        "deferred": lambda: butler.get_deferred(ref).get(),
        "exists": lambda: butler.exists(ref),
        "get_uri": lambda: butler.get_uri(ref),
        "export": lambda: butler.export(folder / "copied", [ref]),
        "export by links": lambda: butler.export(folder / "linked", [ref], transfer="link"),
        "export of places": lambda: butler.export(folder / "told", [ref], transfer="direct"),
        "retrieve": lambda: butler.retrieve([ref], folder / "retrieved"),
        "retrieve_zip": lambda: butler.retrieve_zip([ref], folder / "x.zip"),
        **{f"transfer by {how}": lambda how=how: transferred(how) for how in ("auto", "copy", "link", "direct")},
    }


def assert_unused(butler: Butler, ref: DatasetRef, secret: Path, told: str, *but: str) -> None:
    """No way of reading gives a file, each says why, and none leaves a copy."""
    folder = secret.parent.parent / "made"
    for name, read in ways_to_read(butler, ref, folder).items():
        if name not in but:
            print(name)  # of a test that fails
            with pytest.raises(FileIntegrityError, match=told):
                read()
    copies = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == SECRET]
    assert copies == []
    butler.trash.empty()
    butler.remove_datasets([ref])
    butler.trash.empty()
    assert secret.read_bytes() == SECRET
    assert not list(butler.query_datasets("note"))


PATHS = [
    "../outside/secret.json", "user/../../outside/secret.json", "user/../user/../../outside/secret.json", "..", "",
    "user/note/\0", "../outside/../outside/secret.json",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_record_leads_to_no_file_outside(butler, ref, secret, path):
    record(butler, ref, path=path, size=len(SECRET), checksum=None)
    assert_unused(butler, ref, secret, "leads out of")


def test_fsck_tells_records_that_lead_out_and_touches_nothing(butler, ref, secret):
    record(butler, ref, path="../outside/secret.json", size=len(SECRET), checksum=None)
    for _ in range(2):
        found = butler.verify(checksums=True, repair=True, forget_missing=True)
        assert [finding.kind for finding in found.findings if "leads out of" in finding.text] == ["unreadable"]
    assert secret.read_bytes() == SECRET


def test_a_path_that_no_file_can_have_is_told(butler, ref, secret):
    record(butler, ref, path="user/" + "x" * 5000 + ".json")
    for name, read in ways_to_read(butler, ref, secret.parent.parent / "made").items():
        if name not in ("get_uri", "export of places"):
            with pytest.raises(OSError, match=r"cannot be looked at|is gone|too long"):
                read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_or_a_folder_is_no_file(butler, ref, root):
    path = root / is_known(butler, ref)
    path.unlink()
    for make in (os.mkfifo, os.mkdir):
        make(path)
        record(butler, ref, size=path.stat().st_size, checksum=None)
        for read in (lambda: butler.get(ref), lambda: butler.retrieve([ref], root.parent / "out")):
            with pytest.raises(FileIntegrityError, match="is gone"):
                read()
        path.unlink() if path.is_fifo() else path.rmdir()


@pytest.mark.parametrize("checksum", [None, "xxh3:" + "0" * 32, "xxh3", "nonsense:7"])
def test_a_link_leads_to_no_file_outside_but_to_the_one_recorded(butler, ref, root, secret, checksum):
    path = root / is_known(butler, ref)
    path.unlink()
    path.symlink_to(secret)
    record(butler, ref, size=len(SECRET), checksum=checksum)
    assert_unused(butler, ref, secret, "a symbolic link leads|is of no kind", "exists")


@pytest.mark.parametrize("checksum", [None, "xxh3:" + "0" * 32])
def test_a_linked_folder_leads_to_no_file_outside(butler, ref, root, secret, checksum):
    (root / "way").symlink_to(secret.parent)
    record(butler, ref, path="way/secret.json", size=len(SECRET), checksum=checksum)
    assert_unused(butler, ref, secret, "a symbolic link leads", "exists")


def test_a_file_of_the_same_name_is_not_removed_through_a_link(butler, ref, root, secret):
    (root / "way").symlink_to(secret.parent)
    sink = HashingFile(None)
    sink.write(SECRET)
    record(butler, ref, path="way/secret.json", size=len(SECRET), checksum=sink.checksum)
    assert butler.get(ref) == {"s": 1}  # what it holds was known to whoever recorded its checksum
    butler.remove_datasets([ref], purge=True)
    assert secret.read_bytes() == SECRET
    assert not list(butler.query_datasets("note"))


def test_runs_that_were_moved_to_another_disk_are_used_as_before(butler, ref, root, tmp_path):
    shutil.move(root / "user", tmp_path / "disk")
    (root / "user").symlink_to(tmp_path / "disk")
    with Butler(root) as again:
        assert again.get(ref) == {"n": 1}
        other = again.put("note", {"n": 2}, visit=2, detector=0)
        assert again.get(other) == {"n": 2}
        assert len(again.retrieve([ref, other], tmp_path / "out")) == 2
        assert again.verify(checksums=True).sound
        assert again.remove_datasets([ref, other], purge=True) == 2
    assert not list((tmp_path / "disk").rglob("*.json"))


def test_files_that_are_linked_or_in_linked_folders_are_read(butler, root, secret, monkeypatch):
    """Also where no checksums are wanted: a link is vouched for by one."""

    def no_link(*_: object) -> None:
        raise OSError(18, "another file system")

    note = butler.dataset_type("note")
    first = DatasetRef(note, {"instrument": "SmallCam", "visit": 1, "detector": 0}, "given")
    second = DatasetRef(note, {"instrument": "SmallCam", "visit": 1, "detector": 1}, "given")
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", no_link)
        butler.ingest([FileDataset(secret, [first])], "link", checksums=False)
    (root / "raws").symlink_to(secret.parent)
    butler.ingest([FileDataset(root / "raws" / "secret.json", [second])], "in_place", checksums=False)
    for ref in (first, second):
        assert butler.get(ref) == {"s": 1}
        (stored,) = butler.registry.datasets.files(ref.id)
        assert butler.datastore.path(stored).read_bytes() == SECRET
    secret.write_bytes(SECRET.replace(b"1", b"2"))
    with Butler(root) as again, pytest.raises(FileIntegrityError, match="is not what was recorded"):
        again.get(first)


def test_a_bundle_is_not_read_through_a_link_out(butler, ref, root, tmp_path):
    bundle = butler.retrieve_zip([ref], tmp_path / "x.zip")
    butler.remove_datasets([ref], purge=True)
    butler.ingest_zip(bundle, "copy")
    (stored,) = butler.registry.datasets.files(ref.id)
    (root / stored.path).unlink()
    (root / stored.path).symlink_to(bundle)
    record(butler, ref, checksum=None)
    with Butler(root) as again:
        with pytest.raises(FileIntegrityError, match="a symbolic link leads"):
            again.get(ref)
        outside = "json#zip-path=../../outside/secret.json"
        record(again, ref, path=stored.path, checksum=stored.checksum, formatter=outside)
        with pytest.raises(FileIntegrityError, match="no such member"):
            again.get(ref)


def test_what_was_ingested_where_it_lies_is_read_there_and_never_removed(butler, secret):
    note = butler.dataset_type("note")
    ref = DatasetRef(note, {"instrument": "SmallCam", "visit": 1, "detector": 0}, "given")
    butler.ingest([FileDataset(secret, [ref])], "direct")
    assert butler.get(ref) == {"s": 1}
    butler.remove_datasets([ref], purge=True)
    assert secret.read_bytes() == SECRET


@pytest.mark.parametrize("formatter", ["os.system", "builtins.exec", "parquet", "../json", "", "json\0", "x" * 999])
def test_a_formatter_of_a_record_s_is_one_that_is_known(butler, ref, formatter):
    record(butler, ref, formatter=formatter)
    with pytest.raises((ValueError, TypeError), match=r"no formatter|Parquet|plain data|Dict"):
        butler.get(ref)
