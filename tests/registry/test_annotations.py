"""What users note of datasets, and what headers say, is kept as it was and found by queries and SQL."""

from concurrent.futures import ThreadPoolExecutor
from enum import Enum

import pytest

from skybutler import (
    AnnotationError,
    ArgumentError,
    Butler,
    DatasetNotFoundError,
    DatasetRef,
    DatasetType,
    InvalidQueryError,
    ReadOnlyError,
)

HEADERS = {
    (1, 0): {"AIRMASS": 1.1, "OBJECT": "M31", "DATE-OBS": "2019-05-03T08:00:00", "EXPTIME": 30},
    (1, 1): {"AIRMASS": 1.3, "OBJECT": "M33", "DATE-OBS": "2019-05-03T09:00:00", "EXPTIME": 30},
    (2, 0): {"AIRMASS": "unknown", "OBJECT": "NGC 1", "EXPTIME": 60.5, "GUIDED": True, "SERIAL": 2**53 + 1},
    (2, 1): {"OBJECT": "M31", "LONG": "x" * 3000, "NONE": None, "PHASE": 1j, "ESO TEL FOCU": 0.3},
    (3, 0): {},
}


@pytest.fixture
def refs(butler) -> dict[tuple[int, int], DatasetRef]:
    """Five notes with the header values above, by visit and detector."""
    made = {
        (visit, detector): DatasetRef(
            butler.dataset_type("note"), {"instrument": "SmallCam", "visit": visit, "detector": detector}, "run"
        )
        for visit, detector in HEADERS
    }
    butler.collections.register("run")
    headers = {made[place].id: header for place, header in HEADERS.items() if header}
    butler.registry.datasets.insert([(ref, None) for ref in made.values()], headers=headers)
    return made


def found(butler: Butler, where: str, **options: object) -> list[tuple[int, int]]:
    query = butler.query_datasets("note", "run", where=where, **{"order_by": ["visit", "detector"], **options})
    places = [(ref.data_id["visit"], ref.data_id["detector"]) for ref in query]
    assert query.count() == len(places) == query.to_arrow().num_rows
    return places


