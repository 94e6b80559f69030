"""Put, get, find, exists, remove: what is put comes back, and nothing is overwritten or left behind."""

import uuid
from pathlib import Path

import numpy as np
import pytest

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.model.errors import (
    CollectionNotFoundError,
    CollectionTypeError,
    ConflictingDefinitionError,
    DataIdError,
    DatasetExistsError,
    DatasetNotFoundError,
    DatasetTypeNotFoundError,
    FileIntegrityError,
    StorageClassError,
)

HERE = {"instrument": "SmallCam", "visit": 1, "detector": 2}


def files(butler: Butler) -> list[str]:
    """The dataset files below the root."""
    return sorted(
        str(p.relative_to(butler.root))
        for p in butler.root.rglob("*")
        if p.is_file() and not p.name.startswith(("registry.sqlite3", "skybutler.yaml"))
    )


def counts(butler: Butler) -> dict[str, int]:
    """How many rows the tables of datasets have."""
    tables = ("dataset", "stored_file", "tag_instrument_visit_detector", "collection")
    return {name: butler.sql(f"SELECT count(*) FROM {name}")[1][0][0] for name in tables}


def test_what_is_put_comes_back(butler):
    ref = butler.put("note", {"a": [1, 2.5, None, "ü"]}, **HERE)
    assert butler.get("note", **HERE) == {"a": [1, 2.5, None, "ü"]}
    assert butler.get(ref) == butler.get("note", HERE) == butler.get("note", ref.data_id)
    assert butler.find_dataset("note", HERE) == ref
    assert butler.get_deferred("note", HERE).get() == {"a": [1, 2.5, None, "ü"]}
    assert ref.run == "user"
    assert [Path(file).name for file in files(butler)] == [f"note_SmallCam_1_2-{ref.id.hex[-12:]}.json"]
    assert butler.get_uri(ref) == (butler.root / files(butler)[0]).as_uri()


def test_a_dataset_type_is_registered_by_its_name(butler):
    hint = r"register_dataset_type\('stars', \['visit', 'detector'\], 'Dict'\)"
    with pytest.raises(DatasetTypeNotFoundError, match=hint):
        butler.put("stars", {"n": 1}, HERE)
    with pytest.raises(StorageClassError, match="needs dimensions and a storage class"):
        butler.register_dataset_type("stars")
    assert butler.register_dataset_type("stars", ["visit", "detector"], "Dict")
    assert not butler.register_dataset_type(DatasetType("stars", ["visit", "detector"], "Dict"))
    butler.put("stars", {"n": 1}, HERE)
    assert butler.get("stars", HERE) == {"n": 1}


@pytest.mark.parametrize("wrong", [20190503, "visit=1", 1.5, [1, 2]])
def test_a_data_id_that_is_none_is_told(butler, wrong):
    with pytest.raises(DataIdError, match="a data ID is a mapping, or keywords"):
        butler.get("note", wrong)
    with pytest.raises(DataIdError, match="a data ID is a mapping, or keywords"):
        butler.get("note", wrong, detector=2)


def test_a_butler_whose_run_is_not_made_yet_reads_what_is_there(butler):
    butler.put("note", {"n": 1}, HERE)
    with Butler(butler.root, run="new") as other:
        assert other.get("note", HERE) == {"n": 1}
        assert other.query_datasets("note").count() == 1
        other.put("note", {"n": 2}, HERE)
        assert other.get("note", HERE) == {"n": 2}


