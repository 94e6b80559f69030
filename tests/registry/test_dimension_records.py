"""Dimension records: inserted in bulk or not at all, synchronised, and never contradicted."""

import pytest

from skybutler.model.errors import ConflictingDefinitionError, DataIdError
from skybutler.model.records import DimensionRecord
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


def test_a_conflict_shows_both_records_where_they_differ_and_what_to_do(records):
    with pytest.raises(ConflictingDefinitionError) as raised:
        records.insert("detector", [HERE | {"id": 1, "full_name": "X01", "purpose": "GUIDER"}])
    text = str(raised.value)
    assert "differ in: full_name ('D01', not 'X01'), purpose (None, not 'GUIDER')" in text
    assert "skip_existing=True or replace=True, or use sync_dimension_records" in text
    with pytest.raises(ConflictingDefinitionError, match=r"differ in: full_name \('D01', not 'X01'\)\n.*update=True"):
        records.sync("detector", HERE | {"id": 1, "full_name": "X01"})


def test_what_a_record_refers_to_is_told_with_the_call_that_inserts_it(records):
    with pytest.raises(DataIdError) as raised:
        records.insert("detector", [{"instrument": "Other", "id": 1}])
    assert "no instrument 'Other': there are SmallCam." in str(raised.value)
    assert "butler.insert_dimension_records('instrument', [{'name': 'Other'}])" in str(raised.value)
    with pytest.raises(
        DataIdError, match=r"insert_dimension_records\('physical_filter', \[\{'instrument': 'SmallCam', "
    ):
        records.sync("visit", VISIT | {"physical_filter": "SC-u"})


def test_what_is_there_is_skipped_or_replaced(records, butler):
    rows = [HERE | {"id": d, "full_name": f"N{d}"} for d in (2, 3, 3)]
    rows[-1]["full_name"] = "last"
    assert butler.insert_dimension_records("detector", rows, skip_existing=True) == 1
    assert butler.sql("SELECT id, full_name FROM detector WHERE id > 1 ORDER BY id")[1] == [(2, "D02"), (3, "N3")]
    assert butler.insert_dimension_records("detector", rows, skip_existing=True) == 0
    assert butler.insert_dimension_records("detector", rows, replace=True) == 2
    assert butler.sql("SELECT id, full_name FROM detector WHERE id > 1 ORDER BY id")[1] == [(2, "N2"), (3, "last")]
    with pytest.raises(TypeError, match="replaced or skipped, not both"):
        butler.insert_dimension_records("detector", rows, replace=True, skip_existing=True)


@pytest.mark.parametrize("how", [{"replace": True}, {"skip_existing": True}])
def test_merging_is_all_or_nothing_and_names_the_rival(records, butler, how):
    rows = [HERE | {"id": 7, "full_name": "D07"}, HERE | {"id": 8, "full_name": "D00"}]
    with pytest.raises(ConflictingDefinitionError, match="another detector has the full_name 'D00'"):
        records.insert("detector", rows, **how)
    with pytest.raises(DataIdError, match="insert that first"):
        records.insert("detector", [{"instrument": "Other", "id": 1}], **how)
    assert count(butler, "detector") == 3


def test_relations_are_skipped_and_replaced_too(records, butler):
    rows = [HERE | {"exposure": n, "visit": n} for n in (1, 2)] + [HERE | {"exposure": 1, "visit": 2}]
    assert records.insert("visit_definition", rows, skip_existing=True) == 1
    assert records.insert("visit_definition", rows, replace=True) == 3
    assert count(butler, "visit_definition") == 5


def test_a_replaced_region_is_found_where_it_is_now(records, butler):
    records.insert("visit", [VISIT | {"region": Region.circle(50, 0, 0.1)}])
    records.insert("visit", [VISIT | {"region": Region.circle(80, 0, 0.1)}], replace=True)
    where = "visit.region OVERLAPS POINT({}, 0)"
    assert [r.id for r in butler.query_dimension_records("visit", where=where.format(80))] == [9]
    assert not butler.query_dimension_records("visit", where=where.format(50)).any()


def as_pandas(table):
    return table.to_pandas()


def as_astropy(table):
    from astropy.table import Table

    return Table.from_pandas(table.to_pandas())


def as_polars(table):
    return pytest.importorskip("polars").from_arrow(table)