class TestAnnotating:
    @pytest.mark.parametrize(
        "value", ["good", "", 'it\'s "so" é', 0, -3, 2**53, -(2**53), 1.5, -0.0, 1e300, True, False]
    )
    def test_values_come_back_as_they_were(self, butler, refs, value):
        butler.annotate(refs[1, 0], key=value)
        back = butler.annotations(refs[1, 0])
        assert back == {"key": value}
        assert type(back["key"]) is type(value)

    def test_numpys_numbers_are_numbers_and_enums_what_they_hold(self, butler, refs):
        numpy = pytest.importorskip("numpy")

        class Quality(str, Enum):  # noqa: UP042 - whose str() is not what it holds
            GOOD = "good"

        butler.annotate(refs[1, 1], quality=Quality.GOOD)
        assert butler.annotations(refs[1, 1]) == {"quality": "good"}
        butler.annotate(refs[1, 0], a=numpy.float32(0.5), b=numpy.int64(3), c=numpy.bool_(True), d=numpy.str_("x"))
        assert butler.annotations(refs[1, 0]) == {"a": 0.5, "b": 3, "c": True, "d": "x"}
        assert [type(v) for v in butler.annotations(refs[1, 0]).values()] == [float, int, bool, str]

    def test_many_are_annotated_at_once_and_changed_and_taken_away(self, butler, refs):
        butler.annotate(butler.query_datasets("note", "run"), quality="good", rank=1)
        butler.annotate([refs[1, 0], refs[1, 1]], quality=None, rank="first", self=True, datasets=2)
        assert butler.annotations(refs[1, 1]) == {"rank": "first", "self": True, "datasets": 2}
        assert butler.annotations(refs[2, 1]) == {"quality": "good", "rank": 1}
        butler.annotate([], quality="bad")
        butler.annotate(refs[3, 0], unknown=None)
        assert found(butler, "annotation.quality = 'good'") == [(2, 0), (2, 1), (3, 0)]

    @pytest.mark.parametrize(
        ("pairs", "message"),
        [
            ({"a": []}, r"a=\[\] is list; a string, a number, True or False is wanted"),
            ({"a": {"b": 1}}, "is dict"),
            ({"a": 1j}, "is complex"),
            ({"a": float("nan")}, "a=nan is not finite"),
            ({"a": float("inf")}, "a=inf is not finite"),
            ({"a": 2**53 + 1}, "write it as text: a='9007199254740993'"),
            ({"a": "x" * 2001}, "a has 2001 bytes of text; up to 2000 are kept"),
            ({"a": "x\0"}, "null character"),
            ({"a": "\ud800"}, "no Unicode text"),
            ({"a-b": 1}, "'a-b' cannot be a key: letters, digits and underscores"),
            ({"1a": 1}, "'1a' cannot be a key"),
            ({"é": 1}, "cannot be a key"),
            ({"a" * 65: 1}, "64 of them"),
            ({"": None}, "cannot be a key"),
        ],
    )
    def test_what_cannot_be_kept_is_refused_and_nothing_is_noted(self, butler, refs, pairs, message):
        with pytest.raises(AnnotationError, match=message):
            butler.annotate(refs.values(), good=1, **pairs)
        assert butler.annotations(refs[1, 0]) == {}

    def test_a_dataset_that_is_not_registered_is_named_and_none_is_annotated(self, butler, refs):
        stranger = DatasetRef(butler.dataset_type("note"), refs[1, 0].data_id, "run")
        with pytest.raises(DatasetNotFoundError, match=f"note .* {stranger.id}.* is not registered"):
            butler.annotate([*refs.values(), stranger], quality="good")
        assert butler.annotations(refs[1, 0]) == {}
        with pytest.raises(DatasetNotFoundError, match="is not registered"):
            butler.annotations(stranger)
        with pytest.raises(ArgumentError, match=r"datasets are .* not 'note'"):
            butler.annotate(["note"], quality="good")
        with pytest.raises(AnnotationError, match="scope='headers' is neither"):
            butler.annotations(refs[1, 0], "headers")

    def test_a_transaction_that_fails_takes_annotations_back(self, butler, refs):
        def fails() -> None:
            with butler.transaction():
                butler.annotate(refs[1, 0], quality="good")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fails()
        assert butler.annotations(refs[1, 0]) == {}

    def test_who_may_only_read_may_not_annotate(self, butler, refs):
        with Butler(butler.root, writeable=False) as reader, pytest.raises(ReadOnlyError):
            reader.annotate(refs[1, 0], quality="good")

    def test_annotations_go_with_their_datasets(self, butler, refs):
        butler.annotate(refs.values(), quality="good")
        butler.remove_datasets([refs[1, 0]])
        assert butler.sql("SELECT count(*) FROM v_annotations WHERE scope = 'user'")[1] == [(4,)]
        butler.remove_run("run")
        assert butler.sql("SELECT count(*) FROM annotation")[1] == [(0,)]

    def test_many_at_once_note_the_same_key(self, butler, refs):
        def note(value: int) -> None:
            for _ in range(5):
                order = list(refs.values()) if value % 2 else list(refs.values())[::-1]
                butler.annotate(order, rank=value)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(note, range(4)))
        assert len({butler.annotations(ref)["rank"] for ref in refs.values()}) == 1


class TestHeaders:
    def test_values_are_kept_that_a_dataset_can_be_found_by(self, butler, refs):
        assert butler.annotations(refs[1, 0], "header") == HEADERS[1, 0]
        assert butler.annotations(refs[2, 0], "header") == {**HEADERS[2, 0], "SERIAL": str(2**53 + 1)}
        assert butler.annotations(refs[2, 1], "header") == {"ESO TEL FOCU": 0.3, "OBJECT": "M31"}
        assert butler.annotations(refs[3, 0], "header") == {}

    def test_few_datasets_may_have_many_values(self, butler, refs):
        data_ids = [{"instrument": "SmallCam", "visit": 4, "detector": d} for d in range(3)]
        more = [DatasetRef(butler.dataset_type("note"), data_id, "run") for data_id in data_ids]
        headers = {ref.id: {f"K{n}": n for n in range(300)} for ref in more}
        butler.registry.datasets.insert([(ref, None) for ref in more], headers=headers)
        assert [butler.annotations(ref, "header") for ref in more] == list(headers.values())

    def test_keys_are_listed(self, butler, refs):
        wanted = ["AIRMASS", "DATE-OBS", "ESO TEL FOCU", "EXPTIME", "GUIDED", "OBJECT", "SERIAL"]
        assert butler.registry.annotations.keys("header") == wanted
        assert butler.registry.annotations.keys("user") == []

    def test_a_dataset_without_header_values_costs_no_statement(self, butler, monkeypatch):
        monkeypatch.setattr(butler.registry.annotations, "insert_headers", None)
        butler.put("note", {"a": 1}, visit=1, detector=0)


