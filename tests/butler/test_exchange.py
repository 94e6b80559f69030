"""Export, import, transfer, retrieval: what comes is what went, all of it or nothing."""

import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import pytest
import yaml

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.model.errors import (
    ConflictingDefinitionError,
    DataIdError,
    DatasetExistsError,
    DatasetNotFoundError,
    DatasetTypeNotFoundError,
    FileIntegrityError,
    ReadOnlyError,
    StorageClassError,
)
from skybutler.model.provenance import QuantumRecord
from skybutler.model.timespan import Timespan
from skybutler.registry import bulk
from skybutler.storage.stores.memory import MemoryStore
from skybutler.testing.small_repository import INSTRUMENT

HERE = {"instrument": INSTRUMENT}


def fill(butler: Butler) -> list[DatasetRef]:
    """Put datasets, tag, certify, chain and annotate some of them."""
    butler.register_dataset_type(DatasetType("gain", ["instrument", "detector"], "Dict", True))
    butler.register_dataset_type(DatasetType("stars", ["visit"], "ArrowTable"))
    import pyarrow as pa

    notes = [
        butler.put("note", {"of": [visit, detector]}, HERE, visit=visit, detector=detector, run="u/notes")
        for visit in (1, 2)
        for detector in (0, 1)
    ]
    gains = [butler.put("gain", {"gain": n}, HERE, detector=n, run="u/gains") for n in (0, 1)]
    stars = butler.put("stars", pa.table({"ra": [1.0, 2.0]}), HERE, visit=1, run="u/notes")
    make = butler.collections.register
    make("picked", "TAGGED", "The best.")
    butler.collections.tag("picked", [notes[0], notes[3]])
    make("valid", "CALIBRATION")
    butler.collections.certify("valid", gains, Timespan(0, 10**18))
    butler.collections.certify("valid", gains[:1], Timespan(10**18, None))
    make("all", "CHAINED", "All of it.")
    butler.collections.redefine_chain("all", ["picked", "valid", "u/notes"])
    butler.collections.set_doc("u/notes", "My notes.")
    butler.annotate(notes[0], quality="good", n=3, ok=True, seeing=0.8)
    made = QuantumRecord(
        uuid.UUID(int=7), "some.Task", "task", "u/notes", {"visit": 1}, "f1", "here", 10, 20, "done", {"python": "3"},
        (uuid.UUID(int=8), gains[0].id), (stars.id,),
    )  # fmt: skip
    butler.registry.record_quanta([made])
    return [*notes, *gains, stars]


def state(butler: Butler) -> dict[str, object]:
    """What a repository says of itself, its files' bytes among it, where they lie left out."""
    refs = sorted(butler.query_all_datasets("*", collections="*", find_first=False), key=lambda ref: ref.id)
    files = {ref.id: butler.registry.datasets.files(ref.id)[0] for ref in refs}
    elements = [e.name for e in butler.universe.elements if e.has_table]
    return {
        "datasets": [(str(ref), ref.id) for ref in refs],
        "files": [(files[ref.id].storage_class, b"".join(butler.datastore.stream(files[ref.id]))) for ref in refs],
        "collections": [butler.collections.info(name) for name in butler.collections.list()],
        "dates": bulk.ingest_dates_of(butler.registry, refs),
        "quanta": butler.registry.quanta_of(ref.id for ref in refs),
        "annotations": [butler.annotations(ref) for ref in refs],
        "records": {name: sorted(map(repr, butler.query_dimension_records(name))) for name in elements},
        "validities": {n: sorted(held, key=repr) for n, held in bulk.validities_of(butler.registry, refs).items()},
    }  # fmt: skip


def empty(folder: Path, **options: object) -> Butler:
    return Butler.create(folder, **options)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Butler]:
    """A new repository."""
    with empty(tmp_path / "other") as made:
        yield made


