"""LSST's expressions on LSST's own kind of records: each construct with its result, each mistake with its caret."""

import uuid
from datetime import UTC, datetime

import pytest
from astropy import units as u
from astropy.time import Time

from skybutler import Butler, DatasetType, InvalidQueryError, Region, Timespan

START = Timespan.from_isot("2021-09-09T03:00:00", None).begin_ns
MINUTE = 60 * 10**9
CAM = {"instrument": "Cam1"}


@pytest.fixture(scope="module")
def butler(backend, tmp_path_factory):
    """4 detectors (the last a wavefront sensor, the third of unknown purpose), 2 visits, a sky map, biases, flats."""
    root = tmp_path_factory.mktemp("language") / "repo"
    butler = Butler.create(root, registry=None if backend.is_sqlite else backend.new())
    insert = butler.insert_dimension_records
    insert("instrument", [{"name": "Cam1", "visit_max": 1024, "detector_max": 4, "class_name": "x.Y"}])
    insert("physical_filter", [CAM | {"name": f"Cam1-{f}", "band": f[0].lower()} for f in ("G", "R1", "R2")])
    insert("day_obs", [CAM | {"id": 20210909}, CAM | {"id": 20210910, "timespan": Timespan.from_day_obs(20210910)}])
    insert("group", [CAM | {"name": "g"}])
    insert("detector", [
        CAM | {"id": i + 1, "full_name": name, "raft": name[0], "name_in_raft": name[1],
               "purpose": ["SCIENCE", "SCIENCE", None, "WAVEFRONT"][i]}
        for i, name in enumerate(["Aa", "Ab", "Ba", "Bb"])
    ])  # fmt: skip
    insert("exposure", [
        CAM | {"id": i, "obs_id": f"e{i}", "physical_filter": "Cam1-G", "day_obs": 20210909, "group": "g",
               "can_see_sky": [True, False, None][i], "seq_num": i}
        for i in range(3)
    ])  # fmt: skip
    insert("visit", [
        CAM | {"id": 1, "name": "one", "physical_filter": "Cam1-G", "day_obs": 20210909, "exposure_time": 60.0,
               "zenith_angle": 5.0, "target_name": "it's", "timespan": Timespan(START, START + MINUTE),
               "region": Region.box(0.5, 0.5, 1, 1)},
        CAM | {"id": 2, "name": "two", "physical_filter": "Cam1-R1", "day_obs": 20210909, "exposure_time": 45.0,
               "seq_num": -7, "zenith_angle": 10.0, "target_name": "50%_\\", "region": Region.box(1.5, 0.5, 1, 1),
               "timespan": Timespan(START + 2 * MINUTE, START + 3 * MINUTE)},
    ])  # fmt: skip
    insert("visit_detector_region", [
        CAM | {"visit": v, "detector": d, "region": Region.box(v - 1 + 0.125 + 0.25 * (d - 1), 0.5, 0.2, 1)}
        for v in (1, 2) for d in (1, 2, 3, 4)
    ])  # fmt: skip
    insert("skymap", [{"name": "S", "hash": b"\x00\xff", "tract_max": 2}])
    insert("tract", [{"skymap": "S", "id": t, "region": Region.box(t + 0.5, 0.5, 0.99, 1)} for t in (0, 1)])
    insert("patch", [{"skymap": "S", "tract": t, "id": p, "cell_x": p, "cell_y": 0,
                      "region": Region.box(t + 0.25 + 0.5 * p, 0.5, 0.49, 1)}
                     for t in (0, 1) for p in (0, 1)])  # fmt: skip
    for name, dimensions in {"bias": ["detector"], "flat": ["detector", "physical_filter"]}.items():
        butler.register_dataset_type(DatasetType(name, ["instrument", *dimensions], "Dict"), replace=True)
    for run, found in {"imported_g": (1, 2, 3), "imported_r": (2, 3, 4)}.items():
        for detector in found:
            butler.put("bias", {}, CAM, detector=detector, run=run)
    butler.put("flat", {}, CAM, detector=2, physical_filter="Cam1-G", run="imported_g")
    yield butler
    butler.close()


def ask(butler, element, where, **bind):
    found = butler.query_dimension_records(element, where=where, bind=bind, instrument="Cam1")
    assert found.count() == len(list(found))
    return sorted(record.id for record in found)


