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
        ({"timespan": 1}, "visit.timespan is of type timespan"),
        ({"timespan": ("soon", "later")}, "visit.timespan: a time is an astropy Time, a datetime"),
        ({"id": 5.5}, "visit.id is of type int; 5.5 is float"),
        ({"region": "POLYGON 1 2"}, "visit.region: not a region"),
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


def test_times_and_regions_come_in_the_forms_that_people_have():
    from datetime import UTC, datetime

    from astropy.time import Time
    from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

    span = Timespan.from_isot("2025-01-01T00:00:37", "2025-01-01T00:01:37")
    for pair in (
        (datetime(2025, 1, 1), datetime(2025, 1, 1, 0, 1)),
        [datetime(2025, 1, 1, tzinfo=UTC), Time("2025-01-01T00:01:00", scale="utc")],
        (span.begin_ns, span.end_ns),
    ):
        assert make(timespan=pair).timespan == span
    assert make(timespan=(None, span.end_ns)).timespan == Timespan(None, span.end_ns)
    assert make(timespan_begin=span.begin_ns, timespan_end=span.end_ns).timespan == span
    assert make(timespan_begin=None, timespan_end=float("nan")).timespan is None
    circle = Circle(UnitVector3d(LonLat.fromDegrees(10, 20)), Angle.fromDegrees(0.5))
    assert make(region=circle).region.contains(10.1, 20.1)


def test_what_tables_put_for_a_missing_value_is_none():
    import pandas as pd

    for missing in (None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.ma.masked):
        record = make(seq_num=missing, target_name=missing, timespan=missing, region=missing)
        assert (record.seq_num, record.target_name, record.timespan, record.region) == (None, None, None, None)
    assert make(seq_num=3.0).seq_num == 3


def test_a_flag_is_true_or_false():
    exposure = UNIVERSE["exposure"]
    row = {"instrument": "HSC", "id": 5}
    assert DimensionRecord.from_mapping(exposure, row | {"can_see_sky": np.bool_(True)}).can_see_sky is True
    assert DimensionRecord.from_mapping(exposure, row | {"can_see_sky": 0}).can_see_sky is False
    with pytest.raises(DataIdError, match="can_see_sky is of type bool; 5 is int"):
        DimensionRecord.from_mapping(exposure, row | {"can_see_sky": 5})