def test_data_ids_are_given_as_keywords_mapping_or_both_without_the_only_instrument(butler):
    ref = butler.put("note", {}, {"visit": 1}, detector=2)
    for given in (
        {"visit": 1, "detector": 2},
        {"visit": np.int64(1), "detector": "2"},
        {"visit": "SC-0001", "detector": "D02"},
        {"exposure": 1, "detector": 2},
        {"visit": 1, "detector": 2, "physical_filter": "SC-g"},
    ):
        assert butler.find_dataset("note", given) == ref


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"visit": 1}, "lacks detector: given was visit=1, instrument='SmallCam'"),
        ({"visit": 9, "detector": 2}, r"no visit 9 of instrument 'SmallCam': there are 1, 2, 3, 4\."),
        ({"visit": 1, "detector": 2, "instrument": "smallcam"}, "there are SmallCam. Did you mean 'SmallCam'"),
        ({"visit": 1, "detektor": 2}, "Did you mean 'detector'"),
        ({"visit": 1, "detector": "D2"}, "full_name 'D2' of instrument 'SmallCam': there are D00, D01, D02"),
        ({"visit": 2**63, "detector": 2}, "no visit is 9223372036854775808"),
        ({"visit": "²", "detector": 2}, "no visit name '²' of instrument 'SmallCam': there are SC-0001"),
        ({"visit": "\udc80", "detector": 2}, "lone surrogates"),
        ({"visit": 1, "detector": 2, "physical_filter": "SC-r"}, "matches"),
        ({"day_obs": 20250103, "detector": 2}, "is ambiguous: it leaves visit open"),
    ],
)  # fmt: skip
def test_a_data_id_that_names_nothing_or_too_much_says_so(butler, given, message):
    with pytest.raises(DataIdError, match=message):
        butler.get("note", given)


def test_getting_what_is_not_there_says_what_was_searched_and_what_is_near(butler):
    with pytest.raises(DatasetNotFoundError, match=r"in 'defaults'\. They hold no note at all"):
        butler.get("note", HERE)
    butler.put("note", {}, HERE | {"detector": 1})
    with pytest.raises(DatasetNotFoundError, match=r"There is \{instrument: 'SmallCam', visit: 1, detector: 1\}"):
        butler.get("note", HERE)
    butler.put("note", {}, HERE, run="aside")
    with pytest.raises(DatasetNotFoundError, match="It is in 'aside'; pass collections='aside'"):
        butler.get("note", HERE)
    with pytest.raises(CollectionNotFoundError, match="Did you mean 'aside'"):
        butler.get("note", HERE, collections="asid")
    with pytest.raises(DatasetTypeNotFoundError, match="Did you mean 'note'"):
        butler.get("notes", HERE)


def test_nothing_is_overwritten(butler):
    butler.put("note", {"first": True}, HERE)
    before = files(butler), counts(butler)
    with pytest.raises(DatasetExistsError, match="nothing is overwritten"):
        butler.put("note", {"first": False}, HERE)
    assert (files(butler), counts(butler)) == before
    assert butler.get("note", HERE) == {"first": True}


def test_another_run_may_hold_another_of_the_same_data_id_and_the_first_searched_wins(butler):
    old, new = (butler.put("note", {"run": run}, HERE, run=run) for run in ("old", "new"))
    assert butler.get("note", HERE, collections=["new", "old"]) == {"run": "new"}
    assert butler.get("note", HERE, collections=["old", "new"]) == {"run": "old"}
    butler.collections.prepend_chain("defaults", ["new", "old"])
    assert butler.find_dataset("note", HERE) == new
    butler.collections.redefine_chain("defaults", ["user", "old", "new"])
    assert butler.find_dataset("note", HERE) == old
    assert butler.find_dataset("note", HERE, collections="user") is None
    assert butler.find_dataset("note", HERE, collections=[]) is None


def test_a_butler_on_a_run_puts_there_and_searches_it_first(butler):
    butler.put("note", {"from": "user"}, HERE)
    with Butler(butler.root, run="mine") as mine:
        assert mine.put("note", {"from": "mine"}, HERE).run == "mine"
        assert mine.get("note", HERE) == {"from": "mine"}
    assert butler.get("note", HERE) == {"from": "user"}


def test_exists_asks_for_the_file_too_and_never_raises_for_an_unknown_value(butler):
    assert not butler.exists("note", HERE)
    assert not butler.exists("note", HERE | {"visit": 99})
    ref = butler.put("note", {}, HERE)
    assert butler.exists("note", HERE)
    assert butler.exists(ref)
    (butler.root / files(butler)[0]).unlink()
    assert not butler.exists("note", HERE)
    with pytest.raises(FileIntegrityError, match="is gone"):
        butler.get("note", HERE)


