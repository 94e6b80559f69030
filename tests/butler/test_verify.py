"""fsck finds whatever is wrong, mends what can be, and touches nothing that is not SkyButler's."""

import json
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.butler.verify import Verification
from skybutler.model.errors import ReadOnlyError
from skybutler.storage.paths import dataset_path, dataset_type_of
from skybutler.testing.small_repository import fill_repository

NOBODY = timedelta(0)
HERE = {"visit": 1}


@pytest.fixture
def notes(butler) -> list:
    """Four notes in a repository."""
    return [butler.put("note", {"d": d}, visit=v, detector=d, run="u/a") for v in (1, 2) for d in range(2)]


def path_of(butler: Butler, ref) -> Path:
    return butler.datastore.path(butler.registry.datasets.files(ref.id)[0])


def kinds(found: Verification) -> list[str]:
    return sorted(finding.kind for finding in found.findings)


def leave(butler: Butler, name: str, text: str = "{}") -> Path:
    path = butler.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_sound_repository_is_found_so(butler, notes):
    butler.remove_datasets(notes[:1])
    found = butler.verify(checksums=True, older_than=NOBODY)
    assert found.sound
    assert (found.datasets, found.files, found.checksums) == (3, 4, 4)
    assert (found.findings, found.young, found.foreign, found.notes) == ([], [], [], [])


def test_files_that_are_gone_short_or_changed_are_told_and_forgotten_only_if_wanted(butler, notes):
    paths = [path_of(butler, ref) for ref in notes]
    paths[0].unlink()
    paths[1].write_text("{")
    paths[2].write_text(paths[2].read_text().replace("0", "7"))
    assert kinds(butler.verify()) == ["missing", "size"]
    found = butler.verify(checksums=True, repair=True, older_than=NOBODY)
    assert kinds(found) == ["checksum", "missing", "size"]
    assert not found.sound
    assert butler.query_datasets("note", "u/a").count() == 4
    by_kind = {finding.kind: finding for finding in found.findings}
    assert str(notes[0].id) in by_kind["missing"].dataset
    assert "1 bytes, but 8 were recorded" in by_kind["size"].text
    assert json.loads(json.dumps(found.to_json()))["sound"] is False
    found = butler.verify(checksums=True, repair=True, forget_missing=True)
    assert found.sound
    assert {finding.done for finding in found.findings} == {"moved to the trash"}
    assert list(butler.query_datasets("note", "u/a")) == [notes[3]]
    found = butler.verify(checksums=True)
    assert found.findings == []
    assert len(found.notes) == 3
    paths[0].write_text('{"d": 0}')
    butler.trash.restore(notes[0])
    assert butler.get(notes[0]) == {"d": 0}


def test_what_crashes_leave_is_removed_and_nothing_else(butler, notes):
    ours = [
        leave(butler, "u/a/note/SmallCam/0/note_SmallCam_1_2-0123456789ab.json"),
        leave(butler, "gone/run/note/SmallCam/0/note_SmallCam_1_2-0123456789ab-0123456789abcdef.json"),
        leave(butler, f"u/a/note/SmallCam/0/.skybutler-{os.getpid()}-0123456789ab"),
    ]
    (butler.root / "u/a/note/SmallCam/7").mkdir()
    (butler.root / "my own").mkdir()
    theirs = [
        leave(butler, name)
        for name in (
            "README.txt", "u/a/note/SmallCam/0/mine.json", "u/a/plot/SmallCam/0/plot_1-0123456789ab.png",
            "raw/note_1-0123456789ab.json", "note/x-0123456789ab.json", ".skybutler-mine",
        )
    ]  # fmt: skip
    found = butler.verify(repair=True)
    assert found.findings == []
    assert len(found.young) == 3
    assert all(path.exists() for path in ours)
    found = butler.verify(older_than=NOBODY)
    assert kinds(found) == ["empty folder", "orphan", "orphan", "temporary"]
    found = butler.verify(repair=True, older_than=NOBODY)
    assert found.sound
    assert len(found.foreign) == len(theirs)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in theirs)
    assert (butler.root / "my own").is_dir()
    assert not (butler.root / "gone").exists()
    assert not (butler.root / "u/a/note/SmallCam/7").exists()
    assert [butler.get(ref)["d"] for ref in notes] == [0, 1, 0, 1]
    assert butler.verify(checksums=True, older_than=NOBODY).findings == []