class TestQueries:
    @pytest.mark.parametrize(
        ("where", "wanted"),
        [
            ("note.header.AIRMASS < 1.2", [(1, 0)]),
            ("header.airmass >= 1.1", [(1, 0), (1, 1)]),
            ("1.2 < header.AIRMASS", [(1, 1)]),
            ("NOT header.AIRMASS < 1.2", [(1, 1)]),
            ("header.AIRMASS = 'unknown'", [(2, 0)]),
            ("header.AIRMASS != 'known'", [(2, 0)]),
            ("header.AIRMASS IS NULL", [(2, 1), (3, 0)]),
            ("header.AIRMASS IS NOT NULL", [(1, 0), (1, 1), (2, 0)]),
            ("header.AIRMASS = NULL", [(2, 1), (3, 0)]),
            ("header.NOWHERE IS NULL AND header.OBJECT = 'M33'", [(1, 1)]),
            ("header.OBJECT LIKE 'M%'", [(1, 0), (1, 1), (2, 1)]),
            ("header.OBJECT NOT LIKE 'M%'", [(2, 0)]),
            ("GLOB(note.header.OBJECT, 'M3?')", [(1, 0), (1, 1), (2, 1)]),
            ("note.header.\"DATE-OBS\" > '2019-05-03T08:30'", [(1, 1)]),
            ('header."eso tel focu" + 0.7 = 1', [(2, 1)]),
            ("header.EXPTIME * 2 = 60", [(1, 0), (1, 1)]),
            ("-header.EXPTIME < -40", [(2, 0)]),
            ("header.EXPTIME % 4 = 2", [(1, 0), (1, 1)]),
            ("header.EXPTIME IN (10..40:10, 60)", [(1, 0), (1, 1)]),
            ("header.EXPTIME IN (29..40:10)", []),
            ("header.EXPTIME IN (60.5, 3)", [(2, 0)]),
            ("header.OBJECT IN ('M31', 'NGC 1')", [(1, 0), (2, 0), (2, 1)]),
            ("header.OBJECT NOT IN ('M31', 'NGC 1')", [(1, 1)]),
            ("header.EXPTIME BETWEEN 30 AND 60", [(1, 0), (1, 1)]),
            ("header.OBJECT BETWEEN 'M32' AND 'N'", [(1, 1)]),
            ("2 BETWEEN header.AIRMASS AND header.EXPTIME", [(1, 0), (1, 1)]),
            ("header.GUIDED", [(2, 0)]),
            ("header.GUIDED = TRUE OR header.OBJECT = 'M33'", [(1, 1), (2, 0)]),
            ("header.GUIDED = 1", [(2, 0)]),
            ("header.EXPTIME = TRUE", []),
            ("header.AIRMASS < header.EXPTIME", [(1, 0), (1, 1)]),
            ("header.AIRMASS > header.OBJECT", [(2, 0)]),
            ("header.OBJECT IN (header.OBJECT)", [(1, 0), (1, 1), (2, 0), (2, 1)]),
            ("header.EXPTIME / visit = 30", [(1, 0), (1, 1)]),
            ("visit = 1 AND header.AIRMASS < 1.2", [(1, 0)]),
            ("detector = header.GUIDED - 1", [(2, 0)]),
            ("header.AIRMASS < 1.2 OR visit > 2", [(1, 0), (3, 0)]),
            ("header.OBJECT = 'M31' AND header.AIRMASS = 1.1 AND header.EXPTIME = 30", [(1, 0)]),
            (" OR ".join(f"header.EXPTIME = {n}" for n in range(20, 50)), [(1, 0), (1, 1)]),
            (" OR ".join(f"(header.OBJECT = 'M{n}' AND detector = 1)" for n in range(20, 50)), [(1, 1), (2, 1)]),
        ],
    )
    def test_header_values_are_compared_as_what_they_are_compared_with(self, butler, refs, where, wanted):
        assert found(butler, where) == wanted

    def test_bound_values_and_long_lists(self, butler, refs):
        assert found(butler, "header.AIRMASS < :limit", bind={"limit": 1.2}) == [(1, 0)]
        objects = [f"M{n}" for n in range(1000)]
        assert found(butler, "header.OBJECT IN (:objects)", bind={"objects": objects}) == [(1, 0), (1, 1), (2, 1)]
        assert found(butler, "header.EXPTIME IN (:times)", bind={"times": list(range(100))}) == [(1, 0), (1, 1)]

    def test_a_strings_collation_contradicts_no_other(self, butler, refs):
        assert found(butler, "header.OBJECT = visit.target_name") == []
        assert found(butler, "header.OBJECT < visit.target_name") == [(1, 0), (1, 1), (2, 0), (2, 1)]

    def test_results_are_sorted_by_numbers_then_strings_and_what_is_absent_comes_first(self, butler, refs):
        butler.annotate(refs[1, 0], rank=2)
        butler.annotate(refs[1, 1], rank=1.5)
        butler.annotate(refs[2, 0], rank="b")
        butler.annotate(refs[2, 1], rank="a")
        order = found(butler, "", order_by="note.annotation.rank")
        assert order == [(3, 0), (2, 1), (2, 0), (1, 1), (1, 0)]
        assert found(butler, "", order_by="-annotation.rank") == order[::-1]
        assert found(butler, "", order_by=["-header.AIRMASS", "visit"], limit=2) == [(1, 1), (1, 0)]

    def test_data_ids_and_records_are_found_by_their_datasets(self, butler, refs):
        butler.annotate(refs[2, 0], quality="bad")
        where = "note.annotation.quality = 'bad'"
        (data_id,) = butler.query_data_ids(["visit", "detector"], datasets="note", collections="run", where=where)
        assert (data_id["visit"], data_id["detector"]) == (2, 0)
        visits = butler.query_dimension_records(
            "visit", datasets="note", collections="run", where="note.header.EXPTIME = 30"
        )
        assert {record.id for record in visits} == {1}

    def test_all_dataset_types_are_asked_at_once(self, butler, refs):
        butler.register_dataset_type("other", ["visit"], "Dict")
        other = butler.put("other", {}, visit=1, run="run")
        butler.annotate([other, refs[1, 1]], quality="bad")
        query = butler.query_all_datasets("*", collections="run", where="annotation.quality = 'bad'")
        assert set(query) == {other, refs[1, 1]}
        high = butler.query_all_datasets("*", collections="run", where="header.AIRMASS > 1.2")
        assert set(high) == {refs[1, 1]}

    def test_two_dataset_types_have_values_of_their_own(self, butler, refs):
        butler.register_dataset_type("other", ["visit"], "Dict")
        butler.annotate(butler.put("other", {}, visit=1, run="run"), quality="bad")
        butler.annotate(refs[1, 1], quality="good")
        query = butler.query_data_ids(
            ["visit", "detector"], datasets=["note", "other"], collections="run",
            where="note.annotation.quality = 'good' AND other.annotation.quality != note.annotation.quality",
        )  # fmt: skip
        assert [data_id["detector"] for data_id in query] == [1]
        with pytest.raises(
            InvalidQueryError, match=r"ambiguous; write one of note\.annotation.quality, other\.annotation"
        ):
            butler.query_data_ids(
                ["visit"], datasets=["note", "other"], collections="run", where="annotation.quality = 'good'"
            )

    def test_the_first_dataset_in_a_chain_that_fits_is_found(self, butler, refs):
        again = butler.put("note", {"a": 1}, visit=1, detector=0, run="second")
        butler.annotate(again, quality="good")
        butler.annotate(refs[1, 0], quality="bad")
        for where, wanted in (("annotation.quality = 'good'", again), ("annotation.quality = 'bad'", refs[1, 0])):
            assert list(butler.query_datasets("note", ["run", "second"], where=where)) == [wanted]
        both = butler.query_datasets("note", ["run", "second"], find_first=False, where="annotation.quality LIKE '%d'")
        assert set(both) == {again, refs[1, 0]}

    def test_an_explanation_names_what_lets_nothing_through(self, butler, refs):
        told = butler.query_datasets("note", "run", where="header.AIRMASS < 1 AND visit = 1").explain()
        assert told.endswith("- nothing has header.AIRMASS < 1")
        assert "There are results." in butler.query_datasets("note", "run", where="header.\"DATE-OBS\" > '2'").explain()

    @pytest.mark.parametrize(
        ("where", "message"),
        [
            (
                "note.header.AIRMAS < 1",
                "has the header value 'AIRMAS'. Did you mean 'AIRMASS'. Known: AIRMASS, DATE-OBS",
            ),
            ("annotation.qualty = 'good'", "has the annotation 'qualty'. Did you mean 'quality'. Known: quality"),
            ("note.header < 1", "'header' takes one key: note.header.AIRMASS"),
            (
                "header.AIRMASS < T'2020-01-01'",
                "note.header.AIRMASS is a number, a string, or true or false, never a time",
            ),
            ("header.AIRMASS OVERLAPS CIRCLE(1, 2, 3)", "OVERLAPS takes two regions"),
            ("raw.header.AIRMASS < 1", "'raw' takes no part in this query"),
            ("note.AIRMASS < 1", "no field 'AIRMASS'.* header.KEY and annotation.key"),
            ('visit."id" = 1 AND visit."x y" = 1', "visit has no field 'x y'"),
            ('"visit" = 1', "A string takes single quotes"),
            ("header.EXPTIME = 1.5 % header.AIRMASS", "'%' wants integers"),
        ],
    )
    def test_what_means_nothing_is_shown(self, butler, refs, where, message):
        butler.annotate(refs[1, 0], quality="good")
        with pytest.raises(InvalidQueryError, match=message) as caught:
            butler.query_datasets("note", "run", where=where)
        assert f"where: {where}" in str(caught.value)

    def test_a_key_to_sort_by_is_checked_too(self, butler, refs):
        with pytest.raises(InvalidQueryError, match=r"Did you mean 'AIRMASS'.*\n  order_by: -note.header.AIRMAS"):
            butler.query_datasets("note", "run", order_by="-note.header.AIRMAS")

    def test_before_anything_is_noted_any_key_may_be_asked_for(self, butler, refs):
        assert found(butler, "note.annotation.quality != 'bad'") == []


