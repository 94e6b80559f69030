"""Whatever is asked, a query answers or says in an InvalidQueryError what is wrong, on every database."""

import contextlib
import datetime
import decimal
import enum
import math
import pathlib
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skybutler import InvalidQueryError, Region, Timespan
from skybutler.registry import queries
from skybutler.registry.queries.expression import parse
from skybutler.registry.registry import Registry


@pytest.fixture(scope="module")
def registry(backend, tmp_path_factory):
    registry = Registry.create(backend.registry(tmp_path_factory.mktemp("fuzz")))
    insert, cam = registry.dimension_records.insert, {"instrument": "Cam"}
    insert("instrument", [{"name": "Cam"}])
    insert("physical_filter", [{**cam, "name": "F", "band": "r"}])
    insert("day_obs", [{**cam, "id": 20190503}])
    insert("detector", [{**cam, "id": i, "full_name": f"D{i}"} for i in range(3)])
    insert("visit", [{**cam, "id": 1, "name": "v", "physical_filter": "F", "day_obs": 20190503, "exposure_time": 30.0,
                      "region": Region.box(10, 5, 1, 1), "timespan": Timespan(0, 10**9)}])  # fmt: skip
    insert("skymap", [{"name": "S"}])
    insert("tract", [{"skymap": "S", "id": 0, "region": Region.box(10, 5, 3, 3)}])
    yield registry
    registry.close()


def answers_or_tells(registry, where, bind=None, element="visit") -> None:
    try:
        query = queries.query_dimension_records(registry, element, where=where, bind=bind)
        assert query.count() == len(list(query))
    except InvalidQueryError:
        return


WORDS = [
    "visit", "detector", "exposure_time", "full_name", "band", "day_obs", "visit.timespan", "visit.timespan.begin",
    "visit.region", "tract.region", "tract", "skymap = 'S'", "htm7", "instrument", "azimuth", "nothing", "visit.x",
    "=", "!=", "<>", "==", "<", ">=", "+", "-", "*", "/", "%", "(", ")", ",", "AND", "OR", "NOT", "IN", "IS", "NULL",
    "LIKE", "BETWEEN", "OVERLAPS", "TRUE", "FALSE", "0", "1", "2.5", "1e400", "9223372036854775807", "''", "'D%'",
    "T'2019-05-03'", "T'1970-01-01/tai'", "1..3", "-5..5:2", ":x", ":list", ":t", "POINT(10, 5)", "CIRCLE(10, 5, 1)",
    "BOX(10, 5, 1, 1)", "POLYGON(9, 4, 11, 4, 10, 6)", "REGION('CIRCLE 10 5 1')", "GLOB(full_name, 'D*')", "GLOB(",
    "UUID('e15ab039-bc8b-4135-87c5-90902a7c0b22')", "(NULL, T'2020-01-01')", "in", "x.y.z.w", '"', ";", "--",
]  # fmt: skip
BIND = {"x": 1, "list": [1, 2], "t": Time("2019-05-03")}


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join))
def test_any_row_of_words_is_answered_or_told(registry, where):
    answers_or_tells(registry, where, BIND)


operands = st.sampled_from([word for word in WORDS if word[0] not in "=!<>+-*/%(),;\"" and word.upper() not in
                            ("AND", "OR", "NOT", "IN", "IS", "LIKE", "BETWEEN", "OVERLAPS", "GLOB(")])  # fmt: skip
comparisons = st.builds(
    "{} {} {}".format, operands, st.sampled_from(["=", "!=", "<", ">=", "OVERLAPS", "+", "%", "/", "LIKE"]), operands
) | st.builds("{} {} ({})".format, operands, st.sampled_from(["IN", "NOT IN"]), operands)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        comparisons,
        lambda inner: st.one_of(
            st.builds("NOT {}".format, inner),
            st.builds("({}) {} ({})".format, inner, st.sampled_from(["AND", "OR", "="]), inner),
            st.builds("{} = {}".format, operands, inner),
            st.builds("{} BETWEEN {} AND {}".format, operands, operands, operands),
            st.builds("{} IS NULL".format, operands),
        ),
        max_leaves=4,
    )
)
def test_any_comparison_of_anything_is_answered_or_told(registry, where):
    answers_or_tells(registry, where, BIND)


@pytest.mark.sqlite
@given(st.text(st.characters(categories=None), max_size=30))
def test_any_text_is_an_expression_or_an_invalid_query(backend, text):
    for tried in (text, f"full_name = '{text}'", f"T'{text}' = :t", f"x IN ({text})", f"REGION('{text}') OVERLAPS y"):
        with contextlib.suppress(InvalidQueryError):
            parse(tried)


