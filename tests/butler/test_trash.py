"""What is removed goes to the trash, comes back as it was, and goes for good in steps that may be cut off anywhere."""

import json
import signal
import subprocess
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.butler.config import RepositoryConfig
from skybutler.model.datasets import DatasetRef, DatasetType, FileDataset
from skybutler.model.errors import ConfigError, ConflictingDefinitionError, DatasetExistsError, DatasetNotFoundError
from skybutler.model.provenance import QuantumRecord
from skybutler.model.timespan import Timespan, now_ns
from skybutler.testing.small_repository import INSTRUMENT, fill_repository

TABLES = ("dataset", "stored_file", "annotation", "quantum", "quantum_dataset", "tag_instrument_visit_detector",
          "tag_instrument_detector", "calib_instrument_detector")  # fmt: skip


def rows(butler: Butler) -> dict[str, list]:
    """All that the registry says of datasets, but for the numbers of spans and RUNs, which may be others."""
    names = {row.id: row.name for row in butler.registry.catalog.by_id.values()}
    found = {}
    for table in TABLES:
        columns, values = butler.sql(f"SELECT * FROM {table}")
        said = [dict(zip(columns, row, strict=True)) for row in values]
        for row in said:
            row |= {key: names[row[key]] for key in ("run_id", "collection_id") if key in row}
        found[table] = sorted(
            str({k: v for k, v in row.items() if not (k == "id" and table.startswith("calib"))}) for row in said
        )
    return found


def files(butler: Butler) -> dict[str, bytes]:
    """The files of a repository, but for its own two."""
    below = [path for path in butler.root.rglob("*") if path.is_file() and path.parent != butler.root]
    return {path.relative_to(butler.root).as_posix(): path.read_bytes() for path in below}


@pytest.fixture
def filled(butler) -> Butler:
    """A Butler with notes in u/a that are tagged, annotated, and made by a quantum, and certified biases."""
    butler.register_dataset_type("level", ["instrument", "detector"], "Dict", is_calibration=True)
    notes = [butler.put("note", {"d": d}, visit=1, detector=d, run="u/a") for d in range(3)]
    biases = [butler.put("level", {"b": d}, detector=d, run="u/a") for d in range(2)]
    butler.collections.set_doc("u/a", "First try.")
    butler.collections.register("good", "TAGGED")
    butler.collections.tag("good", notes[:2])
    butler.collections.register("calib", "CALIBRATION")
    butler.collections.certify("calib", biases, Timespan(0, 10**18))
    butler.collections.certify("calib", biases[:1], Timespan(2 * 10**18, None))
    butler.annotate(notes[1:], quality="good", seeing=0.1 + 0.2, checked=True, count=3)
    butler.registry.record_quanta(
        [QuantumRecord(
            uuid.uuid4(), "Task", "label", "u/a", {"visit": 1}, "f", "host", 1, 2, "done", {"python": "3"},
            inputs=(biases[0].id,), outputs=(notes[0].id, notes[1].id),
        )]
    )  # fmt: skip
    return butler


def test_what_is_removed_is_found_no_more_and_comes_back_as_it_was(filled):
    before, contents = rows(filled), files(filled)
    refs = [*filled.query_datasets("note", "u/a"), *filled.query_datasets("level", "u/a")]
    assert filled.remove_datasets(refs) == 5
    assert not filled.query_datasets("note", ["u/a", "good"]).any()
    assert not filled.exists(refs[0])
    assert filled.find_dataset("level", detector=0, collections="calib", timespan=Timespan(5, 6)) is None
    assert filled.sql("SELECT count(*) FROM v_datasets")[1] == [(0,)]
    with pytest.raises(DatasetNotFoundError):
        filled.get(refs[0])
    assert files(filled) == contents
    names, said = filled.sql("SELECT * FROM v_trash WHERE dataset_type = 'note' ORDER BY data_id")
    row = dict(zip(names, said[0], strict=True))
    assert json.loads(row["data_id"]) == {"instrument": INSTRUMENT, "visit": 1, "detector": 0}
    assert (row["run"], row["state"], row["size"], row["dataset_id"]) == ("u/a", "kept", 8, str(refs[0].id))
    assert row["removed_date"][:8] < row["expires_date"][:10]
    assert {one.id for one in filled.trash.list()} == {ref.id for ref in refs}
    assert str(filled.trash.list("lev*", run="u/*")[0]).startswith("level {instrument: ")
    done = filled.trash.restore(refs)
    assert (set(done.refs), done.conflicts, done.lost) == (set(refs), [], [])
    assert rows(filled) == before
    assert files(filled) == contents
    assert filled.trash.list() == []
    assert filled.verify(checksums=True).sound


