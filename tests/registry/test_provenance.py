"""Provenance: work that was done, whose outputs are still there, need not be done again."""

import uuid
from dataclasses import replace

import pytest

from skybutler.model.errors import CollectionNotFoundError
from skybutler.model.provenance import QuantumRecord


@pytest.fixture
def record(butler):
    """A quantum that read one note and made another."""
    read = butler.put("note", {}, visit=1, detector=0)
    made = butler.put("note", {}, visit=1, detector=1, run="out")
    return QuantumRecord(
        uuid.uuid4(), "some.Task", "task", "out", {"visit": 1}, "f1", "here", 10, 1_500_000_010, "done",
        {"skybutler": "1"}, (read.id,), (made.id,),
    )  # fmt: skip


def test_what_is_recorded_is_found_by_its_fingerprint(butler, record):
    butler.registry.record_quanta([record])
    assert butler.registry.finished_quanta(["f1", "f2"], "out") == {"f1": record}
    assert butler.registry.finished_quanta([], "out") == {}
    butler.collections.prepend_chain("defaults", "out")
    assert butler.registry.finished_quanta(["f1"], "defaults") == {"f1": record}


def test_work_in_collections_that_are_not_searched_does_not_count(butler, record):
    butler.registry.record_quanta([record])
    assert butler.registry.finished_quanta(["f1"], "user") == {}
    with pytest.raises(CollectionNotFoundError):
        butler.registry.finished_quanta(["f1"], "nowhere")


def test_failed_work_is_done_again_and_the_newest_success_counts(butler, record):
    later = replace(record, id=uuid.uuid4(), begin_ns=20)
    failed = replace(record, id=uuid.uuid4(), begin_ns=30, outcome="failed", outputs=())
    butler.registry.record_quanta([later, failed, record])
    assert butler.registry.finished_quanta(["f1"], "out") == {"f1": later}
    nothing = replace(record, id=uuid.uuid4(), begin_ns=40, outcome="no_work", outputs=())
    butler.registry.record_quanta([nothing])
    assert butler.registry.finished_quanta(["f1"], "out") == {"f1": nothing}


def test_work_whose_outputs_are_gone_is_done_again_and_lost_inputs_do_not_matter(butler, record):
    butler.registry.record_quanta([record])
    butler.remove_datasets([butler.find_dataset("note", visit=1, detector=0)])
    assert set(butler.registry.finished_quanta(["f1"], "out")) == {"f1"}
    butler.remove_datasets([butler.find_dataset("note", visit=1, detector=1, collections="out")])
    assert butler.registry.finished_quanta(["f1"], "out") == {}


def test_the_newest_work_whose_outputs_are_there_counts_where_those_of_newer_work_are_gone(butler, record):
    lost = butler.put("note", {}, visit=1, detector=2, run="out")
    newer = replace(record, id=uuid.uuid4(), begin_ns=20, outputs=(lost.id,))
    butler.registry.record_quanta([record, newer])
    assert butler.registry.finished_quanta(["f1"], "out") == {"f1": newer}
    butler.remove_datasets([lost])
    assert butler.registry.finished_quanta(["f1"], "out") == {"f1": record}


def test_a_run_that_is_removed_takes_its_quanta_along(butler, record):
    butler.registry.record_quanta([record])
    assert butler.sql("SELECT label, outcome, seconds, run FROM v_quanta")[1] == [("task", "done", 1.5, "out")]
    butler.remove_run("out")
    assert butler.sql("SELECT count(*) FROM quantum")[1] == [(0,)]
    assert butler.sql("SELECT count(*) FROM quantum_dataset")[1] == [(0,)]


def test_quanta_of_a_run_that_is_not_there_are_not_recorded(butler, record):
    with pytest.raises(CollectionNotFoundError):
        butler.registry.record_quanta([record, replace(record, id=uuid.uuid4(), run="nowhere")])
    assert butler.sql("SELECT count(*) FROM quantum")[1] == [(0,)]
    butler.registry.record_quanta([])
