"""Dimension records: inserted in bulk or not at all, synchronised, and never contradicted."""

import pytest

from skybutler.model.errors import ConflictingDefinitionError, DataIdError
from skybutler.model.region import Region
from skybutler.model.timespan import Timespan

HERE = {"instrument": "SmallCam"}
VISIT = HERE | {"id": 9, "name": "nine", "physical_filter": "SC-g", "day_obs": 20250103}


@pytest.fixture
def records(butler):
    return butler.registry.dimension_records


def count(butler, table: str) -> int:
    return butler.sql(f"SELECT count(*) FROM {table}")[1][0][0]


def test_insert_says_how_many(records, butler):
    assert records.insert("detector", [HERE | {"id": d, "full_name": f"X{d}"} for d in (10, 11)]) == 2
    assert records.insert("detector", []) == 0
    assert count(butler, "detector") == 5


def test_insert_is_all_or_nothing_and_shows_both_definitions(records, butler):
    rows = [HERE | {"id": 10, "full_name": "X10"}, HERE | {"id": 0, "full_name": "X0"}]
    with pytest.raises(ConflictingDefinitionError) as raised:
        records.insert("detector", rows)
    assert "there: detector(instrument='SmallCam', id=0, full_name='D00')" in str(raised.value)
    assert "given: detector(instrument='SmallCam', id=0, full_name='X0')" in str(raised.value)
    assert count(butler, "detector") == 3


@pytest.mark.parametrize(
    ("element", "row", "message"),
    [
        ("visit", VISIT | {"instrument": "None"}, "no instrument 'None': there are SmallCam"),
        ("visit", VISIT | {"physical_filter": "SC-R"}, "no physical_filter 'SC-R' of instrument 'SmallCam'.*'SC-r'"),
        ("visit", VISIT | {"day_obs": 20250104}, "no day_obs 20250104 of instrument 'SmallCam': there are 20250103"),
        ("visit_definition", HERE | {"visit": 9, "exposure": 1}, r"no visit 9 .*: there are 1, 2, 3, 4\."),
        ("band", {"name": "g"}, "band has no records of its own: records of physical_filter define it"),
        ("htm7", {"id": 5}, "htm7 has no records of its own: its records are computed"),
        ("vist", {"id": 5}, "Did you mean 'visit'"),
    ],
)
def test_a_record_that_refers_to_what_is_not_there_names_it(records, element, row, message):
    with pytest.raises(DataIdError, match=message):
        records.insert(element, [row])


def test_alternate_keys_are_unique_within_what_they_belong_to(records):
    with pytest.raises(ConflictingDefinitionError, match="another detector has the full_name 'D00'"):
        records.insert("detector", [HERE | {"id": 10, "full_name": "D00"}])
    records.insert("instrument", [{"name": "Other"}])
    records.insert("detector", [{"instrument": "Other", "id": 0, "full_name": "D00"}])


def test_the_same_record_twice_in_one_insert_is_a_conflict(records, butler):
    row = HERE | {"id": 10, "full_name": "X10"}
    with pytest.raises(ConflictingDefinitionError):
        records.insert("detector", [row, row])
    assert count(butler, "detector") == 3


def test_sync_inserts_compares_and_changes_only_when_told_to(records, butler):
    assert records.sync("visit", VISIT) is True
    assert records.sync("visit", VISIT) is False
    assert records.sync("visit", VISIT | {"exposure_time": float("nan")}) is False
    with pytest.raises(ConflictingDefinitionError, match=r"exposure_time=12\.5"):
        records.sync("visit", VISIT | {"exposure_time": 12.5})
    assert records.sync("visit", VISIT | {"exposure_time": 12.5}, update=True) == {"exposure_time": None}
    assert butler.sql("SELECT exposure_time FROM visit WHERE id = 9")[1] == [(12.5,)]


def test_regions_and_timespans_come_back_exactly(records, butler):
    span = Timespan(1_735_948_837_000_000_001, 1_735_948_867_000_000_002)
    region = Region.polygon([(0.1, 0.2), (1 / 3, 0.2), (0.3, 0.4)])
    row = VISIT | {"timespan": span, "region": region}
    assert records.sync("visit", row)
    assert records.sync("visit", row) is False
    assert butler.sql("SELECT region, timespan_begin, timespan_end FROM visit WHERE id = 9")[1] == [
        (region.ivoa, 1_735_948_837_000_000_001, 1_735_948_867_000_000_002)
    ]
    for odd in (Timespan.empty(), Timespan(None, None), Timespan(None, 5)):
        records.sync("visit", VISIT | {"timespan": odd, "region": region}, update=True)
        assert records.sync("visit", VISIT | {"timespan": odd, "region": region}) is False


def test_the_pixels_of_a_region_follow_its_changes(records, butler):
    def pixels() -> set[int]:
        return {row[0] for row in butler.sql("SELECT pixel FROM visit_pixels WHERE visit = 9")[1]}

    def expected(region: Region) -> set[int]:
        return {pixel for begin, end in region.htm_pixels(7) for pixel in range(begin, end)}

    first, second = Region.circle(10, 0, 1), Region.circle(50, 20, 0.1)
    records.sync("visit", VISIT | {"region": first})
    assert pixels() == expected(first)
    records.sync("visit", VISIT | {"region": second}, update=True)
    assert pixels() == expected(second)
    records.sync("visit", VISIT, update=True)
    assert pixels() == set()


def test_a_region_that_is_none_on_the_sky_leaves_no_record(records, butler):
    with pytest.raises(ValueError, match="not a region"):
        records.insert("visit", [VISIT | {"region": "POLYGON 0 0 1 0 2 0"}])
    assert count(butler, "visit") == 4
