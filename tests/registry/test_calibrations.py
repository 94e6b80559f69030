"""TAGGED and CALIBRATION collections: what may be in them, and which calibration is found for which time."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetRef, DatasetType
from skybutler.model.errors import (
    CalibrationLookupError,
    CollectionTypeError,
    ConflictingDefinitionError,
    DataIdError,
    DatasetNotFoundError,
)
from skybutler.model.timespan import Timespan

MINUTE = 60 * 10**9
FIRST = 1_735_948_837 * 10**9
"""Begin of the first exposure; each takes 30 s, one a minute."""


def minutes(begin: float | None, end: float | None) -> Timespan:
    """The span between two moments in minutes after the first exposure began."""
    return Timespan(*(None if t is None else FIRST + int(t * MINUTE) for t in (begin, end)))


@pytest.fixture
def filled(butler: Butler) -> Butler:
    """Master biases of two RUNs for detectors 0 and 1, and empty collections ``calib``, ``other`` and ``picked``."""
    butler.register_dataset_type(DatasetType("bias", ["instrument", "detector"], "Dict", True), replace=True)
    for run in ("r1", "r2"):
        for detector in range(2):
            butler.put("bias", {"run": run, "detector": detector}, detector=detector, run=run)
            butler.put("note", {"run": run}, visit=1, detector=detector, run=run)
    butler.collections.register("calib", "CALIBRATION")
    butler.collections.register("other", "CALIBRATION")
    butler.collections.register("picked", "TAGGED")
    butler.collections.register("chain", "CHAINED")
    return butler


def biases(butler: Butler, run: str) -> list[DatasetRef]:
    return list(butler.query_datasets("bias", run, order_by="detector"))


def notes(butler: Butler, run: str) -> list[DatasetRef]:
    return list(butler.query_datasets("note", run, order_by="detector"))


def validity(butler: Butler) -> list[tuple[int, Timespan]]:
    """Detector and span of all that is certified."""
    rows = butler.sql("SELECT detector, timespan_begin, timespan_end FROM calib_instrument_detector ORDER BY 1, 2")[1]
    return [(detector, Timespan(begin, end)) for detector, begin, end in rows]


def on_sqlite(butler: Butler) -> sqlite3.Cursor:
    """A cursor of the registry's file; a test that looks at it that closely needs one."""
    if butler.registry.database.dialect_name != "sqlite":
        pytest.skip("looks at what SQLite is told")
    return butler.registry.database.cursor()


# TAGGED


def test_tagged_datasets_are_found_and_listed(filled):
    filled.collections.tag("picked", [*notes(filled, "r1"), *biases(filled, "r2")])
    assert filled.get("note", visit=1, detector=0, collections="picked") == {"run": "r1"}
    assert [ref.run for ref in filled.query_datasets("bias", "picked")] == ["r2", "r2"]
    assert filled.collections.dataset_types("picked") == ["bias", "note"]
    assert filled.sql("SELECT collection, run FROM v_note WHERE collection = 'picked'")[1] == [("picked", "r1")] * 2


def test_tagging_the_same_again_is_nothing_and_another_a_conflict_that_changes_nothing(filled):
    first, second = notes(filled, "r1"), notes(filled, "r2")
    filled.collections.tag("picked", first[:1])
    filled.collections.tag("picked", [*first, *first])
    with pytest.raises(ConflictingDefinitionError, match=f"{second[1].id}.*'picked'.*{first[1].id}.*Untag"):
        filled.collections.tag("picked", [*biases(filled, "r1"), *second[1:]])
    assert set(filled.query_all_datasets("*", collections="picked")) == set(first)
    with pytest.raises(ConflictingDefinitionError, match="is to be there under the same data ID"):
        filled.collections.tag("picked", [biases(filled, "r1")[0], biases(filled, "r2")[0]])


def test_untagged_datasets_make_room_and_stay_in_their_run(filled):
    filled.collections.tag("picked", notes(filled, "r1"))
    filled.collections.untag("picked", [*notes(filled, "r1"), *notes(filled, "r2")])
    filled.collections.tag("picked", notes(filled, "r2"))
    assert filled.get("note", visit=1, detector=1, collections="picked") == {"run": "r2"}
    assert filled.get("note", visit=1, detector=1, collections="r1") == {"run": "r1"}


