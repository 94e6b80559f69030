"""Files that exist become datasets: every way of taking them, all or nothing, and never at the cost of the file."""
# ruff: noqa: PT012 - the block that raises is what the transaction must undo

import json
from pathlib import Path

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, FileDataset, dataset_uuid
from skybutler.model.errors import DataIdError, DatasetExistsError


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
    assert len(stored(butler)) == 2


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