def test_the_view_shows_what_is_kept(butler, refs):
    butler.annotate(refs[3, 0], quality="good", flagged=True)
    names, rows = butler.sql("SELECT * FROM v_annotations WHERE scope = 'user' ORDER BY key")
    assert names == ["dataset_id", "dataset_type", "run", "scope", "key", "number", "text"]
    assert rows == [
        (str(refs[3, 0].id), "note", "run", "user", "flagged", 1.0, None),
        (str(refs[3, 0].id), "note", "run", "user", "quality", None, "good"),
    ]


@pytest.fixture
def many(butler) -> Butler:
    """A Butler that knows 4,000 values of 400 datasets."""
    butler.insert_dimension_records(
        "detector", [{"instrument": "SmallCam", "id": n, "full_name": f"X{n}"} for n in range(3, 100)]
    )
    kind = butler.dataset_type("note")
    data_ids = [{"instrument": "SmallCam", "visit": v, "detector": d} for v in range(1, 5) for d in range(100)]
    refs = [DatasetRef(kind, data_id, "run") for data_id in data_ids]
    butler.collections.register("run")
    headers = {ref.id: {f"K{k}": f"v{n}" if k % 2 else float(n) for k in range(10)} for n, ref in enumerate(refs)}
    butler.registry.datasets.insert([(ref, None) for ref in refs], headers=headers)
    with butler.registry.database.write() as connection:
        if butler.registry.database.dialect_name != "sqlite":
            connection.exec_driver_sql("ANALYZE")
    return butler