def biases(butler, where, **bind):
    found = butler.query_datasets("bias", ["imported_g", "imported_r"], where=where, bind=bind, instrument="Cam1")
    assert found.count() == len(list(found))
    return sorted((ref.run[-1], ref.data_id["detector"]) for ref in found)


ALL, LAST = [1, 2, 3, 4], ("r", 4)
FIRST = [("g", 1), ("g", 2), ("g", 3)]


class TestConstructs:
    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("NOT detector = 1 AND NOT detector = 2", [3, 4]),
            ("NOT detector = 1 OR detector = 1", ALL),
            ("NOT (detector = 1 OR detector = 2) AND detector < 4", [3]),
            ("detector = 1 OR detector = 2 AND detector = 3", [1]),
            ("(detector = 1 OR detector = 2) AND detector = 2", [2]),
            ("NOT NOT detector = 1", [1]),
            ("NOT detector IN (1, 2)", [3, 4]),
            ("NOT detector NOT IN (1, 2)", [1, 2]),
            ("detector not in (1) and not detector = 2 or DETECTOR_MAX IS NULL".replace("DETECTOR_MAX", "detector_max"),
             [3, 4]),
            ("detector IN (1, 1, 1)", [1]),
            ("detector IN (-2 .. +2 : 2, 3)", [2, 3]),
            ("detector IN (1, detector + 1, detector - 0)", ALL),
            ("detector + 1 IN (3)", [2]),
            ("5 IN (detector, 5)", ALL),
            ("purpose IN ('SCIENCE')", [1, 2]),
            ("purpose NOT IN ('SCIENCE')", [4]),
            ("NOT (purpose IN ('SCIENCE'))", [4]),
            ("purpose != 'SCIENCE' OR purpose = NULL", [3, 4]),
            ("purpose = 'SCIENCE' OR NOT purpose = 'SCIENCE'", [1, 2, 4]),
            ("purpose = purpose", [1, 2, 4]),
            ("NOT (purpose = 'SCIENCE' AND detector = 3)", [1, 2, 4]),
            ("NOT (purpose = 'SCIENCE' OR detector = 3)", [4]),
            ("purpose = 'SCIENCE' AND TRUE OR FALSE", [1, 2]),
            ("(purpose = 'SCIENCE') IS NULL", [3]),
            ("(purpose IN ('SCIENCE', 'x')) IS NOT NULL", [1, 2, 4]),
            ("purpose LIKE '%' OR purpose NOT LIKE '%'", [1, 2, 4]),
            ("purpose BETWEEN 'S' AND 'T'", [1, 2]),
            ("purpose NOT BETWEEN 'S' AND 'T'", [4]),
            ("detector / 3 > 0.3 AND detector / 3 < 0.4", [1]),
            ("detector / 2 * 2 = detector", ALL),
            ("7 / 2 = 3.5 AND -7 / 2 = -3.5", ALL),
            ("-5 % 3 = -2 AND 5 % -3 = 2 AND -5 % -3 = -2", ALL),
            ("(1 - detector) % 3 = -1", [2]),
            ("detector % 0 = 1 OR detector / 0 = 1 OR detector % 0 != 1", []),
            ("detector - 1 - 1 = 1", [3]),
            ("12 / detector / 2 = 3", [2]),
            ("2 + 3 * detector = 5", [1]),
            ("-detector + 5 = 1", [4]),
            ("detector * 1.0 = 2", [2]),
            ("detector = 2.0 AND detector != 2.5", [2]),
            ("detector > -1e-300 AND detector < .5E1", ALL),
            ("instrument = 'Cam1' AND visit_max = 1024", ALL),
            ("instrument.visit_max = 1024 AND instrument.class_name LIKE '%.Y'", ALL),
            ("instrument.name = 'Cam1'", ALL),
            ("id IN (1..2)", [1, 2]),
            ("full_name = 'Aa' OR detector.full_name = 'Bb'", [1, 4]),
            ("full_name < 'Ab'", [1]),
            ("full_name >= 'B'", [3, 4]),
            ("full_name = 'aa'", []),
            ("GLOB(full_name, '*')", ALL),
            ("GLOB(full_name, '')", []),
            ("GLOB(purpose, '*EN?E')", [1, 2]),
            ("NOT GLOB(purpose, 'SCI*')", [4]),
            ("skymap = 'S' AND tract = 0", ALL),
            ("visit = 1 AND skymap = 'S' AND tract = 0 AND patch = 0", [1, 2]),
            ("visit = 1 AND skymap = 'S' AND tract = 1", []),
            ("visit.exposure_time > 50", ALL),
            ("exposure = 2", ALL),
        ],
    )  # fmt: skip
    def test_detectors(self, butler, where, found):
        assert ask(butler, "detector", where) == found

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("target_name = 'it''s'", [1]),
            (r"target_name LIKE '50\%\_\\'", [2]),
            (r"target_name LIKE '%\\'", [2]),
            (r"GLOB(target_name, '5?%_\\')", [2]),
            (r"GLOB(target_name, '\*')", []),
            ("target_name LIKE '__%''%'", [1]),
            ("seq_num % 3 = -1", [2]),
            ("seq_num / 2 = -3.5", [2]),
            ("seq_num IN (-9..-1:2)", [2]),
            ("seq_num IN (-8..-1:2)", []),
            ("seq_num NOT IN (-8..-1:2)", [2]),
            ("seq_num + 1 IS NULL", [1]),
            ("name = 'one' AND visit.name != 'two'", [1]),
            ("physical_filter = 'Cam1-R1' AND band = 'r'", [2]),
            ("visit.physical_filter = 'Cam1-G'", [1]),
            ("visit.day_obs = 20210909 AND day_obs = 20210909 AND day_obs.id != 1", [1, 2]),
            ("visit.instrument = 'Cam1'", [1, 2]),
            ("visit.timespan.begin < T'2021-09-09T03:00:00.000000001/tai'", [1]),
            ("visit.timespan.end = T'2021-09-09T03:01:00/tai'", [1]),
            ("visit.timespan.begin BETWEEN T'2021-09-09T03:00:00/tai' AND T'2021-09-09T03:01:00/tai'", [1]),
            ("visit.timespan OVERLAPS T'2021-09-09T03:00:00/tai'", [1]),
            ("visit.timespan OVERLAPS T'2021-09-09T03:01:00/tai'", []),
            ("(NULL, T'2021-09-09T03:02:00/tai') OVERLAPS visit.timespan", [1]),
            ("visit.timespan OVERLAPS (T'2021-09-09T03:01:00/tai', T'2021-09-09T03:02:00/tai')", []),
            ("visit.timespan OVERLAPS (T'2021-09-09T03:00:30/tai', T'2021-09-09T03:00:30/tai')", []),
            ("visit.timespan OVERLAPS (NULL, NULL)", [1, 2]),
            ("NOT visit.timespan OVERLAPS T'2021-09-09T03:00:00/tai'", [2]),
            ("NOT day_obs.timespan OVERLAPS T'2021-09-09'", []),
            ("day_obs.timespan = NULL", [1, 2]),
            ("visit.region OVERLAPS POINT(0.5, 0.5)", [1]),
            ("POINT(-359.5, 0.5) OVERLAPS visit.region", [1]),
            ("visit.region OVERLAPS CIRCLE(2.2, 0.5, 0.25)", [2]),
            ("visit.region OVERLAPS CIRCLE(2.2, 0.5, 0.15)", []),
            ("visit.region OVERLAPS BOX(1, 0.5, 0.1, 0.1)", [1, 2]),
            ("visit.region OVERLAPS POLYGON(1.4, 0.4, 1.6, 0.4, 1.5, 0.6)", [2]),
            ("visit.region OVERLAPS REGION('RANGE 0.4 0.6 -Inf +Inf')", [1]),
            ("visit.region OVERLAPS REGION('RANGE -Inf +Inf 0.4 0.6')", [1, 2]),
            ("visit.region OVERLAPS REGION('CIRCLE 0.5 0.5 0.01') AND visit = 2", []),
            ("visit.region OVERLAPS POINT(0.5, 90) OR visit = 2", [2]),
            ("visit.region IS NOT NULL AND visit.region != NULL", [1, 2]),
            ("skymap = 'S' AND visit.region OVERLAPS tract.region AND tract = 1", [2]),
            ("skymap = 'S' AND patch.region OVERLAPS POINT(1.2, 0.5)", [2]),
            ("skymap.hash = :hash AND tract = 0 AND skymap = 'S'", [1]),
        ],
    )
    def test_visits(self, butler, where, found):
        bind = {"hash": b"\x00\xff"} if ":hash" in where else {}
        assert ask(butler, "visit", where, **bind) == found

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("exposure.can_see_sky", [0]),
            ("NOT can_see_sky", [1]),
            ("can_see_sky = FALSE", [1]),
            ("can_see_sky IN (TRUE)", [0]),
            ("can_see_sky NOT IN (TRUE)", [1]),
            ("can_see_sky IS NULL", [2]),
            ("can_see_sky AND NOT can_see_sky", []),
            ("can_see_sky = :yes", [0]),
            ("can_see_sky = (('' NOT LIKE '') IS NULL)", [1]),
            ("(can_see_sky IS NULL) = (obs_id = 'e2')", [0, 1, 2]),
            ("obs_id = 'e1' OR exposure.obs_id = 'e2'", [1, 2]),
        ],
    )
    def test_exposures(self, butler, where, found):
        assert ask(butler, "exposure", where, **({"yes": True} if ":yes" in where else {})) == found

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ("", [*FIRST, LAST]),
            ("run = 'imported_g'", FIRST),
            ("collection = 'imported_g' AND bias.collection = 'imported_g'", FIRST),
            ("run != 'imported_g'", [("r", 2), ("r", 3), LAST]),
            ("GLOB(run, 'imported_g*')", FIRST),
            ("bias.run LIKE '%\\_r'", [("r", 2), ("r", 3), LAST]),
            ("ingest_date > T'2020-01-01'", [*FIRST, LAST]),
            ("bias.ingest_date < T'2020-01-01'", []),
            ("ingest_date OVERLAPS (T'2000-01-01', T'2099-01-01')", [*FIRST, LAST]),
            ("ingest_date != NULL", [*FIRST, LAST]),
            ("ingest_date > :date AND ingest_date > :time", [*FIRST, LAST]),
            ("timespan OVERLAPS T'2020-01-01'", [*FIRST, LAST]),
            ("bias.timespan.begin < T'1990-01-01' AND timespan.end > T'2261-01-01'", [*FIRST, LAST]),
            ("timespan = NULL", []),
            ("size = 2 AND path LIKE 'imported_g/%'", FIRST),
            ("dataset_id = :id", [("g", 2)]),
            ("dataset_id IN (:id, UUID('e15ab039-bc8b-4135-87c5-90902a7c0b22'))", [("g", 2)]),
            ("bias.dataset_id IN (:ids) AND NOT dataset_id = :id", []),
            ("band = 'g'", [*FIRST, LAST]),
            ("raft = 'A'", [("g", 1), ("g", 2)]),
            ("detector.purpose = 'WAVEFRONT' OR run = 'imported_g'", [*FIRST, LAST]),
            ("visit.region OVERLAPS POINT(0.5, 0.5)", [*FIRST, LAST]),
            ("visit = 1 AND visit_detector_region.region OVERLAPS POINT(0.12, 0.5)", [("g", 1)]),
        ],
    )
    def test_datasets(self, butler, where, found):
        wanted = next(iter(butler.query_datasets("bias", "imported_g", where="detector = 2"))).id
        bind = {"id": wanted, "ids": {wanted}, "time": Time("2020-01-01"), "date": datetime(2020, 1, 1, tzinfo=UTC)}
        bind = {name: value for name, value in bind.items() if f":{name}" in where}
        assert biases(butler, where, **bind) == found

    def test_the_first_dataset_is_the_first_that_fits(self, butler):
        assert biases(butler, "detector = 2 AND run = 'imported_r'") == [("r", 2)]
        every = butler.query_datasets("bias", ["imported_g", "imported_r"], find_first=False)
        assert every.count() == 6
        assert [r.run for r in every.where("detector = 2").order_by("-run")] == ["imported_r", "imported_g"]

    def test_binds_and_columns_of_one_name_are_told_apart_by_the_colon(self, butler):
        assert ask(butler, "detector", "detector = :detector", detector=2) == [2]
        assert ask(butler, "detector", "detector = detector", detector=2) == ALL
        assert ask(butler, "detector", "raft = raft AND detector = x", raft="B", x=1) == [1]
        assert ask(butler, "detector", "detector IN (:detector, raft_ids)", detector=1, raft_ids=[3]) == [1, 3]
        with pytest.raises(InvalidQueryError, match="bind gives :unused"):
            ask(butler, "detector", "detector = 1", unused=object())

    @pytest.mark.parametrize(
        "form", ["iso", "isot", "fits", "yday", "mjd", "jd", "unix", "jyear", "decimalyear", "gps"]
    )
    @pytest.mark.parametrize("scale", ["utc", "tai", "tt", "tdb"])
    def test_times_of_any_format_and_scale_are_those_of_astropy(self, butler, form, scale):
        moment = Time("2021-09-09T03:01:00", scale="tai")
        near = [getattr(moment, scale) + seconds * u.s for seconds in (-20, 20)]
        first, last = (time.to_value(form) if isinstance(time.to_value(form), str) else repr(float(time.to_value(form)))
                       for time in near)  # fmt: skip
        where = f"visit.timespan.end > T'{form}/{first}/{scale}' AND visit.timespan.end < T'{form}/{last}/{scale}'"
        assert ask(butler, "visit", where) == [1]

    def test_data_ids_of_several_families_are_joined(self, butler):
        def pairs(dimensions, where="", **data_id):
            found = butler.query_data_ids(dimensions, where=where, instrument="Cam1", skymap="S", **data_id)
            return sorted(tuple(i[d] for d in dimensions) for i in found)

        assert pairs(["visit", "tract"]) == [(1, 0), (2, 1)]
        assert pairs(["visit", "detector", "tract", "patch"], visit=1) == [
            (1, 1, 0, 0), (1, 2, 0, 0), (1, 3, 0, 1), (1, 4, 0, 1),
        ]  # fmt: skip
        assert pairs(["detector"], "visit = 1 AND tract = 0 AND patch = 1") == [(3,), (4,)]
        assert pairs(["physical_filter", "band"]) == [("Cam1-G", "g"), ("Cam1-R1", "r"), ("Cam1-R2", "r")]


