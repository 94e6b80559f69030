"""Arguments of the wrong kind: an error of ours says what was given, what is taken, and what to call instead."""

import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from skybutler import (
    ArgumentError,
    Butler,
    DatasetNotFoundError,
    DatasetRef,
    DatasetTypeNotFoundError,
    FileDataset,
    InvalidQueryError,
    SkyButlerError,
    Timespan,
    ingest_raws,
)
from skybutler.testing.small_repository import INSTRUMENT, fill_repository

ALWAYS = Timespan(None, None)


def filled() -> Butler:
    """Return a repository with one dataset of two types, and collections for them."""
    made = Butler.in_memory()
    fill_repository(made)
    made.register_dataset_type("stars", ["visit", "detector"], "Dict")
    made.register_dataset_type("dome", ["detector"], "Dict", is_calibration=True)
    made.collections.register("best", "TAGGED")
    made.collections.register("certified", "CALIBRATION")
    made.put("stars", {"n": 7}, visit=1, detector=0)
    made.put("dome", {"n": 8}, detector=0)
    return made


@pytest.fixture(scope="module")
def shared():
    """A repository that stays as it is, whatever is asked of it."""
    with filled() as made:
        yield made


@pytest.fixture
def butler():
    with filled() as made:
        yield made


TAKES_DATASETS = {
    "remove_datasets": lambda butler, given, to: butler.remove_datasets(given),
    "retrieve": lambda butler, given, to: butler.retrieve(given, to / "files"),
    "retrieve_zip": lambda butler, given, to: butler.retrieve_zip(given, to / "files.zip"),
    "export": lambda butler, given, to: butler.export(to / "export", given),
    "annotate": lambda butler, given, to: butler.annotate(given, quality="good"),
    "annotations": lambda butler, given, to: butler.annotations(given),
    "transfer_from": lambda butler, given, to: butler.transfer_from(butler, given),
    "tag": lambda butler, given, to: butler.collections.tag("best", given),
    "untag": lambda butler, given, to: butler.collections.untag("best", given),
    "certify": lambda butler, given, to: butler.collections.certify("certified", given, ALWAYS),
    "restore": lambda butler, given, to: butler.trash.restore(given),
}

NO_DATASETS = {
    "a name": ("stars", ["'stars'", "butler.query_datasets('stars')"]),
    "names": (["stars"], ["'stars'", "butler.query_datasets('stars')"]),
    "a number": (5, ["not 5"]),
    "nothing": (None, ["None", "find_dataset returns"]),
    "a data ID": ({"visit": 1}, ["butler.find_dataset(type, {'visit': 1})"]),
    "an id as text": (
        "01a205db-56bc-7633-8e4e-55b650fabf68",
        ["uuid.UUID('01a205db-56bc-7633-8e4e-55b650fabf68')"],
    ),
    "bytes": (b"stars", ["b'stars'"]),
}


@pytest.mark.parametrize("method", TAKES_DATASETS)
@pytest.mark.parametrize("kind", NO_DATASETS)
def test_what_is_no_dataset_is_named_and_what_is_wanted(shared, tmp_path, method, kind):
    given, told = NO_DATASETS[kind]
    if (method, kind) == ("export", "nothing"):
        return  # everything
    with pytest.raises(ArgumentError) as caught:
        TAKES_DATASETS[method](shared, given, tmp_path)
    assert isinstance(caught.value, TypeError)
    assert "DatasetRefs or ids" in str(caught.value)
    for words in told:
        assert words in str(caught.value)
    assert shared.exists("stars", visit=1, detector=0)