@pytest.mark.parametrize(
    ("where", "sqlite", "postgresql"),
    [
        ("header.K0 < 3", "annotation_number (scope=? AND key=? AND number<?)", "annotation_number"),
        ("header.K1 = 'v7'", "annotation_text (scope=? AND key=? AND text=?)", "annotation_text"),
        ("header.K1 IN ('v7', 'v8')", "annotation_text (scope=? AND key=? AND text=?)", "annotation_text"),
        ("header.K1 LIKE 'v39%'", "annotation_text (scope=? AND key=? AND text>? AND text<?)", "annotation_text"),
        ("visit = 3 AND header.K0 < 300", "annotation_1 USING PRIMARY KEY (dataset_id=? AND scope=? AND key=?)", ""),
        ("header.K0 IS NULL", "annotation_1 USING PRIMARY KEY (dataset_id=? AND scope=? AND key=?)", ""),
    ],
)  # fmt: skip
def test_values_are_found_by_an_index(many, where, sqlite, postgresql):
    query = many.query_datasets("note", "run", where=where)
    statement, values = query._made.statement, query._made.values
    is_sqlite = many.registry.database.dialect_name == "sqlite"
    explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
    steps = many.registry.database.run(explain + statement.sql, statement.parameters(values)).fetchall()
    plan = "\n".join(str(step[-1]) for step in steps)
    assert (sqlite if is_sqlite else postgresql) in plan
    if is_sqlite:
        assert "SCAN" not in plan
        assert plan.index("annotation_1") < plan.index("tag_") or "PRIMARY KEY (dataset_id" in plan


def test_a_dataset_type_may_not_take_the_views_name(butler):
    with pytest.raises(ValueError, match="annotations"):
        butler.register_dataset_type(DatasetType("annotations", ["visit"], "Dict"))