@given(st.text(st.characters(categories=None), max_size=12))
@settings(max_examples=60)
def test_any_text_may_be_a_value(registry, text):
    quoted = text.replace("'", "''")
    for where in (f"full_name = '{quoted}'", f"GLOB(full_name, '{quoted}')", f"full_name LIKE '{quoted}'"):
        answers_or_tells(registry, where, element="detector")
    for where in ("full_name = :x", "full_name IN (:many)", "GLOB(full_name, :x)", "instrument != :x", "x = full_name"):
        answers_or_tells(registry, where, {"x": text, "many": [text] * 40}, element="detector")
    answers_or_tells(registry, "visit > 0", {text: 1})


class TestExtremes:
    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("(" * 10_000 + "visit = 1" + ")" * 10_000, 1),
            (" AND ".join(["visit = 1"] * 10_000), 1),
            (" OR ".join(["visit = 1"] * 10_000), 1),
            (" OR ".join(f"visit != {i}" for i in range(3000)), 1),
            ("visit = " + "-" * 10_000 + "1", 1),
            ("exposure_time < 1e400", 1),
            ("exposure_time > -1e400", 1),
            ("exposure_time IN (1e400, 30)", 1),
            (" OR ".join([f"exposure_time = {i}" for i in range(40)] + ["exposure_time = 1e400"]), 1),
            ("visit < 9223372036854775807", 1),
            ("visit + 9223372036854775807 > 0", 1),
            ("visit * 9223372036854775807 * 9223372036854775807 > 0", 1),
            ("visit IN (-9223372036854775807..9223372036854775807)", 1),
            ("visit IN (-9223372036854775807..9223372036854775807:9223372036854775807)", 0),
            ("visit IN (-9223372036854775806..9223372036854775807:9223372036854775807)", 1),
            ("visit IN (-5..5:3)", 1),
            ("visit IN (-6..5:3)", 0),
            ("-visit IN (-5..5:2)", 1),
            ("-visit IN (-4..5:2)", 0),
            ("-visit IN (-9223372036854775807..0:2)", 1),
            ("visit\u00a0=\f1", 1),
            ("visit = 000000000000000000000000000000001", 1),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_are_answered(self, registry, where, found):
        assert queries.query_dimension_records(registry, "visit", where=where).count() == found

    @pytest.mark.parametrize(
        ("where", "message"),
        [
            ("(" * 10_000, "a value is missing"),
            ("(" * 10_000 + "visit = 1", r"a '\)' is missing"),
            ("visit = 1" + ")" * 10_000, "No parenthesis is open"),
            ("NOT " * 10_000 + "visit = 1", "nested too deeply"),
            ("visit = " + "+".join(["1"] * 10_000), "nested too deeply"),
            ("visit = -(" * 3000 + "1" + ")" * 3000, "nested too deeply|cannot stand here"),
            ("GLOB(" * 5000, "a value is missing"),
            ("visit = " + "9" * 5000, "does not fit 64 bits"),
            ("visit IN (0.." + "9" * 5000 + ")", "does not fit 64 bits"),
            ("visit IN (1..9:" + "9" * 30 + ")", "does not fit 64 bits"),
            ("visit = 1\0", "has no meaning"),
            ("\0", "has no meaning"),
            ("visit.name = 'a\0b'", "NUL"),
            ("visit.name = '\ud800'", "surrogate"),
            ("\ud800 = 1", "has no meaning"),
            ("visit = ١", "has no meaning"),
            ("vísit = 1", "has no meaning"),
            ("visit = 1 /* no comments */", "cannot stand here"),
            ("visit = 1 -- none", "There is no 'none' here"),
            ("visit = 1;", "has no meaning"),
            ('"visit" = 1', "single quotes"),
            ("`visit` = 1", "has no meaning"),
            ("visit.timespan.begin > T'3000-01-01'", "outside the years 1678 to 2261"),
            ("visit.timespan.begin > T'0001-01-01/tai'", "outside the years"),
            ("visit.timespan.begin > T'1e300'", "outside the years|no time"),
            ("visit.timespan.begin > T'mjd/nan'", "no time of the format"),
            ("visit.timespan.begin > T'2020-01-01/local'", "no time scale; there are tai"),
            ("visit.timespan.begin > T'2020-01-01/martian'", "'martian' is no time scale"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_are_told(self, registry, where, message):
        with pytest.raises(InvalidQueryError, match=message) as caught:
            queries.query_dimension_records(registry, "visit", where=where)
        assert len(str(caught.value)) < 700


class Level(enum.IntEnum):
    ONE = 1


NOTHING = [
    None, object(), {}, {1: 2}, complex(1, 1), decimal.Decimal("1.5"), type, print, bytearray(b"x"), pathlib.Path("x"),
    iter([1]), (i for i in [1]), datetime.timedelta(1), datetime.date(2019, 5, 3), math.nan, pd.NA, pd.NaT, 1 * u.deg,
    np.datetime64("2019-05-03"), np.datetime64("NaT", "s"), 2**63, -(2**200), "\ud800", "a\0", Time(["2019-05-03"] * 2),
    SkyCoord([1, 2] * u.deg, [1, 2] * u.deg), [None], [1, None], [[1]], [1, "a"], [object()], np.array([[1]]),
    np.ma.masked_array([1, 2], [0, 1]), range(10**30), [math.nan], ["\ud800"], Time(3000, format="jyear"), [{}],
]  # fmt: skip
SOMETHING = [
    True, 1, 1.5, math.inf, "a", b"x", uuid.UUID(int=1), Level.ONE, np.int64(1), np.uint64(2**63), np.float32(1.5),
    np.bool_(True), np.str_("a"), np.array(1), Time("2019-05-03"), datetime.datetime(2019, 5, 3), pd.Timestamp(0),
    Timespan(None, None), Timespan.empty(), Region.point(10, 5), SkyCoord(10 * u.deg, 5 * u.deg), [], [1, 2.0], {1},
    (1,), frozenset([1]), range(3), range(0), range(5, 1, -2), np.array([1, 2]), np.array([]), np.array(["a"]),
    pd.Series([1]), pa.array([1]), {"a": 1}.keys(), {1: 1}.values(), [math.inf] * 40,
    [1.5, -math.inf, math.inf, *range(40)],
]  # fmt: skip
PLACES = [
    "visit = :x", "visit IN (:x)", "visit NOT IN (1, :x)", "visit < :x", "visit.name = :x", "visit BETWEEN :x AND :x",
    "visit + :x = 1", "-:x = 1", "NOT :x", ":x", ":x IS NULL", ":x = :x", ":x IN (visit)", "visit.name LIKE :x",
    "GLOB(visit.name, :x)", "GLOB(:x, 'a')", "UUID(:x) = UUID(:x)", "visit.region OVERLAPS :x",
    ":x OVERLAPS visit.region", "visit.region OVERLAPS CIRCLE(:x, 5, 1)", "visit.region OVERLAPS REGION(:x)",
    "visit.timespan OVERLAPS :x", "visit.timespan OVERLAPS (:x, NULL)", "visit.timespan.begin < :x",
    "can_see_sky = :x", "exposure_time IN (:x, 1e400)",
]  # fmt: skip


@pytest.mark.parametrize("value", [*NOTHING, *SOMETHING], ids=lambda value: type(value).__name__)
def test_any_value_may_be_bound_anywhere(registry, value):
    for where in PLACES:
        answers_or_tells(registry, where, {"x": value})


@pytest.mark.parametrize("value", NOTHING[1:], ids=lambda value: type(value).__name__)
def test_what_is_no_value_is_told_at_its_place(registry, value):
    with pytest.raises(InvalidQueryError) as caught:
        queries.query_dimension_records(registry, "visit", where="visit.name != :x", bind={"x": value})
    shown, caret = str(caught.value).splitlines()[-2:]
    assert shown[caret.index("^") :] in (":x", "!= :x")


def test_collections_of_every_kind_are_lists(registry):
    def visits(value):
        found = queries.query_dimension_records(registry, "visit", where="visit IN (:x)", bind={"x": value})
        return [record.id for record in found]

    lists = [
        [1], (1,), {1}, {1: 2}.keys(), {2: 1}.values(), range(5), range(3, 0, -2), np.array([1]), pd.Series([1]),
        pa.array([1]), pa.chunked_array([[1]]), [1.0, *range(2, 90)], [1, math.inf, *range(2, 90)],
    ]  # fmt: skip
    assert [visits(one) for one in lists] == [[1]] * len(lists)
    for none in ([], range(0), np.array([], int), [2], [math.inf] * 50, [-math.inf, *range(2, 90)]):
        assert visits(none) == []