@pytest.mark.parametrize("form", ["ref", "id", "refs", "ids", "query"])
def test_datasets_come_as_references_ids_or_a_query(butler, tmp_path, form):
    ref = butler.find_dataset("stars", visit=1, detector=0)
    given = {"ref": ref, "id": ref.id, "refs": (ref,), "ids": [ref.id]}.get(form, butler.query_datasets("stars"))
    for method in ("retrieve", "retrieve_zip", "export", "annotate", "annotations", "tag"):
        TAKES_DATASETS[method](butler, given, tmp_path)
    assert list(butler.query_datasets("stars", "best")) == [ref]
    assert (tmp_path / "files.zip").exists()
    TAKES_DATASETS["untag"](butler, given, tmp_path)
    assert butler.annotations(ref) == {"quality": "good"}
    assert butler.remove_datasets(given) == 1


def test_ids_are_certified_and_restored(butler):
    dome = butler.find_dataset("dome", detector=0)
    butler.collections.certify("certified", dome.id, ALWAYS)
    assert butler.find_dataset("dome", visit=2, detector=0, collections="certified") == dome
    butler.remove_datasets(dome.id)
    assert butler.trash.restore(dome.id).refs == [dome]


def test_an_unknown_id_is_told_but_for_removals_which_pass_over_it(shared):
    unknown = uuid.UUID(int=5)
    for method in ("annotate", "annotations", "tag", "untag"):
        with pytest.raises(DatasetNotFoundError, match=str(unknown)):
            TAKES_DATASETS[method](shared, unknown, Path())
    assert shared.remove_datasets([unknown]) == 0


def test_a_dataset_is_read_by_its_id(shared):
    ref = shared.find_dataset("stars", visit=1, detector=0)
    assert shared.get(ref.id) == shared.get_deferred(ref.id).get() == {"n": 7}
    assert shared.get_uri(ref.id) == shared.get_uri(ref)
    assert shared.exists(ref.id)
    assert not shared.exists(uuid.UUID(int=5))
    with pytest.raises(DatasetNotFoundError, match=str(uuid.UUID(int=5))):
        shared.get(uuid.UUID(int=5))
    with pytest.raises(DatasetTypeNotFoundError, match=r"an id as text: uuid\.UUID"):
        shared.get(str(ref.id))


@pytest.mark.parametrize("method", ["get", "get_deferred", "get_uri", "exists", "find_dataset"])
@pytest.mark.parametrize("given", [5, None, b"stars", ["stars"], {"visit": 1}])
def test_what_is_no_dataset_type_is_named(shared, method, given):
    with pytest.raises(ArgumentError, match="a dataset type is meant by its name"):
        getattr(shared, method)(given, visit=1, detector=0)
    with pytest.raises(ArgumentError, match="a dataset type is meant by its name"):
        shared.put(given, {"n": 1}, visit=1, detector=1)


def test_several_datasets_are_read_one_by_one(shared):
    with pytest.raises(ArgumentError, match=r"\[butler.get\(ref\) for ref in refs\]"):
        shared.get(shared.query_datasets("stars"))
    with pytest.raises(ArgumentError, match="its type is 'stars'"):
        shared.find_dataset(shared.find_dataset("stars", visit=1, detector=0))


def test_annotate_says_of_how_many_datasets(butler):
    butler.put("stars", {"n": 9}, visit=1, detector=1)
    assert butler.annotate(butler.query_datasets("stars"), quality="good") == 2
    assert butler.annotate(butler.query_datasets("stars", where="detector = 1"), quality=None) == 1
    assert butler.annotate(butler.query_datasets("stars", where="detector = 2"), quality="bad") == 0
    with pytest.raises(ArgumentError, match="these are 2"):
        butler.annotations(butler.query_datasets("stars"))


@pytest.mark.parametrize("given", ["f.fits", ["f.fits"], 5, Path("f.fits"), {"f.fits": 1}])
def test_files_to_ingest_come_with_their_datasets(shared, given):
    with pytest.raises(ArgumentError, match=r"FileDataset\(path, \[ref\]\).*ingest_raws"):
        shared.ingest(given, "copy")