def test_a_file_of_another_size_is_not_read(butler):
    butler.put("note", {"a": 1}, HERE)
    (butler.root / files(butler)[0]).write_text("{}")
    with pytest.raises(FileIntegrityError, match="has 2 bytes, but 8 were recorded"):
        butler.get("note", HERE)


@pytest.mark.parametrize(
    ("dataset", "obj", "data_id", "run", "error"),
    [
        ("note", [1], HERE, None, StorageClassError),
        ("note", {1: 2}, HERE, "fresh", StorageClassError),
        ("note", {"a": object()}, HERE, "fresh", StorageClassError),
        ("note", {}, HERE | {"visit": 99}, "fresh", DataIdError),
        ("note.a", {}, HERE, "fresh", StorageClassError),
        ("nope", {}, HERE, "fresh", DatasetTypeNotFoundError),
        ("note", {}, HERE, "defaults", CollectionTypeError),
        ("note", {}, HERE, "a//b", ConflictingDefinitionError),
    ],
)  # fmt: skip
def test_a_put_that_fails_leaves_nothing(butler, dataset, obj, data_id, run, error):
    before = counts(butler)
    with pytest.raises(error):
        butler.put(dataset, obj, data_id, run=run)
    assert counts(butler) == before
    assert files(butler) == []
    assert "fresh" not in butler.collections.list()