@pytest.mark.parametrize("collection", ["r1", "chain", "calib"])
def test_datasets_are_tagged_in_tagged_collections_only(filled, collection):
    with pytest.raises(CollectionTypeError, match=f"tagged in TAGGED collections; '{collection}' is"):
        filled.collections.tag(collection, notes(filled, "r1"))
    with pytest.raises(CollectionTypeError, match="untagged in TAGGED"):
        filled.collections.untag(collection, [])


def test_only_what_a_run_holds_is_tagged_or_certified(filled):
    known = biases(filled, "r1")[0]
    stranger = DatasetRef(known.dataset_type, known.data_id, "r1")
    liar = DatasetRef(known.dataset_type, {**known.data_id, "detector": 2}, "r1", known.id)
    for refs, error in (([known, stranger], DatasetNotFoundError), ([liar], ConflictingDefinitionError)):
        with pytest.raises(error, match=str(refs[-1].id)):
            filled.collections.tag("picked", refs)
        with pytest.raises(error, match=str(refs[-1].id)):
            filled.collections.certify("calib", refs, minutes(0, 1))
    assert filled.collections.dataset_types("picked") == filled.collections.dataset_types("calib") == []


def test_removed_datasets_go_from_tagged_and_calibration_collections(filled):
    filled.collections.tag("picked", biases(filled, "r1"))
    filled.collections.certify("calib", biases(filled, "r1"), minutes(None, None))
    filled.remove_datasets(biases(filled, "r1")[:1])
    assert filled.find_dataset("bias", detector=0, collections=["picked", "calib"]) is None
    assert filled.find_dataset("bias", detector=1, collections="calib").run == "r1"
    filled.remove_run("r1")
    assert filled.find_dataset("bias", detector=1, collections=["picked", "calib"]) is None
    assert filled.sql("SELECT count(*) FROM v_calibrations")[1] == [(0,)]


def test_a_deleted_collection_leaves_the_datasets(filled):
    filled.collections.tag("picked", biases(filled, "r1"))
    filled.collections.certify("calib", biases(filled, "r1"), minutes(0, 1))
    filled.collections.delete("picked")
    filled.collections.delete("calib")
    assert len(biases(filled, "r1")) == 2
    assert filled.sql("SELECT count(*) FROM v_calibrations")[1] == [(0,)]


# CALIBRATION


def test_a_calibration_is_found_for_the_time_of_the_data(filled):
    filled.collections.certify("calib", biases(filled, "r1"), minutes(None, 1))
    filled.collections.certify("calib", biases(filled, "r2"), minutes(1, 2.9))
    get = lambda **data_id: filled.get("bias", detector=0, collections="calib", **data_id)["run"]  # noqa: E731
    assert [get(exposure=n) for n in (1, 2, 3)] == ["r1", "r2", "r2"]
    assert [get(visit=n) for n in (1, 2, 3)] == ["r1", "r2", "r2"]
    assert get(**{"exposure.seq_num": 2}) == "r2"
    assert get(timespan=minutes(0.2, 0.3)) == "r1"
    assert get(exposure=3, timespan=minutes(0.2, 0.3)) == "r1"
    with pytest.raises(DatasetNotFoundError, match=r"no bias for .* valid in \[.*'calib' has it for \[-∞, .*; 'calib'"):
        get(exposure=4)
    with pytest.raises(DataIdError, match="no exposure 9"):
        get(exposure=9)


def test_what_was_never_certified_is_said_to_be_elsewhere(filled):
    with pytest.raises(DatasetNotFoundError, match=r"Nothing is certified for it\. It is in 'r1', 'r2'"):
        filled.get("bias", exposure=1, detector=0, collections="calib")
    with pytest.raises(DatasetNotFoundError, match=r"Nothing is certified for it\.$"):
        filled.get("bias", exposure=1, detector=2, collections="calib")


def test_a_span_of_time_is_a_timespan(filled):
    filled.collections.certify("calib", biases(filled, "r1"), minutes(0, 1))
    for act in (
        lambda: filled.collections.certify("calib", biases(filled, "r1"), "2020"),
        lambda: filled.collections.decertify("calib", "bias", None),
        lambda: filled.find_dataset("bias", detector=0, collections="calib", timespan=2020),
    ):
        with pytest.raises(TypeError, match="a span of time is wanted"):
            act()