@pytest.fixture
def refs(butler: Butler) -> list[DatasetRef]:
    return fill(butler)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_round_trip_by_another_database_keeps_all(backend, tmp_path: Path):
    with empty(tmp_path / "first") as first:
        from skybutler.testing.small_repository import fill_repository

        fill_repository(first)
        first.register_dataset_type(DatasetType("note", ["visit", "detector"], "Dict"))
        fill(first)
        before = state(first)
        first.export(tmp_path / "out")
    url = None if backend.is_sqlite else backend.new()
    with empty(tmp_path / "second", registry=url) as second:
        report = second.import_(tmp_path / "out")
        assert str(report) == "7 datasets, 35 dimension records, 3 dataset types, 5 collections"
        assert state(second) == before
        second.export(tmp_path / "back")
    if url is not None:
        backend.drop(url)
    with empty(tmp_path / "third") as third:
        third.import_(tmp_path / "back")
        assert state(third) == before
        assert third.get("gain", detector=0, collections="valid", timespan=Timespan(10**18, None)) == {"gain": 0}
    assert tree(tmp_path / "out") == tree(tmp_path / "back")


def test_what_datasets_need_goes_along_and_nothing_else(butler: Butler, refs, other: Butler, tmp_path: Path):
    chosen = butler.query_datasets("note", "u/notes", where="visit = 2 AND detector = 1")
    path = butler.export(tmp_path / "some", chosen, collections="picked", elements="visit_definition")
    head = yaml.safe_load(path.read_text())
    assert head["tables"] == {
        "records/instrument": 1, "records/physical_filter": 2, "records/day_obs": 1, "records/group": 4,
        "records/exposure": 4, "records/visit": 4, "records/detector": 1, "records/visit_detector_region": 1,
        "records/visit_definition": 4, "datasets/note": 1, "tags": 1,
    }  # fmt: skip
    other.import_(path)
    assert other.collections.list("picked") == ["picked"]
    assert other.get("note", HERE, visit=2, detector=1, collections="picked") == {"of": [2, 1]}
    assert [record.id for record in other.query_dimension_records("detector")] == [1]


def test_the_work_that_made_datasets_goes_along_once(butler: Butler, refs, other: Butler, tmp_path: Path):
    stars = refs[-1]
    (made,) = butler.registry.quanta_of([stars.id])
    for number, chosen in enumerate(([stars], refs)):
        butler.export(tmp_path / f"out{number}", chosen)
        other.import_(tmp_path / f"out{number}", skip_existing=True)
        (again,) = other.registry.quanta_of([stars.id])
        assert again == made
    assert other.registry.finished_quanta(["f1"], "u/notes") == {"f1": made}
    assert not other.registry.quanta_of([refs[0].id])


def test_datasets_of_an_unknown_storage_class_come_and_wait_for_it(tmp_path: Path):
    described = {"storage_classes": {"Lamp": {"type": "dict", "formatter": "yaml"}}}
    with empty(tmp_path / "one", config=described) as one:
        one.register_dataset_type("lamp", [], "Lamp")
        one.register_dataset_type("other", [], "Dict")
        lamp, other = one.put("lamp", {"on": 1}), one.put("other", {"a": 1})
        one.export(tmp_path / "out")
        bundle = one.retrieve_zip([lamp, other], tmp_path / "all.zip")
        for number, take in enumerate((
            lambda butler: butler.import_(tmp_path / "out"),
            lambda butler: butler.ingest_zip(bundle),
            lambda butler: butler.transfer_from(one, [lamp, other]),
        )):  # fmt: skip
            root = tmp_path / f"two{number}"
            with empty(root) as two:
                report = take(two)
                assert report.unreadable == ("lamp (Lamp)",)
                assert "2 datasets" in str(report)
                assert "lamp (Lamp) cannot be read until" in str(report)
                assert two.get(other) == {"a": 1}
                with pytest.raises(StorageClassError, match="no storage class 'Lamp'"):
                    two.get("lamp")
                assert not two.verify(checksums=True).findings
            with (root / "skybutler.yaml").open("a") as settings:
                settings.write(yaml.safe_dump(described))
            with Butler(root) as two:
                assert two.get("lamp") == {"on": 1}


def test_what_is_there_already_is_passed_over_only_when_asked(butler: Butler, refs, other: Butler, tmp_path: Path):
    butler.export(tmp_path / "out")
    other.import_(tmp_path / "out")
    before = state(other)
    with pytest.raises(DatasetExistsError, match=r"7 of 7 datasets are there already.*skip_existing"):
        other.import_(tmp_path / "out")
    assert str(other.import_(tmp_path / "out", skip_existing=True)).startswith("0 datasets (7 were there already), 0 ")
    assert state(other) == before


