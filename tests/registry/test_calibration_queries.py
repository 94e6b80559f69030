"""Queries that search CALIBRATION collections: validity as a field, and the join with the time of the data."""

import pytest

from skybutler.butler.butler import Butler
from skybutler.model.datasets import DatasetType
from skybutler.model.errors import InvalidQueryError
from skybutler.model.timespan import Timespan

MINUTE = 60 * 10**9
FIRST = 1_735_948_837 * 10**9
"""Begin of the first exposure; each takes 30 s, one a minute."""


def minutes(begin: float | None, end: float | None) -> Timespan:
    """The span between two moments in minutes after the first exposure began."""
    return Timespan(*(None if t is None else FIRST + int(t * MINUTE) for t in (begin, end)))


@pytest.fixture
def filled(butler: Butler) -> Butler:
    """Biases r1 for the first two minutes and again from the third on, r2 for the third; detector 1 has only r1's."""
    butler.register_dataset_type(DatasetType("bias", ["instrument", "detector"], "Dict", True), replace=True)
    for run in ("r1", "r2"):
        for detector in range(2):
            butler.put("bias", {"run": run}, detector=detector, run=run)
    butler.collections.register("calib", "CALIBRATION")
    first, second = (list(butler.query_datasets("bias", run, order_by="detector")) for run in ("r1", "r2"))
    butler.collections.certify("calib", first, minutes(None, 2))
    butler.collections.certify("calib", second[:1], minutes(2, 3))
    butler.collections.certify("calib", first, minutes(3, None))
    return butler


def found(query) -> list[tuple]:
    return [(ref.run, ref.data_id["detector"]) for ref in query]


def test_all_validities_are_listed_and_sorted_by_when_they_begin(filled):
    query = filled.query_datasets("bias", "calib", find_first=False, order_by=["timespan.begin", "detector"])
    assert found(query) == [("r1", 0), ("r1", 1), ("r2", 0), ("r1", 0), ("r1", 1)]
    assert query.count() == 5
    table = query.to_arrow().to_pylist()
    assert [row["timespan_begin"] is None for row in table] == [True, True, False, False, False]
    assert [row["timespan_end"] is None for row in table] == [False, False, False, True, True]
    assert [row["run"] for row in table] == ["r1", "r1", "r2", "r1", "r1"]


def test_a_search_for_the_first_gives_each_dataset_once(filled):
    query = filled.query_datasets("bias", "calib", order_by="detector")
    assert sorted(found(query)) == [("r1", 0), ("r1", 1), ("r2", 0)]
    assert query.count() == 3
    assert found(filled.query_datasets("bias", ["r2", "calib"], order_by="detector")) == [("r2", 0), ("r2", 1)]
    assert sorted(found(filled.query_datasets("bias", ["calib", "r2"]))) == [("r1", 0), ("r1", 1), ("r2", 0)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("timespan OVERLAPS :t", [("r2", 0)]),
        ("timespan OVERLAPS (:t, :u)", [("r1", 0), ("r1", 1), ("r2", 0)]),
        ("bias.timespan.end <= :t", [("r1", 0), ("r1", 1)]),
        ("timespan.begin > :t AND detector = 0", [("r1", 0)]),
        ("timespan OVERLAPS :span", [("r1", 0), ("r1", 1), ("r2", 0)]),
        ("NOT (timespan OVERLAPS :t)", [("r1", 0), ("r1", 0), ("r1", 1), ("r1", 1)]),
    ],
)
def test_validity_is_a_field_of_the_dataset(filled, where, expected):
    t, u = minutes(2.5, None).begin, minutes(3.5, None).begin
    bind = {"t": t, "u": u, "span": minutes(1, 2.1)}
    bind = {name: value for name, value in bind.items() if f":{name}" in where}
    query = filled.query_datasets("bias", "calib", find_first=False, where=where, bind=bind)
    assert sorted(found(query)) == expected


