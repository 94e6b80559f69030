"""What queries find: on dimension records, data IDs and datasets of a small repository."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa
from astropy.time import Time

from skybutler import DatasetRef, DatasetType, InvalidQueryError, Timespan
from skybutler.model.errors import DatasetTypeNotFoundError
from skybutler.registry import queries
from skybutler.registry.queries import plan
from skybutler.registry.registry import Registry

START = Timespan.from_isot("2021-09-09T03:00:00", None).begin_ns
MINUTE = 60 * 10**9


def add_datasets(
    registry: Registry, dataset_type: str, run: str, data_ids: list[dict], kind: str = "RUN"
) -> list[DatasetRef]:
    """Write datasets straight to the tables, so that only queries are under test."""
    registry.collections.register(run, kind)
    catalog, tables = registry.catalog, registry.tables
    type_id, run_id = catalog.type_ids[dataset_type], catalog.collections[run].id
    found = registry.dataset_type(dataset_type)
    refs = [DatasetRef(found, data_id, run) for data_id in data_ids]
    with registry.database.write() as connection:
        for i, ref in enumerate(refs):
            key = {"dataset_type_id": type_id, "collection_id": run_id, "dataset_id": ref.id}
            row = {"id": ref.id, "dataset_type_id": type_id, "run_id": run_id, "ingest_date": START + i * MINUTE}
            file = {"dataset_id": ref.id, "component": "", "path": f"{run}/{ref.id}", "formatter": "f",
                    "storage_class": "Dict", "size": 100 * i, "shared": False}  # fmt: skip
            connection.execute(sa.insert(tables.dataset).values(row))
            connection.execute(sa.insert(tables.tag(found.dimensions)).values({**key, **ref.data_id}))
            connection.execute(sa.insert(tables.stored_file).values(file))
        connection.execute(sa.insert(tables.collection_summary).values(collection_id=run_id, dataset_type_id=type_id))
        registry.catalog_changed(connection)
    return refs


@pytest.fixture(scope="module")
def registry(backend, tmp_path_factory):
    registry = Registry.create(tmp_path_factory.mktemp("queries") / "registry.sqlite3")
    insert = registry.dimension_records.insert
    insert("instrument", [{"name": "Cam", "detector_max": 4}, {"name": "Other"}])
    insert(
        "physical_filter", [{"instrument": "Cam", "name": f"Cam-{f}", "band": f[0].lower()} for f in ("G", "R1", "R2")]
    )
    insert("day_obs", [{"instrument": "Cam", "id": 20210909}])
    names = ["Aa", "Ab", "Ba", "Bb"]
    purposes = ["SCIENCE", "SCIENCE", None, "WAVEFRONT"]
    insert("detector", [
        {"instrument": "Cam", "id": i + 1, "full_name": name, "raft": name[0], "name_in_raft": name[1],
         "purpose": purposes[i]}
        for i, name in enumerate(names)
    ])  # fmt: skip
    insert("group", [{"instrument": "Cam", "name": "g"}])
    insert("exposure", [
        {"instrument": "Cam", "id": i, "obs_id": f"e{i}", "physical_filter": None if i == 4 else "Cam-G",
         "day_obs": 20210909, "group": "g", "can_see_sky": [True, False, None, False, True][i],
         "exposure_time": 10.0 * i, "seq_num": i}
        for i in range(5)
    ])  # fmt: skip
    insert("visit", [
        {"instrument": "Cam", "id": 1, "name": "one", "physical_filter": "Cam-G", "day_obs": 20210909, "seq_num": None,
         "exposure_time": 60.0, "zenith_angle": 5.0, "timespan": Timespan(START, START + MINUTE)},
        {"instrument": "Cam", "id": 2, "name": "two", "physical_filter": "Cam-R1", "day_obs": 20210909, "seq_num": 7,
         "exposure_time": 45.0, "zenith_angle": 10.0, "timespan": Timespan(START + 2 * MINUTE, START + 3 * MINUTE)},
    ])  # fmt: skip
    insert("visit_definition", [{"instrument": "Cam", "exposure": e, "visit": 1 + e // 2} for e in (0, 1, 2)])
    types = {"bias": ["detector"], "flat": ["detector", "physical_filter"], "calexp": ["visit", "detector"],
             "empty": ["visit"], "raw": ["exposure", "detector"]}  # fmt: skip
    for name, dimensions in types.items():
        registry.register_dataset_type(DatasetType(name, ["instrument", *dimensions], "Dict"))
    cam = {"instrument": "Cam"}
    add_datasets(registry, "bias", "g", [{**cam, "detector": d} for d in (1, 2, 3)])
    add_datasets(registry, "bias", "r", [{**cam, "detector": d} for d in (2, 3, 4)])
    add_datasets(registry, "flat", "g", [{**cam, "detector": d, "physical_filter": "Cam-G"} for d in (1, 2)])
    add_datasets(registry, "calexp", "u/x", [{**cam, "visit": v, "detector": d} for v in (1, 2) for d in (1, 2, 3, 4)])
    add_datasets(registry, "raw", "raw/all", [{**cam, "exposure": e, "detector": 1} for e in range(5)])
    registry.collections.register("chain", "CHAINED")
    registry.collections.redefine_chain("chain", ["r", "g"])
    yield registry
    registry.close()


def detectors(registry, where, bind=None):
    found = queries.query_dimension_records(registry, "detector", where=where, bind=bind, data_id={"instrument": "Cam"})
    return sorted(record.id for record in found)


def visits(registry, where, bind=None):
    found = queries.query_dimension_records(registry, "visit", where=where, bind=bind, data_id={"instrument": "Cam"})
    return sorted(record.id for record in found)


def exposures(registry, where, bind=None):
    found = queries.query_dimension_records(registry, "exposure", where=where, bind=bind, data_id={"instrument": "Cam"})
    return sorted(record.id for record in found)


class TestExpressionsOnRecords:
    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("", [1, 2, 3, 4]),
            ("detector = 1", [1]),
            ("detector == 1", [1]),
            ("1 = detector", [1]),
            ("detector != 1", [2, 3, 4]),
            ("detector <> 1", [2, 3, 4]),
            ("detector.id = 2", [2]),
            ("id = 2", [2]),
            ("detector.detector = 2", [2]),
            ("detector > 1.5", [2, 3, 4]),
            ("detector = 2.0", [2]),
            ("full_name < 'B'", [1, 2]),
            ("full_name BETWEEN 'Ab' AND 'Ba'", [2, 3]),
            ("detector NOT BETWEEN 2 AND 3", [1, 4]),
            ("detector IN (1, 3..4)", [1, 3, 4]),
            ("detector IN (1.0, 2)", [1, 2]),
            ("detector IN (1..4:2)", [1, 3]),
            ("detector IN (2..4:2)", [2, 4]),
            ("detector IN (-5..-1)", []),
            ("detector NOT IN (1..3)", [4]),
            ("2 IN (detector)", [2]),
            ("detector IN (1, detector)", [1, 2, 3, 4]),
            ("full_name IN ('Aa', 'Bb')", [1, 4]),
            ("detector % 2 = 1", [1, 3]),
            ("-5 % 3 = -2", [1, 2, 3, 4]),
            ("detector + 1 = 3", [2]),
            ("detector / 2 = 1", [2]),
            ("detector / 2 = 0.5", [1]),
            ("detector / 0 = 1", []),
            ("detector * 1.5 > 3", [3, 4]),
            ("-detector = -3", [3]),
            ("- -detector = 3", [3]),
            ("2 * (detector - 1) = 4", [3]),
            ("1 = 1", [1, 2, 3, 4]),
            ("1 = 2", []),
            ("'a' = 'a'", [1, 2, 3, 4]),
            ("TRUE", [1, 2, 3, 4]),
            ("false", []),
            ("purpose = NULL", [3]),
            ("NULL = purpose", [3]),
            ("purpose != NULL", [1, 2, 4]),
            ("purpose IS NULL", [3]),
            ("purpose IS NOT NULL", [1, 2, 4]),
            ("purpose != 'SCIENCE'", [4]),
            ("NOT purpose = 'SCIENCE'", [4]),
            ("full_name LIKE 'A%'", [1, 2]),
            ("full_name LIKE 'a%'", []),
            ("full_name LIKE '_a'", [1, 3]),
            ("full_name NOT LIKE 'A%'", [3, 4]),
            ("GLOB(full_name, 'A*')", [1, 2]),
            ("glob(full_name, '?a')", [1, 3]),
            ("GLOB(full_name, 'A[ab]')", []),
            ("NOT GLOB(full_name, 'A*')", [3, 4]),
            ("raft = 'B' AND name_in_raft = 'a'", [3]),
            ("detector.raft = 'A' OR detector = 4", [1, 2, 4]),
            ("instrument.detector_max = 4", [1, 2, 3, 4]),
            ("instrument = 'Cam'", [1, 2, 3, 4]),
            ("instrument = 'Nowhere'", []),
            ("visit = 1", [1, 2, 3, 4]),
            ("visit = 3", []),
            ("band = 'g' AND detector = 1", [1]),
            ("(detector = 1) = TRUE", [1]),
        ],
    )  # fmt: skip
    def test_detectors(self, registry, where, found):
        assert detectors(registry, where) == found

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("exposure_time = 60", [1]),
            ("visit.exposure_time > 50", [1]),
            ("exposure_time + -(5.0*zenith_angle) > 0.0", [1]),
            ("zenith_angle / 5.0 <= 1.0", [1]),
            ("band = 'r'", [2]),
            ("physical_filter = 'Cam-G'", [1]),
            ("visit.day_obs = 20210909", [1, 2]),
            ("day_obs = 20210910", []),
            ("seq_num IS NULL", [1]),
            ("NOT seq_num = 8", [2]),
            ("exposure = 1", [1]),
            ("exposure = 2", []),  # its visit has another filter: what both imply must agree
            ("visit.timespan.begin > T'2021-09-09T03:01:30/tai'", [2]),
            ("visit.timespan.begin > T'2021-09-09T03:01:30'", []),
            ("timespan.begin > T'2021-09-09T03:01:30/tai'", [2]),
            ("visit.timespan.begin < visit.timespan.end", [1, 2]),
            ("visit.timespan OVERLAPS T'2021-09-09T03:00:00/tai'", [1]),
            ("T'2021-09-09T03:00:30/tai' OVERLAPS visit.timespan", [1]),
            ("visit.timespan OVERLAPS T'2021-09-09T03:01:00/tai'", []),
            ("visit.timespan OVERLAPS (T'2021-09-09T03:00:59/tai', T'2021-09-09T03:02:01/tai')", [1, 2]),
            ("visit.timespan OVERLAPS (NULL, T'2021-09-09T03:02:00/tai')", [1]),
            ("visit.timespan OVERLAPS (T'2021-09-09T03:02:00/tai', NULL)", [2]),
            ("visit.timespan OVERLAPS (T'2022-01-01', T'2021-01-01')", []),
            ("visit.timespan IS NULL", []),
            ("day_obs.timespan = NULL", [1, 2]),
            ("visit.timespan.begin IN (T'2021-09-09T03:00:00/tai')", [1]),
        ],
    )
    def test_visits(self, registry, where, found):
        assert visits(registry, where) == found

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("exposure.can_see_sky", [0, 4]),
            ("NOT can_see_sky", [1, 3]),
            ("can_see_sky = TRUE", [0, 4]),
            ("can_see_sky != TRUE", [1, 3]),
            ("can_see_sky IS NULL", [2]),
            ("physical_filter IS NULL", [4]),
            ("band = 'g'", [0, 1, 2, 3]),
            ("NOT band = 'g'", []),
            ("exposure.obs_id = 'e2'", [2]),
        ],
    )
    def test_exposures(self, registry, where, found):
        assert exposures(registry, where) == found

    @pytest.mark.parametrize(
        ("where", "bind", "found"),
        [
            ("detector = :x", {"x": 2}, [2]),
            ("detector = x", {"x": 2}, [2]),
            ("detector = :detector", {"detector": 2}, [2]),
            ("detector IN (raft_numbers)", {"raft_numbers": [2]}, [2]),
            ("detector = :x", {"x": np.int64(2)}, [2]),
            ("detector > :x", {"x": np.float32(2.5)}, [3, 4]),
            ("detector IN (:x)", {"x": [1, 3]}, [1, 3]),
            ("detector IN (x, 4)", {"x": (1, 3)}, [1, 3, 4]),
            ("detector IN (:x)", {"x": {1, 2.0}}, [1, 2]),
            ("detector IN (:x)", {"x": np.arange(2, 4)}, [2, 3]),
            ("detector IN (:x)", {"x": range(1, 5, 2)}, [1, 3]),
            ("detector IN (:x)", {"x": range(4, 0, -3)}, [1, 4]),
            ("detector IN (:x)", {"x": range(100_000)}, [1, 2, 3, 4]),
            ("detector IN (:x)", {"x": list(range(3, 100_000))}, [3, 4]),
            ("detector NOT IN (:x)", {"x": list(range(3, 100_000))}, [1, 2]),
            ("full_name IN (:x)", {"x": ["Aa", "it's", *map(str, range(100))]}, [1]),
            ("detector IN (:x)", {"x": []}, []),
            ("detector NOT IN (:x)", {"x": []}, [1, 2, 3, 4]),
            ("purpose = :x", {"x": None}, [3]),
            ("full_name LIKE :x", {"x": "A%"}, [1, 2]),
            ("GLOB(full_name, :x)", {"x": "A*"}, [1, 2]),
            ("full_name = :x", {"x": "Aa' OR 1 = 1 --"}, []),
        ],
    )
    def test_bind_values(self, registry, where, bind, found):
        assert detectors(registry, where, bind) == found

    @pytest.mark.parametrize(
        "time",
        [
            Time("2021-09-09T03:01:30", scale="tai"),
            datetime(2021, 9, 9, 3, 0, 53, tzinfo=UTC),
            START + 90 * 10**9,
        ],
        ids=["astropy", "datetime", "nanoseconds"],
    )
    def test_times_may_be_bound(self, registry, time):
        if isinstance(time, int):
            time = Timespan(time, None).begin
        assert visits(registry, "visit.timespan.begin > :t", {"t": time}) == [2]
        assert visits(registry, "visit.timespan OVERLAPS (:t, NULL)", {"t": time}) == [2]
        assert visits(registry, "visit.timespan OVERLAPS (:s)", {"s": Timespan(time, None)}) == [2]

    @pytest.mark.parametrize("n", [15, 16, 100, 3000])
    def test_long_alternatives_mean_what_short_ones_do(self, registry, n):
        assert detectors(registry, " OR ".join(f"detector = {i}" for i in range(2, n))) == [2, 3, 4]
        assert detectors(registry, " OR ".join(f"detector != {i} AND raft != 'x'" for i in range(2, n))) == [1, 2, 3, 4]
        pairs = " OR ".join(f"(detector = {i} AND raft = '{'AB'[i % 2]}')" for i in range(2, n))
        assert detectors(registry, pairs) == [2, 3]
        assert detectors(registry, f"NOT ({pairs})") == [1, 4]


class TestWrongExpressions:
    @pytest.mark.parametrize(
        ("where", "message"),
        [
            ("detector = 'x'", "cannot compare an integer with a string"),
            ("detector IN ('x')", "cannot compare an integer with a string"),
            ("detector IN (1, 'x')", "values of one kind"),
            ("exposure_time IN (45..60)", "A range holds integers"),
            ("foo = 1", "There is no 'foo' here"),
            ("detectr = 1", "Did you mean 'detector'"),
            ("DETECTOR = 1", "Did you mean 'detector'"),
            ("detector.foo = 1", "detector has no field 'foo'"),
            ("visit.exposure_tim = 1", "Did you mean 'exposure_time'"),
            ("raft = 'A'", "Did you mean detector.raft"),
            ("day_obs.timespan.middle = 1", ".begin and .end"),
            ("visit.exposure_time.begin = 1", "no parts"),
            ("GLOB(exposure_time, '1')", "compared with a string"),
            ("GLOB(name)", "GLOB is written"),
            ("GLOB(name, 1)", "pattern in quotes"),
            ("exposure_time LIKE '1'", "compared with a string"),
            ("foo(1) = 2", "There is no function FOO"),
            ("visit", "A condition is wanted"),
            ("1", "A condition is wanted"),
            ("visit.name", "A condition is wanted"),
            ("visit = 1 AND name", "A condition is wanted"),
            ("NULL", "NULL stands here"),
            ("NULL = NULL", "IS NULL"),
            ("visit < NULL", "IS NULL"),
            ("visit IN (1, NULL)", "no list holds it"),
            ("visit.timespan = (T'2021-01-01', T'2022-01-01')", "Use OVERLAPS"),
            ("visit.timespan < T'2022-01-01'", "Use OVERLAPS"),
            ("T'2022-01-01' IN (visit.timespan)", "Use OVERLAPS"),
            ("visit.timespan OVERLAPS 1", "OVERLAPS takes"),
            ("visit.timespan OVERLAPS (1, 2)", "of two times"),
            ("visit.timespan OVERLAPS day_obs.timespan", "belong together"),
            ("visit.timespan.begin > '2022-01-01'", "A time is written"),
            ("visit = :zz", "No value is bound to :zz"),
            ("visit = :list", r"write IN \(:list\)"),
            ("visit IN (:none)", "holds None"),
            ("visit = :object", "is no value of an expression"),
            ("visit > :nan", "not-a-number"),
            ("visit > :large", "64 bits"),
            ("tract = 0", "means nothing without skymap"),
            ("patch = 0 AND tract = 1", "means nothing without skymap"),
            ("visit.name + 1 = 2", "wants numbers"),
            ("-visit.name = 'x'", "wants numbers"),
            ("exposure_time % 2 = 1", "integers on both sides"),
            ("calexp.run = 'x'", "takes no part"),
            ("timespan = NULL AND id = day_obs AND seq = 1", "There is no 'seq'"),
            ("can_see_sky > TRUE AND exposure = 1", "There is no 'can_see_sky'"),
            ("exposure.can_see_sky > TRUE", "means nothing between"),
            ("UUID('xyz') = visit", "is no UUID"),
        ],
    )  # fmt: skip
    def test_one_error_says_what_and_where(self, registry, where, message):
        bind = {"list": [1, 2], "none": [1, None], "object": object(), "nan": float("nan"), "large": 2**70}
        with pytest.raises(InvalidQueryError, match=message) as caught:
            queries.query_dimension_records(registry, "visit", where=where, bind=bind, data_id={"instrument": "Cam"})
        lines = str(caught.value).splitlines()
        assert where in lines[1]
        assert lines[2].strip() == "^"

    def test_an_error_shows_even_where_no_collection_is_searched(self, registry):
        with pytest.raises(InvalidQueryError):
            queries.query_datasets(registry, "empty", "g", where="foo = 1")

    def test_nesting_without_end_is_an_invalid_query(self, registry):
        with pytest.raises(InvalidQueryError, match="deep"):
            detectors(registry, "NOT " * 3000 + "detector = 1")
        with pytest.raises(InvalidQueryError, match="deep"):
            detectors(registry, "detector = 1" + " + 1" * 3000)

    @pytest.mark.parametrize(
        ("order_by", "message"),
        [
            ("", "A name to sort by"), ("-", "A name to sort by"), ("1", "A name to sort by"),
            ("foo", "There is no 'foo'"), ("visit.timespan", "Nothing is sorted by a timespan"),
            ("visit.region", "Nothing is sorted by a region"), ("detector", "have no detector"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_sorted_by(self, registry, order_by, message):
        with pytest.raises(InvalidQueryError, match=message):
            queries.query_dimension_records(registry, "visit", order_by=[order_by])

    @pytest.mark.parametrize("limit", [1.5, True, "1", [1], b"1"])
    def test_a_limit_is_a_count(self, registry, limit):
        with pytest.raises(InvalidQueryError, match="limit"):
            queries.query_dimension_records(registry, "visit", limit=limit)

    def test_bare_names_that_several_records_have_are_ambiguous(self, registry):
        with pytest.raises(InvalidQueryError, match=r"one of exposure\.seq_num, visit\.seq_num"):
            queries.query_data_ids(registry, ["visit", "exposure"], where="seq_num = 1")


class TestDatasets:
    def find(self, registry, dataset_type, collections, **options):
        found = queries.query_datasets(registry, dataset_type, collections, **options)
        return sorted((ref.run, *(v for k, v in ref.data_id.items() if k != "instrument")) for ref in found)

    def test_the_first_collection_that_has_a_data_id_wins(self, registry):
        assert self.find(registry, "bias", ["g", "r"]) == [("g", 1), ("g", 2), ("g", 3), ("r", 4)]
        assert self.find(registry, "bias", ["r", "g"]) == [("g", 1), ("r", 2), ("r", 3), ("r", 4)]
        assert self.find(registry, "bias", "chain") == [("g", 1), ("r", 2), ("r", 3), ("r", 4)]

    def test_every_dataset_is_found_where_the_first_does_not_count(self, registry):
        both = [("g", 1), ("g", 2), ("g", 3), ("r", 2), ("r", 3), ("r", 4)]
        assert self.find(registry, "bias", "*", find_first=False) == both
        assert queries.query_datasets(registry, "bias", "chain", find_first=False).count() == 6
        assert queries.query_datasets(registry, "bias", "chain").count() == 4

    def test_a_glob_has_no_order_for_a_first_one(self, registry):
        with pytest.raises(InvalidQueryError, match="find_first"):
            queries.query_datasets(registry, "bias", "*")

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("detector = 2", [("r", 2)]),
            ("run = 'g'", [("g", 1), ("g", 2), ("g", 3)]),
            ("bias.run = 'g' AND detector > 1", [("g", 2), ("g", 3)]),
            ("collection = 'r'", [("r", 2), ("r", 3), ("r", 4)]),
            ("GLOB(run, '?')", [("g", 1), ("r", 2), ("r", 3), ("r", 4)]),
            ("detector.raft = 'A'", [("g", 1), ("r", 2)]),
            ("ingest_date > T'2021-09-09T03:01:30/tai'", [("g", 3), ("r", 4)]),
            (
                "size BETWEEN 100 AND 200",
                [("g", 2), ("r", 3), ("r", 4)],
            ),
            ("path LIKE 'g/%'", [("g", 1), ("g", 2), ("g", 3)]),
        ],
    )
    def test_conditions_on_datasets(self, registry, where, found):
        assert self.find(registry, "bias", ["r", "g"], where=where) == found

    def test_a_dataset_is_found_by_its_id(self, registry):
        wanted = next(iter(queries.query_datasets(registry, "bias", "g", where="detector = 2")))
        for where, bind in [
            (f"dataset_id = UUID('{wanted.id}')", {}),
            (f"bias.dataset_id IN (UUID('{wanted.id.hex}'), :u)", {"u": uuid.uuid4()}),
            ("dataset_id IN (:u)", {"u": {wanted.id, uuid.uuid4()}}),
            ("dataset_id IN (:u)", {"u": [wanted.id, *(uuid.uuid4() for _ in range(100))]}),
        ]:
            assert list(queries.query_datasets(registry, "bias", "g", where=where, bind=bind)) == [wanted]

    def test_a_reference_is_whole(self, registry):
        ref = next(iter(queries.query_datasets(registry, "calexp", "u/x", where="visit = 2 AND detector = 3")))
        assert ref.run == "u/x"
        assert ref.dataset_type == registry.dataset_type("calexp")
        assert dict(ref.data_id) == {"instrument": "Cam", "visit": 2, "detector": 3}
        assert isinstance(ref.id, uuid.UUID)

    def test_records_that_are_missing_lose_no_dataset(self, registry):
        assert queries.query_datasets(registry, "raw", "raw/all", order_by="band").count() == 5
        assert self.find(registry, "raw", "raw/all", where="band IS NULL") == [("raw/all", 4, 1)]

    def test_filters_given_as_dimensions_join_what_implies_them(self, registry):
        assert self.find(registry, "flat", "g", where="exposure = 1") == [("g", "Cam-G", 1), ("g", "Cam-G", 2)]
        assert self.find(registry, "flat", "g", where="exposure = 4") == []
        assert self.find(registry, "flat", "g", where="visit = 2") == []

    def test_a_tagged_dataset_is_of_the_run_that_made_it(self, registry):
        tags, catalog = registry.tables.tag(registry.dataset_type("bias").dimensions), registry.catalog
        registry.collections.register("best", "TAGGED")
        places = {"g": "detector = 1", "r": "detector = 2"}
        chosen = [next(iter(queries.query_datasets(registry, "bias", run, where=w))) for run, w in places.items()]
        best = registry.catalog.collections["best"].id
        with registry.database.write() as connection:
            for ref in chosen:
                row = {"dataset_type_id": catalog.type_ids["bias"], "collection_id": best, "dataset_id": ref.id}
                connection.execute(sa.insert(tags).values({**row, **ref.data_id}))
            summary = registry.tables.collection_summary
            connection.execute(sa.insert(summary).values(collection_id=best, dataset_type_id=catalog.type_ids["bias"]))
            registry.catalog_changed(connection)
        try:
            assert self.find(registry, "bias", "best") == [("g", 1), ("r", 2)]
            assert self.find(registry, "bias", ["best", "r"]) == [("g", 1), ("r", 2), ("r", 3), ("r", 4)]
            assert self.find(registry, "bias", "best", where="run = 'g'") == [("g", 1)]
            assert self.find(registry, "bias", ["best", "g"], where="collection = 'best'") == [("g", 1), ("r", 2)]
        finally:
            registry.collections.delete("best")

    def test_sorted_and_cut(self, registry):
        found = queries.query_datasets(
            registry, "calexp", "u/x", order_by=["-visit.exposure_time", "-detector"], limit=3
        )
        assert [(ref.data_id["visit"], ref.data_id["detector"]) for ref in found] == [(1, 4), (1, 3), (1, 2)]
        assert found.count() == 3
        newest = queries.query_datasets(registry, "bias", ["r", "g"], order_by="-ingest_date", limit=1)
        assert [ref.data_id["detector"] for ref in newest] == [4]

    def test_sorted_by_a_string_where_rows_would_repeat(self, registry):
        found = queries.query_dimension_records(registry, "detector", where="visit > 0", order_by="-full_name")
        assert [record.full_name for record in found] == ["Bb", "Ba", "Ab", "Aa"]

    def test_nulls_sort_before_everything(self, registry):
        found = queries.query_dimension_records(registry, "exposure", order_by=["physical_filter", "-exposure"])
        assert [record.id for record in found] == [4, 3, 2, 1, 0]

    def test_unknown_dataset_types_are_named(self, registry):
        with pytest.raises(DatasetTypeNotFoundError, match="bias"):
            queries.query_datasets(registry, "bais", "g")

    def test_all_types_at_once(self, registry):
        found = queries.query_all_datasets(registry, "*", collections="*", find_first=False, where="detector = 2",
                                           data_id={"instrument": "Cam"})  # fmt: skip
        kinds = [ref.dataset_type.name for ref in found]
        assert sorted(kinds) == ["bias", "bias", "calexp", "calexp", "flat"]
        assert found.count() == 5
        assert len(list(found.limit(2))) == found.limit(2).count() == 2
        assert set(found.by_type()) == {"bias", "calexp", "flat", "raw"}
        assert queries.query_all_datasets(registry, ["bias", "fl*"], collections="g").count() == 5


class TestDataIds:
    def test_implied_values_come_along(self, registry):
        found = list(queries.query_data_ids(registry, ["visit"], where="visit = 2", data_id={"instrument": "Cam"}))
        assert dict(found[0]) == {
            "instrument": "Cam", "visit": 2, "physical_filter": "Cam-R1", "band": "r", "day_obs": 20210909,
        }  # fmt: skip

    def test_independent_dimensions_are_all_combined(self, registry):
        assert queries.query_data_ids(registry, ["detector", "physical_filter"]).count() == 12

    def test_exposures_and_visits_are_joined_by_their_definition(self, registry):
        found = queries.query_data_ids(registry, ["exposure", "visit"])
        assert sorted((data_id["exposure"], data_id["visit"]) for data_id in found) == [(0, 1), (1, 1)]

    def test_data_ids_that_have_datasets(self, registry):
        found = queries.query_data_ids(registry, ["detector"], datasets="bias", collections=["g", "r"])
        assert sorted(data_id["detector"] for data_id in found) == [1, 2, 3, 4]
        assert found.count() == 4
        found = queries.query_data_ids(registry, ["detector"], datasets=["bias", "calexp"], collections=["g", "u/x"])
        assert sorted(data_id["detector"] for data_id in found) == [1, 2, 3]
        found = queries.query_data_ids(registry, ["visit", "detector"], datasets="raw", collections="raw/all")
        assert sorted((data_id["visit"], data_id["detector"]) for data_id in found) == [(1, 1)]

    def test_conditions_on_the_datasets_that_are_there(self, registry):
        found = queries.query_data_ids(
            registry, ["detector"], datasets=["bias", "flat"], collections="g", where="bias.size > 50"
        )
        assert [data_id["detector"] for data_id in found] == [2]
        with pytest.raises(InvalidQueryError, match=r"bias\.size, flat\.size"):
            queries.query_data_ids(registry, ["detector"], datasets=["bias", "flat"], collections="g", where="size > 1")

    def test_dimensions_that_are_only_named_repeat_nothing(self, registry):
        assert detectors(registry, "visit IN (1, 2) AND physical_filter != 'x'") == [1, 2, 3, 4]
        assert queries.query_data_ids(registry, ["instrument"], where="detector > 1").count() == 1

    def test_bands_are_those_of_the_filters(self, registry):
        assert sorted(d["band"] for d in queries.query_data_ids(registry, ["band"])) == ["g", "r"]
        with pytest.raises(InvalidQueryError, match="no records of its own"):
            queries.query_dimension_records(registry, "band")

    def test_nothing_at_all_has_one_data_id(self, registry):
        assert [dict(d) for d in queries.query_data_ids(registry, [])] == [{}]


class TestQueryObjects:
    def test_queries_compose_and_leave_each_other_alone(self, registry):
        every = queries.query_datasets(registry, "calexp", "u/x")
        some = every.where("visit = :v", v=1).where("detector IN (:d)", {"d": [1, 2, 3]})
        cut = some.order_by("-detector").limit(2)
        assert (every.count(), some.count(), cut.count()) == (8, 3, 2)
        assert [ref.data_id["detector"] for ref in cut] == [3, 2]
        assert [ref.data_id["detector"] for ref in cut] == [3, 2]

    def test_any(self, registry):
        every = queries.query_datasets(registry, "calexp", "u/x")
        assert every.any()
        assert not every.where("visit = 9").any()
        assert not every.limit(0).any()
        assert not queries.query_datasets(registry, "empty", "g").any()

    def test_repr_says_what_is_asked(self, registry):
        query = queries.query_datasets(registry, "calexp", "u/x", where="visit = 1", order_by="detector", limit=3)
        assert repr(query) == (
            "DatasetQuery('calexp', collections=['u/x'], where='visit = 1', order_by=['detector'], limit=3)"
        )
        assert repr(queries.query_data_ids(registry, ["visit"])) == "DataIdQuery(['instrument', 'visit'])"

    def test_arrow_and_pandas(self, registry):
        table = queries.query_datasets(registry, "bias", "g", order_by="detector").to_arrow()
        assert table.column_names == ["dataset_id", "run", "instrument", "detector"]
        assert table["detector"].to_pylist() == [1, 2, 3]
        refs = list(queries.query_datasets(registry, "bias", "g", order_by="detector"))
        assert table["dataset_id"].to_pylist() == [str(ref.id) for ref in refs]
        frame = queries.query_dimension_records(registry, "exposure", order_by="exposure").to_pandas()
        assert frame["can_see_sky"].tolist() == [True, False, None, False, True]
        records = queries.query_dimension_records(registry, "visit", where="visit = 1").to_arrow()
        assert records["timespan_begin"].cast("int64").to_pylist() == [START]
        assert queries.query_data_ids(registry, ["visit"]).to_astropy()["visit"].tolist() == [1, 2]

    def test_an_empty_table_has_its_columns(self, registry):
        assert queries.query_datasets(registry, "empty", "g").to_arrow().column_names[:2] == ["dataset_id", "run"]

    def test_explanations_name_what_lets_nothing_through(self, registry):
        every = queries.query_datasets(registry, "calexp", "u/x", data_id={"instrument": "Cam"})
        assert "There are results" in every.explain()
        assert "nothing has visit = 9" in every.where("detector = 1 AND visit = 9").explain()
        contradicting = every.where("visit.exposure_time > 50 AND band = 'r'").explain()
        assert "nothing that has instrument = 'Cam' AND visit.exposure_time > 50 has band = 'r', too" in contradicting
        missing = queries.query_datasets(registry, "calexp", "g").explain()
        assert "no calexp is in g; it is in u/x" in missing

    def test_what_is_added_later_is_found(self, registry):
        registry.collections.register("late")
        query = queries.query_datasets(registry, "empty", "late")
        assert query.count() == 0
        add_datasets(registry, "empty", "late", [{"instrument": "Cam", "visit": 1}])
        assert query.count() == 1
        assert len(list(query)) == 1

    def test_many_threads_may_ask_at_once(self, registry):
        def ask(i):
            where = f"visit = 1 AND detector + {i % 7} > {i % 7 + 2}"
            return [ref.data_id["detector"] for ref in queries.query_datasets(registry, "calexp", "u/x", where=where)]

        with ThreadPoolExecutor(6) as pool:
            assert all(sorted(found) == [3, 4] for found in pool.map(ask, range(120)))

    def test_values_never_reach_sql_as_text(self, registry):
        secret = "x'; DROP TABLE visit; --"
        query = queries.query_dimension_records(
            registry,
            "visit",
            where="visit.name IN (:s, 'y''y') AND visit.name LIKE :s AND visit != 424242",
            bind={"s": secret},
        )
        sql = query._made.statement.sql
        assert secret not in sql
        assert "424242" not in sql
        assert "y'y" not in sql
        assert list(query) == []

    def test_queries_that_differ_in_values_share_a_statement(self, registry):
        statements = {
            id(
                queries.query_datasets(
                    registry, "calexp", "u/x", where=f"visit = {i} AND detector IN ({i}, 2)"
                )._made.statement
            )
            for i in range(5)
        }
        assert len(statements) == 1

    def test_too_many_values_are_refused_with_a_way_out(self, registry, monkeypatch):
        monkeypatch.setattr(plan, "_MOST_PARAMETERS", 50)
        where = " OR ".join(f"visit > {i} AND detector != {i}" for i in range(30))
        with pytest.raises(InvalidQueryError, match="bind them as a list"):
            queries.query_datasets(registry, "calexp", "u/x", where=where)

    def test_one_visit_is_found_by_the_index(self, registry):
        query = queries.query_datasets(registry, "calexp", "u/x", where="visit = 1")
        statement = query._made.statement
        with registry.database.read() as connection:
            steps = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement.sql}", tuple(statement.parameters(query._made.values))
            )
            text = " ".join(str(row) for row in steps)
        assert "instrument=? AND visit=?" in text