def test_a_dry_run_tells_what_would_come_and_changes_nothing(butler: Butler, refs, other: Butler, tmp_path: Path):
    butler.export(tmp_path / "out")
    before = state(other)
    told = other.import_(tmp_path / "out", dry_run=True)
    assert (told.datasets, told.records) == (7, 35)
    assert state(other) == before
    assert not (tmp_path / "other" / "u").exists()
    assert other.import_(tmp_path / "out") == told


def test_contradictions_are_shown_before_anything_is_written(butler: Butler, refs, other: Butler, tmp_path: Path):
    butler.export(tmp_path / "out")
    other.insert_dimension_records("instrument", [{"name": INSTRUMENT, "detector_max": 99}])
    other.register_dataset_type("gain", ["instrument", "detector"], "Text", is_calibration=True)
    other.collections.register("picked", "RUN")
    before = state(other)
    with pytest.raises(ConflictingDefinitionError) as caught:
        other.import_(tmp_path / "out")
    for told in ("detector_max (99, not 3)", "'Text'", "collection 'picked' is RUN here; TAGGED is given"):
        assert told in str(caught.value)
    assert state(other) == before
    assert not (tmp_path / "other" / "u").exists()


def test_a_dataset_in_the_place_of_another_contradicts_it(butler: Butler, refs, other: Butler, tmp_path: Path):
    butler.export(tmp_path / "out")
    other.transfer_from(butler, [refs[0]])
    other.remove_datasets([refs[0]])
    mine = other.put("note", {}, HERE, visit=1, detector=0, run="u/notes")
    with pytest.raises(ConflictingDefinitionError, match=f"another dataset there, of id {mine.id}"):
        other.import_(tmp_path / "out", skip_existing=True)
    assert other.get(mine) == {}


def test_chains_search_what_they_searched_and_then_what_is_new(butler: Butler, refs, other: Butler, tmp_path: Path):
    other.collections.register("mine")
    other.collections.register("all", "CHAINED")
    other.collections.redefine_chain("all", ["mine"])
    butler.export(tmp_path / "out", collections="all")
    other.import_(tmp_path / "out")
    assert other.collections.info("all").children == ("mine", "picked", "valid", "u/notes")


@pytest.mark.parametrize("transfer", ["copy", "link", "direct"])
def test_files_come_in_every_way(butler: Butler, refs, other: Butler, tmp_path: Path, transfer: str):
    butler.export(tmp_path / "out", transfer=transfer)
    other.import_(tmp_path / "out", transfer="direct" if transfer == "direct" else "move")
    left = tmp_path / "out" / "export.files"
    assert not left.exists() or not [path for path in left.rglob("*") if path.is_file()]
    for ref in refs:
        other.datastore.verify(other.registry.datasets.files(ref.id)[0])
    assert butler.get(refs[0]) == other.get(refs[0])
    if transfer == "direct":
        assert other.get_uri(refs[0]) == butler.get_uri(refs[0])
        with pytest.raises(ValueError, match="transfer='direct'"):
            other.import_(tmp_path / "out", skip_existing=True)


@pytest.mark.sqlite
def test_a_registry_comes_again_over_a_copy_of_the_files(butler: Butler, refs, tmp_path: Path):
    import shutil

    butler.export(tmp_path / "out.yaml", transfer=None)
    with empty(tmp_path / "again") as again:
        shutil.copytree(tmp_path / "repo" / "u", tmp_path / "again" / "u")
        again.import_(tmp_path / "out.yaml", transfer="in_place")
        assert state(again) == state(butler)
        with pytest.raises(ValueError, match="has no files of its own"):
            again.import_(tmp_path / "out.yaml", transfer="copy", skip_existing=True)


def test_a_file_that_differs_from_what_was_exported_lets_nothing_in(butler: Butler, refs, other, tmp_path: Path):
    butler.export(tmp_path / "out")
    victim = sorted((tmp_path / "out" / "export.files").rglob("*.json"))[-1]
    victim.write_bytes(victim.read_bytes().swapcase() + b" ")
    before = state(other)
    with pytest.raises(FileIntegrityError, match="were recorded for it"):
        other.import_(tmp_path / "out")
    assert state(other) == before
    assert not list((tmp_path / "other").rglob("*.json"))
    victim.unlink()
    with pytest.raises(FileNotFoundError, match="is not there"):
        other.import_(tmp_path / "out")


