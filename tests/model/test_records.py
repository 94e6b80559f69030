"""Dimension records are checked when they are made."""

import pickle

import numpy as np
import pytest

from skybutler.model.dimensions import default_universe
from skybutler.model.errors import DataIdError
from skybutler.model.records import DimensionRecord
from skybutler.model.region import Region
from skybutler.model.timespan import Timespan

UNIVERSE = default_universe()
VISIT = UNIVERSE["visit"]
ROW = {"instrument": "HSC", "id": 5, "name": "v5", "exposure_time": 30.0}


def make(**changes: object) -> DimensionRecord:
    return DimensionRecord.from_mapping(VISIT, ROW | changes)


def test_columns_are_attributes_and_what_is_left_out_is_none():
    record = make(region="CIRCLE 1 2 3", timespan=Timespan(1, 2))
    assert (record.id, record.visit, record.name, record.exposure_time) == (5, 5, "v5", 30.0)
    assert record.region == Region("CIRCLE 1 2 3")
    assert record.timespan == Timespan(1, 2)
    assert record.physical_filter is None
    assert record.to_dict()["id"] == 5
    assert set(record.to_dict()) == set(VISIT.index)
    assert "exposure_time" in dir(record)


def test_the_key_may_go_by_the_name_of_its_dimension():
    assert DimensionRecord.from_mapping(VISIT, {"instrument": "HSC", "visit": 5, "name": "v5"}).id == 5


def test_numbers_take_the_type_of_their_column():
    record = make(exposure_time=np.float32(1.5), seq_num=np.int16(3), zenith_angle=2)
    assert [type(v) for v in (record.exposure_time, record.seq_num, record.zenith_angle)] == [float, int, float]


def test_a_number_that_is_nan_is_not_known():
    assert make(exposure_time=float("nan")).exposure_time is None
    assert make(exposure_time=np.float64("nan")) == make(exposure_time=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exposure_tim": 3}, r"visit has no column 'exposure_tim'\. Did you mean 'exposure_time'\?"),
        ({"id": None}, "a record of visit needs 'id'"),
        ({"id": "5"}, "visit.id is of type int; '5' is str"),
        ({"id": True}, "visit.id is of type int; True is bool"),
        ({"id": 2**63}, "does not fit 64 bits"),
        ({"name": "a\0b"}, "NUL character"),
        ({"name": "a\udc80b"}, "lone surrogate"),
        ({"name": 5}, "visit.name is of type str"),
        ({"exposure_time": "long"}, "visit.exposure_time is of type float"),
        ({"timespan": (1, 2)}, "visit.timespan is of type timespan"),
    ],
)
def test_what_does_not_fit_its_column_is_refused(changes, message):
    with pytest.raises(DataIdError, match=message):
        make(**changes)


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(AttributeError, match="Did you mean 'exposure_time'"):
        _ = make().exposuretime


def test_its_data_id_names_it():
    assert dict(make().data_id(UNIVERSE)) == {"instrument": "HSC", "visit": 5}
    region = DimensionRecord.from_mapping(
        UNIVERSE["visit_detector_region"], {"instrument": "HSC", "visit": 5, "detector": 1}
    )
    assert dict(region.data_id(UNIVERSE)) == {"instrument": "HSC", "visit": 5, "detector": 1}


def test_records_are_equal_by_all_values_and_pickled():
    assert make() == make()
    assert make() != make(exposure_time=31.0)
    assert len({make(), make()}) == 1
    assert pickle.loads(pickle.dumps(make())) == make()
    assert repr(make()) == "visit(instrument='HSC', id=5, name='v5', exposure_time=30.0)"