def test_without_a_time_the_only_calibration_is_found_and_several_are_an_error(filled):
    filled.collections.certify("calib", biases(filled, "r1"), minutes(0, 1))
    assert filled.find_dataset("bias", detector=0, collections="calib").run == "r1"
    filled.collections.certify("calib", biases(filled, "r1"), minutes(2, 3))
    assert filled.find_dataset("bias", detector=0, collections="calib").run == "r1"
    filled.collections.certify("calib", biases(filled, "r2")[:1], minutes(1, 2))
    with pytest.raises(CalibrationLookupError, match="no time was given: name an exposure, a visit or a timespan"):
        filled.find_dataset("bias", detector=0, collections="calib")
    assert filled.find_dataset("bias", detector=1, collections="calib").run == "r1"


def test_several_valid_at_different_ends_of_the_timespan_are_an_error(filled):
    filled.collections.certify("calib", biases(filled, "r1"), minutes(0, 1.25))
    filled.collections.certify("calib", biases(filled, "r2"), minutes(1.25, 2))
    with pytest.raises(
        CalibrationLookupError, match=r"several bias .* There is the one in 'r1' for .*; the one in 'r2'"
    ):
        filled.get("bias", exposure=2, detector=0, collections="calib")
    assert filled.find_dataset("bias", detector=0, collections="calib", timespan=minutes(1.25, 1.3)).run == "r2"


def test_collections_are_searched_in_order_whatever_their_type(filled):
    filled.collections.certify("calib", biases(filled, "r1")[:1], minutes(0, 1))
    filled.collections.certify("other", biases(filled, "r2"), minutes(None, None))
    runs = lambda *names: [  # noqa: E731
        (ref := filled.find_dataset("bias", exposure=n, detector=0, collections=list(names))) and ref.run
        for n in (1, 2)
    ]
    assert runs("calib", "other") == ["r1", "r2"]
    assert runs("other", "calib") == ["r2", "r2"]
    assert runs("calib", "r2") == ["r1", "r2"]
    assert runs("r2", "calib") == ["r2", "r2"]
    assert runs("calib") == ["r1", None]
    filled.collections.redefine_chain("chain", ["calib", "other"])
    assert runs("chain") == ["r1", "r2"]


def test_an_exposure_that_does_not_say_when_it_was_needs_a_timespan(filled):
    filled.collections.certify("calib", biases(filled, "r1"), minutes(0, 1))
    row = {
        "instrument": "SmallCam",
        "id": 77,
        "obs_id": "x",
        "physical_filter": "SC-g",
        "day_obs": 20250103,
        "group": "1",
    }
    filled.insert_dimension_records("exposure", [row])
    with pytest.raises(CalibrationLookupError, match="exposure 77 does not say when it was; pass timespan="):
        filled.get("bias", exposure=77, detector=0, collections="calib")
    assert filled.get("bias", exposure=77, detector=0, collections="r1") == {"run": "r1", "detector": 0}
    assert filled.exists("bias", exposure=77, detector=0, collections="calib", timespan=minutes(0, 1))


def test_certify_refuses_overlaps_and_shows_both(filled):
    filled.collections.certify("calib", biases(filled, "r1"), minutes(0, 2))
    with pytest.raises(
        ConflictingDefinitionError, match=r"'r2'.*cannot be certified in 'calib' for \[.*'r1' .* valid for \["
    ):
        filled.collections.certify("calib", biases(filled, "r2"), minutes(1.9, 3))
    filled.collections.certify("calib", biases(filled, "r2"), minutes(2, 3))
    filled.collections.certify("other", biases(filled, "r2"), minutes(1, 3))
    both = [biases(filled, "r1")[0], biases(filled, "r2")[0]]
    with pytest.raises(ConflictingDefinitionError, match="at any time one dataset of a data ID is valid"):
        filled.collections.certify("calib", both, minutes(10, 11))
    with pytest.raises(ConflictingDefinitionError, match="the timespan is empty"):
        filled.collections.certify("calib", both[:1], Timespan.empty())
    assert filled.sql("SELECT count(*) FROM v_calibrations")[1] == [(6,)]