def test_a_file_of_several_datasets_stays_one(butler: Butler, other: Butler, tmp_path: Path):
    from skybutler.model.datasets import FileDataset

    (tmp_path / "two.json").write_text("{}")
    kind = butler.dataset_type("note")
    pair = [DatasetRef(kind, HERE | {"visit": 1, "detector": n}, "r") for n in (0, 1)]
    butler.ingest([FileDataset(tmp_path / "two.json", pair)], "copy")
    butler.export(tmp_path / "out")
    other.import_(tmp_path / "out")
    assert len({other.get_uri(ref) for ref in pair}) == 1
    other.remove_datasets(pair[:1])
    assert other.get(pair[1]) == {}


def test_exporting_overwrites_nothing(butler: Butler, refs, tmp_path: Path):
    butler.export(tmp_path / "out")
    with pytest.raises(ConflictingDefinitionError, match="is there already"):
        butler.export(tmp_path / "out")
    with pytest.raises(DatasetNotFoundError, match="is not registered"):
        butler.export(tmp_path / "none", [DatasetRef(refs[0].dataset_type, refs[0].data_id, "u/notes")])
    assert not (tmp_path / "none").exists()
    with pytest.raises(FileNotFoundError, match="there is no export"):
        butler.import_(tmp_path / "nowhere")


def test_a_repository_that_is_only_read_takes_nothing(butler: Butler, refs, root: Path, tmp_path: Path):
    butler.export(tmp_path / "out")
    with Butler(root, writeable=False) as reader, pytest.raises(ReadOnlyError):
        reader.import_(tmp_path / "out", skip_existing=True)


@pytest.mark.parametrize("how", ["import", "transfer"])
def test_checksums_of_an_earlier_kind_are_compared_as_they_were_taken(butler: Butler, refs, tmp_path: Path, how: str):
    t = butler.registry.tables.stored_file
    for ref in refs:
        data = b"".join(butler.datastore.stream(butler.registry.datasets.files(ref.id)[0]))
        earlier = f"blake2b:{blake2b(data, digest_size=16).hexdigest()}"
        with butler.registry.database.write() as connection:
            connection.execute(t.update().where(t.c.dataset_id == ref.id).values(checksum=earlier))
    butler.export(tmp_path / "out")
    with empty(tmp_path / "first") as first, empty(tmp_path / "second") as second:
        if how == "import":
            assert first.import_(tmp_path / "out").datasets == len(refs)
            victim = sorted((tmp_path / "out" / "export.files").rglob("*.json"))[-1]
        else:
            assert first.transfer_from(butler, refs).datasets == len(refs)
            victim = Path(butler.get_uri(refs[0]).removeprefix("file://"))
        assert first.verify(checksums=True).checksums == len(refs)
        changed = victim.read_bytes().swapcase()
        victim.unlink()  # what came was linked
        victim.write_bytes(changed)
        with pytest.raises(FileIntegrityError, match=r"other content .*blake2b:\w+ were recorded for it"):
            second.import_(tmp_path / "out") if how == "import" else second.transfer_from(butler, refs)
        assert not second.query_all_datasets("*", collections="*", find_first=False).any()


# Transfer


def test_datasets_of_another_repository_come_with_all_that_they_need(butler: Butler, refs, other: Butler):
    told = other.transfer_from(butler, butler.query_datasets("note", "u/notes"))
    assert (told.datasets, told.records, told.dataset_types) == (4, 12, 1)
    assert other.get(refs[0]) == {"of": [1, 0]}
    assert other.annotations(refs[0]) == butler.annotations(refs[0])
    other.remove_datasets(refs[:4])
    assert butler.get(refs[0]) == {"of": [1, 0]}
    assert butler.exists(refs[1])


def test_datasets_come_without_dimensions_or_types_only_where_these_are_there(butler: Butler, refs, other: Butler):
    with pytest.raises(DatasetTypeNotFoundError, match="register_dataset_types=True"):
        other.transfer_from(butler, refs[:1], register_dataset_types=False)
    with pytest.raises(DataIdError, match=INSTRUMENT):
        other.transfer_from(butler, refs[:1], transfer_dimensions=False)
    assert not other.collections.list("u/*")
    assert not list(other.root.rglob("*.json"))