def test_a_run_comes_back_with_its_datasets_quanta_and_description(filled):
    before = rows(filled)
    filled.collections.prepend_chain("defaults", "u/a")
    assert filled.remove_run("u/a", unlink_from_chains=True) == 5
    assert "u/a" not in filled.collections.list()
    assert filled.sql("SELECT count(*) FROM quantum")[1] == [(0,)]
    done = filled.trash.restore(run="u/*")
    assert len(done.refs) == 5
    assert rows(filled) == before
    assert filled.collections.info("u/a").doc == "First try."
    assert filled.get("note", visit=1, detector=2, collections="u/a") == {"d": 2}


def test_a_set_is_restored_whole_or_not_at_all(filled):
    refs = list(filled.query_datasets("note", "u/a", order_by="detector"))
    filled.remove_datasets(refs)
    other = filled.put("note", {"new": 1}, visit=1, detector=1, run="u/a")
    filled.collections.tag("good", [other])
    with pytest.raises(
        ConflictingDefinitionError, match=rf"nothing is restored: .*taken by the dataset of id {other.id}"
    ):
        filled.trash.restore(refs)
    assert len(filled.trash.list("note")) == 3
    assert filled.query_datasets("note", "u/a").count() == 1
    done = filled.trash.restore(refs, skip_conflicts=True)
    assert set(done.refs) == {refs[0], refs[2]}
    assert len(done.conflicts) == 1
    assert filled.get(other) == {"new": 1}
    filled.remove_datasets([other])
    filled.trash.restore(other)
    with pytest.raises(ConflictingDefinitionError, match="is not in the trash"):
        filled.trash.restore(uuid.uuid4())
    with pytest.raises(ConflictingDefinitionError, match="nothing is named to restore"):
        filled.trash.restore([])
    with pytest.raises(ConflictingDefinitionError, match="not both"):
        filled.trash.restore(refs, run="u/a")


def test_places_that_are_taken_by_now_are_told(filled):
    note = filled.find_dataset("note", visit=1, detector=0, collections="u/a")
    levels = list(filled.query_datasets("level", "u/a", order_by="detector"))
    filled.remove_datasets([note, *levels])
    other = filled.put("note", {}, visit=1, detector=0, run="u/b")
    filled.collections.tag("good", [other])
    bias = filled.put("level", {}, detector=0, run="u/b")
    filled.collections.certify("calib", [bias], Timespan(10**17, 10**17 + 1))
    done = filled.trash.restore(run="u/a")
    assert len(done.refs) == 3
    assert len(done.lost) == 2
    assert any("tagged in 'good', which has another" in text for text in done.lost)
    assert any("certified in 'calib' for" in text for text in done.lost)
    later = filled.find_dataset("level", detector=0, collections="calib", timespan=Timespan(3 * 10**18, 3 * 10**18 + 1))
    assert later == levels[0]
    tagged = filled.find_dataset("note", visit=1, detector=1, collections="good")
    filled.remove_datasets([tagged])
    filled.collections.delete("good")
    assert "no TAGGED collection any more" in filled.trash.restore(tagged).lost[0]


def test_a_dataset_whose_file_or_type_is_gone_stays_in_the_trash(filled):
    refs = list(filled.query_datasets("note", "u/a"))
    Path(filled.get_uri(refs[0]).removeprefix("file://")).unlink()
    filled.remove_datasets(refs)
    with pytest.raises(ConflictingDefinitionError, match="has lost its file"):
        filled.trash.restore(refs)
    filled.register_dataset_type(DatasetType("note", ["visit"], "Dict"), replace=True)
    with pytest.raises(ConflictingDefinitionError, match="is of a type that is DatasetType"):
        filled.trash.restore(refs[1])


def test_a_dataset_whose_file_has_another_length_stays_in_the_trash(filled):
    refs = list(filled.query_datasets("note", "u/a"))
    with Path(filled.get_uri(refs[0]).removeprefix("file://")).open("ab") as file:
        file.write(b" ")
    filled.remove_datasets(refs)
    with pytest.raises(ConflictingDefinitionError, match="has another length than it had"):
        filled.trash.restore(refs)
    assert set(filled.trash.restore(refs, skip_conflicts=True).refs) == set(refs[1:])


