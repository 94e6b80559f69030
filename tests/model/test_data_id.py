"""Data IDs are immutable mappings that are equal where their required values are."""

import pickle

import numpy as np
import pytest

from skybutler.model.data_id import DataId
from skybutler.model.dimensions import default_universe
from skybutler.model.errors import DataIdError

VISIT_DETECTOR = default_universe().conform(["visit", "detector"])
VALUES = {"instrument": "HSC", "visit": 1234, "detector": 7}
FULL = DataId(VISIT_DETECTOR, ("HSC", 1234, 7, "r", "HSC-R", 20250101))
PLAIN = DataId.from_mapping(VISIT_DETECTOR, VALUES)


def test_it_is_the_mapping_that_it_was_made_of():
    assert dict(PLAIN) == VALUES
    assert PLAIN == VALUES
    assert list(PLAIN) == ["instrument", "visit", "detector"]
    assert repr(PLAIN) == "{instrument: 'HSC', visit: 1234, detector: 7}"


def test_implied_values_are_there_where_they_were_given():
    assert FULL["band"] == "r"
    assert FULL.is_full
    assert len(FULL) == 6
    assert not PLAIN.is_full
    assert PLAIN.get("band") is None
    with pytest.raises(KeyError, match="band"):
        PLAIN["band"]


def test_equality_and_hash_go_by_required_values():
    assert PLAIN == FULL
    assert hash(PLAIN) == hash(FULL)
    assert {PLAIN: 1}[FULL] == 1
    assert DataId.from_mapping(VISIT_DETECTOR, VALUES | {"detector": 8}) != PLAIN
    assert PLAIN.subset(["visit"]) != PLAIN
    assert PLAIN != "HSC"


def test_a_subset_keeps_what_it_can():
    assert dict(FULL.subset(["visit"])) == {
        "instrument": "HSC", "visit": 1234, "band": "r", "physical_filter": "HSC-R", "day_obs": 20250101,
    }  # fmt: skip
    assert dict(PLAIN.subset(["detector"])) == {"instrument": "HSC", "detector": 7}
    assert dict(FULL.subset("band")) == {"band": "r"}
    assert PLAIN.subset(VISIT_DETECTOR) is PLAIN
    assert dict(PLAIN.subset([])) == {}


def test_a_subset_cannot_hold_what_is_not_there():
    with pytest.raises(DataIdError, match="lacks exposure"):
        PLAIN.subset(["exposure"])
    with pytest.raises(DataIdError, match="lacks band"):
        PLAIN.subset(["band"])


def test_a_missing_value_is_named_with_what_was_given():
    with pytest.raises(DataIdError, match=r"lacks instrument, detector: given was visit=5\."):
        DataId.from_mapping(VISIT_DETECTOR, {"visit": 5})
    with pytest.raises(DataIdError, match="given was nothing"):
        DataId.from_mapping(VISIT_DETECTOR, {})


def test_numpy_numbers_become_python_numbers():
    made = DataId.from_mapping(VISIT_DETECTOR, {"instrument": np.str_("HSC"), "visit": np.int64(3), "detector": 0})
    assert [type(value) for value in made.values()] == [str, int, int]


def test_it_cannot_be_changed():
    with pytest.raises(TypeError):
        PLAIN["visit"] = 5


def test_it_is_pickled_with_its_dimensions():
    again = pickle.loads(pickle.dumps(FULL))
    assert again == FULL
    assert again["band"] == "r"
    assert again.dimensions is VISIT_DETECTOR