def test_only_calibrations_are_certified_and_only_in_calibration_collections(filled):
    with pytest.raises(CollectionTypeError, match="'note' was registered without is_calibration=True"):
        filled.collections.certify("calib", notes(filled, "r1"), minutes(0, 1))
    with pytest.raises(CollectionTypeError, match="certified in CALIBRATION collections; 'picked' is TAGGED"):
        filled.collections.certify("picked", biases(filled, "r1"), minutes(0, 1))
    with pytest.raises(CollectionTypeError, match="decertified in CALIBRATION"):
        filled.collections.decertify("r1", "bias", minutes(0, 1))


def test_decertifying_cuts_and_splits(filled):
    filled.collections.certify("calib", biases(filled, "r1"), minutes(0, 4))
    filled.collections.decertify("calib", "bias", minutes(1, 2), [{"detector": 0}])
    filled.collections.decertify("calib", "bias", minutes(3.5, None))
    filled.collections.decertify("calib", "note", minutes(None, None))
    filled.collections.decertify("calib", "bias", Timespan.empty())
    assert validity(filled) == [(0, minutes(0, 1)), (0, minutes(2, 3.5)), (1, minutes(0, 3.5))]
    filled.collections.certify("calib", biases(filled, "r2")[:1], minutes(1, 2))


def test_the_view_shows_open_ends_as_null(filled):
    filled.collections.certify("calib", biases(filled, "r1")[:1], minutes(None, None))
    (row,) = filled.sql("SELECT collection, dataset_type, run, begin_date, end_date, data_id FROM v_calibrations")[1]
    assert row[:5] == ("calib", "bias", "r1", None, None)
    assert json.loads(row[5]) == {"instrument": "SmallCam", "detector": 0}


def test_what_a_transaction_certifies_is_undone_with_it(filled):
    with pytest.raises(CollectionTypeError), filled.transaction():  # noqa: PT012 - the last of them fails
        filled.collections.certify("calib", biases(filled, "r1"), minutes(0, 1))
        filled.collections.tag("picked", biases(filled, "r1"))
        filled.collections.tag("calib", biases(filled, "r1"))
    assert filled.collections.dataset_types("calib") == filled.collections.dataset_types("picked") == []


def test_a_find_that_searches_no_calibration_collection_is_one_statement(filled):
    said: list[str] = []
    filled.find_dataset("bias", detector=0, collections="r1")  # the catalog is read
    on_sqlite(filled).connection.set_trace_callback(said.append)
    filled.find_dataset("bias", instrument="SmallCam", detector=0, collections="r1")
    assert sum(text.startswith("SELECT") for text in said) == 1
    said.clear()
    filled.find_dataset("bias", instrument="SmallCam", detector=0, collections=["r1", "calib"])
    assert sum(text.startswith("SELECT") for text in said) == 1  # r1 comes first and has it


def test_a_find_of_a_calibration_uses_the_index(filled):
    cursor = on_sqlite(filled)
    group = filled.dataset_type("bias").dimensions
    sql = filled.registry.calibrations._prepare_find(group).sql
    cursor.execute(f"EXPLAIN QUERY PLAN {sql}", (1, 1, "x", 0, 1))
    plan = " ".join(str(row[3]) for row in cursor.fetchall())
    assert "calib_instrument_detector_find" in plan
    assert "SCAN" not in plan


def test_of_many_who_certify_at_once_for_one_time_one_wins(filled):
    def certify(n: int) -> bool:
        with Butler(filled.root) as mine:
            try:
                mine.collections.certify("calib", biases(mine, f"r{n % 2 + 1}"), minutes(n / 10, 5))
            except ConflictingDefinitionError:
                return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(certify, range(6))) == [False] * 5 + [True]
    assert [detector for detector, _ in validity(filled)] == [0, 1]


@pytest.mark.on_postgresql
def test_postgresql_itself_forbids_overlaps(filled):
    filled.collections.certify("calib", biases(filled, "r1"), minutes(0, 2))
    copied = (
        "INSERT INTO calib_instrument_detector (dataset_type_id, collection_id, instrument, detector, dataset_id, "
        "timespan_begin, timespan_end) SELECT dataset_type_id, collection_id, instrument, detector, dataset_id, "
        "timespan_begin + {0}, timespan_end + {0} FROM calib_instrument_detector"
    )
    with pytest.raises(Exception, match="overlap"), filled.registry.database.write() as connection:
        connection.exec_driver_sql(copied.format(MINUTE))
    with filled.registry.database.write() as connection:
        connection.exec_driver_sql(copied.format(2 * MINUTE))
    assert len(validity(filled)) == 4
