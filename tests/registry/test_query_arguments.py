"""Queries as they are called: arguments of the wrong kind, composition, limits, tables, notebooks, explanations."""

import logging

import numpy as np
import pytest

from skybutler import DatasetType, InvalidQueryError
from skybutler.model.errors import CollectionNotFoundError, DatasetTypeNotFoundError

pytestmark = pytest.mark.sqlite


@pytest.fixture
def filled(butler):
    """A note of each of 4 visits and 3 detectors in ``user``, two of them in ``other``, too, and a ``log`` a visit."""
    butler.register_dataset_type(DatasetType("log", ["visit"], "Dict"))
    for visit in (1, 2, 3, 4):
        butler.put("log", {}, visit=visit)
        for detector in range(3):
            butler.put("note", {}, visit=visit, detector=detector)
    for detector in (0, 1):
        butler.put("note", {}, visit=1, detector=detector, run="other")
    return butler


def keys(query):
    return [(ref.data_id["visit"], ref.data_id.get("detector")) for ref in query]


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda b: b.query_datasets(3), "dataset_type is one dataset type's name, not 3"),
            (lambda b: b.query_datasets(["note"]), "see query_all_datasets"),
            (lambda b: b.query_datasets("note", 3), "collections is a name, or a list of names; not 3"),
            (lambda b: b.query_datasets("note", [None]), "not None"),
            (lambda b: b.query_datasets("note", where=3), "where is an expression in a string, or a list of such"),
            (lambda b: b.query_datasets("note", where=b"visit = 1"), "where is an expression"),
            (lambda b: b.query_datasets("note", where=["visit = 1", 3]), "where is an expression"),
            (lambda b: b.query_datasets("note", where={"visit": 1}), "where is an expression"),
            (lambda b: b.query_datasets("note", bind=[1]), "bind is a dict of values by name"),
            (lambda b: b.query_datasets("note", bind="x"), "bind is a dict"),
            (lambda b: b.query_datasets("note", bind={1: 2}), "bind has the name 1"),
            (lambda b: b.query_datasets("note", bind={":x": 2}), "no colon; write 'x'"),
            (lambda b: b.query_datasets("note", order_by=3), "order_by is a name, or a list of names; not 3"),
            (lambda b: b.query_datasets("note", order_by=["visit", 3]), "order_by is a name"),
            (lambda b: b.query_datasets("note", order_by="visit, detector"), "several are a list"),
            (lambda b: b.query_datasets("note", order_by="visit DESC"), "'-' before it for descending"),
            (lambda b: b.query_datasets("note", order_by="visti"), "Did you mean 'visit'"),
            (lambda b: b.query_datasets("note", limit="x"), "limit is how many results to return at most"),
            (lambda b: b.query_datasets("note", limit=1.0), "a whole number or None; not 1.0"),
            (lambda b: b.query_data_ids(3), "dimensions is a name, or a list of names; not 3"),
            (lambda b: b.query_datasets("note", data_id=3), "data_id is a mapping"),
            (lambda b: b.query_datasets("note", find_first="no"), "find_first is True or False; not 'no'"),
            (lambda b: b.query_all_datasets(find_first=None), "find_first is True or False"),
            (lambda b: b.sql(3), "SQL is a string"),
            (lambda b: b.sql("SELECT ?", (1,)), "parameters are a dict of values by name"),
            (lambda b: b.query_data_ids(None), "dimensions is a name"),
            (lambda b: b.query_data_ids("visit", datasets=3), "datasets is a name, or a list of names; not 3"),
            (lambda b: b.query_dimension_records(3), "element is the name of a dimension element"),
            (lambda b: b.query_all_datasets(3), "name is a name, or a list of names; not 3"),
            (lambda b: b.query_datasets("note").where(3), "where is an expression"),
            (lambda b: b.query_datasets("note").where("visit = :x", [1]), "bind is a dict"),
            (lambda b: b.query_datasets("note").where(visti=3), "Did you mean 'visit'"),
            (lambda b: b.query_datasets("note").order_by(3), "order_by is a name"),
            (lambda b: b.query_datasets("note").limit("x"), "limit is how many"),
            (lambda b: b.query_all_datasets().limit("x"), "limit is how many"),
            (lambda b: b.query_all_datasets().order_by("visit", "nothing"), "There is no 'nothing'"),
        ],
    )  # fmt: skip
    def test_are_named(self, filled, call, message):
        with pytest.raises(InvalidQueryError, match=message):
            call(filled)

    def test_names_of_nothing_are_told_with_what_was_meant(self, filled):
        for call in (filled.query_datasets, filled.query_all_datasets):
            with pytest.raises(DatasetTypeNotFoundError, match="Did you mean 'note'"):
                call("notes")
        with pytest.raises(DatasetTypeNotFoundError, match="query_all_datasets takes globs"):
            filled.query_datasets("no*")
        with pytest.raises(CollectionNotFoundError, match="Did you mean 'other'"):
            filled.query_datasets("note", "othr")
        assert list(filled.query_all_datasets("none*")) == []


