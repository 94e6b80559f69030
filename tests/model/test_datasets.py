"""Dataset types, references, and ids that sort by time or follow from what a dataset is."""

import pickle
import time
import uuid

import numpy as np
import pytest

from skybutler.model.data_id import DataId
from skybutler.model.datasets import DatasetRef, DatasetType, dataset_uuid, new_uuid
from skybutler.model.dimensions import default_universe
from skybutler.model.errors import DataIdError, StorageClassError

NOTE = DatasetType("note", ["visit", "detector"], "Dict")
HERE = {"instrument": "HSC", "visit": 1, "detector": 2}


def test_new_ids_are_of_version_7_and_carry_the_millisecond():
    before = time.time_ns() // 1_000_000
    made = new_uuid()
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= after


def test_new_ids_sort_by_the_millisecond_in_which_they_were_made(monkeypatch):
    times = iter([1_700_000_000_000_000_000, 1_700_000_000_001_000_000, 1_700_000_000_002_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    made = [new_uuid() for _ in range(3)]
    assert sorted(made) == sorted(made, key=lambda u: u.bytes) == made


def test_ten_thousand_new_ids_are_ten_thousand():
    assert len({new_uuid() for _ in range(10_000)}) == 10_000


def test_ids_that_follow_from_the_data_id_are_lsst_s():
    namespace = uuid.UUID("840b31d9-05cd-5161-b2c8-00d32b280d0f")
    data_id = {"instrument": "HSC", "exposure": 903334, "detector": 16}
    with_run = "dataset_type=raw,run=HSC/raw/all,detector=16,exposure=903334,instrument=HSC"
    without = "dataset_type=raw,detector=16,exposure=903334,instrument=HSC"
    assert dataset_uuid("raw", data_id, "HSC/raw/all") == uuid.uuid5(namespace, with_run)
    assert dataset_uuid("raw", data_id) == uuid.uuid5(namespace, without)
    assert dataset_uuid("raw", data_id).version == 5


def test_implied_values_do_not_change_an_id():
    group = default_universe().conform(["visit", "detector"])
    full = DataId(group, ("HSC", 1, 2, "r", "HSC-R", 20250101))
    assert dataset_uuid("note", full, "r") == dataset_uuid("note", HERE, "r")


def test_a_dataset_type_holds_what_its_dimensions_require():
    assert NOTE.dimensions.required == ("instrument", "visit", "detector")
    assert repr(NOTE) == "DatasetType('note', ['instrument', 'visit', 'detector'], 'Dict')"
    assert DatasetType("flat", "detector", "Dict", True).is_calibration
    assert DatasetType("schema", [], "Dict").dimensions.required == ()


def test_dataset_types_are_equal_by_name_dimensions_storage_class_and_calibration():
    assert DatasetType("note", ["detector", "visit", "instrument"], "Dict") == NOTE
    assert DatasetType("note", ["visit"], "Dict") != NOTE
    assert DatasetType("note", ["visit", "detector"], "List") != NOTE
    assert DatasetType("note", ["visit", "detector"], "Dict", True) != NOTE
    assert NOTE.with_storage_class("List").storage_class.name == "List"
    assert pickle.loads(pickle.dumps(NOTE)) == NOTE


@pytest.mark.parametrize("name", ["", "a b", "1a", "a.b", "a-b", "a\n", "über"])
def test_a_name_of_other_characters_is_refused(name):
    with pytest.raises(DataIdError, match="letters, digits and underscores"):
        DatasetType(name, ["visit"], "Dict")


def test_unknown_storage_classes_and_dimensions_are_named_with_the_nearest():
    with pytest.raises(StorageClassError, match=r"no storage class 'Exposur'\. Did you mean 'Exposure'"):
        DatasetType("a", ["visit"], "Exposur")
    with pytest.raises(DataIdError, match="Did you mean 'visit'"):
        DatasetType("a", ["visits"], "Dict")
    with pytest.raises(StorageClassError, match="by its name"):
        DatasetType("a", ["visit"], 5)


def test_references_are_equal_by_id_and_take_any_mapping():
    ref = DatasetRef(NOTE, HERE | {"band": "r"}, "run")
    assert dict(ref.data_id) == HERE
    assert ref == DatasetRef(NOTE, HERE, "other", ref.id)
    assert ref != DatasetRef(NOTE, HERE, "run")
    assert str(ref) == "note {instrument: 'HSC', visit: 1, detector: 2} in 'run'"
    assert pickle.loads(pickle.dumps(ref)) == ref
    assert type(DatasetRef(NOTE, HERE | {"visit": np.int32(1)}, "run").data_id["visit"]) is int


def test_a_reference_needs_every_required_value():
    with pytest.raises(DataIdError, match="lacks detector"):
        DatasetRef(NOTE, {"instrument": "HSC", "visit": 1}, "run")