def test_the_datasets_of_a_file_are_a_list(butler, tmp_path):
    (tmp_path / "f.json").write_text('{"n": 1}')
    ref = DatasetRef(butler.dataset_type("stars"), {"instrument": INSTRUMENT, "visit": 2, "detector": 0}, "u/me")
    for wrong in (ref, ["stars"], "stars"):
        with pytest.raises(ArgumentError, match="a list of DatasetRefs"):
            butler.ingest(FileDataset(tmp_path / "f.json", wrong), "copy")
    assert butler.ingest(FileDataset(tmp_path / "f.json", [ref]), "copy") == [ref]


WRONG = {
    "pairs to put": lambda b: b.put_many("stars"),
    "what is read": lambda b: b.get("stars", visit=1, detector=0, parameters="n"),
    "another Butler": lambda b: b.transfer_from("repo", []),
    "a Butler": lambda b: ingest_raws("repo", "frames", "simcam"),
    "an instrument": lambda b: ingest_raws(b, [], 5),
    "a dataset type to register": lambda b: b.register_dataset_type(5),
    "the type of a reference": lambda b: DatasetRef("stars", {"visit": 1}, "u/me"),
    "a span of time": lambda b: b.collections.certify("certified", b.query_datasets("dome"), "2025"),
    "a time": lambda b: Timespan("2025-01-01", None),
    "an age": lambda b: b.trash.empty("2 days"),
    "an age of files": lambda b: b.verify(older_than=timedelta(days=1).days),
    "swapped": lambda b: b.put({"n": 1}, "stars", visit=1, detector=1),
}


@pytest.mark.parametrize("what", WRONG)
def test_other_arguments_are_looked_at_too(shared, what):
    with pytest.raises(ArgumentError) as caught:
        WRONG[what](shared)
    assert isinstance(caught.value, TypeError)


OF_OTHER_KINDS = {
    "collections by bytes": lambda b: b.query_datasets("stars", b"user"),
    "collections by a number": lambda b: b.get("stars", visit=1, detector=0, collections=5),
    "collections by None": lambda b: b.query_datasets("stars", [None]),
    "collections to export": lambda b: b.export("nowhere", collections=5),
    "a collection": lambda b: b.collections.info(5),
    "a collection to tag in": lambda b: b.collections.tag(5, []),
    "a collection's kind": lambda b: b.collections.register("x", 5),
    "where": lambda b: b.query_datasets("stars", where={"visit": 1}),
    "a data ID": lambda b: b.get("stars", [("visit", 1)]),
    "a data ID of a reference": lambda b: DatasetRef(b.dataset_type("stars"), [1], "u/me"),
    "dimensions": lambda b: b.register_dataset_type("x", 5, "Dict"),
    "an element": lambda b: b.insert_dimension_records(5, []),
    "a storage class": lambda b: b.get("stars", visit=1, detector=0, storage_class=5),
    "a RUN": lambda b: Butler(b.root, run=5),
}


@pytest.mark.parametrize("what", OF_OTHER_KINDS)
def test_no_error_of_pythons_own_comes_through(shared, what):
    with pytest.raises(SkyButlerError, match=r"5|user|None|visit|1"):
        OF_OTHER_KINDS[what](shared)


def test_no_collection_at_all_is_said_so(shared):
    with pytest.raises(DatasetNotFoundError, match=r"no collection at all .*pass collections='user'"):
        shared.get("stars", visit=1, detector=0, collections=[])
    with pytest.raises(InvalidQueryError, match="not b'user'"):
        shared.get("stars", visit=1, detector=0, collections=b"user")


def test_one_data_id_is_decertified_by_itself(butler):
    butler.put("dome", {"n": 9}, detector=1)
    butler.collections.certify("certified", butler.query_datasets("dome"), ALWAYS)
    butler.collections.decertify("certified", "dome", ALWAYS, {"detector": 1})
    assert [ref.data_id["detector"] for ref in butler.query_datasets("dome", "certified")] == [0]