def test_the_last_one_removed_of_a_data_id_comes_back(butler):
    first = butler.put("note", {"n": 1}, visit=1, detector=0)
    butler.remove_datasets([first])
    second = butler.put("note", {"n": 2}, visit=1, detector=0)
    butler.remove_datasets([second])
    done = butler.trash.restore(dataset_type="note", skip_conflicts=True)
    assert done.refs == [second]
    assert "which was removed later" in done.conflicts[0]


def test_a_dataset_removed_twice_under_one_id_is_restored_as_it_was_last(butler):
    ref = butler.put("note", {"n": 1}, visit=1, detector=0)
    butler.remove_datasets([ref])
    butler.put(ref, {"n": 2})
    with pytest.raises(ConflictingDefinitionError, match=r"taken by|registered again"):
        butler.trash.restore(ref)
    butler.remove_datasets([ref])
    assert len(files(butler)) == 1
    butler.trash.restore(ref)
    assert butler.get(ref) == {"n": 2}


# For good


def test_what_is_purged_is_gone_for_good(filled):
    refs = list(filled.query_datasets("note", "u/a"))
    filled.remove_datasets(refs, purge=True)
    assert filled.sql("SELECT count(*) FROM v_trash")[1] == [(0,)]
    assert not [name for name in files(filled) if "note" in name]
    assert filled.remove_run("u/a", purge=True) == 2
    assert files(filled) == {}
    assert [path for path in filled.root.iterdir() if path.is_dir()] == []


def test_the_trash_is_emptied_by_age_or_as_a_whole(butler):
    refs = [butler.put("note", {"d": d}, visit=1, detector=d) for d in range(3)]
    butler.remove_datasets(refs[:1])
    assert butler.trash.empty(timedelta(hours=1)) == 0
    assert butler.trash.empty() == 1
    assert len(files(butler)) == 2
    butler.remove_datasets(refs)
    assert butler.trash.empty(timedelta(0)) == 2
    assert files(butler) == {}


def test_a_removal_empties_what_is_past_its_time(butler):
    refs = [butler.put("note", {"d": d}, visit=1, detector=d) for d in range(3)]
    butler.remove_datasets(refs[:1])
    with butler.registry.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE trash SET expires_ns = {now_ns() - 1}")
    butler.remove_datasets(refs[1:2])
    assert {one.id for one in butler.trash.list()} == {refs[1].id}
    assert len(files(butler)) == 2


def test_the_window_is_a_setting(root, backend):
    file = root / "skybutler.yaml"
    text = file.read_text()
    for said, days in (("2 days", 2), ("0", 0), ("36 hours", 1.5)):
        file.write_text(f"{text}trash: {said}\n")
        assert RepositoryConfig.load(root).trash == timedelta(days=days)
    file.write_text(f"{text}trash: soon\n")
    with pytest.raises(ConfigError, match=r"trash in skybutler.yaml 'soon' is not a number with a unit"):
        RepositoryConfig.load(root)
    file.write_text(f"{text}trash: 5\n")
    with pytest.raises(ConfigError, match="without a unit; write '5 days'"):
        Butler(root)
    file.write_text(f"{text}trash: 0\n")
    with Butler(root) as butler:
        butler.remove_datasets([butler.put("note", {}, visit=1, detector=0)])
        assert files(butler) == {}
        assert butler.trash.list() == []


def test_what_a_transaction_removes_and_undoes_never_was_in_the_trash(filled):
    before, contents = rows(filled), files(filled)
    for purge in (False, True):
        with pytest.raises(KeyboardInterrupt), filled.transaction():  # noqa: PT012
            filled.remove_run("u/a", purge=purge)
            raise KeyboardInterrupt
        assert (rows(filled), files(filled), list(filled.trash.list())) == (before, contents, [])
    with filled.transaction():
        filled.remove_datasets(filled.query_datasets("note", "u/a"))
        filled.trash.empty()
        assert files(filled) == contents
    assert len(files(filled)) == 2


# Files that several name