def test_a_put_whose_registration_fails_takes_its_file_back(butler, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(butler.registry.datasets, "insert", fail)
    with pytest.raises(KeyboardInterrupt):
        butler.put("note", {}, HERE, run="fresh")
    assert files(butler) == []
    assert "fresh" not in butler.collections.list()


def test_an_interrupt_after_the_commit_keeps_the_file_of_the_dataset(butler, monkeypatch):
    insert = butler.registry.datasets.insert

    def insert_then_fail(items, **keywords):
        insert(items, **keywords)
        raise KeyboardInterrupt

    monkeypatch.setattr(butler.registry.datasets, "insert", insert_then_fail)
    with pytest.raises(KeyboardInterrupt):
        butler.put("note", {"a": 1}, HERE)
    assert butler.get("note", HERE) == {"a": 1}


def test_many_are_put_all_or_none(butler):
    note = butler.dataset_type("note")
    refs = [DatasetRef(note, HERE | {"detector": d}, "many") for d in range(3)]
    with pytest.raises(StorageClassError):
        butler.put_many([(refs[0], {}), (refs[1], {"a": object()})])
    with pytest.raises(DatasetExistsError, match="is given twice"):
        butler.put_many([(refs[0], {}), (DatasetRef(note, refs[0].data_id, "many"), {})])
    assert files(butler) == []
    assert "many" not in butler.collections.list()
    butler.put_many((ref, {"d": ref.data_id["detector"]}) for ref in refs)
    assert [butler.get(ref) for ref in refs] == [{"d": 0}, {"d": 1}, {"d": 2}]
    butler.put_many([])


def test_the_arguments_of_put_the_wrong_way_round_are_named(butler):
    with pytest.raises(TypeError, match=r"put takes the dataset type first: butler.put\('note', <dict>, …\)"):
        butler.put({}, "note", HERE)


def test_a_reference_of_a_type_kept_otherwise_is_refused(butler):
    wrong = DatasetRef(DatasetType("note", ["visit"], "Dict"), HERE, "user")
    with pytest.raises(ConflictingDefinitionError, match="is registered"):
        butler.put(wrong, {})
    with pytest.raises(DatasetTypeNotFoundError, match="no dataset type 'other'"):
        butler.put(DatasetRef(DatasetType("other", ["visit"], "Dict"), HERE, "user"), {})
    assert files(butler) == []


def test_an_id_is_of_one_dataset_only(butler):
    ref = butler.put("note", {}, HERE)
    other = DatasetRef(butler.dataset_type("note"), HERE | {"detector": 1}, "user", ref.id)
    with pytest.raises(DatasetExistsError, match=f"another dataset has the id {ref.id}"):
        butler.put(other, {})
    assert len(files(butler)) == 1


def test_dataset_types_without_dimensions_and_with_values_implied_by_others(butler):
    butler.register_dataset_type(DatasetType("schema", [], "Dict"))
    butler.put("schema", {"a": 1})
    assert butler.get("schema") == {"a": 1}
    butler.register_dataset_type(DatasetType("by_subfilter", ["visit", "subfilter"], "Dict"))
    butler.insert_dimension_records("subfilter", [{"band": "g", "id": 1}])
    butler.put("by_subfilter", {"s": 1}, visit=1, subfilter=1)
    assert butler.get("by_subfilter", visit=1, subfilter=1) == {"s": 1}


def test_removing_datasets_removes_files_and_the_folders_that_they_leave_empty(butler):
    refs = [butler.put("note", {}, HERE | {"detector": d}) for d in range(3)]
    butler.remove_datasets(refs[:2], purge=True)
    assert [butler.exists(ref) for ref in refs] == [False, False, True]
    assert len(files(butler)) == 1
    butler.remove_datasets(refs, purge=True)
    assert files(butler) == []
    assert not (butler.root / "user").exists()
    assert counts(butler)["dataset"] == 0
    butler.put("note", {"again": 1}, HERE)
    assert butler.get("note", HERE) == {"again": 1}


def test_removing_a_run_removes_its_datasets_alone(butler):
    butler.put("note", {}, HERE, run="gone")
    kept = butler.put("note", {"kept": 1}, HERE, run="kept")
    butler.collections.prepend_chain("defaults", ["gone", "kept"])
    with pytest.raises(ConflictingDefinitionError, match="'gone' is held by defaults; pass unlink_from_chains=True"):
        butler.remove_run("gone")
    assert len(files(butler)) == 2
    butler.remove_run("gone", unlink_from_chains=True, purge=True)
    assert "gone" not in butler.collections.list()
    assert butler.collections.info("defaults").children == ("kept", "user")
    assert butler.get("note", HERE) == butler.get(kept) == {"kept": 1}
    assert len(files(butler)) == 1
    with pytest.raises(CollectionTypeError, match="no RUN"):
        butler.remove_run("defaults")
    with pytest.raises(CollectionNotFoundError):
        butler.remove_run("gone")


def test_dataset_types_are_listed_registered_again_and_changed_only_while_unused(butler):
    assert [t.name for t in butler.dataset_types("cal*")] == ["calexp", "calexpBackground"]
    assert not butler.register_dataset_type(DatasetType("note", ["visit", "detector"], "Dict"))
    other = DatasetType("note", ["visit"], "List")
    with pytest.raises(ConflictingDefinitionError, match="pass replace=True"):
        butler.register_dataset_type(other)
    assert butler.register_dataset_type(other, replace=True)
    butler.put("note", [1], visit=1)
    with pytest.raises(ConflictingDefinitionError, match="it has datasets"):
        butler.register_dataset_type(DatasetType("note", ["visit"], "Dict"), replace=True)
    assert butler.get("note", visit=1) == [1]


@pytest.mark.parametrize(
    ("name", "reason"), [("datasets", "v_datasets"), ("Quanta", "v_quanta"), ("NOTE", "in case only")]
)
def test_a_dataset_type_whose_view_would_replace_another_is_refused(butler, name, reason):
    with pytest.raises(ConflictingDefinitionError, match=reason):
        butler.register_dataset_type(DatasetType(name, ["visit"], "Dict"))
    assert butler.sql("SELECT * FROM v_datasets")[0][0] == "dataset_id"
    assert "detector" in butler.sql("SELECT * FROM v_note")[0]


def test_what_a_butler_says_of_itself_is_what_matters(butler):
    assert repr(butler) == f"Butler('{butler.root}', run='user', search=['defaults'], 2 collections)"
    assert isinstance(butler.put("note", {}, HERE).id, uuid.UUID)


def test_a_relative_root_still_leads_there_after_the_working_folder_changed(butler, tmp_path, monkeypatch):
    monkeypatch.chdir(butler.root.parent)
    with Butler(Path(butler.root.name)) as relative:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        relative.put("note", {"a": 1}, HERE)
    assert butler.get("note", HERE) == {"a": 1}
    assert list((tmp_path / "elsewhere").iterdir()) == []
