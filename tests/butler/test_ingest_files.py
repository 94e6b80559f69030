"""Files that exist become datasets: every way of taking them, all or nothing, and never at the cost of the file."""
# ruff: noqa: PT012 - the block that raises is what the transaction must undo

import errno
import json
import os
from pathlib import Path

import pytest
from xxhash import xxh3_128_hexdigest

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, FileDataset, dataset_uuid
from skybutler.model.errors import ConfigError, DataIdError, DatasetExistsError
from skybutler.storage.datastore import Datastore


class FailingError(Exception):
    """What goes wrong in these tests."""


def to_ingest(butler: Butler, folder: Path, *detectors: int, run: str = "in") -> list[FileDataset]:
    folder.mkdir(exist_ok=True)
    made = []
    for detector in detectors:
        path = folder / f"{detector}.json"
        path.write_text(json.dumps({"d": detector}))
        data_id = {"instrument": "SmallCam", "visit": 1, "detector": detector}
        ref = DatasetRef(butler.dataset_type("note"), data_id, run, dataset_uuid("note", data_id, run))
        made.append(FileDataset(path, [ref]))
    return made


def stored(butler: Butler) -> list[Path]:
    return sorted(p for p in butler.root.rglob("*.json"))


@pytest.mark.parametrize(
    ("transfer", "source_stays", "inside"),
    [("auto", True, 1), ("link", True, 1), ("copy", True, 1), ("move", False, 1), ("direct", True, 0)],
)
def test_each_way_of_taking_a_file_reads_back_the_same(butler, tmp_path, transfer, source_stays, inside):
    (file,) = to_ingest(butler, tmp_path / "files", 2)
    assert butler.ingest([file], transfer) == file.refs
    assert butler.get("note", visit=1, detector=2, collections="in") == {"d": 2}
    assert Path(file.path).exists() == source_stays
    assert len(stored(butler)) == inside


@pytest.mark.parametrize("transfer", ["auto", "in_place", "move"])
def test_a_file_below_the_root_stays_where_it_is(butler, transfer):
    (file,) = to_ingest(butler, butler.root / "here", 2)
    butler.ingest([file], transfer)
    assert stored(butler) == [file.path]
    assert butler.get(file.refs[0]) == {"d": 2}


def test_only_files_below_the_root_are_ingested_in_place(butler, tmp_path):
    with pytest.raises(ValueError, match="cannot be ingested in place"):
        butler.ingest(to_ingest(butler, tmp_path / "files", 2), "in_place")
    with pytest.raises(ValueError, match="transfer='teleport' is not one of"):
        butler.ingest(to_ingest(butler, tmp_path / "files", 2), "teleport")
    assert "in" not in butler.collections.list()


@pytest.mark.parametrize("transfer", ["auto", "link", "copy", "move"])
def test_what_a_symbolic_link_leads_to_is_ingested(butler, tmp_path, transfer):
    (file,) = to_ingest(butler, tmp_path / "files", 2)
    link = tmp_path / "link.json"
    link.symlink_to("files/2.json")
    butler.ingest([FileDataset(link, file.refs)], transfer)
    assert butler.get(file.refs[0]) == {"d": 2}


def test_a_file_that_is_not_there_leaves_none_of_the_others(butler, tmp_path):
    files = to_ingest(butler, tmp_path / "files", 0, 1, 2)
    Path(files[2].path).unlink()
    with pytest.raises(FileNotFoundError, match="there is no file"):
        butler.ingest(files, "move")
    assert stored(butler) == []
    assert butler.sql("SELECT count(*) FROM dataset")[1] == [(0,)]
    assert "in" not in butler.collections.list()
    assert Path(files[0].path).exists()


def test_a_dataset_that_is_there_is_the_one_that_is_named_and_keeps_the_others_out(butler, tmp_path):
    taken = butler.put("note", {"put": 1}, visit=1, detector=1, run="in")
    files = to_ingest(butler, tmp_path / "files", 0, 1, 2)
    with pytest.raises(DatasetExistsError, match="visit: 1, detector: 1} in 'in' is there already"):
        butler.ingest(files, "move")
    assert butler.get(taken) == {"put": 1}
    assert len(stored(butler)) == 1
    assert all(Path(file.path).exists() for file in files)