def shared_file(butler: Butler, folder: Path) -> list[DatasetRef]:
    """Ingest one file with three notes in place."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "given.json").write_text('{"given": 1}')
    refs = [a_note(butler, d) for d in range(3)]
    butler.ingest([FileDataset(folder / "given.json", refs)], "in_place")
    return refs


def a_note(butler: Butler, detector: int) -> DatasetRef:
    return DatasetRef(butler.dataset_type("note"), {"instrument": INSTRUMENT, "visit": 1, "detector": detector}, "user")


@pytest.mark.parametrize("purge", [False, True])
def test_a_shared_file_goes_with_the_last_of_its_datasets(butler, purge):
    refs = shared_file(butler, butler.root / "mine")
    butler.remove_datasets(refs[:1], purge=purge)
    butler.trash.empty()
    butler.remove_datasets(refs[1:2])
    butler.remove_datasets(refs[2:], purge=True)
    assert (butler.root / "mine" / "given.json").exists()
    butler.trash.restore(refs[1])
    assert butler.get(refs[1]) == {"given": 1}
    butler.remove_datasets(refs[1:2])
    butler.trash.empty()
    assert not (butler.root / "mine").exists()


def test_a_file_that_is_ingested_again_while_it_is_in_the_trash_is_not_lost(butler):
    refs = shared_file(butler, butler.root / "mine")
    butler.remove_datasets(refs)
    again = a_note(butler, 1)
    butler.ingest([FileDataset(butler.root / "mine" / "given.json", [again])], "in_place")
    butler.trash.empty()
    assert butler.get(again) == {"given": 1}
    butler.remove_datasets([again], purge=True)
    assert files(butler) == {}


def test_a_file_outside_the_root_stays(butler, tmp_path):
    (tmp_path / "mine.json").write_text("{}")
    refs = butler.ingest([FileDataset(tmp_path / "mine.json", [a_note(butler, 0)])], "direct")
    butler.remove_datasets(refs)
    again = a_note(butler, 0)
    butler.ingest([FileDataset(tmp_path / "mine.json", [again])], "direct")
    butler.trash.empty()
    butler.remove_datasets([again], purge=True)
    assert (tmp_path / "mine.json").exists()


def test_a_file_that_is_just_going_cannot_be_registered(butler):
    refs = shared_file(butler, butler.root / "mine")
    butler.remove_datasets(refs)
    butler.registry.trash.mark(None)  # and there the process dies
    again = a_note(butler, 1)
    with pytest.raises(DatasetExistsError, match=r"just being removed.*skybutler trash empty"):
        butler.ingest([FileDataset(butler.root / "mine" / "given.json", [again])], "in_place")
    butler.put("note", {"other": 1}, visit=1, detector=0)
    with pytest.raises(ConflictingDefinitionError, match="is being emptied"):
        butler.trash.restore(refs[1])
    butler.trash.empty()
    assert butler.sql("SELECT count(*) FROM v_trash")[1] == [(0,)]


def test_a_file_that_goes_while_it_is_ingested_is_not_registered(butler, monkeypatch):
    refs = shared_file(butler, butler.root / "mine")
    butler.remove_datasets(refs)
    taking = butler.datastore.ingest_files

    def take(*arguments, **keywords):
        yield from list(taking(*arguments, **keywords))
        with Butler(butler.root) as other:
            other.trash.empty()

    monkeypatch.setattr(butler.datastore, "ingest_files", take)
    with pytest.raises(FileNotFoundError, match=r"given.json was removed while it was being ingested"):
        butler.ingest([FileDataset(butler.root / "mine" / "given.json", [a_note(butler, 1)])], "in_place")
    assert butler.sql("SELECT count(*) FROM dataset")[1] == [(0,)]


# Killed, and at once

KILLED = """
import os, signal, sys
from skybutler.butler.butler import Butler
from skybutler.registry.trash import Trash
from skybutler.storage.datastore import Datastore
from skybutler.storage.stores.local import LocalStore
root, step = sys.argv[1:]
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
butler = Butler(root)
refs = list(butler.query_datasets("note", "u/a"))
remove_many = LocalStore.remove_many
def first(store, names):
    remove_many(store, list(names)[:1])
    die()