@pytest.mark.parametrize("transfer", ["auto", "copy", "direct"])
def test_files_are_transferred_in_every_way(butler: Butler, refs, other: Butler, transfer: str):
    other.transfer_from(butler, refs, transfer=transfer)
    for ref in refs:
        assert other.get(ref) == butler.get(ref)
        other.datastore.verify(other.registry.datasets.files(ref.id)[0])
    inode = [Path(b.get_uri(refs[0]).removeprefix("file://")).stat().st_ino for b in (butler, other)]
    assert (inode[0] == inode[1]) is (transfer != "copy")


def test_a_file_is_compared_as_it_is_transferred(butler: Butler, refs, other: Butler):
    place = Path(butler.get_uri(refs[0]).removeprefix("file://"))
    place.write_bytes(place.read_bytes().swapcase())
    for transfer in ("auto", "copy"):
        with pytest.raises(FileIntegrityError):
            other.transfer_from(butler, refs[:2], transfer=transfer)
    assert not list(other.root.rglob("*.json"))


def test_datasets_come_out_of_memory_and_go_into_it(butler: Butler, refs, other: Butler):
    with Butler.in_memory() as memory:
        assert isinstance(memory.datastore.roots[0].store, MemoryStore)
        memory.transfer_from(butler, refs)
        assert memory.get(refs[0]) == {"of": [1, 0]}
        other.transfer_from(memory, refs)
        assert other.get(refs[0]) == {"of": [1, 0]}
        with pytest.raises(ValueError, match="can only be copied"):
            butler.transfer_from(memory, [memory.put("note", {}, HERE, visit=2, detector=0)], transfer="link")


# Retrieval


def test_files_are_retrieved_under_their_paths_or_flat(butler: Butler, refs, tmp_path: Path):
    paths = butler.retrieve(refs, tmp_path / "out")
    assert [path.read_bytes() for path in paths] == [
        b"".join(butler.datastore.stream(butler.registry.datasets.files(ref.id)[0])) for ref in refs
    ]
    assert paths[0].relative_to(tmp_path / "out").parts[:3] == ("u", "notes", "note")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        butler.retrieve(refs, tmp_path / "out")
    assert butler.retrieve(refs, tmp_path / "out", overwrite=True) == paths
    flat = butler.retrieve(refs, tmp_path / "flat", preserve_path=False)
    assert {path.parent for path in flat} == {tmp_path / "flat"}
    assert len(set(flat)) == len(refs)


def test_files_of_one_name_do_not_take_each_others_place(butler: Butler, tmp_path: Path):
    from skybutler.model.datasets import FileDataset

    kind, files = butler.dataset_type("note"), []
    for n, name in enumerate(("a/x.json", "b/x.json", "b/X.json")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'{{"n": {n}}}')
        files.append(FileDataset(path, [DatasetRef(kind, HERE | {"visit": n + 1, "detector": 0}, "r")]))
    ingested = butler.ingest(files, "direct")
    for preserve in (True, False):
        paths = butler.retrieve(ingested, tmp_path / str(preserve), preserve_path=preserve)
        assert [path.read_text() for path in paths] == ['{"n": 0}', '{"n": 1}', '{"n": 2}']
        assert all(path.is_relative_to(tmp_path / str(preserve)) for path in paths)


# Cut off


KILLED = """
import os, signal, sys
from skybutler.butler.butler import Butler
from skybutler.registry.database import Database
from skybutler.storage.datastore import Datastore
root, source, where, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
kind, name = (Datastore, "_named") if where == "file" else (Database, "insert_many")
inner, calls = getattr(kind, name), []
def dying(self, *arguments):
    calls.append(1)
    if len(calls) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(self, *arguments)
setattr(kind, name, dying)
Butler(root).import_(source)
"""


@pytest.mark.parametrize("where", ["file", "row"])
@pytest.mark.parametrize("count", [1, 4])
def test_a_killed_import_leaves_a_sound_repository(backend, butler: Butler, refs, tmp_path: Path, where, count):
    butler.export(tmp_path / "out")
    url = None if backend.is_sqlite else backend.new()
    with empty(tmp_path / "other", registry=url) as other:
        before = state(other)
    words = [sys.executable, "-c", KILLED, str(tmp_path / "other"), str(tmp_path / "out"), where, str(count)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Butler(tmp_path / "other") as other:
        assert state(other) == before
        other.import_(tmp_path / "out")
        assert {str(ref) for ref in refs} == {told for told, _ in state(other)["datasets"]}
    if url is not None:
        backend.drop(url)