def test_a_record_that_is_missing_is_named(butler, tmp_path):
    files = to_ingest(butler, tmp_path / "files", 0, 7)
    with pytest.raises(DataIdError, match=r"no detector 7 of instrument 'SmallCam': there are 0, 1, 2\."):
        butler.ingest(files, "copy")
    assert stored(butler) == []


def test_files_that_were_ingested_already_are_passed_over_where_told_to(butler, tmp_path):
    files = to_ingest(butler, tmp_path / "files", 0, 1)
    butler.ingest(files[:1], "copy")
    with pytest.raises(DatasetExistsError):
        butler.ingest(files, "copy")
    assert butler.ingest(files, "copy", skip_existing=True) == files[1].refs
    assert butler.ingest(files, "copy", skip_existing=True) == []
    again = [DatasetRef(ref.dataset_type, ref.data_id, ref.run) for file in files for ref in file.refs]
    with_new_ids = [FileDataset(file.path, [ref]) for file, ref in zip(files, again, strict=True)]
    assert butler.ingest(with_new_ids, "copy", skip_existing=True) == []
    elsewhere = FileDataset(files[0].path, [DatasetRef(again[0].dataset_type, again[0].data_id, "other")])
    assert butler.ingest([*with_new_ids, elsewhere], "copy", skip_existing=True) == elsewhere.refs
    assert len(stored(butler)) == 3


def test_one_dataset_is_not_given_twice(butler, tmp_path):
    (file,) = to_ingest(butler, tmp_path / "files", 0)
    again = FileDataset(file.path, [DatasetRef(file.refs[0].dataset_type, file.refs[0].data_id, "in")])
    with pytest.raises(DatasetExistsError, match="is given twice"):
        butler.ingest([file, again], "copy")
    assert stored(butler) == []


def test_a_file_is_directly_of_one_dataset_only(butler, tmp_path):
    first, second = to_ingest(butler, tmp_path / "files", 0, 1)
    butler.ingest([first], "direct")
    with pytest.raises(DatasetExistsError, match="keeps another dataset already"):
        butler.ingest([FileDataset(first.path, second.refs)], "direct")


def test_a_file_may_hold_several_datasets_and_goes_with_the_last(butler, tmp_path):
    files = to_ingest(butler, tmp_path / "files", 0, 1, 2)
    refs = [file.refs[0] for file in files]
    butler.ingest([FileDataset(files[0].path, refs)], "copy")
    assert [butler.get(ref) for ref in refs] == [{"d": 0}] * 3
    butler.remove_datasets(refs[:2], purge=True)
    assert len(stored(butler)) == 1
    assert butler.get(refs[2]) == {"d": 0}
    butler.remove_datasets(refs[2:], purge=True)
    assert stored(butler) == []


def test_a_file_that_holds_nothing_is_refused(butler, tmp_path):
    with pytest.raises(DataIdError, match="no dataset of it is named"):
        butler.ingest([FileDataset(tmp_path / "x.json", [])])


def test_removing_a_dataset_leaves_a_file_outside_the_root(butler, tmp_path):
    (file,) = to_ingest(butler, tmp_path / "files", 0)
    butler.remove_datasets(butler.ingest([file], "direct"), purge=True)
    assert Path(file.path).exists()


def test_files_move_only_once_the_outermost_transaction_is_committed(butler, tmp_path):
    (file,) = to_ingest(butler, tmp_path / "files", 0)
    with pytest.raises(FailingError), butler.transaction():
        butler.ingest([file], "move")
        raise FailingError
    assert json.loads(Path(file.path).read_text()) == {"d": 0}
    assert stored(butler) == []
    with butler.transaction():
        butler.ingest([file], "move")
        assert Path(file.path).exists()
    assert not Path(file.path).exists()
    assert butler.get(file.refs[0]) == {"d": 0}


def test_ingesting_nothing_does_nothing(butler):
    assert butler.ingest([]) == []


def registered(butler: Butler) -> int:
    return butler.sql("SELECT count(*) FROM stored_file")[1][0][0]