WRONG = [
    # what LSST refuses, too (an expression, where the caret stands, what is said); ^ marks the place
    ("detector IN (^)", "IN wants at least one value"),
    ('full_name = ^"Aa"', "single quotes"),
    ("^'A''a'", "A condition is wanted; this is a string"),
    ("detector = 1 AND^", "it ends where a value is missing"),
    ("(detector = 1^", "it ends where a '\\)' is missing"),
    ("detector ^= 'x'", "= cannot compare an integer with a string"),
    ("detector IN (^3..1)", "The range 3..1 runs backwards"),
    ("visit.zenith_angle IN (^45..60)", "A range holds integers"),
    ("^foo = 1", "There is no 'foo' here"),
    ("detector.^foo = 1", "detector has no field 'foo'. It has instrument, id, full_name"),
    ("^DETECTOR = 1", "Did you mean 'detector'"),
    ("full_name = 'Aa' AND ^detectr = 1", "Did you mean 'detector'"),
    ("detector.^full_nam = 'Aa'", "Did you mean 'full_name'"),
    ("^visti.exposure_time > 1", "Did you mean 'visit.exposure_time'"),
    ("^timespan.begin > T'2020-01-01'", "Did you mean day_obs.timespan.begin or exposure.timespan.begin"),
    ("^dataset_id = 1", "Only datasets have one: ask query_datasets"),
    ("GLOB(^detector, '1')", "A pattern is compared with a string; this is an integer"),
    ("^foo(1) = 2", "There is no function FOO"),
    ("^CIRCEL(1, 1, 1) OVERLAPS visit.region", "Did you mean 'CIRCLE'"),
    ("^detector", "A condition is wanted; this is an integer"),
    ("^1", "A condition is wanted"),
    ("^full_name", "A condition is wanted"),
    ("NOT ^detector", "A condition is wanted"),
    ("detector = 1 AND ^full_name", "A condition is wanted"),
    ("visit.timespan ^= (T'2020-01-01', T'2021-01-01')", "Use OVERLAPS"),
    ("visit.timespan ^< T'2020-01-01'", "Use OVERLAPS, or .begin and .end"),
    ("T'2020-01-01' IN (^visit.timespan)", "Use OVERLAPS"),
    ("detector = ^:list", r"write IN \(:list\)"),
    ("detector = ^:lits", "No value is bound to :lits. Did you mean 'list'"),
    ("^tract = 0", "tract means nothing without skymap"),
    ("visit.region ^OVERLAPS visit.region", "belong together"),
    ("visit.timespan ^OVERLAPS day_obs.timespan", "belong together"),
    ("NULL ^= NULL", "IS NULL, IS NOT NULL"),
    ("POINT(1, 1) ^OVERLAPS CIRCLE(1, 1, 1)", "One side of OVERLAPS must be a column"),
    ("^flat.run = 'x'", "'flat' takes no part in this query"),
    ("^a.b.c.d = 1".replace("^a.b.c", "a.b.c^"), "at most three parts"),
    # what is easily meant otherwise
    ("1 < detector ^< 3", "do not chain"),
    ("detector ^== 1 == 1".replace("^== 1 ", "== 1 ^"), "do not chain"),
    ("day_obs = ^2019-05-03", "day_obs = 20190503; an instant in quotes: T'2019-05-03'"),
    ("visit.day_obs IN (20190503, ^2019-05-04)", "day_obs = 20190504"),
    ("day_obs BETWEEN ^2019-05-03 AND 2019-05-04", "day_obs = 20190503"),
    ("visit.timespan.begin > ^2019-05-03T09:00:00", "T'2019-05-03T09:00:00'"),
    ("day_obs ^= '2019-05-03'", "A day is written as an integer"),
    ("day_obs ^= T'2019-05-03'", "A day is written as an integer"),
    ("day_obs IN (^'20190503')", "A day is written as an integer"),
    ("visit.timespan.begin ^> '2019-05-03'", "A time is written T'2025"),
    ("detector = ^:date", "an observing day is the integer 20190503"),
    ("raft ^= 1", "cannot compare a string with an integer"),
    ("raft ^!= TRUE", "cannot compare a string with true or false"),
    ("^raft + 'x' = 'Ax'", "'\\+' wants numbers; this is a string"),
    ("1.5 ^% 2 = 1", "integers on both sides"),
    ("detector IN (1, ^'x')", "values of one kind"),
    ("detector IN (1, ^NULL)", "no list holds it"),
    ("detector = ^1..3", "A range stands in a list"),
    ("detector = 1 ^&& raft = 'A'", "joined by AND"),
    ("detector = 1 ^raft = 'A'", "AND, OR or an operator is missing"),
    ("^!detector = 1", "turned round by NOT"),
    ("detector IN ^[1, 2]", "parentheses"),
    ("visit.region OVERLAPS ^POINT(0, 91)", "beyond"),
    ("visit.region OVERLAPS ^BOX(0, 91, 1, 1)", "beyond"),
    ("visit.region OVERLAPS ^CIRCLE(0, 0, -1)", "negative"),
    ("visit.region OVERLAPS ^CIRCLE(0, 0, 1e400)", "not finite"),
    ("visit.region OVERLAPS ^POLYGON(0, 0, 1, 1)", "three or more pairs"),
    ("visit.region OVERLAPS ^POLYGON(0, 0, 1, 0, 2, 0)", "POLYGON: not a region"),
    ("visit.region OVERLAPS ^REGION('CIRCLE 1 2')", "write POINT ra dec, CIRCLE"),
    ("visit.region OVERLAPS CIRCLE(^detector, 0, 1)", "a column has no place"),
    ("visit.region OVERLAPS CIRCLE(^:nan, 0, 1)", "not-a-number"),
]


@pytest.mark.parametrize(("marked", "message"), WRONG, ids=[case[0] for case in WRONG])
def test_a_mistake_is_told_once_with_a_caret_under_its_place(butler, marked, message):
    place, where = marked.index("^"), marked.replace("^", "", 1)
    bind = {"list": [1], "nan": float("nan"), "date": datetime(2019, 5, 3).date()}
    with pytest.raises(InvalidQueryError, match=message) as caught:
        butler.query_dimension_records("detector", where=where, bind=bind, instrument="Cam1")
    assert caught.value.__cause__ is None
    _, shown, caret = str(caught.value).splitlines()
    assert shown == f"  where: {where}"
    assert caret.index("^") - len("  where: ") == place


def test_identical_ids_are_told_apart_by_type_only(butler):
    assert biases(butler, "id = 2 AND detector.id = 2") == [("g", 2)]
    with pytest.raises(InvalidQueryError, match=r"A UUID is written UUID\('…'\)"):
        biases(butler, f"dataset_id = '{uuid.uuid4()}'")
    with pytest.raises(InvalidQueryError, match="A dataset has no field 'id'"):
        biases(butler, "bias.id = 2")