def test_a_repository_within_another_is_left_alone(butler, notes):
    inner = butler.root / "inner"
    with Butler.create(inner) as other:
        fill_repository(other)
        other.register_dataset_type("note", ["visit", "detector"], "Dict")
        kept = other.put("note", {"inner": 1}, HERE, detector=0)
        found = butler.verify(repair=True, older_than=NOBODY)
        assert found.sound
        assert found.findings == []
        assert len(found.foreign) >= 3
        assert other.get(kept) == {"inner": 1}


def test_rows_that_do_not_fit_together_are_told_and_mended(backend, butler, notes):
    butler.annotate(notes[:1], a=1)
    with butler.registry.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM collection_summary")
    found = butler.verify()
    assert kinds(found) == ["registry"]
    assert "'u/a' holds note, but searches do not know it" in found.findings[0].text
    assert butler.verify(repair=True).sound
    assert butler.query_datasets("note", "u/a").count() == 4
    if not backend.is_sqlite:  # PostgreSQL refuses what follows
        return
    with closing(sqlite3.connect(butler.root / "registry.sqlite3")) as connection:  # checks no references
        connection.execute("DELETE FROM dataset WHERE id = ?", (notes[0].id.bytes,))
        connection.commit()
    found = butler.verify()
    assert {finding.where for finding in found.findings} == {
        "stored_file", "annotation", "tag_instrument_visit_detector",
    }  # fmt: skip
    assert butler.verify(repair=True).sound
    found = butler.verify(repair=True, older_than=NOBODY)
    assert kinds(found) == ["orphan"]
    with butler.registry.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM stored_file WHERE hex(dataset_id) = ?", (notes[1].id.hex.upper(),))
        connection.exec_driver_sql(
            "DELETE FROM tag_instrument_visit_detector WHERE hex(dataset_id) = ?", (notes[2].id.hex.upper(),)
        )
    found = butler.verify(repair=True)
    assert kinds(found) == ["no file", "registry"]
    assert not found.sound
    assert "registered without a data ID" in next(f.text for f in found.findings if f.kind == "registry")


def test_what_was_purged_is_history_and_no_fault(butler, notes):
    from uuid import uuid4

    from skybutler.model.provenance import QuantumRecord

    record = QuantumRecord(
        uuid4(), "T", "t", "u/a", {}, "f", "h", 1, 2, "done", {}, inputs=(notes[0].id,), outputs=(notes[1].id,)
    )
    butler.registry.record_quanta([record])
    butler.remove_datasets(notes[:1], purge=True)
    found = butler.verify()
    assert found.findings == []
    assert found.notes == ["1 datasets that quanta read or made are gone for good"]