@pytest.mark.parametrize("transfer", ["auto", "direct", "link", "copy", "move"])
@pytest.mark.parametrize("what", ["folder", "pipe", "nothing", "link to nowhere", "below a file"])
def test_what_is_no_file_is_named_and_nothing_is_registered(butler, tmp_path, transfer, what):
    files = to_ingest(butler, tmp_path / "files", 0, 1, 2)
    odd = Path(files[2].path)
    odd.unlink()
    if what == "folder":
        odd.mkdir()
    elif what == "pipe":
        os.mkfifo(odd)
    elif what == "link to nowhere":
        odd.symlink_to("nowhere")
    elif what == "below a file":
        odd = Path(files[1].path, "x.json")
        files[2].path = odd
    with pytest.raises(OSError, match=f"{odd} is a {what}" if what in ("folder", "pipe") else f"no file {odd}"):
        butler.ingest(files, transfer)
    assert (registered(butler), "in" in butler.collections.list()) == (0, False)
    assert [path for path in stored(butler) if path.is_file()] == []
    assert Path(files[0].path).is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
@pytest.mark.sqlite
def test_a_file_that_cannot_be_read_is_named(butler, tmp_path):
    files = to_ingest(butler, tmp_path / "files", 0, 1)
    Path(files[1].path).chmod(0)
    with pytest.raises(PermissionError, match=r"1\.json cannot be read"):
        butler.ingest(files, "link")
    assert registered(butler) == 0


@pytest.mark.sqlite
@pytest.mark.parametrize("transfer", ["link", "copy", "move"])
def test_a_file_that_vanishes_in_the_midst_leaves_none_of_the_others(butler, tmp_path, transfer, monkeypatch):
    files = to_ingest(butler, tmp_path / "files", 0, 1, 2)
    genuine = Datastore._take

    def vanishing(self, source, *arguments):
        if source == str(files[2].path):
            Path(source).unlink()
        return genuine(self, source, *arguments)

    monkeypatch.setattr(Datastore, "_take", vanishing)
    with pytest.raises(FileNotFoundError, match=r"2\.json"):
        butler.ingest(files, transfer)
    assert (registered(butler), stored(butler)) == (0, [])
    assert Path(files[0].path).is_file()


def test_a_file_that_stays_in_its_place_is_given_once(butler, tmp_path):
    first, second = to_ingest(butler, butler.root / "here", 0, 1)
    for transfer in ("in_place", "auto", "direct", "move"):
        with pytest.raises(DatasetExistsError, match="is given twice; a file of several datasets"):
            butler.ingest([first, FileDataset(str(first.path), second.refs)], transfer)
    assert registered(butler) == 0


@pytest.mark.parametrize("transfer", ["link", "copy", "move"])
def test_a_file_that_is_given_twice_becomes_two(butler, tmp_path, transfer):
    first, second = to_ingest(butler, tmp_path / "files", 0, 1)
    butler.ingest([first, FileDataset(first.path, second.refs)], transfer)
    assert [butler.get(ref) for ref in (*first.refs, *second.refs)] == [{"d": 0}] * 2
    assert len(stored(butler)) == 2
    assert Path(first.path).exists() == (transfer != "move")


@pytest.fixture
def other_file_system(monkeypatch):
    """Make the files to ingest be on another file system than the repository's."""
    genuine = os.link

    def link(source, target, **options):
        if "/files/" in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        genuine(source, target, **options)

    monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("other_file_system")
def test_a_move_across_file_systems_keeps_the_file_until_the_commit(butler, tmp_path):
    files = to_ingest(butler, tmp_path / "files", 0, 1)
    with pytest.raises(FailingError), butler.transaction():
        butler.ingest(files, "move")
        assert len(stored(butler)) == 2
        raise FailingError
    assert stored(butler) == []
    with butler.transaction():
        butler.ingest(files, "move")
        assert all(Path(file.path).exists() for file in files)
    assert not any(Path(file.path).exists() for file in files)
    assert [butler.get(file.refs[0]) for file in files] == [{"d": 0}, {"d": 1}]
    assert not any(path.is_symlink() for path in stored(butler))


