"""Random regions, times and chains: joins and searches find what comparing each with each in Python finds."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skybutler import Butler, DatasetType, Region, Timespan

CAM, SKY = {"instrument": "Cam"}, {"skymap": "S"}
CENTERS = [(0.0, 0.0), (359.7, 1.0), (180.0, -45.0), (40.0, 89.3), (200.0, -89.2), (0.05, 89.95)]
RUNS = ("r0", "r1", "r2", "r3")
slow = [HealthCheck.too_slow, HealthCheck.data_too_large]


def region(rng: random.Random, size: float = 1.0) -> Region:
    """Make a region of any form near one of the centres: across RA 0, over a pole, or nowhere special."""
    ra, dec = rng.choice(CENTERS)
    stretch = 1 / max(0.02, abs(1 - abs(dec) / 90)) ** 0.5
    ra, dec = (ra + rng.uniform(-1, 1) * stretch) % 360, max(-90.0, min(90.0, dec + rng.uniform(-0.6, 0.6)))
    match rng.randrange(4):
        case 0:
            return Region.circle(ra, dec, size * rng.uniform(0.05, 0.7))
        case 1:
            return Region.box(ra, dec, size * rng.uniform(0.1, 1.5) * stretch, size * rng.uniform(0.1, 1.5))
        case 2:
            return Region.point(ra, dec)
    corners = [(0, 0), (size * stretch, 0.1), (size * stretch, size), (-0.1, size * 0.8)]
    return Region.polygon([((ra + x * 0.6) % 360, max(-90.0, min(90.0, dec + y * 0.6))) for x, y in corners])


@pytest.fixture(scope="module")
def known():
    """Regions, spans and sequence numbers by key, some missing; and which RUN holds a note of which visit."""
    rng = random.Random(17)
    visits = {i: None if i % 13 == 0 else region(rng) for i in range(1, 61)}
    return {
        "visit": visits,
        "visit_detector_region": {(v, d): region(rng, 0.4) for v in visits for d in (0, 1) if rng.random() < 0.8},
        "tract": {t: region(rng, 3.0) for t in range(4)},
        "patch": {(t, p): region(rng, 0.8) for t in range(4) for p in range(12)},
        "span": {v: None if v % 7 == 0 else Timespan(b := rng.randrange(90), b + rng.randrange(1, 6)) for v in visits},
        "seq_num": {i: None if i % 5 == 0 else rng.randrange(-3, 4) for i in visits},
        "note": {run: {v for v in visits if rng.random() < 0.4} for run in RUNS},
        "valid": {d: sorted(rng.sample(range(100), 8)) for d in (0, 1)},
    }  # fmt: skip


@pytest.fixture(scope="module")
def butler(backend, tmp_path_factory, known):
    root = tmp_path_factory.mktemp("joins") / "repo"
    butler = Butler.create(root, registry=None if backend.is_sqlite else backend.new())
    insert = butler.insert_dimension_records
    insert("instrument", [{"name": "Cam"}])
    insert("physical_filter", [CAM | {"name": "F", "band": "r"}])
    insert("day_obs", [CAM | {"id": 20250101, "timespan": Timespan(0, 50)}])
    insert("detector", [CAM | {"id": d} for d in (0, 1)])
    insert("group", [CAM | {"name": "g"}])
    fixed = CAM | {"physical_filter": "F", "day_obs": 20250101}
    insert("visit", [fixed | {"id": v, "name": f"v{v}", "region": found, "timespan": known["span"][v],
                              "seq_num": known["seq_num"][v]} for v, found in known["visit"].items()])  # fmt: skip
    insert("exposure", [fixed | {"id": v, "obs_id": f"e{v}", "group": "g", "timespan": known["span"][v]}
                        for v in known["visit"]])  # fmt: skip
    insert("visit_detector_region", [CAM | {"visit": v, "detector": d, "region": found}
                                     for (v, d), found in known["visit_detector_region"].items()])  # fmt: skip
    insert("skymap", [{"name": "S"}])
    insert("tract", [SKY | {"id": t, "region": found} for t, found in known["tract"].items()])
    insert("patch", [SKY | {"tract": t, "id": p, "cell_x": p, "cell_y": 0, "region": found}
                     for (t, p), found in known["patch"].items()])  # fmt: skip
    butler.register_dataset_type(DatasetType("note", ["visit"], "Dict"))
    butler.register_dataset_type(DatasetType("bias", ["instrument", "detector"], "Dict", True), replace=True)
    for run, visits in known["note"].items():
        butler.collections.register(run)
        for visit in visits:
            butler.put("note", {}, CAM, visit=visit, run=run)
    butler.collections.register("calib", "CALIBRATION")
    for detector, ends in known["valid"].items():
        for i, (begin, end) in enumerate(zip(ends[::2], ends[1::2], strict=True)):
            bias = butler.put("bias", {}, CAM, detector=detector, run=f"bias{i}")
            butler.collections.certify("calib", [bias], Timespan(begin, end))
    yield butler
    butler.close()


def surely(first: Region, second: Region) -> bool | None:
    """Whether two regions overlap; None where the geometry of boxes beside polygons leaves it open."""
    answer: bool | None = first.shape.overlaps(second.shape)
    return answer


def key(value):
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize(
    ("first", "second", "dimensions", "where"),
    [
        ("visit", "patch", ["visit", "tract", "patch"], ""),
        ("visit_detector_region", "patch", ["visit", "detector", "tract", "patch"], ""),
        ("visit", "tract", ["visit", "tract"], ""),
        ("visit", "tract", ["visit", "tract"], "visit.region OVERLAPS tract.region"),
        ("visit_detector_region", "tract", ["visit", "detector", "tract"], ""),
        ("visit", "patch", ["visit", "tract", "patch"], "patch.region OVERLAPS visit.region"),
    ],
)
def test_records_of_the_sky_are_paired_as_their_regions_overlap(butler, known, first, second, dimensions, where):
    query = butler.query_data_ids(dimensions, where=where, **CAM, **SKY)
    found = [tuple(i[d] for d in dimensions) for i in query]
    pairs = {
        (*key(a), *key(b)): surely(ra, rb)
        for a, ra in known[first].items() if ra is not None
        for b, rb in known[second].items()
    }  # fmt: skip
    wanted = {pair for pair, overlap in pairs.items() if overlap}
    assert len(wanted) > 20
    assert wanted <= set(found) <= {pair for pair, overlap in pairs.items() if overlap is not False}
    assert len(found) == len(set(found)) == query.count() == query.to_arrow().num_rows


@settings(max_examples=60, suppress_health_check=slow)
@given(seed=st.integers(0, 10**6), wide=st.sampled_from([0.2, 1.0, 6.0]))
def test_constant_regions_find_what_overlaps_them(butler, known, seed, wide):
    constant = region(random.Random(seed), wide)
    overlap = {v: surely(found, constant) for v, found in known["visit"].items() if found is not None}
    clear = {v for v in known["visit"] if overlap.get(v) is not None or v not in overlap}
    larger = {v: None if n is None else n > 0 for v, n in known["seq_num"].items()}

    def visits(where):
        query = butler.query_dimension_records("visit", where=where, bind={"r": constant}, **CAM)
        found = [r.id for r in query.order_by("visit")]
        assert len(found) == query.count()
        return [v for v in found if v in clear]

    def among(holds):
        return [v for v in known["visit"] if v in clear and holds(overlap.get(v), larger[v])]

    assert visits("visit.region OVERLAPS :r") == among(lambda there, _: there)
    assert visits("NOT :r OVERLAPS visit.region") == among(lambda there, _: there is False)
    assert visits("visit.region OVERLAPS :r OR visit.seq_num > 0") == among(lambda there, more: there or more)
    assert visits("NOT (visit.region OVERLAPS :r AND visit.seq_num > 0)") == among(
        lambda there, more: there is False or more is False
    )
    assert visits("(visit.region OVERLAPS :r) IS NULL") == among(lambda there, _: there is None)


@pytest.mark.parametrize("dimension", ["visit", "exposure", "day_obs"])
def test_calibrations_are_joined_by_time(butler, known, dimension):
    spans = {20250101: Timespan(0, 50)} if dimension == "day_obs" else known["span"]
    query = butler.query_data_ids([dimension, "detector"], datasets="bias", collections="calib", **CAM)
    found = [(i[dimension], i["detector"]) for i in query]
    wanted = {
        (one, detector)
        for one, span in spans.items() if span is not None
        for detector, ends in known["valid"].items()
        if any(span.overlaps(Timespan(b, e)) for b, e in zip(ends[::2], ends[1::2], strict=True))
    }  # fmt: skip
    assert set(found) == wanted
    assert len(found) == len(wanted) == query.count()


TERMS = {
    "visit.seq_num > 0": lambda seq, run: None if seq is None else seq > 0,
    "NOT visit.seq_num > 0": lambda seq, run: None if seq is None else seq <= 0,
    "visit.seq_num IS NULL": lambda seq, run: seq is None,
    "visit.seq_num NOT IN (1, 2)": lambda seq, run: None if seq is None else seq not in (1, 2),
    "visit.seq_num % 2 = -1": lambda seq, run: None if seq is None else seq in (-3, -1),
    "run != 'r1'": lambda seq, run: run != "r1",
    "run IN ('r0', 'r3')": lambda seq, run: run in ("r0", "r3"),
    "collection = 'r2'": lambda seq, run: run == "r2",
}


@settings(max_examples=80, suppress_health_check=slow)
@given(
    order=st.permutations(RUNS).flatmap(lambda runs: st.integers(1, 4).map(lambda n: runs[:n])),
    terms=st.lists(st.sampled_from(sorted(TERMS)), max_size=3),
    either=st.booleans(),
    first=st.booleans(),
)
def test_the_first_note_that_fits_is_found_in_any_chain(butler, known, order, terms, either, first):
    def fits(visit, run):
        truths = [TERMS[term](known["seq_num"][visit], run) for term in terms]
        return not truths or (any(t is True for t in truths) if either else all(t is True for t in truths))

    wanted, seen = [], set()
    for run in order:
        wanted += [(v, run) for v in known["note"][run] if fits(v, run) and not (first and v in seen)]
        seen |= {visit for visit, where in wanted if where == run}
    query = butler.query_datasets(
        "note", order, find_first=first, where=(" OR " if either else " AND ").join(terms), **CAM
    )
    assert sorted((ref.data_id["visit"], ref.run) for ref in query) == sorted(wanted)
    assert query.count() == len(wanted)
    shown = query.order_by("-visit", "run").limit(3)
    assert [ref.data_id["visit"] for ref in shown] == sorted((v for v, _ in wanted), reverse=True)[:3]
