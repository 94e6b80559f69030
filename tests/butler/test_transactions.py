"""Transactions are all or nothing, files included, and nest."""
# ruff: noqa: PT012 - the block that raises is what the transaction must undo

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.errors import CollectionNotFoundError, ReadOnlyError

HERE = {"visit": 1}


class FailingError(Exception):
    """What goes wrong in these tests."""


def kept(butler: Butler) -> list[int]:
    """The detectors of visit 1 that have a note, each with its file; and no other file."""
    found = [d for d in range(3) if butler.exists("note", HERE, detector=d, collections="user")]
    on_disk = list((butler.root / "user").rglob("*.json"))
    assert len(on_disk) == len(found) == butler.sql("SELECT count(*) FROM stored_file")[1][0][0]
    return found


def test_a_transaction_that_fails_leaves_neither_rows_nor_files(butler):
    with pytest.raises(FailingError), butler.transaction():
        butler.put("note", {}, HERE, detector=0)
        butler.collections.register("fresh")
        assert butler.exists("note", HERE, detector=0)
        raise FailingError
    assert kept(butler) == []
    assert "fresh" not in butler.collections.list()
    butler.put("note", {}, HERE, detector=0)
    assert kept(butler) == [0]


def test_an_inner_one_that_fails_and_is_caught_undoes_itself_alone(butler):
    with butler.transaction():
        butler.put("note", {}, HERE, detector=0)
        with pytest.raises(FailingError), butler.transaction():
            butler.put("note", {}, HERE, detector=1)
            with butler.transaction():
                butler.put("note", {}, HERE, detector=2)
            raise FailingError
        assert kept_inside(butler) == [0]
    assert kept(butler) == [0]


def kept_inside(butler: Butler) -> list[int]:
    return [d for d in range(3) if butler.exists("note", HERE, detector=d)]


def test_an_outer_one_that_fails_undoes_the_inner_ones_that_did_not(butler):
    with pytest.raises(FailingError), butler.transaction():
        with butler.transaction():
            butler.put("note", {}, HERE, detector=1)
        raise FailingError
    assert kept(butler) == []


def test_a_put_that_is_refused_leaves_the_transaction_alive(butler):
    with butler.transaction():
        butler.put("note", {"first": 1}, HERE, detector=0)
        with pytest.raises(FileExistsError):
            butler.put("note", {}, HERE, detector=0)
        butler.put("note", {}, HERE, detector=1)
    assert kept(butler) == [0, 1]
    assert butler.get("note", HERE, detector=0) == {"first": 1}


def test_a_removal_that_is_rolled_back_never_happened(butler):
    ref = butler.put("note", {"a": 1}, HERE, detector=0)
    with pytest.raises(FailingError), butler.transaction():
        butler.remove_datasets([ref])
        assert not butler.exists(ref)
        raise FailingError
    assert butler.get(ref) == {"a": 1}
    with pytest.raises(FailingError), butler.transaction():
        butler.remove_run("user", unlink_from_chains=True)
        raise FailingError
    assert butler.get("note", HERE, detector=0) == {"a": 1}


def test_a_dataset_may_be_replaced_in_one_transaction(butler):
    ref = butler.put("note", {"old": 1}, HERE, detector=0)
    with butler.transaction():
        butler.remove_datasets([ref], purge=True)
        butler.put("note", {"new": 1}, HERE, detector=0)
    assert butler.get("note", HERE, detector=0) == {"new": 1}
    assert kept(butler) == [0]


def test_what_is_put_and_removed_in_one_transaction_is_gone(butler):
    with butler.transaction():
        butler.remove_datasets([butler.put("note", {}, HERE, detector=0)], purge=True)
    assert kept(butler) == []


def test_registrations_that_are_rolled_back_are_not_remembered(butler):
    with pytest.raises(FailingError), butler.transaction():
        with pytest.raises(FailingError), butler.transaction():
            butler.collections.register("inner")
            assert butler.collections.info("inner")
            raise FailingError
        with pytest.raises(CollectionNotFoundError):
            butler.collections.info("inner")
        butler.collections.register("outer")
        butler.insert_dimension_records("instrument", [{"name": "Second"}])
        assert butler.collections.info("outer")
        raise FailingError
    assert butler.collections.list() == ["defaults", "user"]
    assert butler.sql("SELECT name FROM instrument")[1] == [("SmallCam",)]
    butler.put("note", {}, HERE, detector=0)


def test_others_see_nothing_of_it_before_the_commit(butler):
    with Butler(butler.root) as other:
        with butler.transaction():
            butler.put("note", {}, HERE, detector=0, run="fresh")
            assert "fresh" not in other.collections.list()
            assert other.sql("SELECT count(*) FROM dataset")[1] == [(0,)]
        assert "fresh" in other.collections.list()
        assert other.exists("note", HERE, detector=0, collections="fresh")


def test_an_interrupt_undoes_it_too(butler):
    with pytest.raises(KeyboardInterrupt), butler.transaction():
        butler.put("note", {}, HERE, detector=0)
        raise KeyboardInterrupt
    assert kept(butler) == []


def test_a_butler_for_reading_has_no_transactions(butler):
    with Butler(butler.root, writeable=False) as reader, pytest.raises(ReadOnlyError), reader.transaction():
        pass