if step == "moved": Trash._release_shared = die
if step == "marked": Datastore.remove_many = die
if step == "first file": LocalStore.remove_many = first
if step == "files": Trash.forget = die
{work}
"""


@pytest.mark.parametrize("work", ["butler.remove_datasets(refs, purge=True)", "butler.trash.empty()"])
@pytest.mark.parametrize("step", ["moved", "marked", "first file", "files"])
@pytest.mark.parametrize("finish", ["removal", "fsck", "trash empty"])
def test_a_removal_that_is_killed_is_finished_by_the_next(filled, work, step, finish):
    notes = list(filled.query_datasets("note", "u/a"))
    if "empty" in work:
        filled.remove_datasets(notes)
    script = KILLED.replace("{work}", work)
    done = subprocess.run(
        [sys.executable, "-c", script, str(filled.root), step], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
    assert filled.get("level", detector=0, collections="u/a") == {"b": 0}
    marked = filled.sql("SELECT count(*) FROM v_trash WHERE state = 'going'")[1][0][0]
    assert marked == (0 if step == "moved" else 3)
    if step == "moved":
        there = len(filled.trash.list()) if "empty" in work else filled.query_datasets("note", "u/a").count()
        assert there == 3
        assert filled.verify().sound
        return
    assert not filled.query_datasets("note", "u/a").any()
    if finish == "removal":
        filled.remove_datasets([])
    elif finish == "trash empty":
        filled.trash.empty()
    else:
        assert [finding.kind for finding in filled.verify().findings] == ["half-deleted"]
        assert filled.verify(repair=True).sound
    assert not [name for name in files(filled) if "note" in name]
    assert filled.sql("SELECT count(*) FROM v_trash")[1] == [(0,)]
    assert filled.verify(checksums=True).findings == []


def test_who_removes_at_once_with_others_leaves_nothing_and_loses_nothing(root, run_together):
    with Butler(root) as butler:
        refs = [butler.put("note", {"v": v}, visit=v, detector=d) for v in (1, 2, 3) for d in range(3)]
        kept = butler.put("note", {"kept": 1}, visit=4, detector=0)
    work = f"""
    refs = [ref for ref in butler.query_datasets("note", "user") if ref.id.hex != {kept.id.hex!r}]
    print(butler.remove_datasets(refs, purge=number % 2 == 0))
    butler.trash.empty()
    """
    said = run_together(root, work, 3)
    assert sum(map(int, said)) == len(refs)
    with Butler(root) as butler:
        assert butler.get(kept) == {"kept": 1}
        butler.trash.empty()
        assert len(files(butler)) == 1
        assert butler.verify(checksums=True, older_than=timedelta(0)).findings == []


def test_who_puts_and_who_removes_the_same_at_once_agree(root, run_together):
    work = """
    for n in range(15):
        try:
            if number == 0:
                butler.put("note", {"n": n}, visit=1, detector=0)
            else:
                ref = butler.find_dataset("note", visit=1, detector=0)
                if ref is not None:
                    butler.remove_datasets([ref], purge=number == 1)
        except FileExistsError:
            pass
    print("done")
    """
    assert run_together(root, work, 3) == ["done\n"] * 3
    with Butler(root) as butler:
        assert butler.verify(checksums=True, older_than=timedelta(0)).sound
        for one in butler.trash.list():
            assert butler.trash.restore(one, skip_conflicts=True).lost == []
        butler.trash.empty()
        assert butler.verify(checksums=True, older_than=timedelta(0)).findings == []


def test_ten_thousand_datasets_are_removed_and_restored_in_seconds(tmp_path):
    with Butler.create(tmp_path / "repo") as butler:
        fill_repository(butler)
        butler.insert_dimension_records(
            "detector", [{"instrument": INSTRUMENT, "id": d, "full_name": f"E{d}"} for d in range(3, 5000)]
        )
        kind = DatasetType("note", ["visit", "detector"], "Dict")
        butler.register_dataset_type(kind)
        source = tmp_path / "x.json"
        source.write_text("{}")
        refs = [
            DatasetRef(butler.dataset_type("note"), {"instrument": INSTRUMENT, "visit": v, "detector": d}, "user")
            for v in (1, 2) for d in range(5000)
        ]  # fmt: skip
        butler.ingest([FileDataset(source, refs)], "direct")
        begin = time.perf_counter()
        assert butler.remove_datasets(refs) == 10_000
        removed = time.perf_counter()
        assert len(butler.trash.restore(run="user").refs) == 10_000
        assert removed - begin < 15
        assert time.perf_counter() - removed < 15


def test_room_is_counted_by_what_takes_it(filled):
    shared_file(filled, filled.root / "mine")
    by_run = {one.name: one for one in filled.disk_usage("run")}
    assert (by_run["u/a"].datasets, by_run["u/a"].files, by_run["u/a"].size) == (5, 5, 40)
    assert (by_run["user"].datasets, by_run["user"].files, by_run["user"].size) == (3, 1, 12)
    assert {one.name: (one.datasets, one.size) for one in filled.disk_usage("dataset_type")} == {
        "note": (6, 36), "level": (2, 16),
    }  # fmt: skip
    by_collection = {one.name: one.datasets for one in filled.disk_usage("collection")}
    assert by_collection == {"u/a": 5, "user": 3, "good": 2, "calib": 2}
    assert [(one.datasets, one.files, one.size) for one in filled.disk_usage("repository")] == [(8, 6, 52)]