def test_who_is_at_work_is_not_harmed(butler, root):
    """Datasets come and go while fsck repairs, files are old from the start, and none is lost."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with Butler(root) as other:
                while not stop.is_set():
                    ref = other.put("note", {"n": 1}, HERE, detector=1, run="u/b")
                    other.get(ref)
                    other.remove_datasets([ref], purge=True)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(8):
            found = butler.verify(repair=True, checksums=True, older_than=timedelta(minutes=1))
            assert [one for one in found.findings if one.kind != "half-deleted"] == []
    finally:
        stop.set()
        thread.join()
    assert failed == []


def test_an_orphan_that_is_ingested_just_then_is_not_lost(butler):
    path = leave(butler, "u/a/note/SmallCam/0/note_SmallCam_1_2-0123456789ab.json")
    from skybutler.model.datasets import DatasetRef, FileDataset, StoredFile

    ref = DatasetRef(butler.dataset_type("note"), {"instrument": "SmallCam", **HERE, "detector": 2}, "u/a")
    butler.ingest([FileDataset(path, [ref])], "in_place")
    butler.registry.trash.adopt([StoredFile(path.relative_to(butler.root).as_posix(), "", "", 2)])
    butler.trash.finish(wait=True)
    assert butler.get(ref) == {}


def test_a_butler_for_reading_verifies_and_repairs_nothing(butler, notes):
    leave(butler, "u/a/note/SmallCam/0/note_SmallCam_1_2-0123456789ab.json")
    with Butler(butler.root, writeable=False) as reader:
        assert kinds(reader.verify(older_than=NOBODY)) == ["orphan"]
        with pytest.raises(ReadOnlyError):
            reader.verify(repair=True, older_than=NOBODY)
    assert kinds(butler.verify(older_than=NOBODY)) == ["orphan"]


@pytest.mark.parametrize("place", ["s3", "memory"])
def test_other_stores_are_verified_too(place, request, tmp_path):
    if place == "memory":
        butler = Butler.in_memory()
    else:
        bucket = request.getfixturevalue("bucket")
        where = {"root": f"s3://{bucket.name}/pre", "endpoint": bucket.endpoint, "region": "us-east-1"}
        butler = Butler.create(tmp_path / "repo", datastore=where)
    with butler:
        fill_repository(butler)
        butler.register_dataset_type("note", ["visit", "detector"], "Dict")
        refs = [butler.put("note", {"d": d}, HERE, detector=d) for d in range(3)]
        store = butler.datastore.roots[0].store
        given = tmp_path / "x.json"
        given.write_text('{"d": 9}')
        orphan = "user/note/SmallCam/0/note_SmallCam_1_2-0123456789ab.json"
        for name in (orphan, "mine.txt", "user/note/.skybutler-0123456789abcdef0123456789abcdef"):
            store.put(name, given)
        assert butler.verify(checksums=True).findings == []
        gone, changed = (butler.registry.datasets.files(ref.id)[0].path for ref in refs[:2])
        store.remove(gone)
        store.remove(changed)
        store.put(changed, given)
        found = butler.verify(checksums=True, repair=True, older_than=NOBODY)
        wanted = ["checksum", "missing", "temporary"]
        assert kinds(found) == (sorted([*wanted, "orphan"]) if place == "memory" else wanted)
        butler.verify(repair=True, everywhere=True, older_than=NOBODY)
        assert set(store.names()) == {"mine.txt", changed, butler.registry.datasets.files(refs[2].id)[0].path}


def test_several_places_and_the_cache_are_told_apart(tmp_path):
    places = [{"root": "fast", "dataset_types": ["note"]}, "."]
    with Butler.create(tmp_path / "repo", datastore=places, cache="kept") as butler:
        fill_repository(butler)
        butler.register_dataset_type("note", ["visit", "detector"], "Dict")
        butler.register_dataset_type("words", ["visit", "detector"], "Text")
        refs = [butler.put("note", {}, HERE, detector=0), butler.put("words", "x", HERE, detector=0)]
        leave(butler, "kept/aa/note/note_1-0123456789ab.json")
        shutil.copytree(butler.root / "user", butler.root / "fast" / "copy")
        found = butler.verify(repair=True, older_than=NOBODY)
        assert {finding.where.partition("/")[0] for finding in found.findings} <= {"copy"}
        assert [butler.exists(ref) for ref in refs] == [True, True]
        assert (butler.root / "kept/aa/note/note_1-0123456789ab.json").exists()


def test_the_paths_of_datasets_are_known_by_their_form(butler, notes):
    for ref in notes:
        assert dataset_type_of(dataset_path(ref, ".json")) == "note"
        assert dataset_type_of(dataset_path(ref, "-0123456789abcdef.fits.fz")) == "note"
    for other in ("note_1-0123456789ab.json", "u/other/note_1-0123456789ab.json", "u/note/note_1-0123456789a.json",
                  "u/note/note_1-0123456789AB.json", "u/note/notes_1-0123456789ab.json"):  # fmt: skip
        assert dataset_type_of(other) is None