def test_validity_of_what_no_calibration_collection_holds_is_unbounded(filled):
    query = filled.query_datasets("bias", "r2", find_first=False, where="timespan OVERLAPS T'1999-01-01'")
    assert found(query.order_by("detector")) == [("r2", 0), ("r2", 1)]
    both = filled.query_datasets("bias", ["calib", "r2"], find_first=False, where="timespan OVERLAPS T'2100-01-01'")
    assert sorted(found(both)) == [("r1", 0), ("r1", 1), ("r2", 0), ("r2", 1)]


def test_what_is_no_calibration_is_always_valid(filled):
    filled.put("note", {}, visit=1, detector=0)
    where = "note.timespan OVERLAPS T'1999-01-01' AND note.timespan.begin IS NOT NULL"
    assert filled.query_datasets("note", "user", where=where).count() == 1
    with pytest.raises(InvalidQueryError, match=r"'timespan\.begin' is ambiguous"):
        filled.query_datasets("note", "user", where="timespan.begin IS NULL")
    with pytest.raises(InvalidQueryError, match=r"A timespan has \.begin and \.end"):
        filled.query_datasets("bias", "calib", where="timespan.middle IS NULL")


def test_data_ids_are_joined_with_what_is_valid_at_their_time(filled):
    def pairs(dimension, **options):
        query = filled.query_data_ids([dimension, "detector"], datasets="bias", collections="calib", **options)
        return [(i[dimension], i["detector"]) for i in query.order_by(dimension, "detector")]

    expected = [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 0), (4, 1)]
    assert pairs("exposure") == pairs("visit") == expected
    assert pairs("exposure", where="exposure > 2") == expected[4:]
    assert pairs("exposure", where="bias.run = 'r2'") == [(3, 0)]
    assert filled.query_data_ids(["exposure", "detector"], datasets="bias", collections="calib").count() == 7
    plain = filled.query_data_ids(["exposure", "detector"], datasets="bias", collections=["r1", "r2"])
    assert plain.count() == 8
    mixed = filled.query_data_ids(["exposure", "detector"], datasets="bias", collections=["calib", "r2"])
    assert mixed.count() == 8


def test_a_span_that_two_calibrations_share_gives_one_data_id(filled):
    filled.collections.decertify("calib", "bias", minutes(0, 2))
    first, second = (list(filled.query_datasets("bias", run, order_by="detector"))[:1] for run in ("r1", "r2"))
    filled.collections.certify("calib", first, minutes(0, 0.25))
    filled.collections.certify("calib", second, minutes(0.25, 2))
    query = filled.query_data_ids(["exposure", "detector"], datasets="bias", collections="calib", where="exposure = 1")
    assert [(i["exposure"], i["detector"]) for i in query] == [(1, 0)]
    assert query.count() == 1


def test_a_named_exposure_finds_the_datasets_that_are_valid_for_it(filled):
    assert found(filled.query_datasets("bias", "calib", where="exposure = 3")) == [("r2", 0)]
    assert sorted(found(filled.query_datasets("bias", "calib", exposure=4))) == [("r1", 0), ("r1", 1)]
    both = filled.query_datasets("bias", "calib", where="visit IN (1, 3)")
    assert sorted(found(both)) == [("r1", 0), ("r1", 1), ("r2", 0)]


def test_records_may_be_asked_for_by_what_is_valid_for_them(filled):
    records = filled.query_dimension_records(
        "exposure", datasets="bias", collections="calib", where="bias.run = 'r2'", order_by="timespan.begin"
    )
    assert [record.id for record in records] == [3]


def test_all_types_of_a_calibration_collection_are_found(filled):
    assert sorted(found(filled.query_all_datasets("*", collections="calib"))) == [("r1", 0), ("r1", 1), ("r2", 0)]
    assert "There are results" in filled.query_datasets("bias", "calib").explain()