@pytest.mark.sqlite
@pytest.mark.usefixtures("other_file_system")
def test_a_link_to_another_file_system_is_symbolic_and_auto_copies(butler, tmp_path):
    first, second = to_ingest(butler, tmp_path / "files", 0, 1)
    butler.ingest([first], "link")
    butler.ingest([second], "auto")
    assert [path.is_symlink() for path in stored(butler)] == [True, False]
    assert [butler.get(file.refs[0]) for file in (first, second)] == [{"d": 0}, {"d": 1}]


@pytest.mark.sqlite
def test_large_files_are_hashed_by_several_threads_and_each_gets_its_own_checksum(butler, tmp_path, monkeypatch):
    monkeypatch.setattr("skybutler.storage.intake._LARGE", 20)
    monkeypatch.setattr("skybutler.storage.intake._AHEAD", 2)
    files = to_ingest(butler, tmp_path / "files", 0, 1, 2)
    for number in (0, 2):
        Path(files[number].path).write_text(json.dumps({"long": "x" * 50 + str(number)}))
    refs = butler.ingest(files, "link")
    for ref in refs:
        for one in butler.registry.datasets.files(ref.id):
            butler.datastore.verify(one)
            data = butler.datastore.path(one).read_bytes()
            assert (one.size, one.checksum) == (len(data), f"xxh3:{xxh3_128_hexdigest(data)}")


@pytest.mark.parametrize("transfer", ["direct", "link", "copy"])
def test_files_that_are_not_copied_need_not_be_read(butler, tmp_path, transfer):
    files = to_ingest(butler, tmp_path / "files", 0, 1)
    butler.ingest(files[:1], transfer, checksums=False)
    butler.ingest_checksums = False
    butler.ingest(files[1:], transfer)
    for file in files:
        (one,) = butler.registry.datasets.files(file.refs[0].id)
        assert (one.size, one.checksum is None) == (8, transfer != "copy")
        butler.datastore.verify(one)
        assert butler.get(file.refs[0])


@pytest.mark.sqlite
def test_a_repository_says_whether_files_are_read_for_their_checksums(butler):
    file = butler.root / "skybutler.yaml"
    text = file.read_text()
    assert Butler(butler.root).ingest_checksums
    file.write_text(text + "ingest_checksums: false\n")
    assert not Butler(butler.root).ingest_checksums
    file.write_text(text + "ingest_checksums: perhaps\n")
    with pytest.raises(ConfigError, match="ingest_checksums is 'perhaps'"):
        Butler(butler.root)


@pytest.mark.sqlite
def test_a_path_with_dots_means_what_the_file_system_says(butler, tmp_path):
    (file,) = to_ingest(butler, tmp_path / "files", 0)
    outside = FileDataset(f"{butler.root}/../{'files'}/0.json", file.refs)
    if not Path(outside.path).exists():
        (butler.root.parent / "files").symlink_to(tmp_path / "files")
    with pytest.raises(ValueError, match="cannot be ingested in place"):
        butler.ingest([outside], "in_place")
    (inside,) = to_ingest(butler, butler.root / "here", 0)
    inside.path = f"{butler.root}/there/../here//./0.json"
    (butler.root / "there").mkdir()
    butler.ingest([inside], "in_place")
    assert [one.path for one in butler.registry.datasets.files(inside.refs[0].id)] == ["here/0.json"]


@pytest.mark.sqlite
def test_folders_are_flushed_once_for_all_files_before_anything_is_registered(butler, tmp_path, monkeypatch):
    files = to_ingest(butler, tmp_path / "files", 0, 1, 2)
    flushed = []
    genuine = os.fsync

    def fsync(descriptor):
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        flushed.append((place.is_dir(), place.name, registered(butler)))
        genuine(descriptor)

    butler.put("note", {}, visit=1, detector=0, run="before")  # makes the folders
    monkeypatch.setattr(os, "fsync", fsync)
    butler.put_many([(DatasetRef(ref.dataset_type, ref.data_id, "before"), {}) for f in files[1:] for ref in f.refs])
    assert [is_folder for is_folder, *_ in flushed] == [False, False, True]
    assert {count for *_, count in flushed} == {1}
    flushed.clear()
    butler.ingest(files, "link", checksums=False)
    assert [name for is_folder, name, _ in flushed if is_folder].count("SmallCam") <= 2  # made, and filled
    assert {count for *_, count in flushed} == {3}