class TestComposition:
    def test_several_expressions_must_all_hold(self, filled):
        both = filled.query_datasets("note", where=["visit = :v OR visit = 3", "detector = :d"], bind={"v": 2, "d": 1})
        assert sorted(keys(both)) == [(2, 1), (3, 1)]
        assert "where=['visit = :v OR visit = 3', 'detector = :d']" in repr(both)
        assert filled.query_datasets("note", where=[]).count() == 12
        assert filled.query_datasets("note", where=None).count() == 12
        assert filled.query_all_datasets("*", where=iter(["visit = 1", "detector = 1"])).count() == 2

    @pytest.mark.parametrize("name", ["note", "*"])
    def test_queries_are_narrowed_without_being_changed(self, filled, name):
        every = filled.query_datasets(name) if name == "note" else filled.query_all_datasets(name, collections="user")
        logs = 0 if name == "note" else 4
        some = every.where("visit = :x", {"x": 2}).where("visit = :x OR visit = 1", x=2).where(["TRUE", "1 = 1"])
        ordered = some.order_by("-visit")
        cut = ordered.limit(2)
        assert [q.count() for q in (every, some, ordered, cut)] == [12 + logs, 3 + logs // 4, 3 + logs // 4, 2]
        assert every.where(visit=2).count() == every.where("visit = :visit", visit=2).count() == some.count()
        assert every.where("visit IN (1, 2)", visit=2).count() == some.count()
        assert every.limit(3).limit(None).count() == every.count()
        assert not every.where(visit=9).any()
        assert every.any()

    def test_an_order_replaces_the_one_before(self, filled):
        query = (
            filled.query_datasets("note", order_by="visit")
            .order_by(["-visit", "detector"])
            .order_by("-detector", "visit")
        )
        assert keys(query.limit(2)) == [(1, 2), (2, 2)]
        assert [row["visit"] for row in query.to_arrow().to_pylist()][:4] == [1, 2, 3, 4]
        assert (
            query.to_pandas()["detector"].tolist()
            == query.to_astropy()["detector"].tolist()
            == [2] * 4 + [1] * 4 + [0] * 4
        )

    def test_types_follow_each_other_each_in_order(self, filled):
        query = filled.query_all_datasets(["note", "lo*"], collections="user").order_by("-visit").limit(6)
        assert [ref.dataset_type.name for ref in query] == ["log"] * 4 + ["note"] * 2
        table = query.to_arrow()
        assert table.column_names == ["dataset_type", "dataset_id", "run", "instrument", "visit", "detector"]
        assert table["dataset_type"].to_pylist() == ["log"] * 4 + ["note"] * 2
        assert table["visit"].to_pylist() == [4, 3, 2, 1, 4, 4]
        assert table["detector"].null_count == 4
        assert table["dataset_id"].to_pylist()[:4] == [str(ref.id) for ref in query][:4]
        assert len(query.to_pandas()) == len(query.to_astropy()) == 6
        assert filled.query_all_datasets("none*").to_arrow().column_names == ["dataset_type", "dataset_id", "run"]


class TestLimits:
    @pytest.mark.parametrize(
        "make",
        [
            lambda b, n: b.query_datasets("note", limit=n),
            lambda b, n: b.query_datasets("note").order_by("visit").limit(n),
            lambda b, n: b.query_all_datasets("no*", limit=n),
            lambda b, n: b.query_data_ids(["visit", "detector"], limit=n),
        ],
    )
    def test_a_negative_one_tells_if_there_are_more(self, filled, caplog, make):
        for limit, told in ((-12, 0), (-20, 0), (-3, 1), (np.int64(-3), 1), (3, 0)):
            for ask in (list, lambda query: query.to_arrow()):
                caplog.clear()
                with caplog.at_level(logging.WARNING):
                    assert len(ask(make(filled, limit))) == min(abs(limit), 12)
                assert [r.getMessage() for r in caplog.records] == [
                    "There are more results than the first 3; raise the limit to see them."
                ] * told

    def test_none_and_what_no_database_can_count_are_no_limit(self, filled):
        assert filled.query_datasets("note", limit=None).count() == 12
        assert len(list(filled.query_datasets("note", limit=2**70))) == 12
        assert list(filled.query_datasets("note", limit=0)) == []


class TestDisplay:
    def test_a_notebook_shows_the_first_rows_and_how_many_there_are(self, filled):
        shown = filled.query_datasets("note", where="visit < 9", order_by="visit")._repr_html_()
        assert shown.count("<tr>") == 11
        assert "12 results, of which the first 10 are shown" in shown
        assert "dataset_id</th>" in shown
        assert "visit &lt; 9" in shown
        assert "<p>4 results</p>" in filled.query_dimension_records("visit")._repr_html_()
        assert "<p>1 result</p>" in filled.query_data_ids("visit", visit=1)._repr_html_()
        assert "<p>0 results</p>" in filled.query_datasets("note", where="visit = 9")._repr_html_()
        assert "<p>5 results</p>" in filled.query_all_datasets(limit=-5)._repr_html_()
        assert "<p>0 results</p>" in filled.query_all_datasets("none*")._repr_html_()

    def test_values_are_text_in_it(self, filled):
        filled.insert_dimension_records("instrument", [{"name": "<b>&", "class_name": "x" * 99}])
        shown = filled.query_dimension_records("instrument")._repr_html_()
        assert ">&lt;b&gt;&amp;</td>" in shown
        assert f">{'x' * 60}…</td>" in shown

    def test_repr_says_what_is_asked_of_all_types(self, filled):
        query = filled.query_all_datasets(["note", "log"], collections="user", where="visit = 1", limit=3)
        assert repr(query) == ("DatasetsQuery(['log', 'note'], collections=['user'], where='visit = 1', limit=3)")


class TestExplanations:
    @pytest.mark.parametrize(
        ("where", "data_id", "reasons"),
        [
            ("visit = 9", {}, ["nothing has visit = 9"]),
            ("", {"visit": 9}, ["nothing has visit = 9"]),
            ("visit = 1 AND detector = 7 AND band = 'g'", {}, ["nothing has detector = 7"]),
            ("visit = 9 AND detector = 7", {}, ["nothing has visit = 9", "nothing has detector = 7"]),
            ("visit = 1 AND visit = 2", {}, ["nothing that has visit = 1 has visit = 2, too"]),
            ("detector = 1", {"visit": 1, "band": "r"},
             ["nothing that has visit = 1 has band = 'r', too"]),
            ("visit = 1", {"instrument": "Other"}, ["nothing has instrument = 'Other'"]),
            ("instrument = 'Other' AND visit = 9", {}, ["nothing has instrument = 'Other'"]),
            ("run = 'other'", {}, ["nothing has run = 'other'"]),
            ("visit.exposure_time > 1e9", {}, ["nothing has visit.exposure_time > 1000000000.0"]),
            ("visit IN (:none)", {}, ["nothing has visit IN (:none)"]),
            ("tract = 1 AND skymap = 'S'", {}, ["nothing has skymap = 'S'"]),
            ("visit.region OVERLAPS POINT(0, -89)", {}, ["nothing has visit.region OVERLAPS POINT(0, -89)"]),
            ("1 = 2", {}, ["nothing has 1 = 2"]),
        ],
    )  # fmt: skip
    def test_name_the_condition_that_lets_nothing_through(self, filled, where, data_id, reasons):
        query = filled.query_datasets(
            "note", "user", where=where, bind={"none": []} if ":none" in where else {}, **data_id
        )
        assert list(query) == []
        lines = query.explain().splitlines()
        assert [line[4:] for line in lines if line.startswith("  - ")] == reasons

    def test_name_collections_and_records_that_are_not_there(self, filled):
        filled.collections.register("bare")
        assert "no note is in bare; it is in other, user" in filled.query_datasets("note", "bare").explain()
        assert "no log is in other; it is in user" in filled.query_datasets("log", ["other", "bare"]).explain().replace(
            "other, bare", "other"
        )
        filled.register_dataset_type(DatasetType("never", ["visit"], "Dict"))
        assert "there is none anywhere" in filled.query_datasets("never").explain()
        assert "there are no records of skymap, tract" in filled.query_data_ids("tract").explain()
        assert "limit is 0" in filled.query_datasets("note", limit=0).explain()
        assert "There are results." in filled.query_datasets("note").explain()
        assert "No dataset type of that name" in filled.query_all_datasets("none*").explain()


class TestWhatIsHardlyMeant:
    @pytest.mark.parametrize(
        ("where", "bind", "told"),
        [
            ("visit BETWEEN 1020 AND 1010", {}, "wants the smaller value first; as it stands, it finds nothing"),
            ("visit NOT BETWEEN :high AND :low", {"high": 3, "low": 1}, "it is always true"),
            ("visit.timespan OVERLAPS (T'2025-01-05', T'2025-01-03')", {}, "overlaps nothing"),
        ],
    )
    def test_what_runs_backwards_is_told_once(self, butler, caplog, where, bind, told):
        query = butler.query_dimension_records("visit", where=where, bind=bind)
        assert query.count() == len(list(query.limit(100)))
        assert [told in record.message for record in caplog.records] == [True]

    def test_what_runs_forwards_is_not(self, butler, caplog):
        butler.query_dimension_records(
            "visit", where="visit BETWEEN 1 AND 1 AND exposure_time BETWEEN 1 AND 1e9"
        ).count()
        assert not caplog.records

    @pytest.mark.parametrize("where", ["visit = 1", "", "visit = 1 AND detector = :d"])
    def test_a_value_that_no_expression_names_is_told(self, butler, where):
        bind = {"visits": [1, 2]} | ({"d": 1} if ":d" in where else {})
        with pytest.raises(InvalidQueryError, match="bind gives :visits, which is not named in"):
            butler.query_datasets("note", where=where, bind=bind)
        with pytest.raises(InvalidQueryError, match="bind gives :visits"):
            butler.query_datasets("note").where(where, bind)

    def test_a_misspelt_name_is_told_first(self, butler):
        with pytest.raises(InvalidQueryError, match=r"No value is bound to :vists. Did you mean 'visits'\?"):
            butler.query_datasets("note", where="visit IN (:vists)", bind={"visits": [1]})

    def test_values_may_be_of_any_of_several_expressions(self, butler):
        both = butler.query_datasets("note", where=["visit = :v", "detector = :d"], bind={"v": 1, "d": 2})
        assert both.where("visit = :v", v=1).count() == 0

    @pytest.mark.parametrize("given", [":visits", "1", "'x'"])
    def test_in_without_parentheses_is_told(self, butler, given):
        with pytest.raises(InvalidQueryError, match="IN takes its values in parentheses: IN \\("):
            butler.query_datasets("note", where=f"visit IN {given}", bind={"visits": [1]})