@pytest.mark.parametrize("form", [lambda table: table, as_pandas, as_astropy, as_polars, lambda t: t.to_pylist()[::-1]])
def test_what_to_arrow_gives_can_be_inserted_elsewhere(records, butler, form):
    query = butler.query_dimension_records("visit")
    rows, before = form(query.to_arrow()), list(query)
    butler.sql("SELECT 1")
    with butler.registry.database.write() as connection:
        for table in ("visit_detector_region", "visit_definition", "visit_pixels", "visit"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    if isinstance(rows, list):  # Python's own times without a zone are UTC
        for row in rows:
            row["timespan"] = next(r.timespan for r in before if r.id == row["id"])
            del row["timespan_begin"], row["timespan_end"]
    assert records.insert("visit", rows) == 4
    assert sorted(query, key=lambda r: r.id) == sorted(before, key=lambda r: r.id)
    assert count(butler, "visit_pixels") > 0


def test_records_and_single_rows_are_rows(records, butler):
    record = next(iter(butler.query_dimension_records("detector", where="detector = 1")))
    assert records.insert("detector", record, skip_existing=True) == 0
    assert records.insert("detector", HERE | {"id": 5}) == 1
    with pytest.raises(DataIdError, match="records of visit are wanted"):
        records.insert("visit", [record])
    for wrong, message in (("detector", "not as str"), (5, "not as int"), ([5], "is a mapping of its columns, not 5")):
        with pytest.raises(DataIdError, match=message):
            records.insert("detector", wrong)


def test_records_of_another_repository_are_checked_by_the_columns_here(records, butler):
    from skybutler.model.universe_definition import load_universe

    other = load_universe({"extends": "default", "elements": {"detector": {"metadata": {"gain": {"type": "float"}}}}})
    row = HERE | {"id": 5, "full_name": "D05"}
    theirs = DimensionRecord.from_mapping(other["detector"], row | {"gain": 1.5})
    with pytest.raises(DataIdError, match="detector has no column 'gain'"):
        records.insert("detector", [theirs])


@pytest.mark.sqlite
def test_many_records_are_inserted_by_a_handful_of_statements(records, butler):
    rows = [HERE | {"id": n, "full_name": f"B{n}"} for n in range(100, 20_100)]
    statements: list[str] = []
    butler.registry.database.cursor().connection.set_trace_callback(statements.append)
    assert records.insert("detector", rows[:10]) == 10
    assert records.insert("detector", rows, skip_existing=True) == 19_990
    assert records.insert("detector", rows, replace=True) == 20_000
    selects = [text for text in statements if text.lstrip().upper().startswith("SELECT")]
    assert len(selects) < 200


def test_times_long_ago_and_far_ahead_are_kept_to_the_nanosecond(records, butler):
    spans = [Timespan.from_isot("1893-05-01T00:00:00", "1893-05-01T00:00:01"),
             Timespan.from_isot("2161-01-01T00:00:00.000000001", "2200-01-01T00:00:00")]  # fmt: skip
    for number, span in enumerate(spans, 50):
        records.sync("visit", VISIT | {"id": number, "name": f"at {number}", "timespan": span})
    found = butler.query_dimension_records("visit", where="visit >= 50", order_by="visit")
    assert [record.timespan for record in found] == spans
    assert [r.id for r in found.where("timespan.begin < T'1900-01-01T00:00:00'")] == [50]


def test_datasets_are_found_though_records_that_say_more_of_them_are_missing(records, butler):
    records.insert("visit", [VISIT | {"id": 60, "name": "no region", "physical_filter": None, "day_obs": None}])
    ref = butler.put("note", {}, visit=60, detector=0)  # there is no visit_detector_region of it
    assert ref in list(butler.query_datasets("note", where="visit = 60"))
    assert butler.query_datasets("note", where="visit.name = 'no region'", order_by="visit.exposure_time").count() == 1
    (found,) = butler.query_data_ids(["visit", "detector"], datasets="note", where="visit = 60")
    assert (found["detector"], found["band"], found["day_obs"]) == (0, None, None)


def test_the_databases_own_errors_never_come_through(records, butler):
    with pytest.raises(ConflictingDefinitionError, match="is held by defaults"):
        butler.collections.delete_row(butler.registry.catalog.collection("user"))
    with pytest.raises(DataIdError, match="no visit 99"):
        records.insert("visit_detector_region", [HERE | {"visit": 99, "detector": 0}])
